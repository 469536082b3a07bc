"""The metrics of a ranking for each class, from the trials' ``cases.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    import pandas as pd


def with_classes(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """A ranking with a column for each metric and class at the end: ``val_dice[liver]``.

    The value is the mean over the cases of the trial's best epoch. Cells of trials without a result
    are empty, and so are those of trials without a ``cases.csv``, which only our own trainer
    writes.

    Args:
        frame: of the sweep in ``folder``.
        folder: its results folder.

    Raises:
        ResultsError: a table of cases is broken.
    """
    import pandas as pd

    layout = Layout(folder)
    tables: list[tuple[ClassScore, ...]] = [
        () if empty else read_cases(layout.trial(str(trial_id)).cases)
        for trial_id, empty in zip(frame["trial_id"], frame["best_epoch"].isna(), strict=True)
    ]
    every = [score for table in tables for score in table]
    names = dict.fromkeys([*OWN_METRICS, *(name for score in every for name in score.values)])
    labels = list(dict.fromkeys(score.label for score in every))
    found = {}
    for name in names:
        means = [means_of_classes(table, name) for table in tables]
        for label in labels:
            column = of_class(VAL_DICE if name == "dice" else name, label)
            if any(label in of_trial for of_trial in means):
                values = [of_trial.get(label) for of_trial in means]
                found[column] = pd.array(values, dtype="Float64")
    return frame.assign(**found)


def class_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of a ranking that `with_classes` added."""
    return [str(name) for name in frame if without_class(str(name)) != name]
