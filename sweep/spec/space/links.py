"""Checks what the parameters of a space depend on, and finds the widest range of each bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.conditions import Condition
from sweep.spec.space.dependent_bounds import Bound
from sweep.spec.space.distributions import Distribution, Interval, Listed, possible_values
from sweep.spec.space.linked_space import Space, depends_on, in_order, is_linked
from sweep.spec.tree.setting_tree import Finding, setting_names, value_of
from sweep.spec.tree.validation_reports import WrongTogether, unknown_setting
from sweep.spec.words.phrases import did_you_mean, near_miss, quoted, shown
from sweep.vocabulary.parameter_values import is_number, whole
from sweep.vocabulary.record import ParameterValue

Base = Callable[[str], Any]
"""Dotted name → the value of a setting in trials that do not draw it; raises LookupError if there
is no such setting."""


def parse_bounds(kind: type[Distribution], arguments: list[Any]) -> Distribution:
    """A distribution from its list in the YAML, in which a bound may be the name of a setting.

    If one is, nothing can be drawn until the distribution is `linked`.

    Raises:
        ValueError: with what is wrong and what would be right.
    """
    named = [one for one in arguments if isinstance(one, str) and "." in one and not _is_text(one)]
    if not named or not issubclass(kind, Interval) or len(arguments) != 2:
        if kind.takes == Interval.takes:
            _refuse_short_names(kind, arguments)
        return kind.parse(arguments)
    if kind.takes != Interval.takes:
        raise ValueError(
            f"`{kind.name}` takes numbers, but has {shown(arguments)}; in `uniform`, `loguniform`,"
            " `randint` and `lograndint` a bound can be the name of another setting"
        )
    low, high = (
        Bound(one) if one in named else Bound(None, kind.parse_number(one)) for one in arguments
    )
    return kind(1, 2, ends=(low, high))  # any valid numbers, until `linked` knows the right ones


def _refuse_short_names(kind: type[Distribution], arguments: list[Any]) -> None:
    """Raises ValueError for a bound that is the last part of a setting's name."""
    for one in arguments:
        meant = [name for name in setting_names() if name.endswith(f".{one}")]
        if len(meant) == 1:
            raise ValueError(
                f"`{kind.name}` takes numbers and dotted names of settings, but has"
                f" {shown(one)}{did_you_mean(meant[0])}"
            )


def linked(space: Mapping[str, Distribution], base: Base) -> dict[str, Distribution]:
    """The space with the widest range of each bound that depends on another setting.

    Raises:
        WrongTogether: with everything that is wrong with its conditions and bounds.
    """
    found = dict(space)
    if not is_linked(space):
        return found
    order = in_order(found)
    findings = [Finding((name,), _circle_words(name, found)) for name in found if name not in order]
    unknown = found.keys() - order
    for name in order:
        distribution = found[name]
        if isinstance(distribution, Interval) and any(distribution.ends):
            try:
                found[name] = _resolved(distribution, found, base)
            except _WrongBound as wrong:
                findings.append(Finding((name,), str(wrong), rests_on=wrong.of))
                unknown.add(name)
    findings += [
        Finding((name, "when", condition.on), message, rests_on=condition.on)
        for name, distribution in found.items()
        for condition in distribution.when
        if condition.on not in unknown
        for message in _wrong_condition(condition, found, base)
    ]
    if findings:
        raise WrongTogether(findings)
    return found


class _WrongBound(ValueError):
    def __init__(self, message: str, of: str | None = None) -> None:
        super().__init__(message)
        self.of = of


