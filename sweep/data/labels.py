"""Labels as nnU-Net reads them: which classes ``dataset.json`` names, and which a pixel has.

Source: nnU-Net 2.8.1, ``utilities/label_handling/label_handling.py`` and ``imageio``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LABELS = 256
"""Labels are kept as 8-bit integers."""

_EXAMPLE = '{"background": 0, "circle": 1}'
_IGNORE = "ignore"


def named_labels(description: Mapping[str, Any]) -> dict[str, int]:
    """Name → integer of each class, consecutive from 0, the background.

    As nnU-Net does, takes an integer as text or alone in a list, an ``ignore`` of null, and a
    ``regions_class_order`` that orders nothing.

    Raises:
        ValueError: what is wrong with them.
    """
    labels = description.get("labels")
    if labels is None:
        raise ValueError(f"`labels` is missing, such as {_EXAMPLE}")
    if not isinstance(labels, dict):
        raise ValueError(f"`labels` must be an object such as {_EXAMPLE}, not {labels!r}")
    regions = [name for name, value in labels.items() if isinstance(value, list) and len(value) > 1]
    if regions:
        raise ValueError(
            f"region-based labels are not supported yet ({', '.join(map(str, regions))}); name one"
            f" integer a class, such as {_EXAMPLE}"
        )
    if labels.get(_IGNORE) is not None:
        raise ValueError(
            "the label `ignore` is not supported yet; give those pixels a class of their own"
        )
    named = {name: _integer(value) for name, value in labels.items() if name != _IGNORE}
    values = [value for value in named.values() if value is not None]
    if len(values) < len(named):
        if all(isinstance(value, str) for value in labels.values()):
            raise ValueError(
                f"`labels` maps integer to name, as in nnU-Net v1; turn it round: {_EXAMPLE}"
            )
        raise ValueError(f"`labels` must map each name to an integer, not to {[*labels.values()]}")
    if sorted(values) != list(range(len(values))):
        raise ValueError(
            f"`labels` must be numbered 0, 1, 2, … without a gap or repeat, not {sorted(values)}"
        )
    if not 2 <= len(values) <= MAX_LABELS:
        raise ValueError(
            f"`labels` must name the background and 1 to {MAX_LABELS - 1} classes: {_EXAMPLE}"
        )
    return dict(zip(named, values, strict=True))


def _integer(value: Any) -> int | None:
    """The one integer that a label's value is; None where it is none."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) < 10 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None  # JSON's true is no label


def as_classes(label: NDArray[Any]) -> NDArray[np.float32]:
    """A label file's numbers as nnU-Net compares them: in 32-bit floats.

    So 0.9999999997671694, which a mask of floats under an int16 header reads, is 1.
    """
    with np.errstate(over="ignore"):  # 1e300 is no class, whatever it becomes
        return label.astype(np.float32)


def unnamed_values(label: NDArray[np.float32], labels: Mapping[str, int]) -> str:
    """The values that ``labels`` does not name, as text; empty where there are none."""
    with np.errstate(invalid="ignore"):  # NaN is no integer
        whole = label.astype(np.uint8)
    if (whole == label).all():  # the usual case: bytes are sorted faster than floats
        label = np.unique(whole).astype(np.float32)
    unknown = np.setdiff1d(label, list(labels.values()))
    shown = ", ".join(exact(value) for value in unknown[:8])
    return shown + (", …" if unknown.size > 8 else "")


def exact(value: np.floating[Any] | float) -> str:
    """A number as text that reads back as that number: 1, 0.5, 0.99999994."""
    short = f"{float(value):g}"
    return short if type(value)(float(short)) == value else str(value)
