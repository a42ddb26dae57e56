"""Everything that make does is told to those who read the README or CONTRIBUTING."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_target_of_the_makefile_is_told():
    targets = set(re.findall(r"^\.PHONY: (run .+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split())
    told = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.exists())
    assert {target for target in targets if f"make {target}" not in told} == set()


def run_suite(required: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:xdist", str(Path(__file__))]
    environment = {**os.environ, "KIBAN_REQUIRE": required, "KIBAN_TEST_DATA": ""}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_required_service_that_is_missing_fails_the_run_and_is_named():
    done = run_suite("data")
    assert done.returncode != 0
    assert "KIBAN_REQUIRE: missing real data sets (set KIBAN_TEST_DATA)" in done.stderr


def test_a_required_service_that_nobody_knows_is_refused():
    done = run_suite("postgres,broser")
    assert done.returncode != 0
    assert "KIBAN_REQUIRE: found broser; expected some of postgres, postgis, browser, mosquitto, office, data, bench" in done.stderr


def test_no_test_sees_the_home_or_the_settings_of_the_user():
    assert Path.home().name.startswith("kiban-test-home-")
    assert os.environ["KIBAN_STATE"] == str(Path.home() / "state")
    assert {"KIBAN_DB", "KIBAN_DATA", "KIBAN_LANG"} & set(os.environ) == set()
