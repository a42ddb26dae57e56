"""`kiban steiner` and the check of its certificates: a small instance by hand, what is no instance, files, and Ctrl-C at any moment."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kiban.cli import main
from kiban.cli._search import Interrupt
from kiban.design.steiner import parse, write, write_stp

BENCH = Path(__file__).parents[2] / "bench"

# Three terminals around node 4: the star over node 4 costs 3, any two sides of the triangle 4.
STAR = """SECTION Graph
Nodes 4
Edges 6
E 1 2 2
E 2 3 2
E 1 3 2
E 1 4 1
E 2 4 1
E 3 4 1
END
SECTION Terminals
Terminals 3
T 1
T 2
T 3
END
EOF
"""


@pytest.fixture
def star(tmp_path: Path) -> Path:
    path = tmp_path / "star.gr"
    path.write_text(STAR)
    return path


def of_bench(name: str) -> ModuleType:
    """A module of the folder bench, which is no package."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_star_is_found_and_proved_from_text_and_from_gzip(tmp_path, capsys):
    (tmp_path / "star.gr").write_text(STAR)
    (tmp_path / "star.gr.gz").write_bytes(gzip.compress(STAR.encode()))
    (tmp_path / "star.stp").write_text(write_stp(parse(STAR.encode()), "star"))
    for name in ("star.gr", "star.gr.gz", "star.stp"):
        assert main(["steiner", str(tmp_path / name), "--time", "5", "--json"]) == 0
        said = capsys.readouterr()
        told = json.loads(said.out)
        assert (told["cost"], told["lower_bound"], told["gap"], told["status"]) == (3, 3, 0.0, "proved")
        assert (told["edges"], told["stopped"]) == (3, False)
        assert told["seconds"] < 5
        lines = [json.loads(line) for line in said.err.splitlines()]
        assert [set(line) for line in lines] == [{"cost", "lower_bound", "seconds"}] * len(lines)
        assert (lines[-1]["cost"], lines[-1]["lower_bound"]) == (3, 3)


