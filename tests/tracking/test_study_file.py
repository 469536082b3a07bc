"""The study in the results folder, read with Optuna itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from sweep.api.user_requests import ask_to_note
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.tracking.study_file import live_study
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Status, TrialRecord

DIVERGED = Outcome.diverged(Divergence(cause="nonfinite", epoch=1, step=2, message="NaN."))
ENDS: list[tuple[list[float | None], Outcome | None]] = [
    ([0.65, None, 0.8, 0.7], Outcome(status=Status.COMPLETED)),
    ([0.9, float("nan")], DIVERGED),
    ([0.4], Outcome(status=Status.FAILED, cause="ValueError: no", error="Traceback …")),
    ([0.3, 0.2], None),  # pruned by the scheduler
    ([0.6, 0.65], Outcome(status=Status.EARLY_STOPPED)),
]


def spec_of(searcher: str = "tpe", **changes: Any) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "toy",
            "trials": len(ENDS) + 1,
            "trainer": {"epochs": 9},
            "presets": ["geometric-v2.3"],  # whose warm-up of 20 lies outside the space
            "space": {
                "loss.warmup_epochs": {"randint": [1, 9]},
                "loss.sqrt_epsilon": {"choice": [1e-4, 1e-2]},
            },
            "searcher": searcher,
            "scheduler": {"name": "asha", "grace_period": 2, "reduction_factor": 2},
        }
        | changes
    )


def load(path: Path) -> list[FrozenTrial]:
    """As any user of Optuna would."""
    [name] = optuna.get_all_study_names(storage := JournalStorage(JournalFileBackend(str(path))))
    study = optuna.load_study(study_name=name, storage=storage)
    assert (name, study.direction.name) == ("toy", "MAXIMIZE")
    return study.trials


def conduct(
    controller: SweepController, ends: list[tuple[list[float | None], Outcome | None]]
) -> None:
    for curve, outcome in ends:
        folder = controller.next_trial()
        assert folder is not None
        for epoch, dice in enumerate(curve):
            controller.report(folder.name, EpochMetrics(epoch=epoch, val_dice=dice))
        if outcome is not None:
            controller.end(folder.name, outcome)


class Sweep:
    """A sweep with a study, in one session or several."""

    def __init__(self, folder: Path, spec: SweepSpec) -> None:
        self.spec, self.folder = spec, folder
        self.path = folder / "study.journal"
        self.warnings: list[str] = []
        Store.create(folder, to_yaml(spec)).close()

    def session(self, play: Callable[[SweepController], None]) -> list[TrialRecord]:
        with (
            Store.open(self.folder) as store,
            live_study(self.path, self.spec, store.records, self.warnings.append) as study,
        ):
            controller = SweepController(self.spec, store)
            controller.subscribe(study)
            play(controller)
            return store.records()

    def whole(self) -> list[TrialRecord]:
        ends = [([0.55, 0.6], Outcome(status=Status.COMPLETED)), *ENDS]
        return self.session(lambda controller: conduct(controller, ends))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Sweep]:
    return lambda **changes: Sweep(tmp_path / "toy", spec_of(**changes))


def assert_true(trials: list[FrozenTrial]) -> None:
    """What the study of `Sweep.whole` has to say."""
    assert [(t.state, t.value) for t in trials] == [
        (TrialState.COMPLETE, 0.6),
        (TrialState.COMPLETE, 0.8),
        (TrialState.COMPLETE, 0.0),
        (TrialState.FAIL, None),
        (TrialState.PRUNED, 0.2),
        (TrialState.COMPLETE, 0.65),
    ]
    assert [t.constraints for t in trials] == [
        # "0" is what optuna-dashboard reads.
        {"diverged": broken, "0": broken} if broken else {}
        for broken in (-1, -1, 1, None, -1, -1)
    ]
    assert [t.intermediate_values for t in trials] == [
        {0: 0.55, 1: 0.6}, {0: 0.65, 2: 0.8, 3: 0.7}, {0: 0.9}, {0: 0.4}, {0: 0.3, 1: 0.2},
        {0: 0.6, 1: 0.65},
    ]  # fmt: skip
    attributes = [dict(t.user_attrs) for t in trials]
    assert attributes[0] == {
        "trial": "t0000",
        "status": "completed",
        "preset": "geometric-v2.3",
        "loss.warmup_epochs": 20,
    }
    assert attributes[2] == {
        "trial": "t0002",
        "status": "diverged",
        "cause": "nonfinite at epoch 1 step 2",
    }
    assert attributes[4]["cause"] == "stopped by asha after 2 epochs"
    assert [a["status"] for a in attributes[3:]] == ["failed", "pruned", "early_stopped"]


@pytest.mark.parametrize("searcher", ["tpe", "random", "grid", "qmc"])
def test_study_of_a_finished_sweep_tells_the_truth_with_every_searcher(
    make: Callable[..., Sweep], searcher: str
) -> None:
    epsilon = {"choice": [1e-4, 1e-2]}
    space = {"loss.warmup_epochs": {"choice": [1, 2, 3]}, "loss.sqrt_epsilon": epsilon}
    sweep = make(searcher=searcher, space=space)
    records = sweep.whole()
    trials = load(sweep.path)
    assert_true(trials)
    assert trials[0].params == {"loss.sqrt_epsilon": "0.0001"}
    for trial, record in zip(trials[1:], records[1:], strict=True):
        assert trial.params == {name: repr(value) for name, value in record.parameters.items()}
    assert sweep.warnings == []


def test_study_is_live(make: Callable[..., Sweep]) -> None:
    sweep = make(presets=[], trials=1)

    def play(controller: SweepController) -> None:
        folder = controller.next_trial()
        assert folder is not None
        [trial] = load(sweep.path)
        assert (trial.state, trial.user_attrs) == (
            TrialState.RUNNING, {"trial": "t0000", "status": "running"}
        )  # fmt: skip
        controller.report(folder.name, EpochMetrics(epoch=0, val_dice=0.25))
        assert load(sweep.path)[0].intermediate_values == {0: 0.25}
        controller.end(folder.name, Outcome(status=Status.COMPLETED))
        [trial] = load(sweep.path)
        assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.25)
        assert trial.constraints == {"diverged": -1, "0": -1}

    sweep.session(play)


def test_resumed_sweep_leaves_one_true_study(make: Callable[..., Sweep]) -> None:
    sweep = make()

    def first(controller: SweepController) -> None:
        conduct(controller, [([0.55, 0.6], Outcome(status=Status.COMPLETED)), ENDS[0]])
        folder = controller.next_trial()
        assert folder is not None
        controller.report(folder.name, EpochMetrics(epoch=0, val_dice=0.9))

    sweep.session(first)
    assert [t.state.name for t in load(sweep.path)] == ["COMPLETE", "COMPLETE", "RUNNING"]
    sweep.session(lambda controller: conduct(controller, ENDS[1:]))
    assert_true(load(sweep.path))


def write(content: bytes) -> Callable[[Path], None]:
    def overwrite(path: Path) -> None:
        path.write_bytes(content)

    return overwrite


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def lose_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))


def change_a_value(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["value"] = 0.123 if line.get("value") == 0.6 else line.get("value")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


HARM: Mapping[str, Callable[[Path], None]] = {
    "deleted": Path.unlink,
    "emptied": write(b""),
    "torn": tear,
    "garbage": write(b"\x80\x04garbage\nno json\n"),
    "another study": write(b'{"op_code":0,"worker_id":"x","study_name":"y","directions":[1]}\n'),
    "a line lost": lose_a_line,
    "a value changed": change_a_value,
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_damaged_file_neither_stops_a_sweep_nor_changes_a_proposal_and_is_true_at_the_end(
    make: Callable[..., Sweep], tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    undisturbed = make().whole()
    shutil.rmtree(tmp_path / "toy")
    sweep = make()

    def play(controller: SweepController) -> None:
        conduct(controller, [([0.55, 0.6], Outcome(status=Status.COMPLETED)), *ENDS[:2]])
        harm(sweep.path)
        conduct(controller, ENDS[2:])

    assert sweep.session(play) == undisturbed
    assert_true(load(sweep.path))
    harm(sweep.path)
    sweep.session(lambda controller: None)
    assert_true(load(sweep.path))
    assert sweep.warnings == []


def test_file_that_cannot_be_written_is_warned_of_once_and_the_sweep_goes_on(
    make: Callable[..., Sweep],
) -> None:
    sweep = make()
    sweep.path.mkdir()
    assert [record.status for record in sweep.whole()][-1] is Status.EARLY_STOPPED
    [warning] = sweep.warnings
    assert warning.startswith("study.journal is not logged to any more (")


def test_lock_that_a_killed_session_left_holds_nobody_up(make: Callable[..., Sweep]) -> None:
    sweep = make()
    Path(f"{sweep.path}.lock").symlink_to(sweep.path)
    sweep.whole()
    Path(f"{sweep.path}.lock").unlink()
    assert_true(load(sweep.path))


def test_study_of_a_minimised_metric_has_its_values_and_its_direction(tmp_path: Path) -> None:
    spec = spec_of(
        trainer={"kind": "custom", "entry": "mine.module:Mine", "epochs": 9},
        objective={"metric": "loss", "mode": "min"},
    )
    sweep = Sweep(tmp_path / "toy", spec)
    ends = [([3.0, 2.0], Outcome(status=Status.COMPLETED)), ([], ENDS[1][1]), ([9.0], None)]

    def play(controller: SweepController) -> None:
        for curve, outcome in ends:
            folder = controller.next_trial()
            assert folder is not None
            for epoch, loss in enumerate(curve):
                metrics = EpochMetrics(epoch=epoch, val_dice=None, metrics={"loss": loss})
                controller.report(folder.name, metrics)
            if outcome is not None:
                controller.end(folder.name, outcome)

    sweep.session(play)
    storage = JournalStorage(JournalFileBackend(str(sweep.path)))
    study = optuna.load_study(study_name="toy", storage=storage)
    assert study.direction.name == "MINIMIZE"
    assert [(t.state.name, t.value) for t in study.trials] == [
        ("COMPLETE", 2.0),
        ("COMPLETE", 9.0),  # diverged: the worst of all that any trial has
        ("RUNNING", None),
    ]
    assert [t.intermediate_values for t in study.trials] == [{0: 3.0, 1: 2.0}, {}, {0: 9.0}]


def as_dashboard(path: Path) -> dict[str, Any]:
    """What optuna-dashboard's page gets of each trial."""
    dashboard = pytest.importorskip("optuna_dashboard._serializer")
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="toy", storage=storage)
    attributes = storage.get_study_system_attrs(study._study_id)
    return {
        trial.user_attrs["trial"]: dashboard.serialize_frozen_trial(0, trial, attributes)
        for trial in study.trials
    }


