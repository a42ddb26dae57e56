"""Files into a broker and out of it: nothing is lost, what is refused is told with its line, memory stays small."""

from __future__ import annotations

import argparse
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.base.errors import KibanError
from kiban.linkage.broker import exchange
from kiban.linkage.broker.exchange import Broker, Reject, Row, bring_in, from_orion, pages, read, read_geojson, read_ndjson, read_orion, take_out

SHELTER = {"id": "urn:ngsi-ld:Shelter:1", "type": "Shelter", "name": {"type": "Property", "value": "体育館"}}


def lines(*bodies: Any) -> io.BytesIO:
    return io.BytesIO(b"".join((one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode()) + b"\n" for one in bodies))


def told(rows: Any) -> list[tuple[int, str]]:
    return [(row.line, row.reason if isinstance(row, Reject) else row.entity["id"]) for row in rows]


class Taking:
    """Keeps what it is given; refuses ids that hold the word bad."""

    def __init__(self) -> None:
        self.batches: list[list[Row]] = []
        self.lock = threading.Lock()

    def __call__(self, rows: list[Row]) -> list[Reject]:
        with self.lock:
            self.batches.append(rows)
        return [Reject(row.line, row.raw, "bad name") for row in rows if "bad" in row.entity["id"]]

    @property
    def rows(self) -> list[Row]:
        return [row for batch in self.batches for row in batch]


def test_each_line_is_an_entity_or_a_reject_with_its_line():
    rows = told(read_ndjson(lines(SHELTER, b"", b"{nonsense", [1], {"type": "Shelter"}, b"\xff\xfe", {**SHELTER, "@context": "http://x/c"})))
    assert [line for line, _ in rows] == [1, 3, 4, 5, 6, 7]
    assert rows[0][1] == rows[-1][1] == "urn:ngsi-ld:Shelter:1"
    assert "not JSON" in rows[1][1]
    assert rows[2][1] == "not a JSON object"
    assert rows[3][1] == "no id"
    assert "not JSON" in rows[4][1]


def test_a_file_that_begins_with_a_byte_order_mark_is_read():
    assert told(read_ndjson(io.BytesIO(b"\xef\xbb\xbf" + json.dumps(SHELTER).encode()))) == [(1, SHELTER["id"])]


def test_a_line_that_is_too_long_is_a_reject_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "LONGEST", 200)
    rows = list(read_ndjson(lines({"id": "urn:a", "text": "x" * 1000}, SHELTER)))
    assert isinstance(rows[0], Reject)
    assert told(rows)[1] == (2, SHELTER["id"])


def test_a_batch_has_one_kind_and_never_an_id_twice_and_the_later_line_wins():
    taking = Taking()
    bodies = [{**SHELTER, "id": f"urn:s:{k % 7}", "n": k} for k in range(50)]
    outcome = bring_in(read_ndjson(lines(*bodies, {**SHELTER, "@context": "http://x/c"})), taking)
    assert (outcome.taken, outcome.rejected, outcome.last_line) == (51, 0, 51)
    for batch in taking.batches:
        assert len({row.kind for row in batch}) == 1
        assert len({row.entity["id"] for row in batch}) == len(batch)
    last = {row.entity["id"]: row.entity.get("n") for row in taking.rows}
    assert [last[f"urn:s:{k}"] for k in range(7)] == [49, 43, 44, 45, 46, 47, 48]


@given(st.lists(st.sampled_from(["good", "bad", "broken", "empty"]), max_size=60))
def test_every_entity_of_the_input_is_taken_or_rejected_and_rejects_can_be_read_in_again(kinds: list[str]):
    def body(kind: str, k: int) -> Any:
        return {**SHELTER, "id": f"urn:{kind}:{k}"} if kind in ("good", "bad") else b'{"id":' if kind == "broken" else b""

    rejects = io.BytesIO()
    taking = Taking()
    outcome = bring_in(read_ndjson(lines(*(body(kind, k) for k, kind in enumerate(kinds)))), taking, rejects)
    refused = [json.loads(line) for line in rejects.getvalue().splitlines()]
    assert sorted(one["line"] for one in refused) == [k + 1 for k, kind in enumerate(kinds) if kind in ("bad", "broken")]
    assert outcome.taken == kinds.count("good")
    assert outcome.rejected == len(refused)
    assert all(one["reason"] for one in refused)
    again = Taking()
    bring_in(read_ndjson(io.BytesIO("\n".join(one["text"] for one in refused).encode())), again)
    assert len(again.rows) == kinds.count("bad")


