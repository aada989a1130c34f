"""``mcp-coder usage``: tokens and dollars, summed by day, week, month, session, model or project."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.local_zone import LocalZone
from mcp_coder.cli.output import ids_shown, people_read, terminal_columns, write_table
from mcp_coder.cli.render import one_line
from mcp_coder.cli.session_filters import limit_option, new_filter, period_options, which_options
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.store_choice import recorded_in, store_option
from mcp_coder.llm_errors import SessionNotFoundError

if TYPE_CHECKING:
    from datetime import tzinfo

    from mcp_coder.cli.tables import Table
    from mcp_coder.llm_store.base import Store, UsageBy, UsageReport

__all__ = ["usage"]

_BY: Mapping[str, UsageBy] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "session": "session",
    "model": "model",
    "project": "project",
}
_TIMES = ("day", "week", "month")
_SESSIONS_SHOWN = 20
_WIDEST_BAR, _NARROWEST_BAR = 30, 8
_GAP = 2
_LONGEST_LABEL = 40


@click.command()
@click.argument("by", type=click.Choice(list(_BY)), default="daily")
@period_options("turns begun")
@which_options
@click.option("--session", metavar="ID", help="Only this session and all that was forked from it.")
@click.option("--breakdown", is_flag=True, help="Each row with its models.")
@limit_option(
    None, "How many rows; 0 for all. A table by session has 20, all else is whole. The total is of all."
)
@click.option(
    "--utc", is_flag=True, help="Days, weeks and months of UTC instead of this machine's time zone."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
def usage(
    by: str,
    since: datetime | None,
    until: datetime | None,
    project: str | None,
    provider: str | None,
    tag: str | None,
    session: str | None,
    breakdown: bool,
    limit: int | None,
    utc: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Sum up tokens and dollars by time, session, model or project.

    By day where nothing else is said. Each dollar is counted once, whatever was forked from what. What is not known is
    counted and shown, never guessed.
    """
    zone: tzinfo = UTC if utc else LocalZone()
    with recorded_in(store) as opened:
        report = opened.usage(
            _BY[by],
            which=new_filter(project=project, provider=provider, tag=tag),
            since=since,
            until=until,
            tree_of=find_session(opened, session).session_id if session is not None else None,
            breakdown=breakdown,
            zone=zone,
        )
        if as_json:
            _write_json(_cut(report, _BY[by], limit or 0), by=_BY[by], zone=str(zone))
        else:
            _write_table(opened, report, _BY[by], zone=str(zone), limit=_rows_shown(by, limit))


def _rows_shown(by: str, limit: int | None) -> int:
    return limit if limit is not None else _SESSIONS_SHOWN if by == "session" else 0


def _cut(report: UsageReport, by: UsageBy, limit: int) -> UsageReport:
    """Return the report with so many rows: the last of those in the order of time, else the costliest."""
    if not limit:
        return report
    rows = report.rows[-limit:] if by in _TIMES else report.rows[:limit]
    return dataclasses.replace(report, rows=rows)


def _write_json(report: UsageReport, *, by: str, zone: str) -> None:
    from mcp_coder.cli.session_json import json_text, usage_document

    console.write_json(json_text(usage_document(report, by=by, zone=zone)))


def _write_table(store: Store, report: UsageReport, by: UsageBy, *, zone: str, limit: int) -> None:
    from mcp_coder.cli.usage_tables import usage_notes, usage_table

    shown = _cut(report, by, limit)
    if not shown.rows:
        console.note(f"no turn is recorded in {store.url}, or none is as asked for")
        return
    labels = _session_labels(store, shown) if by == "session" else {}
    table = usage_table(shown, by, labels)
    write_table(_with_bars(table, shown) if people_read() else table)
    more = len(report.rows) - len(shown.rows)
    notes = [f"There are {more:,} more rows; --limit 0 shows all."] if more else []
    console.write_answer("".join(f"{note}\n" for note in [*notes, *usage_notes(report, by, zone)]))


def _session_labels(store: Store, report: UsageReport) -> dict[str, str]:
    """Return for each session its id, and its name or title."""
    ids = ids_shown(row.key for row in report.rows)
    return {full: f"{short}  {_called(store, full)}".rstrip() for full, short in ids.items()}


def _called(store: Store, session_id: str) -> str:
    with contextlib.suppress(SessionNotFoundError):
        session = store.session(session_id)
        return one_line(session.name or session.title, _LONGEST_LABEL)
    return ""


def _with_bars(table: Table, report: UsageReport) -> Table:
    """Return the table with bars as wide as the terminal has room for; where there is little, other columns go."""
    from mcp_coder.cli.tables import fitted, table_width
    from mcp_coder.cli.usage_tables import with_bars

    columns = terminal_columns() - _GAP
    shown = fitted(table, columns - _NARROWEST_BAR)
    room = min(columns - table_width(shown), _WIDEST_BAR)
    if room < _NARROWEST_BAR:
        return table
    return with_bars(
        shown, report, room, ascii_only=not (sys.stdout.encoding or "").lower().startswith("utf")
    )
