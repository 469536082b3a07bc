"""Dotted names of the settings, and pydantic's locations in the YAML."""

import pytest

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import (
    after_switch_on_keys,
    choosing_keys,
    locate,
    names_in,
    setting_names,
    types_of,
    value_of,
)


def test_the_missions_parameters_are_settings() -> None:
    assert {
        "loss.warmup_epochs",
        "loss.weights.compactness",
        "loss.weights.boundary",
        "loss.weights.aspect",
        "loss.weights.kervadec",
        "loss.sqrt_epsilon",
        "early_stopping.patience",
    } <= set(setting_names())


def test_names_are_single_settings_of_every_source_and_each_is_named_once() -> None:
    names = setting_names()
    assert {"seed", "data.source", "data.gap", "data.folder", "data.size"} <= set(names)
    assert not {"data", "loss", "loss.weights"} & set(names)
    assert len(names) == len(set(names))


def test_settings_without_effect_before_the_switch_on_are_the_marked_ones() -> None:
    assert after_switch_on_keys() == {
        "loss.warmup_epochs",
        "loss.rampup_epochs",
        "loss.terms",
        "loss.weights.compactness",
        "loss.weights.boundary",
        "loss.weights.aspect",
        "loss.weights.kervadec",
        "loss.sqrt_epsilon",
        "loss.sqrt_mode",
        "loss.min_area",
        "loss.components",
        "loss.border",
    }


def test_source_of_the_data_and_kind_of_the_trainer_decide_which_others_there_are() -> None:
    assert choosing_keys() == {"data.source", "trainer.kind"}
    assert "data.folder" not in names_in(TrialSettings())
    assert "trainer.plans" not in names_in(TrialSettings())
    trial = TrialSettings.model_validate({"trainer": {"kind": "nnunet", "dataset": 502}})
    assert "trainer.plans" in names_in(trial)
    assert {value_of(trial, key) is None for key in names_in(trial)} == {True, False}


@pytest.mark.parametrize(
    ("key", "types"),
    [
        ("loss.warmup_epochs", {int}),
        ("loss.weights.aspect", {float}),
        ("early_stopping.patience", {int, type(None)}),
        ("optimizer.name", {str}),
        ("data.geometric_class", {str, int, tuple, type(None)}),
        ("data.slice_axis", {int, str}),
        ("network.channels", {tuple}),
        ("loss.warmup_epoch", set()),
    ],
)
def test_types_of_a_setting(key, types) -> None:
    assert types_of(key) == types


@pytest.mark.parametrize(
    ("location", "path", "group"),
    [
        ((), (), SweepSpec),
        (("trials",), ("trials",), SweepSpec),
        (("loss", "weights", "aspect"), ("loss", "weights", "aspect"), GeometricWeights),
        (("data", "nnunet_raw", "folder"), ("data", "folder"), NnunetRawData),
        (("data", "nnunet_raw", "nnunet_raw"), ("data", "nnunet_raw"), NnunetRawData),
        (("data", "nnunet_raw", "geometric_class", "int"), ("data", "geometric_class"),
         NnunetRawData),
        (("space", "loss.warmup_epochs"), ("space", "loss.warmup_epochs"), SweepSpec),
    ],
)  # fmt: skip
def test_a_location_of_pydantic_loses_the_tags_of_unions(location, path, group) -> None:
    spot = locate(SweepSpec, location)
    assert (spot.path, spot.group) == (path, group)


def test_an_index_of_a_list_is_part_of_the_path() -> None:
    spot = locate(TrialSettings, ("network", "channels", 1))
    assert spot.path == ("network", "channels", 1)
