"""What an operator sees of a running broker: is it well, what does it do, what went wrong (運用).

In: every request after it was answered, every group of writes, errors that nobody foresaw. Out: /health, /ready, /metrics, /version, the identity of
this context source, and a log of one JSON object per line. Counting a request costs about a microsecond; what costs more is done when somebody looks.
Neither figures nor log lines carry bodies, values of query parameters or tokens.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import sys
import time
import traceback
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import parse_qsl, quote

import msgspec
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kiban import __version__
from kiban.linkage.access import name_of
from kiban.linkage.broker import times
from kiban.linkage.broker.negotiate import answer, open_call
from kiban.linkage.broker.server import JSON, Call, Reply, dumps
from kiban.linkage.errors import Problem

BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; the last bucket is open
GROUPS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # writes in one transaction
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
PAUSE: Final = 0.25  # seconds between two looks at the event loop
WINDOW: Final = 40  # looks that the lag of the event loop is the largest of
FRESH: Final = 5.0  # seconds for which figures of the database are given again
PROBE: Final = 2.0  # seconds for a write that shows that the store can be written
PLAIN: Final = b"text/plain; version=0.0.4; charset=utf-8"
TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?\Z")
HIDE: Final = re.compile(r"(?i)(authorization|token|secret|passw|api.?key|cookie)")
SECRETS: Final = ((re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",]+"), r"\1 …"), (re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@"), r"\1:…@"))

# Counted by others with `meter.add(name)`.
COUNTERS: Final = {
    "forwarded": "Requests sent to other context sources.",
    "forward_failed": "Requests to other context sources that failed.",
    "store_errors": "Groups of writes that the database did not take.",
    "unexpected_errors": "Errors inside the broker that nobody foresaw.",
    "refused": "Requests refused for want of a right or a known sender.",
    "throttled": "Notifications left out because their subscription wants fewer.",
}


# Counted by the dispatcher itself.
NOTIFICATIONS: Final = {
    "delivered": "Notifications that their receiver has taken.",
    "failed": "Attempts to deliver a notification that failed.",
    "dead": "Notifications given up.",
}


class Meter:
    """Counts since the start, as plain lists.

    >>> meter = Meter()
    >>> meter.observe("GET", "/ngsi-ld/v1/entities/{id}", 200, 0.0004)
    >>> meter.requests["GET", "/ngsi-ld/v1/entities/{id}", 200][0]
    1
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], list[float]] = {}  # a count per bucket, then the sum of seconds
        self.groups: list[float] = [0] * (len(GROUPS) + 2)
        self.commits: list[float] = [0] * (len(BUCKETS) + 2)
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.lags: deque[float] = deque(maxlen=WINDOW)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered. route: as it was added to the routes, "" if there is none."""
        cell = self.requests.get((method, route, status))
        if cell is None:
            # Methods are invented by clients; what is counted must stay bounded.
            cell = self.requests.setdefault((method if method in METHODS else "OTHER", route, status), [0] * (len(BUCKETS) + 2))
        cell[bisect_left(BUCKETS, seconds)] += 1
        cell[-1] += seconds

    def group(self, size: int, seconds: float) -> None:
        """One group of writes is on disk; seconds: what its commit took."""
        self.groups[bisect_left(GROUPS, size)] += 1
        self.groups[-1] += size
        self.commits[bisect_left(BUCKETS, seconds)] += 1
        self.commits[-1] += seconds

    def add(self, name: str, n: int = 1) -> None:
        """Count one of COUNTERS. Raises KeyError for another name."""
        self.counts[name] += n

    @property
    def lag(self) -> float:
        """How late the event loop was at worst in the last ten seconds, in seconds."""
        return max(self.lags, default=0.0)

    async def watch(self) -> None:
        """Look how late the event loop is, until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(PAUSE)
            self.lags.append(max(0.0, time.perf_counter() - began - PAUSE))


