"""Which comparisons of a query an index of a declared attribute can answer."""

from __future__ import annotations

from typing import Any

from kiban.linkage.broker.query import Between, Exists, conjuncts

OPERATORS = {"==": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


def comparisons(q: Any) -> list[tuple[str, str, str, Any]]:
    """Those comparisons that all must hold as (attribute IRI, column, operator, operand); they are necessary, not sufficient.

    Texts only by equality: the order of dates and times is not the order of their letters.
    """
    found: list[tuple[str, str, str, Any]] = []
    for part in conjuncts(q):
        if isinstance(part, Exists) or not part.path.simple:
            continue
        attr = part.path.names[0]
        if isinstance(part, Between):
            if not part.negated and part.low.kind == part.high.kind == "number":
                found.append((attr, "num", "range", (float(part.low.value), float(part.high.value))))
        elif len(part.values) == 1 and part.op in OPERATORS:
            value = part.values[0].value
            if part.values[0].kind == "number":
                found.append((attr, "num", OPERATORS[part.op], float(value)))
            elif part.op == "==" and part.values[0].kind == "string":
                found.append((attr, "text", "=", value))
    return found
