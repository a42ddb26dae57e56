"""`kiban steiner FILE`: a Steiner tree of a SteinLib `.stp` or PACE `.gr` instance with a proven bound; Ctrl-C prints the answer so far."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kiban.base.errors import DesignError, KibanError
from kiban.base.settings import Settings
from kiban.cli._certificate import read_instance, writable, write_whole

if TYPE_CHECKING:  # loads the kernels
    from kiban.design.steiner import Incumbent, Result
    from kiban.design.steiner.instance import Instance

TWIN = 0.3  # seconds within which a second signal is the same one
SECONDS = 60.0  # when neither --time nor --work is given


def add(parsers: Any) -> None:
    """Arguments of `kiban steiner`."""
    parser = parsers.add_parser("steiner", help="Steiner 木を解き、下限を証明する / solve a Steiner tree instance and prove a bound")
    parser.add_argument("file", type=Path, metavar="FILE", help="SteinLib .stp または PACE .gr（gzip 可） / SteinLib .stp or PACE .gr, gzipped or not")
    parser.add_argument(
        "--time", type=_positive, metavar="S", help="S秒で打ち切る（60。--work だけなら無制限） / stop after S seconds (60; no limit with --work alone)"
    )
    parser.add_argument("--work", type=_count, metavar="N", help="ラウンド数の上限。同じ N は同じ答え / at most N rounds; the same N gives the same answer")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="乱数の種（0） / seed (0)")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=2, metavar="N", help="スレッド数 1 か 2（2） / threads, 1 or 2 (2)")
    parser.add_argument("--memory", type=_positive, default=4.0, metavar="GIB", help="メモリの上限 GiB（4） / most memory in GiB (4)")
    parser.add_argument(
        "--certificate", type=Path, metavar="OUT.json", help="下限の証明書を書く（.gz なら gzip） / write the proof of the bound (gzipped if .gz)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="TREE.txt", help="木を PACE の形式で書く / write the tree in PACE output format")
    parser.add_argument("--json", action="store_true", help="途中経過と結果を JSON で / print progress and result as JSON")


def run(args: argparse.Namespace, _: Settings) -> int:
    """Solve, say each better tree or bound on the error stream, print the answer. 0 with an answer, also when interrupted; 130 without one.

    Raises KibanError when the file is no instance, its terminals are apart, or it needs more memory than allowed.
    """
    with _interruptible() as interrupt:
        told = [path.resolve() for path in (args.file, args.certificate, args.output) if path is not None]
        if len(set(told)) < len(told):
            raise KibanError(str(told[-1]), "the same file twice", "other files for FILE, --certificate and -o", "name another file: nothing is overwritten")
        for path in (args.certificate, args.output):
            if path is not None:
                writable(path)
        from kiban.design.steiner import solve

        instance = read_instance(args.file)
        seconds = SECONDS if args.time is None and args.work is None else args.time
        said = 0

        def tell(now: Incumbent) -> None:
            nonlocal said
            said += 1
            print(_progress(now, args.json), file=sys.stderr, flush=True)

        interrupt.solving = True
        try:
            result = solve(
                instance,
                seed=args.seed,
                work=args.work,
                time_limit=seconds,
                threads=args.threads,
                memory_gib=args.memory,
                certify=args.certificate is not None,
                cancel=interrupt.asked,
                tell=tell,
            )
        except DesignError:
            if not interrupt.stop or said:
                raise
            print("kiban: 中断しました。木はまだありません / stopped before a tree was found", file=sys.stderr)
            return 130
        print(_answer(result, interrupt.stop, args.json), flush=True)
        if args.output is not None:
            write_whole(args.output, _tree(instance, result).encode())
        if args.certificate is not None:
            _write_certificate(args.certificate, result)
        if interrupt.stop:
            sys.stderr.flush()
            os._exit(0)  # all is written; threads that still compute are not waited for
    return 0


class _Interrupt:
    """Whether the user wants the answer now."""

    def __init__(self) -> None:
        self.stop = False
        self.since = 0.0
        self.solving = False

    def asked(self) -> bool:
        return self.stop

    def __call__(self, *_: object) -> None:
        """A signal: the first one while solving asks for the answer so far; any other ends at once."""
        if self.stop and time.monotonic() - self.since < TWIN:  # `timeout` and some terminals signal the process and its group: one wish, heard twice
            return
        if self.stop or not self.solving:
            # No exception: threads that still compute would be waited for, and one out of an import can end the process by the signal instead.
            print("kiban: 中断しました / stopped", file=sys.stderr, flush=True)
            os._exit(130)
        self.stop, self.since = True, time.monotonic()


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Ctrl-C and SIGTERM are heard by an _Interrupt."""
    interrupt = _Interrupt()
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(now: Incumbent, as_json: bool) -> str:
    if as_json:
        return json.dumps({"cost": now.cost, "lower_bound": now.lower_bound, "seconds": round(now.seconds, 3)})
    gap = (now.cost - now.lower_bound) / now.cost if now.cost else 0.0
    return f"費用 / cost {now.cost:,}  下限 / bound {now.lower_bound:,}  差 / gap {_percent(gap)}  {now.seconds:.1f} s"


def _answer(result: Result, stopped: bool, as_json: bool) -> str:
    if as_json:
        told = {"cost": result.cost, "lower_bound": result.lower_bound, "gap": result.gap, "status": result.status, "seconds": round(result.seconds, 2)}
        return json.dumps({**told, "edges": len(result.edges), "rounds": result.rounds, "ended": result.ended, "stopped": stopped})
    early = "  中断 / stopped" if stopped else "  メモリの上限に近づいたため終了 / ended near the memory limit" if result.ended == "memory" else ""
    return (
        f"費用 / cost: {result.cost:,}  下限 / bound: {result.lower_bound:,}  差 / gap: {_percent(result.gap)}  {result.status}"
        f"  枝 / edges: {len(result.edges):,}  {result.seconds:.1f} s{early}"
    )


def _percent(gap: float) -> str:
    """Two figures at least, and never 0 for a gap that is open."""
    digits = 1 if gap == 0 or gap >= 0.01 else min(9, -math.floor(math.log10(gap)) - 1)
    return f"{100 * gap:.{digits}f} %"


def _tree(instance: Instance, result: Result) -> str:
    ends = instance.edges[list(result.edges), :2] + 1
    return "\n".join([f"VALUE {result.cost}", *(f"{u} {v}" for u, v in ends.tolist()), ""])


def _write_certificate(path: Path, result: Result) -> None:
    if result.certificate is None:
        print(f"kiban: {path}: 証明書は間に合いませんでした / no certificate: the search was ended before it was made", file=sys.stderr)
        return
    write_whole(path, msgspec.json.encode(result.certificate))


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text}: above 0 expected")
    return number


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: 1 or more expected")
    return number
