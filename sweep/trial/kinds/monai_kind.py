"""``trainer.kind: monai``: our own trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweep.spec.checks.first_look import FirstLook
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind import FinalScore, Kind, Pixels, Tell
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.record import Divergence

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.store.layout import TrialPaths
    from sweep.trainer.runs.reproduce import Replayed
    from sweep.trainer.runs.run_protocol import Run


def _look(settings: TrialSettings) -> FirstLook:
    from sweep.data.sources.source_table import open_source

    return open_source(settings.data)


def _read(settings: TrialSettings) -> tuple[list[Mistake], PreparedData | None]:
    from sweep.data.prepared.prepare import check_pixels

    return check_pixels(settings.data)


def _unfit(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    from sweep.data.prepared.class_presence import class_mistakes
    from sweep.data.prepared.image_sizes import side_mistakes

    return [*side_mistakes(settings, data), *class_mistakes(settings, data)]


def _prepare(settings: TrialSettings, _tell: Tell | None = None) -> PreparedData:
    from sweep.data.prepared.prepare import prepare

    data = prepare(settings.data)
    if mistakes := _unfit(settings, data):
        raise InputError(mistakes)
    return data


def _make_run(settings: TrialSettings, data: PreparedData | None) -> Run:
    from sweep.trainer.runs.monai_run import Training

    return Training(settings, data or _prepare(settings))


def _test(settings: TrialSettings, trial: TrialPaths) -> FinalScore:
    from sweep.data.prepared.prepare import prepare
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.test_evaluation import evaluate

    weights = Checkpoints(trial.folder).load_best() or {}
    cases = evaluate(settings, weights, prepare(settings.data))
    return FinalScore(None, cases)


def _replay(
    settings: TrialSettings, divergence: Divergence, offending: Mapping[str, Any]
) -> Replayed:
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
    make_ready=_prepare,
    make_run=_make_run,
    pixels=Pixels(_read, _unfit),
    test=_test,
    replay=_replay,
)
