"""The papers of the office: what stands in them, how they may be rewritten, and what never leaves the office."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docx
import msgspec
import openpyxl
import pypdfium2
import pytest
from docx.oxml.ns import qn
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.base.errors import DataFileError, KibanError
from kiban.catalogue import Catalogue, words
from kiban.documents.budget_xlsx import budget_xlsx
from kiban.documents.docx import docx as as_docx
from kiban.documents.dossier import Dossier
from kiban.documents.money_words import basis_text
from kiban.documents.office.budget_request import budget_request
from kiban.documents.office.desk import Desk, sentences
from kiban.documents.office.outside import standing
from kiban.documents.office.project_plan import project_plan
from kiban.documents.own_words import read_words
from kiban.documents.paper import Bullets, Heading, Note, Paper, Paragraph, Passage, Picture, Table, Wide, flat, numbered
from kiban.documents.paper_pdf import paper_pdf
from kiban.documents.papers import INSIDE, OUTSIDE, generated, office_papers, papers, public
from kiban.documents.view import View
from kiban.loop.given import Given
from kiban.loop.plan import make_plan
from kiban.records.funding import (
    Benefit,
    Budget,
    Contract,
    Debt,
    Energy,
    Funding,
    Inputs,
    Line,
    Milestone,
    PlantOption,
    Row,
    Swing,
    Viability,
    Way,
)
from kiban.records.source import Confidence, Tax, Text
from kiban.records.support import Finding, SupportAnswer

TODAY = date(2026, 11, 27)
YEARS = tuple(range(2027, 2042))
BOND = 30_000_000


def both(ja: str) -> Text:
    return Text(ja=ja, en="text")


def thousands(amounts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-amount // 1000) for amount in amounts)


def budget(case: str, national: int, bond: int) -> Budget:
    """First year 91,234,567 yen of equipment and works, then 6,543,210 a year of services, renewed in the eighth year."""
    works = (52_345_678, *(0,) * 14)
    goods = (38_888_889, *(0,) * 6, 21_000_000, *(0,) * 7)
    fees = (3_271_605, *(6_543_210,) * 14)
    total = tuple(sum(parts) for parts in zip(works, goods, fees, strict=True))
    nation, borrowed = (national, *(0,) * 14), (bond, *(0,) * 14)
    general = tuple(whole - a - b for whole, a, b in zip(total, nation, borrowed, strict=True))
    sections = (Row(id="koji", years=works), Row(id="bihin", years=goods), Row(id="shiyoryo", years=fees))
    sources = (Row(id="national", years=nation, support="mirai-grant"), Row(id="bond", years=borrowed, support="kaso-bond"), Row(id="general", years=general))
    k_sections = tuple(Row(id=row.id, years=thousands(row.years)) for row in sections)
    k_total = tuple(sum(row.years[year] for row in k_sections) for year in range(15))
    k_outside = tuple(Row(id=row.id, years=tuple(amount // 1000 for amount in row.years)) for row in sources[:2])
    k_general = Row(id="general", years=tuple(k_total[year] - sum(row.years[year] for row in k_outside) for year in range(15)))
    principal = (bond // 10,) * 9 + (bond - bond // 10 * 9,)
    interest, memo = tuple(300_000 - 30_000 * n for n in range(10)), tuple(amount * 7 // 10 for amount in principal)
    debt = Debt(support="kaso-bond", year=2027, amount=bond, first=2028, principal=principal, interest=interest, memo=memo)
    paid = [0] * 15
    for step, amount in enumerate(principal if bond else ()):
        paid[1 + step] += amount + 300_000 - 30_000 * step
    months = (0,) * 9 + (52_345_678, 38_888_889, 3_271_605)
    return Budget(
        case=case,
        years=YEARS,
        supports=("mirai-grant", "kaso-bond") if national else (),
        past=("mirai-grant",) if national else (),
        sections=sections,
        total=total,
        sources=sources,
        thousand_sections=k_sections,
        thousand_total=k_total,
        thousand_sources=(*k_outside, k_general),
        debt=(debt,) if bond else (),
        low=tuple(amount * 8 // 10 for amount in total),
        high=tuple(amount * 13 // 10 for amount in total),
        months=months,
        running_months=6,
        renewals=(2034,),
        cash=tuple(a + b for a, b in zip(general, paid, strict=True)),
        payer_after="general",
        end_year=2028 if national else None,
    )


def hand_made() -> Funding:
    """A funding with everything in it: a past grant, a bond, a line that waits for its price."""
    line = {"technology": "leo-satellite", "per": "site", "tax": Tax.excluded}
    return Funding(
        plan="p",
        inputs="i",
        start=2027,
        horizon=15,
        tax_rate=0.1,
        lines=(
            Line(
                id="leo-satellite.terminal",
                cost="terminal",
                name=both("衛星端末"),
                phase="initial",
                section="bihin",
                category="equipment",
                quantity=17,
                unit_yen=345_679.0,
                life=7,
                yearly=(5_876_543.0, *(0.0,) * 14),
                basis="published",
                basis_year=2025,
                confidence=Confidence.C,
                **line,
            ),
            Line(
                id="leo-satellite.fee",
                cost="fee",
                name=both("衛星回線の利用料"),
                phase="yearly",
                section="shiyoryo",
                category="service",
                quantity=17,
                unit_yen=234_567.0,
                yearly=(3_987_639.0,) * 15,
                basis="published",
                basis_year=2025,
                confidence=Confidence.C,
                **line,
            ),
            Line(
                id="pon-ftth.equipment-upkeep",
                technology="pon-ftth",
                cost="equipment-upkeep",
                name=both("光回線の機器の保守"),
                phase="yearly",
                per="site",
                section="itaku",
                category="upkeep",
                quantity=18,
                unit_yen=None,
                tax=Tax.unknown,
                basis="awaiting",
            ),
        ),
        answers=(
            SupportAnswer(
                support="mirai-grant",
                answer="unpublished",
                example="possible",
                year=2027,
                edition=2026,
                source="s",
                read_on=date(2026, 11, 20),
                clause="要綱第4条",
                share=0.5,
                amount_yen=40_000_000,
            ),
            SupportAnswer(
                support="kaso-bond",
                answer="missing",
                year=2027,
                edition=2026,
                missing=("depopulated",),
                source="s",
                read_on=date(2026, 11, 20),
                findings=(Finding(fact="depopulated", state="unknown", text=both("過疎地域であること")),),
            ),
            SupportAnswer(support="area-grant", answer="judge", judge=both("総合通信局"), year=2027, edition=2026, source="s", read_on=date(2026, 11, 20)),
            SupportAnswer(support="island-grant", answer="excluded", year=2027, edition=2026, source="s", read_on=date(2026, 11, 20)),
        ),
        adopted=budget("adopted", 40_000_000, BOND),
        refused=budget("refused", 0, 0),
        ways=(
            Way(
                id="purchase",
                years=(94_506_172, *(6_543_210,) * 14),
                bondable="yes",
                restricted="yes",
                renewal=both("7年ごとに買い替える"),
                removal=both("団体が行う"),
            ),
            Way(
                id="lease",
                years=None,
                bondable="no",
                restricted="no",
                renewal=both("期間の満了で替える"),
                removal=both("リース会社が行う"),
                needs=("lease_rate_month",),
            ),
            Way(
                id="service", years=None, bondable="no", restricted="no", renewal=both("料金に含む"), removal=both("事業者が行う"), needs=("leo-satellite.fee",)
            ),
        ),
        contracts=(
            Contract(
                id="goods",
                lines=("leo-satellite.terminal",),
                section="bihin",
                amount=38_888_889,
                method="tender",
                method_text=both("少額随意契約の基準額を超える"),
                assembly="yes",
                assembly_text=both("動産の買入れ(自治法96条1項8号)"),
                term="single",
                term_text=both("当該年度内に納入する"),
                warnings=(both("同じ機器を分けて発注しない(分割発注)"),),
            ),
            Contract(
                id="fee",
                lines=("leo-satellite.fee",),
                section="shiyoryo",
                amount=6_543_210,
                method="ask",
                method_text=both("団体の規則を確かめる"),
                assembly="no",
                assembly_text=both("役務は対象外"),
                term="longterm",
                term_text=both("電気通信役務: 自治法234条の3"),
            ),
        ),
        calendar=(
            Milestone(id="request", year=2026, month=11, name=both("予算要求")),
            Milestone(id="vote", year=2026, month=3, name=both("3月議会")),
            Milestone(id="decision", year=2027, month=6, name=both("交付決定"), warning=both("交付決定の前に着手すると対象にならない")),
            Milestone(id="finish", year=2027, month=3, name=both("完了(3月31日)"), warning=both("越えるときは繰越明許費")),
        ),
        benefits=(
            Benefit(
                id="hours", name=both("担当職員の時間"), unit="h/year", before=240, ask=("staff_hours_after",), measure=both("業務日報"), measure_yen=120_000
            ),
            Benefit(id="fee", name=both("利用者の負担"), unit="JPY/month", ask=("resident_fee_before",)),
        ),
        viability=Viability(
            track="shared",
            track_text=both("網は団体、利用は事業者"),
            cliff=9_000_000,
            runs=(-210_000_000, -190_000_000, -170_000_000),
            draws=2000,
            seed=7,
            varied=("leo-satellite.fee",),
            fixed=("service_cost_before",),
            tornado=(Swing(input="leo-satellite.fee", name=both("衛星回線の利用料"), low=-160_000_000, high=-220_000_000),),
            missing=("revenue_iru",),
        ),
        plants=(
            PlantOption(plant="plant-ushitsu-yanagida", id="keep", yen=12_345_678, approval="no", text=both("修繕しながら使う")),
            PlantOption(
                plant="plant-ushitsu-yanagida", id="handover", yen=None, approval="ask", text=both("引受事業者と料金を照会する"), ask=("handover_partner",)
            ),
        ),
        energy=(Energy(technology="leo-satellite", units=17, kwh=11_169, yen=None),),
        social_capital="judge",
        social_capital_text=both("病院を含むため、所管課の判断が要る"),
        assumed=({"id": "service_start_month", "name": "供用開始の月", "value": "10月", "reason": "交付決定が6月頃のため", "confirm": "担当課"},),
        missing=("depopulated", "bond_interest"),
        quotes_required=3,
        quotes_by=date(2026, 12, 15),
    )


@pytest.fixture(scope="module")
def dossier(shipped_catalogue: Catalogue) -> Dossier:
    """The example region's plan with the hand-made money above."""
    from kiban.region import read

    region = read(Path(__file__).parents[2] / "examples" / "okunoto")
    now = datetime(2026, 11, 23, tzinfo=UTC)
    made = make_plan(Given(sentence="地震で孤立した集落と避難所の通信を確保したい", region=region, catalogue=shipped_catalogue, now=now))
    assert made.plan is not None
    assert made.designed is not None
    view = View(made.plan, shipped_catalogue, words(shipped_catalogue, "ja"), "ja", region.name, region.sources)
    return Dossier(view, region, made.designed.problem, made.designed.design, hand_made(), Inputs(), TODAY)


