"""How fast the data linkage broker is: `make bench-broker`, or `python bench/broker.py [--only WORDS] [--quick] [--runs N] [--json FILE]`.

The broker has core 0, the load core 1. SQLite syncs every commit, a policy file is asked at each operation, 1,000 subscriptions are registered that match
nothing, values of one attribute are indexed. Beside each line stands what a bare server of the same kind does in the same run: one ASGI callable under the
same uvicorn, which answers from memory and keeps nothing. Median and spread of five runs; bodies are compared with what was last acknowledged, and one that
is wrong fails the line. `--only` takes beginnings of names, with commas; `--quick` takes small sizes and two short runs: no figures to quote.
PostgreSQL shares both cores with its two workers and the load. Exit 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.linkage.broker.load import Load, parse_mix, run
from kiban.linkage.broker.population import CONTEXT, CONTEXT_URL, DEFAULT, KINDS, LEVEL, VOCABULARY, Population

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "out" / "bench" / "broker"
PORT, BARE = 8951, 8952
POINTS = 100_000
POLICY = 'version: 1\nrules:\n  - {who: anyone, operations: ["*"], allow: true}\n'
TICK = os.sysconf("SC_CLK_TCK")
QUIET = 60.0  # seconds that a server may take to start or to end


@dataclass
class Bench:
    """Sizes of this call, and what was found so far."""

    entities: int = 100_000
    many: int = 1_000_000
    points: int = POINTS
    seconds: float = 8.0
    runs: int = 5
    subscriptions: int = 1000  # that match nothing
    rows: list[dict[str, Any]] = field(default_factory=list)

    def row(self, name: str, goal: str, found: str, holds: bool | None, ratio: str = "", **more: Any) -> None:
        """One line of the table, printed at once."""
        self.rows.append({"name": name, "goal": goal, "found": found, "ratio": ratio, "holds": holds, **more})
        found = " ".join(found.split()).replace("|", "¦")
        print(f"| {name} | {goal} | {found} | {ratio} | {'' if holds is None else 'ok' if holds else 'SHORT'} |", flush=True)


class Unable(Exception):
    """A part of the table cannot be measured; the message says why."""


# servers


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The bare server: one entity, twenty entities, or the status of a write that is kept nowhere."""
    if scope["type"] != "http":
        return
    method, path = scope["method"], scope["path"]
    if method != "GET":
        while (await receive()).get("more_body"):
            pass
        status, body = (204, b"") if method == "PATCH" or path.endswith("upsert") else (201, b"")
    else:
        status, body = 200, _TWENTY if path.endswith("/entities") else _ONE
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


_TOWN = Population(64, 1)
_ONE = _TOWN.text(5).encode()
_TWENTY = f"[{','.join(_TOWN.text(n) for n in range(20))}]".encode()


def serve_bare(port: int) -> None:
    """Until it is ended."""
    import uvicorn

    uvicorn.run(bare, host="127.0.0.1", port=port, http="httptools", loop="uvloop", log_level="critical", access_log=False, lifespan="off")


