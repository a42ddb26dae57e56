"""Hostile requests to a broker: bodies, headers, query strings, geometries, Unicode, broken HTTP; each made from its number alone.

    python tests/linkage/fuzz.py --cases 100000            a broker of its own, in a process of its own
    python tests/linkage/fuzz.py --first 4711 --cases 1    one case again

What must hold: no status of 5xx but those that say what is wrong with the outside (501, 504, 508), an answer within the time limit that is what its
head says, memory that does not grow once everything was seen, a broker that is ready afterwards. What does not is told with its number and a curl
command.
"""

# ruff: noqa: E501 - tables of hostile values
from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

LD = "/ngsi-ld/v1"
OUTSIDE = (501, 504, 508)
LIMIT = 8.0  # seconds for one answer; a query may take 2
WINDOW = 10_000  # cases between two looks at the memory
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"

HOSTILE: tuple[Any, ...] = (
    "", " ", "\x00", "a\x00b", "\u202eurn:abc", "urn:ngsi-ld:\u0410:1", "＜script＞", "<script>alert(1)</script>", "'; DROP TABLE entity; --", "\"", "\\", "%", "%%s",
    "../../etc/passwd", "urn:" + "x" * 5000, "é" * 300, "\U0001f6b0", "\ufeffx", "\ud800", "\udfff\ud800", "null", "urn:ngsi-ld:null", "@none", "@vocab", "@id", "@type",
    "__proto__", "constructor", "$gt", "id", "type", "scope", "value", "http://", "https://[::1", "http://a b/", "urn:a:b", "a:b:c", ":", "::", "//", "a/b", "a?b#c", "{}",
    "${jndi:ldap://x}", "NaN", "1e999", "2026-13-45T99:99:99Z", "2026-11-27T20:10:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "P1Y", "PT0S", "-PT1S",
    0, -0.0, -1, 1e308, 5e-324, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**400, True, False, None, [], {}, [[]], [None], {"": ""}, {"@value": 1}, {"@id": "x"},
    {"type": "Property"}, {"value": None}, {"type": []}, [[[[[[[[[[]]]]]]]]]], {"a": {"b": {"c": {"d": {}}}}},
)  # fmt: skip
IDS = [f"urn:ngsi-ld:Gauge:{number}" for number in range(12)]
TYPES = ["Gauge", "Shelter", "https://town.example/terms#Bus"]
ATTRS = ["level", "name", "location", "owner", "https://town.example/terms#speed", "text", "kind", "doc", "list", "links"]
RELATIONS = ["near;maxDistance==1000", "near;minDistance==5", "within", "contains", "intersects", "equals", "disjoint", "overlaps", "near", "near;maxDistance==-1",
             "near;maxDistance==nan", "near;maxDistance==" + "9" * 400, "near;maxDistance==" + "[" * 5000, "near;maxDistance==1e400", "within;x", "between", "near;maxDistance==1;minDistance==2", "coveredBy"]  # fmt: skip
