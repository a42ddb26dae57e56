"""The history of entities as answers: what a request asks for, how much fits into one answer, and its three representations.

In:  parameters of a request; rows of the store, each with `read()` for the instance in internal form and its times as numbers (µs since 1970).
Out: JSON values: normalized (each attribute a list of its instances), temporalValues ([value, time] pairs) and aggregatedValues (a value for
     each period). Clauses 4.5.6–4.5.9, 4.5.19 and 4.11 of ETSI GS CIM 009 v1.9.1; 6.3.10 for answers in parts.

How this module reads the standard
- An answer is cut by time, the same for all attributes and entities in it: it tells everything that was between its two ends. It goes as far as
  the first entity of which more than `size` instances would have to be told; instances of one moment are never separated.
- Periods of an aggregation begin at timeAt (after, between), else with the first instance of the entity; each is as long as the others, in calendar
  months where the period says so. PT0S is one period, to the end of the window or to the last instance.
- Numbers: all methods. Booleans count as 0 and 1. Texts, dates and times: totalCount, distinctCount, min and max. Arrays: their sizes for all
  methods but the two counts. Objects and all that is not a Property: the two counts. stddev is that of a population. Marks of deletion do not count.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from kiban.linkage.broker import times
from kiban.linkage.broker.asked import options, truth, whole_number
from kiban.linkage.broker.model import MEMBER
from kiban.linkage.broker.render import View, languages, render
from kiban.linkage.broker.selection import Projection, ScopeQ, TemporalQ, parse_aggregates, parse_names, parse_projection, parse_temporal
from kiban.linkage.broker.store.contract import as_number
from kiban.linkage.broker.times import Duration
from kiban.linkage.broker.values import is_uri
from kiban.linkage.errors import Problem, bad_request

COLUMN = {"observedAt": "at", "createdAt": "created", "modifiedAt": "modified", "deletedAt": "deleted"}
FORMATS = {"normalized": "normalized", "temporalValues": "temporalValues", "simplified": "temporalValues", "aggregatedValues": "aggregatedValues"}
PLURAL = {
    "Property": "values", "GeoProperty": "values", "Relationship": "objects", "LanguageProperty": "languageMaps", "VocabProperty": "vocabs",
    "JsonProperty": "jsons", "ListProperty": "valueLists", "ListRelationship": "objectLists",
}  # fmt: skip
WRAPPED = frozenset({"LanguageProperty", "VocabProperty", "JsonProperty"})
WHOLE = Duration(0, 0)  # one period
_sorted = msgspec.json.Encoder(order="sorted").encode
PERIODS = 10_000  # of one attribute in one answer
HEAD = ("id", "type", "scope", "createdAt", "modifiedAt")


class Row(Protocol):
    """One instance of the store."""

    at: int
    created: int
    modified: int
    deleted: int | None
    dataset: str | None

    def read(self) -> dict[str, Any]:
        """The instance in the internal form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request wants to see of histories.

    window    timerel with its times, None for everything
    about     the time that window, order and paging are about
    only      instances without that time are left out
    last      at most so many of the newest instances of each attribute; None: all
    format    normalized, temporalValues or aggregatedValues
    methods   of the aggregation; step: its period
    attrs     IRIs; pick, omit: IRIs and members of entities; datasets: datasetIds, None for the default; None: all
    visible   IRIs of the attributes that may be seen; None: all
    """

    window: TemporalQ | None = None
    about: str = "observedAt"
    only: bool = False
    last: int | None = None
    format: str = "normalized"
    methods: tuple[str, ...] = ()
    step: Duration = WHOLE
    sys: bool = False
    languages: tuple[str, ...] = ()
    attrs: frozenset[str] | None = None
    pick: frozenset[str] | None = None
    omit: frozenset[str] = frozenset()
    datasets: frozenset[str | None] | None = None
    visible: frozenset[str] | None = None

    @property
    def low(self) -> int | None:
        """The beginning of the window."""
        return self.window.low if self.window else None

    @property
    def high(self) -> int | None:
        """The end of the window."""
        return self.window.high if self.window else None

    def shows(self, name: str) -> bool:
        """Whether an attribute or member is shown."""
        if (
            name in self.omit
            or (self.pick is not None and name not in self.pick)
            or (self.visible is not None and name not in self.visible and name not in HEAD)
        ):
            return False
        return self.attrs is None or name in self.attrs or name in HEAD

    @property
    def named(self) -> tuple[str, ...]:
        """The attributes that are asked for by name, none if all are."""
        if self.attrs is not None:
            return tuple(sorted(name for name in self.attrs if self.shows(name)))
        return tuple(sorted(name for name in self.pick.difference(HEAD) if self.shows(name))) if self.pick is not None else ()


def wanted(params: Mapping[str, str], terms: Any, visible: frozenset[str] | None = None) -> Wanted:
    """What the parameters of a request want to see, of the attributes that may be seen; 400 where they are wrong."""
    about, explicit = params.get("timeproperty", "observedAt"), "timeproperty" in params
    if about not in COLUMN:
        raise bad_request(f"timeproperty: found {about[:80]!r}; expected observedAt, createdAt, modifiedAt or deletedAt")
    window = parse_temporal(params if "timerel" in params else {name: value for name, value in params.items() if name != "timeproperty"})
    last = whole_number(params, "lastN", 0, 1) if "lastN" in params else None
    chosen = options(params)
    form = params.get("format")
    if form is None:
        found = [FORMATS[name] for name in ("temporalValues", "aggregatedValues", "simplified") if name in chosen]
        if len(found) > 1:
            raise bad_request("options: found temporalValues beside aggregatedValues; expected one of them")
        form = found[0] if found else "aggregatedValues" if "aggrMethods" in params else "normalized"
    elif form not in FORMATS:
        raise Problem("InvalidRequest", "unknown format", f"found {form[:40]!r}; expected normalized, temporalValues or aggregatedValues")
    form = FORMATS[form]
    methods = parse_aggregates(params["aggrMethods"]) if "aggrMethods" in params else ()
    if form == "aggregatedValues" and not methods:
        raise bad_request("aggrMethods: found none; aggregatedValues needs one or more")
    try:
        step = times.duration(params.get("aggrPeriodDuration", "PT0S"))
    except ValueError as error:
        raise bad_request(f"aggrPeriodDuration: {error}") from None
    attrs, pick, omit, lang = params.get("attrs"), params.get("pick"), params.get("omit"), params.get("lang")
    for name, text in (("pick", pick), ("omit", omit), ("attrs", attrs), ("lang", lang)):
        if text == "":
            raise bad_request(f"{name}: found nothing; expected names, or leave it out")
    if (pick or omit) and attrs:
        raise bad_request("attrs: found beside pick or omit; expected one or the other")
    picked, omitted = flat(pick, terms, "pick"), flat(omit, terms, "omit")
    if picked is not None and omitted is not None and (both := picked & omitted):
        raise bad_request(f"omit: found {terms.terms[min(both)]!r}, which pick names too")
    return Wanted(
        window=window,
        about=about,
        only=explicit or window is not None,
        last=last,
        format=form,
        methods=methods,
        step=step,
        sys="sysAttrs" in chosen or truth(params, "sysAttrs"),
        languages=languages(lang) if lang else (),
        attrs=frozenset(parse_names(attrs, terms)) if attrs else None,
        pick=picked,
        omit=omitted or frozenset(),
        datasets=datasets(params.get("datasetId")),
        visible=visible,
    )


def flat(text: str | None, terms: Any, where: str) -> frozenset[str] | None:
    """The names of pick or omit; members of linked entities are refused."""
    if text is None:
        return None
    found: Projection = parse_projection(text, terms, where)
    if found.depth:
        raise bad_request(f"{where}: found members of a linked entity; the history follows no links")
    return frozenset(found.members)


def datasets(text: str | None) -> frozenset[str | None] | None:
    """The datasetIds of a parameter, None in them for `@none`."""
    if text is None:
        return None
    for name in text.split(","):
        if name != "@none" and not is_uri(name):
            raise bad_request(f"datasetId: found {name[:100]!r}; expected a URI or @none")
    return frozenset(None if name == "@none" else name for name in text.split(","))


# --- what is told ----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Evolution:
    """The history of one entity as far as it was read.

    tracks   IRI of an attribute → its instances in the order of the answer
    scope    the instances of the scope in that order; carried: the one that was valid already when the window began
    """

    id: str
    types: list[str]
    created: int
    modified: int
    tracks: dict[str, list[Any]] = field(default_factory=dict)
    scope: list[Any] = field(default_factory=list)
    carried: Any = None

    def lists(self) -> Iterable[list[Any]]:
        """All lists of instances."""
        yield from self.tracks.values()
        if self.scope:
            yield self.scope


class Border(NamedTuple):
    """Where an answer ends: with the instances before `time`, or of `time` too."""

    time: int
    included: bool

    def keeps(self, time: int, newest: bool) -> bool:
        """Whether an instance of that time is in the answer."""
        return (self.included and time == self.time) or (time > self.time if newest else time < self.time)


def border(evolutions: Iterable[Evolution], column: str, size: int, *, newest: bool) -> Border | None:
    """Where the answer with these histories must end so that no entity has more than `size` instances in it; None if all fit.

    Of each list the first `size` + 1 instances are enough. More than `size` instances of one moment are told together.
    """
    found: Border | None = None
    for evolution in evolutions:
        every = sorted((getattr(row, column) for rows in evolution.lists() for row in rows), reverse=newest)
        if len(every) > size:
            one = Border(every[size], every[0] == every[size])
            if found is None or one.time == found.time:
                found = one if found is None else Border(one.time, one.included and found.included)
            elif newest is (one.time > found.time):
                found = one
    return found


def content_range(told: Sequence[int], wanted: Wanted) -> str:
    """The Content-Range of an answer in parts; told: the times of all its instances.

    >>> content_range([1_000_000, 3_000_000], Wanted(last=2))
    'date-time 1970-01-01T00:00:03Z-1970-01-01T00:00:01Z/2'
    """
    if wanted.last is None:
        start = wanted.low if wanted.low is not None else min(told)
        return f"date-time {times.border(start)}-{times.border(max(told))}/*"
    start = wanted.high if wanted.high is not None else max(told)
    return f"date-time {times.border(start)}-{times.border(min(told))}/{wanted.last}"


def valid(changes: Iterable[tuple[int, list[str]]], query: ScopeQ) -> list[tuple[int | None, int | None]]:
    """When a scope query held; changes: times at which the scope became what is said beside, in order.

    >>> from kiban.linkage.broker.selection import parse_scope
    >>> valid([(1, ["/A"]), (5, ["/B"])], parse_scope("/A")), valid([(1, ["/A"]), (5, ["/B"])], parse_scope("/B"))
    ([(1, 5)], [(5, None)])
    """
    found: list[tuple[int | None, int | None]] = []
    begun: int | None = None
    for time, scope in changes:
        holds = query.matches({"scope": scope})
        if begun is not None and not holds:
            found.append((begun, time))
            begun = None
        elif begun is None and holds:
            begun = time
    return [*found, (begun, None)] if begun is not None else found


def scopes_of(instance: Mapping[str, Any]) -> list[str]:
    """The scopes that an instance of the scope says."""
    value = instance.get("value")
    return [value] if isinstance(value, str) else value or []


# --- representations -------------------------------------------------------------------------------------------------------------------


def represent(evolution: Evolution, terms: Any, wanted: Wanted) -> dict[str, Any]:
    """One history in normalized form or as temporalValues."""
    shown = members(evolution, terms, wanted)
    names = terms.terms
    simple = wanted.format == "temporalValues"
    for name, rows in evolution.tracks.items():
        instances = [row.read() for row in rows]
        shown[names[name]] = pairs(instances, terms, wanted) if simple else listed(name, instances, terms, wanted)
    return shown


def members(evolution: Evolution, terms: Any, wanted: Wanted) -> dict[str, Any]:
    """The members of an entity beside its attributes, as far as they are shown."""
    kinds = [terms.terms[kind] for kind in evolution.types]
    shown: dict[str, Any] = {"id": evolution.id, "type": kinds[0] if len(kinds) == 1 else kinds}
    rows = [*([evolution.carried] if evolution.carried is not None else []), *evolution.scope]
    if rows and wanted.format != "aggregatedValues":
        instances = [row.read() for row in rows]
        for instance in instances:
            instance.pop("instanceId")
        shown["scope"] = pairs(instances, terms, wanted) if wanted.format == "temporalValues" else listed("", instances, terms, wanted)
    if wanted.sys or wanted.pick is not None:
        for name, time in (("createdAt", evolution.created), ("modifiedAt", evolution.modified)):
            if wanted.sys or (wanted.pick is not None and name in wanted.pick):
                shown[name] = times.text(time)
    return {name: value for name, value in shown.items() if wanted.shows(name)}


def listed(name: str, instances: list[dict[str, Any]], terms: Any, wanted: Wanted) -> list[Any]:
    """The instances of an attribute in normalized form; always a list."""
    if not instances:
        return []
    shown = render({"id": "", "type": [], name: instances}, terms, View(sys=wanted.sys, languages=wanted.languages))
    found = next(value for key, value in shown.items() if key not in ("id", "type"))
    return found if isinstance(found, list) else [found]


def pairs(instances: list[dict[str, Any]], terms: Any, wanted: Wanted) -> Any:
    """The instances of an attribute as pairs of value and time, by dataset and kind: an object, or a list of them."""
    groups: dict[tuple[str | None, str], list[list[Any]]] = {}
    names = terms.terms
    for instance in instances:
        kind = instance["type"]
        member = MEMBER[kind]
        value = instance.get(member)
        if kind == "LanguageProperty" and wanted.languages and isinstance(value, dict):
            told = listed("", [instance], terms, wanted)[0]
            kind, value = told["type"], told.get("value", value)
        elif kind == "VocabProperty" and value is not None:
            value = names[value] if isinstance(value, str) else [names[part] for part in value]
        time = instance.get(wanted.about) or instance.get("observedAt") or instance.get("deletedAt") or instance["modifiedAt"]
        groups.setdefault((instance.get("datasetId"), kind), []).append([{member: value} if kind in WRAPPED else value, time])
    found: list[dict[str, Any]] = []
    for (dataset, kind), values in groups.items():
        one: dict[str, Any] = {"type": kind}
        if dataset is not None:
            one["datasetId"] = dataset
        found.append({**one, PLURAL[kind]: values})
    if not found:
        return {"type": "Property", "values": []}
    return found[0] if len(found) == 1 else found


# --- aggregation -----------------------------------------------------------------------------------------------------------------------


def borders(start: int, step: Duration, end: int) -> list[int]:
    """The beginnings of all periods from `start` on that do not lie behind `end`; TooManyResults if there are very many.

    >>> [times.border(border)[:10] for border in borders(times.parse("2026-01-31T00:00:00Z"), times.duration("P1M"), times.parse("2026-03-30T00:00:00Z"))]
    ['2026-01-31', '2026-02-28']
    """
    found = [start]
    while not step.empty:
        try:
            following = times.add(start, step, len(found))
        except ValueError:  # behind the year 9999
            break
        if following > end:
            break
        if len(found) >= PERIODS:
            raise Problem("TooManyResults", "too many periods in one answer", f"more than {PERIODS}: take longer ones, or a smaller window")
        found.append(following)
    return found


def behind(start: int, step: Duration, periods: int) -> int:
    """The end of so many periods from `start` on; the end of the year 9999 where that is earlier.

    >>> times.border(behind(times.parse("2026-01-31T00:00:00Z"), times.duration("P1M"), 2))[:10]
    '2026-03-31'
    """
    try:
        return times.add(start, step, periods)
    except ValueError:
        return times.parse("9999-12-31T23:59:59.999999Z")


def comparable(value: Any) -> Any:
    """What a value is compared by: a number, a text or, of an array, its size; None if it cannot be."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict):
        return value["@value"] if isinstance(value.get("@value"), str) else None
    return value if isinstance(value, str) else as_number(value)


