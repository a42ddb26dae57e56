"""What attackers try, against every page and form that there is: new routes are found by themselves, and so are the fields of new forms."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from starlette.routing import Route
from tests.web.people import PASSWORD, Answer, Browser, Office, open_office

import kiban.web.app
from kiban.accounts import Sessions
from kiban.catalogue import Catalogue
from kiban.loop.files import write_folder
from kiban.loop.given import Given
from kiban.loop.plan import make_plan
from kiban.region import read
from kiban.web.accounts import AccountPages
from kiban.web.app import create_app
from kiban.web.signing_in import ENTRANCE, OPEN, OWN

WEB = Path(kiban.web.app.__file__).parent
SCRIPT = "<script>alert(7)</script>"
NASTY = f"""x"'>{SCRIPT}<img src=x onerror=alert(7)>{{{{7*7}}}}javascript:alert(7)"""
TRAVERSALS = [
    *("..%2f..%2fsecret.txt", "%2e%2e%2f%2e%2e%2fsecret.txt", "..%5c..%5csecret.txt", "..%252f..%252fsecret.txt", "%c0%ae%c0%ae%c0%afsecret.txt"),
    *("%2fetc%2fpasswd", "%00", "nasty%00.txt", "a%0d%0aSet-Cookie:%20a=b", ".", "~", "con", "a" * 3000),
]
SECRET = "the content of a file beside the plans"
REGION = f"""id: umiyama
name: '海山町{SCRIPT}'
lg_code: "174637"
sources:
  survey: {{title: '調べ{SCRIPT}', seen_on: 2026-11-23}}
"""
SITES = f"""id,kind,name,lat,lon,population,source
hall-east,shelter,"=HYPERLINK(""http://evil.example"")<img src=x onerror=alert(7)>",37.300,137.120,300,survey
hall-west,shelter,"'>{SCRIPT}",37.310,137.110,200,survey
"""
SENTENCE = f"地震で孤立した集落と避難所の通信を確保したい{SCRIPT}<img src=x onerror=alert(7)>"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str], shipped_catalogue: Catalogue) -> Office:
    """An office whose town and plan carry scripts and formulas in their names."""
    folder = tmp_path_factory.mktemp("attacked")
    town = folder / "regions" / "umiyama"
    town.mkdir(parents=True)
    (town / "region.yaml").write_text(REGION, encoding="utf-8")
    (town / "sites.csv").write_text(SITES, encoding="utf-8")
    (folder / "secret.txt").write_text(SECRET)
    region = read(town)
    made = make_plan(Given(sentence=SENTENCE, region=region, catalogue=shipped_catalogue, now=datetime(2026, 11, 23, tzinfo=UTC)))
    write_folder(made, region, shipped_catalogue, "ja", folder / "plans" / "nasty")
    office = open_office(folder, serve)
    office.accounts.add("kato", "加藤", "editor", PASSWORD, by="test")
    return office


@pytest.fixture(scope="module")
def routes(office: Office, shipped_catalogue: Catalogue) -> list[Route]:
    """Every route of the same application."""
    from kiban.jobs import Jobs
    from kiban.web.making import Regions

    regions = Regions(office.folder / "regions")
    jobs = Jobs(office.folder / "jobs", [], regions.folder, office.folder / "plans", str)
    app = create_app(office.folder / "plans", shipped_catalogue, "ja", ["127.0.0.1"], regions, jobs, office.store, office.signing, office.folder)
    return [route for route in app.routes if isinstance(route, Route)]


@pytest.fixture(scope="module")
def fields() -> list[str]:
    """The name of every field of a form and of every part of an address that the code of the pages reads."""
    named = re.compile(r'\bname="([\w.-]+)"')
    asked = re.compile(r'(?:query_params|query|form|typed)(?:\.get\(|\[)"([\w.-]+)"')
    found = {name for path in WEB.glob("templates/*.html") for name in named.findall(path.read_text(encoding="utf-8"))}
    found |= {name for path in WEB.glob("*.py") for name in asked.findall(path.read_text(encoding="utf-8"))}
    assert {"q", "sentence", "region", "lang", "next", "login", "password", "day"} <= found
    return sorted(found - {"viewport", "color-scheme", "htmx-config"})


@pytest.fixture
def people(office: Office) -> dict[str, Browser]:
    """One browser for each role."""
    office.later(minutes=1)
    return {role: office.browser(login) for login, role in (("sato", "approver"), ("tanaka", "editor"), ("mori", "viewer"))}


