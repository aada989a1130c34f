"""``mcp-coder sessions fork`` and ``resume``: another way on from a session, and the session by hand."""

from __future__ import annotations

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.store_choice import opened_store, store_option

__all__ = ["fork", "resume"]


@click.command()
@click.argument("session", metavar="ID")
@click.option(
    "--at",
    type=click.IntRange(min=1),
    metavar="N",
    help="The last turn that the fork shares; else the last one that finished.",
)
@store_option
@logs.log_options
def fork(session: str, at: int | None, store: str | None) -> None:
    """Begin a new session with the past of another, and print its id.

    Nothing is asked yet: go on with it by mcp-coder prompt --session-id.
    """
    from mcp_coder.llm_sessions.forking import fork_session

    with opened_store(store) as opened:
        made = fork_session(opened, find_session(opened, session).session_id, at=at)
    console.say(f"forked from {made.parent_id} behind turn {made.parent_turn}")
    console.write_answer(f"{made.session_id}\n")


@click.command()
@click.argument("session", metavar="ID")
@store_option
@logs.log_options
@click.pass_context
def resume(context: click.Context, session: str, store: str | None) -> None:
    """Open a session in the agent's own program.

    It runs here, on the terminal, in the session's directory. Until you leave it, nobody else's turn runs in the
    session. What you say there is not recorded.
    """
    from mcp_coder.cli.foreground import run_in_foreground
    from mcp_coder.llm_sessions.by_hand import opened_by_hand

    with opened_store(store) as opened:
        found = find_session(opened, session)
    with opened_by_hand(found) as opening:
        code = run_in_foreground(opening.command, opening.env, opening.cwd)
    context.exit(code)
