"""Pages from a sentence to a plan: the form, what was understood, the questions, the job that makes the plan.

In: the folder of regions, the catalogue, the jobs. Out: routes. Until a plan is asked for, everything stands in the address, so that a page can be
gone back to, kept and sent to a colleague; only the two requests that change something are sent as forms, and only from a page of this server.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.catalogue import Catalogue, words
from kiban.catalogue.words import Words
from kiban.jobs import Jobs
from kiban.loop.given import Given
from kiban.loop.issue import LONGEST, answers_known, issue_step
from kiban.loop.options import options_step
from kiban.records.issue import Issue
from kiban.records.job import Job
from kiban.records.region import Region
from kiban.region import Detour, read
from kiban.web.frame import Frame, plain_text

MOST_OFFERS = 6  # named before any question; all stand in the plan
ASKED = re.compile(r"(.+?)\(([^()]+)\)")  # whom(what)
LIKE = re.compile(r"^似た事例の団体「(.+?)」")  # how the form names a town with a like case
ANSWER = "q."  # what the name of a question begins with in a form


@dataclass
class Regions:
    """The region folders of the server; each is read once until its files change."""

    folder: Path
    detour: Detour | None = None  # used where a folder has no streets and names no factor

    def __post_init__(self) -> None:
        self._read: dict[str, tuple[object, Region]] = {}

    def names(self) -> list[str]:
        """The folders that hold a region."""
        return sorted(path.parent.name for path in self.folder.glob("*/region.yaml")) if self.folder.is_dir() else []

    def open(self, name: str) -> Region:
        """One region. Raises KibanError when its files cannot be used; KeyError when there is none of this name."""
        if name not in self.names():
            raise KeyError(name)
        files = [(path.name, path.stat()) for path in sorted((self.folder / name).iterdir())]
        stamp = [(file, about.st_mtime_ns, about.st_size) for file, about in files]  # of each: a file that is put back keeps its older time
        if self._read.get(name, (None,))[0] != stamp:
            self._read[name] = (stamp, read(self.folder / name, detour=self.detour))
        return self._read[name][1]

    def id_of(self, name: str) -> str | None:
        """The id that a region's files give it; None when they cannot be used."""
        try:
            return self.open(name).id
        except (KibanError, KeyError, OSError):
            return None

    def with_id(self, id: str) -> str | None:
        """The folder of the region with this id; None when none is here."""
        return next((name for name in self.names() if self.id_of(name) == id), None)


