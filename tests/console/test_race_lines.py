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

RACE = SWEEP_YAML.replace("space:", "confirm: {{top: 3, seeds: 10}}\nspace:")
RECORDS = [
    replace(record, parameters={"loss.warmup_epochs": record.number})
    for record in (
        *finalist(0, 0.99, 0.795, 0.815, 0.801, 0.812),
        *finalist(1, 0.95, 0.901, 0.909, 0.920, 0.905, 0.911),
        *finalist(2, 0.94, 0.884, 0.902, 0.896, 0.893, 0.889),
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
        "race: 3 of 3 finalists left after 1 of 10 seeds",
        "race: 3 of 3 finalists left after 2 of 10 seeds",
        "race: 3 of 3 finalists left after 3 of 10 seeds",
        "race: 2 of 3 finalists left after 4 of 10 seeds",
        "race: 1 of 3 finalists left after 5 of 10 seeds",
    ]
    assert totals[:14] == [3 + 30] * 14
    assert totals[14:] == [3 + 12 + 6 * 2, 3 + 12 + 6 * 2, 3 + 12 + 2]
    shown.print(LiveView("toy", progress, shown))
    assert isinstance(shown.file, StringIO)
    assert "race: 1 of 3 finalists left after 5 of 10 seeds" in shown.file.getvalue()
