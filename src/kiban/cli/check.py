"""`kiban check DIR`: judge a plan folder again: the design by its problem, the problem by its records, every number by its leaves.

`kiban check CERT.json --instance FILE`: judge the certificate of a Steiner tree on its instance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kiban.base.errors import CheckError, KibanError, RecordError
from kiban.base.settings import Settings
from kiban.check import check_design, check_drills, check_problem
from kiban.cli._certificate import judge
from kiban.records.design import CheckReport, Design, Finding, Problem
from kiban.records.funding import Funding
from kiban.records.plan import Plan
from kiban.records.region import Region

if TYPE_CHECKING:
    from kiban.catalogue import Catalogue

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

BESIDE = ("plan.json", "region.json", "funding.json", "papers.json")
R = TypeVar("R", Problem, Design, Plan, Region, Funding)


def add(parsers: Parsers) -> None:
    """Add the command."""
    parser = parsers.add_parser("check", help="設計を独立に検算する / check a design independently")
    parser.add_argument(
        "folder",
        metavar="PLAN",
        type=Path,
        help="計画のフォルダ（problem.json と design.json）、または kiban steiner の証明書"
        " / a plan folder with problem.json and design.json, or a certificate of kiban steiner",
    )
    parser.add_argument(
        "--instance",
        metavar="FILE",
        type=Path,
        help="証明書（.json、.json.gz）の問題のファイル / the instance that the certificate (.json, .json.gz) is of",
    )
    parser.add_argument("--json", action="store_true", help="結果を JSON で / print the findings as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print one line per constraint; 0 when all hold, 1 when one fails."""
    if args.instance is None and args.folder.is_file():
        raise KibanError(str(args.folder), "a file", "a plan folder, or a certificate beside --instance FILE", "add --instance FILE")
    report = judge(args.folder, args.instance) if args.instance is not None else _plan_folder(args.folder, settings)
    if args.json:
        print(json.dumps({"ok": report.holds, "findings": msgspec.to_builtins(report.findings)}, ensure_ascii=False))
        return 0 if report.holds else 1
    ja = settings.lang == "ja"
    for finding in report.findings:
        print(f"{'○' if finding.holds else '×'} {finding.constraint}: {finding.found}")
    failed = [finding.constraint for finding in report.findings if not finding.holds]
    if failed:
        print(f"不合格 {len(failed)} 件: {', '.join(failed)}" if ja else f"{len(failed)} constraint(s) fail: {', '.join(failed)}")
    else:
        print(f"{len(report.findings)} 項目すべて合格" if ja else f"all {len(report.findings)} constraints hold")
    return 1 if failed else 0


def _plan_folder(folder: Path, settings: Settings) -> CheckReport:
    """The design of a plan folder, and what lies beside it."""
    if (folder / ".ready").is_dir():  # a writer was ended while it moved the files
        from kiban.loop.files import complete

        complete(folder)
    problem = _read(folder / "problem.json", Problem)
    design = _read(folder / "design.json", Design)
    report = check_design(problem, design)
    beside = _beside(folder, settings, problem, design)
    return CheckReport(holds=report.holds and all(finding.holds for finding in beside), findings=(*report.findings, *beside))


def _beside(folder: Path, settings: Settings, problem: Problem, design: Design) -> list[Finding]:
    """What the rest of a plan folder adds: the problem against region.json and the catalogue, every number of plan.json from its leaves, money, verdict
    and papers."""
    missing = [name for name in BESIDE if not (folder / name).is_file()]
    if missing == list(BESIDE):
        return []  # a design alone
    if "plan.json" in missing or "region.json" in missing:
        return [Finding(constraint="files", holds=False, found=f"missing: {', '.join(missing)}")]
    from kiban.catalogue import load
    from kiban.loop.recompute import recompute_plan

    plan, region = _read(folder / "plan.json", Plan), _read(folder / "region.json", Region)
    catalogue = load(settings.data, settings.state / "cache")
    pinned = {key: value for step in plan.steps for key, value in step.pinned.items() if key.startswith(("technologies/", "usecases/"))}
    moved = sorted(key for key, value in pinned.items() if catalogue.hashes.get(key) != value)
    findings = [Finding(constraint="data_files", holds=not moved, found=", ".join(moved[:5]) or f"{len(pinned)} files as pinned")]
    if not moved:
        findings += check_problem(problem, region, catalogue.usecases, catalogue.technologies).findings
    values = recompute_plan(plan, problem, design)
    wrong = sorted(key for key, value in values.items() if value != plan.figures[key].value)
    findings.append(Finding(constraint="ledger", holds=not wrong, found=", ".join(wrong[:5]) or f"{len(values)} figures recomputed"))
    npv = {f"prices/{price.id}/npv": price.npv for price in problem.prices}
    priced = sorted(key for key, value in npv.items() if key not in plan.figures or plan.figures[key].value != value)
    findings.append(Finding(constraint="prices_as_in_plan", holds=not priced, found=", ".join(priced[:5]) or f"{len(npv)} present values agree"))
    strange = [] if moved else _strange_leaves(plan, catalogue)
    findings.append(Finding(constraint="sources", holds=not strange, found=", ".join(strange[:5]) or "prices stand as in the data files"))
    if any(step.id in ("funding", "verdict") for step in plan.steps) or "funding.json" not in missing:
        findings += _money(folder, plan, region, problem, design, catalogue)
        findings.append(_papers(folder))
    findings.append(_drills(plan, region, problem, design))
    totals = {"total/priced": design.cost, "total/bound": design.bound}
    other = sorted(key for key, value in totals.items() if key not in plan.figures or plan.figures[key].value != value)
    findings.append(Finding(constraint="totals", holds=not other, found=", ".join(other) or "plan.json and design.json agree"))
    return findings


