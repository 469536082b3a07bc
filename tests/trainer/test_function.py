"""A plain loop as a trainer: a function that reports its epochs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from textwrap import indent
from typing import Any

import pytest
import torch
from cut_short import cut_short
from foreign import trial, write_trainer

from sweep.machine.interrupted import stops_as_ctrl_c
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.custom.entry_point import load_entry
from sweep.trainer.custom.inverted_function import Inverted, TrialStopped
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import epochs as trained
from sweep.trial.fit import fit
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, SweepError, TrainerError
from sweep.vocabulary.record import Outcome, Stage, Status

EXAMPLE = Path(__file__).parents[2] / "examples" / "function_trainer.py"

WALK = """\
rng, start = 0.0, 0
if (state := trial.checkpoint.load()) is not None:
    start = state["epoch"] + 1
for epoch in range(start, trial.epochs):
    drawn = [random.random(), np.random.rand(), torch.rand(()).item()]
    {first}
    {second}
"""
SAVE = "trial.checkpoint.save({'epoch': epoch, 'drawn': drawn})"
REPORT = "trial.report(epoch, dice=drawn[0], second=drawn[1], third=drawn[2])"


def write_function(folder: Path, body: str) -> str:
    file = folder / "plain.py"
    imports = "import random\nimport sys\n\nimport numpy as np\nimport torch\n\nlog = []\n\n\n"
    file.write_text(f"{imports}def train(config, trial):\n{indent(body, '    ')}")
    return f"{file}:train"


def log_of(entry: str) -> list[Any]:
    log: list[Any] = vars(sys.modules[load_entry(entry).__module__])["log"]
    return log


def history(entry: str, *, epochs: int = 4, **where: Any) -> tuple[list[dict[str, Any]], Outcome]:
    told: list[EpochMetrics] = []
    outcome = fit(trial(entry, epochs=epochs), report=told.append, **where)
    return [epoch.to_json() | {"seconds": 0} for epoch in told], outcome


def test_example_learns_and_reports_its_own_metrics(tmp_path: Path) -> None:
    paths = TrialPaths(tmp_path)
    settings = trial(f"{EXAMPLE}:train", epochs=3)
    trainer = settings.trainer.model_copy(update={"options": {"width": 8, "lr": 0.01}})
    told: list[EpochMetrics] = []
    outcome = fit(
        settings.model_copy(update={"trainer": trainer}),
        report=told.append,
        checkpoint=Checkpoints(tmp_path),
        provenance=paths.provenance,
    )
    assert outcome.status is Status.COMPLETED
    *_, last = told
    assert last.val_dice is not None
    assert last.val_dice > 0.9
    assert last.metrics.keys() == {"precision"}
    assert last.train_loss is not None
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["model"]["model"]["0.weight"].shape == (8, 1, 5, 5)
    [run] = json.loads(paths.provenance.read_text())["runs"]
    assert run["effective"]["trainer.options"] == {"width": 8, "lr": 0.01}
    assert run["effective"]["trainer.entry"] == f"{EXAMPLE}:train"
    assert (run["network"], run["machine"]["threads"]) == (None, 1)


def test_shipped_sweep_of_a_function_is_without_mistakes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep.check", "examples/function.yaml"],
        cwd=EXAMPLE.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "12 trials of up to 8 epochs over 2 settings" in done.stdout
    assert "geometric" not in done.stdout + done.stderr


# Going on.


@pytest.mark.parametrize(("first", "second"), [(SAVE, REPORT), (REPORT, SAVE)])
def test_interrupted_function_that_saves_goes_on_bit_for_bit(
    tmp_path: Path, first: str, second: str
) -> None:
    entry = write_function(tmp_path, WALK.format(first=first, second=second))
    whole, outcome = history(entry, checkpoint=None)
    assert outcome.status is Status.COMPLETED
    checkpoint = Checkpoints(tmp_path)
    told = cut_short(trial(entry, epochs=4), 2, checkpoint=checkpoint)
    assert [epoch.epoch for epoch in told] == [0, 1]
    resumed, outcome = history(entry, checkpoint=checkpoint)
    assert outcome.status is Status.COMPLETED
    assert resumed == whole


def test_function_without_a_checkpoint_begins_again_and_counts_no_epoch_twice(
    tmp_path: Path,
) -> None:
    body = (
        "for epoch in range(trial.epochs):\n    log.append(epoch)\n    trial.report(epoch, 0.5)\n"
    )
    entry = write_function(tmp_path, body)
    checkpoint = Checkpoints(tmp_path)
    cut_short(trial(entry, epochs=3), 2, checkpoint=checkpoint)
    told, outcome = history(entry, epochs=3, checkpoint=checkpoint)
    assert log_of(entry) == [0, 1, 0, 1, 2]
    assert [epoch["epoch"] for epoch in told] == [0, 1, 2]
    assert outcome.status is Status.COMPLETED


def test_state_is_what_it_was_when_it_was_saved(tmp_path: Path) -> None:
    body = (
        "state = trial.checkpoint.load() or {'w': torch.zeros(1)}\n"
        "log.append(state['w'].item())\n"
        "for epoch in range(trial.reported, trial.epochs):\n"
        "    state['w'] += 1\n    trial.checkpoint.save(state)\n    state['w'] += 10\n"
        "    trial.report(epoch, 0.5)\n"
    )
    entry = write_function(tmp_path, body)
    cut_short(trial(entry), 1, checkpoint=Checkpoints(tmp_path))
    history(entry, checkpoint=Checkpoints(tmp_path))
    assert log_of(entry) == [0.0, 1.0]


def test_function_starts_from_nobodys_warm_up(tmp_path: Path) -> None:
    entry = write_function(tmp_path, WALK.format(first=SAVE, second=REPORT))
    for name in ("first", "second"):
        (folder := tmp_path / name).mkdir()
        settings = trial(entry, loss={"warmup_epochs": 2})
        trunk = Trunk.of(settings, TrialPaths(folder), tmp_path / "trunks", [2])
        told: list[EpochMetrics] = []
        fit(settings, report=told.append, checkpoint=Checkpoints(folder), trunk=trunk)
        assert not any(epoch.shared for epoch in told)
    assert not (tmp_path / "trunks").exists()


# Ends.

TIDY = """\
try:
    for epoch in range(trial.epochs):
        try:
            trial.report(epoch, dice=0.5)
        except Exception:
            log.append("swallowed")
    log.append("after the loop")
