"""What the commands that search have in common: being interrupted, numbers of arguments, shares in words."""

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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loads the kernels
    from kiban.design import mix, steiner

SECONDS = 60.0  # when neither --time nor --work is given
TWIN = 0.3  # seconds within which a second signal is the same one


class Interrupt:
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
def interruptible() -> Iterator[Interrupt]:
    """Ctrl-C and SIGTERM are heard by an Interrupt."""
    interrupt = Interrupt()
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The arguments of every search: time, work, seed, threads, memory, --json."""
    parser.add_argument(
        "--time", type=positive, metavar="S", help="S秒で打ち切る（60。--work だけなら無制限） / stop after S seconds (60; no limit with --work alone)"
    )
    parser.add_argument("--work", type=count, metavar="N", help="ラウンド数の上限。同じ N は同じ答え / at most N rounds; the same N gives the same answer")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="乱数の種（0） / seed (0)")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=2, metavar="N", help="スレッド数 1 か 2（2） / threads, 1 or 2 (2)")
    parser.add_argument("--memory", type=positive, default=4.0, metavar="GIB", help="メモリの上限 GiB（4） / most memory in GiB (4)")
    parser.add_argument("--json", action="store_true", help="途中経過と結果を JSON で / print progress and result as JSON")


def limits_of(args: argparse.Namespace, interrupt: Interrupt) -> dict[str, Any]:
    """What `add_limits` took, as arguments of a solve."""
    seconds = SECONDS if args.time is None and args.work is None else args.time
    return {
        "seed": args.seed, "work": args.work, "time_limit": seconds, "threads": args.threads, "memory_gib": args.memory, "cancel": interrupt.asked,
        "tell": lambda now: print(_progress(now, args.json), file=sys.stderr, flush=True),
    }  # fmt: skip


def _progress(now: mix.Incumbent | steiner.Incumbent, as_json: bool) -> str:
    if as_json:
        return json.dumps({"cost": now.cost, "lower_bound": now.lower_bound, "seconds": round(now.seconds, 3)})
    gap = (now.cost - now.lower_bound) / now.cost if now.cost else 0.0
    return f"費用 / cost {whole(now.cost)}  下限 / bound {whole(now.lower_bound)}  差 / gap {percent(gap)}  {now.seconds:.1f} s"


def whole(value: float) -> str:
    """A cost without decimals; all digits of an int."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def percent(gap: float) -> str:
    """Two figures at least, and never 0 for a gap that is open."""
    digits = 1 if gap == 0 or gap >= 0.01 else min(9, -math.floor(math.log10(gap)) - 1)
    return f"{100 * gap:.{digits}f} %"


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text}: above 0 expected")
    return number


def count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: 1 or more expected")
    return number


def natural(text: str) -> int:
    """A whole number from 0 on, out of an argument."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 0 on expected")
    return int(text)
