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
from kiban.cli._search import count, interruptible, natural, percent, positive

if TYPE_CHECKING:  # loads the kernels
    from kiban.design.mix import Incumbent, Result

SECONDS = 60.0  # when neither --time nor --work is given
NO_WAY = 3  # exit code: some site has no way at all


def add(parsers: Any) -> None:
    """Arguments of `kiban mix`."""
    parser = parsers.add_parser(
        "mix", help="有線・無線・衛星の最適な組合せを求め、下限を証明する / the optimal mix of fibre, radio and satellite, with a bound"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="mix 形式の JSON（gzip 可） / a mix instance as JSON, gzipped or not")
    parser.add_argument(
        "--time", type=positive, metavar="S", help="S秒で打ち切る（60。--work だけなら無制限） / stop after S seconds (60; no limit with --work alone)"
    )
    parser.add_argument("--work", type=count, metavar="N", help="ラウンド数の上限。同じ N は同じ答え / at most N rounds; the same N gives the same answer")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="乱数の種（0） / seed (0)")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=2, metavar="N", help="スレッド数 1 か 2（2） / threads, 1 or 2 (2)")
    parser.add_argument("--memory", type=positive, default=4.0, metavar="GIB", help="メモリの上限 GiB（4） / most memory in GiB (4)")
    parser.add_argument("-o", "--output", type=Path, metavar="SOLUTION.json", help="解を書く / write the solution")
    parser.add_argument("--json", action="store_true", help="途中経過と結果を JSON で / print progress and result as JSON")


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

        def tell(now: Incumbent) -> None:
            print(_progress(now, args.json), file=sys.stderr, flush=True)

        interrupt.solving = True
        try:
            result = solve(
                mix,
                seed=args.seed,
                work=args.work,
                time_limit=SECONDS if args.time is None and args.work is None else args.time,
                threads=args.threads,
                memory_gib=args.memory,
                cancel=interrupt.asked,
                tell=tell,
            )
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


def _progress(now: Incumbent, as_json: bool) -> str:
    if as_json:
        return json.dumps({"cost": now.cost, "lower_bound": now.lower_bound, "seconds": round(now.seconds, 3)})
    gap = (now.cost - now.lower_bound) / now.cost if now.cost else 0.0
    return f"費用 / cost {now.cost:,.0f}  下限 / bound {now.lower_bound:,.0f}  差 / gap {percent(gap)}  {now.seconds:.1f} s"


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
