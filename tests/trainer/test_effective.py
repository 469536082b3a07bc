"""Nothing can be added to the schema that no trainer applies: every setting is set and found."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from raw_dataset import write_cases

from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.source_table import check_data
from sweep.spec.checks.inactive_settings import inactive_in
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.data_settings import BrainData, CommonData, NnunetRawData, PluginData
from sweep.spec.settings.settings_base import Settings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import GuardSettings, OptimizerSettings, TrialSettings
from sweep.spec.tree.setting_tree import choosing_keys, setting_fields, value_of
from sweep.trainer.networks.optimizers import learning_rate
from sweep.trainer.readback.verify import verify
from sweep.trainer.runs.effective_configuration import READERS, RESOLVED
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trainer.runs.readers import EXPECTED, LOOP_READERS, NOT_READ
from sweep.trainer.runs.readers import READERS as COMMON
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Loop
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import NotApplied

BASE: dict[str, Any] = {
    "data": {"source": "shapes", "difficulty": 0.5, "size": 32, "count": 15},
    "trainer": {"epochs": 6, "batch_size": 4, "device": "cpu"},
    "network": {"name": "dynunet", "channels": [4, 8, 16]},
    "augmentation": {kind: {"probability": 0.5} for kind in AugmentationSettings.model_fields},
    "loss": {
        "main": "dice_focal",
        "warmup_epochs": 2,
        "rampup_epochs": 1,
        "sqrt_mode": "offset",  # the true perimeter of a blurred mask is too short to be punished
        "sqrt_epsilon": 1e-2,
    },
    "optimizer": {"lr": 0.1, "momentum": 0.9},
    "early_stopping": {"patience": 1, "min_delta": 0.9},  # stops at epoch 3, the first that counts
}
"""A configuration in which every setting acts."""
BRAIN = {"source": "brain", "step": 8}
GIVEN: dict[str, list[Any]] = {
    "data.geometric_class": [["ring", 1], "ring", 2],
    "network.name": ["residual_dynunet", "unet", "attention_unet", "segresnet_ds"],
    "network.channels": [[4, 8, 16, 32]],
    "network.options": [{"width": 3}],
    "data.groups": ["([0-9]+)$"],
    "data.options": [{"count": 15}],
    "trainer.device": ["cpu", "cuda"],
    "loss.main": ["focal_logcosh_dice", "dice_ce"],
    "loss.main_options": [{"smoothing": 0.3}],
    "loss.focal_gamma": [3.0],
    "loss.min_area": [500.0],
    "optimizer.name": ["adamw", "torch.optim:RAdam"],
    "optimizer.gradient_clip": [0.1],
    "optimizer.options": [{"alpha": 0.5}],
    "evaluation.metrics": [["iou"]],
    "evaluation.every": [1],
    "objective.metric": ["hd95"],
    "early_stopping.min_delta": [1e-3],
    "expect": [[{"epoch": 1, "val_dice": 1.0}]],
}
"""Values where the type alone suggests none that is possible, or none that acts."""

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin" / "example_plugin.py"
GIVEN["loss.terms"] = [[f"{PLUGIN}:total_variation"]]
BESIDE: dict[str, dict[str, Any]] = {
    "network.options": {"network.name": f"{PLUGIN}:Net"},
    "loss.main_options": {"loss.main": f"{PLUGIN}:smoothed"},
    "optimizer.options": {"optimizer.name": "torch.optim:RMSprop", "optimizer.momentum": 0.99},
    "data.oversample_foreground": {"data.patch_size": 16},
    "guard.skipped_in_a_row": {"guard.on_nonfinite": "skip"},
    "guard.skipped_per_epoch": {"guard.on_nonfinite": "skip"},
}
"""What a setting needs beside it that the base configuration has not."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Volumes in nnU-Net's layout, with sides that tell the axes apart, and two classes."""
    folder = tmp_path_factory.mktemp("raw") / "Dataset001_Rings"
    rng = np.random.default_rng(0)

    def cases() -> Iterator[RawCase]:
        for number in range(6):
            label = np.zeros((20, 24, 28), np.uint8)
            label[4:16, 4:16, 4:16] = 1
            label[8:12, 8:12, 8:12] = 2
            image = (label + rng.normal(0, 0.1, label.shape)).astype(np.float32)
            yield RawCase(f"case_{number}", image[None], label, np.eye(4))

    BESIDE["trainer.geometry"] = {
        "data": {"source": "nnunet_raw", "folder": str(folder), "spatial": "volumes"},
        "augmentation": {},
    }
    write_cases(folder, cases(), "disc", "ring")
    return folder


