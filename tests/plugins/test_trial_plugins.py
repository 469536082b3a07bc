"""Loss terms, metrics and data sources that a stranger brings."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import sweep
from sweep.cli import app
from sweep.data.prepared.prepare import check_pixels
from sweep.search.schedulers.scheduler import make_scheduler
from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.settings.data_settings import PluginData
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.testing import LossTermContract, MetricContract
from sweep.trainer.losses import geometric
from sweep.trainer.losses.geometric_loss import geometric_terms

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin" / "example_plugin.py"
MINE = """
import json, pathlib
import numpy as np
import torch

def spread(p):
    return p.flatten(1).std(dim=1)

calls = 0

def growing(p):
    global calls
    calls += 1
    return 0 * p.mean(dim=(1, 2)) + calls

def overlap(logits, target):
    p = logits.softmax(dim=1)[:, 1]
    return 1 - (p * (target[:, 0] == 1)).sum() / p.sum()

def of_each(logits, target):
    return logits.mean(dim=(1, 2, 3))

def dice(logits, target):
    return logits.mean()

def scalar(p):
    return p.mean()

def takes_two(p, spacing):
    return p

def mirrored_dice(prediction, reference):
    assert prediction.dtype == reference.dtype == bool and prediction.ndim == 2
    return 1 - 2 * (prediction & reference).sum() / (prediction.sum() + reference.sum())

def infinite(prediction, reference):
    return float("inf")

def nothing(prediction, reference):
    return float("nan")

def text(prediction, reference):
    return "good"

def raises(*given):
    raise ZeroDivisionError("no pixels")

def empty(folder):
    pass

def broken(folder, count=3):
    raise RuntimeError("the archive is locked")
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


def values(**more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "trials": 3,
        "presets": ["baseline"],
        "searcher": "random",
        "scheduler": "none",
        "data": {"source": "shapes", "count": 10, "size": 32},
        "trainer": {"epochs": 2, "batch_size": 4, "device": "cpu"},
        "network": {"channels": [4, 8, 8]},
        "loss": {"warmup_epochs": 1, "rampup_epochs": 0},
        "space": {"optimizer.lr": {"choice": [0.01, 0.02, 0.03]}},
        **more,
    }


def with_term(entry: object, **more: Any) -> dict[str, Any]:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0, "spread": 0.5}
    loss = {"terms": entry, "weights": weights, "warmup_epochs": 1, "rampup_epochs": 0}
    return values(loss=loss, **more)


def refused(spec: dict[str, Any]) -> list[str]:
    with pytest.raises(sweep.InputError) as caught:
        sweep.check(spec)
    return [str(mistake) for mistake in caught.value.mistakes]


def run(spec: dict[str, Any], folder: Path) -> Any:
    return sweep.run(spec, results=folder, executor="local", progress=False)


def test_term_of_a_plugin_acts_from_the_switch_on_and_not_in_the_baseline(
    mine: Path, tmp_path: Path
) -> None:
    space = {"loss.weights.spread": {"choice": [0.25, 0.5]}}
    results = run(with_term(f"{mine}:spread", space=space), tmp_path / "results")
    baseline, first, second = (results[f"t000{n}"] for n in range(3))
    assert "terms.spread" not in baseline.history
    assert baseline.config.loss.weights.of_plugins == {"spread": 0.0}
    assert {one.config.loss.weights.of_plugins["spread"] for one in (first, second)} <= {0.25, 0.5}
    for trial in (first, second):
        assert trial.history["terms.spread"].notna().tolist() == [False, True]
    assert (results.frame["loss.weights.spread"] > 0).sum() == 2


def test_trials_that_differ_in_a_plugins_weight_share_their_warmup(
    mine: Path, tmp_path: Path
) -> None:
    space = {"loss.weights.spread": {"choice": [0.25, 0.5, 0.75]}}
    results = run(with_term(f"{mine}:spread", space=space), tmp_path / "results")
    shared = [results[f"t000{n}"].history["shared"].tolist() for n in range(3)]
    assert shared == [[False, False], [True, False], [True, False]]


