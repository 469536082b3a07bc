"""Short forms of parameters and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sweep.vocabulary.record import ParameterValue, Replicate

SAYS_NOTHING_ALONE = frozenset({
    # headings and columns of a ranking, a page, or its files
    "epochs", "fold", "metric", "mode", "name", "seed", "test",
    # words that need the noun before them
    "base_features", "border", "change", "channels", "components", "configuration", "count",
    "counts_from", "degrees", "difficulty", "entry", "every", "fingerprint", "folder", "folds",
    "gap", "geometry", "kind", "largest", "main", "max_features", "metrics", "options", "plans",
    "probability", "raw", "schedule", "sigma", "size", "smallest", "source", "spatial", "std",
    "step", "terms", "threshold", "tissues",
})  # fmt: skip
"""Last parts of settings that keep the part before them."""
WITH_OTHERS_KEYS = frozenset({"weights", "options", "main_options", "nsd_tolerance"})
"""Mappings whose keys are names of other things (loss terms, arguments, classes). A key alone would
read as the thing itself: ``compactness`` is also a metric."""


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Dotted name → the name by which people read it in tables, figures and labels.

    The shortest end of the dotted name, in whole parts, that

    - no other of ``names`` ends with,
    - is not a single word of `SAYS_NOTHING_ALONE`: ``optimizer.name``, not ``name``,
    - is not a bare key of `WITH_OTHERS_KEYS`: ``weights.compactness``, not ``compactness``.

    Where there is none, it is the whole name. So no two are equal, and none of several parts is
    equal to the heading of another column. The order of ``names`` makes no difference. Files keep
    the whole names.
    """
    return {name: _short(name, [one for one in names if one != name]) for name in names}


def _short(name: str, others: Sequence[str]) -> str:
    parts = name.split(".")
    for start in range(len(parts) - 1, 0, -1):
        end = ".".join(parts[start:])
        is_key = parts[start - 1] in WITH_OTHERS_KEYS
        if end == parts[-1] and (is_key or end in SAYS_NOTHING_ALONE):
            continue
        if not any(other == end or other.endswith(f".{end}") for other in others):
            return end
    return name


def words(value: ParameterValue) -> str:
    """A value as it stands in a YAML file, numbers to three digits."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(words, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return rounded(value, 3) if isinstance(value, float) else str(value)


def rounded(number: float, digits: int) -> str:
    """``number`` with ``digits`` significant digits; with an exponent below 0.001."""
    text = f"{number:.{digits}g}"
    if 0 < abs(number) < 1e-3 and "e" not in text:  # 1e-4 beside 1e-6
        mantissa, _, exponent = f"{number:.{digits - 1}e}".partition("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{exponent}"
    return re.sub(r"e([+-])0", r"e\1", text)


def label(
    parameters: Mapping[str, ParameterValue],
    preset: str | None = None,
    replicate: Replicate | None = None,
) -> str:
    """What distinguishes a trial from the others of its sweep, in one line.

    The name of its preset, or its searched parameters: ``warmup_epochs=20 weights.aspect=0.031``.
    The label of a replicate begins with its finalist.
    """
    names = short_names(list(parameters))
    searched = " ".join(f"{names[name]}={words(value)}" for name, value in parameters.items())
    own = searched if preset is None else preset
    if replicate is None:
        return own
    return f"replicate of {replicate.of} seed={replicate.seed} fold={replicate.fold} {own}"
