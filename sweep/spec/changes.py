"""What of a sweep may change between two of its sessions, and what may not."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import ValidationError

from sweep.errors import InputError, Mistake, ResultsError
from sweep.spec.check import check_sweep
from sweep.spec.load import to_yaml
from sweep.spec.strategy import seconds
from sweep.spec.sweep import ChangesNoResult, SweepSpec
from sweep.spec.wording import findings_of, quoted, shown

FREE = tuple(
    name
    for name, field in SweepSpec.model_fields.items()
    if any(isinstance(mark, ChangesNoResult) for mark in field.metadata)
)
EXTENDABLE = ("trials", "time_budget")


def continued(recorded: Sequence[SweepSpec], asked: SweepSpec) -> SweepSpec:
    """The spec with which a sweep goes on: the recorded one, with what is free as it is asked for.

    What is asked for may also be what was recorded before an extension: the file from which the
    sweep was started still resumes it.

    Args:
        recorded: the specs that the sweep has had, the present one last.
        asked: the spec of the session that is to begin.
    Raises:
        ResultsError: more than what is free is asked to change; with the difference.
    """
    present = recorded[-1]
    fixed = _fixed(asked)
    if fixed not in map(_fixed, recorded):
        told = _refusal(_fixed(present), fixed, asked.name)
        if present.judged_by != asked.judged_by:
            was, now = present.judged_by.words, asked.judged_by.words
            told = f"{asked.name}: its trials were judged by {was}, not by {now}. {told}"
        raise ResultsError(told)
    return present.model_copy(update={key: getattr(asked, key) for key in FREE})


def extended(spec: SweepSpec, assignments: Sequence[str]) -> SweepSpec:
    """A spec with more trials or time.

    Args:
        assignments: such as ``trials=+20``, ``trials=60``, ``time_budget=4h``, ``time_budget=+2h``.
    Raises:
        InputError: with every mistake.
    """
    mistakes = []
    changes: dict[str, int | float] = {}
    for assignment in assignments:
        try:
            key, value = _read(assignment, spec)
            changes[key] = value
        except ValueError as error:
            mistakes.append(Mistake(str(error), file=f"--extend {assignment}"))
    if mistakes:
        raise InputError(mistakes)
    try:
        more = SweepSpec.model_validate(spec.model_dump(mode="json") | changes)
    except ValidationError as error:
        findings = findings_of(error, SweepSpec)
    else:
        findings = list(check_sweep(more))
        if not findings:
            return more
    raise InputError(
        [Mistake(f.message, key=".".join(map(str, f.path)), file="--extend") for f in findings]
    )


def _read(assignment: str, spec: SweepSpec) -> tuple[str, int | float]:
    """Key and new value of one assignment; ValueError says what is wrong with it."""
    key, _, text = assignment.partition("=")
    sign, amount = text[:1], text.removeprefix("+")
    match key:
        case "trials":
            if not (amount.isascii() and amount.isdigit() and len(amount) < 10):
                raise ValueError(f"`trials` must read like `trials=+20`, but is {shown(text)}")
            total = int(amount) + (spec.trials if sign == "+" else 0)
            if total < spec.trials:
                raise ValueError(f"the sweep has {spec.trials} trials already, not {total}")
            return key, total
        case "time_budget":
            time = float(amount if amount.isascii() and amount.isdigit() else seconds(amount))
            return key, time + ((spec.time_budget or 0.0) if sign == "+" else 0.0)
        case _:
            known = " and ".join(f"`{name}`" for name in EXTENDABLE)
            raise ValueError(f"only {known} can be extended, but not {quoted(key)}")


def _fixed(spec: SweepSpec) -> str:
    """The spec as text, with what is free at its default."""
    defaults = {key: SweepSpec.model_fields[key].get_default() for key in FREE}
    return to_yaml(spec.model_copy(update=defaults))


def _refusal(recorded: str, asked: str, name: str) -> str:
    lines = difflib.unified_diff(
        recorded.splitlines(), asked.splitlines(), "recorded", "asked for", lineterm="", n=0
    )
    free = ", ".join(f"`{key}`" for key in FREE)
    return (
        f"{name} holds a sweep with another spec; go on with that one, or choose another `name:`"
        f" for the changed one. Free to change are {free}; for more trials, --extend trials=+20.\n"
        + "\n".join(lines)
    )
