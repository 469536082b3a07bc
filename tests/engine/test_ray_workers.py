"""A worker of several trials, as Ray drives it but in this process, and what the driver sends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import foreign
import pytest
from ray._raylet import getproctitle
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.capacity import Capacity
from sweep.engine.on_ray.execute import NO_GPU, _workers
from sweep.engine.on_ray.ray_tune import (
    ControlledScheduler,
    ControlledSearcher,
    DeferredError,
    Stopped,
    Supervised,
    Supervision,
)
from sweep.engine.on_ray.trial_actor import MESSAGE, TrialActor, WorkerReport
from sweep.engine.on_ray.workers import Workers
from sweep.engine.packs.pack_sizes import WINDOWS, Packing, PackSizes
from sweep.engine.session.ending import Ending
from sweep.engine.session.sweep_location import SweepLocation
from sweep.search.schedulers.decision import Decision
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.trial import process_state
from sweep.trial.gpu_memory import CardInUse
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import Outcome, Status

GIB = 2**30
COMPLETED = Outcome(status=Status.COMPLETED)

# The worker.

OF_ALL = {"worker": "worker0007", "sweep": "tiny", "kind": "custom", "uri": None, "branching": []}


@pytest.fixture
def actor() -> Iterator[TrialActor]:
    resources = {"cpu": 1.0, "gpu": 0.0}
    actor = TrialActor(config=OF_ALL | {"objective": asdict(DICE), "resources": resources})
    yield actor
    actor.stop()


def add(actor: TrialActor, tmp_path: Path, name: str, validate: str = "pass") -> None:
    folder = tmp_path / "trials" / name
    folder.mkdir(parents=True)
    own = tmp_path / f"of_{name}"
    own.mkdir()
    methods = f"def validate(self, epoch):\n    {validate}\n    return Validation(dice=0.5)\n"
    entry = foreign.write_trainer(own, methods)
    (folder / "config.yaml").write_text(to_yaml(foreign.trial(entry)))
    actor.add(str(folder), "of " + name)


def step(actor: TrialActor) -> WorkerReport:
    report = actor.train()[MESSAGE]
    assert isinstance(report, WorkerReport)
    return report


def test_worker_trains_what_it_was_given_until_it_is_told_to_drop_it(
    actor: TrialActor, tmp_path: Path
) -> None:
    assert step(actor) == WorkerReport(seconds=pytest.approx(0.2, abs=0.2))
    add(actor, tmp_path, "t0001")
    add(actor, tmp_path, "t0002")
    assert {name for name, _ in step(actor).messages} == {"t0001", "t0002"}
    assert getproctitle() == "ray::t0001 t0002"
    actor.drop("t0001")
    actor.drop("t0001")  # twice does no harm
    ends: list[Any] = []
    while not ends:
        report = step(actor)
        assert report.trained == ("t0002",)
        assert getproctitle().startswith("ray::t0002 of t0002")
        ends = [end for _, end in report.messages if isinstance(end, Outcome)]
    assert ends[0].status is Status.COMPLETED
    assert step(actor).trained == ()


def test_fault_of_the_machine_is_reported_with_the_trial_in_whose_turn_it_was(
    actor: TrialActor, tmp_path: Path
) -> None:
    add(actor, tmp_path, "t0001")
    add(actor, tmp_path, "t0002", "raise OSError(5, 'Input/output error')")
    report = step(actor)
    while report.fault is None:
        report = step(actor)
    assert report.by == "t0002"
    assert report.fault.startswith("Traceback ")
    assert report.fault.rstrip().endswith("OSError: [Errno 5] Input/output error")


def test_nobody_is_blamed_for_a_gpu_that_broke(actor: TrialActor, tmp_path: Path) -> None:
    add(actor, tmp_path, "t0001", "raise type('AcceleratorError', (RuntimeError,), {})('CUDA')")
    report = step(actor)
    assert (report.fault is None, report.by) == (False, None)


@pytest.fixture
def enough() -> Iterator[threading.Event]:
    """Ends the threads that wait for it with the test."""
    event = threading.Event()
    yield event
    event.set()


def test_worker_that_cannot_be_restored_takes_no_further_trial_and_trains_the_others_on(
    actor: TrialActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: threading.Event
) -> None:
    monkeypatch.setattr(process_state, "SECONDS_TO_END", 0.05)
    monkeypatch.setattr(foreign, "ENOUGH", enough, raising=False)
    leaves = (
        "import foreign, threading\n"
        "    threading.Thread(target=foreign.ENOUGH.wait, name='prefetch').start()"
    )
    add(actor, tmp_path, "t0001")
    add(actor, tmp_path, "t0002", leaves)
    step(actor)
    actor.drop("t0002")
    add(actor, tmp_path, "t0003")
    report = step(actor)
    assert (report.spoilt, report.refused, report.trained) == (True, ("t0003",), ("t0001",))


# The driver.


class Remote:
    """A method of a worker: it takes note of what it is sent."""

    def __init__(self, sent: list[tuple[str, str]], name: str) -> None:
        self._sent, self._name = sent, name

    def remote(self, folder: str, *_: str) -> None:
        self._sent.append((self._name, Path(folder).name))


class Handle:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.add, self.drop = Remote(self.sent, "add"), Remote(self.sent, "drop")


class Queue:
    """A controller whose trials go on until they say that they have ended."""

    waiting = 0

    def __init__(self, count: int) -> None:
        self.queue = deque(Path(f"t{number:04}") for number in range(count))
        self.running: set[str] = set()
        self.paused: set[str] = set()

    @property
    def finished(self) -> bool:
        return not self.queue and not self.running

    def next_trial(self) -> Path | None:
        if not self.queue:
            return None
        self.running.add(self.queue[0].name)
        return self.queue.popleft()

    def label(self, trial_id: str) -> str:
        return f"of {trial_id}"

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        return Decision.PAUSE if trial_id in self.paused else Decision.CONTINUE

    def hand_back(self, trial_id: str) -> None:
        self.running.remove(trial_id)
        self.queue.appendleft(Path(trial_id))

    def end(self, trial_id: str, outcome: Outcome) -> None:
        self.running.remove(trial_id)


class Room:
    """Capacity for some workers."""

    resources: Mapping[str, float] = {}
    per_worker = 1

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def __call__(self) -> int:
        return self.slots


class Driver:
    """The doors to the controller, and Ray's side of them."""

    def __init__(self, controller: Any, sizes: PackSizes, slots: int = 1) -> None:
        self.door = DeferredError()
        self.workers = Workers(
            cast(SweepController, controller), sizes, cast(Capacity, Room(slots)), None
        )
        self.searcher = ControlledSearcher(self.workers, self.door, {"uri": None})
        self.scheduler = ControlledScheduler(self.workers, self.door)
        self.steered = 0
        supervised = Supervised(self.door, lambda: False, 1e18, lambda: None, self.steer)
        self.supervision = Supervision(self.workers, supervised)
        self.supervision._look_again = 1e18  # there is no Ray to look for

    def steer(self) -> None:
        self.steered += 1

    def start(self, config: Any) -> tuple[Trial, Handle]:
        handle = Handle()
        trial = RaysTrial(config, handle)
        self.supervision.on_trial_start(0, [], cast(Trial, trial))
        return cast(Trial, trial), handle

    def take(self, trial: Trial, report: WorkerReport) -> str:
        return self.scheduler.on_trial_result(None, trial, {MESSAGE: report})


