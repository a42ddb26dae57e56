"""The server starts without what only a design or a paper needs; bench/pages.py measures how long it takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kiban.cli import build_parser, command_names

HEAVY = ("numba", "scipy", "highspy", "docx", "xlsxwriter", "alembic", "kiban.design.solve")


def test_no_solver_and_no_writer_of_papers_is_loaded_with_the_pages():
    code = f"import sys, kiban.cli.serve, kiban.web.app; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("named", ["", "nonsense"])
def test_whoever_names_no_command_is_shown_all(named: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        build_parser(named).parse_args([named] if named else ["--help"])
    said = "".join(capsys.readouterr())
    assert all(name in said for name in command_names())
