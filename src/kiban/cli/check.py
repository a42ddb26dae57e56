"""`kiban check DIR`: judge the design of a plan folder again, by problem.json and design.json alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kiban.base.errors import CheckError, KibanError, RecordError
from kiban.base.settings import Settings
from kiban.check import check_design
from kiban.records.design import Design, Problem

if TYPE_CHECKING:
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

R = TypeVar("R", Problem, Design)


def add(parsers: Parsers) -> None:
    """Add the command."""
    parser = parsers.add_parser("check", help="設計を独立に検算する / check a design independently")
    parser.add_argument(
        "folder", metavar="DIR", type=Path, help="計画のフォルダ（problem.json と design.json）/ a plan folder with problem.json and design.json"
    )
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the findings as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print one line per constraint; 0 when all hold, 1 when one fails."""
    problem = _read(args.folder / "problem.json", Problem)
    report = check_design(problem, _read(args.folder / "design.json", Design))
    if args.json:
        print(json.dumps({"ok": report.holds, "findings": msgspec.to_builtins(report.findings)}, ensure_ascii=False))
        return 0 if report.holds else 1
    ja = settings.lang == "ja"
    for finding in report.findings:
        print(f"{'○' if finding.holds else '×'} {finding.constraint}: {finding.found}")
    failed = [finding.constraint for finding in report.findings if not finding.holds]
    if failed:
        print(f"不合格 {len(failed)} 件: {', '.join(failed)}" if ja else f"{len(failed)} constraint(s) fail: {', '.join(failed)}")
    else:
        print(f"{len(report.findings)} 項目すべて合格" if ja else f"all {len(report.findings)} constraints hold")
    return 1 if failed else 0


def _read(path: Path, kind: type[R]) -> R:
    """One record of the folder. Raises KibanError when it is absent or cut off, CheckError when it contradicts itself."""
    if not path.is_file():
        raise KibanError(str(path), "no file", "problem.json and design.json of a plan folder", "run kiban plan REGION --issue … -o DIR first")
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise KibanError(str(path), str(error), f"the JSON of a {kind.__name__.lower()}", "write the plan again; the file was changed or cut off") from error
    except RecordError as error:
        raise CheckError(f"{path}: {error.where}", error.found, error.fits, error.step) from error
