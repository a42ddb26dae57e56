"""The same walk where an office has it: at a name on the LAN over plain http with sign-in, and on a machine without any network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.browser.test_browser import OPTIONS, WAIT
from tests.browser.test_walk import ANSWERS, free_port
from tests.browser.walk import serving, walk
from tests.browser.walker import Walker

NAME = "kiban.machi.example"
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_the_walk_at_a_name_of_the_lan_over_plain_http(chromium: Path, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    port = free_port()
    with (
        serving(tmp_path, port, KIBAN_HOST="0.0.0.0", KIBAN_NAMES=NAME) as server,
        sync_playwright() as play,
        play.chromium.launch(executable_path=str(chromium), args=[*OPTIONS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]) as browser,
    ):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.goto(f"http://{NAME}:{port}/")
        assert page.evaluate("window.isSecureContext") is False
        page.wait_for_url("**/setup*")
        for field, text in (
            ("code", server.code),
            ("login", "sato"),
            ("name", "佐藤"),
            ("password", "奥能登の朝は早くて静かだ"),
            ("again", "奥能登の朝は早くて静かだ"),
        ):
            page.locator(f"input[name={field}]").fill(text)
        page.locator("button.go").click()
        page.wait_for_url("**/accounts*")
        assert [(cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) for cookie in context.cookies() if cookie["name"] != "kiban_lang"] == [
            (False, True, "Lax")
        ]
        page.goto(f"http://{NAME}:{port}/?lang=ja")
        walk(Walker(page, "mouse"), ANSWERS)


@pytest.mark.timeout(900)
def test_the_walk_on_a_machine_without_a_network(chromium: Path) -> None:
    assert chromium
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], capture_output=True, timeout=20).returncode:
        pytest.skip("needs network namespaces (unshare, ip)")
    alone = 'ip link set lo up && ! ip route get 192.0.2.1 2>/dev/null && exec "$@"'
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/browser/test_walk.py", "-k", "mouse and ja"]
    done = subprocess.run(["unshare", "-rn", "sh", "-c", alone, "sh", *words], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout or done.stdout.startswith(".")
