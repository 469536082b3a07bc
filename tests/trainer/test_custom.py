"""A user's own loop is a trainer like the others: the shipped example, and what can be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_short import cut_short

from sweep.plugins.entry_names import module_of
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.custom.custom_run import CustomTraining
from sweep.trainer.custom.entry_point import load_entry
from sweep.trainer.runs.guarded_run import copy_to_cpu
from sweep.trainer.runs.tried_cures import cured_words, refuted_words
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.trainer_check import TrainerCheck
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, NotApplied
from sweep.vocabulary.record import Stage, Status

EXAMPLES = Path(__file__).parents[2] / "examples"
DISCS = f"{EXAMPLES / 'custom_trainer.py'}:DiscTraining"


BREAKS = """\
import torch
from sweep import CustomTraining, Validation


class Batch(dict):
    @property
    def images(self):
        return self["images"]


class Scale(torch.nn.Module):
    def forward(self, x):
        return x / x.std()


class Mine(CustomTraining):
    def build_model(self):
        first = torch.nn.Conv2d(1, 4, 3, padding=1)
        first.weight.data[0], first.bias.data[0] = 0, -5
        scale = Scale() if self.options["loss"] == "scaled" else torch.nn.Identity()
        return torch.nn.Sequential(scale, first, torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1))

    def batches(self, epoch):
        for step in range(3):
            x = torch.rand(2, 1, 8, 8) - 0.5
            how = self.options["images"], self.options["labels"]
            images, labels = map(eval, how) if step == 2 else (x, x > 0)
            yield Batch(images=images, labels=labels, graph=torch.eye(2).to_sparse())

    def compute_loss(self, batch, factor):
        images, labels = batch.images, batch["labels"]
        with self.autocast():
            logits = self.model(images)
        logits = logits.float()
        if self.options["loss"] == "mse":
            mse = (logits[:, 1:] - labels.float()).square().mean()
            return mse, {"mse": mse}
        if self.options["loss"] == "masked":
            wrong = (logits[:, 1:] - labels.float())[~labels.isnan()].square().mean()
            masked = wrong + logits.mean() * (images - 1).abs().max().log()
            return masked, {"masked": masked}
        if self.options["loss"] == "root":
            root = logits.square().sum(1).mean() + (logits - logits).sqrt().mean()
            return root, {"root": root}
        ce = torch.nn.functional.cross_entropy(logits, labels[:, 0].long(), ignore_index=9)
        return ce, {"ce": ce}

    def validate(self, epoch):
        return Validation(dice=0.5)
