"""The bottleneck 障壁 of each site today: what stands between the place and its needs, with the row that says so.

In: the region's rows, the wanted (site, use case) pairs, the catalogue, the year; for the town its named facts. Out: bottlenecks by site, the gravest
first. Only what rows, data files and answers say is used; where they are silent the state is "unknown" and names whom to ask. A satellite reaches every
place and is an answer, not a state of today: coverage means a service on the ground. The words are left to pages and papers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kiban.design.admit import Asked, ask, capability_value, judge
from kiban.design.tree import Tree
from kiban.records.design import Design, Problem
from kiban.records.region import Evidence, Fact, Plant, Region, Site
from kiban.records.technology import Technology
from kiban.records.usecase import UseCase

Kind = Literal["coverage", "capacity", "age", "inside", "money", "organisation", "skill"]
ORDER: tuple[Kind, ...] = ("coverage", "capacity", "age", "inside", "money", "organisation", "skill")
RATES = ("down_mbps", "up_mbps")
SERVICES = ("direct", "drop", "cell")
# What a failing need is about: the rate of the service, what stands in the building, or the service itself.
ABOUT: dict[str, Kind] = {"down_mbps": "capacity", "up_mbps": "capacity", "autonomy_h": "inside"}  # all others: coverage
# A named fact, the answer that makes it a bottleneck, and of what kind.
FACTS: tuple[tuple[str, Kind, bool | None], ...] = (
    ("running_cost_unbudgeted", "money", True),
    ("payer_after_support", "money", None),  # a text: "nobody" is told by its words
    ("operator_named", "organisation", False),
    ("operator_skill", "skill", False),
)


@dataclass(frozen=True)
class Bottleneck:
    """One bottleneck with its evidence.

    kind, state  found: a row says so · unknown: no row speaks of it, `ask` knows
    site         None: of the whole town; usecase, need, technologies: what it is about
    row, field   the row of the region (a site, a plant, a fact) that is the evidence, or that is silent
    required, available  of a need, in its unit · of age: life and year built
    ask          "carrier", "owner", "facility", or "fact" (the desk of the named fact)
    """

    kind: Kind
    state: Literal["found", "unknown"]
    site: str | None
    row: str
    field: str
    ask: Literal["carrier", "owner", "facility", "fact"]
    evidence: Evidence | None = None
    usecase: str | None = None
    need: str | None = None
    technologies: tuple[str, ...] = ()
    required: float | None = None
    available: float | None = None


def bottlenecks(
    region: Region,
    wanted: Sequence[tuple[str, str]],
    usecases: Mapping[str, UseCase],
    technologies: Mapping[str, Technology],
    year: int,
    problem: Problem | None = None,
    design: Design | None = None,
) -> list[Bottleneck]:
    """What stands in the way at every wanted site.

    Parameters
    ----------
    year             the fiscal year of today: plant built in year b with a life of n years is over it when year ≥ b + n
    problem, design  where given, plant on the way that the design chose for a site counts for it, beside plant on the site's own street

    Returns
    -------
    by site id, found before unknown, then in the order of ORDER; [] for a site without one
    """
    sites = {site.id: site for site in region.sites}
    ways = _plants(region, problem, design)
    found: list[Bottleneck] = []
    asked: dict[str, list[Asked]] = defaultdict(list)
    for site, usecase in sorted(set(wanted)):
        asked[site].append(ask(sites[site], usecase, usecases[usecase]))
    for site, needs in asked.items():
        rows = _service(sites[site], needs, technologies)
        rows += [row for plant in ways.get(site, ()) if (row := _age(site, plant, technologies, year)) is not None]
        rows += _inside(sites[site], needs, technologies)
        seen: dict[tuple[str, str, str, str | None], Bottleneck] = {}
        for row in rows:
            seen.setdefault((row.kind, row.state, row.row, row.need), row)
        found += sorted(seen.values(), key=lambda row: (row.state != "found", ORDER.index(row.kind), row.row, row.need or ""))
    return found


def _service(site: Site, needs: Sequence[Asked], technologies: Mapping[str, Technology]) -> list[Bottleneck]:
    """Coverage and capacity: the service on the ground that comes nearest to the needs of the site together."""
    ground = [id for id, one in sorted(technologies.items()) if one.wiring.pattern == "direct" and one.wiring.risk != "sky" and one.wiring.needs_coverage]
    reaching = [id for id, covered in sorted(site.covered.items()) if covered and id in technologies and technologies[id].wiring.pattern in SERVICES]
    if not reaching:
        silent = tuple(id for id in ground if id not in site.covered)
        base = {"site": site.id, "row": site.id, "field": "covered", "ask": "carrier", "evidence": site.evidence}
        if silent:
            return [Bottleneck(kind="coverage", state="unknown", technologies=silent, **base)]  # type: ignore[arg-type]  # fields of base
        return [Bottleneck(kind="coverage", state="found", technologies=tuple(ground), **base)] if ground else []  # type: ignore[arg-type]
    together = {name: sum(one.values.get(name, 0.0) for one in needs) for name in RATES}
    tried = []
    for id in reaching:
        rows: list[Bottleneck] = []
        for one in needs:
            whole = Asked(one.site, one.usecase, one.values | {n: v for n, v in together.items() if v}, one.refused, one.devices, one.backup)
            # power in the building is looked at by itself, for every service alike
            whole.values.pop("autonomy_h", None)
            for against in judge(whole, technologies[id], True):
                limit = getattr(technologies[id].capability, "mbps_per_facility", None)
                inside = against.need in RATES and limit is not None and (limit.value or 0) >= (against.required or 0)
                rows.append(
                    Bottleneck(
                        kind="inside" if inside else ABOUT.get(against.need, "coverage"), state="found" if against.state == "fails" else "unknown",
                        site=site.id, row=site.id, field="covered", ask="carrier", evidence=site.evidence, usecase=one.usecase, need=against.need,
                        technologies=(id,), required=against.required, available=against.available,
                    )
                )  # fmt: skip
        tried.append(rows)
    return min(tried, key=lambda rows: (sum(row.state == "found" for row in rows), len(rows)))


def _age(site: str, plant: Plant, technologies: Mapping[str, Technology], year: int) -> Bottleneck | None:
    """Plant beyond its life; unknown where nobody gives its year."""
    life = technologies[plant.technology].lifetime_years if plant.technology in technologies else None
    base = {"kind": "age", "site": site, "row": plant.id, "field": "year_built", "ask": "owner", "evidence": plant.evidence}
    if plant.year_built is None or life is None or life.value is None:
        return Bottleneck(state="unknown", technologies=(plant.technology,), **base)  # type: ignore[arg-type]  # fields of base
    if year < plant.year_built + life.value:
        return None
    return Bottleneck(state="found", technologies=(plant.technology,), required=life.value, available=float(plant.year_built), **base)  # type: ignore[arg-type]


def _inside(site: Site, needs: Sequence[Asked], technologies: Mapping[str, Technology]) -> list[Bottleneck]:
    """What stands in the building: a LAN where several devices share the line, power for the hours that a need asks for."""
    rows = []
    for layer, need, wants in (
        ("indoor", "devices", [one for one in needs if one.devices > 1 and any(one.values.get(rate) for rate in RATES) and not one.values.get("iot")]),
        ("power", "autonomy_h", [one for one in needs if one.values.get("autonomy_h")]),
    ):
        if not wants:
            continue
        known = {id: covered for id, covered in site.covered.items() if id in technologies and technologies[id].layer == layer}
        most = max(wants, key=lambda one: one.devices if need == "devices" else one.values[need])
        required = most.devices if need == "devices" else most.values[need]
        hours = max((capability_value(technologies[id].capability, "autonomy_h") or 0.0 for id, there in known.items() if there), default=0.0)
        if any(known.values()) and (need == "devices" or hours >= required):
            continue
        rows.append(
            Bottleneck(
                kind="inside", state="found" if known else "unknown", site=site.id, row=site.id, field="covered", ask="facility", evidence=site.evidence,
                usecase=most.usecase, need=need, technologies=tuple(sorted(known)), required=required, available=hours if need != "devices" and known else None,
            )
        )  # fmt: skip
    return rows


def _plants(region: Region, problem: Problem | None, design: Design | None) -> dict[str, list[Plant]]:
    """Existing plant that concerns each site: on its street, or on the way that the design chose for it."""
    plants = {plant.id: plant for plant in region.plants}
    streets = {street.id: street for street in region.streets}
    at: dict[str, set[str]] = defaultdict(set)
    for street in region.streets:
        if street.plant in plants:
            at[street.a].add(str(street.plant))
            at[street.b].add(str(street.plant))
    mine = {site.id: set(at[region.attach[site.id][0]]) if site.id in region.attach else set() for site in region.sites}
    if problem is not None and design is not None:
        tree = Tree(problem, design)
        for number, path in tree.paths.items():
            for index in path:
                arc = problem.arcs[index]
                if arc.kind == "plant" and streets[arc.ref].plant in plants:
                    mine[problem.demands[number].site].add(str(streets[arc.ref].plant))
    return {site: [plants[id] for id in sorted(ids)] for site, ids in mine.items()}


def town_bottlenecks(facts: Mapping[str, Fact], nobody: frozenset[str]) -> list[Bottleneck]:
    """Money, organisation and skill, from the answers of the officer; the same for every site.

    Parameters
    ----------
    facts   named facts by id, those that somebody answered
    nobody  words that say that nobody pays

    >>> [(row.kind, row.state, row.row) for row in town_bottlenecks({}, frozenset())]  # doctest: +NORMALIZE_WHITESPACE
    [('money', 'unknown', 'running_cost_unbudgeted'), ('money', 'unknown', 'payer_after_support'), ('organisation', 'unknown', 'operator_named'),
     ('skill', 'unknown', 'operator_skill')]
    """
    rows = []
    for id, kind, bad in FACTS:
        fact = facts.get(id)
        value = None if fact is None else fact.value
        found = value == bad if isinstance(bad, bool) else str(value or "").strip() in nobody
        if value is None or found:
            state: Literal["found", "unknown"] = "unknown" if value is None else "found"
            rows.append(Bottleneck(kind=kind, state=state, site=None, row=id, field="value", ask="fact", evidence=fact.evidence if fact else None))
    return sorted(rows, key=lambda row: (row.state != "found", ORDER.index(row.kind)))
