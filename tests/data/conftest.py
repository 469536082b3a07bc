"""Small datasets in nnU-Net's raw layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from raw_dataset import write_cases

from sweep.data.nnunet_raw.pixels import RawCase

WriteGrey = Callable[..., Path]


@pytest.fixture
def write_grey(tmp_path: Path) -> WriteGrey:
    """Write a dataset of small grey images, each with one labelled pixel; returns its folder."""

    def write(name: str = "Dataset001_Grey", count: int = 6, file_ending: str = ".png") -> Path:
        folder = tmp_path / name
        pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 10), dtype=np.uint8)
        label = np.zeros((8, 10), np.uint8)
        label[2, 3] = 1
        write_cases(
            folder,
            [RawCase(f"case_{index}", image, label) for index, image in enumerate(pixels)],
            "dot",
            channels=["grey"],
            ending=file_ending,
        )
        return folder

    return write
