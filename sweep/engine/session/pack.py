"""Several trials in training in one process, in turn: a pack."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.engine.decisions.faults import is_infrastructure, is_ordered_end
from sweep.engine.session.train_trial import Message, Training, left_behind, next_message, next_turn
from sweep.vocabulary.record import Outcome

if TYPE_CHECKING:
    from sweep.trial.process_state import CleanProcess
    from sweep.trial.process_turns import OwnProcess, Turns


@dataclass(slots=True)
class _Member:
    training: Training
    own: OwnProcess | None


class Pack:
    """Trains several trials in one thread, each from one of its pauses to the next.

    Each trial finds the process as it left it, so its numbers are those that it has alone.

    Args:
        clean: the process before its first trial, of `clean_process`; None if it could not be
            recorded, because what all trials import cannot be imported.
        in_worker: nothing but its trials runs in this process. What appears between their turns is
            then theirs, too.

    Attributes:
        spoilt: what trials that have ended did to the process and cannot be undone, in sentences.
            The pack then trains its trials to their ends, and must be given no further one.
        turn: name of the trial whose turn it is. After `step` has raised, it is that trial's error.
    """

    def __init__(self, clean: CleanProcess | None, *, in_worker: bool = False) -> None:
        self._clean = clean
        self._in_worker = in_worker
        self._members: dict[str, _Member] = {}
        self._said: list[tuple[str, Message]] = []
        self._found: Mapping[str, Any] | None = None  # once modules of users were run again
        self.spoilt: tuple[str, ...] = ()
        self.turn: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the trials in training, in the order of their turns."""
        return tuple(self._members)

    def add(self, name: str, training: Training) -> None:
        """Take up a trial, which has its first turn in the next `step`."""
        assert name not in self._members, f"{name} is in training already"
        own = None
        if self._clean is not None:
            from sweep.trial.process_turns import OwnProcess

            own = OwnProcess(self._clean, self._found)
            if self._members:
                own.take_own_stream()
        self._members[name] = _Member(training, own)

    def drop(self, name: str) -> None:
        """Close a trial, unless it has ended, and undo what it did to the process."""
        if name in self._members:
            with self._round() as turns:
                self._remove(name, turns)

    def close(self) -> None:
        """Drop all trials."""
        for name in self.names:
            self.drop(name)

    def step(
        self, raises: Callable[[BaseException], bool] = is_infrastructure
    ) -> list[tuple[str, Message]]:
        """Give each trial its turn. One that is alone has turns until it reports something.

        An exception of a trainer, or a lack of memory, is the end of its own trial. A trial that
        has ended is dropped before the next one has its turn.

        Args:
            raises: whether an exception is not the trainer's, and is raised; see `turn`. Its trial
                is dropped too. The next call begins with the messages from before it.
        Returns:
            what the trials report, by their names, in the order of their turns.
        """
        others = len(self._members) - 1
        with self._round() as turns:
            for name in self.names:
                self.turn, member = name, self._members[name]
                try:
                    with _turn(turns, member):
                        if others:
                            message = next_turn(member.training, raises, others)
                        else:
                            message = next_message(member.training, raises)
                except BaseException:
                    self._remove(name, turns)
                    raise
                if isinstance(message, Outcome):
                    self._remove(name, turns)
                if message:
                    self._said.append((name, message))
        self.turn = None
        said, self._said = self._said, []
        return said

    def _remove(self, name: str, turns: Turns | None) -> None:
        member = self._members.pop(name)
        try:
            with _turn(turns, member):
                try:
                    if member.own is not None:
                        member.own.finish()
                finally:
                    member.training.close()
        except BaseException as error:
            if is_ordered_end(error) or isinstance(error, KeyboardInterrupt):
                raise
            traceback.print_exc()  # nobody waits for this trial any more
        finally:
            alone = not self._members
            every = alone and self._in_worker
            started = None if member.own is None or every else member.own.started
            self.spoilt += left_behind(self._clean, started, alone=alone)
            if turns is not None:
                turns.look()
                self._found = self._found if self._members else turns.now

    def _round(self) -> AbstractContextManager[Turns | None]:
        if self._clean is None:
            return nullcontext()
        from sweep.trial.process_turns import round_of_turns

        return round_of_turns()


def _turn(turns: Turns | None, member: _Member) -> AbstractContextManager[None]:
    if turns is None or member.own is None:
        return nullcontext()
    return turns.of(member.own)
