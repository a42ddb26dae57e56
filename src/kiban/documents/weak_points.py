"""What the page says about sharing, weak numbers and the gap between town and country.

In: a view of a plan. Out: rows of texts and figures for the templates; an older plan that lacks a part has no rows for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiban.documents.names import figure_name
from kiban.documents.names_beside import item_name
from kiban.documents.reasons import row_names
from kiban.documents.view import Shown, View

SHOWN = 12  # rows of the tornado on a page; the ledger has all of them
WIDE = 200  # units of the drawing of one bar


@dataclass(frozen=True)
class Bar:
    """One weak number: the total at its two ends in 千円, the part that rests on it, and the bar (from, to) out of WIDE; None: no range."""

    name: str
    low: str
    high: str
    rests: Shown
    bar: tuple[float, float, float] | None  # from, to, and where today's total lies


def bars(view: View) -> tuple[list[Bar], int]:
    """The rows of the tornado that a page shows, and how many there are in all."""
    rows = view.step("design").get("tornado", [])
    totals = {row["total"]: view.plan.figures[row["total"]] for row in rows if row["total"]}
    ends = [end for figure in totals.values() for end in (figure.low, figure.high) if end is not None]
    least, most = (min(ends), max(ends)) if ends else (0.0, 0.0)
    found = []
    for row in rows[:SHOWN]:
        figure, bar, low, high = totals.get(row["total"]), None, "", ""
        if figure is not None and figure.low is not None and figure.high is not None:
            low, high = (f"{round(end / 1000):,}" for end in (figure.low, figure.high))
            spread = (most - least) or 1.0
            bar = tuple(round((end - least) / spread * WIDE, 1) for end in (figure.low, figure.high, figure.value or 0.0))
        found.append(Bar(_name(view, row), low, high, view.thousands(row["rests"]), bar))  # type: ignore[arg-type]
    return found, len(rows)


def _name(view: View, row: dict[str, Any]) -> str:
    """What a weak number is, in words."""
    ref = row["ref"]
    if row["kind"] == "row":
        return view.word("tornado.row", name=row_names(view).get(ref, ref))
    if row["kind"] == "price":
        return item_name(view, ref)
    return view.word("figname.detour") if ref == "rules/detour" else figure_name(view, ref)


def objections(view: View) -> list[str]:
    """The sentences about the core: who would be better off alone and by how much, what is open."""
    split = (view.step("design").get("shared") or {}).get("split")
    if not split:
        return []
    said = [view.word("share.core." + split["core"]["state"])]
    for row in split["core"]["objections"]:
        amounts = {key: str(view.money(row[key])) for key in ("pays", "alone", "more")}
        said.append(view.word("share.objection", names=_players(view, row["players"]), **amounts))
    if split["core"]["open"]:
        said.append(view.word("share.open", names=" / ".join(_players(view, names) for names in split["core"]["open"])))
    if split["unproved"]:
        said.append(view.word("share.unproved", names=" / ".join(_players(view, names) for names in split["unproved"])))
    if not split["exact"]:
        said.append(view.word("share.sampled", pairs=view.number(split["pairs"]), designs=view.number(split["groups"])))
    return said


def _players(view: View, names: list[str]) -> str:
    return ("＋" if view.lang == "ja" else " + ").join(view.name("usecases/" + name) for name in names)


def ends(view: View, id: str | None) -> str:
    """The range of a share of cost or of households, empty where it has none."""
    figure = view.figure(id)
    if figure is None or figure.low is None or figure.high is None:
        return ""
    if figure.unit == "share":
        low, high = (f"{end * 100:.0f} %" for end in (figure.low, figure.high))
    else:
        low, high = (f"{round(end / 1000):,}" for end in (figure.low, figure.high))
    return view.word("show.range", low=low, high=high)
