"""What a caller from Python is told: keywords in place of options, and what results have."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from typer.main import get_command

import sweep
from sweep.api.python_words import in_python
from sweep.cli import app


@pytest.mark.parametrize("function", [sweep.run, sweep.train, sweep.predict])
def test_every_option_that_a_function_has_as_a_keyword_is_named_by_it(function: Any) -> None:
    command: Any = get_command(app)
    command = command.commands[function.__name__]
    keywords = inspect.signature(function).parameters
    options = {one for part in command.params for one in part.opts if "--" in one}
    shared = {one for one in options if one.removeprefix("--").replace("-", "_") in keywords}
    assert shared
    for option in shared:
        keyword = option.removeprefix("--").replace("-", "_")
        said = in_python(f"leave {option} out")
        assert re.search(rf"leave `{keyword}(=True)?` out", said), said


@pytest.mark.parametrize(
    ("of_command", "of_python"),
    [
        ("start it without --resume, please", "start it without `resume=True`, please"),
        ("at the next `sweep.run … --resume`.", "at the next `resume=True`."),
        ("as in `--extend trials=60`.", 'as in `extend={"trials": "60"}`.'),
        (
            "for more trials, --extend trials=+20. To go on as recorded: --set data.fold=1"
            " --set 'data.folder=\"a b\"'",
            'for more trials, `extend={"trials": "+20"}`. To go on as recorded:'
            ' `overrides=["data.fold=1", "data.folder=\\"a b\\""]`',
        ),
        (
            "allow more with --extend time_budget=+1.5h",
            'allow more with `extend={"time_budget": "+1.5h"}`',
        ),
        ("(or --set name=...), or remove", '(or `overrides=["name=..."]`), or remove'),
        (
            "`--set 'space.a={choice: [1]}'` fixes it",
            '`overrides=["space.a={choice: [1]}"]` fixes it',
        ),
        (
            "an option of `sweep.run`: --results FOLDER",
            'an option of `sweep.run`: `results="FOLDER"`',
        ),
        ("keep them (`--resume`) or replace", "keep them (`resume=True`) or replace"),
        (
            """as recorded: --set 'data.folder="it'"'"'s mine"'""",
            """as recorded: `overrides=["data.folder=\\"it's mine\\""]`""",
        ),
        ("--set name=C:\\ is cut", "`overrides` name=C:\\ is cut"),
        ("/data/run--local/--name/--resume/a", "/data/run--local/--name/--resume/a"),
        (
            "`sweep.rank --notes` and --resume-all stay",
            "`sweep.rank --notes` and --resume-all stay",
        ),
    ],
)
def test_option_with_its_value_is_the_keyword_with_its_value(
    of_command: str, of_python: str
) -> None:
    assert in_python(of_command) == of_python


TRAINER = """\
def train(config, trial):
    for epoch in range(trial.epochs):
        trial.report(epoch, dice=config["dice"] + 0.001 * epoch)
