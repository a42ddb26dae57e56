"""Names to IRIs and back: what is compiled here says the same as PyLD, an independent JSON-LD processor."""

from __future__ import annotations

import asyncio
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyld import jsonld

from kiban.linkage.broker.contexts import CORE_URL, DEFAULT_VOCAB, MAX_MAPS, MAX_MEMO, Contexts, Document, core_document, is_core
from kiban.linkage.errors import Problem

CORE = "https://uri.etsi.org/ngsi-ld/"
# The same table for the oracle: without protection, as the core context wins here instead of refusing, and without the one scoped context.
PLAIN_CORE = {
    name: {key: part for key, part in term.items() if key != "@context"} if isinstance(term, dict) else term
    for name, term in core_document()["@context"].items()
    if name != "@protected"
}
# What of it the names of these tests can meet: PyLD takes long over the whole.
SMALL_CORE = {name: PLAIN_CORE[name] for name in ("@version", "@vocab", "ngsi-ld", "geojson", "id", "type", "location", "value", "createdAt", "DateTime")}


def term_map(context: Any, **options: Any):
    return asyncio.run(Contexts(**options).term_map(context))


def attempt(context: Any) -> Any:
    """The compiled context, or the problem with it."""
    try:
        return term_map(context)
    except Problem as problem:
        return problem


