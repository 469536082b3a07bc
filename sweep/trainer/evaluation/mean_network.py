"""Several networks as one, which predicts the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.trainer.evaluation.inference import Inference, Network


def mean_inference(members: Sequence[Inference]) -> Inference:
    """How several networks predict together, by their `mean_network`.

    Networks of one configuration can have other divisors and sizes, if their folds have other sizes
    and spacings. The images then fit all of them.

    Args:
        members: at least one; alike but for network, divisor and size.
    """
    divisor = [math.lcm(*along) for along in zip(*(m.divisor for m in members), strict=True)]
    largest = [max(along) for along in zip(*(m.size or () for m in members), strict=True)]
    return replace(
        members[0],
        network=mean_network(
            [member.network for member in members], regions=members[0].regions is not None
        ),
        divisor=divisor,
        size=[-(-side // by) * by for side, by in zip(largest, divisor, strict=False)] or None,
    )


def mean_network(networks: Sequence[Network], *, regions: bool = False) -> Network:
    """A network whose probabilities are the mean of those of several: ``1/n Σ softmax(logits)``.

    nnU-Net's ``nnUNetv2_ensemble`` takes the same mean. The result is the logarithm of it, so that
    its softmax is the mean itself. One network is returned as it is.

    Args:
        networks: images ``[B, C, (D,) H, W]`` → logits ``[B, K, (D,) H, W]`` of the same classes.
        regions: whether the classes are regions: then the mean is that of sigmoids, and the sigmoid
            of the result is the mean itself.
    """
    if len(networks) == 1:
        return networks[0]

    def mean(images: Tensor) -> Tensor:
        if regions:
            every = torch.stack([network(images) for network in networks])
            return F.logsigmoid(every).logsumexp(dim=0) - F.logsigmoid(-every).logsumexp(dim=0)
        each = torch.stack([network(images).log_softmax(dim=1) for network in networks])
        return each.logsumexp(dim=0) - math.log(len(networks))

    return mean
