"""A results folder at a URI, on a real S3 server."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from sweep.store.at_uri.local_results import local_results
from sweep.store.at_uri.mirrored_results import MirroredStore
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.layout import TrialPaths
from sweep.store.read_results import read_records
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError, SweepFailed
from sweep.vocabulary.record import Outcome, RealValidation, Status

SWEEP_YAML = "name: example\nspace:\n  seed: {choice: [1, 2]}\n"
DONE = Outcome(status=Status.COMPLETED)


@pytest.fixture
def remote(object_store: str) -> RemoteFolder:
    return RemoteFolder(f"{object_store}/{secrets.token_hex(4)}/example")


def begin(remote: RemoteFolder, folder: Path) -> MirroredStore:
    """A sweep with one trial of two epochs."""
    store = MirroredStore.create_at(remote, folder, SWEEP_YAML)
    store.start_trial(0, {"seed": 1}, "seed: 1\n")
    for epoch in range(2):
        store.append_epoch("t0000", EpochMetrics(epoch=epoch, val_dice=0.5 + epoch / 10))
    return store


def test_everything_that_was_recorded_comes_back_on_another_machine(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with begin(remote, tmp_path / "one") as store:
        store.end_trial("t0000", DONE)
        store.start_trial(1, {"seed": 2}, "seed: 2\n")
        records, journal = store.records(), list(store.journal())
    with MirroredStore.open_at(remote, tmp_path / "two") as store:
        assert store.records() == records
        assert list(store.journal()) == journal


def test_trial_can_be_started_anywhere_as_soon_as_it_is_recorded(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    store = begin(remote, tmp_path / "one")
    assert remote.read("trials/t0000/config.yaml") == b"seed: 1\n"
    store.close()


def test_machine_that_is_lost_takes_no_trial_that_had_ended_with_it(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    begin(remote, tmp_path / "one").end_trial("t0000", DONE)
    lost = MirroredStore.open_at(remote, tmp_path / "two")
    lost.discard_checkpoints("t0000", best=False)  # as the controller does after each end
    [record] = lost.records()
    assert record.outcome is None  # the end had not been sent: the machine was lost before
    lost.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
    lost.append_epoch("t0000", EpochMetrics(epoch=1, val_dice=0.6))
    lost.end_trial("t0000", DONE)
    lost.discard_checkpoints("t0000", best=False)
    with MirroredStore.open_at(remote, tmp_path / "three") as store:  # it was not closed
        [record] = store.records()
        assert record.outcome == DONE
        assert len(record.history) == 2


def test_what_a_worker_sent_beside_its_checkpoints_is_in_the_copy_once_its_trial_has_ended(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with begin(remote, tmp_path / "one") as store:
        remote.write("trials/t0000/cases.csv", b"case,class\n")
        store.end_trial("t0000", DONE)
        paths = store.layout.trial("t0000")
        assert paths.cases.read_bytes() == b"case,class\n"
        assert not paths.provenance.exists()  # none was sent


def test_predictions_beside_an_evaluation_are_sent_with_it(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with begin(remote, tmp_path / "one") as store:
        store.end_trial("t0000", DONE)
        mask = store.layout.trial("t0000").nnunet / "validation" / "a.png"
        mask.parent.mkdir(parents=True)
        mask.write_bytes(b"a mask")
        store.record_real_validation("t0000", RealValidation(dice=0.5, cases={}))
    assert remote.read("trials/t0000/nnunet/validation/a.png") == b"a mask"


def test_checkpoints_go_once_the_end_is_recorded(remote: RemoteFolder, tmp_path: Path) -> None:
    with begin(remote, tmp_path / "one") as store:
        for name in ("last.pt", "best.pt"):
            remote.write(f"trials/t0000/{name}", b"weights")
        store.end_trial("t0000", DONE)
        store.discard_checkpoints("t0000", best=False)
        assert {name for name in remote.files() if name.endswith(".pt")} == {"trials/t0000/best.pt"}
        assert b"completed" in (remote.read("trials/t0000/trial.json") or b"")


def test_checkpoints_are_left_where_they_are(remote: RemoteFolder, tmp_path: Path) -> None:
    with begin(remote, tmp_path / "one"):
        remote.write("trials/t0000/last.pt", b"weights")
    with MirroredStore.open_at(remote, tmp_path / "two") as store:
        assert not store.layout.trial("t0000").last_checkpoint.exists()
    assert remote.read("trials/t0000/last.pt") == b"weights"


def test_older_copy_of_this_machine_never_overwrites_what_another_went_on_with(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    begin(remote, tmp_path / "one").close()
    with MirroredStore.open_at(remote, tmp_path / "two") as store:
        store.end_trial("t0000", DONE)
    with MirroredStore.open_at(remote, tmp_path / "one") as store:
        assert [record.outcome for record in store.records()] == [DONE]


def test_sweep_that_was_taken_over_stops_and_overwrites_nothing(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    first = begin(remote, tmp_path / "one")
    second = MirroredStore.open_at(remote, tmp_path / "two")
    second.end_trial("t0000", DONE)
    second.close()
    with pytest.raises(
        SweepFailed,
        match=r"is no longer written by this process: another sweep\.run writes to it",
    ):
        first.close()
    assert [record.outcome for record in read_back(remote)] == [DONE]


def test_sweep_whose_files_were_removed_stops(remote: RemoteFolder, tmp_path: Path) -> None:
    store = begin(remote, tmp_path / "one")
    for name in remote.files():
        remote.delete(name)
    with pytest.raises(SweepFailed, match="its files are gone"):
        store.close()
    assert remote.files() == set()


def test_second_sweep_of_this_machine_is_refused_while_the_first_writes(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    busy = f"^{remote} is in use"
    with begin(remote, tmp_path / "one"), pytest.raises(ResultsError, match=busy):
        MirroredStore.open_at(remote, tmp_path / "one")


def test_used_uri_is_refused_and_an_unused_one_cannot_be_resumed(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with pytest.raises(ResultsError, match="not a results folder"):
        MirroredStore.open_at(remote, tmp_path / "one")
    begin(remote, tmp_path / "one").close()
    with pytest.raises(ResultsError, match=r"already exists.*--resume"):
        MirroredStore.create_at(remote, tmp_path / "two", SWEEP_YAML)


def test_run_of_wandb_and_picture_that_are_dropped_here_go_at_the_uri_but_no_result_does(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    dropped = {"wandb/offline-run-1/run.wandb", "study_artifacts/0a1b"}
    kept = {"mine.txt", "trials/t0000/pictures/mine.webp"}
    with begin(remote, tmp_path / "copy") as store:
        files = [store.layout.folder / name for name in dropped | kept]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        store._changed.add("t0000")
        store._send()
        assert remote.files() >= dropped | kept
        for file in files:
            file.unlink()
    assert remote.files() & (dropped | kept) == kept


def test_changed_spec_is_sent_with_the_one_before(remote: RemoteFolder, tmp_path: Path) -> None:
    with begin(remote, tmp_path / "one") as store:
        store.change_spec(SWEEP_YAML + "trials: 9\n")
    assert {"sweep.yaml", "sweep.1.yaml"} <= remote.files()


def read_back(remote: RemoteFolder) -> list[object]:
    with local_results(remote.uri) as folder:
        return list(read_records(folder))


def test_trial_paths_at_a_uri_are_those_of_a_folder(remote: RemoteFolder, tmp_path: Path) -> None:
    with begin(remote, tmp_path / "one") as store:
        expected = TrialPaths(store.layout.trials / "t0000").config.relative_to(tmp_path / "one")
    assert expected.as_posix() in remote.files()
