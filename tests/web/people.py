"""An office behind the pages: accounts of each role, browsers that keep a cookie, and the audit log, over real HTTP."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from argon2 import PasswordHasher

from kiban.accounts import Accounts, AuditLog, Bucket, Entry, Sessions, Waits
from kiban.jobs import Jobs
from kiban.store import Store, open_store
from kiban.web.making import Regions
from kiban.web.signing_in import COOKIE, Signing

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "山と海のまち 8000"
PEOPLE = {"sato": ("佐藤", "approver"), "tanaka": ("田中", "editor"), "mori": ("森", "viewer")}


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def place(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("location", "")


@dataclass
class Browser:
    """Somebody's browser: it sends its cookie, and where a form comes from."""

    address: str
    cookie: str = ""

    def __call__(self, path: str, form: dict[str, str] | bytes | None = None, method: str = "", **headers: str) -> Answer:
        """Ask for a page, or send a form; a header given as "" is not sent."""
        own = {"Accept": "text/html", "Cookie": self.cookie}
        if form is not None or method not in ("", "GET", "HEAD"):
            own |= {"Origin": self.address, "Content-Type": "application/x-www-form-urlencoded"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**own, **given}.items() if value}
        body = urlencode(form).encode() if isinstance(form, dict) else form
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        connection.putrequest(method or ("GET" if form is None else "POST"), path, skip_host="Host" in sent, skip_accept_encoding=True)
        for name, value in {**sent, **({"Content-Length": str(len(body))} if body is not None else {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode("utf-8", "replace"))
        connection.close()
        for cookie in response.headers.get_all("set-cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            if name == COOKIE:
                self.cookie = f"{name}={value}" if value.strip('"') else ""
        return answer

    def signs_in(self, login: str, password: str = PASSWORD, there: str = "/", **headers: str) -> Answer:
        """Name and password into the form."""
        return self("/sign-in", {"login": login, "password": password, "next": there}, **headers)


@dataclass
class Office:
    """The server, and what stands behind it."""

    address: str
    signing: Signing
    store: Store
    clock: Clock
    folder: Path

    def browser(self, login: str = "") -> Browser:
        """A new browser, signed in as somebody."""
        browser = Browser(self.address)
        if login:
            answer = browser.signs_in(login)
            assert answer.status == 303, answer.text
        return browser

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        assert self.signing.accounts is not None
        return self.signing.accounts

    @property
    def log(self) -> AuditLog:
        """The audit log."""
        assert self.signing.audit is not None
        return self.signing.audit

    def refused(self) -> list[Entry]:
        """What was refused, newest first."""
        return self.log.rows(action="refused")

    def later(self, **time: float) -> None:
        """Let time go by."""
        self.clock.now += timedelta(**time)


def open_office(folder: Path, serve: Callable[..., str], *, people: bool = True, alone: bool = False, code: str = "", names: tuple[str, ...] = ()) -> Office:
    """An office that is served: its people have accounts; `alone`: one person without; `names`: of the server, beside its address."""
    clock = Clock()
    store = open_store("", folder / "kiban.db")
    audit = AuditLog(folder / "audit.db", folder / "audit-digests.csv", now=clock)
    signing = Signing(audit, code=code, names=Waits(clock=clock.seconds), addresses=Waits(free=20, clock=clock.seconds))
    signing.posts, signing.refusals = Bucket(120, 60, clock=clock.seconds), Bucket(60, 60, clock=clock.seconds)
    if not alone:
        signing.sessions = Sessions(folder / "sessions.db", now=clock)
        signing.accounts = Accounts(store, signing.sessions, hasher=QUICK, now=clock)
        for login, (name, role) in PEOPLE.items() if people else ():
            signing.accounts.add(login, name, role, PASSWORD, by="setup")
    regions = Regions(folder / "regions")
    plans = folder / "plans"
    jobs = Jobs(folder / "jobs", [sys.executable, "-c", "raise SystemExit('no plan is made here')"], regions.folder, plans, lambda name: regions.open(name).id)
    making: dict[str, Any] = {"regions": regions, "jobs": jobs, "store": store, "signing": signing, "state": folder, "names": names}
    return Office(serve(plans, **making), signing, store, clock, folder)
