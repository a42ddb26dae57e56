"""Files of Japanese offices are read as they come, and broken characters are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import RegionError
from kiban.region.text import broken, decode, read_table

TEXT = "名称,緯度,経度\n海山町役場,37.3,137.1\n東公民館,37.3,137.12\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_table_reads_the_same_in_every_encoding_that_offices_use(tmp_path, encoding):
    path = tmp_path / "施設.csv"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    table = read_table(path)
    assert table.headers == ("名称", "緯度", "経度")
    assert [(row.line, row.cells["名称"]) for row in table.rows] == [(2, "海山町役場"), (3, "東公民館")]


@pytest.mark.parametrize(
    ("written", "read"), [("utf-8", "cp932"), ("utf-8", "latin-1"), ("cp932", "latin-1")], ids=["UTF-8 as CP932", "UTF-8 as Latin-1", "CP932 as Latin-1"]
)
def test_mojibake_is_found_with_its_line_and_how_it_came_about(tmp_path, written, read):
    path = tmp_path / "施設.csv"
    text = "id,name\n1,災害対策本部\n"
    path.write_text(text.encode(written).decode(read), encoding="utf-8")
    with pytest.raises(RegionError, match=rf"施設\.csv:2: found broken characters 文字化け.*it was {written} and was read as {read}"):
        decode(path)


def test_a_lost_character_is_mojibake_too(tmp_path):
    path = tmp_path / "施設.csv"
    path.write_text("名称\n海山\ufffd役場\n", encoding="utf-8")
    with pytest.raises(RegionError, match=r"施設.csv:2: .*U\+FFFD: the original bytes are lost"):
        decode(path)


@pytest.mark.parametrize("text", ["名称,住所\n災害対策本部,海山町字山\n", "かいさん,ちょう\n"])
def test_euc_jp_is_refused_by_name(tmp_path, text):
    path = tmp_path / "施設.csv"
    path.write_bytes(text.encode("euc_jp"))
    with pytest.raises(RegionError, match=r"EUC-JP"):
        decode(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "施設.csv"
    path.write_bytes(b"\x81\xff\xfe\x00\xa0")
    with pytest.raises(RegionError, match=r"neither UTF-8 nor CP932"):
        decode(path)


@pytest.mark.parametrize("line", ["Aixàs,42.48,1.46", "“quoted” – café", "Größe, Œuvre d’art", "ﾉﾄﾁｮｳ,能登町", "能登町字宇出津ト字50-1"])
def test_whole_text_is_not_taken_for_broken(line):
    assert broken(line) is None


@given(st.text(st.characters(min_codepoint=0x3041, max_codepoint=0x3096), min_size=1, max_size=30))
def test_kana_are_never_taken_for_broken(line):
    assert broken(line) is None


def test_a_column_twice_and_a_row_too_long_are_refused(tmp_path):
    path = tmp_path / "施設.csv"
    path.write_text("名称,緯度,緯度\n", encoding="utf-8")
    with pytest.raises(RegionError, match=r"施設.csv:1: found column 緯度 twice"):
        read_table(path)
    path.write_text("名称,緯度\n役場,37.3,余り\n", encoding="utf-8")
    with pytest.raises(RegionError, match=r"施設.csv:2: found 3 cells; expected 2"):
        read_table(path)


def test_a_cell_of_a_megabyte_is_named_with_its_line(tmp_path):
    path = tmp_path / "sites.csv"
    path.write_text("id,name\nhall,公民館\nschool," + "あ" * 1_000_000 + "\n", encoding="utf-8")
    with pytest.raises(RegionError, match=r"sites\.csv:3: found field larger than field limit"):
        read_table(path)
