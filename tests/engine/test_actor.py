"""The worker of trials, as Ray drives it, but in this process."""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from foreign import write_trainer
from ray._raylet import getproctitle

from sweep.engine.on_ray import trial_actor
from sweep.engine.on_ray.trial_actor import MESSAGE, TrialActor, WorkerReport
from sweep.engine.session.pack import Pack
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial import gpu_memory
from sweep.trial import process_state as process
from sweep.trial.process_state import CleanProcess
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Outcome, Status

TRIAL = """\
data: {{source: shapes, difficulty: 0, size: 32, count: 15}}
trainer: {{epochs: 4, batch_size: 4, device: cpu, threads: {threads}, amp: {amp}}}
network: {{name: {network}}}
loss: {{warmup_epochs: 2, rampup_epochs: 0, sqrt_epsilon: {epsilon}}}
optimizer: {{lr: 0.1, momentum: 0.95}}
early_stopping: {{patience: null}}
"""
UNET = "unet, channels: [4, 8, 16]"
# Its deepest level is one pixel, too small for its norm: it raises in the first step.
TOO_DEEP = "dynunet, channels: [4, 4, 4, 4, 4, 4]"

Make = Callable[..., Path]
Told = list[EpochMetrics | Outcome]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the folder of a trial, which it returns."""

    def make(
        name: str, network: str = UNET, amp: str = "off", epsilon: float = 1e-6, threads: int = 1
    ) -> Path:
        folder = tmp_path / "trials" / name
        folder.mkdir(parents=True)
        text = TRIAL.format(network=network, amp=amp, epsilon=epsilon, threads=threads)
        (folder / "config.yaml").write_text(text)
        return folder

    return make


OF_ALL = {"sweep": "tiny", "worker": "worker0000", "kind": "monai", "uri": None, "branching": []}


def started(objective: Objective = DICE, gpu: float = 0.0) -> TrialActor:
    """A worker that has no trial yet."""
    resources = {"cpu": 1.0, "gpu": gpu}
    return TrialActor(config=OF_ALL | {"objective": asdict(objective), "resources": resources})


@pytest.fixture
def actor(make: Make) -> Iterator[TrialActor]:
    actor = started()
    actor.add(str(make("first")), "")
    yield actor
    actor.stop()


def step(actor: TrialActor) -> WorkerReport:
    report = actor.train()[MESSAGE]
    assert isinstance(report, WorkerReport)
    return report


def take(actor: TrialActor, folder: Path, label: str = "") -> None:
    """The driver sends the next trial, and drops the one before unless it has ended."""
    for trial_id in actor._pack.names:
        actor.drop(trial_id)
    actor.add(str(folder), label)


def told(actor: TrialActor) -> Told:
    """All that a trial tells, wall times left out."""
    epochs: Told = []
    while True:
        [(_, message)] = step(actor).messages
        if isinstance(message, Outcome):
            return [*epochs, message]
        epochs += [replace(metrics, seconds=0) for metrics in message]


def status(actor: TrialActor) -> Status:
    *_, outcome = told(actor)
    assert isinstance(outcome, Outcome)
    return outcome.status


def best(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "best.pt", weights_only=True)
    weights: dict[str, torch.Tensor] = state["model"]
    return weights


def networks() -> int:
    gc.collect()
    return sum(isinstance(thing, torch.nn.Module) for thing in gc.get_objects())


def spoil(training: MonaiTraining, epoch: int) -> EpochMetrics:
    """An epoch of a trainer that does all that it should not, and then raises."""
    torch.nn.modules.module.register_module_forward_hook(lambda *_: training.model(1))
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(False)
    torch.set_grad_enabled(False)
    torch.autocast("cpu", dtype=torch.float16).__enter__()
    torch.manual_seed(1)
    os.environ["MEDICAL_SWEEP_CACHE"] = "/nowhere"
    os.chdir("/")
    training.settings = {"oneself": training}  # type: ignore[assignment]
    raise RuntimeError("as nasty as it can be")


def test_trial_after_nasty_ones_is_bit_for_bit_the_first_of_its_worker(
    actor: TrialActor, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(actor)
    assert [type(message) for message in expected] == [EpochMetrics] * 4 + [Outcome]

    take(actor, make("diverged", epsilon=0, threads=3))
    assert status(actor) is Status.DIVERGED
    take(actor, make("failed", network=TOO_DEEP))
    assert status(actor) is Status.FAILED
    with monkeypatch.context() as patch:
        patch.setattr(MonaiTraining, "epoch_in_turns", spoil)
        take(actor, make("nasty"))
        assert status(actor) is Status.FAILED
    take(actor, make("pruned", amp="fp16", threads=2))
    [(_, message)] = step(actor).messages
    assert not isinstance(message, Outcome)

    last = make("last")
    take(actor, last)
    assert told(actor) == expected
    first = best(last.with_name("first"))
    for name, weights in best(last).items():
        assert torch.equal(weights, first[name])


def test_nothing_of_a_network_is_left_when_the_next_trial_begins(
    actor: TrialActor, make: Make
) -> None:
    before = networks()
    actor.train()
    assert networks() > before
    take(actor, make("failed", network=TOO_DEEP))
    assert networks() == before
    told(actor)
    take(actor, make("next"))
    assert networks() == before


def test_worker_with_a_thread_that_does_not_end_takes_no_further_trial(
    actor: TrialActor, make: Make, monkeypatch: pytest.MonkeyPatch, enough: threading.Event
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_END", 0.05)
    thread = threading.Thread(target=enough.wait, name="prefetch")
    thread.start()
    take(actor, make("next"))
    report = step(actor)
    assert (report.spoilt, report.refused, report.trained) == (True, ("next",), ())
    assert "still runs: prefetch" in actor._pack.spoilt[0]


def test_worker_that_cannot_be_restored_takes_no_further_trial(
    actor: TrialActor, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(*_: object, **__: object) -> None:
        raise RuntimeError("a stream is lost")

    monkeypatch.setattr(CleanProcess, "restore", restore)
    take(actor, make("next"))
    report = step(actor)
    assert (report.spoilt, report.refused, report.trained) == (True, ("next",), ())
    assert "RuntimeError: a stream is lost" in actor._pack.spoilt[0]


def test_worker_that_cannot_take_up_a_trial_says_so_in_its_next_step(
    actor: TrialActor, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*_: object) -> None:
        raise RuntimeError("CUDA error: no stream")  # what a GPU says that broke

    monkeypatch.setattr(Pack, "add", add)
    actor.add(str(make("next")), "")
    report = step(actor)
    assert report.fault is not None
    assert report.fault.rstrip().endswith("RuntimeError: CUDA error: no stream")


# Trainers of somebody else's.

FOREIGN = """\
trainer: {{kind: custom, entry: {entry}, epochs: 2, device: cpu}}
loss: {{weights: {{compactness: 0, boundary: 0, aspect: 0}}}}
"""


SIGTERM_AS_RAY_SHOWS_IT = "end = SystemExit(1); end.ray_terminate_msg = 'SIGTERM'; raise end"


def foreign(folder: Path, entry: str) -> Path:
    (folder / "config.yaml").write_text(FOREIGN.format(entry=entry))
    return folder


def test_process_is_titled_by_its_trial_and_where_that_is_by_the_objective(
    make: Make, tmp_path: Path
) -> None:
    measure = "def validate(self, epoch):\n    return Validation(dice=0.5, metrics={'mm': 3.25})\n"
    folder = foreign(make("t0001"), write_trainer(tmp_path, measure))
    both = ((DICE, "Dice 0.5000"), (Objective("mm", "min"), "mm 3.2500"))
    for epoch, (objective, value) in enumerate(both):  # the second goes on from the checkpoint
        actor = started(objective)
        assert repr(actor) == "tiny worker"  # what Ray asks for once, and shows for all trials
        take(actor, folder, "epsilon=1e-06")
        actor.train()
        assert getproctitle() == "ray::t0001 epsilon=1e-06"
        actor.train()
        assert getproctitle() == f"ray::t0001 epsilon=1e-06 epoch {epoch} {value}"
        actor.drop("t0001")
        actor.train()
        assert getproctitle() == f"ray::{actor!r}" == "ray::tiny worker"
        actor.stop()


@pytest.mark.parametrize(
    ("validate", "cause"),
    [
        ("raise SystemExit('no data')", "SystemExit: no data"),
        ("raise KeyError('mask\\udcff')", "KeyError: 'mask\\udcff'"),
        ("error = KeyError('a'); error.add_note('b'); raise error", "KeyError: 'a'"),
        ("return next(iter(()))", "raised StopIteration"),
        ("raise KeyboardInterrupt('its own')", "KeyboardInterrupt: its own"),
        ("raise type('Abort', (BaseException,), {})('own')", "Abort: own at"),
        (
            "from sweep.vocabulary.errors import SweepFailed; raise SweepFailed('mine')",
            "raised mine at",
        ),
        (
            "from sweep.vocabulary.errors import SweepFailed; raise SweepFailed",
            "raised sweep.vocabulary.errors.SweepFailed at",
        ),
    ],
)
def test_whatever_a_foreign_trainer_raises_is_its_trials_outcome(
    actor: TrialActor, make: Make, tmp_path: Path, validate: str, cause: str
) -> None:
    entry = write_trainer(tmp_path, f"def validate(self, epoch):\n    {validate}\n")
    take(actor, foreign(make("foreign"), entry))
    [outcome] = told(actor)
    assert isinstance(outcome, Outcome)
    assert outcome.status is Status.FAILED
    assert cause in outcome.cause
    assert outcome.error is not None
    assert "in validate" in outcome.error


def test_worker_that_is_told_to_end_ends_and_fails_no_trial(
    actor: TrialActor, make: Make, tmp_path: Path
) -> None:
    entry = write_trainer(tmp_path, f"def validate(self, epoch):\n    {SIGTERM_AS_RAY_SHOWS_IT}\n")
    take(actor, foreign(make("foreign"), entry))
    with pytest.raises(SystemExit):
        actor.train()


def test_what_a_pruned_trial_raises_at_its_end_leaves_its_worker_alive(
    actor: TrialActor, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    actor._streams = sys.stdout, sys.stderr  # those of capsys

    def run(ends: str) -> Generator[list[EpochMetrics], None, Outcome]:
        try:
            yield [EpochMetrics(epoch=0, val_dice=0.5)]
        finally:
            exec(ends)
        return Outcome(status=Status.COMPLETED)

    actor.drop("first")
    actor._pack.add("pruned", run("raise KeyboardInterrupt('its own')"))
    actor._pack.step()
    take(actor, make("next"))
    assert "KeyboardInterrupt: its own" in capsys.readouterr().err
    actor._pack.add("told to end", run(SIGTERM_AS_RAY_SHOWS_IT))
    actor._pack.step()
    with pytest.raises(SystemExit):
        actor.drop("told to end")


def test_bar_of_tqdm_does_not_spoil_its_worker(
    actor: TrialActor, make: Make, tmp_path: Path
) -> None:
    file = tmp_path / "bar.py"
    file.write_text(
        "from tqdm import tqdm\ndef train(config, trial):\n"
        "    for epoch in tqdm(range(trial.epochs)):\n        trial.report(epoch, 0.5)\n"
    )
    for name in ("one", "two"):
        take(actor, foreign(make(name), f"{file}:train"))
        assert not step(actor).refused
        assert "tqdm_monitor" in [thread.name for thread in threading.enumerate()]
        assert status(actor) is Status.COMPLETED
        assert "tqdm_monitor" not in [thread.name for thread in threading.enumerate()]
    take(actor, make("next"))
    assert not step(actor).spoilt


NASTY = """\
import os, sys
import torch
torch.set_default_dtype(torch.float64)
before, network = [], torch.nn.Linear(1, 1)
def train(config, trial):
    torch.set_num_threads(3)
    print("fine")
    trial.report(0, network(torch.full((1, 1), 1 / 3)).sigmoid(), trials=len(before))
    before.append(trial)
    torch.nn.init.ones_(network.weight)
    sys.stdout = open(os.devnull, "w")
    trial.report(1, 0.5)
    sys.stdout.close()
