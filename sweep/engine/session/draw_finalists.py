"""Draw the finalists of a sweep, and the batches at which trials diverged, once it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import TypeVar

from sweep.analysis.ranking.finalists import finalists
from sweep.analysis.report_words import duration, some
from sweep.engine.session.executor import Each, in_turn
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.store.layout import TrialPaths
from sweep.store.pictures.picture_index import TrialPictures, picture_bytes, read_pictures
from sweep.store.read_results import digest_of_weights
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError, SweepError, SweepFailed
from sweep.vocabulary.record import Status, TrialRecord

T = TypeVar("T")
Drawn = tuple[TrialPictures, dict[str, bytes]]
"""What is drawn of a trial, and the files by name."""

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
    each: Each | None = None,
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
        each: calls a function where trials are trained; None: here.

    Returns:
        ids of the trials that have pictures now.

    Raises:
        SweepFailed: a picture cannot be written.
    """
    from sweep.trial.kinds.kind_table import kind_of

    if spec.pictures is None or not spec.pictures.megabytes:
        return []
    size, channel = spec.pictures.bytes, spec.pictures.channel
    session = _Drawing(store, warn, busy, each or in_turn(store), size, channel)
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

    store: Store
    warn: Callable[[str], None]
    busy: Busy
    each: Each
    left: int
    channel: str | None
    without: dict[str, list[str]] = field(default_factory=dict)

    def batches(self, records: Iterable[TrialRecord]) -> Iterator[str]:
        """Draw the batches of the first diverged trials."""
        kept = (
            record.trial_id
            for record in records
            if record.status is Status.DIVERGED
            and self.store.has(self.store.layout.trial(record.trial_id).offending)
        )
        for name in islice(kept, MOST_BATCHES):
            known = self._known(name)
            if known is None or known.batch is None:
                with self.busy(f"Drawing the batch at which {name} diverged"):
                    found = self._asked(draw_batch_of, [name], self.channel)
                if isinstance(found, SweepError):
                    self.warn(f"the batch of {name} is not drawn: {found}")
                    continue
                if found is None or sum(map(len, found[1].values())) > self.left:
                    continue
                self.store.record_pictures(name, *found)
            self._spend(name)
            yield name

    def trials(self, groups: list[list[str]]) -> Iterator[str]:
        """Draw the cases of finalists; those of one group are compared with each other."""
        weights = {
            name: self.store.layout.trial(name).best_checkpoint
            for group in groups
            for name in group
        }
        lost = [name for name, file in weights.items() if not self.store.has(file)]
        if lost:
            self.without["the weights were not kept"] = lost
        groups = [[name for name in group if name not in lost] for group in groups]
        waiting, end, is_late = sum(map(len, groups)), monotonic() + LONGEST, False
        for group in groups:
            if all(self._is_drawn(name, group) for name in group):
                for name in group:
                    self._spend(name)
                yield from group
            elif is_late:
                reason = (
                    f"drawing the others took more than {duration(LONGEST)}; `sweep.pictures`"
                    " draws any trial"
                )
                self.without.setdefault(reason, []).extend(group)
            else:
                with self.busy(f"Drawing segmentations of {' and '.join(group)}"):
                    found = self._asked(draw_cases_of, group, self.channel, self.left, waiting)
                yield from self._recorded(group, found)
                is_late = monotonic() > end
            waiting -= len(group)
        for reason, names in self.without.items():
            self.warn(f"no pictures of {some(names)}: {reason}")

    def _recorded(
        self, group: Sequence[str], found: Sequence[Drawn | SweepError] | SweepError
    ) -> Iterator[str]:
        """Record what was drawn of a group, and note why others were not."""
        each = [found] * len(group) if isinstance(found, SweepError) else found
        for name, drawn in zip(group, each, strict=True):
            if isinstance(drawn, SweepError):
                self.without.setdefault(str(drawn), []).append(name)
            else:
                self.store.record_pictures(name, *drawn)
                self._spend(name)
                yield name

    def _asked(
        self, do: Callable[..., T], group: Sequence[str], *arguments: object
    ) -> T | SweepError:
        """What ``do`` returns for a group, or why it has nothing."""
        ((_, found),) = self.each(do, [group], *arguments)
        if isinstance(found, SweepFailed):
            raise found
        return found

    def _is_drawn(self, name: str, group: list[str]) -> bool:
        """Whether the trial has pictures by the same weights, compared with the same other one."""
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


def draw_batch_of(trials: Sequence[TrialPaths], channel: str | None) -> Drawn | None:
    """The batch at whose step a trial diverged; None if no single step was kept."""
    from sweep.trial.prediction.trial_pictures import draw_divergence

    (paths,) = trials
    return draw_divergence(paths, channel)


def draw_cases_of(
    trials: Sequence[TrialPaths], channel: str | None, left: int, waiting: int
) -> list[Drawn | SweepError]:
    """The cases of one trial, or of two that are compared; or why there are none.

    Args:
        channel: that is shown; None: the first.
        left: bytes that are left for pictures.
        waiting: number of trials for which they are left, these among them.
    """
    from sweep.trial.prediction.trial_pictures import Segmentations, choices, draw_trial

    found = dict[int, Drawn | SweepError]()
    opened = dict[int, Segmentations]()
    for number, paths in enumerate(trials):
        try:
            opened[number] = Segmentations(paths, channel)
        except SweepFailed:
            raise
        except SweepError as error:
            found[number] = error
    waiting -= len(found)
    for (number, one), choice in zip(opened.items(), choices([*opened.values()]), strict=True):
        drawn = draw_trial(one, choice, left // waiting)
        left -= sum(map(len, drawn[1].values()))
        waiting -= 1
        found[number] = drawn
    return [found[number] for number in range(len(trials))]
