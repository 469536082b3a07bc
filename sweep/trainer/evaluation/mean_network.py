"""Several networks as one, which predicts the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.trainer.evaluation.inference import Inference, Network


def mean_inference(members: Sequence[Inference]) -> Inference:
    """How several networks predict together, by their `mean_network`.

    Networks of one configuration can have other sizes and divisors, if their folds have other
    images and spacings. So each pads whole images as in its own training, and has windows of its
    own.

    Args:
        members: at least one; alike but for network, size and divisor.
    """
    first = members[0]
    if len(members) == 1:
        return first
    network = mean_network([one.logits for one in members], regions=first.regions is not None)
    any_size = [1] * len(first.divisor)
    return replace(first, network=network, divisor=any_size, size=None, in_windows=False)


def mean_network(networks: Sequence[Network], *, regions: bool = False) -> Network:
    """A network whose probabilities are the mean of those of several: ``1/n Σ softmax(logits)``.

    nnU-Net's ``nnUNetv2_ensemble`` takes the same mean. The result is the logarithm of it, so that
    its softmax is the mean itself. They are added up one by one, since those of a volume with many
    classes take gigabytes.

    Args:
        networks: images ``[B, C, (D,) H, W]`` → logits ``[B, K, (D,) H, W]`` of the same classes.
        regions: whether the classes are regions: then the mean is that of sigmoids, and the sigmoid
            of the result is the mean itself.
    """

    def log_probabilities(logits: Tensor) -> Tensor:
        if regions:  # of yes and no
            return torch.stack([F.logsigmoid(logits), F.logsigmoid(-logits)])
        return logits.log_softmax(dim=1)

    def mean(images: Tensor) -> Tensor:
        each = (log_probabilities(network(images)) for network in networks)
        total = reduce(torch.logaddexp, each)
        return total[0] - total[1] if regions else total - math.log(len(networks))

    return mean
