"""``provenance.json``: with what a trial was really trained.

There is one entry for each process that trained the trial. A trial that was resumed may have
continued with other code or on another machine, and that must not be lost.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from sweep.machine.codebase import codebase
from sweep.machine.cpus import usable_cpus
from sweep.plugins.user_sources import sources_of
from sweep.spec.checks.inactive_settings import inactive_in
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.files import read_json, write_json
from sweep.trainer.runs.run_protocol import EffectiveConfiguration
from sweep.vocabulary.strict_json import finite_or_none

PACKAGES = ("torch", "monai", "nnunetv2", "ray", "optuna", "numpy")


def record(
    path: Path,
    settings: TrialSettings,
    found: EffectiveConfiguration,
    first_epoch: int,
    damaged: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Add what this process trains with to ``path``.

    Args:
        path: the trial's ``provenance.json``; made if it is missing.
        settings: the requested configuration.
        found: the configuration that was read back.
        first_epoch: the first epoch, from 0, that this process trains.
        damaged: a sentence for each checkpoint that it could not resume from.
    Returns:
        warnings: what differs from the process that trained the epochs before.
    """
    runs = read_json(path, lambda values: list(values.get("runs") or ())) if path.exists() else []
    model = found.model
    network = None
    if model is not None:
        network = {
            "class": f"{type(model).__module__}.{type(model).__qualname__}",
            "parameters": sum(p.numel() for p in model.parameters()),
        }
    entry = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "first_epoch": first_epoch,
        "effective": dict(found.effective),
        "without_effect": inactive_in(settings),
        "not_read_back": dict(found.not_read),
        "network": network,
        "cases": dict(found.cases),
        "classes": dict(found.classes),
        "code": asdict(codebase()),
        "own_files": sources_of(settings.model_dump(mode="json")),
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in PACKAGES},
        "machine": {
            "hostname": socket.gethostname(),
            "platform": platform.platform(),
            "device": device_name(found.device),
            "cpus": usable_cpus(),
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda,
        },
        "process": {"executable": sys.executable, "pid": os.getpid()},
        "damaged": damaged,
    }
    write_json(path, finite_or_none({"runs": [*runs, entry]}))
    return tuple(_differences(runs[-1] or {}, entry)) if runs else ()


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing that both starts know, and that is not the same."""
    since = f"from epoch {now['first_epoch']} on the trial trains"
    was = {name: before.get(name) or {} for name in ("code", "own_files", "versions", "machine")}
    if was["code"].get("sources") not in (None, now["code"]["sources"]):
        yield f"{since} with other code of this package than before"
    for path, text in was["own_files"].items():
        if text is not None and now["own_files"].get(path, text) != text:
            yield f"{since} with another text of {Path(path).name} than before"
    for name, former in was["versions"].items():
        if name in now["versions"] and (version_ := now["versions"][name]) != former:
            yield f"{since} {_with(name, version_)}, before {_with(name, former)}"
    if (device := was["machine"].get("device")) not in (None, now["machine"]["device"]):
        yield f"{since} on {now['machine']['device']}, before on {device}"


def _with(package: str, version_: str | None) -> str:
    return f"with {package} {version_}" if version_ else f"without {package}"


def device_name(device: torch.device) -> str:
    """The maker's name of a GPU, such as ``NVIDIA H100 80GB HBM3``, or the model of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
