"""The web application: plan folders in, pages out; jobs make the plans. It connects to nothing.

In: folders of plans and regions, the catalogue, the jobs. Out: a Starlette application. Pages come in the language of `?lang=`, else of the settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.base.errors import KibanError
from kiban.cases import Library
from kiban.catalogue import Catalogue
from kiban.jobs import Jobs
from kiban.region.imports import Imports
from kiban.region.towns import Towns
from kiban.web.accounts import AccountPages
from kiban.web.again import AgainPages
from kiban.web.building import BuildPages
from kiban.web.carrying import Carrying
from kiban.web.catalogue_pages import CataloguePages
from kiban.web.compare import ComparePages
from kiban.web.design_page import DesignPage
from kiban.web.fact_pages import FactPages
from kiban.web.frame import Frame
from kiban.web.handover_pages import HandoverPages
from kiban.web.help import HelpPages
from kiban.web.history_pages import HistoryPages
from kiban.web.intake import IntakePages
from kiban.web.keeping import Keeping
from kiban.web.library import CasePages
from kiban.web.making import Making, Regions
from kiban.web.money import MoneyPages
from kiban.web.paper_pages import PaperPages
from kiban.web.plans import PlanPages, Plans
from kiban.web.quote_pages import QuotePages
from kiban.web.signing_in import Recording, Signing, SigningIn, too_many
from kiban.web.supports import SupportPages
from kiban.web.towns import TownPages

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Store

# Nothing is loaded from elsewhere; the map draws through a worker of our own and through blobs, charts set style attributes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; child-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers do not say where a form of ours comes from
}
APART = {"cross-origin-opener-policy": "same-origin"}  # over TLS only: on plain http browsers ignore it and complain


class Headers:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to the start of the answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                safe = {**SAFE, **(APART if scope.get("scheme") == "https" else {})}
                message["headers"] = [*message["headers"], *((key.encode(), value.encode()) for key, value in safe.items())]
            await send(message)

        await self.app(scope, receive, with_headers)


def create_app(
    plans: Path,
    catalogue: Catalogue,
    lang: str,
    hosts: list[str],
    regions: Regions | None = None,
    jobs: Jobs | None = None,
    store: Store | None = None,
    signing: Signing | None = None,
    state: Path | None = None,
) -> Starlette:
    """The application over a folder of plan folders.

    hosts: the names that it answers to. With regions and jobs, plans can be made in it; with a store, what people change in them is kept, every version of it;
    with a folder for the state, tables of towns can be brought in.
    signing: accounts and the audit log; without it, one person is alone on this computer and nothing is logged.
    """
    signing = signing or Signing()
    frame = Frame(catalogue, lang, store, note=signing.note, logged=signing.audit is not None)
    shown = Plans(plans, frame)
    routes: list[BaseRoute] = [*PlanPages(shown, frame, regions if jobs is not None else None).routes()]
    routes += DesignPage(shown, frame, regions is not None and jobs is not None).routes()
    frame.menu.append(("menu.plans", "/"))
    if regions is not None and jobs is not None:
        routes += [*Making(regions, catalogue, jobs, frame).routes(), *AgainPages(shown, frame, regions, jobs).routes()]
        frame.menu.append(("menu.jobs", "/jobs"))
    if regions is not None and state is not None:
        towns = TownPages(regions, Imports(state / "imports"), Towns(state / "municipalities.json"), shown, frame)
        routes += [*BuildPages(towns, frame, state / "building").routes(), *towns.routes(), *IntakePages(towns, frame).routes()]
        frame.menu.insert(0, ("menu.towns", "/towns"))
    if store is not None:
        keeping = Keeping(shown, frame, jobs)
        for pages in (PaperPages, HistoryPages, FactPages, QuotePages, HandoverPages):
            routes += pages(keeping).routes()
        if regions is not None and state is not None:
            routes += Carrying(keeping, regions, state / "carried").routes()
    routes += CasePages(Library(catalogue.cases, {id: usecase.words for id, usecase in catalogue.usecases.items()}), frame).routes()
    frame.menu.append(("menu.cases", "/cases"))
    routes += [*MoneyPages(shown, frame).routes(), *SupportPages(shown, frame).routes(), *ComparePages(shown, frame).routes()]
    routes += [*CataloguePages(catalogue, shown, frame).routes(), *HelpPages(shown, frame).routes()]
    frame.menu += [("menu.catalogue", "/catalogue"), ("menu.help", "/help")]

    async def health(_: Request) -> Response:
        return JSONResponse({"ok": True, "plans": len(shown.names())})

    def answer(request: Request, status: int, text: str) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return frame.page(request, "error.html", {"status": status, "text": text}, status=status)
        return JSONResponse({"ok": False, "error": text, "errors": [text], "status": status}, status_code=status)

    async def refused(request: Request, error: HTTPException) -> Response:
        plain = error.detail == HTTPStatus(error.status_code).phrase  # the router's own words
        known = {403: "error.foreign", 404: "error.no_page", 413: "error.too_large"}.get(error.status_code)
        return answer(request, error.status_code, frame.words(request)(known) if plain and known else error.detail)

    async def trouble(request: Request, error: KibanError) -> Response:
        return answer(request, 500, str(error).replace(f"{plans}/", ""))  # a stored plan is broken: the server's matter, and its folders are nobody's

    async def broken(request: Request, _: Exception) -> Response:
        response = answer(request, 500, frame.words(request)("error.inside"))
        response.headers.update(SAFE)  # this answer does not pass through the middlewares
        return response

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        if jobs is not None:
            jobs.start()
        yield
        if jobs is not None:
            jobs.close()

    routes += AccountPages(signing, frame, lambda request, seconds: too_many(answer, frame, request, seconds)).routes()
    handlers: dict[Any, Any] = {HTTPException: refused, KibanError: trouble, Exception: broken}
    return Starlette(
        routes=[Route("/health", health), *routes, Mount("/static", frame.assets)],
        # No page holds a secret that a guess beside it could find out by its size, so pages may be packed.
        middleware=[
            Middleware(Headers),
            Middleware(Recording, signing=signing),
            Middleware(SigningIn, signing=signing, frame=frame, hosts=hosts, answer=answer),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
        exception_handlers=handlers,
        lifespan=life,
    )
