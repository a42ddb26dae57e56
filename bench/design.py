"""How long a design takes, how far it is from its bound, and whether `check` accepts it: `python bench/design.py [SITES JUNCTIONS [WORK]]`.

Size axis: 20, 60, 200 and 500 sites (the last on some 19,000 street links); nastiness: cells of 20 sites, backup of a third of the sites.
"""

from __future__ import annotations

import sys
import time

from design_regions import draw
from kiban.check import check_design
from kiban.design import solve
from kiban.design.program import build
from kiban.design.warm import warm


def run(sites: int, junctions: int, work: int) -> str:
    """One line of figures."""
    region, wanted, usecases, technologies, priced = draw(sites, junctions)
    begin = time.perf_counter()
    problem = build(region, wanted, usecases, technologies, priced, start=2027, horizon=15, discount=0.04)
    built = time.perf_counter()
    design = solve(problem, seed=0, work=work)
    solved = time.perf_counter()
    broken = [finding.constraint for finding in check_design(problem, design).findings if not finding.holds and finding.constraint != "prices"]
    return (
        f"{sites:5} sites {len(region.streets):6} links {len(problem.arcs):6} arcs {len(problem.demands):5} demands"
        f" | build {built - begin:5.2f} s solve {solved - built:6.2f} s"
        f" | cost {design.cost:13,} bound {design.bound:13,} gap {design.gap:6.2%} {design.status} | check {broken or 'holds'}"
    )


if __name__ == "__main__":
    warm()
    given = [int(word) for word in sys.argv[1:]]
    for sites, junctions in [(given[0], given[1])] if len(given) > 1 else [(20, 36), (60, 100), (200, 2500), (500, 12000)]:
        print(run(sites, junctions, given[2] if len(given) > 2 else 100))
