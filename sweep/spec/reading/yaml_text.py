"""From a file to the nodes of its YAML, with every error of its bytes and syntax.

YAML 1.2: ``1e-4`` is a number, ``off`` a text.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError

from sweep.spec.words.phrases import printable
from sweep.vocabulary.errors import InputError

MOST_BYTES = 256 * 1024
SHORT = 16 * 1024
"""Characters of a text whose nodes are kept. No file written by hand is longer."""

SYNTAX = (
    ("another document", "a second document starts here (`---`); a file holds one"),
    ("undefined alias", "an alias (`*name`) whose anchor (`&name`) does not come before it"),
    ("'\\t' that cannot start", "a tab; YAML is indented with spaces"),
    ("cannot start any token", "a value cannot start with this character; put it in quotes"),
    ("mapping values are not allowed", "a `:` too many, or a line indented too far; "
     "a text that contains `: ` needs quotes"),
    ("unexpected end of stream", "a quote is opened here and never closed"),
    ("expected ',' or ']'", "a `[` is not closed, or a comma is missing"),
    ("expected ',' or '}'", "a `{` is not closed, or a comma or the space after a `:` is missing"),
    ("expected <block end>", "the indentation does not match the lines above"),
    ("expected the node content", "a value is missing, or a bracket is not closed"),
    ("expected '<document start>'", "this is not part of a `key: value` line"),
    ("could not find expected ':'", "a key without a `: ` after it"),
)  # fmt: skip
"""Part of the parser's message → what is wrong, in plain words."""

LOOK_ALIKES = re.compile(r"[\u00a0\u2000-\u200b\u202f\u3000\uff1a]")
"""Spaces and a colon that texts copied from a page or a chat have, and YAML does not know."""


def text_of(path: Path, file: str) -> str:
    """The text of a file, called ``file`` in messages; raises InputError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError.single("there is no such file", file=file) from None
    except IsADirectoryError:
        raise InputError.single("is a folder; name a YAML file in it", file=file) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError.single(f"cannot be read: {reason}", file=file) from None
    if len(content) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES // 1024} KiB, so it holds no settings"
        raise InputError.single(message, file=file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError.single(
            "the text is not UTF-8; save the file as UTF-8", file=file, line=line
        ) from None


@lru_cache(maxsize=32)
def _composed(text: str) -> Node | None:
    """Kept: a command may read a file more than once, and the parser takes 10 ms for 60 lines."""
    node: Node | None = YAML(typ="safe", pure=True).compose(text)
    return node


def compose(text: str, file: str) -> Node | None:
    """The nodes of a YAML text, None where it is empty; raises InputError for broken syntax."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # reused anchors, which YAML allows
            short = len(text) <= SHORT
            return _composed(text) if short else _composed.__wrapped__(text)
    except RecursionError:
        problem, line = "brackets or lines are nested too deep", None
    except ReaderError as error:
        problem = f"the character U+{error.character:04X} is not allowed in YAML"
        line = text.count("\n", 0, error.position) + 1
    except MarkedYAMLError as error:
        said = str(error.problem)
        found = (ours for theirs, ours in SYNTAX if theirs in said)
        problem = next(found, f"not YAML: {printable(said)}") + _look_alike(text)
        # A quote that is never closed is noticed at the end of the file, and a key without a colon
        # in the line below. Their start is to blame.
        late = "end of stream" in said or "expected ':'" in said
        opened = error.context_mark if late else None
        mark = opened or error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
    except (YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        # ruamel's scanner itself fails on some broken texts.
        problem, line = f"the text is not YAML ({printable(str(error))})", None
    raise InputError.single(problem, file=file, line=line)


def _look_alike(text: str) -> str:
    """Hint at the first `LOOK_ALIKES` outside of comments and of quotes, where they are meant."""
    content = re.sub(r"""#.*|"[^"\n]*"|'[^'\n]*'""", "", text)
    if (found := LOOK_ALIKES.search(content)) is None:
        return ""
    line = content.count("\n", 0, found.start()) + 1
    like = "a colon" if found[0] == "\uff1a" else "a space"
    return f"; line {line} has U+{ord(found[0]):04X}, which only looks like {like}: type it again"
