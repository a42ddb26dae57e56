"""Passwords: what is accepted, and the argon2id hash that is all that is kept of one.

In: what was typed. Out: a hash, or whether it fits one. Full-width and half-width letters are the same password: an input method must lock nobody out.
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kiban.base.errors import AccountError

SHORTEST = 10
LONGEST = 200  # a hash of megabytes would keep the machine busy
HASHER = PasswordHasher()  # the library's defaults are the second recommendation of RFC 9106: 64 MiB, three passes


def normal(typed: str) -> str:
    """A password as it is hashed.

    >>> normal("Ｏｋｕｎｏｔｏ－２０２６")
    'Okunoto-2026'
    """
    return unicodedata.normalize("NFKC", typed)


def check(typed: str, login: str) -> None:
    """Raises AccountError when a password is too short, too long, one repeated character, or holds the login name.

    >>> check("okunoto okunoto", "okunoto")
    Traceback (most recent call last):
    kiban.base.errors.AccountError: password: found one that holds the login name; expected a password that others cannot guess. Next: choose another one
    """
    password = normal(typed)
    if len(password) < SHORTEST:
        raise AccountError("password", f"{len(password)} characters", f"at least {SHORTEST}", "choose a longer one; three or four words do well", "short")
    if len(password) > LONGEST:
        raise AccountError("password", f"{len(password)} characters", f"at most {LONGEST}", "choose a shorter one", "long")
    if len(set(password)) < 4:
        raise AccountError("password", "few different characters", "at least 4", "choose another one", "plain")
    if login in password.lower():
        raise AccountError("password", "one that holds the login name", "a password that others cannot guess", "choose another one", "login")


def hashed(typed: str, hasher: PasswordHasher = HASHER) -> str:
    """The hash of a password, with a salt of its own."""
    return hasher.hash(normal(typed))


def fits(typed: str, hash: str, hasher: PasswordHasher = HASHER) -> bool:
    """Whether a password is the one that was hashed."""
    if len(typed) > LONGEST:
        return False
    try:
        return hasher.verify(hash, normal(typed))
    except (VerificationError, InvalidHashError):
        return False
