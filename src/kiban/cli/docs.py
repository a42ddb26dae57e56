"""kiban docs: the reference pages out of data and code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kiban.base.errors import DataFileError
from kiban.base.settings import Settings
from kiban.catalogue import load, words
from kiban.catalogue.docs import changed, pages, write

DEFAULT = Path("docs/reference")


def add(parsers: Any) -> None:
    """The parser of this command."""
    about = "データとコードからリファレンスを作る / make the reference pages from data and code"
    parser = parsers.add_parser("docs", help=about, description=about)
    parser.add_argument("-o", "--output", type=Path, default=DEFAULT, metavar="DIR", help="書き出すフォルダ / the folder to write to")
    parser.add_argument("--check", action="store_true", help="書かずに最新か確かめる / write nothing, say whether the pages are up to date")
    parser.add_argument("--json", action="store_true", help="JSON で出力 / print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Make the pages, or say which are out of date."""
    from kiban.cli import build_parser  # here, because kiban.cli imports this module while it builds the parser

    catalogue = load(settings.data, settings.state / "cache")
    made = pages(catalogue, build_parser())
    differ = changed(made, args.output)
    if args.check and differ:
        found = f"{len(differ)} page(s) out of date ({', '.join(differ[:5])}{', …' if len(differ) > 5 else ''})"
        raise DataFileError(str(args.output), found, "pages made from the present data and code", "run `make docs`")
    if not args.check:
        write(made, args.output)
    word = words(catalogue, settings.lang)
    if args.json:
        print(json.dumps({"ok": True, "pages": len(made), "changed": differ}, ensure_ascii=False))
    else:
        print(word("cli.docs_current", count=len(made)) if args.check else word("cli.docs_written", count=len(made), path=args.output))
    return 0
