"""A user's own trainer: ``trainer.kind: custom``, a class or a function."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`CustomTraining`, which was here in version 0.1: it needs torch, and a function need not."""
    if name != "CustomTraining":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sweep.trainer.custom.custom_run import CustomTraining

    return CustomTraining
