"""The bundle installed and walked with no network: `python bench/bundle.py [--bundle FILE] [--python PROGRAM]` after `make bundle`.

Unpacks dist/kiban-*-bundle.tar.gz into a temporary folder and goes into a network namespace without a way out (unshare -rn, only lo), where it runs install.sh,
starts kiban-serve, makes the plan of the example over HTTP from the sentence on, and opens its pages and papers.
Prints what each step took; exit 1 where one fails.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

DIST = Path(__file__).parents[1] / "dist"
SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"
PORT = 8931
OUTSIDE = ("192.0.2.1", 443)  # an address of nobody (RFC 5737): without a way out the kernel says so at once


def main() -> int:
    """Go into the namespace and walk."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, metavar="FILE")
    parser.add_argument("--python", default="", metavar="PROGRAM", help="the Python to install with")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        walk(args.inside, args.python)
        return 0
    bundle = args.bundle or next(iter(sorted(DIST.glob("kiban-*-bundle.tar.gz"))), None)
    if bundle is None:
        print("no bundle in dist/: make bundle")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        with tarfile.open(bundle) as tar:
            tar.extractall(folder, filter="data")
        said("unpacked", begin)
        command = ["unshare", "-rn", sys.executable, str(Path(__file__).resolve()), "--inside", folder, "--python", args.python]
        return subprocess.run(command).returncode


def said(what: str, begin: float) -> None:
    """One line of the table."""
    print(f"{what:44} {time.perf_counter() - begin:7.1f} s", flush=True)


def loopback() -> None:
    """Switch lo on; there is no other interface here."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, 0x8914, struct.pack("16sh22x", b"lo", 0x41))  # SIOCSIFFLAGS, up and running
    try:
        socket.create_connection(OUTSIDE, 2).close()
    except OSError as error:
        print(f"the way out: {error.strerror}")
        return
    raise SystemExit("there is a way out of this namespace")


def walk(folder: Path, python: str) -> None:
    """Install, serve, plan, open."""
    loopback()
    source = next(path for path in folder.iterdir() if path.name.startswith("kiban-"))
    target = folder / "town hall"  # a name with a blank, as folders have
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment |= {"HOME": str(folder / "home"), "KIBAN_PORT": str(PORT)} | ({"PYTHON": python} if python else {})
    begin = time.perf_counter()
    subprocess.run(["sh", "install.sh", str(target)], cwd=source, env=environment, check=True)
    said("installed and compiled", begin)
    size = sum(path.lstat().st_size for path in target.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{'on disk':44} {size / 1e6:7.0f} MB")

    begin = time.perf_counter()
    server = subprocess.Popen([target / "kiban-serve"], env=environment)
    try:
        until(lambda: ask("/health").status == 200, 60)
        said("server answers", begin)
        begin = time.perf_counter()
        understood = ask("/issue?" + urlencode({"region": "okunoto", "sentence": SENTENCE}))
        job = ask("/jobs", {"region": "okunoto", "sentence": SENTENCE})
        if (understood.status, job.status) != (200, 303):
            raise SystemExit(f"no job was made: {understood.status}, {job.status} {job.text[:300]}")
        until(lambda: ask(job.place).place.startswith("/plans/"), 240)
        said("plan of the example, over HTTP", begin)
        plan = ask(job.place).place.partition("?")[0]
        begin = time.perf_counter()
        for path in ("/", plan, f"{plan}/options", f"{plan}/design", f"{plan}/money", "/cases?q=防災"):
            if (status := ask(quote(path, safe="/?=%")).status) != 200:
                raise SystemExit(f"{path}: {status}")
        said("pages", begin)
        begin = time.perf_counter()
        papers = [unescape(one) for one in re.findall(r'href="([^"]*/files/[^"]+)"', ask(plan).text)]
        sizes = [len(answer.body) for answer in map(ask, papers) if answer.status == 200]
        if len(sizes) < len(papers) or not sizes:
            raise SystemExit(f"{len(sizes)} of {len(papers)} papers were opened")
        said(f"{len(sizes)} papers, {sum(sizes) / 1e6:.1f} MB", begin)
    finally:
        server.terminate()
        server.wait(20)


@dataclass(frozen=True)
class Answer:
    """What the server said; status 0 when nobody was there."""

    status: int = 0
    place: str = ""
    body: bytes = b""

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode("utf-8", "replace")


def ask(path: str, form: dict[str, str] | None = None) -> Answer:
    """One request as a browser sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    head = {"Accept": "text/html", "Origin": f"http://127.0.0.1:{PORT}", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("GET" if form is None else "POST", path, None if form is None else urlencode(form), head)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("location") or "", answer.read())
    except ConnectionRefusedError:
        return Answer()
    finally:
        connection.close()


def until(done: Callable[[], bool], seconds: float) -> None:
    """Wait."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise SystemExit("waited too long")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
