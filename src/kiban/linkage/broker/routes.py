"""Every address of the broker."""

from __future__ import annotations

from kiban.linkage.broker import api_batch, api_entities, api_query, api_v2
from kiban.linkage.broker.server import Routes

LD = "/ngsi-ld/v1"


def routes() -> Routes:
    """The routes of NGSI-LD, NGSIv2 and of operation."""
    found = Routes()
    add = found.add
    entity, attrs, attr = f"{LD}/entities/{{id}}", f"{LD}/entities/{{id}}/attrs", f"{LD}/entities/{{id}}/attrs/{{attr}}"
    add("POST", f"{LD}/entities", api_entities.create)
    add("GET", f"{LD}/entities", api_query.query)
    add("DELETE", f"{LD}/entities", api_query.purge)
    add("GET", entity, api_query.retrieve)
    add("PATCH", entity, api_entities.merge)
    add("PUT", entity, api_entities.replace)
    add("DELETE", entity, api_entities.delete)
    add("POST", attrs, api_entities.append)
    add("PATCH", attrs, api_entities.update)
    add("PATCH", attr, api_entities.partial)
    add("PUT", attr, api_entities.replace_attribute)
    add("DELETE", attr, api_entities.delete_attribute)
    operations = f"{LD}/entityOperations"
    for name in ("create", "upsert", "update", "merge", "delete"):
        add("POST", f"{operations}/{name}", getattr(api_batch, name))
    add("POST", f"{operations}/query", api_query.query_batch)
    add("GET", f"{LD}/types", api_query.types)
    add("GET", f"{LD}/types/{{type}}", api_query.type_information)
    add("GET", f"{LD}/attributes", api_query.attributes)
    add("GET", f"{LD}/attributes/{{attr}}", api_query.attribute_information)
    api_v2.add_routes(found)
    return found
