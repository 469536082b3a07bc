"""What the steps of an epoch come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from sweep.vocabulary.divergence import StepValues


def summary(steps: Sequence[StepValues]) -> dict[str, Any]:
    """What the steps of an epoch come to, under the names of `EpochMetrics`."""
    taken = [values for values in steps if not values.skipped]
    terms: dict[str, list[float]] = defaultdict(list)
    for values in taken:
        for name, value in values.terms.items():
            terms[name].append(value)
    return {
        "train_loss": float(np.mean([values.loss for values in taken])) if taken else None,
        "grad_norm": float(np.mean([values.grad_norm for values in taken])) if taken else None,
        "terms": {name: float(np.mean(values)) for name, values in terms.items()},
        "steps": len(taken),
        "skipped_steps": len(steps) - len(taken),
        "weight_norm": steps[-1].weight_norm,
        "scale": steps[-1].scale,
    }