"""


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    (file := tmp_path_factory.mktemp("own") / "own.py").write_text(TRAINER)
    return {
        "name": "python",
        "trials": 3,
        "searcher": {"name": "random", "seed": 0},
        "presets": [],
        "trainer": {
            "kind": "custom",
            "entry": f"{file}:train",
            "epochs": 2,
            "options": {"dice": 0.5},
        },
        "space": {"trainer.options.dice": {"uniform": [0.1, 0.9]}},
    }


@pytest.fixture(scope="module")
def results(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> sweep.SweepResults:
    where = tmp_path_factory.mktemp("results")
    return sweep.run(values, results=where, executor="local", progress=False)


def run(values: dict[str, Any], results: sweep.SweepResults, **how: Any) -> sweep.SweepResults:
    return sweep.run(values, results=results.folder.parent, executor="local", **how)


def test_errors_of_a_sweep_name_keywords_and_no_option(
    values: dict[str, Any], results: sweep.SweepResults, tmp_path: Path
) -> None:
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),  # the folder exists
        ({"name": "another"}, {"resume": True}),  # there is none
        ({"trainer": values["trainer"] | {"epochs": 3}}, {"resume": True}),  # another spec
        ({}, {"extend": {"trials": "many"}}),
        ({"resume": True, "results": "there", "hydra": 1}, {}),
        ({}, {"overrides": {"trainer.epochs": 0}}),
    ]
    for changes, how in wrong:
        with pytest.raises(sweep.SweepError) as caught:
            run(values | changes, results, **how)
        said = str(caught.value)
        assert "--" not in re.sub(r"\n(--- recorded|\+\+\+ asked for|[-+@].*)", "", said), said
    with pytest.raises(sweep.InputError) as one:
        run(values, results, extend={"trials": "many"})
    assert str(one.value).startswith("extend trials=many: `trials` must read like `trials=+20`")
    assert one.value.mistakes[0].file == "extend trials=many"


def test_lines_and_warnings_name_keywords_and_no_option(
    values: dict[str, Any], results: sweep.SweepResults, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"trainer.options.dice": 0.3}
    assert any("overrides=[" in said for said in sweep.check(values, chosen))
    asked = results.note("t0000", "a note")
    assert "--resume" not in asked.words
    assert "`resume=True`" in results.enqueue({"trainer.options.dice": 0.4}).words
    more = run(values, results, overrides={"confirm": {"top": 2, "seeds": 2}}, resume=True)
    assert len(more) == 3 + 1 + 4
    told = capsys.readouterr()
    assert "--" not in told.out + told.err


# What results are asked for.


def test_results_are_a_mapping_from_ids_to_trials(results: sweep.SweepResults) -> None:
    assert list(results) == list(results.keys()) == [trial.trial_id for trial in results.values()]
    assert len(results.items()) == len(results)
    assert "t0001" in results
    assert 1 not in results
    assert "nosuch" not in results
    assert results.get("nosuch") is None
    assert results == results
    assert results != sweep.open(results.folder)
    assert len({results, results}) == 1


@pytest.mark.parametrize("key", [1, slice(2), ["val_dice"], None, 1.5, ("t0000",)])
def test_other_kinds_of_keys_are_told_what_would_be_right(
    results: sweep.SweepResults, key: Any
) -> None:
    right = r"a trial has an id, a text, such as results\['t0000'\], but was asked for by"
    with pytest.raises(TypeError, match=rf"{right} .* of the ranking are in results\.frame"):
        results[key]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("nosuch", "no trial 'nosuch' in .*; it has t0000 to t0002"),
        ("t002", "no trial 't002' .*did you mean `t0002`"),
        ("t0099", "; it has t0000 to t0002"),
        ("val_dice", r"; the column of the ranking is results\.frame\['val_dice'\]"),
    ],
)
def test_key_that_there_is_not_is_told_what_there_is(
    results: sweep.SweepResults, key: str, said: str
) -> None:
    with pytest.raises(KeyError, match=said):
        results[key]


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("best_params", "best.parameters"),
        ("cv_results_", "frame"),
        ("get_dataframe", "frame"),
        ("to_csv", "frame.to_csv"),
        ("iloc", "frame.iloc"),
        ("head", "frame.head"),
    ],
)
def test_names_of_other_libraries_lead_to_ours(
    results: sweep.SweepResults, name: str, here: str
) -> None:
    with pytest.raises(AttributeError, match=rf"'{name}'; here it is `results\.{re.escape(here)}`"):
        getattr(results, name)
    with pytest.raises(AttributeError, match=r"have no attribute 'nosuch'$"):
        results.nosuch  # noqa: B018
    found: Any = results
    for part in here.removesuffix("()").split("."):
        found = getattr(found, part)


def test_figures_are_a_mapping_too(results: sweep.SweepResults) -> None:
    figures = results.figures
    assert isinstance(figures["learning_curves"], go.Figure)
    assert figures["learning_curves"] == figures.learning_curves()
    assert "learning_curves" in figures
    assert len(figures) == len(list(figures)) > 5
    assert "learning_curves" in repr(figures)
    with pytest.raises(KeyError, match="'learning_curve'; did you mean `learning_curves`"):
        figures["learning_curve"]
    for wrong in (0, "xyz"):
        with pytest.raises(
            KeyError, match=r"there is no figure .*; there are confirmed_finalists, "
        ):
            figures[wrong]  # type: ignore[index]


def test_ranking_of_a_column_is_in_the_frame(results: sweep.SweepResults) -> None:
    assert isinstance(results.frame["val_dice"], pd.Series)
