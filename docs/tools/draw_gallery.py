"""Draw the pictures of docs/reference/gallery.md from the results of a sweep.

    python docs/tools/draw_gallery.py results/gallery

The sweep of the stored pictures, circles; run it again with `--extend trials=+8`:

    python -m sweep.run search_spaces/quickstart.yaml --local --set name=gallery --set trials=24 \\
      --set searcher=random --set trainer.epochs=12 --set loss.rampup_epochs=1 \\
      --set data.size=32 --set data.count=100 --set data.difficulty=0.2 --set optimizer.lr=0.3 \\
      --set 'network.channels=[4,8,16]' --set 'space.loss.warmup_epochs={randint: [2, 5]}' \\
      --set 'replicate={folds: 2}' --set 'confirm={top: 2, seeds: 3, folds: 1}'
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.report_figures import figures_of
from sweep.report.takeaway.figure_files import write_figures

PICTURES = Path(__file__).parents[1] / "images" / "gallery"
WIDTH = 1200
"""Of a picture, in pixels."""


def main() -> None:
    figures = figures_of(read_results(sys.argv[1]))
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        for drawn in write_figures(figures, Path(folder), ["png"]):
            picture = Image.open(drawn).convert("RGB")
            picture.thumbnail((WIDTH, 2 * WIDTH))
            picture.save(PICTURES / f"{drawn.stem}.webp", quality=80, method=6)
    for figure in figures:
        sys.stdout.write(f"{figure.name}: {figure.finding}\n")


if __name__ == "__main__":
    main()
