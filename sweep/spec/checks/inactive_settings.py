"""Settings that have no effect with certain values of others, in one table.

There are two grades. *Refused*: a user who writes ``optimizer.momentum`` with AdamW expects
something that will not happen. *Reported*: switching off a whole part (weights of 0, no patience)
leaves its other settings without effect. That is intended when comparing with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import DATA_SOURCES
from sweep.spec.settings.geometric_terms import (
    ROOT_TERMS,
    SHAPE_TERMS,
    SHAPE_WEIGHTS,
    WEIGHTS,
    weight_keys,
)
from sweep.spec.settings.loss_settings import OWN_MAIN_LOSSES
from sweep.spec.settings.network_settings import OWN_NETWORKS
from sweep.spec.settings.objective_settings import MEASURED
from sweep.spec.settings.trainer_settings import TRAINERS, traits_of
from sweep.spec.settings.trial_settings import OWN_OPTIMIZERS, TrialSettings
from sweep.spec.tree.setting_tree import (
    Finding,
    after_switch_on_keys,
    names_in,
    setting_fields,
    setting_names,
    value_of,
)
from sweep.spec.words.phrases import shown

Possible = Callable[[str], Iterable[Any]]
"""Dotted name → the values that the setting can take: one in a trial, several in a sweep."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Settings that act only with certain values of others.

    Args:
        keys: dotted names of these settings.
        needs: they act if any setting named here has an accepted value.
        why: why they do not act otherwise, as the end of a sentence after a colon.
        refused: whether setting them anyway is a mistake.
        of_search: whether only searching them is useless. A fixed value still decides what is
            measured, but trials are not compared by it.
    """

    keys: tuple[str, ...]
    needs: Mapping[str, Callable[[Any], bool]]
    why: str
    refused: bool = False
    of_search: bool = False

    def acts(self, possible: Possible) -> bool:
        """Whether they have an effect in any configuration."""
        return any(
            _accepts(accepted, value)
            for key, accepted in self.needs.items()
            for value in possible(key)
        )


def _accepts(accepted: Callable[[Any], bool], value: Any) -> bool:
    try:
        return accepted(value)
    except (KeyError, TypeError):  # the setting cannot take this value, and `check_space` says so
        return True


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value in values


def _is_not(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value not in values


def _above(least: float) -> Callable[[Any], bool]:
    return lambda value: value > least


def _any_above_0(names: Iterable[str]) -> dict[str, Callable[[Any], bool]]:
    return dict.fromkeys(names, _above(0))


def _has_volumes(source: str) -> bool:
    return "spatial" in DATA_SOURCES[source].model_fields


def _augmentation(kind: str, *keys: str) -> Rule:
    probability = f"augmentation.{kind}.probability"
    keys = tuple(f"augmentation.{kind}.{key}" for key in keys)
    return Rule(keys, {probability: _above(0)}, f"`{probability}` is 0")


_PLUGIN_TERMS: Mapping[str, Callable[[Any], bool]] = {"loss.terms": bool}
_SHAPE_TERM = {**_any_above_0(SHAPE_WEIGHTS), **_PLUGIN_TERMS}
_ANY_TERM = {**_any_above_0(WEIGHTS), **_PLUGIN_TERMS}
_NO_SHAPE_TERM = f"no shape term ({', '.join(SHAPE_TERMS)}) has a weight"

GROUPS = {
    group: [name for name in setting_names() if name.startswith(f"{group}.")]
    for group in ("data", "network", "augmentation", "evaluation")
}
"""Groups that some kinds of trainer do not read, with their settings."""


def _unless_read(group: str, instead: str) -> Rule:
    reads = {"trainer.kind": lambda kind: group in traits_of(kind).reads}
    why = f"with another trainer than `monai` {instead}"
    return Rule(tuple(GROUPS[group]), reads, why, refused=True)


def _options(key: str, name: str, own: Sequence[str]) -> Rule:
    return Rule((key,), {name: _is_not(*own)}, "only a plug-in has options", refused=True)


RULES = (
    _unless_read("data", "the data is its own: nnU-Net's dataset, or what a custom class reads"),
    _unless_read("network", "the network is its own: of nnU-Net's plans, or of a custom class"),
    _unless_read("augmentation", "the augmentation is its own, nnU-Net's or a custom class's"),
    _unless_read("evaluation", "the validation is its own, nnU-Net's or a custom class's"),
    Rule(
        ("network.channels", "network.deep_supervision", "network.dropout"),
        {"network.name": _is(*OWN_NETWORKS)},
        "a plug-in is set by `network.options`",
        refused=True,
    ),
    _options("network.options", "network.name", OWN_NETWORKS),
    Rule(("data.oversample_foreground",), {"data.patch_size": _is_not(None)}, "images are whole"),
    _augmentation("rotation", "degrees"),
    _augmentation("scaling", "largest"),
    _augmentation("noise", "std"),
    _augmentation("gamma", "mode", "largest"),
    _augmentation("blur", "sigma"),
    _augmentation("brightness", "change"),
    _augmentation("contrast", "change"),
    _augmentation("low_resolution", "smallest"),
    Rule(
        ("optimizer.momentum",),
        {"optimizer.name": _is_not("adamw")},
        "AdamW has no momentum",
        refused=True,
    ),
    Rule(
        ("optimizer.momentum", "optimizer.weight_decay"),
        {"optimizer.name": _is(*OWN_OPTIMIZERS)},
        "a plug-in is set by `optimizer.options`",
        refused=True,
    ),
    _options("optimizer.options", "optimizer.name", OWN_OPTIMIZERS),
    Rule(
        ("optimizer.poly_exponent",),
        {"optimizer.schedule": _is("poly")},
        "only `schedule: poly` has an exponent",
        refused=True,
    ),
    Rule(
        ("optimizer.schedule", "optimizer.poly_exponent"),
        {"trainer.epochs": _above(1)},
        "a single epoch has a single learning rate",
    ),
    Rule(
        ("loss.sqrt_epsilon", "loss.sqrt_mode"),
        _any_above_0(weight_keys(ROOT_TERMS)),
        "no geometric term with a square root has a weight",
    ),
    Rule(("loss.min_area", "loss.border"), _SHAPE_TERM, _NO_SHAPE_TERM),
    # A plug-in's term sees whole masks.
    Rule(("loss.components",), _any_above_0(SHAPE_WEIGHTS), _NO_SHAPE_TERM),
    Rule(
        ("loss.dice_weight", "loss.pixel_weight"),
        {"loss.main": _is(*OWN_MAIN_LOSSES)},
        "a plug-in is the whole main loss",
        refused=True,
    ),
    _options("loss.main_options", "loss.main", OWN_MAIN_LOSSES),
    Rule(("loss.focal_gamma",), {"loss.pixel_weight": _above(0)}, "the focal term has no weight"),
    Rule(
        ("loss.warmup_epochs", "loss.rampup_epochs"),
        _ANY_TERM | {"early_stopping.counts_from": _is("rampup_end")},
        "no geometric term has a weight, and patience counts from the start",
    ),
    Rule(
        ("evaluation.every",),
        {"evaluation.metrics": lambda metrics: bool(set(metrics) - {"iou"})},
        "Dice and IoU are measured in every epoch",
    ),
    Rule(
        ("evaluation.nsd_tolerance",),
        {"evaluation.metrics": lambda metrics: "nsd" in metrics},
        "NSD is not measured",
    ),
    Rule(
        ("guard.skipped_in_a_row", "guard.skipped_per_epoch"),
        {"guard.on_nonfinite": _is("skip"), "trainer.amp": _is("fp16", "auto")},
        "no step is skipped",
    ),
    Rule(
        ("guard.exploded_steps",),
        {"guard.exploded_factor": _is_not(None)},
        "no step counts as an outlier",
    ),
    Rule(
        ("guard.learnt_dice",),
        dict.fromkeys(("guard.collapsed_epochs", "guard.learnt_by"), _is_not(None)),
        "no rule asks whether a trial has learnt",
    ),
    Rule(
        ("early_stopping.min_delta", "early_stopping.counts_from"),
        {"early_stopping.patience": _is_not(None)},
        "without a patience no trial is early-stopped",
    ),
    Rule(
        ("early_stopping.counts_from",),
        _any_above_0(("loss.warmup_epochs", "loss.rampup_epochs")),
        "without warm-up and ramp-up both choices mean epoch 0",
    ),
    Rule(
        ("data.folds",),
        {"data.source": lambda source: not DATA_SOURCES[source].has_one_split},
        "the brain has one fixed split",
    ),
    Rule(
        ("data.geometric_class",),
        _ANY_TERM | {"evaluation.metrics": lambda metrics: "shape" in metrics},
        "no geometric term has a weight, and no shape is measured",
    ),
    Rule(
        ("data.geometric_class",),
        _ANY_TERM | {"objective.metric": _is(*MEASURED["shape"])},
        "no geometric term has a weight, so all trials train the same",
        of_search=True,
    ),
    Rule(("trainer.geometric_class",), _ANY_TERM, "no geometric term has a weight"),
    Rule(("trainer.geometry",), _ANY_TERM, "no geometric term has a weight"),
    Rule(
        ("trainer.geometry",),
        # The kind comes first, because other trainers have no `configuration`.
        {
            "trainer.kind": lambda kind: "configuration" not in TRAINERS[kind].model_fields,
            "trainer.configuration": _is_not("2d"),
        },
        "the configuration `2d` has no volumes",
    ),
    Rule(
        ("trainer.geometry",),
        {"trainer.kind": _is_not("monai"), "data.source": lambda source: _has_volumes(source)},
        "the data has no volumes",
    ),
    Rule(
        ("trainer.geometry",),
        # The source comes before, because not every source has `spatial`.
        {
            "trainer.kind": _is_not("monai"),
            "data.source": lambda source: not _has_volumes(source),
            "data.spatial": _is("volumes"),
        },
        "`data.spatial` is `slices`",
    ),
)

AFTER_SWITCH_ON = frozenset({"trainer.geometric_class", "trainer.geometry"})
"""Settings that only the geometric loss uses but that lack the mark `ActsLate`: trials with
different values share no warm-up."""


def inactive(possible: Possible, further: Iterable[Rule] = ()) -> Iterator[tuple[str, Rule]]:
    """Every setting without effect in all configurations, by `RULES` and ``further`` ones, with the
    rule that says why."""
    for rule in (*RULES, *further):
        if not rule.acts(possible):
            yield from ((key, rule) for key in rule.keys)


def rules_about(keys: Iterable[str]) -> tuple[Rule, ...]:
    """The rules of `RULES` that can decide whether one of these settings acts in a trial.

    A rule about a setting asks for others, and these may depend on further ones.
    """
    known = set(keys)
    while True:
        found = tuple(rule for rule in RULES if known & {*rule.keys})
        asked = {need for rule in found for need in rule.needs}
        if asked <= known:
            return found
        known |= asked


def idle_in_trial(value: Callable[[str], Any], rules: Sequence[Rule] = RULES) -> frozenset[str]:
    """Dotted names of the settings without effect in one trial.

    A setting that makes others act counts only if it acts itself. Without patience, `counts_from`
    does not act; then a warm-up without geometric terms does not act either. If a warm-up that acts
    lasts to the end, no setting of the geometric loss acts.

    Args:
        value: returns the value of a setting in this trial, by dotted name.
        rules: `rules_about` the settings in question, if these are not all.
    """
    idle = set[str]()
    while True:
        found = {
            key
            for rule in rules
            if not any(
                accepts(value(need)) for need, accepts in rule.needs.items() if need not in idle
            )
            for key in rule.keys
        }
        if found <= idle:
            break
        idle |= found
    lasts = value("loss.warmup_epochs") >= value("trainer.epochs")
    if lasts and "loss.warmup_epochs" not in idle:
        idle |= after_switch_on_keys() - {"loss.warmup_epochs", "loss.rampup_epochs"}
        idle |= AFTER_SWITCH_ON
    return frozenset(idle)


def without_effect(
    settings: TrialSettings,
    written: Callable[[str], Any],
    unsure: Container[str] = (),
    further: Iterable[Rule] = (),
) -> Iterator[tuple[Finding, bool]]:
    """Requested settings without effect, and whether that is a mistake.

    Searching such a setting is always a mistake, because all its trials would be the same run. A
    default value is not a request, so that an effective configuration can be read back.

    Args:
        settings: settings of a trial or of a sweep.
        written: returns the value that the user wrote for a setting, by dotted name; None if there
            is none, for example because a preset set it.
        unsure: dotted names of unknown settings. Nothing is reported on settings that depend on
        them.
        further: rules in addition to `RULES`, such as those from a look at the data.
    """
    unreported = set(names_in(settings))
    sweep = settings if isinstance(settings, SweepSpec) else None
    possible = sweep.values_of if sweep else lambda key: (value_of(settings, key),)
    for key, rule in inactive(possible, further):
        if key not in unreported or any(name in unsure for name in (key, *rule.needs)):
            continue
        if sweep and key in sweep.space:
            unreported.remove(key)
            yield Finding(("space", key), f"is searched without any effect: {rule.why}"), True
            continue
        if not rule.of_search and (value := written(key)) not in (None, *_defaults(key)):
            unreported.remove(key)
            message = f"{shown(value)} has no effect: {rule.why}"
            yield Finding(tuple(key.split(".")), message), rule.refused


def inactive_in(settings: TrialSettings) -> dict[str, str]:
    """The settings without effect in one trial, each with the reason."""
    known = names_in(settings)
    found = inactive(lambda key: [value_of(settings, key)])
    return {key: rule.why for key, rule in found if key in known and not rule.of_search}


def _defaults(key: str) -> tuple[Any, ...]:
    """The default of a setting, as it is and as a file writes it: a tuple is a list there."""
    default = next(field.default for name, field in setting_fields() if name == key)
    return (default, list(default)) if isinstance(default, tuple) else (default,)
