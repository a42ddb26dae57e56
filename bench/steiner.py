"""How good and how fast Steiner trees are: `python bench/steiner.py [--time S] [--only WORDS] [--streets LINKS] [--long] [--reductions] [--csv FILE]`.

Every instance of $KIBAN_BENCH_DATA/steiner/index.csv (columns file, n, m, t, upper, group), each in a process of its own, so that the peak of memory is that
instance's; then planning by a minimum spanning tree on the same graph. Rows are written to the csv as they come; at the end one table per family, and
whether the gates hold.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rustworkx

from kiban.design.steiner import REDUCTIONS, Instance, check, parse, solve
from streets import make_streets

PEER = "minimum spanning tree planning (rustworkx.steiner_tree, K. Mehlhorn 1988)"
FAMILIES = ("vienna-i", "vienna-geo", "others", "streets")
COLUMNS = (
    "instance", "family", "vertices", "edges", "terminals", "cost", "best_known", "above_percent", "bound", "gap_percent", "status", "seconds", "peak_mib",
    "mst_cost", "mst_above_percent", "mst_seconds", "first_tree_seconds", "first_bound_seconds", "two_percent_seconds", "rounds",
)  # fmt: skip
FACTOR = 7919
GRACE = 2.0  # seconds after the limit that an answer may take
STREETS_GIB = 4.0
# family, what, limit, the figure of its rows; a gate of a mean is told as such
Row = dict[str, Any]
GATES: tuple[tuple[str, str, float, Callable[[list[Row]], float]], ...] = (
    ("vienna-i", "cost above best known, % each", 0.02, lambda rows: max(row["above_percent"] for row in rows)),
    ("vienna-i", "gap, % on average", 0.05, lambda rows: mean(row["gap_percent"] for row in rows)),
    ("vienna-i", "gap, % each", 0.1, lambda rows: max(row["gap_percent"] for row in rows)),
    ("vienna-geo", "cost above best known, % each", 0.15, lambda rows: max(row["above_percent"] for row in rows)),
    ("vienna-geo", "gap, % on average", 1.0, lambda rows: mean(row["gap_percent"] for row in rows)),
    ("others", "cost above best known, % on average", 0.5, lambda rows: mean(row["above_percent"] for row in rows)),
    ("streets", "seconds beyond the limit", GRACE, lambda rows: max(row["seconds"] - row["limit"] for row in rows)),
    ("streets", "memory, GiB", STREETS_GIB, lambda rows: max(row["peak_mib"] for row in rows) / 1024),
)


def mean(values: Iterable[float]) -> float:
    """The average."""
    listed = list(values)
    return sum(listed) / len(listed)


# ------------------------------------------------------------------------------------------------ one instance, in its own process


def peak_mib() -> float:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count the parent's as well
        return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def changed(instance: Instance) -> Instance:
    """The same problem in other words: vertices renamed, edges in another order and turned around, costs × FACTOR, a dangling edge at every tenth vertex."""
    random = np.random.default_rng(7)
    ends = np.arange(0, instance.count, 10)
    dangling = np.column_stack([ends, instance.count + np.arange(len(ends)), random.integers(0, instance.edges[:, 2].max() + 1, len(ends))])
    count = instance.count + len(ends)
    edges, name = np.concatenate([instance.edges, dangling]), random.permutation(count)
    edges = np.column_stack([name[edges[:, :2]], edges[:, 2] * FACTOR])
    turned = random.random(len(edges)) < 0.5
    edges[turned, :2] = edges[turned][:, [1, 0]]
    return Instance(count, np.ascontiguousarray(edges[random.permutation(len(edges))]), np.sort(name[instance.terminals]).astype(np.int64))


def one(file: str, streets: int, seconds: float, threads: int, seed: int, memory: float, other: bool, certify: bool) -> Row:
    """Everything about one instance; kernels are loaded before the clock runs."""
    solve(make_streets(600, 1), work=2)
    instance = make_streets(streets, seed) if streets else parse(Path(file).read_bytes(), file)
    if other:
        instance = changed(instance)
    first: dict[str, float | None] = {"tree": None, "bound": None, "two": None}

    def tell(now: Any) -> None:
        for name, there in (("tree", True), ("bound", now.lower_bound > 0), ("two", now.cost - now.lower_bound <= 0.02 * now.cost)):
            if there and first[name] is None:
                first[name] = now.seconds

    result = solve(instance, seed=seed, time_limit=seconds, threads=threads, memory_gib=memory, certify=certify, tell=tell)
    peak = peak_mib()
    if certify and (result.certificate is None or result.certificate.bound != result.lower_bound or not check(instance, result.certificate).holds):
        raise SystemExit("the certificate does not hold")
    begin = time.perf_counter()
    peer = spanning(instance)
    return {
        "vertices": instance.count, "edges": len(instance.edges), "terminals": len(instance.terminals), "cost": result.cost, "bound": result.lower_bound,
        "gap_percent": 100 * result.gap, "status": result.status, "seconds": result.seconds, "peak_mib": peak, "mst_cost": peer,
        "mst_seconds": time.perf_counter() - begin, "first_tree_seconds": first["tree"], "first_bound_seconds": first["bound"],
        "two_percent_seconds": first["two"], "rounds": result.rounds,
        "reductions": [[row.name, row.edges, row.vertices, row.seconds] for row in result.reductions],
    }  # fmt: skip


def spanning(instance: Instance) -> int:
    """Cost of the tree that planners draw: shortest ways between terminals, their spanning tree, its union made a tree again, dead ends taken off."""
    graph: rustworkx.PyGraph[None, float] = rustworkx.PyGraph()
    graph.add_nodes_from([None] * instance.count)
    graph.add_edges_from([(u, v, float(cost)) for u, v, cost in instance.edges.tolist()])
    if len(instance.terminals) < 2:
        return 0
    return round(sum(rustworkx.steiner_tree(graph, instance.terminals.tolist(), float).edges()))


# ------------------------------------------------------------------------------------------------ all of them


def family_of(group: str) -> str:
    """The family of a group of the index."""
    return "vienna-i" if group.startswith("vienna-i") else "vienna-geo" if group.startswith("vienna-geo") else "others"


def wanted(args: argparse.Namespace) -> list[tuple[str, str, str, int, int | None, float]]:
    """Name, family, file, links of a drawn one (else 0), best known cost, seconds."""
    only = [word for word in args.only.split(",") if word]
    listed: list[tuple[str, str, str, int, int | None, float]] = []
    data = os.environ.get("KIBAN_BENCH_DATA")
    folder = Path(data) / "steiner" if data else None
    if folder is not None and (folder / "index.csv").is_file():
        with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                family = family_of(row["group"])
                seconds = 600.0 if args.long and family == "vienna-geo" else args.time
                if args.links and int(row["m"]) > args.links:
                    continue
                if not only or any(word in text for word in only for text in (row["file"], row["group"], family)):
                    listed.append((row["file"].split(".")[0], family, str(folder / row["file"]), 0, int(row["upper"]), seconds))
    elif not args.streets:
        print(f"bench-steiner: {'no index.csv in ' + str(folder) if folder else 'KIBAN_BENCH_DATA is not set'}. Next: set KIBAN_BENCH_DATA", file=sys.stderr)
        raise SystemExit(2)
    listed.sort(key=lambda item: (FAMILIES.index(item[1]), item[0]))
    return listed + [(f"streets-{links}", "streets", "", links, None, args.time) for links in args.streets]


def run(item: tuple[str, str, str, int, int | None, float], args: argparse.Namespace) -> Row | None:
    """The row of one instance, None when its process failed."""
    name, family, file, links, best, seconds = item
    words = [sys.executable, __file__, "--one", file or "-", "--streets", str(links or ""), "--time", str(seconds)]
    words += ["--changed"] * args.changed + ["--certify"] * args.certify
    words += ["--threads", str(args.threads), "--seed", str(args.seed), "--memory", str(args.memory)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{name}: exit {done.returncode}\n{done.stderr[-2000:]}", flush=True)
        return None
    row: Row = json.loads(done.stdout.splitlines()[-1])
    best = None if best is None else best * (FACTOR if args.changed else 1)
    above = None if best is None else 100 * (row["cost"] - best) / max(1, best)
    worse = 100 * (row["mst_cost"] - row["cost"]) / max(1, row["cost"])
    mst = worse if best is None else 100 * (row["mst_cost"] - best) / max(1, best)  # above the best known cost, else above ours
    return {"instance": name, "family": family, "best_known": best, "above_percent": above, "mst_above_percent": mst, "limit": seconds, **row}


def line(row: Row) -> str:
    """One row, read by people."""
    above = "       —" if row["above_percent"] is None else f"{row['above_percent']:8.4f}"
    return (
        f"{row['instance']:<16} {row['edges']:>9,} links {row['terminals']:>6,} terminals | {row['cost']:>14,} above {above} % gap {row['gap_percent']:8.4f} %"
        f" {row['status']:<7} {row['seconds']:6.1f} s {row['peak_mib']:6.0f} MiB {row['rounds']:>4} rounds | spanning tree {row['mst_above_percent']:7.3f} %"
        f" {row['mst_seconds']:5.1f} s"
    )


def print_families(rows: list[Row]) -> None:
    """A table, one row a family."""
    print(f"\n{'family':<11} {'number':>6} {'proved':>6} | {'above best known, %':^42} | {'gap, %':^42}")
    print(f"{'':<11} {'':>6} {'':>6} | {'mean':>9} {'worst':>9}  {'':<22} | {'mean':>9} {'worst':>9}  {'':<22}")
    for family, group in grouped(rows):
        gap = max(group, key=lambda row: row["gap_percent"])
        known = [row for row in group if row["above_percent"] is not None]
        above = max(known, key=lambda row: row["above_percent"]) if known else None
        cost = (
            f"{mean(row['above_percent'] for row in known):9.4f} {above['above_percent']:9.4f}  {above['instance']:<22}"
            if above
            else f"{'—':>9} {'—':>9}  {'':<22}"
        )
        print(
            f"{family:<11} {len(group):>6} {sum(row['status'] == 'proved' for row in group):>6} | {cost} | {mean(row['gap_percent'] for row in group):9.4f}"
            f" {gap['gap_percent']:9.4f}  {gap['instance']:<22}"
        )
    print(f"\n{PEER}\n{'family':<11} {'cost ÷ ours, mean':>18} {'worst':>8} {'seconds, mean':>14}")
    for family, group in grouped(rows):
        ratios = [row["mst_cost"] / row["cost"] if row["cost"] else 1.0 for row in group]
        print(f"{family:<11} {mean(ratios):>18.4f} {max(ratios):>8.4f} {mean(row['mst_seconds'] for row in group):>14.2f}")


def print_growth(rows: list[Row]) -> None:
    """Exponents b of seconds ≈ a × links^b, by least squares of the logarithms."""
    names = (("first_tree_seconds", "first tree"), ("first_bound_seconds", "first bound"), ("two_percent_seconds", "gap below 2 %"), ("seconds", "end"))
    for title, group in (("streets", [row for row in rows if row["family"] == "streets"]), ("vienna", [row for row in rows if "vienna" in row["family"]])):
        found = []
        for column, told in names:
            points = [(math.log(row["edges"]), math.log(row[column])) for row in group if row[column] is not None and row[column] > 0]
            if len({x for x, _ in points}) > 1:
                x, y = np.array(points).T
                slope = float(np.polyfit(x, y, 1)[0])
                found.append(f"{told} {slope:.2f} ({len(points)} instances, up to {max(row[column] or 0 for row in group):.1f} s)")
        if found:
            print(f"\nseconds grow as links to the power of — {title}: " + "; ".join(found))


def print_reductions(rows: list[Row]) -> None:
    """What each reduction removed, of all edges and vertices, for all instances and per family."""
    for family, group in [("all", rows), *grouped(rows)]:
        edges, vertices = sum(row["edges"] for row in group), sum(row["vertices"] for row in group)
        print(f"\nreductions, {family} ({len(group)} instances, {edges:,} edges, {vertices:,} vertices)")
        print(f"{'':<16} {'edges':>12} {'share':>8} {'vertices':>12} {'share':>8} {'seconds':>9}")
        for name in REDUCTIONS:
            found = [told for row in group for told in row["reductions"] if told[0] == name]
            gone = [sum(told[column] for told in found) for column in (1, 2, 3)]
            print(f"{name:<16} {gone[0]:>12,} {gone[0] / edges:>8.2%} {gone[1]:>12,} {gone[1] / vertices:>8.2%} {gone[2]:>9.1f}")


def print_gates(rows: list[Row], failed: list[str]) -> bool:
    """Whether each gate holds; those of families that were not run are left out."""
    good = not failed
    print()
    for family, what, most, figure in GATES:
        group = [row for row in rows if row["family"] == family]
        if group:
            value = figure(group)
            good &= value <= most
            print(f"{'holds' if value <= most else 'FAILS':<6} {family}: {what}: {value:.4f}, at most {most:g}")
    if failed:
        print(f"FAILS  no answer: {', '.join(failed)}")
    return good


def grouped(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Families that have rows."""
    return [(family, group) for family in FAMILIES if (group := [row for row in rows if row["family"] == family])]


