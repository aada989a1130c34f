"""Words -> the turns that hold them, the newest first, through SQLite's full-text index.

What a word is, is what the index says, so the question goes through the same tokenizer: any text may be asked for,
and nothing in it is taken for the index's own language. Turns that are under way and the last that ended are not in
the index yet; they are few, and get an index of their own, in memory, for the one question.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mcp_coder.llm_store.base import SearchHit, SessionFilter
from mcp_coder.llm_store.sqlite_connections import transaction
from mcp_coder.llm_store.sqlite_filters import conditions
from mcp_coder.llm_store.sqlite_statements import run_filled
from mcp_coder.llm_store.values import storable_text, time_from

__all__ = ["NEWEST", "hits_page", "match_for"]

NEWEST = sys.maxsize
"""Where a search begins."""

_MOST_NOT_INDEXED = 1000
"""Turns that are looked through, the newest. Of more most are of the dead, and ``sessions recover`` ends them."""

_TOKENIZER = "tokenize = 'unicode61 remove_diacritics 2'"
_QUESTION = (
    f"CREATE VIRTUAL TABLE question USING fts5 (words, {_TOKENIZER})",
    "CREATE VIRTUAL TABLE answer USING fts5vocab (question, 'instance')",
)
_TEXTS = (f"CREATE VIRTUAL TABLE texts USING fts5 (prompt, text, {_TOKENIZER}, detail = none)",)


def match_for(words: str) -> str:
    """Return words in the language of the index: all of them, the last one's end open if it ends with ``*``.

    Empty where there is no letter and no digit in them.

    Example:
        >>> match_for("Grüße, blue-col*")
        '"gruße" AND "blue" AND "col"*'
    """
    terms = [f'"{term}"' for term in _terms(words)]
    if terms and words.rstrip().endswith("*"):
        terms[-1] += "*"
    return " AND ".join(terms)


def _terms(words: str) -> list[str]:
    with _in_memory(_QUESTION) as tokenizer:
        tokenizer.execute("INSERT INTO question VALUES (?)", (storable_text(words),))
        return [term for (term,) in tokenizer.execute("SELECT term FROM answer ORDER BY offset")]


@contextlib.contextmanager
def _in_memory(tables: Iterable[str]) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for table in tables:
            connection.execute(table)
        yield connection


def hits_page(
    connection: sqlite3.Connection, match: str, which: SessionFilter, before: int, limit: int
) -> tuple[list[SearchHit], int | None]:
    """Return the next hits before a place, and the place behind them; None where there are no more."""
    where, parameters = conditions(which)
    bound = {**parameters, "words": match, "before": before, "limit": limit, "most": _MOST_NOT_INDEXED}
    with transaction(connection, "begin_reading"):
        indexed = run_filled(connection, "search", bound, which=where).fetchall()
        others = run_filled(connection, "not_indexed", bound, which=where).fetchall()
    rows = sorted([*indexed, *_matching(others, match)], reverse=True)[:limit]
    return [_hit(row) for row in rows], rows[-1][0] if len(rows) == limit else None


def _matching(rows: Sequence[tuple[Any, ...]], match: str) -> list[tuple[Any, ...]]:
    """Return the turns that match, each with the snippet in place of its texts."""
    if not rows:
        return []
    with _in_memory(_TEXTS) as index:
        texts = [(row[0], *row[-2:]) for row in rows]
        index.executemany("INSERT INTO texts (rowid, prompt, text) VALUES (?, ?, ?)", texts)
        snippets = dict(index.execute(_SNIPPETS, (match,)).fetchall())
    return [(*row[:-2], snippets[row[0]]) for row in rows if row[0] in snippets]


_SNIPPETS = (
    "SELECT rowid, CAST(snippet(texts, -1, char(2), char(3), '…', 16) AS BLOB) FROM texts WHERE texts MATCH ?"
)


def _hit(row: Sequence[Any]) -> SearchHit:
    _, session_id, turn_id, number, started_at, snippet = row
    return SearchHit(
        session_id=session_id,
        turn_id=turn_id,
        number=number,
        started_at=time_from(started_at),
        snippet=_text(snippet),
    )


def _text(snippet: bytes) -> str:
    """Return a snippet as text; the index may have cut it within what is not a whole character."""
    try:
        return snippet.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return snippet.decode("utf-8", "replace")
