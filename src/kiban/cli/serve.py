"""`kiban serve`: the plan folders as pages on this machine."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys
from datetime import date
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings


def add(parsers: Any) -> None:
    """Arguments of `kiban serve`."""
    parser = parsers.add_parser("serve", help="計画をブラウザで見る / show the plans in a browser")
    parser.add_argument(
        "--plans",
        type=Path,
        metavar="DIR",
        help="計画フォルダを並べたフォルダ（既定は利用者のデータフォルダの plans） / folder of plan folders (default: plans in the user's data folder)",
    )

    parser.add_argument(
        "--regions",
        type=Path,
        metavar="DIR",
        help="地域フォルダを並べたフォルダ。ここの町の計画を画面で作れる（既定は regions） / region folders whose plans can be made here",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until interrupted. Raises KibanError for an address other than this machine: there is no sign-in yet."""
    import uvicorn  # only this command needs a server

    from kiban.catalogue import load
    from kiban.jobs import Jobs
    from kiban.loop.given import rule_detour
    from kiban.store import open_store
    from kiban.web.app import create_app
    from kiban.web.making import Regions

    if not _is_loopback(settings.host):
        raise KibanError(
            "KIBAN_HOST", repr(settings.host), "an address of this machine only (127.0.0.1)", "unset KIBAN_HOST: without sign-in, plans are not shown to others"
        )
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise KibanError("KIBAN_PORT", f"port {settings.port}: {error.strerror}", "a free port", f"KIBAN_PORT={settings.port + 1} kiban serve") from error
    plans = args.plans or settings.state / "plans"
    catalogue = load(settings.data, settings.state / "cache")
    regions = Regions(args.regions or settings.state / "regions", rule_detour(catalogue, date.today()))
    jobs = Jobs(settings.state / "jobs", [sys.executable, "-m", "kiban"], regions.folder, plans, lambda name: regions.open(name).id)
    hosts = ["127.0.0.1", "localhost", "[::1]", settings.host]
    app = create_app(
        plans,
        load(settings.data, settings.state / "cache"),
        settings.lang,
        hosts,
        regions,
        jobs,
        open_store(settings.db, settings.state / "kiban.db"),
        settings.state,
    )
    print(f"kiban: http://{settings.host}:{settings.port}  ({plans})", flush=True)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", server_header=False)
    return 0


def _is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine.

    >>> _is_loopback("localhost"), _is_loopback("127.0.0.2"), _is_loopback("0.0.0.0"), _is_loopback("town-pc")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
