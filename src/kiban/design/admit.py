"""The admissibility filter: which technology may serve a use case at a site, and which need speaks against it.

In: a site, a use case, a technology. Out: the needs that fail or cannot be judged. Prices, places and paths are left to design.program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kiban.records.region import Site
from kiban.records.source import Quantity
from kiban.records.technology import Capability, Technology
from kiban.records.usecase import Needs, Scaled, UseCase

# need ≤ capability, except latency where the capability may be at most the need
TESTED = ("down_mbps", "up_mbps", "one_way_ms", "availability", "mobility", "autonomy_h", "message_bytes", "iot")


@dataclass(frozen=True)
class Asked:
    """What a use case asks for at one site; `refused`: needs that the published points do not cover at this site's count."""

    site: str
    usecase: str
    values: dict[str, float]
    refused: tuple[str, ...]
    devices: float
    backup: bool


@dataclass(frozen=True)
class Verdict:
    """One need that a technology misses (fails) or that nobody can judge (unknown)."""

    need: str
    state: Literal["fails", "unknown"]
    required: float | None
    available: float | None


def scaled_value(need: Scaled, count: float) -> float | None:
    """The need at a count: straight lines between the points; None outside them.

    >>> need = Scaled(by="pupils", unit="Mbps", points=((0, 0), (100, 50), (200, 150)), source="s")
    >>> scaled_value(need, 150), scaled_value(need, 201)
    (100.0, None)
    """
    for (low, at_low), (high, at_high) in zip(need.points, need.points[1:], strict=False):
        if low <= count <= high:
            return at_low + (at_high - at_low) * (count - low) / (high - low)
    return None


def ask(site: Site, usecase_id: str, usecase: UseCase) -> Asked:
    """The needs of a use case at a site.

    A count that the row does not give leaves the need unknown: it is not tested. A count outside the published points is refused.
    Devices: the count of the row, else what the use case says per site, else 1.
    """
    values: dict[str, float] = {}
    refused = []
    for name in (*TESTED, "devices"):
        need = getattr(usecase.needs, name)
        if isinstance(need, Scaled):
            count = getattr(site, need.by)
            value = None if count is None else scaled_value(need, count)
            if count is not None and value is None:
                refused.append(name)
        else:
            value = need.value if isinstance(need, Quantity) else None
        if value is not None:
            values[name] = value
    stated = values.pop("devices", None)
    devices = site.devices if site.devices is not None and not isinstance(usecase.needs.devices, Scaled) else stated
    return Asked(site.id, usecase_id, values, tuple(refused), float(1 if devices is None else devices), _wants_backup(usecase.needs) and site.critical)


def untested(pairs: Sequence[tuple[str, str]], sites: Mapping[str, Site], usecases: Mapping[str, UseCase]) -> dict[tuple[str, str, str], list[str]]:
    """(use case, need, count that it goes by) → the sites whose row does not give the count: there the need is neither tested nor counted as load."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for site, usecase in sorted(set(pairs)):
        for name in (*TESTED, "devices"):
            need = getattr(usecases[usecase].needs, name)
            if isinstance(need, Scaled) and getattr(sites[site], need.by) is None:
                found.setdefault((usecase, name, need.by), []).append(site)
    return dict(sorted(found.items()))


def judge(asked: Asked, technology: Technology, covered: bool | None, extra_autonomy_h: float = 0.0) -> list[Verdict]:
    """Every need that speaks against the technology: those that fail, else those that are unknown; empty: admissible.

    `extra_autonomy_h` is what the site's own power, or a priced addition inside the site (power backup), can give.
    """
    found = [Verdict(need, "unknown", None, None) for need in asked.refused]
    if technology.wiring.needs_coverage and covered is not True:
        found.append(Verdict("coverage", "unknown" if covered is None else "fails", None, None))
    for need in TESTED:
        required = asked.values.get(need)
        if required is None or (need in ("mobility", "iot") and required == 0):
            continue
        available = capability_value(technology.capability, need)
        if need == "autonomy_h" and extra_autonomy_h >= required:
            continue
        if available is None:
            if need != "message_bytes":  # no stated size limit means that none is known
                found.append(Verdict(need, "unknown", required, None))
        elif available > required if need == "one_way_ms" else available < required:
            found.append(Verdict(need, "fails", required, available))
    failing = [verdict for verdict in found if verdict.state == "fails"]
    return failing or found


def needs_addition(asked: Asked, technology: Technology, own_h: float = 0.0) -> float:
    """Hours of autonomy that an addition inside the site must give; 0 when the technology or the site's own power (`own_h`) lasts long enough."""
    required = asked.values.get("autonomy_h", 0.0)
    return required if max(capability_value(technology.capability, "autonomy_h") or 0.0, own_h) < required else 0.0


def judge_upstream(asked: Asked, cell: Technology, upstream: Technology) -> bool:
    """Whether a cell carried by a satellite still meets the need: delays add up, rate and availability are at most the satellite's."""
    limits = upstream.capability
    for need in ("down_mbps", "up_mbps", "availability"):
        required, available = asked.values.get(need), capability_value(limits, need)
        if required is not None and (available is None or available < required):
            return False
    most = asked.values.get("one_way_ms")
    if most is not None:
        parts = (capability_value(cell.capability, "one_way_ms"), capability_value(limits, "one_way_ms"))
        if parts[0] is None or parts[1] is None or parts[0] + parts[1] > most:
            return False
    return True


def capability_value(capability: Capability, name: str) -> float | None:
    """The figure of a capability; None when it is unknown."""
    quantity = getattr(capability, name)
    return quantity.value if isinstance(quantity, Quantity) else None


def ask_all(pairs: list[tuple[str, str]], sites: Mapping[str, Site], usecases: Mapping[str, UseCase]) -> list[Asked]:
    """The needs of each wanted pair, in the order given."""
    return [ask(sites[site], usecase, usecases[usecase]) for site, usecase in pairs]


def _wants_backup(needs: Needs) -> bool:
    return needs.backup is not None and (needs.backup.value or 0) >= 1
