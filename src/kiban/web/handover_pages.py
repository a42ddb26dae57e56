"""The hand-over of a plan: one page to read and print, the same as a paper to take along.

In: the plans with their versions. Out: routes below /plans/{plan}/handover.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.catalogue import words
from kiban.documents.handover import Own, Pack, Version, handover
from kiban.documents.paper import Paper
from kiban.documents.paper_pdf import paper_pdf
from kiban.documents.view import View
from kiban.loop.folder import KINDS
from kiban.loop.kept import differences
from kiban.records.funding import Inputs
from kiban.web.keeping import Keeping, Known, moment_text, who_text, why_text
from kiban.web.preview import rows

SHOWN = 100  # versions in the pack, the newest


@dataclass(frozen=True)
class HandoverPages:
    """The page and its files."""

    keeping: Keeping

    def routes(self) -> list[Route]:
        """All of them."""
        self.keeping.plans.add("handover")
        return [Route("/plans/{plan}/handover", self.page), Route("/plans/{plan}/handover.{ending}", self.file)]

    async def page(self, request: Request) -> Response:
        """All of it on one page."""
        known = await self.keeping.open(request)
        self.keeping.frame.note(request, "view", f"plans/{known.name}", "handover")
        return await run_in_threadpool(self._page, request, known)

    def _page(self, request: Request, known: Known) -> Response:
        paper = self._paper(known, self.keeping.plans.view(request, known.one))
        context = {
            "paper": paper,
            "rows": rows(paper, self.keeping.frame.language(request)),
            "file": lambda ending: f"/plans/{quote(known.name)}/handover.{ending}",
        }
        return self.keeping.page(request, "handover", "handover.html", known, context)

    async def file(self, request: Request) -> Response:
        """The same as .docx or .pdf, in Japanese as all papers are."""
        known = await self.keeping.open(request)
        ending, catalogue, one = request.path_params["ending"], self.keeping.frame.catalogue, known.one
        from kiban.documents.docx import docx  # not before a paper is written: it takes a while to load

        makers = {"docx": docx, "pdf": paper_pdf}
        if ending not in makers:
            raise HTTPException(404)
        view = View(one.plan, catalogue, words(catalogue, "ja"), "ja", one.region.name, one.region.sources)
        paper = await run_in_threadpool(self._paper, known, view)
        content = await run_in_threadpool(makers[ending], paper)
        self.keeping.frame.note(request, "export", f"plans/{known.name}", f"handover.{ending}")
        name = f"attachment; filename*=UTF-8''{quote(paper.title)}.{ending}"
        return Response(content, media_type=KINDS["." + ending], headers={"content-disposition": name})

    def _paper(self, known: Known, view: View) -> Paper:
        told = self.keeping.told(known, view)
        versions, own, before = [], {}, Inputs()
        for saved in known.kept.history():
            inputs = known.kept.read(saved.version)
            changed = differences(before, inputs)
            who, when = who_text(saved, view), moment_text(saved.at, view.lang)
            versions.append(Version(when, who, why_text(saved, view), tuple(told.name(one.part, one.key) for one in changed)))
            for one in changed:
                own[one.part, one.key] = f"{who}\n{when}"
            before = inputs
        wrote = tuple(Own(told.name("words", key), text, own.get(("words", key), "")) for key, text in known.inputs.words.items())
        asked = tuple(self.keeping.asked(known))
        folder = str(known.name)
        pack = Pack(view, known.one.funding, known.inputs, asked, wrote, tuple(reversed(versions[-SHOWN:])), folder, self.keeping.today())
        return handover(pack)
