"""The example as a whole, pinned to a day: what comes out today came out when the summary was stored, and twice the same.

A change of figures is legal and is told under "Numbers changed" of the changelog; then the summary is written anew with GOLDEN=write.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "okunoto"
SUMMARY = Path(__file__).parent / "okunoto.json"
SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example planned twice, each in a process of its own, with different orders of sets and dicts of texts."""
    folders = []
    for order in ("1", "2"):
        out = tmp_path_factory.mktemp("golden") / "out"
        command = [sys.executable, "-m", "kiban", "plan", str(EXAMPLE), "--issue", SENTENCE, "-o", str(out), "--today", "2026-11-23", "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": order})
        folders.append(out)
    return folders


def summary(folder: Path) -> dict[str, Any]:
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    design = json.loads((folder / "design.json").read_text(encoding="utf-8"))
    body, figures = plan["steps"][3]["body"], plan["figures"]

    def value(id: str | None) -> float | None:
        return None if id is None else figures[id]["value"]

    return {
        "model": plan["steps"][2]["body"]["model"],
        "design": design["status"],
        "priced_part_npv_yen": value(body["priced_part"]),
        "priced_part_5y_yen": value(body["priced_part_5y"]),
        "lower_bound_yen": value(body["lower_bound"]),
        "relaxed": body["relaxed"],
        "check": body["check"]["holds"],
        "excludes": body["excludes"],
        "served": [value(body["served_sites"]), value(body["wanted_sites"])],
        "sites_by_technology": {row["technology"]: value(row["sites"]) for row in body["technologies"]},
        "npv_by_technology": {row["technology"]: value(row["npv"]) for row in body["technologies"]},
        "unserved": body["unserved"],
        "cases": [row["id"] for row in plan["steps"][0]["body"]["cases"]],
    }


def test_the_example_comes_to_what_was_stored(runs):
    found = summary(runs[0])
    if os.environ.get("GOLDEN") == "write":
        SUMMARY.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(SUMMARY.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["plan.json", "problem.json", "design.json", "region.json", "design.geojson", "funding.json", "papers.json"])
def test_two_processes_write_the_same_bytes(runs, name):
    assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes()
