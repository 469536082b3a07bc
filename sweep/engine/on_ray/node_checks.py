"""Check the nodes of a cluster before the first trial, instead of failing trial by trial.

The check also prepares the data once per node: trials find them in their node's cache.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sweep.engine.on_ray.capacity import fitting, living_nodes, trial_resources
from sweep.engine.on_ray.ray_cluster import cluster, require_answer
from sweep.engine.on_ray.ray_refusals import is_final
from sweep.engine.session.sweep_location import SweepLocation, scratch
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError, Mistake, SweepError

NEEDED = ("torch", "monai", "scipy", "skimage", "nibabel", "ruamel.yaml", "pydantic", "filelock")
"""Packages that a worker imports besides this one, which is sent to it."""


SECONDS_TO_JOIN = 300.0
"""A cluster that starts together with the sweep, as in a batch job, has its nodes by then."""


def check_nodes(
    spec: SweepSpec, location: SweepLocation, *, verbose: bool, expected: int | None = None
) -> list[str]:
    """Let each node of a cluster access the results location and prepare the data.

    Args:
        spec: the data and the resources of a trial.
        location: where the sweep runs and writes.
        verbose: show Ray's own messages.
        expected: how many nodes to wait for, at most `SECONDS_TO_JOIN`.
    Returns:
        warnings.
    Raises:
        InputError: a node lacks something; names each such node and what it lacks.
        SweepFailed: this machine cannot write to the results location.
    """
    where = location.uri or location.folder.parent.as_uri()
    ours, probe = RemoteFolder(where), f".probe-{secrets.token_hex(8)}"
    deadline = time.monotonic() + (0 if expected is None else SECONDS_TO_JOIN)
    with ExitStack() as joined:
        _join(joined, location.address, deadline, verbose=verbose)
        late = [] if expected is None else _wait_for_nodes(expected, deadline)
        needs = trial_resources(spec)
        nodes = {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            for node in living_nodes()
            if fitting(node["Resources"], needs)
        }
        answers = {node: f"{probe}-{node}" for node in nodes}
        try:
            ours.write(probe, b"")
            found = on_each(nodes, _look, where, probe, spec)
            mistakes: list[Mistake] = []
            for node, answer in found.items():
                if not isinstance(answer, list):
                    answer = [Mistake(f"cannot run: {last_line(answer)}")]
                elif not answer and ours.read(answers[node]) is None:
                    answer = [_not_shared(f"what it writes to {where} is not seen here")]
                mistakes += [mistake.on(nodes[node]) for mistake in answer]
        finally:
            for name in (probe, *answers.values()):
                ours.delete(name)
    if mistakes:
        raise InputError(mistakes)
    if not nodes:
        return [*late, "no node of the cluster has room for a trial: the sweep waits for one"]
    return late


def _join(joined: ExitStack, address: str | None, deadline: float, *, verbose: bool) -> None:
    """Join a cluster. One that is being started may answer, fail to start, and start again."""
    while True:
        if address is not None:
            require_answer(address, deadline)
        try:
            joined.enter_context(cluster(Path(os.devnull), verbose=verbose, address=address))
            return
        except InputError as refused:
            if time.monotonic() >= deadline or is_final(refused.__cause__):
                raise
        time.sleep(1)


def _wait_for_nodes(expected: int, deadline: float) -> list[str]:
    """Wait until the cluster has so many nodes. Returns a warning if it has not in time."""
    while (found := len(living_nodes())) < expected and time.monotonic() < deadline:
        time.sleep(1)
    if found >= expected:
        return []
    return [f"{found} of {expected} nodes have joined in {SECONDS_TO_JOIN:.0f} s; others may later"]


def clean_nodes(uri: str) -> None:
    """Remove the files of a finished sweep's workers on all nodes; needs `cluster`."""
    on_each((node["NodeID"] for node in living_nodes()), _clean, uri)


def on_each(nodes: Iterable[str], do: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Call ``do(node, *arguments)`` on all nodes at the same time.

    Returns:
        node → what it returned, or Ray's error. A node that was lost meanwhile is left out.
    """
    import ray
    from ray.exceptions import NodeDiedError, RayError, TaskUnschedulableError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(do)
    asked = {
        node: task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(node, *arguments)
        for node in nodes
    }
    answers: dict[str, Any] = {}
    for node, answer in asked.items():
        try:
            answers[node] = ray.get(answer)
        except (NodeDiedError, TaskUnschedulableError):
            continue
        except RayError as error:
            answers[node] = error
    return answers


def _look(node: str, where: str, probe: str, settings: TrialSettings) -> list[Mistake]:
    """On a node: everything that keeps it from training trials."""
    needed = [*NEEDED, *settings.trainer.traits.packages]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return [Mistake(f"cannot train a trial: {', '.join(missing)} is not installed")]
    from sweep.trial.kinds.kind_table import make_ready

    try:
        shared = RemoteFolder(where)
        if shared.read(probe) is None:
            return [_not_shared(f"{where} is not seen")]
        shared.write(f"{probe}-{node}", b"")
        make_ready(settings)
    except InputError as error:
        return list(error.mistakes)
    except SweepError as error:
        return [Mistake(str(error))]
    return []


def _clean(_node: str, uri: str) -> None:
    shutil.rmtree(scratch(uri), ignore_errors=True)


def _not_shared(what: str) -> Mistake:
    return Mistake(
        f"{what}: results must lie in storage that all nodes share, or at a URI", key="--results"
    )
