"""The hand-over pack 引継ぎ: what a successor must know in April, of one plan.

In: a plan in the language of the reader, its money, what people put in, and who changed what when. Out: a Paper. What kiban does not know, such as whether
a letter was sent, is left to be written by hand; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kiban.base.jdate import day_text, era_year
from kiban.documents.paper import INSIDE, OUTSIDE, Block, Bullets, Heading, Note, Paper, Paragraph, Table, numbered
from kiban.documents.reasons import point_text, row_names, whom
from kiban.documents.view import View
from kiban.records.funding import Funding, Inputs, Milestone
from kiban.records.support import SupportAnswer

AHEAD = 90  # days that a successor has to look at first
APRIL = 4
DAYS = ("current_contract_end", "maintenance_end")  # facts that are a day on which something ends


@dataclass(frozen=True)
class Version:
    """One save: when, who, why, what changed, in words."""

    when: str
    who: str
    why: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class Own:
    """An officer's own words: where they stand, the text, who wrote it and when."""

    where: str
    text: str
    by: str


@dataclass(frozen=True)
class Pack:
    """All that the hand-over is made from. `asked`: ids of the facts that are open; today: the day on which it is made."""

    view: View
    funding: Funding
    inputs: Inputs
    asked: tuple[str, ...]
    own: tuple[Own, ...]
    versions: tuple[Version, ...]
    folder: str
    today: date


def handover(pack: Pack) -> Paper:
    """The paper, in the language of the view. Raises KibanError when a word is missing."""
    view, word = pack.view, pack.view.word
    blocks: list[Block] = [
        Paragraph(word("handover.lead")),
        Heading(word("handover.decided")),
        *_decided(pack),
        Heading(word("handover.next", count=AHEAD)),
        *_next(pack),
        Heading(word("handover.open")),
        *_open(pack),
        Heading(word("handover.where")),
        Bullets(tuple(word(f"handover.where.{key}", folder=pack.folder, inside=INSIDE, outside=OUTSIDE) for key in ("folder", "inside", "outside", "inputs"))),
        Heading(word("handover.versions")),
        *_versions(pack),
    ]
    town = view.local(view.region_name)
    header = (word("papers.folder.inside"), town, word("handover.made", day=day_text(pack.today, view.lang)), view.label() or "")
    done, tables = numbered(tuple(blocks))
    title, footer = word("handover.title"), word("handover.footer", plan=view.plan.id)
    return Paper("handover", title, town, tuple(filter(None, header)), footer, pack.today, True, done, view.quote(view.plan.sentence), "", tables)


def _table(pack: Pack, id: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]], widths: tuple[float, ...], empty: str) -> Block:
    """A table, or the sentence that says why there is none."""
    word = pack.view.word
    if not rows:
        return Paragraph(word(empty))
    return Table(id, word(f"handover.t.{id}"), tuple(word(f"handover.c.{head}") for head in heads), tuple(rows), "l" * len(heads), widths)


def _decided(pack: Pack) -> list[Block]:
    view, word = pack.view, pack.view.word
    body = view.step("verdict")
    options = [
        (
            f"{word('option.' + row['kind'])}\n{word('option.state.' + row['state'])}",
            "\n".join(view.say(text) for text in row["for"]) or "—",
            "\n".join(view.say(text) for text in row["against"]) or "—",
        )
        for row in body.get("options", ())
    ]
    conclusion = body.get("conclusion")
    own = [(one.where, one.text, one.by) for one in pack.own]
    return [
        Note(view.say(conclusion["text"]) if conclusion else word("verdict." + body["status"])),
        _table(pack, "options", ("option", "for", "against"), options, (2.2, 3.9, 3.9), "handover.no_options"),
        _table(pack, "own", ("where", "text", "by"), own, (2.4, 5.4, 2.2), "handover.no_own"),
    ]


