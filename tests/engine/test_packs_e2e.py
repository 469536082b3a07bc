"""Sweeps in packs on a real cluster of two nodes, each with a GPU that only Ray believes in."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign import write_trainer
from pandas.testing import assert_frame_equal
from ray.cluster_utils import Cluster

import sweep

# Ray forgets to close the sockets that it finds free ports with; they are found at any time.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PAUSING = """\
name: pausing
trials: 8
searcher: {name: random, seed: 6}
scheduler: {name: asha, reduction_factor: 2, clock: epochs, grace_period: 2}
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 8, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {rampup_epochs: 0}
optimizer: {lr: 0.1, momentum: 0.95}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 1, trials_per_gpu: 3}
space:
  loss.warmup_epochs: {randint: [1, 4]}
  loss.weights.compactness: {loguniform: [1.0e-3, 1]}
  loss.sqrt_epsilon: {choice: [0, 1.0e-6]}
"""
OWN = """\
name: own
searcher: grid
scheduler: none
trainer: {{kind: custom, entry: {entry}, epochs: 4, device: cpu, options: {{mode: 0}}}}
loss: {{weights: {{compactness: 0, boundary: 0, aspect: 0}}}}
resources: {{cpu: 1, gpu: 1, trials_per_gpu: 4}}
{more}
space:
  trainer.options.mode: {{grid: {modes}}}
"""
VALIDATE = """\
def validate(self, epoch):
    mode = self.options["mode"]
    {does}
    weights = sum(float(p.detach().sum()) for p in self.model.parameters())
    return Validation(dice=(abs(weights) + mode) % 1)
"""
NOTES = """import os, ray
    with open(self.options["notes"], "a") as notes:
        node = ray.get_runtime_context().get_node_id()
        gpu = os.environ["CUDA_VISIBLE_DEVICES"]
        notes.write(f"{mode} {epoch} {node} {os.getpid()} {gpu}\\n")"""
KILLS = """import os
    if mode == 1 and epoch == 1:
        os.kill(os.getpid(), 9)"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes a token into the user's home
        cluster = Cluster(shutdown_at_exit=False)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, num_gpus=1, include_dashboard=False)
            with warnings.catch_warnings():
                # Ray forgets to close the sockets that it finds free ports with.
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
            yield cluster.address
        finally:
            cluster.shutdown()


def packed(spec: sweep.SweepSpec, address: str, results: Path) -> sweep.SweepResults:
    return sweep.run(spec, results=results, address=address, progress=False, dashboard=False)


def alone(spec: sweep.SweepSpec, results: Path) -> sweep.SweepResults:
    """One trial after the other, in this process."""
    values = spec.model_dump(mode="json") | {"resources": {"cpu": 1, "gpu": 0}}
    there = sweep.SweepSpec.model_validate(values)
    return sweep.run(there, results=results, executor="local", progress=False)


def exact(frame: Any) -> Any:
    return frame.drop(columns=["seconds"])


def test_sweep_in_packs_equals_one_trial_after_the_other_bit_for_bit(
    address: str, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text(PAUSING)
    spec = sweep.load(tmp_path / "space.yaml")
    found, expected = packed(spec, address, tmp_path / "packed"), alone(spec, tmp_path / "alone")
    assert_frame_equal(exact(found.frame), exact(expected.frame), check_exact=True)
    assert {"pruned", "diverged"} <= {*found.frame["status"]}
    for trial_id in expected:
        histories = (exact(results[trial_id].history) for results in (found, expected))
        assert_frame_equal(*histories, check_exact=True)


def own(tmp_path: Path, does: str, modes: list[int], more: str = "") -> sweep.SweepSpec:
    entry = write_trainer(tmp_path, VALIDATE.format(does=does))
    (tmp_path / "own.yaml").write_text(OWN.format(entry=entry, modes=modes, more=more))
    return sweep.load(tmp_path / "own.yaml")


def test_trial_that_kills_its_process_fails_alone_and_its_neighbours_end_as_without_it(
    address: str, tmp_path: Path
) -> None:
    found = packed(own(tmp_path, KILLS, [0, 1, 2, 3], "max_concurrent: 4"), address, tmp_path)
    failed = found["t0001"]
    assert failed.status == "failed"
    assert failed.cause.startswith("its worker died 3 times")
    healthy = own(tmp_path, "pass", [0, 2, 3])
    expected = alone(healthy, tmp_path / "alone")
    for theirs, trial_id in zip(expected, ("t0000", "t0002", "t0003"), strict=True):
        assert found[trial_id].status == "completed"
        assert_frame_equal(
            exact(found[trial_id].history), exact(expected[theirs].history), check_exact=True
        )
