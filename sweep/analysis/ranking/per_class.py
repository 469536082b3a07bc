"""The metrics of a ranking for each class, from the trials' ``cases.csv``."""

from __future__ import annotations

from pathlib import Path

from sweep.analysis.ranked_table import RankedTable, number_column
from sweep.store.case_table import read_cases
from sweep.store.layout import Layout
from sweep.vocabulary.class_scores import (
    OWN_METRICS,
    ClassScore,
    means_of_classes,
    of_class,
    without_class,
)
from sweep.vocabulary.objective import VAL_DICE


def with_classes(table: RankedTable, folder: Path) -> RankedTable:
    """A ranking with a column for each metric and class at the end: ``val_dice[liver]``.

    The value is the mean over the cases of the trial's best epoch. Cells of trials without a result
    are empty, and so are those of trials without a ``cases.csv``, which only our own trainer
    writes.

    Args:
        table: of the sweep in ``folder``.
        folder: its results folder.

    Raises:
        ResultsError: a table of cases is broken.
    """
    layout = Layout(folder)
    tables: list[tuple[ClassScore, ...]] = [
        () if best is None else read_cases(layout.trial(trial_id).cases)
        for trial_id, best in zip(table["trial_id"], table["best_epoch"], strict=True)
    ]
    every = [score for one in tables for score in one]
    names = dict.fromkeys([*OWN_METRICS, *(name for score in every for name in score.values)])
    labels = list(dict.fromkeys(score.label for score in every))
    found = {}
    for name in names:
        means = [means_of_classes(one, name) for one in tables]
        for label in labels:
            column = of_class(VAL_DICE if name == "dice" else name, label)
            if any(label in of_trial for of_trial in means):
                found[column] = number_column(of_trial.get(label) for of_trial in means)
    return table.beside(found)


def class_columns(table: RankedTable) -> list[str]:
    """The columns of a ranking that `with_classes` added."""
    return [name for name in table if without_class(name) != name]
