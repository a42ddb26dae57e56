"""The page of money shows the numbers of funding.json, which the papers print; they add up in both units; every support has its answer once."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.catalogue import Catalogue, words
from kiban.documents.office.budget_request import years_table
from kiban.documents.office.desk import Desk
from kiban.documents.view import View
from kiban.loop.files import Folder, read_folder, refresh_folder
from kiban.records.funding import Budget, Inputs, Swing
from kiban.records.source import Text
from kiban.web.money import Said, Scale, budget_rows, money_context, tornado

Get = Callable[[str], Any]
FACTS: dict[str, float | bool | str] = {
    "depopulated": True,
    "bond_interest": 0.01,
    "revenue_user_fee": 1_200_000.0,
    "revenue_iru": 500_000.0,
    "revenue_rental": 0.0,
    "revenue_advertising": 0.0,
    "revenue_local_asset": 0.0,
    "failures_per_year": 2.0,
    "outage_cost": 50_000.0,
    "track": "shared",
}


@pytest.fixture(scope="module")
def plans(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, shipped_catalogue: Catalogue) -> Path:
    """The example, and beside it the same town after it has said that it is depopulated and what comes in: a bond pays a part then."""
    plans = tmp_path_factory.mktemp("money") / "plans"
    for name in ("okunoto", "said"):
        shutil.copytree(example_folder, plans / name)
    refresh_folder(plans / "said", shipped_catalogue, "ja", Inputs(facts=FACTS))
    return plans


@pytest.fixture(scope="module")
def get(plans: Path, serve: Callable[[Path], str], asking: Callable[[str], Get]) -> Get:
    return asking(serve(plans))


class Tables(HTMLParser):
    """The cells of each table of a page with an id: rows of texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._table: list[list[str]] | None = None
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and given.get("id"):
            self._table = self.found.setdefault(str(given["id"]), [])
        elif tag == "table":
            self._table = None
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell and self._table:
            self._table[-1][-1] += data


def numbers(row: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in row[1:]]


def view_of(folder: Folder, catalogue: Catalogue, lang: str = "ja") -> View:
    return View(folder.plan, catalogue, words(catalogue, lang), lang, folder.region.name, folder.region.sources)


@pytest.mark.parametrize("name", ["okunoto", "said"])
@pytest.mark.parametrize("unit", ["thousand", "yen"])
@pytest.mark.parametrize("case", ["adopted", "refused"])
def test_the_table_has_the_numbers_of_the_plan_and_sections_and_sources_add_up(get: Get, plans: Path, name: str, unit: str, case: str) -> None:
    budget: Budget = getattr(read_folder(plans / name).funding, case)
    sections, total, sources = (budget.sections, budget.total, budget.sources) if unit == "yen" else (
        budget.thousand_sections, budget.thousand_total, budget.thousand_sources)  # fmt: skip

    shown = Tables(get(f"/plans/{name}/money?unit={unit}&lang=ja").text).found[f"t-{case}"][1:]

    named = {row[0]: row for row in shown}
    used = [row.years for row in sections if any(row.years)]
    at = list(named).index("事業費 計")
    assert [numbers(row)[:-1] for row in shown[:at]] == [list(years) for years in used]
    assert numbers(named["事業費 計"]) == [*total, sum(total)]
    paid = shown[-5:]
    assert [row[0] for row in paid] == ["国庫支出金", "県支出金", "地方債", "その他特定財源", "一般財源"]
    assert [numbers(row)[:-1] for row in paid] == [list(row.years) for row in sources]
    columns = zip(*(numbers(row) for row in paid), strict=True)
    assert [sum(column) for column in columns] == numbers(named["事業費 計"])
    columns = zip(*(numbers(row) for row in shown[:at]), strict=True)
    assert [sum(column) for column in columns] == numbers(named["事業費 計"])


