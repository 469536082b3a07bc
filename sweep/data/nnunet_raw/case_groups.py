"""Which cases belong together, such as those of one patient: by ``data.groups``, or by names."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from sweep.data.files.json_file import read_object, repeated_keys
from sweep.data.nnunet_raw.splits import NO_GROUPS, Groups, enumerated, file_hint
from sweep.spec.settings.data_settings import is_groups_file
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake

COLUMNS = ("case", "group")
"""Columns of a table of groups; it may have others."""
_SUBJECT = re.compile(
    r"(?<![A-Za-z0-9])(sub-[A-Za-z0-9]+|(?i:patient|subject|pat|subj)[-_]?[0-9]+)"
)
"""A subject anywhere in the name of a case: BIDS's entity, or such a word and a number."""


def groups_of(asked: str | None, cases: Sequence[str], key: str = "data.groups") -> Groups:
    """The group of each case, in the order of the cases.

    Args:
        asked: a pattern or a file, as in ``data.groups``; None: every case stands for itself.
        cases: all that need a group.
        key: of the setting, for messages.

    Raises:
        InputError: the file cannot be read, or a case has no group.
    """
    if asked is None:
        return NO_GROUPS
    is_file = is_groups_file(asked)
    if is_file:
        found, lacks = _read(Path(asked)), "names no group for"
    else:
        matches = ((case, re.search(asked, case)) for case in cases)
        found = {case: match[1] or "" for case, match in matches if match}
        lacks = f"`{asked}` finds no group in"
    if without := [case for case in cases if not found.get(case)]:
        some = f"{len(without)} of {counted(len(cases), 'case')}: {enumerated(without, most=3)}"
        known = set(cases)
        unknown = next((name for name in found if name not in known), "")
        message = f"{lacks} {some}; every case needs one{file_hint(unknown, cases)}"
        mistake = Mistake(message, file=asked) if is_file else Mistake(message, key=key)
        raise InputError([mistake])
    return {case: found[case] for case in cases}


def digest(groups: Groups) -> str:
    """Digest of who is in which group, as a part of a dataset's fingerprint."""
    text = json.dumps(sorted(groups.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def pattern_of_subjects(cases: Sequence[str]) -> str | None:
    """A pattern that finds the subject of every case; None if the names tell of none, or if each
    subject has one case."""
    if not all(map(subject, cases)):
        return None
    pattern = _pattern(subject(cases[0]))
    found = {match[1] if (match := re.search(pattern, case)) else "" for case in cases}
    return pattern if "" not in found and len(found) < len(cases) else None


def subject(case: str) -> str:
    """The subject in a case's name, such as ``sub-01`` or ``patient007``; empty if none."""
    found = _SUBJECT.search(case)
    return found[0] if found else ""


def _pattern(found: str) -> str:
    """A pattern that finds such subjects: ``(patient[0-9]+)`` for patient007."""
    start = re.match(r"sub-|.*?(?=[0-9]+$)", found)
    assert start is not None
    return f"({start[0]}{'[A-Za-z0-9]' if start[0] == 'sub-' else '[0-9]'}+)"


def _read(file: Path) -> dict[str, str]:
    """Case → group. Cases that the dataset does not have do no harm."""
    is_json = file.suffix.lower() == ".json"
    rows = list(_of_object(file) if is_json else _of_table(file))
    mistakes = list(repeated_keys(file)) if is_json else []
    found: dict[str, str] = {}
    for case, group, line in rows:
        if found.setdefault(case, group) != group:
            message = f"puts `{case}` into two groups, `{found[case]}` and `{group}`"
            mistakes.append(Mistake(message, file=str(file), line=line))
    if mistakes:
        raise InputError(mistakes)
    return found


def _of_object(file: Path) -> Iterator[tuple[str, str, int | None]]:
    for case, group in read_object(file).items():
        if isinstance(group, bool) or not isinstance(group, str | int):
            message = f"the group of `{case}` must be a text or a whole number, but is {group!r}"
            raise InputError.single(message, file=str(file))
        yield case, str(group).strip(), None


def _of_table(file: Path) -> Iterator[tuple[str, str, int | None]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError.single("is missing", file=str(file)) from None
    except (OSError, ValueError) as error:
        raise InputError.single(
            f"cannot be read as text in UTF-8: {error}", file=str(file)
        ) from None
    is_tsv = file.suffix.lower() == ".tsv"
    rows = csv.reader(io.StringIO(text), delimiter="\t" if is_tsv else ",", strict=True)
    commas = "tabs" if is_tsv else "commas"
    try:
        head = [name.strip() for name in next(rows, [])]
        if wrong := [name for name in COLUMNS if head.count(name) != 1]:
            message = (
                f"must have the columns `case` and `group`, separated by {commas}; `{wrong[0]}` is"
                f" {'there twice' if wrong[0] in head else 'missing'}, there are:"
                f" {', '.join(head) or 'none'}"
            )
            raise InputError.single(message, file=str(file), line=1)
        for row in rows:
            if any(row[len(head) :]):
                message = (
                    f"has {len(row)} cells under {len(head)} columns; quote texts with {commas}"
                )
                raise InputError.single(message, file=str(file), line=rows.line_num)
            if row:
                found = dict(zip_longest(head, row, fillvalue=""))
                yield found["case"].strip(), found["group"].strip(), rows.line_num
    except csv.Error as error:
        message = f"cannot be read as a table: {error}"
        raise InputError.single(message, file=str(file), line=rows.line_num) from None