def base_for(group: type[Settings] | None, raw: Path) -> dict[str, Any]:
    """The base configuration, with the data source that has the setting."""
    source = group.model_fields["source"].annotation if group else None
    match get_args(source)[:1]:
        case ("brain",):
            return BASE | {"data": BRAIN}
        case ("nnunet_raw",):
            return BASE | {"data": {"source": "nnunet_raw", "folder": str(raw)}}
        case ("custom",):
            return BASE | {"data": {"source": "custom", "entry": f"{PLUGIN}:squares"}}
    return BASE


def replaced(tree: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    first, dot, rest = key.partition(".")
    return tree | {first: replaced(tree.get(first, {}), rest, value) if dot else value}


def suggestions(annotation: Any, near: Any) -> Iterator[Any]:
    """Some values of a type, close to one that is known to be possible."""
    if get_origin(annotation) is Annotated:
        yield from suggestions(get_args(annotation)[0], near)
    elif get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from suggestions(option, near)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif annotation is bool:
        yield from (True, False)
    elif annotation is int:
        yield from (near + n for n in (1, -1, 16, 32)) if isinstance(near, int) else (1, 2, 16, 32)
    elif annotation is float:
        yield from (near * f for f in (0.5, 2.0)) if near else (0.25, 2.0)
    elif annotation is NoneType:
        yield None


def live(settings: TrialSettings) -> MonaiTraining:
    return MonaiTraining(settings, prepare(settings.data))


def found_in(run: MonaiTraining) -> EffectiveConfiguration:
    return run.effective_configuration(Loop.of(run.settings))


@functools.cache
def effective(config: str) -> Mapping[str, Any]:
    """What is found in the trainer of a configuration (as JSON)."""
    return found_in(live(TrialSettings.model_validate_json(config))).effective


def setting_fields_of_monai() -> list[tuple[str, Any]]:
    """What other kinds of trainers have of their own is read back in their tests."""
    others = (field for field in setting_fields() if not field[0].startswith("trainer."))
    return [*others, *setting_fields(MonaiTrainer, "trainer.")]


def cases() -> list[Any]:
    """Every setting of our own trainer, once for each data source that declares it as its own.

    Not those that choose which others there are: they are verified with each source.
    """
    found = {}
    for name, field in setting_fields_of_monai():
        if name.startswith("data."):
            continue
        found[name] = (name, field, None)
    data = TrialSettings.model_fields["data"].annotation
    for group in get_args(data):
        for name, field in setting_fields(group, "data."):
            first = get_args(data)[0]  # what all sources have is tried with the first
            own = name.removeprefix("data.") not in CommonData.model_fields
            if (own or group is first) and name not in choosing_keys():
                found[f"{name}-{group.__name__}"] = (name, field, group)
    return [pytest.param(*values, id=key) for key, values in found.items()]


def others(key: str, field: Any, base: dict[str, Any], now: Any) -> Iterator[TrialSettings]:
    """Configurations in which one setting, and nothing else, has another value that is possible."""
    near = field.default if now is None else now
    for value in [*GIVEN.get(key, []), *suggestions(field.annotation, near)]:
        if value not in (field.default, now):
            with contextlib.suppress(ValidationError):
                settings = TrialSettings.model_validate(replaced(base, key, value))
                if not check_data(settings.data):
                    yield settings


def skip_if_nothing_can_change(key: str, field: Any) -> None:
    if key in NOT_READ:
        pytest.skip(NOT_READ[key])
    if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
        pytest.skip("has a single value so far")
    if key == "data.fingerprint":
        pytest.skip("other data than these are refused: tests/data/test_fingerprint.py")
    if key == "trainer.device" and not torch.cuda.is_available():
        pytest.skip("this machine has one device")


@pytest.mark.parametrize(("key", "field", "group"), cases())
def test_setting_that_is_changed_is_found_changed_in_the_trainer(
    key: str, field: Any, group: Any, raw: Path
) -> None:
    skip_if_nothing_can_change(key, field)
    if group is PluginData and key in ("data.spatial", "data.spacing"):
        pytest.skip("the plug-in writes PNG images")
    base = base_for(group, raw)
    for neighbour, value in BESIDE.get(key, {}).items():
        base = replaced(base, neighbour, value)
    before = effective(TrialSettings.model_validate(base).model_dump_json())
    assert key in before, (
        f"say in sweep/trainer/runs/effective_configuration.py where {key} can be read back"
    )
    if key == "data.folder":
        GIVEN[key] = [str(shutil.copytree(raw, raw.with_name("copy")))]
    if key == "data.entry":
        GIVEN[key] = [f"{shutil.copy(PLUGIN, raw.with_name('copied_plugin.py'))}:squares"]
    for settings in others(key, field, base, before[key]):
        assert key not in inactive_in(settings)
        found = found_in(live(settings))
        verify(settings, found)  # what was asked for is what is found
        if found.effective[key] != before[key]:
            return
    pytest.fail(f"{key} is {before[key]!r} in the trainer, whatever is asked for")


SAME_RUN: dict[str, str] = {
    "trainer.deterministic": "the kernels of a CPU are deterministic anyway",
    "evaluation.every": "each epoch of so short a run is the best so far and measured anyway",
    "objective.metric": "which epoch is the best ends no run of this patience otherwise",
    "loss.terms": "a term has no weight yet; with one: tests/plugins/test_trial_plugins.py",
    "trainer.threads": "they decide the last bit of sums, and only of large ones",
    "trainer.tf32": "only a GPU has it: test_on_gpu.py",
    "trainer.compile": "it takes a minute: a small network in test_fast_steps.py",
    **{
        f"guard.{name}": "only a run that diverges shows it: test_judges.py, test_divergence.py"
        for name in GuardSettings.model_fields
    },
}
"""Settings whose other value gives the same numbers here, and why."""


def trained(settings: TrialSettings, report: Callable[[EpochMetrics], None]) -> None:
    """Report each epoch of a training, without wall times."""
    torch.manual_seed(0)
    fit(settings, report=lambda metrics: report(dataclasses.replace(metrics, seconds=0.0)))


@functools.cache
def history(config: str) -> list[EpochMetrics]:
    """What training a configuration (as JSON) reports."""
    epochs: list[EpochMetrics] = []
    trained(TrialSettings.model_validate_json(config), epochs.append)
    return epochs


class Differs(Exception):
    """An epoch is not as it was: what follows it is not worth its training."""


def trains_differently(settings: TrialSettings, before: list[EpochMetrics]) -> bool:
    expected = iter(before)

    def compare(metrics: EpochMetrics) -> None:
        if metrics != next(expected, None):
            raise Differs

    try:
        trained(settings, compare)
    except Differs:
        return True
    return next(expected, None) is not None


@pytest.mark.parametrize(("key", "field", "group"), cases())
def test_setting_that_is_changed_changes_the_run(
    key: str, field: Any, group: Any, raw: Path
) -> None:
    skip_if_nothing_can_change(key, field)
    if key in SAME_RUN:
        pytest.skip(SAME_RUN[key])
    if group in (BrainData, NnunetRawData, PluginData):
        pytest.skip("what these settings do to the pixels is held in tests/data")
    values = base_for(group, raw)
    for neighbour, value in BESIDE.get(key, {}).items():
        values = replaced(values, neighbour, value)
    base = TrialSettings.model_validate(values)
    before = history(base.model_dump_json())
    now = value_of(base, key)
    assert any(
        trains_differently(settings, before) for settings in others(key, field, values, now)
    ), f"training is the same whatever {key} is"


def test_every_setting_has_one_place_where_it_is_read_back_and_no_other() -> None:
    names = {name for name, _ in setting_fields_of_monai()}
    readers = COMMON.keys() | LOOP_READERS.keys() | READERS.keys()
    assert not readers & NOT_READ.keys()
    assert readers | NOT_READ.keys() | RESOLVED.keys() | EXPECTED.keys() <= names
    unknown = {n for n in names - readers - NOT_READ.keys() if not n.startswith("data.")}
    assert not unknown, (
        "say in sweep/trainer/runs/effective_configuration.py where these can be read back"
    )


# What is not applied.


def asked_and_live(**changes: Any) -> tuple[TrialSettings, MonaiTraining]:
    settings = TrialSettings.model_validate(BASE)
    run = live(settings)
    for name, value in changes.items():
        setattr(run, name, value)
    return settings, run


def test_warmup_of_other_code_than_was_meant_is_found_by_what_it_does() -> None:
    settings, run = asked_and_live(factor=lambda epoch: float(epoch >= 5))
    with pytest.raises(NotApplied) as error:
        verify(settings, found_in(run))
    assert error.value.differences == {
        "loss.warmup_epochs": (2, 5),
        "loss.rampup_epochs": (1, 0),
        "early_stopping.counts_from": ("rampup_end", 3),
    }
    assert str(error.value).startswith(
        "the trainer does not apply what was asked for: loss.warmup_epochs is 2 in the "
        "configuration but 5 in the trainer; "
    )


def test_learning_rate_and_its_schedule_are_measured_not_believed() -> None:
    settings, run = asked_and_live(rate=lambda epoch: 0.2 * (1 - epoch / 6) ** 2)
    with pytest.raises(NotApplied) as error:
        verify(settings, found_in(run))
    assert error.value.differences == {
        "optimizer.lr": (0.1, 0.2),
        "optimizer.poly_exponent": (0.9, pytest.approx(2)),
    }
    settings, run = asked_and_live(rate=lambda epoch: 0.1)
    with pytest.raises(NotApplied, match=r"optimizer.schedule is 'poly' .* but 'constant'"):
        verify(settings, found_in(run))


@pytest.mark.parametrize("epochs", [2, 3, 50])
@pytest.mark.parametrize(
    "schedule",
    # The straight line and the cosine cross in the middle. This power crosses it at a quarter.
    [("cosine", 0.9), ("constant", 0.9), ("poly", 1.0), ("poly", math.log(0.85355, 0.75))],
)
def test_schedule_is_told_from_the_others_also_in_few_epochs(
    schedule: tuple[str, float], epochs: int
) -> None:
    name, exponent = schedule
    asked = OptimizerSettings(schedule=name, poly_exponent=exponent)
    _, run = asked_and_live(rate=lambda epoch: learning_rate(asked, epoch, epochs))
    loop = SimpleNamespace(epochs=epochs)
    assert LOOP_READERS["optimizer.schedule"](run, loop) == name


def test_optimizer_that_somebody_changed_is_found() -> None:
    settings, run = asked_and_live()
    run.optimizer.param_groups[0]["momentum"] = 0.5
    run.guard.gradient_clip = None
    with pytest.raises(NotApplied) as error:
        verify(settings, found_in(run))
    assert error.value.differences == {
        "optimizer.momentum": (0.9, 0.5),
        "optimizer.gradient_clip": (12.0, None),
    }


def test_data_of_other_settings_than_asked_for_is_found() -> None:
    settings = TrialSettings.model_validate(BASE)
    other = TrialSettings.model_validate(replaced(BASE, "data.difficulty", 0.25))
    with pytest.raises(NotApplied, match=r"data.difficulty is 0.5 .* but 0.25 in the trainer"):
        fit(settings, data=prepare(other.data))


def test_trial_that_is_not_what_was_asked_for_is_not_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(MonaiTraining, "rate", lambda self, epoch: 0.5)
    epochs: list[Any] = []
    with pytest.raises(NotApplied):
        fit(TrialSettings.model_validate(BASE), report=epochs.append)
    assert epochs == []


def test_fewer_images_than_a_batch_is_no_difference() -> None:
    settings = TrialSettings.model_validate(replaced(BASE, "trainer.batch_size", 64))
    run = live(settings)
    verify(settings, found_in(run))
    assert found_in(run).effective["trainer.batch_size"] == 12  # of 15 cases 3 validate
