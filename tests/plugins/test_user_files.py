"""Files of users as modules: what they see of the command, and other processes of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.plugins.entry_names import module_of
from sweep.plugins.user_files import module_of_file

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
