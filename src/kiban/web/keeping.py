"""What the pages that change a plan share: its versions, saving, making the papers again, saying what changed in words.

In: the plans, the store, a form. Out: versions, and where to go next. Papers are made in a thread of their own; pages say so and go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kiban.base.errors import KibanError
from kiban.base.jdate import day_text
from kiban.catalogue import words
from kiban.documents.dossier import Dossier
from kiban.documents.papers import Printed, generated, office_papers, public
from kiban.documents.view import View
from kiban.jobs import Jobs
from kiban.loop.folder import Folder
from kiban.loop.given import TOKYO
from kiban.loop.kept import OUTSIDE, Change, Draft, Kept, Outcome, remake, stale
from kiban.records.fact import NamedFact
from kiban.records.funding import COMPONENT, Funding, Inputs, Quote
from kiban.web.frame import Frame, number_of
from kiban.web.plans import Plans

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Saved

PLANS_KEPT = 20  # plans whose papers are kept at hand
LONGEST_WHY = 300  # letters of a reason
State = Literal["ready", "busy", "failed", "stale"]


@dataclass
class Remaking:
    """Makes papers again, one plan after the other; a plan that is asked for again while it is being made is made once more."""

    make: Callable[[str], None]

    def __post_init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "papers")
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}
        self._failed: dict[str, str] = {}

    def ask(self, name: str) -> None:
        """Have the papers of a plan made again."""
        with self._lock:
            self._asked[name] = self._asked.get(name, 0) + 1
            if self._asked[name] <= 2:  # one that runs, one that comes after it: both see all that was saved before they began
                self._worker.submit(self._run, name)
            else:
                self._asked[name] = 2

    def busy(self, name: str) -> bool:
        """Whether they are being made."""
        return name in self._asked

    def trouble(self, name: str) -> str:
        """Why they could not be made; empty where they could."""
        return self._failed.get(name, "")

    def _run(self, name: str) -> None:
        try:
            self.make(name)
            self._failed.pop(name, None)
        except (KibanError, OSError) as error:
            self._failed[name] = str(error)
        finally:
            with self._lock:
                self._asked[name] -= 1
                if not self._asked[name]:
                    del self._asked[name]


@dataclass(frozen=True)
class Queued:
    """The same through the queue: in a process of its own, so that pages stay quick, and begun again when the server ends meanwhile."""

    jobs: Jobs
    lang: str

    def ask(self, name: str) -> None:
        """Have the papers of a plan made again."""
        self.jobs.submit_papers(name, self.lang)

    def busy(self, name: str) -> bool:
        """Whether they are being made, or wait to be."""
        return any(job.of == name and not job.over for job in self.jobs.all())

    def trouble(self, name: str) -> str:
        """Why they could not be made the last time; empty where they could."""
        last = next((job for job in self.jobs.all() if job.of == name and job.over), None)
        return last.error or "" if last is not None else ""


@dataclass(frozen=True)
class Known:
    """A plan as a page needs it: its name, its records, its newest version, and why that cannot be read, if it cannot."""

    name: str
    one: Folder
    kept: Kept
    version: int
    inputs: Inputs
    trouble: str = ""


@dataclass(frozen=True)
class Written:
    """The papers of a plan as they are today: with the officer's own words, and what each passage says without them, by its key."""

    printed: tuple[Printed, ...]
    generated: Mapping[str, str]


