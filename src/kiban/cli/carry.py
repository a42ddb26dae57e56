"""`kiban carry out DIR -o FOLDER|.zip` and `kiban carry in FOLDER|.zip -o DIR`: a region or a plan across an air gap."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kiban.base.errors import KibanError
from kiban.base.settings import Settings

SHOWN = 40  # changes that are printed; --json has all


def add(parsers: Any) -> None:
    """Arguments of `kiban carry`."""
    parser = parsers.add_parser("carry", help="地域・計画を csv・xlsx・pdf で運ぶ / carry a region or a plan as csv, xlsx and pdf")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    out = actions.add_parser("out", help="運び出す / pack it for the way")
    out.add_argument("folder", metavar="DIR", type=Path, help="地域フォルダか計画フォルダ / a region folder or a plan folder")
    out.add_argument("-o", "--out", metavar="FOLDER", type=Path, required=True, help="新しいフォルダ、または .zip / a new folder, or a .zip")
    into = actions.add_parser("in", help="受け入れる / take it in")
    into.add_argument("source", metavar="FOLDER", type=Path, help="運んできたフォルダか .zip / what was carried, a folder or a .zip")
    into.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="地域フォルダか計画フォルダ / the region or plan folder to write")
    into.add_argument("--preview", action="store_true", help="変わるものを見るだけ / only show what changes")
    for action in (out, into):
        action.add_argument("--json", action="store_true", help="結果を JSON で / print the result as JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Pack or take in; nothing is written before every file was compared."""
    return _out(args) if args.action == "out" else _in(args, settings)


def _out(args: argparse.Namespace) -> int:
    from kiban.loop.carry import carry_out, zipped

    packed = carry_out(args.folder)
    if args.out.suffix == ".zip":
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(zipped(packed.files))
    else:
        if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
            raise KibanError(str(args.out), "something is there already", "a new or empty folder, or a .zip", "name another")
        args.out.mkdir(parents=True, exist_ok=True)
        for name, content in packed.files.items():
            (args.out / name).write_bytes(content)
    if args.json:
        print(json.dumps({"ok": True, "files": sorted(packed.files), "left": list(packed.left)}, ensure_ascii=False, indent=1))
        return 0
    size = sum(map(len, packed.files.values()))
    print(f"{args.out}: {len(packed.files)} files, {size / 1e6:.1f} MB  (manifest.csv)")
    if packed.left:
        print("運ばないもの(csv・xlsx・pdf ではない。書類は受け入れた側で作り直す) / stays here (papers are made again on the other side):")
        print("  " + ", ".join(packed.left))
    return 0


def _in(args: argparse.Namespace, settings: Settings) -> int:
    from kiban.catalogue import load
    from kiban.loop.carry import carry_in, changes, compared, opened, plan_of, region_of
    from kiban.loop.given import rule_detour

    carried = compared(opened(args.source))
    catalogue = load(settings.data, settings.state / "cache")
    detour = rule_detour(catalogue, datetime.now(UTC).date())
    _ = region_of(carried, detour) if carried.kind == "region" else plan_of(carried)  # what nobody can read is not compared either
    found = changes(carried, args.out)
    files: list[Path] = []
    if not args.preview:
        files = carry_in(carried, args.out, catalogue, settings.lang, detour)
    if args.json:
        told = [{"file": one.file, "what": one.what, "before": one.before, "after": one.after} for one in found]
        result = {"ok": True, "kind": carried.kind, "id": carried.id, "changes": told, "notes": [str(note) for note in carried.notes]}
        print(json.dumps({**result, "files": [str(path) for path in files]}, ensure_ascii=False, indent=1))
        return 0
    kind = {"region": "地域 / region", "plan": "計画 / plan"}[carried.kind]
    print(f"{kind} {carried.id}: {len(carried.originals)} files, 届いた値は書いたまま / every value as it was written")
    for note in carried.notes:
        print(f"注意 / note: {note}")
    print("変わらない / nothing changes" if not found else f"変わるもの / changes: {len(found)}")
    for one in found[:SHOWN]:
        print("  " + _line(one.file, one.what, one.before, one.after))
    if len(found) > SHOWN:
        print(f"  … {len(found) - SHOWN} (--json)")
    print("まだ書いていない。書くには --preview を外す / nothing written; leave out --preview to write" if args.preview else f"{args.out}: {len(files)} files")
    return 0


def _line(file: str, what: str, before: str | None, after: str | None) -> str:
    if not what:
        return f"{file}: 新しい / new" if before is None else f"{file}: なくなる(旧版へ) / goes (kept in 旧版)"
    return f"{file} {what}: {_short(before)} → {_short(after)}"


def _short(text: str | None) -> str:
    return "（なし / nothing）" if text is None else text if len(text) <= 60 else text[:59] + "…"
