"""Towns by name, reading or 団体コード: a table of municipalities that the office drops in once, kept in the state.

In: a table with codes and names (総務省 全国地方公共団体コード, or another). Out: towns that a few letters find. No such table comes with kiban.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kiban.base.lgcode import check_digit
from kiban.records.rules import Record
from kiban.region import said
from kiban.region.columns import first, plain, table
from kiban.region.sheet import sheets_of
from kiban.region.values import five
from kiban.region.xlsx import TableError

MOST_FOUND = 50


class Town(Record, frozen=True, kw_only=True):
    """A municipality: six digits, names, and its reading."""

    code: str
    name: str
    prefecture: str = ""
    kana: str = ""


def reading(text: str) -> str:
    """What a search compares: widths, case, blanks and the kind of kana aside.

    >>> reading("ﾉﾄﾁｮｳ"), reading("のと ちょう"), reading("１７４６３７")
    ('のとちょう', 'のとちょう', '174637')
    """
    return "".join(chr(ord(letter) - 0x60) if "ァ" <= letter <= "ヶ" else letter for letter in plain(text))


@dataclass
class Towns:
    """The table in a file of the state; empty until one is dropped in."""

    path: Path
    _read: tuple[int, list[Town]] = field(default=(0, []), repr=False)

    def all(self) -> list[Town]:
        """Every town, by code."""
        stamp = self.path.stat().st_mtime_ns if self.path.is_file() else 0
        if self._read[0] != stamp:
            self._read = (stamp, msgspec.json.decode(self.path.read_bytes(), type=list[Town]) if stamp else [])
        return self._read[1]

    def take(self, raw: bytes, name: str) -> int:
        """Take a table in; how many towns it has.

        Raises
        ------
        TableError  no table, or none with codes and names
        """
        names = table()["import"]["towns"]
        found: dict[str, Town] = {}
        for sheet in sheets_of(raw, name):
            columns = {key: first(sheet.headers, names[key]) for key in ("code", "name", "prefecture", "kana")}
            if columns["code"] is None or columns["name"] is None:
                continue
            at = {key: sheet.headers.index(header) for key, header in columns.items() if header is not None}
            for row in sheet.rows:
                cells = {key: unicodedata.normalize("NFKC", row.cells[index]) for key, index in at.items()}
                code = five(cells["code"])
                if code is None or not cells["name"] or not re.fullmatch(r"\d{5}", code, re.ASCII) or not 1 <= int(code[:2]) <= 47:
                    continue
                found[code] = Town(code=code + check_digit(code), name=cells["name"], prefecture=cells.get("prefecture", ""), kana=cells.get("kana", ""))
        if not found:
            raise TableError(
                "no_towns",
                name,
                "no columns of codes and names",
                "団体コード and 市区町村名",
                "take the table 全国地方公共団体コード of 総務省 (as .xlsx or CSV)",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_bytes(msgspec.json.encode(sorted(found.values(), key=lambda one: one.code)))
        beside.replace(self.path)
        return len(found)

    def find(self, words: str) -> list[Town]:
        """Towns whose name, reading or code holds some letters; the best first, at most fifty."""
        wanted = reading(words)
        if not wanted:
            return []
        digits = said.flat(words)
        scored = []
        for town in self.all():
            keys = [reading(town.name), reading(town.prefecture + town.name), reading(town.kana)]
            if digits.isdigit():
                if not town.code.startswith(digits):
                    continue
                rank = 0
            elif wanted in keys:
                rank = 0
            elif any(key.startswith(wanted) for key in keys):
                rank = 1
            elif any(wanted in key for key in keys):
                rank = 2
            else:
                continue
            scored.append((rank, town.code, town))
        return [town for _, _, town in sorted(scored, key=lambda one: one[:2])][:MOST_FOUND]

    def of(self, code: str | None) -> Town | None:
        """The town of a code of five or six digits."""
        return next((town for town in self.all() if code and town.code[:5] == code[:5]), None)
