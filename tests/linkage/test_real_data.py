"""Data sets of towns in a broker: river levels of a month, the shelters of five prefectures, a bus network. Each query is compared with a walk over the rows.

Needs KIBAN_TEST_DATA, and PostgreSQL for a smaller part; `make fuzz` takes the shelters of all Japan.
The converters are those of examples/broker, whose three small files are compared with the originals here, too.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from kiban.linkage.broker.broker import Options
from kiban.linkage.broker.serving import make_app

ROOT = Path(__file__).parents[2]
LD = "/ngsi-ld/v1"
BATCH = 1000
FIVE = ("01", "13", "17", "18", "39")  # Hokkaido, Tokyo, Ishikawa, Fukui, Kochi
FEW = ("01205", "1746", "1820", "3920")  # Muroran, the north of Noto, two cities and their neighbours
EVERYWHERE = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
EARTH = 6_371_000.0
pytestmark = pytest.mark.timeout(600)


class Town:
    """A broker in this process, and the rows that are in it.

    parts  beginnings of the municipalities whose shelters are taken
    every  the how-manieth gauge is taken
    """

    def __init__(self, db: str, convert: ModuleType, data: Path, parts: tuple[str, ...], every: int) -> None:
        import pyarrow.parquet

        self.runner = asyncio.Runner()
        self.app = make_app(Options(db=db, history=False, index=("level", "municipality", "route")))
        self.runner.run(self.app.broker.start())
        self.readings: dict[str, list[dict[str, Any]]] = {}
        for gauge in convert.readings(data / "waterlevel"):
            self.readings.setdefault(gauge["id"], []).append(gauge)
        table = pyarrow.parquet.read_table(data / "shelters_japan" / "shelters_japan.parquet").to_pylist()
        self.shelters = [one for one in convert.shelters(table) if one["municipality"].startswith(parts)]
        self.stops = list(convert.bus_stops(data / "gtfs_donan_muroran"))
        self.trips = list(convert.bus_trips(data / "gtfs_donan_muroran"))
        self.readings = dict(islice(self.readings.items(), 0, None, every))
        for id, rows in self.readings.items():
            past = {"id": id, "type": "WaterLevel", "level": [{"type": "Property", **row["level"]} for row in rows]}
            assert self.ask("POST", "/temporal/entities", past)[0] == 201
        self.upsert(rows[-1] for rows in self.readings.values())
        self.upsert(self.shelters)
        self.upsert(self.stops)
        self.upsert(self.trips)

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[int, dict[str, str], Any]:
        return self.runner.run(self._ask(method, path, body, params))

    async def _ask(self, method: str, path: str, body: Any, params: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        headers = [(b"content-type", b"application/json")] if raw else []
        target = {"raw_path": f"{LD}{path}".encode(), "query_string": urlencode(params, quote_via=quote).encode()}
        await self.app({"type": "http", "method": method, "headers": headers, **target}, receive, send)
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        content = b"".join(event.get("body", b"") for event in sent[1:])
        return sent[0]["status"], told, json.loads(content) if content else None

    def upsert(self, entities: Iterable[dict[str, Any]]) -> None:
        waiting = iter(entities)
        while batch := list(islice(waiting, BATCH)):
            status, _, answer = self.ask("POST", "/entityOperations/upsert", batch)
            assert status == 201, answer

    def ids(self, **params: Any) -> list[str]:
        """The ids of a query, in the order of the answers, page by page."""
        found: list[str] = []
        while True:
            status, _, page = self.ask("GET", "/entities", limit=1000, offset=len(found), pick="id", **params)
            assert status == 200, page
            found += [entity["id"] for entity in page]
            if len(page) < 1000:
                return found

    def count(self, **params: Any) -> int:
        status, told, answer = self.ask("GET", "/entities", limit=0, count="true", **params)
        assert status == 200, answer
        return int(told["ngsild-results-count"])


def examples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_town_data", ROOT / "examples" / "broker" / "convert.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    if request.param == "sqlite":
        made = Town(str(tmp_path_factory.mktemp("town") / "broker.db"), examples(), test_data, ("",) if EVERYWHERE else FIVE, 1)
    else:
        made = Town(request.getfixturevalue("postgres")("town"), examples(), test_data, ("",) if EVERYWHERE else FEW, 4)
    yield made
    made.runner.run(made.app.broker.stop())
    made.runner.close()


def metres(one: list[float], other: list[float]) -> float:
    """On a sphere, which is up to 0.6 % away from the ellipsoid of the broker."""
    (lon, lat), (to_lon, to_lat) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = math.sin((to_lat - lat) / 2) ** 2 + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(half))


def place(entity: dict[str, Any]) -> list[float]:
    found: list[float] = entity["location"]["coordinates"]
    return found


def where(entities: Iterable[dict[str, Any]], condition: Any) -> set[str]:
    return {entity["id"] for entity in entities if condition(entity)}


def test_the_small_files_of_the_tutorial_are_rows_of_the_originals(test_data: Path) -> None:
    made = examples().sample(test_data)
    assert {name: (ROOT / "examples" / "broker" / name).read_text("utf-8") for name in made} == made


def test_everything_is_there_by_type(town: Town) -> None:
    many = {"WaterLevel": len(town.readings), "Shelter": len(town.shelters), "BusStop": len(town.stops), "BusTrip": len(town.trips)}
    assert {type: town.count(type=type) for type in many} == many
    assert many["Shelter"] > (190_000 if EVERYWHERE else 500)
    assert set(town.ids(type="WaterLevel,BusStop")) == {*town.readings, *(stop["id"] for stop in town.stops)}
    for shelter in random.Random(1).sample(town.shelters, 50):
        assert town.ask("GET", f"/entities/{shelter['id']}", format="concise")[2] == shelter


@pytest.mark.parametrize("level", [0.5, 1.0, 2.5, 4.0])
def test_gauges_are_found_by_their_level(town: Town, level: float) -> None:
    last = [rows[-1] for rows in town.readings.values()]
    assert set(town.ids(type="WaterLevel", q=f"level>{level}")) == where(last, lambda one: one["level"]["value"] > level)
    assert set(town.ids(type="WaterLevel", q="danger;level<1")) == where(last, lambda one: "danger" in one and one["level"]["value"] < 1)


def test_shelters_are_found_by_what_they_are_for(town: Town) -> None:
    for code, hazard in (("182010", "洪水"), ("012050", "津波"), ("174637", "地震"), ("392014", "津波")):
        found = set(town.ids(type="Shelter", q=f'municipality=="{code}";hazards=="{hazard}"'))
        assert found == where(town.shelters, lambda one, code=code, hazard=hazard: one["municipality"] == code and hazard in one.get("hazards", ()))
        assert found
    code = "182010"
    found = set(town.ids(type="Shelter", q=f'municipality=="{code}";kind=="evacuation";name~=小学校'))
    assert found == where(town.shelters, lambda one: one["municipality"] == code and one["kind"] == "evacuation" and "小学校" in one["name"])


@pytest.mark.parametrize("far", [300, 2_000, 10_000])
def test_shelters_near_a_gauge_are_those_that_are_near_it_in_their_order(town: Town, far: int) -> None:
    for rows in islice(town.readings.values(), 0, None, 4):
        here = place(rows[0])
        text = json.dumps(here)
        found = town.ids(type="Shelter", georel=f"near;maxDistance=={far}", geometry="Point", coordinates=text, orderBy="location;dist-asc", orderFrom=text)
        away = {one["id"]: metres(here, place(one)) for one in town.shelters}
        assert {id for id, distance in away.items() if distance < 0.994 * far} <= set(found)
        assert all(away[id] < 1.006 * far for id in found)
        assert all(away[one] <= away[other] + 0.1 for one, other in pairwise(found))


def test_a_window_of_the_map_holds_the_shelters_and_stops_inside(town: Town) -> None:
    west, south, east, north = 140.95, 42.30, 141.00, 42.35
    ring = json.dumps([[[west, south], [east, south], [east, north], [west, north], [west, south]]])
    found = town.ids(type="Shelter,BusStop", georel="within", geometry="Polygon", coordinates=ring)
    assert set(found) == where([*town.shelters, *town.stops], lambda one: west < place(one)[0] < east and south < place(one)[1] < north)
    assert len(found) == len(set(found)) > 100


def test_bus_stops_of_a_trip_and_trips_of_a_route(town: Town) -> None:
    trip = max(town.trips, key=lambda one: len(one["stops"]["objectList"]))
    _, _, got = town.ask("GET", f"/entities/{trip['id']}")
    assert [one["object"] for one in got["stops"]["objectList"]] == trip["stops"]["objectList"]
    for route, many in Counter(one["route"] for one in town.trips).most_common(3):
        found = town.ids(type="BusTrip", q=f'route=="{route}";days=="weekday"')
        assert set(found) == where(town.trips, lambda one, route=route: one["route"] == route and one["days"] == "weekday")
        assert 0 < len(found) <= many
    stop = next(one for one in town.stops if "stop" in one)
    parent = stop["stop"]["object"]
    assert set(town.ids(type="BusStop", q=f'stop=="{parent}"')) == where(town.stops, lambda one: one.get("stop") == {"object": parent})


def history(town: Town, id: str, first: str, end: str) -> list[list[Any]]:
    return [[row["level"]["value"], row["level"]["observedAt"]] for row in town.readings[id] if first <= row["level"]["observedAt"] < end]


@pytest.mark.parametrize(("first", "end"), [("2021-08-14T01:00:00Z", "2021-08-14T04:00:00Z"), ("2021-08-20T00:00:00Z", "2021-08-25T00:00:00Z")])
def test_levels_between_two_times(town: Town, first: str, end: str) -> None:
    for id in islice(town.readings, 0, None, 5):
        assert levels(town, id, first, end) == history(town, id, first, end)


def levels(town: Town, id: str, first: str, end: str) -> list[list[Any]]:
    """What the broker has between two times. A long answer comes in parts, with status 206; the next one goes on at the last time of the one before."""
    found: list[list[Any]] = []
    while True:
        begin = found[-1][1] if found else first
        params = {"timerel": "between", "timeAt": begin, "endTimeAt": end, "attrs": "level", "format": "temporalValues"}
        status, told, got = town.ask("GET", f"/temporal/entities/{id}", **params)
        assert status in (200, 206), got
        part = sorted(got["level"]["values"], key=lambda pair: pair[1])
        found += part[1:] if found else part
        if status == 200:
            return found
        assert told["content-range"].startswith("date-time ")


def test_gauges_that_were_above_a_level_after_a_time(town: Town) -> None:
    for level, after in ((3.0, "2021-08-14T02:00:00Z"), (2.0, "2021-09-01T00:00:00Z"), (5.0, "2021-08-20T00:00:00Z")):
        status, _, got = town.ask(
            "GET", "/temporal/entities", type="WaterLevel", q=f"level>{level}", timerel="after", timeAt=after, attrs="level", format="temporalValues"
        )
        assert status in (200, 206), got
        above = {id for id, rows in town.readings.items() if any(row["level"]["value"] > level and row["level"]["observedAt"] > after for row in rows)}
        assert {entity["id"] for entity in got} == above


def test_the_highest_level_of_each_hour_and_day(town: Town) -> None:
    for id in islice(town.readings, 0, None, 6):
        for period, cut, first, end in (
            ("PT1H", 13, "2021-08-14T00:00:00Z", "2021-08-16T00:00:00Z"),
            ("P1D", 10, "2021-08-15T00:00:00Z", "2021-09-05T00:00:00Z"),
        ):
            params = {"timerel": "between", "timeAt": first, "endTimeAt": end, "attrs": "level", "aggrPeriodDuration": period}
            status, _, got = town.ask("GET", f"/temporal/entities/{id}", format="aggregatedValues", aggrMethods="max,totalCount", **params)
            assert status == 200, got
            by_time: dict[str, list[float]] = defaultdict(list)
            for value, time in history(town, id, first, end):
                by_time[time[:cut]].append(value)
            assert {begin[:cut]: value for value, begin, _ in got["level"]["max"]} == {time: max(values) for time, values in by_time.items()}
            assert {begin[:cut]: many for many, begin, _ in got["level"]["totalCount"]} == {time: len(values) for time, values in by_time.items()}
