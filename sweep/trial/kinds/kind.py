"""What a kind of trainer provides: one object for each kind, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sweep.spec.checks.first_look import FirstLook
from sweep.spec.settings.trainer_settings import AnyTrainerSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import Mistake
from sweep.vocabulary.record import CaseScore, Divergence, RealValidation

if TYPE_CHECKING:
    from sweep.data.prepared.data_facts import DataFacts
    from sweep.data.prepared.samples import CaseArrays, PreparedData
    from sweep.store.layout import TrialPaths
    from sweep.trainer.evaluation.inference import Inference
    from sweep.trainer.runs.reproduce import BatchBefore, ReproducedStep
    from sweep.trainer.runs.run_protocol import Run

ShowProgress = Callable[[str], object]
"""Called with a sentence about the progress of a long task."""


class Predictor(NamedTuple):
    """A trained network, ready to predict.

    Args:
        facts: of the data that it was trained on.
        inference: how it predicts cases.
    """

    facts: DataFacts
    inference: Inference


class Segmenter(NamedTuple):
    """The validation cases of a trial, and what its best weights predict for them.

    Args:
        facts: of the data.
        cases: names of the validation cases.
        segment: a case with its reference, and its predicted labels ``[S, H, W]`` on the grid of
            the reference. Raises `SweepError` if it cannot be read.
    """

    facts: DataFacts
    cases: tuple[str, ...]
    segment: Callable[[str], tuple[CaseArrays, NDArray[np.uint8]]]


Evaluated = TypeVar("Evaluated")
Evaluate = Callable[[TrialSettings, "TrialPaths"], Evaluated]
"""Evaluates the best weights in a trial's folder more thoroughly than an epoch does.

Raises `ResultsError` if they are damaged, `SweepFailed` if it failed.
"""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the pixels of a kind's data are checked before anything is trained.

    Args:
        read: reads and normalises them; returns mistakes, or the data if there are none.
        unfit: mistakes of settings that do not fit the data.
        doubts: settings that fit the data but are probably not intended, in sentences.
    """

    read: Callable[[TrialSettings], tuple[list[Mistake], PreparedData | None]]
    unfit: Callable[[TrialSettings, PreparedData], list[Mistake]]
    doubts: Callable[[TrialSettings, PreparedData], list[str]]


@dataclass(frozen=True, slots=True)
class Tools:
    """Other tools that can use a sweep's winner.

    Args:
        name: of the tools, for messages.
        hand_over: writes the best weights of a trial in their format, to the given path.
        commands: shell lines, comments among them, that train a configuration with these tools and
            predict. They go to the top of the ``best.yaml`` with the given path.
    """

    name: str
    hand_over: Callable[[TrialSettings, TrialPaths, Path], None]
    commands: Callable[[TrialSettings, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trainer.

    A new one is a file with such an object, a line in `sweep.trial.kinds.kind_table`, and its
    settings, with their `TrainerTraits`, in `sweep.spec.settings.trainer_settings`. Its functions
    import torch, MONAI and nnU-Net when they are called, so no kind loads what another needs.

    Args:
        preparing: names what is done before the first trial.
        imports: modules that every trial imports; a worker imports them before its first trial.
        look: finds mistakes without reading pixels and without running anything.
        make_ready: does, once on each machine, what its trials have in common: reads and normalises
            the data, or plans and preprocesses. Returns data for trials to share, if there are any.
            Raises `InputError` with every mistake that only the work itself shows.
        make_run: a run of one configuration that has trained nothing yet, given such data or None.
            With None, `make_ready` must have run, or its errors are raised here.
        pixels: how ``--data`` reads them, or a clause that says why it does not.
        recognised: the settings of the trainer with the fingerprint of the data that were found.
        test: scores of a finalist on each case of the test split, if there is one.
        validate: slower evaluation of a finalist on its validation cases, if there is one.
        tools: other tools that read its weights, if there are any.
        predictor: loads the best weights in a trial's folder; or a sentence that says how else to
            predict with them. Raises `ResultsError` if they are missing or damaged.
        segmenter: its validation cases with predictions, to be looked at; or a sentence that says
            why there are none. Raises `SweepError` if weights, predictions or data are missing.
        on_all_cases: how it is trained on all cases, as a sentence; empty: with ``--all-cases``.
        replay: takes a recorded diverging step again, given what the trial kept of it; None if no
            single step is kept.
        batch_before: the batch of a diverging step with the soft masks before it, given what the
            trial kept of it; None if no single step is kept.
    """

    preparing: str
    imports: tuple[str, ...]
    look: Callable[[TrialSettings], FirstLook]
    make_ready: Callable[[TrialSettings, ShowProgress], PreparedData | None]
    make_run: Callable[[TrialSettings, PreparedData | None], Run]
    pixels: Pixels | str
    predictor: Callable[[TrialSettings, TrialPaths], Predictor] | str
    segmenter: Callable[[TrialSettings, TrialPaths], Segmenter] | str
    recognised: Callable[[AnyTrainerSettings], AnyTrainerSettings] = lambda trainer: trainer
    test: Evaluate[tuple[CaseScore, ...]] | None = None
    validate: Evaluate[RealValidation] | None = None
    tools: Tools | None = None
    on_all_cases: str = ""
    replay: Callable[[TrialSettings, Divergence, Mapping[str, Any]], ReproducedStep] | None = None
    batch_before: Callable[[TrialSettings, Mapping[str, Any]], BatchBefore] | None = None

    def doubts(self, settings: TrialSettings, data: PreparedData) -> list[str]:
        """What is probably not intended of prepared data, and of settings that fit them."""
        of_settings = [] if isinstance(self.pixels, str) else self.pixels.doubts(settings, data)
        return [*data.warnings, *of_settings]
