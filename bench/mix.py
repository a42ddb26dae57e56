"""How good and how fast mixes are: `make bench-mix`, or `python bench/mix.py [--time S] [--only WORDS] [--changed] [--csv FILE]`.

Every instance of $KIBAN_BENCH_DATA/mix, each in a process of its own, 60 s (120 s from 80,000 nodes). Every solution is written to a file and judged by the
check_mix.py that stands beside the instances, and by kiban.check. Beside it what planning by rules costs: every site its cheapest technology, fibre by a
minimum spanning tree. `--changed` solves the same instances in other words: renumbered, reordered, turned around, costs × 7919.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import rustworkx
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from kiban.check.mix import check_mix
from kiban.design.mix import parse, solve
from kiban.records.mix import Mix, MixSolution

FACTOR = 7919
# family → (gate of free, gate of capacity, stretch of free, stretch of capacity), gaps in %; 0: proved
GATES = {"mix-2k": (0.0, 2.0, 0.0, 0.5), "mix-13k": (1.0, 3.0, 0.0, 1.5), "mix-geo-42k": (4.0, 6.0, 1.0, 2.0), "mix-geo-89k": (7.0, 10.0, 3.0, 5.0)}
PROTOTYPE = {"mix-2k": 4.9, "mix-13k": 2.6, "mix-geo-42k": 15.0, "mix-geo-89k": 15.6}  # % left by one dual ascent with slope scaling, free
GIB = 4.0
COLUMNS = ("instance", "nodes", "links", "sites", "facilities", "cost", "bound", "gap_percent", "status", "seconds", "peak_mib", "rounds", "first_gate_seconds",
           "judged", "rules", "rules_ratio")  # fmt: skip


def changed(mix: Mix) -> Mix:
    """The same problem in other words."""
    random = np.random.default_rng(11)
    node, facility, site = (random.permutation(many).tolist() for many in (mix.nodes, len(mix.facilities), len(mix.sites)))

    def shuffled(rows: list[Any]) -> tuple[Any, ...]:
        return tuple(rows[index] for index in random.permutation(len(rows)).tolist())

    def placed(rows: Any, places: list[int]) -> tuple[Any, ...]:
        found: list[Any] = [None] * len(rows)
        for row, place in zip(rows, places, strict=True):
            found[place] = row
        return tuple(found)

    def times(amount: float | None) -> float | None:
        return None if amount is None else round(amount * FACTOR, 3)

    return Mix(
        nodes=mix.nodes,
        root=node[mix.root],
        links=shuffled([(node[b], node[a], times(cost)) for a, b, cost in mix.links]),
        sites=placed([(node[at], demand) for at, demand in mix.sites], site),
        fibre_terminal=placed([times(cost) for cost in mix.fibre_terminal], site),
        sky=placed([times(cost) for cost in mix.sky], site),
        facilities=placed([(node[at], times(cost), room) for at, cost, room in mix.facilities], facility),
        serves=shuffled([(facility[f], site[s], times(cost)) for f, s, cost in mix.serves]),
        hops=shuffled([(facility[b], facility[a], times(cost)) for a, b, cost in mix.hops]),
    )


def by_rules(mix: Mix) -> MixSolution:
    """What planners do: each site the cheapest technology by itself, then fibre to all that need it by a minimum spanning tree.

    By itself: fibre costs its terminal and the way to the nearest other site, facility or the root; radio its terminal and an even share of the modules that
    the facility would need for all its sites, and of the way from it; sky its price.
    """
    ends = np.array([[a, b] for a, b, _ in mix.links])
    cost = np.array([c for *_, c in mix.links])
    matrix = coo_matrix((np.r_[cost, cost], (np.r_[ends[:, 0], ends[:, 1]], np.r_[ends[:, 1], ends[:, 0]])), shape=(mix.nodes, mix.nodes)).tocsr()
    points = sorted({mix.root, *(at for at, _ in mix.sites), *(at for at, *_ in mix.facilities)})
    far, _, whose = dijkstra(matrix, directed=False, indices=points, min_only=True, return_predecessors=True)
    near = dict.fromkeys(points, np.inf)
    for (a, b), c in zip(ends.tolist(), cost.tolist(), strict=True):
        if whose[a] != whose[b]:
            between = far[a] + c + far[b]
            near[int(whose[a])] = min(near[int(whose[a])], between)
            near[int(whose[b])] = min(near[int(whose[b])], between)
    reach: dict[int, list[int]] = {}
    for f, s, _ in mix.serves:
        reach.setdefault(f, []).append(s)
    share = {}
    for f, sites in reach.items():
        at, module, room = mix.facilities[f]
        many = 1 if room is None else max(1, int(np.ceil(sum(mix.sites[s][1] for s in sites) / room)))
        share[f] = (many * module + near[at]) / len(sites)
    best: list[tuple[float, tuple[Any, ...]]] = [
        min((float("inf") if mix.sky[s] is None else mix.sky[s], ("sky",)), (float(mix.fibre_terminal[s] or 0) + near[at], ("fibre",)))
        for s, (at, _) in enumerate(mix.sites)
    ]  # type: ignore[misc]
    for f, s, c in mix.serves:
        best[s] = min(best[s], (c + share[f], ("radio", f)))
    serve = tuple(how for _, how in best)
    load: dict[int, float] = {}
    for s, how in enumerate(serve):
        if how[0] == "radio":
            load[how[1]] = load.get(how[1], 0.0) + mix.sites[s][1]
    wanted = sorted({mix.root, *(mix.facilities[f][0] for f in load), *(at for (at, _), how in zip(mix.sites, serve, strict=True) if how[0] == "fibre")})
    graph: rustworkx.PyGraph[None, tuple[int, float]] = rustworkx.PyGraph()
    graph.add_nodes_from([None] * mix.nodes)
    graph.add_edges_from([(a, b, (index, c)) for index, (a, b, c) in enumerate(mix.links)])
    tree = rustworkx.steiner_tree(graph, wanted, lambda edge: edge[1]) if len(wanted) > 1 else None
    return MixSolution(
        links=tuple(sorted(index for index, _ in tree.edges())) if tree is not None else (),
        hops=(),
        open=tuple((f, 1 if (room := mix.facilities[f][2]) is None else max(1, int(np.ceil(carried / room)))) for f, carried in sorted(load.items())),
        serve=serve,
    )


def judged(judge: Path, instance: Path, solution: MixSolution) -> float:
    """The cost that the judge beside the instances finds; it refuses what is no solution."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(msgspec.json.encode(solution))
        file.flush()
        found = subprocess.run([sys.executable, str(judge), str(instance), file.name], capture_output=True, text=True, timeout=300, check=False)
    if found.returncode:
        raise SystemExit(f"{instance.name}: {found.stderr.strip()}")
    return float(found.stdout)


