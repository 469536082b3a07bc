"""What a network's training data decide about further images: it is kept beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from sweep.data.files.nnunet_normalize import DatasetIntensities
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples, Spacing
from sweep.store.files import parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts(Labelled):
    """Facts of training data that their settings alone do not tell.

    With them and the settings, images are read as the training images were, without these.

    Args:
        channels: names of the image channels.
        file_ending: of the images.
        slice_axis: axis along which volumes are cut, after reorientation to RAS.
        target: spacing that images are resampled to; None: they are not.
        sample_shape: the largest training sample along each axis, ``[(D,) H, W]``.
        sample_spacing: of the training data along these axes (`PreparedData.spacing`); None if
            unknown.
        intensities: by which images are normalised (`data.normalization: nnunet`).
    """

    channels: tuple[str, ...]
    file_ending: str
    slice_axis: int
    target: Spacing | None = None
    sample_shape: tuple[int, ...]
    sample_spacing: Spacing | None = None
    intensities: DatasetIntensities | None = None

    @classmethod
    def of(cls, data: PreparedData) -> Self:
        """The facts of prepared data, which come from a source."""
        training = data.training
        shapes = [case.labels.shape for case in training.case_arrays]
        target = data.origin.get("spacing")
        return cls(
            channels=data.channels,
            classes=data.classes,
            file_ending=data.file_ending,
            slice_axis=data.origin.get("slice_axis", 2),
            ignore=data.ignore,
            target=None if target is None else tuple(target),
            sample_shape=tuple(np.max(shapes, axis=0).tolist())[0 if training.volumes else 1 :],
            sample_spacing=data.spacing,
            regions=data.regions,
            intensities=data.intensities,
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; raises ValueError for anything else."""
        return parsed(cls, values)

    def to_json(self) -> dict[str, Any]:
        """As plain values, lists in the place of tuples."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    def stand_in(self) -> PreparedData:
        """Data of the same kind with one empty training sample.

        A run that is made of them has the same network and trains nothing. No label is ignored: a
        prediction says something of every voxel.
        """
        volumes = len(self.sample_shape) == 3
        shape = self.sample_shape if volumes else (1, *self.sample_shape)  # [S, H, W]
        images = (shape[0], len(self.channels), *shape[1:])
        blank = CaseArrays(
            name="",
            # Without memory of their own.
            images=np.broadcast_to(np.zeros((), np.float32), images),
            labels=np.broadcast_to(np.zeros((), np.uint8), shape),
            foreground=(),
            spacing=self.sample_spacing,
        )
        return PreparedData(
            channels=self.channels,
            classes=self.classes,
            geometric_classes=(1,),
            training=Samples([blank], volumes=volumes),
            validation=Samples([], volumes=volumes),
            file_ending=self.file_ending,
            regions=self.regions,
        )
