"""What a trial costs beside its training: on a fresh worker, on a warm one, and between epochs.

    python benchmarks/workers.py [--trials 12] [--epochs 6] [--concurrent 1]

A real sweep of short trials, watched by an observer in the driver. Each figure is wall time minus
what the trainer itself measured of the epoch (``seconds`` of the history), so it holds all else:
Ray, imports, the data, network and optimizer, provenance, the checkpoint, the driver's own files.
Then, without Ray, what a checkpoint adds to an epoch, by the size of the network.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer, ParameterValue, TrialRecord

SPACE = """\
name: workers
trials: {trials}
presets: []
searcher: random
scheduler: none
share_warmup: false
max_concurrent: {concurrent}
data: {{source: shapes, size: 64, count: 60}}
trainer: {{epochs: {epochs}, batch_size: 8, device: cpu}}
network: {{name: unet, channels: [8, 16, 32]}}
loss: {{warmup_epochs: 0, rampup_epochs: 0, sqrt_epsilon: 1.0e-4}}
early_stopping: {{patience: null}}
resources: {{cpu: 1, gpu: 0}}
space:
  loss.weights.boundary: {{loguniform: [1.0e-3, 1.0]}}
"""
CHECKPOINTED = """\
data: {{source: shapes, size: {size}, count: {count}}}
trainer: {{epochs: 3, batch_size: 8, device: {device}}}
network: {{name: {network}, channels: {channels}}}
loss: {{warmup_epochs: 0, rampup_epochs: 0, sqrt_epsilon: 1.0e-4}}
evaluation: {{metrics: []}}
"""
NETWORKS = (  # image side, images, network, channels
    (64, 60, "unet", [8, 16, 32]),
    (128, 100, "unet", [16, 32, 64, 128]),
    (128, 100, "dynunet", [32, 64, 128, 256]),
)


@dataclass
class Watch(Observer):
    """An observer that notes when it was told of what."""

    started: dict[str, float] = field(default_factory=dict)
    ended: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    steps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _last: dict[str, float] = field(default_factory=dict)

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        now = time.perf_counter()
        if self.ended:
            self.between.append(now - self.ended[-1])
        self.started[trial_id] = self._last[trial_id] = now

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        now = time.perf_counter()
        beside = now - self._last[trial_id] - metrics.seconds
        self._last[trial_id] = now
        if metrics.epoch == 0:
            self.first[trial_id] = beside
        else:
            self.steps[trial_id].append(beside)

    def trial_ended(self, record: TrialRecord) -> None:
        self.ended.append(time.perf_counter())


def warm(trials: int, epochs: int, concurrent: int) -> None:
    """The sweep."""
    from sweep.data.prepared.prepare import prepare
    from sweep.engine.decisions.sweep_controller import SweepController
    from sweep.engine.on_ray.execute import OnRay
    from sweep.engine.session.sweep_location import SweepLocation
    from sweep.spec.load import load_sweep, to_yaml
    from sweep.store.store import Store

    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="workers-") as name:
        folder = Path(name)
        file = folder / "workers.yaml"
        file.write_text(SPACE.format(trials=trials, epochs=epochs, concurrent=concurrent))
        spec = load_sweep(file)
        prepare(spec.data)
        location = SweepLocation.of(spec.name, str(folder))
        begin = time.perf_counter()
        with (
            Store.create(location.folder, to_yaml(spec)) as store,
            OnRay(spec, store, location) as ray,
        ):
            ray.train(SweepController(spec, store, [watch]))
        runs = [
            json.loads(p.read_text())["runs"] for p in location.folder.glob("trials/*/prov*.json")
        ]
    processes = {run["process"]["pid"] for entry in runs for run in entry}
    cold = sorted(watch.started, key=lambda trial: watch.started[trial])[:concurrent]
    warmed = sorted(watch.first[trial] for trial in watch.first if trial not in cold)
    gaps = sorted(gap for trial, gaps in watch.steps.items() if trial not in cold for gap in gaps)
    print(
        f"\n{trials} trials of {epochs} epochs, {concurrent} at a time: {len(processes)} workers\n"
    )
    print("| wall time beside the training, seconds | median | worst |\n|---|---|---|")
    print(f"| until the first trial starts | {watch.started[cold[0]] - begin:.2f} | |")
    rows = {
        "first report on a fresh worker": [watch.first[trial] for trial in cold],
        "first report on a warm worker": warmed,
        "from a trial's end to the next one's start": watch.between,
        "from an epoch's end to its report, and on": gaps,
    }
    for title, values in rows.items():
        if values:
            print(f"| {title} | {median(values):.3f} | {max(values):.3f} |")


def checkpoints(device: str) -> None:
    """An epoch with and without its checkpoint, in this process."""
    from sweep.data.prepared.prepare import prepare
    from sweep.spec.load import load_trial
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import epochs

    class Timed(Checkpoints):
        """Notes how long saving takes, of the last state and the best together."""

        seconds = 0.0

        def _save(self, path: Path, state: dict[str, Any], *, keep: Path | None = None) -> None:
            start = time.perf_counter()
            super()._save(path, state, keep=keep)
            self.seconds += time.perf_counter() - start

    print("\n| network | images | checkpoint MB | epoch s | checkpoint s | share |")
    print("|---|---|---|---|---|---|")
    for size, count, network, channels in NETWORKS:
        with tempfile.TemporaryDirectory(prefix="workers-", dir=Path.cwd()) as name:
            file = Path(name) / "trial.yaml"
            file.write_text(
                CHECKPOINTED.format(
                    size=size, count=count, network=network, channels=channels, device=device
                )
            )
            config = load_trial(file)
            saved = Timed(Path(name))
            run = epochs(config, checkpoint=saved, data=prepare(config.data))
            trained = [metrics for told in run for metrics in told]
            megabytes = (Path(name) / "last.pt").stat().st_size / 1e6
        seconds = median(epoch.seconds for epoch in trained)
        each = saved.seconds / len(trained)
        print(
            f"| {network} {channels} | {count} of {size}² | {megabytes:.1f} | {seconds:.2f}"
            f" | {each:.3f} | {each / (seconds + each):.1%} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--concurrent", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="of the checkpoints' table")
    parser.add_argument("--only", choices=("sweep", "checkpoints"))
    arguments = parser.parse_args()
    if arguments.only != "checkpoints":
        warm(arguments.trials, arguments.epochs, arguments.concurrent)
    if arguments.only == "sweep":
        return
    if arguments.only is None:  # in a process of its own: Ray has set this one up for itself
        command = [sys.executable, __file__, "--only", "checkpoints", "--device", arguments.device]
        subprocess.run(command, check=True)
        return
    checkpoints(arguments.device)


if __name__ == "__main__":
    main()
