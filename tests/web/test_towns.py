"""Towns in the browser: found, shown, a table brought in, checked, confirmed and taken back; a new town; and what is refused on the way."""

from __future__ import annotations

import http.client
import io
import json
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from kiban.region import read
from kiban.web.frame import Frame, Who
from kiban.web.making import Regions

NASTY = "<script>alert(1)</script>\"'.csv"
HEAD = """id: umiyama
name: 海山町<b>
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
missing:
  - {what: 標高 / elevation, why: 見通しを判定できない / no line of sight, ask: 国土地理院 / GSI}
  - {what: 他の市区町村の行 / rows of other municipalities, why: この地域のものではない / not of this region, ask: 不要 / nobody}
"""
SITES = "id,kind,name,lat,lon,population,source\nhall-east,shelter,東公民館,37.300,137.120,300,survey\n"
NEW = "名称,種別,緯度,経度,人口\n東公民館,避難所,37.300,137.120,３１０\n北公民館,避難所,137.150,37.330,50\n南公民館,避難所,37.290,137.110,約40人\n"
TABLE = (
    "団体コード,都道府県名（漢字）,市区町村名（漢字）,都道府県名（カナ）,市区町村名（カナ）\n"
    "174637,石川県,能登町,ｲｼｶﾜｹﾝ,ﾉﾄﾁｮｳ\n172057,石川県,珠洲市,ｲｼｶﾜｹﾝ,ｽｽﾞｼ\n"
)


@dataclass(frozen=True)
class Answer:
    status: int
    place: str
    text: str
    headers: dict[str, str]


@dataclass
class Office:
    """A server with one town, and a browser of it."""

    folder: Path
    host: str
    port: int

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        body = None if form is None else urlencode(form).encode()
        return self.send(path, body, "application/x-www-form-urlencoded", **headers)

    def upload(self, path: str, files: Sequence[tuple[str, bytes]], fields: dict[str, str] | None = None, **headers: str) -> Answer:
        mark = uuid.UUID(int=7).hex
        parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in (fields or {}).items()]
        for name, content in files:
            shown = name.replace("\\", "\\\\").replace('"', "%22")
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n\r\n'.encode() + content + b"\r\n")
        return self.send(path, b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}", **headers)

    def send(self, path: str, body: bytes | None, kind: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        own = {"Accept": "text/html", "Origin": f"http://{self.host}:{self.port}", "Content-Type": kind}
        connection.request("GET" if body is None else "POST", path, body=body, headers={k: v for k, v in {**own, **headers}.items() if v})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, answer.getheader("Location") or "", text, {key.lower(): value for key, value in answer.getheaders()})

    def bring(self, name: str, content: bytes, lang: str = "ja") -> str:
        """The path of the page of an import."""
        answer = self.upload(f"/towns/umiyama/imports?lang={lang}", [(name, content)])
        assert answer.status == 303, answer.text
        return answer.place

    def confirm(self, place: str, **fields: str) -> Answer:
        page = self.ask(place)
        state = re.search(r'name="state" value="([0-9a-f]+)"', page.text)
        assert state is not None
        return self.ask(place.replace("?", "/confirm?"), {"state": state[1], "title": "避難所一覧", **fields})


@pytest.fixture
def office(tmp_path: Path, serve: Callable[..., str]) -> Office:
    (tmp_path / "regions" / "umiyama").mkdir(parents=True)
    (tmp_path / "regions" / "umiyama" / "region.yaml").write_text(HEAD, encoding="utf-8")
    (tmp_path / "regions" / "umiyama" / "sites.csv").write_text(SITES, encoding="utf-8")
    address = urlsplit(serve(tmp_path / "plans", regions=Regions(tmp_path / "regions"), state=tmp_path / "state"))
    return Office(tmp_path, str(address.hostname), int(address.port or 0))


# --- finding and showing


def test_towns_are_found_by_name_reading_and_code_in_any_width(office):
    assert office.upload("/towns/table", [("codes.csv", TABLE.encode("cp932"))]).place.startswith("/towns?lang=ja&taken=2")
    for asked in ("すず", "スズシ", "ｽｽﾞ", "珠洲", "１７２０５", "172057", "石川県珠洲市"):
        page = office.ask(f"/towns?q={quote(asked)}").text
        assert ["珠洲市" in page, "code=172057" in page, "海山町" in page] == [True, True, False], asked
    for asked in ("ﾉﾄ", "174", "umiyama"):
        assert "/towns/umiyama?" in office.ask(f"/towns?q={quote(asked)}").text, asked
    assert "当たる町はありません" in office.ask("/towns?q=zzz").text


