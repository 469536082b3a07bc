"""A thousand short trials: what one costs, and whether the driver grows with their number.

    python benchmarks/thousand.py [TRIALS]

Ours are the smallest real ones: one epoch of a two-level U-Net on images of 32 × 32, with all files
of a trial. Beside them Ray Tune alone, with a function that reports one number and returns: no
training, no file of ours. Both run one trial at a time in worker processes that are reused.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweep.vocabulary.record import Observer

MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)
SPACE = """\
name: thousand
trials: {trials}
searcher: random
scheduler: asha
max_concurrent: 1
data: {{source: shapes, size: 32, count: 10}}
trainer: {{epochs: 1, batch_size: 8, device: cpu}}
network: {{name: unet, channels: [2, 4]}}
loss: {{warmup_epochs: 0, rampup_epochs: 0, sqrt_epsilon: 1.0e-4}}
resources: {{cpu: 1, gpu: 0}}
space:
  loss.weights.boundary: {{loguniform: [1.0e-3, 1.0]}}
  optimizer.lr: {{loguniform: [1.0e-3, 0.1]}}
"""


class Meter(Observer):
    """Prints the driver's memory, and what a trial takes since the last mark, at each mark."""

    def __init__(self, trials: int) -> None:
        self._marks = [max(1, round(mark * trials)) for mark in MARKS]
        self._ended = self._before = 0
        self._since = self._busy = 0.0

    def trial_ended(self, *_: Any) -> None:
        self._ended += 1
        if self._ended == 1:  # the first pays for the worker's start
            self._since, self._busy, self._before = time.perf_counter(), time.process_time(), 1
        if self._ended in self._marks:
            now, busy, count = time.perf_counter(), time.process_time(), self._ended - self._before
            wall, own = (now - self._since) / max(1, count), (busy - self._busy) / max(1, count)
            line = f"{self._ended:>7} {memory():>12.1f} {wall:>17.3f} {1000 * own:>15.1f}"
            print(line, file=sys.__stdout__, flush=True)  # sys.stdout is a log while Ray runs
            self._since, self._busy, self._before = now, busy, self._ended


def memory() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def ours(trials: int, folder: Path) -> None:
    from sweep.analysis.ranking.ranking_frame import write_ranking
    from sweep.data.prepared.prepare import prepare
    from sweep.engine.decisions.sweep_controller import SweepController
    from sweep.engine.on_ray.execute import OnRay
    from sweep.engine.session.sweep_location import SweepLocation
    from sweep.spec.load import load_sweep, to_yaml
    from sweep.store.store import Store

    (folder / "thousand.yaml").write_text(SPACE.format(trials=trials))
    spec = load_sweep(folder / "thousand.yaml")
    prepare(spec.data)
    location = SweepLocation.of(spec.name, str(folder))
    with Store.create(location.folder, to_yaml(spec)) as store:
        with OnRay(spec, store, location) as ray:
            ray.train(SweepController(spec, store, [Meter(trials)]))
        started = time.perf_counter()
        write_ranking(location.folder)
        print(f"the ranking of all of them takes {time.perf_counter() - started:.1f} s")


def plain(trials: int, folder: Path) -> None:
    from sweep.engine.on_ray.ray_cluster import cluster

    with cluster(folder / "log", verbose=False):
        from ray import tune

        class Count(tune.Callback):  # type: ignore[misc]
            def __init__(self) -> None:
                self._meter = Meter(trials)

            def on_trial_complete(self, *_: Any, **__: Any) -> None:
                self._meter.trial_ended()

        def train(config: dict[str, Any]) -> None:
            tune.report({"dice": config["x"]})

        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                num_samples=trials, max_concurrent_trials=1, reuse_actors=True
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=[Count()]),
        ).fit()


def main() -> None:
    kinds = {"ours": ours, "plain": plain}
    if len(sys.argv) == 3:  # in a process of its own, so that neither pays for the other
        with tempfile.TemporaryDirectory() as folder:
            kinds[sys.argv[1]](int(sys.argv[2]), Path(folder))
        return
    trials = sys.argv[1] if len(sys.argv) == 2 else "1000"
    for kind, title in (("ours", "medical-sweep"), ("plain", "Ray Tune alone, no training")):
        print(f"{title}\n trials   driver MiB   seconds a trial   driver's CPU ms", flush=True)
        subprocess.run([sys.executable, __file__, kind, trials], check=True)


if __name__ == "__main__":
    main()
