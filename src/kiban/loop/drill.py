"""A design made for drills: priced, solved and checked, with its twin without backup; nothing else of a plan is worked out.

In: what a plan is made from, and the wanted pairs. Out: what drills run on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiban.base.progress import Cancel, Progress
from kiban.check import check_design
from kiban.design import program, solve
from kiban.design.backup import asks_backup
from kiban.design.drill import Drill
from kiban.design.figures import Sheet
from kiban.finance.ledger import Ledger
from kiban.loop.design import price_all, rules_of
from kiban.loop.given import Given
from kiban.loop.needs import Wanted
from kiban.records.design import CheckReport, Design, Problem


@dataclass(frozen=True)
class Drilled:
    """A design ready for drills.

    sheet  the design that the drills run on · full, plain: the designs with and without backup; plain is None where nobody asks for backup
    """

    sheet: Sheet
    drill: Drill
    report: CheckReport
    full: Sheet
    plain: tuple[Problem, Design] | None

    @property
    def design(self) -> Design:
        """The design that the drills run on."""
        return self.sheet.design


def make_drill(given: Given, wanted: Wanted, progress: Progress, cancel: Cancel, *, backup: bool = True) -> Drilled:
    """Price, build, solve and check; `backup` False: the drills run on the design without backup.

    Raises
    ------
    DesignError  the problem cannot be built
    """
    ledger = Ledger()
    rules = rules_of(given, ledger)
    progress(0.1, "価格を計算 / pricing")
    priced = {id: list(one.prices) for id, one in price_all(given, ledger, rules).items()}
    technologies = given.catalogue.technologies
    usecases = {usecase: given.catalogue.usecases[usecase] for usecase in dict.fromkeys(usecase for _, usecase in wanted)}
    years: dict[str, Any] = {"start": given.start, "horizon": int(rules["horizon"][1]), "discount": rules["discount-rate"][1]}

    def made(kind: bool, begin: float) -> tuple[Problem, Design]:
        def tell(share: float, sentence: str) -> None:
            progress(begin + 0.3 * share, sentence)

        problem = program.build(given.region, wanted, usecases, technologies, priced, **years, backup=kind, terrain=given.terrain)
        return problem, solve(problem, seed=given.seed, work=given.work, time_limit=given.time_limit, progress=tell, cancel=cancel)

    def sheet(problem: Problem, design: Design) -> Sheet:
        """Each design with a ledger of its own: arcs of one name may cost different things in two problems."""
        own = Ledger()
        own.update(ledger.figures)
        return Sheet(own, problem, design, given.region, usecases)

    full = sheet(*made(True, 0.2))
    plain = made(False, 0.6) if asks_backup(full.problem) else None
    chosen = full if backup or plain is None else sheet(*plain)
    drill = Drill(given.region, chosen.problem, chosen.design, technologies)
    return Drilled(chosen, drill, check_design(chosen.problem, chosen.design), full, plain)
