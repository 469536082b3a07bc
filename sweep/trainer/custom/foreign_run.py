"""A user's own run. Every value that it returns is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.raised_errors import own_errors
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs import returned_values as returned
from sweep.trainer.runs.explain import require_finite_loss
from sweep.trainer.runs.guarded_run import GuardedRun
from sweep.trainer.runs.returned_values import Method
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Ended, Loop, Run
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence


def made_by(maker: type[Run], settings: TrialSettings) -> Run:
    """A run of a user's class.

    Raises:
        TrainerError: its ``__init__`` does not call that of its base.
    """
    init = Method(maker.__init__, maker)
    with own_errors(init):
        run = maker(settings)  # type: ignore[call-arg]
    if isinstance(run, GuardedRun) and not hasattr(run, "guard"):
        init.fail("does not call super().__init__(settings), which builds the network and the rest")
    return run


class ForeignRun(Run):
    """A `Run` around a user's run, which need not derive from that class.

    Args:
        run: the user's run.
        settings: the whole configuration.
        function: the user's function, for messages, if the run was made from one.
    Raises:
        TrainerError: by each method, if the user's method returns something wrong.
    """

    def __init__(self, run: Run, settings: TrialSettings, function: Method | None = None) -> None:
        self._run = run
        self._settings = settings
        self._function = function
        self._loop: Loop | None = None
        self._history: Sequence[EpochMetrics] = ()
        self.shares_warmup = bool(getattr(run, "shares_warmup", True))

    def run_epoch(self, epoch: int) -> EpochMetrics:
        try:
            found, by = self._call("run_epoch", epoch)
        except Ended:
            self._require_value()
            raise
        metrics = returned.epoch_metrics(found, epoch, by)
        require_finite_loss(metrics, self._settings)
        assert self._loop is not None
        return returned.with_train_loss(metrics, self._loop.objective)

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict: Diverged | None
        verdict, by = self._call("judge", history)
        if not isinstance(verdict, Diverged | None):
            by.refuse(verdict, "must return Diverged(…) or None")
        self._history = history
        loop = self._loop
        is_over = loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)
        if verdict is None and is_over:
            self._require_value()
        return verdict

    def taken_over(self, verdict: Divergence) -> Divergence:
        return self._run.taken_over(verdict) if isinstance(self._run, GuardedRun) else verdict

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        found, by = self._call("measured", metrics, best=best)
        return returned.epoch_metrics(found, metrics.epoch, by)

    def state_dict(self) -> dict[str, Any]:
        if (require := getattr(self._run, "require_resumable", None)) is not None:
            require()
        return returned.state(*self._call("state_dict"))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._call("load_state_dict", state)

    def weights(self) -> dict[str, Any]:
        return returned.state(*self._call("weights"))

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        self._loop = loop
        found, by = self._call("effective_configuration", loop)
        if not isinstance(found, EffectiveConfiguration):
            by.refuse(found, "must return an EffectiveConfiguration")
        return found

    def close(self) -> None:
        if getattr(self._run, "close", None) is not None:
            self._call("close")

    def _require_value(self) -> None:
        """Raise `TrainerError` if no epoch has a value: such a trial cannot be ranked."""
        assert self._loop is not None
        objective = self._loop.objective
        by = self._method("validate" if hasattr(self._run, "validate") else "run_epoch")
        if not self._history:  # only a function can end before its first epoch
            by.fail(
                "ended without a `trial.report(epoch, …)`, which it must call in"
                " each epoch; a report to Ray Tune does not reach the sweep"
            )
        if objective.best(self._history) is None:
            by.fail(
                f"gave no {objective.label} in any of the {len(self._history)} epochs, only None or"
                " NaN: the trial cannot be ranked"
            )

    def _call(self, method: str, *args: Any, **named: Any) -> tuple[Any, Method]:
        """The return value of a method of the user's run, and the method, for messages."""
        with own_errors(by := self._method(method)):
            return getattr(self._run, method)(*args, **named), by

    def _method(self, name: str) -> Method:
        return self._function or Method(getattr(self._run, name), type(self._run))
