"""``python -m sweep.check SPACE.yaml``: report every mistake of a sweep file without running it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Overrides, ResultsRoot, Space
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.spec.search.sweep_spec import SweepSpec


def command(
    space: Space,
    overrides: Overrides = None,
    results: ResultsRoot = "results",
    data: Annotated[
        bool, typer.Option("--data", help="Read the images too, as a trial does.")
    ] = False,
) -> None:
    """Check a sweep file: print every mistake with its line and every warning. Start no trial."""
    with exit_codes():
        from sweep.analysis.confirm.race_words import in_prospect
        from sweep.api.checked_spec import about_results, load_checked
        from sweep.console.console_words import make_console, print_sentence, print_warnings
        from sweep.machine.user_paths import argument, results_argument
        from sweep.spec.search.replicate_plan import (
            least_replicates,
            most_replicates,
            most_replicates_in_search,
        )
        from sweep.spec.words.phrases import counted
        from sweep.vocabulary.errors import one_line
        from sweep.vocabulary.objective import DICE

        space, results = argument(space, "SPACE.yaml"), results_argument(results, "--results")
        read: list[str] = []
        spec, warnings = load_checked(space, overrides, pixels=data, report=read.append)
        warnings += about_results(spec, results)
        more, least = most_replicates(spec), least_replicates(spec)
        up_to = f"{least} to" if least < more else "up to"
        further = most_replicates_in_search(spec)
        replicate = f", and up to {counted(further, 'replicate')} of those that may still win"
        confirm = f", and {up_to} {counted(more, 'replicate')} of the leaders" if more else ""
        print_warnings(warnings)
        conditional = sum(bool(kind.when) for kind in spec.drawn.values())
        fine = f"has no mistake, but {counted(len(warnings), 'warning')}" if warnings else "is fine"
        console = make_console()
        print_sentence(
            console,
            f"{shlex.quote(one_line(str(space)))} {fine}: {counted(spec.trials, 'trial')} of up to"
            f" {counted(spec.ranges.most_epochs, 'epoch')} over"
            f" {counted(len(spec.drawn), 'setting')}"
            + f" ({conditional} of them conditional)"
            * bool(conditional)
            + f", searcher {spec.searcher.label},"
            f" scheduler {spec.scheduler.label}{_first_stop(spec)}"
            f"{replicate * bool(further)}{confirm}"
            + f", compared by {one_line(spec.judged_by.words)}" * (spec.judged_by != DICE)
            + f"; not drawn but replayed from the curves: {', '.join(spec.replayed)}"
            * bool(spec.replayed)
            + "".join(f"; read {words}" for words in read),
        )
        if sentence := in_prospect(spec):
            print_sentence(console, sentence)


def _first_stop(spec: SweepSpec) -> str:
    """After how many epochs a trial can first be stopped, which is early in a plain sweep."""
    from sweep.spec.words.phrases import counted

    rungs = spec.rungs()
    if not rungs or spec.compares_gains:
        return ""
    return f" (stops no trial before {counted(rungs[0], 'epoch')}: `scheduler.grace_period`)"


if __name__ == "__main__":
    run_alone(command)