def one(file: Path, judge: Path, seconds: float, other: bool, gate: float) -> dict[str, Any]:
    """Everything about one instance; kernels are loaded before the clock runs."""
    solve(Mix(nodes=2, root=0, links=((0, 1, 5.0),), sites=((1, 1),), fibre_terminal=(1.0,), sky=(7.0,)), work=1)
    mix = parse(file.read_bytes(), file.name)
    if other:
        mix = changed(mix)
    first: list[float] = []

    def tell(now: Any) -> None:
        if not first and now.cost - now.lower_bound <= gate / 100 * now.cost:
            first.append(now.seconds)

    result = solve(mix, time_limit=seconds, tell=tell)
    peak = next((int(line.split()[1]) / 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")), 0.0) or (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    report, cost = check_mix(mix, result.solution)
    rules = by_rules(mix)
    with tempfile.TemporaryDirectory() as folder:
        given = file
        if other:
            given = Path(folder) / "changed.json.gz"
            given.write_bytes(gzip.compress(msgspec.json.encode(mix), 1))
        told, ruled = judged(judge, given, result.solution), judged(judge, given, rules)
    if not report.holds or abs(cost - told) > 1e-3 + 1e-9 * cost or abs(result.cost - told) > 1e-3 + 1e-9 * cost:
        raise SystemExit(f"{file.name}: costs {result.cost}, {cost} and {told} disagree")
    return {
        "nodes": mix.nodes, "links": len(mix.links), "sites": len(mix.sites), "facilities": len(mix.facilities), "cost": result.cost,
        "bound": result.lower_bound, "gap_percent": 100 * result.gap, "status": result.status, "seconds": result.seconds, "peak_mib": peak,
        "rounds": result.rounds, "first_gate_seconds": first[0] if first else None, "judged": told, "rules": ruled, "rules_ratio": ruled / result.cost,
    }  # fmt: skip


def limits(name: str) -> tuple[float, float]:
    """Gate and stretch of an instance, in %; of a family that has none: endless."""
    for family, (free, capacity, far_free, far_capacity) in GATES.items():
        if name.startswith(family):
            return (capacity, far_capacity) if "capacity" in name else (free, far_free)
    return float("inf"), float("inf")


def main() -> int:
    """Run, print one line per instance and whether the gates hold; 1 when one does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", type=float, default=0.0, metavar="S", help="seconds each (60, and 120 from 80,000 nodes)")
    parser.add_argument("--only", default="", metavar="WORDS", help="parts of names, with commas")
    parser.add_argument("--changed", action="store_true", help="the same instances in other words")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--one", type=Path, metavar="INSTANCE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    data = os.environ.get("KIBAN_BENCH_DATA")
    folder = Path(data) / "mix" if data else None
    if folder is None or not folder.is_dir():
        print("bench-mix: KIBAN_BENCH_DATA has no folder mix. Next: set KIBAN_BENCH_DATA to the folder of the benchmark instances", file=sys.stderr)
        return 2
    judge = folder / "check_mix.py"
    if args.one:
        print(json.dumps(one(args.one, judge, args.time, args.changed, limits(args.one.name)[0])))
        return 0
    rows, fails = [], 0
    print(f"{'instance':24} {'cost':>16} {'bound':>16} {'gap %':>8} {'gate':>7} {'s':>6} {'gate at s':>9} {'MiB':>6} {'rules ÷ mix':>11}  prototype %")
    for file in sorted(folder.glob("*.json.gz"), key=lambda path: (path.stat().st_size, path.name)):
        name = file.name.removesuffix(".json.gz")
        if args.only and not any(word in name for word in args.only.split(",")):
            continue
        size = int(match[1]) if (match := re.search(r"(\d+)k", name)) else 0
        seconds = args.time or (120.0 if size >= 80 else 60.0)
        command = [sys.executable, __file__, "--one", str(file), "--time", str(seconds), *(["--changed"] if args.changed else [])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 600, check=False)
        if done.returncode:
            print(f"{name:24} failed: {done.stderr.strip()[-300:]}", flush=True)
            fails += 1
            continue
        row = {"instance": name, **json.loads(done.stdout)}
        rows.append(row)
        gate, stretch = limits(name)
        good = (row["gap_percent"] <= gate or row["status"] == "proved") and row["peak_mib"] <= GIB * 1024
        fails += not good
        mark = "stretch" if row["gap_percent"] <= stretch else "holds" if good else "FAILS"
        first = "-" if row["first_gate_seconds"] is None else f"{row['first_gate_seconds']:.1f}"
        before = next((f"{value}" for family, value in PROTOTYPE.items() if name.startswith(family) and name.endswith("free")), "")
        print(f"{name:24} {row['cost']:16,.1f} {row['bound']:16,.1f} {row['gap_percent']:8.4f} {mark:>7} {row['seconds']:6.1f} {first:>9} "
              f"{row['peak_mib']:6.0f} {row['rules_ratio']:11.3f}  {before}", flush=True)  # fmt: skip
    print("worst of each family, gap %: " + ", ".join(
        f"{family} {max(row['gap_percent'] for row in rows if row['instance'].startswith(family)):.3f}" for family in GATES
        if any(row["instance"].startswith(family) for row in rows)))  # fmt: skip
    if args.csv:
        with args.csv.open("w", encoding="utf-8", newline="") as table:
            writer = csv.DictWriter(table, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    return 1 if fails or not rows else 0


if __name__ == "__main__":
    raise SystemExit(main())
