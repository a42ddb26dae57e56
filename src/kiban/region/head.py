"""region.yaml: the name of a region, its sources, its detour factor and what is missing.

In: the file. Out: a Head; a problem is named with its line.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from kiban.base.errors import KibanError, RegionError
from kiban.base.lgcode import normal
from kiban.records.region import Elevation, HazardKind, Missing
from kiban.records.rules import Record, check_id, check_range
from kiban.records.source import Confidence, Source
from kiban.region.text import decode


class Detour(Record, frozen=True, kw_only=True):
    """Length of a way over its straight line, with where the figure comes from (rule `detour-factor`)."""

    value: float
    source: Source

    def __post_init__(self) -> None:
        check_range("detour factor", self.value, 1, 5)


class HeadDetour(Record, frozen=True, kw_only=True):
    """The detour factor as region.yaml gives it: `source` is a key of its sources."""

    value: float
    source: str

    def __post_init__(self) -> None:
        check_range("detour", self.value, 1, 5)


class HeadHazard(Record, frozen=True, kw_only=True):
    """What region.yaml says of one file of the folder `hazards`: its name, its kind, and where it comes from (a key of its sources)."""

    name: str
    kind: HazardKind
    source: str
    original: str | None = None
    confidence: Confidence = Confidence.B


class Head(Record, frozen=True, kw_only=True):
    """region.yaml."""

    id: str
    name: str
    sources: dict[str, Source]
    lg_code: str | None = None
    label: str | None = None
    detour: HeadDetour | None = None
    links_are_candidates: bool = False
    attach_limit_m: float = 1000.0
    outside_limit_m: float = 300.0  # boundaries and coastlines are simplified by about as much
    no_links: tuple[tuple[str, str], ...] = ()  # ids of two points between which no candidate link is drawn: water or a cliff lies there
    hazards: dict[str, HeadHazard] = {}  # by the name of the file hazards/<id>.geojson
    elevation: Elevation | None = None
    missing: tuple[Missing, ...] = ()

    def __post_init__(self) -> None:
        check_id("region", self.id)
        check_range("attach_limit_m", self.attach_limit_m, 0, 100_000)
        check_range("outside_limit_m", self.outside_limit_m, 0, 100_000)
        for id in self.hazards:
            check_id("hazards", id)


def read_head(path: Path) -> Head:
    """region.yaml, with the line of a problem."""
    text = decode(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise RegionError(f"{path.name}:{line}", str(getattr(error, "problem", error)), "YAML", "correct the line") from error
    try:
        head = msgspec.convert(content, Head)
    except (msgspec.ValidationError, KibanError) as error:
        if isinstance(error, KibanError):
            raise RegionError(path.name, f"{error.where}: {error.found}", error.fits, error.step) from error
        message, _, at = str(error).partition(" - at `")
        raise RegionError(f"{path.name}:{_line(text, at.rstrip('`'))}", message, f"what the reference says for {at.rstrip('`') or 'this file'}", "") from error
    if head.detour and head.detour.source not in head.sources:
        raise RegionError(
            f"{path.name}:{_line(text, '$.detour')}", f"source {head.detour.source!r}", f"one of {', '.join(head.sources)}", "add it under sources:"
        )
    for id, hazard in head.hazards.items():
        if hazard.source not in head.sources:
            where = f"{path.name}:{_line(text, '$.hazards.' + id)}"
            raise RegionError(where, f"source {hazard.source!r}", f"one of {', '.join(head.sources)}", "add it under sources:")
    return head if head.lg_code is None else msgspec.structs.replace(head, lg_code=normal(head.lg_code, f"{path.name}:{_line(text, '$.lg_code')}"))


def _line(text: str, path: str) -> int:
    """The line of a path such as $.sources[...].title in a YAML text, as far down as it can be followed."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for part in path.replace("[...]", ".*").lstrip("$").strip(".").split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in pairs if part == key.value), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
