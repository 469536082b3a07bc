"""Batches: a pure function of (seed, epoch, step)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import RandSpatialCropd, SpatialPadd
from torch import Tensor

from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches.augmentation import Augmentation, Showing
from sweep.trainer.batches.training_batches import TrainingBatches


def samples_of(shapes: Sequence[tuple[int, int]]) -> Samples:
    """Cases whose image shows their label: what happens to one must happen to the other."""
    rng = np.random.default_rng(0)
    labels = [rng.integers(1, 200, shape, dtype=np.uint8) for shape in shapes]
    return Samples(
        [
            CaseArrays(f"case_{n}", label[None, None].astype(np.float32), label[None], (1,))
            for n, label in enumerate(labels)
        ]
    )


def batches(samples: Samples, **changes: Any) -> TrainingBatches:
    arguments = {"seed": 0, "patch": None, "divisor": (4, 4)} | changes
    names = [name for name in arguments if name in MonaiTrainer.model_fields]
    settings = MonaiTrainer(**{name: arguments.pop(name) for name in names})
    augmentation = Augmentation(
        arguments.pop("augmentation", AugmentationSettings()),
        "zscore",
        samples,
        seed=arguments["seed"],
    )
    return TrainingBatches(samples, settings, augmentation, **arguments)


def pixels(*images: Tensor) -> list[list[int]]:
    """The values of each image that are not padding, sorted."""
    return [sorted(image[image > 0].int().tolist()) for image in images]


numbers = st.integers(0, 2**31 - 1)


@given(count=st.integers(1, 20), batch_size=st.integers(1, 8), seed=numbers, epoch=numbers)
def test_no_sample_comes_twice_in_an_epoch_and_less_than_a_batch_is_left_out(
    count: int, batch_size: int, seed: int, epoch: int
) -> None:
    source = batches(samples_of([(1, 1)] * count), batch_size=batch_size, seed=seed)
    seen = [index for step in range(source.steps) for index in source.indices(epoch, step)]
    assert len(set(seen)) == len(seen)
    assert count - len(seen) < min(batch_size, count)
    assert set(seen) <= set(range(count))


@given(count=st.integers(1, 9), batch_size=st.integers(1, 9), passes=st.integers(1, 4))
def test_epoch_of_several_passes_shows_every_sample_as_often(
    count: int, batch_size: int, passes: int
) -> None:
    batch_size = min(batch_size, count)
    steps = passes * count  # in which every sample comes batch_size · passes times
    source = batches(samples_of([(1, 1)] * count), batch_size=batch_size, steps_per_epoch=steps)
    assert source.steps == steps
    seen = Counter(index for step in range(steps) for index in source.indices(3, step))
    assert seen == dict.fromkeys(range(count), batch_size * passes)


@given(seed=numbers, epoch=numbers, step=st.integers(0, 3))
def test_batch_depends_on_nothing_but_seed_epoch_and_step(seed: int, epoch: int, step: int) -> None:
    samples = samples_of([(9, 13), (20, 6), (7, 7), (16, 16)])
    first, second = (batches(samples, batch_size=1, seed=seed, patch=(8, 8)) for _ in range(2))
    expected = first.batch(epoch, step)
    for other in range(4):  # a history of other batches
        second.batch(epoch + 1, other)
    torch.manual_seed(seed)
    np.random.seed(1)
    again = second.batch(epoch, step)
    assert torch.equal(expected.images, again.images)
    assert torch.equal(expected.labels, again.labels)
    assert expected.cases == again.cases


def test_epochs_and_seeds_have_their_own_orders() -> None:
    samples = samples_of([(1, 1)] * 12)
    orders = {
        tuple(batches(samples, batch_size=12, seed=seed).indices(epoch, 0))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_images_of_one_size_are_passed_on_untouched() -> None:
    samples = samples_of([(8, 12)] * 4)
    batch = batches(samples, batch_size=4).batch(0, 0)
    assert batch.images.shape == (4, 1, 8, 12)
    assert batch.labels.shape == (4, 1, 8, 12)
    by_case = {sample.case: sample for sample in samples}
    for case, image, label in zip(batch.cases, batch.images, batch.labels, strict=True):
        np.testing.assert_array_equal(image.numpy(), by_case[case].image)
        np.testing.assert_array_equal(label[0].numpy(), by_case[case].label)


@pytest.mark.parametrize(
    ("shapes", "patch", "expected"),
    [
        ([(45, 61)] * 2, None, (48, 64)),
        ([(45, 61), (50, 20)], None, (52, 64)),
        ([(45, 61)] * 2, (16, 16), (16, 16)),
        ([(45, 61)] * 2, (18, 18), (20, 20)),
        ([(10, 61)] * 2, (32, 32), (32, 32)),
        ([(16, 16)] * 2, (16, 16), (16, 16)),
    ],
)
def test_sides_are_the_patch_or_the_largest_image_rounded_up_to_what_the_network_can_halve(
    shapes: list[tuple[int, int]], patch: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    batch = batches(samples_of(shapes), batch_size=2, patch=patch).batch(0, 0)
    assert batch.images.shape == (2, 1, *expected)
    assert batch.labels.shape == (2, 1, *expected)
    assert batch.images.dtype == torch.float32
    assert batch.labels.dtype == torch.uint8


def test_image_and_label_are_cropped_at_the_same_place() -> None:
    source = batches(samples_of([(40, 33), (20, 50)]), batch_size=2, patch=(24, 24))
    places = set()
    for epoch in range(20):
        batch = source.batch(epoch, 0)
        assert torch.equal(batch.images, batch.labels.float())
        places |= {tuple(pixels(image)[0]) for image in batch.images}
    assert len(places) > 30  # and the place is drawn anew each time


@pytest.mark.parametrize("seed", range(3))
def test_crops_and_padding_are_those_of_monai(seed: int) -> None:
    """Oracle: its SpatialPadd and RandSpatialCropd, which made the batches of version 0.1."""
    samples = samples_of([(40, 33), (20, 50), (9, 11)])
    source = batches(samples, batch_size=3, patch=(24, 24), seed=seed)
    batch = source.batch(5, 0)
    pad, crop = (
        SpatialPadd(("image", "label"), (24, 24)),
        RandSpatialCropd(("image", "label"), (24, 24), random_size=False),
    )
    for index, image, label in zip(source.indices(5, 0), batch.images, batch.labels, strict=True):
        state = int(np.random.default_rng([seed, 5, 2, 0, index]).integers(2**31))
        crop.set_random_state(seed=state)
        sample = samples[index]
        expected = crop(pad({"image": sample.image.copy(), "label": sample.label[None].copy()}))
        np.testing.assert_array_equal(image, expected["image"])
        np.testing.assert_array_equal(label, expected["label"])


def test_smaller_images_keep_all_their_pixels_and_are_padded_with_zeros() -> None:
    samples = samples_of([(11, 6), (16, 16)])
    batch = batches(samples, batch_size=2).batch(0, 0)
    expected = {sample.case: sorted(sample.label.flatten().tolist()) for sample in samples}
    assert dict(zip(batch.cases, pixels(*batch.images), strict=True)) == expected
    assert dict(zip(batch.cases, pixels(*batch.labels), strict=True)) == expected


def test_batch_is_never_larger_than_the_data() -> None:
    source = batches(samples_of([(4, 4)] * 3), batch_size=16)
    assert source.steps == 1
    assert len(source.batch(0, 0).cases) == 3


def test_changing_a_batch_in_place_leaves_the_shared_data_alone() -> None:
    samples = samples_of([(4, 4)] * 2)
    before = [sample.image.copy() for sample in samples]
    batches(samples, batch_size=2).batch(0, 0).images.zero_()
    for sample, image in zip(samples, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)


AUGMENTED = AugmentationSettings.model_validate(
    {
        "flips": {"probability": 0.5},
        **{
            kind: {"probability": 0.7}
            for kind in ("rotation", "scaling", "noise", "gamma", "blur", "brightness", "contrast")
        },
        "low_resolution": {"probability": 0.7},
    }
)


@pytest.mark.parametrize("patch", [None, (16, 16)])
def test_a_sample_looks_the_same_whatever_batch_it_lands_in(patch: tuple[int, int] | None) -> None:
    samples = samples_of([(20, 24), (16, 16), (30, 18)] * 4)

    def shown(batch_size: int, epoch: int) -> dict[str, tuple[bytes, bytes]]:
        source = batches(
            samples,
            batch_size=batch_size,
            patch=patch,
            augmentation=AUGMENTED,
        )
        steps = reversed(range(source.steps))  # nor does it matter what came before
        return {
            case: (image.numpy().tobytes(), label.numpy().tobytes())
            for batch in (source.batch(epoch, step) for step in steps)
            for case, image, label in zip(batch.cases, batch.images, batch.labels, strict=True)
        }

    alone = shown(1, epoch=3)
    assert len(alone) == len(samples)
    assert shown(4, epoch=3) == alone
    assert shown(12, epoch=3) == alone
    assert shown(12, epoch=4) != alone


def test_a_sample_that_comes_again_in_an_epoch_is_augmented_anew() -> None:
    source = batches(
        samples_of([(16, 16)]), batch_size=1, steps_per_epoch=3, augmentation=AUGMENTED
    )
    images = {source.batch(0, step).images.numpy().tobytes() for step in range(3)}
    assert len(images) == 3


# Patches that are centred on foreground.


def with_foreground(axes: int) -> Samples:
    """Cases with two classes of single voxels and a larger one; the last case has none."""
    shape = (40, 36) if axes == 2 else (20, 40, 36)
    cases = []
    for n in range(4):
        label = np.zeros(shape, np.uint8)
        if n < 3:
            label[..., 10:14, 2:30] = 3
            label[(..., 30, 9)] = 0
            label[(*[side // 2 for side in shape[:-2]], 30, 9)] = 1
            label[(*[side // 2 for side in shape[:-2]], 39, 35)] = 2  # in the corner
        stack = label if axes == 3 else label[None]
        images = stack[:, None].astype(np.float32)
        found = tuple(int(value) for value in np.unique(label) if value)
        cases.append(CaseArrays(f"case_{n}", images, stack, found))
    return Samples(cases, volumes=axes == 3)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("share", [0.0, 1 / 3, 0.5, 1.0])
def test_a_share_of_the_patches_is_centred_on_foreground_with_all_classes_in_turn(
    axes: int, share: float
) -> None:
    samples = with_foreground(axes)
    source = batches(
        samples,
        patch=(8,) * axes,
        divisor=(1,) * axes,
        oversample_foreground=share,
    )
    for index in range(3):
        classes = []
        for epoch in range(60):
            rng = np.random.default_rng(epoch)
            centre = source.foreground.centre(index, epoch, rng)
            if centre is not None:
                classes.append(int(samples[index].label[centre]))
        assert abs(len(classes) - 60 * share) <= 1
        assert set(classes) <= {1, 2, 3}
        assert all(len(set(classes[n : n + 3])) == 3 for n in range(len(classes) - 2))
    assert source.foreground.centre(3, 0, np.random.default_rng(0)) is None


@pytest.mark.parametrize("axes", [2, 3])
def test_a_centred_patch_shows_its_class_in_the_middle_or_at_the_border_of_the_image(
    axes: int,
) -> None:
    samples = with_foreground(axes)
    source = batches(
        samples, patch=(8,) * axes, divisor=(1,) * axes, oversample_foreground=1.0, batch_size=1
    )
    shown = Counter()
    for epoch in range(9):
        labels = source.shown([Showing(0, epoch)]).labels[0, 0].numpy()
        middle = labels[(4,) * axes]
        corner = labels[(*[4] * (axes - 2), 7, 7)]  # of the image: the patch cannot be centred
        shown[int(middle or corner)] += 1
    assert shown == {1: 3, 2: 3, 3: 3}


def test_centred_patches_depend_on_nothing_but_seed_epoch_turn_and_index() -> None:
    samples = with_foreground(3)
    arguments = {"patch": (8, 8, 8), "divisor": (1, 1, 1), "oversample_foreground": 0.5}
    one, other = (batches(samples, batch_size=n, **arguments) for n in (1, 4))
    showings = [Showing(index, 7, turn) for index in range(4) for turn in range(2)]
    together = other.shown(showings)
    for n, showing in enumerate(showings):
        assert torch.equal(one.shown([showing]).images[0], together.images[n])


def test_patches_of_an_epoch_have_their_share_of_foreground() -> None:
    """20 turns of each of 3 volumes: the share of each is exact up to one patch."""
    source = batches(
        with_foreground(3), patch=(8, 8, 8), divisor=(1, 1, 1), oversample_foreground=1 / 3
    )
    for epoch in (0, 11):
        for index in range(3):
            centred = [
                source.foreground.centre(index, epoch + turn, np.random.default_rng(0)) is not None
                for turn in range(20)
            ]
            assert sum(centred) in (6, 7)
