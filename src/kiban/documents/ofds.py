"""The lines of a design in the Open Fibre Data Standard 0.3: a network package with one network of nodes and spans.

In: region, problem, design, technologies. Out: bytes of JSON, the standard's own publication format. What the design and its rows do not know
(fibre counts, cable types, dates of service, addresses) is absent, never guessed. The file shows the ways of lines and stays in the office.

Source: schema 0__3__0 of Open-Telecoms-Data/open-fibre-data-standard, network-package-schema.json.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from kiban.documents.features import DECIMALS, Feature, Point, draw
from kiban.records.design import Design, Problem
from kiban.records.region import Region
from kiban.records.technology import Technology

SCHEMA = "https://raw.githubusercontent.com/Open-Telecoms-Data/open-fibre-data-standard/0__3__0/schema/network-schema.json"
CRS = {"name": "urn:ogc:def:crs:OGC::CRS84", "uri": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
FIBRE = "fibre"  # the network of fibre in the data files, and the code of the standard for it
RADIO = "microwave"  # the standard's only code for a hop by radio
NODE_TYPES = {"exchange": "exchange", "tower": "tower"}  # kinds of place that the standard's open list of node types has a code for
NEW, STANDING = "design", "existing"  # phases


def design_ofds(region: Region, problem: Problem, design: Design, technologies: Mapping[str, Technology], lang: str) -> bytes:
    """The network package.

    Parameters
    ----------
    technologies  those of the catalogue: which lines are fibre, and their names
    lang          "ja" or "en": the language of names of technologies

    Returns
    -------
    JSON with one network: spans for every fibre line and radio hop of the design, nodes for what they join. Without any of them neither list is
    there, as the standard asks.
    """
    names = {id: str(getattr(technology.name, lang)) for id, technology in technologies.items()}
    drawing = draw(region, problem, design, names)
    lines = [feature for feature in (*drawing.of("lines"), *drawing.of("hops")) if _medium(feature, problem, technologies)]
    points = {f"junctions/{one.id}": (round(one.lon, DECIMALS), round(one.lat, DECIMALS)) for one in region.junctions}
    rows = {feature.id: feature for feature in (*drawing.of("facilities"), *drawing.of("sites"))}
    points |= {id: row.points[0] for id, row in rows.items()}
    merged = _merged(rows, points)
    used = sorted({merged[end] for feature in lines for end in feature.ends or ()})
    owners = _owners(lines)
    phases = _phases(problem, lines)
    country = "JP" if region.lg_code is not None else None
    network: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"kiban:design/{region.id}")),
        "name": " ".join(part for part in (region.name, f"[{region.label}]" if region.label else "") if part),
        "nodes": [_node(id, points[id], rows.get(id), country) for id in used],
        "spans": [_span(feature, _medium(feature, problem, technologies), merged, owners, phases, country) for feature in lines],
        "phases": list(phases.values()),
        "organisations": [
            {"id": id, "name": name, **({"country": country} if country else {}), "roles": ["physicalInfrastructureProvider"]} for name, id in owners.items()
        ],
        "crs": CRS,
        "language": lang,
        "links": [{"href": SCHEMA, "rel": "describedby"}],
    }
    kept = {key: value for key, value in network.items() if value not in ([], "")}
    return msgspec.json.format(msgspec.json.encode({"networks": [kept]}), indent=1)


def _medium(feature: Feature, problem: Problem, technologies: Mapping[str, Technology]) -> str | None:
    """What a span is made of, None for what is no span: links from a mast to its sites, lines of another network."""
    kind, technology = feature.properties["kind"], technologies.get(feature.properties["technology"] or "")
    if kind == "hop":
        return RADIO
    if kind in ("exchange", "feed"):  # a spur of the network of the junction that it starts or ends at
        ends = {end.partition("/")[2] for end in feature.ends or ()}
        networks = {node.technology for node in problem.nodes if node.kind == "junction" and node.ref in ends}
        return FIBRE if FIBRE in networks else None
    return FIBRE if technology is not None and technology.wiring.network == FIBRE and technology.medium == "wired" else None


def _merged(rows: Mapping[str, Feature], points: Mapping[str, Point]) -> dict[str, str]:
    """The node that stands for each end: a junction that lies exactly at a facility or a site is that one's node, so that its lines meet there."""
    standing: dict[Point, str] = {}
    for id, row in rows.items():
        standing.setdefault(row.points[0], id)
    return {id: standing.get(point, id) if id.startswith("junctions/") else id for id, point in points.items()}


def _node(id: str, point: Point, row: Feature | None, country: str | None) -> dict[str, Any]:
    node: dict[str, Any] = {"id": id, "location": {"type": "Point", "coordinates": list(point)}}
    if row is not None:
        node["name"] = row.properties["name"]
        kind = NODE_TYPES.get(row.properties["kind"]) if row.layer == "facilities" else None
        if kind:
            node["type"] = [kind]
    if country:
        node["address"] = {"country": country}
    return node


def _owners(lines: list[Feature]) -> dict[str, str]:
    """Owners of existing plant in the design, with ids that hold within this file."""
    names = sorted({str(feature.properties["owner"]) for feature in lines if feature.properties.get("owner")})
    return {name: f"owners/{index}" for index, name in enumerate(names, start=1)}


def _phases(problem: Problem, lines: list[Feature]) -> dict[str, dict[str, Any]]:
    """What stands already, and what the design adds from its first fiscal year on."""
    kinds = {STANDING if feature.properties["kind"] in ("plant", "exchange") else NEW for feature in lines}
    known = {
        STANDING: {"id": STANDING, "name": "既存設備 / existing plant"},
        NEW: {"id": NEW, "name": f"{problem.start}年度からの設計 / design from FY{problem.start}"},
    }
    return {id: phase for id, phase in known.items() if id in kinds}


def _span(
    feature: Feature, medium: str | None, merged: Mapping[str, str], owners: Mapping[str, str], phases: Mapping[str, dict[str, Any]], country: str | None
) -> dict[str, Any]:
    of, (start, end) = feature.properties, feature.ends or ("", "")
    standing = of["kind"] in ("plant", "exchange")
    phase = phases[STANDING if standing else NEW]
    span: dict[str, Any] = {"id": feature.id, "phase": {"id": phase["id"], "name": phase["name"]}, "start": merged[start], "end": merged[end]}
    span |= {"directed": False, "transmissionMedium": [medium]}
    said = [part for part in (of.get("text"), of.get("plant_name")) if part]
    if of.get("year_built"):
        said.append(f"{of['year_built']}年整備 / built {of['year_built']}")
    if of.get("assumed"):
        said.append("仮定の行 / an assumed row")
    elif of["kind"] != "exchange":  # of an assumed row nobody knows whether it works; a spur is known to be there only
        span["status"] = "operational" if standing else "proposed"
    if said:
        span["deploymentDetails"] = {"description": "; ".join(said)}
    if medium == FIBRE:
        span["fibreLength"] = of["length_m"] / 1000
    if owner := of.get("owner"):
        span["physicalInfrastructureProvider"] = {"id": owners[owner], "name": owner}
    if country:
        span["countries"] = [country]
    if len(set(feature.points)) > 1:
        span["route"] = {"type": "LineString", "coordinates": [list(point) for point in feature.points]}
    return span
