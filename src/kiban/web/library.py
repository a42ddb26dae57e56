"""Pages of the cases: search by words and by the size of the town, and one case with all that is known of it.

In: the library of cases. Out: routes.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.cases import Library, number_of
from kiban.web.frame import Frame

LONGEST = 200  # characters of a search


@dataclass(frozen=True)
class CasePages:
    """The list of cases and one case."""

    library: Library
    frame: Frame

    def routes(self) -> list[Route]:
        """Both."""
        return [Route("/cases", self.all), Route("/cases/{case}", self.one)]

    async def all(self, request: Request) -> Response:
        """Those that fit what was asked."""
        words, typed = request.query_params.get("q", "")[:LONGEST], request.query_params.get("people", "").strip()
        people = number_of(typed)
        found = self.library(words, people)
        return self.frame.page(
            request,
            "cases.html",
            {"found": found, "total": len(self.library.cases), "q": words, "typed": typed, "people": people, "wrong": bool(typed) and people is None},
        )

    async def one(self, request: Request) -> Response:
        """All that is known of a case."""
        id = request.path_params["case"]
        if id not in self.library.cases:
            raise HTTPException(404)
        case = self.library.cases[id]
        return self.frame.page(request, "case.html", {"case": case, "parts": [(name, self.library.cases.get(name)) for name in case.cases]})
