"""When trials were trained, as far as that is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from synthetic import trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.analysis.figures.timeline import Stretch, at_once, stretches, timeline
from sweep.store.files import to_json
from sweep.store.layout import Layout
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Status, TrialRecord

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


def started(folder: Path, trial_id: str, runs: Sequence[dict[str, object]]) -> None:
    Layout(folder).trial(trial_id).provenance.write_text(to_json({"runs": runs}))


@pytest.fixture
def sweep_of_three(tmp_path: Path) -> Results:
    """t0000 trains five epochs of two seconds, the last two after a break; t0001 three beside it,
    after one that was shared; of t0002 nothing is recorded."""
    shared, *own = trial(1, Status.PRUNED, [0.1, 0.2, 0.3, 0.4]).history
    other = replace(trial(1, Status.PRUNED, []), history=(replace(shared, shared=True), *own))
    whole = trial(0, Status.COMPLETED, [0.1, 0.2, 0.3, 0.4, 0.5])
    folder = write_sweep(tmp_path / "x", [whole, other, trial(2, Status.COMPLETED, [0.5])])
    started(
        folder,
        "t0000",
        [
            {"started": "2026-03-01T09:00:00+00:00", "first_epoch": 0},
            {"started": "2026-03-01T10:30:00+00:00", "first_epoch": 3},
        ],
    )
    started(folder, "t0001", [{"started": "2026-03-01T10:00:02+01:00", "first_epoch": 1}])
    started(folder, "t0002", [{"effective": {}}])  # by an older version
    return read_results(folder)


def test_a_run_lasts_as_long_as_its_own_epochs_took(sweep_of_three: Results) -> None:
    found = [
        (one.trial.trial_id, one.start - NINE, one.end - one.start, one.epochs)
        for one in stretches(sweep_of_three, sweep_of_three.records)
    ]
    second = timedelta(seconds=1)
    assert found == [
        ("t0000", 0 * second, 6 * second, range(3)),
        ("t0000", timedelta(hours=1.5), 4 * second, range(3, 5)),
        ("t0001", 2 * second, 6 * second, range(1, 4)),
    ]


def test_start_that_is_no_time_is_told_with_its_file(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [trial(0, Status.COMPLETED, [0.5])])
    started(folder, "t0000", [{"started": "yesterday"}])
    with pytest.raises(ResultsError, match=r"t0000/provenance.json: broken.*yesterday"):
        timeline(read_results(folder))


def test_finding_tells_span_breaks_and_how_many_trained_at_once(sweep_of_three: Results) -> None:
    shown = timeline(sweep_of_three)
    assert shown.finding == (
        "Begun 2026-03-01 09:00 UTC; the last recorded epoch ended 1.5 h later. 16 s of training,"
        " up to 2 trials at once. Trials went on after a break 1 time."
    )
    assert shown.figure is not None
    marked = [t for t in shown.figure.data if t.mode == "markers"]
    ends = {one: at for trace in marked for one, at in zip(trace.ids, trace.x, strict=True)}
    assert ends == {
        "t0000": NINE + timedelta(hours=1.5, seconds=4),
        "t0001": NINE + timedelta(seconds=8),
    }


def test_runs_that_may_only_seem_to_overlap_are_not_called_at_once() -> None:
    def run(record: TrialRecord, start: float, seconds: float) -> Stretch:
        begun = NINE + timedelta(seconds=start)
        return Stretch(record, begun, begun + timedelta(seconds=seconds), range(1))

    one, other = (trial(n, Status.COMPLETED, [0.5]) for n in range(2))
    # Begun at 0.9 and recorded as 0: it ended at 2.9, and the next begun then is recorded as 2.
    assert at_once([run(one, 0, 2.9), run(other, 2, 5)]) == 1
    assert at_once([run(one, 0, 3.1), run(other, 2, 5)]) == 2
    assert at_once([run(one, 0, 0.5)]) == 0


def test_sweep_without_a_recorded_start_has_no_timeline(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [trial(0, Status.COMPLETED, [0.5])])
    shown = timeline(read_results(folder))
    assert (shown.figure, shown.finding) == (None, "No start is recorded.")
