"""No results folder makes a command fail otherwise than in words, or reach out of the folder.

As many cases as the profile says, see `test_check_fuzz`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watching import PRINTABLE, WATCH, Ask, files_under

from sweep.engine.session.open_store import open_store
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.divergence import Diagnosis, StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

SPEC = SweepSpec.model_validate(
    {"name": "toy", "space": {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}, "trials": 3}
)
DIVERGENCE = Divergence(
    cause="nonfinite",
    epoch=1,
    step=0,
    stage=Stage.GRADIENT,
    term="aspect",
    message="NaN",
    diagnosis=Diagnosis(
        likely_cause="A root.",
        setting="loss.sqrt_epsilon",
        advice="Set it.",
        recent=(
            StepValues(
                epoch=1,
                step=0,
                terms={"aspect": float("nan")},
                loss=float("inf"),
                grad_norm=1.0,
                weight_norm=1.0,
            ),
        ),
        cases=("a",),
        soft_areas=(None,),
    ),
)
half = settings(max_examples=settings.default.max_examples // 2)  # type: ignore[union-attr]
FORMATS = ["table", "json", "csv", "markdown", "latex"]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a completed, a diverged, a failed and a running trial."""
    folder = tmp_path_factory.mktemp("pristine") / "toy"
    with Store.create(folder, to_yaml(SPEC)) as store:
        for number in range(4):
            name = store.start_trial(number, {"loss.sqrt_epsilon": 1e-6}, "seed: 0\n", "baseline")
            for epoch in range(2):
                metrics = EpochMetrics(epoch=epoch, val_dice=0.5, terms={"dice": 0.1}, seconds=1.0)
                store.append_epoch(name, metrics)
        store.end_trial("t0000", Outcome(status=Status.COMPLETED))
        store.end_trial("t0001", Outcome.diverged(DIVERGENCE))
        store.end_trial("t0002", Outcome.failed(ValueError("no")))
    return folder


@pytest.fixture(scope="module")
def fresh(pristine: Path, here: Path) -> Callable[[], Path]:
    """Gives ``toy``, a copy of the pristine folder, however it was left by the last case."""

    def fresh() -> Path:
        shutil.rmtree(here / "toy", ignore_errors=True)
        return Path(shutil.copytree(pristine, here / "toy"))

    return fresh


Fresh = Callable[[], Path]


def ranked(ask: Ask, folder: Path, form: str) -> str:
    """What ``sweep rank`` prints, after a look at its law."""
    before = files_under(folder)
    answer = ask("rank", folder.name, "--format", form)
    assert files_under(folder) == before
    assert answer.acts == []
    assert answer.code in (0, 2)
    assert "Traceback" not in answer.stderr
    assert PRINTABLE.fullmatch(answer.stderr)
    assert (answer.stdout == "") <= (answer.code == 2)
    if answer.code == 2:
        assert answer.stdout == ""
        assert all("toy" in line for line in answer.mistakes)
    elif form == "json":
        json.loads(answer.stdout, parse_constant=pytest.fail)
    elif form in ("table", "markdown", "latex"):
        assert PRINTABLE.fullmatch(answer.stdout)
    return answer.stdout


def opened(folder: Path, *, resumed: bool = False) -> None:
    """What ``sweep run --resume`` does before it trains; it writes nowhere but in the folder."""
    with (
        WATCH.listening() as acts,
        suppress(ResultsError, InputError),
        open_store(SPEC, SweepLocation(folder), resume=True)[1]
        if resumed
        else Store.open(folder) as store,
    ):
        list(store.journal())
    assert all(str(folder) in act for act in acts), acts


VALUES: list[Any] = [
    None, True, -1, 0, 1, 7, 10**400, 2**63, 0.5, -0.0, 1e308, "", "0", "nan", "../../x", "t0000",
    "../t0000", "\x1b[2J", "a\nb\u2028", "\ud800", "[red]x", "running", "failed", "diverged", [],
    [1], [[]], {}, {"a": None}, "x" * 70_000, "rank", "= 1 + 1",
]  # fmt: skip
TOKENS = [
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "[" * 3000,
    "{}",
    '"\\ud800"',
    "\0",
    "\xff",
    "1.",
    "",
]
FILES = [
    "sweep.yaml", "journal.jsonl", "trials/t0000/trial.json", "trials/t0000/history.jsonl",
    "trials/t0001/trial.json", "trials/t0001/divergence.json", "trials/t0002/trial.json",
    "trials/t0002/error.txt", "trials/t0003/trial.json", "trials/t0003/history.jsonl",
]  # fmt: skip
some_file = st.sampled_from(FILES)
some_json_file = st.sampled_from([name for name in FILES if ".json" in name])


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value below the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*above, key)
        if isinstance(item, dict | list):
            yield from places(item, (*above, key))


def changed(text: str, draw: st.DrawFn) -> str:
    """A JSON object with another value, another key, or one key less."""
    top = json.loads(text)
    *way, last = draw(st.sampled_from(list(places(top))))
    group = top
    for key in way:
        group = group[key]
    token = draw(st.sampled_from(["VALUE", "VALUE", "TOKEN", "KEY", "DROP"]))
    value = draw(st.sampled_from(VALUES))
    if token == "DROP":
        del group[last]
    elif token == "KEY" and isinstance(group, dict):
        group[json.dumps(value)] = group.pop(last)
    else:
        group[last] = value
    text = json.dumps(top)
    if token == "TOKEN":
        raw = json.dumps(value)
        return text.replace(raw, draw(st.sampled_from(TOKENS)), 1)
    return text


