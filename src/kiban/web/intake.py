"""Pages of an import 取り込み: the columns matched, every doubt by its cell, what would change, and only then the writing.

In: files of an office, the region folders. Out: routes. What is not confirmed waits on the server for a day; the rows that were left out come back as a
table to correct and to bring again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, get_args
from urllib.parse import quote

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import ConflictError, KibanError
from kiban.catalogue.words import Words
from kiban.records.source import Source
from kiban.region import said
from kiban.region.change import LEFT_NAME, NO_FAULT, Change, apply, change_of, left_csv, state_of
from kiban.region.examine import Checked, Finding, examine
from kiban.region.imports import Draft, place_of
from kiban.region.match import LIKELY, MANY, SITE_KINDS, SURE, Matching, Table, fields_of
from kiban.region.sheet import Sheet
from kiban.web.frame import Frame, number_of
from kiban.web.towns import TownPages, refusal
from kiban.web.uploads import uploaded

SHOWN = 100  # findings of one sort, and rows of one sort of change, on the page; all of them are in the table to download
SAMPLES = 3
TABLES: tuple[Table, ...] = get_args(Table)


@dataclass
class _Look:
    """What came out of one draft, for the state of the folder that it was compared with."""

    checked: Checked
    change: Change | None


@dataclass(frozen=True)
class IntakePages:
    """The pages of imports."""

    pages: TownPages
    frame: Frame
    _looks: dict[tuple[str, Matching, int, str], _Look] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """All of them."""
        base = "/towns/{region}/imports"
        return [
            Route(base, self.start, methods=["POST"]),
            Route(base + "/{token}", self.one),
            Route(base + "/{token}/matching", self.rematch, methods=["POST"]),
            Route(base + "/{token}/confirm", self.confirm, methods=["POST"]),
            Route(base + "/{token}/drop", self.drop, methods=["POST"]),
            Route(base + "/{token}/left.csv", self.left),
        ]

    @cached_property
    def technologies(self) -> dict[str, str]:
        """Plant by every name of it."""
        catalogue = self.frame.catalogue
        named = {id: one for id, one in catalogue.technologies.items() if one.wiring is not None and one.wiring.pattern == "plant"}
        return {name: id for id, one in named.items() for name in (id, one.name.ja, one.name.en)}

    async def start(self, request: Request) -> Response:
        """Take files in; one file leads to its page, several to the page of the town, where they wait."""
        who = self.frame.need(request, "editor")
        name = self._region(request)
        _, files = await uploaded(self.frame, request)
        word = self.frame.words(request)
        if not files:
            return await run_in_threadpool(self.pages.page, request, word("town.no_file"), 422)
        begun, wrong = [], []
        for one in files:
            try:
                begun.append(await run_in_threadpool(self.pages.imports.start, name, one.content, one.name, who.name, self.frame.now()))
            except KibanError as error:
                wrong.append(refusal(word, error))
                self.frame.note(request, "refused", name, str(error)[:300])
        if wrong:
            return await run_in_threadpool(self.pages.page, request, "\n".join(wrong), 422)
        to = f"/towns/{quote(name)}" + (f"/imports/{begun[0].token}" if len(begun) == 1 else "")
        return RedirectResponse(self.frame.url(request, to) + ("" if len(begun) == 1 else "#waiting"), 303)

    async def one(self, request: Request) -> Response:
        """One import: columns, doubts, changes, the form that confirms."""
        self.frame.need(request, "editor")
        return await run_in_threadpool(self._page, request, {}, "")

    async def rematch(self, request: Request) -> Response:
        """Take the officer's word for what the columns are."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        return await run_in_threadpool(self._rematch, request, form)

    async def confirm(self, request: Request) -> Response:
        """Write what was previewed."""
        who = self.frame.need(request, "editor")
        self.frame.own(request)
        form = await self.frame.form(request)
        return await run_in_threadpool(self._confirm, request, form, who.name)

    async def drop(self, request: Request) -> Response:
        """Give an import up."""
        self.frame.need(request, "editor")
        await self.frame.form(request)
        name, draft, _ = await run_in_threadpool(self._draft, request)
        await run_in_threadpool(self.pages.imports.drop, draft.token)
        return RedirectResponse(self.frame.url(request, f"/towns/{quote(name)}"), 303)

    async def left(self, request: Request) -> Response:
        """The rows that were left out, as a table to correct."""
        self.frame.need(request, "editor")
        return await run_in_threadpool(self._left, request)

    # --- parts

    def _region(self, request: Request) -> str:
        name: str = request.path_params["region"]
        if name not in self.pages.regions.names():
            raise HTTPException(404, self.frame.words(request)("town.none", name=name))
        return name

    def _draft(self, request: Request) -> tuple[str, Draft, tuple[Sheet, ...]]:
        name = self._region(request)
        try:
            draft, sheets = self.pages.imports.open(request.path_params["token"])
        except KeyError as error:
            raise HTTPException(404, self.frame.words(request)("town.import.gone")) from error
        if draft.region != name:
            raise HTTPException(404)
        return name, draft, sheets

    def _base(self, name: str, draft: Draft) -> str:
        return f"/towns/{quote(name)}/imports/{draft.token}"

    def _look(self, name: str, draft: Draft, sheet: Sheet) -> _Look:
        """Judge and compare, once for each state of the draft and of the folder."""
        folder = self.pages.regions.folder / name
        key = (draft.token, draft.matching, draft.sheet, state_of(folder))
        look = self._looks.get(key)
        if look is None:
            checked = examine(sheet, draft.matching, place_of(folder, self.technologies))
            change = change_of(folder, sheet, draft.matching, checked) if not draft.matching.lacking() else None
            look = _Look(checked, change)
            for old in list(self._looks)[:-3]:
                self._looks.pop(old, None)
            self._looks[key] = look
        return look

    def _rematch(self, request: Request, form: Mapping[str, str]) -> Response:
        name, draft, sheets = self._draft(request)
        index = number_of(form["sheet"]) if form.get("sheet") else draft.sheet
        chosen = form.get("table", "")
        if index != draft.sheet or (chosen in TABLES and chosen != draft.matching.table):
            table = next((one for one in TABLES if one == chosen and index == draft.sheet), None)
            draft = self.pages.imports.choose(draft, sheets, index, table)
        else:
            known = fields_of(draft.matching.table)
            fields: list[str] = []
            for column in range(len(sheets[draft.sheet].headers)):
                wanted = form.get(f"column.{column}", "")
                fields.append(wanted if wanted in known and (wanted in MANY or wanted not in fields) else "")
            sure = tuple(one if same == now else 1.0 for one, same, now in zip(draft.matching.sure, draft.matching.fields, fields, strict=True))
            kind = form.get("kind", "")
            kinds = (*SITE_KINDS, "exchange", "tower", *set(self.technologies.values()))
            draft = replace(draft, matching=replace(draft.matching, fields=tuple(fields), sure=sure, kind=kind if kind in kinds else ""))
        self.pages.imports.keep(draft)
        return RedirectResponse(self.frame.url(request, self._base(name, draft)) + "#columns", 303)

    def _page(self, request: Request, typed: Mapping[str, str], wrong: str, status: int = 200) -> Response:
        name, draft, sheets = self._draft(request)
        sheet = sheets[draft.sheet]
        look = self._look(name, draft, sheet)
        word, lang = self.frame.words(request), self.frame.language(request)
        matching = draft.matching
        columns = [
            {
                "index": index,
                "header": sheet.heading(index, lang) or word("town.column.unnamed"),
                "field": matching.fields[index],
                "sure": ""
                if not matching.fields[index]
                else "sure"
                if matching.sure[index] >= SURE
                else "likely"
                if matching.sure[index] >= LIKELY
                else "guess",
                "samples": list(dict.fromkeys(value[:40] for value in sheet.values(index)[:50]))[:SAMPLES],
            }
            for index in range(len(sheet.headers))
        ]
        try:
            town = self.pages.regions.open(name).name
        except (KibanError, KeyError):
            town = name
        context = {
            "name": name,
            "town": town,
            "draft": draft,
            "sheet": sheet,
            "base": self._base(name, draft),
            "columns": columns,
            "fields": [(one, self._field_word(word, one)) for one in fields_of(matching.table)],
            "field_word": lambda one: self._field_word(word, one),
            "tables": TABLES,
            "kinds": self._kinds(word, matching.table, lang),
            "lacking": [self._field_word(word, one) for one in matching.lacking()],
            "checked": look.checked,
            "errors": self._grouped(sheet, look.checked, word, lang, notes=False),
            "notes": self._grouped(sheet, look.checked, word, lang, notes=True),
            "change": look.change,
            "shown": SHOWN,
            "said": lambda column, text: word(f"value.sites.{text}") if column == "kind" and text in SITE_KINDS else text,
            "address": lambda row: sheet.address(row, None, lang),
            "number_of": len(sheet.rows),
            "typed": typed,
            "wrong": wrong,
            "title": typed.get("title", re.sub(rf"{LEFT_NAME}$", "", draft.file.rsplit(".", 1)[0])),
        }
        return self.frame.page(request, "town_import.html", context, status=status)

    @staticmethod
    def _field_word(word: Words, one: str) -> str:
        return word(f"town.{one}") if one.startswith("fact.") else word(f"town.field.{one}")

    def _kinds(self, word: Words, table: Table, lang: str) -> list[tuple[str, str]]:
        if table == "sites":
            return [(kind, word(f"value.sites.{kind}")) for kind in SITE_KINDS]
        if table == "places":
            return [(kind, word(f"page.place.{kind}")) for kind in ("exchange", "tower", "office")]
        if table == "plants":
            return [(id, self.frame.catalogue.headline("technologies", id, lang)) for id in sorted(set(self.technologies.values()))]
        return []

    def _sentence(self, word: Words, finding: Finding) -> str:
        more = dict(finding.more)
        if "kinds" in more:
            more["kinds"] = "、".join(word(f"value.sites.{kind}") if kind in SITE_KINDS else kind for kind in more["kinds"].split(", "))
        return word(f"town.finding.{finding.code}", **more) if more else word(f"town.finding.{finding.code}")

    def _grouped(self, sheet: Sheet, checked: Checked, word: Words, lang: str, *, notes: bool) -> list[dict[str, Any]]:
        """The findings by what they are, those that somebody should mend first."""
        groups: dict[str, list[Finding]] = {}
        for one in checked.findings:
            if one.note == notes:
                groups.setdefault(one.code, []).append(one)
        order = sorted(groups.items(), key=lambda pair: (pair[0] in NO_FAULT, -len(pair[1])))
        return [
            {
                "code": code,
                "title": word(f"town.finding.{code}.title"),
                "fault": code not in NO_FAULT,
                "count": len(found),
                "rows": [
                    {"address": sheet.address(one.row, one.column, lang), "found": one.found, "said": self._sentence(word, one), "name": _name(sheet, one.row)}
                    for one in found[:SHOWN]
                ],
            }
            for code, found in order
        ]

    def _confirm(self, request: Request, form: Mapping[str, str], who: str) -> Response:
        name, draft, sheets = self._draft(request)
        sheet, word = sheets[draft.sheet], self.frame.words(request)
        look = self._look(name, draft, sheet)
        if look.change is None or not (look.change.new or look.change.changed or look.change.gone):
            return self._page(request, form, word("town.import.nothing"), 422)
        if form.get("state") != look.change.state:
            return self._page(request, form, word("town.import.conflict"), 409)
        title = form.get("title", "").strip()[:200]
        try:
            published, _ = said.day(form.get("published", ""))
        except ValueError:
            return self._page(request, form, word("town.import.bad_day"), 422)
        if not title:
            return self._page(request, form, word("town.import.no_title"), 422)
        today: date = self.frame.now().date()
        source = Source(
            title=title,
            seen_on=today,
            publisher=form.get("publisher", "").strip()[:200] or None,
            published=published.isoformat() if published else None,
            licence=form.get("licence", "").strip()[:200] or None,
        )
        remove = [key.removeprefix("gone.") for key in form if key.startswith("gone.")]
        reason = form.get("reason", "").strip()[:500]
        try:
            done = apply(
                self.pages.regions.folder, name, look.change, sheet, look.checked, source=source, remove=remove, who=who, reason=reason, now=self.frame.now()
            )
        except ConflictError:
            return self._page(request, form, word("town.import.conflict"), 409)
        except KibanError as error:
            return self._page(request, form, word("town.import.not_whole", error=str(error)[:500]), 422)
        self.pages.imports.remember(sheet, draft.matching)
        if not look.checked.left:
            self.pages.imports.drop(draft.token)
        self.frame.note(request, "change", name, f"{draft.file}: {done.new} new, {done.changed} changed, {done.removed} removed, {done.left} left out")
        more = {"left": draft.token} if look.checked.left else {}
        return RedirectResponse(self.frame.url(request, f"/towns/{quote(name)}", done=str(done.number), **more), 303)

    def _left(self, request: Request) -> Response:
        name, draft, sheets = self._draft(request)
        sheet, word, lang = sheets[draft.sheet], self.frame.words(request), self.frame.language(request)
        checked = self._look(name, draft, sheet).checked
        why: dict[int, list[str]] = {}
        for one in checked.findings:
            if not one.note:
                why.setdefault(one.row, []).append(f"{sheet.address(one.row, one.column, lang)}: {self._sentence(word, one)}")
        text = left_csv(sheet, checked, lambda row: " / ".join(why.get(row, ())))
        file = re.sub(rf"({LEFT_NAME})?(\.[A-Za-z0-9]+)?$", "", draft.file) + f"{LEFT_NAME}.csv"
        self.frame.note(request, "export", name, file)
        ascii_name = re.sub(r"[^A-Za-z0-9._-]+", "-", file).strip("-.") or "left.csv"
        disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(file, safe='')}"
        return Response(text.encode(), media_type="text/csv; charset=utf-8", headers={"content-disposition": disposition})


def _name(sheet: Sheet, row: int) -> str:
    """A row by its first texts."""
    return "、".join(cell[:20] for cell in sheet.rows[row].cells if re.search(r"[^\W\d_]{2,}", cell))[:60]
