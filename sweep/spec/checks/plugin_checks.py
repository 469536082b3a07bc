"""Plug-ins that a file names: whether each can be imported and takes the options of the file."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from sweep.plugins.plugin_kinds import (
    LOSS_TERM,
    MAIN_LOSS,
    METRIC,
    NETWORK,
    OPTIMIZER,
    SCHEDULER,
    SEARCHER,
    TRACKER,
    PluginKind,
)
from sweep.spec.search.search_strategy import CustomScheduler, CustomSearcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.search.tracker_names import PACKAGES
from sweep.spec.settings.loss_settings import OWN_MAIN_LOSSES
from sweep.spec.settings.network_settings import OWN_NETWORKS
from sweep.spec.settings.objective_settings import MEASURED
from sweep.spec.settings.trial_settings import OWN_OPTIMIZERS, TrialSettings
from sweep.spec.tree.setting_tree import Finding, value_of
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import ParameterValue

Named = tuple[PluginKind, str, Mapping[str, ParameterValue]]
"""Kind, name and options of a plug-in."""


def check_plugins(settings: TrialSettings, unsure: Container[str]) -> Iterator[Finding]:
    """Plug-ins that cannot be used. Each one is imported.

    The data source is missing here: the first look at the data imports it.

    Args:
        settings: of a trial or of a sweep.
        unsure: unknown settings. Plug-ins of their groups are not looked at.
    """
    sweep = settings if isinstance(settings, SweepSpec) else None
    for kind, name, options in (*_of_trial(settings), *(_of_sweep(sweep) if sweep else ())):
        if kind.key.partition(".")[0] in unsure:
            continue
        try:
            kind.resolve(name, options)
        except InputError as error:
            place = sweep.place_of(kind.key) if sweep else tuple(kind.key.split("."))
            yield from (Finding(place, mistake.message) for mistake in error.mistakes)


def _of_trial(settings: TrialSettings) -> Iterator[Named]:
    reads = settings.trainer.traits.reads
    for kind, own, options in (
        (NETWORK, OWN_NETWORKS, settings.network.options),
        (OPTIMIZER, OWN_OPTIMIZERS, settings.optimizer.options),
        (MAIN_LOSS, OWN_MAIN_LOSSES, settings.loss.main_options),
    ):
        if kind is NETWORK and "network" not in reads:
            continue
        yield from ((kind, one, options) for one in _values(settings, kind.key) if one not in own)
    for term in settings.loss.terms:
        yield LOSS_TERM, term, {}
    for metric in settings.evaluation.metrics:
        if "evaluation" in reads and metric not in MEASURED:
            yield METRIC, metric, {}


def check_weights(spec: SweepSpec, unsure: Container[str]) -> Iterator[Finding]:
    """Terms of plug-ins that no trial of the sweep gives a weight."""
    for name in spec.loss.plugin_terms:
        if "loss" not in unsure and spec.ranges.largest(f"loss.weights.{name}") == 0:
            message = f"`{name}` has no weight: give it one in `loss.weights`, or search it"
            yield Finding(("loss", "terms"), message)


def _values(settings: TrialSettings, key: str) -> list[str]:
    """The names that a setting can have, in this trial or in any trial of this sweep."""
    if isinstance(settings, SweepSpec):
        return [str(name) for name in settings.values_of(key)]
    return [str(value_of(settings, key))]


def _of_sweep(spec: SweepSpec) -> Iterator[Named]:
    if isinstance(spec.searcher, CustomSearcher):
        yield SEARCHER, spec.searcher.entry, spec.searcher.options
    if isinstance(spec.scheduler, CustomScheduler):
        yield SCHEDULER, spec.scheduler.entry, spec.scheduler.options
    for name in spec.tracking:
        if name not in PACKAGES:
            yield TRACKER, name, {}
