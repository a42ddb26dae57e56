"""Plans and towns across an air gap in the browser: what was taken out of one server comes into another, what changed on the way is named, what people
wrote on both sides survives, and nothing of an attack is written."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from msgspec.structs import replace
from tests.web.people import open_office

from kiban.loop.carried import digest, from_csv, text_rows, to_csv, trimmed
from kiban.loop.carry import carry_out, zipped
from kiban.loop.files import read_inputs
from kiban.loop.folder import FILES
from kiban.loop.inputs import write_inputs
from kiban.records.funding import Inputs
from kiban.region import read
from kiban.store import Store, open_store
from kiban.web.making import Regions

OKUNOTO = Path(__file__).parents[2] / "examples" / "okunoto"
RECORDS = [name for name in FILES if name.endswith(".json") and name != "papers.json"]
KEY, OTHER = "qa.why-now", "qa.cost"
SCRIPT = "<script>alert(7)</script>"


class Site:
    """A server with its folders, and what a browser does with its pages."""

    def __init__(self, folder: Path, serve: Callable[..., str]) -> None:
        self.folder, self.plans, self.towns = folder, folder / "plans", folder / "regions"
        self.store: Store = open_store("", folder / "kiban.db")
        self.address = serve(self.plans, regions=Regions(self.towns), store=self.store, state=folder / "state", jobs=None)
        self.parts = urlsplit(self.address)

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(str(self.parts.hostname), self.parts.port, timeout=120)
        sent = {"Accept": "text/html", "Origin": self.address, **({"Content-Type": kind} if kind else {})}
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, content

    def get(self, path: str, status: int = 200) -> str:
        found, _, content = self.ask("GET", path)
        assert found == status, content.decode()[:1500]
        return said(content)

    def bring(self, *files: tuple[str, bytes], status: int = 303) -> str:
        """Send files; of a redirect the address, else the words of the page."""
        edge = "----edge"
        parts = [f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n" for name, content in files]
        found, headers, content = self.ask("POST", "/carry", b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}")
        assert found == status, content.decode()[:3000]
        assert SCRIPT not in content.decode()
        return headers["location"] if status == 303 else said(content)

    def post(self, path: str, status: int = 303, **fields: str) -> str:
        found, headers, content = self.ask("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")
        assert found == status, content.decode()[:3000]
        return headers["location"] if status == 303 else said(content)

    def writes(self, place: str, status: int = 303, **fields: str) -> str:
        """Confirm what the page of a preview shows."""
        page = self.ask("GET", place)[2].decode()
        state = re.search(r'name="state" value="([^"]*)"', page)
        assert state is not None, said(page.encode())
        return self.post(urlsplit(place).path + "/confirm", status, **{"state": state[1], **fields})

    def waiting(self) -> list[Path]:
        return sorted((self.folder / "state" / "carried").glob("*")) if (self.folder / "state" / "carried").is_dir() else []


def said(content: bytes) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", content.decode())))


@pytest.fixture
def here(tmp_path: Path, serve: Callable[..., str]) -> Iterator[Site]:
    """A server without a plan or a town."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "regions").mkdir()
    site = Site(tmp_path, serve)
    yield site
    site.store.close()


@pytest.fixture(autouse=True)
def _papers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiban.web.keeping.remake", lambda *_: None)  # they take some seconds; test_kept_pages looks at them


@pytest.fixture(scope="module")
def town() -> dict[str, bytes]:
    return carry_out(OKUNOTO).files


@pytest.fixture(scope="module")
def plan(example_folder: Path) -> dict[str, bytes]:
    return carry_out(example_folder).files


def with_words(example: Path, folder: Path, **words: str) -> dict[str, bytes]:
    """The plan as it is carried, when somebody has written passages over there."""
    there = Path(shutil.copytree(example, folder))
    write_inputs(there, Inputs(words={key.replace("_", "."): text for key, text in words.items()}))
    return carry_out(there).files


# --- there and back


