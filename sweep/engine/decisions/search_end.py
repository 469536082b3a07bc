"""Whether a search ends before its last trial: see `stop_when`."""

from __future__ import annotations

from sweep.analysis.ranking.further_improvement import Outlook
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import SearchEnded, TrialRecord

IN_A_ROW = 5
"""Ended trials after each of which the chance must be too low. A single low estimate is often
noise, and the search would end at the first that ever comes."""


class SearchEnd:
    """Decide when the search ends. The state is a function of the calls: repeating restores it.

    Args:
        spec: the effective spec.

    Attributes:
        is_reached: whether the search starts no further trial.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._outlook = Outlook(spec)
        self._least = spec.stop_when.after if spec.stop_when else 0
        self._low = 0  # ended trials in a row
        self.is_reached = False

    def tell(self, record: TrialRecord) -> float | None:
        """Note the end of a trial of the search; the chance of a better one if it should end it."""
        rule = self._spec.stop_when
        if rule is None or self.is_reached:
            return None
        self._outlook.add(record)
        chance = self._outlook.chance if self._outlook.ended >= self._least else None
        self._low = self._low + 1 if chance is not None and chance < rule.chance else 0
        return chance if self._low >= IN_A_ROW else None

    def take(self, event: SearchEnded) -> bool:
        """Note a recorded end of the search; whether it holds.

        It does not once the sweep was extended: then `stop_when.after` counts from here.
        """
        self.is_reached = event.trials >= self._spec.trials
        self._low = 0
        if self._spec.stop_when is not None:
            self._least = self._outlook.ended + self._spec.stop_when.after
        return self.is_reached
