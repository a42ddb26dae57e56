"""The query languages in sentences, on a few cars and buildings; test_jsonpath asks the same of thousands of random ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.linkage.broker.geo import Ordering
from kiban.linkage.broker.patterns import compile_pattern
from kiban.linkage.broker.query import (
    Compare,
    Exists,
    Linked,
    conjuncts,
    parse_aggregates,
    parse_id_pattern,
    parse_ids,
    parse_names,
    parse_order,
    parse_projection,
    parse_q,
    parse_scope,
    parse_temporal,
    parse_types,
    plain_record,
)
from kiban.linkage.broker.selection import collation, split_path
from kiban.linkage.errors import Problem


class Terms:
    """Names with a prefix; `geo:` is a prefix of the @context, full names stay."""

    @staticmethod
    def expand(term: str) -> str:
        if term.startswith("geo:"):
            return "http://geo.example/" + term[4:]
        return term if "://" in term else "ex:" + term

    expand_type = expand

    @staticmethod
    def expand_vocab(value: str) -> str:
        return value if ":" in value else "voc:" + value


TERMS = Terms()


def prop(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, **more}


BUS: dict[str, Any] = {
    "id": "urn:bus:1",
    "type": ["ex:Bus"],
    "createdAt": "2026-03-01T10:00:00.000Z",
    "modifiedAt": "2026-03-02T10:00:00.500Z",
    "ex:speed": [prop(40, unitCode="KMH", observedAt="2026-03-01T10:00:00Z", **{"ex:accuracy": [prop(0.5)]}), prop(80, datasetId="urn:gps:2")],
    "ex:line": [prop("輪島線")],
    "ex:full": [prop(False)],
    "ex:stops": [prop(["A", "B", 3])],
    "ex:depot": [prop({"city": "Wajima", "door": {"number": 7}, "names": [{"en": "x"}]})],
    "ex:checked": [prop({"@type": "DateTime", "@value": "2026-02-01T00:00:00.50Z"})],
    "ex:opened": [prop("2025-04-01")],
    "ex:leaves": [prop("08:30:00Z")],
    "ex:operator": [{"type": "Relationship", "object": "urn:org:1", "objectType": "ex:Company"}],
    "ex:seats": [{"type": "Relationship", "object": ["urn:seat:1", "urn:seat:2"]}],
    "ex:route": [{"type": "ListRelationship", "objectList": ["urn:stop:1", "urn:stop:2"]}],
    "ex:name": [{"type": "LanguageProperty", "languageMap": {"en": "Bus one", "ja": ["一号", "いちごう"]}}],
    "ex:category": [{"type": "VocabProperty", "vocab": "voc:public"}],
    "ex:ticket": [{"type": "JsonProperty", "json": {"value": "day", "price": {"JPY": 500}}}],
    "ex:loads": [{"type": "ListProperty", "valueList": [1, 2, 3]}],
    "ex:location": [{"type": "GeoProperty", "value": {"type": "Point", "coordinates": [136.9, 37.4]}}],
    "http://geo.example/zone": [prop("north")],
}


def holds(text: str, entity: dict[str, Any] = BUS, **options: Any) -> bool:
    return parse_q(text, TERMS, **options).matches(entity)


@pytest.mark.parametrize(
    "text",
    [
        # existence
        "speed", "speed.accuracy", "speed.observedAt", "depot[city]", "depot[door.number]", "depot[door][number]", "name[ja]", "operator", "createdAt",
        "location", "!rpm", "!speed.rpm", "!depot[street]", "!name[fr]", "!speed.datasetId.x",
        # numbers, any instance
        "speed==40", "speed==80", "speed>50", "speed>=80", "speed<41", "speed<=40", "speed==4e1", "speed==40.0", "speed!=40", "speed.accuracy<1",
        "speed==39..41", "speed!=39..41", "speed==1,40", "speed!=40,81", "speed==-1..40",
        # texts
        'line=="輪島線"', 'line=="x","輪島線"', 'line!="x"', 'line~="輪島"', 'line!~="^輪島$"', 'line>"輪"',
        'line=="輪".."輫"', 'line=="\\u8f2a\\u5cf6\\u7dda"',
        "full==false", "full!=true", 'speed.unitCode=="KMH"', "speed.datasetId==urn:gps:2", 'speed.datasetId=="urn:gps:2"',
        # another type is unequal, and nothing else
        'speed!="40"', "line!=5", "full!=0", 'stops!="C"',
        # elements of arrays
        'stops=="B"', "stops==3", 'stops=="Z","A"', "loads==2", "loads!=4", "seats==urn:seat:2", 'route=="urn:stop:1"', "route!=urn:stop:9",
        # links
        "operator==urn:org:1", 'operator=="urn:org:1"', "operator==urn:org:2,urn:org:1", 'operator!="urn:org:2"', "operator.objectType==Company",
        # times
        "speed.observedAt>=2026-03-01T10:00:00Z", "speed.observedAt==2026-03-01T10:00:00.000Z", 'speed.observedAt<"2026-03-01T10:00:00.001Z"',
        "speed.observedAt>2026-03-01", 'createdAt>"2026-01-01T00:00:00Z"', "modifiedAt>2026-03-02T10:00:00.4Z", "modifiedAt!=2026-03-02T10:00:00Z",
        "createdAt==2026-03-01T00:00:00Z..2026-03-02T00:00:00Z", "createdAt==2026-03-01T19:00:00+09:00", "checked>2026-02-01T00:00:00Z",
        "checked==2026-02-01T00:00:00.5Z", "opened<2025-05-01", "opened==2025-01-01..2025-12-31", "leaves<09:00:00Z", "leaves==08:30:00.0Z",
        # values inside
        'depot[city]=="Wajima"', "depot[door.number]>=7", 'ticket[value]=="day"', "ticket[price.JPY]<1000", 'depot[city]~="^W"',
        # languages
        'name[en]=="Bus one"', 'name[*]=="一号"', 'name=="いちごう"', 'name[ja]!="Bus one"', 'name[en]~="one$"', 'name!="two"',
        # vocabularies
        "category==voc:public", 'category!="public"',
        # logic: ; binds closer than |
        "speed>50;full==false", "rpm|speed", "speed>50;rpm|full==false", "(speed>50|rpm>3000);full==false", "((speed==1|full==false);(line));!rpm",
        # full names and prefixes
        "http://geo.example/zone", 'geo:zone=="north"',
    ],
)  # fmt: skip
def test_the_bus_matches(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "rpm", "speed.rpm", "depot[street]", "depot[door.number.x]", "depot[names.en]", "stops[A]", "name[fr]", "operator[x]",
        "!speed", "!depot[city]", "expiresAt",
        "speed==41", "speed>80", "speed<40", "speed==41..79", "speed==80..40", "speed!=0..99", "speed!=40,80", 'speed=="40"', 'speed>"1"', "speed==true",
        "line==5", 'line!="輪島線"', 'line~="^島"', 'line!~="輪"', 'line=="x".."y"', "line==true", "full==0", 'full=="false"', "rpm!=5", "rpm!~=x",
        # arrays answer == and != only
        'stops!="B"', 'stops>"A"', 'stops~="A"', 'stops!~="Z"', "loads>0", "loads==1..3", "seats!=urn:seat:1", 'route!="urn:stop:2"',
        # links answer == and != only
        'operator>"urn:a"', 'operator~="urn"', 'operator!~="x"', 'operator=="urn:a".."urn:z"', "operator==urn:org:2", 'operator!="urn:org:1"',
        'speed.observedAt=="2026-03-01"', "speed.observedAt>2026-03-01T10:00:00Z", 'createdAt>"soon"', "createdAt>5", "createdAt!=2026-03-01T10:00:00Z",
        'checked=="2026-02-01T00:00:00.5Z"', "line>2026-01-01T00:00:00Z", "opened==2025-04-01T00:00:00Z", "leaves>08:30:00Z",
        'name[en]=="一号"', 'name[*]!="一号"', 'name!="Bus one"', 'name[fr]!="x"', 'name[ja]~="号"',
        "category==public", 'category!="voc:public"', "speed>50;rpm", "speed>50;(rpm|full==true)", 'ticket[value]!="day"', 'depot[street]!="x"',
    ],
)  # fmt: skip
def test_the_bus_does_not_match(text: str) -> None:
    assert not holds(text)


def test_short_values_are_read_as_full_names_where_the_request_asks_for_it() -> None:
    assert holds("category==public", expand_values=["category"])
    assert holds('category=="other","public"', expand_values=["category"])
    assert not holds("category==public", expand_values=["line"])


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "a;", "a|", "|a", "a||b", "(a", "a)", "()", "((a)", "))bad((", "a b", " a", "a;;b", "1a", "a..b", ".a", "a.", "a.1b", "!!a", "!",
        "a=b", "a==", "a=", "a<", "a>", "speed>", 'a=="x', 'a=="x"y', "a==b==c", "a>b==1", "!a==1", "a==1,", "a==,1", "a==1..", "a==..1", 'a==1.."x"',
        "a>1..2", "a>1,2",
        "a>true", "a>urn:x", "a==true..false", "a==1e999", 'a=="\\q"', 'a=="\\ud800"', "a\0", "a~=", 'a~="("',
        'a~="a**b["', 'a~="(?=x)y"', 'a~="(a)\\1"', "a[", "a[]",
        "a[b", "a[b..c]", "a.observedAt[x]", "createdAt[x]", "a{", "a{}", "a{b", "a{b}c", "a{b,c}", "a{:b}", "a{B:}", "a.b{c}d", "{a}", "a<>1", "a=>1", "a!1",
    ],
)  # fmt: skip
def test_what_is_no_query_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_q(text, TERMS)
    assert refused.value.kind == "BadRequestData"
    assert refused.value.detail.startswith("q: ")


@pytest.mark.parametrize(
    "text", ["a" * 20_000, "(" * 60 + "a" + ")" * 60, ";".join("a" for _ in range(600)), "a{" * 50 + "a" + "}" * 50, "a==" + ",".join("1" for _ in range(600))]
)
def test_a_query_beyond_all_measure_is_too_complex(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_q(text, TERMS)
    assert refused.value.kind == "TooComplexQuery"


@given(st.text(st.sampled_from('ab.;|()!=<>~"{}[],1:*\\ T-Z'), max_size=14))
def test_any_text_is_a_query_or_a_problem(text: str) -> None:
    try:
        q = parse_q(text, TERMS)
    except Problem:
        return
    assert q.matches(BUS) in (True, False)
    assert q.depth >= 0


# ---------------------------------------------------------------------------------------------------------------------------- linked entities

WORLD: dict[str, dict[str, Any]] = {
    "urn:org:1": {"id": "urn:org:1", "type": ["ex:Company"], "ex:name": [prop("Hokutetsu")], "ex:boss": [{"type": "Relationship", "object": "urn:person:1"}]},
    "urn:person:1": {"id": "urn:person:1", "type": ["ex:Person", "ex:Driver"], "ex:age": [prop(50)]},
    "urn:stop:2": {"id": "urn:stop:2", "type": ["ex:Stop"], "ex:name": [prop("Port")]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('operator{name}=="Hokutetsu"', True),
        ('operator{name}=="Other"', False),
        ('operator{Company:name}=="Hokutetsu"', True),
        ('operator{Person,Company:name}=="Hokutetsu"', True),
        ('operator{Person:name}=="Hokutetsu"', False),
        ("operator{boss{age}}>40", True),
        ("operator{Company:boss{Driver:age}}>40", True),
        ("operator{Company:boss{Stop:age}}>40", False),
        ("operator{boss{age}}", True),
        ("operator{boss{height}}", False),
        ("!operator{boss{height}}", True),
        ("!operator{boss{age}}", False),
        ('route{name}=="Port"', True),
        ('route{name}=="Port";speed>50', True),
        ('seats{name}=="Port"', False),
        ('line{name}=="Port"', False),
        ("operator{geo:zone}", False),
    ],
)
def test_a_sub_query_follows_relationships(text: str, expected: bool) -> None:
    q = parse_q(text, TERMS)
    assert q.matches(BUS, WORLD.get) is expected
    assert q.depth == (2 if "boss" in text else 1)


def test_a_prefix_of_the_context_is_no_type() -> None:
    q = parse_q("operator{geo:zone}", TERMS)
    assert q.node == Linked("ex:operator", (), Exists(parse_q("geo:zone", TERMS).node.path))  # type: ignore[union-attr]


def test_without_a_look_up_no_linked_entity_is_found() -> None:
    assert not holds("operator{name}")


# ------------------------------------------------------------------------------------------------------------------------------ for the stores


def test_conjuncts_are_what_each_match_meets() -> None:
    q = parse_q('speed>50;line=="x";!rpm;a.b==1;depot[city]=="y";(a|b);(c;d==1,2);createdAt>2026-01-01T00:00:00Z;operator{name}', TERMS)
    found = [(type(each).__name__, each.path.names, each.path.member) for each in conjuncts(q)]
    assert found == [
        ("Compare", ("ex:speed",), None),
        ("Compare", ("ex:line",), None),
        ("Exists", ("ex:rpm",), None),
        ("Exists", ("ex:c",), None),
        ("Compare", ("ex:d",), None),
        ("Compare", (), "createdAt"),
    ]
    assert conjuncts(parse_q("a|b", TERMS)) == []


def test_a_query_knows_its_attributes() -> None:
    assert parse_q("speed.observedAt>2026-01-01T00:00:00Z|operator{name}", TERMS).attributes == {"ex:speed", "ex:operator"}
    assert not parse_q("createdAt>2026-01-01T00:00:00Z", TERMS).attributes


def test_equal_texts_give_equal_trees() -> None:
    assert parse_q("speed>50;line", TERMS) == parse_q("speed>50;line", TERMS)
    assert hash(parse_q("speed>50", TERMS)) == hash(parse_q("speed>50", TERMS))
    assert isinstance(parse_q("speed>50", TERMS).node, Compare)


def test_members_of_a_registration_are_asked_like_properties() -> None:
    record = plain_record({"endpoint": "http://a.example", "mode": "inclusive", "managementInterval": {"startAt": "2026-01-01T00:00:00Z"}})
    assert parse_q('endpoint=="http://a.example";mode!="exclusive"', _Same(), where="csf").matches(record)
    assert parse_q("managementInterval[startAt]<2026-06-01T00:00:00Z", _Same()).matches(record)
    with pytest.raises(Problem, match="csf: "):
        parse_q("))bad((", _Same(), where="csf")


class _Same:
    expand = expand_type = expand_vocab = staticmethod(str)


def test_a_history_matches_by_any_of_its_instances() -> None:
    history = {"ex:speed": [prop(10, observedAt="2026-01-01T00:00:00Z"), prop(90, observedAt="2026-01-02T00:00:00Z")]}
    assert holds("speed>50", history)
    assert holds("speed!=10", history)
    assert not holds("speed!=10,90", history)


# -------------------------------------------------------------------------------------------------------------------------------- patterns


@pytest.mark.parametrize("source", ["(a*)*b", "(a|a)*b", "(a+)+$", "(.*)*x", "a{0,50}a{0,50}b", ".*.*.*.*x"])
def test_no_pattern_runs_away(source: str) -> None:
    pattern = compile_pattern(source)
    begun = time.process_time()
    assert not pattern.search("a" * 20_000 + "!")
    assert time.process_time() - begun < 20  # a backtracking search would take longer than the universe has been there


@pytest.mark.parametrize(
    "source",
    [
        "(",
        ")",
        "[",
        "[z-a]",
        "*a",
        "a{2,1}",
        "(?=a)",
        "(?i)a",
        r"\1",
        r"\bx",
        "a++",
        "[[:nope:]]",
        "\\",
        "x" * 2000,
        "(a{1000}){1000}",
        "\0",
        "^*",
        "(" * 99 + ")" * 99,
    ],
)
def test_what_is_no_pattern_or_too_large_a_one_is_refused(source: str) -> None:
    with pytest.raises(ValueError):
        compile_pattern(source)
    with pytest.raises(Problem) as refused:
        parse_id_pattern(source)
    assert refused.value.kind == "BadRequestData"


# ------------------------------------------------------------------------------------------------------------------- types, scopes, ids, names


def test_types_read_as_a_disjunction_of_conjunctions() -> None:
    for text, expected in {
        "A": [["A"]],
        "A,B": [["A"], ["B"]],
        "A|B": [["A"], ["B"]],
        "(A;B),C": [["A", "B"], ["C"]],
        "A;B": [["A", "B"]],
        "(A,B);C": [["A", "C"], ["B", "C"]],
        "https://a.example/b#C": [["https://a.example/b#C"]],
    }.items():
        assert [[name.removeprefix("ex:") for name in each] for each in parse_types(text, TERMS).alternatives] == expected
    assert parse_types("*", TERMS).wildcard
    assert parse_types("*", TERMS).matches({"type": ["ex:A"]})
    assert parse_types("A;B", TERMS).names == {"ex:A", "ex:B"}


@pytest.mark.parametrize("text", ["", ",A", "A,", "A;;B", "(A", "A)", "()", "A,*", "1", "A B", '"A"', "A<B"])
def test_what_is_no_selection_of_types_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_types(text, TERMS)
    assert refused.value.kind == "BadRequestData"


def test_a_formula_that_explodes_is_too_complex() -> None:
    with pytest.raises(Problem) as refused:
        parse_types(";".join("(A,B,C,D)" for _ in range(10)), TERMS)
    assert refused.value.kind == "TooComplexQuery"


SCOPES = ["/Noto/Wajima/Port", "/Ishikawa"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Ishikawa", True), ("/Noto", False), ("/Noto/Wajima/Port", True), ("/Noto/#", True), ("/Noto/Wajima/Port/#", True), ("/Not/#", False), ("/#", True),
        ("/Noto/+/Port", True), ("/+/Port", False), ("/+", True), ("/Noto/+/#", True), ("/Noto/Wajima/Port;/Ishikawa", True), ("(/Noto/#;/Toyama)", False),
        ("(/Noto/#;/Toyama)|/Ishikawa", True), ("/Toyama,/Ishikawa", True), ("/noto/#", False), ("Ishikawa", True),
    ],
)  # fmt: skip
def test_scopes(text: str, expected: bool) -> None:
    assert parse_scope(text).matches({"scope": SCOPES}) is expected
    assert not parse_scope(text).matches({})


@pytest.mark.parametrize("text", ["", "/", "//a", "/a/", "/a/#/b", "/a#", "/a+", "(/a", "/a;;/b", "/a b"])
def test_what_is_no_scope_query_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_scope(text)
    assert refused.value.kind == "BadRequestData"


def test_ids_and_names_come_once_each() -> None:
    assert parse_ids("urn:a:1,https://a.example/2,urn:a:1") == ("urn:a:1", "https://a.example/2")
    assert parse_names("speed,line,speed", TERMS) == ("ex:speed", "ex:line")
    assert parse_names(["speed"], TERMS) == ("ex:speed",)
    for text in ("", "urn:a,", "not a uri", "urn:a,b"):
        with pytest.raises(Problem):
            parse_ids(text)
    for names in ("", "a,,b", "owner{name}", ["a", 5], "a b"):
        with pytest.raises(Problem):
            parse_names(names, TERMS)  # type: ignore[arg-type]


def test_dots_within_full_names_are_no_steps() -> None:
    assert split_path("a.b") == ["a", "b"]
    assert split_path("http://x.example/v1.2/a.b.http://y.example#c.observedAt") == ["http://x.example/v1.2/a", "b", "http://y.example#c", "observedAt"]


# ------------------------------------------------------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(("relation", "days"), [("before", [1]), ("after", [2, 3, 4]), ("between", [2, 3])])
def test_before_is_exclusive_after_inclusive_between_half_open(relation: str, days: list[int]) -> None:
    params = {"timerel": relation, "timeAt": "2026-01-02T00:00:00Z"} | ({"endTimeAt": "2026-01-04T00:00:00.000Z"} if relation == "between" else {})
    window = parse_temporal(params)
    assert window is not None
    assert [day for day in (1, 2, 3, 4) if window.matches_instance({"observedAt": f"2026-01-0{day}T00:00:00Z"})] == days
    assert not window.matches_instance({"modifiedAt": "2026-01-02T00:00:00Z"})


def test_another_time_is_asked_for_by_name() -> None:
    window = parse_temporal({"timerel": "after", "timeAt": "2026-01-02T00:00:00Z", "timeproperty": "modifiedAt"})
    assert window is not None
    assert window.matches_instance({"modifiedAt": "2026-01-02T00:00:00.000Z"})
    assert parse_temporal({}) is None


@pytest.mark.parametrize(
    "params",
    [
        {"timerel": "during"}, {"timerel": None}, {"timeAt": None}, {"timeAt": "yesterday"}, {"timeAt": "2026-01-02"}, {"timeAt": 5}, {"timerel": "between"},
        {"endTimeAt": "2026-01-03T00:00:00Z"}, {"timerel": "between", "endTimeAt": "2025-01-01T00:00:00Z"}, {"timeproperty": "seenAt"},
        {"timerel": "between", "endTimeAt": "x"},
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        parse_temporal({"timerel": "after", "timeAt": "2026-01-02T00:00:00Z"} | params)
    assert refused.value.kind == "BadRequestData"


def test_aggregates_are_known_by_name() -> None:
    assert parse_aggregates("sum,avg") == ("sum", "avg")
    for text in ("", "median", "sum,"):
        with pytest.raises(Problem):
            parse_aggregates(text)


# --------------------------------------------------------------------------------------------------------------------- projection and ordering


def test_a_projection_names_members_attributes_and_those_of_linked_entities() -> None:
    found = parse_projection("id,type|speed,operator{id,boss{age}},operator{name}", TERMS)
    assert list(found.members) == ["id", "type", "ex:speed", "ex:operator"]
    operator = found.members["ex:operator"]
    assert operator is not None
    assert list(operator.members) == ["id", "ex:boss", "ex:name"]
    assert found.depth == 2
    assert parse_projection("speed", TERMS).depth == 0


@pytest.mark.parametrize(
    "text", ["", "a;b", "a,,b", "a||b", "a{b", "a{{b}", "a{,b}", "a{}", "a}", "a{b}}", "a b", ",a", "a,", "a{" * 30 + "b" + "}" * 30, "a{b}c"]
)
def test_what_is_no_projection_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_projection(text, TERMS, "omit")
    assert refused.value.kind == "BadRequestData"
    assert refused.value.detail.startswith("omit: ")


ROWS: dict[str, dict[str, Any]] = {
    "absent": {"id": "urn:5", "type": ["ex:A"]},
    "null": {"id": "urn:6", "type": ["ex:A"], "ex:v": [{"type": "JsonProperty", "json": None}]},
    "when": {"id": "urn:7", "type": ["ex:A"], "ex:v": [prop({"@type": "DateTime", "@value": "2026-01-01T00:00:00Z"})]},
    "true": {"id": "urn:4", "type": ["ex:A"], "ex:v": [prop(True)]},
    "list": {"id": "urn:3", "type": ["ex:A"], "ex:v": [prop([1])]},
    "object": {"id": "urn:8", "type": ["ex:A"], "ex:v": [prop({"a": 1})]},
    "text": {"id": "urn:2", "type": ["ex:A"], "ex:v": [prop("a")]},
    "ten": {"id": "urn:1", "type": ["ex:A"], "ex:v": [prop(10)]},
    "nine": {"id": "urn:0", "type": ["ex:A"], "ex:v": [prop(9), prop(11, datasetId="urn:d")]},
}


def ordered(text: str, rows: dict[str, dict[str, Any]] = ROWS) -> list[str]:
    return Ordering(parse_order(text, TERMS)).sorted(rows, rows.__getitem__)


def test_values_of_several_types_are_ordered_by_type_first_and_absence_comes_last_either_way() -> None:
    assert ordered("v") == ["nine", "ten", "text", "object", "list", "true", "when", "null", "absent"]
    assert ordered("v;desc") == ["when", "true", "list", "object", "text", "nine", "ten", "null", "absent"]
    assert ordered("id")[:2] == ["nine", "ten"]


def test_later_keys_decide_between_equals() -> None:
    rows = {
        name: {"type": ["ex:A"], "createdAt": "2026-01-01T00:00:00Z", "ex:a": [prop(a, **{"ex:sub": [prop(b)]})], "ex:c": [prop({"x": b})]}
        for name, a, b in [("p", 1, 2), ("q", 1, 1), ("r", 0, 3)]
    }
    assert ordered("a,a.sub", rows) == ["r", "q", "p"]
    assert ordered("a;desc,c[x];asc", rows) == ["q", "p", "r"]
    assert ordered("type;asc,createdAt,a.sub;desc", rows) == ["r", "p", "q"]


def test_fractions_of_a_second_are_in_order() -> None:
    rows = {text: {"modifiedAt": text} for text in ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")}
    assert ordered("modifiedAt", rows) == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z"]


@pytest.mark.parametrize("text", ["", "a;up", "a,,b", "a[", "a;asc;desc", "1a", "a b", "a{b}"])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_order(text, TERMS)
    assert refused.value.kind == "BadRequestData"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("und", ["-", "1", "a", "A", "á", "b", "あ", "ア", "い"]),
        ("de-u-co-phonebk", ["Ad", "Ähre", "Af", "Zebra"]),
        ("de", ["Ad", "Af", "Ähre", "Zebra"]),
        ("ja", ["ア", "亜", "唖", "一"]),
    ],
)
def test_a_collation_orders_letters_before_marks_and_case(tag: str, words: list[str]) -> None:
    assert sorted(sorted(words), key=collation(tag)) == words


def test_strength_sets_what_counts() -> None:
    first, second, identic = (collation(f"und-u-ks-{level}") for level in ("level1", "level2", "identic"))
    assert first("á") == first("A")
    assert second("a") == second("A") != second("á")
    assert identic("ア") != identic("あ")


@pytest.mark.parametrize("tag", ["", "!!nope", "not a bcp47 tag!!", "sv", "und-u-ks-level9", "und-u-kn", "de-u-phonebk", "fr-u-co-phonebk"])
def test_a_collation_that_cannot_be_honoured_is_refused(tag: str) -> None:
    with pytest.raises(Problem) as refused:
        collation(tag)
    assert refused.value.kind == "BadRequestData"
