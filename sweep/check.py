"""``python -m sweep.check SPACE.yaml``: tell every mistake of a sweep file without running it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sweep.console.exits import exit_codes, run_alone
from sweep.run import Overrides, Space

if TYPE_CHECKING:
    from sweep.spec.machine import Machine
    from sweep.spec.sweep import SweepSpec


def command(space: Space, overrides: Overrides = None) -> None:
    """Check a sweep file: every mistake with its line, every warning, no trial."""
    with exit_codes():
        from sweep.console.words import print_warnings
        from sweep.errors import one_line
        from sweep.objective import DICE
        from sweep.spec.confirm import most_replicates
        from sweep.spec.wording import counted

        spec, warnings = load_checked(space, overrides or [])
        more = most_replicates(spec)
        confirm = f", and up to {counted(more, 'replicate')} of the leaders" if more else ""
        print_warnings(warnings)
        typer.echo(
            f"{one_line(str(space))} is fine: {counted(spec.trials, 'trial')} of up to"
            f" {counted(spec.extents.most_epochs, 'epoch')} over"
            f" {counted(len(spec.drawn), 'setting')}, searcher {spec.searcher.name},"
            f" scheduler {spec.scheduler.name}{confirm}"
            + f", judged by {one_line(spec.judged_by.words)}" * (spec.judged_by != DICE)
            + f"; not drawn but read off the curves (replay): {', '.join(spec.replayed)}"
            * bool(spec.replayed)
        )


def load_checked(
    space: Path, overrides: list[str], machine: Machine | None = None, *, begins: bool = True
) -> tuple[SweepSpec, list[str]]:
    """The validated spec and its warnings; the data is looked at but not read.

    Args:
        space: the sweep file.
        overrides: as of `load_sweep`.
        machine: where the sweep is to run; None for here.
        begins: whether the earlier results are looked at, which a sweep that goes on does not need.

    Raises:
        InputError: with every mistake.
    """
    from sweep.codebase import codebase
    from sweep.errors import Mistake
    from sweep.search.warm_start import check_warm_start
    from sweep.spec.load import load_sweep
    from sweep.spec.machine import Machine
    from sweep.spec.warn import warnings
    from sweep.trainer.check import check_trainer

    machine, idle, passed_over = machine or Machine.here(), list[Mistake](), list[str]()
    spec = load_sweep(
        space,
        overrides,
        machine=machine,
        check_data=check_trainer,
        check_earlier=partial(check_warm_start, tell=passed_over.append) if begins else None,
        tell=idle.append,
    )
    shadowing = codebase().shadowing
    found = [*map(str, idle), *warnings(spec, machine), *passed_over]
    return spec, [shadowing, *found] if shadowing else found


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
