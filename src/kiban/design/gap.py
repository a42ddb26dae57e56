"""The gap between town and country 都市部と周辺部の差, need by need, before and after a design, beside what people say in a survey.

In: a region whose rows say what reaches each site today, a problem and its design. Out: for each need and area the households (or sites) whose need
is met, as figures, and the difference of the shares. What cannot be told is left open: a site whose rows do not say what reaches it, a region of
which nobody says which part is urban.

Urban is what the rule `urban-district` says (人口集中地区): grid squares of that density that adjoin and hold that many people together. Without
grid squares the region's fact `did_population: 0` says that all of it is rural; else the split is unknown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kiban.base.formula import formula
from kiban.design.admit import Asked, ask_all, capability_value
from kiban.design.figures import DESIGN, Sheet
from kiban.records.design import Design, Problem
from kiban.records.region import Region, Site
from kiban.records.technology import Technology
from kiban.records.usecase import UseCase
from kiban.region.mesh import LEVELS, corner

NEEDS = ("coverage", "down_mbps", "up_mbps", "one_way_ms", "availability")
FELT = "felt_{area}_{need}"  # facts of a region: the share of people asked who are content, 0 to 1
NO_DISTRICT = "did_population"
CELL = "mesh-"  # how region.people names the hamlet of a grid square
EARTH_KM = 6371.0

Area = Literal["urban", "rural", "all"]


@dataclass(frozen=True)
class Parts:
    """Which sites are urban, by id; empty where nobody says it.

    basis  cells: grid squares with people · fact: the region says that it has no such district · unknown
    """

    urban: Mapping[str, bool]
    basis: Literal["cells", "fact", "unknown"]


@dataclass(frozen=True)
class Met:
    """One need in one area: sites that have it; which of them are met before and after; `open`: nobody says what reaches them today."""

    need: str
    area: Area
    sites: tuple[str, ...]
    before: tuple[str, ...]
    open: tuple[str, ...]
    after: tuple[str, ...]


@formula("design.share_met", "share")
def share_met(values: Sequence[float]) -> float:
    """(met, all) → the share whose need is met; 0 where there is nobody.

    >>> share_met([30, 40])
    0.75
    """
    met, everybody = values
    return met / everybody if everybody else 0.0


def split_urban(region: Region, density: float, people: float) -> Parts:
    """Tell urban sites from rural ones.

    Parameters
    ----------
    density  people per km² that each grid square has at least; people: what adjoining squares of that density hold together at least

    A site outside every square with people is rural, and so is a square without a count: the grid lists people where there are some.
    """
    cells = {str(site.evidence.original): site.population for site in region.sites if site.id.startswith(CELL) and site.evidence.original}
    if any(count is not None for count in cells.values()) and len({len(code) for code in cells}) == 1:
        dense = {code for code, count in cells.items() if (count or 0) / _square_km(code) >= density}
        urban = {code for group in _adjoining(dense) if sum(cells[code] or 0 for code in group) >= people for code in group}
        squares = [corner(code) for code in urban]
        inside = {site.id: any(s <= site.lat < s + h and w <= site.lon < w + b for s, w, h, b in squares) for site in region.sites}
        return Parts(inside, "cells")
    if any(fact.id == NO_DISTRICT and fact.value == 0 for fact in region.facts):
        return Parts({site.id: False for site in region.sites}, "fact")
    return Parts({}, "unknown")


def _square_km(code: str) -> float:
    south, _, height, width = corner(code)
    middle = math.radians(south + height / 2)
    return math.radians(height) * math.radians(width) * math.cos(middle) * EARTH_KM**2


def _adjoining(codes: set[str]) -> list[set[str]]:
    """Squares that share a side, in groups."""
    at = {}
    for code in codes:
        south, west, _, _ = corner(code)
        _, height, width = LEVELS[len(code)]
        at[round(south * 3600 / height), round(west * 3600 / width)] = code
    groups, left = [], set(at)
    while left:
        group, queue = set(), [left.pop()]
        while queue:
            row, column = queue.pop()
            group.add(at[row, column])
            near = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & left
            left -= near
            queue += near
        groups.append(group)
    return groups


def needs_met(
    problem: Problem, design: Design, region: Region, usecases: Mapping[str, UseCase], technologies: Mapping[str, Technology], parts: Parts
) -> list[Met]:
    """Per need and area, whose need is met before and after.

    Before: by a technology that the rows say reaches the site (`covered`). After: by the design, or by what was there. "coverage" is met before when
    anything reaches the site, after when every use case there is served.
    """
    pairs = sorted({(demand.site, demand.usecase) for demand in problem.demands} | {(site, usecase) for site, usecase, *_ in problem.no_way})
    sites = {site.id: site for site in region.sites}
    asked: dict[str, list[Asked]] = defaultdict(list)
    for one in ask_all(pairs, sites, usecases):
        asked[one.site].append(one)
    unserved = {site for site, _ in design.unserved}
    rows = []
    areas: list[tuple[Area, list[str]]] = [("all", sorted(asked))]
    if parts.basis != "unknown":
        areas += [("urban", [s for s in sorted(asked) if parts.urban[s]]), ("rural", [s for s in sorted(asked) if not parts.urban[s]])]
    for need in NEEDS:
        having = {site for site, needs in asked.items() if need == "coverage" or any(need in one.values for one in needs)}
        today = {site: _today(sites[site], need, asked[site], technologies) for site in having}
        for area, here in areas:
            mine = tuple(site for site in here if site in having)
            before = tuple(site for site in mine if today[site] is True)
            after = tuple(site for site in mine if site not in unserved or today[site] is True)
            if having:
                rows.append(Met(need, area, mine, before, tuple(site for site in mine if today[site] is None), after))
    return rows


def _today(site: Site, need: str, asked: Sequence[Asked], technologies: Mapping[str, Technology]) -> bool | None:
    """Whether something that reaches the site today meets its strictest need; None: nobody says."""
    here = [technologies[id].capability for id, reached in site.covered.items() if reached and id in technologies]
    if need == "coverage":
        return True if here else False if site.covered and not any(site.covered.values()) else None
    wanted = [one.values[need] for one in asked if need in one.values]
    given = [capability_value(capability, need) for capability in here]
    if need == "one_way_ms":
        good = [None if value is None else value <= min(wanted) for value in given]
    else:
        good = [None if value is None else value >= max(wanted) for value in given]
    if any(good):
        return True
    return None if not site.covered or None in good else False


def enter_gap(sheet: Sheet, rows: Sequence[Met], parts: Parts) -> dict[str, Any]:
    """Enter the gap as figures: per need and area the share before and after, per need the difference between the areas, and what a survey says."""
    ledger = sheet.ledger
    wanted = {site for row in rows for site in row.sites}
    homes = bool(wanted) and all(getattr(sheet.rows[site], "households", None) is not None for site in wanted)

    def weight(key: str, sites: Sequence[str]) -> str:
        if homes:
            return ledger.formula(key, "finance.sum", "households", [sheet.leaf(sheet.rows[site], "households", "households") for site in sites])
        return ledger.choice(key, len(sites), "sites", DESIGN)

    found: list[dict[str, Any]] = []
    shares: dict[tuple[str, str, str], str] = {}
    for row in rows:
        base = f"gap/{row.need}/{row.area}"
        everybody = weight(f"{base}/all", row.sites)
        unknown = [ledger.source(f"region/{sheet.region.id}#{site}/covered", None, "1", f"region/{sheet.region.id}#{site}.covered: empty") for site in row.open]
        before = weight(f"{base}/before/met", row.before)
        low, high = _ends(ledger.figures[before].value, weight(f"{base}/before/open", row.open), everybody, sheet) if unknown else (None, None)
        shares[row.need, row.area, "before"] = ledger.formula(f"{base}/before", "design.share_met", "share", [before, everybody, *unknown], low=low, high=high)
        after = weight(f"{base}/after/met", row.after)
        shares[row.need, row.area, "after"] = ledger.formula(f"{base}/after", "design.share_met", "share", [after, everybody])
        found.append(
            {
                "need": row.need,
                "area": row.area,
                "all": everybody,
                "before": shares[row.need, row.area, "before"],
                "after": shares[row.need, row.area, "after"],
            }
        )
    both = {area for area in ("urban", "rural") if any(row.area == area and row.sites for row in rows)}
    gaps = []
    for need in dict.fromkeys(row.need for row in rows):
        ends = {when: [shares[need, area, when] for area in ("urban", "rural")] if len(both) == 2 else None for when in ("before", "after")}
        differences = {w: pair and ledger.formula(f"gap/{need}/{w}", "finance.difference", "share", pair) for w, pair in ends.items()}
        gaps.append({"need": need, **differences, "felt": _felt(sheet, need)})
    reason = "unknown" if parts.basis == "unknown" else None if len(both) == 2 else "all_urban" if both == {"urban"} else "all_rural"
    return {"basis": parts.basis, "reason": reason, "by": "households" if homes else "sites", "rows": found, "needs": gaps}


def _ends(met: float | None, unknown: str, everybody: str, sheet: Sheet) -> tuple[float | None, float | None]:
    """The least and the greatest share, as those whom nobody knows are all off or all on."""
    total, more = sheet.ledger.figures[everybody].value, sheet.ledger.figures[unknown].value
    return (None, None) if not total or met is None or more is None else (met / total, (met + more) / total)


def _felt(sheet: Sheet, need: str) -> dict[str, str] | None:
    """What a survey says, where the region's facts give both areas; the difference is the gap that people perceive."""
    given = {fact.id: fact for fact in sheet.region.facts}
    ids = {area: FELT.format(area=area, need=need) for area in ("urban", "rural")}
    found = {}
    for area, id in ids.items():
        fact = given.get(id)
        if fact is None or isinstance(fact.value, bool | str) or fact.value is None:
            return None
        evidence, key = fact.evidence, f"region/{sheet.region.id}#{id}"
        ref = f"{key} {evidence.source or ''}".rstrip()
        found[area] = sheet.ledger.source(key, float(fact.value), fact.unit or "share", ref, evidence.confidence, assumed=evidence.assumed)
    return found | {"gap": sheet.ledger.formula(f"gap/{need}/felt", "finance.difference", "share", [found["urban"], found["rural"]])}
