"""Changing a plan in a real browser: two of them at once, with and without scripts, and everybody can use the pages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.test_browser import AXE, OPTIONS, RULES, WAIT
from tests.web.test_kept_pages import KEY, PAPER, Site, edited, filled

from kiban.store import open_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = ("papers", PAPER, "papers/specification", "facts", "quotes", "history", "history/1", "drafts/1", "drafts/2", "drafts/3", "handover")


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> Iterator[Site]:
    """A plan with an own text, two texts that met, a paper and answers that were read and not yet taken in."""
    folder = tmp_path_factory.mktemp("kept")
    plan = Path(shutil.copytree(example_folder, folder / "plans" / "okunoto"))
    store = open_store("", folder / "kiban.db")
    one = Site(serve(folder / "plans", store=store), plan)
    one.write("佐藤の文", "0", why="課長の指示")
    one.write("鈴木の文", "0")
    one.send("papers/upload", ("想定問答.docx", edited((plan / "庁内限り" / "想定問答.docx").read_bytes(), "qa.share", "Wordの文")))
    one.send("quotes", *[(f"{name}.xlsx", filled(plan, name, lambda _, yen=yen: yen)) for name, yen in (("甲", 1000), ("乙", 1100), ("丙", 9000))])
    one.ready()
    yield one
    one.ready()
    store.close()


@pytest.fixture
def opened(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Opens a page of the plan; at the end wants no complaint of the console."""
    seen: list[str] = []
    contexts = []

    def open_page(page: str, *, width: int = 1280, **more: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        one = context.new_page()
        one.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
        one.on("pageerror", lambda error: seen.append(str(error)))
        one.goto(f"{site.address}/plans/okunoto/{page}")
        return one

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


@pytest.mark.parametrize(("lang", "colours"), [("ja", "light"), ("en", "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_and_no_page_is_wider_than_a_phone(opened: Callable[..., Page], path: str, lang: str, colours: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core (npm ci in assets/)")
    page = opened(f"{path}?lang={lang}", bypass_csp=True, color_scheme=colours)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    assert [(one["id"], [node["html"] for node in one["nodes"]][:5]) for one in found["violations"]] == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("table").count() == page.locator("table > caption").count()


@pytest.mark.parametrize("scripts", [True, False])
def test_two_browsers_edit_one_passage_and_both_texts_survive(opened: Callable[..., Page], site: Site, scripts: bool) -> None:
    key = "qa.after" if scripts else "qa.renewal"
    first, second = (opened(PAPER, java_script_enabled=scripts) for _ in range(2))
    for page, text in ((first, "一人目の文"), (second, "二人目の文")):
        passage = page.locator(f"[id='{key}']")
        passage.locator("summary").click()
        passage.locator("textarea").fill(text)
        passage.locator("button.go").click()
    assert "第" in first.locator(".ok-state").inner_text()
    assert "二つの文が重なりました" in second.locator("h1").inner_text()
    shown = second.locator("form.make").inner_text()
    assert "一人目の文" in shown
    assert "二人目の文" in shown
    second.locator("input[value=both]").check()
    second.locator("button.go").click()
    second.wait_for_url(re.compile("/papers"))
    site.ready()
    assert "一人目の文\n二人目の文" in site.get(PAPER)


def test_while_papers_are_made_the_page_says_so_and_then_that_they_are_there(opened: Callable[..., Page]) -> None:
    page = opened("papers")
    page.locator("section:last-of-type button").click()
    page.locator("#papers-state", has_text="書類を作り直しています").wait_for()
    page.locator("#papers-state", has_text="書類は最新です").wait_for()


def test_by_keyboard_alone_a_passage_is_rewritten(opened: Callable[..., Page], site: Site) -> None:
    page = opened(f"{PAPER}#{KEY}")
    page.locator(f"[id='{KEY}'] summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.press("Control+A")
    page.keyboard.type("キーボードで書いた文")
    page.keyboard.press("Tab")
    page.keyboard.type("理由")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("saved="))
    assert "キーボードで書いた文" in site.get(PAPER)
