"""Pages of towns: found by name, reading or code; what is known of one, what is missing and whom to ask; its changes, and how they are taken back.

In: the region folders, the table of municipalities, imports that wait, the plans. Out: routes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.base.jdate import era_year
from kiban.catalogue import words
from kiban.catalogue.words import Words
from kiban.documents.view import EXAMPLE
from kiban.records.region import Evidence, Fact, Missing, Place, Plant, Region, Site
from kiban.region import said
from kiban.region.imports import TOKEN, Imports
from kiban.region.towns import Towns, reading
from kiban.region.versions import undo, versions
from kiban.region.xlsx import TableError
from kiban.web.frame import Frame, number_of
from kiban.web.making import Regions
from kiban.web.plans import Plans
from kiban.web.uploads import uploaded

PAIR = " – "  # between the ids of the two places of a link
NOBODY = ("不要", "なし", "rule ", "kiban ")  # beginnings of whom a missing thing asks when nobody needs to be asked


def refusal(word: Words, error: KibanError) -> str:
    """Why a file was refused, in the words of the page."""
    where = error.where
    return word(f"town.refused.{error.code}", where=where) if isinstance(error, TableError) else word("town.refused.other", where=where)


@dataclass(frozen=True)
class TownPages:
    """The pages of towns."""

    regions: Regions
    imports: Imports
    towns: Towns
    plans: Plans
    frame: Frame

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/towns", self.index),
            Route("/towns/table", self.take_table, methods=["POST"]),
            Route("/towns/{region}", self.town),
            Route("/towns/{region}/undo", self.take_back, methods=["POST"]),
        ]

    def open(self, request: Request) -> tuple[str, Region]:
        """Name and content of the region in the path. Raises HTTPException 404."""
        name = request.path_params["region"]
        try:
            return name, self.regions.open(name)
        except KeyError as error:
            raise HTTPException(404, self.frame.words(request)("town.none", name=name)) from error

    async def index(self, request: Request) -> Response:
        """The towns of this server, and those of the table that a search finds."""
        return await run_in_threadpool(self._index, request)

    async def take_table(self, request: Request) -> Response:
        """Take the table of municipalities in."""
        self.frame.need(request, "editor")
        _, files = await uploaded(self.frame, request)
        word = self.frame.words(request)
        if not files:
            return await run_in_threadpool(self._index, request, word("town.no_file"))
        try:
            count = await run_in_threadpool(self.towns.take, files[0].content, files[0].name)
        except KibanError as error:
            return await run_in_threadpool(self._index, request, refusal(word, error))
        self.frame.note(request, "change", "towns", f"{files[0].name[:120]}: {count}")
        return RedirectResponse(self.frame.url(request, "/towns", taken=str(count)), 303)

    async def town(self, request: Request) -> Response:
        """One town."""
        return await run_in_threadpool(self.page, request)

    async def take_back(self, request: Request) -> Response:
        """Take a change back."""
        who = self.frame.need(request, "editor")
        form = await self.frame.form(request)
        name = request.path_params["region"]
        number = number_of(form.get("number"))
        if name not in self.regions.names() or not number:
            raise HTTPException(404)
        try:
            done = await run_in_threadpool(undo, self.regions.folder, name, number, who=who.name, reason=form.get("reason", "")[:500], now=self.frame.now())
        except KeyError as error:
            raise HTTPException(404) from error
        self.frame.note(request, "change", name, f"undo {number}")
        return RedirectResponse(self.frame.url(request, f"/towns/{quote(name)}", done=str(done.number)) + "#history", 303)

    # --- parts

    def _index(self, request: Request, wrong: str = "") -> Response:
        asked = request.query_params.get("q", "").strip()[:100]
        rows: list[Mapping[str, Any]] = []
        here = set()
        for name in self.regions.names():
            try:
                region = self.regions.open(name)
            except (KibanError, KeyError, OSError) as error:  # one broken folder must not hide the others
                rows.append({"name": name, "title": name, "trouble": str(error), "region": None, "kana": ""})
                continue
            known = self.towns.of(region.lg_code)
            kana = known.kana if known else ""
            here.add(region.lg_code)
            if not asked or self._meets(asked, name, region, kana):
                prefecture = known.prefecture if known else ""
                missing = sum(not one.ask.startswith(NOBODY) for one in region.missing)
                rows.append({"name": name, "title": region.name, "trouble": "", "region": region, "missing": missing, "kana": kana, "prefecture": prefecture})
        found = [town for town in self.towns.find(asked) if town.code not in here] if asked else []
        context = {
            "rows": rows,
            "asked": asked,
            "found": found,
            "table": len(self.towns.all()),
            "taken": request.query_params.get("taken", ""),
            "wrong": wrong,
            "folder": self.regions.folder.name,
        }
        return self.frame.page(request, "towns.html", context, status=422 if wrong else 200)

    @staticmethod
    def _meets(asked: str, name: str, region: Region, kana: str) -> bool:
        digits = said.flat(asked)
        if digits.isdigit():
            return (region.lg_code or "").startswith(digits)
        wanted = reading(asked)
        return any(wanted in reading(text) for text in (name, region.name, kana))

    def page(self, request: Request, wrong: str = "", status: int = 200) -> Response:
        """The page of a town; `wrong`: why a file was refused."""
        try:
            name, region = self.open(request)
        except KibanError as error:
            broken = {"name": request.path_params["region"], "trouble": str(error)}
            return self.frame.page(request, "town_broken.html", {**broken, "history": self._history(broken["name"])})
        word, lang = self.frame.words(request), self.frame.language(request)
        texts = self.frame.catalogue.words[lang]
        known = self.towns.of(region.lg_code)
        year = self.frame.now().year
        done = request.query_params.get("done", "")
        history = self._history(name)
        names = {site.id: site.name for site in region.sites} | {place.id: place.name for place in region.places}
        said_missing = [self._asked(one, region.name, words(self.frame.catalogue, "ja"), lang, names) for one in region.missing]
        context = {
            "name": name,
            "region": region,
            "label_gloss": word(EXAMPLE) if lang != "ja" and region.label == words(self.frame.catalogue, "ja")(EXAMPLE) else "",
            "kana": known.kana if known else "",
            "prefecture": known.prefecture if known else "",
            "counts": sorted(Counter(site.kind for site in region.sites).items(), key=lambda one: -one[1]),
            "stands": Counter(place.kind for place in region.places),
            "people": sum(site.population or 0 for site in region.sites),
            "kilometres": round(sum(street.length_m for street in region.streets) / 1000, 1),
            "plants": [
                {
                    "plant": plant,
                    "technology": self.frame.catalogue.headline("technologies", plant.technology, lang)
                    if plant.technology in self.frame.catalogue.technologies
                    else plant.technology,
                    "age": year - plant.year_built if plant.year_built else None,
                    "built": (era_year(plant.year_built) if lang == "ja" else str(plant.year_built)) if plant.year_built else "",
                    "source": self._source(region, plant.evidence, word),
                }
                for plant in region.plants
            ],
            "facts": [
                {
                    "id": fact.id,
                    "name": texts.get(f"town.fact.{fact.id}") or texts.get(f"fact.{fact.id}") or fact.id,
                    "value": word("town.yes" if fact.value else "town.no") if isinstance(fact.value, bool) else _number(fact.value),
                    "unit": texts.get(f"town.unit.{fact.unit}", texts.get(f"unit.{fact.unit}", fact.unit)) if fact.unit not in (None, "ratio") else "",
                    "year": (era_year(fact.year) if lang == "ja" else str(fact.year)) if fact.year else "",
                    "source": self._source(region, fact.evidence, word),
                }
                for fact in region.facts
            ],
            "assumed": sum(row.assumed for row in _evidence(region)),
            "missing": [one for one in said_missing if one["letter"]],
            "settled": [one for one in said_missing if not one["letter"]],
            "plans": self._plans(request, region.id),
            "waiting": self.imports.all(name),
            "history": history,
            "done": next((one for one in history if str(one.number) == done), None),
            "left": request.query_params.get("left", "") if TOKEN.match(request.query_params.get("left", "")) else "",
            "wrong": wrong,
        }
        return self.frame.page(request, "town.html", context, status=status)

    def _history(self, name: str) -> list[Any]:
        return versions(self.regions.folder, name)

    @staticmethod
    def _source(region: Region, evidence: Evidence, word: Words) -> str:
        if evidence.assumed:
            return word("town.assumed", reason=(evidence.reason or "").partition(" / ")[0], confirm=(evidence.confirm or "").partition(" / ")[0])
        return region.sources[evidence.source].title if evidence.source else ""

    @staticmethod
    def _asked(one: Missing, town: str, word: Words, lang: str, names: Mapping[str, str]) -> Mapping[str, Any]:
        """A missing thing in the language of the page, and the letter to whom knows it, in Japanese."""

        def side(text: str) -> str:
            japanese, _, english = text.partition(" / ")
            mark = text[text.rindex("[") :] if text.endswith("]") and "[" in text else ""
            return (english if lang == "en" and english else japanese + (f" {mark}" if mark and mark not in japanese else "")).strip()

        whom = one.ask.partition(" / ")[0]
        examples = [PAIR.join(names.get(id, id) for id in example.split(PAIR)) for example in one.examples]
        listed = "".join(f"\n・{example}" for example in examples)
        what, why = one.what.partition(" / ")[0], one.why.partition(" / ")[0]
        letter = "" if whom.startswith(NOBODY) else word("town.letter", whom=whom, town=town, what=what, why=why) + (listed and word("town.letter.of") + listed)
        return {"what": side(one.what), "why": side(one.why), "ask": side(one.ask), "count": one.count, "examples": examples, "letter": letter}

    def _plans(self, request: Request, region: str) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for name in self.plans.names():
            try:
                one = self.plans.read(name)
            except KibanError:  # a broken plan is named on the page of the plans
                continue
            if one.region.id == region:
                rows.append({"url": self.frame.url(request, f"/plans/{quote(name)}"), "sentence": one.plan.sentence, "made": one.plan.made_on})
        return rows


def _evidence(region: Region) -> list[Evidence]:
    rows: list[Site | Place | Plant | Fact] = [*region.sites, *region.places, *region.plants, *region.facts]
    return [row.evidence for row in rows]


def _number(value: float | str | None) -> str:
    """A figure with thousands apart.

    >>> _number(17568.0), _number(0.2), _number("一部"), _number(None)
    ('17,568', '0.2', '一部', '–')
    """
    if isinstance(value, int | float):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
    return value or "–"
