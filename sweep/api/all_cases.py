"""Train a chosen configuration on all of its cases: for how long, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sweep.api.predict_images import representing_runs
from sweep.api.results import SweepResults
from sweep.spec.load import load_trial
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted
from sweep.store.files import parsed, read_json, read_jsonl
from sweep.store.layout import Layout, TrialPaths
from sweep.trial.kinds.kind_table import kind_of
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError

_CAUSE = "trained on all"


@dataclass(frozen=True, slots=True)
class AllCases:
    """How a configuration is trained on all of its cases.

    No case is left to stop early by, so the epochs are those after which the configuration was best
    on its validation cases. The learning rate and the geometric loss keep the schedule of all
    epochs.

    Args:
        epochs: that are trained; the weights of the last are kept.
        reason: why so many, as the end of a sentence.

    Source: Goodfellow, Bengio and Courville 2016, Deep Learning, algorithm 7.2.
    """

    epochs: int
    reason: str

    @classmethod
    def of(cls, config: Path | None, settings: TrialSettings, overrides: Iterable[str]) -> AllCases:
        """Read the number of epochs from the results beside a configuration, if there are any.

        Args:
            config: its file: a sweep's ``best.yaml``, or the ``config.yaml`` of a training.
            settings: what the file holds, with ``overrides``.
            overrides: of single settings. If ``trainer.epochs`` is one, all of these are trained.

        Raises:
            InputError: the trainer has another way.
            ResultsError: a file of the results is broken.
        """
        if instead := kind_of(settings).on_all_cases:
            raise InputError.single(instead, key="--all-cases")
        every = settings.trainer.epochs
        if any(change.partition("=")[0].strip() == "trainer.epochs" for change in overrides):
            return cls(every, "as `trainer.epochs` is set")
        found = [] if config is None else _best_epochs(config, settings)
        if not found:
            return cls(every, "since no results lie beside its file that say when it was best")
        after = "after which it was best in the search"
        if len(found) > 1:
            after = f"the median of those after which its {len(found)} runs were best"
        return cls(min(every, round(median(found))), after)

    def warnings(self, settings: TrialSettings, cases: int) -> list[str]:
        """What differs from any other training, in sentences."""
        every = settings.trainer.epochs
        sentences = [
            f"trains on all {cases} cases for {self.epochs} of {counted(every, 'epoch')},"
            f" {self.reason}; early stopping is off, and the weights of the last epoch are kept",
            "no case is left to validate on: Dice and all metrics of this training are of cases"
            " that it trains on",
        ]
        start = settings.loss.ramp.switch_on if settings.has_geometry else None
        if start is not None and start >= self.epochs:
            sentences.append(
                f"the geometric loss switches on in epoch {start}, so it never acts in these"
            )
        return sentences

    def cause(self, settings: TrialSettings, cases: int) -> str:
        """The same for ``trial.json``, in a few words."""
        return (
            f"{_CAUSE} {cases} cases, so its Dice is of training cases;"
            f" {self.epochs} of {counted(settings.trainer.epochs, 'epoch')}"
        )


def _best_epochs(config: Path, settings: TrialSettings) -> list[int]:
    """Number of epochs after which each run of a configuration was best."""
    runs = [TrialPaths(config.absolute().parent)]
    if Layout(runs[0].folder).sweep_yaml.is_file():
        best = SweepResults(runs[0].folder).best
        if load_trial(config) != best.config:  # the file is of another trial
            return []
        every = dict.fromkeys((*best.runs, best.folder))
        runs = representing_runs([TrialPaths(folder) for folder in every])
    found = (_best_epoch(run, settings) for run in runs if run.history.is_file())
    return [epochs for epochs in found if epochs is not None]


def _best_epoch(run: TrialPaths, settings: TrialSettings) -> int | None:
    """Number of epochs after which a run was best; None where no epoch has the objective."""
    history = list(read_jsonl(run.history, lambda line: parsed(EpochMetrics, line)))
    if _is_on_all_cases(run):
        return len(history)
    best = settings.judged_by.best(history)
    return None if best is None else best.epoch + 1


def _is_on_all_cases(run: TrialPaths) -> bool:
    try:
        return str(read_json(run.trial, dict).get("cause", "")).startswith(_CAUSE)
    except ResultsError:
        return False
