"""The candidate graph from the world to the terminals, before demands and before anything unpriced or useless is taken out.

In: the region, the technologies, their prices, and which (site, technology) pairs may serve. Out: arcs between keys, each priced or not.

Choices that the record leaves open:
- A spur (from the street to a site, or to a place that feeds a mast) is laid as the cheapest priced land line of its network; its km are items
  of the drop or feed arc, its metres count for reach. The spur of an exchange counts for reach and costs nothing: the exchange exists.
- Of parallel land lines of one network on one street only the cheapest is kept, unless one of them has a cost per system.
- Wired junctions stand once below roads and once more ("sea") for what lies behind a submarine link.
- What a satellite carries is kept apart by satellite, so that its delay is tested.
- Where the ground is known (`sight`), a hop needs line of sight and a cell links only where its power arrives; elsewhere reach and radius are enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from pyproj import Geod

from kiban.design.admit import capability_value
from kiban.design.radio.sight import Sight
from kiban.design.shelf import Items, Shelf
from kiban.records.design import ArcKind, NodeKind
from kiban.records.region import Place, Region, Site
from kiban.records.technology import RiskClass, Technology

_GEOD = Geod(ellps="WGS84")


class Key(NamedTuple):
    """A node of the candidate graph; `way` tells apart nodes of one label (how a mast is fed, which satellite carries it)."""

    kind: NodeKind
    ref: str
    technology: str = ""
    risk: RiskClass = "none"
    way: str = ""


class Candidate(NamedTuple):
    """An arc between keys; `priced` False: known to be possible, but without a price."""

    tail: Key
    head: Key
    kind: ArcKind
    technology: str | None
    ref: str
    length_m: float
    items: Items
    priced: bool


ROOT = Key("root", "")


@dataclass
class Skeleton:
    """Builds the candidates; `served` maps a technology to the sites that it may serve, `addition` adds items at (site, technology)."""

    region: Region
    technologies: Mapping[str, Technology]
    shelf: Shelf
    served: Mapping[str, frozenset[str]]
    addition: Mapping[tuple[str, str], Items]
    sight: Sight = field(default_factory=lambda: Sight(None))
    arcs: list[Candidate] = field(default_factory=list)

    def build(self) -> list[Candidate]:
        """All candidates, in a fixed order."""
        self.sites = {site.id: site for site in self.region.sites}
        self.near: dict[tuple[str, str], list[str]] = defaultdict(list)  # (site, cell technology) → places within its radius
        self.places = sorted(self.region.places, key=lambda place: place.id)
        self.networks = sorted({t.wiring.network for _, t in self._of("line", "plant", "drop", "cell") if t.wiring.network})
        self.spur = {network: self._spur_line(network) for network in self.networks}
        self.layers: dict[str, tuple[RiskClass, ...]] = {network: self._layers(network) for network in self.networks}
        self._exchanges()
        self._streets()
        self._drops()
        self._directs()
        self._cells()
        return self.arcs

    def _of(self, *patterns: str) -> Iterator[tuple[str, Technology]]:
        return ((id, self.technologies[id]) for id in sorted(self.technologies) if self.technologies[id].wiring.pattern in patterns)

    def _lines(self, network: str, sea: bool) -> list[tuple[str, Technology]]:
        return [(id, t) for id, t in self._of("line") if t.wiring.network == network and (t.wiring.risk == "sea") == sea]

    def _kept(self, lines: list[tuple[str, Technology]]) -> list[tuple[str, bool]]:
        """The lines worth keeping on a link, with whether they are priced."""
        priced = [id for id, _ in lines if self.shelf.has(id)]
        if not priced:
            return [(id, False) for id, _ in lines[:1]]
        if any(self.shelf.items(id, {"system": 1}) for id in priced):
            return [(id, True) for id in priced]
        return [(min(priced, key=lambda id: (self._per_km(id), id)), True)]

    def _per_km(self, id: str) -> float:
        return sum(self.shelf.prices[price].npv for price, _ in self.shelf.items(id, {"km": 1}))

    def _spur_line(self, network: str) -> str | None:
        priced = [id for id, _ in self._lines(network, sea=False) if self.shelf.has(id)]
        return min(priced, key=lambda id: (self._per_km(id), id)) if priced else None

    def _layers(self, network: str) -> tuple[RiskClass, ...]:
        at_sea = any(street.kind == "sea" for street in self.region.streets)
        plant = any(t.wiring.network == network for _, t in self._of("plant"))
        return ("road", "sea") if at_sea and (plant or self._lines(network, sea=True)) else ("road",)

    def _spur(self, network: str, metres: float) -> tuple[Items, bool]:
        line = self.spur[network]
        return ((), metres == 0) if line is None else (self.shelf.items(line, {"km": metres / 1000}), True)

    def _exchanges(self) -> None:
        for place in self.places:
            at = self.region.attach.get(place.id)
            if place.kind == "exchange" and at is not None:
                for network in self.networks:
                    self.arcs.append(Candidate(ROOT, Key("junction", at[0], network, "road"), "exchange", None, place.id, at[1], (), True))

    def _streets(self) -> None:
        plants = {plant.id: plant for plant in self.region.plants}
        for network in self.networks:
            kept = {sea: self._kept(self._lines(network, sea)) for sea in (False, True)}
            for street in sorted(self.region.streets, key=lambda street: street.id):
                sea, km = street.kind == "sea", street.length_m / 1000
                options: list[tuple[ArcKind, str, Items, bool]] = [("line", id, self.shelf.items(id, {"km": km}), priced) for id, priced in kept[sea]]
                plant = plants.get(street.plant) if street.plant else None
                if plant is not None and plant.technology in self.technologies and self.technologies[plant.technology].wiring.network == network:
                    items = self.shelf.items(plant.technology, {"km": km}, plant.id)
                    options.append(("plant", plant.technology, items, self.shelf.has(plant.technology, plant.id)))
                for kind, id, items, priced in options:
                    for layer in self.layers[network]:
                        for a, b in ((street.a, street.b), (street.b, street.a)):
                            head = Key("junction", b, network, "sea" if sea else layer)
                            self.arcs.append(Candidate(Key("junction", a, network, layer), head, kind, id, street.id, street.length_m, items, priced))

    def _drops(self) -> None:
        for id, technology in self._of("drop"):
            network = str(technology.wiring.network)
            for site in sorted(self.served.get(id, ())):
                at = self.region.attach.get(site)
                if at is None:
                    continue
                spur, known = self._spur(network, at[1])
                items = self.shelf.items(id, {"site": 1, "km": at[1] / 1000}) + spur + self.addition.get((site, id), ())
                for layer in self.layers[network]:
                    tail, head = Key("junction", at[0], network, layer), Key("terminal", site, id, layer)
                    self.arcs.append(Candidate(tail, head, "drop", id, site, at[1], items, known and self.shelf.has(id)))

    def _directs(self) -> None:
        for id, technology in self._of("direct"):
            for site in sorted(self.served.get(id, ())):
                items = self.shelf.items(id, {"site": 1, "facility": 1}) + self.addition.get((site, id), ())
                self.arcs.append(Candidate(ROOT, Key("terminal", site, id, technology.wiring.risk), "direct", id, site, 0.0, items, self.shelf.has(id)))

    def _cells(self) -> None:
        cells = [(id, t) for id, t in self._of("cell") if self.served.get(id) and capability_value(t.capability, "radius_km") is not None]
        if not cells or not self.places:
            return
        reached = {id: self._within(id, t) for id, t in cells}
        masts = self._feed(cells)
        for id, technology in cells:
            at_site = self.shelf.items(id, {"site": 1})
            for place, near in zip(self.places, reached[id], strict=True):
                for mast in masts[place.id] if near else ():
                    fed, _, carrier = mast.way.partition(":")
                    if fed in technology.wiring.feeds:
                        facility = Key("facility", place.id, id, mast.risk, carrier)
                        self.arcs.append(Candidate(mast, facility, "open", id, place.id, 0.0, self.shelf.items(id, {"facility": 1}), self.shelf.has(id)))
                for risk, carrier in sorted({(mast.risk, mast.way.partition(":")[2]) for mast in masts[place.id]}) if near else ():
                    for site, metres in near:
                        items = at_site + self.addition.get((site, id), ())
                        tail, head = Key("facility", place.id, id, risk, carrier), Key("terminal", site, id, risk, carrier)
                        self.arcs.append(Candidate(tail, head, "link", id, site, metres, items, self.shelf.has(id)))

    def _within(self, id: str, technology: Technology) -> list[list[tuple[str, float]]]:
        """Per place, the sites that a cell there may serve, with the metres."""
        radius = (capability_value(technology.capability, "radius_km") or 0) * 1000
        sites = [self.sites[site] for site in sorted(self.served[id])]
        near = [[(site.id, metres) for site, metres in zip(sites, _metres(place, sites), strict=True) if metres <= radius] for place in self.places]
        for place, found in zip(self.places, near, strict=True):
            for site, _ in found:
                self.near[site, id].append(place.id)
        return self.sight.links(id, technology, self.places, near, self.sites)

    def _feed(self, cells: Iterable[tuple[str, Technology]]) -> dict[str, list[Key]]:
        """Masts of each place, by risk and by how they are fed ("fibre", "hop", "sky:<satellite>" or "hop:<satellite>")."""
        networks = sorted({t.wiring.network for _, t in cells if t.wiring.network} or set(self.networks))
        masts: dict[str, list[Key]] = {place.id: [] for place in self.places}

        def feed(tail: Key, place: str, risk: RiskClass, way: str, technology: str | None, length_m: float, items: Items, priced: bool) -> None:
            mast = Key("mast", place, "", risk, way)
            if mast not in masts[place]:
                masts[place].append(mast)
            self.arcs.append(Candidate(tail, mast, "feed", technology, place, length_m, items, priced))

        wanted = {feed for _, t in cells for feed in t.wiring.feeds}
        hops = [(id, t) for id, t in self._of("hop") if capability_value(t.capability, "reach_km") is not None] if "hop" in wanted else []
        for place in self.places:
            at = self.region.attach.get(place.id)
            if place.kind == "exchange":
                feed(ROOT, place.id, "air", "fibre", None, 0.0, (), True)
            elif at is not None:
                for network in networks:
                    for layer in self.layers[network]:
                        spur, known = self._spur(network, at[1])
                        feed(Key("junction", at[0], network, layer), place.id, layer, "fibre", None, at[1], spur, known)
            for id, technology in self._of("direct") if "sky" in wanted else ():
                if technology.wiring.backhaul:
                    items = self.shelf.items(id, {"site": 1, "facility": 1})
                    feed(ROOT, place.id, technology.wiring.risk, f"sky:{id}", id, 0.0, items, self.shelf.has(id))
        if hops:
            # one node serves for both ways of feeding wherever no cell tells them apart
            ground = "fibre" if all(("fibre" in t.wiring.feeds) == ("hop" in t.wiring.feeds) for _, t in cells) else "hop"
            sky = "sky" if all(("sky" in t.wiring.feeds) == ("hop" in t.wiring.feeds) for _, t in cells) else "hop"
            self._hops(hops, masts, ground, sky)
        return masts

    def _hops(self, hops: list[tuple[str, Technology]], masts: dict[str, list[Key]], ground: str, sky: str) -> None:
        kinds = sorted({(mast.risk, mast.way.partition(":")[2]) for near in masts.values() for mast in near})
        heads = {(p.id, risk, carrier): Key("mast", p.id, "", risk, f"{sky}:{carrier}" if carrier else ground) for p in self.places for risk, carrier in kinds}
        tails = {key: sorted({m for m in masts[key[0]] if (m.risk, m.way.partition(":")[2]) == key[1:]} | {heads[key]}) for key in heads}
        exchanges = {place.id for place in self.places if place.kind == "exchange"}
        gained: dict[str, dict[Key, None]] = {place.id: {} for place in self.places}
        for id, technology in hops:
            reach = (capability_value(technology.capability, "reach_km") or 0) * 1000
            far = [_metres(place, self.places) for place in self.places]
            within = [(a, b) for a, row in enumerate(far) for b, metres in enumerate(row) if a != b and metres <= reach]
            blocked = self.sight.hops(id, technology, self.places, within)
            for index, place in enumerate(self.places):
                for number, (other, metres) in enumerate(zip(self.places, far[index], strict=True)):
                    if number == index or metres > reach or (index, number) in blocked:
                        continue
                    items = self.shelf.items(id, {"hop": 1, "km": metres / 1000, "facility": 2})
                    for risk, carrier in kinds:
                        if risk == "air" and not carrier and other.id in exchanges:
                            continue  # an exchange is already fed, by itself
                        head = heads[other.id, risk, carrier]
                        gained[other.id][head] = None
                        for tail in tails[place.id, risk, carrier]:
                            self.arcs.append(Candidate(tail, head, "hop", id, other.id, metres, items, self.shelf.has(id)))
        for place_id, new in gained.items():
            masts[place_id] = sorted({*masts[place_id], *new})


def _metres(place: Place, others: list[Site] | list[Place]) -> list[float]:
    """Metres on the ellipsoid from a place to others."""
    if not others:
        return []
    lon, lat = np.full(len(others), place.lon), np.full(len(others), place.lat)
    _, _, metres = _GEOD.inv(lon, lat, np.array([o.lon for o in others]), np.array([o.lat for o in others]))
    return [round(float(value), 3) for value in metres]
