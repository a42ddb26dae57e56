"""The contexts that the broker keeps: added, listed, given out, removed, loaded anew; private to their tenant, copies shared by all."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kiban.linkage.broker import times
from kiban.linkage.broker.contexts import CORE_URL, core_document
from kiban.linkage.broker.guard import Guard
from kiban.linkage.broker.hosting import PATH, Hosting, MemoryShelf, StoreShelf, fetcher
from kiban.linkage.broker.store import open_store
from kiban.linkage.errors import Problem

URL = "http://broker.example:1026"
LEVEL = {"level": "https://e.org/v#level"}


def make(**options: Any) -> Hosting:
    numbers = itertools.count(1)
    return Hosting(MemoryShelf(), URL, new_id=lambda: f"id-{next(numbers)}", **options)


def run(work: Any) -> Any:
    return asyncio.run(work)


def kind_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.kind, caught.value.status


def mapped(tmp_path: Path, **contexts: Any) -> dict[str, Path]:
    for name, context in contexts.items():
        (tmp_path / name).write_text(json.dumps({"@context": context}), "utf-8")
    return {f"https://e.org/{name}": tmp_path / name for name in contexts}


def test_an_added_context_is_served_listed_used_and_removed():
    hosting = make()
    entry = run(hosting.add({"@context": LEVEL}, ""))
    assert (entry.path, entry.url) == (PATH + "id-1", URL + PATH + "id-1")
    assert hosting.serve("id-1", "") == {"@context": LEVEL}
    assert hosting.list("") == [entry.url]
    told = hosting.serve("id-1", "", "true")
    assert {key: told[key] for key in ("URL", "localId", "kind")} == {"URL": entry.url, "localId": "id-1", "kind": "Hosted"}
    assert times.is_datetime(told["createdAt"])
    assert run(hosting.contexts.term_map(entry.url)).expand("level") == "https://e.org/v#level"
    run(hosting.delete("id-1", ""))
    assert kind_of(lambda: hosting.serve("id-1", "")) == ("ResourceNotFound", 404)
    assert kind_of(lambda: run(hosting.contexts.term_map(entry.url))) == ("LdContextNotAvailable", 504)
    assert hosting.list("") == []


def test_the_address_of_a_hosted_context_works_under_each_name_of_the_broker():
    hosting = make()
    entry = run(hosting.add({"@context": LEVEL}, ""))
    for host in (URL, "http://127.0.0.1:1026", "https://proxy.example"):
        assert run(hosting.contexts.term_map(host + entry.path)).expand("level") == "https://e.org/v#level"
    assert hosting.serve(entry.path, "") == hosting.serve(entry.url, "") == hosting.serve(entry.id, "")
    assert kind_of(lambda: run(hosting.contexts.term_map(entry.path))) == ("BadRequestData", 400)


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"level": "https://e.org/v#level"}])
def test_an_added_document_without_a_context_is_an_invalid_request(raw):
    hosting = make()
    assert kind_of(lambda: run(hosting.add(raw, ""))) == ("InvalidRequest", 400)
    assert hosting.list("") == []


@pytest.mark.parametrize("context", [7, True, ["https://e.org/c", 7], {"a": 7}, {"a": {"@id": "rel", "@type": 1}}, [["https://e.org/c"]]])
def test_an_added_context_that_json_ld_does_not_know_is_bad_request_data(context):
    hosting = make()
    assert kind_of(lambda: run(hosting.add({"@context": context}, ""))) == ("BadRequestData", 400)
    assert hosting.list("") == []


def test_addresses_in_an_added_context_are_looked_at_when_it_is_used(tmp_path):
    hosting = make(map=mapped(tmp_path, one=LEVEL))
    entry = run(hosting.add({"@context": ["https://e.org/one", {"own": "urn:own"}]}, ""))
    assert hosting.list("", None, "Cached") == []
    terms = run(hosting.contexts.term_map(entry.url))
    assert (terms.expand("level"), terms.expand("own")) == ("https://e.org/v#level", "urn:own")
    assert hosting.list("", None, "Cached") == ["https://e.org/one"]
    assert hosting.serve("https://e.org/one", "", "true")["kind"] == "Cached"
    missing = run(hosting.add({"@context": "https://e.org/missing"}, ""))
    assert kind_of(lambda: run(hosting.contexts.term_map(missing.url))) == ("LdContextNotAvailable", 504)


def test_a_copy_is_described_but_its_content_is_to_be_had_at_its_own_address(tmp_path):
    hosting = make(map=mapped(tmp_path, one=LEVEL))
    run(hosting.contexts.term_map("https://e.org/one"))
    told = hosting.serve("https://e.org/one", "", "true")
    assert (told["URL"], told["localId"], told["kind"]) == ("https://e.org/one", "https://e.org/one", "Cached")
    assert kind_of(lambda: hosting.serve("https://e.org/one", "")) == ("OperationNotSupported", 422)


def test_lists_are_of_one_kind_or_of_all(tmp_path):
    hosting = make(map=mapped(tmp_path, one=LEVEL))
    hosted = run(hosting.add({"@context": LEVEL}, "")).url
    implicit = run(hosting.implicit([LEVEL, "https://e.org/one"], ""))
    run(hosting.contexts.term_map(implicit))
    assert hosting.list("") == [hosted, implicit, "https://e.org/one"]
    for kind, url in (("Hosted", hosted), ("ImplicitlyCreated", implicit), ("Cached", "https://e.org/one")):
        assert hosting.list("", "false", kind) == [url]
        assert [told["kind"] for told in hosting.list("", "true", kind)] == [kind]


@pytest.mark.parametrize(("details", "kind"), [("other", None), (None, "other"), ("true", "hosted"), ("TRUE", None)])
def test_a_list_of_another_kind_is_bad_request_data(details, kind):
    assert kind_of(lambda: make().list("", details, kind)) == ("BadRequestData", 400)


def test_uses_and_being_given_out_are_counted():
    hosting = make()
    entry = run(hosting.add({"@context": LEVEL}, ""))
    assert "lastUsage" not in hosting.list("", "true")[0]

    async def use(count: int) -> None:
        for _ in range(count):
            await hosting.contexts.term_map(entry.url)

    counts = [hosting.serve("id-1", "", "true")["numberOfHits"]]
    run(use(1))
    counts += [hosting.serve("id-1", "", "true")["numberOfHits"]]
    run(use(3))
    counts += [hosting.list("", "true")[0]["numberOfHits"]]
    assert counts == [0, 2, 6]
    assert times.is_datetime(hosting.list("", "true")[0]["lastUsage"])


def test_a_context_written_inside_a_request_has_one_address():
    hosting = make()
    first = run(hosting.implicit([LEVEL, {"b": "urn:b"}], ""))
    assert run(hosting.implicit([LEVEL, {"b": "urn:b"}], "")) == first
    assert run(hosting.implicit([LEVEL, {"b": "urn:c"}], "")) != first
    assert run(hosting.implicit([LEVEL, {"b": "urn:b"}], "town")) != first
    assert run(hosting.implicit([LEVEL, {"b": "urn:b"}], "", fresh=True)) != first
    assert run(hosting.implicit("https://e.org/c", "")) == run(hosting.implicit(["https://e.org/c"], "")) == "https://e.org/c"
    assert run(hosting.contexts.term_map(first)).expand("b") == "urn:b"
    assert kind_of(lambda: run(hosting.delete(first, "", "true"))) == ("BadRequestData", 400)
    run(hosting.delete(first.rpartition("/")[2], ""))
    assert kind_of(lambda: hosting.serve(first, "")) == ("ResourceNotFound", 404)


def test_of_contexts_written_inside_of_requests_those_used_longest_ago_go_where_there_are_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kiban.linkage.broker.hosting.MAX_PASSING", 10)
    clock = itertools.count(1)
    monkeypatch.setattr("kiban.linkage.broker.contexts.time", lambda: float(next(clock)))
    hosting = Hosting(MemoryShelf(), URL)
    added = run(hosting.add({"@context": LEVEL}, "")).url
    owned = [run(hosting.implicit({"own": f"urn:own:{number}"}, "", fresh=True)) for number in range(20)]
    used = run(hosting.implicit({"a": "urn:a"}, ""))
    for number in range(95):
        run(hosting.implicit({"a": f"urn:a:{number}"}, ""))
        run(hosting.contexts.term_map(used))
    kept = hosting.list("", None, "ImplicitlyCreated")
    assert set(owned) <= set(kept)
    assert len(kept) <= 20 + 10
    assert used in kept
    assert run(hosting.implicit({"a": "urn:a:94"}, "")) in kept
    assert added in hosting.list("")
    gone = run(hosting.implicit({"a": "urn:a:0"}, ""))
    assert gone not in kept
    assert hosting.serve(gone, "") == {"@context": {"a": "urn:a:0"}}


def test_a_hosted_context_is_absent_for_other_tenants_and_a_copy_is_there_for_all(tmp_path):
    hosting = make(map=mapped(tmp_path, one=LEVEL))
    entry = run(hosting.add({"@context": LEVEL}, "east"))
    run(hosting.contexts.term_map(entry.url, "east"))
    run(hosting.contexts.term_map("https://e.org/one", "east"))
    for other in ("west", ""):
        assert hosting.list(other) == ["https://e.org/one"]
        for details in (None, "true"):
            assert kind_of(lambda other=other, details=details: hosting.serve(entry.id, other, details)) == ("ResourceNotFound", 404)
        assert kind_of(lambda other=other: run(hosting.delete(entry.id, other))) == ("ResourceNotFound", 404)
        assert kind_of(lambda other=other: run(hosting.contexts.term_map(entry.url, other))) == ("LdContextNotAvailable", 504)
    default = run(hosting.add({"@context": LEVEL}, ""))
    assert default.url not in hosting.list("east")
    assert hosting.serve(entry.id, "east") == {"@context": LEVEL}


@pytest.mark.parametrize(
    ("id", "reload", "answer"),
    [
        ("nobody", None, ("ResourceNotFound", 404)),
        ("nobody", "false", ("ResourceNotFound", 404)),
        ("nobody", "true", ("BadRequestData", 400)),
        ("nobody", "xxx", ("BadRequestData", 400)),
        ("1234567890123456", None, ("ResourceNotFound", 404)),
        ("id-1", "true", ("BadRequestData", 400)),
        (CORE_URL, None, ("BadRequestData", 400)),
        (CORE_URL, "false", ("BadRequestData", 400)),
        (CORE_URL.replace("v1.9", "v1.6"), None, ("BadRequestData", 400)),
    ],
)
def test_what_cannot_be_removed_or_loaded_anew_is_refused(id, reload, answer):
    hosting = make()
    run(hosting.add({"@context": LEVEL}, ""))
    assert kind_of(lambda: run(hosting.delete(id, "", reload))) == answer
    assert hosting.list("") == [URL + PATH + "id-1"]


def test_the_core_context_is_given_out_and_is_there_after_it_was_loaded_anew():
    hosting = make()
    for url in (CORE_URL, CORE_URL.replace("v1.9", "v1.6")):
        assert hosting.serve(url, "town") == core_document()
        assert hosting.serve(url, "town", "true")["kind"] == "Cached"
        run(hosting.delete(url, "town", "true"))
        assert hosting.serve(url, "town", "true")["kind"] == "Cached"


def test_a_copy_that_cannot_be_had_anew_stays_as_it_was(tmp_path):
    map = mapped(tmp_path, one=LEVEL)
    hosting = make(map=map)
    run(hosting.contexts.term_map("https://e.org/one"))
    for broken, kind in ((None, "LdContextNotAvailable"), ("no json", "BadRequestData"), ('{"@context": 7}', "BadRequestData")):
        map["https://e.org/one"].unlink() if broken is None else map["https://e.org/one"].write_text(broken)
        assert kind_of(lambda: run(hosting.delete("https://e.org/one", "", "true")))[0] == kind
        assert hosting.serve("https://e.org/one", "", "true")["kind"] == "Cached"
        assert run(hosting.contexts.term_map("https://e.org/one")).expand("level") == "https://e.org/v#level"
    run(hosting.delete("https://e.org/one", ""))
    assert kind_of(lambda: hosting.serve("https://e.org/one", "", "true")) == ("ResourceNotFound", 404)


def test_a_copy_that_is_loaded_anew_has_the_new_content_and_its_count(tmp_path):
    hosting = make(map=mapped(tmp_path, one=LEVEL))
    run(hosting.contexts.term_map(["https://e.org/one", {"b": "urn:b"}]))
    mapped(tmp_path, one={"level": "https://e.org/v#newLevel"})
    assert run(hosting.contexts.term_map(["https://e.org/one", {"b": "urn:b"}])).expand("level") == "https://e.org/v#level"
    run(hosting.delete("https://e.org/one", "", "true"))
    assert run(hosting.contexts.term_map(["https://e.org/one", {"b": "urn:b"}])).expand("level") == "https://e.org/v#newLevel"
    assert hosting.list("", "true")[0]["numberOfHits"] == 3


def test_contexts_outlast_the_process_and_other_processes_see_changes(tmp_path):
    async def scene() -> None:
        store = open_store(str(tmp_path / "broker.db"))
        first, second = Hosting(StoreShelf(store), URL), Hosting(StoreShelf(store), URL)
        entry = await first.add({"@context": LEVEL}, "town")
        assert (await second.contexts.term_map(entry.url, "town")).expand("level") == "https://e.org/v#level"
        await first.keep("https://e.org/one", LEVEL)
        assert second.list("town") == [entry.url, "https://e.org/one"]
        await first.delete(entry.id, "town")
        assert second.contexts.known(entry.url, "town") is not None
        second.refresh()
        assert second.contexts.known(entry.url, "town") is None
        assert second.list("town") == ["https://e.org/one"]
        await store.close()
        store = open_store(str(tmp_path / "broker.db"))
        again = Hosting.open(store, URL)
        assert again.list("elsewhere") == ["https://e.org/one"]
        assert (await again.contexts.term_map("https://e.org/one")).expand("level") == "https://e.org/v#level"
        await store.close()

    run(scene())


@contextmanager
def server(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """A web server on this machine that gives the answers by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_address[1]}"
        finally:
            web.shutdown()
            thread.join()


