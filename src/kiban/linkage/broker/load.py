"""Load on a broker: reproducible mixes of reads, queries, writes and subscriptions, and whether the answers were right.

In: the URL of a broker, a mix, a seed. Out: a report of requests per second, how long they took (p50, p95, p99, longest), errors by status, bodies that
differ from what was last acknowledged, and notifications that never came. One thread, one event loop, keep-alive connections without pipelining.
What the entities look like and what a query must find is in population; how a broker is started and pinned is the caller's work.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker.population import CONTEXT, CONTEXT_URL, FIRST_SERIAL, KINDS, OTHER_KINDS, SERIAL, STATES, TYPES, Population, Question, questions
from kiban.linkage.broker.wire import Drive, Histogram, Job, Receiver, each, in_loop

WORK = ("read", "query", "create", "patch", "batch", "subscribe")
GOOD = {"read": (200,), "query": (200,), "create": (201,), "patch": (204,), "batch": (201, 204), "subscribe": (201,)}
BATCH = 100
POOL = 8192  # different queries
EVERY = {"read": 0.02, "query": 0.25}  # seconds between two bodies of a kind that are compared
BLIND = 0.001  # seconds of comparing after which answers that came meanwhile are counted, but not timed
READ_BACK = 2000  # written entities that are read once more at the end
TOLD = 5  # differences that the report spells out


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to do with which broker."""

    url: str  # http://127.0.0.1:1026
    mix: dict[str, float] = field(default_factory=lambda: {"read": 1.0})
    connections: int = 32
    seconds: float = 10.0
    warm: float = 1.0  # seconds before the clock runs
    requests: int = 0  # stop after so many instead of by the clock; 0: by the clock
    seed: int = 1
    entities: int = 100_000
    fill: bool = True  # write the population first
    context: str = "host"  # "host": the broker hosts the user @context; a URL: it knows that one; "none": the core context alone
    tenant: str = ""
    token: str = ""  # sent as Bearer
    queries: tuple[str, ...] = KINDS
    limits_are_answers: bool = False  # 403 TooComplexQuery is a good answer to a query
    subscriptions: int = 0  # registered before, of types that nobody writes
    matching: int = 0  # registered before, each matching every entity of one type
    receiver: str = "127.0.0.1"  # the address of this machine that the broker can reach
    keep: bool = False  # leave what the run made (entities, subscriptions) in the broker
    wait: float = 10.0  # seconds that late notifications are waited for
    limit: float = 30.0  # seconds that one answer may take
    watch: Callable[[], float] | None = None  # read when the clock begins and ends; the report has the difference as "watched"


