"""How long a plan takes, from one sentence to the files: `python bench/plan.py [--work N] [--skip-compile]`.

The example: the first-ever compile of the kernels (an empty cache folder), a new process with kernels cached (cold), a second plan in one
process (warm). Two regions from real files when KIBAN_TEST_DATA is set: seconds by phase, size, gap and status.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

from kiban.catalogue import Catalogue, load
from kiban.loop.files import read_inputs, refresh_folder, write_folder
from kiban.loop.given import Given
from kiban.loop.plan import Made, make_plan
from kiban.records.region import Region
from kiban.region import Detour, build, read
from kiban.region import Given as Input

EXAMPLE = Path(__file__).parent.parent / "examples" / "okunoto"
SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
COMPILE, COLD, WARM, TOWN, PAPERS = 60, 30, 8, 30, 15  # seconds that must not be passed
NOTO = (
    "municipality/localgovjp.csv",
    "municipality/ssdse2018.csv",
    "municipality/fiscal_indices_2005_2021.csv",
    "boundaries/ishikawa_s0010.geojson",
    "noto/noto_town_small_areas_population.geojson",
    "noto/shelters.geojson",
)
ANDORRA = ("andorra/andorra.osm.pbf", "andorra/N42E001.hgt.zip")


def run(arguments: list[str], **environment: str) -> tuple[float, str]:
    """Seconds of a new process, and what it printed."""
    begin = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
    return time.monotonic() - begin, done.stdout


def line(name: str, seconds: float, most: float, note: str = "") -> None:
    """One row of the table of limits."""
    print(f"{name:<58} {seconds:7.1f} s   limit {most:3.0f} s   {'ok' if seconds <= most else 'TOO SLOW'}   {note}", flush=True)


def timed(given: Given, catalogue: Catalogue, folder: Path) -> tuple[float, list[tuple[str, float]], Made]:
    """Seconds of a plan with its files in this process, the seconds of each phase, and the plan."""
    begin = time.monotonic()
    marks: list[tuple[str, float]] = []

    def tell(share: float, sentence: str) -> None:
        name = sentence.rpartition(" / ")[2]
        if share < 1 and (not marks or marks[-1][0] != name):
            marks.append((name, time.monotonic()))

    made = make_plan(given, tell)
    if made.plan is None:
        raise SystemExit("no plan came of the sentence")
    marks.append(("files", time.monotonic()))
    write_folder(made, given.region, catalogue, "ja", folder)
    end = time.monotonic()
    ends = [moment for _, moment in marks[1:]] + [end]
    return end - begin, [(name, after - moment) for (name, moment), after in zip(marks, ends, strict=True)], made


def example(work: int, catalogue: Catalogue, detour: Detour, scratch: Path, compile_kernels: bool) -> None:
    """The three times of the example."""
    warm, state = [sys.executable, "-m", "kiban.design.warm"], str(scratch / "state")
    command = [str(Path(sys.executable).parent / "kiban"), "plan", str(EXAMPLE), "--issue", SENTENCE, "--json", "--work", str(work), "-o", str(scratch / "out")]
    if compile_kernels:
        empty = str(scratch / "numba")
        line("first-ever compile of the kernels, nothing cached", run(warm, NUMBA_CACHE_DIR=empty)[0], COMPILE)
        line("example, new process with these kernels, data read afresh", run(command, KIBAN_STATE=state, NUMBA_CACHE_DIR=empty)[0], COLD)
    run(warm)
    seconds, text = run(command, KIBAN_STATE=state)
    told = json.loads(text)
    line("example, new process (cold)", seconds, COLD, f"{told['design']}, gap {told['gap']:.2%}, check {'holds' if told['check'] else 'FAILS'}")
    given = Given(sentence=SENTENCE, region=read(EXAMPLE, detour=detour), catalogue=catalogue, now=NOW, work=work)
    timed(given, catalogue, scratch / "first")
    line("example, second plan of one process (warm)", timed(given, catalogue, scratch / "second")[0], WARM)
    papers("example", catalogue, scratch / "second")


def papers(name: str, catalogue: Catalogue, folder: Path) -> None:
    """Money, verdict and all papers of a plan that stands."""
    begin = time.monotonic()
    made = refresh_folder(folder, catalogue, "ja", read_inputs(folder), NOW)
    line(f"{name}: money, verdict and all papers again", time.monotonic() - begin, PAPERS, f"{len(made)} files")


def town(region: Region, work: int, catalogue: Catalogue, scratch: Path, built: float) -> None:
    """One region of real files: size, result, seconds by phase."""
    given = Given(sentence=SENTENCE, region=region, catalogue=catalogue, now=NOW, work=work)
    seconds, phases, made = timed(given, catalogue, scratch / f"plan-{region.id}")
    assert made.designed is not None
    problem, design = made.designed.problem, made.designed.design
    size = f"{len(problem.demands)} demands, {len(problem.nodes)} nodes, {len(problem.arcs)} arcs"
    line(f"{region.name}: {size}", seconds, TOWN, f"{design.status}, gap {design.gap:.2%}, check {'holds' if made.designed.report.holds else 'FAILS'}")
    print(f"    built from files in {built:.1f} s; cost {design.cost:,}, bound {design.bound:,} yen, work {work}")
    print("    " + "; ".join(f"{name} {each:.1f}" for name, each in phases if each >= 0.05), flush=True)
    papers(region.name, catalogue, scratch / f"plan-{region.id}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=int, default=100, help="units of the solver's work")
    parser.add_argument("--skip-compile", action="store_true", help="leave out the first-ever compile")
    arguments = parser.parse_args()
    data = os.environ.get("KIBAN_TEST_DATA")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        catalogue = load(None, scratch / "cache")
        rule = catalogue.rule_at("detour-factor", NOW.date()).quantity
        detour = Detour(value=rule.value or 1.0, source=catalogue.rules["detour-factor"].sources[str(rule.source)])
        example(arguments.work, catalogue, detour, scratch, not arguments.skip_compile)
        if not data:
            print("real regions: left out, KIBAN_TEST_DATA is not set")
            return
        for id, files, code, label in (("noto", NOTO, "174637", None), ("andorra", ANDORRA, None, "Andorra")):
            begin = time.monotonic()
            inputs = [Input(Path(data) / file) for file in files]
            region = build(scratch / id, inputs, id=id, lg_code=code, name=label, today=date(2026, 11, 23), detour=detour, assume_exchange=True)
            town(region, arguments.work, catalogue, scratch, time.monotonic() - begin)


if __name__ == "__main__":
    main()
