"""Talking to one context source: the request with the names, headers and limits that its registration wants, and what came back (6.3.17, 6.3.18).

In: a registration, an operation as method, path and parameters, names as IRIs. Out: an answer, or a reason why there is none; never an exception for
what the other side does. A source that did not answer in time rests for a while, so that one silent source does not slow down everything.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker import times
from kiban.linkage.broker.model import MEMBER, OWN, RESERVED
from kiban.linkage.broker.operate import alias_of
from kiban.linkage.broker.outgoing import OversizedAnswer
from kiban.linkage.broker.server import Call, dumps
from kiban.linkage.broker.sources import FROM_REQUEST, Source
from kiban.linkage.errors import PREFIX, Problem

SECONDS: Final = 5.0  # an answer may take this long, unless the registration says otherwise
LONGEST: Final = 30.0
REST: Final = 1.0  # seconds without reads after no answer in time
LIMIT: Final = 16 * 1024 * 1024  # bytes of an answer
KNOWN: Final = 600.0  # seconds for which the name of a source is remembered
UNKNOWN: Final = 5.0  # seconds for which it is remembered that a source did not answer
PASSED: Final = 16  # warnings of one source that are passed on
ASKING: Final = 1.0  # seconds for asking a source for its name
API: Final = "/ngsi-ld/v1"
SEARCH: Final = "/entityOperations/query"  # a POST that reads
LINK: Final = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
# What a source's silence is told as (RFC 7234, Table 6.3.17-1).
INVALID, SILENT, FAILED = 111, 199, 299


class Got(NamedTuple):
    """What came of one request.

    status  of HTTP; 0: no answer
    value   the JSON of the answer, None if it has none
    headers of the answer
    code    0, or that of the warning: INVALID, SILENT, FAILED
    reason  why it failed, in words
    terms   the @context that the answer is to be read with
    """

    source: Source
    status: int
    value: Any = None
    headers: Mapping[str, str] = {}
    code: int = 0
    reason: str = ""
    terms: Any = None

    @property
    def well(self) -> bool:
        """Whether the source did what it was asked."""
        return 200 <= self.status < 300 and self.status != 207

    def problem(self) -> dict[str, Any]:
        """Its failure as problem details."""
        if isinstance(self.value, dict) and "type" in self.value and "title" in self.value and self.status >= 400:
            return {**self.value, "status": self.status}
        kind = {404: "ResourceNotFound", 409: "AlreadyExists", 508: "LoopDetected", 400: "BadRequestData"}.get(self.status, "InternalError")
        status = self.status if self.status >= 400 else 504 if "in time" in self.reason else 502
        return {
            "type": PREFIX + kind,
            "title": "A context source failed",
            "detail": f"{self.source.id}: {self.reason or f'HTTP {self.status}'}",
            "status": status,
        }

    def warnings(self) -> list[str]:
        """What an answer lacks, as values of NGSILD-Warning: this source, or what others did not tell it. That it does not know something is no lack."""
        told = self.headers.getall("NGSILD-Warning", []) if hasattr(self.headers, "getall") else []
        passed = [plain(text, keep='"') for text in told[:PASSED]]
        return ([self.warning()] if self.code and self.status != 404 else []) + passed

    def warning(self) -> str:
        """The value of NGSILD-Warning for this source."""
        return f'{self.code} {quote(self.source.id, safe=":/")} "{plain(self.reason)}"'


def plain(text: str, keep: str = "") -> str:
    """A text that may stand in a header, between quotation marks unless these are kept.

    >>> plain('no "answer"\\n'), plain('199 urn:a "no answer"', keep='"')
    ('no  answer  ', '199 urn:a "no answer"')
    """
    return "".join(c if 32 <= ord(c) < 127 and (c in keep or c not in '"\\') else " " for c in text)[: 200 if not keep else 600]


def context_url(terms: Any) -> str | None:
    """The address of a @context that a Link header can name; None if it is more than one address."""
    source = terms.source
    if isinstance(source, list) and len(source) == 1:
        source = source[0]
    return source if isinstance(source, str) else None


def renamed(raw: Any, old: Any, new: Any, *, top: bool = True) -> Any:
    """An entity or a fragment, as a client wrote it, with the names of another @context; values stay as they are.

    >>> class Old:
    ...     expand = expand_type = staticmethod(lambda name: "ex:" + name)
    >>> class New:
    ...     terms = {"ex:level": "pegel", "ex:Well": "Brunnen"}
    >>> renamed({"id": "urn:a", "type": "Well", "level": {"type": "Property", "value": {"level": 3}}}, Old(), New())
    {'id': 'urn:a', 'type': 'Brunnen', 'pegel': {'type': 'Property', 'value': {'level': 3}}}
    """
    if isinstance(raw, list):
        return [renamed(part, old, new, top=top) for part in raw]
    if not isinstance(raw, dict):
        return raw
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if top and name in ("type", "@type"):
            found[name] = [new.terms[old.expand_type(each)] for each in value] if isinstance(value, list) else new.terms[old.expand_type(value)]
        elif name[:1] == "@" or (name in OWN if top else name in RESERVED):
            found[name] = _words(name, value, old, new)
        else:
            iri = old.expand(name)
            found[new.terms[iri] if iri[:1] != "@" else name] = renamed(value, old, new, top=False) if _is_attribute(value) else value
    return found


def _words(name: str, value: Any, old: Any, new: Any) -> Any:
    """The value of a reserved member: some are names themselves."""
    if name not in ("vocab", "objectType"):
        return value
    if isinstance(value, list):
        return [new.terms[old.expand(each)] if isinstance(each, str) else each for each in value]
    return new.terms[old.expand(value)] if isinstance(value, str) else value


def _is_attribute(value: Any) -> bool:
    """Whether a value is an attribute rather than a value in concise form."""
    if isinstance(value, list):
        return bool(value) and all(_is_attribute(part) for part in value)
    return isinstance(value, dict) and (value.get("type") in MEMBER or any(member in value for member in MEMBER.values()))


class Remote:
    """The connections of one broker to its sources."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.aliases: dict[str, tuple[float, str]] = {}

    def alias(self, tenant: str) -> str:
        """The name of this broker in Via."""
        return alias_of(self.broker.operation.alias, tenant)

    def passed(self, call: Call) -> list[str]:
        """The names of the brokers that a request came through."""
        text = call.headers.get(b"via")
        return [part.split()[-1] for part in text.decode("latin-1").split(",") if part.strip()] if text else []

    async def names(self, call: Call, source: Source) -> str:
        """The name of a source in Via, "" if it does not tell; asked once in a while."""
        known = self.aliases.get(source.url + "\n" + source.tenant)
        now = time.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        got = await self.send(call, source, "GET", "/info/sourceIdentity", seconds=ASKING, quiet=True)
        alias = str(got.value.get("contextSourceAlias", "")) if isinstance(got.value, dict) and got.well else ""
        if len(self.aliases) > 4096:
            self.aliases.clear()
        self.aliases[source.url + "\n" + source.tenant] = (now + (KNOWN if got.status else UNKNOWN), alias)
        return alias

    async def terms(self, call: Call, source: Source, base: Any = None) -> Any:
        """The @context that a source is spoken to with: its own, else `base`, else that of the request."""
        base = base or call.terms
        if not source.context:
            return base
        contexts = self.broker.contexts
        try:
            return contexts.known(source.context, call.tenant) or await contexts.term_map(source.context, call.tenant)
        except Problem:
            return base

    async def send(
        self,
        call: Call,
        source: Source,
        method: str,
        path: str,
        params: Iterable[tuple[str, str]] = (),
        body: Any = None,
        *,
        terms: Any = None,
        seconds: float = 0.0,
        quiet: bool = False,
    ) -> Got:
        """One request to a source.

        params  with the names of `terms`; body: JSON with the names of `terms`, None for no body
        terms   None: as `terms` says; seconds: 0: those of the registration
        quiet   it is no operation: not counted
        """
        now = time.monotonic()
        if now < source.resting and (method == "GET" or path == SEARCH or source.cooldown):
            return Got(source, 0, code=SILENT, reason="it did not answer before and is left in peace for a while")
        terms = terms or await self.terms(call, source)
        query = urlencode(list(params) + ([("local", "true")] if source.local and not quiet else []), quote_via=quote, safe=":,;/*()=|")
        url = f"{source.url}{API}{path}{'?' + query if query else ''}"
        headers, content = self.headers(call, source, terms, body)
        allowed = seconds or min(source.timeout or SECONDS, LONGEST)
        began = times.now()
        try:
            status, answered, text = await self.broker.http.exchange(method, url, headers, content, allowed, LIMIT)
        except TimeoutError:
            source.resting = time.monotonic() + (source.cooldown or REST)
            return self.told(source, quiet, began, Got(source, 0, code=SILENT, reason=f"no answer in time ({allowed:g} s)"))
        except OversizedAnswer as error:
            return self.told(source, quiet, began, Got(source, 0, code=INVALID, reason=str(error)))
        except KibanError as error:
            source.resting = time.monotonic() + source.cooldown
            return self.told(source, quiet, began, Got(source, 0, code=SILENT, reason=str(error)))
        return self.told(source, quiet, began, await self.read(call, source, status, answered, text, terms))

    def headers(self, call: Call, source: Source, terms: Any, body: Any) -> tuple[list[tuple[str, str]], bytes]:
        """The headers of a request and its body."""
        url = context_url(terms)
        headers = [("Accept", source.accept.decode() or "application/json")]
        content = b""
        if body is not None:
            inline = source.content == b"application/ld+json" or url is None
            if inline:
                body = [{**part, "@context": terms.source} if isinstance(part, dict) else part for part in body] if isinstance(body, list) else {
                    **body, "@context": terms.source
                }  # fmt: skip
            headers.append(("Content-Type", "application/ld+json" if inline else source.content.decode() or "application/json"))
            content = dumps(body)
            if inline:
                url = None
        if url is not None:
            headers.append(("Link", LINK.format(url)))
        via = call.header(b"via")
        headers.append(("Via", f"{via}, 1.1 {self.alias(call.tenant)}" if via else f"1.1 {self.alias(call.tenant)}"))
        if source.tenant:
            headers.append(("NGSILD-Tenant", source.tenant))
        for key, value in source.headers:
            if value == FROM_REQUEST:
                value = call.header(key.lower().encode("latin-1", "replace"))
                if not value:
                    continue
            headers.append((key, value))
        return headers, content

    async def read(self, call: Call, source: Source, status: int, answered: Mapping[str, str], text: bytes, terms: Any) -> Got:
        """An answer, read."""
        value = None
        if text:
            try:
                value = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                if status < 300:
                    return Got(source, status, None, answered, INVALID, "an answer that is no JSON", terms)
        if status >= 400 or 300 <= status < 400:
            reason = str(value.get("title", "")) if isinstance(value, dict) else ""
            return Got(source, status, value, answered, FAILED, f"HTTP {status}{': ' + reason if reason else ''}", terms)
        context = (
            value.get("@context")
            if isinstance(value, dict)
            else value[0].get("@context")
            if isinstance(value, list) and value and isinstance(value[0], dict)
            else None
        )
        if context is not None and context != terms.source and [context] != terms.source and context != [terms.source]:
            try:
                terms = self.broker.contexts.known(context, call.tenant) or await self.broker.contexts.term_map(context, call.tenant)
            except Problem as problem:
                return Got(source, status, None, answered, INVALID, f"an answer in an unknown @context: {problem.detail}", terms)
        return Got(source, status, value, answered, terms=terms)

    def told(self, source: Source, quiet: bool, began: str, got: Got) -> Got:
        """Count what came of a request."""
        if quiet:
            return got
        meter = self.broker.operation.meter
        meter.add("forwarded")
        source.told["timesSent"] += 1
        source.ok = got.status != 0 and got.status < 500 and got.code != INVALID
        source.touched["lastSuccess" if source.ok else "lastFailure"] = began
        if not source.ok:
            meter.add("forward_failed")
            source.told["timesFailed"] += 1
        return got
