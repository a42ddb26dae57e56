"""The ledger of a plan: every number with its origin, and how to compute all formulas again from the leaves.

In: figures from the engines. Out: one dict of Figure by id. A formula's value is computed here by the registered formula, so the plan can
never say anything else than what a recomputation says. The bound is the one formula that reads more than numbers: it needs the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kiban.base.errors import KibanError
from kiban.base.formula import recompute
from kiban.records.plan import Figure
from kiban.records.source import Confidence

Structural = Callable[[Sequence[float]], float]


class Ledger:
    """Collects figures; the same id twice must mean the same figure."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}

    def put(self, key: str, figure: Figure) -> str:
        """Enter a figure and return its id. Raises KibanError when the id already means something else."""
        known = self.figures.get(key)
        if known is not None and known != figure:
            raise KibanError(f"figure {key}", f"{figure.value} beside {known.value}", "one figure per id", "report this: two engines disagree")
        self.figures[key] = figure
        return key

    def update(self, figures: Mapping[str, Figure]) -> None:
        """Enter all figures of an engine."""
        if not self.figures:  # nothing they could contradict
            self.figures.update(figures)
            return
        for key, figure in figures.items():
            self.put(key, figure)

    def source(self, key: str, value: float | None, unit: str, ref: str, confidence: Confidence | None = None, *, assumed: bool = False) -> str:
        """Enter a leaf."""
        return self.put(key, Figure(value=value, unit=unit, kind="assumed" if assumed else "source", ref=ref, confidence=confidence))

    def choice(self, key: str, value: float, unit: str, ref: str) -> str:
        """Enter a decision of the optimiser or of the user."""
        return self.put(key, Figure(value=value, unit=unit, kind="choice", ref=ref))

    def formula(self, key: str, name: str, unit: str, inputs: Sequence[str], *, low: float | None = None, high: float | None = None) -> str:
        """Enter a computed number; unknown as soon as one input is. Its confidence is the weakest of its inputs."""
        given = [self.figures[item] for item in inputs]
        numbers = [figure.value for figure in given]
        known = [number for number in numbers if number is not None]
        value = recompute(name, known) if len(known) == len(numbers) else None
        confidences = [figure.confidence for figure in given if figure.confidence is not None]
        return self.put(
            key,
            Figure(
                value=value,
                unit=unit,
                kind="formula",
                formula=name,
                inputs=tuple(inputs),
                low=low,
                high=high,
                confidence=max(confidences) if confidences else None,
            ),
        )

    def structural(self, key: str, name: str, unit: str, inputs: Sequence[str], value: float) -> str:
        """Enter a number that an engine computed from figures and from more than figures, such as the bound, which reads the graph."""
        confidences = [confidence for item in inputs if (confidence := self.figures[item].confidence) is not None]
        confidence = max(confidences) if confidences else None
        return self.put(key, Figure(value=value, unit=unit, kind="formula", formula=name, inputs=tuple(inputs), confidence=confidence))


def recompute_all(figures: Mapping[str, Figure], leaves: Mapping[str, float], structural: Mapping[str, Structural]) -> dict[str, float | None]:
    """Every number computed again from the leaves.

    Parameters
    ----------
    figures     the ledger of a plan
    leaves      other values for some leaves (source, assumed or choice figures), by id
    structural  formulas that read more than numbers, by id (the bound reads the graph)

    Returns
    -------
    id → value; None where an input is unknown

    """
    values: dict[str, float | None] = {}
    open_ids: list[str] = list(figures)
    while open_ids:
        key = open_ids.pop()
        if key in values:
            continue
        figure = figures[key]
        if figure.kind != "formula":
            values[key] = leaves.get(key, figure.value)
            continue
        waiting = [item for item in figure.inputs if item not in values]
        if waiting:
            open_ids.append(key)
            open_ids.extend(waiting)
            continue
        given = [values[item] for item in figure.inputs]
        known = [number for number in given if number is not None]
        name = str(figure.formula)
        if len(known) < len(given):
            values[key] = None
        elif name in structural:
            values[key] = structural[name](known)
        else:
            values[key] = recompute(name, known)
    return values
