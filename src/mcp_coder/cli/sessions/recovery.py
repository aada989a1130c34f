"""``mcp-coder sessions recover``: settle the turns that dead processes left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.long_work import progress
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.store_choice import opened_store, store_option

if TYPE_CHECKING:
    from mcp_coder.llm_sessions.recovery import Recovered

__all__ = ["recover"]


@click.command()
@click.argument("session", metavar="[ID]", required=False)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an agent that still works on such a turn is waited for; then it is ended.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
def recover(session: str | None, wait: float, as_json: bool, store: str | None) -> None:
    """Record how turns ended whose caller died.

    Of all sessions, or of the one that is named. A turn that is under way is left alone, and no prompt is sent again.
    Without this a session's next turn does the same for that session.
    """
    from mcp_coder.llm_sessions.recovery import recover as recovered

    with opened_store(store) as opened:
        session_id = None if session is None else find_session(opened, session).session_id
        found: list[Recovered] = []
        with progress("recovering") as step:
            for each in recovered(opened, session_id=session_id, wait=max(wait, 0.001)):
                found.append(each)
                step()
    if as_json:
        console.write_json(
            json.dumps([_document(each) for each in found], indent=2, ensure_ascii=False) + "\n"
        )
        return
    for each in found:
        console.write_answer(_line(each))
    if not found:
        console.say("nothing to recover")


def _document(each: Recovered) -> dict[str, object]:
    return {
        "session_id": each.session_id,
        "turn_id": each.turn_id,
        "number": each.number,
        "state": each.state,
        "why": each.why,
    }


def _line(each: Recovered) -> str:
    said = f"left alone: {each.why}" if each.state == "started" else each.state
    return f"{each.session_id} turn {each.number}: {said}\n"
