"""Who is asking, what they may do, and the log of it: around every page, so that a page that forgets to ask is no hole.

In: accounts, sessions and the audit log. Out: two middlewares. `Recording` writes one row per request that matters; `SigningIn` answers only to known
names of the server, lets only pages of this server send changes, finds out who is asking, and refuses what their role does not hold.

Alone on the loopback address, nobody signs in. A proxy in front of such a server would make all its visitors the one user: requests that show one are
refused.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.accounts import ACTIONS, Accounts, AuditLog, Bucket, Sessions, Waits
from kiban.accounts.people import AT_ONCE
from kiban.base.errors import AccountError
from kiban.records.account import Account
from kiban.web.frame import ALONE, Frame, Who, may

COOKIE = "kiban_session"
NOBODY = Who("", "viewer")
READING = ("GET", "HEAD")
ASSETS = "/static/"
OPEN = (ASSETS, "/health")  # hold nothing of anybody
ENTRANCE = ("/sign-in", "/setup")  # for those who are not signed in
OWN = ("/account", "/account/password", "/account/language", "/sign-out")  # everybody's own matter, whatever the role and however long it holds
SECRETS = ("password", "again", "old", "code")  # fields that no page repeats
SEARCHES = ("q", "sentence")  # fields of an address that hold what somebody looks for
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
WARNED = 31  # days before their end in which every page says that rights end
AGAIN = 60.0  # seconds in which the same view by the same person is one row: a page that refreshes itself is read once
MOST_SEEN = 5000
T = TypeVar("T")
Answer = Callable[[Request, int, str], Response]


@dataclass
class Signing:
    """What is behind signing in. Without accounts one person is alone on this computer; `code` lets somebody make the first account."""

    audit: AuditLog | None = None
    accounts: Accounts | None = None
    sessions: Sessions | None = None
    code: str = ""
    names: Waits = field(default_factory=Waits)
    addresses: Waits = field(default_factory=lambda: Waits(free=20))  # an office may share one address
    posts: Bucket = field(default_factory=lambda: Bucket(120, 60))  # changes of one session: more than two a second is no person
    refusals: Bucket = field(default_factory=lambda: Bucket(60, 60))  # rows of one address: nobody fills the disk with what he may not do

    def __post_init__(self) -> None:
        self._hashing: CapacityLimiter | None = None

    async def hashing(self, work: Callable[[], T]) -> T:
        """Run what hashes a password, two at a time: the others wait here and keep no thread from the pages."""
        self._hashing = self._hashing or CapacityLimiter(AT_ONCE)
        return await run_sync(work, limiter=self._hashing)

    def note(self, request: Request, action: str, target: str, detail: str) -> None:
        """Say what a request was, instead of what `Recording` would take it for.

        action: one of ACTIONS, or a name that a page gives to a change ("town.new") or to something refused ("import.refused"); it then begins the detail.
        """
        if action not in ACTIONS:
            action, detail = "refused" if action.endswith("refused") else "change", f"{action} {detail}".strip()
        request.state.noted = (action, target, detail)


class Recording:
    """Writes what was viewed, searched, changed, taken out or refused, before the answer goes out: what cannot be logged is not shown."""

    def __init__(self, app: ASGIApp, signing: Signing) -> None:
        self.app, self.signing = app, signing
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; when its answer begins, write the row."""
        audit = self.signing.audit
        if scope["type"] != "http" or audit is None or scope["path"].startswith(OPEN):
            await self.app(scope, receive, send)
            return

        if scope["method"] not in READING:
            audit.check()  # before something is changed

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                row = self._row(Request(scope), message["status"], Headers(raw=message["headers"]))
                if row is not None:
                    audit.write(*row)  # a tenth of a millisecond: less than handing it to a thread
            await send(message)

        await self.app(scope, receive, recorded)

    def _row(self, request: Request, status: int, headers: Headers) -> tuple[str, str, str, str] | None:
        """Who, what, on what, and more; None for what needs no row."""
        who, address = getattr(request.state, "login", ""), address_of(request)
        noted = getattr(request.state, "noted", None)
        if noted is None:
            noted = _what(request, status, headers)
        if noted is None:
            return None
        action, target, detail = noted
        if action == "refused":
            if self.signing.refusals.take(who or address) > 0:
                return None
            detail = f"{status} {detail} {address}".replace("  ", " ")
        if action == "view" and not who:
            return None  # the form of the entrance
        if action in ("view", "search") and self._again((who, action, target, detail)):
            return None
        return who, action, target, detail

    def _again(self, row: tuple[str, ...]) -> bool:
        """Whether the same was written a moment ago."""
        now = time.monotonic()
        with self._lock:
            last = self._seen.pop(row, None)
            again = last is not None and now - last < AGAIN
            self._seen[row] = last if again and last is not None else now
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
        return again


