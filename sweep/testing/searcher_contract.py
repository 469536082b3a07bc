"""What every searcher promises, whatever its method."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from sweep.search.searchers.searcher import Searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import drawn_in, lies_in
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord

TRIALS = 28
ENDS: tuple[tuple[float | None, ...], ...] = ((), (None,), (math.nan, 0.3), (0.0, 0.9, 0.5))
"""Validation Dice of each epoch of a trial, of which some say nothing."""


class SearcherContract:
    """Subclass it, and set ``make`` to the searcher's class.

    A function has to be wrapped: ``make = staticmethod(my_searcher)``. Options are bound with
    `functools.partial`.
    """

    make: Callable[[Mapping[str, Distribution], int], Searcher]
    """Of the space by dotted name, and the seed; as the sweep calls it."""
    space: ClassVar[Mapping[str, Any]] = {
        "loss.sqrt_epsilon": {"choice": [0, 0.0, 1e-8, 1e-4]},
        "early_stopping.patience": {"choice": [4, 8]},
        "loss.warmup_epochs": {"randint": [2, 5]},
        "data.count": {"lograndint": [5, 100]},
        "loss.weights.compactness": {"loguniform": [1e-3, 1]},
        "network.dropout": {"uniform": [0.0, 0.5]},
        "optimizer.momentum": {"quniform": [0.1, 0.9, 0.1]},
    }
    """What is searched, as in a sweep's file; more than 28 configurations."""

    def made(self, space: Mapping[str, Any] | None = None) -> Searcher:
        """A new searcher, always with the same seed."""
        return self.make(self.distributions(space), 7)

    def distributions(self, space: Mapping[str, Any] | None = None) -> dict[str, Distribution]:
        """The space as the sweep gives it to a searcher."""
        values = {"name": "contract", "replay_patience": False, "space": space or self.space}
        return SweepSpec.model_validate(values).drawn

    def uninterrupted(self) -> list[TrialRecord]:
        """The trials of a sweep that nobody has interrupted."""
        return sweep(self.made(), range(TRIALS))

    def test_proposals_lie_in_the_space_with_its_keys_and_exact_types(self) -> None:
        space = self.distributions()
        for record in self.uninterrupted():
            assert list(record.parameters) == drawn_in(space, record.parameters)
            assert lies_in(space, record.parameters)
            for key, value in record.parameters.items():
                assert space[key].contains(value), (key, value)
                assert type(value) in (bool, int, float, str, tuple, type(None))

    def test_same_seed_proposes_the_same_and_proposals_differ_among_themselves(self) -> None:
        once, again = self.uninterrupted(), sweep(self.made(), range(TRIALS))
        assert [exact(a.parameters) for a in once] == [exact(b.parameters) for b in again]
        assert len({exact(record.parameters) for record in once}) > 20

    def test_resumed_search_goes_on_bit_for_bit_like_the_uninterrupted_one(self) -> None:
        records = self.uninterrupted()
        for interrupted_at in (3, 11, 24):
            resumed = self.made()
            for record in records[:interrupted_at]:
                resumed.tell(record)
            rest = sweep(resumed, range(interrupted_at, TRIALS))
            expected = [exact(record.parameters) for record in records[interrupted_at:]]
            assert [exact(record.parameters) for record in rest] == expected, interrupted_at

    def test_resumed_concurrent_search_knows_the_trials_that_still_run(self) -> None:
        original, events, running = self.made(), list[TrialRecord](), list[TrialRecord]()
        begun = 0
        for interrupted_at in (4, 17, 25):
            three_at_a_time(original, running, range(begun, interrupted_at), events)
            resumed, still_running = self.made(), list(running)
            for event in events:
                resumed.tell(event)
            begun = min(interrupted_at + 6, TRIALS)
            rest = range(interrupted_at, begun)
            expected = three_at_a_time(original, running, rest, events)
            assert three_at_a_time(resumed, still_running, rest, []) == expected, interrupted_at

    def test_asking_again_before_telling_repeats_the_answer(self) -> None:
        searcher = self.made()
        sweep(searcher, range(8))
        assert exact(searcher.ask(8)) == exact(searcher.ask(8))

    def test_every_end_can_be_told_twice_and_the_search_goes_on(self) -> None:
        for status in Status:
            for dice in ENDS:
                searcher = self.made()
                for number in range(7):
                    parameters = searcher.ask(number)
                    assert parameters is not None
                    searcher.tell(record_of(number, parameters, status, *dice))
                    searcher.tell(record_of(number, parameters, status, *dice))
                assert searcher.ask(7) is not None, (status, dice)

    def test_search_of_one_value_has_one_answer(self) -> None:
        searcher = self.made({"loss.sqrt_epsilon": {"choice": [0]}})
        for number in range(12):
            proposed = searcher.ask(number)
            if proposed is None:  # it says that the space has no more configurations
                assert number > 0
                break
            assert exact(proposed) == "{'loss.sqrt_epsilon': 0}"
            searcher.tell(record_of(number, proposed, Status.COMPLETED, 0.5))


def record_of(
    number: int,
    parameters: Mapping[str, ParameterValue],
    status: Status = Status.COMPLETED,
    *dice: float | None,
) -> TrialRecord:
    """A trial with this validation Dice in its epochs."""
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters,
        history=tuple(EpochMetrics(epoch=i, val_dice=value) for i, value in enumerate(dice)),
        outcome=Outcome(status=status) if status.is_final else None,
    )


def toy_result(number: int, parameters: Mapping[str, ParameterValue]) -> TrialRecord:
    """A result that depends on the parameters, of every status in turn."""
    statuses = [status for status in Status if status.is_final]
    level = zlib.crc32(exact(parameters).encode()) / 2**32
    return record_of(number, parameters, statuses[number % 5], level / 2, None, level, math.nan)


def exact(parameters: Mapping[str, ParameterValue] | None) -> str:
    """Text that differs where a type or a last bit does."""
    return repr(parameters)


def sweep(searcher: Searcher, numbers: range) -> list[TrialRecord]:
    """One trial after the other."""
    records = []
    for number in numbers:
        parameters = searcher.ask(number)
        assert parameters is not None
        records.append(toy_result(number, parameters))
        searcher.tell(records[-1])
    return records


def three_at_a_time(
    searcher: Searcher, running: list[TrialRecord], numbers: range, events: list[TrialRecord]
) -> list[str]:
    """Proposals of trials that overlap: the oldest ends first. What happens goes to ``events``."""
    asked = []
    for number in numbers:
        if len(running) == 3:
            oldest = running.pop(0)
            events.append(toy_result(oldest.number, oldest.parameters))
            searcher.tell(events[-1])
        parameters = searcher.ask(number)
        assert parameters is not None
        running.append(record_of(number, parameters, Status.RUNNING))
        events.append(running[-1])
        asked.append(exact(parameters))
    return asked
