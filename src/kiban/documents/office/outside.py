"""The papers that may leave the office: 仕様書(案), 情報提供依頼書, 参考見積依頼書, 照会文.

In: a public dossier, which holds no amount. Out: Papers.
"""

from __future__ import annotations

from kiban.catalogue import Catalogue, words
from kiban.documents.amounts import plain
from kiban.documents.dossier import PublicDossier
from kiban.documents.office.desk import Counter, day_text
from kiban.documents.paper import Block, Break, Bullets, Heading, Paper, Paragraph, Table
from kiban.records.model import Clause, StandardModel
from kiban.records.paper import StandingClause
from kiban.records.region import Site

RADIO = ("wireless", "ntn")
SCREEN = "app"
NAMES_SHOWN = 60  # names of places of one kind in one cell


def standing(catalogue: Catalogue, model: StandardModel) -> dict[str, StandingClause]:
    """The standing clauses that apply to a model, in their order: those on radio where a part may be radio, on screens where it has one."""
    media = {catalogue.technologies[id].medium for part in model.components for id in part.technologies if id in catalogue.technologies}
    holds = {"always": True, "radio": bool(media & set(RADIO)), "screen": any(part.layer == SCREEN for part in model.components)}
    found = sorted(catalogue.clauses.items(), key=lambda item: (item[1].order, item[0]))
    return {id: clause for id, clause in found if holds[clause.applies_when]}


def requirement(model_id: str, clause: str) -> str:
    """The id of a requirement, the same in every paper and in every answer.

    >>> requirement("shelter-comms/1", "main-rate")
    'shelter-comms.main-rate'
    """
    return f"{model_id.partition('/')[0]}.{clause}"


def broken(id: str) -> str:
    """An id that may be broken at its dots, for narrow columns.

    >>> broken("standing.logs").split()
    ['standing.', 'logs']
    """
    return id.replace(".", ".\n")


def specification(counter: Counter) -> Paper:
    """The draft specification."""
    say, dossier, catalogue = counter.say, counter.dossier, counter.catalogue
    model = dossier.model
    areas = {part.id: part.area for part in model.components}
    cooperative = [clause for clause in model.clauses if areas[clause.component] == "cooperative"]
    competitive = [clause for clause in model.clauses if areas[clause.component] == "competitive"]
    blocks: list[Block] = [
        counter.assumed_note(),
        Paragraph(say("lead")),
        Heading(say("h.purpose")),
        counter.passage("out.spec.purpose", say("f.purpose"), say("p.purpose", town=dossier.town, sentence=dossier.sentence)),
        Heading(say("h.scope")),
        scope_table(counter),
        Heading(say("h.needs")),
        needs_table(counter),
        Heading(say("h.parts")),
        _parts(counter),
        Heading(say("h.cooperative")),
        Paragraph(say("n.cooperative")),
        _requirements(counter, cooperative),
        Heading(say("h.competitive")),
        Paragraph(say("n.competitive")),
        _criteria(counter, competitive),
        Heading(say("h.standing")),
        Paragraph(say("n.equal")),
        _standing(counter, standing(catalogue, model)),
        Heading(say("h.hand-in")),
        counter.passage("out.spec.hand-in", say("f.hand-in"), say("p.hand-in")),
    ]
    return counter.made(blocks, say("subtitle", sentence=dossier.sentence))


def small(dossier: PublicDossier, site: Site) -> bool:
    """Whether a place is a hamlet so small that its name might tell of single households; one of unknown size counts as small."""
    return site.kind == "hamlet" and (site.households is None or site.households < dossier.household_limit)


def scope_table(counter: Counter) -> Table:
    """Places by kind; hamlets below the limit of households are counted, not named."""
    say, dossier = counter.say, counter.dossier
    spec, word = Counter(dossier, counter.catalogue, "specification").say, words(counter.catalogue, "ja")
    kinds: dict[str, list[Site]] = {}
    for site in dossier.sites:
        kinds.setdefault(site.kind, []).append(site)
    rows = []
    for kind, sites in kinds.items():
        named = [site.name.partition(" / ")[0] for site in sites if not small(dossier, site)]
        hidden = len(sites) - len(named)
        shown = named[:NAMES_SHOWN] + ([say("assumed.more", count=len(named) - NAMES_SHOWN)] if len(named) > NAMES_SHOWN else [])
        if hidden:
            shown.append(spec("v.small", count=hidden))
        rows.append((word("value.sites." + kind), str(len(sites)), say("comma").join(shown)))
    heads = tuple(spec(key) for key in ("c.kind", "c.count", "c.names"))
    return Table("scope", spec("t.scope"), heads, tuple(rows) or ((say("none"), "0", ""),), "lrl", (1.6, 0.8, 7.6), (), (spec("n.scope"),))