@dataclass(frozen=True)
class Making:
    """The pages between a sentence and a plan."""

    regions: Regions
    catalogue: Catalogue
    jobs: Jobs
    frame: Frame

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/new", self.new),
            Route("/issue", self.issue),
            Route("/jobs", self.all_jobs),
            Route("/jobs", self.submit, methods=["POST"]),
            Route("/jobs/{job}", self.job),
            Route("/jobs/{job}/state", self.state),
            Route("/jobs/{job}/cancel", self.cancel, methods=["POST"]),
        ]

    async def new(self, request: Request) -> Response:
        """The form: which town, which sentence."""
        return await run_in_threadpool(self._form, request, dict(request.query_params), "")

    async def issue(self, request: Request) -> Response:
        """What was understood of the sentence, with the questions."""
        return await run_in_threadpool(self._understood, request)

    async def submit(self, request: Request) -> Response:
        """Have the plan made."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        region, sentence = form.get("region", ""), sentence_of(form)
        if region not in self.regions.names() or not 0 < len(sentence) <= LONGEST:
            return RedirectResponse("/new?" + urlencode({"region": region, "sentence": sentence[:LONGEST], "lang": self.frame.language(request)}), 303)
        try:
            job = await run_in_threadpool(self.jobs.submit, region, sentence, self._answers(form), self.frame.language(request))
        except KibanError as error:
            raise HTTPException(503, str(error)) from error
        return RedirectResponse(f"/jobs/{job.id}?lang={self.frame.language(request)}", 303)

    async def all_jobs(self, request: Request) -> Response:
        """The jobs, newest first."""
        return await run_in_threadpool(self._all_jobs, request)

    async def job(self, request: Request) -> Response:
        """One job; when its plan is there, the plan."""
        job = self._job(request)
        if job.plan is not None:
            return RedirectResponse(self._made(request, job), 303)
        context = await run_in_threadpool(self._told, job, request)
        return self.frame.page(request, "job.html", {**context, "spoken": False})

    async def state(self, request: Request) -> Response:
        """What of a job's page changes while one looks at it; what is spoken comes along only when it is other than `seen`."""
        job = self._job(request)
        if job.over:
            there = self._made(request, job) if job.plan is not None else self.frame.url(request, f"/jobs/{job.id}")
            return Response(headers={"hx-redirect": there, "cache-control": "no-store"})
        context = await run_in_threadpool(self._told, job, request)
        response = self.frame.page(request, "job_state.html", {**context, "spoken": request.query_params.get("seen", "") != context["stage"]})
        response.headers["cache-control"] = "no-store"
        return response

    async def cancel(self, request: Request) -> Response:
        """Ask a job to stop."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        job = self._job(request)
        await run_in_threadpool(self.jobs.cancel, job.id)
        return RedirectResponse(self.frame.url(request, "/jobs" if form.get("back") == "jobs" else f"/jobs/{job.id}"), 303)

    # --- parts

    def _made(self, request: Request, job: Job) -> str:
        """Where the plan of a job is seen: alone, or beside the one that it is to be compared with."""
        assert job.plan is not None
        return self.frame.url(request, "/compare", a=job.beside, b=job.plan) if job.beside else self.frame.url(request, f"/plans/{job.plan}")

    def _job(self, request: Request) -> Job:
        job = self.jobs.get(request.path_params["job"])
        if job is None:
            raise HTTPException(404)
        return job

    def _all_jobs(self, request: Request) -> Response:
        rows = [self._told(job, request) for job in self.jobs.all()]
        return self.frame.page(request, "jobs.html", {"rows": rows, "moving": any(not row["job"].over for row in rows)})

    def _told(self, job: Job, request: Request) -> dict[str, Any]:
        """What a page says of a job, in the language of the page: what is being done, since when and for how long still, what can be done next."""
        japanese, _, english = job.said.partition(" / ")
        said = english if self.frame.language(request) == "en" and english else japanese
        answers = {ANSWER + id: choice for id, choice in job.answers.items()}
        again = f"/plans/{job.of}" if job.of is not None else "/issue"
        return {
            "job": job,
            "said": said if job.status == "running" else "",
            "stage": f"{job.status}{job.stopping:d}{said}",
            "seconds": max(0, int(((job.ended or datetime.now(UTC)) - (job.begun or job.asked)).total_seconds())),
            "left": self.jobs.left(job),
            "percent": int(100 * job.share),
            "town": self._town(job),
            "ahead": self.jobs.ahead(job) if job.status == "waiting" else 0,
            "again": self.frame.url(request, again, **({} if job.of is not None else {"region": job.region, "sentence": job.sentence, **answers})),
            "state_url": self.frame.url(request, f"/jobs/{job.id}/state"),
            "cancel_url": self.frame.url(request, f"/jobs/{job.id}/cancel"),
        }

    def _town(self, job: Job) -> str:
        """The name of the town of a job, as far as its region can still be read."""
        for name in [job.region] if job.of is None else self.regions.names():
            with suppress(KeyError, KibanError, OSError):  # the job was asked for when the region was still there
                region = self.regions.open(name)
                if job.of is None or region.id == job.region:
                    return region.name
        return job.region

    def _form(self, request: Request, typed: Mapping[str, str], wrong: str) -> Response:
        rows = []
        for name in self.regions.names():
            try:
                region = self.regions.open(name)
                rows.append({"name": name, "title": region.name, "sites": len(region.sites), "label": region.label, "trouble": ""})
            except KibanError as error:  # one broken folder must not hide the others
                rows.append({"name": name, "title": name, "sites": 0, "label": None, "trouble": str(error)})
        return self.frame.page(
            request,
            "new.html",
            {"rows": rows, "typed": typed, "wrong": wrong, "longest": LONGEST, "folder": self.regions.folder.name},
            status=422 if wrong else 200,
        )

    def _understood(self, request: Request) -> Response:
        query = dict(request.query_params)
        name, sentence, lang = query.get("region", ""), sentence_of(query), self.frame.language(request)
        try:
            region = self.regions.open(name)
        except KeyError:
            return self._form(request, query, "region")
        if not 0 < len(sentence) <= LONGEST:
            return self._form(request, query, "sentence")
        answers = self._answers(query)
        issue, step = issue_step(Given(sentence=sentence, region=region, catalogue=self.catalogue, now=datetime.now(UTC), answers=answers))
        cases = [(row["id"], self.catalogue.cases[row["id"]]) for row in step.body["cases"] if row["id"] in self.catalogue.cases]
        context = {
            "body": step.body,
            "asks": [(line[lang], _letter(words(self.catalogue, "ja"), line["ja"], region.name, sentence)) for line in step.body.get("ask") or ()],
            "region": region,
            "name": name,
            "sentence": sentence,
            "given_answers": answers,
            "answer_name": lambda id: ANSWER + id,
            "cases": cases,
            **self._first(region, issue, step.body),
            "matched": issue.status == "matched" and bool(issue.models),
            "unit_word": lambda unit: "/".join(self.catalogue.words[lang].get("unit." + part, part) for part in unit.split("/")),
            "headline": lambda kind, id: self.catalogue.headline(kind, id, lang),
            "words_of": list(dict.fromkeys(word for match in (*issue.usecases, *issue.models) for word in match.words)),
            "change": "/new?" + urlencode({"region": name, "sentence": sentence, "lang": lang}),
        }
        return self.frame.page(request, "issue.html", context)

    def _first(self, region: Region, issue: Issue, body: Mapping[str, Any]) -> dict[str, Any]:
        """What can be said before any question: the model in words, the places of this town that it is about, what others already offer here."""
        if issue.status != "matched" or not issue.models:
            return {"model": None}
        model = self.catalogue.models[issue.models[0].id]
        usecases = [row["id"] for row in body["usecases"]] or list(model.usecases)
        kinds = dict.fromkeys(kind for id in usecases if id in self.catalogue.usecases for kind in self.catalogue.usecases[id].sites)
        counts = Counter(site.kind for site in region.sites)
        options = options_step(issue, usecases, Given(sentence=issue.sentence, region=region, catalogue=self.catalogue, now=datetime.now(UTC)))
        offers = [record.partition("/")[2] for row in options.body["rows"] for record in row["records"] if record.startswith("offers/")]
        return {"model": model, "site_counts": [(kind, counts[kind]) for kind in kinds if counts[kind]], "offers": offers[:MOST_OFFERS]}

    def _answers(self, form: Mapping[str, str]) -> dict[str, str]:
        """The answers in a form; 「わからない」, and what no question offers, is none."""
        known = answers_known(self.catalogue)
        given = {key.removeprefix(ANSWER): value for key, value in form.items() if key.startswith(ANSWER)}
        return {id: choice for id, choice in given.items() if choice in known.get(id, ())}


def _letter(word: Words, ask: str, town: str, sentence: str) -> str:
    """The letter to somebody who may know more, in Japanese: "whom(what)" of the form of the issue, or whom alone."""
    found = ASKED.fullmatch(ask)
    whom, what = (found[1], found[2]) if found else (ask, "")
    about = word("make.letter.about", what=what) if what else ""
    return word("make.letter", whom=LIKE.sub(r"\1", whom), town=town, sentence=sentence, about=about)


def sentence_of(form: Mapping[str, str]) -> str:
    """The sentence of a form, in one line of letters that a command and a paper can hold.

    >>> sentence_of({"sentence": " 孤立した\\r\\n集落\\x00 "})
    '孤立した 集落'
    """
    return plain_text(form.get("sentence", "")).replace("\n", " ").replace("\t", " ")
