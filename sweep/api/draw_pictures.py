"""Draw the segmentations of any trial of a sweep, or of a single training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.effective_settings import read_spec
from sweep.spec.search.before_and_after import PicturesSettings
from sweep.store.at_uri.local_results import fetch_missing
from sweep.store.layout import Layout, TrialPaths
from sweep.store.pictures.picture_index import TrialPictures, write_pictures
from sweep.store.read_results import instead_of, read_records, require_results
from sweep.vocabulary.errors import InputError, ResultsError

if TYPE_CHECKING:
    from sweep.trial.prediction.trained_model import Device


@dataclass(frozen=True, slots=True)
class DrawnTrial:
    """Pictures of one trial.

    Args:
        trial: its files.
        pictures: what they show.
        size: bytes of the files.
    """

    trial: TrialPaths
    pictures: TrialPictures
    size: int


def draw_pictures(
    folder: Path,
    names: Sequence[str],
    busy: Callable[[str], AbstractContextManager[object]],
    *,
    uri: str | None = None,
    cases: Sequence[str] = (),
    channel: str | None = None,
    device: Device | None = None,
) -> Iterator[DrawnTrial]:
    """Draw trials, whatever is drawn of them already.

    Each may fill the whole space of ``pictures.megabytes``.

    Args:
        folder: a results folder, or that of a training of `sweep.train`.
        names: of the trials; empty: the leader, and the baseline (or the next trial) to compare
            it with.
        busy: entered while one is drawn, with a sentence.
        uri: what ``folder`` is a copy of, without weights; None: the results themselves.
        cases: validation cases to draw beside the worst, the median and the best.
        channel: name of the image channel to show; None: as the sweep says, else the first.
        device: in place of ``trainer.device``.

    Raises:
        InputError: a trial, a case or the channel does not exist, or the data are gone.
        ResultsError: it is not a results folder, or there is nothing to draw a trial from.
        SweepFailed: a picture cannot be written.
    """
    if not Layout(folder).sweep_yaml.exists() and TrialPaths(folder).config.is_file():
        trials, settings = [[TrialPaths(folder)]], PicturesSettings()
    else:
        require_results(Layout(folder))
        settings = read_spec(folder).pictures or PicturesSettings()
        trials = _trials_of(folder, names)
    space = settings.bytes or PicturesSettings().bytes
    shown = settings.channel if channel is None else channel
    for group in trials:
        kept = [(trial.best_checkpoint, trial.offending) for trial in group]
        fetch_missing(folder, uri, chain.from_iterable(kept))
        with busy(f"Drawing {' and '.join(trial.folder.name for trial in group)}"):
            yield from _drawn(group, cases, shown, device, space)


def _trials_of(folder: Path, names: Sequence[str]) -> list[list[TrialPaths]]:
    """The trials of these names; without any the leader and the baseline (or the next
    one), to be compared."""
    from sweep.analysis.figures.sweep_results import read_results

    layout, known = Layout(folder), [record.trial_id for record in read_records(folder)]
    if wrong := [name for name in names if name not in known]:
        message = f"{folder} has no trial {wrong[0]}{instead_of(wrong[0], known)}"
        raise InputError.single(message, file="TRIAL")
    if names:
        return [[layout.trial(name)] for name in dict.fromkeys(names)]
    results = read_results(folder)
    if (first := results.leader) is None:
        raise ResultsError(f"no trial of {results.spec.name} has a result: name a trial")
    control = [] if results.baseline is None else [results.baseline.trial_id]
    others = [name for name in [*control, *results.scores] if name != first.trial_id]
    return [[layout.trial(name) for name in [first.trial_id, *others[:1]]]]


def _drawn(
    group: Sequence[TrialPaths],
    cases: Sequence[str],
    channel: str | None,
    device: Device | None,
    space: int,
) -> Iterator[DrawnTrial]:
    from sweep.trial.prediction.trial_pictures import (
        Segmentations,
        choices,
        draw_divergence,
        draw_trial,
    )

    batches = {trial: draw_divergence(trial, channel) for trial in group}
    opened = [
        Segmentations(trial, channel, device)
        for trial in group
        if trial.best_checkpoint.exists() or batches[trial] is None
    ]
    found = {
        one.trial: draw_trial(one, choice, space)
        for one, choice in zip(opened, choices(opened, cases), strict=True)
    }
    for trial in group:
        pictures, files = found.get(trial, (TrialPictures(), {}))
        if (batch := batches[trial]) is not None:
            drawn, more = batch
            pictures = replace(
                pictures, batch=drawn.batch, channel=drawn.channel, window=drawn.window
            )
            files = files | more
        write_pictures(trial, pictures, files)
        yield DrawnTrial(trial, pictures, sum(map(len, files.values())))
