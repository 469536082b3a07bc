"""A real server in a thread of this process, and requests as a browser sends them."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sweep.page_server.listening import answer
from sweep.page_server.loopback import LOOPBACK, listen
from sweep.page_server.page_app import page_app
from sweep.page_server.sweep_list import SweepList

TOKEN = "the-token"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Visitor:
    """A browser without a screen: it keeps cookies and follows nothing."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"cookie": cookie} if cookie else {}
        sends = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, sends, {**sent, **(headers or {})})
        got = connection.getresponse()
        answer = Answer(
            got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode()
        )
        connection.close()
        if given := answer.headers.get("set-cookie"):
            name, _, value = given.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def opened(self, path: str) -> Answer:
        """As somebody sees it who waits: a page that is being read for the first time loads itself
        again."""
        while "is being read for the first time" in (found := self(path)).text:
            assert '<meta http-equiv="refresh"' in found.text
        return found

    def enter(self) -> Visitor:
        assert self(f"/?token={TOKEN}").status == 303
        return self


@contextmanager
def served(sweeps: SweepList, *, control: bool = False) -> Iterator[Visitor]:
    """A visitor of a server, who has not shown the token yet."""
    ours, theirs = os.pipe()
    listener = listen(0)
    visitor = Visitor(listener.getsockname()[1])
    app = page_app(sweeps, TOKEN, control=control)
    server = threading.Thread(
        target=answer, args=(app, listener), kwargs={"lifeline": ours, "lingering": 0}
    )
    server.start()
    try:
        yield visitor
    finally:
        os.close(theirs)
        server.join()
        os.close(ours)
