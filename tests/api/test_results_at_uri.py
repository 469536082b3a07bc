"""Results at a URI: when the driver evaluates finalists on whole cases, and how they are read."""

from __future__ import annotations

import gc
import html
from itertools import count
from pathlib import Path
from threading import Semaphore

import pytest
import torch
from typer.testing import CliRunner

import sweep
from sweep.cli import app
from sweep.console.watch_view import Watching
from sweep.page_server.sweep_list import SweepList
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.at_uri import local_results
from sweep.store.at_uri.local_results import Reached, place_within, reached
from sweep.store.at_uri.mirrored_results import MirroredStore
from sweep.store.at_uri.remote_folder import RemoteFolder, Stamp, below_uri
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import StorageFailed
from sweep.vocabulary.record import Outcome, Status

SPEC = SweepSpec.model_validate({"name": "toy", "space": {"optimizer.lr": {"choice": [0.1]}}})


@pytest.fixture(scope="module")
def uri(object_store: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a sweep with weights."""
    folder, remote = tmp_path_factory.mktemp("x"), RemoteFolder(f"{object_store}/read/toy")
    parameters = {"optimizer.lr": 0.1}
    with MirroredStore.create_at(remote, folder / "toy", to_yaml(SPEC)) as store:
        store.start_trial(0, parameters, to_yaml(SPEC.trial(parameters)))
        store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
        store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    torch.save({"model": {"bias": 3.0}}, folder / "best.pt")
    remote.send(folder / "best.pt", "trials/t0000/best.pt")
    remote.write("nnunet_model/fold_0/checkpoint_best.pth", b"heavy")
    return remote.uri


def test_copy_of_results_lives_as_long_as_a_trial_or_a_figure_that_was_read_of_it(
    uri: str,
) -> None:
    best, figures = sweep.open(uri).best, sweep.open(uri).figures  # nobody keeps the results
    assert best.config.optimizer.lr == 0.1
    assert figures.learning_curves().data
    copy = best.folder.parent.parent
    assert copy.is_dir()
    del best
    gc.collect()
    assert not copy.exists()


def test_weights_are_downloaded_when_they_are_asked_for(uri: str) -> None:
    results = sweep.open(uri)
    assert not [*results.folder.rglob("*.pt*")]
    assert results["t0000"].weights() == {"bias": 3.0}


def test_page_says_how_to_predict_with_the_weights_at_the_uri(uri: str) -> None:
    page = sweep.open(uri).page()._repr_html_()
    assert "No weights" not in page
    assert f"python -m sweep.predict {uri} IMAGES -o MASKS" in html.unescape(html.unescape(page))


def test_page_names_the_uri_and_never_its_copy(uri: str) -> None:
    results = sweep.open(uri)
    page = html.unescape(html.unescape(results.page()._repr_html_()))
    assert str(results.folder) not in page
    for command in (
        f"python -m sweep.train {uri}/trials/t0000/config.yaml",
        f"python -m sweep.export {uri} --format svg,pdf -o .",
    ):
        assert command in page


def test_messages_about_results_at_a_uri_name_it(uri: str, tmp_path: Path) -> None:
    results = sweep.open(uri)
    assert repr(results) == f"<SweepResults 'toy': 1 trials, unfinished, {uri}>"
    assert repr(results.page()) == f"<PageWidget of {uri}: shown by a notebook>"
    with pytest.raises(KeyError, match=f"no trial 't0009' in {uri}; it has t0000"):
        results["t0009"]
    with pytest.raises(sweep.ResultsError, match=f"has no {uri}/trials/t0000/cases.csv"):
        _ = results.best.cases
    broken = RemoteFolder(f"{uri}-broken")
    for name in ("sweep.yaml", "trials/t0000/trial.json"):
        broken.write(name, RemoteFolder(uri).read(name) or b"")
    broken.write("trials/t0000/history.jsonl", b"{}\n")
    with pytest.raises(sweep.ResultsError, match=f"^{broken.uri}/trials/t0000/history.jsonl:1: br"):
        sweep.open(broken.uri)
    broken.write("trials/t0000/config.yaml", b"trainer: {epoch: 3}\n")
    with pytest.raises(sweep.InputError, match=f"^{broken.uri}/trials/t0000/config.yaml:1: "):
        sweep.train(f"{broken.uri}/trials/t0000/config.yaml", results=tmp_path)


@pytest.mark.parametrize(
    ("place", "root", "rest"),
    [
        ("s3://b/x", "s3://b/x", ""),
        ("s3://b/trials/toy", "s3://b/trials/toy", ""),
        ("s3://b/x/best.yaml?region=eu", "s3://b/x?region=eu", "best.yaml"),
        ("s3://b/x/trials/t0001/", "s3://b/x", "trials/t0001"),
        ("s3://b/x/trials/t0001/config.yaml", "s3://b/x", "trials/t0001/config.yaml"),
    ],
)
def test_place_within_results_is_told_from_their_uri(place: str, root: str, rest: str) -> None:
    assert place_within(place) == (root, rest)
    assert not rest or below_uri(root, rest) == place.removesuffix("/")


def test_note_is_left_at_the_uri_and_waits_there_for_a_session(uri: str) -> None:
    said = sweep.open(uri).note("t0000", "good").words
    assert said.startswith("Noted on t0000.")
    [note] = sweep.open(uri)["t0000"].notes
    assert note.text == "good"
    other = CliRunner().invoke(app, ["enqueue", uri, "optimizer.lr=0.1"])
    assert "No session runs: it is done at the next `sweep.run … --resume`." in other.stdout
    assert len(RemoteFolder(f"{uri}/requests").files()) == 2
    wrong = CliRunner().invoke(app, ["stop", uri, "t0000"])
    assert (wrong.exit_code, "has ended already" in wrong.stderr) == (2, True)


def test_sweep_at_a_uri_is_watched_to_its_end(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = f"nothing was written to {object_store}/watched/toy since"
    remote, parameters = RemoteFolder(f"{object_store}/watched/toy"), {"optimizer.lr": 0.1}
    store = MirroredStore.create_at(remote, tmp_path / "toy", to_yaml(SPEC))
    with reached(remote.uri) as found:
        watching = Watching(found.folder, found.uri)
        live = SweepList(found.folder, uri=found.uri)["toy"]
        watching.look()
        assert (watching.over, live.look().data.running) == (False, True)
        assert live.look().data.state == "running: 0 of 20 trials have ended"
        monkeypatch.setattr(local_results, "SILENCE", 0.0)  # an hour in earnest
        live.expect_news()
        assert f"running: 0 of 20 trials have ended; {silent}" in live.look().data.state
        for command in (["rank"], ["watch", "--once"]):
            words = CliRunner().invoke(app, [*command, remote.uri]).stderr
            assert f"warning: {silent}" in " ".join(words.split())
        for number in range(SPEC.trials):
            store.start_trial(number, parameters, to_yaml(SPEC.trial(parameters)))
            store.append_epoch(f"t{number:04d}", EpochMetrics(epoch=0, val_dice=0.5))
            store.end_trial(f"t{number:04d}", Outcome(status=Status.COMPLETED))
        store.close()
        found.refresh()
        watching.look()
        assert watching.over
        assert [*watching.last_words()] == [f"Ranking: python -m sweep.rank {remote.uri}"]
        live.expect_news()
        page = live.look()
        assert page.data.running is False
        assert f"python -m sweep.export {remote.uri}" in page.body.decode()
        assert str(found.folder) not in page.body.decode()
    said = CliRunner().invoke(app, ["watch", remote.uri])
    assert "nothing was written" not in said.stderr
    assert f"Ranking: python -m sweep.rank {remote.uri}" in said.stdout


def test_store_that_is_gone_is_told_once_and_the_page_goes_on(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(RemoteFolder):
        def stamps(self) -> dict[str, Stamp]:
            asked.release()
            raise StorageFailed("cannot list s3://bucket/toy: no route to host")

    monkeypatch.setattr(local_results, "SECONDS_BETWEEN_LOOKS", 0.01)
    asked, told = Semaphore(0), list[str]()
    found = Reached(tmp_path, Gone(f"{object_store}/gone/toy"))
    with found.following(told.append):
        for _ in range(2):
            asked.acquire()
    assert told == ["cannot list s3://bucket/toy: no route to host; what was read before is shown"]


def test_sweep_is_watched_on_while_its_store_does_not_answer(
    object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, parameters = RemoteFolder(f"{object_store}/silent/toy"), {"optimizer.lr": 0.1}
    store = MirroredStore.create_at(remote, tmp_path / "toy", to_yaml(SPEC))
    store.start_trial(0, parameters, to_yaml(SPEC.trial(parameters)))
    stamps, looks = RemoteFolder.stamps, count()

    def silent_once(folder: RemoteFolder) -> dict[str, Stamp]:
        look = next(looks)
        if look == 2:  # the first copy takes two: the second is for what the journal mentions
            raise StorageFailed("cannot list: no route to host")
        if look > 2:
            store.close()
        return stamps(folder)

    monkeypatch.setattr(local_results, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(RemoteFolder, "stamps", silent_once)
    said = CliRunner().invoke(app, ["watch", remote.uri, "--interval", "0.1"])
    assert (said.exit_code, said.stderr.count("no route to host")) == (0, 1)
    assert "Not running. Resume it" in said.stdout


def test_reader_of_a_copy_finds_what_its_journal_mentions(
    object_store: str, tmp_path: Path
) -> None:
    class Read(RemoteFolder):
        def stamps(self) -> dict[str, Stamp]:
            watching.look()  # at the beginning, and between the journal and the rest
            return super().stamps()

    remote, parameters = RemoteFolder(f"{object_store}/mentions/toy"), {"optimizer.lr": 0.1}
    with MirroredStore.create_at(remote, tmp_path / "toy", to_yaml(SPEC)) as store:
        store.start_trial(0, parameters, to_yaml(SPEC.trial(parameters)))
        store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
    found = Reached(tmp_path / "copy", Read(remote.uri))
    remote.fetch("sweep.yaml", found.folder / "sweep.yaml")
    watching = Watching(found.folder, found.uri)
    found.refresh()
    watching.look()
    assert watching.progress.running
