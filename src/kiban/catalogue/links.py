"""What holds between data files: who mentions whom, versions that follow one another, languages that say the same.

In: the entries of all files. Out: mentions of entries that are not there (a warning), and problems (an error).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiban.base.errors import DataFileError
from kiban.catalogue.catalogue import Catalogue, Link
from kiban.catalogue.convert import near
from kiban.records.support import Condition, Edition


def dangling(catalogue: Catalogue) -> tuple[Link, ...]:
    """Every mention of an entry that the catalogue does not have."""
    unversioned = {key.rpartition("/")[0] for key in catalogue.models}  # a case may name a model without its version
    return tuple(
        link
        for link in mentions(catalogue)
        if link.id not in catalogue.of(link.kind) and not (link.kind == "models" and link.field != "replaces" and link.id in unversioned)
    )


def used_by(catalogue: Catalogue, kind: str, id: str) -> tuple[Link, ...]:
    """Every mention of one entry, by an entry other than itself; of a model also those that name it without its version."""
    names = {id, id.rpartition("/")[0]} if kind == "models" else {id}
    return tuple(link for link in mentions(catalogue) if link.kind == kind and link.id in names and link.file != f"{kind}/{id}.yaml")


def mentions(catalogue: Catalogue) -> tuple[Link, ...]:
    """Every mention of an entry by another: in which file, in which field, what it names."""
    links: list[Link] = []

    def mention(file: str, field: str, kind: str, ids: tuple[str, ...]) -> None:
        links.extend(Link(file=file, field=field, kind=kind, id=id) for id in ids)

    for key, model in catalogue.models.items():
        file = f"models/{key}.yaml"
        mention(file, "usecases", "usecases", model.usecases)
        mention(file, "cases", "cases", model.cases)
        mention(file, "replaces", "models", (model.replaces,) if model.replaces else ())
        for component in model.components:
            mention(file, f"components › {component.id} › technologies", "technologies", component.technologies)
    for key, offer in catalogue.offers.items():
        mention(f"offers/{key}.yaml", "usecases", "usecases", offer.usecases)
    for key, support in catalogue.supports.items():
        file = f"supports/{key}.yaml"
        mention(file, "stacking", "supports", support.stacking.local_share_of + support.stacking.not_with)
        for edition in support.editions:
            mention(file, f"editions › {edition.fiscal_year} › less", "facts", edition.less)
            for condition in conditions(edition):
                where = f"editions › {edition.fiscal_year} › conditions"
                mention(file, where, "facts", tuple(id for id in facts_of(condition) if not id.startswith("project.")))
                if condition.fact in ("project.usecases", "project.technologies"):
                    mention(file, where, condition.fact.removeprefix("project."), condition.values)
    for key, case in catalogue.cases.items():
        mention(f"cases/{key}.yaml", "usecases", "usecases", case.usecases)
        mention(f"cases/{key}.yaml", "cases", "cases", case.cases)
        mention(f"cases/{key}.yaml", "models", "models", case.models)
    for key, form in catalogue.forms.items():
        for question in form.questions:
            mention(f"forms/{key}.yaml", f"questions › {question.id} › models", "models", question.models)
            for choice in question.choices:
                mention(f"forms/{key}.yaml", f"questions › {question.id} › {choice.id} › without", "usecases", choice.without)
    return tuple(links)


def conditions(edition: Edition) -> Iterator[Condition]:
    """Every condition of an edition, those of its rates and of other conditions too."""
    for condition in (*edition.conditions, *(condition for rate in edition.rates for condition in rate.when)):
        yield condition
        yield from condition.only_if


def facts_of(condition: Condition) -> tuple[str, ...]:
    """The facts that a condition reads: its own, or those of a list of which one must be true."""
    return condition.values if condition.test == "any_true" else (condition.fact,)


def check_words(words: dict[str, dict[str, str]], labels: dict[str, str], problems: list[DataFileError]) -> None:
    """Every language has every key, and the same blanks to fill in it."""
    for lang, texts in words.items():
        label = f"{labels['words/' + lang]}:1"
        for other, others in words.items():
            for key in sorted(set(others) - set(texts)):
                problems.append(DataFileError(label, f"no key {key}", f"every key of words/{other}.yaml", f"add {key}: (there: {others[key]!r})"))
            if lang > other:
                problems.extend(
                    DataFileError(
                        f"{label} {key}", f"the blanks {_blanks(texts[key])}", f"those of words/{other}.yaml: {_blanks(others[key])}", "name them alike"
                    )
                    for key in sorted(set(texts) & set(others))
                    if _blanks(texts[key]) != _blanks(others[key])
                )


def _blanks(text: str) -> list[str]:
    try:
        return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})
    except ValueError:
        return ["a brace without its partner"]


def check_versions(models: dict[str, Any], labels: dict[str, str], problems: list[DataFileError]) -> None:
    """A second version says which earlier one it replaces, so that running projects find the way."""
    for key, model in models.items():
        id, _, version = key.rpartition("/")
        earlier = [other for other in models if other.rpartition("/")[0] == id and int(other.rpartition("/")[2]) < int(version)]
        if (earlier or int(version) > 1) and model.replaces not in earlier:
            fits = " or ".join(sorted(earlier)) or f"a file models/{id}/{int(version) - 1}.yaml"
            problems.append(DataFileError(f"{labels['models/' + key]}:1 replaces", repr(model.replaces), fits, "name the version that this one follows"))


def dangling_problems(catalogue: Catalogue) -> list[DataFileError]:
    """The dangling mentions with their lines, as `kiban catalogue check` tells them."""
    problems = []
    for link in catalogue.dangling:
        texts = Path(catalogue.paths[link.file.removesuffix(".yaml")]).read_text(encoding="utf-8").splitlines()
        line = next((number for number, text in enumerate(texts, start=1) if re.search(rf"(?<![\w-]){re.escape(link.id)}(?![\w-])", text)), 1)
        step = near(link.id, catalogue.of(link.kind)) or f"`kiban catalogue new {link.kind} {link.id}` begins it; or take the mention out"
        problems.append(DataFileError(f"{link.file}:{line} {link.field}", f"{link.id!r}", f"an entry of {link.kind}", step))
    return problems
