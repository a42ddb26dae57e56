"""Names of the figures beside the design: money, years of works, old plant, electricity, traffic, weak numbers, town and country, flip prices.

In: a view and the parts of a figure's id. Out: a name in the language of the page, or None where this module knows none.
"""

from __future__ import annotations

from collections.abc import Callable

from kiban.documents.reasons import cost_name, row_names
from kiban.documents.view import View

Parts = list[str]


def beside_name(view: View, parts: Parts) -> str | None:
    """What a figure beside the design is, in words.

    >>> sorted(FAMILIES)[:3]
    ['budget', 'energy', 'first']
    """
    known = FAMILIES.get(parts[0])
    return known(view, parts) if known is not None and len(parts) > 1 else None


def item_name(view: View, item: str) -> str:
    """The name of "<technology>#<cost>", or of "<technology>#<cost>@<plant>" with that of the plant."""
    technology, _, rest = item.partition("#")
    cost, _, plant = rest.partition("@")
    name = f"{view.name('technologies/' + technology)}: {cost_name(view, technology, cost)}"
    return name + (view.aside(row_names(view).get(plant, plant)) if plant else "")


def _said(view: View, family: str, last: str, **blanks: str) -> str | None:
    """`figname.<family>` with what `figname.<family>.<last>` says of the part; None without such a word."""
    what = f"figname.{family}.{last}"
    return view.word("figname.of", what=view.word(what), **blanks) if what in view.catalogue.words[view.lang] else None


def _budget(view: View, parts: Parts) -> str | None:
    rows = row_names(view)
    if parts[1] == "full" and len(parts) == 3:
        return view.word("figname.budget.share", share=f"{float(parts[2]):.0%}")
    if parts[1] == "waiting" and len(parts) == 5:
        return view.word("figname.budget.joining", name=rows.get(parts[2], parts[2]), usecase=view.name("usecases/" + parts[3]))
    if parts[1].isdigit() and len(parts) == 3:
        return _said(view, "budget", parts[2], name=view.word("figname.budget.step", step=int(parts[1]) + 1))
    return None


def _phases(view: View, parts: Parts) -> str | None:
    if len(parts) != 3 or not parts[1].isdigit():
        return None
    return _said(view, "phases", parts[2], name=view.years()[int(parts[1])])


def _plants(view: View, parts: Parts) -> str | None:
    id, _, field = parts[1].partition("#")
    name = row_names(view).get(id, id)
    if field:
        return _field(view, name, field)
    return _said(view, "plants", ".".join(parts[2:]), name=name)


def _energy(view: View, parts: Parts) -> str | None:
    if parts[1] not in view.catalogue.technologies:
        return None
    return _said(view, "energy", parts[2] if len(parts) > 2 else "kwh", name=view.name("technologies/" + parts[1]))


def _gap(view: View, parts: Parts) -> str | None:
    if len(parts) < 4:
        return None
    need = view.word("gap.coverage" if parts[1] == "coverage" else "field." + parts[1])
    return _said(view, "gap", ".".join(parts[3:]), name=f"{need}{view.aside(view.word('gap.area.' + parts[2]))}")


def _tornado(view: View, parts: Parts) -> str | None:
    last = parts[-1]
    ref = "/".join(parts[2:-1] if last == "rests" else parts[2:])
    if parts[1] == "price":
        name = item_name(view, ref)
    elif parts[1] == "row":
        name = view.word("tornado.row", name=row_names(view).get(ref, ref))
    else:
        name = _number(view, ref)
    return view.word("figname.rests" if last == "rests" else "figname.swings", name=name)


def _number(view: View, ref: str) -> str:
    """A dated value, or a field of a technology or a use case."""
    kind, _, rest = ref.partition("/")
    id, mark, field = rest.partition("#")
    if kind == "rules":
        rule = rest.partition("@")[0]
        return view.word("figname.detour") if rule == "detour" else view.name("rules/" + rule)
    item, slash, last = field.partition("/")
    if not mark:
        return ref
    return _field(view, item_name(view, f"{id}#{item}") if slash else view.name(f"{kind}/{id}"), last or item) or ref


def _traffic(view: View, parts: Parts) -> str | None:
    scenario, _, table = parts[1].partition("#")
    if scenario in view.catalogue.traffic:
        name = view.name("traffic/" + scenario)
        if table and len(parts) == 3:
            return view.word("figname.of", name=name, what=parts[2])
        if table and len(parts) == 2:
            return _said(view, "traffic", table, name=name)
        if len(parts) == 4 and parts[3].isdigit():
            return _said(view, "traffic", parts[2], name=f"{name}, {view.years()[int(parts[3])]}" if int(parts[3]) < len(view.years()) else name)
        if len(parts) == 4 and parts[3] == "year":
            return view.word("figname.of", name=name, what=f"{parts[2]} ({view.word('figname.traffic.year')})")
        if len(parts) == 6:
            return _said(view, "traffic", parts[5], name=f"{name}, {view.name('technologies/' + parts[3])} {parts[4]}")
        return None
    if scenario in view.catalogue.technologies and len(parts) == 4:
        return _said(view, "traffic", parts[3], name=f"{view.name('technologies/' + scenario)} {parts[2]}")
    return None


def _flip(view: View, parts: Parts) -> str | None:
    if parts[1] not in view.catalogue.technologies:
        return None
    if "arcs" in parts:
        return _arc(view, parts)
    if len(parts) != 3:
        return None
    return _said(view, "flip", parts[2], name=view.name("technologies/" + parts[1]))


def _arc(view: View, parts: Parts) -> str | None:
    """One path of a design: ".../arcs/<kind>/<technology>/<place>..."."""
    path = parts[parts.index("arcs") + 1 :] if "arcs" in parts else []
    if len(path) < 3:
        return None
    name = view.word("figname.arc", name=view.name("technologies/" + path[1]), place=row_names(view).get(path[2], path[2]))
    return view.word("figname.of", name=name, what=view.word("figname.first")) if parts[0] == "first" else name


def _sites(view: View, parts: Parts) -> str | None:
    return _said(view, "sites", parts[-1], name=row_names(view).get(parts[1], parts[1])) if len(parts) == 3 else None


def _region(view: View, parts: Parts) -> str | None:
    """A row of the region folder: "region/<id>#<row>/<field>", or a street "region/<id>#streets/<id>/km"."""
    row = parts[1].partition("#")[2]
    if row == "streets" and len(parts) > 2:
        return view.word("figname.street", name=parts[2])
    return _field(view, row_names(view).get(row, row), parts[2]) if row and len(parts) == 3 else None


def _prices(view: View, parts: Parts) -> str | None:
    if "#" not in parts[1] or len(parts) < 3:
        return None
    name = item_name(view, parts[1])
    if parts[2] == "spent" and len(parts) == 4 and int(parts[3]) < len(view.years()):
        return view.word("figname.of", name=name, what=view.word("figname.spent", year=view.years()[int(parts[3])]))
    return _said(view, "prices", parts[2], name=name)


def _field(view: View, name: str, field: str) -> str | None:
    known = "field." + field
    return view.word("figname.of", name=name, what=view.word(known)) if known in view.catalogue.words[view.lang] else None


FAMILIES: dict[str, Callable[[View, Parts], str | None]] = {
    "budget": _budget,
    "energy": _energy,
    "first": _arc,
    "flip": _flip,
    "gap": _gap,
    "phases": _phases,
    "plants": _plants,
    "prices": _prices,
    "region": _region,
    "sites": _sites,
    "tornado": _tornado,
    "traffic": _traffic,
}
