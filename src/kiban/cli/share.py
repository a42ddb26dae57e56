"""`kiban share REGION REGION …`: neighbouring towns together, who pays how much, and what they ask for when added up."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings
from kiban.cli.plan import CORE, CORE_OPEN, common, interruptible, open_inputs

if TYPE_CHECKING:  # loaded when the command runs
    from kiban.loop.share import Towns


def add(parsers: Any) -> None:
    """Arguments of `kiban share`."""
    parser = parsers.add_parser("share", help="近隣の町と共同で作る費用を分ける / split the cost of building together with neighbours")
    common(parser)
    parser.add_argument("neighbours", type=Path, nargs="+", metavar="REGION", help="近隣の地域フォルダ（1つ以上） / region folders of neighbours, one or more")
    parser.add_argument(
        "--usecase", action="append", required=True, metavar="ID", help="対象のユースケース（何度でも） / a use case to serve; may be given several times"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Design every group of towns and split the joint cost."""
    began = time.monotonic()
    from kiban.loop.given import Given, rule_detour
    from kiban.loop.share import share_towns
    from kiban.region import read

    region, catalogue, now = open_inputs(args, settings)
    regions = [region, *(read(folder, detour=rule_detour(catalogue, now.date())) for folder in args.neighbours)]
    folders: dict[str, Path] = {}
    for one, folder in zip(regions, [args.region, *args.neighbours], strict=True):
        if one.id in folders:
            raise KibanError(
                str(folder), f"the region id {one.id!r}, which {folders[one.id]} has too", "an id of its own for each town", "change id: in one region.yaml"
            )
        folders[one.id] = folder
    given = Given(sentence="", region=region, catalogue=catalogue, now=now, foreign=args.foreign, seed=args.seed, work=args.work, time_limit=args.time)
    with interruptible(args.json) as (progress, cancel):
        towns = share_towns(given, regions, args.usecase, progress, cancel)
        if cancel():
            raise KibanError("share", "stopped before every group of towns was designed", "", "run it again")
    result = {**told(towns), "seconds": round(time.monotonic() - began, 2)}
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        _print(result)
    if not towns.holds:
        return 1
    return 0 if towns.divided is not None or args.allow_unserved else 3


def told(towns: Towns) -> dict[str, Any]:
    """What `--json` prints: yen over the horizon, present value, tax excluded."""
    names = {region.id: region.name for region in towns.regions}
    result: dict[str, Any] = {"towns": names, "check": towns.holds, "no_total": list(dict.fromkeys(towns.stuck)), "split": None}
    if towns.divided is not None:
        split, core = towns.divided.split, towns.divided.core
        alone = {player: split.cost([player]) for player in split.players if frozenset([player]) in split.values}
        ends = {player: split.interval(player) or towns.divided.ranges.get(player) for player in split.players}
        result["split"] = {
            "together_yen": split.total,
            "alone_yen": alone,
            "saving_yen": sum(alone.values()) - split.total if len(alone) == len(split.players) else None,
            "shares_yen": {player: split.share(player) for player in split.players},
            "by_layer_yen": split.shares,
            "range_yen": {player: [round(end) for end in pair] for player, pair in ends.items() if pair is not None and pair[0] != pair[1]},
            "exact": split.pairs == 0,
            "designs": len(towns.divided.designs),
            "core": {
                "state": core.state,
                "better_alone": [{"towns": list(one.players), "pays_yen": one.pays, "alone_yen": one.alone, "more_yen": one.more} for one in core.objections],
                "open": [list(group) for group in core.open],
                "all_groups_seen": core.all,
            },
            "not_proved": [sorted(group) for group, (_, design) in towns.divided.designs.items() if design.status != "proved"],
        }
    result["demand"] = [
        {"town": row.town, "usecase": row.usecase, "sites": row.sites, "devices": row.devices, "down_mbps": row.down_mbps, "up_mbps": row.up_mbps}
        for row in towns.demand
    ]
    result["demand_total"] = [_total(towns, usecase) for usecase in dict.fromkeys(row.usecase for row in towns.demand)]
    known = {row.what for region in towns.regions for row in region.missing}
    result["joined"] = [{"what": row.what, "why": row.why, "ask": row.ask, "count": row.count} for row in towns.joint.missing if row.what not in known]
    return result


def _total(towns: Towns, usecase: str) -> dict[str, Any]:
    """The demand of all towns for one use case; a rate that one town does not know has no sum."""
    rows = [row for row in towns.demand if row.usecase == usecase]
    rates = {name: [getattr(row, name) for row in rows] for name in ("down_mbps", "up_mbps")}
    sums = {name: None if None in values else sum(values) for name, values in rates.items()}
    return {"usecase": usecase, "sites": sum(row.sites for row in rows), "devices": sum(row.devices for row in rows), **sums}


def _print(result: dict[str, Any]) -> None:
    split, names = result["split"], result["towns"]
    if split is None:
        print(f"合計の出ない組があるため分けられない / no total for: {', '.join(result['no_total'])}")
    else:
        print(f"共同で / together: {split['together_yen']:,} 円 (15年の現在価値、税抜 / present value, tax excluded)")
        for town, share in split["shares_yen"].items():
            alone = split["alone_yen"].get(town)
            ends = split["range_yen"].get(town)
            print(
                f"  {names[town]} ({town}): 負担 / pays {share:,} 円"
                + (f" ({ends[0]:,} – {ends[1]:,})" if ends else "")
                + (f"  単独 / alone {alone:,} 円  差 / saves {alone - share:,} 円" if alone is not None else "")
            )
            print("    " + "  ".join(f"{layer}: {yen:,} 円" for layer, yen in split["by_layer_yen"][town].items()))
        if split["saving_yen"] is not None:
            print(f"節約 / saving: {split['saving_yen']:,} 円")
        print(f"コア / core: {CORE.get(split['core']['state'], CORE_OPEN)}")
        for row in split["core"]["better_alone"]:
            print(f"  {' + '.join(row['towns'])}: {row['pays_yen']:,} 円 > {row['alone_yen']:,} 円 (+{row['more_yen']:,} 円)")
        if split["not_proved"]:
            print(f"最適と証明されていない設計 / designs not proved: {len(split['not_proved'])} / {split['designs']}")
    for row in [*result["demand"], *({"town": "合計 / total", **total} for total in result["demand_total"])]:
        rates = "  ".join(f"{name} {'不明 / unknown' if row[name] is None else f'{row[name]:,.1f}'}" for name in ("down_mbps", "up_mbps"))
        print(f"需要 / demand {row['town']} {row['usecase']}: 地点 / sites {row['sites']}  端末 / devices {row['devices']:,.0f}  {rates}")
    for row in result["joined"]:
        print(f"つなぎ方 / joined: {row['what']} ({row['count']}): {row['why']} → {row['ask']}")
