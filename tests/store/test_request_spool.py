"""Requests in a results folder: written as a whole, taken in order, read back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.files import parse_json, to_json
from sweep.store.journal import (
    ConfigurationEnqueued,
    JournalState,
    NoteAdded,
    Request,
    StopRequested,
    TrialEnded,
    TrialStarted,
    event_of,
    values_of,
)
from sweep.store.layout import Layout
from sweep.store.spool.request_spool import RequestSpool, origin
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Status

names = st.text(min_size=1)
values = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), names, st.none()
)
requests = st.one_of(
    st.builds(StopRequested, names, st.just("t0007"), names, names),
    st.builds(NoteAdded, names, names, names, names, st.sampled_from(["t0007r1", None])),
    st.builds(ConfigurationEnqueued, names, st.dictionaries(names, values), names, names),
)


@given(asked=requests)
def test_request_is_read_back_as_it_was_written(asked: Request) -> None:
    assert event_of(parse_json(to_json(values_of(asked)))) == asked


def test_requests_come_in_the_order_in_which_they_were_asked(tmp_path: Path) -> None:
    spool = RequestSpool(Layout(tmp_path))
    assert spool.names() == []
    asked = []
    for number in range(5):
        asked.append(NoteAdded(trial_id="t0000", text=str(number), **origin()))
        spool.add(asked[-1])
    assert list(spool.readable(lambda *_: pytest.fail("all are sound"))) == asked
    spool.drop(asked[1])
    spool.drop(asked[1])  # a kill came before this was known
    assert list(spool.readable(lambda *_: None)) == [asked[0], *asked[2:]]


def test_half_written_request_is_not_there(tmp_path: Path) -> None:
    spool = RequestSpool(Layout(tmp_path))
    spool.add(StopRequested("1", "t0000", "me@here", "now"))
    (Layout(tmp_path).requests / ".2.json.12ab.tmp").write_text('{"eve')
    (Layout(tmp_path).requests / ".3.json").write_text("{")
    assert spool.names() == ["1"]


def test_request_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    spool = RequestSpool(Layout(tmp_path))
    spool.add(StopRequested("1", "t0000", "me@here", "now"))
    (Layout(tmp_path).requests / "2.json").symlink_to(Layout(tmp_path).requests / "1.json")
    broken: list[ResultsError] = []
    assert len(list(spool.readable(lambda _, error: broken.append(error)))) == 1
    assert "is a link" in str(broken[0])


STOP = StopRequested("1", "t0000", "me@here", "now")
NOTE = NoteAdded("2", "text", "me@here", "now", "t0000")


def state(*events: TrialStarted | TrialEnded | Request) -> JournalState:
    found = JournalState()
    for event in events:
        found.add(event)
    return found


def test_request_counts_once() -> None:
    assert state(TrialStarted("t0000")).is_news(STOP)
    assert not state(TrialStarted("t0000"), STOP).is_news(STOP)
    ended = TrialEnded("t0000", Status.PRUNED)
    assert not state(TrialStarted("t0000"), STOP, ended).is_news(STOP)
    assert state(TrialStarted("t0000"), ended).is_news(NOTE)


def test_request_on_a_trial_that_cannot_take_it_cannot_follow() -> None:
    with pytest.raises(ValueError, match="t0000 was never started"):
        JournalState().is_news(NOTE)
    with pytest.raises(ValueError, match="t0000 has already ended: completed"):
        state(TrialStarted("t0000"), TrialEnded("t0000", Status.COMPLETED)).is_news(STOP)
