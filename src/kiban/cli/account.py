"""`kiban account list | add | role | extend | disable | enable | password`: who may sign in when kiban serves several people.

A password is typed at a prompt or comes on standard input, never as an argument: arguments are seen by everybody on the machine and stay in histories.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from contextlib import closing
from typing import Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings


def add(parsers: Any) -> None:
    """Arguments of `kiban account`."""
    parser = parsers.add_parser("account", help="利用者の登録・役割・期限 / accounts, roles and until when they hold")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str, login: bool = True) -> Any:
        made = actions.add_parser(name, help=about, description=about)
        if login:
            made.add_argument("login", metavar="NAME", help="ログイン名（半角英小文字と数字） / login name")
        return made

    action("list", "登録された利用者 / the accounts", login=False).add_argument("--json", action="store_true", help="結果を JSON で / print JSON")
    new = action("add", "利用者を登録する。パスワードは入力か標準入力から / make an account; the password is asked for, or read from standard input")
    new.add_argument("--name", metavar="NAME", help="氏名（既定はログイン名） / name that colleagues read (default: the login name)")
    role = action("role", "役割を変える / give another role")
    for one in (new, role):
        one.add_argument("--role", required=True, metavar="ROLE", help="viewer（閲覧） editor（編集） approver（承認・利用者の管理） / what the account may do")
    action("extend", "権利を年度末まで延ばす（もう年度末までなら翌年度末まで） / let rights hold until the end of the fiscal year, or of the next one")
    action("disable", "サインインできなくする / let nobody sign in with it any more")
    action("enable", "またサインインできるようにする / let it sign in again")
    action("password", "パスワードを変える（入力か標準入力から） / set the password, asked for or read from standard input")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run one action; changes are written to the audit log."""
    from kiban.accounts import open_accounts  # the database packages are loaded only by those who need them

    by = f"command:{getpass.getuser()}"
    with closing(open_accounts(settings.db, settings.state)) as room:
        accounts = room.accounts
        if args.action == "list":
            return _listed(args, accounts.all())
        if args.action == "add":
            account = accounts.add(args.login, args.name or args.login, args.role, _password(), by=by)
        elif args.action == "role":
            account = accounts.set_role(args.login, args.role, by=by)
        elif args.action == "extend":
            account = accounts.extend(args.login, by=by)
        elif args.action == "password":
            account = accounts.set_password(args.login, _password(), by=by)
        else:
            account = accounts.set_disabled(args.login, args.action == "disable", by=by)
        room.audit.write(by, "change", f"account {account.login}", f"{args.action}: {account.role}, until {account.until}")
    print(_line(account))
    return 0


def _listed(args: argparse.Namespace, accounts: list[Any]) -> int:
    if args.json:
        rows = [{"login": one.login, "name": one.name, "role": one.role, "until": one.until.isoformat(), "disabled": one.disabled} for one in accounts]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for one in accounts:
        print(_line(one))
    if not accounts:
        print("まだ誰も登録されていません / no account yet: kiban account add NAME --role approver")
    return 0


def _line(account: Any) -> str:
    state = "停止中 / disabled" if account.disabled else f"{account.until} まで / until"
    return f"{account.login}  {account.name}  {account.role}  {state}"


def _password() -> str:
    """Asked for twice at a terminal; otherwise the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("パスワード / password: ")
    if getpass.getpass("もう一度 / again: ") != first:
        raise KibanError("password", "two different passwords", "the same one twice", "try again")
    return first
