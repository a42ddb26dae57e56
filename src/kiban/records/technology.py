"""A technology: what it can serve, how it is wired into a design, and what each part of it costs."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id, check_unique
from kiban.records.source import Quantity, Source, Text

Layer = Literal["device", "access", "backhaul", "core", "middleware", "app", "power", "indoor"]
Medium = Literal["wired", "wireless", "ntn", "none"]
Per = Literal["km", "site", "facility", "hop", "device", "system"]

# What a design does with a technology; the design engine knows these patterns and no technology by name.
#   line    laid along street links, JPY per km; carries every `drop` and fibre-fed `cell` of the same `network`
#   drop    from a street junction with a line of the same `network` to a site
#   cell    a facility at a candidate place that serves the sites within radius_km
#   direct  from the world to a site without a facility of the region (satellite, a carrier's public network)
#   hop     between two candidate places within reach_km, line of sight
#   site    an addition inside a site (LAN, power), not routed
#   plant   existing plant of the region: costs of keeping and renewing it, JPY per km
#   none    shown and searched, not placed by the design
Pattern = Literal["line", "drop", "cell", "direct", "hop", "site", "plant", "none"]

# What takes a path out: a slide or a fallen pole on the road · the air path · nothing on the ground (sky) · the sea floor
RiskClass = Literal["road", "air", "sky", "sea", "none"]


# What one unit of each pattern may be priced by, and (first) what its break-even price is stated per.
UNITS: dict[Pattern, tuple[Per, ...]] = {
    "line": ("km", "system"),
    "plant": ("km", "system"),
    "drop": ("site", "device", "km", "facility", "system"),
    "cell": ("facility", "site", "device", "system"),
    "direct": ("site", "facility", "device", "system"),
    "hop": ("hop", "km", "facility", "system"),
    "site": ("site", "facility", "device", "system"),
    "none": ("site", "facility", "device", "hop", "km", "system"),
}


class Wiring(Record, frozen=True, kw_only=True):
    """How the design places a technology.

    network   joins lines, drops and cells that belong together, e.g. "fibre"
    feeds     for cells: what may carry them upstream, of "fibre" (a line), "hop", "sky" (a direct technology with `backhaul: true`)
    backhaul  for direct: may also carry a cell upstream
    needs_coverage  for direct: usable at a site only where the region's rows say that it is covered (null there: unknown, to be asked)
    """

    pattern: Pattern
    risk: RiskClass = "none"
    network: str | None = None
    feeds: tuple[Literal["fibre", "hop", "sky"], ...] = ()
    backhaul: bool = False
    needs_coverage: bool = False

    def __post_init__(self) -> None:
        if self.pattern in ("line", "drop", "plant") and not self.network:
            raise RecordError("wiring", f"pattern {self.pattern} without network", "network: fibre (or another name)", "name the network it belongs to")
        if self.pattern == "cell" and not self.feeds:
            raise RecordError("wiring", "pattern cell without feeds", "feeds: [fibre, hop, sky] or some of them", "say what carries the cell upstream")


class Capability(Record, frozen=True, kw_only=True):
    """What one unit can do, each with its evidence; None: the file does not speak of it, which reads as unknown.

    per site   down_mbps, up_mbps (busy-hour rate that one site can count on), one_way_ms (end to end), availability (0…1),
               mobility (1 yes, 0 no), autonomy_h (hours of service without grid power), message_bytes (largest message; None: no limit known)
    reach      radius_km (cell), reach_km (longest line from the exchange, or longest hop)
    capacity   devices_per_facility, sites_per_facility (a PON port's split, a sector's users), mbps_per_facility
    class      iot (1: carries small messages of battery devices, 0: does not suit them), broadband (1/0)
    """

    down_mbps: Quantity | None = None
    up_mbps: Quantity | None = None
    one_way_ms: Quantity | None = None
    availability: Quantity | None = None
    mobility: Quantity | None = None
    autonomy_h: Quantity | None = None
    message_bytes: Quantity | None = None
    radius_km: Quantity | None = None
    reach_km: Quantity | None = None
    devices_per_facility: Quantity | None = None
    sites_per_facility: Quantity | None = None
    mbps_per_facility: Quantity | None = None
    iot: Quantity | None = None
    broadband: Quantity | None = None


class Radio(Record, frozen=True, kw_only=True):
    """What its radio can bear, in the weaker direction; a figure that is null or absent leaves the technology its plain radius_km.

    eirp_dbm         of the sender towards the receiver, antenna included; gain_dbi: antenna of the receiver less its cable
    sensitivity_dbm  least power that the receiver reads at the rate stated under capability
    margin_db        kept for fading, trees and walls; absent: 0
    base_height_m    antenna at a place whose row gives no height; site_height_m: antenna at the site; above the ground
    """

    frequency_mhz: Quantity | None = None
    eirp_dbm: Quantity | None = None
    gain_dbi: Quantity | None = None
    sensitivity_dbm: Quantity | None = None
    margin_db: Quantity | None = None
    base_height_m: Quantity | None = None
    site_height_m: Quantity | None = None


class Cost(Record, frozen=True, kw_only=True):
    """One item that is paid, with every figure known for it.

    phase  initial: paid when built and again at each end of life · yearly: paid every year of use
    per    what one unit is; the design counts the units
    pick   how the figure used is computed from `evidence`: the median (of two: their mean), the latest year, the only one, or a series by 年度
    scope  what is inside the price; two items of one technology must not share a tag in one phase
    optional  true: the technology has a price without it; false (default): if nothing is known the whole technology is unpriced
    Low and high are the least and greatest of the evidence, never typed in.
    """

    id: str
    name: Text
    phase: Literal["initial", "yearly"]
    per: Per
    scope: tuple[str, ...]
    evidence: tuple[Quantity, ...]
    pick: Literal["only", "median", "latest", "series"] = "only"
    lifetime_years: Quantity | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        check_id("cost", self.id)
        if not self.scope:
            raise RecordError(f"cost {self.id}", "no scope", "at least one tag of what is included", "write scope: [hardware] or the like")
        if not self.evidence:
            raise RecordError(f"cost {self.id}", "no evidence", "one entry, with value: null and needs_source: true if nothing is known", "add it")
        wanted = "JPY/" + self.per + ("/year" if self.phase == "yearly" else "")
        for quantity in self.evidence:
            if quantity.unit != wanted:
                raise RecordError(
                    f"cost {self.id}",
                    f"unit {quantity.unit!r}",
                    f"{wanted!r} (phase {self.phase}, per {self.per})",
                    "convert the figure, and keep the original in note:",
                )
        if self.pick == "only" and len(self.evidence) > 1:
            raise RecordError(
                f"cost {self.id}", f"{len(self.evidence)} figures with pick: only", "median, latest or series", "say how the figure used is chosen"
            )
        if self.pick == "series" and any(q.fiscal_year is None for q in self.evidence):
            raise RecordError(f"cost {self.id}", "a series entry without fiscal_year", "fiscal_year on each entry", "add it")


class Technology(Record, frozen=True, kw_only=True):
    """One file of `data/technologies/`.

    lifetime_years is the life of what `initial` costs buy, unless a cost names its own.
    kwh_per_year is the energy of one `energy_per` unit. checked_on is the day a person last compared the file with its sources.
    bought: somebody else runs the network and the town buys its use as a service, whoever owns the terminal; patterns direct and none only.
    """

    name: Text
    summary: Text
    layer: Layer
    medium: Medium
    wiring: Wiring
    sources: dict[str, Source]
    checked_on: date
    bought: bool = False
    capability: Capability = Capability()
    radio: Radio | None = None  # for cells and hops
    costs: tuple[Cost, ...] = ()
    lifetime_years: Quantity | None = None
    kwh_per_year: Quantity | None = None
    energy_per: Per = "site"
    standards: tuple[str, ...] = ()
    licence: Text | None = None  # what radio licence, registration or operator status it needs
    notes: tuple[Text, ...] = ()
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_unique("costs", (cost.id for cost in self.costs))
        if self.bought and self.wiring.pattern not in ("direct", "none"):
            raise RecordError(
                "bought", f"true with pattern {self.wiring.pattern}", "true with pattern direct or none only", "what the town builds is not bought"
            )
        for cost in self.costs:
            fitting = UNITS[self.wiring.pattern]
            if cost.per not in fitting:
                raise RecordError(f"cost {cost.id}", f"per {cost.per}", f"per {', '.join(fitting)} for pattern {self.wiring.pattern}", "convert the figure")
        lives = [self.lifetime_years, *(cost.lifetime_years for cost in self.costs)]
        if any(life is not None and life.value == 0 for life in lives):
            raise RecordError("lifetime_years", "0 years", "more than 0, or value: null with needs_source: true", "correct it")
        for phase in ("initial", "yearly"):
            seen: dict[str, str] = {}
            for cost in self.costs:
                for tag in cost.scope if cost.phase == phase else ():
                    if tag in seen:
                        raise RecordError(
                            f"costs {seen[tag]} and {cost.id}",
                            f"both include {tag!r}",
                            f"scopes that do not overlap ({phase})",
                            "keep one of the two prices, or narrow its scope",
                        )
                    seen[tag] = cost.id
        check_sources("technology", self.sources, self)


def check_sources(where: str, sources: dict[str, Source], record: object) -> None:
    """Every source key used inside a record is defined in its own `sources`."""
    used: set[str] = set()
    _collect(record, used)
    missing = sorted(used - set(sources))
    if missing:
        raise RecordError(where, f"source key(s) {', '.join(missing)}", f"one of {', '.join(sorted(sources)) or 'none given'}", "add it under sources:")


def _collect(thing: object, used: set[str]) -> None:
    if isinstance(thing, Record):
        source = getattr(thing, "source", None)
        if isinstance(source, str):
            used.add(source)
        used.update(getattr(thing, "source_keys", ()))
        for name in thing.__struct_fields__:
            _collect(getattr(thing, name), used)
    elif isinstance(thing, tuple):
        for item in thing:
            _collect(item, used)
    elif isinstance(thing, dict):
        for item in thing.values():
            _collect(item, used)