finally:
    log.append("tidied")
"""


def test_pruned_function_stops_where_it_reports_and_tidies_up(tmp_path: Path) -> None:
    entry = write_function(tmp_path, TIDY)
    before = threading.active_count()
    session = trained(trial(entry))
    next(session)
    session.close()
    assert log_of(entry) == ["tidied"]
    assert threading.active_count() == before


def test_function_that_is_out_of_patience_stops_where_it_reports(tmp_path: Path) -> None:
    entry = write_function(tmp_path, TIDY)
    patience = {"patience": 2, "counts_from": "start"}
    outcome = fit(trial(entry, epochs=9, early_stopping=patience))
    assert outcome == Outcome(status=Status.EARLY_STOPPED)
    assert log_of(entry) == ["tidied"]


def test_what_stands_after_the_loop_is_done_when_all_epochs_are_reported(tmp_path: Path) -> None:
    entry = write_function(tmp_path, TIDY)
    told, outcome = history(entry)
    assert (len(told), outcome.status) == (4, Status.COMPLETED)
    assert log_of(entry) == ["after the loop", "tidied"]


def test_function_that_breaks_its_loop_has_stopped_early(tmp_path: Path) -> None:
    body = (
        "for epoch in range(9):\n    trial.report(epoch, 0.5)\n    if epoch == 1:\n        break\n"
    )
    told, outcome = history(write_function(tmp_path, body))
    assert len(told) == 2
    assert outcome == Outcome(
        status=Status.EARLY_STOPPED, cause="it ended by itself after 2 of 4 epochs"
    )


def test_function_that_never_looks_at_its_epochs_ends_at_the_last_one(tmp_path: Path) -> None:
    body = "epoch = 0\nwhile True:\n    trial.report(epoch, 0.5)\n    epoch += 1\n"
    told, outcome = history(write_function(tmp_path, body))
    assert (len(told), outcome.status) == (4, Status.COMPLETED)


def test_error_after_the_loop_is_the_trials(tmp_path: Path) -> None:
    body = "for epoch in range(4):\n    trial.report(epoch, 0.5)\nraise KeyError('export')\n"
    with pytest.raises(KeyError, match="export"):
        history(write_function(tmp_path, body))


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_exception_of_the_function_is_raised_with_its_line(
    tmp_path: Path, error: type[BaseException]
) -> None:
    body = f"trial.report(0, 0.5)\nraise {error.__name__}('x')\n"
    with pytest.raises(error) as caught:
        history(write_function(tmp_path, body))
    assert any(entry.name == "train" and entry.lineno == 10 for entry in caught.traceback[-1:]) or (
        caught.traceback[-1].name == "train"
    )


@pytest.mark.parametrize("moment", ["in the middle of an epoch", "where it hands one over"])
def test_interruption_stops_a_function(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Shorter than it takes a function that is not stopped.
    monkeypatch.setattr("sweep.trainer.custom.inverted_function.SECONDS_TO_STOP", 10.0)
    tidied = threading.Event()

    def function() -> None:
        try:
            while moment == "in the middle of an epoch":
                sum(range(1000))
            inverted.hand_over(0)
        finally:
            tidied.set()

    inverted: Inverted[int] = Inverted(function)

    class Interrupted(SimpleQueue[Any]):
        """A queue in which Ctrl-C arrives instead of an item, or beside one."""

        def get(self, *_: Any) -> Any:
            if moment == "where it hands one over":
                super().get()
            raise KeyboardInterrupt

    inverted._handed = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        inverted.next()
    assert tidied.is_set()
    assert not inverted._thread.is_alive()


def test_function_that_goes_on_after_it_was_stopped_is_stopped_again(tmp_path: Path) -> None:
    body = (
        "for epoch in range(trial.epochs):\n    try:\n        trial.report(epoch, 0.5)\n"
        "    except BaseException as error:\n        log.append(type(error).__name__)\n"
    )
    entry = write_function(tmp_path, body)
    session = trained(trial(entry))
    next(session)
    session.close()
    assert log_of(entry) == ["TrialStopped"] * 3  # two of them are new reports
    assert not issubclass(TrialStopped, Exception)


# What cannot be taken.

REFUSED = {
    "trial.report(1, 0.5)\n": "train reported epoch 1 where epoch 0 was to come: epochs",
    "trial.report(0, 0.5)\ntrial.report(2, 0.5)\n": "train reported epoch 2 where epoch 1 was",
    "trial.report(0, dice=87.3)\n": "train returned a Dice of 87.3, but it must lie in",
    "trial.report(0, val_dice=0.9)\n": "train reported a metric 'val_dice': the validation Dice",
    "trial.report(0, Dice=0.9)\n": "train reported a metric 'Dice': the validation Dice goes to",
    "trial.report(0, dice='good')\n": "as a Dice, but it must be one number",
    "trial.report(0, 0.5, hd95=[3.2])\n": "returned a list of 1 as the metric 'hd95', but it",
    "trial.checkpoint.save(trial)\n": "train returned a Trial, but must return a dict",
    "trial.checkpoint.save({'m': torch.nn.ReLU()})\n": "a ReLU at ['m'], which a checkpoint cannot",
    "trial.report({'dice': 0.5})\n": "train reported a dict of 'dice' as its epoch, but it",
    "trial.report(None)\n": "train reported None as its epoch, but it must be a whole number",
    "trial.report('0')\n": "train reported '0', a str as its epoch, but it must be a whole number",
    "trial.report(True)\n": "train reported True, a bool as its epoch, but it must be a whole",
    "trial.report(-1)\n": "train reported -1, an int as its epoch, but it must be a whole number",
    "trial.report(0.5)\n": "train reported 0.5, a float as its epoch, but it must be a",
    "trial.report(float('nan'))\n": "train reported nan, a float as its epoch, but it must be",
    "kept = {}\nkept['self'] = kept\ntrial.checkpoint.save(kept)\n": (
        "train returned a dict of 'self', but it contains itself, or is nested too deep for a"
    ),
    "trial.checkpoint.save({'a': torch.eye(2).to_sparse()})\n": (
        "returned a Tensor of shape [2, 2] that is torch.sparse_coo at ['a'], which a checkpoint"
    ),
    "pass\n": "train ended without a `trial.report(epoch, …)`, which it must call in each",
    "trial.report(0, hd95=3.2)\ntrial.report(1, float('nan'))\n": "in any of the 2 epochs",
}


@pytest.mark.parametrize(("body", "said"), REFUSED.items())
def test_report_that_cannot_be_taken_is_told_with_file_and_function(
    tmp_path: Path, body: str, said: str
) -> None:
    with pytest.raises(TrainerError) as caught:
        history(write_function(tmp_path, body))
    assert re.match(r"\S*plain\.py:10: train ", str(caught.value))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "def train(config): ...",
            "`train` must take (config, trial): too many positional arguments",
        ),
        ("def train(config, trial, more): ...", "missing a required argument: 'more'"),
        ("async def train(config, trial): ...", "must be a plain function: no `async def`"),
        ("def train(config, trial): yield 1", "must be a plain function"),
        ("def training(config, trial): ...", "no function `train`; did you mean `training`?"),
        ("import sys\nsys.exit('usage: x')", "cannot be imported: SystemExit: usage: x"),
    ],
)
def test_function_that_cannot_be_called_is_told_before_anything_is_trained(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "plain.py").write_text(text)
    with pytest.raises(InputError) as caught:
        load_entry(f"{tmp_path / 'plain.py'}:train")
    assert said in str(caught.value)


def test_settings_and_options_that_a_function_does_not_look_at_are_told(tmp_path: Path) -> None:
    body = "for epoch in range(2):\n    trial.report(epoch, 0.5)\n"
    asked = {
        "loss": {"weights": {"boundary": 0.5}},
        "optimizer": {"lr": 0.5},
        "guard": {"on_nonfinite": "skip", "collapsed_epochs": 3},
    }
    told: list[EpochMetrics] = []
    settings = trial(write_function(tmp_path, body), epochs=2, **asked)
    trainer = settings.trainer.model_copy(update={"options": {"width": 4}})
    fit(settings.model_copy(update={"trainer": trainer}), report=told.append)
    why = "has no effect: the trainer is a function, which has not read trial.settings"
    assert [epoch.warnings for epoch in told] == [
        (
            "nothing has read `trainer.options.width` in the first epoch",
            f"`loss.weights.boundary` {why}",
            f"`optimizer.lr` {why}",
            f"`guard.collapsed_epochs` {why}",
        ),
        (),
    ]
    told.clear()
    fit(
        trial(write_function(tmp_path, f"trial.settings.optimizer.lr\n{body}"), **asked),
        report=told.append,
    )
    assert [epoch.warnings for epoch in told] == [(), ()]


@pytest.mark.parametrize(
    "taken",
    [
        "dict(**config)",
        "{**config}",
        "{'depth': 3} | config",
        "config | {'depth': 3}",
        "dict(config)",
        "dict(config.items())",
        "list(config.values())",
        "config.copy()",
        "copy.deepcopy(config)",
        "json.loads(json.dumps(config))",
        "argparse.Namespace(**config)",
        "vars(argparse.Namespace()).update(config)",
        "(config.pop('width'), config.setdefault('lr', 1))",
    ],
)
def test_function_that_takes_its_options_all_at_once_has_read_them(
    tmp_path: Path, taken: str
) -> None:
    body = f"import argparse, copy, json\n{taken}\ntrial.report(0, 0.5)\n"
    settings = trial(write_function(tmp_path, body), epochs=1)
    trainer = settings.trainer.model_copy(update={"options": {"width": 4, "lr": 0.1}})
    told: list[EpochMetrics] = []
    fit(settings.model_copy(update={"trainer": trainer}), report=told.append)
    assert not [said for said in told[0].warnings if "nothing has read" in said]


def test_function_that_parses_a_command_line_gets_its_own_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "space.yaml", "--resume"])
    body = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--resume", default="")
for epoch in range(2):
    trial.report(epoch, 0.5)
    assert parser.parse_args().resume == ""
"""
    assert history(write_function(tmp_path, body), epochs=2)[1].status is Status.COMPLETED
    assert sys.argv == ["run", "space.yaml", "--resume"]


