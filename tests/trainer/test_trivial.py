"""The Dice that needs no network, against answers that are really given."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sweep.data.nnunet_raw.regions import Labelled
from sweep.trainer.evaluation.validation_dice import DicePerCase


def scored(references: list[Tensor], answers: list[Tensor], classes: int) -> DicePerCase:
    dice = DicePerCase(Labelled(classes=tuple(map(str, range(classes)))))
    for n, (reference, answer) in enumerate(zip(references, answers, strict=True)):
        dice.add(f"case{n}", answer, reference)
    return dice


def everywhere(references: list[Tensor], label: int, classes: int) -> float | None:
    """Mean Dice of one class everywhere, as the validation takes it."""
    return scored(references, [torch.full_like(r, label) for r in references], classes).mean()


@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.001, 0.05, 0.5, 0.95]))
@settings(deadline=None, max_examples=30)
def test_trivial_dice_of_one_class_is_that_of_foreground_everywhere(
    seed: int, share: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    references = [(torch.rand(32, 32, generator=draw) < share).long() for _ in range(4)]
    found = scored(references, references, 2).trivial()
    if sum(int(r.sum()) for r in references) == 0:
        assert found is None
    else:
        assert found == pytest.approx(everywhere(references, 1, 2), abs=1e-12)


def test_empty_masks_count_as_the_validation_counts_them() -> None:
    quarter = torch.zeros(4, 4, dtype=torch.long)
    quarter[:2, :2] = 1
    references = [quarter, torch.zeros_like(quarter), torch.zeros_like(quarter)]
    # 2 · ¼ / (¼ + 1) = 0.4 in one case; in the other two foreground is predicted and none is there.
    assert scored(references, references, 2).trivial() == pytest.approx(0.4 / 3)
    assert scored(references[1:], references[1:], 2).trivial() is None


def test_of_several_classes_the_best_is_all_of_them_at_random_in_proportion() -> None:
    reference = torch.zeros(100, 100, dtype=torch.long)
    for label in range(1, 6):
        reference[20 * (label - 1) : 20 * label, :10] = label  # each 2 % of the pixels
    found = scored([reference], [reference], 6).trivial()
    one_class = everywhere([reference], 1, 6)
    assert one_class == pytest.approx(2 * 0.02 / 1.02 / 5)
    assert found == pytest.approx(2 * 0.02 * 0.2 / 0.22)  # (p, q) = (0.02, 1/5) in each class
    # A random answer really scores that.
    draw = torch.Generator().manual_seed(0)
    answer = torch.randint(1, 6, reference.shape, generator=draw)
    assert scored([reference], [answer], 6).mean() == pytest.approx(found, abs=0.004)
