"""Labels as in nnU-Net: the classes in ``dataset.json`` and the values of pixels.

Source: nnU-Net 2.8.1, ``utilities/label_handling/label_handling.py`` and ``imageio``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Regions
from sweep.spec.settings.geometric_terms import ALL_CLASSES, COMPARING, GeometricClass, weight_keys
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.spec.words.slips import in_full
from sweep.vocabulary.errors import InputError, Mistake

MAX_LABELS = 256
"""Labels are kept as 8-bit integers."""

BACKGROUND = "background"
_EXAMPLE = '{"background": 0, "circle": 1}'
_RENUMBER = "number the classes anew, here and in the pixels of all label files"
IGNORE = "ignore"


def compared_with_ignored(terms: Iterable[str]) -> Iterator[Mistake]:
    """Terms that compare with the reference, beside an ignore label.

    Args:
        terms: names of the geometric terms that have a weight.
    """
    for key in weight_keys(name for name in terms if name in COMPARING):
        yield Mistake(
            "must be 0 where the dataset has an ignore label, to which there is no distance",
            key=key,
        )


def named_labels(description: Mapping[str, Any]) -> dict[str, int]:
    """Name → number of each class; without `label_mistakes` consecutive from 0, the background.

    It is the integer in the label files; of regions, which are unions of these, the number counts
    them as they are written. Like nnU-Net, it accepts an integer as text or as the only element of
    a list, an ``ignore`` of null, and an unused ``regions_class_order``. Labels that are no integer
    are left out.

    Args:
        description: content of a ``dataset.json`` whose ``labels`` are an object.
    """
    labels = description["labels"]
    if not has_regions(labels):
        return _integers(labels)
    return {name: number for number, name in enumerate([BACKGROUND, *region_names(labels)])}


def _integers(labels: Mapping[str, Any]) -> dict[str, int]:
    """The labels that are a single integer."""
    found = {name: _integer(value) for name, value in labels.items() if name != IGNORE}
    return {name: value for name, value in found.items() if value is not None}


def has_regions(labels: Mapping[str, Any]) -> bool:
    """Whether nnU-Net trains regions, as in its ``LabelManager.has_regions``."""
    return any(isinstance(value, list | tuple) and len(value) > 1 for value in labels.values())


def region_names(labels: Mapping[str, Any]) -> list[str]:
    """Names of the regions in the order of their channels, as in ``LabelManager._get_regions``."""
    return [
        name
        for name, value in labels.items()
        if name != IGNORE and any(one not in (0, "0") for one in _listed(value))
    ]


def regions_of(description: Mapping[str, Any]) -> Regions | None:
    """The regions of a dataset; None if it has none.

    Args:
        description: content of a ``dataset.json`` without `label_mistakes`.
    """
    labels = description["labels"]
    if not has_regions(labels):
        return None
    return Regions(
        labels=tuple(tuple(sorted(set(_listed(labels[name])))) for name in region_names(labels)),
        class_order=tuple(description["regions_class_order"]),
    )


def region_order_mistakes(description: Mapping[str, Any]) -> Iterator[str]:
    """A ``regions_class_order`` that nnU-Net refuses for these regions, if there are any.

    Args:
        description: content of a ``dataset.json`` whose ``labels`` are an object.
    """
    labels = description["labels"]
    if not has_regions(labels):
        return
    names, order = region_names(labels), description.get("regions_class_order")
    if not isinstance(order, list) or len(order) != len(names):
        yield (
            f"`regions_class_order` must be a list with a label for each of the {len(names)}"
            f" regions ({', '.join(names)}), in the order in which nnU-Net writes them into a"
            f" mask, but is {order!r}"
        )


def _listed(value: Any) -> list[Any]:
    return [*value] if isinstance(value, list | tuple) else [value]


def ignored_label(description: Mapping[str, Any]) -> int | None:
    """The label of pixels that nobody has annotated; None if there is none.

    Args:
        description: content of a ``dataset.json`` without `label_mistakes`.
    """
    ignored: int | None = description["labels"].get(IGNORE)
    return ignored


def label_mistakes(description: Mapping[str, Any], *, nnunet: bool = False) -> Iterator[str]:
    """Mistakes in the labels of ``dataset.json``.

    Args:
        nnunet: report what nnU-Net refuses, except for the labels and the order of regions.
            Otherwise report what our own trainer refuses: also those, and more than `MAX_LABELS`
            labels.
    """
    labels = description.get("labels")
    if labels is None:
        yield f"`labels` is missing, such as {_EXAMPLE}"
        return
    if not isinstance(labels, dict):
        yield f"`labels` must be an object such as {_EXAMPLE}, not {labels!r}"
        return
    if labels and all(_integer(k) is not None and isinstance(v, str) for k, v in labels.items()):
        yield f"`labels` maps integer to name, as in nnU-Net v1; swap them: {_EXAMPLE}"
        return
    regions = [name for name, value in labels.items() if isinstance(value, list) and len(value) > 1]
    values = _integers(labels)
    wrong = labels.keys() - values.keys() - {IGNORE, *regions}
    if wrong:
        yield f"`labels` must map each name to an integer, not to {[*labels.values()]}"
    yield from _background_mistakes(labels, values)
    if regions and not nnunet:
        found = yield from _region_mistakes(description)
        if found is None:
            return
        values = found
    if not wrong and not (regions and nnunet):
        ignore = labels.get(IGNORE)
        most = MAX_LABELS if ignore is None else MAX_LABELS - 1
        yield from _number_mistakes(values, math.inf if nnunet else most)
        yield from _ignore_mistakes(ignore, values)


def _region_mistakes(
    description: Mapping[str, Any],
) -> Generator[str, None, dict[str, int] | None]:
    """Mistakes of regions. Returns their labels, each by itself; None if some are no integers."""
    labels = description["labels"]
    listed = {name: _listed(labels[name]) for name in region_names(labels)}
    wrong = [name for name, own in listed.items() if not all(_is_label(one) for one in own)]
    for name in wrong:
        yield f"the region `{name}` must list integers above 0, but is {labels[name]}"
    yield from region_order_mistakes(description)
    if wrong:
        return None
    numbers = sorted({one for own in listed.values() for one in own})
    order = description.get("regions_class_order")
    if isinstance(order, list) and len(order) == len(listed):
        foreign = [one for one in order if not _is_label(one) or one not in numbers]
        if foreign:
            yield (
                f"`regions_class_order` must hold labels of the regions ({_enumerated(numbers)}),"
                f" but holds {_enumerated(foreign)}"
            )
    return {BACKGROUND: 0} | {f"label {number}": number for number in numbers}


def _is_label(value: Any) -> bool:
    return type(value) is int and value > 0


def _enumerated(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values))


def _background_mistakes(labels: Mapping[str, Any], values: Mapping[str, int]) -> Iterator[str]:
    """Mistakes of the background: nnU-Net finds it by its name, which must be 0 and not a list."""
    if not labels:
        return  # there are no labels, which is reported elsewhere
    zero = next((name for name, value in values.items() if value == 0), None)
    own = labels.get(BACKGROUND)
    if isinstance(own, list):
        yield f"`{BACKGROUND}` of `labels` must be 0, not the list {own}"
    elif BACKGROUND not in labels and zero is None:
        yield f'`labels` lacks `{BACKGROUND}`, which must be 0: add "{BACKGROUND}": 0'
    elif BACKGROUND not in labels:
        yield (
            f"`labels` lacks `{BACKGROUND}`, which must be 0; 0 is `{zero}`: rename `{zero}` if"
            f' that is the background, else number the classes from 1 and add "{BACKGROUND}": 0'
        )
    elif values.get(BACKGROUND, 0) != 0:
        swap = f": swap it with `{zero}`, which is 0, if the pixels are numbered so" if zero else ""
        yield f"`{BACKGROUND}` of `labels` must be 0, but is {values[BACKGROUND]}{swap}"


def _number_mistakes(values: Mapping[str, int], most: float) -> Iterator[str]:
    # A missing background is reported by `_background_mistakes`.
    lacks_zero = BACKGROUND not in values and 0 not in values.values()
    numbers = sorted([*values.values(), *[0] * lacks_zero])
    if numbers != list(range(len(numbers))) and values:
        gap = "" if len({*numbers}) < len(numbers) else f"; {_RENUMBER}"
        yield (
            "`labels` must be numbered 0, 1, 2, … without a gap or repeat, not"
            f" {sorted(values.values())}{gap}"
        )
    if not 2 <= len(numbers) <= most:
        limit = "at least 1 class" if most == math.inf else f"1 to {most - 1} classes"
        yield f"`labels` must name the background and {limit}: {_EXAMPLE}"


def _ignore_mistakes(ignore: Any, values: Mapping[str, int]) -> Iterator[str]:
    if ignore is None:
        return
    highest = max(values.values(), default=0) + 1
    if type(ignore) is not int or ignore != highest:
        yield (
            f"the label `ignore` must be {highest}, the highest one and no list, but is {ignore!r}"
        )


def _integer(value: Any) -> int | None:
    """The integer in a label's value; None if it is not a single integer."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) < 10 else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None  # JSON's true is not a label


