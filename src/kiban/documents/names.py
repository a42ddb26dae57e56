"""Names of the figures of a plan, as people say them; the id stays beside the name as the reference.

In: a view and a figure's id. Out: a name; the id itself where it says enough.
"""

from __future__ import annotations

import re
from datetime import date

from kiban.base.jdate import day_text
from kiban.documents.names_beside import beside_name, item_name
from kiban.documents.reasons import row_names
from kiban.documents.references import phrase
from kiban.documents.view import View

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def figure_name(view: View, key: str) -> str:
    """What a figure is, in words."""
    word, parts = view.word, key.split("/")
    head, last = parts[0], parts[-1]
    plain = "figname." + ".".join(parts)
    if plain in view.catalogue.words[view.lang]:
        return word(plain)
    if head == "total" and parts[1] == "technologies":
        return word("figname.technologies", name=view.name("technologies/" + last))
    if head == "count" and parts[1] == "km":
        return word("figname.km", name=view.name("technologies/" + last))
    if head == "choices":
        return phrase(view, view.plan.figures[key].ref or key)
    if head == "count" and parts[1] == "sites":
        return word("figname.sites", name=view.name("technologies/" + last))
    if head == "years" and parts[1] == "fiscal":
        return word("figname.fiscal", year=last)
    if head == "years":
        year = view.years()[int(last)]
        layer = word("plan.total") if parts[1] == "all" else word("value.layer." + parts[1])
        return word("figname.years", layer=layer, year=year)
    if head == "sites" and last in ("own", "difference"):
        return word("figname." + last, name=row_names(view).get(parts[1], parts[1]))
    if head == "break-even" and len(parts) == 2:
        return word("figname.break_even", name=view.name("technologies/" + last))
    if head == "drill":
        return word("figname.drill", name=_drill(view, parts))
    if head == "arcs" and len(parts) > 3:
        return word("figname.arc", name=view.name("technologies/" + parts[2]), place=row_names(view).get(parts[3], parts[3]))
    return _by_item(view, key) or _by_rule(view, key) or beside_name(view, parts) or key


def _by_item(view: View, key: str) -> str | None:
    """Figures of a cost item: its evidence, the value used, its present value, its units."""
    head, _, rest = key.partition("/")
    item, _, last = rest.partition("/")
    if "#" not in item:
        return None
    if head == "prices" and last == "npv":
        return view.word("figname.price", name=item_name(view, item))
    if head == "units" and not last:
        return view.word("figname.units", name=item_name(view, item))
    if head == "technologies" and last == "used":
        return view.word("figname.used", name=item_name(view, item))
    if head == "technologies" and last.isdigit():
        return view.word("figname.evidence", name=item_name(view, item), count=int(last) + 1)
    if head == "technologies" and last == "lifetime_years":
        return f"{item_name(view, item)}: {view.word('field.lifetime_years')}"
    if head in ("technologies", "usecases"):
        owner, _, field = item.partition("#")
        if "field." + field in view.catalogue.words[view.lang]:
            side = f"（{view.word('field.' + last)}）" if last in ("low", "high") else ""
            return f"{view.name(head + '/' + owner)}: {view.word('field.' + field)}{side}"
    return None


def _by_rule(view: View, key: str) -> str | None:
    """Dated values."""
    head, _, rest = key.partition("/")
    id, mark, since = rest.partition("@")
    if head != "rules" or not mark or id not in view.catalogue.rules:
        return None
    day = day_text(date.fromisoformat(since), view.lang) if DAY.fullmatch(since) else since
    return f"{view.name('rules/' + id)} ({day})"


def _drill(view: View, parts: list[str]) -> str:
    """The event of a drill by the name of its row, or the part of the backup's cost."""
    rows, known = row_names(view), view.catalogue.words[view.lang]

    def said(part: str) -> str:
        if part in view.catalogue.technologies:
            return view.name("technologies/" + part)
        return rows.get(part) or known.get("figname.drill." + part) or part

    kind, mark, id = parts[1].partition(":")
    first = rows.get(id) or (view.word("figname.street", name=id) if kind == "street" else parts[1]) if mark else said(parts[1])
    return " · ".join([first, *(said(part) for part in parts[2:])])