def test_errors_of_trainers_are_of_the_family_that_commands_tell_in_words() -> None:
    assert issubclass(TrainerError, SweepError)


UNSEEN = """\
model, losses = torch.nn.Linear(2, 1), []
optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
for epoch in range(4):
    for _ in range(2 if epoch else 0):
        optimizer.zero_grad()
        loss = model(torch.ones(1, 2)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    trial.checkpoint.save({"nets": [model.state_dict()], "best": float("nan")})
    trial.report(epoch, 0.0, train_loss=np.nanmin([*losses, 1.0]))
"""


def test_network_that_turns_nan_without_its_loss_showing_it_is_told_once(tmp_path: Path) -> None:
    told, outcome = history(write_function(tmp_path, "trial.settings\n" + UNSEEN))
    said = [line for epoch in told for line in epoch["warnings"]]
    assert (len(told), outcome.status, len(said)) == (4, Status.COMPLETED, 1)
    assert said[0].startswith(
        "what was saved in epoch 2 holds NaN, in state['nets'][0]['weight']; the trial goes on"
    )


def test_warning_that_was_told_is_not_told_again_when_a_function_goes_on(tmp_path: Path) -> None:
    entry = write_function(tmp_path, "trial.settings\n" + UNSEEN)
    whole, _ = history(entry)
    cut_short(trial(entry, epochs=4), 3, checkpoint=Checkpoints(tmp_path))
    resumed, _ = history(entry, checkpoint=Checkpoints(tmp_path))
    assert [epoch["warnings"] for epoch in resumed] == [epoch["warnings"] for epoch in whole]