def _what(request: Request, status: int, headers: Headers) -> tuple[str, str, str] | None:
    """What a request was, by its method and its answer."""
    path, query = request.url.path, [(key, value) for key, value in parse_qsl(request.url.query) if key != "lang"]
    if 400 <= status < 500:
        return "refused", path, request.method
    if request.method not in READING:
        return "change", path, "" if status < 500 else str(status)
    if status != 200:
        return None
    detail = " ".join(f"{key}={value}" for key, value in query)
    if headers.get("content-disposition", "").startswith("attachment"):
        return "export", path, detail
    return "search" if any(key in SEARCHES and value for key, value in query) else "view", path, detail


class SigningIn:
    """Lets through who may do what they ask for; everything else gets an answer that says why and what to do."""

    def __init__(self, app: ASGIApp, signing: Signing, frame: Frame, hosts: Iterable[str], answer: Answer) -> None:
        self.app, self.signing, self.frame, self.answer = app, signing, frame, answer
        self.hosts = frozenset(host.lower().strip("[]") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on with who is asking in the state of the request."""
        if scope["type"] != "http":  # a websocket: there is none here
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        refused = await self._refusal(request)
        await (refused or self.app)(
            scope, receive, self._private(send) if self.signing.accounts is not None and not request.url.path.startswith(OPEN) else send
        )

    async def _refusal(self, request: Request) -> Response | None:
        """The answer to a request that goes no further; None when it may."""
        say, path = self.frame.words(request), request.url.path
        request.state.who = NOBODY
        if path.startswith(ASSETS):
            return None  # the same for everybody under any name, or the pages below would come without their style
        if host_of(request) not in self.hosts:
            return self.answer(request, 400, say("sign.host", host=host_of(request)[:100]))
        if self.signing.accounts is None:
            if any(name in request.headers for name in FORWARDED):
                return self.answer(request, 403, say("sign.proxy"))
            request.state.who, request.state.login = None, ALONE.name
        if path.startswith(OPEN):
            return None
        if request.method not in READING:
            try:
                self.frame.own(request)
            except HTTPException:
                return self.answer(request, 403, say("error.foreign"))
        return await self._known(request, self.signing.accounts) if self.signing.accounts is not None else None

    async def _known(self, request: Request, accounts: Accounts) -> Response | None:
        """The same, where people sign in."""
        say, path, reading = self.frame.words(request), request.url.path, request.method in READING
        account = await run_in_threadpool(self._account, request, accounts)
        key = request.cookies[COOKIE] if account is not None else address_of(request)
        if not reading and (wait := self.signing.posts.take(key)) > 0:
            return too_many(self.answer, self.frame, request, wait)
        if account is None:
            return None if path in (*ENTRANCE, "/sign-out") else await self._entrance(request, accounts)
        ends = account.until if 0 <= (account.until - accounts.today()).days < WARNED else None
        request.state.who, request.state.login = Who(account.name, account.role, account.login, ends), account.login
        if path in OWN or path in ENTRANCE:
            return None
        if not account.holds(accounts.today()):
            return self.answer(request, 403, await run_in_threadpool(self._ended, request, accounts, account))
        if not reading and not may(account.role, "editor"):
            return self.answer(request, 403, say("error.role", role=say("role.editor")))
        return None

    def _ended(self, request: Request, accounts: Accounts, account: Account) -> str:
        """That rights ended, and who can extend them."""
        say, asked = self.frame.words(request), accounts.approvers()
        text = say("sign.expired", day=self.frame.day(request, account.until))
        if asked:
            return f"{text} {say('sign.ask', names='、'.join(one.name for one in asked))}"
        first = next((one.login for one in accounts.all() if one.role == "approver" and not one.disabled), account.login)
        return f"{text} {say('sign.ask_nobody', login=first)}"

    def _account(self, request: Request, accounts: Accounts) -> Account | None:
        token = request.cookies.get(COOKIE, "")
        login = self.signing.sessions.find(token) if token and self.signing.sessions is not None else None
        if login is None:
            return None
        try:
            account = accounts.get(login)
        except AccountError:
            return None
        return None if account.disabled else account

    async def _entrance(self, request: Request, accounts: Accounts) -> Response:
        """Where somebody is sent who is not signed in. What was typed is not lost: the answer holds it, ready to be sent again."""
        say = self.frame.words(request)
        if self.signing.code and not await run_in_threadpool(accounts.any):
            if request.method in READING and _wants_page(request):
                return RedirectResponse(self.frame.url(request, "/setup"), 303)
            return self.answer(request, 401, say("sign.needed"))
        query = f"?{request.url.query}" if request.url.query else ""
        there = self.frame.url(request, "/sign-in", next=request.url.path + query)
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-redirect": self.frame.url(request, "/sign-in")})
        if not _wants_page(request):
            return self.answer(request, 401, say("sign.needed"))
        if request.method in READING:
            return RedirectResponse(there, 303)
        return self.frame.page(request, "sign_again.html", {"typed": await self._typed(request), "action": request.url.path + query}, status=401)

    async def _typed(self, request: Request) -> dict[str, str]:
        """The fields of a form, to be sent again after signing in; none where one of them is a password, or what came is no such form."""
        try:
            form = await self.frame.form(request)
        except HTTPException:
            return {}
        return {} if any(name in form for name in SECRETS) else form

    @staticmethod
    def _private(send: Send) -> Send:
        """No page of one person stays in a cache that another one reads."""

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start" and b"cache-control" not in dict(message["headers"]):
                message["headers"] = [*message["headers"], (b"cache-control", b"private, no-cache")]
            await send(message)

        return with_header


def too_many(answer: Answer, frame: Frame, request: Request, seconds: float) -> Response:
    """429: too many requests, with how long to wait."""
    response = answer(request, 429, frame.words(request)("sign.wait", seconds=ceil(seconds)))
    response.headers["retry-after"] = str(ceil(seconds))
    return response


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def host_of(request: Request) -> str:
    """The name under which the server was asked, without the port; "" for none that could be one.

    >>> [host_of(Request({"type": "http", "headers": [(b"host", text)]})) for text in (b"Kiban.lan:8000", b"[::1]:80", b"a b", b"x@y")]
    ['kiban.lan', '::1', '', '']
    """
    text = request.headers.get("host", "")
    try:
        parts = urlsplit(f"//{text}")
        _ = parts.port  # a port that is no number is no host
        return (parts.hostname or "") if parts.netloc == text and "@" not in text and " " not in text else ""
    except ValueError:
        return ""


def address_of(request: Request) -> str:
    """The network address that a request comes from."""
    return request.client.host if request.client else ""


def local(path: str) -> str:
    """Where to go after signing in: a path of this server; "/" for everything else.

    >>> [local(text) for text in ("/plans/a?lang=en", "//evil.example", "https://evil.example", "/\\\\evil.example", "/sign-in?next=/", "", "/a\\nb")]
    ['/plans/a?lang=en', '/', '/', '/', '/', '/', '/']
    """
    if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return "/"
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc or parts.path in (*ENTRANCE, "/sign-out") else path
