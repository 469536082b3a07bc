"""Settings without effect: which are refused, which are told, and which are left in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.spec.checks.inactive_settings import RULES, inactive_in
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import setting_names
from sweep.vocabulary.errors import InputError, Mistake

SPACE = "space:\n  seed: {choice: [1, 2]}\n"
RAW = "data: {source: nnunet_raw, folder: /x}"
NNUNET = "trainer: {kind: nnunet, dataset: 1}"
VOLUMES = "trainer: {kind: nnunet, dataset: 1, configuration: 3d_fullres}"
NO_GEOMETRY = "loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}"


def read(tmp_path: Path, text: str) -> tuple[list[str], list[str]]:
    """What is refused and what is told, without the file's name."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    told: list[Mistake] = []
    refused: tuple[Mistake, ...] = ()
    try:
        (load_sweep if "space:" in text else load_trial)(path, warn=told.append)
    except InputError as error:
        refused = error.mistakes
    first, second = (
        [str(mistake).removeprefix(f"{path}:") for mistake in mistakes]
        for mistakes in (refused, told)
    )
    return first, second


def test_every_rule_names_settings_that_there_are() -> None:
    names = setting_names()
    assert all(key in names for rule in RULES for key in (*rule.keys, *rule.needs))


def test_of_the_default_configuration_only_details_have_no_effect() -> None:
    idle = inactive_in(TrialSettings())
    assert {key.split(".")[0] for key in idle} == {
        "augmentation", "data", "guard", "loss", "network", "optimizer", "trainer",
    }  # fmt: skip
    assert {key for key in idle if key.startswith("data.")} == {"data.oversample_foreground"}
    assert idle["trainer.geometry"] == "the data has no volumes"
    assert {key for key in idle if key.startswith("network.")} == {"network.options"}
    assert {key for key in idle if key.startswith("loss.")} == {"loss.main_options"}
    assert {key for key in idle if key.startswith("optimizer.")} == {"optimizer.options"}
    assert {key for key in idle if key.startswith("guard.")} == {
        "guard.skipped_in_a_row",
        "guard.skipped_per_epoch",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer: {name: adamw, momentum: 0.9}",
         "3: optimizer.momentum: 0.9 has no effect: AdamW has no momentum"),
        ("optimizer: {schedule: constant, poly_exponent: 2}",
         "3: optimizer.poly_exponent: 2 has no effect: only `schedule: poly` has an exponent"),
        ("  optimizer.momentum: {uniform: [0, 0.9]}\noptimizer: {name: adamw}",
         "3: space.optimizer.momentum: is searched without any effect: AdamW has no momentum"),
        ("  loss.sqrt_epsilon: {loguniform: [1e-8, 1e-2]}\n"
         "loss: {weights: {compactness: 0, aspect: 0}}",
         "3: space.loss.sqrt_epsilon: is searched without any effect: no geometric term with a "
         "square root has a weight"),
        (f"  data.geometric_class: {{choice: [1, 2]}}\n{RAW}\n{NO_GEOMETRY}",
         "3: space.data.geometric_class: is searched without any effect: no geometric term has a "
         "weight, so all trials train the same"),
        (f"  trainer.geometric_class: {{choice: [1, 2]}}\n{NNUNET}\n{NO_GEOMETRY}",
         "3: space.trainer.geometric_class: is searched without any effect: no geometric term has "
         "a weight"),
        (f"  trainer.geometry: {{choice: [slices, volume]}}\n{NNUNET}",
         "3: space.trainer.geometry: is searched without any effect: the configuration `2d` has no "
         "volumes"),
        (f"  trainer.geometry: {{choice: [slices, volume]}}\n{VOLUMES}\n{NO_GEOMETRY}",
         "3: space.trainer.geometry: is searched without any effect: no geometric term has a "
         "weight"),
    ],
)  # fmt: skip
def test_what_was_asked_for_and_cannot_be_applied_is_refused(tmp_path, line, message) -> None:
    assert read(tmp_path, f"{SPACE}{line}\n") == ([message], [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("loss: {min_area: 20, weights: {compactness: 0, boundary: 0, aspect: 0}}",
         "3: loss.min_area: 20 has no effect: no shape term (compactness, boundary, aspect) has "
         "a weight"),
        ("augmentation: {rotation: {degrees: 30}}",
         "3: augmentation.rotation.degrees: 30 has no effect: `augmentation.rotation.probability` "
         "is 0"),
        ("early_stopping: {patience: null, min_delta: 0.01}",
         "3: early_stopping.min_delta: 0.01 has no effect: without a patience no trial is "
         "early-stopped"),
        ("trainer: {epochs: 1}\noptimizer: {poly_exponent: 2}",
         "4: optimizer.poly_exponent: 2 has no effect: a single epoch has a single learning rate"),
        (f"{RAW[:-1]}, geometric_class: 2}}\n{NO_GEOMETRY}\nevaluation: {{metrics: [iou, hd95]}}",
         "3: data.geometric_class: 2 has no effect: no geometric term has a weight, and no shape "
         "is measured"),
        (f"{NNUNET[:-1]}, geometric_class: 2}}\n{NO_GEOMETRY}",
         "3: trainer.geometric_class: 2 has no effect: no geometric term has a weight"),
        (f"{NNUNET[:-1]}, geometry: volume}}",
         "3: trainer.geometry: \"volume\" has no effect: the configuration `2d` has no volumes"),
        ("trainer: {geometry: volume}",
         "3: trainer.geometry: \"volume\" has no effect: the data has no volumes"),
        (f"{RAW}\ntrainer: {{geometry: volume}}",
         "4: trainer.geometry: \"volume\" has no effect: `data.spatial` is `slices`"),
        ("loss: {components: separate, weights: {compactness: 0, boundary: 0, aspect: 0}}",
         "3: loss.components: \"separate\" has no effect: no shape term (compactness, boundary, "
         "aspect) has a weight"),
    ],
)  # fmt: skip
def test_what_idles_since_its_whole_part_is_off_is_told(tmp_path, line, message) -> None:
    assert read(tmp_path, f"{SPACE}{line}\n")[1] == [message]


