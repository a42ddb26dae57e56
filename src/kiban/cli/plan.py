"""`kiban plan REGION --issue TEXT -o DIR`: one sentence to a plan folder."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiban.base.errors import KibanError
from kiban.base.progress import Cancel, Progress, silent
from kiban.base.settings import Settings
from kiban.records.design import Design

if TYPE_CHECKING:  # loaded when the command runs: other commands do not wait for the solver
    from kiban.catalogue import Catalogue
    from kiban.loop.plan import Made
    from kiban.records.plan import Figure
    from kiban.records.region import Region
    from kiban.records.terrain import Terrain

TOKYO = "+09:00"
CHOSEN = {  # what the design does with old plant
    "keep": "使い続ける / kept",
    "renew": "使い、寿命の年度に更新 / used, and renewed when its life ends",
    "run_on": "使う（更新の値段か時期が不明） / used; nobody can price or date its renewal",
    "leave": "使わない / not used",
}
CORE = {"holds": "どの組も単独より高くない / nobody pays more than alone", "broken": "単独のほうが安い組がある / some would pay less alone"}
CORE_OPEN = "証明できていない / open: none is known that would pay less alone, not proved"
NO_MONEY = 100  # a number up to this is meant as years, not as yen
STOPPING = (
    "\nkiban: 探索を終え、今ある設計を検査して書き出します。もう一度 Ctrl-C で直ちに終わります / "
    "the search ends; the design found is checked and written; Ctrl-C once more ends at once\n"
)


def add(parsers: Any) -> None:
    """Arguments of `kiban plan`."""
    parser = parsers.add_parser("plan", help="一文から計画をつくる / make a plan from one sentence")
    common(parser)
    wishing(parser)
    parser.add_argument("--issue", required=True, metavar="TEXT", help="課題を日本語の一文で / the issue in one Japanese sentence")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="計画と書類を書くフォルダ / folder for plan.json and the papers")
    parser.add_argument(
        "--answer", action="append", default=[], metavar="QUESTION=CHOICE", help="質問に答える（何度でも） / answer a question; may be given several times"
    )
    parser.add_argument(
        "--fact",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="町・業務の事実の値を入れる（何度でも）。ID= で取り消す / give the value of a named fact; may be given several times; ID= takes it back",
    )
    parser.add_argument(
        "--like",
        type=Path,
        metavar="DIR",
        help="計画フォルダ DIR に人が入れた値・文・見積も使う / take along what people have put into the plan folder DIR",
    )
    parser.add_argument("--save", action="store_true", help="計画を新しい版として保存 / also store the plan as a new version")
    parser.add_argument("--progress", action="store_true", help="途中経過を一行ずつ JSON で / progress as lines of JSON on the error stream")
    parser.add_argument("--attached", action="store_true", help="標準入力が閉じたら終わる / end when standard input ends: whoever asked for the plan is gone")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="途中をこのファイルに保存し、あれば続きから作る / keep the work on its way here, and go on from it"
    )
    parser.add_argument("--author", default="kiban", help="保存する人（--save のとき） / who saves it (with --save)")
    parser.add_argument("--reason", default="kiban plan", help="保存する理由（--save のとき） / why it is saved (with --save)")


def common(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that designs."""
    parser.add_argument("region", type=Path, metavar="REGION", help="地域フォルダ / a region folder")
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")
    parser.add_argument(
        "--today", metavar="YYYY-MM-DD", help="この日の時点で計画する（適用する制度値、初年度） / plan as on this day (rules in force, first fiscal year)"
    )
    parser.add_argument("--foreign", action="store_true", help="国外の値も使う（確度C） / also use figures from abroad (confidence C)")
    parser.add_argument("--seed", type=int, default=0, help="最適化の乱数の種 / seed of the solver")
    parser.add_argument(
        "--work", type=int, default=100, metavar="N", help="最適化の作業量。同じ値なら同じ設計 / units of the solver's work; the same N gives the same design"
    )
    parser.add_argument("--time", type=float, metavar="S", help="S秒で打ち切り、それまでの最良を使う / stop solving after S seconds with the best so far")
    parser.add_argument(
        "--allow-unserved", action="store_true", help="届かない地点があっても終了コード 0 / exit 0 although a site has no admissible technology"
    )


