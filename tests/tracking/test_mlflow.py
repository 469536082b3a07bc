"""An MLflow store read back with MLflow's own client."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from sweep.store.layout import Layout
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

pytest.importorskip("mlflow")
# SQLAlchemy leaves connections of a store to the garbage collector, and MLflow warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

from mlflow.entities import Run  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from sweep.engine.decisions.sweep_controller import SweepController  # noqa: E402
from sweep.spec.search.sweep_spec import SweepSpec  # noqa: E402
from sweep.tracking.mlflow_tracker import MlflowTracker  # noqa: E402
from sweep.tracking.tracker import Tracked  # noqa: E402

DIVERGED = Outcome.diverged(
    Divergence(
        cause="nonfinite", epoch=1, step=0, stage=Stage.GRADIENT, term="aspect", message="No."
    )
)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make a new one."""
    layout = Layout(tmp_path_factory.mktemp("mlflow"))
    MlflowTracker(Tracked("empty", layout, layout.trial, nested=False)).close()
    return layout.mlflow / "mlflow.db"


@pytest.fixture
def track(empty_database: Path) -> Iterator[Callable[[Store], MlflowTracker]]:
    def make(store: Store) -> MlflowTracker:
        folder = store.layout.mlflow
        if not folder.exists():
            folder.mkdir()
            shutil.copy(empty_database, folder)
        return MlflowTracker(Tracked("toy", store.layout, store.layout.trial))

    return make


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=number, val_dice=number / 4, terms={"dice": 0.5, "ce": None}, metrics={"hd95": 2.0}
    )


def client_of(store: Store) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store.layout.mlflow / 'mlflow.db'}")


def runs_of(store: Store) -> dict[str, Run]:
    """Runs of the experiment by name."""
    client = client_of(store)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def points(store: Store, run: Run, name: str) -> list[tuple[int, float]]:
    history = client_of(store).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in history)


def test_trials_are_runs_nested_in_the_sweep_with_parameters_metrics_and_cause(
    make_store: Callable[[], Store], spec: SweepSpec, track: Callable[[Store], MlflowTracker]
) -> None:
    ends = [Outcome(status=Status.COMPLETED), DIVERGED, Outcome(status=Status.PRUNED, cause="late")]
    with make_store() as store:
        tracker = track(store)
        controller = SweepController(spec, store, [tracker])
        for outcome in ends:
            folder = controller.next_trial()
            assert folder is not None
            for number in range(2):
                controller.report(folder.name, epoch(number))
            (folder / "cases.csv").write_text("case,class,dice\n")
            controller.end(folder.name, outcome)
        store.layout.ranking_csv.write_text("rank,trial_id\n")
        tracker.ranked()
        tracker.close()
        runs = runs_of(store)
        records = store.records()
        assert runs.keys() == {"toy", "t0000", "t0001", "t0002"}
        assert runs["toy"].info.status == "FINISHED"
        files = client_of(store).list_artifacts(runs["toy"].info.run_id)
        assert {file.path for file in files} == {"sweep.yaml", "ranking.csv"}
        for record in records:
            run = runs[record.trial_id]
            assert run.data.tags["mlflow.parentRunId"] == runs["toy"].info.run_id
            assert run.data.params == {k: str(v) for k, v in record.parameters.items()}
            assert points(store, run, "val_dice") == [(0, 0), (1, 0.25)]
            assert points(store, run, "metrics/hd95") == [(0, 2), (1, 2)]
            assert "terms/ce" not in run.data.metrics
            assert run.data.tags["sweep.status"] == record.status
        assert [runs[r.trial_id].info.status for r in records] == ["FINISHED", "FAILED", "KILLED"]
        diverged = runs["t0001"]
        assert diverged.data.tags["sweep.cause"] == "nonfinite gradient (aspect) at epoch 1 step 0"
        artifacts = client_of(store).list_artifacts(diverged.info.run_id)
        assert {file.path for file in artifacts} == {"config.yaml", "cases.csv", "divergence.json"}
        assert (store.layout.mlflow / "artifacts").is_dir()


