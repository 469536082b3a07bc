"""The key `replicate`."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_confirm import loaded

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.search.replicate_plan import (
    blocks,
    further_folds,
    most_replicates_in_search,
    search_blocks,
)
from sweep.vocabulary.errors import InputError


def test_one_run_each_unless_it_is_asked_for(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "trials: 4\n")
    assert spec.replicate is None
    assert (search_blocks(spec), most_replicates_in_search(spec)) == ([(0, 0)], 0)


def test_runs_begin_with_the_trials_own_and_take_every_fold_once_before_any_again(
    tmp_path: Path,
) -> None:
    text = "seed: 7\ntrials: 4\ndata: {source: shapes, folds: 3, fold: 2}\nreplicate: "
    spec = loaded(tmp_path, text + "{folds: 2, seeds: 2}\n")
    assert search_blocks(spec) == [(7, 2), (1007, 0), (8, 2), (1008, 0)]
    assert most_replicates_in_search(spec) == 4 * 3
    assert search_blocks(loaded(tmp_path, text + "{}\n")) == [(7, 2), (1007, 0), (2007, 1)]
    (tmp_path / "written.yaml").write_text(to_yaml(spec))
    assert load_sweep(tmp_path / "written.yaml") == spec


def test_confirmation_has_seeds_by_which_the_search_chose_nothing(tmp_path: Path) -> None:
    text = "replicate: {folds: 2, seeds: 2}\nconfirm: {seeds: 3, folds: 1}\n"
    spec = loaded(tmp_path, text)
    assert blocks(spec) == [(2, 0), (3, 0), (4, 0)]
    assert not set(blocks(spec)) & set(search_blocks(spec))
    assert further_folds(spec) == {"confirm": [], "replicate": [1]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("replicate: 3\n", "x.yaml:1: replicate: must be"),
        ("replicate: {fold: 3}\n", "did you mean `folds`?"),
        ("replicate: {folds: 0}\n", "x.yaml:1: replicate.folds: must be at least 1, but is 0"),
        ("replicate: {folds: 6}\n", "replicate.folds: must be at most 5, the folds of the data"),
        (
            "data: {source: brain}\nreplicate: {folds: 2}\n",
            "x.yaml:2: replicate.folds: must be at most 1, the folds of the data",
        ),
        (
            "replicate: {folds: 1}\n",
            "replicate.seeds: must be at least 2 on one fold: the trial itself is the first run",
        ),
        (
            "trainer: {kind: custom, entry: 'a.b:c'}\nreplicate: {folds: 3}\n",
            "replicate.folds: must be 1: `trainer.kind: custom` brings its own data, whose folds"
            " are not known here; `seeds` repeats a training with other seeds",
        ),
        (
            "trainer: {kind: nnunet, dataset: 502, fold: all}\nreplicate: {folds: 3}\n",
            "replicate.folds: must be 1: `trainer.fold` is not the number of a fold",
        ),
        (
            "objective: [{metric: val_dice}, {metric: seconds}]\nreplicate: {folds: 3}\n",
            "trials of several objectives are not compared by a mean over folds",
        ),
        (
            "replicate: {}\nspace: {seed: {randint: [0, 9]}}\n",
            "replicates differ only in seed and fold, so `seed` cannot be searched too",
        ),
    ],
)
def test_what_contradicts_it_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        loaded(tmp_path, text)
    assert told in str(error.value)