"""


def test_module_of_a_function_is_as_new_to_each_trial(
    actor: TrialActor, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, heard = tmp_path / "nasty.py", []
    file.write_text(NASTY)
    for name in ("one", "two", "three"):
        take(actor, foreign(make(name), f"{file}:train"))
        heard.append(told(actor))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if "nasty" not in k})
        take(actor, make("last"))
    assert heard[0][0].metrics["trials"] == 0  # type: ignore[union-attr]
    assert heard[0] == heard[1] == heard[2]


def test_verdict_that_no_record_can_hold_fails_its_trial(
    actor: TrialActor, make: Make, tmp_path: Path
) -> None:
    entry = write_trainer(
        tmp_path,
        "def judge(self, history):\n"
        "    step = np.int64(0) if history else None\n"
        "    verdict = Divergence(cause='exploded', epoch=0, step=step, message='x')\n"
        "    return Diverged(verdict) if history else None\n",
        "from sweep.vocabulary.record import Divergence\n"
        "from sweep.trainer.divergence.guard import Diverged",
    )
    take(actor, foreign(make("foreign"), entry))
    [_, outcome] = told(actor)
    assert isinstance(outcome, Outcome)
    assert outcome.cause == "TypeError: Object of type int64 is not JSON serializable"


def test_function_that_was_pruned_leaves_its_worker_to_the_next_trial(
    actor: TrialActor, make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    actor._streams = sys.stdout, sys.stderr  # those of capsys
    before = threading.active_count()
    file = tmp_path / "plain.py"
    file.write_text(
        "def train(config, trial):\n    try:\n        for epoch in range(trial.epochs):\n"
        "            trial.report(epoch, 0.5)\n    finally:\n        1 / 0\n"
    )
    take(actor, foreign(make("pruned"), f"{file}:train"))
    [(_, message)] = step(actor).messages
    assert not isinstance(message, Outcome)
    take(actor, make("next"))
    assert threading.active_count() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert status(actor) is Status.COMPLETED


def test_share_of_the_memory_is_set_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        gpu_memory.limit_gpu_memory(0.25)
    assert shares == [0.25]


def test_trial_with_a_share_of_a_gpu_gets_that_share_of_its_memory_and_is_told_when_it_lacks_more(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch makes of the share is seen on a GPU alone."""
    shares: list[float] = []
    monkeypatch.setattr(trial_actor, "limit_gpu_memory", shares.append)
    lacks = "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')"
    entry = write_trainer(tmp_path, f"def validate(self, epoch):\n    {lacks}\n")
    folder = foreign(make("foreign"), entry)
    causes = []
    for gpu in (1.0, 0.25):
        actor = started(gpu=gpu)
        take(actor, folder)
        [outcome] = told(actor)
        actor.stop()
        assert isinstance(outcome, Outcome)
        causes.append(re.sub(r", at \S+/mine.py:\d+", "", outcome.cause).partition("20.00 GiB")[2])
    assert shares == [0.25, 1.0]
    assert causes == ["", "; `resources.gpu` lets it use 0.25 of the GPU's memory"]
