"""The replicates of a sweep's finalists as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.ranking.ranking_columns import cells, columns_of, metrics
from sweep.vocabulary.record import TrialRecord, objective_of

if TYPE_CHECKING:
    import pandas as pd


def replicates_frame(records: Iterable[TrialRecord], ranked: Sequence[str] = ()) -> pd.DataFrame:
    """One row a replicate, running ones too, by the rank of its trial, then by seed and fold.

    Args:
        records: of all trials of a sweep.
        ranked: ids of the search's trials, best first.

    Returns:
        As of `ranking_frame`, with ``replicate_of``, ``seed`` and ``fold`` in place of a rank.
    """
    import pandas as pd

    places = {trial_id: place for place, trial_id in enumerate(ranked)}
    found = [(record, record.replicate) for record in records if record.replicate is not None]
    found.sort(
        key=lambda pair: (places.get(pair[1].of, len(places)), pair[0].number, pair[1].block)
    )
    records = [record for record, _ in found]
    rows = [cells(record) for record in records]
    columns: dict[str, Any] = {
        "trial_id": pd.array([record.trial_id for record, _ in found], dtype="string"),
        "replicate_of": pd.array([replicate.of for _, replicate in found], dtype="string"),
        "seed": pd.array([replicate.seed for _, replicate in found], dtype="Int64"),
        "fold": pd.array([replicate.fold for _, replicate in found], dtype="Int64"),
    }
    for name, dtype in list(columns_of(objective_of(records)).items())[1:]:
        values = [row[name] for row in rows]
        columns.setdefault(name, pd.array(values, dtype=dtype))  # type: ignore[call-overload]
    for name, numbers in metrics(records).items():
        columns.setdefault(name, pd.array(numbers, dtype="Float64"))
    return pd.DataFrame(columns)
