"""`kiban mix` on the command line."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiban.check.mix import check_mix
from kiban.cli import main
from kiban.design.mix import parse
from kiban.records.mix import MixSolution

VALLEY = {
    "nodes": 4, "root": 0, "links": [[0, 1, 30], [1, 2, 40], [2, 3, 25]], "sites": [[1, 1], [3, 1], [3, 2], [2, 1]], "fibre_terminal": [4, 4, 4, 4],
    "sky": [35, 35, 35, None], "facilities": [[1, 20, 3]], "serves": [[0, 1, 2], [0, 2, 2], [0, 3, 2]], "hops": [],
}  # fmt: skip


def written(folder: Path, mix: dict[str, object]) -> str:
    path = folder / "valley.json"
    path.write_text(json.dumps(mix), encoding="utf-8")
    return str(path)


def test_the_answer_in_json_has_cost_bound_gap_status_and_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "solution.json"
    assert main(["mix", written(tmp_path, VALLEY), "--work", "10", "--json", "-o", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cost"], told["lower_bound"], told["gap"], told["status"], told["check"]) == (80.0, 80.0, 0.0, "proved", True)
    assert told["sites"] == {"fibre": 1, "radio": 3, "sky": 0}
    solution = json.loads(out.read_text(encoding="utf-8"))
    assert solution == {"links": [0], "hops": [], "open": [[0, 2]], "serve": [["fibre"], ["radio", 0], ["radio", 0], ["radio", 0]]}


def test_the_answer_for_people_says_how_many_sites_get_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mix", written(tmp_path, VALLEY), "--work", "5"]) == 0
    out = capsys.readouterr().out
    assert "80.000" in out
    assert "無線 / radio: 3" in out


def test_a_site_without_any_way_is_named_and_the_exit_code_is_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    island = VALLEY | {"nodes": 5, "sites": [[1, 1], [3, 1], [3, 2], [4, 1]], "serves": []}
    assert main(["mix", written(tmp_path, island), "--work", "3", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["unserved"]) == ("partial", [3])


@pytest.mark.parametrize("option", [["--time", "0"], ["--work", "-1"], ["--threads", "3"], ["--memory", "nan"]], ids=["time", "work", "threads", "memory"])
def test_what_cannot_be_meant_is_refused_before_the_work(option: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as told:
        main(["mix", written(tmp_path, VALLEY), *option])
    assert told.value.code == 2


def test_the_instance_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, VALLEY)
    before = Path(path).read_bytes()
    assert main(["mix", path, "-o", path]) != 0
    assert Path(path).read_bytes() == before
    assert "another file" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_the_best_so_far_and_it_holds(number: signal.Signals, tmp_path: Path) -> None:
    draw, side = random.Random(3), 90
    links = [[v, v + step, draw.randint(5, 30)] for v in range(side * side) for step in (1, side) if (v + 1) % side or step == side if v + step < side * side]
    nodes = draw.sample(range(side * side), 1200)
    sites = [[node, 1] for node in nodes[:1000]]
    serves = [[f, s, 9] for f in range(80) for s in draw.sample(range(1000), 25)]
    mix = {"nodes": side * side, "root": 0, "links": links, "sites": sites, "fibre_terminal": [8] * 1000, "sky": [draw.randint(60, 120) for _ in sites],
           "facilities": [[node, 150, 8] for node in nodes[1000:1080]], "serves": serves, "hops": [[0, f, 40] for f in range(1, 80)]}  # fmt: skip
    out = tmp_path / "solution.json"
    command = [sys.executable, "-m", "kiban", "mix", written(tmp_path, mix), "--time", "60", "--json", "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert '"cost"' in process.stderr.readline()  # it searches
    process.send_signal(number)
    asked = time.monotonic()
    told, _ = process.communicate(timeout=30)
    assert time.monotonic() - asked < 6.0  # 2 s on an idle machine
    assert process.returncode == 0
    answer = json.loads(told)
    assert answer["stopped"] is True
    solution = MixSolution(**{key: tuple(tuple(row) if isinstance(row, list) else row for row in value) for key, value in json.loads(out.read_text()).items()})
    report, cost = check_mix(parse(json.dumps(mix).encode()), solution)
    assert report.holds
    assert cost == pytest.approx(answer["cost"])
