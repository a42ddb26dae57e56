"""How long a job will take still, as far as its own pace tells (残り時間).

In: shares of the work and when they were told. Out: seconds, or None where an honest number is not to be had: in the first seconds, before enough of the
work was seen, and where nothing has moved for long. What an earlier run had done counts as done, not as pace.
"""

from __future__ import annotations

EARLY = 5.0  # seconds at the beginning that say nothing: what is read, and what is taken from a checkpoint, goes by in no time
SEEN = 0.05  # the share of the work that must have been seen since
QUIET = 20.0  # seconds without a new share after which nobody knows
WEIGHT = 0.3  # of a new estimate against the one before


class Left:
    """The pace of one run.

    >>> left = Left(0.0)
    >>> for second in range(0, 40, 2):
    ...     left.tell(float(second), second / 100)
    >>> round(left.seconds(38.0)), left.seconds(90.0)
    (62, None)
    """

    def __init__(self, now: float) -> None:
        """now: seconds on a clock that never goes back, as in `tell` and `seconds`."""
        self._begun = now
        self._from: tuple[float, float] | None = None  # moment and share from which the pace is counted
        self._last = (now, 0.0)
        self._end: float | None = None  # the moment at which it should be over

    def tell(self, now: float, share: float) -> None:
        """So much is done; a share that is not greater than the one before says nothing."""
        if share <= self._last[1] and self._from is not None:
            return
        self._last = (now, share)
        if self._from is None:
            if now - self._begun >= EARLY:
                self._from = (now, share)
            return
        passed, done = now - self._from[0], share - self._from[1]
        if passed >= EARLY and done >= SEEN:
            end = now + passed * (1.0 - share) / done
            self._end = end if self._end is None else self._end + WEIGHT * (end - self._end)

    def seconds(self, now: float) -> float | None:
        """Seconds still to go; None: nobody can say."""
        if self._end is None or now - self._last[0] > QUIET or now >= self._end:
            return None
        return self._end - now
