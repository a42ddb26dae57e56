"""Pages of selections: the same entities whichever way they are found, and a way that is short for what is asked."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.linkage.strategies import BASE, BORN, DEFAULT, TERMS, entities

from kiban.linkage.broker.geo import parse_geo
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.render import LOCATION, decode, encode_lean
from kiban.linkage.broker.selection import parse_id_pattern, parse_scope, parse_types
from kiban.linkage.broker.store import Selection, Who, sqlite
from kiban.linkage.broker.store.looking import looking

DECLARED = (BASE + "level", DEFAULT + "height")
MANY = 2400
PAST, LATER = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


def instance(kind: str, value: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "value": value, "createdAt": BORN, "modifiedAt": BORN}]


def thing(number: int) -> dict[str, Any]:
    """Levels are spread, heights fall as levels rise, one in 40 has a mark; types, words and places take turns."""
    made: dict[str, Any] = {
        "id": f"urn:ngsi-ld:{'Well' if number % 3 else 'Bus'}:{number:05d}",
        "type": [BASE + ("Well" if number % 3 else "Bus")] + ([BASE + "Shelter"] if number % 50 == 0 else []),
        "createdAt": BORN,
        "modifiedAt": BORN,
        BASE + "level": instance("Property", number * 7919 % MANY),
        DEFAULT + "height": instance("Property", MANY - number * 7919 % MANY),
        BASE + "name": instance("Property", ("a", "b", "c", "d")[number // 3 % 4]),
        LOCATION: instance("GeoProperty", {"type": "Point", "coordinates": [number * 104729 % 1000 / 100, number * 1299709 % 1000 / 100]}),
    }
    if number % 40 == 0:
        made[BASE + "depth"] = instance("Property", number)
    return made


TOWN = [thing(number) for number in range(MANY)]


def select(kind: str = "", q: str = "", box: float = 0, pattern: str = "", attrs: tuple[str, ...] = ()) -> Selection:
    ring = [[3, 3], [3 + box, 3], [3 + box, 3 + box], [3, 3 + box], [3, 3]]
    who = (Who(parse_types(kind, TERMS) if kind else None, (), parse_id_pattern(pattern) if pattern else None),) if kind or pattern else ()
    geo = parse_geo({"georel": "within", "geometry": "Polygon", "coordinates": json.dumps([ring])}, TERMS) if box else None
    return Selection(who, attrs, parse_q(q, TERMS) if q else None, None, geo)


@pytest.fixture(scope="module")
def town(shared: Any) -> tuple[Any, int]:
    """A store with all of the town in one tenant, and entities of others before and between them."""
    if shared.store.kind != "sqlite":
        pytest.skip("PostgreSQL chooses its ways by itself")
    shared.store.declare(DECLARED)

    def op(tx: Any) -> int:
        other, key = tx.open_tenant("other"), tx.open_tenant("town")
        for number, entity in enumerate(TOWN):
            if number % 4 == 0:
                tx.put(other, entity, None)
            tx.put(key, entity, None)
        return int(key)

    return shared, int(shared.do(op))


def ids(rows: list[Any]) -> list[str]:
    return [decode(row[0], row[1])["id"] for row in rows]


TYPES = ("", "Well", "Bus", "Shelter", "Well,Bus", "(Well;Shelter)", "Nothing")
QUESTIONS = (
    "", "level>2300", "level>100", "level==1000..1003", "level==500..2000", 'level>1200;name=="b"', 'name=="b"', "level>2000;height>2000",
    "level>1100;height>1100", "level<30;depth", "depth", "level<1200|height<1200", "level==7", "!depth;level>2390",
)  # fmt: skip
PATTERNS = ("", "", "^urn:ngsi-ld:Well:0000", "^urn:ngsi-ld:Well:01", "5$")
ATTRS = ((), (), (BASE + "depth",), (BASE + "level",), (BASE + "depth", BASE + "nothing"))
asked = st.builds(
    select, st.sampled_from(TYPES), st.sampled_from(QUESTIONS), st.sampled_from([0, 0, 0.2, 2, 7]), st.sampled_from(PATTERNS), st.sampled_from(ATTRS)
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    selections=st.lists(asked, min_size=1, max_size=2),
    limit=st.sampled_from([1, 21, 300]),
    offset=st.sampled_from([0, 0, 5, 150, 1001]),
    step=st.sampled_from([4, 256]),
    dear=st.sampled_from([16, 400, 16384]),
    fewer=st.sampled_from([2, 30, 512]),
)
def test_a_page_has_what_going_through_everything_finds_whatever_way_it_takes(
    town: tuple[Any, int], monkeypatch: pytest.MonkeyPatch, selections: list[Selection], limit: int, offset: int, step: int, dear: int, fewer: int
) -> None:
    bench, tenant = town
    selection = selections[0] if len(selections) == 1 else selections[0].and_also(selections[1])
    expected = [entity["id"] for entity in TOWN if selection.matches(entity)]
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "STEP", step)
        patch.setattr(sqlite, "DEAR_STEP", dear)
        patch.setattr(sqlite, "FEWER", fewer)
        reader = bench.store.reader
        for _ in range(2):  # the second time with what is remembered of the first
            assert ids(reader.find(tenant, selection, limit, offset)) == expected[offset : offset + limit]
        assert ids(bench.slow(lambda session: session.find(tenant, selection, limit, offset))) == expected[offset : offset + limit]
        brief = bench.store.brief(lambda session: session.find(tenant, selection, limit, offset))
        assert brief is None or ids(brief) == expected[offset : offset + limit]
    assert reader.count(tenant, selection) == len(expected)


@pytest.mark.parametrize("kind", ["", "Well", "Well,Bus"])
@pytest.mark.parametrize("step", [2, 4, 16, 256])
def test_no_entity_comes_twice_where_a_page_begins_by_one_way_and_ends_by_another(
    town: tuple[Any, int], monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    bench, tenant = town
    monkeypatch.setattr(sqlite, "STEP", step)
    monkeypatch.setattr(sqlite, "DEAR_STEP", step)
    for question, box in [(f"level=={low}..{low + wide}", 0) for low in range(0, MANY, 150) for wide in (9, 99, 900)] + [("", 1), ("level<1900", 2)]:
        selection = select(kind, question, box)
        expected = [entity["id"] for entity in TOWN if selection.matches(entity)]
        for limit, offset in ((3, 2), (21, 0), (200, 0)):
            assert ids(bench.store.reader.find(tenant, selection, limit, offset)) == expected[offset : offset + limit]


@pytest.fixture
def looked(town: tuple[Any, int]) -> Any:
    """Finds a page and counts what it took: looks at entities."""
    bench, tenant = town
    looks = [0]
    session = sqlite.Session(bench.store.connect(), bench.store.reader.names)
    fits = session.fits

    def counted(lean: bytes, sys: bytes, number: int) -> bool:
        looks[0] += 1
        return fits(lean, sys, number)

    session.connection.create_function("fits", 3, counted)

    def find(selection: Selection, limit: int = 21) -> tuple[int, list[str]]:
        looks[0], said = 0, []
        session.connection.set_trace_callback(said.append)
        rows = session.find(tenant, selection, limit)
        session.connection.set_trace_callback(None)
        assert ids(rows) == [entity["id"] for entity in TOWN if selection.matches(entity)][:limit]
        return looks[0], [one for one in said if "e.lean" in one]

    yield find
    session.connection.close()


def test_a_broad_comparison_is_answered_by_a_few_entities_of_the_type_and_a_narrow_one_by_its_index(looked: Any) -> None:
    looks, said = looked(select("Well", "level>100"))
    assert looks < 40
    assert "etype" in said[0].split("WHERE")[0]
    looks, said = looked(select("Well", "level==1000..1003"))
    assert looks <= 4
    assert "eindex" in said[-1].split("WHERE")[0]


def test_the_same_attribute_is_found_by_another_way_as_its_values_are_asked_narrower(looked: Any) -> None:
    ways = ["eindex" in looked(select("Well", f"level>{least}"))[1][-1].split("WHERE")[0] for least in (100, 1200, 2300, 2398)]
    assert ways == sorted(ways)
    assert ways[0] is False
    assert ways[-1] is True


def test_few_entities_that_fulfil_two_broad_comparisons_are_found_by_indexes_and_not_by_looking_at_all(looked: Any) -> None:
    # Each holds for more than half of the entities, both for a handful.
    looks, _ = looked(select("", "level>1195;height>1195"))
    assert looks <= 12


def test_a_place_narrow_or_wide_is_looked_at_only_where_the_map_says_so(looked: Any) -> None:
    assert looked(select("Well", "", 0.3))[0] <= sum(select("", "", 0.5).matches(entity) for entity in TOWN)
    assert looked(select("Well", "", 7))[0] < 80


def test_where_the_map_gives_many_the_first_of_them_fill_a_page_before_the_others_are_put_in_order(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "FEWER", 64)
    _, said = looked(select("Well", "level>600", 7))
    gathered = [one for one in said if "FROM place" in one.split("CROSS JOIN")[0]]
    assert len(gathered) == 1
    assert int(gathered[0].split("key <= ")[1].split()[0]) < MANY // 2


def test_an_attribute_that_few_have_leads_to_them(looked: Any) -> None:
    assert looked(select("Well", 'name=="b"', attrs=(BASE + "depth",)))[0] <= MANY // 40


def test_in_the_event_loop_a_search_that_goes_far_is_given_up(town: tuple[Any, int], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, tenant = town
    monkeypatch.setattr(sqlite, "PATIENCE", 300)
    assert bench.store.brief(lambda session: session.find(tenant, select("Well", 'name=="z"'), 21)) is None
    assert bench.store.brief(lambda session: session.find(tenant, select("Well", "level==7"), 21)) is not None


# --- the walk by type in memory


def test_a_page_by_type_leaves_out_what_has_expired_also_among_those_that_it_skips(bench: Any) -> None:
    def op(tx: Any) -> int:
        key = tx.open_tenant("")
        for number in range(30):
            tx.put(key, {**thing(3 * number + 1), **({"expiresAt": PAST} if number in (2, 25) else {"expiresAt": LATER} if number == 4 else {})}, None)
        return int(key)

    tenant = bench.do(op)
    wanted = [thing(3 * number + 1)["id"] for number in range(30) if number not in (2, 25)]
    for limit, offset in ((5, 0), (5, 4), (50, 0), (5, 22)):
        for _ in range(2):
            assert ids(bench.store.reader.find(tenant, select("Well"), limit, offset)) == wanted[offset : offset + limit]


def test_pages_by_type_and_attribute_follow_every_change(bench: Any) -> None:
    draw, town, tenant = random.Random(5), dict[str, Any](), bench.do(lambda tx: int(tx.open_tenant("")))
    chosen = (select("Well"), select("Bus"), select("Well", attrs=(BASE + "depth",)))

    def pages() -> list[list[str]]:
        return [sorted(ids(bench.store.reader.find(tenant, selection, 40))) for selection in chosen]

    def changed(tx: Any) -> list[list[str]]:
        before = dict(town)
        for _ in range(draw.randrange(1, 5)):
            number = draw.randrange(12)
            old = town.get(f"urn:ngsi-ld:Thing:{number}")
            if old is not None and draw.random() < 0.4:
                tx.delete(tenant, old)
                del town[old["id"]]
                continue
            made = {**thing(draw.randrange(80)), "id": f"urn:ngsi-ld:Thing:{number}"}
            tx.put(tenant, made, old)
            town[made["id"]] = made
        if bench.store.kind == "sqlite":  # what is not on disk yet is not shown
            assert pages() == [sorted(entity["id"] for entity in before.values() if selection.matches(entity)) for selection in chosen]
        return pages()

    for _ in range(60):
        bench.do(changed)
        assert pages() == [sorted(entity["id"] for entity in town.values() if selection.matches(entity)) for selection in chosen]
        for row in bench.store.reader.find(tenant, chosen[0], 40):
            entity = decode(row[0], row[1])
            assert entity == town[entity["id"]]


# --- looks at what is stored


words = st.sampled_from(
    ["level", "height", "name", "level.observedAt", "level.createdAt", "level.accuracy", "modifiedAt", "level[a]", "stands", "urn:words:colour"]
)
terms = st.one_of(
    words,
    words.map("!{}".format),
    st.builds("{}{}{}".format, words, st.sampled_from(["==", "!=", ">", "<="]), st.sampled_from(["1", '"a"', "2026-01-01T00:00:00Z"])),
)
questions = st.lists(terms, min_size=1, max_size=3).map(lambda parts: parse_q(";".join(parts), TERMS))
others = st.sampled_from(
    [
        parse_types("Well,Bus", TERMS), parse_scope("/Noto/#"), Who(pattern=parse_id_pattern("1$")),
        Selection(who=(Who(parse_types("Bus", TERMS)), Who(ids=("urn:a",)))),
        parse_geo({"georel": "near;maxDistance==2000000", "geometry": "Point", "coordinates": "[137,37]"}, TERMS),
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(entity=entities(id="urn:ngsi-ld:Thing:1"), parts=st.lists(questions | others, min_size=1, max_size=3))
def test_a_look_at_stored_bytes_says_what_the_whole_entity_says(entity: dict[str, Any], parts: list[Any]) -> None:
    lean, sys, _ = encode_lean(entity)
    whole = decode(lean, sys)
    assert looking(parts)(lean, sys) is all(bool(part.matches(whole)) for part in parts)
