"""``sweep.stop``, ``sweep.enqueue`` and ``sweep.note``: what they say, leave and refuse."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sweep.search.searchers.optuna_study import Translator
from sweep.spec.checks.enqueued_configuration import check_enqueued, completions
from sweep.spec.load import load_sweep
from sweep.store.journal import ConfigurationEnqueued, NoteAdded, Request, StopRequested
from sweep.store.layout import Layout
from sweep.store.lock import lock_results
from sweep.store.spool.request_spool import RequestSpool
from sweep.vocabulary.errors import InputError

Call = Callable[..., Result]

SPACE = """\
name: toy
trials: 4
searcher: {name: random}
scheduler: none
presets: []
space:
  loss.sqrt_epsilon: {choice: [0, 1.0e-6]}
  optimizer.lr: {loguniform: [1.0e-3, 1.0]}
  early_stopping.patience: {choice: [3, 5]}
"""


@pytest.fixture(autouse=True)
def _with_a_space(results: Path) -> None:
    Layout(results).sweep_yaml.write_text(SPACE)


def left(results: Path) -> list[Request]:
    return list(RequestSpool(Layout(results)).readable(lambda _, error: pytest.fail(str(error))))


def test_stop_leaves_a_request_for_each_trial(call: Call, results: Path) -> None:
    lock = lock_results(Layout(results))  # a session runs
    result = call("stop", "results/toy", "t0002", "t0003", "t0002")
    lock.release()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "t0002 ends as pruned at its next report.",
        "t0003 ends as pruned at its next report.",
    ]
    requests = left(results)
    assert [type(one) for one in requests] == [StopRequested, StopRequested]
    assert [one.trial_id for one in requests if isinstance(one, StopRequested)] == [
        "t0002",
        "t0003",
    ]


def test_request_to_a_sweep_that_does_not_run_says_when_it_is_done(
    call: Call, results: Path
) -> None:
    for command in (["stop", "results/toy", "t0002"], ["enqueue", "results/toy", "optimizer.lr=1"]):
        result = call(*command)
        assert result.exit_code == 0
        assert "No session runs: it is done at the next `sweep.run … --resume`." in result.stdout


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ("t0000", "error: t0000: has ended already (completed)"),
        ("t0001", "(diverged: nonfinite gradient (compactness) at epoch 2 step 0)"),
        ("t0020", "error: results/toy has no trial `t0020`; it has t0000 to t000"),
        ("../t0002", "results/toy has no trial `../t0002`"),
    ],
)
def test_trial_that_cannot_be_stopped_is_refused_and_no_other_is_stopped(
    call: Call, results: Path, trial: str, words: str
) -> None:
    result = call("stop", "results/toy", "t0002", trial)
    assert result.exit_code == 2
    assert words in result.stderr
    assert left(results) == []


def test_enqueue_tells_what_is_given_and_what_is_drawn(call: Call, results: Path) -> None:
    result = call("enqueue", "results/toy", "optimizer.lr=1e-2")
    assert result.stdout.startswith(
        "The next trial has optimizer.lr=0.01. The searcher draws loss.sqrt_epsilon. It is one more"
        " than `trials`."
    )
    [request] = left(results)
    assert isinstance(request, ConfigurationEnqueued)
    assert request.parameters == {"optimizer.lr": 0.01}


def test_list_is_one_of_the_listed_ones_and_told_as_such(call: Call, results: Path) -> None:
    Layout(results).sweep_yaml.write_text(
        "name: toy\ntrials: 4\npresets: []\nspace:\n"
        "  network.channels: {choice: [[8, 16, 32], [4, 8, 16]]}\n"
        "  optimizer.lr: {loguniform: [1.0e-3, 1.0]}\n"
    )
    result = call("enqueue", "results/toy", "network.channels=[4, 8, 16]")
    assert result.exit_code == 0
    assert result.stderr == ""
    (request,) = left(results)
    assert isinstance(request, ConfigurationEnqueued)
    assert request.parameters == {"network.channels": (4, 8, 16)}


LINKED = """\
name: toy
trials: 4
presets: []
space:
  loss.warmup_epochs: {randint: [1, 5]}
  loss.rampup_epochs: {randint: [0, loss.warmup_epochs]}
  optimizer.name: {choice: [sgd, adamw]}
  optimizer.momentum: {uniform: [0.5, 0.9], when: {optimizer.name: sgd}}
