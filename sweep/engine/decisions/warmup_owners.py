"""Decide which trial trains a shared warm-up while the others wait.

Trials of one trunk are the same run until their switch-on. Only one of them trains the trunk at a
time, so that it is not trained twice. Waiting costs no time: a waiting trial would be no further if
it trained those epochs itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Trunk:
    trained: int = 0  # epochs that are trained and have snapshots
    by: str | None = None  # the trial that is training it


class WarmupOwners:
    """Decide which trials may start. This only affects the order: a wrong answer costs epochs."""

    def __init__(self) -> None:
        self._trunks: dict[str, _Trunk] = {}
        self._of: dict[str, tuple[_Trunk, int]] = {}

    def add(self, trial_id: str, key: str, length: int) -> None:
        """Add a trial.

        Args:
            trial_id: of the trial.
            key: of its trunk.
            length: number of epochs before its switch-on.
        """
        self._of[trial_id] = (self._trunks.setdefault(key, _Trunk()), length)

    def may_start(self, trial_id: str) -> bool:
        """Whether its trunk is trained far enough, or no trial is training it."""
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
            self.pause(trial_id)

    def pause(self, trial_id: str) -> None:
        """The trial does not train its trunk for now, so another one may."""
        trunk, _ = self._of[trial_id]
        if trunk.by == trial_id:
            trunk.by = None

    def end(self, trial_id: str) -> None:
        self.pause(trial_id)
        del self._of[trial_id]
