"""Priors that nothing would use."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.tree.setting_tree import Finding

WITHOUT_PRIORS = {
    "grid": "`searcher: grid` tries every value",
    "qmc": "`searcher: qmc` spreads its trials evenly over the space",
    "cmaes": "`searcher: cmaes` learns only from points that it drew itself",
}
"""Searchers that use no prior → why, as a clause."""


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
