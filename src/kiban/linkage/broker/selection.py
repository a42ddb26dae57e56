"""What to select, project and order: the small languages of NGSI-LD (ETSI GS CIM 009 v1.9.1, 4.11, 4.17, 4.19, 4.21 and 4.23).

Each `parse_…` takes the text of one parameter, already URL-decoded, and gives a frozen object; what is not well formed raises
`Problem("BadRequestData")` that names the parameter, the place and what was expected. The query language itself (q, 4.9) is in `query`,
geography (4.10) in `geo`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from kiban.linkage.broker import times
from kiban.linkage.broker.patterns import Pattern, compile_pattern
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request, too_complex

Entity = dict[str, Any]
Matches = Callable[[Entity], bool]

MAX_TEXT: Final = 16_384
MAX_PARTS: Final = 1_000
SYSTEM_TIMES: Final = frozenset({"createdAt", "modifiedAt", "deletedAt", "expiresAt"})
TIME_MEMBERS: Final = SYSTEM_TIMES | {"observedAt"}
# Members of an instance that a path may end in; everything else is a sub-attribute.
MEMBERS: Final = TIME_MEMBERS | {"unitCode", "datasetId", "objectType", "instanceId"}
_IRI_HEAD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Terms(Protocol):
    """What the languages need of an @context: names and values of the request as full names."""

    def expand(self, term: str) -> str:
        """The IRI of an attribute name."""
        ...

    def expand_type(self, term: str) -> str:
        """The IRI of an entity type."""
        ...

    def expand_vocab(self, value: str) -> str:
        """The IRI of a value of a VocabProperty."""
        ...


class Full:
    """Names that are full ones already."""

    @staticmethod
    def expand(name: str) -> str:
        """The name itself."""
        return name

    expand_type = expand_vocab = expand


FULL: Final = Full()


def limited(text: str, where: str) -> str:
    """The text, if it is short enough to be read at all; TooComplexQuery otherwise."""
    if len(text) > MAX_TEXT:
        raise too_complex(f"{where}: found {len(text)} characters; at most {MAX_TEXT} are read")
    return text


def wrong(where: str, text: str, at: int, expected: str) -> Problem:
    """BadRequestData that shows the place in the text."""
    found = repr(text[at : at + 40]) if at < len(text) else "the end"
    return bad_request(f"{where}: found {found} at character {at + 1} of {text[:200]!r}; expected {expected}")


def split_path(text: str) -> list[str]:
    """A dotted path as its names; the dots within a full name (an IRI with //) are part of it, up to its last / or #.

    >>> split_path("speed.observedAt"), split_path("https://a.example/x#speed.observedAt")
    (['speed', 'observedAt'], ['https://a.example/x#speed', 'observedAt'])
    """
    if "://" not in text:
        return text.split(".")
    out: list[str] = []
    while text:
        if _IRI_HEAD.match(text):
            later = re.search(r"\.[A-Za-z][A-Za-z0-9+-]*://", text[1:])
            run, text = (text[: later.start() + 1], text[later.start() + 2 :]) if later else (text, "")
            cut = max(run.rfind("/"), run.rfind("#")) + 1
            first, *more = run[cut:].split(".")
            out += [run[:cut] + first, *more]
        else:
            name, _, text = text.partition(".")
            out.append(name)
    return out


# ---------------------------------------------------------------------------------------------------------------- entity types (4.17)


@dataclass(frozen=True)
class TypeQ:
    """A selection of entity types as a disjunction of conjunctions of IRIs; no alternatives at all (`type=*`) means every type.

    `matches(entity)` says whether the entity has all types of one alternative.
    """

    text: str
    alternatives: tuple[tuple[str, ...], ...]
    matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", self._compile())

    @property
    def wildcard(self) -> bool:
        """Whether every type is selected."""
        return not self.alternatives

    @property
    def names(self) -> frozenset[str]:
        """All types that are named."""
        return frozenset(name for each in self.alternatives for name in each)

    def _compile(self) -> Matches:
        if self.wildcard:
            return lambda _entity: True
        singles = frozenset(each[0] for each in self.alternatives if len(each) == 1)
        several = tuple(frozenset(each) for each in self.alternatives if len(each) > 1)
        if len(singles) == 1 and not several:
            (only,) = singles
            return lambda entity: only in entity["type"]
        return lambda entity: not singles.isdisjoint(entity["type"]) or any(each.issubset(entity["type"]) for each in several)


def parse_types(text: str, terms: Terms) -> TypeQ:
    """`A,B` or `A|B`: either; `(A;B)`: both; `*`: any type. A conjunction may stand without parentheses, too.

    Parentheses may be nested. Full names are taken as they are, unless they have one of the signs , ; | ( ).

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> parse_types("(Home;Vehicle),Motorhome", Plain()).alternatives
    (('ex:Home', 'ex:Vehicle'), ('ex:Motorhome',))
    """
    if limited(text, "type").strip() == "*":
        return TypeQ(text, ())

    def name(word: str, at: int) -> str:
        if not re.match(r"[^\W\d_]|_|@", word) or re.search(r"[\s<>\"{}]", word):
            raise wrong("type", text, at, "an entity type")
        return terms.expand_type(word)

    return TypeQ(text, _alternatives(text, "type", name))


def _alternatives(text: str, where: str, leaf: Callable[[str, int], str]) -> tuple[tuple[str, ...], ...]:
    """A formula of ; (and), , or | (or) and parentheses as its disjunctive normal form, duplicates removed."""
    at, depth = 0, 0

    def either() -> list[tuple[str, ...]]:
        nonlocal at
        found = both()
        while at < len(text) and text[at] in ",|":
            at += 1
            found = found + both()
        return found

    def both() -> list[tuple[str, ...]]:
        nonlocal at
        found = one()
        while text.startswith(";", at):
            at += 1
            more = one()
            if len(found) * len(more) > MAX_PARTS:
                raise too_complex(f"{where}: more than {MAX_PARTS} alternatives")
            found = [(*left, *right) for left in found for right in more]
        return found

    def one() -> list[tuple[str, ...]]:
        nonlocal at, depth
        if text.startswith("(", at):
            at += 1
            depth += 1
            if depth > 20:
                raise too_complex(f"{where}: more than 20 parentheses in each other")
            found = either()
            if not text.startswith(")", at):
                raise wrong(where, text, at, "a sign , | ; or )")
            at += 1
            depth -= 1
            return found
        word = re.compile(r"[^,|;()]*").match(text, at)
        assert word is not None
        if not word[0]:
            raise wrong(where, text, at, "a name")
        start, at = at, word.end()
        return [(leaf(word[0], start),)]

    found = either()
    if at < len(text):
        raise wrong(where, text, at, "a sign , | or ;")
    if len(found) > MAX_PARTS:
        raise too_complex(f"{where}: more than {MAX_PARTS} alternatives")
    return tuple(dict.fromkeys(tuple(dict.fromkeys(each)) for each in found))


# ---------------------------------------------------------------------------------------------------------------------- scopes (4.19)


@dataclass(frozen=True)
class ScopeQ:
    """A selection by scope as a disjunction of conjunctions of scope patterns such as `/a`, `/a/+/b` and `/a/#`.

    A pattern without wildcard selects that very scope, not those below; `/a/#` selects `/a` and all below; `/#` any scope.
    `matches(entity)` compares with each of the entity's scopes.
    """

    text: str
    alternatives: tuple[tuple[str, ...], ...]
    matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", self._compile())

    def _compile(self) -> Matches:
        tests = tuple(tuple(_scope_test(each) for each in conjunction) for conjunction in self.alternatives)

        def matches(entity: Entity) -> bool:
            scopes = entity.get("scope")
            if not scopes:
                return False
            return any(all(any(test(scope) for scope in scopes) for test in conjunction) for conjunction in tests)

        return matches


def scope_pattern(scope: str) -> str:
    """A scope of a query as a regular expression that Python and PostgreSQL read alike.

    >>> scope_pattern("/Madrid/+/Parque/#")
    '^/Madrid/[^/]+/Parque(/.*)?$'
    """
    if scope == "/#":
        return "^/"
    levels = scope.removesuffix("/#").split("/")[1:]
    body = "".join("/" + ("[^/]+" if level == "+" else re.sub(r"([^\w])", r"\\\1", level)) for level in levels)
    return f"^{body}{'(/.*)?' if scope.endswith('/#') else ''}$"


def _scope_test(scope: str) -> Callable[[str], bool]:
    if "+" not in scope:
        if scope == "/#":
            return lambda found: found.startswith("/")
        if scope.endswith("/#"):
            top = scope[:-2]
            return lambda found: found == top or found.startswith(top + "/")
        return lambda found: found == scope
    pattern = re.compile(scope_pattern(scope).replace("$", r"\Z"), re.DOTALL)
    return lambda found: pattern.match(found) is not None


def parse_scope(text: str) -> ScopeQ:
    """`/a,/b` or `/a|/b`: either; `(/a;/b)`: both; + stands for one level, # at the end for the scope and all below.

    A scope may lack its first /, as in an example of the standard.

    >>> q = parse_scope("(/Madrid/+/ParqueNorte;/CompanyA/#)|/CompanyB")
    >>> q.matches({"scope": ["/Madrid/Gardens/ParqueNorte", "/CompanyA"]}), q.matches({"scope": ["/CompanyB/Unit"]})
    (True, False)
    """

    def scope(word: str, at: int) -> str:
        full = word if word.startswith("/") else "/" + word
        levels = full[1:].split("/")
        for level in levels[:-1] if levels[-1] == "#" else levels:
            if not level or (level != "+" and re.search(r"[\s+#\"<>{}]", level)):
                raise wrong("scopeQ", text, at, "a scope such as /Madrid/Gardens, /Madrid/+/ParqueNorte or /Madrid/#")
        return full

    return ScopeQ(text, _alternatives(limited(text, "scopeQ"), "scopeQ", scope))


# ------------------------------------------------------------------------------------------------------------------------------- ids


def parse_ids(text: str) -> tuple[str, ...]:
    """The `id` parameter: URIs, separated by commas, each once, in their order.

    >>> parse_ids("urn:a:1,urn:a:2,urn:a:1")
    ('urn:a:1', 'urn:a:2')
    """
    found = limited(text, "id").split(",")
    for each in found:
        if not is_uri(each):
            raise bad_request(f"id: found {each[:200]!r}; expected a URI")
    return tuple(dict.fromkeys(found))


def parse_id_pattern(text: str, where: str = "idPattern") -> Pattern:
    """A regular expression that is searched in ids.

    >>> parse_id_pattern(".*downtown$").search("urn:ngsi-ld:Parking:downtown")
    True
    """
    try:
        return compile_pattern(text)
    except ValueError as error:
        raise bad_request(f"{where}: {error}") from error


# -------------------------------------------------------------------------------------------------------------- temporal queries (4.11)


@dataclass(frozen=True)
class TemporalQ:
    """A window of time: µs since 1970, `low` included and `high` excluded; None is open.

    `property` is the member it is applied to, `last` the number of instances per attribute (None: all).
    """

    relation: str
    low: int | None
    high: int | None
    property: str = "observedAt"

    def holds(self, us: int) -> bool:
        """Whether a time is within the window."""
        return (self.low is None or us >= self.low) and (self.high is None or us < self.high)

    def matches_instance(self, instance: Mapping[str, Any]) -> bool:
        """Whether an instance of an attribute has the time and it is within the window."""
        found = instance.get(self.property)
        if not isinstance(found, str):
            return False
        try:
            return self.holds(times.parse(found))
        except ValueError:
            return False


def parse_temporal(params: Mapping[str, Any]) -> TemporalQ | None:
    """timerel, timeAt, endTimeAt and timeproperty; None where there is neither timerel nor timeAt.

    before excludes its time, after includes it, between includes the first and excludes the second. endTimeAt belongs to between alone.
    timeproperty is observedAt (default), createdAt, modifiedAt or deletedAt.

    >>> window = parse_temporal({"timerel": "between", "timeAt": "2026-01-01T00:00:00Z", "endTimeAt": "2026-01-02T00:00:00Z"})
    >>> [window.matches_instance({"observedAt": f"2026-01-0{day}T00:00:00Z"}) for day in (1, 2)]
    [True, False]
    """
    relation, at, end = params.get("timerel"), params.get("timeAt"), params.get("endTimeAt")
    if relation is None:
        for name in ("timeAt", "endTimeAt", "timeproperty"):
            if params.get(name) is not None:
                raise bad_request(f"{name}: found without timerel; expected timerel=before, after or between")
        return None
    if relation not in ("before", "after", "between"):
        raise bad_request(f"timerel: found {str(relation)[:80]!r}; expected before, after or between")

    def moment(name: str, value: object) -> int:
        if not isinstance(value, str):
            raise bad_request(f"{name}: {'missing' if value is None else 'found no text'}; timerel={relation} needs a DateTime such as 2026-11-27T20:10:00Z")
        try:
            return times.parse(value)
        except ValueError as error:
            raise bad_request(f"{name}: {error}") from error

    first = moment("timeAt", at)
    if relation == "between":
        last = moment("endTimeAt", end)
        if last < first:
            raise bad_request(f"endTimeAt: found {end!r}, which is before timeAt {at!r}")
    elif end is not None:
        raise bad_request(f"endTimeAt: found with timerel={relation}; expected with between only")
    name = params.get("timeproperty", "observedAt")
    if name not in ("observedAt", "createdAt", "modifiedAt", "deletedAt"):
        raise bad_request(f"timeproperty: found {str(name)[:80]!r}; expected observedAt, createdAt, modifiedAt or deletedAt")
    return TemporalQ(
        relation, None if relation == "before" else first, {"before": first, "after": None}.get(relation, last if relation == "between" else None), name
    )


AGGREGATES: Final = ("totalCount", "distinctCount", "sum", "avg", "min", "max", "stddev", "sumsq")


def parse_aggregates(text: str) -> tuple[str, ...]:
    """aggrMethods: names of AGGREGATES, separated by commas, each once.

    >>> parse_aggregates("avg,max,avg")
    ('avg', 'max')
    """
    found = tuple(dict.fromkeys(text.split(",")))
    for each in found:
        if each not in AGGREGATES:
            raise bad_request(f"aggrMethods: found {each[:80]!r}; expected some of {', '.join(AGGREGATES)}")
    return found


# ------------------------------------------------------------------------------------------------------------ attribute projection (4.21)

# What pick and omit may name besides attributes; such names are kept as they are.
ENTITY_MEMBERS: Final = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt", "@context"})


@dataclass(frozen=True)
class Projection:
    """What pick or omit names: entity members and attribute IRIs, each with the projection of the entity it links to, or None."""

    members: Mapping[str, Projection | None]

    @property
    def depth(self) -> int:
        """How many links are followed: 0 for a plain list of names."""
        return max((1 + each.depth for each in self.members.values() if each is not None), default=0)


def parse_projection(text: str, terms: Terms, where: str = "pick") -> Projection:
    """Names separated by , or |, each with a projection of the linked entity in braces if wanted: `id,owner{name,works{name}}`.

    A name that comes twice is one name; with braces each time, both projections are joined.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> parse_projection("id,owner{name}", Plain()).members
    {'id': None, 'ex:owner': Projection(members={'ex:name': None})}
    """
    limited(text, where)
    at = 0

    def names(depth: int) -> Projection:
        nonlocal at
        if depth > 20:
            raise bad_request(f"{where}: more than 20 links in each other")
        members: dict[str, Projection | None] = {}
        while True:
            word = re.compile(r"[^,|{}();\s<>\"\[\]]*").match(text, at)
            assert word is not None
            if not re.match(r"[^\W\d]|@", word[0]):
                raise wrong(where, text, at, "the name of an attribute or member")
            at = word.end()
            key = word[0] if word[0] in ENTITY_MEMBERS else terms.expand(word[0])
            inner = None
            if text.startswith("{", at):
                at += 1
                inner = names(depth + 1)
                if not text.startswith("}", at):
                    raise wrong(where, text, at, "a sign , | or }")
                at += 1
            before = members.get(key)
            members[key] = Projection({**before.members, **inner.members}) if before and inner else inner or before
            if at < len(text) and text[at] in ",|":
                at += 1
            else:
                return Projection(members)

    found = names(0)
    if at < len(text):
        raise wrong(where, text, at, "a sign , | or {")
    return found


def parse_names(text: str | Iterable[str], terms: Terms, where: str = "attrs") -> tuple[str, ...]:
    """A list of attribute names, such as attrs, as IRIs: separated by commas in a text, or given as a list; each once.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> parse_names("speed,brand", Plain())
    ('ex:speed', 'ex:brand')
    """
    found = limited(text, where).split(",") if isinstance(text, str) else list(text)
    for each in found:
        if not isinstance(each, str) or not re.match(r"[^\W\d]|@", each) or re.search(r"[\s<>\"{}()\[\];|]", each):
            raise bad_request(f"{where}: found {str(each)[:80]!r}; expected the name of an attribute")
    return tuple(dict.fromkeys(terms.expand(each) for each in found))


# ------------------------------------------------------------------------------------------------------------------------ ordering (4.23)


@dataclass(frozen=True)
class OrderTerm:
    """One key to order by: attribute IRIs and perhaps a last member (or an entity member alone), a trailing path into the value."""

    names: tuple[str, ...]
    member: str | None
    trail: tuple[str, ...]
    descending: bool = False
    distance: bool = False


def parse_order(text: str | Iterable[str], terms: Terms) -> tuple[OrderTerm, ...]:
    """orderBy: `name`, `name;desc`, `name.observedAt`, `address[city]`, `id`, `location;dist-asc`, separated by commas or given as a list.

    Whoever finds a term with `distance` needs orderFrom, too.

    >>> class Plain:
    ...     expand = expand_type = expand_vocab = staticmethod(lambda name: "ex:" + name)
    >>> [(term.names, term.trail, term.descending) for term in parse_order("address[city];desc,name", Plain())]
    [(('ex:address',), ('city',), True), (('ex:name',), (), False)]
    """
    words = limited(text, "orderBy").split(",") if isinstance(text, str) else list(text)
    if not words:
        raise bad_request("orderBy: found an empty list")
    out = []
    for word in words:
        found = re.match(r"([^;,\s<>\"{}()\[\]|]+)(?:\[([^\[\]]+)\])?(?:;(asc|desc|dist-asc|dist-desc))?\Z", word) if isinstance(word, str) else None
        if found is None:
            raise bad_request(f"orderBy: found {str(word)[:80]!r}; expected an attribute, perhaps with ;asc, ;desc, ;dist-asc or ;dist-desc")
        *names, last = split_path(found[1])
        member = None
        if names or last in ("id", "type", "scope", *SYSTEM_TIMES):
            member = last if last in MEMBERS or not names else None
        if member is None:
            names.append(last)
        if not all(re.match(r"[^\W\d]|@", name) for name in names):
            raise bad_request(f"orderBy: found {word[:80]!r}; expected an attribute")
        trail = tuple(found[2].split(".")) if found[2] else ()
        direction = found[3] or "asc"
        out.append(OrderTerm(tuple(terms.expand(name) for name in names), member, trail, direction.endswith("desc"), direction.startswith("dist")))
    return tuple(out)


def _order_values(entity: Entity, term: OrderTerm) -> Iterable[Any]:
    """All values an entity offers to a key of the ordering."""
    level: list[Entity] = [entity]
    for name in term.names:
        level = [instance for each in level for instance in each.get(name, ())]
    for each in level:
        if term.member is not None:
            if term.member in each:
                yield each[term.member]
            continue
        for member in ("value", "json", "languageMap", "vocab", "object", "valueList", "objectList"):
            if member in each:
                value = each[member]
                for step in term.trail:
                    value = value.get(step) if isinstance(value, dict) else None
                if value is not None or not term.trail:
                    yield value
                break


Rank = tuple[Any, ...]
_ABSENT: Final[Rank] = (10,)


def _rank(value: Any, strings: Callable[[str], Any]) -> Rank:
    """The place of a value among all values (4.23.2): numbers, strings, objects, arrays, booleans, times, dates, date-times, null."""
    match value:
        case None:
            return (9,)
        case bool():
            return (5, value)
        case int() | float():
            return (1, value)
        case dict():
            if isinstance(value.get("@value"), str) and (kind := {"Time": 6, "Date": 7, "DateTime": 8}.get(str(value.get("@type")).rpartition("/")[2])):
                return (kind, value["@value"].rstrip("Zz"))
            return (3, json.dumps(value, sort_keys=True, ensure_ascii=False))
        case list():
            return (4, tuple(_rank(each, strings) for each in value))
        case _:
            return (2, strings(str(value)))


def order_key(term: OrderTerm, strings: Callable[[str], Any] = str) -> Callable[[Entity], Rank]:
    """The key of sorted() for one term by value; sort by the last term first, with reverse=term.descending.

    Of several instances the least counts going up, the greatest going down. An entity without the attribute comes last either way, and so
    does null. `strings` makes strings comparable: `str` (code points, the default of the broker) or what `collation` gives.

    >>> up = OrderTerm(("speed",), None, ())
    >>> values = ["x", 5, None, 3]
    >>> cars = [{"speed": [{"value": value}]} if value else {} for value in values]
    >>> [car["speed"][0]["value"] if car else None for car in sorted(cars, key=order_key(up))]
    [3, 5, 'x', None]
    """
    best: Callable[..., Rank] = max if term.descending else min

    def key(entity: Entity) -> Rank:
        ranks = [_rank(times_text(value) if term.member in TIME_MEMBERS else value, strings) for value in _order_values(entity, term)]
        if not ranks:
            return (-1,) if term.descending else _ABSENT
        found = best(ranks)
        return (0,) if term.descending and found == (9,) else found

    return key


def times_text(text: Any) -> Any:
    """A system time without its Z, so that fractions compare as texts.

    >>> times_text("2026-01-01T00:00:00Z") < times_text("2026-01-01T00:00:00.5Z")
    True
    """
    return text.rstrip("Zz") if isinstance(text, str) else text


_COLLATION: Final = re.compile(
    r"(?P<language>[A-Za-z]{2,3}|und)(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?(?:-u(?P<keys>(?:-[A-Za-z0-9]{2,8})+))?(?:-x-icu)?\Z", re.I
)
_ROOT: Final = frozenset({"und", "en", "de", "fr", "it", "nl", "pt", "ja", "id", "ms"})


def collation(tag: str) -> Callable[[str], Any]:
    """How to compare strings by a collation (RFC 6067): a function that gives comparable keys.

    Letters come after digits and these after signs; marks and then case decide only between equal letters, hiragana and katakana are equal
    letters: the order of the ICU root collation for Latin, Greek, Cyrillic and kana, without its full table. `ja` puts kanji in the order of
    JIS X 0208, `de-u-co-phonebk` reads ä as ae, `-u-ks-level1`, `-level2` and `-identic` set how much counts. BadRequestData for a tag that
    is not well formed and for languages whose own order this is not (such as sv): rather refused than ordered wrongly.

    >>> sorted(["b", "á", "A"], key=collation("und")), sorted(["b", "á", "A"])
    (['A', 'á', 'b'], ['A', 'b', 'á'])
    """
    found = _COLLATION.match(tag)
    if found is None:
        raise bad_request(f"collation: found {tag[:80]!r}; expected a tag such as und or de-u-co-phonebk")
    language, keys = found["language"].lower(), (found["keys"] or "").lower().split("-")[1:]
    options: dict[str, str] = {}
    for part in keys:
        if len(part) == 2:
            options[part] = ""
            last = part
        elif options:
            options[last] += part
        else:
            raise bad_request(f"collation: found {tag[:80]!r}; expected a key of two letters behind -u-")
    phonebook = language == "de" and options.get("co") == "phonebk"
    if language not in _ROOT or set(options) - {"co", "ks"} or (options.get("co", "standard") != "standard" and not phonebook):
        raise bad_request(f"collation: found {tag[:80]!r}; this broker orders by {', '.join(sorted(_ROOT))}, de-u-co-phonebk, and -u-ks-… of these")
    level = {"level1": 1, "level2": 2, "": 3, "level3": 3, "level4": 3, "identic": 4}.get(options.get("ks", ""))
    if level is None:
        raise bad_request(f"collation: found {tag[:80]!r}; expected ks-level1, -level2, -level3 or -identic")

    def place(char: str) -> tuple[int, str | bytes]:
        category = unicodedata.category(char)
        if category[0] == "N":
            return (2, f"{unicodedata.numeric(char, 0):020.6f}")
        if category[0] != "L":
            return (1, char)
        if "ァ" <= char <= "ヶ":
            char = chr(ord(char) - 96)
        if language == "ja" and "一" <= char <= "鿿":
            return (4, char.encode("euc_jp", "replace") if char.encode("euc_jp", "ignore") else b"\xff" + char.encode())
        return (3, char) if not "一" <= char <= "鿿" else (4, char.encode("utf-32-be"))

    def key(text: str) -> tuple[Any, ...]:
        if phonebook:
            text = re.sub("[äöüÄÖÜ]", lambda umlaut: {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}[umlaut[0]], text)
        plain = unicodedata.normalize("NFKD", text)
        letters = [char for char in plain if not unicodedata.combining(char)]
        parts: tuple[Any, ...] = (tuple(place(char) for char in "".join(letters).casefold()),)
        if level > 1:
            parts += (tuple(char if unicodedata.combining(char) else "" for char in plain),)
        if level > 2:
            parts += (tuple(char.isupper() for char in letters), tuple("ァ" <= char <= "ヶ" for char in letters))
        return (*parts, text) if level > 3 else parts

    return key