def test_a_plan_and_its_town_come_from_one_server_into_an_empty_one(here: Site, example_folder: Path, tmp_path: Path, serve: Callable[..., str]) -> None:
    (tmp_path / "there").mkdir()
    shutil.copytree(OKUNOTO, tmp_path / "there" / "regions" / "okunoto")
    shutil.copytree(example_folder, tmp_path / "there" / "plans" / "okunoto")
    there = Site(tmp_path / "there", serve)
    assert "ほかの網へ運ぶ（csv・xlsx・pdf と目録）" in there.get("/plans/okunoto/papers")
    assert "ほかの網へ運ぶ" in there.get("/plans/okunoto/handover")
    assert "ほかの網へ運ぶ" in there.get("/towns/okunoto")
    status, headers, plan = there.ask("GET", "/plans/okunoto/carry.zip")
    assert (status, headers["content-type"]) == (200, "application/zip")
    assert headers["content-disposition"].startswith('attachment; filename="okunoto-carry.zip"')
    with zipfile.ZipFile(io.BytesIO(plan)) as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".csv", ".xlsx", ".pdf"}
    town = there.ask("GET", "/towns/okunoto/carry.zip")[2]
    there.store.close()

    place = here.bring(("okunoto-carry.zip", plan))
    page = here.get(place)
    assert "この計画はまだここにありません" in page
    assert "町「能登町(奥能登の例)」はここにありません" in page
    assert "最初の5年間の費用" in page
    assert not list(here.plans.iterdir()), "nothing is written before it is confirmed"
    done = here.get(here.writes(place))
    assert "計画を受け入れました" in done
    (made,) = here.plans.iterdir()
    for name in RECORDS:
        assert (made / name).read_bytes() == (example_folder / name).read_bytes(), name
    assert {path.name for path in made.rglob("*.*")} == {path.name for path in example_folder.rglob("*.*")}
    assert "地震で孤立した集落" in here.get(f"/plans/{made.name}")

    place = here.bring(("town.zip", town))
    assert "この町はまだここにありません" in here.get(place)
    assert "町を受け入れました" in here.get(here.writes(place))
    assert read(here.towns / "okunoto") == read(OKUNOTO)
    assert here.waiting() == [], "what was written does not wait any more"
    assert "変わるものはありません" in here.get(here.bring(("plan.zip", plan)))
    assert "変わるものはありません" in here.get(here.bring(("town.zip", town)))


def test_the_files_of_a_zip_can_come_one_by_one(here: Site, plan: Mapping[str, bytes]) -> None:
    assert "目録のとおり揃っています" in here.get(here.bring(*plan.items()))


def test_both_languages_say_what_came(here: Site, town: Mapping[str, bytes]) -> None:
    place = here.bring(("town.zip", zipped(town)))
    assert "This town is not here yet" in here.get(place.replace("lang=ja", "lang=en"))
    assert "Bring in what was carried" in here.get("/carry?lang=en")


# --- what changed on the way


def test_a_changed_cell_a_missing_and_an_extra_file_are_named(here: Site, town: dict[str, bytes]) -> None:
    files = {**town, "sites.csv": town["sites.csv"].replace(b"'37.308762", b"'37.308763", 1), "more.csv": b"a"}
    del files["places.csv"]
    page = here.bring(("town.zip", zipped(files)), status=422)
    assert "受け入れられません。何も書いていません。" in page
    assert "sites.csv 変わった 2行目「緯度」（shelter-kodomo-mirai）が「37.308763」になっています。" in page
    assert "places.csv ない" in page
    assert "more.csv 余分" in page
    assert not list(here.towns.iterdir())
    assert here.waiting() == []


def test_a_paper_that_was_built_again_is_said_and_hinders_nothing(here: Site, plan: dict[str, bytes]) -> None:
    page = here.get(here.bring(("plan.zip", zipped({**plan, "plan.pdf": plan["plan.pdf"] + b"\n% again"}))))
    assert "plan.pdf 作り直された" in page
    assert "書き込む" in page


# --- what is here already


