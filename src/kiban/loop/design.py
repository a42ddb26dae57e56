"""Step 4, design 設計 and what it costs: price the technologies, solve, have it checked, and enter every number into the ledger.

In: the wanted pairs and the catalogue. Out: the step, the problem, the design and the verdict of the independent checker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as _replace
from datetime import date
from functools import partial
from itertools import count
from typing import Any

from msgspec.structs import replace

from kiban.base.errors import DataFileError, KibanError
from kiban.base.progress import Cancel, Progress, part
from kiban.check import ADMISSION, CONSTRAINTS, check_design, check_problem
from kiban.design import figures, program
from kiban.design.admit import untested
from kiban.design.backup import asks_backup
from kiban.design.drill_figures import drill_body
from kiban.design.energy import with_ceiling
from kiban.design.explain import Entering, Solve, break_even, priced_in, shared, site_results, why_each_site
from kiban.design.figures import Sheet
from kiban.design.flip import COMPLETE, Flip, flip_price
from kiban.design.gap import enter_gap, needs_met, split_urban
from kiban.design.growth import Growth, grow
from kiban.design.limits import Effort, solve_within
from kiban.design.near import near
from kiban.design.resume import Memory, remembered
from kiban.design.split import Divided, divide, effort_for, enter_split
from kiban.design.tornado import enter_swings, swings
from kiban.design.tree import technologies_used
from kiban.finance import Priced, price_technology
from kiban.finance.ledger import Ledger
from kiban.loop.diagnosis import site_rows
from kiban.loop.given import Given, pins, step, text
from kiban.loop.horizon import Beside, ageing_rows, budget_rows, energy_rows, growth_of, phase_rows, traffic
from kiban.loop.needs import Wanted
from kiban.records.design import Certificate, CheckReport, Design, Price, Problem
from kiban.records.horizon import Frontier, Phases
from kiban.records.plan import PlanStep
from kiban.records.region import Fact, Place, Plant, Region, Site
from kiban.records.terrain import COARSEST_M
from kiban.records.usecase import UseCase

SENTENCES = {name: constraint.text for name, constraint in CONSTRAINTS.items()} | {name: sentence for name, (sentence, _) in ADMISSION.items()}
REPORT_YEARS = 5  # design.md: optimise over the whole horizon, report 5 years and the horizon
ASKS = 400  # how often a hasty design may ask whether it has to stop: enough for a bound and the first designs of a town
PARTS = 10  # a time limit is shared out among the designs that limited money is looked for with: each gets one part in so many
BRIEF = 10  # the share of the work, one in so many, that a trial of another design gets where the design is not proved
LARGE = 20_000  # arcs from which the designs beside the plan's own are rationed: looked for near it, with one unit of work each
RATION = 8  # designs that the break-even prices of a large region may take together
GLANCES = 30  # how often a design of a large region beside the plan's own may ask whether it has to stop: a bound and the first designs
LEFT_OUT = text(
    "地域が大きいため、比較の案（用途別・購入だけ・代替経路なし・技術を除いた案・価格のない技術）は、この設計の近くの街路と場所だけで短く探した。"
    "用途間の費用の分担は計算していない。",
    "The region is large: the designs for comparison (each use case alone, without backup, without a technology, with an unpriced one) were looked for "
    "briefly, among the streets and places near this design alone. The split between use cases was not computed.",
)


@dataclass(frozen=True)
class Designed:
    """The design step with what is written beside it."""

    step: PlanStep
    problem: Problem
    design: Design
    report: CheckReport
    frontier: Frontier | None = None
    phases: Phases | None = None


def rules_of(given: Given, ledger: Ledger) -> dict[str, tuple[str, float]]:
    """The dated values that hold now: rule id → (figure id, value). Raises KibanError when one of them has no value."""
    found = {}
    for rule in ("discount-rate", "consumption-tax", "horizon"):
        dated = given.catalogue.rule_at(rule, given.now.date())
        value = dated.quantity.value
        if value is None:
            raise KibanError(f"rules/{rule}.yaml since {dated.since}", "no value", "a value: every amount depends on it", "find its source")
        key = ledger.source(
            f"rules/{rule}@{dated.since}", value, dated.quantity.unit, f"rules/{rule}@{dated.since} {dated.quantity.source}", dated.quantity.confidence
        )
        found[rule] = (key, value)
    years = found["horizon"][1]
    if years < REPORT_YEARS or years != int(years):
        raise DataFileError(
            given.catalogue.paths["rules/horizon"], f"{years:g} years", f"a whole number of fiscal years, {REPORT_YEARS} or more", "correct the rule"
        )
    return found


def tax_by_year(given: Given, ledger: Ledger) -> dict[int, tuple[float, str]]:
    """The rate of 消費税 on the first day of each past fiscal year: year → (rate, figure id)."""
    rule = given.catalogue.rules["consumption-tax"]
    rates = {}
    for year in range(rule.values[0].since.year + 1, given.start):
        dated = given.catalogue.rule_at("consumption-tax", date(year, 4, 1))
        if dated.quantity.value is not None:
            quantity = dated.quantity
            key = ledger.source(
                f"rules/consumption-tax@{dated.since}",
                quantity.value,
                quantity.unit,
                f"rules/consumption-tax@{dated.since} {quantity.source}",
                quantity.confidence,
            )
            rates[year] = (dated.quantity.value, key)
    return rates


def price_all(given: Given, ledger: Ledger, rules: Mapping[str, tuple[str, float]]) -> dict[str, Priced]:
    """Every technology that a design can place, priced; existing plant once per plant."""
    discount_figure, discount = rules["discount-rate"]
    tax_figure, tax = rules["consumption-tax"]
    horizon_figure, horizon = rules["horizon"]
    start_figure = ledger.choice("choices/start", given.start, "年度", "the fiscal year after the running one")
    rates = tax_by_year(given, ledger)

    def priced(id: str, plant: Plant | None) -> Priced:
        result = price_technology(
            given.catalogue.technologies[id],
            technology_id=id,
            start=given.start,
            horizon=int(horizon),
            discount=discount,
            discount_figure=discount_figure,
            tax_rate=tax,
            tax_figure=tax_figure,
            tax_by_year=rates,
            foreign=given.foreign,
            plant=plant,
            start_figure=start_figure,
            horizon_figure=horizon_figure,
        )
        ledger.update(result.figures)
        return result

    found: dict[str, Priced] = {}
    for id, technology in sorted(given.catalogue.technologies.items()):
        if technology.wiring.pattern == "plant":
            each = [priced(id, plant) for plant in given.region.plants if plant.technology == id]
            found[id] = Priced(
                id,
                tuple(price for one in each for price in one.prices),
                {},
                tuple(dict.fromkeys(cost for one in each for cost in one.missing)),
                tuple(dict.fromkeys(warning for one in each for warning in one.warnings)),
            )
        elif technology.wiring.pattern != "none":
            found[id] = priced(id, None)
    return found


def assumed_rows(region: Region, wanted: Set[str]) -> list[dict[str, str]]:
    """Every assumed row that a plan for the wanted sites rests on, with its reason and who can confirm it."""
    rows: tuple[Site | Place | Plant | Fact, ...] = (*region.sites, *region.places, *region.plants, *region.facts)
    return [
        {"id": row.id, "name": row.id if isinstance(row, Fact) else row.name, "reason": str(row.evidence.reason), "confirm": str(row.evidence.confirm)}
        for row in rows
        if row.evidence.assumed and not (isinstance(row, Site) and row.id not in wanted)
    ]


def traffic_scenarios(given: Given, ledger: Ledger) -> list[dict[str, Any]]:
    """The known traffic scenarios as figures, and which of them the design's loads follow; none: they are those of today."""
    rows: list[dict[str, Any]] = []
    for id, scenario in sorted(given.catalogue.traffic.items()):
        base = f"traffic/{id}"
        points = [
            {
                "year": ledger.source(f"{base}#points/{point.year}/year", point.year, "年", f"{base}#points {point.factor.source}", point.factor.confidence),
                "factor": ledger.source(
                    f"{base}#points/{point.year}", point.factor.value, point.factor.unit, f"{base}#points {point.factor.source}", point.factor.confidence
                ),
            }
            for point in scenario.points
        ]
        growth = scenario.yearly_growth
        yearly = (
            None
            if growth is None
            else ledger.source(f"{base}#yearly_growth", growth.value, growth.unit, f"{base}#yearly_growth {growth.source}", growth.confidence)
        )
        year = ledger.source(f"{base}#base_year", scenario.base_year, "年", f"{base}#base_year")
        rows.append({"id": id, "applied": id == given.traffic, "base_year": year, "yearly_growth": yearly, "points": points})
    return rows


