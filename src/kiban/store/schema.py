"""The one table of the store, and how a database is brought to it.

Migrations run when a store is opened, under a lock, in one transaction: two processes that start at once do it once.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, Text, inspect, select, text

from kiban.base.errors import StoreError

HEAD = "0001"  # the newest migration in migrations/versions; a test compares them
LOCK = 0x6B6962616E  # "kiban": the advisory lock of PostgreSQL under which migrations run

metadata = MetaData()
version = Table(
    "kiban_version",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("saved_at", Text, nullable=False),  # ISO 8601, UTC, microseconds: the same text on both databases, and it sorts
    Column("sha256", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_revision = Table("kiban_schema", MetaData(), Column("version_num", Text))


def is_current(connection: Connection, where: str) -> bool:
    """Whether the tables are there in this kiban's form; refuses a database of a newer kiban or of another program."""
    tables = inspect(connection).get_table_names()
    if _revision.name in tables:
        found = connection.execute(select(_revision.c.version_num)).scalar_one_or_none()
        if found is not None and found > HEAD:
            raise StoreError(where, f"a database in form {found}", f"form {HEAD} or older", "use the newer kiban that wrote it; nothing was touched")
        return found == HEAD
    if tables and connection.dialect.name == "sqlite":
        raise StoreError(where, "a database of another program", "a database of kiban, or no file", "name another file; nothing was touched")
    return False


def migrate(connection: Connection, where: str) -> None:
    """Bring the tables to this kiban's form, inside the transaction of `connection`, which holds SQLite's write lock."""
    # Alembic takes a quarter of a second to import, and most openings need no migration.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if is_current(connection, where):
        return  # another process was first
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    # What alembic's own `upgrade` command does, without its env.py and ini file.
    with EnvironmentContext(Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision)) as environment:
        environment.configure(connection=connection, version_table=_revision.name, transactional_ddl=True)
        environment.run_migrations()
