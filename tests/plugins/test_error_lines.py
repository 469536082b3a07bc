"""An error in a user's own file names the file and the line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sweep.search.searchers.plugin_searcher import PluginSearcher
from sweep.spec.search.search_strategy import CustomSearcher
from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.vocabulary.error_lines import blamed
from sweep.vocabulary.errors import InputError, SweepFailed

SPACE = {
    "optimizer.lr": parse_distribution({"uniform": [0, 1]}),
    "trainer.batch_size": parse_distribution({"randint": [1, 9]}),
    "network.channels": parse_distribution({"choice": [[8, 16], [16, 32]]}),
    "loss.sqrt_epsilon": parse_distribution({"choice": [0.1, 0.2]}),
}
PLUGIN = """
import json
import numpy as np

class Mine:
    def __init__(self, space, seed):
        MAKE
    def ask(self, number):
        ASK
    def tell(self, record):
        json.loads("{")
    def learn(self, record):
        pass
"""


def searcher(folder: Path, ask: str = "pass", make: str = "pass") -> PluginSearcher:
    file = folder / "mine.py"
    file.write_text(PLUGIN.replace("ASK", ask).replace("MAKE", make))
    return PluginSearcher(CustomSearcher(name="custom", entry=f"{file}:Mine"), SPACE, 0)


def test_error_is_placed_in_the_last_line_of_the_users_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = searcher(tmp_path, "return 1 / 0")
    with pytest.raises(
        SweepFailed, match=f"ZeroDivisionError: division by zero, at {tmp_path}/mine.py:9"
    ):
        made.ask(0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SweepFailed, match=r"JSONDecodeError: .*, at mine.py:11$"):
        made.tell(SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.chdir("/")  # as a path from here, it could be any folder's
    with pytest.raises(SweepFailed, match=f", at {tmp_path}/mine.py:9"):
        made.ask(0)


@pytest.mark.parametrize(("make", "line"), [("self.x = [][0]", 7), ("raise KeyError('a')", 7)])
def test_plugin_that_cannot_be_made_is_placed_too(tmp_path: Path, make: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"cannot be made: .*, at .*mine.py:{line}$"):
        searcher(tmp_path, make=make)


def test_file_that_cannot_be_parsed_is_placed_at_its_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be imported: SyntaxError: .*, at .*mine.py:9$"):
        searcher(tmp_path, "return (")


def test_error_without_a_line_of_the_user_has_no_place() -> None:
    with pytest.raises(ValueError, match="low") as caught:
        parse_distribution({"uniform": [1, 0]})
    error = caught.value.with_traceback(None)
    assert blamed(error) == "ValueError: `uniform` needs low < high, but has [1.0, 0.0]"


def test_values_of_numpy_become_those_of_python(tmp_path: Path) -> None:
    ask = (
        "return {'optimizer.lr': np.float32(0.5), 'trainer.batch_size': np.int64(4),"
        " 'network.channels': np.array([8, 16]), 'loss.sqrt_epsilon': np.float64(0.1)}"
    )
    found = searcher(tmp_path, ask).ask(0)
    assert found == {
        "optimizer.lr": 0.5,
        "trainer.batch_size": 4,
        "network.channels": (8, 16),
        "loss.sqrt_epsilon": 0.1,
    }
    assert [type(value) for value in found.values()] == [float, int, tuple, float]


def test_value_that_is_lost_in_single_precision_is_refused_with_its_type(tmp_path: Path) -> None:
    ask = (
        "return {'optimizer.lr': 0.5, 'trainer.batch_size': 4,"
        " 'network.channels': [8, 16], 'loss.sqrt_epsilon': np.float32(0.1)}"
    )
    with pytest.raises(SweepFailed) as caught:
        searcher(tmp_path, ask).ask(0)
    assert f"{float(np.float32(0.1))} (numpy.float32) for `loss.sqrt_epsilon`" in str(caught.value)
    assert str(caught.value).endswith('the space does not hold: it has {"choice": [0.1, 0.2]}')
