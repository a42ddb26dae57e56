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
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.base.jdate import fiscal_year
from kiban.loop.folder import Folder
from kiban.records.region import Region
from kiban.web.frame import Frame
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
    links: list[Link]
    lines: dict[str, list[int]]  # street → chosen arcs along it


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
        return [Route("/plans/{plan}/design", self.design), Route("/plans/{plan}/areas.geojson", self.areas)]

    async def design(self, request: Request) -> Response:
        """The page; `?cut=street:ID` or `exchange:ID` shows who is off then, `?sites=N` and `?links=N` the N-th part of a long table."""
        return await run_in_threadpool(self._design, request)

    async def areas(self, request: Request) -> Response:
        """The areas of hazards, and the streets that existing plant follows, for the map."""
        _, one = self.plans.open(request)
        return JSONResponse(areas(one.region), media_type="application/geo+json")

    def _design(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        ready = self._opened(name, one)
        view = self.plans.view(request, one)
        sheet = self._sheet(one)
        asked = request.query_params.get("cut", "")
        cut = self._cut(request, asked, ready, sheet) if asked else None
        if cut is not None:
            view = replace_figures(view, sheet)
        context = plan_page(view, self.plans.path(name))
        base = f"/plans/{quote(name)}"
        rows = context["design"]["sites"]
        wanted = request.query_params.get("site", "")
        place = next((number for number, row in enumerate(rows) if row["site"] == wanted), None)
        page = _page(request, "sites", len(rows), SITES) if place is None else place // SITES
        links = self._links(one, ready)
        part = _page(request, "links", len(links), LINKS)
        shown = links[part * LINKS : (part + 1) * LINKS]
        for row in shown:
            row["between"] = ready_between(sheet, row["street"])
            row["cut_url"] = self.frame.url(request, f"{base}/design", cut=f"street:{row['street']}") + "#cut"
        context |= {
            "still_url": self.frame.url(request, f"{base}/map.svg"),
            "areas_url": f"{base}/areas.geojson",
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
            kept = Ready(stamp, drill, drill.links(), lines)
            for old in list(self._ready)[: max(0, len(self._ready) - KEPT + 1)]:
                self._ready.pop(old, None)
            self._ready[name] = kept
        return kept

    def _sheet(self, one: Folder) -> Sheet:
        """The figures of a plan, to which those of one drill may be added."""
        from kiban.design.figures import Sheet
        from kiban.finance.ledger import Ledger

        ledger = Ledger()
        ledger.update(one.plan.figures)
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

    def _links(self, one: Folder, ready: Ready) -> list[dict[str, Any]]:
        """Every street that the design uses: first those whose cut takes most off, then the long ones."""
        names = {link.street: link for link in ready.links}
        plants = {plant.id: plant for plant in one.region.plants}
        streets = {street.id: street for street in one.region.streets}
        rows = []
        for street, arcs in ready.lines.items():
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


def ready_between(sheet: Sheet, street: str) -> list[str]:
    """What lies near the two ends of a street."""
    from kiban.design.drill_figures import between

    return between(sheet, street)


def replace_figures(view: Any, sheet: Sheet) -> Any:
    """The view with the figures of a drill beside those of the plan."""
    from dataclasses import replace as changed

    return changed(view, plan=replace(view.plan, figures=sheet.ledger.figures))


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


def areas(region: Region) -> dict[str, Any]:
    """Hazards as polygons and existing plant as lines (GeoJSON, WGS84 longitude and latitude)."""
    at = {junction.id: [junction.lon, junction.lat] for junction in region.junctions}
    built: Mapping[str, int | None] = {plant.id: plant.year_built for plant in region.plants}
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "geometry": {"type": "MultiPolygon", "coordinates": [[[[lon, lat] for lat, lon in ring] for ring in polygon] for polygon in hazard.polygons]},
            "properties": {"part": "hazard", "name": hazard.name, "kind": hazard.kind},
        }
        for hazard in region.hazards
    ]
    features += [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [at[street.a], *([lon, lat] for lat, lon in street.shape), at[street.b]]},
            "properties": {"part": "plant", "name": street.plant, "year_built": built.get(street.plant)},
        }
        for street in region.streets
        if street.plant
    ]
    return {"type": "FeatureCollection", "features": features}