SKIPS = """\
linear = torch.nn.Linear(2, 1)
model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), linear)
scaler = torch.amp.GradScaler("cpu")
optimizer = torch.optim.AdamW(model.parameters())
for epoch in range(4):
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(torch.rand(4, 2)).mean() + ({factor} * linear.weight).square().sum().sqrt()
        scaler.scale(loss).backward()  # the slope of the root of 0 is infinite
        scaler.step(optimizer)
        scaler.update()
    states = {"scaler": scaler.state_dict(), "optimizer": optimizer.state_dict()}
    trial.checkpoint.save({"model": model.state_dict(), "epoch": epoch} | states)
    trial.report(epoch, 0.4, train_loss=loss)
"""


@pytest.mark.parametrize(("factor", "epochs_told"), [("0", [1]), ("1", [])])
def test_network_whose_steps_are_all_skipped_by_its_scaler_is_told_once(
    tmp_path: Path, factor: str, epochs_told: list[int]
) -> None:
    body = "trial.settings\n" + SKIPS.replace("{factor}", factor)
    told, outcome = history(write_function(tmp_path, body))
    assert outcome.status is Status.COMPLETED
    assert [epoch["epoch"] for epoch in told if epoch["warnings"]] == epochs_told
    for epoch in epochs_told:
        assert told[epoch]["warnings"][0].startswith("no weight that was saved in epoch 1 differs")


def test_other_loss_that_turns_nan_is_told_once_and_ends_no_trial(tmp_path: Path) -> None:
    body = "for epoch in range(4):\n    trial.report(epoch, 0.0, own=np.nan, val_loss={})\n"
    loss = "np.nan if epoch else 0.5"
    told, outcome = history(write_function(tmp_path, "trial.settings\n" + body.format(loss)))
    assert (len(told), outcome.status) == (4, Status.COMPLETED)
    assert [epoch["warnings"] for epoch in told] == [
        [],
        [
            "val_loss is not finite in epoch 1; the trial goes on: only a train_loss that is not"
            " finite, or a guard, ends it"
        ],
        [],
        [],
    ]


BREAKS = """\
trial.settings
for epoch in range(4):
    trial.checkpoint.save({"epoch": epoch})
    trial.report(epoch, 0.5, train_loss={loss} if epoch > 1 else 0.3, own=float("nan"))
"""


@pytest.mark.parametrize("loss", ["float('nan')", "float('inf')", "torch.tensor(float('nan'))"])
def test_function_that_reports_a_train_loss_that_is_not_finite_has_diverged(
    tmp_path: Path, loss: str
) -> None:
    entry = write_function(tmp_path, BREAKS.replace("{loss}", loss))
    told, outcome = history(entry, checkpoint=Checkpoints(tmp_path))
    assert (len(told), outcome.status) == (2, Status.DIVERGED)
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.epoch) == ("nonfinite", Stage.LOSS, 2)
    value = "inf" if "inf" in loss else "nan"
    assert verdict.message == f"The training loss reported for epoch 2, {value}, is not finite."
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "trainer.entry"
    # It took no step under a guard, so nobody counted any.
    assert outcome.cause == "nonfinite loss at epoch 2"
    assert (verdict.step, verdict.diagnosis.steps_after_switch_on) == (0, None)
    # What it saved in the epoch that broke may be broken too.
    kept = torch.load(TrialPaths(tmp_path).healthy_checkpoint, weights_only=True)
    assert kept["model"] == {"epoch": 1}


def test_class_of_its_own_that_returns_a_train_loss_that_is_not_finite_has_diverged(
    tmp_path: Path,
) -> None:
    returned = "replace(super().run_epoch(epoch), train_loss=[0.3, float('nan')][epoch])"
    body = (
        f"def run_epoch(self, epoch):\n    from dataclasses import replace\n    return {returned}"
    )
    told: list[EpochMetrics] = []
    outcome = fit(trial(write_trainer(tmp_path, body), epochs=2), report=told.append)
    assert (len(told), outcome.cause) == (1, "nonfinite loss at epoch 1 step 2")


def test_train_loss_that_is_not_finite_is_told_once_where_it_shall_not_end_the_trial(
    tmp_path: Path,
) -> None:
    told: list[EpochMetrics] = []
    entry = write_function(tmp_path, BREAKS.replace("{loss}", "float('nan')"))
    asked = trial(entry, epochs=4, guard={"on_nonfinite": "skip"})
    assert fit(asked, report=told.append).status is Status.COMPLETED
    assert [epoch.warnings for epoch in told] == [
        (),
        (),
        (
            "train_loss is not finite in epoch 2; the trial goes on, because `guard.on_nonfinite`"
            " is skip",
        ),
        (),
    ]


# The guard, for who asks for it.

GUARDED = """\
model = torch.nn.Linear(2, 1)
guard = trial.guard(model, torch.optim.{optimizer}(model.parameters(), lr=0.01))
state = trial.checkpoint.load() or {{"epoch": -1}}
if "model" in state:
    model.load_state_dict(state["model"])
for epoch in range(state["epoch"] + 1, trial.epochs):
    for step in range(3):
        fit = (model(torch.randn(4, 2)) - 1).square().mean()
        broken = fit * float("nan" if (epoch, step) == {broken} else 1)
        {step}
    trial.checkpoint.save({{"epoch": epoch, "model": model.state_dict()}})
    trial.report(epoch, {dice}, own=epoch)
"""
STEP = "guard.step(broken, {'fit': fit, 'broken': broken})"


def guarded(
    folder: Path,
    step: str = STEP,
    broken: str = "(1, 2)",
    optimizer: str = "SGD",
    dice: str = "dice=0.5",
) -> str:
    body = GUARDED.format(step=step, broken=broken, optimizer=optimizer, dice=dice)
    return write_function(folder, body)


