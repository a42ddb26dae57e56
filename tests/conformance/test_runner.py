"""The runner of the conformance suite, without the suite: what it reads, renames, maps and compares."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conformance import doubts, renaming, run, scores
from tests.conformance.robot_side import Limit
from tests.conformance.scores import Result

DOUBTS = """# Doubts
## 3. `101_17_0[1-3] / 101_18_01..02` — the set-up is incomplete
Where: folder/102_04.robot and `D201_01_inc / _red`; see also 103_02_01/03 and the family D202_01_*, 104_01_xx.
Reported on 2026-08-12 for TS 104-175; 105_* as a whole is slow.
"""


@pytest.mark.parametrize(
    ("test", "named", "in_heading"),
    [
        ("101_17_02", True, True),
        ("101_17_04", False, False),
        ("101_18_02", True, True),
        ("101_18_03", False, False),
        ("102_04_01", True, False),
        ("102_05_01", False, False),
        ("D201_01_inc", True, False),
        ("D201_01_red", True, False),
        ("D201_01_exc", False, False),
        ("103_02_01", True, False),
        ("103_02_02", False, False),
        ("103_02_03", True, False),
        ("D202_01_05_inc", True, False),
        ("D202_02_inc", False, False),
        ("104_01_07", True, False),
        ("105_01_01", False, False),
    ],
)
def test_a_test_is_doubtful_where_the_file_names_it_its_file_its_family_or_a_range_with_it(test: str, named: bool, in_heading: bool):
    names = doubts.named(DOUBTS)
    assert (doubts.reason(test, names, headings=False) is not None) == named
    assert (doubts.reason(test, names, headings=True) is not None) == in_heading


def test_the_first_line_that_names_a_test_is_told():
    found = doubts.reason("101_17_01", doubts.named(DOUBTS), headings=False)
    assert found is not None
    assert (found.line, found.written) == (2, "101_17_0[1-3]")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of one test about a boat."""
    files = {
        "data/entities/boat-draught.jsonld": json.dumps(
            {
                "id": "urn:ngsi-ld:Boat:1",
                "type": "Boat",
                "draught": {"type": "Property", "value": 3},
                "name": {"type": "Property", "value": "urn:ngsi-ld:null"},
                "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [1, 2]}},
                "@context": "https://harbour.example/suite/boats-compound.jsonld",
            }
        ),
        "data/broken.json": "{",
        "resources/jsonld-contexts/boats-compound.jsonld": json.dumps({"@context": ["https://harbour.example/suite/boats.jsonld"]}),
        "resources/jsonld-contexts/boats.jsonld": json.dumps({"@context": {"Boat": renaming.PREFIX + "Boat", "draught": renaming.PREFIX + "draught"}}),
        "resources/variables.py": "url = 'https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld'\nabsent = 'https://nowhere.example/x.jsonld'\n",
        "TP/NGSI-LD/Harbour/001.robot": "\n".join(
            [
                "*** Test Cases ***",
                "001_01 Find A Boat",
                "    ${15}    ${10}    boat-draught.jsonld    q=draught>2;draughts==1    urn:ngsi-ld:Boat:1",
                "    ${2}    ${1}    https%3A%2F%2Fngsi-ld-test-suite%2Fcontext%23draught    location    urn:ngsi-ld:null",
                "    Query    limit=${limit}",
            ]
        ),
    }
    for name, text in files.items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_text(text, "utf-8")
    return tmp_path / "copy"


def test_renaming_changes_whole_words_ids_terms_files_and_large_limits_and_nothing_of_the_core(suite: Path, tmp_path: Path):
    plan = renaming.plan(suite, {"location"}, seed=5)
    assert sorted(plan.words) == ["Boat", "draught"]
    renaming.copy(suite, tmp_path / "renamed", plan)

    boat, draught = plan.words["Boat"], plan.words["draught"]
    entity = json.loads((tmp_path / "renamed" / "data" / "entities" / f"boat-{draught}.jsonld").read_text())
    assert entity["id"] == f"urn:{plan.authority}:{boat}:1"
    assert list(entity) == ["id", "type", draught, "name", "location", "@context"]
    assert entity["name"]["value"] == "urn:ngsi-ld:null"
    terms = json.loads((tmp_path / "renamed" / "resources" / "jsonld-contexts" / "boats.jsonld").read_text())["@context"]
    assert terms == {boat: plan.prefix + boat, draught: plan.prefix + draught}
    rows = (tmp_path / "renamed" / "TP" / "NGSI-LD" / "Harbour" / "001.robot").read_text().splitlines()
    assert rows[2] == f"    ${{{15 + plan.limit}}}    ${{10}}    boat-{draught}.jsonld    q={draught}>2;draughts==1    urn:{plan.authority}:{boat}:1"
    encoded = plan.prefix.replace(":", "%3A").replace("/", "%2F").replace("#", "%23")
    assert rows[3] == f"    ${{2}}    ${{1}}    {encoded}{draught}    location    urn:ngsi-ld:null"


def test_new_words_sort_as_the_old_ones_and_the_same_seed_gives_the_same_words(suite: Path):
    many = {f"word{number}": {"type": "Property", "value": 1} for number in range(20)}
    (suite / "data" / "many.json").write_text(json.dumps({"id": "urn:a", "type": "Anchor"} | many))
    words = renaming.plan(suite, {"location"}, seed=1).words
    assert words == renaming.plan(suite, {"location"}, seed=1).words
    assert words != renaming.plan(suite, {"location"}, seed=2).words
    names = sorted(word for word in words if word[0].islower())
    assert [words[name] for name in names] == sorted(words[name] for name in names)
    assert words["Anchor"] < words["Boat"]


