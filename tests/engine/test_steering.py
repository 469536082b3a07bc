"""A user steers a sweep: what its requests do, and that no kill loses or repeats one."""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from rich.console import Console
from scripted import waiting_sweep, write_scripted
from test_sweep_controller import (  # the last one is a fixture for the whole module
    GRID,
    HALVING,
    MEMORY,
    Diary,
    Killed,
    MortalStore,
    _no_text_is_parsed_or_written_twice,  # noqa: F401
    sound_curve,
    spec_of,
    train,
)

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.finalists import Planned
from sweep.api.results import SweepResults
from sweep.api.user_requests import PUTS, ask_for_trial, ask_to_note, ask_to_stop, put_file
from sweep.console.sweep_progress import Progress
from sweep.console.watch_view import Watching
from sweep.engine.decisions.steering import Steering
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.at_uri.local_results import local_results
from sweep.store.at_uri.mirrored_results import MirroredStore
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.journal import NoteAdded, Request, StopRequested
from sweep.store.layout import Layout
from sweep.store.spool.request_spool import RequestSpool
from sweep.store.spool.trial_notes import read_notes
from sweep.store.store import Store
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Observer, Status, TrialRecord

Script = Callable[[str, int], None]
"""What a user does before an epoch of a trial is reported."""


def nobody(_trial_id: str, _epoch: int) -> None: ...


def drive(
    spec: SweepSpec,
    store: Store,
    script: Script = nobody,
    warnings: list[str] | None = None,
    observers: tuple[Observer, ...] = (),
) -> SweepController:
    """Run the sweep as the executor in this process does, one trial at a time."""
    controller = SweepController(spec, store, observers)
    warn = (warnings if warnings is not None else []).append
    steer = Steering(controller, spec, store, warn, clock=itertools.count(step=10).__next__)
    steer()
    while (folder := controller.next_trial()) is not None:
        curve = train(folder)
        for metrics in curve.epochs:
            script(folder.name, metrics.epoch)
            steer()
            if controller.report(folder.name, metrics) is not Decision.CONTINUE:
                break
        else:
            controller.end(folder.name, curve.outcome)
        steer()
    assert controller.finished
    return controller


def run(spec: SweepSpec, folder: Path, script: Script = nobody) -> list[TrialRecord]:
    with Store.create(folder, to_yaml(spec)) as store:
        drive(spec, store, script)
        return store.records()


class MortalSteeredStore(MortalStore):
    """Dies also where a request is recorded, or its file deleted."""

    def record_request(self, request: Request) -> bool:
        with self._writes():
            return super().record_request(request)


def run_and_be_killed(
    spec: SweepSpec, folder: Path, writes: int, after: bool, script: Script
) -> list[TrialRecord]:
    """A first session dies at a write, a second one at another; the third comes to the end."""
    Store.create(folder, to_yaml(spec)).close()
    with pytest.MonkeyPatch.context() as patch:
        for left in (writes, 5):
            with MortalSteeredStore.open(folder) as store:
                assert isinstance(store, MortalStore)
                store.writes_left, store.records_the_last = left, after
                patch.setattr(RequestSpool, "drop", _mortal_drop(store))
                with suppress(Killed):
                    drive(spec, store, script)
    with Store.open(folder) as store:
        drive(spec, store, script)
        return store.records()


_drop = RequestSpool.drop


def _mortal_drop(store: MortalStore) -> Callable[[RequestSpool, Request], None]:
    def drop(spool: RequestSpool, request: Request) -> None:
        with store._writes():
            _drop(spool, request)

    return drop


class User:
    """Asks once for each thing, at the first epoch at which it can."""

    def __init__(self, folder: Path, **asks: Callable[[Path], object]) -> None:
        self._folder = folder
        self._asks = dict(asks)

    def __call__(self, trial_id: str, epoch: int) -> None:
        if (ask := self._asks.pop(f"{trial_id}_{epoch}", None)) is not None:
            ask(self._folder)


