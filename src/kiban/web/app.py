"""The web application: plan folders in, pages out; jobs make the plans. It connects to nothing.

In: folders of plans and regions, the catalogue, the jobs. Out: a Starlette application. Pages come in the language of `?lang=`, else of the settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.base.errors import KibanError
from kiban.base.settings import LANGUAGES
from kiban.cases import Library
from kiban.catalogue import Catalogue, words
from kiban.catalogue.words import Words
from kiban.documents.map_svg import design_svg
from kiban.documents.view import View
from kiban.jobs import Jobs
from kiban.loop.files import FILES, KINDS, Folder, paper_names, read_folder
from kiban.web.library import CasePages
from kiban.web.making import Making, Regions
from kiban.web.pages import figure_page, index_row, plan_page
from kiban.web.tables import labelled

HERE = Path(__file__).parent

# Nothing is loaded from elsewhere; the map draws through a worker of our own and through blobs, charts set style attributes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; child-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Headers:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to the start of the answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = {
                    "content-security-policy": POLICY,
                    "x-content-type-options": "nosniff",
                    "referrer-policy": "same-origin",  # with no-referrer, browsers do not say where a form of ours comes from
                    "cross-origin-opener-policy": "same-origin",
                }
                message["headers"] = [*message["headers"], *((key.encode(), value.encode()) for key, value in extra.items())]
            await send(message)

        await self.app(scope, receive, with_headers)


def create_app(plans: Path, catalogue: Catalogue, lang: str, hosts: list[str], regions: Regions | None = None, jobs: Jobs | None = None) -> Starlette:
    """The application over a folder of plan folders; `hosts` are the names that it answers to. With regions and jobs, plans can be made in it, too."""
    jinja = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True)
    jinja.filters["labelled"] = labelled
    read: dict[str, tuple[int, Folder]] = {}

    def language(request: Request) -> str:
        asked = request.query_params.get("lang", lang)
        return asked if asked in LANGUAGES else lang

    def said(request: Request) -> Words:
        return words(catalogue, language(request))

    def folder(request: Request) -> tuple[str, Folder]:
        name = request.path_params["plan"]
        if name not in folders():
            raise HTTPException(404, said(request)("error.no_plan", name=name))
        return name, opened(name)

    def opened(name: str) -> Folder:
        stamp = (plans / name / "plan.json").stat().st_mtime_ns
        if read.get(name, (0,))[0] != stamp:
            read[name] = (stamp, read_folder(plans / name))
        return read[name][1]

    def folders() -> list[str]:
        return sorted(path.parent.name for path in plans.glob("*/plan.json")) if plans.is_dir() else []

    def page(request: Request, template: str, shown_plan: View | None, context: Mapping[str, Any]) -> HTMLResponse:
        shown = language(request)
        other = "en" if shown == "ja" else "ja"
        query = {**dict(request.query_params), "lang": other}
        other_url = request.url.path + "?" + "&".join(f"{quote(key)}={quote(value)}" for key, value in query.items())
        given = {
            "lang": shown,
            "other_lang": other,
            "other_url": other_url,
            "w": words(catalogue, shown),
            "static": lambda name: f"/static/{name}",
            "label": shown_plan.plan.label if shown_plan else None,
            "gloss": shown_plan.gloss() if shown_plan else "",
            "home": f"/?lang={shown}",
            "cases_url": f"/cases?lang={shown}",
        }
        return HTMLResponse(jinja.get_template(template).render({**given, **context}))

    def view(request: Request, one: Folder) -> View:
        shown = language(request)
        return View(one.plan, catalogue, words(catalogue, shown), shown, one.region.name, one.region.sources)

    async def index(request: Request) -> Response:
        names = folders()
        if len(names) == 1 and jobs is None:
            return RedirectResponse(f"/plans/{quote(names[0])}?lang={language(request)}")
        rows = []
        for name in names:
            try:
                row = index_row(view(request, opened(name)), name)
            except KibanError as error:  # one broken folder must not hide the others
                row = {"name": name, "trouble": str(error)}
            rows.append({**row, "url": f"/plans/{quote(name)}?lang={language(request)}"})
        return page(request, "index.html", None, {"rows": rows, "making": jobs is not None})

    async def plan(request: Request) -> Response:
        name, one = folder(request)
        context = plan_page(view(request, one), plans / name)
        context["file_url"] = lambda file: f"/plans/{quote(name)}/files/{quote(file)}"
        context["figure_url"] = lambda key: f"/plans/{quote(name)}/figures?lang={language(request)}&id={quote(key, safe='')}"
        context["still_url"] = f"/plans/{quote(name)}/map.svg?lang={language(request)}"
        return page(request, "plan.html", context["view"], context)

    async def still(request: Request) -> Response:
        _, one = folder(request)
        technologies = [row["technology"] for row in view(request, one).step("design")["technologies"]]
        return Response(design_svg(one.region, one.problem, one.design, technologies, said(request)("page.north")), media_type="image/svg+xml")

    async def figure(request: Request) -> Response:
        name, one = folder(request)
        key = request.query_params.get("id", "")
        if key not in one.plan.figures:
            raise HTTPException(404, said(request)("error.no_figure", name=key))
        context = figure_page(view(request, one), key)
        context["plan_url"] = f"/plans/{quote(name)}?lang={language(request)}"
        context["figure_url"] = lambda other: f"/plans/{quote(name)}/figures?lang={language(request)}&id={quote(other, safe='')}"
        return page(request, "figure.html", context["view"], context)

    async def file(request: Request) -> Response:
        name, _ = folder(request)
        wanted = request.path_params["file"]
        papers = {paper: KINDS[Path(paper).suffix] for paper in paper_names(plans / name)}
        kind = (FILES | papers).get(wanted)
        if kind is None or not (plans / name / wanted).is_file():
            raise HTTPException(404, said(request)("error.no_file", name=wanted))
        inline = wanted == "design.geojson"
        return FileResponse(plans / name / wanted, media_type=kind, filename=None if inline else Path(wanted).name)

    async def health(_: Request) -> Response:
        return JSONResponse({"ok": True, "plans": len(folders())})

    def answer(request: Request, status: int, text: str) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            response = page(request, "error.html", None, {"status": status, "text": text})
            response.status_code = status
            return response
        return JSONResponse({"ok": False, "error": text, "errors": [text], "status": status}, status_code=status)

    async def refused(request: Request, error: HTTPException) -> Response:
        plain = error.detail == HTTPStatus(error.status_code).phrase  # the router's own words
        known = {403: "error.foreign", 404: "error.no_page", 413: "error.too_large"}.get(error.status_code)
        return answer(request, error.status_code, said(request)(known) if plain and known else error.detail)

    async def trouble(request: Request, error: KibanError) -> Response:
        return answer(request, 500, str(error).replace(f"{plans}/", ""))  # a stored plan is broken: the server's matter, and its folders are nobody's

    async def broken(request: Request, _: Exception) -> Response:
        return answer(request, 500, said(request)("error.inside"))

    making = Making(regions, catalogue, jobs, page, language).routes() if regions is not None and jobs is not None else []

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        if jobs is not None:
            jobs.start()
        yield
        if jobs is not None:
            jobs.close()

    handlers: dict[Any, Any] = {HTTPException: refused, KibanError: trouble, Exception: broken}
    return Starlette(
        routes=[
            Route("/", index),
            Route("/health", health),
            Route("/plans/{plan}", plan),
            Route("/plans/{plan}/figures", figure),
            Route("/plans/{plan}/map.svg", still),
            Route("/plans/{plan}/files/{file:path}", file),
            *making,
            *CasePages(Library(catalogue.cases), page).routes(),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Headers), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers=handlers,
        lifespan=life,
    )
