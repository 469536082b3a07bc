"""Watch a network pass a batch: its answers, and the module that first makes a broken value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sweep.trainer.divergence.advice import OVERCONFIDENT
from sweep.trainer.runs.returned_values import tensors


@dataclass(slots=True)
class WatchedNetwork:
    """What a network did in one or several calls.

    Args:
        answers: the tensors that it returned, with their graph: it, or each part with weights that
            the loss calls by itself and whose output no other such part takes.
        makes_nan, makes_infinity: name and class of the first module that did so from finite
            values below `OVERCONFIDENT`; None if none did. The network itself has no name.
    """

    answers: list[Tensor] = field(default_factory=list)
    makes_nan: str | None = None
    makes_infinity: str | None = None

    @property
    def largest_answer(self) -> float | None:
        """Largest absolute answer, infinite if one is not finite; None if there is none."""
        if not self.answers:
            return None
        found = largest(self.answers)
        return math.inf if math.isnan(found) else found

    @property
    def breaker(self) -> str | None:
        """The module at which the answers broke; None if they are finite, or if none is known."""
        found = largest(self.answers)
        if math.isnan(found):
            return self.makes_nan
        return self.makes_infinity if math.isinf(found) else None


@contextmanager
def watched(model: nn.Module) -> Iterator[WatchedNetwork]:
    """Watch a network inside the context. It is asked after each module: use it in a diagnosis."""
    seen, running = WatchedNetwork(), list[nn.Module]()

    def enter(module: nn.Module, _given: Any) -> None:
        running.append(module)

    def note(name: str, module: nn.Module, given: Any, returned: Any) -> None:
        running.pop()
        outputs = [one for _, one in tensors(returned)]
        inputs = [one for _, one in tensors(given)]
        if not running and (module is model or any(True for _ in module.parameters())):
            passed = set(map(id, inputs))
            seen.answers = [one for one in seen.answers if id(one) not in passed] + outputs
        if inputs and largest(inputs) < OVERCONFIDENT:
            named = f"{name!r} ({type(module).__name__})" if name else type(module).__name__
            found = largest(outputs)
            if math.isnan(found):
                seen.makes_nan = seen.makes_nan or named
            if not math.isfinite(found):
                seen.makes_infinity = seen.makes_infinity or named

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_pre_hook(enter).remove)
            handle = module.register_forward_hook(
                lambda module, given, named, returned, name=name: note(
                    name, module, [*given, named], returned
                ),
                with_kwargs=True,
            )
            hooks.callback(handle.remove)
        yield seen


def largest(values: Iterable[Tensor]) -> float:
    """Largest absolute value, with no copy of them in memory; NaN if one is NaN, 0 of none."""
    dense = (one.detach().to_dense() for one in values if one.numel())
    found = [float(torch.linalg.vector_norm(one, math.inf)) for one in dense]
    return math.nan if any(map(math.isnan, found)) else max(found, default=0.0)
