"""The report of one epoch of a trial. Standard library only."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, overload

from sweep.vocabulary.class_scores import DistanceUnit
from sweep.vocabulary.strict_json import finite_fields, known_fields

NOTHING: Mapping[str, Any] = MappingProxyType({})
_COMPARED = itemgetter("val_dice", "seconds", "steps", "shared", "distance_unit", "warnings")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """The report of one epoch: one line of ``history.jsonl``.

    Args:
        epoch: index of the epoch, from 0.
        val_dice: validation Dice in [0, 1], mean over cases; None if no case had a foreground.
        train_loss: mean over the epoch's steps of the total loss. All means leave out skipped
            steps, so that one NaN batch does not hide the epoch.
        terms: mean over the epoch's steps of each loss term, before its weight.
        geometric_factor: g(epoch) in [0, 1].
        grad_norm: mean over the epoch's steps of the gradient norm before clipping.
        learning_rate: of the epoch's steps.
        steps: optimizer steps taken in the epoch.
        skipped_steps: steps that were withheld because a value was not finite.
        weight_norm: Euclidean norm of all weights after the epoch. If it is finite, no skipped step
            has harmed them.
        scale: of the loss after the epoch, by the gradient scaler; None if there is none.
        predicted_classes: number of classes that the network predicts anywhere in the validation.
        trivial_dice: validation Dice of the best answer without looking at the images, such as
            foreground everywhere; None if the trainer does not report it.
        seconds: wall time of the epoch, training and validation, and the turns of other trials in
            between if the trial shares its process (``resources.trials_per_gpu``).
        metrics: further metrics of the validation by name, if this epoch measured them; None if no
            case has a value.
        distance_unit: unit of ``hd95`` and of the tolerance of ``nsd``; None if neither was
            measured, or a trainer of the user measured it.
        warnings: sentences for the user about settings or data that are probably not intended.
        shared: whether another trial trained the epoch, and this one continued from there.
        machine: what the process used that trained the epoch, all trials in it together, as far as
            its system tells: ``cpu_cores``, busy on average; ``memory_gib``, the most so far;
            ``disk_read_mib`` and ``disk_written_mib`` of the epoch; ``received_mib`` and
            ``sent_mib`` of its whole node; and of its GPU, also by others, ``gpu_memory_gib``, the
            most so far, and ``gpu_percent``, the mean share of time in which it computed. It is not
            in ``history.jsonl``, which two equal trainings have in common, but in
            ``machine.jsonl``; read back, it is empty.

    >>> import sweep
    >>> sweep.EpochMetrics(epoch=0, val_dice=0.81, train_loss=0.4).to_json()["val_dice"]
    0.81
    """

    epoch: int
    val_dice: float | None
    train_loss: float | None = None
    terms: Mapping[str, float | None] = field(default_factory=dict)
    geometric_factor: float = 0.0
    grad_norm: float | None = None
    learning_rate: float | None = None
    steps: int = 0
    skipped_steps: int = 0
    weight_norm: float | None = None
    scale: float | None = None
    predicted_classes: int | None = None
    trivial_dice: float | None = None
    seconds: float = 0.0
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    distance_unit: DistanceUnit | None = None
    warnings: tuple[str, ...] = ()
    shared: bool = False
    machine: Mapping[str, float] = field(default_factory=dict, compare=False)

    def to_json(self) -> dict[str, Any]:
        found = finite_fields(self)
        if self.distance_unit is None:
            del found["distance_unit"]
        del found["machine"]
        return found

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> EpochMetrics:
        """Keys of a newer version are ignored, so that old code reads new histories."""
        known = known_fields(cls, line)
        return cls(**known | {"warnings": tuple(known.get("warnings", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochColumns:
    """What comparisons of trials need of a history: a value for each epoch.

    Args:
        val_dice, seconds, steps, shared: as in `EpochMetrics`.
        metrics: of the sweep's objectives only, by name.
        warnings: each sentence once.
        distance_unit: the first that an epoch says.
    """

    val_dice: tuple[float | None, ...]
    seconds: Sequence[float]
    steps: tuple[int, ...]
    shared: tuple[bool, ...]
    metrics: Mapping[str, tuple[float | None, ...]]
    warnings: tuple[str, ...] = ()
    distance_unit: DistanceUnit | None = None

    @classmethod
    def of(cls, epochs: Sequence[Mapping[str, Any]], metrics: Collection[str]) -> EpochColumns:
        """Args: epochs: the fields of each; ``metrics`` may be missing."""
        every = [*zip(*map(_COMPARED, epochs), strict=True)] or ((),) * 6
        val_dice, seconds, steps, shared, units, warnings = every
        measured = [epoch.get("metrics", NOTHING) for epoch in epochs] if metrics else []
        return cls(
            val_dice=val_dice,
            seconds=array("d", seconds),
            steps=_one_copy("steps", steps),
            shared=_one_copy("shared", shared),
            metrics={name: tuple([one.get(name) for one in measured]) for name in metrics},
            warnings=tuple(dict.fromkeys(chain.from_iterable(warnings))),
            distance_unit=next(filter(None, units), None),
        )


@lru_cache(maxsize=1000)
def _one_copy(_name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """What most trials have in common. The name: ``(1, 0)`` equals ``(True, False)``."""
    return values


class StoredHistory(Sequence[EpochMetrics]):
    """The epochs of a trial, of which only `columns` and the best epoch are in memory.

    A sweep of 10,000 trials has hundreds of megabytes of epochs. Whole epochs are read again, where
    one is asked for that is not the best.

    Args:
        columns: of the epochs.
        read: reads all epochs.

    Attributes:
        best: the epoch of the best value of the objective, whole; None without any.
    """

    __slots__ = ("_read", "best", "columns")

    def __init__(self, columns: EpochColumns, read: Callable[[], tuple[EpochMetrics, ...]]) -> None:
        self.columns = columns
        self.best: EpochMetrics | None = None
        self._read = read

    def __len__(self) -> int:
        return len(self.columns.val_dice)

    @overload
    def __getitem__(self, index: int) -> EpochMetrics: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[EpochMetrics, ...]: ...

    def __getitem__(self, index: int | slice) -> EpochMetrics | tuple[EpochMetrics, ...]:
        best = self.best
        return best if best is not None and index == best.epoch else self._read()[index]

    def __iter__(self) -> Iterator[EpochMetrics]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of the tuple of its epochs, which have mappings


def column(history: Sequence[EpochMetrics], name: str) -> Sequence[Any]:
    """The number of each epoch, or a field of `EpochColumns`."""
    if isinstance(history, StoredHistory):
        if name == "epoch":
            return range(len(history))
        found: Sequence[Any] = getattr(history.columns, name)
        return found
    return [getattr(epoch, name) for epoch in history]


def metric_column(history: Sequence[EpochMetrics], name: str) -> Sequence[float | None]:
    """One of `EpochMetrics.metrics` of each epoch; None where it was not measured."""
    if isinstance(history, StoredHistory) and name in history.columns.metrics:
        return history.columns.metrics[name]
    return [epoch.metrics.get(name) for epoch in history]


def warnings_of(history: Sequence[EpochMetrics]) -> tuple[str, ...]:
    """The warnings of the epochs, each sentence once."""
    if isinstance(history, StoredHistory):
        return history.columns.warnings
    return tuple(dict.fromkeys([text for epoch in history for text in epoch.warnings]))


def distance_unit_in(history: Sequence[EpochMetrics]) -> DistanceUnit | None:
    """Unit in which the epochs measured distances; None if none says so."""
    if isinstance(history, StoredHistory):
        return history.columns.distance_unit
    units = (epoch.distance_unit for epoch in history if epoch.distance_unit is not None)
    return next(units, None)
