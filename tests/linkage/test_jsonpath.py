"""One query, three answers: `matches`, an evaluator written as slowly and plainly as the standard reads, and PostgreSQL with the jsonpath."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.linkage.broker.jsonpath import scope_jsonpath, to_jsonpath, types_jsonpath
from kiban.linkage.broker.patterns import compile_pattern
from kiban.linkage.broker.query import Q, parse_q, parse_scope, parse_types, unlink
from kiban.linkage.errors import Problem

Ask = Callable[[tuple[str, dict[str, Any]], list[Any]], list[bool]]


class Terms:
    """Names of the request with a prefix; full names as they are."""

    @staticmethod
    def expand(term: str) -> str:
        return term if "://" in term else "ex:" + term

    expand_type = expand_vocab = expand


TERMS = Terms()


@pytest.fixture(scope="module")
def ask(postgres_bin: Path) -> Iterator[Ask]:
    """Asks a private PostgreSQL which of some documents a jsonpath predicate holds for."""
    psycopg = pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="kiban-jp-"))
    user: tuple[str, ...] = ()
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
        user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    data = str(folder / "data")

    def run(*command: str) -> None:
        with (folder / "output").open("a") as output:
            subprocess.run([*user, *command], cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=120, check=True)

    try:
        run(str(postgres_bin / "initdb"), "-D", data, "-U", "clerk", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c shared_buffers=16MB -c fsync=off"
        run(str(postgres_bin / "pg_ctl"), "-D", data, "-w", "-t", "60", "-o", options, "start")
        with psycopg.connect(host=str(folder), user="clerk", dbname="postgres", autocommit=True) as connection:

            def asked(predicate: tuple[str, dict[str, Any]], documents: list[Any]) -> list[bool]:
                text = (
                    "SELECT coalesce(jsonb_path_match(d, %s::jsonpath, %s::jsonb, true), false) FROM unnest(%s::jsonb[]) WITH ORDINALITY AS t(d, n) ORDER BY n"
                )
                rows = connection.execute(text, (predicate[0], json.dumps(predicate[1]), [json.dumps(each) for each in documents])).fetchall()
                return [row[0] for row in rows]

            yield asked
        run(str(postgres_bin / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -------------------------------------------------------------------------------------------------------------- entities and queries at random

WORDS = ["red", "blue", "Red", "", "rot", "é", "東京", "10", "true", "2026-01-01T00:00:00Z", "urn:a:1", "urn:a:2", 'say "x"', "a\\b", "l1\nl2"]
MOMENTS = [
    "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.12Z", "2026-01-01T00:00:00.120Z",
    "2026-01-01T00:00:00.105Z", "2026-01-01T00:00:00.10Z", "2026-01-01T00:00:01Z", "2025-12-31T23:59:59.999Z", "2026-06-01T12:00:00Z",
]  # fmt: skip
DATES = ["2026-01-01", "2026-02-01", "2025-12-31"]
CLOCKS = ["12:00:00Z", "12:00:00.5Z", "11:59:59Z", "12:00:00"]
NUMBERS = st.one_of(st.integers(-3, 12), st.sampled_from([0.5, 5.0, -0.0, 1e20, 2**53 + 1, 4.999]))

scalars = st.one_of(NUMBERS, st.booleans(), st.sampled_from(WORDS + MOMENTS + DATES + CLOCKS))
typed = st.builds(lambda value: {"@type": "DateTime", "@value": value}, st.one_of(scalars, st.lists(scalars, max_size=2)))
values = st.one_of(
    scalars,
    scalars,
    st.lists(st.one_of(scalars, typed, st.lists(scalars, max_size=2)), max_size=3),
    typed,
    st.dictionaries(
        st.sampled_from(["x", "en", "y z", "@value"]), st.one_of(scalars, st.dictionaries(st.sampled_from(["x", "y"]), scalars, max_size=2)), max_size=2
    ),
)
uris = st.sampled_from(["urn:a:1", "urn:a:2", "red"])


@st.composite
def instances(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    kind, member, content = draw(
        st.sampled_from(
            [
                ("Property", "value", values),
                ("Property", "value", values),
                ("Property", "value", scalars),
                ("Relationship", "object", st.one_of(uris, st.lists(uris, max_size=2))),
                (
                    "LanguageProperty",
                    "languageMap",
                    st.dictionaries(
                        st.sampled_from(["en", "fr", "x"]),
                        st.one_of(scalars.filter(lambda v: isinstance(v, str)), st.lists(st.sampled_from(WORDS), max_size=2)),
                        max_size=2,
                    ),
                ),
                ("VocabProperty", "vocab", st.one_of(st.sampled_from(["ex:red", "ex:blue"]), st.lists(st.sampled_from(["ex:red", "ex:blue"]), max_size=2))),
                ("JsonProperty", "json", values),
                ("ListProperty", "valueList", st.lists(scalars, max_size=3)),
                ("ListRelationship", "objectList", st.lists(uris, max_size=2)),
            ]
        )
    )
    found: dict[str, Any] = {"type": kind, member: draw(content)}
    if draw(st.booleans()):
        found["observedAt"] = draw(st.sampled_from(MOMENTS))
    if draw(st.integers(0, 3)) == 0:
        found["unitCode"] = draw(st.sampled_from(["KMH", "red"]))
    if depth > 1 and draw(st.booleans()):
        found["ex:" + draw(st.sampled_from("ab"))] = draw(st.lists(instances(depth - 1), min_size=1, max_size=2))
    return found


entities = st.fixed_dictionaries(
    {
        "id": st.just("urn:a:1"),
        "type": st.lists(st.sampled_from(["ex:A", "ex:B", "ex:C"]), min_size=1, max_size=3, unique=True),
        "createdAt": st.sampled_from(MOMENTS),
    },
    optional={
        "ex:a": st.lists(instances(), min_size=0, max_size=3),
        "ex:b": st.lists(instances(), min_size=1, max_size=2),
        "https://c.example/v1.2#c": st.lists(instances(), min_size=1, max_size=1),
        "modifiedAt": st.sampled_from(MOMENTS),
        "scope": st.lists(st.sampled_from(["/A", "/A/B", "/A/B/C", "/Ab", "/A/x-1/C", "/東/B"]), min_size=1, max_size=2),
    },
)

paths = st.one_of(
    st.sampled_from(["a", "b", "a", "b", "https://c.example/v1.2#c"]),
    st.sampled_from(["a.b", "a.b.a", "a[x]", "b[en]", "a[*]", "a[x.y]", "a.b[x]", "a.observedAt", "a.b.observedAt", "a.unitCode", "createdAt", "modifiedAt"]),
)
literals = st.one_of(
    NUMBERS.map(lambda number: json.dumps(number)),
    st.sampled_from(["true", "false", "urn:a:1", "ex:red", *MOMENTS, *DATES, *CLOCKS]),
    st.sampled_from(WORDS + MOMENTS).map(lambda word: json.dumps(word)),
)
ordered = literals.filter(lambda text: text not in ("true", "false", "urn:a:1", "ex:red"))
PATTERNS = ["^r", "d$", "[A-Z]", "^[0-9]{4}-", "r(e|o)[dt]", "^$", ".", "東.", "a\\\\b", "x|o", "^\\S+$", "[^a-z]{2,}"]


@st.composite
def terms(draw: st.DrawFn) -> str:
    path = draw(paths)
    match draw(st.integers(0, 9)):
        case 0:
            return path
        case 1:
            return "!" + path
        case 2 | 3:
            return f"{path}{draw(st.sampled_from(['==', '!=']))}{draw(literals)}"
        case 4:
            return f"{path}{draw(st.sampled_from(['==', '!=']))}{','.join(draw(st.lists(literals, min_size=2, max_size=3)))}"
        case 5 | 6:
            return f"{path}{draw(st.sampled_from(['>', '>=', '<', '<=']))}{draw(ordered)}"
        case 7 | 8:
            pool = draw(st.sampled_from([[json.dumps(each) for each in WORDS], MOMENTS, DATES, CLOCKS, ["-1", "0", "4.5", "5", "11"]]))
            return f"{path}{draw(st.sampled_from(['==', '!=']))}{draw(st.sampled_from(pool))}..{draw(st.sampled_from(pool))}"
        case _:
            return f'{path}{draw(st.sampled_from(["~=", "!~="]))}"{draw(st.sampled_from(PATTERNS))}"'


queries = st.recursive(
    terms(),
    lambda inner: st.builds(lambda sign, parts: "(" + sign.join(parts) + ")", st.sampled_from([";", "|"]), st.lists(inner, min_size=2, max_size=3)),
    max_leaves=4,
)


# ------------------------------------------------------------------------------------------------------------------ the slow and plain evaluator


def moment(text: str) -> datetime | None:
    """The instant of a DateTime with Z, by the library."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z", text):
        return None
    return datetime.fromisoformat(text)


