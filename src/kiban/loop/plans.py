"""Many plans seen together: one row per plan for those who watch over sixty of them, what supports refuse, and what officers want said (声).

In: plan folders. Out: rows of a frozen schema, counts by support, and the voices kept in inputs.json. A folder that cannot be read is named beside
the rows; it never vanishes and never stops the others. Rows hold amounts of money, so they stay in the office.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from kiban.base.cells import safe
from kiban.base.errors import KibanError, RecordError
from kiban.loop.files import editing
from kiban.loop.folder import READY, complete
from kiban.loop.inputs import read_inputs, write_inputs
from kiban.records.funding import Funding, Inputs
from kiban.records.plan import Plan
from kiban.records.region import Fact, Region

SCHEMA = 1
FUNDING = "funding.json"
VOICED = ("supports", "models")
LONGEST = 2000  # characters of a voice


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One plan, schema version 1. Columns are never renamed, moved or taken away; a change is a new version. Yen are whole, tax included, undiscounted."""

    schema: Annotated[int, Meta(description="version of this schema: 1")] = SCHEMA
    folder: Annotated[str, Meta(description="folder of the plan as it was given")]
    plan: Annotated[str, Meta(description="id of the plan")]
    made_on: Annotated[str, Meta(description="day on which the plan was made, YYYY-MM-DD")]
    lg_code: Annotated[str | None, Meta(description="団体コード, six digits")]
    town: Annotated[str, Meta(description="name of the region")]
    label: Annotated[str | None, Meta(description="label that every paper of the region carries, such as that of an example")]
    issue: Annotated[str, Meta(description="the issue in one sentence")]
    model: Annotated[str, Meta(description="standard model as id@version")]
    status: Annotated[str, Meta(description="plan, incomplete, unserved")]
    verdict: Annotated[str, Meta(description="hold, none, leave, nondigital, revise, share, join, buy or build")]
    decisive: Annotated[str | None, Meta(description="the one point to confirm, where the verdict is hold")]
    first_year: Annotated[int | None, Meta(description="first 年度 of the budget")]
    cost_first_year_yen: Annotated[int | None, Meta(description="事業費 of the first year")]
    cost_horizon_yen: Annotated[int | None, Meta(description="事業費 over the horizon")]
    estimate: Annotated[bool | None, Meta(description="true: 概算(見積未取得), fewer reference quotations than the rule asks for")]
    awaiting_lines: Annotated[int | None, Meta(description="lines that wait for a price (見積待ち) and are in no amount")]
    general_peak_yen: Annotated[int | None, Meta(description="greatest 一般財源 of a year, supports adopted as far as their texts go")]
    general_peak_year: Annotated[int | None, Meta(description="the 年度 of that peak")]
    general_peak_refused_yen: Annotated[int | None, Meta(description="the same where the supports are refused (不採択の場合)")]
    supports_counted: Annotated[tuple[str, ...], Meta(description="supports that the amounts above count on")]
    of_past_years: Annotated[tuple[str, ...], Meta(description="those of them whose text is of a past year: an example, never current")]
    support_ends: Annotated[int | None, Meta(description="first 年度 without support")]
    payer_after_support: Annotated[str | None, Meta(description="general, other or unknown, by arithmetic")]
    payer_named: Annotated[str | None, Meta(description="who is named to pay then (fact payer_after_support)")]
    unserved: Annotated[int, Meta(description="places that nothing serves")]
    missing_facts: Annotated[tuple[str, ...], Meta(description="named facts that nobody has said yet")]
    voices: Annotated[dict[str, str], Meta(description="supports/ID or models/ID: what the officer wants said to those who run it (声)")]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """How many plans one condition, missing fact or judgement of a support kept from the answer "possible"."""

    support: str
    kind: Annotated[str, Meta(description="condition: it fails · missing: the fact is unknown · judge: somebody has to judge")]
    fact: str
    text: str
    plans: Annotated[int, Meta(description="plans of which this is true")]
    of_plans: Annotated[int, Meta(description="plans that the support was asked about")]
    examples: Annotated[int, Meta(description="of these plans, those that were answered by the text of a past year")]
    voices: Annotated[tuple[str, ...], Meta(description="what officers want said to those who run the support (声)")]


@dataclass(frozen=True)
class Kept:
    """A plan folder as far as these views need it."""

    path: Path
    plan: Plan
    region: Region
    funding: Funding | None
    inputs: Inputs


@dataclass(frozen=True)
class Found:
    """The plans that could be read, and an error for each folder that could not."""

    plans: tuple[Kept, ...]
    broken: tuple[KibanError, ...]


