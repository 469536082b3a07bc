from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sweep.store.read_results import read_records
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError, SweepFailed

MakeSweep = Callable[[Path], Path]


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def test_history_cut_at_any_byte_of_its_last_line_loses_that_line_alone(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    original = make_sweep(tmp_path / "sweep")
    history = original / "trials" / "t0001" / "history.jsonl"
    content = history.read_bytes()
    last_line = len(content.splitlines(keepends=True)[-1])
    complete = read_records(original)[1].history
    for cut in range(1, last_line + 1):
        history.write_bytes(content[:-cut])
        assert read_records(original)[1].history == complete[:2]
        with Store.open(original) as store:
            # The worker goes on from its checkpoint and reports the lost epoch again.
            assert not store.append_epoch("t0001", complete[1])
            store.append_epoch("t0001", complete[2])
        assert history.read_bytes() == content


def test_journal_cut_at_any_byte_of_its_last_line_is_made_whole_from_the_trials(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    journal = folder / "journal.jsonl"
    content = journal.read_bytes()
    for cut in range(1, len(content.splitlines(keepends=True)[-1]) + 1):
        journal.write_bytes(content[:-cut])
        Store.open(folder).close()
        assert journal.read_bytes() == content


def test_journal_cut_in_its_middle_says_what_makes_it_whole(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    journal = folder / "journal.jsonl"
    lines = read_lines(journal)
    for number, line in enumerate(lines, start=1):
        rest = lines[number:]
        journal.write_text("".join([*lines[: number - 1], line[:-9] + "\n", *rest]))
        with pytest.raises(ResultsError) as caught:
            Store.open(folder)
        words = f"{journal}:{number}: broken, it is not JSON: "
        assert str(caught.value).startswith(words)
        assert "delete this line and all after it" in str(caught.value)
        journal.write_text("".join(lines[: number - 1]))  # as it says
        Store.open(folder).close()
        assert sorted(read_lines(journal)) == sorted(lines)


WRITE_FOR_EVER = """
import itertools, sys
from pathlib import Path
from sweep.vocabulary.record import EpochMetrics
from sweep.store.store import Store

with Store.open(Path(sys.argv[1])) as store:
    [record] = store.records()
    for epoch in itertools.count(len(record.history)):
        store.append_epoch("t0000", EpochMetrics(epoch=epoch, val_dice=0.5))
        print(epoch, flush=True)
"""


def test_killed_writer_loses_no_epoch_that_it_had_acknowledged(store: Store) -> None:
    store.start_trial(0, {}, "")
    store.close()
    folder = store.layout.folder
    for acknowledged in (1, 40, 300):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(acknowledged):
            writer.stdout.readline()
        writer.kill()
        rest, _ = writer.communicate()
        last = int(rest.split("\n")[-2]) if "\n" in rest else acknowledged - 1
        with Store.open(folder) as reopened:
            [record] = reopened.records()
            assert len(record.history) > last
            assert len(list(reopened.journal())) == 1 + len(record.history)


def test_journal_that_lags_far_behind_gets_every_event_once(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    journal = folder / "journal.jsonl"
    lines = read_lines(journal)
    for kept in range(len(lines)):
        journal.write_text("".join(lines[:kept]))
        with Store.open(folder) as store:
            repaired = read_lines(journal)
            assert repaired[:kept] == lines[:kept]
            assert sorted(repaired) == sorted(lines)
            assert len(list(store.journal())) == len(lines)


def test_trial_that_was_killed_while_it_was_being_made_starts_again(store: Store) -> None:
    folder = store.layout.folder
    store.start_trial(0, {"a": 1}, "seed: 0\n")
    store.close()
    paths = store.layout.trial("t0000")
    paths.trial.unlink()
    store.layout.journal.write_text("")
    assert read_records(folder) == []
    with Store.open(folder) as store:
        store.start_trial(0, {"a": 2}, "seed: 0\n")
        assert [record.parameters for record in store.records()] == [{"a": 2}]


def test_trial_of_which_only_the_journal_knows_is_told_and_not_dropped(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    shutil.rmtree(folder / "trials" / "t0001")
    with pytest.raises(ResultsError, match=r"has t0001, whose trial\.json is lost"):
        Store.open(folder)


def test_trial_whose_two_ends_differ_is_told(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep")
    trial = folder / "trials" / "t0000" / "trial.json"
    trial.write_text(trial.read_text().replace("completed", "pruned"))
    with pytest.raises(ResultsError, match=r"does not fit .*t0000 has already ended: completed"):
        Store.open(folder)


def test_refused_open_frees_the_lock(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep")
    journal = folder / "journal.jsonl"
    content = journal.read_text()
    journal.write_text("broken\n" + content)
    with pytest.raises(ResultsError, match=r"journal\.jsonl:1: broken"):
        Store.open(folder)
    journal.write_text(content)
    Store.open(folder).close()


def test_folder_that_vanishes_under_a_sweep_fails_it_and_is_not_made_anew(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    with Store.open(folder) as store:
        shutil.rmtree(folder)
        with pytest.raises(SweepFailed, match=r"cannot write .*history\.jsonl"):
            store.append_epoch("t0001", EpochMetrics(epoch=3, val_dice=0.5))
        with pytest.raises(SweepFailed, match=r"cannot write .*t0002"):
            store.start_trial(2, {}, "")
    assert not folder.exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import EpochMetrics
from sweep.store.store import Store

with Store.open(Path(sys.argv[1])) as store:
    limit = store.layout.journal.stat().st_size + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    recorded = 3
    try:
        while True:
            store.append_epoch("t0001", EpochMetrics(epoch=recorded, val_dice=0.5))
            recorded += 1
    except SweepFailed:
        print(recorded)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for epoch in range(recorded, recorded + 3):  # there is room again
        store.append_epoch("t0001", EpochMetrics(epoch=epoch, val_dice=0.5))
"""


@pytest.mark.parametrize("room", [0, 100, 1000])
def test_full_disk_loses_nothing_and_the_sweep_goes_on_once_there_is_room(
    make_sweep: MakeSweep, tmp_path: Path, room: int
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(room)],
        capture_output=True,
        text=True,
        check=True,
    )
    recorded = int(run.stdout)
    with Store.open(folder) as store:
        assert len(store.records()[1].history) == recorded + 3
        told = [event for event in store.journal() if event.trial_id == "t0001"]
        assert len(told) == 1 + recorded + 3


KILLED_AT_EACH_WRITE = """
import itertools, os, signal, sys
from pathlib import Path
from sweep.vocabulary.record import EpochMetrics, Outcome, Status
from sweep.store.store import Store

left = 0  # writes until the kill

def count(event, arguments):
    # All that a store does to the disk: files opened to write, renamed, deleted, folders made.
    global left
    writes = event in ("os.rename", "os.remove", "os.mkdir", "os.truncate")
    if writes or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

def session(folder):
    there = (folder / "sweep.yaml").exists()
    with Store.open(folder) if there else Store.create(folder, "a") as store:
        for number in range(len(store.records()), 2):
            store.start_trial(number, {"a": number}, "seed")
        for record in store.records():
            for epoch in range(len(record.history), 3):
                store.append_epoch(record.trial_id, EpochMetrics(epoch=epoch, val_dice=0.5))
            if record.outcome is None:
                store.end_trial(record.trial_id, Outcome(status=Status.COMPLETED))
            store.discard_checkpoints(record.trial_id, best=False)
        store.change_spec("b")

def killed(folder, writes):
    global left
    child = os.fork()
    if child == 0:
        left = writes
        session(folder)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

sys.addaudithook(count)
for writes in itertools.count(1):
    folder = Path(sys.argv[1]) / str(writes)
    if not killed(folder, writes):
        break
    killed(folder, 0)
"""


def test_writer_that_is_killed_at_any_of_its_writes_is_repaired_to_the_same_folder(
    tmp_path: Path,
) -> None:
    def content(folder: Path) -> dict[str, str]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_text() for path in files}

    subprocess.run([sys.executable, "-c", KILLED_AT_EACH_WRITE, str(tmp_path)], check=True)
    *repaired, whole = sorted(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert len(repaired) > 40
    assert "journal.jsonl" in content(whole)
    for folder in repaired:
        assert content(folder) == content(whole), folder.name


def test_change_of_the_spec_keeps_what_was_there_once_however_often_it_is_tried(
    store: Store, sweep_yaml: str
) -> None:
    def held() -> list[str]:
        return [path.read_text() for path in store.spec_files()]

    store.change_spec(sweep_yaml)
    assert held() == [sweep_yaml]
    store.layout.former_sweep_yaml(1).write_text(sweep_yaml)  # killed before the second write
    store.change_spec("name: other\n")
    assert held() == [sweep_yaml, "name: other\n"]
    store.change_spec(sweep_yaml)
    assert held() == [sweep_yaml, "name: other\n", sweep_yaml]


def test_what_killed_writers_left_is_cleared_away(make_sweep: MakeSweep, tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "sweep")
    paths = Store.open(folder).layout.trial("t0000")
    rests = [folder / ".sweep.yaml.0123.tmp", paths.folder / ".last.pt.4567.tmp"]
    for path in (*rests, paths.last_checkpoint, paths.previous_checkpoint, paths.best_checkpoint):
        path.write_bytes(b"weights")
    with Store.open(folder) as store:
        store.discard_checkpoints("t0000", best=False)
        assert not any(path.exists() for path in rests)
        assert [path.name for path in paths.folder.glob("*.pt")] == ["best.pt"]
        store.discard_checkpoints("t0000", best=True)
        assert list(paths.folder.glob("*.pt")) == []


READ_ONLY = """
import os, sys
from pathlib import Path
from sweep.vocabulary.errors import ResultsError, SweepFailed
from sweep.vocabulary.record import EpochMetrics
from sweep.store.store import Store

folder, writable, closed = Path(sys.argv[1]), 0o755, 0o555
if os.geteuid() == 0:  # to whom no folder is read-only
    os.chown(folder, 65534, 65534)
    for path in folder.rglob("*"):
        os.chown(path, 65534, 65534)
    os.setuid(65534)
with Store.open(folder) as store:
    history = store.layout.trial("t0001").history
    store.layout.trials.chmod(closed), history.chmod(0o444)
    for write in (
        lambda: store.append_epoch("t0001", EpochMetrics(epoch=3, val_dice=0.5)),
        lambda: store.start_trial(2, {}, ""),
    ):
        try:
            write()
        except SweepFailed as error:
            print(error)
    store.layout.trials.chmod(writable), history.chmod(0o644)
    store.append_epoch("t0001", EpochMetrics(epoch=3, val_dice=0.5))
    (folder / ".lock").chmod(0o444)
try:
    Store.open(folder)
except ResultsError as error:
    print(error)
"""


def test_read_only_folder_is_told_and_loses_nothing(
    make_sweep: MakeSweep,
) -> None:
    with TemporaryDirectory() as parent:  # pytest's own are closed to other users
        Path(parent).chmod(0o755)
        folder = make_sweep(Path(parent) / "sweep")
        run = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        assert [line.partition(": ")[2] for line in run.stdout.splitlines()] == [
            *["Permission denied; earlier data are intact"] * 2,
            "Permission denied",
        ]
        assert len(read_records(folder)[1].history) == 4
