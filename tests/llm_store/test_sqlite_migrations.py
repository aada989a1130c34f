"""Migrations: numbered, whole or not at all, and together they are the schema; newer and foreign files are refused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import mcp_coder.llm_store
from mcp_coder.llm_errors import StoreError, UnsupportedVersionError
from mcp_coder.llm_store import sqlite_migrations
from mcp_coder.llm_store.sql_queries import read_sql
from mcp_coder.llm_store.sqlite_migrations import (
    MIGRATIONS,
    SCHEMA_VERSION,
    is_current,
    migrate,
    refuse_newer,
)

FOLDER = Path(mcp_coder.llm_store.__file__).parent / "sql" / "sqlite"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as found:
        yield found


def schema(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows}


def meta(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT key, value FROM meta"))


def test_all_files_are_migrations_in_their_order() -> None:
    files = sorted(path.name for path in FOLDER.glob("[0-9]*.sql"))
    assert list(MIGRATIONS) == files
    assert [name[:5] for name in files] == [f"{number:04}_" for number in range(1, len(files) + 1)]


def test_they_add_up_to_the_schema(connection: sqlite3.Connection) -> None:
    migrate(connection, "memory:")
    with contextlib.closing(sqlite3.connect(":memory:")) as other:
        other.executescript(read_sql("sqlite", "schema.sql"))
        assert schema(connection) == schema(other)


def test_the_version_is_noted(connection: sqlite3.Connection) -> None:
    assert not is_current(connection, "memory:")
    migrate(connection, "memory:")
    assert is_current(connection, "memory:")
    assert meta(connection) == {"schema_version": SCHEMA_VERSION, "minimum_writer": 1}
    assert connection.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"mcod"),)


def test_what_is_current_is_left_as_it_is(connection: sqlite3.Connection) -> None:
    migrate(connection, "memory:")
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    before = connection.total_changes
    migrate(connection, "memory:")
    assert connection.total_changes == before
    assert is_current(connection, "memory:")


LATER = """-- Two statements, one with others in it.
CREATE TABLE later (n);
CREATE TRIGGER t AFTER INSERT ON later BEGIN
    DELETE FROM later; SELECT 1;
END;
"""


@pytest.fixture
def two_migrations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Play a later version of ours, with one migration more."""
    scripts = {name: read_sql("sqlite", name) for name in MIGRATIONS}
    scripts["0002_later.sql"] = LATER
    monkeypatch.setattr(sqlite_migrations, "MIGRATIONS", tuple(scripts))
    monkeypatch.setattr(sqlite_migrations, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(sqlite_migrations, "read_sql", lambda dialect, name: scripts[name])


def test_an_older_store_gets_what_is_missing(
    connection: sqlite3.Connection, request: pytest.FixtureRequest
) -> None:
    migrate(connection, "memory:")
    connection.execute(
        "INSERT INTO sessions (session_id, provider, title, created_at, updated_at) VALUES ('s', 'p', '', 0, 0)"
    )
    request.getfixturevalue("two_migrations")
    assert not is_current(connection, "memory:")
    migrate(connection, "memory:")
    assert {"later", "t", "sessions"} <= set(schema(connection))
    assert connection.execute("SELECT session_id FROM sessions").fetchall() == [("s",)]
    assert meta(connection)["schema_version"] == 2


def test_a_migration_that_fails_leaves_nothing(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sqlite_migrations, "read_sql", lambda dialect, name: "CREATE TABLE a (n);\nCREATE TABLE a (n);\n"
    )
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, "memory:")
    assert not connection.in_transaction
    assert schema(connection) == {}


def test_a_newer_store_that_older_versions_may_write_is_current(connection: sqlite3.Connection) -> None:
    migrate(connection, "memory:")
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    connection.execute("ALTER TABLE turns ADD COLUMN of_later TEXT")
    assert is_current(connection, "memory:")
    refuse_newer(connection, "memory:")


def test_a_newer_store_that_they_may_not_write_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection, "memory:")
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'minimum_writer'")
    for check in (is_current, migrate, refuse_newer):
        with pytest.raises(UnsupportedVersionError, match="update mcp_coder") as caught:
            check(connection, "memory:")
        assert isinstance(caught.value, StoreError)
    assert not connection.in_transaction


def test_a_database_of_somebody_else_is_left_alone(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE theirs (n)")
    for check in (is_current, migrate):
        with pytest.raises(StoreError, match="database of something else"):
            check(connection, "sqlite:////x")
    assert set(schema(connection)) == {"theirs"}
