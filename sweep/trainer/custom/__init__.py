"""A user's own trainer: ``trainer.kind: custom``, a class or a function."""

from sweep.trainer.custom.custom_run import CustomTraining as CustomTraining
