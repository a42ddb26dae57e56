"""What was done with kiban, by whom and when (監査ログ): rows that are only ever added, each with the hash of all rows before it.

In: who, what, on which thing. Out: rows, a daily digest in a CSV file, and whether the rows still are what they were. A row holds no password, no token
and no content of a form.

Whoever may write the file could write the whole chain anew. The digests are for that case: one line a day, carried to where that person has no hands
(another machine, a printed page). With them, a change of any row of those days shows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from kiban.accounts.file import open_file
from kiban.base.cells import safe
from kiban.base.errors import StoreError

TOKYO = timezone(timedelta(hours=9))
ACTIONS = ("view", "search", "change", "export", "sign-in", "sign-out", "refused")
MOST = 1000  # characters of one field
START = "0" * 64  # what the first row follows
HEAD = ("day", "rows", "last", "sha256")

_TABLE = """CREATE TABLE IF NOT EXISTS entry (
    n INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL, sha256 TEXT NOT NULL)"""
_KEPT = [
    f"CREATE TRIGGER IF NOT EXISTS keep_{kind.lower()} BEFORE {kind} ON entry BEGIN SELECT RAISE(ABORT, 'the audit log keeps every row'); END"
    for kind in ("UPDATE", "DELETE")
]
# REPLACE would delete without asking the trigger above.
_NEXT = """CREATE TRIGGER IF NOT EXISTS keep_order BEFORE INSERT ON entry WHEN NEW.n <> (SELECT ifnull(max(n), 0) + 1 FROM entry)
    BEGIN SELECT RAISE(ABORT, 'the audit log keeps every row'); END"""
_INDEXES = [f"CREATE INDEX IF NOT EXISTS entry_{name} ON entry ({name})" for name in ("at", "who", "action")]
# The next name each time: all of them without reading every row.
_PEOPLE = """WITH RECURSIVE people(who) AS (SELECT min(who) FROM entry
    UNION ALL SELECT (SELECT min(who) FROM entry WHERE who > people.who) FROM people WHERE people.who IS NOT NULL)
    SELECT who FROM people WHERE who IS NOT NULL"""


@dataclass(frozen=True)
class Entry:
    """One row: its number from 1, the time in Japan (ISO 8601), the login name ("" where nobody was signed in), one of ACTIONS, on what, and more about it."""

    n: int
    at: str
    who: str
    action: str
    target: str
    detail: str
    sha256: str


@dataclass(frozen=True)
class Digest:
    """What a day looked like: how many rows it had, the number of its last row, and the hash of that row, which stands for all rows up to it."""

    day: str
    rows: int
    last: int
    sha256: str


class AuditLog:
    """The audit log of one file. May be used by several threads and processes."""

    def __init__(self, path: Path, digests: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """digests: the CSV file that gets a line for each day that is over."""
        self.path, self.digests, self._now = path, digests, now
        self._connection = open_file(path, _TABLE, *_KEPT, _NEXT, *_INDEXES)
        self._connection.isolation_level = None  # transactions are begun below, at once for writing
        self._lock = threading.Lock()

    def check(self) -> None:
        """See that a row could be added: asked before something is changed. Raises StoreError as `write` does."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("ROLLBACK")

    def write(self, who: str, action: str, target: str, detail: str = "") -> None:
        """Add a row; the first one of a day writes the digest of the day before.

        Raises
        ------
        StoreError  the row could not be kept: what it would have told of must not be shown
        """
        if action not in ACTIONS:
            raise ValueError(action)
        at = self._now().astimezone(TOKYO).isoformat(timespec="milliseconds")
        ended = None
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                before = self._connection.execute("SELECT n, at, sha256 FROM entry ORDER BY n DESC LIMIT 1").fetchone() or (0, at, START)
                number = before[0] + 1
                row = (number, at, _text(who), action, _text(target), _text(detail))
                self._connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, chained(before[2], row)))
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            if before[1][:10] < at[:10]:
                ended = self._digest(before[1][:10])
        if ended is not None:
            self._append(ended)

    def rows(self, *, day: str = "", who: str = "", action: str = "", before: int | None = None, most: int | None = None) -> list[Entry]:
        """Rows, newest first, of a day (YYYY-MM-DD), a login name, an action; `before`: only rows with a smaller number."""
        asked: list[tuple[str, object]] = []
        if day:
            asked += [("at >= ?", day), ("at < ?", day + "~")]  # ~ sorts behind the T of the time
        asked += [(f"{name} = ?", value) for name, value in (("who", who), ("action", action)) if value]
        if before is not None:
            asked.append(("n < ?", before))
        where = f" WHERE {' AND '.join(term for term, _ in asked)}" if asked else ""
        query = f"SELECT * FROM entry{where} ORDER BY n DESC LIMIT ?"  # noqa: S608  the terms are those above; every value is a parameter
        with self._lock, self._explained():
            return [Entry(*row) for row in self._connection.execute(query, (*(value for _, value in asked), -1 if most is None else most))]

    def people(self) -> list[str]:
        """Who stands in the log, by name."""
        with self._lock, self._explained():
            return [row[0] for row in self._connection.execute(_PEOPLE)]

    def digest(self, day: str = "") -> Digest | None:
        """The digest of a day (empty: of the day of the last row), also of one that is not over; None when it has no row."""
        with self._lock, self._explained():
            if not day:
                last = self._connection.execute("SELECT at FROM entry ORDER BY n DESC LIMIT 1").fetchone()
                if last is None:
                    return None
                day = last[0][:10]
            return self._digest(day)

    def verify(self, digests: Sequence[Digest] = ()) -> tuple[int, str]:
        """How many rows there are, and what is wrong in a few words, "" when nothing is: the chain from the first row on, then each digest."""
        previous, count = START, 0
        at_end: dict[int, str] = {0: START}
        wanted = {one.last for one in digests}
        of_day: dict[str, int] = {}
        seen: dict[int, int] = {}
        for entry in self._each():
            count += 1
            if entry.n != count:
                return count, f"row {count} is missing"
            row = astuple(entry)
            if entry.sha256 != chained(previous, row[:-1]):
                return count, f"row {count} was changed, or a row before it"
            previous = entry.sha256
            of_day[entry.at[:10]] = of_day.get(entry.at[:10], 0) + 1
            if count in wanted:
                at_end[count], seen[count] = previous, of_day[entry.at[:10]]
        for one in digests:
            if at_end.get(one.last) != one.sha256 or seen.get(one.last) != one.rows:
                return count, f"the rows up to {one.day} are not those of its digest"
        return count, ""

    def all_digests(self) -> list[Digest]:
        """The digest of every day, the last one as it is now."""
        with self._lock, self._explained():
            days = [row[0] for row in self._connection.execute("SELECT DISTINCT substr(at, 1, 10) FROM entry ORDER BY 1")]
            return [digest for day in days if (digest := self._digest(day)) is not None]

    def kept_digests(self) -> list[Digest]:
        """The lines of the digest file beside the log."""
        return read_digests(self.digests) if self.digests.is_file() else []

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    # --- parts

    def _each(self) -> Iterator[Entry]:
        """Every row in order, some thousands at a time, so that a page need not wait for the whole check."""
        last = -1
        while True:
            with self._lock, self._explained():
                some = self._connection.execute("SELECT * FROM entry WHERE n > ? ORDER BY n LIMIT 2000", (last,)).fetchall()
            if not some:
                return
            yield from (Entry(*row) for row in some)
            last = some[-1][0]

    def _digest(self, day: str) -> Digest | None:
        row = self._connection.execute("SELECT count(*), max(n) FROM entry WHERE at >= ? AND at < ?", (day, day + "~")).fetchone()
        if not row[0]:
            return None
        hash = self._connection.execute("SELECT sha256 FROM entry WHERE n = ?", (row[1],)).fetchone()
        return Digest(day, row[0], row[1], hash[0])

    def _append(self, digest: Digest) -> None:
        new = not self.digests.is_file()
        try:
            with self.digests.open("a", encoding="utf-8", newline="") as file:
                file.write(as_digests([digest], head=new))
        except OSError as error:
            raise StoreError(str(self.digests), error.strerror or "not writable", "a file that may be written", "check the folder") from error

    def _explained(self) -> _Explained:
        return _Explained(self.path)


