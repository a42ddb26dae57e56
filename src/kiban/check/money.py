"""Limited money and years of works, judged again: what each sum buys, who waits, which year builds what.

In: a problem, and a frontier or phases. Out: one finding per sentence. Nothing is shared with what made them: graph, amounts and bounds are built anew.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise

from msgspec.structs import replace

from kiban.check import limits, proof, recompute, tree
from kiban.check.constraints import SHOWN
from kiban.check.limits import energy_units, initial_units
from kiban.check.recompute import paid_units
from kiban.check.view import View, load
from kiban.records.design import Arc, Certificate, CheckReport, Design, Finding, Node, Problem, problem_hash
from kiban.records.horizon import Frontier, Multiplied, Phases, Stage, Weight
from kiban.records.source import Text

OUT = "unserved"


def _as_design(stage: Stage, problem: Problem) -> View:
    """A stage as a design, to be read by the constraints of a design."""
    lost = {(d.site, d.usecase) for d, arc in zip(problem.demands, stage.served, strict=False) if arc < 0}
    lost |= {(site, usecase) for site, usecase, _, _ in problem.no_way}
    return View(
        problem,
        Design(
            problem="", arcs=stage.arcs, served=stage.served, steps=stage.steps, grown=stage.grown, cost=stage.cost, bound=0, gap=1.0, status="bounded",
            relaxed=(), certificate=Certificate(), unserved=tuple(sorted(lost)),
        ),
    )  # fmt: skip


def stages_built(problem: Problem, _: Design, frontier: Frontier) -> Iterator[str]:
    """Each stage is a design of the problem that keeps its limits and costs what it says."""
    if frontier.problem != problem_hash(problem):
        yield "別の問題のもの / of another problem"
    look: Sequence[Callable[[View], Iterator[str]]] = (
        tree.arcs_exist, tree.one_way_in, tree.connected, tree.served, tree.without, tree.reach, tree.terminal_rate, recompute.step_list,
        *(partial(recompute.steps_of, level) for level in ("facility", "exchange", "system")), limits.grown, limits.ceilings, recompute.cost,
    )  # fmt: skip
    for number, stage in enumerate(frontier.stages):
        view = _as_design(stage, problem)
        for breaches in look:
            for line in breaches(view):
                yield f"{number}: {line}"


def stages_paid(problem: Problem, _: Design, frontier: Frontier) -> Iterator[str]:
    """Each stage pays in the first year what it says, and no more than its money; more money never serves less."""
    arcs, steps = initial_units(problem)
    for number, stage in enumerate(frontier.stages):
        paid = math.fsum([*(arcs.get(index, 0.0) for index in stage.arcs), *(steps.get(index, 0.0) * units for index, _, units in stage.steps)])
        if abs(paid - stage.initial) > len(stage.arcs) + 1 or stage.initial > stage.most:
            yield f"{number}: 初期費用 {stage.initial:,} 円、計算では {paid:,.0f} 円、上限 {stage.most:,} 円 / pays {paid:,.0f} of {stage.most:,}"
    for before, after in pairwise(frontier.stages):
        if before.most >= after.most or before.lost < after.lost:
            yield f"{before.most:,} → {after.most:,}: 順または範囲が逆 / out of order, or serves less"


def needs_lost(problem: Problem, _: Design, frontier: Frontier) -> Iterator[str]:
    """Exactly the weighted needs without service are listed, with their weight; those of the asked stage wait, each with a reason."""
    listed = {entry[:3] for entry in problem.no_way}
    weight = {(one.site, one.usecase): one.weight for one in frontier.weights}
    for number, stage in enumerate(frontier.stages):
        missing = {
            (d.site, d.usecase) for d, arc in zip(problem.demands, stage.served, strict=False) if arc < 0 and (d.site, d.usecase, d.without) not in listed
        }
        if missing & weight.keys() != set(stage.unserved) or sum(weight[need] for need in stage.unserved if need in weight) != stage.lost:
            yield f"{number}: 未供給 {len(stage.unserved)} 件・重み {stage.lost} / the needs without service are not those listed"
    if frontier.stages:
        waiting = {(one.site, one.usecase) for one in frontier.waiting if one.reason != "no_way"}
        if waiting != set(frontier.stages[frontier.asked].unserved):
            yield "待つ地点の一覧が合わない / those who wait are not those without service"


def bounds_hold(problem: Problem, design: Design, frontier: Frontier) -> Iterator[str]:
    """No bound says more than its certificate: weight that every design for the money loses, cost that it cannot undercut, money of the next step.

    Where everything is served, the certificate of the full design, which is checked with it, bounds the cost.
    """
    for number, stage in enumerate(frontier.stages):
        if stage.least_lost > stage.lost or stage.least_cost > stage.cost:
            yield f"{number}: 下界が見つかった値より上 / a bound above what was found"
        for name, claimed, held in (("lost", stage.least_lost, stage.proof), ("cost", stage.least_cost, stage.cost_proof)):
            if held is None:
                if claimed > (design.bound if name == "cost" and not stage.unserved else 0):
                    yield f"{number} {name}: 下界 {claimed:,} に証明書がない / a bound without certificate"
                continue
            known = dict(held.multipliers)
            most = {"initial_yen": Fraction(stage.most), "unserved": Fraction(stage.lost), "kwh_year": Fraction(_kwh(problem))}
            if name == "lost":
                most["unserved"] = Fraction(0)
                multiplier = Fraction(known.get("unserved", 0.0))
                value = (held.total - sum(Fraction(v) * most[k] for k, v in known.items())) / multiplier if multiplier and not held.share else Fraction(-1)
            else:
                value = held.total - sum((Fraction(v) * most[k] for k, v in known.items()), Fraction(0)) if held.share == 1 else Fraction(-1)
            if claimed > max(0, math.ceil(value)):
                yield f"{number} {name}: 下界 {claimed:,}、計算では {float(value):,.1f} / bound {claimed:,}, recomputed {float(value):,.1f}"
            for line in _certificate(problem, frontier.weights, held):
                yield f"{number} {name}: {line}"
    if frontier.next_proof is not None and frontier.next_least is not None:
        known = dict(frontier.next_proof.multipliers)
        lost = frontier.stages[frontier.asked].lost - 1
        value = frontier.next_proof.total - Fraction(known.get("unserved", 0.0)) * lost
        if frontier.next_proof.share or known.get("initial_yen") != 1.0 or frontier.next_least > math.ceil(value):
            yield f"次の段階: 下界 {frontier.next_least:,}、計算では {float(value):,.1f} / bound of the next step"
        yield from _certificate(problem, frontier.weights, frontier.next_proof)


def _kwh(problem: Problem) -> float:
    return next((ceiling.most for ceiling in problem.ceilings if ceiling.id == "kwh_year"), 0.0)


def _certificate(problem: Problem, weights: Sequence[Weight], held: Multiplied) -> Iterator[str]:
    """The certificate of a bound by multipliers, in the graph in which needs may be given up."""
    wide, served = _wide(problem, weights, held)
    stub = Design(
        problem="", arcs=(), served=served, steps=(), cost=max(0, held.total), bound=held.total, gap=0.0, status="bounded", relaxed=(),
        certificate=held.certificate,
    )  # fmt: skip
    view = View(wide, stub)
    for breaches in (proof.bound, proof.duals, proof.cuts, proof.packing):
        yield from breaches(view)


def _wide(problem: Problem, weights: Sequence[Weight], held: Multiplied) -> tuple[Problem, tuple[int, ...]]:
    """The graph with a terminal for each need that may be given up, all costs by multipliers; and per demand the arc that gives it up, or any into it."""
    known = {id: Fraction(value) for id, value in held.multipliers}
    used = [(known.get("initial_yen", Fraction(0)), initial_units(problem)), (known.get("kwh_year", Fraction(0)), energy_units(problem))]

    def cost(own: int, index: int, of: int) -> int:
        return math.floor(own * held.share + sum((m * Fraction(units[of].get(index, 0.0)) for m, units in used if m), Fraction(0)))

    arcs = [replace(arc, cost=cost(arc.cost, index, 0)) for index, arc in enumerate(problem.arcs)]
    steps = tuple(replace(step, cost=cost(step.cost, index, 1), growth=(), later=()) for index, step in enumerate(problem.steps))
    nodes, listed = list(problem.nodes), {entry[:3] for entry in problem.no_way}
    into: dict[int, int] = {}
    for index, arc in enumerate(problem.arcs):
        into.setdefault(arc.head, index)
    served = [-1 if (d.site, d.usecase, d.without) in listed else into.get(d.node, -1) for d in problem.demands]
    for one in sorted(weights, key=lambda weight: (weight.site, weight.usecase)):
        nodes.append(Node(kind="terminal", ref=one.site, technology=OUT))
        yen = math.floor(known.get("unserved", Fraction(0)) * one.weight)
        arcs.append(Arc(tail=0, head=len(nodes) - 1, kind="direct", technology=OUT, ref=one.site, length_m=0.0, items=(), cost=yen))
        for number, demand in enumerate(problem.demands):
            if (demand.site, demand.usecase) == (one.site, one.usecase) and (demand.site, demand.usecase, demand.without) not in listed:
                served[number] = len(arcs)
                arcs.append(Arc(tail=len(nodes) - 1, head=demand.node, kind="serve", technology=OUT, ref=one.usecase, length_m=0.0, items=(), cost=0))
    return replace(problem, nodes=tuple(nodes), arcs=tuple(arcs), steps=steps, ceilings=()), tuple(served)


def works_whole(problem: Problem, design: Design, phases: Phases) -> Iterator[str]:
    """Every arc of the design belongs to one work, all lines of a street to the same; a work is built after what it hangs on."""
    if phases.problem != problem_hash(problem):
        yield "別の問題のもの / of another problem"
    listed = sorted(index for work in phases.works for index in work.arcs)
    if listed != sorted(design.arcs):
        yield "工事の枝が設計と合わない / the arcs of the works are not those of the design"
        return
    of = {index: number for number, work in enumerate(phases.works) for index in work.arcs}
    into = {problem.arcs[index].head: index for index in design.arcs}
    street: dict[str, int] = {}
    for index in design.arcs:
        arc, number = problem.arcs[index], of[index]
        when = phases.year[number]
        if arc.kind in ("line", "plant") and street.setdefault(arc.ref, number) != number:
            yield f"{arc.ref}: 同じ道が二つの工事にある / one street in two works"
        up = of[into[arc.tail]] if arc.tail else number
        if when >= 0 and not 0 <= phases.year[up] <= when:
            yield f"枝 {index}: {when} 年目に造るが、その先は {phases.year[up]} 年目 / built before what it hangs on"
        for other, work in enumerate(phases.works):
            if work.kind == "system" and work.ref == arc.technology and when >= 0 and not 0 <= phases.year[other] <= when:
                yield f"枝 {index}: 一式の費用より前 / built before what its system costs once"


def years_paid(problem: Problem, design: Design, phases: Phases) -> Iterator[str]:
    """Each year pays what its works and the units due then come to, and no more than its money."""
    view = View(problem, design)
    arcs, steps = initial_units(problem)
    whole = {index for index, _, _ in design.steps if problem.steps[index].level == "system"}
    for at, (yen, most) in enumerate(zip(phases.initial, phases.money, strict=False)):
        now = {index for work, when in zip(phases.works, phases.year, strict=False) if when == at for index in work.arcs}
        paid = math.fsum(arcs.get(index, 0.0) for index in now)
        paid += math.fsum(steps.get(s, 0.0) for s in whole if _first(phases, problem.steps[s].technology) == at)
        for index, one in enumerate(problem.steps):
            if one.level == "system" or index not in steps:
                continue
            groups = view.groups(one)
            for node, carried in groups.items():
                units = []
                for until in (at - 1, at):
                    built = {i for work, when in zip(phases.works, phases.year, strict=False) if 0 <= when <= until for i in work.arcs}
                    heads = {problem.arcs[i].head for i in built}
                    here = [(demand, terminal) for demand, terminal in carried if terminal in heads]
                    units.append(paid_units(one, load(one, here)) if here else 0)
                paid += (units[1] - units[0]) * steps[index]
                if units[1] - units[0] != sum(many for s, n, many in phases.steps[at] if (s, n) == (index, node)):
                    yield f"{at} 年目: 段階 {index} の台数が合わない / units of step {index} in year {at}"
        if abs(paid - yen) > len(now) + 1 or yen > most:
            yield f"{at} 年目: {yen:,} 円、計算では {paid:,.0f} 円、上限 {most:,} 円 / year {at} pays {paid:,.0f} of {most:,}"


def _first(phases: Phases, technology: str) -> int:
    """The year in which what a system costs once is paid: that of its own work."""
    return next((when for work, when in zip(phases.works, phases.year, strict=False) if work.kind == "system" and work.ref == technology), -2)


def waiting_true(problem: Problem, design: Design, phases: Phases) -> Iterator[str]:
    """Each need is joined in the year in which the last of its terminals stands; the sum of weight × years is as told, and not below its bound."""
    view = View(problem, design)
    into = {problem.arcs[index].head: index for index in design.arcs}
    when = {index: year for work, year in zip(phases.works, phases.year, strict=False) for index in work.arcs}
    terminals: dict[tuple[str, str], set[int]] = defaultdict(set)
    for _, demand, terminal in view.served:
        terminals[demand.site, demand.usecase].add(terminal)
    waited = 0
    for one, joined in zip(phases.weights, phases.joined, strict=True):
        years = [when.get(into.get(node, -1), -1) for node in terminals[one.site, one.usecase]]
        exact = max(years, default=-1) if all(year >= 0 for year in years) else -1
        waited += one.weight * (exact if exact >= 0 else len(phases.money))
        if exact != joined:
            yield f"{one.site}・{one.usecase}: {joined} 年目、計算では {exact} 年目 / joined in another year"
    if waited != phases.waited or phases.least_waited > waited:
        yield f"待ち {phases.waited}、計算では {waited}、下界 {phases.least_waited} / waiting, recomputed, bound"


def again_true(problem: Problem, design: Design, phases: Phases) -> Iterator[str]:
    """What digging again would cost is the streets' cost times the later years in which somebody behind them is joined."""
    view = View(problem, design)
    arcs, _ = initial_units(problem)
    street = {index: number for number, work in enumerate(phases.works) if work.kind == "street" for index in work.arcs}
    index_of = {id(problem.arcs[index]): index for index in design.arcs}
    joined = {(one.site, one.usecase): year for one, year in zip(phases.weights, phases.joined, strict=True)}
    used: dict[int, set[int]] = defaultdict(set)
    for _, demand, terminal in view.served:
        year = joined.get((demand.site, demand.usecase), -1)
        for arc in view.path(terminal) if year >= 0 else ():
            if (number := street.get(index_of[id(arc)])) is not None:
                used[number].add(year)
    yen = sum(arcs.get(index, 0.0) * (len(used[number]) - 1) for index, number in street.items() if used[number])
    if abs(yen - phases.digging_again) > len(street) + 1:
        yield f"掘り返し {phases.digging_again:,} 円、計算では {yen:,.0f} 円 / digging again, recomputed"


