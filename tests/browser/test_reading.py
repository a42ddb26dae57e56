"""The reading pages in a real browser: charts are drawn, hard words explain themselves by mouse, keyboard and touch, letters are copied, axe finds nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kiban.catalogue import Catalogue
from kiban.loop.files import refresh_folder
from kiban.records.funding import Inputs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parents[2] / "assets" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
WAIT = 30_000  # milliseconds
PAGES = (
    "/plans/said/money",
    "/plans/okunoto/supports",
    "/plans/okunoto/supports?answer=possible",
    "/plans/okunoto/compare",
    "/compare?a=okunoto&b=said",
    "/catalogue",
    "/catalogue/technologies",
    "/catalogue/technologies/leo-satellite",
    "/help",
    "/help/words",
)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=["--no-sandbox", "--disable-background-networking", "--no-first-run"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str], shipped_catalogue: Catalogue) -> str:
    """The example, and the same after the town has said that it is depopulated and what comes in."""
    plans = tmp_path_factory.mktemp("reading") / "plans"
    for name in ("okunoto", "said"):
        shutil.copytree(example_folder, plans / name)
    revenue = {f"revenue_{id}": 500_000.0 for id in ("user_fee", "iru", "rental", "advertising", "local_asset")}
    facts = {"depopulated": True, "failures_per_year": 2.0, "outage_cost": 50_000.0, "track": "shared", **revenue}
    refresh_folder(plans / "said", shipped_catalogue, "ja", Inputs(facts=facts))
    return serve(plans)


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a path and, at the end, wants no complaint of the console and no request to another address."""
    seen: list[str] = []
    contexts = []

    def open_page(path: str, *, width: int = 1280, **more: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:")) else seen.append(request.url))
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


def tip(page: Page) -> Any:
    return page.locator(".tip:popover-open")


def test_both_charts_of_money_are_drawn_and_have_tables(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/money")
    page.wait_for_selector("#chart canvas")
    assert page.locator(".chart canvas").count() == 2
    assert page.locator("#t-both tbody tr").count() == 5


def test_a_hard_word_opens_by_mouse_stays_under_the_pointer_and_closes_by_escape(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/money?lang=ja")
    page.get_by_role("button", name="一般財源", exact=True).hover()
    tip(page).wait_for()
    assert "町がそのまま負担する分" in tip(page).inner_text()
    tip(page).hover()  # the pointer may go onto it, and it stays
    page.wait_for_timeout(400)
    assert tip(page).count() == 1
    page.keyboard.press("Escape")
    assert tip(page).count() == 0


def test_a_hard_word_opens_by_keyboard_and_leads_to_the_glossary(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/money?lang=ja")
    button = page.get_by_role("button", name="一般財源", exact=True)
    page.get_by_role("link", name="層別・年度別費用").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "一般財源"
    tip(page).wait_for()
    assert button.get_attribute("aria-describedby") == tip(page).get_attribute("id")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/help/words?lang=ja#general-fund")


def test_a_hard_word_opens_without_script_by_press_and_by_touch(opened: Callable[..., Page]) -> None:
    plain = opened("/plans/okunoto/money?lang=en", java_script_enabled=False)
    plain.get_by_role("button", name="general fund", exact=True).click()
    assert plain.locator(".tip").first.is_visible()
    plain.keyboard.press("Escape")
    assert plain.locator(".tip").first.is_hidden()
    touched = opened("/plans/okunoto/money?lang=en", width=390, has_touch=True)
    touched.get_by_role("button", name="general fund", exact=True).tap()
    tip(touched).wait_for()
    box = tip(touched).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_the_unit_changes_by_a_link_and_back(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/money?lang=ja")
    before = page.locator("#t-adopted tr.sum td").first.inner_text()
    page.locator(".switch").get_by_role("link", name="円", exact=True).click()
    page.wait_for_url("**unit=yen**")
    assert len(page.locator("#t-adopted tr.sum td").first.inner_text()) > len(before)
    page.go_back()
    assert page.locator("#t-adopted tr.sum td").first.inner_text() == before


def test_a_letter_is_copied_by_one_press_on_plain_http(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/supports?lang=ja")
    page.locator(".letter-box button").first.click()
    assert "写しました" in page.locator(".letter-box [role=status]").first.inner_text()
    page.evaluate("document.querySelector('.search, form, main').insertAdjacentHTML('beforeend', '<textarea id=paste></textarea>')")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#paste").input_value() == page.locator(".letter-box textarea").first.input_value()


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_and_no_page_is_wider_than_the_screen(opened: Callable[..., Page], path: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core (npm ci in assets/)")
    for lang, scheme, width in (("ja", "light", 1280), ("en", "dark", 390)):
        page = opened(f"{path}{'&' if '?' in path else '?'}lang={lang}", width=width, color_scheme=scheme, bypass_csp=True)
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_money_prints_on_a4_without_links_and_switches(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/money?lang=ja")
    page.emulate_media(media="print")
    for hidden in (".switch", ".jump", ".chart", ".tabs"):
        assert page.locator(hidden).first.is_hidden()
    assert page.locator("#t-adopted").is_visible()
