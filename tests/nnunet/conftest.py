"""One tiny dataset that nnU-Net has planned and preprocessed, and trainers on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

DATASET = "Dataset502_Shapes_One"
