"""A region 地域: its places, streets, plant and facts, each row with where it comes from."""

from __future__ import annotations

from datetime import date
from typing import Literal

from kiban.base.errors import RecordError
from kiban.records.rules import Record, check_id, check_latlon, check_range, check_unique
from kiban.records.source import Confidence, Source
from kiban.records.usecase import SiteKind


class Evidence(Record, frozen=True, kw_only=True):
    """Where one row comes from.

    source    key of the region's `sources`, None for an assumed row
    original  the id of the row in that source
    assumed   True: nobody publishes it; then `reason` and `confirm` (who can confirm it) are filled
    """

    source: str | None = None
    original: str | None = None
    confidence: Confidence = Confidence.B
    assumed: bool = False
    reason: str | None = None
    confirm: str | None = None

    def __post_init__(self) -> None:
        if self.assumed and not (self.reason and self.confirm):
            raise RecordError(
                "assumed row", f"reason {self.reason!r}, confirm {self.confirm!r}", "both: why it is assumed, and who can confirm it", "fill them"
            )
        if not self.assumed and not self.source:
            raise RecordError("row", "neither source nor assumed", "a source key, or assumed: true with reason and confirm", "cite it")


class Site(Record, frozen=True, kw_only=True):
    """A place with a need. Counts are None when unknown. `critical`: must also be reached over another risk class, if the use case asks for backup.

    covered     technologies that the rows say reach this site (True / False by technology id); absent: unknown
    autonomy_h  hours that the place's own power lasts without the grid; None: nobody has said
    """

    id: str
    name: str
    kind: SiteKind
    lat: float
    lon: float
    evidence: Evidence
    households: int | None = None
    population: int | None = None
    pupils: int | None = None
    devices: int | None = None
    critical: bool = False
    covered: dict[str, bool] = {}
    note: str | None = None
    autonomy_h: float | None = None

    def __post_init__(self) -> None:
        check_latlon(f"site {self.id}", self.lat, self.lon)
        for name in ("households", "population", "pupils", "devices", "autonomy_h"):
            check_range(f"site {self.id}, {name}", getattr(self, name), 0)


class Place(Record, frozen=True, kw_only=True):
    """A place where equipment can stand: an exchange 収容局 (a line may start here), a tower or roof, an office.

    autonomy_h  hours that its own power lasts without the grid; None: nobody has said
    """

    id: str
    name: str
    kind: Literal["exchange", "tower", "office"]
    lat: float
    lon: float
    evidence: Evidence
    height_m: float | None = None
    autonomy_h: float | None = None

    def __post_init__(self) -> None:
        check_latlon(f"place {self.id}", self.lat, self.lon)
        check_range(f"place {self.id}, height_m", self.height_m, 0, 700)
        check_range(f"place {self.id}, autonomy_h", self.autonomy_h, 0)


class Junction(Record, frozen=True, kw_only=True, array_like=True):
    """A node of the street graph."""

    id: str
    lat: float
    lon: float

    def __post_init__(self) -> None:
        check_latlon(f"junction {self.id}", self.lat, self.lon)


class Street(Record, frozen=True, kw_only=True, array_like=True):
    """A link along which a line can be laid; length on the ellipsoid, times the region's detour factor where streets are absent.

    plant  id of the existing plant on it, if any
    shape  the points between its ends, latitude and longitude, in order from a to b; they are drawn, the length is counted
    """

    id: str
    a: str
    b: str
    length_m: float
    kind: Literal["street", "candidate", "sea"] = "street"
    plant: str | None = None
    shape: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        check_range(f"street {self.id}, length_m", self.length_m, 0, 1e7)


class Plant(Record, frozen=True, kw_only=True):
    """Existing plant 既存設備: what lies there, since when, whose it is and what binds it."""

    id: str
    name: str
    technology: str  # a technology of pattern `plant`
    evidence: Evidence
    year_built: int | None = None
    owner: str | None = None
    funding: str | None = None  # 財源
    restricted_until: date | None = None  # 処分制限期限
    iru_until: date | None = None

    def __post_init__(self) -> None:
        check_range(f"plant {self.id}, year_built", self.year_built, 1950, 2100)


