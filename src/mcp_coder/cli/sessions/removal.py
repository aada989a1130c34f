"""``mcp-coder sessions delete`` and ``prune``: takes sessions out of the store, once somebody has said yes.

What the agent itself keeps of a session is not touched. A session with a turn that has not ended is never removed: its
answer would have no place to go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.local_zone import LocalZone
from mcp_coder.cli.long_work import progress
from mcp_coder.cli.output import ids_shown, write_table
from mcp_coder.cli.render import money
from mcp_coder.cli.session_filters import BEGINNING, new_filter, which_options
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.session_tables import counted, sessions_table
from mcp_coder.cli.store_choice import recorded_in, store_option
from mcp_coder.llm_errors import SessionBusyError

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionRecord, Store

__all__ = ["delete", "prune"]

_MOST_SHOWN = 20
_yes_option = click.option("--yes", "-y", is_flag=True, help="Do it, without asking.")


@dataclass(kw_only=True)
class _Doomed:
    """Sessions to be removed: their ids and sums, and the first of them to be shown."""

    ids: list[str] = field(default_factory=list)
    first: list[SessionRecord] = field(default_factory=list)
    turns: int = 0
    cost_usd: Decimal = field(default_factory=Decimal)

    def add(self, session: SessionRecord) -> None:
        """Add one."""
        self.ids.append(session.session_id)
        self.turns += session.turns
        self.cost_usd += session.cost_usd
        if len(self.first) < _MOST_SHOWN:
            self.first.append(session)

    @property
    def sums(self) -> str:
        """What they are, in words."""
        return (
            f"{counted(len(self.ids), 'session')} with {counted(self.turns, 'turn')}, "
            f"{money(self.cost_usd)} of recorded cost"
        )


def _doomed(sessions: Iterable[SessionRecord]) -> _Doomed:
    found = _Doomed()
    for session in sessions:
        found.add(session)
    return found


def _write_doomed(doomed: _Doomed) -> None:
    ids = ids_shown(each.session_id for each in doomed.first)
    write_table(sessions_table(doomed.first, LocalZone(), ids))
    more = len(doomed.ids) - len(doomed.first)
    if more:
        console.write_answer(f"and {more:,} more\n")


def _remove(store: Store, doomed: _Doomed) -> None:
    with progress("deleting", len(doomed.ids)) as step:
        for session_id in doomed.ids:
            store.delete_session(session_id)
            step()
    console.write_answer(f"deleted {doomed.sums}\n")


# --- delete


@click.command()
@click.argument("sessions", nargs=-1, required=True, metavar="ID...")
@_yes_option
@store_option
@logs.log_options
@click.pass_context
def delete(context: click.Context, sessions: Sequence[str], yes: bool, store: str | None) -> None:
    """Delete sessions with their turns; their forks stay.

    The agent's own record of a session is not touched.
    """
    if not yes and not console.can_ask():
        raise click.UsageError("there is no terminal to ask on; add --yes")
    with recorded_in(store) as opened:
        meant = {each.session_id: each for each in (find_session(opened, written) for written in sessions)}
        for session_id in meant:
            _refuse_unfinished(opened, session_id)
        doomed = _doomed(meant.values())
        if not yes:
            _write_doomed(doomed)
        if yes or _says_yes(f"delete {doomed.sums}?"):
            _remove(opened, doomed)
            return
    console.say("nothing was deleted")
    context.exit(exit_codes.FAILED)


def _refuse_unfinished(store: Store, session_id: str) -> None:
    for turn in store.unfinished_turns(session_id):
        raise SessionBusyError(
            f"session {session_id} has a turn that has not ended ({turn.turn_id}); where its caller is gone, "
            "mcp-coder sessions recover settles it"
        )  # no session_id: there is nothing to go on with by a prompt


def _says_yes(question: str) -> bool:
    return console.ask(f"{question} [y/N] ").lower() in ("y", "yes")


# --- prune


@click.command()
@click.option(
    "--older-than",
    type=BEGINNING,
    help="Those that last changed longer ago (30d, 12w) or before then (2026-01-31).",
)
@click.option(
    "--keep-last", type=click.IntRange(min=0), metavar="NUMBER", help="All but the last changed so many."
)
@which_options
@_yes_option
@store_option
@logs.log_options
def prune(
    older_than: datetime | None,
    keep_last: int | None,
    project: str | None,
    provider: str | None,
    tag: str | None,
    yes: bool,
    store: str | None,
) -> None:
    """Delete old sessions; without --yes, only show which would go.

    Of the sessions that --project, --provider and --tag select, those go to which --older-than and --keep-last both
    apply, where both are given.
    """
    if older_than is None and keep_last is None:
        raise click.UsageError("say which are old: --older-than 30d, --keep-last 100, or both")
    with recorded_in(store) as opened:
        sessions = opened.sessions(new_filter(project=project, provider=provider, tag=tag))
        doomed = _doomed(_unused(opened, _old(sessions, older_than, keep_last or 0)))
        if not doomed.ids:
            console.write_answer("there is nothing to delete\n")
        elif yes:
            _remove(opened, doomed)
        else:
            _write_doomed(doomed)
            console.write_answer(f"would delete {doomed.sums}; nothing was deleted: add --yes to do it\n")


def _old(
    sessions: Iterable[SessionRecord], older_than: datetime | None, keep_last: int
) -> Iterator[SessionRecord]:
    """Yield the old ones of sessions that come the last changed first."""
    for place, session in enumerate(sessions):
        if place >= keep_last and (older_than is None or session.updated_at < older_than):
            yield session


def _unused(store: Store, sessions: Iterable[SessionRecord]) -> Iterator[SessionRecord]:
    """Yield the sessions without a turn that has not ended."""
    in_use = {turn.session_id for turn in store.unfinished_turns()}
    return (each for each in sessions if each.session_id not in in_use)
