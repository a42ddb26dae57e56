"""The verdict: every option with its state, what it costs, what speaks for and against it, what would flip it, and the one point to ask first.

Costs are ids of figures of the plan's ledger, so no number stands here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_unique
from kiban.records.source import Text

Kind = Literal["leave", "nondigital", "revise", "share", "join", "buy", "build"]
KINDS: tuple[Kind, ...] = ("leave", "nondigital", "revise", "share", "join", "buy", "build")

# recommended  nothing open could change it · possible  may be taken · hold  could be taken, but a fact that decides over it is unknown
# ask  nothing is known yet, or its cost is to be inquired · excluded  ruled out, and `against` says by what
State = Literal["recommended", "possible", "hold", "ask", "excluded"]


class Flip(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What would change the place of an option: a price (id of a figure), or the answer to a point; text says it in words."""

    kind: Literal["price", "unpriced", "point", "weak"]
    text: Text
    price: str | None = None
    about: str | None = None  # technology or point


class Option(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One option. cost: figure id of its cost over the horizon, None: unknown, cost_text says what is asked or where it stands; ask: id of an inquiry."""

    kind: Kind
    state: State
    cost: str | None
    cost_text: Text
    reasons: tuple[Text, ...] = msgspec.field(name="for", default=())
    against: tuple[Text, ...] = ()
    cases: tuple[str, ...] = ()
    flips: tuple[Flip, ...] = ()
    ask: str | None = None


class Inquiry(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A letter that is ready to be sent to one desk; facts: named facts and points that its answer settles. It holds no amount of money."""

    id: str
    desk: Text
    subject: Text
    body: Text
    facts: tuple[str, ...]


class Decisive(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The one point to ask first: "points/<place in the list of points>" or the id of a named fact."""

    point: str
    text: Text
    inquiry: str | None


class Conclusion(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What may be decided today: hold, one of the options, or none of them."""

    status: Literal["hold", "none", "leave", "nondigital", "revise", "share", "join", "buy", "build"]
    text: Text
    decisive: Decisive | None = None

    def __post_init__(self) -> None:
        if (self.status == "hold") != (self.decisive is not None):
            raise RecordError("conclusion", f"status {self.status}, decisive {self.decisive}", "one decisive point exactly when on hold", "report this")


class Verdict(Record, frozen=True, kw_only=True, omit_defaults=False):
    """All options, the conclusion and the letters. fast_lane: the model is proven and not stale, so the trial may be left out."""

    options: tuple[Option, ...]
    conclusion: Conclusion
    inquiries: tuple[Inquiry, ...]
    fast_lane: bool
    fast_lane_text: Text

    def __post_init__(self) -> None:
        check_unique("options", (option.kind for option in self.options))
        check_unique("inquiries", (inquiry.id for inquiry in self.inquiries))
        held = self.conclusion.status == "hold"
        chosen = [option.kind for option in self.options if option.state == "recommended"]
        if chosen != ([] if held or self.conclusion.status == "none" else [self.conclusion.status]):
            raise RecordError("verdict", f"{self.conclusion.status}, recommended {chosen}", "the option of the conclusion, and none on hold", "report this")
