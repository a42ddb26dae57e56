"""What each column of a table is 列の対応: by its name (columns.yaml), by what stands in it, or as the officer says.

In: a Sheet. Out: a Matching, one field for each column with how sure it is. A column of personal numbers マイナンバー is dropped before anything is kept.
Matchings are remembered by their headers, so that next year's table needs no click.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from msgspec.structs import replace

from kiban.records.rules import Record
from kiban.records.usecase import SiteKind
from kiban.region import said
from kiban.region.columns import in_japan, plain, table
from kiban.region.sheet import PLACE, Line, Sheet

Table = Literal["sites", "places", "plants", "facts", "town"]
FIELDS: dict[Table, tuple[str, ...]] = {
    "sites": (
        "name", "kind", "lat", "lon", "id", "code", "kana", "address", "capacity", "households", "population", "pupils", "devices",
        "critical", "autonomy_h", "hazard", "note",
    ),
    "places": ("name", "kind", "lat", "lon", "id", "code", "height_m", "autonomy_h"),
    "plants": ("name", "technology", "year_built", "owner", "funding", "restricted_until", "iru_until", "route", "id", "code"),
    "facts": ("fact", "value", "unit", "year"),
    "town": ("code", "year"),  # one row for each municipality: and a field fact.<id> for each fact of columns.yaml
}  # fmt: skip
NEEDED: dict[Table, tuple[str, ...]] = {
    "sites": ("name", "lat", "lon"),
    "places": ("name", "lat", "lon"),
    "plants": ("name",),
    "facts": ("fact", "value"),
    "town": ("code",),
}
SITE_KINDS: tuple[str, ...] = get_args(SiteKind)
MANY = ("hazard",)  # fields that several columns may have
SURE, LIKELY, LEAST = 0.85, 0.55, 0.35
LOOKED_AT = 200  # filled cells of a column that are looked at
ABOUT_CARDS = re.compile("カード|保有|交付|普及|率|件数|状況")  # figures about the scheme, not a person's number
WEIGHTS = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


class Matching(Record, frozen=True, kw_only=True):
    """table: what the rows are; fields: one for each column, "" is kept out; sure: how sure, 0 to 1; kind: of rows that do not say theirs."""

    table: Table
    fields: tuple[str, ...]
    sure: tuple[float, ...]
    kind: str = ""
    remembered: bool = False

    def column(self, field: str) -> int | None:
        """The column of a field."""
        return self.fields.index(field) if field in self.fields else None

    def lacking(self) -> tuple[str, ...]:
        """The fields without which no row can be taken."""
        return tuple(field for field in NEEDED[self.table] if field not in self.fields)


def without_persons(sheet: Sheet) -> tuple[Sheet, tuple[str, ...]]:
    """A sheet without the columns of personal numbers, and the names of these columns.

    >>> from kiban.region.sheet import sheets_of
    >>> left, gone = without_persons(sheets_of("氏名,個人番号\\n山田,123456789018\\n".encode(), "a.csv")[0])
    >>> left.headers, gone
    (('氏名',), ('個人番号',))
    """
    names = [plain(name) for name in table()["import"]["person_number"]]
    gone = [
        index
        for index, header in enumerate(sheet.headers)
        if (any(name in plain(header) for name in names) and (not ABOUT_CARDS.search(plain(header)) or _twelve(sheet.values(index))))
        or _personal(sheet.values(index))
    ]
    if not gone:
        return sheet, ()
    keep = [index for index in range(len(sheet.headers)) if index not in gone]
    rows = tuple(Line(number=row.number, cells=tuple(row.cells[index] for index in keep), note=row.note) for row in sheet.rows)
    left = replace(sheet, headers=tuple(sheet.headers[i] for i in keep), at=tuple(sheet.at[i] for i in keep), rows=rows)
    return left, tuple(sheet.headers[index] or f"#{sheet.at[index] + 1}" for index in gone)


def _twelve(values: Sequence[str]) -> list[str]:
    digits = [re.sub(r"[\s-]", "", said.flat(value)) for value in values]
    return [value for value in digits if re.fullmatch(r"\d{12}", value, re.ASCII)]


def _personal(values: Sequence[str]) -> bool:
    """Whether cells hold numbers of persons: twelve digits whose last one checks the others (省令: modulus 11)."""
    twelve = _twelve(values)
    good = sum(_check(value[:11]) == int(value[11]) for value in twelve)
    return good >= 3 and good >= 0.6 * len(values)


def _check(eleven: str) -> int:
    rest = sum(int(digit) * weight for digit, weight in zip(eleven, WEIGHTS, strict=True)) % 11
    return 0 if rest <= 1 else 11 - rest


def key_of(sheet: Sheet) -> str:
    """What a matching is remembered by: the headers, without the column that kiban adds to rows that were left out."""
    ours = {plain(name) for name in table()["import"]["problem"]}
    names = [plain(header) for header in sheet.headers if plain(header) not in ours]
    return hashlib.sha256("\x1f".join(names).encode()).hexdigest()


def match(sheet: Sheet, wanted: Table | None = None) -> Matching:
    """What each column most likely is, for the table that fits best, or for the one that is wanted.

    >>> from kiban.region.sheet import sheets_of
    >>> found = match(sheets_of("ﾅﾏｴ,施設名,緯度,経度,想定収容人数,津波\\nホール,公民館,37.3,137.1,約50,○\\n".encode(), "a.csv")[0])
    >>> found.table, found.fields
    ('sites', ('', 'name', 'lat', 'lon', 'capacity', 'hazard'))
    """
    chosen = wanted or _table_of(sheet)
    offers: list[tuple[float, int, str]] = []
    years: dict[int, int] = {}
    ours = {plain(name) for name in table()["import"]["problem"]}
    for index, header in enumerate(sheet.headers):
        if plain(header) in ours:
            continue
        values = sheet.values(index)[:LOOKED_AT]
        years[index] = year_in(header) or 0
        for field in fields_of(chosen):
            score = max(_named(header, field), _looks(sheet, index, field, values) if chosen in ("sites", "places") else 0.0)
            offers.append((score * _fits(field, values) + years[index] / 1e6, index, field))
    fields, sure = [""] * len(sheet.headers), [0.0] * len(sheet.headers)
    for score, index, field in sorted(offers, key=lambda one: (-one[0], one[1])):
        if score >= LEAST and not fields[index] and (field in MANY or field not in fields):
            fields[index], sure[index] = field, round(min(1.0, score), 2)
    found = Matching(table=chosen, fields=tuple(fields), sure=tuple(sure))
    return replace(found, kind=_kind_of_all(sheet, found)) if chosen in ("sites", "places") else found


def year_in(header: str) -> int | None:
    """The year that a header carries.

    >>> year_in("pop_2015"), year_in("人口（令和2年）"), year_in("人口")
    (2015, 2020, None)
    """
    text = said.flat(header)
    found = re.search(r"(?<!\d)(19[5-9]\d|20\d\d)(?!\d)", text) or re.search(r"(?:昭和|平成|令和)(?:\d{1,2}|元)年", text)
    if found is None:
        return None
    value, _ = said.year(found[0])
    return value


def fields_of(chosen: Table) -> tuple[str, ...]:
    """The fields that the columns of a table may be."""
    if chosen != "town":
        return FIELDS[chosen]
    words = table()
    return (*FIELDS["town"], *(f"fact.{id}" for id in (*words["facts"], *words["flags"])))


def aliases(field: str) -> Sequence[str]:
    """The names of columns that mean a field."""
    words = table()
    if field == "hazard":
        return list(words["import"]["hazards"])
    if field.startswith("fact."):
        id = field.removeprefix("fact.")
        return list(words["facts"][id]["columns"] if id in words["facts"] else words["flags"][id])
    return [*words["fields"].get(field, ()), *words["import"]["fields"].get(field, ())]


def _named(header: str, field: str) -> float:
    """How well the name of a column says a field, 0 to 1."""
    if not header:
        return 0.0
    whole = plain(header)
    bare = re.sub(r"\(.*?\)|<.*?>", "", whole)
    dated = re.sub(r"[_(]?(?:(?:19|20)\d\d|(?:昭和|平成|令和)(?:\d{1,2}|元))(?:年度?)?.*$", "", bare).strip("_")
    last = plain(re.split(r"[\s　_]", said.flat(header))[-1])
    bonus = 0.02 if header in PLACE else 0.0
    for rank, alias in enumerate(aliases(field)):
        name, less = plain(alias), min(rank, 40) * 0.001
        if name == whole:
            return 1.0 - less + bonus
        if name in (bare, dated) and name:
            return 0.95 - less
        if name == last and len(name) > 1:
            return 0.9 - less
    return 0.6 if any(len(plain(alias)) > 2 and plain(alias) in whole for alias in aliases(field)) else 0.0


READERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("households", "population", "pupils", "devices", "autonomy_h", "height_m"), said.number),
    **dict.fromkeys(("year_built", "year"), said.year),
    **dict.fromkeys(("restricted_until", "iru_until"), said.day),
    **dict.fromkeys(("lat", "lon"), said.degrees),
    **dict.fromkeys(("hazard", "critical"), said.mark),
}


def _reads(value: str, field: str) -> bool:
    try:
        READERS[field](value)
    except ValueError:
        return False
    return True


def _fits(field: str, values: Sequence[str]) -> float:
    """A factor from what stands in the column: 1 where it fits, less where it does not or is empty."""
    if not values:
        return 0.5
    if field in READERS:
        share = sum(_reads(value, field) for value in values) / len(values)
        return 1.0 if share >= 0.5 else 0.45
    if field == "name":
        return 0.4 if sum(bool(re.fullmatch(r"[\d.,\s-]+", said.flat(value))) for value in values) > len(values) / 2 else 1.0
    return 1.0


def _looks(sheet: Sheet, index: int, field: str, values: Sequence[str]) -> float:
    """How well the cells of a column without a known name say a field; at most a guess."""
    if len(values) < 2 or any(_named(sheet.headers[index], other) for other in ("id", "code", "kana", "address", "note")):
        return 0.0
    if field in ("lat", "lon"):
        good = sum("." in value and _in_range(value, field) for value in values)
        return 0.5 if good >= 0.9 * len(values) else 0.0
    if field == "kind":
        return 0.45 if sum(kind_in(value) != "" and len(value) <= 12 for value in values) >= 0.7 * len(values) and len(set(values)) <= 12 else 0.0
    if field == "name":
        texts = [value for value in values if re.search(r"[^\W\d_]", value) and len(value) <= 40]
        return 0.4 if len(texts) >= 0.9 * len(values) and len(set(texts)) >= 0.9 * len(texts) else 0.0
    return 0.0


def _in_range(value: str, field: str) -> bool:
    try:
        found, _ = said.degrees(value)
    except ValueError:
        return False
    return found is not None and (in_japan(found, 137.0) if field == "lat" else in_japan(37.0, found))


def kind_in(text: str) -> str:
    """The kind of a site that a cell of 種別 names, "" when none.

    >>> kind_in("指定避難所"), kind_in("school"), kind_in("収容局"), kind_in("?")
    ('shelter', 'school', 'exchange', '')
    """
    flat = plain(text)
    if flat in SITE_KINDS or flat in ("exchange", "tower"):
        return flat
    if any(word in flat for word in ("収容局", "電話局", "交換局")):
        return "exchange"
    if any(word in flat for word in ("鉄塔", "基地局", "アンテナ")):
        return "tower"
    return next((kind for kind, words in table()["import"]["kinds"].items() if any(plain(word) in flat for word in words)), "") if flat else ""


def _table_of(sheet: Sheet) -> Table:
    def has(*fields: str) -> bool:
        return all(any(_named(header, field) >= 0.9 for header in sheet.headers) for field in fields)

    placed = has("lat", "lon")
    if (has("year_built") and not placed) or has("technology", "year_built"):
        return "plants"
    words = table()
    facts = sum(any(_named(header, f"fact.{id}") >= 0.9 for header in sheet.headers) for id in (*words["facts"], *words["flags"]))
    if has("code") and facts and (not placed or facts > 2):
        return "town"
    if not placed and has("value") and has("fact"):
        return "facts"
    kinds = {kind_in(value) for index, header in enumerate(sheet.headers) if _named(header, "kind") >= 0.9 for value in sheet.values(index)[:LOOKED_AT]}
    return "places" if kinds and kinds <= {"exchange", "tower"} else "sites"


def _kind_of_all(sheet: Sheet, found: Matching) -> str:
    """The kind for rows that do not say theirs, from the columns and the title of the table; "" where nothing tells."""
    words = table()
    headers = {plain(header) for header in sheet.headers}
    if found.table == "places":
        return ""
    if "hazard" in found.fields or any(plain(name) in headers for name in words["shelter"]) or "capacity" in found.fields:
        return "shelter"
    if any(plain(name) in headers for name in words["medical"]):
        return "clinic"
    return next((kind for text in (*sheet.above, sheet.title, sheet.file) if (kind := kind_in(text)) in SITE_KINDS), "")