GEOMETRIES: tuple[Any, ...] = (
    {"type": "Point", "coordinates": [137.0, 37.4]},
    {"type": "Point", "coordinates": [180.0, -90.0]},
    {"type": "Point", "coordinates": [1e308, -1e308]},
    {"type": "Point", "coordinates": [137.0]},
    {"type": "Point", "coordinates": []},
    {"type": "Point", "coordinates": ["137", None]},
    {"type": "MultiPoint", "coordinates": [[137.0, 37.4], [137.1, 37.5, 12]]},
    {"type": "LineString", "coordinates": [[137.0, 37.4], [137.0, 37.4]]},
    {"type": "LineString", "coordinates": [[137.0, 37.4]]},
    {"type": "Polygon", "coordinates": [[[137.0, 37.0], [137.2, 37.0], [137.2, 37.5], [137.0, 37.0]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    {"type": "Polygon", "coordinates": [[]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0], [0, 0]]]},
    {"type": "Polygon", "coordinates": [[[170, 10], [-170, 10], [-170, -10], [170, -10], [170, 10]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]},
    {"type": "Circle", "coordinates": [1, 2]},
    {"type": "Point", "coordinates": [[[[1]]]]},
    {"coordinates": [1, 2]},
    {"type": "Point"},
)
QUERIES = (
    "level==1", "level>1;name==\"a\"", "level==1..5", "(level>1|level<0);kind==\"x\"", "name~=^a.*", "name~=(a+)+$", "name!~=[", "level", "!level", "owner.name==\"x\"",
    "owner{Gauge}.level>3", "doc[a.b]==1", "doc[a][b]==1", "level.observedAt>2026-01-01T00:00:00Z", "level==1,2,3", "level==", "==1", "level==\"", "((((level))))", "level;;name",
    "level==1e999", "level==99999999999999999999999999", "level==true", "level==%22", "a" * 3000, ";".join(["level>1"] * 200), "(" * 200 + "level" + ")" * 200,
    "name==\"\u0000\"", "name==\"\U0001f6b0\"", "modifiedAt>2026-01-01T00:00:00Z", "level>=2026-11-27", "level==10:20:30Z", "name==~x", "level<null", "name!=urn:a", "text.ja==\"x\"",
)  # fmt: skip
PARAMS: dict[str, tuple[str, ...]] = {
    "q": QUERIES, "mq": QUERIES, "csf": QUERIES,
    "scopeQ": ("/a", "/a/+", "/a/#", "/#", "#", "+", "/a;/b", "/a|/b", "(/a;/b),/c", "a", "//", "/" + "a" * 3000, "/a/" * 200),
    "georel": tuple(RELATIONS),
    "geometry": ("Point", "Polygon", "LineString", "MultiPolygon", "point", "polygon", "box", "line", "Circle", ""),
    "coordinates": ("[137.0,37.4]", "[[[0,0],[1,0],[1,1],[0,0]]]", "[1e999,2]", "[NaN,1]", "[]", "[[]]", "137,37", "{}", "[[[[[[1]]]]]]", "[1,2,3,4]", "[\"a\",1]", "[" * 500, "[" * 9000),
    "coords": ("37.4,137.0", "37,137;38,138", "0,0;1,1;0,1;1,0;0,0", "91,181", "nan,nan", "", ";;", "1e999,0", "a,b"),
    "geoproperty": ("location", "level", "operationSpace", "nothing", ""),
    "geometryProperty": ("location", "level", "nothing", ""),
    "limit": ("0", "1", "20", "1000", "1001", "-1", "a", "1.5", "99999999999999999999", "", "１"),
    "offset": ("0", "1", "-1", "9223372036854775808", "a", "99999999999999999999"),
    "count": ("true", "false", "1", ""),
    "lastN": ("1", "0", "-1", "999999999999999999999", "x"),
    "options": ("keyValues", "sysAttrs", "normalized", "concise", "simplified", "noOverwrite", "update", "replace", "upsert", "append", "count", "values", "unique",
                "temporalValues", "aggregatedValues", "keyValues,sysAttrs", "x", ",", "", "dateCreated,dateModified", "skipForwarding", "overrideMetadata"),
    "format": ("normalized", "concise", "simplified", "keyValues", "temporalValues", "aggregatedValues", "geojson", "x"),
    "type": (*TYPES, "Gauge,Shelter", "Gauge;Shelter", "(Gauge|Shelter)", "((", "*", ""),
    "id": (*IDS, "a,b,c", ",", ",".join(IDS * 40)), "idPattern": (".*", "urn:.*", "(", "(a+)+$", "[", "a{99999}", "\\", "(?<x>a)", "(?i)a", "^$"), "typePattern": (".*", "(", "G.*"),
    "attrs": (*ATTRS, ",".join(ATTRS), ",", "", "a" * 3000, "dateCreated", "*"), "pick": ("id,level", "id", "type,scope", "level{name}", ",", "owner{level,name{x}}", "{", "a{" * 100),
    "omit": ("id", "level", "type", "owner{name}", "}", ","), "metadata": ("accuracy", "*", "dateCreated", ","),
    "orderBy": ("level", "-level", "!name", "level;desc", "level;dist-asc", "id", "modifiedAt;asc", "!level,name", "owner.level", ";", "geo:distance", "entityId", "doc[a]"),
    "orderFrom": ("Point", "[1,2]", "x"), "orderGeometry": ("Point", "Polygon", "x"), "collation": ("ja", "en", "xx-invalid", ""),
    "join": ("inline", "flat", "@none", "x"), "joinLevel": ("1", "0", "-1", "99999999999", "a", "30"), "containedBy": ("urn:a", "urn:a,urn:b", ","),
    "timerel": ("before", "after", "between", "x"), "timeAt": ("2026-01-01T00:00:00Z", "x", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", ""),
    "endTimeAt": ("2027-01-01T00:00:00Z", "x", "2020-01-01T00:00:00Z"), "timeproperty": ("observedAt", "modifiedAt", "createdAt", "deletedAt", "x"),
    "aggrMethods": ("avg", "max,min", "sumsq,stddev,distinctCount,totalCount,sum", "x", ","), "aggrPeriodDuration": ("PT1H", "P1D", "PT0S", "P1000000Y", "-PT1S", "x", "P1M", "PT0.000001S"),
    "lang": ("ja", "en", "*", "ja,en;q=0.5", "x" * 500), "datasetId": ("@none", "urn:d:1", "urn:d:1,@none", "x y"), "local": ("true", "false", "x"),
    "via": ("kiban", ""), "details": ("true", "false", "x"), "kind": ("Hosted", "Cached", "ImplicitlyCreated", "x"), "reload": ("true", "x"), "deleteAll": ("true", "false", "x"),
    "sysAttrs": ("true", "false", "x"), "observedAt": ("2026-11-27T20:10:00Z", "x"), "entityMap": ("true", "false", "urn:x"), "drop": ("level", ","), "keep": ("level", ","),
    "splitEntities": ("true", "x"), "jsonKeys": ("doc", ","), "expandValues": ("kind", ","), "noOverwrite": ("true",),
}  # fmt: skip
MEDIA = ("application/json", "application/ld+json", "application/merge-patch+json", "text/plain", "application/geo+json", "APPLICATION/JSON; charset=utf-8", "application/json;charset=utf-16",
         "", "*/*", "multipart/form-data", "application/json, application/ld+json")  # fmt: skip
ACCEPT = ("application/json", "application/ld+json", "application/geo+json", "*/*", "text/html", "application/*;q=0.1, application/ld+json;q=0.9", "application/json;q=0", ";;;", ",", "q=x",
          "application/json;q=1e999", "text/plain", "image/*")  # fmt: skip
LINKS = (f'<{CORE}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"', "<http://10.0.0.1/c>; rel=\"http://www.w3.org/ns/json-ld#context\"", "<>; rel=\"http://www.w3.org/ns/json-ld#context\"",
         "<file:///etc/passwd>; rel=\"http://www.w3.org/ns/json-ld#context\"", "<", "<a>;<b>;<c>", "<" * 2000, f"<{CORE}>", f"<{CORE}>; rel=next")  # fmt: skip
TENANTS = ("t1", "t2", "", "nothing_here", "T" * 300, "a/b", "../x", "ü", "a b", "t1,t2", "%00")
PATHS = ("/", "/a", "/a/b", "/#", "/*", "a", "//", "/a,/b", ",".join(["/a"] * 20), "/" + "x" * 300, "/a b", "/ü")


class Case(NamedTuple):
    """One request; raw is what goes over the wire instead of it, where that is no HTTP."""

    number: int
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    raw: bytes = b""

    def wire(self) -> bytes:
        """The bytes of the request."""
        if self.raw:
            return self.raw
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in self.headers)]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body

    def curl(self, base: str = "http://127.0.0.1:1026") -> str:
        """The same by curl, for the one who looks for the fault."""
        if self.raw:
            return f"printf '%s' {self.raw[:400]!r} | nc -N 127.0.0.1 1026"
        parts = ["curl", "-isS", "-X", self.method, base + self.target]
        for name, value in self.headers:
            parts += ["-H", f"{name}: {value}"]
        command = shlex.join(parts)
        if not self.body:
            return command
        shown = "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'%" else f"\\x{byte:02x}" for byte in self.body[:20_000])
        return f"printf '{shown}' | {command} --data-binary @-"


