"""The finalists on the test split, with networks that were really trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from finalists import finalist
from synthetic import diverged_at, trial

from sweep.analysis.ranking.finalists import finalists
from sweep.data.prepared.prepare import prepare
from sweep.engine.session.evaluate_finalists import evaluate_finalists, untested
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.store import Store
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.test_evaluation import evaluate
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

SPEC = SweepSpec.model_validate(
    {
        "name": "toy",
        "trials": 2,
        "data": {"source": "shapes", "size": 32, "count": 15, "difficulty": 0.0, "test": 0.2},
        "trainer": {"epochs": 3, "batch_size": 4, "device": "cpu"},
        "network": {"name": "unet", "channels": [4, 8, 16]},
        "loss": {"warmup_epochs": 9},
        "optimizer": {"lr": 0.1, "momentum": 0.9},
        "evaluation": {"tta": "flips"},
        "space": {"optimizer.lr": {"choice": [0.1, 0.2]}},
    }
)


def record(store: Store, name: str, metrics: EpochMetrics) -> None:
    store.append_epoch(name, metrics)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two trials, trained; no finalist has been tested."""
    path = tmp_path_factory.mktemp("finals") / "toy"
    with Store.create(path, to_yaml(SPEC)) as store:
        for number, rate in enumerate([0.1, 0.2]):
            settings = SPEC.trial({"optimizer.lr": rate})
            name = store.start_trial(number, {"optimizer.lr": rate}, to_yaml(settings))
            trial_folder = store.layout.trial(name).folder
            report = partial(record, store, name)
            outcome = fit(settings, report=report, checkpoint=Checkpoints(trial_folder))
            store.end_trial(name, outcome)
    return path


def test_on_the_validation_cases_it_measures_what_the_best_epoch_did(folder: Path) -> None:
    with Store.open(folder) as store:
        record = store.records()[0]
        weights = Checkpoints(store.layout.trial("t0000").folder).load_best()
    assert weights is not None
    assert record.best is not None
    settings = SPEC.trial(record.parameters)
    data = prepare(settings.data)
    scores = evaluate(settings, weights, replace(data, test=data.validation))
    assert [score.case for score in scores] == list(data.validation.cases)
    dice = [score.dice for score in scores if score.dice is not None]
    assert sum(dice) / len(dice) == pytest.approx(record.best.val_dice, rel=1e-12)
    distances = [score.hd95 for score in scores if score.hd95 is not None]
    assert sum(distances) / len(distances) == pytest.approx(record.best.metrics["hd95"])


def test_finalists_are_tested_once_and_whoever_has_no_weights_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned, shown = list[str](), list[str]()
    with Store.open(folder) as store:
        best = store.layout.trial("t0001").best_checkpoint
        weights = best.read_bytes()
        best.unlink()
        evaluate_finalists(SPEC, store, warned.append, shown.append)
        first = store.records()
        best.write_bytes(weights[:99])
        evaluate_finalists(SPEC, store, warned.append)
        best.write_bytes(weights)
        evaluate_finalists(SPEC, store, warned.append, shown.append)
        second = store.records()
        assert list(untested(SPEC, second)) == []

        def never(*_: object) -> None:
            raise AssertionError("it was evaluated again")

        monkeypatch.setattr("sweep.trial.test_evaluation.evaluate", never)
        evaluate_finalists(SPEC, store, warned.append)
    ranked = [one.trial_id for one in finalists(SPEC, first)]  # the better one first
    assert ranked == ["t0001", "t0000"]
    assert shown == ["t0000, 1 of 1", "t0001, 1 of 1"], "nobody waits for one without weights"
    assert warned[0] == "t0001 is not tested: its weights were not kept"
    assert [text.partition("best.pt")[2][:11] for text in warned[1:]] == [" is damaged"]
    assert [len(record.test) for record in first] == [3, 0]
    assert [len(record.test) for record in second] == [3, 3]
    assert second[0] == first[0]
    data = prepare(SPEC.data)
    assert [score.case for score in second[0].test] == list(data.test.cases)
    assert not {*data.training.cases, *data.validation.cases} & set(data.test.cases)


def test_error_of_any_kind_costs_only_the_run_that_is_tested(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a user's metric, or of a GPU without memory."""
    copy, warned = shutil.copytree(folder, tmp_path / "toy"), list[str]()

    def broken(settings: TrialSettings, *others: Any) -> Any:
        if settings.optimizer.lr == 0.1:
            raise ZeroDivisionError("no area")
        return evaluate(settings, *others)

    monkeypatch.setattr("sweep.trial.test_evaluation.evaluate", broken)
    with Store.open(copy) as store:
        for number in range(2):
            store.layout.trial(f"t000{number}").test.unlink(missing_ok=True)
        evaluate_finalists(SPEC, store, warned.append)
        assert [len(record.test) for record in store.records()] == [0, 3]
        log = store.layout.log.read_text()
    [told] = warned
    assert told.startswith("t0000 is not tested: ZeroDivisionError: no area, at ")
    assert told.endswith(" (more in sweep.log)")
    assert "Traceback" in log
    assert 'raise ZeroDivisionError("no area")' in log


def test_replicates_are_tested_in_place_of_the_searchs_own_run() -> None:
    lost: TrialRecord = replace(
        finalist(0, 0.9, 0.8)[1], trial_id="t0000r2", outcome=diverged_at(1)
    )
    records = [
        *finalist(0, 0.9, 0.8),
        lost,
        trial(1, Status.COMPLETED, [0.7], {"optimizer.lr": 0.2}),
        trial(2, Outcome(status=Status.FAILED, cause="no"), [0.99]),
    ]
    assert [run.trial_id for run in untested(SPEC, records)] == ["t0000r1", "t0001"]
