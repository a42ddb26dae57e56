"""Carrying across an air gap in a real browser: a zip is chosen, checked and written, and everybody can use the pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kiban.loop.carry import carry_out, zipped
from kiban.store import open_store
from kiban.web.making import Regions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
OKUNOTO = ROOT / "examples" / "okunoto"
AXE = ROOT / "assets" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
SIZES = ((390, "dark", "en"), (1440, "light", "ja"))


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=["--no-sandbox", "--disable-background-networking", "--no-first-run"])
        yield started
        started.close()


@pytest.fixture
def address(tmp_path: Path, serve: Callable[..., str], example_folder: Path) -> Iterator[str]:
    """A server with the example plan and its town, in which one cell is older."""
    shutil.copytree(OKUNOTO, tmp_path / "regions" / "okunoto")
    shutil.copytree(example_folder, tmp_path / "plans" / "okunoto")
    sites = tmp_path / "regions" / "okunoto" / "sites.csv"
    sites.write_text(sites.read_text("utf-8-sig").replace("37.308762", "37.308700"), encoding="utf-8-sig")
    store = open_store("", tmp_path / "kiban.db")
    yield serve(tmp_path / "plans", regions=Regions(tmp_path / "regions"), store=store, state=tmp_path / "state")
    store.close()


def everybody(browser: Browser, url: str) -> None:
    """No page is wider than its screen, and axe has nothing to say, in both languages, light and dark."""
    for width, scheme, lang in SIZES:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{url.partition('?')[0]}?lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if AXE.exists():
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)["violations"]
            assert [f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:2]]}" for one in found] == [], f"{url} {width} {scheme} {lang}"
        context.close()


def brought(page: Page, address: str, name: str, content: bytes) -> None:
    page.goto(f"{address}/carry?lang=ja")
    page.set_input_files("#file", {"name": name, "mimeType": "application/zip", "buffer": content})
    page.get_by_role("button", name="確かめる").click()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_carried_town_is_checked_and_written(browser: Browser, address: str, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto(f"{address}/towns/okunoto?lang=ja")
    assert page.get_by_role("link", name="ほかの網へ運ぶ").get_attribute("href") == "/towns/okunoto/carry.zip"
    page.get_by_role("link", name="運んできたものを受け入れる").click()
    files = carry_out(OKUNOTO).files
    brought(page, address, "town.zip", zipped({**files, "sites.csv": files["sites.csv"].replace(b"'37.308762", b"'37.308763", 1)}))
    assert "2行目「緯度」（shelter-kodomo-mirai）が「37.308763」になっています。" in page.inner_text("[role=alert]")
    brought(page, address, "town.zip", zipped(files))
    page.wait_for_url("**/carry/*")
    assert "37.308700" in page.inner_text("table")
    if scripts:
        everybody(browser, page.url)
        everybody(browser, f"{address}/carry")
    page.get_by_role("button", name="書き込む").click()
    assert "町を受け入れました" in page.inner_text("[role=status]")
    context.close()


@pytest.mark.timeout(300)
def test_everybody_can_read_what_a_carried_plan_changes(browser: Browser, address: str, example_folder: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/plans/okunoto/papers?lang=ja")
    assert page.get_by_role("link", name="ほかの網へ運ぶ").get_attribute("href") == "/plans/okunoto/carry.zip"
    brought(page, address, "plan.zip", zipped(carry_out(example_folder).files))
    page.wait_for_url("**/carry/*")
    assert "変わるものはありません" in page.inner_text("main")
    everybody(browser, page.url)
    page.get_by_role("button", name="やめる").click()
    assert "やめました" in page.inner_text("[role=status]")
    context.close()
