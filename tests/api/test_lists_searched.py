"""A sweep over network widths and patches: trained, ranked, read back, its best trained again."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.ranking_frame import ranking_json
from sweep.analysis.ranking.row_selection import Condition
from sweep.store.layout import Layout
from sweep.store.read_results import read_records

WIDTHS, PATCHES = ((4, 8), (8, 16, 32)), (32, (16, 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lists")
    spec = sweep.SweepSpec(
        name="lists",
        seed=1,
        trials=4,
        data={"source": "shapes", "size": 32, "count": 10},
        trainer={"epochs": 2, "steps_per_epoch": 2, "batch_size": 4},
        network={"name": "unet"},
        loss={"warmup_epochs": 0, "rampup_epochs": 0},
        scheduler="none",
        searcher="grid",
        space={
            "network.channels": {"grid": [*WIDTHS]},
            "data.patch_size": {"choice": [*PATCHES]},
        },
    )  # type: ignore[arg-type]
    return sweep.run(spec, executor="local", results=place, progress=False).folder


def test_each_trial_is_recorded_and_read_back_with_the_lists_it_was_given(folder: Path) -> None:
    results, records = sweep.open(folder), read_records(folder)
    found = [tuple(record.parameters.values()) for record in records]
    assert found == [(width, patch) for width in WIDTHS for patch in PATCHES]
    for record in records:
        config = results[record.trial_id].config
        assert config.network.channels == record.parameters["network.channels"]
        assert config.data.patch_size == record.parameters["data.patch_size"]


def test_ranking_has_lists_as_yaml_writes_them(folder: Path) -> None:
    cells = pd.read_csv(Layout(folder).ranking_csv)
    assert {*cells["network.channels"]} == {"[4, 8]", "[8, 16, 32]"}
    assert {*cells["data.patch_size"]} == {"32", "[16, 32]"}
    rows = json.loads(ranking_json(read_results(folder).table))
    assert [json.dumps(row["network.channels"]) for row in rows] == [*cells["network.channels"]]
    condition = Condition.of("network.channels == [4,8]")
    assert condition.holds((4, 8))
    assert not condition.holds((8, 16, 32))
    assert not condition.holds(None)
    assert not Condition.of("data.patch_size > 16").holds((16, 32))
    assert Condition.of("data.patch_size != 16").holds((16, 32))


def test_study_has_each_list_as_one_choice(folder: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(Layout(folder).study)))
    [name] = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    assert {trial.params["network.channels"] for trial in trials} == {*map(repr, WIDTHS)}


def test_best_configuration_trains_again_to_the_same_dice(folder: Path, tmp_path: Path) -> None:
    best = sweep.open(folder).best
    again = sweep.train(best.config, results=tmp_path, name="again", progress=False)
    assert [*again.history["val_dice"]] == [*best.history["val_dice"]]
