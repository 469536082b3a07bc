"""Trials that share a process have the numbers, weights and checkpoints that they have alone."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sweep.engine.session.pack import Pack
from sweep.engine.session.train_trial import Message, Training, clean_process, train_trial
from sweep.trial import process_state as process
from sweep.trial.process_state import SETTINGS, CleanProcess
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

TRIAL = """\
data: {{source: shapes, difficulty: 0, size: 32, count: 15}}
trainer: {{epochs: {epochs}, batch_size: 4, device: cpu, deterministic: {same}, amp: {amp}}}
network: {{name: {network}, channels: [4, 8, 16], dropout: {dropout}}}
loss: {{warmup_epochs: 2, rampup_epochs: 1, sqrt_epsilon: {epsilon}}}
optimizer: {{lr: {lr}, momentum: 0.95}}
early_stopping: {{patience: {patience}}}
"""
DEFAULTS = {
    "epochs": 4,
    "same": "true",
    "amp": "off",
    "network": "unet",
    "dropout": 0.2,
    "epsilon": 1e-6,
    "lr": 0.1,
    "patience": "null",
}
TRIALS: dict[str, dict[str, object]] = {
    "plain": {},
    "diverges": {"epsilon": 0, "dropout": 0},
    "short": {"epochs": 2, "lr": 0.03},
    "out of patience": {"patience": 1, "lr": 1e-9, "epochs": 8},
    "other switches": {"same": "false", "amp": "bf16"},
}
ENDS = ["completed", "diverged", "completed", "early_stopped", "completed"]

# A trainer that goes by the process's generators alone, and leaves everything as it should not.
UNRULY = """\
import os, random
import numpy as np, torch

def train(config, trial):
    for epoch in range(3):
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(1 + epoch)
        torch.use_deterministic_algorithms(epoch != 1)
        os.environ["UNRULY"] = str(epoch)
        os.chdir("/")
        torch.nn.modules.module.register_module_forward_hook(lambda *_: torch.rand(3))
        drawn = random.random() + np.random.rand() + np.random.randn() + torch.rand(()).item()
        state = str((epoch, torch.get_num_threads(), os.getcwd(), os.environ["UNRULY"]))
        trial.checkpoint.save({"state": state})
        trial.report(epoch, dice=drawn % 1, normal=float(np.random.randn()))
    raise ValueError("and then it raises")
"""
OF_UNRULY = "trainer: {{kind: custom, entry: '{entry}:train', epochs: 4, device: cpu}}\n"
Make = Callable[[str, str], Path]
Said = dict[str, list[Message]]
Alone = dict[str, tuple[list[Message], dict[str, Any]]]


@pytest.fixture(scope="module")
def clean() -> CleanProcess:
    found = clean_process("monai")
    assert found is not None
    return found


def make(root: Path, name: str) -> Path:
    """The folder of a trial of `TRIALS`, or of the unruly one."""
    folder = root / "trials" / name
    folder.mkdir(parents=True)
    text = TRIAL.format(**DEFAULTS | TRIALS.get(name, {}))
    if name == "unruly":
        entry = root / "unruly.py"
        entry.write_text(UNRULY)
        text = OF_UNRULY.format(entry=entry)
    (folder / "config.yaml").write_text(text)
    return folder


def of(folder: Path) -> Training:
    return train_trial(folder, None, ())


def timeless(message: Message) -> Message:
    """A message without wall times."""
    if isinstance(message, Outcome):
        # Traceback and place name the trial's folder.
        return replace(message, error="", cause=message.cause.partition(", at ")[0])
    return tuple(replace(metrics, seconds=0) for metrics in message)


def trained(pack: Pack) -> Said:
    """All that the trials of a pack report until they have ended."""
    said: Said = {}
    while pack.names:
        for name, message in pack.step():
            said.setdefault(name, []).append(timeless(message))
    return said


def files(folder: Path) -> dict[str, Any]:
    """What the checkpoints in a trial's folder hold, wall times left out."""
    found = {file.name: torch.load(file, weights_only=True) for file in folder.glob("*.pt")}
    return {name: plain(state) for name, state in found.items()}


def plain(state: Any) -> Any:
    """Nested dicts and lists with the bits of each tensor instead of it."""
    if isinstance(state, torch.Tensor):
        return str(state.dtype), state.numpy().tobytes()
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items() if key != "seconds"}
    return [plain(value) for value in state] if isinstance(state, list) else state


