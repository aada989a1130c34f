"""How Claude Code's program is called: a request becomes arguments, files for them, and a child's environment.

A checked ``TurnRequest`` and the ``Entry`` that was chosen for it come in; a ``CommandLine`` goes out, the same by
both methods. The laws:

1. A value always stands in one token with its flag (``--flag=value``), so that none can be read as another flag.
2. The prompt is never here: it travels by stdin. Long or secret values travel by file.
3. What the caller may not set, because the turn depends on it, is refused before anything starts.

Nothing here does I/O. Paths are used as they are given: whoever calls makes relative ones absolute first, since the
program may run in another directory than the caller.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_providers.base import TURN_MARKER

if TYPE_CHECKING:
    from mcp_coder.llm_providers.base import Entry
    from mcp_coder.llm_requests import TurnRequest

__all__ = [
    "KEPT_ENVIRONMENT",
    "MAX_SCHEMA_BYTES",
    "OPTIONS",
    "CommandLine",
    "check_command",
    "child_environment",
    "command_line",
]

MAX_SCHEMA_BYTES = 100_000
"""The longest JSON Schema that is passed on; one argument may hold 128 KiB on Linux."""

_MAX_TOKEN_BYTES = 128 * 1024 - 1  # Linux: 32 pages for one argument, with the NUL at its end

_ALWAYS = (
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    "--include-partial-messages",
)
_KEPT = ("--replay-user-messages",)
"""A prompt that is taken up is then printed, with its id: what a kept program printed before was no answer to it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine:
    """How the program is to be started.

    Attributes:
        argv: the arguments, the program first.
        files: name in the turn's private directory -> text to be written there (0600) before the start.
    """

    argv: tuple[str, ...]
    files: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Flag:
    """One flag: alone, with a value, or with the path of a file that holds ``text``."""

    name: str
    value: str | None = None
    file: str = ""
    text: str = ""


def command_line(
    request: TurnRequest, *, program: str, entry: Entry, directory: str, kept: bool = False
) -> CommandLine:
    """Return how the program is started for this turn, or for the turns of a session.

    Args:
        request: what is asked; ``mcp_config`` and ``add_dirs`` with absolute paths.
        program: the program's path.
        entry: how the turn enters its session.
        directory: the turn's private directory, absolute.
        kept: it is kept between turns, and so says which prompt it takes up.

    Raises:
        InvalidRequestError: as ``check_command``.

    Example::

        line = command_line(request, program="/usr/bin/claude", entry=entry, directory="/run/user/1000/turn-1")
        # line.argv == ("/usr/bin/claude", "-p", ..., "--session-id=123e4567-...", "--model=haiku")
    """
    check_command(request)
    flags = [*_entry_flags(entry), *_option_flags(request)]
    always = (*_ALWAYS, *_KEPT) if kept else _ALWAYS
    argv = (program, *always, *(_token(flag, directory) for flag in flags))
    return CommandLine(argv=argv, files={flag.file: flag.text for flag in flags if flag.file})


def check_command(request: TurnRequest) -> None:
    """Check what can be checked before a session is chosen, so that a wrong call starts nothing.

    Raises:
        InvalidRequestError: ``extra_args`` names a flag that is ours or has a named option; ``mcp_config`` or
            ``json_schema`` is not what it should be; a value is too long for a command line.
    """
    for flag in _option_flags(request):
        _check_size(flag)


def _check_size(flag: _Flag) -> None:
    size = len(_token(flag, "").encode("utf-8", "surrogatepass"))
    if size > _MAX_TOKEN_BYTES:
        raise InvalidRequestError(
            f"--{flag.name} is {size:,} bytes long; at most {_MAX_TOKEN_BYTES:,} fit into a command line"
        )


def _token(flag: _Flag, directory: str) -> str:
    if flag.file:
        return f"--{flag.name}={directory}/{flag.file}"
    return f"--{flag.name}" if flag.value is None else f"--{flag.name}={flag.value}"


def _entry_flags(entry: Entry) -> Iterator[_Flag]:
    if entry.resume is not None:
        yield _Flag(name="resume", value=entry.resume)
    if entry.fork:
        yield _Flag(name="fork-session")
    if entry.begin is not None:
        yield _Flag(name="session-id", value=entry.begin)
    if entry.resume_at is not None:
        yield _Flag(name="resume-session-at", value=entry.resume_at)


def _option_flags(request: TurnRequest) -> Iterator[_Flag]:
    for option, flags in OPTIONS.items():
        value = getattr(request, option)
        if flags is not None and value is not None:
            yield from flags(value)