@pytest.mark.parametrize(
    "step",
    [
        STEP,
        f"try:\n            {STEP}\n        except Exception:\n            pass",  # told later
    ],
)
def test_guarded_function_ends_in_the_step_that_broke_with_the_term(
    tmp_path: Path, step: str
) -> None:
    told, outcome = history(guarded(tmp_path, step), checkpoint=Checkpoints(tmp_path))
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.term) == ("nonfinite", Stage.LOSS, "broken")
    assert (verdict.epoch, verdict.step) == (1, 2)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "trainer.entry"  # its rate is not that of the settings
    assert len(told) == 1
    assert (told[0]["steps"], told[0]["metrics"]) == (3, {"own": 0.0})
    assert told[0]["terms"].keys() == {"fit", "broken"}
    assert told[0]["train_loss"] == told[0]["terms"]["broken"]


def test_first_of_the_steps_that_break_is_told_where_a_function_goes_on_after_it(
    tmp_path: Path,
) -> None:
    step = f"try:\n            {STEP}\n        except Exception:\n            pass"
    _, outcome = history(guarded(tmp_path, step, broken="(1, step)"))
    assert outcome.divergence is not None
    assert (outcome.divergence.epoch, outcome.divergence.step) == (1, 0)


def test_guarded_function_that_goes_on_is_bit_for_bit_the_whole_one(tmp_path: Path) -> None:
    entry = guarded(tmp_path, broken="None")
    whole, _ = history(entry)
    cut_short(trial(entry, epochs=4), 2, checkpoint=Checkpoints(tmp_path))
    resumed, outcome = history(entry, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.COMPLETED
    assert resumed == whole


def test_guarded_function_that_goes_on_tells_its_divergence_as_the_whole_one_does(
    tmp_path: Path,
) -> None:
    entry = guarded(tmp_path, broken="(3, 1)")
    weights = {"compactness": 0.1, "boundary": 0.0, "aspect": 0.0}
    config = trial(entry, epochs=4, loss={"warmup_epochs": 1, "weights": weights})
    whole = fit(config).divergence
    cut_short(config, 3, checkpoint=Checkpoints(tmp_path))
    resumed = fit(config, checkpoint=Checkpoints(tmp_path)).divergence
    assert whole is not None
    assert whole.diagnosis is not None
    assert whole.diagnosis.steps_after_switch_on == 7  # two epochs of three, and one
    assert resumed is not None
    assert resumed.to_json() == whole.to_json()


def test_statistics_that_a_function_loads_after_it_made_its_guard_outlive_a_step_that_is_skipped(
    tmp_path: Path,
) -> None:
    entry = write_function(
        tmp_path,
        "model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))\n"
        "guard = trial.guard(model, torch.optim.SGD(model.parameters(), lr=0.01))\n"
        "state = trial.checkpoint.load() or {'epoch': -1, 'model': model.state_dict()}\n"
        "model.load_state_dict(state['model'])\n"
        "for epoch in range(state['epoch'] + 1, trial.epochs):\n"
        "    for step in range(2):\n"
        "        x = torch.randn(4, 2) * (float('nan') if (epoch, step) == (2, 0) else 1)\n"
        "        guard.step(lambda x: (model(x) - 1).square().mean(), x)\n"
        "    trial.checkpoint.save({'epoch': epoch, 'model': model.state_dict()})\n"
        "    trial.report(epoch, dice=0.5, mean=model[1].running_mean.sum())\n",
    )
    config = trial(entry, epochs=3, guard={"on_nonfinite": "skip"})
    whole: list[EpochMetrics] = []
    fit(config, report=whole.append)
    cut_short(config, 2, checkpoint=Checkpoints(tmp_path))
    resumed: list[EpochMetrics] = []
    fit(config, report=resumed.append, checkpoint=Checkpoints(tmp_path))
    assert [epoch.metrics for epoch in resumed] == [epoch.metrics for epoch in whole]


def begun_again(*step: str) -> str:
    """A loop without a checkpoint, so that it begins again, whose guard is asked as on a GPU."""
    return (
        "model = torch.nn.Linear(2, 1)\n"
        "guard = trial.guard(model, torch.optim.SGD(model.parameters(), lr=0.01))\n"
        "guard.guard.interval = 100  # a GPU is not asked after each step\n"
        "for epoch in range(trial.epochs):\n"
        "    for step in range(3):\n"
        + "".join(f"        {line}\n" for line in step)
        + "    trial.report(epoch, 0.5)\n"
    )


def test_steps_of_epochs_that_were_reported_before_are_not_those_of_the_next(
    tmp_path: Path,
) -> None:
    body = begun_again("guard.step(model(torch.randn(4, 2)).square().mean())")
    entry, checkpoint = write_function(tmp_path, body), Checkpoints(tmp_path)
    cut_short(trial(entry, epochs=4), 2, checkpoint=checkpoint)
    told, _ = history(entry, checkpoint=checkpoint)
    assert [epoch["steps"] for epoch in told] == [3, 3, 3, 3]


def test_step_that_broke_is_examined_with_its_own_batch_not_with_that_of_a_repeated_epoch(
    tmp_path: Path,
) -> None:
    body = begun_again(
        "images = torch.randn(4, 2) / float((epoch, step) != (2, 1))",
        "guard.step(lambda x: model(x).square().mean(), images)",
    )
    entry, checkpoint = write_function(tmp_path, body), Checkpoints(tmp_path)
    cut_short(trial(entry, epochs=4), 2, checkpoint=checkpoint)
    _, outcome = history(entry, checkpoint=checkpoint)  # begins again with epoch 0
    verdict = outcome.divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    assert (verdict.epoch, verdict.step) == (2, 1)
    assert verdict.diagnosis.likely_cause.startswith("The batch contains values that are not")


@pytest.mark.parametrize(
    ("rate", "images", "said"),
    [
        ("3e5", "torch.randn(4, 2)", "The learning rate is too high for this network and loss"),
        ("1e-3", "torch.zeros(4, 2) / torch.zeros(4, 2).std()", "The batch holds a value that is"),
    ],
)
def test_first_guess_is_the_rate_where_it_was_the_rate_and_the_batch_where_it_was_that(
    tmp_path: Path, rate: str, images: str, said: str
) -> None:
    body = (
        "model = torch.nn.Sequential(\n"
        "    torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))\n"
        f"guard = trial.guard(model, torch.optim.SGD(model.parameters(), lr={rate}))\n"
        "for epoch in range(trial.epochs):\n"
        "    for step in range(20):\n"
        f"        images = torch.randn(4, 2) if step < 3 else {images}\n"
        "        guard.step((model(images) - 1).square().mean())\n"
        "    trial.report(epoch, 0.5)\n"
    )
    _, outcome = history(write_function(tmp_path, body))
    assert outcome.divergence is not None
    assert outcome.divergence.diagnosis is not None
    assert outcome.divergence.diagnosis.likely_cause.startswith(said)


ASKED = """\
class Contrast(torch.nn.Module):
    def forward(self, x):
        return (x - x.mean()) / x.std()

model = torch.nn.Sequential(Contrast(), torch.nn.Linear(2, 4), torch.nn.Linear(4, 2))
guard = trial.guard(model, torch.optim.SGD(model.parameters(), lr=0.01))

def compute_loss(images, labels):
    fit = (model(images) - labels).square().mean()
    root = (fit * {scale}).sqrt()
    return fit + root, {{"fit": fit, "root": root}}

for epoch in range(trial.epochs):
    for step in range(4):
        images, labels = torch.randn(4, 2), torch.randn(4, 2)
        if step == 2:
            {broken}
        {step}
    trial.report(epoch, dice=0.5)
"""


@pytest.mark.parametrize(
    ("parts", "place", "said"),
    [
        (
            {"broken": "images = images * 0"},
            (Stage.LOSS, "fit"),
            "The network's module '0' (Contrast) answers usual values",
        ),
        (
            {"scale": "float(step != 2)"},
            (Stage.GRADIENT, "root"),
            "The gradient is not finite, though the network's answers are: the loss divides by 0",
        ),
        (
            {"broken": "labels[1] = float('nan')"},
            (Stage.LOSS, "fit"),
            "The batch contains values that are not finite",
        ),
    ],
)
@pytest.mark.parametrize(
    "step",
    [
        "guard.step(compute_loss, images, labels)",
        "guard.backward(compute_loss, torch.randn(4, 2), labels.nan_to_num());"
        " guard.backward(compute_loss, images, labels); guard.step()",
    ],
)
def test_guard_that_computes_the_loss_finds_out_where_it_broke(
    tmp_path: Path, parts: dict[str, str], place: tuple[Stage, str], said: str, step: str
) -> None:
    whole = {"broken": "pass", "scale": "1", "step": step} | parts
    _, outcome = history(write_function(tmp_path, ASKED.format(**whole)))
    verdict = outcome.divergence
    assert verdict is not None
    assert verdict.diagnosis is not None
    assert (verdict.epoch, verdict.step) == (0, 2)
    assert (verdict.stage, verdict.term) == place
    assert verdict.diagnosis.likely_cause.startswith(said)


@pytest.mark.parametrize(
    ("under", "said"),
    [
        ("guard.autocast()", "With it, loss and gradient of that step are finite."),
        (
            "torch.autocast('cpu', torch.float16)",
            "Set trainer.amp to bf16, which has the range of float32, or off.",
        ),
    ],
)
def test_other_precision_is_tried_where_the_guard_gave_the_precision(
    tmp_path: Path, under: str, said: str
) -> None:
    body = ASKED.format(
        broken="images = images + 1e5",  # more than float16 holds
        scale="1",
        step="guard.step(compute_loss, images, labels)",
    ).replace("    fit = ", f"    with {under}:\n        fit = ")
    body = body.replace("Contrast()", "torch.nn.Identity()")
    settings = trial(write_function(tmp_path, body), epochs=2)
    half = settings.trainer.model_copy(update={"amp": "fp16"})
    outcome = fit(settings.model_copy(update={"trainer": half}))
    assert outcome.divergence is not None
    assert outcome.divergence.diagnosis is not None
    assert outcome.divergence.diagnosis.setting == "trainer.amp"
    assert outcome.divergence.diagnosis.advice.endswith(said)


def test_guard_that_is_given_the_loss_says_what_would_show_where_it_broke(tmp_path: Path) -> None:
    _, outcome = history(guarded(tmp_path))
    assert outcome.divergence is not None
    assert outcome.divergence.diagnosis is not None
    advice = outcome.divergence.diagnosis.advice
    assert advice.endswith("guard.step(compute_loss, *batch) would show where it broke.")


@pytest.mark.parametrize("terms", ["", ", {'fit': fit, 'broken': broken}"])
def test_loss_that_the_guard_computes_is_the_loss_that_it_is_given(
    tmp_path: Path, terms: str
) -> None:
    given = guarded(tmp_path, f"guard.step(broken{terms})", broken="None")
    wanted, _ = history(given)
    asked = f"guard.step(lambda fit, broken: (broken{terms}), fit, broken=broken)"
    found, _ = history(guarded(tmp_path, asked, broken="None"))
    assert found == wanted


def test_function_that_computes_no_loss_is_told_where_it_stands(tmp_path: Path) -> None:
    step = "guard.step(lambda fit: fit.item(), fit)"
    with pytest.raises(
        TrainerError, match=r"plain.py:\d+: <lambda> returned .*, a float, but must"
    ):
        history(guarded(tmp_path, step))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("(fit, {'fit': fit})", "a tuple of 2"),
        ("fit, model.weight, 3", "a Tensor of shape [], a Parameter of shape [1, 2], 3, an int"),
    ],
)
def test_guard_that_is_given_neither_a_loss_nor_what_computes_it_says_what_it_takes(
    tmp_path: Path, given: str, said: str
) -> None:
    with pytest.raises(TrainerError) as caught:
        history(guarded(tmp_path, f"guard.step({given})"))
    assert f"plain.py:10: train gave the guard {said}, but it takes (loss" in str(caught.value)


