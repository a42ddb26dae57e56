"""Who may do what: asked before each operation of the broker (アクセス制御).

In: the headers of a request, then subject, operation and tenant. Out: `ALLOW`, `DENY`, or a `Predicate` that leaves some entities and attributes.
The rules are those of a policy file (`policy`); without one everything is allowed, and the broker binds to this machine alone (`check_bind`).

A subject is a text: "" for nobody, else its name, followed by the roles of its token, each behind a blank: "tanaka office". It may be stored, for example
with a subscription, and asked about again later.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import hashlib
import ipaddress
import json
import re
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from kiban.base.errors import KibanError
from kiban.linkage.broker.selection import Terms
from kiban.linkage.errors import Problem
from kiban.linkage.policy import OPERATIONS, Jwt, Policy, Predicate, read_policy

__all__ = ["ALLOW", "DENY", "OPERATIONS", "ROUTES", "Access", "Predicate", "Verdict", "check_bind", "name_of", "operation_of"]

REMEMBERED: Final = 8192  # decisions and verified tokens, each
MAX_TOKEN: Final = 16 * 1024
LOOK: Final = 2.0  # seconds between two looks at the files
NOBODY: Final = ""


class Verdict(enum.Enum):
    """A decision without conditions."""

    DENY = "deny"
    ALLOW = "allow"


DENY, ALLOW = Verdict.DENY, Verdict.ALLOW

# Which operation a route belongs to, by the longest beginning of its path. With a dot: all methods; an area alone: by method, where POST to the very
# path makes something new and POST below changes what is there.
# "open": answered to anybody who can reach the broker, since a load balancer cannot sign in; such an answer names no data.
ROUTES: Final[dict[str, str]] = {
    "/": "open",
    "/health": "open",
    "/ready": "open",
    # Notifications of copies of subscriptions, which name an id that only the source was told.
    "/ngsi-ld/ex/remote-notify": "open",
    "/docs": "info.read",
    "/openapi.json": "info.read",
    "/version": "info.read",
    "/metrics": "admin.read",
    "/admin": "admin",
    "/kiban/v1/deadLetters": "admin",
    "/ngsi-ld/v1/info": "info.read",
    "/ngsi-ld/v1/entities": "entities",
    "/ngsi-ld/v1/entityOperations/create": "entities.create",
    "/ngsi-ld/v1/entityOperations/upsert": "entities.update",
    "/ngsi-ld/v1/entityOperations/update": "entities.update",
    "/ngsi-ld/v1/entityOperations/merge": "entities.update",
    "/ngsi-ld/v1/entityOperations/delete": "entities.delete",
    "/ngsi-ld/v1/entityOperations/query": "entities.read",
    "/ngsi-ld/v1/types": "types.read",
    "/ngsi-ld/v1/attributes": "types.read",
    "/ngsi-ld/v1/temporal/entities": "temporal",
    "/ngsi-ld/v1/temporal/entityOperations/query": "temporal.read",
    "/ngsi-ld/v1/subscriptions": "subscriptions",
    "/ngsi-ld/v1/csourceRegistrations": "registrations",
    "/ngsi-ld/v1/csourceSubscriptions": "registrations",
    "/ngsi-ld/v1/jsonldContexts": "contexts",
    "/ngsi-ld/v1/entityMaps": "maps",
    "/ngsi-ld/v1/temporal/entityMaps": "maps",
    "/ngsi-ld/v1/snapshots": "maps",
    "/v2": "info.read",
    "/v2/entities": "entities",
    "/v2/types": "types.read",
    "/v2/op/query": "entities.read",
    "/v2/op/update": "entities.update",
    "/v2/op/notify": "entities.update",
    "/v2/subscriptions": "subscriptions",
    "/v2/registrations": "registrations",
}
METHODS: Final = {"GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "update", "PUT": "update", "PATCH": "update", "DELETE": "delete"}


def operation_of(method: str, path: str) -> str:
    """The operation of a route, or "open". Raises KeyError for a route that ROUTES does not know.

    A batch may still need a second one: an upsert that makes new entities asks for entities.create, too.

    >>> operation_of("GET", "/ngsi-ld/v1/entities/{id}"), operation_of("POST", "/ngsi-ld/v1/entities")
    ('entities.read', 'entities.create')
    >>> operation_of("POST", "/ngsi-ld/v1/entities/{id}/attrs"), operation_of("POST", "/admin/outbox/{seq}/retry")
    ('entities.update', 'admin.update')
    """
    if path == "/":
        return ROUTES[path]
    parts = path.rstrip("/").split("/")
    for length in range(len(parts), 1, -1):
        area = ROUTES.get("/".join(parts[:length]))
        if area is None:
            continue
        if area == "open" or "." in area:
            return area
        deed = METHODS[method]
        if area == "admin":
            return "admin.read" if deed == "read" else "admin.update"
        return f"{area}.create" if method == "POST" and length == len(parts) else f"{area}.{deed}"
    raise KeyError(f"{method} {path} has no operation in kiban.linkage.access.ROUTES")


def name_of(subject: str) -> str:
    """The name of a subject without its roles, for logs and pages.

    >>> name_of("tanaka%20ichiro office"), name_of("")
    ('tanaka ichiro', '')
    """
    return unquote(subject.split(" ", 1)[0])


def quoted(word: str) -> str:
    """A name or role as one word without blanks.

    >>> quoted("city office")
    'city%20office'
    """
    return re.sub(r"[\s%\x00-\x1f\x7f]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), word)


def check_bind(host: str, policy: Path | None) -> None:
    """Refuse an address that others can reach while nothing says who may do what. Raises KibanError.

    >>> check_bind("127.0.0.1", None)
    >>> check_bind("0.0.0.0", Path("policy.yaml"))
    >>> check_bind("0.0.0.0", None)
    Traceback (most recent call last):
    kiban.base.errors.KibanError: --host: found '0.0.0.0' without --policy; expected 127.0.0.1, ::1 or localhost while everybody may do everything. \
