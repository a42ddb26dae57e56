"""Elevation files 標高: how coarse they are and what they cover; the heights themselves are read by region.heights.

In: GeoTIFF (rasterio), SRTM .hgt or .hgt.zip, a CSV by grid square. Out: spacing in metres and the box that is covered.
"""

from __future__ import annotations

import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from kiban.base.errors import RegionError
from kiban.region import mesh
from kiban.region.columns import find
from kiban.region.geodesy import Point, distance_m
from kiban.region.text import read_table


@dataclass(frozen=True)
class Grid:
    """Spacing of the heights in metres (the wider direction), the box in degrees, and lines that held no grid square."""

    spacing_m: float
    south: float
    west: float
    north: float
    east: float
    skipped: tuple[str, ...] = ()

    def holds(self, point: Point) -> bool:
        """Whether a point lies in the box."""
        return self.south <= point[0] <= self.north and self.west <= point[1] <= self.east


def grid(path: Path) -> Grid:
    """What an elevation file covers and how coarsely.

    Raises
    ------
    RegionError  the file is of no known format, its size does not fit, or rasterio is not installed (GeoTIFF)
    """
    name = path.name.lower()
    if name.endswith((".hgt", ".hgt.zip")):
        return _hgt(path)
    if name.endswith((".tif", ".tiff")):
        return _geotiff(path)
    return _mesh_table(path)


@dataclass(frozen=True)
class Tile:
    """An SRTM tile: its south-west corner in whole degrees, heights on a side, and its name inside a zip (None: not zipped)."""

    south: int
    west: int
    side: int
    member: str | None


def tile(path: Path) -> Tile:
    """What an .hgt or .hgt.zip is: the name gives the south-west corner, the size the number of rows. Source: USGS SRTM documentation."""
    inner, size, member = path.name, path.stat().st_size, None
    if path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                found = next((one for one in archive.infolist() if one.filename.lower().endswith(".hgt")), None)
        except zipfile.BadZipFile as error:
            raise RegionError(path.name, "a broken zip", "a zip with one .hgt", "fetch it again") from error
        if found is None:
            raise RegionError(path.name, "a zip without .hgt", "a zip with one .hgt", "fetch it again")
        inner, size, member = Path(found.filename).name, found.file_size, found.filename
    match = re.match(r"([NS])(\d\d)([EW])(\d{3})", inner, re.IGNORECASE)
    side = math.isqrt(size // 2)
    if not match or side * side * 2 != size or side < 2:
        raise RegionError(path.name, f"{inner}, {size} bytes", "a tile such as N37E137.hgt with 1201 or 3601 rows of as many heights", "fetch it again")
    south = int(match[2]) * (1 if match[1].upper() == "N" else -1)
    west = int(match[4]) * (1 if match[3].upper() == "E" else -1)
    return Tile(south, west, side, member)


def _hgt(path: Path) -> Grid:
    one = tile(path)
    step = 1 / (one.side - 1)
    return Grid(_spacing((one.south + 0.5, one.west + 0.5), step, step), one.south, one.west, one.south + 1, one.west + 1)


def _geotiff(path: Path) -> Grid:
    try:
        import rasterio  # an extra, and heavy
        import rasterio.errors
        from rasterio.warp import transform_bounds
    except ImportError as error:
        raise RegionError(path.name, "a GeoTIFF", "rasterio installed", "pip install 'kiban[geo]'") from error
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                raise RegionError(path.name, "a GeoTIFF without coordinate system", "a GeoTIFF with its CRS", "georeference it")
            west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
            height, width = raster.height, raster.width
    except rasterio.errors.RasterioError as error:
        raise RegionError(path.name, str(error), "a GeoTIFF", "fetch the file again; this one is damaged or of another kind") from error
    middle = ((south + north) / 2, (west + east) / 2)
    return Grid(_spacing(middle, (north - south) / height, (east - west) / width), south, west, north, east)


def _mesh_table(path: Path) -> Grid:
    table = read_table(path)
    column, value = find(table.headers, "mesh"), find(table.headers, "elevation")
    if column is None or value is None or not table.rows:
        raise RegionError(f"{path.name}:1", f"columns {', '.join(table.headers)}", "a grid square code and a height", "check the file")
    corners, skipped = [], []
    for row in table.rows:
        if not row.cells[column].isdigit():  # a header line again, where files were joined
            skipped.append(f"{table.where(row)} {row.cells[column]}")
            continue
        try:
            corners.append(mesh.corner(row.cells[column]))
        except RegionError as error:
            raise RegionError(table.where(row), error.found, error.fits, error.step) from error
    if len(skipped) >= len(corners):
        raise RegionError(f"{path.name}:1", f"{len(skipped)} lines without a grid square code", "a grid square code in each line", "check the file")
    steps = {(round(height, 9), round(width, 9)) for _, _, height, width in corners}
    if len(steps) != 1:
        raise RegionError(path.name, "grid squares of several levels", "one level in one file", "split the file")
    south, west = min(one[0] for one in corners), min(one[1] for one in corners)
    north, east = max(one[0] + one[2] for one in corners), max(one[1] + one[3] for one in corners)
    return Grid(_spacing(((south + north) / 2, (west + east) / 2), *steps.pop()), south, west, north, east, tuple(skipped))


def _spacing(at: Point, lat_step: float, lon_step: float) -> float:
    north = distance_m((at[0] - lat_step / 2, at[1]), (at[0] + lat_step / 2, at[1]))
    east = distance_m((at[0], at[1] - lon_step / 2), (at[0], at[1] + lon_step / 2))
    return round(max(north, east), 1)
