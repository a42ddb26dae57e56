"""@context and media types of NGSI-LD requests and answers (clauses 6.3.4–6.3.6)."""

from __future__ import annotations

import re
from typing import Any

from kiban.linkage.broker.server import GEO, JSON, LD, LINK_REL, Call, Headers, Remembered, Reply, dumps
from kiban.linkage.errors import Problem

# Neither part may hold `<`: each then is looked at once, however long a header is.
LINK = re.compile(r'<([^<>]*)>\s*((?:;\s*[\w!#$&+.^`|~-]+\s*=\s*(?:"[^"]*"|[^;,\s]*)\s*)*)')
ACCEPTED: Remembered = Remembered()
LINKED: Remembered = Remembered()
BODIES = {b"application/json", b"application/ld+json"}
PATCHES = BODIES | {b"application/merge-patch+json"}


def link_context(header: bytes) -> str | None:
    """The URL of the @context in a Link header, None if there is none.

    >>> link_context(b'<https://a.jp/c.jsonld>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"')
    'https://a.jp/c.jsonld'
    """
    if not header:
        return None
    known = LINKED.get(header)
    if known is None:
        found = [url for url, rest in LINK.findall(header.decode("latin-1")) if "http://www.w3.org/ns/json-ld#context" in rest]
        if len(found) > 1:
            raise Problem("BadRequestData", "more than one @context in the Link header", header.decode("latin-1"))
        known = LINKED.keep(header, found[0] if found else "", len(header))
    return known or None


def accepted(call: Call, offered: tuple[bytes, ...] = (JSON, LD)) -> bytes:
    """The media type of the answer: the best of those offered; 406 if none fits.

    Ranges with q-values are honoured; application/json wins among equals.
    """
    header = call.accept
    if not header or header == b"*/*":
        return offered[0]
    key = (header, offered)
    known = ACCEPTED.get(key)
    if known is None:
        best: tuple[float, int] | None = None
        refused: set[str] = set()
        ranges: list[tuple[str, float]] = []
        known = b""
        for part in header.decode("latin-1").split(","):
            name, *rest = (piece.strip() for piece in part.split(";"))
            quality = 1.0
            for piece in rest:
                if piece.startswith("q="):
                    try:
                        quality = float(piece[2:])
                    except ValueError:
                        quality = 1.0
            if quality <= 0:
                refused.add(name)
                continue
            ranges.append((name, quality))
        for name, quality in ranges:
            for place, media in enumerate(offered):
                text = media.decode()
                fits = name in (text, "application/*", "*/*")
                if fits and text not in refused and (best is None or (quality, -place) > best):
                    best, known = (quality, -place), media
        ACCEPTED.keep(key, known, len(header))
    if not known:
        raise Problem("NotAcceptable", "no such media type is offered", f"offered: {', '.join(media.decode() for media in offered)}")
    return known


async def open_call(call: Call) -> None:
    """The @context of a request without a body: the Link header, else the core context."""
    if not opened(call):
        call.terms = await call.broker.contexts.term_map(link_context(call.link), call.tenant)


def opened(call: Call) -> bool:
    """`open_call` for a @context that needs not be waited for; False for another."""
    url = link_context(call.link)
    if url is None:
        call.terms = call.broker.contexts.core
        return True
    known = call.broker.contexts.known(url, call.tenant)
    if known is None:
        return False
    call.terms = known
    return True


async def open_body(call: Call, *, patch: bool = False, many: bool = False) -> Any:
    """The JSON of a request with its @context in `call.terms`; `@context` is taken out of an object.

    many: the body is a list whose members bring their own @context when the media type is application/ld+json (`member_terms` reads it).
    """
    media = call.content_type.split(b";", 1)[0].strip().lower()
    if media not in (PATCHES if patch else BODIES):
        raise Problem(
            "UnsupportedMediaType",
            "this media type cannot be read",
            f"found {media.decode('latin-1') or 'none'}; expected application/json or application/ld+json",
        )
    value = call.json()
    url = link_context(call.link)
    if many and isinstance(value, list):
        if media == b"application/ld+json":
            if url is not None:
                raise Problem("BadRequestData", "application/ld+json takes its @context from the body", "leave the Link header out")
            call.terms = call.broker.contexts.core
        else:
            await open_call(call)
        return value
    if not isinstance(value, dict):
        raise Problem("BadRequestData" if value else "InvalidRequest", "a JSON object is expected", f"found {type(value).__name__}")
    if media == b"application/ld+json":
        if "@context" not in value:
            raise Problem("BadRequestData", "@context is missing", "application/ld+json carries its @context in the body")
        if url is not None:
            raise Problem("BadRequestData", "application/ld+json takes its @context from the body", "leave the Link header out")
        call.terms = unscoped(await call.broker.contexts.term_map(value.pop("@context"), call.tenant))
    else:
        if "@context" in value:
            raise Problem("BadRequestData", "application/json does not carry a @context", "send application/ld+json, or name it in a Link header")
        await open_call(call)
    return value


def unscoped(terms: Any) -> Any:
    """The same terms; 400 if names mean something else inside of some attributes (clause 5.5.7)."""
    if terms.scopes:
        raise Problem("BadRequestData", "a @context of NGSI-LD has no scoped contexts", f"found one at {min(terms.scopes)!r}")
    return terms


async def member_terms(call: Call, member: dict[str, Any]) -> Any:
    """The @context of one member of a batch; `@context` is taken out of it."""
    if call.content_type.split(b";", 1)[0].strip().lower() == b"application/ld+json":
        if "@context" not in member:
            raise Problem("BadRequestData", "@context is missing", "each member of application/ld+json carries its @context")
        return unscoped(await call.broker.contexts.term_map(member.pop("@context"), call.tenant))
    if "@context" in member:
        raise Problem("BadRequestData", "application/json does not carry a @context", "send application/ld+json, or name it in a Link header")
    return call.terms


async def name_context(call: Call) -> None:
    """Give the @context of a request an address, if it stood inside it, so that an answer can name it in its Link header."""
    if not isinstance(call.terms.source, str):
        url = await call.broker.hosting.implicit(call.terms.source, call.tenant)
        call.terms = await call.broker.contexts.term_map(url, call.tenant)


def context_header(terms: Any) -> tuple[bytes, bytes]:
    """The Link header of an answer in application/json; `name_context` comes before where the @context may have no address of its own."""
    known = LINKED.get(terms.serial)
    if known is None:
        known = LINKED.keep(terms.serial, (b"link", b"<" + str(terms.source).encode() + LINK_REL), len(terms.source))
    return known  # type: ignore[no-any-return]


def answer(call: Call, value: Any, *, status: int = 200, media: bytes | None = None, headers: Headers | None = None) -> Reply:
    """A JSON answer with its @context: in the Link header, or in the body for application/ld+json (each member of a list)."""
    media = accepted(call) if media is None else media
    found = [] if headers is None else headers
    if media == LD:
        source = call.terms.source
        if isinstance(value, list):
            value = [{**part, "@context": source} if isinstance(part, dict) else part for part in value]
        elif isinstance(value, dict):
            value = {**value, "@context": source}
    elif media in (JSON, GEO) and isinstance(call.terms.source, str):
        found = [*found, context_header(call.terms)]
    return Reply(status, found, dumps(value), media)
