"""A run that somebody else wrote: whatever it answers is looked at before anybody relies on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.record import EpochMetrics
from sweep.trainer import returned
from sweep.trainer.guard import Diverged
from sweep.trainer.protocol import Account, Ended, Loop, Run
from sweep.trainer.returned import Method


class ForeignRun:
    """Implements `sweep.trainer.protocol.Run` by asking a run of somebody else's.

    Args:
        run: that run.
        measures: what measures its validation Dice, for messages; None: its `validate`, if any.
    Raises:
        TrainerError: by each method, where the answer cannot be taken.
    """

    def __init__(self, run: Run, measures: Method | None = None) -> None:
        self._run = run
        self._measures = measures or self._method(getattr(run, "validate", run.run_epoch))
        self._loop: Loop | None = None
        self._has_dice = False

    def run_epoch(self, epoch: int) -> EpochMetrics:
        try:
            found = self._run.run_epoch(epoch)
        except Ended:
            self._require_dice(epoch)
            raise
        return returned.epoch_metrics(found, epoch, self._method(self._run.run_epoch))

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict = self._run.judge(history)
        if not isinstance(verdict, Diverged | None):
            self._method(self._run.judge).refuse(verdict, "must return Diverged(…) or None")
        self._has_dice = any(map(_has_dice, history))
        if verdict is None and self._is_over(history):
            self._require_dice(len(history))
        return verdict

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        found = self._run.measured(metrics, best=best)
        return returned.epoch_metrics(found, metrics.epoch, self._method(self._run.measured))

    def state_dict(self) -> dict[str, Any]:
        return returned.state(self._run.state_dict(), self._method(self._run.state_dict))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._run.load_state_dict(state)

    def weights(self) -> dict[str, Any]:
        return returned.state(self._run.weights(), self._method(self._run.weights))

    def account(self, loop: Loop) -> Account:
        self._loop = loop
        account = self._run.account(loop)
        if not isinstance(account, Account):
            self._method(self._run.account).refuse(account, "must return an Account")
        return account

    def close(self) -> None:
        if (close := getattr(self._run, "close", None)) is not None:
            close()

    @property
    def shares_warmup(self) -> bool:
        """Whether its warm-up may be that of another trial."""
        return bool(getattr(self._run, "shares_warmup", True))

    def _require_dice(self, epochs: int) -> None:
        """Raises `TrainerError` where no epoch was measured: nothing ranks such a trial."""
        if not self._has_dice:
            self._measures.fail(
                f"gave no validation Dice in any of the {epochs} epochs, only None or NaN: there is"
                " nothing to rank the trial by"
            )

    def _is_over(self, history: Sequence[EpochMetrics]) -> bool:
        """Whether its last epoch has been trained."""
        loop = self._loop
        return loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)

    def _method(self, called: Callable[..., Any]) -> Method:
        return Method(called, type(self._run))


def _has_dice(epoch: EpochMetrics) -> bool:
    return epoch.val_dice is not None and math.isfinite(epoch.val_dice)
