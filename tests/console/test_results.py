"""What is printed below a ranking: what killed trials, and what would have cured them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from synthetic import results_of, trial, write_sweep

from sweep.analysis.ranking.ranking_frame import ranking, write_ranking
from sweep.console.sweep_summary import Summary, cures, print_results
from sweep.console.sweep_view import TerminalView
from sweep.vocabulary.divergence import Diagnosis
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status, TrialRecord

ROOT = Diagnosis(likely_cause="ε is 0.", setting="loss.sqrt_epsilon", advice="Set it to 1e-6.")
RATE = Diagnosis(likely_cause="The rate is too high.", setting="optimizer.lr", advice="Lower it.")


def diverged(number: int, diagnosis: Diagnosis | None) -> TrialRecord:
    verdict = Divergence(
        cause="nonfinite",
        stage=Stage.GRADIENT,
        epoch=3,
        step=number,
        message="NaN.",
        diagnosis=diagnosis,
    )
    return TrialRecord(
        trial_id=f"t{number:04d}", number=number, parameters={}, outcome=Outcome.diverged(verdict)
    )


def test_trials_with_one_likely_cause_share_one_line() -> None:
    records = [diverged(0, ROOT), diverged(1, RATE), diverged(2, ROOT)]
    assert [line.plain for line in cures(records)] == [
        "Why t0000 and t0002 diverged: ε is 0. Set it to 1e-6.",
        "Why t0001 diverged: The rate is too high. Lower it.",
    ]
    tried = replace(ROOT, advice="Set it to 1e-6. With it, that step is finite.")
    for others, said in (((tried,), f" {tried.advice}"), ((ROOT, tried), " Set it to 1e-6.")):
        (line,) = cures(
            [diverged(0, tried), *(diverged(n, one) for n, one in enumerate(others, 1))]
        )
        assert line.plain.endswith(f"diverged: ε is 0.{said}")


def test_many_trials_are_counted_instead_of_listed() -> None:
    (line,) = cures([diverged(number, ROOT) for number in range(7)])
    assert line.plain.startswith("Why t0000 and 6 more diverged:")


def test_a_divergence_that_nobody_looked_into_has_no_line() -> None:
    assert cures([diverged(0, None)]) == []


def test_ranking_of_nnunet_says_how_far_its_pseudo_dice_carries() -> None:
    records = [replace(diverged(0, None), trial_id="t0000")]
    for kinds, told in ((["monai"], False), (["nnunet"], True)):
        out = io.StringIO()
        frame = ranking(records, [])
        summary = Summary(title="x", rows=frame, records=records, kinds=kinds)
        print_results(Console(file=out, width=300), summary)
        assert ("in 65 % of 150 pairs" in out.getvalue()) == told


def test_ranking_is_followed_by_causes_cures_and_what_is_left_out() -> None:
    healthy = TrialRecord(
        trial_id="t0001",
        number=1,
        parameters={},
        history=(EpochMetrics(epoch=0, val_dice=0.9),),
        outcome=Outcome(status=Status.COMPLETED),
    )
    running = replace(healthy, trial_id="t0002", number=2, outcome=None)
    records = [diverged(0, ROOT), healthy, running]
    out = io.StringIO()
    summary = Summary(title="quick", rows=ranking(records, []), records=records)
    print_results(Console(file=out, width=100), summary)
    *_, cause, cure, left_out = out.getvalue().splitlines()
    assert cause == "t0000 diverged: nonfinite gradient at epoch 3 step 0"
    assert cure == "Why t0000 diverged: ε is 0. Set it to 1e-6."
    assert left_out == "Not ranked: 1 unfinished trial."


@pytest.mark.parametrize(
    ("preset", "status", "told"),
    [
        (None, Status.COMPLETED, "(trial t0000; train it alone"),
        (None, Status.PRUNED, "(trial t0000, pruned after 1 epoch; train it alone"),
        ("baseline", Status.COMPLETED, "(trial t0000, the baseline; train it alone"),
    ],
)
def test_last_lines_of_a_sweep_say_what_its_best_is(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    preset: str | None,
    status: Status,
    told: str,
) -> None:
    spec = results_of().spec
    folder = write_sweep(tmp_path / "x", [trial(0, status, [0.5], preset=preset)])
    TerminalView(live=False, table=False).ranked(spec, write_ranking(folder), folder, None)
    assert told in capsys.readouterr().out
