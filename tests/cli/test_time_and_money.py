"""The flags for traffic, money, years and electricity: what they print, and what they say of a slip of the pen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiban.cli import main

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "okunoto")
COMMAND = ["design", EXAMPLE, "--usecase", "shelter", "--today", "2026-11-23", "--work", "10"]


def test_design_tells_money_years_traffic_plant_and_electricity(capsys):
    assert main([*COMMAND, "--json", "--budget", "60000000", "--phases", "3", "--traffic", "growth-20", "--weight", "clinic-ushitsu=50"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["check"]
    assert told["money"]["check"]
    assert told["phases"]["check"]
    stages = told["money"]["stages"]
    assert [row["initial"] <= row["most"] for row in stages] == [True] * len(stages)
    assert [row["weight"] for row in stages] == sorted(row["weight"] for row in stages)
    assert stages[-1]["cost"] == told["cost_npv_yen"]
    assert all(row["paid"] <= row["money"] for row in told["phases"]["years"])
    assert sum(row["paid"] for row in told["phases"]["years"]) == stages[-1]["initial"]
    assert [row["id"] for row in told["growth"] if row["applied"]] == ["growth-20"]
    assert {row["chosen"] for row in told["ageing"]} == {"renew"}
    assert told["energy"]["known"] > 10_000


def test_a_limit_of_electricity_makes_the_design_dearer_never_cheaper(capsys):
    assert main([*COMMAND, "--json"]) == 0
    free = json.loads(capsys.readouterr().out)
    assert main([*COMMAND, "--json", "--kwh", "12000"]) == 0
    limited = json.loads(capsys.readouterr().out)
    assert limited["energy"]["known"] <= 12_000 < free["energy"]["known"]
    assert free["cost_npv_yen"] < limited["energy"]["least"] <= limited["cost_npv_yen"]
    assert "ceilings" in limited["relaxed"]


@pytest.mark.parametrize("limit", ["0", "5000"])
def test_a_limit_that_no_design_keeps_is_said_with_the_least_that_was_found(limit, capsys):
    assert main([*COMMAND, "--kwh", limit, "--allow-unserved"]) in (0, 1)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("上限 / limit"))
    assert "no design under this limit" in line
    assert int(line.split("the least found is ")[1].split(" kWh")[0].replace(",", "")) > int(limit)


def test_people_get_lines_not_records(capsys):
    assert main([*COMMAND, "--budget", "60000000", "--phases", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("予算 / money") for line in lines) == 5
    assert sum(line.split(":")[0] in {f"{year}年度 / FY{year}" for year in (2027, 2028, 2029)} for line in lines) == 3
    assert any("without tax" in line for line in lines)
    assert any("years of the full design" in line for line in lines)
    assert any("sites by technology" in line and "backup counts too" in line for line in lines)
    assert any(line.startswith("設備 / plant plant-ushitsu-yanagida: ") and "renewed when its life ends" in line for line in lines)
    assert not any(raw in line for line in lines for raw in ("{'", "['", "_yen", "True", "None"))


def test_weights_typed_in_are_said_and_those_of_the_others_too(capsys):
    assert main([*COMMAND, "--budget", "60000000", "--weight", "clinic-ushitsu=500"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("重みの指定"))
    assert "clinic-ushitsu; " in line
    assert "the others by critical sites, then households" in line


@pytest.mark.parametrize("command", ["drill", "share"])
def test_a_flag_that_a_command_does_not_follow_is_no_flag_of_it(command, capsys):
    with pytest.raises(SystemExit):
        main([command, EXAMPLE, *([EXAMPLE] if command == "share" else []), "--usecase", "shelter", "--budget", "60000000"])
    assert "--budget" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        (["--traffic", "measured"], "one of explosive, flat, growth-20"),
        (["--traffic", "nothing"], "no such entry"),
        (["--phases", "soon"], "number of years"),
        (["--phases", "0"], "from 1 on"),
        (["--weight", "clinic-ushitsu=0"], "SITE=N"),
        (["--weight", "nowhere=2"], "SITE=N"),
        (["--weight", "clinic-ushitsu=2"], "who comes first when money or years are short"),
        (["--budget", "-1"], "from 0 on"),
        (["--kwh", "nan"], "from 0 on"),
    ],
)
def test_a_slip_of_the_pen_ends_with_what_fits(slip, said, capsys):
    assert main([*COMMAND, *slip]) == 2
    assert said in capsys.readouterr().err


def test_an_area_that_is_no_file_is_named_in_full(tmp_path, capsys):
    assert main(["drill", *COMMAND[1:], "--cut", "area:/dev/null"]) == 2
    assert "/dev/null is no file" in capsys.readouterr().err
    path = tmp_path / "list.geojson"
    path.write_text("[]")
    assert main(["drill", *COMMAND[1:], "--cut", f"area:{path}"]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert "GeoJSON" in said


def test_two_towns_of_one_id_are_named(capsys):
    assert main(["share", EXAMPLE, EXAMPLE, *COMMAND[2:]]) == 2
    assert "the region id 'okunoto', which" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["drill", "share"])
def test_a_wish_that_a_command_would_not_heed_is_refused_there(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, EXAMPLE, *([EXAMPLE] if command == "share" else []), "--usecase", "shelter", "--kwh", "5000"])
    assert stopped.value.code == 2
    assert "--kwh" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--phases", "16"), ("--phases", "0"), ("--weight", "clinic-ushitsu=²"), ("--budget", "-1"), ("--kwh", "nan")])
def test_a_number_that_cannot_be_meant_is_told_before_the_work(option, value, capsys):
    assert main([*COMMAND, f"{option}={value}"]) == 2
    assert option in capsys.readouterr().err
