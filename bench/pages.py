"""How fast the pages are: `python bench/pages.py [--quick]`.

Starts a real `kiban serve` over the example plan and the plan of a drawn town with about 10,000 street links (made once, kept in out/bench/pages), keeps
one job designing the town beside it, and measures: the start, from exec to the first answer of /health; each page alone, 30 times, at the loopback address;
every entry of the catalogue once; the bytes of the first page and what it loads; in a real browser, where there is one, how long until the map can be used;
and 50 officers at once, each of whom walks through the pages, looking at each for a second.
Prints the goal beside each. Beside the wall clock stands what the server's processor did, for a machine that others use, too.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from kiban.catalogue import KINDS, load
from kiban.loop.files import write_folder
from kiban.loop.given import Given
from kiban.loop.plan import make_plan
from kiban.region import read
from town import NOW, SENTENCE, catalogue_of, town

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "out" / "bench" / "pages"
SITES, LINKS = 500, 10_000
PORT = 8941
TIMES, OFFICERS, LOOKS, SECONDS = 30, 50, 12, 1.0
PAGE, LARGE, START, FIRST, MAP = 60.0, 150.0, 1.5, 250_000, 2.0  # goals: ms, ms, s, bytes, s
SOFTWARE_GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
TICK = os.sysconf("SC_CLK_TCK")


def plans() -> Path:
    """The folder with both plans; the drawn one is made when it is not there yet."""
    folder = KEPT / "plans"
    if not (folder / "town" / "plan.json").is_file():
        print(f"making the plan of a drawn town, {SITES} sites, {LINKS:,} links: once, a minute or two", flush=True)
        catalogue = catalogue_of(KEPT)
        region = town(SITES, LINKS)
        made = make_plan(Given(sentence=SENTENCE, region=region, catalogue=catalogue, now=NOW, work=20))
        write_folder(made, region, catalogue, "ja", folder / "town")
    if not (folder / "okunoto" / "plan.json").is_file():
        region = read(ROOT / "examples" / "okunoto")
        catalogue = load(None, KEPT / "cache")
        write_folder(make_plan(Given(sentence=SENTENCE, region=region, catalogue=catalogue, now=NOW)), region, catalogue, "ja", folder / "okunoto")
    return folder


def environment(state: Path) -> dict[str, str]:
    """Settings of a server of its own."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("KIBAN_")}
    return {**known, "KIBAN_STATE": str(state), "KIBAN_PORT": str(PORT), "PYTHONPATH": str(ROOT / "src")}


def start(folder: Path, state: Path) -> tuple[subprocess.Popen[bytes], float]:
    """A server, and the seconds from exec to its first answer."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "kiban", "serve", "--plans", str(folder), "--regions", str(ROOT / "examples")]
    server = subprocess.Popen(command, env=environment(state), stdout=subprocess.DEVNULL)
    while server.poll() is None:
        try:
            if ask("/health")[0] == 200:
                return server, time.perf_counter() - begin
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise SystemExit("kiban serve ended")


def ask(path: str, packed: bool = True) -> tuple[int, bytes, float]:
    """Status, bytes as they were sent, milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Accept": "text/html", **({"Accept-Encoding": "gzip"} if packed else {})})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, 1000 * (time.perf_counter() - begin)


def processor(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def designing(state: Path) -> Iterator[None]:
    """One process that designs the drawn town over and over, as a job does: at a lower priority than the pages."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom town import *\n"
        "region, catalogue = town(500, 10_000), catalogue_of(Path(sys.argv[2]))\n"
        "while True: make_plan(Given(sentence=SENTENCE, region=region, catalogue=catalogue, now=NOW, work=1000))\n"
    )
    job = subprocess.Popen([sys.executable, "-c", script, str(ROOT / "bench"), str(state)], env=environment(state), preexec_fn=lambda: os.nice(10))
    try:
        time.sleep(5)
        yield
    finally:
        job.kill()
        job.wait()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so large a share of the others does not exceed."""
    return sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]