@pytest.fixture(scope="module")
def made(dossier: Dossier) -> dict[str, Paper]:
    """The papers by path without the ending."""
    return {printed.path: printed.paper for printed in office_papers(dossier, public(dossier))}


@pytest.fixture(scope="module")
def files(made: dict[str, Paper]) -> dict[str, bytes]:
    """All papers as .docx."""
    return {path: as_docx(paper) for path, paper in made.items()}


def opened(content: bytes) -> Any:
    return docx.Document(io.BytesIO(content))


def printed(paper: Paper) -> list[str]:
    """Every text of a paper, cell by cell."""
    texts = [paper.title, paper.subtitle, paper.label, *paper.header]
    for block in flat(paper.blocks):
        if isinstance(block, Heading | Paragraph | Note):
            texts += block.text.split("\n")
        elif isinstance(block, Bullets):
            texts += block.items
        elif isinstance(block, Table):
            texts += [block.title, *block.head, *(cell for row in block.rows for cell in row), *block.remarks]
    return texts + [line for passage in paper.passages().values() for line in (*passage.text.split("\n"), passage.made)]


# The papers and their places


def test_the_papers_stand_in_two_folders(made: dict[str, Paper]) -> None:
    inside = ["起案文", "予算要求説明書", "事業計画書", "議会説明資料", "想定問答", "庁内照会文"]
    outside = ["仕様書案", "情報提供依頼書", "参考見積依頼書", "照会文"]
    assert list(made) == [f"{INSIDE}/{name}" for name in inside] + [f"{OUTSIDE}/{name}" for name in outside]


