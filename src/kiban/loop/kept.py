"""Every version of what people put into a plan: who, when, why; what changed; undo; two at once.

In: the store, a plan folder, a change. Out: the next version in the store, then inputs.json; papers are made again by others (`remake`).
The folder stays the truth for whoever works in it with Word, Excel or the command: what was changed there comes in as a version of its own.
Two people who start from one version are joined where they changed different things; where they changed the same, nothing is written, and the text of the
second is kept as a draft from which both can be chosen or joined.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from kiban.base.errors import ConflictError, KibanError
from kiban.catalogue import Catalogue
from kiban.loop.files import Editing, editing, read_inputs, settle
from kiban.loop.folder import READY
from kiban.loop.inputs import INPUTS, write_inputs
from kiban.loop.inputs import read_inputs as inputs_alone
from kiban.records.funding import Inputs
from kiban.records.rules import Record

if TYPE_CHECKING:  # the database is loaded when it is opened
    from kiban.store import Saved, Store

KIND, DRAFTS = "inputs", "inputs-draft"
OUTSIDE = "files"  # the author of what was changed in the folder, where nobody says who
MARK = ".kept.json"  # in a plan folder: the version that it holds
LOOKED = 100  # versions in which an older text is looked for
Part = Literal["facts", "quantities", "prices", "tax", "quotes", "words", "voices"]
Key = tuple[Part, str]
Change = Callable[[Inputs], Inputs]


class Draft(Record, frozen=True, kw_only=True):
    """What somebody wrote that is in no version yet: a text that met another one (conflict), what an upload would change (upload), or what could not
    be kept because the folder cannot be read (stopped)."""

    kind: Literal["conflict", "upload", "stopped"]
    base: int
    inputs: Inputs
    notes: tuple[str, ...] = ()


class _Mark(Record, frozen=True, kw_only=True):
    version: int = 0


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what it was, and what it is; None: nothing of a person's own."""

    part: Part
    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Clash:
    """One thing that two people changed, starting from `base`."""

    part: Part
    key: str
    base: Any
    theirs: Any
    mine: Any


@dataclass(frozen=True)
class Outcome:
    """What came of saving: the newest version; where texts met, the number of the draft that keeps the second one."""

    version: int
    draft: int | None = None
    clashes: tuple[Clash, ...] = ()


def entries(inputs: Inputs) -> dict[Key, Any]:
    """What people put in, thing by thing: a value, a Quote, for a passage (text, text that was generated then), for a quantity (own, that of the design).

    >>> entries(Inputs(words={"qa.cost": "安い"}, made={"qa.cost": "高い"}, prices={"a.b": 5.0}))
    {('prices', 'a.b'): 5.0, ('words', 'qa.cost'): ('安い', '高い')}
    """
    found: dict[Key, Any] = {("facts", key): value for key, value in inputs.facts.items()}
    found |= {("quantities", key): (value, inputs.replaced.get(key, "")) for key, value in inputs.quantities.items()}
    found |= {("prices", key): value for key, value in inputs.prices.items()}
    found |= {("tax", "rate"): inputs.tax_rate} if inputs.tax_rate is not None else {}
    found |= {("quotes", quote.supplier): quote for quote in inputs.quotes}
    found |= {("words", key): (text, inputs.made.get(key)) for key, text in inputs.words.items()}
    found |= {("voices", key): text for key, text in inputs.voices.items()}
    return found


def assembled(found: dict[Key, Any]) -> Inputs:
    """The inputs of these things: the reverse of `entries`."""

    def of(part: Part) -> dict[str, Any]:
        return {key: value for (one, key), value in found.items() if one == part}

    words, quantities = of("words"), of("quantities")
    return Inputs(
        facts=of("facts"),
        quantities={key: own for key, (own, _) in quantities.items()},
        replaced={key: before for key, (_, before) in quantities.items() if before != ""},
        prices=of("prices"),
        tax_rate=found.get(("tax", "rate")),
        quotes=tuple(of("quotes").values()),
        words={key: text for key, (text, _) in words.items()},
        made={key: made for key, (_, made) in words.items() if made is not None},
        voices=of("voices"),
    )


def differences(before: Inputs, after: Inputs) -> tuple[Difference, ...]:
    """What differs between two versions, in the order of the newer one, what was taken away last."""
    old, new = entries(before), entries(after)
    return tuple(Difference(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key))


