"""Settings whose best value means nothing: a trial only gets easier cases or more luck."""

from __future__ import annotations

from collections.abc import Mapping

LUCK: Mapping[str, str] = {
    "seed": "a `seed` is not a choice: the best one was lucky, which says nothing about the next"
    " training",
    **dict.fromkeys(
        ("data.fold", "data.folds", "data.seed", "trainer.fold"),
        "trials of different values are validated on different cases, so their Dice cannot be"
        " compared, and the easiest cases win",
    ),
    **dict.fromkeys(
        ("data.kind", "data.difficulty", "data.size", "data.count", "data.validation_slices",
         "data.gap", "data.step", "data.threshold", "data.slice_axis", "data.folder",
         "trainer.dataset"),
        "trials of different values are validated on different data, so their Dice cannot be"
        " compared, and the easiest data win",
    ),
}  # fmt: skip
"""Settings that should not be searched → why."""
REPEATED = "seed", "data.fold", "data.seed", "trainer.fold"
"""Those of them that `confirm` repeats: it trains each leader again in the same way."""