def parse_mix(text: str) -> dict[str, float]:
    """Shares of a mix; "write" stands for creations and changes in equal parts. They are scaled to 1.

    >>> parse_mix("read=70,query=20,write=10")
    {'read': 0.7, 'query': 0.2, 'create': 0.05, 'patch': 0.05}
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name = name.strip()
        try:
            share = float(number or "1")
        except ValueError:
            share = -1.0
        if name not in (*WORK, "write") or not 0 <= share < 1e9:
            raise KibanError("--mix", repr(part), f"NAME=SHARE with one of {', '.join((*WORK, 'write'))}", "for example --mix read=70,query=20,write=10")
        for one in ("create", "patch") if name == "write" else (name,):
            shares[one] = shares.get(one, 0.0) + (share / 2 if name == "write" else share)
    total = sum(shares.values())
    if not total:
        raise KibanError("--mix", repr(text), "at least one share above zero", "for example --mix read=1")
    return {name: share / total for name, share in shares.items() if share}


class _Mix:
    """The mix as a source of jobs, and the judge of their answers."""

    def __init__(self, load: Load, town: Population, context: str, receiver: Receiver, port: int) -> None:
        self.load, self.town, self.receiver = load, town, receiver
        self.draw = random.Random(load.seed)  # noqa: S311 - nothing secret hangs on it
        self.names, self.shares = list(load.mix), list(load.mix.values())
        self.plan: Iterator[tuple[str, int]] = iter(())
        self.endpoint = f"http://{load.receiver}:{port}/"
        split = urlsplit(load.url)
        common = f"Host: {split.netloc}\r\nAccept: application/json\r\n"
        common += f"NGSILD-Tenant: {load.tenant}\r\n" if load.tenant else ""
        common += f"Authorization: Bearer {load.token}\r\n" if load.token else ""
        link = f'Link: <{context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"\r\n' if town.mixed else ""
        self.path = split.path.rstrip("/") + "/ngsi-ld/v1/"
        self.ends = (f" HTTP/1.1\r\n{common}\r\n", f" HTTP/1.1\r\n{common}{link}\r\n")
        self.body_heads = tuple(f" HTTP/1.1\r\n{common}{one}Content-Type: application/json\r\nContent-Length: " for one in ("", link))
        self.read_start = f"GET {self.path}entities/"
        pool = questions(town, load.queries, load.seed, POOL) if "query" in load.mix else []
        self.pool = [(one, f"GET {self.path}entities?{one.text}{self.ends[one.linked]}".encode()) for one in pool]
        self.makers = {"read": self.read, "query": self.query, "create": self.create, "patch": self.patch, "batch": self.batch, "subscribe": self.subscribe}
        self.serial = FIRST_SERIAL
        self.flying: set[int] = set()  # entities with a write on its way
        self.touched: dict[int, int] = {}  # entity → how often it was written
        self.writes = 0
        self.unsure: dict[int, tuple[int, int, int] | None] = {}  # written, but nobody said whether
        self.watchers: Counter[int] = Counter()  # entity → subscriptions to it
        self.watched: list[int] = []
        self.watching_type: Counter[tuple[int, bool]] = Counter()
        self.expected: dict[int, int] = {}  # serial → notifications
        self.subscribed = 0
        self.subscription_ids: list[str] = []
        self.next_check = dict.fromkeys(EVERY, 0.0)
        self.taken = 0
        self.from_time = 0.0  # jobs that began earlier are not counted
        self.until = float("inf")
        self.last = 0.0
        self.blind = 0.0
        self.unseen = dict.fromkeys(load.mix, 0)
        self.watching = False
        self.watched_from = 0.0
        self.times = {name: Histogram() for name in self.load.mix}
        self.sizes = dict.fromkeys(self.load.mix, 0)
        self.limited = self.rows = 0
        self.errors: Counter[str] = Counter()
        self.compared = 0
        self.differences: list[str] = []

    # what is sent

    def posted(self, method: str, path: str, linked: bool, body: str) -> bytes:
        data = body.encode()
        return b"".join((f"{method} {self.path}{path}{self.body_heads[linked]}{len(data)}\r\n\r\n".encode(), data))

    def take(self) -> Job | None:
        if self.load.requests:
            if self.taken >= self.load.requests:
                return None
        elif time.perf_counter() >= self.until:
            return None
        self.taken += 1
        if not self.watching and self.load.watch and time.perf_counter() >= self.from_time:
            self.watching = True
            self.watched_from = self.load.watch()
        one = next(self.plan, None)
        if one is None:
            draw = self.draw
            self.plan = zip(draw.choices(self.names, self.shares, k=4096), draw.choices(range(self.town.entities), k=4096), strict=True)
            one = next(self.plan)
        return self.makers[one[0]](one[1])

    def due(self, kind: str) -> bool:
        now = time.perf_counter()
        if now < self.next_check[kind]:
            return False
        self.next_check[kind] = now + EVERY[kind] * max(1.0, self.town.entities / 100_000 if kind == "query" else 1.0)
        return True

    def read(self, n: int) -> Job:
        linked = self.town.mixed and n * 7919 & 8 != 0
        check = n not in self.flying and n not in self.unsure and self.due("read")
        job = Job("read", f"{self.read_start}{self.town.id(n)}{self.ends[linked]}".encode(), n, check, known=linked)
        job.mark = self.touched.get(n, 0)
        return job

    def query(self, n: int) -> Job:
        question, request = self.pool[n % len(self.pool)]
        job = Job("query", request, question, self.due("query"), known=len(self.flying))
        job.mark = self.writes
        return job

    def free(self, n: int) -> int:
        """The next entity from n on that has no write on its way; -1: there is none."""
        for _ in range(self.town.entities):
            if n not in self.flying and n not in self.unsure:
                return n
            n = (n + 1) % self.town.entities
        return -1

    def written(self, n: int) -> tuple[int, int, int]:
        """A new value for entity n, which is from now on its way."""
        self.serial += 1
        self.flying.add(n)
        self.touched[n] = self.touched.get(n, 0) + 1
        self.writes += 1
        if many := self.watchers[n] + self.watching_type[(n & 3, self.town.linked(n))]:
            self.expected[self.serial] = many
            self.receiver.sent[self.serial] = time.perf_counter()
        return self.draw.randrange(10_000), self.draw.randrange(len(STATES)), self.serial

    def create(self, _: int) -> Job:
        n = self.town.new(self.draw)
        written = self.written(n)
        self.town.serial[n] = written[2]
        written = (self.town.level[n], self.town.state[n], written[2])
        return Job("create", self.posted("POST", "entities", self.town.linked(n), self.town.text(n, written)), n, written=written)

    def patch(self, n: int) -> Job:
        if self.watched and n & 1:
            n = self.watched[n % len(self.watched)]
        if (n := self.free(n)) < 0:
            return self.read(0)
        written = self.written(n)
        return Job("patch", self.posted("PATCH", f"entities/{self.town.id(n)}/attrs", self.town.linked(n), self.town.patch(written)), n, written=written)

    def batch(self, n: int) -> Job:
        linked = self.town.linked(n)
        rows: dict[int, tuple[int, int, int]] = {}
        for _ in range(10 * BATCH):
            if len(rows) == BATCH:
                break
            one = self.draw.randrange(self.town.entities)
            one = one | 4 if linked else one & ~4 if self.town.mixed else one
            if one < self.town.entities and one not in self.flying and one not in self.unsure:
                rows[one] = self.written(one)
        if not rows:
            return self.read(n)
        body = f"[{','.join(self.town.text(one, written) for one, written in rows.items())}]"
        return Job("batch", self.posted("POST", "entityOperations/upsert", linked, body), tuple(rows), written=rows)

    def subscribe(self, n: int) -> Job:
        return Job("subscribe", self.subscription({"id": self.town.id(n), "type": TYPES[n & 3]}, self.town.linked(n)), n)

    def subscription(self, entity: dict[str, str], linked: bool) -> bytes:
        self.subscribed += 1
        id = f"urn:ngsi-ld:Subscription:load-{self.town.tag}-{self.load.seed}-{self.subscribed:06d}"
        self.subscription_ids.append(id)
        body = {
            "id": id, "type": "Subscription", "entities": [entity],
            "watchedAttributes": [SERIAL],
            "notification": {"attributes": [SERIAL], "endpoint": {"uri": f"{self.endpoint}{self.subscribed}", "accept": "application/json"}},
        }  # fmt: skip
        return self.posted("POST", "subscriptions", linked, json.dumps(body))

    # what comes back

    def done(self, job: Job, status: int, body: bytes, size: int, now: float) -> None:
        kind = job.kind
        good = status in GOOD[kind]
        if kind not in EVERY:
            self.settle(job, good if good or 400 <= status < 500 else None)
        if good and job.wants:
            self.compare(job, body)
            ended = time.perf_counter()
            if ended - now > BLIND:
                self.blind = ended
        if job.began < self.from_time:
            return
        self.last = now
        if good:
            if job.began < self.blind < now:  # it came while a body was compared: nobody knows when
                self.unseen[kind] += 1
            else:
                self.times[kind].add(int((now - job.began) * 1e6))
            self.sizes[kind] += size
            if kind == "batch":
                self.rows += len(job.what)
        elif kind == "query" and status == 403 and self.load.limits_are_answers:
            self.times[kind].add(int((now - job.began) * 1e6))
            self.limited += 1
        else:
            self.errors[f"{kind} {status}"] += 1

    def lost(self, job: Job) -> None:
        self.errors[f"{job.kind} connection lost"] += 1
        if job.kind not in EVERY:
            self.settle(job, None)

    def settle(self, job: Job, good: bool | None) -> None:
        """A write came back; None: nobody said whether it was done."""
        town = self.town
        if job.kind == "subscribe":
            if good:
                self.watchers[job.what] += 1
                self.watched.append(job.what)
            return
        for n, written in job.written.items() if job.kind == "batch" else ((job.what, job.written),):
            self.flying.discard(n)
            if good:
                town.level[n], town.state[n], town.serial[n] = written
                town.there[n] = 1
            else:
                self.expected.pop(written[2], None)
                if good is None:
                    self.unsure[n] = written

    def compare(self, job: Job, body: bytes) -> None:
        """A body against what was last acknowledged, where nothing was on its way in between."""
        found = msgspec.json.decode(body)
        if job.kind == "read":
            if job.what in self.flying or self.touched.get(job.what, 0) != job.mark:
                return
            problem = self.town.wrong(found, job.known)
        else:
            problem = self.wrong_rows(job, found)
        self.compared += 1
        if problem:
            self.differences.append(problem)

    def wrong_rows(self, job: Job, rows: list[dict[str, Any]]) -> str:
        question: Question = job.what
        slack = self.writes - job.mark + job.known + len(self.unsure)
        sure, possible = question.find(self.town)
        least = min(question.limit, max(0, int(sure.sum()) - question.skip) - slack)
        most = min(question.limit, max(0, int(possible.sum()) - question.skip) + slack)
        # Entities that another run left are not known here; they can only add.
        strangers = sum(self.town.number(str(row.get("id"))) is None for row in rows)
        if not least <= len(rows) <= most + strangers:
            return f"{question.text}: {len(rows)} entities, expected {least} to {most}"
        if slack:
            return ""
        for row in rows:
            n = self.town.number(str(row.get("id")))
            if n is None:
                continue
            if not possible[n]:
                return f"{question.text}: {row['id']} does not match"
            if problem := self.town.wrong(row, question.linked, question.attrs):
                return f"{question.text}: {problem}"
        return ""

    def read_back(self) -> list[Job]:
        """Reads of entities that were written, as many as READ_BACK of them, evenly spread."""
        written = sorted(self.touched)
        step = max(1, len(written) // READ_BACK)
        jobs = []
        for n in written[::step]:
            if self.town.there[n] or n in self.unsure:
                end = self.ends[self.town.linked(n)]
                jobs.append(Job("read", f"{self.read_start}{self.town.id(n)}{end}".encode(), n, True, known=self.town.linked(n)))
        return jobs


async def perform(load: Load, town: Population | None = None) -> dict[str, Any]:
    """Do it; the report. town: a population that the broker already holds, as an earlier run left it (then give fill=False)."""
    if load.entities < 8:
        raise KibanError("--entities", str(load.entities), "8 or more", "for example --entities 1000")
    town = town if town is not None else Population(load.entities, load.seed, f"{time.time_ns() // 1_000_000:x}", mixed=load.context != "none")
    receiver = Receiver()
    port = await receiver.open("127.0.0.1" if load.receiver == "127.0.0.1" else "")
    try:
        context, hosted = await asyncio.to_thread(_host, load) if load.context == "host" else (load.context, "")
        mix = _Mix(load, town, context, receiver, port)
        if load.fill:
            await _fill(load, mix)
        await _subscribe(load, mix)
        mix.serial += town_serials(town)
        began = time.perf_counter()
        mix.from_time = began + (0.0 if load.requests else load.warm)
        mix.until = mix.from_time + load.seconds
        mix.next_check = dict.fromkeys(EVERY, 0.0)
        await Drive(load.url, load.limit, mix.take, mix.done, mix.lost, load.connections).run()
        watched = load.watch() - mix.watched_from if load.watch else None
        elapsed = max(1e-9, mix.last - mix.from_time)
        late = await _late(load, mix)
        answers = await each(load.url, load.limit, mix.read_back(), min(8, load.connections))
        report = _report(load, mix, elapsed, answers, late)
        if not load.keep:
            await _clear(load, mix, hosted)
        return report if watched is None else {**report, "watched": watched}
    finally:
        receiver.server.close()


def town_serials(town: Population) -> int:
    """How far the serial numbers of earlier runs on this population went; the next run counts on from there."""
    return max(0, max(town.serial) - FIRST_SERIAL)


def _host(load: Load) -> tuple[str, str]:
    """Have the broker host the user @context; its URL there, as the broker itself calls it where it says so, and the path to remove it by."""
    split = urlsplit(load.url)
    path = split.path.rstrip("/") + "/ngsi-ld/v1/jsonldContexts"
    headers = {"Content-Type": "application/json"}
    if load.tenant:
        headers["NGSILD-Tenant"] = load.tenant
    if load.token:
        headers["Authorization"] = f"Bearer {load.token}"
    next_step = "give --context URL of one that it knows, or --context none"
    kind = http.client.HTTPSConnection if split.scheme == "https" else http.client.HTTPConnection
    with closing(kind(split.hostname or "", split.port, timeout=load.limit)) as connection:
        try:
            connection.request("POST", path, json.dumps(CONTEXT), headers)
            answer = connection.getresponse()
            answer.read()
            place = urljoin(f"{split.scheme}://{split.netloc}{path}", answer.headers.get("Location", ""))
            if answer.status in (401, 403):
                raise KibanError(load.url, f"status {answer.status}: it has a policy", "one who may do everything", "give --token-file FILE")
            if answer.status != 201:
                raise KibanError(load.url, f"status {answer.status} when it was asked to host an @context", "201", next_step)
            if not answer.headers.get("Location"):
                raise KibanError(load.url, "no Location in the answer about a hosted @context", "its URL", next_step)
            connection.request("GET", f"{urlsplit(place).path}?details=true", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise KibanError(load.url, str(error) or type(error).__name__, "a broker that answers", "start it, then run the command again") from error
    try:
        told = msgspec.json.decode(body) if answer.status == 200 else None
    except msgspec.DecodeError:
        told = None
    name = told.get("URL") if isinstance(told, dict) else None
    return name if isinstance(name, str) and "://" in name else place, urlsplit(place).path


async def _fill(load: Load, mix: _Mix) -> None:
    town = mix.town

    def jobs() -> Iterator[Job]:
        for linked in (False, True):
            numbers = iter([n for n in range(town.entities) if town.linked(n) == linked])
            while texts := [town.text(n) for n in islice(numbers, BATCH)]:
                yield Job("fill", mix.posted("POST", "entityOperations/upsert", linked, f"[{','.join(texts)}]"))

    answers = await each(load.url, load.limit, jobs(), 4)
    if bad := Counter(status for _, status, _ in answers if status not in GOOD["batch"]):
        raise KibanError(load.url, f"{sum(bad.values())} batches refused (status {', '.join(map(str, bad))})", "201 or 204", "look at the log of the broker")


async def _subscribe(load: Load, mix: _Mix) -> None:
    jobs = [Job("subscribe", mix.subscription({"type": f"Unseen{k}"}, bool(k & 1))) for k in range(load.subscriptions)]
    jobs += [Job("subscribe", mix.subscription({"type": TYPES[0]}, mix.town.mixed)) for _ in range(load.matching)]
    mix.watching_type[(0, mix.town.mixed)] += load.matching
    answers = await each(load.url, load.limit, jobs, 4)
    if bad := Counter(status for _, status, _ in answers if status != 201):
        raise KibanError(load.url, f"{sum(bad.values())} subscriptions refused (status {', '.join(map(str, bad))})", "201", "look at the log of the broker")


async def _clear(load: Load, mix: _Mix, hosted: str) -> None:
    """Take away the entities, subscriptions and the @context that this run made; what is not there any more is no matter."""
    town = mix.town
    made = [n for n in (*(range(town.entities) if load.fill else ()), *(n for n in mix.touched if n >= town.entities)) if town.there[n]]
    batches = [made[at : at + BATCH] for at in range(0, len(made), BATCH)]
    jobs = [Job("clear", mix.posted("POST", "entityOperations/delete", False, json.dumps([town.id(n) for n in batch]))) for batch in batches]
    jobs += [Job("clear", f"DELETE {mix.path}subscriptions/{id}{mix.ends[0]}".encode()) for id in mix.subscription_ids]
    jobs += [Job("clear", f"DELETE {hosted}{mix.ends[0]}".encode())] if hosted else []
    await each(load.url, load.limit, jobs, 4)
    for n in made:
        town.there[n] = 0


async def _late(load: Load, mix: _Mix) -> int:
    """Wait for notifications that are still on their way; how many never came."""
    until = time.monotonic() + load.wait

    def missing() -> int:
        return sum(max(0, many - mix.receiver.by_serial[serial]) for serial, many in mix.expected.items())

    while mix.expected and missing() and time.monotonic() < until:
        await asyncio.sleep(0.1)
    return missing()


def _report(load: Load, mix: _Mix, elapsed: float, answers: list[tuple[Job, int, bytes]], late: int) -> dict[str, Any]:
    for job, status, body in answers:
        n = job.what
        if status == 404 and n in mix.unsure and not mix.town.there[n]:
            continue
        mix.compared += 1
        problem = f"{mix.town.id(n)}: status {status}" if status != 200 else mix.town.wrong(msgspec.json.decode(body), job.known, (), mix.unsure.get(n))
        if problem:
            mix.differences.append(problem)
    counted = {name: times.many + mix.unseen[name] for name, times in mix.times.items()}
    many = sum(counted.values())
    work = {
        name: {
            "requests": counted[name], "per_second": round(counted[name] / elapsed, 1), "timed": times.many,
            "p50_ms": times.at(0.5) / 1000, "p95_ms": times.at(0.95) / 1000,
            "p99_ms": times.at(0.99) / 1000, "max_ms": times.longest / 1000, "bytes": mix.sizes[name],
        }
        for name, times in mix.times.items()
    }  # fmt: skip
    report: dict[str, Any] = {
        "url": load.url, "mix": load.mix, "connections": load.connections, "seconds": round(elapsed, 3), "seed": load.seed, "entities": load.entities,
        "requests": many, "per_second": round(many / elapsed, 1), "errors": dict(mix.errors), "work": work,
        "compared": mix.compared, "different": len(mix.differences), "differences": mix.differences[:TOLD],
    }  # fmt: skip
    if "batch" in mix.times:
        report["entities_per_second"] = round(mix.rows / elapsed, 1)
    if mix.limited:
        report["limited"] = mix.limited
    if mix.expected or mix.receiver.many:
        got, receiver = mix.receiver.by_serial, mix.receiver
        span = receiver.last - receiver.first
        report["notifications"] = {
            "expected": sum(mix.expected.values()), "delivered": receiver.many, "missing": late,
            "more_than_once": sum(max(0, got[serial] - many) for serial, many in mix.expected.items()),
            "per_second": round(receiver.many / span, 1) if span else 0.0,
            "p50_ms": receiver.times.at(0.5) / 1000, "p99_ms": receiver.times.at(0.99) / 1000, "max_ms": receiver.times.longest / 1000,
        }  # fmt: skip
    return report


def run(load: Load, town: Population | None = None) -> dict[str, Any]:
    """The report of one load; see perform.

    Raises
    ------
    KibanError  the broker cannot be reached, or refuses the population
    """
    return in_loop(perform(load, town))


def add_load(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kiban broker load`."""
    parser.add_argument("url", metavar="URL", help="ブローカーの場所 / where the broker is, such as http://127.0.0.1:1026")
    parser.add_argument(
        "--mix", default="read=70,query=20,write=10", metavar="NAME=SHARE,…", help=f"仕事の割合 / shares of the work: {', '.join((*WORK, 'write'))}"
    )
    parser.add_argument("--connections", type=int, default=32, metavar="N", help="同時の接続 / connections (32)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="測る時間 / seconds that are measured (10)")
    parser.add_argument("--requests", type=int, default=0, metavar="N", help="時間でなく回数で止める / stop after so many requests instead")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="同じ数なら同じ要求の列 / the same number, the same sequence of requests (1)")
    parser.add_argument("--entities", type=int, default=100_000, metavar="N", help="はじめのエンティティ数 / entities at first (100000)")
    parser.add_argument(
        "--filled", action="store_true", help="すでに書いてある（手つかずの）ものを使う / they are there already, as `--entities` and `--seed` write them"
    )
    parser.add_argument(
        "--context",
        default="host",
        metavar="URL",
        help=f"host: ブローカーに置く; none: なし / host it on the broker, none, or a known URL such as {CONTEXT_URL}",
    )
    parser.add_argument("--queries", default=",".join(KINDS), metavar="KIND,…", help=f"検索の種類 / kinds of queries: {', '.join((*KINDS, *OTHER_KINDS))}")
    parser.add_argument("--subscriptions", type=int, default=0, metavar="N", help="当たらない購読 / subscriptions that match nothing, registered before")
    parser.add_argument("--matching", type=int, default=0, metavar="N", help="当たる購読 / subscriptions that match every write to one type, registered before")
    parser.add_argument("--keep", action="store_true", help="作ったものを残す（なければ消す） / leave what the run made in the broker (else it is deleted)")
    parser.add_argument("--receiver", default="127.0.0.1", metavar="ADDRESS", help="通知を受ける自分の住所 / address of this machine for notifications")
    parser.add_argument("--tenant", default="", metavar="NAME", help="テナント / tenant")
    parser.add_argument("--json", action="store_true", help="結果を JSON で / the report as JSON")


