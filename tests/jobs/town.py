"""A drawn town as a region folder: the streets and sites of bench/design_regions.py, every site a shelter."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.design.drawn import draw

HEAD = """id: drawn-town
name: 描いた町
lg_code: "174637"
label: 試験のために描いた町
sources:
  drawn: {title: 試験のために描いたもの, seen_on: 2026-11-23}
"""


def write_town(folder: Path, sites: int, junctions: int) -> None:
    """Write the folder of a town of so many sites and crossings."""
    region, *_ = draw(sites, junctions, 0)
    folder.mkdir(parents=True)
    (folder / "region.yaml").write_text(HEAD, encoding="utf-8")

    def table(name: str, head: str, rows: Iterable[Sequence[object]]) -> None:
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head.split(","), *rows])

    point = {row.id: (row.lat, row.lon) for row in (*region.junctions, *region.sites, *region.places)}
    table("sites.csv", "id,kind,name,lat,lon,population,source", [(one.id, "shelter", one.id, one.lat, one.lon, 300, "drawn") for one in region.sites])
    table("places.csv", "id,kind,name,lat,lon,source", [(one.id, one.kind, one.id, one.lat, one.lon, "drawn") for one in region.places])
    table("junctions.csv", "id,lat,lon", [(one.id, one.lat, one.lon) for one in region.junctions])
    table("streets.csv", "id,a,b,length_m", [(one.id, one.a, one.b, one.length_m) for one in region.streets])
    table("attach.csv", "id,junction,off_m,lat,lon", [(id, at, metres, *point[at]) for id, (at, metres) in region.attach.items()])
