"""Debian's chromium, driven by Playwright: pages opened from files, with everything that they complain about and ask for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser")
# As root there is no sandbox; in containers /dev/shm is small.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@dataclass
class Opened:
    """A page, the errors of its console, and the addresses that it asked for beside its own."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def started() -> Iterator[Browser]:
    """A browser that ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, path: Path, width: int = 1024, scheme: str = "light", scripts: bool = True, **more: object
) -> Iterator[Opened]:
    """The file as a page of this width in the `light` or `dark` scheme, once all of its charts are drawn."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts, **more)
    found = Opened(context.new_page())
    found.page.set_default_timeout(10_000)
    found.page.on("console", lambda message: found.errors.append(message.text) if message.type in ("error", "warning") else None)
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(path.resolve().as_uri())
    if scripts:
        wait_until_drawn(found.page, scheme)
    yield found
    context.close()


def wait_until_drawn(page: Page, scheme: str) -> None:
    """Until every chart is drawn in this scheme, or has failed."""
    page.wait_for_function(f"[...document.querySelectorAll('.chart')].every(f => f.dataset.drawn === '{scheme}' || f.matches('.failed'))")
