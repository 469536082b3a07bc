from __future__ import annotations

from pathlib import Path

import pytest

from sweep.store.journal import (
    EpochRecorded,
    Event,
    Journal,
    TrialEnded,
    TrialStarted,
    TrialWaits,
    read_journal,
    waiting_trials,
)
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Status

EVENTS: list[Event] = [
    TrialStarted("t0000"),
    TrialStarted("t0001"),
    EpochRecorded("t0001", 0, None),
    EpochRecorded("t0000", 0, 0.1),
    TrialEnded("t0001", Status.DIVERGED),
    EpochRecorded("t0000", 1, 0.30000000000000004),
    TrialEnded("t0000", Status.PRUNED),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_events_come_back_in_their_order_with_their_values(path: Path) -> None:
    journal = Journal(path)
    assert all(journal.append(event) for event in EVENTS)
    assert list(read_journal(path)) == EVENTS


def test_event_that_is_known_is_no_news_before_and_after_a_restart(path: Path) -> None:
    journal = Journal(path)
    for event in EVENTS:
        journal.append(event)
    content = path.read_bytes()
    for writer in (journal, Journal(path)):
        assert not any(writer.append(event) for event in EVENTS)
    assert path.read_bytes() == content


def test_trial_waits_from_its_last_line_until_it_reports_or_ends(path: Path) -> None:
    assert waiting_trials(path) == frozenset()  # a folder of version 0.1 has no journal
    journal, found = Journal(path), []
    for event in (
        *EVENTS[:4],
        TrialWaits("t0000"),
        TrialWaits("t0001"),
        EpochRecorded("t0000", 1, 0.3),
        TrialEnded("t0001", Status.PRUNED),
    ):
        journal.append(event)
        found.append(waiting_trials(path))
    assert found[3:] == [
        frozenset(),
        {"t0000"},
        {"t0000", "t0001"},
        {"t0001"},
        frozenset(),
    ]


def test_line_that_was_written_twice_counts_once(path: Path) -> None:
    journal = Journal(path)
    for event in EVENTS:
        journal.append(event)
    path.write_text("".join(line * 2 for line in path.read_text().splitlines(keepends=True)))
    assert list(read_journal(path)) == EVENTS


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (EpochRecorded("t0007", 0, 0.5), "t0007 was never started"),
        (TrialEnded("t0007", Status.FAILED), "t0007 was never started"),
        (EpochRecorded("t0000", 3, 0.5), "t0000 must report epoch 2 next, but got epoch=3"),
        (EpochRecorded("t0000", 2, 0.5), "t0000 has already ended: pruned"),
        (TrialEnded("t0000", Status.FAILED), "t0000 has already ended: pruned"),
    ],
)
def test_event_that_cannot_follow_is_refused_and_not_written(
    path: Path, event: Event, reason: str
) -> None:
    journal = Journal(path)
    for known in EVENTS:
        journal.append(known)
    with pytest.raises(ValueError, match=reason):
        journal.append(event)
    assert list(read_journal(path)) == EVENTS


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "start", "trial_id": "../../t0000"}',
        '{"event": "start"}',
        '{"event": "jump", "trial_id": "t0000"}',
        '{"event": "epoch", "trial_id": "t0000", "epoch": 0, "val_dice": 0.5}',
    ],
)
def test_line_that_makes_no_sense_is_an_error_that_names_it(path: Path, line: str) -> None:
    path.write_text(line + "\n")
    with pytest.raises(ResultsError, match=r"journal\.jsonl:1: broken"):
        Journal(path)


def test_dice_that_is_not_finite_is_recorded_as_none(path: Path) -> None:
    journal = Journal(path)
    journal.append(TrialStarted("t0000"))
    journal.append(EpochRecorded("t0000", 0, float("nan")))
    assert list(read_journal(path))[-1] == EpochRecorded("t0000", 0, None)
