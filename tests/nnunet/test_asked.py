"""What nnU-Net's own command is asked to train with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.nnunet.command.asked_settings import (
    CONFIG_VARIABLE,
    asked_by_environment,
    nnunet_trainer,
)
from sweep.spec.space.presets import PRESETS
from sweep.spec.tree.setting_tree import value_of
from sweep.vocabulary.errors import InputError

COMMAND = ("Dataset502_Shapes_One", "nnUNetPlans", "2d")


def config(folder: Path, trainer: str = "kind: nnunet, dataset: 502") -> str:
    file = folder / "config.yaml"
    file.write_text(f"trainer: {{{trainer}}}\nloss: {{warmup_epochs: 7}}\n")
    return str(file)


def test_without_a_file_the_losses_are_the_recommended_ones_in_nnunets_own_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    settings, source = asked_by_environment(*COMMAND, 3)
    for key, value in PRESETS["geometric-recommended"].settings.items():
        assert value_of(settings, key) == value
    trainer = nnunet_trainer(settings)
    assert (trainer.epochs, trainer.fold) == (1000, 3)
    assert source == "the defaults, since SWEEP_NNUNET_CONFIG names no file"


@pytest.mark.parametrize("dataset", ["502", "Dataset502_Shapes_One"])
def test_file_is_trained_on_the_fold_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    file = config(tmp_path, f"kind: nnunet, dataset: {dataset}, fold: 1")
    monkeypatch.setenv(CONFIG_VARIABLE, file)
    settings, source = asked_by_environment(*COMMAND, 4)
    assert settings.loss.warmup_epochs == 7
    assert nnunet_trainer(settings).fold == 4
    assert source == f"the file {file}"


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ("kind: nnunet, dataset: 501", "trainer.dataset: asks for 501, but nnU-Net's command"),
        ("kind: nnunet, dataset: Dataset501_X", "trainer.dataset: asks for 'Dataset501_X', but"),
        (
            "kind: nnunet, dataset: 502, configuration: 3d_fullres",
            "trainer.configuration: asks for '3d_fullres', but nnU-Net's command trains '2d'",
        ),
        ("kind: nnunet, dataset: 502, plans: P", "trainer.plans: asks for 'P', but"),
        ("kind: monai", "trainer.kind: must be `nnunet` for nnU-Net to train, but is `monai`"),
    ],
)
def test_file_about_something_else_than_the_command_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, message: str
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, config(tmp_path, trainer))
    with pytest.raises(InputError) as error:
        asked_by_environment(*COMMAND, 0)
    assert message in str(error.value)


def test_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "gone.yaml"))
    with pytest.raises(InputError, match=r"gone\.yaml"):
        asked_by_environment(*COMMAND, 0)
