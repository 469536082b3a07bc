"""A panel that explains a divergence: what, where, the likely cause, and the steps before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts, StepValues
from sweep.vocabulary.record import Divergence


def diagnosis_panel(divergence: Divergence) -> Panel:
    """Verdict, circumstances and advice, with a table of the last steps."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, value in _facts(divergence):
        facts.add_row(name, value)
    diagnosis = divergence.diagnosis
    parts: list[Table | Padding] = [facts]
    if diagnosis is not None and diagnosis.recent:
        parts.append(Padding(steps_table(diagnosis.recent), (1, 0, 0, 0)))
    title = Text(f"diverged: {divergence.summary}", style="bold red")
    return Panel(Group(*parts), title=title, title_align="left", border_style="red", padding=(1, 2))


def steps_table(steps: Sequence[StepValues]) -> Table:
    """One row per step; values that are not finite are highlighted."""
    names = list(dict.fromkeys(name for values in steps for name in values.terms))
    scaled = any(values.scale is not None for values in steps)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("epoch", justify="right")
    table.add_column("step", justify="right")
    for heading in (*names, "loss", "grad norm", *(["scale"] if scaled else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for values in steps:
        numbers = [values.terms.get(name) for name in names]
        numbers += [values.loss, values.grad_norm, *([values.scale] if scaled else [])]
        table.add_row(str(values.epoch), str(values.step), *map(_number, numbers))
    return table


def _number(value: float | None) -> Text:
    if value is None:
        return Text("–", style="dim")
    return Text(f"{value:.4g}", style="" if math.isfinite(value) else "bold red")


def _facts(divergence: Divergence) -> Iterator[tuple[str, str]]:
    diagnosis = divergence.diagnosis
    yield "What", divergence.message
    if divergence.parameter:
        yield "Parameter", f"{divergence.parameter}, the first of the forward pass to break"
    if diagnosis is None:
        return
    yield "Where", _where(divergence, diagnosis)
    if diagnosis.cases:
        areas = ["not finite" if a is None else f"{a:.0f} px" for a in diagnosis.soft_areas]
        classes = max(1, len(areas) // len(diagnosis.cases))
        each = [", ".join(areas[n : n + classes]) for n in range(0, len(areas), classes)]
        cases = [f"{c} ({area})" for c, area in zip(diagnosis.cases, each, strict=True)]
        of = " of each geometric class" if classes > 1 else ""
        yield "Batch", ", ".join(cases) + f"; in brackets the soft area{of}"
    if diagnosis.epsilon is not None:
        yield "ε", _epsilon_words(diagnosis.epsilon)
    if diagnosis.recent and diagnosis.recent[-1].scale is not None:
        yield "Scale", f"{diagnosis.recent[-1].scale:g}"
    yield "Weights", "finite" if divergence.weights_finite else "NOT finite, do not use them"
    yield "Likely", diagnosis.likely_cause
    yield "Try", diagnosis.advice


def _where(divergence: Divergence, diagnosis: Diagnosis) -> str:
    place = f"epoch {divergence.epoch}, step {divergence.step} (both from 0)"
    if not divergence.counts_steps:
        place = f"epoch {divergence.epoch} (from 0)"
    epochs, steps = diagnosis.epochs_after_switch_on, diagnosis.steps_after_switch_on
    if epochs is None or steps is None:
        return place
    if steps == 0:
        return f"{place}: the very first step with the geometric loss"
    when = "after" if steps > 0 else "before"
    far = f"{abs(epochs)} epochs ({abs(steps)} steps)"
    return f"{place}: {far} {when} the geometric loss switches on"


def _epsilon_words(epsilon: EpsilonFacts) -> str:
    bound = epsilon.gradient_bound
    slope = "unbounded" if bound is None else f"at most {bound:g}"
    outline = epsilon.perimeter
    return (
        f"{epsilon.value:g}, {epsilon.mode}: the square root's slope is {slope}; adds"
        f" {epsilon.bias:.3g} px to the perimeter"
        + ("" if outline is None else f", where a mask has {outline:.0f} px of it")
    )
