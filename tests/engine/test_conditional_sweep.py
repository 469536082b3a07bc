"""A whole sweep over three conditional groups: run, killed, resumed, ranked and exported.

Without Ray and without training, which have no say in any of it.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from scripted import write_scripted
from synthetic import epoch_of
from typer.testing import CliRunner

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.analysis.parameters.importance import importance_for_dice
from sweep.analysis.ranking.ranking_frame import write_ranking
from sweep.cli import app
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.report.page import page
from sweep.report.report_figures import figures_of
from sweep.search.searchers.earlier_trials import read_earlier_sweep
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.linked_space import drawn_in, lies_in
from sweep.store.read_results import read_records
from sweep.store.store import Store
from sweep.tracking.study_file import live_study
from sweep.vocabulary.record import Outcome, Status, TrialRecord

SWEEP = """\
name: conditional
trials: 26
searcher: {{name: tpe, startup_trials: 6}}
scheduler: none
presets: [baseline]
trainer: {{kind: custom, entry: {entry}, epochs: 2, device: cpu, options: {{a: 0, b: 0, c: 0}}}}
loss: {{weights: {{boundary: 0, aspect: 0}}}}
early_stopping: {{patience: null}}
space:
  optimizer.name: {{choice: [sgd, adamw]}}
  optimizer.momentum: {{uniform: [0.8, 0.99], when: {{optimizer.name: sgd}}}}
  loss.weights.compactness: {{choice: [0, 0.01, 0.1]}}
  loss.sqrt_epsilon: {{loguniform: [1e-8, 1e-2], when: {{loss.weights.compactness: {{above: 0}}}}}}
  trainer.options.a: {{choice: [1, 2, 3]}}
  trainer.options.b: {{randint: [0, trainer.options.a], when: {{trainer.options.a: [2, 3]}}}}
  trainer.options.c: {{uniform: [0, 1], when: {{trainer.options.b: {{above: 0}}}}}}