def _open(pack: Pack) -> list[Block]:
    view, word, lang = pack.view, pack.view.word, pack.view.lang
    body, facts, names = view.step("verdict"), view.catalogue.facts, row_names(view)
    points = [
        (point_text(view, point, names), word("handover.question") if point["kind"] == "question" else whom(view, point).removeprefix("→ "))
        for point in body.get("points", ())
    ]
    desks: dict[str, list[str]] = {}
    for id in pack.asked:
        desks.setdefault(getattr(facts[id].desk, lang), []).append(getattr(facts[id].question, lang))
    asked = [(desk, "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))) for desk, texts in desks.items()]
    letters = [(view.say(letter["desk"]), view.say(letter["subject"]), "", "") for letter in body.get("inquiries", ())]
    quotes = [
        (
            quote.supplier,
            day_text(quote.received, lang),
            str(sum(answer.unit_yen is not None for answer in quote.answers)),
            word("quotes.no_limit")
            if quote.valid_until is None
            else day_text(quote.valid_until, lang) + (f"\n{word('quotes.expired')}" if quote.valid_until < pack.today else ""),
        )
        for quote in pack.inputs.quotes
    ]
    wanted = [answer for answer in pack.funding.answers if "excluded" not in (answer.answer, answer.example)]
    supports = [(view.name("supports/" + answer.support), _answer(view, answer), *_window(view, answer)) for answer in wanted]
    waiting = [getattr(line.name, lang) for line in pack.funding.lines if line.unit_yen is None]
    return [
        _table(pack, "points", ("what", "whom"), points, (7, 3), "handover.no_points"),
        _table(pack, "facts", ("whom", "questions"), asked, (3, 7), "facts.all_known"),
        _table(pack, "letters", ("whom", "subject", "sent", "answer"), letters, (3, 4.4, 1.3, 1.3), "handover.no_letters"),
        _table(pack, "quotes", ("supplier", "received", "prices", "valid"), quotes, (4, 2.2, 1.4, 2.4), "quotes.nobody"),
        *([Paragraph(word("handover.waiting", count=len(waiting), list=view.joined(waiting)))] if waiting else []),
        _table(pack, "supports", ("support", "state", "window", "desk"), supports, (3, 2.4, 2.4, 2.2), "handover.no_supports"),
    ]


def _answer(view: View, answer: SupportAnswer) -> str:
    """What a support says; where its text of the year is not there, that of an earlier year as an example."""
    said = view.word(f"handover.answer.{answer.answer}")
    return f"{said}\n{view.word('handover.example', year=str(answer.edition), said=view.word(f'handover.answer.{answer.example}'))}" if answer.example else said


def _window(view: View, answer: SupportAnswer) -> tuple[str, str]:
    """When applications were or are taken by the text that was read, and the desk."""
    support = view.catalogue.supports.get(answer.support)
    if support is None:
        return "—", "—"
    edition = next((one for one in support.editions if one.fiscal_year == answer.edition), None)
    windows = [
        f"{day_text(one.opens, view.lang) if one.opens else '—'} – {day_text(one.closes, view.lang) if one.closes else '—'}"
        for one in (edition.windows if edition else ())
    ]
    return "\n".join(windows) or view.word("view.unknown"), getattr(support.desk, view.lang)


def due(milestones: Sequence[Milestone], today: date) -> list[tuple[date, Milestone]]:
    """The steps of the calendar in the months that the next days touch, each with the first day of its month that is not past.

    >>> from kiban.records.source import Text
    >>> steps = [Milestone(id=str(month), year=2026, month=month, name=Text(ja="x", en="x")) for month in (10, 11, 1, 2, 3)]
    >>> [(day.isoformat(), one.month) for day, one in due(steps, date(2026, 11, 27))]
    [('2026-11-27', 11), ('2027-01-01', 1), ('2027-02-01', 2)]
    """
    found = []
    for one in milestones:
        first = date(one.year + (one.month < APRIL), one.month, 1)  # its year is a fiscal one
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        if following > today and first <= today + timedelta(AHEAD):
            found.append((max(first, today), one))
    return found


def _next(pack: Pack) -> list[Block]:
    view, word, lang = pack.view, pack.view.word, pack.view.lang
    rows: list[tuple[date, str, str, str]] = []
    for day, one in due(pack.funding.calendar, pack.today):
        month = word("handover.month", year=era_year(day.year) if lang == "ja" else day.year, month=one.month)
        rows.append((day, month, getattr(one.name, lang), getattr(one.warning, lang) if one.warning else ""))
    end = pack.today + timedelta(AHEAD)
    for quote in pack.inputs.quotes:
        if quote.valid_until is not None and pack.today <= quote.valid_until <= end:
            rows.append((quote.valid_until, day_text(quote.valid_until, lang), word("handover.expires", name=quote.supplier), ""))
    if pack.funding.quotes_by is not None and pack.today <= pack.funding.quotes_by <= end:
        rows.append((pack.funding.quotes_by, day_text(pack.funding.quotes_by, lang), word("handover.quotes_by"), ""))
    for id in DAYS:
        value = pack.inputs.facts.get(id)
        day_or_none = date.fromisoformat(value) if isinstance(value, str) and id in view.catalogue.facts else None
        if day_or_none is not None and pack.today <= day_or_none <= end:
            rows.append((day_or_none, day_text(day_or_none, lang), view.name(f"facts/{id}"), ""))
    rows.sort(key=lambda row: row[0])
    return [_table(pack, "next", ("when", "step", "mind"), [row[1:] for row in rows], (1.8, 4.6, 3.6), "handover.nothing_next")]


def _versions(pack: Pack) -> list[Block]:
    rows = [(one.when, one.who, one.why, "\n".join(one.what)) for one in pack.versions]
    return [_table(pack, "versions", ("when", "who", "why", "changed"), rows, (2.2, 1.8, 2.6, 3.4), "kept.none")]
