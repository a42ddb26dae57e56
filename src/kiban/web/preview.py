"""A paper as a page shows it: the same blocks of which the .docx and the PDF are made.

In: a Paper. Out: rows for the template `paper_blocks.html`. Passages keep their keys, for that is where a page lets people write.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from kiban.documents.paper import Block, Break, Bullets, Heading, Note, Paper, Paragraph, Passage, Passages, Picture, Table, Wide


def rows(paper: Paper, lang: str = "ja") -> list[dict[str, Any]]:
    """All blocks in order; tables bear their numbers, by which papers cite them, in Japanese alone.

    >>> from datetime import date
    >>> paper = Paper("x", "X", "T", (), "", date(2026, 11, 27), True, (Heading("一"), Passage("x.why", "理由", "今だから")))
    >>> [(row["kind"], row.get("key", "")) for row in rows(paper)]
    [('heading', ''), ('passage', 'x.why')]
    """
    return _rows(paper.blocks, lang)


def _rows(blocks: Sequence[Block], lang: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Wide):
            made += _rows(block.blocks, lang)
        elif not isinstance(block, Break):
            made.append(_row(block, lang))
    return made


def _row(block: Block, lang: str) -> dict[str, Any]:
    if isinstance(block, Heading):
        return {"kind": "heading", "text": block.text, "level": min(block.level + 1, 4)}
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": block.text, "look": block.look}
    if isinstance(block, Note):
        return {"kind": "note", "text": block.text}
    if isinstance(block, Bullets):
        return {"kind": "bullets", "items": block.items, "numbered": block.numbered}
    if isinstance(block, Picture):
        return {
            "kind": "picture",
            "data": b64encode(block.svg.encode()).decode(),
            "alt": block.alt,
            "caption": block.caption,
            "width": round(block.width * 100),
        }
    if isinstance(block, Passage):
        return _passage(block)
    if isinstance(block, Passages):
        return {"kind": "passages", "head": block.head, "rows": [_passage(row) for row in block.rows]}
    assert isinstance(block, Table)
    return {
        "kind": "table",
        "caption": block.title if lang == "ja" else block.caption,
        "head": block.head,
        "rows": [(row, place in block.strong) for place, row in enumerate(block.rows)],
        "align": block.align,
        "remarks": block.remarks,
        "fine": block.fine,
    }


def _passage(block: Passage) -> dict[str, Any]:
    return {"kind": "passage", "key": block.key, "label": block.label, "text": block.text, "made": block.made}
