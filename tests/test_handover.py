"""Whose weights a sweep hands over when it has ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import trial

from sweep.analysis.ranking.finalists import runs_of
from sweep.analysis.ranking.ranking_frame import write_ranking
from sweep.api.handover import draw, hand_over
from sweep.api.run_sweep import _validate
from sweep.console.console_words import print_warnings
from sweep.console.sweep_view import View
from sweep.engine.session import draw_finalists
from sweep.engine.session.evaluate_finalists import Weights, best_weights, validate_finalists
from sweep.engine.session.in_process import InThisProcess
from sweep.engine.session.sweep_location import SweepLocation
from sweep.report.takeaway.winner_use import nnunet_predict_command
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import TrialPaths
from sweep.store.store import Store
from sweep.trial.kinds.kind import Tools
from sweep.trial.kinds.kind_table import KINDS
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, RealValidation, Replicate, Status

PRUNED = Outcome(status=Status.PRUNED, cause="stopped by asha after 1 epochs")
COMPLETED = Outcome(status=Status.COMPLETED)


def spec_of(kind: str = "monai") -> SweepSpec:
    values = {
        "name": "toy",
        "trials": 2,
        "confirm": {"top": 2, "seeds": 2},
        "space": {"optimizer.lr": {"choice": [0.1, 0.2]}},
    }
    if kind == "nnunet":
        values["trainer"] = {"kind": "nnunet", "dataset": "Dataset002_Heart"}
    return SweepSpec.model_validate(values)


def train(
    store: Store,
    spec: SweepSpec,
    number: int,
    dice: float,
    outcome: Outcome,
    replicate: Replicate | None = None,
    *,
    keeps: bool = True,
) -> None:
    """A trial of one epoch, whose weights are its name."""
    rate = 0.1 * (number + 1)
    config = to_yaml(spec.trial({"optimizer.lr": rate, "seed": replicate.seed if replicate else 0}))
    name = store.start_trial(number, {"optimizer.lr": rate}, config, None, replicate)
    store.append_epoch(name, EpochMetrics(epoch=0, val_dice=dice))
    store.end_trial(name, outcome)
    if keeps:
        store.layout.trial(name).best_checkpoint.write_text(name)


def fill(store: Store, spec: SweepSpec) -> None:
    """The winner is a pruned trial whose own weights were not kept."""
    train(store, spec, 0, 0.80, COMPLETED)
    train(store, spec, 1, 0.79, PRUNED, keeps=False)
    for seed, dice in ((1, 0.91), (2, 0.93)):
        train(store, spec, 0, dice - 0.2, COMPLETED, Replicate("t0000", seed, 0))
        train(store, spec, 1, dice, COMPLETED, Replicate("t0001", seed, 0))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        fill(store, spec_of())
        yield store


class Lines(View):
    """Keeps what is said; warnings go to stderr."""

    def __init__(self, out: io.StringIO) -> None:
        self.out = out

    def say(self, line: str, *, wrap: bool = False) -> None:
        self.out.write(f"{line}\n")

    def warn(self, *warnings: str) -> None:
        print_warnings(warnings)


def told(store: Store, spec: SweepSpec, uri: str | None = None) -> str:
    out = io.StringIO()
    hand_over(spec, store, write_ranking(store.layout.folder), Lines(out), uri=uri)
    return out.getvalue()


def test_confirmed_winner_has_the_weights_of_its_best_replicate(store: Store) -> None:
    file = store.layout.trial("t0001r2").best_checkpoint
    assert told(store, spec_of()) == (
        f"Weights: {file}  (t0001r2, the best of its replicates, of seed 2 and fold 0,"
        " which best.yaml does not train: validation Dice 0.9300)\n"
        f"Predict: python -m sweep.predict {store.layout.folder} IMAGES -o MASKS\n"
    )
    assert told(store, spec_of(), "s3://bucket/toy").startswith(
        "Weights: s3://bucket/toy/trials/t0001r2/best.pt  (t0001r2, the"
    )


def test_ctrl_c_while_pictures_are_drawn_names_the_uri(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(draw_finalists, "draw_finalists", interrupted)
    for uri, place in ((None, str(store.layout.folder)), ("s3://bucket/toy", "s3://bucket/toy")):
        out, ranking = io.StringIO(), write_ranking(store.layout.folder)
        draw(spec_of(), store, ranking, Lines(out), uri=uri)
        assert out.getvalue().endswith(f"Draw them with: python -m sweep.pictures {place}\n")


def test_next_best_replicate_stands_in_and_after_them_the_run_of_the_search(store: Store) -> None:
    records = store.records()
    for lost, left in (("t0000r2", "t0000r1"), ("t0000r1", "t0000")):
        store.layout.trial(lost).best_checkpoint.unlink()
        weights = best_weights(store, runs_of(records, "t0000"))
        assert weights is not None
        assert weights.run.trial_id == left
    assert str(weights) == "t0000, the run of the search: validation Dice 0.8000"
    # A trainer may measure no Dice at all.
    record = replace(trial(0, Status.COMPLETED, [None]), objective=Objective("sd", "min"))
    epoch = replace(record.history[0], metrics={"sd": 2.5})
    assert str(Weights(replace(record, history=(epoch,)), store.layout.trial("t0000"))) == (
        "t0000: sd 2.5000"
    )
    store.layout.trial("t0000").best_checkpoint.unlink()
    assert best_weights(store, runs_of(records, "t0000")) is None


def test_weights_are_not_chosen_by_dice_across_folds(store: Store) -> None:
    """Fold 1 is the easier one: both trials have more there, and neither's weights are better."""
    for seed, fold, dice in ((1, 1, 0.99), (2, 1, 0.98)):
        train(store, spec_of(), 1, dice, COMPLETED, Replicate("t0001", seed, fold))
    found = runs_of(store.records(), "t0001")
    assert [one.trial_id for one in found[:2]] == ["t0001r2", "t0001r1"]
    assert {one.replicate.fold for one in found[2:4] if one.replicate} == {1}
    words = str(best_weights(store, found))
    assert words.startswith("t0001r2, the best of its replicates on this fold; other folds are")
    for fold in (1, 2):
        run = Replicate("t0000", 0, fold, in_search=True)
        train(store, spec_of(), 0, 0.99, COMPLETED, run)
    only = [one for one in store.records() if not one.replicate or one.replicate.in_search]
    assert str(best_weights(store, runs_of(only, "t0000"))) == (
        "t0000, the run of the search on the sweep's own fold and seed, the first of 3 runs:"
        " validation Dice 0.8000"
    )


