"""A design as things on a map: sites, lines, facilities and hops, each with an id that stays, its place and what is known of it.

In: region, problem, design. Out: a Drawing, which the map files (GeoJSON, GeoPackage, Open Fibre Data Standard) write in their own ways.
Every yen of the design stands at exactly one feature or in `system_npv_yen`: that of a street on its line, that of feeding and opening a mast at its
facility, that of a hop on the hop, that of connecting a site at the site, that of a capacity step, bought first or as traffic grows, at the place of its group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kiban.records.design import Arc, Design, Problem
from kiban.records.region import Evidence, Place, Region, Site

Layer = Literal["sites", "lines", "facilities", "hops"]
Kind = Literal["text", "list", "integer", "real", "boolean"]
Point = tuple[float, float]  # longitude, latitude

# The fields of each layer, in order: what a field holds stands in its name where it has a unit.
FIELDS: dict[Layer, dict[str, Kind]] = {
    "sites": {
        "id": "text", "name": "text", "kind": "text", "technology": "text", "technologies": "list", "second": "text", "text": "text", "critical": "boolean",
        "served": "boolean", "usecases": "list", "unserved": "list", "reason": "text", "binding": "text", "next_best": "text",
        "next_best_difference_yen": "integer", "own_npv_yen": "integer", "equipment_npv_yen": "integer", "households": "integer", "assumed": "boolean",
        "source": "text", "confidence": "text",
    },
    "lines": {
        "id": "text", "kind": "text", "technology": "text", "text": "text", "length_m": "integer", "npv_yen": "integer", "plant": "text", "plant_name": "text",
        "year_built": "integer", "owner": "text", "funding": "text", "restricted_until": "text", "iru_until": "text", "assumed": "boolean",
    },
    "facilities": {
        "id": "text", "name": "text", "kind": "text", "used": "boolean", "technologies": "list", "height_m": "real", "npv_yen": "integer",
        "assumed": "boolean", "source": "text", "confidence": "text",
    },
    "hops": {"id": "text", "kind": "text", "technology": "text", "text": "text", "from": "text", "to": "text", "length_m": "integer", "npv_yen": "integer"},
}  # fmt: skip
DECIMALS = 7  # of a degree: about a centimetre


@dataclass(frozen=True)
class Feature:
    """One thing on the map.

    id      "<layer>/…", the same from run to run and in every file; `properties["id"]` is that of the region's row
    points  one for a point, two or more for a line
    ends    of a line or hop: the ids of what it joins, "junctions/…", "sites/…" or "facilities/…"
    """

    id: str
    layer: Layer
    points: tuple[Point, ...]
    properties: dict[str, Any]
    ends: tuple[str, str] | None = None


@dataclass(frozen=True)
class Drawing:
    """All features, and what is paid once for the whole system, in yen over the horizon."""

    features: tuple[Feature, ...]
    system_npv_yen: int

    def of(self, layer: Layer) -> list[Feature]:
        """The features of one layer."""
        return [feature for feature in self.features if feature.layer == layer]


@dataclass
class _Hand:
    """Draws one design."""

    region: Region
    problem: Problem
    design: Design
    names: Mapping[str, str]
    lines: dict[str, Feature] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)  # feature id → yen that stand at it
    opened: dict[str, set[str]] = field(default_factory=dict)  # place → technologies that stand there

    def __post_init__(self) -> None:
        rows: tuple[Site | Place, ...] = (*self.region.sites, *self.region.places)
        self.rows = {row.id: row for row in rows}
        self.at = {junction.id: _point(junction.lon, junction.lat) for junction in self.region.junctions}
        self.streets = {street.id: street for street in self.region.streets}
        self.plants = {plant.id: plant for plant in self.region.plants}
        self.places = {place.id for place in self.region.places}

    def pay(self, id: str, yen: int) -> None:
        self.paid[id] = self.paid.get(id, 0) + yen

    def end(self, node: int) -> tuple[str, Point] | None:
        """The id and the point of a node; None for the world and for what has no place."""
        one = self.problem.nodes[node]
        if one.kind == "junction":
            return (f"junctions/{one.ref}", self.at[one.ref]) if one.ref in self.at else None
        row = self.rows.get(one.ref)
        return None if row is None else (f"{'facilities' if row.id in self.places else 'sites'}/{row.id}", _point(row.lon, row.lat))

    def draw(self) -> Drawing:
        """Go through the arcs and steps of the design."""
        for index in sorted(self.design.arcs):
            self.arc(self.problem.arcs[index])
        system = 0
        exchange = {self.problem.arcs[index].head: self.problem.arcs[index].ref for index in self.design.arcs if self.problem.arcs[index].kind == "exchange"}
        bought = [(index, group, self.problem.steps[index].cost * units) for index, group, units in self.design.steps]
        bought += [(index, group, self.problem.steps[index].later[year] * units) for index, group, year, units in self.design.grown]
        for index, group, yen in bought:
            step, node = self.problem.steps[index], self.problem.nodes[group]
            place = node.ref if step.level == "facility" else exchange.get(group)
            if place in self.places:
                self.pay(f"facilities/{place}", yen)
            else:
                system += yen
        lines = [_with(feature, npv_yen=self.paid.get(feature.id, 0)) for feature in self.lines.values()]
        return Drawing((*self.sites(), *sorted(lines, key=lambda feature: feature.id), *self.facilities()), system)

    def arc(self, arc: Arc) -> None:
        """Draw one arc, or pay it where it stands."""
        tail, head = self.end(arc.tail), self.end(arc.head)
        shown: dict[str, Any] = {"kind": arc.kind, "technology": arc.technology, "text": self.names.get(arc.technology or "", arc.technology)}
        if arc.kind in ("line", "plant"):
            street = self.streets[arc.ref]
            id = f"lines/{arc.kind}/{arc.technology}/{street.id}"
            self.pay(id, arc.cost)
            plant = self.plants.get(street.plant or "") if arc.kind == "plant" else None
            known = {} if plant is None else {
                "plant": plant.id, "plant_name": plant.name, "year_built": plant.year_built, "owner": plant.owner, "funding": plant.funding,
                "restricted_until": plant.restricted_until and plant.restricted_until.isoformat(),
                "iru_until": plant.iru_until and plant.iru_until.isoformat(), "assumed": plant.evidence.assumed,
            }  # fmt: skip
            points = (self.at[street.a], *(_point(lon, lat) for lat, lon in street.shape), self.at[street.b])
            ends = f"junctions/{street.a}", f"junctions/{street.b}"
            self.add(Feature(id, "lines", points, {"id": street.id, **shown, "length_m": round(arc.length_m), **known}, ends))
            return
        if arc.kind in ("hop", "link") and tail and head:
            id = f"hops/{arc.kind}/{arc.technology}/{tail[0].partition('/')[2]}/{head[0].partition('/')[2]}"
            self.pay(id if arc.kind == "hop" else head[0], arc.cost)
            between = {"from": tail[0].partition("/")[2], "to": head[0].partition("/")[2]}
            self.add(Feature(id, "hops", (tail[1], head[1]), {"id": arc.ref, **shown, **between, "length_m": round(arc.length_m)}, (tail[0], head[0])))
            return
        if arc.kind == "serve":
            self.pay(f"sites/{self.problem.nodes[arc.head].ref}", arc.cost)
            return
        if arc.kind == "exchange":
            row = self.rows[arc.ref]
            tail = f"facilities/{row.id}", _point(row.lon, row.lat)
        at = tail[0] if arc.kind == "exchange" and tail else head[0] if head else None
        if at is not None:
            self.pay(at, arc.cost)
        if arc.kind in ("open", "feed") and arc.technology:
            self.opened.setdefault(arc.ref, set()).add(arc.technology)
        if arc.kind in ("drop", "feed", "exchange") and tail and head and (tail[1] != head[1]):
            id = f"lines/{arc.kind}/{arc.technology or '-'}/{arc.ref}"
            self.add(Feature(id, "lines", (tail[1], head[1]), {"id": arc.ref, **shown, "length_m": round(arc.length_m)}, (tail[0], head[0])))

    def add(self, feature: Feature) -> None:
        """Keep a line once: below roads and behind the sea it may stand in the design twice, and is paid twice."""
        self.lines.setdefault(feature.id, feature)

    def sites(self) -> list[Feature]:
        """Every site that somebody wants served."""
        results = {result.site: result for result in self.design.sites}
        wanted: dict[str, set[str]] = {}
        for row, usecase in [(one.site, one.usecase) for one in self.problem.demands] + [(lost[0], lost[1]) for lost in self.problem.no_way]:
            wanted.setdefault(row, set()).add(usecase)
        unserved: dict[str, list[str]] = {}
        for id, usecase in self.design.unserved:
            unserved.setdefault(id, []).append(usecase)
        found = []
        for site in self.region.sites:
            if site.id not in wanted:
                continue
            result = results.get(site.id)
            technologies = list(result.technologies) if result else []
            best = result.next_best if result else None
            properties = {
                "id": site.id, "name": site.name, "kind": site.kind, "technology": technologies[0] if technologies else "", "technologies": technologies,
                "second": technologies[1] if len(technologies) > 1 else "", "text": "＋".join(self.names.get(id, id) for id in technologies),
                "critical": site.critical, "served": site.id not in unserved, "usecases": sorted(wanted[site.id]), "unserved": unserved.get(site.id, []),
                "reason": result.reason if result else None, "binding": result.binding if result else None, "next_best": best.technology if best else None,
                "next_best_difference_yen": best.difference_yen if best else None, "own_npv_yen": result.own_yen if result else None,
                "equipment_npv_yen": self.paid.get(f"sites/{site.id}", 0), "households": site.households, **self.origin(site.evidence),
            }  # fmt: skip
            found.append(Feature(f"sites/{site.id}", "sites", (_point(site.lon, site.lat),), properties))
        return found

    def facilities(self) -> list[Feature]:
        """Every place where equipment can stand; `used` by the design or not."""
        arcs = [self.problem.arcs[index] for index in self.design.arcs]
        used = {self.problem.nodes[end].ref for arc in arcs for end in (arc.tail, arc.head)} | {arc.ref for arc in arcs if arc.kind == "exchange"}
        attached = {self.region.attach[place.id][0]: place.id for place in self.region.places if place.id in self.region.attach}
        used |= {attached[ref] for ref in used if ref in attached}
        found = []
        for place in self.region.places:
            id = f"facilities/{place.id}"
            properties = {
                "id": place.id, "name": place.name, "kind": place.kind, "used": place.id in used, "technologies": sorted(self.opened.get(place.id, ())),
                "height_m": place.height_m, "npv_yen": self.paid.get(id, 0), **self.origin(place.evidence),
            }  # fmt: skip
            found.append(Feature(id, "facilities", (_point(place.lon, place.lat),), properties))
        return found

    def origin(self, evidence: Evidence) -> dict[str, Any]:
        """Where a row comes from."""
        source = self.region.sources.get(evidence.source or "")
        return {"assumed": evidence.assumed, "source": source.title if source else None, "confidence": str(evidence.confidence)}


def _point(lon: float, lat: float) -> Point:
    return round(lon, DECIMALS), round(lat, DECIMALS)


def _with(feature: Feature, **more: Any) -> Feature:
    """The feature with fields of its layer filled in."""
    return Feature(feature.id, feature.layer, feature.points, {name: (feature.properties | more).get(name) for name in FIELDS[feature.layer]}, feature.ends)


def draw(region: Region, problem: Problem, design: Design, names: Mapping[str, str]) -> Drawing:
    """The features of a design.

    Parameters
    ----------
    names  technology id → its name in the language of the file

    Returns
    -------
    Drawing; sites and facilities in the order of the region's rows, lines and hops by id; no two features share an id
    """
    return _Hand(region, problem, design, names).draw()
