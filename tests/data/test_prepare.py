"""From source to samples: exact, shared without copying, and never a traceback."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_dataset import write_cases

from sweep.data.nnunet_raw.labels import geometric_labels
from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.data.prepared.unfit_data import class_doubts
from sweep.data.sources.source_table import check_data, open_source
from sweep.spec.settings.data_settings import DataSettings, NnunetRawData, ShapesData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind_table import make_ready
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError


def only_mistake(settings: DataSettings) -> str:
    (mistake,) = check_data(settings)
    return str(mistake)


RNG = np.random.default_rng(11)
SMALL = ShapesData(count=6, size=32, folds=2)


def raw(folder: Path, **changes: object) -> NnunetRawData:
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **{"folds": 2, **changes})


def by_case(data: PreparedData) -> dict[str, list]:
    found: dict[str, list] = {}
    for sample in [*data.training, *data.validation]:
        found.setdefault(sample.case, []).append(sample)
    return found


def base_of(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def write_volumes(folder: Path, shapes: list[tuple[int, int, int]]) -> dict[str, RawCase]:
    cases = {
        f"v{index}": RawCase(
            f"v{index}",
            RNG.normal(5, 3, size=(2, *shape)).astype(np.float32),
            RNG.integers(0, 3, shape, dtype=np.uint8),
        )
        for index, shape in enumerate(shapes)
    }
    write_cases(folder, cases.values(), "inner", "outer", channels=["T1", "T2"])
    return cases


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_are_normalised_whole_and_cut_along_the_chosen_axis(tmp_path, axis):
    cases = write_volumes(tmp_path / "set", [(4, 5, 6), (7, 5, 3), (2, 3, 4)])
    data = prepare(raw(tmp_path / "set", slice_axis=axis), tmp_path / "cache")
    assert data.channels == ("T1", "T2")
    assert data.classes == ("background", "inner", "outer")
    found = by_case(data)
    assert found.keys() == cases.keys()
    for name, case in cases.items():
        wide = case.image.astype(np.float64)
        mean = wide.mean(axis=(1, 2, 3), keepdims=True)
        expected = (wide - mean) / wide.std(axis=(1, 2, 3), keepdims=True)
        assert len(found[name]) == case.label.shape[axis]
        for index, sample in enumerate(found[name]):
            np.testing.assert_allclose(
                sample.image, expected.take(index, axis=axis + 1), rtol=1e-5, atol=1e-5
            )
            np.testing.assert_array_equal(sample.label, case.label.take(index, axis=axis))


def test_minmax_brings_each_channel_to_the_unit_interval(tmp_path):
    cases = write_volumes(tmp_path / "set", [(4, 5, 6), (7, 5, 3)])
    settings = raw(tmp_path / "set", normalization="minmax")
    for name, samples in by_case(prepare(settings, tmp_path / "cache")).items():
        image = np.stack([sample.image for sample in samples], axis=-1)
        wide = cases[name].image
        low, high = (f(wide, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        np.testing.assert_allclose(image, (wide - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize("normalization", ["zscore", "minmax"])
def test_constant_channel_becomes_zero_and_never_nan(tmp_path, normalization):
    label = np.ones((8, 8), np.uint8)
    cases = [RawCase(name, np.full((1, 8, 8), 77, np.uint8), label) for name in "abcd"]
    write_cases(tmp_path / "set", cases, "all", ending=".png")
    data = prepare(raw(tmp_path / "set", normalization=normalization), tmp_path / "cache")
    for sample in data.training:
        np.testing.assert_array_equal(sample.image, np.zeros((1, 8, 8), np.float32))


def test_samples_are_read_only_views_of_one_mapped_file(tmp_path):
    data = prepare(SMALL, tmp_path)
    bases = {id(base_of(sample.image)) for sample in [*data.training, *data.validation]}
    assert len(bases) == 1
    base = base_of(data.training[0].image)
    assert isinstance(base, np.memmap)
    for sample in data.training:
        assert np.shares_memory(sample.image, base)
        assert sample.image.flags.c_contiguous
        for array in (sample.image, sample.label):
            assert not array.flags.owndata
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_samples_are_a_sequence(tmp_path):
    samples = prepare(SMALL, tmp_path).training
    assert isinstance(samples, Samples)
    assert len(samples) == len(list(samples)) == 3
    assert samples[-1].case == samples.cases[-1] == samples[1:][1].case
    with pytest.raises(IndexError):
        samples[3]


def test_no_case_stands_on_both_sides_in_any_fold(tmp_path):
    write_volumes(tmp_path / "set", [(3, 4, 5)] * 5)
    held_out = []
    for fold in range(3):
        data = prepare(raw(tmp_path / "set", folds=3, fold=fold), tmp_path / "cache")
        assert not set(data.training.cases) & set(data.validation.cases)
        held_out += data.validation.cases
    assert sorted(held_out) == ["v0", "v1", "v2", "v3", "v4"]


def test_folds_share_one_cache_entry_and_pixels_do_not(tmp_path):
    for settings in (
        SMALL,
        SMALL.model_copy(update={"fold": 1, "folds": 3, "patch_size": 16}),
        SMALL.model_copy(update={"normalization": "minmax"}),
    ):
        prepare(settings, tmp_path)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_changed_dataset_is_read_again(tmp_path, write_grey):
    folder = write_grey()
    before = prepare(raw(folder), tmp_path / "cache").training[0]
    path = folder / "imagesTr" / f"{before.case}_0000.png"
    other = folder / "imagesTr" / "case_9_0000.png"
    path.replace(other)
    (folder / "imagesTr" / "case_1_0000.png").replace(path)
    other.replace(folder / "imagesTr" / "case_1_0000.png")
    after = prepare(raw(folder), tmp_path / "cache").training[0]
    assert after.case == before.case
    assert not np.array_equal(after.image, before.image)


def test_datasets_own_split_is_taken(tmp_path, write_grey):
    folder = write_grey()
    entries = [{"train": ["case_5", "case_0"], "val": ["case_3"]}]
    (folder / "splits_final.json").write_text(json.dumps(entries))
    data = prepare(raw(folder), tmp_path / "cache")
    assert data.training.cases == ("case_5", "case_0")
    assert data.validation.cases == ("case_3",)
    message = only_mistake(raw(folder, fold=1))
    assert message.startswith("data.fold: there is no fold 1: splits_final.json has 1")


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, 1), ("inner", 1), ("outer", 2), (1, 1), (2, 2)]
)
def test_geometric_class_is_found_by_name_or_number(tmp_path, wanted, expected):
    write_volumes(tmp_path / "set", [(3, 4, 5)] * 2)
    settings = raw(tmp_path / "set", geometric_class=wanted)
    assert prepare(settings, tmp_path / "cache").geometric_classes == (expected,)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(["outer", 1], (2, 1)), (["inner"], (1,)), ("all", (1, 2))],
)
def test_several_geometric_classes_are_found_in_the_order_of_their_names(
    tmp_path, wanted, expected
):
    write_volumes(tmp_path / "set", [(3, 4, 5)] * 2)
    settings = raw(tmp_path / "set", geometric_class=wanted)
    assert prepare(settings, tmp_path / "cache").geometric_classes == expected


def test_class_that_is_called_all_is_that_class():
    assert geometric_labels({"background": 0, "core": 1, "all": 2}, "all") == (2,)


def test_class_in_capital_letters_is_proposed_for_small_ones():
    with pytest.raises(InputError, match="did you mean `MYO`"):
        geometric_labels({"background": 0, "LV": 1, "MYO": 2}, "myo")


def test_class_that_is_named_twice_is_told(tmp_path):
    write_volumes(tmp_path / "set", [(3, 4, 5)] * 2)
    message = only_mistake(raw(tmp_path / "set", geometric_class=["inner", 2, 1]))
    assert message == "data.geometric_class: names the class 'inner' twice, also as 1"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("iner", "'iner' is not a class of the dataset; did you mean `inner`?"),
        (3, "3 is not a class of the dataset"),
        (0, "0 is the background"),
        ("background", "'background' is the background"),
    ],
)
def test_unknown_geometric_class_is_told_with_the_near_miss(tmp_path, wanted, expected):
    write_volumes(tmp_path / "set", [(3, 4, 5)] * 2)
    settings = raw(tmp_path / "set", geometric_class=wanted)
    message = only_mistake(settings)
    assert expected in message
    assert "(its classes: inner (1), outer (2))" in message
    with pytest.raises(InputError, match="geometric_class"):
        prepare(settings, tmp_path / "cache")


@pytest.mark.parametrize(("empty", "side"), [("val", "validation"), ("train", "training")])
def test_side_without_any_foreground_is_told(tmp_path, empty, side):
    label = np.ones((8, 8), np.uint8)
    names = {"train": ("a", "b"), "val": ("c", "d")}
    write_cases(
        tmp_path / "set",
        [
            RawCase(name, np.zeros((1, 8, 8), np.uint8), label * (part != empty))
            for part, cases in names.items()
            for name in cases
        ],
        "dot",
        ending=".png",
        splits=[(names["train"], names["val"])],
    )
    with pytest.raises(InputError, match=f"none of the 2 {side} cases has a pixel of dot"):
        prepare(raw(tmp_path / "set"), tmp_path / "cache")


def test_every_damaged_file_is_told_and_nothing_is_kept(tmp_path, write_grey):
    folder = write_grey()
    for case in ("case_1", "case_4"):
        (folder / "imagesTr" / f"{case}_0000.png").write_bytes(b"not a picture")
    with pytest.raises(InputError) as caught:
        prepare(raw(folder), tmp_path / "cache")
    assert [Path(mistake.file).name for mistake in caught.value.mistakes] == [
        "case_1_0000.png",
        "case_4_0000.png",
    ]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


@pytest.mark.parametrize("name", ["with space", "Größe-脑-🧠"])
def test_dataset_and_cache_may_lie_under_any_name(tmp_path, write_grey, name):
    data = prepare(raw(write_grey(name=name)), tmp_path / f"{name} cache")
    assert len(data.training) + len(data.validation) == 6


def test_fewer_images_than_folds_are_told(tmp_path):
    settings = ShapesData(count=5, folds=6)
    message = only_mistake(settings)
    assert message == "data.folds: 5 cases cannot be split into 6 folds"
    with pytest.raises(InputError, match=r"data\.folds"):
        prepare(settings, tmp_path)


def test_mistakes_of_settings_and_dataset_are_told_together(write_grey):
    messages = [str(m) for m in check_data(raw(write_grey(), folds=7, geometric_class="dott"))]
    assert [message.split(":")[0] for message in messages] == [
        "data.folds",
        "data.geometric_class",
    ]


def test_sound_settings_have_no_mistakes(write_grey):
    assert check_data(ShapesData()) == []
    assert check_data(raw(write_grey())) == []


def test_checking_and_a_warm_cache_import_neither_torch_nor_monai(tmp_path, write_grey):
    folder = write_grey()
    prepare(raw(folder), tmp_path / "cache")
    script = """
