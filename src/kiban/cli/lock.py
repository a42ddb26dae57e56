"""`kiban lock FILE`: which clauses of a specification look as if one product alone could meet them. Findings are no error: 0 whenever it ran."""

from __future__ import annotations

import argparse
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kiban.base.errors import KibanError
from kiban.base.settings import Settings
from kiban.documents.clauses import read_clauses, read_text
from kiban.documents.lock import check_clauses
from kiban.records.lock import Hit, Suspicion

if TYPE_CHECKING:
    from kiban.catalogue import Catalogue
    from kiban.catalogue.words import Words

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

_NEED = re.compile(r"[a-z][a-z0-9_]{0,60}\Z")


def add(parsers: Parsers) -> None:
    """Add the command."""
    about = "仕様書の「特定の疑い」を調べる / look for clauses that may fit one product alone"
    parser = parsers.add_parser("lock", help=about, description=about)
    parser.add_argument("file", metavar="FILE", type=Path, help="仕様書(案) .docx .xlsx .csv .txt .md / a draft specification")
    parser.add_argument("--datasheet", metavar="FILE", type=Path, help="引き写しを調べる製品資料（同じ種類のファイル） / a product's datasheet to compare with")
    parser.add_argument("--need", metavar="NAME=VALUE", action="append", default=[], help="要件の値（何度でも） / a value of the need; repeatable")
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the findings as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print every suspicion with its reason, the words found and what to write instead; 0 when it ran."""
    from kiban.catalogue import load, words

    needs = dict(_need(text) for text in args.need)
    clauses = read_clauses(args.file)
    datasheet = read_text(args.datasheet) if args.datasheet else ""
    catalogue = load(settings.data, settings.state / "cache")
    found = check_clauses(clauses, catalogue.locks, needs=needs, datasheet=datasheet, whole=True)
    word = words(catalogue, settings.lang)
    measured = {name for lock in catalogue.locks.values() for measure in lock.measures for name in measure.needs}
    unmeasured = sorted(set(needs) - measured)
    answer = word("lock.none") if not found else word("lock.rest")
    if args.json:
        # No "ok": a file without a suspicion is not a good one, it is one of which nobody can tell.
        print(
            json.dumps(
                {"file": args.file.name, "clauses": len(clauses), "suspicions": msgspec.to_builtins(found), "answer": answer, "unmeasured": unmeasured},
                ensure_ascii=False,
            )
        )
        return 0
    texts = {clause.id: clause.text for clause in clauses}
    print(word("lock.head", file=args.file.name, count=len(clauses)))
    for suspicion in found:
        _show(suspicion, texts, catalogue, word, settings.lang)
    if found:
        print(f"\n{word('lock.found', count=len(found))}")
    for name in unmeasured:
        print(word("lock.unmeasured", name=name, known=", ".join(sorted(measured))))
    print(answer)
    return 0


def _need(text: str) -> tuple[str, float]:
    """NAME=VALUE as a name and a number."""
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not _NEED.match(name) or not math.isfinite(number) or number < 0:
        raise KibanError("--need", repr(text), "NAME=VALUE with the unit in the name, such as down_mbps=50 or autonomy_h=72", "write the bare number behind =")
    return name, number


def _show(suspicion: Suspicion, texts: dict[str, str], catalogue: Catalogue, word: Words, lang: str) -> None:
    lock = catalogue.locks[suspicion.reason]
    print(f"\n{_place(suspicion.clause, word)}: {getattr(lock.name, lang)}")
    if suspicion.clause is not None:
        text = " ".join(texts[suspicion.clause].split())
        print(f"  {text if len(text) <= 120 else text[:119] + '…'}")
    if suspicion.hits:
        print(f"  {word('lock.words', text=('、' if lang == 'ja' else ', ').join(_hit(hit, word) for hit in suspicion.hits))}")
    print(f"  {word('lock.why', text=getattr(lock.why, lang))}")
    print(f"  {word('lock.advice', text=getattr(lock.advice, lang))}")


def _hit(hit: Hit, word: Words) -> str:
    shown = word("lock.at", text=" ".join(hit.text.split()), start=hit.start + 1, end=hit.end)
    if hit.against == "datasheet":
        return f"{shown} {word('lock.against_datasheet')}"
    return f"{shown} {word('lock.against_need', need=hit.against)}" if hit.against else shown


def _place(id: str | None, word: Words) -> str:
    """A clause's id in words."""
    if id is None:
        return word("lock.document")
    kind, (head, _, row) = id[0], id[1:].partition("+")[0].rpartition(".")
    if kind == "s":
        return word("lock.place.s", sheet=head.removeprefix(":"), row=row)
    return word("lock.place.t", table=head, row=row) if kind == "t" else word(f"lock.place.{kind}", number=row)
