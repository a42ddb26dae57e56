"""Context source registrations: what other brokers have, and which of them a request concerns (ETSI GS CIM 009 v1.9.1, 4.3.6, 5.2.9, 5.9, 5.12).

In: registrations as clients write them. Out: a document with full names for the store, compiled to a `Source` that answers quickly whether it has
a part in a request. `Sources` keeps those of all tenants in memory; a tenant without any costs one look into a dict.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from kiban.base.errors import KibanError
from kiban.linkage.broker import times
from kiban.linkage.broker.geo import GeoQ
from kiban.linkage.broker.query import Q, plain_record
from kiban.linkage.broker.selection import ScopeQ, TemporalQ, TypeQ, parse_id_pattern
from kiban.linkage.broker.store import Selection, Who
from kiban.linkage.broker.values import NULL, geometry_fault, is_name, is_scope, is_uri
from kiban.linkage.errors import Problem, bad_request, conflict

Doc = dict[str, Any]

KIND: Final = "registration"
MODES: Final = ("inclusive", "exclusive", "redirect", "auxiliary")
LOOK: Final = 0.05  # seconds after which changes of other workers are looked for
FLUSH: Final = 1.0  # seconds between two writings of counters

_READS: Final = frozenset({"retrieveEntity", "queryEntity", "queryBatch"})
_DISCOVERY: Final = frozenset(
    {
        *("retrieveEntityTypes", "retrieveEntityTypeDetails", "retrieveEntityTypeInfo"),
        *("retrieveAttrTypes", "retrieveAttrTypeDetails", "retrieveAttrTypeInfo"),
    }
)
_SUBSCRIPTIONS: Final = frozenset({"createSubscription", "updateSubscription", "retrieveSubscription", "querySubscription", "deleteSubscription"})
# Named groups of operations (4.20).
GROUPS: Final[dict[str, frozenset[str]]] = {
    "federationOps": frozenset({*_READS, "retrieveTemporal", "queryTemporal", *_DISCOVERY, *_SUBSCRIPTIONS}),
    "updateOps": frozenset({"updateEntity", "updateAttrs", "replaceEntity", "replaceAttrs"}),
    "retrieveOps": frozenset({"retrieveEntity", "queryEntity"}),
    "redirectionOps": frozenset(
        {
            *("createEntity", "updateEntity", "appendAttrs", "updateAttrs", "deleteAttrs", "deleteEntity", "mergeEntity", "replaceEntity", "replaceAttrs"),
            *("retrieveEntity", "queryEntity", "purgeEntity"),
            *_DISCOVERY,
        }
    ),
}
OPERATIONS: Final = frozenset(
    {
        *(name for group in GROUPS.values() for name in group),
        *("createBatch", "upsertBatch", "updateBatch", "deleteBatch", "mergeBatch", "purgeEntity"),
        *("upsertTemporal", "appendAttrsTemporal", "deleteAttrsTemporal", "updateAttrInstanceTemporal", "deleteAttrInstanceTemporal", "deleteTemporal"),
        *("queryTemporalBatch", "retrieveEntityMap", "updateEntityMap", "deleteEntityMap", "createEntityMap", "purgeEntities"),
    }
)
_AUXILIARY: Final = _READS | {"retrieveOps"}
_TEXTS: Final = ("registrationName", "description", "tenant")
_PLACES: Final = ("location", "observationSpace", "operationSpace")
_INTERVALS: Final = ("observationInterval", "managementInterval")
# Members that only the broker writes.
_TOLD: Final = frozenset({"createdAt", "modifiedAt", "status", "timesSent", "timesFailed", "lastSuccess", "lastFailure"})
# Headers that belong to the connection or to the broker (4.3.6.5): pairs of contextSourceInfo with these names are passed over.
_OWN_HEADERS: Final = frozenset(
    {
        *("connection", "content-length", "content-type", "expect", "host", "keep-alive", "link", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade", "via", "ngsild-tenant"),
    }
)
_PROCESSED: Final = frozenset({"jsonldcontext", "contenttype", "accept"})
FROM_REQUEST: Final = "urn:ngsi-ld:request"


# --------------------------------------------------------------------------------------------------------------------------------- reading


def _texts(value: Any, where: str) -> list[str]:
    """A text or a list of texts, at least one."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(part, str) and part for part in found):
        raise bad_request(f"{where}: expected a list of texts with one or more")
    return found


