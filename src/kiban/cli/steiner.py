"""`kiban steiner FILE`: a Steiner tree of a PACE `.gr` instance with a proven bound."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from kiban.base.errors import DesignError
from kiban.base.settings import Settings


def add(parsers: Any) -> None:
    """Arguments of `kiban steiner`."""
    parser = parsers.add_parser("steiner", help="ベンチマークの Steiner 木を解く / solve a Steiner tree instance")
    parser.add_argument("file", type=Path, metavar="FILE", help="PACE .gr または .gr.gz / PACE .gr or .gr.gz")
    parser.add_argument("--time", type=float, default=60.0, metavar="S", help="S秒で打ち切る / stop after S seconds (60)")
    parser.add_argument("--seed", type=int, default=0, help="乱数の種 / seed")
    parser.add_argument("--work", type=int, default=100, metavar="N", help="作業量 / units of work (100)")
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")


def run(args: argparse.Namespace, _: Settings) -> int:
    """Solve and print cost, lower bound, gap, status and seconds. Raises DesignError when the file is no instance."""
    from kiban.design.steiner import read_gr, solve_steiner  # loads the kernels

    instance = read_gr(_lines(args.file), args.file.name)
    tree = solve_steiner(instance, seed=args.seed, work=args.work, time_limit=args.time)
    result = {"cost": tree.cost, "lower_bound": tree.lower_bound, "gap": tree.gap, "status": tree.status, "seconds": round(tree.seconds, 2)}
    if args.json:
        print(json.dumps(result))
    else:
        print(f"費用 / cost: {tree.cost:,}  下限 / bound: {tree.lower_bound:,}  差 / gap: {tree.gap:.3%}  {tree.status}  {tree.seconds:.1f} s")
    return 0


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise DesignError(str(path), "no such file", "a .gr or .gr.gz file", "check the path")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("ascii").splitlines()
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise DesignError(str(path), str(error), "the text of a PACE .gr instance, gzipped or not", "fetch the file again") from error
