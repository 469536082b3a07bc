"""Which pack gets which trial, and whom a dead process is blamed on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.decisions.faults import RETRIES
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.packs.pack_sizes import PackSizes
from sweep.engine.packs.trial_placement import STEPS_WITHOUT_TRIALS, TrialPlacement
from sweep.search.schedulers.decision import Decision
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

DIED = "The actor died unexpectedly before finishing this task."
NODE = "The actor died because its node has died. Node Id: 1"
PREEMPTED = f"{NODE}\n\tthe actor's node was preempted: the spot instance was taken back"
MEMORY = Outcome(status=Status.FAILED, cause="OutOfMemoryError: CUDA out of memory. Tried …")
COMPLETED = Outcome(status=Status.COMPLETED)


class Trials:
    """A controller of trials that train a number of epochs each; nobody is pruned."""

    def __init__(self, count: int, waiting: int = 0) -> None:
        self.queue = deque(Path(f"t{number:04}") for number in range(count))
        self.ends: dict[str, Outcome] = {}
        self.epochs: dict[str, int] = {}
        self.paused: set[str] = set()
        self.waiting = waiting
        self.finished = False

    def next_trial(self) -> Path | None:
        return self.queue.popleft() if self.queue else None

    def hand_back(self, trial_id: str) -> None:
        self.queue.appendleft(Path(trial_id))

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        self.epochs[trial_id] = max(self.epochs.get(trial_id, 0), metrics.epoch + 1)
        return Decision.PAUSE if trial_id in self.paused else Decision.CONTINUE

    def end(self, trial_id: str, outcome: Outcome) -> None:
        assert trial_id not in self.ends
        self.ends[trial_id] = outcome


def placement(trials: Trials, size: int, most: int | None = None) -> TrialPlacement:
    return TrialPlacement(cast(SweepController, trials), PackSizes(size), most)


def epoch(number: int) -> Sequence[EpochMetrics]:
    return [EpochMetrics(epoch=number, val_dice=0.5)]


def test_trials_are_spread_over_the_packs() -> None:
    placed = placement(Trials(5), 4)
    assert placed.open("a")
    assert placed.open("b")
    placed.fill()
    assert [len(placed.trials(name)) for name in "ab"] == [3, 2]
    assert not placed.open("c")


def test_no_more_trials_run_than_may_and_than_fit() -> None:
    placed = placement(Trials(9), 4, most=6)
    assert placed.open("a")
    placed.fill()
    assert len(placed.trials("a")) == 4
    assert placed.open("b")
    placed.fill()
    assert len(placed.trials("b")) == 2
    assert not placed.open("c")


def test_trial_that_ends_or_pauses_gives_its_place_to_the_next() -> None:
    trials = Trials(4)
    placed = placement(trials, 2)
    placed.open("a")
    placed.fill()
    trials.paused.add("t0001")
    messages = [("t0000", COMPLETED), ("t0001", epoch(0))]
    assert placed.report("a", messages) == ["t0001"]  # the other has left by itself
    assert placed.fill() == [("a", Path("t0002")), ("a", Path("t0003"))]
    assert trials.ends == {"t0000": COMPLETED}


def test_pack_without_trials_stays_while_trials_wait_for_a_warmup_and_a_while_longer() -> None:
    trials = Trials(0, waiting=1)
    placed = placement(trials, 2)
    assert placed.open("a")
    assert not placed.open("b")  # which would be one more than trials that wait
    for _ in range(2 * STEPS_WITHOUT_TRIALS):
        assert not placed.is_over("a")
    trials.waiting = 0
    assert placed.is_over("a")
    assert not placed.open("b")


def test_pack_without_trials_ends_with_the_sweep_and_not_as_soon_as_all_trials_pause() -> None:
    trials = Trials(1)
    placed = placement(trials, 2)
    placed.open("a")
    trials.paused.add("t0000")
    placed.report("a", [("t0000", epoch(0))])
    steps = [placed.is_over("a") for _ in range(STEPS_WITHOUT_TRIALS + 1)]
    assert steps == [False] * STEPS_WITHOUT_TRIALS + [True]
    trials.hand_back("t0000")
    assert [name for name, _ in placed.fill()] == ["a"]
    assert not placed.is_over("a")
    placed.report("a", [("t0000", COMPLETED)])
    trials.finished = True
    assert placed.is_over("a")


def test_process_without_a_trial_takes_one_that_waits_for_a_process() -> None:
    placed = placement(Trials(3), 1)
    for name in "abc":
        assert placed.open(name)
    placed.start("b")
    placed.report("b", [("t0001", COMPLETED)])
    assert placed.fill() == [("b", Path("t0000"))]
    placed.report("b", [("t0000", COMPLETED)])
    assert placed.fill() == [("b", Path("t0002"))]  # though "a", without one, is the older
    assert placed.start("a") == placed.start("c") == []


def test_trials_of_a_process_that_does_not_start_go_to_another_one_by_one() -> None:
    trials = Trials(6)
    placed = placement(trials, 3)
    for name in "ab":
        placed.open(name)
    placed.fill()
    placed.start("a")
    ends = [(name, COMPLETED) for name in placed.trials("a")]
    placed.report("a", ends)
    given = placed.fill()
    while given:
        assert [name for name, _ in given] == ["a"]
        assert placed.trials("a") == (given[0][1].name,)
        placed.report("a", [(given[0][1].name, COMPLETED)])
        given = placed.fill()
    assert len(trials.ends) == 6


def test_spoilt_pack_trains_its_trials_to_the_end_and_takes_no_further_one() -> None:
    trials = Trials(3, waiting=1)
    placed = placement(trials, 2)
    placed.open("a")
    placed.fill()
    placed.note("a", card=None, spoilt=True, refused=["t0001"])
    assert placed.trials("a") == ("t0000",)
    assert placed.fill() == []
    assert not placed.is_over("a")
    placed.report("a", [("t0000", COMPLETED)])
    assert placed.is_over("a")
    assert [path.name for path in trials.queue] == ["t0001", "t0002"]


# A process that dies.


class Packs:
    """Packs that train to the end, one after the other; some trials kill them or lack memory."""

    def __init__(self, count: int, size: int, killers: set[str], hungry: set[str]) -> None:
        self.trials = Trials(count)
        self.placed = placement(self.trials, size)
        self.killers, self.hungry = killers, hungry
        self.deaths_beside: list[tuple[str, ...]] = []
        self.opened = 0

    def run(self, epochs: int = 3) -> None:
        while self.placed.open(name := f"pack{self.opened}"):
            self.opened += 1
            self.placed.fill()
            while not self.placed.is_over(name):
                if not self._step(name, epochs):
                    break
                self.placed.fill()
            else:
                self.placed.close(name)

    def _step(self, name: str, epochs: int) -> bool:
        together = self.placed.trials(name)
        messages: list[tuple[str, Sequence[EpochMetrics] | Outcome]] = []
        for trial_id in together:
            done = self.trials.epochs.get(trial_id, 0)
            if trial_id in self.killers and done == 1:
                self.deaths_beside.append(together)
                self.placed.lost(name, [DIED])
                return False
            if trial_id in self.hungry and done == 1 and len(together) > 1:
                messages.append((trial_id, MEMORY))
            else:
                messages.append((trial_id, epoch(done) if done < epochs else COMPLETED))
        self.placed.report(name, messages)
        return True


@given(
    st.integers(1, 9),
    st.integers(2, 5),
    st.sets(st.integers(0, 8), max_size=3),
    st.sets(st.integers(0, 8), max_size=2),
)
def test_only_trials_that_kill_their_process_alone_fail(
    count: int, size: int, killing: set[int], greedy: set[int]
) -> None:
    killers = {f"t{number:04}" for number in killing if number < count}
    packs = Packs(count, size, killers, {f"t{number:04}" for number in greedy} - killers)
    packs.run()
    ends = packs.trials.ends
    assert len(ends) == count
    assert {name for name, end in ends.items() if end.status is Status.FAILED} == killers
    for killer in killers:
        assert ends[killer].cause.startswith(f"its worker died {RETRIES + 1} times")
        alone = [beside for beside in packs.deaths_beside if beside == (killer,)]
        assert len(alone) in (RETRIES, RETRIES + 1)  # with or without a first one beside others
    innocent = set(ends) - killers
    assert all(packs.trials.epochs[name] == 3 for name in innocent)


def test_trial_in_whose_turn_a_file_could_not_be_read_is_alone_to_blame() -> None:
    trials = Trials(3)
    placed = placement(trials, 3)
    placed.open("a")
    placed.fill()
    fault = "Traceback (most recent call last):\n  …\nOSError: [Errno 5] Input/output error\n"
    placed.lost("a", [fault], "t0001")
    for name in "bc":
        placed.open(name)
        assert placed.trials(name) == ("t0001",)
        placed.fill()
        assert placed.trials(name) == ("t0001",)
        placed.lost(name, [fault])
    assert trials.ends["t0001"].cause == "OSError: [Errno 5] Input/output error"
    placed.open("d")
    placed.fill()
    assert set(placed.trials("d")) == {"t0000", "t0002"}


def assert_all_retries_are_left(trials: Trials, placed: TrialPlacement) -> None:
    """The trial t0001, alone in the pack b, fails by its third death from now on."""
    for before, name in pairwise("bcde"):
        assert "t0001" not in trials.ends
        placed.lost(before, [DIED])
        placed.open(name)
    assert trials.ends["t0001"].cause.startswith(f"its worker died {RETRIES + 1} times")


def test_process_that_dies_as_it_takes_on_a_trial_costs_it_no_retry_once_it_has_trained() -> None:
    trials = Trials(2)
    placed = placement(trials, 1)
    placed.open("a")
    placed.report("a", [("t0000", COMPLETED)])
    assert placed.fill() == [("a", Path("t0001"))]
    placed.lost("a", [DIED])  # perhaps of what the first one left behind
    placed.open("b")
    placed.report("b", [("t0001", epoch(0))])
    assert_all_retries_are_left(trials, placed)


def test_it_costs_no_retry_either_if_the_trial_came_from_a_process_that_had_not_started() -> None:
    trials = Trials(2)
    placed = placement(trials, 1)
    for name in "ab":
        placed.open(name)
    placed.start("a")
    placed.report("a", [("t0000", COMPLETED)])
    assert placed.fill() == [("a", Path("t0001"))]
    placed.lost("a", [DIED])
    assert placed.fill() == [("b", Path("t0001"))]
    placed.report("b", [("t0001", epoch(0))])
    assert_all_retries_are_left(trials, placed)


def test_trial_that_pauses_after_an_epoch_alone_is_no_longer_suspected() -> None:
    trials = Trials(2)
    placed = placement(trials, 2)
    placed.open("a")
    placed.fill()
    placed.lost("a", [DIED])
    trials.paused.add("t0000")
    for name in "bc":
        placed.open(name)
    placed.report("b", [("t0000", epoch(0))])
    placed.report("c", [("t0001", COMPLETED)])
    trials.paused.clear()
    trials.hand_back("t0000")
    for name in "bcd":
        assert "t0000" not in trials.ends
        placed.open(name)
        placed.fill()
        placed.lost(name, [DIED])
    assert trials.ends["t0000"].cause.startswith(f"its worker died {RETRIES + 1} times")


def test_trial_that_kills_every_process_that_takes_it_on_fails_in_the_end() -> None:
    trials = Trials(2)
    placed = placement(trials, 1)
    placed.open("a")
    placed.report("a", [("t0000", COMPLETED)])
    placed.fill()
    for before, name in pairwise("abc"):
        placed.lost(before, [DIED])
        assert placed.open(name)
    placed.lost("c", [DIED])
    assert trials.ends["t0001"].cause.startswith(f"its worker died {RETRIES + 1} times")


def test_trial_that_trained_alone_keeps_its_process_unless_others_must_be_alone_too() -> None:
    trials = Trials(2)
    placed = placement(trials, 2)
    placed.open("a")
    placed.fill()
    placed.lost("a", [DIED])
    placed.open("b")
    assert placed.report("b", [("t0000", epoch(0))]) == ["t0000"]
    assert placed.fill() == [("b", Path("t0001"))]
    assert placed.report("b", [("t0001", epoch(0))]) == []
    assert placed.fill() == [("b", Path("t0000"))]


def test_trial_makes_way_for_no_other_suspect_where_every_trial_is_alone_anyway() -> None:
    placed = placement(Trials(3), 1)
    for name in "abc":
        placed.open(name)
    for name in "ab":
        placed.lost(name, [DIED])
    placed.report("c", [("t0002", COMPLETED)])
    assert placed.fill() == [("c", Path("t0000"))]
    assert placed.report("c", [("t0000", epoch(0))]) == []
    assert placed.report("c", [("t0000", COMPLETED)]) == []
    assert placed.fill() == [("c", Path("t0001"))]


def test_trials_of_a_lost_node_are_suspected_only_the_second_time() -> None:
    placed = placement(Trials(2), 2)
    for name, together in (("a", 2), ("b", 2), ("c", 1)):
        placed.open(name)
        placed.fill()
        assert len(placed.trials(name)) == together
        placed.lost(name, [NODE])


def test_node_that_is_preempted_counts_against_no_trial_however_often() -> None:
    trials = Trials(1)
    placed = placement(trials, 1)
    for number in range(2 * RETRIES):
        assert placed.open(str(number))
        placed.lost(str(number), [PREEMPTED])
    assert not trials.ends


def test_lack_of_memory_beside_others_makes_the_packs_smaller() -> None:
    trials = Trials(4)
    placed = placement(trials, 3)
    placed.open("a")
    placed.fill()
    placed.report("a", [("t0000", epoch(0)), ("t0001", MEMORY), ("t0002", epoch(0))])
    assert placed.fill() == []
    assert placed.trials("a") == ("t0000", "t0002")
    placed.report("a", [("t0000", COMPLETED), ("t0002", COMPLETED)])
    assert placed.fill() == [("a", Path("t0001"))]  # alone
    placed.report("a", [("t0001", MEMORY)])
    assert trials.ends["t0001"] is MEMORY


def test_smallest_pack_is_emptied_for_a_trial_that_must_be_alone() -> None:
    trials = Trials(9)
    placed = placement(trials, 3)
    for name in "ab":
        assert placed.open(name)
    placed.fill()
    assert placed.report("a", [("t0000", MEMORY)]) == []
    placed.fill()
    for trial_id in placed.trials("a"):
        placed.report("a", [(trial_id, COMPLETED)])
        placed.report("b", [(placed.trials("b")[0], COMPLETED)])
        placed.fill()
    assert placed.trials("a") == ("t0000",)
    assert len(placed.trials("b")) == 2  # one less than did not fit this card
