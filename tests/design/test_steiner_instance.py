"""Steiner instances as files: one instance from many spellings, there and back, and every kind of damage named with its line."""

from __future__ import annotations

import gzip
import random
import time

import numpy as np
import pytest

from kiban.base.errors import DesignError
from kiban.design.steiner.instance import Instance, parse, write, write_stp

GR = b"""SECTION Graph
Nodes 4
Edges 4
E 1 2 7
E 2 3 5
E 3 3 0
E 4 1 12
END

SECTION Terminals
Terminals 2
T 3
T 1
END

EOF
"""
HEAD = b"33D32945 STP File, STP Format Version 1.0\n\n"
COMMENT = b'SECTION Comment\nName "kleines Netz"\nCreator "M\xfcller \xff\xfe \xe3\x81\x82"\nRemark "SECTION Graph; E 1 2 3"\nEND\n\n'
NOTES = b"SECTION Coordinates\nDD 1 10 20\nDD 2 11 -3\nEND\n\nSECTION Presolve\nFixed 0\nEA 1 2 3 4\nEND\n\nEOF\n"
STP = HEAD + COMMENT + GR.replace(b"EOF\n", NOTES)


def same(instance: Instance) -> bool:
    assert instance.edges.dtype == instance.terminals.dtype == np.int64
    return (instance.count, instance.edges.tolist(), instance.terminals.tolist()) == (4, [[0, 1, 7], [1, 2, 5], [2, 2, 0], [3, 0, 12]], [0, 2])


SPELLINGS = {
    "gr": GR,
    "stp": STP,
    "gzip": gzip.compress(STP),
    "two gzip streams behind each other, and zeros": gzip.compress(STP[:50]) + gzip.compress(STP[50:]) + bytes(512),
    "CRLF": STP.replace(b"\n", b"\r\n"),
    "tabs and blanks": GR.replace(b" ", b" \t  ").replace(b"\n", b" \t\n\t ").rstrip(),
    "empty lines and remarks": GR.replace(b"\n", b"\n\n   \n# remark\n"),
    "small letters": STP.replace(b"SECTION", b"section").replace(b"END", b"end").replace(b"Nodes", b"nodes").replace(b"\nE ", b"\ne ").replace(b"EOF", b"eof"),
    "capitals": GR.upper(),
    "no new line at the end": GR.rstrip(),
    "byte order mark": b"\xef\xbb\xbf" + GR,
    "costs with a point": GR.replace(b"2 7", b"2 7.0").replace(b"3 5", b"3 5.").replace(b"3 0", b"3 .000").replace(b"1 12", b"1 +12.00"),
    "leading zeros": GR.replace(b"E 1 2 7", b"E 0001 02 0000000000000000000000007"),
    "a terminal twice": GR.replace(b"Terminals 2", b"Terminals 3").replace(b"T 3", b"T 3\nT 3"),
    "a root that is a terminal": GR.replace(b"T 3", b"Root 3\nT 3"),
    "tree decomposition": GR.replace(b"EOF", b"SECTION Tree Decomposition\ns td 1 4 4\nb 1 1 2 3 4\nEND\nEOF"),
    "vertical tabs": GR.replace(b"E 2 3 5", b"E\x0b2 3\x0c5"),
    "something behind EOF": GR + b"thank you",
}


@pytest.mark.parametrize("data", SPELLINGS.values(), ids=SPELLINGS)
def test_one_instance_from_many_spellings(data):
    assert same(parse(data))


def without(line: bytes) -> bytes:
    assert GR.count(line + b"\n") == 1
    return GR.replace(line + b"\n", b"")


def swap(old: bytes, new: bytes, text: bytes = GR) -> bytes:
    assert old in text
    return text.replace(old, new, 1)


