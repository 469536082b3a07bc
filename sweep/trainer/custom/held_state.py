"""Other state of a user's class, besides network, optimizer and schedule.

Whatever has a state goes into its checkpoints: a second optimizer, a gradient scaler, an average of
the weights, a generator. What is made only in an epoch is not there in a trial that goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import last_line

Groups = Sequence[Sequence[nn.Parameter]]


def groups_of(optimizer: Optimizer) -> Groups:
    """The parameters of an optimizer, group by group."""
    return [list(group["params"]) for group in optimizer.param_groups]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a class has made by its first epoch, as it makes it again in a trial that goes on.

    Args:
        optimizer: that steps its network.
        groups: of its parameters.
        held: names of what has a state.
    """

    optimizer: Optimizer
    groups: Groups
    held: frozenset[str]


def stateful(attributes: Mapping[str, Any], known: Iterable[Any]) -> dict[str, Any]:
    """What has a state of its own in the attributes of a training, by a name for each.

    Args:
        attributes: looked through with the lists, tuples and dicts among them.
        known: what is kept elsewhere.
    """
    return dict(_stateful(attributes, {id(one) for one in known}))


def _stateful(found: Mapping[Any, Any], known: set[int], within: str = "") -> Iterator[Any]:
    for key, value in found.items():
        if id(value) in known:
            continue
        name = f"{within}[{key!r}]" if within else str(key)
        if isinstance(value, torch.Generator) or _has_state(value):
            yield name, value
        elif isinstance(value, dict | list | tuple):
            below = value if isinstance(value, dict) else dict(enumerate(value))
            yield from _stateful(below, known | {id(value)}, name)


def _has_state(value: Any) -> bool:
    kind = type(value)
    return all(callable(getattr(kind, name, None)) for name in ("state_dict", "load_state_dict"))


def states(held: Mapping[str, Any]) -> dict[str, Any]:
    """The state of each; those that have an empty one are left out, such as a plain loss."""
    found = {
        name: one.get_state() if isinstance(one, torch.Generator) else one.state_dict()
        for name, one in held.items()
    }
    return {name: state for name, state in found.items() if len(state)}


def load_states(held: Mapping[str, Any], found: Mapping[str, Any], here: str) -> None:
    """Give each its state back.

    Args:
        here: names the class, for messages.
    Raises:
        TrainerError: one is not there, or does not take it.
    """
    for name, state in found.items():
        if name not in held:
            raise TrainerError(f"{here}: has no self.{name}, of which its checkpoint has the state")
        one = held[name]
        try:
            one.set_state(state) if isinstance(one, torch.Generator) else one.load_state_dict(state)
        except Exception as error:
            raise TrainerError(
                f"{here}: self.{name} does not take its state back: {last_line(error)}"
            ) from error


def late_groups(began: Groups, optimizer: Optimizer, model: nn.Module) -> list[list[str]] | None:
    """Names of the parameters of the groups that were added since; None where others have changed
    too, or no name of the network's says which parameters they are.
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
    """Add groups of the parameters of these names."""
    named = dict(model.named_parameters())
    for group in groups:
        optimizer.add_param_group({"params": [named[name] for name in group]})