def enqueues(**values: float) -> Callable[[Path], object]:
    return lambda folder: ask_for_trial(folder, {"optimizer.lr": values["lr"]})


def stops(trial_id: str) -> Callable[[Path], object]:
    return lambda folder: ask_to_stop(folder, [trial_id])


KINDS = {
    "random": spec_of(trials=4),
    "tpe": spec_of(trials=4, searcher={"name": "tpe", "startup_trials": 2}, scheduler=HALVING),
    "cmaes": spec_of(trials=4, searcher="cmaes"),
    "qmc": spec_of(trials=4, searcher="qmc"),
    "grid": spec_of(space=GRID, searcher="grid", trials=4),
    "presets": spec_of(trials=4, presets=["geometric-v2.3"]),
}


@pytest.mark.parametrize("name", KINDS)
def test_enqueued_configuration_is_the_next_trial_and_one_more(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    records = run(KINDS[name], folder, User(folder, t0001_0=enqueues(lr=0.2)))
    assert len(records) == 5
    assert [r.number for r in records if r.enqueued is not None] == [2]
    assert records[2].parameters["optimizer.lr"] == 0.2
    assert records[2].enqueued is not None
    assert "@" in records[2].enqueued.by
    assert records[2].status.is_final


def test_enqueued_trial_takes_no_combination_from_a_grid(tmp_path: Path) -> None:
    spec = spec_of(space=GRID, searcher="grid", trials=20)
    folder = tmp_path / "toy"
    records = run(spec, folder, User(folder, t0001_0=enqueues(lr=0.2)))
    assert len(records) == 10
    own = [repr(record.parameters) for record in records if record.enqueued is None]
    assert len(set(own)) == 9


LINKED = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.momentum": {"uniform": [0.5, 0.9], "when": {"optimizer.name": "sgd"}},
    "optimizer.lr": {"loguniform": [1e-3, 1]},
}


def test_conditional_parameter_is_enqueued_beside_what_it_depends_on(tmp_path: Path) -> None:
    folder, refused = tmp_path / "toy", list[str]()

    def ask(place: Path) -> None:
        for values in (
            {"optimizer.name": "sgd"},
            {"optimizer.name": "sgd"},
            {"optimizer.name": "adamw", "optimizer.lr": 0.5},
            {"optimizer.momentum": 0.7},
            {"optimizer.momentum": 0.7, "optimizer.name": "adamw"},
            {"optimizer.momentum": 0.7, "optimizer.name": "sgd"},
        ):
            try:
                ask_for_trial(place, values)
            except InputError as error:
                refused.append(str(error))

    spec = spec_of(trials=3, space=LINKED, searcher={"name": "tpe", "startup_trials": 2})
    records = run(spec, folder, User(folder, t0000_0=ask))
    first, second, third, fourth = (r.parameters for r in records if r.enqueued is not None)
    assert first["optimizer.name"] == second["optimizer.name"] == "sgd"
    assert first["optimizer.momentum"] != second["optimizer.momentum"]
    assert third == {"optimizer.name": "adamw", "optimizer.lr": 0.5}
    assert fourth["optimizer.momentum"] == 0.7
    assert len(records) == 7
    assert len(refused) == 2
    assert "drawn only `when: {optimizer.name: " in refused[0]


def test_search_that_ended_early_trains_what_is_enqueued_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    folder = tmp_path / "toy"
    spec = spec_of(trials=40, stop_when={"improvement": 0.5, "after": 8})
    before = run(spec, folder, User(folder, t0001_0=enqueues(lr=0.3)))
    assert len(before) < 40
    assert read_results(folder).searched == len(before)
    ask_for_trial(folder, {"optimizer.lr": 0.2})
    progress = Progress(40, planned=Planned(spec))
    with Store.open(folder) as store:
        drive(spec, store, observers=(progress,))
        records = store.records()
    assert records[:-1] == before
    assert records[-1].parameters["optimizer.lr"] == 0.2
    assert progress.trials == progress.finished_trials == len(records)
    assert read_results(folder).searched == len(records)
    assert SweepResults(folder).is_finished


