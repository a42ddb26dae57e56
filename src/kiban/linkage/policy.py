"""The policy file: who may do what, as people write it in YAML, read into rules.

In: the text of the file. Out: a `Policy`, or every mistake of the file at once, each with its line. Who decides with it is `access`.

    version: 1
    names: {WaterLevel: "https://data.town.example/WaterLevel"}   # short names used below; full names (IRIs) need no entry
    tokens:
      - {subject: river-gauge, sha256: 9f86d0…}                   # printf %s "$TOKEN" | sha256sum
    jwt: {issuer: "https://id.town.example", audience: kiban, jwks: keys.json, roles: realm_access.roles}
    roles: {office: [tanaka, suzuki]}
    rules:                                                        # the first rule that fits decides; if none does: deny
      - {who: "role:office", operations: ["*"], allow: true}
      - {who: river-gauge, operations: [entities.read, entities.write], only: {types: WaterLevel, idPattern: "^urn:gauge:"}}
      - {who: anyone, operations: [entities.read], only: {scopeQ: "/open/#", attrs: [level, location]}}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiban.base.errors import KibanError, ManyErrors
from kiban.linkage.broker.late import Late
from kiban.linkage.broker.model import OWN
from kiban.linkage.broker.query import Q, parse_q
from kiban.linkage.broker.selection import Terms, parse_id_pattern, parse_scope, parse_types
from kiban.linkage.broker.store.contract import Entity, Selection, Who
from kiban.linkage.errors import Problem

if TYPE_CHECKING:
    import yaml
else:
    yaml = Late("yaml")

MAX_BYTES: Final = 1024 * 1024
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
SPECIAL: Final = ("anyone", "anonymous", "known")

# What can be allowed: every route of the broker belongs to one of these (`access.ROUTES`). A policy may also say `entities.write` for create and update.
DEEDS: Final = {"read": "read and query", "create": "make new ones", "update": "change what is there", "delete": "delete"}
AREAS: Final[dict[str, str]] = {
    "entities": "entities and their attributes",
    "temporal": "the history of entities",
    "subscriptions": "subscriptions",
    "registrations": "registrations of context sources, and subscriptions to them",
    "contexts": "hosted @contexts",
    "maps": "entity maps and snapshots",
}
OPERATIONS: Final[dict[str, str]] = {
    **{f"{area}.{deed}": f"{what}: {doing}" for area, what in AREAS.items() for deed, doing in DEEDS.items()},
    "types.read": "the types and attributes in use: read",
    "info.read": "what the broker is: version, identity, description of its interface",
    "admin.read": "figures of operation, waiting and failed notifications: read",
    "admin.update": "failed notifications: send again or drop; maintenance: start",
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """What a rule with `only` leaves: which entities, and which of their attributes.

    selection  entities that may be touched
    attrs      attributes (IRIs) that may be seen and changed; None: all

    >>> seen = Predicate(Selection(), frozenset({"https://e.jp/level"}))
    >>> seen.seen({"id": "urn:a", "type": ["https://e.jp/T"], "https://e.jp/level": [], "https://e.jp/owner": []})
    {'id': 'urn:a', 'type': ['https://e.jp/T'], 'https://e.jp/level': []}
    """

    selection: Selection
    attrs: frozenset[str] | None = None

    def matches(self, entity: Entity) -> bool:
        """True if this entity (internal form) may be touched; for a change, ask with what stands there and with what will."""
        return self.selection.matches(entity)

    def narrow(self, selection: Selection) -> Selection:
        """A selection of a request, cut to what is allowed.

        Raises 403 Forbidden if it asks about an attribute that is hidden, or about linked entities, which may be outside of what is allowed.
        """
        for part in selection.flat:
            if isinstance(part.q, Q):
                if part.q.depth:
                    raise Problem("Forbidden", "linked entities may not be asked about", part.q.text[:200])
                self.check(part.q.attributes)
            if part.geo is not None:
                self.check([part.geo.attr])
            self.check(part.attrs)
        return selection.and_also(self.selection)

    def seen(self, entity: Entity) -> Entity:
        """The entity without the attributes that are hidden; the same object if none is."""
        if self.attrs is None:
            return entity
        return {name: value for name, value in entity.items() if name in OWN or name in self.attrs}

    def check(self, attrs: Any) -> None:
        """403 Forbidden if one of these attributes (IRIs) is hidden: a filter or an order by it would tell its value."""
        if self.attrs is not None:
            hidden = sorted(set(attrs) - self.attrs)
            if hidden:
                raise Problem("Forbidden", "this attribute may not be used", ", ".join(hidden))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. verdict: True allow, False deny, else what is left."""

    line: int
    names: frozenset[str]
    roles: frozenset[str]
    special: frozenset[str]
    operations: frozenset[str]
    tenants: frozenset[str] | None
    verdict: bool | Predicate

    def fits(self, name: str, roles: frozenset[str], operation: str, tenant: str) -> bool:
        """True if the rule speaks of this subject, operation and tenant. name "": nobody signed in."""
        return (
            operation in self.operations
            and (self.tenants is None or tenant in self.tenants)
            and (
                "anyone" in self.special or ("known" in self.special if name else "anonymous" in self.special) or name in self.names or bool(roles & self.roles)
            )
        )


