"""Tables that a narrow screen can show row by row.

In: the HTML of one table, as a template writes it. Out: the same with the heading of its column on every cell. The style sheet turns each row into a card
on a narrow screen, where a wide table would have to be pushed sideways; the roles keep it a table for whoever listens to it.
"""

from __future__ import annotations

import re

from markupsafe import Markup

HEADING = re.compile(r"<th\b[^>]*>(.*?)</th>", re.S)
CELL = re.compile(r"<(th|td)\b([^>]*)>")
BLANK = re.compile(r"(<td\b[^>]*>)\s+</td>")
TAG = re.compile(r"<[^>]*>")
SPAN = re.compile(r'\bcolspan="(\d+)"')
ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row"}


def labelled(table: Markup) -> Markup:
    """Each cell of the body with `data-label`, the heading of its column, and all parts with their roles.

    A cell over several columns belongs to none of them, so it has no label. A table without a heading row is returned as it is.

    >>> str(labelled(Markup('<table><thead><tr><th>Site</th><th>Way</th></tr></thead><tbody><tr><th>A</th><td>radio</td></tr></tbody></table>')))[-147:]
    '<tbody role="rowgroup"><tr role="row"><th role="rowheader" data-label="Site">A</th><td role="cell" data-label="Way">radio</td></tr></tbody></table>'
    """
    text = str(table)
    head, ending, body = text.partition("</thead>")
    if not ending:
        return table
    headings = [TAG.sub("", heading) for heading in HEADING.findall(head)]
    column = 0

    def cell(found: re.Match[str]) -> str:
        nonlocal column
        name, attributes = found.groups()
        span = SPAN.search(attributes)
        width = int(span[1]) if span else 1
        label = headings[column] if column < len(headings) and width == 1 else ""
        column += width
        role = "rowheader" if name == "th" else "cell"
        return f'<{name}{attributes} role="{role}"' + (f' data-label="{label}">' if label else ">")

    rows = []
    for row in re.split(r"(?=<tr\b)", body):
        column = 0
        rows.append(CELL.sub(cell, row))
    whole = CELL.sub(lambda found: f'<{found[1]}{found[2]} role="columnheader">', head) + ending + "".join(rows)
    for name, role in ROLES.items():
        whole = re.sub(rf"<{name}\b([^>]*)>", rf'<{name}\1 role="{role}">', whole)
    whole = BLANK.sub(r"\1</td>", whole)  # the style sheet leaves out a cell with nothing in it
    return Markup(whole)  # noqa: S704  every part of it was safe before