def terrain_said(given: Given, problem: Problem, ledger: Ledger) -> dict[str, Any]:
    """Whether the ground was looked at, in words and figures; without it radio carries as far as its radius and reach say."""
    seen, elevation = problem.terrain, given.region.elevation
    if seen is None:
        if elevation is None:
            why = text("標高のファイルがないため、地形は見ていない。", "There is no elevation file: terrain was not looked at.")
        elif elevation.spacing_m > COARSEST_M:
            ja = "標高の間隔が粗すぎるため、地形は見ていない（resolution too coarse）。"
            why = text(ja, "The elevation is too coarse: terrain was not looked at (resolution too coarse).")
        else:
            why = text("標高を読まずに計算したため、地形は見ていない。", "The heights were not read for this plan: terrain was not looked at.")
        return {"looked_at": False, "text": why}
    ja = "地形を見た。見通しのない中継と、電波の届かない地点への接続を外した。高さのわからない組は判定していない。"
    en = "Terrain was looked at: hops without line of sight and links whose power does not arrive are left out. Pairs with an unknown height are not judged."
    base, how = f"region/{given.region.id}#terrain", "counted over the terrain by design.radio"
    counts = {name: getattr(seen, name) for name in ("hops", "hops_unknown", "links", "links_unknown")} | {
        "hops_blocked": sum(row.need == "line_of_sight" for row in seen.obstructed),
        "links_blocked": sum(row.need == "link_budget" for row in seen.obstructed),
    }
    return {"looked_at": True, "text": text(ja, en)} | {name: ledger.source(f"{base}/{name}", value, "pairs", how) for name, value in counts.items()}


