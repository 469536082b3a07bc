"""The values that trials had when they reached one rung."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from statistics import median

from sweep.vocabulary.dominance import Point, place_among


class Rung:
    """Scores recorded at one rung, at most one a trial; a higher score is a better one.

    Args:
        epochs: count of trained epochs at which a trial reaches the rung.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._score_of: dict[str, float] = {}
        self._scores: list[float] = []  # the same, ascending

    @staticmethod
    def takes(score: float) -> bool:
        """Whether a score can be recorded."""
        return math.isfinite(score)

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._score_of

    def record(self, trial_id: str, score: float) -> None:
        """Add the finite score of a trial that is not recorded here yet."""
        self._score_of[trial_id] = score
        insort(self._scores, score)

    def remove(self, trial_id: str) -> None:
        """Forget the trial, if it is recorded here."""
        score = self._score_of.pop(trial_id, None)
        if score is not None:
            del self._scores[bisect_left(self._scores, score)]

    def rank(self, score: float) -> int:
        """1 + the number of recorded scores that are strictly better: equal scores share it."""
        return 1 + len(self._scores) - bisect_right(self._scores, score)

    def median(self) -> float:
        """Median of the recorded scores; raises ValueError if there is none."""
        return median(self._scores)


class ParetoRung:
    """As `Rung`, of points: they are ranked by `sweep.vocabulary.dominance.places`.

    A trial's rank changes as others arrive. `Asha` asks for it once, on arrival.

    Args:
        epochs: count of trained epochs at which a trial reaches the rung.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._point_of: dict[str, Point] = {}

    @staticmethod
    def takes(point: Point) -> bool:
        """Whether a point can be recorded. Missing values, −∞, may be in it, but not the first."""
        return math.isfinite(point[0]) and not any(score == math.inf for score in point)

    def __len__(self) -> int:
        return len(self._point_of)

    def __contains__(self, trial_id: str) -> bool:
        return trial_id in self._point_of

    def record(self, trial_id: str, point: Point) -> None:
        """Add the point of a trial that is not recorded here yet."""
        self._point_of[trial_id] = point

    def remove(self, trial_id: str) -> None:
        """Forget the trial, if it is recorded here."""
        self._point_of.pop(trial_id, None)

    def rank(self, point: Point) -> int:
        """1 + the number of recorded points before it: equal points share it."""
        return 1 + place_among(point, [*self._point_of.values()])


AnyRung = Rung | ParetoRung
