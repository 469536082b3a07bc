"""Predict some validation cases of a trial with its best weights, and draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.samples import CaseArrays
from sweep.spec.settings.evaluation_settings import EvaluationSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import must_be
from sweep.store.case_table import read_cases
from sweep.store.files import read_record
from sweep.store.layout import TrialPaths
from sweep.store.pictures.picture_index import TrialPictures, read_pictures
from sweep.store.read_results import digest_of_weights
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.kinds.kind_table import kind_of
from sweep.trial.pictures.batch_drawing import draw_batch
from sweep.trial.pictures.case_choice import (
    channel_index,
    dice_of_cases,
    extreme_cases,
    most_different,
)
from sweep.trial.pictures.case_drawing import CaseToDraw, disagreement, draw_cases
from sweep.trial.pictures.segmented_case import SegmentedCase
from sweep.trial.pictures.slice_drawing import WINDOW
from sweep.trial.prediction.prediction_scores import score
from sweep.trial.prediction.trained_model import Device, settings_to_predict
from sweep.vocabulary.class_scores import UNITS, ClassScore, DistanceUnit
from sweep.vocabulary.errors import InputError, Mistake, ResultsError
from sweep.vocabulary.record import RealValidation


class Segmentations:
    """The validation cases of one trial, each predicted when it is first asked for.

    Args:
        trial: its folder, with its best weights.
        channel: name of the image channel that is shown; None: the first.
        device: in place of ``trainer.device``.

    Raises:
        InputError: the data have no such channel or are gone, or the device does not exist.
        ResultsError: the kind of trainer has no cases to show, or the weights are missing.
    """

    def __init__(
        self, trial: TrialPaths, channel: str | None = None, device: Device | None = None
    ) -> None:
        self.trial = trial
        self.settings = settings_to_predict(trial, device=device)
        kind, make = self.settings.trainer.kind, kind_of(self.settings).segmenter
        if isinstance(make, str):
            raise ResultsError(f"a trainer of the kind `{kind}` has no pictures: {make}")
        self._segmenter = make(self.settings, trial)
        self._channel = channel_index(self.facts.channels, channel)
        self._known: dict[str, tuple[SegmentedCase, tuple[ClassScore, ...]]] = {}

    @property
    def facts(self) -> DataFacts:
        return self._segmenter.facts

    @property
    def channel(self) -> str:
        """Name of the channel that is shown."""
        return self.facts.channels[self._channel]

    @cached_property
    def dice(self) -> dict[str, float]:
        """Case → Dice: of the recorded validation; where none is recorded, predicted now."""
        found = dice_of_cases(read_cases(self.trial.cases)) or _real_dice(self.trial)
        found = {case: dice for case, dice in found.items() if case in self._segmenter.cases}
        if found:
            return found
        return dice_of_cases(one for name in self._segmenter.cases for one in self[name][1])

    @property
    def weights(self) -> str:
        """Digest of the weights."""
        return digest_of_weights(self.trial)

    def __getitem__(self, name: str) -> tuple[SegmentedCase, tuple[ClassScore, ...]]:
        """A case with what its prediction scores on each class."""
        if name not in self._known:
            case, prediction = self._segmenter.segment(name)
            scores = score(case, prediction, self.facts, _scored(self.settings))
            shown = SegmentedCase(
                name=name,
                image=case.images[:, self._channel],
                reference=case.reference,
                prediction=prediction,
                spacing=case.own_spacing,
                axes=_axes(case, self.facts),
            )
            self._known[name] = shown, scores
        return self._known[name]

    @cached_property
    def drawn_before(self) -> TrialPictures:
        """What is drawn of the trial by the same weights; nothing, if that is damaged."""
        try:
            found = read_pictures(self.trial)
        except ResultsError:
            found = None
        return found if found is not None and found.weights == self.weights else TrialPictures()

    def require(self, names: Iterable[str]) -> None:
        """Check that there are validation cases of these names.

        Raises:
            InputError: with every name that is none.
        """
        there = self._segmenter.cases
        what = f"a validation case of {self.trial.folder.name}"
        wrong = [must_be(what, name, there) for name in names if name not in there]
        if wrong:
            raise InputError([Mistake(message, file="--cases") for message in wrong])


@dataclass(frozen=True, slots=True)
class Choice:
    """The cases of a trial that are to be drawn.

    Args:
        reasons: case → why.
        also: case → axis → slices that are to be among them.
        compared_with: the trial with which it is compared.
    """

    reasons: Mapping[str, tuple[str, ...]]
    also: Mapping[str, Mapping[int, Sequence[int]]] = field(default_factory=dict)
    compared_with: str | None = None


def choices(opened: Sequence[Segmentations], asked: Sequence[str] = ()) -> Sequence[Choice]:
    """What to draw of each of one or two trials: of two also the cases on which they differ most.

    Raises:
        InputError: one that is asked for is no validation case of all of them.
    """
    if len(opened) == 2:
        return chosen_pair(*opened, asked=asked)
    return [chosen(one, asked) for one in opened]


def chosen(segmentations: Segmentations, asked: Sequence[str] = ()) -> Choice:
    """The worst, the median and the best case, then those that were asked for, now or before.

    What the trial was compared on before stays too.

    Raises:
        InputError: one that is asked for is no validation case.
    """
    segmentations.require(asked)
    found = {case: (reason,) for case, reason in extreme_cases(segmentations.dice).items()}
    before = segmentations.drawn_before
    for one in before.cases:
        for reason in ("differs", "asked"):
            if reason in one.reasons:
                found[one.case] = (*found.get(one.case, ()), reason)
    for case in asked:
        if "asked" not in found.get(case, ()):
            found[case] = (*found.get(case, ()), "asked")
    return Choice(found, _further_slices(before), before.compared_with)


def _further_slices(before: TrialPictures) -> dict[str, dict[int, Sequence[int]]]:
    """The slices that were drawn because two trials differ there."""
    return {
        one.case: {
            plane.axis: [picture.position for picture in plane.pictures if picture.priority == 1]
            for plane in one.planes
        }
        for one in before.cases
    }


def chosen_pair(
    first: Segmentations, second: Segmentations, *, asked: Sequence[str] = ()
) -> tuple[Choice, Choice]:
    """The same for two trials, then the cases on which they differ most, for both.

    Of a volume, both also show the slice on which they differ most.

    Raises:
        InputError: one that is asked for is no validation case of both.
    """
    pair = first, second
    different = most_different(first.dice, second.dice)
    also = {
        case: {
            axis: (position,)
            for axis, position in disagreement(first[case][0], second[case][0], first.facts)
        }
        for case in different
    }
    found = []
    for one, other in (pair, pair[::-1]):
        kept = chosen(one, asked).reasons.items()
        reasons = {case: tuple(why for why in whys if why != "differs") for case, whys in kept}
        reasons = {case: whys for case, whys in reasons.items() if whys}
        for case in different:
            reasons[case] = (*reasons.get(case, ()), "differs")
        found.append(Choice(reasons, also, other.trial.folder.name))
    return found[0], found[1]


def draw_trial(
    segmentations: Segmentations, choice: Choice, space: int
) -> tuple[TrialPictures, dict[str, bytes]]:
    """Draw the chosen cases of a trial.

    Args:
        space: most bytes of all files.

    Returns:
        what is drawn, and the files by name.
    """
    every = []
    for name, reasons in choice.reasons.items():
        case, scores = segmentations[name]
        every.append(CaseToDraw(case, reasons, scores, choice.also.get(name, {})))
    drawn = draw_cases(every, segmentations.facts, space)
    evaluation = _scored(segmentations.settings)
    unit: DistanceUnit = "mm" if all(one.case.spacing is not None for one in every) else "pixels"
    tolerance = evaluation.nsd_tolerance
    each = f"one for each class, in {unit}"
    words = each if isinstance(tolerance, dict) else f"{tolerance:g}{UNITS[unit]}"
    pictures = TrialPictures(
        weights=segmentations.weights,
        channel=segmentations.channel,
        window=WINDOW,
        unit=unit,
        tolerance=words,
        cases=drawn.cases,
        compared_with=choice.compared_with,
        left_out=drawn.left_out,
    )
    return pictures, drawn.files


def draw_divergence(
    trial: TrialPaths, channel: str | None = None
) -> tuple[TrialPictures, dict[str, bytes]] | None:
    """Draw the batch at whose step a trial diverged; None if no single step was kept.

    Raises:
        InputError: there is no such channel.
        ResultsError: what was kept is damaged.
    """
    settings = settings_to_predict(trial, device="cpu")
    make = kind_of(settings).batch_before
    offending = None if make is None else Checkpoints(trial.folder).load_offending()
    if make is None or offending is None:
        return None
    before = make(settings, offending)
    number = channel_index(before.channels, channel)
    batch, files = draw_batch(
        before.images[:, number],
        before.references,
        before.soft,
        cases=before.cases,
        classes=before.classes,
        spacing=before.spacing,
        place=(offending["epoch"], offending["step"]),
    )
    pictures = TrialPictures(channel=before.channels[number], window=WINDOW, batch=batch)
    return pictures, files


def _scored(settings: TrialSettings) -> EvaluationSettings:
    """The evaluation of a trial, with the metrics that stand beside a picture."""
    return settings.evaluation.model_copy(update={"metrics": ("hd95", "nsd")})


def _axes(case: CaseArrays, facts: DataFacts) -> tuple[int, ...] | None:
    """Which of RAS each axis of a case is; a picture has no orientation."""
    if case.own_spacing is None:
        return None
    return facts.slice_axis, *(axis for axis in range(3) if axis != facts.slice_axis)


def _real_dice(trial: TrialPaths) -> dict[str, float]:
    """Case → mean Dice of nnU-Net's real validation; empty without one."""
    if not trial.real_validation.exists():
        return {}
    found = read_record(trial.real_validation, RealValidation).cases
    values = {
        case: [dice for dice in classes.values() if dice is not None]
        for case, classes in found.items()
    }
    return {case: fmean(dice) for case, dice in values.items() if dice}