def test_the_page_and_the_paper_print_the_same_rows(plans: Path, shipped_catalogue: Catalogue) -> None:
    from kiban.documents.dossier import Dossier

    folder = read_folder(plans / "said")
    view = view_of(folder, shipped_catalogue)
    made = folder.funding.made_on
    assert made is not None
    desk = Desk(Dossier(view, folder.region, folder.problem, folder.design, folder.funding, folder.inputs, made), "budget-request")
    for budget in (folder.funding.adopted, folder.funding.refused):
        paper = years_table(desk, "x", "x", budget, len(budget.years)).rows

        page = [row for row in budget_rows(Said(view, folder.funding), budget, Scale("thousand")) if row.look != "range"]

        assert [(row.name, *row.cells, row.sum) for row in page] == [tuple(row) for row in paper]


def test_the_words_of_money_are_those_of_the_papers(shipped_catalogue: Catalogue) -> None:
    texts, paper = shipped_catalogue.words["ja"], shipped_catalogue.papers["common"].texts
    pairs = {f"money.source.{id}": f"source.{id}" for id in ("national", "prefecture", "bond", "other", "general")}
    pairs |= {f"money.method.{id}": f"method.{id}" for id in ("negotiated", "tender", "ask")} | {
        f"money.term.{id}": f"term.{id}" for id in ("single", "longterm", "commitment")
    }
    pairs |= {f"money.way.{id}": f"way.{id}" for id in ("purchase", "lease", "service")} | {f"money.payer.{id}": f"payer.{id}" for id in ("general", "other")}
    pairs |= {f"supports.answer.{id}": f"answer.{id}" for id in ("possible", "excluded", "missing", "judge", "unpublished")}
    plain = str.maketrans("（）", "()")
    assert {key: texts[key].translate(plain) for key in pairs} == {key: paper[name] for key, name in pairs.items()}


def test_the_unit_stands_in_the_address_and_is_marked(get: Get, plans: Path) -> None:
    page = get("/plans/okunoto/money?unit=yen&lang=en").text
    switch = page[page.index('class="switch"') :][:600]
    assert re.findall(r'href="([^"]*)"( aria-current="true")?', switch) == [
        ("/plans/okunoto/money?lang=en&amp;unit=thousand", ""),
        ("/plans/okunoto/money?lang=en&amp;unit=yen", ' aria-current="true"'),
    ]
    assert 'href="/plans/okunoto/money?unit=yen&amp;lang=ja"' in page  # the other language keeps the unit
    budget = read_folder(plans / "okunoto").funding.adopted
    assert f"{budget.total[0]:,}" in page
    assert f"{budget.total[0]:,}" not in get("/plans/okunoto/money").text
    assert f"{budget.thousand_total[0]:,}" in get("/plans/okunoto/money").text


def test_months_add_up_to_the_first_year_in_both_units(get: Get, plans: Path) -> None:
    budget = read_folder(plans / "okunoto").funding.adopted
    for unit, total in (("yen", budget.total[0]), ("thousand", budget.thousand_total[0])):
        rows = Tables(get(f"/plans/okunoto/money?unit={unit}").text).found["t-months"][1:]
        amounts = [int(row[1].replace(",", "")) for row in rows]
        assert (len(rows), sum(amounts[:12]), amounts[12]) == (13, total, total)


def test_a_bond_is_a_source_and_its_redemption_and_the_tax_grant_stand_apart(get: Get, plans: Path) -> None:
    (debt,) = read_folder(plans / "said").funding.adopted.debt
    page = get("/plans/said/money?unit=yen&lang=ja").text
    rows = {row[0]: numbers(row) for row in Tables(page).found["t-debt"][1:]}
    assert debt.interest is not None
    assert debt.memo is not None
    assert {name: row[-1] for name, row in rows.items()} == {
        "元金": sum(debt.principal), "利子": sum(debt.interest), "参考：交付税措置（理論値）": sum(debt.memo)}  # fmt: skip
    assert "財源に数えません" in page
    assert "この計画は地方債を見込んでいません" in get("/plans/okunoto/money").text


def test_lines_without_a_price_say_so_and_ask_the_suppliers(get: Get, plans: Path) -> None:
    page = get("/plans/okunoto/money?lang=en").text
    waiting = [line for line in read_folder(plans / "okunoto").funding.lines if line.basis == "awaiting"]
    body = page[page.index('<h2 id="lines"') : page.index('<h2 id="ways"')]
    assert body.count("Not in any total. Ask suppliers for a quotation.") == len(waiting) > 0
    assert f"without {len(waiting)} line(s) that await a price" in page