class _Explained:
    """Turns a complaint of SQLite into a StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            step = "check the free space and the rights of the folder; nothing is shown that cannot be logged"
            raise StoreError(str(self.path), f"an audit log that cannot be used ({error})", "a log that takes rows", step) from error


def _text(text: str) -> str:
    """A field as it is kept: not too long, and nothing that no file could hold."""
    return text[:MOST].encode("utf-8", "replace").decode()


def chained(previous: str, row: Sequence[object]) -> str:
    """The hash of a row: of the hash before it and of its fields as JSON.

    >>> chained(START, (1, "2026-11-23T09:00:00.000+09:00", "tanaka", "view", "/", ""))[:12]
    '1bed9f4e071d'
    """
    return hashlib.sha256(f"{previous}\n{json.dumps(list(row), ensure_ascii=False, separators=(',', ':'))}".encode()).hexdigest()


def read_digests(path: Path) -> list[Digest]:
    """The digests of a CSV file. Raises StoreError when it is none."""
    try:
        table = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
        if tuple(table[0]) != HEAD:
            raise ValueError("other heads")
        return [Digest(day, int(rows), int(last), sha256) for day, rows, last, sha256 in table[1:]]
    except (OSError, ValueError, IndexError) as error:
        raise StoreError(str(path), f"no file of digests ({error})", ",".join(HEAD), "name a file that `kiban audit digest` wrote") from error


def as_digests(digests: Iterable[Digest], *, head: bool = True) -> str:
    """Digests as CSV, one day a line."""
    rows = [HEAD] * head + [astuple(digest) for digest in digests]
    return "".join(",".join(str(value) for value in row) + "\r\n" for row in rows)


def open_log(state: Path) -> AuditLog:
    """The audit log of a state folder, with its digests beside it."""
    return AuditLog(state / "audit.db", state / "audit-digests.csv")


def as_csv(entries: Iterable[Entry]) -> str:
    """Rows for a spreadsheet: byte order mark, CRLF, no cell that begins like a formula.

    >>> as_csv([Entry(1, "2026-11-23T09:00:00.000+09:00", "tanaka", "search", "=1+1", "", "ab")]).splitlines()[1]
    "1,2026-11-23T09:00:00.000+09:00,tanaka,search,'=1+1,,ab"
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([field.name for field in fields(Entry)])
    writer.writerows([[safe(value) if isinstance(value, str) else value for value in astuple(entry)] for entry in entries])
    return "\ufeff" + file.getvalue()
