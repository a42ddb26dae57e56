"""Compile the kernels of the design engine and keep them in numba's cache: `python -m kiban.design.warm`.

In: nothing. Out: one line with the seconds it took; later processes load the compiled kernels. One process at a time: two that write the cache at once
can leave it damaged.
"""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numba.core.dispatcher import Dispatcher

from kiban.design.blend import Blend
from kiban.design.bound import bound_of
from kiban.design.mix import solve as solve_mix
from kiban.design.mix.graph import make_ground as make_mix_ground
from kiban.design.mix.graph import shrunk
from kiban.design.mix.instance import arrays
from kiban.design.radio import clearances, path_losses
from kiban.design.solve import solve
from kiban.design.steiner import Instance, check, parse, write
from kiban.design.steiner import solve as solve_steiner
from kiban.design.trees import make_ground
from kiban.design.undirected import Undirected
from kiban.records.design import Arc, Demand, Node, Problem
from kiban.records.mix import Mix
from kiban.records.steiner import Leaf, Proof
from kiban.records.terrain import Terrain

WAIT = 300.0  # seconds for another process to finish


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold the lock file while the block runs; after WAIT seconds, or where no file can be written, it runs without (False)."""
    try:
        lock.parent.mkdir(exist_ok=True)
        handle = lock.open("w")
    except OSError:
        yield False
        return
    with handle:
        until, held = time.monotonic() + WAIT, False
        while not held and time.monotonic() < until:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                time.sleep(0.2)
            except OSError:  # a disk without locks
                break
        yield held


def tiny() -> Problem:
    """A problem that touches every kernel: two demands that share half of the way, and a line that one of them might use."""
    kinds = ("root", "facility", "terminal", "terminal", "demand", "demand", "junction", "terminal")
    arcs = ((0, 1, "direct", 7), (1, 2, "link", 3), (1, 3, "link", 3), (0, 2, "direct", 6), (0, 3, "direct", 6), (2, 4, "serve", 0), (3, 5, "serve", 0),
            (0, 6, "exchange", 1), (6, 7, "drop", 9), (7, 4, "serve", 0))  # fmt: skip
    return Problem(
        region="tiny",
        start=2026,
        horizon=1,
        discount=0.0,
        prices=(),
        nodes=tuple(Node(kind=kind, ref=str(index)) for index, kind in enumerate(kinds)),  # type: ignore[arg-type]
        arcs=tuple(
            Arc(tail=a, head=b, kind=kind, technology="t", ref="", length_m=0.0, items=(), cost=cost)  # type: ignore[arg-type]
            for a, b, kind, cost in arcs
        ),
        demands=(Demand(node=4, site="a", usecase="u"), Demand(node=5, site="b", usecase="u")),
    )


def grid(side: int, terminals: int) -> Instance:
    """Streets in squares: reductions, duals, trees and unions for several rounds."""
    random = np.random.default_rng(0)
    place = np.arange(side * side).reshape(side, side)
    ends = np.concatenate([np.column_stack([place[:, :-1].ravel(), place[:, 1:].ravel()]), np.column_stack([place[:-1].ravel(), place[1:].ravel()])])
    cost = random.integers(8, 30, len(ends))
    return Instance(side * side, np.column_stack([ends, cost]).astype(np.int64), np.sort(random.choice(side * side, terminals, replace=False)).astype(np.int64))


def town(side: int) -> Mix:
    """Streets in squares, sites at every third corner, a few facilities: every kernel of the mix."""
    streets, random = grid(side, 2), np.random.default_rng(1)
    at = random.permutation(side * side)
    sites, facilities = at[: side * side // 3].tolist(), at[-side // 2 :].tolist()
    serves = [(f, s, 2.0) for f in range(len(facilities)) for s in random.choice(len(sites), 12, replace=False).tolist()]
    return Mix(
        nodes=side * side,
        root=0,
        links=tuple((int(a), int(b), float(cost)) for a, b, cost in streets.edges.tolist()),
        sites=tuple((site, 1.0) for site in sites),
        fibre_terminal=(4.0,) * len(sites),
        sky=(45.0,) * len(sites),
        facilities=tuple((node, 60.0, 5.0) for node in facilities),
        serves=tuple(serves),
        hops=tuple((0, f, 30.0) for f in range(1, len(facilities))),
    )


def cube(dimension: int) -> Instance:
    """A hypercube with half of its corners terminals: relaxation and cases."""
    corners = range(1 << dimension)
    edges = [(v, v ^ (1 << bit), 1) for v in corners for bit in range(dimension) if not v >> bit & 1]
    return Instance(len(corners), np.array(edges, np.int64), np.array([v for v in corners if v.bit_count() % 2 == 0], np.int64))


def unreached() -> list[str]:
    """Kernels of the design engine, the Steiner solver and its checker that have no file in the cache; sure only where the cache was empty before."""
    missing = []
    known = [(name, module) for name, module in sorted(sys.modules.items()) if name.startswith(("kiban.design.", "kiban.check.steiner"))]
    for module in [module for _, module in known]:
        for kernel in vars(module).values():
            if isinstance(kernel, Dispatcher) and kernel.__module__ == module.__name__:
                name = kernel.py_func.__name__
                file = f"{module.__name__.rpartition('.')[2]}.{name}-{kernel.py_func.__code__.co_firstlineno}.*.nbi"
                if not any(Path(kernel.stats.cache_path or ".").glob(file)):
                    missing.append(f"{module.__name__}.{name}")
    return missing


def warm() -> float:
    """Compile or load every kernel; returns the seconds."""
    begin = time.perf_counter()
    problem = tiny()
    design = solve(problem, seed=0, work=1)  # proved before the trees over lines, so one of these is grown beside it
    bounded = bound_of(problem, 1, 0)
    bounded.open_to(design.cost)
    ground = make_ground(problem, bounded.graph)
    Undirected(problem, ground, bounded.pairs, ground.cost).improved(design.arcs, 1)
    blend = Blend(problem, ground, np.zeros(len(problem.arcs)))
    blend.nearest(blend.prizes([]), every=True)
    for instance, work in ((grid(30, 60), 6), (cube(5), 12)):
        result = solve_steiner(parse(write(instance).encode()), work=work, certify=True)
        if result.certificate is not None:
            check(instance, result.certificate)
            check(instance, msgspec.structs.replace(result.certificate, proof=Proof(end=Leaf())))
    solve_mix(town(24), work=20)
    streets = make_mix_ground(arrays(town(6)), np.zeros(1, np.uint8))
    shrunk(streets, np.zeros(len(streets.head), np.bool_))
    hill = Terrain(np.arange(64, dtype=np.float32).reshape(8, 8), 42.0, 1.0, 42.007, 1.007, 111.0)
    for look in (path_losses, clearances):
        look(hill, [[42.001, 1.001, 10.0]], [[42.006, 1.006, 10.0]], 920.0)
    return time.perf_counter() - begin


if __name__ == "__main__":
    with alone(Path(__file__).parent / "__pycache__" / "warm.lock"):
        sys.stdout.write("design kernels: compiling, once, about two minutes ...\n")
        sys.stdout.flush()
        sys.stdout.write(f"design kernels ready: {warm():.1f} s\n")
        sys.stdout.flush()
        if left := unreached():
            sys.exit(f"kernels that are compiled only when they are needed: {', '.join(left)}. Next: let `warm` reach them")