KNOWN = {
    **{"plan": "nasty", "login": "kato", "change": "role", "file": "plan.json", "region": "umiyama", "version": "1", "draft": "1"},
    **{"kind": "technologies", "ending": "docx", "folder": "庁内限り"},
}


def paths(route: Route, **given: str) -> str:
    """The path of a route with its blanks filled in."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: given.get(found[1], quote(KNOWN.get(found[1], "x"))), route.path)


def reading(routes: list[Route]) -> list[Route]:
    return [route for route in routes if "GET" in (route.methods or ())]


def changing(routes: list[Route]) -> list[Route]:
    found = [route for route in routes if "POST" in (route.methods or ())]
    assert len(found) > 5
    return found


class Reader(HTMLParser):
    """Notes every part of a page that would run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "script" and not str(given.get("src", "")).startswith("/static/") and given.get("type") not in ("application/json",):
            self.found.append(f"<script {given}>")
        if tag in ("iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            if name.startswith("on") or (
                name in ("href", "src", "action", "formaction") and re.match(r"\s*(javascript|data:text|vbscript)", value or "", re.I)
            ):
                self.found.append(f"<{tag} {name}={value!r}>")
            if name in ("src", "action") and (value or "").startswith(("http:", "https:", "//")):
                self.found.append(f"<{tag} {name}={value!r}>")


def harmless(answer: Answer, told: str) -> None:
    """Nothing of an answer runs, nothing of it is a file beside the plans, and the server did not stumble."""
    assert answer.status < 500, f"{told}: {answer.status} {answer.text[:2000]}"
    assert SECRET not in answer.text, told
    assert "root:x:0" not in answer.text, told
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert SCRIPT not in answer.text, told
        assert "49javascript" not in answer.text, told
        reader = Reader()
        reader.feed(answer.text)
        assert reader.found == [], told
    assert "a=b" not in answer.headers.get("set-cookie", ""), told
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
    place = answer.headers.get("location", "/")
    assert place.startswith("/"), told
    assert not place.startswith(("//", "/\\")), told
    assert not place.startswith("/sign-in"), told  # whoever is not signed in tests nothing


def state(office: Office) -> dict[str, str]:
    """What a change would change: the files of plans and regions, the jobs, the versions of the store."""
    with closing(sqlite3.connect(office.folder / "kiban.db")) as store:
        found = {f"{kind} {id}": str(version) for kind, id, version in store.execute("SELECT kind, id, max(version) FROM kiban_version GROUP BY kind, id")}
    for path in sorted(office.folder.rglob("*")):
        if path.is_file() and path.suffix != ".db" and ".db-" not in path.name and path.name != "audit-digests.csv":
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


# --- script, reflected and stored


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_a_script_in_any_field_of_an_address_comes_back_as_text(routes: list[Route], fields: list[str], people: dict[str, Browser], lang: str) -> None:
    everything = urlencode({**dict.fromkeys(fields, NASTY), "lang": lang})
    for route in reading(routes):
        for query in (everything, f"lang={lang}", urlencode({"lang": NASTY})):
            harmless(people["approver"](f"{paths(route)}?{query}"), f"{route.path}?{query[:40]}")


def test_a_script_in_any_part_of_a_path_comes_back_as_text(routes: list[Route], people: dict[str, Browser]) -> None:
    for route in routes:
        for blank in route.param_convertors:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                harmless(people["approver"](paths(route, **{blank: quote(NASTY, safe="")}), None if method == "GET" else {}, method), f"{route.path} {blank}")


def test_a_script_in_any_field_of_a_form_is_stored_and_reflected_as_text(
    office: Office, routes: list[Route], fields: list[str], people: dict[str, Browser]
) -> None:
    for route in changing(routes):
        if route.path == "/sign-out":
            continue
        office.later(minutes=1)
        harmless(people["approver"](paths(route, change="extend"), dict.fromkeys(fields, NASTY)), route.path)
        office.later(minutes=1)
        harmless(people["approver"](paths(route), {"region": "umiyama", "sentence": SENTENCE, "lang": "ja", "name": NASTY}), route.path)
    ask = office.browser("sato")
    ask("/accounts", {"login": "nasty", "name": NASTY[:60], "role": "viewer", "password": PASSWORD, "again": PASSWORD})
    assert "&lt;script&gt;" in ask("/accounts").text
    assert "&lt;script&gt;" in ask("/jobs").text
    for route in reading(routes):
        harmless(ask(paths(route)), f"{route.path} after all forms")
    harmless(office.browser("nasty")("/"), "a name in the head of a page")


