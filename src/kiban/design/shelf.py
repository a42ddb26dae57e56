"""Prices by technology and unit, ready to be put on arcs.

In: what finance priced. Out: items (price id, units) per technology, unit and plant. A price in a unit that a pattern cannot count is refused.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Protocol

from kiban.base.errors import DesignError, ManyErrors
from kiban.base.money import to_yen
from kiban.records.design import Price
from kiban.records.source import Confidence
from kiban.records.technology import UNITS, Per, Technology

Items = tuple[tuple[str, float], ...]


class HasPrices(Protocol):
    """Anything that carries prices, such as finance's Priced."""

    @property
    def prices(self) -> tuple[Price, ...]:
        """The prices of one technology, () when it is unpriced."""
        ...


class Shelf:
    """All prices of a problem, by technology and unit."""

    def __init__(
        self,
        technologies: Mapping[str, Technology],
        priced: Mapping[str, HasPrices | Sequence[Price]],
        free: Mapping[str, float],
        horizon: int,
    ) -> None:
        self.prices: dict[str, Price] = {}
        self._yen: dict[Items, int] = {}
        self._found: dict[tuple[str, str | None], dict[Per, list[str]]] = {}
        problems: list[DesignError] = []
        for key in sorted(priced):
            entry = priced[key]
            for price in entry if isinstance(entry, Sequence) else entry.prices:
                if price.technology not in technologies:
                    problems.append(DesignError(f"price {price.id}", f"technology {price.technology!r}", "a technology of the catalogue", "price that one"))
                elif price.per not in UNITS[technologies[price.technology].wiring.pattern]:
                    pattern = technologies[price.technology].wiring.pattern
                    problems.append(
                        DesignError(
                            f"price {price.id}",
                            f"per {price.per}",
                            f"per {', '.join(UNITS[pattern])} for pattern {pattern}",
                            "convert the cost in its data file",
                        )
                    )
                elif price.technology not in free:
                    self._put(price)
        if problems:
            raise problems[0] if len(problems) == 1 else ManyErrors("prices", list(problems))
        for technology, npv in sorted(free.items()):
            per = UNITS[technologies[technology].wiring.pattern][0]
            self._put(
                Price(
                    id=f"{technology}#break-even", technology=technology, cost="break-even", phase="initial", per=per, unit_yen=(npv,), life=float(horizon),
                    npv=npv, low=npv, high=npv, confidence=Confidence.D,
                )
            )  # fmt: skip

    def _put(self, price: Price) -> None:
        if price.id in self.prices and self.prices[price.id] != price:
            raise DesignError(f"price {price.id}", "two different prices", "each id once", "rename one of them")
        if price.id not in self.prices:
            self.prices[price.id] = price
            plant = price.id.split("@", 1)[1] if "@" in price.id else None
            insort(self._found.setdefault((price.technology, plant), {}).setdefault(price.per, []), price.id)

    def has(self, technology: str, plant: str | None = None) -> bool:
        """Whether the technology (on this plant) has a price."""
        return (technology, plant) in self._found

    def items(self, technology: str, units: Mapping[Per, float], plant: str | None = None) -> Items:
        """Price ids with their units, in a fixed order; units of 0 are left out."""
        found = self._found.get((technology, plant), {})
        return tuple((id, number) for per, number in units.items() if number for id in found.get(per, ()))

    def cost(self, items: Items) -> int:
        """Yen of the items: Σ npv × units, rounded half up once."""
        known = self._yen.get(items)
        if known is None:
            known = self._yen[items] = to_yen(sum(self.prices[id].npv * units for id, units in items))
        return known

    def plants(self, technology: str) -> list[str]:
        """The plants that have a price of this technology."""
        return sorted(plant for name, plant in self._found if name == technology and plant is not None)
