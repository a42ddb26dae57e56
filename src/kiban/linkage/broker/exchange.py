"""Entities into a broker and out of it, as files: NDJSON, GeoJSON, and a dump of an Orion (移行).

In: a file that is read once, piece by piece. Out: batches of entities for a callback (the upserts of a running broker, or anything else), and a file of
rejects: what was not taken, with its line and the reason; every entity of the input is in one of the two. Memory does not grow with the file.
How an entity is checked and stored is the broker's work; what NGSIv2 means in NGSI-LD is decided in ngsiv2, so a dump of an Orion goes in by that API.
"""

from __future__ import annotations

import argparse
import http.client
import re
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import msgspec

from kiban.base.errors import KibanError

FORMATS = ("ndjson", "geojson", "orion")
BATCH = 200  # entities of one request
FLYING = 4  # requests at once
PIECE = 1 << 16
LONGEST = 32 << 20  # bytes of one entity
LIMIT = 60.0  # seconds that one answer may take
PATIENCE = 60.0  # seconds that a broker may be away
LINK = '<%s>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
MEMBERS = {
    "Property": "value", "GeoProperty": "value", "Relationship": "object", "LanguageProperty": "languageMap", "VocabProperty": "vocab",
    "JsonProperty": "json", "ListProperty": "valueList", "ListRelationship": "objectList",
}  # fmt: skip
_TOKENS = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NUMBERS = {"$numberInt": int, "$numberLong": int, "$numberDouble": float, "$numberDecimal": float}


@dataclass(frozen=True, slots=True)
class Row:
    """One entity of a file. kind: "json", "ld" (it has its own @context) or "v2" (NGSIv2, of service path `path`)."""

    line: int  # where it begins, from 1
    raw: bytes  # as it stood in the file
    kind: str
    entity: dict[str, Any]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """What was not taken, and why."""

    line: int
    raw: bytes
    reason: str


