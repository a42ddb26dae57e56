"""A new town 町を始める: its name or 団体コード and official files in, a region folder out.

In: files of an office. Out: routes. The build runs beside the pages; the files wait on the server for a day, so that a kind that was told wrong can be
named and the build tried again without sending them again.
"""

from __future__ import annotations

import csv
import io
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError, ManyErrors
from kiban.base.lgcode import normal
from kiban.loop.given import rule_detour
from kiban.records.rules import ID
from kiban.records.source import Source
from kiban.region import Given, build, said
from kiban.region.detect import KINDS
from kiban.region.imports import LASTS, TOKEN
from kiban.region.match import without_persons
from kiban.region.sheet import sheets_of
from kiban.region.versions import KEPT
from kiban.web.frame import Frame
from kiban.web.refused import refused
from kiban.web.towns import TownPages
from kiban.web.uploads import Upload, plain_name, uploaded

MOST = 250_000_000  # bytes of all files of a new town: streets and heights are large
ENDINGS = (".csv", ".tsv", ".txt", ".json", ".geojson", ".topojson", ".xlsx", ".osm.pbf", ".tif", ".tiff", ".hgt")


@dataclass
class _Build:
    """One town in the making."""

    token: str
    name: str
    code: str
    id: str
    files: list[Path]
    names: list[str]
    kinds: list[str]
    sources: dict[str, str]
    emergency: bool
    assume: bool
    at: datetime
    share: float = 0.0
    doing: str = ""
    problems: list[KibanError] = field(default_factory=list)
    state: str = "running"  # running, failed, done


