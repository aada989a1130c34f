"""Many streams at once, in a process of its own: ``python -m bench.warm.listener WAY PROGRAM COUNT`` serves a job.

``listen`` has the model talk in so many sessions at once, each in an agent that is up. It returns what that took of
this process in per cent of one processor, and of all streams the longest time until a first piece of text, and the
longest between two pieces, in seconds. ``WAY`` is ``ours`` (``session.stream``, a thread each) or ``clients`` (the
SDK's ``ClaudeSDKClient``, a task each).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from bench.jobs import serve
from bench.model import TALK_PIECES, TALK_PROMPT
from bench.turns import PATIENCE

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient

    from mcp_coder import Session

_STARTS_AT_ONCE = 4
"""So many agents are started at a time: all at once would get in each other's way."""


class Heard:
    """One stream: when it was asked for, and what came when."""

    def __init__(self) -> None:
        self._times, self._texts = [time.perf_counter()], [""]

    def hear(self, text: str) -> None:
        """Take a piece."""
        self._times.append(time.perf_counter())
        self._texts.append(text)

    def gaps(self) -> list[float]:
        """Return the seconds before each piece. Raises ValueError where it is not what the model said."""
        if (said := "".join(self._texts)) != "and on " * TALK_PIECES:
            raise ValueError(f"a stream said {said[:80]!r}")
        return [after - before for before, after in pairwise(self._times)]


class Listener(Protocol):
    """So many agents that are up, and how to listen to all of them at once."""

    def listen(self) -> list[Heard]:
        """Take a turn in each at the same time."""

    def close(self) -> None:
        """End them."""


class Sessions:
    """Sessions of ours, a thread each."""

    def __init__(self, _program: str, count: int) -> None:
        self._threads = ThreadPoolExecutor(count)
        with ThreadPoolExecutor(_STARTS_AT_ONCE) as starting:
            self._sessions = list(starting.map(_started_session, range(count)))

    def listen(self) -> list[Heard]:
        """Take a turn in each at the same time."""
        return list(self._threads.map(_heard_from_session, self._sessions))

    def close(self) -> None:
        """End the agents."""
        list(self._threads.map(_close_session, self._sessions))
        self._threads.shutdown()


def _started_session(_number: int) -> Session:
    from mcp_coder import open_session

    session = open_session(timeout=PATIENCE, idle_seconds=None)
    session.prompt("Say hello")
    return session


def _heard_from_session(session: Session) -> Heard:
    from mcp_coder.llm_events import TextDelta

    heard = Heard()
    for event in session.stream(TALK_PROMPT):
        if isinstance(event, TextDelta):
            heard.hear(event.text)
    return heard


def _close_session(session: Session) -> None:
    session.close()


class Clients:
    """Clients of the SDK, all in one event loop."""

    def __init__(self, program: str, count: int) -> None:
        from .sdk_client import new_client

        self._runner = asyncio.Runner()
        self._clients = [new_client(program, partial=True) for _ in range(count)]
        places = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._of_each(lambda client: _start_client(client, places))

    def listen(self) -> list[Heard]:
        """Take a turn in each at the same time."""
        return self._of_each(_heard_from_client)

    def close(self) -> None:
        """Disconnect, which ends the agents."""
        self._of_each(lambda client: client.disconnect())
        self._runner.close()

    def _of_each(self, do: Callable[[ClaudeSDKClient], Coroutine[Any, Any, Any]]) -> list[Any]:
        async def gathered() -> list[Any]:
            return await asyncio.gather(*map(do, self._clients))

        return self._runner.run(gathered())


async def _start_client(client: ClaudeSDKClient, places: asyncio.Semaphore) -> None:
    from .sdk_client import answer_of

    async with places:
        await client.connect()
        await answer_of(client, "Say hello")


async def _heard_from_client(client: ClaudeSDKClient) -> Heard:
    from .sdk_client import pieces_of

    heard = Heard()
    async for text in pieces_of(client, TALK_PROMPT):
        heard.hear(text)
    return heard


WAYS: Mapping[str, Callable[[str, int], Listener]] = {"ours": Sessions, "clients": Clients}


def listen(listener: Listener) -> dict[str, float]:
    """Listen once and return the three numbers."""
    began, before = time.perf_counter(), time.process_time()
    heard = listener.listen()
    share = 100 * (time.process_time() - before) / (time.perf_counter() - began)
    gaps = [each.gaps() for each in heard]
    return {
        "share": share,
        "first": max(each[0] for each in gaps),
        "gap": max(gap for each in gaps for gap in each[1:]),
    }


def main(way: str, program: str, count: str) -> None:
    """Start the agents, listen once for what is loaded on use, and serve."""
    listener = WAYS[way](program, int(count))
    try:
        listener.listen()
        serve({"listen": lambda: listen(listener)})
    finally:
        listener.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