def test_a_fetched_context_is_kept_and_what_cannot_be_fetched_is_said():
    answers = {
        "/c": (200, {}, json.dumps({"@context": LEVEL}).encode()),
        "/moved": (302, {"Location": "/c"}, b""),
        "/round": (302, {"Location": "/round"}, b""),
        "/inside": (302, {"Location": "http://10.0.0.1/"}, b""),
        "/large": (200, {}, b" " * 5000),
        "/broken": (200, {}, b"{"),
        "/error": (500, {}, b""),
    }
    expected = {
        "/round": ("LdContextNotAvailable", "redirects"),
        "/inside": ("LdContextNotAvailable", "10.0.0.1"),
        "/large": ("BadRequestData", "more than"),
        "/broken": ("BadRequestData", "no JSON"),
        "/error": ("LdContextNotAvailable", "500"),
        "/gone": ("LdContextNotAvailable", "404"),
    }
    with server(answers) as base:
        hosting = make(fetch=fetcher(Guard.of(loopback=True), limit=4000))
        for path in ("/c", "/moved"):
            assert run(hosting.contexts.term_map(base + path)).expand("level") == "https://e.org/v#level"
        for path, (kind, word) in expected.items():
            with pytest.raises(Problem, match=word) as caught:
                run(hosting.contexts.term_map(base + path))
            assert caught.value.kind == kind
        assert hosting.list("", None, "Cached") == [base + "/c", base + "/moved"]
        closed = make(fetch=fetcher(Guard.of(loopback=False)))
        with pytest.raises(Problem, match="--allow-endpoint"):
            run(closed.contexts.term_map(base + "/c"))
    # The server has gone: what was fetched stays, and loading it anew says why it fails.
    assert run(hosting.contexts.term_map([base + "/c", {"b": "urn:b"}])).expand("level") == "https://e.org/v#level"
    assert kind_of(lambda: run(hosting.delete(base + "/c", "", "true")))[0] == "LdContextNotAvailable"
    assert hosting.serve(base + "/c", "", "true")["kind"] == "Cached"


def test_a_server_that_does_not_answer_in_time_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as quiet, pytest.raises(Problem, match="no answer within"):
        run(fetcher(Guard.of(loopback=True), seconds=0.1)(f"http://127.0.0.1:{quiet.getsockname()[1]}/c"))
