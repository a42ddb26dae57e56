"""Heights out of an elevation file 標高: the grid that radio looks at.

In: SRTM .hgt or .hgt.zip, GeoTIFF in degrees, a CSV by grid square. Out: a Terrain. How coarse a file is without reading it: region.elevation.
A file comes from outside, so what it claims is checked before memory is taken for it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from kiban.base.errors import RegionError
from kiban.records.region import Region
from kiban.records.terrain import Terrain
from kiban.region import mesh
from kiban.region.columns import find
from kiban.region.elevation import Grid, grid, tile
from kiban.region.text import read_table

MOST_HEIGHTS = 60_000_000  # 240 MB: a 10 m grid of 77 km × 77 km
VOID = -32768  # SRTM: no height here
LOWEST_M, HIGHEST_M = -500.0, 9000.0  # what lies outside is a fill value or a damaged file


def region_heights(region: Region, folder: Path) -> Terrain | None:
    """The heights of a region whose folder is at hand; None where it names no elevation file.

    Raises
    ------
    RegionError  the file is named in region.yaml and is not in the folder, or cannot be read
    """
    if region.elevation is None:
        return None
    path = folder / region.elevation.file
    if Path(region.elevation.file).name != region.elevation.file or not path.is_file():
        raise RegionError("region.yaml, elevation", region.elevation.file, f"a file in {folder.name}", "put the file there, or take the entry out")
    return heights(path)


def heights(path: Path) -> Terrain:
    """Read all heights of an elevation file, whatever its spacing; radio refuses what is too coarse.

    Raises
    ------
    RegionError  unknown format, a size that does not fit or is too large, a GeoTIFF that is not in degrees, rasterio missing
    """
    covered = grid(path)
    name = path.name.lower()
    if name.endswith((".hgt", ".hgt.zip")):
        values, box = _hgt(path), (covered.south, covered.west, covered.north, covered.east)
    elif name.endswith((".tif", ".tiff")):
        values, box = _geotiff(path)
    else:
        values, box = _mesh_table(path, covered)
    values = np.where((values < LOWEST_M) | (values > HIGHEST_M), np.nan, values).astype(np.float32)
    if not np.isfinite(values).any():
        raise RegionError(path.name, "no height at all", "heights in metres above sea level", "fetch the file again")
    return Terrain(values, *box, covered.spacing_m)


def _hgt(path: Path) -> np.ndarray:
    """Big-endian 16-bit whole metres, row by row from the north-west corner. Source: USGS SRTM documentation."""
    inner = tile(path)
    _bear(path, inner.side, inner.side)
    size = inner.side * inner.side * 2
    try:
        if inner.member is None:
            data = path.read_bytes()
        else:
            with zipfile.ZipFile(path) as archive, archive.open(inner.member) as stream:
                data = stream.read(size + 1)  # never more than the directory of the zip admits to
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise RegionError(path.name, f"a zip that cannot be unpacked ({error})", "a zip with one .hgt", "fetch it again") from error
    if len(data) != size:
        raise RegionError(path.name, f"{len(data)} bytes of heights", f"{size}", "fetch it again")
    values = np.frombuffer(data, ">i2").reshape(inner.side, inner.side).astype(np.float32)
    return np.where(values == VOID, np.nan, values)


def _geotiff(path: Path) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    import rasterio  # an extra, and heavy; region.elevation has said so by now where it is missing

    try:
        with rasterio.open(path) as raster:
            if not raster.crs.is_geographic or raster.transform.b or raster.transform.d or raster.transform.a <= 0 or raster.transform.e >= 0:
                found = f"a GeoTIFF in {raster.crs}"
                raise RegionError(path.name, found, "degrees of latitude and longitude, north up", "gdalwarp -t_srs EPSG:4326 IN OUT")
            _bear(path, raster.height, raster.width)
            band = raster.read(1, masked=True)
            across, down = raster.transform.a, -raster.transform.e
            west, north = raster.bounds.left + across / 2, raster.bounds.top - down / 2
    except rasterio.errors.RasterioError as error:
        raise RegionError(path.name, str(error), "a GeoTIFF", "fetch the file again; this one is damaged or of another kind") from error
    values = np.ma.filled(band.astype(np.float32), np.nan)
    return values, (north - down * (values.shape[0] - 1), west, north, west + across * (values.shape[1] - 1))


def _mesh_table(path: Path, covered: Grid) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """The mean height of each grid square stands at its middle; squares that are not in the file (the sea) stay unknown."""
    table = read_table(path)
    column, value = find(table.headers, "mesh"), find(table.headers, "elevation")
    if column is None or value is None:  # grid() has looked; said again for the type checker
        raise RegionError(path.name, "no height", "a grid square code and a height", "check the file")
    squares = []
    for row in table.rows:
        if row.cells[column].isdigit():
            south, west, tall, wide = mesh.corner(row.cells[column])
            squares.append((south, west, tall, wide, row.cells[value]))
    tall, wide = squares[0][2], squares[0][3]
    rows, columns = round((covered.north - covered.south) / tall), round((covered.east - covered.west) / wide)
    _bear(path, rows, columns)
    values = np.full((max(rows, 2), max(columns, 2)), np.nan, np.float32)
    for south, west, _, _, text in squares:
        try:
            values[rows - 1 - round((south - covered.south) / tall), round((west - covered.west) / wide)] = float(text)
        except ValueError:
            continue  # "unknown" and the like: an empty square
    south, west = covered.south + tall / 2, covered.west + wide / 2
    return values, (south, west, south + tall * (values.shape[0] - 1), west + wide * (values.shape[1] - 1))


def _bear(path: Path, rows: int, columns: int) -> None:
    if rows * columns > MOST_HEIGHTS:
        raise RegionError(path.name, f"{rows:,} × {columns:,} heights", f"at most {MOST_HEIGHTS:,}", "cut the grid to the region, or take a coarser one")