def refusal(context: Any, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        term_map(context, **options)
    return caught.value


def no_network(url: str, _options: Any) -> Any:
    raise AssertionError(url)


def oracle_types(context: Any, names: list[str]) -> list[str | None]:
    """The IRI of each name as a type, by PyLD; None: the context maps it to nothing, over which PyLD stumbles."""
    try:
        graph = [{"@id": f"urn:n:{number}", "@type": name} for number, name in enumerate(names)]
        found = jsonld.expand({"@context": context, "@graph": graph}, {"documentLoader": no_network})
    except jsonld.JsonLdError as error:
        if error.code != "invalid type value":
            raise
        if len(names) == 1:
            return [None]
        half = len(names) // 2
        return oracle_types(context, names[:half]) + oracle_types(context, names[half:])
    return [node["@type"][0] for node in found]


def oracle_short(context: Any, iris: list[str]) -> tuple[list[str | None], list[str | None]]:
    """The name of each IRI as an attribute with an object, and as a type, by PyLD; None: it refuses to shorten that one."""
    attributes, types = [], []
    for iri in iris:
        try:
            found = jsonld.compact([{"@type": [iri], iri: [{"urn:has": [{"@value": 1}]}]}], context, {"documentLoader": no_network})
        except jsonld.JsonLdError as error:
            if error.code != "IRI confused with prefix":
                raise
            found = {}
        found.pop("@context", None)
        types.append(next((value for value in found.values() if isinstance(value, str)), None))
        attributes.append(next((key for key, value in found.items() if not isinstance(value, str)), None))
    return attributes, types


NAMES = st.sampled_from(["a", "b", "ab", "p", "w", "r", "speed", "Vehicle", "location", "value", "id", "a/b", "p:a", "p:b", "日本"])
IRIS = st.sampled_from(
    [
        *("https://e.org/", "https://e.org/v#", "https://e.org/v#a", "https://e.org/v#ab", "https://e.org/b", "urn:x:", "urn:x:a", "urn:y"),
        *(DEFAULT_VOCAB, DEFAULT_VOCAB + "a", DEFAULT_VOCAB + "speed", CORE + "location"),
        *("p:a", "p:b", "w:a", "a", "b", "rel", "@id", "@type", "@none", "@foo", "_:b0"),
    ]
)
DEFINITIONS = st.one_of(
    st.none(),
    IRIS,
    st.fixed_dictionaries(
        {},
        optional={
            "@id": st.one_of(st.none(), IRIS),
            "@type": st.one_of(IRIS, st.sampled_from(["@id", "@vocab", "@json", "@none", "DateTime", "ngsi-ld:DateTime"])),
            "@container": st.sampled_from(["@set", "@list", "@language", "@index", ["@set"]]),
            "@language": st.sampled_from(["ja", None]),
            "@prefix": st.booleans(),
            "@protected": st.booleans(),
            "@reverse": IRIS,
        },
    ),
    st.sampled_from([1, [], True]),
)
OBJECTS = st.builds(
    lambda terms, rules: {**terms, **rules},
    st.dictionaries(NAMES, DEFINITIONS, max_size=6),
    st.fixed_dictionaries(
        {},
        optional={
            "@vocab": st.sampled_from(["https://e.org/", "https://e.org/v#", "urn:x:", "p:", "", None]),
            "@version": st.sampled_from([1.1, 1.0]),
            "@protected": st.just(True),
            "@language": st.just("ja"),
            "@base": st.just("https://base.example/"),
        },
    ),
)
CONTEXTS = st.one_of(OBJECTS, st.lists(st.one_of(OBJECTS, st.none(), st.just(CORE_URL)), max_size=3))
ASKED = [
    "a",
    "b",
    "ab",
    "p",
    "w",
    "r",
    "rel",
    "p:a",
    "p:b",
    "p:zz",
    "w:a",
    "r:x",
    "a:b",
    "location",
    "a/b",
    "x y:z",
    "urn:x:a",
    "https://e.org/v#a",
    "p://a",
    "_:b0",
]
SHORTENED = ["https://e.org/v#a", "https://e.org/v#ab", "https://e.org/v#new", "https://e.org/b", "https://e.org/v/deep", "urn:x:a", "urn:x:b:c", "urn:y"]
SHORTENED += [DEFAULT_VOCAB + "a", DEFAULT_VOCAB + "speed", DEFAULT_VOCAB + "fresh", CORE + "location", CORE + "createdAt", CORE + "other"]


# PyLD raises the last two for contexts that are wrong in ways it does not look for.
REFUSES = (jsonld.JsonLdError, KeyError, TypeError)


def for_oracle(context: Any) -> list[Any]:
    """The context as the oracle gets it: with the core context last, and also first where the user's alone does not stand."""
    parts = [SMALL_CORE if part == CORE_URL else part for part in (context if isinstance(context, list) else [context])]
    return [*parts, SMALL_CORE] if stands(parts) else [SMALL_CORE, *parts, SMALL_CORE]


def stands(context: list[Any]) -> bool:
    try:
        jsonld.expand({"@context": context, "@id": "urn:x", "urn:has": 1}, {"documentLoader": no_network})
    except REFUSES:
        return False
    return True


@settings(max_examples=150)
@given(CONTEXTS)
def test_every_name_has_the_iri_that_another_processor_gives_it(context):
    terms = attempt(context)
    if isinstance(terms, Problem):
        assert terms.kind == "BadRequestData"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert not stands(for_oracle(context)[:-1])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = oracle_types(for_oracle(context), ASKED)
        except KeyError:
            assert "'@vocab': None" in repr(context)  # PyLD fails to take away a vocabulary that is not there
            return
        except jsonld.JsonLdError as error:
            # A user's context protects a name of the core context: there it is an error, here the core context wins all the same.
            if error.code not in ("protected term redefinition", "invalid context nullification"):
                raise
            return
    for name, iri in zip(ASKED, expected, strict=True):
        if iri is None:
            with pytest.raises(Problem):
                terms.expand(name)
        else:
            assert terms.expand(name) == iri


@settings(max_examples=100)
@given(CONTEXTS)
def test_every_iri_has_the_name_that_another_processor_gives_it(context):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            terms = term_map(context)
            attributes, types = oracle_short(for_oracle(context), SHORTENED)
        except (Problem, *REFUSES):
            return
    for iri, *names in zip(SHORTENED, attributes, types, strict=True):
        short = terms.compact(iri)
        assert short == iri or terms.expand(short) == iri
        for expected in names:
            if expected is None or expected == short:
                continue
            # The only differences: a coerced name is taken where nothing else is exact, and what would not come back is not given out.
            exact = terms.definitions.get(expected) is not None and terms.definitions[expected].iri == iri
            coerced = terms.definitions.get(short) is not None and terms.definitions[short].iri == iri
            assert (coerced and not exact) or (terms.definitions.get(expected) is None and terms.iris[expected] != iri)


def test_the_core_context_comes_last_wherever_it_stands():
    own = {"location": "https://e.org/place", "speed": "https://e.org/speed"}
    for context in (own, [own], [own, CORE_URL], [CORE_URL, own]):
        terms = term_map(context)
        assert terms.expand("location") == CORE + "location"
        assert terms.expand("speed") == "https://e.org/speed"
        assert terms.compact("https://e.org/speed") == "speed"
        assert terms.compact("https://e.org/place") == "https://e.org/place"


def test_no_name_of_the_core_context_means_something_else():
    core = term_map(None)
    for name in core_document()["@context"]:
        if name[0] != "@" and name not in ("id", "type"):
            iri = core.expand(name)
            assert iri.startswith(("https://uri.etsi.org/ngsi-ld/", "https://purl.org/geojson/vocab#", "http://purl.org/dc/terms/", "http://www.w3.org/"))
            assert core.compact(iri) == name
    assert (core.expand("id"), core.expand("type")) == ("@id", "@type")
    assert (core.expand("anything"), core.compact(DEFAULT_VOCAB + "anything")) == (DEFAULT_VOCAB + "anything", "anything")
    assert (core.coercion("observedAt"), core.coercion("datasetId"), core.coercion("q")) == (CORE + "DateTime", "@id", None)


@pytest.mark.parametrize("version", ["-v1.3", "-v1.6", "-v1.8", "-v1.9", ""])
def test_every_published_core_context_is_the_packaged_one(version):
    url = f"https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{version}.jsonld"
    assert term_map(url).expand("vocab") == CORE + "hasVocab"
    assert term_map(url).source == url


@pytest.mark.parametrize("end", ["-v1.x.jsonld", "-not-there.jsonld", "-v1.9.jsonld.old", "-v2.0.jsonld"])
def test_an_address_that_only_looks_like_the_core_context_is_not_available(end):
    assert refusal("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context" + end).kind == "LdContextNotAvailable"


def test_a_name_that_comes_back_as_another_is_given_in_full():
    terms = term_map({"p": "urn:p#", "a:b": {"@id": "a:b"}})
    for iri in (DEFAULT_VOCAB + "a:b", DEFAULT_VOCAB + "p:x", DEFAULT_VOCAB + "@type", DEFAULT_VOCAB + "location", DEFAULT_VOCAB + "urn:x:y"):
        assert terms.expand(terms.compact(iri)) == iri
        assert terms.compact(iri) not in ("a:b", "p:x", "@type", "location", "urn:x:y")


def test_among_several_names_the_shortest_and_then_the_first_is_given():
    context = {
        "speed": "https://e.org/s",
        "spd": "https://e.org/s",
        "spc": "https://e.org/s",
        "e": "https://e.org/",
        "when": {"@id": "https://e.org/t", "@type": "DateTime"},
    }
    terms = term_map(context)
    assert terms.compact("https://e.org/s") == "spc"
    assert terms.compact("https://e.org/other") == "e:other"
    assert terms.compact("https://e.org/t") == "when"


@pytest.mark.parametrize("order", [[], [CORE_URL]])
def test_a_context_may_use_names_of_the_core_context(order):
    terms = term_map([*order, {"when": {"@id": "https://e.org/t", "@type": "DateTime"}}])
    assert terms.coercion("when") == CORE + "DateTime"
    assert term_map([CORE_URL, {"mine": "ngsi-ld:mine"}]).expand("mine") == CORE + "mine"


def test_a_name_without_meaning_is_refused_rather_than_dropped():
    with pytest.raises(Problem, match="maps 'gone' to nothing"):
        term_map({"gone": None}).expand("gone")
    with pytest.raises(Problem, match="stands for @id"):
        term_map({"identifier": "@id"}).expand_type("identifier")


def test_a_context_that_is_scoped_to_a_name_holds_inside_of_it():
    terms = term_map({"meter": {"@id": "https://e.org/meter", "@context": {"level": "https://e.org/meter-level"}}, "level": "https://e.org/level"})
    assert terms.expand("level") == "https://e.org/level"
    assert terms.within("meter").expand("level") == "https://e.org/meter-level"
    assert terms.within("meter").expand("location") == CORE + "location"
    assert terms.within("level") is terms


def write(folder: Path, documents: dict[str, Any]) -> dict[str, Path]:
    paths = {}
    for number, (url, context) in enumerate(documents.items()):
        paths[url] = folder / f"{number}.jsonld"
        paths[url].write_text(json.dumps({"@context": context}), "utf-8")
    return paths


def test_contexts_behind_addresses_are_read_in_their_order(tmp_path):
    map = write(
        tmp_path,
        {
            "https://e.org/c/one.jsonld": ["two.jsonld", {"a": "urn:one:a"}],
            "https://e.org/c/two.jsonld": {"a": "urn:two:a", "b": {"@id": "urn:two:b", "@context": "../three.jsonld"}},
            "https://e.org/three.jsonld": {"c": "urn:three:c"},
            "https://e.org/four.jsonld": {"@import": "three.jsonld", "d": "urn:four:d"},
        },
    )
    terms = term_map("https://e.org/c/one.jsonld", map=map)
    assert (terms.expand("a"), terms.expand("b"), terms.within("b").expand("c")) == ("urn:one:a", "urn:two:b", "urn:three:c")
    assert terms.urls == set(list(map)[:3])
    assert term_map(["https://e.org/c/one.jsonld", "https://e.org/c/two.jsonld"], map=map).expand("a") == "urn:two:a"
    imported = term_map("https://e.org/four.jsonld", map=map)
    assert (imported.expand("c"), imported.expand("d")) == ("urn:three:c", "urn:four:d")


def test_circles_and_crowds_of_contexts_are_refused(tmp_path):
    crowd = {f"https://e.org/{number}": f"https://e.org/{number + 1}" for number in range(60)}
    map = write(tmp_path, {"https://e.org/round": ["https://e.org/back"], "https://e.org/back": "https://e.org/round", **crowd})
    assert "includes itself" in refusal("https://e.org/round", map=map).detail
    assert refusal("https://e.org/0", map=map).kind == "BadRequestData"
    deep: Any = {}
    for _ in range(40):
        deep = {"a": {"@id": "urn:a", "@context": deep}}
    assert refusal(deep).kind == "BadRequestData"


@pytest.mark.parametrize(
    "context", [1, True, [1], [["https://e.org/"]], {"a": 1}, {"a": {"@id": 1}}, {"a": {"@container": {}}}, {"@vocab": 1}, {"a": {"@type": []}}]
)
def test_what_is_no_context_is_bad_request_data(context):
    assert refusal(context).kind == "BadRequestData"


@pytest.mark.parametrize("address", ["", "relative.jsonld", "/ngsi-ld/v1/jsonldContexts/1", "ftp://e.org/c", "file:///etc/passwd", "https://", "urn:x:y"])
def test_only_absolute_web_addresses_are_addresses(address):
    assert refusal(address).kind == "BadRequestData"


def test_nothing_is_fetched_without_a_fetch_function():
    assert refusal("https://e.org/c.jsonld").body() == {
        "type": "https://uri.etsi.org/ngsi-ld/errors/LdContextNotAvailable",
        "title": "@context not available",
        "detail": "https://e.org/c.jsonld: it is not in the context map, and nothing is fetched (--context-map, --fetch-contexts)",
        "status": 504,
    }


@pytest.mark.parametrize(("answer", "kind"), [(b"this is { not", "BadRequestData"), (b'{"note": 1}', "BadRequestData"), (b"[]", "BadRequestData")])
def test_what_is_fetched_must_be_a_context(answer, kind):
    async def fetch(_url: str) -> bytes:
        return answer

    assert refusal("https://e.org/c.jsonld", fetch=fetch).kind == kind


def test_many_that_wait_for_one_address_share_one_fetch():
    asked = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        await asyncio.sleep(0.01)
        return b'{"@context": {"a": "urn:a"}}'

    async def run() -> None:
        contexts = Contexts(fetch=fetch)
        first = asyncio.ensure_future(contexts.term_map("https://e.org/c"))
        found = [asyncio.ensure_future(contexts.term_map(["https://e.org/c", {"b": f"urn:{number}"}])) for number in range(5)]
        await asyncio.sleep(0.001)
        first.cancel()
        for number, terms in enumerate(await asyncio.gather(*found)):
            assert (terms.expand("a"), terms.expand("b")) == ("urn:a", f"urn:{number}")

    asyncio.run(run())
    assert asked == ["https://e.org/c"]


def test_the_context_of_one_tenant_is_not_that_of_another():
    def hosted(_url: str, tenant: str) -> Document | None:
        return Document({"a": f"urn:{tenant}:a"}, True, "1") if tenant else None

    async def run() -> None:
        contexts = Contexts(hosted=hosted)
        for tenant in ("one", "two", "one"):
            assert (await contexts.term_map("https://b/1", tenant)).expand("a") == f"urn:{tenant}:a"
        assert contexts.known("https://b/1", "three") is None
        with pytest.raises(Problem):
            await contexts.term_map("https://b/1", "")

    asyncio.run(run())


def test_uses_are_counted_through_every_change_of_the_cache():
    async def run() -> None:
        contexts = Contexts(hosted=lambda url, _tenant: Document({"a": "urn:a"}, False, url))
        for _ in range(3):
            await contexts.term_map("https://e.org/c")
        await contexts.term_map(["https://e.org/c", {"b": "urn:b"}])
        for number in range(MAX_MAPS + 5):
            await contexts.term_map({"b": f"urn:{number}"})
        assert contexts.known("https://e.org/c") is None
        assert contexts.uses("https://e.org/c")[0] == 4
        await contexts.term_map("https://e.org/c")
        contexts.count("https://e.org/c")
        contexts.clear()
        assert contexts.uses("https://e.org/c")[0] == 6
        contexts.forget("https://e.org/c")
        assert contexts.uses("https://e.org/c") == (0, 0.0)

    asyncio.run(run())


def test_the_memory_of_names_is_bounded():
    terms = term_map({"e": "https://e.org/"})
    for number in range(2 * MAX_MEMO):
        assert terms.iris[f"n{number}"] == f"{DEFAULT_VOCAB}n{number}"
        assert terms.terms[f"https://e.org/{number}"] == f"e:{number}"
    assert len(terms.iris) <= MAX_MEMO
    assert len(terms.terms) <= MAX_MEMO
    terms.expand("x" * 10_000)
    assert "x" * 10_000 not in terms.iris


def test_a_text_is_no_object_with_the_same_letters():
    contexts = Contexts()
    asyncio.run(contexts.term_map({"a": "urn:a"}))
    assert contexts.known('{"a":"urn:a"}') is None
    assert contexts.known({"a": "urn:a"}) is contexts.known([{"a": "urn:a"}])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES | IRIS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "p",
                    "@id",
                    "@type",
                    "@container",
                    "@context",
                    "@vocab",
                    "@import",
                    "@nest",
                    "@index",
                    "@language",
                    "@direction",
                    "@prefix",
                    "@base",
                    "@propagate",
                    "@reverse",
                    "@version",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON)
