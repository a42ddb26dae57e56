"""Static files are asked for once and never stale; what a plan alone says is computed once, and again when it changes; a store is opened when it is needed."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from kiban.base.errors import StoreError
from kiban.loop.folder import read_folder
from kiban.store import Opening, Store, open_store
from kiban.web.assets import Assets
from kiban.web.map_data import map_data, trails


@pytest.fixture(scope="module")
def site(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> tuple[str, Path]:
    plans = tmp_path_factory.mktemp("speed") / "plans"
    shutil.copytree(example_folder, plans / "okunoto")
    return serve(plans), plans / "okunoto"


def ask(address: str, **headers: str) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(address, headers={name.replace("_", "-"): text for name, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_static_file_is_kept_for_a_year_under_the_address_that_a_page_names(site: tuple[str, Path]) -> None:
    address, _ = site
    page = ask(f"{address}/plans/okunoto/design")[2].decode()
    for path in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)):
        status, headers, content = ask(address + path, Accept_Encoding="gzip")
        plain = ask(address + path)[2]
        assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert (gzip.decompress(content) if headers["content-encoding"] == "gzip" else content) == plain
        assert ask(address + path, Accept_Encoding="gzip", If_None_Match=headers["etag"])[0] == 304


def test_an_address_from_before_an_update_still_answers_but_is_not_kept(site: tuple[str, Path]) -> None:
    address, _ = site
    status, headers, _ = ask(f"{address}/static/0123456789ab/plan.mjs")
    assert (status, headers["cache-control"], headers["content-type"]) == (200, "no-cache", "text/javascript; charset=utf-8")
    assert ask(f"{address}/static/0123456789ab/none.mjs")[0] == 404


def test_the_address_of_all_files_changes_with_a_byte_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a")
    first = Assets(tmp_path).url("a.css")
    (tmp_path / "a.css").write_text("b")
    assert Assets(tmp_path).url("a.css") != first


def test_the_map_shows_every_street_once_however_they_are_joined(example_folder: Path) -> None:
    raw = (example_folder / "design.geojson").read_bytes()
    features = json.loads(map_data(read_folder(example_folder).region, raw))["drawn"]["features"]
    given = [row["geometry"]["coordinates"] for row in json.loads(raw)["features"] if row["properties"]["part"] == "candidate"]
    [drawn] = [row["geometry"]["coordinates"] for row in features if row["properties"]["part"] == "candidate"]

    def pieces(lines: list[list[list[float]]]) -> list[list[tuple[float, ...]]]:
        rounded = [[tuple(round(number, 5) for number in point) for point in line] for line in lines]
        return sorted(sorted(ends) for line in rounded for ends in pairwise(line) if ends[0] != ends[1])

    assert pieces(drawn) == pieces(given)
    assert len(drawn) < len(given)
    assert trails([]) == []


def test_a_plan_that_changes_is_shown_as_it_is_now(site: tuple[str, Path]) -> None:
    address, folder = site
    plan = folder / "plan.json"
    before = plan.read_bytes()
    sentence = json.loads(before)["sentence"]
    for page in ("", "/design", "/money"):
        assert sentence in ask(f"{address}/plans/okunoto{page}?lang=ja")[2].decode()
    old = ask(f"{address}/plans/okunoto/map.json")[1]["etag"]
    plan.write_bytes(before.replace(sentence.encode(), "山の集落の通信".encode()))
    drawing = json.loads((folder / "design.geojson").read_bytes())
    (folder / "design.geojson").write_text(json.dumps({**drawing, "features": drawing["features"][:-1]}))
    for page in ("", "/design", "/money"):
        assert "山の集落の通信" in ask(f"{address}/plans/okunoto{page}?lang=ja")[2].decode()
    assert ask(f"{address}/plans/okunoto/map.json")[1]["etag"] != old
    assert ask(f"{address}/plans/okunoto/map.json", If_None_Match=old)[0] == 200


def test_a_store_is_opened_once_and_says_what_is_wrong_each_time(tmp_path: Path) -> None:
    opened: list[Path] = []

    def how() -> Store:
        opened.append(tmp_path)
        return open_store("", tmp_path / "kiban.db")

    store = cast("Store", Opening(how))
    assert opened == []
    assert store.list("plan") == store.list("job") == ()
    assert len(opened) == 1
    store.close()
    broken = Opening(lambda: open_store("mysql://root@db/kiban"))
    for _ in range(2):
        with pytest.raises(StoreError, match="KIBAN_DB"):
            broken.opened()


def test_the_pages_are_ready_before_solvers_and_databases_are_loaded() -> None:
    heavy = "import sys, kiban.web.app; print(*sorted({'numpy', 'numba', 'scipy', 'sqlalchemy', 'alembic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "", "import it inside the function that needs it: the server must answer within 1.5 s"