class Maker:
    """Makes cases: the same number, the same case. endpoint: where notifications may go."""

    def __init__(self, routes: list[tuple[str, str, frozenset[str] | None]], endpoint: str) -> None:
        self.routes, self.endpoint = routes, endpoint
        self.wild = 1.0  # of the case that is being made: 0 for one that nothing is wrong with

    def case(self, number: int, *, wire: bool = True) -> Case:
        """Case `number`; wire: broken HTTP as well."""
        dice = random.Random(number)
        if wire and dice.random() < 0.02:
            return Case(number, raw=broken(dice))
        method, path, known = dice.choice(self.routes)
        if method == "DELETE" and dice.random() < 0.7:
            method, path, known = dice.choice(self.routes)
        self.wild = dice.choice((0.0, 0.0, 0.0, 0.1, 0.5, 1.0))
        target = "/".join(self.segment(part, path, dice) if part.startswith("{") else part for part in path.split("/"))
        if dice.random() < 0.02 * self.wild:
            target = path[: dice.randrange(1, len(path) + 1)] + quote(hostile_text(dice)[:2000], safe="", errors="replace")
        query = self.query(path, known, dice)
        target += f"?{query}" if query else ""
        if dice.random() < 0.04 * self.wild:
            method = dice.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND"))
        body = self.body(method, path, dice) if method in ("POST", "PUT", "PATCH") or dice.random() < 0.02 else b""
        return Case(number, method, target, self.headers(path, body, dice), body)

    def segment(self, name: str, path: str, dice: random.Random) -> str:
        pool: list[str] = TYPES if "type" in name else ATTRS if "attr" in name else IDS
        if "/v2" in path:
            pool = ["level", "name"] if "attr" in name else ["Room", "Gauge"] if "type" in name else [f"Room{number}" for number in range(8)]
        elif "ubscriptions" in path:
            pool = [f"urn:s:{number}" for number in range(6)]
        elif "egistrations" in path:
            pool = [f"urn:r:{number}" for number in range(8)]
        value = dice.choice(pool) if dice.random() >= 0.3 * self.wild else hostile_text(dice)[:3000]
        return quote(value, safe="" if dice.random() < 0.9 else ":/", errors="replace")

    def value(self, name: str, dice: random.Random) -> str:
        """A value of a parameter; the first ones of a list are the good ones."""
        if dice.random() < 0.2 * self.wild:
            return hostile_text(dice)[:3000]
        values = PARAMS.get(name, ("x",))
        return values[int(len(values) * dice.random() * (1.0 if self.wild >= 0.5 else 0.35))]

    def query(self, path: str, known: frozenset[str] | None, dice: random.Random) -> str:
        names = sorted(known) if known is not None else sorted(PARAMS) if "/v2" in path else []
        if not names or dice.random() < 0.3:
            return "" if dice.random() >= 0.06 * self.wild else "&&=&%zz&" + quote(hostile_text(dice)[:1000], errors="replace")
        chosen = dice.sample(names, min(len(names), dice.choice((1, 1, 2, 3, 5))))
        if "georel" in names and dice.random() < 0.15:
            chosen = list({*chosen, "georel", "geometry", "coords" if "/v2" in path else "coordinates"})
        if "timerel" in names and dice.random() < 0.5:
            chosen = list({*chosen, "timerel", "timeAt"})
        if path == f"{LD}/entities" and dice.random() < 0.7:
            chosen = list({*chosen, "type"})
        pairs = []
        for name in chosen:
            value = self.value(name, dice)
            if dice.random() < 0.06 * self.wild and value:
                cut = dice.randrange(len(value))
                value = value[:cut] + dice.choice(("\x00", '"', ";", "(", "é", "", "|", "==")) + value[cut + 1 :]
            pairs.append(f"{name}={quote(value, safe='' if dice.random() < 0.8 else ',;=()|', errors='replace')}")
        return "&".join(pairs)

    def headers(self, path: str, body: bytes, dice: random.Random) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        if body:
            linked = b'"@context"' in body
            found.append(
                ("Content-Type", ("application/ld+json" if linked else "application/json") if dice.random() >= 0.1 * self.wild else dice.choice(MEDIA))
            )
        if dice.random() < 0.3:
            found.append(("Accept", dice.choice(ACCEPT if self.wild >= 0.5 else ACCEPT[:2])))
        if dice.random() < 0.15 * (self.wild or 0.3) and b'"@context"' not in body:
            found.append(("Link", dice.choice(LINKS if self.wild else LINKS[:1])))
        if "/v2" in path:
            if dice.random() < 0.2:
                found.append(("Fiware-Service", dice.choice(TENANTS if self.wild else TENANTS[:1])))
            if dice.random() < 0.3:
                found.append(("Fiware-ServicePath", dice.choice(PATHS if self.wild else PATHS[:2])))
        elif dice.random() < 0.15:
            found.append(("NGSILD-Tenant", dice.choice(TENANTS if self.wild else TENANTS[:1])))
        if dice.random() < 0.1 * self.wild:
            name = dice.choice(
                (
                    "Via",
                    "Authorization",
                    "X-Auth-Token",
                    "traceparent",
                    "Origin",
                    "Prefer",
                    "If-Match",
                    "Accept-Language",
                    "Range",
                    "Expect",
                    "Cookie",
                    "Fiware-Correlator",
                )
            )
            found.append((name, printable(hostile_text(dice))[:500]))
        return tuple((name, printable(value)) for name, value in found)

    # --- bodies
    def body(self, method: str, path: str, dice: random.Random) -> bytes:
        value = self.valid(method, path, dice)
        for _ in range(dice.choice((0, 1, 1, 2, 4)) if dice.random() < self.wild else 0):
            value = mutated(value, dice)
        if dice.random() < 0.1 and isinstance(value, dict) and "/v2" not in path:
            value = {
                **value,
                "@context": CORE
                if not self.wild
                else dice.choice(
                    (CORE, [CORE], {"level": "https://town.example/l"}, [CORE, {"a": "b:c", "b": "http://b/"}], *HOSTILE[-20:], "http://10.0.0.1/c")
                ),
            }
        text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
        raw = text.encode("utf-8", "surrogatepass" if dice.random() < 0.3 else "replace")
        if dice.random() < 0.1 * self.wild:
            raw = torn(raw, dice)
        return raw

    def valid(self, method: str, path: str, dice: random.Random) -> Any:
        if "/v2" in path:
            return self.valid_v2(method, path, dice)
        if "jsonldContexts" in path:
            return {"@context": dice.choice(({"level": "https://town.example/l"}, [CORE], CORE, {"a": {"@id": "https://x/a", "@type": "@vocab"}}))}
        if path.endswith("ubscriptions") or "ubscriptions/{" in path:
            return self.subscription(dice)
        if "csourceRegistrations" in path:
            return {
                "id": f"urn:r:{dice.randrange(8)}", "type": "ContextSourceRegistration", "information": [{"entities": [{"type": dice.choice(TYPES)}]}],
                "endpoint": self.endpoint, "mode": dice.choice(("inclusive", "exclusive", "redirect", "auxiliary")),
            }  # fmt: skip
        if path.endswith("query"):
            return self.ld_query(dice)
        if "entityOperations" in path:
            if path.endswith("delete"):
                return [dice.choice(IDS) for _ in range(dice.randrange(4))]
            return [entity(dice) for _ in range(dice.randrange(5))]
        if "temporal" in path:
            found = {} if path.endswith("attrs") or "{instance}" in path else {"id": dice.choice(IDS), "type": dice.choice(TYPES)}
            return {**found, **{name: [instance(dice), instance(dice)] for name in dice.sample(ATTRS, 2)}}
        if path.endswith("{attr}"):
            return instance(dice)
        if path.endswith("attrs") or (method == "PATCH" and path.endswith("{id}")):
            return {name: instance(dice) for name in dice.sample(ATTRS, dice.randrange(1, 4))}
        return entity(dice)

    def subscription(self, dice: random.Random) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": f"urn:s:{dice.randrange(6)}", "type": "Subscription", "entities": [{"type": dice.choice(TYPES)}],
            "notification": {"endpoint": {"uri": f"{self.endpoint}/{dice.randrange(4)}", "accept": dice.choice(ACCEPT[:3])}, "format": dice.choice(PARAMS["format"])},
        }  # fmt: skip
        more = {
            "q": dice.choice(QUERIES), "watchedAttributes": [dice.choice(ATTRS)], "scopeQ": dice.choice(PARAMS["scopeQ"]), "throttling": dice.choice((1, 0, -1, 1e10)),
            "geoQ": {"georel": dice.choice(RELATIONS), "geometry": "Point", "coordinates": [1, 2]}, "expiresAt": dice.choice(PARAMS["timeAt"]), "timeInterval": 3600,
            "notificationTrigger": ["entityCreated", "attributeUpdated"], "isActive": dice.random() < 0.5, "temporalQ": {"timerel": "before", "timeAt": "2027-01-01T00:00:00Z"},
            "csf": "a==1", "lang": "ja", "jsonldContext": CORE, "datasetId": ["@none"],
        }  # fmt: skip
        return {**found, **{name: more[name] for name in dice.sample(sorted(more), dice.randrange(4))}}

    def ld_query(self, dice: random.Random) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "Query",
            "entities": [{"type": dice.choice(TYPES), **({"idPattern": dice.choice(PARAMS["idPattern"])} if dice.random() < 0.3 else {})}],
        }
        more = {
            "q": dice.choice(QUERIES), "attrs": [dice.choice(ATTRS)], "scopeQ": dice.choice(PARAMS["scopeQ"]), "pick": ["id", dice.choice(ATTRS)], "omit": [dice.choice(ATTRS)],
            "geoQ": {"georel": dice.choice(RELATIONS), **({"geometry": g.get("type"), "coordinates": g.get("coordinates")} if (g := dice.choice(GEOMETRIES)) else {})},
            "temporalQ": {"timerel": dice.choice(PARAMS["timerel"]), "timeAt": dice.choice(PARAMS["timeAt"]), "endTimeAt": dice.choice(PARAMS["endTimeAt"])},
            "lang": "ja", "ordering": {"orderBy": [dice.choice(PARAMS["orderBy"])]}, "join": "flat", "joinLevel": 2, "aggrParams": {"aggrMethods": ["avg"], "aggrPeriodDuration": "PT1H"},
        }  # fmt: skip
        return {**found, **{name: more[name] for name in dice.sample(sorted(more), dice.randrange(4))}}

    def valid_v2(self, method: str, path: str, dice: random.Random) -> Any:  # noqa: ARG002 - the same for all
        if "subscriptions" in path:
            return {
                "subject": {"entities": [{"idPattern": dice.choice(PARAMS["idPattern"]), "type": dice.choice(TYPES[:2])}],
                            "condition": {"attrs": [dice.choice(ATTRS)], "expression": {"q": dice.choice(QUERIES), "georel": dice.choice(RELATIONS), "geometry": "point", "coords": "1,2"}}},
                "notification": {"http": {"url": self.endpoint}, "attrs": [dice.choice(ATTRS)], "attrsFormat": dice.choice(("normalized", "keyValues", "values", "legacy", "x"))},
                "throttling": dice.choice((0, 1, 5)), "expires": "2040-01-01T14:00:00.00Z",
            }  # fmt: skip
        if "registrations" in path:
            return {"dataProvided": {"entities": [{"id": "R", "type": "Room"}], "attrs": ["x"]}, "provider": {"http": {"url": self.endpoint}}}
        if path.endswith("update"):
            return {
                "actionType": dice.choice(("append", "appendStrict", "update", "delete", "replace", "x")),
                "entities": [v2_entity(dice) for _ in range(dice.randrange(4))],
            }
        if path.endswith("query"):
            return {
                "entities": [{"idPattern": dice.choice(PARAMS["idPattern"]), "type": "Gauge"}],
                "attrs": [dice.choice(ATTRS)],
                "expression": {"q": dice.choice(QUERIES)},
            }
        if path.endswith("notify"):
            return {"subscriptionId": "a" * 24, "data": [v2_entity(dice)]}
        if path.endswith("value"):
            return dice.choice((1, "x", {"a": 1}, [1], None, True))
        found = v2_entity(dice)
        if "{attr" in path:
            return found["level"]
        if "{id}" in path or "{" in path:
            found.pop("id")
            found.pop("type")
        return found


