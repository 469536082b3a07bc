"""The brain: slabs that stay apart, and slices that are the template's own."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.nnunet_raw.splits import read_splits
from sweep.data.prepared.prepare import prepare
from sweep.data.sources import brain
from sweep.data.sources.brain import BRAIN_SLICES, blocks, held_out_slab, slabs, write_brain
from sweep.data.sources.source_table import check_data
from sweep.spec.settings.data_settings import BrainData, DataSettings


def only_mistake(settings: DataSettings) -> str:
    (mistake,) = check_data(settings)
    return str(mistake)


NILEARN_IS_THERE = importlib.util.find_spec("nilearn") is not None
needs_nilearn = pytest.mark.skipif(not NILEARN_IS_THERE, reason="needs the extra `brain`")


@given(st.integers(4, 60), st.integers(0, 30), st.integers(1, 5))
def test_slabs_are_a_gap_apart_and_lie_on_both_sides(validation_slices, gap, step):
    settings = BrainData(
        source="brain", validation_slices=validation_slices, gap=gap, step=step, folds=2
    )
    training, validation = slabs(settings)
    assert set(training) | set(validation) <= set(BRAIN_SLICES)
    assert min(abs(t - v) for t in training for v in validation) > gap
    assert min(training) < min(validation) <= max(validation) < max(training)
    assert max(validation) - min(validation) < validation_slices
    below = sum(t < validation[0] for t in training)
    assert abs(2 * below - len(training)) <= 1


@needs_nilearn
def test_slices_are_the_templates_own(tmp_path):
    from nilearn.datasets import load_mni152_template, load_mni152_wm_template

    settings = BrainData(source="brain", step=8, threshold=0.6)
    write_brain(tmp_path / "brain", settings)
    dataset = open_raw(tmp_path / "brain")
    training, validation = slabs(settings)
    assert dataset.cases == tuple(f"mni152_z{z:03d}" for z in sorted(training + validation))
    assert read_splits(dataset.folder, dataset.cases) == (
        (
            tuple(f"mni152_z{z:03d}" for z in training),
            tuple(f"mni152_z{z:03d}" for z in validation),
        ),
    )
    z = validation[0]
    image, label = load_case(dataset, f"mni152_z{z:03d}")
    t1 = load_mni152_template(resolution=1)
    np.testing.assert_allclose(image[0] / 255, t1.get_fdata()[:, :, z], atol=1e-6)
    white_matter = load_mni152_wm_template(resolution=1).get_fdata()
    np.testing.assert_array_equal(label, white_matter[:, :, z] >= 0.6)


@needs_nilearn
def test_slice_keeps_its_place_in_the_brain(tmp_path):
    import nibabel
    from nilearn.datasets import load_mni152_template

    write_brain(tmp_path / "brain", BrainData(source="brain", step=20))
    affine = load_mni152_template(resolution=1).affine
    for path in (tmp_path / "brain" / "labelsTr").iterdir():
        z = int(path.name.removeprefix("mni152_z").removesuffix(".nii.gz"))
        expected = affine @ [0, 0, z, 1]
        np.testing.assert_array_equal(nibabel.load(path).affine @ [0, 0, 0, 1], expected)


@needs_nilearn
def test_slices_that_hold_brain_are_known_without_nilearn():
    t1 = brain._template(BrainData(source="brain")).t1
    held = np.flatnonzero((t1 > 0).sum(axis=(0, 1)) >= brain._LEAST_BRAIN)
    assert range(held[0], held[-1] + 1) == BRAIN_SLICES
    assert len(held) == len(BRAIN_SLICES)


def test_missing_nilearn_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = only_mistake(BrainData(source="brain"))
    assert "pip install 'medical-sweep[brain]'" in message


@needs_nilearn
def test_slab_that_leaves_nothing_to_train_on_is_told():
    message = only_mistake(BrainData(source="brain", validation_slices=100, gap=30))
    assert message.startswith("data.validation_slices: 100 validation slices with a gap of 30")


@needs_nilearn
def test_brain_has_one_fold():
    message = only_mistake(BrainData(source="brain", fold=1))
    assert message == "data.fold: the brain has one fixed split: 0, not 1"


@needs_nilearn
def test_blocks_are_the_templates_own_with_their_place_and_spacing(tmp_path):
    import nibabel
    from nilearn import datasets

    settings = BrainData(
        source="brain", spatial="volumes", tissues="both", step=3, validation_slices=24, test=0.15
    )
    write_brain(tmp_path / "brain", settings)
    t1 = datasets.load_mni152_template(resolution=1)
    white, grey = (
        getattr(datasets, f"load_mni152_{tissue}_template")(resolution=1).get_fdata()
        for tissue in ("wm", "gm")
    )
    paths = [*(tmp_path / "brain").glob("images*/*.nii.gz")]
    assert len(paths) > 20
    for path in paths:
        image = nibabel.load(path)
        assert image.header.get_zooms() == (1, 1, 3)
        x, y, z = np.rint(np.linalg.inv(t1.affine) @ image.affine[:, 3])[:3].astype(int)
        place = (slice(x, x + image.shape[0]), slice(y, y + image.shape[1]))
        place += (slice(z, z + 3 * image.shape[2], 3),)
        np.testing.assert_allclose(image.get_fdata() / 255, t1.get_fdata()[place], atol=1e-6)
        folder = path.parent.with_name(path.parent.name.replace("images", "labels"))
        label = np.asarray(nibabel.load(folder / path.name.replace("_0000", "")).dataobj)
        np.testing.assert_array_equal(label == 1, white[place] >= 0.5)
        np.testing.assert_array_equal(label == 2, grey[place] >= 0.5)


@needs_nilearn
@pytest.mark.parametrize(("step", "gap"), [(1, 4), (2, 8), (3, 8)])
def test_blocks_of_two_sides_do_not_touch(tmp_path, step, gap):
    settings = BrainData(source="brain", spatial="volumes", step=step, gap=gap, test=0.15)
    box = (slice(26, 171), slice(27, 208))
    training, validation = slabs(settings)
    sides = [
        blocks(side, settings, box) for side in (training, validation, held_out_slab(settings))
    ]
    layers = [{z for block in side for z in range(*block.z.indices(189))} for side in sides]
    assert layers == [set(training), set(validation), set(held_out_slab(settings))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert min(abs(a - b) for a in layers[one] for b in layers[other]) > gap
    # Four quarters of each part; validation and test are a part each.
    assert [len(side) for side in sides[1:]] == [4, 4]
    assert len(sides[0]) % 4 == 0
    assert len(sides[0]) >= 12


@needs_nilearn
def test_brain_as_volumes_has_several_cases_a_side_and_both_tissues_in_each(tmp_path):
    settings = BrainData(source="brain", spatial="volumes", tissues="both")
    data = prepare(settings, tmp_path)
    assert data.classes == ("background", "white_matter", "grey_matter")
    assert (len(data.training), len(data.validation)) == (22, 4)
    assert data.spacing == (2, 1, 1)
    for case in (*data.training.case_arrays, *data.validation.case_arrays):
        assert case.foreground == (1, 2)
    slices = prepare(settings.model_copy(update={"spatial": "slices"}), tmp_path)
    assert slices.training.cases[0] == "mni152_z009"


@needs_nilearn
def test_geometric_class_that_the_brain_has_not_is_told():
    message = only_mistake(BrainData(source="brain", geometric_class="grey_matter"))
    assert message.startswith("data.geometric_class: 'grey_matter' is not a class of the dataset")