def cumulated(cell: list[float], bounds: tuple[float, ...]) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus wants them, and the sum.

    >>> cumulated([1, 2, 0, 7.5], (1, 2))
    ([('1', 1), ('2', 3), ('+Inf', 3)], 7.5)
    """
    found, total = [], 0.0
    for bound, count in zip([*map(str, bounds), "+Inf"], cell, strict=False):
        total += count
        found.append((bound, total))
    return [(bound, int(count)) for bound, count in found], cell[-1]


class Figures(Collector):
    """The figures of one broker for Prometheus."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    def describe(self) -> Iterator[Metric]:
        """Nothing: the names are made when somebody looks."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every figure, now."""
        operation, meter = self.operation, self.operation.meter
        told = CounterMetricFamily("kiban_requests", "Requests answered.", labels=["method", "route", "status"])
        spans: dict[tuple[str, str], list[float]] = {}
        for (method, route, status), cell in meter.requests.items():
            told.add_metric([method, route or "none", str(status)], sum(cell[:-1]))
            known = spans.get((method, route))
            spans[method, route] = cell if known is None else [a + b for a, b in zip(known, cell, strict=True)]
        yield told
        spent = HistogramMetricFamily("kiban_request_seconds", "Seconds from the first byte read to the last byte written.", labels=["method", "route"])
        for (method, route), cell in spans.items():
            buckets, total = cumulated(cell, BUCKETS)
            spent.add_metric([method, route or "none"], buckets, total)
        yield spent
        buckets, total = cumulated(meter.groups, GROUPS)
        yield HistogramMetricFamily("kiban_write_group", "Writes in one transaction.", buckets=buckets, sum_value=total)
        buckets, total = cumulated(meter.commits, BUCKETS)
        yield HistogramMetricFamily("kiban_commit_seconds", "Seconds that a commit took.", buckets=buckets, sum_value=total)
        yield CounterMetricFamily("kiban_writes", "Writes that are on disk.", value=meter.groups[-1])
        for name, what in COUNTERS.items():
            yield CounterMetricFamily(f"kiban_{name}", what, value=meter.counts[name])
        for name, what in NOTIFICATIONS.items():
            yield CounterMetricFamily(f"kiban_notifications_{name}", what, value=getattr(operation.broker.dispatcher, name))
        yield GaugeMetricFamily("kiban_requests_running", "Requests being answered.", value=operation.running)
        yield GaugeMetricFamily("kiban_event_loop_lag_seconds", "How late the event loop was at worst in the last ten seconds.", value=meter.lag)
        outbox = GaugeMetricFamily("kiban_outbox", "Notifications that wait, or were given up.", labels=["state"])
        for state in ("waiting", "dead"):
            outbox.add_metric([state], operation.known.get(state, 0))
        yield outbox
        yield GaugeMetricFamily("kiban_outbox_late_seconds", "How long the notification that is due first has been due.", value=operation.known.get("late", 0))
        things = GaugeMetricFamily("kiban_kept", "Subscriptions, registrations, contexts … by kind.", labels=["kind"])
        for name, count in operation.known.items():
            if name.startswith("kind "):
                things.add_metric([name[5:]], count)
        yield things
        for name, what in {"entities": "Entities kept.", "store_bytes": "Bytes of the database.", "disk_free_bytes": "Bytes free on its disk."}.items():
            if name in operation.known:
                yield GaugeMetricFamily(f"kiban_{name}", what, value=operation.known[name])
        info = GaugeMetricFamily("kiban_info", "The running program.", labels=["version", "store"])
        info.add_metric([__version__, operation.store_kind], 1)
        yield info


def look(tx: Any, entities: bool) -> dict[str, float]:
    """What only the database knows: counts by indexes, and of all entities on demand."""
    now = times.now_us()
    due = tx.one("SELECT min(due) FROM outbox WHERE dead IS NULL")[0]
    found: dict[str, float] = {
        "waiting": tx.one("SELECT count(*) FROM outbox WHERE dead IS NULL")[0],
        "dead": tx.one("SELECT count(*) FROM outbox WHERE dead IS NOT NULL")[0],
        "late": max(0, now - due) / times.SECOND if due is not None else 0,
    }
    for kind, count in tx.all("SELECT kind, count(*) FROM thing GROUP BY kind"):
        found[f"kind {kind}"] = count
    if entities:
        found["entities"] = tx.one("SELECT count(*) FROM entity")[0]
    return found


