"""All verdicts on one run, step by step and epoch by epoch. No torch, no device, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sweep.spec.settings.geometric_terms import TERMS
from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.verdict import broken_part
from sweep.trainer.divergence.verdicts import VERDICTS, Zombie
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence

RECENT = 10
"""Number of steps before a divergence that are reported with it."""


class StepJudge:
    """Judge the steps of one run in their order. Arguments as of `Verdict`."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        gradient_clip: float | None,
        scaled: bool,
        late_terms: Collection[str] | None = None,
    ) -> None:
        late = TERMS.keys() if late_terms is None else late_terms
        self._verdicts = {
            cause: verdict(settings, gradient_clip, scaled, late)
            for cause, verdict in VERDICTS.items()
        }
        needed = max(verdict.steps_needed for verdict in self._verdicts.values())
        self._recent: deque[StepValues] = deque(maxlen=RECENT + 1 + needed)

    def start_epoch(self, factor: float) -> None:
        """Call before the first step of an epoch, with its geometric factor."""
        for verdict in self._verdicts.values():
            verdict.start_epoch(factor)

    def judge(self, values: StepValues) -> Divergence | None:
        """The verdict after a step, if any. If several steps led to it, it names the first."""
        self._recent.append(values)
        broken = broken_part(values)
        found = (verdict.judge_step(values, broken) for verdict in self._verdicts.values())
        return next((divergence for divergence in found if divergence is not None), None)

    @property
    def suspicious(self) -> bool:
        """Whether the last steps may turn out to be the first of those that lead to a verdict, and
        were taken.
        """
        return any(one.moves_weights and one.streak.length for one in self._verdicts.values())

    @property
    def skips_in_a_row(self) -> int:
        return self._verdicts[Zombie.cause].streak.length

    def recent(self, until: tuple[int, int] | None = None) -> tuple[StepValues, ...]:
        """The last steps, oldest first, or those up to (epoch, step)."""
        steps = (v for v in self._recent if until is None or v.place <= until)
        return tuple(steps)[-RECENT - 1 :]

    def state_dict(self) -> dict[str, Any]:
        """The state needed to continue, as plain values."""
        states = [verdict.state_dict() for verdict in self._verdicts.values()]
        recent = [values.to_json() for values in self._recent]
        return {key: value for state in states for key, value in state.items()} | {"recent": recent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for verdict in self._verdicts.values():
            verdict.load_state_dict(state)
        self._recent.clear()
        self._recent.extend(StepValues.from_json(line) for line in state["recent"])


def judge_epochs(
    history: Sequence[EpochMetrics], settings: GuardSettings, *, scaled: bool, over: bool = False
) -> Divergence | None:
    """The verdict on the last epoch of a history, given those before it.

    Args:
        scaled: whether a gradient scaler is used, which skips steps on purpose.
        over: whether the training ends here. A network that is collapsed then has failed.
    """
    if not history:
        return None
    verdicts = (verdict(settings, scaled=scaled) for verdict in VERDICTS.values())
    found = (verdict.judge_epochs(history, over=over) for verdict in verdicts)
    return next((divergence for divergence in found if divergence is not None), None)
