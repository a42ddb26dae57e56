"""Towns together: every group of neighbours designed, the joint cost split between them by layer, their demand added up.

In: regions and use cases. Out: the split, the verdict on the core, and what each town asks for. No plan is made and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kiban.base.errors import DesignError
from kiban.base.progress import Cancel, Progress, never, silent
from kiban.check import check_design
from kiban.design import solve
from kiban.design.admit import ask_all
from kiban.design.share import EXACT, Group
from kiban.design.split import Divided, divide
from kiban.finance.ledger import Ledger
from kiban.loop.design import problem_of
from kiban.loop.given import Given
from kiban.records.design import Design, Problem
from kiban.records.region import Region
from kiban.region.join import join

MOST = 60  # groups of towns designed at most beyond eight


@dataclass(frozen=True)
class Demand:
    """What the sites of one town ask for one use case; rates are sums over sites in the busy hour, None where a rate is not known."""

    town: str
    usecase: str
    sites: int
    devices: float
    down_mbps: float | None
    up_mbps: float | None


@dataclass(frozen=True)
class Towns:
    """Towns with their joint design; divided: None where a group has no total, and `stuck` says which."""

    regions: tuple[Region, ...]
    joint: Region
    divided: Divided | None
    demand: tuple[Demand, ...]
    stuck: tuple[str, ...] = ()
    holds: bool = True  # the independent checker accepts every design


def share_towns(given: Given, regions: Sequence[Region], usecases: Sequence[str], progress: Progress = silent, cancel: Cancel = never) -> Towns:
    """Design every group of towns (all up to eight towns, a stated sample beyond) and split the joint cost.

    Parameters
    ----------
    given  the catalogue, the day, seed and work; its region is not read

    Raises
    ------
    DesignError  a town has no site of the kinds that the use cases are about
    """
    towns = {region.id: region for region in regions}
    joint = join(regions)
    for region in regions:
        if not _wanted(region, usecases, given):
            raise DesignError(f"region {region.id}", "no site of the kinds that these use cases are about", "at least one", "leave the town out")
    groups = 2 ** len(regions) - 1 if len(regions) <= EXACT else MOST
    stuck: list[str] = []
    holds = [True]
    done: list[Group] = []

    def design_of(group: Group) -> tuple[Problem, Design]:
        region = join([town for id, town in towns.items() if id in group])
        progress(min(0.99, len(done) / groups), f"{region.name} ({len(done) + 1} / {groups})")
        done.append(group)
        one = replace(given, region=region)
        problem = problem_of(one, _wanted(region, usecases, given), Ledger())
        design = solve(problem, seed=given.seed, work=given.work, time_limit=given.time_limit, cancel=cancel)
        if design.status not in ("proved", "bounded"):
            stuck.extend(sorted(group))
        holds[0] = holds[0] and check_design(problem, design).holds
        return problem, design

    divided = divide(list(towns), given.catalogue.technologies, design_of, seed=given.seed, exact_to=EXACT, most=MOST)
    progress(1.0, "完了 / done")
    demand = tuple(row for region in regions for row in _demand(given, region, usecases))
    return Towns(tuple(regions), joint, divided, demand, tuple(stuck), holds[0])


def _wanted(region: Region, usecases: Sequence[str], given: Given) -> tuple[tuple[str, str], ...]:
    known = {id: given.catalogue.get("usecases", id) for id in usecases}
    return tuple((site.id, id) for site in region.sites for id, usecase in known.items() if site.kind in usecase.sites)


def _demand(given: Given, region: Region, usecases: Sequence[str]) -> list[Demand]:
    """The demand of one town by use case."""
    known: Mapping[str, Any] = {id: given.catalogue.get("usecases", id) for id in usecases}
    sites = {site.id: site for site in region.sites}
    rows = []
    for id in usecases:
        asked = ask_all(list(_wanted(region, [id], given)), sites, known)
        rates = {name: [one.values.get(name) for one in asked] for name in ("down_mbps", "up_mbps")}
        sums = {name: None if None in values else sum(value or 0.0 for value in values) for name, values in rates.items()}
        rows.append(Demand(region.id, id, len(asked), sum(one.devices for one in asked), **sums))
    return rows