def wishing(parser: argparse.ArgumentParser) -> None:
    """Arguments of what the user wants of a design beside its sites: those that `wishes` reads."""
    parser.add_argument("--traffic", metavar="ID", help="共用回線の通信量をこのシナリオで伸ばす / let shared links grow by this traffic scenario")
    parser.add_argument(
        "--budget", type=int, metavar="YEN", help="初年度に整備に使える額（税込）。誰が先か、次の100万円で何が増えるか / money for the first year, tax included"
    )
    parser.add_argument(
        "--phases",
        metavar="N|YEN[,YEN…]",
        help="年度ごとの工事。N は年数、YEN は各年度の額（税込） / works by year: a number of years, or the money of each year, tax included",
    )
    parser.add_argument("--kwh", type=float, metavar="MAX", help="年間電力量の上限 kWh / the design may not use more kWh a year")
    parser.add_argument(
        "--weight", action="append", default=[], metavar="SITE=N", help="地点の優先の重み（何度でも） / how much a site counts; may be given several times"
    )


def moment(today: str | None) -> datetime:
    """Now, or noon of a given day in Japan."""
    if today is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(f"{today}T12:00:00{TOKYO}")
    except ValueError as error:
        raise KibanError("--today", repr(today), "a day such as 2026-11-23", "correct it") from error


def open_inputs(args: argparse.Namespace, settings: Settings) -> tuple[Region, Catalogue, datetime]:
    """The region, the catalogue and the moment of a run."""
    from kiban.catalogue import load
    from kiban.loop.given import rule_detour
    from kiban.region import read

    for option, value, least in (("--seed", args.seed, 0), ("--work", args.work, 1), ("--time", args.time, 0)):
        if value is not None and not least <= value < math.inf:
            raise KibanError(option, str(value), f"a number from {least} on", "correct it")
    catalogue = load(settings.data, settings.state / "cache")
    now = moment(args.today)
    region = read(args.region, detour=rule_detour(catalogue, now.date()))
    return region, catalogue, now


def heights_of(region: Region, folder: Path) -> Terrain | None:
    """The heights of the region's ground; None where it has none, or none fine enough to look at."""
    from kiban.records.terrain import COARSEST_M
    from kiban.region.heights import region_heights

    if region.elevation is None or region.elevation.spacing_m > COARSEST_M:
        return None
    return region_heights(region, folder)


def wishes(args: argparse.Namespace, region: Region, catalogue: Catalogue) -> dict[str, Any]:
    """What the user asked for beside the design: traffic, budget, phases, kWh, weights; as arguments of Given.

    Raises
    ------
    KibanError  a scenario or a site that does not exist, a number that cannot be
    """
    if args.traffic is not None:
        catalogue.get("traffic", args.traffic)
    for option, value in (("--budget", args.budget), ("--kwh", args.kwh)):
        if value is not None and not 0 <= value < math.inf:
            raise KibanError(option, str(value), "a number from 0 on", "correct it")
    years: tuple[int, ...] = ()
    if args.phases is not None:
        try:
            years = tuple(int(part.replace("_", "")) for part in args.phases.split(","))
        except ValueError as error:
            raise KibanError("--phases", repr(args.phases), "a number of years, or yen a year joined by commas", "write 3, or 5000000,5000000") from error
        if any(value < 1 for value in years):
            raise KibanError("--phases", repr(args.phases), "numbers from 1 on", "correct it")
        horizon = int(catalogue.rule_at("horizon", moment(args.today).date()).quantity.value or 0)
        if len(years) == 1 and horizon < years[0] <= NO_MONEY:  # would be read as so many yen a year
            raise KibanError("--phases", repr(args.phases), f"up to {horizon} years, or the yen of a year", "correct it")
    weights = {}
    for text in args.weight:
        site, _, number = text.partition("=")
        if site not in {row.id for row in region.sites} or not number.isdecimal() or int(number) < 1:
            raise KibanError("--weight", repr(text), "SITE=N with the id of a site and a whole number from 1 on", "take the id from sites.csv")
        weights[site] = int(number)
    if weights and args.budget is None and args.phases is None:
        raise KibanError("--weight", "no --budget and no --phases", "one of them: weights say who comes first when money or years are short", "add one")
    return {"traffic": args.traffic, "budget": args.budget, "phases": years, "kwh": args.kwh, "weights": weights}


