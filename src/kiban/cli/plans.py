"""`kiban plans export | refusals | voice`: many plans at once, for those who watch over them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings

if TYPE_CHECKING:
    from kiban.loop.plans import Found, Refusal, Row


def add(parsers: Any) -> None:
    """The parser of this command group."""
    about = "多くの計画をまとめて見る / many plans at once"
    group = parsers.add_parser("plans", help=about, description=about)
    actions = group.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str) -> Any:
        return actions.add_parser(name, help=about, description=about)

    export = action("export", "計画を1行ずつの表に（様式 第1版、庁内限り） / one row per plan, schema version 1; holds amounts, stays in the office")
    refusals = action(
        "refusals", "支援制度ごとに、どの条件・不明な事実が何件の計画を止めたか / per support, which condition or missing fact refused how many plans"
    )
    for parser in (export, refusals):
        parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="計画フォルダ、またはその親 / plan folders, or folders of them")
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="書き出す先。既定は画面 / file to write; default: standard output")
        parser.add_argument("--format", choices=("csv", "json"), help="既定は csv（FILE が .json なら json） / default csv, or json by the name of FILE")
    voice = action("voice", "制度・標準モデルへの声を計画に残す / keep what you want said about a support or model")
    voice.add_argument("folder", type=Path, metavar="DIR", help="計画フォルダ / a plan folder")
    voice.add_argument("--about", required=True, metavar="KIND/ID", help="supports/ID または models/ID / supports/ID or models/ID")
    voice.add_argument("--text", required=True, metavar="TEXT", help="声。空なら消す / what to say; empty takes it away")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run one action; 1 when a folder could not be read."""
    if args.action == "voice":
        return _voice(args, settings)
    from kiban.loop.plans import Refusal, Row, export_row, find, refusals

    found = find(args.folders)
    broken = list(found.broken)
    if args.action == "refusals":
        _write(args, refusals(found.plans), Refusal, broken)
    else:
        rows = []
        for kept in found.plans:
            try:
                rows.append(export_row(kept))
            except KibanError as error:
                broken.append(error)
        _write(args, rows, Row, broken)
    return _told(found, broken)


def _write(args: argparse.Namespace, rows: list[Row] | list[Refusal], kind: type[Row] | type[Refusal], broken: list[KibanError]) -> None:
    """Write the rows as a whole, or print them."""
    from kiban.loop.plans import as_csv, as_json

    as_file = args.format or ("json" if args.output and args.output.suffix.lower() == ".json" else "csv")
    text = as_json(rows, broken, datetime.now(UTC)) if as_file == "json" else as_csv(rows, kind)
    if args.output is None:
        sys.stdout.write(text)
        return
    try:
        args.output.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise KibanError(str(args.output), error.strerror or "not writable", "a file that can be written", "name another file after -o") from error
    print(f"{args.output}: {len(rows)} 行 / rows")


def _told(found: Found, broken: list[KibanError]) -> int:
    """Name every folder that could not be read."""
    for error in broken:
        print(f"読めない計画 / skipped: {error}", file=sys.stderr)
    if broken:
        print(f"読めた計画 / read: {len(found.plans)}  読めないもの / skipped: {len(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _voice(args: argparse.Namespace, settings: Settings) -> int:
    """Keep a voice; the support or model must exist."""
    from kiban.catalogue import load
    from kiban.loop.plans import VOICED, keep_voice

    kind, sign, id = args.about.partition("/")
    if not sign or kind not in VOICED:
        raise KibanError("--about", repr(args.about), "supports/ID or models/ID", "`kiban catalogue list supports` shows the ids")
    known = load(settings.data, settings.state / "cache").key(kind, id)
    about = f"{kind}/{known.rpartition('/')[0] if kind == 'models' and '/' not in id else known}"
    kept = keep_voice(args.folder, about, args.text)
    print(f"{about}: {kept.voices.get(about, '消しました / taken away')}")
    return 0