def test_every_paper_says_its_town_its_days_and_its_label_on_every_page(files: dict[str, bytes]) -> None:
    for path, content in files.items():
        for section in opened(content).sections:
            header = "".join(paragraph.text for paragraph in section.header.paragraphs)
            for part in ("能登町", "作成日 令和8年11月27日", "データ基準日 令和8年11月", "公表値による例示", path.partition("/")[0]):
                assert part in header, path
            assert "w:instrText" in section.footer._element.xml


def test_assumed_values_stand_on_the_first_page_of_every_paper(made: dict[str, Paper]) -> None:
    for path, paper in made.items():
        first = next(block for block in flat(paper.blocks) if isinstance(block, Note))
        if path.startswith(INSIDE):
            assert first.text.startswith("仮定した値が"), path
            assert "供用開始の月(担当課)" in first.text
        else:
            assert re.search("庁内の前提[0-9]+件を置いています", first.text), path


def test_no_exchange_tower_or_plant_and_no_own_section_is_named_outside(dossier: Dossier) -> None:
    plan = dossier.view.plan
    steps = tuple(msgspec.structs.replace(step, body={**step.body, "inquiries": []}) if step.id == "verdict" else step for step in plan.steps)
    changed = replace(dossier, view=replace(dossier.view, plan=msgspec.structs.replace(plan, steps=steps)))
    region = dossier.region
    names = {row.name for row in (*region.places, *region.plants)} - {site.name for site in region.sites}
    desks = {row.evidence.confirm for row in (*region.sites, *region.places, *region.plants, *region.facts) if row.evidence.confirm}
    own = {desk for desk in desks if any(mark in desk for mark in ("能登町", "庁内", "自団体", "この業務"))}
    assert names
    for path, content in papers(changed).items():
        if path.startswith(OUTSIDE):
            text = text_of(path, content)
            assert sorted(name for name in names | own if name in text) == [], path


def test_assumed_places_of_need_are_named_outside_and_other_premises_counted(dossier: Dossier) -> None:
    plan = dossier.view.plan
    site = next(site for site in dossier.region.sites if site.kind == "shelter" and site.id in {row["site"] for row in dossier.view.step("needs")["wanted"]})
    place, tower = {"id": site.id, "name": site.name, "confirm": "能登町の防災担当課"}, {"id": "tower-x", "name": "鉄塔X", "confirm": "県"}
    rows = [{**row, "reason": "r"} for row in (place, tower)]
    steps = tuple(msgspec.structs.replace(step, body={**step.body, "assumed": rows}) if step.id == "design" else step for step in plan.steps)
    seen = public(replace(dossier, view=replace(dossier.view, plan=msgspec.structs.replace(plan, steps=steps))))
    assert [confirm for _, confirm in seen.assumed] == [""]
    assert seen.withheld == 2  # the tower, and the month of service


def test_a_sentence_that_a_file_lacks_is_named(shipped_catalogue: Catalogue) -> None:
    with pytest.raises(DataFileError, match=r"no sentence h\.nothing"):
        sentences(shipped_catalogue, "rfi")("h.nothing")


def test_no_sentence_of_a_paper_is_left_over(shipped_catalogue: Catalogue) -> None:
    """Every key of the papers made here stands somewhere in the code, whole or by its beginning."""
    import kiban.documents

    code = "".join(path.read_text(encoding="utf-8") for path in Path(kiban.documents.__file__).parent.rglob("*.py"))
    mine = ("drafting", "budget-request", "project-plan", "assembly", "questions", "specification", "rfi", "quote-request", "inquiry", "inquiry-own", "common")
    unused = []
    for id in mine:
        for key in shipped_catalogue.papers[id].texts:
            parts = key.split(".")
            whole = f'"{key}"' in code
            built = any(f'"{".".join(parts[:count])}.' in code for count in range(1, len(parts)))
            if key != "file" and not (whole or built):
                unused.append(f"{id}: {key}")
    assert sorted(unused) == []


# How they are built


def test_headings_begin_at_one_and_skip_no_level(files: dict[str, bytes]) -> None:
    for path, content in files.items():
        styles = [paragraph.style.name for paragraph in opened(content).paragraphs]
        levels = [int(name.rpartition(" ")[2]) for name in styles if name.startswith("Heading")]
        assert styles.count("Title") == 1
        assert levels[:1] in ([1], []), path
        assert all(b - a <= 1 for a, b in pairwise(levels)), path
    assert sum(name.startswith("Heading") for name in (p.style.name for p in opened(files[f"{INSIDE}/予算要求説明書"]).paragraphs)) >= 12


def test_every_table_marks_its_header_row_and_splits_no_row(made: dict[str, Paper], files: dict[str, bytes]) -> None:
    for path, content in files.items():
        captions = {block.title for block in flat(made[path].blocks) if isinstance(block, Table)}
        tables = [table for table in opened(content).tables if table._tbl.tblPr.find(qn("w:tblCaption")).get(qn("w:val")) in captions]
        assert len(tables) == len(captions), path
        for table in tables:
            marks = [row._tr.trPr is not None and row._tr.trPr.find(qn("w:tblHeader")) is not None for row in table.rows]
            assert marks[0]
            assert not any(marks[1:])
            assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in table.rows)


def test_every_picture_has_words_for_those_who_do_not_see_it(made: dict[str, Paper], files: dict[str, bytes]) -> None:
    pictures = 0
    for content in files.values():
        for described in opened(content).element.body.iter(qn("wp:docPr")):
            pictures += 1
            assert len(described.get("descr")) > 20
    assert pictures == 1
    assert any(isinstance(block, Picture) for block in flat(made[f"{INSIDE}/事業計画書"].blocks))


def test_the_properties_name_no_person_and_no_clock(files: dict[str, bytes]) -> None:
    for content in files.values():
        properties = opened(content).core_properties
        assert (properties.language, properties.author, properties.last_modified_by) == ("ja-JP", "能登町(奥能登の例)", "")
        assert properties.created == properties.modified == datetime(2026, 11, 27, tzinfo=UTC)
        assert properties.title.endswith("(能登町(奥能登の例))")
        assert {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(content)).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_fonts_are_japanese_by_name_and_no_theme_wins_over_them(files: dict[str, bytes]) -> None:
    styles = opened(files[f"{INSIDE}/起案文"]).styles
    for name, font in (("Normal", "游明朝"), ("Heading 1", "游ゴシック"), ("Caption", "游ゴシック")):
        fonts = styles[name].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) == font
        assert not [key for key in fonts.attrib if "heme" in key]


