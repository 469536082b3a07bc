"""``sweep.train`` as its user meets it: a diagnosis, and the step again."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.train import command

DIVERGING = """\
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 8, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 3, rampup_epochs: 1, sqrt_epsilon: 0, sqrt_mode: clamp}
optimizer: {lr: 0.1, momentum: 0.95}
"""

app = typer.Typer()
app.command()(command)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """What training said, and its folder."""
    home = tmp_path_factory.mktemp("diverged")
    (home / "nan.yaml").write_text(DIVERGING)
    return run(home / "nan.yaml", "--results", home), home / "train-nan"


def test_divergence_is_told_with_its_likely_cause_and_cure(diverged: tuple[Result, Path]) -> None:
    result, folder = diverged
    assert result.exit_code == 1
    assert "the very first step with the geometric loss" in result.stdout
    assert "Set loss.sqrt_epsilon to 1e-6" in result.stdout
    assert f"Repeat that step with: python -m sweep.train --replay {folder}\n" in result.stdout
    told = json.loads((folder / "divergence.json").read_text())
    assert told["diagnosis"]["setting"] == "loss.sqrt_epsilon"
    assert told["diagnosis"]["recent"][-1]["grad_norm"] == "nan"


@pytest.mark.parametrize("path", ["", "divergence.json"])
def test_replay_reproduces_the_step_bit_for_bit(diverged: tuple[Result, Path], path: str) -> None:
    again = run("--replay", diverged[1] / path)
    assert again.exit_code == 0, again.output
    assert "Reproduced: every value is the same, bit for bit." in again.stdout


def test_replay_reproduces_the_step_of_a_trial_at_a_uri(
    diverged: tuple[Result, Path], object_store: str
) -> None:
    remote = RemoteFolder(f"{object_store}/replayed")
    remote.write("sweep.yaml", b"name: replayed\n")
    for file in diverged[1].iterdir():
        if file.is_file():
            remote.send(file, f"trials/t0001/{file.name}")
    again = run("--replay", f"{remote}/trials/t0001/divergence.json")
    assert again.exit_code == 0, again.output
    assert "Reproduced: every value is the same, bit for bit." in again.stdout


def test_replay_that_comes_out_otherwise_is_a_failure(
    diverged: tuple[Result, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(diverged[1], tmp_path / "cured"))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("sqrt_epsilon: 0.0", "sqrt_epsilon: 1e-6"))
    again = run("--replay", folder)
    assert again.exit_code == 1
    assert "not reproduced" in again.stderr


def test_cure_is_tried_on_the_step(diverged: tuple[Result, Path]) -> None:
    cured = run("--replay", diverged[1], "--set", "loss.sqrt_epsilon=1e-6")
    assert cured.exit_code == 0, cured.output
    assert "As recorded, and with loss.sqrt_epsilon=1e-06:" in cured.stdout
    assert "Cured in this step: with it, loss, gradient and weights are finite." in cured.stdout
    config = diverged[1] / "config.yaml"
    assert f"python -m sweep.train {config} --set loss.sqrt_epsilon=1e-6" in cured.stdout


def test_printed_command_tries_the_cure_that_is_advised(diverged: tuple[Result, Path]) -> None:
    (line,) = (line for line in diverged[0].stdout.splitlines() if "Try the cure on it" in line)
    arguments = shlex.split(line.partition("python -m sweep.train ")[2])
    assert arguments[2:] == ["--set", "loss.sqrt_epsilon=1e-06", "--set", "loss.sqrt_mode=centered"]
    assert "Cured in this step" in run(*arguments).stdout


def test_loss_that_is_off_in_the_step_is_not_called_cured(diverged: tuple[Result, Path]) -> None:
    later = run("--replay", diverged[1], "--set", "loss.warmup_epochs=6")
    assert later.exit_code == 0, later.output
    assert "finite because the geometric loss is off in it now" in later.stdout
    assert "Cured" not in later.stdout


def test_step_that_only_the_scale_of_float16_broke_is_not_called_cured(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def area(masks): return 1 + masks.flatten(1).sum(1)")
    few = [f"loss.terms=[{tmp_path}/own.py:area]", "loss.weights.area=10", "loss.warmup_epochs=0"]
    few += ["loss.weights.compactness=0", "trainer.amp=fp16", "trainer.epochs=1"]
    (tmp_path / "few.yaml").write_text(DIVERGING)
    sets = [part for one in few for part in ("--set", one)]
    assert run(tmp_path / "few.yaml", "--results", tmp_path, *sets).exit_code == 1
    of_weight, of_precision = (
        run("--replay", tmp_path / "train-few", "--set", change).stdout
        for change in ("loss.weights.area=1", "trainer.amp=bf16")
    )
    assert "finite without it too: only the scale of float16 broke it" in of_weight
    assert "Cured in this step" in of_precision


def test_change_with_which_the_step_breaks_too_is_a_failure(diverged: tuple[Result, Path]) -> None:
    lower = run("--replay", diverged[1], "--set", "loss.weights.compactness=0.001")
    assert lower.exit_code == 1
    assert "no cure: the step breaks with it too" in lower.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "optimizer.lr=0.01"], "optimizer.lr: cannot be tried on the step"),
        (["--set", "network.channels=[4, 8]"], "network.channels: cannot be tried on"),
        (["--set", "loss.sqrt_epsilonn=1"], "loss.sqrt_epsilon"),
        (["a.yaml"], "CONFIG.yaml: has no effect with --replay"),
        (["--results", "elsewhere"], "--results: has no effect with --replay"),
        (["--all-cases"], "--all-cases: has no effect with --replay"),
        (["--name", "a", "--track", "wandb"], "--track: has no effect with --replay"),
    ],
)
def test_what_no_step_can_be_tried_with_is_refused(
    diverged: tuple[Result, Path], arguments: list[str], told: str
) -> None:
    refused = run("--replay", diverged[1], *arguments)
    assert refused.exit_code == 2
    assert told in refused.stderr


def test_replay_of_what_no_single_step_did_says_so(
    diverged: tuple[Result, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(diverged[1], tmp_path / "lost"))
    (folder / "offending.pt").unlink()
    again = run("--replay", folder)
    assert again.exit_code == 2
    assert "offending.pt does not exist" in again.stderr


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("lost", "lost has not diverged, so there is no step to repeat"),
        ("lost/divergence.json", "lost has not diverged, so there is no step to repeat"),
        (".", "is not the folder of a trial, such as "),
        ("misspelt", "misspelt is not the folder of a trial, such as "),
        ("lost/misspelt", "misspelt is not the folder of a trial, such as "),
    ],
)
def test_replay_of_what_has_not_diverged_says_so(
    diverged: tuple[Result, Path], tmp_path: Path, path: str, told: str
) -> None:
    folder = Path(shutil.copytree(diverged[1], tmp_path / "lost"))
    (folder / "divergence.json").unlink()
    again = run("--replay", tmp_path / path)
    assert again.exit_code == 2
    assert told in again.stderr
    assert "cannot read" not in again.stderr


def test_there_must_be_something_to_train_or_to_replay() -> None:
    assert run().exit_code == 2
