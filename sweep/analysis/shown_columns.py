"""The columns of a ranking as people see them, on the screen, on the page and in a paper.

A `ShownColumn` says once what it is called and how its cells are written. `SCREEN`, `PAGE` and
`PAPER` say which of them are shown where, in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis import report_words as words
from sweep.analysis.ranked_table import RankedTable
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.vocabulary.class_scores import UNITS
from sweep.vocabulary.objective import DICE, DICE_NAMES, VAL_DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, distance_unit_of

MEAN_OF = "mean_of"
"""Column that says which of nnU-Net's Dices ``mean_dice`` is the mean of."""
DROPPED = "dropped"
"""Column that says after how many blocks a race dropped a finalist, and why."""
RUNS, RUNS_DIVERGED, MEAN_OF_RUNS = "runs", "runs_diverged", "mean_of_runs"
"""Columns of a search with replicates: how many runs a trial has with a result, its own included,
on different folds or seeds; how many more diverged; and the mean of the objective over those with a
result. More runs come first, of as many those without a divergence, then the better mean."""
REAL = "real_dice"
"""Column that divides a ranking where leaders were validated on whole cases, but not trained again:
these come first by it, then the others by the pseudo Dice. The two are not compared."""

OBJECTIVE, MEAN, LOW, HIGH = "objective", "mean_dice", "dice_low", "dice_high"
"""Keys of columns whose names depend on the objective."""
OTHERS, COSTS, OWN = "further objectives", "costs", "own metrics"
"""Groups of columns whose number depends on the sweep."""

TRIAL = ("rank", "trial_id", "sweep", "preset", "status")
"""Which trial a row is; first everywhere."""
SCREEN = (
    *TRIAL, OBJECTIVE, VAL_DICE, "best_epoch", "epochs", OTHERS, COSTS, PARETO_RANK, "hd95",
    "delta_baseline", MEAN, LOW, HIGH, "p_best", "group", DROPPED, RUNS, RUNS_DIVERGED,
    MEAN_OF_RUNS, REAL, "test_dice", OWN,
)  # fmt: skip
PAGE = (
    *TRIAL, PARETO_RANK, OBJECTIVE, RUNS, RUNS_DIVERGED, MEAN_OF_RUNS, REAL, MEAN, "p_best",
    "group", "best_epoch", "epochs", VAL_DICE, OTHERS, "hd95", "delta_baseline", "test_dice", OWN,
    "seconds",
)  # fmt: skip
PAPER = (
    *TRIAL, PARETO_RANK, OBJECTIVE, RUNS, RUNS_DIVERGED, MEAN_OF_RUNS, MEAN, REAL, "p_best",
    "group", VAL_DICE, OTHERS, COSTS, "hd95", "nsd", OWN, "test_dice", "epochs",
)  # fmt: skip
ALWAYS_ON_SCREEN = (*TRIAL, OBJECTIVE, "best_epoch", "epochs", OTHERS, COSTS, PARETO_RANK)
"""Columns that the screen shows also where all of their cells are empty."""
LEFT_OUT_ON_SCREEN = (
    "preset", "delta_baseline", "best_epoch", LOW, HIGH, "p_best", DROPPED, "hd95", "test_dice",
    "group", "epochs", MEAN,
)  # fmt: skip
"""Columns that a narrow screen leaves out, in this order. Columns that are not named here are
always shown."""


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """One column of a ranking, for people.

    Args:
        key: what it is called in this file, whatever the objective is.
        heading: over it.
        text: a cell in words; of a cell that is not empty.
        name: that of ranking.csv, where it is not the key.
        group: `OTHERS`, `COSTS` or `OWN`, if it belongs to one.
        screen: heading on the screen, with its lines, where that is another.
        paper: heading in a paper, where that is another.
    """

    key: str
    heading: str
    text: Callable[[Any], str] = str
    name: str = ""
    group: str = ""
    screen: str = ""
    paper: str = ""

    @property
    def column(self) -> str:
        """Its name in ranking.csv."""
        return self.name or self.key

    @property
    def place(self) -> str:
        """What stands for it in `SCREEN`, `PAGE` and `PAPER`."""
        return self.group or self.key


