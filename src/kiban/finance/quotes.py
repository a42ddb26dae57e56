"""What suppliers' answers say of each line of the estimate: how many, the least, the middle, the greatest, and which answer must be asked about.

In: quotes, line ids, the factor of the rule file. Out: medians and statistics, yen per unit, tax excluded. No answer is ever dropped: an answer
far from the others may be the one that read the specification right.
"""

from __future__ import annotations

import statistics as stats
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from kiban.base.errors import FinanceError
from kiban.records.funding import Quote

LEAST_FOR_OUTLIERS = 3  # of two answers nobody can say which one is far from the other


@dataclass(frozen=True)
class Median:
    """The middle of `count` answers with the least and the greatest, yen per unit, tax excluded."""

    unit_yen: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class LineStatistics:
    """One line over all suppliers that priced it.

    spread    greatest ÷ least; None where the least is 0
    ask       suppliers whose answer is further from the median than the factor: to be asked about, and still counted
    expired   suppliers whose answer was no longer valid on the day of the question: still counted
    """

    line: str
    n: int
    least: float
    median: float
    greatest: float
    spread: float | None
    ask: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()


def _answers(quotes: Iterable[Quote], line: str) -> list[tuple[Quote, float]]:
    return [(quote, answer.unit_yen) for quote in quotes for answer in quote.answers if answer.line == line and answer.unit_yen is not None]


def unit_price(quotes: Iterable[Quote], line: str) -> Median | None:
    """The median of all answers to one line (of an even number the mean of the two in the middle); None where nobody answered.

    >>> from kiban.records.funding import Answered
    >>> def said(who, yen):
    ...     return Quote(supplier=who, received=date(2026, 12, 1), file=f"{who}.xlsx", answers=(Answered(line="radio.gear", unit_yen=yen),))
    >>> unit_price([said("A", 100.0), said("B", 400.0), said("C", 130.0)], "radio.gear")
    Median(unit_yen=130.0, low=100.0, high=400.0, count=3)
    >>> unit_price([said("A", None)], "radio.gear") is None
    True
    """
    yen = [value for _, value in _answers(quotes, line)]
    return Median(float(stats.median(yen)), min(yen), max(yen), len(yen)) if yen else None


def statistics(quotes: Sequence[Quote], lines: Iterable[str], factor: float, day: date | None = None) -> tuple[LineStatistics, ...]:
    """Statistics of every line that somebody priced, in the order of `lines`.

    Parameters
    ----------
    factor  of rules/quote-outlier, above 1: with three answers or more, one above median × factor or below median ÷ factor is asked about
    day     on which the answers are used; those whose validity ended before are named

    Raises
    ------
    FinanceError  a factor that is not above 1

    >>> from kiban.records.funding import Answered
    >>> def said(who, yen):
    ...     return Quote(supplier=who, received=date(2026, 12, 1), file=f"{who}.xlsx", answers=(Answered(line="radio.gear", unit_yen=yen),))
    >>> (found,) = statistics([said("A", 100.0), said("B", 400.0), said("C", 130.0)], ["radio.gear", "radio.power"], 2.0)
    >>> found.n, found.least, found.median, found.greatest, found.spread, found.ask
    (3, 100.0, 130.0, 400.0, 4.0, ('B',))
    """
    if not factor > 1:
        raise FinanceError("rules/quote-outlier", f"factor {factor:g}", "a factor above 1", "correct the rule")
    rows = []
    for line in lines:
        answers = _answers(quotes, line)
        if not answers:
            continue
        yen = [value for _, value in answers]
        middle, least, greatest = float(stats.median(yen)), min(yen), max(yen)
        far = [quote.supplier for quote, value in answers if value > middle * factor or value * factor < middle] if len(answers) >= LEAST_FOR_OUTLIERS else []
        over = [quote.supplier for quote, _ in answers if day is not None and quote.valid_until is not None and quote.valid_until < day]
        spread = greatest / least if least else None
        rows.append(LineStatistics(line, len(answers), least, middle, greatest, spread, tuple(far), tuple(over)))
    return tuple(rows)


def short(quotes: Sequence[Quote], required: int, lines: Iterable[str]) -> dict[str, int]:
    """The lines of `lines` that fewer than `required` suppliers have priced, with how many have.

    >>> short([], 3, ["radio.gear"])
    {'radio.gear': 0}
    """
    return {line: count for line in lines if (count := len(_answers(quotes, line))) < required}


def enough(quotes: Sequence[Quote], required: int, lines: Iterable[str] = ()) -> bool:
    """Whether `required` suppliers or more have priced something, and every line of `lines`.

    >>> from kiban.records.funding import Answered
    >>> one = Quote(supplier="A", received=date(2026, 12, 1), file="a.xlsx", answers=(Answered(line="radio.gear", unit_yen=1.0),))
    >>> enough([one], 1), enough([one], 2), enough([one], 1, ["radio.power"]), enough([], 0)
    (True, False, False, True)
    """
    priced = sum(any(answer.unit_yen is not None for answer in quote.answers) for quote in quotes)
    return priced >= required and not short(quotes, required, lines)
