"""Following a results folder: the same as a controller tells, in pieces, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.follow_events import Follower, Tail
from sweep.store.lock import is_locked, lock_results
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord


@dataclass
class Listener:
    """Keeps what it is told."""

    told: list[object] = field(default_factory=list)

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self.told.append((trial_id, dict(parameters)))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self.told.append((trial_id, metrics))

    def trial_waits(self, trial_id: str) -> None:
        self.told.append((trial_id, "waits"))

    def trial_ended(self, record: TrialRecord) -> None:
        self.told.append(record)


def epoch(number: int, dice: float = 0.5) -> EpochMetrics:
    return EpochMetrics(epoch=number, val_dice=dice, seconds=2.0, warnings=("Too bright.",))


def news(follower: Follower) -> list[object]:
    listener = Listener()
    follower.notify(listener)
    return listener.told


def test_each_event_is_told_once_with_all_that_is_recorded_of_it(store: Store) -> None:
    follower = Follower(store.layout.folder)
    assert news(follower) == []
    name = store.start_trial(0, {"loss.sqrt_epsilon": 1e-8}, "")
    store.append_epoch(name, epoch(0))
    assert news(follower) == [(name, {"loss.sqrt_epsilon": 1e-8}), (name, epoch(0))]
    assert news(follower) == []
    store.append_epoch(name, epoch(1))
    store.end_trial(name, Outcome(status=Status.PRUNED, cause="stopped by asha"))
    assert news(follower) == [(name, epoch(1)), *store.records()]


def test_a_wait_is_told_once_and_again_after_the_next_epoch(store: Store) -> None:
    name = store.start_trial(0, {}, "")
    store.append_epoch(name, epoch(0))
    assert store.note_wait(name)
    assert not store.note_wait(name)
    store.append_epoch(name, epoch(1))
    assert store.note_wait(name)
    told = news(Follower(store.layout.folder))
    assert told == [
        (name, {}),
        (name, epoch(0)),
        (name, "waits"),
        (name, epoch(1)),
        (name, "waits"),
    ]


def test_who_comes_late_is_told_everything_in_its_order(store: Store) -> None:
    for number in range(2):
        store.start_trial(number, {}, "")
    for trial in ("t0001", "t0000", "t0001"):
        store.append_epoch(trial, epoch(0 if trial == "t0000" else len(store.records()[1].history)))
    store.end_trial("t0001", Outcome(status=Status.COMPLETED))
    told = news(Follower(store.layout.folder))
    assert told == [
        ("t0000", {}),
        ("t0001", {}),
        ("t0001", epoch(0)),
        ("t0000", epoch(0)),
        ("t0001", epoch(1)),
        store.records()[1],
    ]


@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_wherever_the_file_ends_at_a_look_each_line_comes_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    content = "".join(f'{{"n": {n}, "text": "ä"}}\n' for n in range(12)).encode()
    path = tmp_path_factory.mktemp("tail") / "file.jsonl"
    tail = Tail(path, lambda line: int(line["n"]))
    found = tail.news()
    for end in [*sorted(cuts), len(content)]:
        with path.open("ab") as file:
            file.write(content[file.tell() : end])
        found += tail.news()
    assert found == list(range(12))


def test_broken_line_is_named_by_its_number_though_those_before_were_read_earlier(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    tail = Tail(path, lambda line: int(line["n"]))
    assert tail.news() == [1, 2]
    with path.open("a") as file:
        file.write("{\n")
    with pytest.raises(ResultsError, match=r"file\.jsonl:3: broken"):
        tail.news()


@pytest.mark.parametrize("change", ["shorter", "another"])
def test_file_that_was_replaced_is_not_taken_for_the_same(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    tail = Tail(path, lambda line: int(line["n"]))
    tail.news()
    if change == "shorter":
        path.write_text('{"n": 1}\n')
    else:
        (tmp_path / "new").write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
        (tmp_path / "new").replace(path)
    with pytest.raises(ResultsError, match="was replaced in the meantime"):
        tail.news()


def test_epoch_whose_history_was_lost_in_a_power_cut_is_told_by_the_journal(store: Store) -> None:
    name = store.start_trial(0, {}, "")
    store.append_epoch(name, epoch(0, dice=0.25))
    store.layout.trial(name).history.write_text("")
    told = news(Follower(store.layout.folder))
    assert told[-1] == (name, EpochMetrics(epoch=0, val_dice=0.25))


def test_impossible_journal_is_an_error_in_words(store: Store) -> None:
    store.layout.journal.write_text('{"event": "epoch", "trial_id": "t0000", "epoch": 0, '
                                    '"val_dice": 0.5}\n')  # fmt: skip
    with pytest.raises(ResultsError, match=r"journal\.jsonl: broken, t0000 was never started"):
        news(Follower(store.layout.folder))


def test_looking_whether_a_folder_is_in_use_changes_nothing_and_hinders_nobody(
    tmp_path: Path,
) -> None:
    with Store.create(tmp_path / "sweep", "name: x\n") as store:
        layout = store.layout
        before = layout.lock.stat()
        assert is_locked(layout)
        after = layout.lock.stat()
        assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert not is_locked(layout)
    layout.lock.chmod(0o400)
    assert not is_locked(layout)
    layout.lock.unlink()
    assert not is_locked(layout)
    assert not layout.lock.exists()
    with lock_results(layout):
        assert is_locked(layout)
