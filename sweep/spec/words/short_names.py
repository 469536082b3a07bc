"""Short forms of parameters and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sweep.vocabulary.record import ParameterValue, Replicate


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Dotted name → its last part, or the whole name if others have the same last part."""
    last = [name.rpartition(".")[2] for name in names]
    return {
        name: short if last.count(short) == 1 else name
        for name, short in zip(names, last, strict=True)
    }


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

    The name of its preset, or its searched parameters: ``warmup_epochs=20 compactness=0.031``. The
    label of a replicate begins with its finalist.
    """
    names = short_names(list(parameters))
    searched = " ".join(f"{names[name]}={words(value)}" for name, value in parameters.items())
    own = searched if preset is None else preset
    if replicate is None:
        return own
    return f"replicate of {replicate.of} seed={replicate.seed} fold={replicate.fold} {own}"
