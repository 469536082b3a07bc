"""What the report page costs its reader: its size, its first paint, and a brush.

    python benchmarks/report_page.py [TRIALS ...]

Writes made-up sweeps of 12 parameters and 20 epochs, with loss terms and metrics in each epoch, and
opens the page of each in a headless Chromium (playwright). Times of the browser's main thread are
CPU times (Chromium's ``threadTicks``), so other work on the machine does not count; first paint is
wall time. A brush selects a tenth of the trials while the named figure is in view. Its time runs
until the frame that shows table, controls and the figures in view. Parallel axes follow later.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.page import page
from sweep.store.files import to_json
from sweep.store.layout import Layout, trial_id

TRIALS = (100, 500, 5000)
EPOCHS = 20
FIGURES = ("learning-curves", "slices", "pareto", "parallel")
BRUSHES = 5
SWEEP_YAML = """\
name: made-up
trials: {trials}
trainer: {{epochs: {epochs}}}
optimizer: {{name: sgd}}
space:
  loss.warmup_epochs: {{randint: [2, 8]}}
  loss.rampup_epochs: {{randint: [0, 5]}}
  loss.weights.compactness: {{loguniform: [1.0e-3, 1.0]}}
  loss.weights.boundary: {{loguniform: [1.0e-3, 1.0]}}
  loss.weights.aspect: {{loguniform: [1.0e-3, 1.0]}}
  loss.sqrt_epsilon: {{choice: [0, 1.0e-8, 1.0e-6, 1.0e-4]}}
  optimizer.lr: {{loguniform: [1.0e-3, 1.0]}}
  optimizer.momentum: {{uniform: [0.8, 0.99]}}
  optimizer.weight_decay: {{loguniform: [1.0e-6, 1.0e-2]}}
  trainer.batch_size: {{choice: [4, 8, 16]}}
  network.name: {{choice: [unet, dynunet]}}
  early_stopping.patience: {{choice: [3, 5, 8]}}
"""
BRUSH = """async (tenth) => {
  select(new Set(sweepPage.page.ids.filter((_, n) => n % 10 === tenth)), "benchmark");
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}"""


def drawn(rng: Random) -> dict[str, Any]:
    return {
        "loss.warmup_epochs": rng.randrange(2, 8),
        "loss.rampup_epochs": rng.randrange(0, 5),
        **{
            f"loss.weights.{term}": 10 ** rng.uniform(-3, 0)
            for term in ("compactness", "boundary", "aspect")
        },
        "loss.sqrt_epsilon": rng.choice([0, 1e-8, 1e-6, 1e-4]),
        "optimizer.lr": 10 ** rng.uniform(-3, 0),
        "optimizer.momentum": rng.uniform(0.8, 0.99),
        "optimizer.weight_decay": 10 ** rng.uniform(-6, -2),
        "trainer.batch_size": rng.choice([4, 8, 16]),
        "network.name": rng.choice(["unet", "dynunet"]),
        "early_stopping.patience": rng.choice([3, 5, 8]),
    }


def epochs_of(rng: Random, top: float, count: int) -> list[dict[str, Any]]:
    found = []
    for epoch in range(count):
        dice = top * (1 - 0.4 * math.exp(-epoch / 3)) + rng.gauss(0, 0.003)
        terms = {"dice": 1 - dice, "cross_entropy": (1 - dice) / 2, "compactness": 0.3 - 0.2 * dice}
        values = {"train_loss": 1.2 - dice, "grad_norm": rng.uniform(0.1, 2), "terms": terms}
        measured = {"hd95": 30 * (1.02 - dice) * rng.uniform(1, 1.2), "nsd": min(1.0, dice + 0.02)}
        found.append(
            {"epoch": epoch, "val_dice": dice, "steps": 10, "seconds": 2.0, "metrics": measured}
            | values
        )
    return found


def write(folder: Path, trials: int) -> None:
    layout, rng = Layout(folder), Random(trials)
    layout.trials.mkdir(parents=True)
    layout.sweep_yaml.write_text(SWEEP_YAML.format(trials=trials, epochs=EPOCHS))
    for number in range(trials):
        paths, parameters = layout.trial(trial_id(number)), drawn(rng)
        paths.folder.mkdir()
        off = abs(math.log10(parameters["loss.weights.compactness"]) + 1.5)
        top = 0.9 - 0.05 * off + rng.gauss(0, 0.004)
        diverges = parameters["loss.sqrt_epsilon"] == 0
        status = "diverged" if diverges else "pruned" if top < 0.86 else "completed"
        count = {"diverged": parameters["loss.warmup_epochs"], "pruned": EPOCHS // 2}
        end = {"parameters": parameters, "status": status, "cause": "nonfinite" * diverges}
        paths.trial.write_text(to_json(end))
        lines = epochs_of(rng, top, count.get(status, EPOCHS))
        paths.history.write_text("".join(f"{to_json(line)}\n" for line in lines))


def busy(session: CDPSession) -> float:
    """CPU milliseconds of the page's main thread so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def brushes(opened: Page, session: CDPSession, figure: str) -> float:
    """The median main-thread milliseconds of a brush while a figure is in view."""
    opened.evaluate(f"document.getElementById('{figure}').scrollIntoView()")
    opened.evaluate("sweepPage.drawAll()")
    opened.wait_for_timeout(2000)
    taken = []
    for tenth in range(BRUSHES):
        before = busy(session)
        opened.evaluate(BRUSH, tenth)
        taken.append(busy(session) - before)
        opened.wait_for_timeout(1500)  # parallel axes follow
    return median(taken)


def measure(trials: int) -> None:
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder, file = Path(temporary) / "made-up", Path(temporary) / "report.html"
        write(folder, trials)
        start = time.process_time()
        file.write_text(page(read_results(folder)), encoding="utf-8")
        writing, size = time.process_time() - start, file.stat().st_size / 1e6
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--enable-unsafe-swiftshader"],
        )
        context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
        opened = context.new_page()
        session = context.new_cdp_session(opened)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        opened.goto(file.as_uri())
        opened.wait_for_selector("body[data-ready]")
        paint = opened.evaluate("performance.getEntriesByType('paint')[0].startTime")
        ready = busy(session)
        spent = "".join(f"{brushes(opened, session, one):>17.0f}" for one in FIGURES)
        print(f"{trials:>6} {writing:>9.1f} {size:>7.1f} {paint:>9.0f} {ready:>9.0f}{spent}")
        browser.close()


def main() -> None:
    names = "".join(f"{name:>17}" for name in FIGURES)
    print(f"{'trials':>6} {'CPU s':>9} {'MB':>7} {'paint ms':>9} {'ready ms':>9}{names}")
    for trials in map(int, sys.argv[1:] or TRIALS):
        measure(trials)


if __name__ == "__main__":
    main()
