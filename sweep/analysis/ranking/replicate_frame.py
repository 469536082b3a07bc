"""The replicates of a sweep's finalists as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

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
    rows = [
        {"replicate_of": replicate.of, "seed": replicate.seed, "fold": replicate.fold}
        | cells(record)
        for record, replicate in found
    ]
    kinds = {"trial_id": "string", "replicate_of": "string", "seed": "Int64", "fold": "Int64"}
    kinds |= columns_of(objective_of(records))
    del kinds["rank"]
    frame = pd.DataFrame(rows, columns=list(kinds), dtype=object).astype(kinds)
    for name, numbers in metrics(records).items():
        if name not in frame:
            frame[name] = pd.array(numbers, dtype="Float64")
    return frame
