"""The table of versions, which the database itself keeps from being changed or emptied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_REFUSAL = "kiban keeps every version: save a new one instead"


def upgrade() -> None:
    """Create the table and what guards it."""
    op.create_table(
        "kiban_version",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, sa.CheckConstraint("version > 0"), primary_key=True, autoincrement=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("saved_at", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER kiban_keep_{action.lower()} BEFORE {action} ON kiban_version BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END")
    else:
        op.execute(f"CREATE FUNCTION kiban_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$")
        op.execute("CREATE TRIGGER kiban_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON kiban_version EXECUTE FUNCTION kiban_keep()")
