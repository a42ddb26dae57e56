"""事業計画書: issue, needs, options, design, money in short, effect, viability, risks, terms of withdrawal; present values in an annex.

In: a dossier. Out: a Paper.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from kiban.documents.amounts import plain
from kiban.documents.map_svg import design_svg
from kiban.documents.office.budget_request import all_supports_table, excluded, places
from kiban.documents.office.cases import cost as case_cost
from kiban.documents.office.cases import shown_cases
from kiban.documents.office.cases import town as case_town
from kiban.documents.office.desk import Desk, ja, plain_thousand, sentences, thousand
from kiban.documents.paper import Block, Bullets, Heading, Note, Paper, Paragraph, Passage, Passages, Picture, Table
from kiban.documents.reasons import answers, left_out, option_known, point_text, row_names, sites_or_km, whom
from kiban.documents.view import View

PAPER = "project-plan"
POINTS_SHOWN = 20
SITES_SHOWN = 8  # names of places in one year
CASES_SHOWN = 3  # cases of one option


def project_plan(desk: Desk) -> Paper:
    """The paper."""
    say, view = desk.say, desk.view
    issue = say("p.issue", sentence=view.plan.sentence, places=places(Desk(desk.dossier, "budget-request")))
    asked = answers(view)
    blocks: list[Block] = [desk.assumed_note(), Heading(say("h.issue")), desk.passage("plan.issue", say("f.purpose"), issue)]
    if asked:
        blocks.append(Table("answers", say("t.answers"), (say("c.question"), say("c.answer")), tuple(asked), "ll", (6, 4)))
    else:
        blocks.append(Paragraph(say("answers.none")))
    blocks += [Heading(say("h.needs")), needs_table(desk), Heading(say("h.options")), *conclusion(desk)]
    blocks += _options(desk)
    blocks += [*_points(desk), *_priority(desk), Heading(say("h.design")), *_design(desk)]
    blocks += [Heading(say("h.money")), Paragraph(say("n.money")), money_table(desk), *_plants(desk), *_energy(desk), *_by_year(desk)]
    blocks += [Heading(say("h.supports")), all_supports_table(Desk(desk.dossier, "budget-request"))]
    blocks += [Heading(say("h.effect")), Paragraph(say("n.benefit")), _effect(desk), Heading(say("h.kpis"), 2), _kpis(desk)]
    blocks += [Heading(say("h.viability")), *_viability(desk), Heading(say("h.risks")), Paragraph(say("n.cases")), cases_table(desk)]
    blocks += [desk.passage("plan.risk", say("f.risk"), say("p.risk")), Heading(say("h.exit")), desk.passage("plan.exit", say("f.exit"), say("p.exit"))]
    blocks += [Heading(say("h.voices")), *_voices(desk), Heading(say("h.npv")), *_npv(desk)]
    blocks += [Heading(say("h.assumed")), desk.assumed_table(), Heading(say("h.unknown")), _unknown(desk)]
    return desk.made(blocks, say("subtitle", sentence=view.plan.sentence))


def needs_table(desk: Desk) -> Table:
    """Needs by use case, as their data files state them."""
    say, view = desk.say, desk.view
    rows = tuple(needs(view)) or ((say("none"), "", ""),)
    return Table("needs", say("t.needs"), (say("c.usecase"), say("c.need"), say("c.value")), rows, "lll", (3, 3, 4))


def needs(view: View) -> list[tuple[str, str, str]]:
    """Use case, need and value in words, one row each."""
    rows, say = [], sentences(view.catalogue, "common")
    critical = {row["site"] for row in view.step("design")["sites"] if row.get("critical")}
    places: defaultdict[str, set[str]] = defaultdict(set)
    for row in view.step("needs")["wanted"]:
        places[row["usecase"]].add(row["site"])
    for row in view.step("needs")["needs"]:
        figures = [view.figure(id) for id in row["figures"]]
        yes_no = row["need"] in ("mobility", "backup", "broadband", "iot")
        if yes_no:
            asked = bool(figures and figures[0] is not None and figures[0].value)
            text = view.word("show.yes" if asked else "show.no")
            if asked and row["need"] == "backup":
                text = say("needs.critical", answer=text, count=len(critical & places[row["usecase"]]))
        else:
            text = "〜".join(dict.fromkeys(str(view.number(id)) for id in row["figures"]))
            text = f"{text} {view.unit(row['unit'])}".strip()
        rows.append((view.name("usecases/" + row["usecase"]), view.word("field." + row["need"]), text))
    return rows


def conclusion_text(desk: Desk) -> str:
    """What the verdict says in one sentence; of an older plan its status alone."""
    verdict = desk.view.step("verdict")
    found = verdict.get("conclusion")
    return (ja(found.get("text")) if isinstance(found, Mapping) else "") or desk.view.word("verdict." + verdict["status"])


def conclusion(desk: Desk) -> list[Block]:
    """What the verdict says, in one box, and what is known of the rule of social capital."""
    blocks: list[Block] = [Note(conclusion_text(desk))]
    if desk.funding.social_capital_text is not None:
        blocks.append(Paragraph(desk.say("n.capital", text=desk.funding.social_capital_text.ja), "small"))
    return blocks


def option_rows(desk: Desk) -> list[dict[str, Any]]:
    """The options as the verdict judged them; of an older plan as its options step lists them."""
    verdict = desk.view.step("verdict")
    if verdict.get("options"):
        return [dict(row) for row in verdict["options"]]
    return [dict(row) for row in desk.view.step("options")["rows"]]


def option_cost(desk: Desk, row: Mapping[str, Any]) -> str:
    """What an option costs over the horizon, or that it is asked for."""
    told = ja(row.get("cost_text"))
    if row.get("cost"):
        return f"{desk.view.thousands(row['cost'])}{'(' + told + ')' if told else ''}"
    return told or desk.say("cost.ask")


def _options(desk: Desk) -> list[Block]:
    """All options in one table, then for each what speaks for and against it, what would flip it, and the nearest cases."""
    say, view = desk.say, desk.view
    known = {row["kind"]: row for row in view.step("options")["rows"]}
    rows = []
    for row in option_rows(desk):
        told = option_known(view, known[row["kind"]]) if row["kind"] in known else "—"
        rows.append((view.word("option." + row["kind"]), view.word("option.state." + row["state"]), option_cost(desk, row), told))
    heads = tuple(say(key) for key in ("c.option", "c.state", "c.cost", "c.known"))
    blocks: list[Block] = [Table("options", say("t.options", mark=desk.mark), heads, tuple(rows), "llll", (2.4, 1.7, 2.6, 3.6), (), (say("n.options"),))]
    for row in option_rows(desk):
        lists = [(say(f"c.{key}"), [ja(one) for one in row.get(key, ())]) for key in ("for", "against")]
        lists.append((say("c.flip"), [_flip(desk, one) for one in row.get("flips", ())]))
        lists.append((say("c.case"), [_case(desk, id) for id in row.get("cases", ())[:CASES_SHOWN]]))
        told_rows = tuple((name, "\n".join(f"・{text}" for text in texts)) for name, texts in lists if texts)
        if told_rows:
            name = say("t.option", name=view.word("option." + row["kind"]), state=view.word("option.state." + row["state"]))
            blocks.append(Table(f"option-{row['kind']}", name, (say("c.row"), say("c.content")), told_rows, "ll", (1.6, 8.4)))
    return blocks


def _case(desk: Desk, id: str) -> str:
    """A near case in one line: its state, its cost, and why it stopped."""
    case = desk.view.catalogue.cases[id]
    state = desk.view.word("plan.stopped") if case.stopped else desk.view.word("case.state." + case.state)
    return desk.say("v.case", state=state, title=case.title, cost=case_cost(desk.say, desk.view, case), cause=case.failed or "—")


def _flip(desk: Desk, row: Mapping[str, Any]) -> str:
    price = f" {desk.view.money(row['price'])}" if row.get("price") else ""
    return f"{ja(row.get('text'))}{price}"


def points(desk: Desk) -> list[str]:
    """The open points with whom to ask, without the assumed rows, which have their own table."""
    view, names = desk.view, row_names(desk.view)
    asked = [point for point in view.step("verdict")["points"] if point["kind"] != "assumed"]
    return [f"{point_text(view, one, names)} {desk.say('ask.office') if one['kind'] == 'question' else whom(view, one)}" for one in asked]


def _points(desk: Desk) -> list[Block]:
    listed = points(desk)
    more = [desk.say("assumed.more", count=len(listed) - POINTS_SHOWN)] if len(listed) > POINTS_SHOWN else []
    return [Heading(desk.say("h.points"), 2), Bullets((*listed[:POINTS_SHOWN], *more), numbered=True)] if listed else []


def _priority(desk: Desk) -> list[Block]:
    say, view = desk.say, desk.view
    texts = view.catalogue.words["ja"]
    rows = []
    for row in view.step("verdict").get("priority", ()):
        test = texts.get(f"value.test.{row['test']}") or texts.get(f"priority.{row['test']}") or row["test"]
        answer = texts.get(f"value.answer.{row['answer']}") or str(row["answer"])
        rows.append((view.name("usecases/" + row["usecase"]), test, answer, ja(row["reason"])))
    if not rows:
        return []
    heads = (say("c.usecase"), say("c.test"), say("c.answer"), say("c.reason"))
    return [Heading(say("h.priority"), 2), Table("priority", say("t.priority"), heads, tuple(rows), "llll", (2.2, 2.6, 1.4, 5))]


def _design(desk: Desk) -> list[Block]:
    say, view, dossier = desk.say, desk.view, desk.dossier
    outline, body = Desk(dossier, "budget-request"), view.step("design")
    technologies = [row["technology"] for row in body["technologies"]]
    drawing = design_svg(dossier.region, dossier.problem, dossier.design, technologies, view.word("page.north"))
    note = say("n.design") + (say("n.candidates") if body["candidates"] else "")
    served = say("n.served", served=view.number(body["served_sites"]), wanted=view.number(body["wanted_sites"]))
    check = view.word("plan.check_holds" if body["check"]["holds"] else "plan.check_fails")
    proof = say("n.proof", status=view.word("plan.status." + body["status"]), check=check)
    rows = tuple((view.name("technologies/" + row["technology"]), sites_or_km(view, row), str(view.thousands(row["npv"]))) for row in body["technologies"])
    heads = (say("c.technology"), say("c.places"), say("c.npv"))
    return [
        Picture(drawing, say("v.map", places=places(outline), table=say("t.technologies", mark=desk.mark)), view.word("plan.map"), 0.92),
        Paragraph(note, "small"),
        Paragraph(f"{served}{proof}"),
        Table("technologies", say("t.technologies", mark=desk.mark), heads, rows or ((say("none"), "", ""),), "lrr", (5, 2, 2)),
    ]


def money_table(desk: Desk) -> Table:
    """Cost and general fund in short, with and without support."""
    say, funding = desk.say, desk.funding
    both = (funding.adopted, funding.refused)
    general = [next((row.years for row in budget.thousand_sources if row.id == "general"), (0,) * len(budget.years)) for budget in both]
    totals = [budget.thousand_total for budget in both]
    rows = []
    for key, end in (("first", 1), ("five", 6), ("whole", len(funding.adopted.years))):
        rows.append((say(f"r.{key}"), *(plain_thousand(sum(total[:end])) for total in totals)))
        rows.append((say(f"r.{key}-general"), *(plain_thousand(sum(years[:end])) for years in general)))
    peaks = []
    for budget, years in zip(both, general, strict=True):
        place = max(range(len(years)), key=lambda index, years=years: years[index])  # type: ignore[misc]
        peaks.append(say("v.peak", year=desk.year(budget.years[place]), amount=plain_thousand(years[place])))
    rows.append((say("r.peak"), *peaks))
    heads = (say("c.row"), say("c.adopted"), say("c.refused"))
    return Table("money", say("t.money", unit=desk.units), heads, tuple(rows), "lrr", (4, 3, 3), (), (say("n.rounding"),))


def _plants(desk: Desk) -> list[Block]:
    say = desk.say
    names = {plant.id: desk.view.local(plant.name) for plant in desk.dossier.region.plants}
    rows = []
    for one in desk.funding.plants:
        asked = say("comma").join(desk.thing(id) for id in one.ask)
        text = "\n".join(part for part in (one.text.ja, f"{say('ask')}: {asked}" if asked else "") if part)
        amount = say("pending") if one.yen is None else thousand(one.yen)
        rows.append((names.get(one.plant, one.plant), say(f"plant.{one.id}"), amount, say(f"v.approval.{one.approval}"), text))
    if not rows:
        return []
    heads = tuple(say(key) for key in ("c.plant", "c.choice", "c.amount", "c.approval", "c.text"))
    return [Heading(say("h.plants"), 2), Table("plants", say("t.plants", unit=desk.units), heads, tuple(rows), "llrll", (2.2, 1.8, 1.3, 1.2, 4.5))]


def _energy(desk: Desk) -> list[Block]:
    say = desk.say
    rows = []
    for one in desk.funding.energy:
        if not one.units and one.kwh is None:  # a line along the street takes no power of its own
            continue
        kwh = say("unknown") if one.kwh is None else f"{one.kwh:,.0f}"
        amount = say("unknown") if one.yen is None else say("amount", amount=thousand(one.yen), mark=desk.mark)
        rows.append((desk.view.name("technologies/" + one.technology), f"{one.units:,.0f}", kwh, amount))
    if not rows:
        return []
    heads = tuple(say(key) for key in ("c.technology", "c.units", "c.kwh", "c.yen"))
    return [Heading(say("h.energy"), 2), Table("energy", say("t.energy"), heads, tuple(rows), "lrrr", (4, 1.4, 2, 3))]


def _by_year(desk: Desk) -> list[Block]:
    """Works by year and limited money, where they were asked for; the tables before speak of the whole in the first year."""
    say, view, body = desk.say, desk.view, desk.view.step("design")
    phases, money = body.get("phases"), body.get("money")
    if not phases and not money:
        return []
    names = row_names(view)
    blocks: list[Block] = [Heading(say("h.by-year"), 2), Paragraph(say("n.by-year"))]

    def yen(key: str) -> str:
        return thousand(view.plan.figures[key].value)

    def named(sites: list[str]) -> str:
        more = say("comma") + say("assumed.more", count=len(sites) - SITES_SHOWN) if len(sites) > SITES_SHOWN else ""
        return say("comma").join(view.local(names.get(id, id)) for id in sites[:SITES_SHOWN]) + more

    if phases:
        rows = tuple(
            (desk.fiscal(int(row["year"])), yen(row["paid"]), f"{view.plan.figures[row['km']].value or 0:.1f}", str(len(row["sites"])), named(row["sites"]))
            for row in phases["years"]
        )
        heads = tuple(say(key) for key in ("c.year", "c.works", "c.km", "c.joined", "c.who"))
        left = (say("n.left", list=named(phases["left"])),) if phases["left"] else ()
        blocks.append(Table("by-year", say("t.by-year"), heads, rows, "lrrrl", (1.6, 1.4, 1, 1, 5), (), (say("n.dig-once"), *left)))
    if money:
        stages = tuple(
            (yen(row["most"]), yen(row["initial"]), str(view.number(row["sites"])), yen(row["cost"]), say("c.asked") if str(place) == money["stage"] else "")
            for place, row in enumerate(money["stages"])
        )
        heads = tuple(say(key) for key in ("c.most", "c.works", "c.joined", "c.npv", "c.note"))
        blocks.append(Table("limited", say("t.limited"), heads, stages, "rrrrl", (2, 2, 1.4, 2, 2), (), (say("n.limited"),)))
    return blocks


def _effect(desk: Desk) -> Table:
    say, view = desk.say, desk.view
    rows = []
    for one in desk.funding.benefits:
        values = tuple(plain(value) if value is not None else say("ask") if one.ask else say("unknown") for value in (one.before, one.after))
        cost = "" if one.measure_yen is None else f"({say('amount', amount=thousand(one.measure_yen), mark=desk.mark)})"
        asked = say("asked", list=say("comma").join(desk.fact(id) for id in one.ask)) if one.ask else ""
        told = "\n".join(part for part in (f"{ja(one.measure)}{cost}", asked, ja(one.note)) if part)
        rows.append((one.name.ja, view.unit(one.unit), *values, told or "—"))
    heads = tuple(say(key) for key in ("c.effect", "c.unit", "c.before", "c.after", "c.measure"))
    return Table("effect", say("t.effect"), heads, tuple(rows) or ((say("none"), "", "", "", ""),), "llrrl", (3, 1.2, 1.2, 1.2, 4.6))


def _kpis(desk: Desk) -> Table:
    say, view = desk.say, desk.view
    model = view.catalogue.get("models", view.step("options")["model"])
    rows = tuple(
        (
            kpi.name.ja,
            say("v.none-yet") if kpi.target is None else f"{kpi.target:g} {view.unit(kpi.unit)}",
            "\n".join(part for part in (kpi.measure.ja, ja(kpi.note)) if part),
            kpi.every.ja,
        )
        for kpi in model.kpis
    )
    heads = tuple(say(key) for key in ("c.kpi", "c.target", "c.how", "c.every"))
    return Table("kpis", say("t.kpis"), heads, rows or ((say("none"), "", "", ""),), "llll", (3, 1.7, 5, 1.6))


def _viability(desk: Desk) -> list[Block]:
    say, found = desk.say, desk.funding.viability
    comma = say("comma")
    money = say("pending") if found.revenue is None else thousand(sum(found.revenue))
    runs = say("unknown")
    if found.runs is not None:
        low, middle, high = (thousand(one) for one in found.runs)
        runs = say(
            "v.draws", low=low, middle=middle, high=high, draws=f"{found.draws:,}", seed=found.seed,
            varied=comma.join(_input(desk, id) for id in found.varied) or say("none"), fixed=comma.join(_input(desk, id) for id in found.fixed) or say("none"),
        )  # fmt: skip
    rows = (
        (say("r.track"), f"{say('v.track.' + found.track)}　{found.track_text.ja}"),
        (say("r.revenue"), money),
        (say("r.cliff"), say("none") if found.cliff is None else thousand(found.cliff)),
        (say("r.break-even"), say("unknown") if found.break_even is None else desk.fiscal(found.break_even)),
        (say("r.runs"), runs),
        (say("r.gap"), say("unknown") if found.gap is None else thousand(found.gap)),
        (say("r.missing"), comma.join(desk.fact(id) for id in found.missing) or say("none")),
    )
    blocks: list[Block] = [Paragraph(say("n.viability"))]
    blocks.append(Table("viability", say("t.viability", unit=desk.units), (say("c.row"), say("c.what")), rows, "ll", (3, 7)))
    if found.tornado:
        swings = tuple((swing.name.ja, thousand(swing.low), thousand(swing.high)) for swing in found.tornado)
        heads = (say("c.input"), say("c.low"), say("c.high"))
        blocks.append(Table("tornado", say("t.tornado", unit=desk.units), heads, swings, "lrr", (5, 2, 2)))
    return blocks


def _input(desk: Desk, id: str) -> str:
    """The name of an input of the simulation: a bar of the tornado, a line, or a named fact."""
    names = {swing.input: swing.name.ja for swing in desk.funding.viability.tornado}
    return names.get(id) or desk.thing(id)


def cases_table(desk: Desk) -> Table:
    """Stopped cases first, with cost and cause."""
    say, view = desk.say, desk.view
    rows = []
    for case in shown_cases(desk):
        state = view.word("plan.stopped") if case.stopped else view.word("case.state." + case.state)
        rows.append((f"[{state}] {case.title}", case_town(say, case), case_cost(say, view, case), case.failed or "—", case.lessons or "—"))
    heads = tuple(say(key) for key in ("c.case", "c.town", "c.case-cost", "c.cause", "c.lesson"))
    return Table("cases", say("t.cases"), heads, tuple(rows) or ((say("none"), "", "", "", ""),), "lllll", (2.4, 1.9, 1.8, 3, 3))


def _voices(desk: Desk) -> list[Block]:
    """One empty passage for the model and per support that is not excluded; what the officer said before stands in it."""
    say, view, voices = desk.say, desk.view, desk.dossier.inputs.voices
    open_to = [f"supports/{one.support}" for one in desk.funding.answers if not excluded(one) or voices.get(f"supports/{one.support}")]
    about = ["models/" + view.step("options")["model"].partition("/")[0], *open_to]
    rows: list[Passage] = []
    for entry in dict.fromkeys(about):
        kind, _, id = entry.partition("/")
        name = view.name(entry) if kind != "models" else view.catalogue.headline("models", id, "ja")
        rows.append(desk.passage(f"voice.{kind}.{id}", say("f.voice", name=name), voices.get(entry, "")))
    return [Paragraph(say("n.voice")), Passages((say("c.about"), say("c.voice")), tuple(rows))]


def _npv(desk: Desk) -> list[Block]:
    say, view = desk.say, desk.view
    body, years = view.step("design"), desk.funding.adopted.years
    period = say("v.horizon", first=desk.fiscal(years[0]), last=desk.fiscal(years[-1]), count=len(years))
    rate = discount(view)
    whole = body["cost_npv"] or body["priced_part"]
    rows = (
        (say("r.npv"), say("v.npv", amount=view.thousands(whole))),
        (say("r.bound"), say("v.npv", amount=view.thousands(body["lower_bound"]))),
        (say("r.gap-share"), str(view.percent(body["gap"]))),
        (say("r.discount"), rate),
        (say("r.horizon"), period),
    )
    remarks = [say("n.npv.least")] if body.get("lower_bound_only") or not body["cost_npv"] else []
    remarks += left_out(view, body.get("excludes", ()))
    table = Table("npv", say("t.npv", mark=desk.mark), (say("c.figure"), say("c.what")), rows, "lr", (5, 5), (), tuple(remarks))
    return [Paragraph(say("n.npv", rate=rate, horizon=period)), table]


def discount(view: View) -> str:
    """The discount rate of the present values."""
    found = [figure for key, figure in view.plan.figures.items() if key.startswith("rules/discount-rate@")]
    return f"{found[0].value * 100:g} %" if found and found[0].value is not None else view.word("view.unknown")


def _unknown(desk: Desk) -> Table:
    say, view = desk.say, desk.view
    rows = [(view.local(row["what"]), view.local(row["why"]), view.local(row["ask"])) for row in view.step("design")["missing"]]
    facts = view.catalogue.facts
    rows += [(desk.fact(id), facts[id].why.ja if id in facts else "", desk.desk_of_fact(id)) for id in desk.funding.missing]
    rows += [(line.name.ja, say("waiting"), view.word("ask.quotation")) for line in desk.waiting]
    heads = (say("c.figure"), say("c.effect-of"), say("c.ask"))
    return Table("unknown", say("t.unknown"), heads, tuple(rows) or ((say("none"), "", ""),), "lll", (3, 4.6, 2.6))