def test_a_sender_that_gives_up_names_the_line_to_go_on_from_and_nothing_is_lost_when_one_does():
    seen: set[str] = set()

    def failing(rows: list[Row]) -> list[Reject]:
        if any(row.line == 450 for row in rows) and "urn:s:449" not in seen:
            seen.add("urn:s:449")
            raise KibanError("broker", "gone")
        seen.update(row.entity["id"] for row in rows)
        return []

    text = lines(*({**SHELTER, "id": f"urn:s:{k}"} for k in range(1000))).getvalue()
    with pytest.raises(KibanError, match=r"--from-line (\d+)") as error:
        bring_in(read_ndjson(io.BytesIO(text)), failing, flying=2)
    line = int(str(error.value).rpartition(" ")[2])
    assert 1 < line <= 450
    bring_in(read_ndjson(io.BytesIO(text)), failing, from_line=line)
    assert len(seen) == 1000


FOREIGN = {
    "type": "FeatureCollection", "name": "features", "crs": {"features": [1, {"a": "}]"}]},
    "features": [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [135.1, 35.2]}, "properties": {"no": 1, "名称": "第一小学校 \"]}{", "empty": None}},
        {"type": "Feature", "id": 7, "geometry": None, "properties": {"type": "学校", "id": "B-7"}},
        {"type": "Feature", "geometry": None, "properties": {}},
        {"type": "Point", "coordinates": [1, 2]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 16])
@pytest.mark.parametrize("indent", [None, 2])
def test_features_of_any_origin_become_entities(monkeypatch: pytest.MonkeyPatch, piece: int, indent: int | None):
    monkeypatch.setattr(exchange, "PIECE", piece)
    rows = list(read_geojson(io.BytesIO(json.dumps(FOREIGN, ensure_ascii=False, indent=indent).encode()), "Shelter", "no"))
    first, second, third, fourth = rows
    assert isinstance(first, Row)
    assert first.entity == {
        "id": "urn:ngsi-ld:Shelter:1", "type": "Shelter", "no": {"type": "Property", "value": 1}, "名称": {"type": "Property", "value": '第一小学校 "]}{'},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [135.1, 35.2]}},
    }  # fmt: skip
    assert isinstance(second, Row)
    assert second.entity == {
        "id": "urn:ngsi-ld:Shelter:7", "type": "Shelter",
        "featureType": {"type": "Property", "value": "学校"}, "featureId": {"type": "Property", "value": "B-7"},
    }  # fmt: skip
    assert isinstance(third, Reject)
    assert "no id" in third.reason
    assert isinstance(fourth, Reject)
    assert "not Feature" in fourth.reason


def test_a_feature_that_is_not_json_harms_no_other_and_has_its_line():
    good = b'{"type":"Feature","id":"%s","properties":{}}'
    text = b'{"features":[\n' + good % b"a" + b",\n{x: nonsense},\n\n" + good % b"b" + b"\n]}"
    assert [(line, what[:8]) for line, what in told(read_geojson(io.BytesIO(text), "T"))] == [(2, "urn:ngsi"), (3, "not JSON"), (5, "urn:ngsi")]


@pytest.mark.parametrize("text", [b"", b"{}", b'{"type":"FeatureCollection"}', b'{"features":[{"type":"Feature","id":"a",', b'{"features":[', b"[1]"])
def test_a_file_without_a_whole_list_of_features_is_told(text: bytes):
    rows = list(read_geojson(io.BytesIO(text), "T"))
    assert rows
    assert isinstance(rows[-1], Reject)


ORION = {
    "_id": {"id": "Room1", "type": "Room", "servicePath": "/school/east"},
    "attrNames": ["temperature", "air.quality", "seen", "box", "none"],
    "attrs": {
        "temperature": {"type": "Number", "value": {"$numberDouble": "21.5"}, "mdNames": ["unit.code", "at"], "creDate": 1700000000.5, "modDate": 1700000001,
                        "md": {"unit=code": {"type": "Text", "value": "CEL"}, "at": {"type": "DateTime", "value": 1700000000.25}}},
        "air=quality": {"type": "StructuredValue", "value": {"pm2=5": {"$numberInt": "12"}, "list": [{"a=b": None}]}, "mdNames": []},
        "seen": {"type": "DateTime", "value": {"$numberLong": "1700000000"}, "mdNames": []},
        "box": {"type": "geo:point", "value": "35.2, 135.1", "mdNames": []},
        "none": {"type": "None", "value": None, "mdNames": []},
    },
    "creDate": 1700000000.5, "modDate": 1700000001, "location": {"attrName": "box", "coords": {"type": "Point", "coordinates": [135.1, 35.2]}},
    "expDate": {"$date": "2027-01-01T00:00:00Z"}, "lastCorrelator": "x",
}  # fmt: skip


