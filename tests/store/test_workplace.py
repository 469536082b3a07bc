"""Where a worker trains: the trial's folder, or on its node a copy of what lies at a URI."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.at_uri.worker_folder import workplace
from sweep.vocabulary.errors import SweepFailed


@pytest.fixture
def remote(object_store: str) -> RemoteFolder:
    """A trial at a URI, as its sweep has started it."""
    folder = RemoteFolder(f"{object_store}/{secrets.token_hex(4)}/trials/t0000")
    for name in ("config.yaml", "trial.json", "history.jsonl"):
        folder.write(name, b"of the sweep")
    return folder


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def test_folder_that_the_worker_sees_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with workplace(tmp_path) as place:
        place.paths.last_checkpoint.write_bytes(b"1")
        place.save()
    assert sorted(left(tmp_path)) == ["config.yaml", "last.pt"]


def test_worker_goes_on_from_what_one_on_another_node_has_saved(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with workplace(tmp_path / "one", remote) as place:
        assert place.paths.config.read_bytes() == b"of the sweep"
        place.paths.last_checkpoint.write_bytes(b"epoch 3")
        place.paths.provenance.write_bytes(b"one")
        place.paths.cases.write_bytes(b"of epoch 3")
        place.save()
        place.paths.last_checkpoint.write_bytes(b"epoch 4, never told")
    with workplace(tmp_path / "two", remote) as place:
        assert place.paths.last_checkpoint.read_bytes() == b"epoch 3"
        assert place.paths.provenance.read_bytes() == b"one"
        assert place.paths.cases.read_bytes() == b"of epoch 3"


def test_worker_leaves_nothing_on_its_node(remote: RemoteFolder, tmp_path: Path) -> None:
    with workplace(tmp_path / "one", remote) as place:
        place.paths.best_checkpoint.write_bytes(b"1")
    assert left(tmp_path / "one") == []


def test_older_files_of_a_worker_that_was_killed_here_are_not_gone_on_from(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    (tmp_path / "last.pt").write_bytes(b"epoch 1, before another node took over")
    with workplace(tmp_path, remote) as place:
        assert not place.paths.last_checkpoint.exists()


def test_worker_never_writes_what_the_sweep_writes(remote: RemoteFolder, tmp_path: Path) -> None:
    with workplace(tmp_path, remote) as place:
        place.paths.config.write_bytes(b"changed")
        place.paths.trial.write_bytes(b"changed")
        place.paths.last_checkpoint.write_bytes(b"1")
        place.paths.previous_checkpoint.write_bytes(b"0")
        place.save()
    assert remote.files() == {"config.yaml", "trial.json", "history.jsonl", "last.pt"}
    assert {remote.read(name) for name in ("config.yaml", "trial.json")} == {b"of the sweep"}


def test_trial_that_is_not_there_is_told(object_store: str, tmp_path: Path) -> None:
    remote = RemoteFolder(f"{object_store}/none/t0000")
    with (
        pytest.raises(SweepFailed, match="cannot read s3://bucket/none/t0000"),
        workplace(tmp_path, remote),
    ):
        pass
