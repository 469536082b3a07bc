"""A run that a user wrote. Every value that it returns is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
            found, by = self._ask("run_epoch", epoch)
        except Ended:
            self._require_value()
            raise
        metrics = returned.epoch_metrics(found, epoch, by)
        assert self._loop is not None
        return returned.with_train_loss(metrics, self._loop.objective)

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        verdict: Diverged | None
        verdict, by = self._ask("judge", history)
        if not isinstance(verdict, Diverged | None):
            by.refuse(verdict, "must return Diverged(…) or None")
        self._history = history
        loop = self._loop
        is_over = loop is not None and (len(history) >= loop.epochs or loop.stopping.is_over)
        if verdict is None and is_over:
            self._require_value()
        return verdict

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        found, by = self._ask("measured", metrics, best=best)
        return returned.epoch_metrics(found, metrics.epoch, by)

    def state_dict(self) -> dict[str, Any]:
        if (require := getattr(self._run, "require_resumable", None)) is not None:
            require()
        return returned.state(*self._ask("state_dict"))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._ask("load_state_dict", state)

    def weights(self) -> dict[str, Any]:
        return returned.state(*self._ask("weights"))

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        self._loop = loop
        found, by = self._ask("effective_configuration", loop)
        if not isinstance(found, EffectiveConfiguration):
            by.refuse(found, "must return an EffectiveConfiguration")
        return found

    def close(self) -> None:
        if getattr(self._run, "close", None) is not None:
            self._ask("close")

    def _require_value(self) -> None:
        """Raises `TrainerError` where no epoch was measured: nothing ranks such a trial."""
        assert self._loop is not None
        objective = self._loop.objective
        if objective.best(self._history) is None:
            self._method("validate" if hasattr(self._run, "validate") else "run_epoch").fail(
                f"gave no {objective.label} in any of the {len(self._history)} epochs, only None or"
                " NaN: the trial cannot be ranked"
            )

    def _ask(self, method: str, *args: Any, **named: Any) -> tuple[Any, Method]:
        """What a method of the run answers, and what that is called in messages."""
        with told_as_an_error(by := self._method(method)):
            return getattr(self._run, method)(*args, **named), by

    def _method(self, name: str) -> Method:
        return self._function or Method(getattr(self._run, name), type(self._run))