def test_an_empty_installation_says_what_to_do(tmp_path, serve):
    address = urlsplit(serve(tmp_path / "plans", regions=Regions(tmp_path / "regions"), state=tmp_path / "state"))
    empty = Office(tmp_path, str(address.hostname), int(address.port or 0))
    assert "まだ町がありません" in empty.ask("/towns").text
    assert "No town yet" in empty.ask("/towns?lang=en").text


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_page_of_a_town_shows_what_is_known_what_is_missing_and_a_letter(office, lang):
    page = office.ask(f"/towns/umiyama?lang={lang}").text
    assert "海山町&lt;b&gt;" in page
    assert "<b>御中" not in page
    assert "国土地理院 御中" in page  # letters are Japanese in both languages
    assert page.count('class="inquiry"') == page.count(" 御中")
    assert "不要 御中" not in page
    assert "/new?" in page
    assert "region=umiyama" in page
    assert office.ask("/towns/nowhere").status == 404


# --- an import


def test_a_table_is_read_checked_confirmed_and_taken_back(office):
    before = (office.folder / "regions" / "umiyama" / "sites.csv").read_bytes()
    place = office.bring("r8.csv", NEW.encode("cp932"))
    page = unescape(office.ask(place).text)
    assert "3行目 C列「緯度」" in page
    assert "「137.150」" in page
    assert "入れ替えてください" in page
    assert "4行目 E列「人口」" in page
    assert "40 として取り込みます" in page
    assert re.search(r"<del[^>]*>300</del> → <ins[^>]*>310</ins>", page)
    assert (office.folder / "regions" / "umiyama" / "sites.csv").read_bytes() == before  # nothing is written before it is confirmed
    answer = office.confirm(place, publisher="海山町", published="令和８年４月１日", reason="年度更新")
    assert answer.status == 303
    shown = office.ask(answer.place).text
    assert "追加 1・変更 1・削除 0・取り込まず 1" in shown
    assert "left.csv" in shown
    assert "利用条件 不明" in shown
    assert "年度更新" in shown
    assert " UTC" not in shown
    assert re.search(r"R\d+\.\d+\.\d+ \d\d:\d\d — ", shown)  # when it was brought, in 和暦 and the time of Japan
    region = read(office.folder / "regions" / "umiyama")
    assert {site.name: site.population for site in region.sites} == {"東公民館": 310, "南公民館": 40}
    assert region.sources["r8"].published == "2026-04-01"
    back = office.ask("/towns/umiyama/undo", {"number": "1"})
    assert back.status == 303
    assert (office.folder / "regions" / "umiyama" / "sites.csv").read_bytes() == before


@pytest.mark.parametrize("number", ["²", "①", "x", "-1", "9" * 30])
def test_what_is_no_number_is_no_change_no_sheet_and_no_code(office, number):
    assert office.ask("/towns/umiyama/undo", {"number": number}).status == 404
    place = office.bring("r8.csv", NEW.encode()).partition("?")[0]
    assert office.ask(f"{place}/matching", {"sheet": number}).status == 303
    assert office.upload("/towns/new", [("a.csv", b"a")], {"code": number * 6}).status == 422


def test_the_rows_left_out_come_back_as_a_table_that_a_spreadsheet_takes_for_no_formula(office):
    place = office.bring("r8.csv", NEW.replace("北公民館", "=cmd|' /C calc'!A0").encode())
    left = office.ask(place.replace("?", "/left.csv?"))
    assert left.headers["content-type"] == "text/csv; charset=utf-8"
    assert left.headers["content-disposition"].startswith('attachment; filename="r8-left.csv"')
    (row,) = left.text.removeprefix("\ufeff").splitlines()[1:]
    assert row.startswith("'=cmd|' /C calc'!A0,避難所,137.150,37.330,50,3行目 C列「緯度」")


def test_the_officer_can_say_what_a_column_is_and_the_next_table_needs_no_click(office):
    table = "建物,北,東\nA棟,37.31,137.14\nB棟,37.32,137.15\n"
    place = office.bring("list.csv", table.encode())
    matching = place.replace("?", "/matching?")
    assert office.ask(matching, {"table": "sites", "kind": "hall", "column.0": "name", "column.1": "lat", "column.2": "lon"}).status == 303
    assert office.confirm(place).status == 303
    page = office.ask(office.bring("next.csv", table.replace("37.31", "37.315").encode())).text
    assert "前に同じ見出しの表で確かめた対応" in page
    assert "追加 0・変更 1・同じ 1" in page


def test_a_change_of_somebody_else_between_preview_and_confirmation_is_seen_and_what_was_typed_stays(office):
    place = office.bring("r8.csv", NEW.encode())
    answer = office.ask(place.replace("?", "/confirm?"), {"state": "0" * 64, "title": "一覧", "publisher": "打った文字"})
    assert answer.status == 409
    assert "別の人が町の表を変えました" in answer.text
    assert "打った文字" in answer.text