@pytest.fixture(scope="module")
def alone(clean: CleanProcess, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """What each trial reports and writes when it has the process to itself."""
    found = {}
    for name in (*TRIALS, "unruly"):
        folder = make(tmp_path_factory.mktemp("alone"), name)
        pack = Pack(clean)
        pack.add(name, of(folder))
        found[name] = trained(pack)[name], files(folder)
    return found


def test_trials_of_a_pack_are_the_trials_alone(
    clean: CleanProcess, alone: Alone, tmp_path: Path
) -> None:
    pack = Pack(clean)
    for name in TRIALS:
        pack.add(name, of(make(tmp_path, name)))
    assert pack.step() == []  # each is between two steps of its first epoch
    packed = trained(pack)
    ends = [said[-1] for name in TRIALS for said in [packed[name]]]
    assert [str(end.status) for end in ends if isinstance(end, Outcome)] == ENDS
    for name in TRIALS:
        assert (packed[name], files(tmp_path / "trials" / name)) == alone[name]
    assert pack.spoilt == ()


def test_neighbours_of_an_unruly_trainer_notice_nothing_nor_does_it(
    clean: CleanProcess, alone: Alone, tmp_path: Path
) -> None:
    before = {name: setting.read() for name, setting in SETTINGS.items()}
    names, pack = ("unruly", "plain", "other switches"), Pack(clean)
    for name in names:
        pack.add(name, of(make(tmp_path, name)))
    packed = trained(pack)
    assert isinstance(end := packed["unruly"][-1], Outcome)
    assert end.status is Status.FAILED
    assert end.cause == "ValueError: and then it raises"
    for name in names:
        assert packed[name] == alone[name][0]
    for name in names[1:]:
        assert files(tmp_path / "trials" / name) == alone[name][1]
    assert {name: setting.read() for name, setting in SETTINGS.items()} == before
    assert not torch.nn.modules.module._global_forward_hooks


@settings(max_examples=4, phases=[Phase.generate])  # to shrink an example would take minutes
@given(
    plan=st.lists(
        st.tuples(st.sampled_from(list(TRIALS)), st.integers(0, 9), st.integers(1, 9)),
        min_size=2,
        max_size=4,
        unique_by=lambda one: one[0],
    )
)
def test_trials_that_come_pause_and_resume_at_any_time_are_the_trials_alone(
    clean: CleanProcess,
    alone: Alone,
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[tuple[str, int, int]],
) -> None:
    """Each comes at one step of the pack, and is dropped and taken up again some steps later."""
    root, pack, said = tmp_path_factory.mktemp("packed"), Pack(clean), Said()
    folders = {name: make(root, name) for name, _, _ in plan}
    over, step = set[str](), 0
    while len(over) < len(plan):
        for name, comes, stays in plan:
            if step == comes + stays and name in pack.names:
                pack.drop(name)
            if step in (comes, comes + stays + 1) and name not in (*pack.names, *over):
                pack.add(name, of(folders[name]))
        for name, message in pack.step():
            said.setdefault(name, []).append(timeless(message))
            over |= {name} if isinstance(message, Outcome) else set()
        step += 1
    for name in folders:
        expected, written = alone[name]
        assert epochs(said[name]) == epochs(expected)
        assert said[name][-1] == expected[-1]
        found = files(folders[name])
        assert found.keys() == written.keys()
        assert found["last.pt"] == written["last.pt"]
        assert found["best.pt"] == written["best.pt"]


def epochs(said: Sequence[Message]) -> dict[int, EpochMetrics]:
    """Epochs by their number; a trial that was taken up again reports the earlier ones again."""
    every = [one for message in said if not isinstance(message, Outcome) for one in message]
    found = {one.epoch: one for one in every}
    assert all(found[one.epoch] == one for one in every)
    return found


# Trainings made by hand.


def training(*turns: Callable[[], object]) -> Generator[tuple[()], None, Outcome]:
    for turn in turns:
        turn()
        yield ()
    return Outcome(status=Status.COMPLETED)


def lacks(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError("no room"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_lack_of_memory_ends_its_own_trial_and_says_what_helps(
    clean: CleanProcess, error: Exception
) -> None:
    pack = Pack(clean)
    pack.add("greedy", training(partial(lacks, error)))
    pack.add("modest", training(int, int))
    [(name, end)] = pack.step()
    assert name == "greedy"
    assert isinstance(end, Outcome)
    assert end.status is Status.FAILED
    assert end.cause.endswith(
        "; it shared its process with another trial: lower `resources.trials_per_gpu`"
    )
    assert pack.names == ("modest",)
    assert [(n, e.status) for n, e in pack.step() if isinstance(e, Outcome)] == [
        ("modest", Status.COMPLETED)
    ]
    pack.add("greedy", training(partial(lacks, error)))
    [(_, end)] = pack.step()
    assert isinstance(end, Outcome)
    assert "trials_per_gpu" not in end.cause  # it was alone


def test_memory_of_a_trial_that_lacked_it_is_free_before_the_next_turn(
    clean: CleanProcess,
) -> None:
    gone: list[bool] = []

    class Large:
        def __del__(self) -> None:
            gone.append(True)

    def fails() -> None:
        large = Large()
        large.itself = large  # type: ignore[attr-defined]  # only the collector of garbage frees it
        raise MemoryError

    seen: list[int] = []
    pack = Pack(clean)
    pack.add("greedy", training(fails))
    pack.add("modest", training(lambda: seen.append(len(gone))))
    pack.step()
    assert seen == [1]


def test_fault_of_the_machine_is_raised_and_named_and_loses_no_message(
    clean: CleanProcess,
) -> None:
    def one_epoch() -> Training:
        yield (EpochMetrics(epoch=0, val_dice=0.5),)
        yield ()
        return Outcome(status=Status.COMPLETED)

    pack = Pack(clean)
    pack.add("first", one_epoch())
    pack.add("unlucky", training(partial(lacks, OSError("the disk is gone"))))
    pack.add("last", one_epoch())
    with pytest.raises(OSError, match="the disk is gone"):
        pack.step()
    assert pack.turn == "unlucky"
    assert pack.names == ("first", "last")
    assert [name for name, _ in pack.step()] == ["first", "last"]


def test_thread_that_does_not_end_spoils_the_pack_and_not_its_trials(
    clean: CleanProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_END", 0.05)
    enough, mine = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=event.wait, name=name, daemon=True)
        for event, name in ((enough, "prefetch"), (mine, "of the neighbour"))
    ]
    pack = Pack(clean)
    pack.add("leaves it", training(threads[0].start))
    pack.add("neighbour", training(threads[1].start, int, int))
    while "leaves it" in pack.names:
        pack.step()
    assert pack.spoilt == ("a thread of the trial before still runs: prefetch",)
    assert pack.names == ("neighbour",)
    assert threads[1].is_alive()
    mine.set()
    assert isinstance(pack.step()[0][1], Outcome)
    enough.set()


def test_data_workers_of_a_neighbour_go_on(clean: CleanProcess) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=time.sleep, args=(600,), daemon=True) for _ in range(2)]
    pack = Pack(clean)
    pack.add("ends", training(children[0].start))
    pack.add("goes on", training(children[1].start, int, int, int))
    while "ends" in pack.names:
        pack.step()
    assert [child.is_alive() for child in children] == [False, True]
    pack.close()
    assert not children[1].is_alive()


