"""A real sweep of nnU-Net: from its plans to a prediction of nnU-Net's with the winner."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sweep.nnunet.command.trainer_copies import EXT_TRAINER
from sweep.spec.load import load_trial
from sweep.store.layout import Layout

SWEEP = """\
name: circles
searcher: grid
scheduler: none
max_concurrent: 1
trainer:
  kind: nnunet
  dataset: 502
  epochs: 6
  steps_per_epoch: 4
  validation_steps: 2
  device: cpu
loss: {rampup_epochs: 0, min_area: 5, weights: {compactness: 0.1, boundary: 0, aspect: 0}}
resources: {cpu: 1, gpu: 0}
space:
  loss.sqrt_epsilon: {grid: [0, 1.0e-6]}
  loss.warmup_epochs: {grid: [1, 2]}
"""
TIMEOUT = 600.0
"""Seconds; far more than it takes, for machines that do other things too."""


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # timm, as it is imported
@pytest.mark.usefixtures("_torchvision")
def test_sweep_of_nnunet_plans_prunes_what_diverges_ranks_and_hands_over_the_winner(
    raw: Path, preprocessed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    (tmp_path / "circles.yaml").write_text(SWEEP)
    folders = {"nnUNet_raw": str(raw), "nnUNet_preprocessed": str(preprocessed)}
    done = subprocess.run(
        [sys.executable, "-m", "sweep.run", "circles.yaml"],
        cwd=tmp_path,
        env=os.environ | folders | {"COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    layout = Layout(tmp_path / "results" / "circles")
    with layout.ranking_csv.open() as file:
        ranking = list(csv.DictReader(file))
    assert len(ranking) == 4

    diverged = [row for row in ranking if row["status"] == "diverged"]
    assert diverged
    assert ranking[-len(diverged) :] == diverged  # last, with their cause
    for row in diverged:
        assert float(row["loss.sqrt_epsilon"]) == 0
        assert row["cause"].startswith("nonfinite gradient (compactness) at epoch")
        verdict = json.loads(layout.trial(row["trial_id"]).divergence.read_text())
        assert verdict["weights_finite"]
        assert verdict["diagnosis"]["setting"] == "loss.sqrt_epsilon"
    completed = [row for row in ranking if row["status"] == "completed"]
    assert len(completed) == 4 - len(diverged) >= 2
    # Nobody trains the warm-up again that another has trained.
    shared = [
        json.loads(line)["shared"]
        for row in ranking
        for line in layout.trial(row["trial_id"]).history.read_text().splitlines()[:1]
    ]
    assert shared.count(False) == 1

    winner = load_trial(layout.best_yaml)
    assert winner == load_trial(layout.trial(ranking[0]["trial_id"]).config)
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)
    monkeypatch.setenv("nnUNet_extTrainer", str(EXT_TRAINER))
    predictor = nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(
        str(layout.nnunet_model), (0,), "checkpoint_best.pth"
    )
    best = torch.load(layout.trial(ranking[0]["trial_id"]).best_checkpoint, weights_only=True)
    for name, weight in predictor.network.state_dict().items():
        assert torch.equal(weight, best["model"][name])
    with layout.nnunet_validation.open() as file:
        validated = list(csv.DictReader(file))
    first = validated[0]
    assert first["trial_id"] == ranking[0]["trial_id"]
    assert first["pseudo_dice"] == ranking[0]["val_dice"]
    assert 0.5 < float(first["real_dice"]) <= 1
    # The first five of the search, or as many as there are, by the real validation.
    real = [float(row["real_dice"]) for row in validated]
    assert len(real) == min(5, len(completed))
    assert real == sorted(real, reverse=True)
    assert [row["trial_id"] for row in validated] == [
        row["trial_id"] for row in ranking[: len(real)]
    ]

    head = layout.best_yaml.read_text()
    assert f"#   export nnUNet_raw={raw}" in head
    assert "#   nnUNetv2_train 502 2d 4 -tr nnUNetTrainerGeometric" in head
    assert "#   nnUNetv2_predict " in head

    predicted = tmp_path / "predicted"
    predicted.mkdir()
    images = raw / "Dataset502_Shapes_One" / "imagesTs"
    predictor.predict_from_files_sequential(str(images), str(predicted), save_probabilities=False)
    assert len(list(predicted.glob("*.png"))) == len(list(images.iterdir())) == 2
