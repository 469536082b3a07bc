"""Sweeps as a search leaves them, made up: the trials diverge where ε is 0."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from random import Random

from ruamel.yaml import YAML

from sweep.analysis.figures.sweep_results import Results
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.files import to_json
from sweep.store.layout import Layout
from sweep.vocabulary.divergence import Diagnosis
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import (
    Divergence,
    Outcome,
    ParameterValue,
    Stage,
    Status,
    TrialRecord,
)

WARMUP, COMPACTNESS, EPSILON, PATIENCE = SPACE = (
    "loss.warmup_epochs",
    "loss.weights.compactness",
    "loss.sqrt_epsilon",
    "early_stopping.patience",
)
SWEEP_YAML = """\
name: synthetic
trials: {trials}
trainer: {{epochs: {epochs}}}
loss: {{rampup_epochs: 2, weights: {{boundary: 0, aspect: 0}}}}
scheduler: {{name: asha, grace_period: 10, reduction_factor: 3}}
space:
  loss.warmup_epochs: {{randint: [2, 8]}}
  loss.weights.compactness: {{loguniform: [1.0e-3, 1.0]}}
  loss.sqrt_epsilon: {{choice: [0, 1.0e-8, 1.0e-6, 1.0e-4]}}
  early_stopping.patience: {{choice: [3, 5, 8]}}
"""
CURE = Diagnosis(
    likely_cause="The root has an infinite slope.",
    setting=EPSILON,
    advice="Set loss.sqrt_epsilon to 1e-6.",
    change={EPSILON: 1e-6},
    replayable=True,
)


def epoch_of(number: int, dice: float | None, **more: object) -> EpochMetrics:
    return EpochMetrics(epoch=number, val_dice=dice, steps=10, seconds=2.0, **more)  # type: ignore[arg-type]


def diverged_at(epoch: int, step: int = 0, diagnosis: Diagnosis | None = CURE) -> Outcome:
    return Outcome.diverged(
        Divergence(
            cause="nonfinite",
            stage=Stage.GRADIENT,
            term="compactness",
            epoch=epoch,
            step=step,
            message="NaN.",
            diagnosis=diagnosis,
        )
    )


def trial(
    number: int,
    outcome: Status | Outcome | None,
    dice: Iterable[float | None],
    parameters: dict[str, ParameterValue] | None = None,
    preset: str | None = None,
) -> TrialRecord:
    """A trial with an epoch of two seconds for each Dice; None as outcome: it runs."""
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters or {},
        history=tuple(epoch_of(n, value) for n, value in enumerate(dice)),
        outcome=Outcome(status=outcome) if isinstance(outcome, Status) else outcome,
        preset=preset,
    )


def drawn(number: int, epochs: int = 20) -> TrialRecord:
    """A trial of a random search over `SWEEP_YAML`'s space."""
    rng = Random(number)
    parameters: dict[str, ParameterValue] = {
        WARMUP: rng.randrange(2, 8),
        COMPACTNESS: 10 ** rng.uniform(-3, 0),
        EPSILON: rng.choice([0, 1e-8, 1e-6, 1e-4]),
        PATIENCE: rng.choice([3, 5, 8]),
    }
    warmup, weight = rng.randrange(2, 8), float(parameters[COMPACTNESS] or 0)
    parameters[WARMUP] = warmup
    top = 0.9 - 0.05 * abs(math.log10(weight) + 1.5) + rng.gauss(0, 0.004)
    curve = [top * (1 - 0.4 * math.exp(-n / 3)) + rng.gauss(0, 0.003) for n in range(epochs)]
    if parameters[EPSILON] == 0:
        outcome = diverged_at(warmup, rng.randrange(10))
        return trial(number, outcome, curve[:warmup], parameters)
    if top < 0.86:
        return trial(number, Status.PRUNED, curve[:10], parameters)
    return trial(number, Status.COMPLETED, curve, parameters)


def write_sweep(
    folder: Path, records: Iterable[TrialRecord], yaml: str = SWEEP_YAML, epochs: int = 20
) -> Path:
    """The files of a results folder, without its journal, which no report reads."""
    layout, records = Layout(folder), list(records)
    layout.trials.mkdir(parents=True)
    layout.sweep_yaml.write_text(yaml.format(trials=max(1, len(records)), epochs=epochs))
    for record in records:
        paths = layout.trial(record.trial_id)
        paths.folder.mkdir()
        paths.config.write_text(f"seed: {record.number}\n")
        cause = record.outcome.cause if record.outcome else ""
        end: dict[str, object] = {"status": record.status, "cause": cause, "preset": record.preset}
        if (replicate := record.replicate) is not None:
            end |= {"replicate_of": replicate.of, "seed": replicate.seed, "fold": replicate.fold}
            end |= {"in_search": True} if replicate.in_search else {}
        paths.trial.write_text(to_json({"parameters": dict(record.parameters)} | end))
        lines = [to_json(epoch.to_json()) + "\n" for epoch in record.history]
        paths.history.write_text("".join(lines))
        if record.outcome and record.outcome.divergence:
            paths.divergence.write_text(to_json(record.outcome.divergence.to_json()))
    return folder


def results_of(
    *records: TrialRecord, yaml: str = SWEEP_YAML, trials: int | None = None, in_use: bool = False
) -> Results:
    """A sweep that lies in no folder."""
    text = yaml.format(trials=trials or max(1, len(records)), epochs=20)
    spec = SweepSpec.model_validate(YAML(typ="safe", pure=True).load(text))
    return Results(folder=Path("nowhere"), spec=spec, records=records, in_use=in_use)
