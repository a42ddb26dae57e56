"""What every test shares: a home of its own, and the services of this machine, found or named as missing.

Services: PostgreSQL (server binaries; the tests start a private cluster), Chromium, and the real data sets that two variables point at.
A test that needs one takes its fixture; without the service it skips by name, and KIBAN_REQUIRE=postgres,browser,data makes that a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import uvicorn

    from kiban.catalogue import Catalogue

# The suite gives the same verdict each time; `make fuzz` looks further, elsewhere each time.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.register_profile("fuzz", deadline=None, max_examples=5000, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

NEEDS = {
    "postgres": "PostgreSQL server binaries (apt-get install postgresql)",
    "postgis": "PostGIS for that PostgreSQL (apt-get install postgresql-15-postgis-3)",
    "browser": "Chromium (apt-get install chromium)",
    "mosquitto": "Mosquitto (apt-get install mosquitto)",
    "office": "LibreOffice (apt-get install libreoffice-writer libreoffice-calc)",
    "data": "real data sets (set KIBAN_TEST_DATA)",
    "bench": "benchmark instances (set KIBAN_BENCH_DATA)",
}
KEPT = ("KIBAN_TEST_DATA", "KIBAN_BENCH_DATA", "KIBAN_REQUIRE")
HOME = pytest.StashKey[str]()


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).resolve() if value and Path(value).is_dir() else None


def _find() -> dict[str, Path | None]:
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = servers[-1] if servers else (Path(found) if (found := shutil.which("initdb")) else None)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    programs = initdb.resolve().parent if initdb else None
    shared = Path(f"/usr/share/postgresql/{programs.parent.name}/extension/postgis.control") if programs else None
    return {
        "postgres": programs,
        "postgis": programs if shared and shared.exists() else None,
        "browser": Path(chromium) if chromium else None,
        "mosquitto": Path(found) if (found := shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")) else None,
        "office": Path(found) if (found := shutil.which("soffice")) else None,
        "data": _folder("KIBAN_TEST_DATA"),
        "bench": _folder("KIBAN_BENCH_DATA"),
    }


SERVICES = _find()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kiban", metavar="COMMAND", help="the walk uses this installed kiban, such as that of a bundle")
    parser.addoption("--pictures", metavar="DIR", help="write the pictures of the documentation there (make pictures)")


def pytest_configure(config: pytest.Config) -> None:
    required = {name.strip() for name in os.environ.get("KIBAN_REQUIRE", "").split(",") if name.strip()}
    if unknown := required - set(NEEDS):
        raise pytest.UsageError(f"KIBAN_REQUIRE: found {', '.join(sorted(unknown))}; expected some of {', '.join(NEEDS)}")
    if missing := [name for name in NEEDS if name in required and SERVICES[name] is None]:
        raise pytest.UsageError("KIBAN_REQUIRE: missing " + "; ".join(NEEDS[name] for name in missing))

    # No test sees the user's home, database or settings, not even one that starts another process.
    home = tempfile.mkdtemp(prefix="kiban-test-home-")
    config.stash[HOME] = home
    for name in list(os.environ):
        if (name.startswith("KIBAN_") and name not in KEPT) or name.startswith("XDG_"):
            del os.environ[name]
    os.environ["HOME"] = home
    os.environ["KIBAN_STATE"] = f"{home}/state"


def pytest_unconfigure(config: pytest.Config) -> None:
    if home := config.stash.get(HOME, None):
        shutil.rmtree(home, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = [name for name in NEEDS if SERVICES[name] is not None]
    missing = [NEEDS[name] for name in NEEDS if SERVICES[name] is None]
    terminalreporter.write_line(f"services: {', '.join(found) or 'none'}; missing: {'; '.join(missing) or 'none'}")


def _service(name: str) -> Path:
    found = SERVICES[name]
    if found is None:
        pytest.skip(f"needs {NEEDS[name]}")
    return found


@pytest.fixture(scope="session")
def postgres_bin() -> Path:
    """The folder of initdb and pg_ctl; see also `postgres` for a running server."""
    return _service("postgres")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program."""
    return _service("browser")


@pytest.fixture(scope="session")
def postgis_bin() -> Path:
    """The same folder, of a server that has PostGIS."""
    return _service("postgis")


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The program of the MQTT broker."""
    return _service("mosquitto")


@pytest.fixture(scope="session")
def office() -> Path:
    """The program of LibreOffice (writer and calc)."""
    return _service("office")


@pytest.fixture(scope="session")
def shipped_catalogue() -> Catalogue:
    """The data files of the package."""
    from kiban.catalogue import load  # here and below: tests of one room do not wait for the others

    return load(None, None)


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory, shipped_catalogue: Catalogue) -> Path:
    """The plan folder of the example region, made once; tests of papers, pages and browser read it."""
    from kiban.loop.files import write_folder
    from kiban.loop.given import Given
    from kiban.loop.plan import make_plan
    from kiban.region import read

    region = read(Path(__file__).parent.parent / "examples" / "okunoto")
    given = Given(sentence="地震で孤立した集落と避難所の通信を確保したい", region=region, catalogue=shipped_catalogue, now=datetime(2026, 11, 23, tzinfo=UTC))
    target = tmp_path_factory.mktemp("plans") / "okunoto"
    write_folder(make_plan(given), region, shipped_catalogue, "ja", target)
    return target


@pytest.fixture(scope="module")
def serve(shipped_catalogue: Catalogue) -> Iterator[Callable[..., str]]:
    """Serves folders of plan folders on free ports of the loopback address: a folder (regions and jobs, so that plans can be made) → the address.

    They end with the file of tests, and what they keep things in is closed: each holds seven open files for its event loop and as many as nine for databases.
    """
    import uvicorn

    from kiban.web.app import create_app

    running: list[tuple[uvicorn.Server, threading.Thread]] = []
    held: list[Any] = []  # stores, sessions and logs

    def start(plans: Path, catalogue: Catalogue = shipped_catalogue, **making: Any) -> str:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)  # connections wait from now on
        app = create_app(plans, catalogue, "ja", ["127.0.0.1", *making.pop("names", [])], **making)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", lifespan="on" if making else "off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        running.append((server, thread))
        signing = making.get("signing")
        held.extend(one for one in (making.get("store"), signing and signing.sessions, signing and signing.audit) if one is not None)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join(10)
    for one in held:
        one.close()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data sets (KIBAN_TEST_DATA)."""
    return _service("data")


@pytest.fixture(scope="session")
def bench_data() -> Path:
    """The folder of benchmark instances (KIBAN_BENCH_DATA)."""
    return _service("bench")
