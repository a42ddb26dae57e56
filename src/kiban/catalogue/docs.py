"""The reference pages (リファレンス), made from the data, the records, the settings, the commands and the errors.

In: the catalogue and the parser of the commands. Out: pages as text by path, the same for the same input; who writes them is the command's matter.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kiban.records
from kiban.base import errors
from kiban.base.settings import LANGUAGES, Settings
from kiban.catalogue.catalogue import Catalogue
from kiban.catalogue.describe import catalogue_records, promise, rows
from kiban.catalogue.kinds import KINDS
from kiban.catalogue.view import view
from kiban.catalogue.words import Words, words
from kiban.records.rules import Record


def pages(catalogue: Catalogue, parser: argparse.ArgumentParser) -> dict[str, str]:
    """Every reference page by its path below docs/reference, in both languages."""
    return {f"{lang}/{name}.md": text for lang in LANGUAGES for name, text in _in_one_language(catalogue, parser, lang).items()}


def _in_one_language(catalogue: Catalogue, parser: argparse.ArgumentParser, lang: str) -> dict[str, str]:
    word = words(catalogue, lang)
    bodies: dict[str, tuple[str, str, list[str]]] = {name: (word(f"kind.{name}"), "docs.for_catalogue", _kind(catalogue, name, lang, word)) for name in KINDS}
    bodies["settings"] = (word("docs.settings"), "docs.for_settings", _settings(catalogue, word))
    bodies["cli"] = (word("docs.cli"), "docs.for_cli", _commands(parser, word))
    bodies["records"] = (word("docs.records"), "docs.for_records", _records(word))
    bodies["errors"] = (word("docs.errors"), "docs.for_errors", _errors(word))
    index = [f"- [{title}]({name}.md)" for name, (title, _, _) in bodies.items()]
    made = {name: _page(title, name, lang, word, [word("docs.for", who=word(reader)), ""], body) for name, (title, reader, body) in bodies.items()}
    return {"README": _page(word("docs.title"), "README", lang, word, [], index), **made}


def changed(made: dict[str, str], folder: Path) -> list[str]:
    """The pages that are missing, differ, or are there without being made."""
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.md")} if folder.is_dir() else {}
    differ = [name for name, text in made.items() if name not in there or there[name].read_text(encoding="utf-8") != text]
    return sorted(differ + [name for name in there if name not in made])


def write(made: dict[str, str], folder: Path) -> None:
    """Write the pages and remove those that are no longer made."""
    for name in changed(made, folder):
        if name not in made:
            (folder / name).unlink()
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(made[name], encoding="utf-8")


def _page(title: str, name: str, lang: str, word: Words, head: list[str], body: list[str]) -> str:
    others = [f"[{word('docs.other_language')}](../{other}/{name}.md)" for other in LANGUAGES if other != lang]
    return "\n".join([f"# {title}", "", *head, f"{word('docs.generated')} {' '.join(others)}", "", *(body or [word("docs.empty")])]).rstrip() + "\n"


def _kind(catalogue: Catalogue, name: str, lang: str, word: Words) -> list[str]:
    """One heading per entry with its file, level and every value; the words as one table."""
    lines = [word(f"kind_about.{name}"), ""]
    entries = catalogue.of(name)
    if name == "words":
        both = list(catalogue.words)
        lines += _table([word("field.id"), *both], ([f"`{key}`", *(catalogue.words[each][key] for each in both)] for key in sorted(catalogue.words[lang])))
        return lines
    lines += [f"- [{catalogue.headline(name, id, lang)}](#{anchor(id)})" for id in entries]
    for id in entries:
        level = word(f"level.{catalogue.level(f'{name}/{id}')}")
        lines += ["", f'<a id="{anchor(id)}"></a>', "", f"## {catalogue.headline(name, id, lang)}", ""]
        lines += [f"`{catalogue.file(name, id)}` · {word('cli.level')}: {level}", ""]
        for line in view(catalogue, name, id, lang, markdown=True):
            text = " ".join(line.text.split())
            lines.append(f"{'  ' * line.depth}- {line.label}: {text}" if text else f"{'  ' * line.depth}- {line.label}")
    return lines


def anchor(id: str) -> str:
    """The place of an entry on its page.

    >>> anchor("shelter-comms/1")
    'shelter-comms-1'
    """
    return id.replace("/", "-").replace(".", "-")


def _settings(catalogue: Catalogue, word: Words) -> list[str]:
    lines: list[str] = []
    defaults = {f"KIBAN_{field.name.upper()}": field.default for field in fields(Settings)}
    for key in (key.partition(".")[2] for key in catalogue.words["ja"] if key.startswith("settings.")):
        default = defaults.get(key)
        shown = f"`{default}`" if isinstance(default, str | int) and default != "" else "—"
        lines += [f"## {key}", "", word(f"settings.{key}"), "", f"{word('docs.default')}: {shown}", ""]
    return lines


def _commands(parser: argparse.ArgumentParser, word: Words) -> list[str]:
    lines: list[str] = []
    for command in _walk(parser):
        lines += [f"## {command.prog}", ""]
        if command.description:
            lines += [command.description, ""]
        table = [
            [f"`{', '.join(action.option_strings) or action.metavar or action.dest}`", action.help or "", _default(action)]
            for action in _actions(command)
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction) and action.help is not argparse.SUPPRESS
        ]
        if table:
            lines += [*_table([word("docs.option"), word("docs.meaning"), word("docs.default")], iter(table)), ""]
    return lines


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    # argparse keeps its own list for help and has no public way to read it.
    return parser._actions


def _walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, each once, by name."""
    yield parser
    for action in _actions(parser):
        if isinstance(action, argparse._SubParsersAction):
            for name in sorted(action.choices):
                yield from _walk(action.choices[name])


