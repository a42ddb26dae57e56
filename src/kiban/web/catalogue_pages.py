"""Pages of the data files: the kinds, the entries of a kind with search and filters, one entry with every value, its source and what uses it.

In: the catalogue, and the plans that pin entries of it. Out: routes. Nothing is changed here: a data file is changed by its file.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.catalogue import KINDS, Catalogue, words
from kiban.catalogue.catalogue import CHECK_AGAIN, REGIONS_FOR_PROVEN, Level, needs_source, quantities
from kiban.catalogue.differences import Difference, differences
from kiban.catalogue.links import used_by
from kiban.catalogue.reader import PACKAGE_DATA, overridden
from kiban.catalogue.view import Line, record_lines
from kiban.documents.view import JAPANESE
from kiban.loop.given import TOKYO
from kiban.records.rules import Record
from kiban.web.frame import Frame
from kiban.web.plans import Plans

LONGEST = 100  # characters of a search
LEVELS = ("draft", "checked", "tried", "proven")
SOON = timedelta(days=90)
LINK = re.compile(r"\[([^\]]*)\]\((https?://.+?)\)(?= \(|$)|<?(https?://[^\s<>、。)]+)>?")


def linked(text: str, lang: str = "ja") -> Markup:
    """A line of an entry as HTML: its addresses are links, all else is text; Japanese on a page in another language says so.

    >>> str(linked("[A <page>](https://a.jp/x_(1)) (seen)")), str(linked("see https://a.jp/x"))[:27]
    ('<a href="https://a.jp/x_(1)" rel="noreferrer">A &lt;page&gt;</a> (seen)', 'see <a href="https://a.jp/x')
    >>> str(linked("わな", "en"))
    '<span lang="ja">わな</span>'
    """
    made, at = Markup(""), 0

    def told(part: str) -> Markup:
        return Markup('<span lang="ja">{}</span>').format(part) if lang != "ja" and JAPANESE.search(part) else escape(part)

    for found in LINK.finditer(text):
        address = (found[2] or found[3]).split(" ")[0]
        made += told(text[at : found.start()]) + Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, told(found[1] or address))
        at = found.end()
    return made + told(text[at:])


def folded(text: str) -> str:
    """A text as it is searched: full width and capitals do not matter.

    >>> folded("ＬＰＷＡ　わな")
    'lpwa わな'
    """
    return unicodedata.normalize("NFKC", text).casefold()


@dataclass
class CataloguePages:
    """The data files for everybody who wants to know where a number comes from."""

    catalogue: Catalogue
    plans: Plans
    frame: Frame
    _texts: dict[str, str] = field(default_factory=dict)
    _levels: dict[str, Level] = field(default_factory=dict)
    _unknown: dict[str, int] = field(default_factory=dict)
    _old: dict[date, set[str]] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """All of them."""
        return [Route("/catalogue", self.kinds), Route("/catalogue/{kind}", self.kind), Route("/catalogue/{kind}/{id:path}", self.entry)]

    async def kinds(self, request: Request) -> Response:
        """Every kind: what it is, how many there are, how many wait for a source or are out of date."""
        return await run_in_threadpool(self._kinds, request)

    def _kinds(self, request: Request) -> Response:
        stale, rows = self._stale(), []
        for name in KINDS:
            ids = self.catalogue.of(name)
            levels = Counter(self._level(f"{name}/{id}") for id in ids if name not in ("words", "papers", "forms"))
            count = len(ids)
            rows.append({"kind": name, "count": count, "levels": levels, "stale": sum(f"{name}/{id}" in stale for id in ids), "own": self._own(name)})
        return self.frame.page(request, "catalogue.html", {"rows": rows, "total": sum(row["count"] for row in rows), "levels": LEVELS})

    async def kind(self, request: Request) -> Response:
        """The entries of one kind that fit what was asked."""
        return await run_in_threadpool(self._kind, request)

    def _kind(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise HTTPException(404)
        lang, asked = self.frame.language(request), request.query_params
        q, level, state, sort = asked.get("q", "")[:LONGEST], asked.get("level", ""), asked.get("state", ""), asked.get("sort", "")
        stale, rows = self._stale(), []
        for id, record in self.catalogue.of(kind).items():
            if not all(part in self._text(kind, id) for part in folded(q).split()):
                continue
            entry = f"{kind}/{id}"
            row = {
                "id": id,
                "name": self.catalogue.headline(kind, id, lang),
                "url": self.frame.url(request, _path(kind, id)),
                "summary": getattr(getattr(record, "summary", None), lang, ""),
                "level": self._level(entry),
                "day": getattr(record, "checked_on", None) or getattr(record, "seen_on", None),
                "review": getattr(record, "review_by", None),
                "stale": entry in stale,
                "unknown": self._waiting(entry, record),
                "own": self._is_own(kind, id),
            }
            if (level and row["level"] != level) or (state == "stale" and not row["stale"]) or (state == "unknown" and not row["unknown"]):
                continue
            rows.append(row)
        if sort == "day":
            rows.sort(key=lambda row: (row["day"] is None, row["day"] or date.min))
        elif sort == "level":
            rows.sort(key=lambda row: LEVELS.index(row["level"]))
        else:
            rows.sort(key=lambda row: folded(str(row["name"])))
        context = {"kind": kind, "rows": rows, "total": len(self.catalogue.of(kind)), "q": q, "level": level, "state": state, "sort": sort, "levels": LEVELS}
        return self.frame.page(request, "catalogue_kind.html", context)

    async def entry(self, request: Request) -> Response:
        """One entry with all that it says."""
        return await run_in_threadpool(self._entry, request)

    def _entry(self, request: Request) -> Response:
        kind, asked = request.path_params["kind"], request.path_params["id"]
        if kind not in KINDS:
            raise HTTPException(404)
        try:
            id = self.catalogue.key(kind, asked)
        except KibanError as error:
            raise HTTPException(404, str(error)) from error
        lang, record = self.frame.language(request), self.catalogue.of(kind)[id]
        lines = _lines(self.catalogue, kind, record, lang)
        versions = [key for key in self.catalogue.of(kind) if KINDS[kind].versions and key.rpartition("/")[0] == id.rpartition("/")[0]]
        against = request.query_params.get("against", "")
        package = overridden(self.catalogue, kind, id)
        context = {
            "kind": kind,
            "id": id,
            "name": self.catalogue.headline(kind, id, lang),
            "level": self._level(f"{kind}/{id}"),
            "why": self._why(request, kind, id),
            "stale": self._stale_text(request, kind, id),
            "nested": nested(lines, lang),
            "used": self._used(request, kind, id, lang),
            "plans": self._pinned(request, kind, id),
            "file": self.catalogue.file(kind, id),
            "own": self._is_own(kind, id),
            "hash": self.catalogue.hashes.get(f"{kind}/{id}", "")[:12],
            "versions": [
                {"id": key, "number": key.rpartition("/")[2], "url": self.frame.url(request, _path(kind, key)), "here": key == id} for key in versions
            ],
            "others": [{"number": key.rpartition("/")[2], "url": self.frame.url(request, _path(kind, id), against=key)} for key in versions if key != id],
            "against": against if against in versions and against != id else "",
            "version_rows": self._differences(kind, self.catalogue.of(kind)[against], record, lang) if against in versions and against != id else [],
            "package_rows": self._differences(kind, package, record, lang) if package is not None else [],
        }
        return self.frame.page(request, "catalogue_entry.html", context)

    def _differences(self, kind: str, before: Any, after: Any, lang: str) -> list[Difference]:
        """What two records of a kind say otherwise, their names among it."""
        word, field = words(self.catalogue, lang), KINDS[kind].headline

        def told(record: Any) -> list[Line]:
            name = getattr(record, field, None)
            head = [Line(0, word(f"field.{field}"), str(getattr(name, lang, name)))] if name is not None else []
            return [*head, *_lines(self.catalogue, kind, record, lang, markdown=False)]

        return differences(told(before), told(after))

    def _used(self, request: Request, kind: str, id: str, lang: str) -> list[dict[str, str]]:
        """The entries that name this one."""
        rows = []
        for link in used_by(self.catalogue, kind, id):
            other, _, file = link.file.partition("/")
            key = file.removesuffix(".yaml")
            url = self.frame.url(request, _path(other, key))
            rows.append({"kind": other, "name": self.catalogue.headline(other, key, lang), "url": url})
        return list({row["url"]: row for row in rows}.values())

    def _pinned(self, request: Request, kind: str, id: str) -> list[dict[str, Any]]:
        """The plans that were made with this entry, and whether they were made with what it says today."""
        rows = []
        for name in self.plans.names():
            try:
                plan = self.plans.read(name).plan
            except KibanError:  # the list of plans names a broken folder
                continue
            pins = {entry: hash for step in plan.steps for entry, hash in step.pinned.items()}
            if (hash := pins.get(f"{kind}/{id}")) is not None:
                url = self.frame.url(request, f"/plans/{quote(name)}")
                rows.append({"name": name, "sentence": plan.sentence, "url": url, "current": hash == self.catalogue.hashes.get(f"{kind}/{id}")})
        return rows

    def _why(self, request: Request, kind: str, id: str) -> str:
        """Why the entry has the level that it has."""
        word, record, level = self.frame.words(request), self.catalogue.of(kind)[id], self._level(f"{kind}/{id}")
        if level == "draft":
            waiting = sum(quantity.needs_source for quantity in quantities(record))
            return word("catalogue.why.draft", count=waiting) if waiting else word("catalogue.why.no_source")
        if level == "checked":
            return word("catalogue.why.checked.tried" if kind in ("models", "usecases") else "catalogue.why.checked")
        users = [case for case in self.catalogue.cases.values() if case.kind == "project" and id in (case.models if kind == "models" else case.usecases)]
        regions = len({case.lg_code or f"{case.prefecture} {case.municipality}" for case in users})
        assert needs_source(record) is False
        return word(f"catalogue.why.{level}", cases=len(users), regions=regions, wanted=REGIONS_FOR_PROVEN)

    def _stale(self) -> set[str]:
        """The entries whose day has come."""
        today = self._today()
        if today not in self._old:
            self._old = {today: {line.partition(".yaml:")[0] for line in self.catalogue.stale(today)}}
        return self._old[today]

    def _stale_text(self, request: Request, kind: str, id: str) -> str:
        """What to do about the age of an entry; empty where its day has not come."""
        word, record, today = self.frame.words(request), self.catalogue.of(kind)[id], self._today()
        review, checked = getattr(record, "review_by", None), getattr(record, "checked_on", None)
        if review is not None and review < today:
            return word("catalogue.stale.review", day=review)
        if review is not None and review < today + SOON:
            return word("catalogue.stale.soon", day=review)
        if checked is not None and checked + CHECK_AGAIN < today:
            return word("catalogue.stale.checked", day=checked, days=CHECK_AGAIN.days)
        return word("catalogue.stale.future", day=checked) if checked is not None and checked > today else ""

    def _today(self) -> date:
        return self.frame.now().astimezone(TOKYO).date()

    def _is_own(self, kind: str, id: str) -> bool:
        """Whether an entry comes from a region's own folder, not from the package."""
        return not self.catalogue.paths.get(f"{kind}/{id}", str(PACKAGE_DATA)).startswith(str(PACKAGE_DATA))

    def _own(self, kind: str) -> int:
        return sum(self._is_own(kind, id) for id in self.catalogue.of(kind))

    def _level(self, entry: str) -> Level:
        """The level of an entry, computed once: the catalogue of a running server does not change."""
        if entry not in self._levels:
            self._levels[entry] = self.catalogue.level(entry)
        return self._levels[entry]

    def _waiting(self, entry: str, record: Any) -> int:
        """How many values of an entry are unknown, counted once."""
        if entry not in self._unknown:
            self._unknown[entry] = sum(quantity.value is None for quantity in quantities(record))
        return self._unknown[entry]

    def _text(self, kind: str, id: str) -> str:
        """All that an entry says, as it is searched; made once."""
        entry = f"{kind}/{id}"
        if entry not in self._texts:
            record = self.catalogue.of(kind)[id]
            self._texts[entry] = folded(" ".join([id, *_strings(msgspec.to_builtins(record))]))
        return self._texts[entry]


def nested(lines: Sequence[Line], lang: str = "ja") -> list[dict[str, Any]]:
    """Lines as a tree: label, text as HTML, what stands below it.

    >>> [row["label"] for row in nested([Line(0, "a", ""), Line(1, "b", "x"), Line(0, "c", "y")])]
    ['a', 'c']
    """
    top: list[dict[str, Any]] = []
    levels = [top]
    for line in lines:
        row: dict[str, Any] = {"label": line.label, "text": linked(line.text, lang), "below": []}
        levels = levels[: line.depth + 1]
        levels[-1].append(row)
        levels.append(row["below"])
    return top


def _lines(catalogue: Catalogue, kind: str, record: Any, lang: str, markdown: bool = True) -> list[Line]:
    if not isinstance(record, Record):
        return [Line(0, key, text) for key, text in record.items()]
    return record_lines(catalogue, kind, record, lang, markdown=markdown)


def _path(kind: str, id: str) -> str:
    return f"/cases/{quote(id)}" if kind == "cases" else f"/catalogue/{kind}/{quote(id)}"


def _strings(thing: Any) -> list[str]:
    if isinstance(thing, str):
        return [thing]
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return [text for part in parts for text in _strings(part)]
