"""The @contexts that the broker keeps and gives out (ETSI GS CIM 009 v1.9.1, 5.13).

Three kinds: Hosted (a client added it), ImplicitlyCreated (the broker made it of a context written inside a request, so that it has an
address), Cached (a copy of what lies behind another address). The first two belong to one tenant, the third to all.
Where they are kept is a Shelf; HTTP is spoken elsewhere.

>>> import asyncio
>>> hosting = Hosting(MemoryShelf(), "http://127.0.0.1:1026")
>>> entry = asyncio.run(hosting.add({"@context": {"level": "https://example.org/v#level"}}, ""))
>>> asyncio.run(hosting.contexts.term_map(entry.url)).iris["level"]
'https://example.org/v#level'
>>> hosting.list("", "true")[0]["numberOfHits"]
1
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urljoin

from kiban.linkage.broker import times
from kiban.linkage.broker.contexts import CORE_URL, Contexts, Document, Fetch, canonical, core_document, is_core, read_map
from kiban.linkage.broker.guard import Guard, GuardError
from kiban.linkage.errors import bad_request, context_not_available, invalid_request, not_found, not_supported

PATH = "/ngsi-ld/v1/jsonldContexts/"
KINDS = ("Hosted", "Cached", "ImplicitlyCreated")
SHARED = ""  # the tenant under which copies lie: they are public documents
MAX_COPIES = 2000
MAX_PASSING = 1000  # contexts of a tenant that stood inside of requests and that nothing kept needs
REFERRING = ("subscription", "csource-subscription", "registration", "remote-subscription")  # documents that contexts are kept for
FETCH_SECONDS = 5.0
FETCH_BYTES = 2_000_000
REDIRECTS = 5
# Whatever stands before the path: behind a proxy, the broker has more names than it knows. The id decides.
_OWN = re.compile(r"(https?://[^/]+)?" + re.escape(PATH) + r"([^/?#]+)\Z")

_NAMED = re.compile(re.escape(PATH) + r"([0-9A-Za-z-]+)")


def passing(id: str) -> bool:
    """Whether an implicit context was made for requests, rather than for one subscription that it goes with: its id then follows from what it says.

    >>> passing(str(uuid.uuid5(uuid.NAMESPACE_URL, "x"))), passing(str(uuid.uuid4())), passing("id-1")
    (True, False, False)
    """
    try:
        return uuid.UUID(id).version == 5
    except ValueError:
        return False


class Entry(NamedTuple):
    """One kept @context: its local id (of a copy: its address), kind, when it was kept (µs), address, and what its @context says."""

    id: str
    kind: str
    created: int
    url: str
    content: Any

    @property
    def path(self) -> str:
        """The path under which it is served, for the Location header."""
        return PATH + self.id


class Shelf(Protocol):
    """Where kept contexts lie: JSON documents by tenant and id. Reads are answered at once, writes are awaited until they are safe."""

    def get(self, tenant: str, id: str) -> dict[str, Any] | None:
        """The document, None if there is none."""
        ...

    def list(self, tenant: str) -> list[tuple[str, dict[str, Any]]]:
        """Id and document of each, oldest first."""
        ...

    async def put(self, tenant: str, id: str, doc: dict[str, Any]) -> None:
        """Keep a document, instead of the one that lies there."""
        ...

    async def delete(self, tenant: str, id: str) -> bool:
        """Remove a document; whether there was one."""
        ...

    def version(self) -> int:
        """A number that changes when a document changes, in whichever process."""
        ...

    def needed(self, tenant: str) -> frozenset[str]:
        """The ids of contexts that other documents of the tenant name."""
        ...


class MemoryShelf:
    """A shelf that lasts as long as the process."""

    def __init__(self) -> None:
        self.docs: dict[tuple[str, str], dict[str, Any]] = {}
        self.changes = 0

    def get(self, tenant: str, id: str) -> dict[str, Any] | None:
        """The document, None if there is none."""
        return self.docs.get((tenant, id))

    def list(self, tenant: str) -> list[tuple[str, dict[str, Any]]]:
        """Id and document of each, oldest first."""
        return [(id, doc) for (owner, id), doc in self.docs.items() if owner == tenant]

    async def put(self, tenant: str, id: str, doc: dict[str, Any]) -> None:
        """Keep a document."""
        self.docs[(tenant, id)] = doc
        self.changes += 1

    async def delete(self, tenant: str, id: str) -> bool:
        """Remove a document."""
        self.changes += 1
        return self.docs.pop((tenant, id), None) is not None

    def version(self) -> int:
        """How many changes there were."""
        return self.changes

    def needed(self, tenant: str) -> frozenset[str]:  # noqa: ARG002 - there are no other documents
        """Nothing: there are no other documents."""
        return frozenset()


class StoreShelf:
    """A shelf in the database of the broker."""

    KIND = "context"

    def __init__(self, store: Any) -> None:
        self.store = store

    def get(self, tenant: str, id: str) -> dict[str, Any] | None:
        """The document, None if there is none."""
        reader = self.store.reader
        key = reader.tenant(tenant)
        found = reader.thing(key, self.KIND, id) if key is not None else None
        return found[0] if found is not None else None

    def list(self, tenant: str) -> list[tuple[str, dict[str, Any]]]:
        """Id and document of each, oldest first."""
        reader = self.store.reader
        key = reader.tenant(tenant)
        return [(row[1], row[2]) for row in reader.things(key, self.KIND)] if key is not None else []

    async def put(self, tenant: str, id: str, doc: dict[str, Any]) -> None:
        """Keep a document."""
        await self.store.write(lambda tx: tx.put_thing(tx.open_tenant(tenant), self.KIND, id, doc))

    async def delete(self, tenant: str, id: str) -> bool:
        """Remove a document."""

        def remove(tx: Any) -> bool:
            key = tx.tenant(tenant)
            return key is not None and bool(tx.delete_thing(key, self.KIND, id))

        return bool(await self.store.write(remove))

    def version(self) -> int:
        """The number of changes, of all processes."""
        return int(self.store.reader.changes(self.KIND))

    def needed(self, tenant: str) -> frozenset[str]:
        """The ids of contexts that subscriptions and registrations of the tenant name."""
        reader = self.store.reader
        key = reader.tenant(tenant)
        if key is None:
            return frozenset()
        return frozenset(id for kind in REFERRING for row in reader.things(key, kind) for id in _NAMED.findall(json.dumps(row[2])))


class Hosting:
    """The operations of 5.13, and the contexts of the broker with what is kept behind them.

    Parameters
    ----------
    shelf   where kept contexts lie
    url     the address under which the broker is reached, with no path
    map     address → file, see Contexts
    fetch   see Contexts
    new_id  makes the id of one more context
    """

    def __init__(
        self,
        shelf: Shelf,
        url: str,
        map: Mapping[str, Path] | None = None,
        fetch: Fetch | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.shelf, self.url, self.new_id = shelf, url.rstrip("/"), new_id
        self.contexts = Contexts(map, self.document, fetch, self.keep)
        self.core_since = times.now_us()
        self._version = shelf.version()
        self._passing: dict[str, dict[str, None]] = {}  # tenant → ids of contexts that may go, oldest first; read at the first need

    @classmethod
    def open(cls, store: Any, url: str, *, context_map: Path | None = None, fetch: bool = False, guard: Guard | None = None) -> Hosting:
        """The hosting of a broker; context_map: a file for `read_map`; fetch: other addresses are fetched, as far as the guard lets them."""
        return cls(StoreShelf(store), url, read_map(context_map) if context_map is not None else None, fetcher(guard or Guard()) if fetch else None)

    # --- what Contexts asks
    def document(self, url: str, tenant: str) -> Document | None:
        """What is kept under an address: the tenant's own, or a copy."""
        own = _OWN.match(url)
        if own is not None and own[1]:
            id = unquote(own[2])
            doc = self.shelf.get(tenant, id)
            if doc is not None and doc["kind"] != "Cached":
                return Document(doc["content"], True, id)
            if own[1] == self.url:
                raise context_not_available(url, "this broker keeps no such @context for this tenant")
        doc = self.shelf.get(SHARED, url)
        return Document(doc["content"], False, url) if doc is not None and doc["kind"] == "Cached" else None

    async def keep(self, url: str, content: Any) -> None:
        """Keeps a copy of what lies behind an address; beyond MAX_COPIES, none is added."""
        doc = self.shelf.get(SHARED, url)
        if (doc is None and len(self.shelf.list(SHARED)) < MAX_COPIES) or (doc is not None and doc["content"] != content):
            await self.shelf.put(SHARED, url, {"kind": "Cached", "created": times.now_us(), "content": content})
            self._version = self.shelf.version()

    def refresh(self) -> bool:
        """Forgets what is compiled if another process has changed a kept context since, and says so; call it now and then where there are several."""
        version = self.shelf.version()
        if version == self._version:
            return False
        self._version = version
        self.contexts.clear()
        self._passing.clear()
        return True

    def made(self, url: str) -> int:
        """When the copy of an address was brought in (µs); 0 without a copy."""
        doc = self.shelf.get(SHARED, url)
        return int(doc["created"]) if doc is not None and doc["kind"] == "Cached" else 0

    # --- the operations
    async def add(self, raw: Any, tenant: str) -> Entry:
        """Keeps what a client adds (5.13.2): an object with an @context.

        Raises InvalidRequest without one, BadRequestData for one that JSON-LD does not know. Addresses in it are looked at when it is used.
        """
        if not isinstance(raw, dict) or "@context" not in raw:
            raise invalid_request('found no @context; expected an object {"@context": …}')
        return await self._put(self.new_id(), "Hosted", raw["@context"], tenant)

    async def implicit(self, context: Any, tenant: str, *, fresh: bool = False) -> str:
        """The address of a context that stood inside a request; an address stays itself.

        The same context has the same address again; fresh: one of its own, for what is deleted with its subscription.
        """
        if isinstance(context, list) and len(context) == 1:
            context = context[0]
        if isinstance(context, str):
            return context
        id = self.new_id()
        if not fresh:
            key = canonical(context)
            id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant} {key.decode() if isinstance(key, bytes) else key}"))
            if self.shelf.get(tenant, id) is not None:
                return self.url + PATH + id
            await self._make_room(tenant)
        url = (await self._put(id, "ImplicitlyCreated", context, tenant)).url
        if not fresh:
            self._passing[tenant][id] = None
        return url

    async def _make_room(self, tenant: str) -> None:
        """Of many contexts that stood inside of requests those go that were used longest ago, a tenth at a time, unless something kept needs them."""
        ids = self._passing.get(tenant)
        if ids is None:
            kept = self.shelf.list(tenant)
            ids = self._passing[tenant] = dict.fromkeys(id for id, doc in kept if doc["kind"] == "ImplicitlyCreated" and passing(id))
        if len(ids) < MAX_PASSING:
            return
        for id in self.shelf.needed(tenant):
            ids.pop(id, None)  # it counts no more: otherwise many of them would be looked at each time
        used = self.contexts.used()
        gone = sorted(ids, key=lambda id: used.get(id, 0.0))[: max(0, len(ids) - MAX_PASSING * 9 // 10)]
        for id in gone:
            del ids[id]
            self.contexts.forget(id)
        await asyncio.gather(*(self.shelf.delete(tenant, id) for id in gone))

    async def _put(self, id: str, kind: str, content: Any, tenant: str) -> Entry:
        self.contexts.check(content)
        created = times.now_us()
        await self.shelf.put(tenant, id, {"kind": kind, "created": created, "content": content})
        self._version = self.shelf.version()
        return Entry(id, kind, created, self.url + PATH + id, content)

    def _entry(self, id: str, doc: Mapping[str, Any]) -> Entry:
        kind = doc["kind"]
        return Entry(id, kind, doc["created"], id if kind == "Cached" else self.url + PATH + id, doc["content"])

    def _core(self) -> Entry:
        return Entry(CORE_URL, "Cached", self.core_since, CORE_URL, core_document()["@context"])

    def _find(self, id: str, tenant: str) -> Entry | None:
        """An entry by its local id or by the address of the copy."""
        if is_core(id):
            return self._core()
        own = _OWN.match(id)
        if own is not None:
            id = unquote(own[2])
        doc = self.shelf.get(tenant, id)
        if doc is None:
            doc = self.shelf.get(SHARED, id)
            doc = doc if doc is not None and doc["kind"] == "Cached" else None
        return self._entry(id, doc) if doc is not None else None

    def details(self, entry: Entry) -> dict[str, Any]:
        """URL, localId, kind, createdAt, numberOfHits and lastUsage of an entry; both counts since the broker has started."""
        hits, last = self.contexts.uses(entry.id)
        told = {"URL": entry.url, "localId": entry.id, "kind": entry.kind, "createdAt": times.text(entry.created), "numberOfHits": hits}
        return told | {"lastUsage": times.text(int(last * 1000) * 1000)} if hits else told

    def list(self, tenant: str, details: str | None = None, kind: str | None = None) -> list[Any]:
        """The addresses of the tenant's contexts and of the copies, or with details (5.13.3). Raises BadRequestData.

        details  true or false; kind  one of KINDS
        """
        full = flag("details", details)
        if kind and kind not in KINDS:
            raise bad_request(f"found kind={kind}; expected {', '.join(KINDS)}")
        found = [self._entry(id, doc) for id, doc in self.shelf.list(tenant)]
        if tenant != SHARED:
            found += [self._entry(id, doc) for id, doc in self.shelf.list(SHARED) if doc["kind"] == "Cached"]
        return [self.details(entry) if full else entry.url for entry in found if not kind or entry.kind == kind]

    def serve(self, id: str, tenant: str, details: str | None = None) -> dict[str, Any]:
        """A context to give out, {"@context": …}, or its details (5.13.4). Being asked for counts as a use, shown from the next time on.

        Raises ResourceNotFound; OperationNotSupported for a copy without details: what it says is to be had at its own address.
        """
        full = flag("details", details)
        entry = self._find(id, tenant)
        if entry is None:
            raise not_found(id, "@context")
        if full:
            told = self.details(entry)
        elif entry.kind == "Cached" and entry.id != CORE_URL:
            raise not_supported(f"{id} is a copy; details=true describes it, its own address has its content")
        else:
            told = {"@context": entry.content}
        self.contexts.count(entry.id)
        return told

    async def delete(self, id: str, tenant: str, reload: str | None = None) -> str:
        """Removes a context, or with reload=true brings in a copy anew (5.13.5); its id. A copy that cannot be had anew stays as it was.

        Raises ResourceNotFound, BadRequestData (reload of what is no copy, removal of the core context), LdContextNotAvailable.
        """
        anew = flag("reload", reload)
        entry = self._find(id, tenant)
        if entry is None:
            if anew:
                raise bad_request(f"found no copy {id}; expected the address of one, as only copies can be loaded anew")
            raise not_found(id, "@context")
        if entry.id == CORE_URL:
            # It comes with the program: there is nothing newer to load, and nothing works without it.
            if not anew:
                raise bad_request("the core @context cannot be deleted")
        elif not anew:
            await self.shelf.delete(SHARED if entry.kind == "Cached" else tenant, entry.id)
            self.contexts.forget(entry.id)
        elif entry.kind != "Cached":
            raise bad_request(f"found the kind {entry.kind}; expected Cached, as only copies can be loaded anew")
        else:
            content = await self.contexts.renew(entry.id)
            self.contexts.check(content)
            await self.shelf.put(SHARED, entry.id, {"kind": "Cached", "created": times.now_us(), "content": content})
            self.contexts.forget(entry.id, gone=False)
        self._version = self.shelf.version()
        self._passing.get(tenant, {}).pop(entry.id, None)
        return entry.id


def flag(name: str, value: str | None) -> bool:
    """A yes-or-no parameter of the query string; without it, no. Raises BadRequestData.

    >>> flag("details", "true"), flag("details", None)
    (True, False)
    """
    if value in ("true", "false", "", None):
        return value == "true"
    raise bad_request(f"found {name}={value}; expected true or false")


def fetcher(guard: Guard, seconds: float = FETCH_SECONDS, limit: int = FETCH_BYTES) -> Fetch:
    """A fetch function for Contexts: http and https, the guard asked for each redirect and each address that a name has.

    Its raises: LdContextNotAvailable (refused, not reached in time, another status than 200), BadRequestData (larger than limit bytes).
    """

    async def fetch(url: str) -> bytes:
        import aiohttp

        from kiban.linkage.broker.posting import Refused, Resolver

        async def go(session: aiohttp.ClientSession) -> bytes:
            target = url
            for _ in range(REDIRECTS + 1):
                guard.check_url(target, ("http", "https"))
                async with session.get(target, allow_redirects=False) as answer:
                    if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                        target = urljoin(target, answer.headers["Location"])
                        continue
                    if answer.status != 200:
                        raise context_not_available(url, f"HTTP status {answer.status}")
                    body = bytearray()
                    async for part in answer.content.iter_chunked(65536):
                        body += part
                        if len(body) > limit:
                            raise bad_request(f"{url} has more than {limit:,} bytes", "Invalid @context")
                    return bytes(body)
            raise context_not_available(url, f"more than {REDIRECTS} redirects")

        try:
            async with asyncio.timeout(seconds):
                connector = aiohttp.TCPConnector(resolver=Resolver(guard))
                accept = {"Accept": "application/ld+json, application/json;q=0.9"}
                async with aiohttp.ClientSession(connector=connector, headers=accept, auto_decompress=True) as session:
                    return await go(session)
        except (GuardError, Refused) as error:
            raise context_not_available(url, str(error)) from None
        except TimeoutError:
            raise context_not_available(url, f"no answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise context_not_available(url, type(error).__name__) from None

    return fetch
