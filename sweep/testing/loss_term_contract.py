"""What every geometric loss term promises."""

from __future__ import annotations

import torch
from torch import Tensor

from sweep.trainer.losses.geometric_loss import LossTerm

SIDE = 24


class LossTermContract:
    """Subclass it, and set ``term`` to the function: ``term = staticmethod(roughness)``."""

    term: LossTerm

    def test_each_sample_has_one_value(self) -> None:
        masks = _masks()
        values = self.term(masks)
        assert values.shape == (len(masks),)
        assert values.isfinite().all()

    def test_gradient_is_finite_on_flat_sharp_and_soft_masks(self) -> None:
        """A root or a quotient without a guard is NaN where a mask is exactly flat."""
        masks = _masks().requires_grad_()
        self.term(masks).sum().backward()  # type: ignore[no-untyped-call]
        assert masks.grad is not None, "the term does not depend on the mask"
        assert masks.grad.isfinite().all()

    def test_samples_do_not_depend_on_each_other(self) -> None:
        masks = _masks()
        alone = torch.cat([self.term(mask[None]) for mask in masks])
        torch.testing.assert_close(self.term(masks), alone)

    def test_masks_are_left_as_they_are(self) -> None:
        masks = _masks()
        before = masks.clone()
        self.term(masks)
        assert torch.equal(masks, before)


def _masks() -> Tensor:
    """Everywhere 1, everywhere 0.5, a sharp disc, its soft version, and noise: ``[5, H, W]``."""
    steps = torch.arange(SIDE) - SIDE / 2 + 0.5
    from_centre = (steps[:, None].square() + steps.square()).sqrt()
    return torch.stack(
        [
            torch.ones(SIDE, SIDE),
            torch.full((SIDE, SIDE), 0.5),
            (from_centre < SIDE / 3).float(),
            torch.sigmoid(SIDE / 3 - from_centre),
            torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0)),
        ]
    )
