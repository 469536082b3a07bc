"""A project folder that was moved as a whole goes on: its sweep, its trials and its best.yaml."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweep.api.run_sweep import prepare_data
from sweep.console.sweep_view import View
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.engine.session.open_store import open_store
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import InputError, ResultsError

SPACE = """\
data: {source: nnunet_raw, folder: data/raw, folds: 2}
network: {channels: [4, 8, 16]}
space: {loss.warmup_epochs: {choice: [1, 2]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a sweep file and its data."""
    folder = tmp_path / "project"
    label = np.zeros((16, 16), np.uint8)
    label[4:9, 4:9] = 1
    write_raw(
        folder / "data" / "raw",
        [RawCase(f"c{n}", label[None] * (100 + n), label) for n in range(4)],
        name="raw",
        channel_names=["grey"],
        labels={"background": 0, "square": 1},
        file_ending=".png",
    )
    (folder / "sweep.yaml").write_text(SPACE)
    return folder


def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> SweepSpec:
    """What ``sweep.run sweep.yaml`` asks for in that folder, its data prepared."""
    monkeypatch.chdir(project)
    return prepare_data(load_sweep("sweep.yaml"), View())


def begin(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, store = open_store(
        asked(project, monkeypatch), SweepLocation.of("sweep", "results"), resume=False
    )
    parameters = {"loss.warmup_epochs": 2}
    with store:
        store.start_trial(0, parameters, to_yaml(spec.trial(parameters)))


def test_moved_project_goes_on_with_its_folders_as_they_are_now(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(project, monkeypatch)
    recorded = load_sweep(project / "results" / "sweep" / "sweep.yaml")
    assert recorded.data.folder == str(project / "data" / "raw")  # type: ignore[union-attr]
    moved = project.rename(project.with_name("elsewhere"))
    spec, store = open_store(
        asked(moved, monkeypatch),
        SweepLocation.of("sweep", "results"),
        resume=True,
        extend=["trials=+2"],
    )
    store.close()
    assert spec.trials == recorded.trials + 2
    results = moved / "results" / "sweep"
    for file, load in ((results / "sweep.yaml", load_sweep), (trial(results), load_trial)):
        settings = load(file)  # type: ignore[operator]
        assert settings.data.folder == str(moved / "data" / "raw")
        assert settings.data.fingerprint == recorded.data.fingerprint is not None  # type: ignore[union-attr]
    # and once more, where nothing has moved
    open_store(asked(moved, monkeypatch), SweepLocation.of("sweep", "results"), resume=True)[
        1
    ].close()


def test_other_data_at_the_same_path_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(project, monkeypatch)
    labels = project / "data" / "raw" / "labelsTr"
    label = np.zeros((16, 16), np.uint8)
    label[9:12, 9:12] = 1
    Image.fromarray(label).save(labels / "c1.png")
    with pytest.raises(ResultsError) as caught:
        open_store(asked(project, monkeypatch), SweepLocation.of("sweep", "results"), resume=True)
    assert str(caught.value).startswith(
        "sweep holds a sweep over other data: labelsTr of the dataset differ from what it was"
    )


def test_resumed_sweep_with_settings_of_a_newer_version_is_told_as_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(project, monkeypatch)
    with Path("results/sweep/sweep.yaml").open("a") as file:
        file.write("brand_new: 3\n")
    with pytest.raises(InputError, match=r"brand_new.*; a newer version may have written it$"):
        open_store(asked(project, monkeypatch), SweepLocation.of("sweep", "results"), resume=True)


def test_groups_move_with_the_project_and_others_are_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "case,group\nc0,a\nc1,a\nc2,b\nc3,c\n"
    (project / "groups.csv").write_text(table)
    file = project / "sweep.yaml"
    file.write_text(file.read_text().replace("folds: 2", "folds: 2, groups: groups.csv"))
    begin(project, monkeypatch)
    moved = project.rename(project.with_name("elsewhere"))
    location = SweepLocation.of("sweep", "results")
    spec, store = open_store(asked(moved, monkeypatch), location, resume=True)
    store.close()
    assert spec.data.groups == str(moved / "groups.csv")  # type: ignore[union-attr]
    (moved / "groups.csv").write_text(table.replace("c1,a", "c1,b"))
    with pytest.raises(ResultsError) as caught:
        open_store(asked(moved, monkeypatch), location, resume=True)
    assert str(caught.value).startswith(
        "sweep holds a sweep over other data: data.groups of the dataset differ from what it was"
    )


def trial(results: Path) -> Path:
    return results / "trials" / "t0000" / "config.yaml"
