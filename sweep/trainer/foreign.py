"""A run that somebody else wrote: whatever it answers is looked at before anybody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.record import EpochMetrics
from sweep.trainer import returned
from sweep.trainer.guard import Diverged
from sweep.trainer.protocol import Account, Loop, Run
from sweep.trainer.returned import Method


class ForeignRun:
    """Implements `sweep.trainer.protocol.Run` by asking a run of somebody else's.

    Args:
        run: that run.
    Raises:
        TrainerError: by each method, where the answer cannot be taken.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        # Where it has one, that is what measures the Dice.
        self._measures = self._method(getattr(run, "validate", run.run_epoch))
        self._loop: Loop | None = None

    def run_epoch(self, epoch: int) -> EpochMetrics:
        found = self._run.run_epoch(epoch)
        return returned.epoch_metrics(found, epoch, self._method(self._run.run_epoch))

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict = self._run.judge(history)
        if not isinstance(verdict, Diverged | None):
            self._method(self._run.judge).refuse(verdict, "must return Diverged(…) or None")
        if verdict is None and self._is_over(history):
            self._require_value(history)
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

    def _require_value(self, history: Sequence[EpochMetrics]) -> None:
        """Refuse a trial that there is nothing to rank by."""
        assert self._loop is not None
        objective = self._loop.objective
        if objective.best(history) is None:
            self._measures.fail(
                f"returned no {objective.label} in any of the {len(history)} epochs, only None or"
                " NaN: there is nothing to rank the trial by"
            )

    def _is_over(self, history: Sequence[EpochMetrics]) -> bool:
        """Whether its last epoch has been trained."""
        loop = self._loop
        return loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)

    def _method(self, called: Callable[..., Any]) -> Method:
        return Method(called, type(self._run))
