"""The pictures of docs/explanation/scenarios.md: bars of cost with their bound, and maps of who gets what and which money brings whom in.

In: results of bench/scenarios.py. Out: SVG texts, readable in Japanese and English.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from kiban.records.design import Design, Problem
from kiban.records.horizon import Stage
from kiban.records.region import Region

INK, PALE, RULE = "#1f2937", "#6b7280", "#e5e7eb"
GROUPS = {"base": "#374151", "plant": "#8c510a", "traffic": "#0072b2", "no": "#009e73", "alone": "#6b4c9a", "budget": "#d55e00"}
TECHNOLOGIES = {"pon-ftth": "#0072b2", "leo-satellite": "#d55e00", "lorawan": "#009e73"}
OTHER = "#6b4c9a"
STAGES = ("#084c8d", "#3b8bc6", "#9cc7e6")  # the first money darkest
LATER, LAID = "#ffffff", "#0072b2"
MILLION, SMALL = 1_000_000, 'font-size="12"'
WIDTH, LEFT, RIGHT, ROW = 960.0, 330.0, 150.0, 38.0
PANEL, TOP, EDGE = 520.0, 44.0, 18.0


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    inner = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="\'Noto Sans JP\', \'Noto Sans CJK JP\', sans-serif" '
        f'font-size="13" fill="none" stroke-linejoin="round">\n<rect width="{width:g}" height="{height:g}" fill="#fff"/>\n{inner}\n</svg>\n'
    )


def _say(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" {more}>{escape(text)}</text>'


def bars(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, tuple[str, str]]) -> str:
    """Cost of each scenario with the bound as a tick; `labels`: scenario → (Japanese, English)."""
    top = max(row["cost"] for row in rows if row["cost"] is not None)
    step = next(s for s in (10, 20, 50, 100, 200, 500, 1000) if top / MILLION / s <= 7)

    def x(yen: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * yen / top

    head, foot = 58.0, 40.0
    height = head + ROW * len(rows) + foot
    parts = [
        _say(16, 24, "15年の費用（現在価値・税抜、百万円）と下界", 'font-size="15" font-weight="bold"'),
        _say(16, 43, "cost over 15 years (present value, tax excluded, million yen) and lower bound", f'font-size="12" style="fill:{PALE}"'),
    ]
    for tick in range(0, int(top / MILLION) + 1, step):
        at = x(tick * MILLION)
        parts.append(f'<path d="M{at:.1f} {head}V{height - foot}" stroke="{RULE}"/>')
        parts.append(_say(at, height - foot + 16, f"{tick:,}", f'text-anchor="middle" font-size="11" style="fill:{PALE}"'))
    for number, row in enumerate(rows):
        y = head + ROW * number
        ja, en = labels[row["id"]]
        parts.append(_say(16, y + 16, ja))
        parts.append(_say(16, y + 31, en, f'font-size="11" style="fill:{PALE}"'))
        if row["cost"] is None:
            parts.append(_say(LEFT + 6, y + 23, "計算しない（この年の値がない） not designed: no value for these years", f'font-size="12" style="fill:{PALE}"'))
            continue
        colour = GROUPS[row["id"].partition("-")[0]]
        parts.append(f'<rect x="{LEFT:g}" y="{y + 8:.1f}" width="{x(row["cost"]) - LEFT:.1f}" height="20" fill="{colour}" fill-opacity=".8"/>')
        parts.append(f'<path d="M{x(row["bound"]):.1f} {y + 4:.1f}v28" stroke="#111827" stroke-width="2.5"/>')
        served = f"（{row['served']}/{row['sites']}地点 sites）" if row.get("served", 0) != row.get("sites", 0) else ""
        parts.append(_say(x(row["cost"]) + 7, y + 23, f"{row['cost'] / MILLION:,.1f}{served}", 'font-size="12"'))
    parts.append(f'<path d="M20 {height - 17}v14" stroke="#111827" stroke-width="2.5"/>')
    parts.append(_say(30, height - 6, "下界: これより安くはできない lower bound: nothing is cheaper than this", 'font-size="12"'))
    return _svg(WIDTH, height, parts)


class _Map:
    """A panel of a map: where a point lies, streets and lines."""

    def __init__(self, region: Region, problem: Problem, left: float) -> None:
        self.region, self.problem, self.left = region, problem, left
        wanted = {demand.site for demand in problem.demands} | {site for site, *_ in problem.no_way}
        self.sites = [site for site in region.sites if site.id in wanted]
        spots = [(row.lat, row.lon) for row in (*self.sites, *region.places)]
        self.south, self.north = min(lat for lat, _ in spots), max(lat for lat, _ in spots)
        self.west, self.east = min(lon for _, lon in spots), max(lon for _, lon in spots)
        self.shrink = math.cos(math.radians((self.south + self.north) / 2))
        self.scale = (PANEL - 2 * EDGE) / max((self.east - self.west) * self.shrink, 0.8 * (self.north - self.south))
        self.height = (self.north - self.south) * self.scale + 2 * EDGE
        self.spot = {row.id: (row.lat, row.lon) for row in (*region.sites, *region.places)}
        self.junction = {one.id: (one.lat, one.lon) for one in region.junctions}
        self.shapes = {one.id: [self.junction[one.a], *one.shape, self.junction[one.b]] for one in region.streets}

    def xy(self, point: tuple[float, float]) -> tuple[float, float]:
        middle = self.left + PANEL / 2 + (point[1] - (self.west + self.east) / 2) * self.shrink * self.scale
        return middle, TOP + EDGE + (self.north - point[0]) * self.scale

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """A line through points; those closer than two pixels to the last one drawn are left out."""
        kept: list[tuple[float, float]] = []
        for place, point in enumerate(points):
            at = self.xy(point)
            if not kept or place == len(points) - 1 or math.dist(at, kept[-1]) > 2:
                kept.append(at)
        inside = [self.left <= x <= self.left + PANEL and TOP <= y <= TOP + self.height for x, y in kept]
        if not any(inside):
            return ""
        whole = list(dict.fromkeys((round(x), round(y)) for x, y in kept))
        steps = "".join(f"l{x - a} {y - b}" for (a, b), (x, y) in pairwise(whole))
        return f"M{whole[0][0]} {whole[0][1]}{steps}"

    def ground(self) -> list[str]:
        """Streets in grey, to be drawn a second time by `use`."""
        frame = f'<clipPath id="frame"><rect x="{self.left:g}" y="{TOP:g}" width="{PANEL:g}" height="{self.height:.0f}"/></clipPath>'
        return [
            frame,
            f'<path id="ground" clip-path="url(#frame)" d="{"".join(self.path(shape) for shape in self.shapes.values())}" stroke="#cbd2da" stroke-width=".8"/>',
        ]

    def lines(self, arcs: Sequence[int], colour: str, width: float, dash: str = "") -> str:
        """The lines of a design."""
        parts = []
        for index in arcs:
            arc = self.problem.arcs[index]
            if arc.kind in ("line", "plant"):
                parts.append(self.path(self.shapes[arc.ref]))
        return f'<path d="{"".join(parts)}" stroke="{colour}" stroke-width="{width:g}"{dash}/>'

    def places(self) -> list[str]:
        """Exchanges as squares."""
        found = []
        for place in self.region.places:
            x, y = self.xy((place.lat, place.lon))
            if place.kind == "exchange":
                found.append(f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="#111827" stroke="#fff" stroke-width="1.5"/>')
        return found

    def dot(self, id: str, fill: str, ring: str, size: float = 5.0) -> str:
        """A site."""
        x, y = self.xy(self.spot[id])
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{fill}" stroke="{ring}" stroke-width="1.6"/>'


def maps(region: Region, problem: Problem, base: Design, stages: Sequence[tuple[str, Stage]], names: Mapping[str, str]) -> str:
    """Left: who gets what in the base design. Right: the smallest of the three budgets that serves a site."""
    left, right = _Map(region, problem, 0.0), _Map(region, problem, PANEL)
    at: dict[str, list[str]] = {}
    for demand, arc in zip(problem.demands, base.served, strict=True):
        if arc >= 0 and (id := str(problem.arcs[arc].technology)) not in at.setdefault(demand.site, []):
            at[demand.site].append(id)
    parts = [
        _say(PANEL / 2, 20, "基準の設計: どこに何を", 'text-anchor="middle" font-size="15" font-weight="bold"'),
        _say(PANEL / 2, 37, "base design: who gets what", f'text-anchor="middle" font-size="12" style="fill:{PALE}"'),
        _say(PANEL * 1.5, 20, "どの予算から届くか", 'text-anchor="middle" font-size="15" font-weight="bold"'),
        _say(PANEL * 1.5, 37, "which budget serves it first", f'text-anchor="middle" font-size="12" style="fill:{PALE}"'),
    ]
    plant = [index for index in base.arcs if problem.arcs[index].kind == "plant"]
    parts += [*left.ground(), left.lines(base.arcs, LAID, 2.4), left.lines(plant, "#8c510a", 3.4)]
    for site in sorted(left.sites, key=lambda one: len(at.get(one.id, ()))):
        used = sorted(at.get(site.id, []), key=lambda id: (id != "pon-ftth", id))
        fill = TECHNOLOGIES.get(used[0], OTHER) if used else "#fff"
        parts.append(left.dot(site.id, fill, TECHNOLOGIES.get(used[1], OTHER) if len(used) > 1 else "#fff", 6.0 if len(used) > 1 else 5.0))
    parts += left.places()
    parts.append(f'<path d="M{PANEL} 10V{TOP + left.height:.1f}" stroke="{RULE}"/>')
    parts.append(f'<use href="#ground" x="{PANEL:g}"/>')
    parts.append(right.lines(base.arcs, "#94a3b8", 1.2, ' stroke-dasharray="4 3"'))
    first: dict[str, int] = {}
    for number in range(len(stages) - 1, -1, -1):
        stage = stages[number][1]
        parts.append(right.lines(stage.arcs, STAGES[number], 2.4 + 0.3 * (len(stages) - number)))
        lost = {demand.site for demand, arc in zip(problem.demands, stage.served, strict=True) if arc < 0}
        first |= {site.id: number for site in right.sites if site.id not in lost}
    for site in sorted(right.sites, key=lambda one: -first.get(one.id, 9)):
        number = first.get(site.id)
        parts.append(right.dot(site.id, LATER if number is None else STAGES[number], "#475569" if number is None else "#fff", 4.6 if number is None else 5.4))
    parts += right.places()
    parts += _scale(left)
    foot = TOP + left.height + 16
    shown = sorted({id for ids in at.values() for id in ids}, key=lambda id: (id != "pon-ftth", id))
    signs = [
        *((f'<circle cx="24" cy="Y" r="5" fill="{TECHNOLOGIES.get(id, OTHER)}"/>', names[id]) for id in shown),
        ('<circle cx="24" cy="Y" r="6" fill="#0072b2" stroke="#d55e00" stroke-width="2"/>', "二つの経路（中と縁の技術） two ways (inside and ring)"),
        ('<path d="M14 Yh20" stroke="#0072b2" stroke-width="2.4"/>', "新しい光の線 new fibre line"),
        *([('<path d="M14 Yh20" stroke="#8c510a" stroke-width="3.4"/>', "既存の光の線 existing fibre line")] if plant else []),
        ('<rect x="18" y="Y" width="12" height="12" transform="translate(0 -6)" fill="#111827"/>', "収容局（仮） exchange (assumed)"),
    ]
    legend = [
        *((f'<circle cx="24" cy="Y" r="5.4" fill="{STAGES[number]}"/>', label) for number, (label, _) in enumerate(stages)),
        ('<circle cx="24" cy="Y" r="4.6" fill="#fff" stroke="#475569" stroke-width="1.6"/>', "これより多く要る needs more than these"),
        ('<path d="M14 Yh20" stroke="#94a3b8" stroke-width="1.4" stroke-dasharray="4 3"/>', "全額の設計の線 line of the full design"),
    ]
    for column, rows in ((0.0, signs), (PANEL, legend)):
        for number, (sign, text) in enumerate(rows):
            y = foot + 21 * number
            moved = sign.replace('cy="Y"', f'cy="{y:.1f}"').replace('y="Y"', f'y="{y:.1f}"').replace(" Yh", f" {y:.1f}h")
            parts.append(f'<g transform="translate({column:g} 0)">{moved}{_say(42, y + 4.5, text, SMALL)}</g>')
    below = foot + 21 * max(len(signs), len(legend)) + 2
    credit = (
        "地図 map: © OpenStreetMap contributors (ODbL)"
        if not region.links_are_candidates
        else "灰色は候補ルート（地点を結ぶ直線） grey: candidate links, straight"
    )
    parts.append(_say(16, below + 4, credit, f'font-size="11" style="fill:{PALE}"'))
    return _svg(2 * PANEL, below + 14, parts)


def _scale(panel: _Map) -> list[str]:
    """A bar of kilometres and a north arrow."""
    km = next(km for km in (20, 10, 5, 2, 1) if km / 111.32 * panel.scale < PANEL / 3)
    wide, y = km / 111.32 * panel.scale, TOP + panel.height - 8
    return [
        f'<path d="M14 {y - 4:.1f}v8m0 -4h{wide:.1f}m0 -4v8" stroke="{INK}" stroke-width="1.2"/>',
        _say(wide + 20, y + 4, f"{km} km", 'font-size="11"'),
        f'<path d="M{PANEL - 20} {TOP + 22}l5 14l-5 -4l-5 4z" fill="{INK}"/>',
        _say(PANEL - 20, TOP + 18, "北 N", 'font-size="11" text-anchor="middle"'),
    ]
