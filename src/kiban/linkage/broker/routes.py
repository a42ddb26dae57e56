"""Every address of the broker."""

from __future__ import annotations

from kiban.linkage.broker import api_batch, api_contexts, api_entities, api_query, api_subscriptions, api_v2, operate
from kiban.linkage.broker.openapi import Description
from kiban.linkage.broker.server import Routes

LD = "/ngsi-ld/v1"


def names(text: str) -> frozenset[str]:
    """Names of parameters, separated by blanks."""
    return frozenset(text.split())


FORM = names("options format sysAttrs lang")  # how it is shown
SHOWN = FORM | names("attrs pick omit datasetId geometryProperty join joinLevel containedBy")
CHOSEN = names("type id idPattern attrs q scopeQ georel geometry coordinates geoproperty csf local via jsonKeys expandValues entityMap splitEntities")
PAGED = names("limit offset count")
ORDERED = names("orderBy orderFrom orderGeometry collation")
WRITTEN = names("local via type")


def routes() -> Routes:
    """The routes of NGSI-LD, NGSIv2 and of operation."""
    found = Routes()
    add = found.add
    entity, attrs, attr = f"{LD}/entities/{{id}}", f"{LD}/entities/{{id}}/attrs", f"{LD}/entities/{{id}}/attrs/{{attr}}"
    add("POST", f"{LD}/entities", api_entities.create, names("local via options"))
    add("GET", f"{LD}/entities", api_query.query, SHOWN | CHOSEN | PAGED | ORDERED)
    add("DELETE", f"{LD}/entities", api_query.purge, CHOSEN | names("drop keep"))
    add("PATCH", f"{LD}/entities", api_entities.without_id)
    add("PUT", f"{LD}/entities", api_entities.without_id)
    add("GET", entity, api_query.retrieve, SHOWN | names("local via type entityMap csf"))
    add("PATCH", entity, api_entities.merge, WRITTEN | names("options format observedAt lang"))
    add("PUT", entity, api_entities.replace, WRITTEN | names("options format"))
    add("DELETE", entity, api_entities.delete, WRITTEN)
    add("POST", attrs, api_entities.append, WRITTEN | names("options deleteAll"))
    add("PATCH", attrs, api_entities.update, WRITTEN | names("options"))
    add("PATCH", attr, api_entities.partial, WRITTEN | names("options datasetId"))
    add("PUT", attr, api_entities.replace_attribute, WRITTEN | names("options datasetId"))
    add("DELETE", attr, api_entities.delete_attribute, WRITTEN | names("deleteAll datasetId"))
    operations = f"{LD}/entityOperations"
    for name in ("create", "upsert", "update", "merge", "delete"):
        add("POST", f"{operations}/{name}", getattr(api_batch, name), names("options local via observedAt lang"))
    add("POST", f"{operations}/query", api_query.query_batch, FORM | PAGED | names("local via entityMap splitEntities geometryProperty"))
    add("GET", f"{LD}/types", api_query.types, names("details local via"))
    add("GET", f"{LD}/types/{{type}}", api_query.type_information, names("local via"))
    add("GET", f"{LD}/attributes", api_query.attributes, names("details local via count"))
    add("GET", f"{LD}/attributes/{{attr}}", api_query.attribute_information, names("local via"))
    add("POST", f"{LD}/jsonldContexts", api_contexts.add, names(""))
    add("GET", f"{LD}/jsonldContexts", api_contexts.listed, names("details kind"))
    add("GET", f"{LD}/jsonldContexts/{{id}}", api_contexts.serve, names("details"))
    add("DELETE", f"{LD}/jsonldContexts/{{id}}", api_contexts.delete, names("reload"))
    add("POST", f"{LD}/subscriptions", api_subscriptions.create, names("local via"))
    add("GET", f"{LD}/subscriptions", api_subscriptions.listed, PAGED | names("local via options"))
    add("GET", f"{LD}/subscriptions/{{id}}", api_subscriptions.retrieve, names("local via"))
    add("PATCH", f"{LD}/subscriptions/{{id}}", api_subscriptions.update, names("local via"))
    add("DELETE", f"{LD}/subscriptions/{{id}}", api_subscriptions.delete, names("local via"))
    add("GET", "/kiban/v1/deadLetters", api_subscriptions.dead_letters, names("subscription after limit"))
    add("POST", "/kiban/v1/deadLetters/replay", api_subscriptions.replay, names(""))
    api_v2.add_routes(found)
    operate.add_routes(add)
    Description(found).add_routes(add)
    return found
