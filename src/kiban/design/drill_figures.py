"""The numbers of drills and of the cost of backup as figures, each with its way back to rows and prices.

In: the sheet of a design (its ledger holds the prices), the technologies, and the design without backup. Out: a body in which every number is the id
of a figure, None where it is unknown. Who is off is found by design.drill from the design; what it costs is computed here from the leaves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kiban.design.backup import second_ways
from kiban.design.drill import Drill, Kits, Link, Off, Outcome
from kiban.design.events import Event, Ground, cut, lose_place
from kiban.design.figures import Sheet, paid_for
from kiban.design.flip import COMPLETE
from kiban.records.design import Design, Problem
from kiban.records.technology import Technology

COUNTED = "counted by a drill on design.json"
POINT = ("site", "facility")  # what the equipment of one place is priced by


def drill_body(sheet: Sheet, technologies: Mapping[str, Technology], backup: tuple[Problem, Design] | None) -> dict[str, Any]:
    """The drills that every plan holds: the worst single street, each exchange, each hazard of the region, kits for the worst, the cost of backup."""
    drill = Drill(sheet.region, sheet.problem, sheet.design, technologies)
    links = drill.links()
    outcomes = [drill.run(event, restore=True) for event in usual_events(drill, links)]
    return {
        "events": [entered(sheet, drill, outcome) for outcome in outcomes],
        "candidates": sheet.region.links_are_candidates,
        "hazards": [hazard.id for hazard in sheet.region.hazards],
        "links": [entered_link(sheet, link) for link in links[:1]],
        "kits": [entered_kits(sheet, technologies, kits) for kits in drill.kits(outcomes, links)],
        "backup": backup_cost(sheet, backup),
    }


def usual_events(drill: Drill, links: Sequence[Link]) -> list[Event]:
    """The worst single street, each exchange that the design uses, and each hazard of the region."""
    region = drill.region
    events = [cut(region, [link.street]) for link in links[:1]]
    used = {drill.problem.arcs[index].ref for index in drill.design.arcs if drill.problem.arcs[index].kind == "exchange"}
    used |= {drill.problem.nodes[drill.problem.arcs[index].head].ref for index in drill.design.arcs if drill.problem.arcs[index].kind == "feed"}
    events += [lose_place(region, place.id) for place in region.places if place.kind == "exchange" and place.id in used]
    if region.hazards:
        ground = Ground(region)
        events += [ground.area(hazard) for hazard in region.hazards]
    return events


def entered(sheet: Sheet, drill: Drill, outcome: Outcome) -> dict[str, Any]:
    """One event: sites, critical sites, people and households off, who and why, what comes back how."""
    key = f"drill/{outcome.event.id}"
    rows = [sheet.rows[site] for site in outcome.sites if site in sheet.rows]
    critical = sum(1 for row in rows if row.id in drill.sites and drill.sites[row.id].critical)
    reasons: dict[str, list[Off]] = {}
    for off in outcome.off:
        reasons.setdefault(off.site, []).append(off)
    body: dict[str, Any] = {
        "event": outcome.event.id,
        "kind": outcome.event.kind,
        "name": outcome.event.name,
        "sites": _count(sheet, f"{key}/sites", len(outcome.sites), "sites"),
        "critical": _count(sheet, f"{key}/critical", critical, "sites"),
        "people": _people(sheet, key, outcome.sites, "population"),
        "households": _people(sheet, key, outcome.sites, "households"),
        "uncounted": _count(sheet, f"{key}/uncounted", outcome.people.unknown, "sites"),
        "kept": _count(sheet, f"{key}/kept", len({row.site for row in outcome.kept}), "sites"),
        "unsure": _count(sheet, f"{key}/unsure", len({row.site for row in outcome.unsure}), "sites"),
        "lost": _count(sheet, f"{key}/lost", outcome.lost_m / 1000, "km"),
        "off": [
            {"site": site, "usecases": [row.usecase for row in found], "technologies": _once(found), "reason": found[0].reason}
            for site, found in reasons.items()
        ],
        "ways": [{"site": row.site, "usecase": row.usecase, "technologies": list(row.technologies)} for row in outcome.kept],
        "restored": [],
        "restored_yen": None,
        "kits": {id: _count(sheet, f"{key}/kits/{id}", kits, "kits") for id, (kits, _) in outcome.kits.items()},
    }
    together: dict[str, None] = {}  # a line that brings back several sites is laid once
    for back in outcome.restored:
        name = f"{key}/back/{back.site}"
        costs = [cost for arc in back.arcs if (cost := sheet.arc_cost(arc)) is not None] + [sheet.step_cost(step) for step in back.steps]
        together |= dict.fromkeys(costs)
        laid = [sheet.metres(sheet.problem.arcs[arc]) for arc in back.arcs if sheet.problem.arcs[arc].kind in ("line", "plant", "drop")]
        body["restored"].append(
            {
                "site": back.site,
                "usecases": list(back.usecases),
                "technology": back.technology,
                "unpriced": list(back.unpriced),
                "yen": sheet.total(name, costs) if back.technology is not None else None,
                "line": None if back.line_m is None else _count(sheet, f"{name}/line", back.line_m / 1000, "km"),
                "metres": sheet.ledger.formula(f"{name}/m", "finance.sum", "m", laid) if back.technology is not None else None,
            }
        )
    if body["restored"] and all(row["yen"] is not None for row in body["restored"]):
        body["restored_yen"] = sheet.total(f"{key}/back", list(together))
    if outcome.event.kind == "street":
        body["between"] = between(sheet, next(iter(outcome.event.streets)))
    if outcome.event.hours is not None:
        body["power"] = _power(sheet, drill, outcome.event.hours, key)
    return body


def between(sheet: Sheet, street: str) -> list[str]:
    """The names (one or two) of the site or place nearest to each end of a street, by degrees with longitude shortened: a street has no name of its own."""
    found = []
    for end in (sheet.streets[street].a, sheet.streets[street].b):
        lat, lon = sheet.at[end]
        shorter = math.cos(math.radians(lat))
        near = min(sheet.rows.values(), key=lambda row: ((row.lat - lat) ** 2 + ((row.lon - lon) * shorter) ** 2, row.id))
        found.append(near.name)
    return list(dict.fromkeys(found))


def entered_link(sheet: Sheet, link: Link) -> dict[str, Any]:
    """One street of the ranking."""
    key = f"drill/street:{link.street}"
    people = link.people
    return {
        "street": link.street,
        "between": between(sheet, link.street),
        "sites": _count(sheet, f"{key}/sites", link.sites, "sites"),
        "critical": _count(sheet, f"{key}/critical", link.critical, "sites"),
        "people": None if people.people is None else _count(sheet, f"{key}/people", people.people, "people"),
        "uncounted": _count(sheet, f"{key}/uncounted", people.unknown, "sites"),
        "detour": link.detour,
    }


def entered_kits(sheet: Sheet, technologies: Mapping[str, Technology], kits: Kits) -> dict[str, Any]:
    """Kits of one technology for the worst event, what one costs over the horizon (None: no price), item by item, and all of them."""
    key = f"drill/kits/{kits.technology}"
    count = _count(sheet, f"{key}/kits", kits.kits, "kits")
    critical = _count(sheet, f"{key}/critical", kits.critical_kits, "kits")
    items = _priced(sheet, technologies, kits.technology)
    unit = sheet.total(f"{key}/unit", [id for _, id in items]) if items else None
    return {
        "technology": kits.technology,
        "event": kits.event,
        "critical_event": kits.critical_event,
        "kits": count,
        "critical_kits": critical,
        "items": [{"cost": cost, "yen": id} for cost, id in items],
        "unit": unit,
        "yen": _times(sheet, f"{key}/yen", count, unit),
        "critical_yen": _times(sheet, f"{key}/critical_yen", critical, unit),
    }


def backup_cost(sheet: Sheet, backup: tuple[Problem, Design] | None) -> dict[str, Any] | None:
    """What the backup of critical sites costs: both designs, their difference with its range, and the second way of each site.

    The range is what the bounds leave open: the cost of one design less the bound of the other. None: nobody asks for backup, or it was not searched.
    """
    if backup is None or backup[1].status not in COMPLETE or sheet.design.status not in COMPLETE:
        return None
    problem, design = backup
    together = paid_for(sheet, "drill/backup/with")
    alone = paid_for(Sheet(sheet.ledger, problem, design, sheet.region, sheet.usecases, "without-backup"), "drill/backup/without")
    proved = sheet.design.status == design.status == "proved"
    low, high = (None, None) if proved else (float(sheet.design.bound - design.cost), float(sheet.design.cost - design.bound))
    rows = [
        {
            "site": row.site,
            "technology": row.technology,
            "instead": list(row.instead),
            "yen": sheet.total(f"drill/backup/sites/{row.site}", [cost for arc in row.arcs if (cost := sheet.arc_cost(arc)) is not None]),
        }
        for row in second_ways(sheet.problem, sheet.design)
    ]
    difference = sheet.ledger.formula("drill/backup/difference", "finance.difference", "JPY", [together, alone], low=low, high=high)
    own = sheet.total("drill/backup/sites", [str(row["yen"]) for row in rows])
    return {
        "with": together,
        "without": alone,
        "difference": difference,
        "sites": rows,
        "rest": sheet.ledger.formula("drill/backup/rest", "finance.difference", "JPY", [difference, own]),
    }


def _count(sheet: Sheet, key: str, number: float, unit: str) -> str:
    return sheet.ledger.choice(key, number, unit, COUNTED)


def _once(rows: Sequence[Off]) -> list[str]:
    return list(dict.fromkeys(id for row in rows for id in row.technologies))


def _people(sheet: Sheet, key: str, sites: Sequence[str], name: str) -> str | None:
    """The sum of a count over the sites whose rows give it."""
    leaves = [sheet.leaf(sheet.rows[site], name, name) for site in sites if site in sheet.rows and getattr(sheet.rows[site], name, None) is not None]
    return sheet.ledger.formula(f"{key}/{name}", "finance.sum", name, leaves) if leaves else None


def _times(sheet: Sheet, key: str, count: str, unit: str | None) -> str | None:
    return None if unit is None else sheet.ledger.formula(key, "finance.products", "JPY", [count, unit])


def _priced(sheet: Sheet, technologies: Mapping[str, Technology], technology: str) -> list[tuple[str, str]]:
    """(cost, figure of its present value) of what a technology costs per place; empty: it has no price, or one that no single place decides."""
    costs = [cost for cost in technologies[technology].costs if cost.per in POINT]
    found = [(cost.id, f"prices/{technology}#{cost.id}/npv") for cost in costs]
    known = [(cost, id) for cost, id in found if id in sheet.ledger.figures and sheet.ledger.figures[id].value is not None]
    whole = all(cost.optional or any(cost.id == name for name, _ in known) for cost in technologies[technology].costs if cost.per != "device")
    return known if whole else []


def _power(sheet: Sheet, drill: Drill, hours: float, key: str) -> dict[str, Any]:
    """How many places lack power for so long, for how many nobody states hours, and what additions with enough hours would cost there."""
    problem, short, unstated = drill.problem, set(), set()
    for arc, lasts in drill.hours.items():
        refs = {problem.arcs[arc].ref if problem.arcs[arc].kind == "exchange" else problem.nodes[problem.arcs[arc].head].ref}
        if math.isnan(lasts):
            unstated |= refs
        elif lasts < hours:
            short |= refs
    points = _count(sheet, f"{key}/points", len(short | unstated), "places")
    rows = []
    for id, one in sorted(drill.technologies.items()):
        autonomy = one.capability.autonomy_h
        if one.wiring.pattern == "site" and autonomy is not None and (autonomy.value or 0.0) >= hours:
            items = _priced(sheet, drill.technologies, id)
            unit = sheet.total(f"drill/power/{id}", [figure for _, figure in items]) if items else None
            rows.append({"technology": id, "unit": unit, "yen": _times(sheet, f"{key}/power/{id}", points, unit)})
    return {"points": points, "unstated": _count(sheet, f"{key}/unstated", len(unstated - short), "places"), "technologies": rows}