"""


@pytest.mark.parametrize("request_id", [f"request{n}" for n in range(10)])
def test_what_is_drawn_beside_a_given_value_leaves_it_inside_its_bounds(
    tmp_path: Path, request_id: str
) -> None:
    (tmp_path / "toy.yaml").write_text(LINKED)
    spec = load_sweep(tmp_path / "toy.yaml")
    whole = completions(spec, {"loss.rampup_epochs": 3}, request_id)[0]
    assert whole["loss.warmup_epochs"] == 4  # the only one above 3
    assert check_enqueued(spec, {"loss.rampup_epochs": 3}, request_id)[1] == []


def test_presets_value_whose_bound_is_outside_the_space_is_no_parameter_of_the_study(
    tmp_path: Path,
) -> None:
    (tmp_path / "toy.yaml").write_text(LINKED)
    translator = Translator(load_sweep(tmp_path / "toy.yaml").drawn)
    outside = {"loss.warmup_epochs": 20, "loss.rampup_epochs": 10, "optimizer.name": "adamw"}
    assert translator.inside(outside) == {"optimizer.name": "adamw"}
    inside = outside | {"loss.warmup_epochs": 3, "loss.rampup_epochs": 2}
    assert translator.inside(inside) == inside


def test_what_the_given_values_rule_out_is_not_said_to_be_drawn(call: Call, results: Path) -> None:
    Layout(results).sweep_yaml.write_text(LINKED)
    told = call("enqueue", "results/toy", "optimizer.name=adamw").stdout
    assert "draws loss.warmup_epochs, loss.rampup_epochs." in told


def test_value_outside_the_space_is_taken_with_a_warning(call: Call, results: Path) -> None:
    result = call("enqueue", "results/toy", "optimizer.lr=3", "loss.sqrt_epsilon=1e-4")
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == 2
    assert '`optimizer.lr`: 3 is outside {"loguniform": [0.001, 1.0]}' in result.stderr
    [request] = left(results)
    assert isinstance(request, ConfigurationEnqueued)
    assert request.parameters == {"optimizer.lr": 3, "loss.sqrt_epsilon": 1e-4}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("optimizer.lrr=0.1", "`optimizer.lrr` is not a searched parameter; did you mean"),
        ("lr=0.1", "`lr` is not a searched parameter; did you mean `optimizer.lr`?"),
        ("trainer.epochs=3", "`trainer.epochs` is not searched by this sweep; it searches `loss."),
        ("early_stopping.patience=3", "is computed from one curve: leave it out"),
        ("optimizer.lr=fast", 'must be a number, but is "fast"'),
        ("optimizer.lr=-1", "must be "),
        ("optimizer.lr", "must read `dotted.key=value`"),
        ("optimizer.lr={a: 1}", "optimizer.lr: must be"),
    ],
)
def test_configuration_that_cannot_be_trained_is_refused(
    call: Call, results: Path, value: str, words: str
) -> None:
    result = call("enqueue", "results/toy", "loss.sqrt_epsilon=0", value)
    assert result.exit_code == 2
    assert words in result.stderr
    assert left(results) == []


@pytest.mark.parametrize("kind", ["{uniform: [0, 1]}", "{choice: [0, 0.5, 1]}"])
@pytest.mark.parametrize("value", ["abc", "true", "[0.1, 0.2]", "null", ""])
def test_option_of_an_own_trainer_that_is_drawn_from_numbers_takes_no_text(
    call: Call, results: Path, value: str, kind: str
) -> None:
    """No setting knows the type of an option: the trial would be trained, and fail."""
    Layout(results).sweep_yaml.write_text(
        "name: toy\ntrials: 4\npresets: []\n"
        "trainer: {kind: custom, entry: loop.py:train, epochs: 4, options: {x: 0.5, y: a}}\n"
        f"space:\n  trainer.options.x: {kind}\n  trainer.options.y: {{choice: [a, b]}}\n"
    )
    result = call("enqueue", "results/toy", f"trainer.options.x={value}")
    assert result.exit_code == 2
    assert "trainer.options.x: must be a number, but is " in result.stderr
    assert left(results) == []
    assert call("enqueue", "results/toy", "trainer.options.x=7").exit_code == 0
    assert call("enqueue", "results/toy", "trainer.options.y=c").exit_code == 0
    assert call("enqueue", "results/toy", "trainer.options.y=null").exit_code == 0


@pytest.mark.parametrize(
    ("key", "exit_code"), [("optimizer.gradient_clip", 0), ("optimizer.lr", 2)]
)
def test_null_is_taken_where_the_setting_has_it_as_a_value(
    call: Call, results: Path, key: str, exit_code: int
) -> None:
    Layout(results).sweep_yaml.write_text(
        f"name: toy\ntrials: 4\npresets: []\nspace:\n  {key}: {{uniform: [0.1, 1]}}\n"
    )
    assert call("enqueue", "results/toy", f"{key}=null").exit_code == exit_code


def test_note_is_shown_by_rank_before_any_session_takes_it(call: Call, results: Path) -> None:
    assert call("note", "results/toy", "t0000", "  looks overfit ").exit_code == 0
    call("note", "results/toy", "t0000", "smooth curve")
    call("note", "results/toy", "t0003", "still runs")
    said = call("note", "results/toy", "**Tuesday**: new masks").stdout
    assert said == "Noted on the sweep. `sweep.rank --notes` and the report show it.\n"
    assert [one.text for one in left(results) if isinstance(one, NoteAdded)] == [
        "looks overfit",
        "smooth curve",
        "still runs",
        "**Tuesday**: new masks",
    ]
    rows = json.loads(call("rank", "results/toy", "--notes", "--json").stdout)
    assert [row["notes"] for row in rows] == ["looks overfit; smooth curve", None]
    assert "notes" not in json.loads(call("rank", "results/toy", "--json").stdout)[0]
    lines = call("rank", "results/toy", "--notes").stdout.splitlines()
    start = lines.index("Notes:")
    assert [line.partition(" (")[0] for line in lines[start + 1 : start + 5]] == [
        "sweep: **Tuesday**: new masks",
        "t0000: looks overfit",
        "t0000: smooth curve",
        "t0003: still runs",
    ]


@pytest.mark.parametrize("given", [{}, {"early_stopping.patience": 3}, {"optimizer.lr": 0.1}])
def test_sweep_that_draws_nothing_takes_no_configuration(given: dict[str, float]) -> None:
    space = {"early_stopping.patience": {"choice": [3, 5]}}
    spec = load_sweep({"name": "toy", "space": space})
    with pytest.raises(InputError, match="this sweep draws no parameter"):
        check_enqueued(spec, given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["t0000"], "TEXT: is missing: what is to be noted on t0000?"),
        (["t0000", "looks", "overfit"], "TEXT: must be one text: put it in quotes"),
        (["x" * 20_001], "a note must have 1 to 20000 characters, but has 20001"),
    ],
)
def test_note_is_one_text_after_the_trial_if_it_is_on_one(
    call: Call, results: Path, given: list[str], words: str
) -> None:
    result = call("note", "results/toy", *given)
    assert result.exit_code == 2
    assert words in result.stderr
    assert left(results) == []


@pytest.mark.parametrize(
    ("trial", "text", "words"),
    [
        ("t0009", "x", "has no trial `t0009`; it has t0000 to t000"),
        ("t0000", "  ", "a note must have 1 to 2000 characters, but has 0"),
        ("t0000", "x" * 2001, "but has 2001"),
        ("t0000", "caf\udce9", "has half of a surrogate pair"),
        ("t0000", "a \x1b[31mred one", "has the control character '\\x1b'"),
        ("t0000", "a\x00b", "has the control character '\\x00'"),
    ],
)
def test_wrong_note_is_refused(
    call: Call, results: Path, trial: str, text: str, words: str
) -> None:
    result = call("note", "results/toy", trial, text)
    assert result.exit_code == 2
    assert words in result.stderr
    assert left(results) == []


def test_note_of_several_lines_reaches_a_table_and_its_reader_as_it_was_written(
    call: Call, results: Path
) -> None:
    text = 'two "lines"; =1+1,\n\tand 👩‍⚕️'
    assert call("note", "results/toy", "t0000", text.replace("\n", "\r\n")).exit_code == 0
    written = call("rank", "results/toy", "--notes", "--format", "csv").stdout
    assert next(csv.DictReader(io.StringIO(written, newline="")))["notes"] == text


def test_place_without_a_results_folder_is_refused(call: Call, object_store: str) -> None:
    for place in ("results/none", f"{object_store}/none"):
        result = call("stop", place, "t0000")
        assert result.exit_code == 2
        assert place in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["stop", "results/toy", "t0002"],
        ["enqueue", "results/toy", "optimizer.lr=0.1"],
        ["note", "results/toy", "t0000", "text"],
    ],
)
def test_command_answers_without_torch_ray_and_pandas(results: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from sweep.cli import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "print({'torch', 'ray', 'pandas', 'optuna'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
