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
from urllib.request import urlopen

from tests.browser.walker import Walker

ROOT = Path(__file__).parents[2]
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
BUS = "路線バスが来年減便、通院が困難"
OWN = "当町では、令和6年の地震で孤立した集落の避難所から優先して整備する。"


@dataclass
class Server:
    """A running `kiban serve`."""

    address: str
    state: Path
    code: str  # of the first account; empty where nobody signs in
    process: subprocess.Popen[str]


@contextmanager
def serving(folder: Path, port: int, **settings: str) -> Iterator[Server]:
    """Start the server over an empty state folder and the example region; wait until it answers."""
    state = folder / "state"
    regions = folder / "regions"
    if not regions.exists():
        shutil.copytree(ROOT / "examples", regions)
    environ: Mapping[str, str] = {**os.environ, "KIBAN_STATE": str(state), "KIBAN_PORT": str(port), **settings}
    words = [sys.executable, "-m", "kiban", "serve", "--regions", str(regions)]
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


def walk(walker: Walker, answers: Mapping[str, str] | None = None) -> None:
    """Steps 1 to 8: the town, a sentence, the questions, the verdict, the model, what is not known, the supports, the papers.

    answers: question → choice; None leaves every question unknown.
    """
    page = walker.page

    def link(name: str) -> None:
        walker.press(page.locator(f'.tabs a[href*="/{name}?"]'))

    walker.at("home", "**/?*")
    walker.fill(page.locator("#sentence"), SHELTER)
    walker.press(page.locator("button.go"))
    walker.at("issue", "**/issue?*")
    for question, choice in (answers or {}).items():
        walker.choose(page.locator(f'input[name="q.{question}"][value="{choice}"]'))
    walker.press(page.locator("button.go").first)
    walker.at("plan", "**/plans/*?*", 180_000)
    assert SHELTER in page.locator("h1").inner_text()
    link("options")
    walker.at("options", "**/options?*")
    assert page.locator("table.options tbody tr").count() == 7
    link("design")
    walker.at("design", "**/design?*")
    page.wait_for_selector("#map[data-ready=yes]")
