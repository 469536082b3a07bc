"""Who may see the page: whoever has the token that was printed, and no page of another site."""

from __future__ import annotations

import hashlib
import secrets

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names by which a browser may ask, at any port: a forwarded one may differ from ours. Another name
that leads to this machine is an attempt to read the page from another site (DNS rebinding)."""

NO_TOKEN = (
    "This page opens with the address that its command printed, which ends in ?token=…\n"
    "A page that is started again has another token.\n"
)

HEADERS = {
    # The page asks for nothing from elsewhere, and nobody frames it. Plotly compiles functions. A
    # script without the nonce does not run: none that came with a text of a trial.
    "content-security-policy": (
        "default-src 'none'; script-src 'nonce-{nonce}' 'unsafe-eval' blob:;"
        " worker-src blob:; style-src 'unsafe-inline'; img-src 'self' data: blob:; font-src data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def is_token(given: str, token: str) -> bool:
    """Whether they are equal, in a time that does not depend on where they differ."""
    return secrets.compare_digest(given.encode(), token.encode())


def guarded(token: str, nonce: str) -> list[Middleware]:
    """What a request passes before it is answered.

    Args:
        token: what a browser must bring.
        nonce: what a script of a page must have.
    """
    return [
        Middleware(_Headers, nonce=nonce),
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        Middleware(_TokenRequired, token=token),
    ]


class _TokenRequired:
    """Take the token from the address once, then from a cookie, and refuse everybody else.

    Args:
        app: answers those who have it.
        token: the secret.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token
        # Cookies of all ports of a machine lie together: two servers must not share a name.
        self._cookie = f"sweep-{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> ASGIApp:
        request = Request(scope)
        if is_token(request.cookies.get(self._cookie, ""), self._token):
            return self._app if "token" not in request.query_params else self._enter(request)
        if is_token(request.query_params.get("token", ""), self._token):
            return self._enter(request)
        return PlainTextResponse(NO_TOKEN, status_code=403)

    def _enter(self, request: Request) -> Response:
        """Back to the address without the token, so that no history or screenshot shows it."""
        response = RedirectResponse("/" + request.url.path.lstrip("/"), status_code=303)
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="lax")
        return response


class _Headers:
    """Adds `HEADERS` to every response."""

    def __init__(self, app: ASGIApp, nonce: str) -> None:
        self._app = app
        self._more = [
            (name.encode(), value.format(nonce=nonce).encode()) for name, value in HEADERS.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._more]}
            await send(message)

        await self._app(scope, receive, send_with)
