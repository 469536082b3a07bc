"""The addresses of the live page, and what each answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sweep.api.user_requests import Asked, put_file
from sweep.page_server.access_token import guarded
from sweep.page_server.live_sweep import LiveSweep, etag, utf8
from sweep.page_server.page_requests import MOST_BYTES_OF_A_FILE, Control, configuration
from sweep.page_server.sweep_list import SweepList
from sweep.report.page import FILES_OF_A_SERVER, assets, page_html
from sweep.report.page import STYLES as PAGE_STYLES
from sweep.report.sections.page_section import rendered
from sweep.store.layout import Layout
from sweep.store.pictures.picture_index import FILE_NAME, picture_bytes
from sweep.store.read_results import require_no_link
from sweep.vocabulary.errors import ResultsError, SweepError

LIVE, CONTROL = "live.js", "control.js"
"""Scripts that the page has here and not in a file; the second under ``--control``."""
STYLES = ("live.css",)
SHOWN = (".png", ".jpg", ".jpeg", ".webp", ".gif")
"""Files that a browser may show itself. An SVG may hold scripts."""
FRESH = {"cache-control": "no-cache"}
"""A browser may keep the answer, but asks whether it still holds."""
NOT_THERE = 503
"""Status of an answer that says in words why there are no data now."""
WRONG = 422
"""Status of an answer that names what is wrong with a request."""


@dataclass(frozen=True, slots=True)
class LivePages:
    """The pages of all sweeps of a list.

    Args:
        sweeps: which there are.
        nonce: what a script of a page must have to run.
        control: lets the page ask something of a sweep; None: it is read-only.
    """

    sweeps: SweepList
    nonce: str
    control: Control | None = None

    def overview(self, request: Request) -> Response:
        """The list of sweeps; where there is one alone, its page."""
        if self.sweeps.is_single:
            return RedirectResponse(f"/sweeps/{quote(self.sweeps.names()[0], safe='')}/")
        try:
            rows = self.sweeps.rows()
        except ResultsError as error:
            return self._message("No sweeps", str(error))
        html = _render("list.html", folder=self.sweeps.folder, rows=rows, nonce=self.nonce)
        body = utf8(html)
        return _unless_known(request, body, "text/html", etag(body))

    def page(self, request: Request) -> Response:
        """The page of a sweep; before there is anything to show, a page that says so."""
        sweep = self._sweep(request)
        try:
            found = sweep.look_soon()
        except ResultsError as error:
            return self._message(sweep.folder.name, str(error))
        live = {"etag": found.etag, "running": found.data.running, "home": self._home}
        scripts = [LIVE]
        if self.control is not None:
            live |= {"key": self.control.key, "most": MOST_BYTES_OF_A_FILE}
            scripts.append(CONTROL)
        html = page_html(
            found.data,
            scripts=scripts,
            styles=STYLES,
            live=live,
            files=FILES_OF_A_SERVER,
            nonce=self.nonce,
        )
        return HTMLResponse(utf8(html), headers=FRESH)

    def data(self, request: Request) -> Response:
        """The data of a sweep as JSON, or that they have not changed (304)."""
        try:
            found = self._sweep(request).look()
        except ResultsError as error:
            return JSONResponse({"problem": str(error)}, NOT_THERE, headers=FRESH)
        return _unless_known(request, found.body, "application/json", found.etag)

    def picture(self, request: Request) -> Response:
        """A picture of a trial."""
        name, trial, file = (request.path_params[part] for part in ("name", "trial", "file"))
        try:
            content = read_picture(self.sweeps[name].folder, trial, file)
        except (KeyError, ValueError, ResultsError):
            raise HTTPException(404, "There is no such picture.\n") from None
        return Response(content, media_type="image/webp", headers=FRESH)

    def file(self, request: Request) -> Response:
        """A file of a trial: a picture as it is, any other to be saved."""
        name, trial, file = (request.path_params[part] for part in ("name", "trial", "file"))
        try:
            path = file_of_trial(self.sweeps[name].folder, trial, file)
        except (KeyError, ValueError, OSError, ResultsError):  # OSError: a name that is too long
            raise HTTPException(404, "There is no such file.\n") from None
        kind = "inline" if path.suffix.lower() in SHOWN else "attachment"
        return FileResponse(path, filename=file, content_disposition_type=kind, headers=FRESH)

    def configuration(self, request: Request) -> Response:
        """The fields of a form for a configuration, filled in from a trial."""
        folder, trial = self._sweep(request).folder, request.query_params.get("trial")
        try:
            return JSONResponse(configuration(folder, trial), headers=FRESH)
        except (ValueError, ResultsError) as error:
            raise HTTPException(404, f"{error}\n") from None

    async def ask(self, request: Request) -> Response:
        """Pass a request on to the sweep, and answer in words."""
        asked_for = await self._control.read(request)
        return await self._asked(self._sweep(request), asked_for.ask)

    async def put_file(self, request: Request) -> Response:
        """Put a file beside a trial, and answer in words."""
        content = await self._control.body(request, MOST_BYTES_OF_A_FILE)
        trial, file = (request.path_params[part] for part in ("trial", "file"))
        return await self._asked(
            self._sweep(request), lambda folder: put_file(folder, trial, file, content)
        )

    async def _asked(self, sweep: LiveSweep, ask: Callable[[str | Path], Asked]) -> Response:
        try:
            asked = await run_in_threadpool(ask, sweep.uri or sweep.folder)
        except SweepError as error:
            return JSONResponse({"mistakes": str(error).split("\n")}, WRONG)
        sweep.expect_news()
        return JSONResponse({"words": asked.words, "warnings": list(asked.warnings)})

    def _message(self, title: str, words: str) -> Response:
        """A page of one sentence, which looks again by itself."""
        html = _render("message.html", title=title, words=words, home=self._home)
        return HTMLResponse(utf8(html), NOT_THERE, headers=FRESH)

    @property
    def _home(self) -> str:
        """Address of the list; empty where there is one sweep alone."""
        return "" if self.sweeps.is_single else "/"

    @property
    def _control(self) -> Control:
        if self.control is None:
            raise HTTPException(403, "This page is read-only: start it with --control.\n")
        return self.control

    def _sweep(self, request: Request) -> LiveSweep:
        try:
            return self.sweeps[request.path_params["name"]]
        except (KeyError, ResultsError):
            raise HTTPException(404, "There is no such sweep here.\n") from None


def page_app(sweeps: SweepList, token: str, *, control: bool = False) -> Starlette:
    """The application of a page server.

    Args:
        sweeps: what it shows.
        token: what a browser must bring.
        control: whether the page may ask something of a sweep.
    """
    nonce = secrets.token_urlsafe(24)
    pages = LivePages(sweeps, nonce, Control.new() if control else None)
    return Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/sweeps/{name}/", pages.page),
            Route("/sweeps/{name}/data", pages.data),
            Route("/sweeps/{name}/trials/{trial}/pictures/{file}", pages.picture),
            Route("/sweeps/{name}/trials/{trial}/files/{file}", pages.file),
            Route("/sweeps/{name}/trials/{trial}/files/{file}", pages.put_file, methods=["POST"]),
            Route("/sweeps/{name}/configuration", pages.configuration),
            Route("/sweeps/{name}/ask/{kind}", pages.ask, methods=["POST"]),
        ],
        # Compressed fast: a page of many megabytes may come through ssh.
        middleware=[*guarded(token, nonce), Middleware(GZipMiddleware, compresslevel=1)],
    )


def read_picture(results: Path, trial_id: str, name: str) -> bytes:
    """A file of ``trials/<id>/pictures/``, by names that a browser sent.

    Raises:
        ValueError: a name could lead out of that folder.
        ResultsError: there is no such file, or a link could lead out of it.
    """
    if not FILE_NAME.fullmatch(name):
        raise ValueError(f"not the name of a picture: {name!r}")
    layout = Layout(results)
    trial = layout.trial(trial_id)
    require_no_link(layout.trials, trial.folder, trial.pictures)
    return picture_bytes(trial, name)


def file_of_trial(results: Path, trial_id: str, name: str) -> Path:
    """A file in ``trials/<id>/``, by names that a browser sent.

    Raises:
        ValueError: a name could lead out of that folder.
        ResultsError: there is no such file, or a link could lead out of the folder.
    """
    if name.startswith(".") or Path(name).name != name:
        raise ValueError(f"not the name of a file: {name!r}")
    layout = Layout(results)
    trial = layout.trial(trial_id)
    path = trial.folder / name
    require_no_link(layout.trials, trial.folder, path)
    if not path.is_file():
        raise ResultsError(f"{path} does not exist")
    return path


def _unless_known(request: Request, body: bytes, kind: str, etag: str) -> Response:
    headers = FRESH | {"etag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)


def _render(template: str, **values: Any) -> str:
    text = files(__package__).joinpath("templates", template).read_text(encoding="utf-8")
    style = Markup(assets([*PAGE_STYLES, *STYLES]))
    return rendered(text, style=style, **values)
