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
import itertools
import re
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import cache
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

import msgspec

from kiban.base.errors import KibanError
from kiban.linkage.broker.late import Late
from kiban.linkage.errors import Problem, bad_request, context_not_available

if TYPE_CHECKING:
    import yaml
else:
    yaml = Late("yaml")

PACKAGED = Path(__file__).parents[2] / "data" / "contexts"
CORE_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
DEFAULT_VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"
# Every published version is answered by the packaged one: a name never changed its meaning since v1.3, names were added.
_CORE = re.compile(r"https?://uri\.etsi\.org/ngsi-ld/v1/ngsi-ld-core-context(?:-v1\.[0-9](?:\.[0-9])?)?\.jsonld\Z")

_SERIALS = itertools.count()
MAX_MAPS = 512  # compiled contexts kept
MAX_DOCUMENTS = 32  # remote contexts that one context may draw in
MAX_DEPTH = 16  # contexts inside contexts
MAX_MEMO = 8192  # names remembered per context beyond its own terms
MAX_NAME = 512  # a longer name is worked out each time

_KEYWORDS = frozenset(
    "@" + name
    for name in (
        *("base", "container", "context", "direction", "graph", "id", "import", "included", "index", "json", "language", "list"),
        *("nest", "none", "prefix", "propagate", "protected", "reverse", "set", "type", "value", "version", "vocab"),
    )
)
_LIKE_KEYWORD = re.compile(r"@[A-Za-z]+\Z")
_WEB = re.compile(r"https?://[^\s/]\S*\Z")
_ABSOLUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*|_):\S*\Z")
_SIMPLE_KEYS = frozenset(("@id", "@type", "@container", "@language", "@prefix"))
_SIMPLE_CONTAINERS = frozenset(("@language", "@list", "@set", "@index"))
_DELIMITERS = tuple(":/?#[]@")


def is_core(url: str) -> bool:
    """Whether the address is that of a published core context.

    >>> is_core(CORE_URL), is_core("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-no-such.jsonld")
    (True, False)
    """
    return _CORE.match(url) is not None


class Term(NamedTuple):
    """What a context says about one name: its IRI (None: the name is dropped), coercion, containers, whether it is a prefix, whether
    it is for the other direction (@reverse), and whether it is for texts of one language or direction only."""

    iri: str | None
    type: str | None = None
    container: frozenset[str] = frozenset()
    prefix: bool = False
    reverse: bool = False
    worded: bool = False


class Flat(NamedTuple):
    """A user context with everything that it draws in.

    contexts   objects in order (or None, which forgets those before), no address left at the top level
    documents  address → its @context, for those that are scoped to a name or imported
    urls       what was drawn in, by the names under which it is counted and forgotten
    """

    contexts: list[dict[str, Any] | None]
    documents: dict[str, Any]
    urls: frozenset[str]


class Document(NamedTuple):
    """A context that the broker keeps: its content, whether one tenant alone may see it, and the name under which it is counted."""

    content: Any
    private: bool
    name: str


class _NotSimple(Exception):
    """This context needs the whole of JSON-LD, or is wrong: PyLD decides."""


