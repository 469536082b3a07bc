"""nnU-Net's trainer as a trial: what every trainer does, its own validation and checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cut_short import cut_short
from PIL import Image

from sweep.nnunet.command.trainer_copies import EXT_TRAINER
from sweep.nnunet.held_out_score import held_out_score
from sweep.nnunet.model_export import export_model
from sweep.nnunet.real_validation import read_summary, real_validation
from sweep.nnunet.training.nnunet_run import NnunetTraining
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.trainer_check import TrainerCheck
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, NotApplied
from sweep.vocabulary.record import Stage, Status

MakeTrial = Callable[..., TrialSettings]
History = list[dict[str, Any]]
DESCRIPTION = {"labels": {"background": 0, "circle": 1}, "file_ending": ".png"}


def history(settings: TrialSettings, **where: Any) -> History:
    """What each epoch reports, but for its wall time and who trained it."""
    epochs: list[EpochMetrics] = []
    assert fit(settings, report=epochs.append, **where).status is Status.COMPLETED
    return [epoch.to_json() | {"seconds": 0, "shared": None} for epoch in epochs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, History]:
    """Filled by the first test that trains the trial in one go."""
    return {}


@pytest.fixture
def trained(trial: MakeTrial, folder: Path, whole: dict[str, History]) -> History:
    """The history of the trial, trained once, with its files in ``folder``."""
    if not whole:
        provenance = TrialPaths(folder).provenance
        whole["it"] = history(trial(), checkpoint=Checkpoints(folder), provenance=provenance)
    return whole["it"]


def test_epochs_report_pseudo_dice_terms_and_steps(trained: History, folder: Path) -> None:
    assert [epoch["epoch"] for epoch in trained] == [0, 1, 2]
    assert [epoch["geometric_factor"] for epoch in trained] == [0, 1, 1]
    assert [epoch["steps"] for epoch in trained] == [3, 3, 3]
    assert trained[0]["terms"].keys() == {"dice", "ce"}
    assert trained[1]["terms"].keys() == {"dice", "ce", "compactness"}
    assert all(0 <= epoch["val_dice"] <= 1 for epoch in trained)
    # nnU-Net's PolyLRScheduler: 0.01 · (1 − epoch / epochs)^0.9
    assert trained[2]["learning_rate"] == pytest.approx(0.01 * (1 / 3) ** 0.9)


def test_provenance_has_what_nnunet_itself_trains_with(trained: History, folder: Path) -> None:
    [run] = json.loads(TrialPaths(folder).provenance.read_text())["runs"]
    effective = run["effective"]
    assert effective["trainer.dataset"] == 502
    assert effective["trainer.batch_size"] == 2
    assert effective["trainer.patch_size"] == [32, 32]
    assert effective["loss.warmup_epochs"] == 1
    assert effective["optimizer.momentum"] == 0.99
    assert run["cases"] == {"training": 16, "validation": 4}
    assert run["classes"] == {"regions": False, "ignore": None}
    assert run["network"]["class"].endswith(".PlainConvUNet")
    assert run["without_effect"].keys() >= {"network.name", "data.size", "augmentation.gamma.mode"}


def test_going_on_and_starting_from_a_trunk_are_bit_for_bit_the_same_run(
    trial: MakeTrial, trained: History, tmp_path: Path
) -> None:
    def on_trunk(settings: TrialSettings, name: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        trunk = Trunk.of(settings, TrialPaths(folder), tmp_path / "trunks", [1])
        return {"checkpoint": Checkpoints(folder), "trunk": trunk}

    other = trial(loss={"sqrt_epsilon": 1e-2})
    first = on_trunk(other, "first")
    cut_short(other, 2, **first)
    shared = on_trunk(trial(), "second")
    cut_short(trial(), 2, **shared)  # starts from the first one's warm-up
    assert history(trial(), **shared) == trained  # and goes on where it was stopped
    assert len(list((tmp_path / "trunks").iterdir())) == 1


def test_other_processes_make_the_same_run_also_where_it_is_resumed(
    trial: MakeTrial, trained: History, tmp_path: Path
) -> None:
    settings = trial({"workers": 1})
    cut_short(settings, 1, checkpoint=Checkpoints(tmp_path))
    assert history(settings, checkpoint=Checkpoints(tmp_path)) == trained


def test_epsilon_of_zero_ends_it_in_its_step_with_term_parameter_and_cure(
    trial: MakeTrial, tmp_path: Path
) -> None:
    settings = trial({"epochs": 6, "steps_per_epoch": 4}, loss={"sqrt_epsilon": 0.0})
    outcome = fit(settings, checkpoint=Checkpoints(tmp_path))
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.term) == (
        "nonfinite",
        Stage.GRADIENT,
        "compactness",
    )
    assert verdict.epoch >= 1  # after the warm-up
    assert verdict.weights_finite
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"
    assert verdict.diagnosis.cases
    healthy = torch.load(TrialPaths(tmp_path).healthy_checkpoint, weights_only=True)
    assert all(bool(torch.isfinite(weight).all()) for weight in healthy["model"].values())


def test_step_that_overflows_the_weights_is_taken_back(trial: MakeTrial) -> None:
    optimizer = {"lr": 1e30, "gradient_clip": None, "schedule": "constant"}
    outcome = fit(trial(optimizer=optimizer))
    assert outcome.divergence is not None
    assert outcome.divergence.weights_finite
    assert outcome.divergence.diagnosis is not None
    assert outcome.divergence.diagnosis.setting.startswith("optimizer.")


def test_other_settings_than_asked_for_are_not_trained(
    trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NnunetTraining, "factor", lambda self, epoch: 1.0)
    monkeypatch.setattr(
        "sweep.nnunet.training.geometric_trainer.nnUNetTrainerGeometric.factor",
        lambda self, epoch: float(epoch >= 5),
    )
    with pytest.raises(NotApplied, match=r"loss.warmup_epochs is 1 in the configuration but 5"):
        fit(trial())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # timm, as it is imported
@pytest.mark.usefixtures("_torchvision", "trained")
def test_nnunets_own_predictor_loads_the_best_weights_and_predicts(
    trial: MakeTrial, folder: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    best = Checkpoints(folder).load_best()
    assert best is not None
    checkpoint = export_model(trial(), best, tmp_path / "model")
    assert checkpoint == tmp_path / "model" / "fold_0" / "checkpoint_best.pth"
    monkeypatch.setenv("nnUNet_extTrainer", str(EXT_TRAINER))
    predictor = nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(
        str(tmp_path / "model"), (0,), "checkpoint_best.pth"
    )
    for name, weight in predictor.network.state_dict().items():
        assert torch.equal(weight, best["model"][name])
    (tmp_path / "out").mkdir()
    images = raw / "Dataset502_Shapes_One" / "imagesTs"
    predictor.predict_from_files_sequential(
        str(images), str(tmp_path / "out"), save_probabilities=False
    )
    predicted = sorted((tmp_path / "out").glob("*.png"))
    assert len(predicted) == len(list(images.iterdir())) == 2
    assert all(np.asarray(Image.open(file)).shape == (32, 32) for file in predicted)


@pytest.mark.usefixtures("trained")
def test_real_validation_is_the_mean_dice_over_whole_cases(
    trial: MakeTrial, folder: Path, preprocessed: Path, tmp_path: Path
) -> None:
    best = Checkpoints(folder).load_best()
    assert best is not None
    grouped = trial()
    trainer = grouped.trainer.model_copy(update={"groups": "(.*)[0-9]$"})
    grouped = grouped.model_copy(update={"trainer": trainer})
    found = real_validation(grouped, best["model"], tmp_path)
    assert found.groups == {case: case[:-1] for case in sorted(found.cases)}
    # Oracle: Dice of the predictions that nnU-Net has left, by its definition.
    truth = preprocessed / "Dataset502_Shapes_One" / "gt_segmentations"
    values = []
    for file in sorted((tmp_path / "validation").glob("*.png")):
        ours = np.asarray(Image.open(file)) == 1
        theirs = np.asarray(Image.open(truth / file.name)) == 1
        values.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
        [(name, dice)] = found.cases[file.stem].items()
        assert name == "circle"
        assert dice == pytest.approx(values[-1])
    assert len(values) == len(found.cases) == 4
    assert found.dice == pytest.approx(np.mean(values))


@pytest.mark.usefixtures("trained")
def test_test_images_are_scored_case_by_case_by_nnunets_predictor(
    trial: MakeTrial, folder: Path, raw: Path, tmp_path: Path
) -> None:
    best = Checkpoints(folder).load_best()
    assert best is not None
    settings = trial({"raw": str(raw), "test": "imagesTs"})
    assert mistakes(settings) == []
    scores = held_out_score(settings, best["model"], tmp_path)
    # Oracle: Dice of the masks that nnU-Net has written, by its definition.
    truth = raw / "Dataset502_Shapes_One" / "labelsTs"
    assert [score.case for score in scores] == sorted(file.stem for file in truth.iterdir())
    for score in scores:
        ours, theirs = (
            np.asarray(Image.open(where / f"{score.case}.png")) == 1 for where in (tmp_path, truth)
        )
        assert score.dice == pytest.approx(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
    # Alone it also says what each class has.
    assert len(read_summary(tmp_path / "summary.json", DESCRIPTION).cases) == len(scores) == 2


def test_test_images_without_a_reference_are_told_before_anything_is_trained(
    trial: MakeTrial, raw: Path, tmp_path: Path
) -> None:
    shutil.copytree(raw, tmp_path / "raw")
    labels = tmp_path / "raw" / "Dataset502_Shapes_One" / "labelsTs"
    first, _ = sorted(labels.iterdir())
    first.unlink()
    settings = trial({"raw": str(tmp_path / "raw"), "test": "imagesTs"})
    [message] = mistakes(settings)
    assert f"images without a label; missing here: {first.name}" in message
    shutil.rmtree(labels)
    [message] = mistakes(settings)
    assert message.startswith(f"{labels}: is missing")


# What can be wrong.


def mistakes(settings: TrialSettings) -> list[str]:
    return [str(mistake) for mistake in TrainerCheck()(settings)]


def test_dataset_configuration_fold_and_plans_are_checked_at_their_keys(trial: MakeTrial) -> None:
    assert mistakes(trial()) == []
    [message] = mistakes(trial({"dataset": 777}))
    assert message.startswith(("trainer.dataset: ", "trainer.raw: "))
    [message] = mistakes(trial({"configuration": "3d_fulres"}))
    assert message.startswith("trainer.configuration: must be `2d`")
    [message] = mistakes(trial({"fold": 5}))
    assert message == "trainer.fold: must be below 5, the number of folds, or `all`, but is 5"


def test_folders_that_nobody_has_named_are_told(trial: MakeTrial) -> None:
    told = "\n".join(mistakes(trial({"preprocessed": None})))
    assert "nnUNet_raw" in told or "nnUNet_preprocessed" in told


def test_missing_package_is_told_at_the_kind(
    trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert mistakes(trial()) == [
        "trainer.kind: `nnunet` needs the package nnunetv2: pip install 'medical-sweep[nnunet]'"
    ]


SWEEP = """\
trainer: {{kind: nnunet, dataset: 502, preprocessed: {preprocessed}}}
space: {{loss.sqrt_epsilon: {{choice: [0, 1.0e-6]}}}}
"""


def test_what_the_plans_decide_cannot_be_asked_for(preprocessed: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    text = SWEEP.format(preprocessed=preprocessed)
    file.write_text(text + "network: {channels: [4, 8, 16]}\naugmentation: {noise: {std: 0.3}}\n")
    with pytest.raises(InputError) as caught:
        load_sweep(file)
    assert [(m.line, m.key) for m in caught.value.mistakes] == [
        (3, "network.channels"),
        (4, "augmentation.noise.std"),
    ]
    file.write_text(text)
    effective = to_yaml(load_sweep(file).trial({}))
    assert "source: shapes" not in effective  # there is no such data
    (tmp_path / "trial.yaml").write_text(effective)
    assert load_trial(tmp_path / "trial.yaml") == load_sweep(file).trial({})


def test_optimizer_of_another_package_trains_nnunet_and_resumes_bit_for_bit(
    trial: MakeTrial, tmp_path: Path
) -> None:
    optimizer = {"name": "torch.optim:RAdam", "lr": 1e-3, "schedule": "cosine"}
    settings = trial(optimizer=optimizer | {"options": {"weight_decay": 1e-4}})
    whole = history(settings)
    assert [epoch["learning_rate"] for epoch in whole] == pytest.approx([1e-3, 7.5e-4, 2.5e-4])
    cut_short(settings, 2, checkpoint=Checkpoints(tmp_path))
    assert history(settings, checkpoint=Checkpoints(tmp_path)) == whole
