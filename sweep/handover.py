"""What follows a sweep of a trainer that has tools of its own: the finalists, in their terms."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from sweep.analysis.ranking import Ranking
    from sweep.spec.sweep import SweepSpec
    from sweep.store.layout import Layout


def hand_over(spec: SweepSpec, layout: Layout, ranking: Ranking, console: Console) -> None:
    """Write the winner's weights as nnU-Net reads them, and validate the finalists its way.

    Without effect for trainers that have no such tools. What fails here is told and spoils no
    result of the sweep.

    Args:
        layout: of the results folder.
        ranking: of all trials.
    """
    from sweep.console.words import print_warnings
    from sweep.spec.load import load_trial
    from sweep.trainer.kinds import hand_over

    if ranking.winner is None or spec.trainer.kind != "nnunet":
        return
    trial = layout.trial(ranking.winner)
    try:
        with console.status("Handing the winner over to nnU-Net"):
            model = hand_over(load_trial(trial.config), trial, layout)
        _print(console, f"Model:   {model}")
        for line in _validated(spec, layout, ranking, console):
            _print(console, line)
    except SweepError as error:
        print_warnings([str(error)])


def _validated(
    spec: SweepSpec, layout: Layout, ranking: Ranking, console: Console
) -> Iterator[str]:
    """Validate the finalists by nnU-Net's real validation, into ``nnunet_validation.csv``."""
    from sweep.record import Status
    from sweep.spec.load import load_trial
    from sweep.store.files import atomic_write_text
    from sweep.trainer.kinds import validate

    finalists = spec.confirm.top if spec.confirm else 1
    with_result = [Status(status).has_result for status in ranking.frame["status"]]
    leaders = ranking.frame[with_result].head(finalists)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["rank", "trial_id", "val_dice", "real_dice"])
    for row in leaders.to_dict("records"):
        trial = layout.trial(str(row["trial_id"]))
        with console.status(f"nnU-Net validates {row['trial_id']} on whole cases"):
            dice = validate(load_trial(trial.config), trial)
        table.writerow([row["rank"], row["trial_id"], row["val_dice"], dice])
        atomic_write_text(layout.nnunet_validation, text.getvalue())
        found = "nothing to measure" if dice is None else f"{dice:.4f}"
        yield (
            f"Real validation Dice of {row['trial_id']}: {found}"
            f" (pseudo Dice {row['val_dice']:.4f})"
        )


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
