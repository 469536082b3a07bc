"""How many trials share a GPU: the number of the file, or what ``auto`` finds out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sweep.store.packing import CardPacking, Measurement

LEAST_GAIN = 1.05
"""Twice as many trials must train this many times as many steps a second, or they do not pay."""
RESERVE = 0.1
"""Share of a card's memory that stays free."""
WINDOWS = 3
"""Windows measured for each number of trials. Their median counts, so one that was disturbed does
not.

If all windows are off by 5 % (standard deviation, normal), a number of trials that brings nothing
is taken in 14 % of cases, which costs memory and no time. One that brings a quarter more is missed
in less than 0.1 % (simulated in ``tests/engine/test_pack_sizes.py``)."""
SECONDS_OF_A_WINDOW = 4.0
"""Least length of a window. It is longer where fewer epochs than trials have ended in it."""
MOST = 32
"""No more trials on a GPU are tried than this."""

Known = Mapping[str, CardPacking]
"""What is known of each kind of card, by its name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of trials for one card.

    Args:
        trials: the best number that was measured.
        following: the number to measure next; None: the choice is final.
        why: why no larger number was chosen, if it is final.
    """

    trials: int
    following: int | None = None
    why: str = ""

    @property
    def now(self) -> int:
        return self.following or self.trials


def choose(measured: Sequence[Measurement], memory: int) -> Choice:
    """Double the number of trials as long as that fits and pays.

    Steps of trials whose geometric loss is on take longer than those of a warm-up. The measurements
    do not correct for that, so one number may have had the longer ones.

    It fits if the next number is expected to leave `RESERVE` of the memory free. It pays if it
    trains at least `LEAST_GAIN` times the steps a second of the number before.

    Args:
        measured: of one trial, two, four and so on.
        memory: of the card, in bytes.
    """
    if not measured:
        return Choice(1, 1)
    last = measured[-1]
    if len(measured) > 1:
        before = measured[-2]
        gain = last.rate / before.rate
        if gain < LEAST_GAIN:
            why = f"{last.trials} gave {gain:.2f} times the steps of {before.trials}"
            return Choice(before.trials, None, why)
    following, needed = 2 * last.trials, _expected_memory(measured)
    if needed > (1 - RESERVE) * memory:
        why = f"{following} would need {gib(needed)} of {gib(memory)} GiB"
        return Choice(last.trials, None, why)
    if following > MOST:
        return Choice(last.trials, None, "more are not tried")
    return Choice(last.trials, following)


def _expected_memory(measured: Sequence[Measurement]) -> int:
    """Of twice as many trials as were measured last, each as large as the last ones."""
    last = measured[-1].memory
    if len(measured) == 1:
        return 2 * last
    return last + 2 * max(0, last - measured[-2].memory)


def gib(memory: float) -> str:
    return f"{memory / 2**30:.1f}"


@dataclass(slots=True)
class _Card:
    """A kind of card that is being measured.

    Args:
        memory: bytes that it has.
        measured: of the numbers of trials so far.
        rates: of the number that is measured now.
        peak: largest use of its memory so far.
        choice: by what is known now.
    """

    memory: int = 0
    measured: list[Measurement] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    peak: int = 0
    choice: Choice = field(default_factory=lambda: choose((), 0))


