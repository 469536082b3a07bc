from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.journal import EpochRecorded, TrialEnded, TrialStarted
from sweep.store.read_results import read_parameter_names, read_records
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError, StorageFailed
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

MakeSweep = Callable[[Path], Path]

DIVERGENCE = Divergence(
    cause="nonfinite",
    epoch=1,
    step=3,
    message="the gradient of compactness is NaN",
    stage=Stage.GRADIENT,
    term="compactness",
    terms={"dice": "0.5", "compactness": "nan"},
)


def epochs(count: int) -> tuple[EpochMetrics, ...]:
    return tuple(EpochMetrics(epoch=epoch, val_dice=epoch / 7) for epoch in range(count))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_everything_that_was_recorded_is_read_back(nasty_folder: Path, sweep_yaml: str) -> None:
    metrics = EpochMetrics(
        epoch=0,
        val_dice=0.1 + 0.2,
        train_loss=-0.89,
        terms={"dice": 1e-300, "compactness": None},
        geometric_factor=1.0,
        grad_norm=12.0,
        learning_rate=1e-2,
        steps=250,
        seconds=0.25,
        warnings=("the images were clipped", "ε"),
    )
    error = Outcome(status=Status.FAILED, cause="ValueError: ε", error="Traceback …\nε\n")
    with Store.create(nasty_folder, sweep_yaml) as store:
        for number in range(3):
            trial_id = store.start_trial(number, {"loss.sqrt_epsilon": 0.1 * number}, "seed: 1\n")
            assert store.append_epoch(trial_id, metrics)
        store.end_trial("t0001", Outcome.diverged(DIVERGENCE))
        store.end_trial("t0002", error)
        records = store.records()
    assert [record.trial_id for record in records] == ["t0000", "t0001", "t0002"]
    assert [record.number for record in records] == [0, 1, 2]
    assert all(record.history == (metrics,) for record in records)
    assert [record.outcome for record in records] == [None, Outcome.diverged(DIVERGENCE), error]
    assert records == read_records(nasty_folder)
    assert read_parameter_names(nasty_folder) == ["loss.warmup_epochs", "loss.sqrt_epsilon"]


def test_folder_holds_the_files_of_the_results_contract(tmp_path: Path, sweep_yaml: str) -> None:
    folder = tmp_path / "sweep"
    with Store.create(folder, sweep_yaml) as store:
        store.start_trial(0, {}, "seed: 1\n")
        store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
        store.end_trial("t0000", Outcome.diverged(DIVERGENCE))
    trial = folder / "trials" / "t0000"
    assert (folder / "sweep.yaml").read_text() == sweep_yaml
    assert (trial / "config.yaml").read_text() == "seed: 1\n"
    assert [
        json.loads(line)["epoch"] for line in (trial / "history.jsonl").read_text().splitlines()
    ] == [0]
    assert json.loads((trial / "divergence.json").read_text())["stage"] == "gradient"
    assert names(trial) == [
        "config.yaml",
        "divergence.json",
        "history.jsonl",
        "trial.json",
    ]


def test_facts_of_a_trial_have_every_key_from_its_start_to_its_end(store: Store) -> None:
    def facts(trial_id: str) -> dict[str, object]:
        return json.loads(store.layout.trial(trial_id).trial.read_text())

    store.start_trial(0, {}, "")
    store.start_trial(1, {"seed": 1}, "", preset="baseline")
    keys = {"parameters": {}, "status": "running", "cause": "", "preset": None}
    assert facts("t0000").items() >= keys.items()
    store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    assert facts("t0000").items() >= (keys | {"status": "completed"}).items()
    assert facts("t0001")["preset"] == "baseline"


@given(
    parameters=st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
    )
)
def test_parameters_come_back_with_their_exact_types(
    tmp_path_factory: pytest.TempPathFactory,
    parameters: dict[str, bool | int | float | str | None],
) -> None:
    folder = tmp_path_factory.mktemp("types")
    with Store.create(folder, "space: {}\n") as store:
        store.start_trial(0, parameters, "")
    [record] = read_records(folder)
    assert {name: (type(value), value) for name, value in record.parameters.items()} == {
        name: (type(value), value) for name, value in parameters.items()
    }


