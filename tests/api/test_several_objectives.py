"""Sweeps of several objectives without Ray: the Pareto set, resumed, shown and refused."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from scripted import write_scripted
from typer.testing import CliRunner

import sweep
from sweep.analysis.figures.pareto import pareto_front
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.pareto_ranks import pareto_ranks
from sweep.cli import app
from sweep.report.headline import headline
from sweep.spec.load import load_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import Layout
from sweep.store.read_results import read_objective
from sweep.store.warm_start_file import read_earlier, write_earlier
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, Status, TrialRecord

VALIDATE = """\
# A trade-off: what a larger rate adds to Dice, it adds to the distance, and momentum only harms.
# The best Dice comes in epoch 2, the smallest distance in epoch 0.
rate, harm = self.settings.optimizer.lr, self.settings.optimizer.weight_decay
dice = 0.5 + rate - harm - 0.02 * abs(epoch - 2)
return Validation(dice=dice, metrics={"distance": 10 * rate + 50 * harm + epoch})
"""
BOTH = [{"metric": "val_dice"}, {"metric": "distance", "mode": "min"}]
PAUSE = {"name": "asha", "grace_period": 1, "rung_factor": 4, "pause": True}
ARRIVAL = PAUSE | {"pause": False}


def values(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "both",
        "trials": 6,
        "searcher": "grid",
        "scheduler": "none",
        "objective": BOTH,
        "trainer": {"kind": "custom", "entry": write_scripted(folder, VALIDATE), "epochs": 4},
        "loss": {"warmup_epochs": 1},
        "space": {
            "optimizer.lr": {"choice": [0.1, 0.2, 0.3]},
            "optimizer.weight_decay": {"choice": [0.0, 0.05]},
        },
        **more,
    }


def run(source: Any, folder: Path, **arguments: Any) -> sweep.SweepResults:
    return sweep.run(
        source, results=folder / "results", executor="local", progress=False, **arguments
    )


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=["seconds"])


def test_report_names_the_only_trial_that_no_other_beats(tmp_path: Path) -> None:
    space = {"optimizer.weight_decay": {"choice": [0.0, 0.05]}}
    results = run(values(tmp_path, space=space, trials=2), tmp_path)
    assert headline(read_results(results.folder)) == (
        "t0000 has the highest validation Dice, 0.5100 (epoch 2). No other trial beats it in Dice"
        " and distance at once."
    )


def test_ranking_has_the_front_first_and_each_trial_with_the_values_of_one_epoch(
    tmp_path: Path,
) -> None:
    results = run(values(tmp_path), tmp_path)
    frame = results.frame
    # Trials 0 to 5: rates 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, every other one harmed.
    assert list(frame["trial_id"]) == ["t0004", "t0002", "t0000", "t0005", "t0003", "t0001"]
    assert list(frame["pareto"]) == [0, 0, 0, 1, 1, 1]
    assert list(frame["best_epoch"]) == [2] * 6
    # At the best epoch of Dice, not each at its own best: 10 · rate + 50 · harm + 2.
    assert list(frame["distance"]) == pytest.approx([5.0, 4.0, 3.0, 7.5, 6.5, 5.5])
    assert list(results.pareto["trial_id"]) == ["t0004", "t0002", "t0000"]
    assert results.best.config.optimizer.lr == 0.3
    best = Layout(results.folder).best_yaml.read_text()
    assert "in validation Dice and distance, the one with the highest validation Dice" in best
    assert "# distance 5.0000\n" in best
    assert load_trial(results.folder / "best.yaml").judged_by.words == (
        "val_dice (max), distance (min)"
    )


def test_commands_and_the_report_show_the_front(tmp_path: Path) -> None:
    folder = str(run(values(tmp_path), tmp_path).folder)
    table = CliRunner().invoke(app, ["rank", folder], env={"COLUMNS": "160"})
    assert table.exit_code == 0, table.output
    assert "pareto" in table.output
    assert "distance" in table.output
    found = CliRunner().invoke(app, ["rank", folder, "--pareto", "--json"])
    assert [row["trial_id"] for row in json.loads(found.output)] == ["t0004", "t0002", "t0000"]
    figure = pareto_front(read_results(Path(folder)))
    assert figure.figure is not None
    assert figure.finding.startswith(
        "Trials that no other beats in Dice and distance at once (3 of 6): t0004, t0002 and t0000."
    )
    assert headline(read_results(Path(folder))) == (
        "3 of 6 trials with a result are beaten by no other in Dice and distance at once: t0004,"
        " t0002 and t0000. t0004 has the highest validation Dice of them, 0.8000 (epoch 2)."
    )
    done = CliRunner().invoke(app, ["export", folder])
    assert done.exit_code == 0, done.output
    report = (Path(folder) / "report.html").read_text()
    titles = re.findall(r'"title":"(\w+)"', report)
    assert {"pareto", "distance"} <= set(titles)


@pytest.mark.parametrize("scheduler", [ARRIVAL, PAUSE], ids=["on arrival", "pause"])
def test_rungs_keep_a_third_by_fronts_and_no_weights_of_a_possible_finalist_are_lost(
    scheduler: dict[str, Any], tmp_path: Path
) -> None:
    results = run(values(tmp_path, scheduler=scheduler), tmp_path)
    frame = results.frame.set_index("trial_id")
    whole = sorted(frame.index[frame["status"] == "completed"])
    if scheduler["pause"]:
        # One third of six, by the ε-net of the front: the best Dice, then the smallest distance.
        assert whole == ["t0000", "t0004"]
    else:
        # In order: 1st of 1; beaten; best of the front; beaten; best; beaten. The first of n / 3.
        assert whole == ["t0000", "t0002", "t0004"]
    weights = [Layout(results.folder).trial(name).best_checkpoint for name in frame.index]
    assert all(file.exists() for file in weights)


@pytest.mark.parametrize(
    ("searcher", "scheduler"),
    [("tpe", ARRIVAL), ("gp", "none"), ("qmc", ARRIVAL)],
)
def test_sweep_that_is_extended_and_resumed_equals_the_one_that_was_whole(
    searcher: str, scheduler: Any, tmp_path: Path
) -> None:
    def of(folder: Path, trials: int) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        space = {
            "optimizer.lr": {"uniform": [0.1, 0.3]},
            "optimizer.weight_decay": {"uniform": [0.0, 0.05]},
        }
        name = {"name": searcher} | ({"startup_trials": 3} if searcher in ("tpe", "gp") else {})
        return values(folder, trials=trials, searcher=name, scheduler=scheduler, space=space)

    whole = run(of(tmp_path / "whole", 6), tmp_path / "whole")
    run(of(tmp_path / "parts", 4), tmp_path / "parts")
    parts = run(of(tmp_path / "parts", 4), tmp_path / "parts", extend={"trials": "+2"})
    assert plain(parts.frame).equals(plain(whole.frame))


def test_study_has_a_direction_and_a_value_for_each_objective(tmp_path: Path) -> None:
    folder = run(values(tmp_path, scheduler=ARRIVAL), tmp_path).folder
    backend = optuna.storages.journal.JournalFileBackend(str(Layout(folder).study))
    study = optuna.load_study(study_name="both", storage=optuna.storages.JournalStorage(backend))
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [len(trial.values) for trial in study.trials] == [2] * 6


def test_sweep_of_several_objectives_learns_all_of_them_from_an_earlier_one(
    tmp_path: Path,
) -> None:
    earlier = run(values(tmp_path), tmp_path)
    first = earlier.spec.judged_by
    costly = Objective(others=(*first.others, Objective("seconds", "min")))
    records = [replace(record, objective=costly) for record in read_results(earlier.folder).records]
    write_earlier(tmp_path / "copy.jsonl", records, costly)
    copies = read_earlier(tmp_path / "copy.jsonl", costly)
    assert [copy.point for copy in copies] == [record.point for record in records]
    assert None not in [copy.point for copy in copies]


def test_cost_is_an_objective_and_trials_that_were_stopped_are_not_cheap(tmp_path: Path) -> None:
    results = run(values(tmp_path, objective=["val_dice", "epochs"], scheduler=ARRIVAL), tmp_path)
    frame = results.frame
    pruned = frame["status"] == "pruned"
    assert pruned.any()
    assert frame.loc[pruned, "pareto"].min() > frame.loc[~pruned, "pareto"].max()
    assert pareto_front(read_results(results.folder)).figure is not None


def record_of(number: int, dice: list[float], **more: Any) -> TrialRecord:
    values = {
        "outcome": Outcome(status=Status.COMPLETED),
        "objective": Objective(others=(Objective("hd95", "min"), Objective("epochs", "min"))),
    } | more
    history = tuple(
        EpochMetrics(epoch=n, val_dice=d, metrics={"hd95": 10 * d}) for n, d in enumerate(dice)
    )
    return TrialRecord(
        trial_id=f"t{number:04d}", number=number, parameters={}, history=history, **values
    )


def test_point_is_of_the_best_epoch_and_of_the_whole_cost() -> None:
    record = record_of(0, [0.5, 0.7, 0.6])
    assert record.point == (0.7, -7.0, -3.0)
    without = EpochMetrics(epoch=0, val_dice=0.5)
    assert record.objective.point([without]) == (0.5, -math.inf, -1.0)
    assert record.objective.point([EpochMetrics(epoch=0, val_dice=None)]) is None


def test_fronts_pass_over_trials_without_a_value_and_put_pruned_ones_behind() -> None:
    pruned = Outcome(status=Status.PRUNED)
    failed = Outcome(status=Status.FAILED)
    records = [
        record_of(0, [0.5, 0.6]),
        record_of(1, [0.5], outcome=pruned),
        record_of(2, [0.9], outcome=failed),
        record_of(3, [0.5, 0.6, 0.55]),
    ]
    assert pareto_ranks(records) == [0, 2, None, 1]


def test_epoch_that_only_equals_the_best_is_the_best_if_its_dice_is_higher() -> None:
    saturated = Objective("nsd")
    history = [
        EpochMetrics(epoch=n, val_dice=dice, metrics={"nsd": 1.0})
        for n, dice in enumerate([0.5, 0.8, 0.8, None])
    ]
    best = saturated.best(history)
    assert best is not None
    assert best.epoch == 1


BASE: dict[str, Any] = {
    "name": "toy",
    "space": {"optimizer.lr": {"uniform": [0.1, 0.3]}},
    "evaluation": {"metrics": ["iou", "hd95", "nsd"]},
}
REFUSED = {
    "a cost first": ({"objective": ["epochs", "val_dice"]}, "objective.0.metric", "after another"),
    "a cost alone": ({"objective": "seconds"}, "objective.metric", "what a trial costs"),
    "a cost to be maximised": (
        {"objective": ["val_dice", {"metric": "epochs", "mode": "max"}]},
        "objective.1.mode",
        "costs are minimised",
    ),
    "twice": ({"objective": ["hd95", "hd95"]}, "objective.1", "listed twice"),
    "too many": ({"objective": ["val_dice", "iou", "hd95", "nsd"]}, "objective", "at most 3"),
    "not measured": (
        {"objective": ["val_dice", "compactness"]},
        "objective.1.metric",
        "add `shape` to `evaluation.metrics`",
    ),
    "unknown": ({"objective": ["val_dice", "hd59"]}, "objective.1.metric", "hd95"),
    "cmaes": ({"searcher": "cmaes"}, "searcher", "use `tpe`"),
    "median": ({"scheduler": "median"}, "scheduler", "use `asha`"),
    "activation": (
        {"scheduler": {"name": "asha", "clock": "activation"}, "presets": ["baseline"]},
        "scheduler.clock",
        "use `epochs`",
    ),
    "stop_when": ({"stop_when": 0.002}, "stop_when", "by one objective"),
    "replayed patience": (
        {
            "objective": ["val_dice", "epochs"],
            "space": {
                "optimizer.lr": {"uniform": [0.1, 0.3]},
                "early_stopping.patience": {"randint": [2, 9]},
            },
        },
        "objective",
        "add `replay_patience: false`",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_several_objectives_do_not_go_with_is_refused_at_its_key(
    case: str, tmp_path: Path
) -> None:
    changes, key, words = REFUSED[case]
    file = tmp_path / "toy.yaml"
    file.write_text(json.dumps(BASE | {"objective": ["val_dice", "hd95"]} | changes))
    with pytest.raises(sweep.InputError) as error:
        sweep.load(file)
    [mistake] = error.value.mistakes
    assert mistake.key == key
    assert words in mistake.message
    assert mistake.line is not None


def test_spec_of_several_objectives_is_written_as_a_list_and_read_back(tmp_path: Path) -> None:
    spec = SweepSpec.model_validate(BASE | {"objective": ["nsd", "hd95", "seconds"]})
    assert spec.judged_by.words == "nsd (max), hd95 (min), seconds (min)"
    assert SweepSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.trial({"optimizer.lr": 0.2}).judged_by == spec.judged_by
    assert spec.scheduler.clock == "epochs"  # type: ignore[union-attr]
    (tmp_path / "sweep.yaml").write_text(json.dumps(spec.model_dump(mode="json")))
    assert read_objective(tmp_path) == spec.judged_by
    one = SweepSpec.model_validate(BASE | {"objective": ["nsd"]})
    assert one.model_dump()["objective"] == {"metric": "nsd", "mode": "max"}


def test_real_trainer_searches_dice_and_hd95_and_measures_both_in_its_best_epochs(
    tmp_path: Path,
) -> None:
    results = run(
        {
            "name": "real",
            "trials": 4,
            "objective": ["val_dice", "hd95"],
            "evaluation": {"metrics": ["hd95"]},
            "searcher": {"name": "tpe", "startup_trials": 2},
            "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2},
            "data": {"source": "shapes", "kind": "one_circle", "size": 32, "count": 8},
            "network": {"channels": [4, 8, 8]},
            "trainer": {"epochs": 3, "device": "cpu"},
            "loss": {"warmup_epochs": 0},
            "space": {"optimizer.lr": {"loguniform": [1e-3, 0.3]}},
        },
        tmp_path,
    )
    frame = results.frame
    whole = frame[frame["best_epoch"].notna()]
    assert len(whole) >= 2
    assert whole["hd95"].notna().all()
    points = list(zip(whole["val_dice"], -whole["hd95"], strict=True))
    unbeaten = [not any(a >= p[0] and b >= p[1] and (a, b) != p for a, b in points) for p in points]
    assert [front == 0 for front in whole["pareto"]] == unbeaten
    assert whole["pareto"].is_monotonic_increasing
