"""What the papers are made from: everything for the papers of the office, and for those that leave it only what may be seen outside.

In: the records of a plan. Out: a Dossier, and a PublicDossier that holds no amount, no unit price and no way of a line, so that no paper made
from it can show one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from kiban.documents.view import View
from kiban.records.design import Design, Problem
from kiban.records.funding import Funding, Inputs
from kiban.records.model import StandardModel
from kiban.records.region import Region, Site
from kiban.records.source import Text


@dataclass(frozen=True)
class Dossier:
    """A plan with its money, for papers that stay in the office. `today` is the day on which the papers are made."""

    view: View
    region: Region
    problem: Problem
    design: Design
    funding: Funding
    inputs: Inputs
    today: date


@dataclass(frozen=True)
class Asked:
    """One line of the estimate as suppliers see it: id, name, unit and quantity, never a price."""

    id: str
    name: Text
    per: str
    phase: str
    quantity: float | None
    technology: Text
    category: str = ""  # records.support.Category


@dataclass(frozen=True)
class PublicDossier:
    """What may leave the office: the issue, the model with its clauses, the needs, the places and the lines to be priced.

    sites     places with the need (public facilities and hamlets), without what serves them
    needs     (use case, need, text) as the specification states them
    """

    town: str
    lg_code: str | None
    label: str | None
    sentence: str
    plan: str
    made_on: date
    data_day: date
    model_id: str
    model: StandardModel
    usecases: tuple[str, ...]
    needs: tuple[tuple[str, str, str], ...]
    sites: tuple[Site, ...]
    lines: tuple[Asked, ...]
    assumed: tuple[tuple[str, str], ...]  # (name, who confirms, "" for a section of the town) of assumed places of need, without their values
    inquiries: tuple[dict[str, str], ...]  # id, desk, subject, body in Japanese
    quotes_required: int | None
    words: dict[str, str]  # the officer's own passages, by key
    today: date
    household_limit: int
    withheld: int = 0  # how many assumed rows are not named outside: the town's plant, plans and other premises
    quotes_rule: bool = False  # whether quotes_required is said by the town; else it is a guide
