"""What was used, summed by SQL: of turns by day, week, month, session or project, or of each model's part in them.

A question comes in, a report goes out. Sums are of whole units of 10^-9 dollars and so exact. A turn's cost is its
own share, never a running total, so each dollar counts once. What is not known is counted, not added.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store.base import SessionFilter, UsageBy, UsageReport, UsageRow
from mcp_coder.llm_store.periods import PERIODS, period_of
from mcp_coder.llm_store.sql_queries import load_queries
from mcp_coder.llm_store.sqlite_connections import transaction
from mcp_coder.llm_store.sqlite_filters import conditions
from mcp_coder.llm_store.sqlite_statements import run, run_filled
from mcp_coder.llm_store.values import dollars_from, micros, stored_text, time_from

__all__ = ["Asked", "statement_for", "usage_report"]

_QUERIES = load_queries("sqlite")
_LARGEST = 2**63 - 1

_KEYS = {
    **dict.fromkeys(PERIODS, "json_extract(period.value, '$[0]')"),
    "session": "sessions.session_id",
    "project": "coalesce(sessions.project, '')",
    "model": "''",
}
"""What a row is made for; the models of a sum by model are its rows."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked for; see ``Store.usage``."""

    by: UsageBy = "day"
    which: SessionFilter = dataclasses.field(default_factory=SessionFilter)
    since: datetime | None = None
    until: datetime | None = None
    tree_of: str | None = None
    breakdown: bool = False
    zone: tzinfo = UTC


def usage_report(connection: sqlite3.Connection, asked: Asked) -> UsageReport:
    """Return the rows of a question, and their total.

    Raises:
        InvalidRequestError: nothing is summed by that.
    """
    if asked.by not in _KEYS:
        raise InvalidRequestError(f"usage is summed by {', '.join(_KEYS)}; not by {asked.by!r}")
    with transaction(connection, "begin_reading"):
        rows = _ordered(asked.by, _rows(connection, asked))
        total = _total(rows) if asked.by != "model" else _whole(connection, asked)
    return UsageReport(rows=tuple(rows), total=total)


def _rows(connection: sqlite3.Connection, asked: Asked) -> list[UsageRow]:
    if asked.by == "model":
        return _of_models(connection, asked).get("", [])
    rows = [_row(row) for row in _summed(connection, asked, statement_for(asked))]
    if not asked.breakdown:
        return rows
    models = _of_models(connection, asked)
    return [
        dataclasses.replace(row, models=tuple(_ordered("model", models.get(row.key, ())))) for row in rows
    ]


def _of_models(connection: sqlite3.Connection, asked: Asked) -> dict[str, list[UsageRow]]:
    """Return a row for each model, by the key of the row that they are parts of."""
    found: dict[str, list[UsageRow]] = {}
    for row in _summed(connection, asked, "usage_of_models"):
        found.setdefault(stored_text(row[0]), []).append(_row(row, key=stored_text(row[1])))
    return found


def _whole(connection: sqlite3.Connection, asked: Asked) -> UsageRow:
    """Return the sum over turns, for rows that are not: a turn of two models stands in two of them."""
    return _total([_row(row) for row in _summed(connection, asked, statement_for(asked))])


def statement_for(asked: Asked) -> str:
    """Return the statement that sums over turns. A session has the sum of all of its own already."""
    whole = asked.by not in PERIODS and asked.since is None and asked.until is None
    return "usage_of_sessions" if whole else "usage_of_turns"


def _summed(connection: sqlite3.Connection, asked: Asked, name: str) -> Iterable[Sequence[Any]]:
    which, parameters = _conditions(asked)
    turns = "all_turns"
    if asked.by in PERIODS:
        turns = "turns_by_period"
        parameters["periods"] = json.dumps(_periods(connection, asked))
    parts = {"key": _KEYS[asked.by], "turns": _QUERIES[turns], "which": which}
    return run_filled(connection, name, parameters, **parts).fetchall()


def _conditions(asked: Asked) -> tuple[str, dict[str, object]]:
    which, parameters = conditions(asked.which)
    parts = [which]
    for name, sql, value in (
        ("begun_since", "turns.started_at >= :begun_since", asked.since),
        ("begun_until", "turns.started_at < :begun_until", asked.until),
    ):
        if value is not None:
            parts.append(sql)
            parameters[name] = micros(value)
    if asked.tree_of is not None:
        parts.append(_QUERIES["in_tree"])
        parameters["tree_of"] = asked.tree_of
    return " AND ".join(parts), parameters


def _periods(connection: sqlite3.Connection, asked: Asked) -> list[tuple[str, int, int]]:
    """Return the periods in which turns were begun: from one to the next, however far apart they are."""
    since = -_LARGEST if asked.since is None else micros(asked.since)
    until = _LARGEST if asked.until is None else micros(asked.until)
    found: list[tuple[str, int, int]] = []
    while True:
        first = run(connection, "first_start", {"since": since, "until": until}).fetchone()[0]
        if first is None:
            return found
        period = period_of(asked.by, time_from(first), asked.zone)
        since = micros(period.until)
        found.append((period.key, micros(period.since), since))


def _row(row: Sequence[Any], key: str | None = None) -> UsageRow:
    return UsageRow(
        key=stored_text(row[0]) if key is None else key,
        turns=row[2],
        cost_usd=_dollars(row[4]),
        unaccounted_turns=row[3],
        unrecorded_usd=_dollars(row[5]) if key is None else None,
        input_tokens=row[6],
        output_tokens=row[7],
        cache_read_tokens=row[8],
        cache_write_tokens=row[9],
    )


def _dollars(nano: int | None) -> Decimal:
    return dollars_from(nano or 0) or Decimal(0)


def _ordered(by: str, rows: Iterable[UsageRow]) -> list[UsageRow]:
    if by in PERIODS:
        return sorted(rows, key=lambda row: row.key)
    return sorted(rows, key=lambda row: (-row.cost_usd, row.key))


def _total(rows: Sequence[UsageRow]) -> UsageRow:
    return UsageRow(
        key="",
        turns=sum(row.turns for row in rows),
        cost_usd=sum((row.cost_usd for row in rows), Decimal(0)),
        unaccounted_turns=sum(row.unaccounted_turns for row in rows),
        unrecorded_usd=sum((row.unrecorded_usd or Decimal(0) for row in rows), Decimal(0)),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cache_read_tokens=sum(row.cache_read_tokens for row in rows),
        cache_write_tokens=sum(row.cache_write_tokens for row in rows),
    )
