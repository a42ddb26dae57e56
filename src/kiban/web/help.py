"""The pages of help: what to do in which order, the keyboard, units and years, where data stands, whom to ask; and the glossary.

In: the words, the tabs that plans have. Out: routes.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiban.web.catalogue_pages import folded
from kiban.web.frame import Frame
from kiban.web.plans import ORDER, Plans
from kiban.web.terms import MEANING, TERM, terms

STEPS = ("town", "issue", "questions", "options", "design", "money", "quotes", "papers")
TAB_OF = {"options": "options", "design": "design", "money": "money", "quotes": "quotes", "papers": "papers"}  # step → the page of a plan that it is about
MINUTES = {"town": 3, "issue": 2, "questions": 6, "options": 6, "design": 6, "money": 7, "quotes": 4, "papers": 6}


@dataclass(frozen=True)
class HelpPages:
    """Help, and the glossary."""

    plans: Plans
    frame: Frame

    def routes(self) -> list[Route]:
        """Both."""
        return [Route("/help", self.help), Route("/help/words", self.words)]

    async def help(self, request: Request) -> Response:
        """What to do in which order."""
        word = self.frame.words(request)
        tabs = [tab or "summary" for tab in ORDER if tab in self.plans.tabs()]
        names = self.plans.names()
        menu = {path for _, path in self.frame.menu} | ({"/new"} if "/jobs" in {path for _, path in self.frame.menu} else set())
        plan = self.frame.url(request, f"/plans/{names[0]}") if names else ""
        start = {"town": "/towns", "issue": "/new"}
        shown = [
            {
                "id": step,
                "minutes": MINUTES[step],
                "tab": word(f"tab.{TAB_OF[step]}") if TAB_OF.get(step) in tabs else "",
                "url": self.frame.url(request, start[step]) if start.get(step) in menu else "",
            }
            for step in STEPS
        ]
        return self.frame.page(request, "help.html", {"steps": shown, "total": sum(MINUTES.values()), "tabs": tabs, "plan": plan})

    async def words(self, request: Request) -> Response:
        """The glossary, those words that fit what was asked."""
        texts, other = (
            self.frame.catalogue.words[self.frame.language(request)],
            self.frame.catalogue.words["en" if self.frame.language(request) == "ja" else "ja"],
        )
        asked = request.query_params.get("q", "")[:100]
        rows = [{"id": id, "name": texts[TERM + id], "other": other[TERM + id], "meaning": texts[TERM + id + MEANING]} for id in terms(texts)]
        found = [row for row in rows if all(part in folded(" ".join(row.values())) for part in folded(asked).split())]
        return self.frame.page(request, "words.html", {"rows": sorted(found, key=lambda row: folded(row["name"])), "total": len(rows), "q": asked})
