"""The map of a design as SVG, for papers: chosen links, candidate links in grey, sites in the colour of their technology.

In: region, problem, design. Out: an SVG text in an equirectangular projection about the middle latitude, north up, with a scale bar.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from kiban.records.design import Design, Problem
from kiban.records.region import Place, Region, Site

# Okabe–Ito colours, told apart by people who do not see red and green; the same order as on the page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b4c9a", "#8c510a")
WIDTH, HEIGHT, MARGIN = 420.0, 300.0, 14.0
METRES_PER_DEGREE = 111_320.0


def design_svg(region: Region, problem: Problem, design: Design, technologies: list[str]) -> str:
    """The picture; `technologies` gives the order of the colours."""
    wanted = {demand.site for demand in problem.demands} | {site for site, _, _, _ in problem.no_way}
    sites = [site for site in region.sites if site.id in wanted]
    rows: tuple[Site | Place, ...] = (*region.sites, *region.places)
    spots = {row.id: (row.lat, row.lon) for row in rows}
    junctions = {junction.id: (junction.lat, junction.lon) for junction in region.junctions}
    shown = [(site.lat, site.lon) for site in sites] + [(place.lat, place.lon) for place in region.places] or [(0.0, 0.0)]
    south, north = min(lat for lat, _ in shown), max(lat for lat, _ in shown)
    west, east = min(lon for _, lon in shown), max(lon for _, lon in shown)
    shrink = math.cos(math.radians((south + north) / 2))
    scale = min((WIDTH - 2 * MARGIN) / max((east - west) * shrink, 1e-6), (HEIGHT - 2 * MARGIN) / max(north - south, 1e-6))

    def xy(point: tuple[float, float]) -> tuple[float, float]:
        x = WIDTH / 2 + (point[1] - (west + east) / 2) * shrink * scale
        return round(x, 1), round(HEIGHT / 2 - (point[0] - (south + north) / 2) * scale, 1)

    def colour(technology: str | None) -> str:
        return COLOURS[technologies.index(technology) % len(COLOURS)] if technology in technologies else "#4d4d4d"

    def line(a: tuple[float, float], b: tuple[float, float], stroke: str, width: float, dash: str = "") -> str:
        (x1, y1), (x2, y2) = xy(a), xy(b)
        return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{stroke}" stroke-width="{width}"{dash}/>'

    def spot(index: int) -> tuple[float, float] | None:
        node = problem.nodes[index]
        return junctions.get(node.ref) if node.kind == "junction" else spots.get(node.ref)

    parts = [f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="#f4f7fa"/>']
    parts += [line(junctions[street.a], junctions[street.b], "#cfd8e0", 0.6) for street in region.streets]
    for index in sorted(design.arcs):
        arc = problem.arcs[index]
        a, b = spot(arc.tail), spot(arc.head)
        if a is None or b is None or a == b:
            continue
        if arc.kind in ("line", "plant", "drop"):
            parts.append(line(a, b, colour(arc.technology), 2.2))
        elif arc.kind in ("hop", "link"):
            parts.append(line(a, b, colour(arc.technology), 1, ' stroke-dasharray="4 3"'))
    for place in region.places:
        x, y = xy((place.lat, place.lon))
        parts.append(
            f'<rect x="{x - 3.5}" y="{y - 3.5}" width="7" height="7" fill="#fff" stroke="#1a1a1a" stroke-width="1.4"><title>{escape(place.name)}</title></rect>'
        )
    chosen = {result.site: result.technologies for result in design.sites}
    unserved = {site for site, _ in design.unserved}
    for site in sites:
        x, y = xy((site.lat, site.lon))
        ring = "#a1000e" if site.id in unserved else "#fff"
        fill = colour(chosen.get(site.id, (None,))[0] if chosen.get(site.id) else None)
        radius, title = 5 if site.critical else 3.8, escape(site.name)
        parts.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{fill}" stroke="{ring}" stroke-width="1"><title>{title}</title></circle>')
    kilometres = next((step for step in (50, 20, 10, 5, 2, 1) if step * 1000 / METRES_PER_DEGREE * scale < WIDTH / 3), 0.5)
    bar = round(kilometres * 1000 / METRES_PER_DEGREE * scale, 1)
    parts.append(f'<path d="M{MARGIN} {HEIGHT - 8} h{bar} m0 -3 v6 M{MARGIN} {HEIGHT - 11} v6" stroke="#1a1a1a" stroke-width="1" fill="none"/>')
    parts.append(f'<text x="{MARGIN + bar + 4}" y="{HEIGHT - 5}" font-family="Noto Sans JP" font-size="9">{kilometres:g} km</text>')
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}">{"".join(parts)}</svg>'
