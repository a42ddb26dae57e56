"""The table of constraints: everything that a design must satisfy, each with a sentence and the function that looks for breaches.

In: a problem and a design. Out: one finding per constraint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from kiban.base.progress import Progress, silent
from kiban.check import limits, proof, recompute, tree
from kiban.check.view import View
from kiban.records.design import CheckReport, Design, Finding, Problem
from kiban.records.source import Text

SHOWN = 3  # breaches of one constraint that are spelled out


@dataclass(frozen=True)
class Constraint:
    """What must hold, in one sentence, and a function that yields one line per breach."""

    text: Text
    breaches: Callable[[View], Iterator[str]]


def _row(ja: str, en: str, breaches: Callable[[View], Iterator[str]]) -> Constraint:
    return Constraint(Text(ja=ja, en=en), breaches)


CONSTRAINTS: dict[str, Constraint] = {
    "problem": _row("設計は、この問題のものである。", "The design is one of this very problem.", tree.same_problem),
    "prices": _row("現在価値は、年ごとの額・寿命・割引率から計算し直せる。", "Each present value follows from amounts, life and discount.", recompute.prices),
    "arc_costs": _row("枝の費用は、単価×数量の和である。", "Each arc costs what its items come to.", recompute.arc_costs),
    "step_costs": _row("容量段階の費用は、単価×数量の和である。", "Each step costs what its items come to.", recompute.step_costs),
    "wiring": _row("枝は、種類どおりの節点を結ぶ。", "Arcs join the kinds of node that their kind says.", tree.wiring),
    "admissible": _row("要件を満たさない技術の枝はない。", "No arc serves a need by a technology that was ruled out for it.", tree.admissible),
    "no_way": _row("「道なし」の需要は、本当に道がないものだけである。", "Exactly the demands that no arc reaches are listed as such.", tree.no_way),
    "arcs": _row("設計の枝は、問題にある枝で、重複しない。", "Each arc of the design exists and is listed once.", tree.arcs_exist),
    "one_way_in": _row("どの節点にも、入る枝は一本以下である。", "No node has two arcs in.", tree.one_way_in),
    "connected": _row("すべての枝は根につながり、輪はない。", "Everything hangs on the root, without a circle.", tree.connected),
    "served": _row("需要は、記された枝で供給される。", "Each demand is served by the arc that is named.", tree.served),
    "unserved": _row("未供給の一覧は、漏れも余りもない。", "Exactly the pairs without service are listed as unserved.", tree.unserved),
    "mandatory": _row("供給できる需要は、残されていない。", "No demand is left out that could be served.", tree.mandatory),
    "without": _row("別の災害要因でも届くべき需要は、その要因に依存しない経路を持つ。", "Backup ways avoid the risk class that they must avoid.", tree.without),
    "backup": _row(
        "代替経路を求めた地点は、災害要因を一つ失っても、一つの経路が残る。", "A backed-up site keeps a way when any one risk class is lost.", tree.backup
    ),
    "reach": _row("線路の長さは、到達距離以内である。", "No line is longer than its technology reaches.", tree.reach),
    "terminal_rate": _row("一つの端末の速度は、上限以内である。", "No terminal carries more than its rate.", tree.terminal_rate),
    "step_list": _row("支払う容量段階は、問題にあり、重複しない。", "Each paid step exists and is listed once.", recompute.step_list),
    "facility_steps": _row(
        "基地局などの台数は、負荷に足りる。", "Each facility pays the units that its load asks for.", partial(recompute.steps_of, "facility")
    ),
    "exchange_steps": _row("収容局の装置数は、負荷に足りる。", "Each exchange pays the units that its load asks for.", partial(recompute.steps_of, "exchange")),
    "system_steps": _row("全体で一度の費用は、使うとき必ず払う。", "What is paid once for all is paid when used.", partial(recompute.steps_of, "system")),
    "growth_costs": _row(
        "後の年に買う装置の費用は、その年に買うときの単価の和である。", "A unit bought later costs what it costs in that year.", limits.growth_costs
    ),
    "grown": _row("通信量が増えた年の増設は、負荷に足り、余らない。", "Each group buys the units that its grown load asks for, year by year.", limits.grown),
    "ceilings": _row("設計全体の上限（電力量・費用）を超えない。", "The design stays below the limits on the whole of it.", limits.ceilings),
    "cost": _row("総額は、枝と容量段階の和である。", "The cost is that of the arcs and the steps.", recompute.cost),
    "bound": _row("下界は、双対値の和の切り捨てである。", "The bound is the floor of all duals together.", proof.bound),
    "duals": _row("双対値は負でない。", "No dual is negative.", proof.duals),
    "cuts": _row("カットは、供給される需要を含み、根を含まない。", "Each cut holds its served demand and not the root.", proof.cuts),
    "packing": _row("どの枝でも、双対値の和は費用以下である。", "On no arc do the duals exceed its cost.", proof.packing),
    "relaxed": _row("下界が無視した制約は、すべて名が挙がっている。", "The bound names exactly what it leaves out.", tree.relaxed),
    "gap": _row("差は（総額−下界）÷総額である。", "The gap is (cost − bound) ÷ cost.", recompute.gap),
    "status": _row("「最適と証明」は、総額＝下界で未供給のないときだけである。", "Proved means cost = bound with nothing unserved.", tree.status),
    "site_results": _row("地点ごとの説明は、設計と合う。", "What is said of each site is what the design does.", tree.site_results),
    "break_even": _row("損益分岐の価格は、計算し直せる。", "Each break-even price can be computed again.", recompute.break_even),
    "shared": _row("共用の節約額は、計算し直せる。", "The saving of sharing can be computed again.", recompute.shared),
}


def check_design(problem: Problem, design: Design, progress: Progress = silent) -> CheckReport:
    """Judge a design: one finding per constraint of the table, in its order; `progress` is told before each of them.

    A finding that holds says the sentence of its constraint; one that does not says what was found, Japanese / English.
    """
    view = View(problem, design)
    findings = []
    for number, (name, constraint) in enumerate(CONSTRAINTS.items()):
        progress(number / len(CONSTRAINTS), "独立検査 / independent check")
        breaches = constraint.breaches(view)
        lines = list(islice(breaches, SHOWN))
        more = sum(1 for _ in breaches)
        found = "; ".join(lines) + (f"; ほか {more} 件 / {more} more" if more else "")
        findings.append(Finding(constraint=name, holds=not lines, found=found or f"{constraint.text.ja} / {constraint.text.en}"))
    return CheckReport(holds=all(finding.holds for finding in findings), findings=tuple(findings))