def needs_table(counter: Counter) -> Table:
    """Needs by use case."""
    spec = Counter(counter.dossier, counter.catalogue, "specification").say
    heads = tuple(spec(key) for key in ("c.usecase", "c.need", "c.value"))
    rows = counter.dossier.needs or ((spec("none"), "", ""),)
    return Table("needs", spec("t.needs"), heads, rows, "lll", (4, 3, 3))


def _parts(counter: Counter) -> Table:
    say, word = counter.say, words(counter.catalogue, "ja")
    parts = counter.dossier.model.components
    rows = tuple((part.name.ja, word("value.layer." + part.layer), word("value.area." + part.area), part.role.ja) for part in parts)
    heads = tuple(say(key) for key in ("c.part", "c.layer", "c.area", "c.role"))
    return Table("parts", say("t.parts"), heads, rows, "llll", (2.6, 1.3, 1.2, 4.9))


def _model_clause(counter: Counter, clause: Clause) -> tuple[str, str, str, str]:
    origin = counter.say("v.origin.model", model=counter.dossier.model_id)
    where = "\n".join(part for part in (clause.standard or "", f"[{origin}]") if part)
    return broken(requirement(counter.dossier.model_id, clause.id)), clause.text.ja, clause.verify.ja, where


def _requirements(counter: Counter, clauses: list[Clause]) -> Table:
    say = counter.say
    rows = tuple(_model_clause(counter, clause) for clause in clauses)
    heads = tuple(say(key) for key in ("c.number", "c.text", "c.verify", "c.standard"))
    return Table("cooperative", say("t.cooperative"), heads, rows or ((say("none"), "", "", ""),), "llll", (2.3, 4.2, 3.3, 2.3))


def _criteria(counter: Counter, clauses: list[Clause]) -> Table:
    say = counter.say
    rows = tuple((*_model_clause(counter, clause), say("v.points")) for clause in clauses)
    heads = tuple(say(key) for key in ("c.number", "c.point", "c.verify", "c.standard", "c.points"))
    return Table("competitive", say("t.competitive"), heads, rows or ((say("none"), "", "", "", ""),), "llllr", (2.3, 3.7, 3.1, 2.3, 0.8))


def _standing(counter: Counter, clauses: dict[str, StandingClause]) -> Table:
    say = counter.say
    rows = []
    for id, clause in clauses.items():
        where = "\n".join(part for part in (clause.standard or "", f"[{say('v.origin.standing', id=id)}]") if part)
        rows.append((broken(f"standing.{id}"), f"{clause.name.ja}\n{clause.text.ja}", clause.verify.ja, where))
    heads = tuple(say(key) for key in ("c.number", "c.text", "c.verify", "c.standard"))
    return Table("standing", say("t.standing"), heads, tuple(rows), "llll", (2.2, 4.6, 3, 2.3))


def rfi(counter: Counter) -> Paper:
    """The request for information: the same questions and the same day for everybody."""
    say, dossier, word = counter.say, counter.dossier, words(counter.catalogue, "ja")
    rows = []
    for number, part in enumerate(dossier.model.components, start=1):
        rows.append((f"Q{number}", part.name.ja, word("value.area." + part.area), say("ask." + part.area, role=part.role.ja.rstrip("。"))))
    heads = tuple(say(key) for key in ("c.number", "c.part", "c.area", "c.question"))
    blocks: list[Block] = [
        Paragraph(day_text(say, dossier.today), "right"),
        Paragraph(say("to"), "left"),
        Paragraph(dossier.town, "right"),
        counter.assumed_note(),
        Heading(say("h.aim")),
        counter.passage("out.rfi.aim", say("f.aim"), say("p.aim", town=dossier.town, sentence=dossier.sentence)),
        Heading(say("h.scope")),
        scope_table(counter),
        needs_table(counter),
        Heading(say("h.questions")),
        Table("questions", say("t.questions"), heads, tuple(rows), "llll", (0.7, 2.2, 1.2, 6)),
        Heading(say("h.common")),
        Bullets(tuple(say("common").split("\n")), numbered=True),
        Heading(say("h.rules")),
        Bullets(tuple(say("rules").split("\n")), numbered=True),
        Heading(say("h.reply")),
        counter.passage("out.rfi.reply", say("f.reply"), say("p.reply")),
    ]
    return counter.made(blocks, say("subtitle", sentence=dossier.sentence))