def test_sweep_that_goes_on_appends_and_logs_nothing_twice(
    make_store: Callable[[], Store], spec: SweepSpec, track: Callable[[Store], MlflowTracker]
) -> None:
    for part in (range(2), range(2, 4)):
        with make_store() as store:
            tracker = track(store)
            controller = SweepController(spec, store, [tracker])
            folder = controller.next_trial()
            assert folder is not None
            for number in part:
                controller.report(folder.name, epoch(number))
            states = {name: run.info.status for name, run in runs_of(store).items()}
            assert states == {"toy": "RUNNING", "t0000": "RUNNING"}
            if 3 in part:
                controller.end(folder.name, Outcome(status=Status.COMPLETED))
            tracker.close()
            states = {name: run.info.status for name, run in runs_of(store).items()}
            assert {*states.values()} == {"FINISHED" if 3 in part else "KILLED"}
    runs = runs_of(store)
    assert runs.keys() == {"toy", "t0000"}
    assert points(store, runs["t0000"], "val_dice") == [(n, n / 4) for n in range(4)]
    assert runs["t0000"].info.status == "FINISHED"


def test_what_an_interruption_kept_from_the_store_is_logged_when_the_sweep_goes_on(
    make_store: Callable[[], Store], spec: SweepSpec, track: Callable[[Store], MlflowTracker]
) -> None:
    with make_store() as store:
        controller = SweepController(spec, store)  # nobody observes
        folder = controller.next_trial()
        assert folder is not None
        controller.report(folder.name, epoch(0))
        controller.end(folder.name, DIVERGED)
    with make_store() as store:
        tracker = track(store)
        SweepController(spec, store, [tracker])
        tracker.close()
        run = runs_of(store)["t0000"]
        assert points(store, run, "val_dice") == [(0, 0)]
        assert run.data.tags["sweep.status"] == "diverged"


def test_names_that_mlflow_refuses_are_logged_under_names_of_their_own(
    make_store: Callable[[], Store], track: Callable[[Store], MlflowTracker]
) -> None:
    sizes = {"lesion <5 mm": 0.5, "lesion >5 mm": 0.25, "Ödem (T2)": 0.75, "a//b": 1.0}
    with make_store() as store:
        for epochs in (1, 2):  # a resumed sweep repeats what it did
            tracker = track(store)
            tracker.trial_started("t0000", {"trainer.options.rate (%)": 3})
            for number in range(epochs):
                tracker.epoch_reported(
                    "t0000", EpochMetrics(epoch=number, val_dice=0.5, metrics=sizes)
                )
            tracker.close()
        run = runs_of(store)["t0000"]
        assert run.data.params == {"trainer.options.rate ___": "3"}
        assert {name: points(store, run, f"metrics/{name}") for name in run_names(run)} == {
            "lesion _5 mm": [(0, 0.5), (1, 0.5)],
            "lesion _5 mm_": [(0, 0.25), (1, 0.25)],
            "Ödem _T2_": [(0, 0.75), (1, 0.75)],
            "a/_/b": [(0, 1.0), (1, 1.0)],
        }


def test_a_resumed_sweep_gives_a_name_to_the_metric_that_had_it(
    make_store: Callable[[], Store], track: Callable[[Store], MlflowTracker]
) -> None:
    """The first epoch alone has the one, and the later ones the other."""
    epochs = [
        EpochMetrics(epoch=n, val_dice=0.5, metrics={f"size {'<>>'[n]}": float(n)})
        for n in range(3)
    ]
    with make_store() as store:
        for reported in (epochs[:2], epochs):
            tracker = track(store)
            tracker.trial_started("t0000", {})
            for metrics in reported:
                tracker.epoch_reported("t0000", metrics)
            tracker.close()
        run = runs_of(store)["t0000"]
        assert points(store, run, "metrics/size _") == [(0, 0.0)]
        assert points(store, run, "metrics/size __") == [(1, 1.0), (2, 2.0)]


def run_names(run: Run) -> set[str]:
    return {n.removeprefix("metrics/") for n in run.data.metrics if n.startswith("metrics/")}


def test_pictures_are_artifacts_of_the_trial_also_when_they_are_drawn_later(
    make_store: Callable[[], Store], track: Callable[[Store], MlflowTracker]
) -> None:
    content = io.BytesIO()
    Image.new("RGB", (2, 2), (1, 2, 3)).save(content, format="png")
    with make_store() as store:
        tracker = track(store)
        tracker.trial_started("t0000", {})
        tracker.close()
        later = track(store)
        for _ in range(2):
            later.pictures_drawn("t0000", {"worst: case/03, Dice 0.5": content.getvalue()})
        later.close()
        run = runs_of(store)["t0000"]
        files = client_of(store).list_artifacts(run.info.run_id, "pictures")
        assert [file.path for file in files] == ["pictures/worst_case_03,_Dice_0.5.png"]