"""
CURED, REFUTED = cured_words("that step"), refuted_words("that step")
LOSS_BROKE = "The {} is not finite, though the network's answers are: the loss divides by 0"
SOME_UNKNOWN = "torch.where(x > 0, x, torch.nan)"
ADAM = {"optimizer": {"name": "torch.optim:Adam", "lr": 1e-3, "options": {"eps": 0.0}}}
FAST = {"optimizer": {"lr": 1e30}}
HALF = {"trainer": {"amp": "fp16"}}


def trial(entry: str = DISCS, **changes: Any) -> TrialSettings:
    """Six epochs of the example, switched on at the third; ``changes`` are of the loss."""
    values: dict[str, Any] = {
        "trainer": {
            "kind": "custom",
            "entry": entry,
            "epochs": 6,
            "device": "cpu",
            "options": {"width": 8, "noise": 0.3},
        },
        "loss": {
            "warmup_epochs": 2,
            "rampup_epochs": 0,
            "weights": {"boundary": 0.0, "aspect": 0.0},
        },
        "optimizer": {"lr": 0.05, "momentum": 0.9},
    }
    values["loss"] |= changes
    return TrialSettings.model_validate(values)


def history(settings: TrialSettings, **where: Any) -> list[dict[str, Any]]:
    """What each epoch reports, but for its wall time and who trained it."""
    epochs: list[EpochMetrics] = []
    assert fit(settings, report=epochs.append, **where).status is Status.COMPLETED
    return [epoch.to_json() | {"seconds": 0, "shared": None} for epoch in epochs]


def write_trainer(folder: Path, body: str) -> str:
    file = folder / "mine.py"
    file.write_text(body)
    return f"{file}:Mine"


def mistake(entry: str) -> str:
    with pytest.raises(InputError) as caught:
        load_entry(entry)
    return str(caught.value)


def test_example_learns_and_reports_what_every_trainer_reports(tmp_path: Path) -> None:
    paths = TrialPaths(tmp_path)
    epochs = history(trial(), checkpoint=Checkpoints(tmp_path), provenance=paths.provenance)
    assert [epoch["geometric_factor"] for epoch in epochs] == [0, 0, 1, 1, 1, 1]
    assert epochs[-1]["val_dice"] > 0.9
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert epochs[-1]["terms"].keys() == {"dice", "ce", "compactness"}
    assert [epoch["steps"] for epoch in epochs] == [8] * 6
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["model"]["0.weight"].shape == (8, 1, 5, 5)  # trainer.options.width


def test_epsilon_of_zero_ends_it_in_its_step_with_term_parameter_and_cure() -> None:
    outcome = fit(trial(sqrt_epsilon=0.0))
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.term) == (
        "nonfinite",
        Stage.GRADIENT,
        "compactness",
    )
    assert verdict.parameter == "0.weight"
    assert verdict.weights_finite
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"
    assert verdict.diagnosis.recent[-1].place == (verdict.epoch, verdict.step)


@pytest.mark.parametrize(
    ("images", "labels", "loss", "changes", "setting", "said"),
    [
        ("x / 0", "x > 0", "ce", {}, "trainer.entry", "The batch contains values that are not"),
        ("x", "x * torch.inf", "mse", {}, "trainer.entry", "The batch contains values that are"),
        ("x", "x * 0 + 9", "ce", {}, "trainer.entry", LOSS_BROKE.format("loss")),
        ("x", "x * 0 + 9", "ce", HALF, "trainer.entry", LOSS_BROKE.format("loss")),
        ("x * 0 + 1", SOME_UNKNOWN, "masked", {}, "trainer.entry", LOSS_BROKE.format("loss")),
        ("x", "x > 0", "root", {}, "trainer.entry", LOSS_BROKE.format("gradient")),
        ("x * 0", "x > 0", "scaled", {}, "trainer.entry", "The network's module '0' (Scale) ans"),
        ("x * 1e6", "x > 0", "ce", HALF, "trainer.amp", "float16 ends at 65,504"),
        ("x", "x > 0", "ce", FAST, "optimizer.lr", "The learning rate 1e+30 is too high"),
        ("x", "x > 0", "ce", ADAM, "optimizer.options.eps", "With eps = 0 the optimizer divides"),
    ],
)
def test_step_that_breaks_is_blamed_on_what_broke_it(
    tmp_path: Path, images: str, labels: str, loss: str, changes: Any, setting: str, said: str
) -> None:
    """A constant image divided by its deviation, before the network or in it, a label without
    bound, only labels to ignore, labels that are unknown on purpose, and a unit that is never on;
    in each batch a tensor that cannot be asked whether it is finite."""
    settings = TrialSettings.model_validate(
        {
            "trainer": {"kind": "custom", "entry": write_trainer(tmp_path, BREAKS), "epochs": 2}
            | {"options": {"images": images, "labels": labels, "loss": loss}}
            | changes.get("trainer", {}),
            "optimizer": {"gradient_clip": None} | changes.get("optimizer", {}),
        }
    )
    verdict = fit(settings).divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    assert (verdict.epoch, verdict.diagnosis.setting) == (0, setting)
    assert verdict.diagnosis.likely_cause.startswith(said)
    told = [one for one in (CURED, REFUTED) if verdict.diagnosis.advice.endswith(one)]
    assert told == ([CURED] if said.startswith("float16") else [])


def test_zombie_whose_first_batch_is_gone_is_tried_on_the_last_step_that_was_skipped() -> None:
    settings = trial(sqrt_epsilon=0.0)
    policy = settings.guard.model_copy(update={"on_nonfinite": "skip", "skipped_in_a_row": 3})
    verdict = fit(settings.model_copy(update={"guard": policy})).divergence
    assert verdict is not None
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 4, 0)
    assert (verdict.term, verdict.parameter) == ("compactness", "0.weight")
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"
    assert verdict.diagnosis.advice.endswith(
        "With it, loss and gradient of the last skipped step are finite."
    )


def test_exploding_trial_is_taken_back_to_before_the_explosion(tmp_path: Path) -> None:
    settings = trial()
    optimizer = settings.optimizer.model_copy(
        update={"lr": 1e18, "gradient_clip": None, "schedule": "constant"}
    )
    outcome = fit(
        settings.model_copy(update={"optimizer": optimizer}), checkpoint=Checkpoints(tmp_path)
    )
    assert outcome.divergence is not None
    assert outcome.divergence.weights_finite


def test_going_on_and_starting_from_a_trunk_are_bit_for_bit_the_same_run(tmp_path: Path) -> None:
    whole = history(trial())
    assert whole == history(trial())
    (tmp_path / "resumed").mkdir()
    resumed = Checkpoints(tmp_path / "resumed")
    cut_short(trial(), 4, checkpoint=resumed)
    assert history(trial(), checkpoint=resumed) == whole

    def on_trunk(name: str, settings: TrialSettings) -> list[dict[str, Any]]:
        folder = tmp_path / name
        folder.mkdir()
        trunk = Trunk.of(settings, TrialPaths(folder), tmp_path / "trunks", [2])
        return history(settings, checkpoint=Checkpoints(folder), trunk=trunk)

    on_trunk("first", trial(sqrt_epsilon=1e-2))
    assert on_trunk("second", trial()) == whole
    assert len(list((tmp_path / "trunks").iterdir())) == 1


def test_class_that_goes_on_tells_its_divergence_as_the_whole_one_does(tmp_path: Path) -> None:
    entry = write_trainer(
        tmp_path,
        "import sys\n"
        f"sys.path.append({str(EXAMPLES)!r})\n"
        "from custom_trainer import DiscTraining\n\n\n"
        "class Mine(DiscTraining):\n"
        "    def batches(self, epoch):\n"
        "        for images, labels in super().batches(epoch):\n"
        "            yield images * (1 if epoch < 4 else float('nan')), labels\n",
    )
    whole = fit(trial(entry)).divergence
    cut_short(trial(entry), 4, checkpoint=Checkpoints(tmp_path))
    resumed = fit(trial(entry), checkpoint=Checkpoints(tmp_path)).divergence
    assert whole is not None
    assert whole.diagnosis is not None
    assert whole.diagnosis.steps_after_switch_on == 16  # two epochs of eight
    assert resumed is not None
    assert resumed.to_json() == whole.to_json()


def test_option_that_nothing_reads_is_told(tmp_path: Path) -> None:
    settings = trial()
    options = {"width": 4, "widht": 8}
    trainer = settings.trainer.model_copy(update={"options": options, "epochs": 2})
    epochs: list[EpochMetrics] = []
    fit(settings.model_copy(update={"trainer": trainer}), report=epochs.append)
    assert [epoch.warnings for epoch in epochs] == [
        ("nothing has read `trainer.options.widht` in the first epoch",),
        (),
    ]


def test_other_class_than_was_named_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        CustomTraining, "effective", lambda self: {"trainer.entry": "other.py:Disc"}
    )
    with pytest.raises(
        NotApplied, match=r"trainer.entry is .*DiscTraining' .* but 'other.py:Disc'"
    ):
        fit(trial())


# What can be wrong.


def test_what_cannot_be_loaded_is_told_at_the_key(tmp_path: Path) -> None:
    assert mistake(f"{EXAMPLES / 'custom_trainer.py'}:DiskTraining") == (
        f"trainer.entry: {EXAMPLES / 'custom_trainer.py'} has no class and no function"
        " `DiskTraining`; did you mean `DiscTraining`?"
    )
    assert "cannot be imported: ZeroDivisionError" in mistake(write_trainer(tmp_path, "1 / 0\n"))
    assert "has no class and no function `Mine`" in mistake(write_trainer(tmp_path, "Mine = 1\n"))
    plain = mistake(write_trainer(tmp_path, "class Mine: ...\n"))
    assert "`Mine` lacks `run_epoch`, `judge`" in plain
    assert "; derive it from `sweep.CustomTraining`, see" in plain
    half = "from sweep.trainer.custom import CustomTraining\nclass Mine(CustomTraining): ...\n"
    assert "`Mine` lacks `batches`, `build_model`, `validate`" in mistake(
        write_trainer(tmp_path, half)
    )


def test_edited_file_is_loaded_anew(tmp_path: Path) -> None:
    assert "lacks" in mistake(write_trainer(tmp_path, "class Mine: ...\n"))
    assert "has no class and no function `Mine`" in mistake(write_trainer(tmp_path, "Mine = 1\n"))


def test_text_of_the_same_size_and_second_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "mine.py"
    for value in (1, 2):
        file.write_text(f"value = {value}\n")
        os.utime(file, (1e9, 1e9))
        assert module_of(str(file)).value == value


def test_module_beside_it_of_the_same_size_and_second_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    beside, file = tmp_path / "beside_mine.py", tmp_path / "mine.py"
    for value in (1, 2):
        file.write_text(f"from beside_mine import value  # text {value}\n")
        beside.write_text(f"value = {value}\n")
        os.utime(beside, (1e9, 1e9))
        assert module_of(str(file)).value == value
        del sys.modules["beside_mine"]  # as in a fresh process


def test_checking_looks_for_the_file_and_does_not_run_it(tmp_path: Path) -> None:
    entry = write_trainer(tmp_path, "raise SystemExit('it was run')\nclass Mine: ...\n")
    assert TrainerCheck()(trial(entry)) == []
    assert [str(m) for m in TrainerCheck()(trial(f"{tmp_path}/none.py:Mine"))] == [
        f"trainer.entry: {tmp_path}/none.py is no file"
    ]
    assert [m.key for m in TrainerCheck()(trial("no_such_package.module:Mine"))] == [
        "trainer.entry"
    ]


SPACE = """\
trainer: {{kind: custom, entry: {entry}, options: {{width: 8}}}}
space:
  {space}: {{choice: [4, 8]}}
