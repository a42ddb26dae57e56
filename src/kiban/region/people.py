"""People by place: grid squares 地域メッシュ and small areas 小地域 become hamlets.

In: a path, the key of its source. Out: sites in a Draft, each where its people are counted; parts of one area are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kiban.base.errors import RegionError
from kiban.records.source import Confidence
from kiban.region import mesh
from kiban.region.boundary import Area, areas, inner_point
from kiban.region.columns import find, first, table, with_year
from kiban.region.detect import load_json
from kiban.region.draft import Draft, Raw
from kiban.region.text import read_table
from kiban.region.values import count_of, five


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
        counts = {"population": count_of(draft, source, where, row.cells.get(people)), "households": count_of(draft, source, where, row.cells.get(homes or ""))}
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
            counts = [count_of(draft, source, where, area.properties.get(header[0])) if header else None for _, area in group]
            known = [count for count in counts if count is not None]
            sums[field] = sum(known) if known else None
        _, main = max(group, key=lambda one: (one[1].properties.get(people[0]) or 0, one[1].shape.area))
        title = str(main.properties.get(name) or code) if name else code
        lat, lon = inner_point(main.shape)
        if len(group) > 1:
            draft.leave("merged_parts", source, f"{title} {code}: {len(group)}")
        _people(draft, source, Raw(where, f"hamlet-{code}", title, "hamlet", lat, lon, code, sums, ours=True))