def test_a_town_that_is_here_says_old_and_new_and_can_be_brought_back(here: Site, town: dict[str, bytes]) -> None:
    folder = Path(shutil.copytree(OKUNOTO, here.towns / "noto"))
    table = (folder / "sites.csv").read_text("utf-8-sig")
    first = next(line for line in table.splitlines() if line.startswith("shelter-ukawa"))
    (folder / "sites.csv").write_text(table.replace("37.308762", "37.308700").replace(first + "\n", ""), encoding="utf-8-sig")
    (folder / "N37E137.hgt").write_bytes(b"heights")
    place = here.bring(("town.zip", zipped(town)))
    page = here.get(place)
    assert "この町はここにもあります" in page
    assert "新しい行 1 · 変わる行 1" in page
    assert re.search(r"こどもみらいセンター 緯度: ここの今 37.308700 → 運ばれたもの 37.308762", page)
    assert "/sites/" not in page
    assert "N37E137.hgt" in page
    where = here.writes(place, why="県の更新")
    assert "町を受け入れました" in here.get(where)
    assert (folder / "sites.csv").read_bytes() == (OKUNOTO / "sites.csv").read_bytes()
    assert (folder / "N37E137.hgt").read_bytes() == b"heights"
    assert "追加 1・変更 1・削除 0・取り込まず 0 — 県の更新" in here.get("/towns/noto")
    here.post("/towns/noto/undo", number="1")
    assert "37.308700" in (folder / "sites.csv").read_text("utf-8-sig")


def test_what_somebody_changes_meanwhile_is_not_written_over(here: Site, town: dict[str, bytes]) -> None:
    folder = Path(shutil.copytree(OKUNOTO, here.towns / "okunoto"))
    facts = (folder / "facts.csv").read_bytes()
    (folder / "README.md").write_text("町の覚え書き", encoding="utf-8")
    place = here.bring(("town.zip", zipped(town)))
    state = re.search(r'name="state" value="([^"]*)"', here.ask("GET", place)[2].decode())
    assert state is not None
    (folder / "facts.csv").write_bytes(facts + b"island,yes,,2024,,,,,,\n")
    assert "別の人が変えました" in here.post(urlsplit(place).path + "/confirm", 409, state=state[1])
    assert (folder / "facts.csv").read_bytes() != facts


def test_a_town_of_another_id_with_the_same_code_is_said(here: Site, town: dict[str, bytes]) -> None:
    folder = Path(shutil.copytree(OKUNOTO, here.towns / "okunoto"))
    (folder / "region.yaml").write_text((folder / "region.yaml").read_text("utf-8").replace("id: okunoto", "id: noto-cho"), encoding="utf-8")
    page = here.get(here.bring(("town.zip", zipped(town))))
    assert "同じ団体コードの町「能登町(奥能登の例)」が、別の ID でここにあります" in page
    assert "「okunoto」という名前のフォルダには別のものがあるので、「okunoto-2」に入れます" in page


def test_two_texts_survive(here: Site, example_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(example_folder, here.plans / "okunoto"))
    page = here.ask("GET", "/plans/okunoto/papers/questions")[2].decode()
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    here.post("/plans/okunoto/papers/questions", key=KEY, text="ここの文", version=version[1])
    place = here.bring(("plan.zip", zipped(with_words(example_folder, tmp_path / "there", qa_why_now="x", **{KEY: "運ばれた文", OTHER: "増えた文"}))))
    page = here.get(place)
    assert "ここと運ばれた計画の両方で書かれた所が1件あります。どちらの文も残ります。" in page
    assert "ここの文" in page
    assert "運ばれた文" in page
    assert "増えた文" in page
    where = here.writes(place)
    assert "二つの文を見て選ぶ" in here.get(where)
    assert read_inputs(folder).words[KEY] == "ここの文"
    assert read_inputs(folder).words[OTHER] == "増えた文"
    draft = here.get("/plans/okunoto/drafts/1")
    assert "ここの文" in draft
    assert "運ばれた文" in draft
    assert "別の網から運ばれたものを受け入れた" in here.get("/plans/okunoto/history")
    choices = {f"c.words.{KEY}": "mine"} | {f"c.words.{name}": "now" for name in ("qa.why.now",)}
    here.post("/plans/okunoto/drafts/1", version="2", **choices)
    assert read_inputs(folder).words[KEY] == "運ばれた文"


