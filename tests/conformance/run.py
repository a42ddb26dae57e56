"""Runs a copy of the public conformance suite for NGSI-LD against `kiban broker` and compares with the last recorded run.

    python tests/conformance/run.py SUITE                       a broker of its own on SQLite, every area
    python tests/conformance/run.py SUITE --store postgres      on a private PostgreSQL
    python tests/conformance/run.py SUITE --url http://127.0.0.1:9090 --test 019_01_01

SUITE is a folder that the user fetched; nothing of it is kept here. It needs Robot Framework and its libraries in an environment
of their own (`--python`). docs/how-to/broker-conformance.md tells how to make both.
Exit code: 0 no test fails that passed in the record, 1 some do, 2 the run could not be made.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.conformance import doubts, renaming, scores  # noqa: E402  (after the path)
from tests.conformance.scores import Result  # noqa: E402

CORE = ROOT / "src" / "kiban" / "data" / "contexts"
TESTS = Path("TP") / "NGSI-LD"
# The broker may fetch the @contexts that the tests serve themselves, and notify on this machine.
BROKER_OPTIONS = ("--fetch-contexts", "--allow-endpoint", "127.0.0.0/8", "--allow-endpoint", "localhost")
# Of these hosts the suite names @contexts only to see them cached: an empty one serves as well.
STAND_IN_HOSTS = ("fiware.github.io", "smartdatamodels.org")
PORT = 9090
MOCKS = (8085, 8086, 8087)  # notifications, context sources, @contexts


class RunError(Exception):
    """The run cannot be made; the message says what is missing."""


# --- the @contexts that the suite names


def context_urls(suite: Path) -> set[str]:
    """Every address of an @context in the fixtures, tests and variables of the suite."""
    found: set[str] = set()
    for folder in ("data", "resources", "TP"):
        for file in (suite / folder).rglob("*"):
            if file.suffix in {".json", ".jsonld", ".robot", ".resource", ".py"}:
                found.update(re.findall(r"https?://[^\s\"'<>,`$(){}]+\.jsonld(?![\w-])", file.read_text("utf-8", errors="replace")))
    return found


def context_map(suite: Path, empty: Path, core_folder: Path = CORE) -> tuple[dict[str, str], list[str]]:
    """Map each address to a file: of the suite, the core context, or an empty stand-in; and the addresses that lead nowhere.

    empty        a file that is written: an @context without terms
    core_folder  holds the core context; the newest is taken for every version
    """
    own = {file.name: file for file in (suite / "resources" / "jsonld-contexts").glob("*.jsonld")}
    compound = next((file for name, file in own.items() if "compound" in name), None)
    cores = sorted(core_folder.glob("*core-context*.jsonld"))
    empty.write_text('{"@context": {}}\n', "utf-8")
    mapped: dict[str, str] = {}
    nowhere: list[str] = []
    for url in sorted(context_urls(suite)):
        name = url.rsplit("/", 1)[-1]
        if name in own:
            mapped[url] = str(own[name])
        elif re.fullmatch(r"https://uri\.etsi\.org/.*core-context(-v1\.\d+)?\.jsonld", url) and cores:
            mapped[url] = str(cores[-1])
        elif re.search(r"testsuite.*compound", name, re.IGNORECASE) and compound:
            mapped[url] = str(compound)
        elif urlsplit(url).hostname in STAND_IN_HOSTS:
            mapped[url] = str(empty)
        else:
            nowhere.append(url)
    return mapped, nowhere


def core_terms(core_folder: Path = CORE) -> set[str]:
    """The terms of the core context, which no renaming touches."""
    terms: set[str] = set()
    for file in core_folder.glob("*core-context*.jsonld"):
        given = json.loads(file.read_text("utf-8"))["@context"]
        for part in given if isinstance(given, list) else [given]:
            terms.update(part if isinstance(part, dict) else ())
    if not terms:
        raise RunError(f"{core_folder}: no core context; expected *core-context*.jsonld")
    return terms


# --- what runs beside the tests


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; it leads a process group."""
    for way, wait in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, way)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)