class Forms(HTMLParser):
    """The links of a page, and its forms as they are: where they go, and each field with what stands in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, dict[str, str], list[str]]] = []  # action, fields, those that somebody types into
        self._form: tuple[str, dict[str, str], list[str]] | None = None
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attributes}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"])
        if tag == "form" and given.get("method", "").lower() == "post" and "multipart" not in given.get("enctype", ""):
            self._form = (given["action"], {}, [])
            self.forms.append(self._form)
        if self._form is None:
            return
        if tag == "textarea" or (tag == "input" and name and kind in ("text", "search", "password", "number", "date", "email", "tel", "url")):
            self._form[2].append(name)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._form[1].setdefault(self._select, given.get("value", ""))
        elif tag == "input" and name and (kind == "hidden" or (kind in ("radio", "checkbox") and name not in self._form[1])):
            self._form[1][name] = given.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        self._form = None if tag == "form" else self._form
        self._select = "" if tag == "select" else self._select


def crawled(ask: Browser, routes: list[Route], told: str, most: int = 2) -> dict[str, str]:
    """Pages that can be reached by links from the start, some for each route; all of them harmless."""
    pages: dict[str, str] = {}
    seen: dict[str, int] = {}
    waiting = ["/?lang=ja", "/plans/nasty?lang=ja", "/towns/umiyama?lang=ja", "/account?lang=ja", "/accounts?lang=ja"]
    while waiting:
        path = waiting.pop(0).partition("#")[0]
        route = next((one.path for one in reading(routes) if one.path_regex.match(urlsplit(path).path)), "")
        if path in pages or "lang=en" in path or seen.get(route, 0) >= most or not route:
            continue
        seen[route] = seen.get(route, 0) + 1
        answer = ask(path)
        harmless(answer, f"{path} {told}")
        pages[path] = answer.text if answer.headers.get("content-type", "").startswith("text/html") else ""
        waiting += Forms(pages[path]).links
    assert len(pages) > 10
    return pages


def test_a_script_typed_into_any_field_of_any_form_that_is_there_is_text_wherever_it_shows(office: Office, routes: list[Route]) -> None:
    office.later(minutes=1)
    ask = office.browser("sato")
    sent: set[tuple[str, tuple[str, ...]]] = set()
    for page, text in crawled(ask, routes, "before").items():
        for action, fields, typed in Forms(text).forms:
            where = next((route.path for route in changing(routes) if route.path_regex.match(urlsplit(action).path)), action)
            if (where, tuple(typed)) in sent or not typed or "password" in typed:
                continue
            sent.add((where, tuple(typed)))
            for one in dict.fromkeys(typed):  # each alone, too: one that is refused must not hide the others
                for form in ({**fields, **dict.fromkeys(typed, NASTY)}, {**fields, one: NASTY}):
                    office.later(seconds=5)
                    harmless(ask(action, form), f"{page} → {action} {one}")
    assert any(where.startswith("/plans/") for where, _ in sent)
    assert any(key.startswith("inputs nasty") for key in state(office))  # something was kept, not only refused
    crawled(ask, routes, "after all forms")


def test_what_goes_into_the_log_comes_out_as_text(office: Office) -> None:
    ask = office.browser("sato")
    ask("/cases?" + urlencode({"q": NASTY}))
    ask(f"/{quote(NASTY, safe='')}")
    ask("/cases", Host=f'"{SCRIPT}')
    page = ask("/audit")
    harmless(page, "the log")
    assert "&lt;script&gt;" in page.text


# --- files


@pytest.mark.parametrize("traversal", TRAVERSALS)
def test_no_path_leads_out_of_its_folder(routes: list[Route], people: dict[str, Browser], traversal: str) -> None:
    for route in routes:
        for blank in route.param_convertors:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                answer = people["approver"](paths(route, **{blank: traversal}), None if method == "GET" else {}, method)
                harmless(answer, f"{route.path} {traversal}")
    for path in (f"/static/{traversal}", f"/plans/nasty/files/{traversal}", f"/{traversal}"):
        harmless(people["approver"](path), path)


def test_a_request_for_a_file_outside_is_in_the_log(office: Office) -> None:
    office.later(minutes=1)
    ask = office.browser("tanaka")
    assert ask("/plans/nasty/files/..%2f..%2fsecret.txt").status == 404
    row = office.refused()[0]
    assert (row.who, row.target) == ("tanaka", "/plans/nasty/files/../../secret.txt")


def packed(name: str, size: int) -> bytes:
    """A zip file of one long name that unpacks to much more than it weighs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(name, b"0" * size)
    return file.getvalue()


ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
UPLOADS = {
    "a script as its name": (f"{SCRIPT}.csv", b"id,name\r\n1,<script>alert(7)</script>\r\n"),
    "a path as its name": ("../../../../tmp/evil.csv", b"id,name\r\n"),
    "a zip that unpacks to a hundred times its size": ("a.xlsx", packed("xl/workbook.xml", 60_000_000)),
    "a path inside a zip": ("a.zip", packed("../../evil.txt", 10)),
    "entities": ("a.geojson", ENTITIES),
    "a formula": ("a.csv", b"=cmd|' /C calc'!A0,name\r\n=1+1,@SUM(A1)\r\n"),
    "bytes of nothing": ("a.xlsx", bytes(range(256)) * 40),
    "no name": ("", b""),
}


