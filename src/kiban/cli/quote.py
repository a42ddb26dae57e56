"""`kiban quote import DIR FILE…` and `kiban quote list DIR`: suppliers' answers into a plan, and what they say together."""

from __future__ import annotations

import argparse
import json
from datetime import date, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings

if TYPE_CHECKING:
    from kiban.catalogue import Catalogue
    from kiban.loop.files import Folder
    from kiban.records.funding import Answered, Inputs, Quote

RULE = "quote-outlier"
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

    catalogue = load(settings.data, settings.state / "cache")
    now = moment(args.today)
    day = now.astimezone(TOKYO).date()
    notes: list[str] = []
    told: list[str] = []
    files: list[Path] = []
    if args.action == "import":
        with editing(args.folder) as edit:
            inputs, notes = _imported(args.files, read_folder(args.folder), read_inputs(args.folder), day)
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


def _imported(files: list[Path], folder: Folder, inputs: Inputs, day: date) -> tuple[Inputs, list[str]]:
    """Inputs with all answers, and what must be said about them."""
    from msgspec.structs import replace

    from kiban.documents.quote_form import answered_lines
    from kiban.loop.inputs import add_quote, read_answers

    notes: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for path in files:
        quote, plan = read_answers(path, day)
        kind = "prices" if quote.answers else "requirements"
        if (quote.supplier, kind) in seen:
            other = seen[quote.supplier, kind]
            raise KibanError(str(path), f"a second answer of {quote.supplier} beside {other}", "one answer of each supplier", "leave one of the files out")
        seen[quote.supplier, kind] = path.name
        answers: list[Answered] = []
        strange = []
        for answer in quote.answers:
            lines = answered_lines(answer.line, folder.funding)
            strange += [] if lines else [answer.line]
            answers += [replace(answer, line=line) for line in lines]
        if strange:
            fits = "ids of this plan's estimate"
            raise KibanError(str(path), f"line(s) {', '.join(strange[:5])}", fits, "check that the answer belongs to this plan, and that no id was changed")
        quote = replace(quote, answers=tuple(answers))
        if plan is not None and plan != folder.plan.id:
            notes.append(f"{path.name}: 計画番号 {plan} はこの計画 {folder.plan.id} と違う / was made for another plan")
        if any(one.supplier == quote.supplier for one in inputs.quotes):
            notes.append(f"{quote.supplier}: 前の回答を置き換えた / the earlier answer was replaced")
        if quote.answers and all(answer.unit_yen is None for answer in quote.answers):
            notes.append(f"{quote.supplier}: 単価が一つも入っていない / no price is filled in")
        inputs = add_quote(inputs, quote)
    return inputs, notes


def _row(quote: Quote) -> dict[str, Any]:
    return {
        "supplier": quote.supplier,
        "received": quote.received.isoformat(),
        "valid_until": quote.valid_until.isoformat() if quote.valid_until else None,
        "file": quote.file,
        "priced_lines": sum(answer.unit_yen is not None for answer in quote.answers),
        "requirements": {mark: sum(text.startswith(mark) for text in quote.requirements.values()) for mark in ("〇", "△", "×")},
    }


def summary(folder: Folder, inputs: Inputs, catalogue: Catalogue, day: date) -> dict[str, Any]:
    """Suppliers, statistics per line, what to ask, which lines still await a price."""
    from dataclasses import asdict

    from kiban.finance.quotes import enough, short, statistics

    factor = catalogue.rule_at(RULE, day).quantity.value
    assert factor is not None
    lines = {line.id: line for line in folder.funding.lines}
    found = statistics(inputs.quotes, lines, factor, day)
    required = folder.funding.quotes_required
    asked = [line.id for line in lines.values() if line.basis != "town"]
    return {
        "ok": True,
        "suppliers": [_row(quote) for quote in inputs.quotes],
        "required": required,
        "enough": None if required is None else enough(inputs.quotes, required, asked),
        "short": {} if required is None else short(inputs.quotes, required, asked),
        "factor": factor,
        "statistics": [{**asdict(row), "name": lines[row.line].name.ja} for row in found],
        "ask": [{"line": row.line, "supplier": supplier, "median": row.median} for row in found for supplier in row.ask],
        "expired": [{"line": row.line, "supplier": supplier} for row in found for supplier in row.expired],
        "awaiting": [line.id for line in lines.values() if line.unit_yen is None],
    }


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