def _is_text(value: str) -> bool:
    """Whether a text is a number in quotes, `"0.1"`, which is no name."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def _wrong_condition(
    condition: Condition, space: Mapping[str, Distribution], base: Base
) -> Iterator[str]:
    on = condition.on
    if on in space:
        yield from _wrong_values(condition, space[on])
    else:
        try:
            value = base(on)
        except LookupError:
            yield _unknown(on, space)
            return
        if isinstance(value, BaseModel):
            inside = [name for name in space if name.startswith(f"{on}.")]
            meant = [name for name in inside if not [*_wrong_values(condition, space[name])]]
            cure = did_you_mean(meant[0] if meant else None) or "; name one that is searched"
            yield f"{quoted(on)} is a group of settings{cure}"
            return
        fixed = f"{quoted(on)} is not searched, it is {shown(value)} in every trial"
        if condition.holds(value):
            yield f"{fixed}, so {condition.words} always holds; leave it out"
        else:
            cure = did_you_mean(_searched(on, space)) or f"; search {quoted(on)} too"
            yield f"{fixed}, so {condition.words} never holds{cure}"


def _wrong_values(condition: Condition, parent: Distribution) -> Iterator[str]:
    on, listed = quoted(condition.on), parent.values if isinstance(parent, Listed) else ()
    if condition.values in listed:
        yield f"{on} takes lists: write a list of them, `[{shown(list(condition.values))}]`"
        return
    for never in (value for value in condition.values if not _can_be(parent, value)):
        texts = [one for one in listed if isinstance(one, str)]
        hint = did_you_mean(near_miss(never, texts) if isinstance(never, str) else None)
        yield f"{on} is never {shown(never)}{hint or f'; it has `{_words(parent)}`'}"
        return
    possible = [condition.holds(value) for value in possible_values(parent)]
    if not condition.values and not any(possible) and not _is_between(condition, parent):
        yield f"{condition.words} never holds; {on} has `{_words(parent)}`"
    always = parent.size == len(condition.values) if condition.values else all(possible)
    if always and not parent.when:
        yield f"{condition.words} holds in every trial; leave it out"


def _searched(name: str, space: Mapping[str, Distribution]) -> str | None:
    """The searched setting of which only the last part was written, maybe misspelt: `name` for
    `optimizer.name`."""
    last = [one.rpartition(".")[2] for one in space]
    end = name if name in last else near_miss(name, sorted(last), 0.75)
    meant = [one for one in space if one.endswith(f".{end}")]
    return meant[0] if "." not in name and len(meant) == 1 else None


def _unknown(name: str, space: Mapping[str, Distribution]) -> str:
    if meant := _searched(name, space):
        return f"{quoted(name)} is not a setting{did_you_mean(meant)}"
    if name in setting_names():
        return f"{quoted(name)} is a setting of another kind than that of this sweep"
    return unknown_setting(name, TrialSettings)[0]


def _can_be(parent: Distribution, value: ParameterValue) -> bool:
    if isinstance(parent, Listed):
        return Condition("", parent.values).holds(value)
    # Of a continuum, no value is drawn exactly.
    return parent.size is not None and any(map(parent.contains, (value, whole(value))))


def _is_between(condition: Condition, parent: Distribution) -> bool:
    """Whether a range holds inside an interval, but at neither of its bounds."""
    if isinstance(parent, Listed) or parent.extent is None:
        return False
    low, high = parent.extent
    above = -math.inf if condition.above is None else condition.above
    below = math.inf if condition.below is None else condition.below
    return max(low, above) < min(high, below)


def _words(distribution: Distribution) -> str:
    return f"{distribution.name}: {shown(distribution.arguments)}"


def _circle_words(name: str, space: Mapping[str, Distribution]) -> str:
    chain = [name]
    while True:
        following = [on for on in depends_on(space[chain[-1]]) if on in space]
        circle = next((on for on in following if on in chain), None)
        if circle is not None or not following:
            return f"depends on itself: {' needs '.join(map(quoted, [*chain, circle or name]))}"
        chain.append(following[0])


def _resolved(distribution: Interval, space: Mapping[str, Distribution], base: Base) -> Interval:
    """With the widest range of its bounds; raises _WrongBound."""
    ends = list[Bound | None]()
    ranges = list[tuple[Any, Any]]()
    for written in distribution.arguments:
        end, reach = None, (written, written)
        if isinstance(written, str):
            end, reach = _reach(distribution, written, space, base)
        ends.append(end)
        ranges.append(reach)
    (low, lowest_high), (highest_low, high) = ranges[0], ranges[1]
    if not lowest_high < highest_low:
        raise _empty(distribution, lowest_high, highest_low, space)
    try:
        return replace(distribution, low=low, high=high, ends=(ends[0], ends[1]))
    except ValueError as error:
        raise _WrongBound(f"with the lowest and highest of its bounds, {error}") from None


def _reach(
    distribution: Interval, of: str, space: Mapping[str, Distribution], base: Base
) -> tuple[Bound, tuple[float, float]]:
    """A bound, with the least and the largest number that it can be."""
    try:
        otherwise = base(of)
    except LookupError:
        otherwise = None
        if of not in space:
            raise _WrongBound(_unknown(of, space), of) from None
    values = [otherwise]
    if of in space:
        own = [condition for condition in distribution.when if condition.on == of]
        values = _numbers_of(space[of], own)
        # Where the other is drawn whenever this one is, its value in the sweep file is no bound.
        drawn_too = {*space[of].when} <= {*distribution.when}
        values += [] if drawn_too or own else [otherwise]
    for value in values:
        try:
            if not is_number(value):
                raise ValueError(f"{quoted(of)} can be {shown(value)}")
            distribution.parse_number(value)
        except ValueError:
            is_whole = isinstance(distribution.parse_number(1), int)
            raise _WrongBound(
                f"a bound of `{distribution.name}` must be a {'whole ' * is_whole}number, but "
                f"{quoted(of)} can be {shown(value)}",
                of,
            ) from None
    if not values:
        raise _WrongBound(f"{quoted(of)} has no value for which its condition holds", of)
    return Bound(of, otherwise), (min(values), max(values))


def _numbers_of(parent: Distribution, own: list[Condition]) -> list[Any]:
    """The values, or the extreme ones, that a parent can have where these conditions hold."""
    if isinstance(parent, Listed):
        return [value for value in parent.values if all(one.holds(value) for one in own)]
    low, high = parent.extent or (0, 0)
    is_whole = isinstance(low, int) and isinstance(high, int)
    for condition in own:
        if condition.values:
            low, high = min(condition.values), max(condition.values)  # type: ignore[type-var, assignment]
        if condition.above is not None:
            least = math.floor(condition.above) + 1 if is_whole else condition.above
            low = max(low, least)
        if condition.below is not None:
            most = math.ceil(condition.below) - 1 if is_whole else condition.below
            high = min(high, most)
    return [low, high]


def _empty(distribution: Interval, low: Any, high: Any, space: Space) -> _WrongBound:
    excluded = " (the upper one is excluded)" if isinstance(low, int) else ""
    names = [one for one in distribution.arguments if isinstance(one, str)]
    of, word = names[-1], "above" if names[-1] == distribution.arguments[1] else "below"
    cure = f", or add `when: {{{of}: {{{word}: …}}}}`" if of in space else ""
    return _WrongBound(
        f"`{distribution.name}` needs low < high, but its bounds can be {shown(low)} and"
        f" {shown(high)}{excluded}; limit {' or '.join(map(quoted, names))}{cure}",
        names[0],
    )


def base_of(groups: Mapping[str, Any]) -> Base:
    """The values of a sweep's settings outside of its space."""

    def base(name: str) -> Any:
        try:
            return value_of(groups, name)
        except (AttributeError, TypeError) as error:
            raise LookupError(name) from error

    return base