def answers(port: int) -> bool:
    """Whether a server answers anything at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def started(command: list[str], port: int, cores: set[int], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server on some cores, and the seconds from exec to its first answer; ended at the end."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("KIBAN_")}
    environment = {**known, "PYTHONPATH": str(ROOT / "src"), "KIBAN_STATE": str(KEPT / "state")}
    if answers(port):
        raise Unable(f"port {port} is taken. Next: end what listens there")
    began = time.perf_counter()
    with log.open("ab") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output, preexec_fn=lambda: os.sched_setaffinity(0, cores))
    try:
        while not answers(port):
            if server.poll() is not None or time.perf_counter() - began > QUIET:
                raise Unable(f"the server did not start; see {log}: {log.read_text()[-300:].strip()}")
            time.sleep(0.005)
        yield server, time.perf_counter() - began
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(QUIET)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def a_bare_server() -> Iterator[tuple[str, int]]:
    """The bare server on core 0; its URL and process id."""
    with started([sys.executable, __file__, "--bare", str(BARE)], BARE, {0}, KEPT / "bare.log") as (server, _):
        yield f"http://127.0.0.1:{BARE}", server.pid


def broker_command(db: str, history: bool, workers: int = 1) -> list[str]:
    """What starts the broker; its policy and its map of contexts are written beside."""
    (KEPT / "policy.yaml").write_text(POLICY)
    (KEPT / "load.jsonld").write_text(json.dumps(CONTEXT))
    (KEPT / "contexts.json").write_text(json.dumps({CONTEXT_URL: str(KEPT / "load.jsonld")}))
    command = [sys.executable, "-m", "kiban", "broker", "--port", str(PORT), "--db", db, "--history", "on" if history else "off", "--workers", str(workers)]
    command += ["--policy", str(KEPT / "policy.yaml"), "--context-map", str(KEPT / "contexts.json"), "--allow-endpoint", "127.0.0.0/8"]
    return [*command, "--index", VOCABULARY + LEVEL, "--index", DEFAULT + LEVEL]


@contextmanager
def a_broker(db: str, history: bool, workers: int = 1, cores: frozenset[int] = frozenset({0})) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """The broker; its URL, its process, the seconds that it took to start."""
    with started(broker_command(db, history, workers), PORT, set(cores), KEPT / "broker.log") as (server, seconds):
        yield f"http://127.0.0.1:{PORT}", server, seconds


def fresh(name: str) -> str:
    """The path of a database that is not there yet."""
    for old in KEPT.glob(f"{name}.db*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    return str(KEPT / f"{name}.db")


def processor(pid: int) -> float:
    """Seconds that a process and those it started have computed."""
    found = 0.0
    for one in [pid, *(int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split())]:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        found += (int(fields[11]) + int(fields[12])) / TICK
    return found


def resident(pid: int, field: str = "VmRSS") -> float:
    """MiB of memory of a process."""
    return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))


# measuring


class Filled:
    """A broker that holds the population and the subscriptions, and the population as the last run left it."""

    def __init__(self, bench: Bench, url: str, pid: int, entities: int) -> None:
        self.bench, self.url, self.pid, self.entities = bench, url, pid, entities
        self.town = Population(entities, 1, f"{time.time_ns() // 1_000_000:x}")
        self.seed = 1
        began = time.perf_counter()
        self.load("read=1", requests=1, fill=True, subscriptions=bench.subscriptions)
        self.seconds = time.perf_counter() - began

    def load(self, mix: str, **more: Any) -> dict[str, Any]:
        """One run on the broker."""
        self.seed += 1
        given: dict[str, Any] = {"seconds": self.bench.seconds, "fill": False, "keep": True, "context": CONTEXT_URL} | more
        return run(Load(url=self.url, mix=parse_mix(mix), seed=self.seed, entities=self.entities, **given), self.town)

    def bare(self, url: str, mix: str, **more: Any) -> dict[str, Any]:
        """The same run on the bare server, whose bodies are not looked at."""
        given: dict[str, Any] = {"seconds": self.bench.seconds / 2, "warm": 0.5, "fill": False, "keep": True, "context": CONTEXT_URL} | more
        return run(Load(url=url, mix=parse_mix(mix), seed=self.seed, entities=self.entities, **given))


def amount(report: dict[str, Any], work: tuple[str, ...]) -> float:
    """Requests per second of some kinds of work."""
    return float(sum(report["work"][name]["per_second"] for name in work))


def spread(values: list[float], form: str = ",.0f") -> str:
    """Median, and from where to where."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def wrong(reports: list[dict[str, Any]]) -> str:
    """What was wrong in some runs; "" when nothing was."""
    told = [f"{what}: {many}" for report in reports for what, many in report["errors"].items()]
    told += [str(one) for report in reports for one in report["differences"]]
    told += [f"{missing} notifications missing" for report in reports if (missing := report.get("notifications", {}).get("missing"))]
    return "; ".join(told[:3])


