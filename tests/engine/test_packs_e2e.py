"""Sweeps in packs on a real cluster of two nodes, each with a GPU that only Ray believes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asked_of_trials
import pytest
from asked_of_trials import Unable
from clusters import cluster_of
from pandas.testing import assert_frame_equal
from ray import cloudpickle

import sweep
from sweep.engine.on_ray.execute import OnRay
from sweep.engine.on_ray.finalist_workers import FinalistWorkers
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.load import to_yaml
from sweep.store.store import Store
from sweep.vocabulary.errors import SweepError

# Ray forgets to close the sockets that it finds free ports with; they are found at any time.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PAUSING = """\
name: pausing
trials: 6
searcher: {{name: random, seed: 6}}
scheduler: {{name: asha, reduction_factor: 2, clock: epochs, grace_period: 3}}
data: {{source: shapes, difficulty: 0.7, size: 32, count: 15}}
trainer: {{epochs: 5, batch_size: 4, device: cpu}}
network: {{name: "{network}"}}
loss: {{rampup_epochs: 0}}
optimizer: {{lr: 0.1, momentum: 0.95}}
early_stopping: {{patience: null}}
resources: {{cpu: 1, gpu: 1, trials_per_gpu: 3}}
pictures: null
space:
  loss.warmup_epochs: {{randint: [1, 3]}}
  loss.weights.compactness: {{loguniform: [1.0e-2, 30]}}
  loss.sqrt_epsilon: {{choice: [0, 1.0e-6]}}
"""
OWN = """\
name: own
searcher: grid
scheduler: none
trainer: {{kind: custom, entry: {entry}, epochs: 4, device: cpu, options: {{mode: 0}}}}
resources: {{cpu: 2, gpu: 0, trials_per_gpu: 4}}
space:
  trainer.options.mode: {{grid: {modes}}}
"""
# A function, since its workers, of which many die, import no MONAI.
TRAIN = """\
import os, random

def train(config, trial):
    epoch, total = 0, 0.0
    if (state := trial.checkpoint.load()) is not None:
        epoch, total = state["epoch"], state["total"]
    while epoch < trial.epochs:
        {does}
        total += random.random()
        trial.checkpoint.save({{"epoch": epoch + 1, "total": total}})
        trial.report(epoch, dice=(total + config["mode"] / 8) % 1)
        epoch += 1
"""
NETWORK = """\
import os, pathlib
import ray
from monai.networks.nets import UNet

def net(in_channels, out_channels):
    if ray.is_initialized():  # in a worker: note where
        node = ray.get_runtime_context().get_node_id()
        with open(pathlib.Path(__file__).with_name("notes"), "a") as notes:
            notes.write(f"{os.getpid()} {node}\\n")
    return UNet(2, in_channels, out_channels, (4, 8, 16), (2, 2))
"""
KILLS = """if config["mode"] == 1 and epoch == 1:
            os.kill(os.getpid(), 9)"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster_of({"num_cpus": cpus, "num_gpus": 1} for cpus in (2, 1)) as cluster:
        yield cluster.address


def packed(spec: sweep.SweepSpec, address: str, results: Path) -> sweep.SweepResults:
    return sweep.run(spec, results=results, address=address, progress=False, dashboard=False)


def alone(spec: sweep.SweepSpec, results: Path) -> sweep.SweepResults:
    """One trial after the other, in this process."""
    values = spec.model_dump(mode="json") | {"resources": {"cpu": 1, "gpu": 0}}
    there = sweep.SweepSpec.model_validate(values)
    return sweep.run(there, results=results, executor="local", progress=False)


def exact(frame: Any) -> Any:
    return frame.drop(columns=["seconds"])


@dataclass(frozen=True)
class Both:
    packed: sweep.SweepResults
    alone: sweep.SweepResults
    workers: set[tuple[str, str]]
    """Process and node of each pack."""


