"""``mcp-coder sessions``: what was recorded, for people: one small file a command, or a pair of like ones.

To add a command, write its file and add its row to the table.
"""

from __future__ import annotations

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.lazy_commands import LazyCommands

__all__ = ["sessions"]

_HERE = "mcp_coder.cli.sessions"


@click.group(
    commands=LazyCommands(
        {
            "list": f"{_HERE}.listing:list_sessions",
            "show": f"{_HERE}.show:show",
            "search": f"{_HERE}.search:search",
            "rename": f"{_HERE}.naming:rename",
            "tag": f"{_HERE}.naming:tag",
            "fork": f"{_HERE}.forking:fork",
            "resume": f"{_HERE}.forking:resume",
            "export": f"{_HERE}.transfer:export",
            "import": f"{_HERE}.transfer:import_sessions",
            "delete": f"{_HERE}.removal:delete",
            "prune": f"{_HERE}.removal:prune",
            "recover": f"{_HERE}.recovery:recover",
            "check": f"{_HERE}.check:check",
        }
    ),
    invoke_without_command=True,
)
@logs.log_options
@click.pass_context
def sessions(context: click.Context) -> None:
    """List, search, name, fork, export and prune what was recorded.

    ID is the beginning of a session's id, as long as no other begins so, or its name.
    """
    if context.invoked_subcommand is None:
        console.write_answer(f"{context.get_help()}\n")