def measure(
    bench: Bench, filled: Filled, plain: tuple[str, int], name: str, mix: str, work: tuple[str, ...], goal: float,
    *, p99: float = 0.0, share: float = 0.0, times: int = 1, unit: str = "req/s", **more: Any,
) -> None:  # fmt: skip
    """Runs of one mix on the broker and on the bare server, by turns. times: what one request stands for; p99 in ms; share of the bare server to reach."""
    reports: list[dict[str, Any]] = []
    bares: list[dict[str, Any]] = []
    used: list[float] = []
    for _ in range(bench.runs):
        bares.append(timed(plain[1], partial(filled.bare, plain[0], mix, **more)))
        reports.append(timed(filled.pid, partial(filled.load, mix, **more)))
        used.append(reports[-1]["processor_us"] / bares[-1]["processor_us"])
    found = [times * amount(report, work) for report in reports]
    ratios = [value / (times * amount(other, work)) for value, other in zip(found, bares, strict=True)]
    slow = [max(report["work"][one]["p99_ms"] for one in work) for report in reports]
    problem = wrong(reports)
    holds: bool | None = statistics.median(found) >= goal and (not p99 or statistics.median(slow) <= p99) and statistics.median(ratios) >= share and not problem
    goals = [f"≥ {goal:,.0f} {unit}" if goal else "", f"p99 ≤ {p99:.0f} ms" if p99 else "", f"≥ {share:.2f} of bare" if share else ""]
    cost = f"{statistics.median(report['processor_us'] for report in reports):.0f} µs each"
    if not any(goals) and not problem:
        holds = None
    told = f"{spread(found)} {unit}, p99 {spread(slow, '.1f')} ms, {cost}" + (f"; {problem}" if problem else "")
    against = f"{spread(ratios, '.2f')} of {statistics.median(times * amount(other, work) for other in bares):,.0f}; processor × {statistics.median(used):.1f}"
    bench.row(name, ", ".join(filter(None, goals)), told, holds, against, reports=reports, bare=bares)