"""


def told(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_sweep(file)
    return [f"{m.line} {m.key}: {m.message}" for m in caught.value.mistakes]


def test_option_is_searched_like_any_setting(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(SPACE.format(entry=DISCS, space="trainer.options.width"))
    spec = load_sweep(file)
    settings = spec.trial({"trainer.options.width": 4})
    assert spec.parameters_of(settings) == {"trainer.options.width": 4}
    (tmp_path / "trial.yaml").write_text(to_yaml(settings))
    assert load_trial(tmp_path / "trial.yaml") == settings


def test_mistakes_of_options_and_groups_that_do_not_act_are_told_with_their_line(
    tmp_path: Path,
) -> None:
    assert told(tmp_path, SPACE.format(entry=DISCS, space="trainer.options.depth")) == [
        "3 space.trainer.options.depth: `trainer.options` has no `depth`: give it a value there to"
        " search it"
    ]
    text = SPACE.format(entry=DISCS, space="trainer.options.width")
    [message] = told(tmp_path, text + "network: {name: unet}\n")
    assert message.startswith('4 network.name: "unet" has no effect: with another trainer than')
    [message] = told(tmp_path, SPACE.format(entry="mine", space="trainer.options.width"))
    assert message.startswith("1 trainer.entry: must name a class or a function as `my_trainer.py")


def test_shipped_example_is_a_sweep_without_mistakes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep.check", "examples/custom.yaml"],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "12 trials of up to 8 epochs over 3 settings" in done.stdout


def test_copy_for_a_rewind_keeps_named_tuples_and_shares_no_tensor() -> None:
    pair = namedtuple("Pair", "mean step")
    state = {"pair": pair(torch.zeros(2), 3), "plain": (torch.zeros(2),)}
    found = copy_to_cpu(state)
    for one in (*state["pair"][:1], *state["plain"]):
        one += 1
    assert found["pair"].step == 3
    assert not found["pair"].mean.any()
    assert not found["plain"][0].any()