class _Memo(dict[str, str]):
    """Answers worked out once, at most MAX_MEMO of them."""

    __slots__ = ("work",)

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
    serial  another number for each map: what is remembered of a map must not outlive it, as the same address may say something else later
    urls    every context that was drawn in, for counting uses and for forgetting
    uses    how many requests have named it, and when the last one did (seconds since 1970)
    """

    __slots__ = (
        "__weakref__",
        "_best",
        "_inner",
        "_prefixes",
        "definitions",
        "flat",
        "iris",
        "key",
        "scopes",
        "serial",
        "source",
        "terms",
        "urls",
        "used",
        "uses",
        "vocab",
    )

    def __init__(self, key: Hashable, source: Any, flat: Flat, definitions: dict[str, Term], vocab: str | None, scopes: dict[str, Any]) -> None:
        self.key, self.source, self.flat, self.urls = key, source, flat, flat.urls
        self.definitions, self.vocab, self.scopes = definitions, vocab, scopes
        self.iris: dict[str, str] = _Memo(self._iri)
        self.terms: dict[str, str] = _Memo(self._term)
        self._best: dict[str, str] | None = None
        self._prefixes: list[tuple[str, str]] = []
        self._inner: dict[str, TermMap] = {}
        self.serial = next(_SERIALS)
        self.uses, self.used = 0, 0.0

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
            flat = self.flat._replace(contexts=[*self.flat.contexts, *_flat(self.scopes[name], self.flat.documents)])
            inner = self._inner[name] = _compile((self.key, name), self.source, flat)
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
    kind = 0 if term.type == "@id" else 1 if term.type is None and not term.worded else 2
    return (container == 3 or kind == 2, container, kind, len(name), name)


def _invert(definitions: Mapping[str, Term]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """IRI → its best name, and the prefixes as (IRI, name)."""
    best: dict[str, str] = {}
    prefixes = []
    for name, term in definitions.items():
        iri = term.iri
        if iri is None:
            continue
        if term.prefix and ":" not in name:
            prefixes.append((iri, name))
        if term.reverse:
            continue
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
        if state is False or not name:
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
        self.definitions[name] = Term(
            iri, coerced, frozenset((container,)) if container else frozenset(), prefix, worded="@language" in term and coerced is None
        )
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
    return {"@context": msgspec.json.decode((PACKAGED / "ngsi-ld-core-context-v1.9.jsonld").read_bytes())["@context"]}


@cache
def _plain_core() -> dict[str, Any]:
    """The core context for working with: without protection, as it wins by coming last, and without its one scoped context
    (of sealed entities), which draws in an address of its own and no name outside a seal."""
    return {
        name: {key: part for key, part in term.items() if key != "@context"} if isinstance(term, dict) else term
        for name, term in core_document()["@context"].items()
        if name != "@protected"
    }


@cache
def _core() -> dict[str, Term]:
    """The terms of the core context."""
    simple = _Simple()
    simple.add(_plain_core())
    return simple.definitions


def _compile(key: Hashable, source: Any, flat: Flat) -> TermMap:
    """The tables of contexts that are at hand. Raises BadRequestData for what is no context."""
    try:
        definitions, scopes = _define(flat)
    except Problem as refused:
        # Many contexts use names of the core context (DateTime, ngsi-ld:…) as if it came first.
        try:
            definitions, scopes = _define(flat._replace(contexts=[_plain_core(), *flat.contexts]))
        except Problem:
            raise refused from None
    core = _core()
    definitions.update(core)
    return TermMap(key, source, flat, definitions, DEFAULT_VOCAB, {name: scope for name, scope in scopes.items() if name not in core})


def _define(flat: Flat) -> tuple[dict[str, Term], dict[str, Any]]:
    """The terms, and the contexts that are scoped to some of them."""
    simple = _Simple()
    try:
        for context in flat.contexts:
            if context is None:
                simple = _Simple()
            elif context is _plain_core():
                simple.definitions.update(_core())
                simple.vocab = DEFAULT_VOCAB
            else:
                simple.add(context)
    except _NotSimple:
        return _whole(flat)
    return simple.definitions, {}


def _whole(flat: Flat) -> tuple[dict[str, Term], dict[str, Any]]:
    """The same through PyLD, for contexts of any form: the terms, and the contexts that are scoped to some of them."""
    from cachetools import LRUCache  # what PyLD loads takes a tenth of a second, and few brokers ever need it
    from pyld import jsonld  # type: ignore[import-untyped]
    from pyld.context_resolver import ContextResolver  # type: ignore[import-untyped]

    def load(url: str, _options: Any) -> dict[str, Any]:
        if is_core(url):
            return {"contextUrl": None, "documentUrl": url, "document": {"@context": _plain_core()}}
        return {"contextUrl": None, "documentUrl": url, "document": {"@context": flat.documents[url]}}

    # PyLD stumbles over taking away a vocabulary that is not there, and over protection that is switched off.
    parts: list[dict[str, Any] | None] = []
    vocab = False
    for context in flat.contexts:
        if context is None:
            vocab = False
        else:
            without = {"@vocab"} if context.get("@vocab", "") is None and not vocab else set()
            without |= {"@protected"} if context.get("@protected") is False else set()
            context = {key: value for key, value in context.items() if key not in without} if without else context
            vocab = context["@vocab"] is not None if "@vocab" in context else vocab
        parts.append(context)
    options = {"base": "", "processingMode": "json-ld-1.1", "documentLoader": load, "contextResolver": ContextResolver(LRUCache(maxsize=100), load)}
    processor = jsonld.JsonLdProcessor()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            active = processor.process_context({"processingMode": "json-ld-1.1", "mappings": {}}, parts, options)
    except jsonld.JsonLdError as error:
        raise bad_request(f"the @context is not valid JSON-LD: {error.code or error.args[0]}", "Invalid @context") from None
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        # PyLD checks most members, not all, before it works with them.
        raise bad_request("the @context is not valid JSON-LD", "Invalid @context") from None
    definitions, scopes = {}, {}
    for name, found in active["mappings"].items():
        container = found.get("@container") or ()
        definitions[name] = Term(
            found["@id"],
            found.get("@type"),
            frozenset(container),
            bool(found["_prefix"]),
            bool(found["reverse"]),
            "@language" in found or "@direction" in found,
        )
        if "@context" in found:
            scopes[name] = found["@context"]
    return definitions, scopes


def _flat(context: Any, documents: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """The objects of a context in order, its addresses replaced by what lies behind them."""
    if isinstance(context, list):
        return [each for part in context for each in _flat(part, documents)]
    if isinstance(context, str):
        return [_plain_core()] if is_core(context) else _flat(documents[context], documents)
    return [context]


Hosted = Callable[[str, str], Document | None]
Fetch = Callable[[str], Awaitable[bytes]]
Kept = Callable[[str, Any], Awaitable[None]]


class Contexts:
    """Every context that the broker has met, compiled.

    Parameters
    ----------
    map     address → file that is read instead of it (--context-map)
    hosted  (address, tenant) → what the broker itself keeps under it, or None
    fetch   address → document, awaited, for every other address; None: nothing is fetched
    kept    told address and @context of each document that came from a file of the map or was fetched
    """

    def __init__(self, map: Mapping[str, Path] | None = None, hosted: Hosted | None = None, fetch: Fetch | None = None, kept: Kept | None = None) -> None:
        self.map, self.hosted, self.fetch, self.kept = dict(map or {}), hosted, fetch, kept
        self.core = _compile(None, CORE_URL, Flat([], {}, frozenset()))
        self._maps: OrderedDict[Any, TermMap] = OrderedDict()
        self._counted: dict[str, tuple[int, float]] = {}  # of maps that are gone
        self._fetching: dict[str, asyncio.Task[bytes]] = {}

    def known(self, context: Any, tenant: str = "") -> TermMap | None:
        """The map of a context that has been compiled before, without waiting; for the hot path. Counts as a use."""
        if context is None:
            return self.core
        key: Hashable = canonical(context)
        found = self._maps.get(key)
        if found is None:
            key = (tenant, key)
            found = self._maps.get(key)
            if found is None:
                return None
        self._maps.move_to_end(key)
        found.uses += 1
        found.used = time()
        return found

    async def term_map(self, context: Any, tenant: str = "") -> TermMap:
        """The map of a user context: an address, an object, a list of both, or None for the core context alone. Counts as a use.

        Raises BadRequestData for what is no context, LdContextNotAvailable for an address that cannot be had.
        """
        found = self.known(context, tenant)
        if found is None:
            flat, private = await self._gather(context, tenant)
            key = canonical(context)
            found = _compile(key, context[0] if isinstance(context, list) and len(context) == 1 else context, flat)
            found.uses, found.used = 1, time()
            self._maps[(tenant, key) if private else key] = found
            if len(self._maps) > MAX_MAPS:
                self._drop(next(iter(self._maps)))
        return found

    def check(self, context: Any) -> None:
        """Compiles a context as far as this is possible without looking behind addresses. Raises BadRequestData."""
        for part in context if isinstance(context, list) else [context]:
            if not isinstance(part, str | dict | None):
                raise _no_context(part)
        if not _addresses(context):
            _compile(None, None, Flat(_flat(context, {}), {}, frozenset()))

    def uses(self, name: str) -> tuple[int, float]:
        """How often a context was used since the broker started, and when last (seconds since 1970; 0.0: never)."""
        count, last = self._counted.get(name, (0, 0.0))
        for terms in self._maps.values():
            if name in terms.urls:
                count, last = count + terms.uses, max(last, terms.used)
        return count, last

    def used(self) -> dict[str, float]:
        """When each context that was used since the broker started was used last (seconds since 1970)."""
        found = {name: last for name, (_, last) in self._counted.items()}
        for terms in self._maps.values():
            for name in terms.urls:
                found[name] = max(found.get(name, 0.0), terms.used)
        return found

    def count(self, name: str) -> None:
        """One more use that is not a request with this context, such as giving it out."""
        self._counted[name] = self._counted.get(name, (0, 0.0))[0] + 1, time()

    def forget(self, name: str, *, gone: bool = True) -> None:
        """Drops what was compiled with this context after it has changed; gone: its count of uses, too."""
        for key in [key for key, terms in self._maps.items() if name in terms.urls]:
            self._drop(key)
        if gone:
            self._counted.pop(name, None)

    def clear(self) -> None:
        """Drops every compiled context: another worker has changed some of them."""
        for key in list(self._maps):
            self._drop(key)

    def _drop(self, key: Any) -> None:
        terms = self._maps.pop(key)
        for name in terms.urls:
            count, last = self._counted.get(name, (0, 0.0))
            self._counted[name] = count + terms.uses, max(last, terms.used)

    async def _gather(self, context: Any, tenant: str) -> tuple[Flat, bool]:
        """Everything that the context draws in, and whether some of it belongs to the tenant alone."""
        documents: dict[str, Any] = {}
        names: set[str] = set()
        private = False

        async def load(part: Any, path: tuple[str, ...]) -> Any:
            """The part with absolute addresses, after all that it names has been read into `documents`."""
            nonlocal private
            if isinstance(part, list):
                if any(isinstance(each, list) for each in part):
                    raise _no_context(part)
                return [await load(each, path) for each in part]
            if isinstance(part, dict):
                if len(path) > MAX_DEPTH:
                    raise bad_request(f"found a @context that is nested more than {MAX_DEPTH} times", "Invalid @context")
                changed = {}
                if isinstance(part.get("@import"), str):
                    changed["@import"] = await load(part["@import"], (*path, ""))
                for name, term in part.items():
                    if isinstance(term, dict) and "@context" in term:
                        changed[name] = {**term, "@context": await load(term["@context"], (*path, ""))}
                return {**part, **changed} if changed else part
            if part is None:
                return None
            if not isinstance(part, str):
                raise _no_context(part)
            url = urljoin(next((each for each in reversed(path) if each), ""), part)
            if is_core(url):
                return url
            if url in path and "" not in path[path.index(url) :]:
                raise bad_request(f"{url} includes itself", "Invalid @context")
            if url not in documents:
                if len(documents) >= MAX_DOCUMENTS or len(path) > MAX_DEPTH:
                    raise bad_request(f"found more than {MAX_DOCUMENTS} addresses in one @context, or {MAX_DEPTH} inside each other", "Invalid @context")
                found = await self._document(url, tenant)
                private = private or found.private
                names.add(found.name)
                documents[url] = found.content  # a context that is scoped to a name may lead back to this one
                documents[url] = await load(found.content, (*path, url))
            return url

        whole = await load(context, ())
        return Flat(_flat(whole, documents), documents, frozenset(names)), private

    async def _document(self, url: str, tenant: str) -> Document:
        """What lies behind an address."""
        if url not in self.map:
            kept = self.hosted(url, tenant) if self.hosted is not None else None
            if kept is not None:
                return kept
        content = await self.renew(url)
        if self.kept is not None:
            await self.kept(url, content)
        return Document(content, False, url)

    async def renew(self, url: str) -> Any:
        """The @context behind an address, from the file of the map or fetched, whatever is kept.

        Raises LdContextNotAvailable, or BadRequestData if there is something else than a context.
        """
        path = self.map.get(url)
        if path is not None:
            try:
                return _content(url, await asyncio.to_thread(path.read_bytes))
            except OSError as error:
                raise context_not_available(url, f"the file that is mapped to it cannot be read ({type(error).__name__})") from None
        if not _WEB.match(url):
            raise bad_request(f"found {url[:200]!r}; expected an absolute address such as https://example.org/context.jsonld", "Invalid @context")
        if self.fetch is None:
            raise context_not_available(url, "it is not in the context map, and nothing is fetched (--context-map, --fetch-contexts)")
        task = self._fetching.get(url)
        if task is None:
            # One fetch for all that wait for it; it ends in its own time, even if the first of them goes away.
            task = self._fetching[url] = asyncio.ensure_future(self.fetch(url))
            task.add_done_callback(lambda done: self._fetched(url, done))
        return _content(url, await asyncio.shield(task))

    def _fetched(self, url: str, task: asyncio.Task[bytes]) -> None:
        del self._fetching[url]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits for it any more


def _no_context(part: object) -> Problem:
    found = {bool: "a boolean", int: "a number", float: "a number", list: "a list in a list"}.get(type(part), type(part).__name__)
    return bad_request(f"found {found}; expected an address, an object, null or a list of those", "Invalid @context")


def _addresses(context: Any) -> bool:
    """Whether something lies behind an address anywhere in the context, that of the core context apart."""
    if isinstance(context, str):
        return not is_core(context)
    if isinstance(context, list):
        return any(map(_addresses, context))
    if isinstance(context, dict):
        return "@import" in context or any(isinstance(term, dict) and _addresses(term.get("@context")) for term in context.values())
    return False


def canonical(context: Any) -> str | bytes:
    """The same key for the same context, whatever the order of its members.

    >>> canonical({"b": "x:b", "a": "x:a"}) == canonical({"a": "x:a", "b": "x:b"})
    True
    """
    if isinstance(context, list) and len(context) == 1 and not isinstance(context[0], list):
        context = context[0]
    if isinstance(context, str):
        return context
    try:
        return msgspec.json.encode(context, order="sorted")
    except (TypeError, UnicodeEncodeError):
        raise bad_request("the @context is no JSON", "Invalid @context") from None


def _content(url: str, document: bytes) -> Any:
    """What a document says under @context. Raises BadRequestData if it says nothing."""
    try:
        whole = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_request(f"{url} is no JSON", "Invalid @context") from None
    if not isinstance(whole, dict) or "@context" not in whole:
        raise bad_request(f"{url} is no JSON-LD context: it has no @context", "Invalid @context")
    return whole["@context"]


def read_map(path: Path) -> dict[str, Path]:
    """A context map: a YAML or JSON file {address: file}, files relative to its folder. Each file is there, or KibanError says which is not.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "own.jsonld").write_text('{"@context": {}}')
    >>> _ = (folder / "map.yaml").write_text("https://example.org/c.jsonld: own.jsonld")
    >>> [(url, file.name) for url, file in read_map(folder / "map.yaml").items()]
    [('https://example.org/c.jsonld', 'own.jsonld')]
    """
    fits, found = "a file {address of a @context: file}, YAML or JSON", {}
    try:
        entries = yaml.safe_load(path.read_bytes())
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        found_there = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise KibanError(str(path), found_there, fits, "correct the name or the file") from None
    if not isinstance(entries, dict):
        raise KibanError(str(path), type(entries).__name__, fits)
    for url, file in entries.items():
        if not isinstance(url, str) or not isinstance(file, str) or not (path.parent / file).is_file():
            raise KibanError(str(path), f"{url!r}: {file!r}", "the address of a @context and a file that is there", "paths start from the folder of this file")
        found[url] = path.parent / file
    return found