def test_an_older_text_of_here_does_not_come_back_over_the_newer_one(here: Site, example_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(example_folder, here.plans / "okunoto"))
    here.post("/plans/okunoto/papers/questions", key=KEY, text="初めの文", version="0")
    here.post("/plans/okunoto/papers/questions", key=KEY, text="直した文", version="1")
    place = here.bring(("plan.zip", zipped(with_words(example_folder, tmp_path / "there", **{KEY: "初めの文"}))))
    assert "ここで前に書いていたもの（1件）" in here.get(place)
    assert read_inputs(folder).words == {KEY: "直した文"}


def test_a_plan_whose_folder_was_deleted_here_comes_back_with_what_was_written(here: Site, example_folder: Path, tmp_path: Path) -> None:
    files = with_words(example_folder, tmp_path / "there", **{KEY: "運ばれた文"})
    where = here.writes(here.bring(("plan.zip", zipped(files))), why="県から")
    name = re.findall(r"plan=([^&]*)", where)[0]
    assert "県から" in here.get(f"/plans/{name}/history")
    shutil.rmtree(here.plans / name)
    here.writes(here.bring(("plan.zip", zipped(files))))
    assert read_inputs(here.plans / name).words == {KEY: "運ばれた文"}
    assert "県から" in here.get(f"/plans/{name}/history")


