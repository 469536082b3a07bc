"""Spaces with conditions and dependent bounds, for samplers of Optuna.

A sampler sees a space of independent parameters. One whose bounds depend on another is its place
between them (`sweep.spec.space.relative_places`). What a sampler proposes for a parameter that the
trial does not draw is dropped. The study has in its place:

| searcher       | the study has                                                              |
|----------------|----------------------------------------------------------------------------|
| `tpe`          | nothing: it models each group of parameters that occur together (``group``) |
| `gp`           | the middle of its range, so that it adds no distance between two trials    |
| `cmaes`, `qmc` | what was proposed: their sequence goes on as if it had acted               |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from sweep.search.searchers.optuna_samplers import Undrawn
from sweep.search.searchers.optuna_space import suggest
from sweep.search.searchers.optuna_study import Translator
from sweep.spec.space.distributions import Distribution, Interval
from sweep.spec.space.linked_space import in_order, is_drawn, taken
from sweep.spec.space.relative_places import STEPS, place_of, value_at
from sweep.vocabulary.record import ParameterValue


class LinkedTranslator(Translator):
    """As `Translator`, but a parameter with dependent bounds is its place between them.

    Args:
        space: distribution of each searched parameter under its dotted name.
        undrawn: what the study has of a parameter that a trial does not draw.
    """

    def __init__(self, space: Mapping[str, Distribution], undrawn: Undrawn) -> None:
        super().__init__(space)
        self._undrawn = undrawn
        self.distributions = {
            name: IntDistribution(0, STEPS) if _is_place(space[name]) else self.distributions[name]
            for name in in_order(space)
        }

    def encode(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        encoded = {}

        def encode(name: str, distribution: Distribution) -> ParameterValue:
            encoded[name] = self._encoded(name, distribution, parameters[name])
            return parameters[name]

        taken(self._space, encode, parameters)
        return encoded

    def decode(self, params: Mapping[str, Any]) -> dict[str, ParameterValue]:
        return taken(
            self._space, lambda name, kind: self._decoded(name, kind, params[name]), params
        )

    def completed(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        encoded = self.encode(parameters)
        if self._undrawn == "absent":
            return encoded
        return {
            name: encoded.get(name, middle(distribution))
            for name, distribution in self.distributions.items()
        }

    def suggested(self, trial: optuna.Trial) -> optuna.Trial:
        for name, distribution in self.distributions.items():
            if self._undrawn != "absent" or self._is_drawn(name, trial.params):
                suggest(trial, name, distribution)
        return trial

    def settled(self, name: str, proposed: Any, before: Mapping[str, Any]) -> Any:
        """What the study gets for a proposal.

        Args:
            name: of the parameter.
            proposed: by the sampler.
            before: what the study has of the parameters before it, as in `distributions`.
        """
        if self._is_drawn(name, before):
            drawn = self.decode({**before, name: proposed})
            return self.encode(drawn)[name]  # of the places of a whole number, the middle one
        return middle(self.distributions[name]) if self._undrawn == "middle" else proposed

    def sampler(self, inner: BaseSampler) -> BaseSampler:
        return LinkedSampler(inner, self)

    def _is_drawn(self, name: str, before: Mapping[str, Any]) -> bool:
        return is_drawn(self._space[name], self.decode(before))

    def _encoded(self, name: str, distribution: Distribution, value: ParameterValue) -> Any:
        if not _is_place(self._space[name]):
            return self._codecs[name].encode(value)
        assert isinstance(distribution, Interval)
        assert isinstance(value, int | float)
        return place_of(distribution, value)

    def _decoded(self, name: str, distribution: Distribution, param: Any) -> ParameterValue:
        if not _is_place(self._space[name]):
            return self._codecs[name].decode(param)
        assert isinstance(distribution, Interval)
        return value_at(distribution, param)


class LinkedSampler(BaseSampler):
    """Asks a sampler for every parameter at once, and settles its proposals one after the other.

    Args:
        inner: the sampler, of one trial.
        translator: says what becomes of a proposal.
    """

    def __init__(self, inner: BaseSampler, translator: LinkedTranslator) -> None:
        self._inner = inner
        self._translator = translator
        self._proposed: dict[str, Any] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        # All at once: what is drawn from the sampler's random numbers must not depend on which
        # parameters of a resumed trial are known already.
        joint = self._inner.infer_relative_search_space(study, trial)
        self._proposed = self._inner.sample_relative(study, trial, joint)
        for name, distribution in self._translator.distributions.items():
            if name not in self._proposed and not distribution.single():
                self._proposed[name] = self._inner.sample_independent(
                    study, trial, name, distribution
                )
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._translator.settled(param_name, self._proposed[param_name], trial.params)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)


def middle(distribution: BaseDistribution) -> Any:
    """The middle of a range on its own scale; of listed values the first.

    Raises:
        TypeError: for a distribution that is not used here.
    """
    match distribution:
        case FloatDistribution(low=low, high=high, log=log):
            return math.sqrt(low) * math.sqrt(high) if log else low / 2 + high / 2
        case IntDistribution(low=low, high=high, log=log, step=step):
            center = math.sqrt(low * high) if log else (low + high) / 2
            return low + step * round((center - low) / step)
        case CategoricalDistribution(choices=choices):
            return choices[0]
        case _:
            raise TypeError(f"no middle of {distribution!r}")


def _is_place(distribution: Distribution) -> bool:
    return isinstance(distribution, Interval) and any(distribution.ends)
