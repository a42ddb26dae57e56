"""The versions of a plan: who, when, why, what changed; back to an older one; two texts that met, and what an upload would change, side by side.

In: the plans with their versions. Out: routes /plans/{plan}/history… and /plans/{plan}/drafts….
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.base.errors import ConflictError, NotFoundError
from kiban.loop.kept import Draft, Key, assembled, differences, entries
from kiban.loop.quoting import summary
from kiban.records.funding import Inputs
from kiban.web.frame import number_of, plain_text
from kiban.web.keeping import Keeping, Known, Told, moment_text, numbered, reason_of, who_text, why_text

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Saved

SHOWN = 100  # versions on one page
LOOKED = 50  # versions in which the text of an upload is looked for


@dataclass(frozen=True)
class HistoryPages:
    """Versions and drafts."""

    keeping: Keeping

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/plans/{plan}/history", self.all),
            Route("/plans/{plan}/history/{version}", self.one),
            Route("/plans/{plan}/history/{version}", self.restore, methods=["POST"]),
            Route("/plans/{plan}/drafts/{draft}", self.draft),
            Route("/plans/{plan}/drafts/{draft}", self.settle, methods=["POST"]),
        ]

    async def all(self, request: Request) -> Response:
        """All versions, newest first, and the drafts."""
        known = await self.keeping.open(request)
        self.keeping.frame.note(request, "view", f"plans/{known.name}", "history")
        return await run_in_threadpool(self._all, request, known)

    def _all(self, request: Request, known: Known) -> Response:
        told = self._told(request, known)
        history = known.kept.history()
        shown = [one for one in history if one.version > len(history) - SHOWN]
        content = {0: Inputs()} | {one.version: known.kept.read(one.version) for one in history[-SHOWN - 1 :]}
        rows = [{**self._about(told, one), "changes": _changes(told, content.get(one.version - 1, Inputs()), content[one.version])} for one in reversed(shown)]
        for row in rows:
            row["url"] = self.keeping.url(request, known, f"history/{row['number']}")
        drafts = [{**self._about(told, one), "url": self.keeping.url(request, known, f"drafts/{one.version}")} for one in reversed(known.kept.drafts())]
        return self.keeping.page(request, "history", "history.html", known, {"rows": rows, "drafts": drafts, "more": len(history) - len(shown)})

    async def one(self, request: Request) -> Response:
        """What would change if an older version came back."""
        known = await self.keeping.open(request)
        return await run_in_threadpool(self._one, request, known, "")

    def _one(self, request: Request, known: Known, wrong: str, status: int = 200) -> Response:
        number, told = numbered(request, "version"), self._told(request, known)
        about = {one.version: one for one in known.kept.history()}
        if number not in about:
            raise HTTPException(404, told.view.word("kept.no_version", number=number))
        inputs = known.kept.read(number)
        before = known.kept.read(number - 1)
        context = {
            "row": self._about(told, about[number]),
            "changes": _changes(told, before, inputs),
            "back": _changes(told, known.inputs, inputs),
            "newest": number == known.version,
            "wrong": wrong,
            "here": self.keeping.url(request, known, f"history/{number}"),
        }
        return self.keeping.page(request, "history", "version.html", known, context, status)

    async def restore(self, request: Request) -> Response:
        """Make an older version the newest."""
        frame = self.keeping.frame
        who = frame.need(request, "editor")
        form = await frame.form(request)
        known = await self.keeping.open(request)
        number, word = numbered(request, "version"), frame.words(request)
        why = reason_of(form.get("why", "")) or word("kept.why.restore", number=number)
        try:
            made = await run_in_threadpool(known.kept.restore, number, who=who.name, why=why, expected=number_of(form.get("version")))
        except ConflictError:
            known = await self.keeping.open(request)
            return await run_in_threadpool(self._one, request, known, word("kept.changed_meanwhile"), 409)
        except NotFoundError as error:
            raise HTTPException(404, word("kept.no_version", number=number)) from error
        frame.note(request, "restore", f"plans/{known.name}", f"version {number} as {made}")
        return self.keeping.saved(request, known, made, "history")

    async def draft(self, request: Request) -> Response:
        """What somebody wrote that is in no version, beside what stands now."""
        known = await self.keeping.open(request)
        return await run_in_threadpool(self._draft, request, known, {})

    def _draft(self, request: Request, known: Known, typed: Mapping[str, str], status: int = 200) -> Response:
        number, told = numbered(request, "draft"), self._told(request, known)
        draft, about = self._read(request, known, number)
        base = known.kept.read(draft.base) if draft.base <= known.version else Inputs()
        start, now, own = entries(base), entries(known.inputs), entries(draft.inputs)
        past = self._past(known) if draft.kind == "upload" else {}
        versions = {one.version: one for one in known.kept.history()}
        rows = []
        wanted = _open(base, known.inputs, draft)
        for one in wanted:
            was, here, mine = start.get(one), now.get(one), own.get(one)
            met = here != was and here != mine
            texts = [told.value(*one, value) for value in (was, here, mine)]
            old = isinstance(mine, tuple) and mine[0] in past.get(one[1], set())
            rows.append(
                {
                    "name": told.name(*one),
                    "id": ".".join(one),
                    "text": one[0] in ("words", "voices"),
                    "japanese": one[0] != "facts",
                    "met": met,
                    "was": texts[0],
                    "now": texts[1],
                    "mine": texts[2],
                    "both": typed.get(f"t.{'.'.join(one)}", f"{texts[1]}\n{texts[2]}" if met else texts[2]),
                    "choice": typed.get(f"c.{'.'.join(one)}", "" if met else "now" if old else "mine"),
                    "old": old,
                    "by": who_text(versions[known.version], told.view) if met and known.version in versions else "",
                }
            )
        has_quotes = any(one[0] == "quotes" for one in wanted)
        context = {
            "row": self._about(told, about),
            "draft": draft,
            "notes": [_in_language(note, told.view.lang) for note in draft.notes],
            "rows": rows,
            "table": summary(known.one, draft.inputs, self.keeping.frame.catalogue, self.keeping.today()) if has_quotes else None,
            "here": self.keeping.url(request, known, f"drafts/{number}"),
            "missing": bool(typed),
        }
        return self.keeping.page(request, "quotes" if has_quotes else "papers", "draft.html", known, context, status)

    async def settle(self, request: Request) -> Response:
        """Keep what was chosen of a draft."""
        frame = self.keeping.frame
        frame.need(request, "editor")
        form = await frame.form(request)
        known = await self.keeping.open(request)
        number = numbered(request, "draft")
        draft, _ = await run_in_threadpool(self._read, request, known, number)
        expected = number_of(form.get("version"))
        base = known.kept.read(draft.base) if draft.base <= known.version else Inputs()
        seen = known.kept.read(expected) if 0 <= expected <= known.version else Inputs()
        wanted = _open(base, seen, draft)
        choices = {one: form.get(f"c.{'.'.join(one)}", "") for one in wanted}
        if any(choice not in ("now", "mine", "both") for choice in choices.values()):
            return await run_in_threadpool(self._draft, request, known, form, 422)
        own = entries(draft.inputs)

        def change(inputs: Inputs) -> Inputs:
            found = entries(inputs)
            for one, choice in choices.items():
                if choice == "both" and one[0] in ("words", "voices"):
                    text = plain_text(form.get(f"t.{'.'.join(one)}", ""))
                    made = (own.get(one) or found.get(one) or ("", None))[1] if one[0] == "words" else None
                    found[one] = (text, made) if one[0] == "words" else text
                elif choice == "mine" and one in own:
                    found[one] = own[one]
                elif choice == "mine":
                    found.pop(one, None)
            return assembled(found)

        page = "quotes" if any(one[0] == "quotes" for one in wanted) else "facts" if any(one[0] == "facts" for one in wanted) else "papers"
        return await self.keeping.save(request, known, change, form, frame.words(request)(f"kept.why.{draft.kind}", number=number), page)

    # --- parts

    def _told(self, request: Request, known: Known) -> Told:
        return self.keeping.told(known, self.keeping.plans.view(request, known.one))

    def _about(self, told: Told, saved: Saved) -> dict[str, Any]:
        when = moment_text(saved.at, told.view.lang)
        return {"number": saved.version, "who": who_text(saved, told.view), "why": why_text(saved, told.view), "when": when}

    def _read(self, request: Request, known: Known, number: int) -> tuple[Draft, Saved]:
        about = {one.version: one for one in known.kept.drafts()}
        if number not in about:
            raise HTTPException(404, self.keeping.frame.words(request)("kept.no_draft", number=number))
        return known.kept.draft(number), about[number]

    def _past(self, known: Known) -> dict[str, set[str]]:
        """Texts that passages had in earlier versions."""
        found: dict[str, set[str]] = {}
        for one in known.kept.history()[-LOOKED:]:
            inputs = known.kept.read(one.version)
            for texts in (inputs.words, inputs.made):
                for key, text in texts.items():
                    found.setdefault(key, set()).add(text)
        return found


def _open(base: Inputs, now: Inputs, draft: Draft) -> list[Key]:
    """What a draft would still change."""
    here, own = entries(now), entries(draft.inputs)
    changed = [(one.part, one.key) for one in differences(base, draft.inputs)]
    return [one for one in changed if _plain(here.get(one)) != _plain(own.get(one))]


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _changes(told: Told, before: Inputs, after: Inputs) -> list[dict[str, str]]:
    return [
        {"name": told.name(one.part, one.key), "before": told.value(one.part, one.key, one.before), "after": told.value(one.part, one.key, one.after)}
        for one in differences(before, after)
        if _plain(one.before) != _plain(one.after)
    ]


def _in_language(note: str, lang: str) -> str:
    """A note in both languages, "… / …", on a Japanese page in Japanese alone."""
    japanese, mark, _ = note.rpartition(" / ")
    return japanese if mark and lang == "ja" else note
