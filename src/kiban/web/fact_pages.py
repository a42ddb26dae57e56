"""The facts that a plan lacks: what to ask, whom, why; typed together, kept together.

In: the plans with their versions. Out: the route /plans/{plan}/facts. Blank means 「わからない」; nothing typed is lost when one answer does not fit.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.documents.view import View
from kiban.loop.inputs import Value, fact_of
from kiban.loop.sheets import day_of
from kiban.records.fact import NamedFact
from kiban.records.funding import Inputs
from kiban.web.frame import plain_text
from kiban.web.keeping import Keeping, Known, reason_of, spoken

FIELD = "fact."  # what the name of a fact begins with in the form
LONGEST = 2000  # letters of an answer in words


@dataclass(frozen=True)
class FactPages:
    """The page of the facts."""

    keeping: Keeping

    def routes(self) -> list[Route]:
        """All of them."""
        return [Route("/plans/{plan}/facts", self.all), Route("/plans/{plan}/facts", self.save, methods=["POST"])]

    async def all(self, request: Request) -> Response:
        """What is asked, and what was answered."""
        known = await self.keeping.open(request)
        self.keeping.frame.note(request, "view", f"plans/{known.name}", "facts")
        return self._page(request, known, {}, {})

    async def save(self, request: Request) -> Response:
        """Keep all answers together, or none."""
        frame = self.keeping.frame
        frame.need(request, "editor")
        form = await frame.form(request)
        known = await self.keeping.open(request)
        values, wrong = await run_in_threadpool(self._values, request, known, form)
        if wrong:
            return self._page(request, known, form, wrong, 422)

        def change(inputs: Inputs) -> Inputs:
            facts = dict(inputs.facts)
            for id, value in values.items():
                if value is None:
                    facts.pop(id, None)
                else:
                    facts[id] = value
            return replace(inputs, facts=facts)

        names = [frame.catalogue.headline("facts", id, frame.language(request)) for id, value in values.items() if value != known.inputs.facts.get(id)]
        why = frame.words(request)("facts.why", list=", ".join(names[:5]), count=len(names))
        return await self.keeping.save(request, known, change, form, reason_of(why), "facts")

    # --- parts

    def _values(self, request: Request, known: Known, form: dict[str, str]) -> tuple[dict[str, Value | None], dict[str, str]]:
        """The answers of the form by fact, None for a blank one; and what does not fit, in words."""
        catalogue, word = self.keeping.frame.catalogue, self.keeping.frame.words(request)
        view = self.keeping.plans.view(request, known.one)
        values: dict[str, Value | None] = {}
        wrong: dict[str, str] = {}
        for id, fact in catalogue.facts.items():
            if FIELD + id not in form:
                continue
            text = unicodedata.normalize("NFKC", form[FIELD + id]).strip() if fact.kind != "text" else " ".join(plain_text(form[FIELD + id]).split())
            try:
                if len(text) > LONGEST:
                    raise ValueError(text)
                if fact.kind == "day" and text:
                    day = day_of(text)
                    text = day.isoformat() if day else ""
                values[id] = fact_of(f"{id}={text}", catalogue)[1]
            except (KibanError, ValueError):
                wrong[id] = word(f"facts.wrong.{fact.kind}", range=_range(view, fact), longest=LONGEST)
        return values, wrong

    def _page(self, request: Request, known: Known, typed: dict[str, str], wrong: dict[str, str], status: int = 200) -> Response:
        catalogue, view = self.keeping.frame.catalogue, self.keeping.plans.view(request, known.one)
        funding, own = known.one.funding, known.inputs.facts
        region = {fact.id: fact.value for fact in known.one.region.facts}
        default = {row["id"] for row in funding.assumed}
        taken = [id for id in sorted(default) if id in catalogue.facts and id not in own]
        asked = [id for id in self.keeping.asked(known) if id not in default]

        def row(id: str) -> dict[str, Any]:
            fact = catalogue.facts[id]
            value = own.get(id)
            return {
                "id": id,
                "field": FIELD + id,
                "fact": fact,
                "name": getattr(fact.name, view.lang),
                "question": getattr(fact.question, view.lang),
                "why": getattr(fact.why, view.lang),
                "unit": view.unit(fact.unit) if fact.unit and fact.unit != "1" else "",
                "choices": _choices(view, fact),
                "typed": typed.get(FIELD + id, _typed(value)),
                "wrong": wrong.get(id, ""),
                "range": _range(view, fact),
                "taken": spoken(view, fact, fact.default) if id in default else "",
                "taken_why": getattr(fact.default_why, view.lang) if id in default and fact.default_why else "",
                "region": spoken(view, fact, region[id]) if region.get(id) is not None else "",
            }

        def by_desk(ids: list[str]) -> list[dict[str, Any]]:
            desks: dict[str, list[dict[str, Any]]] = {}
            for id in ids:
                desks.setdefault(getattr(catalogue.facts[id].desk, view.lang), []).append(row(id))
            return [{"desk": desk, "rows": rows, "text": self._letter(view, known, rows)} for desk, rows in desks.items()]

        context = {
            "asked": by_desk(asked),
            "taken": by_desk(taken),
            "given": by_desk(sorted(own)),
            "wrong": wrong,
            "count": len(asked),
            "typed_why": typed.get("why", ""),
            "version": typed.get("version", known.version),
        }
        return self.keeping.page(request, "facts", "facts.html", known, context, status)

    def _letter(self, view: View, known: Known, rows: list[dict[str, Any]]) -> str:
        """What can be sent to a desk as it is."""
        lines = [view.word("facts.letter", sentence=known.one.plan.sentence), ""]
        return "\n".join([*lines, *(f"{number}. {row['question']}" for number, row in enumerate(rows, start=1))])


def _choices(view: View, fact: NamedFact) -> list[tuple[str, str]]:
    if fact.kind == "flag":
        return [("yes", view.word("show.yes")), ("no", view.word("show.no"))]
    return [(id, getattr(text, view.lang)) for id, text in fact.choices.items()]


def _typed(value: Any) -> str:
    """A value as somebody would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def _range(view: View, fact: NamedFact) -> str:
    low, high = fact.low if fact.low is not None else 0.0, fact.high
    if fact.kind != "number":
        return ""
    return view.word("facts.range", low=f"{low:,.10g}", high=f"{high:,.10g}") if high is not None else view.word("facts.from", low=f"{low:,.10g}")
