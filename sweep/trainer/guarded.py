"""Where `Validation` was in version 0.1; it stays importable from here until 1.0."""

from sweep.trainer.runs.guarded_run import Validation as Validation
