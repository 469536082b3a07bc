"""Which code runs: found out in checkouts that are clean, changed, and none at all."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
from sweep.machine.codebase import PACKAGE, Codebase, _checkout, codebase, hash_files


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a checkout with one commit."""
    package = tmp_path / "checkout" / "thing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WARMUP = 20\n")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    return package


def test_clean_checkout_is_its_commit(package: Path) -> None:
    assert _checkout(package) == (git(package, "rev-parse", "HEAD"), None)


def test_every_uncommitted_change_has_its_own_hash(package: Path) -> None:
    file = package / "__init__.py"
    seen = {_checkout(package)}
    for text in ("WARMUP = 5\n", "WARMUP = 6\n"):
        file.write_text(text)
        seen.add(_checkout(package))
    git(package, "add", ".")
    assert _checkout(package) in seen  # staged or not is no difference
    (package / "new.py").write_text("x = 1\n")
    seen.add(_checkout(package))
    assert len(seen) == 4
    assert {commit for commit, _ in seen} == {git(package, "rev-parse", "HEAD")}


def test_change_outside_of_the_package_is_none(package: Path) -> None:
    (package.parent / "notes.txt").write_text("x")
    assert _checkout(package)[1] is None


def test_installed_package_inside_somebody_elses_checkout_belongs_to_none(package: Path) -> None:
    other = package.parent / "venv" / "thing"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    assert _checkout(other) == (None, None)


def test_package_outside_of_any_checkout_belongs_to_none(tmp_path: Path) -> None:
    assert _checkout(tmp_path) == (None, None)


def test_sources_are_hashed_by_name_and_content(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("xy"), b.write_text("z")
    first = hash_files(tmp_path, [a, b])
    assert first == hash_files(tmp_path, [a, b])
    a.write_text("x"), b.write_text("yz")
    assert hash_files(tmp_path, [a, b]) != first


def test_code_of_this_process_is_the_package_that_was_imported() -> None:
    code = codebase()
    assert code.path == str(Path(sweep.__file__).parent)
    assert len(code.sources) == 64


def test_package_that_is_imported_from_elsewhere_than_installed_is_told() -> None:
    here = Codebase("/repo/sweep", "0" * 64, "0.1.0", "/repo/sweep", None, None)
    assert here.shadowing is None
    assert dataclasses.replace(here, installed=None).shadowing is None
    other = dataclasses.replace(here, installed="/venv/site-packages/sweep")
    assert other.shadowing == (
        "the package is imported from /repo/sweep, but the installed one is "
        "/venv/site-packages/sweep: changes to the latter have no effect here"
    )


def test_files_of_another_package_named_sweep_are_told(tmp_path: Path) -> None:
    # As pip leaves it where PyPI's `sweep` is installed after this package.
    mixed = tmp_path / "sweep"
    mixed.mkdir()
    for path in PACKAGE.iterdir():
        (mixed / path.name).symlink_to(path)
    (mixed / "__init__.py").unlink()
    (mixed / "__init__.py").write_text("__version__ = '2.1.3.0'\n")
    done = subprocess.run(
        [sys.executable, "-m", "sweep.init"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "another package named `sweep`: remove that (pip uninstall sweep)" in done.stderr