def test_a_setting_that_acts_in_some_configurations_is_left_in_peace(tmp_path: Path) -> None:
    text = f"{SPACE}  optimizer.name: {{choice: [sgd, adamw]}}\noptimizer: {{momentum: 0.9}}\n"
    assert read(tmp_path, text) == ([], [])
    assert read(tmp_path, text.replace("{momentum", "{name: adamw, momentum")) == ([], [])
    searched = f"{SPACE}  loss.weights.aspect: {{uniform: [0, 1]}}\n"
    weights = "loss: {min_area: 20, weights: {compactness: 0, boundary: 0, aspect: 0}}\n"
    assert read(tmp_path, searched + weights) == ([], [])


@pytest.mark.parametrize(
    "lines",
    [
        # The class decides whose shape is measured, and then what trials are compared by.
        f"{RAW[:-1]}, geometric_class: 2}}\n{NO_GEOMETRY}",
        f"  data.geometric_class: {{choice: [1, 2]}}\n{RAW}\n{NO_GEOMETRY}\n"
        "objective: {metric: solidity, mode: max}",
        f"  data.geometric_class: {{choice: [1, 2]}}\n{RAW}\n{NO_GEOMETRY[:-2]}, kervadec: 1}}}}",
        f"  trainer.geometry: {{choice: [slices, volume]}}\n{VOLUMES}",
        f"  trainer.geometry: {{choice: [slices, volume]}}\n{VOLUMES}\n"
        f"{NO_GEOMETRY[:-2]}, kervadec: 1}}}}",
        f"  trainer.geometry: {{choice: [slices, volume]}}\n{RAW[:-1]}, spatial: volumes}}",
        "loss: {border: ignore, terms: [x:y], weights: {compactness: 0, boundary: 0, aspect: 0,"
        " 'y': 1}}",
        "  trainer.geometry: {choice: [slices, volume]}\n"
        f"  trainer.configuration: {{choice: [2d, 3d_fullres]}}\n{NNUNET}",
    ],
)
def test_a_geometric_setting_that_acts_is_left_in_peace(tmp_path: Path, lines: str) -> None:
    assert read(tmp_path, f"{SPACE}{lines}\n") == ([], [])


def test_a_setting_of_another_trainer_is_told_once(tmp_path: Path) -> None:
    text = f"{SPACE}  trainer.geometric_class: {{choice: [1, 2]}}\n{NO_GEOMETRY}\n"
    [message] = read(tmp_path, text)[0]
    assert "without any effect" not in message


def test_a_default_that_is_written_down_asks_for_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "optimizer: {name: adamw, momentum: 0.99}\n") == ([], [])


def test_what_a_preset_gives_was_not_asked_for(tmp_path: Path) -> None:
    text = "preset: geometric-v2.4\nloss: {weights: {compactness: 0, boundary: 0, aspect: 0}}\n"
    assert read(tmp_path, text) == ([], [])
    [message] = read(tmp_path, text.replace("loss: {", "loss: {sqrt_epsilon: 0.001, "))[1]
    assert message.startswith("2: loss.sqrt_epsilon: 0.001 has no effect")


def test_what_was_read_is_told_and_never_refused_of_a_single_trial(tmp_path: Path) -> None:
    file = tmp_path / "given.yaml"
    file.write_text("optimizer: {name: adamw, momentum: 0.9}\n")
    assert read(tmp_path, to_yaml(load_trial(file)))[0] == []
    [message] = read(tmp_path, file.read_text())[1]
    assert message == "1: optimizer.momentum: 0.9 has no effect: AdamW has no momentum"


def test_interval_of_metrics_that_are_measured_anyway_is_told(tmp_path: Path) -> None:
    assert read(tmp_path, "evaluation: {metrics: [iou], every: 5}\n")[1] == [
        "1: evaluation.every: 5 has no effect: Dice and IoU are measured in every epoch"
    ]