def _entity_info(raw: Any, terms: Any, where: str) -> Doc:
    """EntityInfo (5.2.8) with full names."""
    if not isinstance(raw, dict):
        raise bad_request(f"{where}: expected an object with type, and id or idPattern")
    found: Doc = {}
    for name, value in raw.items():
        if name == "id":
            if not isinstance(value, str) or not is_uri(value):
                raise bad_request(f"{where}.id: found {str(value)[:100]!r}; expected a URI")
            found["id"] = value
        elif name == "idPattern":
            if not isinstance(value, str) or not value:
                raise bad_request(f"{where}.idPattern: expected a regular expression")
            parse_id_pattern(value, f"{where}.idPattern")
            found["idPattern"] = value
        elif name == "type":
            kinds = _texts(value, f"{where}.type")
            if not all(is_name(kind) for kind in kinds):
                raise bad_request(f"{where}.type: found {str(value)[:100]!r}; expected names of entity types")
            full = [terms.expand_type(kind) for kind in kinds]
            found["type"] = full[0] if isinstance(value, str) else full
        else:
            raise bad_request(f"{where}: found {name[:100]!r}; expected id, idPattern and type")
    if "type" not in found and "id" not in found and "idPattern" not in found:
        raise bad_request(f"{where}: the type is missing")
    if "id" in found and "idPattern" in found:
        del found["idPattern"]  # 5.2.8: id takes precedence
    return found


def _information(raw: Any, terms: Any) -> list[Doc]:
    """RegistrationInfo (5.2.10) with full names."""
    if not isinstance(raw, list) or not raw:
        raise bad_request("information: expected a list with one element or more")
    found = []
    for at, part in enumerate(raw):
        where = f"information[{at}]"
        if not isinstance(part, dict) or not part:
            raise bad_request(f"{where}: expected an object with entities, propertyNames or relationshipNames")
        info: Doc = {}
        for name, value in part.items():
            if name == "entities":
                if not isinstance(value, list) or not value:
                    raise bad_request(f"{where}.entities: expected a list with one element or more")
                info[name] = [_entity_info(each, terms, f"{where}.entities[{place}]") for place, each in enumerate(value)]
            elif name in ("propertyNames", "relationshipNames"):
                names = _texts(value, f"{where}.{name}")
                if not isinstance(value, list) or not all(is_name(each) for each in names):
                    raise bad_request(f"{where}.{name}: expected a list of names of attributes")
                info[name] = [terms.expand(each) for each in names]
            else:
                raise bad_request(f"{where}: found {name[:100]!r}; expected entities, propertyNames and relationshipNames")
        found.append(info)
    return found


def _interval(raw: Any, where: str) -> Doc:
    """TimeInterval (5.2.11)."""
    if not isinstance(raw, dict) or not raw.keys() <= {"startAt", "endAt"} or "startAt" not in raw:
        raise bad_request(f"{where}: expected an object with startAt, and endAt perhaps")
    try:
        moments = [times.parse(raw[name]) for name in ("startAt", "endAt") if name in raw]
    except (ValueError, TypeError) as error:
        raise bad_request(f"{where}: {error}") from None
    if moments != sorted(moments):
        raise bad_request(f"{where}: endAt is before startAt")
    return raw


def _pairs(raw: Any, where: str) -> list[Doc]:
    """A list of KeyValuePair (5.2.22): both texts."""
    if not isinstance(raw, list) or not raw:
        raise bad_request(f'{where}: expected a list of {{"key": …, "value": …}}')
    for pair in raw:
        if not isinstance(pair, dict) or pair.keys() != {"key", "value"} or not isinstance(pair["key"], str) or not isinstance(pair["value"], str):
            raise bad_request(f'{where}: expected {{"key": text, "value": text}}')
        if any(ord(c) < 32 or ord(c) == 127 for c in pair["key"] + pair["value"]):
            raise bad_request(f"{where}: found a control character in {pair['key'][:60]!r}")
    return raw