def test_prices_lead_to_their_figures(get: Get, plans: Path) -> None:
    page = get("/plans/okunoto/money").text
    wanted = [line.ref for line in read_folder(plans / "okunoto").funding.lines if line.ref]
    links = {html.unescape(link) for link in re.findall(r'class="fig" href="([^"]*)"', page)}
    assert len({link for link in links if "technologies%2F" in link}) >= len(set(wanted)) > 5
    for link in sorted(links)[:3]:
        assert get(link).status == 200


def test_every_support_stands_once_with_its_answer(get: Get, plans: Path, shipped_catalogue: Catalogue) -> None:
    for name in ("okunoto", "said"):
        funding = read_folder(plans / name).funding
        page = get(f"/plans/{name}/supports?lang=ja").text
        assert sorted(re.findall(r'<article class="support[^"]*" id="s-([^"]*)"', page)) == sorted(answer.support for answer in funding.answers)
        texts = shipped_catalogue.words["ja"]
        for answer in funding.answers:
            part = page[page.index(f'id="s-{answer.support}"') :].partition("</article>")[0]
            badge = re.findall(r'class="badge[^"]*">([^<]*)<', part)[0]
            assert badge.startswith(texts[f"supports.answer.{answer.answer}"])
            assert part.count('<th scope="row"') == len(answer.findings)


def test_answers_can_be_filtered_and_the_counts_add_up(get: Get, plans: Path) -> None:
    answers = read_folder(plans / "okunoto").funding.answers
    for kind in ("possible", "judge", "missing", "unpublished", "excluded"):
        page = get(f"/plans/okunoto/supports?answer={kind}").text
        assert len(re.findall(r"<article", page)) == sum(answer.answer == kind for answer in answers)
    assert len(re.findall(r"<article", get("/plans/okunoto/supports?answer=<b>").text)) == len(answers)


def test_what_a_support_waits_for_is_asked_of_a_desk_and_stands_in_a_letter_without_amounts(get: Get, plans: Path, shipped_catalogue: Catalogue) -> None:
    page = html.unescape(get("/plans/okunoto/supports").text)
    letters = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.S)
    missing = {id for answer in read_folder(plans / "okunoto").funding.answers for id in answer.missing}
    for id in missing:
        fact = shipped_catalogue.facts[id]
        assert fact.question.ja in page
        assert [fact.question.ja in letter and letter.startswith(fact.desk.ja) for letter in letters].count(True) == 1
    assert not [letter for letter in letters if re.search(r"\d{3}円|千円", letter)]


def test_a_known_fact_says_its_value_and_where_it_comes_from(get: Get) -> None:
    page = get("/plans/said/supports?lang=ja").text
    part = page[page.index('id="s-kaso-bond"') :].partition("</article>")[0]
    assert "この計画に入力された値" in part
    assert ">はい" in part


@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)), min_size=1, max_size=8))
def test_bars_of_the_tornado_stay_inside_and_the_longest_stands_first(ends: list[tuple[int, int]]) -> None:
    swings = [Swing(input=str(place), name=Text(ja="値", en="value"), low=low, high=high) for place, (low, high) in enumerate(ends)]
    rows = tornado(swings, Scale("thousand"), lambda text: text.ja)
    assert all(0 <= left <= 160 and left + wide <= 161.1 for left, wide in (row["bar"] for row in rows))
    sizes = [abs(high - low) for low, high in sorted(ends, key=lambda pair: -abs(pair[1] - pair[0]))]
    assert sizes == sorted(sizes, reverse=True)


def test_the_page_says_the_same_in_both_languages(plans: Path, shipped_catalogue: Catalogue) -> None:
    folder = read_folder(plans / "said")
    ja, en = (money_context(view_of(folder, shipped_catalogue, lang), folder, Scale("yen")) for lang in ("ja", "en"))
    for key in ("adopted", "refused", "both", "debt_rows"):
        assert [row.cells for row in ja[key]] == [row.cells for row in en[key]]
    assert [row["whole"] for row in ja["lines"]] == [row["whole"] for row in en["lines"]]
    assert ja["viability"]["tornado"]
    assert [row["bar"] for row in ja["viability"]["tornado"]] == [row["bar"] for row in en["viability"]["tornado"]]