def listens(port: int) -> bool:
    """Whether something answers on this port of the machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(wanted: int) -> int:
    """The first free port from `wanted` on."""
    for port in range(wanted, wanted + 1000):
        if not listens(port):
            return port
    raise RunError(f"no free port from {wanted} on")


def mock_ports(stack: contextlib.ExitStack) -> int:
    """The first of three free ports that no other runner on this machine uses until `stack` is closed.

    The tests open and close their servers one by one, so a runner marks its three by holding a fourth, 10,000 above.
    """
    for first in range(MOCKS[0], MOCKS[0] + 300, len(MOCKS)):
        if any(listens(port) for port in range(first, first + len(MOCKS))):
            continue
        mark = stack.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            mark.bind(("127.0.0.1", first + 10_000))
            return first
    raise RunError(f"no three free ports from {MOCKS[0]} on")


def _found(program: str) -> str | None:
    return shutil.which(program) or next((path for path in (f"/usr/sbin/{program}",) if Path(path).exists()), None)


def mqtt_programs(folder: Path, suite: Path, second: int) -> str | None:
    """A folder for PATH in which `docker` starts the mosquitto of this machine, as the tests ask a container for it; None without mosquitto.

    The tests say `docker run … -e CONF=file …` and `docker rm -f name`. It listens on 1883 and on `second`, the port that the tests call non-default.
    """
    mosquitto = _found("mosquitto")
    if mosquitto is None:
        return None
    programs = folder / "programs"
    programs.mkdir()
    for given in sorted((suite / "resources" / "mqttUtils" / "mosquitto").glob("*.conf")):
        anonymous = "true" if re.search(r"^allow_anonymous true", given.read_text("utf-8"), re.MULTILINE) else "false"
        lines = ["listener 1883 127.0.0.1", f"listener {second} 127.0.0.1", f"allow_anonymous {anonymous}", "persistence false"]
        if anonymous == "false":
            users = folder / "mosquitto_users"
            users.write_text((given.parent / "mosquitto_pwd").read_text("utf-8").strip() + "\n", "utf-8")
            users.chmod(0o600)
            lines.append(f"password_file {users}")
        if os.getuid() == 0:
            lines.append("user root")
        (programs / given.name).write_text("\n".join(lines) + "\n", "utf-8")
    docker = programs / "docker"
    docker.write_text(
        f"""#!/bin/sh
