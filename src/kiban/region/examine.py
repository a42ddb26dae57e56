"""Each cell of a table judged 検査: rows that can go into the region folder, and every value that cannot, by its cell.

In: a Sheet, its Matching, what is known of the region. Out: a Checked: rows that are good, rows that are left out, and a Finding for each doubt.
Every row is in exactly one of the two; a row with one bad cell is left out whole, so that it comes back corrected and not half.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kiban.records.rules import Record
from kiban.region import said
from kiban.region.boundary import outside_m
from kiban.region.columns import in_japan, plain, table
from kiban.region.geodesy import distance_m
from kiban.region.match import SITE_KINDS, Matching, kind_in, year_in
from kiban.region.sheet import PLACE, Sheet
from kiban.region.values import five

NAME_MOST = 200
COUNTS = ("households", "population", "pupils", "devices")
SUMS = frozenset({"計", "合計", "小計", "総計", "総数", "全体"})


class Finding(Record, frozen=True, kw_only=True):
    """One doubt. code: what it is (a key of the words); row: index in the sheet; column: index or None for the row; note: taken all the same."""

    code: str
    row: int
    column: int | None = None
    found: str = ""
    more: dict[str, str] = {}
    note: bool = False


class Good(Record, frozen=True, kw_only=True):
    """A row that can be taken: values by field, and its index in the sheet."""

    row: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """Everything that was in the table."""

    good: tuple[Good, ...]
    left: tuple[int, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Place:
    """What is known of a region when a table comes in. code: five digits; area: its polygon (x = longitude); technologies: id by name of a plant."""

    code: str | None = None
    area: Any = None
    outside_limit_m: float = 300.0
    merge_m: float = 150.0
    technologies: Mapping[str, str] = field(default_factory=dict)


class _Row:
    """One row being judged."""

    def __init__(self, sheet: Sheet, matching: Matching, row: int, findings: list[Finding]) -> None:
        self.cells, self.row, self.findings, self.bad = sheet.rows[row].cells, row, findings, False
        self.codes: set[str] = set()
        self.columns: dict[str, list[int]] = {}
        for column, name in enumerate(matching.fields):
            if name:
                self.columns.setdefault(name, []).append(column)

    def text(self, name: str) -> str:
        column = self.columns.get(name)
        return self.cells[column[0]] if column else ""

    def wrong(self, code: str, name: str | None = None, /, **more: str) -> None:
        """Leave the row out."""
        self.bad = True
        self._say(code, name, more, False)

    def note(self, code: str, name: str | None = None, /, **more: str) -> None:
        """Say what was read freely."""
        self._say(code, name, more, True)

    def _say(self, code: str, name: str | None, more: dict[str, str], note: bool) -> None:
        column = self.columns.get(name or "", [None])[0]
        found = self.cells[column][:120] if column is not None else ""
        self.codes.add(code)
        self.findings.append(Finding(code=code, row=self.row, column=column, found=found, more=more, note=note))

    def read(self, name: str, reader: Any, low: float = -math.inf, high: float = math.inf) -> Any:
        """A value of a column, None where there is none; what cannot be read is wrong."""
        if name not in self.columns:
            return None
        try:
            value, how = reader(self.text(name))
        except ValueError as error:
            self.wrong(str(error), name)
            return None
        if isinstance(value, int | float) and not low <= value <= high:
            self.wrong("range", name, low=f"{low:g}", high=f"{high:g}")
            return None
        if how:
            self.note(f"read_{how}", name, value=f"{value:g}" if isinstance(value, float) else str(value))
        return value

    def mark(self, column: int) -> bool:
        try:
            return said.mark(self.cells[column])
        except ValueError:
            self.bad = True
            self.findings.append(Finding(code="mark", row=self.row, column=column, found=self.cells[column][:120]))
            return False


def examine(sheet: Sheet, matching: Matching, place: Place) -> Checked:
    """Judge every cell of a table.

    >>> from kiban.region.match import match
    >>> from kiban.region.sheet import sheets_of
    >>> sheet = sheets_of("名称,種別,緯度,経度,人口\\n公民館,集会所,３７．３,137.1,約300\\n学校,学校,137.1,37.3,5\\n".encode(), "a.csv")[0]
    >>> checked = examine(sheet, match(sheet), Place(code="17463"))
    >>> [one.values["name"] for one in checked.good], [(one.code, sheet.address(one.row, one.column)) for one in checked.findings]
    (['公民館'], [('read_about', '2行目 E列「人口」'), ('swapped', '3行目 C列「緯度」')])
    """
    findings: list[Finding] = []
    good: list[Good] = []
    judge = {"sites": _site, "places": _site, "plants": _plant, "facts": _fact, "town": _town}[matching.table]
    blank = [index for index, header in enumerate(sheet.headers) if not header]
    for index, line in enumerate(sheet.rows):
        row = _Row(sheet, matching, index, findings)
        if _is_no_row(row, sheet, matching):
            continue
        strange = next((column for column, cell in enumerate(line.cells) if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", cell)), None)
        if strange is not None:
            row.bad = True
            findings.append(Finding(code="control", row=index, column=strange, found=repr(line.cells[strange][:60])))
        beyond = next((column for column in blank if column > _last(sheet) and line.cells[column]), None)
        if beyond is not None and sheet.kind == "csv":
            row.bad = True
            findings.append(Finding(code="too_many_cells", row=index, column=beyond, found=line.cells[beyond][:120]))
        values = judge(row, sheet, matching, place)
        if not row.bad:
            good.append(Good(row=index, values=values))
    if matching.table in ("sites", "places"):
        good = _no_twins(good, findings, sheet, place)
    elif matching.table == "town":
        good = _newest(good, findings, matching)
    taken = {one.row for one in good}
    order = sorted(findings, key=lambda one: (one.row, -1 if one.column is None else one.column))
    return Checked(tuple(good), tuple(index for index in range(len(sheet.rows)) if index not in taken), tuple(order))


def _last(sheet: Sheet) -> int:
    return max((index for index, header in enumerate(sheet.headers) if header), default=-1)


def _is_no_row(row: _Row, sheet: Sheet, matching: Matching) -> bool:
    """Whether a line is a sum or a remark below the table; it is left out and said."""
    filled = [cell for cell in row.cells if cell]
    name = row.text("name") or (filled[0] if filled else "")
    if plain(name) in SUMS:
        row.wrong("sum", "name")
    elif len(filled) == 1 and len(sheet.headers) > 2 and matching.table != "facts" and sheet.kind != "geojson":
        row.wrong("remark", None, text=filled[0][:80])
    return row.bad


def _elsewhere(row: _Row, place: Place) -> bool:
    code = row.text("code")
    key = said.flat(row.text("id"))
    belongs = five(said.flat(code)) if code else five(key) if re.fullmatch(r"E\d{10,}", key) else None
    if belongs is not None and place.code is not None and belongs != place.code:
        row.wrong("elsewhere", "code" if code else "id", code=place.code)
        return True
    return False


def _site(row: _Row, sheet: Sheet, matching: Matching, place: Place) -> dict[str, Any]:
    if _elsewhere(row, place):
        return {}
    name = row.text("name")
    if not name:
        row.wrong("no_name", "name")
    elif len(name) > NAME_MOST:
        row.wrong("long_name", "name", most=str(NAME_MOST))
    kinds = SITE_KINDS if matching.table == "sites" else ("exchange", "tower", "office")
    said_kind = row.text("kind")
    kind = kind_in(said_kind) or matching.kind or ("" if said_kind else kind_in(name))
    if plain(said_kind) in {plain(word) for word in table()["shelter_flee"]}:
        row.wrong("flee", "kind")
    elif said_kind and not kind_in(said_kind):
        row.wrong("unknown_kind", "kind", kinds=", ".join(kinds))
    elif kind not in kinds:
        row.wrong("no_kind", "kind", kinds=", ".join(kinds))
    lat, lon = row.read("lat", said.degrees), row.read("lon", said.degrees)
    if lat is None or lon is None:
        from_shape = "lat" in row.columns and sheet.headers[row.columns["lat"][0]] in PLACE
        if from_shape and sheet.rows[row.row].note:
            row.wrong("not_point", None, shape=sheet.rows[row.row].note)
        elif "degrees" not in row.codes:
            row.wrong("no_place", "lat" if lat is None else "lon")
    else:
        _where(row, lat, lon, place)
    values: dict[str, Any] = {"name": name, "kind": kind, "lat": lat, "lon": lon, "original": said.flat(row.text("id")) or None}
    if matching.table == "places":
        return {**values, "height_m": row.read("height_m", said.number, 0, 700), "autonomy_h": row.read("autonomy_h", said.number, 0, 10_000)}
    values |= {count: row.read(count, said.count, 0, 10**9) for count in COUNTS}
    values["autonomy_h"] = row.read("autonomy_h", said.number, 0, 10_000)
    if "critical" in row.columns and row.text("critical"):
        values["critical"] = row.mark(row.columns["critical"][0])
    hazards = [_leaf(sheet.headers[column]) for column in row.columns.get("hazard", []) if row.mark(column)]
    parts = [("住所", row.text("address")), ("よみ", row.text("kana")), ("収容", row.text("capacity")), ("災害", "・".join(hazards)), ("", row.text("note"))]
    values["note"] = "、".join(f"{label} {text}".strip() for label, text in parts if text and not said.empty(text))[:500] or None
    return {key: value for key, value in values.items() if value is not None}


def _leaf(header: str) -> str:
    """The last word of a header.

    >>> _leaf("災害種別_洪水"), _leaf("災害種別 津波")
    ('洪水', '津波')
    """
    return re.split(r"[\s_]", header)[-1]


def _where(row: _Row, lat: float, lon: float, place: Place) -> None:
    """Whether a point can be in this region."""
    japan = place.code is not None
    if (japan and not in_japan(lat, lon)) or not (-90 <= lat <= 90 and -180 <= lon <= 180):
        swapped = in_japan(lon, lat) if japan else -90 <= lon <= 90
        row.wrong("swapped" if swapped else "metres" if abs(lat) > 1000 or abs(lon) > 1000 else "not_japan", "lat", lat=f"{lat:g}", lon=f"{lon:g}")
    elif place.area is not None:
        away = outside_m(place.area, (lat, lon))
        if away > place.outside_limit_m:
            row.wrong("outside", "lat", km=f"{away / 1000:.1f}", lat=f"{lat:g}", lon=f"{lon:g}")


def _no_twins(good: list[Good], findings: list[Finding], sheet: Sheet, place: Place) -> list[Good]:
    """Rows without those that say an earlier one again: the same id, or the same kind and name close by."""
    kept: list[Good] = []
    ids: dict[str, Good] = {}
    named: dict[tuple[str, str], list[Good]] = {}
    for one in good:
        values = one.values
        twin = ids.get(values.get("original") or "\0")
        code = "twice_id"
        if twin is None:
            near = named.setdefault((values["kind"], plain(values["name"])), [])
            here = (values["lat"], values["lon"])
            twin, code = next((other for other in near if distance_m((other.values["lat"], other.values["lon"]), here) <= place.merge_m), None), "twice"
        if twin is None:
            kept.append(one)
            near.append(one)
            if values.get("original"):
                ids[values["original"]] = one
        else:
            findings.append(Finding(code=code, row=one.row, found=str(values["name"])[:120], more={"other": str(sheet.rows[twin.row].number)}))
    return kept


def _plant(row: _Row, _sheet: Sheet, matching: Matching, place: Place) -> dict[str, Any]:
    if _elsewhere(row, place):
        return {}
    original = said.flat(row.text("id")) or None
    name = row.text("name") or original
    if not name:
        row.wrong("no_name", "name")
    word = row.text("technology") or matching.kind
    technology = place.technologies.get(plain(word))
    if technology is None and word:
        found = [id for known, id in place.technologies.items() if known and (known in plain(word) or plain(word) in known)]
        technology = found[0] if len(set(found)) == 1 else None
    if technology is None:
        row.wrong("no_technology", "technology", fits=", ".join(sorted(set(place.technologies.values()))))
    values = {
        "name": name,
        "technology": technology,
        "original": original,
        "year_built": row.read("year_built", said.year, 1950, 2100),
        "owner": row.text("owner") or None,
        "funding": row.text("funding") or None,
        "restricted_until": row.read("restricted_until", said.day),
        "iru_until": row.read("iru_until", said.day),
        "route": row.text("route") or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def _fact(row: _Row, _sheet: Sheet, _matching: Matching, _place: Place) -> dict[str, Any]:
    words = table()
    text = plain(row.text("fact"))
    id = next((id for id, fact in words["facts"].items() if text in {plain(one) for one in (id, *fact["columns"])}), None)
    flag = next((id for id, names in words["flags"].items() if text in {plain(one) for one in (id, *names)}), None)
    if id is None and flag is None:
        row.wrong("unknown_fact", "fact", fits=", ".join((*words["facts"], *words["flags"])))
        return {}
    values: dict[str, Any] = {"id": id or flag, "year": row.read("year", said.year, 1900, 2100)}
    if flag:
        values["value"] = _flag(row, "value")
    else:
        values["value"], values["unit"] = row.read("value", said.number, 0), words["facts"][id]["unit"]
        if values["value"] is None:
            row.wrong("no_value", "value")
    return {key: value for key, value in values.items() if value is not None}


def _flag(row: _Row, name: str) -> bool | str:
    text = row.text(name)
    return text[:40] if text.startswith(("一部", "全部")) and len(text) > 2 else True if text == "全部" else row.mark(row.columns[name][0])


def _town(row: _Row, sheet: Sheet, matching: Matching, place: Place) -> dict[str, Any]:
    """The facts of one municipality; the year is in a column or in the header of the fact."""
    if place.code is None:
        row.wrong("region_without_code", "code")
        return {}
    code = five(said.flat(row.text("code"))) if row.text("code") else None
    if code is None:
        row.wrong("no_code", "code")
        return {}
    if _elsewhere(row, place):
        return {}
    words, facts = table(), {}
    year = row.read("year", said.year, 1900, 2100)
    for name in dict.fromkeys(matching.fields):
        if name.startswith("fact."):
            id = name.removeprefix("fact.")
            value = _flag(row, name) if id in words["flags"] else row.read(name, said.number, 0)
            if value is not None:
                when = year_in(sheet.headers[row.columns[name][0]]) or year
                facts[id] = (value, words["facts"][id]["unit"] if id in words["facts"] else None, when)
    return {"facts": facts, "year": year or 0, "original": said.flat(row.text("code"))}


def _newest(good: list[Good], findings: list[Finding], matching: Matching) -> list[Good]:
    """Of several rows of one municipality the one of the latest year."""
    if not good:
        return good
    best = max(good, key=lambda one: (one.values["year"], one.row))
    column = matching.column("year")
    findings += [Finding(code="older", row=one.row, column=column, more={"year": str(best.values["year"])}) for one in good if one is not best]
    return [best]
