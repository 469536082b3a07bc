"""The boundary loss of Kervadec et al., "Boundary loss for highly unbalanced segmentation" (2019).

It compares with the reference, unlike the geometric terms, which look at the prediction alone. It
has no root and no quotient: linear in the prediction, its gradient is the distance map itself.
"""

from __future__ import annotations

from monai.losses import BoundaryLoss
from torch import Tensor


def kervadec(p: Tensor, distances: Tensor) -> Tensor:
    """``mean φ · p`` over all pixels of the batch; negative for a good prediction.

    Args:
        p: soft mask ``[B, H, W]``.
        distances: φ, from `signed_distances`, on the same device.
    Returns:
        scalar.
    """
    return (p.float() * distances).mean()


def signed_distances(labels: Tensor, label: int) -> Tensor:
    """Distance φ of each pixel to the boundary of the class ``label``, in pixels.

    Positive outside, negative inside; 0 everywhere where the class is absent or is everywhere, for
    then there is no boundary. MONAI computes it with SciPy, image by image (a batch of 8: 7 ms at
    64², 190 ms at 512²): give it labels that are still on the CPU, or each image stalls the device.

    Args:
        labels: class indices ``[B, 1, H, W]``.
    Returns:
        float32 ``[B, H, W]``.
    """
    distances: Tensor = BoundaryLoss().compute_distance_map((labels == label).float())
    return distances[:, 0]
