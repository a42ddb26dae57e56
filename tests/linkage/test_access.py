"""Who may do what: policy files, tokens, and decisions that hold against brute force."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from kiban.base.errors import KibanError, ManyErrors
from kiban.linkage.access import ALLOW, DENY, OPERATIONS, ROUTES, Access, check_bind, name_of, operation_of
from kiban.linkage.broker.contexts import Contexts
from kiban.linkage.broker.query import parse_q
from kiban.linkage.broker.store.contract import Selection, Who
from kiban.linkage.errors import Problem
from kiban.linkage.policy import Bare, Predicate, expand_operation, read_policy

EX = "https://data.town.example/"


def policy(folder: Path, text: str) -> Access:
    path = folder / "policy.yaml"
    path.write_text(text, "utf-8")
    return Access.open(path)


def bearer(token: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + token.encode()}


# ------------------------------------------------------------------------------------------------------------------------- decisions


def test_without_a_policy_everything_is_allowed_and_tokens_are_not_looked_at():
    access = Access()
    assert access.subject_of(bearer("whatever")) == ""
    assert {access.decide("", operation, "") for operation in OPERATIONS} == {ALLOW}


def test_the_first_rule_that_fits_decides_and_what_no_rule_names_is_denied(tmp_path):
    access = policy(
        tmp_path,
        """
version: 1
rules:
  - {who: intern, operations: [entities.delete], deny: true}
  - {who: ["role:office"], operations: ["entities.*"], allow: true}
  - {who: known, operations: [entities.read], tenants: [river, ""], allow: true}
  - {who: anyone, operations: [info.read], allow: true}
