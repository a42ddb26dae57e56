"""Who may sign in, and what they may do until when."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id

Role = Literal["viewer", "editor", "approver"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "approver")  # each may do what those before it may
LONGEST_LOGIN = 40
LONGEST_NAME = 60


class Account(Record, frozen=True, kw_only=True):
    """One person who signs in.

    login     what is typed at sign-in; lower-case ASCII
    name      what colleagues read
    role      viewer: reads · editor: changes plans, too · approver: manages accounts and reads the audit log, too
    password  hash by argon2id, never the password
    until     last day on which the rights hold
    disabled  may not sign in
    """

    login: str
    name: str
    role: Role
    password: str
    until: date
    disabled: bool = False

    def __post_init__(self) -> None:
        check_id("account", self.login)
        if len(self.login) > LONGEST_LOGIN:
            raise RecordError("account", f"a login name of {len(self.login)} characters", f"at most {LONGEST_LOGIN}", "shorten it")
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise RecordError(f"account {self.login}", f"the name {self.name!r}", f"1 to {LONGEST_NAME} printable characters", "write the person's name")
        if not self.password.startswith("$argon2id$"):
            raise RecordError(f"account {self.login}", "a password that is no argon2id hash", "a hash", "set the password anew")

    def holds(self, day: date) -> bool:
        """Whether the rights hold on a day (of Japan)."""
        return not self.disabled and day <= self.until
