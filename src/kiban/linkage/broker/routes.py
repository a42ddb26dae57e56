"""Every address of the broker."""

from __future__ import annotations

from kiban.linkage.broker import (
    api_batch,
    api_contexts,
    api_entities,
    api_maps,
    api_query,
    api_sources,
    api_subscriptions,
    api_temporal,
    api_v2,
    operate,
    relay,
)
from kiban.linkage.broker.openapi import Description
from kiban.linkage.broker.server import Routes

LD = "/ngsi-ld/v1"


def names(text: str) -> frozenset[str]:
    """Names of parameters, separated by blanks."""
    return frozenset(text.split())


FORM = names("options format sysAttrs lang")  # how it is shown
SHOWN = FORM | names("attrs pick omit datasetId geometryProperty join joinLevel containedBy")
MAPPED = names("entityMap entityMapLifetime")
CHOSEN = names("type id idPattern attrs q scopeQ georel geometry coordinates geoproperty csf local via jsonKeys expandValues splitEntities") | MAPPED
PAGED = names("limit offset count")
ORDERED = names("orderBy orderFrom orderGeometry collation")
WRITTEN = names("local via type")
EVOLVED = names("timerel timeAt endTimeAt timeproperty lastN aggrMethods aggrPeriodDuration options format sysAttrs lang attrs pick omit datasetId local via")


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
    add("GET", entity, api_query.retrieve, SHOWN | MAPPED | names("local via type csf"), api_query.retrieve_at_once)
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
    add("POST", f"{operations}/query", api_query.query_batch, FORM | PAGED | MAPPED | names("local via splitEntities geometryProperty"))
    add("GET", f"{LD}/types", api_query.types, names("details local via"))
    add("GET", f"{LD}/types/{{type}}", api_query.type_information, names("local via"))
    add("GET", f"{LD}/attributes", api_query.attributes, names("details local via count"))
    add("GET", f"{LD}/attributes/{{attr}}", api_query.attribute_information, names("local via"))
    add("GET", f"{LD}/entityMaps", api_maps.create_map, CHOSEN | names("datasetId pick omit"))
    add("GET", f"{LD}/temporal/entityMaps", api_temporal.create_map, EVOLVED | CHOSEN)
    add("GET", f"{LD}/entityMaps/{{id}}", api_maps.show_map, names(""))
    add("PATCH", f"{LD}/entityMaps/{{id}}", api_maps.update_map, names(""))
    add("DELETE", f"{LD}/entityMaps/{{id}}", api_maps.delete_map, names(""))
    add("POST", f"{LD}/snapshots", api_maps.create_snapshot, names("local via"))
    add("DELETE", f"{LD}/snapshots", api_maps.purge_snapshots, names("q"))
    add("GET", f"{LD}/snapshots/{{id}}", api_maps.show_snapshot, names(""))
    add("PATCH", f"{LD}/snapshots/{{id}}", api_maps.update_snapshot, names(""))
    add("DELETE", f"{LD}/snapshots/{{id}}", api_maps.delete_snapshot, names(""))
    add("POST", f"{LD}/snapshots/{{id}}/clone", api_maps.clone_snapshot, names(""))
    add("POST", f"{LD}/jsonldContexts", api_contexts.add, names(""))
    add("GET", f"{LD}/jsonldContexts", api_contexts.listed, names("details kind"))
    add("GET", f"{LD}/jsonldContexts/{{id}}", api_contexts.serve, names("details"))
    add("DELETE", f"{LD}/jsonldContexts/{{id}}", api_contexts.delete, names("reload"))
    temporal = f"{LD}/temporal/entities"
    add("POST", temporal, api_temporal.create, names("local via"))
    add("GET", temporal, api_temporal.query, EVOLVED | CHOSEN | PAGED | names("orderBy"))
    add("GET", f"{temporal}/{{id}}", api_temporal.retrieve, EVOLVED | MAPPED | names("csf"))
    add("DELETE", f"{temporal}/{{id}}", api_temporal.delete, names("local via"))
    add("POST", f"{temporal}/{{id}}/attrs", api_temporal.append, names("local via"))
    add("DELETE", f"{temporal}/{{id}}/attrs/{{attr}}", api_temporal.delete_attribute, names("local via deleteAll datasetId"))
    add("PATCH", f"{temporal}/{{id}}/attrs/{{attr}}/{{instance}}", api_temporal.change_instance, names("local via"))
    add("DELETE", f"{temporal}/{{id}}/attrs/{{attr}}/{{instance}}", api_temporal.delete_instance, names("local via"))
    add("POST", f"{LD}/temporal/entityOperations/query", api_temporal.query_document, FORM | PAGED | MAPPED | names("local via"))
    registrations, watched = f"{LD}/csourceRegistrations", f"{LD}/csourceSubscriptions"
    add("POST", registrations, api_sources.create)
    add("GET", registrations, api_sources.query, CHOSEN | PAGED | names("options sysAttrs timerel timeAt endTimeAt timeproperty"))
    add("GET", f"{registrations}/{{id}}", api_sources.retrieve, names("options sysAttrs local via"))
    add("PATCH", f"{registrations}/{{id}}", api_sources.update, names("local via"))
    add("DELETE", f"{registrations}/{{id}}", api_sources.delete, names("local via"))
    add("POST", watched, api_sources.subscribe)
    add("GET", watched, api_sources.query_subscriptions, PAGED | names("options sysAttrs local via"))
    add("GET", f"{watched}/{{id}}", api_sources.retrieve_subscription, names("options sysAttrs local via"))
    add("PATCH", f"{watched}/{{id}}", api_sources.update_subscription, names("local via"))
    add("DELETE", f"{watched}/{{id}}", api_sources.unsubscribe, names("local via"))
    add("POST", f"{LD}/subscriptions", api_subscriptions.create, names("local via"))
    add("GET", f"{LD}/subscriptions", api_subscriptions.listed, PAGED | names("local via options"))
    add("GET", f"{LD}/subscriptions/{{id}}", api_subscriptions.retrieve, names("local via"))
    add("PATCH", f"{LD}/subscriptions/{{id}}", api_subscriptions.update, names("local via"))
    add("DELETE", f"{LD}/subscriptions/{{id}}", api_subscriptions.delete, names("local via"))
    add("GET", "/kiban/v1/deadLetters", api_subscriptions.dead_letters, names("subscription after limit"))
    add("POST", "/kiban/v1/deadLetters/replay", api_subscriptions.replay, names(""))
    add("POST", relay.PATH, relay.inbound, names("tenant"))
    api_v2.add_routes(found)
    operate.add_routes(add)
    Description(found).add_routes(add)
    return found