def _fingerprint(value: Any) -> bytes:
    """The same bytes for equal JSON values; 1 and 1.0 are equal, 1 and true are not."""
    return _sorted(as_number(value) if type(value) is int else value)


def _numbers(method: Callable[[list[float]], float]) -> Callable[[list[Any]], Any]:
    def over(values: list[Any]) -> Any:
        found = [float(number) for value in values if isinstance(number := comparable(value), (int, float))]
        try:
            result = method(found) if found else math.nan
        except OverflowError:
            return None
        return result if math.isfinite(result) else None

    return over


def _extreme(method: Callable[[Iterable[Any]], Any]) -> Callable[[list[Any]], Any]:
    def over(values: list[Any]) -> Any:
        found = [part for value in values if (part := comparable(value)) is not None]
        numbers = [float(part) for part in found if isinstance(part, (int, float))]
        return method(numbers) if numbers else method(found) if found else None

    return over


def _spread(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


METHODS: dict[str, Callable[[list[Any]], Any]] = {
    "totalCount": len,
    "distinctCount": lambda values: len(set(map(_fingerprint, values))),
    "sum": _numbers(math.fsum),
    "avg": _numbers(lambda values: math.fsum(values) / len(values)),
    "min": _extreme(min),
    "max": _extreme(max),
    "stddev": _numbers(_spread),
    "sumsq": _numbers(lambda values: math.fsum(value * value for value in values)),
}


def aggregate(values: Sequence[tuple[int, Any]], periods: Sequence[int], methods: Iterable[str], *, counted: bool = False) -> list[dict[str, Any]]:
    """The aggregates of values with their times for each period, in order; {} for a period without values.

    periods  beginnings, as `borders` gives them; values before the first do not count
    counted  the values are not those of a Property: they are counted, and nothing else

    >>> aggregate([(0, 1), (5, 2), (12, 7)], [0, 10], ["avg", "totalCount"])
    [{'avg': 1.5, 'totalCount': 2}, {'avg': 7.0, 'totalCount': 1}]
    """
    groups: list[list[Any]] = [[] for _ in periods]
    for time, value in values:
        place = bisect_right(periods, time) - 1
        if place >= 0:
            groups[place].append(value)
    found: list[dict[str, Any]] = []
    for group in groups:
        one = {}
        for method in methods:
            if group and (not counted or method in ("totalCount", "distinctCount")) and (result := METHODS[method](group)) is not None:
                one[method] = result
        found.append(one)
    return found


def aggregated(kind: str, dataset: str | None, totals: Iterable[tuple[int, int, Mapping[str, Any]]], methods: Iterable[str]) -> dict[str, Any]:
    """One attribute and dataset as aggregatedValues; totals: beginning and end of a period with its aggregates.

    >>> aggregated("Property", None, [(0, 3_600_000_000, {"avg": 1.5})], ["avg"])
    {'type': 'Property', 'avg': [[1.5, '1970-01-01T00:00:00Z', '1970-01-01T01:00:00Z']]}
    """
    shown: dict[str, Any] = {"type": kind}
    if dataset is not None:
        shown["datasetId"] = dataset
    for start, end, found in totals:
        for method in methods:
            if method in found:
                shown.setdefault(method, []).append([found[method], times.border(start), times.border(end)])
    return shown
