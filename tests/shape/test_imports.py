"""Who may import whom: the contract of pyproject.toml holds, covers every room, and no module imports itself through others."""

from __future__ import annotations

import graphlib
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PURE = {"base", "records", "check", "finance", "design", "issue", "people", "alliance", "cases", "functions", "verdict", "project", "documents"}


def rooms() -> set[str]:
    return {path.parent.name for path in (ROOT / "src" / "kiban").glob("*/__init__.py")}


def contracts() -> dict[str, dict]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def test_rooms_import_down_never_up_and_engines_do_no_input_or_output():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_that_must_be_pure_is_named_in_the_contract():
    named = {module.removeprefix("kiban.") for module in contracts()["pure"]["source_modules"]}
    assert named == PURE & rooms()


def test_every_folder_with_code_is_a_room_of_the_contract():
    # Without an __init__.py a folder would escape the import contract.
    folders = {path.relative_to(ROOT / "src" / "kiban").parts[0] for path in (ROOT / "src" / "kiban").glob("*/**/*.py")}
    assert folders - {"__pycache__"} == rooms()


def test_no_module_imports_itself_through_others():
    graph = grimp.build_graph("kiban", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))
