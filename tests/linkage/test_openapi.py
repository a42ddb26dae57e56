"""The interface described by itself: the document says what the routes are, and the page sends what it shows."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import threading
import time
from html.parser import HTMLParser
from types import SimpleNamespace

import jsonschema
import pytest

from kiban.linkage.access import OPERATIONS as RIGHTS
from kiban.linkage.access import Access
from kiban.linkage.broker.openapi import BODIES, OPERATIONS, PARAMETERS, SCHEMAS, WORDS, Description, document, pages
from kiban.linkage.broker.server import App, Call, Reply, Routes


async def echo(call: Call) -> Reply:
    """Say what came."""
    told = {"method": call.method, "path": call.path, "params": call.params, "body": call.body.decode(), "tenant": call.tenant}
    return Reply(200, [], json.dumps(told | {"token": call.header(b"authorization")}).encode(), b"application/json")


def every_route() -> Routes:
    routes = Routes()
    Description(routes).add_routes(routes.add)
    have = {f"{method} {path}" for method, path, _ in routes.listed}
    for key in OPERATIONS.keys() - have:
        routes.add(*key.split(" "), echo)
    return routes


@pytest.fixture(scope="module", params=["ja", "en"])
def spec(request) -> dict:
    return json.loads(json.dumps(document(every_route(), request.param)))


def operations(spec: dict):
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_document_lists_every_route_and_no_other(spec):
    assert {f"{method.upper()} {path}" for path, method, _ in operations(spec)} == {f"{method} {path}" for method, path, _ in every_route().listed}
    names = [operation["operationId"] for *_, operation in operations(spec)]
    assert len(names) == len(set(names))


def test_every_variable_of_a_path_is_a_required_parameter_and_every_name_is_there_once(spec):
    for path, _, operation in operations(spec):
        variables = {each["name"] for each in operation["parameters"] if each["in"] == "path" and each["required"]}
        assert variables == set(re.findall(r"\{(\w+)\}", path))
        named = [(each["name"], each["in"]) for each in operation["parameters"]]
        assert len(named) == len(set(named))
        assert all(each["description"] for each in operation["parameters"])


def test_every_reference_leads_somewhere_and_every_example_fits_its_schema(spec):
    references = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(spec))
    assert set(references) <= set(SCHEMAS)
    for _, _, operation in operations(spec):
        for media in operation.get("requestBody", {"content": {}})["content"].values():
            schema = {**media["schema"], "components": spec["components"]}
            jsonschema.Draft202012Validator.check_schema(schema)
            if "example" in media:
                jsonschema.validate(media["example"], schema)


def test_every_operation_tells_the_right_that_it_needs(spec):
    assert {operation["x-operation"] for *_, operation in operations(spec)} <= {*RIGHTS, "open"}


def test_a_tool_that_tests_interfaces_can_read_the_document(spec):
    import schemathesis

    found = [each.ok() for each in schemathesis.openapi.from_dict(spec).get_all_operations()]
    assert len(found) == len(list(operations(spec)))


def test_nothing_of_the_tables_is_left_over_and_everything_is_said_in_both_languages():
    assert {told.body for told in OPERATIONS.values() if told.body} == set(BODIES)
    taken = {name for told in OPERATIONS.values() for name in told.takes.split()}
    assert taken <= set(PARAMETERS)
    assert all(re.search(r"[぀-ヿ一-鿿]|^@context$", both.ja) for both in WORDS.values() if both.ja != "English")
    assert not any(re.search(r"[぀-ヿ一-鿿]", told.en) for told in OPERATIONS.values())


def test_a_route_that_no_table_knows_is_listed_with_the_words_of_its_handler():
    routes = Routes()
    routes.add("GET", "/admin/outbox/{seq}", echo)
    told = document(routes, "en")["paths"]["/admin/outbox/{seq}"]["get"]
    assert (told["summary"], told["x-operation"], told["parameters"][0]["name"]) == ("Say what came.", "admin.read", "seq")


# ------------------------------------------------------------------------------------------------------------------------------- page


def ask(path: str, access: Access | None = None, **headers: str) -> SimpleNamespace:
    sent: list[dict] = []

    async def send(event: dict) -> None:
        sent.append(event)

    async def receive() -> dict:
        return {"type": "http.request", "body": b""}

    app = App(SimpleNamespace(access=access or Access(), v2_problem=None), every_route())
    raw, _, query = path.partition("?")
    found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(app({"type": "http", "method": "GET", "raw_path": raw.encode(), "query_string": query.encode(), "headers": found}, receive, send))
    return SimpleNamespace(status=sent[0]["status"], headers=dict(sent[0]["headers"]), text=sent[1]["body"].decode())


@pytest.mark.parametrize(
    ("asked", "header", "given"),
    [
        ("", "", "ja"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "fr, en;q=0.5", "en"),
        ("", "de", "ja"),
        ("?lang=ja", "en", "ja"),
        ("?lang=en", "ja", "en"),
        ("?lang=x", "en", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_that_of_the_browser_else_japanese(asked, header, given):
    answer = ask(f"/docs{asked}", accept_language=header)
    assert f'<html lang="{given}">' in answer.text
    assert answer.headers[b"content-language"] == given.encode()


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script_inside():
    answer = ask("/docs")
    assert b"script-src 'self'" in answer.headers[b"content-security-policy"]
    loaded = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            named = dict(attrs)
            assert not any(name.startswith("on") or name == "style" for name in named)
            if tag in ("script", "link"):
                loaded.append(named.get("src") or named.get("href"))

    Reader().feed(answer.text)
    assert loaded == ["data:,", "docs/page.css", "docs/page.js"]
    for name in loaded[1:]:
        file = ask(f"/{name}")
        assert file.status == 200
        assert "http" not in file.text.replace("http://www.w3.org", "")
    assert "innerHTML" not in ask("/docs/page.js").text


def test_every_word_of_the_page_is_used():
    used = "".join(pages().joinpath(name).read_text("utf-8") for name in ("page.html", "page.js"))
    assert [name for name in WORDS if f"words.{name}" not in used and f"{{{name}}}" not in used] == []


def test_who_may_not_know_the_broker_does_not_see_its_description(tmp_path):
    (tmp_path / "p.yaml").write_text("version: 1\nrules: []\n", "utf-8")
    access = Access.open(tmp_path / "p.yaml")
    assert [ask(path, access).status for path in ("/docs", "/openapi.json")] == [401, 401]


@pytest.fixture
def served():
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = App(SimpleNamespace(access=Access(), v2_problem=None), every_route())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_what_is_filled_in_on_the_page_is_what_the_broker_gets(served):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(locale="en")
        troubles: list[str] = []
        tab.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.goto(f"{served}/docs")
        tab.get_by_label("Find an operation").fill("update part attribute")
        tab.get_by_role("link", name="Update a part of an attribute").click()
        tab.get_by_role("button", name="Send").click()
        tab.wait_for_selector(".answer .note")
        assert "Fill in what is required: id, attr" in tab.locator(".answer").inner_text()
        tab.get_by_label("id", exact=False).first.fill("urn:a/b 川")
        tab.get_by_label("attr", exact=False).first.fill("level")
        tab.locator("summary", has_text="Headers").first.click()
        tab.get_by_label("NGSILD-Tenant").fill("river")
        tab.get_by_label("Token").fill("geheim")
        tab.locator("textarea").fill('{"value": "<b>7</b>"}')
        tab.get_by_role("button", name="Send").click()
        tab.wait_for_selector(".status")
        got = json.loads(tab.locator(".answer pre").first.inner_text())
        assert got == {
            "method": "PATCH",
            "path": ["urn:a/b 川", "level"],
            "params": {},
            "body": '{"value": "<b>7</b>"}',
            "tenant": "river",
            "token": "Bearer geheim",
        }
        command = tab.locator(".answer pre").last.inner_text()
        assert "geheim" not in command
        assert "/urn:a%2Fb%20%E5%B7%9D/attrs/level" in command
        assert tab.locator(".answer b").count() == 0
        assert troubles == []
        browser.close()


def test_the_document_of_the_real_broker_names_the_parameters_that_its_routes_take():
    from kiban.linkage.broker.routes import routes

    found = routes()
    for path, method, operation in operations(document(found, "en")):
        known = found.find(path.encode())[0][method.upper()][1]
        named = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        assert known is None or named == known
        assert all(each["description"] for each in operation["parameters"]), f"{method} {path}"
        assert operation["x-operation"] in {*RIGHTS, "open"}
