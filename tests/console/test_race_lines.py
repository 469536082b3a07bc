"""Which finalists are left, while they race."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from finalists import finalist
from rich.console import Console
from synthetic import SWEEP_YAML, results_of, trial

from sweep.analysis.ranking.finalists import Planned
from sweep.console.live_view import LiveView
from sweep.console.plain_view import PlainView
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.record import Status

RACE = SWEEP_YAML.replace("space:", "confirm: {{top: 3, seeds: 5}}\nspace:")
RECORDS = [
    replace(record, parameters={"loss.warmup_epochs": record.number})
    for record in (
        *finalist(0, 0.99, 0.795, 0.815),
        *finalist(1, 0.95, 0.901, 0.909, 0.920),
        *finalist(2, 0.94, 0.881, 0.882, 0.894),
    )
]


def test_console_says_once_a_block_which_finalists_are_left_and_plans_fewer_trials() -> None:
    spec = results_of(*(trial(n, Status.COMPLETED, [0.5]) for n in range(3)), yaml=RACE).spec
    planned = Planned(spec)
    progress = Progress(planned.total, planned=planned)
    told, shown = Console(file=StringIO(), width=200), Console(file=StringIO(), width=200)
    view = PlainView(progress, told)
    totals = []
    for record in sorted(RECORDS, key=lambda r: r.replicate.seed if r.replicate else 0):
        progress.trial_ended(record)
        view.trial_ended(record)
        totals.append(progress.trials)
    assert isinstance(told.file, StringIO)
    lines = told.file.getvalue().splitlines()
    assert [line for line in lines if line.startswith("race: ")] == [
        "race: 3 of 3 finalists left after 1 of 5 seeds",
        "race: 2 of 3 finalists left after 2 of 5 seeds",
        "race: 1 of 3 finalists left after 3 of 5 seeds",
    ]
    assert totals[:8] == [3 + 15] * 8
    assert totals[8:] == [3 + 6 + 6, 3 + 6 + 6, 3 + 6 + 2]
    shown.print(LiveView("toy", progress, shown))
    assert isinstance(shown.file, StringIO)
    assert "race: 1 of 3 finalists left after 3 of 5 seeds" in shown.file.getvalue()