def test_term_is_the_mean_over_valid_samples_as_ours_are(mine: Path) -> None:
    p = torch.rand(4, 16, 16, requires_grad=True)
    settings = LossSettings.model_validate(
        {"terms": [f"{mine}:spread"], "weights": {"spread": 1.0}, "min_area": 100.0}
    )
    with torch.no_grad():
        p[1] *= 0.1  # below the smallest area
    found = geometric_terms(settings, p)["spread"]
    expected = p[[0, 2, 3]].flatten(1).std(dim=1).mean()
    torch.testing.assert_close(found, expected)


def test_term_that_grows_is_not_taken_for_a_main_loss_that_explodes(
    mine: Path, tmp_path: Path
) -> None:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0, "growing": 1e-6}
    loss = {"terms": f"{mine}:growing", "weights": weights, "warmup_epochs": 0, "rampup_epochs": 0}
    spec = values(loss=loss, presets=[], trials=1)
    spec["trainer"] = {"epochs": 30, "batch_size": 4, "device": "cpu"}
    spec["guard"] = {"collapsed_epochs": None}
    trial = run(spec, tmp_path / "results")["t0000"]
    growth = trial.history["terms.growing"]
    assert growth.iloc[-1] > 30 * growth.iloc[0]  # an outlier by the guard's factor
    assert trial.status == "completed"


def test_winner_with_a_plugin_is_trained_again_to_the_same_numbers(
    mine: Path, tmp_path: Path
) -> None:
    settings = TrialSettings.model_validate(
        {
            key: value
            for key, value in with_term(f"{mine}:spread").items()
            if key in TrialSettings.model_fields
        }
    )
    again = tmp_path / "best.yaml"
    again.write_text(to_yaml(settings))
    one = sweep.train(settings, results=tmp_path / "one", progress=False)
    other = sweep.train(again, results=tmp_path / "other", progress=False)
    columns = ["val_dice", "train_loss", "terms.spread", "grad_norm"]
    assert one.history[columns].equals(other.history[columns])


def test_interrupted_sweep_with_a_plugin_term_goes_on_with_it(mine: Path, tmp_path: Path) -> None:
    spec = with_term(f"{mine}:spread", space={"loss.weights.spread": {"uniform": [0.1, 0.9]}})
    whole = run(spec, tmp_path / "whole")
    part = run({**spec, "trials": 2}, tmp_path / "part")
    assert len(part) == 2
    resumed = sweep.run(
        {**spec, "trials": 2},
        extend={"trials": 3},
        results=tmp_path / "part",
        executor="local",
        progress=False,
    )
    columns = ["trial_id", "val_dice", "loss.weights.spread"]
    assert resumed.frame[columns].equals(whole.frame[columns])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"terms": "{}:sprea", "weights": {"sprea": 1.0}}, "did you mean `spread`"),
        ({"terms": "{}:takes_two", "weights": {"takes_two": 1.0}}, "must take (p)"),
        ({"terms": "spread"}, "must be `my_package.module:MyLossTerm`"),
        ({"weights": {"spread": 1.0}}, "`spread` is not a setting of `loss.weights`"),
        ({"terms": "{}:spread", "weights": {"spred": 1.0}}, "`spred` is not a setting"),
        ({"terms": "{}:spread", "weights": {"spread": -1.0}}, "must be at least 0, but is -1"),
    ],
)
def test_wrong_term_is_refused_before_a_trial_starts(
    loss: dict[str, Any], message: str, mine: Path
) -> None:
    def named(entry: str) -> str:
        return entry.format(mine)

    if "terms" in loss:
        terms = loss["terms"]
        loss = {**loss, "terms": named(terms) if isinstance(terms, str) else [*map(named, terms)]}
    [found] = refused(values(loss=loss))
    assert message in found


