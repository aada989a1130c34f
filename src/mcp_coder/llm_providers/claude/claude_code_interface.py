"""Claude Code by either method: a prompt in, its answer's text out."""

from __future__ import annotations

from typing import Unpack

from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import TurnOptions, new_request

__all__ = ["ask_claude_code"]


def ask_claude_code(
    question: str,
    method: str = "cli",
    session_id: str | None = None,
    timeout: float | None = 30,
    cwd: str | None = None,
    **options: Unpack[TurnOptions],
) -> str:
    """Ask Claude Code and return the text of its answer, without a record.

    Args:
        question: the prompt.
        method: ``"cli"`` (its program) or ``"api"`` (its Python SDK).
        session_id: the session to go on with; None begins a new one.
        timeout: seconds for the whole call; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new one the current.
        options: see ``TurnRequest``.

    Raises:
        LLMError: one of its kinds, see ``mcp_coder.llm_errors``.

    Example::

        ask_claude_code("Which files are here?", timeout=120, cwd="/srv/project")
    """
    arguments = {"method": method, "session_id": session_id, "timeout": timeout, "cwd": cwd, **options}
    return run_turn(ClaudeProvider(), new_request(question, **arguments))["text"]