def instance(dice: random.Random) -> Any:
    """One instance of an attribute, mostly valid."""
    kind = dice.randrange(10)
    if kind == 0:
        return dice.choice((1, "x", True, [1, 2], {"a": 1}))
    if kind == 1:
        return {"type": "GeoProperty", "value": dice.choice(GEOMETRIES)}
    if kind == 2:
        return {"type": "Relationship", "object": dice.choice((*IDS[:3], IDS[:3], "no uri")), "objectType": "Gauge"}
    if kind == 3:
        return {"type": "LanguageProperty", "languageMap": {"ja": "水", "en": "water", "@none": dice.choice(("x", ["a", "b"]))}}
    if kind == 4:
        return {"type": "VocabProperty", "vocab": dice.choice(("a", ["a", "b"]))}
    if kind == 5:
        return {"type": "JsonProperty", "json": dice.choice(({"a": {"b": 1}}, [1, 2], None, "x"))}
    if kind == 6:
        return {"type": "ListProperty", "valueList": [1, "x", {"a": 1}]}
    if kind == 7:
        return {"type": "ListRelationship", "objectList": IDS[:2]}
    found: dict[str, Any] = {
        "type": "Property",
        "value": dice.choice((dice.randrange(100), dice.random() * 1e3, "text", {"a": [1]}, [1, "x"], True, HOSTILE[dice.randrange(60)])),
    }
    if dice.random() < 0.3:
        found |= {"observedAt": dice.choice(PARAMS["timeAt"][:4]), "unitCode": "MTR"}
    if dice.random() < 0.1:
        found |= {"datasetId": f"urn:d:{dice.randrange(3)}"}
    if dice.random() < 0.1:
        found |= {"accuracy": {"type": "Property", "value": 0.5}, "providedBy": {"type": "Relationship", "object": "urn:x:1"}}
    if dice.random() < 0.05:
        found |= {"expiresAt": "2027-01-01T00:00:00Z"}
    return found


