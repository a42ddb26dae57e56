"""A copy of the suite with other fixtures: the same tests, other types, attribute names, entity ids and large page limits.

A broker that answers by the standard keeps its score on the copy; one that knows the fixtures by heart loses it.
Only whole words are renamed, the same way in every file and file name, and never a term of the core context:
types (Building), attribute names (speed), the part of an id behind `urn:` and before a type (urn:ngsi-ld:Building:… keeps its end),
the prefix of the suite's own terms, and page limits of 10 or more, which are above what any test creates.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDERS = ("TP", "data", "resources", "libraries")
TEXTS = {".robot", ".resource", ".py", ".json", ".jsonld", ".geojson", ".txt"}
ATTRIBUTES = {"Property", "Relationship", "GeoProperty", "LanguageProperty", "VocabProperty", "JsonProperty", "ListProperty", "ListRelationship"}
# Words that the suite also uses in another sense: in keywords, in its Python files, as members of its own records.
ORDINARY = {"name", "source", "status", "value", "category", "owner", "address", "color", "description", "entities", "information", "mode", "type", "id", "q"}
PREFIX = "https://ngsi-ld-test-suite/context#"
SYLLABLES = ("ba", "do", "fe", "gi", "ku", "la", "mo", "ne", "pi", "ra", "so", "tu", "va", "ze")
BEFORE = r"(?:(?<![A-Za-z0-9_])|(?<=%[0-9A-F][0-9A-F]))"


@dataclass(frozen=True)
class Renaming:
    """What becomes what; made by `plan`."""

    words: dict[str, str]
    """types and attribute names"""
    authority: str
    """stands in place of `ngsi-ld` in urn:ngsi-ld:Type:…"""
    prefix: str
    """stands in place of the prefix of the suite's own terms"""
    limit: int
    """is added to page limits of 10 or more"""

    def text(self, text: str) -> str:
        """The text of a file, or its name, with everything renamed."""
        text = text.replace(PREFIX, self.prefix)
        text = re.sub(r"https%3A%2F%2Fngsi-ld-test-suite%2Fcontext%23", self.prefix.replace(":", "%3A").replace("/", "%2F").replace("#", "%23"), text)
        text = re.sub(r"urn:ngsi-ld:(?=[A-Z])", f"urn:{self.authority}:", text)
        if not self.words:
            return text
        either = "|".join(sorted(map(re.escape, self.words), key=len, reverse=True))
        return re.sub(rf"{BEFORE}(?:{either})(?![A-Za-z0-9_])", lambda hit: self.words[hit.group()], text)

    def robot(self, text: str) -> str:
        """The text of a file of tests: as `text`, and its page limits of 10 or more, where the file is about pages."""
        text = self.text(text)
        if "limit=${limit}" not in text:
            return text

        text = re.sub(r"(limit=)(\d{2,3})(?!\d)", lambda hit: f"{hit[1]}{int(hit[2]) + self.limit}", text)
        return re.sub(r"^([^$\n]*    \$\{)(\d{2,3})(?=\}    )", lambda hit: f"{hit[1]}{int(hit[2]) + self.limit}", text, flags=re.MULTILINE)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)


def words(documents: Collection[Any], core: Collection[str]) -> tuple[set[str], set[str]]:
    """The types of entities and the names of attributes in JSON documents that may be renamed: neither core terms nor ordinary words.

    >>> words([{"id": "urn:a", "type": "Boat", "draught": {"type": "Property", "value": 3}, "location": {"type": "GeoProperty"}}], {"location"})
    ({'Boat'}, {'draught'})
    """
    types: set[str] = set()
    names: set[str] = set()
    for document in documents:
        for part in _objects(document):
            if "id" in part and "type" in part:
                given = part["type"]
                types.update(one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str) and re.fullmatch(r"[A-Z][A-Za-z]{2,}", one))
            for name, value in part.items():
                first = value[0] if isinstance(value, list) and value else value
                if isinstance(first, dict) and first.get("type") in ATTRIBUTES and re.fullmatch(r"[a-z][A-Za-z0-9]{3,}", name):
                    names.add(name)
    closed = set(core) | ORDINARY
    return types - closed, names - closed - types


def _invent(known: set[str], taken: set[str], chance: random.Random) -> dict[str, str]:
    """A new word for each, sorted as the old ones are: some answers are sorted by name."""
    result: dict[str, str] = {}
    fresh: set[str] = set()
    while len(fresh) < len(known):
        word = "".join(chance.choice(SYLLABLES) for _ in range(4))
        if word not in taken:
            fresh.add(word)
    for old, new in zip(sorted(known, key=str.lower), sorted(fresh), strict=True):
        result[old] = new.capitalize() if old[0].isupper() else new
    return result


def plan(suite: Path, core: Collection[str], seed: int) -> Renaming:
    """Choose new words for the fixtures of a copy of the suite; the same seed gives the same words.

    suite  the folder of the copy, with data/ and resources/
    core   the terms of the core context, which stay
    """
    documents = []
    own: set[str] = set()
    for file in sorted([*suite.glob("data/**/*.json*"), *suite.glob("resources/**/*.json*")]):
        try:
            document = json.loads(file.read_text("utf-8"))
        except ValueError:  # some fixtures are broken on purpose
            continue
        documents.append(document)
        if "jsonld-contexts" in file.parts and isinstance(document.get("@context"), dict):
            own.update(document["@context"])
    types, names = words(documents, core)
    own -= set(core) | ORDINARY
    types |= {word for word in own if word[0].isupper()}
    names |= {word for word in own if word[0].islower()}

    chance = random.Random(seed)  # words, not secrets
    renamed = _invent(types, types | names, chance)
    renamed |= _invent(names, types | names | {word.lower() for word in renamed.values()}, chance)
    town = "".join(chance.choice(SYLLABLES) for _ in range(3))
    return Renaming(renamed, f"{town}-{chance.randrange(10, 99)}", f"https://{town}.example/terms#", chance.randrange(3, 30))


def copy(suite: Path, target: Path, renaming: Renaming) -> None:
    """Write the renamed suite into `target`, a folder that does not exist yet; all other files are copied as they are."""
    shutil.copytree(suite, target, ignore=shutil.ignore_patterns(".git", "results-*", "doc", "itb", "plug-test", "__pycache__", ".venv"))
    for folder in FOLDERS:
        for file in sorted((target / folder).rglob("*")):
            if not file.is_file() or file.suffix not in TEXTS or "robotframework-httpctrl" in file.parts:
                continue
            change = renaming.robot if file.suffix == ".robot" else renaming.text
            before = file.read_text("utf-8")
            after = change(before)
            if after != before:
                file.write_text(after, "utf-8")
            new_name = renaming.text(file.name)
            if new_name != file.name:
                file.rename(file.with_name(new_name))
