"""Pages of a plan: what came out, the options, the design, one figure, the files.

In: the folder of plan folders. Out: `Plans`, which opens them for every group of pages, and the routes of those that only read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.catalogue import words
from kiban.documents.map_svg import design_svg
from kiban.documents.view import View
from kiban.loop.folder import FILES, KINDS, Folder, paper_names, read_folder
from kiban.loop.issue import LONGEST
from kiban.web.assets import ASK, Packed, packed
from kiban.web.frame import Frame
from kiban.web.making import ANSWER, Regions
from kiban.web.pages import conditions, figure_page, index_row, plan_files, plan_said

# The pages of a plan, in the order in which an officer needs them; a group of pages adds its own by `Plans.add`.
ORDER = ("", "options", "design", "money", "supports", "quotes", "papers", "compare", "handover")

PACK = 6  # of 9: how long a picture is packed while somebody waits for it

T = TypeVar("T")


@dataclass
class Opened:
    """A plan folder as it was read, and what was computed from it alone since."""

    stamp: int
    folder: Folder
    kept: dict[object, Any] = field(default_factory=dict)


@dataclass
class Plans:
    """The plan folders of the server; each is read once until it changes."""

    folder: Path
    frame: Frame

    def __post_init__(self) -> None:
        self._read: dict[str, Opened] = {}
        self._lock = threading.Lock()
        self._tabs: set[str] = {""}

    def names(self) -> list[str]:
        """The folders that hold a plan."""
        return sorted(path.parent.name for path in self.folder.glob("*/plan.json")) if self.folder.is_dir() else []

    def path(self, name: str) -> Path:
        """Where a plan stands."""
        return self.folder / name

    def read(self, name: str) -> Folder:
        """A plan that is there; one that changed is read, which may take half a second: not to be called where everybody waits.

        Raises KibanError when its files are broken.
        """
        path = self.folder / name / "plan.json"
        with suppress(KeyError):
            if (known := self._read[name]).stamp == path.stat().st_mtime_ns:
                return known.folder
        with self._lock:  # two who ask for a changed plan read it once
            stamp = path.stat().st_mtime_ns
            if name not in self._read or self._read[name].stamp != stamp:
                self._read[name] = Opened(stamp, read_folder(self.folder / name))
            return self._read[name].folder

    def once(self, name: str, one: Folder, key: object, make: Callable[[], T]) -> T:
        """What is computed from a plan alone, computed once until the plan changes; two who ask at the same moment may both compute it."""
        known = self._read.get(name)
        if known is None or known.folder is not one:
            return make()
        if key not in known.kept:
            known.kept[key] = make()
        found: T = known.kept[key]
        return found

    def context(self, request: Request, name: str, one: Folder) -> dict[str, Any]:
        """What the pages of a plan say of it, in the language of the request."""
        view = self.view(request, one)
        return {**self.once(name, one, ("said", view.lang), lambda: plan_said(view)), **plan_files(view, self.path(name))}

    def open(self, request: Request) -> tuple[str, Folder]:
        """Name and content of the plan in the path `/plans/{plan}…`. Raises HTTPException 404, KibanError."""
        name = request.path_params["plan"]
        if name not in self.names():
            raise HTTPException(404, self.frame.words(request)("error.no_plan", name=name))
        return name, self.read(name)

    def view(self, request: Request, one: Folder) -> View:
        """A plan in the language of the request."""
        lang = self.frame.language(request)
        return View(one.plan, self.frame.catalogue, words(self.frame.catalogue, lang), lang, one.region.name, one.region.sources)

    def add(self, tab: str) -> None:
        """Offer `/plans/{plan}/<tab>` on every page of a plan; its word is `tab.<tab>`."""
        assert tab in ORDER
        self._tabs.add(tab)

    def tabs(self) -> set[str]:
        """The pages that are offered."""
        return set(self._tabs)

    def page(self, request: Request, tab: str, template: str, name: str, one: Folder, context: dict[str, Any], status: int = 200) -> HTMLResponse:
        """A page of a plan, with the way to the others. `context` may bring its own `view`."""
        view = context.get("view") or self.view(request, one)
        base = f"/plans/{quote(name)}"
        figure = self.frame.url(request, f"{base}/figures")
        given = {
            "view": view,
            "plan": one.plan,
            "name": name,
            "base": base,
            "conditions": conditions(view),
            "tabs": [(id, self.frame.url(request, f"{base}/{id}".rstrip("/")), id == tab) for id in ORDER if id in self._tabs],
            "file_url": lambda file: f"{base}/files/{quote(file)}",
            "figure_url": lambda key: f"{figure}&id={quote(key, safe='')}",
        }
        return self.frame.page(request, template, {**given, **context}, view, status)


@dataclass(frozen=True)
class PlanPages:
    """The list of plans, and what can be read of one."""

    plans: Plans
    frame: Frame
    regions: Regions | None  # where plans can be made

    def routes(self) -> list[Route]:
        """All of them."""
        self.plans.add("options")
        return [
            Route("/", self.index),
            Route("/plans/{plan}", self.summary),
            Route("/plans/{plan}/options", self.options),
            Route("/plans/{plan}/figures", self.figure),
            Route("/plans/{plan}/map.svg", self.still),
            Route("/plans/{plan}/files/{file:path}", self.file),
        ]

    async def index(self, request: Request) -> Response:
        """The plans that there are."""
        return await run_in_threadpool(self._index, request)

    def _index(self, request: Request) -> Response:
        names = self.plans.names()
        if len(names) == 1 and self.regions is None:
            return RedirectResponse(self.frame.url(request, f"/plans/{quote(names[0])}"))
        rows = []
        for name in names:
            try:
                row = index_row(self.plans.view(request, self.plans.read(name)), name)
            except KibanError as error:  # one broken folder must not hide the others
                row = {"name": name, "trouble": str(error)}
            rows.append({**row, "url": self.frame.url(request, f"/plans/{quote(name)}")})
        known = self._towns() if self.regions else []
        context = {"rows": rows, "making": self.regions is not None, "regions": known, "longest": LONGEST, "towns": "menu.towns" in dict(self.frame.menu)}
        return self.frame.page(request, "index.html", context)

    def _towns(self) -> list[tuple[str, str]]:
        """Folder and name of each town whose files can be read; the page of towns says what is wrong with the others."""
        assert self.regions is not None
        found = []
        for name in self.regions.names():
            with suppress(KibanError):
                found.append((name, self.regions.open(name).name))
        return found

    def _shown(self, request: Request, tab: str, template: str) -> Response:
        name, one = self.plans.open(request)
        context = self.plans.context(request, name, one)
        context["still_url"] = self.frame.url(request, f"/plans/{quote(name)}/map.svg")
        town = self.regions.with_id(one.region.id) if self.regions is not None else None
        context["again_url"] = self._again(request, one, town)
        context["town_changed"] = self.regions is not None and town is not None and self.regions.open(town) != one.region
        self.frame.note(request, "view", f"plans/{name}", tab)
        return self.plans.page(request, tab, template, name, one, context)

    def _again(self, request: Request, one: Folder, town: str | None) -> str:
        """Where the questions of a plan are answered, with the answers that it has; empty where its town is not here."""
        answers = next(step.body.get("answers", {}) for step in one.plan.steps if step.id == "issue")
        given = {ANSWER + id: choice for id, choice in answers.items()}
        return "" if town is None else self.frame.url(request, "/issue", region=town, sentence=one.plan.sentence, **given)

    async def summary(self, request: Request) -> Response:
        """What came out: the verdict, the key figures, the map, what to do next."""
        return await run_in_threadpool(self._shown, request, "", "plan.html")

    async def options(self, request: Request) -> Response:
        """The options side by side, what would flip the verdict, whom to ask."""
        return await run_in_threadpool(self._shown, request, "options", "options.html")

    async def still(self, request: Request) -> Response:
        """The map as a picture that needs no script."""
        return await run_in_threadpool(self._still, request)

    def _still(self, request: Request) -> Response:
        name, one = self.plans.open(request)

        def drawn() -> Packed:
            technologies = [row["technology"] for row in self.plans.view(request, one).step("design")["technologies"]]
            drawing = design_svg(one.region, one.problem, one.design, technologies, self.frame.words(request)("page.north"))
            return packed(drawing.encode(), "image/svg+xml", PACK)

        return self.plans.once(name, one, ("still", self.frame.language(request)), drawn).answer(request, ASK)

    async def figure(self, request: Request) -> Response:
        """One figure with all that it is computed from."""
        return await run_in_threadpool(self._figure, request)

    def _figure(self, request: Request) -> Response:
        name, one = self.plans.open(request)
        key = request.query_params.get("id", "")
        if key not in one.plan.figures:
            raise HTTPException(404, self.frame.words(request)("error.no_figure", name=key))
        context = figure_page(self.plans.view(request, one), key)
        context["plan_url"] = self.frame.url(request, f"/plans/{quote(name)}")
        context["entry_url"] = self.frame.url(request, f"/catalogue/{context['entry']}") if context["entry"] else ""
        return self.plans.page(request, "figure", "figure.html", name, one, context)

    async def file(self, request: Request) -> Response:
        """A file of the plan."""
        return await run_in_threadpool(self._file, request)

    def _file(self, request: Request) -> Response:
        name, _ = self.plans.open(request)
        wanted, path = request.path_params["file"], self.plans.path(name)
        papers = {paper: KINDS[Path(paper).suffix] for paper in paper_names(path)}
        kind = (FILES | papers).get(wanted)
        if kind is None or not (path / wanted).is_file():
            raise HTTPException(404, self.frame.words(request)("error.no_file", name=wanted))
        self.frame.note(request, "export", f"plans/{name}", wanted)
        inline = wanted == "design.geojson"
        return FileResponse(path / wanted, media_type=kind, filename=None if inline else Path(wanted).name)