def study_note(path: Path) -> str:
    dashboard = pytest.importorskip("optuna_dashboard._note")
    storage = JournalStorage(JournalFileBackend(str(path)))
    attributes = storage.get_study_system_attrs(storage.get_study_id_from_name("toy"))
    return str(dashboard.get_note_from_system_attrs(attributes, None)["body"])


def test_dashboard_shows_constraint_notes_and_pictures_also_after_another_session(
    make: Callable[..., Sweep],
) -> None:
    sweep = make()
    long = "It learns nothing. " * 100  # with its origin longer than an attribute may be
    records = sweep.whole()
    [diverged] = [one.trial_id for one in records if one.status is Status.DIVERGED]
    for _ in range(2):
        ask_to_note(sweep.folder, "t0001", long)
    ask_to_note(sweep.folder, None, "since **Tuesday** ![x](http://elsewhere/x.png)")
    with (
        Store.open(sweep.folder) as store,
        live_study(sweep.path, sweep.spec, store.records, sweep.warnings.append) as study,
    ):
        study.pictures_drawn("t0001", {"worst: a, Dice 0.5": b"a PNG"})
        study.pictures_drawn("t0001r1", {"a replicate is no trial of the study": b"a PNG"})
    times = [(trial.datetime_start, trial.datetime_complete) for trial in load(sweep.path)]
    for _ in range(2):
        shown = as_dashboard(sweep.path)
        assert [shown[one]["constraints"] for one in (diverged, "t0001", "t0003")] == [
            [1],
            [-1],
            [],
        ]
        assert shown[diverged]["note"]["body"] == "**Diverged: nonfinite at epoch 1 step 2.** NaN."
        body = shown["t0001"]["note"]["body"]
        assert body.count(long.strip()) == 2
        asks_for_no_picture = "since **Tuesday** !\\[x](http://elsewhere/x.png)\n\n*"
        assert study_note(sweep.path).startswith(asks_for_no_picture)
        [artifact] = shown["t0001"]["artifacts"]
        assert (artifact["filename"], artifact["mimetype"]) == (
            "worst: a, Dice 0.5.png",
            "image/png",
        )
        pictures = FileSystemArtifactStore(str(sweep.folder / "study_artifacts"))
        with pictures.open_reader(artifact["artifact_id"]) as content:
            assert content.read() == b"a PNG"
        found = [(trial.datetime_start, trial.datetime_complete) for trial in load(sweep.path)]
        assert found == times
        sweep.path.write_bytes(sweep.path.read_bytes() + b"torn")
        sweep.session(lambda controller: None)
    assert sweep.warnings == []


def test_pictures_that_were_drawn_anew_replace_those_before(make: Callable[..., Sweep]) -> None:
    sweep = make()
    sweep.whole()
    folder = sweep.folder / "study_artifacts"
    folder.mkdir()
    (folder / "0a1b2c3d-0a1b-4c3d-8e4f-0a1b2c3d4e5f").write_bytes(b"of a user")
    for png in (b"first", b"second"):
        with (
            Store.open(sweep.folder) as store,
            live_study(sweep.path, sweep.spec, store.records, sweep.warnings.append) as study,
        ):
            study.pictures_drawn("t0001", {"worst: a, Dice 0.5": png})
            study.pictures_drawn("t0000", {"worst: a, Dice 0.5": b"the same"})
    assert {file.read_bytes() for file in folder.iterdir()} == {
        b"second",
        b"the same",
        b"of a user",
    }