def test_presets_come_before_what_is_enqueued(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    spec = spec_of(trials=4, presets=["baseline", "geometric-v2.3"])
    records = run(spec, folder, User(folder, t0000_0=enqueues(lr=0.2)))
    assert [record.preset for record in records[:3]] == ["baseline", "geometric-v2.3", None]
    assert records[2].parameters["optimizer.lr"] == 0.2


def test_enqueued_value_outside_the_space_is_trained(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    records = run(KINDS["tpe"], folder, User(folder, t0000_0=enqueues(lr=7.0)))
    assert records[1].parameters["optimizer.lr"] == 7.0
    assert len(records) == 5


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["random", "tpe", "grid"])
def test_no_kill_loses_or_repeats_what_was_enqueued(name: str, after: bool) -> None:
    """Every write of the first session, from the first request to its trial's start and end."""
    spec = KINDS[name]

    def user(folder: Path) -> User:
        def both(place: Path) -> None:
            ask_for_trial(place, {"optimizer.lr": 0.2})
            ask_for_trial(place, {"optimizer.lr": 0.3})

        return User(folder, t0001_0=both)

    with TemporaryDirectory(dir=MEMORY) as other:
        folder = Path(other) / "whole"
        expected = run(spec, folder, user(folder))
        first, second = (len(record.history) for record in expected[:2])
        asked, started = first + 3, first + second + 9  # writes before the requests are taken
        assert sum(record.enqueued is not None for record in expected) == 2
        for writes in {*range(asked, asked + 7), *range(started - 2, started + 4)}:
            folder = Path(other) / f"killed-{writes}"
            found = run_and_be_killed(spec, folder, writes, after, user(folder))
            assert [_without_id(r) for r in found] == [_without_id(r) for r in expected]
            assert not RequestSpool(Layout(folder)).names()


def _without_id(record: TrialRecord) -> tuple[object, ...]:
    return record.trial_id, record.parameters, record.history, record.outcome, bool(record.enqueued)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_running_trial_that_the_user_stops_ends_as_pruned_at_its_next_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    folder = tmp_path / "toy"
    spec = spec_of(trials=4) if name == "random" else spec_of(trials=4, searcher="tpe")
    records = run(spec, folder, User(folder, t0001_3=stops("t0001")))
    assert records[1].status is Status.PRUNED
    assert records[1].outcome is not None
    assert records[1].outcome.cause == "stopped by the user after 4 epochs"
    assert len(records[1].history) == 4
    assert {record.status for record in records if record.number != 1} == {Status.COMPLETED}
    [event] = [e for e in _journal(folder) if isinstance(e, StopRequested)]
    assert event.trial_id == "t0001"
    assert "@" in event.by


def _journal(folder: Path) -> list[Any]:
    with Store.open(folder) as store:
        return list(store.journal())


def test_trial_that_is_stopped_at_its_last_epoch_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    folder = tmp_path / "toy"
    records = run(spec_of(trials=2), folder, User(folder, t0001_11=stops("t0001")))
    assert records[1].status is Status.COMPLETED


@pytest.mark.parametrize("after", [False, True])
def test_no_kill_loses_the_end_of_a_trial_that_the_user_stopped(
    after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    spec = spec_of(trials=3)
    with TemporaryDirectory(dir=MEMORY) as other:
        whole = run(spec, Path(other) / "whole")
        for writes in range(15, 30):
            folder = Path(other) / f"killed-{writes}"
            user = User(folder, t0001_3=stops("t0001"))
            first, stopped, last = run_and_be_killed(spec, folder, writes, after, user)
            assert [first, last] == [whole[0], whole[2]]
            assert stopped.status is Status.PRUNED
            # Without a worker it ends at once: a kill may have come before its next report.
            assert len(stopped.history) in (3, 4)
            assert stopped.history == whole[1].history[: len(stopped.history)]
            assert not RequestSpool(Layout(folder)).names()
            assert len([e for e in _journal(folder) if isinstance(e, StopRequested)]) == 1


def test_trial_that_waits_at_a_rung_ends_at_once_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    spec = spec_of(trials=8, scheduler=HALVING | {"grace_period": 2})
    folder = tmp_path / "toy"
    waits = []

    def script(trial_id: str, epoch: int) -> None:
        state = _states(folder)
        paused = [name for name, (status, epochs) in state.items() if status == "running"]
        if not waits and len(paused) > 2 and trial_id != paused[0]:
            waits.append(paused[0])
            ask_to_stop(folder, [paused[0]])

    def _states(folder: Path) -> Mapping[str, tuple[str, int]]:
        from sweep.store.read_results import read_records

        return {r.trial_id: (r.status.value, len(r.history)) for r in read_records(folder)}

    records = {record.trial_id: record for record in run(spec, folder, script)}
    assert waits
    stopped = records[waits[0]]
    assert stopped.outcome is not None
    assert stopped.outcome.cause.startswith("stopped by the user")


@pytest.mark.parametrize("stopped", range(8))
def test_stopping_a_trial_at_a_rung_changes_nobody_elses_place_there(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been compared: 4 of these 8 go on, and whoever it is that waits when it is stopped."""
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    spec = spec_of(trials=8, scheduler=HALVING | {"grace_period": 6}, searcher="random")
    assert spec.rungs() == [6]
    whole = run(spec, tmp_path / "whole")
    name = f"t{stopped:04d}"
    folder = tmp_path / "toy"
    ended: set[str] = set()

    def script(trial_id: str, epoch: int) -> None:
        started = Layout(folder).trial(name).trial.exists()
        if started and trial_id != name and not ended:
            ended.add(name)
            with suppress(InputError):  # it may have been given up already
                ask_to_stop(folder, [name])

    found = run(spec, folder, script)
    others = [r.number for r in whole if r.number != stopped]
    assert [found[n].status for n in others] == [whole[n].status for n in others]


def test_stop_of_a_trial_that_has_ended_in_between_is_refused_in_words(tmp_path: Path) -> None:
    folder, warnings = tmp_path / "toy", list[str]()
    spec = spec_of(trials=2)
    with Store.create(folder, to_yaml(spec)) as store:
        drive(spec, store)
    RequestSpool(Layout(folder)).add(StopRequested("1", "t0001", "me@here", "now"))
    with Store.open(folder) as store:
        drive(spec, store, warnings=warnings)
    [warning] = warnings
    assert "me@here" in warning
    assert "t0001 has already ended" in warning
    assert not RequestSpool(Layout(folder)).names()


def test_file_that_is_no_request_is_told_once_and_left(tmp_path: Path) -> None:
    folder, warnings = tmp_path / "toy", list[str]()
    spec = spec_of(trials=2)
    with Store.create(folder, to_yaml(spec)) as store:
        Layout(folder).requests.mkdir()
        (Layout(folder).requests / "0.json").write_text('{"event": "dance"}')
        (Layout(folder).requests / "1.json").write_text('{"event": "start", "trial_id": "t0000"}')
        drive(spec, store, warnings=warnings)
    assert len(warnings) == 2
    assert "a newer version" in warnings[0]
    assert "is not a request" in warnings[1]


def test_finished_sweep_trains_what_was_enqueued_when_it_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    spec = spec_of(trials=2, searcher={"name": "tpe", "startup_trials": 1})
    before = run(spec, folder)
    asked = ask_for_trial(folder, ["optimizer.lr=0.25"])
    assert "No session runs: it is done at the next `sweep.run … --resume`." in str(asked)
    progress = Progress(2, planned=Planned(spec))
    with Store.open(folder) as store:
        drive(spec, store, observers=(progress,))
        records = store.records()
    assert records[:2] == before
    assert records[2].parameters["optimizer.lr"] == 0.25
    assert (progress.finished_trials, progress.trials) == (3, 3)


def test_watching_counts_the_enqueued_trial_and_shows_who_stopped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    folder = tmp_path / "toy"
    user = User(folder, t0001_0=enqueues(lr=0.2), t0001_1=stops("t0001"))
    run(spec_of(trials=3), folder, user)
    watching = Watching(folder)
    console = Console(width=200, file=(printed := io.StringIO()))
    watching.look(console)
    assert watching.over
    assert (watching.progress.finished_trials, watching.progress.trials) == (4, 4)
    assert "/4] t0001 pruned: stopped by the user after 2 epochs" in printed.getvalue()


def test_notes_survive_with_and_without_a_session(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    spec = spec_of(trials=2)
    user = User(folder, t0001_0=lambda place: ask_to_note(place, "t0000", "first"))
    run(spec, folder, user)
    ask_to_note(folder, "t0000", "second")
    ask_to_note(folder, "t0001", "other")
    ask_to_note(folder, None, "of the sweep")
    every = {"t0000": ["first", "second"], "t0001": ["other"], None: ["of the sweep"]}
    assert _texts(folder) == every
    with Store.open(folder) as store:
        drive(spec, store)
        recorded = [e.text for e in store.journal() if isinstance(e, NoteAdded)]
    assert recorded == ["first", "second", "other", "of the sweep"]
    assert _texts(folder) == every
    assert [note.text for note in sweep.open(folder).notes] == ["of the sweep"]


def test_what_is_asked_for_at_a_uri_reaches_the_session_and_stays_there_until_it_is_recorded(
    object_store: str, tmp_path: Path
) -> None:
    remote, spec, warnings = RemoteFolder(f"{object_store}/steered/toy"), spec_of(trials=2), []
    asked = remote.below("requests")
    with MirroredStore.create_at(remote, tmp_path / "toy", to_yaml(spec)) as store:

        def user(trial_id: str, epoch: int) -> None:
            store._look_due = 0.0  # it is time to look again
            if (trial_id, epoch) == ("t0001", 0):
                assert ask_for_trial(remote.uri, {"optimizer.lr": 0.2}).words.endswith(
                    "than `trials`."
                )
                ask_to_note(remote.uri, "t0000", "first")
                store._due = math.inf  # nothing is uploaded for a while
            if (trial_id, epoch) == ("t0001", 1):
                assert len(asked.files()) == 2
                store._due = 0.0

        drive(spec, store, user, warnings)
        records = store.records()
        assert [record.parameters["optimizer.lr"] for record in records if record.enqueued] == [0.2]
    assert asked.files() == set()
    assert warnings == []
    with local_results(remote.uri) as folder:
        assert _texts(folder) == {"t0000": ["first"]}
    for n, name in enumerate(("a.csv", "a-2.csv")):
        put = put_file(remote.uri, "t0000", "a.csv", bytes([n]))
        assert put.words.startswith(f"{name} lies beside")
        assert remote.read(f"trials/t0000/{name}") == bytes([n])
    with pytest.raises(InputError, match=r"a\.pt.*named like weights"):
        put_file(remote.uri, "t0000", "a.pt", b"1")
    with pytest.raises(InputError, match="a note must have 1 to"):  # nothing is fetched for it
        ask_to_note("s3://no-bucket/toy", None, " ")
    with ThreadPoolExecutor() as users:  # at once
        puts = [users.submit(put_file, remote.uri, "t0000", "b.csv", bytes([n])) for n in range(3)]
        kept = [put.result().words.partition(" ")[0] for put in puts]
    assert [remote.read(f"trials/t0000/{name}") for name in kept] == [b"\0", b"\1", b"\2"]
    assert not [name for name in remote.files() if name.endswith(PUTS)]


def test_file_is_put_at_a_uri_as_if_a_killed_process_had_never_begun_to(tmp_path: Path) -> None:
    spec, values, folder = KINDS["tpe"], {"optimizer.lr": 0.1}, tmp_path / "toy/trials/t0000"
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        store.start_trial(0, values, to_yaml(spec.trial(values)))
    uri, begun = f"file://{tmp_path}/toy", folder / f".left{PUTS}"
    begun.touch()
    assert put_file(uri, "t0000", "a.csv", b"1").words.startswith("a-")  # it may write that
    os.utime(begun, (0, 0))
    assert put_file(uri, "t0000", "b.csv", b"1").words.startswith("b.csv lies beside")
    with pytest.raises(InputError, match="has no trial `t0009`"):
        put_file(uri, "t0009", "a.csv", b"1")
    assert not folder.with_name("t0009").exists()


def _texts(folder: Path) -> dict[str | None, list[str]]:
    return {name: [n.text for n in notes] for name, notes in read_notes(folder).items()}


def test_steered_sweep_tells_its_observers_the_same_when_it_is_replayed(tmp_path: Path) -> None:
    folder, spec = tmp_path / "toy", KINDS["tpe"]
    user = User(folder, t0001_0=enqueues(lr=0.2), t0001_1=stops("t0001"))
    live, replayed = Diary(), Diary()
    with Store.create(folder, to_yaml(spec)) as store:
        drive(spec, store, user, observers=(live,))  # type: ignore[arg-type]
    with Store.open(folder) as store:
        assert SweepController(spec, store, (replayed,)).finished  # type: ignore[arg-type]
    assert replayed.told == live.told


@pytest.mark.parametrize("stopped", range(8))
def test_trial_that_is_stopped_as_it_reaches_a_rung_leaves_the_same_places_after_a_restart(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is certain to be among the best, but must not count as one that went on."""
    monkeypatch.setattr("test_sweep_controller.curve_of", sound_curve)
    spec, folder, name = spec_of(trials=8, scheduler=HALVING), tmp_path / "toy", f"t{stopped:04d}"
    with Store.create(folder, to_yaml(spec)) as store:
        live = drive(spec, store, User(folder, **{f"{name}_0": stops(name)}))
    with Store.open(folder) as store:
        replayed = SweepController(spec, store)
    assert _rungs(replayed) == _rungs(live)


def _rungs(controller: SweepController) -> object:
    scheduler = controller._pruning._scheduler
    assert isinstance(scheduler, Halving)
    return scheduler._rungs


@pytest.mark.parametrize("crashes", [False, True])
def test_trial_stopped_in_its_last_epoch_completes_with_or_without_a_crash(
    tmp_path: Path, crashes: bool
) -> None:
    spec = spec_of(trials=1)
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        folder = controller.next_trial()
        assert folder is not None
        curve = sound_curve({})
        for metrics in curve.epochs:
            if metrics is curve.epochs[-1]:
                controller.obey(StopRequested("1", folder.name, "me@here", "now"))
            assert controller.report(folder.name, metrics) is Decision.CONTINUE
        if not crashes:
            controller.end(folder.name, curve.outcome)
    with Store.open(tmp_path / "toy") as store:
        controller = SweepController(spec, store)
        assert controller.finished is not crashes
        if crashes:
            assert controller.next_trial() is not None
            controller.end(folder.name, curve.outcome)
        (record,) = store.records()
    assert record.status is Status.COMPLETED


def test_trainer_that_is_a_class_is_stopped_at_its_next_report(tmp_path: Path) -> None:
    asks = "ask_to_stop(self.settings.trainer.options['folder'], ['t0000'])"
    validate = (
        "import time\nfrom sweep.api.user_requests import ask_to_stop\n"
        f"if epoch == 1:\n    {asks}\n"
        "time.sleep(0.1)\n"  # requests are looked for every second
        "return Validation(dice=0.5)\n"
    )
    spec = waiting_sweep(tmp_path)
    spec["trainer"] |= {"entry": write_scripted(tmp_path, validate), "epochs": 200}
    spec["trainer"]["options"] |= {"folder": str(tmp_path / "toy")}
    found = sweep.run(spec, results=tmp_path, executor="local", progress=False)["t0000"]
    assert (found.status, len(found.history) < 200) == (Status.PRUNED, True)
