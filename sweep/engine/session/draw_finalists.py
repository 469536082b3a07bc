"""Draw the finalists of a sweep, and the batches at which trials diverged, once it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from sweep.analysis.ranking.finalists import finalists
from sweep.analysis.report_words import duration, some
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.store.pictures.picture_index import TrialPictures, picture_bytes, read_pictures
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError, SweepError, SweepFailed
from sweep.vocabulary.record import Status, TrialRecord

if TYPE_CHECKING:
    from sweep.trial.prediction.trial_pictures import Segmentations

MOST_BATCHES = 6
"""Diverged trials whose batch is drawn: the first ones."""
LONGEST = 600.0
"""Seconds after which no further finalist is begun: volumes on a CPU take minutes each."""

Busy = Callable[[str], AbstractContextManager[object]]


def draw_finalists(
    spec: SweepSpec,
    store: Store,
    leader: str | None,
    warn: Callable[[str], None],
    busy: Busy,
) -> list[str]:
    """Draw what is not drawn yet, within ``pictures.megabytes``.

    It ends after `LONGEST`, with a warning that names who has no pictures.
    The leader and the baseline come first, each with the cases on which they differ, then the other
    finalists. Where the baseline leads or there is none, the leader is compared with the next one.
    Of each, the run of the search is drawn: these validate on the same cases, unless the search
    varies the fold. A trial that cannot be drawn is told and left out.

    Args:
        spec: of a sweep that has ended.
        store: its results folder.
        leader: id of the first trial of the ranking; None: no trial has a result.
        warn: called for trials that cannot be drawn, with the reason.
        busy: entered while something is drawn, with a sentence.

    Returns:
        ids of the trials that have pictures now.

    Raises:
        SweepFailed: a picture cannot be written.
    """
    from sweep.trial.kinds.kind_table import kind_of

    if spec.pictures is None or not spec.pictures.megabytes:
        return []
    session = _Drawing(spec, store, warn, busy, spec.pictures.bytes, spec.pictures.channel)
    records, kind = store.records(), kind_of(spec)
    drawn: list[str] = []
    if kind.batch_before is not None:
        drawn += session.batches(records)
    if leader is not None and not isinstance(kind.segmenter, str):
        drawn += session.trials(_in_order(spec, records, leader))
    return drawn


def _in_order(spec: SweepSpec, records: Iterable[TrialRecord], leader: str) -> list[list[str]]:
    """Ids of the finalists, the two together that are compared, then the others by their rank.

    The leader is compared with the baseline; where there is none or it leads, with the next one.
    """
    others = [record for record in finalists(spec, records) if record.trial_id != leader]
    others.sort(key=lambda record: record.preset != BASELINE)
    names = [record.trial_id for record in others]
    return [[leader, *names[:1]], *([name] for name in names[1:])]


@dataclass(slots=True)
class _Drawing:
    """Draws trials one after the other.

    Args:
        left: bytes that are left for pictures.
        channel: the image channel that is shown; None: the first.
        without: reason → trials that have no pictures for it.
    """

    spec: SweepSpec
    store: Store
    warn: Callable[[str], None]
    busy: Busy
    left: int
    channel: str | None
    without: dict[str, list[str]] = field(default_factory=dict)

    def batches(self, records: Iterable[TrialRecord]) -> Iterator[str]:
        """Draw the batches of the first diverged trials."""
        from sweep.trial.prediction.trial_pictures import draw_divergence

        names = [
            record.trial_id
            for record in records
            if record.status is Status.DIVERGED
            and self.store.layout.trial(record.trial_id).offending.exists()
        ]
        for name in names[:MOST_BATCHES]:
            paths = self.store.layout.trial(name)
            known = self._known(name)
            if known is None or known.batch is None:
                try:
                    with self.busy(f"Drawing the batch at which {name} diverged"):
                        found = draw_divergence(paths, self.channel)
                except SweepFailed:
                    raise
                except SweepError as error:
                    self.warn(f"the batch of {name} is not drawn: {error}")
                    continue
                if found is None or sum(map(len, found[1].values())) > self.left:
                    continue
                self.store.record_pictures(name, *found)
            self._spend(name)
            yield name

    def trials(self, groups: list[list[str]]) -> Iterator[str]:
        """Draw the cases of finalists; those of one group are compared with each other."""
        from sweep.trial.prediction.trial_pictures import choices, draw_trial

        waiting, end, is_late = sum(map(len, groups)), monotonic() + LONGEST, False
        for group in groups:
            waiting -= len(group)
            if all(self._is_drawn(name, group) for name in group):
                for name in group:
                    self._spend(name)
                yield from group
                continue
            if is_late:
                reason = (
                    f"drawing the others took more than {duration(LONGEST)}; `sweep.pictures`"
                    " draws any trial"
                )
                self.without.setdefault(reason, []).extend(group)
                continue
            with self.busy(f"Drawing segmentations of {' and '.join(group)}"):
                opened = [one for name in group if (one := self._opened(name)) is not None]
                try:
                    pairs = zip(opened, choices(opened), strict=True)
                    for number, (one, choice) in enumerate(pairs):
                        share = self.left // (waiting + len(opened) - number)
                        name = one.trial.folder.name
                        self.store.record_pictures(name, *draw_trial(one, choice, share))
                        self._spend(name)
                        yield name
                except SweepFailed:
                    raise
                except SweepError as error:
                    self.without.setdefault(str(error), []).extend(group)
            is_late = monotonic() > end
        for reason, names in self.without.items():
            self.warn(f"no pictures of {some(names)}: {reason}")

    def _opened(self, name: str) -> Segmentations | None:
        """The cases of a trial; None if there is nothing to predict them."""
        from sweep.trial.prediction.trial_pictures import Segmentations

        paths = self.store.with_best_weights(name)
        try:
            if not paths.best_checkpoint.exists():
                raise ResultsError("its weights were not kept")
            return Segmentations(paths, self.channel)
        except SweepFailed:
            raise
        except SweepError as error:
            self.without.setdefault(str(error), []).append(name)
            return None

    def _is_drawn(self, name: str, group: list[str]) -> bool:
        """Whether the trial has pictures by the same weights, compared with the same other one."""
        from sweep.trial.prediction.trained_model import digest_of_weights

        known, others = self._known(name), [one for one in group if one != name]
        if known is None or not known.cases:
            return False
        paths = self.store.with_best_weights(name)
        if not paths.best_checkpoint.exists() or known.weights != digest_of_weights(paths):
            return False
        is_channel = self.channel in (None, known.channel)
        return is_channel and ([known.compared_with] == others or not others)

    def _known(self, name: str) -> TrialPictures | None:
        """What is drawn of a trial; None also if that is damaged."""
        try:
            return read_pictures(self.store.layout.trial(name))
        except ResultsError:
            return None

    def _spend(self, name: str) -> None:
        """Count the files of a trial."""
        paths, known = self.store.layout.trial(name), self._known(name)
        files = {f for one in known.pictures for f in (one.image, one.marks)} if known else set()
        self.left -= sum(len(picture_bytes(paths, file)) for file in files)
