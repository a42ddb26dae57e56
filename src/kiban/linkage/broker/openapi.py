"""The interface described by itself: an OpenAPI 3.1 document made from the routes, and a page where it can be tried out.

In: the routes that the broker really has. Out: /openapi.json and /docs, in Japanese or English. What a route does and takes stands in `OPERATIONS`;
a route that is missing there is still listed, with the first line of its handler.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple

from kiban import __version__
from kiban.linkage.access import operation_of
from kiban.linkage.broker.server import JSON, Call, Reply, Routes, dumps

LANGUAGES: Final = ("ja", "en")
CSP: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATIC: Final = {"page.js": b"text/javascript; charset=utf-8", "page.css": b"text/css; charset=utf-8"}


class Both(NamedTuple):
    """The same in Japanese and English."""

    ja: str
    en: str


class Told(NamedTuple):
    """What a route does and takes.

    takes   names of PARAMETERS, with blanks between
    body    name of a BODIES entry, "" for none
    status  of the usual answer
    gives   name of a SCHEMAS entry of the answer, "" for none
    """

    ja: str
    en: str
    takes: str = ""
    body: str = ""
    status: int = 200
    gives: str = ""


# Beginning of the path → heading. The first that fits counts.
AREAS: Final[dict[str, Both]] = {
    "/ngsi-ld/v1/entityOperations": Both("一括操作", "Batch operations"),
    "/ngsi-ld/v1/entities": Both("エンティティ", "Entities"),
    "/ngsi-ld/v1/types": Both("型と属性", "Types and attributes"),
    "/ngsi-ld/v1/attributes": Both("型と属性", "Types and attributes"),
    "/ngsi-ld/v1/temporal": Both("履歴", "History"),
    "/ngsi-ld/v1/subscriptions": Both("通知の登録", "Subscriptions"),
    "/ngsi-ld/v1/csource": Both("他の情報源", "Context sources"),
    "/ngsi-ld/v1/jsonldContexts": Both("@context", "@contexts"),
    "/ngsi-ld/v1/entityMaps": Both("エンティティマップとスナップショット", "Entity maps and snapshots"),
    "/ngsi-ld/v1/snapshots": Both("エンティティマップとスナップショット", "Entity maps and snapshots"),
    "/ngsi-ld/v1/info": Both("運用", "Operation"),
    "/v2": Both("NGSIv2", "NGSIv2"),
    "/": Both("運用", "Operation"),
}

TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer", "minimum": 0}
TRUTH: Final = {"type": "boolean"}
TIME: Final = {"type": "string", "format": "date-time"}

# Routes that only say what is wrong with the request: nothing to offer.
UNTOLD: Final = frozenset({"PATCH /ngsi-ld/v1/entities", "PUT /ngsi-ld/v1/entities"})

# Name → schema, Japanese, English. Names are those of the query string, the path in {} or, with a capital first, of a header.
PARAMETERS: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "{id}": (TEXT, "識別子（URI）。/ などは %2F のように書く", "identifier (a URI); percent-encode / as %2F"),
    "{attr}": (TEXT, "属性の名前（短い名前か完全な IRI）", "name of the attribute, short or a full IRI"),
    "{type}": (TEXT, "型の名前（短い名前か完全な IRI）", "name of the type, short or a full IRI"),
    "{instance}": (TEXT, "履歴の 1 件の識別子（instanceId）", "identifier of one instance of the history (instanceId)"),
    "{name}": (TEXT, "名前", "name"),
    "type": (TEXT, "型。A,B はどちらか、(A;B) は両方", "types: A,B either, (A;B) both"),
    "id": (TEXT, "識別子。コンマ区切り", "identifiers, with commas between"),
    "idPattern": (TEXT, "識別子に合う正規表現", "regular expression that the identifier matches"),
    "typePattern": (TEXT, "型に合う正規表現", "regular expression that the type matches"),
    "attrs": (TEXT, "これらの属性のどれかを持つもの、またその属性だけ", "entities with one of these attributes, and only these attributes"),
    "pick": (TEXT, "答えに入れる項目", "members to keep in the answer"),
    "omit": (TEXT, "答えから除く項目", "members to leave out of the answer"),
    "q": (TEXT, '条件。例: temperature>20;name=="役場"', 'condition, such as temperature>20;name=="Town hall"'),
    "mq": (TEXT, "メタデータの条件", "condition on metadata"),
    "scopeQ": (TEXT, "スコープの条件。例: /町/川/#", "condition on the scope, such as /town/river/#"),
    "georel": (TEXT, "位置の関係。例: near;maxDistance==1000", "spatial relation, such as near;maxDistance==1000"),
    "geometry": (TEXT, "図形の種類。例: Point", "kind of geometry, such as Point"),
    "coordinates": (TEXT, "座標（経度, 緯度）。例: [137.2,37.4]", "coordinates (longitude, latitude), such as [137.2,37.4]"),
    "coords": (TEXT, "座標（緯度,経度;…）", "coordinates (latitude,longitude;…)"),
    "geoproperty": (TEXT, "位置を持つ属性（既定は location）", "attribute with the place (default location)"),
    "geometryProperty": (TEXT, "GeoJSON の geometry にする属性", "attribute that becomes the geometry of GeoJSON"),
    "lang": (TEXT, "多言語の値から選ぶ言語。例: ja", "language to choose from values in several, such as ja"),
    "format": ({"type": "string", "enum": ["normalized", "concise", "simplified", "temporalValues", "aggregatedValues"]}, "表し方", "representation"),
    "options": (TEXT, "表し方など。例: sysAttrs, keyValues, count", "representation and more, such as sysAttrs, keyValues, count"),
    "limit": (WHOLE, "件数の上限", "at most so many"),
    "offset": (WHOLE, "この件数だけ飛ばす", "skip so many"),
    "count": (TRUTH, "全件数をヘッダーで答える", "tell the number of all in a header"),
    "orderBy": (TEXT, "並べ方", "order"),
    "join": ({"type": "string", "enum": ["inline", "flat", "@none"]}, "関係先を含める", "include what relationships lead to"),
    "joinLevel": (WHOLE, "関係をたどる段数", "how many steps of relationships"),
    "local": (TRUTH, "このブローカーだけに聞く", "ask this broker alone"),
    "datasetId": (TEXT, "データセットの識別子", "identifier of the data set"),
    "deleteAll": (TRUTH, "すべてのデータセットを消す", "delete all data sets"),
    "observedAt": (TIME, "観測の時刻", "time of observation"),
    "timerel": ({"type": "string", "enum": ["before", "after", "between"]}, "時刻の関係", "relation to the time"),
    "timeAt": (TIME, "時刻", "time"),
    "endTimeAt": (TIME, "終わりの時刻（between）", "end (for between)"),
    "timeproperty": ({"type": "string", "enum": ["observedAt", "createdAt", "modifiedAt", "deletedAt"]}, "どの時刻か", "which time"),
    "lastN": (WHOLE, "新しいほうから N 件", "the newest N"),
    "aggrMethods": (TEXT, "集計。例: min,max,avg", "aggregates, such as min,max,avg"),
    "aggrPeriodDuration": (TEXT, "集計の幅。例: PT1H", "width of the aggregation, such as PT1H"),
    "details": (TRUTH, "詳しく", "in detail"),
    "tenant": (TEXT, "テナント", "tenant"),
    "kind": (TEXT, "種類", "kind"),
    "reload": (TRUTH, "取り直す", "fetch anew"),
    "keep": (TEXT, "残す属性", "attributes to keep"),
    "subscription": (TEXT, "通知の登録の識別子", "identifier of a subscription"),
    "after": (WHOLE, "この番号より後", "numbers above this one"),
    "drop": (TEXT, "消す属性", "attributes to drop"),
    "metadata": (TEXT, "答えに入れるメタデータ", "metadata of the answer"),
    "via": (TEXT, "通ってきた情報源", "context sources on the way here"),
    "csf": (TEXT, "情報源の条件", "condition on the context sources"),
    "sysAttrs": (TRUTH, "作成・更新の時刻を入れる", "with the times of creation and change"),
    "containedBy": (TEXT, "結合の途中で通ったエンティティ", "entities passed on the way of a join"),
    "jsonKeys": (TEXT, "値の中まで短い名前にしない属性", "attributes whose inside stays as it is"),
    "expandValues": (TEXT, "値を完全な名前にして比べる属性", "attributes whose values are compared as full names"),
    "entityMap": (TRUTH, "エンティティマップを作る", "make an entity map"),
    "entityMapLifetime": (TEXT, "エンティティマップの期間。例: PT1H", "how long the entity map lives, such as PT1H"),
    "splitEntities": (TRUTH, "情報源に分かれたエンティティを許す", "entities may be split over context sources"),
    "orderFrom": (TEXT, "距離の起点の座標", "coordinates that distances are taken from"),
    "orderGeometry": (TEXT, "距離の起点の図形", "geometry that distances are taken from"),
    "collation": (TEXT, "文字の並べ方。例: ja", "order of letters, such as ja"),
    "flowControl": (TRUTH, "通知の送出を待つ", "wait for notifications"),
}
# Headers that a whole interface takes.
HEADERS: Final[dict[str, dict[str, Both]]] = {
    "/ngsi-ld/": {
        "NGSILD-Tenant": Both("テナント（既定は空）", "tenant (empty: the default one)"),
        "Link": Both(
            '名前の @context。例: <https://…/context.jsonld>; rel="http://www.w3.org/ns/json-ld#context"',
            '@context of the names, such as <https://…/context.jsonld>; rel="http://www.w3.org/ns/json-ld#context"',
        ),
    },
    "/v2": {
        "Fiware-Service": Both("テナント（既定は空）", "tenant (empty: the default one)"),
        "Fiware-ServicePath": Both("スコープ。例: /町/川", "scope, such as /town/river"),
    },
}

_ONE = "attrs pick omit lang format options geometryProperty join joinLevel local datasetId"
_QUERY = f"type id idPattern q scopeQ georel geometry coordinates geoproperty orderBy limit offset count {_ONE}"
_SPAN = "timerel timeAt endTimeAt timeproperty lastN aggrMethods aggrPeriodDuration"
_MAP = "type id idPattern attrs q scopeQ georel geometry coordinates geoproperty entityMapLifetime"
_V2 = "attrs metadata options"
_LD = "/ngsi-ld/v1"

OPERATIONS: Final[dict[str, Told]] = {
    f"GET {_LD}/entities": Told("エンティティを検索する", "Query entities", _QUERY, gives="Entities"),
    f"POST {_LD}/entities": Told("エンティティを作る", "Create an entity", "local", "Entity", 201),
    f"DELETE {_LD}/entities": Told(
        "条件に合うエンティティを消す", "Purge entities", "type id idPattern q scopeQ georel geometry coordinates geoproperty keep drop", status=204
    ),
    f"GET {_LD}/entities/{{id}}": Told("エンティティを 1 件読む", "Retrieve an entity", _ONE, gives="Entity"),
    f"PUT {_LD}/entities/{{id}}": Told("エンティティを入れ替える", "Replace an entity", "local", "Entity", 204),
    f"PATCH {_LD}/entities/{{id}}": Told("エンティティに合わせて変える（merge）", "Merge into an entity", "observedAt lang options local", "Fragment", 204),
    f"DELETE {_LD}/entities/{{id}}": Told("エンティティを消す", "Delete an entity", "type local", status=204),
    f"POST {_LD}/entities/{{id}}/attrs": Told("属性を足す", "Append attributes", "options local", "Fragment", 204),
    f"PATCH {_LD}/entities/{{id}}/attrs": Told("属性を更新する", "Update attributes", "local", "Fragment", 204),
    f"PATCH {_LD}/entities/{{id}}/attrs/{{attr}}": Told("属性の一部を更新する", "Update a part of an attribute", "local", "Attribute", 204),
    f"PUT {_LD}/entities/{{id}}/attrs/{{attr}}": Told("属性を入れ替える", "Replace an attribute", "local", "Attribute", 204),
    f"DELETE {_LD}/entities/{{id}}/attrs/{{attr}}": Told("属性を消す", "Delete an attribute", "datasetId deleteAll local", status=204),
    f"POST {_LD}/entityOperations/create": Told("まとめて作る", "Create many", "local", "Entities", 201),
    f"POST {_LD}/entityOperations/upsert": Told("まとめて作る、あれば変える", "Create or change many", "options local", "Entities", 201),
    f"POST {_LD}/entityOperations/update": Told("まとめて更新する", "Update many", "options local", "Entities", 204),
    f"POST {_LD}/entityOperations/merge": Told("まとめて合わせる（merge）", "Merge into many", "options observedAt lang local", "Entities", 204),
    f"POST {_LD}/entityOperations/delete": Told("まとめて消す", "Delete many", "local", "Ids", 204),
    f"POST {_LD}/entityOperations/query": Told("本文の条件で検索する", "Query by a body", "limit offset count options format local", "Query", gives="Entities"),
    f"GET {_LD}/types": Told("使われている型", "Types in use", "details local", gives="Object"),
    f"GET {_LD}/types/{{type}}": Told("型の詳細", "About a type", "local", gives="Object"),
    f"GET {_LD}/attributes": Told("使われている属性", "Attributes in use", "details local", gives="Object"),
    f"GET {_LD}/attributes/{{attr}}": Told("属性の詳細", "About an attribute", "local", gives="Object"),
    f"GET {_LD}/temporal/entities": Told("履歴を検索する", "Query the history", f"{_SPAN} {_QUERY}", gives="Entities"),
    f"POST {_LD}/temporal/entities": Told("履歴を作る、足す", "Create or add to a history", "local", "Entity", 201),
    f"GET {_LD}/temporal/entities/{{id}}": Told("1 件の履歴を読む", "Retrieve a history", f"{_SPAN} {_ONE}", gives="Entity"),
    f"DELETE {_LD}/temporal/entities/{{id}}": Told("履歴を消す", "Delete a history", "local", status=204),
    f"POST {_LD}/temporal/entities/{{id}}/attrs": Told("属性の履歴を足す", "Add to the history of attributes", "local", "Fragment", 204),
    f"DELETE {_LD}/temporal/entities/{{id}}/attrs/{{attr}}": Told(
        "属性の履歴を消す", "Delete the history of an attribute", "datasetId deleteAll local", status=204
    ),
    f"PATCH {_LD}/temporal/entities/{{id}}/attrs/{{attr}}/{{instance}}": Told(
        "履歴の 1 件を変える", "Change one instance of a history", "local", "Fragment", 204
    ),
    f"DELETE {_LD}/temporal/entities/{{id}}/attrs/{{attr}}/{{instance}}": Told("履歴の 1 件を消す", "Delete one instance of a history", "local", status=204),
    f"POST {_LD}/temporal/entityOperations/query": Told(
        "本文の条件で履歴を検索する", "Query the history by a body", "limit options format local", "Query", gives="Entities"
    ),
    f"GET {_LD}/subscriptions": Told("通知の登録の一覧", "List subscriptions", "limit offset count options", gives="Subscriptions"),
    f"POST {_LD}/subscriptions": Told("通知を登録する", "Create a subscription", "", "Subscription", 201),
    f"GET {_LD}/subscriptions/{{id}}": Told("通知の登録を読む", "Retrieve a subscription", "options", gives="Subscription"),
    f"PATCH {_LD}/subscriptions/{{id}}": Told("通知の登録を変える", "Update a subscription", "", "SubscriptionPatch", 204),
    f"DELETE {_LD}/subscriptions/{{id}}": Told("通知の登録を消す", "Delete a subscription", status=204),
    f"GET {_LD}/csourceRegistrations": Told("情報源の一覧", "List context sources", "type id idPattern attrs q limit offset count options", gives="Objects"),
    f"POST {_LD}/csourceRegistrations": Told("情報源を登録する", "Register a context source", "", "Registration", 201),
    f"GET {_LD}/csourceRegistrations/{{id}}": Told("情報源を読む", "Retrieve a context source", "options", gives="Registration"),
    f"PATCH {_LD}/csourceRegistrations/{{id}}": Told("情報源の登録を変える", "Update a context source", "", "RegistrationPatch", 204),
    f"DELETE {_LD}/csourceRegistrations/{{id}}": Told("情報源の登録を消す", "Delete a context source", status=204),
    f"GET {_LD}/csourceSubscriptions": Told("情報源の通知の一覧", "List subscriptions to context sources", "limit offset count options", gives="Subscriptions"),
    f"POST {_LD}/csourceSubscriptions": Told("情報源の通知を登録する", "Subscribe to context sources", "", "Subscription", 201),
    f"GET {_LD}/csourceSubscriptions/{{id}}": Told("情報源の通知の登録を読む", "Retrieve a subscription to context sources", "options", gives="Subscription"),
    f"PATCH {_LD}/csourceSubscriptions/{{id}}": Told("情報源の通知の登録を変える", "Update a subscription to context sources", "", "SubscriptionPatch", 204),
    f"DELETE {_LD}/csourceSubscriptions/{{id}}": Told("情報源の通知の登録を消す", "Delete a subscription to context sources", status=204),
    "POST /ngsi-ld/ex/remote-notify": Told("他の情報源からの通知を受ける", "Take a notification of another context source", "tenant"),
    f"GET {_LD}/entityMaps": Told("エンティティマップを作る", "Create an entity map", _MAP, status=201, gives="Object"),
    f"GET {_LD}/temporal/entityMaps": Told(
        "履歴のエンティティマップを作る", "Create an entity map of the history", f"{_SPAN} {_MAP}", status=201, gives="Object"
    ),
    f"GET {_LD}/entityMaps/{{id}}": Told("エンティティマップを読む", "Retrieve an entity map", gives="Object"),
    f"PATCH {_LD}/entityMaps/{{id}}": Told("エンティティマップの期限を変える", "Change when an entity map expires", "", "EntityMapPatch", 204),
    f"DELETE {_LD}/entityMaps/{{id}}": Told("エンティティマップを消す", "Delete an entity map", status=204),
    f"POST {_LD}/snapshots": Told("スナップショットを作る", "Create a snapshot", "", "Snapshot", 201),
    f"DELETE {_LD}/snapshots": Told("条件に合うスナップショットを消す", "Purge snapshots", "q", status=204),
    f"GET {_LD}/snapshots/{{id}}": Told("スナップショットの状態を読む", "Retrieve the status of a snapshot", gives="Object"),
    f"PATCH {_LD}/snapshots/{{id}}": Told(
        "スナップショットの優先度・期限を変える", "Change priority or lifetime of a snapshot", "", "SnapshotPatch", gives="Object"
    ),
    f"DELETE {_LD}/snapshots/{{id}}": Told("スナップショットを消す", "Delete a snapshot", status=204),
    f"POST {_LD}/snapshots/{{id}}/clone": Told("スナップショットを複製する", "Clone a snapshot", "", "SnapshotClone", 201),
    f"GET {_LD}/jsonldContexts": Told("保管している @context の一覧", "List @contexts", "details kind", gives="Objects"),
    f"POST {_LD}/jsonldContexts": Told("@context を置く", "Add a @context", "", "Context", 201),
    f"GET {_LD}/jsonldContexts/{{id}}": Told("@context を読む", "Serve a @context", "details", gives="Object"),
    f"DELETE {_LD}/jsonldContexts/{{id}}": Told("@context を消す", "Delete a @context", "reload", status=204),
    f"GET {_LD}/info/sourceIdentity": Told("この情報源の名乗り", "Identity of this context source", gives="Object"),
    "GET /v2": Told("NGSIv2 の入り口", "Entry points of NGSIv2", gives="Object"),
    "GET /v2/entities": Told(
        "エンティティを検索する",
        "List entities",
        f"id type idPattern typePattern q mq georel geometry coords limit offset orderBy {_V2}",
        gives="Objects",
    ),
    "POST /v2/entities": Told("エンティティを作る", "Create an entity", "options", "EntityV2", 201),
    "GET /v2/entities/{id}": Told("エンティティを 1 件読む", "Retrieve an entity", f"type {_V2}", gives="Object"),
    "DELETE /v2/entities/{id}": Told("エンティティを消す", "Remove an entity", "type", status=204),
    "GET /v2/entities/{id}/attrs": Told("属性を読む", "Retrieve the attributes", f"type {_V2}", gives="Object"),
    "POST /v2/entities/{id}/attrs": Told("属性を足す、更新する", "Update or append attributes", "type options", "AttributesV2", 204),
    "PATCH /v2/entities/{id}/attrs": Told("属性を更新する", "Update attributes", "type options", "AttributesV2", 204),
    "PUT /v2/entities/{id}/attrs": Told("属性をすべて入れ替える", "Replace all attributes", "type options", "AttributesV2", 204),
    "GET /v2/entities/{id}/attrs/{attr}": Told("属性を 1 つ読む", "Retrieve an attribute", "type metadata", gives="Object"),
    "PUT /v2/entities/{id}/attrs/{attr}": Told("属性を入れ替える", "Replace an attribute", "type", "AttributeV2", 204),
    "DELETE /v2/entities/{id}/attrs/{attr}": Told("属性を消す", "Remove an attribute", "type", status=204),
    "GET /v2/entities/{id}/attrs/{attr}/value": Told("属性の値を読む", "Retrieve a value", "type"),
    "PUT /v2/entities/{id}/attrs/{attr}/value": Told("属性の値を変える", "Change a value", "type", "ValueV2", 204),
    "GET /v2/types": Told("使われている型", "Types in use", "limit offset options", gives="Objects"),
    "GET /v2/types/{type}": Told("型の詳細", "About a type", gives="Object"),
    "POST /v2/op/update": Told("まとめて変える", "Change many", "options", "UpdateV2", 204),
    "POST /v2/op/query": Told("本文の条件で検索する", "Query by a body", "limit offset orderBy options", "QueryV2", gives="Objects"),
    "POST /v2/op/notify": Told("通知を受け取って書き込む", "Take a notification and store it", "options", "NotifyV2"),
    "GET /v2/subscriptions": Told("通知の登録の一覧", "List subscriptions", "limit offset options", gives="Objects"),
    "POST /v2/subscriptions": Told("通知を登録する", "Create a subscription", "", "SubscriptionV2", 201),
    "GET /v2/subscriptions/{id}": Told("通知の登録を読む", "Retrieve a subscription", gives="Object"),
    "PATCH /v2/subscriptions/{id}": Told("通知の登録を変える", "Update a subscription", "", "SubscriptionV2Patch", 204),
    "DELETE /v2/subscriptions/{id}": Told("通知の登録を消す", "Delete a subscription", status=204),
    "GET /v2/registrations": Told("情報源の一覧", "List context providers", "limit offset options", gives="Objects"),
    "POST /v2/registrations": Told("情報源を登録する", "Register a context provider", "", "RegistrationV2", 201),
    "GET /v2/registrations/{id}": Told("情報源を読む", "Retrieve a context provider", gives="Object"),
    "DELETE /v2/registrations/{id}": Told("情報源の登録を消す", "Delete a context provider", status=204),
    "GET /kiban/v1/deadLetters": Told(
        "届けられなかった通知の一覧", "List notifications that could not be delivered", "subscription after limit", gives="Objects"
    ),
    "POST /kiban/v1/deadLetters/replay": Told("届けられなかった通知をもう一度送る", "Send them again", "", "Replay", gives="Object"),
    "GET /health": Told("動いているか", "Is the process alive?", gives="Object"),
    "GET /ready": Told("要求を受けられるか", "Can it serve requests?", gives="Object"),
    "GET /metrics": Told("計測値（Prometheus）", "Figures for Prometheus"),
    "GET /version": Told("版", "Version", gives="Object"),
    "GET /": Told("この説明書のページへ", "To the page of this description", gives="Object"),
    "GET /openapi.json": Told("この説明書（OpenAPI 3.1）", "This description (OpenAPI 3.1)", gives="Object"),
    "GET /docs": Told("この画面", "This page"),
    "GET /docs/page.js": Told("この画面の動き", "What this page runs"),
    "GET /docs/page.css": Told("この画面の見た目", "What this page looks like"),
}

_LEVEL = {"type": "Property", "value": 1.25, "unitCode": "MTR", "observedAt": "2026-11-27T20:10:00Z"}
_WHERE = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [137.2706, 37.4373]}}
_GAUGE = "urn:ngsi-ld:WaterLevelObserved:001"

# What a request may carry: schema and an example that can be sent as it is.
BODIES: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "Entity": ({"$ref": "#/components/schemas/Entity"}, {"id": _GAUGE, "type": "WaterLevelObserved", "level": _LEVEL, "location": _WHERE}),
    "Entities": ({"$ref": "#/components/schemas/Entities"}, [{"id": _GAUGE, "type": "WaterLevelObserved", "level": _LEVEL}]),
    "Ids": ({"type": "array", "minItems": 1, "items": {"type": "string", "format": "uri"}}, [_GAUGE]),
    "Fragment": ({"type": "object", "minProperties": 1}, {"level": {**_LEVEL, "value": 1.31}}),
    "Attribute": ({"type": "object", "minProperties": 1}, {"value": 1.42, "observedAt": "2026-11-27T20:20:00Z"}),
    "Query": (
        {"type": "object", "required": ["type"], "properties": {"type": {"const": "Query"}}},
        {"type": "Query", "entities": [{"type": "WaterLevelObserved"}], "q": "level>1"},
    ),
    "Subscription": (
        {"$ref": "#/components/schemas/Subscription"},
        {
            "type": "Subscription",
            "entities": [{"type": "WaterLevelObserved"}],
            "watchedAttributes": ["level"],
            "notification": {"endpoint": {"uri": "http://127.0.0.1:9000/notify", "accept": "application/json"}},
        },
    ),
    "Replay": (
        {"type": "object", "properties": {"subscription": {"type": "string"}, "numbers": {"type": "array", "items": WHOLE}}},
        {"subscription": "urn:ngsi-ld:Subscription:1"},
    ),
    "SubscriptionPatch": ({"type": "object", "minProperties": 1}, {"description": "水位", "isActive": False}),
    "Registration": (
        {"$ref": "#/components/schemas/Registration"},
        {"type": "ContextSourceRegistration", "information": [{"entities": [{"type": "School"}]}], "endpoint": "http://127.0.0.1:9001"},
    ),
    "RegistrationPatch": ({"type": "object", "minProperties": 1}, {"description": "学校"}),
    "EntityMapPatch": ({"type": "object", "properties": {"expiresAt": TIME}}, {"expiresAt": "2026-11-27T21:10:00Z"}),
    "Snapshot": (
        {"type": "object", "required": ["type", "snapshotQueries"], "properties": {"type": {"const": "Snapshot"}}},
        {"type": "Snapshot", "snapshotQueries": [{"type": "Query", "entities": [{"type": "WaterLevelObserved"}]}], "snapshotLifetime": "PT6H"},
    ),
    "SnapshotPatch": ({"type": "object", "minProperties": 1}, {"snapshotPriority": 3}),
    "SnapshotClone": ({"type": "object"}, {"type": "Snapshot", "snapshotPriority": 3}),
    "Context": ({"type": "object", "required": ["@context"]}, {"@context": {"WaterLevelObserved": "https://example.org/WaterLevelObserved"}}),
    "EntityV2": (
        {"type": "object", "required": ["id"], "properties": {"id": TEXT, "type": TEXT}},
        {"id": "gauge-001", "type": "WaterLevelObserved", "level": {"type": "Number", "value": 1.25}},
    ),
    "AttributesV2": ({"type": "object", "minProperties": 1}, {"level": {"type": "Number", "value": 1.31}}),
    "AttributeV2": ({"type": "object"}, {"type": "Number", "value": 1.42}),
    "ValueV2": ({}, {"north": 1.4}),
    "UpdateV2": (
        {"type": "object", "required": ["actionType", "entities"], "properties": {"actionType": TEXT, "entities": {"type": "array"}}},
        {"actionType": "append", "entities": [{"id": "gauge-001", "type": "WaterLevelObserved", "level": {"type": "Number", "value": 1.5}}]},
    ),
    "QueryV2": ({"type": "object"}, {"entities": [{"idPattern": ".*", "type": "WaterLevelObserved"}]}),
    "NotifyV2": (
        {"type": "object", "required": ["data"]},
        {"subscriptionId": "5aeb0ee97d4ef10a12a0262f", "data": [{"id": "gauge-001", "type": "WaterLevelObserved"}]},
    ),
    "SubscriptionV2": (
        {"type": "object", "required": ["subject", "notification"]},
        {"subject": {"entities": [{"idPattern": ".*", "type": "WaterLevelObserved"}]}, "notification": {"http": {"url": "http://127.0.0.1:9000/notify"}}},
    ),
    "SubscriptionV2Patch": ({"type": "object", "minProperties": 1}, {"status": "inactive"}),
    "RegistrationV2": (
        {"type": "object", "required": ["dataProvided", "provider"]},
        {"dataProvided": {"entities": [{"idPattern": ".*", "type": "School"}]}, "provider": {"http": {"url": "http://127.0.0.1:9001/v2"}}},
    ),
}

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Entity": {
        "type": "object",
        "required": ["id", "type"],
        "properties": {
            "id": {"type": "string", "format": "uri"},
            "type": {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]},
            "scope": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
            "location": {"type": "object"},
            "createdAt": TIME,
            "modifiedAt": TIME,
            "expiresAt": TIME,
        },
    },
    "Entities": {"type": "array", "items": {"$ref": "#/components/schemas/Entity"}},
    "Subscription": {
        "type": "object",
        "required": ["type", "notification"],
        "properties": {
            "type": {"const": "Subscription"},
            "entities": {"type": "array", "items": {"type": "object"}},
            "watchedAttributes": {"type": "array", "items": TEXT},
            "q": TEXT,
            "notification": {"type": "object", "required": ["endpoint"], "properties": {"endpoint": {"type": "object", "required": ["uri"]}}},
        },
    },
    "Subscriptions": {"type": "array", "items": {"$ref": "#/components/schemas/Subscription"}},
    "Registration": {
        "type": "object",
        "required": ["type", "information", "endpoint"],
        "properties": {"type": {"const": "ContextSourceRegistration"}, "information": {"type": "array", "minItems": 1}, "endpoint": TEXT},
    },
    "Object": {"type": "object"},
    "Objects": {"type": "array"},
    "Problem": {
        "type": "object",
        "properties": {"type": TEXT, "title": TEXT, "detail": TEXT, "status": {"type": "integer"}, "error": TEXT, "description": TEXT},
    },
}


def area_of(path: str) -> Both:
    """The heading that a path stands under.

    >>> area_of("/ngsi-ld/v1/entities/{id}").en
    'Entities'
    """
    return next(both for beginning, both in AREAS.items() if path.startswith(beginning))


def document(routes: Routes, lang: str, server: str = "/") -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes.

    lang    ja or en
    server  where the interface lies, as seen by the reader
    """
    ja = lang == "ja"
    paths: dict[str, dict[str, Any]] = {}
    tags: set[Both] = set()
    for method, path, handler in routes.listed:
        if f"{method} {path}" in UNTOLD:
            continue
        tag = area_of(path)
        tags.add(tag)
        found = routes.find(path.encode())
        known = found[0][method][1] if found else None
        paths.setdefault(path, {})[method.lower()] = described(method, path, handler, known, tag.ja if ja else tag.en, ja=ja)
    about = Both("NGSI-LD（ETSI GS CIM 009 v1.9.1）と NGSIv2 のコンテキストブローカー", "Context broker for NGSI-LD (ETSI GS CIM 009 v1.9.1) and NGSIv2")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kiban broker",
            "version": __version__,
            "description": about.ja if ja else about.en,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": tag.ja if ja else tag.en} for tag in dict.fromkeys(AREAS.values()) if tag in tags],
        "paths": paths,
        "security": [{}, {"bearer": []}],
        "components": {"schemas": SCHEMAS, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }


