"""Letters of inquiry (照会文), ready to be sent: one for the decisive point, one for each desk that knows something of the rest.

In: unknowns in their order. Out: records.verdict.Inquiry. A letter asks and thanks; it holds no amount of money, so it may leave the office.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiban.base.jdate import era_year
from kiban.records.source import Text
from kiban.records.verdict import Inquiry
from kiban.verdict.grounds import LANGUAGES, Grounds, local
from kiban.verdict.unknown import Unknown

FIRST = "first"


def inquiries(grounds: Grounds, unknown: Sequence[Unknown]) -> tuple[Inquiry, ...]:
    """The letter of the first unknown that a desk can answer stands first, the others follow by desk."""
    asked = [one for one in unknown if one.desk is not None and one.line is not None]
    letters: list[Inquiry] = []
    for ids, group in _groups(asked):
        desk = group[0].desk
        assert desk is not None
        lines = [one.line for one in group if one.line is not None]
        year = grounds.say("inquiry.year", year=Text(ja=era_year(grounds.start), en=str(grounds.start)))
        town, sentence = local(grounds.region.name), Text(ja=grounds.sentence, en=grounds.sentence)
        body = grounds.say("inquiry.body", town=town, desk=desk, sentence=sentence, year=year, lines=_numbered(lines))
        about = grounds.say("inquiry.subject.one" if len(lines) == 1 else "inquiry.subject.many", topic=grounds.standard.name, about=group[0].text)
        letters.append(Inquiry(id=ids, desk=desk, subject=about, body=body, facts=tuple(one.point for one in group)))
    return tuple(letters)


def _groups(asked: Sequence[Unknown]) -> list[tuple[str, list[Unknown]]]:
    """The first alone, the rest by desk in order of appearance."""
    groups: dict[str, list[Unknown]] = {}
    for one in asked[1:]:
        assert one.desk is not None
        groups.setdefault(one.desk.ja, []).append(one)
    rest = [(f"desk-{index}", group) for index, group in enumerate(groups.values(), start=1)]
    return [(FIRST, [asked[0]]), *rest] if asked else []


def _numbered(lines: Sequence[Text]) -> Text:
    """Questions one below the other, numbered, each once."""
    once = list(dict.fromkeys((line.ja, line.en) for line in lines))
    return Text(**{lang: "\n".join(f"{index}. {line[side]}" for index, line in enumerate(once, start=1)) for side, lang in enumerate(LANGUAGES)})
