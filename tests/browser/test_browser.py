"""The pages in a real browser: map and chart are drawn, rows open the map, nothing is loaded from elsewhere, everybody can use them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kiban.jobs import Jobs
from kiban.web.making import Regions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parents[2] / "assets" / "node_modules" / "axe-core" / "axe.min.js"
EXAMPLES = Path(__file__).parents[2] / "examples"
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
ISSUE = f"/issue?region=okunoto&sentence={SHELTER}"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# A machine without a graphics card draws the map in software; the browser calls nobody by itself.
OPTIONS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT = 30_000  # milliseconds


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> str:
    """Two plans, and the example region, of which plans can be made."""
    folder = tmp_path_factory.mktemp("browser")
    plans = folder / "plans"
    plans.mkdir()
    for name in ("okunoto", "second"):
        (plans / name).symlink_to(example_folder)
    regions = Regions(EXAMPLES)
    return serve(plans, regions=regions, jobs=Jobs(folder / "jobs", [sys.executable, "-m", "kiban"], EXAMPLES, plans, lambda name: regions.open(name).id))


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a path and, at the end, wants no complaint of the console and no request to another address."""
    seen: list[str] = []
    contexts = []

    def open_page(path: str, *, width: int = 1280, height: int = 900, status: int = 200, **more: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:")) else seen.append(request.url))
        answer = page.goto(address + path)
        assert answer is not None
        assert answer.status == status
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in seen if "404 (Not Found)" not in text] == []


def drawn(page: Page) -> Page:
    page.wait_for_selector("#map[data-ready=yes]")
    return page


def test_the_map_and_the_chart_are_drawn(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design"))
    assert page.title() == "設計: 地震で孤立した集落と避難所の通信を確保したい — kiban"
    assert page.locator("#map canvas").count() == 1
    assert page.locator("#still").is_hidden()
    page = opened("/plans/okunoto/money")
    assert page.locator("#chart canvas").count() == 1


def test_a_row_of_the_table_opens_its_place_on_the_map(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design", reduced_motion="reduce"))
    row = page.locator("tr[data-site=shelter-ukawa]")
    row.locator("td").nth(1).click()
    popup = page.locator(".maplibregl-popup-content")
    popup.wait_for()
    assert "鵜川" in popup.inner_text()
    told = [cell.inner_text().split("\n")[0] for cell in (row.locator("td").nth(3), row.locator("td").nth(4))]
    assert all(text in popup.inner_text() for text in told), "the next best way, and why this one"
    assert "on" in (row.get_attribute("class") or "")


def test_layers_are_switched_and_a_stretch_is_cut_from_the_map(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design", reduced_motion="reduce"))
    for choice in page.locator("input[data-layer]").all():
        before = choice.is_checked()
        choice.click()
        assert choice.is_checked() != before
    page.locator("table.links td a").first.click()
    page.wait_for_url("**cut=street*")
    assert "不通になります" in drawn(page).locator(".cut").inner_text()


def test_the_popup_speaks_the_language_of_the_page(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design?lang=en", reduced_motion="reduce"))
    page.locator("tr[data-site=clinic-ushitsu] td").nth(1).click()
    popup = page.locator(".maplibregl-popup-content")
    popup.wait_for()
    assert "LEO satellite terminal (fixed) + PON FTTH" in popup.inner_text()


def test_the_keyboard_alone_opens_a_place_and_skips_to_the_content(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design", reduced_motion="reduce"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("tr[data-site] button.name").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.locator(".maplibregl-popup-content").wait_for()


def test_the_language_changes_and_the_place_stays(opened: Callable[..., Page]) -> None:
    page = drawn(opened("/plans/okunoto/design?lang=ja"))
    page.get_by_role("link", name="English").click()
    drawn(page)
    assert page.url.endswith("/plans/okunoto/design?lang=en")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_role("link", name="日本語").click()
    assert drawn(page).evaluate("document.documentElement.lang") == "ja"


def test_a_figure_opens_its_origin_and_leads_back(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto?lang=ja")
    page.locator(".cards a.fig").first.click()
    page.locator("table").wait_for()
    assert "初めの年度の費用の合計" in page.locator("h1").inner_text()
    page.get_by_role("link", name="計画へ戻る").click()
    assert page.url.endswith("/plans/okunoto?lang=ja")


@pytest.mark.parametrize(
    "path",
    [
        "/plans/okunoto?lang=ja",
        "/plans/okunoto?lang=en",
        "/plans/okunoto/options?lang=ja",
        "/plans/okunoto/design?lang=en",
        "/plans/okunoto/money?lang=ja",
        "/plans/okunoto/figures?id=total/priced&lang=en",
        "/?lang=en",
        "/new",
        f"{ISSUE}&lang=en",
    ],
)
def test_no_page_is_wider_than_the_screen(opened: Callable[..., Page], path: str) -> None:
    page = opened(path)
    for width in (1280, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_a_still_map_and_the_tables_say_the_same(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/design", java_script_enabled=False)
    assert page.locator("#still").is_visible()
    assert page.locator("#map").is_hidden()
    assert page.locator("tr[data-site]").count() == 35
    page = opened("/plans/okunoto/money", java_script_enabled=False)
    assert page.locator("#chart").is_hidden()
    assert page.locator("table.years tbody tr").count() >= 2


def test_every_table_has_a_caption_and_every_scrolling_box_a_name(opened: Callable[..., Page]) -> None:
    page = opened("/plans/okunoto/design")
    assert page.locator("table").count() == page.locator("table > caption").count()
    assert page.locator(".scroll").count() == page.locator(".scroll[tabindex='0'][role=region][aria-label]").count()


@pytest.mark.parametrize(("lang", "colours"), [("ja", "light"), ("en", "dark")])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/plans/okunoto?", 200),
        ("/plans/okunoto/options?", 200),
        ("/plans/okunoto/design?", 200),
        ("/plans/okunoto/design?cut=exchange:exchange-ushitsu&", 200),
        ("/plans/okunoto/money?", 200),
        ("/plans/okunoto/figures?id=total/priced&", 200),
        ("/?", 200),
        ("/plans/none?", 404),
        ("/new?", 200),
        (f"{ISSUE}&", 200),
        ("/jobs?", 200),
        ("/cases?q=バス&", 200),
        ("/cases/2006-gifu-gis?", 200),
    ],
)
def test_axe_finds_nothing(opened: Callable[..., Page], path: str, status: int, lang: str, colours: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core (npm ci in assets/)")
    page = opened(f"{path}lang={lang}", status=status, bypass_csp=True, color_scheme=colours)
    if "/design" in path:
        drawn(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until a place has the focus, as somebody without a mouse does."""
    for _ in range(40):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by Tab")


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_by_keyboard_alone_a_sentence_becomes_a_plan(opened: Callable[..., Page], lang: str) -> None:
    page = opened(f"/?lang={lang}")
    tab_to(page, "#sentence")
    page.keyboard.type("避難所の通信を確保したい" + ("。" if lang == "en" else ""))
    tab_to(page, "button.go")
    page.keyboard.press("Enter")
    page.wait_for_url("**/issue?**")
    tab_to(page, "button.go")
    page.keyboard.press("Enter")
    page.wait_for_url("**/plans/**", timeout=120_000)
    assert "避難所の通信を確保したい" in page.locator("h1").inner_text()
