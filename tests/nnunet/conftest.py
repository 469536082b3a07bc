"""One tiny dataset that nnU-Net has planned and preprocessed, and trainers on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sweep.data.shapes_datasets import write_shapes_dataset
from sweep.nnunet.folders import Folders
from sweep.nnunet.planning import ensure_preprocessed
from sweep.spec.document import apply_overrides
from sweep.spec.settings import ShapesData, TrialSettings
from sweep.spec.trainer import NnunetTrainer

if TYPE_CHECKING:
    from sweep.nnunet.trainer import nnUNetTrainerGeometric

DATASET = "Dataset502_Shapes_One"
