"""Pages of the accounts: signing in and out, the first account, one's own password, the people of the office, and the audit log.

In: what is behind signing in, the frame. Out: routes. Alone on this computer nobody needs them: they say so, and only the audit log is shown.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.accounts import ACTIONS, Accounts, Sessions
from kiban.accounts.audit import as_csv, as_digests
from kiban.accounts.passwords import SHORTEST
from kiban.accounts.people import login_of, next_end
from kiban.base.errors import AccountError, KibanError
from kiban.base.settings import LANGUAGES
from kiban.records.account import ROLES, Account
from kiban.region import said
from kiban.web.frame import Frame
from kiban.web.signing_in import COOKIE, Signing, address_of, local

ROWS = 100  # of the audit log on one page
MOST_ROWS = 100_000  # in one file: what a spreadsheet opens without complaint
SOON = 92  # days before their end in which rights are extended: from the new year on
YEAR = 366 * 24 * 3600
SIZES = {"login": 40, "name": 60, "password": 200}


@dataclass(frozen=True)
class AccountPages:
    """Everything about who may use this kiban."""

    signing: Signing
    frame: Frame
    wait: Callable[[Request, float], Response]

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/sign-in", self.sign_in),
            Route("/sign-in", self.signed_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/setup", self.setup),
            Route("/setup", self.set_up, methods=["POST"]),
            Route("/account", self.own),
            Route("/account/password", self.own_password, methods=["POST"]),
            Route("/account/language", self.own_language, methods=["POST"]),
            Route("/accounts", self.people),
            Route("/accounts", self.add, methods=["POST"]),
            Route("/accounts/{login}/{change}", self.change, methods=["POST"]),
            Route("/audit", self.audit),
            Route("/audit.csv", self.audit_csv),
            Route("/audit-digests.csv", self.digests),
        ]

    # --- signing in and out

    async def sign_in(self, request: Request) -> Response:
        """The form of name and password."""
        if self.signing.accounts is None:
            return RedirectResponse(self.frame.url(request, "/"), 303)
        if self.signing.code and not await run_in_threadpool(self.signing.accounts.any):
            return RedirectResponse(self.frame.url(request, "/setup"), 303)
        return self._sign_in(request, "", request.query_params.get("next", ""))

    async def signed_in(self, request: Request) -> Response:
        """Name and password are right, or wrong, or there were too many tries."""
        accounts, sessions = self._needed()
        form = await self.frame.form(request)
        login, password, there = login_of(form.get("login", "")), form.get("password", ""), form.get("next", "")
        name, address = f"name {login[:40]}", f"address {address_of(request)}"
        if wait := self.signing.addresses.try_now(address) or self.signing.names.try_now(name):
            self.frame.note(request, "refused", "/sign-in", await self._named(login))
            return self.wait(request, wait)
        account = await self.signing.hashing(lambda: accounts.check(login, password))
        if account is None:
            self.frame.note(request, "refused", "/sign-in", await self._named(login))
            return self._sign_in(request, "wrong", there, form.get("login", ""), 401)
        self.signing.names.worked(name)
        self.signing.addresses.undo(address)
        sessions.end(request.cookies.get(COOKIE, ""))
        request.state.login = account.login
        self.frame.note(request, "sign-in", "/sign-in", address_of(request))
        return self._with_session(request, RedirectResponse(local(there), 303), sessions.begin(account.login))

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        _, sessions = self._needed()
        sessions.end(request.cookies.get(COOKIE, ""))
        self.frame.note(request, "sign-out", "/sign-out", "")
        response = RedirectResponse(self.frame.url(request, "/sign-in"), 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    async def setup(self, request: Request) -> Response:
        """The form of the first account, as long as there is none."""
        accounts, _ = self._needed()
        if not self.signing.code or await run_in_threadpool(accounts.any):
            raise HTTPException(404)
        return self._setup(request, "", {})

    async def set_up(self, request: Request) -> Response:
        """Make the first account, an approver, for whoever read the code on the terminal of the server."""
        accounts, sessions = self._needed()
        form = await self.frame.form(request)
        if wait := self.signing.addresses.try_now(f"setup {address_of(request)}") or self.signing.names.try_now("setup"):
            return self.wait(request, wait)
        typed = re.sub(r"\D", "", unicodedata.normalize("NFKC", form.get("code", "")))
        right = secrets.compare_digest(typed, re.sub(r"\D", "", self.signing.code)) if self.signing.code else False
        if not right or await run_in_threadpool(accounts.any):
            self.frame.note(request, "refused", "/setup", "code")
            return self._setup(request, "code", form)
        self.signing.names.worked("setup")
        try:
            self._same(form)
            account = await self.signing.hashing(lambda: accounts.first(form.get("login", ""), form.get("name", ""), form.get("password", "")))
        except AccountError as error:
            return self._setup(request, error.code, form)
        self.signing.code = ""
        request.state.login = account.login
        self.frame.note(request, "change", f"account {account.login}", "setup: approver")
        return self._with_session(request, RedirectResponse(self.frame.url(request, "/accounts"), 303), sessions.begin(account.login))

    # --- one's own account

    async def own(self, request: Request) -> Response:
        """Who one is, until when, and the way to the rest."""
        return await self._own(request, "")

    async def own_password(self, request: Request) -> Response:
        """Another password for oneself; all other sessions end."""
        accounts, sessions = self._needed()
        form = await self.frame.form(request)
        account = await run_in_threadpool(accounts.get, request.state.login)
        if wait := self.signing.names.try_now(f"own {account.login}"):
            return self.wait(request, wait)
        if await self.signing.hashing(lambda: accounts.check(account.login, form.get("old", ""))) is None:
            self.frame.note(request, "refused", "/account/password", "old password")
            return await self._own(request, "old")
        self.signing.names.worked(f"own {account.login}")
        try:
            self._same(form)
            await self.signing.hashing(lambda: accounts.set_password(account.login, form.get("password", ""), by=account.login))
        except AccountError as error:
            return await self._own(request, error.code)
        self.frame.note(request, "change", f"account {account.login}", "password")
        return self._with_session(request, RedirectResponse(self.frame.url(request, "/account", done="password"), 303), sessions.begin(account.login))

    async def own_language(self, request: Request) -> Response:
        """The language of pages whose address says none."""
        form = await self.frame.form(request)
        lang = form.get("language", "")
        response = RedirectResponse(f"/account?{urlencode({'lang': lang if lang in LANGUAGES else self.frame.language(request)})}", 303)
        if lang in LANGUAGES:
            response.set_cookie("kiban_lang", lang, max_age=YEAR, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return response

    # --- the people of the office

    async def people(self, request: Request) -> Response:
        """Who may sign in, with the forms that change it."""
        self.frame.need(request, "approver")
        return await self._people(request, "", {})

    async def add(self, request: Request) -> Response:
        """A new account."""
        by = self._approver(request)
        accounts, _ = self._needed()
        form = await self.frame.form(request)
        try:
            self._same(form)
            given = [form.get(name, "") for name in ("login", "name", "role", "password")]
            account = await self.signing.hashing(lambda: accounts.add(*given, by=by))
        except AccountError as error:
            return await self._people(request, error.code, form)
        self.frame.note(request, "change", f"account {account.login}", f"new: {account.role}, until {account.until}")
        return RedirectResponse(self.frame.url(request, "/accounts", done=account.login), 303)

    async def change(self, request: Request) -> Response:
        """One change of one account: role, extend, disable, enable, password."""
        by = self._approver(request)
        accounts, _ = self._needed()
        form, login, what = await self.frame.form(request), request.path_params["login"], request.path_params["change"]
        changes: dict[str, Callable[[], Account]] = {
            "role": lambda: accounts.set_role(login, form.get("role", ""), by=by),
            "extend": lambda: accounts.extend(login, by=by),
            "disable": lambda: accounts.set_disabled(login, True, by=by),
            "enable": lambda: accounts.set_disabled(login, False, by=by),
            "password": lambda: accounts.set_password(login, form.get("password", ""), by=by),
        }
        if what not in changes:
            raise HTTPException(404)
        try:
            account = await self.signing.hashing(changes[what])
        except AccountError as error:
            if error.code == "unknown":
                raise HTTPException(404) from error
            return await self._people(request, error.code, {}, login)
        self.frame.note(request, "change", f"account {account.login}", f"{what}: {account.role}, until {account.until}")
        return RedirectResponse(self.frame.url(request, "/accounts", done=account.login), 303)

    # --- the audit log

    async def audit(self, request: Request) -> Response:
        """Rows by day, person and action; with `check=1`, whether all rows still are what they were."""
        self.frame.need(request, "approver")
        if self.signing.audit is None:
            raise HTTPException(404)
        log, asked, query = self.signing.audit, self._asked(request), request.query_params
        before = int(query["before"]) if query.get("before", "").isdecimal() and len(query["before"]) < 16 else None
        day, who, action = asked["day"], asked["who"], asked["action"]
        rows = await run_in_threadpool(lambda: log.rows(day=day, who=who, action=action, before=before, most=ROWS + 1))
        checked = await run_in_threadpool(lambda: log.verify(log.kept_digests())) if query.get("check") == "1" else None
        context = {
            "rows": rows[:ROWS],
            "older": self.frame.url(request, "/audit", **asked, before=str(rows[ROWS - 1].n)) if len(rows) > ROWS else "",
            "asked": asked,
            "typed_day": query.get("day", "")[:40],
            "wrong_day": bool(query.get("day", "").strip()) and not asked["day"],
            "people": await run_in_threadpool(log.people),
            "actions": ACTIONS,
            "checked": checked,
            "when": lambda at: f"{self.frame.day(request, date.fromisoformat(at[:10]), short=True)} {at[11:19]}",
            "most": f"{MOST_ROWS:,}",
            "csv_url": self.frame.url(request, "/audit.csv", **asked),
        }
        return self.frame.page(request, "audit.html", context)

    async def audit_csv(self, request: Request) -> Response:
        """The rows that were asked for, for a spreadsheet."""
        self.frame.need(request, "approver")
        if self.signing.audit is None:
            raise HTTPException(404)
        log, asked = self.signing.audit, self._asked(request)
        rows = await run_in_threadpool(lambda: log.rows(day=asked["day"], who=asked["who"], action=asked["action"], most=MOST_ROWS))
        return _file(as_csv(rows), "audit.csv")

    async def digests(self, request: Request) -> Response:
        """The digest of every day, to be kept elsewhere."""
        self.frame.need(request, "approver")
        if self.signing.audit is None:
            raise HTTPException(404)
        return _file(as_digests(await run_in_threadpool(self.signing.audit.all_digests)), "audit-digests.csv")

    # --- parts

    def _needed(self) -> tuple[Accounts, Sessions]:
        """Accounts and sessions. Raises HTTPException 404 where one person is alone."""
        if self.signing.accounts is None or self.signing.sessions is None:
            raise HTTPException(404)
        return self.signing.accounts, self.signing.sessions

    async def _named(self, login: str) -> str:
        """A login name as the log may keep it: one of nobody may be a password in the wrong field."""
        accounts, _ = self._needed()
        try:
            return (await run_in_threadpool(accounts.get, login)).login
        except KibanError:
            return "unknown name"

    def _approver(self, request: Request) -> str:
        self.frame.need(request, "approver")
        return str(request.state.login)

    @staticmethod
    def _same(form: dict[str, str]) -> None:
        if form.get("password", "") != form.get("again", ""):
            raise AccountError("password", "two different passwords", "the same one twice", "type it again", "again")

    def _asked(self, request: Request) -> dict[str, str]:
        """Day, person and action that were asked for; what does not fit asks for nothing."""
        query = request.query_params
        try:
            found, _ = said.day(query.get("day", ""))
        except ValueError:
            found = None
        day = found.isoformat() if found else ""
        action = query.get("action", "")
        return {"day": day, "who": query.get("who", "")[:80], "action": action if action in ACTIONS else ""}

    def _with_session(self, request: Request, response: Response, token: str) -> Response:
        """The answer that brings a new token; over plain http on a LAN the cookie cannot be `Secure`, over TLS it is."""
        response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return response

    def _sign_in(self, request: Request, wrong: str, there: str, login: str = "", status: int = 200) -> Response:
        return self.frame.page(request, "sign_in.html", {"wrong": wrong, "next": local(there), "login": login[:40], "sizes": SIZES}, status=status)

    def _setup(self, request: Request, wrong: str, form: dict[str, str]) -> Response:
        context = {"wrong": wrong, "form": form, "sizes": SIZES, "shortest": SHORTEST}
        return self.frame.page(request, "setup.html", context, status=422 if wrong else 200)

    async def _own(self, request: Request, wrong: str) -> Response:
        account = None
        if self.signing.accounts is not None:
            account = await run_in_threadpool(self.signing.accounts.get, request.state.login)
        context = {
            "account": account,
            "wrong": wrong,
            "done": request.query_params.get("done", ""),
            "sizes": SIZES,
            "shortest": SHORTEST,
        }
        return self.frame.page(request, "account.html", context, status=422 if wrong else 200)

    async def _people(self, request: Request, wrong: str, form: dict[str, str], about: str = "") -> Response:
        accounts = self.signing.accounts
        found = await run_in_threadpool(accounts.all) if accounts is not None else []
        today = accounts.today() if accounts is not None else None
        context = {
            "accounts": found,
            "holds": lambda one: today is not None and one.holds(today),
            "later": lambda one: next_end(one.until, today) if today else one.until,
            "extends": lambda one: today is not None and not one.disabled and (one.until - today).days < SOON,
            "roles": ROLES,
            "wrong": wrong,
            "about": about,
            "form": form,
            "done": request.query_params.get("done", "") if request.query_params.get("done", "") in {one.login for one in found} else "",
            "sizes": SIZES,
            "shortest": SHORTEST,
        }
        return self.frame.page(request, "accounts.html", context, status=422 if wrong else 200)


def _file(text: str, name: str) -> Response:
    headers: dict[str, Any] = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(text.encode(), media_type="text/csv; charset=utf-8", headers=headers)