TERMINALS = GR[GR.index(b"SECTION Term") :]
DAMAGE = {
    "nothing": (b"", "x: found nothing"),
    "blanks": (b" \n\n", "x: found nothing"),
    "another file": (b"\x00\x01PNG\n", "x:1: found"),
    "another text": (b"hello\n", "x:1: found 'hello'; expected '33D32945 STP File"),
    "no end of file": (without(b"EOF"), "x:15: found the end of the file; expected EOF"),
    "cut in the graph": (GR[: GR.index(b"E 3 3")], "x:5: found the end of the file; expected END of section Graph"),
    "cut in the terminals": (GR[: GR.index(b"T 1")], "expected END of section Terminals. Next: it was cut in half"),
    "cut in a comment": (STP[:100], "END of section Comment"),
    "cut within an edge": (GR[: GR.index(b"3 5")], "x:5: found 'E 2'"),
    "cut gzip": (gzip.compress(STP)[:-20], "x: found a gzip file that was cut in half"),
    "only the head of gzip": (gzip.compress(STP)[:5], "x: found a gzip file that was cut in half"),
    "two bytes of gzip": (b"\x1f\x8b", "cut in half"),
    "gzip with a wrong sum": (gzip.compress(STP)[:-8] + b"12345678", "x: found a damaged gzip file"),
    "gzip and something behind": (gzip.compress(STP) + b"more", "x: found a damaged gzip file"),
    "no END of the graph": (swap(b"END\n", b""), "x:9: found 'SECTION Terminals'; expected Nodes, Edges, E or END"),
    "no Nodes": (without(b"Nodes 4"), "x:3: found 'E 1 2 7'; expected Nodes and Edges before"),
    "no Edges": (without(b"Edges 4"), "x:3: found 'E 1 2 7'; expected Nodes and Edges before"),
    "nothing in the graph": (b"SECTION Graph\nEND\nEOF\n", "x:2: found no line Nodes"),
    "nodes alone": (b"SECTION Graph\nNodes 2\nEND\nEOF\n", "x:3: found no line Edges"),
    "Nodes twice": (swap(b"Nodes 4", b"Nodes 4\nNodes 4"), "x:3: found a second line Nodes"),
    "Nodes of nothing": (swap(b"Nodes 4", b"Nodes"), "x:2: found 'Nodes'; expected Nodes and a whole number"),
    "Nodes below 0": (swap(b"Nodes 4", b"Nodes -4"), "x:2: found 'Nodes -4'"),
    "Nodes of many": (swap(b"Nodes 4", b"Nodes 99999999999"), "x:2: found 'Nodes 99999999999'"),
    "Edges in words": (swap(b"Edges 4", b"Edges four"), "x:3: found 'Edges four'"),
    "Edges of many": (swap(b"Edges 4", b"Edges 1000000000000000000"), "x:8: found 4 edges, Edges says 1000000000000000000"),
    "an edge too few": (without(b"E 2 3 5"), "x:7: found 3 edges, Edges says 4"),
    "an edge too many": (swap(b"Edges 4", b"Edges 3"), "x:7: found edge 4 of 3"),
    "an end of 0": (swap(b"E 2 3 5", b"E 0 3 5"), "x:5: found vertex 0; expected 1 … 4"),
    "an end beyond": (swap(b"E 2 3 5", b"E 2 5 5"), "x:5: found vertex 5; expected 1 … 4"),
    "an end below 0": (swap(b"E 2 3 5", b"E 2 -3 5"), "x:5: found vertex -3"),
    "an end that is no number": (swap(b"E 2 3 5", b"E 2 3x 5"), "x:5: found vertex 3x"),
    "an end with an underscore": (swap(b"E 2 3 5", b"E 2 0_3 5"), "x:5: found vertex 0_3"),
    "an end of many digits": (swap(b"E 2 3 5", b"E 2 " + b"9" * 5000 + b" 5"), "x:5: found vertex 999"),
    "no cost": (swap(b"E 2 3 5", b"E 2 3"), "x:5: found 'E 2 3'; expected E end end cost"),
    "a word too many": (swap(b"E 2 3 5", b"E 2 3 5 6"), "x:5: found 'E 2 3 5 6'; expected E end end cost"),
    "a cost below 0": (swap(b"E 2 3 5", b"E 2 3 -5"), "x:5: found cost -5; expected 0 or more. Next: negative costs are not supported"),
    "a cost of parts": (swap(b"E 4 1 12", b"E 4 1 12.5"), "x:7: found cost 12.5; expected a whole number. Next: scale all costs"),
    "a small cost of parts": (swap(b"E 2 3 5", b"E 2 3 .5"), "x:5: found cost .5; expected a whole number. Next: scale all costs"),
    "a cost with an exponent": (swap(b"E 2 3 5", b"E 2 3 5e2"), "x:5: found cost 5e2"),
    "a cost that is a point": (swap(b"E 2 3 5", b"E 2 3 ."), "x:5: found cost ."),
    "a cost that is a word": (swap(b"E 2 3 5", b"E 2 3 nan"), "x:5: found cost nan"),
    "a huge cost": (swap(b"E 2 3 5", b"E 2 3 4000000000000000001"), "x:5: found cost 4000000000000000001; expected at most 4000000000000000000"),
    "a cost of many digits": (swap(b"E 2 3 5", b"E 2 3 " + b"9" * 5000), "x:5: found cost 9999"),
    "huge costs together": (
        swap(b"2 3 5", b"2 3 3000000000000000000", swap(b"3 3 0", b"3 3 3000000000000000000")),
        "x: found costs that add up to 6000000000000000019",
    ),
    "arcs": (swap(b"Edges 4", b"Arcs 4"), "x:3: found 'Arcs 4'; expected an undirected graph (Edges, E). Next: directed graphs are not supported"),
    "an arc": (swap(b"E 2 3 5", b"A 2 3 5"), "x:5: found 'A 2 3 5'; expected an undirected graph"),
    "a strange word in the graph": (swap(b"E 2 3 5", b"Q 2 3 5"), "x:5: found 'Q 2 3 5'; expected Nodes, Edges, E or END"),
    "two graphs": (swap(b"SECTION Terminals", b"SECTION Graph"), "x:10: found a second section Graph"),
    "terminals first": (TERMINALS, "x:1: found section Terminals; expected one, behind section Graph"),
    "terminals twice": (swap(b"EOF", TERMINALS), "x:16: found section Terminals"),
    "no graph": (b"SECTION Comment\nEND\nEOF\n", "x:3: found no section Graph"),
    "no terminals": (GR.replace(TERMINALS, b"EOF\n"), "x:10: found no section Terminals"),
    "no line Terminals": (without(b"Terminals 2"), "x:11: found 'T 3'; expected Terminals before"),
    "an empty section Terminals": (b"SECTION Graph\nNodes 1\nEdges 0\nEND\nSECTION Terminals\nEND\nEOF\n", "x:6: found no line Terminals"),
    "a terminal too few": (without(b"T 1"), "x:13: found 1 terminals, Terminals says 2"),
    "a terminal too many": (swap(b"Terminals 2", b"Terminals 1"), "x:13: found terminal 2 of 1"),
    "a terminal of 0": (swap(b"T 1", b"T 0"), "x:13: found vertex 0"),
    "a terminal beyond": (swap(b"T 1", b"T 5"), "x:13: found vertex 5"),
    "a terminal without a number": (swap(b"T 1", b"T"), "x:13: found 'T'; expected T vertex"),
    "a terminal and more": (swap(b"T 1", b"T 1 2"), "x:13: found 'T 1 2'; expected T vertex"),
    "a prize": (swap(b"T 1", b"TP 1 20"), "x:13: found 'TP 1 20'; expected Terminals, T or END. Next: rooted, prize-collecting"),
    "a root with a prize": (swap(b"T 1", b"RootP 1"), "x:13: found 'RootP 1'"),
    "a root that is no terminal": (swap(b"T 1", b"Root 2\nT 1"), "x:15: found Root 2, which is no terminal"),
    "limits on degrees": (swap(b"EOF", b"SECTION MaximumDegrees\nMD 3\nEND\nEOF"), "x:16: found section MaximumDegrees"),
    "an unknown section": (swap(b"EOF", b"SECTION Weather\nEND\nEOF"), "x:16: found section 'Weather'"),
    "a line between sections": (swap(b"EOF", b"E 1 2 3\nEOF"), "x:16: found 'E 1 2 3'; expected SECTION and its name, or EOF"),
    "SECTION alone": (swap(b"SECTION Terminals", b"SECTION"), "x:10: found 'SECTION'"),
    "the head alone": (HEAD.strip(), "x:1: found the end of the file; expected EOF"),
}


