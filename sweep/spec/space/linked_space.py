"""Spaces whose parameters depend on each other: by `when:`, or by a bound that is another's name.

A parameter depends on those that its conditions and bounds name. Values are drawn in an order in
which each comes after all that it depends on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import TypeVar

from sweep.spec.space.conditions import Condition, Conditions
from sweep.spec.space.distributions import Distribution, Interval, Listed, possible_values
from sweep.spec.words.dialects import exact
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue

Space = Mapping[str, Distribution]
"""Distribution of each searched setting, by its dotted name."""
D = TypeVar("D", bound=Distribution)


def is_linked(space: Space) -> bool:
    """Whether any parameter of a space depends on a setting."""
    return any(depends_on(distribution) for distribution in space.values())


def depends_on(distribution: Distribution) -> list[str]:
    """Dotted names of the settings that a distribution depends on."""
    ends = distribution.ends if isinstance(distribution, Interval) else ()
    bounds = [end.of for end in ends if end is not None and end.of is not None]
    return [*(condition.on for condition in distribution.when), *bounds]


def in_order(space: Space) -> list[str]:
    """The parameters, each after those that it depends on; else in the order of the space.

    Of parameters that depend on each other in a circle none is listed.
    """
    left, order = dict(space), dict[str, None]()
    while True:
        first = next(
            (name for name in left if left.keys().isdisjoint(depends_on(space[name]))), None
        )
        if first is None:
            return list(order)
        order[first] = None
        del left[first]


def taken(
    space: Space,
    choose: Callable[[str, Distribution], ParameterValue],
    among: Container[str] | None = None,
) -> dict[str, ParameterValue]:
    """The values of one trial, in the order of the space; errors are those of ``choose``.

    Args:
        space: the space.
        choose: the value of a parameter that is drawn, given its name and its distribution with the
            bounds that it has beside the values before.
        among: names of the parameters that have a value; None: all.
    """
    found: dict[str, ParameterValue] = {}
    for name in in_order(space):
        if (among is None or name in among) and is_drawn(space[name], found):
            found[name] = choose(name, within(space[name], found))
    return {name: found[name] for name in space if name in found}


def is_drawn(distribution: Distribution, before: Mapping[str, ParameterValue]) -> bool:
    """Whether a parameter is drawn beside the values of those that are drawn before it."""
    return all(one.on in before and one.holds(before[one.on]) for one in distribution.when)


def drawn_in(space: Space, parameters: Mapping[str, ParameterValue]) -> list[str]:
    """The parameters that a trial with these values draws, in the order of the space.

    A condition holds only if the parameter that it names is drawn too.

    Args:
        space: the space.
        parameters: values by dotted name; those of parameters that are not drawn have no effect.
    """
    found: dict[str, ParameterValue] = {}
    for name in in_order(space):
        if name in parameters and is_drawn(space[name], found):
            found[name] = parameters[name]
    return [name for name in space if name in found]


def within(distribution: D, parameters: Mapping[str, ParameterValue]) -> D:
    """The distribution with its bounds as they are beside these values of other parameters."""
    if not isinstance(distribution, Interval) or not any(distribution.ends):
        return distribution
    widest = distribution.low, distribution.high
    low, high = (
        number if end is None else end.number(parameters)
        for end, number in zip(distribution.ends, widest, strict=True)
    )
    return replace(distribution, low=low, high=high, ends=(None, None))


def within_itself(space: Space) -> dict[str, Distribution]:
    """A part of a space, without the conditions on parameters that are not in it."""
    return {
        name: replace(kind, when=Conditions(one for one in kind.when if one.on in space))
        for name, kind in space.items()
    }


def configurations(
    space: Space, names: Iterable[str], also: Sequence[Condition] = ()
) -> list[dict[str, ParameterValue]]:
    """Values of some parameters and of all that they depend on: one of each kind of configuration.

    Two are of one kind if the same conditions hold in both: those of the parameters, and ``also``.
    """
    left, part = [*names], dict[str, Distribution]()
    while left:
        if (name := left.pop()) in space and name not in part:
            part[name] = space[name]
            left += depends_on(space[name])
    conditions = [*also, *(one for kind in part.values() for one in kind.when)]
    found: list[dict[str, ParameterValue]] = [{}]
    for name in in_order(part):
        of_it = [one for one in conditions if one.on == name]
        tried = _tried(part[name], of_it)
        kinds = {tuple(one.holds(value) for one in of_it): {name: value} for value in tried}
        found = [
            {**before, **one}
            for before in found
            for one in (kinds.values() if is_drawn(part[name], before) else [{}])
        ]
    return found


def _tried(kind: Distribution, conditions: Sequence[Condition]) -> list[ParameterValue]:
    """Values of a parameter, among them some of each side of every number that conditions name."""
    bounds = possible_values(kind)
    if isinstance(kind, Listed) or kind.extent is None:
        return [*bounds]
    low, high = kind.extent
    named = (value for one in conditions for value in (*one.values, one.above, one.below))
    cuts = sorted({low, high, *(one for one in named if is_number(one) and low < one < high)})
    if kind.size is None:
        return [*cuts, *(one / 2 + other / 2 for one, other in pairwise(cuts))]
    step = (exact(high) - exact(low)) / max(1, kind.size - 1) or 1
    below = [exact(low) + (exact(cut) - exact(low)) // step * step for cut in cuts]
    points = [type(low)(point + more) for point in below for more in (0, step)]
    return [point for point in points if kind.contains(point)]


def lies_in(
    space: Space, parameters: Mapping[str, ParameterValue], order: Iterable[str] | None = None
) -> bool:
    """Whether a space could have drawn these values. Those of other settings are not looked at.

    Args:
        order: `in_order` of the space, for who asks about many trials.
    """
    found: dict[str, ParameterValue] = {}
    for name in in_order(space) if order is None else order:
        if is_drawn(space[name], found):
            if name not in parameters or not holds(space[name], parameters[name], found):
                return False
            found[name] = parameters[name]
    return True


def holds(
    distribution: Distribution, value: ParameterValue, beside: Mapping[str, ParameterValue]
) -> bool:
    """Whether a value could have been drawn beside these values of other parameters."""
    try:
        return within(distribution, beside).contains(value)
    except (TypeError, ValueError):  # beside a preset's values there may be no interval
        return False


@dataclass(frozen=True, slots=True)
class Block:
    """Combinations of a grid that agree in every parameter on which another depends.

    Args:
        fixed: those parameters, as far as they are drawn.
        free: the values of each other parameter that is drawn.
    """

    fixed: Mapping[str, ParameterValue]
    free: Mapping[str, tuple[ParameterValue, ...]]

    @property
    def size(self) -> int:
        return math.prod(map(len, self.free.values()))

    def combination(self, place: int) -> dict[str, ParameterValue]:
        """One of them; the last free parameter varies fastest."""
        found = dict(self.fixed)
        for name, values in reversed([*self.free.items()]):
            place, index = divmod(place, len(values))
            found[name] = values[index]
        return found


def blocks(space: Space) -> Iterator[Block]:
    """A grid of all listed values, in which every distinct combination occurs once.

    Intervals are left out, and so are conditions on what is not in the space.
    """
    listed = within_itself({n: kind for n, kind in space.items() if isinstance(kind, Listed)})
    values_of = {name: kind.values for name, kind in space.items() if isinstance(kind, Listed)}
    needed = {on for kind in listed.values() for on in depends_on(kind)}
    parents = {name: listed[name] for name in in_order(listed) if name in needed}
    seen = set[str]()
    for values in product(*(values_of[name] for name in parents)):
        chosen = dict(zip(parents, values, strict=True))
        drawn = drawn_in(parents, chosen)
        fixed = {name: chosen[name] for name in drawn}
        if repr(fixed) not in seen:
            seen.add(repr(fixed))
            free = {
                name: values_of[name]
                for name, kind in listed.items()
                if name not in needed and is_drawn(kind, fixed)
            }
            yield Block(fixed, free)


def grid_size(space: Space) -> int:
    """Number of distinct combinations of all listed values; intervals are left out."""
    return sum(block.size for block in blocks(space))