def _unpriced(
    given: Given, problem: Problem, design: Design, priced: Mapping[str, Priced], build: Callable[[Mapping[str, float]], Problem], again: Solve, cancel: Cancel
) -> list[tuple[str, tuple[str, ...], Entering | None]]:
    """Every unpriced technology that some site could use, with its break-even price, and those of which nobody knows whether it could be used."""
    admissible = {exclusion.technology for exclusion in problem.exclusions if exclusion.state == "unpriced"} | {id for *_, ids in problem.no_way for id in ids}
    unknown = {exclusion.technology for exclusion in problem.exclusions if exclusion.state == "unknown"}
    rows: list[tuple[str, tuple[str, ...], Entering | None]] = []
    for id in sorted(priced):
        if priced[id].prices or id not in admissible | unknown:
            continue
        tried = id in admissible and design.status in ("proved", "bounded") and not cancel()
        entering = None
        if tried:
            with suppress(_Spent):
                entering = break_even(id, given.catalogue.technologies[id], design.cost, build, again)
        rows.append((id, priced[id].missing, None if cancel() else entering))  # a search cut short says nothing
    return rows


@dataclass(frozen=True)
class _Variants:
    """Builds the problem of a design under other conditions; the rows, the needs and the years stay."""

    given: Given
    wanted: Wanted
    usecases: Mapping[str, UseCase]
    priced: Mapping[str, Priced]
    horizon: int
    discount: float
    growth: Growth | None = None
    peak: float = 1.0  # of traffic scenarios that are only tried
    told: Callable[[], None] | None = None  # called before each problem is built

    def build(
        self,
        free: Mapping[str, float] | None = None,
        *,
        group: Set[str] | None = None,
        technologies: Set[str] | None = None,
        factors: Mapping[str, float] | None = None,
        backup: bool = True,
    ) -> Problem:
        """The problem with break-even prices, of some use cases or technologies alone, with prices multiplied, or without backup."""
        if self.told is not None:
            self.told()
        known = {id: one for id, one in self.given.catalogue.technologies.items() if technologies is None or id in technologies}
        prices = {id: [_times(price, (factors or {}).get(id, 1.0)) for price in one.prices] for id, one in self.priced.items() if id in known}
        pairs = [pair for pair in self.wanted if group is None or pair[1] in group]
        problem = program.build(
            self.given.region, pairs, self.usecases, known, prices, start=self.given.start, horizon=self.horizon, discount=self.discount, free=free,
            backup=backup, terrain=self.given.terrain, peak=max(self.peak, *(self.growth.factors if self.growth is not None else (1.0,))),
        )  # fmt: skip
        problem = problem if self.growth is None else grow(problem, self.growth.factors)
        return problem if self.given.kwh is None else with_ceiling(problem, self.given.kwh)

    def without(self, technology: str) -> Problem:
        """The problem with one technology forbidden."""
        return self.build(technologies=self.given.catalogue.technologies.keys() - {technology})

    def dearer(self, technology: str, factor: float) -> Problem:
        """The problem with all prices of one technology multiplied."""
        return self.build(factors={technology: factor})

    def bought(self) -> Problem:
        """The problem of services bought from others; what stands inside a building of the town, such as a battery, may come with them."""
        known = self.given.catalogue.technologies
        return self.build(technologies={id for id, one in known.items() if (one.bought and one.wiring.pattern == "direct") or one.wiring.pattern == "site"})