def keep_alias(tx: Any) -> str:
    """The name of this broker among context sources, made once and kept in its database: a copy that runs elsewhere needs one of its own."""
    tenant = tx.open_tenant("")
    known = tx.thing(tenant, "identity", "self")
    if known is not None:
        return str(known[0]["alias"])
    alias = f"kiban-{secrets.token_hex(6)}"
    tx.put_thing(tenant, "identity", "self", {"alias": alias})
    return alias


def alias_of(alias: str, tenant: str) -> str:
    """The name of one tenant of a broker among context sources, as `Via` carries it.

    >>> alias_of("kiban-1", ""), alias_of("kiban-1", "川"), alias_of("kiban-1", "a_b")
    ('kiban-1', 'kiban-1.%E5%B7%9D', 'kiban-1.a_b')
    """
    return f"{alias}.{quote(tenant, safe='')}" if tenant else alias


def iso_duration(seconds: float) -> str:
    """Whole seconds as an ISO 8601 duration.

    >>> iso_duration(93_784.9), iso_duration(0), iso_duration(86_400)
    ('P1DT2H3M4S', 'PT0S', 'P1D')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = "".join(f"{number}{letter}" for number, letter in ((hour, "H"), (minute, "M"), (second, "S")) if number)
    return ("P" + (f"{days}D" if days else "") + (f"T{clock}" if clock else "")) if days or clock else "PT0S"


def trace_of(call: Call) -> str:
    """The id of a request in logs: that of its `traceparent`, else a new one; the same at each call."""
    if not call.trace:
        found = TRACEPARENT.match(call.headers.get(b"traceparent", b""))
        call.trace = found[1].decode() if found else secrets.token_hex(16)
    return call.trace


def open_log(stream: TextIO | None = None) -> Any:
    """A log of one JSON object per line: time, level, event, and what is told; what looks like a secret is left out.

    >>> open_log(sys.stdout).info("started", port=1026, token="abc")  # doctest: +ELLIPSIS
    {"time":"...Z","level":"info","event":"started","port":1026,"token":"…"}
    """

    def write(_: Any, level: str, told: MutableMapping[str, Any]) -> str:
        line = {"time": times.now(), "level": level, "event": without_secrets(str(told.pop("event", "")))}
        for name, value in told.items():
            line[name] = "…" if HIDE.search(name) else without_secrets(value) if isinstance(value, str) else value
        return msgspec.json.encode(line, enc_hook=str).decode()

    return structlog.wrap_logger(structlog.WriteLogger(stream or sys.stderr), processors=[write], wrapper_class=structlog.make_filtering_bound_logger(20))


def without_secrets(text: str) -> str:
    """The text without tokens and passwords, in characters that UTF-8 knows.

    >>> without_secrets("Authorization: Bearer abc.def at postgresql://kiban:geheim@db/x")
    'Authorization: Bearer … at postgresql://kiban:…@db/x'
    """
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text.encode("utf-8", "replace").decode()


class Bridge(logging.Handler):
    """What other parts of the program tell the log of Python, as lines of the broker's log."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.WARNING)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One record as one line."""
        told = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            told["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        (self.log.error if record.levelno >= logging.ERROR else self.log.warning)(record.getMessage(), **told)


def carry_over(log: Any) -> None:
    """From now on warnings and errors of kiban and of the HTTP server go to this log, in place of the one before."""
    for name in ("kiban", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [*(handler for handler in logger.handlers if not isinstance(handler, Bridge)), Bridge(log)]


class Operation:
    """The operator's side of one broker, `broker.operation`.

    broker  has store, dispatcher, state ("starting", "running", "stopping"), access and v2_problem
    access_log  every request is written to the log; else only those that took longer than `slow` seconds or failed inside
    count_entities  the figures tell how many entities there are, a scan
    """

    def __init__(self, broker: Any, *, access_log: bool = False, slow: float = 1.0, count_entities: bool = False, stream: TextIO | None = None) -> None:
        self.broker, self.access_log, self.slow, self.count_entities = broker, access_log, slow, count_entities
        self.meter, self.log = Meter(), open_log(stream)
        self.began = time.time()
        self.alias = ""
        self.app: Any = None
        self.known: dict[str, float] = {}
        self.looked = -FRESH
        self.looking = asyncio.Lock()
        self.probed: tuple[float, str] = (-FRESH, "")
        self.probing = asyncio.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Figures(self))
        ProcessCollector(registry=self.registry)

    def attach(self, app: Any) -> None:
        """From now on every request of this ASGI app is counted, every group of writes too."""
        self.app = app
        app.observe, app.log = self.meter.observe, self.told
        self.broker.store.observe = self.group

    async def start(self) -> list[asyncio.Task[None]]:
        """The tasks of operation begin; the one who calls cancels them."""
        carry_over(self.log)
        reader = self.broker.store.reader
        tenant = reader.tenant("")
        known = None if tenant is None else reader.thing(tenant, "identity", "self")
        self.alias = known[0]["alias"] if known is not None else await self.broker.store.write(keep_alias)
        self.log.info("started", version=__version__, store=self.store_kind, alias=self.alias, pid=os.getpid())
        return [asyncio.create_task(self.meter.watch()), asyncio.create_task(self.broker.access.watch(self.policy_read))]

    def policy_read(self, path: str, error: Exception | None) -> None:
        """The policy was read again."""
        if error is None:
            self.log.info("policy read again", file=path)
        else:
            self.log.error("policy not changed: it has a mistake", file=path, problem=str(error))

    def history_dropped(self, months: list[str], problem: Problem | None) -> None:
        """Old history was dropped, or could not be."""
        if problem is None:
            self.log.info("old history dropped", months=months)
        else:
            self.log.error("old history not dropped", problem=str(problem))

    def group(self, size: int, seconds: float, error: str) -> None:
        """A group of writes is on disk, or, with an error, is not."""
        if error:
            self.meter.add("store_errors")
            self.log.error("writes not kept", writes=size, problem=error)
        else:
            self.meter.group(size, seconds)

    @property
    def running(self) -> int:
        """Requests being answered."""
        return self.app.running if self.app is not None else 0

    @property
    def store_kind(self) -> str:
        """sqlite or postgresql."""
        return str(self.broker.store.kind)

    # --- log
    def told(self, call: Call, reply: Reply, seconds: float) -> None:
        """A request was answered: write it to the log if it is to be there."""
        if reply.status in (401, 403):
            self.meter.add("refused")
        slow = seconds >= self.slow
        if not slow and not self.access_log:
            return
        fields: dict[str, Any] = {
            "trace": trace_of(call),
            "method": call.method,
            "path": call.raw_path.decode("latin-1"),
            "status": reply.status,
            "ms": round(seconds * 1000, 3),
            "bytes": len(reply.body),
        }
        if call.query:
            fields["asked"] = sorted({name for name, _ in parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)})
        if call.tenant:
            fields["tenant"] = call.tenant
        if call.subject:
            fields["subject"] = name_of(call.subject)
        if slow:
            self.log.warning("slow request", **fields)
        else:
            self.log.info("request", **fields)

    def unexpected(self, call: Call, error: Exception) -> Reply:
        """The answer to an error that nobody foresaw: 500 with the id under which the log has the whole story."""
        trace = trace_of(call)
        self.meter.add("unexpected_errors")
        whole = "".join(traceback.format_exception(error))
        self.log.error("unexpected error", trace=trace, method=call.method, route=call.route, path=call.raw_path.decode("latin-1"), traceback=whole)
        problem = Problem("InternalError", "an error inside the broker", f"the log of the broker has it under {trace}", traceId=trace)
        if call.raw_path.startswith(b"/v2"):
            return self.broker.v2_problem(problem)  # type: ignore[no-any-return]
        return Reply(problem.status, [], dumps(problem.body()), JSON)

    # --- figures
    async def figures(self) -> None:
        """Bring `known` up to date, at most every five seconds; what cannot be had in time stays as it was."""
        async with self.looking:
            if time.monotonic() - self.looked < FRESH:
                return
            try:
                found = await self.broker.store.slow(lambda tx: look(tx, self.count_entities), PROBE)
            except Problem:
                return  # the database is busy or gone: /ready says so, the other figures are still worth having
            path = getattr(self.broker.store, "path", None)
            if isinstance(path, Path):
                found["store_bytes"] = sum(part.stat().st_size for suffix in ("", "-wal") if (part := Path(f"{path}{suffix}")).exists())
                disk = os.statvfs(path.parent)
                found["disk_free_bytes"] = disk.f_bavail * disk.f_frsize
            self.known, self.looked = found, time.monotonic()

    async def store_trouble(self) -> str:
        """Why the store cannot be written, "" if it can; tried by a real write, at most once a second."""
        async with self.probing:
            if time.monotonic() - self.probed[0] >= 1:
                reason = ""
                try:
                    await asyncio.wait_for(self.broker.store.write(lambda tx: tx.touch("ready")), PROBE)
                except Problem as problem:
                    reason = f"{problem.title}: {problem.detail}"
                except TimeoutError:
                    reason = f"a write took longer than {PROBE:g} s"
                self.probed = time.monotonic(), reason
            return self.probed[1]

    async def ready(self) -> tuple[list[str], dict[str, float]]:
        """Why no requests should be sent here now (empty: send them), and the figures that an operator looks at first."""
        if self.broker.state != "running":
            return [f"the broker is {self.broker.state}"], {}
        trouble = await self.store_trouble()
        await self.figures()
        seen = {"eventLoopLagSeconds": round(self.meter.lag, 4), "outboxLateSeconds": round(self.known.get("late", 0), 1)}
        return ([trouble] if trouble else []), seen