def test_term_that_returns_one_number_for_all_samples_fails_its_trial_in_words(
    mine: Path, tmp_path: Path
) -> None:
    spec = with_term(f"{mine}:scalar")
    spec["loss"]["weights"] = {"scalar": 0.5}
    results = run({**spec, "presets": [], "trials": 1}, tmp_path / "results")
    error = (results.folder / "trials" / "t0000" / "error.txt").read_text()
    assert "must return one value for each of the" in error


def test_main_loss_of_a_plugin_is_the_whole_loss_before_the_switch_on(
    mine: Path, tmp_path: Path
) -> None:
    results = run(values(loss={"main": f"{mine}:overlap", "warmup_epochs": 1}), tmp_path / "r")
    first = results["t0000"].history.iloc[0]
    assert first["terms.overlap"] == first["train_loss"]
    assert not {"terms.dice", "terms.ce"} & set(results["t0000"].history)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"main": "{}:overlp"}, "did you mean `overlap`"),
        ({"main": "{}:spread"}, "must take (logits, target)"),
        ({"main": "{}:dice"}, "`dice` is the name of another loss term"),
        ({"main": "{}:overlap", "dice_weight": 0.5}, "a plug-in is the whole main loss"),
        ({"main": "{}:overlap", "focal_gamma": 2.0}, "has no focal term"),
        ({"main": "dice_cee"}, "did you mean `dice_ce`"),
    ],
)
def test_wrong_main_loss_is_refused_before_a_trial_starts(
    loss: dict[str, Any], message: str, mine: Path
) -> None:
    found = refused(values(loss={**loss, "main": loss["main"].format(mine)}))
    assert message in "\n".join(found)


def test_main_loss_that_is_no_scalar_fails_its_trial_in_words(mine: Path, tmp_path: Path) -> None:
    spec = values(loss={"main": f"{mine}:of_each"}, presets=[], trials=1)
    results = run(spec, tmp_path / "results")
    error = (results.folder / "trials" / "t0000" / "error.txt").read_text()
    assert "must return a scalar, but returned [4]" in error


@pytest.mark.parametrize(
    "setting",
    [
        {"loss": {"main": "{}:raises"}},
        {"loss": {"terms": "{}:raises", "weights": {"raises": 0.5}, "warmup_epochs": 0}},
        {"evaluation": {"metrics": ["{}:raises"]}},
    ],
)
def test_trial_whose_plugin_raises_names_its_file_and_line(
    setting: dict[str, Any], mine: Path, tmp_path: Path
) -> None:
    setting = json.loads(json.dumps(setting).replace("{}:", f"{mine}:"))
    results = run(values(**setting, presets=[], trials=1), tmp_path / "results")
    line = MINE.splitlines().index('    raise ZeroDivisionError("no pixels")') + 1
    assert results["t0000"].record.outcome.cause == (
        f"ZeroDivisionError: no pixels, at {mine}:{line}"
    )


def test_metric_of_a_plugin_can_be_the_objective(mine: Path, tmp_path: Path) -> None:
    spec = values(
        evaluation={"metrics": [f"{mine}:mirrored_dice"]},
        objective={"metric": "mirrored_dice", "mode": "min"},
    )
    results = run(spec, tmp_path / "results")
    frame = results.frame
    # One image a case and one class: the metric is 1 − Dice by its definition.
    assert frame["mirrored_dice"].tolist() == pytest.approx((1 - frame["val_dice"]).tolist())
    assert frame["mirrored_dice"].is_monotonic_increasing


def test_metric_that_says_nothing_has_no_value(mine: Path, tmp_path: Path) -> None:
    spec = values(evaluation={"metrics": [f"{mine}:nothing", "hd95"]}, presets=[], trials=1)
    results = run(spec, tmp_path / "results")
    assert results.frame["nothing"].isna().all()
    assert results.frame["hd95"].notna().all()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("infinite", "returned inf for class 1 of"),
        ("text", "must return a number, but returned str"),
    ],
)
def test_metric_that_returns_no_number_fails_its_trial_in_words(
    metric: str, message: str, mine: Path, tmp_path: Path
) -> None:
    spec = values(evaluation={"metrics": [f"{mine}:{metric}"]}, presets=[], trials=1)
    results = run(spec, tmp_path / "results")
    assert message in (results.folder / "trials" / "t0000" / "error.txt").read_text()


