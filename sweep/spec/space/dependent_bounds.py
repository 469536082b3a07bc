"""Bounds that depend on another setting: its name in place of a number.

    loss.rampup_epochs: {randint: [0, loss.warmup_epochs]}

`randint` excludes its upper bound here too. The other setting may be searched or fixed. Where it is
conditional and not drawn, the bound is the value that it has then, that of the sweep file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.vocabulary.record import ParameterValue


@dataclass(frozen=True)
class Bound:
    """A bound that is the value of another setting.

    Args:
        of: dotted name of the setting; None for a plain number beside such a bound, until
            `sweep.spec.space.links.linked` has found the widest range of both.
        otherwise: its value in trials that do not draw it; the plain number.
    """

    of: str | None
    otherwise: float | None = field(default=None, compare=False)

    @property
    def written(self) -> str | float | None:
        """Its form in the YAML."""
        return self.otherwise if self.of is None else self.of

    def number(self, parameters: Mapping[str, ParameterValue]) -> float:
        """The bound beside these values of other parameters.

        Raises:
            TypeError: it is no number there; only a preset can have such a value.
        """
        value = parameters.get(self.of or "", self.otherwise)
        if not isinstance(value, int | float):
            raise TypeError(f"{self.of} is no number: {value!r}")
        return value