# --- Options: one row each ------------------------------------------------------------------------------------------

_Row = Callable[[Any], Iterator[_Flag]]


def _plain(name: str) -> _Row:
    def flags(value: object) -> Iterator[_Flag]:
        yield _Flag(name=name, value=str(value))

    return flags


def _joined(name: str) -> _Row:
    def flags(value: tuple[str, ...]) -> Iterator[_Flag]:
        if value:
            yield _Flag(name=name, value=",".join(value))

    return flags


def _each(name: str) -> _Row:
    def flags(value: tuple[str, ...]) -> Iterator[_Flag]:
        for item in value:
            yield _Flag(name=name, value=item)

    return flags


def _by_file(name: str, file: str) -> _Row:
    def flags(value: str) -> Iterator[_Flag]:
        yield _Flag(name=name, file=file, text=value)

    return flags


def _mcp_config(value: str | Mapping[str, object]) -> Iterator[_Flag]:
    if not isinstance(value, str):
        if not isinstance(value.get("mcpServers"), Mapping):
            raise InvalidRequestError('mcp_config must look like {"mcpServers": {"docs": {"command": ...}}}')
        yield _Flag(name="mcp-config", file="mcp-config.json", text=_json("mcp_config", value))
    elif value.lstrip().startswith("{"):
        # The program would take it, but a key in it could then be read by everybody in the list of processes.
        raise InvalidRequestError("mcp_config is JSON text; give a file's path or a mapping (json.loads)")
    else:
        yield _Flag(name="mcp-config", value=value)


def _json_schema(value: Mapping[str, object]) -> Iterator[_Flag]:
    text = _json("json_schema", value)
    if len(text) > MAX_SCHEMA_BYTES:
        raise InvalidRequestError(
            f"json_schema is {len(text):,} bytes long; at most {MAX_SCHEMA_BYTES:,} fit into a command line"
        )
    yield _Flag(name="json-schema", value=text)


