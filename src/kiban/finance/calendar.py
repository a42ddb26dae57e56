"""The year of a project 年度カレンダー: what happens in which month from the request of the budget to the first years of running, with warnings.

In: rules/budget-calendar, the first fiscal year, the month in which the service starts, the supports that are counted on, the day. Out: Milestones
in order of time. Months are calendar months; the fiscal year runs from April. Days that no page gives are not invented: a step has a month or is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from kiban.base.jdate import era_year, fiscal_year
from kiban.finance.budget import APRIL, YEAR, running_months
from kiban.records.funding import Milestone
from kiban.records.rule import DatedList, Entry
from kiban.records.source import Text
from kiban.records.support import Support, SupportAnswer

REQUEST, SUPPLEMENTARY, CALL, DECISION, CONTRACT, DELIVERY = "request", "supplementary", "support", "decision", "contract", "delivery"


def place(year: int, month: int) -> int:
    """Months since the April of year 0, for a calendar month of a fiscal year.

    >>> place(0, 4), place(0, 3), place(1, 4)
    (0, 11, 12)
    """
    return year * YEAR + (month - APRIL) % YEAR


PROVISIONAL = Text(
    ja="議決を要する契約は、議決まで仮契約とする。提出する議会の月と、納品までの期間を確かめる",
    en="a contract that the assembly decides is provisional until then: see in which session, and whether delivery still fits",
)


def calendar(
    rule: DatedList | None,
    *,
    start: int,
    start_month: int,
    today: date,
    answers: Sequence[SupportAnswer] = (),
    supports: Mapping[str, Support] | None = None,
    counted: Sequence[str] = (),
    assembly: bool = False,
    current_contract_end: date | None = None,
    sources: Mapping[str, str] | None = None,
) -> tuple[Milestone, ...]:
    """All steps, in order of time.

    Parameters
    ----------
    rule         entries with quantity.value = calendar month, when.year = before · first (the fiscal year before the first one, or that one),
                 tags: request, supplementary, support, decision, contract, delivery
    start_month  4…15: month in which the service starts, 15 the March of the first fiscal year
    assembly     a contract may need a decision of the assembly: until then it is provisional
    counted      supports that the adopted table counts on; their windows become steps, and the warnings are theirs
    sources      source key of the rule → title

    >>> [(row.id, row.year, row.month) for row in calendar(None, start=2027, start_month=10, today=date(2026, 11, 23))]
    [('purchase', 2027, 9), ('service', 2027, 10), ('year-end', 2027, 3)]
    """
    months = running_months(start_month)
    steps: list[Milestone] = []
    granted = bool(counted)
    decided = max((_when(entry, start) for entry in _entries(rule) if DECISION in entry.tags), default=None)
    bought = place(start, APRIL) + max(0, start_month - APRIL - 1)
    for entry in _entries(rule):
        at = _when(entry, start)
        if (CALL in entry.tags or DECISION in entry.tags) and not granted:
            continue
        steps.append(
            Milestone(
                id=entry.id,
                year=at // YEAR,
                month=(at + APRIL - 1) % YEAR + 1,
                name=entry.name,
                warning=_warning(entry, at, today, granted, decided, bought) or (PROVISIONAL if assembly and CONTRACT in entry.tags else None),
                source=(sources or {}).get(entry.source or "", entry.source),
            )
        )
    steps += _windows(answers, supports or {}, counted, today, start)
    late = granted and decided is not None and bought <= decided
    steps.append(
        Milestone(
            id="purchase",
            year=start,
            month=(bought + APRIL - 1) % YEAR + 1,
            name=Text(ja="納品・検収(支払)", en="delivery and payment"),
            warning=Text(
                ja="交付決定より前の契約・着手は補助の対象外となり得る(交付決定前着手不可)。開始の月を見直すか、交付決定前着手の可否を確認",
                en="a contract or start before the grant is decided may lose the grant: move the start, or ask whether an early start is allowed",
            )
            if late
            else None,
        )
    )
    steps.append(
        Milestone(
            id="service",
            year=start,
            month=(start_month - 1) % YEAR + 1,
            name=Text(ja=f"サービス開始(初年度の運用費は{months}か月分)", en=f"the service starts ({months} months of running cost in the first year)"),
            warning=_gap(current_contract_end, start, start_month),
        )
    )
    steps.append(
        Milestone(
            id="year-end",
            year=start,
            month=3,
            name=Text(ja="3月31日 事業完了・実績報告", en="31 March: the project is complete, results are reported"),
            warning=_carry_over(start_month, decided, bought, granted),
        )
    )
    order = {id: index for index, id in enumerate(dict.fromkeys(step.id for step in steps))}
    return tuple(sorted(steps, key=lambda step: (place(step.year, step.month), order[step.id])))


def _entries(rule: DatedList | None) -> list[Entry]:
    """The entries that name a month."""
    return [
        entry
        for entry in (rule.entries if rule else ())
        if entry.quantity is not None and entry.quantity.value is not None and 1 <= entry.quantity.value <= YEAR and entry.quantity.unit == "month"
    ]


def _when(entry: Entry, start: int) -> int:
    assert entry.quantity is not None
    assert entry.quantity.value is not None
    return place(start if entry.when.get("year") == "first" else start - 1, int(entry.quantity.value))


def _warning(entry: Entry, at: int, today: date, granted: bool, decided: int | None, bought: int) -> Text | None:
    """What does not meet at a step."""
    now = place(fiscal_year(today), today.month)
    if REQUEST in entry.tags and at < now:
        return Text(
            ja=f"今は{today.month}月。当初予算の要求期限を過ぎていれば、補正予算での計上を財政担当課に確認",
            en="this month has passed: if the request of the first budget is closed, ask the finance section for a supplementary budget",
        )
    if CONTRACT in entry.tags and granted and decided is not None and at < decided:
        return Text(ja="交付決定前に契約しない(交付決定前着手不可)", en="no contract before the grant is decided")
    if CONTRACT in entry.tags and at > bought:
        return Text(ja="契約の月が納品の月より後になる。開始の月を見直す", en="the contract would come after delivery: move the start of the service")
    if SUPPLEMENTARY in entry.tags and at < now:
        return Text(ja="この月の補正予算には間に合わない", en="too late for this supplementary budget")
    return None


def _windows(answers: Sequence[SupportAnswer], supports: Mapping[str, Support], counted: Sequence[str], today: date, start: int) -> list[Milestone]:
    """The windows of the supports that are counted on: of the year itself as days, of an earlier year as an example a year later."""
    steps = []
    for answer in answers:
        support = supports.get(answer.support)
        if support is None or answer.support not in counted:
            continue
        edition = next(one for one in support.editions if one.fiscal_year == answer.edition)
        past = start - edition.fiscal_year if answer.answer == "unpublished" else 0
        for index, window in enumerate(edition.windows):
            day = window.closes or window.opens
            if day is None:
                continue
            label = (
                Text(ja=f"（{era_year(edition.fiscal_year)}度の例では）", en=f" (as in FY{edition.fiscal_year})")
                if past
                else Text(ja="（締切）", en=" (closes)")
            )
            warning = None
            if past:
                warning = Text(ja="当該年度の要綱は未公表。募集の時期は前例による", en="this year's text is not published: the time is that of an earlier year")
            elif day < today:
                warning = Text(ja="募集は終わっている", en="applications are closed")
            steps.append(
                Milestone(
                    id=f"window.{answer.support}.{index}",
                    year=fiscal_year(day) + past,
                    month=day.month,
                    name=Text(ja=f"{support.name.ja} 公募{label.ja}", en=f"{support.name.en}: applications{label.en}"),
                    warning=warning,
                    source=support.sources[window.source].title if window.source in support.sources else window.source,
                )
            )
    return steps


def _gap(current: date | None, start: int, start_month: int) -> Text | None:
    """A hole between the running contract and the new service."""
    if current is None or place(fiscal_year(current), current.month) + 1 >= place(start, APRIL) + start_month - APRIL:
        return None
    return Text(
        ja=f"現在の契約は{era_year(current.year)}{current.month}月に終わる。開始まで空白がある",
        en=f"the present contract ends in {current.year}-{current.month:02d}: there is a gap until the start",
    )


def _carry_over(start_month: int, decided: int | None, bought: int, granted: bool) -> Text | None:
    """Whether there is slack before 31 March."""
    tight = start_month - APRIL >= YEAR - 2 or (granted and decided is not None and bought <= decided)
    if not tight:
        return None
    return Text(
        ja="納品が3月31日を過ぎる見込みなら繰越明許費を議決に付し、補助の繰越しの承認を確認",
        en="if delivery may pass 31 March, have the carry-over voted and ask for its approval by the grant",
    )
