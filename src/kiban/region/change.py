"""What a table changes in a region folder 差分: previewed, then written all or nothing.

In: the good rows of a table and a region folder. Out: a Change (new, changed field by field, same, not in the table), and on demand the folder with it.
The folder before a change is kept (versions), so that it can be taken back.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from kiban.base.errors import ConflictError
from kiban.records.region import Region
from kiban.records.rules import Record
from kiban.records.source import Source
from kiban.region import missing as say
from kiban.region.columns import plain, table
from kiban.region.examine import Checked, Good
from kiban.region.folder import COLUMNS, read
from kiban.region.geodesy import distance_m
from kiban.region.head import read_head
from kiban.region.match import Matching
from kiban.region.sheet import Sheet
from kiban.region.text import read_table
from kiban.region.versions import Version, exchange
from kiban.region.write import save, write_head

FILES = {"sites": "sites.csv", "places": "places.csv", "plants": "plants.csv", "facts": "facts.csv", "town": "facts.csv"}
SAME_NAME_M = 1000.0  # a place of the same kind and name within this distance is the same place, moved
HELD = ("region.yaml", "sites.csv", "places.csv", "plants.csv", "facts.csv")
NO_FAULT = frozenset({"elsewhere", "older", "sum", "remark", "twice", "twice_id", "flee"})  # rows that nobody misses
LEFT = "取り込めなかった行 / rows left out of an import"
UNSTATED = "出典の書かれていないファイル / files without a stated source"
LEFT_NAME = "-left"  # ends the name of the table of rows that were left out
# Entries of `missing` that an import answers: its title, and whether the folder now knows it.
ANSWERED: dict[str, Callable[[Region], bool]] = {
    "既存設備 / existing plant": lambda region: bool(region.plants),
    "集落の人口・世帯 / people by hamlet": lambda region: any(site.kind == "hamlet" for site in region.sites),
    "財政力指数 / fiscal index": lambda region: any(fact.id == "fiscal_index" for fact in region.facts),
    "条件不利地域の指定 / flags of disadvantaged areas": lambda region: any(isinstance(fact.value, bool) for fact in region.facts),
    "収容局の位置 / the place of the exchange": lambda region: any(place.kind == "exchange" for place in region.places),
}
_IMPORTED = re.compile(r"〔[^〕]*〕\Z")


class Item(Record, frozen=True, kw_only=True):
    """One row of the folder that changes. fields: (column, before, after); row: index in the sheet, None where the table does not have it."""

    id: str
    name: str
    fields: tuple[tuple[str, str, str], ...] = ()
    row: int | None = None


@dataclass(frozen=True)
class Change:
    """What a table would change. `gone`: rows of the folder of the same kinds that the table does not have; they stay unless they are ticked."""

    file: str
    state: str  # of the folder that this was made against
    new: tuple[Item, ...]
    changed: tuple[Item, ...]
    same: int
    older: tuple[Item, ...]  # facts of which the folder knows a newer year
    gone: tuple[Item, ...]
    rows: tuple[dict[str, str], ...]  # the whole table as it would be, nothing taken out
    touched: frozenset[str]  # ids whose source becomes the new file


def state_of(folder: Path) -> str:
    """A word that changes when somebody changes the tables of a folder."""
    digest = hashlib.sha256()
    for name in HELD:
        path = folder / name
        digest.update(name.encode() + (hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""))
    return digest.hexdigest()


def change_of(folder: Path, sheet: Sheet, matching: Matching, checked: Checked) -> Change:
    """Compare the good rows of a table with a region folder. Empty cells of the table change nothing."""
    name = FILES[matching.table]
    before = _rows(folder / name)
    if matching.table in ("facts", "town"):
        return _facts(folder, before, checked)
    taken = {row["id"] for other in ("sites.csv", "places.csv", "plants.csv") for row in _rows(folder / other)}
    by_original: dict[str, list[dict[str, str]]] = {}
    by_name: dict[str, list[dict[str, str]]] = {}
    for row in before:
        by_original.setdefault(row.get("original_id", ""), []).append(row)
        by_name.setdefault(plain(row["name"]), []).append(row)
    rows = {row["id"]: dict(row) for row in before}
    new, changed, same, met = [], [], 0, set[str]()
    for one in checked.good:
        wanted = _encoded(one, name)
        twin = _twin(one, wanted, by_original, by_name, met)
        if twin is None:
            id = _fresh(f"{wanted.get('kind') or 'plant'}-{wanted.get('original_id') or wanted['name']}", taken)
            rows[id] = {"id": id, **wanted}
            new.append(Item(id=id, name=wanted["name"], row=one.row, fields=_shown(wanted)))
            continue
        met.add(twin["id"])
        if "note" in wanted:
            wanted["note"] = (_IMPORTED.sub("", twin.get("note", "")).strip() + " " + wanted["note"]).strip()
        fields = tuple(
            (column, twin.get(column, ""), value)
            for column, value in wanted.items()
            if column not in ("original_id", "confidence") and not _equal(twin.get(column, ""), value)
        )
        rows[twin["id"]].update({column: value for column, _, value in fields})
        if fields:
            rows[twin["id"]].update({column: wanted[column] for column in ("original_id", "confidence") if wanted.get(column)})
            changed.append(Item(id=twin["id"], name=twin["name"], row=one.row, fields=fields))
        else:
            same += 1
    kinds = {one.values.get("kind") for one in checked.good}
    there = _mentioned(sheet, matching, checked)  # a row that is in the table with a mistake is not missing from it
    gone = [
        Item(id=row["id"], name=row["name"])
        for row in before
        if row["id"] not in met
        and (name == "plants.csv" or row.get("kind") in kinds)
        and plain(row["name"]) not in there
        and (not row.get("original_id") or plain(row["original_id"]) not in there)
    ]
    touched = frozenset(item.id for item in (*new, *changed))
    return Change(name, state_of(folder), tuple(new), tuple(changed), same, (), tuple(gone), tuple(rows.values()), touched)


def _mentioned(sheet: Sheet, matching: Matching, checked: Checked) -> set[str]:
    """Names and ids of the rows that were left out."""
    columns = [column for field in ("name", "id") if (column := matching.column(field)) is not None]
    return {plain(cell) for row in checked.left for column in columns if (cell := sheet.rows[row].cells[column])}


def _rows(path: Path) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read_table(path).rows] if path.is_file() else []


def _facts(folder: Path, before: list[dict[str, str]], checked: Checked) -> Change:
    rows = {row["id"]: dict(row) for row in before}
    new, changed, older, same = [], [], [], 0
    for one in checked.good:
        listed = one.values.get("facts")
        many = listed.items() if listed is not None else [(one.values["id"], (one.values["value"], one.values.get("unit"), one.values.get("year")))]
        for id, (value, unit, year) in many:
            wanted = {"value": _said(value), "unit": unit or "", "year": _said(year), "original_id": str(one.values.get("original") or ""), "confidence": "B"}
            now = rows.get(id)
            if now is None:
                rows[id] = {"id": id, **wanted}
                new.append(Item(id=id, name=id, row=one.row, fields=_shown(wanted)))
            elif _equal(now.get("value", ""), wanted["value"]) and (not year or now.get("year", "") == wanted["year"]):
                same += 1
            elif now.get("year") and (not year or int(year) < int(float(now["year"]))):
                older.append(
                    Item(id=id, name=id, row=one.row, fields=(("value", now.get("value", ""), wanted["value"]), ("year", now["year"], wanted["year"])))
                )
            else:
                fields = tuple((column, now.get(column, ""), wanted[column]) for column in ("value", "unit", "year") if now.get(column, "") != wanted[column])
                rows[id] |= wanted
                changed.append(Item(id=id, name=id, row=one.row, fields=fields))
    touched = frozenset(item.id for item in (*new, *changed))
    return Change("facts.csv", state_of(folder), tuple(new), tuple(changed), same, tuple(older), (), tuple(rows.values()), touched)


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    text = str(value)
    return "'" + text if isinstance(value, str) and text[:1] in ("=", "+", "-", "@") else text


def _encoded(one: Good, name: str) -> dict[str, str]:
    """A good row as the columns of the folder."""
    values = dict(one.values)
    out = {"original_id": _said(values.pop("original", None)), "confidence": "B"}
    if values.pop("critical", None):
        out["critical"] = "yes"
    if values.get("note"):
        out["note"] = f"〔{str(values.pop('note')).replace('〔', '(').replace('〕', ')')}〕"
    out |= {column: re.sub(r"\s+", " ", _said(value)) for column, value in values.items() if column in COLUMNS[name]}
    return out


def _equal(one: str, other: str) -> bool:
    """Whether two cells say the same: numbers by value, texts by their words."""
    try:
        return abs(float(one) - float(other)) < 1e-9
    except ValueError:
        return one.strip() == other.strip()


def _shown(wanted: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((column, "", value) for column, value in wanted.items() if value and column not in ("confidence",))


def _twin(
    one: Good, wanted: Mapping[str, str], by_original: Mapping[str, list[dict[str, str]]], by_name: Mapping[str, list[dict[str, str]]], met: set[str]
) -> dict[str, str] | None:
    """The row of the folder that a row of the table means: the same id in its source and the same name or place, or the same kind and name near by."""

    def away(row: Mapping[str, str]) -> float:
        if "lat" not in row:
            return 0.0
        return distance_m((float(row["lat"]), float(row["lon"])), (one.values["lat"], one.values["lon"]))

    named = [row for row in by_name.get(plain(wanted["name"]), []) if row.get("kind") == wanted.get("kind") and row["id"] not in met]
    known = [row for row in by_original.get(wanted["original_id"], []) if row["id"] not in met] if wanted["original_id"] else []
    for row in known:
        if row.get("kind") == wanted.get("kind") and (plain(row["name"]) == plain(wanted["name"]) or ("lat" in row and away(row) <= SAME_NAME_M)):
            return row
    near = [row for row in named if away(row) <= SAME_NAME_M]
    return min(near, key=away) if near else None


def _fresh(wanted: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-") or "row"
    id, number = base, 1
    while id in taken:
        number += 1
        id = f"{base}-{number}"
    taken.add(id)
    return id


# --- writing


def apply(
    regions: Path,
    name: str,
    change: Change,
    sheet: Sheet,
    checked: Checked,
    *,
    source: Source,
    remove: Sequence[str],
    who: str,
    reason: str,
    now: datetime,
) -> Version:
    """Write a change into a region folder, all of it or nothing.

    Raises
    ------
    ConflictError  somebody changed the folder since the preview
    RegionError    the folder would not be whole afterwards, or cannot be written; it is as it was
    """
    allowed = {item.id for item in change.gone}
    out = [id for id in remove if id in allowed]

    def edit(fresh: Path) -> None:
        if state_of(fresh) != change.state:
            raise ConflictError(name, "a change that somebody else made meanwhile", "the state of the preview", "look at the preview again")
        head = read_head(fresh / "region.yaml")
        key = _key(sheet.file, head.sources, source)
        rows = [{**row, **({"source": key, "assumed": "", "reason": "", "confirm": ""} if row["id"] in change.touched else {})} for row in change.rows]
        _save_rows(fresh / change.file, [row for row in rows if row["id"] not in out])
        missing = [note for note in head.missing if not _mended(note.what, key)]
        faults = _faults(sheet, checked)
        if faults:
            why = "値を使えなかった。直した表をもう一度読み込む / values that could not be used: correct the table and bring it again"
            missing.append(say.note(f"{LEFT} [{key}]", why, "ファイルを用意した人 / who brought the file", faults, len(faults)))
        if source.publisher is None or source.licence is None:
            why = "公表者または利用条件がわからない / publisher or licence unknown"
            missing.append(say.note(f"{UNSTATED} [{key}]", why, "ファイルを用意した人 / who brought the file"))
        write_head(replace(head, sources={**head.sources, key: source}, missing=tuple(missing)), fresh)
        region = read(fresh)
        still = tuple(note for note in missing if note.what not in ANSWERED or not ANSWERED[note.what](region))
        if len(still) < len(missing):
            write_head(replace(head, sources={**head.sources, key: source}, missing=still), fresh)

    done = Version(
        number=0,
        at=now.isoformat(timespec="seconds"),
        who=who,
        reason=reason,
        what="import",
        file=sheet.file,
        new=len(change.new),
        changed=len(change.changed),
        removed=len(out),
        left=len(checked.left),
    )
    return exchange(regions, name, edit, done)


def _mended(what: str, key: str) -> bool:
    """Whether an entry of `missing` is about an earlier import of this file, or of the file whose left rows this is."""
    base = re.sub(r"-\d{1,2}\Z", "", key)
    return what.startswith((LEFT, UNSTATED)) and re.search(rf"\[{re.escape(base)}(-\d{{1,2}})?\]\Z", what) is not None


def _key(file: str, known: Mapping[str, Source], source: Source) -> str:
    """The key of a source: from the file's name, where it has Latin letters; a table of left rows has that of its file."""
    stem = re.sub(rf"{LEFT_NAME}\Z", "", file.rsplit(".", 1)[0])
    base = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40]
    if not re.search(r"[a-z]", base):
        base = f"file-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"
    number, key = 1, base
    while key in known and known[key] != source:
        number += 1
        key = f"{base}-{number}"
    return key