def described(method: str, path: str, handler: Any, known: frozenset[str] | None, tag: str, *, ja: bool) -> dict[str, Any]:
    """One operation of the document; known: the only names that its query string may have, None: those of the table."""
    first = (handler.__doc__ or "").strip().split("\n", 1)[0]
    told = OPERATIONS.get(f"{method} {path}") or Told(first, first)
    parameters = [parameter(name, "path", ja=ja) for name in re.findall(r"\{\w+\}", path)]
    takes = told.takes.split()
    if known is not None:
        takes = [name for name in takes if name in known] + sorted(known - set(takes))
    parameters += [parameter(name, "query", ja=ja) for name in takes]
    for beginning, headers in HEADERS.items():
        if path.startswith(beginning):
            parameters += [
                {"name": name, "in": "header", "description": both.ja if ja else both.en, "schema": TEXT}
                for name, both in headers.items()
                if not (name == "Link" and method == "DELETE")
            ]
    ld = path.startswith("/ngsi-ld/")
    found: dict[str, Any] = {
        "tags": [tag],
        "summary": told.ja if ja else told.en,
        "operationId": operation_id(method, path),
        "x-operation": operation_of(method, path),
        "parameters": parameters,
        "responses": {
            str(told.status): {"description": "OK", **content(told.gives, ld=ld)} if told.gives else {"description": "OK"},
            "default": {
                "description": "誤り" if ja else "Error",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if told.body:
        schema, example = BODIES[told.body]
        media = {"application/json": {"schema": schema, "example": example}}
        if ld:
            media["application/ld+json"] = {"schema": schema}
        found["requestBody"] = {"required": True, "content": media}
    return found


def parameter(name: str, place: str, *, ja: bool) -> dict[str, Any]:
    """One parameter of the path or the query string."""
    schema, text, english = PARAMETERS.get(name, (TEXT, "", ""))
    return {"name": name.strip("{}"), "in": place, "required": place == "path", "description": text if ja else english, "schema": schema}


def content(schema: str, *, ld: bool) -> dict[str, Any]:
    """The body of an answer."""
    media = ("application/json", "application/ld+json") if ld else ("application/json",)
    return {"content": {name: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for name in media}}


def operation_id(method: str, path: str) -> str:
    """A name for code that is made from the document.

    >>> operation_id("PATCH", "/ngsi-ld/v1/entities/{id}/attrs/{attr}")
    'patch_entities_id_attrs_attr'
    """
    return "_".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/ngsi-ld/v1"))])


# --- the page
WORDS: Final[dict[str, Both]] = {
    "title": Both("API を試す", "Try the API"),
    "lead": Both(
        "このブローカーが今受け付けている操作の一覧です。選んで、値を入れて送ると、本物の答えが返ります。",
        "What this broker offers right now. Choose an operation, fill it in and send it: the answer is the real one.",
    ),
    "other": Both("English", "日本語"),
    "document": Both("OpenAPI 3.1 の文書", "OpenAPI 3.1 document"),
    "list": Both("操作の一覧", "Operations"),
    "find": Both("操作を探す", "Find an operation"),
    "found": Both("件", "operations"),
    "token": Both("トークン（この画面を閉じると消えます）", "Token (forgotten when this page is closed)"),
    "parameters": Both("パラメーター", "Parameters"),
    "headers": Both("ヘッダー", "Headers"),
    "more": Both("そのほかの項目", "More"),
    "body": Both("本文", "Body"),
    "media": Both("本文の形式", "Media type of the body"),
    "accept": Both("答えの形式", "Media type of the answer"),
    "required": Both("必須", "required"),
    "send": Both("送る", "Send"),
    "sending": Both("送っています…", "Sending…"),
    "changes": Both("この操作はデータを変えます。", "This operation changes data."),
    "deletes": Both("この操作はデータを消します。元に戻せません。", "This operation deletes data. It cannot be undone."),
    "answer": Both("答え", "Answer"),
    "command": Both("同じことをするコマンド", "The same as a command"),
    "empty": Both("（本文なし）", "(no body)"),
    "unreached": Both("ブローカーに届きませんでした。動いているか確かめてください。", "The broker was not reached. Check that it is running."),
    "missing": Both("必須の項目を入れてください", "Fill in what is required"),
    "right": Both("方針ファイルでの名前", "Name in a policy file"),
    "noscript": Both("この画面には JavaScript が要ります。操作の一覧は", "This page needs JavaScript. The operations are listed in the"),
}


def language(call: Call) -> str:
    """ja or en: what `?lang` says, else the first of the two in Accept-Language, else Japanese."""
    asked = call.params.get("lang")
    if asked in LANGUAGES:
        return asked
    for part in call.header(b"accept-language").split(","):
        name = part.split(";")[0].strip().split("-")[0].lower()
        if name in LANGUAGES:
            return name
    return "ja"


def pages() -> Traversable:
    """The folder of what the page is made of."""
    return files("kiban.linkage.broker").joinpath("pages")


def page(lang: str) -> bytes:
    """The page in one language."""
    words = {name: both.ja if lang == "ja" else both.en for name, both in WORDS.items()}
    other = "en" if lang == "ja" else "ja"
    filled: Mapping[str, str] = {**words, "words": json.dumps(words, ensure_ascii=False), "lang": lang, "version": __version__, "other_lang": other}
    return pages().joinpath("page.html").read_text("utf-8").format_map({name: html.escape(text) for name, text in filled.items()}).encode()


class Description:
    """The handlers of the description; the documents are made once, from the routes that are there when first asked."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.made: dict[str, bytes] = {}
        self.shown = {lang: page(lang) for lang in LANGUAGES}
        self.static = {name: pages().joinpath(name).read_bytes() for name in STATIC}

    async def openapi(self, call: Call) -> Reply:
        """GET /openapi.json: the OpenAPI 3.1 document."""
        call.broker.access.demand(call.subject, "info.read", call.tenant)
        lang = language(call)
        if lang not in self.made:
            self.made[lang] = dumps(document(self.routes, lang))
        return Reply(200, [(b"vary", b"Accept-Language"), (b"content-language", lang.encode())], self.made[lang], JSON)

    async def docs(self, call: Call) -> Reply:
        """GET /docs: the page where the interface can be tried out."""
        call.broker.access.demand(call.subject, "info.read", call.tenant)
        lang = language(call)
        headers = [
            (b"content-security-policy", CSP),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"vary", b"Accept-Language"),
            (b"content-language", lang.encode()),
        ]
        return Reply(200, headers, self.shown[lang], b"text/html; charset=utf-8")

    async def file(self, call: Call) -> Reply:
        """GET /docs/page.js, /docs/page.css: what the page loads."""
        name = call.raw_path.rsplit(b"/", 1)[1].decode("ascii", "replace")
        return Reply(200, [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-cache")], self.static[name], STATIC[name])

    async def home(self, _: Call) -> Reply:
        """GET /: the page on which everything can be tried."""
        return Reply(303, [(b"location", b"/docs")])

    def add_routes(self, add: Callable[[str, str, Any], None]) -> None:
        """The addresses of the description."""
        add("GET", "/", self.home)
        add("GET", "/openapi.json", self.openapi)
        add("GET", "/docs", self.docs)
        for name in STATIC:
            add("GET", f"/docs/{name}", self.file)
