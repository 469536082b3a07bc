"""What the page gets: when a folder is read again, and what is said where it cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import plotly.graph_objects as go
import pytest
from finalists import CLEAR, finalist
from synthetic import drawn, trial, write_sweep
from visitor import Visitor, served

from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.ranking_frame import ranking_frame, write_csv
from sweep.api.own_figures import own_figures
from sweep.api.results import SweepResults
from sweep.api.user_requests import ask_to_note
from sweep.page_server import live_sweep
from sweep.page_server.live_sweep import LiveSweep
from sweep.page_server.sweep_list import SweepList, listed
from sweep.report.headline import counts
from sweep.store.files import to_json
from sweep.store.layout import Layout
from sweep.store.lock import lock_results
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Outcome, RealValidation, Status

Serve = Callable[..., Visitor]
YAML = "name: toy\ntrials: 4\nspace:\n  loss.sqrt_epsilon: {choice: [0, 1.0e-6]}\n"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were read, in order. Reading costs nothing, so that it is always due."""
    found, read = [], live_sweep.snapshot
    monkeypatch.setattr(live_sweep, "SHARE", 1.0)
    monkeypatch.setattr(
        live_sweep, "snapshot", lambda folder, *own: found.append(folder) or read(folder, *own)
    )
    return found


def begin(folder: Path) -> Store:
    """A sweep whose first trial has reported one epoch."""
    store = Store.create(folder, YAML)
    store.start_trial(0, {"loss.sqrt_epsilon": 0}, "seed: 0\n")
    store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.25, seconds=2))
    return store


def test_folder_is_read_again_only_when_it_has_changed(tmp_path: Path, counted: list[Path]) -> None:
    sweep = LiveSweep(tmp_path / "toy")
    with begin(sweep.folder) as store:
        first = sweep.look()
        assert sweep.look() is first
        assert len(counted) == 1
        store.append_epoch("t0000", EpochMetrics(epoch=1, val_dice=0.5, seconds=2))
        second = sweep.look()
        assert second.data.trials["t0000"]["epochs"] == 2
        assert second.data.running
        assert second.etag != first.etag
    third = sweep.look()  # nothing was written, but the session has ended
    assert not third.data.running
    assert len(counted) == 3