def test_another_computation_of_a_plan_is_compared_and_the_older_records_are_kept(here: Site, plan: dict[str, bytes], example_folder: Path) -> None:
    folder = Path(shutil.copytree(example_folder, here.plans / "okunoto"))
    record = json.loads((folder / "plan.json").read_bytes())
    figure = next(step["body"]["cost_npv"] for step in record["steps"] if step["id"] == "design")
    record["figures"][figure]["value"] += 1_000_000
    record["made_on"] = "2026-11-30T00:00:00Z"
    (folder / "plan.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    place = here.bring(("plan.zip", zipped(plan)))
    page = here.get(place)
    assert "-1,000 " in page
    assert "ここの計画のほうが新しく作られています" in page
    here.writes(place)
    assert (folder / "plan.json").read_bytes() == (example_folder / "plan.json").read_bytes()
    (kept,) = (folder / "旧版").glob("*/plan.json")
    assert json.loads(kept.read_bytes()) == record


# --- leaving it


def test_it_can_be_left_and_is_forgotten_after_a_day(here: Site, town: dict[str, bytes]) -> None:
    place = here.bring(("town.zip", zipped(town)))
    assert "能登町(奥能登の例)" in here.get("/carry")
    assert "やめました" in here.get(here.post(urlsplit(place).path + "/drop"))
    assert "もうありません" in here.get(place, 404)
    place = here.bring(("town.zip", zipped(town)))
    (waiting,) = here.waiting()
    record = json.loads((waiting / "waiting.json").read_bytes())
    record["at"] = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    (waiting / "waiting.json").write_text(json.dumps(record), encoding="utf-8")
    assert "もうありません" in here.get(place, 404)
    here.bring(("town.zip", zipped(town)))
    assert waiting not in here.waiting()
    assert not list(here.towns.iterdir())


# --- attacks


def zip_of(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["../sites.csv", "/etc/evil.csv", "a/b/evil.csv", "..\\evil.csv", "evil.exe", "evil.docx", "evil.xlsm", f"{SCRIPT}.csv"])
def test_paths_and_other_types_are_refused_by_name(here: Site, town: dict[str, bytes], name: str) -> None:
    page = here.bring(("town.zip", zip_of({**town, name: b"x"})), status=422)
    assert "受け入れられません" in page
    assert name.rpartition("/")[2].replace("<script>", "").partition("alert")[0] in page
    assert not list(here.folder.rglob("evil*"))


def test_single_files_with_paths_in_their_names_are_refused(here: Site, town: dict[str, bytes]) -> None:
    page = here.bring(*town.items(), ("../../evil.csv", b"x"), status=422)
    assert "通さない" in page
    assert not list(here.folder.rglob("evil*"))


def test_a_zip_bomb_is_refused(here: Site, town: dict[str, bytes]) -> None:
    bomb = zip_of({**town, "bomb.csv": b"0" * 160_000_000})
    assert len(bomb) < 1_000_000
    assert "大きすぎます" in here.bring(("bomb.zip", bomb), status=422)
    assert "大きすぎます" in here.bring(("many.zip", zip_of({f"{number}.csv": b"" for number in range(600)})), status=422)


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", b"", b"not a zip at all"])
def test_what_is_no_zip_is_refused(here: Site, content: bytes) -> None:
    assert "zip として読めません" in here.bring(("a.zip", content), status=422)


def forged(files: Mapping[str, bytes], **changed: Mapping[str, str]) -> dict[str, bytes]:
    """Files whose manifest and checks fit again, by somebody who knows how: file → texts to replace in its rows; `path`: file → another path."""
    out = dict(files)
    rows = [row + [""] * (6 - len(row)) for row in from_csv(out["manifest.csv"], "m")]
    for name, changes in changed.get("rows", {}).items():
        table = [[changes[0] if cell == changes[1] else cell for cell in row] for row in from_csv(out[name], name)]
        out[name] = to_csv(table)
        row = next(row for row in rows if row[0] == name)
        row[4], row[5] = str(len(table)), digest(trimmed(table))
    for name, path in changed.get("path", {}).items():
        next(row for row in rows if row[0] == name)[2] = path
    if "id" in changed:
        rows[1][2] = changed["id"][""]
    rows[1][4] = str(len(rows) - 2)
    rows[1][5] = digest(trimmed(rows[2:]))
    return {**out, "manifest.csv": to_csv(rows)}


@pytest.mark.parametrize("path", ["../okunoto/sites.csv", "/tmp/evil.csv", ".ssh/evil.csv", "旧版/evil.csv", "evil.exe"])
def test_a_forged_manifest_writes_nowhere_else(here: Site, town: dict[str, bytes], path: str) -> None:
    page = here.bring(("town.zip", zipped(forged(town, path={"sites.csv": path}))), status=422)
    assert "目録が書き換えられています" in page
    assert not list(here.towns.iterdir())
    assert not list(here.folder.rglob("evil*"))


@pytest.mark.parametrize("id", ["../../evil", "evil", SCRIPT, ""])
def test_a_forged_name_of_a_town_or_plan_is_refused(here: Site, town: dict[str, bytes], plan: dict[str, bytes], id: str) -> None:
    for files in (town, plan):
        assert "目録の名前と中身が、別の計画か町です" in here.bring(("town.zip", zipped(forged(files, id={"": id}))), status=422)
    assert not list(here.folder.rglob("*evil*"))


def test_a_forged_record_is_refused_and_not_written(here: Site, plan: dict[str, bytes]) -> None:
    for row in ("served_sites", "verdict"):
        rows = from_csv(plan["plan.json.csv"], "p")
        old = next(cell for one in rows for cell in one if cell.endswith(f"/{row}") or cell == row)
        files = forged(plan, rows={"plan.json.csv": (old.replace(row, "nothing"), old)})
        assert "この版の kiban が読める記録ではありません" in here.bring(("plan.zip", zipped(files)), status=422), row
    assert not list(here.plans.iterdir())


def test_a_record_that_no_paper_can_be_made_of_is_not_written(here: Site, plan: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def papers(*_: object) -> dict[str, bytes]:
        raise KeyError("a passage that is not there")

    monkeypatch.setattr("kiban.loop.files.papers", papers)
    page = here.writes(here.bring(("plan.zip", zipped(plan))), 422)
    assert "書けませんでした。ここにあるものは元のままです。" in page
    assert not list(here.plans.iterdir())


LAUGHS = "name: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize("text", ["a: " + "[" * 5000, LAUGHS, "id: okunoto\n" + LAUGHS, "- a", "", "id: 1\nname: 2\nsources: 3"])
def test_a_forged_head_of_a_town_is_refused(here: Site, town: dict[str, bytes], text: str) -> None:
    files = forged({**town, "region.yaml.csv": to_csv(text_rows(text))}, rows={"region.yaml.csv": ("", "nothing")})
    assert "受け入れられません" in here.bring(("town.zip", zipped(files)), status=422)
    assert not list(here.towns.iterdir())


@pytest.mark.parametrize(
    "rows", [[["/type", "text", "FeatureCollection"], ["/features/#0/geometry/coordinates", "text", "x"]], [["/features", "number", "1"]], [[".", "null"]]]
)
def test_a_forged_map_of_a_town_is_refused(here: Site, town: dict[str, bytes], rows: list[list[str]]) -> None:
    table = to_csv([["path", "type", "value"], *rows])
    manifest = to_csv([*from_csv(town["manifest.csv"], "m"), ["boundary.geojson.csv", "json", "boundary.geojson", "0", "0", "x"]])
    fitting = forged({**town, "manifest.csv": manifest, "boundary.geojson.csv": table}, rows={"boundary.geojson.csv": ("", "nothing")})
    assert "受け入れられません" in here.bring(("town.zip", zipped(fitting)), status=422)
    assert not list(here.towns.iterdir())


def test_of_two_who_confirm_at_once_one_writes(here: Site, town: dict[str, bytes]) -> None:
    place = urlsplit(here.bring(("town.zip", zipped(town)))).path + "/confirm"
    with ThreadPoolExecutor(2) as pool:
        kind = "application/x-www-form-urlencoded"
        statuses = sorted(answer[0] for answer in pool.map(lambda _: here.ask("POST", place, b"state=&lang=ja", kind), range(2)))
    assert statuses == [303, 404]
    assert [path.name for path in here.towns.iterdir() if not path.name.startswith(".")] == ["okunoto"]


def test_the_log_says_who_took_out_and_brought_in(tmp_path: Path, serve: Callable[..., str]) -> None:
    shutil.copytree(OKUNOTO, tmp_path / "regions" / "okunoto")
    office = open_office(tmp_path, serve)
    editor, viewer = office.browser("tanaka"), office.browser("mori")
    assert viewer("/towns/okunoto/carry.zip").status == 200
    assert "「編集」の権限が必要" in viewer("/carry").text
    shutil.rmtree(tmp_path / "regions" / "okunoto")
    edge = "----edge"
    part = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="town.zip"\r\n\r\n'.encode()
    body = part + zipped(carry_out(OKUNOTO).files) + f"\r\n--{edge}--\r\n".encode()
    form = f"multipart/form-data; boundary={edge}"
    assert viewer("/carry", body, Content_Type=form).status == 403
    place = urlsplit(editor("/carry", body, Content_Type=form).place).path
    assert viewer(place).status == 403
    assert viewer(place + "/confirm", {"state": ""}).status == 403
    assert editor(place + "/confirm", {"state": ""}).status == 303
    rows = [(row.who, row.action, row.target, row.detail) for row in office.log.rows()]
    assert ("mori", "export", "towns/okunoto", "carry.zip: 8") in rows
    assert ("tanaka", "change", "towns/okunoto", "carried in: town.zip") in rows
    assert ("mori", "refused") in {row[:2] for row in rows}


def test_a_script_in_a_town_comes_out_as_text(here: Site, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OKUNOTO, tmp_path / "nasty"))
    for name in ("region.yaml", "sites.csv", "README.md"):
        (folder / name).write_text((folder / name).read_text("utf-8-sig").replace("能登", f"能登{SCRIPT}"), encoding="utf-8")
    place = here.bring((f"{SCRIPT}.zip", zipped(carry_out(folder).files)))
    for path in (place, "/carry", here.writes(place)):
        text = here.ask("GET", path)[2].decode()
        assert SCRIPT not in text, path
    shutil.copytree(OKUNOTO, here.towns / "okunoto", dirs_exist_ok=True)
    assert SCRIPT not in here.ask("GET", here.bring(("a.zip", zipped(carry_out(folder).files))))[2].decode()


def test_tokens_that_nobody_gave_open_nothing(here: Site) -> None:
    for token in ("x", "a" * 22, "..%2f..%2fetc", "%00"):
        here.get(f"/carry/{token}", 404)
        here.post(f"/carry/{token}/confirm", 404)
        here.post(f"/carry/{token}/drop", 404)


def test_a_plan_whose_papers_are_not_ready_or_damaged_does_not_go_out(here: Site, example_folder: Path) -> None:
    folder = Path(shutil.copytree(example_folder, here.plans / "okunoto"))
    write_inputs(folder, replace(read_inputs(folder), facts={"population": 8000}))
    assert "書類がまだ最新ではありません" in here.get("/plans/okunoto/carry.zip", 409)