def test_guarded_function_that_unlearns_has_collapsed(tmp_path: Path) -> None:
    # Its first answer may need no network, as nobody has told what does not; the second is learnt.
    entry = guarded(tmp_path, broken="None", dice="dice=[0.3, 0.6, *[0.0] * 9][epoch]")
    told, outcome = history(entry, epochs=9)
    assert outcome.divergence is not None
    assert outcome.divergence.cause == "collapsed"
    assert len(told) == 4


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize(("epochs", "dice"), [(9, [0.3, 0.6, 0.0, 0.0]), (2, [0.0, 0.0])])
def test_function_that_ends_before_its_verdict_is_told_has_it_when_it_goes_on(
    tmp_path: Path, epochs: int, dice: list[float], *, saves: bool
) -> None:
    entry = guarded(tmp_path, broken="None", dice=f"dice={dice}[epoch]")
    if not saves:
        file = Path(entry.removesuffix(":train"))
        file.write_text(file.read_text().replace("trial.checkpoint.save(", "dict("))
    whole = fit(trial(entry, epochs=epochs)).divergence
    cut_short(trial(entry, epochs=epochs), len(dice), checkpoint=Checkpoints(tmp_path))
    told, outcome = history(entry, epochs=epochs, checkpoint=Checkpoints(tmp_path))
    assert whole is not None
    assert whole.cause == "collapsed"
    assert len(told) == len(dice)
    assert outcome.divergence is not None
    assert outcome.divergence.to_json() == whole.to_json()


