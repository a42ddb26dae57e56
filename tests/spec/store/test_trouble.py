"""What goes wrong around a store: other processes, power, disks, wrong files and servers. Each time a clear message, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from kiban.base.errors import StoreError
from kiban.records.source import Text
from kiban.store import open_store, schema

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BRIDGE = Text(ja="橋", en="bridge")
ROAD = Text(ja="道", en="road")

PRELUDE = """
import os, resource, signal, sys
from datetime import UTC, datetime
from sqlalchemy import Engine, event
from kiban.base.errors import ConflictError, StoreError
from kiban.records.source import Text
from kiban.store import open_store

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

def save(store, en, expected, author="child"):
    return store.save("note", "noto", Text(ja="橋", en=en), author=author, reason="test", expected_version=expected, now=NOON)

store = open_store(sys.argv[1])
"""


def child(url: str, script: str, *arguments: str, as_user: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*as_user, sys.executable, "-c", PRELUDE + script, url, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


def save(store, record, expected):
    return store.save("note", "noto", record, author="田中", reason="test", expected_version=expected, now=NOON)


def test_two_processes_that_write_in_turns_lose_nothing(database, store):
    script = """
saved = 0
while saved < 20:
    seen = len(store.history("note", "noto"))
    try:
        save(store, f"{sys.argv[2]} {saved}", seen, author=sys.argv[2])
        saved += 1
    except ConflictError:
        pass
"""
    for process in [child(database, script, name) for name in ("first", "second")]:
        finish(process)
    history = store.history("note", "noto")
    assert [saved.version for saved in history] == list(range(1, 41))
    words = [store.read("note", "noto", Text, saved.version).en for saved in history]
    assert [word for word in words if word.startswith("first")] == [f"first {i}" for i in range(20)]
    assert [word for word in words if word.startswith("second")] == [f"second {i}" for i in range(20)]


def test_four_processes_that_open_a_new_database_at_once_all_work(database, opened):
    for process in [child(database, 'save(store, "x", 0) if sys.argv[2] == "0" else store.list("note")', str(i)) for i in range(4)]:
        finish(process)
    assert len(opened(database).history("note", "noto")) == 1


def test_a_process_killed_in_the_middle_of_a_save_leaves_the_old_version(database, store):
    save(store, BRIDGE, 0)
    process = child(database, 'event.listen(Engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))\nsave(store, "x" * 3_000_000, 1)')
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert store.read("note", "noto", Text) == BRIDGE
    assert len(store.history("note", "noto")) == 1
    assert save(store, ROAD, 1) == 2


def test_a_first_opening_that_is_killed_leaves_a_database_that_opens(database, opened):
    script = PRELUDE.replace("store = open_store", 'event.listen(Engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))\nstore = open_store')
    process = subprocess.run([sys.executable, "-c", script, database], capture_output=True, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert save(opened(database), BRIDGE, 0) == 1


def test_a_newer_form_of_the_database_is_refused_and_left_alone(database, store):
    save(store, BRIDGE, 0)
    with store._writer.begin() as connection:
        connection.execute(text("UPDATE kiban_schema SET version_num = '0999'"))
    with pytest.raises(StoreError, match=f"found a database in form 0999; expected form {schema.HEAD} or older. Next: use the newer kiban"):
        open_store(database)
    assert store.read("note", "noto", Text) == BRIDGE


def test_the_newest_migration_is_the_form_that_the_code_expects():
    migrations = Path(schema.__file__).parent / "migrations" / "versions"
    assert sorted(path.name[1:5] for path in migrations.glob("v*.py"))[-1] == schema.HEAD


# ---- a SQLite file


def test_a_full_disk_says_so_and_keeps_every_version(tmp_path, opened):
    store = opened(f"sqlite:///{tmp_path / 'kiban.db'}")
    save(store, BRIDGE, 0)
    with store._engine.connect() as connection:  # the pool hands the same connection out again
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
    with pytest.raises(StoreError, match=r"kiban.db: found a full disk\. Next: free some space, then save again; nothing was lost"):
        save(store, Text(ja="橋", en="x" * 1_000_000), 1)
    assert store.read("note", "noto", Text) == BRIDGE
    assert save(store, ROAD, 1) == 2


def test_a_disk_that_takes_no_more_bytes_says_so_and_keeps_every_version(tmp_path, opened):
    url = f"sqlite:///{tmp_path / 'kiban.db'}"
    store = opened(url)
    save(store, BRIDGE, 0)
    script = """
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    save(store, "x" * 2_000_000, 1)
except StoreError as error:
    print(error)