roles: {office: [intern, tanaka]}
""",
    )
    assert access.decide("intern", "entities.delete", "") is DENY
    assert access.decide("intern", "entities.create", "") is ALLOW
    assert access.decide("tanaka", "entities.delete", "any") is ALLOW
    assert access.decide("sato", "entities.read", "river") is ALLOW
    assert access.decide("sato", "entities.read", "") is ALLOW
    assert access.decide("sato", "entities.read", "school") is DENY
    assert access.decide("", "entities.read", "river") is DENY
    assert access.decide("", "info.read", "river") is ALLOW
    assert access.decide("sato office", "entities.delete", "") is ALLOW, "a role of the token counts like one of the file"
    assert access.decide("role:office", "entities.delete", "") is DENY, "a name that looks like a role is none"


def test_a_refusal_asks_strangers_to_sign_in_and_tells_known_subjects_what_is_forbidden(tmp_path):
    access = policy(tmp_path, "version: 1\nrules: [{who: known, operations: entities.read, allow: true}]\n")
    assert access.demand("sato", "entities.read", "") is None
    with pytest.raises(Problem) as nobody:
        access.demand("", "entities.read", "")
    with pytest.raises(Problem, match=r"entities.delete in the tenant 'river'") as known:
        access.demand("sato", "entities.delete", "river")
    assert (nobody.value.status, known.value.status) == (401, 403)


NAMES = ["a", "b"]
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.lists(st.sampled_from(["anyone", "anonymous", "known", "role:r", "role:s", "a", "b"]), min_size=1, max_size=3),
            "operations": st.lists(st.sampled_from(["*", "entities.*", "entities.read", "entities.write", "temporal.read"]), min_size=1, max_size=2),
            "tenants": st.sampled_from(["*", "", "t"]),
            "allow": st.booleans(),
        }
    ),
    max_size=6,
)


@given(RULES)
def test_decisions_are_those_of_reading_the_rules_from_the_top(tmp_path_factory, rules):
    path = tmp_path_factory.mktemp("policy") / "p.yaml"
    written = [
        {("allow" if key == "allow" and value else "deny" if key == "allow" else key): True if key == "allow" else value for key, value in rule.items()}
        for rule in rules
    ]
    path.write_text(json.dumps({"version": 1, "roles": {"r": ["a"]}, "rules": written}), "utf-8")
    access = Access.open(path)

    def by_hand(subject: str, operation: str, tenant: str):
        name, *given_roles = subject.split(" ")
        roles = set(given_roles) | ({"r"} if name == "a" else set())
        for rule in rules:
            persons = {"anyone"} | ({"known", name} if name else {"anonymous"}) | {f"role:{role}" for role in roles}
            words = {word for asked in rule["operations"] for word in expand_operation(asked)}
            if persons & set(rule["who"]) and operation in words and rule["tenants"] in ("*", tenant):
                return ALLOW if rule["allow"] else DENY
        return DENY

    for subject, operation, tenant in itertools.product(["", "a", "b", "b s"], ["entities.read", "entities.create", "temporal.read"], ["", "t", "u"]):
        for _ in range(2):  # the second time it is remembered
            assert access.decide(subject, operation, tenant) is by_hand(subject, operation, tenant)


# ------------------------------------------------------------------------------------------------------------------ what is left over


ENTITIES = [
    {
        "id": f"urn:{kind}:{number}",
        "type": [EX + kind],
        **({"scope": [scope]} if scope else {}),
        EX + "level": [{"type": "Property", "value": number}],
        **({EX + "owner": [{"type": "Property", "value": "x"}]} if number % 2 else {}),
    }
    for number, (kind, scope) in enumerate(itertools.product(["Gauge", "School"], ["", "/open", "/open/north", "/closed"]))
]
ONLY = {
    "types": (EX + "Gauge", lambda e: EX + "Gauge" in e["type"]),
    "q": (f"{EX}level>2", lambda e: e[EX + "level"][0]["value"] > 2),
    "scopeQ": ("/open/#", lambda e: any(scope == "/open" or scope.startswith("/open/") for scope in e.get("scope", []))),
    "ids": (["urn:Gauge:1", "urn:Gauge:3", "urn:School:5"], lambda e: e["id"] in ("urn:Gauge:1", "urn:Gauge:3", "urn:School:5")),
    "idPattern": ("[0-35]$", lambda e: e["id"][-1] in "01235"),
}


@given(st.sets(st.sampled_from(sorted(ONLY)), min_size=1), st.sampled_from(["none", "type", "q", "both"]))
def test_a_narrowed_selection_is_the_intersection_of_what_is_asked_and_what_is_allowed(tmp_path_factory, parts, asked):
    path = tmp_path_factory.mktemp("policy") / "p.yaml"
    path.write_text(
        json.dumps({"version": 1, "rules": [{"who": "s", "operations": "entities.read", "only": {part: ONLY[part][0] for part in parts}}]}), "utf-8"
    )
    allowed = Access.open(path).decide("s", "entities.read", "")
    assert isinstance(allowed, Predicate)
    q = parse_q(f"{EX}level<6", Bare()) if asked in ("q", "both") else None
    who = (Who(ids=tuple(entity["id"] for entity in ENTITIES if "School" in entity["id"])),) if asked in ("type", "both") else ()
    request = Selection(who=who, q=q)
    seen = {entity["id"] for entity in ENTITIES if allowed.narrow(request).matches(entity)}
    by_hand = {
        entity["id"]
        for entity in ENTITIES
        if all(ONLY[part][1](entity) for part in parts) and (q is None or entity[EX + "level"][0]["value"] < 6) and (not who or "School" in entity["id"])
    }
    assert seen == by_hand
    assert {entity["id"] for entity in ENTITIES if allowed.matches(entity)} == {
        entity["id"] for entity in ENTITIES if all(ONLY[part][1](entity) for part in parts)
    }


def test_hidden_attributes_are_neither_seen_nor_asked_about(tmp_path):
    access = policy(tmp_path, f'version: 1\nnames: {{level: "{EX}level"}}\nrules: [{{who: anyone, operations: entities.read, only: {{attrs: level}}}}]\n')
    allowed = access.demand("", "entities.read", "")
    assert set(allowed.seen(ENTITIES[1])) == {"id", "type", "scope", EX + "level"}
    allowed.narrow(Selection(q=parse_q(f"{EX}level>2", Bare())))
    with pytest.raises(Problem, match="owner") as problem:
        allowed.narrow(Selection(also=(Selection(q=parse_q(f'{EX}owner=="x"', Bare())),)))
    assert problem.value.status == 403


# ---------------------------------------------------------------------------------------------------------------------------- tokens


def test_a_fixed_token_is_known_by_its_hash_alone(tmp_path):
    digest = hashlib.sha256(b"long-random").hexdigest()
    access = policy(tmp_path, f"version: 1\ntokens: [{{subject: gauge, sha256: {digest}}}]\nrules: [{{who: gauge, operations: '*', allow: true}}]\n")
    assert access.subject_of(bearer("long-random")) == "gauge"
    assert access.subject_of({b"x-auth-token": b"long-random"}) == "gauge"
    assert access.subject_of({}) == ""
    for wrong in ({b"authorization": b"Basic bG9uZw=="}, {b"authorization": b"Bearer "}, bearer("other"), bearer(digest), bearer("x" * 20_000)):
        with pytest.raises(Problem) as problem:
            access.subject_of(wrong)
        assert problem.value.status == 401
        assert "other" not in str(problem.value)


RSA, EC, ED = (
    RSAKey.generate_key(2048, parameters={"kid": "r"}),
    ECKey.generate_key("P-256", parameters={"kid": "e"}),
    OKPKey.generate_key("Ed25519", parameters={"kid": "o"}),
)
NOW = 1_800_000_000
CLAIMS = {"iss": "https://id.town.example", "aud": "kiban", "sub": "tanaka", "exp": NOW + 60, "realm_access": {"roles": ["office", "city hall"]}}


@pytest.fixture
def provider(tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([RSA, EC, ED]).as_dict(private=False)), "utf-8")
    access = policy(
        tmp_path,
        """
