"""Steiner tree instances as files: SteinLib `.stp` and PACE 2018 `.gr`, plain or packed by gzip.

In: the bytes of a file. Out: an Instance, or an error that names the line. And back: the text of an Instance in either form.
Left alone: where the bytes come from; directed, rooted and prize-collecting problems (refused by name); coordinates and presolve notes (passed over).

Formats: T. Koch, A. Martin, S. Voß, "SteinLib: an updated library on Steiner tree problems in graphs" (2001), https://steinlib.zib.de/format.php; PACE
2018, https://pacechallenge.org/2018/steiner-tree/. Both are sections of `keyword numbers`; keywords in small or capital letters, vertices from 1.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import DesignError

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

LARGEST = 4 * 10**18  # most that costs may add up to: two such sums still fit into 64 bits
MOST_VERTICES = 2**31 - 1
STP = "33D32945 STP File, STP Format Version 1.0"
PIECE = 1 << 24  # bytes that are unpacked at once
PASSED_OVER = {b"comment", b"coordinates", b"presolve", b"tree"}


@dataclass(frozen=True)
class Instance:
    """An undirected graph with whole costs, loops and parallel edges allowed; `solve` looks whether it is one, see `checked`.

    count      number of vertices, named 0 … count − 1
    edges      int64 [edges, 3]: end, end, cost ≥ 0; together at most LARGEST
    terminals  int64, ascending, each once
    """

    count: int
    edges: Ints
    terminals: Ints


def checked(instance: Instance) -> Instance:
    """The same instance in arrays of its own, as 64-bit whole numbers, terminals ascending and each once.

    Raises
    ------
    DesignError  what is no instance: other shapes or kinds of numbers, vertices that do not exist, costs below 0 or together above LARGEST

    >>> checked(Instance(2, [[0, 1, 7]], [1, 0, 1])).terminals.tolist()
    [0, 1]
    >>> checked(Instance(2, np.array([[0, 1, 1.5]]), np.array([0, 1])))
    Traceback (most recent call last):
    kiban.base.errors.DesignError: edges: found float64 numbers of shape (1, 3); expected whole numbers [edges, 3]. Next: round, or multiply costs first
    """
    count = instance.count
    if not isinstance(count, int | np.integer) or not 0 <= count <= MOST_VERTICES:
        raise DesignError("count", repr(count), f"a whole number, 0 … {MOST_VERTICES}", "name the number of vertices")
    edges, terminals = np.asarray(instance.edges), np.asarray(instance.terminals)
    if not edges.size:
        edges = np.zeros((0, 3), np.int64)
    if not terminals.size:
        terminals = np.zeros(0, np.int64)
    if edges.dtype.kind not in "iu" or edges.ndim != 2 or edges.shape[1] != 3:
        raise DesignError("edges", f"{edges.dtype} numbers of shape {edges.shape}", "whole numbers [edges, 3]", "round, or multiply costs first")
    if terminals.dtype.kind not in "iu" or terminals.ndim != 1:
        raise DesignError("terminals", f"{terminals.dtype} numbers of shape {terminals.shape}", "whole numbers [terminals]", "list the vertices to be joined")
    for name, points in (("edges", edges[:, :2]), ("terminals", terminals)):
        if points.size and not (int(points.min()) >= 0 and int(points.max()) < count):
            raise DesignError(name, f"vertices {int(points.min())} … {int(points.max())}", f"0 … {int(count) - 1}", "count vertices from 0")
    if len(edges) and int(edges[:, 2].min()) < 0:
        row = int(np.argmin(edges[:, 2]))
        raise DesignError(f"edges, row {row}", f"cost {int(edges[row, 2])}", "0 or more", "take the edge into the tree beforehand, or raise all costs")
    if float(edges[:, 2].sum(dtype=np.float64)) > 0.9 * LARGEST and (total := sum(edges[:, 2].tolist())) > LARGEST:
        raise DesignError("edges", f"costs that add up to {total:,}", f"at most {LARGEST:,}", "use a larger unit of cost")
    return Instance(int(count), np.array(edges, np.int64, order="C"), np.unique(terminals.astype(np.int64)))


def parse(data: bytes, where: str = "instance", most_bytes: int = 2**31) -> Instance:
    r"""Read an instance.

    Parameters
    ----------
    data        the bytes of a `.stp` or `.gr` file, plain or packed by gzip (told by its first bytes)
    where       what errors call it
    most_bytes  most that the text may have, unpacked

    Raises
    ------
    DesignError  what does not fit: the line, what stands there, what would fit, what to do

    >>> text = b"SECTION Graph\nNodes 3\nEdges 2\nE 1 2 7\nE 2 3 5\nEND\nSECTION Terminals\nTerminals 2\nT 3\nT 1\nEND\nEOF\n"
    >>> instance = parse(text)
    >>> instance.count, instance.edges.tolist(), instance.terminals.tolist()
    (3, [[0, 1, 7], [1, 2, 5]], [0, 2])
    >>> parse(text.replace(b"E 2 3 5", b"E 2 4 5"), "net.gr")
    Traceback (most recent call last):
    kiban.base.errors.DesignError: net.gr:5: found vertex 4; expected 1 … 3. Next: correct the line or Nodes
    """
    return _Reader(_unpack(data, where, most_bytes), where).read()


def write(instance: Instance) -> str:
    r"""The text of an instance as PACE `.gr`.

    >>> write(Instance(2, np.array([[0, 1, 7]]), np.array([1]))).split("\n")[:4]
    ['SECTION Graph', 'Nodes 2', 'Edges 1', 'E 1 2 7']
    """
    edges = [f"E {u + 1} {v + 1} {cost}" for u, v, cost in instance.edges.tolist()]
    points = [f"T {vertex + 1}" for vertex in instance.terminals.tolist()]
    graph = ["SECTION Graph", f"Nodes {instance.count}", f"Edges {len(edges)}", *edges, "END", ""]
    return "\n".join([*graph, "SECTION Terminals", f"Terminals {len(points)}", *points, "END", "", "EOF", ""])


def write_stp(instance: Instance, name: str = "") -> str:
    r"""The text of an instance as SteinLib `.stp`; the name stands in its comment.

    >>> write_stp(Instance(2, np.array([[0, 1, 7]]), np.array([1])), "small").split("\n")[:4]
    ['33D32945 STP File, STP Format Version 1.0', '', 'SECTION Comment', 'Name "small"']
    """
    plain = "".join(letter if letter.isprintable() and letter != '"' else " " for letter in name)
    return "\n".join([STP, "", "SECTION Comment", f'Name "{plain}"', "END", "", write(instance)])


def _unpack(data: bytes, where: str, most: int) -> bytes:
    """The text, out of gzip if need be; never more than `most` bytes are made."""

    def too_large() -> DesignError:
        return DesignError(where, f"more than {most:,} bytes of text", f"at most {most:,}", "raise the limit if the file is what you think it is")

    if data[:2] != b"\x1f\x8b":
        if len(data) > most:
            raise too_large()
        return data
    pieces: list[bytes] = []
    size, rest = 0, data
    while rest:  # a gzip file is one packed stream or several behind each other
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            try:
                piece = stream.decompress(rest, min(PIECE, most + 1 - size))
            except zlib.error as error:
                raise DesignError(where, f"a damaged gzip file ({error})", "a whole gzip file", "fetch it again") from error
            rest = stream.unconsumed_tail
            size += len(piece)
            pieces.append(piece)
            if size > most:
                raise too_large()
            if not piece and not rest and not stream.eof:
                raise DesignError(where, "a gzip file that was cut in half", "a whole gzip file", "fetch it again")
        rest = stream.unused_data.lstrip(b"\0")  # zeros may fill up a block behind the end
    return b"".join(pieces)


class _Reader:
    """Reads line after line; hands runs of edges and terminals to a kernel that stops at the first line that is not plain."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where = data, where
        self.bytes = np.frombuffer(data, np.uint8)
        self.at = 3 if data.startswith(b"\xef\xbb\xbf") else 0  # a byte order mark says nothing
        self.begun = self.at  # of the line at hand
        self.line = 0
        self.count = -1
        self.edges: Ints | None = None
        self.terminals: Ints | None = None
        self.root = 0  # as told, from 1; 0: none

    def error(self, found: str, fits: str = "", step: str = "correct the line") -> DesignError:
        return DesignError(f"{self.where}:{self.line}", found, fits, step)

    def cut_in_half(self, missing: str) -> DesignError:
        return DesignError(f"{self.where}:{self.line}", "the end of the file", missing, "it was cut in half: fetch it again")

    def words(self) -> list[bytes] | None:
        """The words of the next line that has any and is no remark, None behind the last."""
        while self.at < len(self.data):
            end = self.data.find(b"\n", self.at)
            end = len(self.data) if end < 0 else end
            self.begun, self.line = self.at, self.line + 1
            words = self.data[self.at : end].split()
            self.at = end + 1
            if words and not words[0].startswith(b"#"):
                return words
        return None

    def shown(self) -> str:
        """The line at hand, for a message."""
        end = self.data.find(b"\n", self.begun)
        text = self.data[self.begun : end if end >= 0 else len(self.data)].decode("latin-1").strip()
        return repr(text if len(text) <= 60 else text[:57] + "…")

    def read(self) -> Instance:
        words = self.words()
        if words is None:
            raise DesignError(self.where, "nothing", "a SteinLib .stp or PACE .gr file", "fetch it again")
        if words[0].lower() == b"33d32945":
            words = self.words()
        elif words[0].lower() != b"section":
            raise self.error(self.shown(), f"'{STP}' or 'SECTION Graph'", "give a SteinLib .stp or a PACE .gr file")
        while words is None or words[0].lower() != b"eof":
            if words is None:
                raise self.cut_in_half("EOF")
            if words[0].lower() != b"section" or len(words) < 2:
                raise self.error(self.shown(), "SECTION and its name, or EOF")
            self.section(words[1].lower(), b" ".join(words[1:]).decode("latin-1"))
            words = self.words()
        return self.instance()

    def section(self, name: bytes, shown: str) -> None:
        if name == b"graph":
            self.graph()
        elif name == b"terminals":
            self.points()
        elif name in PASSED_OVER:
            while (words := self.words()) is None or words[0].lower() != b"end":
                if words is None:
                    raise self.cut_in_half(f"END of section {shown}")
        elif name == b"maximumdegrees":
            raise self.error("section MaximumDegrees", "a Steiner tree problem without limits on degrees", "choose another instance")
        else:
            raise self.error(f"section {shown[:40]!r}", "Comment, Graph, Terminals, Coordinates, Presolve or Tree Decomposition", "take the section out")

    def graph(self) -> None:
        if self.edges is not None:
            raise self.error("a second section Graph", "one", "take one of them out")
        told, filled, table = -1, 0, np.zeros((0, 3), np.int64)
        while True:
            words = self.words()
            if words is None:
                raise self.cut_in_half("END of section Graph")
            word = words[0].lower()
            if word == b"end":
                break
            if word == b"nodes":
                self.count = self.number(words, "Nodes", self.count, MOST_VERTICES)
            elif word == b"edges":
                told = self.number(words, "Edges", told)
                # Room for what is told, but never for more than the rest of the file can hold: an edge is `E 1 2 3` and a new line at least.
                table = np.zeros((min(told, (len(self.data) - self.at) // 8 + 2), 3), np.int64)
            elif word == b"e":
                if self.count < 0 or told < 0:
                    raise self.error(self.shown(), "Nodes and Edges before the first edge", "put their lines in front")
                if filled == told:
                    raise self.error(f"edge {filled + 1} of {told}", "as many edges as Edges says", "correct Edges")
                self.at, lines, done = _plain(self.bytes, self.begun, ord("e"), self.count, table[filled:told], 3)
                filled += done
                if lines == 0:
                    self.at = self.begun
                    table[filled] = self.edge(self.again())
                    filled += 1
                else:
                    self.line += lines - 1
            elif word in (b"arcs", b"a"):
                raise self.error(self.shown(), "an undirected graph (Edges, E)", "directed graphs are not supported: choose another instance")
            else:
                raise self.error(self.shown(), "Nodes, Edges, E or END")
        if self.count < 0 or told != filled:
            lacking = "no line Nodes" if self.count < 0 else "no line Edges" if told < 0 else f"{filled} edges, Edges says {told}"
            raise self.error(lacking, "Nodes, Edges and as many edges", "correct the section, or fetch the file again")
        self.edges = table[:filled]

    def points(self) -> None:
        if self.count < 0 or self.terminals is not None:
            raise self.error("section Terminals", "one, behind section Graph", "put the sections in order")
        told, filled, table = -1, 0, np.zeros((0, 1), np.int64)
        while True:
            words = self.words()
            if words is None:
                raise self.cut_in_half("END of section Terminals")
            word = words[0].lower()
            if word == b"end":
                break
            if word == b"terminals":
                told = self.number(words, "Terminals", told)
                table = np.zeros((min(told, (len(self.data) - self.at) // 4 + 2), 1), np.int64)
            elif word == b"t":
                if told < 0:
                    raise self.error(self.shown(), "Terminals before the first terminal", "put its line in front")
                if filled == told:
                    raise self.error(f"terminal {filled + 1} of {told}", "as many terminals as Terminals says", "correct Terminals")
                self.at, lines, done = _plain(self.bytes, self.begun, ord("t"), self.count, table[filled:told], 1)
                filled += done
                if lines == 0:
                    self.at = self.begun
                    words = self.again()
                    if len(words) != 2:
                        raise self.error(self.shown(), "T vertex")
                    table[filled] = self.vertex(words[1])
                    filled += 1
                else:
                    self.line += lines - 1
            elif word == b"root" and len(words) == 2:
                self.root = self.vertex(words[1]) + 1
            elif word in (b"root", b"rootp", b"tp", b"tr", b"tg"):
                raise self.error(self.shown(), "Terminals, T or END", "rooted, prize-collecting and group problems are not supported: choose another instance")
            else:
                raise self.error(self.shown(), "Terminals, T or END")
        if told != filled:
            lacking = "no line Terminals" if told < 0 else f"{filled} terminals, Terminals says {told}"
            raise self.error(lacking, "Terminals and as many terminals", "correct the section, or fetch the file again")
        self.terminals = np.unique(table[:filled])
        # In an undirected tree a root is a terminal like any other; one that is no terminal would make it another problem.
        if self.root and self.root - 1 not in self.terminals:
            raise self.error(f"Root {self.root}, which is no terminal", "a root among the terminals, or none", "rooted problems are not supported")

    def instance(self) -> Instance:
        if self.edges is None or self.terminals is None:
            missing = "Graph" if self.edges is None else "Terminals"
            raise self.error(f"no section {missing}", "sections Graph and Terminals", "fetch the file again")
        costs = self.edges[:, 2]
        total = (int((costs >> 31).sum()) << 31) + int((costs & (2**31 - 1)).sum())
        if total > LARGEST:
            raise DesignError(self.where, f"costs that add up to {total}", f"at most {LARGEST}", "divide all costs by a common number")
        return Instance(self.count, self.edges, self.terminals)

    def again(self) -> list[bytes]:
        """The words of the line at hand once more."""
        self.line -= 1
        words = self.words()
        assert words is not None
        return words

    def number(self, words: list[bytes], name: str, before: int, most: int = LARGEST) -> int:
        """The number behind a keyword that may stand once."""
        if before >= 0:
            raise self.error(f"a second line {name}", "one", "take one of them out")
        if len(words) != 2 or not words[1].isdigit() or len(words[1]) > 19 or int(words[1]) > most:
            raise self.error(self.shown(), f"{name} and a whole number up to {most}")
        return int(words[1])

    def vertex(self, word: bytes) -> int:
        """A vertex, from 0."""
        if not word.isdigit() or len(word) > 19 or not 1 <= int(word) <= self.count:
            raise self.error(f"vertex {word[:40].decode('latin-1')}", f"1 … {self.count}", "correct the line or Nodes")
        return int(word) - 1

    def edge(self, words: list[bytes]) -> tuple[int, int, int]:
        """An edge of a line that is not plain: why, or its numbers."""
        if len(words) != 4:
            raise self.error(self.shown(), "E end end cost")
        u, v = self.vertex(words[1]), self.vertex(words[2])
        whole, point, rest = words[3].removeprefix(b"+").partition(b".")
        told = words[3][:40].decode("latin-1")
        if words[3].startswith(b"-"):
            raise self.error(f"cost {told}", "0 or more", "negative costs are not supported: correct the line")
        if not (whole or rest) or not (whole or b"0").isdigit() or not (rest or b"0").isdigit():
            raise self.error(f"cost {told}", "a whole number")
        if point and rest.strip(b"0"):
            raise self.error(f"cost {told}", "a whole number", "scale all costs of the file, e.g. by a power of ten, so that they are whole")
        if len(whole.lstrip(b"0")) > 19 or int(whole or b"0") > LARGEST:
            raise self.error(f"cost {told}", f"at most {LARGEST}", "divide all costs by a common number")
        return u, v, int(whole or b"0")


@numba.njit(cache=True)
@no_type_check
def _plain(data, at, letter, count, table, numbers):  # noqa: ANN001, ANN202
    """Read lines `letter number …` (the first 1 or 2 numbers vertices from 1 to count, the third a cost) into the rows of a table while they are plain.

    Plain: blanks between words, digits only (at most 18), a cost may end in `.000`; empty lines are passed over.
    Returns where the first line begins that is not plain or found no row, the number of lines read, and of rows filled.
    """
    size, lines, filled = len(data), 0, 0
    while at < size and filled < len(table):
        p = at
        while p < size and (data[p] == 32 or data[p] == 9 or data[p] == 13):
            p += 1
        if p < size and data[p] == 10:
            at = p + 1
            lines += 1
            continue
        if p >= size or data[p] | 32 != letter:
            break
        p += 1
        good = True
        for i in range(numbers):
            begun = p
            while p < size and (data[p] == 32 or data[p] == 9):
                p += 1
            digits, number = p, 0
            while p < size and 48 <= data[p] <= 57 and p - digits < 19:
                number = number * 10 + np.int64(data[p] - 48) if p - digits < 18 else number
                p += 1
            if digits == begun or not 0 < p - digits <= 18 or (i < 2 and not 1 <= number <= count):  # no blank, no digits, too many
                good = False
                break
            if i == 2 and p < size and data[p] == 46:
                p += 1
                while p < size and data[p] == 48:
                    p += 1
            table[filled, i] = number - 1 if i < 2 else number
        while good and p < size and (data[p] == 32 or data[p] == 9 or data[p] == 13):
            p += 1
        if not good or (p < size and data[p] != 10):
            break
        at = min(size, p + 1)
        lines += 1
        filled += 1
    return at, lines, filled
