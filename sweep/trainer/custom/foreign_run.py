"""A run that a user wrote. Every value that it returns is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.raised_errors import told_as_an_error
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs import returned_values as returned
from sweep.trainer.runs.guarded_run import GuardedRun
from sweep.trainer.runs.returned_values import Method
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Ended, Loop, Run
from sweep.vocabulary.epoch_metrics import EpochMetrics


def made_by(maker: type[Run], settings: TrialSettings) -> Run:
    """A run of a user's class.

    Raises:
        TrainerError: its ``__init__`` leaves out that of its base.
    """
    init = Method(maker.__init__, maker)
    with told_as_an_error(init):
        run = maker(settings)  # type: ignore[call-arg]
    if isinstance(run, GuardedRun) and not hasattr(run, "guard"):
        init.fail("does not call super().__init__(settings), which builds the network and the rest")
    return run


class ForeignRun(Run):
    """A `Run` that asks a run of somebody else's, which need not derive from that class.

    Args:
        run: that run.
        function: what stands behind all its methods, for messages; None: they themselves do.
    Raises:
        TrainerError: by each method, where the answer cannot be taken.
    """

    def __init__(self, run: Run, function: Method | None = None) -> None:
        self._run = run
        self._function = function
        self._loop: Loop | None = None
        self._history: Sequence[EpochMetrics] = ()
        self.shares_warmup = bool(getattr(run, "shares_warmup", True))

    def run_epoch(self, epoch: int) -> EpochMetrics:
        try:
            found = self._ask(self._run.run_epoch, epoch)
        except Ended:
            self._require_value()
            raise
        metrics = returned.epoch_metrics(found, epoch, self._method(self._run.run_epoch))
        assert self._loop is not None
        return returned.with_train_loss(metrics, self._loop.objective)

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict: Diverged | None = self._ask(self._run.judge, history)
        if not isinstance(verdict, Diverged | None):
            self._method(self._run.judge).refuse(verdict, "must return Diverged(…) or None")
        self._history = history
        if verdict is None and self._is_over(history):
            self._require_value()
        return verdict

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        found = self._ask(self._run.measured, metrics, best=best)
        return returned.epoch_metrics(found, metrics.epoch, self._method(self._run.measured))

    def state_dict(self) -> dict[str, Any]:
        if (require := getattr(self._run, "require_resumable", None)) is not None:
            require()
        return returned.state(self._ask(self._run.state_dict), self._method(self._run.state_dict))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._ask(self._run.load_state_dict, state)

    def weights(self) -> dict[str, Any]:
        return returned.state(self._ask(self._run.weights), self._method(self._run.weights))

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        self._loop = loop
        found = self._ask(self._run.effective_configuration, loop)
        if not isinstance(found, EffectiveConfiguration):
            by = self._method(self._run.effective_configuration)
            by.refuse(found, "must return an EffectiveConfiguration")
        return found

    def close(self) -> None:
        if (close := getattr(self._run, "close", None)) is not None:
            self._ask(close)

    def _require_value(self) -> None:
        """Raises `TrainerError` where no epoch was measured: nothing ranks such a trial."""
        assert self._loop is not None
        objective = self._loop.objective
        if objective.best(self._history) is None:
            self._method(getattr(self._run, "validate", self._run.run_epoch)).fail(
                f"gave no {objective.label} in any of the {len(self._history)} epochs, only None or"
                " NaN: the trial cannot be ranked"
            )

    def _is_over(self, history: Sequence[EpochMetrics]) -> bool:
        """Whether its last epoch has been trained."""
        loop = self._loop
        return loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)

    def _ask(self, called: Callable[..., Any], *args: Any, **named: Any) -> Any:
        with told_as_an_error(self._method(called)):
            return called(*args, **named)

    def _method(self, called: Callable[..., Any]) -> Method:
        return self._function or Method(called, type(self._run))
