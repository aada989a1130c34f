"""Named statements: found, put together, and all of them understood by SQLite."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import mcp_coder.llm_store
from mcp_coder.llm_store.sql_queries import filled, load_queries, parsed, read_sql
from mcp_coder.llm_store.sqlite_opening import open_memory

PACKAGE = Path(mcp_coder.llm_store.__file__).parent
QUERIES = load_queries("sqlite")


NAMED = """-- About this file.

-- name: one
SELECT {two}
-- why
FROM t {open}

-- Another part ---

-- name: two
a, {three}
-- name: three
b
"""


def test_texts_are_found_by_name_and_put_together() -> None:
    assert parsed(NAMED) == {"one": "SELECT a, b\nFROM t {open}", "two": "a, b", "three": "b"}


def test_open_places_are_filled() -> None:
    assert filled("SELECT {key} FROM {table}", key="a", table="t") == "SELECT a FROM t"


def test_sql_is_read_from_the_package() -> None:
    assert read_sql("sqlite", "queries.sql") == (PACKAGE / "sql" / "sqlite" / "queries.sql").read_text(
        "utf-8"
    )


def test_every_statement_is_used() -> None:
    source = "\n".join(path.read_text("utf-8") for path in PACKAGE.glob("sqlite*.py"))
    sql = read_sql("sqlite", "queries.sql")
    unused = [name for name in QUERIES if f'"{name}"' not in source and f"{{{name}}}" not in sql]
    assert unused == []


def test_no_name_is_given_twice() -> None:
    names = re.findall(r"^-- name: (\w+)$", read_sql("sqlite", "queries.sql"), re.MULTILINE)
    assert len(names) == len(set(names)) == len(QUERIES)


PLACES = {"which": "true", "key": "''", "turns": QUERIES["all_turns"]}
WHOLE = [name for name, text in QUERIES.items() if re.match(r"SELECT|INSERT|UPDATE|DELETE", text)]


@pytest.mark.parametrize("name", WHOLE)
def test_sqlite_understands_every_statement(name: str) -> None:
    connection = open_memory()
    try:
        sql = filled(QUERIES[name], **PLACES)
        bound: object = dict.fromkeys(re.findall(r":(\w+)", sql)) or (None,) * sql.count("?")
        connection.execute(f"EXPLAIN {sql}", bound)  # type: ignore[arg-type]  # one or the other
    finally:
        connection.close()


LARGE_SCANS = {name for name in WHOLE if name.startswith("usage_of_")}
LARGE_SCANS |= {"counts", "wrong_sums", "turns_without_texts"}


@pytest.mark.parametrize("name", sorted(set(WHOLE) - LARGE_SCANS))
def test_no_everyday_statement_reads_a_whole_table(name: str) -> None:
    connection = open_memory()
    try:
        sql = filled(QUERIES[name], **PLACES)
        bound: object = dict.fromkeys(re.findall(r":(\w+)", sql)) or (None,) * sql.count("?")
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bound)]  # type: ignore[arg-type]
    finally:
        connection.close()
    tables = "(sessions|turns|turn_texts|turn_raws|turn_models)"
    scanned = [step for step in plan if re.match(rf"SCAN {tables}\b", step) and "INDEX" not in step]
    # All that is older than a turn is a whole table, too: where nothing else matches, all of it is looked at.
    half_open = [
        step for step in plan if re.match(rf"SEARCH {tables} USING INTEGER PRIMARY KEY \(rowid[<>]\?\)", step)
    ]
    assert scanned + half_open == []


def test_a_missing_file_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match=r"none\.sql"):
        read_sql("sqlite", "none.sql")


def test_this_sqlite_has_what_the_store_needs() -> None:
    assert sqlite3.sqlite_version_info >= (3, 31)
