"""The distributions of a search space, in the words known from Ray Tune and Optuna.

    loss.weights.compactness: {loguniform: [1e-3, 1]}

| in YAML                  | draws                                                             |
|--------------------------|-------------------------------------------------------------------|
| `uniform: [low, high]`   | a number between low and high                                     |
| `loguniform: [low, high]`| the same, evenly over the orders of magnitude; low > 0            |
| `quniform: [low, high, q]` | a multiple of q; low and high are multiples of q and included   |
| `randint: [low, high]`   | a whole number; **high is excluded**, as in Ray Tune and numpy    |
| `qrandint: [low, high, q]` | low, low + q, … up to high, which is **included**               |
| `lograndint: [low, high]`| the same, evenly over the orders of magnitude; low ≥ 1            |
| `choice: [a, b, …]`      | one of the values                                                 |
| `grid: [a, b, …]`        | each of the values in turn (searcher `grid`)                      |

``when:`` beside it makes it conditional (`sweep.spec.space.conditions`), and a bound can be the
name of another setting (`sweep.spec.space.dependent_bounds`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Self

from sweep.spec.space.conditions import Conditions
from sweep.spec.space.dependent_bounds import Bound
from sweep.spec.space.priors import Prior
from sweep.spec.words.dialects import exact
from sweep.spec.words.phrases import shown
from sweep.vocabulary.parameter_values import as_parameter, exactly, is_number
from sweep.vocabulary.record import ParameterValue


@dataclass(frozen=True, kw_only=True)
class Distribution(ABC):
    """What one searched setting is drawn from.

    Keyword-only fields are what may stand beside the distribution's word in the YAML (`BESIDE` in
    `distribution_yaml.py`); they are no part of its list.
    """

    prior: Prior | None = field(default=None, repr=False)
    """What the user thinks likely."""

    name: ClassVar[str]
    """Its word in the YAML."""
    takes: ClassVar[str]
    """The form of its list in the YAML."""
    when: Conditions = field(default=Conditions(), repr=False)
    """It is drawn only where all of these hold."""

    @classmethod
    @abstractmethod
    def parse(cls, arguments: list[Any]) -> Self:
        """From the list in the YAML; raises ValueError with what would be right."""

    @property
    @abstractmethod
    def arguments(self) -> list[ParameterValue]:
        """The list in the YAML."""

    @property
    @abstractmethod
    def extent(self) -> tuple[float, float] | None:
        """Smallest and largest number that can be drawn; None where none can."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many values can be drawn; None for a continuum."""

    @abstractmethod
    def sample(self, rng: Random) -> ParameterValue:
        """One value."""

    @abstractmethod
    def contains(self, value: ParameterValue) -> bool:
        """Whether the value could have been drawn."""


