"""One turn, by each of the ways that are compared: a prompt in, the answer's text and the session's id out.

Each waits until the program has ended, as its users do. What a way needs is imported when it is first used, so that a
process that measures one way has not loaded the others; a warm measurement takes one turn before it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions

PATIENCE = 300.0
"""Seconds that no turn here takes, on however busy a machine: no figure is one of a time limit."""

MESSAGE_LIMIT = 64 * 1024 * 1024  # the SDK's own default fails on the big answer


class Answer(NamedTuple):
    """What a turn answered."""

    text: str
    session_id: str


Way: TypeAlias = Callable[[str, str, str | None], Answer]
"""(the program, the prompt, the session to go on with or None) -> the answer."""


def by_cli(_program: str, prompt: str, session_id: str | None = None) -> Answer:
    """Ask by our ``prompt_llm``, method ``"cli"``."""
    return _prompt_llm("cli", prompt, session_id)


def by_api(_program: str, prompt: str, session_id: str | None = None) -> Answer:
    """Ask by our ``prompt_llm``, method ``"api"``."""
    return _prompt_llm("api", prompt, session_id)


def _prompt_llm(method: str, prompt: str, session_id: str | None) -> Answer:
    from mcp_coder import prompt_llm

    response = prompt_llm(prompt, method=method, session_id=session_id, timeout=PATIENCE)
    return Answer(response["text"], response["session_id"] or "")


def by_stdin(program: str, prompt: str, session_id: str | None = None) -> Answer:
    """Ask by the bare program, one shot, the prompt on its stdin."""
    return _one_shot(program, session_id, given=prompt)


def by_argv(program: str, prompt: str, session_id: str | None = None) -> Answer:
    """Ask by the bare program, one shot, the prompt as an argument: the way that scripts mostly take."""
    return _one_shot(program, session_id, prompt)


def _one_shot(program: str, session_id: str | None, *prompt: str, given: str = "") -> Answer:
    import json
    import subprocess

    resume = [] if session_id is None else [f"--resume={session_id}"]
    argv = [program, "-p", "--output-format", "json", *resume, *prompt]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return Answer(result["result"], result["session_id"])


def by_query(program: str, prompt: str, session_id: str | None = None) -> Answer:
    """Ask by the SDK's own ``query()``, for the same agent as the program's: its system prompt, its settings."""
    import asyncio

    from claude_agent_sdk import ClaudeAgentOptions

    options = ClaudeAgentOptions(
        cli_path=program,
        system_prompt={"type": "preset", "preset": "claude_code"},
        max_buffer_size=MESSAGE_LIMIT,
        resume=session_id,
    )
    return asyncio.run(_query(prompt, options))


async def _query(prompt: str, options: ClaudeAgentOptions) -> Answer:
    from claude_agent_sdk import ResultMessage, query

    answer = Answer("", "")
    async for message in query(
        prompt=prompt, options=options
    ):  # to its end: that is where the program has ended
        if isinstance(message, ResultMessage):
            answer = Answer(message.result or "", message.session_id)
    return answer


WAYS: dict[str, Way] = {
    "by_api": by_api,
    "by_argv": by_argv,
    "by_cli": by_cli,
    "by_query": by_query,
    "by_stdin": by_stdin,
}
