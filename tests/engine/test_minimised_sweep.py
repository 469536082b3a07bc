"""A whole sweep whose objective is to be small, of a trainer whose numbers are written down: from
the sweep file to the report. Without Ray, which has no say in any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from scripted import write_scripted
from typer.testing import CliRunner

from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.ranking_frame import write_ranking
from sweep.cli import app
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.report.headline import headline
from sweep.report.page_data import page_data
from sweep.report.report_figures import figures_of
from sweep.search.schedulers.decision import Decision
from sweep.search.searchers.earlier_trials import read_warm_start
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import Layout
from sweep.store.store import Store
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

VALIDATE = """\
distances = [9.0, 5.0, 2.0, 4.0, 3.0]  # of an epoch, on top of the trial's own level
level = self.options["level"] + 0.25 * (self.settings.seed % 3)
# Dice says the opposite in everything: of trials, and of epochs.
dice = min(0.9, 0.1 * (level + 1)) + 0.01 * (epoch == 0)
return Validation(dice=dice, metrics={"distance": distances[epoch] + level, "spread": 7.0})
"""
SWEEP = """\
name: minimised
trials: 6
searcher: {{name: grid}}
scheduler: {{name: asha, grace_period: 2, reduction_factor: 2, pause: false}}
confirm: {{top: 2, seeds: 3}}
presets: []
objective: {{metric: distance, mode: min}}
trainer: {{kind: custom, entry: {entry}, epochs: 5, device: cpu, options: {{level: 0}}}}
loss: {{weights: {{compactness: 0, boundary: 0, aspect: 0}}}}
early_stopping: {{patience: null}}
space:
  trainer.options.level: {{grid: [2, 0, 5, 1, 4, 3]}}
