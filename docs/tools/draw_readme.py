"""Draw the pictures of the report in README.md, from the results of a sweep.

    python docs/tools/draw_readme.py results/quickstart

It takes Playwright and a Chromium. The stored pictures are of the quickstart:

    python -m sweep.run search_spaces/quickstart.yaml --local --set trials=24
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.page import page

PICTURES = Path(__file__).parents[1] / "images"
TOP = {"width": 1240, "height": 1240}
"""The part of the page that report.png shows, in pixels."""
COLUMNS = (("learning-curves", "timeline"), ("stability",))
"""The sections of figures.png, a column each."""
COLUMN = 820
"""Width of the window in which those are drawn."""
BARE = """.reading, .choices { display: none } section { border: 0 !important }
.figure { min-width: 0 !important }"""
"""They are drawn without the small print below each figure."""
GAP = 40
COLORS = 256


def taken(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGB")


def side_by_side(opened: Page) -> Image.Image:
    columns = [
        [taken(opened.locator(f"main #{name}").screenshot()) for name in names] for names in COLUMNS
    ]
    heights = [sum(one.height for one in column) for column in columns]
    widths = [max(one.width for one in column) + GAP for column in columns]
    whole = Image.new("RGB", (sum(widths), max(heights)), "white")
    for n, column in enumerate(columns):
        at = 0
        for one in column:
            whole.paste(one, (sum(widths[:n]), at))
            at += one.height
    return whole


def write(image: Image.Image, name: str) -> None:
    path = PICTURES / name
    image.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def main(folder: str) -> None:
    with TemporaryDirectory() as temporary, sync_playwright() as playwright:
        file = Path(temporary) / "report.html"
        file.write_text(page(read_results(folder)), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, window in (("report.png", TOP), ("figures.png", TOP | {"width": COLUMN})):
            opened = browser.new_context(viewport=window, offline=True).new_page()  # type: ignore[arg-type]
            opened.goto(file.as_uri())
            opened.wait_for_selector("body[data-ready]")
            is_top = name == "report.png"
            if not is_top:
                opened.add_style_tag(content=BARE)
            opened.evaluate("sweepPage.drawAll()")
            opened.wait_for_timeout(1000)
            write(taken(opened.screenshot()) if is_top else side_by_side(opened), name)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
