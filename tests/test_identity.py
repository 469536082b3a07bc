"""A user that the machine does not know, with the standard library's own answers to that."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import platformdirs
import pytest

from sweep.machine.user_identity import settle_user

UNKNOWN = 2**31 - 7
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The temporary folder of a user without a line in /etc/passwd and without a home."""
    for name in (*NAMES, "HOME", "XDG_CACHE_HOME", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "x")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: UNKNOWN)
    return tmp_path


def test_unknown_user_gets_a_name_and_a_home(unknown: Path) -> None:
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    with pytest.raises(RuntimeError):
        Path.home()
    settle_user()
    assert getpass.getuser() == f"uid{UNKNOWN}"
    assert Path.home().parent == unknown
    assert Path.home().stat().st_mode & 0o777 == 0o700
    assert Path(platformdirs.user_cache_dir("x")).is_relative_to(unknown)


@pytest.mark.parametrize("home", ["/", "/no/such/home"])
def test_home_that_is_none_is_replaced(
    unknown: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != "/" and access(path, mode))
    monkeypatch.setenv("HOME", home)
    settle_user()
    assert Path.home().parent == unknown


def test_home_that_can_only_be_read_stays_and_caches_go_elsewhere(
    unknown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = unknown / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: mode == os.R_OK and access(path, mode))
    settle_user()
    assert Path.home() == home
    assert Path(os.environ["XDG_CACHE_HOME"]).is_relative_to(unknown)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_nothing_is_changed_where_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "somebody")
    before = dict(os.environ)
    settle_user()
    assert dict(os.environ) == before


def test_folder_of_somebody_else_is_not_taken_for_a_home(unknown: Path) -> None:
    (unknown / f"sweep-home-{UNKNOWN}").mkdir(mode=0o777)
    settle_user()
    assert Path.home().parent == unknown
    assert Path.home().name != f"sweep-home-{UNKNOWN}"
