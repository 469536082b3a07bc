"""The shell lines that go with a configuration of nnU-Net."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from sweep.analysis.ranking.ranking_frame import as_comment
from sweep.machine import installed_packages
from sweep.machine.hardware import Machine
from sweep.nnunet.command.nnunet_commands import nnunet_commands
from sweep.nnunet.command.trainer_copies import EXT_TRAINER
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError

TRAINER = {
    "kind": "nnunet",
    "dataset": 502,
    "configuration": "3d_fullres",
    "plans": "nnUNetResEncUNetMPlans",
    "raw": "/data/nnU-Net raw",
    "preprocessed": "/data/pre",
}
SETTINGS = TrialSettings.model_validate({"trainer": TRAINER})


def test_commands_train_every_fold_with_our_trainer_and_this_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("nnUNet_results", raising=False)
    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=4, gpus=1))
    lines = [line for line in nnunet_commands(SETTINGS, Path("/x/best.yaml")) if line[0] != "#"]
    assert lines[:5] == [
        "export nnUNet_raw='/data/nnU-Net raw'",
        "export nnUNet_preprocessed=/data/pre",
        "export nnUNet_results=/x/nnUNet_results",
        f"export nnUNet_extTrainer={EXT_TRAINER}",
        "export SWEEP_NNUNET_CONFIG=/x/best.yaml",
    ]
    assert lines[5] == "python -m sweep.nnunet.command.trainer_copies"
    what = "-tr nnUNetTrainerGeometric -p nnUNetResEncUNetMPlans"
    assert lines[6] == "python -m sweep.nnunet.command.importable"
    assert lines[7:12] == [
        f"nnUNetv2_train 502 3d_fullres {fold} {what} --npz" for fold in range(5)
    ]
    assert lines[12:] == [
        f"nnUNetv2_find_best_configuration 502 -c 3d_fullres {what} -f 0 1 2 3 4",
        f"nnUNetv2_predict -i INPUT -o OUTPUT -d 502 -c 3d_fullres {what} -f 0 1 2 3 4",
    ]


def test_head_of_a_yaml_file_is_comment_whatever_a_folder_is_called() -> None:
    text = as_comment(nnunet_commands(SETTINGS, Path("/x\nseed: 1\n/best.yaml")))
    assert all(line.startswith("#") for line in text.splitlines())
    assert "seed: 1" not in [line.strip() for line in text.splitlines()]


def test_machine_without_a_gpu_trains_on_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def devices() -> list[bool]:
        lines = nnunet_commands(SETTINGS, Path("best.yaml"))
        return ["-device cpu" in line for line in lines if line.startswith("nnUNetv2_train")]

    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=4, gpus=0))
    assert devices() == [True] * 5
    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=4, gpus=1, cuda=False))
    assert devices() == [True] * 5
    monkeypatch.setattr(Machine, "here", lambda: Machine(cpus=4, gpus=1))
    assert devices() == [False] * 5


def test_folds_are_those_of_the_datasets_own_splits(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset502_X"
    folder.mkdir()
    (folder / "splits_final.json").write_text('[{"train": ["a"], "val": ["b"]}]')
    one = TrialSettings.model_validate({"trainer": TRAINER | {"preprocessed": str(tmp_path)}})
    lines = nnunet_commands(one, Path("best.yaml"))
    assert sum(line.startswith("nnUNetv2_train") for line in lines) == 1
    every = TrialSettings.model_validate({"trainer": TRAINER | {"fold": "all"}})
    lines = [line for line in nnunet_commands(every, Path("best.yaml")) if line[0] != "#"]
    assert shlex.split(lines[7])[3] == "all"
    assert not any("find_best" in line for line in lines)


def test_torchvision_that_does_not_import_is_told_with_the_one_that_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise RuntimeError(f"operator {name}::nms does not exist")

    versions = {"torch": "2.13.0+cpu", "torchvision": "0.28.0"}
    monkeypatch.setattr(installed_packages, "version", versions.__getitem__)
    monkeypatch.setattr(installed_packages.importlib, "import_module", broken)
    with pytest.raises(InputError) as caught:
        installed_packages.require_torchvision()
    assert str(caught.value) == (
        "torchvision: nnU-Net's commands and Lightning import torchvision, which fails (operator "
        "torchvision::nms does not exist): install the one that belongs to torch 2.13.0+cpu: "
        "pip install --force-reinstall --no-deps --index-url https://download.pytorch.org/whl/cpu "
        "torchvision==0.28.0"
    )


def test_device_of_the_trial_is_that_of_the_commands() -> None:
    on_cpu = TrialSettings.model_validate({"trainer": TRAINER | {"device": "cpu"}})
    lines = nnunet_commands(on_cpu, Path("best.yaml"))
    for program in ("nnUNetv2_train", "nnUNetv2_predict"):
        for line in lines:
            if line.startswith(program):
                words = shlex.split(line)
                assert words[words.index("-device") + 1] == "cpu"
