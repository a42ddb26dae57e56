"""Quotations of a plan: the form to send, the answers that came back, what they say line by line.

In: the plans with their versions. Out: routes below /plans/{plan}/quotes. An answer is read and shown before anything changes; each one can be taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.base.jdate import day_text
from kiban.documents.paper import OUTSIDE, Bullets, Heading, Paragraph, Passage
from kiban.loop.kept import Draft
from kiban.loop.quoting import imported, summary
from kiban.records.funding import Inputs
from kiban.web.keeping import Keeping, Known, line_name, reason_of
from kiban.web.refused import Refused
from kiban.web.uploads import as_files, told, uploads

SENT = ("参考見積依頼書.docx", "見積様式.xlsx", "要件一覧.xlsx")  # what a supplier is sent


@dataclass(frozen=True)
class QuotePages:
    """The page of the quotations."""

    keeping: Keeping

    def routes(self) -> list[Route]:
        """All of them."""
        self.keeping.plans.add("quotes")
        base = "/plans/{plan}/quotes"
        return [Route(base, self.all), Route(base, self.upload, methods=["POST"]), Route(f"{base}/remove", self.remove, methods=["POST"])]

    async def all(self, request: Request) -> Response:
        """Send, take in, compare."""
        known = await self.keeping.open(request)
        self.keeping.frame.note(request, "view", f"plans/{known.name}", "quotes")
        return await run_in_threadpool(self._page, request, known)

    def _page(self, request: Request, known: Known, wrong: str = "", details: tuple[Refused, ...] = (), status: int = 200) -> Response:
        say = self.keeping.told(known, self.keeping.plans.view(request, known.one))
        found = summary(known.one, known.inputs, self.keeping.frame.catalogue, self.keeping.today())
        quotes = {quote.supplier: quote for quote in known.inputs.quotes}
        funding = known.one.funding
        context = {
            "table": found,
            "suppliers": [{**row, "told": say.quote(quotes[row["supplier"]])} for row in found["suppliers"]],
            "waiting": [line_name(say.view, funding, id) for id in found["awaiting"]],
            "short": [(line_name(say.view, funding, id), count) for id, count in found["short"].items()],
            "sent": [f"{OUTSIDE}/{name}" for name in SENT if (known.kept.path / OUTSIDE / name).is_file()],
            "mail": self._mail(known),
            "by_day": day_text(known.one.funding.quotes_by, say.view.lang) if known.one.funding.quotes_by else "",
            "wrong": wrong,
            "details": details,
        }
        return self.keeping.page(request, "quotes", "quotes.html", known, context, status)

    async def upload(self, request: Request) -> Response:
        """Read answers; what they would change is shown before it does."""
        frame = self.keeping.frame
        who = frame.need(request, "editor")
        _, files = await uploads(frame, request)
        known = await self.keeping.open(request)
        word = frame.words(request)
        if not files:
            return await run_in_threadpool(self._page, request, known, word("papers.upload.none"), (), 422)
        try:
            inputs, notes = await run_in_threadpool(self._read, known, files)
        except KibanError as error:
            return await run_in_threadpool(self._page, request, known, word("quotes.unreadable"), tuple(told(error, frame.language(request))), 422)
        draft = Draft(kind="upload", base=known.version, inputs=inputs, notes=tuple(notes))
        why = word("quotes.why.upload", list=", ".join(name for name, _ in files))
        number = await run_in_threadpool(known.kept.put_aside, draft, who=who.name, why=reason_of(why))
        frame.note(request, "upload", f"plans/{known.name}", f"draft {number}")
        return RedirectResponse(self.keeping.url(request, known, f"drafts/{number}"), 303)

    def _read(self, known: Known, files: list[tuple[str, bytes]]) -> tuple[Inputs, list[str]]:
        with as_files(files) as paths:
            return imported(paths, known.one, known.inputs, self.keeping.today())

    async def remove(self, request: Request) -> Response:
        """Take the answer of a supplier out again."""
        frame = self.keeping.frame
        frame.need(request, "editor")
        form = await frame.form(request)
        known = await self.keeping.open(request)
        supplier = form.get("supplier", "")

        def change(inputs: Inputs) -> Inputs:
            return replace(inputs, quotes=tuple(quote for quote in inputs.quotes if quote.supplier != supplier))

        return await self.keeping.save(request, known, change, form, reason_of(frame.words(request)("quotes.why.remove", name=supplier[:100])), "quotes")

    def _mail(self, known: Known) -> str:
        """The request as a text that can be copied into a mail, as the paper says it today."""
        paper = next(printed.paper for printed in self.keeping.written(known).printed if printed.paper.id == "quote-request")
        lines: list[str] = [paper.title, ""]
        for block in paper.blocks:
            if isinstance(block, Heading):
                lines += ["", block.text]
            elif isinstance(block, Passage):
                lines += [block.text]
            elif isinstance(block, Bullets):
                lines += [f"{number}. {text}" for number, text in enumerate(block.items, start=1)]
            elif isinstance(block, Paragraph) and block.look in ("left", "right"):
                lines += [block.text]
        return "\n".join(lines).strip()
