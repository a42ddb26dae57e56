"""The page of supports: every support with its answer, condition by condition, window, desk, and what would change the answer.

In: a plan folder. Out: a route. The answers are those of funding.json; none of them says that money will come. Letters ask the desks that know the facts
on which an answer waits; they hold no amount, so they may leave the office.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.jdate import era_year
from kiban.catalogue.links import conditions
from kiban.documents.office.budget_request import out_of_scope, rate_text
from kiban.documents.view import View
from kiban.loop.folder import Folder
from kiban.records.funding import Funding
from kiban.records.source import Source
from kiban.records.support import Edition, Finding, Rate, Support, SupportAnswer
from kiban.web.frame import Frame
from kiban.web.money import Said, Scale, fact_value, scale_of, scales
from kiban.web.plans import Plans

ANSWERS = ("possible", "judge", "missing", "unpublished", "excluded")  # in the order in which an officer can do something about them
TONES = {"possible": "ok", "judge": "warn", "missing": "warn", "excluded": "bad", "holds": "ok", "fails": "bad", "unknown": "warn"}
LISTS = {"project.technologies": "technologies", "project.usecases": "usecases"}


@dataclass(frozen=True)
class Reader:
    """Answers of supports in the words of one language."""

    said: Said
    one: Folder
    scale: Scale

    @property
    def view(self) -> View:
        """The plan in this language."""
        return self.said.view

    @property
    def funding(self) -> Funding:
        """The money of the plan."""
        return self.one.funding

    def row(self, answer: SupportAnswer) -> dict[str, Any]:
        """All that is said of one support."""
        view, said = self.view, self.said
        support: Support | None = view.catalogue.supports.get(answer.support)
        edition = next((one for one in support.editions if one.fiscal_year == answer.edition), None) if support else None
        past = answer.answer == "unpublished"  # a law of an earlier year that still holds is no example
        return {
            "id": answer.support,
            "name": view.name(f"supports/{answer.support}"),
            "known": support is not None,
            "summary": said.text(support.summary) if support else "",
            "about": list(dict.fromkeys([view.word(f"value.kind.{support.kind}"), view.word(f"value.column.{support.column}"), said.text(support.body)]))
            if support
            else [],
            "desk": said.text(support.desk) if support else "",
            "answer": answer.answer,
            "shown": answer.example or answer.answer,
            "answer_word": self.answer_word(answer),
            "tone": TONES.get(answer.example or answer.answer, ""),
            "example": view.word(f"supports.answer.{answer.example}") if answer.example else "",
            "year": said.fiscal(answer.year),
            "edition": said.fiscal(answer.edition) if past else "",
            "rate": self.rate(answer, support, edition),
            "limits": self.limits(edition),
            "counts": said.text(edition.counts_text) if edition else "",
            "counted": None if answer.counted_yen is None else self.scale(answer.counted_yen),
            "amount": None if answer.amount_yen is None else self.scale(answer.amount_yen),
            "counted_in": answer.support in self.funding.adopted.supports,
            "clause": answer.clause or "",
            "windows": [self.window(window, support) for window in edition.windows] if edition and support else [],
            "findings": [self.finding(finding, edition, support) for finding in answer.findings],
            "changes": self.changes(answer),
            "missing": said.things(answer.missing),
            "source": self.source(support, answer.source),
            "read_on": said.day(answer.read_on),
            "notes": [said.text(note) for note in support.notes] if support else [],
            "stacking": said.text(support.stacking.note) if support else "",
            "out_of_scope": out_of_scope(answer),
        }

    def answer_word(self, answer: SupportAnswer) -> str:
        """One of the five answers in words."""
        if answer.answer == "judge" and answer.judge is not None:
            return self.view.word("supports.answer.judge.by", whom=self.said.text(answer.judge))
        return self.view.word(f"supports.answer.{answer.answer}")

    def rate(self, answer: SupportAnswer, support: Support | None, edition: Edition | None) -> str:
        """The share that is paid for this project; else the shares that the text gives."""
        if edition is None or support is None:
            return ""
        percent = support.kind == "bond"
        if answer.share is not None:
            lump = answer.share == 1 and any(one.fixed for one in edition.rates)
            return self.view.word("supports.lump") if lump else rate_text(answer.share, percent)
        return self.view.joined([self.said.text(rate.text) for rate in edition.rates])

    def limits(self, edition: Edition | None) -> list[str]:
        """Floor, ceilings and months that the text gives."""
        if edition is None:
            return []
        word, told = self.view.word, []
        for key, quantity in (("floor", edition.floor), ("ceiling", edition.ceiling)):
            if quantity is not None:
                told.append(word(f"supports.{key}", amount=word("view.unknown") if quantity.value is None else self.yen(quantity.value)))
        told += [self._rate_ceiling(rate) for rate in edition.rates if rate.ceiling is not None and rate.ceiling.value is not None]
        if edition.months is not None and edition.months.value is not None:
            told.append(word("supports.months", count=round(edition.months.value)))
        return told

    def _rate_ceiling(self, rate: Rate) -> str:
        assert rate.ceiling is not None
        assert rate.ceiling.value is not None
        return f"{self.said.text(rate.text)}: {self.view.word('supports.ceiling', amount=self.yen(rate.ceiling.value))}"

    def yen(self, amount: float) -> str:
        """An amount of a text, with its unit."""
        return (
            f"{self.scale(amount)} {self.view.word('money.unit.' + self.scale.id)}"
            if self.view.lang == "en"
            else f"{self.scale(amount)}{self.view.word('money.unit.' + self.scale.id)}"
        )

    def window(self, window: Any, support: Support) -> dict[str, Any]:
        """When applications are taken."""
        said, unknown = self.said, self.view.word("supports.day_unknown")
        opens, closes = (unknown if day is None else said.day(day) for day in (window.opens, window.closes))
        nothing = window.opens is None and window.closes is None
        return {
            "text": unknown if nothing else f"{opens}〜{closes}",
            "year": said.fiscal(window.opens.year - (window.opens.month < 4)) if window.opens else "",
            "decided": said.text(window.decided),
            "note": said.text(window.note),
            "source": self.source(support, window.source),
        }

    def finding(self, finding: Finding, edition: Edition | None, support: Support | None) -> dict[str, Any]:
        """One condition: met, not met, unknown or to be judged; the fact, its value and where that comes from; the page that states the condition."""
        view, asked = self.view, [] if finding.fact.startswith("project.") else [finding.fact]
        stated = None
        for condition in conditions(edition) if edition else ():
            if condition.text == finding.text:
                stated = condition.source
                if condition.test == "any_true":
                    asked = list(condition.values)
        return {
            "state": finding.state,
            "state_word": view.word(f"supports.state.{finding.state}"),
            "tone": TONES.get(finding.state, "warn"),
            "text": self.said.text(finding.text),
            "found": self.found(finding),
            "from": self.origin(finding.fact),
            "facts": self.said.things(asked) if finding.state in ("unknown", "judge") else [],
            "fact": finding.fact if finding.fact in view.catalogue.facts else "",
            "clause": finding.clause or "",
            "source": self.source(support, stated) if stated and support else None,
        }

    def found(self, finding: Finding) -> str:
        """The value of the fact in words; empty where nobody knows it."""
        view, raw = self.view, finding.found
        if raw is None:
            return ""
        if finding.fact in LISTS:
            return view.joined([view.name(f"{LISTS[finding.fact]}/{id}") for id in raw.split(", ")])
        if finding.fact == "project.stage":
            return view.word(f"value.stage.{raw}")
        if finding.fact == "project.cost_yen":
            return self.yen(float(raw.replace(",", "")))
        if finding.fact == "project.applicant":
            return fact_value(view, "applicant", raw)
        if finding.fact == "project.areas":
            return view.joined([view.name(f"facts/{id}") for id in raw.split(", ")])
        value = self.facts.get(finding.fact)
        return raw if value is None else fact_value(view, finding.fact, value)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the region and the officer say of the town; the officer wins."""
        return {fact.id: fact.value for fact in self.one.region.facts if fact.value is not None} | dict(self.one.inputs.facts)

    def origin(self, fact: str) -> str:
        """Where the value of a fact comes from."""
        view = self.view
        if fact.startswith("project."):
            return view.word("supports.from.plan")
        if fact in self.one.inputs.facts:
            return view.word("supports.from.typed")
        for row in self.one.region.facts:
            if row.id == fact and row.value is not None:
                source = self.one.region.sources.get(row.evidence.source) if row.evidence.source else None
                return source.title if source else view.word("supports.from.region")
        return view.word("supports.from.default") if any(row.get("id") == fact for row in self.funding.assumed) else ""

    def changes(self, answer: SupportAnswer) -> list[str]:
        """What would have to be otherwise for another answer."""
        word, said = self.view.word, self.said
        shown = answer.example or answer.answer
        told = [word("supports.change.published", year=said.fiscal(answer.year))] if answer.answer == "unpublished" else []
        failing = [said.text(finding.text) for finding in answer.findings if finding.state == "fails"]
        if failing:
            told.append(word("supports.change.fails", list=self.view.joined(failing)))
        elif shown == "excluded":
            told.append(word("supports.change.ended"))
        if answer.missing:
            told.append(word("supports.change.missing", count=len(answer.missing)))
        if answer.judge is not None:
            told.append(word("supports.change.judge", whom=said.text(answer.judge)))
        return told or [word("supports.change.none")]

    def source(self, support: Support | None, key: str | None) -> Source | None:
        """A source of the file of a support."""
        return support.sources.get(key) if support and key else None

    def to_ask(self) -> list[dict[str, Any]]:
        """Every fact on which an answer waits: what to ask whom, and how many answers wait for it; the most wanted first."""
        waiting: dict[str, list[str]] = {}
        for answer in self.funding.answers:
            for id in answer.missing:
                waiting.setdefault(id, []).append(answer.support)
        rows = []
        for id, supports in sorted(waiting.items(), key=lambda item: (-len(item[1]), item[0])):
            fact = self.view.catalogue.facts.get(id)
            names = [self.view.name(f"supports/{support}") for support in supports]
            rows.append({**self.said.things([id])[0], "question": self.said.text(fact.question) if fact else "", "supports": names})
        return rows

    def letters(self) -> list[dict[str, str]]:
        """One letter of inquiry for each desk that knows a fact on which an answer waits; papers are Japanese, so the letters are too."""
        catalogue, groups = self.view.catalogue, dict[str, list[str]]()
        for row in self.to_ask():
            fact = catalogue.facts.get(row["id"])
            if fact is not None:
                groups.setdefault(fact.desk.ja, []).append(fact.question.ja)
        texts, plan = catalogue.words["ja"], self.view.plan
        town = self.one.region.name.rpartition(" / ")[0] or self.one.region.name
        year = texts["inquiry.year"].format(year=era_year(self.funding.start))
        letters = []
        for desk, questions in groups.items():
            lines = "\n".join(f"{number}. {question}" for number, question in enumerate(questions, start=1))
            body = texts["inquiry.body"].format(desk=desk, town=town, sentence=plan.sentence, year=year, lines=lines)
            letters.append({"desk": desk, "count": str(len(questions)), "body": body})
        return letters


