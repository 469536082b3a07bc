"""The state of a run at the start of an epoch, to train again from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy, on the CPU: one an epoch costs nothing, one a step would.

    Args:
        epoch: at whose start it was taken.
        state: of `sweep.trainer.runs.monai_run.Training`.
    """

    epoch: int
    state: Mapping[str, Any]

    @classmethod
    def take(cls, epoch: int, state: Mapping[str, Any]) -> Snapshot:
        copied: dict[str, Any] = copy_to_cpu(state)
        return cls(epoch, copied)


def copy_to_cpu(value: Any) -> Any:
    """A deep copy of nested dicts and lists whose tensors are on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copy_to_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_to_cpu(item) for item in value]
    return value
