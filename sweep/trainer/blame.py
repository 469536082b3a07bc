"""Which loss term's gradient broke: asked once, after the guard has ended the trial."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def first_broken_gradient(model: nn.Module, terms: Mapping[str, Tensor]) -> str | None:
    """The first term whose own gradient is not finite in some parameter; None where all are.

    Args:
        model: the network with the weights of the offending step.
        terms: the terms of the offending batch (scalars) with their graph.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    for name, term in terms.items():
        if not term.requires_grad:
            continue
        gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        if any(g is not None and not bool(torch.isfinite(g).all()) for g in gradients):
            return name
    return None