def _management(raw: Any) -> Doc:
    """RegistrationManagementInfo (5.2.34)."""
    if not isinstance(raw, dict) or not raw.keys() <= {"localOnly", "cacheDuration", "timeout", "cooldown"}:
        raise bad_request("management: expected an object with localOnly, cacheDuration, timeout, cooldown")
    if "localOnly" in raw and not isinstance(raw["localOnly"], bool):
        raise bad_request("management.localOnly: expected true or false")
    if "cacheDuration" in raw:
        _duration(raw["cacheDuration"], "management.cacheDuration")
    for name in ("timeout", "cooldown"):
        value = raw.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise bad_request(f"management.{name}: expected milliseconds above 0")
    return raw


def _duration(raw: Any, where: str) -> str:
    if not isinstance(raw, str):
        raise bad_request(f"{where}: expected a duration such as PT5S")
    try:
        times.duration(raw)
    except ValueError as error:
        raise bad_request(f"{where}: {error}") from None
    return raw


def _operations(raw: Any) -> list[str]:
    found = _texts(raw, "operations") if isinstance(raw, list) else []
    if not found or not all(name in OPERATIONS or name in GROUPS for name in found):
        raise bad_request(f"operations: found {str(raw)[:100]}; expected a list of operations such as retrieveEntity, or of groups such as federationOps")
    return found


def is_null(value: Any) -> bool:
    """Whether a fragment wants a member removed."""
    return value is None or value == NULL


def parse(raw: Mapping[str, Any], terms: Any, *, partial: bool = False, guard: Any = None) -> Doc:
    """A registration, or a fragment of one, with full names; members that a fragment wants removed are None.

    raw      parsed JSON without @context
    partial  a fragment for an update: nothing is mandatory
    guard    says which endpoints may be reached (`guard.Guard`), None: any

    Raises Problem BadRequestData for what is no registration.

    >>> class Plain:
    ...     expand = expand_type = staticmethod(lambda name: "ex:" + name)
    >>> doc = parse({"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "Well"}]}], "endpoint": "http://a.example"}, Plain())
    >>> doc["information"]
    [{'entities': [{'type': 'ex:Well'}]}]
    """
    doc: Doc = {}
    for name, value in raw.items():
        if name in _TOLD or name == "id":
            continue
        if name == "type":
            if value != "ContextSourceRegistration":
                raise bad_request(f"type: found {str(value)[:80]!r}; expected 'ContextSourceRegistration'")
            doc[name] = value
        elif partial and is_null(value):
            if name in ("information", "endpoint"):
                raise bad_request(f"{name}: cannot be removed")
            doc[name if name in _MEMBERS else _own_name(name, terms)] = None
        elif name in _MEMBERS:
            doc[name] = _member(name, value, terms, guard)
        else:
            if value is None:
                raise bad_request(f"{name}: found null")
            doc[_own_name(name, terms)] = value
    if not partial:
        for name in ("type", "information", "endpoint"):
            if name not in doc:
                raise bad_request(f"{name}: missing; a registration has type, information and endpoint")
        check(doc)
    return doc


def _own_name(name: str, terms: Any) -> str:
    """The full name of a Context Source Property."""
    if not is_name(name):
        raise bad_request(f"found {name[:100]!r}; expected a member of a registration or the name of a property")
    return str(terms.expand(name))


_MEMBERS: Final = frozenset(
    {
        *(
            "type",
            "information",
            "endpoint",
            "mode",
            "operations",
            "expiresAt",
            "contextSourceInfo",
            "scope",
            "refreshRate",
            "management",
            "datasetId",
            "localOnly",
        ),
        *_TEXTS,
        *_PLACES,
        *_INTERVALS,
    }
)