class _Spent(Exception):
    """A part has looked for as many designs as a large region allows; never leaves this module."""


def _rationed(solve: Solve, most: int) -> Solve:
    """A way to solve that gives up after so many designs."""
    asked = count()

    def next_one(variant: Problem) -> Design:
        if next(asked) >= most:
            raise _Spent
        return solve(variant)

    return next_one


def _near(variants: _Variants, problem: Problem, design: Design) -> _Variants:
    """The variants of the streets and places alone that matter near a design."""
    region = variants.given.region
    kept = near(problem, design, variants.given.seed)
    streets = tuple(street for street in region.streets if street.id in kept)
    places = tuple(place for place in region.places if place.id in kept or place.kind == "exchange")
    gone = {place.id for place in region.places} - {place.id for place in places}
    attach = {id: at for id, at in region.attach.items() if id not in gone}
    return _replace(variants, given=_replace(variants.given, region=replace(region, streets=streets, places=places, attach=attach)))


def _times(price: Price, factor: float) -> Price:
    """A price multiplied."""
    if factor == 1.0:
        return price
    amounts = tuple(amount * factor for amount in price.unit_yen)
    return replace(price, unit_yen=amounts, npv=price.npv * factor, low=price.low * factor, high=price.high * factor)


def _flips(variants: _Variants, problem: Problem, design: Design, solve: Solve, hasty: Solve | None, cancel: Cancel) -> list[Flip]:
    """The flip price of every technology that the design pays for; the designs on the way are found in haste where the design is not proved.

    hasty  None: none are looked for on the way, so the price is that of the design as it is
    """
    if hasty is None:
        dearer, attempt = (lambda *_: problem), (lambda _: replace(design, status="infeasible"))
    else:
        dearer, attempt = variants.dearer, solve if design.status == "proved" else hasty
    rows = []
    for id in sorted(technologies_used(problem, design)):
        if cancel() or design.status not in COMPLETE:
            return []
        rows.append(flip_price(id, variants.given.catalogue.technologies[id], problem, design, variants.without, dearer, solve, attempt))
    return [] if cancel() else rows  # a search cut short says nothing


