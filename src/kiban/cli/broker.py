"""`kiban broker`: the data linkage broker, NGSI-LD and NGSIv2 in one process; and its tools load, import, export, backup, restore."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings
from kiban.linkage.broker.backup import add_backup, add_restore, is_postgres, run_backup, run_restore
from kiban.linkage.broker.exchange import add_export, add_import, run_export, run_import
from kiban.linkage.broker.load import add_load, run_load

if TYPE_CHECKING:
    import uvicorn

    from kiban.linkage.broker.broker import Options

_NO_NAME = re.compile(r'[\s,<>"{}|\\^`\x00-\x20]')  # neither in an IRI nor in a term


def add(parsers: Any) -> None:
    """Arguments of `kiban broker`."""
    parser = parsers.add_parser("broker", help="データ連携基盤（NGSI-LD・NGSIv2）を動かす / run the data linkage broker")
    option = parser.add_argument
    option("--host", default="127.0.0.1", help="待ち受けるアドレス（既定はこの機械だけ） / address to listen on (default: this machine only)")
    option("--port", type=int, default=1026, help="ポート（既定 1026） / port (default 1026)")
    option(
        "--db",
        metavar="DB",
        help="SQLite のファイル、または postgresql://…（既定は利用者のデータフォルダ） / file or postgresql://… (default: in the user's data folder)",
    )
    option("--workers", type=int, default=1, metavar="N", help="プロセスの数（PostgreSQL のときだけ 2 以上） / processes (more than 1 with PostgreSQL only)")
    option("--policy", type=Path, metavar="FILE", help="だれに何を許すか。他の機械から使うときは必須 / who may do what; required beyond this machine")
    option("--context-map", type=Path, metavar="FILE", help="@context の URL とファイルの対応表（YAML か JSON） / @context URL → file")
    option("--v2-context", metavar="URL", help="NGSIv2 の名前を広げる @context / the @context that expands NGSIv2 names")
    option("--fetch-contexts", action="store_true", help="@context を外から取ってよい / @contexts may be fetched")
    option(
        "--allow-endpoint",
        action="append",
        default=[],
        metavar="NET",
        help="通知・転送してよい内部の宛先（CIDR か名前） / private targets that may be reached (CIDR or name)",
    )
    option(
        "--index", action="append", default=[], metavar="ATTR", help="値で検索する属性（IRI か標準の名前） / attribute to index by value (IRI or standard name)"
    )
    option("--history", choices=("on", "off"), default="on", help="履歴を残す（既定 on） / keep history (default on)")
    option(
        "--instances",
        type=int,
        default=30,
        metavar="N",
        help="履歴の答え 1 つに入る値の数（既定 30） / instances of an entity's history in one answer (default 30)",
    )
    option(
        "--keep-months",
        type=int,
        default=0,
        metavar="N",
        help="これより古い履歴を消す（既定 0 は消さない） / drop history older than N months (default 0: never)",
    )
    option("--cors", default="", metavar="ORIGIN", help="他のサイトの画面から使わせる / let pages of this origin in (* for all)")
    option("--public-url", default="", metavar="URL", help="他から見た URL / how others reach this broker")
    option("--access-log", action="store_true", help="要求を 1 行ずつ記録する / one line per request")
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", title="道具（なければブローカーを動かす） / tools (without one, the broker runs)")
    tool = partial(_tool, tools)
    add_import(speaking := tool("import", "NDJSON・GeoJSON・Orion のダンプをブローカーへ / NDJSON, GeoJSON or a dump of an Orion into a broker"))
    _token(speaking)
    add_export(speaking := tool("export", "エンティティを NDJSON・GeoJSON に書き出す / entities as NDJSON or GeoJSON"))
    _token(speaking)
    add_load(speaking := tool("load", "負荷をかけて測り、答えを確かめる / put a load on a broker, measure it, check its answers"))
    _token(speaking)
    add_backup(tools)
    add_restore(tools)


def _tool(tools: Any, name: str, about: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = tools.add_parser(name, help=about, description=about)
    return made


def _token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="トークンの入ったファイル / file that holds the token; never on the command line")


def _read_token(path: Path | None) -> str:
    """The token of a file, without the line end; "" without a file."""
    if path is None:
        return ""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KibanError(
            "--token-file", f"{path}: {getattr(error, 'strerror', None) or 'not text'}", "a file that can be read", "name the right one"
        ) from error
    if not token or len(token.split()) > 1:
        raise KibanError("--token-file", f"{path}: no single word", "the token alone", "put it into the file without anything else")
    return token


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until interrupted, or run a tool; import and load end with 1 when something was refused or wrong."""
    if args.tool is not None:
        return _run_tool(args)
    from kiban.linkage.broker.broker import Options

    if args.workers < 1:
        raise KibanError("--workers", str(args.workers), "1 or more", "leave it out")
    db = args.db or str(settings.state / "broker.db")
    if not 0 <= args.port <= 65535:
        raise KibanError("--port", str(args.port), "0 to 65535 (0: any free one)", "leave it out for 1026")
    if "://" in db and not is_postgres(db):
        raise KibanError("--db", f"{db.split('://', 1)[0]}://…", "a SQLite file or postgresql://USER:PASSWORD@HOST/NAME", "correct it")
    if args.keep_months < 0:
        raise KibanError("--keep-months", str(args.keep_months), "a number of months, 0 to keep all", "leave it out to keep all")
    for option, given in (("--public-url", args.public_url), ("--cors", args.cors), ("--v2-context", args.v2_context or "")):
        if given and not given.startswith(("http://", "https://")) and (option, given) != ("--cors", "*"):
            raise KibanError(option, repr(given), "an address that begins with http:// or https://", "correct it, or leave it out")
    if not 1 <= args.instances <= 10_000:
        raise KibanError("--instances", str(args.instances), "1 to 10000", "leave it out for 30")
    for name in args.index:
        if not name or _NO_NAME.search(name):
            raise KibanError("--index", repr(name), "one name of an attribute: an IRI or a term; several with --index for each", "correct it")
    if args.workers > 1 and not is_postgres(db):
        raise KibanError("--workers", str(args.workers), "1 with a SQLite file", "give --db postgresql://…, or leave --workers out")
    return serve(
        Options(
            host=args.host,
            port=args.port,
            db=db,
            workers=args.workers,
            policy=args.policy,
            context_map=args.context_map,
            v2_context=args.v2_context,
            fetch_contexts=args.fetch_contexts,
            allow_endpoints=tuple(args.allow_endpoint),
            index=tuple(args.index),
            history=args.history == "on",
            instances=args.instances,
            keep_months=args.keep_months,
            cors=args.cors,
            public_url=args.public_url.rstrip("/"),
            access_log=args.access_log,
        )
    )


