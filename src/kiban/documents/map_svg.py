"""The map of a design as SVG, for papers and for browsers without scripts: chosen links, candidate links in grey, sites by technology.

In: region, problem, design. Out: an SVG text in an equirectangular projection about the middle latitude, north up, with a scale bar.
No base map is drawn: nothing but the rows of the region is known here.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from kiban.records.design import Design, Problem
from kiban.records.region import Place, Region, Site

# Okabe–Ito colours, told apart by people who do not see red and green; the same order as on the page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#8c510a")
UNKNOWN = "#4d4d4d"
WIDTH, LEAST_HEIGHT, MOST_HEIGHT, MARGIN = 420.0, 200.0, 420.0, 20.0
METRES_PER_DEGREE = 111_320.0
BARS = (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)  # kilometres


def design_svg(region: Region, problem: Problem, design: Design, technologies: list[str], north: str) -> str:
    """The picture; `technologies` gives the order of the colours, `north` is the letter at the arrow."""
    wanted = {demand.site for demand in problem.demands} | {site for site, _, _, _ in problem.no_way}
    sites = [site for site in region.sites if site.id in wanted]
    rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
    spots = {row.id: (row.lat, row.lon) for row in rows}
    junctions = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}
    shown = [(site.lat, site.lon) for site in sites] + [(place.lat, place.lon) for place in region.places] or [(0.0, 0.0)]
    south, north_end = min(lat for lat, _ in shown), max(lat for lat, _ in shown)
    west, east = min(lon for _, lon in shown), max(lon for _, lon in shown)
    shrink = math.cos(math.radians((south + north_end) / 2))
    across, up = max((east - west) * shrink, 1e-4), max(north_end - south, 1e-4)
    height = round(min(max((WIDTH - 2 * MARGIN) * up / across + 2 * MARGIN, LEAST_HEIGHT), MOST_HEIGHT))
    scale = min((WIDTH - 2 * MARGIN) / across, (height - 2 * MARGIN) / up)

    def xy(point: tuple[float, float]) -> tuple[float, float]:
        x = WIDTH / 2 + (point[1] - (west + east) / 2) * shrink * scale
        return round(x, 1), round(height / 2 - (point[0] - (south + north_end) / 2) * scale, 1)

    def colour(technology: str | None) -> str:
        return COLOURS[technologies.index(technology) % len(COLOURS)] if technology in technologies else UNKNOWN

    def line(points: list[tuple[float, float]], stroke: str, width: float, dash: str = "") -> str:
        path = " ".join(f"{x},{y}" for x, y in map(xy, points))
        return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round"{dash}/>'

    def spot(index: int) -> tuple[float, float] | None:
        node = problem.nodes[index]
        return junctions.get(node.ref) if node.kind == "junction" else spots.get(node.ref)

    shapes = {street.id: [junctions[street.a], *street.shape, junctions[street.b]] for street in region.streets}
    parts = [f'<rect width="{WIDTH:g}" height="{height}" fill="#f4f7fa"/>', *(line(shape, "#b9c4cf", 0.7) for shape in shapes.values())]
    for index in sorted(design.arcs):
        arc = problem.arcs[index]
        a, b = spot(arc.tail), spot(arc.head)
        if a is None or b is None or a == b:
            continue
        if arc.kind in ("line", "plant", "drop"):
            parts.append(line(shapes.get(arc.ref, [a, b]) if arc.kind != "drop" else [a, b], colour(arc.technology), 2.4))
        elif arc.kind in ("hop", "link"):
            parts.append(line([a, b], colour(arc.technology), 1.2, ' stroke-dasharray="4 3"'))
    for place in region.places:
        x, y = xy((place.lat, place.lon))
        square = f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="#fff" stroke="#1a1a1a" stroke-width="1.5">'
        parts.append(f"{square}<title>{escape(place.name)}</title></rect>")
    chosen = {result.site: result.technologies for result in design.sites}
    unserved = {site for site, _ in design.unserved}
    for site in sites:
        x, y = xy((site.lat, site.lon))
        used = chosen.get(site.id, ())
        ring = "#a1000e" if site.id in unserved else colour(used[1]) if len(used) > 1 else "#fff"
        radius, width = (4.6 if site.critical else 3.8), (2.2 if ring != "#fff" else 1)
        dot = f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour(used[0] if used else None)}" stroke="{ring}" stroke-width="{width}">'
        parts.append(f"{dot}<title>{escape(site.name)}</title></circle>")
    kilometres = next((step for step in BARS if step * 1000 / METRES_PER_DEGREE * scale < WIDTH / 3), BARS[-1])
    bar, foot = round(kilometres * 1000 / METRES_PER_DEGREE * scale, 1), height - 8
    font = 'font-family="Noto Sans JP, sans-serif" font-size="9" fill="#1a1a1a"'
    parts.append(f'<path d="M8 {foot} h{bar} m0 -3 v6 M8 {foot - 3} v6" stroke="#1a1a1a" stroke-width="1" fill="none"/>')
    parts.append(f'<text x="{bar + 13}" y="{foot + 3}" {font}>{kilometres:g} km</text>')
    parts.append(
        f'<path d="M{WIDTH - 14:g} 16 l4 12 l-4 -3 l-4 3 z" fill="#1a1a1a"/><text x="{WIDTH - 14:g}" y="13" text-anchor="middle" {font}>{escape(north)}</text>'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" width="{WIDTH:g}" height="{height}">{"".join(parts)}</svg>'