def _divide(variants: _Variants, problem: Problem, design: Design, alone: Mapping[str, tuple[Problem, Design]], solve: Solve, cancel: Cancel) -> Divided | None:
    """The joint cost split between the use cases; None where there is one only, where a group has no total, or when the user stopped."""

    def design_of(group: frozenset[str]) -> tuple[Problem, Design]:
        if len(group) == len(alone):
            return problem, design
        if len(group) == 1:
            return alone[next(iter(group))]
        variant = variants.build(group=group)
        return variant, solve(variant)

    if not alone:
        return None
    exact_to, most = effort_for(len(problem.arcs), design.status == "proved")
    divided = divide(sorted(alone), variants.given.catalogue.technologies, design_of, seed=variants.given.seed, exact_to=exact_to, most=most)
    return None if cancel() else divided


def _detour_range(given: Given) -> dict[str, tuple[float, float]]:
    """The range of the detour factor, where the region's comes from the rule."""
    quantity = given.catalogue.rule_at("detour-factor", given.now.date()).quantity
    known = given.region.detour_source == "detour-factor" and quantity.low is not None and quantity.high is not None
    return {"rules/detour": (float(quantity.low or 0), float(quantity.high or 0))} if known else {}


def _gap(given: Given, sheet: figures.Sheet) -> dict[str, Any]:
    """The gap between town and country by the rule of the day."""
    limits = {row.id: row.quantity.value for row in given.catalogue.list_at("urban-district", given.now.date()).entries if row.quantity is not None}
    parts = split_urban(given.region, float(limits["density"] or 0), float(limits["people"] or 0))
    return enter_gap(sheet, needs_met(sheet.problem, sheet.design, given.region, sheet.usecases, given.catalogue.technologies, parts), parts)


def problem_of(given: Given, wanted: Wanted, ledger: Ledger) -> Problem:
    """The problem of the wanted pairs alone, priced by the rules of the day, with the traffic and the limit of electricity that were asked for.

    Raises
    ------
    KibanError  the traffic scenario says nothing of the years of the plan
    """
    rules = rules_of(given, ledger)
    usecases = {usecase: given.catalogue.usecases[usecase] for usecase in dict.fromkeys(usecase for _, usecase in wanted)}
    return _Variants(given, wanted, usecases, price_all(given, ledger, rules), int(rules["horizon"][1]), rules["discount-rate"][1], _growth(given)).build()


def _growth(given: Given) -> Growth | None:
    """The factors of the traffic scenario that was asked for; None: none was."""
    if given.traffic is None:
        return None
    growth = growth_of(given, given.traffic)
    if growth is None:
        fits = ", ".join(id for id in sorted(given.catalogue.traffic) if growth_of(given, id) is not None)
        raise KibanError("--traffic", f"{given.traffic}: says nothing of {given.start} and later", f"one of {fits}", "choose one that speaks of these years")
    return growth


