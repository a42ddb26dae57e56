"""The @context of a request, compiled once into two tables: short name → IRI and IRI → short name.

JSON-LD is processed for names only: which IRI a name means, and which name an IRI gets. What a request says is a *user context*:
an address, an object, or a list of both. The core context comes last and wins: nobody redefines a name of NGSI-LD.
Simple contexts are compiled here; whatever else JSON-LD 1.1 allows goes through PyLD, once per context. Nothing is fetched unless
a fetch function is given.

>>> import asyncio
>>> contexts = Contexts()
>>> terms = asyncio.run(contexts.term_map({"speed": "https://example.org/v#speed"}))
>>> terms.iris["speed"], terms.iris["colour"], terms.iris["location"]
('https://example.org/v#speed', 'https://uri.etsi.org/ngsi-ld/default-context/colour', 'https://uri.etsi.org/ngsi-ld/location')
>>> terms.terms["https://example.org/v#speed"], terms.terms["https://example.org/v#x"]
('speed', 'https://example.org/v#x')
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import orjson

from kiban.linkage.errors import Problem, bad_request, context_not_available

PACKAGED = Path(__file__).parents[2] / "data" / "contexts"
CORE_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
DEFAULT_VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"
# Every published version is answered by the packaged one: a name never changed its meaning since v1.3, names were added.
_CORE = re.compile(r"https?://uri\.etsi\.org/ngsi-ld/v1/ngsi-ld-core-context(?:-v1\.[0-9](?:\.[0-9])?)?\.jsonld\Z")

MAX_MAPS = 512  # compiled contexts kept
MAX_DOCUMENTS = 32  # remote contexts that one context may draw in
MAX_TERMS = 50_000
MAX_MEMO = 8192  # names remembered per context beyond its own terms
MAX_NAME = 512  # a longer name is worked out each time

_KEYWORDS = frozenset(
    [
        "@base",
        "@container",
        "@context",
        "@direction",
        "@graph",
        "@id",
        "@import",
        "@included",
        "@index",
        "@json",
        "@language",
        "@list",
        "@nest",
        "@none",
        "@prefix",
        "@propagate",
        "@protected",
        "@reverse",
        "@set",
        "@type",
        "@value",
        "@version",
        "@vocab",
    ]
)
_LIKE_KEYWORD = re.compile(r"@[A-Za-z]+\Z")
_ABSOLUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*|_):\S*\Z")
_SIMPLE_KEYS = frozenset(("@id", "@type", "@container", "@language", "@prefix"))
_SIMPLE_CONTAINERS = frozenset(("@language", "@list", "@set", "@index"))
_DELIMITERS = tuple(":/?#[]@")

Context = str | Mapping[str, Any] | list[Any] | None


def is_core(url: str) -> bool:
    """Whether the address is that of a published core context.

    >>> is_core(CORE_URL), is_core("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-no-such.jsonld")
    (True, False)
    """
    return _CORE.match(url) is not None


class Term(NamedTuple):
    """What a context says about one name: its IRI (None: the name is dropped), coercion, containers, and whether it is a prefix."""

    iri: str | None
    type: str | None = None
    container: frozenset[str] = frozenset()
    prefix: bool = False
    reverse: bool = False


class Flat(NamedTuple):
    """The contexts of a request in order, each an object (or None, which forgets those before), with no address left at the top level."""

    contexts: list[dict[str, Any] | None]
    documents: dict[str, Any]
    urls: frozenset[str]


class _NotSimple(Exception):
    """This context needs the whole of JSON-LD, or is wrong: PyLD decides."""


class _Memo(dict[str, str]):
    """Answers worked out once, at most MAX_MEMO of them beyond the first ones."""

    __slots__ = ("first", "work")

    def __init__(self, work: Callable[[str], str]) -> None:
        super().__init__()
        self.work = work

    def __missing__(self, name: str) -> str:
        found = self.work(name)
        if len(name) <= MAX_NAME:
            if len(self) >= MAX_MEMO:
                self.clear()
            self[name] = found
        return found


class TermMap:
    """One compiled context.

    iris    name → IRI; a name that the context maps to null raises BadRequestData
    terms   IRI → name
    source  the user's context as it is given out again: an address, an object or a list; the core context's address if there is none
    key     hashable, the same for the same context
    urls    every address that was drawn in, for counting uses and for forgetting
    """

    __slots__ = ("__weakref__", "_best", "_inner", "_prefixes", "definitions", "flat", "iris", "key", "scopes", "source", "terms", "urls", "vocab")

    def __init__(self, key: bytes, source: Any, flat: Flat, definitions: dict[str, Term], vocab: str | None, scopes: dict[str, Any]) -> None:
        self.key, self.source, self.flat, self.urls = key, source, flat, flat.urls
        self.definitions, self.vocab, self.scopes = definitions, vocab, scopes
        self.iris: dict[str, str] = _Memo(self._iri)
        self.terms: dict[str, str] = _Memo(self._term)
        self._best: dict[str, str] | None = None
        self._prefixes: list[tuple[str, str]] = []
        self._inner: dict[str, TermMap] = {}

    def expand(self, name: str) -> str:
        """The IRI of an attribute name, or the keyword that the name is an alias of (id → @id)."""
        return self.iris[name]

    def expand_type(self, name: str) -> str:
        """The IRI of an entity type. Raises BadRequestData for a name that is a keyword."""
        iri = self.iris[name]
        if iri[:1] == "@":
            raise bad_request(f"found the type {name!r}, which stands for {iri}; expected a name or an IRI")
        return iri

    def expand_vocab(self, value: str) -> str:
        """The IRI of a value of a VocabProperty."""
        return self.iris[value]

    def compact(self, iri: str) -> str:
        """The shortest name that expands to the IRI again, else the IRI."""
        return self.terms[iri]

    def coercion(self, name: str) -> str | None:
        """@id, @vocab, @json, @none or the IRI of a data type that values of this name have; None if the context says nothing."""
        found = self.definitions.get(name)
        return found.type if found is not None else None

    def _iri(self, name: str) -> str:
        found = _expand(name, self.definitions, self.vocab)
        if found is None:
            raise bad_request(f"the @context maps {name!r} to nothing")
        return found

    def _term(self, iri: str) -> str:
        if self._best is None:
            self._best, self._prefixes = _invert(self.definitions)
        exact = self._best.get(iri)
        if exact is not None:
            return exact
        # Each candidate must come back to the IRI: 'default-context/a:b' has no short form, as 'a:b' is another IRI.
        vocab = self.vocab
        if vocab is not None and len(iri) > len(vocab) and iri.startswith(vocab):
            suffix = iri[len(vocab) :]
            if _expand(suffix, self.definitions, vocab) == iri:
                return suffix
        short = ""
        for start, prefix in self._prefixes:
            if iri.startswith(start) and len(iri) > len(start):
                candidate = f"{prefix}:{iri[len(start) :]}"
                if (not short or (len(candidate), candidate) < (len(short), short)) and _expand(candidate, self.definitions, vocab) == iri:
                    short = candidate
        return short or iri

    def within(self, name: str) -> TermMap:
        """The names that hold inside an attribute or a type of this name: another map only if the context scopes one to it."""
        if name not in self.scopes:
            return self
        inner = self._inner.get(name)
        if inner is None:
            scope = self.scopes[name]
            flat = self.flat._replace(contexts=[*self.flat.contexts, *(scope if isinstance(scope, list) else [scope])])
            inner = self._inner[name] = _compile(self.key + b"\0" + name.encode(), self.source, flat)
        return inner


def _expand(value: str, definitions: Mapping[str, Term], vocab: str | None) -> str | None:
    """IRI expansion against the vocabulary (JSON-LD 1.1 API, 5.2): None where the context drops the name."""
    found = definitions.get(value)
    if found is not None:
        return found.iri
    if value[:1] == "@":
        if value in _KEYWORDS:
            return value
        if _LIKE_KEYWORD.match(value):
            return None
    colon = value.find(":")
    if colon > 0:
        prefix = value[:colon]
        if prefix == "_" or value.startswith("//", colon + 1):
            return value
        found = definitions.get(prefix)
        if found is not None and found.prefix and found.iri is not None:
            return found.iri + value[colon + 1 :]
        if _ABSOLUTE.match(value):
            return value
    return vocab + value if vocab is not None else value


def _rank(name: str, term: Term) -> tuple[bool, int, int, int, str]:
    """Which of several names of one IRI is given to an attribute: those that JSON-LD takes for an object first, then the shortest."""
    container = 0 if term.container == {"@set"} else 1 if not term.container else 2 if "@index" in term.container else 3
    kind = 0 if term.type == "@id" else 1 if term.type is None else 2
    return (container == 3 or kind == 2, container, kind, len(name), name)


def _invert(definitions: Mapping[str, Term]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """IRI → its best name, and the prefixes as (IRI, name)."""
    best: dict[str, str] = {}
    prefixes = []
    for name, term in definitions.items():
        iri = term.iri
        if iri is None or term.reverse:
            continue
        if term.prefix and ":" not in name:
            prefixes.append((iri, name))
        other = best.get(iri)
        if other is None or _rank(name, term) < _rank(other, definitions[other]):
            best[iri] = name
    return best, prefixes


class _Simple:
    """Compiles contexts that hold names, prefixes, a vocabulary and coercions, and nothing else."""

    def __init__(self) -> None:
        self.definitions: dict[str, Term] = {}
        self.vocab: str | None = None

    def add(self, context: Mapping[str, Any]) -> None:
        """One more context after those before. Raises _NotSimple."""
        for key, value in context.items():
            if key[:1] == "@":
                if key == "@vocab":
                    if value is not None and not (isinstance(value, str) and _ABSOLUTE.match(value)):
                        raise _NotSimple
                elif not ((key == "@version" and value == 1.1 and value is not True) or (key == "@protected" and value is False)):
                    raise _NotSimple
        if "@vocab" in context:
            vocab = context["@vocab"]
            if vocab is not None and (vocab in context or vocab.partition(":")[0] in self.definitions or vocab in self.definitions):
                raise _NotSimple  # a compact IRI
            self.vocab = vocab
        done: dict[str, bool] = {}
        for name in context:
            if name[:1] != "@":
                self._define(name, context, done)

    def _define(self, name: str, context: Mapping[str, Any], done: dict[str, bool]) -> None:
        state = done.get(name)
        if state is True:
            return
        if state is False or not name or len(done) > MAX_TERMS:
            raise _NotSimple  # a circle
        done[name] = False
        self.definitions.pop(name, None)
        value = context[name]
        simple = value is None or isinstance(value, str)
        term: Mapping[str, Any] = {"@id": value} if simple else value
        if not isinstance(term, dict) or not _SIMPLE_KEYS.issuperset(term):
            raise _NotSimple
        iri, prefix = self._target(name, term, simple, context, done)
        coerced, container = term.get("@type"), term.get("@container")
        if coerced is not None or "@type" in term:
            if not isinstance(coerced, str):
                raise _NotSimple
            coerced = self._resolve(coerced, context, done)
            if coerced is None or (coerced not in ("@id", "@vocab", "@json", "@none") and not _ABSOLUTE.match(coerced)) or coerced[:2] == "_:":
                raise _NotSimple
        if "@container" in term and not (isinstance(container, str) and container in _SIMPLE_CONTAINERS):
            raise _NotSimple
        if "@prefix" in term:
            if not isinstance(term["@prefix"], bool) or ":" in name or "/" in name or iri is None or iri[:1] == "@":
                raise _NotSimple
            prefix = term["@prefix"]
        if not isinstance(term.get("@language", ""), str | None):
            raise _NotSimple
        self.definitions[name] = Term(iri, coerced, frozenset((container,)) if container else frozenset(), prefix)
        done[name] = True

    def _target(self, name: str, term: Mapping[str, Any], simple: bool, context: Mapping[str, Any], done: dict[str, bool]) -> tuple[str | None, bool]:
        """The IRI of a name, and whether it is a prefix by its form."""
        colon = name.find(":")
        if "@id" in term and term["@id"] != name:
            target = term["@id"]
            if target is None:
                return None, False
            if not isinstance(target, str):
                raise _NotSimple
            iri = self._resolve(target, context, done)
            if iri is None or iri in ("@context", "@preserve") or not (_ABSOLUTE.match(iri) or iri in _KEYWORDS) or (colon >= 0 or "/" in name):
                raise _NotSimple
            return iri, simple and (iri.startswith("_:") or iri.endswith(_DELIMITERS))
        if colon > 0 or "/" in name:
            raise _NotSimple
        if self.vocab is None:
            raise _NotSimple
        return self.vocab + name, False

    def _resolve(self, value: str, context: Mapping[str, Any], done: dict[str, bool]) -> str | None:
        """IRI expansion while the context is read: what the value needs is defined first."""
        if value in context and value[:1] != "@":
            self._define(value, context, done)
        colon = value.find(":")
        if colon > 0 and value not in self.definitions and not value.startswith("//", colon + 1) and value[:colon] in context:
            self._define(value[:colon], context, done)
        return _expand(value, self.definitions, self.vocab)


@cache
def core_document() -> dict[str, Any]:
    """The packaged core context as it is served: {"@context": {…}}."""
    return {"@context": orjson.loads((PACKAGED / "ngsi-ld-core-context-v1.9.jsonld").read_bytes())["@context"]}


@cache
def _core() -> tuple[dict[str, Term], str]:
    """The terms of the core context and its vocabulary."""
    # The one scoped context (of sealed entities) is left out: it draws in an address of its own and no name outside a seal.
    plain = {
        name: {key: part for key, part in term.items() if key != "@context"} if isinstance(term, dict) else term
        for name, term in core_document()["@context"].items()
        if name != "@protected"
    }
    simple = _Simple()
    simple.add(plain)
    return simple.definitions, DEFAULT_VOCAB


def _compile(key: bytes, source: Any, flat: Flat) -> TermMap:
    """The tables of contexts that are at hand. Raises BadRequestData for what is no context."""
    simple = _Simple()
    scopes: dict[str, Any] = {}
    try:
        for context in flat.contexts:
            if context is None:
                simple = _Simple()
            else:
                simple.add(context)
        definitions = simple.definitions
    except _NotSimple:
        definitions, scopes = _whole(flat)
    terms, vocab = _core()
    definitions.update(terms)
    return TermMap(key, source, flat, definitions, vocab, {name: scope for name, scope in scopes.items() if name not in terms})


def _whole(flat: Flat) -> tuple[dict[str, Term], dict[str, Any]]:
    """The same through PyLD, for contexts of any form: the terms, and the contexts that are scoped to some of them."""
    from cachetools import LRUCache  # what PyLD loads takes a tenth of a second, and few brokers ever need it
    from pyld import jsonld  # type: ignore[import-untyped]
    from pyld.context_resolver import ContextResolver  # type: ignore[import-untyped]

    def load(url: str, _options: Any) -> dict[str, Any]:
        if is_core(url):
            return {"contextUrl": None, "documentUrl": url, "document": {"@context": {}}}
        return {"contextUrl": None, "documentUrl": url, "document": {"@context": flat.documents[url]}}

    options = {"base": "", "processingMode": "json-ld-1.1", "documentLoader": load, "contextResolver": ContextResolver(LRUCache(maxsize=100), load)}
    processor = jsonld.JsonLdProcessor()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            active = processor.process_context({"processingMode": "json-ld-1.1", "mappings": {}}, list(flat.contexts), options)
    except jsonld.JsonLdError as error:
        raise bad_request(f"the @context is not valid JSON-LD: {error.code or error.args[0]}", "Invalid @context") from None
    definitions, scopes = {}, {}
    for name, found in active["mappings"].items():
        container = found.get("@container") or ()
        definitions[name] = Term(found["@id"], found.get("@type"), frozenset(container), bool(found["_prefix"]), bool(found["reverse"]))
        if "@context" in found:
            scopes[name] = found["@context"]
    return definitions, scopes


Hosted = Callable[[str, str], Any]
Fetch = Callable[[str], Awaitable[Any]]


class Contexts:
    """Every context that the broker has met, compiled.

    Parameters
    ----------
    map     address → file that is read instead of it (--context-map)
    hosted  (address, tenant) → the context that the broker itself serves or has kept under it, or None
    fetch   address → document, awaited, for every other address; None: nothing is fetched
    """

    def __init__(self, map: Mapping[str, Path] | None = None, hosted: Hosted | None = None, fetch: Fetch | None = None) -> None:
        self.map, self.hosted, self.fetch = dict(map or {}), hosted, fetch
        self._maps: OrderedDict[Any, TermMap] = OrderedDict()
        self.core = _compile(b"", CORE_URL, Flat([], {}, frozenset()))

    def known(self, context: Any, tenant: str = "") -> TermMap | None:
        """The map of a context that has been compiled before, without waiting; for the hot path."""
        if context is None:
            return self.core
        key = canonical(context)
        found = self._maps.get(key) or self._maps.get((tenant, key))
        return found

    async def term_map(self, context: Any, tenant: str = "") -> TermMap:
        """The map of a user context: an address, an object, a list of both, or None for the core context alone.

        Raises BadRequestData for what is no context, LdContextNotAvailable for an address that cannot be had.
        """
        if context is None:
            return self.core
        key = canonical(context)
        found = self._maps.get(key) or self._maps.get((tenant, key))
        if found is None:
            flat, own = await self._gather(context, tenant)
            found = _compile(key, _given(context), flat)
            self._maps[(tenant, key) if own else key] = found
            while len(self._maps) > MAX_MAPS:
                self._maps.popitem(last=False)
        return found

    def forget(self, url: str) -> None:
        """Drops what was compiled with this address, after the context behind it has changed or gone."""
        for key in [key for key, terms in self._maps.items() if url in terms.urls]:
            del self._maps[key]

    async def _gather(self, context: Any, tenant: str) -> tuple[Flat, bool]:
        """Every document that the context draws in, in order; and whether one of them belongs to the tenant."""
        documents: dict[str, Any] = {}
        flat: list[dict[str, Any] | None] = []
        own = False

        async def walk(part: Any, base: str, path: tuple[str, ...], out: list[dict[str, Any] | None] | None) -> None:
            nonlocal own
            if isinstance(part, list):
                for each in part:
                    await walk(each, base, path, out)
            elif isinstance(part, str):
                url = urljoin(base, part) if base else part
                if is_core(url):
                    return
                if url in path:
                    raise bad_request(f"{url} includes itself", "Invalid @context")
                if url not in documents:
                    if len(documents) >= MAX_DOCUMENTS:
                        raise bad_request(f"found more than {MAX_DOCUMENTS} addresses in one @context", "Invalid @context")
                    document, hosted = await self._document(url, tenant)
                    documents[url], own = document, own or hosted
                await walk(documents[url], url, (*path, url), out)
            elif part is None:
                if out is not None:
                    out.append(None)
            elif isinstance(part, dict):
                if out is not None:
                    out.append(part)
            else:
                raise bad_request(f"found {type(part).__name__}; expected an address, an object or a list", "Invalid @context")

        await walk(context, "", (), flat)
        return Flat(flat, documents, frozenset(documents)), own

    async def _document(self, url: str, tenant: str) -> tuple[Any, bool]:
        """The @context behind an address, and whether it is the tenant's own."""
        path = self.map.get(url)
        if path is not None:
            try:
                return _content(url, orjson.loads(await asyncio.to_thread(path.read_bytes))), False
            except (OSError, orjson.JSONDecodeError) as error:
                raise context_not_available(url, f"the file that is mapped to it cannot be read ({type(error).__name__})") from None
        document = self.hosted(url, tenant) if self.hosted is not None else None
        if document is not None:
            return _content(url, document), True
        if self.fetch is None:
            raise context_not_available(url, "it is not in the context map, and nothing is fetched (--context-map, --fetch-contexts)")
        return _content(url, await self.fetch(url)), False


def canonical(context: Any) -> bytes:
    """The same bytes for the same context, whatever the order of its keys.

    >>> canonical({"b": "x:b", "a": "x:a"}) == canonical({"a": "x:a", "b": "x:b"})
    True
    """
    if isinstance(context, list) and len(context) == 1:
        context = context[0]
    try:
        return orjson.dumps(context, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise bad_request("the @context is no JSON", "Invalid @context") from None


def _given(context: Any) -> Any:
    """The context as it is given out again: a list of one is its one."""
    return context[0] if isinstance(context, list) and len(context) == 1 else context


def _content(url: str, document: Any) -> Any:
    """What a document says under @context. Raises BadRequestData if it says nothing."""
    if not isinstance(document, dict) or "@context" not in document:
        raise bad_request(f"{url} is no JSON-LD context: it has no @context", "Invalid @context")
    return document["@context"]


def load_map(entries: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Pairs of address and file, checked: each file is there. Raises Problem."""
    found = {}
    for url, path in entries:
        if not path.is_file():
            raise Problem("BadRequestData", "Context map", f"{url}: no file {path}")
        found[url] = path
    return found
