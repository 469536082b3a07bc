"""``trainer.kind: monai``: our own trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.prepare import check_pixels, prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData
from sweep.data.prepared.unfit_data import unfit, unknown_classes
from sweep.data.sources.source_table import open_source
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind import Kind, Pixels, Predictor, Segmenter, ShowProgress
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import CaseScore, Divergence

if TYPE_CHECKING:
    from sweep.store.layout import TrialPaths
    from sweep.trainer.runs.reproduce import BatchBefore, ReproducedStep
    from sweep.trainer.runs.run_protocol import Run


def _look(settings: TrialSettings) -> FirstLook:
    source = open_source(settings.data)
    if source.classes:  # else they are known once the pixels are read
        source.mistakes += unknown_classes(settings, source.classes)
    return source


def _make_ready(settings: TrialSettings, _show: ShowProgress | None = None) -> PreparedData:
    data = prepare(settings.data)
    if mistakes := unfit(settings, data):
        raise InputError(mistakes)
    return data


def _doubts(settings: TrialSettings, data: PreparedData) -> list[str]:
    """Of a sweep: about the largest ε, batch and patch that it searches."""
    from sweep.data.prepared.outline_length import outline_warnings
    from sweep.data.prepared.shape_prior import shape_warnings
    from sweep.spec.checks.doubtful_settings import largest_loss, largest_sizes, size_warnings

    spec = settings if isinstance(settings, SweepSpec) else None
    loss = settings.loss if spec is None else largest_loss(spec)
    found = outline_warnings(loss, data, settings.data.patch) + shape_warnings(settings, data)
    if spec is not None and spec.data.size_keys is None:  # else the check of the settings warns
        side = max(max(sample.label.shape) for sample in data.training)
        batch, patch = largest_sizes(spec)
        found += size_warnings(batch, len(data.training), patch, side)
    return found


def _make_run(settings: TrialSettings, data: PreparedData | None) -> Run:
    from sweep.trainer.runs.monai_run import MonaiTraining

    return MonaiTraining(settings, data or _make_ready(settings))


def _test(settings: TrialSettings, trial: TrialPaths) -> tuple[CaseScore, ...]:
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.test_evaluation import evaluate

    return evaluate(settings, Checkpoints(trial.folder).need_best(), prepare(settings.data))


def _predictor(settings: TrialSettings, trial: TrialPaths) -> Predictor:
    from sweep.trainer.runs.monai_run import MonaiTraining
    from sweep.trial.checkpoints import Checkpoints

    best = Checkpoints(trial.folder).need_best()
    try:
        # Weights of an older version know nothing of their data, which must still be there.
        known = best.get("data")
        facts = DataFacts.read(known) if known else DataFacts.of(prepare(settings.data))
        # Compiled again for each size of image, most predictions would take longer.
        trainer = settings.trainer.model_copy(update={"compile": False})
        eager = settings.model_copy(update={"trainer": trainer})
        run = MonaiTraining(eager, facts.stand_in())
        run.model.load_state_dict(best["model"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise ResultsError(
            f"{trial.best_checkpoint} does not fit {trial.config}: {last_line(error)}"
        ) from error
    run.model.eval()
    return Predictor(facts, run.inference)


def _segmenter(settings: TrialSettings, trial: TrialPaths) -> Segmenter:
    predictor = _predictor(settings, trial)
    cases = {case.name: case for case in prepare(settings.data).validation.case_arrays}

    def segment(name: str) -> tuple[CaseArrays, NDArray[np.uint8]]:
        return cases[name], predictor.inference.classes(cases[name])

    return Segmenter(predictor.facts, tuple(cases), segment)


def _batch_before(settings: TrialSettings, offending: Mapping[str, Any]) -> BatchBefore:
    from sweep.trainer.runs.reproduce import batch_before

    return batch_before(settings, offending)


def _replay(
    settings: TrialSettings, divergence: Divergence, offending: Mapping[str, Any]
) -> ReproducedStep:
    from sweep.trainer.runs.reproduce import replay

    return replay(settings, divergence, offending)


MONAI = Kind(
    preparing="Reading and normalising the data",
    imports=(
        "monai.metrics",
        "skimage.measure",
        "sweep.data.prepared.prepare",
        "sweep.trainer.runs.monai_run",
    ),
    look=_look,
    make_ready=_make_ready,
    make_run=_make_run,
    pixels=Pixels(lambda settings: check_pixels(settings.data), unfit, _doubts),
    predictor=_predictor,
    segmenter=_segmenter,
    test=_test,
    replay=_replay,
    batch_before=_batch_before,
)
