"""What every page shares: language, templates, who is asking, forms that only pages of this server may send.

In: the catalogue, the language of the settings. Out: a Frame, which the groups of pages (towns, plans, jobs, cases …) are given. It knows no page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from kiban.base.cells import writable
from kiban.base.jdate import era_day, era_span, era_year
from kiban.base.settings import LANGUAGES
from kiban.catalogue import Catalogue, words
from kiban.catalogue.words import Words
from kiban.documents.view import JAPANESE, View
from kiban.loop.given import TOKYO
from kiban.records.account import ROLES, Role
from kiban.web.assets import Assets
from kiban.web.tables import labelled
from kiban.web.terms import Terms

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Store

HERE = Path(__file__).parent
MOST_BODY = 256 * 1024  # bytes of a form; the longest passage of a paper, escaped, has less than half


@dataclass(frozen=True)
class Who:
    """Who is asking: the name that stands beside a change, and what they may do; `login` is empty where nobody signed in; `ends`: their rights end soon."""

    name: str
    role: Role
    login: str = ""
    ends: date | None = None


def may(role: Role, wanted: Role) -> bool:
    """Whether a role may do what another one may.

    >>> may("editor", "viewer"), may("editor", "approver")
    (True, False)
    """
    return ROLES.index(role) >= ROLES.index(wanted)


ALONE = Who("この端末の利用者", "approver")  # on the loopback address nobody signs in


@dataclass
class Frame:
    """The frame of all pages."""

    catalogue: Catalogue
    lang: str
    store: Store | None = None  # what people change is kept here, every version of it
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    note: Callable[[Request, str, str, str], None] = lambda *_: None  # action, target, detail: into the audit log, where there is one
    logged: bool = False  # there is an audit log
    carries: bool = False  # plans and regions can be carried to other networks
    menu: list[tuple[str, str]] = field(default_factory=list)  # key of the word, path: what the head of each page offers

    def __post_init__(self) -> None:
        self.assets = Assets(HERE / "static")
        self._jinja = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True
        )
        self._jinja.filters["labelled"] = labelled
        self._jinja.tests["japanese"] = lambda text: JAPANESE.search(str(text)) is not None

    def language(self, request: Request) -> str:
        """The language of `?lang=`, else the one that somebody chose for this browser, else that of the settings."""
        asked = request.query_params.get("lang") or request.cookies.get("kiban_lang", self.lang)
        return asked if asked in LANGUAGES else self.lang

    def words(self, request: Request) -> Words:
        """The words in the language of the request."""
        return words(self.catalogue, self.language(request))

    def url(self, request: Request, path: str, **query: str) -> str:
        """A path of this server in the language of the request; what stands in `query` comes escaped."""
        return f"{path}?{urlencode({'lang': self.language(request), **query})}"

    def day(self, request: Request, moment: datetime | date, *, short: bool = False) -> str:
        """A day as people write it: 令和9年3月31日, 31 March 2027; short: R9.3.31, 2027-03-31. A moment is that of Japan."""
        day = moment.astimezone(TOKYO).date() if isinstance(moment, datetime) else moment
        if self.language(request) == "ja":
            return f"{era_year(day.year, short=True)}.{day.month}.{day.day}" if short else era_day(day)
        return day.isoformat() if short else f"{day.day} {day:%B} {day.year}"

    def moment(self, request: Request, moment: datetime | str) -> str:
        """A moment as people write it, in the time of Japan: R8.11.27 18:13, 2026-11-27 18:13."""
        here = (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(TOKYO)
        return f"{self.day(request, here, short=True)} {here:%H:%M}"

    def page(self, request: Request, template: str, context: Mapping[str, Any], view: View | None = None, status: int = 200) -> HTMLResponse:
        """A page; `view` is that of the plan on it, whose label then stands on top."""
        shown = self.language(request)
        other = "en" if shown == "ja" else "ja"
        known = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
        given = {
            "lang": shown,
            "other_lang": other,
            "other_url": f"{request.url.path}?{urlencode([*known, ('lang', other)])}",
            "w": words(self.catalogue, shown),
            "day": lambda moment, short=False: self.day(request, moment, short=short),
            "moment": lambda moment: self.moment(request, moment),
            "year": lambda year: era_year(year) if shown == "ja" else str(year),
            "span": lambda period: era_span(period) if shown == "ja" else period,
            "static": self.assets.url,
            "url": lambda path, **query: self.url(request, path, **query),
            "label": view.plan.label if view else None,
            "gloss": view.gloss() if view else "",
            "term": Terms(words(self.catalogue, shown), lambda: self.url(request, "/help/words")),
            "who": self.who(request),
            "logged": self.logged,
            "carries": self.carries,
            "alone": getattr(request.state, "who", None) is None,
            "may": lambda role: may(self.who(request).role, role),
            "menu": [(key, path, request.url.path == path or (path != "/" and request.url.path.startswith(path + "/"))) for key, path in self.menu],
        }
        return HTMLResponse(self._jinja.get_template(template).render({**given, **context}), status_code=status)

    def who(self, request: Request) -> Who:
        """Who is asking; on the loopback address without accounts, the user of this computer."""
        found = getattr(request.state, "who", None)
        return found if isinstance(found, Who) else ALONE

    def need(self, request: Request, role: Role) -> Who:
        """Who is asking, if they may do what `role` may.

        Raises
        ------
        HTTPException  403: their role is not enough
        """
        who = self.who(request)
        if not may(who.role, role):
            self.note(request, "refused", request.url.path, role)
            raise HTTPException(403, self.words(request)("error.role", role=self.words(request)(f"role.{role}")))
        return who

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form that a page of this server sent.

        Raises
        ------
        HTTPException  403: sent by another site's page; 413: too large; 415: no form
        """
        self.own(request)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise HTTPException(415)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                raise HTTPException(413)
        try:
            return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=500))
        except ValueError as error:  # more fields than any form of ours has
            raise HTTPException(413) from error

    def own(self, request: Request) -> None:
        """Let only pages of this server send what changes something. Raises HTTPException 403 for all others."""
        origin = request.headers.get("origin")
        if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
            self.note(request, "refused", request.url.path, "origin")
            raise HTTPException(403)


def plain_text(text: str) -> str:
    """A text as it is kept: lines end as everywhere, nothing that no paper can hold, nothing that turns the order of what is read around.

    >>> plain_text("一\\r\\n二\\x07 "), plain_text("a\\u202eb\\ufffe\\x00c")
    ('一\\n二', 'abc')
    """
    lines = writable(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def number_of(text: str | None) -> int:
    """A whole number in a form; 0 where there is none.

    >>> number_of("12"), number_of("x"), number_of(None), number_of("-1"), number_of("²")
    (12, 0, 0, 0, 0)
    """
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0
