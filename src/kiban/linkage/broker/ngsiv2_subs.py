"""Subscriptions and registrations of NGSIv2 as documents, and what a notification says.

In: the JSON of a client, and for a notification the entity with the change that caused it. Out: checked documents, documents as a client reads
them, and requests to send. When a notification is due is decided where the subscriptions are matched (`wants` says it for one change); sending and
counting are done by the delivery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from kiban.linkage.broker.ngsiv2 import (
    FORBIDDEN,
    MEMORY,
    Entity,
    Json,
    Moment,
    Names,
    Shape,
    attributes,
    bad,
    check_address,
    check_identifier,
    default_type,
    in_paths,
    instant,
    iso,
    not_offered,
    pick,
    read_attribute,
    service_paths,
    show_attributes,
    show_entity,
    shown,
)
from kiban.linkage.broker.ngsiv2_query import asked_of_entity, condition, geo_params, name_list
from kiban.linkage.broker.outgoing import RESERVED
from kiban.linkage.broker.query import Q

METHODS = frozenset(("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"))
ALTERATIONS = ("entityCreate", "entityChange", "entityUpdate", "entityDelete")
FORMATS = ("normalized", "simplifiedNormalized", "keyValues", "simplifiedKeyValues", "values")
MAX_TIMEOUT = 1_800_000
_TRANSPORTS = ("http", "httpCustom", "mqtt", "mqttCustom")
_CONTENTS = ("payload", "json", "ngsi")
_COUNTERS = ("timesSent", "lastNotification", "lastSuccess", "lastSuccessCode", "lastFailure", "lastFailureReason", "failsCounter")
_MACRO = re.compile(r"\$\{([^{}]*)\}")  # without braces inside: each is looked at once, however long a template is
_PLAIN_WORD = re.compile(r"(?:(?![&?/#<>\"'=;()|+*\[\]{}])[!-~])+\Z")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


# --- reading ----------------------------------------------------------------------------------------------------------------------


def read_subscription(raw: Json, names: Names, *, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Check a subscription; the document to keep.

    Parameters
    ----------
    raw    the body
    names  names and @context, to see that `q` and `mq` can be read
    old    the document so far, for a PATCH: fields that raw lacks stay

    Returns the document with status `active`, `inactive` or `oneshot`, without id and counters. Raises Refused.
    """
    if not isinstance(raw, dict):
        raise bad("the payload must be a JSON object")
    unknown = raw.keys() - {"id", "description", "subject", "notification", "expires", "status", "throttling"}
    if unknown:
        raise bad(f"unknown field in subscription: {min(unknown)[:80]}")
    doc: dict[str, Any] = dict(old) if old else {}
    for field, needed in (("subject", _subject), ("notification", _notification)):
        if field in raw:
            doc[field] = needed(raw[field], names)
        elif not old:
            raise bad(f"no {field} for subscription specified")
    if "description" in raw:
        doc["description"] = _text(raw["description"], "description", 1024)
    if "expires" in raw:
        if raw["expires"] in (None, ""):
            doc.pop("expires", None)
        else:
            doc["expires"] = iso(raw["expires"], "expires")
    if "throttling" in raw:
        doc["throttling"] = _whole(raw["throttling"], "throttling")
    if "status" in raw:
        if raw["status"] not in ("active", "inactive", "oneshot"):
            raise bad("status: expected active, inactive or oneshot")
        doc["status"] = raw["status"]
    doc.setdefault("status", "active")
    return doc


def _text(value: Json, what: str, most: int) -> str:
    if not isinstance(value, str):
        raise bad(f"{what} must be a string")
    if len(value) > most:
        raise bad(f"{what} max length exceeded: {most}")
    if FORBIDDEN.search(value):
        raise bad(f"Invalid characters in {what}")
    return value


