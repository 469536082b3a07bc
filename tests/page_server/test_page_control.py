"""What a page under ``--control`` may ask of a sweep, and who may not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from synthetic import COMPACTNESS, EPSILON, WARMUP, drawn
from visitor import Answer, Visitor

from sweep.page_server.page_requests import KEY_HEADER, MOST_BYTES, MOST_BYTES_OF_A_FILE
from sweep.store.journal import ConfigurationEnqueued, NoteAdded, StopRequested
from sweep.store.layout import Layout
from sweep.store.lock import lock_results
from sweep.store.spool.request_spool import RequestSpool

Serve = Callable[..., Visitor]
PAGE = "/sweeps/small/"


@pytest.fixture
def visit(serve: Serve, root: Path) -> Visitor:
    return serve(root, control=True)


def key_of(visit: Visitor) -> str:
    visit(f"{PAGE}data")  # waits for the first reading, where the page would say that it is read
    text = visit(PAGE).text.partition('<body data-live="')[2].partition('"')[0]
    return str(json.loads(text.replace("&#34;", '"'))["key"])


def ask(visit: Visitor, kind: str, body: object, **headers: str) -> Answer:
    return visit(f"{PAGE}ask/{kind}", "POST", body, {KEY_HEADER: key_of(visit), **headers})


def left(root: Path) -> list[object]:
    return list(RequestSpool(Layout(root / "small")).readable(pytest.fail))


def test_page_stops_a_trial_as_the_command_does(visit: Visitor, root: Path) -> None:
    lock = lock_results(Layout(root / "small"))  # a session runs
    answer = ask(visit, "stop", {"trial": "t0000"})
    lock.release()
    assert answer.json == {"words": "t0000 ends as pruned at its next report.", "warnings": []}
    [request] = left(root)
    assert isinstance(request, StopRequested)
    assert request.trial_id == "t0000"


def test_form_has_the_exact_values_of_a_trial_and_enqueues_what_was_typed(
    visit: Visitor, root: Path
) -> None:
    fields = visit(f"{PAGE}configuration?trial=t0000").json
    assert [one["name"] for one in fields] == [WARMUP, COMPACTNESS, EPSILON]
    assert fields[0]["space"] == "randint [2, 8], upper bound excluded"
    assert fields[1]["space"] == "loguniform [0.001, 1.0]"
    exact = drawn(0).parameters
    assert [json.loads(one["value"]) for one in fields] == [exact[one["name"]] for one in fields]
    assert [one["value"] for one in visit(f"{PAGE}configuration").json] == ["", "", ""]
    typed = {one["name"]: one["value"] for one in fields} | {EPSILON: "2.5e-7"}
    answer = ask(visit, "enqueue", {"values": typed})
    assert "loss.sqrt_epsilon=2.5e-07" in answer.json["words"]
    assert "No session runs" in answer.json["words"]
    assert "outside" in answer.json["warnings"][0]
    [request] = left(root)
    assert isinstance(request, ConfigurationEnqueued)
    assert request.parameters == {
        WARMUP: exact[WARMUP],
        COMPACTNESS: exact[COMPACTNESS],
        EPSILON: 2.5e-7,
    }


def test_page_writes_a_note(visit: Visitor, root: Path) -> None:
    answer = ask(visit, "note", {"trial": "t0000", "text": "eroded <b>masks</b>"})
    assert answer.json["words"].startswith("Noted on t0000.")
    [request] = left(root)
    assert isinstance(request, NoteAdded)
    assert request.text == "eroded <b>masks</b>"
    assert "eroded &lt;b&gt;masks" in json.dumps(visit(f"{PAGE}data").json["sections"])
    assert ask(visit, "note", {"text": "*ours*"}).json["words"].startswith("Noted on the sweep.")
    assert "<em>ours</em>" in json.dumps(visit(f"{PAGE}data").json["sections"])


@pytest.fixture
def put(visit: Visitor) -> Callable[..., Answer]:
    """``put(name, content)``: the answer to a page that sends a file for a trial."""
    key = {KEY_HEADER: key_of(visit)}

    def sent(name: str, content: bytes, trial: str = "t0000", **headers: str) -> Answer:
        address = f"{PAGE}trials/{trial}/files/{quote(name, safe='')}"
        return visit(address, "POST", content, key | headers)

    return sent


def test_file_is_put_beside_a_trial_and_none_is_ever_replaced(
    visit: Visitor, put: Callable[..., Answer], root: Path
) -> None:
    folder = root / "small" / "trials" / "t0000"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "divergence.json" not in before
    for name, kept in [
        ("masks über all.png", "masks über all.png"),
        ("masks über all.png", "masks über all-2.png"),
        ("masks über all.png", "masks über all-3.png"),
        ("history.jsonl", "history-2.jsonl"),
        ("Divergence.json", "Divergence-2.json"),  # one that the trial may write
        ("pictures", "pictures-2"),
        ("a?b#c%2e&<i>.txt", "a?b#c%2e&<i>.txt"),
        ("x" * 200, "x" * 200),
    ]:
        answer = put(name, kept.encode())
        assert answer.status == 200, answer.text
        assert answer.json["words"].startswith(f"{kept} lies beside the other files of t0000.")
        assert ("is taken" in answer.json["words"]) is (name != kept)
        assert (folder / kept).read_bytes() == kept.encode()
        assert visit(f"{PAGE}trials/t0000/files/{quote(kept)}").text == kept
    assert {name: (folder / name).read_bytes() for name in before} == before
    data = visit(f"{PAGE}data").json["trials"]["t0000"]
    assert {"masks über all.png", "masks über all-2.png"} <= {*data["files"]}
    assert data["notes"][1]["text"] == "Added the file masks über all-2.png."


def test_file_that_could_lie_elsewhere_or_is_none_is_refused(
    put: Callable[..., Answer], root: Path
) -> None:
    every = {*root.rglob("*")}
    for name, content, told in [
        ("..", b"x", 422),
        (".lock", b"x", 422),
        ("a\\b", b"x", 422),
        ("../../sweep.yaml", b"x", 404),  # a name in an address has no slash
        ("/etc/passwd", b"x", 404),
        ("a\x00b", b"x", 422),
        ("\u202egnp.exe", b"x", 422),
        (" ", b"x", 422),
        ("x" * 201, b"x", 422),
        ("empty.txt", b"", 422),
    ]:
        assert put(name, content).status == told, name
    for trial in ("t0009", "..", "t0000r1"):
        assert put("x", b"x", trial).status == 422
    assert put("x", b"x", origin="http://evil.example").status == 403
    assert put("x", b"x", **{KEY_HEADER: "guess"}).status == 403
    large = put("x", b"x", **{"content-length": str(MOST_BYTES_OF_A_FILE + 1)})
    assert large.status == 413
    (root / "small" / "trials" / "t0001").symlink_to(root)
    assert put("x", b"x", "t0001").status == 422
    assert {*root.rglob("*")} - every == {root / "small" / "trials" / "t0001"}


def test_mistakes_are_told_in_words_and_nothing_is_left(visit: Visitor, root: Path) -> None:
    for kind, body, told in [
        ("stop", {"trial": "t0009"}, "has no trial `t0009`; it has t0000 to t0000"),
        ("stop", {"trial": "../t0000"}, "has no trial"),
        ("enqueue", {"values": {"loss.sqrt_epsilom": "1"}}, "did you mean `loss.sqrt_epsilon`?"),
        ("enqueue", {"values": {}}, "give a value to"),
        ("note", {"trial": "t0000", "text": "  "}, "a note must have 1 to 2000 characters"),
    ]:
        answer = ask(visit, kind, body)
        assert answer.status == 422
        assert told in answer.json["mistakes"][0]
    assert left(root) == []


def test_only_the_page_itself_may_ask(visit: Visitor, root: Path) -> None:
    body = {"trial": "t0000"}
    for headers in (
        {KEY_HEADER: ""},
        {KEY_HEADER: "guess"},
        {"origin": "http://evil.example"},
        {"origin": f"http://127.0.0.1:{visit.port + 1}"},
        {"origin": "null"},
    ):
        assert ask(visit, "stop", body, **headers).status == 403
    ours = f"http://127.0.0.1:{visit.port}"
    stranger = Visitor(visit.port)
    key = {KEY_HEADER: key_of(visit)}
    assert stranger(f"{PAGE}ask/stop", "POST", body, key).status == 403  # no cookie
    assert visit(f"{PAGE}ask/stop", headers=key).status == 405  # a GET acts on nothing
    assert left(root) == []
    assert ask(visit, "stop", body, origin=ours).status == 200


def test_what_is_not_a_request_is_refused(visit: Visitor, root: Path) -> None:
    for kind, body, status in [
        ("stop", {"trials": "t0000"}, 400),
        ("stop", ["t0000"], 400),
        ("note", {"trial": "t0000", "text": 5}, 400),
        ("delete", {"trial": "t0000"}, 404),
        ("note", {"trial": "t0000", "text": "x" * MOST_BYTES}, 413),
    ]:
        assert ask(visit, kind, body).status == status
    assert left(root) == []


def test_without_control_a_page_is_read_only(serve: Serve, root: Path) -> None:
    visit = serve(root)
    answer = visit(f"{PAGE}ask/stop", "POST", {"trial": "t0000"}, {KEY_HEADER: "None"})
    assert answer.status == 403
    assert "--control" in answer.text
    assert left(root) == []
    address = f"{PAGE}trials/t0000/files/x.txt"
    assert visit(address, "POST", b"x", {KEY_HEADER: "None"}).status == 403
    assert visit(address).status == 404
    assert "control.js" not in visit(PAGE).text
    assert "Train a configuration" not in visit(PAGE).text
