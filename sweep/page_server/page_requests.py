"""What a page with ``--control`` asks of a sweep: what the commands for steering ask."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request

from sweep.analysis.effective_settings import read_spec
from sweep.api.user_requests import Asked, ask_for_trial, ask_to_note, ask_to_stop
from sweep.page_server.access_token import is_token
from sweep.spec.space.distribution_yaml import as_yaml
from sweep.spec.space.distributions import Distribution, RandInt
from sweep.spec.words.phrases import shown
from sweep.store.files import parse_json, parsed
from sweep.store.layout import Layout
from sweep.store.read_results import read_facts
from sweep.vocabulary.record import ParameterValue

KEY_HEADER = "x-sweep-key"
"""Header of a request that acts. A page of another site cannot set it, nor learn its value."""
MOST_BYTES = 2**16
"""Largest body of a request."""
MOST_BYTES_OF_A_FILE = 2**25
"""Largest file that a page may send."""


class PageRequest(Protocol):
    """A request as the page sends it."""

    def ask(self, results: Path | str) -> Asked:
        """Leave it in the results folder, or at its URI.

        Raises as the functions of `sweep.api.user_requests`.
        """
        ...


@dataclass(frozen=True, slots=True)
class StopTrial:
    """Stop a trial."""

    trial: str

    def ask(self, results: Path | str) -> Asked:
        return ask_to_stop(results, [self.trial])[0]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Train a configuration: texts of values, as typed, by dotted name."""

    values: Mapping[str, str]

    def ask(self, results: Path | str) -> Asked:
        return ask_for_trial(results, [f"{key}={value}" for key, value in self.values.items()])


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Note something on a trial, or on the sweep."""

    text: str
    trial: str | None = None

    def ask(self, results: Path | str) -> Asked:
        return ask_to_note(results, self.trial, self.text)


KINDS: Mapping[str, type[PageRequest]] = {"stop": StopTrial, "enqueue": Enqueue, "note": WriteNote}
"""By the last part of their address."""


def configuration(results: Path, trial_id: str | None) -> list[dict[str, str]]:
    """The parameters that a configuration can give a value to, for a form.

    Args:
        results: the results folder.
        trial_id: of the trial whose values fill the form in, exactly; None: it is empty.

    Returns:
        of each its ``name``, the ``space`` it is drawn from, in words that say which bound is
        excluded, and its ``value`` as one would type it; empty where the trial has none.

    Raises:
        ResultsError: there is no such trial, or a file is broken.
        ValueError: the id could lead out of the folder.
    """
    spec = read_spec(results)
    given: Mapping[str, ParameterValue] = {}
    if trial_id is not None:
        given = read_facts(trial_id, Layout(results).trial(trial_id), spec.judged_by).parameters
    return [
        {
            "name": name,
            "space": _space_words(kind),
            "value": json.dumps(given[name]) if name in given else "",
        }
        for name, kind in spec.drawn.items()
    ]


def _space_words(kind: Distribution) -> str:
    words = ", ".join(f"{word} {shown(of)}" for word, of in as_yaml(kind).items())
    return f"{words}, upper bound excluded" if isinstance(kind, RandInt) else words


@dataclass(frozen=True, slots=True)
class Control:
    """The right to ask something of a sweep, which a page has under ``--control``.

    Args:
        key: what the page sends along; new with each server.
    """

    key: str

    @classmethod
    def new(cls) -> Control:
        return cls(secrets.token_urlsafe(24))

    async def read(self, request: Request) -> PageRequest:
        """The request in a POST.

        Raises:
            HTTPException: it does not come from the page itself, or is not a request.
        """
        content = await self.body(request, MOST_BYTES)
        if (kind := KINDS.get(request.path_params["kind"])) is None:
            raise HTTPException(404, f"A page can ask for one of: {', '.join(KINDS)}.\n")
        try:
            return parsed(kind, parse_json(content.decode()))
        except (ValueError, RecursionError) as error:
            raise HTTPException(400, f"This is not a request: {error}\n") from None

    async def body(self, request: Request, most: int) -> bytes:
        """The body of a POST of at most so many bytes.

        Raises:
            HTTPException: it does not come from the page itself, or is larger.
        """
        self._require_own_page(request)
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > most:
            raise HTTPException(413, f"It may have at most {most // 1024} KiB.\n")
        return await request.body()

    def _require_own_page(self, request: Request) -> None:
        origin = request.headers.get("origin")
        is_ours = origin is None or origin == f"http://{request.headers['host']}"
        if not (is_ours and is_token(request.headers.get(KEY_HEADER, ""), self.key)):
            raise HTTPException(403, "This request does not come from the page itself.\n")