import sys
from pathlib import Path
from sweep.data.sources.source_table import check_data
from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.data_settings import BrainData, NnunetRawData
settings = NnunetRawData(source="nnunet_raw", folder=sys.argv[1], folds=2)
check_data(BrainData(source="brain")), check_data(settings), prepare(settings, Path(sys.argv[2]))
heavy = {"torch", "monai", "ray", "pandas", "nibabel", "nilearn"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script, folder, tmp_path / "cache"], check=True)


def sum_of_pixels(cache: Path) -> float:
    return sum(float(sample.image.sum()) for sample in prepare(SMALL, cache).training)


def put_sum_of_pixels(cache: Path, together: Any, sums: Any) -> None:
    together.wait()
    sums.put(sum_of_pixels(cache))


# Python 3.12 warns where the process has threads, of which none does anything here.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_two_processes_at_once_prepare_the_same_data(tmp_path):
    alone = sum_of_pixels(tmp_path / "alone")
    fork = multiprocessing.get_context("fork")  # after torch was imported, which takes seconds
    together, sums = fork.Barrier(2), fork.SimpleQueue()
    processes = [
        fork.Process(target=put_sum_of_pixels, args=(tmp_path / "cache", together, sums))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sums.get() == sums.get() == alone
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


def write_classes(folder: Path, held: dict[str, set[int]], splits: Any = None) -> Path:
    """A dataset of which each case holds these classes: 1 `dot`, 2 `rare`."""

    def label(values: set[int]) -> np.ndarray:
        found = np.zeros((16, 16), np.uint8)
        for value in values:
            found[3 * value : 3 * value + 2, 4:9] = value
        return found

    write_cases(
        folder,
        [
            RawCase(name, label(values)[None] * (90 + n), label(values))
            for n, (name, values) in enumerate(held.items())
        ],
        "dot",
        "rare",
        ending=".png",
        splits=splits,
    )
    return folder


def test_class_that_a_side_never_sees_is_told_with_counts(tmp_path):
    held = {"a": {1}, "b": {1}, "c": {1, 2}, "d": {1, 2}}
    folder = write_classes(tmp_path / "set", held, splits=[(("a", "b"), ("c", "d"))])
    assert prepare(raw(folder), tmp_path / "cache").warnings == (
        "`rare` is in 0 of 2 training and 2 of 2 validation cases: it cannot be learnt in"
        " this fold",
    )
    folder = write_classes(tmp_path / "other", held, splits=[(("c", "d"), ("a", "b"))])
    assert prepare(raw(folder), tmp_path / "cache").warnings == (
        "`rare` is in 2 of 2 training and 0 of 2 validation cases: it is not evaluated in this"
        " fold",
    )
    folder = write_classes(tmp_path / "third", held, splits=[(("a", "c"), ("b", "d"))])
    assert prepare(raw(folder), tmp_path / "cache").warnings == ()


def test_of_many_classes_that_a_side_never_sees_three_are_counted_and_the_rest_named():
    blank = np.zeros((1, 8, 8), np.uint8)
    sides = {
        side: [CaseArrays(side, np.zeros((1, 1, 8, 8), np.float32), blank, tuple(held))]
        for side, held in (("training", range(1, 6)), ("validation", range(6, 14)))
    }
    *_, third, _, _, last = class_doubts(sides, ["background", *(f"c{n}" for n in range(1, 14))])
    assert third == (
        "`c8` is in 0 of 1 training and 1 of 1 validation cases: it cannot be learnt in this fold."
        " Likewise `c9`, `c10`, `c11`, `c12`, `c13`"
    )
    assert last == (
        "`c3` is in 1 of 1 training and 0 of 1 validation cases: it is not evaluated in this fold."
        " Likewise `c4`, `c5`"
    )


def test_geometric_class_that_no_training_case_holds_is_refused_where_a_loss_acts_on_it(tmp_path):
    held = {"a": {1}, "b": {1}, "c": {1}, "d": {1, 2}}
    splits = [(("a", "b"), ("c", "d"))]
    data = raw(write_classes(tmp_path / "set", held, splits), geometric_class="rare")
    network = {"channels": [4, 8]}
    acts = TrialSettings.model_validate({"data": data, "network": network | {"name": "unet"}})
    with pytest.raises(InputError) as caught:
        make_ready(acts)
    assert str(caught.value) == (
        "data.geometric_class: the geometric losses act on `rare`, which is in 0 of 2 training and"
        " 1 of 2 validation cases: choose another class or fold, or set all of loss.weights to 0"
    )
    look = TrainerCheck(pixels=True)
    assert [str(mistake) for mistake in look(acts)] == [str(caught.value)]
    none = acts.loss.weights.model_validate(dict.fromkeys(type(acts.loss.weights).model_fields, 0))
    rests = acts.model_copy(update={"loss": acts.loss.model_copy(update={"weights": none})})
    assert look(rests) == []
    assert make_ready(rests) is not None


def test_geometric_classes_are_refused_only_where_no_training_case_holds_any_of_them(tmp_path):
    held = {"a": {1}, "b": {1}, "c": {1}, "d": {1, 2}}
    folder = write_classes(tmp_path / "set", held, splits=[(("a", "b"), ("c", "d"))])
    network = {"name": "unet", "channels": [4, 8]}

    def told(wanted: Any) -> list[str]:
        data = raw(folder, geometric_class=wanted)
        settings = TrialSettings.model_validate({"data": data, "network": network})
        return [str(mistake) for mistake in TrainerCheck(pixels=True)(settings)]

    assert told("all") == told(["dot", "rare"]) == []
    [message] = told(["rare"])
    assert "the geometric losses act on `rare`, which is in 0 of 2 training" in message


def test_sides_without_foreground_are_told_together(tmp_path):
    held = {"a": set[int](), "b": set[int]()}
    folder = write_classes(tmp_path / "set", held, splits=[(("a",), ("b",))])
    with pytest.raises(InputError) as caught:
        prepare(raw(folder), tmp_path / "cache")
    assert [m.message.partition(" has")[0] for m in caught.value.mistakes] == [
        "none of the 1 training cases",
        "none of the 1 validation cases",
    ]


def test_subjects_on_both_sides_are_told_by_names_alone(tmp_path):
    held = {f"sub-{n}_ses-{m}": {1, 2} for n in (1, 2) for m in (1, 2)}
    splits = [(tuple(held)[::2], tuple(held)[1::2])]
    settings = TrialSettings(data=raw(write_classes(tmp_path / "set", held, splits)))
    look = TrainerCheck(pixels=False)
    assert look(settings) == []
    [told] = look.warnings
    assert told.startswith("2 of 2 validation cases have another image of the same subject in tr")
    with_test = settings.model_copy(update={"data": raw(tmp_path / "set", test=0.25)})
    told = "\n".join(map(str, open_source(with_test.data).doubts()))
    assert "1 of 1 test cases has another image" in told
