"""A configuration that a user enqueues: its values against the space and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from sweep.spec.reading.yaml_document import plain_document
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distribution_yaml import as_yaml
from sweep.spec.space.distributions import Distribution, Interval, possible_values
from sweep.spec.space.linked_space import holds, lies_in, taken
from sweep.spec.tree.setting_tree import setting_names
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of, quoted, shown
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.parameter_values import as_parameter, is_number
from sweep.vocabulary.record import ParameterValue

DRAWS = 20
"""Random draws of the missing values that are tried, if a given value is outside the space."""


def parse_configuration(given: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name, from ``optimizer.lr=0.01`` texts or a mapping.

    Raises:
        InputError: with every value that cannot be read.
    """
    document = plain_document({"space": dict(given) if isinstance(given, Mapping) else {}})
    for text in given if not isinstance(given, Mapping) else ():
        document.override(f"space.{text}")
    if document.mistakes:
        raise InputError(
            [Mistake(one.message, key=one.key.removeprefix("space.")) for one in document.mistakes]
        )
    return {key: as_parameter(value) for key, value in document.values["space"].items()}


def check_enqueued(
    spec: SweepSpec, given: Mapping[str, Any], request: str = ""
) -> tuple[dict[str, ParameterValue], list[str]]:
    """The values as the space would draw them, and warnings about values outside the space.

    Args:
        spec: the effective spec.
        given: values of some or all searched parameters, by dotted name.
        request: id of the request, as for `completions`.

    Raises:
        InputError: with every mistake: a name that is not searched, a value that its setting cannot
            take, or one that is no number where numbers are drawn. A setting with a type refuses
            that itself, but one of `trainer.options` takes anything.
    """
    if not spec.drawn:
        raise InputError.single(
            "this sweep draws no parameter: one curve answers for all that it searches, so no"
            " configuration can be added"
        )
    if not given:
        raise InputError.single(f"give a value to {one_of([*spec.drawn])}, such as KEY=VALUE")
    unknown = [Mistake(_not_drawn(spec, key), key=key) for key in given if key not in spec.drawn]
    if unknown:
        raise InputError(unknown)
    values = spec.as_drawn(given)
    vain = [Mistake(_has_no_effect(spec, key), key=key) for key in given if key not in values]
    if vain:
        raise InputError(vain)
    mistyped = [
        Mistake(f"must be a number, but is {shown(value)}", key=key)
        for key, value in values.items()
        if _needs_number(key, spec.drawn[key], value) and not is_number(value)
    ]
    if mistyped:
        raise InputError(mistyped)
    spec.trial(values)
    whole = next(iter(completions(spec, values, request)), None)
    if whole is None:
        raise InputError.single("these values fit no values of the other searched parameters")
    return values, [
        f"`{key}`: {shown(value)} is outside {shown(as_yaml(spec.drawn[key]))}. It is trained all"
        " the same, but the searcher does not learn from it."
        for key, value in values.items()
        if not holds(spec.drawn[key], value, whole)
    ]


def completions(
    spec: SweepSpec, given: Mapping[str, ParameterValue], request: str
) -> list[dict[str, ParameterValue]]:
    """Drawn parameters with the given ones, and the others at random; only what can be trained.

    Those in whose company the given values lie in the space come first. A function of the arguments
    alone, so a resumed sweep finds the same.

    Args:
        spec: the effective spec.
        given: values by dotted name.
        request: id of the request, which seeds the draws.
    """
    found = []
    for number in range(DRAWS):

        def choose(key: str, kind: Distribution, number: int = number) -> ParameterValue:
            return given[key] if key in given else kind.sample(Random(f"{request}-{number}-{key}"))

        try:
            drawn = taken(spec.drawn, choose)
            spec.trial(spec.to_train(drawn))
        except (InputError, TypeError, ValueError):  # beside such values there may be no interval
            continue
        found.append(drawn)
        if lies_in(spec.drawn, drawn):
            break
    return sorted(found, key=lambda drawn: not lies_in(spec.drawn, drawn))


def _needs_number(key: str, kind: Distribution, value: ParameterValue) -> bool:
    """Whether only a number can be meant: null may be a value of a setting with a type, which knows
    whether it takes it.
    """
    if key in setting_names():
        return isinstance(kind, Interval) and value is not None
    return all(map(is_number, possible_values(kind)))


def _has_no_effect(spec: SweepSpec, key: str) -> str:
    needed = " and ".join(one.words for one in spec.drawn[key].when)
    return f"{quoted(key)} is drawn only {needed}: give such a value too, or leave it out"


def _not_drawn(spec: SweepSpec, key: str) -> str:
    if key in spec.replayed:
        return f"every value of {quoted(key)} is computed from one curve: leave it out"
    if key in setting_names():
        return f"{quoted(key)} is not searched by this sweep; it searches {one_of([*spec.drawn])}"
    ends = {name.rpartition(".")[2]: name for name in spec.drawn}
    last = key.rpartition(".")[2]
    meant = near_miss(key, spec.drawn, 0.8) or ends.get(near_miss(last, ends) or "")
    hint = did_you_mean(meant) or f"; this sweep searches {one_of([*spec.drawn])}"
    return f"{quoted(key)} is not a searched parameter{hint}"
