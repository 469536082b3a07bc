"""Where batches come from changes none of their bits."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.batch_ahead import BatchAhead
from sweep.trainer.batches.device_data import MappedData, ResidentData, resident
from sweep.trainer.batches.training_batches import TrainingBatches

CPU = torch.device("cpu")


def cases(sides: Sequence[tuple[int, int, int]], channels: int) -> list[CaseArrays]:
    """Volumes whose voxels all differ."""
    rng = np.random.default_rng(0)
    return [
        CaseArrays(
            f"case_{n}",
            rng.normal(size=(shape[0], channels, *shape[1:])).astype(np.float32),
            rng.integers(0, 200, shape, dtype=np.uint8),
            (1,),
        )
        for n, shape in enumerate(sides)
    ]


SIDES = st.tuples(*[st.integers(1, 6)] * 3)


@settings(max_examples=60)
@given(
    sides=st.lists(SIDES, min_size=1, max_size=3),
    channels=st.integers(1, 3),
    volumes=st.booleans(),
    data=st.data(),
)
def test_resident_samples_give_the_boxes_of_mapped_ones(
    sides: list[tuple[int, int, int]], channels: int, volumes: bool, data: st.DataObject
) -> None:
    """The samples of a GPU's memory, here in the CPU's, against slices of the arrays."""
    samples = Samples(cases(sides, channels), volumes=volumes)
    axes = 3 if volumes else 2
    size = data.draw(st.lists(st.integers(1, 7), min_size=axes, max_size=axes))
    indices = data.draw(st.lists(st.integers(0, len(samples) - 1), min_size=1, max_size=4))
    corners = [
        [  # each box holds at least one voxel of its sample
            data.draw(st.integers(1 - length, side - 1))
            for length, side in zip(size, samples[index].label.shape, strict=True)
        ]
        for index in indices
    ]
    expected = MappedData(samples, CPU).boxes(indices, corners, size)
    found = ResidentData(samples, CPU).boxes(indices, corners, size)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_trials_of_one_process_share_the_samples_in_the_memory_of_a_gpu() -> None:
    """Known by what made them, since every trial maps the files anew."""
    samples, again = (Samples(cases([(1, 4, 4), (1, 4, 4)], 1)) for _ in range(2))
    origin = {"source": "shapes", "fold": 0, "fingerprint": "abc"}
    first = resident(CPU, samples, origin)
    assert resident(CPU, again, dict(origin)) is first
    other = resident(CPU, samples, origin | {"fingerprint": "abd"})
    assert other is not first
    assert resident(CPU, samples, {}) is not resident(CPU, samples, {})


def test_copies_of_samples_are_shared_while_used_and_then_released_but_for_the_latest() -> None:
    samples = Samples(cases([(1, 4, 4), (1, 4, 4)], 1))
    folds = [{"source": "shapes", "fold": fold} for fold in range(2)]
    used = [resident(CPU, samples, fold) for fold in folds]
    pixels = [data._images.untyped_storage().data_ptr() for data in used]
    again = [resident(CPU, samples, fold) for fold in folds]
    assert [data._images.untyped_storage().data_ptr() for data in again] == pixels
    gone = [weakref.ref(data) for data in used]
    used.clear()
    again.clear()
    assert gone[0]() is None
    assert gone[1]() is resident(CPU, samples, folds[1])


def test_boxes_are_the_voxels_of_the_arrays_with_zeros_around() -> None:
    [case] = cases([(3, 4, 5)], 2)
    samples = Samples([case], volumes=True)
    images, labels = MappedData(samples, CPU).boxes([0], [[-1, 2, 0]], [3, 3, 4])
    assert images.shape == (1, 2, 3, 3, 4)
    assert labels.shape == (1, 1, 3, 3, 4)
    np.testing.assert_array_equal(images[0, :, 1:, :2], case.images.swapaxes(0, 1)[:, :2, 2:, :4])
    np.testing.assert_array_equal(labels[0, 0, 1:, :2], case.labels[:2, 2:, :4])
    assert not images[0, :, 0].any()
    assert not images[0, :, :, 2].any()
    assert not labels[0, 0, 0].any()


@pytest.mark.parametrize("places", [[(0, 0), (0, 1), (1, 0), (1, 1)], [(1, 1), (0, 1), (0, 1)]])
def test_batches_made_ahead_are_those_made_when_asked_for(places: list[tuple[int, int]]) -> None:
    samples = Samples(cases([(1, 20, 20)] * 4, 1))
    asked = AugmentationSettings.model_validate({"rotation": {"probability": 0.5}})
    source = TrainingBatches(
        samples,
        MonaiTrainer(batch_size=2),
        Augmentation(asked, "zscore", samples, seed=0),
        seed=0,
        patch=(16, 16),
        divisor=(1, 1),
    )
    ahead = BatchAhead(source.batch, source.steps, CPU)
    for place in places:
        made, expected = ahead.batch(*place), source.batch(*place)
        assert torch.equal(made.images, expected.images)
        assert torch.equal(made.labels, expected.labels)
        assert made.cases == expected.cases


def test_an_error_while_a_batch_is_made_ahead_is_raised_when_it_is_asked_for() -> None:
    def broken(epoch: int, step: int) -> None:
        raise OSError(f"epoch {epoch}, step {step}")

    ahead = BatchAhead(broken, 2, CPU)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="epoch 0, step 0"):
        ahead.batch(0, 0)