class Fact(Record, frozen=True, kw_only=True):
    """A named fact of the municipality: population, households, fiscal_index, depopulated, island …"""

    id: str
    value: float | bool | str | None
    unit: str | None
    evidence: Evidence
    year: int | None = None


HazardKind = Literal["slide", "tsunami", "flood", "other"]
Ring = tuple[tuple[float, float], ...]  # latitude, longitude; the first point again at the end


class Hazard(Record, frozen=True, kw_only=True):
    """An area that may be lost at once, such as the slides or the tsunami of one earthquake.

    kind      slide, tsunami, flood or other
    polygons  each an outer ring and its holes
    """

    id: str
    name: str
    kind: HazardKind
    polygons: tuple[tuple[Ring, ...], ...]
    evidence: Evidence

    def __post_init__(self) -> None:
        check_id("hazard", self.id)
        short = [ring for polygon in self.polygons for ring in polygon if len(ring) < 4 or ring[0] != ring[-1]]
        if not self.polygons or not all(self.polygons) or short:
            raise RecordError(f"hazard {self.id}", f"{len(self.polygons)} polygons, {len(short)} open rings", "closed rings of 4 points or more", "mend it")


class Elevation(Record, frozen=True, kw_only=True):
    """Heights on a grid, row by row from the north-west corner; `spacing_m` tells how coarse it is."""

    file: str
    spacing_m: float
    source: str

    def __post_init__(self) -> None:
        check_range("elevation, spacing_m", self.spacing_m, 0.5, 10_000)


class Missing(Record, frozen=True, kw_only=True):
    """What was not there or could not be placed: what, why it matters, whom to ask."""

    what: str
    why: str
    ask: str
    count: int = 1
    examples: tuple[str, ...] = ()


class Region(Record, frozen=True, kw_only=True):
    """A region folder, read. `attach` joins each site and place to the street graph: id → (junction, metres off the street)."""

    id: str
    name: str
    lg_code: str | None  # six digits; None outside Japan
    sources: dict[str, Source]
    sites: tuple[Site, ...]
    places: tuple[Place, ...] = ()
    junctions: tuple[Junction, ...] = ()
    streets: tuple[Street, ...] = ()
    attach: dict[str, tuple[str, float]] = {}
    plants: tuple[Plant, ...] = ()
    facts: tuple[Fact, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    elevation: Elevation | None = None
    missing: tuple[Missing, ...] = ()
    label: str | None = None  # a sentence that every page and paper of this region carries
    links_are_candidates: bool = False  # True: no streets were given, links are straight lines times `detour`
    detour: float | None = None
    detour_source: str | None = None

    def __post_init__(self) -> None:
        check_unique("sites and places", [s.id for s in self.sites] + [p.id for p in self.places])
        check_unique("streets", (s.id for s in self.streets))
        check_unique("plants", (p.id for p in self.plants))
        check_unique("hazards", (h.id for h in self.hazards))
        known = {j.id for j in self.junctions}
        for street in self.streets:
            if street.a not in known or street.b not in known:
                raise RecordError(f"street {street.id}", f"junctions {street.a}, {street.b}", "junctions of the region", "rebuild the region")
        here = {site.id for site in self.sites} | {place.id for place in self.places}
        for id, (junction, _) in self.attach.items():
            if id not in here or junction not in known:
                raise RecordError(f"attach {id}", f"{id} at junction {junction}", "a site or place at a junction of the region", "rebuild the region")
        rows: tuple[Site | Place | Plant | Fact | Hazard, ...] = (*self.sites, *self.places, *self.plants, *self.facts, *self.hazards)
        for row in rows:
            if row.evidence.source is not None and row.evidence.source not in self.sources:
                raise RecordError(f"row {row.id}", f"source {row.evidence.source!r}", f"one of {', '.join(self.sources)}", "add it under sources:")
