"""A divergence is explained alike whoever trains: ours, nnU-Net, a user's class, his function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from own_loop import train_epoch

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Advice, Case
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs import explain as explaining
from sweep.trainer.runs.explain import explain
from sweep.trainer.runs.guarded_run import GuardedRun
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.kinds.kind_table import kind_of
from sweep.vocabulary.record import Divergence, Stage

USERS = """\
import torch
from sweep.trainer.custom.custom_run import CustomTraining
from sweep.trainer.runs.guarded_run import Validation


class Mine(CustomTraining):
    def build_model(self):
        return torch.nn.Linear(1, 1)

    def batches(self, epoch):
        for _ in range(4):
            yield torch.randn(2, 1)

    def compute_loss(self, batch, factor):
        fit = self.model(batch).square().mean() + 1
        return fit * float(self.options["times"]), {"fit": fit * float(self.options["times"])}

    def validate(self, epoch):
        return Validation(dice=0.5)


def train(config, trial):
    model = torch.nn.Linear(1, 1)
    rate = trial.settings.optimizer.lr
    guard = trial.guard(model, torch.optim.SGD(model.parameters(), lr=rate))
    for epoch in range(trial.epochs):
        for _ in range(4):
            fit = model(torch.randn(2, 1)).square().mean() + 1
            guard.step(fit * float(config["times"]), {"fit": fit * float(config["times"])})
        trial.checkpoint.save({"model": model.state_dict()})
        trial.report(epoch, dice=0.5)