@dataclass(frozen=True)
class BuildPages:
    """The pages of a town that is not there yet."""

    pages: TownPages
    frame: Frame
    folder: Path  # where files wait
    _builds: dict[str, _Build] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """All of them; they stand before those of a town."""
        return [
            Route("/towns/new", self.new),
            Route("/towns/new", self.start, methods=["POST"]),
            Route("/towns/new/{token}", self.one),
            Route("/towns/new/{token}", self.again, methods=["POST"]),
        ]

    async def new(self, request: Request) -> Response:
        """The form."""
        self.frame.need(request, "editor")
        return self._form(request, dict(request.query_params), "")

    async def start(self, request: Request) -> Response:
        """Take the files in and begin."""
        self.frame.need(request, "editor")
        fields, files = await uploaded(self.frame, request, MOST)
        wrong = self._wrong(request, fields, files)
        if wrong:
            return self._form(request, fields, wrong, 422)
        self._sweep()
        code = normal(fields["code"]) if fields.get("code", "").strip() else ""
        town = self.pages.towns.of(code)
        token = secrets.token_urlsafe(16)
        one = _Build(
            token=token,
            name=fields.get("name", "").strip()[:60] or (town.name if town else ""),
            code=code,
            id=self._id(fields, code),
            files=[],
            names=[],
            kinds=[],
            sources={key: fields.get(key, "").strip()[:200] for key in ("publisher", "published", "licence")},
            emergency="emergency" in fields,
            assume="assume" in fields,
            at=self.frame.now(),
        )
        await run_in_threadpool(self._keep, one, files)
        self._builds[token] = one
        self._run(one)
        self.frame.note(request, "change", one.id, ", ".join(one.names)[:300])
        return RedirectResponse(self.frame.url(request, f"/towns/new/{token}"), 303)

    async def one(self, request: Request) -> Response:
        """How far it is; the problems, if there are any; the town, when it is there."""
        self.frame.need(request, "editor")
        one = self._build(request)
        state = one.state  # read before the problems: the thread writes them first
        if state == "done":
            return RedirectResponse(self.frame.url(request, f"/towns/{quote(one.id)}"), 303)
        problems = [problem for given in one.problems for problem in refused(given, self.frame.language(request))]
        context = {"one": one, "state": state, "problems": problems, "kinds": KINDS, "percent": int(100 * one.share)}
        response = self.frame.page(request, "town_build.html", context, status=200)
        if state == "running":
            response.headers["refresh"] = "2"
        return response

    async def again(self, request: Request) -> Response:
        """Try again with other kinds of files."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        one = self._build(request)
        if one.state != "running":
            one.kinds = [kind if kind in (*KINDS, "skip") else "" for kind in (form.get(f"kind.{index}", "") for index in range(len(one.files)))]
            self._run(one)
        return RedirectResponse(self.frame.url(request, f"/towns/new/{one.token}"), 303)

    # --- parts

    def _form(self, request: Request, typed: Mapping[str, str], wrong: str, status: int = 200) -> Response:
        asked = typed.get("q", "").strip()[:100]
        town = self.pages.towns.of(said.flat(typed.get("code", ""))) if typed.get("code", "").strip() else None
        context = {
            "typed": {**{"name": town.name if town else ""}, **{key: value for key, value in typed.items() if value}},
            "asked": asked,
            "found": self.pages.towns.find(asked) if asked else [],
            "table": len(self.pages.towns.all()),
            "kinds": KINDS,
            "endings": ",".join(ENDINGS),
            "wrong": wrong,
        }
        return self.frame.page(request, "town_new.html", context, status=status)

    def _wrong(self, request: Request, fields: Mapping[str, str], files: list[Upload]) -> str:
        """What is wrong with the form; "" when nothing is."""
        word = self.frame.words(request)
        code = fields.get("code", "").strip()
        if code:
            try:
                normal(code)
            except KibanError as error:
                return word("town.new.bad_code", code=code[:20], fits=error.step)
        elif not fields.get("name", "").strip():
            return word("town.new.no_name")
        if not files:
            return word("town.no_file")
        strange = [one.name for one in files if not one.name.lower().endswith(ENDINGS)]
        if strange:
            return word("town.new.bad_file", names="、".join(name[:60] for name in strange), endings=" ".join(ENDINGS))
        id = self._id(fields, code and normal(code))
        if not ID.match(id) or len(id) > 60 or (self.pages.regions.folder / id).exists():
            return word("town.new.bad_id", id=id[:60])
        return ""

    @staticmethod
    def _id(fields: Mapping[str, str], code: str) -> str:
        return said.flat(fields.get("id", "")).lower() or (f"town-{code}" if code else "town-1")

    def _build(self, request: Request) -> _Build:
        one = self._builds.get(request.path_params["token"])
        if one is None:
            raise HTTPException(404, self.frame.words(request)("town.import.gone"))
        return one

    def _keep(self, one: _Build, files: list[Upload]) -> None:
        """Put the files where the build finds them, each in a folder of its own under a name that leads nowhere."""
        for number, file in enumerate(files):
            name = plain_name(file.name)
            place = self.folder / one.token / str(number)
            place.mkdir(parents=True)
            (place / name).write_bytes(file.content)
            one.files.append(place / name)
            one.names.append(name)
            one.kinds.append("")

    def _sweep(self) -> None:
        """Forget what waited longer than a day, also from before the server started."""
        now = self.frame.now()
        for token, one in list(self._builds.items()):
            if now - one.at > LASTS and one.state != "running":
                del self._builds[token]
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            old = now.timestamp() - path.stat().st_mtime > timedelta(hours=24).total_seconds()
            if TOKEN.match(path.name) and path.name not in self._builds and old:
                shutil.rmtree(path, ignore_errors=True)

    def _run(self, one: _Build) -> None:
        one.state, one.problems, one.share, one.doing = "running", [], 0.0, ""
        threading.Thread(target=self._make, args=(one,), daemon=True).start()

    def _make(self, one: _Build) -> None:
        """Build the region beside the others and put it among them when it is whole."""
        regions = self.pages.regions.folder
        beside = regions / KEPT / one.id / "fresh"
        try:
            now = self.frame.now()
            files = [self._given(one, path, kind) for path, kind in zip(one.files, one.kinds, strict=True) if kind != "skip"]

            def progress(share: float, sentence: str) -> None:
                one.share, one.doing = share, sentence

            shutil.rmtree(beside, ignore_errors=True)
            build(
                beside,
                files,
                id=one.id,
                today=now.date(),
                name=one.name or None,
                lg_code=one.code or None,
                detour=rule_detour(self.frame.catalogue, now.date()),
                emergency=one.emergency,
                assume_exchange=one.assume,
                progress=progress,
            )
            beside.rename(regions / one.id)
            one.state = "done"
            shutil.rmtree(self.folder / one.token, ignore_errors=True)
        except KibanError as error:
            one.problems = error.problems if isinstance(error, ManyErrors) else [error]
        except OSError as error:
            one.problems = [KibanError(one.id, str(error.strerror), "a folder with space that may be written", "free some space, then try again")]
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if one.state == "running":
                one.state = "failed"

    def _given(self, one: _Build, path: Path, kind: str) -> Given:
        """A file as the build reads it: the first table of a workbook as CSV; the source as the officer said, as far as it is known."""
        if path.suffix.lower() == ".xlsx":
            sheets = sheets_of(path.read_bytes(), path.name)
            sheet, _ = without_persons(next((one for one in sheets if not one.hidden), sheets[0]))
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\r\n")
            writer.writerow(sheet.headers)
            writer.writerows(row.cells for row in sheet.rows)
            path = path.with_suffix(".csv")
            path.write_text(text.getvalue(), encoding="utf-8", newline="")
        source = None
        if any(one.sources.values()):
            source = Source(title=path.name, seen_on=self.frame.now().date(), **{key: value or None for key, value in one.sources.items()})
        return Given(path, kind, source)