def test_function_whose_last_steps_were_all_skipped_has_that_verdict_when_it_goes_on(
    tmp_path: Path,
) -> None:
    step = "guard.step(lambda fit: fit * (float('nan') if epoch == 1 else 1), fit)"
    config = trial(guarded(tmp_path, step), epochs=2, guard={"on_nonfinite": "skip"})
    whole = fit(config).divergence
    cut_short(config, 2, checkpoint=Checkpoints(tmp_path))
    resumed = fit(config, checkpoint=Checkpoints(tmp_path)).divergence
    assert whole is not None
    assert whole.cause == "zombie"
    assert resumed is not None
    assert resumed.to_json() == whole.to_json()


def test_guard_refuses_an_optimizer_whose_steps_it_cannot_look_at(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="train: its optimizer, a LBFGS, evaluates the loss"):
        history(guarded(tmp_path, optimizer="LBFGS"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("model.parameters()", "its network, a generator, is no torch.nn.Module"),
        ("torch.nn.LazyLinear(2)", "its network, a LazyLinear, has lazy modules, whose weights"),
        (
            "torch.nn.Linear(1, 1, device='meta')",
            "its network, a Linear, lies on the device `meta`",
        ),
    ],
)
def test_guard_refuses_a_network_that_it_cannot_watch(
    tmp_path: Path, model: str, said: str
) -> None:
    body = (
        "model = torch.nn.Linear(1, 1)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        f"trial.guard({model}, optimizer)\n"
    )
    with pytest.raises(TrainerError, match=rf"plain\.py:10: train: {re.escape(said)}"):
        history(write_function(tmp_path, body))


# What a name may lead to.

DEF = "def {}(config, trial):\n    for epoch in range(2):\n        trial.report(epoch, 0.5)\n"
NAMED = {
    "a decorator without wraps": "def kept(f):\n    return lambda *given: f(*given)\n@kept\n"
    + DEF.format("train"),
    "another name": DEF.format("_train") + "train = _train\n",
    "a lambda": "train = lambda config, trial: [trial.report(epoch, 0.5) for epoch in range(2)]\n",
    "another module": "from elsewhere import train\n",
    "a factory": "def made():\n"
    + indent(DEF.format("run"), "    ")
    + "    return run\ntrain = made()\n",
    "a static method": "class A:\n    @staticmethod\n"
    + indent(DEF.format("run"), "    ")
    + "train = A.run\n",
    "a bound method": "class A:\n"
    + indent(DEF.format("run").replace("(config", "(self, config"), "    ")
    + "train = A().run\n",
    "an object": "class A:\n"
    + indent(DEF.format("__call__").replace("(config", "(self, config"), "    ")
    + "train = A()\n",
    "a partial": "from functools import partial\n"
    + DEF.format("run").replace("trial)", "trial, more)")
    + "train = partial(run, more=1)\n",
    "a wrapper in C": "from functools import singledispatch\n@singledispatch\n"
    + DEF.format("train"),
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
def test_whatever_can_be_called_is_a_function_by_the_name_that_leads_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "elsewhere.py").write_text(DEF.format("train"))
    monkeypatch.delitem(sys.modules, "elsewhere", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (file := tmp_path / "plain.py").write_text(text)
    paths = TrialPaths(tmp_path)
    told, outcome = history(f"{file}:train", epochs=2, provenance=paths.provenance)
    assert outcome.status is Status.COMPLETED
    assert [epoch["val_dice"] for epoch in told] == [0.5, 0.5]
    [run] = json.loads(paths.provenance.read_text())["runs"]
    assert run["effective"]["trainer.entry"] == f"{file}:train"


def test_class_by_another_name_or_of_another_module_is_what_was_asked_for(tmp_path: Path) -> None:
    entry = write_trainer(tmp_path)
    (tmp_path / "theirs_alone.py").write_text((tmp_path / "mine.py").read_text())
    other = tmp_path / "other.py"
    other.write_text("from theirs_alone import Mine as Theirs\n")
    assert fit(trial(f"{other}:Theirs", epochs=1)).status is Status.COMPLETED
    assert fit(trial(entry, epochs=1)).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train = 3\n", "has no class and no function `train`: it is 3, an int"),
        ("import json as train\n", "has no class and no function `train`: it is a module"),
        (
            "from functools import cache\n@cache\ndef train(config, trial): ...\n",
            "`train` keeps its results (lru_cache), which a trainer must not do: remove that",
        ),
        ("import trains\n", "has no class and no function `train`"),
        ("async def train(config, trial):\n    yield 1\n", "must be a plain function"),
        (
            "class A:\n    def __call__(self, config): ...\ntrain = A()\n",
            "must take (config, trial)",
        ),
    ],
)
def test_name_that_leads_to_no_function_is_told_with_what_it_is(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "trains.py").write_text("")
    (tmp_path / "plain.py").write_text(text)
    with pytest.raises(InputError) as caught:
        load_entry(f"{tmp_path / 'plain.py'}:train")
    assert said in str(caught.value)
    assert "did you mean" not in str(caught.value)


