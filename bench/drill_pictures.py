"""The picture of docs/explanation/resilience.md: real slides and the real tsunami of Noto over two designs: `python bench/drill_pictures.py [FOLDER]`.

Needs KIBAN_TEST_DATA. Figures that the page tells beside the picture are printed. There are no real streets in these data: links are candidates.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from kiban.base.progress import never, silent
from kiban.catalogue import load
from kiban.cli.region import rule_detour
from kiban.design.drill import Outcome
from kiban.design.drill_figures import backup_cost
from kiban.design.events import Ground, lose_place
from kiban.loop.drill import Drilled, make_drill
from kiban.loop.given import Given
from kiban.records.region import Evidence, Region
from kiban.region import Given as File
from kiban.region import build
from kiban.region.boundary import areas
from kiban.region.detect import load_json
from kiban.region.hazards import hazard_of

WIDTH, HEIGHT, EDGE, FOOT = 560.0, 486.0, 26.0, 132.0
LAND, COAST, LINE, LOST, SLIDE, SEA, INK, GOOD = "#f4f1ea", "#b9b2a3", "#0b5cad", "#d62828", "#8a4b08", "#7cc4e8", "#1f2937", "#15803d"
TODAY = date(2026, 11, 23)
# reported as cut off on 5 January 2024; the example of Oku-Noto treats them as critical too
ISOLATED = {"字北河内", "字桐畑", "字田代", "字十郎原"}
TOWNS = {
    "17463": ("noto", ("noto/noto_town_small_areas_population.geojson",), "landslides_gsi_20240106", "slide"),
    "17205": ("suzu", (), "tsunami_inundation_suzu_wajimaE_20240110", "tsunami"),
}


def town(data: Path, code: str) -> tuple[Region, Outcome, Drilled, Any]:
    """A town from real files, its design, and what its hazard takes out of it."""
    id, more, file, kind = TOWNS[code]
    catalogue = load()
    detour = rule_detour(catalogue, TODAY)
    files = ["municipality/localgovjp.csv", "boundaries/ishikawa_s0010.geojson", "noto/shelters.geojson", *more]
    with tempfile.TemporaryDirectory() as folder:
        region = build(Path(folder) / id, [File(data / name) for name in files], id=id, lg_code=code, today=TODAY, detour=detour, assume_exchange=True)
    sites = tuple(replace(site, critical=site.name in ISOLATED) for site in region.sites)
    evidence = Evidence(source=next(iter(region.sources)))
    hazard = hazard_of(data / "noto" / f"{file}.geojson", kind, file, kind, evidence, region.lg_code)  # type: ignore[arg-type]
    region = replace(region, sites=sites, hazards=(hazard,))
    usecase = catalogue.usecases["shelter"]
    wanted = tuple((site.id, "shelter") for site in region.sites if site.kind in usecase.sites)
    made = make_drill(Given(sentence="", region=region, catalogue=catalogue, now=datetime(2026, 11, 23, 3, tzinfo=UTC), work=10), wanted, silent, never)
    outcome = made.drill.run(Ground(region).area(hazard), restore=True)
    shapes = [area.shape for area in areas(load_json(data / "boundaries/ishikawa_s0010.geojson"), "boundary") if area.code() == code]
    return region, outcome, made, shapes


def panel(region: Region, outcome: Outcome, made: Drilled, shapes: list[Any], left: float, title: str) -> list[str]:
    """One town."""
    points = [(lon, lat) for shape in shapes for part in getattr(shape, "geoms", [shape]) for lon, lat in part.exterior.coords]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    shorter = math.cos(math.radians((south + north) / 2))
    scale = min((WIDTH - 2 * EDGE) / ((east - west) * shorter), (HEIGHT - 2 * EDGE) / (north - south))
    middle = left + (WIDTH - (east - west) * shorter * scale) / 2

    def at(lat: float, lon: float) -> str:
        return f"{middle + (lon - west) * shorter * scale:.1f} {EDGE + 30 + (north - lat) * scale:.1f}"

    def path(ring: Any) -> str:
        return "M" + "L".join(dict.fromkeys(at(lat, lon) for lat, lon in ring)) + "Z"

    parts = [f'<text x="{left + WIDTH / 2:.0f}" y="28" text-anchor="middle" font-size="19" font-weight="bold" fill="{INK}">{title}</text>']
    land = "".join(path([(lat, lon) for lon, lat in part.exterior.coords]) for shape in shapes for part in getattr(shape, "geoms", [shape]))
    clip = f"land{left:.0f}"
    parts.append(f'<clipPath id="{clip}"><path d="{land}"/></clipPath><path d="{land}" fill="{LAND}" stroke="{COAST}"/>')
    hazard = region.hazards[0]
    colour = SEA if hazard.kind == "tsunami" else SLIDE
    near = [polygon for polygon in hazard.polygons if west < polygon[0][0][1] < east and south < polygon[0][0][0] < north]
    rings = "".join(path(ring) for polygon in near for ring in polygon)
    inside = f' clip-path="url(#{clip})"' if hazard.kind == "slide" else ""  # slides of the neighbours are left out, the sea is not
    parts.append(f'<path d="{rings}" fill="{colour}" stroke="{colour}" stroke-width="1.4" fill-rule="evenodd"{inside}/>')
    spots = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}
    laid = {made.drill.problem.arcs[index].ref for index in made.design.arcs if made.drill.problem.arcs[index].kind in ("line", "plant")}
    for street in sorted(region.streets, key=lambda one: one.id in outcome.event.streets):
        if street.id in laid:
            lost = street.id in outcome.event.streets
            style = f'stroke="{LOST}" stroke-width="3" stroke-dasharray="5 4"' if lost else f'stroke="{LINE}" stroke-width="1.8"'
            parts.append(f'<path d="M{at(*spots[street.a])}L{at(*spots[street.b])}" {style}/>')
    state = {row.site: row.reason for row in outcome.off} | {row.site: "kept" for row in outcome.kept}
    for site in sorted(region.sites, key=lambda one: one.id in state):
        x, y = at(site.lat, site.lon).split()
        parts.append(mark(state.get(site.id, "on"), float(x), float(y)))
    for place in region.places:
        x, y = (float(value) for value in at(place.lat, place.lon).split())
        parts.append(f'<rect x="{x - 7:.1f}" y="{y - 7:.1f}" width="14" height="14" fill="{LINE}" stroke="#fff" stroke-width="1.5"/>')
    return parts


def mark(state: str, x: float, y: float) -> str:
    """A site: served, kept by its other way, off because its way is cut, or inside the area."""
    if state == "on":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{INK}"/>'
    if state == "kept":
        return f'<path d="M{x:.1f} {y - 8:.1f}l8 14h-16z" fill="{GOOD}" stroke="#fff" stroke-width="1.5"/>'
    if state == "inside":
        return f'<path d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12" stroke="{LOST}" stroke-width="3.5"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#fff" stroke="{LOST}" stroke-width="3"/>'


def legend(top: float) -> list[str]:
    """Three rows of signs with their meaning, Japanese and English."""
    swatch = '<rect x="{x}" y="{y}" width="16" height="12" fill="{colour}"/>'
    line = '<path d="M{x} {y}h22" {style}/>'
    rows: list[tuple[float, float, str, str]] = []
    for column, row, sign, text in (
        (0, 0, line.format(x=30, y=top + 6, style=f'stroke="{LINE}" stroke-width="2"'), "光回線（候補ルート） fibre on candidate links"),
        (0, 1, line.format(x=30, y=top + 34, style=f'stroke="{LOST}" stroke-width="3" stroke-dasharray="5 4"'), "失われる区間 stretch that is lost"),
        (0, 2, f'<rect x="34" y="{top + 55}" width="14" height="14" fill="{LINE}"/>', "収容局（仮） exchange (assumed)"),
        (1, 0, mark("on", 394, top + 6), "届いている地点（線なしは衛星） served; no line: satellite"),
        (1, 1, mark("path", 394, top + 34), "不通の地点 site off: its way is cut"),
        (1, 2, mark("kept", 394, top + 63), "衛星で続く重要拠点 critical site, kept by satellite"),
        (2, 0, swatch.format(x=826, y=top, colour=SLIDE), "斜面崩壊 slides (6 Jan 2024)"),
        (2, 1, swatch.format(x=826, y=top + 28, colour=SEA), "津波浸水域 tsunami (10 Jan 2024)"),
    ):
        rows.append(((62, 411, 854)[column], top + 11 + 28 * row, sign, text))
    return [f'{sign}<text x="{x:.0f}" y="{y:.0f}" font-size="14" fill="{INK}">{text}</text>' for x, y, sign, text in rows]


def main() -> int:
    """Write the picture; 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "pictures"
    data = Path(os.environ["KIBAN_TEST_DATA"])
    parts = []
    for number, (code, title) in enumerate((("17463", "能登町・斜面崩壊 Noto, slides"), ("17205", "珠洲市・津波 Suzu, tsunami"))):
        region, outcome, made, shapes = town(data, code)
        parts += panel(region, outcome, made, shapes, number * WIDTH, title)
        reasons = [row.reason for row in outcome.off]
        print(f"{title}: {len(region.sites)} sites, off {len(outcome.sites)} ({reasons.count('inside')} inside), kept {len(outcome.kept)}")
        print(f"  {outcome.people}")
        print("  off:", ", ".join(made.sheet.rows[site].name for site in outcome.sites))
        print("  kept:", ", ".join(made.sheet.rows[row.site].name for row in outcome.kept))
        whole = sum(made.drill.length[index] for index in made.design.arcs if made.drill.problem.arcs[index].kind == "line")
        print(f"  kits {outcome.kits}, lost {outcome.lost_m:.0f} m of {whole:.0f} m")
        exchange = made.drill.run(lose_place(region, region.places[0].id))
        print(f"  exchange lost: {len(exchange.sites)} sites, kept {len(exchange.kept)}; cost {made.design.cost:,} {made.design.status}")
        cost = backup_cost(made.full, made.plain)
        if cost is not None:
            print("  backup:", f"{made.full.ledger.figures[cost['difference']].value:,.0f} yen")
    top = HEIGHT + 40
    svg = "\n".join([*parts, f'<path d="M30 {top - 14}H{2 * WIDTH - 30}" stroke="#d1d5db"/>', *legend(top + 6)])
    credits = (
        "国土地理院（斜面崩壊・津波浸水域・指定避難所）、小地域の人口（自治体GIS活用推進グループ、CC BY 4.0）、",
        "国土数値情報（行政区域データ）（国土交通省）を加工して作成。候補ルートは地点を結ぶ直線です。",
    )
    source = "".join(f'<text x="30" y="{HEIGHT + FOOT + 20 + 18 * k:.0f}" font-size="12" fill="#6b7280">{line}</text>' for k, line in enumerate(credits))
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH:g} {HEIGHT + FOOT + 52:g}" font-family="sans-serif" fill="none" '
        f'stroke-linecap="round" stroke-linejoin="round">\n<rect width="100%" height="100%" fill="#fff"/>\n{svg}\n{source}\n</svg>\n'
    )
    (folder / "resilience-noto.svg").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
