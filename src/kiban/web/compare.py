"""The pages that compare: any two plans, and two versions of one plan; with a workbook of the same tables.

In: the plan folders, and the store where versions of plans are kept. Out: routes. Which two are compared stands in the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.catalogue import words
from kiban.documents.view import View
from kiban.documents.workbook import Book, Cell
from kiban.loop.given import TOKYO
from kiban.loop.kept import Kept
from kiban.records.plan import Plan
from kiban.web.comparing import Comparison, Side, compare, signed
from kiban.web.frame import Frame
from kiban.web.money import Row, Said, Scale, scale_of, scales
from kiban.web.pages import conditions
from kiban.web.plans import Plans

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Saved

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MARK = "@"  # between the folder of a plan and the number of a stored version of it
INPUTS = "i"  # before the number where it is a version of what people have put in, not of the plan as kiban plan --save stored it


@dataclass(frozen=True)
class ComparePages:
    """Two plans side by side."""

    plans: Plans
    frame: Frame

    def routes(self) -> list[Route]:
        """All of them."""
        self.plans.add("compare")
        return [
            Route("/compare", self.two),
            Route("/compare.xlsx", self.workbook),
            Route("/plans/{plan}/compare", self.tab),
        ]

    async def two(self, request: Request) -> Response:
        """Any two plans or versions."""
        return await run_in_threadpool(self._page, request, None)

    async def tab(self, request: Request) -> Response:
        """One plan against another, or against an earlier version of itself."""
        return await run_in_threadpool(self._page, request, request.path_params["plan"])

    async def workbook(self, request: Request) -> Response:
        """The comparison as an .xlsx."""
        return await run_in_threadpool(self._workbook, request)

    def _page(self, request: Request, plan: str | None) -> Response:
        chosen = {key: request.query_params.get(key, "") for key in ("a", "b")}
        path = "/compare" if plan is None else f"/plans/{quote(plan)}/compare"
        if plan is not None:
            self.plans.open(request)
            chosen = {"a": chosen["a"] or "", "b": chosen["b"] or plan}
        scale = scale_of(request)
        context: dict[str, Any] = {"chosen": chosen, "choices": self._choices(request), "path": path, "scale": scale, "made": None}
        context |= {"scales": scales(self.frame, request, path), "unit_word": self.frame.words(request)(f"money.unit.{scale.id}"), "fixed": plan is not None}
        if chosen["a"] and chosen["b"]:
            a, b = self._side(request, chosen["a"]), self._side(request, chosen["b"])
            made = compare(a, b, scale)
            context |= {"made": made, "a": a, "b": b, "view": b.view, **self._shown(request, made, a, b)}
            context["xlsx"] = self.frame.url(request, "/compare.xlsx", a=chosen["a"], b=chosen["b"], unit=scale.id)
            self.frame.note(request, "view", "compare", f"{chosen['a']} {chosen['b']}")
        if plan is None:
            return self.frame.page(request, "compare.html", context)
        name, one = self.plans.open(request)
        return self.plans.page(request, "compare", "compare_tab.html", name, one, context)

    def _shown(self, request: Request, made: Comparison, a: Side, b: Side) -> dict[str, Any]:
        """Amounts as texts: headline rows, and differences by row and year."""
        said, amounts, rows = Said(b.view, b.funding) if b.funding else None, [], []
        for amount in made.amounts:
            sides = [
                {"text": "—" if value is None else f"{value:,}", "url": self._figure(request, side, id)}
                for side, value, id in zip((a, b), (amount.before, amount.after), amount.figures, strict=True)
            ]
            amounts.append({"name": amount.name, "sides": sides, "difference": signed(amount.difference)})
        for name, cells in made.sections:
            total = sum(cell.difference or 0 for cell in cells)
            rows.append(Row(name, [signed(cell.difference) if cell.difference else "" for cell in cells], signed(total)))
        return {"amounts": amounts, "heads": [said.year(year) for year in made.years] if said else [], "by_year_rows": rows}

    def _figure(self, request: Request, side: Side, id: str) -> str:
        """The page of a figure of one side; empty where it has none."""
        return self.frame.url(request, f"/plans/{quote(side.name)}/figures", id=id) if id and side.name else ""

    def _choices(self, request: Request) -> list[dict[str, str]]:
        """Every plan and every stored version of it, as an option of a list; a folder that cannot be read is left out here, the list of plans names it."""
        rows, word = [], self.frame.words(request)
        for name in self.plans.names():
            try:
                one = self.plans.read(name)
            except KibanError:
                continue
            plan, view = one.plan, self.plans.view(request, one)
            told = " · ".join([plan.sentence, *conditions(view)])
            rows.append({"id": name, "text": f"{told} · {self.frame.moment(request, plan.made_on)}"})
            for saved in self._typed(name, plan):
                text = word("compare.inputs", number=saved.version, day=self.frame.moment(request, saved.at), author=saved.author, reason=saved.reason)
                rows.append({"id": f"{name}{MARK}{INPUTS}{saved.version}", "text": f"{told} · {text}"})
            for saved in self._versions(plan):
                text = word("compare.version", number=saved.version, day=self.frame.moment(request, saved.at), author=saved.author, reason=saved.reason)
                rows.append({"id": f"{name}{MARK}{saved.version}", "text": f"{told} · {text}"})
        return rows

    def _typed(self, name: str, plan: Plan) -> list[Saved]:
        """The versions of what people have put into a plan, newest first."""
        kept = self._kept(name, plan)
        return [] if kept is None else list(reversed(kept.history()))

    def _kept(self, name: str, plan: Plan) -> Kept | None:
        return None if self.frame.store is None else Kept(self.frame.store, self.plans.path(name), plan.id, self.frame.now)

    def _versions(self, plan: Plan) -> list[Saved]:
        """The stored versions of a plan, newest first."""
        if self.frame.store is None:
            return []
        return list(reversed(self.frame.store.history("plan", f"{plan.region}-{plan.id}")))

    def _side(self, request: Request, asked: str) -> Side:
        """A plan by its folder, or a stored version of it. Raises HTTPException 404."""
        from kiban.loop.plan import fund_again  # loads the solver: not before two plans are compared

        name, _, number = asked.rpartition(MARK) if MARK in asked else (asked, "", "")
        word = self.frame.words(request)
        if name not in self.plans.names():
            raise HTTPException(404, word("error.no_plan", name=asked))
        one = self.plans.read(name)
        if not number:
            return Side(name, self.plans.view(request, one), one.funding, one.inputs, one.region, name)
        lang, catalogue = self.frame.language(request), self.frame.catalogue
        if number.startswith(INPUTS):
            kept = self._kept(name, one.plan)
            if kept is None or number not in {f"{INPUTS}{saved.version}" for saved in kept.history()}:
                raise HTTPException(404, word("error.no_plan", name=asked))
            # The design and the day are those of the plan, so that what differs comes from what was put in.
            inputs, day = kept.read(int(number.removeprefix(INPUTS))), one.funding.made_on or one.plan.made_on.astimezone(TOKYO).date()
            from kiban.loop.plan import fund_again  # the engines are loaded when a version is computed anew

            plan, funding = fund_again(one.plan, one.region, one.problem, one.design, catalogue, inputs, day)
            view = View(plan, catalogue, words(catalogue, lang), lang, one.region.name, one.region.sources)
            return Side(f"{name} {word('compare.inputs.short', number=number.removeprefix(INPUTS))}", view, funding, inputs, one.region)
        known = {str(saved.version) for saved in self._versions(one.plan)}
        if number not in known or self.frame.store is None:
            raise HTTPException(404, word("error.no_plan", name=asked))
        plan = self.frame.store.read("plan", f"{one.plan.region}-{one.plan.id}", Plan, int(number))
        view = View(plan, catalogue, words(catalogue, lang), lang, one.region.name, one.region.sources)
        return Side(f"{name} {word('compare.version.short', number=number)}", view)

    def _workbook(self, request: Request) -> Response:
        asked: Mapping[str, str] = request.query_params
        a, b = self._side(request, asked.get("a", "")), self._side(request, asked.get("b", ""))
        self.frame.note(request, "export", "compare", f"{a.label} {b.label}")
        scale = scale_of(request)
        content = comparison_xlsx(a, b, compare(a, b, scale), scale)
        return Response(content, media_type=XLSX, headers={"content-disposition": 'attachment; filename="compare.xlsx"'})


def comparison_xlsx(a: Side, b: Side, made: Comparison, scale: Scale) -> bytes:
    """The comparison as a workbook: what changed in words, amounts, differences by year. Texts are written as texts, never as formulas."""
    word, town = b.view.word, b.view.local(b.view.region_name)
    label = b.plan.label or a.plan.label
    book = Book(word("tab.compare"), town, tuple(text for text in (f"A: {a.label}", f"B: {b.label}", label or "") if text), b.plan.made_on.date())
    unit = word(f"money.unit.{scale.id}")

    def number(amount: int | None) -> Cell:
        return Cell("—", "mark") if amount is None else Cell(amount, "yen")

    page = book.page(word("compare.sheet.words"), (26, 30, 44, 44), notes=[made.sentence], landscape=True)
    page.heads((word("compare.topic"), word("compare.what"), "A", "B"), repeat=True)
    for key, changes in made.topics.items():
        for change in changes:
            page.row([Cell(word(f"compare.topic.{key}")), Cell(change.name), Cell(change.before), Cell(change.after)])
    page = book.page(word("compare.sheet.amounts"), (50, 16, 16, 16), notes=[f"{word('money.unit')}: {unit}"])
    page.heads((word("compare.what"), "A", "B", "B - A"), repeat=True)
    for row in made.amounts:
        page.row([Cell(row.name), number(row.before), number(row.after), number(row.difference)])
    if made.sections:
        years = made.years
        page = book.page(word("compare.sheet.by_year"), (26, *(10 for _ in years), 12), notes=[f"{word('money.unit')}: {unit}", word("compare.by_year.note")])
        said = Said(b.view, b.funding) if b.funding else None
        page.heads((word("money.row"), *((said.year(year) if said else str(year)) for year in years), word("money.sum")), repeat=True, freeze=1)
        for name, cells in made.sections:
            page.row([Cell(name), *(number(cell.difference) for cell in cells), number(sum(cell.difference or 0 for cell in cells))])
    return book.close()
