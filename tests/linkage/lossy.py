"""A VFS for SQLite that notes every write, and files as a loss of power at any of its moments would leave them.

The VFS is the ordinary one of the same libsqlite3 that `sqlite3` uses, with four of its functions replaced by ctypes: what is written, truncated, synced
and deleted is passed on and noted. A sync only notes: the loss of power is made up afterwards, out of the notes.

What survives of a file at a moment: all that was synced, and of what was written since an arbitrary part: none, all, or some of the writes, of a write
some sectors, of a sector some first bytes. A file that was never synced may be missing, one that was deleted may be back until its folder is synced.
Shared memory is lost.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import random
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
CLOSE = CFUNCTYPE(c_int, c_void_p)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
WORDS = 19  # of sqlite3_io_methods: a version and 18 functions
AT = {"close": 1, "write": 3, "truncate": 4, "sync": 5}
SECTOR = 512


class Vfs(ctypes.Structure):
    """The head of sqlite3_vfs; what follows is copied as it is."""

    _fields_ = (
        ("version", c_int), ("size", c_int), ("longest", c_int), ("next", c_void_p), ("name", c_char_p), ("data", c_void_p), ("open", c_void_p),
        ("delete", c_void_p), ("rest", c_void_p * 13),
    )  # fmt: skip


class Note(NamedTuple):
    """One thing that happened: write, truncate, sync, delete or unlink (not yet sure), or told (the client's side)."""

    what: str
    name: str = ""
    at: int = 0
    data: bytes = b""


@contextmanager
def noted(name: str) -> Iterator[list[Note]]:
    """Register a VFS of this name; the list grows with everything that is written through it."""
    sqlite = ctypes.CDLL(_sqlite3.__file__)
    sqlite.sqlite3_vfs_find.restype, sqlite.sqlite3_vfs_find.argtypes = POINTER(Vfs), (c_char_p,)
    sqlite.sqlite3_vfs_register.argtypes, sqlite.sqlite3_vfs_unregister.argtypes = (POINTER(Vfs), c_int), (POINTER(Vfs),)
    plain = sqlite.sqlite3_vfs_find(None).contents
    notes: list[Note] = []
    names: dict[int, str] = {}  # open files by their address
    methods: dict[int, Any] = {}  # ours by the address of theirs
    theirs: dict[int, Any] = {}  # of an open file

    def opened(_: int, path: int | None, file: int, flags: int, out: Any) -> int:
        code = open_plain(ctypes.addressof(own), path, file, flags, out)
        slot = c_void_p.from_address(file)
        if code == 0 and slot.value and path:
            address = slot.value
            if address not in methods:
                words = (c_void_p * WORDS).from_buffer_copy((c_void_p * WORDS).from_address(address))
                for key, function in ours.items():
                    words[AT[key]] = ctypes.cast(function, c_void_p).value
                methods[address] = words
            names[file] = Path(ctypes.string_at(path).decode()).name
            theirs[file] = (c_void_p * WORDS).from_address(address)
            slot.value = ctypes.addressof(methods[address])
        return code

    def plain_of(file: int, key: str, kind: Any) -> Any:
        return kind(theirs[file][AT[key]])

    def closed(file: int) -> int:
        function = plain_of(file, "close", CLOSE)
        del names[file], theirs[file]
        return function(file)

    def written(file: int, data: int, size: int, at: int) -> int:
        code = plain_of(file, "write", WRITE)(file, data, size, at)
        if code == 0:
            notes.append(Note("write", names[file], at, ctypes.string_at(data, size)))
        return code

    def truncated(file: int, size: int) -> int:
        code = plain_of(file, "truncate", TRUNCATE)(file, size)
        if code == 0:
            notes.append(Note("truncate", names[file], size))
        return code

    def synced(file: int, _: int) -> int:
        notes.append(Note("sync", names[file]))
        return 0

    def deleted(_: int, path: bytes, surely: int) -> int:
        code = delete_plain(ctypes.addressof(own), path, 0)
        if code == 0:
            notes.append(Note("delete" if surely else "unlink", Path(path.decode()).name))
        return code

    ours = {"close": CLOSE(closed), "write": WRITE(written), "truncate": TRUNCATE(truncated), "sync": SYNC(synced)}
    open_plain, delete_plain = OPEN(plain.open), DELETE(plain.delete)
    on_open, on_delete = OPEN(opened), DELETE(deleted)
    own = Vfs.from_buffer_copy(plain)
    own.name = name.encode()
    own.open, own.delete = ctypes.cast(on_open, c_void_p).value, ctypes.cast(on_delete, c_void_p).value
    assert sqlite.sqlite3_vfs_register(own, 0) == 0
    try:
        yield notes
    finally:
        sqlite.sqlite3_vfs_unregister(own)


class File:
    """One file on a disk that may lose its power."""

    def __init__(self) -> None:
        self.kept: bytearray | None = None  # what was synced
        self.since: list[Note] = []
        self.ghost: bytearray | None = None  # of a file that was deleted, which may be back

    def note(self, note: Note) -> None:
        if note.what == "sync":
            content = self.kept if self.kept is not None else bytearray()
            for part in self.since:
                apply(content, part)
            self.kept, self.since, self.ghost = content, [], None
        elif note.what in ("delete", "unlink"):
            self.ghost = self.kept if note.what == "unlink" else None
            self.kept, self.since = None, []
        else:
            self.since.append(note)

    def left(self, dice: random.Random) -> bytes | None:
        """What a loss of power leaves now; None: no file."""
        kept = self.kept
        if kept is None and not self.since:
            kept = self.ghost if dice.random() < 0.5 else None
        if kept is None and not self.since:
            return None
        if self.kept is None and dice.random() < 0.2:
            return None
        content = bytearray(kept or b"")
        share = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        tears = dice.random() < 0.5
        for part in self.since:
            if not tears or part.what != "write":
                if dice.random() < share:
                    apply(content, part)
                continue
            start = 0
            while start < len(part.data):
                end = min(len(part.data), (part.at + start) // SECTOR * SECTOR + SECTOR - part.at)
                if dice.random() < share:
                    whole = end if dice.random() < 0.9 else dice.randint(start, end)
                    apply(content, Note("write", "", part.at + start, part.data[start:whole]))
                start = end
        return bytes(content)


def apply(content: bytearray, note: Note) -> None:
    """A write or truncate on the content of a file."""
    if note.what == "truncate":
        if note.at <= len(content):
            del content[note.at :]
        else:
            content.extend(bytes(note.at - len(content)))
        return
    if note.at > len(content):
        content.extend(bytes(note.at - len(content)))
    content[note.at : note.at + len(note.data)] = note.data


class Disk:
    """The files of one run, followed note by note."""

    def __init__(self, notes: list[Note]) -> None:
        self.notes, self.files, self.seen, self.told = notes, {}, 0, 0

    def go_to(self, moment: int) -> None:
        """Everything that happened before note number `moment`, which must not be smaller than the last one."""
        for note in self.notes[self.seen : moment]:
            if note.what == "told":
                self.told = max(self.told, note.at)
            else:
                file = self.files.setdefault(note.name, File())
                if note.what == "sync" and file.kept is None and note.name.endswith(("-wal", "-journal")):  # SQLite's own VFS syncs the folder here
                    for other in self.files.values():
                        other.ghost = None
                file.note(note)
        self.seen = moment

    def lose_power(self, dice: random.Random, folder: Path) -> None:
        """Write the files that are left into an empty folder."""
        for name, file in self.files.items():
            content = file.left(dice)
            if content is not None:
                (folder / name).write_bytes(content)
