"""``python -m sweep.check SPACE.yaml``: tell every mistake of a sweep file without running it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Overrides, ResultsRoot, Space
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.data.prepared.samples import PreparedData
    from sweep.machine.hardware import Machine
    from sweep.spec.search.sweep_spec import SweepSpec


def command(
    space: Space,
    overrides: Overrides = None,
    results: ResultsRoot = "results",
    data: Annotated[
        bool, typer.Option("--data", help="Read the images too, as a trial does.")
    ] = False,
) -> None:
    """Check a sweep file: every mistake with its line, every warning, no trial."""
    with exit_codes():
        from sweep.analysis.confirm.detectable_difference import can_show
        from sweep.console.console_words import print_warnings
        from sweep.machine.user_paths import argument, results_argument
        from sweep.spec.search.replicate_plan import most_replicates
        from sweep.spec.words.phrases import counted
        from sweep.vocabulary.errors import one_line
        from sweep.vocabulary.objective import DICE

        space, results = argument(space, "SPACE.yaml"), results_argument(results, "--results")
        read: list[str] = []
        spec, warnings = load_checked(space, overrides or [], pixels=data, tell=read.append)
        warnings += about_results(spec, results)
        more = most_replicates(spec)
        confirm = f", and up to {counted(more, 'replicate')} of the leaders" if more else ""
        print_warnings(warnings)
        fine = f"has no mistake, but {counted(len(warnings), 'warning')}" if warnings else "is fine"
        typer.echo(
            f"{one_line(str(space))} {fine}: {counted(spec.trials, 'trial')} of up to"
            f" {counted(spec.extents.most_epochs, 'epoch')} over"
            f" {counted(len(spec.drawn), 'setting')}, searcher {spec.searcher.name},"
            f" scheduler {spec.scheduler.name}{confirm}"
            + f", judged by {one_line(spec.judged_by.words)}" * (spec.judged_by != DICE)
            + f"; not drawn but read off the curves (replay): {', '.join(spec.replayed)}"
            * bool(spec.replayed)
            + "".join(f"; read {words}" for words in read)
        )
        if told := can_show(spec):
            typer.echo(told)


def about_results(spec: SweepSpec, results: str) -> list[str]:
    """What stands in the way of the results folder; a sweep that is there may be gone on with.

    Raises:
        InputError: nothing can be written there.
    """
    from sweep.store.at_uri.remote_folder import is_uri
    from sweep.store.layout import Layout
    from sweep.store.store import is_used
    from sweep.vocabulary.errors import InputError

    if is_uri(results):
        return []
    folder = Path(results).absolute() / spec.name
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise InputError.single(f"{existing} is a file, not a folder", key="--results")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError.single(f"nothing can be written into {existing}", key="--results")
    if not is_used(folder):
        return []
    if Layout(folder).sweep_yaml.exists():
        return [
            f"{folder} holds a sweep already: go on with it by --resume, or give another `name`"
        ]
    return [f"{folder} exists and holds no sweep: give another `name`"]


def load_checked(
    space: Path,
    overrides: list[str],
    machine: Machine | None = None,
    *,
    begins: bool = True,
    pixels: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> tuple[SweepSpec, list[str]]:
    """The validated spec and its warnings; the data is looked at but not read.

    Args:
        space: the sweep file.
        overrides: as of `load_sweep`.
        machine: where the sweep is to run; None for here.
        begins: whether the earlier results are looked at, which a sweep that goes on does not need.
        pixels: read the images of our own trainer too.
        tell: called with what was read, in words.

    Raises:
        InputError: with every mistake.
    """
    from sweep.machine.codebase import codebase
    from sweep.machine.hardware import Machine
    from sweep.search.searchers.earlier_trials import check_warm_start
    from sweep.spec.checks.doubtful_settings import warnings
    from sweep.spec.load import load_sweep
    from sweep.trial.trainer_check import Look
    from sweep.vocabulary.errors import Mistake

    machine, idle, passed_over = machine or Machine.here(), list[Mistake](), list[str]()
    look = Look(pixels=pixels)
    spec = load_sweep(
        space,
        overrides,
        machine=machine,
        check_data=look,
        look_for_idle=look.idle,
        check_earlier=partial(check_warm_start, tell=passed_over.append) if begins else None,
        tell=idle.append,
    )
    if look.data is not None:
        tell(read_words(look.data))
    shadowing = codebase().shadowing
    found = [*map(str, idle), *warnings(spec, machine), *passed_over, *look.warnings]
    return spec, [shadowing, *found] if shadowing else found


def read_words(data: PreparedData) -> str:
    """``16 cases of 18×76×78, 1.5×1.5×4 mm; fold 0: 12 train, 4 validate``."""
    from sweep.spec.words.phrases import counted

    sides = {"train": data.training, "validate": data.validation, "test": data.test}
    counts = {word: len(samples.cases) for word, samples in sides.items() if samples}
    return (
        f"{counted(sum(counts.values()), 'case')} of {data.sizes}; fold {data.origin['fold']}: "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
    )


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