def clock(text: str) -> float | None:
    found = re.fullmatch(r"([0-9]{2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)Z?", text)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def day(text: str) -> str | None:
    return text if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None


def understood(text: str, is_time_member: bool) -> tuple[str, Any]:
    """A value of a query as (kind, something that compares)."""
    if text.startswith('"'):
        word = json.loads(text)
        if is_time_member and moment(word):
            return "datetime", moment(word)
        return "string", word
    if text in ("true", "false"):
        return "bool", text == "true"
    if re.match(r"-?[0-9.]+(e[+-]?[0-9]+)?\Z", text):
        return "number", json.loads(text)
    if moment(text):
        return "datetime", moment(text)
    if day(text):
        return ("datetime", datetime.fromisoformat(text).replace(tzinfo=UTC)) if is_time_member else ("date", text)
    if clock(text) is not None:
        return "time", clock(text)
    return "string", text


def seen(value: Any, kind: str) -> Any:
    """A stored value as something that compares with values of that kind, or None."""
    match kind:
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case _ if not isinstance(value, str):
            return None
        case "string":
            return value
        case "datetime":
            return moment(value)
        case "date":
            return day(value)
        case _:
            return clock(value)


def slowly(text: str, entity: dict[str, Any]) -> bool:
    """The answer of the standard to one term (no parentheses), read afresh each time."""
    found = re.match(r"(!?)((?:https://[^#]+#\w+|\w+)(?:\.\w+)*)(?:\[([^\]]+)\])?(?:(==|!=|>=|<=|!~=|~=|>|<)(.*))?\Z", text, re.DOTALL)
    assert found, text
    negated, dotted, trail, op, rest = found.groups()
    names = [dotted] if "://" in dotted else dotted.split(".")
    member = names.pop() if names[-1] in ("observedAt", "unitCode", "createdAt", "modifiedAt") else None
    holders = [entity]
    for name in names:
        holders = [instance for holder in holders for instance in holder.get(TERMS.expand(name), [])]
    results = []
    for holder in holders:
        targets = [holder[member]] if member and member in holder else []
        if not member:
            for place in ("value", "json", "vocab", "valueList", "object", "objectList"):
                if place in holder and (place not in ("object", "objectList") or not trail):
                    targets = [holder[place]]
                    for step in trail.split(".") if trail else ():
                        targets = [target[step] for target in targets if isinstance(target, dict) and step in target]
            if "languageMap" in holder:
                targets = [each for language, each in holder["languageMap"].items() if trail in (None, "*", language)]
        if op is None:
            results.append(bool(targets) or (not trail and not member))
            continue
        related = not member and holder["type"] in ("Relationship", "ListRelationship")
        if related and op not in ("==", "!="):
            continue
        bare = [target["@value"] if isinstance(target, dict) and "@value" in target else target for target in targets]
        if op in ("~=", "!~="):
            texts = [target for target in (targets if member else bare) if isinstance(target, str)]
            hits = [bool(re.search(rest[1:-1].replace("$", r"\Z"), each)) for each in texts]
            results.append(any(hits) if op == "~=" else bool(texts) and not any(hits))
            continue
        is_time = member in ("observedAt", "createdAt", "modifiedAt")
        range_ = re.match(r'("(?:[^"\\]|\\.)*"|[^"]*?)\.\.(.*)\Z', rest, re.DOTALL)
        if range_:
            (kind, low), (_, high) = understood(range_[1], is_time), understood(range_[2], is_time)
            inside = not related and any((value := seen(target, kind)) is not None and low <= value <= high for target in (targets if member else bare))
            results.append(inside if op == "==" else bool(targets) and not inside)
            continue
        wanted = [understood(each, is_time) for each in re.findall(r'"(?:[^"\\]|\\.)*"|[^",]+', rest)]
        if op in ("==", "!="):
            offered = []
            for target in bare:
                for each in target if isinstance(target, list) else [target]:
                    offered.append(each["@value"] if isinstance(target, list) and isinstance(each, dict) and "@value" in each else each)
            equal = any(seen(each, kind) is not None and seen(each, kind) == value for each in offered for kind, value in wanted)
            results.append(equal if op == "==" else bool(targets) and not equal)
        else:
            ((kind, limit),) = wanted
            known = [value for target in (targets if member else bare) if (value := seen(target, kind)) is not None]
            results.append(any({">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[op] for value in known))
    return any(results) is not (negated == "!")


# --------------------------------------------------------------------------------------------------------------------------------- agreement


@settings(max_examples=150)
@given(terms(), st.lists(entities, min_size=1, max_size=4))
def test_a_term_matches_what_a_plain_reading_of_the_standard_matches(text: str, some: list[dict[str, Any]]) -> None:
    try:
        matches = parse_q(text, TERMS).matches
    except Problem as error:  # ranges of two kinds that the pools do not mix, but the members of time do
        assert "of one kind" in str(error)  # noqa: PT017
        return
    for entity in some:
        assert matches(entity) is slowly(text, entity), entity


@settings(max_examples=40)
@given(queries, st.lists(entities, min_size=6, max_size=6))
def test_postgresql_answers_a_query_as_matches_does(ask: Ask, text: str, some: list[dict[str, Any]]) -> None:
    q = parse_q(text, TERMS)
    predicate = to_jsonpath(q)
    assert predicate is not None
    assert ask(predicate, some) == [q.matches(entity) for entity in some]


@settings(max_examples=40)
@given(queries, st.lists(entities, min_size=6, max_size=6))
def test_postgresql_answers_also_where_single_instances_stand_without_a_list(ask: Ask, text: str, some: list[dict[str, Any]]) -> None:
    def lean(each: Any) -> Any:
        if isinstance(each, dict):
            return {
                name: lean(value[0]) if name.startswith(("ex:a", "ex:b", "https:")) and isinstance(value, list) and len(value) == 1 else lean(value)
                for name, value in each.items()
            }
        return [lean(value) for value in each] if isinstance(each, list) else each

    q = parse_q(text, TERMS)
    predicate = to_jsonpath(q, lean=True)
    assert predicate is not None
    assert ask(predicate, [lean(entity) for entity in some]) == [q.matches(entity) for entity in some]


@settings(max_examples=40)
@given(
    st.recursive(
        st.sampled_from("ABC"),
        lambda inner: st.builds(lambda sign, parts: "(" + sign.join(parts) + ")", st.sampled_from(";,|"), st.lists(inner, min_size=1, max_size=3)),
        max_leaves=6,
    ),
    st.lists(entities, min_size=4, max_size=4),
)
def test_types_are_selected_alike_by_a_set_formula_by_matches_and_by_postgresql(ask: Ask, text: str, some: list[dict[str, Any]]) -> None:
    types = parse_types(text, TERMS)
    formula = text.replace(";", " and ").replace(",", " or ").replace("|", " or ")
    for name in "ABC":
        formula = formula.replace(name, f"('ex:{name}' in types)")
    expected = [eval(formula, {"types": entity["type"]}) for entity in some]
    assert [types.matches(entity) for entity in some] == expected
    assert ask(types_jsonpath(types), some) == expected


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.sampled_from(["/A", "/A/#", "/A/+", "/A/+/C", "/+/B", "/#", "/+/#", "/Ab", "/A/x-1/#", "/東/+"]), min_size=1, max_size=2),
        min_size=1,
        max_size=2,
    ),
    st.lists(entities, min_size=4, max_size=4),
)
def test_scopes_are_selected_alike_level_by_level_by_matches_and_by_postgresql(ask: Ask, wanted: list[list[str]], some: list[dict[str, Any]]) -> None:
    def fits(pattern: list[str], scope: list[str]) -> bool:
        if pattern == ["#"]:
            return True
        if not pattern or not scope:
            return pattern == scope
        return pattern[0] in ("+", scope[0]) and fits(pattern[1:], scope[1:])

    scopes = parse_scope("|".join("(" + ";".join(each) + ")" for each in wanted))
    expected = [
        any(all(any(fits(pattern.split("/")[1:], scope.split("/")[1:]) for scope in entity.get("scope", [])) for pattern in each) for each in wanted)
        for entity in some
    ]
    assert [scopes.matches(entity) for entity in some] == expected
    assert ask(scope_jsonpath(scopes), some) == expected