version: 1
jwt: {issuer: "https://id.town.example", audience: kiban, jwks: keys.json, roles: realm_access.roles}
rules: [{who: "role:city hall", operations: entities.read, allow: true}]
""",
    )
    access.clock = lambda: NOW
    return access


def signed(claims: dict, key=RSA, algorithm: str = "RS256", **header) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid} | header, claims, key, algorithms=[algorithm])


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_signed_token_gives_subject_and_roles_until_it_expires(provider, key, algorithm):
    headers = bearer(signed(CLAIMS, key, algorithm))
    subject = provider.subject_of(headers)
    assert (subject, name_of(subject)) == ("tanaka city%20hall office", "tanaka")
    assert provider.decide(subject, "entities.read", "") is ALLOW
    provider.clock = lambda: NOW + 59
    assert provider.subject_of(headers) == subject
    provider.clock = lambda: NOW + 61
    with pytest.raises(Problem, match="exp"):
        provider.subject_of(headers)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_older_name_of_ed25519_is_taken_too(provider):
    assert name_of(provider.subject_of(bearer(signed(CLAIMS, ED, "EdDSA")))) == "tanaka"


def test_a_token_without_key_id_is_tried_with_every_key_of_its_kind(provider):
    token = jwt.encode({"alg": "RS256"}, CLAIMS, RSA, algorithms=["RS256"])
    assert name_of(provider.subject_of(bearer(token))) == "tanaka"


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_tokens_that_anybody_could_have_made_are_refused(provider):
    stranger = RSAKey.generate_key(2048, parameters={"kid": "r"})
    public = RSA.as_pem(private=False)
    import hmac

    head = f"{part({'alg': 'HS256', 'kid': 'r'})}.{part(CLAIMS)}"
    forged = head + "." + base64.urlsafe_b64encode(hmac.digest(public, head.encode(), "sha256")).rstrip(b"=").decode()
    good = signed(CLAIMS)
    first, _, last = good.split(".")
    bad = {
        "another key": signed(CLAIMS, stranger),
        "no signature": f"{part({'alg': 'none'})}.{part(CLAIMS)}.",
        "public key as shared secret": forged,
        "changed claims": f"{first}.{part(CLAIMS | {'sub': 'mayor'})}.{last}",
        "another issuer": signed(CLAIMS | {"iss": "https://id.other.example"}),
        "another audience": signed(CLAIMS | {"aud": "other"}),
        "no audience": signed({name: value for name, value in CLAIMS.items() if name != "aud"}),
        "no end": signed({name: value for name, value in CLAIMS.items() if name != "exp"}),
        "over": signed(CLAIMS | {"exp": NOW - 1}),
        "not yet": signed(CLAIMS | {"nbf": NOW + 30}),
        "nobody": signed(CLAIMS | {"sub": ""}),
        "no text as subject": signed({**CLAIMS, "sub": None}),
        "rubbish": "a.b.c",
        "list as header": part([]) + ".e30.e30",  # type: ignore[arg-type]
        "number as key id": part({"alg": "RS256", "kid": 7}) + ".e30.e30",  # type: ignore[dict-item]
        "unknown key id": signed(CLAIMS, RSA, kid="zz"),
        "other algorithm of the same key": jwt.encode({"alg": "PS256", "kid": "r"}, CLAIMS, RSA, algorithms=["PS256"]),
    }
    for what, token in bad.items():
        with pytest.raises(Problem) as problem:
            provider.subject_of(bearer(token))
        assert problem.value.status == 401, what
        assert token not in str(problem.value), what
    assert name_of(provider.subject_of(bearer(good))) == "tanaka"


@given(st.binary(max_size=300))
def test_no_header_whatsoever_is_taken_for_somebody_or_breaks_the_broker(rubbish):
    access = Access()
    access.policy = read_text("version: 1\nrules: []\n")
    with pytest.raises(Problem) as problem:
        access.subject_of({b"authorization": rubbish})
    assert problem.value.status == 401


def test_what_is_remembered_stays_bounded(provider, monkeypatch):
    monkeypatch.setattr("kiban.linkage.access.REMEMBERED", 4)
    for number in range(20):
        provider.subject_of(bearer(signed(CLAIMS | {"sub": f"s{number}"}, EC, "ES256")))
        provider.decide(f"s{number}", "entities.read", "")
        assert len(provider.verified) <= 4
        assert len(provider.decisions) <= 4


# ------------------------------------------------------------------------------------------------------------------------------ files


def read_text(text: str):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_text(text, "utf-8")
        return read_policy(path)


WRONG = {
    "version: 2\nrules: []": "p.yaml:1: found 2; expected 1",
    "version: 1": "no rules",
    "version: 1\nrules:\n- {who: a, operations: entities.reed, allow: true}": "p.yaml:3: found 'entities.reed'",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n": "p.yaml:3: found no verdict",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n  allow: true\n  deny: true\n": "found allow and deny",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n  allow: yes please\n": "p.yaml:5: found 'yes please'",
    "version: 1\nrules:\n- {who: a, operations: '*', allow: true, wen: 3}": "p.yaml:3: found 'wen'",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n  only:\n    types: Gauge\n": "p.yaml:6: found 'Gauge' has no entry under names",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n  only:\n    q: 'urn:x>>'\n": "p.yaml:6",
    "version: 1\nrules:\n- who: a\n  operations: '*'\n  only:\n    idPattern: '('\n": "p.yaml:6",
    "version: 1\nrules:\n- {who: a, operations: '*', only: {}}": "p.yaml:3: found nothing",
    "version: 1\nrules:\n- {who: [], operations: '*', allow: true}": "p.yaml:3: found an empty list",
    "version: 1\nrules: []\ntokens: [{subject: a, sha256: geheim}]": "p.yaml:3: found a value that is no SHA-256",
    "version: 1\nrules: []\nrules: []": "p.yaml:3: found 'rules' a second time",
    "version: 1\nrules: &a []\nroles: *a": "p.yaml:2: found an anchor",
    "version: 1\nrules: [": "p.yaml:",
    "version: 1\nrules: !!python/object/apply:os.system [true]": "p.yaml:2: found",
    "version: 1\nrules: []\njwt: {issuer: a, audience: b, jwks: nowhere.json}": "p.yaml:3: found nowhere.json: No such file",
    "version: 1\nrules: []\njwt: {issuer: a, audience: b, jwks: p.yaml, algorithms: [HS256]}": "found 'HS256'",
    "\x00": "p.yaml: found",
    "": "found None",
}


@pytest.mark.parametrize(("text", "told"), WRONG.items())
def test_a_mistake_is_told_with_file_line_and_what_fits(text, told):
    with pytest.raises(KibanError) as error:
        read_text(text)
    assert told in str(error.value).replace(str(error.value).split("p.yaml")[0], "", 1)
    assert "geheim" not in str(error.value)


def test_all_mistakes_of_a_file_are_told_at_once():
    with pytest.raises(ManyErrors) as errors:
        read_text("version: 3\nnames: {a: b}\nrules:\n- {who: a, operations: x, allow: true}\n- {who: 7, operations: '*', deny: true}\n")
    assert len(errors.value.problems) == 4


def test_a_policy_with_a_mistake_never_replaces_the_one_that_holds(tmp_path):
    access = policy(tmp_path, "version: 1\nrules: [{who: anyone, operations: entities.read, allow: true}]\n")
    assert access.decide("", "entities.read", "") is ALLOW
    access.path.write_text("version: 1\nrules: [{who: anyone, operations: entities.read, alow: true}]\n", "utf-8")
    assert access.changed()
    with pytest.raises(KibanError, match="alow"):
        access.reload()
    assert access.decide("", "entities.read", "") is ALLOW
    assert not access.changed(), "the same mistake is told once"
    access.path.write_text("version: 1\nrules: [{who: anyone, operations: entities.read, deny: true}]\n", "utf-8")
    access.reload()
    assert access.decide("", "entities.read", "") is DENY


def test_the_policy_is_read_again_when_the_file_changes_or_a_signal_asks(tmp_path, monkeypatch):
    monkeypatch.setattr("kiban.linkage.access.LOOK", 0.02)
    access = policy(tmp_path, "version: 1\nrules: []\n")

    async def walk() -> list[tuple[bool, object]]:
        told: asyncio.Queue = asyncio.Queue()
        task = asyncio.create_task(access.watch(lambda _path, error: told.put_nowait((error is None, access.decide("", "info.read", "")))))
        await asyncio.sleep(0)
        found = []
        access.path.write_text("version: 1\nrules: [{who: anyone, operations: '*', allow: true}]\n", "utf-8")
        found.append(await asyncio.wait_for(told.get(), 5))
        access.path.write_text("version: 9\nrules: []\n", "utf-8")
        found.append(await asyncio.wait_for(told.get(), 5))
        os.kill(os.getpid(), signal.SIGHUP)
        found.append(await asyncio.wait_for(told.get(), 5))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return found

    assert asyncio.run(walk()) == [(True, ALLOW), (False, ALLOW), (False, ALLOW)]


def test_the_example_of_the_documentation_is_a_policy(tmp_path):
    import kiban.linkage.policy as module

    text = "\n".join(line[4:] for line in module.__doc__.splitlines() if line.startswith("    "))
    text = text.replace("9f86d0…", "9f" * 32).replace("[level, location]", f'["{EX}level"]')
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([RSA]).as_dict(private=False)), "utf-8")
    access = policy(tmp_path, text)
    assert access.decide("tanaka", "admin.update", "") is ALLOW
    assert isinstance(access.decide("river-gauge", "entities.create", ""), Predicate)
    assert access.decide("", "entities.create", "") is DENY


@pytest.mark.parametrize("page", ["broker-operation.md", "broker-operation.ja.md"])
def test_the_example_of_the_how_to_is_a_policy(tmp_path, page):
    text = (Path(__file__).parents[2] / "docs" / "how-to" / page).read_text("utf-8")
    rules, provider = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([RSA]).as_dict(private=False)), "utf-8")
    (tmp_path / "policy.yaml").write_text(rules + provider, "utf-8")
    access = Access.open(tmp_path / "policy.yaml", Contexts().core)
    assert access.subject_of(bearer("password")) == "river-gauge"
    assert access.subject_of(bearer("letmein")) == "tanaka"
    assert access.decide("tanaka", "admin.read", "") is ALLOW
    assert access.decide("suzuki", "maps.delete", "x") is ALLOW
    assert access.decide("", "info.read", "") is ALLOW
    assert isinstance(access.decide("river-gauge", "entities.update", ""), Predicate)
    assert access.decide("", "entities.read", "river") is DENY
    named = set(re.findall(r"`(\w+)\.(?:read|update)`", text)) | set(re.findall(r"`(entities|temporal|subscriptions|registrations|contexts|maps)`", text))
    assert named == {operation.split(".")[0] for operation in OPERATIONS}


# ------------------------------------------------------------------------------------------------------------------------ the network


def test_the_broker_binds_elsewhere_only_with_a_policy():
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.53"):
        check_bind(host, None)
    for host in ("0.0.0.0", "::", "192.168.1.5", "town-pc", ""):
        with pytest.raises(KibanError, match="--policy FILE"):
            check_bind(host, None)
        check_bind(host, Path("policy.yaml"))


def test_every_area_of_the_interface_leads_to_operations_that_a_policy_can_name():
    for path in ROUTES:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            assert operation_of(method, path) in {*OPERATIONS, "open"}
            assert operation_of(method, path + "/{id}/attrs/{attr}") in {*OPERATIONS, "open"}
    with pytest.raises(KeyError):
        operation_of("GET", "/elsewhere")
