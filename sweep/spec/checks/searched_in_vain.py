"""Conditions that are missing, useless or impossible, as far as `RULES` and the replay show, and
priors that nothing would use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sweep.spec.checks.inactive_settings import RULES, Rule
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.conditions import Condition
from sweep.spec.space.distributions import Listed
from sweep.spec.space.linked_space import depends_on
from sweep.spec.tree.setting_tree import Finding
from sweep.spec.words.phrases import shown
from sweep.vocabulary.parameter_values import is_number

WITHOUT_PRIORS = {
    "grid": "`searcher: grid` tries every value",
    "qmc": "`searcher: qmc` spreads its trials evenly over the space",
    "cmaes": "`searcher: cmaes` learns only from points that it drew itself",
}
"""Searchers that use no prior → why, as a clause."""


def check_conditions(spec: SweepSpec) -> Iterator[Finding]:
    """Conditions under which a parameter has no effect, and those beside replayed settings."""
    for key, distribution in spec.space.items():
        for condition in distribution.when:
            path = ("space", key, "when", condition.on)
            possible = [one for one in spec.values_of(condition.on) if condition.holds(one)]
            for rule in RULES:
                decides = possible and _decides(rule, key, condition.on)
                if decides and not _acts(rule, possible):
                    yield Finding(path, f"is drawn only where it has no effect: {rule.why}")
        needed = [*spec.replayed.keys() & {*depends_on(distribution)}]
        if key in spec.replayed and depends_on(distribution):
            yield Finding(
                ("space", key),
                "needs no condition and no dependent bound: it is not drawn, one curve answers for"
                " all its values; leave them out, or set `replay_patience: false`",
            )
        elif needed:
            yield Finding(
                ("space", key),
                f"cannot depend on `{needed[0]}`, which is not drawn: one curve answers for all its"
                " values; set `replay_patience: false`",
            )


def missing_conditions(spec: SweepSpec) -> Iterator[str]:
    """A sentence for each parameter that is drawn also where it has no effect, with the cure."""
    for key, distribution in spec.drawn.items():
        for rule in RULES:
            for on in rule.needs:
                parent = spec.drawn.get(on)
                if (
                    not _decides(rule, key, on)
                    or not isinstance(parent, Listed)
                    or on in depends_on(distribution)
                ):
                    continue
                acting = [value for value in parent.values if _acts(rule, [value])]
                if acting and len(acting) < len(parent.values):
                    idle = next(value for value in parent.values if value not in acting)
                    yield (
                        f"`{key}` is drawn for all trials, but has no effect where `{on}` is"
                        f" {shown(idle)}: {rule.why}; add {_condition(on, acting, parent)}"
                    )


def _acts(rule: Rule, values: Sequence[Any]) -> bool:
    """Whether a rule's settings act where the one that it needs has any of these values."""
    return rule.acts(lambda _: values)


def _decides(rule: Rule, key: str, on: str) -> bool:
    """Whether a parameter acts if one other setting has an accepted value."""
    return key in rule.keys and [*rule.needs] == [on]


def _condition(on: str, acting: list[Any], parent: Listed) -> str:
    rest = [value for value in parent.values if value not in acting]
    numbers = [value for value in parent.values if is_number(value)]
    if len(numbers) == len(parent.values) and len(acting) > 1 and rest == [0]:
        return Condition(on, above=0).words
    return Condition(on, tuple(acting)).words


def check_priors(spec: SweepSpec) -> Iterator[Finding]:
    """Priors beside a searcher without use for them, and of settings that are not drawn."""
    why = WITHOUT_PRIORS.get(spec.searcher.name)
    for key, kind in spec.space.items():
        if kind.prior is None:
            continue
        if key in spec.replayed:
            message = "`prior` has no effect: `replay_patience` trains no trial for this setting"
            yield Finding(("space", key), message)
        elif why is not None:
            message = f"`prior` has no effect: {why}; use `tpe`, `gp` or `random`"
            yield Finding(("space", key), message)