def known_columns(objective: Objective, unit: str = "", of: str = "") -> Iterator[ShownColumn]:
    """Every column that a ranking by this objective may have, but for `OWN` metrics.

    Args:
        unit: of distances; see `unit_of`.
        of: `mean_of` the ranking.
    """
    text = objective.text
    mean, low, high = confirmed_names(objective)
    short = {names.label: names.short for names in DICE_NAMES.values()}.get(of, objective.short)
    yield ShownColumn("rank", "#")
    yield ShownColumn("trial_id", "trial")
    yield ShownColumn("sweep", "sweep")
    yield ShownColumn("preset", "preset")
    yield ShownColumn("status", "status", lambda value: words.status(Status(value)))
    yield ShownColumn(OBJECTIVE, objective.heading, text, objective.metric, paper=objective.label)
    further = {one.metric: one for one in (DICE, *objective.others)}
    further.pop(objective.metric, None)
    for name, one in further.items():
        if name not in ("hd95", "epochs"):
            group = "" if name == VAL_DICE else COSTS if one.is_cost else OTHERS
            yield ShownColumn(name, one.heading, one.text, group=group, paper=one.label)
    yield ShownColumn(PARETO_RANK, PARETO_RANK)
    yield ShownColumn("best_epoch", "best at")
    yield ShownColumn("epochs", "epochs")
    in_unit = f"HD95 ({unit.strip()})" if unit else ""
    yield ShownColumn("hd95", f"HD95{unit}", "{:.2f}".format, paper=in_unit)
    if "nsd" not in further:
        yield ShownColumn("nsd", "NSD", DICE.text)
    yield ShownColumn("delta_baseline", "Δ baseline", objective.signed)
    yield ShownColumn(
        MEAN,
        f"mean {short}",
        text,
        mean,
        screen=f"mean\n{of}".rstrip(),
        paper=f"mean {of or objective.label}",
    )
    yield ShownColumn(LOW, "from", text, low)
    yield ShownColumn(HIGH, "to", text, high)
    yield ShownColumn("p_best", "P(best)", words.percent)
    yield ShownColumn("group", "group")
    yield ShownColumn(DROPPED, "dropped", lambda reason: str(reason).partition(":")[0])
    yield ShownColumn(RUNS, "runs")
    yield ShownColumn(RUNS_DIVERGED, "runs diverged")
    yield ShownColumn(MEAN_OF_RUNS, "mean of runs", text)
    yield ShownColumn(REAL, "real Dice", DICE.text, paper="real validation Dice")
    yield ShownColumn("test_dice", "test Dice", DICE.text)
    yield ShownColumn("seconds", "time", words.duration)


def shown_columns(
    table: RankedTable,
    where: Sequence[str],
    objective: Objective,
    *,
    unit: str = "",
    own: Iterable[str] = (),
    kept: Collection[str] = (),
) -> list[ShownColumn]:
    """The columns that this ranking has something to say in, in the order of ``where``.

    Args:
        where: `SCREEN`, `PAGE` or `PAPER`.
        objective: the objective that trials are ranked by.
        unit: of distances; see `unit_of`.
        own: columns of the metrics that only these sweeps' trainers have.
        kept: those that are shown also where all cells are empty.
    """
    known = known_columns(objective, unit, mean_of(table))
    found = [
        one
        for one in known
        if one.place in where and (one.key == OBJECTIVE or one.column != objective.metric)
    ]
    taken = {one.column for one in found}
    found += [ShownColumn(n, n, Objective(n).text, group=OWN) for n in own if n not in taken]
    shown = [
        one
        for one in found
        if one.column in table and (one.place in kept or says_something(table, one.column))
    ]
    return sorted(shown, key=lambda one: where.index(one.place))


def says_something(table: RankedTable, name: str) -> bool:
    """Whether a table for people shows a column: it has a value. That no run diverged is none."""
    known = table.known(name)
    return any(known) if name == RUNS_DIVERGED else bool(known)


def mean_of(table: RankedTable) -> str:
    """Which of nnU-Net's Dices the means are of; empty for other trainers."""
    return next(iter(table.known(MEAN_OF)), "")


def confirmed_names(objective: Objective) -> tuple[str, str, str]:
    """Columns of the mean over replicates and of its interval: ``mean_dice``, ``mean_hd95``."""
    name = objective.stem
    return f"mean_{name}", f"{name}_low", f"{name}_high"


def unit_of(records: Iterable[TrialRecord]) -> str:
    """The unit of distances behind a heading, where the trials say it: `` mm``."""
    return UNITS[distance_unit_of(records)]
