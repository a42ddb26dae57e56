"""How well the case search finds: `KIBAN_TEST_DATA=DIR python bench/search.py [--wrong]`.

Two sets of questions in Japanese: `case_questions.csv`, 60 questions of an officer over the cases of the catalogue with every right case
(2 about this, 1 of use), in two halves, B not looked at while the search was improved; and,
with KIBAN_TEST_DATA, those of DIR/ir_jsquad with one right paragraph each.
Ranked by kiban.cases and, in the same run over the same texts, by the full-text index of SQLite with trigrams and by BM25 over bigrams of everything alike.
Prints nDCG@10, recall at 10, and milliseconds per question; `--wrong` also the questions of half A of which something is missed.
"""

from __future__ import annotations

import csv
import math
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiban.cases import Library, Search, search
from kiban.cases.library import fields
from kiban.catalogue import load

AT = 10
QUESTIONS = Path(__file__).with_name("case_questions.csv")
Ranked = Callable[[str], list[str]]


@dataclass(frozen=True)
class Question:
    """What is asked, and the documents that answer it: id → how well (2 about this, 1 of use)."""

    text: str
    right: Mapping[str, int]
    half: str = ""
    kind: str = ""


def case_questions() -> list[Question]:
    """The 60 questions over the cases."""
    with QUESTIONS.open(encoding="utf-8", newline="") as file:
        return [
            Question(row["question"], {id: int(grade) for id, _, grade in (part.partition(":") for part in row["right"].split())}, row["half"], row["kind"])
            for row in csv.DictReader(file)
        ]


def gain(ids: Sequence[str], right: Mapping[str, int]) -> float:
    """nDCG at 10 with 2^grade - 1 as gain.

    >>> gain(["b", "a"], {"a": 1})
    0.6309297535714575
    """
    ideal = sorted(right.values(), reverse=True)[:AT]
    return sum((2 ** right.get(id, 0) - 1) / math.log2(at + 2) for at, id in enumerate(ids[:AT])) / sum(
        (2**grade - 1) / math.log2(at + 2) for at, grade in enumerate(ideal)
    )


def found(ids: Sequence[str], right: Mapping[str, int]) -> float:
    """Share of the right documents among the first 10; of more than 10 right ones, 10 are all.

    >>> found(["b", "a"], {"a": 1, "c": 2})
    0.5
    """
    return len(set(ids[:AT]) & set(right)) / min(AT, len(right))


def measured(name: str, ranked: Ranked, questions: Sequence[Question]) -> None:
    """One line of the table."""
    begin = time.perf_counter()
    answers = [ranked(question.text) for question in questions]
    seconds = time.perf_counter() - begin
    both = [(gain(ids, question.right), found(ids, question.right)) for ids, question in zip(answers, questions, strict=True)]
    mean = [sum(one[part] for one in both) / len(both) for part in (0, 1)]
    print(f"{name:40} nDCG@{AT} {mean[0]:.4f}  recall@{AT} {mean[1]:.4f}  {1000 * seconds / len(questions):.1f} ms")


def trigrams(documents: Mapping[str, Sequence[str]]) -> Ranked:
    """SQLite's own index."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE paragraph USING fts5(id UNINDEXED, text, tokenize='trigram')")
    database.executemany("INSERT INTO paragraph VALUES (?, ?)", [(id, " ".join(parts)) for id, parts in documents.items()])

    def ranked(question: str) -> list[str]:
        parts = ['"' + question[at : at + 3].replace('"', '""') + '"' for at in range(len(question) - 2)]
        if not parts:
            return []  # a word of two characters is no trigram
        query = "SELECT id FROM paragraph WHERE paragraph MATCH ? ORDER BY bm25(paragraph) LIMIT ?"
        return [row[0] for row in database.execute(query, (" OR ".join(parts), AT))]

    return ranked


def bigrams(documents: Mapping[str, Sequence[str]]) -> Ranked:
    """BM25 over pairs of characters, all alike."""
    faint = search.FAINT
    index = Search({id: [(1.0, part) for part in parts] for id, parts in documents.items()})

    def ranked(question: str) -> list[str]:
        search.FAINT = 1.0
        try:
            return [hit.id for hit in index(question, AT)]
        finally:
            search.FAINT = faint

    return ranked


def cases(wrong: bool) -> None:
    """The table of the questions over the cases."""
    catalogue = load(None, None)
    library = Library(catalogue.cases, {id: usecase.words for id, usecase in catalogue.usecases.items()})
    texts = {id: [text for _, text in fields(case)] for id, case in library.cases.items()}
    programs: dict[str, Ranked] = {
        "kiban.cases": lambda question: [hit.id for hit in library.ranked(question)],
        "kiban.cases, as shown (stopped first)": lambda question: [one.id for one in library(question)],
        "SQLite FTS5, trigrams": trigrams(texts),
        "BM25 on bigrams": bigrams(texts),
    }
    questions = case_questions()
    print(f"{len(texts)} cases, {len(questions)} questions")
    for half in ("", "A", "B"):
        asked = [question for question in questions if half in question.half]
        for name, ranked in programs.items():
            measured(f"{name}{f', half {half}' if half else ''}", ranked, asked)
    short = [question for question in questions if question.kind == "word"]
    for name, ranked in programs.items():
        measured(f"{name}, {len(short)} single words", ranked, short)
    for question in questions if wrong else ():
        ids = programs["kiban.cases"](question.text)[:AT]
        if question.half == "A" and (missed := set(question.right) - set(ids)):
            print(f"{gain(ids, question.right):.2f} {question.text}\n     missed {sorted(missed)}\n     first  {ids[:5]}")


def paragraphs(folder: Path) -> None:
    """The table of the questions of JSQuAD."""
    csv.field_size_limit(10_000_000)
    with (folder / "docs.csv").open(encoding="utf-8", newline="") as file:
        documents = {row["doc_id"]: (row["title"], row["text"].partition("[SEP]")[2] or row["text"]) for row in csv.DictReader(file)}
    with (folder / "queries.csv").open(encoding="utf-8", newline="") as file:
        questions = [Question(row["question"], {row["doc_id"]: 1}) for row in csv.DictReader(file)]
    print(f"{len(documents)} paragraphs, {len(questions)} questions")
    ours = Search({id: [(1.0, part) for part in parts] for id, parts in documents.items()})
    measured("kiban.cases", lambda question: [hit.id for hit in ours(question, AT)], questions)
    measured("SQLite FTS5, trigrams", trigrams(documents), questions)
    measured("BM25 on bigrams", bigrams(documents), questions)


def main() -> None:
    """Both tables."""
    cases("--wrong" in sys.argv[1:])
    if folder := os.environ.get("KIBAN_TEST_DATA"):
        paragraphs(Path(folder) / "ir_jsquad")
    else:
        print("JSQuAD: set KIBAN_TEST_DATA")


if __name__ == "__main__":
    main()
