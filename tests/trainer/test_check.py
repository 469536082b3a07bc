"""A custom trainer is looked at before it runs, and is not run for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.trainer_check import TrainerCheck

SOURCE = """\
raise SystemExit("it was run")
from elsewhere import Imported as Renamed
try:
    class Tried: ...
except ImportError:
    Tried = None
class MyTraining(Renamed): ...
def train(config, trial): ...
Made = type("Made", (), {})
"""


def told(entry: object) -> list[str]:
    settings = TrialSettings.model_validate({"trainer": {"kind": "custom", "entry": str(entry)}})
    return [str(mistake) for mistake in TrainerCheck()(settings)]


@pytest.mark.parametrize("name", ["MyTraining", "Renamed", "Tried", "train", "Made"])
def test_name_that_a_file_gives_is_found_without_running_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    assert told(f"{tmp_path}/mine.py:{name}") == []


@pytest.mark.parametrize(
    ("name", "meant"), [("MyTraning", "MyTraining"), ("mytraining", "MyTraining"), ("zzz", None)]
)
def test_name_that_it_does_not_give_is_told(tmp_path: Path, name: str, meant: str | None) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    hint = f"; did you mean `{meant}`?" if meant else ""
    assert told(f"{file}:{name}") == [f"trainer.entry: {file} has no `{name}`{hint}"]


def test_file_that_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 1\nclass (\n")
    assert told(f"{file}:A") == [f"{file}:2: is not Python: invalid syntax"]
    assert told(f"{tmp_path}/none.py:A") == [f"trainer.entry: {tmp_path}/none.py is no file"]


def test_module_of_a_package_is_looked_at_too() -> None:
    assert told("sweep.trainer.runs.monai_run:MonaiTraining") == []
    assert told("no_such_package.x:A") == [
        "trainer.entry: the package no_such_package is not installed"
    ]
    [line] = told("sweep.trainer.runs.monai_run:MonaiTrainin")
    assert line.endswith("has no `MonaiTrainin`; did you mean `MonaiTraining`?")


def test_nothing_is_said_of_a_file_whose_names_nobody_can_know(tmp_path: Path) -> None:
    for text in ("from elsewhere import *\n", 'globals()["A"] = 1\n'):
        (tmp_path / "mine.py").write_text(text)
        assert told(f"{tmp_path}/mine.py:A") == []


def test_data_that_only_the_class_knows_is_said_not_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class A: ...\n")
    entry = f"{tmp_path}/mine.py:A"
    settings = TrialSettings.model_validate({"trainer": {"kind": "custom", "entry": entry}})
    look = TrainerCheck(pixels=True)
    assert look(settings) == []
    assert look.warnings == ["--data reads nothing: only the custom class knows its data"]