@dataclass
class Keeping:
    """The versions of the plans of this server."""

    plans: Plans
    frame: Frame
    jobs: Jobs | None = None
    remaking: Remaking | Queued = field(init=False)

    def __post_init__(self) -> None:
        self._written: dict[str, tuple[Folder, Inputs, date, Written]] = {}
        if self.jobs is not None:
            self.remaking = Queued(self.jobs, self.frame.lang)
            return
        self.remaking = Remaking(lambda name: remake(self.plans.path(name), self.frame.catalogue, self.frame.lang, self.frame.now()))

    def today(self) -> date:
        """The day in Japan."""
        return self.frame.now().astimezone(TOKYO).date()

    async def open(self, request: Request) -> Known:
        """The plan in the path of the request."""
        return await run_in_threadpool(self._open, request)

    def _open(self, request: Request) -> Known:
        name, one = self.plans.open(request)
        assert self.frame.store is not None
        kept = Kept(self.frame.store, self.plans.path(name), one.plan.id, self.frame.now)
        try:
            version, inputs = kept.current()
        except (KibanError, OSError) as error:  # a paper is damaged, or the folder cannot be written: what is in the store can be read all the same
            history = kept.history()
            version = history[-1].version if history else 0
            trouble = f"{name}: {error.strerror}" if isinstance(error, OSError) else str(error).replace(f"{self.plans.folder}/", "")
            return Known(name, one, kept, version, kept.read(version), trouble)
        return Known(name, one, kept, version, inputs)

    def url(self, request: Request, known: Known, page: str, **query: str) -> str:
        """A page of the plan."""
        return self.frame.url(request, f"/plans/{quote(known.name)}/{page}", **query)

    async def save(self, request: Request, known: Known, change: Change, form: dict[str, str], why: str, page: str, anchor: str = "") -> Response:
        """Keep a change; then to the page, or to where two texts stand side by side. why: what is said when nobody says it."""
        who = self.frame.need(request, "editor")
        reason = reason_of(form.get("why", "")) or why
        expected = number_of(form.get("version"))
        try:
            outcome = await run_in_threadpool(known.kept.save, change, who=who.name, why=reason, expected=expected)
        except (KibanError, OSError):
            known = await self.open(request)
            if not known.trouble:
                raise
            base = known.kept.read(expected if expected <= known.version else 0)  # a paper of the folder is damaged: what was typed is kept until it is mended
            draft = Draft(kind="stopped", base=expected, inputs=change(base))
            outcome = Outcome(known.version, await run_in_threadpool(known.kept.put_aside, draft, who=who.name, why=reason))
        if outcome.draft is not None:
            self.frame.note(request, "conflict", f"plans/{known.name}", f"draft {outcome.draft}")
            return RedirectResponse(self.url(request, known, f"drafts/{outcome.draft}"), 303)
        self.frame.note(request, "change", f"plans/{known.name}", f"version {outcome.version}: {reason}")
        return self.saved(request, known, outcome.version, page, anchor)

    def saved(self, request: Request, known: Known, version: int, page: str, anchor: str = "") -> Response:
        """To a page after saving; the papers follow."""
        if stale(known.kept.path):
            with suppress(KibanError):  # no room in the queue: what was written is kept, and the page says that its papers are older
                self.remaking.ask(known.name)
        return RedirectResponse(self.url(request, known, page, saved=str(version)) + (f"#{quote(anchor)}" if anchor else ""), 303)

    def state(self, known: Known) -> State:
        """What the papers of the plan are: ready, being made, not to be made, older than what people have put in."""
        if self.remaking.busy(known.name):
            return "busy"
        if stale(known.kept.path):
            return "failed" if self.remaking.trouble(known.name) else "stale"
        return "ready"

    def page(self, request: Request, tab: str, template: str, known: Known, context: dict[str, Any], status: int = 200) -> Response:
        """A page of a plan with what all pages that change it need."""
        view = self.plans.view(request, known.one)
        given = {
            "version": known.version,
            "trouble": known.trouble,
            "state": self.state(known),
            "state_trouble": self.remaking.trouble(known.name).replace(f"{self.plans.folder}/", ""),
            "saved": request.query_params.get("saved", ""),
            "here": self.url(request, known, tab),
            "can": self.frame.who(request).role != "viewer" and not known.trouble,
            "post": lambda page: self.url(request, known, page),
            "line_name": lambda id: line_name(view, known.one.funding, id),
            "facts_open": len(self.asked(known)),
        }
        return self.plans.page(request, tab, template, known.name, known.one, {**given, **context}, status)

    def asked(self, known: Known) -> list[str]:
        """The facts that supports and verdict still lack, those that supports wait for first."""
        body = next((step.body for step in known.one.plan.steps if step.id == "verdict"), {})
        points = [str(about) for point in body.get("points", ()) if point["kind"] == "fact" for about in point["about"]]
        rows = [str(row["row"]) for row in body.get("bottlenecks", ()) if row.get("ask") == "fact"]
        wanted = dict.fromkeys([*known.one.funding.missing, *points, *rows])
        return [id for id in wanted if id in self.frame.catalogue.facts and id not in known.inputs.facts]

    def dossier(self, known: Known) -> Dossier:
        """What the papers of the plan are made from, with the newest version of what people have put in."""
        one, catalogue = known.one, self.frame.catalogue
        office = View(one.plan, catalogue, words(catalogue, "ja"), "ja", one.region.name, one.region.sources)
        return Dossier(office, one.region, one.problem, one.design, one.funding, known.inputs, self.today())

    def written(self, known: Known) -> Written:
        """The papers of the plan, written again when the plan, what people put in, or the day is another."""
        dossier = self.dossier(known)
        last = self._written.get(known.name)
        if last is not None and last[0] is known.one and last[1:3] == (known.inputs, dossier.today):
            return last[3]
        found = written_of(dossier)
        self._written.pop(known.name, None)
        self._written[known.name] = (known.one, known.inputs, dossier.today, found)
        for name in list(self._written)[:-PLANS_KEPT]:
            self._written.pop(name, None)
        return found

    def told(self, known: Known, view: View) -> Told:
        """Who says in words what people put in."""
        return Told(view, known.one.funding, self.written(known))


