"""A run that somebody else wrote: whatever it answers is looked at before anybody relies on it."""

from __future__ import annotations

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
        measures: what measures what it is judged by, for messages; None: its `validate`, if any.
    Raises:
        TrainerError: by each method, where the answer cannot be taken.
    """

    def __init__(self, run: Run, measures: Method | None = None) -> None:
        self._run = run
        self._measures = measures or self._method(getattr(run, "validate", run.run_epoch))
        self._loop: Loop | None = None
        self._history: Sequence[EpochMetrics] = ()

    def run_epoch(self, epoch: int) -> EpochMetrics:
        try:
            found = self._run.run_epoch(epoch)
        except Ended:
            self._require_value()
            raise
        return returned.epoch_metrics(found, epoch, self._method(self._run.run_epoch))

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict = self._run.judge(history)
        if not isinstance(verdict, Diverged | None):
            self._method(self._run.judge).refuse(verdict, "must return Diverged(…) or None")
        self._history = history
        if verdict is None and self._is_over(history):
            self._require_value()
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

    def _require_value(self) -> None:
        """Raises `TrainerError` where no epoch was measured: nothing ranks such a trial."""
        assert self._loop is not None
        objective = self._loop.objective
        if objective.best(self._history) is None:
            self._measures.fail(
                f"gave no {objective.label} in any of the {len(self._history)} epochs, only None or"
                " NaN: there is nothing to rank the trial by"
            )

    def _is_over(self, history: Sequence[EpochMetrics]) -> bool:
        """Whether its last epoch has been trained."""
        loop = self._loop
        return loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)

    def _method(self, called: Callable[..., Any]) -> Method:
        return Method(called, type(self._run))
