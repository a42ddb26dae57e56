"""Plans and regions across an air gap, in the browser: out as one file to carry, in again after a preview of what changes.

In: the plans with their versions, the region folders, files that somebody brought. Out: routes. What is not confirmed waits on the server for a day. No
name that somebody sent becomes a path: what came is kept under a token, and is written under the paths that kiban.loop.carry lets through.
"""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import ConflictError, KibanError, ManyErrors
from kiban.catalogue.words import Words
from kiban.loop import carry
from kiban.loop.carried import STEP
from kiban.loop.carry import MANIFEST, Carried, CarryError, Packed, carry_out, compared, opened_files, opened_zip, zipped
from kiban.loop.carry_rows import file_changes
from kiban.loop.files import Editing
from kiban.loop.given import TOKYO
from kiban.loop.inputs import INPUTS
from kiban.loop.kept import Kept, entries, stale
from kiban.records.funding import Inputs
from kiban.records.rules import Record
from kiban.region.imports import LASTS, TOKEN
from kiban.region.versions import Version
from kiban.web.carry_preview import PlanLook, RegionLook, column_word, plan_look, region_look
from kiban.web.frame import Frame
from kiban.web.keeping import Keeping, moment_text, reason_of
from kiban.web.making import Regions
from kiban.web.money import scale_of
from kiban.web.uploads import Upload, uploaded

MOST_UNPACKED = 150_000_000  # bytes of all that came; kiban's own have a twentieth of it
MOST_WAITING = 20
SHOWN = 40  # problems of one file
# What looking at a record or a table raises that no kiban wrote.
STRANGE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, StopIteration, RecursionError)
Look = RegionLook | PlanLook
logger = logging.getLogger(__name__)


class Note(Record, frozen=True, kw_only=True):
    """Something to say about a paper that came."""

    code: str
    more: dict[str, str]


