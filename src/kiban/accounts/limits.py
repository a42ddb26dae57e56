"""How often somebody may try: growing waits after wrong passwords, and so many requests a minute.

In: a key (a name, an address, a session) and the time in seconds. Out: seconds to wait, 0 for none. Kept in memory and bounded: whoever invents keys
fills nothing.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 10_000


class Waits:
    """After `free` failures in a row each further one doubles the wait, up to `longest`; success forgets them, and so does time."""

    def __init__(self, *, free: int = 4, longest: float = 300.0, forget: float = 3600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._longest, self._forget, self._clock = free, longest, forget, clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def try_now(self, *keys: str) -> float:
        """Seconds that must pass before the next try with any of the keys; with 0 the try counts as failed until `worked` says otherwise.

        Counted beforehand, so that a hundred guesses at once are a hundred guesses.
        """
        now = self._clock()
        with self._lock:
            wait = max((self._left(key, now) for key in keys), default=0.0)
            if wait > 0:
                return wait
            for key in keys:
                count, last = self._failed.pop(key, (0, now))
                self._failed[key] = (1 if now - last > self._forget else count + 1, now)
            while len(self._failed) > MOST_KEYS:
                self._failed.popitem(last=False)
        return 0.0

    def worked(self, *keys: str) -> None:
        """The last try was right."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)

    def undo(self, key: str) -> None:
        """The last try was right; those before it stay counted, as whoever knows one password may still be guessing others."""
        with self._lock:
            count, last = self._failed.pop(key, (0, 0.0))
            if count > 1:
                self._failed[key] = (count - 1, last)

    def _left(self, key: str, now: float) -> float:
        count, last = self._failed.get(key, (0, now))
        if count < self._free or now - last > self._forget:
            return 0.0
        return max(0.0, last + min(self._longest, 2.0 ** min(count - self._free, 30)) - now)


class Bucket:
    """`rate` a minute on average for each key, `burst` at once."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate / 60, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """0 and one less is left, or seconds until one is."""
        now = self._clock()
        with self._lock:
            left, last = self._left.pop(key, (float(self._burst), now))
            left = min(float(self._burst), left + max(0.0, now - last) * self._rate)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > MOST_KEYS:
                self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._rate
