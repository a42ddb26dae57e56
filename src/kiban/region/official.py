"""Official files taken in, one function for each kind; each puts rows into a Draft and says what it could not place.

In: a path, the key of its source, and a word after the kind where the file cannot tell (a facility kind, a technology).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kiban.base.errors import RecordError, RegionError
from kiban.base.lgcode import check_digit
from kiban.records.region import Evidence, Fact, Place, Plant
from kiban.records.source import Confidence
from kiban.region import missing as say
from kiban.region import people, points
from kiban.region.boundary import areas
from kiban.region.cells import Cells
from kiban.region.columns import find, first, table, with_year
from kiban.region.detect import load_json
from kiban.region.draft import Draft, Raw
from kiban.region.geojson import lines_of
from kiban.region.osm import read_pbf
from kiban.region.text import read_table
from kiban.region.values import five

BOX_MARGIN = 0.02  # degrees kept around the region's box when streets are taken from a wider extract


def municipality(path: Path, source: str, draft: Draft, _word: str) -> None:
    """Facts and the town office of one municipality. Refuses a code that the table does not know."""
    content = read_table(path)
    column = find(content.headers, "code")
    if column is None or draft.code is None:
        raise RegionError(path.name, "a municipality table", "a column of 団体コード, and --code", "give the 団体コード of the region with --code")
    rows = [row for row in content.rows if five(row.cells.get(column)) == draft.code]
    if not rows:
        near = sorted({five(row.cells.get(column)) or "" for row in content.rows}, key=lambda one: (abs(int(one or 0) - int(draft.code or 0)), one))
        named = [f"{one}{check_digit(one)}" for one in near[:3] if len(one) == 5]
        raise RegionError(path.name, f"no row with 団体コード {draft.code}{check_digit(draft.code)}", "a code of the table", f"near codes: {', '.join(named)}")
    dated = find(content.headers, "fiscal_year")
    rows.sort(key=lambda row: row.cells.get(dated, "") if dated else "")
    row = rows[-1]
    cells = Cells(content, row, draft.problems)
    year = cells.whole(dated, 1900, 2100) if dated else None
    for id, fact in table()["facts"].items():
        header = with_year(content.headers, fact["columns"])
        if header:
            evidence = Evidence(source=source, original=row.cells[column], confidence=Confidence.A)
            draft.fact(Fact(id=id, value=cells.number(header[0], 0), unit=fact["unit"], year=header[1] or year, evidence=evidence))
    for id, names in table()["flags"].items():
        flag = first(content.headers, names)
        if flag:
            text = row.cells.get(flag, "")
            value: bool | str = text if text.startswith("一部") else cells.flag(flag)
            draft.fact(Fact(id=id, value=value, unit=None, year=year, evidence=Evidence(source=source, original=row.cells[column])))
    town = find(content.headers, "town")
    if town:
        draft.name = draft.name or row.cells[town]
    lat, lon = find(content.headers, "lat"), find(content.headers, "lon")
    if lat and lon and town and not any(site.id.startswith("office-") for site in draft.sites):
        name = row.cells[town] + ("役場" if row.cells[town][-1:] in "町村" else "役所")
        raw = Raw(content.where(row), f"office-{draft.code}", name, "office", cells.number(lat), cells.number(lon), row.cells[column], ours=True)
        draft.take(raw, source)


def boundary(path: Path, _source: str, draft: Draft, _word: str) -> None:
    """The polygon of the region, by 団体コード where the file has several."""
    import shapely

    found = areas(load_json(path), path.name)
    ours = [area for area in found if draft.code is not None and area.code() == draft.code]
    if not ours and draft.code is not None and any(area.code() for area in found):
        raise RegionError(path.name, f"no polygon with 団体コード {draft.code}", "a file that holds the region", "check the code, or take another file")
    if not ours:
        ours = found
    draft.area = shapely.union_all([area.shape for area in ours])
    shapely.prepare(draft.area)
    draft.around = [area for area in found if area not in ours]


def plants(path: Path, source: str, draft: Draft, word: str) -> None:
    """Existing plant with its age, owner, 財源 and 処分制限; the technology is a column or the word given."""
    content = read_table(path)
    columns = {field: find(content.headers, field) for field in ("technology", "year_built", "owner", "funding", "restricted_until", "iru_until", "route")}
    code, key, title = (find(content.headers, field) for field in ("code", "id", "name"))
    for row in content.rows:
        cells = Cells(content, row, draft.problems)
        if code and draft.code is not None and five(row.cells.get(code)) != draft.code:
            draft.leave("elsewhere", source, row.cells.get(title or "", ""))
            continue
        technology = (cells.text(columns["technology"]) if columns["technology"] else None) or word
        original = (cells.text(key) if key else None) or content.where(row)
        if not technology:
            draft.problems.append(
                RegionError(content.where(row), "no technology", "a column 設備種別 / technology", f"or name it: plants:TECHNOLOGY={path.name}")
            )
            continue
        id = draft.fresh(f"plant-{original}")
        try:
            draft.plants.append(
                Plant(
                    id=id,
                    name=(cells.text(title) if title else None) or original,
                    technology=technology,
                    evidence=Evidence(source=source, original=original),
                    year_built=cells.whole(columns["year_built"], 1950, 2100) if columns["year_built"] else None,
                    owner=cells.text(columns["owner"]) if columns["owner"] else None,
                    funding=cells.text(columns["funding"]) if columns["funding"] else None,
                    restricted_until=cells.day(columns["restricted_until"]) if columns["restricted_until"] else None,
                    iru_until=cells.day(columns["iru_until"]) if columns["iru_until"] else None,
                )
            )
        except RecordError as error:
            draft.problems.append(RegionError(content.where(row), error.found, error.fits, error.step))
        route = cells.text(columns["route"]) if columns["route"] else None
        if route:
            draft.routes[id] = route
        else:
            why = "経路が不明なので、どの街路にも載せていない / its way is unknown: laid on no street"
            draft.notes.append(say.note(f"経路のない既存設備 / plant without a route [{source}]", why, "所有者 / owner", [original]))


def streets(path: Path, source: str, draft: Draft, word: str) -> None:
    """Roads as lines, cut to the region's box; tagged objects of an OpenStreetMap extract become sites and places ("roads": none of them)."""
    if not path.name.lower().endswith(".osm.pbf"):
        draft.lines += _cut(draft.area, lines_of(load_json(path), path.name, draft.code))
        return
    extract = read_pbf(path)
    draft.lines += _cut(draft.area, extract.lines)
    if extract.cut_ways:
        why = "抽出範囲の外の節点がない。座標のある部分だけ使った / nodes beyond the extract are absent"
        draft.notes.append(say.note(f"端で切れた道 / ways cut at the edge [{source}]", why, "広い範囲の抽出 / a wider extract", count=extract.cut_ways))
    populated = any(site.kind == "hamlet" for site in draft.sites)
    for thing in extract.tagged if word != "roads" else ():
        if populated and thing.kind == "hamlet":
            continue
        name = thing.name or f"{thing.kind} {thing.original}"
        counts = {"population": thing.population}
        raw = Raw(thing.original, f"{thing.kind}-{thing.original}", name, thing.kind, *thing.point, thing.original, counts, confidence=Confidence.C)
        if not thing.is_place:
            draft.take(raw, source)
        elif draft.fits(raw, source):
            evidence = Evidence(source=source, original=thing.original, confidence=Confidence.C)
            spot = Place(id=draft.fresh(raw.id), name=name, kind=thing.kind, lat=thing.point[0], lon=thing.point[1], evidence=evidence)  # type: ignore[arg-type]
            draft.places.append(spot)


def _cut(area: Any, lines: Sequence[Sequence[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """The stretches of lines within the box of an area and a margin; all of them where there is no area."""
    if area is None:
        return [list(line) for line in lines]
    west, south, east, north = area.bounds
    out: list[list[tuple[float, float]]] = []
    for line in lines:
        part: list[tuple[float, float]] = []
        for lat, lon in line:
            if south - BOX_MARGIN <= lat <= north + BOX_MARGIN and west - BOX_MARGIN <= lon <= east + BOX_MARGIN:
                part.append((lat, lon))
            else:
                out.append(part)
                part = []
        out.append(part)
    return [part for part in out if len(part) > 1]


TAKE: dict[str, Callable[[Path, str, Draft, str], None]] = {
    "municipality": municipality,
    "fiscal": municipality,
    "flags": municipality,
    "boundary": boundary,
    "small_areas": people.small_areas,
    "mesh": people.mesh_counts,
    "shelters": points.shelters,
    "facilities": points.facilities,
    "streets": streets,
    "plants": plants,
}
