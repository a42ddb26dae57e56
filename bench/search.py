"""How well the case search finds: `KIBAN_TEST_DATA=DIR python bench/search.py`.

Questions with one right paragraph each, in Japanese (DIR/ir_jsquad), ranked by kiban.cases.Search and, in the same run, by the full-text index of SQLite
with trigrams and by BM25 over bigrams of everything alike. Prints nDCG@10, recall at 10, and milliseconds per question.
"""

from __future__ import annotations

import csv
import math
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kiban.cases import Search, search

AT = 10


def measured(name: str, ranked: Callable[[str], list[str]], questions: list[tuple[str, str]]) -> None:
    """One line of the table."""
    gain, found, begin = 0.0, 0, time.perf_counter()
    for question, right in questions:
        ids = ranked(question)[:AT]
        if right in ids:
            gain += 1.0 / math.log2(ids.index(right) + 2)
            found += 1
    seconds = time.perf_counter() - begin
    print(f"{name:28} nDCG@{AT} {gain / len(questions):.4f}  recall@{AT} {found / len(questions):.4f}  {1000 * seconds / len(questions):.1f} ms")


def trigrams(documents: dict[str, tuple[str, str]]) -> Callable[[str], list[str]]:
    """SQLite's own index."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE paragraph USING fts5(id UNINDEXED, text, tokenize='trigram')")
    database.executemany("INSERT INTO paragraph VALUES (?, ?)", [(id, " ".join(parts)) for id, parts in documents.items()])

    def ranked(question: str) -> list[str]:
        parts = ['"' + question[at : at + 3].replace('"', '""') + '"' for at in range(len(question) - 2)]
        if not parts:
            return []
        query = "SELECT id FROM paragraph WHERE paragraph MATCH ? ORDER BY bm25(paragraph) LIMIT ?"
        return [row[0] for row in database.execute(query, (" OR ".join(parts), AT))]

    return ranked


def main() -> None:
    """The table."""
    folder = Path(os.environ.get("KIBAN_TEST_DATA") or sys.exit("set KIBAN_TEST_DATA")) / "ir_jsquad"
    csv.field_size_limit(10_000_000)
    with (folder / "docs.csv").open(encoding="utf-8", newline="") as file:
        documents = {row["doc_id"]: (row["title"], row["text"].partition("[SEP]")[2] or row["text"]) for row in csv.DictReader(file)}
    with (folder / "queries.csv").open(encoding="utf-8", newline="") as file:
        questions = [(row["question"], row["doc_id"]) for row in csv.DictReader(file)]
    print(f"{len(documents)} paragraphs, {len(questions)} questions")
    weighted = {id: [(1.0, part) for part in parts] for id, parts in documents.items()}
    ours = Search(weighted)
    measured("kiban.cases", lambda question: [hit.id for hit in ours(question, AT)], questions)
    measured("SQLite FTS5, trigrams", trigrams(documents), questions)
    search.FAINT = 1.0
    plain = Search(weighted)
    measured("bigrams, all alike", lambda question: [hit.id for hit in plain(question, AT)], questions)


if __name__ == "__main__":
    main()