def _whole(value: Json, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise bad(f"{what} must be a whole number that is not negative")
    return value


def _truth(value: Json, what: str) -> bool:
    if not isinstance(value, bool):
        raise bad(f"{what} must be true or false")
    return value


def _fields(raw: Json, what: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise bad(f"{what} must be a JSON object")
    unknown = raw.keys() - known
    if unknown:
        raise bad(f"unknown field in {what}: {min(unknown)[:80]}")
    return raw


def _subject(raw: Json, names: Names) -> dict[str, Any]:
    raw = _fields(raw, "subject", {"entities", "condition"})
    entities = raw.get("entities")
    if not isinstance(entities, list) or not entities:
        raise bad("subject: entities must be a list that is not empty")
    for entity in entities:
        asked_of_entity(entity)
    doc: dict[str, Any] = {"entities": entities}
    if "condition" in raw:
        doc["condition"] = _condition(raw["condition"], names)
    return doc


def _condition(raw: Json, names: Names) -> dict[str, Any]:
    known = {"attrs", "expression", "alterationTypes", "notifyOnMetadataChange"}
    if isinstance(raw, dict) and "jexlExpression" in raw:
        raise not_offered("jexlExpression is not offered; use expression")
    raw = _fields(raw, "condition", known)
    if not raw:
        raise bad("condition is empty")
    if "attrs" in raw:
        for name in name_list(raw["attrs"], "condition attrs"):
            check_address(name, "condition attrs")
    if "expression" in raw:
        read_expression(raw["expression"], names)
    if "alterationTypes" in raw:
        kinds = raw["alterationTypes"]
        if not isinstance(kinds, list) or not kinds or any(kind not in ALTERATIONS for kind in kinds):
            raise bad(f"alterationTypes: expected some of {', '.join(ALTERATIONS)}")
    if "notifyOnMetadataChange" in raw:
        _truth(raw["notifyOnMetadataChange"], "notifyOnMetadataChange")
    return dict(raw)


def read_expression(raw: Json, names: Names) -> tuple[Q | None, dict[str, str] | None]:
    """`expression` of a subscription or a query: its q and mq as one condition, and its geo query as NGSI-LD parameters. Raises Refused."""
    raw = _fields(raw, "expression", {"q", "mq", "georel", "geometry", "coords"})
    if not raw:
        raise bad("expression is empty")
    for name, value in raw.items():
        if not isinstance(value, str) or not value:
            raise bad(f"{name} of expression must be a text that is not empty")
    return condition(raw.get("q"), raw.get("mq"), names), geo_params(raw.get("georel"), raw.get("geometry"), raw.get("coords"))


def _notification(raw: Json, names: Names) -> dict[str, Any]:
    del names
    known = {"attrs", "exceptAttrs", "attrsFormat", "metadata", "onlyChangedAttrs", "covered", "maxFailsLimit", *_TRANSPORTS, *_COUNTERS}
    if isinstance(raw, dict) and ("kafka" in raw or "kafkaCustom" in raw):
        raise not_offered("notifications over Kafka are not offered")
    raw = _fields(raw, "notification", known)
    if "attrs" in raw and "exceptAttrs" in raw:
        raise bad("http notification has attrs and exceptAttrs")
    doc: dict[str, Any] = {}
    for field in ("attrs", "exceptAttrs", "metadata"):
        if field in raw:
            doc[field] = list(name_list(raw[field], f"notification {field}"))
    if "exceptAttrs" in doc and not doc["exceptAttrs"]:
        raise bad("exceptAttrs is empty")
    for field in ("onlyChangedAttrs", "covered"):
        if field in raw:
            doc[field] = _truth(raw[field], field)
    if doc.get("covered") and not doc.get("attrs"):
        raise bad("covered true cannot be used if notification attributes list is empty")
    if "maxFailsLimit" in raw:
        doc["maxFailsLimit"] = _whole(raw["maxFailsLimit"], "maxFailsLimit")
        if doc["maxFailsLimit"] == 0:
            raise bad("maxFailsLimit must be greater than 0")
    if "attrsFormat" in raw:
        if raw["attrsFormat"] not in FORMATS:
            raise bad(f"attrsFormat: expected one of {', '.join(FORMATS)}")
        doc["attrsFormat"] = raw["attrsFormat"]
    transports = [name for name in _TRANSPORTS if name in raw]
    if len(transports) != 1:
        raise bad(f"notification needs exactly one of {', '.join(_TRANSPORTS)}")
    name = transports[0]
    doc[name] = _transport(name, raw[name])
    return doc


def _transport(name: str, raw: Json) -> dict[str, Any]:
    custom = name.endswith("Custom")
    known = {"url", *(_CONTENTS if custom else ())}
    known |= {"timeout", "headers", "qs", "method"} if name == "httpCustom" else {"timeout"} if name == "http" else {"topic", "qos", "retain", "user", "passwd"}
    raw = _fields(raw, name, known)
    _url(raw.get("url"), ("http", "https") if name.startswith("http") else ("mqtt", "mqtts"), custom)
    if "timeout" in raw and _whole(raw["timeout"], "timeout") > MAX_TIMEOUT:
        raise bad(f"timeout: at most {MAX_TIMEOUT} ms")
    if name.startswith("mqtt"):
        if not isinstance(raw.get("topic"), str) or not raw["topic"]:
            raise bad(f"{name}: topic is missing")
        if raw.get("qos", 0) not in (0, 1, 2) or isinstance(raw.get("qos"), bool):
            raise bad("qos: expected 0, 1 or 2")
        if "retain" in raw and _truth(raw["retain"], "retain"):
            raise not_offered("retain is not offered")
        if ("user" in raw) != ("passwd" in raw):
            raise bad("user and passwd have to be used together")
        for field in ("user", "passwd"):
            if field in raw and not isinstance(raw[field], str):
                raise bad(f"{field} must be a string")
    for field in ("headers", "qs"):
        if field in raw:
            pairs = raw[field]
            if not isinstance(pairs, dict) or not pairs or any(not isinstance(value, str) for value in pairs.values()):
                raise bad(f"{field} must be an object of texts that is not empty")
            for key, value in pairs.items():
                if FORBIDDEN.search(key) or (field == "qs" and FORBIDDEN.search(value)) or any(letter < " " for letter in key + value):
                    raise bad(f"Invalid characters in {field}")
                if re.search(r"[<>=;()]", value):
                    raise bad(f"Invalid characters in {field}")
    if "method" in raw and (not isinstance(raw["method"], str) or raw["method"] not in METHODS):
        raise bad(f"unknown HTTP method; expected one of {', '.join(sorted(METHODS))}")
    if sum(field in raw for field in _CONTENTS) > 1:
        raise bad(f"only one of {', '.join(_CONTENTS)} at the same time")
    if raw.get("payload") is not None:
        _text(raw["payload"], "payload", 1_000_000)
    if "json" in raw and not isinstance(raw["json"], dict | list):
        raise bad("json must be an object or an array")
    if "ngsi" in raw:
        _check_ngsi(raw["ngsi"])
    if custom:
        for macro in _MACRO.findall(msgspec.json.encode(raw).decode()):
            if not _PLAIN_WORD.match(macro.strip()):
                raise not_offered("expressions in templates are not offered; ${name} stands for an attribute, id, type, service or servicePath")
    return dict(raw)


def _url(value: Json, schemes: tuple[str, ...], custom: bool) -> None:
    if not isinstance(value, str) or not value:
        raise bad("url is missing")
    if any(letter <= " " for letter in value) or FORBIDDEN.search(_MACRO.sub("", value) if custom else value.partition("?")[0]):
        raise bad("Invalid characters in url")
    try:
        parts = urlsplit(_MACRO.sub("x", value) if custom else value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise bad("Invalid URL") from None
    if parts.scheme not in schemes or not parts.hostname or not port_is_fine:
        raise bad(f"Invalid URL: expected {' or '.join(scheme + '://…' for scheme in schemes)}")
    if schemes[0] == "mqtt" and parts.path not in ("", "/"):
        raise bad("Invalid URL: one for MQTT has no path")


def _check_ngsi(raw: Json) -> None:
    if not isinstance(raw, dict):
        raise bad("ngsi must be an object")
    for name, item in raw.items():
        if name in ("id", "type"):
            if not isinstance(item, str):
                raise bad(f"ngsi: {name} must be a string")
        else:
            check_identifier(name, "attribute name in ngsi")
            if read_attribute(name, item, free=True).metadata is not None:
                raise bad("ngsi: metadata is not allowed")


# --- showing ----------------------------------------------------------------------------------------------------------------------


def show_subscription(id: str, doc: Mapping[str, Any], state: Mapping[str, Any], now: str) -> dict[str, Any]:
    """A subscription as a client reads it.

    Parameters
    ----------
    id     its id
    doc    the document of read_subscription
    state  counters: timesSent, lastNotification, lastSuccess, lastSuccessCode, lastFailure, lastFailureReason, failsCounter
    now    for the status `expired`
    """
    told: dict[str, Any] = {"id": id}
    if "description" in doc:
        told["description"] = doc["description"]
    expires = doc.get("expires")
    told["status"] = "expired" if expires is not None and (instant(expires) or 0) <= (instant(now) or 0) else doc["status"]
    condition = {"attrs": [], **doc["subject"].get("condition", {})}
    condition.setdefault("notifyOnMetadataChange", True)
    told["subject"] = {"entities": doc["subject"]["entities"], "condition": condition}
    notification = {"attrs": [], **doc["notification"]} if "exceptAttrs" not in doc["notification"] else dict(doc["notification"])
    notification = {"attrsFormat": "normalized", "onlyChangedAttrs": False, "covered": False, **notification}
    for name in ("mqtt", "mqttCustom"):
        if "passwd" in notification.get(name, {}):
            notification[name] = {**notification[name], "passwd": "xxxxx"}
    notification.update({name: state[name] for name in _COUNTERS if state.get(name)})
    told["notification"] = notification
    for field in ("expires", "throttling"):
        if field in doc:
            told[field] = doc[field]
    return told


# --- when -------------------------------------------------------------------------------------------------------------------------


def alterations(doc: Mapping[str, Any]) -> frozenset[str]:
    """The alterations that a subscription is about."""
    return frozenset(doc["subject"].get("condition", {}).get("alterationTypes", ("entityCreate", "entityChange")))


def _bare(instances: Json) -> Json:
    """Instances without their times: what counts as a change."""
    return [
        {key: (_bare(value) if isinstance(value, list) and key not in _PLAIN else value) for key, value in instance.items() if key not in _TIMES}
        for instance in instances or ()
    ]


_TIMES = frozenset(("createdAt", "modifiedAt", "instanceId"))
_PLAIN = frozenset(("value", "object", "objectType", "vocab", "json", "valueList", "objectList", "languageMap", MEMORY))


def changed(before: Entity | None, after: Entity, names: Names, *, metadata: bool = True) -> frozenset[str]:
    """IRIs of the attributes that differ between two states; metadata False: differences of metadata alone do not count."""
    keys = {*attributes(after), *(attributes(before) if before else ())}

    def meaning(instances: Json) -> Json:
        return _bare(instances) if metadata else shown(pick(instances), names) if instances else None

    return frozenset(key for key in keys if meaning((before or {}).get(key)) != meaning(after.get(key)))


def wants(doc: Mapping[str, Any], names: Names, moment: Moment, after: Entity, paths: str | None = None, *, forced: bool = False) -> bool:
    """Whether a change of an entity, that its `entities` and `expression` select, triggers a subscription.

    Parameters
    ----------
    doc     the subscription
    names   names and @context
    moment  the change; alteration is entityChange for any update
    after   the entity after the change (before it, when it was deleted)
    paths   the Fiware-ServicePath of the subscription
    forced  `options=forcedUpdate`
    """
    if not in_paths(after, service_paths(paths)):
        return False
    kinds = alterations(doc)
    condition = doc["subject"].get("condition", {})
    watched = {names.attr(name) for name in condition.get("attrs", ())}
    if moment.alteration == "entityDelete":
        return "entityDelete" in kinds
    if moment.alteration == "entityCreate":
        return "entityCreate" in kinds and (not watched or any(key in after for key in watched))
    if "entityUpdate" in kinds or (forced and "entityChange" in kinds):
        return not watched or bool(watched & moment.actions.keys())
    if "entityChange" not in kinds:
        return False
    moved = changed(moment.previous, after, names, metadata=condition.get("notifyOnMetadataChange", True))
    return bool(moved & watched) if watched else bool(moved)


# --- what a notification says -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """One notification to send.

    Parameters
    ----------
    method   HTTP method; PUBLISH over MQTT
    url      where to
    headers  by name
    body     bytes
    timeout  ms; 0: that of the broker
    mqtt     topic, qos, retain, user, passwd; empty over HTTP
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout: int = 0
    mqtt: tuple[tuple[str, Any], ...] = ()


def notification(
    id: str, doc: Mapping[str, Any], names: Names, entity: Entity, moment: Moment, *, service: str = "", correlator: str = "", token: str = ""
) -> Request | None:
    """The request that tells of a change.

    Parameters
    ----------
    id          of the subscription
    doc         its document
    names       names and @context
    entity      after the change (before it, when it was deleted)
    moment      the change
    service     tenant
    correlator  Fiware-Correlator of the request that caused it
    token       X-Auth-Token of that request, for ${authToken}

    Returns None where a template gives no valid URL, or where onlyChangedAttrs leaves nothing to tell.
    """
    notice = doc["notification"]
    name = next(name for name in _TRANSPORTS if name in notice)
    target = notice[name]
    path = (entity.get("scope") or ["/"])[0]
    words = _Words(entity, names, service, path, token) if name.endswith("Custom") else None

    headers = {"Content-Type": "application/json", "Fiware-Correlator": correlator, "Fiware-ServicePath": path}
    if service:
        headers["Fiware-Service"] = service
    if not correlator:
        del headers["Fiware-Correlator"]
    content = next((field for field in _CONTENTS if words is not None and field in target and target[field] != ""), None)
    if content == "payload":
        headers |= {"Content-Type": "text/plain", "Ngsiv2-AttrsFormat": "custom"}
        body = b"" if target["payload"] is None or words is None else unquote(words.text(target["payload"])).encode()
        if target["payload"] is None:
            headers["Content-Type"] = "application/json"
    elif content == "json" and words is not None:
        headers["Ngsiv2-AttrsFormat"] = "custom"
        body = msgspec.json.encode(words.json(target["json"]))
    else:
        patched = words.patch(target["ngsi"]) if content == "ngsi" and words is not None else None
        form = "normalized" if patched is not None else notice.get("attrsFormat", "normalized")
        headers["Ngsiv2-AttrsFormat"] = form
        told = _told(notice, names, entity, moment, form, patched)
        if told is None:
            return None
        body = msgspec.json.encode(told if form.startswith("simplified") else {"subscriptionId": id, "data": [told]})

    if words is None:
        method, url = "POST", target["url"]
    else:
        method, url = target.get("method", "POST"), words.text(target["url"], quoted=True)
        pairs = [f"{quote(words.text(key), safe='')}={quote(words.text(value), safe='')}" for key, value in target.get("qs", {}).items()]
        if pairs:
            url += ("&" if "?" in url else "?") + "&".join(pairs)
        _own_headers(headers, target.get("headers", {}), words)
    if name.startswith("mqtt"):
        topic = words.text(target["topic"]) if words is not None else target["topic"]
        if not topic or "+" in topic or "#" in topic or not _sendable(url, ("mqtt", "mqtts")):
            return None
        more = {"topic": topic, "qos": target.get("qos", 0), "retain": target.get("retain", False), "user": target.get("user"), "passwd": target.get("passwd")}
        return Request("PUBLISH", url, {}, body, 0, tuple(more.items()))
    return Request(method, url, headers, body, target.get("timeout", 0)) if _sendable(url, ("http", "https")) else None


def _sendable(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether a filled template is a URL that can be sent to: what an attribute holds must never stop the write that changes it.

    >>> [_sendable(url, ("http",)) for url in ("http://h:8/n", "http://h:99999/n", "http://h:x/n", "http://[h/n", "http:///n", "ftp://h")]
    [True, False, False, False, False, False]
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and port != 0 and not any(letter <= " " for letter in url)


def _own_headers(headers: dict[str, str], told: Mapping[str, str], words: _Words) -> None:
    """The client's headers over ours; an empty text takes one away."""
    present = {name.lower(): name for name in headers}
    for key, value in told.items():
        name, text = unquote(words.text(key)), unquote(words.text(value))
        if (
            name.lower() in RESERVED
            or name.lower() in ("fiware-correlator", "ngsiv2-attrsformat")
            or not _HEADER.match(name)
            or any(letter < " " for letter in text)
        ):
            continue
        headers.pop(present.get(name.lower(), name), None)
        if text:
            headers[name] = text


def _told(notice: Mapping[str, Any], names: Names, entity: Entity, moment: Moment, form: str, patched: dict[str, Any] | None) -> Json:
    attrs = tuple(notice["attrs"]) if notice.get("attrs") else None
    exclude = set(notice.get("exceptAttrs", ()))
    if notice.get("onlyChangedAttrs") and moment.alteration in ("entityChange", "entityUpdate"):
        moved = changed(moment.previous, entity, names)
        exclude |= {names.attr_name(key) for key in attributes(entity) if key not in moved}
    metadata = tuple(notice["metadata"]) if notice.get("metadata") else None
    simple = {"simplifiedNormalized": "normalized", "simplifiedKeyValues": "keyValues"}.get(form, form)
    shape = Shape(simple, attrs, frozenset(exclude), metadata, notice.get("covered", False))
    if patched is None:
        return show_entity(entity, names, shape, moment)
    # The patch comes before the choice of attributes, so that added ones can be chosen or left out too.
    whole = {**show_attributes(entity, names, Shape("normalized", None, frozenset(exclude), metadata), moment), **patched["attrs"]}
    if attrs is not None:
        built = show_attributes(entity, names, shape, moment)
        whole = {name: item for part in attrs for name, item in (whole.items() if part == "*" else [(part, whole.get(part) or built.get(part))]) if item}
    head = show_entity(entity, names, Shape("normalized", ()))
    return {"id": patched.get("id", head["id"]), "type": patched.get("type", head["type"]), **whole}


class _Words:
    """What ${…} stands for. A template is filled once: what comes out of it is not read again."""

    def __init__(self, entity: Entity, names: Names, service: str, path: str, token: str) -> None:
        values = show_entity(entity, names, Shape("keyValues"))
        self.values: dict[str, Json] = {"service": service, "servicePath": path, "authToken": token, **values}

    def _one(self, word: str) -> Json:
        return self.values.get(word.strip())

    def text(self, template: str, *, quoted: bool = False) -> str:
        """A template as text; an attribute that is missing is empty. quoted: values are percent-encoded for a URL."""

        def fill(found: re.Match[str]) -> str:
            value = self._one(found[1])
            text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
            # A value may be a path on purpose; whether the address may be reached is decided by the guard when it is sent.
            return quote(text, safe="/:@") if quoted else text

        return _MACRO.sub(fill, template)

    def json(self, template: Json) -> Json:
        """A JSON template; a text that is one macro becomes the value itself, null where it is missing."""
        if isinstance(template, dict):
            return {key: self.json(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self.json(value) for value in template]
        if not isinstance(template, str):
            return template
        whole = _MACRO.fullmatch(template)
        return self._one(whole[1]) if whole else self._spelled(template)

    def _spelled(self, template: str) -> str:
        def fill(found: re.Match[str]) -> str:
            value = self._one(found[1])
            return value if isinstance(value, str) else msgspec.json.encode(value).decode()

        return _MACRO.sub(fill, template)

    def patch(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """An `ngsi` template: id and type as texts, attributes in normalized form."""
        told: dict[str, Any] = {name: self._spelled(template[name]) for name in ("id", "type") if name in template}
        told["attrs"] = {}
        for name, item in template.items():
            if name not in ("id", "type"):
                value = self.json(item.get("value"))
                told["attrs"][name] = {"type": item.get("type", default_type(value)), "value": value, "metadata": {}}
        return told


# --- registrations ----------------------------------------------------------------------------------------------------------------

MODES = ("none", "query", "update", "all")
# What an NGSI-LD broker calls the operations that a provider of that mode is asked for.
OPERATIONS = {"none": [], "query": ["retrieveOps"], "update": ["updateOps"], "all": ["retrieveOps", "updateOps"]}


def read_registration(raw: Json) -> dict[str, Any]:
    """Check a registration; the document to keep. Raises Refused."""
    raw = _fields(raw, "registration", {"id", "description", "dataProvided", "provider", "expires", "status", "forwardingInformation"})
    doc: dict[str, Any] = {}
    if "description" in raw:
        doc["description"] = _text(raw["description"], "description", 1024)
    provided = _fields(raw.get("dataProvided"), "dataProvided", {"entities", "attrs", "expression"})
    entities = provided.get("entities")
    if not isinstance(entities, list) or not entities:
        raise bad("dataProvided: entities must be a list that is not empty")
    for entity in entities:
        asked_of_entity(entity, only_everything=True)
        if "typePattern" in entity:
            raise not_offered("typePattern is not supported in registrations")
    attrs = provided.get("attrs", [])
    if not isinstance(attrs, list):
        raise bad("dataProvided: attrs must be a list")
    doc["dataProvided"] = {"entities": entities, "attrs": [check_identifier(name, "attribute name") for name in attrs]}
    provider = _fields(raw.get("provider"), "provider", {"http", "supportedForwardingMode", "legacyForwarding"})
    http = _fields(provider.get("http"), "provider http", {"url"})
    _url(http.get("url"), ("http", "https"), False)
    if provider.get("legacyForwarding"):
        raise not_offered("legacyForwarding is not offered")
    mode = provider.get("supportedForwardingMode", "all")
    if mode not in MODES:
        raise bad(f"supportedForwardingMode: expected one of {', '.join(MODES)}")
    doc["provider"] = {"http": {"url": http["url"]}, "supportedForwardingMode": mode}
    if raw.get("expires") not in (None, ""):
        doc["expires"] = iso(raw["expires"], "expires")
    if raw.get("status", "active") not in ("active", "inactive"):
        raise bad("status: expected active or inactive")
    doc["status"] = raw.get("status", "active")
    return doc


def show_registration(id: str, doc: Mapping[str, Any], state: Mapping[str, Any], now: str) -> dict[str, Any]:
    """A registration as a client reads it; state holds timesSent, lastForwarding, lastSuccess and lastFailure."""
    told = {"id": id, **doc}
    if "expires" in doc and (instant(doc["expires"]) or 0) <= (instant(now) or 0):
        told["status"] = "expired"
    if state.get("timesSent"):
        told["forwardingInformation"] = {name: state[name] for name in ("timesSent", "lastForwarding", "lastSuccess", "lastFailure") if state.get(name)}
    return told


# --- batches ----------------------------------------------------------------------------------------------------------------------

ACTIONS = {
    "append": "append",
    "appendStrict": "appendStrict",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "APPEND": "append",
    "APPEND_STRICT": "appendStrict",
    "UPDATE": "update",
    "DELETE": "delete",
    "REPLACE": "replace",
}


def read_batch(raw: Json) -> tuple[str, list[Any]]:
    """The body of `/v2/op/update`: the action and its entities, which are not looked into. Raises Refused.

    >>> read_batch({"actionType": "append", "entities": [{"id": "Room1"}]})
    ('append', [{'id': 'Room1'}])
    """
    raw = _fields(raw, "payload", {"actionType", "entities"})
    action = raw.get("actionType")
    if not isinstance(action, str) or action not in ACTIONS:
        raise bad(f"invalid update action type: expected one of {', '.join(dict.fromkeys(ACTIONS.values()))}")
    entities = raw.get("entities")
    if not isinstance(entities, list) or not entities:
        raise bad("entities must be a list that is not empty")
    return ACTIONS[action], entities


def read_notify(raw: Json) -> list[Any]:
    """The body of `/v2/op/notify`: its entities. Raises Refused."""
    raw = _fields(raw, "payload", {"subscriptionId", "data"})
    if not isinstance(raw.get("subscriptionId"), str) or not raw["subscriptionId"]:
        raise bad("subscriptionId is missing")
    if not isinstance(raw.get("data"), list) or not raw["data"]:
        raise bad("data must be a list that is not empty")
    return list(raw["data"])
