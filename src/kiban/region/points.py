"""Lists of facilities and shelters become sites: CSV, GeoJSON of points, parquet.

In: a path, the key of its source, a site kind where the file cannot tell. Out: sites in a Draft; what could not be placed is noted there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kiban.base.errors import RegionError
from kiban.region.columns import find, first, plain, table
from kiban.region.detect import load_json
from kiban.region.draft import Draft, Raw
from kiban.region.geojson import features
from kiban.region.text import read_table
from kiban.region.values import count_of, degrees_of, five


def _features(path: Path) -> Iterator[tuple[str, Mapping[str, Any], Any, Any]]:
    """Rows of a CSV, GeoJSON of points or parquet: where, cells, latitude, longitude."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        try:
            import pyarrow.parquet  # an extra, and heavy
        except ImportError as error:
            raise RegionError(path.name, "a parquet file", "pyarrow installed", "pip install 'kiban[geo]'") from error
        try:
            rows = pyarrow.parquet.read_table(path).to_pylist()
        except pyarrow.ArrowException as error:
            raise RegionError(
                path.name, str(error).splitlines()[0], "a parquet file", "fetch the file again; this one is damaged or of another kind"
            ) from error
        for number, cells in enumerate(rows, 1):
            yield f"{path.name}#{number}", cells, cells.get(find(cells, "lat") or ""), cells.get(find(cells, "lon") or "")
    elif name.endswith("json"):
        for where, cells, geometry in features(load_json(path), path.name):
            spot = geometry.get("coordinates") if geometry.get("type") == "Point" else None
            lon, lat, *_ = spot if isinstance(spot, list) and len(spot) >= 2 else (None, None)
            yield where, cells, lat, lon
    else:
        content = read_table(path)
        lat, lon = find(content.headers, "lat") or "", find(content.headers, "lon") or ""
        for row in content.rows:
            yield content.where(row), row.cells, row.cells.get(lat), row.cells.get(lon)


def facilities(path: Path, source: str, draft: Draft, word: str, *, shelters: bool = False) -> None:
    """Facilities become sites; their kind is the word given, the table's subject, or told from the name."""
    words = table()
    for where, cells, lat, lon in _features(path):
        headers = list(cells)
        code, key, title = find(headers, "code"), find(headers, "id"), find(headers, "name")
        name = str(cells.get(title or "") or "").strip()
        original = str(cells.get(key or "") or where)
        belongs = five(cells.get(code)) if code else five(original) if re.fullmatch(r"E\d{10,}", original) else None
        if belongs is not None and draft.code is not None and belongs != draft.code:
            draft.leave("elsewhere", source, name)
            continue
        about = str(cells.get(find(headers, "facility_kind") or "") or "")
        if shelters and about in words["shelter_flee"] and not draft.emergency:
            draft.leave("flee", source, f"{name} {original}")
            continue
        kind = word or ("shelter" if shelters else "clinic" if first(headers, words["medical"]) else _kind_of(name))
        if not kind:
            draft.leave("no_kind", source, f"{where} {name}")
            continue
        counts = {field: count_of(draft, source, where, cells.get(find(headers, field) or "")) for field in ("population", "households", "pupils")}
        place = [degrees_of(draft, source, where, value) for value in (lat, lon)]
        draft.take(Raw(where, f"{kind}-{original}", name or original, kind, place[0], place[1], original, counts, ours=belongs is not None), source)


def _kind_of(name: str) -> str:
    return next((kind for kind, words in table()["kinds"].items() if any(plain(word) in plain(name) for word in words)), "")


def shelters(path: Path, source: str, draft: Draft, word: str) -> None:
    """Shelters 指定避難所; places to flee to 指定緊急避難場所 only where the user wants them, or where the file does not tell them apart."""
    facilities(path, source, draft, word, shelters=True)