@dataclass(slots=True)
class _Window:
    """What one pack has trained since its window began.

    Args:
        trials: their number. Which they are may change: that trials end and begin is part of what
            a pack does.
        counts: whether it is measured. The first one with this number, in which the new trials
            compile and fill caches, is not.
        seconds, epochs, steps: so far, of all trials.
    """

    trials: int
    counts: bool = False
    seconds: float = 0.0
    epochs: int = 0
    steps: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it is long enough, and its trials have finished an epoch each on average."""
        return self.seconds >= SECONDS_OF_A_WINDOW and self.epochs >= self.trials


@dataclass(frozen=True, slots=True)
class Packing:
    """Where `PackSizes` keeps and says what it finds out.

    Args:
        known: what an earlier session has saved.
        save: called with all that is known when a number is final.
        say: called with a sentence for the user.
    """

    known: Known = field(default_factory=dict)
    save: Callable[[Known], object] = lambda _: None
    say: Callable[[str], object] = lambda _: None


SILENT = Packing()


class PackSizes:
    """How many trials a pack may have, by the name of its card.

    Args:
        asked: the setting ``resources.trials_per_gpu``.
        packing: keeps and says what is found out.
    """

    def __init__(self, asked: int | Literal["auto"], packing: Packing = SILENT) -> None:
        self._asked = asked
        self._packing = packing
        self._known = dict(packing.known)
        self._most: dict[str | None, int] = {}  # where more ran out of memory
        self._cards: dict[str, _Card] = {}
        self._windows: dict[str, _Window] = {}

    @property
    def largest(self) -> int:
        """Largest number of trials in a pack, as far as it is known."""
        if self._asked != "auto":
            return self._asked
        return max((card.trials for card in self._known.values()), default=1)

    def of(self, card: str | None) -> int:
        """Largest number of trials on a card; None: not known yet, or no GPU."""
        most = self._most.get(card, MOST)
        if self._asked != "auto":
            return min(most, self._asked)
        if card is None:
            return 1
        if card in self._known:
            return min(most, self._known[card].trials)
        return min(most, self._measuring(card).choice.now)

    def too_many(self, card: str | None, trials: int) -> None:
        """One of so many trials ran out of memory: one less is the most from now on."""
        most = max(1, trials - 1)
        if most >= self.of(card):
            return
        self._most[card] = most
        why = f"one of {trials} ran out of memory"
        if self._asked != "auto" or card is None:
            self._packing.say(f"At most {most} trials at a time on a GPU from now on: {why}.")
        elif card in self._known:
            self._decide(card, CardPacking(most, why, self._known[card].memory))
        else:
            found = self._measuring(card)
            fitting = (one.trials for one in found.measured if one.trials <= most)
            best = max(fitting, default=1)
            self._decide(card, CardPacking(best, why, found.memory, tuple(found.measured)))

    def observe(
        self,
        pack: str,
        card: str,
        trials: int,
        trained: Sequence[int],
        seconds: float,
        memory: tuple[int, int],
    ) -> None:
        """Measure what a pack has trained since it was last observed.

        Args:
            trials: number of its trials.
            trained: the steps of each epoch that one of them has finished.
            seconds: wall time.
            memory: used and total bytes of the card.
        """
        if self._asked != "auto" or card in self._known:
            return
        found = self._measuring(card)
        found.memory, found.peak = memory[1], max(found.peak, memory[0])
        if trials != self.of(card):
            self._windows.pop(pack, None)
            return
        window = self._windows.get(pack)
        if window is None or window.trials != trials:
            window = self._windows[pack] = _Window(trials)
        window.seconds += seconds
        window.epochs += len(trained)
        window.steps += sum(trained)
        if not window.is_full:
            return
        if window.counts and window.steps:
            found.rates.append(window.steps / window.seconds)
        self._windows[pack] = _Window(trials, counts=True)
        if len(found.rates) >= WINDOWS:
            self._next(card, Measurement(trials, tuple(found.rates), found.peak))

    def _measuring(self, card: str) -> _Card:
        return self._cards.setdefault(card, _Card())

    def _next(self, card: str, measurement: Measurement) -> None:
        """Go on to the next number of trials, or decide."""
        found = self._cards[card]
        found.measured.append(measurement)
        found.rates.clear()
        found.choice = choice = choose(found.measured, found.memory)
        if choice.following is None:
            measured = tuple(found.measured)
            self._decide(card, CardPacking(choice.trials, choice.why, found.memory, measured))

    def _decide(self, card: str, decided: CardPacking) -> None:
        self._known[card] = decided
        self._packing.save(self._known)
        self._packing.say(_sentence(card, decided))


def _sentence(card: str, decided: CardPacking) -> str:
    count = decided.trials
    text = f"{count} trial{'s' * (count > 1)} per GPU ({card}): {decided.why}"
    for one in decided.measured:
        if one.trials == count:
            needs = "needs" if count == 1 else "need"
            text += f"; {count} {needs} {gib(one.memory)} of {gib(decided.memory)} GiB"
    return f"{text}."