@pytest.mark.parametrize(("data", "says"), DAMAGE.values(), ids=DAMAGE)
def test_what_does_not_fit_is_named_with_its_line(data, says):
    with pytest.raises(DesignError) as raised:
        parse(data, "x")
    assert says in str(raised.value)
    assert len(str(raised.value)) < 400


def test_costs_up_to_the_largest_are_read():
    assert parse(swap(b"E 2 3 5", b"E 2 3 3999999999999999980")).edges[1, 2] == 3999999999999999980


def test_no_terminals_no_edges_and_no_vertices_are_instances():
    empty = parse(b"SECTION Graph\nNodes 0\nEdges 0\nEND\nSECTION Terminals\nTerminals 0\nEND\nEOF")
    assert (empty.count, empty.edges.shape, empty.terminals.shape) == (0, (0, 3), (0,))
    assert parse(write(empty).encode()).edges.shape == (0, 3)


def test_a_file_that_unpacks_to_more_than_allowed_is_refused_early():
    bomb = gzip.compress(b"SECTION Comment\n" + bytes(40_000_000), 9)
    begun = time.perf_counter()
    with pytest.raises(DesignError, match="more than 1,000 bytes of text"):
        parse(bomb, most_bytes=1000)
    assert time.perf_counter() - begun < 1
    for data in (STP, gzip.compress(STP)):
        assert same(parse(data, most_bytes=len(STP)))
        with pytest.raises(DesignError, match="raise the limit"):
            parse(data, most_bytes=len(STP) - 1)


