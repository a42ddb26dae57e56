"""`kiban region build`: official files in, a region folder out, with a list of what could not be placed.

In: paths, their kinds (told from the content unless named) and sources. Out: a folder that `read` accepts, and the Region in it.
A bad file stops the build with all problems at once; a bad row is left out and named.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kiban.base.errors import KibanError, RecordError, RegionError
from kiban.base.lgcode import normal
from kiban.base.progress import Progress, silent
from kiban.records.region import Elevation, Evidence, Place, Region
from kiban.records.source import Confidence, Source
from kiban.region import missing as say
from kiban.region.cells import RegionFilesError
from kiban.region.detect import KINDS, kind_of
from kiban.region.draft import Draft
from kiban.region.elevation import grid
from kiban.region.folder import SITE_KINDS, read
from kiban.region.head import Detour, Head, HeadDetour
from kiban.region.official import TAKE
from kiban.region.streets import contract
from kiban.region.write import save, write_head, write_rows

ORDER = ("municipality", "fiscal", "flags", "boundary", "small_areas", "mesh", "shelters", "facilities", "plants", "streets", "elevation")


@dataclass(frozen=True)
class Given:
    """A file as the user gives it: `kind` "" means told from the content; it may carry a word, e.g. "facilities:school"."""

    path: Path
    kind: str = ""
    source: Source | None = None


def build(
    out: Path,
    files: Sequence[Given],
    *,
    id: str,
    today: date,
    name: str | None = None,
    lg_code: str | None = None,
    label: str | None = None,
    detour: Detour | None = None,
    attach_limit_m: float = 1000.0,
    outside_limit_m: float = 300.0,
    merge_m: float = 150.0,
    emergency: bool = False,
    assume_exchange: bool = False,
    progress: Progress = silent,
) -> Region:
    """Build a region folder out of official files.

    Parameters
    ----------
    out              a folder that does not exist yet, or is empty
    today            the day that files without a stated source were seen
    outside_limit_m  how far outside the boundary a point may lie: boundaries are simplified
    merge_m          sites of one kind and name within this distance are one site
    emergency        take places to flee to (指定緊急避難場所) as shelters too
    assume_exchange  put an assumed exchange at the town office when no file names one

    Raises
    ------
    RegionError  all files that cannot be used, each with where, what was found and what fits; nothing is written then
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RegionError(str(out), "a folder that is not empty", "a new folder", "choose another name, or move the old one away")
    code = normal(lg_code) if lg_code else None
    draft = Draft(code[:5] if code else None, outside_limit_m, merge_m, emergency, name)
    kinds = _kinds(files, draft.problems)
    _stop(out, draft)

    ordered = sorted(zip(files, kinds, strict=True), key=lambda one: ORDER.index(one[1][0]))
    keys = _sources(draft, [given for given, _ in ordered], today)
    elevation: Elevation | None = None
    for step, ((given, (kind, word)), key) in enumerate(zip(ordered, keys, strict=True)):
        progress(step / (len(ordered) + 1), f"{given.path.name}: {KINDS[kind]}")
        try:
            if kind == "elevation":
                elevation = _elevation(given.path, key, draft)
            else:
                TAKE[kind](given.path, key, draft, word)
        except (RegionError, RecordError) as error:
            draft.problems.append(error)
    _check_whole(draft, [kind for kind, _ in kinds])
    _stop(out, draft)

    draft.merge()
    _exchange(draft, assume_exchange)
    _absent(draft, {kind for kind, _ in kinds})
    sources = {**draft.sources, **({"detour-factor": detour.source} if detour and not draft.lines else {})}
    head = Head(
        id=id,
        name=draft.name or id,
        lg_code=code,
        label=label,
        sources=sources,
        detour=HeadDetour(value=detour.value, source="detour-factor") if detour and not draft.lines else None,
        attach_limit_m=attach_limit_m,
        outside_limit_m=outside_limit_m,
        elevation=elevation,
        missing=draft.said(),
    )
    progress(len(ordered) / (len(ordered) + 1), str(out))
    return _put(out, head, draft, [given.path for given, (kind, _) in ordered if kind == "elevation"])