def _member(name: str, value: Any, terms: Any, guard: Any) -> Any:
    """One member, checked."""
    match name:
        case "information":
            return _information(value, terms)
        case "endpoint":
            if not isinstance(value, str) or not is_uri(value):
                raise bad_request(f"endpoint: found {str(value)[:100]!r}; expected a URI")
            if guard is not None:
                try:
                    guard.check_url(value, ("http", "https"))
                except KibanError as error:
                    raise bad_request(f"endpoint: {error}") from None
        case "mode":
            if value not in MODES:
                raise bad_request(f"mode: found {str(value)[:80]!r}; expected one of {', '.join(MODES)}")
        case "operations":
            return _operations(value)
        case "expiresAt":
            try:
                moment = times.parse(value)
            except (ValueError, TypeError) as error:
                raise bad_request(f"expiresAt: {error}") from None
            if moment <= times.now_us():
                raise bad_request(f"expiresAt: found {value!r}, which is in the past")
        case "contextSourceInfo":
            return _pairs(value, name)
        case "localOnly":
            if not isinstance(value, bool):
                raise bad_request("localOnly: expected true or false")
        case "management":
            return _management(value)
        case "refreshRate":
            return _duration(value, name)
        case "observationInterval" | "managementInterval":
            return _interval(value, name)
        case "scope":
            if not all(is_scope(each) for each in _texts(value, name)):
                raise bad_request(f"scope: found {str(value)[:100]!r}; expected a scope such as /area/part")
        case "datasetId":
            if not all(each == "@none" or is_uri(each) for each in _texts(value, name)):
                raise bad_request("datasetId: expected a list of URIs")
        case "location" | "observationSpace" | "operationSpace":
            if fault := geometry_fault(value):
                raise bad_request(f"{name}: {fault}")
        case _:
            if not isinstance(value, str) or not value:
                raise bad_request(f"{name}: expected a text")
    return value


def check(doc: Doc) -> None:
    """What members of a registration need of each other (4.3.6.2, 4.3.6.3). Raises Problem BadRequestData."""
    mode = doc.get("mode", "inclusive")
    if mode == "auxiliary" and not _AUXILIARY.issuperset(doc.get("operations", ())):
        raise bad_request("operations: an auxiliary source answers retrieveEntity, queryEntity and the like only")
    if mode != "exclusive":
        return
    for info in doc["information"]:
        if not info.get("propertyNames") and not info.get("relationshipNames"):
            raise bad_request("information: an exclusive registration names the attributes that it is about")
        entities: list[Doc] = info.get("entities") or [{}]
        for part in entities:
            if "id" not in part:
                raise bad_request("information: an exclusive registration names the entity that it is about by its id")


def merged(old: Doc, fragment: Doc) -> Doc:
    """A registration after an update; what the fragment has as None is gone. Raises Problem BadRequestData if the result is no registration."""
    doc = {name: value for name, value in {**old, **fragment}.items() if value is not None}
    check(doc)
    return doc


def render(doc: Doc, id: str, terms: Any, *, state: Mapping[str, Any] | None = None, sys: tuple[int, int] | None = None, infos: Iterable[int] = ()) -> Doc:
    """A registration as it is answered.

    state  counters, shown once the source was contacted; sys: when it was made and changed, to be shown
    infos  places of the elements of information to show; none: all
    """
    names = terms.terms
    shown: Doc = {"id": id, "type": doc["type"]}
    chosen = set(infos)
    for name, value in doc.items():
        if name == "information":
            shown[name] = [_render_info(info, names) for at, info in enumerate(value) if not chosen or at in chosen]
        elif name in _MEMBERS:
            shown[name] = value
        else:
            shown[names[name]] = value
    if state:
        shown["status"] = "ok" if state.get("ok", True) else "failed"
        shown |= {name: state[name] for name in ("timesSent", "timesFailed", "lastSuccess", "lastFailure") if name in state}
    if sys is not None:
        shown["createdAt"], shown["modifiedAt"] = times.text(sys[0]), times.text(sys[1])
    return shown