def test_a_document_of_an_orion_becomes_the_entity_that_the_orion_would_give_out():
    assert from_orion(ORION) == (
        {
            "id": "Room1", "type": "Room",
            "temperature": {"type": "Number", "value": 21.5, "metadata": {
                "unit.code": {"type": "Text", "value": "CEL"}, "at": {"type": "DateTime", "value": "2023-11-14T22:13:20.250Z"}}},
            "air.quality": {"type": "StructuredValue", "value": {"pm2.5": 12, "list": [{"a.b": None}]}, "metadata": {}},
            "seen": {"type": "DateTime", "value": "2023-11-14T22:13:20.000Z", "metadata": {}},
            "box": {"type": "geo:point", "value": "35.2, 135.1", "metadata": {}},
            "none": {"type": "None", "value": None, "metadata": {}},
            "dateExpires": {"type": "DateTime", "value": "2027-01-01T00:00:00.000Z", "metadata": {}},
        },
        "/school/east",
    )  # fmt: skip


def test_lines_of_an_orion_that_are_no_entities_are_told():
    old = {"_id": {"id": "E", "type": "T"}, "attrNames": ["A"], "attrs": {"A()ID1": {"type": "T", "value": 1}}}
    rows = told(read_orion(lines(ORION, {"_id": 3}, old, {"_id": {"id": "E"}, "attrs": [1]}, b"junk")))
    assert [line for line, _ in rows] == [1, 2, 3, 4, 5]
    assert rows[0][1] == "Room1"
    assert "_id.id" in rows[1][1]
    assert "NGSIv1 ID" in rows[2][1]
    assert "before 0.15" in rows[3][1]
    assert "not JSON" in rows[4][1]


def test_rows_of_another_service_path_go_in_another_batch():
    taking = Taking()
    documents = [{"_id": {"id": f"E{k}", "type": "T", "servicePath": path}, "attrs": {}} for k, path in enumerate(["/a", "/a", "/b", "/a"])]
    bring_in(read_orion(lines(*documents)), taking)
    assert sorted([row.path for row in batch] for batch in taking.batches) == [["/a"], ["/a", "/a"], ["/b"]]


names = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
)
entities = st.builds(
    lambda number, attrs, lon: {
        "id": f"urn:x:{number}", "type": "T", **{f"a{name}": {"type": "Property", "value": value} for name, value in attrs.items()},
        **({} if lon is None else {"location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 35]}}}),
    },
    st.integers(0, 10**6), st.dictionaries(names, values, max_size=4), st.none() | st.integers(-180, 180),
)  # fmt: skip


@given(st.lists(entities, max_size=6), st.sampled_from(["ndjson", "geojson"]), st.sampled_from(["", "http://x/c.jsonld"]))
def test_what_is_written_out_is_read_in_as_it_was(rows: list[dict[str, Any]], format: str, context: str):
    out = io.BytesIO()
    assert take_out([rows], out, format, context=context) == len(rows)
    back = [row.entity for row in read(io.BytesIO(out.getvalue()), format) if isinstance(row, Row)]
    assert back == [{**row, "@context": context} if context else row for row in rows]


class Handler(BaseHTTPRequestHandler):
    """A broker of a few lines: upserts that know the word bad, pages with a Link to the next, NGSIv2 updates."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, Any]
    seen: list[tuple[str, dict[str, str]]]
    away: list[int]

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.away:
            self.answer(self.away.pop())
            return
        self.seen.append((self.path, dict(self.headers)))
        rows = body["entities"] if self.path == "/v2/op/update" else body
        if any("poison" in row["id"] for row in rows):
            self.answer(400, {"title": "Bad request", "detail": "poison"})
            return
        errors = [{"entityId": row["id"], "error": {"title": "No", "detail": "bad id"}} for row in rows if "bad" in row["id"]]
        self.kept.update({row["id"]: row for row in rows if "bad" not in row["id"]})
        self.answer(207, {"success": [], "errors": errors}) if errors else self.answer(204)

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        begin, limit = int(asked.get("offset", ["0"])[0]), int(asked["limit"][0])
        rows = [self.kept[id] for id in sorted(self.kept)]
        more = (
            {"Link": f'</ngsi-ld/v1/entities?local=true&limit={limit}&offset={begin + limit}>;rel="next";type="application/json"'}
            if begin + limit < len(rows)
            else {}
        )
        self.answer(200, rows[begin : begin + limit], **more)


@contextmanager
def a_broker(away: tuple[int, ...] = ()) -> Iterator[tuple[Broker, type[Handler]]]:
    handler = type("Own", (Handler,), {"kept": {}, "seen": [], "away": list(away)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    broker = Broker(f"http://127.0.0.1:{server.server_port}", context="http://x/c.jsonld", tenant="town", token="secret")
    try:
        yield broker, handler
    finally:
        broker.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_batch_with_bad_entities_brings_the_good_ones_in():
    bodies = [{**SHELTER, "id": f"urn:{'bad' if k == 30 else 'poison' if k in (3, 777) else 'good'}:{k}"} for k in range(1000)]
    rejects = io.BytesIO()
    with a_broker() as (broker, handler):
        outcome = bring_in(read_ndjson(lines(*bodies)), broker.send, rejects)
        assert (outcome.taken, outcome.rejected) == (997, 3)
        assert len(handler.kept) == 997
        assert handler.seen[0][1]["NGSILD-Tenant"] == "town"
        assert "http://x/c.jsonld" in handler.seen[0][1]["Link"]
    found = {one["line"]: one["reason"] for one in map(json.loads, rejects.getvalue().splitlines())}
    assert found == {4: "400: Bad request: poison", 31: "No: bad id", 778: "400: Bad request: poison"}


def test_an_orion_goes_in_by_ngsiv2_with_its_service_path():
    with a_broker() as (broker, handler):
        bring_in(read_orion(lines(ORION)), broker.send)
        [(path, headers)] = handler.seen
        assert (path, headers["Fiware-ServicePath"], headers["Fiware-Service"]) == ("/v2/op/update", "/school/east", "town")
        assert handler.kept["Room1"]["temperature"]["value"] == 21.5


def test_a_broker_that_is_away_for_a_moment_is_waited_for():
    with a_broker(away=(503,)) as (broker, handler):
        assert bring_in(read_ndjson(lines(SHELTER)), broker.send).taken == 1
        assert list(handler.kept) == [SHELTER["id"]]


def test_a_broker_that_does_not_come_back_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "PATIENCE", 0.0)
    with pytest.raises(KibanError, match="--from-line 1"):
        bring_in(read_ndjson(lines(SHELTER)), Broker("http://127.0.0.1:9").send)


def test_all_pages_come_out_and_go_in_elsewhere():
    with a_broker() as (broker, handler), a_broker() as (other, copy):
        bring_in(read_ndjson(lines(*({**SHELTER, "id": f"urn:s:{k}"} for k in range(25)))), broker.send)
        out = io.BytesIO()
        assert take_out(pages(broker, limit=10), out, "geojson", context="http://x/c.jsonld") == 25
        bring_in(read_geojson(io.BytesIO(out.getvalue())), other.send)
        assert copy.kept == {id: {**row, "@context": "http://x/c.jsonld"} for id, row in handler.kept.items()}


def test_a_long_file_needs_no_more_memory_than_a_short_one():
    import tracemalloc

    def text(many: int) -> Iterator[bytes]:
        yield b'{"type":"FeatureCollection","features":['
        for k in range(many):
            yield b'%s{"type":"Feature","id":"urn:x:%d","geometry":null,"properties":{"text":"%s"}}' % (b"," if k else b"", k, b"x" * 1000)
        yield b"]}"

    class Piecewise(io.RawIOBase):
        def __init__(self, many: int) -> None:
            self.parts = text(many)

        def read(self, _: int = -1) -> bytes:
            return next(self.parts, b"")

    def peak(many: int) -> int:
        tracemalloc.start()
        bring_in(read_geojson(Piecewise(many), "T"), lambda _: [])  # type: ignore[arg-type]
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    assert peak(8000) < 1.2 * peak(2500)


def test_the_commands_take_a_file_in_and_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    inward, outward = argparse.ArgumentParser(), argparse.ArgumentParser()
    exchange.add_import(inward)
    exchange.add_export(outward)
    file, copy = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    file.write_bytes(lines(SHELTER, {**SHELTER, "id": "urn:bad:2"}).getvalue())
    with a_broker() as (broker, _):
        assert exchange.run_import(inward.parse_args([broker.url, str(file)])) == 1
        assert "a.ndjson.rejects" in capsys.readouterr().out
        assert json.loads((tmp_path / "a.ndjson.rejects").read_bytes())["line"] == 2
        assert exchange.run_export(outward.parse_args([broker.url, "-o", str(copy)])) == 0
        assert json.loads(copy.read_bytes()) == SHELTER
        assert exchange.run_import(inward.parse_args([broker.url, str(copy)])) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ndjson", "a.ndjson.rejects", "b.ndjson"]
