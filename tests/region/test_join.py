"""Neighbours put together: streets that meet are one, borders without streets are bridged openly, nothing else is joined."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from kiban.base.errors import RegionError
from kiban.records.region import Evidence, Junction, Place, Region, Site, Street
from kiban.records.source import Source
from kiban.region.join import APART, BORDER, join, town_of

SOURCES = {"s": Source(title="made up", seen_on=date(2026, 11, 27))}
AT = Evidence(source="s")


def town(id, lons, *, kind="street"):
    """A town along the 37th parallel: a site at every longitude, streets between them, an exchange at the first."""
    junctions = tuple(Junction(id=f"j{k}", lat=37.0, lon=lon) for k, lon in enumerate(lons))
    sites = tuple(Site(id=f"s{k}", name=f"s{k}", kind="shelter", lat=37.0, lon=lon, evidence=AT) for k, lon in enumerate(lons))
    return Region(
        id=id,
        name=id,
        lg_code=None,
        sources=SOURCES,
        sites=sites,
        places=(Place(id="x", name="x", kind="exchange", lat=37.0, lon=lons[0], evidence=AT),),
        junctions=junctions,
        streets=tuple(Street(id=f"c{k}", a=f"j{k}", b=f"j{k + 1}", length_m=900.0, kind=kind) for k in range(len(lons) - 1)),
        attach={f"s{k}": (f"j{k}", 0.0) for k in range(len(lons))} | {"x": ("j0", 0.0)},
        links_are_candidates=kind == "candidate",
        detour=1.3 if kind == "candidate" else None,
    )


def test_streets_that_share_a_point_meet_there_and_ids_say_the_town():
    joined = join([town("west", [137.0, 137.01]), town("east", [137.01, 137.02])])
    assert [street.id for street in joined.streets] == ["west.c0", "east.c0"]
    assert joined.streets[1].a == joined.streets[0].b == "west.j1"
    assert [site.id for site in joined.sites] == ["west.s0", "west.s1", "east.s0", "east.s1"]
    assert joined.sites[2].evidence.source == "east.s"
    assert joined.attach["east.s0"] == ("west.j1", 0.0)
    assert town_of("east.s0", ["west", "east"]) == "east"
    assert [note.what for note in joined.missing] == []


def test_streets_that_do_not_meet_are_not_joined_and_that_is_said():
    joined = join([town("west", [137.0, 137.01]), town("east", [137.02, 137.03])])
    assert len(joined.streets) == 2
    assert [(note.what, note.count) for note in joined.missing] == [(APART, 2)]


def test_a_border_without_streets_is_bridged_by_candidates_no_longer_than_those_inside_and_that_is_said():
    near = join([town("west", [137.0, 137.01], kind="candidate"), town("east", [137.017, 137.026], kind="candidate")])
    (bridge,) = [street for street in near.streets if street.id.startswith("border")]
    assert (bridge.a, bridge.b, bridge.kind) == ("west.j1", "east.j0", "candidate")
    assert bridge.length_m == pytest.approx(623.08 * 1.3, abs=0.1)
    assert [(note.what, note.count) for note in near.missing] == [(BORDER, 1)]
    far = join([town("west", [137.0, 137.01], kind="candidate"), town("east", [137.03, 137.04], kind="candidate")])
    assert [note.what for note in far.missing] == [APART]


def test_the_same_region_twice_and_none_are_refused():
    with pytest.raises(RegionError, match="each once"):
        join([town("west", [137.0, 137.01])] * 2)
    with pytest.raises(RegionError, match="none"):
        join([])


def test_one_region_alone_keeps_all_its_rows():
    west = town("west", [137.0, 137.01])
    alone = join([west])
    assert [len(rows) for rows in (alone.sites, alone.places, alone.streets, alone.attach)] == [2, 1, 1, 3]
    assert replace(alone.streets[0], id="c0", a="j0", b="j1") == west.streets[0]
