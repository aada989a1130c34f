"""``mcp-coder sessions search``: the turns whose prompt or answer holds some words, the newest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.local_zone import LocalZone
from mcp_coder.cli.output import ids_shown, write_array, write_table
from mcp_coder.cli.session_filters import limit_option, new_filter, period_options, which_options
from mcp_coder.cli.store_choice import recorded_in, store_option
from mcp_coder.llm_errors import SessionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mcp_coder.llm_store.base import SearchHit, SessionRecord, Store

__all__ = ["search"]


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@which_options
@period_options("sessions changed")
@limit_option(20, "How many turns at most; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
def search(
    words: Sequence[str],
    project: str | None,
    provider: str | None,
    tag: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
    store: str | None,
) -> None:
    """Find the turns that hold all WORDS, the newest first.

    They may stand in its prompt or its answer; what tools printed is not searched. The last word may be the beginning
    of one when it ends with "*".
    """
    which = new_filter(project=project, provider=provider, tag=tag, since=since, until=until)
    with recorded_in(store) as opened:
        sought = " ".join(words)
        if as_json:
            _write_json(opened, opened.search(sought, which=which, limit=limit or None))
        else:
            _write_table(
                opened, list(opened.search(sought, which=which, limit=limit + 1 if limit else None)), limit
            )


class _Sessions:
    """The sessions of what was found, each read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, SessionRecord | None] = {}

    def of(self, hit: SearchHit) -> SessionRecord | None:
        """Return the session of a hit; None where it was deleted meanwhile."""
        if hit.session_id not in self._known:
            self._known[hit.session_id] = self._read(hit.session_id)
        return self._known[hit.session_id]

    def _read(self, session_id: str) -> SessionRecord | None:
        try:
            return self._store.session(session_id)
        except SessionNotFoundError:
            return None


def _write_json(store: Store, hits: Iterable[SearchHit]) -> None:
    from mcp_coder.cli.session_json import hit_document

    sessions = _Sessions(store)
    write_array(hit_document(hit, sessions.of(hit)) for hit in hits)


def _write_table(store: Store, found: Sequence[SearchHit], limit: int) -> None:
    from mcp_coder.cli.session_tables import hits_table

    shown = found[:limit] if limit else found
    if not shown:
        console.note(
            f"no turn in {store.url} holds all of these words, or none of a session that is as asked for"
        )
        return
    ids = ids_shown(hit.session_id for hit in shown)
    write_table(hits_table(shown, _names(store, shown), LocalZone(), ids))
    if len(found) > len(shown):
        console.note(f"there are more than {limit}; --limit 0 shows all")


def _names(store: Store, hits: Sequence[SearchHit]) -> Mapping[str, str | None]:
    sessions = _Sessions(store)
    return {hit.session_id: session.name for hit in hits if (session := sessions.of(hit)) is not None}
