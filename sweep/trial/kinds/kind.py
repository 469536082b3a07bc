"""What is asked of a kind of trainer: one object for each, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sweep.spec.checks.first_look import FirstLook
from sweep.spec.settings.trainer_settings import AnyTrainerSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import Mistake
from sweep.vocabulary.record import CaseScore, Divergence

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.store.layout import TrialPaths
    from sweep.trainer.runs.reproduce import ReproducedStep
    from sweep.trainer.runs.run_protocol import Run

Tell = Callable[[str], object]
"""Called with a sentence on the progress of a long task."""


class FinalScore(NamedTuple):
    """What the weights of a finalist reach.

    Args:
        dice: the mean over the cases; None where there was nothing to measure.
        cases: a score for each, where they are kept.
    """

    dice: float | None
    cases: tuple[CaseScore, ...] = ()


Evaluate = Callable[[TrialSettings, "TrialPaths"], FinalScore]
"""Evaluates the best weights in a trial's folder, in a way that is for finalists alone.

Raises `ResultsError` where they are damaged, `SweepFailed` where it broke off.
"""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the pixels of a kind's data are looked at before anything is trained.

    Args:
        read: reads and normalises them; mistakes, or the data where there are none.
        unfit: what of the settings does not fit data that were read.
    """

    read: Callable[[TrialSettings], tuple[list[Mistake], PreparedData | None]]
    unfit: Callable[[TrialSettings, PreparedData], list[Mistake]]


@dataclass(frozen=True, slots=True)
class Tools:
    """Tools of others, which train a sweep's winner on.

    Args:
        name: of the tools, for people.
        hand_over: writes the best weights of a trial as they read them, to the path that is given.
        commands: lines of a shell, comments among them, that train a configuration with them and
            predict; they go to the top of the ``best.yaml`` whose path is given.
    """

    name: str
    hand_over: Callable[[TrialSettings, TrialPaths, Path], None]
    commands: Callable[[TrialSettings, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trainer.

    A new one is a file with such an object, a line in `sweep.trial.kinds.kind_table`, and its
    settings, with their `TrainerTraits`, in `sweep.spec.settings.trainer_settings`. Its functions
    import torch, MONAI and nnU-Net when they are called: no kind pays for another's.

    Args:
        preparing: what is done before the first trial, in words.
        imports: modules that every trial imports; a worker does so before its first one.
        look: what can be told without reading pixels and without running anything.
        make_ready: does once a machine what its trials have in common (reads and normalises the
            data, plans and preprocesses); returns data for trials to share, if there are any.
            Raises `InputError` with every mistake that only the work itself shows.
        make_run: a run of one configuration that has trained nothing yet, given such data or None.
        pixels: how ``--data`` reads them; else why it does not.
        recognised: the settings of the trainer with the fingerprint of the data that it found.
        test: evaluation of a finalist on the test split; None where there is none.
        validate: slower evaluation of a finalist on its validation cases; None where there is none.
        tools: tools of others that read its weights, if there are any.
        replay: takes a recorded diverging step again, given what the trial kept of it; None where
            no single step is kept.
    """

    preparing: str
    imports: tuple[str, ...]
    look: Callable[[TrialSettings], FirstLook]
    make_ready: Callable[[TrialSettings, Tell], PreparedData | None]
    make_run: Callable[[TrialSettings, PreparedData | None], Run]
    pixels: Pixels | str
    recognised: Callable[[AnyTrainerSettings], AnyTrainerSettings] = lambda trainer: trainer
    test: Evaluate | None = None
    validate: Evaluate | None = None
    tools: Tools | None = None
    replay: Callable[[TrialSettings, Divergence, Mapping[str, Any]], ReproducedStep] | None = None
