"""Gaussian noise that is a function of a key and a pixel's number, the same bits on every device.

A generator with a state gives other numbers on a GPU than on a CPU. Here the numbers of pixels are
hashed with the key in integers of 32 bits. Each half of a hash picks one of the 2¹⁶ values that
divide the normal distribution into equal parts, so noise is at most 4.3 deviations from 0. On a CPU
this is as fast as torch's own generator, and nothing has to be copied to a GPU.

The hash is `lowbias32` of C. Wellons' hash-prospector, with the second half of the key between its
two rounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

_LEVELS = 2**16


def standard_normal(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal values ``[N, *shape]``.

    Args:
        keys: ``[N, 2]``, int32, drawn at random: keys of few different bits give like noise.
        shape: of the values of each key.
    """
    count = math.prod(shape)
    pairs = torch.arange(-(-count // 2), dtype=torch.int32, device=keys.device)
    bits = pairs + keys[:, :1]
    bits.bitwise_xor_(_shifted(bits, 16)).mul_(0x21F0AAAD).bitwise_xor_(keys[:, 1:])
    bits.bitwise_xor_(_shifted(bits, 15)).mul_(0x735A2D97)
    bits.bitwise_xor_(_shifted(bits, 15))
    levels = bits.view(torch.int16)[:, :count].int().add_(_LEVELS // 2)
    return _normal_levels(keys.device).index_select(0, levels.flatten()).reshape(-1, *shape)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """A logical shift to the right: torch's own keeps the sign."""
    return (bits >> by).bitwise_and_((1 << (32 - by)) - 1)


@cache
def _normal_levels(device: torch.device) -> Tensor:
    """The middles, by probability, of equal parts of the normal distribution, ascending."""
    middles = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    levels: Tensor = torch.special.ndtri(middles)
    return levels.float().to(device)
