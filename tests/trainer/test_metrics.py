import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_dice

from sweep.data.nnunet_raw.regions import Labelled
from sweep.trainer.evaluation.validation_dice import DicePerCase


def labels(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.uint8)


def named(classes: int) -> Labelled:
    return Labelled(classes=tuple(f"class {number}" for number in range(classes)))


def dice(classes: int, *samples: tuple[str, torch.Tensor, torch.Tensor]) -> float | None:
    metric = DicePerCase(named(classes))
    for case, prediction, reference in samples:
        metric.add(case, prediction, reference)
    return metric.mean()


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    assert dice(2, ("a", labels([1, 1, 0, 0]), labels([0, 1, 1, 1]))) == 2 * 1 / (2 + 3)


def test_cases_are_averaged_not_pixels() -> None:
    right, wrong = labels([1] * 9 + [0]), labels([0] * 9 + [1])
    assert dice(2, ("a", right, right), ("b", wrong, labels([0] * 10))) == 0.5


def test_slices_of_one_volume_are_counted_together() -> None:
    full, empty = labels([1, 1]), labels([0, 0])
    # One case: 2·2/(2+4); as two cases it would be (1 + 0)/2.
    assert dice(2, ("a", full, full), ("a", empty, full)) == 4 / 6


def test_a_case_without_the_class_in_both_is_left_out_and_a_false_alarm_counts_as_zero() -> None:
    full, empty = labels([1, 1]), labels([0, 0])
    assert dice(2, ("a", full, full), ("b", empty, empty)) == 1
    assert dice(2, ("a", full, full), ("b", full, empty)) == 0.5


def test_nothing_to_measure_is_none_not_one() -> None:
    empty = labels([0, 0])
    assert dice(2, ("a", empty, empty)) is None
    assert dice(2) is None


def test_classes_are_averaged_without_the_background() -> None:
    assert dice(3, ("a", labels([1, 0, 0]), labels([1, 2, 2]))) == 0.5


MASKS = st.lists(st.integers(0, 2), min_size=24, max_size=24).map(
    lambda v: torch.tensor(v, dtype=torch.uint8).reshape(4, 6)
)


@given(MASKS, MASKS)
def test_dice_lies_in_the_unit_interval_is_symmetric_and_agrees_with_monai(
    a: torch.Tensor, b: torch.Tensor
) -> None:
    value = dice(3, ("a", a, b))
    assert value == dice(3, ("a", b, a))
    one_hot = [torch.nn.functional.one_hot(m.long(), 3).movedim(-1, 0)[None] for m in (a, b)]
    # Oracle: MONAI; a class absent from both is NaN there too once it is masked.
    expected = compute_dice(*one_hot, include_background=False, ignore_empty=False)[0]
    present = torch.stack([((a == c) | (b == c)).any() for c in (1, 2)])
    if value is None:
        assert not present.any()
    else:
        assert 0 <= value <= 1
        torch.testing.assert_close(torch.tensor(value), expected[present].mean())


@given(MASKS)
def test_dice_of_a_mask_with_itself_is_one(mask: torch.Tensor) -> None:
    assert dice(3, ("a", mask, mask)) in (1, None)


def test_iou_is_the_overlap_over_the_union_averaged_like_dice() -> None:
    metric = DicePerCase(named(2))
    metric.add("a", labels([1, 1, 0, 0]), labels([0, 1, 1, 1]))
    metric.add("b", labels([0, 0]), labels([0, 0]))
    assert metric.mean_iou() == 1 / 4
