"""A metric that takes its time, so that evaluating the finalists can be interrupted."""

import os
import time
from typing import Any

import numpy as np


def area(prediction: np.ndarray, reference: np.ndarray, spacing: Any) -> float:
    """Predicted pixels for each of the reference."""
    time.sleep(float(os.environ.get("SECONDS_A_CASE", "0")))
    return float(prediction.sum() / reference.sum())