def written_of(dossier: Dossier) -> Written:
    """The papers of a dossier, and what each passage says without anybody's own words."""
    printed = tuple(office_papers(dossier, public(dossier)))
    if dossier.inputs.words or dossier.inputs.made:
        return Written(printed, generated(dossier))
    return Written(printed, {key: passage.text for one in printed for key, passage in one.paper.passages().items()})


@dataclass(frozen=True)
class Told:
    """Says in the language of a page what somebody put in."""

    view: View
    funding: Funding
    written: Written
    labels: dict[str, tuple[str, str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for printed in self.written.printed:
            self.labels.update({key: (printed.paper.title, passage.label) for key, passage in printed.paper.passages().items()})

    def name(self, part: str, key: str) -> str:
        """What it is about."""
        word = self.view.word
        if part == "words":
            paper, label = self.labels.get(key, ("", key))
            return f"{paper}　{label}" if paper else label
        if part == "facts":
            return self.view.name(f"facts/{key}")
        if part in ("quantities", "prices"):
            return word(f"kept.{part}", name=line_name(self.view, self.funding, key))
        if part == "quotes":
            return word("kept.quotes", name=key)
        return word("kept.tax") if part == "tax" else word("kept.voice", name=self.view.name(key))

    def value(self, part: str, key: str, value: Any) -> str:
        """What was put in; of a passage without own words the generated text."""
        word = self.view.word
        if part == "words":
            return self.written.generated.get(key, word("kept.generated")) if value is None else (value[0] or word("kept.emptied"))
        if value is None:
            return word("kept.nothing")
        if isinstance(value, Quote):
            return self.quote(value)
        if part == "facts":
            return spoken(self.view, self.view.catalogue.facts.get(key), value)
        if part == "tax":
            return f"{value * 100:.4g} %"
        if part == "quantities":
            return f"{value[0]:,.10g}"
        return word("kept.yen", amount=f"{value:,.10g}") if part == "prices" else str(value)

    def quote(self, quote: Quote) -> str:
        """A supplier's answer in a line."""
        priced = sum(answer.unit_yen is not None for answer in quote.answers)
        until = day_text(quote.valid_until, self.view.lang) if quote.valid_until else self.view.word("quotes.no_limit")
        return self.view.word("kept.quote", count=priced, until=until, answered=len(quote.requirements), day=day_text(quote.received, self.view.lang))

    def own(self, part: str, value: Any) -> bool:
        """Whether a person put it in."""
        return part != "words" or value is not None


def line_name(view: View, funding: Funding, id: str) -> str:
    """A line of the estimate, with the technology that it is for; the id of one that is not there."""
    line = next((one for one in funding.lines if one.id == id), None)
    if line is None:
        return id
    name = str(getattr(line.name, view.lang))
    return name if line.technology == COMPONENT else f"{view.name('technologies/' + line.technology)}: {name}"


def spoken(view: View, fact: NamedFact | None, value: Any) -> str:
    """The value of a named fact: yes or no, its choice, a number with its unit, a day, a text."""
    if isinstance(value, bool):
        return view.word("show.yes" if value else "show.no")
    if isinstance(value, int | float):
        unit = view.unit(fact.unit) if fact and fact.unit and fact.unit != "1" else ""
        return f"{value:,.10g} {unit}".strip()
    if fact and value in fact.choices:
        return str(getattr(fact.choices[value], view.lang))
    if fact and fact.kind == "day":
        return day_text(date.fromisoformat(value), view.lang)
    return str(value)


def moment_text(at: datetime, lang: str) -> str:
    """A moment in Japan, to the minute."""
    here = at.astimezone(TOKYO)
    return f"{day_text(here.date(), lang)} {here:%H:%M}"


def who_text(saved: Saved, view: View) -> str:
    """Who made a version."""
    return view.word("kept.by_files") if saved.author == OUTSIDE else saved.author


def why_text(saved: Saved, view: View) -> str:
    """Why a version was made."""
    return view.word("kept.why_files") if saved.author == OUTSIDE else saved.reason


def reason_of(text: str) -> str:
    """A reason as it is kept: one line of printable letters.

    >>> reason_of(" 課長の\\r\\n指示\\x00 ")
    '課長の 指示'
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:LONGEST_WHY]


def numbered(request: Request, name: str) -> int:
    """The number in the path. Raises HTTPException 404."""
    found = number_of(request.path_params[name])
    if not found:
        raise HTTPException(404)
    return found
