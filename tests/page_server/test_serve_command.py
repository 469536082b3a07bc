"""``sweep.serve`` as a process: its address, its errors, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner
from visitor import Visitor

from sweep.cli import app
from sweep.page_server.loopback import LOOPBACK


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert "Traceback" not in result.output
    return result


def test_address_that_is_printed_opens_the_page_and_ctrl_c_ends_it_alone(root: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    command = [sys.executable, "-m", "sweep.serve", str(root), "--port", "0"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/\?token=\S{32})$", server.stdout.readline())
        assert found is not None
        assert f"ssh -L {found[1]}:127.0.0.1:{found[1]} " in server.stdout.readline()
        visit = Visitor(int(found[1]))
        assert visit(found[2]).status == 303
        assert "/sweeps/small/" in visit("/").text
        assert visit("/sweeps/small/data").json["name"] == "synthetic"
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 0
    assert told == ""
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == files


@pytest.mark.parametrize(
    ("folder", "told"),
    [("nothing", "nothing does not exist"), ("file", "file is a file")],
)
def test_folder_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = call(folder)
    assert result.exit_code == 2
    assert told in result.stderr


def test_port_that_is_taken_is_refused(root: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = call(str(root), "--port", port)
    assert result.exit_code == 2
    assert f"--port: cannot listen on port {port}: another program uses it" in result.stderr


def test_extra_that_is_missing_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., object] = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
    )
    result = call(str(root))
    assert result.exit_code == 2
    assert "pip install 'medical-sweep[page]'" in result.stderr
