"""Commands with hostile input, in a place where everything that they touch is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command
from watching import WATCH, Answer, Ask

from sweep.cli import app
from sweep.machine.codebase import codebase


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, deep enough for ``../../x`` to be seen; beside it the home folder."""
    root = tmp_path_factory.mktemp("hostile")
    cwd, home = root / "one" / "two" / "cwd", root / "home"
    for folder in (cwd, home):
        folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("HOME", str(home))
        yield cwd
    assert not any(home.iterdir())
    assert {path for path in root.rglob("*") if cwd not in path.parents} == {
        home, cwd, cwd.parent, cwd.parent.parent
    }  # fmt: skip


@pytest.fixture(scope="module")
def ask(here: Path) -> Ask:
    """Runs ``sweep …`` in this process, from its arguments to its exit code."""
    program, runner = get_command(app), CliRunner()
    codebase()  # asks git, once a process

    def ask(*arguments: str) -> Answer:
        with WATCH.listening() as acts:
            result = runner.invoke(program, arguments)  # type: ignore[arg-type]
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception  # a traceback
        return Answer(result.exit_code, result.stdout, result.stderr, acts)

    return ask
