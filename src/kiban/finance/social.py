"""Social capital 社会資本: whether what a plan connects belongs to it, is blocked, and is blocked for want of connectivity (the rule of the seed).

In: kinds of place and use cases of a plan, the list of sectors, the town's facts. Out: yes, no, judge or unknown, with a sentence.
"yes" opens the question whether the state may support building and renewal; with running costs that cannot be budgeted also running, for a fixed
time. It promises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from kiban.finance.contracts import flag
from kiban.records.region import Fact
from kiban.records.rule import DatedList
from kiban.records.source import Text

BLOCKED, UNBUDGETED = "blocked_by_connectivity", "running_cost_unbudgeted"
JUDGE: Literal["judge"] = "judge"  # when.answer or a tag of an entry on which no list agrees


def social_capital(
    places: Iterable[str], facts: Mapping[str, Fact], rule: DatedList | None
) -> tuple[Literal["yes", "no", "judge", "unknown"], Text, tuple[str, ...]]:
    """The answer, its sentence, and the facts that are missing.

    Parameters
    ----------
    places  kinds of place and use cases of the plan, as the tags of the list name them
    rule    rules/social-capital: entries whose tags are kinds of place; when.answer "judge" where the lists of the state do not agree

    >>> social_capital(["school"], {}, None)[0]
    'unknown'
    """
    wanted = set(places)
    if rule is None:
        return "unknown", Text(ja="社会資本の一覧がない", en="there is no list of social capital"), ()
    fitting = [entry for entry in rule.entries if wanted & set(entry.tags)]
    sure = [entry for entry in fitting if entry.when.get("answer") != JUDGE and JUDGE not in entry.tags]
    if not fitting:
        return "no", Text(ja="対象の地点・用途は社会資本の一覧にない", en="its places and uses are in no list of social capital"), ()
    ja, en = ("、".join(entry.name.ja for entry in sure or fitting), ", ".join(entry.name.en for entry in sure or fitting))
    if not sure:
        return JUDGE, Text(ja=f"{ja}: 一覧によって扱いが異なるため要判断(所管省庁)", en=f"{en}: the lists differ, to be judged by the ministry in charge"), ()
    if judged := [entry for entry in fitting if entry not in sure]:
        ja += f"（{'、'.join(entry.name.ja for entry in judged)}は要判断）"
        en += f" ({', '.join(entry.name.en for entry in judged)}: to be judged)"
    is_blocked = flag(facts, BLOCKED)
    if is_blocked is None:
        return (
            "unknown",
            Text(ja=f"{ja}に当たる。通信の不足でその機能が果たせないかは未確認", en=f"{en}; whether it fails for want of connectivity is not known"),
            (BLOCKED,),
        )
    if not is_blocked:
        return "no", Text(ja=f"{ja}に当たるが、通信の不足でその機能が果たせないわけではない", en=f"{en}, but it does not fail for want of connectivity"), ()
    runs = flag(facts, UNBUDGETED)
    tail = {
        True: Text(
            ja="。運用費を予算化できないため、期間を限った運用費の支援も検討対象",
            en="; running costs that cannot be budgeted may be considered for a fixed time",
        ),
        False: Text(ja="。運用費は予算化できる", en="; running costs can be budgeted"),
        None: Text(ja="。運用費を予算化できるかは未確認", en="; whether running costs can be budgeted is not known"),
    }[runs]
    said = Text(
        ja=f"{ja}に当たり、通信の不足でその機能が果たせない: 整備・更新の支援の検討対象{tail.ja}",
        en=f"{en}, failing for want of connectivity: building and renewal may be considered{tail.en}",
    )
    return "yes", said, () if runs is not None else (UNBUDGETED,)
