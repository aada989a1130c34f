"""Claude Code by its program: one prompt in, one response out.

Safe (one turn at a time in a session, nothing left running) but not recorded: ``prompt_llm`` is the recorded form.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Unpack

from mcp_coder.llm_providers.base import Entry
from mcp_coder.llm_providers.claude.command import command_line
from mcp_coder.llm_providers.claude.judge import new_response
from mcp_coder.llm_providers.claude.parse import parse_cli_json_string
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import TurnOptions, new_request
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["ask_claude_code_cli", "build_cli_command", "create_response_dict", "parse_cli_json_string"]


def ask_claude_code_cli(
    question: str,
    session_id: str | None = None,
    timeout: float | None = 30,
    cwd: str | None = None,
    **options: Unpack[TurnOptions],
) -> LLMResponseDict:
    """Ask Claude Code through its program, without a record.

    Args:
        question: the prompt.
        session_id: the session to go on with; None begins a new one.
        timeout: seconds for the whole call; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new one the current.
        options: see ``TurnRequest``.

    Raises:
        LLMError: one of its kinds, see ``mcp_coder.llm_errors``.

    Example::

        first = ask_claude_code_cli("My favorite color is blue")
        second = ask_claude_code_cli("What is it?", session_id=first["session_id"])
    """
    arguments = {"session_id": session_id, "timeout": timeout, "cwd": cwd, **options}
    return run_turn(ClaudeProvider(), new_request(question, method="cli", **arguments))


def build_cli_command(
    session_id: str | None, claude_cmd: str, *, directory: str = ".", **options: Unpack[TurnOptions]
) -> list[str]:
    """Return the arguments with which the program is started; the prompt is not among them but follows by stdin.

    Args:
        session_id: the session to go on with; None leaves the choice of an id to the program.
        claude_cmd: the program.
        directory: where the files stand that some options travel by.
        options: see ``TurnRequest``.

    Raises:
        InvalidRequestError: an argument is wrong.

    Example::

        build_cli_command(None, "claude")[:2]  # ["claude", "-p"]
    """
    request = new_request("-", session_id=session_id, **options)
    entry = Entry(first_id=session_id or "", resume=session_id, cwd="")
    return list(command_line(request, program=claude_cmd, entry=entry, directory=directory).argv)


def create_response_dict(
    text: str, session_id: str | None, raw_response: dict[str, object]
) -> LLMResponseDict:
    """Return a response as ``ask_claude_code_cli`` does, made now from what the program printed.

    Example::

        create_response_dict("Hello", "123e4567-e89b-42d3-a456-426614174000", {"type": "result", "result": "Hello"})
    """
    return new_response(
        text=text,
        session_id=session_id,
        method="cli",
        raw_response=raw_response,
        timestamp=datetime.now(UTC).isoformat(),
    )
