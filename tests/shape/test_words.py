"""Every word of the interface is used somewhere: what no page and no paper says is taken out."""

from __future__ import annotations

import re
from pathlib import Path

from kiban.catalogue import Catalogue

SOURCE = Path(__file__).parent.parent.parent / "src" / "kiban"
ENDINGS = (".py", ".html", ".mjs", ".yaml", ".typ")


def test_every_word_of_the_interface_is_used(shipped_catalogue: Catalogue) -> None:
    """By its whole key, or as one of those whose beginning or end is put together: `"again.is." + name`, `f"{page}.title"`."""
    files = [path for path in SOURCE.rglob("*") if path.suffix in ENDINGS and path.parent.name != "words" and "vendor" not in path.parts]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    whole = set(re.findall(r"[\w.-]+", text))
    beginnings = tuple(set(re.findall(r"([a-z][\w-]*(?:\.[\w-]+)*[._-])(?:\{|[\"'])", text)))
    ends = tuple(
        {f".{end}" for end in re.findall(r"[}\"']\.([a-z][\w.-]*)[\"']", text)} | {f".{end}" for end in re.findall(r"[\"']\.([a-z][\w.-]*)[\"']", text)}
    )
    unused = [key for key in shipped_catalogue.words["ja"] if key not in whole and not key.startswith(beginnings) and not key.endswith(ends)]
    assert unused == []