def _kinds(files: Sequence[Given], problems: list[KibanError]) -> list[tuple[str, str]]:
    out = []
    for given in files:
        kind, _, word = given.kind.partition(":")
        try:
            kind = kind or kind_of(given.path)
        except RegionError as error:
            problems.append(error)
            continue
        if kind not in KINDS:
            problems.append(RegionError(given.path.name, f"kind {kind!r}", f"one of {', '.join(KINDS)}", "correct the kind"))
        elif kind == "facilities" and word and word not in SITE_KINDS:
            problems.append(RegionError(given.path.name, f"facilities:{word}", f"one of {', '.join(SITE_KINDS)}", "correct the word"))
        elif not given.path.is_file():
            problems.append(RegionError(given.path.name, "no such file", "a file that exists", "check the path"))
        out.append((kind, word))
    return out


def _sources(draft: Draft, files: Sequence[Given], today: date) -> list[str]:
    """A source key for each file; where the user states no source, the file itself is the source and that is said."""
    keys = []
    for given in files:
        base = re.sub(r"[^a-z0-9]+", "-", given.path.name.split(".")[0].lower()).strip("-") or "file"
        key = next(one for one in (base, *(f"{base}-{number}" for number in range(2, len(files) + 2))) if one not in draft.sources)
        draft.sources[key] = given.source or Source(title=given.path.name, seen_on=today)
        keys.append(key)
    unstated = [given.path.name for given in files if given.source is None]
    if unstated:
        why = "公表者・日付・利用条件がわからない。資料を取り込み直すときに書ける / publisher, date, licence unknown: say them when it is brought again"
        draft.notes.append(
            say.note("出典の書かれていないファイル / files without a stated source", why, "ファイルを用意した人 / who brought the file", unstated)
        )
    return keys


def _elevation(path: Path, key: str, draft: Draft) -> Elevation:
    covered = grid(path)
    if covered.skipped:
        why = "見出しの繰り返しなど。読み飛ばした / a header again, or the like: passed over"
        draft.notes.append(
            say.note(
                f"メッシュコードのない行 / lines without a grid square [{key}]",
                why,
                "ファイルを用意した人 / who brought the file",
                covered.skipped,
                len(covered.skipped),
            )
        )
    outside = [site.name for site in draft.sites if not covered.holds((site.lat, site.lon))]
    if outside:
        why = "見通しを判定できない / no line of sight there"
        draft.notes.append(say.note(f"標高の範囲外の地点 / sites outside the elevation [{key}]", why, "国土地理院 / GSI", outside))
    return Elevation(file=path.name, spacing_m=covered.spacing_m, source=key)


def _check_whole(draft: Draft, kinds: Sequence[str]) -> None:
    """Mistakes that only show over all files."""
    if "mesh" in kinds and "small_areas" in kinds:
        draft.problems.append(RegionError("files", "grid squares and small areas", "one of them: both count the same people", "leave one out"))
    for key in draft.sources:
        swapped = draft.left.get(("swapped", key), [])
        if swapped and not any(row.evidence.source == key for row in draft.sites):
            found = f"latitude and longitude swapped in all {len(swapped)} rows, first {swapped[0]}"
            draft.problems.append(RegionError(key, found, "latitude 20 to 46, longitude 122 to 154 in Japan", "exchange the two columns"))
    if not draft.sites and not draft.problems:
        found = "no row that could be placed: " + "; ".join(f"{note.what} {note.count}" for note in draft.said())
        draft.problems.append(RegionError("files", found, "at least one site", "check the 団体コード and the boundary"))


def _stop(out: Path, draft: Draft) -> None:
    if draft.problems:
        raise RegionFilesError(str(out), draft.problems)