def as_classes(label: NDArray[Any]) -> NDArray[np.float32]:
    """A label file's numbers as nnU-Net compares them: in 32-bit floats.

    So 0.9999999997671694, which a mask of floats under an int16 header reads, is 1.
    """
    with np.errstate(over="ignore"):  # 1e300 is not a class, whatever it becomes
        return label.astype(np.float32)


def unnamed_values(label: NDArray[np.float32], named: Collection[int]) -> str:
    """The values that are none of ``named``, as text; empty if there are none."""
    with np.errstate(invalid="ignore"):  # NaN is not an integer
        whole = label.astype(np.uint8)
    if (whole == label).all():  # the usual case: bytes are sorted faster than floats
        label = np.unique(whole).astype(np.float32)
    unknown = np.setdiff1d(label, list(named))
    shown = ", ".join(map(in_full, unknown[:8]))
    return shown + (", …" if unknown.size > 8 else "")


def geometric_labels(
    labels: Mapping[str, int],
    wanted: GeometricClass,
    *,
    key: str = "data.geometric_class",
    regions: bool = False,
) -> tuple[int, ...]:
    """The numbers of the classes that the geometric losses act on, in the order of ``wanted``.

    Args:
        labels: the dataset's labels: name → number of the class.
        wanted: name or integer of a class, or several; `ALL_CLASSES`: every class after the
            background, unless a class has that name; None: the first class after the background.
        key: the setting with this value.
        regions: whether the classes are regions, which have a name and no number.

    Raises:
        InputError: the dataset has no such class (proposes a similar one), or it is named twice.
    """
    if wanted is None:
        return (1,)
    if wanted == ALL_CLASSES and wanted not in labels:
        return tuple(sorted(value for value in labels.values() if value > 0))
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    found = tuple(_number_of(labels, one, key, regions=regions) for one in several)
    for place, value in enumerate(found):
        if value in found[:place]:
            message = f"names the class {several[found.index(value)]!r} twice"
            if several[place] != several[found.index(value)]:
                message += f", also as {several[place]!r}"
            raise InputError.single(message, key=key)
    return found


def _number_of(labels: Mapping[str, int], wanted: str | int, key: str, *, regions: bool) -> int:
    classes = {name: value for name, value in labels.items() if value > 0}
    if wanted in classes:
        return classes[str(wanted)]
    if wanted in classes.values() and not regions:
        return int(wanted)
    what = "the name of a region" if regions else "a class"
    known = ", ".join(classes if regions else (f"{name} ({n})" for name, n in classes.items()))
    hint = did_you_mean(near_miss(str(wanted), classes))
    is_background = wanted in (0, *labels)
    message = "is the background" if is_background else f"is not {what} of the dataset{hint}"
    its = f"its {'regions' if regions else 'classes'}: {known}"
    raise InputError.single(f"{wanted!r} {message} ({its})", key=key)
