"""The page of the design: the map and the tables of the same things, and what happens when something of it is lost.

In: plan folders. Out: routes. Drills run on the design as it stands in the folder; nothing of the plan is changed by them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.base.jdate import fiscal_year
from kiban.loop.folder import Folder
from kiban.records.plan import Figure
from kiban.web.assets import ASK, packed
from kiban.web.frame import Frame
from kiban.web.map_data import map_data
from kiban.web.pages import plan_page
from kiban.web.plans import Plans

if TYPE_CHECKING:  # the engines are loaded when the first drill is asked for: the server starts without them
    from kiban.design.drill import Drill, Link
    from kiban.design.figures import Sheet

SITES, LINKS = 100, 50  # rows of a table on one page
WRONG = ("traffic", "budget", "phases", "kwh", "town", "nothing")
KEPT = 4  # designs that are kept ready for drills


@dataclass
class Ready:
    """One design, ready for drills."""

    stamp: int
    drill: Drill
    links: list[dict[str, Any]]  # every street that the design uses
    sheet: Sheet  # without figures: what lies where
    between: dict[str, list[str]] = field(default_factory=dict)  # street → what lies near its ends


@dataclass
class DesignPage:
    """Routes of the design page."""

    plans: Plans
    frame: Frame
    making: bool = False  # whether plans can be designed again here
    _ready: dict[str, Ready] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """All of them."""
        self.plans.add("design")
        return [Route("/plans/{plan}/design", self.design), Route("/plans/{plan}/map.json", self.map)]

    async def design(self, request: Request) -> Response:
        """The page; `?cut=street:ID` or `exchange:ID` shows who is off then, `?sites=N` and `?links=N` the N-th part of a long table."""
        return await run_in_threadpool(self._design, request)

    async def map(self, request: Request) -> Response:
        """What the map draws, made and packed once until the plan changes."""
        return await run_in_threadpool(self._map, request)

    def _map(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        path = self.plans.path(name) / "design.geojson"
        if not path.is_file():
            raise HTTPException(404, self.frame.words(request)("error.no_file", name=path.name))
        made = self.plans.once(name, one, "map", lambda: packed(map_data(one.region, path.read_bytes()), "application/json"))
        return made.answer(request, ASK)

    def _design(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        ready = self._opened(name, one)
        view = self.plans.view(request, one)
        asked = request.query_params.get("cut", "")
        cut = None
        if asked:
            sheet = self._sheet(one, one.plan.figures)
            cut = self._cut(request, asked, ready, sheet)
            view = replace_figures(view, sheet)
        context = self.plans.context(request, name, one) if cut is None else plan_page(view, self.plans.path(name))
        base = f"/plans/{quote(name)}"
        rows = context["design"]["sites"]
        wanted = request.query_params.get("site", "")
        place = next((number for number, row in enumerate(rows) if row["site"] == wanted), None)
        page = _page(request, "sites", len(rows), SITES) if place is None else place // SITES
        links = ready.links
        part = _page(request, "links", len(links), LINKS)
        shown = [
            {
                **row,
                "between": ready_between(ready, row["street"]),
                "cut_url": self.frame.url(request, f"{base}/design", cut=f"street:{row['street']}") + "#cut",
            }
            for row in links[part * LINKS : (part + 1) * LINKS]
        ]
        context |= {
            "still_url": self.frame.url(request, f"{base}/map.svg"),
            "map_url": f"{base}/map.json",
            "hazards": one.region.hazards,
            "ages": ages(one),
            "cut": cut,
            "cut_on_map": json.dumps({"streets": cut["streets"], "off": [row["site"] for row in cut["off"]]} if cut else {}),
            "exchanges": [
                (place.id, place.name) for place in one.region.places if place.kind == "exchange" and f"exchange:{place.id}" in _used(ready.drill, one)
            ],
            "links": shown,
            "links_count": len(links),
            "links_pages": pages(len(links), LINKS, part),
            "site_rows": rows[page * SITES : (page + 1) * SITES],
            "site_pages": pages(len(rows), SITES, page),
            "again": {key: request.query_params.get(key, "")[:40] for key in ("traffic", "budget", "phases", "kwh")} if self.making else None,
            "again_wrong": request.query_params.get("wrong", "") if request.query_params.get("wrong") in WRONG else "",
            "scenarios": [(id, getattr(one.name, view.lang)) for id, one in self.frame.catalogue.traffic.items()],
            "known_figure": lambda id: id is not None and id in one.plan.figures,
            "view": view,
        }
        self.frame.note(request, "view", f"plans/{name}", "design")
        return self.plans.page(request, "design", "design.html", name, one, context)

    def _opened(self, name: str, one: Folder) -> Ready:
        from kiban.design.drill import Drill

        stamp = (self.plans.path(name) / "plan.json").stat().st_mtime_ns
        kept = self._ready.get(name)
        if kept is None or kept.stamp != stamp:
            drill = Drill(one.region, one.problem, one.design, self.frame.catalogue.technologies)
            lines: dict[str, list[int]] = {}
            for index in sorted(one.design.arcs):
                if one.problem.arcs[index].kind in ("line", "plant"):
                    lines.setdefault(one.problem.arcs[index].ref, []).append(index)
            kept = Ready(stamp, drill, _links(one, drill.links(), lines), self._sheet(one, {}))
            for old in list(self._ready)[: max(0, len(self._ready) - KEPT + 1)]:
                self._ready.pop(old, None)
            self._ready[name] = kept
        return kept

    def _sheet(self, one: Folder, figures: Mapping[str, Figure]) -> Sheet:
        """The figures of a plan, to which those of one drill may be added."""
        from kiban.design.figures import Sheet
        from kiban.finance.ledger import Ledger

        ledger = Ledger()
        ledger.update(figures)
        usecases = {id: self.frame.catalogue.usecases[id] for demand in one.problem.demands if (id := demand.usecase) in self.frame.catalogue.usecases}
        return Sheet(ledger, one.problem, one.design, one.region, usecases)

    def _cut(self, request: Request, asked: str, ready: Ready, sheet: Sheet) -> dict[str, Any]:
        """Who is off when one thing is lost. Raises HTTPException 404 when the region has no such thing."""
        from kiban.design.drill_figures import entered
        from kiban.design.events import cut, lose_place

        kind, _, id = asked.partition(":")
        try:
            event = cut(sheet.region, [id]) if kind == "street" else lose_place(sheet.region, id)
            return {**entered(sheet, ready.drill, ready.drill.run(event, restore=True)), "streets": sorted(event.streets)}
        except KibanError as error:
            raise HTTPException(404, self.frame.words(request)("design.no_cut", name=asked)) from error


def ready_between(ready: Ready, street: str) -> list[str]:
    """What lies near the two ends of a street, looked for once."""
    from kiban.design.drill_figures import between

    if street not in ready.between:
        ready.between[street] = between(ready.sheet, street)
    return ready.between[street]


def replace_figures(view: Any, sheet: Sheet) -> Any:
    """The view with the figures of a drill beside those of the plan."""
    from dataclasses import replace as changed

    return changed(view, plan=replace(view.plan, figures=sheet.ledger.figures))


def _links(one: Folder, ranked: list[Link], lines: Mapping[str, list[int]]) -> list[dict[str, Any]]:
    """Every street that the design uses: first those whose cut takes most off, then the long ones."""
    names = {link.street: link for link in ranked}
    plants = {plant.id: plant for plant in one.region.plants}
    streets = {street.id: street for street in one.region.streets}
    rows = []
    for street, arcs in lines.items():
        link = names.get(street)
        own = plants.get(streets[street].plant or "") if any(one.problem.arcs[arc].kind == "plant" for arc in arcs) else None
        rows.append(
            {
                "street": street,
                "technologies": sorted({one.problem.arcs[arc].technology or "" for arc in arcs} - {""}),
                "metres": round(max(one.problem.arcs[arc].length_m for arc in arcs)),
                "off": link.sites if link else 0,
                "critical": link.critical if link else 0,
                "detour": link.detour if link else None,
                "plant": own,
            }
        )
    return sorted(rows, key=lambda row: (-row["critical"], -row["off"], -row["metres"], row["street"]))


def _used(drill: Drill, one: Folder) -> set[str]:
    arcs = [one.problem.arcs[index] for index in one.design.arcs]
    found = {arc.ref for arc in arcs if arc.kind == "exchange"}
    found |= {drill.problem.nodes[arc.head].ref for arc in arcs if arc.kind == "feed"}
    return {f"exchange:{id}" for id in found}


def _page(request: Request, name: str, count: int, size: int) -> int:
    """The part of a long table that was asked for, from 0; what is no number, or too large, is the nearest part there is."""
    asked = request.query_params.get(name, "1")
    number = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else 1
    return min(max(0, number - 1), max(0, -(-count // size) - 1))


def pages(count: int, size: int, here: int) -> list[tuple[int, int, int, bool]]:
    """The parts of a table: number, first row, last row, whether it is shown; empty where one part holds all.

    >>> pages(250, 100, 1)
    [(1, 1, 100, False), (2, 101, 200, True), (3, 201, 250, False)]
    >>> pages(100, 100, 0)
    []
    """
    if count <= size:
        return []
    return [(number + 1, number * size + 1, min(count, (number + 1) * size), number == here) for number in range(-(-count // size))]


def ages(one: Folder) -> list[dict[str, Any]]:
    """Existing plant, the oldest first: what it is, how old it is when the plan begins, whose it is and what binds it."""
    year = fiscal_year(one.plan.made_on.date())
    rows = [
        {
            "plant": plant,
            "age": None if plant.year_built is None else year - plant.year_built,
            "metres": round(sum(street.length_m for street in one.region.streets if street.plant == plant.id)),
        }
        for plant in one.region.plants
    ]
    return sorted(rows, key=lambda row: (row["age"] is None, -(row["age"] or 0), row["plant"].id))
