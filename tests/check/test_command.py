"""The command `kiban check`: what it prints and how it exits."""

from __future__ import annotations

import json

import msgspec
import pytest

from kiban.cli import main
from kiban.records.design import Arc, Certificate, Cut, Demand, Design, Node, Price, Problem, problem_hash
from kiban.records.source import Confidence

PROBLEM = Problem(
    region="one house",
    start=2026,
    horizon=1,
    discount=0.04,
    prices=(
        Price(
            id="sat#fee",
            technology="sat",
            cost="fee",
            phase="yearly",
            per="site",
            unit_yen=(60_000.0,),
            npv=60_000,
            low=60_000,
            high=60_000,
            confidence=Confidence.C,
        ),
    ),
    nodes=(Node(kind="root", ref="world"), Node(kind="terminal", ref="house", technology="sat", risk="sky"), Node(kind="demand", ref="house")),
    arcs=(
        Arc(tail=0, head=1, kind="direct", technology="sat", ref="house", length_m=0, items=((0, 1.0),), cost=60_000),
        Arc(tail=1, head=2, kind="serve", technology="sat", ref="house", length_m=0, items=(), cost=0),
    ),
    demands=(Demand(node=2, site="house", usecase="voice"),),
)
DESIGN = Design(
    problem=problem_hash(PROBLEM),
    arcs=(0, 1),
    served=(1,),
    steps=(),
    cost=60_000,
    bound=60_000,
    gap=0.0,
    status="proved",
    relaxed=(),
    certificate=Certificate(cuts=(Cut(terminal=2, base=-1, added=(2, 1), dual=60_000),)),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "problem.json").write_bytes(msgspec.json.encode(PROBLEM))
    (tmp_path / "design.json").write_bytes(msgspec.json.encode(DESIGN))
    return tmp_path


def test_a_good_plan_folder_passes(folder, capsys):
    assert main(["check", str(folder)]) == 0
    assert "すべて合格" in capsys.readouterr().out


def test_a_lowered_cost_fails_with_exit_code_1_and_says_which_constraint(folder, capsys):
    text = (folder / "problem.json").read_text()
    (folder / "problem.json").write_text(text.replace("60000]", "50000]"))
    assert main(["check", str(folder), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["constraint"] for finding in findings if not finding["holds"]] == ["problem", "arc_costs", "cost", "packing"]


def test_a_bound_above_the_cost_fails(folder, capsys):
    text = (folder / "design.json").read_text()
    (folder / "design.json").write_text(text.replace('"bound":60000', '"bound":60001'))
    assert main(["check", str(folder)]) == 1
    assert "above cost" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:50])])
def test_a_folder_without_a_whole_design_is_bad_input(folder, capsys, spoil):
    spoil(folder / "design.json")
    assert main(["check", str(folder)]) == 2
    assert "design.json" in capsys.readouterr().err