@dataclass(frozen=True)
class Interval(Distribution):
    """Base of the distributions between two numbers.

    Where a bound depends on another setting, ``low`` and ``high`` are the widest that it can be.
    """

    low: float
    high: float
    ends: tuple[Bound | None, Bound | None] = field(default=(None, None), kw_only=True, repr=False)
    """What low and high depend on; None for a number."""

    takes = "[low, high]"
    is_log: ClassVar[bool] = False
    """Whether it is even over the orders of magnitude."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"`{self.name}` needs low < high, but has {shown(self.arguments)}")

    @classmethod
    def parse(cls, arguments: list[Any]) -> Self:
        if len(arguments) != cls.takes.count(",") + 1:
            raise ValueError(f"`{cls.name}` takes {cls.takes}, but has {shown(arguments)}")
        return cls(*(cls.parse_number(value) for value in arguments))

    @classmethod
    def parse_number(cls, value: Any) -> float:
        if not is_number(value) or not math.isfinite(value):
            raise ValueError(f"`{cls.name}` takes numbers, but has {shown(value)}")
        return float(value)

    @property
    def arguments(self) -> list[ParameterValue]:
        own = [getattr(self, name) for name in self.__match_args__]
        ends = [*self.ends, *[None] * (len(own) - len(self.ends))]
        return [end.written if end else number for end, number in zip(ends, own, strict=True)]

    @property
    def extent(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def size(self) -> int | None:
        return None

    def sample(self, rng: Random) -> float:
        return between(self.low, self.high, rng.random(), log=self.is_log)

    def contains(self, value: ParameterValue) -> bool:
        return is_number(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Uniform(Interval):
    """A number between low and high."""

    name = "uniform"


@dataclass(frozen=True)
class LogUniform(Interval):
    """A number between low and high whose logarithm is uniform."""

    name = "loguniform"
    is_log = True

    def __post_init__(self) -> None:
        _require_logarithm(self, "low > 0", "give a small positive bound, or ", Uniform)
        super().__post_init__()


@dataclass(frozen=True)
class QUniform(Interval):
    """A multiple of q from low to high, both included; each is equally likely, as in Optuna."""

    q: float

    name = "quniform"
    takes = "[low, high, q]"

    def __post_init__(self) -> None:
        if self.q <= 0:
            raise ValueError(f"`quniform` needs q > 0, but has {shown(self.arguments)}")
        super().__post_init__()
        steps = [exact(bound) / exact(self.q) for bound in (self.low, self.high)]
        if any(count.denominator != 1 for count in steps):
            raise ValueError(
                f"`quniform` needs bounds that are multiples of q, but has {shown(self.arguments)}"
            )

    @property
    def size(self) -> int:
        return int((exact(self.high) - exact(self.low)) / exact(self.q)) + 1

    def sample(self, rng: Random) -> float:
        return self._point(rng.randrange(self.size))

    def nearest(self, value: float) -> float:
        """The value of the distribution that is nearest to ``value``."""
        steps = round((exact(value) - exact(self.low)) / exact(self.q))
        return self._point(min(max(steps, 0), self.size - 1))

    def contains(self, value: ParameterValue) -> bool:
        return super().contains(value) and is_number(value) and self.nearest(value) == value

    def _point(self, steps: int) -> float:
        # In fractions of the written decimals: 0.1 · 3 is 0.3, not 0.30000000000000004.
        return float(exact(self.low) + steps * exact(self.q))


@dataclass(frozen=True)
class WholeNumbers(Interval):
    """Base of the distributions over whole numbers."""

    low: int
    high: int

    @classmethod
    def parse_number(cls, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"`{cls.name}` takes whole numbers, but has {shown(value)}")
        return value

    @property
    @abstractmethod
    def values(self) -> range:
        """All numbers that can be drawn, ascending."""

    @property
    def extent(self) -> tuple[int, int]:
        return self.values[0], self.values[-1]

    @property
    def size(self) -> int:
        # Not len(), which fails beyond 2**63.
        return (self.values[-1] - self.values[0]) // self.values.step + 1

    def sample(self, rng: Random) -> int:
        return rng.randrange(self.values.start, self.values.stop, self.values.step)

    def contains(self, value: ParameterValue) -> bool:
        # A range holds 2.0 and True too.
        return isinstance(value, int) and not isinstance(value, bool) and value in self.values


@dataclass(frozen=True)
class RandInt(WholeNumbers):
    """A whole number from low to high - 1: the upper bound is excluded."""

    name = "randint"

    def __post_init__(self) -> None:
        if self.low == self.high:
            raise ValueError(
                f"`{self.name}` excludes its upper bound, so {shown(self.arguments)} is empty; "
                f"did you mean [{self.low}, {self.high + 1}]?"
            )
        super().__post_init__()

    @property
    def values(self) -> range:
        return range(self.low, self.high)


@dataclass(frozen=True)
class QRandInt(WholeNumbers):
    """One of low, low + q, … up to high, which is included; each is equally likely."""

    # As Optuna's `suggest_int` with a step. Ray Tune's `qrandint` has the same values, but takes
    # only bounds that are multiples of q.
    q: int

    name = "qrandint"
    takes = "[low, high, q]"

    def __post_init__(self) -> None:
        if self.q < 1:
            raise ValueError(f"`qrandint` needs q >= 1, but has {shown(self.arguments)}")
        super().__post_init__()
        if beyond := (self.high - self.low) % self.q:
            nearest = [self.low, self.high - beyond, self.q]
            meant = f"; did you mean {shown(nearest)}?" if nearest[0] < nearest[1] else ""
            raise ValueError(
                "`qrandint` needs a high that is reached from low in steps of q, but has "
                f"{shown(self.arguments)}{meant}"
            )

    @property
    def values(self) -> range:
        return range(self.low, self.high + 1, self.q)


@dataclass(frozen=True)
class LogRandInt(RandInt):
    """A whole number from low to high - 1 whose logarithm is about uniform."""

    name = "lograndint"
    is_log = True

    def __post_init__(self) -> None:
        _require_logarithm(self, "low >= 1", "", RandInt)
        super().__post_init__()

    def sample(self, rng: Random) -> int:
        value = between(self.low, self.high, rng.random(), log=True)
        return min(int(value), self.high - 1)


@dataclass(frozen=True)
class Listed(Distribution):
    """Base of the distributions over listed values: single ones and lists, which are tuples here.

    0, 0.0, "0" and false are four values.
    """

    values: tuple[ParameterValue, ...]

    takes = "[a, b, …]"

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"`{self.name}` is empty; list the values to try")
        seen = set()
        for value in self.values:
            if exactly(value) in seen:
                raise ValueError(f"`{self.name}` lists {shown(value)} twice")
            seen.add(exactly(value))

    @classmethod
    def parse(cls, arguments: list[Any]) -> Self:
        for value in arguments:
            cls._check_value(value)
        return cls(tuple(map(as_parameter, arguments)))

    @classmethod
    def _check_value(cls, value: Any, levels: int = 2) -> None:
        """Refuse what no setting takes; lists may be nested ``levels`` times."""
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError(f"`{cls.name}` has an empty list among its values")
            if not levels:
                raise ValueError(f"`{cls.name}` has lists that are nested too deep")
            for item in value:
                cls._check_value(item, levels - 1)
        elif isinstance(value, dict):
            raise ValueError(
                f"`{cls.name}` lists single values, but has {shown(value)}; "
                "search the settings of a group one by one, by their dotted names"
            )
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{cls.name}` takes finite numbers, but has {shown(value)}")

    @property
    def arguments(self) -> list[ParameterValue]:
        return list(self.values)

    @property
    def extent(self) -> tuple[float, float] | None:
        numbers = [value for value in self.values if is_number(value)]
        return (min(numbers), max(numbers)) if numbers else None

    @property
    def size(self) -> int:
        return len(self.values)

    def sample(self, rng: Random) -> ParameterValue:
        return rng.choice(self.values)

    def contains(self, value: ParameterValue) -> bool:
        return any(exactly(one) == exactly(value) for one in self.values)


@dataclass(frozen=True)
class Choice(Listed):
    """One of the values, each equally likely."""

    name = "choice"


@dataclass(frozen=True)
class Grid(Listed):
    """Each of the values in turn, in every combination with the other settings of the space."""

    name = "grid"


def possible_values(distribution: Distribution) -> tuple[ParameterValue, ...]:
    """All values of a list, the bounds of an interval."""
    if isinstance(distribution, Listed):
        return distribution.values
    return distribution.extent or ()


def between(low: float, high: float, share: float, *, log: bool) -> float:
    """What lies at a share of the way from low to high, also where high - low is infinite.

    Args:
        share: from 0 to 1.
        log: whether the way is that of the logarithms.
    """
    if log:
        value = math.exp(math.log(low) * (1 - share) + math.log(high) * share)
    else:
        value = low * (1 - share) + high * share
    return min(max(value, low), high)


def _require_logarithm(kind: Interval, needed: str, instead: str, plain: type[Interval]) -> None:
    """Refuse a lower bound without a logarithm, with what fits it better."""
    if kind.low > 0:
        return
    order = "" if kind.low < kind.high else " and low < high"
    cure = f"{instead}list the values with 0 in a `choice`"
    if kind.low < 0:
        cure = f"a negative number has no logarithm: `{plain.name}` takes it"
    has = shown(kind.arguments)
    raise ValueError(f"`{kind.name}` needs {needed}{order}, but has {has}; {cure}")
