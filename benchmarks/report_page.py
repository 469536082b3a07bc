"""What the report page costs its reader: its size, its first paint, and a brush.

    python benchmarks/report_page.py [TRIALS ...]

Writes made-up sweeps of 12 parameters and 20 epochs, with loss terms and metrics in each epoch, and
opens the page of each in a headless Chromium (playwright). Times of the browser's main thread are
CPU times (Chromium's ``threadTicks``), so other work on the machine does not count; first paint is
wall time. A brush selects a tenth of the trials while the named figure is in view. Its time runs
until the frame that shows table, controls and the figures in view. Parallel axes follow later.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from made_up import write
from playwright.sync_api import CDPSession, Page, sync_playwright

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.page import page

TRIALS = (100, 500, 5000)
FIGURES = ("learning-curves", "slices", "pareto", "parallel", "axes")
MAP = "#?across=optimizer.lr&up=optimizer.momentum&colour=val_dice"
"""The reader's own figure, which the address asks for: of two settings, with a map."""
BRUSHES = 5
BRUSH = """async (tenth) => {
  select(new Set(sweepPage.page.ids.filter((_, n) => n % 10 === tenth)), "benchmark");
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}"""


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
        opened.goto(file.as_uri() + MAP)
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
