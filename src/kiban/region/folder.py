"""A region folder, read: region.yaml and CSV files that a clerk edits in Excel become one Region record.

In: a folder with the columns below. Out: a Region with every site and place joined to the streets; where no streets are
given, to candidate links between the points. All problems of all files come in one message. What is absent is listed in `missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from kiban.base.errors import KibanError, RecordError, RegionError
from kiban.records.region import Evidence, Fact, Junction, Missing, Place, Plant, Region, Site, Street
from kiban.records.rules import check_latlon
from kiban.records.source import Confidence
from kiban.records.usecase import SiteKind
from kiban.region.boundary import Area, areas, outside_m
from kiban.region.cells import Cells, RegionFilesError
from kiban.region.columns import check_in_japan
from kiban.region.detect import load_json
from kiban.region.geodesy import Point
from kiban.region.geojson import lines_of
from kiban.region.hazards import hazards
from kiban.region.head import Detour, Head, read_head
from kiban.region.streets import Graph, Link, attach, contract, place
from kiban.region.text import Table, read_table
from kiban.region.ways import candidate_links, computed, inland, shortest, without

EVIDENCE = ("source", "original_id", "confidence", "assumed", "reason", "confirm")
COLUMNS = {
    "sites.csv": ("id", "kind", "name", "lat", "lon", "households", "population", "pupils", "devices", "critical", "covered", "note", "autonomy_h", *EVIDENCE),
    "places.csv": ("id", "kind", "name", "lat", "lon", "height_m", "autonomy_h", *EVIDENCE),
    "plants.csv": ("id", "name", "technology", "year_built", "owner", "funding", "restricted_until", "iru_until", "route", *EVIDENCE),
    "facts.csv": ("id", "value", "unit", "year", *EVIDENCE),
    "junctions.csv": ("id", "lat", "lon"),
    "streets.csv": ("id", "a", "b", "length_m", "kind", "plant", "shape"),
    "attach.csv": ("id", "junction", "off_m", "lat", "lon"),
}
NEEDED = {
    "sites.csv": ("id", "kind", "name", "lat", "lon"),
    "places.csv": ("id", "kind", "name", "lat", "lon"),
    "plants.csv": ("id", "name", "technology"),
    "facts.csv": ("id", "value"),
    "junctions.csv": ("id", "lat", "lon"),
    "streets.csv": ("id", "a", "b", "length_m"),
    "attach.csv": ("id", "junction", "off_m", "lat", "lon"),
}
PLACE_KINDS = ("exchange", "tower", "office")
SITE_KINDS: tuple[str, ...] = SiteKind.__args__  # type: ignore[attr-defined]

Make = Callable[[], Any]  # builds the record once its cells are read


@dataclass
class _Reading:
    """What one reading of a folder carries along."""

    folder: Path
    head: Head
    problems: list[KibanError]

    def table(self, name: str) -> Table | None:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            table = read_table(path)
        except RegionError as error:
            self.problems.append(error)
            return None
        lacking = [column for column in NEEDED[name] if column not in table.headers]
        strange = [column for column in table.headers if column and column not in COLUMNS[name]]
        if lacking or strange:
            found = "; ".join(text for text in (lacking and f"no column {', '.join(lacking)}", strange and f"column {', '.join(strange)}") if text)
            self.problems.append(RegionError(f"{name}:1", found, ", ".join(COLUMNS[name]), "correct the header line"))
            return None
        return table

    def rows(self, name: str, make: Callable[[Cells, str], Make]) -> list[Any]:
        table = self.table(name)
        if table is None:
            return []
        out: list[Any] = []
        seen: dict[str, int] = {}
        for row in table.rows:
            cells = Cells(table, row, self.problems)
            before = len(self.problems)
            id = cells.text("id", needed=True) or ""
            if id in seen:
                cells.problem("id", f"each id once (it is also in line {seen[id]})", "rename or delete one of them")
            seen[id] = row.line
            values = make(cells, id)
            if len(self.problems) > before:
                continue
            try:
                out.append(values())
            except RecordError as error:
                self.problems.append(RegionError(cells.where, f"{error.where}: {error.found}", error.fits, error.step))
        return out

    def evidence(self, cells: Cells) -> Evidence | None:
        grade = cells.text("confidence")
        if grade is not None and cells.choice("confidence", [str(one) for one in Confidence]) is None:
            return None
        source = cells.text("source")
        if source is not None and source not in self.head.sources:
            cells.problem("source", f"one of {', '.join(self.head.sources) or 'none given'}", "add it under sources: in region.yaml")
            return None
        try:
            return Evidence(
                source=source,
                original=cells.text("original_id"),
                confidence=Confidence(grade) if grade else Confidence.B,
                assumed=cells.flag("assumed"),
                reason=cells.text("reason"),
                confirm=cells.text("confirm"),
            )
        except RecordError as error:
            cells.problems.append(RegionError(cells.where, f"{error.where}: {error.found}", error.fits, error.step))
            return None

    def point(self, cells: Cells) -> Point:
        before = len(self.problems)
        lat, lon = cells.number("lat", needed=True), cells.number("lon", needed=True)
        if lat is None or lon is None:
            return 0.0, 0.0
        if len(self.problems) == before:
            try:
                check_latlon("lat, lon", lat, lon)
                check_in_japan(lat, lon, self.head.lg_code)
            except KibanError as error:
                self.problems.append(RegionError(cells.where, f"columns lat, lon: {lat:g}, {lon:g}", error.fits, error.step))
        return lat, lon


def read(folder: Path, *, detour: Detour | None = None) -> Region:
    """Read a region folder.

    Parameters
    ----------
    folder  holds region.yaml and sites.csv, and maybe places, plants, facts, junctions and streets, streets.geojson, boundary.geojson,
            hazards/*.geojson
    detour  used when the folder has no streets and names no factor of its own

    Raises
    ------
    RegionError  every problem of every file, with file:line, column, what was found and what fits
    """
    if not folder.is_dir():
        raise RegionError(str(folder), "no such folder", "a region folder with region.yaml and sites.csv", "make one with: kiban region build")
    head = read_head(folder / "region.yaml")
    reading = _Reading(folder, head, [])
    sites: list[Site] = reading.rows("sites.csv", lambda cells, id: _site(reading, cells, id))
    places: list[Place] = reading.rows("places.csv", lambda cells, id: _place(reading, cells, id))
    plants: list[Plant] = reading.rows("plants.csv", lambda cells, id: _plant(reading, cells, id))
    facts: list[Fact] = reading.rows("facts.csv", lambda cells, id: _fact(reading, cells, id))
    if not (folder / "sites.csv").exists():
        reading.problems.append(RegionError("sites.csv", "no such file", "a row for each place with a need", "make it, with the columns of the reference"))
    both = {site.id for site in sites} & {spot.id for spot in places}
    reading.problems += [RegionError("places.csv", f"id {id!r} also in sites.csv", "each id once", "rename one of them") for id in sorted(both)]
    polygons = _boundary(reading, sites, places)
    dangers = hazards(folder, head, reading.problems)

    located: list[Site | Place] = [*sites, *places]
    ids = {row.id for row in located}
    strange = sorted({id for pair in head.no_links for id in pair} - ids) if not reading.problems else []
    reading.problems += [RegionError("region.yaml", f"no_links: {id!r}", "ids of sites.csv or places.csv", "correct it") for id in strange]
    points = {row.id: (row.lat, row.lon) for row in located}
    graph, candidates = _graph(reading, points)
    if reading.problems:
        raise RegionFilesError(str(folder), reading.problems)

    factor = head.detour.value if head.detour else detour.value if detour else None
    sources = dict(head.sources)
    origin = head.detour.source if head.detour else None
    if candidates and origin is None and detour is not None:
        origin = "detour-factor"
        sources[origin] = detour.source
    outside: list[Missing] = []
    if candidates and not any(link.kind == "candidate" for link in graph.links):
        graph = without(candidate_links(points, factor or 1.0), points, reading.head.no_links)
        graph, outside = inland(graph, polygons, points, head.outside_limit_m)
    joined = _stored(reading, points, graph)
    rest = {id: point for id, point in points.items() if id not in joined}
    graph, fresh, far = attach(graph, rest, head.attach_limit_m)
    joined = {id: (junction, off) for id, (junction, off) in {**joined, **fresh}.items() if junction}
    _lay(reading, plants, graph, joined)
    notes = outside + computed(sites, places, graph, joined, far, candidates, factor, head)
    if reading.problems:
        raise RegionFilesError(str(folder), reading.problems)

    try:
        return Region(
            id=head.id,
            name=head.name,
            lg_code=head.lg_code,
            sources=sources,
            sites=tuple(sites),
            places=tuple(places),
            junctions=tuple(Junction(id=id, lat=point[0], lon=point[1]) for id, point in graph.junctions.items()),
            streets=tuple(
                Street(id=link.id, a=link.a, b=link.b, length_m=link.length_m, kind=_street_kind(link.kind), plant=link.plant, shape=link.shape[1:-1])
                for link in graph.links
                if link.a != link.b
            ),
            attach=dict(sorted(joined.items())),
            plants=tuple(plants),
            facts=tuple(facts),
            hazards=dangers,
            elevation=head.elevation,
            missing=(*head.missing, *notes),
            label=head.label,
            links_are_candidates=candidates,
            detour=factor if candidates else None,
            detour_source=origin if candidates else None,
        )
    except RecordError as error:
        raise RegionError(str(folder), f"{error.where}: {error.found}", error.fits, error.step) from error


def _street_kind(kind: str) -> Literal["street", "candidate", "sea"]:
    return "candidate" if kind == "candidate" else "sea" if kind == "sea" else "street"


def _site(reading: _Reading, cells: Cells, id: str) -> Make:
    lat, lon = reading.point(cells)
    kind, name, evidence = cells.choice("kind", SITE_KINDS), cells.text("name", needed=True), reading.evidence(cells)
    counts = {column: cells.whole(column) for column in ("households", "population", "pupils", "devices")}
    critical, note = cells.flag("critical"), cells.text("note")
    covered = {}
    for word in (cells.text("covered") or "").replace(";", " ").split():
        technology, _, answer = word.partition("=")
        if answer not in ("yes", "no"):
            cells.problem("covered", "words such as lte=yes leo=no", "write technology=yes or technology=no, separated by spaces")
        covered[technology] = answer == "yes"
    named: dict[str, Any] = {"name": name, "kind": kind, "evidence": evidence, **counts}
    return partial(Site, id=id, lat=lat, lon=lon, critical=critical, covered=covered, note=note, autonomy_h=cells.number("autonomy_h", 0), **named)


def _place(reading: _Reading, cells: Cells, id: str) -> Make:
    lat, lon = reading.point(cells)
    kind, name, evidence = cells.choice("kind", PLACE_KINDS), cells.text("name", needed=True), reading.evidence(cells)
    named: dict[str, Any] = {"name": name, "kind": kind, "evidence": evidence}
    height, autonomy = cells.number("height_m", 0, 700), cells.number("autonomy_h", 0)
    return partial(Place, id=id, lat=lat, lon=lon, height_m=height, autonomy_h=autonomy, **named)


def _plant(reading: _Reading, cells: Cells, id: str) -> Make:
    named: dict[str, Any] = {column: cells.text(column, needed=True) for column in ("name", "technology")}
    named["evidence"] = reading.evidence(cells)
    return partial(
        Plant,
        id=id,
        year_built=cells.whole("year_built", 1950, 2100),
        owner=cells.text("owner"),
        funding=cells.text("funding"),
        restricted_until=cells.day("restricted_until"),
        iru_until=cells.day("iru_until"),
        **named,
    )


def _fact(reading: _Reading, cells: Cells, id: str) -> Make:
    text, evidence = cells.text("value"), reading.evidence(cells)
    value: float | bool | str | None = text
    if text in ("true", "false"):
        value = text == "true"
    elif text is not None:
        try:
            value = float(text)
        except ValueError:
            value = text
    unit, year = cells.text("unit"), cells.whole("year", 1900, 2100)
    named: dict[str, Any] = {"evidence": evidence}
    return partial(Fact, id=id, value=value, unit=unit, year=year, **named)


def _boundary(reading: _Reading, sites: Sequence[Site], places: Sequence[Place]) -> list[Area]:
    """The polygons of boundary.geojson; sites and places outside become problems, by name and distance."""
    path = reading.folder / "boundary.geojson"
    if not path.exists() or reading.problems:
        return []
    try:
        polygons = areas(load_json(path), path.name)
    except RegionError as error:
        reading.problems.append(error)
        return []
    located: list[tuple[str, Site | Place]] = [*(("sites.csv", site) for site in sites), *(("places.csv", spot) for spot in places)]
    for file, row in located:
        away = min(outside_m(polygon.shape, (row.lat, row.lon)) for polygon in polygons)
        if away > reading.head.outside_limit_m:
            swapped = -90 <= row.lon <= 90 and min(outside_m(polygon.shape, (row.lon, row.lat)) for polygon in polygons) == 0
            step = "latitude and longitude look swapped: exchange them" if swapped else "correct the coordinates, or leave the row out"
            found = f"{row.id} {row.name}: {away / 1000:.1f} km outside the region (in the sea or in another municipality)"
            reading.problems.append(RegionError(file, found, f"at most {reading.head.outside_limit_m:g} m outside boundary.geojson", step))
    return polygons


def _graph(reading: _Reading, points: dict[str, Point]) -> tuple[Graph, bool]:
    """The streets of the folder, and whether links have to be made from the points."""
    shapes = reading.folder / "streets.geojson"
    if shapes.exists():
        try:
            return contract(lines_of(load_json(shapes), shapes.name, reading.head.lg_code)), False
        except RegionError as error:
            reading.problems.append(error)
            return Graph(), False
    if not (reading.folder / "streets.csv").exists():
        return Graph(), len(points) > 1
    graph = Graph(dict(reading.rows("junctions.csv", partial(_junction, reading))))
    rows: list[Street] = reading.rows("streets.csv", lambda cells, id: _street(cells, id, graph))
    for street in rows:
        shape = (graph.junctions[street.a], *street.shape, graph.junctions[street.b])
        graph.links.append(Link(street.id, street.a, street.b, shape, street.length_m, street.kind, street.plant))
    return graph, reading.head.links_are_candidates


def _junction(reading: _Reading, cells: Cells, id: str) -> Make:
    point = place(reading.point(cells))
    return lambda: (id, point)


def _street(cells: Cells, id: str, graph: Graph) -> Make:
    named: dict[str, Any] = {column: cells.choice(column, tuple(graph.junctions)) for column in ("a", "b")}
    named["kind"] = cells.choice("kind", ("street", "candidate", "sea")) if cells.text("kind") else "street"
    named["length_m"] = cells.number("length_m", 0, 1e7, needed=True)
    return partial(Street, id=id, plant=cells.text("plant"), shape=_shape(cells), **named)


def _shape(cells: Cells) -> tuple[Point, ...]:
    """The points between the ends of a street: `lat lon; lat lon`, empty for a straight one."""
    points = []
    for pair in (cells.text("shape") or "").split(";"):
        numbers = pair.split()
        if not numbers:
            continue
        try:
            lat, lon = (float(number) for number in numbers)
            check_latlon("shape", lat, lon)
        except (ValueError, RecordError):
            cells.problem("shape", "points such as 37.31 137.15; 37.32 137.16", "correct it, or leave it empty")
            return ()
        points.append((lat, lon))
    return tuple(points)


def _stored(reading: _Reading, points: dict[str, Point], graph: Graph) -> dict[str, tuple[str, float]]:
    """Attachments of attach.csv, for rows that have not moved since; an empty junction: known to be too far from any street."""
    out = {}
    if graph.links and (reading.folder / "attach.csv").exists() and (reading.folder / "streets.csv").exists():
        for id, junction, off, point in reading.rows("attach.csv", lambda cells, id: _attachment(reading, cells, id)):
            if points.get(id) == point and (not junction or junction in graph.junctions):
                out[id] = (junction, off)
    return out


def _attachment(reading: _Reading, cells: Cells, id: str) -> Make:
    point, off, junction = reading.point(cells), cells.number("off_m", 0) or 0.0, cells.text("junction") or ""
    return lambda: (id, junction, off, point)


def _lay(reading: _Reading, plants: Sequence[Plant], graph: Graph, joined: dict[str, tuple[str, float]]) -> None:
    """Lay each plant along the shortest way over the ids of its `route` (a > b > c); an empty route: streets.csv names it, or nowhere."""
    table = reading.table("plants.csv") if plants else None
    known = {plant.id for plant in plants}
    for link in graph.links:
        if link.plant is not None and link.plant not in known:
            reading.problems.append(RegionError("streets.csv", f"street {link.id}, plant {link.plant!r}", "an id of plants.csv", "correct it"))
    if table is None or "route" not in table.headers:
        return
    for row in table.rows:
        cells = Cells(table, row, reading.problems)
        stops = [stop.strip() for stop in (cells.text("route") or "").split(">") if stop.strip()]
        for a, b in pairwise(stops):
            way = shortest(graph, joined[a][0], joined[b][0]) if a in joined and b in joined else None
            if way is None:
                cells.problem("route", "ids of sites or places that streets connect, such as a > b > c", f"correct {a} > {b}")
                continue
            for index in way:
                graph.links[index] = replace(graph.links[index], plant=row.cells["id"])
