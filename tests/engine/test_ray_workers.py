"""A worker of several trials, as Ray drives it but in this process, and what the driver sends."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, cast

import foreign
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._raylet import getproctitle
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.capacity import Capacity
from sweep.engine.on_ray.execute import NO_GPU, _workers
from sweep.engine.on_ray.ray_cluster import ENVIRONMENT
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


def test_ray_does_not_restart_the_worker_of_a_preempted_node_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    trial = Trial("x", stub=True, max_failures=0)
    trial._handle_ray_actor_error(RayActorError(preempted=True))
    assert not trial.should_recover()


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


# Anything may happen in any order.

MEMORY = Outcome(status=Status.FAILED, cause="OutOfMemoryError: CUDA out of memory. Tried …")
NODE = "The actor died because its node has died. Node Id: 1"


class Sweep(Queue):
    """Trials of which some pause, and some wait until the first one has ended."""

    def __init__(self, count: int, behind: int) -> None:
        super().__init__(count)
        self.behind = {path.name for path in [*self.queue][1 : 1 + behind]}
        self.asked: set[str] = set()
        self.held: list[str] = []
        self.ended: list[str] = []

    @property
    def finished(self) -> bool:
        return super().finished and not self.held

    @property
    def ready(self) -> list[Path]:
        waits = set() if "t0000" in self.ended else self.behind
        return [path for path in self.queue if path.name not in waits]

    @property
    def waiting(self) -> int:  # type: ignore[override]
        return len(self.behind & {path.name for path in self.queue})

    def next_trial(self) -> Path | None:
        if not self.ready:
            return None
        folder = self.ready[0]
        self.queue.remove(folder)
        self.running.add(folder.name)
        return folder

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        if trial_id not in self.paused:
            return Decision.CONTINUE
        self.paused.remove(trial_id)
        self.running.remove(trial_id)
        self.held.append(trial_id)
        return Decision.PAUSE

    def end(self, trial_id: str, outcome: Outcome) -> None:
        super().end(trial_id, outcome)
        self.ended.append(trial_id)


class Process:
    """A worker's process: it takes up what it was sent between two of its steps."""

    def __init__(self, trial: Trial, handle: Handle) -> None:
        self.trial, self.handle = trial, handle
        self.name = trial.config["worker"]
        self.trials: list[str] = []
        self.spoilt = False
        self.report = WorkerReport()

    def begin(self, messages: Callable[[str], tuple[EpochMetrics, ...] | Outcome | None]) -> None:
        """Begin the next step, which reports the messages of its trials."""
        refused = []
        for verb, trial_id in self.handle.sent:
            if verb == "drop":
                self.trials.remove(trial_id)
            elif self.spoilt:
                refused.append(trial_id)
            else:
                self.trials.append(trial_id)
        self.handle.sent.clear()
        said = tuple((name, what) for name in self.trials if (what := messages(name)) is not None)
        for name, what in said:
            if isinstance(what, Outcome):
                self.trials.remove(name)
        self.report = WorkerReport(messages=said, refused=tuple(refused), spoilt=self.spoilt)


class Chaos:
    """Ray with room for some or all of the workers: they start late or never, and may die."""

    def __init__(self, random: Random, trials: Sweep, size: int, slots: int, most: int) -> None:
        self.random, self.trials, self.size, self.most = random, trials, size, most
        self.driver = Driver(trials, PackSizes(size), slots)
        self.driver.workers.placement._most = most
        self.room = random.randint(1, slots)
        self.opened: list[Any] = []
        self.processes: list[Process] = []
        self.epochs: Counter[str] = Counter()
        self.calm = False

    def act(self) -> bool:
        """One event, and what Ray does in each step of its loop. Whether the sweep is over."""
        picked = self.random.choice(self.processes) if self.processes else None
        match self.random.randrange(4 if self.calm else 8):
            case 0:
                config = self.driver.searcher.suggest("x")
                if isinstance(config, dict):
                    self.opened.append(config)
            case 1 if self.opened and len(self.processes) < self.room:
                config = self.opened.pop(self.random.randrange(len(self.opened)))
                self.processes.append(Process(*self.driver.start(config)))
            case 2 | 3 | 4 if picked is not None:
                self.step(picked)
            case 5 if picked is not None:
                self.processes.remove(picked)
                self.kill(picked)
            case 6 if self.opened:
                config = self.opened.pop(self.random.randrange(len(self.opened)))
                self.driver.workers.lost(config["worker"], [])
            case 7 if self.trials.running:
                self.trials.paused.add(self.random.choice(sorted(self.trials.running)))
        if self.trials.held and (self.calm or self.random.random() < 0.3):
            self.trials.queue.append(Path(self.trials.held.pop()))
        try:
            self.driver.supervision.on_step_begin(0, [])
        except Stopped:
            return True
        self.driver.door.require()
        self.check()
        return self.trials.finished and not self.processes and not self.opened

    def kill(self, process: Process) -> None:
        fault = WorkerReport(fault="OSError", by=self.random.choice([*process.trials, None]))
        match self.random.randrange(3):
            case 0:
                assert self.driver.take(process.trial, fault) == TrialScheduler.STOP
            case 1:
                self.driver.workers.lost(process.name, [NODE])
            case 2:
                self.driver.supervision.on_trial_error(0, [], process.trial)

    def step(self, process: Process) -> None:
        if self.driver.take(process.trial, process.report) == TrialScheduler.STOP:
            self.processes.remove(process)
            return
        process.spoilt |= not self.calm and self.random.random() < 0.05
        process.begin(self.say)
        placed = self.driver.workers.placement.trials(process.name)
        ended = [name for name, what in process.report.messages if isinstance(what, Outcome)]
        assert sorted(placed) == sorted([*process.trials, *ended, *process.report.refused])

    def say(self, trial_id: str) -> tuple[EpochMetrics, ...] | Outcome | None:
        """What a trial reports in a step."""
        if not self.calm and self.random.random() < 0.3:
            return self.random.choice([None, MEMORY])
        self.epochs[trial_id] += 1
        return COMPLETED if self.epochs[trial_id] > 3 else epoch(self.epochs[trial_id] - 1)

    def check(self) -> None:
        placement = self.driver.workers.placement
        unstarted = [name for config in self.opened for name in placement.trials(config["worker"])]
        packs = [placement.trials(process.name) for process in self.processes]
        placed = [*unstarted, *(name for pack in packs for name in pack)]
        assert len(placed) == len(set(placed)) <= self.most
        assert set(placed) <= self.trials.running
        assert len(set(self.trials.ended)) == len(self.trials.ended)
        if any(
            not pack and not process.spoilt
            for pack, process in zip(packs, self.processes, strict=True)
        ):
            assert not unstarted
            assert not self.trials.ready or len(placed) == self.most


@given(st.integers(0), st.integers(1, 9), st.integers(0, 4), st.integers(1, 4), st.integers(1, 3))
def test_every_trial_ends_whatever_happens_and_no_process_idles_while_one_could_be_trained(
    seed: int, count: int, behind: int, size: int, slots: int
) -> None:
    random = Random(seed)
    chaos = Chaos(random, Sweep(count, behind), size, slots, most=random.randint(1, 6))
    for number in range(5000):
        chaos.calm = number > 120
        if chaos.act():
            break
    assert sorted(chaos.trials.ended) == [f"t{number:04}" for number in range(count)]
