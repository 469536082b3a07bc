from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]
FEW = ("--count", "5", "--test", "1", "--size", "32")


def test_command_writes_a_dataset_and_tells_how_nnunet_goes_on(call: Call, folder: Path) -> None:
    result = call("shapes", "501", "raw", *FEW)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "raw/Dataset501_Shapes_Several: 5 images to train on, 1 to test on",
        "Next: data: {source: nnunet_raw, folder: raw/Dataset501_Shapes_Several} in the file of"
        " sweep.run",
        f"For nnU-Net's own trainer: nnUNet_raw={folder}/raw"
        " nnUNetv2_plan_and_preprocess -d 501 -c 2d",
    ]
    assert len(list(folder.glob("raw/Dataset501_Shapes_Several/imagesTr/*.png"))) == 5


def test_folder_defaults_to_the_environment_of_nnunet(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_raw", str(folder / "there"))
    assert call("shapes", "502", *FEW).exit_code == 0
    assert (folder / "there" / "Dataset502_Shapes_One" / "dataset.json").exists()


def test_every_mistake_is_told_under_the_name_of_its_option(call: Call, folder: Path) -> None:
    result = call("shapes", "502", "raw", "--difficulty", "2", "--size", "8")
    assert result.exit_code == 2
    assert sorted(result.stderr.splitlines()) == [
        "--difficulty: must be at most 1, but is 2.0",
        "--size: must be at least 32, but is 8",
        "errors:",
    ]
    assert not (folder / "raw").exists()
