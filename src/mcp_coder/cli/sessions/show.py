"""``mcp-coder sessions show``: a session with its turns, one turn whole, or the recorded responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.local_zone import LocalZone
from mcp_coder.cli.output import write_array, write_table
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.store_choice import recorded_in, store_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp_coder.cli.tools_used import ToolCall
    from mcp_coder.llm_store.base import SessionRecord, Store, TurnRecord

__all__ = ["show"]


@click.command()
@click.argument("session", metavar="ID")
@click.option("--turn", "number", type=click.IntRange(min=1), metavar="NUMBER", help="Only this turn, whole.")
@click.option("--last", type=click.IntRange(min=1), metavar="NUMBER", help="Only the last so many turns.")
@click.option("--raw", is_flag=True, help="Print the recorded responses as JSON; with --turn that one's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
def show(
    session: str, number: int | None, last: int | None, raw: bool, as_json: bool, store: str | None
) -> None:
    """Show a session: its turns, their tools, money and times."""
    _refuse_two({"--turn": number is not None, "--last": last is not None})
    _refuse_two({"--raw": raw, "--json": as_json})
    with recorded_in(store) as opened:
        found = find_session(opened, session)
        if number is not None:
            _show_turn(opened, _turn_of(opened, found, number), raw=raw, as_json=as_json)
        elif raw:
            write_array(opened.response(turn.turn_id) for turn in opened.turns(found.session_id, newest=last))
        elif as_json:
            _write_session_json(found, _with_calls(opened, opened.turns(found.session_id, newest=last)))
        else:
            _write_session(found, _with_calls(opened, opened.turns(found.session_id, newest=last)))


def _refuse_two(given: dict[str, bool]) -> None:
    if all(given.values()):
        raise click.UsageError(f"{' and '.join(given)} cannot be given together")


def _turn_of(store: Store, session: SessionRecord, number: int) -> TurnRecord:
    """Return a turn by its number, looked for from the nearer end."""
    turns = store.turns(session.session_id, newest_first=number > session.turns / 2)
    found = next((turn for turn in turns if turn.number == number), None)
    if found is None:
        raise click.UsageError(
            f"session {session.session_id} has {session.turns} turns, and none is {number}"
        )
    return found


def _calls(store: Store, turn: TurnRecord) -> tuple[ToolCall, ...]:
    from mcp_coder.cli.tools_used import tool_calls

    return tool_calls(turn.provider, store.events(turn.turn_id))


def _with_calls(
    store: Store, turns: Iterable[TurnRecord]
) -> Iterator[tuple[TurnRecord, tuple[ToolCall, ...]]]:
    return ((turn, _calls(store, turn)) for turn in turns)


# --- one turn


def _show_turn(store: Store, turn: TurnRecord, *, raw: bool, as_json: bool) -> None:
    from mcp_coder.cli.session_json import json_text, turn_document
    from mcp_coder.cli.turn_page import turn_page

    if raw:
        console.write_json(json_text(store.response(turn.turn_id)))
    elif as_json:
        document = {"session_id": turn.session_id, "turns": [turn_document(turn, _calls(store, turn))]}
        console.write_json(json_text(document))
    else:
        console.write_answer(turn_page(turn, _calls(store, turn), LocalZone()))


# --- a session


def _write_session_json(
    session: SessionRecord, turns: Iterable[tuple[TurnRecord, tuple[ToolCall, ...]]]
) -> None:
    """Write a session, its turns one after the other, so that a long one is never held whole."""
    from mcp_coder.cli.session_json import json_text, show_document, turn_document

    begun = json_text(show_document(session)).removesuffix("\n}\n")
    documents = (turn_document(turn, calls) for turn, calls in turns)
    write_array(documents, before=f'{begun},\n  "turns": ', indent="  ", behind="\n}\n")


def _write_session(session: SessionRecord, turns: Iterable[tuple[TurnRecord, tuple[ToolCall, ...]]]) -> None:
    from mcp_coder.cli.render import report_lines
    from mcp_coder.cli.session_tables import session_report, turns_table

    table = turns_table(turns, LocalZone())
    console.write_answer(report_lines(session_report(session, LocalZone())) + "\n")
    write_table(table)