def _run_tool(args: argparse.Namespace) -> int:
    if args.tool in ("backup", "restore"):
        return (run_backup if args.tool == "backup" else run_restore)(args)
    return {"import": run_import, "export": run_export, "load": run_load}[args.tool](args, _read_token(args.token_file))


@contextmanager
def _alone(db: str) -> Iterator[None]:
    """Hold a SQLite file as the only broker on it: two would take each other's notifications for left behind, and not know of each other's subscriptions."""
    if is_postgres(db):
        yield
        return
    path = Path(db)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600), "ab")  # registrations may hold tokens of others
    except OSError as error:
        fits = "a SQLite file that can be written, with room on its disk"
        raise KibanError("--db", f"{db}: {error.strerror}", fits, "name another file") from error
    # Open until the end: a closed descriptor of the file would take the locks of SQLite with it.
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise KibanError("--db", f"{db}: another broker runs on it", "a file of its own for each broker", "stop that one, or name another file") from error
        yield


def serve(options: Options) -> int:
    """One process, or several on one socket where any may end and is started again."""
    from kiban.linkage.access import check_bind
    from kiban.linkage.broker.serving import config

    check_bind(options.host, options.policy)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise KibanError("--host", repr(options.host), "an address of this machine", "leave it out for this machine alone") from error
            raise KibanError("--port", f"port {options.port}: {error.strerror}", "a free port", f"--port {options.port + 1}") from error
        options = replace(options, port=listener.getsockname()[1])
        with _alone(options.db):
            return _serve(options, config(options), listener)


def _serve(options: Options, settings: uvicorn.Config, listener: socket.socket) -> int:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from kiban.linkage.broker.store.opening import prepare

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                told()

    def told() -> None:
        where = "PostgreSQL" if is_postgres(options.db) else options.db  # an address may hold a password
        print(f"kiban: {options.url}  ({where})  → {options.url}/docs", flush=True)

    if options.workers == 1:
        server = Server(settings)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        return 0 if server.started else 3
    prepare(options.db)
    listener.listen(2048)
    listener.set_inheritable(True)
    told()
    Multiprocess(settings, sockets=[listener]).run()
    return 0