@dataclass(frozen=True, slots=True)
class Jwt:
    """How tokens of an identity provider are checked; `keys` is the text of its JWKS file."""

    issuer: str
    audience: str
    jwks: Path
    keys: str
    algorithms: tuple[str, ...] = ALGORITHMS
    subject: str = "sub"
    roles: tuple[str, ...] = ("roles",)
    leeway: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file, read."""

    rules: tuple[Rule, ...]
    tokens: Mapping[bytes, str] = field(default_factory=dict)  # SHA-256 of the token → subject
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)  # subject → its roles by this file
    jwt: Jwt | None = None
    files: tuple[Path, ...] = ()


class Bare:
    """Names without a @context: full names only."""

    def expand(self, term: str) -> str:
        """The name itself, if it is a full one. Raises BadRequestData."""
        if ":" in term:
            return term
        raise Problem("BadRequestData", "a short name", f"{term!r} has no entry under names")

    expand_type = expand_vocab = expand


class Named:
    """Names of a policy: its own `names`, then the @context of the broker."""

    def __init__(self, names: Mapping[str, str], terms: Terms) -> None:
        self.names, self.terms = names, terms

    def expand(self, term: str) -> str:
        """The IRI of an attribute."""
        return self.names.get(term) or self.terms.expand(term)

    def expand_type(self, term: str) -> str:
        """The IRI of an entity type."""
        return self.names.get(term) or self.terms.expand_type(term)

    def expand_vocab(self, value: str) -> str:
        """The IRI of a word of a vocabulary."""
        return self.names.get(value) or self.terms.expand_vocab(value)


Where = tuple[str | int, ...]


def read_yaml(text: str, file: str) -> tuple[Any, dict[Where, int]]:
    """Plain data of a YAML text and the line of each part; no tags, no anchors, no key twice.

    >>> read_yaml("a:\\n- b", "f")
    ({'a': ['b']}, {(): 1, ('a',): 1, ('a', 0): 2})
    """
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise KibanError(
                    f"{file}:{(event.start_mark.line if event.start_mark else 0) + 1}", "an anchor or alias of YAML", "plain values", "write the value out"
                )
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else 1
        raise KibanError(f"{file}:{line}", str(error.problem), "YAML", "look for a missing quote, bracket or indent there") from error
    except yaml.YAMLError as error:
        raise KibanError(file, str(error).splitlines()[0], "YAML in UTF-8", "remove the control characters") from error
    except RecursionError as error:
        raise KibanError(file, "YAML nested too deeply", "a few levels", "write it flatter") from error
    lines: dict[Where, int] = {}
    loader = yaml.SafeLoader("")

    def value(node: yaml.Node, where: Where) -> Any:
        lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, below in node.value:
                name = str(key.value)
                if name in found:
                    raise KibanError(f"{file}:{key.start_mark.line + 1}", f"{name!r} a second time", "each name once", "put both into one")
                lines[(*where, name)] = key.start_mark.line + 1
                found[name] = value(below, (*where, name))
            return found
        if isinstance(node, yaml.SequenceNode):
            return [value(below, (*where, place)) for place, below in enumerate(node.value)]
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise KibanError(f"{file}:{node.start_mark.line + 1}", repr(node.value), "a plain value", "put it into quotes") from error

    return (None if root is None else value(root, ())), lines


class Reading:
    """One policy file on its way to rules; mistakes are gathered in `problems`."""

    def __init__(self, path: Path, data: Any, lines: Mapping[Where, int], terms: Terms) -> None:
        self.path, self.data, self.lines, self.terms = path, data, lines, terms
        self.problems: list[KibanError] = []

    def wrong(self, where: Where, found: str, fits: str, step: str) -> None:
        """Note a mistake at its line."""
        while where not in self.lines and where:
            where = where[:-1]
        self.problems.append(KibanError(f"{self.path}:{self.lines.get(where, 1)}", found, fits, step))

    def members(self, value: Any, where: Where, known: tuple[str, ...], needed: tuple[str, ...] = ()) -> dict[str, Any]:
        """A mapping with no other names than the known ones."""
        if not isinstance(value, dict):
            self.wrong(where, f"{value!r:.60}", f"a mapping with {', '.join(known)}", "write `name: value` lines")
            return {}
        for name in value:
            if name not in known:
                self.wrong((*where, name), repr(name), ", ".join(known), "correct or remove it")
        for name in needed:
            if name not in value:
                self.wrong(where, f"no {name}", f"{name}: …", f"add {name}")
        return {name: part for name, part in value.items() if name in known}

    def texts(self, value: Any, where: Where, fits: str) -> list[tuple[str, Where]]:
        """One text or a list of texts, each with its place."""
        parts = value if isinstance(value, list) else [value]
        found = []
        for place, part in enumerate(parts):
            spot = (*where, place) if isinstance(value, list) else where
            if isinstance(part, str) and part:
                found.append((part, spot))
            else:
                self.wrong(spot, f"{part!r:.60}", fits, "write it as text, in quotes if need be")
        if isinstance(value, list) and not value:
            self.wrong(where, "an empty list", fits, "name at least one, or remove the line")
        return found

    def policy(self) -> Policy:
        """The whole file."""
        top = self.members(self.data, (), ("version", "names", "tokens", "jwt", "roles", "rules"), ("version", "rules"))
        if top.get("version", 1) != 1:
            self.wrong(("version",), repr(top["version"]), "1", "write version: 1")
        names = self.names(top.get("names", {}))
        self.terms = Named(names, self.terms)
        tokens = self.tokens(top.get("tokens", []))
        jwt = self.jwt(top["jwt"]) if "jwt" in top else None
        roles = self.roles(top.get("roles", {}))
        rules = self.rules(top.get("rules", []))
        if self.problems:
            raise self.problems[0] if len(self.problems) == 1 else ManyErrors(str(self.path), self.problems)
        return Policy(rules, tokens, roles, jwt, (self.path,) if jwt is None else (self.path, jwt.jwks))

    def names(self, value: Any) -> dict[str, str]:
        """Short names with their IRIs."""
        found = {}
        if not isinstance(value, dict):
            self.wrong(("names",), f"{value!r:.60}", "short name: full name", 'write names: {WaterLevel: "https://…"}')
            return {}
        for name, iri in value.items():
            if isinstance(iri, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z", iri):
                found[name] = iri
            else:
                self.wrong(("names", name), f"{iri!r:.60}", "a full name such as https://data.town.example/WaterLevel", "write the whole IRI")
        return found

    def tokens(self, value: Any) -> dict[bytes, str]:
        """Hashes of fixed tokens."""
        found: dict[bytes, str] = {}
        if not isinstance(value, list):
            self.wrong(("tokens",), f"{value!r:.60}", "a list of {subject, sha256}", "write one `- {subject: …, sha256: …}` per token")
            return {}
        for place, part in enumerate(value):
            where: Where = ("tokens", place)
            token = self.members(part, where, ("subject", "sha256"), ("subject", "sha256"))
            subject, text = token.get("subject"), token.get("sha256")
            if subject is not None and (not isinstance(subject, str) or not subject or re.search(r"\s", subject)):
                self.wrong((*where, "subject"), f"{subject!r:.60}", "a name without blanks", "such as river-gauge")
                continue
            if text is not None and not (isinstance(text, str) and re.match(r"[0-9a-fA-F]{64}\Z", text)):
                # The value is not shown: it may be the token itself, put here by mistake.
                self.wrong((*where, "sha256"), "a value that is no SHA-256", "64 hexadecimal digits", 'take those of: printf %s "$TOKEN" | sha256sum')
                continue
            if subject is None or text is None:
                continue
            digest = bytes.fromhex(text)
            if digest == hashlib.sha256(b"").digest():
                self.wrong((*where, "sha256"), "the hash of an empty text", "the hash of a long random token", "make one: openssl rand -hex 32")
            if digest in found:
                self.wrong((*where, "sha256"), "the same token a second time", "each token once", "make another one")
            found[digest] = subject
        return found

    def jwt(self, value: Any) -> Jwt | None:
        """The identity provider."""
        known = ("issuer", "audience", "jwks", "algorithms", "subject", "roles", "leeway")
        part = self.members(value, ("jwt",), known, ("issuer", "audience", "jwks"))
        texts: dict[str, str] = {}
        for name in ("issuer", "audience", "jwks", "subject"):
            if name in part:
                found = self.texts(part[name], ("jwt", name), "a text")
                if isinstance(part[name], list):
                    self.wrong(("jwt", name), "a list", "one text", "name one")
                elif found:
                    texts[name] = found[0][0]
        algorithms = tuple(text for text, spot in self.texts(part.get("algorithms", list(ALGORITHMS)), ("jwt", "algorithms"), ", ".join(ALGORITHMS)))
        for name in set(algorithms) - set(ALGORITHMS):
            self.wrong(("jwt", "algorithms"), repr(name), ", ".join(ALGORITHMS), "remove it; shared secrets and 'none' are never taken")
        roles = part.get("roles", "roles")
        claims = tuple(text for text, _ in self.texts(roles, ("jwt", "roles"), "the path of a claim such as realm_access.roles"))
        leeway = part.get("leeway", 0)
        if not isinstance(leeway, int) or isinstance(leeway, bool) or not 0 <= leeway <= 300:
            self.wrong(("jwt", "leeway"), f"{leeway!r:.60}", "seconds, 0 to 300", "write a whole number")
            leeway = 0
        if not {"issuer", "audience", "jwks"} <= set(texts):
            return None
        file = self.path.parent / texts["jwks"]
        try:
            keys = read_limited(file)
        except (OSError, UnicodeDecodeError) as error:
            self.wrong(
                ("jwt", "jwks"), f"{texts['jwks']}: {getattr(error, 'strerror', None) or 'no UTF-8'}", "a JWKS file", "save the keys of the provider there"
            )
            return None
        return Jwt(texts["issuer"], texts["audience"], file, keys, algorithms, texts.get("subject", "sub"), claims, leeway)

    def roles(self, value: Any) -> dict[str, frozenset[str]]:
        """Subject → roles."""
        found: dict[str, set[str]] = {}
        if not isinstance(value, dict):
            self.wrong(("roles",), f"{value!r:.60}", "role: [subjects]", "write roles: {office: [tanaka]}")
            return {}
        for role, subjects in value.items():
            for subject, _ in self.texts(subjects, ("roles", role), "names of subjects"):
                found.setdefault(subject, set()).add(role)
        return {subject: frozenset(roles) for subject, roles in found.items()}

    def rules(self, value: Any) -> tuple[Rule, ...]:
        """The rules in their order."""
        if not isinstance(value, list):
            self.wrong(("rules",), f"{value!r:.60}", "a list of rules", "write one `- who: …` per rule")
            return ()
        return tuple(rule for place, part in enumerate(value) if (rule := self.rule(part, ("rules", place))) is not None)

    def rule(self, value: Any, where: Where) -> Rule | None:
        """One rule."""
        part = self.members(value, where, ("who", "operations", "tenants", "allow", "deny", "only"), ("who", "operations"))
        before = len(self.problems)
        fits = "anyone, anonymous, known, role:NAME or a subject"
        who = [text for text, _ in self.texts(part["who"], (*where, "who"), fits)] if "who" in part else []
        operations: set[str] = set()
        if "operations" in part:
            for name, spot in self.texts(part["operations"], (*where, "operations"), "names of operations"):
                found = set(expand_operation(name))
                if not found:
                    self.wrong(
                        spot,
                        repr(name),
                        f"*, {', '.join(sorted({each.split('.')[0] + '.*' for each in OPERATIONS}))} or one of {', '.join(OPERATIONS)}",
                        "correct it",
                    )
                operations |= found
        tenants: frozenset[str] | None = None
        if "tenants" in part:
            listed = part["tenants"] if isinstance(part["tenants"], list) else [part["tenants"]]
            if not all(isinstance(name, str) for name in listed) or not listed:
                self.wrong((*where, "tenants"), f"{part['tenants']!r:.60}", 'names of tenants, "" for the default one, "*" for all', "put them into quotes")
            elif "*" not in listed:
                tenants = frozenset(listed)
        verdicts = [name for name in ("allow", "deny", "only") if name in part]
        if len(verdicts) != 1:
            self.wrong(where, " and ".join(verdicts) or "no verdict", "one of allow: true, deny: true, only: {…}", "keep one")
            return None
        verdict: bool | Predicate | None
        if verdicts == ["only"]:
            verdict = self.only(part["only"], (*where, "only"))
        else:
            verdict = verdicts == ["allow"]
            if part[verdicts[0]] is not True:
                self.wrong((*where, verdicts[0]), f"{part[verdicts[0]]!r:.60}", "true", f"write {verdicts[0]}: true, or the other word")
        if len(self.problems) > before or verdict is None:
            return None
        roles = frozenset(name[5:] for name in who if name.startswith("role:"))
        special = frozenset(name for name in who if name in SPECIAL)
        names = frozenset(name for name in who if name not in SPECIAL and not name.startswith("role:"))
        return Rule(self.lines.get(where, 1), names, roles, special, frozenset(operations), tenants, verdict)

    def only(self, value: Any, where: Where) -> Predicate | None:
        """The entities that a rule leaves."""
        part = self.members(value, where, ("types", "q", "scopeQ", "attrs", "ids", "idPattern"))
        if not part:
            self.wrong(where, "nothing", "types, q, scopeQ, attrs, ids or idPattern", "name at least one, or write allow: true")
            return None

        def read(name: str, parse: Callable[[str], Any]) -> Any:
            if name not in part:
                return None
            spot = (*where, name)
            text = part[name]
            if name == "types" and isinstance(text, list):
                text = ",".join(each for each, _ in self.texts(text, spot, "an entity type"))
            if not isinstance(text, str) or not text:
                self.wrong(spot, f"{text!r:.60}", f"{name} as in a query", "write it as text, in quotes")
                return None
            try:
                return parse(text)
            except Problem as problem:
                self.wrong(spot, problem.detail or problem.title, f"{name} as in a query, with full names or those under names", "correct it")
                return None

        types = read("types", lambda text: parse_types(text, self.terms))
        q = read("q", lambda text: parse_q(text, self.terms))
        if q is not None and q.depth:
            self.wrong((*where, "q"), "a condition on linked entities", "a condition on the entity itself", "write it without braces")
        scope = read("scopeQ", parse_scope)
        pattern = read("idPattern", parse_id_pattern)
        ids = tuple(text for text, _ in self.texts(part["ids"], (*where, "ids"), "ids of entities")) if "ids" in part else ()
        attrs: frozenset[str] | None = None
        if "attrs" in part:
            found = set()
            for text, spot in self.texts(part["attrs"], (*where, "attrs"), "names of attributes"):
                try:
                    found.add(self.terms.expand(text))
                except Problem as problem:
                    self.wrong(spot, problem.detail, "a full name or one under names", "add it under names")
            attrs = frozenset(found)
        who = (Who(types, ids, pattern),) if types is not None or ids or pattern is not None else ()
        return Predicate(Selection(who=who, q=q, scope=scope), attrs)


def expand_operation(name: str) -> Iterator[str]:
    """The operations that a word of a policy means; none if it means nothing.

    >>> list(expand_operation("temporal.*")), list(expand_operation("entities.write"))
    (['temporal.read', 'temporal.create', 'temporal.update', 'temporal.delete'], ['entities.create', 'entities.update'])
    """
    area, _, deed = name.partition(".")
    deeds = ("create", "update") if deed == "write" else (deed,)
    for operation in OPERATIONS:
        if name == "*" or (operation.startswith(area + ".") and (deed == "*" or operation.partition(".")[2] in deeds)):
            yield operation


def read_limited(path: Path) -> str:
    """The text of a file of at most 1 MiB; raises OSError, UnicodeDecodeError."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(27, "larger than 1 MiB", str(path))
    return content.decode("utf-8-sig")


def read_policy(path: Path, terms: Terms | None = None) -> Policy:
    """The policy in a file.

    terms  the @context whose short names may be used; None: only full names and those under `names`

    Raises KibanError (ManyErrors for several) with file:line, what was found, what fits and what to do.
    """
    try:
        text = read_limited(path)
    except OSError as error:
        raise KibanError(str(path), error.strerror or "cannot be read", "a policy file", "name an existing file after --policy") from error
    except UnicodeDecodeError as error:
        raise KibanError(str(path), "bytes that are no UTF-8", "UTF-8", "save it again as UTF-8") from error
    data, lines = read_yaml(text, str(path))
    return Reading(path, data, lines, Bare() if terms is None else terms).policy()
