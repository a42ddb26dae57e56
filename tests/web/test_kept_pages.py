"""Pages that change a plan: every save is a version, two editors lose nothing, and only who may, from where they may, changes anything."""

from __future__ import annotations

import errno
import http.client
import io
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import docx
import openpyxl
import pytest

from kiban.documents import quote_form as form
from kiban.documents.papers import INSIDE, OUTSIDE
from kiban.jobs import Jobs, queue
from kiban.loop.files import read_folder, read_inputs, read_manifest
from kiban.store import open_store
from kiban.web.making import Regions

SECRET = "<script>alert(1)</script>「\"&'髙﨑𠮷"
KEY = "qa.why-now"
PAPER = "papers/questions"


class Site:
    """A server over one plan, and what a browser does with its pages."""

    def __init__(self, address: str, plan: Path) -> None:
        self.address, self.plan = address, plan
        self.parts = urlsplit(address)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(str(self.parts.hostname), self.parts.port, timeout=60)
        sent = {"Accept": "text/html", "Origin": self.address, **{key.replace("_", "-"): value for key, value in headers.items()}}
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.content = content
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, content.decode("utf-8", "replace")

    def get(self, page: str, status: int = 200) -> str:
        found, _, text = self.ask("GET", f"/plans/okunoto/{page}")
        assert found == status, text[:500]
        return text

    def post(self, page: str, status: int = 303, **fields: str) -> str:
        """Send a form; of a redirect the address, else the page."""
        body = urlencode(fields).encode()
        found, headers, text = self.ask("POST", f"/plans/okunoto/{page}", body, Content_Type="application/x-www-form-urlencoded")
        assert found == status, text[:2000]
        return headers["location"].removeprefix("/plans/okunoto/") if status == 303 else text

    def send(self, page: str, *files: tuple[str, bytes], status: int = 303) -> str:
        """Send files; of a redirect the address, else the page."""
        edge = "----edge"
        parts = [f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n" for name, content in files]
        body = b"".join(parts) + f"--{edge}--\r\n".encode()
        found, headers, text = self.ask("POST", f"/plans/okunoto/{page}", body, Content_Type=f"multipart/form-data; boundary={edge}")
        assert found == status, text[:2000]
        return headers["location"].removeprefix("/plans/okunoto/") if status == 303 else text

    def version(self, page: str = PAPER) -> str:
        found = re.search(r'name="version" value="(\d+)"', self.get(page))
        assert found is not None
        return found[1]

    def write(self, text: str, version: str, status: int = 303, **more: str) -> str:
        return self.post(PAPER, status, key=KEY, text=text, version=version, **more)

    def ready(self) -> None:
        """Wait for the papers."""
        for _ in range(300):
            if "作り直しています" not in self.get("papers/state"):
                return
            time.sleep(0.1)
        raise AssertionError("papers were not made")


@pytest.fixture
def made(example_folder: Path, tmp_path: Path, serve: Callable[..., str]) -> Iterator[Site]:
    """A site whose papers follow each change."""
    plan = Path(shutil.copytree(example_folder, tmp_path / "plans" / "okunoto"))
    store = open_store("", tmp_path / "kiban.db")
    one = Site(serve(tmp_path / "plans", store=store), plan)
    yield one
    one.ready()
    store.close()


@pytest.fixture
def site(made: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One whose papers stay as they were, for they take some seconds."""
    monkeypatch.setattr("kiban.web.keeping.remake", lambda *_: None)
    return made


def in_paper(path: Path) -> str:
    return "\n".join(cell.text for table in docx.Document(str(path)).tables for row in table.rows for cell in row.cells)


def test_a_passage_is_written_in_the_page_and_stands_in_the_paper(made: Site) -> None:
    page = made.get(PAPER)
    assert f'id="{KEY}"' in page
    where = made.write("今年度に要る理由は、協定の満了です。\r\n二行目", "0", why="課長の指示")
    assert where == f"{PAPER}?lang=ja&saved=1#{KEY}"
    page = made.get(where.partition("#")[0])
    assert "第1版として保存しました" in page
    assert "今年度に要る理由は、協定の満了です。\n二行目" in page
    made.ready()
    assert "今年度に要る理由は、協定の満了です。\n二行目" in in_paper(made.plan / INSIDE / "想定問答.docx")
    history = made.get("history")
    assert all(text in history for text in ("第1版", "課長の指示", "この端末の利用者", "令和8年", "今年度に要る理由は"))


def test_two_browsers_that_edit_one_passage_lose_nothing_and_see_both_texts(site: Site) -> None:
    first = second = site.version()
    site.write("佐藤の文", first)
    where = site.write("鈴木の文", second)
    assert where == "drafts/1?lang=ja"
    page = site.get(where)
    assert "佐藤の文" in page
    assert "鈴木の文" in page
    assert "二つの文が重なりました" in page
    assert read_inputs(site.plan).words == {KEY: "佐藤の文"}
    assert "控え1" in site.get("history")
    choice = f"c.words.{KEY}"
    assert "どの文にするか" in site.post("drafts/1", 422, version="1"), "nothing is chosen for anybody"
    site.post("drafts/1", version="1", **{choice: "both", f"t.words.{KEY}": "佐藤の文\r\n鈴木の文"})
    assert read_inputs(site.plan).words == {KEY: "佐藤の文\n鈴木の文"}
    assert "もう今の版と同じ" not in site.get("drafts/1"), "the draft can still be looked at"


def test_either_text_of_two_can_be_kept(site: Site) -> None:
    site.write("佐藤の文", "0")
    site.write("鈴木の文", "0")
    site.post("drafts/1", version="1", **{f"c.words.{KEY}": "now"})
    assert read_inputs(site.plan).words == {KEY: "佐藤の文"}
    site.post("drafts/1", version="1", **{f"c.words.{KEY}": "mine"})
    assert read_inputs(site.plan).words == {KEY: "鈴木の文"}
    assert "もう今の版と同じ" in site.get("drafts/1")


def test_different_passages_changed_at_once_are_both_kept_without_asking(site: Site) -> None:
    site.write("佐藤の文", "0")
    assert site.post(PAPER, key="qa.not-doing", text="鈴木の文", version="0").startswith(PAPER)
    assert set(read_inputs(site.plan).words.values()) == {"佐藤の文", "鈴木の文"}


def test_an_older_version_comes_back_and_who_saw_an_older_state_is_asked_again(site: Site) -> None:
    site.write("一", "0")
    site.write("二", "1")
    assert "この版に戻す" in site.get("history/1")
    assert "見ている間に別の人が保存しました" in site.post("history/1", 409, version="1")
    site.post("history/1", version="2")
    assert read_inputs(site.plan).words == {KEY: "一"}
    site.post("history/2", version="3", why="やはり")
    assert read_inputs(site.plan).words == {KEY: "二"}
    assert "第1版に戻した" in site.get("history")
    site.get("history/99", 404)


def test_back_to_the_generated_text_takes_the_own_one_away(site: Site) -> None:
    site.write("自分の文", "0")
    assert "元の文に戻す" in site.get(PAPER)
    site.write("自分の文", "1", back="1")
    assert read_inputs(site.plan).words == {}
    assert "自分の文</span>" not in site.get(PAPER)


def test_what_was_typed_comes_back_when_it_cannot_be_kept(site: Site) -> None:
    page = site.write("長" * 20_001, "0", 422, why="理由")
    assert "20,001字" in page
    assert page.count("長") >= 20_001
    assert 'value="理由"' in page
    assert read_inputs(site.plan).words == {}


def test_script_in_every_field_is_shown_as_text_and_nowhere_run(site: Site) -> None:
    site.write(SECRET, "0", why=SECRET)
    site.write("ほか" + SECRET, "0", why=SECRET)
    site.post("facts", version="1", why=SECRET, **{"fact.payer_after_support": SECRET})
    site.send("papers/upload", (f"{SECRET}.docx", b"no docx"), status=422)
    pages = [site.get(page) for page in (PAPER, "history", "history/1", "drafts/1", "facts", "papers", "quotes")]
    pages.append(site.send("papers/upload", (f"{SECRET}.docx", b"no docx"), status=422))
    for page in pages:
        assert "<script>alert" not in page
    assert "alert(1)" in unescape(pages[0])
    assert "髙﨑𠮷" in pages[0]
    assert read_inputs(site.plan).words[KEY] == SECRET


def test_a_form_of_another_page_and_an_unknown_passage_change_nothing(site: Site) -> None:
    for page in (PAPER, "facts", "papers", "quotes", "quotes/remove", "papers/upload", "history/1", "drafts/1"):
        status, _, _ = site.ask("POST", f"/plans/okunoto/{page}", b"x=1", Content_Type="application/x-www-form-urlencoded", Origin="http://elsewhere.example")
        assert status == 403, page
    site.post(PAPER, 404, key="no.such", text="x", version="0")
    site.get("papers/nothing", 404)
    site.get("drafts/1", 404)
    assert read_inputs(site.plan).words == {}


def test_papers_that_are_older_than_what_was_written_are_not_packed(site: Site) -> None:
    site.write("自分の文", "0")
    assert "作り終わってから" in site.get(f"papers/{quote(INSIDE)}.zip", 409)
    assert "書類は、今の版より前のものです" in site.get("papers")


def test_where_the_generated_text_changed_since_the_page_shows_all_three(site: Site) -> None:
    site.write("自分の文", "0")
    inputs = site.plan / "inputs.json"
    made = read_inputs(site.plan).made[KEY]
    inputs.write_text(inputs.read_text().replace(made[:10], "前のモデルの文"))
    page = site.get(PAPER)
    assert "元の文が変わりました" in page
    assert "前のモデルの文" in page
    assert made in unescape(page)
    site.write("", "2", seen="1")
    assert "元の文が変わりました" not in site.get(PAPER)
    assert read_inputs(site.plan).words == {KEY: "自分の文"}


def test_a_text_whose_place_went_with_a_change_of_the_plan_is_still_shown(site: Site) -> None:
    inputs = site.plan / "inputs.json"
    inputs.write_text('{"words": {"out.inquiry.gone": "送った照会の文"}}')
    page = site.get("papers")
    assert "今の書類に場所のない文" in page
    assert "送った照会の文" in page


# Files


def edited(content: bytes, key: str, text: str) -> bytes:
    book = docx.Document(io.BytesIO(content))
    for table in book.tables:
        cells = [cell for row in table.rows for cell in row.cells]
        place = next((at for at, cell in enumerate(cells) if f"鍵 {key}〕" in cell.text), None)
        if place is not None:
            cells[place + 1].text = text
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_paper_edited_elsewhere_is_shown_before_it_is_taken_in(site: Site) -> None:
    content = edited((site.plan / INSIDE / "想定問答.docx").read_bytes(), KEY, "Wordで書いた文")
    where = site.send("papers/upload", ("想定問答.docx", content))
    page = site.get(where)
    assert "Wordで書いた文" in page
    assert page.count("<legend>") == 1, "the one passage that differs"
    assert read_inputs(site.plan).words == {}, "nothing has changed yet"
    site.post(where.partition("?")[0], version="0", **{f"c.words.{KEY}": "mine"})
    assert read_inputs(site.plan).words == {KEY: "Wordで書いた文"}
    assert "今の版と違う所はありません" in site.send("papers/upload", ("想定問答.docx", content), status=422)


def test_an_upload_over_a_newer_text_shows_both(site: Site) -> None:
    content = edited((site.plan / INSIDE / "想定問答.docx").read_bytes(), KEY, "Wordで書いた文")
    where = site.send("papers/upload", ("想定問答.docx", content))
    site.write("画面で書いた文", "0")
    page = site.get(where)
    assert "画面で書いた文" in page
    assert "Wordで書いた文" in page
    assert "ほかの人も変えました" in page


def test_files_that_are_too_large_too_many_or_no_papers_are_refused(site: Site) -> None:
    site.send("papers/upload", ("x.docx", b"0" * (20 * 1024 * 1024 + 1)), status=413)
    assert "20個まで" in site.send("papers/upload", *[(f"{number}.docx", b"x") for number in range(21)], status=413)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b"0" * 60_000_000)
    assert "取り込めません" in site.send("papers/upload", ("bomb.docx", bomb.getvalue()), status=422)
    assert "取り込めません" in site.send("papers/upload", ("../../etc/passwd", b"root"), status=422)
    assert "ファイルが選ばれていません" in site.send("papers/upload", ("", b""), status=422)
    site.post("papers/upload", 415, file="x")
    assert not list(site.plan.parent.parent.glob("etc"))


def test_a_paper_edited_in_the_folder_comes_in_and_a_damaged_one_stops_nothing_but_changes(site: Site) -> None:
    path = site.plan / INSIDE / "想定問答.docx"
    whole = path.read_bytes()
    path.write_bytes(edited(whole, KEY, "フォルダで書いた文"))
    assert "フォルダで書いた文" in site.get(PAPER)
    history = site.get("history")
    assert "フォルダの中の変更" in history
    assert "フォルダの中で編集済み" in site.get("papers")
    path.write_bytes(b"broken")
    page = site.get("papers")
    assert "読めません" in page
    assert "書き換えを止めています" in page
    assert str(site.plan.parent) not in page
    assert '<form method="post"' not in page
    where = site.write("読めない間に書いた文", "1")
    assert "読めない間に書いた文" in site.get(where)
    path.write_bytes(whole)
    site.post(where.partition("?")[0], version="1", **{f"c.words.{KEY}": "mine"})
    assert read_inputs(site.plan).words == {KEY: "読めない間に書いた文"}


def test_folders_are_packed_with_names_that_open_everywhere(site: Site) -> None:
    for folder, some in ((INSIDE, "予算要求説明書.docx"), (OUTSIDE, "仕様書案.docx")):
        status, headers, _ = site.ask("GET", f"/plans/okunoto/papers/{quote(folder)}.zip")
        assert status == 200
        assert headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(folder)}.zip"
        with zipfile.ZipFile(io.BytesIO(site.content)) as packed:
            assert packed.testzip() is None
            assert f"{folder}/{some}" in packed.namelist()
            assert all(one.flag_bits & 0x800 for one in packed.infolist()), "names are UTF-8"
            assert {one.filename for one in packed.infolist()} == {name for name in read_manifest(site.plan).sums if name.startswith(folder)}
    site.get("papers/other.zip", 404)


def test_the_folder_for_outside_is_not_packed_while_an_amount_stands_in_it(made: Site) -> None:
    amount = read_folder(made.plan).funding.adopted.total[0]
    made.post("papers/specification", key="out.spec.purpose", text=f"総額は{amount:,}円です。", version="0")
    made.ready()
    page = made.get("papers")
    assert "外へ出す前に消してください" in page
    assert f"積算の金額 {amount:,} が書かれています" in made.get(f"papers/{quote(OUTSIDE)}.zip", 409)
    assert f"{amount:,}" in made.get("papers/specification")
    made.get(f"papers/{quote(INSIDE)}.zip")


# Facts


def test_facts_are_saved_together_and_budget_and_verdict_follow(made: Site) -> None:
    page = made.get("facts")
    assert "財政担当課" in page
    assert "わからない" in page
    before = read_folder(made.plan).funding
    assert "body_kind" in before.missing
    where = made.post(
        "facts", version="0", **{"fact.body_kind": "town", "fact.depopulated": "yes", "fact.staff_hours_before": "１，２００", "fact.iru_income": ""}
    )
    assert where.startswith("facts?")
    made.ready()
    after = read_folder(made.plan)
    assert after.inputs.facts == {"body_kind": "town", "depopulated": True, "staff_hours_before": 1200.0}
    assert not {"body_kind", "depopulated", "staff_hours_before"} & set(after.funding.missing)
    assert "答えた事実 3件" in made.get("facts")
    made.post("facts", version="1", **{"fact.depopulated": ""})
    assert "depopulated" not in read_inputs(made.plan).facts


def test_one_answer_that_does_not_fit_saves_none_and_loses_none(site: Site) -> None:
    page = site.post(
        "facts",
        422,
        version="0",
        why="聞き取り",
        **{"fact.body_kind": "town", "fact.staff_hours_before": "たくさん", "fact.current_contract_end": "令和9年13月"},
    )
    assert 'value="たくさん"' in page
    assert "数で入れてください" in page
    assert 'value="聞き取り"' in page
    assert re.search(r'value="town" checked', page)
    assert read_inputs(site.plan).facts == {}


# Quotations


def filled(plan: Path, supplier: str, price: Callable[[str], object]) -> bytes:
    book = openpyxl.load_workbook(plan / OUTSIDE / "見積様式.xlsx")
    page, lines = book[form.SHEET], False
    for row in page.iter_rows():
        if row[0].value == form.SUPPLIER:
            row[1].value = supplier
        if row[0].value == form.VALID:
            row[1].value = "令和9年3月31日"
        if lines and row[0].value:
            row[5].value = price(str(row[0].value))
        lines = lines or row[0].value == form.ID
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_answers_are_read_compared_taken_in_and_taken_out_again(made: Site) -> None:
    answers = [(f"{name}.xlsx", filled(made.plan, name, lambda _, factor=factor: 100_000 * factor)) for name, factor in (("甲", 1), ("乙", 1.2), ("丙", 9))]
    where = made.send("quotes", *answers)
    page = made.get(where)
    assert "見積: 甲" in page
    assert "離れている" in page, "丙 is far from the others and is named before anything is taken in"
    assert read_inputs(made.plan).quotes == ()
    made.post(where.partition("?")[0], version="0", **{f"c.quotes.{name}": "mine" for name in "甲乙丙"})
    assert [quote.supplier for quote in read_inputs(made.plan).quotes] == ["甲", "乙", "丙"]
    made.ready()
    assert {line.basis for line in read_folder(made.plan).funding.lines} == {"quotes"}
    page = made.get("quotes")
    assert "120,000" in page
    assert "令和9年3月31日" in page
    assert "必要な数がそろいました" in page
    made.post("quotes/remove", supplier="丙", version="1")
    assert [quote.supplier for quote in read_inputs(made.plan).quotes] == ["甲", "乙"]
    made.post("history/1", version="2")
    assert len(read_inputs(made.plan).quotes) == 3


def test_a_cell_that_cannot_be_read_is_named_and_nothing_is_taken_in(site: Site) -> None:
    page = site.send("quotes", ("甲.xlsx", filled(site.plan, "甲", lambda _: "応相談")), status=422)
    assert "甲.xlsx 見積様式!F" in page
    assert "kiban-upload" not in page
    assert read_inputs(site.plan).quotes == ()


def test_the_text_for_the_mail_holds_no_amount(site: Site) -> None:
    page = unescape(site.get("quotes"))
    mail = page.split('id="mail"')[1].split("</textarea>")[0]
    assert "参考見積をお願いします" in mail
    assert not re.search(r"[0-9,]{5,}\s*円", mail)


def test_a_full_disk_keeps_what_was_written_and_the_page_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("kiban.loop.kept.write_inputs", full)
        site.write("満杯でも残る", "0")
        page = unescape(site.get(PAPER))
        assert "満杯でも残る" in page
        assert "No space left on device" in page
        where = site.write("満杯でも残る、二度目", "1")
        assert "満杯でも残る、二度目" in unescape(site.get(where))
    assert "満杯でも残る" in unescape(site.get(PAPER))
    site.ready()


def test_a_full_queue_stops_no_saving(site: Site, tmp_path: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "WAITING", 0)
    jobs = Jobs(tmp_path / "jobs", [sys.executable, "-c", "pass"], tmp_path / "regions", site.plan.parent, str)
    store = open_store("", tmp_path / "other.db")
    busy = Site(serve(site.plan.parent, regions=Regions(tmp_path / "regions"), jobs=jobs, store=store), site.plan)
    assert "saved=1" in busy.write("列が長くても残る", "0")
    assert "0 papers that wait" in busy.post("papers", 503)
    store.close()