def entity(dice: random.Random) -> dict[str, Any]:
    """One entity, mostly valid."""
    found: dict[str, Any] = {"id": dice.choice(IDS), "type": dice.choice((*TYPES, TYPES[:2]))}
    for name in dice.sample(ATTRS, dice.randrange(5)):
        found[name] = {"type": "GeoProperty", "value": dice.choice(GEOMETRIES)} if name == "location" else instance(dice)
    if dice.random() < 0.1:
        found["scope"] = dice.choice(("/a", ["/a/b", "/c"], "x", "/"))
    if dice.random() < 0.05:
        found["expiresAt"] = dice.choice(PARAMS["timeAt"])
    if dice.random() < 0.05:
        found["level"] = [instance(dice), instance(dice)]
    return found


def v2_entity(dice: random.Random) -> dict[str, Any]:
    """One entity of NGSIv2, mostly valid."""
    return {
        "id": f"Room{dice.randrange(8)}", "type": dice.choice(("Room", "Gauge")),
        "level": {"type": dice.choice(("Number", "Text", "DateTime", "geo:point", "geo:json", "geo:box", "geo:polygon", "StructuredValue", "Relationship")),
                  "value": dice.choice((1, "1,2", "37.4, 137.0", "2026-11-27T00:00:00Z", {"type": "Point", "coordinates": [1, 2]}, ["1,1", "2,2"], None, [], "x", dice.choice(GEOMETRIES))),
                  "metadata": dice.choice(({}, {"accuracy": {"type": "Number", "value": 1}}, {"x": {"value": None}}))},
        "name": {"value": dice.choice(HOSTILE[:40])},
    }  # fmt: skip


