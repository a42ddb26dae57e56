"""A design as a GeoPackage (OGC 12-128r17, version 1.3): one file that a GIS opens, with the layers sites, lines, facilities and hops.

In: region, problem, design. Out: bytes. The file is an SQLite database, made in memory and never opened from a disk. docs/decisions/0010 says why
it is written here.
"""

from __future__ import annotations

import sqlite3
import struct
from datetime import date
from typing import Any

from kiban.documents.features import FIELDS, Feature, Kind, Layer, draw
from kiban.records.design import Design, Problem
from kiban.records.region import Region

APPLICATION, VERSION = 0x47504B47, 10300  # "GPKG"; 1.3.0
WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],'
    'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],'
    'AXIS["Latitude",NORTH],AXIS["Longitude",EAST],AUTHORITY["EPSG","4326"]]'
)
# The tables that every GeoPackage has (clauses 1.1.2, 1.1.3 and 2.1.5 of the standard).
TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL, m TINYINT NOT NULL, CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name), CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
"""
SYSTEMS = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian coordinate reference system"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic coordinate reference system"),
    ("WGS 84 geodetic", 4326, "EPSG", 4326, WGS84, "longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid"),
)
SHAPES: dict[Layer, str] = {"sites": "POINT", "lines": "LINESTRING", "facilities": "POINT", "hops": "LINESTRING"}
TYPES: dict[Kind, str] = {"text": "TEXT", "list": "TEXT", "integer": "INTEGER", "real": "DOUBLE", "boolean": "BOOLEAN"}


def design_geopackage(region: Region, problem: Problem, design: Design, technology_name: dict[str, str], day: date) -> bytes:
    """The file; the same input gives the same bytes.

    Parameters
    ----------
    technology_name  id → name in the language of the file
    day              the day of making, which stands in the file's table of contents
    """
    drawing = draw(region, problem, design, technology_name)
    book = sqlite3.connect(":memory:", isolation_level=None)
    try:
        book.execute(f"PRAGMA application_id = {APPLICATION}")
        book.execute(f"PRAGMA user_version = {VERSION}")
        book.executescript(TABLES)
        book.execute("BEGIN")
        book.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)", SYSTEMS)
        for layer in FIELDS:
            _layer(book, layer, drawing.of(layer), region.label or "", day)
        book.execute("COMMIT")
        return book.serialize()
    finally:
        book.close()


def _layer(book: sqlite3.Connection, layer: Layer, features: list[Feature], label: str, day: date) -> None:
    """One table with its entries in the table of contents; an empty layer stands there with its columns."""
    fields = FIELDS[layer]
    columns = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in fields.items())
    book.execute(f"CREATE TABLE {layer} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom {SHAPES[layer]}, feature_id TEXT NOT NULL UNIQUE, {columns})")
    points = [point for feature in features for point in feature.points]
    extent = [end(point[axis] for point in points) for end in (min, max) for axis in (0, 1)] if points else [None] * 4
    book.execute("INSERT INTO gpkg_contents VALUES (?,'features',?,?,?,?,?,?,?,4326)", (layer, layer, label, f"{day.isoformat()}T00:00:00.000Z", *extent))
    book.execute("INSERT INTO gpkg_geometry_columns VALUES (?,'geom',?,4326,0,0)", (layer, SHAPES[layer]))
    marks = ",".join("?" * (len(fields) + 2))
    rows = [(_blob(feature), feature.id, *(_value(feature.properties.get(name), kind) for name, kind in fields.items())) for feature in features]
    names = ", ".join(f'"{name}"' for name in fields)
    book.executemany(f"INSERT INTO {layer} (geom, feature_id, {names}) VALUES ({marks})", rows)  # noqa: S608  names of this module, no input


def _value(value: Any, kind: Kind) -> Any:
    if kind == "list":
        return ";".join(value or ())
    return int(value) if kind == "boolean" and value is not None else value


def _blob(feature: Feature) -> bytes:
    """A geometry in the standard's binary form (clause 2.1.3): header, for lines the envelope, then well-known binary; all little-endian.

    >>> _blob(Feature("sites/a", "sites", ((137.0, 37.5),), {})).hex()[:24]
    '47500001e610000001010000'
    """
    points = feature.points
    if feature.layer in ("sites", "facilities"):
        return struct.pack("<2sBBi", b"GP", 0, 0b1, 4326) + struct.pack("<BI2d", 1, 1, *points[0])
    xs, ys = [x for x, _ in points], [y for _, y in points]
    head = struct.pack("<2sBBi4d", b"GP", 0, 0b11, 4326, min(xs), max(xs), min(ys), max(ys))
    return head + struct.pack(f"<BII{2 * len(points)}d", 1, 2, len(points), *(value for point in points for value in point))
