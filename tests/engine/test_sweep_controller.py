"""The controller without Ray: a plain loop executes trials whose curves stand in a table."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.ranking.finalists import best_first
from sweep.console.sweep_progress import Progress
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.spec.load import load_trial, to_yaml
from sweep.spec.reading.yaml_document import Document, parse_document
from sweep.spec.search.before_and_after import ConfirmSettings
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import value_of
from sweep.store.journal import EpochRecorded
from sweep.store.layout import trial_id
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import (
    Divergence,
    Outcome,
    ParameterValue,
    Stage,
    Status,
    TrialRecord,
)

EPOCHS = 12
MEMORY = next(filter(os.path.isdir, ["/dev/shm"]), None)
"""Where a sweep of many small durable writes costs little: a disk takes milliseconds for each."""
SPACE = {
    "optimizer.lr": {"loguniform": [1e-3, 1.0]},
    "early_stopping.patience": {"randint": [1, 50]},
}
GRID = {"optimizer.lr": {"grid": [0.1, 0.2, 0.3]}, "early_stopping.patience": {"choice": [2, 4, 8]}}
ASHA = {"name": "asha", "grace_period": 1, "reduction_factor": 2, "pause": False}
HALVING = ASHA | {"pause": True}
WEIGHT = {"loss.weights.boundary": {"loguniform": [1e-3, 1]}}
CONTROLLED = {
    "loss.warmup_epochs": {"randint": [1, 4]},
    **WEIGHT,
    "early_stopping.patience": {"choice": [2, None]},
}
LINKED = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.momentum": {"uniform": [0.8, 0.99], "when": {"optimizer.name": "sgd"}},
    "loss.warmup_epochs": {"randint": [1, 4]},
    "loss.rampup_epochs": {"randint": [0, "loss.warmup_epochs"]},
    "loss.weights.boundary": {"choice": [0.0, 0.1]},
}
HYPERBAND = {"name": "hyperband", "grace_period": 1, "reduction_factor": 2}
MEDIAN = {"name": "median", "grace_period": 2, "min_trials": 2}
DIVERGENCE = Divergence(
    cause="nonfinite",
    epoch=3,
    step=1,
    stage=Stage.GRADIENT,
    term="compactness",
    message="The gradient was not finite.",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """What training one configuration would report, and how it would end."""

    dice: tuple[float | None, ...]
    outcome: Outcome

    @property
    def epochs(self) -> list[EpochMetrics]:
        return [
            EpochMetrics(epoch=epoch, val_dice=dice, metrics=mirrored(dice))
            for epoch, dice in enumerate(self.dice)
        ]


def mirrored(dice: float | None) -> dict[str, float | None]:
    """A metric without bounds, on both sides of 0, and the same one as what is to be small."""
    gain = None if dice is None else 100 * dice - 50
    return {"gain": gain, "loss": None if gain is None else -gain}


def curve_of(parameters: Mapping[str, ParameterValue]) -> Curve:
    """A function of the parameters alone: every end occurs, and epochs without a Dice too."""
    draw = random.Random(repr(sorted(parameters.items())))
    dice = [None if draw.random() < 0.1 else draw.random() for _ in range(EPOCHS)]
    kind = draw.random()
    if kind < 0.2:
        return Curve(tuple(dice[: draw.randrange(EPOCHS)]), Outcome.diverged(DIVERGENCE))
    if kind < 0.4:
        error = Outcome(status=Status.FAILED, cause="ValueError: no", error="Traceback …")
        return Curve(tuple(dice[: draw.randrange(EPOCHS)]), error)
    if kind < 0.6:
        return Curve(tuple(dice[:4]), Outcome(status=Status.EARLY_STOPPED))
    return Curve(tuple(dice), Outcome(status=Status.COMPLETED))


def sound_curve(parameters: Mapping[str, ParameterValue]) -> Curve:
    """Of a trial that comes to its end, with a Dice in every epoch."""
    draw = random.Random(repr(sorted(parameters.items())))
    return Curve(tuple(draw.random() for _ in range(EPOCHS)), Outcome(status=Status.COMPLETED))


@functools.cache
def parsed(text: str) -> Document:
    return parse_document(text, "a file")


@functools.cache
def trial_of(config: str) -> TrialSettings:
    return load_trial(parsed(config).values)


@pytest.fixture(autouse=True, scope="module")
def _no_text_is_parsed_or_written_twice() -> Iterator[None]:
    """YAML would take four fifths of the time: the same sweeps are killed at many points."""
    texts: dict[str, str] = {}

    def yaml_of(values: TrialSettings) -> str:
        described = repr(values)
        if described not in texts:
            texts[described] = to_yaml(values)
        return texts[described]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.engine.decisions.sweep_controller.to_yaml", yaml_of)
        patch.setattr("sweep.store.read_results.parse_document", lambda text, _: parsed(text))
        yield


def train(folder: Path) -> Curve:
    """What a worker does: all that it trains with stands in the ``config.yaml`` of its folder."""
    config = trial_of((folder / "config.yaml").read_text(encoding="utf-8"))
    searched = json.loads((folder / "trial.json").read_text(encoding="utf-8"))["parameters"]
    return curve_of({key: value_of(config, key) for key in searched})


def spec_of(**changes: Any) -> SweepSpec:
    values = {"name": "toy", "trials": 9, "space": SPACE, "searcher": "random", "scheduler": "none"}
    values["replay_patience"] = False  # a second setting to draw, whichever
    return SweepSpec.model_validate(
        {"trainer": {"epochs": EPOCHS}, "loss": {"warmup_epochs": 0, "rampup_epochs": 0}}
        | values
        | changes
    )


SWEEPS = {
    "random": spec_of(),
    "random_asha": spec_of(scheduler=ASHA),
    "random_halving": spec_of(scheduler=HALVING),
    "grid_halving": spec_of(space=GRID, searcher="grid", scheduler=HALVING),
    "tpe_halving": spec_of(searcher={"name": "tpe", "startup_trials": 3}, scheduler=HALVING),
    "cmaes_halving": spec_of(searcher="cmaes", scheduler=HALVING),
    "control_tpe_halving": spec_of(
        searcher={"name": "tpe", "startup_trials": 3},
        scheduler=HALVING,
        space=CONTROLLED,
        replay_patience=True,
    ),
    "control_halving": spec_of(scheduler=HALVING, space=CONTROLLED, replay_patience=True),
    "grid_asha": spec_of(space=GRID, searcher="grid", scheduler=ASHA),
    "tpe": spec_of(searcher={"name": "tpe", "startup_trials": 3}),
    "tpe_asha": spec_of(searcher={"name": "tpe", "startup_trials": 3}, scheduler=ASHA),
    # Nobody asks for the baseline, but the scheduler compares with it.
    "control_tpe_asha": spec_of(
        searcher={"name": "tpe", "startup_trials": 3},
        scheduler=ASHA,
        space=CONTROLLED,
        replay_patience=True,
    ),
    "replayed_tpe_asha": spec_of(
        searcher={"name": "tpe", "startup_trials": 3},
        scheduler=ASHA,
        presets=["geometric-v2.3"],
        replay_patience=True,
    ),
    # Of these presets the first lies inside the space, the second has no patience at all.
    "presets_tpe": spec_of(
        searcher={"name": "tpe", "startup_trials": 3}, presets=["baseline", "geometric-v2.3"]
    ),
    "linked_tpe_asha": spec_of(
        searcher={"name": "tpe", "startup_trials": 3},
        scheduler=ASHA,
        space=LINKED,
        presets=["baseline"],
    ),
    "presets_grid": spec_of(space=GRID, searcher="grid", presets=["geometric-v2.4"]),
    "presets_tpe_asha": spec_of(
        searcher={"name": "tpe", "startup_trials": 3}, scheduler=ASHA, presets=["baseline"]
    ),
}


def execute(controller: SweepController, at_a_time: int = 1) -> None:
    """Run trials to their ends; of several at a time each reports one epoch in turn.

    As Ray, it asks for trials whenever a slot is free, and never again once all is finished.
    """
    running: list[tuple[str, Curve, Iterator[EpochMetrics]]] = []
    over = False
    while True:
        while len(running) < at_a_time and not over:
            folder = controller.next_trial()
            over = folder is None and controller.finished
            if folder is None:
                break
            curve = train(folder)
            running.append((folder.name, curve, iter(curve.epochs)))
        if not running:
            assert controller.finished
            return
        name, curve, epochs = running.pop(0)
        metrics = next(epochs, None)
        if metrics is None:
            controller.end(name, curve.outcome)
        elif controller.report(name, metrics) is Decision.CONTINUE:
            running.append((name, curve, epochs))


@dataclass
class Diary:
    """An observer that keeps all that it is told."""

    told: list[object] = field(default_factory=list)

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self.told.append(("start", trial_id, dict(parameters)))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self.told.append(("epoch", trial_id, metrics))

    def trial_enqueued(self) -> None:
        self.told.append(("enqueued",))

    def trial_waits(self, trial_id: str) -> None:
        self.told.append(("wait", trial_id))

    def trial_ended(self, record: TrialRecord) -> None:
        self.told.append(("end", record))


class Killed(Exception):
    """The process is gone: nothing in memory survives."""


class MortalStore(Store):
    """Dies at the n-th thing that it is asked to record, before or after it did."""

    writes_left = 10**9
    records_the_last = False

    def start_trial(self, *args: Any) -> str:
        with self._writes():
            return super().start_trial(*args)

    def append_epoch(self, *args: Any) -> bool:
        with self._writes():
            return super().append_epoch(*args)

    def end_trial(self, *args: Any) -> None:
        with self._writes():
            super().end_trial(*args)

    @contextmanager
    def _writes(self) -> Iterator[None]:
        self.writes_left -= 1
        if self.writes_left <= 0 and not self.records_the_last:
            raise Killed
        yield
        if self.writes_left <= 0:
            raise Killed


def run(spec: SweepSpec, folder: Path, at_a_time: int = 1) -> list[TrialRecord]:
    with Store.create(folder, to_yaml(spec)) as store:
        execute(SweepController(spec, store), at_a_time)
        return store.records()


def run_and_be_killed(
    spec: SweepSpec, folder: Path, kills: list[tuple[int, bool]], at_a_time: int = 1
) -> list[TrialRecord]:
    """One session after the other dies; the last comes to the end."""
    Store.create(folder, to_yaml(spec)).close()
    for writes, records_the_last in kills:
        with MortalStore.open(folder) as store:
            assert isinstance(store, MortalStore)
            store.writes_left, store.records_the_last = writes, records_the_last
            try:
                execute(SweepController(spec, store), at_a_time)
            except Killed:
                continue
    with Store.open(folder) as store:
        execute(SweepController(spec, store), at_a_time)
        return store.records()


@functools.cache
def uninterrupted(name: str) -> list[TrialRecord]:
    with TemporaryDirectory(dir=MEMORY) as folder:
        return run(SWEEPS[name], Path(folder))


every_sweep = pytest.mark.parametrize("name", SWEEPS)
kills = st.lists(st.tuples(st.integers(1, 45), st.booleans()), min_size=1, max_size=3)


def test_curves_of_the_table_end_in_every_way() -> None:
    ends = {record.status for name in SWEEPS for record in uninterrupted(name)}
    assert ends == {status for status in Status if status.is_final}


@every_sweep
def test_every_trial_ends_with_the_curve_of_its_parameters(name: str) -> None:
    assert [record.trial_id for record in uninterrupted(name)] == [trial_id(n) for n in range(9)]
    for record in uninterrupted(name):
        curve = curve_of(record.parameters)
        if record.status is Status.PRUNED:
            assert record.history == tuple(curve.epochs[: len(record.history)])
        else:
            assert record.history == tuple(curve.epochs)
            assert record.outcome == curve.outcome


def judged_by(name: str, metric: str, mode: str) -> SweepSpec:
    """One of the sweeps above, of a trainer that measures what it likes."""
    spec = SWEEPS[name]
    return SweepSpec.model_validate(
        spec.model_dump(mode="json")
        | {
            "trainer": {"kind": "custom", "entry": "mine.module:Mine", "epochs": EPOCHS},
            "objective": {"metric": metric, "mode": mode},
        }
    )


def decisions(records: list[TrialRecord]) -> list[object]:
    """All that a sweep decided: what was tried, how long, how it ended, and the order of it all."""
    facts = [
        (r.trial_id, r.parameters, r.status, len(r.history), r.best and r.best.epoch)
        for r in records
    ]
    return [*facts, [record.trial_id for record in best_first(records)]]


@every_sweep
def test_sweep_of_a_metric_and_of_its_negative_decide_the_same_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    up, down = (
        run(judged_by(name, metric, mode), tmp_path / metric, at_a_time=2)
        for metric, mode in (("gain", "max"), ("loss", "min"))
    )
    assert decisions(up) == decisions(down)
    best = [next(r for r in best_first(records) if r.score is not None) for records in (up, down)]
    assert best[0].value == -(best[1].value or 0)
    assert best[0].value == max(r.value for r in up if r.score is not None and r.value is not None)


@pytest.mark.parametrize("name", ["tpe_asha", "control_halving"])
@settings(max_examples=5)
@given(kills=kills)
def test_killed_sweep_of_another_objective_ends_exactly_like_the_uninterrupted_one(
    name: str, kills: list[tuple[int, bool]]
) -> None:
    spec = judged_by(name, "loss", "min")
    with TemporaryDirectory(dir=MEMORY) as folder, TemporaryDirectory(dir=MEMORY) as other:
        expected = run(spec, Path(other) / "whole")
        assert run_and_be_killed(spec, Path(folder) / "killed", kills) == expected


@pytest.mark.parametrize("name", ["tpe_asha", "random_halving"])
@settings(max_examples=3)
@given(kills=kills)
def test_killed_sweep_of_several_objectives_ends_exactly_like_the_uninterrupted_one(
    name: str, kills: list[tuple[int, bool]]
) -> None:
    """What a trial gains in Dice it loses in the second one: no trial beats another there."""
    several = {"objective": ["val_dice", {"metric": "loss", "mode": "max"}, "epochs"]}
    spec = SweepSpec.model_validate(
        judged_by(name, "loss", "max").model_dump(mode="json") | several
    )
    with TemporaryDirectory(dir=MEMORY) as folder, TemporaryDirectory(dir=MEMORY) as other:
        expected = run(spec, Path(other) / "whole")
        assert run_and_be_killed(spec, Path(folder) / "killed", kills) == expected
    assert Status.PRUNED in {record.status for record in expected}


def test_journal_alone_tells_a_scheduler_what_the_lost_epoch_was_worth(tmp_path: Path) -> None:
    spec = judged_by("random_asha", "loss", "min")
    with Store.create(tmp_path / "sweep", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        name = begin(controller)
        controller.report(
            name, EpochMetrics(epoch=0, val_dice=0.5, metrics={"loss": 3.0, "x": 1.0})
        )
        [event] = [event for event in store.journal() if isinstance(event, EpochRecorded)]
    assert event.known == EpochMetrics(epoch=0, val_dice=0.5, metrics={"loss": 3.0})


@every_sweep
@settings(max_examples=6)
@given(kills=kills)
def test_killed_and_resumed_sweep_ends_exactly_like_the_uninterrupted_one(
    name: str, kills: list[tuple[int, bool]]
) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        assert run_and_be_killed(SWEEPS[name], Path(folder), kills) == uninterrupted(name)


@settings(max_examples=12)
@given(kills=kills, at_a_time=st.integers(1, 5))
def test_sweep_whose_trials_pause_ends_the_same_however_many_run_at_a_time_and_die(
    kills: list[tuple[int, bool]], at_a_time: int
) -> None:
    """Of these trials none diverges: places of such are given to those that still wait."""
    spec = spec_of(scheduler=HALVING, trials=12, space={"seed": {"randint": [1000, 2000]}})
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(dir=MEMORY) as folder:
        patch.setitem(globals(), "curve_of", sound_curve)
        whole = run(spec, Path(folder) / "whole")
        killed = run_and_be_killed(spec, Path(folder) / "killed", kills, at_a_time)
    assert killed == whole
    assert sum(record.status is Status.PRUNED for record in whole) >= 9


@pytest.mark.parametrize("order", range(4))
def test_trial_that_pauses_in_its_trunk_leaves_it_to_those_who_need_it(
    order: int, tmp_path: Path
) -> None:
    """Without any weight a trial is in its trunk to its end, and others wait for it."""
    spec = spec_of(
        scheduler=HALVING | {"clock": "epochs"},
        searcher={"name": "random", "seed": order},
        trials=14,
        space={
            "loss.weights.boundary": {"choice": [0, 0.1]},
            "loss.rampup_epochs": {"randint": [0, 4]},
        },
        loss={"warmup_epochs": 2, "weights": {"compactness": 0, "aspect": 0}},
    )
    records = run(spec, tmp_path / "toy", at_a_time=3)
    assert all(record.status.is_final for record in records)
    assert len(records) == 14


@pytest.mark.parametrize("epochs", range(2, 40, 3))
def test_sweep_that_runs_out_of_configurations_goes_on_as_it_would_have(
    epochs: int, tmp_path: Path
) -> None:
    spec = spec_of(space=GRID, searcher="grid", scheduler=HALVING, trials=12)
    whole = run(spec, tmp_path / "whole")
    assert run_and_be_killed(spec, tmp_path / "killed", [(epochs, True)]) == whole


@pytest.mark.parametrize("writes", range(10, 70, 5))
@pytest.mark.parametrize("first", [4, 6])
def test_extended_sweep_lets_on_whom_it_had_let_on(first: int, writes: int, tmp_path: Path) -> None:
    spec = SWEEPS["control_halving"]
    folder = tmp_path / "toy"
    Store.create(folder, to_yaml(spec)).close()
    with MortalStore.open(folder) as store:
        assert isinstance(store, MortalStore)
        store.writes_left = writes
        with suppress(Killed):
            execute(SweepController(spec.model_copy(update={"trials": first}), store), at_a_time=3)
        before = {record.trial_id: record for record in store.records()}
    with Store.open(folder) as store:
        execute(SweepController(spec, store), at_a_time=3)
        records = store.records()
    assert len(records) == 9
    for record in records:
        assert record.status.is_final
        if record.trial_id in before:
            known = before[record.trial_id].history
            assert record.history[: len(known)] == known


def test_trial_at_a_rung_with_its_last_epoch_goes_on_to_its_end(tmp_path: Path) -> None:
    spec = spec_of(
        scheduler=HALVING | {"grace_period": 2},
        trials=8,
        replay_patience=True,
        space={"loss.warmup_epochs": {"choice": [1, EPOCHS - 2]}, **WEIGHT},
    )
    assert spec.rungs() == [2]  # where one that warms up for 10 epochs is after 12
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "curve_of", sound_curve)
        records = run(spec, tmp_path / "toy")
    late = [r for r in records if r.parameters["loss.warmup_epochs"] == EPOCHS - 2]
    assert late
    assert {record.status for record in late} == {Status.COMPLETED}


@every_sweep
@settings(max_examples=5)
@given(kills=kills, at_a_time=st.integers(2, 4))
def test_killed_sweep_of_concurrent_trials_still_ends_every_trial_once(
    name: str, kills: list[tuple[int, bool]], at_a_time: int
) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        records = run_and_be_killed(SWEEPS[name], Path(folder), kills, at_a_time)
    assert [record.number for record in records] == list(range(9))
    for record in records:
        curve = curve_of(record.parameters)
        assert record.history == tuple(curve.epochs[: len(record.history)])
        assert record.status in (curve.outcome.status, Status.PRUNED)


def test_sweep_that_was_finished_has_nothing_to_hand_out_when_it_is_opened_again(
    tmp_path: Path,
) -> None:
    spec = SWEEPS["tpe_asha"]
    before = run(spec, tmp_path / "toy")
    with Store.open(tmp_path / "toy") as store:
        controller = SweepController(spec, store)
        assert controller.finished
        assert controller.next_trial() is None
        assert store.records() == before


def test_grid_is_exhausted_after_its_last_combination(tmp_path: Path) -> None:
    spec = spec_of(space=GRID, searcher="grid", trials=40)
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        execute(controller)
        assert controller.finished
        assert len(store.records()) == 9
        assert len({repr(record.parameters) for record in store.records()}) == 9


def test_presets_are_the_first_trials_and_the_searcher_has_the_rest(tmp_path: Path) -> None:
    spec = SWEEPS["presets_tpe"]
    records = run(spec, tmp_path / "toy")
    assert [record.preset for record in records] == ["baseline", "geometric-v2.3", *[None] * 7]
    assert records[1].parameters == {"optimizer.lr": 0.01, "early_stopping.patience": None}
    trials = tmp_path / "toy" / "trials"
    configs = [load_trial(trials / trial_id(n) / "config.yaml") for n in range(3)]
    assert configs[0] == spec.preset_trial("baseline")
    assert configs[1] == spec.preset_trial("geometric-v2.3")
    assert configs[2] == spec.trial(records[2].parameters)


def test_trials_are_trained_under_the_most_patient_setting_where_patience_is_replayed(
    tmp_path: Path,
) -> None:
    spec = SWEEPS["replayed_tpe_asha"]
    records = run(spec, tmp_path / "toy")
    patience = [record.parameters["early_stopping.patience"] for record in records]
    assert patience == [None, *[49] * 8]  # of the preset its own: none
    assert len({record.parameters["optimizer.lr"] for record in records}) == 9
    for record in records[1:]:
        config = load_trial(tmp_path / "toy" / "trials" / record.trial_id / "config.yaml")
        assert config.early_stopping.patience == 49


def test_baseline_is_the_first_trial_of_a_sweep_that_compares_with_it() -> None:
    assert SWEEPS["control_tpe_asha"].compares_gains
    records = uninterrupted("control_tpe_asha")
    assert [record.preset for record in records] == ["baseline", *[None] * 8]
    assert records[0].status is not Status.PRUNED
    assert any(record.status is Status.PRUNED for record in records)


def test_a_grid_is_walked_from_its_start_after_the_presets(tmp_path: Path) -> None:
    records = run(SWEEPS["presets_grid"], tmp_path / "toy")
    assert [record.preset for record in records] == ["geometric-v2.4", *[None] * 8]
    rates = [record.parameters["optimizer.lr"] for record in records]
    assert rates == [0.01, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3]


# Every point at which a sweep of concurrent trials can be interrupted.

Call = tuple[str, EpochMetrics | Outcome] | None
"""What a worker says of a trial; None: a free slot asks for the next one."""


def answer(controller: SweepController, call: Call) -> object:
    if call is None:
        folder = controller.next_trial()
        return folder and folder.name
    trial, message = call
    if isinstance(message, EpochMetrics):
        return controller.report(trial, message)
    return controller.end(trial, message)


def four_at_a_time(store: Store, ask: Callable[[Call], object]) -> None:
    """Run a sweep to its end; of four trials each reports one epoch in turn."""
    running = deque[tuple[str, list[EpochMetrics], Outcome]]()
    while True:
        while len(running) < 4 and isinstance(name := ask(None), str):
            curve = train(store.layout.trial(name).folder)
            running.append((name, curve.epochs, curve.outcome))
        if not running:
            return
        name, epochs, outcome = running.popleft()
        if ask((name, epochs.pop(0) if epochs else outcome)) is Decision.CONTINUE:
            running.append((name, epochs, outcome))


TPE = {"name": "tpe", "startup_trials": 4}


@pytest.mark.parametrize(
    ("searcher", "scheduler", "trials", "more"),
    [
        ("random", HYPERBAND, 12, {}),
        ("random", MEDIAN, 12, {}),
        (TPE, ASHA, 8, {}),
        (TPE, HALVING, 9, {}),
        (TPE, HALVING, 9, {"space": CONTROLLED, "replay_patience": True}),
        ("cmaes", HALVING, 12, {}),
    ],
)
def test_decisions_and_proposals_after_an_interruption_at_any_point_are_those_without_it(
    searcher: Any, scheduler: Any, trials: int, more: dict[str, Any]
) -> None:
    spec = spec_of(
        searcher=searcher, scheduler=scheduler, trials=trials, presets=["baseline"], **more
    )
    with TemporaryDirectory(dir=MEMORY) as scratch:  # a copy before each event
        folder = Path(scratch) / "toy"
        calls, answers, copies = list[Call](), list[object](), list[Path]()
        executing, before = set[str](), list[set[str]]()  # before each call
        with Store.create(folder, to_yaml(spec)) as store:
            controller = SweepController(spec, store)

            def ask(call: Call) -> object:
                copies.append(shutil.copytree(folder, Path(scratch) / f"before{len(copies)}"))
                calls.append(call)
                before.append(set(executing))
                answers.append(answer(controller, call))
                if call is not None and answers[-1] is not Decision.CONTINUE:
                    executing.remove(call[0])
                elif call is None and isinstance(answers[-1], str):
                    executing.add(answers[-1])
                return answers[-1]

            four_at_a_time(store, ask)
            records = store.records()
        stopped = [record for record in records if record.status is Status.PRUNED]
        assert len(stopped) >= 2

        for at, copied in enumerate(copies):
            with Store.open(copied) as store:
                controller = SweepController(spec, store)
                # Those that had been handed out come first again, with those that may go on.
                again = list[str]()
                while not before[at] <= set(again):
                    again.append(begin(controller))
                for trial in reversed([name for name in again if name not in before[at]]):
                    controller.hand_back(trial)
                # One in nine to the end; what is forgotten shows in the next calls already.
                until = len(calls) if at % 9 == 0 else at + 15
                assert [answer(controller, call) for call in calls[at:until]] == answers[at:until]
                if until == len(calls):
                    assert store.records() == records


# One trial, step by step.


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        yield store


def epoch(number: int, dice: float | None = 0.5) -> EpochMetrics:
    return EpochMetrics(epoch=number, val_dice=dice)


def begin(controller: SweepController) -> str:
    folder = controller.next_trial()
    assert folder is not None
    return folder.name


def test_config_of_a_trial_is_written_before_it_is_handed_out(store: Store) -> None:
    spec = spec_of()
    folder = SweepController(spec, store).next_trial()
    assert folder is not None
    [record] = store.records()
    assert load_trial(folder / "config.yaml") == spec.trial(record.parameters)
    assert record.status is Status.RUNNING


def test_epoch_is_recorded_before_anything_is_decided_on_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Witness(OnArrival):
        def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
            [record] = store.records()
            seen.append(len(record.history))
            assert EpochRecorded(trial_id, epochs - 1, value) in store.journal()
            return Decision.CONTINUE

        def end(self, trial_id: str, status: Status) -> None:
            [record] = store.records()
            assert record.status is status

    monkeypatch.setattr(
        "sweep.engine.decisions.pruning_policy.make_scheduler", lambda spec: Witness()
    )
    controller = SweepController(spec_of(trials=1), store)
    name = begin(controller)
    for number in range(3):
        controller.report(name, epoch(number))
    controller.end(name, Outcome(status=Status.COMPLETED))
    assert seen == [1, 2, 3]


def test_pruned_trial_gets_its_record_once_and_later_reports_answer_stop(store: Store) -> None:
    diary = Diary()
    controller = SweepController(spec_of(scheduler=ASHA), store, [diary])
    good, bad = begin(controller), begin(controller)
    assert controller.report(good, epoch(0, 0.9)) is Decision.CONTINUE
    assert controller.report(bad, epoch(0, 0.1)) is Decision.STOP
    [_, pruned] = store.records()
    assert pruned.outcome == Outcome(status=Status.PRUNED, cause="stopped by asha after 1 epoch")
    assert [*controller._open_trials] == [good]

    assert controller.report(bad, epoch(1, 1.0)) is Decision.STOP
    controller.end(bad, Outcome(status=Status.COMPLETED))
    assert store.records()[1] == pruned
    assert diary.told.count(("end", pruned)) == 1


def test_repeated_epochs_of_a_resumed_worker_change_nothing(store: Store) -> None:
    diary = Diary()
    controller = SweepController(spec_of(scheduler=ASHA), store, [diary])
    good, other = begin(controller), begin(controller)
    for number in range(3):
        controller.report(good, epoch(number, 0.9))
    before, told = store.records(), list(diary.told)
    for number in range(3):
        assert controller.report(good, epoch(number, 0.9)) is Decision.CONTINUE
    assert store.records() == before
    assert diary.told == told
    # The rungs did not count them either: 0.95 is the better half of two.
    assert controller.report(other, epoch(0, 0.95)) is Decision.CONTINUE
    assert controller.report(good, epoch(3, 0.9)) is Decision.CONTINUE


def test_unfinished_trials_are_handed_out_first_after_a_restart_in_their_order(
    store: Store,
) -> None:
    spec = spec_of()
    controller = SweepController(spec, store)
    names = [begin(controller) for _ in range(4)]
    controller.report(names[0], epoch(0))
    controller.end(names[1], Outcome(status=Status.COMPLETED))
    again = SweepController(spec, store)
    assert again.waiting == 3
    handed_out = [begin(again) for _ in range(4)]
    assert handed_out == ["t0000", "t0002", "t0003", "t0004"]
    assert again.waiting == 0


def test_trial_that_was_told_to_stop_stays_pruned_though_its_end_was_not_recorded(
    tmp_path: Path,
) -> None:
    spec = spec_of(scheduler=ASHA, trials=2)
    folder = tmp_path / "toy"
    with MortalStore.create(folder, to_yaml(spec)) as store:
        assert isinstance(store, MortalStore)
        controller = SweepController(spec, store)
        good, bad = begin(controller), begin(controller)
        controller.report(good, epoch(0, 0.9))
        store.writes_left = 2  # the epoch, but not the end that follows from it
        with pytest.raises(Killed):
            controller.report(bad, epoch(0, 0.1))
    with Store.open(folder) as store:
        diary = Diary()
        again = SweepController(spec, store, [diary])
        [_, pruned] = store.records()
        assert pruned.outcome == Outcome(
            status=Status.PRUNED, cause="stopped by asha after 1 epoch"
        )
        assert diary.told[-1] == ("end", pruned)
        assert begin(again) == good
        assert again.next_trial() is None
        again.end(good, Outcome(status=Status.COMPLETED))
        assert again.finished


def test_diverged_trial_ends_with_the_cause_of_the_guard(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    name = begin(controller)
    controller.report(name, epoch(0))
    controller.end(name, Outcome.diverged(DIVERGENCE))
    [record] = store.records()
    assert record.status is Status.DIVERGED
    assert record.outcome is not None
    assert record.outcome.cause == "nonfinite gradient (compactness) at epoch 3 step 1"
    assert record.outcome.divergence == DIVERGENCE


def test_only_the_first_end_of_a_trial_counts(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    name = begin(controller)
    controller.end(name, Outcome.diverged(DIVERGENCE))
    controller.end(name, Outcome(status=Status.COMPLETED))
    assert store.records()[0].status is Status.DIVERGED


def test_trial_that_is_handed_back_is_the_next_one_and_its_trunk_is_free(store: Store) -> None:
    space = {"loss.weights.boundary": {"choice": [0, 0.1]}}
    loss = {"warmup_epochs": 2, "weights": {"compactness": 0, "aspect": 0}}
    controller = SweepController(spec_of(space=space, loss=loss, trials=3), store)
    first = begin(controller)
    assert controller.next_trial() is None  # it trains what the others wait for
    assert controller.waiting == 2
    controller.hand_back(first)
    assert controller.waiting == 3
    controller.hand_back(first)
    controller.hand_back("no-trial")
    assert begin(controller) == first
    controller.end(first, Outcome(status=Status.COMPLETED))
    controller.hand_back(first)
    assert begin(controller) != first


def test_reports_of_a_trial_that_nobody_started_are_answered_with_stop(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    assert controller.report("t0007", epoch(0)) is Decision.STOP
    assert store.records() == []


# What an earlier session recorded stands.


def test_epochs_whose_history_a_power_cut_took_are_replayed_from_the_journal_and_recorded_again(
    tmp_path: Path,
) -> None:
    spec = spec_of(scheduler=ASHA, trials=2)
    whole = run(spec, tmp_path / "whole")
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        name = begin(controller)
        for metrics in curve_of(store.records()[0].parameters).epochs[:2]:
            controller.report(name, metrics)
        history = store.layout.trial(name).history
    history.write_bytes(b"")  # the journal has both epochs
    with Store.open(tmp_path / "toy") as store:
        execute(SweepController(spec, store))
        assert store.records() == whole
    with Store.open(tmp_path / "toy") as store:
        assert SweepController(spec, store).finished


def test_another_version_of_a_scheduler_changes_nothing_that_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(trials=4)
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        done, running, fresh = (begin(controller) for _ in range(3))
        for number in range(3):
            controller.report(done, epoch(number))
            controller.report(running, epoch(number))
        controller.end(done, Outcome(status=Status.COMPLETED))

    class Strict(OnArrival):
        """Would have stopped everything at its first epoch."""

        def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
            return Decision.STOP

        def end(self, trial_id: str, status: Status) -> None:
            pass

    monkeypatch.setattr(
        "sweep.engine.decisions.pruning_policy.make_scheduler", lambda spec: Strict()
    )
    with Store.open(tmp_path / "toy") as store:
        SweepController(spec, store)
        records = {record.trial_id: record for record in store.records()}
    assert records[done].status is Status.COMPLETED
    # The last epoch of a running trial is decided upon, for a kill may have come in between.
    assert (records[running].status, len(records[running].history)) == (Status.PRUNED, 3)
    assert records[fresh].status is Status.RUNNING


@pytest.mark.parametrize("name", [name for name in SWEEPS if "halving" not in name])
def test_extended_sweep_equals_one_that_had_all_its_trials_from_the_start(
    name: str, tmp_path: Path
) -> None:
    spec = SWEEPS[name]
    folder = tmp_path / "toy"
    run(spec.model_copy(update={"trials": 5}), folder)
    with Store.open(folder) as store:
        execute(SweepController(spec, store))
        assert store.records() == uninterrupted(name)


# Weights on the disk.


def end_with(controller: SweepController, store: Store, dice: float, outcome: Outcome) -> list[str]:
    """Checkpoints of a trial of one epoch, after its end."""
    name = begin(controller)
    paths = store.layout.trial(name)
    files = (paths.best_checkpoint, paths.last_checkpoint, paths.previous_checkpoint)
    for path in (*files, paths.healthy_checkpoint, paths.offending):
        path.write_bytes(b"weights")
    controller.report(name, epoch(0, dice))
    controller.end(name, outcome)
    return sorted(path.name for path in paths.folder.glob("*.pt"))


def test_checkpoints_are_cleared_to_what_the_winner_and_the_diagnosis_need(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    diagnosis = ["healthy.pt", "offending.pt"]
    early = Outcome(status=Status.EARLY_STOPPED)
    failed = Outcome(status=Status.FAILED, cause="ValueError: no")
    assert end_with(controller, store, 0.5, early) == ["best.pt", *diagnosis]
    assert end_with(controller, store, 0.4, early) == ["best.pt", *diagnosis]
    assert end_with(controller, store, 0.9, failed) == ["best.pt", *diagnosis]
    assert end_with(controller, store, 0.9, Outcome.diverged(DIVERGENCE)) == diagnosis


def test_pruned_trial_keeps_its_best_weights_only_where_it_may_be_a_finalist(
    store: Store,
) -> None:
    spec = spec_of().model_copy(update={"confirm": ConfirmSettings(top=2)})
    controller = SweepController(spec, store)
    pruned = Outcome(status=Status.PRUNED, cause="stopped by asha after 1 epoch")
    kept, cleared = ["best.pt", "healthy.pt", "offending.pt"], ["healthy.pt", "offending.pt"]
    running = begin(controller)
    controller.report(running, epoch(0, 0.95))  # it may still diverge, and lead nothing
    end_with(controller, store, 0.9, Outcome.diverged(DIVERGENCE))
    assert end_with(controller, store, 0.5, pruned) == kept
    assert end_with(controller, store, 0.4, pruned) == kept  # the second of two finalists
    assert end_with(controller, store, 0.3, pruned) == cleared
    assert end_with(controller, store, 0.4, pruned) == cleared  # of equals the first is one


def test_checkpoints_that_a_kill_left_are_cleared_when_the_sweep_goes_on(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    name = begin(controller)
    controller.end(name, Outcome(status=Status.COMPLETED))
    last = store.layout.trial(name).last_checkpoint
    last.write_bytes(b"weights")
    SweepController(spec_of(), store)
    assert not last.exists()


# Observers.


@every_sweep
def test_observers_of_a_rebuilt_conductor_are_told_the_same_as_those_who_were_there(
    name: str, tmp_path: Path
) -> None:
    spec = SWEEPS[name]
    live, later = Diary(), Diary()
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        execute(SweepController(spec, store, [live]), at_a_time=3)
        SweepController(spec, store, [later])
    assert later == live
    assert [told for told in live.told if told[0] == "end"]  # type: ignore[index]


def test_observer_is_told_after_the_fact_was_recorded(store: Store) -> None:
    class Witness(Diary):
        def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
            assert store.records()[-1].parameters == parameters
            self.told.append("start")

        def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
            assert store.records()[-1].history[-1] == metrics
            self.told.append("epoch")

        def trial_ended(self, record: TrialRecord) -> None:
            assert store.records()[-1] == record
            self.told.append("end")

    witness = Witness()
    execute(SweepController(spec_of(trials=3), store, [witness]))
    assert witness.told.count("start") == witness.told.count("end") == 3


def test_subscriber_is_told_of_what_happens_from_then_on(store: Store) -> None:
    controller = SweepController(spec_of(), store)
    name = begin(controller)
    diary = Diary()
    controller.subscribe(diary)
    controller.report(name, epoch(0))
    assert diary.told == [("epoch", name, epoch(0))]


def test_progress_after_a_restart_knows_what_was_there_before(tmp_path: Path) -> None:
    spec = SWEEPS["random_asha"]
    folder = tmp_path / "toy"
    with Store.create(folder, to_yaml(spec)) as store:
        live = Progress(spec.trials, max_epochs=EPOCHS)
        execute(SweepController(spec, store, [live]))
    shutil.rmtree(folder / "trials" / "t0008")
    journal = folder / "journal.jsonl"
    lines = [line for line in journal.read_text().splitlines(True) if "t0008" not in line]
    journal.write_text("".join(lines))
    with Store.open(folder) as store:
        again = Progress(spec.trials, max_epochs=EPOCHS)
        controller = SweepController(spec, store, [again])
        assert again.finished_trials == 8
        execute(controller)
    assert again.counts == live.counts
    assert again.best == live.best