def row(what: str, found: str, goal: str, holds: bool | None) -> None:
    """One line of the table."""
    print(f"| {what} | {found} | {goal} | {'' if holds is None else 'yes' if holds else 'NO'} |", flush=True)


def first_page() -> int:
    """Bytes of the first page with what it loads, packed as far as the server or a browser's cache of files does; scripts of the map come with the design."""
    _, body, _ = ask("/")
    text = gzip.decompress(body).decode() if body[:2] == b"\x1f\x8b" else body.decode()
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
    return len(body) + sum(len(ask(path)[1]) for path in loaded)


def officer(number: int, paths: list[str], times: dict[str, list[float]], wrong: list[str], until: float) -> None:
    """One person who looks at page after page."""
    time.sleep(SECONDS * number / OFFICERS)
    for look in range(LOOKS):
        path = paths[(number + look) % len(paths)]
        try:
            status, _, ms = ask(path)
        except OSError as error:
            wrong.append(f"{path}: {error}")
            continue
        if status != 200:
            wrong.append(f"{path}: {status}")
        times[path].append(ms)
        time.sleep(SECONDS)
        if time.monotonic() > until:
            wrong.append("too slow to end")
            return


def main() -> int:
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="each page five times, no crowd")
    args = parser.parse_args()
    folder = plans()
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch)
        starts, used = [], []
        for _ in range(2 if args.quick else 5):
            server, seconds = start(folder, state)
            starts.append(seconds)
            used.append(processor(server.pid))
            server.terminate()
            server.wait()
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
        print("| what | found | goal | holds |\n|---|---|---|---|")
        row("first start, caches empty", f"{starts[0]:.2f} s", "", None)
        row(
            "start to the first answer, median",
            f"{statistics.median(starts[1:]):.2f} s (processor {min(used[1:]):.2f} s)",
            f"{START} s",
            statistics.median(starts[1:]) <= START,
        )
        server, _ = start(folder, state)
        try:
            time.sleep(6)  # the engines are loaded after the start
            with designing(state):
                pages(server.pid, 5 if args.quick else TIMES)
                entries(server.pid)
                usable_map(3 if args.quick else 5)
                if not args.quick:
                    crowd()
        finally:
            server.terminate()
            server.wait()
    return 0


def pages(pid: int, times: int) -> None:
    """Each page alone, with a design job beside."""
    for path, goal in ROUTES:
        _, _, cold = ask(path)
        begin = processor(pid)
        answers = [ask(path) for _ in range(times)]
        used = 1000 * (processor(pid) - begin) / times
        if {status for status, _, _ in answers} != {200}:
            raise SystemExit(f"{path}: {answers[0][0]}")
        slow = percentile([ms for _, _, ms in answers], 0.95)
        middle = statistics.median(ms for _, _, ms in answers)
        found = f"p95 {slow:.0f} ms, median {middle:.0f}, processor {used:.0f}, first look {cold:.0f}; {len(answers[0][1]) / 1000:.0f} kB packed"
        row(path.partition("?")[0], found, f"{goal:.0f} ms", slow <= goal)
    size = first_page()
    row("first page with all it loads", f"{size / 1000:.0f} kB packed", f"{FIRST // 1000} kB", size <= FIRST)


def entries(pid: int) -> None:
    """Each entry of the catalogue once."""
    paths = [f"/catalogue/{kind}/{quote(id)}" for kind in KINDS if kind != "cases" for id in load(None, KEPT / "cache").of(kind)]
    begin = processor(pid)
    answers = [ask(path) for path in paths]
    used = 1000 * (processor(pid) - begin) / len(paths)
    wrong, slow = sum(status != 200 for status, _, _ in answers), percentile([ms for _, _, ms in answers], 0.95)
    found = f"p95 {slow:.0f} ms, median {statistics.median(ms for _, _, ms in answers):.0f}, processor {used:.0f}; {len(paths)} pages, {wrong} errors"
    row("each entry of the catalogue, first look", found, f"{PAGE:.0f} ms", slow <= PAGE and not wrong)