@pytest.mark.parametrize(
    ("evaluation", "objective", "message"),
    [
        ({"metrics": ["{}:hd95"]}, "val_dice", "is the name of another metric or column"),
        ({"metrics": ["{}:seconds"]}, "val_dice", "is the name of another metric or column"),
        ({"metrics": ["{}:nothin"]}, "val_dice", "did you mean `nothing`"),
        ({"metrics": ["{}:spread"]}, "val_dice", "must take (prediction, reference)"),
        ({"metrics": ["{}:nothing"]}, "nothing", "must be `max` or `min`"),
        ({"metrics": ["iou"]}, {"metric": "nothing", "mode": "min"}, "must be `val_dice`, `iou`"),
    ],
)
def test_wrong_metric_is_refused_before_a_trial_starts(
    evaluation: dict[str, Any], objective: Any, message: str, mine: Path
) -> None:
    metrics = [name.format(mine) for name in evaluation["metrics"]]
    assert message in "\n".join(
        refused(values(evaluation={"metrics": metrics}, objective=objective))
    )


def source(entry: str, **options: Any) -> dict[str, Any]:
    return {"data": {"source": entry, "options": options}}


def test_source_of_a_plugin_is_written_once_and_read_like_a_folder(
    mine: Path, tmp_path: Path
) -> None:
    results = run(values(**source(f"{EXAMPLE}:squares", count=10)), tmp_path / "results")
    data: Any = results.spec.data
    assert data.source == "custom"
    assert data.fingerprint.startswith("dataset.json:")
    [folder] = (tmp_path / "cache").glob("written-*/")
    before = (folder / "dataset.json").stat().st_mtime_ns
    assert len(list((folder / "imagesTr").iterdir())) == 10
    run(values(**source(f"{EXAMPLE}:squares", count=10)), tmp_path / "again")
    assert (folder / "dataset.json").stat().st_mtime_ns == before


WRITES = """
from functools import partial
from example_plugin import squares
from count_beside import COUNT

def write(folder):
    squares(folder, count=COUNT)

class Writer:
    def __call__(self, folder):
        write(folder)

in_part, an_object = partial(write), Writer()
"""


@pytest.mark.parametrize("name", ["write", "in_part", "an_object"])
def test_source_is_written_again_if_its_file_or_one_beside_it_changes(
    mine: Path, tmp_path: Path, name: str
) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    (file := tmp_path / "writes.py").write_text(WRITES)
    settings = PluginData(source="custom", entry=f"{file}:{name}", folds=2)
    for count, datasets in ((10, 1), (10, 1), (12, 2)):
        (tmp_path / "count_beside.py").write_text(f"COUNT = {count}\n")
        assert check_pixels(settings)[0] == []
        assert len([*(tmp_path / "cache").glob("written-*/")]) == datasets


def test_searched_option_of_a_source_makes_a_dataset_each(mine: Path, tmp_path: Path) -> None:
    spec = values(
        **source(f"{EXAMPLE}:squares", count=10, side=32),
        space={"data.options.side": {"grid": [32, 48]}},
        searcher="grid",
        presets=[],
        trials=2,
    )
    results = run(spec, tmp_path / "results")
    sizes = {results[name].config.data.options["side"] for name in ("t0000", "t0001")}
    assert sizes == {32, 48}
    assert results.frame["val_dice"].nunique() == 2


