"""The key `confirm`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sweep.analysis.effective_settings import read_spec
from sweep.data.sources.shape_images import write_shapes
from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.replicate_plan import blocks, least_replicates, most_replicates
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


def test_every_block_has_a_further_seed_of_its_own_from_the_sweeps_own_fold_on(
    tmp_path: Path,
) -> None:
    text = "seed: 7\ndata: {source: shapes, folds: 3, fold: 2}\nconfirm: {seeds: 2, folds: 2}\n"
    spec = loaded(tmp_path, text)
    assert blocks(spec) == [(8, 2), (1008, 0), (9, 2), (1009, 0)]
    assert most_replicates(spec) == 5 * 4
    assert most_replicates(loaded(tmp_path, text + "presets: [baseline]\n")) == 6 * 4
    assert most_replicates(loaded(tmp_path, text + "trials: 3\n")) == 3 * 4


NNUNET = "trainer: {kind: nnunet, dataset: 502, fold: "


@pytest.mark.parametrize(
    ("confirm", "rest", "seeds_and_folds"),
    [
        # Nothing is said of seeds and folds: one seed on every fold, from three folds on.
        ("{}", "", (1, 5)),
        ("{top: 2}", "data: {source: shapes, folds: 3}\n", (1, 3)),
        ("{}", "data: {source: shapes, folds: 2}\n", (5, 1)),
        ("{}", "data: {source: brain}\n", (5, 1)),
        ("{}", f"{NNUNET}2}}\n", (1, 5)),
        ("{}", f"{NNUNET}all}}\n", (5, 1)),
        ("{}", "trainer: {kind: custom, entry: 'a.b:c'}\n", (5, 1)),  # of unknown data
        # What was written before means what it meant.
        ("{seeds: 4}", "", (4, 1)),
        ("{folds: 2}", "", (5, 2)),
        ("{seeds: 2, folds: 3}", "", (2, 3)),
        ("{seeds: 1, folds: 3}", "", (1, 3)),
    ],
)
def test_replicates_run_over_folds_unless_seeds_or_folds_are_given(
    confirm: str, rest: str, seeds_and_folds: tuple[int, int]
) -> None:
    text = f"confirm: {confirm}\nname: x\n{rest}{SPACE}"
    spec = SweepSpec.model_validate(YAML(typ="safe", pure=True).load(text))
    assert spec.confirm is not None
    assert spec.confirm.blocks == seeds_and_folds
    assert len(blocks(spec)) == seeds_and_folds[0] * seeds_and_folds[1]


def test_effective_spec_has_the_numbers_and_reads_back_the_same(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "confirm: {top: 2}\n")
    text = to_yaml(spec)
    assert "confirm:\n  top: 2\n  seeds: 1\n  folds: 5\n" in text
    (tmp_path / "again.yaml").write_text(text)
    assert load_sweep(tmp_path / "again.yaml") == spec


@pytest.mark.parametrize(
    ("confirm", "races"),
    [
        ("{seeds: 4}", False),
        ("{seeds: 5}", True),
        ("{seeds: 2, folds: 3}", True),
        ("{top: 2}", True),  # one seed on each of five folds
        ("{seeds: 3, race: true}", True),
        ("{seeds: 9, race: false}", False),
    ],
)
def test_finalists_race_from_five_blocks_on_unless_it_is_said(
    tmp_path: Path, confirm: str, races: bool
) -> None:
    spec = loaded(tmp_path, f"confirm: {confirm}\n")
    assert spec.confirm is not None
    assert spec.confirm.race is races


def test_race_takes_at_least_two_blocks_and_at_most_all_or_its_budget(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "confirm: {seeds: 8}\n")
    assert (least_replicates(spec), most_replicates(spec)) == (10, 40)
    spec = loaded(tmp_path, "confirm: {seeds: 8, budget: 17}\n")
    assert (least_replicates(spec), most_replicates(spec)) == (10, 17)
    spec = loaded(tmp_path, "confirm: {seeds: 8, race: false}\n")
    assert (least_replicates(spec), most_replicates(spec)) == (40, 40)
    spec = loaded(tmp_path, "confirm: {top: 1, seeds: 8}\n")  # it has nobody to race against
    assert (least_replicates(spec), most_replicates(spec)) == (8, 8)


def test_results_of_before_there_were_races_are_read_without_one(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "confirm: {seeds: 6}\n")
    text = to_yaml(spec)
    (tmp_path / "sweep.yaml").write_text(text)
    assert read_spec(tmp_path).confirm == spec.confirm
    before = text.replace("  race: true\n", "").replace("  budget: null\n", "")
    (tmp_path / "sweep.yaml").write_text(before)
    confirm = read_spec(tmp_path).confirm
    assert before != text
    assert confirm is not None
    assert (confirm.race, confirm.blocks) == (False, (6, 1))


def test_results_of_before_every_fold_had_its_own_seeds_share_them(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "data: {source: shapes, folds: 3}\nconfirm: {seeds: 1, folds: 3}\n")
    (tmp_path / "sweep.yaml").write_text(to_yaml(spec).replace("seed_per_fold: true\n", ""))
    assert blocks(spec) == [(1, 0), (1001, 1), (2001, 2)]
    assert blocks(read_spec(tmp_path)) == [(1, 0), (1, 1), (1, 2)]


def test_seeds_beyond_the_largest_begin_again(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "seed: 2147483647\nconfirm: {seeds: 5}\n")
    assert [seed for seed, _ in blocks(spec)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("confirm: {seeds: 0}\n", "x.yaml:1: confirm.seeds: must be at least 1 or null, but is 0"),
        (
            "confirm: {seeds: 1}\n",
            "x.yaml:1: confirm.seeds: must be at least 2 on one fold, but is",
        ),
        ("confirm: {seed: 3}\n", "did you mean `seeds`?"),
        ("confirm: {folds: 6}\n", "confirm.folds: must be at most 5, the folds of the data"),
        (
            "confirm: {folds: 2}\ndata: {source: brain}\n",
            "confirm.folds: must be at most 1, the folds of the data",
        ),
        (
            "confirm: {seeds: 8, budget: 9}\n",
            "x.yaml:1: confirm.budget: must be at least 10, two trainings for each of 5 finalists,"
            " but is 9",
        ),
        (
            "confirm: {seeds: 8, race: false, budget: 20}\n",
            "x.yaml:1: confirm.budget: only a race has a budget: set `confirm.race` to true",
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
    text = f"data: {{source: nnunet_raw, folder: {raw}}}\nconfirm: {{}}\n"
    with pytest.raises(InputError, match=r"counted from 0; it must be at most 1 here"):
        loaded(tmp_path, text)