"""
    message = finish(child(url, script))
    assert "a full disk" in message or "a disk that cannot be read or written" in message
    assert "nothing was lost" in message
    assert store.read("note", "noto", Text) == BRIDGE
    assert save(store, ROAD, 1) == 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to mount a tiny disk")
def test_a_really_full_disk_says_so_and_keeps_every_version(tmp_path, opened):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tiny disk")
    try:
        store = opened(f"sqlite:///{disk / 'kiban.db'}")
        save(store, BRIDGE, 0)
        with pytest.raises(StoreError, match="found a full disk"):
            save(store, Text(ja="橋", en="x" * 2_000_000), 1)
        assert store.read("note", "noto", Text) == BRIDGE
        assert save(store, ROAD, 1) == 2
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_may_only_be_read_says_so_and_can_still_be_read(tmp_path, opened):
    folder = tmp_path / "state"
    folder.mkdir()
    url = f"sqlite:///{folder / 'kiban.db'}"
    save(opened(url), BRIDGE, 0)
    opened(url).close()
    script = """
print(store.read("note", "noto", Text).en)
try:
    save(store, "x", 1)
except StoreError as error:
    print(error)
"""
    (folder / "kiban.db").chmod(0o444)
    # Even root must keep to the rights of a file when it gives up its capabilities.
    as_user = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.getuid() == 0 else ()
    read, message = finish(child(url, script, as_user=as_user)).splitlines()
    assert read == "bridge"
    assert "found a file or folder that may only be read" in message
    assert "nothing was lost" in message


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "towns.csv"
    file.write_text("団体コード,名称\n174637,能登町\n" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"towns.csv: found a file that is no SQLite database\. Next: name another file; this one was not touched"):
        open_store("", file)
    assert file.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "photos.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE photo (id INTEGER)")
    connection.close()
    with pytest.raises(StoreError, match="found a database of another program"):
        open_store("", file)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("photo",)]
    connection.close()


def test_a_damaged_file_is_refused(tmp_path, opened):
    file = tmp_path / "kiban.db"
    store = opened("", file)
    save(store, Text(ja="橋", en="x" * 100_000), 0)
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"nothing was lost|changed since it was saved"):
        opened("", file).read("note", "noto", Text)


@pytest.mark.parametrize("name", ["folder", "file.txt/inner/kiban.db"])
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(StoreError, match=r"a file that cannot be opened|a folder that cannot be made"):
        open_store("", tmp_path / name)


def test_the_folder_of_a_new_file_is_made_and_only_for_its_owner(tmp_path, opened):
    opened("", tmp_path / "new" / "state" / "kiban.db")
    assert (tmp_path / "new" / "state").stat().st_mode & 0o077 == 0


def test_a_writer_waits_for_another_one_that_is_not_done(tmp_path, opened):
    file = tmp_path / "kiban.db"
    store = opened("", file)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1, lambda: other.execute("COMMIT"))
    release.start()
    started = time.monotonic()
    assert save(store, BRIDGE, 0) == 1
    assert time.monotonic() - started > 0.8
    release.join()
    other.close()


def test_a_writer_does_not_wait_for_ever(tmp_path, opened, monkeypatch):
    monkeypatch.setattr("kiban.store.engine.WAIT_SECONDS", 0.2)
    file = tmp_path / "kiban.db"
    store = opened("", file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"found the file locked by another program for too long\. Next: close the other program"):
        save(store, BRIDGE, 0)
    other.close()
    assert save(store, BRIDGE, 0) == 1


def test_the_file_is_synced_in_full_with_a_write_ahead_log_and_foreign_keys(tmp_path, opened):
    store = opened("", tmp_path / "kiban.db")
    with store._engine.connect() as connection:
        answers = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert answers == ["wal", 2, 1]


# ---- addresses and servers


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mysql://clerk:geheim@db/kiban", "a database of kind 'mysql'"),
        ("sqlite://", "a database of kind 'sqlite'"),
        ("geheim", "a text that is no database address"),
        ("postgresql://clerk:a@geheim:x@db:geheim/kiban", "a text that is no database address"),
    ],
)
def test_an_address_of_another_kind_is_refused(url, found):
    with pytest.raises(StoreError) as error:
        open_store(url)
    assert f"KIBAN_DB: found {found}" in str(error.value)
    assert "geheim" not in "".join(traceback.format_exception(error.value)).replace(f'open_store("{url}")', "")


def test_neither_an_address_nor_a_file_is_refused():
    with pytest.raises(StoreError, match="KIBAN_DB: found neither an address nor a file"):
        open_store("")


def test_a_server_that_is_not_there_is_named_at_once_and_without_the_password():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreError) as error:
        open_store(f"postgresql://clerk:geheim@127.0.0.1:{port}/kiban")
    assert str(error.value).startswith(f"postgresql://clerk@127.0.0.1:{port}/kiban: found no answer from the database server")
    assert "geheim" not in "".join(traceback.format_exception(error.value)).replace("clerk:geheim@127.0.0.1:{port}", "")


def test_a_server_that_never_answers_is_given_up_within_ten_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(StoreError, match="found no answer from the database server"):
            open_store(f"postgresql://clerk:geheim@127.0.0.1:{silent.getsockname()[1]}/kiban")
        assert time.monotonic() - started < 10


def test_a_wrong_password_is_named_and_not_shown(postgres):
    with pytest.raises(StoreError, match="found a user name or password that the server refuses") as error:
        open_store(postgres.url("postgres", password="geheim"))
    assert "geheim" not in "".join(traceback.format_exception(error.value)).replace('password="geheim"', "")


def test_a_database_that_is_not_there_is_named(postgres):
    with pytest.raises(StoreError, match="found no database of that name"):
        open_store(postgres.url("nowhere"))


def test_a_server_that_may_only_be_read_keeps_what_was_there(postgres, opened):
    postgres.psql("CREATE DATABASE standby TEMPLATE template0")
    store = opened(postgres.url("standby"))
    save(store, BRIDGE, 0)
    postgres.psql("ALTER DATABASE standby SET default_transaction_read_only = on")
    store = opened(postgres.url("standby"))
    with pytest.raises(StoreError, match="found a server that may only be read"):
        save(store, ROAD, 1)
    assert store.read("note", "noto", Text) == BRIDGE


def test_a_server_that_was_started_again_is_found_again(postgres, opened):
    postgres.psql("CREATE DATABASE restarted TEMPLATE template0")
    store = opened(postgres.url("restarted"))
    save(store, BRIDGE, 0)
    postgres.stop()
    with pytest.raises(StoreError, match="found no answer from the database server"):
        save(store, ROAD, 1)
    postgres.start("-c fsync=off")
    assert save(store, ROAD, 1) == 2


def test_a_server_with_a_full_disk_says_so_and_keeps_every_version(postgres, opened):
    folder = postgres.folder / "tiny"
    folder.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", folder], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tiny disk")
    try:
        shutil.chown(folder, "nobody", "nogroup")
        postgres.psql(f"CREATE TABLESPACE tiny LOCATION '{folder}'")
        postgres.psql("CREATE DATABASE tiny TEMPLATE template0 TABLESPACE tiny")
        store = opened(postgres.url("tiny"))
        save(store, BRIDGE, 0)
        ballast = folder / "ballast"
        ballast.write_bytes(os.urandom(300_000))
        noise = os.urandom(4_000_000).hex()  # PostgreSQL would squeeze one repeated letter
        with pytest.raises(StoreError, match="found a full disk on the database server"):
            save(store, Text(ja="橋", en=noise), 1)
        ballast.unlink()  # "free space, then save again"
        assert store.read("note", "noto", Text) == BRIDGE
        assert save(store, ROAD, 1) == 2
        store.close()
        postgres.psql("DROP DATABASE tiny")
        postgres.psql("DROP TABLESPACE tiny")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_new_database_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_store("", tmp_path / "kiban.db").close()
    assert (tmp_path / "kiban.db").stat().st_mode & 0o077 == 0
