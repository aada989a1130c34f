"""``mcp-coder sessions list``: the sessions of a store, the last changed first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.local_zone import LocalZone
from mcp_coder.cli.output import ids_shown, write_array, write_table
from mcp_coder.cli.session_filters import limit_option, new_filter, period_options, which_options
from mcp_coder.cli.store_choice import recorded_in, store_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcp_coder.llm_store.base import SessionRecord

__all__ = ["list_sessions"]


@click.command("list")
@which_options
@period_options("sessions changed")
@limit_option(20, "How many at most; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
def list_sessions(
    project: str | None,
    provider: str | None,
    tag: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
    store: str | None,
) -> None:
    """List sessions, the last changed first."""
    which = new_filter(project=project, provider=provider, tag=tag, since=since, until=until)
    with recorded_in(store) as opened:
        if as_json:
            _write_json(opened.sessions(which, limit=limit or None))
        else:  # one more tells whether there are more
            found = list(opened.sessions(which, limit=limit + 1 if limit else None))
            _write_table(found, limit, url=opened.url)


def _write_json(found: Iterable[SessionRecord]) -> None:
    from mcp_coder.cli.session_json import session_document

    write_array(session_document(each) for each in found)


def _write_table(found: Sequence[SessionRecord], limit: int, *, url: str) -> None:
    from mcp_coder.cli.session_tables import sessions_table

    shown = found[:limit] if limit else found
    if not shown:
        console.note(f"no session is recorded in {url}, or none is as asked for")
        return
    write_table(sessions_table(shown, LocalZone(), ids_shown(each.session_id for each in shown)))
    if len(found) > len(shown):
        console.note(f"there are more than {limit}; --limit 0 lists all")
