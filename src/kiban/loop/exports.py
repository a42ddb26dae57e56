"""The files of a design for other programs: map files, the Open Fibre Data Standard, the bill of materials.

In: a region, its problem and design with the ledger of its prices. Out: bytes by name. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from kiban.catalogue import Catalogue, words
from kiban.documents.bom_xlsx import bom_xlsx
from kiban.documents.geojson import design_geojson
from kiban.documents.geopackage import design_geopackage
from kiban.documents.ofds import design_ofds
from kiban.finance.estimate import estimate
from kiban.loop.given import ENGINE
from kiban.records.design import Design, Problem
from kiban.records.plan import Figure
from kiban.records.region import Region

GEOJSON, GEOPACKAGE, OFDS, BOM = "design.geojson", "design.gpkg", "design.ofds.json", "bom.xlsx"


def exports(
    region: Region,
    problem: Problem,
    design: Design,
    catalogue: Catalogue,
    figures: Mapping[str, Figure],
    *,
    excludes: Iterable[tuple[str, str]],
    status: str,
    lang: str,
    day: date,
) -> dict[str, bytes]:
    """The four files of a design.

    Parameters
    ----------
    figures   the ledger of the design step: units and prices
    excludes  (technology, cost id) of every cost of the design that nobody prices
    status    of the design step
    lang      "ja" or "en"
    day       of making; the budget form in force then orders the lines

    Raises
    ------
    KibanError  a data file that the plan was made with is gone
    """
    names = {id: catalogue.headline("technologies", id, lang) for id in catalogue.technologies}
    lines = estimate(problem, figures, catalogue.technologies, catalogue.list_at("budget-form", day), excludes=excludes, plants=region.plants)
    return {
        GEOJSON: design_geojson(region, problem, design, names, status),
        GEOPACKAGE: design_geopackage(region, problem, design, names, day),
        OFDS: design_ofds(region, problem, design, catalogue.technologies, lang),
        BOM: bom_xlsx(region, problem, design, lines, catalogue.technologies, word=words(catalogue, lang), lang=lang, day=day, engine=ENGINE),
    }


def write_exports(files: Mapping[str, bytes], target: Path) -> list[Path]:
    """Write the files into a folder, made where it is not there; a file of the same name is replaced in one step.

    Raises
    ------
    OSError  the folder cannot be written; a file that was there is whole
    """
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        draft = target / f".{name}.new"
        draft.write_bytes(content)
        draft.replace(target / name)
    return [target / name for name in files]