def _drills(plan: Plan, region: Region, problem: Problem, design: Design) -> Finding:
    """Whether each drill of the plan, done again, puts the same sites off, and as many as its figures say."""
    bodies = [step.body for step in plan.steps if step.id == "design"]
    said: dict[str, set[tuple[str, str]]] = {}
    wrong = []
    try:
        for row in bodies[0].get("drill", {"events": ()})["events"] if bodies else ():
            said[row["event"]] = {(one["site"], usecase) for one in row["off"] for usecase in one["usecases"]}
            off = {site.id: site for site in region.sites if site.id in {site for site, _ in said[row["event"]]}}
            known = [site.population for site in off.values() if site.population is not None]
            counts = {"sites": len(off), "critical": sum(site.critical for site in off.values()), "uncounted": len(off) - len(known)}
            counts |= {"people": sum(known)} if known else {}
            wrong += [f"{row['event']}: {name}" for name, count in counts.items() if plan.figures[row[name]].value != count]
        wrong += list(check_drills(problem, design, region, said))
    except (KeyError, TypeError, IndexError) as error:  # a plan that was changed, or one without a drill, may lack anything
        wrong.append(f"cannot be done again: {type(error).__name__} {error}")
    return Finding(constraint="drills", holds=not wrong, found="; ".join(wrong[:5]) or f"{len(said)} events done again")


def _money(folder: Path, plan: Plan, region: Region, problem: Problem, design: Design, catalogue: Catalogue) -> list[Finding]:
    """Whether funding.json and the last steps of plan.json are what the inputs come to on their day."""
    from kiban.loop.files import read_manifest
    from kiban.loop.given import TOKYO
    from kiban.loop.inputs import read_inputs
    from kiban.loop.plan import fund_again

    if not (folder / "funding.json").is_file():
        return [Finding(constraint="money", holds=False, found="funding.json is missing")]
    kept, inputs = _read(folder / "funding.json", Funding), read_inputs(folder)
    first = plan.made_on.astimezone(TOKYO).date()
    day = kept.made_on or first
    try:
        written = read_manifest(folder).made_on
    except KibanError:
        written = None  # told with the papers
    days = f"plan {first}, money {kept.made_on}, papers {written}"
    findings = [Finding(constraint="made_on", holds=kept.made_on is not None and first <= day == written, found=days)]
    try:
        again, funding = fund_again(plan, region, problem, design, catalogue, inputs, day)
    except (KibanError, LookupError, TypeError, AttributeError, ValueError, StopIteration) as error:  # steps that were changed may lack anything
        return [*findings, Finding(constraint="money", holds=False, found=f"cannot be computed again: {type(error).__name__} {error}")]
    names = [name for name in Funding.__struct_fields__ if name != "inputs"]
    other = [name for name in names if getattr(kept, name) != getattr(funding, name)]
    said = ", ".join(other) or f"{len(kept.lines)} lines and {len(kept.answers)} supports computed again"
    findings.append(Finding(constraint="money", holds=not other, found=said))
    for id in ("funding", "verdict"):
        before, after = ([_plain(step.body) for step in one.steps if step.id == id] for one in (plan, again))
        changed = ["the step is missing or stands there twice"] if len(before) != 1 else _differing(before[0], after[0])
        findings.append(Finding(constraint=f"step_{id}", holds=not changed, found=", ".join(changed) or "computed again"))
    return findings


def _plain(body: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body))


def _differing(before: Any, after: Any) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if key not in before or key not in after or before[key] != after[key])


def _papers(folder: Path) -> Finding:
    """Whether every paper is there as it was written; what an officer has changed in Word or Excel is told, and holds while it can be read."""
    from kiban.loop.files import paper_state, read_manifest

    try:
        sums = read_manifest(folder).sums
    except KibanError as error:
        return Finding(constraint="papers", holds=False, found=str(error))
    if not sums:
        return Finding(constraint="papers", holds=False, found="papers.json is missing or names no paper")
    states: dict[str, list[str]] = {}
    for name, known in sums.items():
        states.setdefault(paper_state(folder, name, known), []).append(name)
    told = [f"{state}: {', '.join(names)}" for state, names in sorted(states.items()) if state != "as written"]
    return Finding(constraint="papers", holds=not {"missing", "damaged"} & states.keys(), found="; ".join(told) or f"{len(sums)} papers as written")


def _strange_leaves(plan: Plan, catalogue: Catalogue) -> list[str]:
    """Leaves of prices that do not stand in the data files as the plan says."""
    known = {
        f"technologies/{id}#{cost.id}/{index}": quantity.value
        for id, technology in catalogue.technologies.items()
        for cost in technology.costs
        for index, quantity in enumerate(cost.evidence)
    }
    leaves = {key: figure for key, figure in plan.figures.items() if figure.kind == "source" and key.startswith("technologies/") and key in known}
    bases = [key for key, figure in plan.figures.items() if (figure.ref or "").partition("#")[2].startswith("costs.") and ".evidence." in (figure.ref or "")]
    return sorted({key for key, figure in leaves.items() if figure.value != known[key]} | {key for key in bases if key not in known})


def _read(path: Path, kind: type[R]) -> R:
    """One record of the folder. Raises KibanError when it is absent or cut off, CheckError when it contradicts itself."""
    if not path.is_file():
        raise KibanError(str(path), "no file", "problem.json and design.json of a plan folder", "run kiban plan REGION --issue … -o DIR first")
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise KibanError(str(path), str(error), f"the JSON of a {kind.__name__.lower()}", "write the plan again; the file was changed or cut off") from error
    except RecordError as error:
        raise CheckError(f"{path}: {error.where}", error.found, error.fits, error.step) from error
