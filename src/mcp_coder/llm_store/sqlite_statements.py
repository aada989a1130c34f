"""The statements of the SQLite store, run by name; all that is bound to them can be stored, whatever text it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from mcp_coder.llm_store.sql_queries import filled, load_queries
from mcp_coder.llm_store.values import storable, storable_text

__all__ = ["run", "run_filled"]

_QUERIES = load_queries("sqlite")

Parameters = Mapping[str, object] | Sequence[object]


def run(connection: sqlite3.Connection, name: str, parameters: Parameters = ()) -> sqlite3.Cursor:
    """Run the statement of a name with parameters."""
    return _execute(connection, _QUERIES[name], parameters)


def run_filled(
    connection: sqlite3.Connection, name: str, parameters: Parameters = (), **parts: str
) -> sqlite3.Cursor:
    """Run the statement of a name with its open places filled with SQL of ours, never with what somebody else wrote."""
    return _execute(connection, filled(_QUERIES[name], **parts), parameters)


def _execute(connection: sqlite3.Connection, sql: str, parameters: Parameters) -> sqlite3.Cursor:
    try:
        return connection.execute(sql, parameters)
    except UnicodeEncodeError:  # rare, so that it is not looked for before
        return connection.execute(sql, _storable(parameters))


def _storable(parameters: Parameters) -> Parameters:
    if isinstance(parameters, Mapping):
        return storable(parameters)
    return [storable_text(value) if isinstance(value, str) else value for value in parameters]
