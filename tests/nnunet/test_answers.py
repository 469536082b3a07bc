"""What nnU-Net's pseudo validation tells beside its Dice, from counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sweep.nnunet.training.pseudo_validation import Answers


def output(hits: list[float], extra: list[float], missed: list[float]) -> dict[str, object]:
    keys = ("tp_hard", "fp_hard", "fn_hard")
    return {k: np.array(v, np.float32) for k, v in zip(keys, (hits, extra, missed), strict=True)}


def test_counts_of_all_patches_make_one_answer() -> None:
    answers = Answers(None)
    for _ in range(2):
        answers.look_at({"target": [torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 4, 4)]})
    # Of 256 voxels 64 are of class 1, none of class 2; nothing but class 1 is predicted.
    answers.add([output([32, 0], [96, 0], [0, 0]), output([32, 0], [96, 0], [0, 0])])  # type: ignore[list-item]
    assert answers.predicted_classes() == 1
    assert answers.trivial() == pytest.approx(2 * 0.25 / 1.25)


def test_ignored_voxels_are_no_background() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 3
    answers = Answers(3)
    answers.look_at({"target": target})
    answers.add([output([4], [4], [0])])  # type: ignore[list-item]
    assert answers.predicted_classes() == 1  # all 8 voxels that count
    assert answers.trivial() == pytest.approx(2 * 0.5 / 1.5)