def test_tables_of_fifteen_years_lie_on_their_side(made: dict[str, Paper], files: dict[str, bytes]) -> None:
    wide = [block for block in made[f"{INSIDE}/予算要求説明書"].blocks if isinstance(block, Wide)]
    assert {block.id for block in flat(wide[0].blocks) if isinstance(block, Table)} >= {"whole", "whole-refused", "debt"}
    sections = opened(files[f"{INSIDE}/予算要求説明書"]).sections
    assert [section.page_width > section.page_height for section in sections] == [False, True, False]


def test_the_same_dossier_gives_the_same_bytes(dossier: Dossier, made: dict[str, Paper], files: dict[str, bytes]) -> None:
    path = f"{INSIDE}/事業計画書"
    again = next(one.paper for one in office_papers(dossier, public(dossier)) if one.path == path)
    assert as_docx(again) == files[path]
    assert paper_pdf(again) == paper_pdf(made[path])


def test_every_pdf_is_tagged(made: dict[str, Paper]) -> None:
    for path, paper in made.items():
        content = paper_pdf(paper)
        document = pypdfium2.PdfDocument(content)
        assert pypdfium2.raw.FPDFCatalog_IsTagged(document.raw), path
        page = document[0]
        tree = pypdfium2.raw.FPDF_StructTree_GetForPage(page.raw)
        assert pypdfium2.raw.FPDF_StructTree_CountChildren(tree) > 0
        pypdfium2.raw.FPDF_StructTree_Close(tree)
        assert b"<pdfuaid:part>1</pdfuaid:part>" in content
        assert paper.title in document.get_metadata_dict()["Title"]


# Money


