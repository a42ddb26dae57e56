"""kiban region: build a region folder out of official files, and check one."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kiban.base.errors import RegionError
from kiban.base.settings import Settings
from kiban.catalogue import load
from kiban.loop.given import rule_detour
from kiban.records.region import Fact, Missing, Place, Plant, Region, Site
from kiban.records.source import Source
from kiban.region import Given, build, read
from kiban.region.detect import KINDS
from kiban.region.text import decode


def add(parsers: Any) -> None:
    """The parser of this command group."""
    group = parsers.add_parser(
        "region", help="地域フォルダ / region folders", description="公式ファイルから地域フォルダを作る・確かめる / build and check region folders"
    )
    actions = group.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = ", ".join(KINDS)

    making = actions.add_parser("build", help="公式ファイルから作る / build from official files", description=f"KIND: {listed}")
    making.add_argument("out", type=Path, metavar="OUT", help="新しい地域フォルダ / the new folder")
    making.add_argument("files", nargs="+", metavar="[KIND=]FILE", help="種別は内容から判断する。指定もできる / the kind is told from the content unless named")
    making.add_argument("--id", required=True, metavar="ID", help="地域のID / id of the region")
    making.add_argument("--code", metavar="団体コード", help="5桁または6桁 / five or six digits; absent outside Japan")
    making.add_argument("--name", metavar="NAME", help="地域の名称。既定は市区町村の表 / default: from the municipality table")
    making.add_argument("--label", metavar="TEXT", help="全ページ・全文書に載せる一文 / a sentence for every page and paper")
    making.add_argument("--sources", type=Path, metavar="FILE", help="YAML: ファイル名 → title, publisher, url, licence, seen_on")
    making.add_argument("--emergency", action="store_true", help="指定緊急避難場所も地点にする / take places to flee to as well")
    making.add_argument("--assume-exchange", action="store_true", help="収容局を役場に仮置きする / assume an exchange at the town office")
    making.add_argument("--attach-limit", type=float, default=1000.0, metavar="M", help="街路までの限度 / how far a point may be from a street (1000)")
    making.add_argument("--outside-limit", type=float, default=300.0, metavar="M", help="行政区域の外の許容 / how far outside the boundary (300)")
    making.add_argument("--merge", type=float, default=150.0, metavar="M", help="同名の地点をまとめる距離 / distance of duplicates (150)")

    checking = actions.add_parser("check", help="地域フォルダを確かめる / check a folder", description="全ての問題を一度に示す / shows every problem at once")
    checking.add_argument("folder", type=Path, metavar="REGION")
    for parser in (making, checking):
        parser.add_argument("--json", action="store_true", help="JSON で出力 / print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run one action; returns its exit code."""
    detour = rule_detour(load(settings.data, settings.state / "cache"), date.today())
    if args.action == "check":
        _print(args, read(args.folder, detour=detour))
        return 0
    region = build(
        args.out,
        given(args.files, args.sources),
        id=args.id,
        today=date.today(),
        name=args.name,
        lg_code=args.code,
        label=args.label,
        detour=detour,
        attach_limit_m=args.attach_limit,
        outside_limit_m=args.outside_limit,
        merge_m=args.merge,
        emergency=args.emergency,
        assume_exchange=args.assume_exchange,
        progress=lambda share, sentence: print(f"{share:4.0%} {sentence}", file=sys.stderr),
    )
    _print(args, region)
    return 0


def given(files: list[str], sources: Path | None) -> list[Given]:
    """Files of the command line: FILE or KIND=FILE, with the source that a YAML file states for the file's name."""
    known: dict[str, Source] = {}
    if sources is not None:
        try:
            known = msgspec.convert(yaml.safe_load(decode(sources)) or {}, dict[str, Source])
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise RegionError(sources.name, str(error), "file name → title, publisher, url, licence, seen_on", "correct the file") from error
    out = []
    for text in files:
        kind, sign, path = text.partition("=")
        if sign and kind.partition(":")[0] in KINDS:
            out.append(Given(Path(path), kind, known.get(Path(path).name)))
        else:
            out.append(Given(Path(text), "", known.get(Path(text).name)))
    strange = sorted(set(known) - {one.path.name for one in out})
    if strange:
        raise RegionError(str(sources), f"{', '.join(strange)}", "names of the files that are given", "correct the name")
    return out


def _print(args: argparse.Namespace, region: Region) -> None:
    sites, places = Counter(site.kind for site in region.sites), Counter(place.kind for place in region.places)
    rows: list[Site | Place | Plant | Fact] = [*region.sites, *region.places, *region.plants, *region.facts]
    assumed = [row.id for row in rows if row.evidence.assumed]
    if args.json:
        content = {
            "ok": True,
            "id": region.id,
            "name": region.name,
            "sites": sites,
            "places": places,
            "junctions": len(region.junctions),
            "streets": len(region.streets),
            "street_km": round(sum(street.length_m for street in region.streets) / 1000, 1),
            "links_are_candidates": region.links_are_candidates,
            "plants": len(region.plants),
            "facts": {fact.id: fact.value for fact in region.facts},
            "assumed": assumed,
            "missing": [msgspec.to_builtins(one) for one in region.missing],
        }
        print(json.dumps(content, ensure_ascii=False, indent=2))
        return
    print(f"{region.name} ({region.id}{f', {region.lg_code}' if region.lg_code else ''})")
    if region.label:
        print(region.label)
    print("地点 / sites: " + ", ".join(f"{kind} {count}" for kind, count in sorted(sites.items())))
    print("設置場所 / places: " + (", ".join(f"{kind} {count}" for kind, count in sorted(places.items())) or "0"))
    kind = "候補ルート / candidate links" if region.links_are_candidates else "街路 / streets"
    print(f"{kind}: {len(region.streets)} ({sum(street.length_m for street in region.streets) / 1000:.1f} km), {len(region.junctions)} junctions")
    print(f"既存設備 / plant: {len(region.plants)}; 事実 / facts: {len(region.facts)}; 仮定 / assumed rows: {len(assumed)}")
    print(f"ないもの・置けなかったもの / missing or not placed: {len(region.missing)}")
    for one in region.missing:
        print(_line(one))


def _line(missing: Missing) -> str:
    named = f"\n      {', '.join(missing.examples)}{' …' if missing.count > len(missing.examples) else ''}" if missing.examples else ""
    return f"  - {missing.what}: {missing.count}\n      {missing.why}\n      → {missing.ask}{named}"