@pytest.mark.parametrize("upload", UPLOADS)
def test_a_hostile_upload_is_refused_or_shown_as_text(office: Office, routes: list[Route], fields: list[str], people: dict[str, Browser], upload: str) -> None:
    name, content = UPLOADS[upload]
    mark = "----kiban"
    uploads = sorted({"file", "files", *(field for field in fields if "file" in field)})
    parts = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'.encode() + content + b"\r\n"
        for field in uploads[:3]
    )
    body = parts + f"--{mark}--\r\n".encode()
    for route in changing(routes):
        if route.path == "/sign-out":
            continue
        office.later(minutes=1)
        answer = people["editor"](paths(route), body, Content_Type=f"multipart/form-data; boundary={mark}")
        harmless(answer, f"{route.path}: {upload}")
        token = urlsplit(answer.place).path.rpartition("/")[2] if answer.status == 303 else ""
        for other in reading(routes) if token else ():  # what became of the file
            if "{token}" in other.path:
                harmless(people["editor"](paths(other, token=token)), f"{other.path} after {route.path}: {upload}")
    assert not list(office.folder.rglob("evil*"))
    assert not Path("/tmp/evil.csv").exists()


# --- who may not


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "https://127.0.0.1.evil.example"])
def test_a_form_of_another_site_changes_nothing_anywhere(office: Office, routes: list[Route], people: dict[str, Browser], origin: str) -> None:
    office.later(minutes=5)
    before = state(office)
    for route in changing(routes):
        answer = people["approver"](paths(route), {"region": "umiyama", "sentence": "別の文", "role": "viewer"}, Origin=origin)
        assert answer.status == 403, route.path
    assert state(office) == before
    assert people["approver"]("/").status == 200  # not even signed out
    assert office.refused()[0].action == "refused"


def test_a_viewer_changes_nothing_anywhere(office: Office, routes: list[Route], people: dict[str, Browser]) -> None:
    before = state(office)
    for route in changing(routes):
        office.later(minutes=1)
        if route.path in (*OWN, *ENTRANCE):
            continue
        answer = people["viewer"](paths(route), {"region": "umiyama", "sentence": "別の文", "role": "approver"})
        assert answer.status == 403, route.path
        assert (office.refused()[0].who, office.refused()[0].target) == ("mori", paths(route))
    assert state(office) == before


def test_an_editor_does_nothing_of_an_approver(office: Office, routes: list[Route], people: dict[str, Browser]) -> None:
    office.later(minutes=1)
    before = state(office)
    own = {(route.path, tuple(sorted(route.methods or ()))) for route in AccountPages.routes(AccountPages(office.signing, None, None))}  # type: ignore[arg-type]
    for route in routes:
        if (route.path, tuple(sorted(route.methods or ()))) not in own or route.path in (*OWN, *ENTRANCE):
            continue
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        assert people["editor"](paths(route), {"role": "approver"} if method == "POST" else None).status == 403, route.path
    assert state(office) == before


def test_nobody_sees_anything_without_signing_in(office: Office, routes: list[Route]) -> None:
    ask = office.browser()
    for route in reading(routes):
        path = paths(route)
        if path.startswith(OPEN) or path in ENTRANCE:
            continue
        page = ask(path)
        assert (page.status, urlsplit(page.place).path) == (303, "/sign-in"), path
        assert ask(path, Accept="application/json").status == 401
        assert ask(path, method="HEAD").status == 303
        for other in ("//sign-in/..", "/%2e%2e", "/./"):
            assert ask(other + path).status in (303, 400, 404), path
    for route in changing(routes):
        office.later(minutes=1)
        if route.path not in (*ENTRANCE, "/sign-out"):
            assert ask(paths(route), {}).status == 401, route.path