def _faults(sheet: Sheet, checked: Checked) -> list[str]:
    """Addresses of the rows that were left out though somebody may miss them."""
    left = set(checked.left)
    out: dict[int, str] = {}
    excused = {one.row for one in checked.findings if one.code in NO_FAULT}
    for one in checked.findings:
        if one.row in left and not one.note and one.row not in excused:
            out.setdefault(one.row, f"{sheet.file} {sheet.address(one.row, one.column)} {one.found[:30]}".strip())
    return list(out.values())


def _save_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS[path.name])
    writer.writerows([row.get(column, "") for column in COLUMNS[path.name]] for row in rows)
    save(path, "\ufeff" + text.getvalue())


def left_csv(sheet: Sheet, checked: Checked, reasons: Callable[[int], str]) -> str:
    """The rows that were left out, as a table to correct and bring again: the columns of the file, and one that says why.

    reasons  a sentence for the index of a row
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_safe(header) for header in sheet.headers] + [table()["import"]["problem"][0]])
    for row in checked.left:
        writer.writerow([_safe(cell) for cell in sheet.rows[row].cells] + [_safe(reasons(row))])
    return "\ufeff" + text.getvalue()


def _safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\ufffd", cell)
    if clean[:1] in ("=", "+", "-", "@", "\t", "\r") and not re.fullmatch(r"[-+]?\d+(\.\d+)?", clean):
        return "'" + clean
    return clean
