"""``sweep.train --all-cases``: the chosen configuration on the validation cases too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from foreign import write_trainer

import sweep
from sweep.spec.load import load_trial
from sweep.trial.checkpoints import Checkpoints

Call = Callable[..., Result]


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def cases(folder: Path) -> dict[str, int]:
    [run] = json.loads((folder / "provenance.json").read_text())["runs"]
    return dict(run["cases"])


def with_best_epoch(folder: Path, best: int) -> None:
    """Make this epoch, from 0, the best of a training that has ended."""
    lines = history(folder)
    for line in lines:
        line["val_dice"] = 0.9999 if line["epoch"] == best else 0.5
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "history.jsonl").write_text(text)


def test_all_cases_are_trained_on_until_the_epoch_that_was_best(call: Call, folder: Path) -> None:
    results = folder / "results"
    assert call("train", "best.yaml", "--name", "chosen").exit_code == 0
    assert cases(results / "chosen") == {"training": 12, "validation": 3}
    with_best_epoch(results / "chosen", 2)
    done = call("train", "results/chosen/config.yaml", "--all-cases")
    trained = results / "train-config-all-cases"
    assert done.exit_code == 0, done.output
    assert cases(trained) == {"training": 15, "validation": 15}
    assert "trains on all 15 cases for 3 of 4 epochs, after which it was best" in done.stderr
    assert "Dice and all metrics of this training are of cases that it trains on" in done.stderr
    assert done.stdout.splitlines()[-2] == (
        "completed: trained on all 15 cases, so its Dice is of training cases; 3 of 4 epochs"
    )
    # The schedules are those of all epochs; early stopping is off; the last weights are kept.
    rates = [epoch["learning_rate"] for epoch in history(results / "chosen")]
    assert [epoch["learning_rate"] for epoch in history(trained)] == rates[:3]
    assert load_trial(trained / "config.yaml").early_stopping.patience is None
    assert (Checkpoints(trained).load_best() or {})["epoch"] == 2

    # Training it once more takes as long, although its own Dice says nothing of when it is best.
    again = call("train", str(trained / "config.yaml"), "--all-cases", "--name", "again")
    assert "for 3 of 4 epochs" in again.stderr
    one, two = (Checkpoints(f).load_best() or {} for f in (trained, results / "again"))
    assert all(torch.equal(one["model"][key], two["model"][key]) for key in one["model"])


def test_last_epoch_is_kept_even_if_it_is_not_the_best(call: Call, folder: Path) -> None:
    # With this rate the second epoch destroys what the first has learnt.
    sets = ("--set", "trainer.epochs=3", "--set", "optimizer.schedule=constant")
    done = call("train", "best.yaml", "--all-cases", *sets)
    assert done.exit_code == 0, done.output
    assert "for 3 of 3 epochs, as `trainer.epochs` is set" in done.stderr
    trained = folder / "results" / "train-best-all-cases"
    best = Checkpoints(trained).load_best() or {}
    assert best["epoch"] == 2
    # What one measures on the best epoch only is measured on the one that is kept.
    assert ["hd95" in epoch["metrics"] for epoch in history(trained)] == [False, False, True]


def test_file_without_results_beside_it_trains_all_epochs_and_says_so(call: Call) -> None:
    done = call("train", "best.yaml", "--all-cases")
    assert done.exit_code == 0
    assert (
        "for 4 of 4 epochs, since no results lie beside its file that say when it was best"
        in done.stderr
    )


SWEEP = """\
trials: 2
searcher: {name: random, seed: 0}
scheduler: none
presets: []
data: {source: shapes, difficulty: 0, size: 32, count: 10}
trainer: {epochs: 4, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8]}
loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}
space: {optimizer.lr: {loguniform: [0.05, 0.2]}}
"""


def test_winner_of_a_sweep_is_trained_on_all_cases_and_predicts(call: Call, folder: Path) -> None:
    (folder / "pair.yaml").write_text(SWEEP)
    results = sweep.run("pair.yaml", executor="local", progress=False)
    with_best_epoch(results.best.folder, 1)
    done = sweep.train(results.folder / "best.yaml", all_cases=True, progress=False)
    assert len(done.history) == 2
    assert done.folder.name == "train-pair-best-all-cases"
    assert (
        call("shapes", "502", "raw", "--count", "5", "--test", "2", "--size", "32").exit_code == 0
    )
    images = "raw/Dataset502_Shapes_One/imagesTs"
    predicted = sweep.predict(done, images, "out", labels=images[:-8] + "labelsTs", progress=False)
    assert len(predicted.masks) == 2
    assert predicted.scores is not None
    assert list(predicted.scores["class"]) == ["circle"] * 2


def test_other_trainers_are_refused_with_what_does_it_there(call: Call, folder: Path) -> None:
    entry = write_trainer(folder)
    weights = "{compactness: 0, boundary: 0, aspect: 0}"
    (folder / "own.yaml").write_text(
        f"trainer: {{kind: custom, entry: '{entry}', epochs: 1, device: cpu}}\n"
        f"loss: {{weights: {weights}}}\n"
    )
    done = call("train", "own.yaml", "--all-cases")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        "error: --all-cases: only your own trainer knows its cases"
    )
    assert not (folder / "results").exists()


@pytest.mark.parametrize("epochs", [1, 3])
def test_geometric_loss_that_never_acts_in_so_few_epochs_is_told(
    call: Call, folder: Path, epochs: int
) -> None:
    assert call("train", "best.yaml", "--name", "chosen").exit_code == 0
    with_best_epoch(folder / "results" / "chosen", epochs - 1)
    done = call("train", "results/chosen/config.yaml", "--all-cases")
    words = "the geometric loss switches on in epoch 2, so it never acts in these"
    assert (words in done.stderr) == (epochs < 3)
