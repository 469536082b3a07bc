"""What the shape terms of the loss make of true masks, and what `loss.components` and
`loss.border` change.

    python benchmarks/shape_prior.py [--cost]

Real masks: white and grey matter of the MNI152 template that nilearn ships (probability of at least
0.5), every second axial slice. Drawn ones: the several circles of `data: {source: shapes}`. Whole,
and as a patch cut at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.shape_prior import shapes_of
from sweep.data.sources.brain import BRAIN_SLICES
from sweep.spec.settings.data_settings import ShapesData
from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import geometric_terms

Masks = Sequence[NDArray[np.bool_]]
WEIGHTS = GeometricWeights(compactness=1, boundary=1, aspect=1)
SETTINGS = {
    f"{components}, {border}": LossSettings.model_validate(
        {"weights": WEIGHTS, "components": components, "border": border}
    )
    for components in ("joint", "separate")
    for border in ("keep", "ignore")
}


def collections() -> Iterator[tuple[str, Masks, int]]:
    """Name of some masks, the masks, and the side of a patch of them."""
    for name, template in (("white", load_mni152_wm_template), ("grey", load_mni152_gm_template)):
        tissue = template(resolution=1).get_fdata() >= 0.5
        yield f"{name} matter", [tissue[:, :, z] for z in BRAIN_SLICES[::2]], 96
    circles = prepare(ShapesData(kind="several_circles", size=128, count=100)).training
    yield "several circles", [sample.label == 1 for sample in circles], 64


def cut(masks: Masks, side: int) -> Masks:
    """A patch of each mask, at random, as the training would cut it."""
    rng = np.random.default_rng(0)
    found = []
    for mask in masks:
        y, x = (int(rng.integers(length - side + 1)) for length in mask.shape)
        found.append(mask[y : y + side, x : x + side])
    return found


def line(name: str, masks: Masks) -> str:
    least = SETTINGS["joint, keep"].min_area
    shapes = [shapes for mask in masks if (shapes := shapes_of(mask)).sizes.sum() >= least]
    several = sum((one.sizes >= least).sum() > 1 for one in shapes) / len(shapes)
    at_border = sum(one.at_border.any() for one in shapes) / len(shapes)
    p = torch.from_numpy(np.stack(masks)).float()
    found = [geometric_terms(settings, p) for settings in SETTINGS.values()]
    cells = [f"{term['compactness']:.2f} / {term['aspect']:.2f}" for term in found]
    return f"| {name} | {several:.0%} | {at_border:.0%} | {' | '.join(cells)} |"


def soft_circles(batch: int, side: int, each: int) -> Tensor:
    """Soft masks ``[B, H, W]`` of some circles each."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    p = torch.zeros(batch, side, side)
    for mask in p:
        for _ in range(each):
            cy, cx, r = (
                torch.rand(3, generator=generator) * torch.tensor([side, side, 20])
            ).tolist()
            mask += torch.sigmoid((15 + r - ((y - cy) ** 2 + (x - cx) ** 2).sqrt()) / 0.5)
    return p.clamp(0, 1).requires_grad_()


def cost(settings: LossSettings, p: Tensor, repeats: int = 7) -> float:
    """Median milliseconds of CPU time of the terms, forward and backward."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        torch.stack(list(geometric_terms(settings, p).values())).sum().backward()
        taken.append(1e3 * (time.process_time() - start))
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cost", action="store_true", help="time the terms at 8 x 512 x 512")
    if parser.parse_args().cost:
        torch.set_num_threads(1)
        for each in (1, 6, 24):
            p = soft_circles(8, 512, each)
            times = [f"{name}: {cost(settings, p):.0f} ms" for name, settings in SETTINGS.items()]
            print(f"{each:2} circles, 8 x 512 x 512, one thread; {'; '.join(times)}")
        return
    print(f"| masks | several components | at the border | {' | '.join(SETTINGS)} |")
    print("|---" * (3 + len(SETTINGS)) + "|")
    for name, masks, side in collections():
        print(line(name, masks))
        print(line(f"{name}, patch of {side}²", cut(masks, side)))


if __name__ == "__main__":
    main()