def _render_info(info: Doc, names: Mapping[str, str]) -> Doc:
    shown: Doc = {}
    for name, value in info.items():
        if name == "entities":
            shown[name] = [
                {key: ([names[kind] for kind in part] if isinstance(part, list) else names[part]) if key == "type" else part for key, part in each.items()}
                for each in value
            ]
        else:
            shown[name] = [names[each] for each in value]
    return shown


# --------------------------------------------------------------------------------------------------------------------------------- matching


class Every:
    """Every attribute.

    >>> "https://e.jp/level" in EVERY
    True
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


EVERY: Final = Every()
Share = frozenset[str] | Every


def both(one: Share, other: Share) -> Share:
    """The attributes that are in both.

    >>> sorted(both(EVERY, frozenset({"ex:a"})))
    ['ex:a']
    """
    if isinstance(one, Every):
        return other
    return one if isinstance(other, Every) else one & other


def either(one: Share, other: Share) -> Share:
    """The attributes that are in one of them."""
    return EVERY if isinstance(one, Every) or isinstance(other, Every) else one | other


class Kind(NamedTuple):
    """EntityInfo: which entities. No types: any; neither id nor pattern: any id."""

    types: frozenset[str]
    id: str | None
    pattern: Any
    regex: str | None

    def takes(self, id: str | None, types: Collection[str] | None) -> bool:
        """Whether an entity is one of these. None: not known, which may be anything."""
        if id is not None:
            if self.id is not None:
                if self.id != id:
                    return False
            elif self.pattern is not None and not self.pattern.search(id):
                return False
        return types is None or not self.types or not self.types.isdisjoint(types)

    def meets(self, who: Who) -> bool:
        """Whether a selector may select one of these entities (5.12)."""
        kinds = who.types
        if kinds is not None and kinds.alternatives and self.types and self.types.isdisjoint(kinds.names):
            return False
        if who.ids:
            return any(self.takes(id, None) for id in who.ids)
        # Two patterns may have an id in common: that is taken for granted.
        return who.pattern is None or self.id is None or bool(who.pattern.search(self.id))

    def who(self) -> Who:
        """The local entities that these are."""
        types = TypeQ(",".join(sorted(self.types)), tuple((kind,) for kind in sorted(self.types))) if self.types else None
        return Who(types, (self.id,) if self.id is not None else (), self.pattern)


class Info(NamedTuple):
    """RegistrationInfo: which entities (none named: any), which attributes."""

    kinds: tuple[Kind, ...]
    attrs: Share

    def takes(self, id: str | None, types: Collection[str] | None) -> bool:
        """Whether an entity is one of these."""
        return not self.kinds or any(kind.takes(id, types) for kind in self.kinds)

    def meets(self, who: Who) -> bool:
        """Whether a selector may select one of these entities."""
        return not self.kinds or any(kind.meets(who) for kind in self.kinds)


def _info(doc: Doc) -> Info:
    kinds = []
    for part in doc.get("entities", ()):
        types = part.get("type", [])
        regex = part.get("idPattern")
        kinds.append(Kind(frozenset([types] if isinstance(types, str) else types), part.get("id"), parse_id_pattern(regex) if regex else None, regex))
    names = [*doc.get("propertyNames", ()), *doc.get("relationshipNames", ())]
    return Info(tuple(kinds), frozenset(names) if names else EVERY)


class Source:
    """One registration, compiled.

    mode, operations, infos  what it is registered for; operations as single names
    url        where its API begins, without slash; tenant: the tenant there
    headers    pairs that go with each request; FROM_REQUEST as value: that of the triggering request
    context    URL of the @context that the source wants, "" for that of the request; content, accept: the media types that it wants
    timeout, cooldown  seconds; 0: the broker's own
    told       requests sent, failed, since the counters were written; state: last success and failure
    """

    __slots__ = (
        "accept", "content", "context", "cooldown", "doc", "expires", "headers", "id", "infos", "local", "mode", "ok", "operations", "properties", "resting",
        "tenant", "timeout", "told", "touched", "url",
    )  # fmt: skip

    def __init__(self, id: str, doc: Doc, core: Any) -> None:
        self.id, self.doc = id, doc
        self.mode = doc.get("mode", "inclusive")
        named = doc.get("operations") or ("federationOps",)
        self.operations = frozenset(single for name in named for single in GROUPS.get(name, (name,)))
        self.infos = tuple(_info(part) for part in doc["information"])
        self.url = doc["endpoint"].rstrip("/").removesuffix("/ngsi-ld/v1")
        self.tenant = doc.get("tenant", "")
        self.expires = times.parse(doc["expiresAt"]) if "expiresAt" in doc else None
        pairs = [(pair["key"], pair["value"]) for pair in doc.get("contextSourceInfo", ())]
        processed = {key.lower(): value for key, value in pairs if key.lower() in _PROCESSED}
        self.context = processed.get("jsonldcontext", "")
        self.content = processed.get("contenttype", "").encode()
        self.accept = processed.get("accept", "").encode()
        self.headers = [(key, value) for key, value in pairs if key.lower() not in _OWN_HEADERS and key.lower() not in _PROCESSED]
        management = doc.get("management", {})
        self.timeout, self.cooldown = management.get("timeout", 0) / 1000, management.get("cooldown", 0) / 1000
        self.local = bool(management.get("localOnly", doc.get("localOnly")))
        self.properties = record(doc, core)
        self.resting = 0.0  # monotonic seconds until which nothing is sent
        self.told: Counter[str] = Counter()
        self.touched: dict[str, str] = {}
        self.ok = True

    def alive(self, now: int) -> bool:
        """Whether it has not expired; now in µs."""
        return self.expires is None or self.expires > now

    def share(self, id: str | None, types: Collection[str] | None) -> Share | None:
        """The attributes that it is registered for of an entity; None if it is not concerned. types None: not known."""
        found: Share | None = None
        for info in self.infos:
            if info.takes(id, types):
                found = info.attrs if found is None else either(found, info.attrs)
        return found

    def latest(self) -> bool:
        """Whether it has current information rather than that of an interval of time."""
        return "observationInterval" not in self.doc and "managementInterval" not in self.doc


def record(doc: Doc, core: Any) -> dict[str, Any]:
    """What a registration says of its source as an entity, for q, csf, scopeQ and geo-queries."""
    plain: Doc = {}
    found: Doc = {"type": [], "scope": [doc["scope"]] if isinstance(doc.get("scope"), str) else doc.get("scope", [])}
    for name, value in doc.items():
        if name in _PLACES or (isinstance(value, dict) and value.get("type") == "GeoProperty"):
            geometry = value if name in _PLACES else value.get("value")
            found[core.expand(name) if name in _MEMBERS else name] = [{"type": "GeoProperty", "value": geometry}]
        elif name not in ("information", "scope"):
            inner = value.get("value", value) if isinstance(value, dict) and value.get("type") == "Property" else value
            plain[core.expand(name) if name in _MEMBERS else name] = inner
    return found | plain_record(plain)


class Asked(NamedTuple):
    """What registrations are looked for: by discovery and by subscriptions to registrations."""

    who: tuple[Who, ...] = ()
    attrs: Share = EVERY
    q: Q | None = None
    csf: Q | None = None
    scope: ScopeQ | None = None
    geo: GeoQ | None = None
    temporal: TemporalQ | None = None

    def matches(self, source: Source) -> list[int]:
        """The elements of a registration's information that match; none if it does not match as a whole."""
        for part in (self.q, self.csf, self.scope, self.geo):
            if part is not None and not part.matches(source.properties):
                return []
        if not (source.latest() if self.temporal is None else overlaps(source.doc, self.temporal)):
            return []
        return [at for at, info in enumerate(source.infos) if (not self.who or any(info.meets(who) for who in self.who)) and both(info.attrs, self.attrs)]


