from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synthetic import drawn, trial, write_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page

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


@pytest.fixture(scope="module")
def window(browser: Browser) -> BrowserContext:
    """The tests of a file share it, one after the other: the same process compiles the scripts of
    the page once, which takes six times as long as all else that it does to open one."""
    return browser.new_context(permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def open_page(window: BrowserContext) -> Iterator[OpenPage]:
    """Opens an address in a tab that knows nothing of the tests before, offline unless told
    otherwise.

    A page that ends with an error on its console fails the test.
    """
    errors: list[str] = []

    def told(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
            errors.append(message.text)

    def broke(error: Error) -> None:
        errors.append(str(error))

    empty, opened = window.pages, []

    def opens(address: str, width: int = 1440, height: int = 900, *, offline: bool = True) -> Page:
        page = empty.pop() if empty else window.new_page()
        opened.append(page)
        window.set_offline(offline)
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", told)
        page.on("pageerror", broke)
        page.goto(address)
        return page

    yield opens
    for page in opened:
        if not page.is_closed():
            page.goto("about:blank")
            page.emulate_media(color_scheme="light")
            page.remove_listener("console", told)
            page.remove_listener("pageerror", broke)
    window.clear_cookies()
    assert errors == []