def test_trial_without_a_worker_is_not_counted_among_those_that_run(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    with begin(folder) as store:
        assert counts(read_results(folder)) == {"running": 1}
        store.note_wait("t0000")
        assert counts(read_results(folder)) == {"waiting for a worker": 1}
    assert counts(read_results(folder)) == {"interrupted": 1}


def test_reading_takes_no_more_than_its_share_of_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, spent = [100.0], iter([0.0, 1.0, 1.0, 2.5])
    monkeypatch.setattr(live_sweep.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(live_sweep.time, "thread_time", lambda: next(spent))
    sweep = LiveSweep(tmp_path / "toy")
    with begin(sweep.folder) as store:
        first = sweep.look()  # took one second
        store.append_epoch("t0000", EpochMetrics(epoch=1, val_dice=0.5, seconds=2))
        now[0] += 8.9
        assert sweep.look() is first
        now[0] += 0.2
        assert sweep.look() is not first


def test_first_look_of_a_page_waits_only_shortly_and_the_reading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read, read = Event(), live_sweep.snapshot
    monkeypatch.setattr(live_sweep, "snapshot", lambda *of: may_read.wait() and read(*of))
    sweep = LiveSweep(tmp_path / "toy")
    with pytest.raises(ResultsError, match="toy does not exist"):
        sweep.look_soon()
    with begin(sweep.folder):
        with pytest.raises(ResultsError, match="toy is being read for the first time"):
            sweep.look_soon(0)
        with pytest.raises(ResultsError, match=r"^s3://bucket/toy is being read"):
            LiveSweep(sweep.folder, uri="s3://bucket/toy").look_soon(0)
        may_read.set()
        assert sweep.look_soon(60).data.name == "toy"


@pytest.mark.parametrize(
    "change",
    [
        lambda layout: layout.trial("t0000").test.write_text(to_json({"cases": []})),
        lambda layout: layout.test_csv.write_text("case\n"),
        lambda layout: layout.trial("t0001").folder.mkdir(),
        lambda layout: layout.sweep_yaml.write_text(YAML.replace("4", "5")),
    ],
    ids=["a test", "a table", "a trial", "more trials"],
)
def test_what_is_written_beside_the_journal_counts_as_a_change(
    tmp_path: Path, counted: list[Path], change: Callable[[Layout], object]
) -> None:
    sweep = LiveSweep(tmp_path / "toy")
    begin(sweep.folder).__exit__(None, None, None)
    sweep.look()
    change(Layout(sweep.folder))
    sweep.look()
    assert len(counted) == 2


def test_same_data_are_sent_once(serve: Serve, root: Path) -> None:
    visit = serve(root)
    first = visit("/sweeps/small/data")
    assert first.status == 200
    assert first.json["name"] == "synthetic"
    again = visit("/sweeps/small/data", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.text) == (304, "")
    # The same data have the same tag in another server: an open page outlives its server.
    other = serve(root)("/sweeps/small/data", headers={"if-none-match": first.headers["etag"]})
    assert other.status == 304


def test_half_written_line_is_not_read_and_a_whole_one_is(
    serve: Serve, tmp_path: Path, counted: list[Path]
) -> None:
    folder = tmp_path / "toy"
    with begin(folder):
        visit = serve(folder)
        history = Layout(folder).trial("t0000").history
        line = to_json(EpochMetrics(epoch=1, val_dice=0.5).to_json())
        with history.open("a") as file:
            file.write(line[:9])
            file.flush()
            Layout(folder).journal.touch()
            assert visit("/sweeps/toy/data").json["trials"]["t0000"]["epochs"] == 1
            file.write(line[9:] + "\n")
        Layout(folder).journal.touch()
        assert visit("/sweeps/toy/data").json["trials"]["t0000"]["epochs"] == 2


def test_broken_file_is_named_until_it_is_mended(
    serve: Serve, root: Path, counted: list[Path]
) -> None:
    visit, file = serve(root), Layout(root / "small").trial("t0000").trial
    whole = file.read_text()
    file.write_text("{")
    Layout(root / "small").sweep_yaml.touch()
    for _ in range(2):
        answer = visit("/sweeps/small/data")
        assert answer.status == 503
        assert f"{file}: broken" in answer.json["problem"]
    assert len(counted) == 1
    assert "broken" in visit("/sweeps/small/").text
    file.write_text(whole)
    Layout(root / "small").sweep_yaml.touch()
    assert visit("/sweeps/small/data").status == 200


def test_folder_that_vanishes_and_comes_back_is_told_in_words(
    serve: Serve, tmp_path: Path, counted: list[Path]
) -> None:
    folder = tmp_path / "toy"
    begin(folder).__exit__(None, None, None)
    visit = serve(folder)
    assert visit("/sweeps/toy/data").status == 200
    shutil.rmtree(folder)
    answer = visit("/sweeps/toy/data")
    assert (answer.status, answer.json) == (503, {"problem": f"{folder} does not exist"})
    assert "does not exist" in visit("/sweeps/toy/").text
    begin(folder).__exit__(None, None, None)
    assert visit("/sweeps/toy/data").status == 200


def test_resumed_sweep_is_running_again(serve: Serve, tmp_path: Path, counted: list[Path]) -> None:
    folder = tmp_path / "toy"
    begin(folder).__exit__(None, None, None)
    visit = serve(folder)
    assert not visit("/sweeps/toy/data").json["running"]
    with Store.open(folder) as store:
        assert visit("/sweeps/toy/data").json["running"]
        store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    last = visit("/sweeps/toy/data").json
    assert not last["running"]
    assert last["trials"]["t0000"]["status"] == "completed"


def test_page_of_a_sweep_that_has_not_started_waits_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    with served(SweepList(folder, expected=True)) as visit:
        assert visit.enter()("/").headers["location"] == "/sweeps/toy/"
        answer = visit("/sweeps/toy/")
        assert answer.status == 503
        assert 'http-equiv="refresh"' in answer.text
        assert "The sweep is starting: it has no results yet." in answer.text
        begin(folder).__exit__(None, None, None)
        assert visit.opened("/sweeps/toy/").status == 200


@pytest.mark.parametrize("running", [False, True])
def test_list_says_no_result_yet_only_where_one_may_come(
    serve: Serve, root: Path, running: bool
) -> None:
    Layout(root / "small").ranking_csv.write_text(
        "rank,trial_id,status,val_dice\n,t0000,diverged,\n"
    )
    lock = lock_results(Layout(root / "small")) if running else None
    text = serve(root)("/").text
    if lock is not None:
        lock.release()
    assert f"No trial has a result{' yet' if running else ''}." in text


def test_cause_with_a_line_separator_of_unicode_adds_no_row_to_the_list(tmp_path: Path) -> None:
    diverged = trial(0, Outcome(status=Status.FAILED, cause="OSError: a\u2028b\x0cc"), [])
    write_sweep(tmp_path / "a", [diverged])
    write_csv(Layout(tmp_path / "a").ranking_csv, ranking_frame([diverged], []))
    assert listed(Layout(tmp_path / "a"), "a").ended == "1 failed"


def test_list_names_every_sweep_with_its_best_trial(serve: Serve, root: Path) -> None:
    lock = lock_results(Layout(root / "small"))
    Layout(root / "other one").ranking_csv.write_text(
        "rank,trial_id,status,val_dice\n1,t0002,completed,0.91\n2,t0000,pruned,0.5\n,t0001,diverged,\n"
    )
    (root / "broken").mkdir()
    (root / "broken" / "sweep.yaml").write_text("space: [\n")
    text = " ".join(serve(root)("/").text.split())
    lock.release()
    assert '<a href="/sweeps/small/">small</a> <b class="running">running</b>' in text
    assert '<a href="/sweeps/other%20one/">other one</a></h2>' in text
    assert "validation Dice 0.9100 (t0002)" in text
    assert "1 completed, 1 pruned, 1 diverged of 3 trials" in text
    assert "sweep.yaml:2: broken" in text or "sweep.yaml:1: broken" in text
    assert ">notes<" not in text


def test_list_gives_the_leader_the_number_that_it_leads_by(tmp_path: Path) -> None:
    first, *others = [trial(n, Status.COMPLETED, [0.75 - n / 8]) for n in range(3)]
    real = RealValidation(dice=0.8125, cases={})
    ranked = {
        "validation Dice 0.7500 (t0000)": [first, *others],
        "mean validation Dice of 4 replicates 0.9087 (t0001)": CLEAR,
        "mean validation Dice of 3 runs 0.7500 (t0000)": [
            *others,
            *(
                replace(run, replicate=replace(run.replicate, in_search=True))
                for run in finalist(0, 0.75, 0.625, 0.875)
                if run.replicate is not None
            ),
            first,
        ],
        "real validation Dice 0.8125 (t0002)": [first, others[0], replace(others[1], real=real)],
    }
    for words, records in ranked.items():
        write_sweep(tmp_path / "a", records)
        write_csv(Layout(tmp_path / "a").ranking_csv, ranking_frame(records, []))
        assert listed(Layout(tmp_path / "a"), "a").best == words
        shutil.rmtree(tmp_path / "a")


def test_name_or_note_that_is_no_utf8_breaks_no_page(serve: Serve, root: Path) -> None:
    (root / "small").rename(root / "small\udcff")  # Python's way to write such a byte
    ask_to_note(root / "other one", "t0000", "half a ? character")
    [request] = Layout(root / "other one").requests.glob("*.json")
    request.write_text(request.read_text().replace("?", r"\udcff"))  # as versions before allowed
    visit = serve(root)
    assert "/sweeps/other%20one/" in visit("/").text
    assert visit("/sweeps/other%20one/data").status == 200
    assert r"half a \udcff character" in visit.opened("/sweeps/other%20one/").text


def test_list_follows_sweeps_that_come(serve: Serve, root: Path) -> None:
    visit = serve(root)
    before = visit("/")
    assert visit("/", headers={"if-none-match": before.headers["etag"]}).status == 304
    write_sweep(root / "later", [drawn(0)])
    assert "/sweeps/later/" in visit("/", headers={"if-none-match": before.headers["etag"]}).text
    assert visit("/sweeps/later/data").status == 200


def test_name_that_is_not_in_the_list_leads_nowhere(serve: Serve, root: Path) -> None:
    (root.parent / "sweep.yaml").write_text("name: outside\n")
    visit = serve(root)
    for name in ("..", ".", "%2e%2e", "notes", "..%2fsmall", "nothing", "%00"):
        assert visit(f"/sweeps/{name}/data").status == 404


def test_results_folder_alone_is_shown_at_once(serve: Serve, root: Path) -> None:
    visit = serve(root / "small")
    assert visit("/").headers["location"] == "/sweeps/small/"
    assert visit.opened("/sweeps/small/").status == 200
    assert visit("/sweeps/other%20one/data").status == 404


def test_picture_is_sent_as_it_is(serve: Serve, root: Path) -> None:
    folder = Layout(root / "small").trial("t0000").folder / "pictures"
    folder.mkdir()
    (folder / "case_1.webp").write_bytes(b"RIFF")
    answer = serve(root)("/sweeps/small/trials/t0000/pictures/case_1.webp")
    assert (answer.status, answer.text) == (200, "RIFF")
    assert answer.headers["content-type"] == "image/webp"


def test_no_picture_leads_out_of_its_folder(serve: Serve, root: Path) -> None:
    trials = Layout(root / "small").trials
    pictures = trials / "t0000" / "pictures"
    pictures.mkdir()
    secret = root.parent / "secret"
    secret.mkdir()
    for file in (secret / "a.webp", pictures / "index.json", pictures / ".hidden.webp"):
        file.write_text("secret")
    (pictures / "link.webp").symlink_to(secret / "a.webp")
    (trials / "t0001").mkdir()
    (trials / "t0001" / "pictures").symlink_to(secret)
    visit = serve(root)
    for path in (
        "t0000/pictures/..%2f..%2f..%2fsweep.yaml",
        "t0000/pictures/index.json",
        "t0000/pictures/.hidden.webp",
        "t0000/pictures/link.webp",
        "t0000/pictures/none.webp",
        "..%2f..%2fother%20one/pictures/a.webp",
        "t9999/pictures/a.webp",
        "t0001/pictures/a.webp",
    ):
        answer = visit(f"/sweeps/small/trials/{path}")
        assert answer.status == 404
        assert "secret" not in answer.text


def test_files_of_a_trial_are_sent_and_none_from_elsewhere(serve: Serve, root: Path) -> None:
    trials = Layout(root / "small").trials
    secret = root.parent / "secret.txt"
    secret.write_text("secret")
    (trials / "t0000" / "my plot.png").write_bytes(b"pixels")
    (trials / "t0000" / "page.html").write_text("<script>")
    (trials / "t0000" / ".hidden").write_text("secret")
    (trials / "t0000" / "link.txt").symlink_to(secret)
    visit = serve(root)
    home = "/sweeps/small/trials"
    picture = visit(f"{home}/t0000/files/my%20plot.png")
    assert (picture.status, picture.text) == (200, "pixels")
    assert picture.headers["content-disposition"].startswith("inline")
    saved = visit(f"{home}/t0000/files/page.html").headers["content-disposition"]
    assert saved.startswith("attachment"), "no script of a results folder runs in the page"
    for path in (
        "t0000/files/..%2f..%2fsweep.yaml",
        "t0000/files/..",
        "t0000/files/.hidden",
        "t0000/files/link.txt",
        "t0000/files/none.txt",
        "t0000/files/%00",
        f"t0000/files/{'x' * 300}",
        "..%2f..%2fsmall/files/sweep.yaml",
        "t9999/files/trial.json",
    ):
        answer = visit(f"{home}/{path}")
        assert answer.status == 404, path
        assert "secret" not in answer.text


def test_live_page_has_the_figures_that_its_user_programmed(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "toy", [drawn(0)])

    def mine(results: SweepResults) -> go.Figure:
        """How many trials there are"""
        return go.Figure(go.Bar(x=[len(results)], y=["trials"]))

    sweeps = SweepList(folder, figures=own_figures([mine], SweepResults.of))
    last = sweeps["toy"].look().data.figures[-1]
    assert (last["name"], last["title"]) == ("own-0", "How many trials there are")
