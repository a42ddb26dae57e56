"""A region in the making: rows taken in, rows left out, and why.

In: raw points of official files. Out: sites, places, plants and facts, and one Missing record for each reason why rows were left out.
Nothing is moved, joined or dropped without being said.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from kiban.base.errors import KibanError
from kiban.records.region import Evidence, Fact, Missing, Place, Plant, Site
from kiban.records.source import Confidence, Source
from kiban.region import missing as say
from kiban.region.boundary import Area, outside_m
from kiban.region.columns import in_japan, plain
from kiban.region.geodesy import Point, distance_m

COUNTS = ("households", "population", "pupils")

# Reasons why a row was left out or changed: title, why it matters, whom to ask. Titles are what people search for.
REASONS: dict[str, tuple[str, str, str]] = {
    "no_place": ("座標のない行 / rows without coordinates", "地図に置けないので含めていない / cannot be placed", "データの提供元 / publisher of the file"),
    "swapped": (
        "緯度と経度が逆の行 / rows with latitude and longitude swapped",
        "入れ替えれば区域内に入る。直していない / would fit if exchanged, not mended",
        "データの提供元 / publisher of the file",
    ),
    "outside": (
        "区域外または海上の行 / rows outside the region or in the sea",
        "行政区域のどの面にも入らない。含めていない / in no polygon, left out",
        "データの提供元、行政区域の縮尺 / publisher of the file; scale of the boundary",
    ),
    "elsewhere": ("他の市区町村の行 / rows of other municipalities", "この地域のものではない / not of this region", "不要 / nobody"),
    "bad_number": (
        "負または読めない数値 / negative or unreadable numbers",
        "値を空欄にした / the value was left empty",
        "データの提供元 / publisher of the file",
    ),
    "no_count": (
        "人口・世帯数が空欄の行 / rows without population or households",
        "秘匿または不詳。空欄のまま含めた / secret or unknown: kept empty",
        "統計の提供元 / publisher of the statistics",
    ),
    "nobody": ("人の住まない小地域・メッシュ / areas without inhabitants", "地点にしていない / not made a site", "不要 / nobody"),
    "merged": (
        "重複をまとめた行 / duplicates merged",
        "同じ種別・同じ名称で {merge_m:g} m 以内の行は先の1行にした / same kind and name within the distance: the first one stays",
        "データの提供元 / publisher of the file",
    ),
    "merged_parts": (
        "飛び地をまとめた小地域 / areas in several parts",
        "同じ KEY_CODE の人口・世帯数は合計し、最も人口の多い部分に置いた / counts added up, placed in the most populous part",
        "不要 / nobody",
    ),
    "flee": (
        "指定緊急避難場所 / places to flee to",
        "滞在する場所ではないので含めていない（「指定緊急避難場所も地点にする」で含む） / nobody stays there: left out",
        "市町村の防災担当課 / disaster section of the town",
    ),
    "no_kind": (
        "種別のわからない施設 / facilities of unknown kind",
        "名称から種別を判断できない。facilities:KIND=FILE で指定する / name the kind of the file",
        "データの提供元 / publisher of the file",
    ),
}


@dataclass(frozen=True)
class Raw:
    """A point as a file gives it, not yet judged."""

    where: str
    id: str
    name: str
    kind: str
    lat: float | None
    lon: float | None
    original: str
    counts: dict[str, int | None] = field(default_factory=dict)
    ours: bool = False  # its own 団体コード says so
    confidence: Confidence = Confidence.B
    note: str | None = None


@dataclass
class Draft:
    """Rows so far. `area`: the region's polygon; `around`: polygons of other municipalities; `code`: five digits."""

    code: str | None
    outside_limit_m: float
    merge_m: float
    emergency: bool = False
    name: str | None = None
    area: Any = None
    around: list[Area] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    routes: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    lines: list[list[Point]] = field(default_factory=list)
    notes: list[Missing] = field(default_factory=list)
    problems: list[KibanError] = field(default_factory=list)
    left: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _taken: set[str] = field(default_factory=set)
    _tree: Any = None

    def leave(self, reason: str, source: str, example: str) -> None:
        """Note why a row was left out or changed."""
        self.left[reason, source].append(example)

    def take(self, raw: Raw, source: str) -> bool:
        """Judge a point and keep it as a site; False when it is left out."""
        if raw.lat is None or raw.lon is None or not self.fits(raw, source):
            if raw.lat is None or raw.lon is None:
                self.leave("no_place", source, f"{raw.where} {raw.name}")
            return False
        counts = {}
        for name in COUNTS:
            value = raw.counts.get(name)
            if value is not None and value < 0:
                self.leave("bad_number", source, f"{raw.where} {raw.name}: {name} {value}")
                value = None
            counts[name] = value
        evidence = Evidence(source=source, original=raw.original, confidence=raw.confidence)
        self.sites.append(
            Site(id=self.fresh(raw.id), name=raw.name, kind=raw.kind, lat=raw.lat, lon=raw.lon, evidence=evidence, note=raw.note, **counts)  # type: ignore[arg-type]
        )
        return True

    def fits(self, raw: Raw, source: str) -> bool:
        """Whether a point can stand in this region; if not, why is noted."""
        label = f"{raw.where} {raw.name}"
        if raw.lat is None or raw.lon is None:
            self.leave("no_place", source, label)
            return False
        point = (raw.lat, raw.lon)
        if self.code is not None and not in_japan(*point):
            self.leave("swapped" if in_japan(raw.lon, raw.lat) else "outside", source, f"{label} ({raw.lat:g}, {raw.lon:g})")
            return False
        if not (-90 <= raw.lat <= 90 and -180 <= raw.lon <= 180):
            self.leave("swapped" if -90 <= raw.lon <= 90 else "outside", source, f"{label} ({raw.lat:g}, {raw.lon:g})")
            return False
        if self.area is None:
            return True
        away = outside_m(self.area, point)
        if away <= self.outside_limit_m:
            return True
        if -90 <= raw.lon <= 90 and outside_m(self.area, (raw.lon, raw.lat)) == 0:
            self.leave("swapped", source, f"{label} ({raw.lat:g}, {raw.lon:g})")
        elif not raw.ours and self._in_neighbour(point):
            self.leave("elsewhere", source, label)
        else:
            self.leave("outside", source, f"{label}: {away / 1000:.1f} km")
        return False

    def _in_neighbour(self, point: Point) -> bool:
        """Whether a point lies in another municipality of the boundary file."""
        import shapely

        if self._tree is None:
            self._tree = shapely.STRtree([other.shape for other in self.around])
        return bool(len(self._tree.query(shapely.Point(point[1], point[0]), predicate="intersects")))

    def fresh(self, id: str) -> str:
        """An id that no row has yet."""
        base = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-") or "row"
        new, number = base, 1
        while new in self._taken:
            number += 1
            new = f"{base}-{number}"
        self._taken.add(new)
        return new

    def fact(self, fact: Fact) -> None:
        """Keep a fact; of two with one id the newer stays, one without a year counts as old."""
        before = self.facts.get(fact.id)
        if before is None or (fact.year or 0) > (before.year or 0):
            self.facts[fact.id] = fact

    def merge(self) -> None:
        """Merge sites of one kind and name that lie within `merge_m`; counts that the first lacks are filled from the others."""
        groups: dict[tuple[str, str], list[Site]] = defaultdict(list)
        for site in self.sites:
            group = groups[site.kind, plain(site.name)]
            twin = next((one for one in group if distance_m((one.lat, one.lon), (site.lat, site.lon)) <= self.merge_m), None)
            if twin is None or not site.name:
                group.append(site)
            else:
                filled = {name: getattr(site, name) for name in COUNTS if getattr(twin, name) is None}
                group[group.index(twin)] = structs.replace(twin, **filled)
                self.leave("merged", site.evidence.source or "", f"{site.name} {site.evidence.original} → {twin.evidence.original}")
        kept = {site.id: site for group in groups.values() for site in group}
        self.sites = [kept[site.id] for site in self.sites if site.id in kept]

    def said(self) -> tuple[Missing, ...]:
        """Every note, one record for each reason and file."""
        out = list(self.notes)
        for (reason, source), examples in sorted(self.left.items()):
            what, why, ask = REASONS[reason]
            out.append(say.note(f"{what} [{source}]", why.format(merge_m=self.merge_m), ask, examples, len(examples)))
        return tuple(out)
