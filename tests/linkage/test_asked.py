"""What the parameters of a query say together: enough or too little, how deep, in which order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kiban.linkage.broker.asked import ordering, picked, selection
from kiban.linkage.broker.store import Selection
from kiban.linkage.broker.store.sqlite import SqliteStore
from kiban.linkage.errors import Problem


class Terms:
    @staticmethod
    def expand(term: str) -> str:
        return ("https://uri.etsi.org/ngsi-ld/" if term in ("createdAt", "modifiedAt") else "ex:") + term

    expand_type = expand_vocab = expand


TERMS = Terms()
NOW = "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "params",
    [
        {"type": "Bus"}, {"type": "*"}, {"attrs": "speed"}, {"attrs": "createdAt,speed"}, {"q": "speed>5"}, {"q": "createdAt>2026-01-01T00:00:00Z;speed"},
        {"local": "true"}, {"georel": "equals", "geometry": "Point", "coordinates": "[1,2]"},
    ],
)  # fmt: skip
def test_a_query_that_says_something_about_attributes_or_types_is_narrow_enough(params: dict[str, str]) -> None:
    selection(params, TERMS)


@pytest.mark.parametrize(
    "params",
    [
        {}, {"id": "urn:a:1"}, {"idPattern": ".*"}, {"attrs": "createdAt"}, {"q": 'modifiedAt>"2026-01-01T00:00:00Z"'}, {"pick": "id"}, {"scopeQ": "/a"},
        {"type": ""}, {"type": "*", "local": "false"}, {"type": "Bus", "csf": "))bad(("}, {"type": "Bus", "q": "owner{name}"},
        {"type": "Bus", "q": "owner{works{name}}", "join": "inline", "joinLevel": "1"}, {"type": "Bus", "idPattern": "a**"},
    ],
)  # fmt: skip
def test_a_query_that_is_too_wide_too_deep_or_contradicts_itself_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        selection(params, TERMS)
    assert refused.value.kind == "BadRequestData"


def test_an_entity_of_which_nothing_is_picked_is_not_told() -> None:
    assert picked({"pick": "speed,line"}, TERMS) == ("ex:speed", "ex:line")
    assert picked({"pick": "type,speed"}, TERMS) == ()
    assert picked({}, TERMS) == ()


def entity(id: str, kind: str, **attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id,
        "type": [f"ex:{kind}"],
        "createdAt": NOW,
        "modifiedAt": NOW,
        **{f"ex:{name}": [value | {"createdAt": NOW, "modifiedAt": NOW}] for name, value in attributes.items()},
    }


def to(id: str) -> dict[str, Any]:
    return {"type": "Relationship", "object": id}


def test_a_query_over_linked_entities_is_answered_by_the_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "b.db")
    session = store.writer
    tenant = session.open_tenant("")
    for each in (
        entity("urn:bus:1", "Bus", operator=to("urn:org:1")),
        entity("urn:bus:2", "Bus", operator=to("urn:org:2")),
        entity("urn:bus:3", "Bus"),
        entity("urn:org:1", "Company", name={"type": "Property", "value": "Hokutetsu"}, boss=to("urn:person:1")),
        entity("urn:org:2", "Town", name={"type": "Property", "value": "Hokutetsu"}),
        entity("urn:person:1", "Person", age={"type": "Property", "value": 50}),
    ):
        session.put(tenant, each, None)

    def ids(q: str, level: str = "2") -> list[str]:
        chosen: Selection = selection({"type": "Bus", "q": q, "join": "flat", "joinLevel": level}, TERMS)
        return session.ids(tenant, chosen)

    assert ids('operator{name}=="Hokutetsu"') == ["urn:bus:1", "urn:bus:2"]
    assert ids('operator{Company:name}=="Hokutetsu"') == ["urn:bus:1"]
    assert ids("operator{boss{age}}>40") == ["urn:bus:1"]
    assert ids("!operator{boss{age}}") == ["urn:bus:2", "urn:bus:3"]
    assert ids("operator") == ["urn:bus:1", "urn:bus:2"]
    asyncio.run(store.close())


def test_an_ordering_comes_with_its_collation() -> None:
    rows = {name: entity(name, "Bus", line={"type": "Property", "value": name}) for name in ("b", "á", "A")}
    found = ordering({"orderBy": "line", "collation": "und"}, TERMS)
    assert found is not None
    assert found.sorted(rows, rows.__getitem__) == ["A", "á", "b"]
    assert ordering({}, TERMS) is None