def hostile_text(dice: random.Random) -> str:
    """A text that somebody might send."""
    if dice.random() < 0.3:
        return "".join(
            chr(dice.choice((dice.randrange(1, 128), dice.randrange(0x80, 0x800), dice.randrange(0x3000, 0xA000), dice.randrange(0x10000, 0x10FFFF))))
            for _ in range(dice.randrange(1, 12))
        )
    return str(dice.choice(HOSTILE))


def mutated(value: Any, dice: random.Random) -> Any:
    """The same JSON with one place changed."""
    spots: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        part = stack.pop()
        for key in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
            spots.append((part, key))
            stack.append(part[key])
    what = dice.randrange(10)
    if not spots or what == 0:
        return dice.choice(HOSTILE) if dice.random() < 0.2 else [value]
    value = json.loads(json.dumps(value))  # parts are shared between templates
    spots, stack = [], [value]
    while stack:
        part = stack.pop()
        for key in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
            spots.append((part, key))
            stack.append(part[key])
    part, key = dice.choice(spots)
    if what == 1:
        del part[key]
    elif what == 2 and isinstance(part, dict):
        part[dice.choice((*ATTRS, hostile_text(dice), "type", "value", "datasetId", "observedAt", "expiresAt", "scope"))] = part.pop(key)
    elif what == 3:
        part[key] = [part[key]]
    elif what == 4:
        part[key] = {"type": "Property", "value": part[key]}
    elif what == 5 and isinstance(part, dict):
        part[dice.choice((hostile_text(dice), "observedAt", "datasetId", "unitCode", "expiresAt", "previousValue", "instanceId", "createdAt"))] = dice.choice(
            HOSTILE
        )
    elif what == 6:
        inner: Any = part[key]
        for _ in range(dice.choice((3, 30, 70, 300))):
            inner = {"a": inner} if dice.random() < 0.5 else [inner]
        part[key] = inner
    elif what == 7 and isinstance(part[key], list) and part[key]:
        part[key] = part[key] * dice.choice((2, 50))
    elif what == 8:
        part[key] = dice.choice(GEOMETRIES)
    else:
        part[key] = dice.choice(HOSTILE)
    return value