class RaysTrial:
    """What is read of a trial of Ray's."""

    error_file = None

    def __init__(self, config: Any, handle: Handle) -> None:
        self.config = config
        self.temporary_state = self
        self.ray_actor = handle


def epoch(number: int = 0) -> tuple[EpochMetrics, ...]:
    return (EpochMetrics(epoch=number, val_dice=0.5, steps=10),)


def test_pack_gets_its_trials_when_its_process_has_started_and_the_next_ones_as_places_free() -> (
    None
):
    trials = Queue(4)
    driver = Driver(trials, PackSizes(2))
    config = driver.searcher.suggest("x")
    assert config == {"worker": "worker0000", "uri": None}
    assert driver.searcher.suggest("y") is None  # its one slot is taken
    driver.supervision.on_step_begin(0, [])
    trial, handle = driver.start(config)
    assert handle.sent == [("add", "t0000"), ("add", "t0001")]
    trials.paused.add("t0001")
    report = WorkerReport(messages=(("t0000", epoch()), ("t0001", epoch())))
    assert driver.take(trial, report) == TrialScheduler.CONTINUE
    assert handle.sent[2:] == [("drop", "t0001"), ("add", "t0002")]
    trials.running.remove("t0001")
    ends = tuple((name, COMPLETED) for name in ("t0000", "t0002"))
    assert driver.take(trial, WorkerReport(messages=ends)) == TrialScheduler.CONTINUE
    assert handle.sent[4:] == [("add", "t0003")]
    last = WorkerReport(messages=(("t0003", COMPLETED),))
    assert driver.take(trial, last) == TrialScheduler.STOP
    assert driver.searcher.suggest("y") == driver.searcher.FINISHED
    driver.door.require()


def test_first_process_takes_the_trial_of_one_that_has_not_started_and_its_worker_the_next() -> (
    None
):
    driver = Driver(Queue(3), PackSizes(1), slots=2)
    slow, fast = driver.searcher.suggest("x"), driver.searcher.suggest("y")
    driver.supervision.on_step_begin(0, [])
    trial, handle = driver.start(fast)
    assert handle.sent == [("add", "t0001")]
    assert driver.take(trial, WorkerReport(messages=(("t0001", COMPLETED),))) == "CONTINUE"
    assert handle.sent[1:] == [("add", "t0000")]  # which waited for the slow one
    assert driver.take(trial, WorkerReport(messages=(("t0000", epoch()),))) == "CONTINUE"
    _, late = driver.start(slow)
    assert late.sent == [("add", "t0002")]
    driver.door.require()


