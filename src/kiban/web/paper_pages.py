"""The papers of a plan: two folders, each paper as a page in which its own words can be written, and the folders packed.

In: the plans with their versions. Out: routes below /plans/{plan}/papers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.documents.own_words import read_words
from kiban.documents.paper import INSIDE, OUTSIDE
from kiban.documents.papers import Printed
from kiban.loop.files import OLD, paper_names, paper_state, read_manifest, warnings
from kiban.loop.inputs import merge_estimate, read_estimate
from kiban.loop.kept import Draft
from kiban.records.funding import Inputs
from kiban.web.frame import plain_text
from kiban.web.keeping import Keeping, Known, reason_of
from kiban.web.preview import rows
from kiban.web.refused import Refused, noted
from kiban.web.uploads import as_files, told, uploads

LONGEST = 20_000  # letters of a passage: ten pages
FOLDERS = {"inside": INSIDE, "outside": OUTSIDE}
STAMP = (1980, 1, 1, 0, 0, 0)  # no clock time in a packed file: equal papers are equal bytes


@dataclass
class PaperPages:
    """The pages of the papers."""

    keeping: Keeping

    def __post_init__(self) -> None:
        self.frame, self.plans = self.keeping.frame, self.keeping.plans
        self._warned: dict[str, tuple[object, list[str]]] = {}

    def routes(self) -> list[Route]:
        """All of them."""
        self.plans.add("papers")
        base = "/plans/{plan}/papers"
        return [
            Route(base, self.all),
            Route(base, self.make, methods=["POST"]),
            Route(f"{base}/state", self.state),
            Route(f"{base}/upload", self.upload, methods=["POST"]),
            Route(base + "/{folder}.zip", self.packed),
            Route(base + "/{paper}", self.one),
            Route(base + "/{paper}", self.write, methods=["POST"]),
        ]

    async def all(self, request: Request) -> Response:
        """The two folders."""
        known = await self.keeping.open(request)
        self.frame.note(request, "view", f"plans/{known.name}", "papers")
        return await run_in_threadpool(self._all, request, known)

    def _all(self, request: Request, known: Known, wrong: str = "", details: Sequence[Refused] = (), status: int = 200) -> Response:
        path = known.kept.path
        own = {printed.path: printed.paper for printed in self.keeping.written(known).printed}
        leaking = self.warned(known)
        by_id = {paper: self.frame.catalogue.papers[paper] for paper in self.frame.catalogue.papers}
        files = {form.texts.get("file", ""): form for form in by_id.values()}
        folders = []
        for id, folder in FOLDERS.items():
            papers: dict[str, dict[str, Any]] = {}
            sums = read_manifest(path).sums
            for name in paper_names(path):
                where, _, file = name.partition("/")
                stem, _, ending = file.rpartition(".")
                if where != folder:
                    continue
                paper = own.get(f"{folder}/{stem}")
                row = papers.setdefault(stem, {"title": paper.title if paper else stem, "stem": stem, "files": [], "state": "as written", "old": []})
                row["url"] = self.keeping.url(request, known, f"papers/{paper.id}") if paper else ""
                row["own"] = sum(key in known.inputs.words for key in paper.passages()) if paper else 0
                row["passages"] = len(paper.passages()) if paper else 0
                form = by_id.get(paper.id) if paper else files.get(stem)
                row["about"] = getattr(form.summary, self.frame.language(request)) if form and paper else self._about(request, stem)
                row["files"].append({"name": name, "format": ending, "size": (path / name).stat().st_size})
                state = paper_state(path, name, sums.get(name, ""))
                if state != "as written" and row["state"] != "damaged":
                    row["state"] = state
            for old in sorted((path / folder / OLD).glob("*.*")) if (path / folder / OLD).is_dir() else ():
                stem = old.name.rpartition(".")[0].rsplit("-", 2)[0]
                if stem in papers:
                    papers[stem]["old"].append(old.name)
            order = [path.partition("/")[2] for path in own]  # what is read first stands first, the workbooks behind
            listed = sorted(papers.values(), key=lambda row: (order.index(row["stem"]) if row["stem"] in order else len(order), row["stem"]))
            folders.append({"id": id, "name": folder, "papers": listed, "warnings": leaking if folder == OUTSIDE else []})
        keys = {key for paper in own.values() for key in paper.passages()}
        lost = [(key, text) for key, text in known.inputs.words.items() if key not in keys]
        context = {
            "lost": lost,
            "folders": folders,
            "wrong": wrong,
            "details": details,
            "zip_url": lambda folder: f"/plans/{quote(known.name)}/papers/{quote(folder)}.zip",
        }
        return self.keeping.page(request, "papers", "papers.html", known, context, status)

    def _about(self, request: Request, stem: str) -> str:
        texts = self.frame.catalogue.words[self.frame.language(request)]
        keys = {name: key for key, name in self.frame.catalogue.words["ja"].items() if key.startswith("page.paper.")}
        return texts.get("papers.about." + keys.get(stem, "").rpartition(".")[2], "")

    async def make(self, request: Request) -> Response:
        """Have the papers made again."""
        self.frame.need(request, "editor")
        await self.frame.form(request)
        known = await self.keeping.open(request)
        try:
            await run_in_threadpool(self.keeping.remaking.ask, known.name)
        except KibanError as error:
            raise HTTPException(503, str(error)) from error
        return RedirectResponse(self.keeping.url(request, known, "papers", saved=str(known.version)), 303)

    async def state(self, request: Request) -> Response:
        """What the papers are, for the page that waits for them."""
        known = await self.keeping.open(request)
        return self.keeping.page(request, "papers", "paper_state.html", known, {"polled": True})

    async def one(self, request: Request) -> Response:
        """One paper."""
        known = await self.keeping.open(request)
        self.frame.note(request, "view", f"plans/{known.name}", f"papers/{request.path_params['paper']}")
        return await run_in_threadpool(self._one, request, known)

    def _one(self, request: Request, known: Known, typed: dict[str, str] | None = None, wrong: str = "", status: int = 200) -> Response:
        printed = self._find(request, known)
        made = self.keeping.written(known).generated
        passages = {}
        for key, passage in printed.paper.passages().items():
            before = known.inputs.made.get(key)
            passages[key] = {
                "own": key in known.inputs.words,
                "text": known.inputs.words.get(key, passage.text),
                "made": made.get(key, ""),
                "before": before,
                "changed": key in known.inputs.words and before is not None and before.strip() != made.get(key, "").strip(),
            }
        context = {
            "paper": printed.paper,
            "rows": rows(printed.paper),
            "passages": passages,
            "typed": typed or {},
            "wrong": wrong,
            "longest": LONGEST,
            "files": [name for name in paper_names(known.kept.path) if name.rpartition(".")[0] == printed.path],
            "here": self.keeping.url(request, known, f"papers/{printed.paper.id}"),
            "warnings": [] if printed.paper.inside else self.warned(known),
        }
        return self.keeping.page(request, "papers", "paper.html", known, context, status)

    async def write(self, request: Request) -> Response:
        """Keep what an officer wrote in a passage."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        known = await self.keeping.open(request)
        printed, key = self._find(request, known), form.get("key", "")
        passage = printed.paper.passages().get(key)
        if passage is None:
            raise HTTPException(404, self.frame.words(request)("papers.no_passage", name=key[:100]))
        seen = "seen" in form and key in known.inputs.words  # their text stays, and so does what is generated today
        text = known.inputs.words[key] if seen else plain_text(form.get("text", ""))
        if len(text) > LONGEST:
            return self._one(request, known, form, self.frame.words(request)("papers.too_long", count=f"{len(text):,}", longest=f"{LONGEST:,}"), 422)
        made = self.keeping.written(known).generated.get(key, "").strip()
        back = "back" in form or text == made

        def change(inputs: Inputs) -> Inputs:
            own, before = dict(inputs.words), dict(inputs.made)
            _put(own, before, key, made if back else text, made)
            return replace(inputs, words=own, made=before)

        word = self.frame.words(request)
        why = word(f"papers.why.{'seen' if seen else 'back' if back else 'write'}", paper=printed.paper.title, label=passage.label)
        return await self.keeping.save(request, known, change, form, reason_of(why), f"papers/{printed.paper.id}", key)

    async def packed(self, request: Request) -> Response:
        """A folder of papers as one file."""
        known = await self.keeping.open(request)
        folder = request.path_params["folder"]
        word = self.frame.words(request)
        if folder not in FOLDERS.values():
            raise HTTPException(404)
        if self.keeping.state(known) != "ready":
            raise HTTPException(409, word("papers.zip.later"))
        if folder == OUTSIDE and (leaking := await run_in_threadpool(self.warned, known)):
            self.frame.note(request, "refused", f"plans/{known.name}", f"{folder}.zip")
            raise HTTPException(409, word("papers.zip.leaks", count=len(leaking), list=" ".join(leaking)))
        names = [name for name in paper_names(known.kept.path) if name.startswith(folder + "/")]
        self.frame.note(request, "export", f"plans/{known.name}", f"{folder}.zip")
        content = await run_in_threadpool(_zip, known.kept.path, names)
        return Response(content, media_type="application/zip", headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(folder)}.zip"})

    async def upload(self, request: Request) -> Response:
        """Take the passages of a paper that was edited elsewhere; nothing changes before somebody has seen what would."""
        who = self.frame.need(request, "editor")
        _, files = await uploads(self.frame, request)
        known = await self.keeping.open(request)
        word = self.frame.words(request)
        if not files:
            return await run_in_threadpool(self._all, request, known, word("papers.upload.none"), (), 422)
        inputs, notes = known.inputs, []
        for name, content in files:
            try:
                inputs, said = await run_in_threadpool(self._taken, request, known, inputs, name, content)
            except KibanError as error:
                return await run_in_threadpool(
                    self._all, request, known, word("papers.upload.unreadable", name=name), told(error, self.frame.language(request)), 422
                )
            notes += said
        if inputs == known.inputs:
            return await run_in_threadpool(self._all, request, known, word("papers.upload.same"), [noted(note) for note in notes], 422)
        draft = Draft(kind="upload", base=known.version, inputs=inputs, notes=tuple(notes))
        why = word("papers.why.upload", list=", ".join(name for name, _ in files))
        number = await run_in_threadpool(known.kept.put_aside, draft, who=who.name, why=reason_of(why))
        self.frame.note(request, "upload", f"plans/{known.name}", f"draft {number}")
        return RedirectResponse(self.keeping.url(request, known, f"drafts/{number}"), 303)

    def _taken(self, request: Request, known: Known, inputs: Inputs, name: str, content: bytes) -> tuple[Inputs, list[str]]:
        """Inputs with what stands in a paper or in an estimate, and what must be said about it. Raises KibanError."""
        word = self.frame.words(request)
        if name.lower().endswith(".xlsx"):
            with as_files([(name, content)]) as (path,):
                inputs, said = merge_estimate(inputs, known.one.funding, read_estimate(path))
            return inputs, [word("papers.upload.estimate", name=name), *said]
        found, made = read_words(content, name), self.keeping.written(known).generated
        notes = [word("papers.upload.read", name=name, count=len(found))]
        if strange := sorted(set(found) - set(made)):
            notes.append(word("papers.upload.strange", name=name, list=", ".join(strange[:10])))
        own, before = dict(inputs.words), dict(inputs.made)
        for key in sorted(set(found) & set(made)):
            text = plain_text(found[key])
            if text == inputs.words.get(key, made[key]).strip():
                continue
            _put(own, before, key, text, made[key].strip())
        return replace(inputs, words=own, made=before), notes

    # --- parts

    def _find(self, request: Request, known: Known) -> Printed:
        for printed in self.keeping.written(known).printed:
            if printed.paper.id == request.path_params["paper"]:
                return printed
        raise HTTPException(404, self.frame.words(request)("error.no_file", name=request.path_params["paper"]))

    def warned(self, known: Known) -> list[str]:
        """What must be taken out of the papers for outside; read again only when one of them changed."""
        path = known.kept.path
        stamps = [((path / name).stat().st_mtime_ns, name) for name in paper_names(path) if name.startswith(OUTSIDE)]
        stamp = (stamps, (path / "funding.json").stat().st_mtime_ns)
        if self._warned.get(known.name, (None,))[0] != stamp:
            self._warned[known.name] = (stamp, warnings(path))
        return self._warned[known.name][1]


def _put(own: dict[str, str], before: dict[str, str], key: str, text: str, made: str) -> None:
    """Write a text of an officer's own beside what was generated; the generated text itself is nobody's own."""
    own.pop(key, None)
    before.pop(key, None)
    if text != made:
        own[key], before[key] = text, made


def _zip(path: Path, names: Sequence[str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(zipfile.ZipInfo(name, STAMP), (path / name).read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()
