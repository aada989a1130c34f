"""The SDK's own client, ``ClaudeSDKClient``: what our warm sessions stand beside.

It is given the same agent as ours: the same program, and Claude Code's own system prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from bench.turns import MESSAGE_LIMIT, Answer

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient

_T = TypeVar("_T")


def new_client(program: str, *, partial: bool = False) -> ClaudeSDKClient:
    """Return a client that is not connected yet; ``partial``: it is told the text piece by piece."""
    from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

    options = ClaudeAgentOptions(
        cli_path=program,
        system_prompt={"type": "preset", "preset": "claude_code"},
        max_buffer_size=MESSAGE_LIMIT,
        include_partial_messages=partial,
    )
    return ClaudeSDKClient(options)


async def answer_of(client: ClaudeSDKClient, prompt: str) -> Answer:
    """Take a turn."""
    from claude_agent_sdk import ResultMessage

    await client.query(prompt)
    answer = Answer("", "")
    async for message in client.receive_response():
        if isinstance(message, ResultMessage):
            answer = Answer(message.result or "", message.session_id)
    return answer


async def pieces_of(client: ClaudeSDKClient, prompt: str) -> AsyncIterator[str]:
    """Take a turn and give the pieces of its text as they come."""
    from claude_agent_sdk import StreamEvent

    await client.query(prompt)
    async for message in client.receive_response():
        if isinstance(message, StreamEvent):
            delta = message.event.get("delta") or {}
            if delta.get("type") == "text_delta":
                yield delta["text"]


class SdkSession:
    """A connected client whose turns are taken one by one, all in one event loop of its own."""

    def __init__(self, program: str, *, partial: bool = False) -> None:
        self.client = new_client(program, partial=partial)
        self._runner = asyncio.Runner()
        self.run(self.client.connect())

    def run(self, doing: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the loop."""
        return self._runner.run(doing)

    def close(self) -> None:
        """Disconnect, which ends the program."""
        self.run(self.client.disconnect())
        self._runner.close()