def quote_request(counter: Counter) -> Paper:
    """The request for reference quotations: lines with ids and quantities, no price."""
    say, dossier, word = counter.say, counter.dossier, words(counter.catalogue, "ja")
    texts = counter.catalogue.words["ja"]
    key = "p.required" if dossier.quotes_rule else "p.required.guide"
    required = say(key, count=dossier.quotes_required) if dossier.quotes_required else ""
    rows = []
    for line in dossier.lines:
        quantity = say("v.open") if line.quantity is None else plain(round(line.quantity, 2))
        unit = texts.get("unit." + line.per) or (word("value.per." + line.per) if "value.per." + line.per in texts else line.per)
        rows.append((broken(line.id), line.name.ja, line.technology.ja, say("v." + line.phase), quantity, unit))
    heads = tuple(say(key) for key in ("c.number", "c.name", "c.technology", "c.phase", "c.quantity", "c.unit"))
    table = Table("lines", say("t.lines"), heads, tuple(rows) or ((say("none"), "", "", "", "", ""),), "llllrl", (2.5, 3.1, 2.6, 0.9, 1.2, 1))
    blocks: list[Block] = [
        Paragraph(day_text(say, dossier.today), "right"),
        Paragraph(say("to"), "left"),
        Paragraph(dossier.town, "right"),
        counter.assumed_note(),
        Heading(say("h.ask")),
        counter.passage("out.quote.ask", say("f.ask"), say("p.ask", town=dossier.town, sentence=dossier.sentence, required=required)),
        Heading(say("h.lines")),
        table,
        Heading(say("h.how")),
        Bullets(tuple(say("how").split("\n")), numbered=True),
        Heading(say("h.rules")),
        Bullets(tuple(say("rules").split("\n")), numbered=True),
        Heading(say("h.reply")),
        counter.passage("out.quote.reply", say("f.reply"), say("p.reply")),
    ]
    return counter.made(blocks, say("subtitle", sentence=dossier.sentence))


def inquiry(counter: Counter) -> Paper:
    """The letters of inquiry, one a page, each with room for the answer; those that leave the office have keys of their own."""
    kept = "out." if counter.catalogue.get("papers", counter.paper).folder == "outside" else ""
    say, dossier = counter.say, counter.dossier
    letters = dossier.inquiries
    blocks: list[Block] = [counter.assumed_note(), Paragraph(say("lead", count=len(letters)) if letters else say("none"))]
    if letters:
        listed = tuple((say("number", number=number), letter["desk"], letter["subject"]) for number, letter in enumerate(letters, start=1))
        heads = (say("c.number"), say("c.desk"), say("c.subject"))
        blocks.append(Table("letters", say("t.letters"), heads, listed, "lll", (1, 3.4, 5.6)))
    rows = tuple((say(key), "\n\n" if key == "r.answer" else "") for key in ("r.answer", "r.basis", "r.by"))
    for number, letter in enumerate(letters, start=1):
        blocks += [
            Break(),
            Heading(say("h.letter", number=number, desk=letter["desk"])),
            Paragraph(day_text(say, dossier.today), "right"),
            Paragraph(say("from", town=dossier.town), "right"),
            Paragraph(say("subject", subject=letter["subject"]), "strong"),
            counter.passage(f"{kept}inquiry.{letter['id']}", say("label", number=number), letter["body"]),
            Table(f"answer-{letter['id']}", say("t.answer"), (say("c.item"), say("c.answer")), rows, "ll", (2.6, 7.4)),
        ]
    return counter.made(blocks, say("subtitle", sentence=dossier.sentence))
