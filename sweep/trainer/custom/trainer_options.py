"""Options of a user's own trainer, and settings without effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import NO_GEOMETRY, TrialSettings
from sweep.spec.tree.setting_tree import names_in, value_of
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue


class Options(dict[str, ParameterValue]):
    """``trainer.options``. They remember which of them were read.

    Whoever takes all at once (``**config``, ``dict(config)``, ``config.items()``) reads each.

    >>> options = Options({"lr": 0.1, "width": 8})
    >>> options["lr"], list(options.unread())
    (0.1, ['nothing has read `trainer.options.width` in the first epoch'])
    >>> dict(**options), list(options.unread())
    ({'lr': 0.1, 'width': 8}, [])
    """

    def __init__(self, options: Mapping[str, ParameterValue]) -> None:
        super().__init__(options)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> ParameterValue:
        self.read.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        # Python copies a dict without asking it, unless it has an `__iter__` of its own.
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.read.add(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().setdefault(name, default)

    def items(self) -> Any:
        self.read.update(self)
        return super().items()

    def values(self) -> Any:
        self.read.update(self)
        return super().values()

    def copy(self) -> dict[str, ParameterValue]:
        return dict(self)

    def unobserved(self) -> dict[str, ParameterValue]:
        """A copy that does not count as read."""
        return dict(super().items())

    def number(self, name: str, default: float | None = None) -> float:
        """An option that is a number; KeyError if neither it nor a default is given."""
        value = self[name] if default is None or name in self else default
        if not is_number(value):
            raise TypeError(f"trainer.options.{name} must be a number, but is {value!r}")
        return value

    def unread(self) -> Iterator[str]:
        """A sentence for each option that was not read so far, told after the first epoch."""
        for name in sorted(self.keys() - self.read):
            yield f"nothing has read `trainer.options.{name}` in the first epoch"


def asked_for(settings: TrialSettings, group: str) -> Iterator[str]:
    """Dotted names of the settings below a group whose values are not defaults."""
    defaults = [type(getattr(settings, group))()]
    if group == "loss":
        defaults.append(LossSettings.model_validate(NO_GEOMETRY))
    for name in names_in(settings):
        key = name.removeprefix(f"{group}.")
        values = [value_of(default, key) for default in defaults if key != name]
        if values and value_of(settings, name) not in values:
            yield name
