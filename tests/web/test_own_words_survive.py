"""An officer's edit lives through what happens around it: LibreOffice, a new model, new sentences of the papers; all of it through the pages."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from html import unescape
from pathlib import Path

import docx
import openpyxl
import pypdfium2
import pytest
from tests.web.test_kept_pages import KEY, PAPER, Site, edited, filled, in_paper

import kiban
from kiban.catalogue import Catalogue, load, words
from kiban.documents.estimate_xlsx import ID, LINES, PRICE
from kiban.documents.handover import Pack, handover
from kiban.documents.papers import INSIDE, OUTSIDE
from kiban.documents.view import View
from kiban.loop.files import read_folder, read_inputs
from kiban.records.funding import Inputs, Quote
from kiban.store import open_store
from kiban.web.frame import Who

OWN = "協定が令和9年3月に満了します。\n「待つ」と二重に払う——髙橋課長の指摘。"


@pytest.fixture
def site(example_folder: Path, tmp_path: Path, serve: Callable[..., str]) -> Iterator[Site]:
    plan = Path(shutil.copytree(example_folder, tmp_path / "plans" / "okunoto"))
    store = open_store("", tmp_path / "kiban.db")
    one = Site(serve(tmp_path / "plans", store=store), plan)
    yield one
    one.ready()
    store.close()


@pytest.fixture
def convert(office: Path, tmp_path: Path) -> Callable[[bytes, str, str], bytes]:
    """A file as LibreOffice saves it in another format."""

    def through(content: bytes, ending: str, wanted: str) -> bytes:
        (tmp_path / f"file.{ending}").write_bytes(content)
        command = [str(office), "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to", wanted, "--outdir", str(tmp_path / "out")]
        done = subprocess.run([*command, str(tmp_path / f"file.{ending}")], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "out" / f"file.{wanted.partition(':')[0]}").read_bytes()

    return through


def test_a_paper_and_an_estimate_come_back_from_libreoffice_with_the_officers_words(site: Site, convert: Callable[[bytes, str, str], bytes]) -> None:
    site.write(OWN, "0")
    site.ready()
    content = edited((site.plan / INSIDE / "想定問答.docx").read_bytes(), "qa.share", "隣の町と相談中です。")
    odt = convert(content, "docx", "odt")
    back = convert(odt, "odt", "docx:MS Word 2007 XML")
    where = site.send("papers/upload", ("想定問答.docx", back))
    page = unescape(site.get(where))
    assert page.count("<legend>") == 1, "only what was edited there differs, not what was written in the page before"
    assert "隣の町と相談中です。" in page
    site.post(where.partition("?")[0], version="1", **{"c.words.qa.share": "mine"})
    assert read_inputs(site.plan).words == {KEY: OWN, "qa.share": "隣の町と相談中です。"}
    site.ready()

    book = openpyxl.load_workbook(site.plan / INSIDE / "積算内訳書.xlsx")
    heads = next(row for row in book[LINES].iter_rows() if any(cell.value == ID for cell in row))
    at, price = (next(cell.column for cell in heads if str(cell.value).startswith(name)) for name in (ID, PRICE))
    line = next(one.id for one in read_folder(site.plan).funding.lines if one.unit_yen is not None)
    row = next(row[0].row for row in book[LINES].iter_rows() if row[at - 1].value == line)
    book[LINES].cell(row, price).value = 123_456
    out = io.BytesIO()
    book.save(out)
    where = site.send("papers/upload", ("積算内訳書.xlsx", convert(out.getvalue(), "xlsx", "xlsx:Calc MS Excel 2007 XML")))
    assert "123,456 円" in site.get(where)
    site.post(where.partition("?")[0], version="2", **{f"c.prices.{line}": "mine"})
    site.ready()
    after = read_folder(site.plan)
    assert after.inputs.prices == {line: 123_456.0}
    assert {one.id: one.unit_yen for one in after.funding.lines}[line] == 123_456.0
    assert after.inputs.words == {KEY: OWN, "qa.share": "隣の町と相談中です。"}
    assert OWN in in_paper(site.plan / INSIDE / "想定問答.docx")


def newer(folder: Path) -> Catalogue:
    """The catalogue after an update: another text of a paper, and a model that says something else."""
    shipped = Path(kiban.__file__).parent / "data"
    for name, old, new in (
        ("papers/questions.yaml", "待った場合に失うもの", "先送りすると失うもの"),
        ("models/shelter-comms/1.yaml", "避難所・孤立集落の通信確保", "避難所と集落の通信を守る新しい型"),
    ):
        text = (shipped / name).read_text()
        assert old in text
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(old, new))
    return load(folder, None)


def test_own_words_survive_an_update_of_model_and_papers_and_the_page_says_what_changed(site: Site, tmp_path: Path, serve: Callable[..., str]) -> None:
    site.write(OWN, "0", why="課長の指摘")
    site.post("papers/specification", key="out.spec.purpose", text="町の言葉で書いた目的。", version="1")
    site.ready()
    store = open_store("", tmp_path / "kiban.db")
    updated = Site(serve(site.plan.parent, newer(tmp_path / "data"), store=store), site.plan)
    updated.post("papers")
    updated.ready()
    assert OWN in in_paper(site.plan / INSIDE / "想定問答.docx")
    assert "町の言葉で書いた目的。" in in_paper(site.plan / OUTSIDE / "仕様書案.docx")
    plan = "\n".join(paragraph.text for paragraph in docx.Document(str(site.plan / INSIDE / "事業計画書.docx")).paragraphs)
    assert "避難所と集落の通信を守る新しい型" in plan + in_paper(site.plan / INSIDE / "事業計画書.docx"), "the update reached the papers"
    page = unescape(updated.get(PAPER))
    assert OWN in page
    assert "元の文が変わりました" in page
    assert "先送りすると失うもの" in page, "what is generated today"
    assert "待った場合に失うもの" in page, "what was generated when the officer wrote"
    assert len(read_inputs(site.plan).words) == 2
    store.close()


def test_who_may_only_read_sees_no_form_and_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiban.web.frame.Frame.who", lambda *_: Who("見る人", "viewer"))
    for page in ("papers", PAPER, "facts", "quotes", "history", "handover"):
        assert '<form class="make" method="post"' not in site.get(page), page
    for page in (PAPER, "facts", "papers", "quotes", "quotes/remove", "papers/upload", "history/1", "drafts/1"):
        site.post(page, 403, version="0", key=KEY, text="x")
    assert read_inputs(site.plan).words == {}
    site.get("papers/%E5%BA%81%E5%86%85%E9%99%90%E3%82%8A.zip")


# The hand-over


def test_the_hand_over_says_what_a_successor_must_know_and_can_be_taken_along(site: Site) -> None:
    site.write(OWN, "0", why="課長の指摘")
    where = site.send("quotes", ("甲.xlsx", filled(site.plan, "甲", lambda _: 100_000)))
    site.post(where.partition("?")[0], version="1", **{"c.quotes.甲": "mine"})
    site.ready()
    page = unescape(site.get("handover"))
    for text in (OWN, "課長の指摘", "この端末の利用者", "保留", "予算要求", "財政担当課", "令和9年3月31日", "送った日（手書き）", "見積: 甲", "地域社会DX"):
        assert text in page, text
    english = unescape(site.get("handover?lang=en"))
    assert "Open promises" in english
    assert "budget request" in english
    site.ask("GET", "/plans/okunoto/handover.docx")
    assert OWN in "\n".join(cell.text for table in docx.Document(io.BytesIO(site.content)).tables for row in table.rows for cell in row.cells)
    site.ask("GET", "/plans/okunoto/handover.pdf")
    text = "".join(one.get_textpage().get_text_range() for one in pypdfium2.PdfDocument(site.content))
    assert "引継書" in text
    site.get("handover.exe", 404)


def test_what_ends_within_ninety_days_is_named_and_what_ended_or_ends_later_is_not(example_folder: Path, shipped_catalogue: Catalogue) -> None:
    one = read_folder(example_folder)
    view = View(one.plan, shipped_catalogue, words(shipped_catalogue, "ja"), "ja", one.region.name, one.region.sources)

    def quote(name: str, until: date) -> Quote:
        return Quote(supplier=name, received=date(2026, 12, 1), file="x.xlsx", valid_until=until)

    quotes = (quote("甲", date(2026, 12, 26)), quote("乙", date(2027, 3, 26)), quote("丙", date(2027, 3, 28)))
    inputs = Inputs(quotes=quotes, facts={"current_contract_end": "2027-02-28"})
    paper = handover(Pack(view, one.funding, inputs, (), (), (), "okunoto", date(2026, 12, 27)))
    steps = [(row[0], row[1]) for row in paper.tables["next"].rows]
    assert ("令和9年3月26日", "乙の見積の有効期限") in steps
    assert ("令和9年2月28日", view.name("facts/current_contract_end")) in steps
    assert not [name for _, name in steps if name.startswith(("甲", "丙"))]
    assert paper.tables["quotes"].rows[0][3] == "令和8年12月26日\n期限切れ"
