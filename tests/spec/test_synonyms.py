"""Words from elsewhere get the name that they have here."""

from __future__ import annotations

import json

import pytest

from sweep.errors import InputError
from sweep.spec.load import load_sweep
from sweep.spec.schema import sweep_schema
from sweep.spec.sweep import SweepSpec
from sweep.spec.synonyms import ELSEWHERE, NAMES, VALUES, advice_for, name_for, value_for
from sweep.spec.tree import setting_names

KNOWN = [*setting_names(SweepSpec), *SweepSpec.model_fields]
LATER = {"objective.metric", "objective.mode"}


def test_every_name_that_is_proposed_is_one() -> None:
    assert set(NAMES) - set(KNOWN) <= LATER


def test_no_name_is_proposed_for_itself() -> None:
    for name, words in NAMES.items():
        assert name not in words.split()
        assert all(word not in KNOWN for word in words.split()), name


def test_every_value_that_is_proposed_is_taken_by_some_setting() -> None:
    schema = json.dumps(sweep_schema())
    assert [value for value in VALUES if f'"{value}"' not in schema] == []


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("learning_rate", "optimizer.lr"),
        ("learningRate", "optimizer.lr"),
        ("trainer.lr", "optimizer.lr"),
        ("lr", "optimizer.lr"),
        ("loss.weights.dice", "loss.dice_weight"),
        ("trainer.max_epochs", "trainer.epochs"),
        ("num_epochs", "trainer.epochs"),
        ("num_samples", "trials"),
        ("n_trials", "trials"),
        ("warmup", "loss.warmup_epochs"),
        ("parameters", "space"),
        ("method", "searcher"),
        ("scheduler.eta", "scheduler.reduction_factor"),
        ("resources.gpus", "resources.gpu"),
        ("trainer.dataset_id", "trainer.dataset"),
        ("data.patch", "data.patch_size"),
    ],
)
def test_word_from_elsewhere_has_a_name_here(word: str, name: str) -> None:
    assert name_for(word, KNOWN) == name


def test_what_is_no_setting_has_advice() -> None:
    for words in ELSEWHERE.values():
        assert words
    assert (
        advice_for("storage_path")
        == "where results go is said on the command line: --results FOLDER"
    )
    assert advice_for("loss.wandb") == "there are `tracking: tensorboard` and `tracking: mlflow`"
    assert advice_for("zzz") is None


@pytest.mark.parametrize(
    ("word", "known", "value"),
    [
        ("Dice-CE", ["dice_ce", "dice_focal"], "dice_ce"),
        ("bayes", ["random", "tpe", "cmaes"], "tpe"),
        ("unet++", ["unet", "basic_unet_plus_plus"], "basic_unet_plus_plus"),
        ("FIFO", ["asha", "none"], "none"),
        ("gpu", ["auto", "cpu", "cuda"], "cuda"),
        ("gpu", ["auto", "cpu"], None),
    ],
)
def test_value_from_elsewhere_has_a_name_here(word: str, known: list[str], value: str) -> None:
    assert value_for(word, known) == value


def test_file_of_another_tool_is_answered_line_by_line(tmp_path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "method: bayes\n"
        "metric: {name: val_dice, goal: maximize}\n"
        "parameters:\n"
        "  lr: {min: 0.001, max: 0.1}\n"
        "  trainer.batch_size: {values: [4, 8]}\n"
        "optimizer: {name: adam, learning_rate: '1e-3'}\n"
        "num_samples: 20\n"
    )
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    told = [str(mistake).removeprefix(f"{path}:") for mistake in caught.value.mistakes]
    assert [line.partition(": ")[0] for line in told] == ["1", "2", "3", "4", "5", "6", "6", "7"]
    assert "did you mean `searcher`?" in told[0]
    assert "did you mean `space`?" in told[2]
    assert "did you mean `{uniform: [0.001, 0.1]}`?" in told[3]
    assert "did you mean `{choice: [4, 8]}`?" in told[4]
    assert "did you mean `adamw`?" in told[5]
    assert "did you mean `lr`?" in told[6]
    assert "did you mean `trials`?" in told[7]
