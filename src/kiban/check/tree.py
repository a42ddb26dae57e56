"""The shape of a design and what it serves: arborescence, demands, risk classes, reach, rates, and what the problem rules out.

In: a problem and a design. Out: what is broken, line by line.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator

from kiban.check.view import LINE_KINDS, View
from kiban.records.design import Arc, Demand, Problem, problem_hash

METRE = 1e-6  # metres and Mbps are sums of floats
# arc kind → (kinds of node it starts from, kind of node it leads to)
WIRING = {
    "exchange": (("root",), "junction"),
    "line": (("junction",), "junction"),
    "plant": (("junction",), "junction"),
    "drop": (("junction",), "terminal"),
    "feed": (("junction", "root"), "mast"),
    "hop": (("mast",), "mast"),
    "open": (("mast",), "facility"),
    "link": (("facility",), "terminal"),
    "direct": (("root",), "terminal"),
    "serve": (("terminal",), "demand"),
}


def same_problem(view: View) -> Iterator[str]:
    """The design names the problem that it is judged by."""
    if view.design.problem != problem_hash(view.problem):
        yield f"別の問題の設計 {view.design.problem[:12]} / a design of another problem"


def wiring(view: View) -> Iterator[str]:
    """Arcs join the kinds of node that their kind says, at one place, one site and one technology."""
    nodes = view.problem.nodes
    for index, arc in enumerate(view.problem.arcs):
        tail, head = nodes[arc.tail], nodes[arc.head]
        starts, end = WIRING[arc.kind]
        good = tail.kind in starts and head.kind == end
        good = good and (arc.kind != "open" or tail.ref == head.ref)
        good = good and (arc.kind != "link" or tail.technology == head.technology)
        good = good and (arc.kind not in ("open", "link", "drop", "direct") or arc.technology in (None, head.technology))
        if not good:
            yield f"枝 {index}（{arc.kind}）: {tail.kind} {tail.ref} → {head.kind} {head.ref} / arc {index} may not join them"
    sites = {demand.node: demand.site for demand in view.problem.demands}
    for index, arc in enumerate(view.problem.arcs):
        if arc.kind == "serve" and sites.get(arc.head) != nodes[arc.tail].ref:
            yield f"枝 {index}: {nodes[arc.tail].ref} から他の地点 {sites.get(arc.head)} へ供給 / arc {index} serves another site"


def admissible(view: View) -> Iterator[str]:
    """No arc serves a (site, use case) by a technology that the filter ruled out for it."""
    problem = view.problem
    ruled_out = {(item.site, item.usecase, item.technology): item for item in problem.exclusions}
    demands = _by_node(problem)
    for index, arc in enumerate(problem.arcs):
        for demand in demands.get(arc.head, ()) if arc.kind == "serve" else ():
            item = ruled_out.get((demand.site, demand.usecase, problem.nodes[arc.tail].technology or ""))
            if item is not None:
                yield f"枝 {index}: {item.site}・{item.usecase} に {item.technology} は不可（{item.need}）/ arc {index}: ruled out by {item.need}"


def no_way(view: View) -> Iterator[str]:
    """Exactly the demands that no arc can reach are listed as such, with the technologies that only lack a price."""
    problem = view.problem
    demands = {(demand.site, demand.usecase, demand.without): demand for demand in problem.demands}
    listed = {(site, usecase, without) for site, usecase, without, _ in problem.no_way}
    reached = {risk: _reached(problem, risk) for risk in {demand.without for demand in problem.demands}}
    for key, demand in demands.items():
        open_way = demand.node in reached[demand.without]
        if open_way == (key in listed):
            yield f"{key}: {'道があるのに「道なし」' if open_way else '道がないのに記載がない'} / {'a way exists' if open_way else 'no way, not listed'}"
    unpriced: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in problem.exclusions:
        if item.state == "unpriced":
            unpriced[item.site, item.usecase].add(item.technology)
    for site, usecase, without, technologies in problem.no_way:
        known = unpriced[site, usecase]
        if not set(technologies) <= known or (without is None and set(technologies) != known):
            yield f"{site}・{usecase}: 価格不明の選択肢 {sorted(technologies)}、除外表では {sorted(known)} / unpriced options differ from the exclusions"


def arcs_exist(view: View) -> Iterator[str]:
    """Each arc of the design is one of the problem, listed once."""
    for index, count in Counter(view.design.arcs).items():
        if count > 1 or not 0 <= index < len(view.problem.arcs):
            yield f"枝 {index}: {count} 回、または存在しない / arc {index}: {count} times, or unknown"


def one_way_in(view: View) -> Iterator[str]:
    """No node has two arcs in."""
    for node, count in Counter(view.problem.arcs[index].head for index in view.chosen).items():
        if count > 1:
            yield f"節点 {node}: 入る枝が {count} 本 / node {node}: {count} arcs in"


def connected(view: View) -> Iterator[str]:
    """Everything hangs on the root: no arc starts in the air, none lies in a circle."""
    below: dict[int, list[int]] = defaultdict(list)
    for index in view.chosen:
        below[view.problem.arcs[index].tail].append(view.problem.arcs[index].head)
    hung, stack = {0}, [0]
    while stack:
        for node in below[stack.pop()]:
            if node not in hung:
                hung.add(node)
                stack.append(node)
    for index in view.chosen:
        if view.problem.arcs[index].tail not in hung:
            yield f"枝 {index}: 根につながらない / arc {index} does not hang on the root"


def served(view: View) -> Iterator[str]:
    """Each demand is served by the serve arc that the design names, and by none when it names none."""
    problem, design, chosen = view.problem, view.design, set(view.chosen)
    if len(design.served) != len(problem.demands):
        yield f"{len(design.served)} 件、需要は {len(problem.demands)} 件 / {len(design.served)} entries for {len(problem.demands)} demands"
    for index, (demand, arc) in enumerate(zip(problem.demands, design.served, strict=False)):
        if arc < 0 and demand.node in view.parent:
            yield f"需要 {index}: 枝があるのに未供給 / demand {index}: an arc leads to it, yet it is listed as not served"
        elif arc >= 0 and (arc not in chosen or problem.arcs[arc].kind != "serve" or problem.arcs[arc].head != demand.node):
            yield f"需要 {index}: 枝 {arc} では供給されない / demand {index} is not served by arc {arc}"


def unserved(view: View) -> Iterator[str]:
    """Exactly the (site, use case) pairs without service are listed."""
    for site, usecase in sorted(view.no_service ^ set(view.design.unserved)):
        yield f"{site}・{usecase}: 未供給の一覧と合わない / the list of unserved pairs does not agree"


def mandatory(view: View) -> Iterator[str]:
    """A demand is left out only where no arc can serve it, alone, within reach and rate."""
    problem = view.problem
    listed = {(site, usecase, without) for site, usecase, without, _ in problem.no_way}
    limits = {limit.technology: limit for limit in problem.limits}
    into: dict[int, list[Arc]] = defaultdict(list)
    for arc in problem.arcs:
        into[arc.head].append(arc)
    nearest: dict[str | None, dict[int, float]] = {}
    for index, (demand, chosen) in enumerate(zip(problem.demands, view.design.served, strict=False)):
        if chosen >= 0 or (demand.site, demand.usecase, demand.without) in listed:
            continue
        if demand.without not in nearest:
            nearest[demand.without] = _line_metres(problem, demand.without)
        metres = nearest[demand.without]
        for arc in into[demand.node]:
            if arc.tail not in metres:
                continue
            limit = limits.get(problem.nodes[arc.tail].technology or "")
            down, up = _rates(view, arc.tail, demand)
            near = limit is None or limit.reach_m is None or metres[arc.tail] <= limit.reach_m + METRE
            if near and (limit is None or (_within(limit.down_mbps, down) and _within(limit.up_mbps, up))):
                ref = problem.nodes[arc.tail].technology
                yield f"需要 {index}（{demand.site}・{demand.usecase}）: {ref} で供給できるのに未供給 / demand {index} is left out though {ref} could serve it"
                break


def without(view: View) -> Iterator[str]:
    """A demand that must not depend on a risk class is served by a way on which no node does."""
    for index, demand, terminal in view.served:
        if demand.without is None:
            continue
        for arc in view.path(terminal):
            if view.problem.nodes[arc.head].risk == demand.without:
                ref = view.problem.nodes[arc.head].ref
                yield f"需要 {index}（{demand.site}）: {ref} で {demand.without} に依存 / demand {index} depends on {demand.without} at {ref}"
                break


def backup(view: View) -> Iterator[str]:
    """Where all demands of a backed-up pair are served, the loss of any one risk class that its ways depend on leaves one of them whole.

    The ways are followed node by node. A class that one of its demands must avoid is left to `without`; here are those that nobody named.
    """
    ways: dict[tuple[str, str], list[set[str]]] = defaultdict(list)
    avoided: dict[tuple[str, str], set[str]] = defaultdict(set)
    for demand in view.problem.demands:
        if demand.without is not None:
            avoided[demand.site, demand.usecase].add(demand.without)
    for _, demand, terminal in view.served:
        ways[demand.site, demand.usecase].append({str(view.problem.nodes[arc.head].risk) for arc in view.path(terminal)} - {"none"})
    for site, usecase in sorted(avoided.keys() - view.no_service):
        classes = ways[site, usecase]
        for risk in sorted(set().union(*classes) - avoided[site, usecase]):
            if all(risk in way for way in classes):
                yield f"{site}・{usecase}: {risk} が失われるとどの経路も残らない / no way is left when {risk} is lost"


def reach(view: View) -> Iterator[str]:
    """From the exchange to the end of each line, plant and drop arc there are no more metres of line than its technology reaches."""
    limits = {limit.technology: limit.reach_m for limit in view.problem.limits if limit.reach_m is not None}
    for index in view.chosen:
        arc = view.problem.arcs[index]
        allowed = limits.get(arc.technology or view.problem.nodes[arc.head].technology or "")
        if allowed is None or arc.kind not in LINE_KINDS:
            continue
        metres = sum(step.length_m for step in view.path(arc.head) if step.kind in LINE_KINDS)
        if metres > allowed + METRE:
            yield f"枝 {index} {arc.technology}: {metres:,.0f} m > {allowed:,.0f} m / arc {index} ends beyond reach"


def terminal_rate(view: View) -> Iterator[str]:
    """What the use cases of one terminal need together is within the rate of its technology."""
    limits = {limit.technology: limit for limit in view.problem.limits}
    for terminal in sorted({terminal for _, _, terminal in view.served}):
        limit = limits.get(view.problem.nodes[terminal].technology or "")
        down, up = _rates(view, terminal, None)
        if limit is not None and not (_within(limit.down_mbps, down) and _within(limit.up_mbps, up)):
            node = view.problem.nodes[terminal]
            yield (
                f"{node.ref} {node.technology}: 下り {down:g}・上り {up:g} Mbps、上限 {limit.down_mbps}・{limit.up_mbps}"
                f" / {down:g} down, {up:g} up, at most {limit.down_mbps}, {limit.up_mbps}"
            )


def status(view: View) -> Iterator[str]:
    """proved: everything served and cost = bound · bounded: a gap · incomplete: only unpriced options · infeasible: no option."""
    design = view.design
    if not view.no_service:
        right = "proved" if design.cost == design.bound else "bounded"
    else:
        options = {(site, usecase, risk): technologies for site, usecase, risk, technologies in view.problem.no_way}
        lost = {(d.site, d.usecase, d.without) for d, arc in zip(view.problem.demands, design.served, strict=False) if arc < 0} | set(options)
        right = "incomplete" if all(options.get(key) for key in lost) else "infeasible"
    if design.status != right:
        yield f"状態 {design.status}、{right} のはず / status {design.status}, {right} expected"


def relaxed(view: View) -> Iterator[str]:
    """The bound names exactly the side constraints that the problem has and the bound leaves out."""
    problem = view.problem
    names = {f"{step.level}_steps" for step in problem.steps if step.cost > 0}
    names |= {"reach" for limit in problem.limits if limit.reach_m is not None}
    names |= {"terminal_rate" for limit in problem.limits if limit.down_mbps is not None or limit.up_mbps is not None}
    names |= {"ceilings"} if problem.ceilings else set()
    for where, listed in (("design", view.design.relaxed), ("certificate", view.design.certificate.relaxed)):
        if set(listed) != names or len(set(listed)) != len(listed):
            yield f"{where}: 緩和 {sorted(listed)}、{sorted(names)} のはず / relaxed {sorted(listed)}, {sorted(names)} expected"


def site_results(view: View) -> Iterator[str]:
    """What is said of each site is what the design does there."""
    if not view.design.sites:
        return
    by: dict[str, set[str]] = {demand.site: set() for demand in view.problem.demands}
    by |= {site: set() for site, _, _, _ in view.problem.no_way if site not in by}
    for _, demand, terminal in view.served:
        by[demand.site].add(view.problem.nodes[terminal].technology or "")
    if sorted(by) != sorted(item.site for item in view.design.sites):
        yield "地点の一覧が需要と合わない / the sites are not those of the demands"
    for item in view.design.sites:
        lost = {usecase for site, usecase in view.no_service if site == item.site}
        if set(item.technologies) != by.get(item.site, set()) or set(item.unserved) != lost:
            found = f"{sorted(by.get(item.site, set()))}, {sorted(lost)}"
            yield f"{item.site}: {sorted(item.technologies)}, {sorted(item.unserved)}、設計では {found} / the design says {found}"


def _by_node(problem: Problem) -> dict[int, list[Demand]]:
    found: dict[int, list[Demand]] = defaultdict(list)
    for demand in problem.demands:
        found[demand.node].append(demand)
    return found


def _within(limit: float | None, rate: float) -> bool:
    return limit is None or rate <= limit + METRE


def _rates(view: View, terminal: int, more: Demand | None) -> tuple[float, float]:
    """Mbps down and up of the use cases served at a terminal, and of one more demand; each use case once."""
    once = {(demand.site, demand.usecase): demand for _, demand, at in view.served if at == terminal}
    if more is not None:
        once[more.site, more.usecase] = more
    return sum(demand.down_mbps for demand in once.values()), sum(demand.up_mbps for demand in once.values())


def _reached(problem: Problem, avoided: str | None) -> set[int]:
    """The nodes that the root reaches over nodes that do not depend on a risk class."""
    return set(_line_metres(problem, avoided))


def _line_metres(problem: Problem, avoided: str | None) -> dict[int, float]:
    """Node → fewest metres of line from the root, over nodes that do not depend on a risk class."""
    out: dict[int, list[Arc]] = defaultdict(list)
    for arc in problem.arcs:
        out[arc.tail].append(arc)
    metres: dict[int, float] = {}
    queue = [(0.0, 0)]
    while queue:
        far, node = heapq.heappop(queue)
        if node in metres:
            continue
        metres[node] = far
        for arc in out[node]:
            if avoided is None or problem.nodes[arc.head].risk != avoided:
                heapq.heappush(queue, (far + (arc.length_m if arc.kind in LINE_KINDS else 0.0), arc.head))
    return metres