WRAPPED = """\
import functools

def kept(f):
    @functools.wraps(f)
    def inner(*given):
        return f(*given)
    return inner

@kept
{} train(config, trial):
    trial.report(0, 0.5)
    {}
"""


@pytest.mark.parametrize(
    ("how", "last", "what"),
    [
        ("def", "yield", "a generator"),
        ("async def", "pass", "a coroutine"),
        ("async def", "yield", "an async_generator"),
    ],
)
def test_function_that_trains_only_when_somebody_waits_for_it_is_refused(
    tmp_path: Path, how: str, last: str, what: str
) -> None:
    (file := tmp_path / "plain.py").write_text(WRAPPED.format(how, last))
    with pytest.raises(TrainerError) as caught:
        history(f"{file}:train")
    assert str(caught.value) == (
        f"{file}:9: train returned {what}, but must train when it is called: without `async def`"
        " and without `yield`"
    )


@pytest.mark.parametrize("value", ["1 / (epoch + 1)", "torch.tensor(1 / (epoch + 1))"])
def test_function_may_be_judged_by_the_training_loss_that_it_reports(
    tmp_path: Path, value: str
) -> None:
    body = f"for epoch in range(3):\n    trial.report(epoch, train_loss={value})\n"
    asked = {"objective": {"metric": "train_loss", "mode": "min"}}
    told: list[EpochMetrics] = []
    settings = trial(write_function(tmp_path, body), **asked)
    outcome = fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.COMPLETED
    assert settings.judged_by.best(told) is told[2]


# What means something else to whoever runs it.

OWN_ERRORS = (
    "import asyncio\n"
    "from sweep.vocabulary.errors import SweepFailed\n"
    "from sweep.trainer.custom.inverted_function import TrialStopped\n"
    "class Own(BaseException): ...\n"
)
RAISED = [
    "KeyboardInterrupt('x')",
    "GeneratorExit('x')",
    "StopIteration('x')",
    "asyncio.CancelledError('x')",
    "SweepFailed('x')",
    "TrialStopped('x')",
    "Own('x')",
]


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("error", RAISED)
def test_error_of_a_function_is_its_own_whatever_it_means_elsewhere(
    tmp_path: Path, error: str, epoch: int
) -> None:
    body = OWN_ERRORS + "trial.report(0, 0.5)\n" * epoch + f"raise {error}\n"
    with pytest.raises(TrainerError) as caught:
        history(write_function(tmp_path, body))
    assert type(caught.value.__cause__).__name__ == error.partition("(")[0].rpartition(".")[2]
    assert re.match(r"\S*plain\.py:10: train raised .*x at \S*plain\.py:\d+$", str(caught.value))


@pytest.mark.parametrize("place", ["__init__", "batches", "validate", "weights"])
@pytest.mark.parametrize("error", RAISED)
def test_error_of_a_class_is_its_own_whatever_it_means_elsewhere(
    tmp_path: Path, error: str, place: str
) -> None:
    method = f"def {place}(self, *_):\n    raise {error}\n"
    with pytest.raises(TrainerError) as caught:
        fit(trial(write_trainer(tmp_path, method, OWN_ERRORS)), checkpoint=Checkpoints(tmp_path))
    assert type(caught.value.__cause__).__name__ == error.partition("(")[0].rpartition(".")[2]
    assert re.match(r"\S*mine\.py:\d+: Mine\.\w+ raised .*x at \S*mine\.py:\d+$", str(caught.value))


def test_stop_iteration_within_a_users_generator_is_not_hidden(tmp_path: Path) -> None:
    method = (
        "def batches(self, epoch):\n"
        "    yield torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4).long()\n"
        "    next(iter(()))\n"
    )
    with pytest.raises(TrainerError, match=r"raised StopIteration at \S*mine\.py:\d+$"):
        fit(trial(write_trainer(tmp_path, method)))


def test_module_that_interrupts_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(
        InputError, match=r"imported: it raised KeyboardInterrupt at \S*plain\.py:1"
    ):
        load_entry(f"{tmp_path / 'plain.py'}:train")


def test_signal_to_stop_while_a_users_file_is_read_is_not_an_error_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\n")
    with pytest.raises(KeyboardInterrupt), stops_as_ctrl_c():
        load_entry(f"{tmp_path / 'slow.py'}:train")


def test_ctrl_c_in_the_middle_of_a_users_method_stays_what_it_is(tmp_path: Path) -> None:
    method = (
        "def validate(self, epoch):\n    import signal\n"
        "    signal.raise_signal(signal.SIGINT)\n    return Validation(dice=0.5)\n"
    )
    with pytest.raises(KeyboardInterrupt):
        fit(trial(write_trainer(tmp_path, method)))


PAIRS = """\
pairs = []
for _ in range(2):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pairs.append((model, trial.guard(model, optimizer)))
for epoch in range(3):
    for model, guard in pairs:
        broken = float("nan") if (epoch, model) == (1, pairs[{}][0]) else 1.0
        try:
            guard.step(model(torch.randn(4, 2)).square().mean() * broken)
        except Exception:
            pass
    trial.checkpoint.save({{"epoch": epoch}})
    trial.report(epoch, 0.5)
"""


@pytest.mark.parametrize("which", [0, 1])
def test_each_of_several_guards_ends_the_trial(tmp_path: Path, which: int) -> None:
    told: list[EpochMetrics] = []
    settings = trial(write_function(tmp_path, PAIRS.format(which)))
    outcome = fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.DIVERGED
    assert [epoch.steps for epoch in told] == [2]
    kept = Checkpoints(tmp_path).load_last()
    assert kept is not None
    assert len(kept["training"]["checkpoint"]["guard"]) == 2


@pytest.mark.parametrize("which", ["another name", "a lambda", "a partial"])
def test_function_by_another_name_has_no_geometric_terms_either(tmp_path: Path, which: str) -> None:
    (file := tmp_path / "plain.py").write_text(NAMED[which])
    trainer = {"kind": "custom", "entry": f"{file}:train"}
    assert not TrialSettings.model_validate({"trainer": trainer}).has_geometry
