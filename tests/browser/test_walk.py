"""An officer walks from an empty installation to the opened papers: by mouse and by keyboard alone, in both languages, on a phone and on a wide screen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.test_browser import AXE, OPTIONS, RULES, WAIT
from tests.browser.walk import bus, serving, walk
from tests.browser.walker import Walker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ANSWERS = {"shelter-places": "all", "shelter-usual": "sometimes"}
FACTS = {"depopulated": "yes", "peninsula": "yes"}
CLICKS, FIELDS = 40, 10


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=OPTIONS)
        yield started
        started.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wide(page: Page, name: str) -> None:
    """No page is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def usable(page: Page, name: str) -> None:
    """And axe finds nothing, on light ground and on dark: when the pictures are taken, for it takes minutes; the suite asks axe page by page."""
    wide(page, name)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for colours in ("dark", "light"):
        page.emulate_media(color_scheme=colours, reduced_motion="reduce")
        found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == [], f"{name}, {colours}"


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Where the pictures of the documentation are to be written (`--pictures`); None: nowhere."""
    folder = request.config.getoption("pictures")
    return Path(folder) if folder else None


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("hands", "lang", "width", "known"),
    [
        ("mouse", "ja", 1440, True),
        ("mouse", "en", 390, True),
        ("keyboard", "ja", 390, False),
        ("keyboard", "en", 1440, True),
    ],
)
def test_from_nothing_to_the_opened_papers(
    request: pytest.FixtureRequest, browser: Browser, tmp_path: Path, pictures: Path | None, hands: str, lang: str, width: int, known: bool
) -> None:
    with serving(tmp_path, free_port(), request.config.getoption("kiban")) as server:
        target = pictures / f"{lang}-{width}" if pictures is not None and hands == "mouse" else None
        asks_axe = target is not None  # it breaks the content security policy, under which the others walk
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", bypass_csp=asks_axe)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith((server.address, "data:", "blob:")) else complaints.append(request.url))
        page.goto(f"{server.address}/?lang={lang}")
        if target is not None:
            target.mkdir(parents=True, exist_ok=True)
        walker = Walker(page, hands, target, usable if target is not None else wide)
        walk(walker, ANSWERS if known else None, FACTS if known else None)
        page.goto(f"{server.address}/?lang={lang}")
        bus(walker)
        print(f"{hands} {lang} {width}: {walker.clicks} clicks, {walker.fields} fields, {walker.tabs} tabs")
        assert complaints == []
        assert walker.clicks <= CLICKS
        assert walker.fields <= FIELDS
        context.close()