def usable_map(times: int) -> None:
    """From the call of the design page to the map that can be clicked, in a browser that has nothing of it yet and draws without a graphics card."""
    try:
        from playwright.sync_api import sync_playwright  # not every machine that measures pages has a browser
    except ImportError:
        return
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return
    with sync_playwright() as play, play.chromium.launch(executable_path=chromium, args=SOFTWARE_GL) as browser:
        for path in ("/plans/okunoto/design", "/plans/town/design"):
            waits, used = [], []
            for _ in range(times + 1):
                with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
                    page, begin = context.new_page(), family(os.getpid())
                    page.goto(f"http://127.0.0.1:{PORT}{path}", wait_until="commit")
                    page.wait_for_selector("#map[data-ready=yes]", state="attached", timeout=120_000)
                    waits.append(page.evaluate("Number(document.getElementById('map').dataset.after)") / 1000)
                    used.append(family(os.getpid()) - begin)
            middle = statistics.median(waits[1:])  # the first look also starts the drawing of the browser
            found = f"median {middle:.2f} s, least {min(waits):.2f} s, first look {waits[0]:.2f} s; processor of the whole browser {min(used):.1f} s"
            row(f"map of {path} usable", found, f"{MAP:.0f} s", middle <= MAP)


def family(root: int) -> float:
    """Seconds that the descendants of a process have computed so far."""
    below: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(stat.parent.name)
        below[int(fields[1])].append(pid)
        used[pid] = (int(fields[11]) + int(fields[12])) / TICK

    def of(pid: int) -> float:
        return used.get(pid, 0.0) + sum(of(child) for child in below[pid])

    return sum(of(child) for child in list(below[root]))


def crowd() -> None:
    """Fifty officers at once."""
    times: dict[str, list[float]] = defaultdict(list)
    wrong: list[str] = []
    paths = [path for path, _ in ROUTES]
    until = time.monotonic() + 300
    threads = [threading.Thread(target=officer, args=(number, paths, times, wrong, until)) for number in range(OFFICERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waits = [ms for one in times.values() for ms in one]
    found = f"{len(waits)} pages, {len(wrong)} errors; waited p95 {percentile(waits, 0.95):.0f} ms, median {statistics.median(waits):.0f}"
    row(f"{OFFICERS} officers at once, a page a second each", found, "no error", not wrong)
    for one in wrong[:5]:
        print(f"  {one}")


ROUTES = [
    ("/", PAGE),
    ("/new?region=okunoto", PAGE),
    (f"/issue?region=okunoto&sentence={quote(SENTENCE)}", PAGE),
    ("/jobs", PAGE),
    ("/towns", PAGE),
    ("/towns/okunoto", PAGE),
    (f"/cases?q={quote('防災')}", PAGE),
    ("/cases/2024-noto-starlink", PAGE),
    ("/catalogue", PAGE),
    ("/catalogue/words", PAGE),
    ("/catalogue/technologies", PAGE),
    ("/catalogue/words/ja", LARGE),
    ("/help", PAGE),
    ("/help/words", PAGE),
    ("/audit", PAGE),
    ("/plans/okunoto", PAGE),
    ("/plans/okunoto/options", PAGE),
    ("/plans/okunoto/design", PAGE),
    ("/plans/okunoto/money", PAGE),
    *(
        (f"/plans/okunoto/{page}", PAGE)
        for page in ("supports", "quotes", "papers", "papers/project-plan", "compare", "handover", "facts", "history", "map.svg", "map.json")
    ),
    ("/plans/town", LARGE),
    ("/plans/town/design", LARGE),
    *((f"/plans/town/{page}", PAGE) for page in ("money", "supports", "quotes", "papers", "handover", "history", "map.svg", "map.json")),
]


if __name__ == "__main__":
    sys.exit(main())