class Waiting(Record, frozen=True, kw_only=True):
    """What was brought and is not written yet. title: its town or sentence; file: how the file was called, only to be shown."""

    token: str
    kind: Literal["plan", "region"]
    id: str
    title: str
    file: str
    files: int
    who: str
    at: datetime
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Shelf:
    """What waits, in a folder of the state."""

    folder: Path

    def keep(self, waiting: Waiting, originals: Mapping[str, bytes]) -> None:
        """Put something there."""
        place = self.folder / waiting.token
        place.mkdir(parents=True)
        (place / "originals.msgpack").write_bytes(msgspec.msgpack.encode(originals))
        beside = place / "waiting.part"
        beside.write_bytes(msgspec.json.encode(waiting))
        beside.replace(place / "waiting.json")

    def open(self, token: str, now: datetime) -> tuple[Waiting, Carried]:
        """What waits under a token. Raises KeyError where there is nothing any more."""
        place = self.folder / token
        if not TOKEN.match(token) or not (place / "waiting.json").is_file():
            raise KeyError(token)
        waiting = msgspec.json.decode((place / "waiting.json").read_bytes(), type=Waiting)
        if now - waiting.at > LASTS:
            raise KeyError(token)
        originals = msgspec.msgpack.decode((place / "originals.msgpack").read_bytes(), type=dict[str, bytes])
        return waiting, Carried(waiting.kind, waiting.id, originals)

    def all(self) -> list[Waiting]:
        """Everything that waits, oldest first."""
        found = []
        for path in self.folder.glob("*/waiting.json") if self.folder.is_dir() else ():
            with suppress(FileNotFoundError):  # written or given up at this moment
                found.append(msgspec.json.decode(path.read_bytes(), type=Waiting))
        return sorted(found, key=lambda one: one.at)

    def drop(self, token: str) -> None:
        """Give something up."""
        if TOKEN.match(token):
            shutil.rmtree(self.folder / token, ignore_errors=True)

    def sweep(self, now: datetime) -> None:
        """Give up what waited longer than a day, and what was never whole."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if TOKEN.match(path.name) and now.timestamp() - path.stat().st_mtime > LASTS.total_seconds():
                self.drop(path.name)
        for one in self.all():
            if now - one.at > LASTS:
                self.drop(one.token)


@dataclass(frozen=True)
class Carrying:
    """The pages."""

    keeping: Keeping
    regions: Regions
    folder: Path  # where what was brought waits
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def frame(self) -> Frame:
        """The frame of all pages."""
        return self.keeping.frame

    @property
    def shelf(self) -> Shelf:
        """What waits."""
        return Shelf(self.folder)

    def routes(self) -> list[Route]:
        """All of them."""
        self.frame.carries = True
        return [
            Route("/plans/{plan}/carry.zip", self.plan_out),
            Route("/towns/{region}/carry.zip", self.region_out),
            Route("/carry", self.start),
            Route("/carry", self.take, methods=["POST"]),
            Route("/carry/{token}", self.one),
            Route("/carry/{token}/confirm", self.confirm, methods=["POST"]),
            Route("/carry/{token}/drop", self.drop, methods=["POST"]),
        ]

    async def plan_out(self, request: Request) -> Response:
        """A plan as one file to carry."""
        known = await self.keeping.open(request)
        word = self.frame.words(request)
        if known.trouble:
            raise HTTPException(409, f"{word('kept.trouble')} {known.trouble}")
        if self.keeping.state(known) != "ready":
            raise HTTPException(409, word("papers.zip.later"))
        packed = await run_in_threadpool(carry_out, known.kept.path)
        return self._sent(request, f"plans/{known.name}", known.name, packed)

    async def region_out(self, request: Request) -> Response:
        """A region as one file to carry."""
        name, word = request.path_params["region"], self.frame.words(request)
        if name not in self.regions.names():
            raise HTTPException(404, word("town.none", name=name))
        try:
            packed = await run_in_threadpool(carry_out, self.regions.folder / name, self.regions.detour)
        except KibanError as error:
            raise HTTPException(409, word("carry.broken", error=str(error)[:500])) from error
        return self._sent(request, f"towns/{name}", name, packed)

    def _sent(self, request: Request, target: str, name: str, packed: Packed) -> Response:
        self.frame.note(request, "export", target, f"carry.zip: {len(packed.files)}")
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "kiban"
        disposition = f"attachment; filename=\"{plain}-carry.zip\"; filename*=UTF-8''{quote(name, safe='')}-carry.zip"
        return Response(zipped(packed.files), media_type="application/zip", headers={"content-disposition": disposition})

    async def start(self, request: Request) -> Response:
        """Where what was carried is brought in."""
        return await run_in_threadpool(self._start, request)

    async def take(self, request: Request) -> Response:
        """Take files in and compare them; nothing is written before somebody has seen what changes."""
        who = self.frame.need(request, "editor")
        _, files = await uploaded(self.frame, request, count=carry.MOST_FILES)
        if not files:
            return await run_in_threadpool(self._start, request, self.frame.words(request)("carry.no_file"))
        return await run_in_threadpool(self._take, request, files, who.name)

    async def one(self, request: Request) -> Response:
        """What came and what it changes."""
        self.frame.need(request, "editor")
        return await run_in_threadpool(self._page, request)

    async def confirm(self, request: Request) -> Response:
        """Write what was previewed."""
        who = self.frame.need(request, "editor")
        form = await self.frame.form(request)
        return await run_in_threadpool(self._confirm, request, form, who.name)

    async def drop(self, request: Request) -> Response:
        """Leave it: what came is forgotten."""
        self.frame.need(request, "editor")
        await self.frame.form(request)
        waiting, _ = await run_in_threadpool(self._open, request)
        await run_in_threadpool(self.shelf.drop, waiting.token)
        self.frame.note(request, "change", "carry", f"left: {waiting.kind} {waiting.id}")
        return RedirectResponse(self.frame.url(request, "/carry", left="1"), 303)

    # --- what comes

    def _start(self, request: Request, wrong: str = "", problems: Sequence[Mapping[str, Any]] = (), status: int = 422) -> Response:
        now, lang = self.frame.now(), self.frame.language(request)
        asked = request.query_params
        plan = asked.get("plan", "") if asked.get("plan", "") in self.keeping.plans.names() else ""
        town = asked.get("town", "") if asked.get("town", "") in self.regions.names() else ""
        draft = asked.get("draft", "")
        context = {
            "wrong": wrong,
            "problems": problems,
            "waiting": [{"one": one, "when": moment_text(one.at, lang)} for one in self.shelf.all() if now - one.at <= LASTS],
            "plan": plan,
            "town": town,
            "draft": draft if plan and draft.isascii() and draft.isdigit() else "",
            "left": bool(asked.get("left")),
        }
        return self.frame.page(request, "carry.html", context, status=status if wrong else 200)

    def _take(self, request: Request, files: list[Upload], who: str) -> Response:
        word, now, shelf = self.frame.words(request), self.frame.now(), self.shelf
        shelf.sweep(now)
        if len(shelf.all()) >= MOST_WAITING:
            return self._start(request, word("carry.too_many", count=MOST_WAITING))
        label = files[0].name[:120] if len(files) == 1 else word("carry.several", count=len(files))
        try:
            carried = self._compared(files)
            look = self._look(request, carried)
        except KibanError as error:
            self.frame.note(request, "refused", "carry", f"{label}: {error}"[:300])
            known = error.problems if isinstance(error, ManyErrors) else [error]
            return self._start(request, word("carry.refused"), self._grouped(request, known))
        token = secrets.token_urlsafe(16)
        notes = tuple(Note(code=one.code, more=one.more) for one in carried.notes if isinstance(one, CarryError))
        waiting = Waiting(
            token=token,
            kind="plan" if carried.kind == "plan" else "region",
            id=carried.id,
            title=look.title,
            file=label,
            files=len(carried.files) + 1,
            who=who,
            at=now,
            notes=notes[:200],
        )
        shelf.keep(waiting, carried.originals)
        self.frame.note(request, "change", "carry", f"brought: {carried.kind} {carried.id}")
        return RedirectResponse(self.frame.url(request, f"/carry/{token}"), 303)

    @staticmethod
    def _compared(files: list[Upload]) -> Carried:
        """What came, compared with its manifest. Raises KibanError."""
        packed = [file for file in files if file.name.lower().endswith(".zip")]
        if packed and len(files) > 1:
            raise CarryError("one_zip", packed[0].name[:120], "a zip among other files", "one zip, or the files of one", "send it alone")
        came = opened_zip(packed[0].content, packed[0].name[:120], MOST_UNPACKED) if packed else opened_files([(file.name, file.content) for file in files])
        if sum(map(len, came.values())) > MOST_UNPACKED:
            raise CarryError("too_much", MANIFEST, "too much", f"{MOST_UNPACKED}", STEP, count=f"{carry.MOST_FILES}", mb=f"{MOST_UNPACKED // 1_000_000}")
        return compared(came)

    def _look(self, request: Request, carried: Carried) -> Look:
        """What came, beside what is here. Raises KibanError: it is no plan or region that this version can read."""
        try:
            if carried.kind == "region":
                return region_look(carried, self.regions, self.frame, request)
            return plan_look(carried, self.keeping, self.regions, request, scale_of(request))
        except STRANGE as error:
            logger.warning("carried %s %r is none that this version can show", carried.kind, carried.id, exc_info=error)
            raise CarryError(
                "record",
                "plan.json" if carried.kind == "plan" else "region.yaml",
                f"{type(error).__name__} {error}"[:100],
                "a record of this version of kiban",
                STEP,
            ) from error

    def _open(self, request: Request) -> tuple[Waiting, Carried]:
        try:
            return self.shelf.open(request.path_params["token"], self.frame.now())
        except KeyError as error:
            raise HTTPException(404, self.frame.words(request)("carry.gone")) from error

    def _page(self, request: Request, wrong: str = "", status: int = 200) -> Response:
        waiting, carried = self._open(request)
        word = self.frame.words(request)
        try:
            look = self._look(request, carried)
        except KibanError as error:  # what is here cannot be read any more, or what came is no plan for this version
            return self._start(request, word("carry.refused"), self._grouped(request, [error]))
        context = {
            "waiting": waiting,
            "when": moment_text(waiting.at, self.frame.language(request)),
            "look": look,
            "notes": self._grouped(request, [CarryError(one.code, one.more["file"], "", **_but(one.more, "file")) for one in waiting.notes]),
            "wrong": wrong,
        }
        return self.frame.page(request, "carried.html", context, status=status)

    def _grouped(self, request: Request, problems: Sequence[KibanError]) -> list[dict[str, Any]]:
        return grouped(self.frame.words(request), self.frame.catalogue.words[self.frame.language(request)], problems)

    # --- what is written

    def _confirm(self, request: Request, form: Mapping[str, str], who: str) -> Response:
        word = self.frame.words(request)
        why = reason_of(form.get("why", ""))
        with self._lock:
            waiting, carried = self._open(request)
            try:
                look = self._look(request, carried)
            except KibanError:
                return self._page(request)
            if form.get("state") != look.state:
                return self._page(request, word("carry.conflict"), 409)
            if look.same:
                return self._page(request, word("carry.nothing"), 422)
            try:
                to = self._plan_in(carried, look, who, why, word) if isinstance(look, PlanLook) else self._region_in(carried, look, waiting, who, why)
            except ConflictError:
                return self._page(request, word("carry.conflict"), 409)
            except (KibanError, OSError, *STRANGE) as error:
                logger.warning("carried %s %r could not be written", carried.kind, carried.id, exc_info=error)
                self.frame.note(request, "refused", "carry", f"{waiting.kind} {waiting.id}: {type(error).__name__} {error}"[:300])
                return self._page(request, word("carry.not_written", error=str(error)[:300]), 422)
            self.shelf.drop(waiting.token)
        self.frame.note(request, "change", f"{'plans' if 'plan' in to else 'towns'}/{look.name}", f"carried in: {waiting.file} {why}".strip())
        return RedirectResponse(self.frame.url(request, "/carry", **to), 303)

    def _region_in(self, carried: Carried, look: RegionLook, waiting: Waiting, who: str, why: str) -> dict[str, str]:
        at = self.frame.now().isoformat(timespec="seconds")
        changes = file_changes(carried, self.regions.folder / look.name)
        new, changed, removed = (sum(getattr(one, key) for one in changes if one.file.endswith(".csv")) for key in ("new", "changed", "gone"))
        done = Version(number=0, at=at, who=who, reason=why, what="carry", file=waiting.file, new=new, changed=changed, removed=removed)
        carry.region_into(carried, self.regions.folder, look.name, done, look.state, self.regions.detour)
        return {"town": look.name}

    def _plan_in(self, carried: Carried, look: PlanLook, who: str, why: str, word: Words) -> dict[str, str]:
        store, path = self.frame.store, self.keeping.plans.path(look.name)
        assert store is not None
        folder, day = carry.plan_of(carried)
        kept = Kept(store, path, folder.plan.id, self.frame.now)
        stamp = self.frame.now().astimezone(TOKYO).strftime("%Y%m%d-%H%M%S")

        def put(edit: Editing, inputs: Inputs) -> None:
            same = entries(inputs) == entries(folder.inputs)
            exact = {name: carried.originals[name] for name in carry.RECORDS if same or name != INPUTS}
            carry.keep_older(path, carried, stamp)
            edit.put(folder if same else replace(folder, inputs=inputs), self.frame.catalogue, self.frame.lang, day, exact)

        outcome = kept.exchange(put, folder.inputs, who=who, why=why or word("carry.why"), expected=look.version)
        if stale(path):
            with suppress(KibanError):  # too many wait: the page of the papers says that they are older, and has the button
                self.keeping.remaking.ask(look.name)
        return {"plan": look.name} | ({"draft": str(outcome.draft)} if outcome.draft is not None else {})


def grouped(word: Words, texts: Mapping[str, str], problems: Sequence[KibanError]) -> list[dict[str, Any]]:
    """Problems by the file that they are about, in words: its name, what is wrong with it, the first of its cells, how many there are."""
    found: dict[str, list[KibanError]] = {}
    for one in problems:
        found.setdefault(one.more["file"] if isinstance(one, CarryError) else one.where, []).append(one)
    rows = []
    for name, list_of in found.items():
        first = list_of[0]
        state = STATES.get(first.code, "changed") if isinstance(first, CarryError) else "unreadable"
        rows.append({"file": name, "state": state, "lines": [said(word, texts, one) for one in list_of[:SHOWN]], "more": max(0, len(list_of) - SHOWN)})
    return rows


STATES = {"missing": "missing", "no_manifest": "missing", "extra": "extra", "type": "refused", "odd": "refused", "twice": "refused", "too_much": "refused"}
STATES |= {"no_zip": "unreadable", "one_zip": "refused", "version": "refused", "path": "refused", "record": "unreadable", "pdf": "rebuilt"}


def said(word: Words, texts: Mapping[str, str], error: KibanError) -> str:
    """One problem in the words of the page."""
    if not isinstance(error, CarryError):
        return word("carry.wrong.unreadable", error=str(error)[:300])
    if error.code == "cell":
        place = partial(word, "carry.wrong.cell_of" if error.more["name"] else "carry.wrong.cell")
        shown = error.more["now"] or word("carry.empty")
        return (f"{error.more['sheet']} " if error.more["sheet"] else "") + place(
            **{**error.more, "now": shown, "column": column_word(texts, error.more["column"])}
        )
    return word(f"carry.wrong.{error.code}", **error.more)


def _but(more: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in more.items() if name != key}