@contextmanager
def interruptible(json_output: bool, lines: bool = False) -> Iterator[tuple[Progress, Cancel]]:
    """Progress on the error stream, and a Cancel that Ctrl-C sets; a second Ctrl-C ends at once. lines: as lines of JSON, for a program."""
    stop = threading.Event()

    def ask_to_stop(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(2, STOPPING.encode())  # not print: a signal may come in the middle of one

    def tell(share: float, sentence: str) -> None:
        print(f"\r{share:4.0%}  {sentence:<60}", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)

    def tell_lines(share: float, sentence: str) -> None:
        print(json.dumps({"share": round(share, 4), "said": sentence}, ensure_ascii=False), file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, ask_to_stop)
    try:
        yield (tell_lines if lines else silent if json_output or not sys.stderr.isatty() else tell), stop.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def exit_code(design: Design, holds: bool, allow_unserved: bool) -> int:
    """1 when the independent check rejects the design; 3 when a site has no admissible technology, unless that is allowed."""
    if not holds:
        return 1
    return 3 if design.status == "infeasible" and not allow_unserved else 0


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Make the plan, write it, say what came of it."""
    began = time.monotonic()
    if args.attached:
        threading.Thread(target=_end_with_input, daemon=True).start()
    from kiban.documents.fonts import need_fonts
    from kiban.loop.checkpoint import keeper_for
    from kiban.loop.files import inputs_of, read_inputs, warnings, write_folder
    from kiban.loop.given import Given
    from kiban.loop.inputs import with_facts
    from kiban.loop.issue import plan_id
    from kiban.loop.kept import merged
    from kiban.loop.plan import make_plan
    from kiban.records.funding import Inputs

    need_fonts()  # what is missing for the papers is told before the work
    if args.output.exists() and not args.output.is_dir():
        raise KibanError(str(args.output), "a file", "a folder, or a name that is free", "name another folder after -o")
    region, catalogue, now = open_inputs(args, settings)
    stood = typed = inputs_of(args.output, plan_id(args.issue, region.id))
    if args.like is not None and typed == Inputs():  # what was put into this plan itself comes first
        typed = read_inputs(args.like)
    given = Given(
        sentence=args.issue,
        region=region,
        catalogue=catalogue,
        now=now,
        answers=dict(_answer(text, catalogue) for text in args.answer),
        inputs=with_facts(typed, args.fact, catalogue),
        foreign=args.foreign,
        seed=args.seed,
        work=args.work,
        time_limit=args.time,
        terrain=heights_of(region, args.region),
        **wishes(args, region, catalogue),
    )
    keeper = None if args.checkpoint is None else keeper_for(args.checkpoint, given, lambda line: print(f"kiban: {line}", file=sys.stderr, flush=True))
    with interruptible(args.json, args.progress) as (progress, cancel):
        if keeper is not None and keeper.resumed:
            progress(0.0, "途中保存から続ける / going on from the checkpoint")
        made = make_plan(given, progress if keeper is None else keeper.telling(progress), cancel, keeper)
        progress(1.0, "書類を作成 / writing the papers")
    if made.plan is None:
        if keeper is not None:
            keeper.remove()
        _print_questions(made, catalogue, args.json, time.monotonic() - began)
        return 4
    files = write_folder(made, region, catalogue, settings.lang, args.output, lambda there: merged(stood, there, made.inputs)[0])
    if keeper is not None:
        keeper.remove()
    if args.save:
        _save(args, settings, made, now)
    told = warnings(args.output)
    result = {**summary(made, [str(path) for path in files], time.monotonic() - began), "warnings": told}
    if args.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        _print_summary(result, args.output)
        for warning in told:
            print(f"警告 / warning: {warning}")
    assert made.designed is not None
    return exit_code(made.designed.design, made.designed.report.holds, args.allow_unserved)


def _end_with_input() -> None:
    """End this process when nobody holds its standard input any more; what it has found stands in its checkpoint."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def _answer(text: str, catalogue: Catalogue) -> tuple[str, str]:
    """QUESTION=CHOICE of the form of questions. Raises KibanError when there is no such question or choice."""
    from kiban.loop.issue import answers_known

    known = answers_known(catalogue)
    question, sign, choice = text.partition("=")
    if not sign:
        raise KibanError("--answer", repr(text), "QUESTION=CHOICE", "write the id of the question, =, and the id of the choice")
    if question not in known:
        raise KibanError("--answer", f"question {question!r}", f"one of {', '.join(known)}", "the plan without answers lists its questions")
    if choice not in known[question]:
        raise KibanError(f"--answer {question}", repr(choice), f"one of {', '.join(known[question])}", "write the id of a choice")
    return question, choice


def summary(made: Made, files: list[str], seconds: float) -> dict[str, Any]:
    """What `--json` prints of a plan."""
    assert made.plan is not None
    assert made.designed is not None
    plan, body = made.plan, made.designed.step.body
    steps = {step.id: step.body for step in plan.steps}

    def value(key: str | None) -> float | None:
        return None if key is None else plan.figures[key].value

    def whole(key: str | None) -> int | None:
        number = value(key)
        return None if number is None else int(number)

    return {
        "status": plan.status,
        "options": [{"kind": row["kind"], "state": row["state"], "records": row["records"]} for row in steps["options"]["rows"]],
        "verdict": {
            "status": steps["verdict"]["status"],
            "open_points": len(steps["verdict"]["points"]),
            "ask_first": (steps["verdict"]["conclusion"]["decisive"] or {}).get("text"),
        },
        "model": steps["options"]["model"],
        "cost_5y_yen": whole(body["cost_5y"]),
        "cost_npv_yen": whole(body["cost_npv"]),
        "priced_part_5y_yen": whole(body["priced_part_5y"]),
        "priced_part_npv_yen": whole(body["priced_part"]),
        "cost_is_lower_bound": body["lower_bound_only"],
        "excludes": body["excludes"],
        "lower_bound_yen": whole(body["lower_bound"]),
        "gap": value(body["gap"]),
        "design": body["status"],
        "relaxed": body["relaxed"],
        "sharing": sharing(body, plan.figures),
        "check": body["check"]["holds"],
        "budget": _budget(made),
        "supports": [{"support": one.support, "answer": one.answer, "example": one.example} for one in made.funding.answers] if made.funding else [],
        "facts_to_ask": list(made.funding.missing) if made.funding else [],
        "unpriced": [
            {"technology": row["technology"], "missing": row["missing"], "break_even_yen": value(row["break_even"]), "per": row["per"]}
            for row in body["unpriced"]
        ],
        "assumed": [row["id"] for row in body["assumed"]],
        **beside(body, {id: figure.value for id, figure in plan.figures.items()}),
        "missing": [{"what": row["what"], "ask": row["ask"], "count": whole(row["count"])} for row in body["missing"]],
        "unserved": body["unserved"],
        "questions": [
            {"id": question["id"], **question["text"], "choices": [choice["id"] for choice in question["choices"]]} for question in steps["issue"]["questions"]
        ],
        "files": files,
        "seconds": round(seconds, 2),
    }


def sharing(body: dict[str, Any], figures: Mapping[str, Figure]) -> dict[str, Any] | None:
    """The split of the joint cost between the use cases, in yen; None where there is none."""
    split = (body.get("shared") or {}).get("split")
    if not split:
        return None

    def yen(key: str | None) -> int | None:
        value = None if key is None else figures[key].value
        return None if value is None else int(value)

    return {
        "shares_yen": {row["player"]: yen(row["share"]) for row in split["rows"]},
        "alone_yen": {row["player"]: yen(row["alone"]) for row in split["rows"]},
        "by_layer_yen": {row["player"]: {part["layer"]: yen(part["figure"]) for part in row["layers"]} for row in split["rows"]},
        "exact": split["exact"],
        "core": split["core"]["state"],
        "better_alone": [{"usecases": row["players"], "more_yen": yen(row["more"])} for row in split["core"]["objections"]],
        "not_proved": split["unproved"],
    }


def beside(body: dict[str, Any], values: dict[str, float | None]) -> dict[str, Any]:
    """Traffic, plant, electricity, money and years of a design step, with numbers in the place of figure ids."""

    def numbers(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {key: numbers(value) for key, value in thing.items()}
        if isinstance(thing, list):
            return [numbers(value) for value in thing]
        return values[thing] if isinstance(thing, str) and thing in values else thing

    return {key: numbers(body[key]) for key in ("growth", "ageing", "energy", "money", "phases") if body.get(key) is not None}


def in_lines(told: dict[str, Any]) -> list[str]:
    """What `beside` says, for people: a line for each scenario, plant, sum of money and year."""
    lines = []
    for row in told.get("growth", ()):
        first = min((one["fiscal"] for one in row["breaks"]), default=None)
        what = "足りる / lasts" if first is None else f"{first}年度から不足 / breaks from {first}"
        if not row["says"]:
            what = "過去の実測で、これからの年度は言わない / measured in the past, says nothing of the coming years"
        more = "" if row["difference"] is None else f"  差額 / difference {row['difference']:+,.0f} 円"
        lines.append(f"通信量 / traffic {row['id']}{' (この設計に適用 / in this design)' if row['applied'] else ''}: {what}{more}")
    for row in told.get("ageing", ()):
        adds = row["choices"][2]["adds"]
        lines.append(
            f"設備 / plant {row['plant']}: {CHOSEN[row['chosen']]}"
            + ("" if row["renewal"] is None else f"  寿命の年度 / life ends in {row['renewal']}")
            + ("" if adds is None else f"  なしなら / without it {adds:+,.0f} 円")
        )
    if "energy" in told:
        energy = told["energy"]
        lines.append(f"電力量 / electricity: {energy['known']:,.0f} kWh/年{' 以上 / or more' if energy['lower_bound_only'] else ''}")
        if energy.get("none"):
            said = ("ない（証明済み）", "exists (proved)") if energy["none"]["proved"] else ("見つからない", "was found")
            lines.append(
                f"上限 / limit {energy['limit']:,.0f} kWh/年: この上限で全地点に届く設計は{said[0]}。見つかった最少は {energy['none']['kwh']:,.0f} kWh/年 / "
                f"no design under this limit that serves all {said[1]}; the least found is {energy['none']['kwh']:,.0f} kWh a year"
            )
        elif energy.get("kept"):
            lines.append(f"上限 / limit {energy['limit']:,.0f} kWh/年: 守られている / kept")
    if told.get("money") or told.get("phases"):
        lines.append("下の予算と年度の金額は税抜（入力は税込） / amounts of money and years below are without tax; those typed in are with tax")
    if told.get("money") and told.get("phases"):
        lines.append("予算は設計の一部、年度は設計の全体について言う / money speaks of a part of the design, years of the full design")
    if told.get("money", {}).get("own_weights"):
        named = ", ".join(told["money"]["own_weights"])
        lines.append(f"重みの指定 / weights typed in: {named}; ほかは重要拠点・世帯数の順 / the others by critical sites, then households")
    for number, row in enumerate(told.get("money", {}).get("stages", ())):
        mark = " (指定の予算 / as asked)" if str(number) == told["money"]["stage"] and told["money"]["asked"] is not None else ""
        lines.append(f"予算 / money {row['most']:,.0f} 円{mark}: {row['sites']:.0f} 地点 / sites, 15年 / horizon {row['cost']:,.0f} 円")
    if told.get("money", {}).get("next"):
        joined = ", ".join(sorted({one["site"] for one in told["money"]["next"]["in"]}))
        lines.append(f"次の地点まで / to the next site: {told['money']['next']['more']:,.0f} 円 → {joined}")
    for row in told.get("phases", {}).get("years", ()):
        lines.append(f"{row['year']}年度 / FY{row['year']}: {row['paid']:,.0f} 円, {row['km']:.1f} km, {len(row['sites'])} 地点 / sites")
    if told.get("phases", {}).get("left"):
        lines.append(f"届かない / not joined: {', '.join(told['phases']['left'])}")
    return lines


def _budget(made: Made) -> dict[str, Any] | None:
    """The two budget tables in brief; yen, tax included."""
    if made.funding is None:
        return None
    adopted, refused = made.funding.adopted, made.funding.refused
    general = next(row.years for row in adopted.sources if row.id == "general")
    return {
        "first_year": adopted.years[0],
        "first_year_yen": adopted.total[0],
        "general_fund_yen": general[0],
        "general_fund_refused_yen": refused.total[0] - sum(row.years[0] for row in refused.sources if row.id != "general"),
        "following_year_yen": adopted.total[1] if len(adopted.total) > 1 else None,
        "supports": list(adopted.supports),
        "of_past_years": list(adopted.past),
        "awaiting": sum(line.basis == "awaiting" for line in made.funding.lines),
        "own_quantities_of_another_design": [line.id for line in made.funding.lines if line.stale],
        "payer_after": adopted.payer_after,
    }


def cost_lines(result: dict[str, Any]) -> list[str]:
    """Cost, bound, proof, check and split of a design, for people."""
    cost, bound = result["cost_npv_yen"], result["lower_bound_yen"]
    lines = [
        "15年の正味現在価値 / NPV: "
        + (f"合計なし / no total; 値の付いた部分 / priced part: {result['priced_part_npv_yen']:,} 円" if cost is None else f"{cost:,} 円")
        + (f" (見積待ち {len(result['excludes'])} 件を除く / without {len(result['excludes'])} unpriced items)" if result["excludes"] else "")
        + f"  下限 / bound: {bound:,} 円  差 / gap: {result['gap']:.2%}",
        f"設計 / design: {result['design']}  独立検査 / check: {'合格 / holds' if result['check'] else '不合格 / FAILS'}",
    ]
    if result["sharing"]:
        told = "  ".join(f"{id} {yen:,} 円" for id, yen in result["sharing"]["shares_yen"].items())
        lines.append(f"用途の負担 / use cases pay: {told}  コア / core: {CORE.get(result['sharing']['core'], CORE_OPEN)}")
    return lines


def _print_summary(result: dict[str, Any], output: Path) -> None:
    print(f"標準モデル / model: {result['model']} (提案 / a proposal)")
    print("\n".join(cost_lines(result)))
    if result["budget"]:
        money = result["budget"]
        print(
            f"予算ベース {money['first_year']}年度 / budget of FY{money['first_year']}: {money['first_year_yen']:,} 円"
            f"  一般財源 / general fund: {money['general_fund_yen']:,} 円"
            f"  (不採択の場合 / without support: {money['general_fund_refused_yen']:,} 円)"
        )
    for id in (result["budget"] or {}).get("own_quantities_of_another_design", ()):
        print(f"注意 / note: {id}: 自団体の数量は前の設計のときの値です。積算内訳書で確かめてください / the own quantity was typed for another design")
    print(f"判定 / verdict: {result['verdict']['status']}  確認事項 / open points: {result['verdict']['open_points']}")
    if result["verdict"]["ask_first"]:
        print(f"先に確かめる1点 / ask first: {result['verdict']['ask_first']['ja']} / {result['verdict']['ask_first']['en']}")
    print(f"未価格 / unpriced: {len(result['unpriced'])}  仮定 / assumed: {len(result['assumed'])}  未提供 / unserved: {len(result['unserved'])}")
    for line in in_lines(result):
        print(line)
    for row in result["missing"]:
        print(f"不足 / missing: {row['what']} ({row['count']}) → {row['ask']}")
    for question in result["questions"]:
        print(f"質問 / question {question['id']}: {question['ja']} / {question['en']}  (--answer {question['id']}={'|'.join(question['choices'])})")
    folders = Counter(name.parent.name for name in map(Path, result["files"]) if name.parent != output)
    named = [*(f"{folder}/ ({count})" for folder, count in folders.items()), *(name.name for name in map(Path, result["files"]) if name.parent == output)]
    print(f"{output}: {', '.join(named)}  ({result['seconds']} s)")


def _print_questions(made: Made, catalogue: Catalogue, as_json: bool, seconds: float) -> None:
    issue = made.issue
    cases = {case.id: catalogue.cases[case.id] for case in issue.cases}
    result = {
        "status": "questions",
        "issue": issue.status,
        "why": {"ja": issue.why.ja, "en": issue.why.en} if issue.why else _no_rows(made, catalogue),
        "usecases": [match.id for match in issue.usecases],
        "models": [match.id for match in issue.models],
        "cases": [{"id": id, "title": case.title, "stopped": case.stopped} for id, case in cases.items()],
        "ask": [{"ja": line.ja, "en": line.en} for line in issue.ask],
        "questions": [{"id": question.id, "ja": question.text.ja, "en": question.text.en} for question in issue.questions],
        "files": [],
        "seconds": round(seconds, 2),
    }
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
        return
    if issue.status == "matched":
        print("\n".join(_no_rows(made, catalogue).values()))
    elif issue.why is not None:
        print(f"{issue.why.ja}\n{issue.why.en}")
    for id, case in cases.items():
        town = f"{case.prefecture or ''}{case.municipality or ''}"
        print(f"事例 / case: {case.title} {town}{' (中止・終了 / stopped)' if case.stopped else ''}  [kiban catalogue show cases {id}]")
    for line in issue.ask:
        print(f"照会先 / ask: {line.ja} / {line.en}")
    for question in issue.questions:
        print(f"質問 / question {question.id}: {question.text.ja} / {question.text.en}")


def _no_rows(made: Made, catalogue: Catalogue) -> dict[str, str]:
    """What to say when the region has no place of the kinds that the use cases are about."""
    kinds = sorted({kind for match in made.issue.usecases if match.id in catalogue.usecases for kind in catalogue.usecases[match.id].sites})
    return {
        "ja": f"この地域の表には、この課題に当たる地点の行がありません。sites.csv に kind が {' か '.join(kinds)} の行を足してください",
        "en": f"The region has no rows of the kinds of place that this issue is about: add rows of kind {' or '.join(kinds)} to sites.csv",
    }


def _save(args: argparse.Namespace, settings: Settings, made: Made, now: datetime) -> None:
    """Store the plan as the newest version of its sentence and region."""
    from kiban.store import open_store  # the database packages are loaded only by those who save

    assert made.plan is not None
    store = open_store(settings.db, settings.state / "kiban.db")
    try:
        id = f"{made.plan.region}-{made.plan.id}"
        versions = store.history("plan", id)
        store.save("plan", id, made.plan, author=args.author, reason=args.reason, expected_version=versions[-1].version if versions else 0, now=now)
    finally:
        store.close()
