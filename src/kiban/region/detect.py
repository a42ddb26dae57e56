"""What kind of official file a file is, told from its content.

In: a path. Out: one of KINDS. The user may name the kind instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kiban.base.errors import RegionError
from kiban.region.columns import find, first, plain, table, with_year
from kiban.region.geojson import features
from kiban.region.text import decode, read_table

KINDS = {
    "municipality": "市区町村の表 (団体コード, 人口, 世帯, 役場の位置)",
    "fiscal": "財政力指数の表",
    "flags": "条件不利地域の表",
    "mesh": "地域メッシュ統計 (1 km / 500 m / 250 m)",
    "small_areas": "小地域の人口 (GeoJSON)",
    "boundary": "行政区域 N03 (GeoJSON / TopoJSON)",
    "shelters": "指定緊急避難場所・指定避難所 (CSV / GeoJSON / parquet)",
    "facilities": "施設一覧 (自治体標準オープンデータセット CSV / GeoJSON)",
    "streets": "街路 (.osm.pbf / GeoJSON の線)",
    "elevation": "標高 (GeoTIFF / SRTM hgt / メッシュ CSV)",
    "plants": "既存設備 (整備年度, 所有者, 財源, 処分制限)",
}


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object out of a file; the line of a mistake is named."""
    try:
        content = json.loads(decode(path))
    except json.JSONDecodeError as error:
        raise RegionError(f"{path.name}:{error.lineno}", error.msg, "GeoJSON or TopoJSON", "fetch the file again") from error
    except (RecursionError, ValueError) as error:
        raise RegionError(path.name, "JSON too deep or with numbers too long", "GeoJSON or TopoJSON", "fetch the file again") from error
    if not isinstance(content, dict):
        raise RegionError(path.name, "JSON that is no object", "GeoJSON or TopoJSON", "fetch the file again")
    return content


def kind_of(path: Path) -> str:
    """The kind of a file.

    Raises RegionError when nothing fits; the message lists the kinds and how to name one.
    """
    name = path.name.lower()
    if not path.is_file():
        raise RegionError(path.name, "no such file", "a file that exists", "check the path")
    if name.endswith(".osm.pbf"):
        return "streets"
    if name.endswith((".tif", ".tiff", ".hgt", ".hgt.zip")):
        return "elevation"
    if name.endswith(".parquet"):
        return "shelters"
    kind = _json_kind(load_json(path), path.name) if name.endswith(("json", ".geojson")) else _table_kind(read_table(path).headers)
    if kind is None:
        listed = "; ".join(f"{key} = {text}" for key, text in KINDS.items())
        raise RegionError(path.name, "a file of no kind that is known", listed, f"name the kind: KIND={path.name}")
    return kind


def _json_kind(content: dict[str, Any], name: str) -> str | None:
    if content.get("type") == "Topology":
        return "boundary"
    first_one = next(features(content, name), None)
    if first_one is None:
        return None
    shape, headers = str(first_one[2].get("type", "")), list(first_one[1])
    if "LineString" in shape:
        return "streets"
    if "Polygon" in shape:
        return "small_areas" if with_year(headers, table()["fields"]["population"]) else "boundary"
    if shape == "Point":
        return "shelters" if first(headers, table()["shelter"]) else "facilities"
    return None


def _table_kind(headers: tuple[str, ...]) -> str | None:
    words = table()
    if find(headers, "mesh") and find(headers, "mesh") != find(headers, "code"):
        return "elevation" if find(headers, "elevation") else "mesh"
    placed = find(headers, "lat") and find(headers, "lon")
    if placed and any(plain(header).startswith("災害種別_") for header in headers):
        return "shelters"
    if find(headers, "year_built"):
        return "plants"
    if placed and find(headers, "name") and first(headers, words["shelter"]):
        return "shelters"
    if find(headers, "code"):
        if find(headers, "fiscal_year") and with_year(headers, words["facts"]["fiscal_index"]["columns"]):
            return "fiscal"
        if any(first(headers, names) for names in words["flags"].values()):
            return "flags"
        if any(with_year(headers, fact["columns"]) for fact in words["facts"].values()) or (placed and find(headers, "town") and not find(headers, "id")):
            return "municipality"
    return "facilities" if placed and find(headers, "name") else None
