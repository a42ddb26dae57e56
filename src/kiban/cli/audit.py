"""`kiban audit list | verify | digest`: what was done with kiban, and whether the log still is what it was."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings


def add(parsers: Any) -> None:
    """Arguments of `kiban audit`."""
    parser = parsers.add_parser("audit", help="監査ログを見る・確かめる / read and verify the audit log")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str) -> Any:
        return actions.add_parser(name, help=about, description=about)

    listed = action("list", "記録を CSV で書き出す（新しい順） / print the rows as CSV, newest first")
    listed.add_argument("--day", default="", metavar="YYYY-MM-DD", help="この日だけ / this day only")
    listed.add_argument("--who", default="", metavar="NAME", help="この人だけ / this login name only")
    listed.add_argument("--did", default="", metavar="ACTION", help="view search change export sign-in sign-out refused のどれかだけ / this action only")
    verify = action("verify", "記録が書き換えられていないか確かめる / check that no row was changed or taken out")
    verify.add_argument(
        "--digests", type=Path, metavar="FILE", help="手元に持ち出しておいた日次ダイジェスト（既定は記録の隣のもの） / the digests that were carried elsewhere"
    )
    digest = action("digest", "日次ダイジェストを書き出す。別の場所に保管する / write the daily digests, to be kept elsewhere")
    digest.add_argument("-o", "--output", type=Path, metavar="FILE", help="書き出す先。既定は画面 / file to write; default: standard output")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run one action; `verify` ends with 1 when something was changed."""
    from kiban.accounts.audit import as_csv, as_digests, open_log, read_digests

    with closing(open_log(settings.state)) as log:
        if args.action == "list":
            entries = log.rows(day=args.day, who=args.who, action=args.did)
            log.write(_me(), "export", "audit", f"{len(entries)} rows")
            sys.stdout.write(as_csv(entries))
            return 0
        if args.action == "digest":
            digests = log.all_digests()
            if args.output is None:
                sys.stdout.write(as_digests(digests))
                return 0
            try:
                args.output.write_bytes(as_digests(digests).encode())
            except OSError as error:
                raise KibanError(str(args.output), error.strerror or "not writable", "a file that can be written", "name another file after -o") from error
            print(f"{args.output}: {len(digests)} 日分 / days")
            return 0
        digests = read_digests(args.digests) if args.digests else log.kept_digests()
        rows, wrong = log.verify(digests)
    if wrong:
        print(f"書き換えられています / changed: {wrong}", file=sys.stderr)
        return 1
    print(f"書き換えはありません / unchanged: {rows} 行 / rows, {len(digests)} 日分のダイジェスト / digests")
    return 0


def _me() -> str:
    import getpass

    return f"command:{getpass.getuser()}"