def find(folders: Iterable[Path]) -> Found:
    """Read plan folders; a folder without plan.json is taken as a folder of plan folders.

    Each plan comes once, in the order of the arguments and then of the names. A child without plan.json is passed over unless it holds another file of
    a plan: then it is broken.
    """
    plans: dict[Path, Kept] = {}
    broken: dict[Path, KibanError] = {}
    for given in folders:
        try:
            if (given / "plan.json").is_file() or (given / READY).is_dir():
                inside = [given]
            else:
                inside = sorted(child for child in given.iterdir() if _looks_like_a_plan(child)) if given.is_dir() else []
        except OSError as error:
            broken[given] = KibanError(str(given), error.strerror or "not readable", "a folder that may be read", "ask for the right to read it")
            continue
        if not inside:
            what = "no plan in it" if given.is_dir() else "no such folder"
            broken[given] = KibanError(str(given), what, "a plan folder, or a folder of plan folders", "name a folder that kiban plan wrote")
        for path in inside:
            real = path.resolve()
            if real in plans or real in broken:
                continue
            try:
                plans[real] = read_kept(path)
            except KibanError as error:
                broken[real] = error
    return Found(tuple(plans.values()), tuple(broken.values()))


def _looks_like_a_plan(path: Path) -> bool:
    return path.is_dir() and ((path / READY).is_dir() or any((path / name).is_file() for name in ("plan.json", "region.json", "problem.json", FUNDING)))


def read_kept(path: Path) -> Kept:
    """Read what these views need of a plan folder; funding.json and inputs.json may be absent. Raises KibanError that names the file."""
    try:
        complete(path)
    except OSError as error:
        raise KibanError(str(path), error.strerror or "not writable", "a folder whose plan can be moved to its place", "ask for the right to write") from error
    return Kept(
        path=path,
        plan=_decode(path / "plan.json", Plan),
        region=_decode(path / "region.json", Region),
        funding=_decode(path / FUNDING, Funding) if (path / FUNDING).exists() else None,
        inputs=read_inputs(path),
    )


def _decode(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise KibanError(str(path), error.strerror or "not readable", "a file written by kiban plan", "run kiban plan again into this folder") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecordError) as error:
        raise KibanError(str(path), str(error), "a file written by this version of kiban", "run kiban plan again into this folder") from error


def export_row(kept: Kept) -> Row:
    """One plan as a row of schema version 1. Raises KibanError where a step of the plan is not what this version writes."""
    plan, funding = kept.plan, kept.funding
    steps = {step.id: step.body for step in plan.steps}
    try:
        verdict, design, model = steps["verdict"], steps["design"], steps["options"]["model"]
        conclusion = verdict.get("conclusion") or {}
        decisive = (conclusion.get("decisive") or {}).get("text", {}).get("ja")
        asked = [point["fact"] for point in verdict["points"] if "fact" in point]
        unserved = len({row["site"] for row in design["unserved"]})
        status = conclusion.get("status", verdict["status"])
    except (KeyError, TypeError, AttributeError) as error:
        raise KibanError(str(kept.path / "plan.json"), f"a step without {error}", "a plan of this version", "run kiban plan again into this folder") from error
    peak, year = _peak(funding.adopted) if funding else (None, None)
    priced = [line for line in funding.lines if line.unit_yen is not None] if funding else []
    needed = funding.quotes_required if funding else None
    return Row(
        folder=str(kept.path),
        plan=plan.id,
        made_on=plan.made_on.date().isoformat(),
        lg_code=kept.region.lg_code,
        town=kept.region.name,
        label=plan.label,
        issue=plan.sentence,
        model=model.replace("/", "@"),
        status=plan.status,
        verdict=status,
        decisive=decisive,
        first_year=funding.start if funding else None,
        cost_first_year_yen=funding.adopted.total[0] if funding else None,
        cost_horizon_yen=sum(funding.adopted.total) if funding else None,
        estimate=None if funding is None else needed is None or not priced or any(line.quotes < needed for line in priced),
        awaiting_lines=len(funding.lines) - len(priced) if funding else None,
        general_peak_yen=peak,
        general_peak_year=year,
        general_peak_refused_yen=_peak(funding.refused)[0] if funding else None,
        supports_counted=funding.adopted.supports if funding else (),
        of_past_years=funding.adopted.past if funding else (),
        support_ends=funding.adopted.end_year if funding else None,
        payer_after_support=funding.adopted.payer_after if funding else None,
        payer_named=_fact(kept, "payer_after_support"),
        unserved=unserved,
        missing_facts=tuple(sorted({*asked, *(funding.missing if funding else ()), *(funding.viability.missing if funding else ())})),
        voices=dict(sorted(kept.inputs.voices.items())),
    )


