"""What a carried plan or region would change here, in the words of a page.

In: what was carried, the plans and regions of the server. Out: a look at it, for the state that the folder has now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request

from kiban.base.errors import KibanError
from kiban.catalogue import words
from kiban.documents.dossier import Dossier
from kiban.documents.view import View
from kiban.loop.carry import Carried, plan_of, region_of, state_of
from kiban.loop.carry_rows import FileChange, RowChange, file_changes, staying
from kiban.loop.folder import Folder
from kiban.loop.given import TOKYO
from kiban.loop.kept import Kept, Key, entries, meet
from kiban.records.funding import Inputs
from kiban.records.region import Region
from kiban.region.head import Head, read_head
from kiban.web.comparing import Change, Side, compare, signed
from kiban.web.frame import Frame
from kiban.web.keeping import Keeping, Told, written_of
from kiban.web.making import Regions
from kiban.web.money import Scale

SHOWN = 100  # rows of one file
KEYS = ("cost_5y", "npv", "bound", "first", "general")  # amounts that a person knows a plan by
TOPICS = ("technologies", "sites", "options", "supports", "facts", "answers", "assumed", "files")


@dataclass(frozen=True)
class RegionLook:
    """A carried region. name: of its folder here; state: of that folder, empty where it is new; taken: the folder of its own name holds something else."""

    name: str
    title: str
    region: Region
    new: bool
    taken: bool
    state: str
    same: bool
    files: tuple[Mapping[str, Any], ...]
    staying: tuple[str, ...]
    twin: str  # another town here with its 団体コード


@dataclass(frozen=True)
class PlanLook:
    """A carried plan. figures: rows with what stands here and what came; met: what people wrote on both sides."""

    name: str
    title: str
    view: View
    new: bool
    state: str
    version: int
    same: bool
    here: str  # when the plan of here was made, and the one that came
    came: str
    older: bool
    figures: tuple[Mapping[str, Any], ...]
    topics: Mapping[str, Sequence[Change]]
    sentence: str
    added: tuple[Mapping[str, Any], ...]
    met: tuple[Mapping[str, Any], ...]
    past: tuple[Mapping[str, Any], ...]
    town: str  # the page of its town; empty where the town is not here
    unit: str
    unread: bool  # the plan of here cannot be read


def region_look(carried: Carried, regions: Regions, frame: Frame, request: Request) -> RegionLook:
    """A carried region beside the one that is here. Raises KibanError."""
    region = region_of(carried, regions.detour)
    heads = _heads(regions)
    name = next((one for one, head in heads.items() if head.id == region.id), "")
    new = not name
    name = name or _free(regions.folder, region.id)
    folder = regions.folder / name
    changes = file_changes(carried, folder)
    twin = next((head.name for head in heads.values() if head.id != region.id and region.lg_code and head.lg_code == region.lg_code), "")
    says = _Says(frame, frame.language(request))
    shown = tuple(says.file(one) for one in changes)
    return RegionLook(
        name=name,
        title=region.name,
        region=region,
        new=new,
        taken=new and name != region.id,
        state="" if new else state_of(folder),
        same=not changes,
        files=shown,
        staying=() if new else staying(folder),
        twin=twin,
    )


def plan_look(carried: Carried, keeping: Keeping, regions: Regions, request: Request, scale: Scale) -> PlanLook:
    """A carried plan beside the one that is here. Raises KibanError; and what looking at a record raises that kiban did not write."""
    folder, _ = plan_of(carried)
    frame, plans = keeping.frame, keeping.plans
    word, lang = frame.words(request), frame.language(request)
    assert frame.store is not None
    name, here, unread = "", None, False
    for one in plans.names():
        try:
            found = plans.read(one)
        except KibanError:
            unread = unread or one == folder.plan.id
            continue
        if found.plan.id == folder.plan.id:
            name, here = one, found
            break
    new = here is None
    name = name or _free(plans.folder, folder.plan.id, "plan.json")
    kept = Kept(frame.store, plans.path(name), folder.plan.id, frame.now)
    if new:
        history = kept.history()
        version = history[-1].version if history else 0
        own = kept.read(version)
    else:
        version, own = kept.current()
    meeting = meet(own, folder.inputs, kept.past())

    view = View(folder.plan, frame.catalogue, words(frame.catalogue, lang), lang, folder.region.name, folder.region.sources)
    side = Side("", view, folder.funding)
    other = side if here is None else Side("", plans.view(request, here), here.funding)
    made = compare(other, side, scale)
    told = _Told(keeping, view, folder) if entries(folder.inputs) or entries(own) else None
    town = next((one for one, head in _heads(regions).items() if head.id == folder.region.id), "")
    state = "" if new else f"{state_of(plans.path(name))}.{version}"
    records = here is not None and all((plans.path(name) / file).read_bytes() == carried.originals[file] for file in RECORDS)
    return PlanLook(
        name=name,
        title=folder.plan.sentence,
        view=view,
        new=new,
        state=state,
        version=version,
        same=records and entries(meeting.inputs) == entries(own) and not meeting.clashes,
        here="" if here is None else _moment(frame, request, here),
        came=_moment(frame, request, folder),
        older=here is not None and here.plan.made_on > folder.plan.made_on,
        figures=(*_amounts(made.amounts), *_facts(word, other, side)),
        topics={key: made.topics[key] for key in TOPICS if key in made.topics},
        sentence=made.sentence,
        added=() if told is None else tuple(told.row((one.part, one.key), None, one.after) for one in meeting.new),
        met=() if told is None else tuple(told.row((one.part, one.key), one.theirs, one.mine) for one in meeting.clashes),
        past=() if told is None else tuple(told.row((one.part, one.key), one.before, one.after) for one in meeting.older),
        town=town,
        unit=word(f"money.unit.{scale.id}"),
        unread=unread,
    )


RECORDS = ("plan.json", "region.json", "problem.json", "design.json", "funding.json")


class _Told:
    """What people put into a plan, in the words of the page."""

    def __init__(self, keeping: Keeping, view: View, folder: Folder) -> None:
        catalogue = keeping.frame.catalogue
        office = View(folder.plan, catalogue, words(catalogue, "ja"), "ja", folder.region.name, folder.region.sources)
        dossier = Dossier(office, folder.region, folder.problem, folder.design, folder.funding, Inputs(), keeping.today())
        self.told = Told(view, folder.funding, written_of(dossier))

    def row(self, key: Key, before: Any, after: Any) -> Mapping[str, Any]:
        """One thing: its name, what stands here, what came."""
        told = self.told
        return {"name": told.name(*key), "here": told.value(*key, before), "came": told.value(*key, after)}


def _heads(regions: Regions) -> dict[str, Head]:
    """The heads of the towns that are here, also of those whose other files cannot be read: what was carried may mend them."""
    found = {}
    for name in regions.names():
        with suppress(KibanError, OSError):
            found[name] = read_head(regions.folder / name / "region.yaml")
    return found


def _free(folder: Path, id: str, marked: str = "") -> str:
    """The name of a folder that is not there yet, or holds nothing that is marked."""
    name, number = id, 1
    while (folder / name / marked).exists():
        number += 1
        name = f"{id}-{number}"
    return name


def _moment(frame: Frame, request: Request, folder: Folder) -> str:
    at = folder.plan.made_on.astimezone(TOKYO)
    return f"{frame.day(request, at)} {at:%H:%M}"


def _amounts(amounts: Sequence[Any]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for one in amounts:
        if one.id in KEYS:
            before, after = ("—" if value is None else f"{value:,}" for value in (one.before, one.after))
            rows.append({"name": one.name, "here": before, "came": after, "difference": signed(one.difference), "differs": one.before != one.after})
    return rows


def _facts(word: Any, here: Side, came: Side) -> list[Mapping[str, Any]]:
    """What the two conclude, and how many places they serve."""

    def both(name: str, texts: tuple[str, str]) -> Mapping[str, Any]:
        return {"name": name, "here": texts[0], "came": texts[1], "difference": "", "differs": texts[0] != texts[1]}

    def served(side: Side) -> str:
        design = side.view.step("design")
        return f"{side.view.number(design['served_sites'])} / {side.view.number(design['wanted_sites'])}"

    verdicts = tuple(word("verdict." + side.view.step("verdict")["status"]) for side in (here, came))
    return [both(word("compare.verdict"), (verdicts[0], verdicts[1])), both(word("page.served"), (served(here), served(came)))]


def column_word(texts: Mapping[str, str], column: str) -> str:
    """The name of a column of a region in words; itself where it has none.

    >>> column_word({"town.field.lat": "緯度", "town.field.id": "元のID", "carry.column.id": "ID"}, "id")
    'ID'
    """
    return texts.get(f"carry.column.{column}") or texts.get(f"town.field.{column}", column) if column else ""


class _Says:
    """Rows of a region in the words of a page."""

    def __init__(self, frame: Frame, lang: str) -> None:
        self.frame, self.lang, self.texts = frame, lang, frame.catalogue.words[lang]

    def file(self, one: FileChange) -> Mapping[str, Any]:
        """A file."""
        table = one.file.rpartition(".")[0]
        unit = "rows" if one.file.endswith((".csv", ".yaml")) else "features" if one.file.endswith(".geojson") else "lines"
        return {
            "file": one.file,
            "title": self.texts.get(f"carry.file.{table}", one.file),
            "kind": one.kind,
            "unit": unit,
            "count": {"new": one.new, "changed": one.changed, "gone": one.gone, "same": one.same},
            "rows": [self.row(one.file, row) for row in sorted(one.rows, key=lambda row: ("changed", "new", "gone").index(row.kind))[:SHOWN]],
            "more": max(0, len(one.rows) - SHOWN),
        }

    def row(self, file: str, row: RowChange) -> Mapping[str, Any]:
        """A row."""
        known = self.texts.get(f"town.fact.{row.id}", "") if file == "facts.csv" else self._entry(row) if file.endswith(".yaml") else ""
        cells = [(column_word(self.texts, column), self.value(column, before), self.value(column, after)) for column, before, after in row.cells]
        return {"kind": row.kind, "name": known or row.name or row.id, "cells": cells if row.kind == "changed" else []}

    def _entry(self, row: RowChange) -> str:
        """An entry of region.yaml: what it is, and which."""
        key, _, which = row.id.partition("/")
        head = self.texts.get(f"carry.head.{key}", key)
        return f"{head}: {(row.name or which).partition(' / ')[0]}" if which else head

    def value(self, column: str, text: str) -> str:
        """What a cell says."""
        if column == "kind" and text:
            return self.texts.get(f"value.sites.{text}") or self.texts.get(f"page.place.{text}", text)
        if column == "technology" and text in self.frame.catalogue.technologies:
            return self.frame.catalogue.headline("technologies", text, self.lang)
        return {"yes": self.texts["town.yes"], "true": self.texts["town.yes"], "false": self.texts["town.no"]}.get(text, text)
