"""What a database's complaint means for the officer, and what to do next.

In: an error of the driver. Out: a StoreError. A statement, its values and a password are never part of the message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kiban.base.errors import StoreError

_NOTHING_LOST = "nothing was lost: every version saved before stands"

# Primary result codes of SQLite: what was found, the next step.
_SQLITE = {
    5: ("the file locked by another program for too long", "close the other program, then save again"),
    6: ("the file locked by another program for too long", "close the other program, then save again"),
    8: ("a file or folder that may only be read", "give yourself the right to write there, or set KIBAN_STATE to another folder"),
    10: ("a disk that cannot be read or written", "free space or check the disk, then save again"),
    11: ("a damaged database file", "keep the file, and put back the last backup beside it"),
    13: ("a full disk", "free some space, then save again"),
    14: ("a file that cannot be opened", "check that the folder exists and that you may write there"),
    26: ("a file that is no SQLite database", "name another file; this one was not touched"),
}

# Classes and codes (SQLSTATE) of PostgreSQL, longest match first.
_POSTGRES = {
    "53100": ("a full disk on the database server", "ask its administrator to free space, then save again"),
    "28": ("a user name or password that the server refuses", "check KIBAN_DB with the administrator of the database"),
    "3D000": ("no database of that name", "create it (createdb), or correct KIBAN_DB"),
    "42501": ("no right to write there", "ask the administrator for the right to create tables in the schema"),
    "25006": ("a server that may only be read", "name the primary server in KIBAN_DB"),
    "55P03": ("another writer that took too long", "save again"),
    "57014": ("a statement that took too long", "save again; if it happens again, tell the administrator of the database"),
    "53": ("a server out of connections, memory or disk", "try again later, or tell the administrator of the database"),
    "57P": ("a server that is stopping or starting", "try again in a minute"),
}
_UNREACHABLE = ("no answer from the database server", "check that it runs and that this machine may reach it, then try again")


def explain(where: str, error: SQLAlchemyError) -> StoreError:
    """The StoreError for a complaint of a driver; `where` is the database as a message may show it."""
    if isinstance(error, PoolTimeoutError):
        return StoreError(where, "no free connection for too long", "", f"try again; {_NOTHING_LOST}")
    original = error.orig if isinstance(error, DBAPIError) else None
    sqlite_code = getattr(original, "sqlite_errorcode", None)
    if isinstance(sqlite_code, int) and sqlite_code & 0xFF in _SQLITE:
        found, step = _SQLITE[sqlite_code & 0xFF]
        return StoreError(where, found, "", f"{step}; {_NOTHING_LOST}")
    state = getattr(original, "sqlstate", None)
    text = str(original)
    for code in sorted(_POSTGRES, key=len, reverse=True):
        if (state or _refused(text)).startswith(code):
            found, step = _POSTGRES[code]
            return StoreError(where, found, "", f"{step}; {_NOTHING_LOST}")
    if original is not None and sqlite_code is None and (state is None or state.startswith("08")):
        found, step = _UNREACHABLE
        return StoreError(where, found, "", f"{step}; {_NOTHING_LOST}")
    name = getattr(original, "sqlite_errorname", None) or state or type(original or error).__name__
    return StoreError(where, f"a complaint of the database ({name})", "", f"report it; {_NOTHING_LOST}")


def _refused(text: str) -> str:
    # While connecting, libpq gives no SQLSTATE, only the server's sentence.
    if "authentication failed" in text or "no password supplied" in text or "pg_hba.conf" in text or ("role" in text and "does not exist" in text):
        return "28"
    if "database" in text and "does not exist" in text:
        return "3D000"
    if "too many clients" in text or "remaining connection slots" in text:
        return "53"
    return "57P" if "the database system is" in text else ""


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the driver complains about inside the block into a StoreError."""
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(where, error) from error