def operation(call: Call) -> Operation:
    """The operator's side of the broker that a request came to."""
    found: Operation = call.broker.operation
    return found


async def health(call: Call) -> Reply:  # noqa: ARG001 - every handler has the same form
    """GET /health: 200 while the process answers."""
    return Reply(200, [(b"cache-control", b"no-store")], b'{"status":"alive"}', JSON)


async def ready(call: Call) -> Reply:
    """GET /ready: 200 if requests can be served, else 503 with the reasons."""
    reasons, seen = await operation(call).ready()
    body = {"status": "not ready" if reasons else "ready", **({"reasons": reasons} if reasons else {}), **seen}
    return Reply(503 if reasons else 200, [(b"cache-control", b"no-store")], dumps(body), JSON)


async def metrics(call: Call) -> Reply:
    """GET /metrics: the figures of this process in the text format of Prometheus."""
    call.broker.access.demand(call.subject, "admin.read", call.tenant)
    found = operation(call)
    await found.figures()
    return Reply(200, [], generate_latest(found.registry), PLAIN)


async def version(call: Call) -> Reply:
    """GET /version: the program and how long it runs."""
    call.broker.access.demand(call.subject, "info.read", call.tenant)
    seconds = int(time.time() - operation(call).began)
    day, hour, minute, second = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
    told = {"version": __version__, "uptime": f"{day} d, {hour} h, {minute} m, {second} s", "ngsi-ld": "1.9.1", "ngsiv2": "v2"}
    return Reply(200, [], dumps({"kiban": told}), JSON)


async def source_identity(call: Call) -> Reply:
    """GET /ngsi-ld/v1/info/sourceIdentity: who this context source is (5.15.1); each tenant is one of its own."""
    await open_call(call)
    call.broker.access.demand(call.subject, "info.read", call.tenant)
    found = operation(call)
    alias = alias_of(found.alias, call.tenant)
    told = {
        "id": f"urn:ngsi-ld:ContextSourceIdentity:{alias}",
        "type": "ContextSourceIdentity",
        "contextSourceAlias": alias,
        "contextSourceUptime": iso_duration(time.time() - found.began),
        "contextSourceTimeAt": times.now(),
    }
    return answer(call, told)


def add_routes(add: Callable[[str, str, Any], None]) -> None:
    """The addresses of operation."""
    add("GET", "/health", health)
    add("GET", "/ready", ready)
    add("GET", "/metrics", metrics)
    add("GET", "/version", version)
    add("GET", "/ngsi-ld/v1/info/sourceIdentity", source_identity)