def test_whatever_json_is_given_as_context_the_answer_is_a_map_or_a_problem(context):
    assume(not isinstance(context, str))
    terms = attempt(context)
    if isinstance(terms, Problem):
        assert terms.kind in ("BadRequestData", "LdContextNotAvailable")
    else:
        assert terms.expand("location") == CORE + "location"


def test_real_contexts_say_the_same_as_another_processor(request):
    data = request.getfixturevalue("test_data") / "ngsi_ld_contexts"
    files = {f"https://real.example/{path.name}": path for path in data.glob("*.jsonld")}
    documents = {url: json.loads(path.read_text("utf-8"))["@context"] for url, path in files.items()}
    for url, document in documents.items():
        if not isinstance(document, dict):
            continue
        user = {
            name: {key: part for key, part in term.items() if key != "@context"} if isinstance(term, dict) else term
            for name, term in document.items()
            if name != "@protected"
        }
        terms = term_map(url, map=files) if "core" not in url else term_map(user)
        names = sorted(name for name in document if name[0] != "@")
        for name, iri in zip(names, oracle_types([user, PLAIN_CORE], names), strict=True):
            assert terms.expand(name) == iri
            if iri[0] != "@":
                assert terms.expand(terms.compact(iri)) == iri
    assert not is_core("https://real.example/ngsi-ld-core-context-v1.9.jsonld")
