"""A piece of work that runs beside the pages: a plan being made, or the papers of one made again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id, check_range

Kind = Literal["plan", "papers"]
Status = Literal["waiting", "running", "done", "asking", "failed", "cancelled"]
WISHES = ("traffic", "budget", "phases", "kwh")
OVER = ("done", "asking", "failed", "cancelled")


class Job(Record, frozen=True, kw_only=True):
    """A plan, or the papers of one, that is made or waits to be made.

    kind      plan: from the sentence on · papers: money, verdict and papers of a plan that is there
    region    name of the region's folder; of papers: the id of the plan's region
    answers   question → choice of the form of questions
    of        name of the plan's folder whose papers are made again; `words`: what `kiban papers` is told beside, such as --fact=ID=VALUE
    wishes    conditions of the design, by the option of `kiban plan`: traffic, budget, phases, kwh
    beside    name of the plan that it is shown beside when it is made; what people have put into that one goes along
    lang      language of the papers
    share     of the work that is done, 0 to 1; `said`: what is being done, as "Japanese / English"
    stopping  somebody asked to stop: the design found so far is checked and written
    plan      name of the plan's folder, once it is there
    error     what went wrong, in the words of the command
    """

    id: str
    kind: Kind = "plan"
    region: str
    sentence: str
    asked: datetime
    answers: dict[str, str] = {}
    of: str | None = None
    words: tuple[str, ...] = ()
    wishes: dict[str, str] = {}
    beside: str | None = None
    lang: str = "ja"
    status: Status = "waiting"
    begun: datetime | None = None
    ended: datetime | None = None
    share: float = 0.0
    said: str = ""
    stopping: bool = False
    tries: int = 0
    plan: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        check_id("job", self.id)
        check_range("job share", self.share, 0.0, 1.0)
        if not self.sentence.strip():
            raise RecordError(f"job {self.id}", "no sentence", "the issue in one sentence", "write it")
        if (self.kind == "papers") != (self.of is not None):
            raise RecordError(f"job {self.id}", f"{self.kind} of {self.of!r}", "the name of a plan exactly for papers", "ask for it again")
        if not set(self.wishes) <= set(WISHES):
            raise RecordError(f"job {self.id}", f"wishes {', '.join(sorted(self.wishes))}", ", ".join(WISHES), "ask for it again")
        if bool(self.wishes) != (self.beside is not None):
            raise RecordError(
                f"job {self.id}", f"{len(self.wishes)} wishes beside {self.beside!r}", "the name of a plan exactly with wishes", "ask for it again"
            )
        if (self.status == "done") != (self.plan is not None):
            raise RecordError(f"job {self.id}", f"status {self.status} and plan {self.plan!r}", "a plan exactly when it is done", "ask for the plan again")

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return self.status in OVER
