"""Official files taken in, one function for each kind; each puts rows into a Draft and says what it could not place.

In: a path, the key of its source, and a word after the kind where the file cannot tell (a facility kind, a technology).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kiban.base.errors import RecordError, RegionError
from kiban.base.lgcode import check_digit
from kiban.records.region import Evidence, Fact, Place, Plant
from kiban.records.source import Confidence
from kiban.region import mesh
from kiban.region import missing as say
from kiban.region.boundary import Area, areas, inner_point
from kiban.region.cells import Cells, number_of
from kiban.region.columns import find, first, plain, table, with_year
from kiban.region.detect import load_json
from kiban.region.draft import Draft, Raw
from kiban.region.osm import read_pbf
from kiban.region.text import read_table
from kiban.region.ways import lines_of

BOX_MARGIN = 0.02  # degrees kept around the region's box when streets are taken from a wider extract


def five(code: Any) -> str | None:
    """The first five digits of a municipality code however it is written: 174637, 17463, R17463, 1100, E1746300187111.

    >>> five("R17463"), five("01100"), five("174637"), five("E1746300187111"), five("")
    ('17463', '01100', '17463', '17463', None)
    """
    digits = re.sub(r"\D", "", str(code))
    return None if not digits else digits.zfill(5)[:5]


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


def mesh_counts(path: Path, source: str, draft: Draft, _word: str) -> None:
    """Grid squares with people become hamlets at their middle. Refuses codes of a wrong or mixed level."""
    content = read_table(path)
    column = find(content.headers, "mesh") or ""
    labels = content.rows[0].cells if content.rows and not content.rows[0].cells.get(column) else {}
    rows = content.rows[1:] if labels else content.rows
    names = {header: labels.get(header) or header for header in content.headers}
    people, homes = (_labelled(names, table()["fields"][field]) for field in ("mesh_population", "mesh_households"))
    if people is None:
        raise RegionError(f"{path.name}:1", f"columns {', '.join(content.headers[:8])}", "a column of 人口 / population", "check the file")
    levels = {len(row.cells[column]) for row in rows}
    if len(levels) > 1 or not levels <= {8, 9, 10}:
        found = ", ".join(f"{level} digits ({mesh.LEVELS[level][0] if level in mesh.LEVELS else 'no mesh'})" for level in sorted(levels))
        raise RegionError(f"{path.name}:{rows[0].line}", f"mesh codes of {found}", "8 (1 km), 9 (500 m) or 10 digits (250 m), one level", "take that table")
    for row in rows:
        code, where = row.cells[column], content.where(row)
        try:
            spot = mesh.centre(code)
        except RegionError as error:
            draft.problems.append(RegionError(where, error.found, error.fits, error.step))
            continue
        counts = {"population": _count(draft, source, where, row.cells.get(people)), "households": _count(draft, source, where, row.cells.get(homes or ""))}
        if draft.area is not None and not _may_touch(draft.area, mesh.corner(code)):
            draft.leave("elsewhere", source, code)
        else:
            name = f"{mesh.LEVELS[len(code)][0]} メッシュ {code}"
            _people(draft, source, Raw(where, f"mesh-{code}", name, "hamlet", *spot, code, counts, confidence=Confidence.B))


def _labelled(names: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    found = with_year(names.values(), wanted)
    return next((header for header, label in names.items() if found and label == found[0]), None)


def _may_touch(area: Any, square: tuple[float, float, float, float]) -> bool:
    import shapely

    south, west, height, width = square
    return bool(area.contains(shapely.Point(west + width / 2, south + height / 2)))


def _count(draft: Draft, source: str, where: str, text: Any) -> int | None:
    try:
        value = number_of("" if text is None else str(text))
    except ValueError:
        draft.leave("bad_number", source, f"{where}: {text!r}")
        return None
    return None if value is None else round(value)


def _people(draft: Draft, source: str, raw: Raw) -> None:
    if raw.counts.get("population") == 0:
        draft.leave("nobody", source, f"{raw.name} {raw.original}")
        return
    if draft.take(raw, source) and None in (raw.counts.get("population"), raw.counts.get("households")):
        draft.leave("no_count", source, f"{raw.name} {raw.original}")


def small_areas(path: Path, source: str, draft: Draft, _word: str) -> None:
    """Small areas with people become hamlets at the centroid, or at a point inside where the centroid is not; parts of one code are added up."""
    found = areas(load_json(path), path.name)
    key = first(found[0].properties, ["KEY_CODE", "key_code"])
    people, homes = (with_year(found[0].properties, table()["fields"][field]) for field in ("population", "households"))
    name = first(found[0].properties, ["S_NAME", "町丁・字等名称", "name"])
    if key is None or people is None:
        raise RegionError(path.name, f"properties {', '.join(found[0].properties)}", "KEY_CODE and JINKO (population)", "check the file")
    parts: dict[str, list[tuple[int, Area]]] = {}
    for number, area in enumerate(found, 1):
        parts.setdefault(str(area.properties[key]), []).append((number, area))
    for code, group in parts.items():
        if draft.code is not None and five(code) != draft.code:
            draft.leave("elsewhere", source, code)
            continue
        where = f"{path.name}#{group[0][0]}"
        sums: dict[str, int | None] = {}
        for field, header in (("population", people), ("households", homes)):
            counts = [_count(draft, source, where, area.properties.get(header[0])) if header else None for _, area in group]
            known = [count for count in counts if count is not None]
            sums[field] = sum(known) if known else None
        _, main = max(group, key=lambda one: (one[1].properties.get(people[0]) or 0, one[1].shape.area))
        title = str(main.properties.get(name) or code) if name else code
        lat, lon = inner_point(main.shape)
        if len(group) > 1:
            draft.leave("merged_parts", source, f"{title} {code}: {len(group)}")
        _people(draft, source, Raw(where, f"hamlet-{code}", title, "hamlet", lat, lon, code, sums, ours=True))


def _features(path: Path) -> Iterator[tuple[str, Mapping[str, Any], Any, Any]]:
    """Rows of a CSV, GeoJSON of points or parquet: where, cells, latitude, longitude."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        try:
            import pyarrow.parquet  # an extra, and heavy
        except ImportError as error:
            raise RegionError(path.name, "a parquet file", "pyarrow installed", "pip install 'kiban[geo]'") from error
        for number, cells in enumerate(pyarrow.parquet.read_table(path).to_pylist(), 1):
            yield f"{path.name}#{number}", cells, cells.get(find(cells, "lat") or ""), cells.get(find(cells, "lon") or "")
    elif name.endswith("json"):
        for number, feature in enumerate(load_json(path).get("features", ()), 1):
            spot = (feature.get("geometry") or {}).get("coordinates") or (None, None)
            yield f"{path.name}#{number}", feature.get("properties") or {}, spot[1], spot[0]
    else:
        content = read_table(path)
        lat, lon = find(content.headers, "lat") or "", find(content.headers, "lon") or ""
        for row in content.rows:
            yield content.where(row), row.cells, row.cells.get(lat), row.cells.get(lon)


