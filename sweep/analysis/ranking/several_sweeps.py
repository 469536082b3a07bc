"""Several sweeps in one ranking, and whether what they reached may be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sweep.spec.words.phrases import shown
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status

if TYPE_CHECKING:
    import pandas as pd

TRAINING_ONLY = frozenset({"patch_size"})
"""Settings of ``data`` that change what is trained on and not what is measured on."""
WITHIN_ONE = ("p_best", "group")
"""Columns that compare the finalists of one sweep with each other; empty beside those of others."""
_LAST = (Status.DIVERGED, Status.FAILED)


def together(frames: Mapping[str, pd.DataFrame], objective: Objective = DICE) -> pd.DataFrame:
    """The rows of several rankings in one order, by the best of the objective in the search.

    Means over replicates decide no rank here: they may be of other seeds in each sweep. What was
    said of the finalists of one sweep among themselves is left empty.

    Args:
        frames: name of the sweep → its ranking.
        objective: of all of them.

    Returns:
        ``rank`` anew, then ``sweep``, then all columns that any of them has.
    """
    import pandas as pd

    named = []
    for name, frame in frames.items():
        one = frame.copy()
        for column in (column for column in WITHIN_ONE if column in one):
            one[column] = one[column].mask(one[column].notna())  # of its own type still
        one.insert(1, "sweep", pd.Series(name, index=one.index, dtype="string"))
        named.append(one)
    columns = list(dict.fromkeys(column for one in named for column in one.columns))
    filled = [one for one in named if len(one)] or named[:1]
    rows = [row for one in filled for row in one.astype(object).to_dict("records")]
    rows.sort(key=lambda row: _place(row, objective))
    kinds = {str(name): kind for one in reversed(named) for name, kind in one.dtypes.items()}
    return pd.DataFrame(
        {
            name: list(range(1, len(rows) + 1))
            if name == "rank"
            else _column([row.get(name) for row in rows], kinds[str(name)], name, filled)
            for name in columns
        }
    )


def common_objective(objectives: Mapping[str, Objective]) -> Objective:
    """What all of several sweeps are ranked by.

    Raises:
        InputError: not all by the same, so there is no order of all their trials.
    """
    (first, found), *others = objectives.items()
    for name, objective in others:
        if objective != found:
            raise InputError.single(
                f"{first} is ranked by {found.words} and {name} by {objective.words}: there is no"
                " order of both; rank them one at a time"
            )
    return found


def incomparable(
    specs: Mapping[str, Mapping[str, Any]], objective: Objective = DICE
) -> Iterator[str]:
    """A sentence for each two sweeps that were not measured on the same cases in one way.

    Args:
        specs: name of the sweep → the values of its effective spec.
    """
    for (a, first), (b, second) in combinations(specs.items(), 2):
        measured = {
            key: (one.get(key), other.get(key))
            for one, other in [(_measured_on(first), _measured_on(second))]
            for key in {**one, **other}
        }
        # A fingerprint stands for the folder, where both have one.
        known = None not in measured.get("data.fingerprint", (None, None))
        passed_over = "data.folder" if known else "data.fingerprint"
        differences = [
            f"`{key}` {shown(one)} and {shown(other)}"
            for key, (one, other) in measured.items()
            if one != other and key != passed_over
        ]
        if differences:
            yield (
                f"{a} and {b} were measured on different data ({', '.join(differences)}): their "
                f"{objective.short} is not comparable"
            )


def _measured_on(spec: Mapping[str, Any]) -> dict[str, Any]:
    data, evaluation = spec.get("data"), spec.get("evaluation")
    settings = data if isinstance(data, dict) else {}
    found = {f"data.{key}": settings[key] for key in settings if key not in TRAINING_ONLY}
    if isinstance(evaluation, dict):
        found["evaluation.tta"] = evaluation.get("tta")
    return found


def _place(row: Mapping[Any, Any], objective: Objective) -> tuple[int, float, int]:
    import pandas as pd

    status = Status(row["status"])
    if pd.notna(value := row.get(objective.metric)):
        return 0, -objective.turned(float(value)), int(row["epochs"])
    return (2 + _LAST.index(status) if status in _LAST else 1), 0.0, 0


def _column(values: Sequence[Any], kind: Any, name: Any, frames: Sequence[pd.DataFrame]) -> Any:
    """A column of the type that it has in every sweep; of mixed types as it is."""
    import pandas as pd

    if all(str(frame[name].dtype) == str(kind) for frame in frames if name in frame):
        return pd.array(values, dtype=kind)
    return pd.Series([None if pd.isna(value) else value for value in values], dtype=object)