"""


class _Stopped(Exception):
    """What Ray does to a trial that is told to stop."""


def execute(spec: SweepSpec, folder: Path) -> None:
    """Train every trial that the controller hands out, in its own folder, one after the other."""
    with Store.create(folder, to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        while (place := controller.next_trial()) is not None:
            train(controller, place)
        assert controller.finished


def train(controller: SweepController, place: Path) -> None:
    def report(metrics: EpochMetrics) -> None:
        if controller.report(place.name, replace(metrics, seconds=1.0)) is Decision.STOP:
            raise _Stopped

    try:
        outcome: Outcome = fit(
            load_trial(place / "config.yaml"), report=report, checkpoint=Checkpoints(place)
        )
    except _Stopped:
        return
    controller.end(place.name, outcome)


@dataclass(frozen=True)
class Done:
    spec: SweepSpec
    folder: Path
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("minimised")
    file = folder / "space.yaml"
    file.write_text(SWEEP.format(entry=write_scripted(folder, VALIDATE)))
    spec = load_sweep(file)
    execute(spec, folder / "results")
    return Done(spec, folder / "results", write_ranking(folder / "results").table.frame())


def test_lowest_value_ranks_first_and_dice_decides_nothing(done: Done) -> None:
    rows = done.frame.set_index("trial_id")
    assert list(rows.index) == ["t0001", "t0003", "t0000", "t0005", "t0004", "t0002"]
    best = rows.loc["t0001"]
    # Seed 0: distances[2] + level 0. Of the last epoch 3; its Dice is the lowest of all.
    assert (best["distance"], best["best_epoch"], best["last_distance"]) == (2.0, 2, 3.0)
    assert best["val_dice"] == 0.1
    assert list(done.frame.columns[:5]) == ["rank", "trial_id", "status", "distance", "val_dice"]
    assert list(rows["spread"]) == [7.0] * 6


def test_scheduler_prunes_the_high_ones(done: Done) -> None:
    status = dict(zip(done.frame["trial_id"], done.frame["status"], strict=True))
    # After two epochs come, in this order, the levels 2, 0, 5, 1, 4, 3: of n that have come those
    # go on whose rank is at most n / 2, rounded up.
    assert {name for name, one in status.items() if one == Status.PRUNED} == {
        "t0002",
        "t0004",
        "t0005",
    }
    epochs = dict(zip(done.frame["trial_id"], done.frame["epochs"], strict=True))
    assert (epochs["t0001"], epochs["t0002"], epochs["t0003"]) == (5, 2, 5)


def test_weights_of_the_lowest_epoch_are_kept(done: Done) -> None:
    best = Checkpoints(Layout(done.folder).trial("t0001").folder).load_best()
    assert best is not None
    assert best["epoch"] == 2


def test_leaders_are_confirmed_by_the_mean_of_their_own_metric(done: Done) -> None:
    rows = done.frame.set_index("trial_id")
    # Seeds 1, 2, 3 add 0.25, 0.5 and 0.
    assert rows.loc["t0001", "mean_distance"] == pytest.approx(2.25)
    assert rows.loc["t0003", "mean_distance"] == pytest.approx(3.25)
    low, high = rows.loc["t0001", ["distance_low", "distance_high"]]
    assert low < 2.25 < high
    assert "mean_dice" not in rows
    told = headline(read_results(done.folder))
    assert told.startswith("t0001 is best: mean distance 2.2500 (95 %: ")


def test_best_yaml_says_what_it_is_the_best_in(done: Done) -> None:
    lines = (done.folder / "best.yaml").read_text().splitlines()
    assert lines[1] == "# distance 2.0 at epoch 2"
    assert lines[2].startswith("# mean over 3 replicates 2.2500 (95 %: ")
    assert load_trial(done.folder / "best.yaml").judged_by == done.spec.judged_by


def test_report_speaks_of_the_metric_and_shows_those_of_the_trainers_own(done: Done) -> None:
    results = read_results(done.folder)
    tables = page_data(results).tables
    assert "by its best value" in tables[-1].order
    shown = {column.title for table in tables for column in table.columns}
    assert {"distance", "mean distance", "val Dice", "spread"} <= shown
    titles = [exhibit.title for exhibit in figures_of(results)]
    assert "What decides about distance" in titles
    assert "distance over each parameter" in titles
    assert "distance, Dice and epochs together" in titles
    curves = next(e for e in figures_of(results) if e.name == "learning-curves")
    assert curves.finding.startswith("t0001 reached 2.0000 in epoch 2")
    assert curves.figure is not None
    assert curves.figure.layout.yaxis.title.text == "distance"


def test_commands_rank_print_and_sort_by_the_metric(done: Done) -> None:
    def rank(*arguments: str) -> str:
        told = CliRunner().invoke(app, ["rank", str(done.folder), *arguments])
        assert told.exit_code == 0, told.output
        return told.stdout

    rows = json.loads(rank("--json"))
    assert [row["distance"] for row in rows][:2] == [2.0, 3.0]
    table = rank()
    assert "distance" in table
    assert "spread" in table
    assert "val Dice" in table
    by_metric = json.loads(rank("--json", "--sort", "distance"))
    assert [row["distance"] for row in by_metric] == sorted(row["distance"] for row in rows)
    assert json.loads(rank("--json", "--pareto"))[0]["trial_id"] == "t0001"


def test_sweeps_of_two_objectives_have_no_common_order(done: Done, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Store.create(other, "name: other\nspace: {seed: {choice: [1, 2]}}\n").close()
    told = CliRunner().invoke(app, ["rank", str(done.folder), str(other)])
    assert told.exit_code == 2
    assert "results is ranked by distance (min) and other by val_dice (max)" in told.stderr


def test_next_sweep_learns_the_metric_from_this_one_and_dice_from_none_of_it(
    done: Done, tmp_path: Path
) -> None:
    def earlier(change: Callable[[str], str]) -> list[tuple[str, float | None]]:
        file = tmp_path / "next.yaml"
        entry = done.spec.trainer.model_dump()["entry"]
        text = change(
            SWEEP.replace("confirm:", "warm_start: {{results: RESULTS, enqueue: 1}}\n#").format(
                entry=entry
            )
        )
        file.write_text(text.replace("RESULTS", str(done.folder)))
        return [(record.trial_id, record.value) for record in read_warm_start(load_sweep(file))]

    same = earlier(lambda text: text)
    assert ("t0001", 2.0) in same
    assert len(same) == 6  # the replicates say nothing more
    by_dice = earlier(lambda text: text.replace("{metric: distance, mode: min}", "val_dice"))
    assert ("t0001", 0.11) in by_dice  # the first epoch's, by Dice the best
    unknown = earlier(lambda text: text.replace("metric: distance", "metric: surface"))
    assert unknown == []
