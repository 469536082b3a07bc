"""What a race says of itself: what it will take, who was dropped, when and why."""

from __future__ import annotations

from itertools import groupby

from sweep.analysis.confirm.paired_comparison import can_show
from sweep.analysis.confirm.race import Race, Why
from sweep.analysis.report_words import listed
from sweep.spec.search.replicate_plan import (
    blocks,
    least_replicates,
    most_finalists,
    most_replicates,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted


def reason(race: Race, trial_id: str) -> str:
    """``after 4 of 5 seeds: behind t0003``; empty for one that was not dropped."""
    if (dropped := race.dropped.get(trial_id)) is None:
        return ""
    why = {
        Why.BEHIND: f"behind {dropped.by}",
        Why.HOPELESS: "can hardly become first",
        Why.DIVERGED: f"diverged more often than {dropped.by}",
    }[dropped.why]
    return f"after {dropped.after} of {_blocks(race)}: {why}"


def course(race: Race) -> str:
    """How many trainings a race took, and who was dropped after which block."""
    everybody = len(race.running) + len(race.dropped)
    table = everybody * len(race.plan.blocks)
    took = f"The race took {race.spent} of {counted(table, 'training')}"
    if race.block is not None:
        took = f"The race goes on: {race.words}"
    elif race.spent < table and len(race.running) > 1 and len(race.looks) < len(race.plan.blocks):
        took += " and ended by its budget"
    ordered = sorted(race.dropped, key=lambda one: (race.dropped[one].after, one))
    parts = [
        f"{listed(list(gone))} dropped {words}"
        for words, gone in groupby(ordered, key=lambda one: reason(race, one))
    ]
    return "; ".join([took, *parts]) + "."


def in_prospect(spec: SweepSpec) -> str:
    """What the confirmation of a sweep takes and can show; empty for a sweep without one."""
    shows = can_show(spec)
    if spec.confirm is None or not spec.confirm.race or most_finalists(spec) < 2:
        return shows
    least, most = least_replicates(spec), most_replicates(spec)
    between = f"{most} trainings" if least == most else f"{least} to {most} trainings"
    who = counted(most_finalists(spec), "finalist")
    return (
        f"confirm: a race of {who} over {counted(len(blocks(spec)), 'block')} (a block is a seed on"
        f" a fold), {between}. All that are left train a block before the next begins, and whoever"
        f" cannot win any more is dropped. Were everybody trained on all blocks:"
        f" {shows.removeprefix('confirm: ')}"
    )


def _blocks(race: Race) -> str:
    return counted(len(race.plan.blocks), race.plan.unit)
