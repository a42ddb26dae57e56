"""What the commands that search have in common: being interrupted, numbers of arguments, shares in words."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
