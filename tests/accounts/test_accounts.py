"""Who may sign in: accounts made and changed, rights that end with the fiscal year, sessions that end, and tries that must wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from kiban.accounts import Accounts, Bucket, Sessions, Waits
from kiban.accounts.passwords import HASHER
from kiban.accounts.sessions import IDLE, LONGEST
from kiban.base.errors import AccountError, RecordError
from kiban.records.account import Account
from kiban.store import Store, open_store

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "山と海のまち 8000"
AUTUMN = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = AUTUMN

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store("", tmp_path / "kiban.db")
    yield opened
    opened.close()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Iterator[Sessions]:
    opened = Sessions(tmp_path / "sessions.db", now=clock)
    yield opened
    opened.close()


@pytest.fixture
def accounts(store: Store, sessions: Sessions, clock: Clock) -> Accounts:
    return Accounts(store, sessions, hasher=QUICK, now=clock)


def code(call: object, *given: object, **named: object) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(AccountError) as refused:
        call(*given, **named)  # type: ignore[operator]
    return refused.value.code


def test_a_new_account_signs_in_with_its_password_alone(accounts: Accounts) -> None:
    accounts.add("Tanaka", "田中", "editor", PASSWORD, by="setup")
    assert accounts.check("tanaka", PASSWORD).name == "田中"  # type: ignore[union-attr]
    assert accounts.check("tanaka", "山と海のまち ８０００") is not None
    assert accounts.check("tanaka", PASSWORD + "x") is None
    assert accounts.check("nobody", PASSWORD) is None
    assert accounts.check("tanaka", "x" * 1_000_000) is None
    assert accounts.check("../" * 50, PASSWORD) is None


def test_nothing_that_is_kept_holds_the_password(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("tanaka", "田中", "editor", PASSWORD, by="setup")
    assert all(PASSWORD.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    with pytest.raises(RecordError):
        Account(login="tanaka", name="田中", role="editor", password=PASSWORD, until=date(2027, 3, 31))


@pytest.mark.parametrize(
    ("login", "name", "role", "password", "reason"),
    [
        ("田中", "田中", "editor", PASSWORD, "login_form"),
        ("a/../b", "田中", "editor", PASSWORD, "login_form"),
        ("a" * 41, "田中", "editor", PASSWORD, "login_form"),
        ("tanaka", " ", "editor", PASSWORD, "name"),
        ("tanaka", "田中\u202e", "editor", PASSWORD, "name"),
        ("tanaka", "田中", "root", PASSWORD, "role"),
        ("tanaka", "田中", "editor", "short", "short"),
        ("tanaka", "田中", "editor", "x" * 201, "long"),
        ("tanaka", "田中", "editor", "aaaaaaaaaaaa", "plain"),
        ("tanaka", "田中", "editor", "tanaka-2026-tanaka", "login"),
    ],
)
def test_what_does_not_fit_makes_no_account(accounts: Accounts, login: str, name: str, role: str, password: str, reason: str) -> None:
    assert code(accounts.add, login, name, role, password, by="setup") == reason
    assert accounts.all() == []


def test_a_login_name_is_given_once_and_the_first_account_is_made_once(accounts: Accounts) -> None:
    first = accounts.first("sato", "佐藤", PASSWORD)
    assert first.role == "approver"
    assert code(accounts.first, "suzuki", "鈴木", PASSWORD) == "not_first"
    assert code(accounts.add, "SATO", "別の佐藤", "viewer", PASSWORD, by="sato") == "taken"


def test_two_who_make_the_first_account_at_once_make_one(accounts: Accounts) -> None:
    def make(number: int) -> None:
        with suppress(AccountError):
            accounts.first(f"sato{number}", "佐藤", PASSWORD)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accounts.all()) == 1


def test_rights_end_with_the_fiscal_year_of_japan_and_are_extended(accounts: Accounts, clock: Clock) -> None:
    account = accounts.add("tanaka", "田中", "editor", PASSWORD, by="sato")
    assert account.until == date(2027, 3, 31)
    clock.now = datetime(2027, 3, 31, 14, 59, tzinfo=UTC)
    assert account.holds(accounts.today())
    clock.now = datetime(2027, 3, 31, 15, 0, tzinfo=UTC)  # 1 April, 0:00 in Japan
    assert not account.holds(accounts.today())
    assert accounts.check("tanaka", PASSWORD) is not None  # who he is, is still known
    assert accounts.extend("tanaka", by="sato").until == date(2028, 3, 31)
    assert accounts.extend("tanaka", by="sato").until == date(2029, 3, 31)
    assert accounts.extend("tanaka", by="sato").until == date(2029, 3, 31)


def test_every_change_is_a_version_with_its_author(accounts: Accounts, store: Store) -> None:
    accounts.add("tanaka", "田中", "viewer", PASSWORD, by="sato")
    accounts.set_role("tanaka", "editor", by="sato")
    accounts.set_disabled("tanaka", True, by="suzuki")
    assert [(one.version, one.author, one.reason) for one in store.history("account", "tanaka")] == [
        (1, "sato", "new, viewer"), (2, "sato", "role editor"), (3, "suzuki", "disabled"),
    ]  # fmt: skip


def test_a_disabled_account_signs_in_no_more(accounts: Accounts) -> None:
    accounts.add("tanaka", "田中", "viewer", PASSWORD, by="sato")
    accounts.set_disabled("tanaka", True, by="sato")
    assert accounts.check("tanaka", PASSWORD) is None
    accounts.set_disabled("tanaka", False, by="sato")
    assert accounts.check("tanaka", PASSWORD) is not None


def test_the_last_approver_whose_rights_hold_stays(accounts: Accounts) -> None:
    accounts.first("sato", "佐藤", PASSWORD)
    accounts.add("tanaka", "田中", "editor", PASSWORD, by="sato")
    assert code(accounts.set_role, "sato", "viewer", by="sato") == "last"
    assert code(accounts.set_disabled, "sato", True, by="sato") == "last"
    accounts.set_role("tanaka", "approver", by="sato")
    assert accounts.set_role("sato", "viewer", by="tanaka").role == "viewer"


def test_a_change_of_an_account_that_is_not_there_is_refused(accounts: Accounts) -> None:
    assert code(accounts.extend, "nobody", by="sato") == "unknown"


def test_the_hash_of_the_package_is_as_strong_as_rfc_9106_recommends() -> None:
    assert (HASHER.type.name, HASHER.time_cost, HASHER.memory_cost, HASHER.parallelism) == ("ID", 3, 64 * 1024, 4)


# --- sessions


def test_a_token_is_new_each_time_and_only_its_hash_is_kept(sessions: Sessions, tmp_path: Path) -> None:
    one, other = sessions.begin("tanaka"), sessions.begin("tanaka")
    assert one != other
    assert sessions.find(one) == sessions.find(other) == "tanaka"
    assert all(one.encode() not in path.read_bytes() for path in tmp_path.glob("sessions.db*"))
    sessions.end(one)
    assert (sessions.find(one), sessions.find(other)) == (None, "tanaka")


def test_a_token_that_somebody_chose_is_nobody(sessions: Sessions) -> None:
    assert sessions.find("chosen-by-the-attacker") is None


def test_a_session_ends_after_a_while_without_a_request_and_after_a_long_day(sessions: Sessions, clock: Clock) -> None:
    token = sessions.begin("tanaka")
    clock.turn(IDLE - 10)
    assert sessions.find(token) == "tanaka"
    clock.turn(IDLE + 1)
    assert sessions.find(token) is None
    token = sessions.begin("tanaka")
    for _ in range(int(LONGEST / 3600) - 1):
        clock.turn(3600)
        assert sessions.find(token) == "tanaka"
    clock.turn(3601)
    assert sessions.find(token) is None


def test_a_session_survives_a_restart(sessions: Sessions, clock: Clock, tmp_path: Path) -> None:
    token = sessions.begin("tanaka")
    again = Sessions(tmp_path / "sessions.db", now=clock)
    assert again.find(token) == "tanaka"
    again.close()


@pytest.mark.parametrize("change", ["role", "password", "disable"])
def test_a_new_role_or_password_ends_the_sessions(accounts: Accounts, sessions: Sessions, change: str) -> None:
    accounts.add("tanaka", "田中", "viewer", PASSWORD, by="sato")
    token, other = sessions.begin("tanaka"), sessions.begin("suzuki")
    if change == "role":
        accounts.set_role("tanaka", "editor", by="sato")
    elif change == "password":
        accounts.set_password("tanaka", "別の長い長いパスワード", by="tanaka")
    else:
        accounts.set_disabled("tanaka", True, by="sato")
    assert (sessions.find(token), sessions.find(other)) == (None, "suzuki")


# --- limits


def test_wrong_tries_wait_longer_and_longer_up_to_five_minutes(clock: Clock) -> None:
    waits = Waits(clock=clock.seconds)
    found = []
    for _ in range(16):
        while (wait := waits.try_now("name tanaka", "address 192.0.2.1")) > 0:
            found.append(wait)
            clock.turn(wait)
    assert found == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert waits.try_now("name tanaka", "address 192.0.2.9") > 0
    assert waits.try_now("name sato", "address 192.0.2.1") > 0
    assert waits.try_now("name sato", "address 192.0.2.9") == 0
    clock.turn(300)
    assert waits.try_now("name tanaka") == 0
    waits.worked("name tanaka")
    assert waits.try_now("name tanaka") == 0


def test_many_guesses_at_once_are_as_many_guesses() -> None:
    waits = Waits()
    passed: list[float] = []
    threads = [threading.Thread(target=lambda: passed.append(waits.try_now("tanaka"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed.count(0.0) == 4


def test_a_bucket_lets_so_many_through_and_fills_up_again(clock: Clock) -> None:
    bucket = Bucket(60, 3, clock=clock.seconds)
    assert [bucket.take("a") == 0 for _ in range(4)] == [True, True, True, False]
    assert bucket.take("b") == 0
    clock.turn(bucket.take("a") + 0.001)
    assert bucket.take("a") == 0


def test_invented_keys_do_not_fill_the_memory() -> None:
    waits, bucket = Waits(), Bucket(60, 3)
    for number in range(11_000):
        waits.try_now(f"name {number}")
        bucket.take(f"session {number}")
    assert len(waits._failed) == len(bucket._left) == 10_000