def test_the_answer_is_told_to_people_too(star, capsys):
    assert main(["steiner", str(star), "--work", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("費用 / cost: 3  下限 / bound: 3  差 / gap: 0.0 %  proved  枝 / edges: 3  ")
    assert said.err.splitlines()[-1].startswith("費用 / cost 3  下限 / bound 3  差 / gap 0.0 %  ")


def test_the_tree_is_written_as_pace_wants_it_and_nothing_is_left_beside_it(star, tmp_path):
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "tree.txt"
    out.write_text("older")
    assert main(["steiner", str(star), "--work", "1", "-o", str(out)]) == 0
    assert out.read_text() == "VALUE 3\n1 4\n2 4\n3 4\n"
    assert [path.name for path in out.parent.iterdir()] == ["tree.txt"]


@pytest.mark.parametrize("option", ["-o", "--certificate"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(star, tmp_path, capsys, option):
    for target in (tmp_path, tmp_path / "none" / "file"):
        assert main(["steiner", str(star), option, str(target)]) == 2
        said = capsys.readouterr()
        assert str(target) in said.err
        assert said.out == ""


@pytest.mark.parametrize(
    "options", [["--time", "0"], ["--time", "nan"], ["--work", "0"], ["--threads", "0"], ["--threads", "3"], ["--memory", "-1"], ["--memory", "abc"]]
)
def test_numbers_that_make_no_sense_are_refused(star, options):
    with pytest.raises(SystemExit, match="2"):
        main(["steiner", str(star), *options])


@pytest.mark.parametrize("content", [b"no instance", b"\xff\xfe\x00", gzip.compress(STAR.encode(), mtime=0)[:-9], b""], ids=["words", "bytes", "cut", "empty"])
def test_what_is_no_instance_is_refused(tmp_path, capsys, content):
    (tmp_path / "bad.gr").write_bytes(content)
    assert main(["steiner", str(tmp_path / "bad.gr")]) == 2
    assert "bad.gr" in capsys.readouterr().err


def test_no_file_terminals_apart_and_too_little_memory_are_told(star, tmp_path, capsys):
    assert main(["steiner", str(tmp_path / "none.gr")]) == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "apart.gr").write_text(STAR.replace("E 1 4 1", "E 4 4 1").replace("E 1 2 2", "E 2 2 2").replace("E 1 3 2", "E 3 3 2"))
    assert main(["steiner", str(tmp_path / "apart.gr"), "--work", "1"]) == 2
    assert "no edges join" in capsys.readouterr().err
    assert main(["steiner", str(star), "--memory", "0.001", "--json"]) == 2
    assert "GiB" in json.loads(capsys.readouterr().out)["error"]


# ------------------------------------------------------------------------------------------------ certificates


@pytest.mark.parametrize("name", ["proof.json", "proof.json.gz"])
def test_a_certificate_is_written_and_judged(star, tmp_path, capsys, name):
    proof = tmp_path / name
    assert main(["steiner", str(star), "--work", "1", "--certificate", str(proof)]) == 0
    assert (proof.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    capsys.readouterr()
    assert main(["check", str(proof), "--instance", str(star)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == [f"○ {finding}" for finding in ("instance", "tree", "cost", "steps", "dual", "bound")]
    # On another instance, and with another number, it does not hold.
    other = tmp_path / "other.gr"
    other.write_text(STAR.replace("E 1 4 1", "E 1 4 2"))
    assert main(["check", str(proof), "--instance", str(other), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "instance" in [finding["constraint"] for finding in told["findings"] if not finding["holds"]]
    text = gzip.decompress(proof.read_bytes()) if name.endswith(".gz") else proof.read_bytes()
    changed = tmp_path / "changed.json"
    changed.write_bytes(text.replace(b'"bound":3', b'"bound":4'))
    assert changed.read_bytes() != text
    assert main(["check", str(changed), "--instance", str(star)]) == 1
    assert "× bound" in capsys.readouterr().out


def test_a_damaged_certificate_is_told(star, tmp_path, capsys):
    proof = tmp_path / "proof.json"
    assert main(["steiner", str(star), "--work", "1", "--certificate", str(proof)]) == 0
    whole = proof.read_bytes()
    capsys.readouterr()
    for content in (
        b"",
        whole[:-5],
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        gzip.compress(whole)[:-9],
        b"\x1f\x8b junk",
        whole.replace(b'"cost":3', b'"cost":"3"'),
    ):
        proof.write_bytes(content)
        assert main(["check", str(proof), "--instance", str(star)]) == 2, content[:40]
        assert "damaged certificate" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "none.json"), "--instance", str(star)]) == 2
    proof.write_bytes(whole)
    assert main(["check", str(proof), "--instance", str(tmp_path / "none.gr")]) == 2
    assert "no such file" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ Ctrl-C


@pytest.mark.parametrize("run", range(5))
def test_ctrl_c_at_any_moment_prints_the_answer_so_far(tmp_path, run):
    bench, file = of_bench("interrupt"), tmp_path / "streets.gr"
    file.write_text(write(of_bench("streets").make_streets(30_000, run)), encoding="ascii")
    moment, number = random.Random(run).uniform(0.0, 2.0), signal.SIGTERM if run == 3 else signal.SIGINT
    early = run == 4  # before the first tree, or about then
    found = bench.interrupt(file, parse(file.read_bytes()), 1.0 + moment if early else moment, tmp_path / "tree.txt", after_tree=not early, number=number)
    assert found.wrong == ()
    assert found.code == 0 or early
    assert found.end < 5, f"{found.end:.1f} s"  # 2 s on a machine that does nothing else
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_signal_that_is_heard_twice_at_once_is_one_wish():
    interrupt = Interrupt()
    interrupt.solving = True
    interrupt(signal.SIGTERM)
    interrupt(signal.SIGTERM)  # a second wish would end the process here
    assert interrupt.asked()


def test_a_second_ctrl_c_ends_at_once_with_130(tmp_path):
    # The solver never hears the first one.
    deaf = """
import sys
import kiban.design.steiner as core
from kiban.cli import main
solve = core.solve
core.solve = lambda instance, **options: solve(instance, **{**options, "cancel": lambda: False})
sys.exit(main(sys.argv[1:]))
"""
    file = tmp_path / "streets.gr"
    file.write_text(write(of_bench("streets").make_streets(300_000, 1)), encoding="ascii")
    words = [sys.executable, "-c", deaf, "steiner", str(file), "--time", "60", "-o", str(tmp_path / "tree.txt")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "cost" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert "stopped" in err
    assert not (tmp_path / "tree.txt").exists()


@pytest.mark.parametrize("options", [["-o", "star.gr"], ["--certificate", "star.gr"], ["-o", "same", "--certificate", "same"]])
def test_no_file_is_written_over_another_that_was_named(star, capsys, monkeypatch, options):
    monkeypatch.chdir(star.parent)
    before = star.read_bytes()
    assert star.name == "star.gr"
    assert main(["steiner", "star.gr", *options]) == 2
    assert "the same file twice" in capsys.readouterr().err
    assert star.read_bytes() == before


def test_a_certificate_without_its_instance_is_told_what_is_missing(star, capsys):
    assert main(["check", str(star)]) == 2
    assert "--instance" in capsys.readouterr().err