# ---------------------------------------------------------------------------------------------------------------------------------- patterns

pieces = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\W", r"\.", "é", "[a-c1-3]", "[[:upper:]]", r"[\s\]x]"]),
    lambda inner: st.one_of(
        st.builds(lambda part, times: f"(?:{part}){times}", inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,}", "*?"])),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: "".join(parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
    ),
    max_leaves=6,
)
subjects = st.text(st.sampled_from("abc1.é \nA]x"), max_size=8)


@settings(max_examples=80)
@given(st.sampled_from(["", "^"]), pieces, st.sampled_from(["", "$"]), st.lists(subjects, min_size=1, max_size=8))
def test_a_pattern_finds_what_the_library_finds_with_and_without_the_automaton(start: str, body: str, end: str, texts: list[str]) -> None:
    pattern = compile_pattern(start + body + end)
    ours = body.replace("[[:upper:]]", "[A-Z]")
    library = re.compile(start + ours + (r"\Z" if end else ""), re.ASCII)
    for text in texts:
        assert pattern.search(text) is (library.search(text) is not None)
        assert pattern._automaton.search(text) is (library.search(text) is not None)


@settings(max_examples=80)
@given(st.sampled_from(["", "^"]), pieces, st.sampled_from(["", "$"]), st.lists(subjects, min_size=6, max_size=6), st.booleans())
def test_a_pattern_finds_the_same_in_postgresql(ask: Ask, start: str, body: str, end: str, texts: list[str], ignore_case: bool) -> None:
    pattern = compile_pattern(start + body + end, ignore_case)
    flag = "is" if ignore_case else "s"
    texts = [text.replace("é", "e") for text in texts] if ignore_case else texts  # letters beyond ASCII have cases of their own
    assert ask((f'strict $ like_regex {json.dumps(pattern.sql)} flag "{flag}"', {}), list(texts)) == [pattern.search(text) for text in texts]