def test_a_date_that_cannot_be_read_loses_nothing(office):
    answer = office.confirm(office.bring("r8.csv", NEW.encode()), published="いつか", reason="わけ")
    assert answer.status == 422
    assert "公表日が読めません" in answer.text
    assert "いつか" in answer.text
    assert "わけ" in answer.text


def test_several_files_wait_on_the_page_of_the_town(office):
    answer = office.upload("/towns/umiyama/imports", [("a.csv", NEW.encode()), ("b.csv", NEW.encode())])
    assert answer.place.endswith("#waiting")
    page = office.ask("/towns/umiyama").text
    assert page.count("/towns/umiyama/imports/") == 2
    assert "a.csv" in page
    assert "b.csv" in page
    token = re.search(r"/imports/([\w-]{22})", page)
    assert token is not None
    assert office.ask(f"/towns/umiyama/imports/{token[1]}/drop", {}).status == 303
    assert office.ask(f"/towns/umiyama/imports/{token[1]}").status == 404


# --- attacks


def packed(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


BOOK = {
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="s" r:id="i"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="i" Target="worksheets/s.xml"/></Relationships>',
}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bomb.xlsx", packed(**BOOK, **{"xl/worksheets/s.xml": "<w>" + " " * 130_000_000 + "</w>"}), "解凍すると大きすぎます"),
        ("laughs.xlsx", packed(**BOOK, **{"xl/worksheets/s.xml": '<!DOCTYPE x [<!ENTITY a "ha">]><w>&a;</w>'}), "実体（ENTITY）の定義"),
        ("slip.xlsx", packed(**BOOK, **{"../../evil": "x"}), "部品の名前がおかしい"),
        ("old.xls", b"\xd0\xcf\x11\xe0", "古い形の Excel"),
        ("huge.csv", b"a,b\n" * 6_000_000, "20 MB を超えています"),
        ("../../../etc/" + NASTY, b"%PDF-1.7", "表ではないファイル"),
    ],
    ids=["zip bomb", "entities", "path in zip", "old", "huge", "script and path in name"],
)
def test_files_made_to_harm_are_refused_with_words_and_nothing_is_written(office, name, content, sentence):
    before = sorted(path for path in office.folder.rglob("*") if path.is_file())
    answer = office.upload("/towns/umiyama/imports", [(name, content)])
    assert answer.status == 422
    assert sentence in answer.text
    assert "<script>alert" not in answer.text
    assert "etc/" not in answer.text
    assert sorted(path for path in office.folder.rglob("*") if path.is_file()) == before


def test_script_in_file_name_header_and_cell_is_shown_as_text(office):
    table = "名称,種別,緯度,経度,<img src=x onerror=alert(1)>\n<script>alert(2)</script>,避難所,37.3,137.12,x\n<script>alert(3)</script>,謎<b>,たぶん,137.1,x\n"
    place = office.bring(NASTY, table.encode())
    page = office.ask(place).text
    for text in ("<script>alert", "<img src=x", "謎<b>"):
        assert text not in page
    assert office.confirm(place, title=NASTY, reason=NASTY, publisher=NASTY).status == 303
    assert "<script>alert" not in office.ask("/towns/umiyama").text
    left = office.ask(place.replace("?", "/left.csv?")).headers["content-disposition"]
    assert "<" not in left
    assert "\n" not in left


@pytest.mark.parametrize("origin", ["http://evil.example", ""])
def test_no_other_site_can_bring_confirm_or_take_back(office, origin):
    place = office.bring("r8.csv", NEW.encode())
    assert office.upload("/towns/umiyama/imports", [("a.csv", NEW.encode())], Origin=origin).status == 403
    assert office.upload("/towns/table", [("a.csv", TABLE.encode())], Origin=origin).status == 403
    assert office.upload("/towns/new", [("a.csv", NEW.encode())], {"name": "x"}, Origin=origin).status == 403
    for action in ("confirm", "matching", "drop"):
        assert office.ask(place.replace("?", f"/{action}?"), {"state": ""}, Origin=origin).status == 403
    assert office.ask("/towns/umiyama/undo", {"number": "1"}, Origin=origin).status == 403


@pytest.mark.parametrize("path", ["/towns/..%2f..%2fetc/imports/x", "/towns/umiyama/imports/..%2f..%2f..%2fetc", "/towns/.kiban", "/towns/new/..%2f.."])
def test_paths_that_lead_elsewhere_are_no_pages(office, path):
    assert office.ask(path).status == 404