def test_sweep_does_not_wait_for_a_process_that_has_nothing_left_to_train() -> None:
    driver = Driver(Queue(2), PackSizes(1), slots=2)
    trial, _ = driver.start(driver.searcher.suggest("x"))
    driver.searcher.suggest("y")
    for name, goes_on in (("t0000", "CONTINUE"), ("t0001", "STOP")):
        driver.supervision.on_step_begin(0, [])
        assert driver.take(trial, WorkerReport(messages=((name, COMPLETED),))) == goes_on
    driver.door.require()
    with pytest.raises(Stopped) as stopped:
        driver.supervision.on_step_begin(0, [])
    assert stopped.value.ending is Ending.FINISHED


def test_requests_of_users_are_taken_in_each_step_of_rays_loop() -> None:
    driver = Driver(Queue(1), PackSizes(1))
    driver.supervision.on_step_begin(0, [])
    driver.supervision.on_step_begin(1, [])
    assert driver.steered == 2


def test_first_of_several_exceptions_is_the_cause() -> None:
    door = DeferredError()
    for text in ("first", "second"):
        with door():
            raise KeyError(text)
    with pytest.raises(KeyError, match="first"):
        door.require()


def test_process_that_has_died_is_replaced_and_its_trials_go_on() -> None:
    driver = Driver(Queue(2), PackSizes(2))
    trial, _ = driver.start(driver.searcher.suggest("x"))
    driver.supervision.on_step_begin(0, [])
    driver.supervision.on_trial_error(0, [], trial)
    _, handle = driver.start(driver.searcher.suggest("y"))
    assert handle.sent == [("add", "t0000")]  # alone, until it has trained an epoch
    driver.door.require()


def test_auto_doubles_the_trials_of_every_pack_of_a_card_until_they_do_not_pay() -> None:
    said: list[str] = []
    driver = Driver(Queue(64), PackSizes("auto", Packing(say=said.append)), slots=2)
    packs = [driver.start(driver.searcher.suggest(str(number))) for number in range(2)]
    most = 0
    for number in range(100 * WINDOWS):
        for trial, _ in packs:
            trained = driver.workers.placement.trials(trial.config["worker"])
            most = max(most, len(trained))
            seconds = 5.0 * max(1.0, len(trained) / 3)  # the card computes three side by side
            report = WorkerReport(
                trained=trained,
                messages=tuple((name, epoch(number)) for name in trained),
                seconds=seconds,
                card=CardInUse("H", len(trained) * GIB, 80 * GIB),
            )
            assert driver.take(trial, report) == TrialScheduler.CONTINUE
    driver.door.require()
    assert said == [
        "4 trials per GPU (H): 8 gave 1.00 times the steps of 4; 4 need 4.0 of 80.0 GiB."
    ]
    assert most == 8
    assert driver.workers.sizes.of("H") == 4


ENTRANCES: dict[str, Callable[[Driver, Trial], object]] = {
    "a worker reports an epoch": lambda driver, trial: driver.take(
        trial, WorkerReport(messages=(("t0000", epoch()),))
    ),
    "a worker reports an end": lambda driver, trial: driver.take(
        trial, WorkerReport(messages=(("t0000", COMPLETED),))
    ),
    "a worker refuses a trial": lambda driver, trial: driver.take(
        trial, WorkerReport(refused=("t0000",), spoilt=True)
    ),
    "the next worker is asked for": lambda driver, _: driver.searcher.suggest("x"),
    "a process has died": lambda driver, trial: driver.supervision.on_trial_error(0, [], trial),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(
    "error",
    [TypeError("Object of type float32 is not JSON serializable"), SweepFailed("the disk is full")],
)
def test_exception_of_ours_ends_the_sweep_as_itself_and_reaches_ray_nowhere_else(
    error: Exception, entrance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Queue(1)
    driver = Driver(trials, PackSizes(1), slots=2)
    trial, _ = driver.start(driver.searcher.suggest("x"))

    def broken(*_: object) -> None:
        raise error

    for name in ("report", "next_trial", "end", "hand_back"):
        monkeypatch.setattr(trials, name, broken)
    monkeypatch.setattr(driver.workers.placement, "lost", broken)
    assert ENTRANCES[entrance](driver, trial) in (TrialScheduler.CONTINUE, None)
    with pytest.raises(type(error)) as caught:
        driver.supervision.on_step_begin(0, [])
    assert caught.value is error


@pytest.mark.parametrize(
    ("trials", "largest", "said"), [(1, 1, []), (3, 3, []), ("auto", 1, [NO_GPU])]
)
def test_worker_trains_several_trials_only_where_that_is_asked_for_and_auto_only_on_a_gpu(
    trials: Any, largest: int, said: list[str]
) -> None:
    resources = {"cpu": 1, "gpu": 0, "trials_per_gpu": trials}
    space = {"optimizer.lr": {"choice": [0.1, 0.2]}}
    spec = SweepSpec.model_validate({"name": "toy", "space": space, "resources": resources})
    heard: list[str] = []
    location, controller = SweepLocation(Path("results/toy")), cast(SweepController, Queue(1))
    workers = _workers(controller, spec, location, Packing(say=heard.append))
    assert (workers.sizes.largest, heard) == (largest, said)