"""


def train(controller: SweepController, place: Path) -> None:
    """What SGD reaches depends on its momentum; AdamW stays below its best."""
    optimizer = load_trial(place / "config.yaml").optimizer
    worth = 0.9 - abs(optimizer.momentum - 0.9) if optimizer.name == "sgd" else 0.85
    for epoch in range(2):
        controller.report(place.name, epoch_of(epoch, worth - 0.1 / (epoch + 1)))
    controller.end(place.name, Outcome(status=Status.COMPLETED))


def execute(spec: SweepSpec, folder: Path, *, kills: tuple[int, ...] = ()) -> list[TrialRecord]:
    """Train all trials one after the other. A kill loses the trial that has just begun."""
    Store.create(folder, to_yaml(spec)).close()
    trained = 0
    for until in (*kills, None):
        with Store.open(folder) as store:
            controller = SweepController(spec, store)
            with live_study(folder / "study.journal", spec, store.records, pytest.fail) as study:
                controller.subscribe(study)
                while (place := controller.next_trial()) is not None and trained != until:
                    train(controller, place)
                    trained += 1
    return read_records(folder)


@dataclass(frozen=True)
class Done:
    spec: SweepSpec
    file: Path
    folder: Path
    whole: list[TrialRecord]

    @property
    def results(self) -> Results:
        return read_results(self.folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("conditional")
    file = folder / "space.yaml"
    file.write_text(SWEEP.format(entry=write_scripted(folder, "return Validation(dice=0.5)")))
    spec = load_sweep(file)
    whole = execute(spec, folder / "whole")
    execute(spec, folder / "results", kills=(3, 11, 19))
    write_ranking(folder / "results")
    return Done(spec, file, folder / "results", whole)


def test_killed_and_resumed_sweep_drew_what_the_uninterrupted_one_drew(done: Done) -> None:
    facts = [[(r.trial_id, repr(r.parameters), r.value) for r in rs] for rs in (
        done.whole, read_records(done.folder)
    )]  # fmt: skip
    assert facts[0] == facts[1]
    assert len(facts[0]) == 26


def test_every_trial_has_what_its_conditions_let_it_draw_and_trains_it(done: Done) -> None:
    drawn = set()
    for record in read_records(done.folder):
        assert list(record.parameters) == drawn_in(done.spec.space, record.parameters)
        if record.preset is None:
            assert lies_in(done.spec.space, record.parameters)
        settings = load_trial(done.folder / "trials" / record.trial_id / "config.yaml")
        assert settings.optimizer.name == record.parameters["optimizer.name"]
        expected = record.parameters.get("optimizer.momentum", done.spec.optimizer.momentum)
        assert settings.optimizer.momentum == expected
        drawn |= record.parameters.keys()
    assert drawn == done.spec.space.keys()


def test_baseline_has_no_parameter_of_the_geometric_loss(done: Done) -> None:
    [baseline] = [record for record in read_records(done.folder) if record.preset]
    assert baseline.parameters["loss.weights.compactness"] == 0
    assert "loss.sqrt_epsilon" not in baseline.parameters


def test_ranking_has_a_column_for_each_parameter_and_an_empty_cell_where_it_is_not_drawn(
    done: Done,
) -> None:
    records = {record.trial_id: record for record in read_records(done.folder)}
    with (done.folder / "ranking.csv").open() as file:
        rows = list(csv.DictReader(file))
    printed = CliRunner().invoke(app, ["rank", str(done.folder), "--json"])
    for row, again in zip(rows, json.loads(printed.stdout), strict=True):
        own = records[row["trial_id"]].parameters
        for name in done.spec.space:
            assert (row[name] == "") == (name not in own) == (again[name] is None)
            assert again[name] == own.get(name)


def test_console_says_how_many_settings_are_conditional(done: Done) -> None:
    printed = CliRunner().invoke(app, ["check", str(done.file)])
    assert "26 trials of up to 2 epochs over 7 settings (4 of them conditional)" in printed.stdout


def test_best_configuration_trains_as_it_stands(done: Done) -> None:
    best = load_trial(done.folder / "best.yaml")
    winner = done.results.ranked[0]
    assert best.optimizer.name == winner.parameters["optimizer.name"]


def test_report_draws_every_figure_and_says_how_conditional_parameters_count(done: Done) -> None:
    results = done.results
    figures = {figure.name: figure for figure in figures_of(results)}
    for name in ("parallel", "slices", "importance-dice"):
        assert figures[name].figure is not None, name
    assert "a conditional parameter counts in all trials" in figures["importance-dice"].reading
    found = importance_for_dice(results)
    assert found is not None
    assert found.shares.keys() == set(results.varied)
    assert "optimizer.momentum" in page(results)


def test_exported_study_has_the_values_that_were_trained_and_no_others(done: Done) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(done.folder / "study.journal")))
    study = optuna.load_study(study_name="conditional", storage=storage)
    records = read_records(done.folder)
    assert len(study.trials) == len(records)
    for trial, record in zip(study.trials, records, strict=True):
        own = dict(record.parameters)
        if record.preset is None:
            assert trial.params.keys() == own.keys()
        if "trainer.options.b" in own and record.preset is None:
            assert trial.params["trainer.options.b"] == own["trainer.options.b"]


def test_next_sweep_over_the_space_learns_from_every_trial_inside_it(done: Done) -> None:
    text = done.file.read_text() + f"warm_start: {done.folder}\n"
    spec = load_sweep({**_values(text), "name": "again"})
    earlier = read_earlier_sweep(spec, str(done.folder))
    searched = [record for record in read_records(done.folder) if record.preset is None]
    own = {record.trial_id: dict(record.parameters) for record in searched}
    usable = {record.trial_id: dict(record.parameters) for record in earlier.usable}
    assert own.items() <= usable.items()


def _values(text: str) -> dict[str, object]:
    from sweep.spec.reading.yaml_document import parse_document

    return dict(parse_document(text, "a file").values)