def test_parameter_that_is_not_finite_is_refused_before_anything_is_recorded(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.start_trial(0, {"loss.sqrt_epsilon": float("inf")}, "")
    assert store.records() == []
    assert list(store.journal()) == []


def test_epoch_that_is_repeated_after_a_resume_counts_once(store: Store) -> None:
    store.start_trial(0, {}, "")
    assert all(store.append_epoch("t0000", metrics) for metrics in epochs(3))
    assert not any(store.append_epoch("t0000", metrics) for metrics in epochs(3))
    store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    [record] = store.records()
    assert record.history == epochs(3)
    assert len(list(store.journal())) == 5


def test_what_cannot_follow_is_refused_and_not_recorded(store: Store) -> None:
    store.start_trial(0, {}, "")
    store.append_epoch("t0000", EpochMetrics(epoch=0, val_dice=0.5))
    with pytest.raises(ValueError, match="must report epoch 1 next, but got epoch=2"):
        store.append_epoch("t0000", EpochMetrics(epoch=2, val_dice=0.5))
    with pytest.raises(ValueError, match="t0000 was started already"):
        store.start_trial(0, {}, "")
    with pytest.raises(ValueError, match="final status, but got running"):
        store.end_trial("t0000", Outcome(status=Status.RUNNING))
    for stranger in ("t0001", "../t0000"):
        with pytest.raises(ValueError, match="was never started"):
            store.append_epoch(stranger, EpochMetrics(epoch=0, val_dice=0.5))
    store.end_trial("t0000", Outcome(status=Status.PRUNED))
    with pytest.raises(ValueError, match="has already ended: pruned"):
        store.append_epoch("t0000", EpochMetrics(epoch=1, val_dice=0.5))
    with pytest.raises(ValueError, match="has already ended: pruned"):
        store.end_trial("t0000", Outcome(status=Status.FAILED))
    [record] = store.records()
    assert (record.status, len(record.history)) == (Status.PRUNED, 1)


def test_ended_trial_whose_history_was_cut_is_not_taken_for_a_shorter_one(
    store: Store,
) -> None:
    for number in range(2):  # the journal has all of both, as after a power cut of the second
        name = store.start_trial(number, {}, "")
        for epoch in epochs(3):
            store.append_epoch(name, epoch)
    store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    store.close()
    for name in ("t0001", "t0000"):
        history = store.layout.trial(name).history
        history.write_bytes(b"".join(history.read_bytes().splitlines(keepends=True)[:2]))
        if name == "t0001":  # its worker trains the rest again
            Store.open(store.layout.folder).close()
    with pytest.raises(
        ResultsError, match=r"t0000/history.jsonl: broken, .* epochs of t0000; rest"
    ):
        Store.open(store.layout.folder)


def test_copy_of_a_trial_under_the_next_name_is_neither_gone_on_from_nor_read(
    store: Store,
) -> None:
    store.start_trial(0, {}, "seed: 1\n")
    trials = store.layout.trials
    shutil.copytree(trials / "t0000", trials / "t0001")
    with pytest.raises(StorageFailed, match=r"cannot start t0001: .*/t0001 is there already"):
        store.start_trial(1, {}, "seed: 2\n")
    assert (trials / "t0001" / "config.yaml").read_text() == "seed: 1\n"
    with pytest.raises(ResultsError, match=r"t0001/trial.json: broken, it is that of t0000"):
        store.records()
    shutil.rmtree(trials / "t0001")
    assert store.start_trial(1, {}, "seed: 2\n") == "t0001"
    assert [record.trial_id for record in store.records()] == ["t0000", "t0001"]


def test_journal_replays_the_reports_in_the_order_in_which_they_came(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    with Store.open(make_sweep(tmp_path / "sweep")) as store:
        assert list(store.journal()) == [
            TrialStarted("t0000"),
            TrialStarted("t0001"),
            EpochRecorded("t0000", 0, 0.0),
            EpochRecorded("t0001", 0, 0.0),
            EpochRecorded("t0000", 1, 0.1),
            EpochRecorded("t0001", 1, 0.1),
            EpochRecorded("t0000", 2, 0.2),
            EpochRecorded("t0001", 2, 0.2),
            TrialEnded("t0000", Status.COMPLETED),
        ]


def test_three_hundred_trials_of_fifty_epochs_come_back_without_leaking_a_descriptor(
    tmp_path: Path, sweep_yaml: str
) -> None:
    folder = tmp_path / "sweep"
    history = epochs(50)
    descriptors = open_descriptors()
    with Store.create(folder, sweep_yaml) as store:
        ids = [store.start_trial(number, {"a": number}, "seed: 0\n") for number in range(300)]
        for metrics in history:
            for trial_id in ids:
                store.append_epoch(trial_id, metrics)
        assert open_descriptors() <= descriptors + 1  # the lock
        for trial_id in ids:
            store.end_trial(trial_id, Outcome(status=Status.COMPLETED))
    with Store.open(folder) as store:
        records = store.records()
        assert sum(1 for _ in store.journal()) == 300 * 52
    assert [record.parameters["a"] for record in records] == list(range(300))
    assert all(record.history == history for record in records)


def test_the_preset_of_a_trial_is_recorded_and_outlives_its_end(store: Store) -> None:
    store.start_trial(0, {"loss.warmup_epochs": 20}, "seed: 0\n", "geometric-v2.3")
    store.start_trial(1, {"loss.warmup_epochs": 2}, "seed: 0\n")
    assert [record.preset for record in store.records()] == ["geometric-v2.3", None]
    store.end_trial("t0000", Outcome(status=Status.COMPLETED))
    first = store.records()[0]
    assert (first.preset, first.status) == ("geometric-v2.3", Status.COMPLETED)