Sender = Callable[[list[Row]], list[Reject]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a file."""

    taken: int
    rejected: int
    last_line: int


# reading


def read_ndjson(stream: IO[bytes]) -> Iterator[Row | Reject]:
    """One NGSI-LD entity (or GeoJSON Feature) a line; empty lines are passed over.

    >>> import io
    >>> rows = list(read_ndjson(io.BytesIO(b'{"id": "urn:a", "type": "T"}\\n\\n{"id": 7}\\n')))
    >>> [(row.line, type(row).__name__) for row in rows]
    [(1, 'Row'), (3, 'Reject')]
    """
    for line, raw in _lines(stream):
        if raw is None:
            yield Reject(line, b"", f"longer than {LONGEST >> 20} MiB")
            continue
        raw = raw.strip().removeprefix(b"\xef\xbb\xbf")
        if not raw:
            continue
        body = _decoded(raw)
        if isinstance(body, str):
            yield Reject(line, raw, body)
        elif body.get("type") == "Feature":
            yield _feature(line, raw, body, "", "")
        else:
            yield _row(line, raw, body)


def read_geojson(stream: IO[bytes], type: str = "", id_from: str = "") -> Iterator[Row | Reject]:
    """The features of a FeatureCollection: as a broker gives them out (normalized properties), or of any other origin: plain properties, null left out,
    properties named id and type (when --type is given) as featureId and featureType.

    type     of the entities where a feature does not say it in its properties
    id_from  name of the property that makes the id, when the feature has none

    >>> import io
    >>> text = b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"no":3},"geometry":{"type":"Point","coordinates":[135,35]}}]}'
    >>> next(read_geojson(io.BytesIO(text), type="Shelter", id_from="no")).entity["id"]
    'urn:ngsi-ld:Shelter:3'
    """
    for line, raw, whole in _objects(stream, b"features"):
        if not whole:
            yield Reject(line, raw, "the file ends inside of it" if raw else "no whole list of features")
            continue
        body = _decoded(raw)
        yield Reject(line, raw, body) if isinstance(body, str) else _feature(line, raw, body, type, id_from)


def read_orion(stream: IO[bytes]) -> Iterator[Row | Reject]:
    """The lines of `mongoexport --collection entities` of an Orion, as NGSIv2 entities with their service path.

    Times of creation stay behind: the broker sets its own. An attribute that still has an NGSIv1 ID (name()ID) is rejected with its entity.
    """
    for line, raw in _lines(stream):
        if raw is None:
            yield Reject(line, b"", f"longer than {LONGEST >> 20} MiB")
            continue
        raw = raw.strip()
        if not raw:
            continue
        body = _decoded(raw)
        if isinstance(body, str):
            yield Reject(line, raw, body)
            continue
        try:
            entity, path = from_orion(body)
        except ValueError as error:
            yield Reject(line, raw, str(error))
            continue
        yield Row(line, raw, "v2", entity, path)


def from_orion(document: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A document of Orion's collection `entities` as an NGSIv2 entity, and its service path.

    Raises
    ------
    ValueError  it is not such a document; the message says what is missing

    >>> from_orion({"_id": {"id": "r1", "type": "Room"}, "attrNames": ["a.b"], "attrs": {"a=b": {"type": "Number", "value": 21, "mdNames": []}}})
    ({'id': 'r1', 'type': 'Room', 'a.b': {'type': 'Number', 'value': 21, 'metadata': {}}}, '/')
    """
    document = _plain(document)
    key = document.get("_id")
    if not isinstance(key, dict) or not isinstance(key.get("id"), str) or not key["id"]:
        raise ValueError("no _id.id: not a document of the collection entities")
    entity: dict[str, Any] = {"id": key["id"], "type": key.get("type") or "Thing"}
    attrs = document.get("attrs", {})
    if not isinstance(attrs, dict):
        raise ValueError("attrs is not a map: written by an Orion before 0.15")
    names = _names(document.get("attrNames"))
    for stored, attr in attrs.items():
        if stored not in names and "()" in stored:
            raise ValueError(f"attribute {stored!r} has an NGSIv1 ID, which NGSIv2 and NGSI-LD do not have")
        name = names.get(stored, _unescaped(stored))
        if name in ("id", "type"):
            raise ValueError(f"attribute named {name!r}")
        if not isinstance(attr, dict):
            raise ValueError(f"attribute {name!r} is not a map")
        entity[name] = {**_valued(attr), "metadata": _metadata(attr)}
    if (expires := document.get("expDate")) is not None and "dateExpires" not in entity:
        entity["dateExpires"] = {"type": "DateTime", "value": _time(expires), "metadata": {}}
    return entity, key.get("servicePath") or "/"


def _names(given: Any) -> dict[str, str]:
    return {name.replace(".", "=").replace("$", ">"): name for name in given or () if isinstance(name, str)}


def _unescaped(stored: str) -> str:
    """Orion keeps no dot and no dollar in a key; both signs that it puts there are forbidden in what users send."""
    return stored.replace("=", ".").replace(">", "$")


def _valued(attr: dict[str, Any]) -> dict[str, Any]:
    value, type = attr.get("value"), attr.get("type") or "None"
    if type in ("DateTime", "ISO8601") and isinstance(value, int | float) and not isinstance(value, bool):
        value = _time(value)
    return {"type": type, "value": _keys(value)}


