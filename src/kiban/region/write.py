"""A region written as a folder that Excel opens: region.yaml and CSV files in UTF-8 with BOM.

In: a Region. Out: files; reading them gives the same Region again. The elevation file and the boundary are left to the caller.
A cell that a spreadsheet would take for a formula gets a leading '.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kiban.base.errors import RegionError
from kiban.records.region import Evidence, Fact, Place, Plant, Region, Site, Street
from kiban.region.folder import COLUMNS
from kiban.region.hazards import FOLDER, geojson
from kiban.region.head import Head, HeadDetour, HeadHazard
from kiban.region.missing import COMPUTED


def write(region: Region, folder: Path) -> None:
    """Write a region into a folder, made if needed.

    Raises
    ------
    RegionError  a file cannot be written (a full disk, no right to write); files already written stay whole
    """
    head = Head(
        id=region.id,
        name=region.name,
        lg_code=region.lg_code,
        label=region.label,
        sources=region.sources,
        detour=HeadDetour(value=region.detour, source=region.detour_source) if region.detour and region.detour_source else None,
        links_are_candidates=region.links_are_candidates,
        hazards={
            one.id: HeadHazard(
                name=one.name, kind=one.kind, source=str(one.evidence.source), original=one.evidence.original, confidence=one.evidence.confidence
            )
            for one in region.hazards
        },
        elevation=region.elevation,
        missing=tuple(one for one in region.missing if one.what not in COMPUTED),
    )
    write_head(head, folder)
    write_rows(folder, region.sites, region.places, region.plants, region.facts)
    for one in region.hazards:
        save(folder / FOLDER / f"{one.id}.geojson", geojson(one))
    if region.streets:
        rows: list[Site | Place] = [*region.sites, *region.places]
        spots = {row.id: row for row in rows}
        save_table(folder / "junctions.csv", ((one.id, one.lat, one.lon) for one in region.junctions))
        save_table(folder / "streets.csv", ((one.id, one.a, one.b, one.length_m, one.kind, one.plant, _shape(one)) for one in region.streets))
        joined = ((id, *region.attach.get(id, (None, None)), spot.lat, spot.lon) for id, spot in sorted(spots.items()))
        save_table(folder / "attach.csv", joined)


def _shape(street: Street) -> str:
    return "; ".join(f"{lat} {lon}" for lat, lon in street.shape)


def write_head(head: Head, folder: Path) -> None:
    """region.yaml."""
    content = msgspec.to_builtins(head, builtin_types=())
    save(folder / "region.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=160))


def write_rows(
    folder: Path,
    sites: Sequence[Site],
    places: Sequence[Place],
    plants: Sequence[Plant],
    facts: Sequence[Fact],
    routes: Mapping[str, str] | None = None,
) -> None:
    """sites.csv always, the others when they have rows; `routes` by plant, where no street names its plant yet."""
    counts = ("households", "population", "pupils", "devices")
    save_table(
        folder / "sites.csv",
        (
            (
                *(getattr(s, name) for name in ("id", "kind", "name", "lat", "lon", *counts)),
                s.critical,
                _covered(s),
                s.note,
                s.autonomy_h,
                *_evidence(s.evidence),
            )
            for s in sites
        ),
    )
    if places:
        save_table(folder / "places.csv", ((p.id, p.kind, p.name, p.lat, p.lon, p.height_m, p.autonomy_h, *_evidence(p.evidence)) for p in places))
    if plants:
        names = ("id", "name", "technology", "year_built", "owner", "funding", "restricted_until", "iru_until")
        save_table(folder / "plants.csv", ((*(getattr(p, name) for name in names), (routes or {}).get(p.id), *_evidence(p.evidence)) for p in plants))
    if facts:
        save_table(folder / "facts.csv", ((f.id, f.value, f.unit, f.year, *_evidence(f.evidence)) for f in facts))


def _covered(site: Site) -> str:
    return " ".join(f"{technology}={'yes' if answer else 'no'}" for technology, answer in sorted(site.covered.items()))


def _evidence(evidence: Evidence) -> tuple[Any, ...]:
    return evidence.source, evidence.original, str(evidence.confidence), evidence.assumed, evidence.reason, evidence.confirm


def save_table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file with the columns that its name has in the region folder."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS[path.name])
    writer.writerows([_cell(value, fact=path.name == "facts.csv") for value in row] for row in rows)
    save(path, "\ufeff" + text.getvalue())


def _cell(value: Any, *, fact: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return ("true" if value else "false") if fact else ("yes" if value else "")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return "'" + text if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


def save(path: Path, text: str) -> None:
    """Write a file beside its place and move it there, so that an interrupted run never leaves half of it."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RegionError(str(path), f"{error.strerror}", "a folder with space that may be written", "choose another folder, or free some space") from error
