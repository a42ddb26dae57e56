"""Pages answer in two languages, refuse what they must, and print nothing that somebody else could run."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Callable, Mapping
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from msgspec.structs import replace

from kiban.catalogue import Catalogue
from kiban.loop.files import FILES, paper_names, read_folder

LABEL = "公表値による例示。当該団体の計画・意思決定とは無関係"
NASTY = "<script>alert(1)</script>「\"&'髙﨑𠮷"


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode()


Get = Callable[..., Answer]


def getter(address: str) -> Get:
    """A function that asks the server for a path exactly as it is written, with headers of one's choice."""
    host, port = urlsplit(address).hostname, urlsplit(address).port

    def get(path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(str(host), port, timeout=20)
        connection.request("GET", path, headers={"Accept": "text/html", **{name.capitalize(): value for name, value in headers.items()}})
        response = connection.getresponse()
        answer = Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        connection.close()
        return answer

    return get


@pytest.fixture(scope="module")
def get(example_folder: Path, tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> Get:
    """Three plans: the example, one with a nasty sentence, one that is broken; beside them a file that is no plan's."""
    plans = tmp_path_factory.mktemp("served") / "plans"
    for name in ("okunoto", "nasty", "broken"):
        shutil.copytree(example_folder, plans / name)
    plan = replace(read_folder(plans / "nasty").plan, sentence=NASTY)
    (plans / "nasty" / "plan.json").write_bytes(msgspec.json.encode(plan))
    (plans / "broken" / "plan.json").write_text("{}")
    (plans.parent / "secret.txt").write_text("secret")
    return getter(serve(plans))


class Links(HTMLParser):
    """Collects what a page points at, and whether it holds code of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.ids: set[str] = set()
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.handlers += [key for key in given if key.startswith("on")]
        self.ids.add(given.get("id", ""))
        if tag == "a" and given["href"].startswith("#"):
            self.anchors.add(given["href"][1:])
        elif tag == "a":
            self.links.add(given["href"])
        if tag in ("script", "link", "img"):
            self.loaded.add(given.get("src") or given.get("href", ""))


@pytest.mark.parametrize(("lang", "words"), [("ja", "保留：先に確認することがあります"), ("en", "On hold: some points must be confirmed first")])
def test_the_plan_page_speaks_both_languages(get: Get, lang: str, words: str) -> None:
    answer = get(f"/plans/okunoto?lang={lang}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<html lang="{lang}">' in answer.text
    assert words in answer.text
    assert LABEL in answer.text


def test_an_unknown_language_falls_back_to_that_of_the_settings(get: Get) -> None:
    assert '<html lang="ja">' in get("/plans/okunoto?lang=xx").text


def test_english_pages_mark_what_is_japanese(get: Get) -> None:
    text = get("/plans/okunoto?lang=en").text
    assert '<span lang="ja">能登町(奥能登の例)</span>' in text
    assert '<span lang="ja">' not in get("/plans/okunoto?lang=ja").text


def test_an_english_page_says_what_each_japanese_paper_is(get: Get) -> None:
    english, japanese = (get(f"/plans/okunoto?lang={lang}").text for lang in ("en", "ja"))
    listed = english.split('id="files"')[1]
    assert '<span lang="ja">数量表</span> <small>bill of materials</small>' in listed
    assert listed.count('<b><span lang="ja">') == listed.count("</span> <small>") - listed.count("<h3><span") > 10
    assert "bill of materials" not in japanese


def test_every_link_of_the_pages_of_a_plan_within_the_site_answers(get: Get) -> None:
    own = set()
    for tab in ("", "/options", "/design", "/money"):
        page = Links(get(f"/plans/okunoto{tab}").text)
        assert page.anchors <= page.ids
        own |= {link for link in page.links | page.loaded if link.startswith("/")}
    figures = sorted(link for link in own if "/figures?" in link)
    assert len(figures) > 50
    for link in sorted(own - set(figures)) + figures[::10]:
        status = get(link).status
        assert (link, status) == (link, 307 if link.startswith("/?") and status == 307 else 200)


def test_pages_load_nothing_from_elsewhere_and_hold_no_code(get: Get) -> None:
    for path in ("/", "/plans/okunoto", "/plans/okunoto/design", "/plans/okunoto/figures?id=total/priced", "/plans/none"):
        page = Links(get(path).text)
        assert {link for link in page.loaded if not link.startswith("/static/") and not link.startswith("/plans/")} == set()
        assert page.handlers == []


def test_every_answer_has_the_security_headers(get: Get) -> None:
    for path in ("/", "/plans/okunoto", "/plans/none", "/static/plan.mjs", "/plans/okunoto/files/plan.json"):
        headers = get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_the_list_shows_all_plans_and_names_the_broken_one(get: Get) -> None:
    answer = get("/?lang=ja")
    assert answer.status == 200
    for words in ("地震で孤立した集落と避難所の通信を確保したい", "読めない計画です", "broken", LABEL):
        assert words in answer.text


def test_one_plan_alone_is_shown_at_once_and_none_says_how_to_make_one(example_folder: Path, tmp_path: Path, serve: Callable[[Path], str]) -> None:
    one = getter(serve(example_folder.parent))("/?lang=en")
    assert (one.status, one.headers["location"]) == (307, "/plans/okunoto?lang=en")
    empty = getter(serve(tmp_path / "nothing-here"))("/")
    assert empty.status == 200
    assert "kiban plan" in empty.text


def test_what_is_not_there_is_said_as_a_page_or_as_json(get: Get) -> None:
    for path in ("/plans/none", "/nowhere", "/plans/okunoto/figures?id=no-figure", "/plans/okunoto/files/no-file", "/static/none.css"):
        page = get(path)
        assert (path, page.status) == (path, 404)
        assert "表示できません" in page.text
        answer = get(path, accept="application/json")
        body = json.loads(answer.body)
        assert (answer.status, body["ok"], body["status"], body["errors"]) == (404, False, 404, [body["error"]])


def test_a_broken_plan_says_which_file_is_wrong(get: Get) -> None:
    answer = get("/plans/broken", accept="application/json")
    assert answer.status == 500
    assert "plan.json" in json.loads(answer.body)["error"]


def test_another_host_name_is_refused(get: Get) -> None:
    assert get("/plans/okunoto", host="attacker.example").status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../pyproject.toml",
        "/static/%2e%2e/%2e%2e/app.py",
        "/plans/okunoto/files/..%2f..%2fsecret.txt",
        "/plans/okunoto/files/../../secret.txt",
        "/plans/..%2f/files/secret.txt",
        "/plans/../secret.txt",
        "/plans/okunoto/files/.plan-draft",
    ],
)
def test_no_path_leads_out_of_the_folder_of_plans(get: Get, path: str) -> None:
    answer = get(path)
    assert answer.status == 404
    assert "secret" not in answer.text.replace("secret.txt", "")


def test_a_sentence_with_markup_is_shown_as_it_is_and_never_run(get: Get) -> None:
    for path in ("/plans/nasty", "/plans/nasty?lang=en", "/"):
        text = get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;「&#34;&amp;&#39;髙﨑𠮷" in text


def test_what_a_visitor_types_into_the_address_is_never_run(get: Get) -> None:
    for path in ("/plans/" + quote(NASTY, safe=""), "/plans/okunoto/figures?id=" + quote(NASTY), "/plans/okunoto?lang=" + quote('"><script>alert(1)</script>')):
        assert "<script>alert" not in get(path).text


def test_every_file_downloads_with_its_type_and_name(get: Get, example_folder: Path) -> None:
    for name, kind in FILES.items():
        answer = get(f"/plans/okunoto/files/{name}")
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] == kind
        assert answer.body == (example_folder / name).read_bytes()


def test_every_paper_downloads_and_nothing_beside_them(get: Get, example_folder: Path) -> None:
    names = paper_names(example_folder)
    page = get("/plans/okunoto").text
    assert len(names) >= 20
    for name in names:
        answer = get(f"/plans/okunoto/files/{quote(name)}")
        assert (answer.status, answer.body) == (200, (example_folder / name).read_bytes())
        assert f"/plans/okunoto/files/{quote(name)}" in page
    for name in ("庁内限り/../plan.json", "庁内限り/.hidden", "../okunoto/plan.json", "公表・提供用/"):
        assert get(f"/plans/okunoto/files/{quote(name, safe='')}").status == 404


def test_a_figure_leads_to_its_source(get: Get) -> None:
    total = get("/plans/okunoto/figures?id=total/first_years/taxed")
    assert "消費税を加えた額" in total.text
    assert "/figures?lang=ja&amp;id=total%2Ffirst_years" in total.text
    leaf = get("/plans/okunoto/figures?id=" + quote("technologies/leo-satellite#up_mbps/low", safe=""))
    assert "16.91" in leaf.text
    assert "briefly.co" in leaf.text


def test_the_page_says_estimate_tax_rounding_and_that_there_is_no_base_map(get: Get) -> None:
    text = get("/plans/okunoto").text + get("/plans/okunoto/design").text + get("/plans/okunoto/money").text
    for words in ("概算（見積未取得）", "5年間の費用（税込）", "現在価値での総費用（税抜）", "四捨五入", "背景地図なし", "千円・税抜・割引前"):
        assert words in text


def test_a_technology_that_was_not_compared_is_not_said_to_stay_out_for_nothing(get: Get, example_folder: Path) -> None:
    rows = [row for step in read_folder(example_folder).plan.steps if step.id == "design" for row in step.body["unpriced"]]
    text = get("/plans/okunoto").text
    assert text.count("比べていません（要件を満たすかどうかが調整中か") == sum(not row["tried"] for row in rows)
    assert text.count("無償でも設計に入りません") == sum(row["tried"] and not row["enters"] for row in rows)


def test_a_price_page_says_year_tax_and_other_evidence_and_explains_the_confidence(get: Get) -> None:
    page = get("/plans/okunoto/figures?id=" + quote("technologies/pon-ftth#drop/0", safe="")).text
    for part in ("消費税", "含むもの", "同じ費目のほかの値", 'href="#confidence"', 'id="confidence"', "D 導出または未確認"):
        assert part in page
    choice = get("/plans/okunoto/figures?lang=ja&id=" + quote("count/served", safe="")).text
    assert "最適化が決めた値" in choice
    assert "decided by" not in choice


@pytest.mark.parametrize(("lang", "part"), [("ja", "配線経路や見積による上振れは含まない"), ("en", "routes and quotations may raise it")])
def test_a_range_says_what_it_does_not_cover(get: Get, lang: str, part: str) -> None:
    page = get(f"/plans/okunoto?lang={lang}").text
    assert part in page
    assert "価格のある費目の幅" not in page


def test_the_health_page_counts_the_plans(get: Get) -> None:
    assert json.loads(get("/health").body) == {"ok": True, "plans": 3}


@pytest.mark.parametrize(("lang", "words"), [("ja", "この上限で全地点に届く設計はない（証明済み）"), ("en", "No design under this limit serves all (proved)")])
def test_a_limit_that_no_design_keeps_stands_above_the_amounts(
    example_folder: Path, tmp_path: Path, serve: Callable[[Path], str], lang: str, words: str
) -> None:
    """Without a design there is no amount: neither zero yen nor a word about quotations."""
    shutil.copytree(example_folder, tmp_path / "plans" / "limit")
    plan = read_folder(tmp_path / "plans" / "limit").plan
    steps = []
    for step in plan.steps:
        body = step.body
        if step.id == "design":
            energy = {**body["energy"], "limit": "energy/known", "kept": False, "none": {"kwh": "energy/known", "proved": True}}
            body = {**body, "cost_npv": None, "cost_5y": None, "energy": energy}
        steps.append(replace(step, body=body))
    (tmp_path / "plans" / "limit" / "plan.json").write_bytes(msgspec.json.encode(replace(plan, steps=tuple(steps))))
    cards = getter(serve(tmp_path / "plans"))(f"/plans/limit?lang={lang}").text.split('id="numbers"')[1].split("</dl>")[0]
    assert words in cards
    assert cards.count('<p class="unknown">' + ("no design" if lang == "en" else "設計なし")) == 2
    assert "total%2Fpriced" not in cards


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_cases_are_found_by_words_and_by_the_size_of_the_town(get: Get, lang: str) -> None:
    page = get(f"/cases?q={quote('バス')}&lang={lang}")
    assert page.status == 200
    assert page.text.index('<li class="stopped">') < page.text.index('<li class="">')
    assert get(f"/cases?people={quote('８千人')}&lang={lang}").text.count("<h2>") < get(f"/cases?lang={lang}").text.count("<h2>")
    assert 'role="alert"' in get(f"/cases?people=many&lang={lang}").text
    assert ("令和6年2月〜" in page.text) == (lang == "ja")
    assert "<script>" not in get(f"/cases?q={quote(NASTY)}&people={quote(NASTY)}").text


def test_a_case_page_shows_what_is_known_and_its_sources(get: Get, shipped_catalogue: Catalogue) -> None:
    for id, case in shipped_catalogue.cases.items():
        page = get(f"/cases/{id}")
        assert page.status == 200
        assert all(escape(url) in page.text for url in case.urls)
    assert get("/cases/none").status == 404
