"""The geometric terms of the loss: their weights and fixed properties.

A term is one field here and one line in `sweep.trainer.losses.geometric`, where it is computed; one
that compares with the reference has its line in `geometric_loss` there. All other code gets the
list of terms and their properties from here. Plug-ins bring further terms, which have a weight and
no properties.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from sweep.spec.settings.settings_base import ActsLate, Settings, refusal

GeometricClass = (
    str | int | Annotated[tuple[str | int, ...], Field(strict=False, min_length=1)] | None
)
"""The class that the geometric terms act on, by name or number; several; `ALL_CLASSES`; None for
the first foreground."""
ALL_CLASSES = "all"

Geometry = Literal["slices", "volume"]
"""How the geometric terms treat volumes: slice by slice, or as whole bodies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometricTerm(ActsLate):
    """Mark of a term's weight, with the properties of the term.

    Args:
        has_root: whether it contains a square root, which ``loss.sqrt_epsilon`` guards.
        compares: whether it uses the reference. The others use only the shape of the prediction
            and skip samples below ``loss.min_area``.
        in_volumes: whether it can be computed on whole volumes.
    """

    has_root: bool = False
    compares: bool = False
    in_volumes: bool = True


class GeometricWeights(Settings):
    """Weights of the geometric loss terms, which switch on after the warm-up; 0 leaves a term
    out. The terms of plug-ins have their weights here too, by their short names."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[float, Field(ge=0)]]

    compactness: Annotated[float, GeometricTerm(has_root=True)] = Field(default=0.01, ge=0)
    """1 − 4πA/P², with area A and perimeter P of the soft mask; 0 for a disc."""
    boundary: Annotated[float, GeometricTerm()] = Field(default=0.005, ge=0)
    """Roughness of the soft mask: variance and mean absolute value of its Laplacian."""
    aspect: Annotated[float, GeometricTerm(has_root=True)] = Field(default=0.005, ge=0)
    """Elongation of the soft mask, from its second moments."""
    kervadec: Annotated[float, GeometricTerm(compares=True)] = Field(default=0.0, ge=0)
    """Kervadec's boundary loss, the only geometric term that uses the reference."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Dotted names of all weights, those of plug-ins last."""
        return weight_keys(name for name, _ in self)

    @property
    def of_plugins(self) -> dict[str, float]:
        """The weights of plug-in terms, by short name."""
        return dict(self.__pydantic_extra__)

    def for_plugins(self, names: Sequence[str]) -> Self:
        """The same weights, with 0 for each plug-in term that the file gives none.

        Args:
            names: short names of the terms in ``loss.terms``.
        Raises:
            ValidationError: for the first weight of any other name.
        """
        for name, weight in self.of_plugins.items():
            if name not in names:
                raise ValidationError.from_exception_data(
                    "weights", [{"type": "extra_forbidden", "loc": (name,), "input": weight}]
                )
        return self.model_copy(update={name: getattr(self, name, 0.0) for name in names})

    @property
    def used(self) -> dict[str, float]:
        """The weights above 0, by term."""
        return {name: weight for name, weight in self if weight > 0}

    def must_fit_volumes(self) -> None:
        """Refuse a term with a weight that cannot be computed on whole volumes.

        Raises:
            ValidationError: for the weight of the first such term.
        """
        for name, weight in self.used.items():
            if name not in TERMS or not TERMS[name].in_volumes:
                message = (
                    f"`{name}` cannot be computed on whole volumes: must be 0 with"
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
COMPARING = frozenset(name for name, term in TERMS.items() if term.compares)
SHAPE_TERMS = tuple(name for name, term in TERMS.items() if not term.compares)
SHAPE_WEIGHTS = weight_keys(SHAPE_TERMS)
