"""How well sentences are understood: top-3 recall, false plans, honest "no model", for sentences used while building (A) and kept aside (B).

Run: `python bench/sentences.py` prints both halves and the table; `--half A` one half; `--wrong` also prints each
sentence that missed (look at A only while building).
A town's sentences are in one half: A when the SHA-256 of the town's name is even. Own sentences are halved by their text.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kiban.catalogue import load
from kiban.issue import understand
from kiban.records.case import Case
from kiban.records.issue import Issue

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Sentence:
    """One sentence with the answers that are right."""

    text: str
    group: str  # case, own, off_topic
    half: str
    models: tuple[str, ...]
    usecases: tuple[str, ...]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def half(name: str) -> str:
    return "AB"[hashlib.sha256(name.encode()).digest()[-1] % 2]


def sentences(cases: dict[str, Case]) -> list[Sentence]:
    """All sentences of the file with their labels."""
    rows = read(HERE / "sentences.yaml")
    found = []
    for row in rows["cases"]:
        case = cases[row["case"]]
        town = case.municipality or case.prefecture or ""
        found.append(Sentence(case.issue or "", "case", half(town), tuple(row["models"]), tuple(row.get("usecases", ()))))
    found += [Sentence(row["text"], "own", half(row["text"]), tuple(row["models"]), tuple(row.get("usecases", ()))) for row in rows["own"]]
    found += [Sentence(text, "off_topic", half(text), ("none",), ()) for text in rows["off_topic"]]
    return found


def share(parts: Iterable[bool]) -> str:
    values = list(parts)
    return f"{sum(values)}/{len(values)} = {sum(values) / len(values):.1%}" if values else "-"


def plain(issue: Issue) -> list[str]:
    return [match.id.partition("/")[0] for match in issue.models]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=("A", "B"))
    parser.add_argument("--wrong", action="store_true")
    options = parser.parse_args()
    catalogue = load()
    usecases, models, cases, form = catalogue.usecases, catalogue.models, catalogue.cases, catalogue.forms["issue"]

    began = time.perf_counter()
    results = [(row, understand(row.text, usecases=usecases, models=models, cases=cases, form=form)) for row in sentences(cases)]
    seconds = time.perf_counter() - began
    for name in (options.half,) if options.half else ("A", "B"):
        for groups in (("case",), ("own",), ("off_topic",), ("case", "own", "off_topic")):
            some = [(row, issue) for row, issue in results if row.half == name and row.group in groups]
            fits = [(row, issue) for row, issue in some if "none" not in row.models]
            unfit = [(row, issue) for row, issue in some if row.models == ("none",)]
            print(f"{name} {'+'.join(groups)}: {len(some)} sentences")
            print(f"   model top-1 recall       {share(plain(issue)[:1] == [row.models[0]] for row, issue in fits)}")
            print(f"   model top-3 recall       {share(any(model in row.models for model in plain(issue)[:3]) for row, issue in fits)}")
            named = [(row, issue) for row, issue in some if row.usecases]
            print(f"   use case top-3 recall    {share(any(match.id in row.usecases for match in issue.usecases[:3]) for row, issue in named)}")
            print(f"   false plans              {share(bool(issue.models) for _, issue in unfit)}")
            print(f'   "no model" recall        {share(issue.status == "no_model" for row, issue in unfit if row.group != "off_topic")}')
            print(f"   off-topic told as such   {share(issue.status == 'not_an_issue' for row, issue in unfit if row.group == 'off_topic')}")
        if options.wrong:
            for row, issue in results:
                right = any(model in row.models for model in plain(issue)[:1]) or ("none" in row.models and issue.status == "no_model")
                right = right or (row.group == "off_topic" and issue.status == "not_an_issue")
                early = not row.usecases or any(match.id in row.usecases for match in issue.usecases[:3])
                if row.half == name and not (right and early):
                    said = [(match.id, *match.words) for match in (*issue.models, *issue.usecases[:3])]
                    print(f"   {row.group} {row.text} → {issue.status} {said}; right: {row.models} {row.usecases}")
    print(f"{len(results)} sentences in {seconds:.2f} s, {1000 * seconds / len(results):.0f} ms each")


if __name__ == "__main__":
    main()
