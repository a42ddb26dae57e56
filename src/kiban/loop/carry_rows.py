"""What a carried region changes, row by row, so that a page can say it in words.

In: what was carried, and the region folder that is there, if there is one. Out: for each file the rows that are new, changed and gone.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from kiban.base.errors import KibanError
from kiban.loop.carry import REGION_TYPES, Carried
from kiban.loop.folder import OLD
from kiban.region.text import text_of

Kind = Literal["new", "changed", "gone"]


@dataclass(frozen=True)
class RowChange:
    """One row. cells: column, what stands there, what will; of a new or gone row those that say something."""

    kind: Kind
    id: str
    name: str
    cells: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class FileChange:
    """One file: how many of its rows (features of a map, lines of a text) are new, changed, gone and the same; `rows` where they have columns."""

    file: str
    kind: Kind
    rows: tuple[RowChange, ...] = ()
    new: int = 0
    changed: int = 0
    gone: int = 0
    same: int = 0


def file_changes(carried: Carried, folder: Path) -> tuple[FileChange, ...]:
    """What writing a carried region into a folder changes; files that say the same are left out. The folder may be missing.

    Raises
    ------
    KibanError  a file of the folder or of what came cannot be read
    """
    found: list[FileChange] = []
    for path, content in carried.originals.items():
        there = folder / path
        before = there.read_bytes() if there.is_file() else None
        if before != content:
            found.append(_changed(path, before, content))
    here = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    names = [path.relative_to(folder).as_posix() for path in here if OLD not in path.relative_to(folder).parts]
    return tuple(found) + tuple(_changed(name, (folder / name).read_bytes(), None) for name in names if name not in carried.originals and _travels(name))


def staying(folder: Path) -> tuple[str, ...]:
    """Files of the folder that no csv, xlsx or pdf can hold, so that they stay as they are."""
    here = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return tuple(name for name in here if OLD not in Path(name).parts and not _travels(name))


def _travels(name: str) -> bool:
    return Path(name).suffix in REGION_TYPES


def _changed(path: str, before: bytes | None, after: bytes | None) -> FileChange:
    kind: Kind = "new" if before is None else "gone" if after is None else "changed"
    if path.endswith((".csv", ".yaml")):
        old, new = (_rows(path, content) for content in (before, after))
        rows = [_row(id, old.get(id), new.get(id)) for id in dict.fromkeys((*new, *old)) if old.get(id) != new.get(id)]
        count = Counter(row.kind for row in rows)
        return FileChange(path, kind, tuple(rows), count["new"], count["changed"], count["gone"], sum(old.get(id) == row for id, row in new.items()))
    old_parts, new_parts = (_parts(path, content) for content in (before, after))
    same = sum((old_parts & new_parts).values())
    return FileChange(path, kind, (), (new_parts - old_parts).total(), 0, (old_parts - new_parts).total(), same)


def _row(id: str, before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> RowChange:
    kind: Kind = "new" if before is None else "gone" if after is None else "changed"
    old, new = before or {}, after or {}
    cells = tuple((key, old.get(key, ""), new.get(key, "")) for key in dict.fromkeys((*new, *old)) if old.get(key, "") != new.get(key, ""))
    named = new or old
    return RowChange(kind, id, named.get("name") or named.get("title") or named.get("what") or "", cells)


def _rows(path: str, content: bytes | None) -> dict[str, dict[str, str]]:
    """Rows by their ids."""
    if content is None:
        return {}
    text = text_of(content, path)
    if path.endswith(".csv"):
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
        return {row[0]: dict(zip(rows[0], row, strict=False)) for row in rows[1:] if row} if rows else {}
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise KibanError(path, str(error), "YAML", "correct the file") from error
    return _tree(tree) if isinstance(tree, dict) else {}


def _tree(tree: Mapping[Any, Any]) -> dict[str, dict[str, str]]:
    """The entries of region.yaml as rows: one for each value of its own, each source, each member of a list."""
    found: dict[str, dict[str, str]] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
            found |= {f"{key}/{id}": {str(name): _said(one) for name, one in row.items()} for id, row in value.items()}
        elif isinstance(value, list):
            for number, one in enumerate(value):
                row = {str(name): _said(part) for name, part in one.items()} if isinstance(one, dict) else {"": _said(one)}
                found[f"{key}/{row.get('what') or row.get('') or number}"] = row
        else:
            found[str(key)] = {"": _said(value)}
    return found


def _parts(path: str, content: bytes | None) -> Counter[str]:
    """The features of a map or the lines of a text."""
    if content is None:
        return Counter()
    if not path.endswith(".geojson"):
        return Counter(line for line in text_of(content, path).splitlines() if line.strip())
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise KibanError(path, f"no JSON ({error})", "GeoJSON", "correct the file") from error
    features = tree.get("features") if isinstance(tree, dict) else None
    return Counter(json.dumps(one, ensure_ascii=False) for one in (features if isinstance(features, list) else [tree]))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
