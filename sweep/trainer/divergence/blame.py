"""Find the loss term and parameter whose gradient broke, once the guard has ended the trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn


class BrokenGradient(NamedTuple):
    """The first term whose own gradient is not finite, and its first such parameter tensor.

    ``at_answers``: whether it is not finite where it enters the network either; None if the term
    does not depend on the answers.
    """

    term: str
    parameter: str
    at_answers: bool | None


def first_broken_gradient(
    model: nn.Module, terms: Mapping[str, Tensor], order: list[str], answers: Sequence[Tensor] = ()
) -> BrokenGradient | None:
    """The first gradient of a term that is not finite; None if every term's gradient is finite.

    Args:
        model: the network, with the weights of the offending step.
        terms: the terms of the offending batch (scalars) with their graph.
        order: names of the parameters in forward order, see `forward_order`.
        answers: of the network, with their graph.
    """
    asked = [one for one in answers if one.requires_grad]
    named = dict(model.named_parameters())
    parameters = {name: named[name] for name in order if named[name].requires_grad}
    for term, value in terms.items():
        if not value.requires_grad:
            continue
        gradients = torch.autograd.grad(
            value, [*parameters.values(), *asked], retain_graph=True, allow_unused=True
        )
        of_answers = [one for one in gradients[len(parameters) :] if one is not None]
        for name, gradient in zip(parameters, gradients, strict=False):
            if gradient is not None and not bool(torch.isfinite(gradient).all()):
                finite = [bool(torch.isfinite(one).all()) for one in of_answers]
                return BrokenGradient(term, name, not all(finite) if finite else None)
    return None


@contextmanager
def forward_order(model: nn.Module) -> Iterator[list[str]]:
    """Collect the names of the parameters in the order in which a forward pass first uses them.

    The order in which a network registers its modules often differs, because of skip connections.
    """
    order: list[str] = []

    def note(prefix: str, module: nn.Module) -> None:
        for name, _ in module.named_parameters(prefix, recurse=False):
            if name not in order:
                order.append(name)

    # A compiled network would not call them.
    with torch.compiler.set_stance("force_eager"), ExitStack() as hooks:
        for prefix, module in model.named_modules():
            handle = module.register_forward_pre_hook(
                lambda module, _inputs, prefix=prefix: note(prefix, module)
            )
            hooks.callback(handle.remove)
        yield order


@contextmanager
def unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Restore the batch-norm statistics after a forward pass in training mode."""
    kept = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, before in zip(model.buffers(), kept, strict=True):
            buffer.copy_(before)
