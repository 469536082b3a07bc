"""The wheel holds whatever the package opens, and nothing that lies around."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sweep
from sweep.starter.shipped_files import FOLDERS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel, built without a network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [file] = folder.iterdir()
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def below(folder: str) -> dict[str, bytes]:
    return {
        file.relative_to(ROOT).as_posix(): file.read_bytes()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_wheel_holds_the_package_with_its_assets_and_all_that_init_writes(
    wheel: dict[str, bytes],
) -> None:
    shipped = {
        f"sweep/starter/shipped/{name}": content
        for folder in FOLDERS
        for name, content in below(folder).items()
    }
    found = {name: content for name, content in wheel.items() if ".dist-info/" not in name}
    expected = below("sweep") | shipped
    assert found.keys() == expected.keys()
    assert found == expected


def test_wheel_names_its_commands_and_its_licence(wheel: dict[str, bytes]) -> None:
    [entries] = [wheel[name] for name in wheel if name.endswith("/entry_points.txt")]
    assert b"sweep = sweep.cli:main" in entries
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)


def test_version_to_cite_is_that_of_the_package() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {sweep.__version__}" in lines