def overlaps(doc: Doc, wanted: TemporalQ) -> bool:
    """Whether the interval of a registration and a window of time have something in common."""
    interval = doc.get("observationInterval" if wanted.property == "observedAt" else "managementInterval")
    if interval is None:
        return False
    start, end = times.parse(interval["startAt"]), times.parse(interval["endAt"]) if "endAt" in interval else None
    return (wanted.high is None or start < wanted.high) and (wanted.low is None or end is None or end >= wanted.low)


# --------------------------------------------------------------------------------------------------------------------------------- keeping


def check_conflicts(tx: Any, tenant: int, id: str, doc: Doc, core: Any) -> None:
    """A source that has something for itself must not be registered over what is there (4.3.6.3, 5.9.2.4). Raises Problem Conflict."""
    source = Source(id, doc, core)
    if source.mode not in ("exclusive", "redirect"):
        return
    for _, other_id, other_doc, *_ in tx.things(tenant, KIND):
        if other_id == id or other_doc.get("mode") != "exclusive":
            continue
        for info in Source(other_id, other_doc, core).infos:
            for kind in info.kinds:
                share = source.share(kind.id, kind.types or None)
                if share is not None and both(share, info.attrs):
                    raise conflict(f"{other_id} is registered for attributes of {kind.id} exclusively")
    for info in source.infos:
        attrs = tuple(sorted(info.attrs)) if not isinstance(info.attrs, Every) else ()
        if tx.find(tenant, Selection(tuple(kind.who() for kind in info.kinds), attrs), 1):
            raise conflict("an entity that this registration is about is kept here")


