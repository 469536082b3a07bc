"""Words from elsewhere get the name that they have here."""

from __future__ import annotations

import json

import pytest

from sweep.spec.load import load_sweep
from sweep.spec.reference.json_schema import sweep_schema
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.tree.setting_tree import setting_names
from sweep.spec.words.synonyms import (
    ELSEWHERE,
    NAMES,
    OTHERS,
    VALUES,
    advice_for,
    name_for,
    value_for,
)
from sweep.vocabulary.errors import InputError

KNOWN = [*setting_names(SweepSpec), *SweepSpec.model_fields]
LATER = {"objective.metric", "objective.mode"}
SCHEMA = json.dumps(sweep_schema())


def test_every_name_that_is_proposed_is_one() -> None:
    assert set(NAMES) - set(KNOWN) <= LATER


def test_no_name_is_proposed_for_itself() -> None:
    for name, words in NAMES.items():
        assert name not in words.split()
        assert all(word not in KNOWN for word in words.split()), name


def test_every_value_that_is_proposed_is_taken_by_some_setting() -> None:
    assert [value for value in VALUES if f'"{value}"' not in SCHEMA] == []


def test_what_there_is_elsewhere_alone_is_taken_by_no_setting() -> None:
    assert [word for word in OTHERS if f'"{word}"' in SCHEMA] == []


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
        ("maxExperimentDuration", "time_budget"),
        ("maxTrialNumber", "trials"),
        ("trialConcurrency", "max_concurrent"),
        ("executions_per_trial", "confirm.seeds"),
        ("objective.name", "objective.metric"),
        ("scheduler.warmup_epochs", "scheduler.grace_period"),
        ("loss.eps", "loss.sqrt_epsilon"),
        ("eps", "loss.sqrt_epsilon"),
        # the ε of Adam, the γ of a schedule, the norm of a network
        ("optimizer.eps", None),
        ("scheduler.gamma", None),
        ("network.norm", None),
        ("optimizer.warmup_epochs", None),
        ("confirm.repeats", "confirm.seeds"),
        ("confirm.repetition", None),
    ],
)
def test_word_from_elsewhere_has_a_name_here(word: str, name: str | None) -> None:
    assert name_for(word, KNOWN) == name


def test_what_is_no_setting_has_advice() -> None:
    for words in ELSEWHERE.values():
        assert words
    assert (
        advice_for("storage_path")
        == "the results folder is an option of `sweep.run`: --results FOLDER"
    )
    assert advice_for("loss.wandb") == "there is `tracking: wandb`"
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
        ("mean_dice", ["val_dice", "hd95"], "val_dice"),
        ("Jaccard", ["val_dice", "iou"], "iou"),
        ("hausdorff", ["iou", "hd95"], "hd95"),
        ("maximize", ["max", "min"], "max"),
        ("minimise", ["max", "min"], "min"),
    ],
)
def test_value_from_elsewhere_has_a_name_here(
    word: str, known: list[str], value: str | None
) -> None:
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


NNUNET = "trainer: {kind: nnunet, dataset: 1"
LEAVE = "leave it out"
RESUME = "it is an option of `sweep.run`: --resume"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        # Keys.
        ("maxExperimentDuration: 1h", "did you mean `time_budget`?"),
        ("executions_per_trial: 2", "did you mean `confirm.seeds`?"),
        ("load_if_exists: true", RESUME),
        ("max_failures: 3", LEAVE),
        ("directory: out", "the results folder is an option of `sweep.run`: --results FOLDER"),
        ("overwrite: true", "nothing is overwritten: give another `name`, or resume a sweep with"
         " --resume"),
        ("stop: {training_iteration: 3}", "a trial ends after `trainer.epochs`, or earlier by "
         "`early_stopping` or `scheduler`"),
        ("tune_config: {num_samples: 3}", "`scheduler`, `time_budget`"),
        ("run_config: {}", "`scheduler`, `time_budget`"),
        ("hydra: {}", "and `--set` overrides any key"),
        ("defaults: [_self_]", "and `--set` overrides any key"),
        ("optimizer: {warmup_epochs: 3}", "the learning rate has no warm-up"),
        ("network: {in_channels: 1}", LEAVE),
        # Its own group's before others', a name elsewhere before what only looks alike.
        ("objective: {name: val_dice}", "did you mean `metric`?"),
        ("searcher: {seeds: 1}", "did you mean `seed`?"),
        ("evaluation: {metric: [iou]}", "did you mean `metrics`?"),
        ("data: {source: shapes, batch_size: 4}", "did you mean `trainer.batch_size`?"),
        # Long words have much in common by chance, and `name` stands in many groups.
        ("gradient_accumulation: 2", "`time_budget`"),
        ("trainer: {gradient_accumulation_steps: 2}", "`compile`"),
        ("trainer: {name: x}", "`compile`"),
        ("optimizer: {eps: 1.0e-8}", "`options`"),
        # Values.
        (f"{NNUNET}, amp: bf16}}", 'must be `auto`, `off` or `fp16`, but is "bf16"'),
        (f"{NNUNET}, amp: float16}}", "did you mean `fp16`?"),
        ("trainer: {amp: fp61}", "did you mean `fp16`?"),
        ("trainer: {amp: tf32}", 'but is "tf32"'),
        ("optimizer: {name: radam}", 'but is "radam"'),
        ("network: {name: unetr}", 'but is "unetr"'),
        ("searcher: gpu", 'but is "gpu"'),
        ("objective: dice", "did you mean `val_dice`?"),
        ("objective: mean_dice", "did you mean `val_dice`?"),
        ("objective: jaccard", "did you mean `iou`?"),
        ("objective: hausdorff", "did you mean `hd95`?"),
        ("objective: {metric: hd95, mode: minimize}", "did you mean `min`?"),
        ("objective: {metric: val_dice, mode: maximize}", "did you mean `max`?"),
        ("objective: {hd95: min}", "write `{metric: hd95, mode: min}`"),
        ("objective: {hausdorff: minimize}", "write `{metric: hd95, mode: min}`"),
        ("objective: {my_score: max}", "write `{metric: my_score, mode: max}`"),
        ("objective: {hd95: 3}", "it has `metric`, `mode`"),
    ],
)  # fmt: skip
def test_hint_is_the_right_one(tmp_path, line: str, hint: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"{line}\nspace: {{seed: {{choice: [1, 2]}}}}\n")
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    [mistake] = caught.value.mistakes
    assert mistake.message.endswith(hint)
    assert mistake.message.count("did you mean") <= 1
