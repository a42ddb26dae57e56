"""`kiban papers DIR`: money, verdict and papers of a plan again, with what people put in by hand; nothing that somebody wrote is lost."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kiban.base.settings import Settings


def add(parsers: Any) -> None:
    """Arguments of `kiban papers`."""
    parser = parsers.add_parser("papers", help="計画の予算・判定・書類を作り直す / make money, verdict and papers of a plan again")
    parser.add_argument("folder", metavar="DIR", type=Path, help="計画のフォルダ / a plan folder")
    parser.add_argument(
        "--estimate",
        metavar="FILE",
        type=Path,
        help="数量・単価・税率を変えた積算内訳書.xlsx を取り込む / take quantities, unit prices and tax rate from an estimate",
    )
    parser.add_argument(
        "--fact",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="事実の値を入れる（何度でも）。ID= で取り消す / give the value of a named fact; may be given several times; ID= takes it back",
    )
    parser.add_argument("--today", metavar="YYYY-MM-DD", help="この日の時点で作る（制度、作成日） / as on this day (rules in force, date of papers)")
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Read what people changed, compute again, write everything."""
    from kiban.catalogue import load
    from kiban.cli.plan import moment
    from kiban.loop.files import copies, editing, read_folder, read_inputs, warnings
    from kiban.loop.inputs import merge_estimate, read_estimate, with_facts

    catalogue = load(settings.data, settings.state / "cache")
    now = moment(args.today)
    estimate = None if args.estimate is None else read_estimate(args.estimate)
    notes: tuple[str, ...] = ()
    with editing(args.folder) as edit:
        before = read_folder(args.folder)
        inputs = read_inputs(args.folder)
        own = sorted(inputs.words)
        if estimate is not None:
            inputs, notes = merge_estimate(inputs, before.funding, estimate)
        inputs = with_facts(inputs, args.fact, catalogue)
        kept = copies(args.folder)
        files = edit.refresh(catalogue, settings.lang, inputs, now)
        after = read_folder(args.folder)
        told = warnings(args.folder)
        set_aside = sorted(copies(args.folder) - kept)
    awaiting = [line.id for line in after.funding.lines if line.unit_yen is None]
    then, now_paid = ([money.adopted.total[0], sum(money.adopted.total)] for money in (before.funding, after.funding))
    result = {
        "ok": True,
        "cost_first_year_yen": [then[0], now_paid[0]],
        "cost_horizon_yen": [then[1], now_paid[1]],
        "quantities": sorted(inputs.quantities),
        "prices": sorted(inputs.prices),
        "tax_rate": after.funding.tax_rate,
        "facts": dict(sorted(inputs.facts.items())),
        "own_words": own,
        "awaiting": awaiting,
        "missing": list(after.funding.missing),
        "notes": list(notes),
        "warnings": told,
        "set_aside": set_aside,
        "files": [str(path) for path in files],
    }
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
        return 0
    for note in notes:
        print(f"注意 / note: {note}")
    for warning in told:
        print(f"警告 / warning: {warning}")
    for name in set_aside:
        print(f"手で変えた紙の写し / a copy of what was changed by hand: {name}")
    if any(name.endswith(".xlsx") for name in set_aside) and estimate is None:
        print(
            "表の値は取り込んでいない。積算内訳書なら写しを --estimate に渡す / values of the sheet were not taken: give the copy of an estimate to --estimate"
        )
    span = f"初年度 / first year: {then[0]:,} → {now_paid[0]:,} 円  全期間 / horizon: {then[1]:,} → {now_paid[1]:,} 円"
    print(f"{span} (税込 / with tax{', 見積待ちを除く / without awaiting lines' if awaiting else ''})")
    print(f"自団体の数量 / own quantities: {len(inputs.quantities)}  単価 / prices: {len(inputs.prices)}  文章 / passages: {len(own)}")
    print(f"見積待ち / awaiting: {len(awaiting)}  判断に必要な事実 / facts to ask: {len(after.funding.missing)}")
    print(f"{args.folder}: {len(files)} files")
    return 0
