"""Pictures of segmentations: what is chosen, which slices, and the colour of single pixels."""

from __future__ import annotations

import io
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from sweep.data.nnunet_raw.regions import Labelled, Regions
from sweep.trial.pictures.batch_drawing import MOST, draw_batch
from sweep.trial.pictures.case_choice import dice_of_cases, extreme_cases, most_different
from sweep.trial.pictures.case_drawing import (
    CaseToDraw,
    disagreement,
    draw_cases,
    size_of,
    slice_of,
)
from sweep.trial.pictures.segmented_case import (
    EXTRA,
    IGNORED,
    MISSED,
    OTHER_CLASS,
    SLICES,
    SegmentedCase,
    errors,
    shown_slices,
    worst_slice,
)
from sweep.trial.pictures.slice_drawing import (
    CHEQUER,
    ERROR_COLOURS,
    NOT_A_NUMBER,
    PREDICTION,
    REFERENCE,
    grey,
    marks_of_errors,
    picture_size,
    resized_mask,
    window_of,
)
from sweep.vocabulary.class_scores import ClassScore

ONE = Labelled(classes=("background", "circle"))
TWO = Labelled(classes=("background", "a", "b"))


def labels(*rows: str) -> NDArray[np.uint8]:
    """``labels("01", "00")``: an image of labels, ``[1, H, W]``."""
    return np.array([[[int(digit) for digit in row] for row in rows]], dtype=np.uint8)


def case_of(
    prediction: NDArray[np.uint8], reference: NDArray[np.uint8], **more: object
) -> SegmentedCase:
    image = np.arange(reference.size, dtype=np.float32).reshape(reference.shape)
    return SegmentedCase("case", image, reference, prediction, **more)  # type: ignore[arg-type]


def score(case: str, label: str, dice: float | None) -> ClassScore:
    return ClassScore(
        case=case, label=label, n_reference=1, n_prediction=1, values={"dice": dice, "nsd": dice}
    )


def opened(content: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(content)).convert("RGBA"))


def drawn_marks(case: SegmentedCase, classes: Labelled = ONE) -> NDArray[np.uint8]:
    """The marks of the first picture, ``[H, W, 4]``."""
    drawn = draw_cases([CaseToDraw(case, ("worst",), ())], classes, space=10**6)
    return opened(drawn.files[drawn.cases[0].planes[0].first.marks])


# Which cases.