pid={programs}/mosquitto.pid
if [ -f "$pid" ]; then kill "$(cat "$pid")"; rm -f "$pid"; sleep 0.3; fi
conf=
for word in "$@"; do case "$word" in CONF=*) conf=${{word#CONF=}};; esac; done
[ "$1" = run ] || exit 0
{mosquitto} -c {programs}/"$conf" >>{folder}/mosquitto.txt 2>&1 </dev/null &
echo $! >"$pid"
sleep 0.3
""",
        "utf-8",
    )
    docker.chmod(0o755)
    return str(programs)


@contextlib.contextmanager
def private_postgres() -> Iterator[str]:
    """A PostgreSQL in a folder of its own, reached through a socket there: the address of an empty database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        raise RunError("PostgreSQL server binaries are missing (apt-get install postgresql postgis)")
    programs = Path(initdb).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="kiban-pg-"))  # short: the path of a socket may have about 100 characters
    as_user: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o755)
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    password = secrets.token_hex(8)
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c shared_buffers=64MB"

    def run(program: str, *arguments: str) -> None:
        with (folder / "output").open("a") as output:  # pg_ctl leaves the server holding its output
            done = subprocess.run(
                [*as_user, str(programs / program), *arguments], cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=120
            )
        if done.returncode:
            raise RunError(f"{program}: {(folder / 'output').read_text()[-2000:]}")

    try:
        run("initdb", "-D", str(folder / "data"), "-U", "clerk", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-locale", "-N")
        run("pg_ctl", "-D", str(folder / "data"), "-w", "-t", "60", "-o", options, "start")
        try:
            yield f"postgresql://clerk:{password}@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(folder / "data"), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Broker:
    """The broker of this checkout, started with an empty database; `start` again after it died."""

    def __init__(self, port: int, db: str, contexts: Path, options: list[str], log: Path) -> None:
        self.port, self.log = port, log
        self.command = [sys.executable, "-m", "kiban", "broker", "--port", str(port), "--public-url", f"http://localhost:{port}"]
        self.command += ["--db", db, "--context-map", str(contexts), *options]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        if listens(self.port):
            raise RunError(f"port {self.port} is taken; end what listens there, or name it with --url, or choose another --port")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{self.port}"):
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RunError(f"the broker does not answer: {' '.join(self.command)}\n{self.log.read_text('utf-8', errors='replace')[-3000:]}")
            time.sleep(0.1)

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            stop(self.process)


def answers(base: str) -> bool:
    """Whether an HTTP server answers at this address, whatever it says."""
    try:
        with build_opener(ProxyHandler({})).open(f"{base}/ngsi-ld/v1/types", timeout=5):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


# --- the tests


def areas(suite: Path) -> list[Path]:
    """The top folders of the tests, relative to the suite; the one about context information is divided once more."""
    found: list[Path] = []
    for folder in sorted(path for path in (suite / TESTS).iterdir() if path.is_dir()):
        found += sorted(path for path in folder.iterdir() if path.is_dir()) if folder.name == "ContextInformation" else [folder]
    if not found:
        raise RunError(f"{suite}: no folder {TESTS}; expected a copy of the suite")
    return [area.relative_to(suite) for area in found]


def robot_command(given: argparse.Namespace, work: Path, base: str, mocks: int) -> list[str]:
    """The command of Robot Framework up to the names of the files of one process."""
    variables = {
        "url": f"{base}/ngsi-ld/v1",
        "temporal_api_url": f"{base}/ngsi-ld/v1",
        "notification_server_host": "127.0.0.1",
        "context_source_host": "127.0.0.1",
        "context_server_host": "127.0.0.1",
        "mqtt_broker_host": "127.0.0.1",
        "notification_server_port": str(mocks),
        "mqtt_broker_non_default_port": str(mocks),
        "context_source_port": str(mocks + 1),
        "context_server_port": str(mocks + 2),
        **dict(one.split(":", 1) for one in given.variable),
    }
    command = [
        str(given.python),
        "-m",
        "robot",
        "--runemptysuite",
        "--report",
        "NONE",
        "--console",
        "verbose",
        "--consolewidth",
        "200",
        "--outputdir",
        str(work),
    ]
    command += ["--log", "log.html" if given.out else "NONE", "--pythonpath", str(HERE), "--pythonpath", "libraries/robotframework-httpctrl/src"]
    for name, value in variables.items():
        command += ["--variable", f"{name}:{value}"]
    for option in ("include", "exclude", "suite"):
        for value in getattr(given, option):
            command += [f"--{option}", value]
    for value in given.test:
        command += ["--test", value if re.search(r"[*? ]", value) else f"{value}*"]
    return command


def run_area(given: argparse.Namespace, suite: Path, area: Path, work: Path, base: str, mocks: int, mqtt: str | None) -> list[Result]:
    """Run the tests of one folder; a process that hangs is ended, its test fails, and another process does the rest."""
    work.mkdir(parents=True)
    progress, ended = work / "progress.jsonl", work / "ended.txt"
    progress.touch()
    # No proxy between the tests, the broker and the servers that the tests open themselves.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | {"PYTHONDONTWRITEBYTECODE": "1"}
    if mqtt:
        environment["PATH"] = f"{mqtt}{os.pathsep}{environment['PATH']}"
    started: dict[str, dict[str, object]] = {}
    results: dict[str, Result] = {}

    def read() -> None:
        for line in progress.read_text("utf-8").splitlines():
            row = json.loads(line)
            if "begun" in row:
                started[row["begun"]] = row
            elif row["status"] != "SKIP" and row["ended"] not in results:
                results[row["ended"]] = _result(area, started[row["ended"]], row)

    for attempt in range(100):
        ended.write_text("".join(f"{name}\n" for name in results), "utf-8")
        command = robot_command(given, work, base, mocks)
        command += ["--output", f"output-{attempt}.xml", "--prerunmodifier", f"robot_side.Limit:{given.timeout}:{ended}"]
        command += ["--listener", f"robot_side.Progress:{progress}", str(area)]
        with (work / "robot.txt").open("ab") as output:
            process = subprocess.Popen(command, cwd=suite, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
            try:
                hung = not _ends(process, progress, 2 * given.timeout + 60)
            finally:
                stop(process)
        read()
        if not hung:
            if process.returncode > 250:
                raise RunError(f"Robot Framework ended with {process.returncode}:\n{(work / 'robot.txt').read_text('utf-8', errors='replace')[-3000:]}")
            break
        for name, row in started.items():
            if name not in results:
                results[name] = _result(area, row, {"status": "FAIL", "message": "no end in sight: the runner ended the process", "seconds": 0.0})
    return list(results.values())


def _ends(process: subprocess.Popen[bytes], progress: Path, patience: float) -> bool:
    """Wait for the process; False where it wrote no progress for so many seconds."""
    size, since = -1, time.monotonic()
    while process.poll() is None:
        if (now := progress.stat().st_size) != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > patience:
            return False
        time.sleep(0.2)
    return True


def _result(area: Path, begun: dict[str, object], ended: dict[str, object]) -> Result:
    tags = begun["tags"]
    assert isinstance(tags, list)
    name = str(begun["name"])
    return Result(
        area=area.name,
        file=Path(str(begun["file"])).stem,
        id=name.split()[0],
        passed=ended["status"] == "PASS",
        clauses=scores.clauses(tags),
        message=str(ended["message"]),
        seconds=float(str(ended["seconds"])),
    )


# --- the report


def report(results: list[Result], before: scores.Record | None, names: list[doubts.Named] | None) -> scores.Comparison:
    """Print the score, raw first; then each failure with clause and reason; then what changed."""
    found = scores.compare(results, before)
    print(*scores.table(found), sep="\n")
    print(f"\nraw: {scores.share(results)}")
    why: dict[str, doubts.Named | None] = {}
    if names is not None:
        for headings, where in ((True, "in its headings"), (False, "anywhere")):
            rest = [one for one in results if doubts.reason(one.id, names, headings=headings) is None]
            print(f"without the {len(results) - len(rest)} that testsuite-doubts.md names {where}: {scores.share(rest)}")
        why = {one.id: doubts.reason(one.id, names, headings=True) or doubts.reason(one.id, names, headings=False) for one in results if not one.passed}
    failing = [one for one in results if not one.passed]
    if failing:
        print(f"\n{len(failing)} fail:")
    for one in failing:
        doubt = f"  (testsuite-doubts.md:{name.line})" if (name := why.get(one.id)) else ""
        print(f"  {one.area}  {one.key}  [{', '.join(one.clauses)}]{doubt}\n      {scores.first_line(one.message)}")
    for title, keys in (("newly failing", found.newly_failing), ("mended", found.mended)):
        if before and keys:
            print(f"\n{title} since the record ({len(keys)}): {', '.join(keys)}")
    return found


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Run a copy of the NGSI-LD conformance suite against kiban broker.")
    parser.add_argument("suite", type=Path, help="folder of the copy of the suite")
    parser.add_argument(
        "--python", type=Path, help="Python with Robot Framework and the libraries of the suite (default: ../venv/bin/python of SUITE, else this one)"
    )
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="where the broker keeps its data")
    parser.add_argument("--url", help="a broker that runs already, such as http://127.0.0.1:9090; none is started")
    parser.add_argument("--port", type=int, help=f"port of the broker that is started (default: {PORT}, which two tests know, or the next free one)")
    parser.add_argument(
        "--broker-option", action="append", default=[], metavar="OPTION", help=f"a further option of kiban broker (always: {' '.join(BROKER_OPTIONS)})"
    )
    parser.add_argument("--context-map", type=Path, metavar="FILE", help="write the map of @contexts there, for a broker of your own, and end")
    parser.add_argument("--fresh", action="store_true", help="an empty database for each area, instead of one for the run")
    parser.add_argument("--area", action="append", default=[], help="only this area, such as Provision (may be repeated, as the next four)")
    parser.add_argument("--suite", dest="suite_filter", action="append", default=[], help="only test files of this name, such as 001_01")
    parser.add_argument("--test", action="append", default=[], help="only tests whose name begins so, such as 019_01_01")
    parser.add_argument("--include", action="append", default=[], help="only tests with this tag, such as 5_7_2")
    parser.add_argument("--exclude", action="append", default=[], help="no tests with this tag")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME:VALUE", help="a further variable of the suite")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one test")
    parser.add_argument("--renamed", type=int, metavar="SEED", help="on a temporary copy with renamed fixtures")
    parser.add_argument(
        "--doubts", nargs="?", const=Path(), type=Path, metavar="FILE", help="also the score without the tests that testsuite-doubts.md of the suite names"
    )
    parser.add_argument("--recorded", type=Path, help="the record to compare with (default: tests/conformance/recorded/SUITE-STORE.json)")
    parser.add_argument("--record", action="store_true", help="write the record anew; only after a run of everything")
    parser.add_argument("--out", type=Path, help="keep logs of Robot Framework and the broker in this folder, which is made anew")
    parsed = parser.parse_args(given)
    parsed.folder, parsed.suite = parsed.suite.resolve(), parsed.suite_filter
    if parsed.python is None:
        beside = parsed.folder.parent / "venv" / "bin" / "python"
        parsed.python = beside if beside.exists() else Path(sys.executable)
    if parsed.record and parsed.renamed is not None:
        parser.error("--record keeps runs on the fixtures as they are; leave --renamed out")
    if parsed.record and (parsed.area or parsed.suite or parsed.test or parsed.include or parsed.exclude):
        parser.error("--record keeps whole runs only; leave the filters out")
    return parsed