def test_the_first_six_years_stand_by_section_and_source(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/予算要求説明書"]
    assert paper.tables["years"].head == ("区分", "R9", "R10", "R11", "R12", "R13", "R14", "計")
    assert paper.cell("years", "国庫支出金", "R9") == "40,000"
    assert paper.cell("years", "一般財源", "R9") == "24,507"  # 94,507 - 40,000 - 30,000
    assert paper.cell("refused", "一般財源", "R9") == "94,507"
    assert paper.cell("whole", "事業費 計", "R16") == "27,544"
    assert paper.cell("debt", "公債費 計", "R10") == "3,300"


def test_every_table_of_a_budget_adds_up_as_it_is_printed(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/予算要求説明書"]
    for id in ("years", "refused", "whole", "whole-refused"):
        table = paper.tables[id]
        total = table.strong[0]
        for place in range(1, len(table.head)):
            amounts = [int(row[place].replace(",", "")) for row in table.rows]
            assert sum(amounts[:total]) == amounts[total] == sum(amounts[total + 1 :])


def test_the_months_of_the_first_year_add_up_to_the_year(made: dict[str, Paper]) -> None:
    rows = made[f"{INSIDE}/予算要求説明書"].tables["months"].rows
    amounts = [int(row[1].replace(",", "")) for row in rows]
    assert sum(amounts[:12]) == amounts[12] == 94_507
    assert [row[0] for row in rows[:3]] == ["4月", "5月", "6月"]
    assert (rows[2][3], rows[11][3]) == ("交付決定", "完了(3月31日)")


def test_a_month_of_the_calendar_is_one_of_its_fiscal_year(made: dict[str, Paper]) -> None:
    assert [row[0] for row in made[f"{INSIDE}/予算要求説明書"].tables["calendar"].rows] == ["令和8年11月", "令和9年3月", "令和9年6月", "令和10年3月"]


def test_the_year_after_support_says_who_pays_and_what_cash_it_takes(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/予算要求説明書"]
    column = "支援終了の翌年度(R10)"
    assert (paper.cell("after", "一般財源", column), paper.cell("after", "公債費", column)) == ("6,544", "3,300")
    assert paper.cell("after", "現金負担(一般財源+公債費)", column) == "9,844"


def open_rate(dossier: Dossier) -> Dossier:
    """The same with a bond whose rate nobody knows."""
    adopted = dossier.funding.adopted
    bond = msgspec.structs.replace(adopted.debt[0], interest=None)
    return replace(dossier, funding=msgspec.structs.replace(dossier.funding, adopted=msgspec.structs.replace(adopted, debt=(bond,))))


def test_where_no_rate_is_known_the_principal_stands_with_the_remark(dossier: Dossier) -> None:
    changed = open_rate(dossier)
    found = {one.path: one.paper for one in office_papers(changed, public(changed))}
    paper, column = found[f"{INSIDE}/予算要求説明書"], "支援終了の翌年度(R10)"
    assert paper.cell("after", "公債費", column) == "3,000＋利子未定"
    assert paper.cell("after", "現金負担(一般財源+公債費)", column) == "9,544以上(利子を除く)"
    assert (paper.cell("debt", "公債費 計", "R10"), paper.cell("debt", "利子", "R10")) == ("3,000\n＋利子", "利子未定")
    assert "3,000＋利子未定" in printed(found[f"{INSIDE}/議会説明資料"])
    answers = found[f"{INSIDE}/想定問答"].passages()
    assert "9,544千円以上(利子を除く)" in answers["qa.after"].text
    assert "3,000千円＋利子" in answers["qa.renewal"].text
    page = openpyxl.load_workbook(io.BytesIO(budget_xlsx(changed)))["公債費"]
    (row,) = [row for row in page.iter_rows() if "利子(利率" in str(row[0].value)]
    assert [cell.value for cell in row[1:4]] == [0, "未計算", "未計算"]


def test_supports_show_rate_and_trial_and_those_out_of_scope_are_counted(dossier: Dossier) -> None:
    finding = Finding(fact="project.technologies", state="fails", text=both("方式"))
    answers = tuple(
        msgspec.structs.replace(one, findings=(finding,)) if one.support == "island-grant" else msgspec.structs.replace(one, counted_yen=80_000_000)
        for one in dossier.funding.answers
    )
    changed = replace(dossier, funding=msgspec.structs.replace(dossier.funding, answers=answers))
    found = {one.path: one.paper for one in office_papers(changed, public(changed))}
    table = found[f"{INSIDE}/予算要求説明書"].tables["supports"]
    assert table.rows[0][2:5] == ("1/2\n(令和8年度の例)", "80,000", "40,000")
    assert any("対象外となる支援1件は省きました" in text for text in table.remarks)
    plan = found[f"{INSIDE}/事業計画書"]
    assert len(plan.tables["supports"].rows) == len(table.rows) + 1
    assert "voice.supports.island-grant" not in plan.passages()
    assert "voice.supports.mirai-grant" in plan.passages()


def test_while_the_verdict_holds_the_draft_asks_to_inquire(dossier: Dossier) -> None:
    for status, wanted in (("hold", "に係る照会及び参考見積の実施について(伺い)"), ("build", "当初予算要求について(伺い)")):
        plan = dossier.view.plan
        steps = tuple(msgspec.structs.replace(step, body={**step.body, "status": status}) if step.id == "verdict" else step for step in plan.steps)
        changed = replace(dossier, view=replace(dossier.view, plan=msgspec.structs.replace(plan, steps=steps)))
        draft = office_papers(changed, public(changed))[0].paper
        assert draft.subtitle.endswith(wanted)


def test_the_number_of_quotations_is_a_rule_only_where_the_town_says_so(dossier: Dossier) -> None:
    taken = ({"id": "quotes_required", "name": "見積の数", "value": "3", "reason": "r", "confirm": "c"},)
    for assumed, wanted in (((), "団体の規則により3者以上"), (taken, "3者以上を目安に")):
        changed = replace(dossier, funding=msgspec.structs.replace(dossier.funding, assumed=assumed))
        paper = next(one.paper for one in office_papers(changed, public(changed)) if one.path == f"{OUTSIDE}/参考見積依頼書")
        assert wanted in paper.passages()["out.quote.ask"].text


def test_the_ground_of_a_line_tells_results_from_what_a_quotation_must_confirm(dossier: Dossier, made: dict[str, Paper]) -> None:
    assert "公表実績0行、確度C・Dの公表資料2行" in made[f"{INSIDE}/想定問答"].passages()["qa.estimate"].text
    line = dossier.funding.lines[0]
    assert basis_text(line) == "公表資料(令和7年度・確度C、要見積)"
    assert basis_text(msgspec.structs.replace(line, confidence=Confidence.B)) == "公表実績(令和7年度)"
    text = text_of("x.xlsx", budget_xlsx(dossier) + b"")
    assert "衛星端末" in text
    assert not [line.id for line in dossier.funding.lines if line.id in text]


def test_another_way_is_asked_for_critical_places_only(made: dict[str, Paper]) -> None:
    assert any(re.search("重要地点[1-9][0-9]*か所", row[2]) for row in made[f"{INSIDE}/事業計画書"].tables["needs"].rows if row[1] == "別経路の確保")


def test_the_tax_grant_is_a_memo_and_no_source(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/予算要求説明書"]
    assert not [row[0] for id in ("years", "refused", "whole") for row in paper.tables[id].rows if "交付税" in row[0]]
    assert paper.cell("debt", "参考:元利償還金のうち基準財政需要額算入見込(理論値)", "R10") == "2,100"


def test_every_total_bears_the_mark_of_an_estimate(made: dict[str, Paper]) -> None:
    mark = "概算(見積未取得)、見積待ち1件を除く"
    for path, paper in made.items():
        for block in flat(paper.blocks):
            if isinstance(block, Table) and "千円" in block.title:
                assert mark in block.title, (path, block.title)
        for text in printed(paper):
            for sentence in text.split("。"):
                if re.search(r"\d千円", sentence) and "表" not in sentence[:30]:
                    assert "概算" in sentence, (path, sentence)


def test_enough_quotations_change_the_mark(dossier: Dossier) -> None:
    lines = tuple(msgspec.structs.replace(line, basis="quotes", quotes=count) for line, count in zip(dossier.funding.lines[:2], (3, 4), strict=True))
    quoted = replace(dossier, funding=msgspec.structs.replace(dossier.funding, lines=lines))
    assert Desk(quoted, "budget-request").mark == "参考見積による"
    fewer = replace(dossier, funding=msgspec.structs.replace(dossier.funding, lines=(msgspec.structs.replace(lines[0], quotes=2), lines[1])))
    assert Desk(fewer, "budget-request").mark == "概算(見積 2者、必要 3者)"


def test_a_support_never_promises_and_a_past_year_is_an_example(made: dict[str, Paper]) -> None:
    answers = [row[1] for row in made[f"{INSIDE}/予算要求説明書"].tables["supports"].rows]
    assert answers == ["当該年度の要綱未公表(令和8年度の例では:対象となり得る(要確認))", "判断に必要な事実なし", "要判断(総合通信局)", "対象外"]
    assert "(令和8年度の例では)" in made[f"{INSIDE}/予算要求説明書"].cell("outline", "見込む支援", "内容")


def test_no_paper_writes_a_price_to_be_kept_secret(made: dict[str, Paper]) -> None:
    for path, paper in made.items():
        for text in printed(paper):
            for word in ("予定価格", "最低制限価格"):
                assert word not in text or re.search(rf"{word}[^。]*(記して(いま|い)|記さない)", text), (path, text)


# Expected questions


def test_there_are_more_than_twelve_questions_and_each_rests_on_something(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/想定問答"]
    answers = paper.passages()
    assert len(answers) == 19
    blocks = list(paper.blocks)
    for place, block in enumerate(blocks):
        if isinstance(block, Passage):
            following = blocks[place + 1]
            assert isinstance(following, Paragraph)
            assert following.text.startswith(("根拠: ", "未定・照会先: ")), block.key
            assert block.text.strip()


def test_an_answer_gives_the_number_of_the_cell_that_it_cites(made: dict[str, Paper]) -> None:
    answers, budget = made[f"{INSIDE}/想定問答"].passages(), made[f"{INSIDE}/予算要求説明書"]
    assert budget.cite("years", "一般財源", "R9") == "予算要求説明書 表2 R9 一般財源"
    assert budget.cell("refused", "一般財源", "R9") in answers["qa.refused"].text
    assert budget.cell("after", "一般財源", "支援終了の翌年度(R10)") in answers["qa.after"].text
    assert "21,000千円" in answers["qa.tax-grant"].text  # 70 % of 30 million


def test_a_citation_of_a_cell_that_is_not_there_is_an_error(made: dict[str, Paper]) -> None:
    paper = made[f"{INSIDE}/予算要求説明書"]
    for table, row, column in (("nothing", "一般財源", "R9"), ("years", "寄附金", "R9"), ("years", "一般財源", "R40")):
        with pytest.raises(KibanError):
            paper.cite(table, row, column)


def test_a_stopped_case_of_a_like_town_stands_in_the_answers_with_cost_and_cause(made: dict[str, Paper]) -> None:
    text = made[f"{INSIDE}/想定問答"].passages()["qa.failures"].text
    assert "羽咋市(人口 21,729人)" in text  # the nearest in size
    assert "年間 約3,036万円" in text  # the nearest whose cost is published
    assert "費用 不明" in text


# The officer's own words


def own(dossier: Dossier, **given: Any) -> dict[str, Paper]:
    changed = replace(dossier, inputs=Inputs(**given))
    return {one.path: one.paper for one in office_papers(changed, public(changed))}


def test_own_words_stand_in_the_place_of_the_generated_text(dossier: Dossier) -> None:
    now = generated(dossier)["qa.why-now"]
    passage = own(dossier, words={"qa.why-now": "町長の公約のためです。"}, made={"qa.why-now": now})[f"{INSIDE}/想定問答"].passages()["qa.why-now"]
    assert (passage.text, passage.made) == ("町長の公約のためです。", "")


def test_letters_that_no_word_file_may_hold_are_left_out(dossier: Dossier) -> None:
    paper = own(dossier, words={"qa.exit": "a\x0bb\x00c"})[f"{INSIDE}/想定問答"]
    assert read_words(as_docx(paper))["qa.exit"] == "abc"


def test_a_changed_result_is_told_beside_own_words(dossier: Dossier) -> None:
    passage = own(dossier, words={"qa.refused": "私の答え"}, made={"qa.refused": "不採択の場合は1円です。"})[f"{INSIDE}/想定問答"].passages()["qa.refused"]
    assert passage.text == "私の答え"
    assert passage.made.startswith("計算結果が変わったため、生成文は次のとおりです")
    assert "94,507千円" in passage.made


def test_every_passage_is_read_back_from_its_paper(made: dict[str, Paper], files: dict[str, bytes]) -> None:
    for path, content in files.items():
        assert read_words(content) == {key: passage.text for key, passage in made[path].passages().items()}


def test_what_tracked_changes_insert_counts_and_what_they_delete_does_not() -> None:
    cell = "<w:tc><w:p>{}</w:p></w:tc>"
    deleted = "<w:del><w:r><w:delText>古い</w:delText><w:t>古い</w:t></w:r></w:del>"
    text = f"<w:r><w:t>町の</w:t></w:r>{deleted}<w:ins><w:r><w:t>新しい</w:t></w:r></w:ins><w:r><w:t>答え</w:t></w:r>"
    rows = f"<w:tr>{cell.format('<w:r><w:t>声 〔鍵 voice.models.x〕</w:t></w:r>')}{cell.format(text)}</w:tr>"
    assert read_words(packed(f"<w:tbl>{rows}</w:tbl>")) == {"voice.models.x": "町の新しい答え"}


def packed(body: str) -> bytes:
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("word/document.xml", f'<w:document xmlns:w="{name}"><w:body>{body}</w:body></w:document>')
    return buffer.getvalue()


def test_a_key_that_stands_twice_with_other_texts_is_refused() -> None:
    def table(text: str) -> str:
        rows = (f"<w:tr><w:tc><w:p><w:r><w:t>{one}</w:t></w:r></w:p></w:tc></w:tr>" for one in ("答 〔鍵 qa.exit〕", text))
        return f"<w:tbl>{''.join(rows)}</w:tbl>"

    assert read_words(packed(table("同じ") + table("同じ"))) == {"qa.exit": "同じ"}
    with pytest.raises(KibanError, match=r"qa\.exit.*twice"):
        read_words(packed(table("一つ") + table("二つ")))


def test_a_file_that_nests_deeper_than_python_calls_may_is_read() -> None:
    deep = "<w:ins>" * 3000 + "<w:r><w:t>深い</w:t></w:r>" + "</w:ins>" * 3000
    rows = "".join(f"<w:tr><w:tc><w:p>{one}</w:p></w:tc></w:tr>" for one in ("<w:r><w:t>〔鍵 qa.exit〕</w:t></w:r>", deep))
    assert read_words(packed(f"<w:tbl>{rows}</w:tbl>")) == {"qa.exit": "深い"}


def test_another_file_is_refused_with_the_next_step() -> None:
    for content in (b"", b"%PDF-1.7", b"PK\x03\x04"):
        with pytest.raises(KibanError, match=r"save it (again )?as (Word|\.docx)"):
            read_words(content)


def test_own_words_survive_a_round_trip_through_libreoffice(dossier: Dossier, office: Path, tmp_path: Path) -> None:
    written = {"qa.why-now": "一行目。\n二行目、<記号> & 「かぎ」。", "voice.models.shelter-comms": "電源の条項を分けてほしい。"}
    changed = own(dossier, words=written)
    for name in ("想定問答", "事業計画書"):
        paper = changed[f"{INSIDE}/{name}"]
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{paper.id}.docx").write_bytes(as_docx(paper))
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        command = [str(office), profile, "--headless", "--convert-to", "docx", "--outdir", str(tmp_path / "out"), str(tmp_path / "in" / f"{paper.id}.docx")]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        back = read_words((tmp_path / "out" / f"{paper.id}.docx").read_bytes())
        assert back == {key: passage.text for key, passage in paper.passages().items()}


# What may leave the office


def text_of(name: str, content: bytes) -> str:
    """Everything readable in a file: cells, texts and properties of a packed file, pages and metadata of a PDF, the text of any other."""
    if name.endswith((".docx", ".xlsx")):
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = [file.read(part).decode("utf-8") for part in file.namelist() if part.endswith((".xml", ".rels"))]
        return "\n".join("\n".join(ElementTree.fromstring(part).itertext()) for part in parts)
    if name.endswith(".pdf"):
        document = pypdfium2.PdfDocument(content)
        return "\n".join(page.get_textpage().get_text_range() for page in document) + str(document.get_metadata_dict())
    return content.decode("utf-8")


def amounts(funding: Funding) -> set[str]:
    """Every amount of the estimate and the budget of 1,000 and more, as it may be written in yen and in thousand yen."""
    numbers: set[float] = set()
    for line in funding.lines:
        numbers |= {line.unit_yen or 0, *line.yearly}
    for table in (funding.adopted, funding.refused):
        numbers |= {*table.total, *table.cash, *table.low, *table.high, *(year for row in (*table.sections, *table.sources) for year in row.years)}
        numbers |= {amount for bond in table.debt for amount in (*bond.principal, *(bond.interest or ()), *(bond.memo or ()))}
    texts = set()
    for number in numbers:
        for value in (round(number), round(number / 1000), -(-round(number) // 1000)):
            if value >= 1000:
                texts |= {f"{value:,}"} | ({str(value)} if value >= 100_000 else set())
    return texts


def test_no_amount_stands_in_any_file_that_leaves_the_office(dossier: Dossier) -> None:
    written = {"qa.exit": "94,507千円です。", "out.rfi.reply": "期限は来月です。"}
    changed = replace(dossier, inputs=Inputs(words=written, prices={"pon-ftth.equipment-upkeep": 765_432.0}))
    outside = {name: text_of(name, content) for name, content in papers(changed).items() if name.startswith(OUTSIDE)}
    assert len(outside) == 11
    secret = amounts(changed.funding) | {"765,432", "765432"}
    found = [(name, amount) for name, text in outside.items() for amount in secret if re.search(rf"(?<![\d,.]){re.escape(amount)}(?![\d,])", text)]
    assert found == []
    assert "期限は来月です。" in outside[f"{OUTSIDE}/情報提供依頼書.docx"]


@settings(max_examples=15)
@given(price=st.integers(1_000_003, 99_999_989), share=st.floats(0, 1))
def test_no_amount_of_any_plan_reaches_the_public_dossier(price: int, share: float, dossier: Dossier) -> None:
    base = dossier.funding
    lines = tuple(
        line if line.unit_yen is None else msgspec.structs.replace(line, unit_yen=float(price), yearly=tuple(price * share for _ in line.yearly))
        for line in base.lines
    )
    changed = replace(dossier, funding=msgspec.structs.replace(base, lines=lines))
    # Not "the price is not in it": numbers of the catalogue that anybody may read stand in it, and 2000000 is one of them.
    assert repr(public(changed)) == repr(public(dossier)), "nothing in it follows from the amounts"


def test_small_hamlets_are_counted_and_not_named_outside(dossier: Dossier, made: dict[str, Paper]) -> None:
    small = [site.name for site in dossier.region.sites if site.kind == "hamlet" and (site.households or 0) < 10]
    assert small
    for path, paper in made.items():
        if path.startswith(OUTSIDE):
            assert [name for name in small if any(name in text for text in printed(paper))] == [], path
    names = next(row[2] for row in made[f"{OUTSIDE}/仕様書案"].tables["scope"].rows if row[0] == "集落")
    assert f"小規模な集落 {len(small)}か所" in names


def test_cooperative_parts_are_requirements_and_competitive_parts_are_criteria(dossier: Dossier, made: dict[str, Paper]) -> None:
    paper = made[f"{OUTSIDE}/仕様書案"]
    model = public(dossier).model
    areas = {part.id: part.area for part in model.components}
    for table, area in (("cooperative", "cooperative"), ("competitive", "competitive")):
        wanted = [f"shelter-comms.{clause.id}" for clause in model.clauses if areas[clause.component] == area]
        assert [row[0].replace("\n", "") for row in paper.tables[table].rows] == wanted
    assert any("学識経験者の意見" in text for text in printed(paper))


def test_every_clause_says_where_it_comes_from(made: dict[str, Paper]) -> None:
    tables = made[f"{OUTSIDE}/仕様書案"].tables
    assert all("[標準モデル版\nshelter-comms/1]" in row[3] for id in ("cooperative", "competitive") for row in tables[id].rows)
    assert all(re.search(r"\[定型\n[a-z-]+\]", row[3]) for row in tables["standing"].rows)


def test_the_standing_clauses_are_those_that_apply(shipped_catalogue: Catalogue) -> None:
    model = shipped_catalogue.models["shelter-comms/1"]
    always = {"personal-data", "security-policy", "cloud-location", "logs", "service-level", "handover", "data-return", "removal", "equivalent"}
    assert set(standing(shipped_catalogue, model)) == always | {"radio-licence", "accessibility"}
    lone = tuple(msgspec.structs.replace(part, technologies=()) for part in model.components if part.layer != "app")
    clauses = tuple(clause for clause in model.clauses if clause.component in {part.id for part in lone})
    assert set(standing(shipped_catalogue, msgspec.structs.replace(model, components=lone, clauses=clauses))) == always


def test_a_request_promises_nothing_and_treats_all_alike(made: dict[str, Paper]) -> None:
    for name in ("情報提供依頼書", "参考見積依頼書"):
        text = "".join(printed(made[f"{OUTSIDE}/{name}"]))
        for part in ("契約を約束するものではありません", "不利に扱うことはありません", "期限は全者同じです", "使います"):
            assert part in text, name


def test_there_is_a_question_for_every_part_of_the_model(dossier: Dossier, made: dict[str, Paper]) -> None:
    rows = made[f"{OUTSIDE}/情報提供依頼書"].tables["questions"].rows
    assert [row[1] for row in rows] == [part.name.ja for part in public(dossier).model.components]


def test_every_letter_of_inquiry_stands_on_its_own_page(dossier: Dossier) -> None:
    letter = {
        "desk": {"ja": "県DX推進課", "en": "d"},
        "subject": {"ja": "共同利用の有無", "en": "s"},
        "body": {"ja": "次の点を教えてください。\n1. 提供の有無", "en": "b"},
    }
    steps = []
    for step in dossier.view.plan.steps:
        body = {**step.body, "inquiries": [{"id": "first", **letter}, {"id": "desk-1", **letter}]} if step.id == "verdict" else step.body
        steps.append(msgspec.structs.replace(step, body=body))
    plan = msgspec.structs.replace(dossier.view.plan, steps=tuple(steps))
    changed = replace(dossier, view=replace(dossier.view, plan=plan))
    paper = next(one.paper for one in office_papers(changed, public(changed)) if one.path == f"{OUTSIDE}/照会文")
    assert list(paper.passages()) == ["out.inquiry.first", "out.inquiry.desk-1"]
    document = opened(as_docx(paper))
    breaks = [paragraph.text for paragraph in document.paragraphs if paragraph.paragraph_format.page_break_before]
    assert breaks == ["照会1　県DX推進課", "照会2　県DX推進課"]


def test_a_letter_to_a_section_of_the_town_stays_in_the_office(dossier: Dossier) -> None:
    def letter(id: str, desk: str) -> dict[str, object]:
        return {"id": id, "desk": {"ja": desk, "en": "d"}, "subject": {"ja": "件名", "en": "s"}, "body": {"ja": f"{id}の本文", "en": "b"}}

    sent = [
        letter("a", "県DX推進課"),
        letter("b", "自団体の財政担当課"),
        letter("c", "能登町の防災担当課"),
        letter("d", "この業務の担当課"),
        letter("e", "通信事業者"),
    ]
    steps = tuple(msgspec.structs.replace(step, body={**step.body, "inquiries": sent}) if step.id == "verdict" else step for step in dossier.view.plan.steps)
    changed = replace(dossier, view=replace(dossier.view, plan=msgspec.structs.replace(dossier.view.plan, steps=steps)))
    made = {one.path: one.paper for one in office_papers(changed, public(changed))}
    assert list(made[f"{OUTSIDE}/照会文"].passages()) == ["out.inquiry.a", "out.inquiry.e"]
    assert list(made[f"{INSIDE}/庁内照会文"].passages()) == ["inquiry.b", "inquiry.c", "inquiry.d"]
    assert made[f"{INSIDE}/庁内照会文"].inside


# The document model


def test_a_table_with_rows_of_another_length_is_refused() -> None:
    with pytest.raises(KibanError, match="table t"):
        Table("t", "caption", ("a", "b"), (("1",),), "ll", (1, 1))


def test_tables_are_numbered_in_their_order_on_wide_pages_too() -> None:
    def table(id: str) -> Table:
        return Table(id, id, ("a",), (("1",),), "l", (1,))

    _, tables = numbered((table("x"), Wide((table("y"),)), table("z")))
    assert [found.title for found in tables.values()] == ["表1 x", "表2 y", "表3 z"]
    with pytest.raises(KibanError, match="twice"):
        numbered((table("x"), table("x")))


def test_a_plan_without_bond_ways_and_contracts_still_has_its_budget_request(dossier: Dossier) -> None:
    bare = msgspec.structs.replace(dossier.funding, adopted=budget("adopted", 0, 0), ways=(), contracts=(), calendar=(), answers=(), assumed=())
    paper = budget_request(Desk(replace(dossier, funding=bare), "budget-request"))
    assert "debt" not in paper.tables
    assert any("公債費はありません" in text for text in printed(paper))
    assert paper.cell("outline", "見込む支援", "内容") == "なし"
    assert any("全額を一般財源で賄う" in text for text in printed(paper))
    changed = replace(dossier, funding=bare)
    assert len(list(office_papers(changed, public(changed)))) == 10


def test_a_plan_by_years_says_that_the_budget_is_that_of_the_whole_and_shows_the_years(dossier: Dossier) -> None:
    """The figures of the years are those of the ledger; without years there is no such part."""
    view, sites = dossier.view, [site.id for site in dossier.region.sites[:10]]
    ledger = {
        "phases/0/paid": 2_345_678.0, "phases/0/money": 2_400_000.0, "phases/0/km": 1.25,
        "budget/0/most": 2_000_000.0, "budget/0/initial": 1_999_499.0, "budget/0/sites": 4.0, "budget/0/cost": 9_000_000.0,
    }  # fmt: skip
    like = next(iter(view.plan.figures.values()))
    figures = {**view.plan.figures, **{key: msgspec.structs.replace(like, value=value) for key, value in ledger.items()}}
    years = {"years": [{"year": "2027", "paid": "phases/0/paid", "money": "phases/0/money", "km": "phases/0/km", "streets": [], "sites": sites}], "left": []}
    money = {"stage": "0", "stages": [{"most": "budget/0/most", "initial": "budget/0/initial", "sites": "budget/0/sites", "cost": "budget/0/cost"}]}
    steps = tuple(
        msgspec.structs.replace(step, body={**step.body, "phases": years, "money": money}) if step.id == "design" else step for step in view.plan.steps
    )
    plan = msgspec.structs.replace(view.plan, figures=figures, steps=steps)
    by_year = replace(dossier, view=View(plan, view.catalogue, view.word, "ja", dossier.region.name, dossier.region.sources))

    tables = {block.id: block for block in flat(project_plan(Desk(by_year, "project-plan")).blocks) if isinstance(block, Table)}
    (row,) = tables["by-year"].rows
    assert row[:4] == ("令和9年度", "2,346", "1.2", "10")
    assert row[4].endswith("、ほか2件")
    assert tables["limited"].rows == (("2,000", "1,999", "4", "9,000", "指定の予算"),)
    notes = [block.text for block in budget_request(Desk(by_year, "budget-request")).blocks if isinstance(block, Note)]
    assert any("全部を初年度に整備する場合" in note for note in notes)

    plain = {block.id for block in flat(project_plan(Desk(dossier, "project-plan")).blocks) if isinstance(block, Table)}
    assert not plain & {"by-year", "limited"}


def test_letters_that_no_file_may_hold_are_left_out_and_the_paper_is_made(made: dict[str, Paper]) -> None:
    paper = next(iter(made.values()))
    strange = "\ufeff東\x0b西\ufffe\x00"
    texts = (Heading(text=strange, level=1), Paragraph(text=strange), Note(text=strange), Bullets(items=(strange,)))
    odd = replace(paper, title=f"{paper.title}{strange}", subtitle=strange, blocks=(*texts, *paper.blocks))
    document = pypdfium2.PdfDocument(paper_pdf(odd))
    assert "東西" in document[0].get_textpage().get_text_range()
    assert sum("東西" in line.text for line in opened(as_docx(odd)).paragraphs) >= 3
