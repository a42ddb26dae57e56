"""Ten small designs priced by hand in a sheet: finance and check agree with it to the yen.

hand_priced.xlsx holds the formulas (annuities and geometric sums in closed form, another way than finance goes), hand_priced.csv their values.
One row is one cost item of an arc or step; `arc_yen` stands in the first row of each arc, `total_yen` in the first row of each design.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from kiban.check import check_design
from kiban.finance import arc_cost, price_technology
from kiban.records.design import Arc, Certificate, Demand, Design, Node, Price, Problem, Step, problem_hash
from kiban.records.region import Evidence, Plant
from kiban.records.source import Confidence, Quantity, Source, Tax, Text
from kiban.records.technology import Cost, Technology, Wiring

HERE = Path(__file__).parent
SEEN = date(2026, 11, 23)
NAME = Text(ja="手計算", en="by hand")
HEADS = {
    "exchange": "junction",
    "line": "junction",
    "plant": "junction",
    "drop": "terminal",
    "feed": "mast",
    "open": "facility",
    "link": "terminal",
    "direct": "terminal",
}

Row = dict[str, str]


def sheet() -> dict[str, list[Row]]:
    designs: dict[str, list[Row]] = defaultdict(list)
    with (HERE / "hand_priced.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            designs[row["design"]].append(row)
    return designs


SHEET = sheet()


def quantity(unit: str, value: str, **more) -> Quantity:
    return Quantity(unit=unit, value=float(value), source="sheet", confidence=Confidence.B, **more)


def cost(row: Row) -> Cost:
    unit = f"JPY/{row['per']}" + ("/year" if row["phase"] == "yearly" else "")
    evidence = []
    for k in "123":
        if row[f"value{k}"]:
            year = int(row[f"year{k}"]) if row[f"year{k}"] else None
            when = {"fiscal_year": year} if row["pick"] == "series" else {"year": year}
            evidence.append(quantity(unit, row[f"value{k}"], tax=Tax(row["tax"]), **when))
    life = quantity("years", row["life"]) if row["life"] else None
    return Cost(
        id=row["cost"], name=NAME, phase=row["phase"], per=row["per"], scope=(row["cost"],), evidence=tuple(evidence), pick=row["pick"], lifetime_years=life
    )


def prices(rows: list[Row]) -> dict[tuple[str, str], Price]:
    """(technology, cost) → its price."""
    found = {}
    for id in dict.fromkeys(row["technology"] for row in rows):
        own = {row["cost"]: row for row in rows if row["technology"] == id}
        first = next(iter(own.values()))
        wiring = Wiring(pattern="plant", network="fibre") if first["kind"] == "plant" else Wiring(pattern="none")  # priced in any unit
        plant = Plant(id="p", name="既設", technology=id, evidence=Evidence(source="town"), year_built=int(first["built"])) if first["built"] else None
        technology = Technology(
            name=NAME,
            summary=NAME,
            layer="access",
            medium="wired",
            wiring=wiring,
            sources={"sheet": Source(title="hand_priced", seen_on=SEEN)},
            checked_on=SEEN,
            costs=tuple(cost(row) for row in own.values()),
        )
        priced = price_technology(
            technology,
            technology_id=id,
            start=int(first["start"]),
            horizon=int(first["horizon"]),
            discount=float(first["discount"]),
            discount_figure="rules/discount",
            tax_rate=0.1,
            tax_figure="rules/tax",
            tax_by_year={2018: (0.08, "rules/tax/2018")},
            plant=plant,
        )
        found |= {(id, price.cost): price for price in priced.prices}
    return found


def put_together(rows: list[Row]) -> tuple[Problem, Design]:
    """The problem and design that the rows of one design describe; a step's label is step:<level>:<load>:<capacity>:<free>."""
    known = prices(rows)
    order = list(known.values())
    index = {(price.technology, price.cost): k for k, price in enumerate(order)}
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row["arc"]].append(row)
    nodes, names, arcs, steps = [Node(kind="root", ref="world")], {"root": 0}, [], []
    for label, items in parts.items():
        units = tuple((index[row["technology"], row["cost"]], float(row["units"])) for row in items)
        yen = arc_cost((order[k], count) for k, count in units)
        technology = items[-1]["technology"]
        if label.startswith("step:"):
            _, level, load, capacity, free = label.split(":")
            steps.append(
                Step(technology=technology, level=level, load=load, capacity=float(capacity) if capacity else None, free=int(free), items=units, cost=yen)
            )
            continue
        tail, head = label.split(">")
        kind = items[0]["kind"]
        names[head] = len(nodes)
        ref = "hill" if HEADS[kind] in ("mast", "facility") else head
        nodes.append(Node(kind=HEADS[kind], ref=ref, technology=technology if HEADS[kind] in ("facility", "terminal") else None))
        metres = float(items[0]["length_m"])
        arcs.append(Arc(tail=names[tail], head=names[head], kind=kind, technology=technology, ref=label, length_m=metres, items=units, cost=yen))
    demands = []
    for terminal in [k for k, node in enumerate(nodes) if node.kind == "terminal"]:
        arcs.append(Arc(tail=terminal, head=len(nodes), kind="serve", technology=None, ref="", length_m=0, items=(), cost=0))
        demands.append(Demand(node=len(nodes), site=nodes[terminal].ref, usecase="school"))
        nodes.append(Node(kind="demand", ref=nodes[terminal].ref))
    first = rows[0]
    problem = Problem(
        region="hand",
        start=int(first["start"]),
        horizon=int(first["horizon"]),
        discount=float(first["discount"]),
        prices=tuple(order),
        nodes=tuple(nodes),
        arcs=tuple(arcs),
        demands=tuple(demands),
        steps=tuple(steps),
    )
    groups = {"facility": "facility", "exchange": "junction", "system": "root"}
    counts = [int(items[0]["count"]) for label, items in parts.items() if label.startswith("step:")]
    paid = tuple((k, next(n for n, node in enumerate(nodes) if node.kind == groups[step.level]), counts[k]) for k, step in enumerate(steps))
    total = int(float(first["total_yen"]))
    relaxed = tuple(sorted({f"{step.level}_steps" for step in steps}))
    design = Design(
        problem=problem_hash(problem),
        arcs=tuple(range(len(arcs))),
        served=tuple(k for k, arc in enumerate(arcs) if arc.kind == "serve"),
        steps=paid,
        cost=total,
        bound=0,
        gap=1.0,
        status="bounded",
        relaxed=relaxed,
        certificate=Certificate(relaxed=relaxed),
    )
    return problem, design