def torn(raw: bytes, dice: random.Random) -> bytes:
    """Bytes that are no JSON, or a strange one."""
    place = dice.randrange(len(raw) + 1)
    return dice.choice((
        raw[:place], raw + raw, b"\xef\xbb\xbf" + raw, raw[:place] + b"\xff\xfe" + raw[place:], raw[:place] + b"\x00" + raw[place:], b"", b"[" * 5000, b'{"a":' * 2000,
        raw.replace(b'"value"', b'"value":NaN,"value"', 1), raw.replace(b'"type"', b'"type":"x","type"', 1), b"'" + raw, b'"\\ud800"', b"1" * 5000, raw.replace(b",", b",,", 1), b"\x1f\x8b" + raw,
    ))  # fmt: skip


def printable(text: str) -> str:
    """What a header can carry."""
    return "".join(char for char in text.encode("utf-8", "replace").decode("latin-1") if char >= " " and char != "\x7f")


def broken(dice: random.Random) -> bytes:
    """Bytes that are not quite HTTP."""
    body = b'{"id":"urn:x:1","type":"T"}'
    target = b"/ngsi-ld/v1/entities"
    return dice.choice((
        b"\r\n" * dice.randrange(1, 50), b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), dice.randbytes(200),
        b"GET " + target + b"?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % number for number in range(2000)) + b"\r\n", b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n" + body,
        b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n" + body, b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\nContent-Length: 3\r\n\r\n" + body,
        b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" + body + b"\r\n0\r\n\r\n",
        b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n" + body + b"\r\n0\r\n\r\n",
        b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" + body, b"GET \x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ngsi-ld/v1/entities/%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nX: \x00\x01\xff\r\n\r\n",
        b"GET /ngsi-ld/v1/entities?q=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET http://other.example/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.0\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 50, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"GET /health HTTP/1.1\nHost: x\n\n", b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
    ))  # fmt: skip


def wrong_with(status: int, headers: dict[str, str], body: bytes, method: str) -> str:
    """What is wrong with an answer, "" if nothing is."""
    if status >= 500 and status not in OUTSIDE:
        return f"status {status}: {body[:600].decode('utf-8', 'replace')}"
    if status in (204, 304) and body:
        return f"status {status} with a body"
    media = headers.get("content-type", "")
    if method != "HEAD" and body and "json" in media:
        try:
            told = json.loads(body)
        except ValueError as error:
            return f"status {status}: the body is no JSON: {error}: {body[:300]!r}"
        if status >= 400 and not (
            isinstance(told, dict) and ({"type", "title"} <= told.keys() or {"error", "description"} <= told.keys() or "errors" in told or "notUpdated" in told)
        ):
            return f"status {status}: no problem details: {body[:300]!r}"
    return ""


def offered() -> list[tuple[str, str, frozenset[str] | None]]:
    """Every route of the broker: method, path, its parameters."""
    from kiban.linkage.broker.routes import routes

    tree = routes()
    found = []
    for method, path, _ in tree.listed:
        known = tree.find(path.encode())
        assert known is not None
        found.append((method, path, known[0][method][1]))
    plain = {"/metrics", "/openapi.json", "/docs"}
    weight = [4 if path.startswith((f"{LD}/entit", f"{LD}/temporal", f"{LD}/sub", "/v2/")) else 1 for _, path, _ in found]
    return [route for route, times in zip(found, weight, strict=True) if route[1] not in plain for _ in range(times)]


# --- against a broker in a process of its own


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes notifications and forwards, and says 200."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
            await reader.readexactly(size)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError, asyncio.CancelledError):
        pass  # the last one at the end of the run, when nobody waits for this task
    finally:
        await shut(writer)


