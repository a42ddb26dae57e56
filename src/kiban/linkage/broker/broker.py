"""One broker: its store, contexts, access, what follows from a change, and the tasks that run beside the requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiban.linkage.access import Access
from kiban.linkage.broker import history, times
from kiban.linkage.broker.api_v2 import Around, told
from kiban.linkage.broker.delivery import Dispatcher
from kiban.linkage.broker.entities import sweep
from kiban.linkage.broker.forward import Forward
from kiban.linkage.broker.guard import Guard
from kiban.linkage.broker.hosting import Hosting
from kiban.linkage.broker.late import LateSender, load
from kiban.linkage.broker.maintain import keep_history
from kiban.linkage.broker.maps import Maps
from kiban.linkage.broker.notices import Notices
from kiban.linkage.broker.operate import Operation
from kiban.linkage.broker.outbox import StoreOutbox
from kiban.linkage.broker.relay import Relay
from kiban.linkage.broker.server import Reply
from kiban.linkage.broker.source_subscriptions import SourceNotices
from kiban.linkage.broker.sources import Sources
from kiban.linkage.broker.store import open_store
from kiban.linkage.errors import Problem

SWEEP = 1.0  # seconds between two looks at what has expired


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a broker runs; every field is an option of `kiban broker`.

    db               a file, or postgresql://…
    policy           who may do what; None: everything, on loopback only
    context_map      URL of a @context → file
    fetch_contexts   @contexts may be fetched from outside
    allow_endpoints  networks and hosts that notifications and forwards may reach although they are private
    index            attributes (IRIs or terms of the core context) with an index of their values
    history          every change is kept with its time
    instances        instances of one entity's history in one answer; what goes beyond comes in parts
    keep_months      history older than this is dropped; 0: never
    tenants          False: the first write to a new tenant does not make it
    """

    host: str = "127.0.0.1"
    port: int = 1026
    db: str = "broker.db"
    workers: int = 1
    policy: Path | None = None
    context_map: Path | None = None
    v2_context: str | None = None
    fetch_contexts: bool = False
    allow_endpoints: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    history: bool = True
    instances: int = 30
    keep_months: int = 0
    cors: str = ""
    public_url: str = ""
    access_log: bool = False
    body_limit: int = 16 * 1024 * 1024
    query_seconds: float = 2.0
    stop_seconds: float = 10.0

    @property
    def loopback(self) -> bool:
        """True if only this machine can reach the broker."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def url(self) -> str:
        """Where others reach this broker.

        >>> Options(host="::1").url
        'http://[::1]:1026'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


Effect = Callable[[Any, int, str, Any], None]  # transaction, tenant key, tenant, change


class Broker:
    """Everything that requests share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = open_store(options.db)
        self.guard = Guard.of(loopback=options.loopback, allow=options.allow_endpoints)
        self.hosting = Hosting.open(self.store, options.url, context_map=options.context_map, fetch=options.fetch_contexts, guard=self.guard)
        self.contexts = self.hosting.contexts
        self.access = Access.open(options.policy, self.contexts.core)
        self.operation = Operation(self, access_log=options.access_log)
        self.effects: list[Effect] = [history.record] if options.history else []
        self.tasks: list[asyncio.Task[None]] = []
        self.state = "starting"
        if options.index:
            self.store.declare([self.contexts.core.expand(name) for name in options.index])
        self.http = http = LateSender(self.http_sender)
        mqtt, outbox = LateSender(self.mqtt_sender), StoreOutbox(self.store)
        self.outbox = outbox
        self.dispatcher = Dispatcher(outbox, {"http": http, "https": http, "mqtt": mqtt, "mqtts": mqtt})
        self.store.after = outbox.again = self.dispatcher.wake
        self.sources, self.source_notices = Sources(self), SourceNotices(self)
        self.forward, self.relay = Forward(self), Relay(self)
        self.maps = Maps(self)
        self.notices = Notices(self)
        self.effects.append(self.notices.effect)
        self.v2 = Around(self)

    def http_sender(self) -> Any:
        """What sends notifications over HTTP."""
        from kiban.linkage.broker.posting import HttpSender

        return HttpSender(self.guard)

    def mqtt_sender(self) -> Any:
        """What sends notifications over MQTT."""
        from kiban.linkage.broker.mqtt import MqttSender

        return MqttSender(self.guard)

    def attach(self, app: Any) -> None:
        """The HTTP side of this broker."""
        self.app = app
        self.operation.attach(app)

    async def start(self) -> None:
        """The tasks beside the requests begin."""
        await self.v2.open()
        await self.notices.open()
        await self.dispatcher.start()
        self.sources.look()
        if self.options.index:
            for iri in self.store.reader.unused(self.contexts.core.expand(name) for name in self.options.index):
                self.operation.log.info("no entity has this attribute of --index so far", attribute=iri)
        self.state = "running"
        beside = (self.taking_back, self.warming, self.sweeping, self.sources.flushing, self.source_notices.ticking, self.notices.run)
        self.tasks = [*(asyncio.create_task(self.lasting(work)) for work in beside), *await self.operation.start()]
        if self.options.history:
            self.tasks.append(asyncio.create_task(keep_history(self.store, self.options.keep_months, self.operation.history_dropped)))

    async def stop(self) -> None:
        """Everything that waits is finished, then the store is closed."""
        self.state = "stopping"
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.maps.stop()
        await self.sources.flush()
        await self.dispatcher.stop(self.options.stop_seconds / 2)
        await self.store.close()
        self.state = "stopped"

    async def lasting(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work beside the requests: it begins anew when the database did not take it, so that a full disk or a lost connection ends nothing for good."""
        while True:
            try:
                await work()
            except Problem as problem:
                self.operation.log.warning("work beside the requests is late", work=work.__name__, problem=str(problem))
                await asyncio.sleep(SWEEP)
            else:
                return

    async def taking_back(self) -> None:
        """What a process held that was killed does not wait for the end of its lease, where there is only one process."""
        if self.store.kind == "sqlite":
            owner = self.outbox.owner
            if await self.store.write(lambda tx: tx.take_back(owner, times.now_us())):
                self.dispatcher.wake(self.store.reader.lanes(times.now_us()))

    async def warming(self) -> None:
        """Load what starting left out, once there has been time for the first requests."""
        await asyncio.sleep(1.0)
        await asyncio.to_thread(load)

    async def sweeping(self) -> None:
        """Delete what has expired, every second; and see to it that nothing waits for a clock that was set back."""
        ahead = times.now_us() - time.monotonic_ns() // 1000
        while True:
            await asyncio.sleep(SWEEP)
            now, before = times.now_us(), ahead
            ahead = now - time.monotonic_ns() // 1000
            if ahead < before - times.SECOND:
                lease = int(self.dispatcher.policy.lease * times.SECOND)
                await self.store.write(lambda tx, now=now, lease=lease: tx.clock_back(now, lease))
                self.dispatcher.wake(self.store.reader.lanes(now))
            if self.store.reader.expired(times.now_us(), 1) or self.store.reader.ripened(times.now_us(), 1):
                await self.store.write(lambda tx: sweep(self, tx))
            await self.maps.tidy()
            if self.hosting.refresh():
                await self.notices.renew()

    def v2_problem(self, problem: Problem) -> Reply:
        """A problem as NGSIv2 says it."""
        return told(problem)

    def unexpected(self, call: Any, error: Exception) -> Reply:
        """An error that nobody foresaw: told to the log in full, to the client without."""
        return self.operation.unexpected(call, error)