@pytest.fixture(scope="module")
def both(address: str, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("both")
    (folder / "nets.py").write_text(NETWORK)
    (folder / "space.yaml").write_text(PAUSING.format(network=folder / "nets.py:net"))
    spec = sweep.load(folder / "space.yaml")
    found = packed(spec, address, folder / "packed")
    notes = (folder / "notes").read_text().splitlines()
    return Both(found, alone(spec, folder / "alone"), {tuple(line.split()) for line in notes})


def test_sweep_in_packs_equals_one_trial_after_the_other_bit_for_bit(both: Both) -> None:
    assert_frame_equal(exact(both.packed.frame), exact(both.alone.frame), check_exact=True)
    assert {"pruned", "completed"} == {*both.packed.frame["status"]}
    for trial_id in both.alone:
        histories = (exact(results[trial_id].history) for results in (both.packed, both.alone))
        assert_frame_equal(*histories, check_exact=True)


def test_each_gpu_of_two_nodes_has_one_pack_that_trains_all_of_its_trials(both: Both) -> None:
    processes, nodes = zip(*both.workers, strict=True)
    assert len(processes) == len(set(processes)) == len(set(nodes)) == 2


def own(tmp_path: Path, does: str, modes: list[int]) -> sweep.SweepSpec:
    file = tmp_path / "mine.py"
    file.write_text(TRAIN.format(does=does))
    (tmp_path / "own.yaml").write_text(OWN.format(entry=f"{file}:train", modes=modes))
    return sweep.load(tmp_path / "own.yaml")


def test_trial_that_kills_its_process_fails_alone_and_its_neighbours_end_as_without_it(
    address: str, tmp_path: Path
) -> None:
    found = packed(own(tmp_path, KILLS, [0, 1, 2, 3]), address, tmp_path)
    failed = found["t0001"]
    assert failed.status == "failed"
    assert failed.record.outcome is not None
    assert failed.record.outcome.cause.startswith("its worker died 3 times")
    healthy = own(tmp_path, "pass", [0, 2, 3])
    expected = alone(healthy, tmp_path / "alone")
    for theirs, trial_id in zip(expected, ("t0000", "t0002", "t0003"), strict=True):
        assert found[trial_id].status == "completed"
        assert_frame_equal(
            exact(found[trial_id].history), exact(expected[theirs].history), check_exact=True
        )


def test_finalists_are_asked_for_by_as_many_processes_as_pay(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = sweep.load(
        {"name": "asked", "space": {"seed": {"choice": [0]}}, "resources": {"cpu": 1, "gpu": 1}}
    )
    groups = [[f"t{number:04}"] for number in range(4)]
    cloudpickle.register_pickle_by_value(asked_of_trials)  # a worker has no path to the tests
    location = SweepLocation(tmp_path / "asked", address=address)
    with (
        Store.create(location.folder, to_yaml(spec)) as store,
        OnRay(spec, store, location) as on_ray,
    ):

        def asked(does: str) -> dict[str, Any]:
            """Trial → the process that answered, or the error."""
            answers = {
                groups[number][0]: said
                for number, said in on_ray.each(asked_of_trials.who, groups, does)
            }
            assert answers.keys() == {name for (name,) in groups}
            return {
                name: said if isinstance(said, SweepError) else said[1]
                for name, said in answers.items()
            }

        quick = {*asked("answers").values()}
        assert len(quick) == 1, "what takes no time needs no second process"
        refused = asked("refuses")
        assert str(refused.pop("t0001")) == "data.folder: is missing"
        assert {*refused.values()} == quick, "the process stays"
        raised = asked("raises")
        assert str(raised.pop("t0001")).startswith("ValueError: no such layer")
        assert {*raised.values()} == quick, "an error of any kind costs no other trial"
        killed = asked("is killed")
        assert str(killed.pop("t0001")).startswith("its process died 3 times: ")
        assert {*killed} == {"t0000", "t0002", "t0003"}
        monkeypatch.setattr("sweep.engine.on_ray.finalist_workers.SECONDS_ALONE", 0.1)
        assert len({*asked("waits for another process").values()}) == 2, "one on each GPU"

        monkeypatch.setattr("sweep.engine.on_ray.finalist_workers.FinalistWorker", Unable)
        monkeypatch.setattr("sweep.engine.on_ray.finalist_workers.RETRIES", 0)
        assert len({*asked("waits for one that cannot start").values()}) == 1, "it is asked nothing"
        nobody = FinalistWorkers(location, {"cpu": 1, "gpu": 0}, None, store.layout.log)
        said = dict(nobody.each(asked_of_trials.who, groups, "answers"))
        assert len(said) == len(groups)
        assert {str(one).partition(" (")[0] for one in said.values()} == {
            "its process died 1 times: ActorDiedError"
        }
