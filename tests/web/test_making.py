"""From a sentence to a plan in the browser: what was understood, the questions, the job; and what is refused on the way."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from kiban.jobs import Jobs
from kiban.web.making import Regions

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SHELTER = "地震で孤立した集落と避難所の通信を確保したい"
BUS = "バスの本数を増やしたい"
NASTY = "<script>alert(1)</script>\"'避難所の通信を確保したい"
HEAD = """id: umiyama
name: 海山町<b>
lg_code: "174637"
sources:
  survey: {title: 海山町の調べ, seen_on: 2026-11-23}
"""
SITES = """id,kind,name,lat,lon,population,source
hall-east,shelter,東公民館,37.300,137.120,300,survey
"""


@dataclass(frozen=True)
class Answer:
    status: int
    place: str
    text: str
    leads: str | None = None


Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> Ask:
    folder = tmp_path_factory.mktemp("making")
    for name, head in (("umiyama", HEAD), ("broken", "id: [")):
        (folder / "regions" / name).mkdir(parents=True)
        (folder / "regions" / name / "region.yaml").write_text(head, encoding="utf-8")
        (folder / "regions" / name / "sites.csv").write_text(SITES, encoding="utf-8")
    regions = Regions(folder / "regions")
    jobs = Jobs(folder / "jobs", [sys.executable, "-m", "kiban"], regions.folder, folder / "plans", lambda name: regions.open(name).id)
    address = urlsplit(serve(folder / "plans", regions=regions, jobs=jobs))

    def asked(path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        own = {"Accept": "text/html", "Origin": f"http://{address.netloc}", "Content-Type": "application/x-www-form-urlencoded"}
        sent = {name: value for name, value in {**own, **headers}.items() if value}
        connection.request("GET" if form is None else "POST", path, body=None if form is None else urlencode(form), headers=sent)
        response = connection.getresponse()
        answer = Answer(response.status, response.getheader("location") or "", response.read().decode(), response.getheader("hx-redirect"))
        connection.close()
        return answer

    return asked


def issue(**query: str) -> str:
    return "/issue?" + urlencode(query)


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_form_lists_the_towns_and_tells_which_folder_is_broken(ask: Ask, lang: str):
    page = ask(f"/new?lang={lang}")
    assert page.status == 200
    assert "海山町&lt;b&gt;" in page.text
    assert page.text.count('name="region"') == 2
    assert 'value="broken" required disabled' in page.text


def test_the_first_result_comes_before_any_question_is_answered(ask: Ask):
    page = ask(issue(region="umiyama", sentence=SHELTER))
    assert page.status == 200
    assert page.text.index('action="/jobs') < page.text.index("<fieldset>")
    groups = re.findall(r"<fieldset>.*?</fieldset>", page.text, re.S)
    assert groups
    for group in groups:
        assert group.count(" checked") == 1
        assert "わからない" in re.search(r"checked> <span>(.*?)</span>", group, re.S).group(1)


def test_a_sentence_without_a_model_ends_with_cases_stopped_first_and_whom_to_ask(ask: Ask):
    page = ask(issue(region="umiyama", sentence=BUS))
    assert page.status == 200
    assert 'action="/jobs' not in page.text
    assert "標準モデルはまだありません" in page.text
    assert page.text.count(" 御中") >= 2  # the letter to each of those who may know more
    assert BUS in page.text.partition(" 御中")[2]
    stopped = [found == "stopped" for found in re.findall(r'<li class="(stopped)?">', page.text)]
    assert stopped
    assert stopped == sorted(stopped, reverse=True)


@pytest.mark.parametrize(
    "query", [{"region": "umiyama", "sentence": " "}, {"region": "umiyama", "sentence": "あ" * 2001}, {"region": "../umiyama", "sentence": SHELTER}]
)
def test_what_is_missing_is_told_in_the_form_which_keeps_what_was_typed(ask: Ask, query: dict[str, str]):
    page = ask(issue(**query))
    assert page.status == 422
    assert 'role="alert"' in page.text
    assert query["sentence"] in page.text


def test_a_sentence_is_text_and_never_a_script(ask: Ask):
    for path in (issue(region="umiyama", sentence=NASTY), "/new?" + urlencode({"sentence": NASTY, "region": NASTY})):
        assert "<script>" not in ask(path).text


def test_a_plan_is_made_from_a_form_and_opens_when_it_is_ready(ask: Ask):
    form = {"region": "umiyama", "sentence": SHELTER, "q.nonsense": "x"}
    sent = ask("/jobs?lang=en", form)
    assert sent.status == 303
    end = time.monotonic() + 120
    while (page := ask(sent.place)).status == 200:
        assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text
        assert "could not be made" not in page.text, unescape(page.text)
        assert time.monotonic() < end
        time.sleep(0.2)
    assert page.status == 303
    assert page.place.startswith("/plans/")
    plan = ask(page.place)
    assert plan.status == 200
    assert SHELTER in plan.text
    assert "Ready" in ask("/jobs?lang=en").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "http://evil.example"}, 403), ({"Origin": ""}, 403), ({"Origin": "null"}, 403), ({"Content-Type": "application/json"}, 415)],
)
def test_a_form_of_another_site_changes_nothing(ask: Ask, headers: dict[str, str], status: int):
    before = ask("/jobs").text.count("<h2>")
    assert ask("/jobs", {"region": "umiyama", "sentence": "別の文"}, **headers).status == status
    assert ask("/jobs").text.count("<h2>") == before


def test_a_form_that_is_too_large_is_refused(ask: Ask):
    assert ask("/jobs", {"region": "umiyama", "sentence": "x" * 300_000}).status == 413


def test_a_form_without_town_or_sentence_leads_back_to_the_form(ask: Ask):
    for form in ({"region": "nowhere", "sentence": SHELTER}, {"region": "umiyama", "sentence": ""}):
        sent = ask("/jobs", form)
        assert (sent.status, urlsplit(sent.place).path) == (303, "/new")


def test_a_job_that_nobody_asked_for_is_not_there(ask: Ask):
    assert ask("/jobs/0000").status == 404
    assert ask("/jobs/0000/cancel", {}).status == 404


@pytest.fixture
def nothing(tmp_path: Path, serve: Callable[..., str]) -> str:
    return serve(tmp_path / "plans")


def test_without_regions_there_are_only_plans(nothing: str):
    address = urlsplit(nothing)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request("GET", "/new")
    assert connection.getresponse().status == 404
    connection.close()


def begun(ask: Ask, sentence: str) -> str:
    """The path of a job that has just been asked for."""
    return urlsplit(ask("/jobs?lang=ja", {"region": "umiyama", "sentence": sentence}).place).path


def test_while_one_looks_on_a_stage_is_told_once_and_the_numbers_every_time(ask: Ask):
    path = begun(ask, SHELTER + "！")
    told = ask(f"{path}/state?lang=ja")
    assert told.status == 200
    assert '<div id="stage" hx-swap-oob="innerHTML">' in told.text
    assert "<html" not in told.text
    for _ in range(50):  # until two looks fall into one stage
        seen = unescape(re.search(r'name="seen" value="(.*?)"', told.text).group(1))
        told = ask(f"{path}/state?" + urlencode({"lang": "ja", "seen": seen}))
        if not told.text or f'value="{seen}"' in told.text:
            break
    assert "hx-swap-oob" not in told.text
    page = ask(f"{path}?lang=ja")
    assert page.status == 303 or page.text.count('role="status"') == 1
    ask(f"{path}/cancel?lang=ja", {})


def test_a_job_that_is_over_leads_away_from_its_page_while_it_is_looked_at(ask: Ask):
    path = begun(ask, SHELTER + "？")
    ask(f"{path}/cancel?lang=ja", {})
    end = time.monotonic() + 60
    while not (place := ask(f"{path}/state?lang=en").leads):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert place == f"{path}?lang=en" or place.startswith("/plans/")
    assert ask(place).status in (200, 303)


def test_a_job_is_stopped_from_the_list_with_words_at_once(ask: Ask):
    path = begun(ask, SHELTER + "。。")
    listed = ask("/jobs?lang=en").text
    assert f'id="stop-{path.rpartition("/")[2]}"' in listed
    began = time.monotonic()
    sent = ask(f"{path}/cancel?lang=en", {"back": "jobs"})
    assert (sent.status, sent.place) == (303, "/jobs?lang=en")
    page = ask(sent.place).text
    assert time.monotonic() - began < 2
    assert "Stopped" in page or "stopping" in page


def test_a_job_that_nobody_asked_for_has_no_page(ask: Ask):
    assert [ask(f"/jobs/nothing{more}").status for more in ("", "/state")] == [404, 404]


def test_a_plan_is_designed_again_beside_the_one_that_stands(ask: Ask):
    """A condition that cannot be read keeps what was typed; one that can makes a second plan, which is shown beside the first."""
    job = ask("/jobs", {"region": "umiyama", "sentence": SHELTER}).place
    first = made_at(ask, job)
    name = urlsplit(first).path.rpartition("/")[2]
    wrong = ask(f"/plans/{name}/again", {"budget": "たくさん", "phases": "2"})
    assert "wrong=budget" in wrong.place
    page = ask(wrong.place.partition("#")[0])
    assert 'role="alert"' in page.text
    assert 'value="たくさん"' in page.text
    assert "wrong=nothing" in ask(f"/plans/{name}/again", {}).place
    second = made_at(ask, ask(f"/plans/{name}/again", {"budget": "３千万円", "phases": ""}).place)
    assert urlsplit(second).path == "/compare"
    other = dict(parse_qsl(urlsplit(second).query))["b"]
    assert other != name
    page = ask(second)
    assert page.status == 200
    assert "設計の条件" in page.text
    assert "設計の条件" in ask(f"/plans/{other}").text
    assert "設計の条件" not in ask(f"/plans/{name}").text


def made_at(ask: Ask, job: str) -> str:
    """Where the plan of a job is seen, once it is made."""
    for _ in range(1200):
        answer = ask(job)
        if answer.status == 303:
            return answer.place
        assert answer.status == 200
        time.sleep(0.1)
    raise AssertionError("no plan in two minutes")


def test_a_plan_says_when_the_data_of_its_town_changed_since_also_by_a_file_with_an_older_time(
    example_folder: Path, tmp_path: Path, serve: Callable[..., str], asking: Callable[[str], Callable[[str], Any]]
):
    shutil.copytree(example_folder, tmp_path / "plans" / "okunoto")
    town = Path(shutil.copytree(EXAMPLES / "okunoto", tmp_path / "regions" / "okunoto"))
    jobs = Jobs(tmp_path / "jobs", [], tmp_path / "regions", tmp_path / "plans", str)
    get = asking(serve(tmp_path / "plans", regions=Regions(tmp_path / "regions"), jobs=jobs))
    said = "この計画を作ったあとに、町のデータが変わりました"
    assert said not in get("/plans/okunoto").text
    text = (town / "sites.csv").read_text(encoding="utf-8")
    (town / "sites.csv").write_text("\n".join(text.splitlines()[:-1]) + "\n", encoding="utf-8")
    os.utime(town / "sites.csv", (1_000_000_000, 1_000_000_000))
    page = get("/plans/okunoto").text
    assert said in page
    assert "/issue?lang=ja&amp;region=okunoto" in page


def test_a_letter_that_no_command_can_take_is_left_out_and_the_queue_goes_on(ask: Ask):
    answer = ask("/jobs", {"region": "umiyama", "sentence": BUS + "\0\u202e\r\nです"})
    assert answer.status == 303
    assert BUS + " です" in unescape(ask(answer.place).text)
    assert BUS + " です" in unescape(ask(issue(region="umiyama", sentence=BUS + "\0 です")).text)
