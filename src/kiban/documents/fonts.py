"""The font of all papers.

In: nothing. Out: the folder that it lies in, or an error that says how it comes there.
"""

from __future__ import annotations

from pathlib import Path

from kiban.base.errors import KibanError

FONTS = Path(__file__).parent / "fonts"


def need_fonts() -> Path:
    """The folder of the fonts. Raises KibanError when they are not there."""
    if not (FONTS / "NotoSansJP_400Regular.ttf").is_file():
        raise KibanError(str(FONTS), "no font for papers", "NotoSansJP_400Regular.ttf", "run make setup")
    return FONTS
