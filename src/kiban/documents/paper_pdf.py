"""A paper as PDF: A4, tagged after PDF/UA-1, with the fonts of the package.

In: a Paper. Out: bytes, the same for the same paper.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import typst

from kiban.documents.fonts import need_fonts
from kiban.documents.paper import Block, Break, Bullets, Heading, Note, Paper, Paragraph, Passage, Passages, Picture, Table, Wide, writable_paper

HERE = Path(__file__).parent


def paper_pdf(paper: Paper) -> bytes:
    """The file. Raises KibanError when the font is not there."""
    fonts = need_fonts()
    paper = writable_paper(paper)
    data = {
        "title": paper.title,
        "whole": f"{paper.title}({paper.town})",
        "subtitle": paper.subtitle,
        "label": paper.label,
        "header": list(paper.header),
        "footer": paper.footer,
        "blocks": _row(paper.blocks),
    }
    source: Any = (HERE / "paper.typ").read_bytes()
    made: Any = typst.compile(
        source,
        font_paths=[str(fonts)],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        pdf_standards=["ua-1"],
        timestamp=int(datetime.combine(paper.day, time(), UTC).timestamp()),
    )
    assert isinstance(made, bytes)
    return made


def _row(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The blocks; a sentence that leads to a table is kept with it, and a passage with the remark below it."""
    made = [_plain(block) for block in blocks]
    for one, following in pairwise(made):
        one["sticky"] = following["kind"] == "table" or (one["kind"] == "passage" and following.get("look") == "small")
    return made


def _plain(block: Block) -> dict[str, Any]:
    """A block as the template reads it."""
    if isinstance(block, Heading):
        return {"kind": "heading", "text": block.text, "level": block.level}
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "lines": block.text.split("\n"), "look": block.look}
    if isinstance(block, Note):
        return {"kind": "note", "text": block.text}
    if isinstance(block, Bullets):
        return {"kind": "bullets", "items": list(block.items), "numbered": block.numbered}
    if isinstance(block, Picture):
        return {"kind": "picture", "svg": block.svg, "alt": block.alt, "caption": block.caption, "width": block.width}
    if isinstance(block, Passage):
        return {"kind": "passage", "label": block.label, "lines": block.text.split("\n"), "made": block.made}
    if isinstance(block, Passages):
        return {"kind": "passages", "head": list(block.head), "rows": [[row.label, [*row.text.split("\n"), row.made]] for row in block.rows]}
    if isinstance(block, Break):
        return {"kind": "break"}
    if isinstance(block, Wide):
        return {"kind": "wide", "blocks": _row(block.blocks)}
    assert isinstance(block, Table)
    return {
        "kind": "table",
        "caption": block.title,
        "head": list(block.head),
        "rows": [[cell.split("\n") for cell in row] for row in block.rows],
        "align": list(block.align),
        "widths": [share / sum(block.widths) for share in block.widths],
        "strong": list(block.strong),
        "remarks": list(block.remarks),
        "fine": block.fine,
        "whole": block.whole,
    }
