"""The accounts: who may sign in, with which role, until when.

In: a store, and who changes what. Out: account records; every change is a new version with who did it and why. Passwords are hashed here and never kept.
An account is never deleted, it is disabled: what it did stays in the audit log under its name.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher
from msgspec.structs import replace

from kiban.accounts import passwords
from kiban.accounts.sessions import Sessions
from kiban.base.errors import AccountError, NotFoundError
from kiban.base.jdate import fiscal_year_end
from kiban.records.account import LONGEST_LOGIN, LONGEST_NAME, ROLES, Account, Role
from kiban.records.rules import ID

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Store

KIND = "account"
TOKYO = timezone(timedelta(hours=9))
AT_ONCE = 2  # hashes made at the same time: each takes 64 MiB and a core


def login_of(typed: str) -> str:
    """A login name as it is kept: half-width, lower-case, without the spaces around it.

    >>> login_of(" Ｔａｎａｋａ ")
    'tanaka'
    """
    return unicodedata.normalize("NFKC", typed).strip().lower()


def next_end(until: date, today: date) -> date:
    """Until when rights hold after they were extended: the end of this fiscal year, or of the next one where they hold so long already.

    >>> next_end(date(2026, 3, 31), date(2026, 4, 2)), next_end(date(2027, 3, 31), date(2027, 3, 15))
    (datetime.date(2027, 3, 31), datetime.date(2028, 3, 31))
    """
    this = fiscal_year_end(today)
    return this if until < this else max(until, fiscal_year_end(this + timedelta(days=1)))


class Accounts:
    """The accounts of one store. May be used by several threads."""

    def __init__(
        self, store: Store, sessions: Sessions, *, hasher: PasswordHasher = passwords.HASHER, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """hasher: tests give a quick one."""
        self._store, self._sessions, self._hasher, self._now = store, sessions, hasher, now
        self._first = threading.Lock()  # two who have the code at once make one account
        self._busy = threading.BoundedSemaphore(AT_ONCE)
        self._nobody = hasher.hash("nobody has this password")  # what an unknown name is compared with, so that it takes as long as a known one

    def today(self) -> date:
        """The day in Japan."""
        return self._now().astimezone(TOKYO).date()

    def all(self) -> list[Account]:
        """Every account, by login name."""
        return [self._store.read(KIND, saved.id, Account) for saved in self._store.list(KIND)]

    def any(self) -> bool:
        """Whether there is an account."""
        return bool(self._store.list(KIND))

    def get(self, login: str) -> Account:
        """One account. Raises AccountError (code `unknown`) when there is none of that name."""
        try:
            return self._store.read(KIND, login, Account)
        except NotFoundError:
            raise AccountError(f"account {login!r}", "no such account", "a login name that `kiban account list` shows", "look at the list", "unknown") from None

    def approvers(self) -> list[Account]:
        """Whom to ask for rights: the approvers whose own rights hold today."""
        return [one for one in self.all() if one.role == "approver" and one.holds(self.today())]

    def add(self, login: str, name: str, role: str, password: str, *, by: str) -> Account:
        """Make an account; its rights hold until the end of this fiscal year.

        Raises
        ------
        AccountError  the login name is taken or does not fit, or the password, name or role does not fit
        """
        login, name = login_of(login), name.strip()  # the name as it is written: normalising would change the letters of some names
        if not ID.match(login) or len(login) > LONGEST_LOGIN:
            fits = f"1 to {LONGEST_LOGIN} lower-case letters and digits, joined by '-', '_' or '.'"
            raise AccountError("login name", repr(login[:60]), fits, "choose another one", "login_form")
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise AccountError("name", repr(name[:60]), f"1 to {LONGEST_NAME} characters", "write the person's name", "name")
        if login in (saved.id for saved in self._store.list(KIND)):
            raise AccountError(f"account {login!r}", "an account of that name", "a new login name", "choose another one, or change that account", "taken")
        passwords.check(password, login)
        account = Account(login=login, name=name, role=_role(role), password=self._hash(password), until=fiscal_year_end(self.today()))
        self._store.save(KIND, login, account, author=by, reason=f"new, {role}", expected_version=0, now=self._now())
        return account

    def first(self, login: str, name: str, password: str) -> Account:
        """The first account, an approver who made himself. Raises AccountError (code `not_first`) when there is an account already, and as `add` does."""
        with self._first:
            if self.any():
                raise AccountError("setup", "an account already", "no account yet", "ask an approver for an account", "not_first")
            return self.add(login, name, "approver", password, by=login_of(login) or "setup")

    def set_role(self, login: str, role: str, *, by: str) -> Account:
        """Give another role; the account's sessions end. Raises AccountError when it is the last approver (code `last`)."""
        account = self.get(login)
        if role != "approver":
            self._keep_one(account)
        return self._change(account, f"role {role}", by, role=_role(role))

    def set_password(self, login: str, password: str, *, by: str) -> Account:
        """Give another password; the account's sessions end."""
        passwords.check(password, login)
        return self._change(self.get(login), "password", by, password=self._hash(password))

    def extend(self, login: str, *, by: str) -> Account:
        """Let the rights hold until the end of this fiscal year, or of the next one where they hold so long already."""
        account = self.get(login)
        until = next_end(account.until, self.today())
        return self._change(account, f"until {until}", by, end=False, until=until)

    def set_disabled(self, login: str, disabled: bool, *, by: str) -> Account:
        """Let nobody sign in with an account any more, or again; its sessions end."""
        account = self.get(login)
        if disabled:
            self._keep_one(account)
        return self._change(account, "disabled" if disabled else "enabled", by, disabled=disabled)

    def check(self, login: str, password: str) -> Account | None:
        """The account that a name and a password belong to; None when they belong to none or it is disabled. Takes the same time in each case."""
        try:
            account = self.get(login) if ID.match(login) and len(login) <= LONGEST_LOGIN else None
        except AccountError:
            account = None
        with self._busy:
            right = passwords.fits(password, account.password if account else self._nobody, self._hasher)
        return account if account and right and not account.disabled else None

    def _hash(self, password: str) -> str:
        with self._busy:
            return passwords.hashed(password, self._hasher)

    def _keep_one(self, account: Account) -> None:
        """An office without an approver could let nobody in any more."""
        others = [one for one in self.approvers() if one.login != account.login]
        if account.role == "approver" and account.holds(self.today()) and not others:
            raise AccountError(f"account {account.login!r}", "the last approver", "another approver beside it", "make somebody else an approver first", "last")

    def _change(self, account: Account, reason: str, by: str, *, end: bool = True, **changes: Any) -> Account:
        changed = replace(account, **changes)
        if changed != account:
            number = self._store.history(KIND, account.login)[-1].version
            self._store.save(KIND, account.login, changed, author=by, reason=reason, expected_version=number, now=self._now())
        if end:
            self._sessions.end_all(account.login)
        return changed


def _role(role: str) -> Role:
    for known in ROLES:
        if role == known:
            return known
    raise AccountError("role", repr(role[:40]), ", ".join(ROLES), "choose one of them", "role")