FRONTIER: dict[str, tuple[Text, Callable[[Problem, Design, Frontier], Iterator[str]]]] = {
    "stages_built": (Text(ja="各段階は、制約を守る設計である。", en="Each stage is a design that keeps its limits."), stages_built),
    "stages_paid": (Text(ja="各段階の初期費用は、予算以内である。", en="Each stage pays no more than its money."), stages_paid),
    "needs_lost": (Text(ja="待つ地点の一覧は、漏れも余りもない。", en="Exactly those without service are listed as waiting."), needs_lost),
    "bounds_hold": (Text(ja="限界値は、証明書から計算し直せる。", en="Each bound follows from its certificate."), bounds_hold),
}
PHASES: dict[str, tuple[Text, Callable[[Problem, Design, Phases], Iterator[str]]]] = {
    "works_whole": (Text(ja="一つの道は一度だけ掘り、先のないものは造らない。", en="A street is dug once; nothing hangs in the air."), works_whole),
    "years_paid": (Text(ja="各年度の費用は、その年度の予算以内である。", en="No year costs more than its money."), years_paid),
    "waiting_true": (Text(ja="地点のつながる年度は、工事の年度と合う。", en="Sites are joined when their works are built."), waiting_true),
    "again_true": (Text(ja="掘り返しの費用は、計算し直せる。", en="The cost of digging again can be computed again."), again_true),
}


def check_frontier(problem: Problem, design: Design, frontier: Frontier) -> CheckReport:
    """Judge a frontier of a design that serves everything: one finding per sentence of FRONTIER."""
    return _report((name, text, breaches(problem, design, frontier)) for name, (text, breaches) in FRONTIER.items())


def check_phases(problem: Problem, design: Design, phases: Phases) -> CheckReport:
    """Judge the order of works of a design: one finding per sentence of PHASES."""
    return _report((name, text, breaches(problem, design, phases)) for name, (text, breaches) in PHASES.items())


def _report(rows: Iterator[tuple[str, Text, Iterator[str]]]) -> CheckReport:
    findings = []
    for name, text, breaches in rows:
        lines = list(islice(breaches, SHOWN))
        more = sum(1 for _ in breaches)
        told = "; ".join(lines) + (f"; ほか {more} 件 / {more} more" if more else "")
        findings.append(Finding(constraint=name, holds=not lines, found=told or f"{text.ja} / {text.en}"))
    return CheckReport(holds=all(finding.holds for finding in findings), findings=tuple(findings))
