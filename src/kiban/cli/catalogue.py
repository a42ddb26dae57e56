"""kiban catalogue: check, list, show the data files, and begin a new one."""

from __future__ import annotations

import argparse
import json
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from kiban.base.errors import DataFileError, DataFilesError
from kiban.base.settings import Settings
from kiban.catalogue import KINDS, PACKAGE_DATA, Catalogue, load, words
from kiban.catalogue.catalogue import needs_source
from kiban.catalogue.convert import near
from kiban.catalogue.links import dangling_problems
from kiban.catalogue.reader import words_and_ids
from kiban.catalogue.template import template
from kiban.catalogue.view import view
from kiban.records.rules import ID, Record


def add(parsers: Any) -> None:
    """The parser of this command group."""
    kinds = " | ".join(KINDS)
    group = parsers.add_parser("catalogue", help="データファイル / the data files", description="データファイルの確認・一覧・表示・作成 / the data files")
    actions = group.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, about: str) -> Any:
        return actions.add_parser(name, help=about, description=about)

    check = action("check", "全データファイルを確かめ、問題を全て示す / check every data file, show all problems")
    listing = action("list", "データファイルの一覧 / list the entries of one kind or of all")
    listing.add_argument("kind", nargs="?", metavar="KIND", help=kinds)
    show = action("show", "1件の全ての値を出典つきで示す / show every value of an entry with its source")
    show.add_argument("kind", metavar="KIND", help=kinds)
    show.add_argument("id", metavar="ID", help="ID (models: ID または ID/版 / ID or ID/VERSION)")
    new = action("new", "注釈つきの新しいデータファイルを作る / write a commented new data file")
    new.add_argument("kind", metavar="KIND", help=kinds)
    new.add_argument("id", metavar="ID", help="英小文字・数字・ハイフン / lower-case letters, digits and hyphens")
    new.add_argument("-o", "--output", type=Path, metavar="DIR", help="データフォルダ。既定は KIBAN_DATA / data folder; default KIBAN_DATA")
    for parser in (check, listing, show, new):
        parser.add_argument("--json", action="store_true", help="JSON で出力 / print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run one action; returns its exit code."""
    if args.action == "new":
        return _new(args, settings)
    catalogue = load(settings.data, settings.state / "cache")
    actions = {"check": _check, "list": _list, "show": _show}
    return actions[args.action](args, settings, catalogue)


def _print_json(**values: Any) -> None:
    print(json.dumps({"ok": True, **values}, ensure_ascii=False, indent=2))


def _check(args: argparse.Namespace, settings: Settings, catalogue: Catalogue) -> int:
    """Files that loaded, and what can only be seen across them."""
    problems = dangling_problems(catalogue)
    if problems:
        raise DataFilesError("data", [*problems])
    word = words(catalogue, settings.lang)
    counts = {kind: len(catalogue.of(kind)) for kind in KINDS}
    waiting = [f"{kind}/{id}" for kind in KINDS for id, record in catalogue.of(kind).items() if isinstance(record, Record) and needs_source(record)]
    stale = catalogue.stale(date.today())
    if args.json:
        _print_json(kinds=counts, needs_source=waiting, stale=stale)
        return 0
    for kind, count in counts.items():
        print(f"{_wide(word(f'kind.{kind}'), 28)}{count:5d}")
    print(word("cli.check_good", count=sum(counts.values())))
    if waiting:
        print(word("cli.check_drafts", count=len(waiting)))
    if stale:
        print("\n".join([f"{word('cli.check_stale')}:", *(f"  {line}" for line in stale)]))
    return 0


def _list(args: argparse.Namespace, settings: Settings, catalogue: Catalogue) -> int:
    word = words(catalogue, settings.lang)
    entries = [
        {
            "kind": kind,
            "id": id,
            "name": catalogue.headline(kind, id, settings.lang),
            "level": catalogue.level(f"{kind}/{id}"),
            "file": catalogue.file(kind, id),
        }
        for kind in ([args.kind] if args.kind else KINDS)
        for id in catalogue.of(kind)
    ]
    if args.json:
        _print_json(entries=entries)
        return 0
    last = None
    for entry in entries:
        if entry["kind"] != last:
            print(f"{word('kind.' + entry['kind'])} ({entry['kind']}, {word('show.entries', count=len(catalogue.of(entry['kind'])))})")
        last = entry["kind"]
        print(f"  {_wide(entry['id'], 36)}  {_wide(word('level.' + entry['level']), 34)}  {entry['name']}")
    return 0


def _show(args: argparse.Namespace, settings: Settings, catalogue: Catalogue) -> int:
    id = catalogue.key(args.kind, args.id)
    name, level = f"{args.kind}/{id}", catalogue.level(f"{args.kind}/{id}")
    if args.json:
        entry = msgspec.to_builtins(catalogue.get(args.kind, id), builtin_types=None, str_keys=True)
        _print_json(kind=args.kind, id=id, file=catalogue.file(args.kind, id), hash=catalogue.hashes[name], level=level, entry=entry)
        return 0
    word = words(catalogue, settings.lang)
    print(catalogue.headline(args.kind, id, settings.lang))
    print(f"{name} · {word('cli.level')}: {word('level.' + level)} · {word('cli.file')}: {catalogue.path(args.kind, id)}")
    print(f"{word('cli.hash')}: {catalogue.hashes[name]}")
    print()
    for line in view(catalogue, args.kind, id, settings.lang):
        print(f"{'  ' * line.depth}{line.label}: {line.text}".rstrip())
    return 0


def _new(args: argparse.Namespace, settings: Settings) -> int:
    """Write the commented file; nothing that exists is overwritten, and other files may still have blanks."""
    catalogue, ids = words_and_ids(settings.data)
    if args.kind not in KINDS:
        raise DataFileError("KIND", repr(args.kind), f"one of {', '.join(KINDS)}", near(args.kind, KINDS))
    kind = KINDS[args.kind]
    id, _, version = args.id.partition("/")
    earlier = [key for key in ids[args.kind] if kind.versions and key.startswith(f"{id}/")]
    if kind.versions and not version:
        version = str(int(earlier[-1].rpartition("/")[2]) + 1) if earlier else "1"
    if not ID.match(id) or (not version.isdigit() if kind.versions else version):
        raise DataFileError("ID", repr(args.id), "lower-case letters and digits joined by - _ or .", "for example: kiban catalogue new technologies my-radio")
    name = f"{id}/{version}" if kind.versions else id
    path = _folder(args.output, settings) / args.kind / f"{name}.yaml"
    if path.exists():
        raise DataFileError(str(path), "a file", "an id that is free", "choose another id, or edit the file")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as stream:
        stream.write(template(catalogue, kind, name, earlier[-1] if earlier else None, date.today()))
    if args.json:
        _print_json(file=str(path))
    else:
        print(words(catalogue, settings.lang)("cli.new_written", path=path))
    return 0


def _folder(output: Path | None, settings: Settings) -> Path:
    """Where a new file goes: the folder that was named, the region's own, or the package's in a clone of the project."""
    if output is not None:
        return output
    if settings.data is not None:
        return settings.data
    if (PACKAGE_DATA.parents[2] / "pyproject.toml").is_file():
        return PACKAGE_DATA
    raise DataFileError("DIR", "no data folder", "a folder for own data files", "name one with -o DIR, or set KIBAN_DATA")


def _wide(text: str, width: int) -> str:
    """Text padded to a width on the screen, where a Japanese letter takes two places."""
    return text + " " * max(0, width - sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text))