def _exchange(draft: Draft, assume: bool) -> None:
    if any(place.kind == "exchange" for place in draft.places):
        return
    office = next((site for site in draft.sites if site.kind == "office"), None)
    if assume and office:
        evidence = Evidence(
            confidence=Confidence.D,
            assumed=True,
            reason=f"収容局の位置は公表されていないため {office.name} に仮置きした / the place of the exchange is not published",
            confirm="通信事業者 / the carrier",
        )
        draft.places.append(Place(id="exchange-assumed", name=f"収容局(仮) {office.name}", kind="exchange", lat=office.lat, lon=office.lon, evidence=evidence))
        return
    if assume:
        found = "--assume-exchange, but no town office has a position"
        step = "give a file with its position: a municipality table with lat and lng, or facilities of the kind 役場; or leave the option out"
        draft.problems.append(RegionError("places", found, "an office with latitude and longitude", step))
        return
    why = "有線の起点がないので、有線は設計されない / no line can be designed"
    draft.notes.append(say.note("収容局の位置 / the place of the exchange", why, "通信事業者 / the carrier"))


def _absent(draft: Draft, kinds: set[str]) -> None:
    """Kinds of file that were not given, and what that means."""
    why = {
        "boundary": ("行政区域 / boundary", "海上や区域外の行を見つけられない / rows in the sea are not found", "国土数値情報 行政区域 N03"),
        "elevation": ("標高 / elevation", "見通しを判定できない / no line of sight", "国土地理院 数値標高モデル"),
        "plants": ("既存設備 / existing plant", "更改・民設移行を比べられない / renewing cannot be compared", "町の情報担当課、通信事業者"),
    }
    if draft.code is not None:
        why["fiscal"] = ("財政力指数 / fiscal index", "使える支援を絞れない / supports cannot be narrowed down", "総務省 主要財政指標一覧")
        why["flags"] = ("条件不利地域の指定 / flags of disadvantaged areas", "使える支援を絞れない / supports cannot be narrowed down", "総務省・国土交通省")
    if not any(site.kind == "hamlet" for site in draft.sites):
        why["people"] = ("集落の人口・世帯 / people by hamlet", "世帯の需要がない / no demand of households", "e-Stat 国勢調査 小地域集計")
    for kind, (what, reason, ask) in why.items():
        if kind not in kinds and not (kind == "fiscal" and "fiscal_index" in draft.facts):
            draft.notes.append(say.note(what, reason, ask))
    covered = "公共携帯の屋内外カバレッジ / coverage by public mobile"
    draft.notes.append(say.note(covered, "地点ごとには公表されていない / not published by site", "通信事業者 / the carriers"))


def _put(out: Path, head: Head, draft: Draft, heights: Sequence[Path]) -> Region:
    """Write beside the folder, read it back, and only then move it to its name."""
    beside = out.with_name(out.name + ".part")
    try:
        if beside.exists():
            shutil.rmtree(beside)
        write_head(head, beside)
        write_rows(beside, draft.sites, draft.places, draft.plants, tuple(draft.facts.values()), draft.routes)
        if draft.lines:
            save(beside / "streets.geojson", _lines(draft))
        if draft.area is not None:
            save(beside / "boundary.geojson", _polygon(draft, head.name))
        for path in heights:
            shutil.copyfile(path, beside / path.name)
        region = read(beside)
        if out.exists():
            out.rmdir()
        beside.replace(out)
    except OSError as error:
        raise RegionError(str(out), f"{error.strerror}", "a folder with space that may be written", "choose another folder, or free some space") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return region


def _lines(draft: Draft) -> str:
    graph = contract(draft.lines)
    features = [
        {
            "type": "Feature",
            "properties": {"id": link.id, "length_m": link.length_m},
            "geometry": {"type": "LineString", "coordinates": [[lon, lat] for lat, lon in link.shape]},
        }
        for link in graph.links
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))


def _polygon(draft: Draft, name: str) -> str:
    import shapely

    feature = {"type": "Feature", "properties": {"name": name, "N03_007": draft.code}, "geometry": shapely.geometry.mapping(draft.area)}
    return json.dumps({"type": "FeatureCollection", "features": [feature]}, ensure_ascii=False, separators=(",", ":"))