def test_there_are_ten_designs():
    assert list(SHEET) == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("design", SHEET)
def test_present_values_and_arcs_agree_with_the_sheet(design):
    known = prices(SHEET[design])
    for row in SHEET[design]:
        price = known[row["technology"], row["cost"]]
        assert price.first == int(row["first"])
        assert math.isclose(price.npv, float(row["npv"]), rel_tol=1e-13), row
        assert not row["used"] or math.isclose(price.unit_yen[0], float(row["used"]), rel_tol=1e-14), row
    for row in (row for row in SHEET[design] if row["arc_yen"]):
        items = [(known[other["technology"], other["cost"]], float(other["units"])) for other in SHEET[design] if other["arc"] == row["arc"]]
        assert arc_cost(items) == int(row["arc_yen"])


@pytest.mark.parametrize("design", SHEET)
def test_check_accepts_the_total_of_the_sheet_to_the_yen(design):
    report = check_design(*put_together(SHEET[design]))
    assert [finding for finding in report.findings if not finding.holds] == []


def test_the_values_are_those_of_the_workbook():
    rows = list(openpyxl.load_workbook(HERE / "hand_priced.xlsx", data_only=True).active.iter_rows(values_only=True))
    formulas = openpyxl.load_workbook(HERE / "hand_priced.xlsx").active
    with (HERE / "hand_priced.csv").open(encoding="utf-8", newline="") as file:
        for line, (shown, kept) in enumerate(zip(csv.reader(file), rows, strict=True)):
            for text, value in zip(shown, kept, strict=True):
                same = text == str(value or "") if not isinstance(value, int | float) else math.isclose(float(text), value, rel_tol=1e-12)
                assert same, (line, text, value)
    assert sum(str(cell.value).startswith("=") for row in formulas.iter_rows() for cell in row) > 100
