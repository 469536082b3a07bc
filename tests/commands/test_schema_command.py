from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from sweep.schema import FILES

Call = Callable[..., Result]


def test_schema_of_a_sweep_is_printed_unless_another_is_asked_for(call: Call) -> None:
    sweep, trial = (json.loads(call("schema", *which).stdout) for which in ([], ["trial"]))
    assert "space" in sweep["properties"]
    assert trial["properties"].keys() < sweep["properties"].keys()
    assert call("schema", "settings").stdout.startswith("<!--")


def test_all_files_of_the_documentation_are_written_at_once(call: Call, tmp_path: Path) -> None:
    result = call("schema", "--write", str(tmp_path / "docs"))
    assert result.exit_code == 0
    assert all((tmp_path / "docs" / file).exists() for file in FILES.values())
