"""The key `confirm`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.data.sources.shape_images import write_shapes
from sweep.spec.load import load_sweep
from sweep.spec.search.replicate_plan import blocks, most_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import ShapesData
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError

SPACE = "space: {optimizer.lr: {uniform: [0.1, 0.2]}}\n"


def loaded(folder: Path, text: str) -> SweepSpec:
    file = folder / "x.yaml"
    file.write_text(text if "space" in text else text + SPACE)
    return load_sweep(file, check_data=TrainerCheck())


def test_nothing_is_confirmed_unless_it_is_asked_for(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "trials: 4\n")
    assert spec.confirm is None
    assert (blocks(spec), most_replicates(spec)) == ([], 0)


def test_seeds_are_further_ones_each_on_all_folds_from_the_sweeps_own_on(tmp_path: Path) -> None:
    text = "seed: 7\ndata: {source: shapes, folds: 3, fold: 2}\nconfirm: {seeds: 2, folds: 2}\n"
    spec = loaded(tmp_path, text)
    assert blocks(spec) == [(8, 2), (8, 0), (9, 2), (9, 0)]
    assert most_replicates(spec) == 5 * 4
    assert most_replicates(loaded(tmp_path, text + "presets: [baseline]\n")) == 6 * 4
    assert most_replicates(loaded(tmp_path, text + "trials: 3\n")) == 3 * 4


def test_seeds_beyond_the_largest_begin_again(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "seed: 2147483647\nconfirm: {}\n")
    assert [seed for seed, _ in blocks(spec)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("confirm: {seeds: 1}\n", "x.yaml:1: confirm.seeds: must be at least 2, but is 1"),
        ("confirm: {seed: 3}\n", "did you mean `seeds`?"),
        ("confirm: {folds: 6}\n", "confirm.folds: must be at most 5, the folds of the data"),
        (
            "confirm: {folds: 2}\ndata: {source: brain}\n",
            "confirm.folds: must be at most 1, the folds of the data",
        ),
        (
            "confirm: {}\nspace: {seed: {randint: [0, 9]}}\n",
            "replicates differ only in seed and fold, so `seed` cannot be searched too",
        ),
    ],
)
def test_what_contradicts_it_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        loaded(tmp_path, text)
    assert told in str(error.value)


def test_fold_that_the_datas_own_splits_do_not_have_is_told(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_shapes(raw, ShapesData(size=32, count=5))
    named = sorted(path.stem for path in (raw / "labelsTr").iterdir())
    (raw / "splits_final.json").write_text(json.dumps([{"train": named[1:], "val": named[:1]}]))
    text = f"data: {{source: nnunet_raw, folder: {raw}}}\nconfirm: {{folds: 2}}\n"
    with pytest.raises(InputError, match=r"confirm\.folds: there is no fold 1: splits_final"):
        loaded(tmp_path, text)
