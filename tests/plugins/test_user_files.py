"""Files of users as modules: what they see of the command, and other processes of them."""

from __future__ import annotations

import importlib
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.plugins.entry_names import module_of
from sweep.plugins.user_files import module_of_file, without_arguments

LOOP = """
import torch

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return index

def read(start):
    loader = torch.utils.data.DataLoader
    return list(loader(Data(), 2, num_workers=1, multiprocessing_context=start))
"""


@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_data_workers_find_the_dataset_in_a_users_file_however_they_are_started(
    tmp_path: Path, start: str
) -> None:
    file = tmp_path / "my-own.loop.py"
    file.write_text(LOOP)
    code = (
        "import pathlib, sys; from sweep.plugins.user_files import module_of_file\n"
        "if __name__ == '__main__':\n"
        f"    print(module_of_file(pathlib.Path(sys.argv[1])).read({start!r}))"
    )
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run(
        [sys.executable, tmp_path / "main.py", file], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[tensor([0, 1])]\n"


BEGAN = """
import multiprocessing, pathlib, sys
from sweep.plugins.user_files import module_of_file

def read(module, start):
    with multiprocessing.get_context(start).Pool(1) as pool:
        return pool.apply(module.value)

if __name__ == '__main__':
    file, start = pathlib.Path(sys.argv[1]), sys.argv[2]
    began = module_of_file(file)
    file.write_text("def value(): return 2")
    print(read(began, start), read(module_of_file(file), start))
"""


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_run_the_text_that_the_training_began_with(tmp_path: Path, start: str) -> None:
    (file := tmp_path / "loop.py").write_text("def value(): return 1")
    (tmp_path / "main.py").write_text(BEGAN)
    command = [sys.executable, tmp_path / "main.py", file, start]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"1 2\n"


def test_text_that_nobody_has_any_more_is_told_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", str(tmp_path / "cache"))
    (file := tmp_path / "gone.py").write_text("value = 1")
    name = module_of_file(file).__name__
    del sys.modules[name]
    assert importlib.import_module(name).value == 1
    del sys.modules[name]
    shutil.rmtree(tmp_path / "cache")
    file.write_text("value = 2")
    with pytest.raises(ModuleNotFoundError, match=r"gone\.py was edited, moved or deleted after"):
        importlib.import_module(name)


def test_script_that_parses_its_command_line_gets_its_own_defaults_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "space.yaml", "--resume", "--lr", "3"])
    (tmp_path / "script.py").write_text(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--lr', type=float, default=0.1)\n"
        "args = parser.parse_args()\n"
    )
    assert module_of(str(tmp_path / "script.py")).args.lr == 0.1
    assert sys.argv == ["run", "space.yaml", "--resume", "--lr", "3"]


def test_file_is_run_again_when_its_text_has_changed(tmp_path: Path) -> None:
    (file := tmp_path / "edited.py").write_text("value = 1")
    first = module_of_file(file)
    assert module_of_file(file) is first
    file.write_text("value = 2")
    assert (first.value, module_of_file(file).value) == (1, 2)


def test_arguments_come_back_whole_once_all_of_several_functions_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "--local"])
    first, second = without_arguments(), without_arguments()
    for function in (first, second):
        function.__enter__()
    first.__exit__(None, None, None)
    assert sys.argv == ["run"]  # the second one still trains
    second.__exit__(None, None, None)
    assert sys.argv == ["run", "--local"]


@pytest.mark.parametrize("package", ["whole", "whole/below", "without_init"])
def test_module_of_a_package_beside_it_of_the_same_size_and_second_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (folder := tmp_path / package).mkdir(parents=True)
    if package.startswith("whole"):
        (tmp_path / "whole" / "__init__.py").touch()
        (folder / "__init__.py").touch()
    name = f"{package.replace('/', '.')}.deep"
    for value in (1, 2):
        (tmp_path / "mine.py").write_text(f"from {name} import value  # text {value}\n")
        (folder / "deep.py").write_text(f"value = {value}\n")
        os.utime(folder / "deep.py", (1e9, 1e9))
        assert module_of_file(tmp_path / "mine.py").value == value
        for loaded in [one for one in sys.modules if one.partition(".")[0] == name.split(".")[0]]:
            del sys.modules[loaded]  # as in a fresh process


def test_compiled_module_without_its_text_is_found_beside_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "text.py").write_text("value = 7")
    py_compile.compile(str(tmp_path / "text.py"), str(tmp_path / "compiled_only.pyc"))
    (tmp_path / "mine.py").write_text("from compiled_only import value")
    assert module_of_file(tmp_path / "mine.py").value == 7