def main() -> int:
    """0 when every instance has an answer and the gates hold, 1 when not, 2 without instances."""
    parser = argparse.ArgumentParser(description="Steiner trees: cost, bound, time and memory on benchmark instances and drawn streets")
    parser.add_argument("--time", type=float, default=60.0, metavar="S", help="seconds per instance (60)")
    parser.add_argument("--only", default="", metavar="WORDS", help="only instances whose file, group or family has one of these, e.g. vienna-geo,016")
    parser.add_argument("--streets", default=[], type=sizes, metavar="LINKS", help="also streets drawn with that many links, e.g. 10000,100000,1000000")
    parser.add_argument("--long", action="store_true", help="600 s for vienna-geo")
    parser.add_argument("--changed", action="store_true", help=f"the same problems renamed, reordered, costs × {FACTOR}, with dangling edges")
    parser.add_argument(
        "--certify", action="store_true", help="with certificates, each checked after the clock has stopped; one that does not hold is no answer"
    )
    parser.add_argument("--links", type=int, default=0, metavar="N", help="only instances of at most so many links")
    parser.add_argument("--reductions", action="store_true", help="also what each reduction removed")
    parser.add_argument("--csv", type=Path, default=Path("out/bench/steiner.csv"), metavar="FILE", help="rows (out/bench/steiner.csv)")
    parser.add_argument("--threads", type=int, default=2, help="threads (2)")
    parser.add_argument("--seed", type=int, default=0, help="seed (0)")
    parser.add_argument("--memory", type=float, default=4.0, metavar="GIB", help="most memory (4)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, sum(args.streets), args.time, args.threads, args.seed, args.memory, args.changed, args.certify)))
        return 0
    items = wanted(args)
    rows: list[Row] = []
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for item in items:
            row = run(item, args)
            if row is not None:
                rows.append(row)
                print(line(row), flush=True)
                writer.writerow({name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()})
                file.flush()
    if not rows:
        print("no instance: --only fits none" if not items else "no instance has an answer", file=sys.stderr)
        return 2 if not items else 1
    print_families(rows)
    print_growth(rows)
    if args.reductions:
        print_reductions(rows)
    holds = print_gates(rows, [item[0] for item in items if item[0] not in {row["instance"] for row in rows}])
    print(f"{args.csv}: {len(rows)} rows")
    return 0 if holds else 1


def sizes(text: str) -> list[int]:
    """Numbers between commas."""
    return [int(word) for word in text.split(",") if word]


if __name__ == "__main__":
    sys.exit(main())
