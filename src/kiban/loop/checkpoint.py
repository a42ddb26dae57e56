"""The file that a plan on its way is kept in (途中保存), so that it can go on after the machine or the server went down.

In: the name of the file, what the plan is made from. Out: a Memory for the design engine. Written at most every few seconds, all at once: a file that can be
read is whole. What is found of an earlier run counts only when its inputs are the same; its designs are judged and its bounds added up anew.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from kiban.base.errors import KibanError
from kiban.base.progress import Progress
from kiban.loop.given import ENGINE, Given, digest
from kiban.records.checkpoint import Checkpoint, Snapshot
from kiban.records.design import Design

EVERY = 4.0  # seconds between two writings while a search runs: with the time that they take, what is lost is younger than ten
SOON = 1.0  # the same at the end of a search
FIRST = b"kiban checkpoint 1\n"


def inputs_digest(given: Given) -> str:
    """The digest of everything that the designs of a plan depend on; facts and own words, which they do not depend on, are left out."""
    asked = [given.sentence, given.answers, given.foreign, given.seed, given.work, given.time_limit, given.start]
    wishes = [given.traffic, given.kwh, given.budget, given.phases, given.weights]
    return digest([asked, wishes, given.region, given.catalogue.hashes])


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in the place of the one before, so that there is always a whole one on the disk. Raises OSError."""
    packed = zlib.compress(msgspec.msgpack.encode(checkpoint), 1)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(FIRST + hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint of a file.

    Raises
    ------
    KibanError  the file is damaged, or of another program; FileNotFoundError  there is none
    """
    where, content = str(path), path.read_bytes()
    head, _, packed = content.removeprefix(FIRST).partition(b"\n")
    if not content.startswith(FIRST) or hashlib.sha256(packed).hexdigest().encode() != head:
        raise KibanError(where, "a damaged file", "a checkpoint as kiban wrote it", "nothing to do: the plan is begun anew")
    try:
        return msgspec.msgpack.decode(zlib.decompress(packed), type=Checkpoint)
    except (msgspec.MsgspecError, zlib.error, KibanError) as error:
        raise KibanError(where, f"{error}", "a checkpoint of this version", "nothing to do: the plan is begun anew") from error


class Keeper:
    """A Memory of design searches in a file.

    >>> import tempfile
    >>> from kiban.records.design import Design
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint"
    >>> keeper = Keeper(path, "inputs", print)
    >>> keeper.begin("a")
    >>> keeper.note(lambda: Snapshot(bound=7)); keeper.write()
    >>> Keeper(path, "inputs", print).begin("a").bound
    7
    >>> Keeper(path, "others", lambda line: print(line.rpartition(": ")[2])).begin("a")
    other inputs than those of this plan; it is begun anew
    """

    def __init__(self, path: Path, inputs: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """say: told in one line why a file that is there is not used, or cannot be written."""
        self.path, self.inputs, self.say, self.clock = path, inputs, say, clock
        self._before = self._read()
        self._finished = dict(self._before.finished)
        self._running, self._snapshot = self._before.running, self._before.snapshot
        self._state: Callable[[], Snapshot] | None = None
        self._written = clock()
        if self.resumed:
            with suppress(OSError):
                os.utime(path)  # so far, nothing is missing from it
        self._new = False  # something is not in the file yet
        self._failed = False

    @property
    def resumed(self) -> bool:
        """There is something to go on with."""
        return bool(self._before.finished) or self._before.snapshot is not None

    def finished(self, key: str) -> Design | None:
        """The design that a search came to in an earlier run."""
        packed = self._before.finished.get(key)
        return None if packed is None else msgspec.msgpack.decode(zlib.decompress(packed), type=Design)

    def begin(self, key: str) -> Snapshot | None:
        """A search begins; where an earlier run of it stood."""
        self._snapshot = self._before.snapshot if self._before.running == key else None
        self._running, self._state = key, None
        return self._snapshot

    def note(self, state: Callable[[], Snapshot]) -> None:
        """Something may be new: written when the last writing is long enough ago."""
        self._state, self._new = state, True
        if self.clock() - self._written >= EVERY:
            self.write()

    def end(self, key: str, design: Design | None) -> None:
        """A search is over; its design is kept when it was not cut short."""
        if design is None:
            return
        self._finished[key] = zlib.compress(msgspec.msgpack.encode(design), 1)
        self._running = self._snapshot = self._state = None
        self._new = True
        if self.clock() - self._written >= SOON:
            self.write()

    def telling(self, progress: Progress) -> Progress:
        """A Progress that keeps the file up to date between searches, too; its time says until when nothing is missing from it."""

        def tell(share: float, sentence: str) -> None:
            progress(share, sentence)
            if self.clock() - self._written >= EVERY:
                if self._new or not self.path.exists():
                    self.write()
                else:
                    with suppress(OSError):  # somebody took the file away in this moment: the next writing brings it back
                        os.utime(self.path)
                    self._written = self.clock()

        return tell

    def write(self) -> None:
        """Write now. A disk that is full or gone is told once and stops nothing."""
        if self._state is not None:
            self._snapshot = self._state()
        try:
            write_checkpoint(self.path, Checkpoint(engine=ENGINE, inputs=self.inputs, finished=self._finished, running=self._running, snapshot=self._snapshot))
        except OSError as error:
            if not self._failed:
                self.say(f"途中保存ができません / the checkpoint cannot be written: {self.path}: {error.strerror}")
            self._failed = True
        self._written, self._new = self.clock(), False

    def remove(self) -> None:
        """The plan is there; its checkpoint is not needed any more."""
        self.path.unlink(missing_ok=True)
        self.path.with_name(self.path.name + ".new").unlink(missing_ok=True)

    def _read(self) -> Checkpoint:
        nothing = Checkpoint(engine=ENGINE, inputs=self.inputs)
        try:
            found = read_checkpoint(self.path)
        except FileNotFoundError:
            return nothing
        except (KibanError, OSError) as error:
            self.say(f"途中保存を使いません / the checkpoint is not used: {error}")
            return nothing
        if found.engine != ENGINE:
            self.say(f"途中保存を使いません。最初から作ります / the checkpoint is not used: {self.path}: of {found.engine}, this is {ENGINE}; it is begun anew")
            return nothing
        if found.inputs != self.inputs:
            self.say(
                f"途中保存を使いません。最初から作ります / the checkpoint is not used: {self.path}: other inputs than those of this plan; it is begun anew"
            )
            return nothing
        return found


def keeper_for(path: Path, given: Given, say: Callable[[str], None]) -> Keeper:
    """The keeper of a plan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return Keeper(path, inputs_digest(given), say)