def _default(action: argparse.Action) -> str:
    if action.default in (None, False, argparse.SUPPRESS) or action.nargs == 0:
        return "—"
    return f"`{action.default}`"


def _records(word: Words) -> list[str]:
    """Every record with its note and its fields; those of data files with their labels."""
    lines: list[str] = []
    of_files = set(catalogue_records())
    head = [word("docs.field"), word("cli.name"), word("docs.type"), word("docs.required"), word("docs.meaning")]
    for module in sorted(module.name for module in pkgutil.iter_modules(kiban.records.__path__)):
        for record in _classes(importlib.import_module(f"kiban.records.{module}")):
            lines += [f"## {record.__name__}", "", f"`kiban.records.{module}` — {promise(record)}", ""]
            lines += _table(
                head,
                (
                    [
                        f"`{row.name}`",
                        word(f"field.{row.name}") if record in of_files else "",
                        row.fits,
                        word("show.yes" if row.required else "show.no"),
                        row.note,
                    ]
                    for row in rows(record)
                ),
            )
            lines.append("")
    return lines


def _classes(module: Any) -> list[type[Record]]:
    """The records of a module in the order of its lines."""
    found = [thing for thing in vars(module).values() if inspect.isclass(thing) and issubclass(thing, Record) and thing.__module__ == module.__name__]
    return [record for record in found if record is not Record]


def _errors(word: Words) -> list[str]:
    lines: list[str] = []
    for error in vars(errors).values():
        if inspect.isclass(error) and issubclass(error, errors.KibanError):
            base = error.__bases__[0].__name__
            lines += [f"## {error.__name__}", "", word(f"error.{error.__name__}"), ""]
            lines += [f"`{base}` → `{error.__name__}` · {word('docs.exit_code')} {error.exit_code} · {word('docs.http_status')} {error.status}", ""]
    return lines


def _table(head: list[str], body: Iterator[list[str]]) -> list[str]:
    """A Markdown table."""
    safe = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in body)
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in safe)]