def _metadata(attr: dict[str, Any]) -> dict[str, Any]:
    given = attr.get("md") or {}
    if isinstance(given, list):  # before 1.0 a list of {name, type, value}
        return {str(one.get("name")): _valued(one) for one in given if isinstance(one, dict)}
    names = _names(attr.get("mdNames"))
    return {names.get(stored, _unescaped(stored)): _valued(one) for stored, one in given.items()}


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unescaped(name): _keys(one) for name, one in value.items()}
    return [_keys(one) for one in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """MongoDB's extended JSON as JSON; dates become seconds."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, inner)] = value.items()
        if name in _NUMBERS:
            return _NUMBERS[name](inner)
        if name == "$oid":
            return inner
        if name == "$date":
            inner = _plain(inner)
            return datetime.fromisoformat(inner).timestamp() if isinstance(inner, str) else inner / 1000
    return {name: _plain(one) for name, one in value.items()}


def _time(seconds: Any) -> str:
    if isinstance(seconds, str):
        return seconds
    return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decoded(raw: bytes) -> dict[str, Any] | str:
    """An object, or why it is none."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"not JSON: {error}"
    except RecursionError:
        return "not JSON that can be read: nested too deeply"
    return body if isinstance(body, dict) else "not a JSON object"


def _row(line: int, raw: bytes, body: dict[str, Any]) -> Row | Reject:
    if not isinstance(body.get("id", body.get("@id")), str):
        return Reject(line, raw, "no id")
    return Row(line, raw, "ld" if "@context" in body else "json", body)


def _feature(line: int, raw: bytes, body: dict[str, Any], type: str, id_from: str) -> Row | Reject:
    if body.get("type") != "Feature":
        return Reject(line, raw, f"type is {body.get('type')!r}, not Feature")
    given = body.get("properties")
    given = dict(given) if isinstance(given, dict) else {}
    # What a broker gives out has the type of the entity and whole attributes in its properties.
    whole = "type" in given and all(isinstance(one, dict | list) for name, one in given.items() if name not in ("type", "scope", "@context", *_SYSTEM))
    kind = given.pop("type", None) if whole or not type else None
    kind = kind if kind is not None else type
    if not kind:
        return Reject(line, raw, "no type; say it with --type")
    id = body.get("id")
    if id is None and id_from:
        id = given.get(id_from)
    if id is None or isinstance(id, dict | list | bool):
        return Reject(line, raw, "no id; name the property that has it with --id-from")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", str(id)):
        id = f"urn:ngsi-ld:{kind if isinstance(kind, str) else kind[0]}:{quote(str(id), safe='')}"
    entity: dict[str, Any] = {"id": id, "type": kind}
    for name, value in given.items():
        if whole:
            if name not in _SYSTEM:
                entity[name] = value
        elif value is not None:
            entity[_RENAMED.get(name, name)] = {"type": "Property", "value": value}
    geometry = body.get("geometry")
    if (
        geometry is not None
        and not (whole and "location" in entity)
        and not any(isinstance(one, dict) and one.get("value") == geometry for one in entity.values())
    ):
        if "location" in entity:
            return Reject(line, raw, "a property is named location, and the geometry needs that name")
        entity["location"] = {"type": "GeoProperty", "value": geometry}
    if (context := body.get("@context")) is not None:
        entity["@context"] = context
    return Row(line, raw, "ld" if "@context" in entity else "json", entity)


_RENAMED = {"id": "featureId", "type": "featureType"}  # an entity has these names already
_SYSTEM = ("createdAt", "modifiedAt", "deletedAt")


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    line = 0
    while raw := stream.readline(LONGEST):
        line += 1
        if len(raw) == LONGEST and not raw.endswith(b"\n"):
            while (rest := stream.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield line, None
        else:
            yield line, raw


def _objects(stream: IO[bytes], member: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """The elements of the array `member` of the outermost object, by braces alone: an element that is not JSON harms no other."""
    buffer, at, line, depth, begin = bytearray(), 0, 1, 0, -1
    inside = seen = ended = False
    name = b""
    while True:
        found = _TOKENS.search(buffer, at)
        token = found.group() if found else b""
        end = found.end() if found else len(buffer)
        if token == b'"':
            closed = _STRING_END.match(buffer, end)
            if closed is None:
                found, end = None, at  # the string goes on in the next piece
            else:
                if depth == 1 and not inside:
                    name = bytes(buffer[end : closed.end() - 1])
                end = closed.end()
        if found is None:
            if ended:
                if begin >= 0:
                    yield line, bytes(buffer[begin:]), False
                elif depth or not seen:
                    yield line, b"", False
                return
            if begin < 0 and at:
                line += buffer.count(b"\n", 0, at)
                del buffer[:at]
                at = 0
            elif len(buffer) - max(begin, 0) > LONGEST:
                raise KibanError(f"line {line}", f"a feature longer than {LONGEST >> 20} MiB", "smaller ones", "simplify its geometry")
            piece = stream.read(PIECE)
            ended = not piece
            buffer += piece
            continue
        if token in (b"{", b"["):
            if inside and depth == 2:
                begin = found.start()
                line += buffer.count(b"\n", 0, begin)
                del buffer[:begin]
                end -= begin
                begin = 0
            elif token == b"[" and depth == 1 and name == member:
                inside = seen = True
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if inside and depth == 2 and begin >= 0:
                raw = bytes(buffer[begin:end])
                yield line, raw, True
                line += raw.count(b"\n")
                del buffer[:end]
                end, begin = 0, -1
            elif inside and depth == 1:
                inside = False
        at = end


# writing to a broker


class Broker:
    """Requests to a running broker from several threads; each has a connection of its own that is opened again when it was closed.

    url      such as http://127.0.0.1:1026
    context  URL of the @context for entities that have none of their own
    """

    def __init__(self, url: str, *, context: str = "", tenant: str = "", token: str = "") -> None:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise KibanError("URL", repr(url), "http://HOST:PORT", "correct it")
        self.url, self.split, self.context = url, split, context
        self.headers = {"Accept": "application/json"}
        if tenant:
            self.headers |= {"NGSILD-Tenant": tenant, "Fiware-Service": tenant}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.free: deque[http.client.HTTPConnection] = deque()

    def close(self) -> None:
        """Close what is open."""
        while self.free:
            self.free.pop().close()

    def _connection(self) -> http.client.HTTPConnection:
        try:
            return self.free.pop()
        except IndexError:
            host, port = self.split.hostname or "", self.split.port
            if self.split.scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=LIMIT, context=ssl.create_default_context())
            return http.client.HTTPConnection(host, port, timeout=LIMIT)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, str]:
        """Status, body and Link header of one request. A broker that is away is waited for; only what may be done twice is asked here.

        Raises
        ------
        KibanError  the broker did not come back
        """
        until = time.monotonic() + PATIENCE
        pause = 0.2
        told = False
        while True:
            connection = self._connection()
            try:
                connection.request(method, self.split.path.rstrip("/") + path, body, {**self.headers, **(headers or {})})
                answer = connection.getresponse()
                found = answer.status, answer.read(), ", ".join(answer.headers.get_all("Link") or ())
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                why = str(error) or type(error).__name__
            else:
                self.free.append(connection)
                if found[0] not in (429, 502, 503, 504) or b"LdContextNotAvailable" in found[1]:
                    return found
                why = f"status {found[0]}"
            if time.monotonic() + pause > until:
                raise KibanError(self.url, why, "a broker that answers", "start it, and run the command again")
            if pause > 1 and not told:
                told = True
                print(f"kiban: {self.url}: {why}; 待っています / waiting, for {PATIENCE:g} s", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(5.0, 2 * pause)

    def send(self, rows: list[Row]) -> list[Reject]:
        """Upsert a batch of one kind and path; what was refused. A batch that is refused as a whole is halved until the culprit is alone."""
        kind = rows[0].kind
        if kind == "v2":
            path, body = "/v2/op/update", {"actionType": "append", "entities": [row.entity for row in rows]}
            headers = {"Content-Type": "application/json", "Fiware-ServicePath": rows[0].path}
        else:
            path = "/ngsi-ld/v1/entityOperations/upsert"
            body = [row.entity for row in rows]  # type: ignore[assignment]
            headers = {"Content-Type": "application/json" if kind == "json" else "application/ld+json"}
            if kind == "json" and self.context:
                headers["Link"] = LINK % self.context
        status, answer, _ = self.ask("POST", path, msgspec.json.encode(body), headers)
        if status in (200, 201, 204):
            return []
        if status == 207:
            return _refused(rows, answer)
        if status in (401, 403):
            raise KibanError(self.url, f"status {status}: {_why(answer)}", "the right to write", "give --token-file FILE, or correct the policy")
        if len(rows) == 1:
            return [Reject(rows[0].line, rows[0].raw, f"{status}: {_why(answer)}")]
        half = len(rows) // 2
        return self.send(rows[:half]) + self.send(rows[half:])


def _why(answer: bytes) -> str:
    try:
        body = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return answer[:200].decode("utf-8", "replace")
    return _reason(body) if isinstance(body, dict) else str(body)[:200]


def _reason(problem: dict[str, Any]) -> str:
    return ": ".join(str(problem[name]) for name in ("title", "detail", "error", "description") if problem.get(name)) or str(problem)[:200]


def _refused(rows: list[Row], answer: bytes) -> list[Reject]:
    """The rows that a 207 names. One id may stand in several rows of a batch: then all of them are told."""
    by_id: dict[str, str] = {}
    for one in msgspec.json.decode(answer).get("errors", []):
        problem = one.get("error")
        by_id[str(one.get("entityId"))] = _reason(problem) if isinstance(problem, dict) else str(problem)
    return [Reject(row.line, row.raw, by_id[id]) for row in rows if (id := str(row.entity.get("id", row.entity.get("@id")))) in by_id]


# the two commands


def read(stream: IO[bytes], format: str, *, type: str = "", id_from: str = "") -> Iterator[Row | Reject]:
    """The rows of a file in one of FORMATS."""
    if format == "geojson":
        return read_geojson(stream, type, id_from)
    return read_orion(stream) if format == "orion" else read_ndjson(stream)


def bring_in(
    rows: Iterable[Row | Reject],
    send: Sender,
    rejects: IO[bytes] | None = None,
    *,
    from_line: int = 1,
    flying: int = FLYING,
    tell: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Give all rows to `send` in batches, up to `flying` at once; write what is refused to `rejects`, a JSON object a line: line, reason, text.

    A batch holds rows of one kind and path and no id twice, and a row whose id is still on its way waits: a later line wins over an earlier one.
    from_line  rows that begin earlier are passed over (to go on after a stop; an upsert that is done twice does no harm)
    tell       called with the line up to which everything is settled

    Raises
    ------
    KibanError  `send` gave up; its message then names the line to go on from
    """
    taken = rejected = settled = 0
    queue: deque[tuple[Future[list[Reject]], list[Row], set[str]]] = deque()

    def refuse(one: Reject) -> None:
        nonlocal rejected
        rejected += 1
        if rejects is not None:
            rejects.write(msgspec.json.encode({"line": one.line, "reason": one.reason, "text": one.raw.decode("utf-8", "backslashreplace")}) + b"\n")

    def settle() -> None:
        nonlocal taken, settled
        future, batch, _ = queue[0]
        try:
            refused = future.result()
        except KibanError as error:
            line = batch[0].line
            step = f"{error.step}; all lines before {line} are settled, go on with --from-line {line}".removeprefix("; ")
            raise KibanError(error.where, error.found, error.fits, step) from error
        queue.popleft()
        for one in refused:
            refuse(one)
        taken += len(batch) - len({one.line for one in refused})
        settled = batch[-1].line
        tell(settled)

    with ThreadPoolExecutor(flying) as pool:
        try:
            for _, group in groupby(_from(rows, from_line, refuse), lambda row: (row.kind, row.path)):
                for batch, ids in _batches(group):
                    while len(queue) >= flying or any(ids & others for _, _, others in queue):
                        settle()
                    queue.append((pool.submit(send, batch), batch, ids))
            while queue:
                settle()
        finally:
            for future, _, _ in queue:
                future.cancel()
            if rejects is not None:
                rejects.flush()
    return Outcome(taken=taken, rejected=rejected, last_line=settled)


def _from(rows: Iterable[Row | Reject], line: int, refuse: Callable[[Reject], None]) -> Iterator[Row]:
    for row in rows:
        if row.line < line:
            continue
        if isinstance(row, Reject):
            refuse(row)
        else:
            yield row


def _batches(rows: Iterable[Row]) -> Iterator[tuple[list[Row], set[str]]]:
    batch: list[Row] = []
    ids: set[str] = set()
    size = 0
    for row in rows:
        id = str(row.entity.get("id", row.entity.get("@id")))
        if id in ids or len(batch) >= BATCH or size + len(row.raw) > 1 << 20:
            if batch:
                yield batch, ids
            batch, ids, size = [], set(), 0
        batch.append(row)
        ids.add(id)
        size += len(row.raw)
    if batch:
        yield batch, ids


def pages(broker: Broker, *, query: str = "", limit: int = 1000) -> Iterator[list[dict[str, Any]]]:
    """All entities of a broker page by page, following the Link to the next one. query: further parameters, such as type=Shelter; empty: all entities.

    Entities that are made or deleted meanwhile may be missed; stop writers, or use a backup, where that matters.

    Raises
    ------
    KibanError  the broker refuses
    """
    base = "/ngsi-ld/v1/entities"
    path = f"{base}?{query or 'local=true'}&limit={limit}"
    headers = {"Link": LINK % broker.context} if broker.context else {}
    while path:
        status, body, links = broker.ask("GET", path, headers=headers)
        if status != 200:
            raise KibanError(broker.url, f"status {status}: {_why(body)}", "200", "correct the query, or the rights")
        rows = msgspec.json.decode(body)
        if rows:
            yield rows
        path = ""
        for target, rest in re.findall(r"<([^>]*)>([^,<]*)", links):
            if re.search(r'rel="?next"?', rest):
                split = urlsplit(target)
                path = f"{base}?{split.query}"


def take_out(rows: Iterable[list[dict[str, Any]]], out: IO[bytes], format: str, *, context: str = "", geometry: str = "location") -> int:
    """Write entities as NDJSON or as one GeoJSON FeatureCollection; how many.

    context   written into each entity (NDJSON) or feature as its @context, so that the file can be read anywhere
    geometry  the attribute that becomes the geometry of a feature; a feature without it has null

    >>> import io
    >>> out = io.BytesIO()
    >>> take_out([[{"id": "urn:a", "type": "T"}]], out, "ndjson"), out.getvalue()
    (1, b'{"id":"urn:a","type":"T"}\\n')
    """
    many = 0
    if format == "geojson":
        out.write(b'{"type":"FeatureCollection","features":[')
    for page in rows:
        for entity in page:
            if format == "geojson":
                out.write(b",\n" if many else b"\n")
                out.write(msgspec.json.encode(_as_feature(entity, context, geometry)))
            else:
                out.write(msgspec.json.encode({**entity, "@context": context} if context else entity) + b"\n")
            many += 1
    if format == "geojson":
        out.write(b"\n]}\n")
    return many


def _as_feature(entity: dict[str, Any], context: str, geometry: str) -> dict[str, Any]:
    place = entity.get(geometry)
    place = place[0] if isinstance(place, list) and place else place
    shape = place.get("value") if isinstance(place, dict) else None
    properties = {name: value for name, value in entity.items() if name not in ("id", "@context")}
    feature = {"id": entity["id"], "type": "Feature", "geometry": shape, "properties": properties}
    return {**feature, "@context": context} if context else feature


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="ブローカーの場所 / where the broker is, such as http://127.0.0.1:1026")
    parser.add_argument("--context", default="", metavar="URL", help="@context の場所 / @context of entities that have none of their own")
    parser.add_argument("--tenant", default="", metavar="NAME", help="テナント / tenant")


def add_import(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kiban broker import`."""
    _common(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="読み込むファイル / the file; - for standard input")
    parser.add_argument("--format", choices=FORMATS, default="", help="形式。既定は拡張子から / default: .geojson is geojson, others ndjson")
    parser.add_argument("--type", default="", metavar="TYPE", help="GeoJSON の型 / type of features that do not say theirs")
    parser.add_argument("--id-from", default="", metavar="NAME", help="GeoJSON の ID にする項目 / property that makes the id of a feature")
    parser.add_argument("--rejects", type=Path, metavar="FILE", help="受け付けられなかった行（既定は FILE.rejects） / what was refused, with line and reason")
    parser.add_argument("--from-line", type=int, default=1, metavar="N", help="この行から続ける / go on from this line")


def run_import(args: argparse.Namespace, token: str = "") -> int:
    """Run `kiban broker import`; 1 when something was refused."""
    format = args.format or ("geojson" if args.file.suffix in (".geojson", ".json") else "ndjson")
    piped = str(args.file) == "-"
    rejects = args.rejects or Path("import.rejects" if piped else f"{args.file}.rejects")
    broker = Broker(args.url, context=args.context, tenant=args.tenant, token=token)
    try:
        try:
            stream = sys.stdin.buffer if piped else args.file.open("rb")
        except OSError as error:
            raise KibanError(str(args.file), str(error.strerror), "a file that can be read", "name the right one") from error
        # Going on after a stop adds to what was refused before.
        with stream, rejects.open("ab" if args.from_line > 1 else "wb") as bin:
            outcome = bring_in(read(stream, format, type=args.type, id_from=args.id_from), broker.send, bin, from_line=args.from_line)
    finally:
        broker.close()
    if not rejects.stat().st_size:
        rejects.unlink()
    told = f" → {rejects}" if outcome.rejected else ""
    if outcome.rejected and not outcome.taken:  # mostly one mistake for the whole file
        with rejects.open("rb") as lines:
            first = msgspec.json.decode(lines.readline())
        print(f"kiban: {args.file}:{first['line']}: {first['reason']}. Next: correct it, or name another --format ({', '.join(FORMATS)})", file=sys.stderr)
    print(f"{outcome.taken:,} 件を書いた / written, {outcome.rejected:,} 件を受け付けなかった / refused{told}")
    return 1 if outcome.rejected else 0


def add_export(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kiban broker export`."""
    _common(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="書き出す先。既定は画面 / file to write; default: standard output")
    parser.add_argument("--format", choices=("ndjson", "geojson"), default="", help="形式。既定は拡張子から / default: by the name of the file")
    parser.add_argument("--query", default="", metavar="PARAMETERS", help="条件 / which entities, such as type=Shelter; default: all")
    parser.add_argument("--geometry", default="location", metavar="NAME", help="図形にする属性 / attribute that becomes the geometry of a feature")


def run_export(args: argparse.Namespace, token: str = "") -> int:
    """Run `kiban broker export`; a file is there whole or not at all."""
    format = args.format or ("geojson" if args.output is not None and args.output.suffix in (".geojson", ".json") else "ndjson")
    broker = Broker(args.url, context=args.context, tenant=args.tenant, token=token)
    try:
        rows = pages(broker, query=args.query)
        if args.output is None:
            take_out(rows, sys.stdout.buffer, format, context=args.context, geometry=args.geometry)
            return 0
        part = args.output.with_name(f"{args.output.name}.part")
        try:
            with part.open("wb") as out:
                many = take_out(rows, out, format, context=args.context, geometry=args.geometry)
            part.replace(args.output)
        finally:
            part.unlink(missing_ok=True)
    finally:
        broker.close()
    print(f"{args.output}: {many:,} 件 / entities", file=sys.stderr)
    return 0
