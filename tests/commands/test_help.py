from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweep.cli import COMMANDS, app

Call = Callable[..., Result]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_its_docstring_and_its_options(call: Call, command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    first = app.registered_commands[COMMANDS.index(command)].callback.__doc__.split("\n")[0]
    assert first.split(":")[0] in " ".join(result.stdout.replace("│", " ").split())
    assert "--help" in result.stdout


def test_program_without_arguments_lists_the_commands() -> None:
    result = CliRunner().invoke(app, [])
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("arguments", [["rum"], ["run"], ["run", "x.yaml", "--sett", "a=1"]])
def test_wrong_usage_exits_with_2(call: Call, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


@pytest.mark.parametrize("module", [f"sweep.{command}" for command in COMMANDS] + ["sweep"])
def test_every_command_is_a_module_too(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert f"python -m {module}" in done.stdout
