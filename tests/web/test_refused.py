"""Why a file was refused is said in Japanese on a Japanese page."""

from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pytest
from docx import Document
from openpyxl import Workbook

import kiban
from kiban.base.errors import KibanError, ManyErrors
from kiban.documents.own_words import read_words
from kiban.loop.inputs import read_answers
from kiban.region.detect import KINDS, kind_of
from kiban.web.refused import GAP, refused, said, sentences

HOME = Path(kiban.__file__).parent


@pytest.mark.parametrize("english", sorted(sentences()))
def test_every_sentence_is_one_that_the_code_says(english: str) -> None:
    code = _code()
    for piece in english.split(GAP):
        assert piece.strip("(): ,") in code, f"no message says {piece!r}: a sentence that changed must change in refused.yaml too"


def test_a_japanese_sentence_uses_no_more_gaps_than_the_english_one_has() -> None:
    for english, japanese in sentences().items():
        gaps = {int(number) for number in re.findall(r"\{(\d)\}", japanese)}
        assert gaps <= set(range(english.count(GAP))), english


def test_a_workbook_that_is_none_is_refused_in_japanese(tmp_path: Path) -> None:
    file = tmp_path / "回答.xlsx"
    file.write_text("事業者名,単価\n", encoding="utf-8")
    with pytest.raises(KibanError) as error:
        read_answers(file, date(2026, 11, 27))
    assert _languages(error.value) == {"ja"}


def test_a_workbook_of_another_kind_is_refused_in_japanese(tmp_path: Path) -> None:
    file = tmp_path / "回答.xlsx"
    Workbook().save(file)
    with pytest.raises(KibanError) as error:
        read_answers(file, date(2026, 11, 27))
    assert _languages(error.value) == {"ja"}
    assert "見積様式" in refused(error.value, "ja")[0].fits.text


def test_a_file_of_no_known_kind_names_what_to_do_on_the_page(tmp_path: Path) -> None:
    file = tmp_path / "town_points.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(KibanError) as error:
        kind_of(file)
    one = refused(error.value, "ja")[0]
    assert (one.found.lang, one.step.lang) == ("ja", "ja")
    assert "town_points.csv" in one.step.text
    assert all(text in one.fits.text for text in KINDS.values())
    assert "mesh" not in one.fits.text


def test_a_word_file_that_is_none_is_refused_in_japanese() -> None:
    content = io.BytesIO()
    Document().save(content)
    with pytest.raises(KibanError) as error:
        read_words(content.getvalue()[:200], "起案文.docx")
    assert _languages(error.value) == {"ja"}


def test_an_unknown_sentence_stays_english_and_says_so() -> None:
    assert said("something that nobody translated yet", "ja").lang == "en"
    assert [one.where for one in refused(ManyErrors("x", [KibanError("a", "b"), KibanError("c", "d")]), "en")] == ["a", "c"]


def _languages(error: KibanError) -> set[str]:
    return {part.lang for one in refused(error, "ja") for part in (one.found, one.fits, one.step)}


def _code() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for room in ("documents", "loop", "region", "web") for path in sorted((HOME / room).glob("*.py")))
