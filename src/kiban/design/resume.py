"""Searches that can be gone on with: what a search is given of an earlier run, and whom it tells where it stands.

In: a problem, how it is to be solved, a Memory. Out: the design, taken from the memory when it was finished there, else from a search that begins where the
memory left it. The memory decides what it keeps, and when; engines only tell it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from kiban.base.progress import Cancel, Progress, never, silent
from kiban.design.solve import solve
from kiban.records.checkpoint import Snapshot
from kiban.records.design import Design, Problem


class Memory(Protocol):
    """Remembers searches by key; a key stands for a problem and for how it is solved."""

    def finished(self, key: str) -> Design | None:
        """The design that this search came to in an earlier run."""
        ...

    def begin(self, key: str) -> Snapshot | None:
        """A search begins; where an earlier run of it stood."""
        ...

    def note(self, state: Callable[[], Snapshot]) -> None:
        """Something may be new; `state` says where the search stands, and takes a moment."""

    def end(self, key: str, design: Design | None) -> None:
        """The search is over; None: it was cut short, and its design is none to go by."""


def search_key(problem: Problem, seed: int, work: int, time_limit: float | None, starts: Sequence[Sequence[int]], most: int | None) -> str:
    """The name of a search: the same for the same problem, solved in the same way."""
    how = msgspec.json.encode([seed, work, time_limit, [list(arcs) for arcs in starts], most])
    return hashlib.sha256(msgspec.msgpack.encode(problem) + how).hexdigest()


def remembered(
    memory: Memory | None,
    problem: Problem,
    *,
    seed: int,
    work: int,
    time_limit: float | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
    starts: Sequence[Sequence[int]] = (),
    most: int | None = None,
) -> Design:
    """As `solve`, with a memory; `most`: how often the search may ask whether it has to stop, None: as often as it likes."""
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return cancel() or (most is not None and asked > most)

    if memory is None:
        return solve(problem, seed=seed, work=work, time_limit=time_limit, progress=progress, cancel=enough, starts=starts)
    key = search_key(problem, seed, work, time_limit, starts, most)
    design = memory.finished(key)
    if design is not None:
        return design
    resume = memory.begin(key)
    design = solve(problem, seed=seed, work=work, time_limit=time_limit, progress=progress, cancel=enough, starts=starts, resume=resume, note=memory.note)
    memory.end(key, None if cancel() else design)
    return design
