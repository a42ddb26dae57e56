"""The pages of towns in a real browser: a file is dropped, checked and confirmed; everybody can use the pages, light and dark, narrow and wide."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kiban.web.making import Regions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
AXE = ROOT / "assets" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
TABLE = (
    "名称,種別,緯度,経度,人口,洪水\n"
    "こどもみらいセンター,避難所,３７．３０８７６２,137.148699,約20,○\n北公民館,避難所,137.15,37.33,50,たぶん\n南集落,集落,37.33,137.14,12,\n"
)
DROP = """([zone, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const all = new DataTransfer();
  all.items.add(new File([bytes], name));
  document.querySelector(zone).dispatchEvent(new DragEvent("drop", { dataTransfer: all, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=["--no-sandbox", "--disable-background-networking", "--no-first-run"])
        yield started
        started.close()


@pytest.fixture
def address(tmp_path: Path, serve: Callable[..., str]) -> str:
    shutil.copytree(ROOT / "examples" / "okunoto", tmp_path / "regions" / "okunoto")
    return serve(tmp_path / "plans", regions=Regions(tmp_path / "regions"), state=tmp_path / "state")


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a path; at the end, wants no complaint of the console."""
    seen: list[str] = []
    contexts = []

    def open_page(path: str, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") and "422" not in message.text else None)
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:2]]}" for one in found["violations"]]


@pytest.mark.timeout(180)
def test_a_dropped_file_is_checked_confirmed_and_taken_back(opened: Callable[..., Page], address: str) -> None:
    page = opened("/towns/okunoto")
    page.evaluate(DROP, [".drop", "避難所.csv", base64.b64encode(TABLE.encode("cp932")).decode()])
    page.wait_for_url("**/imports/**")
    assert page.locator("table.doubts tbody tr").all_inner_texts() != []
    assert "3行目 C列「緯度」" in page.locator("#doubts ~ details").first.inner_text() + page.inner_text("main")
    imported = page.url.removeprefix(address)
    for width, scheme, lang in ((390, "dark", "en"), (1440, "light", "ja")):
        shown = opened(imported.replace("lang=ja", f"lang={lang}"), width, scheme)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        if AXE.exists():
            assert violations(shown) == []
    page.get_by_role("button", name="書き込む").click()
    page.wait_for_url("**done=1**")
    assert "追加 1・変更 1・削除 0・取り込まず 1" in page.inner_text("main")
    page.get_by_role("button", name="この前に戻す").first.click()
    page.wait_for_url("**done=2**")
    assert "1 番の取り込みの前に戻した" in page.inner_text("main")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("lang", ["ja", "en"])
def test_everybody_can_use_the_pages_of_towns(opened: Callable[..., Page], lang: str) -> None:
    for path in ("/towns", "/towns/okunoto", "/towns/new"):
        for width, scheme in ((390, "light"), (1280, "dark")):
            page = opened(f"{path}?lang={lang}", width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if AXE.exists():
                assert violations(page) == [], path


def test_a_file_can_be_brought_without_javascript(opened: Callable[..., Page]) -> None:
    page = opened("/towns/okunoto", scripts=False)
    page.set_input_files("#file", {"name": "list.geojson", "mimeType": "application/json", "buffer": json.dumps({"features": []}).encode()})
    page.get_by_role("button", name="読み取る").click()
    page.wait_for_selector("[role=alert]")
    assert "見出しの行" in page.inner_text("[role=alert]")