def test_a_random_name_cannot_leave_its_quotes(ask: Ask) -> None:
    name = "https://a.example/" + secrets.choice(["x\\", "x'", "x$v0", "x\u0000"[:1], "x*/"])
    q = parse_q(f"{name}==1", TERMS)
    predicate = to_jsonpath(q)
    assert predicate is not None
    assert ask(predicate, [{name: [{"type": "Property", "value": 1}]}, {}]) == [True, False]


def test_a_query_over_links_gives_no_path_or_a_weaker_one(ask: Ask) -> None:
    q = parse_q('owner{name}=="x";!home{name};speed>1', TERMS)
    weaker = to_jsonpath(q, weaken=True)
    assert to_jsonpath(q) is None
    assert weaker is not None
    owned = {"ex:owner": [{"type": "Relationship", "object": "urn:o"}], "ex:speed": [{"type": "Property", "value": 2}]}
    assert ask(weaker, [owned, {"ex:speed": owned["ex:speed"]}]) == [True, False]


linked_terms = st.builds(
    lambda sign, name, types, inner: f"{sign}{name}{{{types}{inner}}}" if sign else f"{name}{{{types}{inner}}}==1",
    st.sampled_from(["", "!"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "A:", "A,B:"]),
    st.sampled_from(["a", "b", "b{a}", "a{C:b}"]),
)


@settings(max_examples=100)
@given(st.lists(st.one_of(linked_terms, linked_terms, terms()), min_size=1, max_size=3), st.sampled_from(";|"), st.lists(entities, min_size=4, max_size=4))
def test_a_query_over_links_gives_the_same_with_ids_instead(ask: Ask, parts: list[str], sign: str, some: list[dict[str, Any]]) -> None:
    world = {f"urn:a:{number}": entity | {"id": f"urn:a:{number}"} for number, entity in enumerate(some)}
    q = parse_q(sign.join(parts), TERMS)

    def find(types: tuple[str, ...], inner: Q) -> list[str]:
        assert inner.depth == 0
        return [id for id, entity in world.items() if (not types or set(types) & set(entity["type"])) and inner.matches(entity)]

    plain = unlink(q, find)
    expected = [q.matches(entity, world.get) for entity in world.values()]
    assert [plain.matches(entity) for entity in world.values()] == expected
    predicate = to_jsonpath(plain)
    assert predicate is not None
    assert ask(predicate, list(world.values())) == expected
