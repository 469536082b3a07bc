from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synthetic import drawn, trial, write_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]  # WebGL by the CPU where no GPU is

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty trials, of which some diverged and one still runs."""
    folder = tmp_path_factory.mktemp("results") / "a sweep"
    running = trial(30, None, [0.5, 0.6], dict(drawn(30).parameters))
    return write_sweep(folder, [*(drawn(n) for n in range(30)), running])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a file. Playwright keeps an event loop running in this thread as
    long as it lives, under which tests of other files could not run one of their own."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on this machine")
    # Half a second, which the tests without a browser need not wait.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a window of its own, offline unless told otherwise.

    A page that ends with an error on its console fails the test.
    """
    errors: list[str] = []

    def told(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
            errors.append(message.text)

    opened = []

    def opens(
        address: str, width: int = 1440, height: int = 900, *, offline: bool = True, **more: object
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            offline=offline,
            **more,  # type: ignore[arg-type]
        )
        opened.append(context)
        page = context.new_page()
        page.on("console", told)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        return page

    yield opens
    for context in opened:
        context.close()
    assert errors == []
