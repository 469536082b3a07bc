"""How many trials a sweep comes to, replicates included, is exact once its search has ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from synthetic import SWEEP_YAML, diverged_at, results_of, trial

from sweep.analysis.ranking.finalists import Planned, finalists
from sweep.spec.search.replicate_plan import blocks, most_replicates
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, Status, TrialRecord

CONFIRM = SWEEP_YAML.replace("space:", "confirm: {{top: 2, seeds: 3}}\nspace:")


@given(
    # Equal ones are common where the warm-up is shared and the best epoch lies in it.
    st.lists(st.sampled_from([None, 0.5, 0.6, 0.7]), min_size=1, max_size=7),
    st.lists(st.integers(0, 2), min_size=7, max_size=7),
)
def test_planned_trials_are_an_upper_bound_and_then_those_of_the_finalists(
    scores: list[float | None], drawn: list[int]
) -> None:
    records = [
        trial(
            number,
            Status.COMPLETED if dice else diverged_at(0),
            [dice or 0.9],
            {} if number == 0 else {"loss.warmup_epochs": drawn[number]},
            "baseline" if number == 0 else None,
        )
        for number, dice in enumerate(scores)
    ]
    spec = results_of(*records, yaml=CONFIRM).spec
    planned = Planned(spec)
    for record in records:
        assert planned.total == spec.trials + most_replicates(spec)
        planned.add(record)
    assert planned.total == spec.trials + len(finalists(spec, records)) * len(blocks(spec))


def test_race_of_several_objectives_is_among_the_finalists_by_fronts() -> None:
    """The second by Dice is beaten by the first in both objectives, the third in one only."""
    objective = Objective(others=(Objective("nsd", "max"),))
    records = [
        TrialRecord(
            trial_id=f"t{number:04d}",
            number=number,
            parameters={"loss.warmup_epochs": number},
            history=(EpochMetrics(epoch=0, val_dice=dice, metrics={"nsd": nsd}),),
            outcome=Outcome(status=Status.COMPLETED),
            objective=objective,
        )
        for number, (dice, nsd) in enumerate([(0.9, 0.6), (0.8, 0.5), (0.7, 0.9)])
    ]
    spec = results_of(*records, yaml=CONFIRM.replace("seeds: 3", "seeds: 5")).spec
    spec = spec.model_copy(update={"trials": len(records), "presets": ()})
    planned = Planned(spec)
    for record in records:
        planned.add(record)
    assert planned.race is not None
    assert planned.race.running == ("t0000", "t0002")
