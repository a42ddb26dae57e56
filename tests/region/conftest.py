"""A fictional town, 海山町, as a region folder; and a square of land to build regions on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

HEAD = """id: umiyama
name: 海山町
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
SITES = """id,kind,name,lat,lon,households,source
office,office,海山町役場,37.300,137.100,,survey
hall-east,shelter,東公民館,37.300,137.120,,survey
hall-north,shelter,北公民館,37.320,137.100,,survey
hamlet,hamlet,山集落,37.320,137.120,12,survey
"""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a region folder: region.yaml and sites.csv as above unless given, and any other file by name with _ for the dot."""

    def make(**files: str | bytes) -> Path:
        out = tmp_path / "umiyama"
        out.mkdir(exist_ok=True)
        for name, text in {"region_yaml": HEAD, "sites_csv": SITES, **files}.items():
            path = out / name.replace("_", ".")
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return out

    return make


@pytest.fixture
def land(tmp_path: Path) -> Path:
    """A boundary file: 海山町 (17463) from 137.0 to 137.2, 隣町 (17461) west of it; the sea is elsewhere."""

    def square(name: str, code: str, west: float, east: float) -> dict[str, object]:
        ring = [[west, 37.2], [east, 37.2], [east, 37.4], [west, 37.4], [west, 37.2]]
        return {"type": "Feature", "properties": {"N03_004": name, "N03_007": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    path = tmp_path / "N03.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [square("海山町", "17463", 137.0, 137.2), square("隣町", "17461", 136.8, 137.0)]}))
    return path
