"""Which comparisons of a query an index of a declared attribute can answer."""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker.query import conjuncts

OPERATORS = {"==": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


def comparisons(q: Any) -> tuple[list[tuple[str, str, str, Any]], bool]:
    """The comparisons (attribute IRI, column, operator, operand) that all must hold; True if they are the whole query.

    Texts only by equality: the order of dates and times is not the order of their letters.
    """
    found: list[tuple[str, str, str, Any]] = []
    parts = conjuncts(q)
    for attr, operator, operand in parts:
        number = isinstance(operand, (int, float)) and not isinstance(operand, bool)
        if number and operator in OPERATORS:
            found.append((attr, "num", OPERATORS[operator], float(operand)))
        elif isinstance(operand, str) and operator == "==":
            found.append((attr, "text", "=", operand))
        elif operator == ".." and all(isinstance(end, (int, float)) for end in operand):
            found.append((attr, "num", "range", (float(operand[0]), float(operand[1]))))
    return found, False
