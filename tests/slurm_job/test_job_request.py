from __future__ import annotations

import math
import re

import pytest

from sweep.slurm_job.job_request import NodeShare, doubts_about_time, node_share
from sweep.spec.load import load_sweep
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import InputError


def spec(**resources: object) -> SweepSpec:
    space = {"loss.sqrt_epsilon": {"choice": [1e-6, 1e-4]}}
    return load_sweep({"name": "toy", "space": space, "resources": resources})


def share(of: SweepSpec, gpus: str | None, cpus: int | None, time: str | None = None) -> NodeShare:
    return node_share(of, gpus_per_node=gpus, cpus_per_node=cpus, time=time)


@pytest.mark.parametrize(
    ("resources", "gpus", "cpus", "expected"),
    [
        ({"cpu": 4}, "8", None, NodeShare(cpus=32, trials=8)),
        ({"cpu": 4}, "a100:2", None, NodeShare(cpus=8, trials=2)),
        ({"cpu": 1.5}, "1", None, NodeShare(cpus=2, trials=1)),
        ({"cpu": 1, "gpu": 0.25}, "2", None, NodeShare(cpus=8, trials=8)),
        ({"cpu": 1, "gpu": 0.4}, "2", None, NodeShare(cpus=4, trials=4)),  # none on both GPUs
        ({"cpu": 1, "gpu": 2}, "5", None, NodeShare(cpus=2, trials=2)),
        ({"cpu": 4}, "8", 16, NodeShare(cpus=16, trials=4)),  # the cores are too few for the GPUs
        ({"cpu": 2}, None, 7, NodeShare(cpus=7, trials=3)),
        ({"cpu": 2, "gpu": 0}, "8", 4, NodeShare(cpus=4, trials=2)),
    ],
)
def test_cores_and_trials_of_a_node(
    resources: dict[str, object], gpus: str | None, cpus: int | None, expected: NodeShare
) -> None:
    assert share(spec(**resources), gpus, cpus) == expected


@pytest.mark.parametrize(
    ("resources", "gpus", "cpus", "told"),
    [
        ({}, None, None, "--cpus-per-node: must be given where no GPU"),
        ({"gpu": 2}, "1", None, "--gpus-per-node: must be at least 2"),
        ({"gpu": 1}, None, 8, "--gpus-per-node: must be at least 1"),
        ({"cpu": 8}, "1", 4, "--cpus-per-node: must be at least 8"),
        ({}, "many", None, "--gpus-per-node: must be a number, or a type and a number"),
        ({}, "0", 4, "--gpus-per-node"),
    ],
)
def test_job_in_which_no_trial_could_start_is_refused(
    resources: dict[str, object], gpus: str | None, cpus: int | None, told: str
) -> None:
    with pytest.raises(InputError) as error:
        share(spec(**resources), gpus, cpus)
    assert str(error.value).startswith(told)


@pytest.mark.parametrize("time", ["90", "90:00", "12:00:00", "2-12", "2-12:30", "2-12:30:00"])
def test_times_of_sbatch_are_taken(time: str) -> None:
    assert share(spec(), None, 1, time).trials == 1


@pytest.mark.parametrize("time", ["12h", "2 days", "", "1:2:3:4", "-5", "1-"])
def test_other_times_are_refused_before_sbatch_does(time: str) -> None:
    with pytest.raises(InputError, match="--time: must be minutes, hours:minutes:seconds"):
        share(spec(), None, 1, time)


def test_every_trial_of_a_node_has_its_cores() -> None:
    for cpu in (0.5, 1, 1.5, 3):
        for gpus in range(1, 9):
            found = share(spec(cpu=cpu), str(gpus), None)
            assert found == NodeShare(math.ceil(gpus * cpu), gpus)


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("4", "`--time 4` is 4 minutes for Slurm, .* for hours write --time 4:00:00"),
        ("72", "for hours write --time 72:00:00"),
        ("12:30", "`--time 12:30` is 12 minutes for Slurm, .* for hours write --time 12:30:00"),
    ],
)
def test_minutes_that_were_likely_meant_as_hours_are_told(time: str, told: str) -> None:
    [warning] = doubts_about_time(time)
    assert re.search(told, warning)


@pytest.mark.parametrize("time", [None, "0", "100", "240", "4:00:00", "0:30:00", "1-0", "1-12:00"])
def test_time_limit_that_can_be_meant_is_not_doubted(time: str | None) -> None:
    assert doubts_about_time(time) == []
