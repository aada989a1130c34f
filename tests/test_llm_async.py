"""The async forms: the same turns, no event loop held up, and nothing left running behind a cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import psutil
import pytest

from mcp_coder import SessionPool, open_store
from mcp_coder.llm_async import AsyncTurnStream, aask_llm, aopen_session, aprompt_llm, astream_llm
from mcp_coder.llm_errors import InvalidRequestError, LimitReachedError, SessionError
from mcp_coder.llm_events import TextDelta, ToolStarted, TurnEvent, TurnFinished
from mcp_coder.testing import FakeClaude, Hang, Reply, StandIn, WaitForPrompt

T = TypeVar("T")
PATIENCE = 60.0
LONG_TOOL = Reply.tool_use("Bash", command="python3 -c 'import time; time.sleep(300)'")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def agents() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if _runs(each)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_lines() -> list[str]:
    lines = []
    for each in agents():
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(each.cmdline()))
    return lines


def tool_runs() -> bool:
    return any("sleep(300)" in line for line in command_lines())


async def until(happened: Any) -> None:
    while not happened():
        await asyncio.sleep(0.01)


def test_text_and_everything(fake_claude: FakeClaude) -> None:
    async def both() -> tuple[str, str]:
        return await aask_llm("one"), (await aprompt_llm("two", "claude", "api"))["method"]

    assert run(both()) == ("You said: one", "api")


@pytest.mark.parametrize("call", [aask_llm, aprompt_llm], ids=lambda call: call.__name__)
def test_a_wrong_argument_is_told_before_anything_starts(call: Any, fake_claude: FakeClaude) -> None:
    with pytest.raises(InvalidRequestError, match="blank"):
        run(call(" "))
    assert fake_claude.calls() == []


def test_many_at_once_and_the_loop_goes_on(fake_claude: FakeClaude) -> None:
    async def all_of_them() -> tuple[list[str], float]:
        turns = asyncio.gather(*(aask_llm(str(number), store="off") for number in range(12)))
        longest, last = 0.0, time.monotonic()
        while not turns.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return await turns, longest

    answers, longest = run(all_of_them())
    assert answers == [f"You said: {number}" for number in range(12)]
    assert longest < 2  # one turn after another would hold the loop up for each of them


def test_cancelled_it_stops_its_agent_and_is_recorded(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())

    async def cancelled() -> None:
        turn = asyncio.create_task(aask_llm("hello", timeout=50))
        await until(lambda: any(call.prompts for call in fake_claude.calls()))
        turn.cancel()
        turn.cancel()  # whoever is impatient waits all the same
        with pytest.raises(asyncio.CancelledError):
            await turn

    run(cancelled())
    assert agents() == []
    (session,) = open_store().sessions()
    assert [turn.state for turn in open_store().turns(session.session_id)] == ["interrupted"]


def test_a_stream_gives_events_and_then_the_response(fake_claude: FakeClaude) -> None:
    async def streamed() -> tuple[list[TurnEvent], AsyncTurnStream]:
        stream = astream_llm("hello")
        return [event async for event in stream], stream

    events, stream = run(streamed())
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "You said: hello"
    last = events[-1]
    assert isinstance(last, TurnFinished)
    assert stream.response == last.response

    async def once_more() -> None:
        with pytest.raises(StopAsyncIteration):
            await anext(aiter(stream))

    run(once_more())


def test_an_error_comes_behind_the_events_before_it(claude_standin: StandIn) -> None:
    claude_standin.server.add_rule(Reply.tool_use("Bash", command="echo 1"), prompt="run it")

    async def streamed() -> list[str]:
        seen: list[str] = []
        stream = astream_llm("run it", max_turns=1, allowed_tools=["Bash"], timeout=PATIENCE)
        while "LimitReachedError" not in seen:
            try:
                seen.append(type(await anext(stream)).__name__)
            except LimitReachedError as error:
                seen.append(type(error).__name__)
        return seen

    assert run(streamed())[-2:] == ["ToolFinished", "LimitReachedError"]


async def left_by_break(stream: AsyncTurnStream) -> None:
    async for event in stream:
        if isinstance(event, ToolStarted):
            break


async def left_under_with(stream: AsyncTurnStream) -> None:
    async with stream:
        await left_by_break(stream)
    assert not tool_runs()


async def closed(stream: AsyncTurnStream) -> None:
    await left_by_break(stream)
    await stream.aclose()
    await stream.aclose()


async def cancelled_while_waiting(stream: AsyncTurnStream) -> None:
    async def all_of_it() -> None:
        async for _event in stream:
            pass

    reader = asyncio.create_task(all_of_it())
    await until(tool_runs)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def dropped(stream: AsyncTurnStream) -> None:
    await left_by_break(stream)
    del stream
    gc.collect()


@pytest.mark.parametrize(
    "leave",
    [left_by_break, left_under_with, closed, cancelled_while_waiting, dropped],
    ids=lambda leave: leave.__name__,
)
def test_whoever_leaves_a_stream_stops_its_turn(leave: Any, claude_standin: StandIn) -> None:
    claude_standin.server.add_rule(LONG_TOOL, prompt="run it")

    async def left() -> None:
        await leave(astream_llm("run it", allowed_tools=["Bash"], timeout=PATIENCE))
        await until(lambda: agents() == [])

    run(left())
    (session,) = open_store().sessions()
    assert [turn.state for turn in open_store().turns(session.session_id)] == ["interrupted"]


@pytest.mark.parametrize("method", ["cli", "api"])
def test_a_session_is_awaited(method: str, claude_standin: StandIn) -> None:
    claude_standin.server.add_rule(LONG_TOOL, prompt="run it")

    async def talk() -> None:
        async with aopen_session(method=method, timeout=PATIENCE, allowed_tools=["Bash"]) as session:
            first = await session.prompt("My favorite color is blue")
            assert first["session_id"] == session.id
            (agent,) = agents()
            texts = [
                event.text
                async for event in session.stream("What is my favorite color?")
                if isinstance(event, TextDelta)
            ]
            assert "".join(texts) == "Your favorite color is blue"
            turn = asyncio.create_task(session.prompt("run it"))
            await until(tool_runs)
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            fork = await session.fork()
            async with fork:
                assert (await fork.prompt("What is my favorite color?"))["text"].endswith("blue")
            assert agent.is_running()  # it was only interrupted
            assert [turn.state for turn in await session.turns()] == ["succeeded", "succeeded", "interrupted"]
            assert (await session.usage()).turns == 3
            assert not session.interrupt()
        with pytest.raises(SessionError, match="closed"):
            await session.prompt("hello")

    run(talk())
    assert agents() == []


def test_sessions_of_a_pool(claude_standin: StandIn) -> None:
    async def talk(pool: SessionPool) -> list[str]:
        session = await aopen_session(pool=pool, timeout=PATIENCE)
        await session.prompt("My favorite color is blue")
        answers = [
            await aask_llm("What is my favorite color?", session_id=session.id, pool=pool, timeout=PATIENCE)
        ]
        await session.close()
        return answers

    with SessionPool(max_live=1) as pool:
        assert run(talk(pool)) == ["Your favorite color is blue"]
    assert agents() == []


def test_a_session_that_cannot_be_opened_says_so(fake_claude: FakeClaude) -> None:
    async def refused() -> None:
        async with aopen_session(method="telepathy"):
            pass

    with pytest.raises(InvalidRequestError, match="method"):
        run(refused())