def design_step(given: Given, wanted: Wanted, ledger: Ledger, progress: Progress, cancel: Cancel, memory: Memory | None = None) -> Designed:
    """Price, build, solve, check, and write down; memory: of the designs that an earlier run of the same step began and finished.

    Raises
    ------
    DesignError  the problem cannot be built; Cancelled  the user stopped before any design was found
    """
    catalogue, region = given.catalogue, given.region
    rules = rules_of(given, ledger)
    progress(0.1, "価格を計算 / pricing")
    priced = price_all(given, ledger, rules)
    usecases = {usecase: catalogue.usecases[usecase] for usecase in dict.fromkeys(usecase for _, usecase in wanted)}
    progress(0.2, "候補網を作成 / building the candidate network")
    variants = _Variants(given, wanted, usecases, priced, int(rules["horizon"][1]), rules["discount-rate"][1], _growth(given))
    problem = variants.build()
    progress(0.3, "最適化 / solving")
    effort = Effort(given.seed, given.work, given.time_limit, cancel, memory=memory)
    design, by_multiplier = solve_within(problem, effort, part(progress, 0.3, 0.5))
    progress(0.8, "地点ごとの理由 / reasons for each site")
    reasons = why_each_site(problem, design)
    design = replace(design, sites=site_results(problem, reasons))

    def again(variant: Problem, work: int = given.work) -> Design:
        if variant.ceilings:
            return solve_within(variant, _replace(effort, work=work))[0]
        return effort.solve(variant, work=work)

    def hasty(variant: Problem) -> Design:
        return remembered(memory, variant, seed=given.seed, work=1, time_limit=given.time_limit, cancel=cancel, most=ASKS)

    def glance(variant: Problem) -> Design:
        """A design of a large region beside the plan's own: where nobody looked at the whole region, nothing is proved."""
        found = remembered(memory, variant, seed=given.seed, work=1, time_limit=given.time_limit, cancel=cancel, most=GLANCES)
        status = "bounded" if found.status == "proved" else found.status
        return replace(found, bound=0, gap=float(found.cost > 0), certificate=Certificate(), status=status)

    # up to eight designs per technology: where even the first was not proved, they may not take many times as long as it did
    brief: Solve = partial(again, work=given.work if design.status == "proved" else max(1, given.work // BRIEF))
    large, among, trying = len(problem.arcs) > LARGE, variants, brief
    trial: Solve = brief
    attempt: Solve | None = hasty
    if large and not cancel():
        among, trial, attempt, brief = _near(variants, problem, design), glance, None, glance
        trying = _rationed(glance, RATION)

    def saying(share: float, sentence: str, solve: Solve) -> Solve:
        """Tells that a further design is begun."""

        def told(variant: Problem) -> Design:
            progress(share, sentence)
            return solve(variant)

        return told

    words = "価格のない技術と共用を比較 / comparing unpriced technologies and sharing"
    progress(0.82, words)
    unpriced = _unpriced(given, problem, design, priced, among.build, saying(0.82, words, trying), cancel)
    alone = {}
    if len(usecases) > 1 and design.status in ("proved", "bounded") and not cancel():
        for usecase in usecases:
            progress(0.83, words)
            variant = among.build(group={usecase})
            alone[usecase] = (variant, trial(variant))
            if cancel():
                break
        if cancel() or any(one.status not in ("proved", "bounded") for _, one in alone.values()):
            alone = {}  # cut short, or a use case alone has no total: there is nothing to compare
    divided = None if large else _divide(variants, problem, design, alone, saying(0.84, words, brief), cancel)
    design = replace(design, break_even=tuple(priced_in(row, design.cost) for *_, row in unpriced if row is not None), shared=shared(design.cost, alone))
    words = "代わりの案と比較 / comparing the designs that would take its place"
    progress(0.85, words)
    among = _replace(among, told=partial(progress, 0.85, words))
    flips = _flips(among, problem, design, saying(0.85, words, brief), attempt and saying(0.86, words, attempt), cancel)
    progress(0.87, words)
    services = among.bought()
    buy = (services, trial(services)) if not cancel() else None
    progress(0.875, words)
    plain = among.build(backup=False) if asks_backup(problem) and not cancel() else None
    backup = (plain, trial(plain)) if plain is not None and not cancel() else None
    progress(0.88, "独立検査 / independent check")
    reports = (
        check_design(problem, design, part(progress, 0.88, 0.02)),
        check_problem(problem, region, usecases, catalogue.technologies, progress=part(progress, 0.9, 0.02)),
    )
    report = CheckReport(holds=all(one.holds for one in reports), findings=tuple(finding for one in reports for finding in one.findings))
    progress(0.92, "出典台帳を作成 / writing the ledger")
    excludes = [(id, cost) for id in sorted(technologies_used(problem, design)) for cost in priced[id].missing]
    missing = {id: one.missing for id, one in priced.items()}
    body = figures.enter(
        ledger, problem, design, region, catalogue.technologies, usecases, rules, REPORT_YEARS, reasons, unpriced, alone, excludes, flips, buy, missing,
        part(progress, 0.92, 0.01),
    )  # fmt: skip
    progress(0.93, "点検と感度 / drills and sensitivity")
    sheet = Sheet(ledger, problem, design, region, usecases)
    body["drill"] = drill_body(sheet, catalogue.technologies, backup)
    body["tornado"] = enter_swings(ledger, swings(ledger, problem, design, _detour_range(given)))
    body["urban_gap"] = _gap(given, sheet)
    if body["shared"] is not None:
        body["shared"]["split"] = None if divided is None else enter_split(sheet, divided, catalogue.technologies)
    if not report.holds:  # a design that the checker rejects has no total and proves nothing
        body |= {"status": "rejected", "cost_npv": None, "cost_5y": None, "cost_5y_taxed": None}
    body["terrain"] = terrain_said(given, problem, ledger)
    body["traffic"] = traffic_scenarios(given, ledger)
    body["bottlenecks"] = site_rows(given, wanted, problem, design, ledger)
    silent = untested(wanted, {site.id: site for site in region.sites}, usecases)
    body["untested"] = [{"usecase": usecase, "need": need, "by": by, "sites": rows} for (usecase, need, by), rows in silent.items()]
    progress(0.94, "通信量・設備・予算・年度 / traffic, plant, money, years")
    shorter = _replace(effort, time_limit=None if given.time_limit is None else given.time_limit / PARTS)
    peak = max((factor for id in catalogue.traffic if (found := growth_of(given, id)) is not None for factor in found.factors), default=1.0)
    same = variants.growth is None and large  # of a large region the problem is not built a second time
    base = problem if same else _replace(variants, growth=None, peak=peak).build()
    beside = Beside(given, ledger, base, problem, design, rules, brief, shorter)
    body |= {"growth": traffic(beside), "ageing": ageing_rows(beside), "energy": energy_rows(beside, by_multiplier), "money": None, "phases": None}
    curve = works = None
    if given.budget is not None:
        body["money"], curve = budget_rows(beside)
    if given.phases:
        body["phases"], works = phase_rows(beside)
    body["assumed"] = assumed_rows(region, {site for site, _ in wanted})
    body["missing"] = [
        {
            "what": row.what,
            "why": row.why,
            "ask": row.ask,
            "examples": list(row.examples),
            "count": ledger.source(f"region/{region.id}#missing/{index}", row.count, "rows", "the list of what could not be placed"),
        }
        for index, row in enumerate(region.missing)
    ]
    used = technologies_used(problem, design)
    warnings = dict.fromkeys((warning.ja, warning.en) for id, one in priced.items() if id in used for warning in one.warnings)
    body["warnings"] = [text(ja, en) for ja, en in warnings] + ([LEFT_OUT] if large else [])
    body["check"] = {
        "holds": report.holds,
        "findings": [
            {"constraint": finding.constraint, "holds": finding.holds, "text": text(SENTENCES[finding.constraint].ja, SENTENCES[finding.constraint].en)}
            for finding in report.findings
        ],
    }
    entries = [f"technologies/{id}" for id in priced] + [f"rules/{rule}" for rule in rules] + [f"usecases/{usecase}" for usecase in usecases]
    asked = [given.budget, list(given.phases), given.weights] if given.budget is not None or given.phases else []
    pinned = pins(given, *entries, *(f"traffic/{id}" for id in sorted(catalogue.traffic)))
    return Designed(step("design", [design.problem, given.seed, given.work, pinned, *asked], body, pinned), problem, design, report, curve, works)