def merged(base: Inputs, theirs: Inputs, mine: Inputs) -> tuple[Inputs, tuple[Clash, ...]]:
    """Both changes together; what both changed differently stays theirs and is named.

    >>> one, two = Inputs(words={"a": "x", "b": "y"}), Inputs(words={"a": "x2", "b": "y"})
    >>> merged(one, two, Inputs(words={"a": "x", "b": "y2"}))[0].words
    {'a': 'x2', 'b': 'y2'}
    >>> [(clash.key, clash.theirs[0], clash.mine[0]) for clash in merged(one, two, Inputs(words={"a": "x3", "b": "y"}))[1]]
    [('a', 'x2', 'x3')]
    """
    start, other, own = entries(base), entries(theirs), entries(mine)
    joined, clashes = dict(other), []
    for key in dict.fromkeys([*own, *start]):
        was, there, here = start.get(key), other.get(key), own.get(key)
        if here in (was, there):
            continue
        if there != was:
            clashes += [] if _text(here) == _text(there) else [Clash(*key, was, there, here)]
        elif here is None:
            joined.pop(key, None)
        else:
            joined[key] = here
    return assembled(joined), tuple(clashes)


@dataclass(frozen=True)
class Meeting:
    """What people put in here, and what came with the same plan from elsewhere: `inputs` is both together, where they clash that of here.

    new: what only came; clashes: said otherwise on both sides; older: what came is what was said here before
    """

    inputs: Inputs
    new: tuple[Difference, ...]
    clashes: tuple[Clash, ...]
    older: tuple[Difference, ...]


def meet(here: Inputs, other: Inputs, past: Iterable[Inputs] = ()) -> Meeting:
    """Join what came from elsewhere to what people put in here; `past`: the versions of here.

    >>> both = meet(Inputs(words={"a": "x", "b": "y"}), Inputs(words={"a": "x2", "b": "y1", "c": "z"}), [Inputs(words={"b": "y1"})])
    >>> both.inputs.words, [one.key for one in both.new], [one.key for one in both.clashes], [one.key for one in both.older]
    ({'a': 'x', 'b': 'y', 'c': 'z'}, ['c'], ['a'], ['b'])
    """
    now, came, said = entries(here), entries(other), [entries(one) for one in past]
    old = {key for key, value in came.items() if _text(now.get(key)) != _text(value) and any(key in one and _text(one[key]) == _text(value) for one in said)}
    joined, clashes = merged(assembled({key: came[key] for key in old}), here, other)
    new = tuple(Difference(*key, None, value) for key, value in came.items() if key not in now and key not in old)
    return Meeting(joined, new, clashes, tuple(Difference(*key, now.get(key), came[key]) for key in came if key in old))


def _text(value: Any) -> Any:
    """What a person put in, without what was generated beside it."""
    return value[0] if isinstance(value, tuple) else value


def stale(path: Path) -> bool:
    """Whether what people put in is newer than the papers of a plan folder."""
    try:
        return (path / INPUTS).stat().st_mtime_ns > (path / "papers.json").stat().st_mtime_ns
    except FileNotFoundError:
        return False


def remake(path: Path, catalogue: Catalogue, lang: str, now: datetime) -> None:
    """Money, verdict and papers of a plan folder again, from what people have put in. Raises KibanError, OSError; then everything stays as it was."""
    with editing(path) as edit:
        edit.refresh(catalogue, lang, read_inputs(path), now)