def test_rights_that_ended_open_nothing(office: Office, routes: list[Route]) -> None:
    today = office.clock.now
    before = state(office)
    office.clock.now = datetime(2027, 4, 1, 0, 0, tzinfo=UTC)
    try:
        ask = office.browser("tanaka")
        for route in routes:
            if route.path in (*OWN, *ENTRANCE) or route.path.startswith(OPEN):
                continue
            office.later(minutes=1)
            method = "POST" if "POST" in (route.methods or ()) else "GET"
            assert ask(paths(route), {} if method == "POST" else None).status == 403, route.path
            assert office.refused()[0].who == "tanaka"
    finally:
        office.clock.now = today
    assert state(office) == before


@pytest.mark.parametrize(
    "cookie",
    ["kiban_session=", "kiban_session=x", "kiban_session=' OR 1=1 --", "kiban_session=" + "a" * 5000, 'x=y; kiban_session="\\0"'],
)
def test_a_made_up_cookie_is_nobody(office: Office, cookie: str) -> None:
    assert Browser(office.address, cookie)("/").status == 303


def test_a_session_of_another_installation_is_nobody(office: Office, tmp_path: Path) -> None:
    other = Sessions(tmp_path / "sessions.db", now=office.clock)
    assert Browser(office.address, f"kiban_session={other.begin('sato')}")("/").status == 303
    other.close()


# --- requests that no browser sends


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1@evil.example", "127.0.0.1:99999", "[::1", "a b", SCRIPT])
def test_a_name_that_is_not_the_server_s_shows_nothing(office: Office, people: dict[str, Browser], host: str) -> None:
    office.later(minutes=1)
    answer = people["approver"]("/", Host=host)
    assert answer.status == 400
    assert "海山町" not in answer.text
    if "<" not in host:
        harmless(answer, host)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
def test_other_methods_do_nothing(office: Office, routes: list[Route], people: dict[str, Browser], method: str) -> None:
    office.later(minutes=1)
    before = state(office)
    for route in routes:
        office.later(minutes=1)
        assert people["approver"](paths(route), method=method).status in (403, 404, 405), route.path
    assert state(office) == before


def test_bodies_and_fields_beyond_reason_are_refused_everywhere(office: Office, routes: list[Route], people: dict[str, Browser]) -> None:
    for route in changing(routes):
        if route.path == "/sign-out":
            continue
        office.later(minutes=5)
        answer = people["editor"](paths(route), b"sentence=" + b"x" * 3_000_000)
        assert 400 <= answer.status < 500, route.path
        office.later(minutes=5)
        answer = people["editor"](paths(route), b"&".join(b"a%d=1" % number for number in range(5000)))
        assert 400 <= answer.status < 500, route.path
        answer = people["editor"](paths(route), b"sentence=%ff%00%fe&\xff\x00=1")
        harmless(answer, route.path)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /audit HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["a long header", "a long path", "many headers", "two lengths", "a whole address", "no host", "TLS"],
)
def test_requests_out_of_shape_get_nothing_and_the_server_goes_on(office: Office, people: dict[str, Browser], request_bytes: bytes) -> None:
    parts = urlsplit(office.address)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) as connection:
        connection.settimeout(20)
        answer = b""
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            while some := connection.recv(65536):
                answer += some
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 303", b"HTTP/1.0 4"))
    assert SECRET.encode() not in answer
    assert people["approver"]("/").status == 200


def test_requests_that_never_end_do_not_keep_others_waiting(office: Office, people: dict[str, Browser]) -> None:
    parts = urlsplit(office.address)
    waiting = [socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) for _ in range(60)]
    try:
        for one in waiting:
            one.sendall(b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nlogin=")
        assert people["approver"]("/").status == 200
    finally:
        for one in waiting:
            one.close()


# --- alone, too


@pytest.fixture
def alone(tmp_path: Path, serve: Callable[..., str]) -> Office:
    return open_office(tmp_path, serve, alone=True)


def test_alone_another_site_cannot_send_a_form_either_and_it_is_logged(alone: Office, routes: list[Route]) -> None:
    ask = alone.browser()
    for route in changing(routes):
        assert ask(paths(route), {}, Origin="http://evil.example").status == 403, route.path
        assert ask(paths(route), {}, Origin="").status == 403, route.path
    assert len(alone.refused()) >= 2 * len(changing(routes)) - 1
    assert ask("/", Host="evil.example").status == 400
