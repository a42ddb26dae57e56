"""Several people on a LAN: the first account, signing in and out, roles, rights that end, limits, and the log of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from tests.web.people import PASSWORD, Browser, Office, open_office

from kiban.accounts import Waits
from kiban.web.signing_in import Signing

CODE = "4821-9930-1277"


@pytest.fixture
def office(tmp_path: Path, serve: Callable[..., str]) -> Office:
    return open_office(tmp_path, serve)


@pytest.fixture
def empty(tmp_path: Path, serve: Callable[..., str]) -> Office:
    return open_office(tmp_path, serve, people=False, code=CODE)


@pytest.fixture
def alone(tmp_path: Path, serve: Callable[..., str]) -> Office:
    return open_office(tmp_path, serve, alone=True)


# --- alone


def test_alone_nobody_signs_in_and_what_is_done_is_logged(alone: Office) -> None:
    ask = alone.browser()
    assert ask("/").status == 200
    assert ask("/cases?q=%E9%98%B2%E7%81%BD").status == 200
    assert ask("/sign-in").place == "/?lang=ja"
    assert "サインインは要りません" in ask("/accounts").text
    assert ask("/account").status == 200
    assert [(row.who, row.action, row.target, row.detail) for row in alone.log.rows()][-2:] == [
        ("この端末の利用者", "search", "/cases", "q=防災"),
        ("この端末の利用者", "view", "/", ""),
    ]
    assert "操作の記録" in ask("/audit").text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Real-IP"])
def test_alone_behind_a_proxy_shows_nothing(alone: Office, header: str) -> None:
    answer = alone.browser()("/", **{header: "192.0.2.1"})
    assert answer.status == 403
    assert "KIBAN_NAMES" in answer.text


# --- the first account


def test_the_first_person_makes_the_first_account_with_the_code_of_the_terminal(empty: Office) -> None:
    ask = empty.browser()
    assert ask("/plans/x").place == "/setup?lang=ja"
    assert ask("/sign-in").place == "/setup?lang=ja"
    assert "設定コード" in ask("/setup").text
    form = {"code": "４８２１ ９９３０ １２７７", "login": "sato", "name": "佐藤", "password": PASSWORD, "again": PASSWORD}
    wrong = ask("/setup", {**form, "code": "0000-0000-0000"})
    assert wrong.status == 422
    assert 'value="佐藤"' in wrong.text
    assert PASSWORD not in wrong.text
    assert "同じではありません" in ask("/setup", {**form, "again": "x"}).text
    made = ask("/setup", form)
    assert (made.status, made.place) == (303, "/accounts?lang=ja")
    assert "佐藤" in ask("/accounts").text
    assert empty.browser()("/setup").status == 404
    assert empty.browser()("/setup", {**form, "login": "evil"}).status in (422, 429)
    assert [one.login for one in empty.accounts.all()] == ["sato"]


def test_without_the_code_nobody_guesses_it(empty: Office) -> None:
    ask = empty.browser()
    form = {"login": "evil", "name": "x", "password": PASSWORD, "again": PASSWORD}
    statuses = [ask("/setup", {**form, "code": f"{number:012}"}).status for number in range(8)]
    assert statuses == [422] * 4 + [429] * 4
    assert not empty.accounts.any()


# --- signing in and out


def test_a_page_leads_to_sign_in_and_back(office: Office) -> None:
    ask = office.browser()
    away = ask("/cases?q=a&lang=en")
    assert (away.status, away.place) == (303, "/sign-in?lang=en&next=%2Fcases%3Fq%3Da%26lang%3Den")
    form = ask(away.place)
    assert form.status == 200
    assert 'name="next" value="/cases?q=a&amp;lang=en"' in form.text
    assert ask.signs_in("tanaka", there="/cases?q=a&lang=en").place == "/cases?q=a&lang=en"
    page = ask("/cases")
    assert page.status == 200
    assert "田中" in page.text
    assert office.browser()("/cases", Accept="application/json").status == 401


@pytest.mark.parametrize("there", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "/sign-out"])
def test_signing_in_leads_nowhere_else(office: Office, there: str) -> None:
    assert office.browser().signs_in("tanaka", there=there).place == "/"


def test_the_cookie_is_kept_from_scripts_and_is_secure_where_tls_is(office: Office) -> None:
    plain = office.browser().signs_in("tanaka").headers["set-cookie"]
    assert re.fullmatch(r"kiban_session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", plain)
    host = office.address.removeprefix("http://")
    secure = office.browser().signs_in("tanaka", X_Forwarded_Proto="https", Origin=f"https://{host}").headers["set-cookie"]
    assert secure.endswith("; SameSite=lax; Secure")


def test_a_token_brought_along_is_never_the_one_after_signing_in(office: Office) -> None:
    ask = Browser(office.address, "kiban_session=chosen-by-the-attacker")
    ask.signs_in("tanaka")
    fixed = Browser(office.address, "kiban_session=chosen-by-the-attacker")
    assert fixed("/").status == 303
    first = ask.cookie
    ask.signs_in("mori")
    assert ask.cookie != first
    assert Browser(office.address, first)("/").status == 303


def test_signing_out_ends_the_session_on_the_server(office: Office) -> None:
    ask = office.browser("tanaka")
    copied = Browser(office.address, ask.cookie)
    assert copied("/").status == 200
    assert ask("/sign-out", {}).place == "/sign-in?lang=ja"
    assert copied("/").status == 303
    assert ask("/sign-out", {}).status == 303


def test_a_form_sent_after_the_session_ended_says_how_not_to_lose_it(office: Office) -> None:
    ask = office.browser("tanaka")
    office.later(hours=3)
    answer = ask("/jobs?lang=ja", {"sentence": '長い文"<b>', "q.shelter-places": "x"})
    assert answer.status == 401
    assert 'action="/jobs?lang=ja"' in answer.text
    assert 'name="sentence" value="長い文&#34;&lt;b&gt;"' in answer.text
    assert 'name="q.shelter-places"' in answer.text
    secret = ask("/account/password", {"old": PASSWORD, "password": "another one 2026", "again": "another one 2026"})
    assert secret.status == 401
    assert "戻る" in secret.text
    assert PASSWORD not in secret.text
    assert ask("/jobs", {}, HX_Request="true").headers["hx-redirect"] == "/sign-in?lang=ja"


def test_wrong_name_and_wrong_password_look_the_same_and_wait_longer_and_longer(office: Office) -> None:
    ask = office.browser()
    known, unknown = ask.signs_in("tanaka", "wrong"), ask.signs_in("nobody", "wrong")
    assert known.status == unknown.status == 401
    assert known.text.replace("tanaka", "nobody") == unknown.text
    statuses = [ask.signs_in("tanaka", "wrong").status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    right = ask.signs_in("tanaka")
    assert (right.status, right.headers["retry-after"]) == (429, "1")
    assert "1秒待って" in right.text
    office.later(seconds=1)
    assert ask.signs_in("tanaka").status == 303
    assert {row.detail for row in office.refused()} == {"401 tanaka 127.0.0.1", "429 tanaka 127.0.0.1", "401 unknown name 127.0.0.1"}


def test_a_password_typed_into_the_wrong_field_is_not_in_the_log(office: Office) -> None:
    for typed in (PASSWORD, "Str0ng-pass.word", "x" * 500, ""):
        assert office.browser().signs_in(typed, "tanaka").status == 401
    assert {row.detail for row in office.log.rows()} == {"401 unknown name 127.0.0.1"}


def test_one_address_that_tries_many_names_waits(office: Office) -> None:
    ask = office.browser()
    assert [ask.signs_in(f"name{number}", "wrong").status for number in range(22)] == [401] * 20 + [429] * 2


def test_a_password_is_changed_with_the_old_one_and_other_browsers_are_signed_out(office: Office) -> None:
    ask, other = office.browser("tanaka"), office.browser("tanaka")
    fresh = {"password": "別のとても長い言葉", "again": "別のとても長い言葉"}
    assert "今のパスワードが違います" in ask("/account/password", {"old": "x", **fresh}).text
    assert "短すぎます" in ask("/account/password", {"old": PASSWORD, **fresh}).text
    fresh = {"password": "別のとても長い言葉 2", "again": "別のとても長い言葉 2"}
    assert ask("/account/password", {"old": PASSWORD, **fresh}).status == 303
    assert ask("/").status == 200
    assert other("/").status == 303
    assert office.browser().signs_in("tanaka").status == 401


def test_the_language_is_kept_for_addresses_that_say_none(office: Office) -> None:
    ask = office.browser("tanaka")
    chosen = ask("/account/language?lang=ja", {"language": "en"})
    assert chosen.place == "/account?lang=en"
    ask.cookie += "; " + chosen.headers["set-cookie"].partition(";")[0]
    assert '<html lang="en">' in ask("/").text
    assert '<html lang="ja">' in ask("/?lang=ja").text


# --- roles


def test_a_viewer_reads_and_changes_nothing(office: Office) -> None:
    ask = office.browser("mori")
    assert ask("/").status == 200
    answer = ask("/jobs", {"region": "x", "sentence": "文"})
    assert answer.status == 403
    assert "編集" in answer.text
    for path in ("/accounts", "/audit", "/audit.csv", "/audit-digests.csv"):
        assert ask(path).status == 403
    assert [(row.who, row.target) for row in office.refused()][:5] == [
        ("mori", "/audit-digests.csv"), ("mori", "/audit.csv"), ("mori", "/audit"), ("mori", "/accounts"), ("mori", "/jobs"),
    ]  # fmt: skip


def test_an_approver_adds_people_and_gives_roles(office: Office) -> None:
    ask = office.browser("sato")
    form = {"login": "kato", "name": "加藤<b>", "role": "viewer", "password": PASSWORD, "again": PASSWORD}
    assert ask("/accounts", form).status == 303
    page = ask("/accounts").text
    assert "加藤&lt;b&gt;" in page
    assert "令和9年3月31日" in page
    again = ask("/accounts", form)
    assert again.status == 422
    assert "もう使われています" in again.text
    assert 'value="kato"' in again.text
    kato = office.browser("kato")
    assert ask("/accounts/kato/role", {"role": "editor"}).status == 303
    assert kato("/").status == 303  # his sessions ended with the old role
    kato = office.browser("kato")
    assert kato("/jobs", {"region": "", "sentence": ""}).status == 303
    assert ask("/accounts/kato/disable", {}).status == 303
    assert kato("/").status == 303
    assert office.browser().signs_in("kato").status == 401
    assert ask("/accounts/kato/enable", {}).status == 303
    assert ask("/accounts/kato/password", {"password": "別のとても長い言葉 2"}).status == 303
    assert office.browser().signs_in("kato", "別のとても長い言葉 2").status == 303
    assert "最後の人" in ask("/accounts/sato/disable", {}).text
    assert ask("/accounts/nobody/extend", {}).status == 404
    assert ask("/accounts/kato/crown", {}).status == 404
    changes = [(row.who, row.target) for row in office.log.rows(action="change") if row.target.startswith("account ")]
    assert changes == [("sato", "account kato")] * 5
    assert all(PASSWORD not in row.detail for row in office.log.rows())


def test_rights_that_ended_show_nothing_but_whom_to_ask(office: Office) -> None:
    office.clock.now = office.clock.now.replace(year=2027, month=3, day=20)
    office.accounts.extend("sato", by="test")
    office.clock.now = office.clock.now.replace(month=4, day=1)
    ask = office.browser("tanaka")
    for path in ("/", "/cases", "/new", "/jobs"):
        answer = ask(path)
        assert answer.status == 403
        assert "令和9年3月31日で終わりました" in answer.text
        assert "佐藤" in answer.text
    assert ask("/jobs", {"region": "x", "sentence": "文"}).status == 403
    assert ask("/account").status == 200
    assert len([row for row in office.refused() if row.who == "tanaka"]) == 5
    assert office.browser("sato")("/accounts/tanaka/extend", {}).status == 303
    assert ask("/").status == 200


def test_in_the_last_month_every_page_says_that_rights_end_and_the_approver_sees_a_button(office: Office) -> None:
    assert "で終わります" not in office.browser("tanaka")("/cases").text
    assert "延長する" not in office.browser("sato")("/accounts").text
    office.clock.now = office.clock.now.replace(year=2027, month=3, day=15)
    assert "令和9年3月31日で終わります" in office.browser("tanaka")("/cases").text
    assert "Your rights end on 31 March 2027" in office.browser("tanaka")("/cases?lang=en").text
    ask = office.browser("sato")
    assert "令和10年3月31日まで延長する" in ask("/accounts").text
    assert ask("/accounts/tanaka/extend", {}).status == 303
    assert "で終わります" not in office.browser("tanaka")("/cases").text


def test_where_nobody_can_extend_rights_the_command_is_named(office: Office) -> None:
    office.clock.now = office.clock.now.replace(year=2027, month=4, day=1)
    for login in ("sato", "tanaka"):
        assert "kiban account extend sato" in office.browser(login)("/").text


# --- limits and the log


def test_changes_faster_than_a_person_are_slowed_down(office: Office) -> None:
    ask = office.browser("tanaka")
    statuses = [ask("/account/language", {"language": "x"}).status for _ in range(70)]
    assert statuses == [303] * 60 + [429] * 10
    office.later(seconds=1)
    assert ask("/account/language", {"language": "x"}).status == 303
    assert office.browser("mori")("/account/language", {"language": "x"}).status == 303


def test_the_log_is_read_filtered_checked_and_taken_out(office: Office) -> None:
    office.browser("tanaka")("/cases?q=%3D1%2B1")
    ask = office.browser("sato")
    page = ask("/audit?who=tanaka&action=search")
    assert page.status == 200
    assert "q==1+1" in page.text
    assert "R8.11.27 12:00:00" in page.text
    assert page.text.count('<tr role="row">') == 2  # the heads and one row
    assert "元のままです" in ask("/audit?check=1").text
    assert "すべての日" in ask("/audit?day=yesterday").text
    assert ask("/audit?" + urlencode({"day": "２０２６年11月27日", "before": "x"})).text.count("すべての日") == 0
    assert ask("/audit?" + urlencode({"day": "令和８年11月27日"})).text.count("すべての日") == 0
    csv = ask("/audit.csv?who=tanaka")
    assert csv.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert ",tanaka,search,/cases,q==1+1," in csv.text
    assert ask("/audit-digests.csv").text.startswith("day,rows,last,sha256\r\n2026-11-27,")
    assert office.log.rows(action="export")[0].target == "/audit-digests.csv"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (("view", "plans/a", "money"), ("view", "plans/a", "money")),
        (("town.new", "海山町", ""), ("change", "海山町", "town.new")),
        (("import.refused", "海山町", "a.xlsx"), ("refused", "海山町", "import.refused a.xlsx")),
    ],
)
def test_what_a_page_says_of_a_request_is_kept_under_an_action_of_the_log(said: tuple[str, str, str], kept: tuple[str, str, str]) -> None:
    request = Request({"type": "http"})
    Signing().note(request, *said)
    assert request.state.noted == kept


def test_older_rows_are_a_page_further(office: Office) -> None:
    for number in range(150):
        office.log.write("mori", "view", f"/plans/{number}")
    ask = office.browser("sato")
    page = ask("/audit?who=mori")
    older = re.search(r'href="(/audit[^"]*before[^"]*)"', page.text)
    assert older is not None
    assert "/plans/49<" not in page.text
    assert "/plans/49<" in ask(older[1].replace("&amp;", "&")).text


def test_the_same_view_again_and_again_is_one_row(office: Office) -> None:
    ask = office.browser("tanaka")
    for _ in range(5):
        ask("/jobs")
    assert len(office.log.rows(who="tanaka", action="view")) == 1


def test_refused_requests_do_not_fill_the_log(office: Office) -> None:
    ask = office.browser("mori")
    for _ in range(80):
        ask("/audit")
    assert len(office.log.rows(who="mori", action="refused")) == 60


def test_what_cannot_be_logged_is_neither_shown_nor_changed(office: Office) -> None:
    ask = office.browser("tanaka")
    office.log.close()
    answer = ask("/cases")
    assert answer.status == 500
    assert "防災" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert ask("/account/password", {"old": PASSWORD, "password": "別のとても長い言葉 2", "again": "別のとても長い言葉 2"}).status == 500
    assert office.accounts.check("tanaka", PASSWORD) is not None


def test_pages_of_one_person_stay_out_of_shared_caches(office: Office) -> None:
    assert office.browser("tanaka")("/").headers["cache-control"] == "private, no-cache"
    assert "cache-control" not in office.browser()("/static/kiban.css").headers


def test_many_who_sign_in_at_once_keep_nobody_from_the_pages(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, ended = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(*_: object) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        ended.wait(20)
        with lock:
            at_once -= 1

    ask = office.browser("tanaka")
    monkeypatch.setattr(office.accounts, "check", slow)
    monkeypatch.setattr(office.signing, "addresses", Waits(free=100))
    trying = [threading.Thread(target=office.browser().signs_in, args=(f"name{number}",)) for number in range(50)]
    for thread in trying:
        thread.start()
    assert ask("/cases").status == 200
    ended.set()
    for thread in trying:
        thread.join(30)
    assert most == 2


def test_under_a_wrong_name_the_page_that_says_so_has_its_style(office: Office) -> None:
    ask = office.browser()
    page = ask("/", Host="wrong.example")
    assert page.status == 400
    assert "「wrong.example」" in page.text
    assert ask("/static/kiban.css", Host="wrong.example").status == 200
    assert ask("/health", Host="wrong.example").status == 400
