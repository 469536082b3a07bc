"""Pictures of segmentations in the page: what is said of them, and those that its file holds."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sweep.analysis.figures.sweep_results import Results
from sweep.store.layout import Layout, TrialPaths
from sweep.store.pictures.picture_index import Picture, TrialPictures, picture_bytes

EMBEDDED = 2_000_000
"""Most characters of pictures in a file."""


class _Placed(NamedTuple):
    """A picture with its place in the order in which pictures are embedded."""

    priority: int
    trial: int
    number: int
    paths: TrialPaths
    picture: Picture


def embedded_pictures(results: Results, space: int = EMBEDDED) -> dict[str, Any]:
    """The pictures that a file holds, the most telling of all trials first.

    Two trials that show the same slice share its image.

    Args:
        space: most characters of all of them.

    Returns:
        ``places``: ``TRIAL/FILE`` → number of its ``data``, and these: addresses with the content.

    Raises:
        ResultsError: an index is broken, or a picture that it names cannot be read.
    """
    places: dict[str, int] = {}
    data: dict[str, int] = {}
    for _, _, _, paths, picture in sorted(_placed(results), key=lambda one: one[:3]):
        names = picture.image, picture.marks
        encoded = [base64.b64encode(picture_bytes(paths, name)).decode() for name in names]
        uris = [f"data:image/webp;base64,{content}" for content in encoded]
        space -= sum(len(uri) for uri in uris if uri not in data)
        if space < 0:
            break
        for name, uri in zip(names, uris, strict=True):
            places[f"{paths.folder.name}/{name}"] = data.setdefault(uri, len(data))
    return {"places": places, "data": list(data)}


def compared_pair(drawn: Mapping[str, TrialPictures]) -> tuple[str, str] | None:
    """The first two trials that were drawn to be compared with each other."""
    for name, pictures in drawn.items():
        other = pictures.compared_with
        if other is not None and other in drawn and drawn[other].compared_with == name:
            return name, other
    return None


def _placed(results: Results) -> Iterator[_Placed]:
    drawn = results.pictures
    # The two that are compared come before the other finalists.
    names = list(dict.fromkeys([*(compared_pair(drawn) or ()), *drawn]))
    number = 0
    for place, name in enumerate(names):
        for picture in drawn[name].pictures:
            number += 1
            paths = Layout(results.folder).trial(name)
            yield _Placed(picture.priority, place, number, paths, picture)