def _json(option: str, value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{option} cannot be written as JSON: {error}") from error


def _extra_args(value: Mapping[str, str | None]) -> Iterator[_Flag]:
    for name, item in value.items():
        if name in _TAKEN:
            raise InvalidRequestError(f"extra_args: --{name} cannot be set here: {_TAKEN[name]}")
        yield _Flag(name=name, value=item)


OPTIONS: Mapping[str, _Row | None] = {
    "model": _plain("model"),
    # Texts of any length and content, which the list of processes should not show.
    "system_prompt": _by_file("system-prompt-file", "system-prompt.txt"),
    "append_system_prompt": _by_file("append-system-prompt-file", "append-system-prompt.txt"),
    "permission_mode": _plain("permission-mode"),
    "allowed_tools": _joined("allowedTools"),
    "disallowed_tools": _joined("disallowedTools"),
    "mcp_config": _mcp_config,
    "add_dirs": _each("add-dir"),
    "max_turns": _plain("max-turns"),
    "max_budget_usd": _plain("max-budget-usd"),
    "json_schema": _json_schema,
    "extra_args": _extra_args,
    # These are no arguments of the program.
    "question": None,
    "provider": None,
    "method": None,
    "session_id": None,
    "session": None,
    "fork": None,
    "timeout": None,
    "startup_timeout": None,
    "inactivity_timeout": None,
    "cwd": None,
    "env": None,
    "on_busy": None,
    "after_failure": None,
    "on_denial": None,
    "require_mcp": None,
}
"""Field of ``TurnRequest`` -> its flags; None where it is no argument. To add an option, add its row."""

_OURS = "mcp_coder sets it, or relies on its absence"
_OUR_FLAGS = (
    "print input-format output-format verbose include-partial-messages replay-user-messages no-session-persistence "
    "resume-session-at resume-drops-turn bare"
)
_NO_TURN = "with it the program runs no turn that could be waited for"
_NO_TURN_FLAGS = "background bg cloud desktop from-pr help init-only rewind-files teleport version"

_TAKEN: Mapping[str, str] = {
    **dict.fromkeys(_OUR_FLAGS.split(), _OURS),
    **dict.fromkeys(_NO_TURN_FLAGS.split(), _NO_TURN),
    "resume": "use session_id=...",
    "continue": "use session_id=...",
    "session-id": "use session_id=... or session=...",
    "fork-session": "use fork=True",
    "model": "use model=...",
    "system-prompt": "use system_prompt=...",
    "system-prompt-file": "use system_prompt=...",
    "append-system-prompt": "use append_system_prompt=...",
    "append-system-prompt-file": "use append_system_prompt=...",
    "permission-mode": "use permission_mode=...",
    "dangerously-skip-permissions": 'use permission_mode="bypassPermissions"',
    "allowedTools": "use allowed_tools=[...]",
    "allowed-tools": "use allowed_tools=[...]",
    "disallowedTools": "use disallowed_tools=[...]",
    "disallowed-tools": "use disallowed_tools=[...]",
    "mcp-config": "use mcp_config=...",
    "add-dir": "use add_dirs=[...]",
    "max-turns": "use max_turns=...",
    "max-budget-usd": "use max_budget_usd=...",
    "json-schema": "use json_schema={...}",
}

# --- Environment ----------------------------------------------------------------------------------------------------

# What Claude Code puts into the environment of its tools, hooks and MCP servers, and what those who embed it put into
# its own. A turn started from there is no part of the outer session: with some of these it would keep no transcript,
# wait for answers from a host that is not there, or speak into the outer session's socket.
_OUTER_AGENT = re.compile(
    r"""
    CLAUDECODE | AI_AGENT | CLAUDE_BG_\w+ | CLAUDE_AGENT_SDK_VERSION
    | CLAUDE_(PID|EFFORT|SESSION_ID|PROJECT_DIR|PLUGIN_ROOT|PLUGIN_DATA)
    | CLAUDE_CODE_(ENTRYPOINT|EXECPATH|SSE_PORT|INVOKED_SKILLS|TOOL_USE_ID|SKIP_PROMPT_HISTORY)
    | CLAUDE_CODE_SESSION_(ID|KIND|NAME|ORIGIN|ATTENDED|BEGAN_AS_COPY|CREATED_AT_MS)
    | CLAUDE_CODE_(CHILD_SESSION|CHILD_NOTES_DIR|BRIDGE_SESSION_ID|HOST_SESSION_ID|HOST_WORKTREE(_FENCE)?)
    | CLAUDE_CODE_(LAUNCHED_BY_SESSION_IDS|SPAWNED_BY_SERVER|SPAWN_TIMESTAMP_MS)
    | CLAUDE_CODE_(MESSAGING_SOCKET|MESSAGING_TOKEN|STARTER_MAY_HOLD_CONNECTOR_FILE)
    | CLAUDE_CODE_RESUME_(FROM_SESSION|INTERRUPTED_TURN|PROMPT|REASON)
    | CLAUDE_CODE_SDK_(HAS_HOST_AUTH_REFRESH|HAS_OAUTH_REFRESH|READS_SESSION_STATE|READS_STARTUP_MARKS)
    """,
    re.VERBOSE,
)

# The program then reports when it is idle, by an event that is meant for whoever drives it.
_FOR_THE_PROGRAM: Mapping[str, str] = {"CLAUDE_CODE_SDK_READS_SESSION_STATE": "1"}

KEPT_ENVIRONMENT: Mapping[str, str] = {"CLAUDE_CODE_EAGER_FLUSH": "1"}
"""What a program that is kept between turns is given beside: its transcript then has a turn before its result is
printed, and not up to 0.1 s later. So a program that is killed behind its answer loses nothing, and a transcript that
has grown between two turns was written by somebody else."""


def child_environment(
    parent: Mapping[str, str], request_env: Mapping[str, str], *, turn_id: str
) -> dict[str, str]:
    """Return the whole environment for the program, the same by both methods.

    What an outer agent left behind is dropped; the user's own settings (``CLAUDE_CONFIG_DIR``, ``ANTHROPIC_*``, ...)
    stay. ``request_env`` wins over both, and over what is set here, but for the turn's marker.

    Example::

        child_environment({"PATH": "/bin", "CLAUDECODE": "1"}, {"TZ": "UTC"}, turn_id="t1")
        # {"PATH": "/bin", "CLAUDE_CODE_SDK_READS_SESSION_STATE": "1", "TZ": "UTC", "MCP_CODER_TURN": "t1"}
    """
    own = {name: value for name, value in parent.items() if not _OUTER_AGENT.fullmatch(name)}
    env = {**own, **_FOR_THE_PROGRAM, **request_env, TURN_MARKER: turn_id}
    if env.get("CLAUDE_CONFIG_DIR") == "":  # the program would keep its sessions in the project's directory
        del env["CLAUDE_CONFIG_DIR"]
    return env