def facilities(path: Path, source: str, draft: Draft, word: str, *, shelters: bool = False) -> None:
    """Facilities become sites; their kind is the word given, the table's subject, or told from the name."""
    words = table()
    for where, cells, lat, lon in _features(path):
        headers = list(cells)
        code, key, title = find(headers, "code"), find(headers, "id"), find(headers, "name")
        name = str(cells.get(title or "") or "").strip()
        original = str(cells.get(key or "") or where)
        belongs = five(cells.get(code)) if code else five(original) if re.fullmatch(r"E\d{10,}", original) else None
        if belongs is not None and draft.code is not None and belongs != draft.code:
            draft.leave("elsewhere", source, name)
            continue
        about = str(cells.get(find(headers, "facility_kind") or "") or "")
        if shelters and about in words["shelter_flee"] and not draft.emergency:
            draft.leave("flee", source, f"{name} {original}")
            continue
        kind = word or ("shelter" if shelters else "clinic" if first(headers, words["medical"]) else _kind_of(name))
        if not kind:
            draft.leave("no_kind", source, f"{where} {name}")
            continue
        counts = {field: _count(draft, source, where, cells.get(find(headers, field) or "")) for field in ("population", "households", "pupils")}
        place = [_degrees(draft, source, where, value) for value in (lat, lon)]
        draft.take(Raw(where, f"{kind}-{original}", name or original, kind, place[0], place[1], original, counts, ours=belongs is not None), source)


def _degrees(draft: Draft, source: str, where: str, value: Any) -> float | None:
    try:
        return None if value is None else number_of(str(value))
    except ValueError:
        draft.leave("bad_number", source, f"{where}: {value!r}")
        return None


def _kind_of(name: str) -> str:
    return next((kind for kind, words in table()["kinds"].items() if any(plain(word) in plain(name) for word in words)), "")


def shelters(path: Path, source: str, draft: Draft, word: str) -> None:
    """Shelters 指定避難所; places to flee to 指定緊急避難場所 only where the user wants them, or where the file does not tell them apart."""
    facilities(path, source, draft, word, shelters=True)


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
        draft.lines += _cut(draft.area, lines_of(load_json(path), path.name))
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
    "small_areas": small_areas,
    "mesh": mesh_counts,
    "shelters": shelters,
    "facilities": facilities,
    "streets": streets,
    "plants": plants,
}
