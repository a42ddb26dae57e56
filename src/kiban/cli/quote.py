"""`kiban quote import DIR FILE…` and `kiban quote list DIR`: suppliers' answers into a plan, and what they say together."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

from kiban.base.settings import Settings

TOKYO = timezone(timedelta(hours=9))


def add(parsers: Any) -> None:
    """Arguments of `kiban quote`."""
    parser = parsers.add_parser("quote", help="参考見積の回答を取り込む・見る / import and show suppliers' quotations")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    taken = actions.add_parser("import", help="見積様式・要件一覧の回答を取り込み、書類を作り直す / import answers and make the papers again")
    taken.add_argument("folder", metavar="DIR", type=Path, help="計画のフォルダ / a plan folder")
    taken.add_argument("files", metavar="FILE", nargs="+", type=Path, help="記入された見積様式.xlsx・要件一覧.xlsx / workbooks that suppliers filled in")
    taken.add_argument("--today", metavar="YYYY-MM-DD", help="受領日（既定は今日） / the day of receipt (today by default)")
    taken.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")
    listed = actions.add_parser("list", help="取り込んだ見積と行ごとの統計 / imported quotations and statistics per line")
    listed.add_argument("folder", metavar="DIR", type=Path, help="計画のフォルダ / a plan folder")
    listed.add_argument("--today", metavar="YYYY-MM-DD", help="この日の時点の有効期限で見る / judge validity as on this day")
    listed.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Import or list; nothing is written before every file was understood."""
    from kiban.catalogue import load
    from kiban.cli.plan import moment
    from kiban.loop.files import editing, read_folder, read_inputs, warnings
    from kiban.loop.quoting import imported, summary

    catalogue = load(settings.data, settings.state / "cache")
    now = moment(args.today)
    day = now.astimezone(TOKYO).date()
    notes: list[str] = []
    told: list[str] = []
    files: list[Path] = []
    if args.action == "import":
        with editing(args.folder) as edit:
            inputs, notes = imported(args.files, read_folder(args.folder), read_inputs(args.folder), day)
            files = edit.refresh(catalogue, settings.lang, inputs, now)
            folder = read_folder(args.folder)
            told = warnings(args.folder)
    else:
        folder, inputs = read_folder(args.folder), read_inputs(args.folder)
    result = {**summary(folder, inputs, catalogue, day), "notes": notes, "warnings": told, "files": [str(path) for path in files]}
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        _print(result)
    return 0


def _print(result: dict[str, Any]) -> None:
    for row in result["suppliers"]:
        marks = " ".join(f"{mark}{count}" for mark, count in row["requirements"].items() if count)
        valid = row["valid_until"] or "期限の記載なし / no limit stated"
        print(f"{row['supplier']}: 単価 {row['priced_lines']} 行 / lines  有効期限 / valid until {valid}  {marks}".rstrip())
    for row in result["statistics"]:
        spread = "—" if row["spread"] is None else f"{row['spread']:.2f}"
        span = f"{row['least']:,.0f}–{row['greatest']:,.0f}"
        print(f"{row['line']} {row['name']}: n={row['n']}  中央値 / median {row['median']:,.0f} 円  {span}  開き / spread {spread}")
    for row in result["ask"]:
        print(f"問い合わせる / ask: {row['supplier']} {row['line']} (中央値 {row['median']:,.0f} 円から{result['factor']:g}倍を超えて離れている。除外はしない)")
    for row in result["expired"]:
        print(f"有効期限切れ / expired: {row['supplier']} {row['line']}")
    for line in result["awaiting"]:
        print(f"見積待ち / awaiting: {line}")
    for note in result["notes"]:
        print(f"注意 / note: {note}")
    for warning in result["warnings"]:
        print(f"警告 / warning: {warning}")
    for line, count in result["short"].items():
        print(f"回答の足りない行 / too few answers: {line} n={count} (必要 / required {result['required']})")
    said = {True: "足りる / enough", False: "足りない / not enough", None: "必要な数が未定 / number required unknown"}[result["enough"]]
    print(f"見積の数 / quotations: {len(result['suppliers'])} 者、必要 / required {result['required']}: {said}")
