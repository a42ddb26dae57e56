"""What comes in each year, out of the named facts of a town (収入).

In: facts by id. Out: yen a year by source of money, and the facts that are missing. Every fact whose id begins with `revenue_` is a source of
money in yen a year; the fee of the users alone is told per user and month. Who pays what is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from kiban.records.region import Fact

USER_FEE = "revenue_user_fee"  # JPY per user and month
PREFIX = "revenue_"
ASKED = (USER_FEE, "revenue_iru", "revenue_rental", "revenue_advertising", "revenue_local_asset")
MONTHS = 12


def number(facts: Mapping[str, Fact], id: str) -> float | None:
    """The number that a fact states; None where nobody has said it, or where it is no number.

    >>> from kiban.records.region import Evidence
    >>> number({"users_now": Fact(id="users_now", value=40, unit="persons", evidence=Evidence(source="town"))}, "users_now")
    40.0
    >>> number({}, "users_now") is None
    True
    """
    fact = facts.get(id)
    if fact is None or isinstance(fact.value, bool) or not isinstance(fact.value, int | float):
        return None
    return float(fact.value)


def steady_revenue(facts: Mapping[str, Fact]) -> dict[str, float]:
    """Yen a year by fact, of every known source of money that does not hang on the number of users.

    >>> from kiban.records.region import Evidence
    >>> steady_revenue({"revenue_iru": Fact(id="revenue_iru", value=5, unit="JPY/year", evidence=Evidence(source="town"))})
    {'revenue_iru': 5.0}
    """
    known = {id: number(facts, id) for id in sorted(facts) if id.startswith(PREFIX) and id != USER_FEE}
    return {id: value for id, value in known.items() if value is not None}


def yearly_revenue(facts: Mapping[str, Fact]) -> tuple[float | None, tuple[str, ...]]:
    """A full year's revenue as far as facts give it, and the facts that are missing.

    Returns
    -------
    (JPY/year, ids of facts); None where nobody has named any source of money that can be counted

    >>> yearly_revenue({})[0] is None
    True
    """
    steady, fee, users = steady_revenue(facts), number(facts, USER_FEE), number(facts, "users_now")
    if fee is not None and users is not None:
        return sum(steady.values()) + fee * users * MONTHS, ()
    missing = ("users_now",) if fee is not None else () if steady else ASKED
    return (sum(steady.values()) if steady else None), missing
