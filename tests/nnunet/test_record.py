"""A run of nnU-Net's own loop: what it prints and leaves, and how it ends where it diverges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.trainer.runs.tried_cures import cured_words
from sweep.vocabulary.errors import SweepError

CURED = cured_words("that step")

MakeTrainer = Callable[..., nnUNetTrainerGeometric]
SHORT: dict[str, Any] = {"epochs": 1, "steps_per_epoch": 1, "validation_steps": 1}


def read(trainer: nnUNetTrainerGeometric, name: str) -> Any:
    return json.loads((Path(trainer.output_folder) / name).read_text())


def test_run_prints_and_records_what_is_in_effect(
    trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    made = trainer(start=False, trainer=SHORT, loss={"warmup_epochs": 7, "sqrt_epsilon": 1e-4})
    made.run_training()
    [run] = read(made, "provenance.json")["runs"]
    assert run["effective"]["loss.warmup_epochs"] == 7
    assert run["effective"]["loss.sqrt_epsilon"] == 1e-4
    assert run["code"]["path"].endswith("sweep")
    assert "expect" in run["not_read_back"]
    for text in (capsys.readouterr().out, Path(made.log_file).read_text()):
        assert "  loss.warmup_epochs: 7\n" in text
        assert f"Trained by {run['code']['path']} (sources {run['code']['sources'][:12]})" in text
    assert (Path(made.output_folder) / "checkpoint_final.pth").exists()


def test_training_that_works_with_something_else_than_asked_does_not_begin(
    trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    made = trainer(start=False, trainer=SHORT)
    made.num_epochs = 2  # as a subclass would set it
    with pytest.raises(SystemExit) as end:
        made.run_training()
    assert end.value.code == 1
    assert "trainer.epochs is 1 in the configuration but 2 in the" in capsys.readouterr().err
    assert made.current_epoch == 0


def test_diverged_run_ends_with_a_verdict_and_the_healthy_weights(
    trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    made = trainer(
        start=False,
        optimizer={"lr": 1.0, "momentum": 0.9},
        loss={"sqrt_epsilon": 0.0},
        trainer={"steps_per_epoch": 8},
    )
    with pytest.raises(SystemExit) as end:
        made.run_training()
    assert end.value.code == 1
    verdict = read(made, "divergence.json")
    assert (verdict["cause"], verdict["stage"], verdict["term"]) == (
        "nonfinite", "gradient", "compactness",
    )  # fmt: skip
    assert (verdict["epoch"], verdict["step"]) == (1, 0)
    folder = Path(made.output_folder)
    assert not (folder / "checkpoint_final.pth").exists()
    healthy = torch.load(folder / "checkpoint_healthy.pth", weights_only=False)
    assert healthy["current_epoch"] == 1  # the epoch that is to be trained
    for name, value in made.model.state_dict().items():
        assert torch.equal(healthy["network_weights"][name], value)
        assert bool(torch.isfinite(value).all())
    said = capsys.readouterr().out
    assert "DIVERGED: nonfinite gradient (compactness) at epoch 1 step 0." in said
    assert f"Set loss.sqrt_epsilon to 1e-6. {CURED}" in said


def test_training_is_continued_with_the_same_settings_or_not_at_all(
    trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    first = trainer(start=False, trainer=SHORT)
    first.run_training()
    checkpoint = str(Path(first.output_folder) / "checkpoint_final.pth")
    same = trainer(start=False, trainer=SHORT | {"epochs": 2})
    same.load_checkpoint(checkpoint)
    same.run_training()
    assert [run["first_epoch"] for run in read(same, "provenance.json")["runs"]] == [0, 1]
    other = trainer(start=False, trainer=SHORT | {"epochs": 2}, loss={"warmup_epochs": 3})
    other.load_checkpoint(checkpoint)
    with pytest.raises(SystemExit) as end:
        other.run_training()
    assert end.value.code == 2
    assert "loss.warmup_epochs was 1 and is 3 now" in capsys.readouterr().err


def test_old_copy_in_nnunets_package_keeps_the_trainer_from_being_made(
    trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.py").write_text("class nnUNetTrainerGeometric: ...\n")
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path))
    with pytest.raises(SweepError, match=r"old\.py: nnU-Net would train with this file"):
        trainer(start=False)
