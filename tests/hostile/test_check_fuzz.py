"""No settings file and no override is answered by anything but exit code 0, or 2 with words.

Each test runs as many cases as the profile says: 100 in CI, always the same ones. Where there is a
test for each shipped file, they share half as many. To look further:
``pytest tests/hostile --hypothesis-profile=long``.
"""

from __future__ import annotations

import codecs
import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from watching import WATCH, Ask

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.tree.setting_tree import setting_names

SHIPPED = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
}
every_shipped_file = pytest.mark.parametrize("name", SHIPPED)
its_share = settings(max_examples=settings.default.max_examples // 2 // len(SHIPPED))  # type: ignore[union-attr]
FILE = "space.yaml"


@dataclass(frozen=True)
class Raw:
    """A piece of YAML text that stands for itself."""

    text: str


HOSTILE_NAMES = [
    "../../x", "/tmp/x", "~", "~/x", "..", ".", "", " ", "nul", "con.yaml", "-rf", "$(id)", "`id`",
    "a/b", "a\\b", "a\0b", "a\nb", "\x1b[2J", "\x7f", "\u2028", "\u202e", "é" * 300, "x" * 5000,
    "{0.__class__}", "%s%n", "' OR 1=1", "<script>", "\ud800", "[/bold]", "[red]x",
]  # fmt: skip
NUMBERS = [
    0, -1, 1, 2, 0.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64,
    10**30, Raw("9" * 5000), Raw("1" + "_0" * 50), Raw("1e999"), Raw(".nan"), Raw("-.inf"),
    Raw("0x_"), Raw("0o17"), Raw("017"), Raw("0b1"), Raw("1:30:00"), Raw("190:20:30.15"),
    Raw("+.inf"), Raw("1."), Raw(".5e+-3"), Raw("1e"),
]  # fmt: skip
OTHERS = [
    None, True, False, [], {}, [None], [[]], {"": None}, {"name": "unet"}, "tpe", "yes", "auto",
    {"randint": [0, 5]}, {"choice": []}, {"grid": [1, 1.0, True]}, {"uniform": [1, 0]},
    Raw("2001-01-01"), Raw("2001-12-14t21:59:43.10-05:00"), Raw("9999-99-99"), Raw("!!null x"),
    Raw("!!python/object/apply:os.system [id]"), Raw("!!python/name:os.system"), Raw("!!binary x"),
    Raw("!!python/object/new:type [z, [], {extend: x}]"), Raw("!!float x"), Raw("!!int ''"),
    Raw("!!bool maybe"), Raw("!!timestamp 1"), Raw("!!set {a}"), Raw("!!omap [a: 1]"), Raw("! x"),
    Raw("!<tag:yaml.org,2002:int> 1"), Raw("&a [*a]"), Raw("*nowhere"), Raw("&a {<<: *a}"),
    Raw("{<<: [{a: 1}, {a: 2}]}"), Raw("{? [a, b] : c}"), Raw("{? {a: b} : c}"), Raw("="),
    Raw('"\\ud800"'), Raw('"\\U0010ffff"'), Raw("[" * 30 + "]" * 30), Raw("{a: " * 30 + "}" * 30),
]  # fmt: skip
VALUES = st.sampled_from([*HOSTILE_NAMES, *NUMBERS, *OTHERS])


def flow(value: Any) -> str:
    """One line of YAML."""
    match value:
        case Raw():
            return value.text
        case dict():
            return (
                "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return json.dumps(value)  # quoted, with YAML's own escapes
        case _:
            return json.dumps(value, default=str)


def written(document: dict[str, Any]) -> str:
    """A document with one line a top-level key, so that lines are worth telling."""
    return "".join(f"{flow(key)}: {flow(value)}\n" for key, value in document.items())


@pytest.fixture(scope="module")
def check(ask: Ask, here: Path) -> Callable[..., None]:
    """Checks a file of any content, with overrides, and holds the answer to the law."""

    def check(content: bytes, *overrides: str) -> None:
        (here / FILE).write_bytes(content)
        answer = ask("check", FILE, *(part for text in overrides for part in ("--set", text)))
        answer.must_be_sound()
        assert answer.acts == []
        for line in answer.mistakes:  # each names what was wrong: the file, the override, the data
            assert line.startswith((FILE, "--set ")) or "dataset.json: " in line

    return check


Check = Callable[..., None]

# Any bytes, any text, any document.

INDICATORS = [
    *"{}[]:,#&*!|>'\"%@`-?=~<\t\n \r\0\\",
    "- ",
    ": ",
    "\n  ",
    "&a ",
    "*a",
    "<<: ",
    "---\n",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp037", "utf-7"]


@given(st.binary(max_size=200))
@example(b"")
@example(b"\0" * 300_000)
@example(codecs.BOM_UTF16_LE + b"s")
def test_any_bytes(check: Check, content: bytes) -> None:
    check(content)


@given(
    st.lists(st.sampled_from(INDICATORS) | st.text(max_size=3), max_size=40).map("".join),
    st.sampled_from(ENCODINGS),
)
def test_any_text_in_any_encoding(check: Check, text: str, encoding: str) -> None:
    check(text.encode(encoding, errors="replace"))
    check((SHIPPED["quickstart"] + text).encode(encoding, errors="replace"))


SETTINGS = [*SweepSpec.model_fields, "preset", "loss.sqrt_epsilon", "network.name", "data.size"]
KEYS = st.sampled_from(
    [*SETTINGS, "name", "source", "channels", "choice", "uniform", "<<", "=", ""]
)
TREES = st.recursive(
    VALUES | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=6), st.booleans())
def test_any_document(check: Check, values: dict[str, Any], with_space: bool) -> None:
    extra = {"space": {"seed": {"choice": [1, 2]}}} if with_space else {}
    check(written(values | extra).encode(errors="surrogatepass"))


@settings(max_examples=settings.default.max_examples // 5)  # type: ignore[union-attr]
@given(
    width=st.integers(2, 12), depth=st.integers(1, 12), merged=st.booleans(), tracked=st.booleans()
)
@example(width=9, depth=9, merged=False, tracked=True)
@example(width=9, depth=9, merged=True, tracked=True)
def test_any_bomb_of_aliases(
    check: Check, width: int, depth: int, merged: bool, tracked: bool
) -> None:
    lines = ["k0: &k0 {a: xxxxxxxxx}"]
    for level in range(depth):
        inside = ", ".join([f"*k{level}"] * width)
        body = f"{{<<: [{inside}]}}" if merged else f"[{inside}]"
        lines.append(f"k{level + 1}: &k{level + 1} {body}")
    lines += [f"tracking: *k{depth}"] * tracked
    check("\n".join(lines).encode())


# The shipped files, changed.


def paths_of(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value below the top."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from paths_of(value, (*above, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


Change = Callable[[Any, tuple[Any, ...], st.DrawFn], None]


def dropped(tree: Any, path: tuple[Any, ...], draw: st.DrawFn) -> None:
    del at(tree, path[:-1])[path[-1]]


def renamed(tree: Any, path: tuple[Any, ...], draw: st.DrawFn) -> None:
    group, key = at(tree, path[:-1]), path[-1]
    if isinstance(group, dict) and isinstance(key, str):
        near = [key[:-1], key.upper(), key * 2, f"{key}.", f"x.{key}", *SETTINGS]
        new = draw(
            st.sampled_from([*near, *HOSTILE_NAMES, Raw("[a]"), Raw("&k x"), Raw("!!int 1")])
        )
        group[new] = group.pop(key)


def revalued(tree: Any, path: tuple[Any, ...], draw: st.DrawFn) -> None:
    at(tree, path[:-1])[path[-1]] = copy.deepcopy(draw(VALUES))


def moved(tree: Any, path: tuple[Any, ...], draw: st.DrawFn) -> None:
    """Another value of the same file, as a copy."""
    other = draw(st.sampled_from(sorted(paths_of(tree), key=repr)))
    at(tree, path[:-1])[path[-1]] = copy.deepcopy(at(tree, other))


@every_shipped_file
@pytest.mark.parametrize("change", [dropped, renamed, revalued, moved])
@its_share
@given(data=st.data())
def test_shipped_file_with_other_keys_and_values(
    check: Check, name: str, change: Change, data: st.DataObject
) -> None:
    tree = YAML(typ="safe", pure=True).load(SHIPPED[name])
    for _ in range(data.draw(st.integers(1, 3))):
        if paths := sorted(paths_of(tree), key=repr):
            change(tree, data.draw(st.sampled_from(paths)), data.draw)
    check(written(tree).encode(errors="surrogatepass"))


SNIPPETS = st.sampled_from([*INDICATORS, "\t", "    ", "\r\n", "\ufeff", "\x85", "\u2028", "...\n"])


@every_shipped_file
@its_share
@given(data=st.data())
def test_shipped_file_with_other_lines(check: Check, name: str, data: st.DataObject) -> None:
    lines = SHIPPED[name].splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        column = data.draw(st.integers(0, len(line)))
        other = data.draw(
            st.sampled_from(["", line * 2, f" {line}", line.lstrip(), line.rstrip("\n")])
            | SNIPPETS.map(lambda snippet, line=line, at=column: line[:at] + snippet + line[at:])
        )
        lines[place] = other
    check("".join(lines).encode())


@every_shipped_file
@its_share
@given(data=st.data())
def test_shipped_file_that_ends_at_any_byte(check: Check, name: str, data: st.DataObject) -> None:
    content = SHIPPED[name].encode()
    check(content[: data.draw(st.integers(0, len(content)))])


# Overrides.

SINGLE_KEYS = [*setting_names(), *SweepSpec.model_fields, "scheduler.name", "space.seed", "preset"]
OVERRIDES = st.builds(
    "{}={}".format, st.sampled_from(SINGLE_KEYS) | KEYS, TREES.map(flow) | st.text(max_size=5)
) | st.sampled_from(
    [*HOSTILE_NAMES, "=", "a", ".=1", "space.=1", "a" * 3000 + "=1", "x=" + "[" * 200]
)


@every_shipped_file
@its_share
@given(overrides=st.lists(OVERRIDES, min_size=1, max_size=3))
def test_any_override(check: Check, name: str, overrides: list[str]) -> None:
    check(SHIPPED[name].encode(), *overrides)


# What the law does not let pass, and names of files.


@pytest.mark.parametrize(
    "name", ["a\nb.yaml", "\x1b[2J.yaml", "é\u2028.yaml", "a\udcff.yaml", "-x.yaml", "[red]x.yaml"]
)
@pytest.mark.parametrize("text", ["trials: 0\n", "name: x\nspace: {seed: {choice: [1]}}\n"])
def test_any_file_name(ask: Ask, here: Path, name: str, text: str) -> None:
    file = here / name
    file.write_text(text)
    answer = ask("check", "--", name)
    file.unlink()
    answer.must_be_sound()
    assert answer.code == (2 if "trials" in text else 0)


def test_what_a_command_does_outside_of_itself_is_seen(here: Path) -> None:
    with WATCH.listening() as acts:
        (here / "written").touch()
        subprocess.run(["true"], check=True)
    (here / "written").unlink()
    assert any("written" in act for act in acts)
    assert any("subprocess.Popen" in act for act in acts)
