"""Amounts that must not leave the office, looked for in the papers that do: what an officer typed into a passage, or into the sentence of the issue.

In: the money of a plan and the files for outside. Out: sentences, one for each file and amount. A PDF says what its .docx says and is not read.
"""

from __future__ import annotations

import html
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping

from kiban.records.funding import Funding

LEAST = 10_000  # yen; smaller numbers stand in papers for many other things
ROUGH = 1_000_000  # yen; from here on an amount in 万円 is told too
NUMBER = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?![0-9]|[.,][0-9])")
THOUSANDS = re.compile(NUMBER.pattern + r"\s*千円")
TEN_THOUSANDS = re.compile(r"(?:([0-9]+)\s*億\s*)?(?:([0-9,]*[0-9])\s*万\s*)?円")
SECRET = re.compile(
    r"(予定価格|最低制限価格|調査基準価格)[^。\n]{0,20}?(?<![0-9])([0-9][0-9,.]*\s*[億万千百]*\s*円|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{5,}|[〇一二三四五六七八九十百千万億]+円)"
)
END = re.compile(r"</(?:\w+:)?(?:p|tc|c|si|is|v)>|<(?:\w+:)?(?:br|cr|tab)\b[^>]*>")


def leaks(funding: Funding, files: Mapping[str, bytes]) -> list[str]:
    """A sentence for each amount of the estimate, and for each price that stays secret, that stands in one of the files."""
    amounts = set(_amounts(funding))
    found: dict[tuple[str, str], None] = {}
    for name, content in files.items():
        paper = name.rpartition(".")[0]
        for text in _texts(name, content):
            for amount in _stated(text):
                if amount in amounts:
                    found[paper, f"積算の金額 {amount:,} が書かれています。送る前に消してください"] = None
            for secret in SECRET.finditer(text):
                found[paper, f"{secret[1]}の金額 {secret[2]} が書かれています。送る前に消してください"] = None
    return [f"{paper}: {sentence}" for paper, sentence in found]


def _amounts(funding: Funding) -> Iterator[int]:
    """Every amount of the estimate of LEAST or more, without and with tax; what is a quantity too tells nothing and is left out."""
    quantities = {round(line.quantity) for line in funding.lines if line.quantity is not None}
    exact: list[float] = []
    for line in funding.lines:
        exact += [amount for amount in (line.unit_yen, sum(line.yearly), *line.yearly) if amount is not None]
        if line.unit_yen is not None and line.quantity is not None:
            exact.append(line.unit_yen * line.quantity)
    exact += [amount * (1 + funding.tax_rate) for amount in exact]
    for budget in (funding.adopted, funding.refused):
        for years in (budget.total, *(row.years for row in (*budget.sections, *budget.sources))):
            exact += [*years, sum(years)]
        for thousands in (budget.thousand_total, *(row.years for row in (*budget.thousand_sections, *budget.thousand_sources))):
            exact += [amount * 1000 for amount in thousands]
    for amount in exact:
        # in yen, and as somebody writes it in 千円 and 万円, cut or rounded
        sizes = (1, 1000, 10_000) if amount >= ROUGH else (1, 1000)
        for size in sizes:
            for value in {int(amount // size) * size, -int(-amount // size) * size, round(amount / size) * size}:
                if value >= LEAST and value not in quantities:
                    yield value


def _stated(text: str) -> Iterator[int]:
    for found in NUMBER.finditer(text):
        yield int(found[1].replace(",", ""))
    for found in THOUSANDS.finditer(text):
        yield int(found[1].replace(",", "")) * 1000
    for found in TEN_THOUSANDS.finditer(text):
        if found[1] or found[2]:
            yield int(found[1] or 0) * 100_000_000 + int((found[2] or "0").replace(",", "")) * 10_000


def _texts(name: str, content: bytes) -> Iterable[str]:
    """The printed text of a file, in one width of digits."""
    if name.endswith(".geojson"):
        return [_plain(content.decode("utf-8", "replace"))]
    if not name.endswith((".docx", ".xlsx")):
        return []
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        names = [name for name in package.namelist() if name.endswith(".xml") and name.startswith(("word/", "xl/sharedStrings", "xl/worksheets/"))]
        parts = [package.read(name) for name in names]
    return [_plain(html.unescape(re.sub(r"<[^>]*>", "", END.sub("\n", part.decode("utf-8", "replace"))))) for part in parts]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("，", ",")