@given(data=st.data(), form=st.sampled_from(FORMATS))
def test_any_value_in_any_file(ask: Ask, fresh: Fresh, data: st.DataObject, form: str) -> None:
    folder = fresh()
    for _ in range(data.draw(st.integers(1, 2))):
        file = folder / data.draw(some_json_file)
        whole = file.suffix == ".json"
        lines = [file.read_text()] if whole else file.read_text().splitlines()
        place = data.draw(st.integers(0, len(lines) - 1))
        try:
            lines[place] = changed(lines[place], data.draw)
        except ValueError:  # the second change of one that is broken already
            continue
        file.write_text("\n".join(lines) + "\n", errors="surrogatepass")
    ranked(ask, folder, form)
    opened(folder)


@half
@given(data=st.data())
def test_any_value_in_any_file_of_a_sweep_that_is_watched(
    ask: Ask, fresh: Fresh, data: st.DataObject
) -> None:
    folder = fresh()
    file = folder / data.draw(some_json_file)
    whole = file.suffix == ".json"
    lines = [file.read_text()] if whole else file.read_text().splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place] = changed(lines[place], data.draw)
    file.write_text("\n".join(lines) + "\n", errors="surrogatepass")
    before = files_under(folder)
    answer = ask("watch", folder.name, "--once")
    assert files_under(folder) == before
    assert answer.acts == []
    assert answer.code in (0, 2)
    assert "Traceback" not in answer.stderr
    assert PRINTABLE.fullmatch(answer.stderr)
    assert PRINTABLE.fullmatch(answer.stdout)
    assert (answer.stdout == "") == (answer.code == 2)


@half
@given(data=st.data(), form=st.sampled_from(FORMATS))
def test_any_bytes_in_any_file(ask: Ask, fresh: Fresh, data: st.DataObject, form: str) -> None:
    folder = fresh()
    file = folder / data.draw(some_file)
    content = file.read_bytes()
    place = data.draw(st.integers(0, len(content)))
    piece = data.draw(st.binary(max_size=20) | st.sampled_from([t.encode() for t in TOKENS]))
    skipped = data.draw(st.sampled_from([0, 1, 10, len(content)]))
    file.write_bytes(content[:place] + piece + content[place + skipped :])
    ranked(ask, folder, form)
    opened(folder)


SPACES = st.sampled_from(["rank", "status", "val_dice", "a\nb", "\x1b", "[red]", "<<", "", "seed"])


@half
@given(
    names=st.lists(SPACES, max_size=4, unique=True),
    values=st.lists(st.sampled_from(VALUES), min_size=4, max_size=4),
    form=st.sampled_from(FORMATS),
)
def test_any_name_of_a_parameter(
    ask: Ask, fresh: Fresh, names: list[str], values: list[Any], form: str
) -> None:
    folder = fresh()
    space = {name: {"choice": [1]} for name in names}
    (folder / "sweep.yaml").write_text(json.dumps({"name": values[0], "space": space}))
    for number in range(4):
        file = folder / f"trials/t000{number}/trial.json"
        trial = json.loads(file.read_text())
        parameters = dict(zip(names, values, strict=False))
        file.write_text(json.dumps(trial | {"parameters": parameters}))
    ranked(ask, folder, form)


LINES = ["k0: &k0 [x, x, x, x, x, x, x, x, x]"] + [
    f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 10)
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([*LINES, "space: *k9"]),
        "\n".join([*LINES, "space: {? *k9 : 1}"]),
        "\n".join(line.replace("[", "{<<: [").replace("]", "]}") for line in LINES),
        "name: !!python/object/apply:os.system [touch x]",
        "[" * 500,
        "x" * 3_000_000,
    ],
    ids=["list", "key", "merge", "tag", "deep", "long"],
)
def test_bomb_in_place_of_the_spec(ask: Ask, fresh: Fresh, text: str) -> None:
    folder = fresh()
    (folder / "sweep.yaml").write_text(text)
    assert ranked(ask, folder, "table") == ""
    opened(folder, resumed=True)


# Links, pipes, folders and devices in the places of files.


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def pipe(path: Path, _target: Path) -> None:
    os.mkfifo(path)


def folder_of_nothing(path: Path, _target: Path) -> None:
    path.mkdir()


def endless(path: Path, _target: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path, _target: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize("put", [link, pipe, folder_of_nothing, endless, sparse])
@pytest.mark.parametrize("name", [*FILES, "trials", "trials/t0000", ".lock", "sweep.log"])
def test_what_is_no_file_of_the_folder_is_neither_read_nor_written(
    ask: Ask, fresh: Fresh, tmp_path: Path, name: str, put: Callable[[Path, Path], None]
) -> None:
    folder = fresh()
    path, elsewhere = folder / name, tmp_path / "elsewhere"
    if path.is_dir():
        shutil.copytree(path, elsewhere)
        shutil.rmtree(path)
    else:
        elsewhere.write_bytes((path.read_bytes() if path.exists() else b"") + b"torn")
        path.unlink(missing_ok=True)
    put(path, elsewhere)
    before = {elsewhere: elsewhere.lstat().st_mtime_ns} | files_under(elsewhere)
    ranked(ask, folder, "json")
    opened(folder, resumed=True)
    assert {elsewhere: elsewhere.lstat().st_mtime_ns} | files_under(elsewhere) == before


@pytest.mark.parametrize("name", ["../t0000", "t0000/..", "..", "t00000", "t" + "9" * 200, "\x1b"])
def test_event_of_a_hostile_id_is_refused(fresh: Fresh, name: str) -> None:
    folder = fresh()
    with (folder / "journal.jsonl").open("a") as file:
        file.write(json.dumps({"event": "start", "trial_id": name}) + "\n")
    opened(folder, resumed=True)
    assert not (folder / "trials" / ".." / "t0000").exists()