def random_instance(rng: random.Random, count: int, many: int) -> Instance:
    edges = [(rng.randrange(count), rng.randrange(count), rng.choice([0, 1, 7, 10**6, 10**12, rng.randrange(10**9)])) for _ in range(many)]
    return Instance(count, np.array(edges, np.int64).reshape(-1, 3), np.array(sorted(rng.sample(range(count), rng.randint(0, count))), np.int64))


def test_an_instance_survives_being_written_and_read_in_both_forms():
    rng = random.Random(1)
    for _ in range(60):
        instance = random_instance(rng, rng.randint(1, 12), rng.randint(0, 30))
        for text in (write(instance), write_stp(instance), write_stp(instance, 'ÄÖ "x"\nSECTION Graph')):
            again = parse(text.encode())
            assert again.count == instance.count
            assert np.array_equal(again.edges, instance.edges)
            assert np.array_equal(again.terminals, instance.terminals)


def test_a_file_cut_or_altered_anywhere_is_read_or_refused_with_an_error_of_ours():
    rng, packed = random.Random(2), gzip.compress(STP)
    for text in (GR, STP, packed):
        for end in range(len(text) - 4):
            with pytest.raises(DesignError):
                parse(text[:end], "x")
        for _ in range(1500):
            broken = bytearray(text)
            for _ in range(rng.randint(1, 3)):
                broken[rng.randrange(len(broken))] = rng.choice([rng.randrange(256), *b" \n09-.E"])
            try:
                instance = parse(bytes(broken), "x", most_bytes=10**6)
            except DesignError:
                continue
            assert ((instance.edges[:, :2] >= 0) & (instance.edges[:, :2] < instance.count)).all()
            assert (instance.edges[:, 2] >= 0).all()


def test_the_line_is_right_in_a_long_file_whatever_came_before():
    rng = random.Random(3)
    lines = write(random_instance(rng, 50, 400)).split("\n")
    for _ in range(40):
        spoilt = list(lines)
        at = rng.randrange(14, 300)
        spoilt[at] = "E 1 2 0.5"
        for place in rng.sample(range(3, at), 5):
            spoilt[place] += rng.choice(["\n", "\n  \n", "\n# remark", ".0", "\n\n# remark\n"])
        text = "\n".join(spoilt)
        where = text[: text.index("E 1 2 0.5")].count("\n") + 1
        with pytest.raises(DesignError, match=rf"^x:{where}: found cost 0\.5"):
            parse(text.encode(), "x")


def test_a_million_edges_are_read_in_seconds():
    rng = np.random.default_rng(1)
    count, many = 400_000, 1_000_000
    table = np.column_stack((rng.integers(0, count, (many, 2)), rng.integers(0, 100_000, many)))
    instance = Instance(count, table, np.arange(0, count, 4))
    data = write(instance).encode()
    parse(GR)
    begun = time.perf_counter()
    again = parse(data)
    assert time.perf_counter() - begun < 2
    assert np.array_equal(again.edges, table)
    assert np.array_equal(again.terminals, instance.terminals)
