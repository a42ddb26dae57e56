"""Whatever bytes a data file holds, the reader answers with a record or with its own messages, and soon."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.base.errors import DataFileError
from kiban.catalogue import KINDS
from kiban.catalogue.convert import FAILED
from kiban.catalogue.reader import DataFile, read_file

SAMPLES = Path(__file__).parents[1] / "samples" / "data"
GOOD = {kind: next((SAMPLES / kind).rglob("*.yaml")).read_bytes() for kind in ("technologies", "usecases", "models", "cases", "rules", "words")}
PIECES = [
    b"null",
    b"[",
    b"]",
    b"{",
    b"}",
    b": ",
    b"- ",
    b"\n",
    b"\t",
    b"'",
    b'"',
    b"&a ",
    b"*a",
    b"!!int ",
    b"---\n",
    b"#",
    b"|",
    b">",
    b"%",
    b"\x00",
    b"\xff",
    b"1e999",
    b"\xe5\x85\x89",
]


def answer(kind: str, content: bytes) -> tuple[object, list[DataFileError]]:
    problems: list[DataFileError] = []
    file = DataFile(KINDS[kind], "x", "x.yaml", Path("x.yaml"), content)
    return read_file(file, problems), problems


@settings(deadline=2000, max_examples=150)
@given(kind=st.sampled_from(sorted(GOOD)), cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4))
def test_a_damaged_file_gives_a_record_or_messages(kind: str, cuts: list[tuple[float, int, bytes]]) -> None:
    content = GOOD[kind]
    for place, length, piece in cuts:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    record, problems = answer(kind, content)
    assert (record is FAILED) == bool(problems)
    assert all(problem.where.startswith("x.yaml:") for problem in problems)


@settings(deadline=2000, max_examples=100)
@given(kind=st.sampled_from(sorted(KINDS)), content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_at_all(kind: str, content: bytes) -> None:
    record, problems = answer(kind, content)
    assert (record is FAILED) == bool(problems)
