"""nnU-Net's own command, as a user types it: nnUNet_extTrainer finds the trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.machine.codebase import PACKAGE
from sweep.nnunet.command.trainer_copies import EXT_TRAINER

COMMAND = """\
import sys, torch
try:
    import torchvision
except RuntimeError:  # beside a torch for CPUs, see the fixture `_torchvision`
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from {module} import {entry}
sys.argv = ["nnUNetv2", *sys.argv[1:]]
{entry}()
assert not {{"ray", "monai"}} & set(sys.modules)  # they take seconds, and it needs neither
"""


@pytest.fixture
def environment(raw: Path, preprocessed: Path, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "config.yaml"
    config.write_text(
        "trainer:\n"
        "  {kind: nnunet, dataset: 502, epochs: 1, steps_per_epoch: 2, validation_steps: 1}\n"
        "loss: {warmup_epochs: 0, rampup_epochs: 0}\n"
    )
    return {
        **os.environ,
        "nnUNet_raw": str(raw),
        "nnUNet_preprocessed": str(preprocessed),
        "nnUNet_results": str(tmp_path / "results"),
        "nnUNet_def_n_proc": "1",
        "nnUNet_extTrainer": str(EXT_TRAINER),
        "SWEEP_NNUNET_CONFIG": str(config),
        "PYTHONPATH": str(PACKAGE.parent),
    }


def run(module: str, entry: str, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(module=module, entry=entry), *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_nnunets_command_trains_with_our_trainer_and_the_settings_of_the_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    trainer = ("-tr", "nnUNetTrainerGeometric", "-device", "cpu")
    said = run("nnunetv2.run.run_training", "run_training_entry", environment,
               "502", "2d", "0", *trainer)  # fmt: skip
    assert f"Using trainer 'nnUNetTrainerGeometric' from: {EXT_TRAINER}" in said
    assert f"with the file {environment['SWEEP_NNUNET_CONFIG']}." in said
    assert "  loss.warmup_epochs: 0\n" in said
    assert "Mean Validation Dice: " in said
    [model] = (tmp_path / "results" / "Dataset502_Shapes_One").iterdir()
    assert model.name == "nnUNetTrainerGeometric__nnUNetPlans__2d"
    assert (model / "fold_0" / "provenance.json").exists()
