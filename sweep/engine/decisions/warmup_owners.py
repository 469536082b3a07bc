"""Which trial trains the warm-up that others wait for.

Trials of one trunk are one and the same run up to their switch-on. Two that trained it side by side
would train it twice, so only one at a time does. Waiting costs no time: whoever waits would be just
as far if it trained those epochs itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Trunk:
    trained: int = 0  # epochs that somebody has trained, and left snapshots of
    by: str | None = None  # the trial that trains it further


class WarmupOwners:
    """Says who may start. It is a matter of order alone: a wrong answer costs epochs, no result."""

    def __init__(self) -> None:
        self._trunks: dict[str, _Trunk] = {}
        self._of: dict[str, tuple[_Trunk, int]] = {}

    def add(self, trial_id: str, key: str, length: int) -> None:
        """Take note of a trial.

        Args:
            trial_id: of the trial.
            key: of its trunk.
            length: number of epochs before its switch-on.
        """
        self._of[trial_id] = (self._trunks.setdefault(key, _Trunk()), length)

    def may_start(self, trial_id: str) -> bool:
        """Whether its trunk is trained far enough, or nobody is training it."""
        trunk, length = self._of[trial_id]
        return trunk.by in (None, trial_id) or trunk.trained >= length

    def start(self, trial_id: str) -> None:
        """The trial was handed out."""
        trunk, length = self._of[trial_id]
        if trunk.by is None and trunk.trained < length:
            trunk.by = trial_id

    def report(self, trial_id: str, epochs: int) -> None:
        """The trial has trained ``epochs`` epochs, or taken them from its trunk."""
        trunk, length = self._of[trial_id]
        trunk.trained = max(trunk.trained, min(epochs, length))
        if epochs >= length:
            self._leave(trial_id)

    def pause(self, trial_id: str) -> None:
        """Nobody trains the trial for now: what it was training of its trunk another one may."""
        self._leave(trial_id)

    def end(self, trial_id: str) -> None:
        self._leave(trial_id)
        del self._of[trial_id]

    def _leave(self, trial_id: str) -> None:
        trunk, _ = self._of[trial_id]
        if trunk.by == trial_id:
            trunk.by = None
