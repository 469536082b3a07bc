"""The geometric terms of the loss: the weight of each, and what is known of it beforehand.

A term is one field here and one line in `sweep.trainer.losses.geometric_loss`, where it is
computed; whoever else asks which terms there are, or which of them have a square root, asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sweep.spec.settings.settings_base import ActsLate, Settings, refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometricTerm(ActsLate):
    """Mark of a term's weight, with what there is to say of the term.

    Args:
        has_root: whether a square root stands in it, which ``loss.sqrt_epsilon`` guards.
        compares: whether it looks at the reference; the others look at the shape of the prediction
            alone, and leave out samples below ``loss.min_area``.
        in_volumes: whether it can be computed where whole volumes are looked at; one that compares
            looks at their slices.
    """

    has_root: bool = False
    compares: bool = False
    in_volumes: bool = True


class GeometricWeights(Settings):
    """Weights of the loss terms that switch on late; 0 leaves a term out."""

    compactness: Annotated[float, GeometricTerm(has_root=True)] = Field(default=0.01, ge=0)
    """1 − 4πA/P² of the soft mask's area A and perimeter P: 0 for a disc."""
    boundary: Annotated[float, GeometricTerm()] = Field(default=0.005, ge=0)
    """Roughness of the soft mask: variance and mean size of its Laplacian."""
    aspect: Annotated[float, GeometricTerm(has_root=True)] = Field(default=0.005, ge=0)
    """How elongated the soft mask is, from its second moments."""
    kervadec: Annotated[float, GeometricTerm(compares=True)] = Field(default=0.0, ge=0)
    """Kervadec's boundary loss: the one term that compares with the reference."""

    @property
    def used(self) -> dict[str, float]:
        """The weights of those terms that have one."""
        return {name: weight for name, weight in self if weight > 0}

    def must_fit_volumes(self) -> None:
        """Return only where each term that has a weight can look at whole volumes.

        Raises:
            ValidationError: of the weight of the first that cannot.
        """
        for name, weight in self.used.items():
            if not TERMS[name].in_volumes:
                message = (
                    f"`{name}` cannot be computed of whole volumes: must be 0 with"
                    f" `trainer.geometry: volume`, but is {weight:g}; `slices` can"
                )
                raise refusal(message, "weights", name, value=weight)


TERMS: Mapping[str, GeometricTerm] = {
    name: mark
    for name, field in GeometricWeights.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, GeometricTerm)
}
"""Every geometric term by its name."""


def weight_keys(names: Iterable[str] = TERMS) -> tuple[str, ...]:
    """Dotted names of the weights of these terms."""
    return tuple(f"loss.weights.{name}" for name in names)


WEIGHTS = weight_keys()
ROOT_TERMS = tuple(name for name, term in TERMS.items() if term.has_root)
SHAPE_WEIGHTS = weight_keys(name for name, term in TERMS.items() if not term.compares)