@dataclass(frozen=True)
class SupportPages:
    """The page of supports of a plan."""

    plans: Plans
    frame: Frame

    def routes(self) -> list[Route]:
        """Only one."""
        self.plans.add("supports")
        return [Route("/plans/{plan}/supports", self.supports)]

    async def supports(self, request: Request) -> Response:
        """Every support once, those of one answer where `?answer=` asks for them."""
        return await run_in_threadpool(self._supports, request)

    def _supports(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        view, scale, path = self.plans.view(request, one), scale_of(request), f"/plans/{quote(name)}/supports"
        reader = Reader(Said(view, one.funding), one, scale)
        rows = sorted(
            (reader.row(answer) for answer in one.funding.answers), key=lambda row: (row["out_of_scope"], not row["counted_in"], ANSWERS.index(row["shown"]))
        )
        wanted = request.query_params.get("answer", "")
        kept = {"unit": scale.id} if scale.id == "yen" else {}
        filters = [{"id": "", "count": len(rows), "url": self.frame.url(request, path, **kept), "here": wanted not in ANSWERS}]
        filters += [
            {"id": id, "count": sum(row["answer"] == id for row in rows), "url": self.frame.url(request, path, **kept, answer=id), "here": wanted == id}
            for id in ANSWERS
        ]
        self.frame.note(request, "view", f"plans/{name}", "supports")
        context = {
            "said": reader.said,
            "scale": scale,
            "scales": scales(self.frame, request, path),
            "unit_word": view.word(f"money.unit.{scale.id}"),
            "mark_text": reader.said.mark(),
            "filters": filters,
            "rows": [row for row in rows if wanted not in ANSWERS or row["answer"] == wanted],
            "to_ask": reader.to_ask(),
            "letters": reader.letters(),
            "year": reader.said.fiscal(one.funding.start),
        }
        return self.plans.page(request, "supports", "supports.html", name, one, context)
