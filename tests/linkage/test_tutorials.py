"""The pages about the broker that a newcomer follows: every command is run as it stands there, in order, and answers what the page says.

A block of `sh` is run in an empty folder that has `.venv/bin/kiban` and `examples`. One that begins with `# terminal N` stays open; the same terminal a
second time means Ctrl-C first, and `# terminal N: Ctrl-C` no more than that. A block of `text` or `json` is what the commands before it print, and
`text terminal-N` is what comes in that terminal.
System times, ids that the broker makes, and the ports are others in each run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiban.cli import build_parser
from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.policy import read_policy

ROOT = Path(__file__).parents[2]
PAGES = ("tutorials/broker-five-minutes", "tutorials/broker-town-data", "how-to/broker-import", "how-to/broker-federate")
BLOCK = re.compile(r"^```(sh|text|json)(?: terminal-(\d))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOCAL = re.compile(r"<(http://127\.0\.0\.1:[^>]+)>")
CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[0-9a-f]{24}\b"), "ID"),
    (re.compile(r"\d+ bytes|\d+\.\d s\b"), "MEASURED"),
]


@dataclass(frozen=True)
class Block:
    """One block of a page. terminal: "" for commands that end, and for what they print."""

    line: int
    kind: str
    terminal: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = []
    for hit in BLOCK.finditer(text):
        kind, terminal, body = hit.groups()
        opened = re.match(r"# terminal (\d)", body) if kind == "sh" else None
        found.append(Block(text.count("\n", 0, hit.start()) + 1, kind, opened.group(1) if opened else terminal or "", body))
    return found


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def alike(text: str) -> str:
    """What does not change from one run to the next."""
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def heeds() -> None:
    """In a process that is to end at Ctrl-C, also where these tests run in the background of a shell, which keeps it from its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Desk:
    """A folder with open terminals, as a newcomer has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {page: free_port() for page in ("1026", "1027", "8899")}
        self.open: dict[str, subprocess.Popen[bytes]] = {}
        self.read: dict[str, int] = {}
        self.printed = ""
        (folder / ".venv" / "bin").mkdir(parents=True)
        command = folder / ".venv" / "bin" / "kiban"
        # The page leaves the port out: it is the usual one.
        usual = f'case "$* " in *" --port "*) ;; "broker --"*) set -- "$@" --port {self.ports["1026"]};; esac'
        run = f'exec {sys.executable} -c "import sys; from kiban.cli import main; sys.exit(main())" "$@"'
        command.write_text(f"#!/bin/sh\n{usual}\n{run}\n", "utf-8")
        command.chmod(0o755)
        (folder / "examples").symlink_to(ROOT / "examples")
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}

    def ported(self, text: str, back: bool = False) -> str:
        for page, here in self.ports.items():
            text = re.sub(rf"(?<!\d){here if back else page}(?!\d)", page if back else here, text)
        return text

    def run(self, block: Block) -> None:
        """Commands that end; what they print is kept. Raises AssertionError if one fails."""
        script = f"set -euo pipefail\n{self.ported(block.text)}"
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"line {block.line}: {done.stdout}{done.stderr}"
        self.printed = self.ported(done.stdout.replace("\r\n", "\n"), back=True)

    def start(self, block: Block) -> None:
        """A command that stays, in its terminal."""
        if before := self.open.get(block.terminal):
            self.interrupt(before)
        if "Ctrl-C" in block.text.partition("\n")[0]:
            return
        out = self.folder / f"terminal-{block.terminal}"
        self.read[block.terminal] = out.stat().st_size if out.exists() else 0
        with out.open("ab") as log:
            script = f"{self.ported(block.text.rstrip())}\n"
            self.open[block.terminal] = subprocess.Popen(
                ["bash", "-c", f"exec {script.partition(chr(10))[2]}"], cwd=self.folder, env=self.environment, stdout=log, stderr=log, preexec_fn=heeds
            )
        named = re.search(r"--port (\d+)", block.text)
        port = self.ports[named.group(1) if named else "1026" if "kiban broker" in block.text else "8899"]
        until = time.monotonic() + 60
        while True:
            assert self.open[block.terminal].poll() is None, out.read_text("utf-8")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                    return
            assert time.monotonic() < until, f"line {block.line}: nothing listens"
            time.sleep(0.05)

    def arrived(self, terminal: str, lines: int) -> str:
        """What has come in a terminal since the last look: waits until there are so many lines."""
        out = self.folder / f"terminal-{terminal}"
        until = time.monotonic() + 15
        while True:
            found = out.read_bytes()[self.read[terminal] :]
            if found.count(b"\n") >= lines or time.monotonic() > until:
                self.read[terminal] += len(found)
                return self.ported(found.decode(), back=True)
            time.sleep(0.05)

    @staticmethod
    def interrupt(process: subprocess.Popen[bytes]) -> None:
        """Ctrl-C; nothing if it has ended."""
        process.send_signal(signal.SIGINT)
        process.wait(30)

    def close(self) -> None:
        for process in self.open.values():
            if process.poll() is None:
                self.interrupt(process)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (apt-get install curl)")
@pytest.mark.parametrize("name", PAGES)
def test_what_the_page_says_happens(name: str, tmp_path: Path) -> None:
    page = ROOT / "docs" / f"{name}.md"
    desk = Desk(tmp_path)
    try:
        for block in blocks(page):
            if "make setup" in block.text:
                continue  # whoever runs the tests has done it
            if block.kind == "sh":
                (desk.start if block.terminal else desk.run)(block)
            elif block.terminal:
                assert alike(desk.arrived(block.terminal, block.text.count("\n"))) == alike(block.text), f"line {block.line}"
            else:
                assert alike(desk.printed) == alike(block.text), f"line {block.line}"
                if block.kind == "json":
                    json.loads(block.text)
        for address in LOCAL.findall(page.read_text("utf-8")):
            with urllib.request.urlopen(desk.ported(address), timeout=10) as answer:
                assert answer.status == 200, address
    finally:
        desk.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (apt-get install curl)")
def test_a_notification_waits_for_the_receiver_of_the_page(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    steps = [block for block in blocks(ROOT / "docs" / "tutorials" / "broker-five-minutes.md") if block.kind == "sh" and "make setup" not in block.text]
    rises = next(number for number, block in enumerate(steps) if "-X PATCH" in block.text)
    try:
        for block in steps[: rises + 1]:
            (desk.start if block.terminal else desk.run)(block)
        assert "3.32" in desk.arrived("2", 1)
        desk.interrupt(desk.open["2"])
        desk.run(dataclasses.replace(steps[rises], text=steps[rises].text.replace("3.32", "4.01")))
        desk.start(next(block for block in steps if block.terminal == "2"))
        assert "4.01" in desk.arrived("2", 1)
    finally:
        desk.close()


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_show_the_same_blocks(name: str) -> None:
    pages = [ROOT / "docs" / f"{name}{ending}" for ending in (".md", ".ja.md")]
    english, japanese = ([(block.kind, block.terminal, block.text) for block in blocks(page)] for page in pages)
    assert japanese == english


def commands(page: Path) -> list[list[str]]:
    """The words behind `kiban` of every command `kiban broker …` in a page's blocks."""
    found = []
    for body in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for line in body.splitlines():
            if called := re.search(r"(?:^|[/=])(?:[\w./-]*/)?kiban (broker[^|]*)", line):
                found.append(shlex.split(called.group(1), comments=True))
    return found