async def shut(writer: asyncio.StreamWriter) -> None:
    """Close a connection and see it closed."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader, method: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    status = int(head[0].split()[1])
    if status == 100:
        return await read_answer(reader, method)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = b"" if method == "HEAD" else await reader.readexactly(int(headers.get("content-length", "0")))
    return status, headers, body


class Client:
    """Sends cases on one connection, opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: Counter[int] = Counter()
        self.stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, case: Case) -> str:
        """What is wrong with the answer."""
        try:
            async with asyncio.timeout(LIMIT):
                return await (self.throw(case) if case.raw else self.send(case))
        except TimeoutError:
            await self.close()
            return f"no answer within {LIMIT:g} s"

    async def send(self, case: Case) -> str:
        for again in (True, False):
            if self.stream is None:
                self.stream = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
            reader, writer = self.stream
            try:
                writer.write(case.wire())
                status, headers, body = await read_answer(reader, case.method)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                await self.close()
                if not again:
                    return f"the connection broke: {error!r}"
                continue
            self.statuses[status] += 1
            if headers.get("connection") == "close":
                await self.close()
            return wrong_with(status, headers, body, case.method)
        raise AssertionError

    async def throw(self, case: Case) -> str:
        """Broken HTTP on a connection of its own: whatever comes must not be a 5xx, and the connection must end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        try:
            writer.write(case.raw)
            writer.write_eof()
            told = await reader.read()
        except OSError:
            return ""
        finally:
            await shut(writer)
        return f"answered {told[:300]!r}" if told.startswith(b"HTTP/1.1 5") else ""

    async def close(self) -> None:
        """Let go of the connection."""
        if self.stream is not None:
            stream, self.stream = self.stream, None
            await shut(stream[1])


def resident(pid: int) -> int:
    """MiB of memory that a process holds."""
    return next(int(line.split()[1]) // 1024 for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


async def drive(first: int, cases: int, port: int, pid: int, growth: int, clients: int = 6) -> int:
    """Send them all; how many were wrong."""
    server = await asyncio.start_server(sink, "127.0.0.1", 0, limit=2**22)
    maker = Maker(offered(), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in")
    numbers = iter(range(first, first + cases))
    wrong, done, told = 0, 0, set()
    statuses: Counter[int] = Counter()
    sizes: list[int] = []
    began = time.perf_counter()

    async def work() -> None:
        nonlocal wrong, done
        client = Client(port)
        for number in numbers:
            case = maker.case(number)
            problem = await client.ask(case)
            done += 1
            if problem:
                wrong += 1
                kind = re.sub("[0-9a-f]{32}", "", problem)[:160]
                if kind not in told and len(told) < 40:
                    told.add(kind)
                    print(f"case {number}: {problem}\n  {case.curl(f'http://127.0.0.1:{port}')}\n", flush=True)
            if done % WINDOW == 0:
                sizes.append(resident(pid))
                print(f"{done} cases, {wrong} wrong, {sizes[-1]} MiB, {done / (time.perf_counter() - began):.0f}/s", flush=True)
        await client.close()
        statuses.update(client.statuses)

    await asyncio.gather(*(work() for _ in range(clients)))
    last = Client(port)
    problem = await last.ask(Case(-1, target="/ready"))
    await last.close()
    if problem:
        wrong += 1
        print(f"afterwards: /ready: {problem}")
    if len(sizes) > 4 and sizes[-1] > max(sizes[: len(sizes) // 2]) + growth:
        wrong += 1
        print(f"memory grew from {max(sizes[: len(sizes) // 2])} to {sizes[-1]} MiB in the second half; expected at most {growth} MiB: {sizes}")
    if sum(many for status, many in statuses.items() if status < 300) < done // 20:
        wrong += 1
        print(f"hardly anything was accepted, so hardly anything was tried: {dict(sorted(statuses.items()))}")
    server.close()
    await server.wait_closed()
    print(f"{done} cases in {time.perf_counter() - began:.0f} s, {wrong} wrong, memory {sizes} MiB, statuses {dict(sorted(statuses.items()))}")
    return wrong


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to connections: whoever asks for one of these again and again may get it himself."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 50):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise SystemExit("no free port")


def start(folder: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    """The command `kiban broker` in a process of its own, as soon as it answers."""
    command = [sys.executable, "-m", "kiban", "broker", "--port", str(port), "--db", str(folder / "broker.db"), *more]
    with (folder / "broker.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.02)
    process.kill()
    raise SystemExit(f"the broker did not start: {(folder / 'broker.log').read_text()[-2000:]}")


def faults_of(log: str) -> dict[str, tuple[int, str]]:
    """The errors in a broker's log by their kind: how often, and one of them in full."""
    found: dict[str, tuple[int, str]] = {}
    for line in log.splitlines():
        if '"unexpected error"' in line or '"writes not kept"' in line:
            told = json.loads(line)
            story = told.get("traceback", told.get("problem", ""))
            frames = [part for part in story.splitlines() if "kiban" in part]
            what = f"{story.strip().splitlines()[-1][:80]} {frames[-1].strip() if frames else ''}"
        elif line.startswith(("Traceback", "Task exception", "Exception")):
            what = story = line
        else:
            continue
        found[what] = (found.get(what, (0, ""))[0] + 1, story)
    return found


def explore(port: int, examples: int) -> int:
    """Requests that schemathesis makes out of the description at /openapi.json, so many for each operation; 1 if one of them found a fault."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "not_a_server_error"]
    command += ["--max-examples", str(examples), "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--seed", "1", "--no-color"]
    command += ["--continue-on-failure", "--request-timeout", str(LIMIT), "--warnings", "off", "--suppress-health-check", "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout[-6000:] if done.returncode else done.stdout[-1200:], done.stderr[-2000:])
    return 1 if done.returncode else 0


def hunt(first: int, cases: int, *, growth: int = 48, db: str | None = None, examples: int = 0) -> int:
    """Cases `first` to `first + cases` against a broker of their own; how many things were wrong, which are printed."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        process = start(folder, port, *(("--db", db) if db else ()))
        try:
            wrong = asyncio.run(drive(first, cases, port, process.pid, growth))
            wrong += explore(port, examples) if examples else 0
            if process.poll() is not None:
                print(f"the broker ended with {process.returncode}")
                wrong += 1
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        for what, (count, story) in faults_of((folder / "broker.log").read_text("utf-8", "replace")).items():
            wrong += 1
            print(f"in the log of the broker, {count} times: {what}\n{story}")
    return wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case (its seed)")
    parser.add_argument("--growth", type=int, default=48, metavar="MIB", help="memory that may be added in the second half")
    parser.add_argument("--db", help="postgresql://… instead of a file")
    parser.add_argument("--schemathesis", type=int, default=0, metavar="N", help="then N examples for each operation of the OpenAPI description")
    args = parser.parse_args()
    return 1 if hunt(args.first, args.cases, growth=args.growth, db=args.db, examples=args.schemathesis) else 0


if __name__ == "__main__":
    raise SystemExit(main())
