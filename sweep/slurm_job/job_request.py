"""What a sweep needs of each node of a job, checked before the job waits in a queue."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sweep.spec.search.search_strategy import trials_on_gpus
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake

TIME = re.compile(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}")
"""Slurm's forms of a time limit. Source: sbatch(1), ``--time``."""

GPUS = re.compile(r"(?:[\w.-]+:)?([1-9]\d*)")
"""Slurm's forms of GPUs on a node: ``8``, ``a100:8``. Source: sbatch(1), ``--gpus-per-node``."""


@dataclass(frozen=True, slots=True)
class NodeShare:
    """What the job has of each node.

    Args:
        cpus: cores.
        trials: how many trials run there at once; several in one process count as one.
    """

    cpus: int
    trials: int


SHORT = re.compile(r"(\d+)(?::(\d+))?")
"""The two forms of a time limit that begin with minutes."""

FEW_MINUTES = 100
"""A limit of fewer minutes, written as such, was likely meant in hours: `4`, `24`, `12:00`."""


def doubts_about_time(time: str | None) -> list[str]:
    """A warning about a time limit that Slurm reads as minutes, and its user may mean as hours."""
    found = SHORT.fullmatch(time or "")
    if found is None or not 0 < int(found[1]) < FEW_MINUTES:  # 0 is no limit
        return []
    minutes = counted(int(found[1]), "minute")
    return [
        f"`--time {time}` is {minutes} for Slurm, of which the sweep needs up to 3 to stop; for"
        f" hours write --time {found[1]}:{found[2] or '00'}:00"
    ]


def node_share(
    spec: SweepSpec, *, gpus_per_node: str | None, cpus_per_node: int | None, time: str | None
) -> NodeShare:
    """The cores of each node, by default enough for a trial on each GPU, and the trials on it.

    Raises:
        InputError: Slurm does not know a value, or no trial fits on a node.
    """
    mistakes: list[Mistake] = []
    if time is not None and not TIME.fullmatch(time):
        forms = "must be minutes, hours:minutes:seconds or days-hours"
        mistakes.append(Mistake(f"{forms}, such as 12:00:00, but is {time}", key="--time"))
    found = None if gpus_per_node is None else GPUS.fullmatch(gpus_per_node)
    if gpus_per_node is not None and found is None:
        wrong = f"must be a number, or a type and a number such as a100:8, but is {gpus_per_node}"
        mistakes.append(Mistake(wrong, key="--gpus-per-node"))
    if mistakes:
        raise InputError(mistakes)
    gpus = int(found[1]) if found else 0
    cpu, gpu = spec.resources.cpu, spec.resources.gpu
    gpu = float(bool(gpus)) if gpu == "auto" else gpu
    if gpu > gpus:
        wrong = f"must be at least {math.ceil(gpu)}: `resources.gpu` of a trial is {gpu:g}"
        raise InputError.single(wrong, key="--gpus-per-node")
    on_gpus = trials_on_gpus(gpus, gpu) if gpu else None
    if cpus_per_node is None:
        if on_gpus is None:
            wrong = "must be given where no GPU decides how many trials run on a node"
            raise InputError.single(wrong, key="--cpus-per-node")
        cpus_per_node = math.ceil(on_gpus * cpu)
    if cpu > cpus_per_node:
        wrong = f"must be at least {math.ceil(cpu)}: `resources.cpu` of a trial is {cpu:g}"
        raise InputError.single(wrong, key="--cpus-per-node")
    on_cpus = math.floor(cpus_per_node / cpu)
    return NodeShare(cpus_per_node, on_cpus if on_gpus is None else min(on_cpus, on_gpus))
