"""Imports that are not confirmed yet 取り込みの途中: kept on the server until they are confirmed or a day has passed.

In: an uploaded file. Out: a Draft with its sheets, opened again by its token. The uploaded bytes are not kept; nor are columns of personal numbers.
Confirmed matchings of columns are remembered by the headers of the table.
"""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kiban.records.rules import Record
from kiban.region.boundary import areas
from kiban.region.columns import plain
from kiban.region.detect import load_json
from kiban.region.examine import Place
from kiban.region.head import read_head
from kiban.region.match import Matching, Table, key_of, match, without_persons
from kiban.region.sheet import Sheet, sheets_of
from kiban.region.xlsx import TableError

LASTS = timedelta(hours=24)
MOST_DRAFTS = 200
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\Z")


class Draft(Record, frozen=True, kw_only=True):
    """One file on its way in. sheets: how many it has; dropped: names of columns of personal numbers, per sheet; sheet: the chosen one."""

    token: str
    region: str
    file: str
    who: str
    at: datetime
    titles: tuple[str, ...]
    dropped: tuple[tuple[str, ...], ...]
    sheet: int
    matching: Matching


@dataclass(frozen=True)
class Imports:
    """The drafts in a folder of the state."""

    folder: Path
    _sheets: dict[str, tuple[Sheet, ...]] = field(default_factory=dict, repr=False)  # of the drafts opened last; sheets never change

    def start(self, region: str, raw: bytes, name: str, who: str, now: datetime) -> Draft:
        """Read a file and keep what is in it.

        Raises
        ------
        TableError  the file cannot be read (sheet.sheets_of), or too many imports wait
        """
        self.sweep(now)
        read = [without_persons(sheet) for sheet in sheets_of(raw, name)]
        read = [(sheet, gone) for sheet, gone in read if sheet.headers]
        if not read:
            raise TableError("only_persons", name, "only columns of personal numbers", "a table of places, plant or facts", "take another file")
        if len(self.all()) >= MOST_DRAFTS:
            raise TableError("too_many", name, f"{MOST_DRAFTS} imports that wait", "fewer", "confirm or give up those of the town page")
        token = secrets.token_urlsafe(16)
        sheets = tuple(sheet for sheet, _ in read)
        found = [self.matching(sheet) for sheet in sheets]
        best = max(range(len(sheets)), key=lambda index: (not sheets[index].hidden, not found[index].lacking(), -index))
        draft = Draft(
            token=token,
            region=region,
            file=sheets[0].file,
            who=who,
            at=now,
            titles=tuple(sheet.title for sheet in sheets),
            dropped=tuple(gone for _, gone in read),
            sheet=best,
            matching=found[best],
        )
        place = self.folder / token
        place.mkdir(parents=True)
        (place / "sheets.msgpack").write_bytes(msgspec.msgpack.encode(sheets))
        self.keep(draft)
        return draft

    def keep(self, draft: Draft) -> None:
        """Write a draft whose choices changed."""
        beside = self.folder / draft.token / "draft.part"
        beside.write_bytes(msgspec.json.encode(draft))
        beside.replace(beside.with_name("draft.json"))

    def open(self, token: str) -> tuple[Draft, tuple[Sheet, ...]]:
        """A draft and its sheets. Raises KeyError where there is none any more."""
        place = self.folder / token
        if not TOKEN.match(token) or not (place / "draft.json").is_file():
            raise KeyError(token)
        draft = msgspec.json.decode((place / "draft.json").read_bytes(), type=Draft)
        sheets = self._sheets.get(token)
        if sheets is None:
            sheets = msgspec.msgpack.decode((place / "sheets.msgpack").read_bytes(), type=tuple[Sheet, ...])
            for old in list(self._sheets)[:-2]:
                self._sheets.pop(old, None)
            self._sheets[token] = sheets
        return draft, sheets

    def all(self, region: str | None = None) -> list[Draft]:
        """The drafts of a region, or all, oldest first."""
        found = [msgspec.json.decode(path.read_bytes(), type=Draft) for path in self.folder.glob("*/draft.json")] if self.folder.is_dir() else []
        return sorted((one for one in found if region in (None, one.region)), key=lambda one: one.at)

    def drop(self, token: str) -> None:
        """Give up a draft."""
        self._sheets.pop(token, None)
        if TOKEN.match(token):
            shutil.rmtree(self.folder / token, ignore_errors=True)

    def sweep(self, now: datetime) -> None:
        """Give up what waited longer than a day."""
        for one in self.all():
            if now - one.at > LASTS:
                self.drop(one.token)

    def choose(self, draft: Draft, sheets: tuple[Sheet, ...], sheet: int, table: Table | None) -> Draft:
        """Another sheet, or another kind of rows: matched anew."""
        index = sheet if 0 <= sheet < len(sheets) else draft.sheet
        again = self.matching(sheets[index]) if table is None else match(sheets[index], table)
        return replace(draft, sheet=index, matching=again)

    # --- matchings that were confirmed

    def matching(self, sheet: Sheet) -> Matching:
        """The matching that was confirmed for these headers, else the most likely one."""
        path = self.folder / "matchings" / f"{key_of(sheet)}.json"
        guess = match(sheet)
        if not path.is_file():
            return guess
        try:
            known = msgspec.json.decode(path.read_bytes(), type=Matching)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return guess  # of an older version; the officer confirms again
        missing = len(sheet.headers) - len(known.fields)  # the column that kiban adds to rows that were left out
        fields = known.fields + ("",) * max(0, missing)
        return replace(known, fields=fields[: len(sheet.headers)], sure=(1.0,) * len(sheet.headers), remembered=True)

    def remember(self, sheet: Sheet, matching: Matching) -> None:
        """Keep a confirmed matching for the next table with these headers."""
        path = self.folder / "matchings" / f"{key_of(sheet)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        beside.write_bytes(msgspec.json.encode(replace(matching, remembered=False)))
        beside.replace(path)


def place_of(folder: Path, technologies: dict[str, str]) -> Place:
    """What a region folder says of where its rows may lie. technologies: id by any name of it."""
    import shapely  # half a second to load: only where something comes in

    head = read_head(folder / "region.yaml")
    area = None
    if (folder / "boundary.geojson").is_file():
        area = shapely.union_all([one.shape for one in areas(load_json(folder / "boundary.geojson"), "boundary.geojson")])
        shapely.prepare(area)
    named = {plain(name): id for name, id in technologies.items()}
    return Place(code=head.lg_code[:5] if head.lg_code else None, area=area, outside_limit_m=head.outside_limit_m, technologies=named)