@pytest.mark.parametrize(
    ("entry", "options", "message"),
    [
        ("empty", {}, "wrote no dataset.json"),
        ("broken", {}, "failed: RuntimeError: the archive is locked"),
        ("broken", {"cases": 2}, "must take (folder, cases=…)"),
        ("brokn", {}, "did you mean `broken`"),
    ],
)
def test_source_that_writes_no_dataset_is_refused_in_words(
    entry: str, options: dict[str, Any], message: str, mine: Path
) -> None:
    [found] = refused(values(**source(f"{mine}:{entry}", **options)))
    assert message in found
    assert "data.source" in found


def test_single_training_refuses_a_wrong_plugin_before_it_trains(
    mine: Path, tmp_path: Path
) -> None:
    config = {
        "network": {"name": f"{mine}:Net"},
        "loss": {"terms": f"{mine}:sprea"},
        "evaluation": {"metrics": [f"{mine}:nothin"]},
        "data": {"source": f"{mine}:brokn"},
    }
    with pytest.raises(sweep.InputError) as caught:
        sweep.train(config, results=tmp_path / "results", progress=False)
    assert {mistake.key for mistake in caught.value.mistakes} == {
        "network.name",
        "loss.terms",
        "evaluation.metrics",
        "data.source",
    }
    assert not (tmp_path / "results").exists()


def test_command_names_file_and_line_of_a_wrong_plugin(mine: Path, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        f"loss:\n  terms: {mine}:sprea\nspace: {{optimizer.lr: {{choice: [0.1, 0.2]}}}}\n"
    )
    done = CliRunner().invoke(app, ["check", str(file)], env={"COLUMNS": "400"})
    assert done.exit_code == 2
    assert "space.yaml:2" in done.output
    assert "did you mean `spread`" in done.output


def test_contract_finds_a_root_that_is_not_guarded_and_a_metric_that_is_infinite() -> None:
    class Unguarded(LossTermContract):
        @staticmethod
        def term(p: torch.Tensor, /) -> torch.Tensor:
            return p.diff(dim=1).square().sum(dim=(1, 2)).sqrt()

    class Infinite(MetricContract):
        @staticmethod
        def metric(prediction: Any, reference: Any, /) -> float:
            return float("inf") if not prediction.any() else 0.0

    Unguarded().test_each_sample_has_one_value()
    with pytest.raises(AssertionError):
        Unguarded().test_gradient_is_finite_on_flat_sharp_and_soft_masks()
    with pytest.raises(AssertionError, match="nothing predicted"):
        Infinite().test_value_is_a_finite_number_or_nothing_wherever_one_mask_is_not_empty()


def test_contract_calls_a_metric_with_a_spacing_with_images_and_volumes() -> None:
    calls = set()

    class Whole(MetricContract):
        @staticmethod
        def metric(prediction: Any, reference: Any, /, spacing: Any) -> float | None:
            assert spacing is None or len(spacing) == prediction.ndim
            calls.add((prediction.ndim, spacing is None))
            return float("inf") if prediction.ndim == 3 and not reference.any() else 0.0

    Whole().test_prediction_that_is_right_has_a_value()
    Whole().test_masks_are_left_as_they_are()
    assert calls == {(2, True), (2, False), (3, True), (3, False)}
    with pytest.raises(AssertionError, match="nothing there, volume"):
        Whole().test_value_is_a_finite_number_or_nothing_wherever_one_mask_is_not_empty()


@pytest.mark.parametrize("term", [geometric.compactness, geometric.aspect])
def test_our_own_terms_keep_the_contract(term: Any) -> None:
    class Ours(LossTermContract):
        @staticmethod
        def term(p: torch.Tensor, /) -> torch.Tensor:
            return torch.as_tensor(term(p, 1e-6, "centered"))

    for name in vars(LossTermContract):
        if name.startswith("test_"):
            getattr(Ours(), name)()