def test_addresses_of_contexts_lead_to_the_suite_the_core_context_or_nowhere(suite: Path, tmp_path: Path):
    core = tmp_path / "core"
    core.mkdir()
    (core / "ngsi-ld-core-context-v1.9.jsonld").write_text('{"@context": {"location": "https://uri.etsi.org/ngsi-ld/location"}}')
    mapped, nowhere = run.context_map(suite, tmp_path / "empty.jsonld", core)
    own = suite / "resources" / "jsonld-contexts"
    assert mapped == {
        "https://harbour.example/suite/boats-compound.jsonld": str(own / "boats-compound.jsonld"),
        "https://harbour.example/suite/boats.jsonld": str(own / "boats.jsonld"),
        "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld": str(core / "ngsi-ld-core-context-v1.9.jsonld"),
    }
    assert nowhere == ["https://nowhere.example/x.jsonld"]
    assert run.core_terms(core) == {"location"}


RESULTS = [
    Result("Harbour", "001_01", "001_01_01", True),
    Result("Harbour", "001_01", "001_01_02", False, ("5.6.1",), "Several failures occurred:\n\n1) 201 != 404\n\n2) more"),
    Result("Sea", "002", "003_01", True),
]


def test_a_record_keeps_counts_by_area_and_the_failing_tests_with_clause_and_reason(tmp_path: Path):
    scores.save(tmp_path / "recorded" / "a.json", scores.record(RESULTS, {"suite": "boats"}))
    assert scores.load(tmp_path / "recorded" / "a.json") == {
        "suite": "boats",
        "tests": 3,
        "passed": 2,
        "areas": {"Harbour": {"tests": 2, "passed": 1}, "Sea": {"tests": 1, "passed": 1}},
        "failing": {"001_01_02": {"area": "Harbour", "clauses": ["5.6.1"], "reason": "201 != 404"}},
    }
    assert scores.load(tmp_path / "none.json") is None


def test_a_run_is_compared_test_by_test_and_only_where_tests_ran():
    before = scores.record(RESULTS, {})
    now = [Result("Harbour", "001_01", "001_01_02", True), Result("Sea", "002", "003_01", False)]
    found = scores.compare(now, before)
    assert (found.newly_failing, found.mended) == (["002:003_01"], ["001_01_02"])
    # One of two tests of the harbour ran: its number of passes says nothing beside the record.
    assert found.areas == {"Harbour": (1, 1, None), "Sea": (1, 0, 1)}
    assert scores.compare(RESULTS, before) == scores.Comparison([], [], {"Harbour": (2, 1, 1), "Sea": (1, 1, 1)})
    assert scores.compare(RESULTS, None).newly_failing == ["001_01_02"]


def test_the_report_gives_the_raw_score_first_and_each_failure_with_clause_and_reason(capsys: pytest.CaptureFixture[str]):
    run.report(RESULTS, None, doubts.named("## 1. `001_01_02`"))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[3:] == [
        "raw: 2 of 3 (66.67%)",
        "without the 1 that testsuite-doubts.md names in its headings: 2 of 2 (100.00%)",
        "without the 1 that testsuite-doubts.md names anywhere: 2 of 2 (100.00%)",
        "1 fail:",
        "Harbour  001_01_02  [5.6.1]  (testsuite-doubts.md:1)",
        "201 != 404",
    ]


def test_two_runners_on_one_machine_open_their_servers_on_different_ports():
    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        first = run.mock_ports(one)
        second = run.mock_ports(other)
        assert abs(first - second) >= 3


@pytest.mark.parametrize("filters", [["--renamed", "7"], ["--area", "Harbour"], ["--test", "001_01"]])
def test_a_part_of_the_suite_is_not_recorded(filters: list[str], tmp_path: Path):
    with pytest.raises(SystemExit):
        run.arguments([str(tmp_path), "--record", *filters])


class Test:
    """What Robot Framework shows of a test."""

    __test__ = False

    def __init__(self, longname: str, timeout: str | None = None) -> None:
        self.longname, self.timeout = longname, timeout


class Suite:
    """What Robot Framework shows of a suite."""

    def __init__(self, tests: list[Test], suites: list[Suite]) -> None:
        self.tests, self.suites = tests, suites


def test_each_test_gets_a_time_limit_and_those_that_ended_are_left_out(tmp_path: Path):
    ended = tmp_path / "ended.txt"
    ended.write_text("A.Two\n")
    inner = Suite([Test("A.Two"), Test("A.Three", "2 minutes")], [])
    outer = Suite([Test("A.One")], [inner])
    Limit("30", str(ended)).visit_suite(outer)
    assert [(test.longname, test.timeout) for test in outer.tests + inner.tests] == [("A.One", "30.0 seconds"), ("A.Three", "2 minutes")]


def test_a_process_without_progress_is_noticed_and_ended(tmp_path: Path):
    progress = tmp_path / "progress.jsonl"
    progress.touch()
    silent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    assert not run._ends(silent, progress, patience=0.5)
    run.stop(silent)
    assert silent.returncode is not None