class Sources:
    """The registrations of all tenants in memory."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.by_tenant: dict[str, list[Source]] = {}
        self.keys: dict[str, int] = {}
        self.number = -1
        # Other processes write registrations too; with one process and its own file nobody does.
        self.shared = broker.options.workers > 1 or broker.options.db.startswith("postgres")
        self.next = 0.0

    def of(self, tenant: str) -> list[Source]:
        """The registrations of a tenant, in the order of their creation."""
        if self.shared and time.monotonic() >= self.next:
            self.look()
        return self.by_tenant.get(tenant, [])

    def look(self) -> None:
        """Read them again if one has changed."""
        reader = self.broker.store.reader
        number = reader.changes(KIND)
        self.next = time.monotonic() + LOOK
        if number == self.number:
            return
        self.number = number
        names = dict(reader.tenants())
        before = {(tenant, source.id): source for tenant, found in self.by_tenant.items() for source in found}
        found: dict[str, list[Source]] = {}
        for tenant, id, doc, *_ in reader.things(None, KIND):
            old = before.get((names[tenant], id))
            found.setdefault(names[tenant], []).append(old if old is not None and old.doc == doc else Source(id, doc, self.broker.contexts.core))
        self.by_tenant, self.keys = found, {name: key for key, name in names.items()}

    async def changed(self) -> None:
        """After a registration was written: it counts here at once, and in all workers when this returns."""
        self.look()
        if self.shared:
            await asyncio.sleep(2 * LOOK)

    async def flushing(self) -> None:
        """Write the counters of the sources that were contacted, every second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH)
            await self.flush()

    async def flush(self) -> None:
        """Write the counters of the sources that were contacted."""
        told = [(self.keys[tenant], source) for tenant, found in self.by_tenant.items() for source in found if source.told]
        if not told:
            return
        rows = [(tenant, source.id, dict(source.told), dict(source.touched), source.ok) for tenant, source in told]
        for _, source in told:
            source.told.clear()
            source.touched.clear()

        def op(tx: Any) -> None:
            for tenant, id, counts, touched, ok in rows:
                found = tx.thing(tenant, KIND, id)
                if found is not None:
                    state = found[1]
                    state |= {name: state.get(name, 0) + counts.get(name, 0) for name in ("timesSent", "timesFailed")}
                    tx.set_state(tenant, KIND, id, state | touched | {"ok": ok})

        try:
            await self.broker.store.write(op)
        except Problem:
            # The counters wait for a store that takes them.
            for (_, source), (_, _, counts, touched, _) in zip(told, rows, strict=True):
                source.told.update(counts)
                source.touched = touched | source.touched
