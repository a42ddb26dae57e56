"""Open data of towns as entities: river gauges with their readings, shelters, bus stops and trips.

In: the files as their publishers made them. Out: entities in the concise form of NGSI-LD, ready for `kiban broker import`.
The three small files beside this one are rows of these data sets: `python convert.py DATA` writes them anew (README.md has sources and licences).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

Entity = dict[str, Any]
HAZARDS = ("洪水", "崖崩れ、土石流及び地滑り", "高潮", "地震", "津波", "大規模な火事", "内水氾濫", "火山現象")
TOWNS = {"182010": (136.21139, 36.06306), "012050": (140.9735, 42.31603)}  # Fukui at the bridge of its gauge, Muroran at its town hall
JAPAN = timedelta(hours=9)
GAUGES = "Code for FUKUI (MIT)、福井県 河川・砂防総合情報"
SHELTERS = "国土地理院 指定緊急避難場所・指定避難所データ"
STOPS = "道南バスのGTFS (aruneko, CC BY-SA 3.0)、むろらんオープンデータ (CC BY 2.1 JP)、OpenStreetMap contributors"


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table with a first line of names."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def point(lon: float, lat: float) -> dict[str, Any]:
    """A place as GeoJSON has it: longitude first, degrees."""
    return {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]}


def geo3x3(code: str) -> tuple[float, float]:
    """Longitude and latitude of the middle of a Geo3x3 cell: E or W, then a digit from 1 to 9 for each division into nine.

    >>> [round(number, 3) for number in geo3x3("E913873569978769")]
    [136.211, 36.063]
    """
    lon, lat, unit = 0.0 if code[0] == "E" else -180.0, -90.0, 180.0
    for digit in code[1:]:
        row, column = divmod(int(digit) - 1, 3)
        unit /= 3
        lon, lat = lon + column * unit, lat + row * unit
    return lon + unit / 2, lat + unit / 2


def instant(text: str) -> str:
    """Japanese time as UTC.

    >>> instant("2021-08-14 08:50:00")
    '2021-08-13T23:50:00Z'
    """
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - JAPAN).strftime("%Y-%m-%dT%H:%M:%SZ")


def gauges(folder: Path) -> dict[str, Entity]:
    """River gauges by their number, without a level; thresholds in metres where the river has them."""
    found = {}
    for row in rows(folder / "sensors.csv"):
        entity: Entity = {"id": f"urn:ngsi-ld:WaterLevel:fukui-{row['id']}", "type": "WaterLevel"}
        entity |= {"name": row["観測所名"], "river": row["河川名"], "address": row["所在地"], "source": GAUGES}
        for name, column in (("danger", "はん濫危険水位"), ("caution", "はん濫注意水位")):
            if row[column].strip().replace(".", "").isdigit():  # elsewhere hyphens
                entity[name] = {"value": float(row[column]), "unitCode": "MTR"}
        found[row["id"]] = entity | {"location": point(*geo3x3(row["geo3x3"]))}
    return found


def readings(folder: Path, table: str = "sample_2021-08-14_2021-09-09_sensors1-20.csv") -> Iterator[Entity]:
    """One gauge with its level for each row of the table, in the order of time."""
    known = gauges(folder)
    for row in sorted(rows(folder / table), key=lambda row: row["time"]):
        level = {"value": float(row["level_m"]), "unitCode": "MTR", "observedAt": instant(row["time"])}
        yield known[row["sensor_id"]] | {"level": level}


def shelters(table: list[dict[str, Any]]) -> Iterator[Entity]:
    """Places of refuge; table: the rows of the parquet file. kind: emergency (a place to flee to, with its hazards) or evacuation (to stay)."""
    for number, row in enumerate(table):
        entity: Entity = {"id": f"urn:ngsi-ld:Shelter:{row['code6']}-{number}", "type": "Shelter", "name": row["name"], "kind": row["kind"]}
        if row["hazards"]:
            entity["hazards"] = [HAZARDS[int(digit) - 1] for digit in row["hazards"]]
        yield entity | {"municipality": row["code6"], "source": SHELTERS, "location": point(row["lon"], row["lat"])}


def bus_stops(folder: Path) -> Iterator[Entity]:
    """The stops of a GTFS feed; a platform has the stop that it belongs to."""
    for row in rows(folder / "stops.txt"):
        entity: Entity = {"id": f"urn:ngsi-ld:BusStop:{row['stop_id']}", "type": "BusStop", "name": row["stop_name"], "source": STOPS}
        if row["parent_station"]:
            entity["stop"] = {"object": f"urn:ngsi-ld:BusStop:{row['parent_station']}"}
        yield entity | {"location": point(float(row["stop_lon"]), float(row["stop_lat"]))}


def bus_trips(folder: Path) -> Iterator[Entity]:
    """The trips of a GTFS feed: route, days, first departure as hh:mm, and the platforms in their order."""
    names = {row["route_id"]: row["route_long_name"] for row in rows(folder / "routes.txt")}
    trips = {row["trip_id"]: row for row in rows(folder / "trips.txt")}
    times = sorted(rows(folder / "stop_times.txt"), key=lambda row: (row["trip_id"], int(row["stop_sequence"])))
    for trip, group in groupby(times, key=lambda row: row["trip_id"]):
        calls = list(group)
        yield {
            "id": f"urn:ngsi-ld:BusTrip:{trip}",
            "type": "BusTrip",
            "route": names[trips[trip]["route_id"]],
            "days": trips[trip]["service_id"],
            "departs": calls[0]["departure_time"][:5],
            "stops": {"type": "ListRelationship", "objectList": [f"urn:ngsi-ld:BusStop:{call['stop_id']}" for call in calls]},
            "source": STOPS,
        }


def feature(entity: Entity) -> dict[str, Any]:
    """An entity as a GeoJSON feature with plain properties, as a map program makes it."""
    plain = {name: value for name, value in entity.items() if name not in ("id", "type", "location")}
    return {"type": "Feature", "id": entity["id"], "properties": plain, "geometry": entity["location"]}


def sample(data: Path) -> dict[str, str]:
    """The three small files by name: 19 readings of three gauges, 16 shelters of two towns, 6 bus stops."""
    import pyarrow.parquet  # only for making the files

    def wanted(entity: Entity) -> bool:
        hour, minute = entity["level"]["observedAt"][11:16].split(":")
        first = entity["id"].endswith("-1")
        return entity["level"]["observedAt"] < "2021-08-14T03:41" and int(minute) in ((0, 20, 40) if first else (0,)) and hour != "23"

    gauged = [entity for entity in readings(data / "waterlevel") if entity["id"].rpartition("-")[2] in ("1", "7", "13") and wanted(entity)]
    table = pyarrow.parquet.read_table(data / "shelters_japan" / "shelters_japan.parquet").to_pylist()
    all_of = {town: sorted((one for one in shelters(table) if one["municipality"] == town), key=partial(_far, place)) for town, place in TOWNS.items()}
    flooded = [one for one in all_of["182010"] if "洪水" in one.get("hazards", ())]
    fled = [*all_of["182010"][:6], *flooded[:4], *all_of["012050"][:6]]
    stopped = sorted((one for one in bus_stops(data / "gtfs_donan_muroran") if "stop" not in one), key=partial(_far, TOWNS["012050"]))[:6]
    return {
        "water-level.ndjson": "".join(f"{json.dumps(entity, ensure_ascii=False)}\n" for entity in gauged),
        "shelters.geojson": _collection(fled, SHELTERS, "国土地理院コンテンツ利用規約 https://www.gsi.go.jp/kikakuchousei/kikakuchousei40182.html"),
        "bus-stops.geojson": _collection(stopped, STOPS, "CC BY-SA 3.0 https://creativecommons.org/licenses/by-sa/3.0/"),
    }


def _far(centre: tuple[float, float], entity: Entity) -> float:
    lon, lat = entity["location"]["coordinates"]
    return float((lon - centre[0]) ** 2 + (lat - centre[1]) ** 2)


def _collection(entities: list[Entity], source: str, licence: str) -> str:
    features = ",\n".join(json.dumps(feature(entity), ensure_ascii=False) for entity in entities)
    return f'{{"type": "FeatureCollection",\n"attribution": "{source}",\n"license": "{licence}",\n"features": [\n{features}\n]}}\n'


if __name__ == "__main__":
    for name, text in sample(Path(sys.argv[1])).items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
