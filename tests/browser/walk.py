"""The way of an officer of a small town from nothing to the opened papers, as tests and pictures walk it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.browser.walker import Walker

from kiban.documents.own_words import read_words

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
BUS = "路線バスが来年減便、通院が困難"
WAIT, MAKING = 30_000, 180_000  # milliseconds: for a page, for a plan
OWN = "当町では、令和6年の地震で孤立した集落の避難所から優先して整備する。"


@dataclass
class Server:
    """A running `kiban serve`."""

    address: str
    state: Path
    code: str  # of the first account; empty where nobody signs in
    process: subprocess.Popen[str]


@contextmanager
def serving(folder: Path, port: int, kiban: str | None = None, **settings: str) -> Iterator[Server]:
    """Start the server over an empty state folder and the example region; wait until it answers. kiban: the command, by default that of this checkout."""
    state = folder / "state"
    regions = folder / "regions"
    if not regions.exists():
        shutil.copytree(ROOT / "examples", regions)
    environ: Mapping[str, str] = {**os.environ, "KIBAN_STATE": str(state), "KIBAN_PORT": str(port), **settings}
    words = [*([kiban] if kiban else [sys.executable, "-m", "kiban"]), "serve", "--regions", str(regions)]
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(words, env=environ, stdout=log, stderr=subprocess.STDOUT, text=True)
    try:
        for _ in range(600):
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
                time.sleep(0.1)
        code = re.search(r"\d{4}-\d{4}-\d{4}", (folder / "server.log").read_text(encoding="utf-8"))
        yield Server(f"http://127.0.0.1:{port}", state, code[0] if code else "", process)
    finally:
        process.terminate()
        process.wait(20)


def walk(walker: Walker, answers: Mapping[str, str] | None = None, facts: Mapping[str, str] | None = None) -> None:
    """Steps 1 to 8: the town, a sentence, the questions, the verdict, the model, what is not known, the supports, the papers; then the pack for whoever
    follows.

    answers: question → choice; facts: fact → yes or no. None leaves every question unknown.
    """
    page = walker.page

    def link(name: str) -> None:
        walker.press(page.locator(f'.tabs a[href*="/{name}?"]'))

    walker.at("home", "**/?*")
    walker.press(page.locator('header nav a[href^="/towns?"]'))
    walker.at("towns", "**/towns?*")
    walker.press(page.locator('main a[href^="/towns/okunoto?"]').first)
    walker.at("town", "**/towns/okunoto?*")
    walker.press(page.locator("main a.go").first)
    walker.at("sentence", "**/new?*")
    walker.fill(page.locator("#sentence"), SHELTER)
    walker.press(page.locator("button.go"))
    walker.at("issue", "**/issue?*")
    for question, choice in (answers or {}).items():
        walker.choose(page.locator(f'input[name="q.{question}"][value="{choice}"]'))
    walker.press(page.locator("button.go").first)
    page.wait_for_url("**/jobs/*", timeout=WAIT)
    walker.at("plan", "**/plans/*?*", MAKING)
    assert SHELTER in page.locator("h1").inner_text()
    link("options")
    walker.at("options", "**/options?*")
    assert page.locator("table.options tbody tr").count() == 7
    link("design")
    walker.at("design", "**/design?*")
    page.wait_for_selector("#map[data-ready=yes]")
    walker.press(page.locator("table.links td a").first)
    walker.at("cut", "**/design?*cut=*")
    link("money")
    walker.at("money", "**/money?*")
    walker.press(page.locator('.tabs a[href*="/plans/"]').first)
    page.wait_for_url("**/plans/*?*")
    walker.press(page.locator("a.chip.strong"))
    walker.at("model", "**/catalogue/models/**")
    page.go_back()
    link("papers")
    walker.at("papers", "**/papers?*")
    if facts is not None:
        walker.press(page.locator('main a[href*="/facts?"]').first)
        walker.at("facts", "**/facts?*")
        for fact, choice in facts.items():
            walker.choose(page.locator(f'input[name="fact.{fact}"][value="{choice}"]'))
        walker.press(page.locator("form.wide-form button.go"))
        page.wait_for_url("**saved=*")
    link("supports")
    walker.at("supports", "**/supports?*")
    link("papers")
    page.wait_for_url("**/papers?*")
    ready(page)
    walker.press(page.locator('main a.button[href*="/papers/drafting?"]'))
    walker.at("paper", "**/papers/drafting?*")
    walker.press(page.locator("details.write summary").first)
    walker.fill(page.locator("details.write textarea").first, OWN)
    walker.press(page.locator("details.write button.go").first)
    page.wait_for_url("**saved=*")
    link("papers")
    walker.at("papers-made", "**/papers?*")
    ready(page)
    with page.expect_download() as download:
        walker.press(page.locator('main a[href*="%E8%B5%B7%E6%A1%88%E6%96%87.docx"]').first)
    assert OWN in "\n".join(read_words(Path(download.value.path()).read_bytes()).values())
    link("quotes")
    walker.at("quotes", "**/quotes?*")
    link("handover")
    walker.at("handover", "**/handover?*")


def ready(page: Page) -> None:
    """Wait until the papers are those of the newest version."""
    page.locator("#papers-state.busy").wait_for(state="detached", timeout=MAKING)
    page.reload()


def bus(walker: Walker) -> None:
    """The sentence that no standard model answers: it ends with the nearest cases, stopped ones first, and whom to ask; nothing is made."""
    page = walker.page
    walker.fill(page.locator("#sentence"), BUS)
    walker.press(page.locator("button.go"))
    walker.at("bus", "**/issue?*")
    assert page.locator("form[action^='/jobs']").count() == 0
    assert page.locator(".note.warn[role=status]").is_visible()
    states = page.locator("ul.cases > li").evaluate_all("rows => rows.map(row => row.className)")
    assert states[:2] == ["stopped", "stopped"]
    assert len(states) >= 4
    assert page.locator("main ul:not(.cases) li").count() >= 2
