"""`kiban drill REGION`: what an event takes out of the design, who is off, what restores them, and how many satellite kits the worst needs."""

from __future__ import annotations

import argparse
import json
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings
from kiban.cli.plan import common, exit_code, heights_of, interruptible, open_inputs

if TYPE_CHECKING:
    from kiban.catalogue.words import Words
    from kiban.design.events import Event
    from kiban.finance.ledger import Ledger
    from kiban.loop.drill import Drilled

NAMED = 20  # sites of one event that the table names; --json has them all
KINDS = "street:ID, road:ID+ID, exchange:ID, place:ID, area:FILE.geojson, hazard:ID, power:HOURS, technology:ID"


def add(parsers: Any) -> None:
    """Arguments of `kiban drill`."""
    parser = parsers.add_parser(
        "drill", help="机上の防災訓練: 失われたら誰が不通になり、何で戻るか / who is off when something is lost, and what restores them"
    )
    common(parser)
    parser.add_argument(
        "--usecase", action="append", required=True, metavar="ID", help="対象のユースケース（何度でも） / a use case to serve; may be given several times"
    )
    parser.add_argument(
        "--cut", action="append", default=[], metavar="KIND:ID", help=f"失われるもの（何度でも）/ what is lost; may be given several times: {KINDS}"
    )
    parser.add_argument(
        "--all", action="store_true", help="地域のすべての災害区域・収容局・鉄塔と、影響の大きい区間 / every hazard, exchange and mast, and the worst streets"
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="影響の大きい区間をいくつ示すか / how many of the worst streets are shown")
    parser.add_argument(
        "--backup", choices=("on", "off"), default="on", help="重要拠点の別経路を持つ設計か、持たない設計か / drill the design with or without backup"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Design, run the drills, print the table."""
    began = time.monotonic()
    from kiban.catalogue.words import words
    from kiban.design.drill_figures import backup_cost, entered, entered_kits, entered_link, usual_events
    from kiban.loop.drill import make_drill
    from kiban.loop.given import Given

    if args.top < 1:
        raise KibanError("--top", str(args.top), "a whole number from 1 on", "correct it")
    region, catalogue, now = open_inputs(args, settings)
    usecases = {id: catalogue.get("usecases", id) for id in args.usecase}
    wanted = tuple((site.id, id) for site in region.sites for id, usecase in usecases.items() if site.kind in usecase.sites)
    if not wanted:
        raise KibanError(str(args.region), "no site of the kinds that these use cases are about", "at least one", "add rows to sites.csv")
    given = Given(
        sentence="", region=region, catalogue=catalogue, now=now, foreign=args.foreign, seed=args.seed, work=args.work, time_limit=args.time,
        terrain=heights_of(region, args.region),
    )  # fmt: skip
    asked = [_event(text, given) for text in args.cut]  # before the work: a slip of the pen is told at once
    with interruptible(args.json) as (progress, cancel):
        made = make_drill(given, wanted, progress, cancel, backup=args.backup == "on")
    drill, sheet = made.drill, made.sheet
    links = drill.links()
    events = list(asked)
    if args.all:
        known = {event.id for event in asked}
        events += [event for event in (*usual_events(drill, links), *(one.event for one in drill.single_points())) if event.id not in known]
        events = list({event.id: event for event in events}.values())
    elif not asked:
        events = usual_events(drill, links)
    outcomes = [drill.run(event, restore=True) for event in events]
    body: dict[str, Any] = {
        "events": [entered(sheet, drill, outcome) for outcome in outcomes],
        "links": [entered_link(sheet, link) for link in links[: args.top]],
        "kits": [entered_kits(sheet, catalogue.technologies, row) for row in drill.kits(outcomes, links)],
    }
    backup = backup_cost(made.full, made.plain)
    result = {
        "status": made.design.status,
        "check": made.report.holds,
        "cost_npv_yen": made.design.cost,
        "streets_with_someone_below": len(links),
        **valued(body, sheet.ledger),
        "backup": valued(backup, made.full.ledger),
        "unserved": [list(pair) for pair in made.design.unserved],
        "seconds": round(time.monotonic() - began, 2),
    }
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_told(result, made, words(catalogue, settings.lang), lambda id: catalogue.headline("technologies", id, settings.lang))))
    return exit_code(made.design, made.report.holds, args.allow_unserved)


def _event(text: str, given: Any) -> Event:
    """An event out of KIND:ID. Raises KibanError for an unknown kind or id."""
    from kiban.design.events import Ground, cut, lose_place, lose_power, lose_technology
    from kiban.records.region import Evidence
    from kiban.region.hazards import hazard_of

    region = given.region
    kind, _, id = text.partition(":")
    if kind in ("street", "road") and id:
        return cut(region, id.split("+"))
    if kind in ("exchange", "place") and id:
        return lose_place(region, id)
    if kind == "technology" and id:
        return lose_technology(given.catalogue.technologies, id)
    if kind == "power":
        try:
            return lose_power(float(id))
        except ValueError as error:
            raise KibanError("--cut", text, "power:72 or another number of hours", "correct it") from error
    if kind == "hazard":
        found = [hazard for hazard in region.hazards if hazard.id == id]
        if found:
            return Ground(region).area(found[0])
        listed = ", ".join(hazard.id for hazard in region.hazards) or "none: the region folder has no hazards/*.geojson"
        raise KibanError("--cut", text, listed, "correct the id, or name a file with area:FILE.geojson")
    if kind == "area" and id:
        path = Path(id)
        unknown = Evidence(assumed=True, reason="a file named on the command line", confirm="whoever named it")
        if not path.is_file():
            raise KibanError(f"--cut {text}", f"{path} is no file", "a GeoJSON file with polygons", "correct the path")
        try:
            return Ground(region).area(hazard_of(path, "area", path.name, "other", unknown, region.lg_code))
        except KibanError as error:
            raise KibanError(f"--cut {text}", f"{error.where}: {error.found}", f"a GeoJSON file with polygons: {error.fits}", error.step) from error
    raise KibanError("--cut", text, KINDS, "correct it")


def valued(body: Any, ledger: Ledger) -> Any:
    """A body with the value of each figure in the place of its id; None where it is unknown."""
    if isinstance(body, dict):
        return {key: valued(value, ledger) for key, value in body.items()}
    if isinstance(body, list):
        return [valued(value, ledger) for value in body]
    figure = ledger.figures.get(body) if isinstance(body, str) else None
    return body if figure is None else figure.value


def _told(result: dict[str, Any], made: Drilled, word: Words, technology: Any) -> list[str]:
    """The table and the sentences below it."""
    labels = {f"street:{row['street']}": " ― ".join(row["between"]) for row in result["links"]}
    names = {id: row.name for id, row in made.sheet.rows.items()}

    def yen(value: float | None) -> str:
        return word("drill.unknown") if value is None else f"{value:,.0f}"

    def label(row: dict[str, Any]) -> str:
        name = " ― ".join(row["between"]) if row.get("between") else technology(row["name"]) if row["kind"] == "technology" else row["name"]
        labels[row["event"]] = name
        return word(f"drill.event.{row['kind']}", name=name)

    table = [[word(f"drill.{name}") for name in ("event", "sites", "people", "restores", "kits", "yen")]]
    below = []
    for row in result["events"]:
        ways = Counter(one["technology"] for one in row["restored"])
        back = ", ".join(f"{technology(id) if id else word('drill.no_way')} × {count}" for id, count in ways.most_common())
        most = max(row["kits"].values(), default=0)
        kits = f"{most:g}" if most else "—"
        sites = word("drill.sites_of", sites=f"{row['sites']:g}", critical=f"{row['critical']:g}")
        people = (word("drill.unknown") if row["off"] else "0") if row["people"] is None else f"{row['people']:,.0f}"
        if row["uncounted"]:
            people += word("drill.uncounted", count=f"{row['uncounted']:g}")
        power = row.get("power")
        if power:
            back = word("drill.power", points=f"{power['points']:g}", unstated=f"{power['unstated']:g}")
        priced = [(one["yen"], technology(one["technology"])) for one in power["technologies"] if one["yen"] is not None] if power else []
        if priced:
            back += f": {min(priced)[1]}"
        paid = min(priced)[0] if priced else row["restored_yen"]
        table.append([label(row), sites, people, back or word("drill.none"), kits, yen(paid) if row["off"] else "0"])
        if row["off"]:
            why = {reason: word(f"drill.reason.{reason}") if reason != "path" else "" for reason in {one["reason"] for one in row["off"]}}
            alike = len(why) == 1  # then the reason is said once, behind the names
            off = ", ".join(f"{names.get(one['site'], one['site'])}{'' if alike else why[one['reason']]}" for one in row["off"][:NAMED])
            off += f" … {word('drill.more', count=len(row['off']) - NAMED)}" if len(row["off"]) > NAMED else ""
            off += next(iter(why.values())) if alike else ""
            below.append(f"{label(row)}: {off}")
    lines = [*_table(table), "", word("drill.who"), *(f"- {line}" for line in below)] if len(table) > 1 else []
    if result["links"]:
        lines += ["", word("drill.links", count=result["streets_with_someone_below"])]
        for row in result["links"]:
            way = "" if row["detour"] is None else word("drill.detour" if row["detour"] else "drill.dead_end")
            sites = word("drill.sites_of", sites=f"{row['sites']:g}", critical=f"{row['critical']:g}")
            lines.append(f"- {row['street']} ({' ― '.join(row['between'])}): {sites} {way}".rstrip())
    for row in result["kits"]:
        blanks = {
            "technology": technology(row["technology"]),
            "kits": f"{row['kits']:g}",
            "critical": f"{row['critical_kits']:g}",
            "event": labels.get(row["event"], row["event"]),
        }
        lines += ["", word("drill.kits_worst", **blanks, yen=word("drill.unknown") if row["yen"] is None else word("drill.amount", yen=yen(row["yen"])))]
    if result["backup"]:
        backup = result["backup"]
        lines += ["", word("drill.backup", **{key: yen(backup[name]) for key, name in (("on", "with"), ("off", "without"), ("yen", "difference"))})]
        lines += [f"- {names.get(row['site'], row['site'])}: {technology(row['technology'])} {yen(row['yen'])}" for row in backup["sites"]]
    if made.sheet.region.links_are_candidates:
        lines += ["", word("drill.candidates")]
    lines += ["", word("drill.note"), word("plan.check_holds" if result["check"] else "plan.check_fails")]
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    """Rows in columns, the last two, which are numbers, to the right; a Japanese character is two wide.

    >>> _table([["何", "1", "22"], ["b", "333", "4"]])
    ['何    1  22', 'b   333   4']
    """
    widths = [max(_wide(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 2

    def filled(column: int, cell: str) -> str:
        room = " " * (widths[column] - _wide(cell))
        return room + cell if column >= last else cell + room

    return ["  ".join(filled(column, cell) for column, cell in enumerate(row)).rstrip() for row in rows]


def _wide(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
