"""Statements run by name; text that UTF-8 cannot hold is bound as bytes."""

from __future__ import annotations

import contextlib

from mcp_coder.llm_store.sqlite_opening import open_memory
from mcp_coder.llm_store.sqlite_statements import run, run_filled


def test_odd_text_is_bound_as_bytes_by_place_and_by_name() -> None:
    with contextlib.closing(open_memory()) as connection:
        run(connection, "write_meta", {"key": "odd \ud800", "value": 1})
        assert run(connection, "read_meta", ("odd \ud800",)).fetchone() == (1,)
        kinds = dict(connection.execute("SELECT typeof(key), count(*) FROM meta GROUP BY 1"))
        assert kinds["blob"] == 1


def test_open_places_are_filled() -> None:
    with contextlib.closing(open_memory()) as connection:
        assert run_filled(connection, "newest_sessions", {"limit": 3}, which="true").fetchall() == []