def test_where_no_weights_were_kept_that_is_said(store: Store) -> None:
    for name in ("t0001r1", "t0001r2"):
        store.layout.trial(name).best_checkpoint.unlink()
    assert told(store, spec_of()) == "Weights: none of t0001 were kept\n"


def test_nnunet_gets_that_replicate(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def model(settings: object, trial: TrialPaths, model: Path) -> None:
        assert trial.folder.name == "t0001r2"
        assert model == store.layout.nnunet_model

    tools = Tools("nnU-Net", model, commands=lambda *_: [])
    monkeypatch.setitem(KINDS, "nnunet", replace(KINDS["nnunet"], tools=tools))
    lines = told(store, spec_of("nnunet")).splitlines()
    found = store.layout.nnunet_model
    assert lines[1:] == [f"Model:   {found}", f"Predict: {nnunet_predict_command(found)}"]
    lines = told(store, spec_of("nnunet"), "s3://bucket/toy").splitlines()
    assert lines[1:] == ["Model:   s3://bucket/toy/nnunet_model"]


def test_replicate_with_the_best_real_validation_is_handed_over(store: Store) -> None:
    """By the pseudo Dice that would be t0001r2."""
    store.record_real_validation("t0001r1", RealValidation(dice=0.85, cases={}))
    assert runs_of(store.records(), "t0001")[0].trial_id == "t0001r1"  # the other has none
    store.record_real_validation("t0001r2", RealValidation(dice=0.80, cases={}))
    [first, second, search] = runs_of(store.records(), "t0001")
    assert [first.trial_id, second.trial_id, search.trial_id] == ["t0001r1", "t0001r2", "t0001"]
    assert "real validation Dice 0.8500" in str(Weights(first, store.layout.trial("t0001r1")))


def test_finalists_are_not_validated_where_the_time_budget_is_spent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(settings: object, trial: TrialPaths) -> RealValidation:
        raise AssertionError("it would take hours")

    monkeypatch.setitem(KINDS, "nnunet", replace(KINDS["nnunet"], validate=validate))
    out = io.StringIO()
    spec, location = spec_of("nnunet"), SweepLocation(store.layout.folder)
    _validate(spec, store, InThisProcess(spec, store, location), Lines(out), in_time=False)
    assert "not validated on whole cases: the time budget is spent" in out.getvalue()


def test_every_run_of_a_finalist_is_validated_once_and_a_failure_ends_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    warned: list[str] = []
    every = {
        name: RealValidation(dice=dice, cases={"a": {"heart": dice, "lung": None}})
        for name, dice in (("t0000r1", 0.4), ("t0000r2", 0.4), ("t0001r1", 0.5), ("t0001r2", 0.5))
    }

    def validate(settings: object, trial: TrialPaths) -> RealValidation:
        seen.append(trial.folder.name)
        if trial.folder.name == "t0001r2" and seen.count("t0001r2") == 1:
            raise SweepFailed("nnU-Net's validation failed: no room")
        return every[trial.folder.name]

    monkeypatch.setitem(KINDS, "nnunet", replace(KINDS["nnunet"], validate=validate))
    validate_finalists(spec_of("nnunet"), store, warned.append)
    assert warned == [
        "t0001r2 is not validated on whole cases: nnU-Net's validation failed: no room"
    ]
    validate_finalists(spec_of("nnunet"), store, warned.append)
    assert len(warned) == 1
    assert seen == ["t0000r1", "t0000r2", "t0001r1", "t0001r2", "t0001r2"]
    found = {record.trial_id: record.real for record in store.records()}
    assert found == every | {"t0000": None, "t0001": None}  # replicates stand for their trials
    write_ranking(store.layout.folder)
    with store.layout.nnunet_validation.open() as file:
        first, *others = csv.DictReader(file)
    assert first == {
        "rank": "1", "trial_id": "t0001", "run": "t0001r1", "fold": "0",
        "pseudo_dice": "0.91", "real_dice": "0.5",
    }  # fmt: skip
    assert len(others) == 3
    with store.layout.nnunet_cases.open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows[:2] == [
        ("t0001", "t0001r1", "a", "heart", "0.5"),
        ("t0001", "t0001r1", "a", "lung", ""),
    ]
    assert len(rows) == 8


def test_cases_of_a_real_validation_have_their_group(store: Store) -> None:
    found = RealValidation(
        dice=0.5,
        cases={"p1_a": {"heart": 0.4}, "p1_b": {"heart": 0.6}},
        groups={"p1_a": "p1", "p1_b": "p1"},
    )
    store.record_real_validation("t0001r1", found)
    store.record_real_validation("t0001r2", RealValidation(dice=0.5, cases={"x": {"heart": 0.5}}))
    assert {one.trial_id: one.real for one in store.records()}["t0001r1"] == found
    write_ranking(store.layout.folder)
    with store.layout.nnunet_cases.open() as file:
        rows = [(row["case"], row["group"]) for row in csv.DictReader(file)]
    assert rows == [("p1_a", "p1"), ("p1_b", "p1"), ("x", "")]  # of before there were groups