def test_more_than_a_request_may_carry_is_refused_while_it_comes(office, monkeypatch):
    from kiban.web import intake, uploads

    monkeypatch.setattr(intake, "uploaded", lambda frame, request: uploads.uploaded(frame, request, 10_000))
    assert office.upload("/towns/umiyama/imports", [("a.csv", b"x" * 20_000)]).status == 413
    assert office.send("/towns/umiyama/imports", b"nonsense", "multipart/form-data; boundary=x").status == 400
    assert office.ask("/towns/umiyama/imports", {"file": "x"}).status == 415
    assert office.upload("/towns/umiyama/imports", []).status in (400, 422)


# --- a new town


def made(office: Office, answer: Answer) -> str:
    """Where a new town leads to when it is there, or the page that says what to mend."""
    assert answer.status == 303, answer.text
    for _ in range(100):
        page = office.ask(answer.place)
        if page.status == 303:
            return page.place
        if "refresh" not in page.headers:
            return page.text
        time.sleep(0.1)
    raise AssertionError("not made in ten seconds")


def test_a_new_town_is_made_of_official_files(office, test_data):
    files = [
        ("避難所.geojson", (test_data / "noto" / "shelters.geojson").read_bytes()),
        ("../../hyo.csv", (test_data / "municipality" / "municipalities_master.csv").read_bytes()),
    ]
    place = made(office, office.upload("/towns/new", files, {"code": "１７４６３", "name": "", "assume": "on", "publisher": "海山町"}))
    assert place == "/towns/town-174637?lang=ja"
    region = read(office.folder / "regions" / "town-174637")
    assert (region.name, region.lg_code, len(region.sites), region.places[0].id) == ("能登町", "174637", 37, "exchange-assumed")
    assert {source.publisher for source in region.sources.values() if source.title.endswith(("hyo.csv", "geojson"))} == {"海山町"}
    assert list((office.folder / "state" / "building").iterdir()) == []
    assert "IDが" not in office.upload("/towns/new", files, {"code": "17463"}).text
    assert office.upload("/towns/new", files, {"code": "17463"}).status == 422  # it is there already


def test_a_new_town_that_cannot_be_made_says_what_to_mend_and_a_kind_can_be_named(office):
    table = "ID,名称,緯度,経度\nA1,謎の建物,37.30,137.12\n"
    text = made(office, office.upload("/towns/new", [("list.csv", table.encode())], {"name": "山里町", "id": "yamazato"}))
    assert "このファイルのままでは作れませんでした" in text
    assert "位置の分かる行がない" in text
    assert "種別のわからない施設" in text
    assert 'lang="en"' not in text.partition("<main")[2]
    assert not (office.folder / "regions" / "yamazato").exists()
    again = re.search(r'action="(/towns/new/[\w-]+)', text)
    assert again is not None
    assert made(office, office.ask(again[1], {"kind.0": "shelters"})) == "/towns/yamazato?lang=ja"


@pytest.mark.parametrize(
    ("fields", "name", "sentence"),
    [
        ({"code": "174638"}, "a.csv", "使えません"),
        ({}, "a.csv", "団体コードか町の名前"),
        ({"name": "山里町"}, "a.exe", "読めません"),
        ({"name": "山里町", "id": "../x"}, "a.csv", "使えないか"),
        ({"name": "山里町", "id": "umiyama"}, "a.csv", "もうあります"),
    ],
)
def test_a_form_that_cannot_be_used_says_why_and_keeps_what_was_typed(office, fields, name, sentence):
    answer = office.upload("/towns/new", [(name, b"x")], fields)
    assert answer.status == 422
    assert sentence in answer.text
    assert all(f'value="{value}"' in answer.text for value in fields.values())


def test_features_that_are_no_points_are_named(office):
    shapes = {"features": [{"properties": {"名称": "区域"}, "geometry": {"type": "Polygon", "coordinates": []}}]}
    page = office.ask(office.bring("area.geojson", json.dumps(shapes).encode(), "en")).text
    assert "feature 1" in page
    assert "This is a Polygon" in page


def test_a_viewer_sees_towns_and_changes_nothing(office, monkeypatch):
    place = office.bring("r8.csv", NEW.encode())
    monkeypatch.setattr(Frame, "who", lambda *_: Who("閲覧する人", "viewer"))
    shown = office.ask("/towns/umiyama").text
    assert "東公民館" not in shown
    assert "わかっていること" in shown
    assert 'type="file"' not in shown
    assert [office.ask(path).status for path in (place, place.replace("?", "/left.csv?"), "/towns/new")] == [403, 403, 403]
    assert [office.ask(place.replace("?", f"/{one}?"), {"state": ""}).status for one in ("confirm", "matching", "drop")] == [403, 403, 403]
    assert [office.upload(path, [("a.csv", NEW.encode())], {"name": "x"}).status for path in ("/towns/umiyama/imports", "/towns/table", "/towns/new")] == [
        403
    ] * 3
    assert office.ask("/towns/umiyama/undo", {"number": "1"}).status == 403