"""
KINDS = ("ours", "a class", "a function", "nnunet")
REWINDS = ("ours", "a class", "nnunet")
MakeTrial = Callable[..., TrialSettings]


@pytest.fixture
def make(trial: MakeTrial, tmp_path: Path) -> MakeTrial:
    """A trial of 5 epochs of 4 steps of each kind, with groups of settings as in the YAML."""
    file = tmp_path / "users.py"
    file.write_text(USERS)

    def ours(**groups: Any) -> TrialSettings:
        values = {
            "data": {"source": "shapes", "difficulty": 0, "size": 32, "count": 15},
            "trainer": {"epochs": 5, "batch_size": 4, "steps_per_epoch": 4, "device": "cpu"},
            "network": {"name": "unet", "channels": [4, 8, 16]},
        }
        return TrialSettings.model_validate(values | groups)

    def users(name: str, times: float | str = 1.0, **groups: Any) -> TrialSettings:
        own = {"kind": "custom", "entry": f"{file}:{name}", "epochs": 5, "device": "cpu"}
        values = {
            "trainer": own | {"options": {"times": times}},
            "loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}},
        }
        return TrialSettings.model_validate(values | groups)

    def made(kind: str, times: float | str = 1.0, **groups: Any) -> TrialSettings:
        if kind == "ours":
            return ours(**groups)
        if kind == "nnunet":
            return trial({"epochs": 5, "steps_per_epoch": 4}, **groups)
        return users({"a class": "Mine", "a function": "train"}[kind], times, **groups)

    return made


def verdict_of(settings: TrialSettings, folder: Path) -> Divergence:
    verdict = fit(settings, checkpoint=Checkpoints(folder)).divergence
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_before_an_explosion_is_not_that_of_the_step_itself(
    make: MakeTrial, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[Case] = []
    advise = explaining.every_advice

    def keep(case: Case) -> list[Advice]:
        cases.append(case)
        return advise(case)

    monkeypatch.setattr(explaining, "every_advice", keep)
    settings = make(
        kind,
        optimizer={"lr": 20.0, "gradient_clip": None, "schedule": "constant"},
        guard={"exploded_steps": 2, "exploded_factor": 1.2},
    )
    verdict = verdict_of(settings, tmp_path)
    assert verdict.cause == "exploded"
    assert verdict.diagnosis is not None
    *before, offending = verdict.diagnosis.recent
    assert offending.place == (verdict.epoch, verdict.step)
    assert cases[-1].gradient == before[-1].grad_norm != offending.grad_norm


OVERFLOW: dict[str, Any] = {
    "optimizer": {"lr": 1e38, "gradient_clip": None, "schedule": "constant"},
}


@pytest.mark.parametrize("kind", REWINDS)
def test_step_that_overflowed_the_weights_is_undone_before_they_are_looked_at(
    make: MakeTrial, kind: str, tmp_path: Path
) -> None:
    verdict = verdict_of(make(kind, times=1e6, **OVERFLOW), tmp_path)
    assert (verdict.stage, verdict.weights_finite) == (Stage.WEIGHTS, True)
    assert verdict.message == "The step overflowed the weights; it was undone."
    assert verdict.diagnosis is not None
    assert all(area is not None for area in verdict.diagnosis.soft_areas)
    healthy = torch.load(tmp_path / "healthy.pt", weights_only=True)["model"]
    assert all(bool(torch.isfinite(weight).all()) for weight in healthy.values())


def test_step_of_a_function_is_not_undone_and_told_so(make: MakeTrial, tmp_path: Path) -> None:
    verdict = verdict_of(make("a function", times=1e6, **OVERFLOW), tmp_path)
    assert (verdict.stage, verdict.weights_finite) == (Stage.WEIGHTS, True)
    assert verdict.message == (
        "The step overflowed the weights; what the function saved last is from before it."
    )


def test_step_of_nnunets_own_loop_is_not_undone_and_told_so(trainer: Callable[..., Any]) -> None:
    made = trainer(optimizer=OVERFLOW["optimizer"] | {"lr": 1e45})
    with pytest.raises(Diverged) as stop:
        train_epoch(made, 0)
    verdict = stop.value.divergence
    assert (verdict.stage, verdict.weights_finite) == (Stage.WEIGHTS, False)
    assert verdict.message == (
        "The step overflowed the weights; nnU-Net's checkpoints are from before it."
    )
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.soft_areas == ()  # of other weights than the step met


@pytest.fixture
def run(make: MakeTrial, request: pytest.FixtureRequest) -> GuardedRun:
    """A run of two epochs."""
    settings = make(request.param)
    made: Any = kind_of(settings).make_run(settings, None)
    found: GuardedRun = getattr(made, "_run", made)  # the user's own
    for epoch in range(2):
        found.run_epoch(epoch)
    return found


def weights(run: GuardedRun) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("run", REWINDS, indirect=True)
def test_run_is_rewound_to_any_step_since_the_state_that_it_keeps(run: GuardedRun) -> None:
    after = weights(run)
    assert run.rewind(1, 2)
    assert not same(weights(run), after)
    assert run.rewind(1, run.steps_per_epoch)
    assert same(weights(run), after)


@pytest.mark.parametrize("run", REWINDS, indirect=True)
def test_step_before_the_state_that_is_kept_is_not_reached_and_nothing_is_told_of_it(
    run: GuardedRun,
) -> None:
    assert run.rewind(1, 0)
    kept = weights(run)
    recent = run.guard.recent((0, 1))
    bare = Divergence(cause="exploded", epoch=0, step=1, stage=Stage.LOSS, message="It rose.")
    stop = explain(run, Diverged(bare, recent))
    assert same(weights(run), kept)  # the steps of an earlier epoch are not taken on top of it
    assert stop.offending is None
    diagnosis = stop.divergence.diagnosis
    assert diagnosis is not None
    assert (diagnosis.replayable, diagnosis.cases, diagnosis.soft_areas) == (False, (), ())
    assert replace(stop.divergence, diagnosis=None) == bare


@pytest.mark.parametrize("kind", ["a class", "a function"])
def test_epoch_of_skipped_steps_is_explained_by_its_first(
    make: MakeTrial, kind: str, tmp_path: Path
) -> None:
    settings = make(kind, times="nan", guard={"on_nonfinite": "skip"})
    verdict = verdict_of(settings, tmp_path)
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 0, 0)
    assert (verdict.stage, verdict.term) == (Stage.LOSS, "fit")


@pytest.mark.parametrize("run", REWINDS, indirect=True)
def test_state_has_the_names_of_checkpoints_that_were_written_before(run: GuardedRun) -> None:
    state = run.state_dict()
    # Of a class also the steps of an epoch, which older checkpoints lack.
    assert state.keys() - {"steps"} == {"model", "optimizer", "guard"}
    assert state["optimizer"].keys() == {"state", "param_groups"}
    assert state["guard"].keys() == {"scaler", "judge"}
    assert state["guard"]["judge"].keys() == {
        "start", "gradient", "factor", "skips", "outliers", "recent",
    }  # fmt: skip
    run.load_state_dict({name: part for name, part in state.items() if name != "steps"})


def test_state_of_a_function_has_the_names_of_checkpoints_that_were_written_before(
    make: MakeTrial, tmp_path: Path
) -> None:
    fit(make("a function"), checkpoint=Checkpoints(tmp_path))
    last = Checkpoints(tmp_path).load_last()
    assert last is not None
    assert last.keys() == {"training", "history"}
    # All but the checkpoint, and the steps, are lacking in older ones.
    assert last["training"].keys() == {"checkpoint", "guard", "told_broken"}
    kept = last["training"]["checkpoint"]
    assert kept.keys() == {"state", "random", "guard"}
    assert kept["guard"].keys() == {"scaler", "judge", "steps"}
