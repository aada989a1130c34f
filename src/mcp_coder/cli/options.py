"""The flags of ``mcp-coder prompt``, as one table: a row for each option of a turn, and how ``--help`` shows them.

To add an option of ``TurnOptions`` to the command line, add a row to ``TURN_FLAGS``; a test holds the two together.
Values come out as the library takes them. No I/O, except what ``inputs`` reads for a flag that names a file.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mcp_coder.cli.inputs import ENV_PAIR, FLAG_PAIR, JSON_OBJECT, MCP_CONFIG, SECONDS, TEXT
from mcp_coder.llm_requests import METHODS, PERMISSION_MODES

__all__ = ["CALL_FLAGS", "TURN_FLAGS", "Flag", "SectionedCommand", "given_options"]

SESSION = "Session"
AGENT = "Agent"
TOOLS = "Tool"
LIMITS = "Limit"
ANSWER = "Answer"

_SECTIONS = (SESSION, AGENT, TOOLS, LIMITS, ANSWER)

_FOLDER = click.Path(exists=True, file_okay=False, resolve_path=True)


class Flag(click.Option):
    """An option with the section of ``--help`` under which it stands."""

    def __init__(self, *names: str, section: str, **settings: Any) -> None:
        super().__init__(list(names), **settings)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose ``--help`` shows its options by sections; those without one come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for title, members in itertools.groupby(sorted(options, key=_place), key=_title):
            records = [option.get_help_record(ctx) for option in members]
            with formatter.section(f"{title or 'Other'} options"):
                formatter.write_dl([record for record in records if record is not None])


def _title(param: click.Parameter) -> str:
    return getattr(param, "section", "")


def _place(param: click.Parameter) -> int:
    title = _title(param)
    return _SECTIONS.index(title) if title in _SECTIONS else len(_SECTIONS)


def _as_mapping(
    context: click.Context, parameter: click.Parameter, pairs: Sequence[tuple[str, Any]]
) -> Mapping[str, Any] | None:
    del context, parameter
    return dict(pairs) or None


TURN_FLAGS: Sequence[Flag] = (
    Flag(
        "session",
        "--session",
        section=SESSION,
        metavar="NAME",
        help="A name instead of an id: begun or gone on with.",
    ),
    Flag(
        "fork",
        "--fork-session",
        section=SESSION,
        is_flag=True,
        help="Begin a new session with the past of that one.",
    ),
    Flag(
        "on_busy",
        "--on-busy",
        section=SESSION,
        type=click.Choice(["wait", "error", "fork"]),
        help="Another turn of the session is under way: wait (the default), fail at once, or fork.",
    ),
    Flag(
        "after_failure",
        "--after-failure",
        section=SESSION,
        type=click.Choice(["keep", "drop"]),
        help="The prompt of a failed turn before this one: keep it in the history (the default) or drop it.",
    ),
    Flag(
        "model",
        "--model",
        section=AGENT,
        metavar="NAME",
        envvar="MCP_CODER_MODEL",
        show_envvar=True,
        help="The model or its alias.",
    ),
    Flag(
        "system_prompt",
        "--system-prompt",
        section=AGENT,
        type=TEXT,
        help="Replaces the agent's system prompt.",
    ),
    Flag(
        "append_system_prompt",
        "--append-system-prompt",
        section=AGENT,
        type=TEXT,
        help="Is added to the agent's system prompt.",
    ),
    Flag(
        "add_dirs",
        "--add-dir",
        section=AGENT,
        type=_FOLDER,
        multiple=True,
        help="One more directory that the agent may touch.",
    ),
    Flag(
        "env",
        "--env",
        section=AGENT,
        type=ENV_PAIR,
        multiple=True,
        callback=_as_mapping,
        help="A variable for the agent; with its name alone, taken from here, as a secret should be.",
    ),
    Flag(
        "extra_args",
        "--extra-arg",
        section=AGENT,
        type=FLAG_PAIR,
        multiple=True,
        callback=_as_mapping,
        help="A flag of the agent's own that has no name here, such as effort=high.",
    ),
    Flag(
        "permission_mode",
        "--permission-mode",
        section=TOOLS,
        type=click.Choice(PERMISSION_MODES),
        help="How tool permissions are decided.",
    ),
    Flag(
        "allowed_tools",
        "--allowed-tool",
        "--allowed-tools",
        section=TOOLS,
        metavar="TOOL",
        multiple=True,
        help='A tool that needs no permission, such as Read or "Bash(git *)".',
    ),
    Flag(
        "disallowed_tools",
        "--disallowed-tool",
        "--disallowed-tools",
        section=TOOLS,
        metavar="TOOL",
        multiple=True,
        help="A tool that is not to be used.",
    ),
    Flag(
        "on_denial",
        "--on-denial",
        section=TOOLS,
        type=click.Choice(["record", "error"]),
        help="A tool was denied: record it in the answer (the default), or fail.",
    ),
    Flag("mcp_config", "--mcp-config", section=TOOLS, type=MCP_CONFIG, help="MCP servers to add."),
    Flag(
        "require_mcp",
        "--require-mcp",
        section=TOOLS,
        metavar="NAME",
        multiple=True,
        help="An MCP server without which an answer does not count.",
    ),
    Flag(
        "max_turns", "--max-turns", section=LIMITS, type=click.IntRange(min=1), help="The most model calls."
    ),
    Flag(
        "max_budget_usd",
        "--max-budget-usd",
        section=LIMITS,
        type=float,
        metavar="DOLLARS",
        help="The most money to begin another model call at.",
    ),
    Flag(
        "startup_timeout",
        "--startup-timeout",
        section=LIMITS,
        type=SECONDS,
        help="Until the agent's first sign of life; 60 if the whole limit is longer.",
    ),
    Flag(
        "inactivity_timeout",
        "--inactivity-timeout",
        section=LIMITS,
        type=SECONDS,
        help="Of silence in mid-turn; 600 if the whole limit is longer.",
    ),
    Flag(
        "json_schema",
        "--json-schema",
        section=ANSWER,
        type=JSON_OBJECT,
        help="A JSON Schema: the answer is then JSON that fits it.",
    ),
)
"""The flags for what ``TurnOptions`` holds; each parameter has the name of its option."""

CALL_FLAGS: Sequence[Flag] = (
    Flag(
        "session_id",
        "--session-id",
        "-r",
        section=SESSION,
        metavar="ID",
        help="Go on with this session; the beginning of a recorded one's id is enough.",
    ),
    Flag(
        "provider",
        "--provider",
        section=AGENT,
        metavar="NAME",
        default="claude",
        show_default=True,
        help="Which agent.",
    ),
    Flag(
        "method",
        "--method",
        section=AGENT,
        type=click.Choice(METHODS),
        default="cli",
        show_default=True,
        envvar="MCP_CODER_METHOD",
        show_envvar=True,
        help="How it is reached: by its program or by its SDK.",
    ),
    Flag(
        "cwd",
        "--cwd",
        section=AGENT,
        type=_FOLDER,
        help="Where it runs; else the session's own directory, or this one.",
    ),
    Flag(
        "timeout",
        "--timeout",
        section=LIMITS,
        type=SECONDS,
        default=600,
        show_default=True,
        envvar="MCP_CODER_TIMEOUT",
        show_envvar=True,
        help="For the whole call, waiting for the session included.",
    ),
)
"""The flags for the other arguments of a call."""


def given_options(values: Mapping[str, object]) -> dict[str, object]:
    """Return those values of a command line that were given, for the library to fill in the rest.

    >>> given_options({"model": "haiku", "max_turns": None, "add_dirs": (), "fork": False, "max_budget_usd": 0.0})
    {'model': 'haiku', 'max_budget_usd': 0.0}
    """
    return {name: value for name, value in values.items() if not _is_absent(value)}


def _is_absent(value: object) -> bool:
    return value is None or value is False or value == ()  # not "in": 0.0 equals False
