"""One mistake never hides another, and what only follows from one is not told beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.machine.hardware import Machine
from sweep.spec.load import load_sweep, load_trial
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import Finding
from sweep.vocabulary.errors import InputError, Mistake


def look(settings: TrialSettings) -> list[Mistake]:
    """Stands for the look at a dataset."""
    if not isinstance(settings.data, NnunetRawData):
        return []
    return [
        Mistake("is not a folder", key="data.folder"),
        Mistake("is broken", file="dataset.json"),
    ]


def told(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    read = load_sweep if "space" in text else load_trial
    options = {"machine": Machine(cpus=4, gpus=0)} if "space" in text else {}
    with pytest.raises(InputError) as caught:
        read(path, check_data=look, **options)
    return [str(mistake).removeprefix(f"{path}:") for mistake in caught.value.mistakes]


def test_mistakes_of_every_kind_are_told_together(tmp_path: Path) -> None:
    text = """\
trainer: {epochs: "a", batch_size: 0}
data: {source: nnunet_raw, folder: /nowhere, fold: 7}
loss: {weights: {compactness: -1}, zzz: 1}
optimizer: {name: adamw, momentum: 0.5}
seed: !!binary x
presets: [foo]
confirm: {top: 5, folds: 9}
resources: {cpu: 999}
scheduler: median
space:
  optimizer.lr: {uniform: [-1, 1]}
  trainer.threads: {choice: [0, 4]}
  loss.warmup_epochs: {grid: [1, 2]}
"""
    places = [": ".join(line.split(": ")[:2]) for line in told(tmp_path, text)]
    assert places == [
        "1: trainer.epochs",
        "1: trainer.batch_size",
        "2: data.fold",
        "2: data.folder",
        "3: loss.weights.compactness",
        "3: loss.zzz",
        "4: optimizer.momentum",
        "5: seed",
        "6: presets.0",
        "8: resources.cpu",
        "11: space.optimizer.lr",
        "12: space.trainer.threads",
        "dataset.json: is broken",
    ]  # nothing of the folds and the grid, whose counts depend on what is wrong


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # a name that was misspelt is not known, so nothing is compared with its default
        ("trainer: {epoch: 200}\nscheduler: {grace_period: 150}\nspace: {seed: {choice: [1]}}\n",
         ["1"]),
        # a size that is wrong says nothing of the levels that fit it
        ("data: {source: shapes, size: 0}\nnetwork: {channels: [8, 8, 8, 8, 8, 8, 8, 8]}\n"
         "space: {seed: {choice: [1]}}\n", ["1"]),
        # a fold is limited by a number of folds that is not known
        ("data: {source: shapes, folds: x, fold: 7}\nspace: {data.fold: {choice: [9]}}\n", ["1"]),
        # the kind is misspelt, and what stands beside it is looked at as of the one that is meant
        ("trainer: {kind: nnunett, dataset: 5, epoch: 3}\nspace: {trainer.fold: {choice: [-1]}}\n",
         ["1", "1", "2"]),
        # of two entries of a space one is wrong, and of nothing else is anything known
        ("space:\n  optimizer.lr: {zipf: [1]}\n", ["2"]),
        ("space: {}\nresources: {cpu: 9}\n", ["1", "2"]),
        ("trials: 0\nspace: {seed: {choice: [1, 1]}}\nresources: {cpu: 9}\n", ["1", "2", "3"]),
        # a trial's file
        ("data: {source: nnunet_raw, folder: x}\ntrainer: {epochs: 0}\n",
         ["1", "2", "dataset.json"]),
        ("data: {folder: x}\ntrainer: {epochs: 0}\n", ["1", "1", "2", "dataset.json"]),
    ],
)  # fmt: skip
def test_what_follows_from_a_mistake_is_not_told_and_the_rest_is(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    assert [line.partition(":")[0] for line in told(tmp_path, text)] == lines


def test_file_without_a_space_is_told_of_its_other_mistakes_too(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("trainer: {epochs: 0}\n")
    with pytest.raises(InputError) as caught:
        load_sweep(path)
    assert [mistake.key for mistake in caught.value.mistakes] == ["", "trainer.epochs"]


def test_earlier_results_are_looked_at_although_something_else_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("trials: 0\nwarm_start: old\nspace: {optimizer.lr: {uniform: [1, 0]}}\n")
    earlier = [Finding(("warm_start", "results", 0), "is gone")]
    with pytest.raises(InputError) as caught:
        load_sweep(path, check_earlier=lambda spec: earlier)
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 2, 3]