def test_every_command_of_the_broker_in_the_documentation_is_one() -> None:
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs" / "tutorials").glob("broker*.md"), *(ROOT / "docs" / "how-to").glob("broker*.md")]
    found = [words for page in pages for words in commands(page)]
    assert len(found) > 30
    for words in found:
        build_parser("broker").parse_args(words)


def test_the_policy_of_the_documentation_is_one(tmp_path: Path) -> None:
    for page in (ROOT / "docs" / "how-to").glob("broker-operation*.md"):
        policy, jwt = re.findall(r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        (tmp_path / "keys.json").write_text('{"keys": []}', "utf-8")
        (tmp_path / "policy.yaml").write_text(policy + jwt, "utf-8")
        assert len(read_policy(tmp_path / "policy.yaml", Contexts().core).rules) == 4


def test_the_rows_of_the_tutorial_are_few_and_each_names_its_source() -> None:
    folder = ROOT / "examples" / "broker"
    rows = [json.loads(line) for line in (folder / "water-level.ndjson").read_text("utf-8").splitlines()]
    files = [json.loads((folder / f"{name}.geojson").read_text("utf-8")) for name in ("shelters", "bus-stops")]
    assert all(file["attribution"] and file["license"] for file in files)
    rows += [feature["properties"] for file in files for feature in file["features"]]
    assert len(rows) == 41
    named = (folder / "README.md").read_text("utf-8")
    assert all(re.split(r"[ 、のデ]", row["source"])[0] in named for row in rows)
