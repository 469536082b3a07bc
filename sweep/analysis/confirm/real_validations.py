"""The real validation of finalists: whole cases, as nnU-Net scores them after a training.

The search compares trials by a pseudo Dice on patches. The finalists are ranked by this one, and
the two are never compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.analysis.report_words import listed
from sweep.vocabulary.objective import VAL_DICE, Objective
from sweep.vocabulary.record import RealValidation, TrialRecord, objective_of, searched

if TYPE_CHECKING:
    import pandas as pd


def real_dice(run: TrialRecord) -> float | None:
    """Its real validation Dice; None if it has none, or is ranked by something else than Dice."""
    if run.real is None or not run.status.has_result or run.objective.metric != VAL_DICE:
        return None
    return run.real.dice


def as_real(objective: Objective) -> Objective:
    """Dice of the real validation in place of the pseudo Dice."""
    return replace(objective, dice="real validation")


def by_real_dice(ranked: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials with a real validation, best first, then the others as they are.

    Equals stay in the order of the search. In a search with replicates all stay: the real
    validation of one fold does not overrule a mean over several.
    """
    if any(one.has_further_runs for one in ranked):
        return list(ranked)
    found = [(dice, one) for one in ranked if (dice := real_dice(one)) is not None]
    found.sort(key=lambda pair: -pair[0])
    return [one for _, one in found] + [one for one in ranked if real_dice(one) is None]


def on_whole_cases(records: Iterable[TrialRecord]) -> str:
    """Who of the search leads by the real validation, and whom the pseudo Dice had first.

    Empty where no trial of the search has one, or only its first; replicates have a verdict of
    their own.
    """
    records = list(records)
    every = [(dice, one) for one in searched(records) if (dice := real_dice(one)) is not None]
    repeated = any(one.replicate is not None or one.has_further_runs for one in records)
    if not every or repeated:
        return ""
    every.sort(key=lambda pair: -pair[0])
    (best, first), *others = every
    by_pseudo = max(searched(records), key=lambda one: (one.score or 0.0, -one.number))
    if by_pseudo is first and not others:
        return ""
    text = as_real(objective_of(records)).text
    sentence = f"{first.trial_id} alone has a real validation, with Dice {text(best)}"
    if others:
        sentence = f"Of {len(every)} finalists {first.trial_id} has the highest real validation"
        sentence += f" Dice, {text(best)}, {text(best - others[0][0])} ahead of the next"
    level = [one.trial_id for dice, one in every if dice == best]
    if len(level) > 1:
        sentence = f"{listed(level)} have the same real validation Dice, {text(best)}"
    if by_pseudo.trial_id not in level:
        sentence += f"; the search had {by_pseudo.trial_id} first"
    return f"{sentence}. One run each, on one fold."


def runs_frame(records: Iterable[TrialRecord], ranked: Sequence[str]) -> pd.DataFrame:
    """One row per validated run, by the rank of its trial: its pseudo and its real Dice.

    Args:
        records: of all trials of a sweep.
        ranked: ids of the search's trials, best first.
    """
    import pandas as pd

    rows = [
        (
            rank,
            run.configuration_id,
            run.trial_id,
            None if run.replicate is None else run.replicate.fold,
            None if run.best is None else run.best.val_dice,
            real.dice,
        )
        for rank, run, real in _validated(records, ranked)
    ]
    kinds = {"rank": "Int64", "trial_id": "string", "run": "string", "fold": "Int64"}
    kinds |= {"pseudo_dice": "Float64", "real_dice": "Float64"}
    return pd.DataFrame(rows, columns=list(kinds), dtype=object).astype(kinds)


def cases_frame(records: Iterable[TrialRecord], ranked: Sequence[str]) -> pd.DataFrame:
    """One row per validated run, case and class; ``group`` is the last where cases are grouped."""
    import pandas as pd

    rows = [
        (run.configuration_id, run.trial_id, case, name, dice, real.groups.get(case))
        for _, run, real in _validated(records, ranked)
        for case, classes in real.cases.items()
        for name, dice in classes.items()
    ]
    kinds = dict.fromkeys(("trial_id", "run", "case", "class"), "string") | {"dice": "Float64"}
    if any(group is not None for *_, group in rows):
        kinds["group"] = "string"
    cells = [row[: len(kinds)] for row in rows]
    return pd.DataFrame(cells, columns=list(kinds), dtype=object).astype(kinds)


def _validated(
    records: Iterable[TrialRecord], ranked: Sequence[str]
) -> list[tuple[int, TrialRecord, RealValidation]]:
    places = {trial_id: rank for rank, trial_id in enumerate(ranked, start=1)}
    found = [
        (places[run.configuration_id], run, run.real)
        for run in records
        if run.real is not None and run.configuration_id in places
    ]
    return sorted(found, key=lambda pair: pair[0])