def test_trial_that_fails_while_it_is_dropped_harms_no_other(
    clean: CleanProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    def clings() -> Training:
        try:
            yield ()
            yield ()
        finally:
            raise ValueError("I do not go")
        return Outcome(status=Status.COMPLETED)

    pack = Pack(clean)
    pack.add("clings", clings())
    pack.add("other", training(int))
    pack.step()
    pack.drop("clings")
    assert "I do not go" in capsys.readouterr().err
    assert pack.names == ("other",)


def test_generators_continue_where_the_trial_left_them(clean: CleanProcess) -> None:
    """NumPy keeps every second normal number for the next call: that is state too."""
    drawn: dict[str, list[float]] = {"a": [], "b": [], "alone": []}

    def draws(name: str, seed: int) -> Training:
        np.random.seed(seed)
        torch.manual_seed(seed)
        for _ in range(4):
            drawn[name] += [np.random.randn(), torch.rand(()).item(), os.getpid()]
            yield ()
        return Outcome(status=Status.COMPLETED)

    pack = Pack(clean)
    pack.add("a", draws("a", 1))
    pack.add("b", draws("b", 2))
    trained(pack)
    pack.add("alone", draws("alone", 1))
    trained(pack)
    assert drawn["a"] == drawn["alone"] != drawn["b"]
