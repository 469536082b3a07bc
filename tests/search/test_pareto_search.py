"""What Optuna's samplers are told of trials with several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from optuna.trial import TrialState

from sweep.engine.decisions.trial_queue import best_of
from sweep.search.searchers.optuna_samplers import gp, tpe
from sweep.search.searchers.pareto_search import ParetoSearch
from sweep.spec.space.distributions import Uniform
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, Status, TrialRecord

THREE = Objective(others=(Objective("hd95", "min"), Objective("epochs", "min")))
SPACE = {"x": Uniform(0.0, 1.0)}


def search() -> ParetoSearch:
    return ParetoSearch(SPACE, 0, tpe(2), 0, THREE)


def record_of(
    number: int, status: Status, epochs: Sequence[tuple[float, float | None]], x: float = 0.5
) -> TrialRecord:
    """A trial with these Dices and distances."""
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters={"x": x},
        history=tuple(
            EpochMetrics(epoch=n, val_dice=dice, metrics={"hd95": distance})
            for n, (dice, distance) in enumerate(epochs)
        ),
        outcome=None if status is Status.RUNNING else Outcome(status=status),
        objective=THREE,
    )


WHOLE = record_of(0, Status.COMPLETED, [(0.5, 4.0), (0.8, 5.0), (0.7, 3.0)])


def told(searcher: ParetoSearch) -> list[tuple[str, list[float] | None, float | None]]:
    return [
        (trial.state.name, trial.values, trial.constraints.get("diverged"))
        for trial in searcher.study.trials
    ]


def test_pruned_trials_count_with_their_point_and_the_highest_cost_diverged_with_the_worst() -> (
    None
):
    searcher = search()
    searcher.tell(WHOLE)
    searcher.tell(record_of(1, Status.PRUNED, [(0.6, 9.0)]))
    searcher.tell(record_of(2, Status.DIVERGED, [(0.9, 1.0)]))
    searcher.tell(record_of(3, Status.FAILED, [(0.9, 1.0)]))
    searcher.tell(record_of(4, Status.COMPLETED, [(0.7, None), (0.6, 2.0)]))
    assert told(searcher) == [
        ("COMPLETE", [0.8, 5.0, 3.0], -1.0),
        ("COMPLETE", [0.6, 9.0, 3.0], -1.0),
        ("COMPLETE", [0.0, 9.0, 3.0], 1.0),
        ("FAIL", None, None),
        ("COMPLETE", [0.7, 9.0, 2.0], -1.0),  # no distance in its best epoch
    ]


def test_trial_that_diverges_before_any_has_a_value_counts_as_running_until_then() -> None:
    searcher = search()
    searcher.tell(record_of(0, Status.DIVERGED, []))
    assert told(searcher) == [("RUNNING", None, None)]
    searcher.tell(record_of(1, Status.COMPLETED, [(0.8, 5.0)]))
    assert told(searcher)[0] == ("COMPLETE", [0.0, 5.0, 1.0], 1.0)


def test_trial_at_a_rung_counts_with_its_point_there() -> None:
    searcher = search()
    searcher.tell(WHOLE)
    searcher.tell(record_of(1, Status.RUNNING, []))
    assert told(searcher)[1][0] == TrialState.RUNNING.name
    searcher.judge(1, 1, (0.6, -7.0, -1.0))
    assert told(searcher)[1] == ("COMPLETE", [0.6, 7.0, 3.0], -1.0)


@pytest.mark.parametrize("method", [tpe(4), gp(4)], ids=["tpe", "gp"])
def test_search_comes_nearer_to_the_front_than_random_draws_do(method: object) -> None:
    """Dice is best at x = 0.8, the distance at x = 0.7: between them nothing beats anything."""
    searcher = ParetoSearch(SPACE, 1, method, 0, Objective(others=THREE.others[:1]))  # type: ignore[arg-type]
    asked = []
    for number in range(16):
        x = float(searcher.ask(number)["x"])  # type: ignore[arg-type]
        asked.append(x)
        point = (1 - abs(x - 0.8), 10 * abs(x - 0.7))
        searcher.tell(
            TrialRecord(
                trial_id=f"t{number:04d}",
                number=number,
                parameters={"x": x},
                history=(EpochMetrics(epoch=0, val_dice=point[0], metrics={"hd95": point[1]}),),
                outcome=Outcome(status=Status.COMPLETED),
                objective=Objective(others=THREE.others[:1]),
            )
        )
    late = asked[8:]
    assert sum(0.55 <= x <= 0.95 for x in late) >= 5  # 3.2 of 8 random draws


def test_best_earlier_configurations_come_front_by_front_and_none_is_cheap_as_it_was_pruned() -> (
    None
):
    records = [
        record_of(0, Status.COMPLETED, [(0.6, 9.0)], x=0.0),
        record_of(1, Status.COMPLETED, [(0.7, 3.0)], x=0.1),
        record_of(2, Status.COMPLETED, [(0.9, 8.0)], x=0.2),
        record_of(3, Status.FAILED, [(0.99, 0.1)], x=0.3),
        record_of(4, Status.PRUNED, [(0.8, 0.1)], x=0.4),
    ]
    assert [found["x"] for found in best_of(records, 4)] == [0.2, 0.1, 0.0, 0.4]
