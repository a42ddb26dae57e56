"""A search in a thread of its own, watched for time, memory and the wish to stop.

In: the search as a function, the flag it looks at, limits. Out: whether it came to its end, and what ended it otherwise.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kiban.base.progress import Cancel

Cut = Literal["time", "cancelled", "memory"]
MARGIN = 0.1  # share of the memory limit kept free for the answer
STATM = Path("/proc/self/statm")
ALONE = 0.6  # seconds that a running kernel may take to notice the flag before the answer goes out without it


def held_gib() -> float:
    """GiB that this process holds now; where the system does not tell, the most it has ever held."""
    if STATM.is_file():
        return int(STATM.read_text().split()[1]) * resource.getpagesize() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


@dataclass(frozen=True)
class Limits:
    """What ends a search from outside.

    time_limit  seconds; a first answer is always waited for
    memory_gib  most that the process may come to hold beyond `held`; the search ends MARGIN of it earlier
    begin, held  the moment (time.monotonic) from which seconds count, and the GiB that the process held then
    """

    time_limit: float | None
    memory_gib: float
    cancel: Cancel
    begin: float = field(default_factory=time.monotonic)
    held: float = field(default_factory=lambda: held_gib())

    def passed(self) -> Cut | None:
        """What asks the search to end now."""
        if self.cancel():
            return "cancelled"
        if held_gib() - self.held > (1.0 - MARGIN) * self.memory_gib:
            return "memory"
        return "time" if self.time_limit is not None and time.monotonic() - self.begin > self.time_limit else None


def watched(
    search: Callable[[], None], flag: NDArray[np.uint8], limits: Limits, answered: Callable[[], bool], report: Callable[[], None]
) -> tuple[bool, Cut | None]:
    """Run a search to its end or to a limit: (it came to its end, the limit that was passed).

    Parameters
    ----------
    flag      one byte that the search looks at; it is set when the search has to end. One that does not notice within ALONE seconds is left to itself
    answered  whether there is an answer: without one, only a cancel is not waited for
    report    called every 50 ms in this thread, and once at the end

    Whatever the search raises is raised here, if it came to its end.

    >>> flag = np.zeros(1, np.uint8)
    >>> watched(lambda: None, flag, Limits(None, 4.0, lambda: False), lambda: True, lambda: None)
    (True, None)
    """
    lone = ThreadPoolExecutor(1)
    running = lone.submit(search)
    lone.shutdown(wait=False)
    ended: Cut | None = None
    try:
        while not wait([running], 0.02 if time.monotonic() - limits.begin < 1 else 0.05).done:
            report()
            ended = limits.passed()
            if ended is not None:
                flag[0] = 1
                if ended == "cancelled" or answered():
                    wait([running], ALONE)
                    break
    finally:
        flag[0] = 1
    report()
    if running.done():
        running.result()
    return running.done(), ended