def main(given: argparse.Namespace) -> int:
    """Run as the options say; the exit code."""
    chosen = [area for area in areas(given.folder) if not given.area or area.name.lower() in {name.lower() for name in given.area}]
    if not chosen:
        raise RunError(f"no such area: {', '.join(given.area)}; expected {', '.join(area.name for area in areas(given.folder))}")
    names = None
    if given.doubts is not None:
        names = doubts.named((given.folder / given.doubts if given.doubts.name else given.folder / "testsuite-doubts.md").read_text("utf-8"))

    with contextlib.ExitStack() as stack:
        if given.out:
            shutil.rmtree(given.out, ignore_errors=True)
            given.out.mkdir(parents=True)
            work = given.out.resolve()
        else:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiban-conformance-")))

        suite = given.folder
        if given.renamed is not None:
            suite = work / "suite"
            plan = renaming.plan(given.folder, core_terms(), given.renamed)
            renaming.copy(given.folder, suite, plan)
            print("renamed: " + ", ".join(f"{old} → {new}" for old, new in plan.words.items()))
            print(f"  urn:ngsi-ld:… → urn:{plan.authority}:…, {renaming.PREFIX} → {plan.prefix}, limits of 10 or more + {plan.limit}")

        mapped, nowhere = context_map(suite, work / "empty.jsonld")
        contexts = given.context_map.resolve() if given.context_map else work / "contexts.json"
        contexts.write_text(json.dumps(mapped, indent=1) + "\n", "utf-8")
        print(f"{len(mapped)} @contexts mapped to files; named but nowhere to be found: {', '.join(nowhere) or 'none'}")
        if given.context_map:
            return 0

        mocks = mock_ports(stack)
        mqtt = mqtt_programs(work, given.folder, mocks)
        print("mosquitto: " + ("started by the tests that need it" if mqtt else "missing; the tests of MQTT will fail (apt-get install mosquitto)"))

        results: list[Result] = []
        broker: Broker | None = None
        port = given.port or free_port(PORT)
        if not given.url and port != PORT:
            print(f"port {port} instead of {PORT}: the few tests that know only {PORT} will fail")
        base = given.url.rstrip("/").removesuffix("/ngsi-ld/v1") if given.url else f"http://127.0.0.1:{port}"
        if given.url and not answers(base):
            raise RunError(f"{base}: nothing answers there")
        for area in chosen:
            if not given.url and (broker is None or given.fresh or not broker.alive()):
                if broker is not None:
                    broker.stop()
                db = stack.enter_context(private_postgres()) if given.store == "postgres" else f"{work / f'broker-{area.name}.db'}"
                broker = Broker(port, db, contexts, [*BROKER_OPTIONS, *given.broker_option], work / "broker.txt")
                stack.callback(broker.stop)
                broker.start()
            begun = time.monotonic()
            found = run_area(given, suite, area, work / area.name, base, mocks, mqtt)
            results += found
            if found:
                print(f"{area.name}: {scores.share(found)} in {time.monotonic() - begun:.0f} s", flush=True)
            if broker is not None and not broker.alive():
                print(f"the broker ended by itself during {area.name}")
        if not results:
            raise RunError("no test fits the filters")

    kept = given.recorded or HERE / "recorded" / f"{given.folder.name}-{given.store}.json"
    print()
    found_now = report(results, scores.load(kept), names)
    if given.record:
        about = {"suite": given.folder.name, "store": given.store, "day": datetime.now(UTC).date().isoformat()}
        scores.save(kept, scores.record(results, about))
        print(f"\nrecorded: {kept.name}")
        return 0
    return 1 if found_now.newly_failing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(arguments()))
    except RunError as error:
        print(f"run.py: {error}", file=sys.stderr)
        sys.exit(2)