SEARCH = """
from sweep.search.schedulers.decision import Decision, OnArrival

class Outside:
    def __init__(self, space, seed, value=50.0, key="optimizer.lr"):
        self.value, self.key = value, key
    def ask(self, number):
        return None if self.value is None else {self.key: self.value}
    def tell(self, record):
        if self.value == "raise":
            raise ValueError("no such trial")
    def learn(self, record): ...

class Words(OnArrival):
    def __init__(self, grace_period, max_epochs, answer="stop"):
        self.answer = answer
    def report(self, trial_id, epochs, value):
        return self.answer
    def end(self, trial_id, status): ...

class Broken(Words):
    def __init__(self, grace_period, max_epochs, method):
        def fail(*given):
            raise KeyError("no trial")
        setattr(self, method, fail)
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": 50.0}, "returned 50.0 for `optimizer.lr`, which the space does not hold"),
        ({"key": "optimizer.momentum"}, "must return a value for each of ['optimizer.lr'], but"),
        ({"value": "big"}, 'returned "big" for `optimizer.lr`'),
    ],
)
def test_searcher_that_proposes_what_the_space_does_not_hold_ends_the_sweep_in_words(
    options: dict[str, Any], message: str, mine: Path, tmp_path: Path
) -> None:
    mine.write_text(SEARCH)
    searcher = {"name": f"{mine}:Outside", "options": options}
    space = {"optimizer.lr": {"loguniform": [1e-3, 1e-1]}}
    with pytest.raises(sweep.SweepFailed, match=re.escape(message)):
        run(values(searcher=searcher, space=space, presets=[]), tmp_path / "results")


@pytest.mark.parametrize("answer", ["stop", True, None])
def test_scheduler_that_returns_no_decision_ends_the_sweep_in_words(
    answer: Any, mine: Path, tmp_path: Path
) -> None:
    mine.write_text(SEARCH)
    scheduler = {"name": f"{mine}:Words", "options": {"answer": answer}}
    with pytest.raises(sweep.SweepFailed, match=re.escape(f"but returned {answer!r}")):
        run(values(scheduler=scheduler), tmp_path / "results")


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("expect", (3,)),
        ("start", ("t0000",)),
        ("report", ("t0000", 1, 0.5)),
        ("end", ("t0000", "completed")),
        ("decided", ()),
    ],
)
def test_scheduler_that_fails_ends_the_sweep_with_its_name_and_its_line(
    method: str, given: tuple[object, ...], mine: Path
) -> None:
    mine.write_text(SEARCH)
    line = SEARCH.splitlines().index('            raise KeyError("no trial")') + 1
    name = f"{mine}:Broken"
    made = make_scheduler(
        load_sweep(values(scheduler={"name": name, "options": {"method": method}}))
    )
    said = f"the scheduler `{name}`: `{method}` failed: KeyError: 'no trial', at {mine}:{line}"
    with pytest.raises(sweep.SweepFailed, match=re.escape(said)):
        list(getattr(made, method)(*given))


def test_value_of_a_plugin_that_is_not_finite_is_laid_to_the_plugin(
    mine: Path, tmp_path: Path
) -> None:
    mine.write_text("def broken(p):\n    return (p.mean(dim=(1, 2)) - 2).log()\n")
    weights = {"compactness": 0, "boundary": 0, "aspect": 0, "broken": 0.1}
    loss = {"terms": f"{mine}:broken", "weights": weights, "warmup_epochs": 1, "rampup_epochs": 0}
    trial = run(values(loss=loss, presets=[], trials=1), tmp_path / "results")["t0000"]
    assert trial.divergence is not None
    assert (trial.divergence.cause, trial.divergence.term) == ("nonfinite", "broken")
    diagnosis = trial.divergence.diagnosis
    assert diagnosis is not None
    assert diagnosis.likely_cause == "The value of 'broken', a plug-in, was not finite."
    assert "LossTermContract" in diagnosis.advice


def test_term_without_a_weight_and_a_term_named_twice_are_refused(mine: Path) -> None:
    [found] = refused(values(loss={"terms": f"{mine}:spread"}))
    assert "`spread` has no weight" in found
    found = "\n".join(refused(with_term([f"{mine}:spread", f"{mine}:spread"])))
    assert "names a plug-in twice" in found
