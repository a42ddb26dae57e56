"""Drills in words, for the page, the papers and the command line.

In: an event of a drill body. Out: what is lost, as a person says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiban.documents.view import View


def drill_label(view: View, row: Mapping[str, Any]) -> str:
    """What is lost: a stretch by what lies near its ends, a service by its name, anything else by the name of its row."""
    name = " ― ".join(row["between"]) if row.get("between") else view.name(f"technologies/{row['name']}") if row["kind"] == "technology" else row["name"]
    return view.word(f"drill.event.{row['kind']}", name=name)
