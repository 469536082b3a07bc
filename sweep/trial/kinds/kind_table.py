"""The kinds of trainers, by ``trainer.kind``: one explicit table."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.custom_kind import CUSTOM
from sweep.trial.kinds.kind import Kind, ShowProgress
from sweep.trial.kinds.monai_kind import MONAI
from sweep.trial.kinds.nnunet_kind import NNUNET

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData

S = TypeVar("S", bound=TrialSettings)

KINDS: dict[str, Kind] = {"monai": MONAI, "nnunet": NNUNET, "custom": CUSTOM}


def kind_of(settings: TrialSettings) -> Kind:
    """The kind of trainer of these settings."""
    return KINDS[settings.trainer.kind]


def make_ready(settings: TrialSettings, show: ShowProgress | None = None) -> PreparedData | None:
    """Do what trials of these settings have in common, unless it is already done.

    Args:
        show: called with a sentence whenever there is progress.
    Returns:
        data for trials to share, if there are any.
    Raises:
        InputError: with every mistake that only the work itself shows.
    """
    return kind_of(settings).make_ready(settings, show or (lambda _: None))


def pinned(settings: S, data: PreparedData | None) -> S:
    """The settings with the fingerprint of the existing data, if the kind of trainer has one.

    Args:
        data: what `make_ready` returned.
    """
    own, trainer = settings.data, kind_of(settings).recognised(settings.trainer)
    if data is not None and "fingerprint" in data.origin:
        own = own.model_copy(update={"fingerprint": data.origin["fingerprint"]})
    return settings.model_copy(update={"data": own, "trainer": trainer})
