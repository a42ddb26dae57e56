"""Signing in with a real browser, at a name of the LAN over plain http; its pages for everybody: axe, both languages, light and dark, by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.web.people import PASSWORD, Office, open_office

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parents[2] / "assets" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
NAME = "kiban.town.lan"
OPTIONS = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
WAIT = 30_000  # milliseconds


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only where a browser is

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(chromium), args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> Office:
    """The office as its people reach it."""
    office = open_office(tmp_path_factory.mktemp("office"), serve, names=(NAME,))
    office.address = f"http://{NAME}:{urlsplit(office.address).port}"
    return office


def at(page: Page, office: Office, path: str) -> Page:
    answer = page.goto(office.address + path)
    assert answer is not None
    assert answer.status == 200
    return page


def signed_in(page: Page, office: Office, login: str) -> Page:
    """By keyboard alone."""
    at(page, office, "/sign-in")
    page.locator("#login").focus()
    page.keyboard.type(login)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    return page


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(("lang", "scheme"), [("ja", "light"), ("en", "dark")])
def test_everybody_can_use_the_pages_of_the_accounts(browser: Browser, office: Office, lang: str, scheme: str, width: int) -> None:
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: None if request.url.startswith(office.address) else complaints.append(request.url))
    for path in ("/sign-in", "/account", "/accounts", "/audit?check=1"):
        if path == "/account":
            signed_in(page, office, "sato")
        at(page, office, f"{path}{'&' if '?' in path else '?'}lang={lang}")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("rules => axe.run({runOnly: rules}).then(found => found.violations.map(one => one.id + ' ' + one.nodes[0].html))", RULES)
        assert found == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert complaints == []
    context.close()


def test_an_approver_lets_somebody_in_who_then_signs_out(browser: Browser, office: Office) -> None:
    context = browser.new_context()
    page = signed_in(context.new_page(), office, "sato")
    at(page, office, "/accounts")
    for field, text in (("login", "kato"), ("name", "加藤"), ("password", PASSWORD), ("again", PASSWORD)):
        page.locator(f"#{field}").fill(text)
    page.get_by_role("button", name="利用者を登録する").click()
    page.get_by_text("kato を変更しました。").wait_for()
    other = browser.new_context()
    theirs = signed_in(other.new_page(), office, "kato")
    theirs.get_by_role("link", name="加藤").click()
    theirs.get_by_role("button", name="サインアウト").click()
    theirs.wait_for_url("**/sign-in**")
    theirs.goto(office.address + "/account")
    assert "/sign-in" in theirs.url
    context.close()
    other.close()


def test_what_was_typed_is_sent_again_after_the_session_ended(browser: Browser, office: Office) -> None:
    context = browser.new_context()
    page = signed_in(context.new_page(), office, "tanaka")
    at(page, office, "/account?lang=ja")
    page.locator("#language").select_option("en")
    again(page, office, "保存する")
    page.get_by_role("button", name="もう一度送る").click()
    page.wait_for_url("**/account?lang=en")
    context.close()


def test_with_a_password_in_it_a_form_is_found_behind_the_back_button(browser: Browser, office: Office) -> None:
    context = browser.new_context()
    page = signed_in(context.new_page(), office, "sato")
    at(page, office, "/accounts?lang=ja")
    for field, text in (("login", "yamada"), ("name", "山田"), ("password", PASSWORD), ("again", PASSWORD)):
        page.locator(f"#{field}").fill(text)
    again(page, office, "利用者を登録する")
    page.go_back()
    assert (page.locator("#login").input_value(), page.locator("#name").input_value()) == ("yamada", "山田")
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    page.get_by_role("button", name="利用者を登録する").click()
    page.get_by_text("yamada を変更しました。").wait_for()
    context.close()


def again(page: Page, office: Office, button: str) -> None:
    """Send a form after the session ended, and sign in in the new tab that is offered."""
    login = "sato" if "/accounts" in page.url else "tanaka"
    assert office.signing.sessions is not None
    office.signing.sessions.end_all(login)
    page.get_by_role("button", name=button).click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="新しいタブでサインイン").click()
    fresh = opened.value
    fresh.locator("#login").fill(login)
    fresh.locator("#password").fill(PASSWORD)
    fresh.keyboard.press("Enter")
    fresh.wait_for_url("**/")
    fresh.close()