@given(st.dictionaries(st.text("abcdef", min_size=1), st.sampled_from([0.1, 0.5, 0.8, 0.9])))
def test_worst_median_and_best_are_those_of_a_sort_by_hand(dice: dict[str, float]) -> None:
    by_hand = sorted((value, name) for name, value in dice.items())
    found = {reason: case for case, reason in extreme_cases(dice).items()}
    assert len(found) == min(len(dice), 3)
    if by_hand:
        assert found["worst"] == by_hand[0][1]
    if len(by_hand) > 1:
        assert found["best"] == by_hand[-1][1]
    if len(by_hand) > 2:
        assert found["median"] == by_hand[(len(by_hand) - 1) // 2][1]


def test_dice_of_a_case_is_the_mean_of_its_classes_that_have_one() -> None:
    rows = [score("x", "a", 0.5), score("x", "b", 1.0), score("y", "a", None), score("z", "a", 0.2)]
    assert dice_of_cases(rows) == {"x": 0.75, "z": 0.2}


def test_cases_that_differ_most_come_first_in_either_direction_and_equal_ones_never() -> None:
    leader = {"a": 0.9, "b": 0.5, "c": 0.8, "only": 0.1, "same": 0.7}
    baseline = {"a": 0.8, "b": 0.9, "c": 0.75, "same": 0.7}
    assert most_different(leader, baseline) == ["b", "a", "c"]
    assert most_different(leader, baseline, most=1) == ["b"]


# What is wrong where.


def test_each_voxel_is_right_too_much_missed_or_of_another_class() -> None:
    prediction, reference = labels("0112", "0000"), labels("0101", "0020")
    found = errors(prediction, reference, TWO)[0]
    assert found.tolist() == [[0, 0, EXTRA, OTHER_CLASS], [0, 0, MISSED, 0]]


def test_unannotated_voxels_are_no_error() -> None:
    classes = Labelled(classes=("background", "circle"), ignore=9)
    found = errors(labels("91"), labels("91"), classes)[0]
    assert found.tolist() == [[IGNORED, 0]]


def test_a_part_of_nested_regions_is_missed_or_too_much_by_its_regions() -> None:
    # Label 1 is the rim of a tumour, label 2 its core; the tumour is both.
    nested = Labelled(
        classes=("background", "tumour", "core"), regions=Regions(((1, 2), (2,)), (1, 2))
    )
    found = errors(labels("1201"), labels("2100"), nested)[0]
    assert found.tolist() == [[MISSED, EXTRA, 0, EXTRA]]


def test_one_false_positive_of_a_4x4_image_has_its_colour_and_nothing_else_has_any() -> None:
    reference = labels("0000", "0000", "0000", "0000")
    prediction = labels("0000", "0010", "0000", "0000")
    marks = drawn_marks(case_of(prediction, reference))
    assert marks.shape == (384, 384, 4)
    block = marks[96:192, 192:288]
    assert block[48, 48].tolist() == list(ERROR_COLOURS[EXTRA])
    assert PREDICTION in {tuple(pixel) for pixel in block.reshape(-1, 4).tolist()}
    marks[96:192, 192:288] = 0
    assert not marks[..., 3].any()


def test_a_missed_pixel_is_chequered_within_the_outline_of_the_reference() -> None:
    reference = labels("0000", "0010", "0000", "0000")
    marks = drawn_marks(case_of(np.zeros_like(reference), reference))
    inside = Counter(map(tuple, marks[104:184, 200:280].reshape(-1, 4).tolist()))
    assert {*inside} == {ERROR_COLOURS[MISSED], CHEQUER}
    assert inside[CHEQUER] == 80 * 80 / 2
    assert marks[96, 192].tolist() == list(REFERENCE)
    assert not marks[95, 192].any()


def test_a_wrong_class_is_striped_so_that_it_needs_no_colour() -> None:
    marks = drawn_marks(case_of(labels("1111", "1111"), labels("2222", "2222")), TWO)
    inside = marks[40:80, 40:80]
    assert {tuple(pixel[:3]) for pixel in inside.reshape(-1, 4).tolist()} == {
        ERROR_COLOURS[OTHER_CLASS][:3]
    }
    assert set(np.unique(inside[..., 3])) == {ERROR_COLOURS[OTHER_CLASS][3], 255}


def test_empty_reference_and_empty_prediction_give_a_picture_without_marks() -> None:
    empty = labels("0000", "0000")
    assert not drawn_marks(case_of(empty, empty)).any()


def test_an_error_of_one_pixel_stays_visible_in_a_reduced_picture() -> None:
    mask = np.zeros((2000, 2000), dtype=bool)
    mask[1234, 777] = True
    assert resized_mask(mask, (512, 512)).sum() == 1
    assert resized_mask(np.ones((3, 5), dtype=bool), (6, 10)).all()


MACHADO = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado et al. 2009, severity 1, for linear RGB."""


def seen(colour: tuple[int, ...], background: int, kind: str) -> NDArray[np.float64]:
    """CIE Lab of a colour over a grey, as somebody with this kind of colour blindness sees it."""
    alpha = colour[3] / 255
    mixed = np.array([(alpha * c + (1 - alpha) * background) / 255 for c in colour[:3]])
    linear = np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(MACHADO[kind]) @ linear, 0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(shown))


@pytest.mark.parametrize("kind", MACHADO)
@pytest.mark.parametrize("background", [0, 64, 128, 192, 255])
def test_colour_blind_people_tell_the_errors_apart(kind: str, background: int) -> None:
    extra, missed = (seen(ERROR_COLOURS[one], background, kind) for one in (EXTRA, MISSED))
    plain = seen((0, 0, 0, 0), background, kind)
    assert deltaE_ciede2000(extra, missed) > 40
    assert min(deltaE_ciede2000(one, plain) for one in (extra, missed)) > 14
    light, dark = (seen(one, background, kind)[0] for one in (ERROR_COLOURS[MISSED], CHEQUER))
    assert light - dark > 12, "the fields of false negatives, in a print without colours too"


# Which slices, and how they lie.


def test_the_slice_with_most_errors_is_shown_first_and_the_rest_surround_the_reference() -> None:
    reference = np.zeros((40, 8, 8), dtype=np.uint8)
    reference[10:30, 2:6, 2:6] = 1
    prediction = reference.copy()
    prediction[22, 2:6, 2:5] = 0
    case = case_of(prediction, reference)
    first = worst_slice(case, errors(prediction, reference, ONE), ONE, 0)
    assert first == 22
    found = shown_slices(case, ONE, 0, first, also=[25])
    assert (min(found), max(found)) == (9, 30)
    assert [position for position, priority in found.items() if priority == 0] == [22]
    assert found[25] == 1
    assert len(found) <= SLICES + 2


def test_without_an_error_the_largest_section_of_the_reference_is_shown_first() -> None:
    reference = np.zeros((5, 4, 4), dtype=np.uint8)
    reference[1, :2], reference[3] = 1, 1
    case = case_of(reference, reference)
    assert worst_slice(case, errors(reference, reference, ONE), ONE, 0) == 3


def test_a_volume_lies_as_radiologists_expect() -> None:
    """Axes of the array: upwards, to the right, to the front."""
    volume = np.zeros((6, 4, 8), dtype=np.uint8)
    volume[5, 3, 7] = 1  # top, right, front
    case = case_of(volume, volume, axes=(2, 0, 1))
    axial = slice_of(volume, case, 0, 5)
    assert axial.shape == (8, 4)
    assert axial[0, 0] == 1  # the front at the top, the right on the left
    sagittal = slice_of(volume, case, 1, 3)
    assert (sagittal.shape, sagittal[0, 0]) == ((6, 8), 1)
    coronal = slice_of(volume, case, 2, 7)
    assert (coronal.shape, coronal[0, 0]) == ((6, 4), 1)
    assert [case.plane_name(axis) for axis in range(3)] == ["axial", "sagittal", "coronal"]


def test_axes_of_unknown_orientation_stay_as_they_are() -> None:
    volume = np.zeros((6, 4, 8), dtype=np.uint8)
    volume[5, 3, 7] = 1
    case = case_of(volume, volume)
    assert slice_of(volume, case, 0, 5)[3, 7] == 1
    assert case.plane_name(1) == "axis 2"


def test_a_thick_volume_keeps_its_proportions_in_millimetres() -> None:
    volume = np.zeros((10, 32, 64), dtype=np.uint8)
    case = case_of(volume, volume, spacing=(5.0, 1.0, 1.0))
    assert size_of(case, 0) == (192, 384)
    assert size_of(case, 1) == (50 * 6, 64 * 6)  # 10 slices of 5 mm, 64 pixels of 1 mm
    assert picture_size((1024, 512), (1.0, 1.0)) == (512, 256)


def test_a_resampled_image_is_shown_at_the_place_of_its_labels() -> None:
    coarse = np.zeros((3, 4, 4), dtype=np.float32)
    coarse[2] = 1
    reference = np.zeros((9, 4, 4), dtype=np.uint8)
    case = SegmentedCase("case", coarse, reference, reference)
    shown = [float(slice_of(coarse, case, 0, position).max()) for position in range(9)]
    assert shown == [0] * 6 + [1] * 3


def test_two_trials_are_compared_on_the_slice_where_one_of_them_is_right() -> None:
    reference = np.ones((4, 2, 2), dtype=np.uint8)
    ours, theirs = reference.copy(), reference.copy()
    ours[0], theirs[0] = 0, 0  # both wrong alike
    theirs[2, 0, 0] = 0
    found = dict(disagreement(case_of(ours, reference), case_of(theirs, reference), ONE))
    assert found[0] == 2
    small = reference[:, :-1]
    assert not [*disagreement(case_of(ours, reference), case_of(small, small), ONE)]


def test_grey_values_are_cut_at_percentiles_of_the_case_and_what_is_no_number_is_black() -> None:
    image = np.linspace(0, 100, 1001, dtype=np.float32).reshape(1, 7, 143)
    window = window_of(image)
    assert window == pytest.approx((0.5, 99.5))
    levels = grey(np.array([[0.0, 0.5, 50.0, 99.5, np.nan, np.inf]], np.float32), window)
    assert levels.tolist() == [[0, 0, 128, 255, 0, 255]]
    assert grey(np.full((1, 2), 3.0, np.float32), (3.0, 3.0)).tolist() == [[0, 0]]


# What is stored.


def volume_case() -> SegmentedCase:
    rng = np.random.default_rng(0)
    reference = np.zeros((12, 20, 20), dtype=np.uint8)
    reference[3:9, 5:15, 5:15] = 1
    prediction = reference.copy()
    prediction[5, 5:9] = 0
    image = rng.normal(size=reference.shape).astype(np.float32)
    return SegmentedCase("volume", image, reference, prediction, (3.0, 1.0, 1.0), (2, 0, 1))


def test_a_volume_has_three_planes_and_the_same_input_gives_the_same_bytes() -> None:
    drawn = [
        draw_cases([CaseToDraw(volume_case(), ("worst",), [score("v", "circle", 0.5)])], ONE, 10**7)
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    (case,) = drawn[0].cases
    assert [plane.name for plane in case.planes] == ["axial", "sagittal", "coronal"]
    assert case.planes[0].first.position == 5
    assert case.planes[0].first.wrong == 4 * 10
    assert (case.dice, case.nsd) == (0.5, 0.5)
    named = {name for p in case.planes for one in p.pictures for name in (one.image, one.marks)}
    assert named == set(drawn[0].files)


def test_the_most_telling_pictures_are_kept_and_the_rest_is_counted() -> None:
    cases = [CaseToDraw(volume_case(), (reason,), ()) for reason in ("worst", "best")]
    whole = draw_cases(cases, ONE, 10**7)
    every = len(whole.files) // 2
    space = 30_000
    some = draw_cases(cases, ONE, space)
    kept = [one for case in some.cases for plane in case.planes for one in plane.pictures]
    assert sum(map(len, some.files.values())) <= space
    assert len(kept) + some.left_out == every
    assert {case.reasons for case in some.cases} == {("worst",), ("best",)}
    assert all(plane.first.priority == 0 for case in some.cases for plane in case.planes)
    assert draw_cases(cases, ONE, 10).cases == ()


def test_the_slices_that_are_left_for_little_space_leave_no_large_gap() -> None:
    reference = np.ones((64, 2, 2), dtype=np.uint8)
    found = shown_slices(case_of(reference, reference), ONE, 0, 0)
    first = sorted(found, key=lambda position: found[position])[:5]
    assert max(np.diff(sorted([*first, 63]))) <= 22


# The batch of a divergence.


def test_samples_with_the_smallest_soft_mask_are_drawn_first_and_no_number_before_them() -> None:
    count, rng = MOST + 3, Random(0)
    soft = np.array([[np.full((6, 6), rng.random()) for _ in range(count)]], dtype=np.float32)
    soft[0, 4] = np.nan
    reference = np.zeros((1, count, 6, 6), dtype=bool)
    batch, files = draw_batch(
        np.zeros((count, 6, 6), np.float32),
        reference,
        soft,
        cases=[f"c{n}" for n in range(count)],
        classes=["circle"],
        spacing=None,
        place=(3, 7),
    )
    assert (batch.epoch, batch.step, batch.of, len(batch.samples)) == (3, 7, count, MOST)
    assert (batch.samples[0].case, batch.samples[0].soft_area) == ("c4", None)
    areas = [one.soft_area for one in batch.samples[1:] if one.soft_area is not None]
    assert areas == sorted(areas)
    marks = opened(files[batch.samples[0].picture.marks])
    assert marks[10, 10].tolist() == list(NOT_A_NUMBER)


def test_marks_of_a_soft_mask_are_as_opaque_as_it_is_probable() -> None:
    soft = np.array([[[[0.0, 0.25], [0.0, 0.0]]]], dtype=np.float32)
    batch, files = draw_batch(
        np.zeros((1, 2, 2), np.float32),
        np.zeros((1, 1, 2, 2), dtype=bool),
        soft,
        cases=["c"],
        classes=["circle"],
        spacing=None,
        place=(0, 0),
    )
    marks = opened(files[batch.samples[0].picture.marks])
    assert (marks[10, 10, 3], marks[10, 300, 3]) == (0, 50)
    assert batch.samples[0].soft_area == 0.25


def test_outlines_of_all_classes_are_drawn_also_where_masks_overlap() -> None:
    tumour, core = np.zeros((2, 24, 24), dtype=bool)
    tumour[4:20, 4:20], core[8:16, 8:16] = True, True
    found = np.zeros((24, 24), dtype=np.uint8)
    marks = marks_of_errors([], [tumour, core], found, (24, 24))
    assert marks[4, 10].tolist() == marks[8, 10].tolist() == list(REFERENCE)
    assert not marks[6, 10].any()
