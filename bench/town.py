"""How long the plan of a whole town takes, and how long it is silent: `python bench/town.py [SITES LINKS] [--work N] [--time S] [--papers] [--cancel S]`.

1,000 sites of seven kinds, four use cases, about 20,000 street links with two old fibre plants, the catalogue's own technologies and prices. The place
and its streets are drawn from a seed. Prints seconds by phase, what the main thread was doing in them (sampled), the longest silence between two calls of
progress, and the design; with --cancel how long after that many seconds of work the answer to a cancel took.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from design_regions import HERE, draw
from kiban import cli
from kiban.base.errors import Cancelled
from kiban.catalogue import Catalogue, load
from kiban.loop.files import write_folder
from kiban.loop.given import Given
from kiban.loop.plan import make_plan
from kiban.records.region import Plant, Region

SENTENCE = "地震で孤立した集落と避難所の通信を確保したい"
MODEL = "shelter-comms/1"
USECASES = ("shelter", "river_gauge", "telemedicine", "video_session")
KINDS = {"hamlet": 30, "shelter": 25, "river": 15, "hall": 10, "clinic": 8, "school": 7, "office": 5}
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
EVERY = 0.02  # seconds between two looks at the main thread


def town(sites: int, links: int, seed: int = 0) -> Region:
    """A drawn region whose sites are of the kinds that the four use cases speak of."""
    region, *_ = draw(sites, round(links / 1.62), seed)
    chance = random.Random(seed + 1)
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=sites)
    rows = tuple(
        replace(site, kind=kind, covered={"public-lte-5g": site.covered["lte"]}, households=chance.randint(5, 200))  # type: ignore[arg-type]
        for site, kind in zip(region.sites, kinds, strict=True)
    )
    plants = tuple(Plant(id=f"plant-{number}", name="光", technology="public-fibre", evidence=HERE, year_built=2009 + number) for number in range(2))
    along = {row: number for number, row in enumerate(("040", "060"))}  # the streets of two rows of crossings
    streets = tuple(
        replace(street, plant=f"plant-{along[street.a[1:4]]}") if street.a[1:4] == street.b[1:4] and street.a[1:4] in along else street
        for street in region.streets
    )
    return replace(region, sites=rows, plants=plants, streets=streets, attach=_joined(region))


def _joined(region: Region) -> dict[str, tuple[str, float]]:
    """Whatever hangs on a piece of streets of its own, joined to the first crossing of the largest piece instead."""
    number = {junction.id: index for index, junction in enumerate(region.junctions)}
    ends = np.array([(number[street.a], number[street.b]) for street in region.streets])
    _, piece = connected_components(coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(number), len(number))), directed=False)
    largest = int(np.bincount(piece).argmax())
    first = region.junctions[int(np.flatnonzero(piece == largest)[0])].id
    return {id: (at if piece[number[at]] == largest else first, metres) for id, (at, metres) in region.attach.items()}


def catalogue_of(scratch: Path) -> Catalogue:
    """The catalogue, with a model of all four use cases, which all have the words of the first."""
    catalogue = load(None, scratch / "cache")
    words = catalogue.usecases[USECASES[0]].words
    usecases = {id: replace(one, words=words) if id in USECASES else one for id, one in catalogue.usecases.items()}
    return replace(catalogue, usecases=usecases, models={**catalogue.models, MODEL: replace(catalogue.models[MODEL], usecases=USECASES)})


class Watch:
    """Remembers when progress was told what, and what the main thread was doing."""

    def __init__(self) -> None:
        self.begin = self.last = time.monotonic()
        self.cpu, self.share = time.process_time(), 0.0
        self.told: list[tuple[float, float, str]] = []  # when, after how much silence, what
        self.seen: Counter[tuple[str, str]] = Counter()
        self.ended = threading.Event()
        self.main = threading.get_ident()

    def tell(self, share: float, sentence: str) -> None:
        """A Progress."""
        now = time.monotonic()
        self.share = share
        self.told.append((now, now - self.last, sentence.rpartition(" / ")[2]))
        self.last = now

    def look(self) -> None:
        """Count which functions of the loop run, and the innermost function of kiban below each."""
        while not self.ended.wait(EVERY):
            frame, names = sys._current_frames().get(self.main), []
            while frame is not None:
                if "/kiban/" in frame.f_code.co_filename:
                    names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
                frame = frame.f_back
            outer = [name for name in reversed(names) if not name.startswith(("plan.", "cli."))]
            if "design.design_step" in outer:
                outer = outer[outer.index("design.design_step") + 1 :] or ["design.design_step"]
            if outer:
                self.seen[outer[0] + (f" > {outer[1]}" if len(outer) > 1 else ""), names[0]] += 1

    def silences(self) -> list[tuple[float, str]]:
        """The longest silences and what was said before each."""
        found = [(gap, self.told[index - 1][2] if index else "start") for index, (_, gap, _) in enumerate(self.told)]
        return sorted(found, reverse=True)[:5]

    def report(self, end: float) -> None:
        """Print the phases, what ran, and the silences."""
        phases: dict[str, float] = {}
        ends = [when for when, _, _ in self.told[1:]] + [end]
        for (when, _, name), after in zip(self.told, ends, strict=True):
            phases[name] = phases.get(name, 0.0) + after - when
        print("  phases: " + "; ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items() if seconds >= 0.05))
        total: Counter[str] = Counter()
        for (outer, _), count in self.seen.items():
            total[outer] += count
        for outer, count in total.most_common(18):
            inner = Counter({name: many for (one, name), many in self.seen.items() if one == outer}).most_common(4)
            print(f"  {count * EVERY:7.1f} s  {outer}  [" + ", ".join(f"{name} {many * EVERY:.1f}" for name, many in inner) + "]")
        print("  longest silences: " + "; ".join(f"{gap:.1f} s after “{name}”" for gap, name in self.silences()), flush=True)


def run(sites: int, links: int, work: int, time_limit: float | None, papers: bool, cancel_after: float | None) -> None:
    """One plan."""
    gc.set_threshold(cli.YOUNG)  # as the command does
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        region, catalogue = town(sites, links), catalogue_of(scratch)
        given = Given(sentence=SENTENCE, region=region, catalogue=catalogue, now=NOW, work=work, time_limit=time_limit)
        watch = Watch()
        threading.Thread(target=watch.look, daemon=True).start()
        asked = (lambda: time.monotonic() - watch.begin > cancel_after) if cancel_after is not None else (lambda: False)
        try:
            made = make_plan(given, watch.tell, asked)
        except Cancelled:
            print(f"cancelled after {cancel_after} s without a design: answered after {time.monotonic() - watch.begin - (cancel_after or 0):.2f} s")
            return
        planned, cpu = time.monotonic(), time.process_time() - watch.cpu
        if made.plan is None or made.designed is None:
            raise SystemExit(f"no plan: {made.issue.status} {[match.id for match in made.issue.usecases]}")
        written = None
        if papers:
            write_folder(made, region, catalogue, "ja", scratch / "out")
            written = time.monotonic() - planned
        watch.ended.set()
        problem, design = made.designed.problem, made.designed.design
        wanted = len(next(step for step in made.plan.steps if step.id == "needs").body["wanted"])
        print(
            f"{sites} sites, {len(region.streets)} links, {wanted} pairs: {len(problem.nodes)} nodes, {len(problem.arcs)} arcs, {len(problem.demands)} demands"
        )
        print(
            f"  plan {planned - watch.begin:.1f} s, of which the processor {cpu:.1f} s" + (f", files and papers {written:.1f} s" if written is not None else "")
        )
        print(f"  cost {design.cost:,} bound {design.bound:,} gap {design.gap:.2%} {design.status}, check {'holds' if made.designed.report.holds else 'FAILS'}")
        if cancel_after is not None:
            print(f"  cancelled after {cancel_after} s: the plan was there {planned - watch.begin - cancel_after:.2f} s later")
        watch.report(planned)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="*", type=int, default=[1000, 20000], metavar="N", help="sites and links")
    parser.add_argument("--work", type=int, default=100)
    parser.add_argument("--time", type=float)
    parser.add_argument("--papers", action="store_true")
    parser.add_argument("--cancel", type=float)
    given = parser.parse_args()
    run(*given.size, given.work, given.time, given.papers, given.cancel)
