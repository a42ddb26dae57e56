"""Step 3, options 選択肢: leave it, work without digital means, revise or hand over, share, join, buy, build.

In: the understood issue, the region, the catalogue. Out: one row per option with what is known and whom to ask. No option costs anything
here that no record shows: where no offer is recorded, the row says whom to ask.
"""

from __future__ import annotations

from typing import Any

from kiban.loop.given import Given, pins, step
from kiban.records.issue import Issue
from kiban.records.plan import PlanStep

OPTIONS = ("leave", "nondigital", "revise", "share", "join", "buy", "build")


def options_step(issue: Issue, usecases: list[str], given: Given) -> PlanStep:
    """One row per option: state, the records behind it, and whom to ask."""
    region, catalogue = given.region, given.catalogue
    prefecture = (region.lg_code or "")[:2]
    rows: list[dict[str, Any]] = []
    used: list[str] = []
    for kind in OPTIONS:
        row: dict[str, Any] = {"kind": kind, "state": "ask", "records": []}
        if kind in ("share", "join", "buy"):
            row["records"] = sorted(
                f"offers/{id}"
                for id, offer in catalogue.offers.items()
                if offer.kind == kind
                and (not offer.prefectures or prefecture in offer.prefectures)
                and (not offer.usecases or set(offer.usecases) & set(usecases))
            )
        elif kind == "revise":
            row["records"] = [f"plants/{plant.id}" for plant in region.plants]
            row["names"] = {plant.id: plant.name for plant in region.plants}  # plants are no entries of the catalogue: a reader of the plan has no other name
        elif kind == "build":
            row["records"] = [f"models/{issue.models[0].id}"]
        if row["records"]:
            row["state"] = "designed" if kind == "build" else "known"
        used += [record for record in row["records"] if not record.startswith("plants/")]
        rows.append(row)
    pinned = pins(given, *used)
    return step("options", [issue, usecases, region.id, pinned], {"rows": rows, "model": issue.models[0].id}, pinned)