def run_load(args: argparse.Namespace, token: str = "") -> int:
    """Run `kiban broker load`; 1 when an answer was wrong, refused or missing."""
    kinds = tuple(kind.strip() for kind in args.queries.split(","))
    if wrong := [kind for kind in kinds if kind not in (*KINDS, *OTHER_KINDS)]:
        raise KibanError("--queries", repr(wrong[0]), f"some of {', '.join((*KINDS, *OTHER_KINDS))}", "correct it")
    if not args.url.startswith(("http://", "https://")):
        raise KibanError("URL", repr(args.url), "an address that begins with http:// or https://", "for example http://127.0.0.1:1026")
    if args.connections < 1 or args.seconds <= 0:
        raise KibanError("--connections, --seconds", f"{args.connections}, {args.seconds}", "more than zero", "correct it")
    load = Load(
        url=args.url, mix=parse_mix(args.mix), connections=args.connections, seconds=args.seconds, requests=args.requests, seed=args.seed,
        entities=args.entities, fill=not args.filled, context=args.context, queries=kinds, subscriptions=args.subscriptions, matching=args.matching,
        keep=args.keep, receiver=args.receiver, tenant=args.tenant, token=token,
    )  # fmt: skip
    report = run(load)
    print(json.dumps(report, ensure_ascii=False) if args.json else as_text(report))
    return 1 if report["errors"] or report["different"] or report.get("notifications", {}).get("missing") else 0


def as_text(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = [f"{report['per_second']:,.0f} /s, {report['requests']:,} 件 / requests, {report['seconds']} s, {report['connections']} 接続 / connections"]
    lines += [
        f"  {name:10} {row['per_second']:>10,.0f} /s  p50 {row['p50_ms']:.2f}  p95 {row['p95_ms']:.2f}  p99 {row['p99_ms']:.2f}  max {row['max_ms']:.1f} ms"
        for name, row in report["work"].items()
    ]
    if told := report.get("notifications"):
        lines.append(
            f"  通知 / notifications {told['delivered']:,} ({told['per_second']:,.0f} /s), 欠け / missing {told['missing']}, p99 {told['p99_ms']:.1f} ms"
        )
    lines.append(f"  比べた本文 / bodies compared {report['compared']:,}, 違い / different {report['different']}")
    lines += [f"  {what}: {many}" for what, many in report["errors"].items()] + [f"  {one}" for one in report["differences"]]
    return "\n".join(lines)
