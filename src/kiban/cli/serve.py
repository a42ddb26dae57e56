"""`kiban serve`: the plan folders as pages on this machine."""

from __future__ import annotations

import argparse
import ipaddress
import secrets
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kiban.base.errors import KibanError
from kiban.base.settings import Settings

if TYPE_CHECKING:
    from kiban.store import Store
    from kiban.web.signing_in import Signing

WARM_AFTER = 1.0  # seconds after the server began to answer


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
    """Serve until interrupted. On an address of this machine alone nobody signs in; elsewhere, and with KIBAN_NAMES, everybody does."""
    import uvicorn  # only this command needs a server

    from kiban.catalogue import load
    from kiban.jobs import Jobs
    from kiban.loop.given import rule_detour
    from kiban.store import Opening
    from kiban.web.app import create_app
    from kiban.web.making import Regions

    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except socket.gaierror as error:
            raise KibanError("KIBAN_HOST", repr(settings.host), "an address of this machine, or 0.0.0.0 for all", "correct KIBAN_HOST") from error
        except OSError as error:
            raise KibanError("KIBAN_PORT", f"port {settings.port}: {error.strerror}", "a free port", f"KIBAN_PORT={settings.port + 1} kiban serve") from error
    plans = args.plans or settings.state / "plans"
    catalogue = load(settings.data, settings.state / "cache")
    regions = Regions(args.regions or settings.state / "regions", rule_detour(catalogue, date.today()))
    jobs = Jobs(settings.state / "jobs", [sys.executable, "-m", "kiban"], regions.folder, plans, lambda name: regions.open(name).id)
    jobs.claim()
    opening = Opening(lambda: _open_store(settings))
    store = cast("Store", opening)
    signing = _signing(settings, store)
    hosts = {"127.0.0.1", "localhost", "::1", settings.host, *settings.names}
    machine = socket.gethostname()  # never the full name: looking it up waits for a network that may not be there
    if signing.accounts is not None:
        hosts.add(machine)
    app = create_app(plans, catalogue, settings.lang, sorted(hosts), regions, jobs, store, signing, settings.state)
    for name in settings.names or (machine if settings.host in ("0.0.0.0", "::") else settings.host,):  # noqa: S104  compared, not bound
        print(f"kiban: http://{f'[{name}]' if ':' in name else name}:{settings.port}  ({plans})", flush=True)
    if signing.code:
        print(f"kiban: 設定コード / setup code: {signing.code}  → /setup", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning", server_header=False))
    trouble: list[KibanError] = []

    def later() -> None:
        while not server.started:
            time.sleep(WARM_AFTER / 10)
        time.sleep(WARM_AFTER)
        try:
            opening.opened()
        except KibanError as error:  # a server that cannot keep anything ends and says why
            trouble.append(error)
            server.should_exit = True
            return
        _load_engines()

    threading.Thread(target=later, name="later", daemon=True).start()
    with suppress(KeyboardInterrupt):  # stopped by hand: all that was kept is in the files
        server.run()
    if trouble:
        raise trouble[0]
    return 0 if server.started else 3


def _open_store(settings: Settings) -> Store:
    from kiban.store import open_store  # loads what reads databases: a quarter of the start

    return open_store(settings.db, settings.state / "kiban.db")


def _load_engines() -> None:
    """What the first look at a design needs, loaded while nobody waits for it."""
    import kiban.design.drill_figures
    import kiban.loop.files  # noqa: F401


def _signing(settings: Settings, store: Store) -> Signing:
    """The audit log, and where others can reach the server, accounts; while there is none, with a code that only the terminal shows."""
    from kiban.accounts import Accounts, Sessions, open_log
    from kiban.web.signing_in import Signing

    audit = open_log(settings.state)
    if _is_loopback(settings.host) and not settings.names:
        return Signing(audit)
    sessions = Sessions(settings.state / "sessions.db")
    accounts = Accounts(store, sessions)
    code = "" if accounts.any() else "-".join(f"{secrets.randbelow(10_000):04}" for _ in range(3))
    return Signing(audit, accounts, sessions, code)


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
