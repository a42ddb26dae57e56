"""A plan designed again under other conditions, beside the plan that stands: traffic that grows, limited money, works over years, electricity.

In: the plans, the regions, the jobs. Out: the route of the form, and what the form shows. The new plan has a folder of its own; what people have put
into the first one goes along, and when it is made the two are shown side by side.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kiban.base.errors import KibanError
from kiban.jobs import Jobs
from kiban.web.frame import Frame
from kiban.web.making import Regions
from kiban.web.plans import Plans

MOST_YEN, MOST_YEARS, MOST_KWH = 10**12, 15, 10**10
UNITS = {"億": 10**8, "万": 10**4, "千": 10**3, "百": 10**2}


def yen_of(text: str) -> int | None:
    """An amount of yen as people write it; None when it is none.

    >>> [yen_of(text) for text in ("６,０００万円", "60000千円", "1億2,000万", "60,000,000円", "1.5億", "3千万円", "2千5百万")]
    [60000000, 60000000, 120000000, 60000000, 150000000, 30000000, 25000000]
    >>> [yen_of(text) for text in ("0", "many", "万", "-3", "1円5")]
    [None, None, None, None, None]
    """
    rest = "".join(unicodedata.normalize("NFKC", text).replace(",", "").split()).removesuffix("円")
    total = _sum(rest, UNITS)
    return int(total) if total is not None and 0 < total <= MOST_YEN and total == int(total) else None


def _sum(text: str, units: Mapping[str, int]) -> Decimal | None:
    """A number with units, the largest first; what stands before 億 and 万 may have 千 and 百 itself."""
    total = Decimal(0)
    for mark, times in units.items():
        head, found, tail = text.partition(mark)
        if found:
            number = _sum(head, {small: units[small] for small in units if units[small] < min(times, 10**4)})
            if number is None:
                return None
            total, text = total + number * times, tail
            if not tail:
                return total
    number = _decimal(text)
    return None if number is None else total + number


def whole_of(text: str, most: int) -> int | None:
    """A whole number from 1 to `most`; None when it is none.

    >>> [whole_of(text, 15) for text in ("３", "3年", "16", "0", "x")]
    [3, 3, None, None, None]
    """
    plain = "".join(unicodedata.normalize("NFKC", text).replace("年度", "").replace("年", "").replace("kWh", "").replace(",", "").split())
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 12 and 0 < int(plain) <= most else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text and all(letter in "0123456789." for letter in text) else None
    except InvalidOperation:
        return None


# Field of the form → what it becomes for the command; None: it is no such value.
READ: dict[str, Callable[[str], int | None]] = {
    "budget": yen_of,
    "phases": lambda text: whole_of(text, MOST_YEARS),
    "kwh": lambda text: whole_of(text, MOST_KWH),
}


@dataclass(frozen=True)
class AgainPages:
    """The route of the form."""

    plans: Plans
    frame: Frame
    regions: Regions
    jobs: Jobs

    def routes(self) -> list[Route]:
        """It alone; the form stands on the page of the design."""
        return [Route("/plans/{plan}/again", self.again, methods=["POST"])]

    async def again(self, request: Request) -> Response:
        """Have the plan designed again under what the form says."""
        self.frame.need(request, "editor")
        form = await self.frame.form(request)
        name, one = await run_in_threadpool(self.plans.open, request)
        wishes, wrong = read_wishes(form, set(self.frame.catalogue.traffic))
        town = self.regions.with_id(one.region.id)
        if wrong or not wishes or town is None:
            why = wrong[0] if wrong else "town" if town is None else "nothing"
            typed = {key: form[key][:40] for key in ("traffic", *READ) if form.get(key)}
            return RedirectResponse(self.frame.url(request, f"/plans/{name}/design", wrong=why, **typed) + "#again", 303)
        answers = next(step.body.get("answers", {}) for step in one.plan.steps if step.id == "issue")
        try:
            job = await run_in_threadpool(self.jobs.submit, town, one.plan.sentence, dict(answers), self.frame.language(request), wishes, name)
        except KibanError as error:
            raise HTTPException(503, str(error)) from error
        self.frame.note(request, "change", f"plans/{name}", "again " + " ".join(f"{key}={value}" for key, value in sorted(wishes.items())))
        return RedirectResponse(self.frame.url(request, f"/jobs/{job.id}"), 303)


def read_wishes(form: Mapping[str, str], traffic: set[str]) -> tuple[dict[str, str], list[str]]:
    """The conditions in a form by the name of the command's option, and the fields that hold no such value.

    >>> read_wishes({"budget": "６千万円", "phases": "", "traffic": "flat"}, {"flat"})
    ({'traffic': 'flat', 'budget': '60000000'}, [])
    >>> read_wishes({"budget": "many", "traffic": "other"}, {"flat"})
    ({}, ['traffic', 'budget'])
    """
    wishes: dict[str, str] = {}
    wrong = []
    for field in ("traffic", *READ):
        text = form.get(field, "").strip()
        if not text:
            continue
        value = (text if text in traffic else None) if field == "traffic" else READ[field](text)
        if value is None:
            wrong.append(field)
        else:
            wishes[field] = str(value)
    return wishes, wrong