@dataclass(frozen=True)
class Kept:
    """The versions of one plan folder. `plan`: its id; now: the time of saving."""

    store: Store
    path: Path
    plan: str
    now: Callable[[], datetime]

    @property
    def id(self) -> str:
        """Under which the store keeps it: the folder, with the plan where that has another name."""
        return self.plan if self.path.name == self.plan else f"{self.path.name}/{self.plan}"

    def current(self) -> tuple[int, Inputs]:
        """Number and content of the newest version; what was changed in the folder since has come in. 0: nobody has put anything in.

        Raises
        ------
        KibanError  a file of the folder or a version cannot be read; nothing is written then
        """
        folder, (number, kept) = self._steady(), self._last()
        if folder is not None and entries(folder) == entries(kept) and (number == 0 or self._mark() == number):
            return number, kept
        with editing(self.path):
            return self._take_in()

    def save(self, change: Change, *, who: str, why: str, expected: int) -> Outcome:
        """Keep a change that starts from version `expected`: joined with what others changed since, or put aside where both changed the same thing.

        Raises
        ------
        KibanError  the folder or the store cannot be read or written; what stood there stays
        """
        with editing(self.path):
            number, theirs = self._take_in()
            base = self.read(expected if 0 <= expected <= number else 0)
            mine = change(base)
            joined, clashes = merged(base, theirs, mine)
            if clashes:
                return Outcome(number, self.put_aside(Draft(kind="conflict", base=expected, inputs=mine), who=who, why=why), clashes)
            if entries(joined) == entries(theirs):
                return Outcome(number)
            number = self.store.save(KIND, self.id, joined, author=who, reason=why, expected_version=number, now=self.now())
            with suppress(OSError):  # it is a version now; whoever looks next brings it into the folder, or says why it does not get there
                self._write(joined, number)
            return Outcome(number)

    def restore(self, number: int, *, who: str, why: str, expected: int) -> int:
        """Make an older version the newest again; nothing between them is lost.

        Raises
        ------
        ConflictError  somebody saved after version `expected`; NotFoundError: there is no such version
        """
        with editing(self.path):
            self._take_in()
            made = self.store.restore(KIND, self.id, number, author=who, reason=why, expected_version=expected, now=self.now())
            self._write(self.read(made), made)
            return made

    def exchange(self, put: Callable[[Editing, Inputs], object], other: Inputs, *, who: str, why: str, expected: int) -> Outcome:
        """Have other records of the plan written, and join what people put into those to what they put in here; where both said something else, that of
        here stays and the other is put aside. The folder may be new.

        put  writes the records and the joined inputs into the folder, which is held

        Raises
        ------
        ConflictError  somebody saved after version `expected`; KibanError, OSError: the folder cannot be written
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with editing(self.path) as edit:
            number, here = self._take_in()
            if number != expected:
                raise ConflictError(self.id, f"version {number}", f"version {expected}", "look at the preview again")
            meeting = meet(here, other, self.past())
            try:
                put(edit, meeting.inputs)
            finally:
                with suppress(OSError):  # there is something in it, as it should be
                    self.path.rmdir()
            if entries(meeting.inputs) != entries(here):
                number = self.store.save(KIND, self.id, meeting.inputs, author=who, reason=why, expected_version=number, now=self.now())
            if number:
                self._write(meeting.inputs, number)
            if entries(meeting.inputs) != entries(other):
                os.utime(self.path / INPUTS)  # money and papers came with other inputs: they are to be made again
            draft = self.put_aside(Draft(kind="upload", base=0, inputs=other), who=who, why=why) if meeting.clashes else None
            return Outcome(number, draft, meeting.clashes)

    def past(self) -> list[Inputs]:
        """What people had put in before: the newest versions but the last."""
        return [self.read(saved.version) for saved in self.history()[-LOOKED:-1]]

    def read(self, number: int) -> Inputs:
        """The content of a version. Raises NotFoundError."""
        return self.store.read(KIND, self.id, Inputs, number) if number else Inputs()

    def history(self) -> tuple[Saved, ...]:
        """All versions, oldest first."""
        return self.store.history(KIND, self.id)

    def put_aside(self, draft: Draft, *, who: str, why: str) -> int:
        """Keep what is in no version yet; returns its number."""
        while True:
            count = len(self.drafts())
            with suppress(ConflictError):  # somebody else put something aside at this moment: after theirs, then
                return self.store.save(DRAFTS, self.id, draft, author=who, reason=why, expected_version=count, now=self.now())

    def drafts(self) -> tuple[Saved, ...]:
        """All drafts, oldest first."""
        return self.store.history(DRAFTS, self.id)

    def draft(self, number: int) -> Draft:
        """One draft. Raises NotFoundError."""
        return self.store.read(DRAFTS, self.id, Draft, number)

    # --- the folder

    def _steady(self) -> Inputs | None:
        """What the folder holds, read without holding it; None while somebody is writing it."""
        before = self._stamp()
        with suppress(OSError):
            inputs = read_inputs(self.path)
            return inputs if before == self._stamp() and not (self.path / READY).exists() else None
        return None

    def _stamp(self) -> list[int]:
        files = [self.path / name for name in (INPUTS, "papers.json", "plan.json")]
        return [path.stat().st_mtime_ns if path.is_file() else 0 for path in files]

    def _last(self) -> tuple[int, Inputs]:
        history = self.history()
        return (history[-1].version, self.read(history[-1].version)) if history else (0, Inputs())

    def _mark(self) -> int:
        try:
            return msgspec.json.decode((self.path / MARK).read_bytes(), type=_Mark).version
        except (FileNotFoundError, msgspec.DecodeError, KibanError):
            return 0

    def _take_in(self) -> tuple[int, Inputs]:
        """The newest version, of a folder that is held: what was changed in the folder becomes one; what did not reach the folder is written there."""
        folder, (number, kept), mark = read_inputs(self.path), self._last(), self._mark()
        if mark < number:  # a server went down between the store and the folder
            older = self.read(mark)
            joined, clashes = merged(older, folder, kept)
            folder = joined if clashes or entries(folder) != entries(older) else kept
        if entries(folder) != entries(kept):
            number = self.store.save(KIND, self.id, folder, author=OUTSIDE, reason=OUTSIDE, expected_version=number, now=self.now())
            kept = folder
        if number:
            self._write(kept, number)
        return number, kept

    def _write(self, inputs: Inputs, number: int) -> None:
        """The folder holds this version. inputs.json comes first: if the computer stops here, the papers are read once more, with the same result."""
        if entries(inputs_alone(self.path)) != entries(inputs):
            write_inputs(self.path, inputs)
            settle(self.path)
            os.utime(self.path / INPUTS)  # newer than the papers: they are to be made again
        fresh = self.path / f"{MARK}.new"
        fresh.write_bytes(msgspec.json.encode(_Mark(version=number)))
        fresh.replace(self.path / MARK)
