"""Formulas by name, so that every computed number can be computed again from its leaves.

A formula is a pure function of a list of numbers that returns one number. Its id is `<room>.<name>`; it is registered
where it is defined, with the unit of its result. A figure of a plan names the formula and the figures that went in, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Formula = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class NamedFormula:
    """A formula with its id, the unit of its result, and whether it can stay flat when an input moves (max, ceil, a median)."""

    id: str
    unit: str
    compute: Formula
    flat: bool


_FORMULAS: dict[str, NamedFormula] = {}


def formula(id: str, unit: str, *, flat: bool = False) -> Callable[[Formula], Formula]:
    """Register a formula under its id.

    >>> @formula("base.example_sum", "JPY")
    ... def example_sum(values):
    ...     return sum(values)
    >>> recompute("base.example_sum", [1, 2])
    3
    """

    def register(function: Formula) -> Formula:
        _FORMULAS[id] = NamedFormula(id, unit, function, flat)
        return function

    return register


def recompute(id: str, values: Sequence[float]) -> float:
    """The result of a registered formula. Raises KeyError when the id is unknown."""
    return _FORMULAS[id].compute(values)


def formulas() -> dict[str, NamedFormula]:
    """All registered formulas by id."""
    return dict(_FORMULAS)
