"""``cases.csv``: what a prediction scores on each class of each case, a row for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sweep.store.files import atomic_write_text, read_text
from sweep.vocabulary.class_scores import OWN_METRICS, ClassScore
from sweep.vocabulary.errors import ResultsError

COUNTS = ("n_reference", "n_prediction")
COLUMNS = ("case", "class", *OWN_METRICS, *COUNTS)
"""Columns of every table; those of plug-ins follow. An empty cell has no value."""
GROUP = "group"
"""The column after the case, where cases are grouped. No metric has this name."""


def write_cases(path: Path, scores: Sequence[ClassScore]) -> None:
    """Write atomically; a number is read back as it was.

    Raises:
        SweepFailed: the disk is full or the folder is gone.
    """
    plugins = dict.fromkeys(name for score in scores for name in score.values)
    group = [GROUP] if any(score.group is not None for score in scores) else []
    names = [COLUMNS[0], *group, *COLUMNS[1:], *(n for n in plugins if n not in COLUMNS)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    for score in scores:
        measured = {name: score.value(name) for name in score.values}
        row = measured | {"case": score.case, GROUP: score.group, "class": score.label}
        row |= {name: getattr(score, name) for name in COUNTS}
        table.writerow(["" if (cell := row.get(name)) is None else cell for name in names])
    atomic_write_text(path, text.getvalue())


def read_cases(path: Path) -> tuple[ClassScore, ...]:
    """The rows of a table; none if there is no file.

    Raises:
        ResultsError: the file is broken.
    """
    if not path.exists():
        return ()
    rows = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    try:
        return tuple(
            ClassScore(
                case=row.pop("case"),
                group=row.pop(GROUP, None) or None,
                label=row.pop("class"),
                n_reference=int(row.pop("n_reference")),
                n_prediction=int(row.pop("n_prediction")),
                values={name: float(cell) if cell else None for name, cell in row.items()},
            )
            for row in rows
        )
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}:{rows.line_num}: broken, {error}") from error
