"""`kiban mix FILE`: the cheapest mix of fibre, radio and satellite of a mix instance, with a proven bound; Ctrl-C prints the answer so far."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kiban.base.errors import DesignError, KibanError
from kiban.base.settings import Settings
from kiban.cli._certificate import MOST_INSTANCE, content, writable, write_whole
from kiban.cli._search import add_limits, interruptible, limits_of, percent

if TYPE_CHECKING:  # loads the kernels
    from kiban.design.mix import Result

NO_WAY = 3  # exit code: some site has no way at all


def add(parsers: Any) -> None:
    """Arguments of `kiban mix`."""
    parser = parsers.add_parser(
        "mix", help="有線・無線・衛星の最適な組合せを求め、下限を証明する / the optimal mix of fibre, radio and satellite, with a bound"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="mix 形式の JSON（gzip 可） / a mix instance as JSON, gzipped or not")
    parser.add_argument("-o", "--output", type=Path, metavar="SOLUTION.json", help="解を書く / write the solution")
    add_limits(parser)


def run(args: argparse.Namespace, _: Settings) -> int:
    """Solve, have the answer checked, print it. 0 with an answer, also when interrupted; 3 when a site has no way at all; 130 without one.

    Raises KibanError when the file is no mix instance.
    """
    with interruptible() as interrupt:
        if args.output is not None:
            if args.output.resolve() == args.file.resolve():
                raise KibanError(str(args.output), "the same file twice", "another file for -o", "name another file: nothing is overwritten")
            writable(args.output)
        from kiban.check.mix import check_mix
        from kiban.design.mix import parse, solve

        mix = parse(content(args.file, "a mix instance, .json or .json.gz", MOST_INSTANCE), args.file.name)

        interrupt.solving = True
        try:
            result = solve(mix, **limits_of(args, interrupt))
        except DesignError:
            if not interrupt.stop:
                raise
            print("kiban: 中断しました。設計はまだありません / stopped before a design was found", file=sys.stderr, flush=True)
            os._exit(130)
        report, cost = check_mix(mix, result.solution)
        wrong = [finding.found for finding in report.findings if not finding.holds]
        if result.unserved:
            wrong = [found for found in wrong if not found.endswith("none is not offered there")]
        if wrong or abs(cost - result.cost) > 1e-6 * max(1.0, cost):
            raise KibanError(args.file.name, f"an answer that the check refuses: {(wrong or [f'cost {cost}'])[0]}", "one that holds", "report it with the file")
        if args.output is not None:
            write_whole(args.output, msgspec.json.encode(result.solution))
        print(_answer(result, interrupt.stop, args.json), flush=True)
        code = NO_WAY if result.unserved else 0
        if interrupt.stop:
            sys.stderr.flush()
            os._exit(code)  # all is written; threads that still compute are not waited for
    return code


def _answer(result: Result, stopped: bool, as_json: bool) -> str:
    ways = [how[0] for how in result.solution.serve]
    sites = {way: ways.count(way) for way in ("fibre", "radio", "sky")}
    if as_json:
        told: dict[str, Any] = {"cost": round(result.cost, 6), "lower_bound": round(result.lower_bound, 6), "gap": result.gap, "status": result.status}
        told |= {"seconds": round(result.seconds, 2), "relaxed": list(result.relaxed), "sites": sites, "unserved": list(result.unserved), "check": True}
        return json.dumps({**told, "rounds": result.rounds, "ended": result.ended, "stopped": stopped})
    lines = [
        f"費用 / cost: {result.cost:,.3f}  下限 / bound: {result.lower_bound:,.3f}  差 / gap: {percent(result.gap)}  {result.status}  {result.seconds:.1f} s",
        f"光 / fibre: {sites['fibre']:,}  無線 / radio: {sites['radio']:,}  衛星 / sky: {sites['sky']:,}  検査 / check: ok",
    ]
    if result.unserved:
        some = ", ".join(map(str, result.unserved[:20]))
        lines.append(f"手段がない地点 / sites without any way: {len(result.unserved)} ({some}{' …' if len(result.unserved) > 20 else ''})")
    if stopped or result.ended == "memory":
        lines.append("中断 / stopped" if stopped else "メモリの上限に近づいたため終了 / ended near the memory limit")
    return "\n".join(lines)
