"""Other state of a user's class, besides network, optimizer and schedule.

Every attribute with a state goes into its checkpoints: a second optimizer, a gradient scaler, an
average of the weights, a generator. An attribute that is made only in an epoch is missing in a
resumed trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import TrainerError

Groups = Sequence[Sequence[nn.Parameter]]


def groups_of(optimizer: Optimizer) -> Groups:
    """The parameters of an optimizer, group by group."""
    return [list(group["params"]) for group in optimizer.param_groups]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a class has made before its first epoch, and makes again in a resumed trial.

    Args:
        optimizer: the optimizer of its network.
        groups: of the optimizer's parameters.
        held: names of the attributes with a state.
    """

    optimizer: Optimizer
    groups: Groups
    held: frozenset[str]


def stateful(attributes: Mapping[Any, Any], known: Set[int], within: str = "") -> dict[str, Any]:
    """The objects with a state among the attributes of a training, each by a name.

    Args:
        attributes: searched, with the lists, tuples and dicts among them.
        known: ids of the objects that are kept elsewhere.
        within: name of the list, tuple or dict that is searched.
    """
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        if id(value) in known:
            continue
        name = f"{within}[{key!r}]" if within else str(key)
        methods = (getattr(type(value), m, None) for m in ("state_dict", "load_state_dict"))
        if isinstance(value, torch.Generator) or all(map(callable, methods)):
            found[name] = value
        elif isinstance(value, dict | list | tuple):
            below = value if isinstance(value, dict) else dict(enumerate(value))
            found |= stateful(below, known | {id(value)}, name)
    return found


def states(held: Mapping[str, Any]) -> dict[str, Any]:
    """The state of each object. Empty states are left out, such as that of a plain loss."""
    found = {
        name: one.get_state() if isinstance(one, torch.Generator) else one.state_dict()
        for name, one in held.items()
    }
    return {name: state for name, state in found.items() if len(state)}


def load_states(held: Mapping[str, Any], found: Mapping[str, Any], here: str) -> None:
    """Load the state of each object.

    Args:
        here: names the class, for messages.
    Raises:
        TrainerError: one is missing, or does not accept its state.
    """
    for name, state in found.items():
        if name not in held:
            raise TrainerError(f"{here}: has no self.{name}, but its checkpoint has a state of it")
        one = held[name]
        try:
            one.set_state(state) if isinstance(one, torch.Generator) else one.load_state_dict(state)
        except Exception as error:
            raise TrainerError(
                f"{here}: self.{name} does not take its state back: {last_line(error)}"
            ) from error


def late_groups(began: Groups, optimizer: Optimizer, model: nn.Module) -> list[list[str]] | None:
    """Names of the parameters in the groups that were added since. None if other groups have
    changed too, or a parameter has no name in the network.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    now = groups_of(optimizer)
    is_same = all(
        list(map(id, then)) == list(map(id, later))
        for then, later in zip(began, now[: len(began)], strict=False)
    )
    added = [[names.get(id(p)) for p in group] for group in now[len(began) :]]
    if len(now) < len(began) or not is_same or any(None in group for group in added):
        return None
    return [[str(name) for name in group] for group in added]


def add_groups(optimizer: Optimizer, model: nn.Module, groups: Sequence[Sequence[str]]) -> None:
    """Add groups of the parameters with these names."""
    named = dict(model.named_parameters())
    for group in groups:
        optimizer.add_param_group({"params": [named[name] for name in group]})