Next: write who may do what into a file and start with --policy FILE, or leave --host out
    """
    if policy is None and not is_loopback(host):
        raise KibanError(
            "--host",
            f"{host!r} without --policy",
            "127.0.0.1, ::1 or localhost while everybody may do everything",
            "write who may do what into a file and start with --policy FILE, or leave --host out",
        )


def is_loopback(host: str) -> bool:
    """Whether an address or host name means this machine alone.

    >>> is_loopback("::1"), is_loopback("127.8.9.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("town-pc"), is_loopback("")
    (True, True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class Access:
    """The decisions of one broker; the policy can be read anew while it runs.

    >>> access = Access()
    >>> access.decide("", "entities.write", "town")
    <Verdict.ALLOW: 'allow'>
    """

    def __init__(self, policy: Policy | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.path: Path | None = None
        self.terms: Terms | None = None
        self.stamp: tuple[Any, ...] = ()
        self.use(policy)

    @classmethod
    def open(cls, path: Path | None, terms: Terms | None = None) -> Access:
        """Decisions by the policy in a file; None: everything is allowed. terms: the @context whose short names the file may use.

        Raises KibanError with file:line, what was found, what fits, and what to do.
        """
        access = cls()
        if path is not None:
            access.path, access.terms = path, terms
            access.reload()
        return access

    def use(self, policy: Policy | None) -> None:
        """From now on this policy decides; what was remembered is forgotten. Raises KibanError if the keys of its provider cannot be used."""
        keys = [] if policy is None or policy.jwt is None else read_keys(policy.jwt)
        self.policy, self.keys = policy, keys
        self.decisions: dict[tuple[str, str, str], Verdict | Predicate] = {}
        self.verified: dict[bytes, tuple[str, float]] = {}

    # --- who
    def subject_of(self, headers: Mapping[bytes, bytes]) -> str:
        """Who sent a request with these headers (names in lower case); "" if they name nobody.

        Looks for `Authorization: Bearer …`, else `X-Auth-Token: …`. Raises 401 Unauthorized for a token that is not good.
        """
        if self.policy is None:
            return NOBODY
        header = headers.get(b"authorization")
        if header is None:
            token = headers.get(b"x-auth-token")
            if token is None:
                return NOBODY
            header = b"Bearer " + token
        known = self.verified.get(header)
        if known is not None and self.clock() < known[1]:
            return known[0]
        found = self.verify(header)
        if len(self.verified) >= REMEMBERED:
            self.verified.clear()
        self.verified[header] = found
        return found[0]

    def verify(self, header: bytes) -> tuple[str, float]:
        """The subject of a header that was not seen before, and until when that holds (seconds since 1970)."""
        assert self.policy is not None
        scheme, _, token = header.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            raise unauthorized("send the header Authorization: Bearer TOKEN")
        if len(token) > MAX_TOKEN:
            raise unauthorized(f"the token is longer than {MAX_TOKEN} characters")
        name = self.policy.tokens.get(hashlib.sha256(token).digest())
        if name is not None:
            return quoted(name), float("inf")
        if self.policy.jwt is None or token.count(b".") != 2:
            raise unauthorized("the token is not known")
        return verify_jwt(token, self.policy.jwt, self.keys, self.clock())

    # --- what
    def decide(self, subject: str, operation: str, tenant: str) -> Verdict | Predicate:
        """Whether a subject may do this in a tenant ("" the default one): ALLOW, DENY, or which entities and attributes are left.

        The first rule that fits decides; if none does, it is denied.
        """
        if self.policy is None:
            return ALLOW
        key = (subject, operation, tenant)
        known = self.decisions.get(key)
        if known is not None:
            return known
        if len(self.decisions) >= REMEMBERED:
            self.decisions.clear()
        self.decisions[key] = found = self.judge(self.policy, subject, operation, tenant)
        return found

    @staticmethod
    def judge(policy: Policy, subject: str, operation: str, tenant: str) -> Verdict | Predicate:
        """The decision of the first rule that fits."""
        name, *given = [unquote(word) for word in subject.split(" ")]
        roles = frozenset(given) | policy.roles.get(name, frozenset()) if name else frozenset()
        for rule in policy.rules:
            if rule.fits(name, roles, operation, tenant):
                return rule.verdict if isinstance(rule.verdict, Predicate) else ALLOW if rule.verdict else DENY
        return DENY

    def demand(self, subject: str, operation: str, tenant: str) -> Predicate | None:
        """Go on only if something is allowed: None for everything, else what is left.

        Raises 403 Forbidden, or 401 Unauthorized if nobody signed in.
        """
        found = self.decide(subject, operation, tenant)
        if found is ALLOW:
            return None
        if isinstance(found, Predicate):
            return found
        if not subject:
            raise unauthorized("sign in: send the header Authorization: Bearer TOKEN")
        raise Problem("Forbidden", "this is not allowed", f"{operation} in the tenant {tenant!r}" if tenant else operation)

    # --- changes of the files
    def reload(self) -> None:
        """Read the policy again; if it has a mistake, KibanError is raised and the one before goes on to hold."""
        if self.path is not None:
            self.stamp = self.look((self.path,))
            policy = read_policy(self.path, self.terms)
            self.stamp = self.look(policy.files)
            self.use(policy)

    @staticmethod
    def look(files: tuple[Path, ...]) -> tuple[Any, ...]:
        """What tells that a file has changed."""
        found: list[tuple[Path, tuple[int, ...] | None]] = []
        for file in files:
            try:
                state = file.stat()
            except OSError:
                found.append((file, None))
            else:
                found.append((file, (state.st_mtime_ns, state.st_size, state.st_ino)))
        return tuple(found)

    def changed(self) -> bool:
        """True if a file of the policy is not the one that was read last."""
        return self.look(tuple(file for file, _ in self.stamp)) != self.stamp

    async def watch(self, tell: Callable[[str, KibanError | None], None]) -> None:
        """Read the policy again on SIGHUP and when a file changes, until cancelled.

        tell  called with the path and None after each reading, or with the mistake; the policy before then goes on to hold
        """
        if self.path is None:
            return
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            while True:
                try:
                    await asyncio.wait_for(asked.wait(), LOOK)
                except TimeoutError:
                    if not self.changed():
                        continue
                asked.clear()
                try:
                    self.reload()
                except KibanError as error:
                    tell(str(self.path), error)
                else:
                    tell(str(self.path), None)
        finally:
            loop.remove_signal_handler(signal.SIGHUP)


def unauthorized(detail: str) -> Problem:
    """401; the detail never shows the token."""
    return Problem("Unauthorized", "the sender is not known", detail)


def read_keys(jwt: Jwt) -> list[Any]:
    """The public keys of a JWKS file. Raises KibanError for a file without keys that fit."""
    from joserfc.errors import JoseError  # only policies with an identity provider need it
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    fits, step = 'a JWKS file with RSA, EC or Ed25519 public keys: {"keys": [{"kty": …}]}', "save the keys that the provider shows at its jwks_uri"
    try:
        listed = json.loads(jwt.keys)["keys"]
        found = [kinds[key["kty"]].import_key({name: value for name, value in key.items() if name != "key_ops"}) for key in listed if key["kty"] in kinds]
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise KibanError(str(jwt.jwks), f"{type(error).__name__} while reading the keys", fits, step) from error
    if not found:
        raise KibanError(str(jwt.jwks), "no key that can be used", fits, step)
    return found


KIND: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}


def verify_jwt(token: bytes, jwt: Jwt, keys: list[Any], now: float) -> tuple[str, float]:
    """The subject (with roles) of a signed token and when it expires. Raises 401 Unauthorized."""
    from joserfc import jwt as jose
    from joserfc.errors import BadSignatureError, JoseError

    header = token_header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    allowed = [*jwt.algorithms, *(["Ed25519"] if "EdDSA" in jwt.algorithms else [])]  # the newer name of the same algorithm
    if algorithm not in allowed:
        raise unauthorized(f"the token is signed with another algorithm than {', '.join(jwt.algorithms)}")
    fitting = [key for key in keys if key.key_type == KIND[algorithm] and (kid is None or key.kid is None or key.kid == kid)]
    claims: dict[str, Any] | None = None
    for key in fitting[:8]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the name EdDSA is outdated, yet it is what providers send
                claims = jose.decode(token.decode("ascii"), key, algorithms=allowed).claims
            break
        except BadSignatureError:
            continue
        except (JoseError, ValueError, TypeError, UnicodeDecodeError):
            raise unauthorized("the token cannot be read") from None
    if claims is None:
        raise unauthorized("the token is not signed with a key of the provider")
    try:
        jose.JWTClaimsRegistry(
            now=int(now),
            leeway=jwt.leeway,
            iss={"essential": True, "value": jwt.issuer},
            aud={"essential": True, "value": jwt.audience},
            exp={"essential": True},
        ).validate(claims)
    except JoseError as error:
        raise unauthorized(f"the token does not hold here: {getattr(error, 'claim', None) or error.error}") from None
    name = claims.get(jwt.subject)
    if not isinstance(name, str) or not name:
        raise unauthorized(f"the token has no {jwt.subject}")
    roles = {role for path in jwt.roles for role in claim_roles(claims, path)}
    return " ".join([quoted(name), *sorted(map(quoted, roles))]), float(claims["exp"]) + jwt.leeway


def token_header(token: bytes) -> dict[str, Any]:
    """The header of a signed token, not verified yet."""
    part = token.split(b".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise unauthorized("the token cannot be read") from None
    if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str) or not isinstance(header.get("alg"), str):
        raise unauthorized("the token cannot be read")
    return header


def claim_roles(claims: Mapping[str, Any], path: str) -> list[str]:
    """The roles at a path of the claims: a list, or a text with blanks between.

    >>> claim_roles({"realm_access": {"roles": ["a", "b"]}}, "realm_access.roles"), claim_roles({"scope": "x y"}, "scope")
    (['a', 'b'], ['x', 'y'])
    """
    value: Any = claims
    whole = claims.get(path)
    if whole is not None:
        value = whole
    else:
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.split()
    return [role for role in value if isinstance(role, str) and role] if isinstance(value, list) else []
