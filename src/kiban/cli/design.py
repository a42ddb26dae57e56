"""`kiban design REGION`: the design alone, for use cases named by id."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings
from kiban.cli.plan import beside, common, cost_lines, exit_code, heights_of, in_lines, interruptible, open_inputs, sharing, wishes, wishing

if TYPE_CHECKING:  # loaded when the command runs
    from kiban.catalogue import Catalogue


def add(parsers: Any) -> None:
    """Arguments of `kiban design`."""
    parser = parsers.add_parser("design", help="設計だけを行う / the design alone")
    common(parser)
    wishing(parser)
    parser.add_argument(
        "--usecase", action="append", required=True, metavar="ID", help="対象のユースケース（何度でも） / a use case to serve; may be given several times"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="地図・OFDS・数量表のファイルを書くフォルダ / folder for the map files, OFDS and the bill of materials"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Design for every site whose kind has one of the use cases."""
    began = time.monotonic()
    from kiban.finance.ledger import Ledger
    from kiban.loop.design import design_step
    from kiban.loop.exports import exports, write_exports
    from kiban.loop.given import TOKYO, Given

    if args.output is not None and args.output.exists() and not args.output.is_dir():
        raise KibanError(str(args.output), "a file", "a folder, or a name that is free", "name another folder after -o")
    region, catalogue, now = open_inputs(args, settings)
    usecases = {id: catalogue.get("usecases", id) for id in args.usecase}
    wanted = tuple((site.id, id) for site in region.sites for id, usecase in usecases.items() if site.kind in usecase.sites)
    if not wanted:
        raise KibanError(str(args.region), "no site of the kinds that these use cases are about", "at least one", "add rows to sites.csv")
    given = Given(
        sentence="",
        region=region,
        catalogue=catalogue,
        now=now,
        foreign=args.foreign,
        seed=args.seed,
        work=args.work,
        time_limit=args.time,
        terrain=heights_of(region, args.region),
        **wishes(args, region, catalogue),
    )
    ledger = Ledger()
    with interruptible(args.json) as (progress, cancel):
        made = design_step(given, wanted, ledger, progress, cancel)
    design = made.design
    body = made.step.body
    files: list[Path] = []
    if args.output is not None:
        excludes = [(row["technology"], row["cost"]) for row in body["excludes"]]
        day = now.astimezone(TOKYO).date()
        made_files = exports(region, made.problem, design, catalogue, ledger.figures, excludes=excludes, status=body["status"], lang=settings.lang, day=day)
        files = write_exports(made_files, args.output)
    result = {
        "status": body["status"],
        "cost_is_lower_bound": body["lower_bound_only"],
        "excludes": body["excludes"],
        "cost_npv_yen": None if body["cost_npv"] is None else design.cost,
        "priced_part_npv_yen": design.cost,
        "lower_bound_yen": design.bound,
        "gap": design.gap,
        "relaxed": list(design.relaxed),
        "sharing": sharing(body, ledger.figures),
        "check": made.report.holds,
        "sites_by_technology": dict(sorted(Counter(id for site in design.sites for id in site.technologies).items())),
        "unserved": [list(pair) for pair in design.unserved],
        "untested": body["untested"],
        "files": [str(path) for path in files],
        **beside(body, {id: figure.value for id, figure in ledger.figures.items()}),
        "seconds": round(time.monotonic() - began, 2),
    }
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_told(result, args.output, catalogue)))
    return exit_code(design, made.report.holds, args.allow_unserved)


def _told(result: dict[str, Any], output: Path | None, catalogue: Catalogue) -> list[str]:
    """The result for people, each line in both languages; `--json` has all of it."""
    from kiban.catalogue.words import words

    both = [words(catalogue, lang) for lang in ("ja", "en")]
    lines = cost_lines({**result, "design": result["status"]})
    for row in result["excludes"]:
        item = next(cost for cost in catalogue.technologies[row["technology"]].costs if cost.id == row["cost"])
        lines.append(f"見積待ち / without a price: {row['technology']}: {item.name.ja} / {item.name.en}")
    if result["relaxed"]:
        left = [" / ".join(word(f"relaxed.{name}") for word in both) for name in result["relaxed"]]
        lines.append(f"下限の計算で緩めた条件 / the bound leaves out: {'; '.join(left)}")
    sites = "  ".join(f"{id} {count}" for id, count in result["sites_by_technology"].items())
    lines.append(f"技術別地点数 / sites by technology: {sites}  (別経路も数える / a backup counts too)")
    unserved = ", ".join(f"{site} ({usecase})" for site, usecase in result["unserved"])
    lines.append(f"未提供 / unserved: {unserved or '0'}")
    lines += in_lines(result)
    files = ", ".join(Path(name).name for name in result["files"])
    return [*lines, f"{output}: {files}  ({result['seconds']} s)" if output is not None else f"({result['seconds']} s)"]