def _peak(budget: Any) -> tuple[int, int]:
    """The greatest general-fund money of a year, and the year."""
    years = next((row.years for row in budget.sources if row.id == "general"), (0,) * len(budget.years))
    index = max(range(len(years)), key=lambda place: (years[place], -place))
    return years[index], budget.years[index]


def _fact(kept: Kept, id: str) -> str | None:
    """A fact in words: what people typed wins over the row of the region."""
    row: Fact | None = next((fact for fact in kept.region.facts if fact.id == id), None)
    value = kept.inputs.facts.get(id, row.value if row else None)
    return None if value is None else str(value)


def refusals(plans: Sequence[Kept]) -> list[Refusal]:
    """Per support, which condition or missing fact kept how many plans from "possible"; the most frequent first within a support."""
    asked: dict[str, int] = {}
    counts: dict[tuple[str, str, str], list[int]] = {}
    texts: dict[tuple[str, str, str], str] = {}
    voices: dict[str, list[str]] = {}
    for kept in plans:
        for about, text in kept.inputs.voices.items():
            kind, _, id = about.partition("/")
            if kind == "supports":
                voices.setdefault(id, []).append(text)
        for answer in kept.funding.answers if kept.funding else ():
            asked[answer.support] = asked.get(answer.support, 0) + 1
            said = {finding.fact: finding for finding in answer.findings}
            reasons = {("condition", finding.fact): finding.text.ja for finding in answer.findings if finding.state == "fails"}
            reasons |= {("missing", fact): said[fact].text.ja if fact in said else "" for fact in answer.missing}
            if answer.judge is not None:
                judged = [finding.fact for finding in answer.findings if finding.state == "judge"] or [""]
                reasons |= {("judge", fact): answer.judge.ja for fact in judged}
            for (kind, fact), text in reasons.items():
                key = (answer.support, kind, fact)
                texts.setdefault(key, text)
                count = counts.setdefault(key, [0, 0])
                count[0] += 1
                count[1] += answer.example is not None
    rows = [
        Refusal(
            support=support, kind=kind, fact=fact, text=texts[support, kind, fact], plans=count, of_plans=asked[support], examples=examples,
            voices=tuple(voices.get(support, ())),
        )
        for (support, kind, fact), (count, examples) in counts.items()
    ]  # fmt: skip
    heard = {row.support for row in rows}
    rows += [
        Refusal(support=id, kind="voice", fact="", text="", plans=0, of_plans=asked.get(id, 0), examples=0, voices=tuple(said))
        for id, said in voices.items()
        if id not in heard
    ]
    return sorted(rows, key=lambda row: (row.support, -row.plans, row.kind, row.fact))


def keep_voice(folder: Path, about: str, text: str) -> Inputs:
    """Keep what an officer wants said about a support or a model in inputs.json; an empty text takes it away. All else in the file stays.

    Raises
    ------
    KibanError  the folder holds no plan, inputs.json cannot be read, or the text is too long
    """
    if not ((folder / "plan.json").is_file() or (folder / READY).is_dir()):
        raise KibanError(str(folder), "no plan.json", "a plan folder", "name a folder that kiban plan wrote")
    if len(text) > LONGEST:
        raise KibanError("--text", f"{len(text):,} characters", f"at most {LONGEST:,}", "say it shorter")
    with editing(folder):
        before = read_inputs(folder)
        voices = {key: value for key, value in before.voices.items() if key != about} | ({about: text.strip()} if text.strip() else {})
        after: Inputs = replace(before, voices=dict(sorted(voices.items())))
        write_inputs(folder, after)
    return after


def as_csv(rows: Sequence[Row] | Sequence[Refusal], kind: type[Row] | type[Refusal]) -> str:
    """Rows as CSV for a spreadsheet: byte order mark, CRLF, lists joined by "; ", no cell that begins like a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(kind.__struct_fields__)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in kind.__struct_fields__])
    return "\ufeff" + file.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return safe("; ".join(f"{key}: {text}" for key, text in value.items()))
    if isinstance(value, tuple):
        return safe("; ".join(value))
    return safe(value) if isinstance(value, str) else str(value)


def as_json(rows: Sequence[Row] | Sequence[Refusal], broken: Sequence[KibanError], now: datetime) -> str:
    """Rows as JSON with the version of the schema, the day, and the folders that could not be read."""
    body = {"schema": SCHEMA, "made": now.date().isoformat(), "rows": rows, "broken": [{"where": error.where, "error": str(error)} for error in broken]}
    return msgspec.json.format(msgspec.json.encode(body), indent=1).decode() + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of a row of `kiban plans export`."""
    return msgspec.json.schema(Row)
