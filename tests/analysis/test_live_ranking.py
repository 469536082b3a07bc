"""The ranking while a sweep runs is, at any moment, the one that would be made from scratch."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.ranking import sweep_state
from sweep.analysis.ranking.ranking_frame import ranking_frame
from sweep.analysis.ranking.sweep_state import (
    LATEST,
    LEAST_SECONDS,
    LiveRanking,
    RankingFile,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Outcome, Status, TrialRecord

FINAL = [status for status in Status if status.is_final]


def trial(number: int, status: Status, *dice: float | None) -> TrialRecord:
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters={"a": number / 4},
        history=tuple(
            EpochMetrics(
                epoch=epoch, val_dice=value, seconds=epoch / 8, metrics={"hd95": epoch / 2}
            )
            for epoch, value in enumerate(dice)
        ),
        outcome=Outcome(status=status, cause=f"cause of {number}"),
        preset="baseline" if number == 1 else None,
    )


@st.composite
def ended(draw: st.DrawFn) -> list[TrialRecord]:
    """Trials in the order in which they end; many of equal Dice, some that never measured one."""
    dice = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])
    numbers = draw(st.permutations(range(draw(st.integers(0, 9)))))
    return [
        trial(number, draw(st.sampled_from(FINAL)), *draw(st.lists(dice, max_size=4)))
        for number in numbers
    ]


@given(records=ended(), objective=st.sampled_from([DICE, Objective("hd95", "min")]))
def test_ranking_kept_as_trials_end_is_the_one_from_scratch(
    objective: Objective, records: list[TrialRecord]
) -> None:
    ranking = LiveRanking()
    records = [replace(record, objective=objective) for record in records]
    for count, record in enumerate(records, start=1):
        ranking.add(record)
        scratch = ranking_frame(records[:count], ["a"])
        assert [one.trial_id for one in ranking.ranked] == list(scratch["trial_id"])
    pd.testing.assert_frame_equal(
        ranking_frame(ranking.ranked, ["a"]), ranking_frame(records, ["a"])
    )


OBJECTIVES = (
    DICE,
    Objective(others=(Objective("hd95", "min"),)),
    Objective(others=(Objective("epochs", "min"),)),
    Objective(others=(Objective("hd95", "max"), Objective("epochs", "min"))),
)


@given(records=ended(), objective=st.sampled_from(OBJECTIVES))
def test_leaders_are_the_first_rows_with_a_value_also_of_several_objectives(
    objective: Objective, records: list[TrialRecord]
) -> None:
    ranking = LiveRanking()
    records = [replace(record, objective=objective) for record in records]
    for count, record in enumerate(records, start=1):
        ranking.add(record)
        frame = ranking_frame(records[:count], [])
        with_dice = list(frame[frame["val_dice"].notna()]["trial_id"])
        assert [one.trial_id for one in ranking.leaders(3)] == with_dice[:3]
        assert ranking.leader is next(iter(ranking.leaders(1)), None)
    latest = [record.trial_id for record in records][-LATEST:]
    assert list(ranking.latest) == (latest if len(records) > LATEST else [])


@pytest.mark.parametrize("objective", OBJECTIVES[1:])
def test_leaders_of_several_objectives_come_from_those_whom_few_beat(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_state, "KEPT_LEADERS", 3)
    rng, ranking, records = Random(5), LiveRanking(), []
    for number in range(150):
        dice = [rng.choice([None, *range(20)]) for _ in range(rng.randrange(5))]
        one = replace(trial(number, rng.choice(FINAL), *dice), objective=objective)
        if dice and one.best:  # outlines that do not follow Dice
            best = replace(one.best, metrics={"hd95": float(rng.randrange(20))})
            one = replace(one, history=[best if e is one.best else e for e in one.history])
        records.append(one)
        ranking.add(one)
        frame = ranking_frame(records, [])
        first = list(frame[frame["best_epoch"].notna()]["trial_id"])
        assert [leader.trial_id for leader in ranking.leaders(3)] == first[:3]
    assert len(ranking._rivals) < 60


def test_live_ranking_keeps_little_of_an_epoch_that_is_not_the_best() -> None:
    ranking = LiveRanking()
    ranking.add(trial(0, Status.COMPLETED, 0.25, 0.5, 0.25))
    [record] = ranking.ranked
    assert [dict(epoch.metrics) for epoch in record.history] == [{}, {"hd95": 0.5}, {}]
    assert sys.getsizeof(record.history[0]) < 400


SPEC = SweepSpec.model_validate(
    {"name": "standing", "space": {"loss.sqrt_epsilon": {"choice": [1e-8, 1e-6]}}}
)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> RankingFile:
    return RankingFile(tmp_path / "ranking.csv", SPEC, clock)


def csv(*records: TrialRecord) -> str:
    return ranking_frame(records, list(SPEC.space), SPEC).to_csv(index=False, lineterminator="\n")


def test_file_follows_the_sweep_every_few_seconds(
    file: RankingFile, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "ranking.csv"
    first, second = trial(0, Status.COMPLETED, 0.5), trial(1, Status.DIVERGED, 0.9)
    file.trial_ended(first)
    assert not path.exists()
    clock.now += LEAST_SECONDS
    file.epoch_reported("t0001", EpochMetrics(epoch=0, val_dice=0.9))
    assert path.read_text() == csv(first)
    file.trial_ended(second)
    assert path.read_text() == csv(first)
    clock.now += LEAST_SECONDS
    file.trial_started("t0002", {})
    assert path.read_text() == csv(first, second)


def test_file_is_not_written_again_where_nothing_ended(
    file: RankingFile, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "ranking.csv"
    file.trial_ended(trial(0, Status.COMPLETED, 0.5))
    clock.now += LEAST_SECONDS
    file.trial_started("t0001", {})
    path.unlink()
    clock.now += LEAST_SECONDS
    file.trial_started("t0002", {})
    assert not path.exists()