def timed(pid: int, work: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A report, with what the processor did for each request of it: that hardly changes when others use the machine."""
    report = work(watch=lambda: processor(pid))
    return {**report, "processor_us": max(1.0, 1e6 * report["watched"]) / max(1, report["requests"] + sum(report["errors"].values()))}


def reads_and_writes(bench: Bench, asked: Callable[[str], bool]) -> None:
    """Everything on 100,000 entities in SQLite, history off and on."""
    for history in (False, True):
        off = "on" if history else "off"
        lines = [name for name in (f"create, history {off}", f"patch, history {off}", f"batch upsert, history {off}") if asked(name)]
        if not history:
            lines += [name for name in ("get", "query", "notifications") if asked(name)]
        if not lines:
            continue
        with a_bare_server() as plain, a_broker(fresh(f"history-{off}"), history) as (url, server, _):
            filled = Filled(bench, url, server.pid, bench.entities)
            print(f"  {bench.entities:,} entities written in {filled.seconds:.1f} s, history {off}", file=sys.stderr)
            if "get" in lines:
                measure(bench, filled, plain, "get", "read=95,write=5", ("read",), 12_000, p99=10.0, share=1 / 3, connections=32)
            if "query" in lines:
                measure(bench, filled, plain, "query type, limit=20", "query=95,write=5", ("query",), 6_000, queries=("type", "attrs"), connections=32)
                measure(bench, filled, plain, "query, all kinds", "query=95,write=5", ("query",), 0, queries=KINDS, connections=32)
            for work, goal in (("create", 1_500 if history else 5_000), ("patch", 1_500 if history else 4_000)):
                if (name := f"{work}, history {off}") in lines:
                    # What a run creates is removed again, so that each is a run on so many entities.
                    measure(bench, filled, plain, name, f"{work}=1", (work,), goal, connections=64, keep=work != "create")
            if (name := f"batch upsert, history {off}") in lines:
                goal = 6_000 if history else 20_000
                measure(bench, filled, plain, name, "batch=1", ("batch",), goal, times=100, unit="entities/s", connections=8)
            if "notifications" in lines:
                notifications(bench, filled)
            bench.row(f"memory, history {off}", "", f"{resident(server.pid):.0f} MiB, most {resident(server.pid, 'VmHWM'):.0f} MiB", None)


def notifications(bench: Bench, filled: Filled) -> None:
    """A hundred subscriptions that match one write in eight, beside the thousand that match none."""
    reports = [filled.load("patch=1", requests=2400, matching=100, connections=16, wait=120.0, keep=False) for _ in range(bench.runs)]
    told = [report["notifications"] for report in reports]
    problem = wrong(reports)
    fast = [one["per_second"] for one in told]
    amounts = f"{sum(one['delivered'] for one in told):,} of {sum(one['expected'] for one in told):,}"
    late = spread([one["p99_ms"] for one in told])
    found = f"{spread(fast)} /s, {amounts}, p99 {late} ms after the write left" + (f"; {problem}" if problem else "")
    bench.row("notifications", "≥ 3,000 /s", found, statistics.median(fast) >= 3000 and not problem, reports=reports)


def million(bench: Bench, asked: Callable[[str], bool]) -> None:
    """Everything on 1,000,000 entities in SQLite."""
    names = [name for name in ("window", "undeclared", "aggregate", "start", "memory of many") if asked(name)]
    if not names:
        return
    db = fresh("many")
    with a_bare_server() as plain, a_broker(db, history=False) as (url, server, _):
        filled = Filled(bench, url, server.pid, bench.many)
        print(f"  {bench.many:,} entities written in {filled.seconds:.1f} s", file=sys.stderr)
        if "window" in names:
            more: dict[str, Any] = {"queries": ("window_q",), "connections": 4}
            measure(bench, filled, plain, "window ≤ 1 % with q, indexed", "query=95,write=5", ("query",), 0, p99=50.0, **more)
            more["connections"] = 1
            measure(bench, filled, plain, "window, one client", "query=95,write=5", ("query",), 0, **more)
        if "undeclared" in names:
            reports = [filled.load("query=1", queries=("undeclared",), connections=1, limits_are_answers=True) for _ in range(bench.runs)]
            longest = [report["work"]["query"]["max_ms"] for report in reports]
            limited = sum(report.get("limited", 0) for report in reports)
            problem = wrong(reports)
            found = f"longest {spread(longest)} ms, {limited} of {sum(report['requests'] for report in reports)} told a limit; {problem}".rstrip("; ")
            # A limit that is told after 2 s comes a little after 2 s.
            bench.row("q on an undeclared attribute", "≤ 2 s or a clear limit", found, max(longest) <= 2200 and not problem, reports=reports)
        if "memory of many" in names:
            most = resident(server.pid, "VmHWM")
            bench.row("memory of many", "≤ 400 MB", f"{resident(server.pid):.0f} MiB, most {most:.0f} MiB", most * 1.048576 <= 400)
    if "start" in names:
        starts = []
        for _ in range(bench.runs):
            with a_broker(db, history=False) as (_, _, seconds):
                starts.append(seconds)
        bench.row("start", "≤ 1 s", f"{spread(starts, '.2f')} s", statistics.median(starts) <= 1.0, starts=starts)
    if "aggregate" in names:
        with a_broker(db, history=True) as (_, server, _):
            aggregate(bench)
            most = resident(server.pid, "VmHWM")
            bench.row("memory after aggregates", "≤ 400 MB", f"most {most:.0f} MiB", most * 1.048576 <= 400)


def aggregate(bench: Bench) -> None:
    """A value every minute, averaged by the hour and by the day; the answer is compared with one computed here."""
    id, begin = "urn:ngsi-ld:WaterGauge:aggregate", datetime(2026, 1, 1, tzinfo=UTC)
    values = [(37 * n) % 1009 / 10 for n in range(bench.points)]
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
        began = time.perf_counter()
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, 1000 * (time.perf_counter() - began)

    def instant(n: int) -> str:
        return (begin + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ")

    for start in range(0, bench.points, 2000):
        instances = [{"type": "Property", "value": values[n], "observedAt": instant(n)} for n in range(start, min(bench.points, start + 2000))]
        status, body, _ = ask("POST", "/ngsi-ld/v1/temporal/entities", {"id": id, "type": "WaterGauge", LEVEL: instances})
        if status not in (201, 204):
            bench.row("temporal aggregate", "≤ 200 ms", f"status {status}: {body}", holds=False)
            return
    span = f"timerel=between&timeAt={instant(0)}&endTimeAt={instant(bench.points)}"
    for words, step in (("PT1H", 60), ("P1D", 1440)):
        path = f"/ngsi-ld/v1/temporal/entities/{id}?{span}&options=aggregatedValues&aggrMethods=avg,max,totalCount&aggrPeriodDuration={words}"
        times, problem = [], ""
        for _ in range(4 * bench.runs):
            status, body, ms = ask("GET", path)
            times.append(ms)
            problem = problem or ("" if status == 200 else f"status {status}: {body!s:.200}") or differs(body, values, step)
        holds = statistics.median(times) <= 200 and not problem
        bench.row(f"temporal aggregate by {words}", "≤ 200 ms", f"{spread(times)} ms; {problem}".rstrip("; "), holds, times=times)


def differs(body: Any, values: list[float], step: int) -> str:
    """Where an aggregated attribute is not what brute force gives; "" when it is."""
    parts = body.get(LEVEL)
    parts = parts[0] if isinstance(parts, list) else parts
    if not isinstance(parts, dict):
        return f"no {LEVEL}: {body!s:.200}"
    slices = [values[at : at + step] for at in range(0, len(values), step)]
    for name, expected in (
        ("avg", [sum(one) / len(one) for one in slices]),
        ("max", [max(one) for one in slices]),
        ("totalCount", [len(one) for one in slices]),
    ):
        found = [row[0] for row in parts.get(name, [])]
        if len(found) != len(expected) or any(abs(a - b) > 1e-6 for a, b in zip(found, expected, strict=True)):
            return f"{name}: {len(found)} of {len(expected)} periods, {found[:2]} against {expected[:2]}"
    return ""


@contextmanager
def a_cluster() -> Iterator[str]:
    """A private PostgreSQL with fsync on, reached through a socket; the address of an empty database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Unable("no PostgreSQL. Next: install it, or name other lines with --only")
    programs = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))
    user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o755)

    def call(program: str, *arguments: str) -> None:
        with (folder / "output").open("a") as output:
            done = subprocess.run([*user, str(programs / program), *arguments], cwd=folder, stdout=output, stderr=output, timeout=120, check=False)
        if done.returncode:
            raise Unable(f"{program}: {(folder / 'output').read_text()[-600:]}")

    try:
        call("initdb", "-D", str(folder / "data"), "-U", "clerk", "-A", "trust", "-E", "UTF8", "--no-locale")
        call("pg_ctl", "-D", str(folder / "data"), "-w", "-o", f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=on", "start")
        try:
            call("createdb", "-h", str(folder), "-U", "clerk", "bench")
            yield f"postgresql://clerk@/bench?host={folder}"
        finally:
            call("pg_ctl", "-D", str(folder / "data"), "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres(bench: Bench, asked: Callable[[str], bool]) -> None:
    """Two workers, the database and the load on both cores."""
    lines = [name for name in ("postgres create", "postgres get") if asked(name)]
    if not lines:
        return
    both = frozenset(os.sched_getaffinity(os.getppid())) & {0, 1}
    os.sched_setaffinity(0, both)
    with a_cluster() as db, a_bare_server() as plain, a_broker(db, history=False, workers=2, cores=both) as (url, server, _):
        filled = Filled(bench, url, server.pid, bench.entities)
        print(f"  {bench.entities:,} entities written in {filled.seconds:.1f} s, PostgreSQL", file=sys.stderr)
        if "postgres create" in lines:
            measure(bench, filled, plain, "postgres create", "create=1", ("create",), 1_500, connections=64)
        if "postgres get" in lines:
            measure(bench, filled, plain, "postgres get", "read=95,write=5", ("read",), 3_000, connections=32)
    os.sched_setaffinity(0, {1})


def main() -> int:
    """The table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        metavar="WORDS",
        help="beginnings of names: get, query, create, patch, batch, notifications, window, undeclared, aggregate, start, memory, postgres",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, two short runs")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="runs of each line (5)")
    parser.add_argument("--subscriptions", type=int, default=1000, metavar="N", help="subscriptions that match nothing (1000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures of all runs")
    parser.add_argument("--bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        serve_bare(args.bare)
        return 0
    if not {0, 1} <= os.sched_getaffinity(0):
        print("bench-broker: cores 0 and 1 are needed. Next: run it on a machine with two cores", file=sys.stderr)
        return 2
    KEPT.mkdir(parents=True, exist_ok=True)
    bench = Bench(entities=4000, many=20_000, points=5000, seconds=2.0, runs=2) if args.quick else Bench()
    bench.runs = args.runs or bench.runs
    bench.subscriptions = args.subscriptions

    def asked(name: str) -> bool:
        return not args.only or any(name.startswith(word.strip()) for word in args.only.split(","))

    os.sched_setaffinity(0, {1})
    print(f"{datetime.now(UTC):%Y-%m-%d}, {bench.entities:,} entities, {bench.runs} runs of {bench.seconds:.0f} s: median (from–to)\n")
    print("| work | goal | found | ratio to the bare server | |\n|---|---|---|---|---|", flush=True)
    try:
        for part in (reads_and_writes, million, postgres):
            try:
                part(bench, asked)
            except (KibanError, Unable) as error:  # the other parts are measured all the same
                bench.row(part.__name__.replace("_", " "), "", str(error), holds=False)
    finally:
        if args.json:
            args.json.write_text(json.dumps(bench.rows, ensure_ascii=False, indent=1))
    return 1 if any(row["holds"] is False for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
