"""From plain code, inside a running event loop, from threads: it all works alike (s63), Ctrl-C included (s37)."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mcp_coder import (
    InterruptedTurnError,
    LLMTimeoutError,
    ServerError,
    ask_claude_code,
    ask_llm,
    prompt_llm,
    stop_all,
)
from mcp_coder.llm_providers.claude.claude_code_api import (
    ask_claude_code_api,
    ask_claude_code_api_detailed,
    ask_claude_code_api_detailed_sync,
)
from mcp_coder.llm_providers.claude.claude_code_cli import ask_claude_code_cli
from mcp_coder.testing import FakeCall, FakeClaude, Hang, Reply, StandIn, WaitForPrompt

if TYPE_CHECKING:
    from tests.integration.conftest import Child

    StartPython = Callable[..., Child]
    Remaining = Callable[[], list[psutil.Process]]

LONGEST = 90.0

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
cli_first = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])
"""The same by both methods, of which one is left to the long tests."""

# --- s63

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ask_llm-cli": partial(ask_llm, method="cli"),
    "ask_llm-api": partial(ask_llm, method="api"),
    "prompt_llm-cli": partial(prompt_llm, method="cli"),
    "prompt_llm-api": partial(prompt_llm, method="api"),
    "ask_claude_code-cli": partial(ask_claude_code, method="cli"),
    "ask_claude_code-api": partial(ask_claude_code, method="api"),
    "ask_claude_code_cli": ask_claude_code_cli,
    "ask_claude_code_api": ask_claude_code_api,
    "ask_claude_code_api_detailed_sync": ask_claude_code_api_detailed_sync,
}


def tell_a_story(model: StandIn, ask: Callable[..., Any], name: str) -> None:
    """Begin a session, fail in it, and go on in it."""

    def text(question: str) -> str:
        answer = ask(question, session=name, timeout=LONGEST)
        return str(answer if isinstance(answer, str) else answer["text"])

    told = f"My favorite color is {name}"
    assert text(told) == f"Noted: my favorite color is {name}"
    with pytest.raises(ServerError) as failed:
        text("fail now")
    assert text("What is my favorite color?") == f"Your favorite color is {name}"
    sessions = {turn.session_id for turn in model.server.turns() if told in turn.prompts}
    assert sessions == {failed.value.session_id}


@pytest.fixture
def moody(model: StandIn) -> StandIn:
    """Let the model fail and hang when it is asked to."""
    model.server.add_rule(Reply.error(529), prompt="fail now")
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang now")
    return model


def _in_turn(first: int) -> pytest.MarkDecorator:
    """Leave every other function to the long tests."""
    return pytest.mark.parametrize(
        "function",
        [
            pytest.param(name, marks=() if place // 2 % 2 == first else pytest.mark.long)
            for place, name in enumerate(FUNCTIONS)
        ],
    )


@_in_turn(0)
def test_s63_from_plain_code(moody: StandIn, remaining_processes: Remaining, function: str) -> None:
    tell_a_story(moody, FUNCTIONS[function], "blue")
    assert remaining_processes() == []


@_in_turn(1)
def test_s63_inside_a_running_loop(moody: StandIn, remaining_processes: Remaining, function: str) -> None:
    async def main() -> None:
        tell_a_story(moody, FUNCTIONS[function], "blue")
        await asyncio.sleep(0)  # the loop is none the worse for it

    asyncio.run(main())
    assert remaining_processes() == []


@both_methods
def test_s63_time_limits_inside_a_running_loop(
    moody: StandIn, remaining_processes: Remaining, method: str
) -> None:
    async def main() -> None:
        prompt_llm("hang now", method=method, timeout=LONGEST, inactivity_timeout=1.5)

    with pytest.raises(LLMTimeoutError):
        asyncio.run(main())
    assert remaining_processes() == []


@pytest.mark.parametrize(
    "with_loops", [False, pytest.param(True, marks=pytest.mark.long)], ids=["plain", "each-with-a-loop"]
)
def test_s63_from_eight_threads(moody: StandIn, remaining_processes: Remaining, with_loops: bool) -> None:
    before = set(threading.enumerate())

    def tell(function: str) -> None:
        if not with_loops:
            return tell_a_story(moody, FUNCTIONS[function], function)

        async def main() -> None:
            tell_a_story(moody, FUNCTIONS[function], function)

        return asyncio.run(main())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, list(FUNCTIONS)[1:]))  # eight of them
    assert remaining_processes() == []
    assert set(threading.enumerate()) == before


def test_s63_the_async_form_leaves_the_loop_free(moody: StandIn, remaining_processes: Remaining) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.02)
            beats += 1

    async def story() -> None:
        beating = asyncio.create_task(beat())
        first = await ask_claude_code_api_detailed("My favorite color is blue", timeout=LONGEST)
        assert beats >= 10
        info: Any = first["session_info"]
        session = info["session_id"]
        with pytest.raises(ServerError) as failed:
            await ask_claude_code_api_detailed("fail now", timeout=LONGEST, session_id=session)
        assert failed.value.session_id == session
        question = "What is my favorite color?"
        again = await ask_claude_code_api_detailed(question, timeout=LONGEST, session_id=session)
        assert again["text"] == "Your favorite color is blue"
        beating.cancel()

    asyncio.run(story())
    assert remaining_processes() == []


def test_s63_the_async_form_eight_at_once(moody: StandIn, remaining_processes: Remaining) -> None:
    async def story() -> list[Any]:
        return await asyncio.gather(
            *(ask_claude_code_api_detailed(f"turn {number}", timeout=LONGEST) for number in range(8))
        )

    answers = asyncio.run(story())
    assert [answer["text"] for answer in answers] == [f"echo: turn {number}" for number in range(8)]
    assert len({answer["session_info"]["session_id"] for answer in answers}) == 8
    assert remaining_processes() == []


@both_methods
def test_s63_stop_all_ends_eight_turns_at_once_and_later_ones_run(
    fake: FakeClaude, remaining_processes: Remaining, method: str
) -> None:
    for _ in range(8):
        fake.script(WaitForPrompt(), Hang(), ignores=("SIGINT",))
    fake.script()  # for the ninth call
    with ThreadPoolExecutor(8) as pool:
        turns = [pool.submit(prompt_llm, "Hello", method=method, timeout=LONGEST) for _ in range(8)]
        wait_for_prompts(fake, 8)
        began = time.monotonic()
        stop_all()
        assert remaining_processes() == []
        assert time.monotonic() - began < 8
        assert {type(turn.exception(LONGEST)) for turn in turns} == {InterruptedTurnError}
    assert prompt_llm("Hello again", method=method, timeout=LONGEST)["text"] == "You said: Hello again"


def wait_for_prompts(fake: FakeClaude, count: int, script: Child | None = None) -> None:
    """Wait until so many prompts were given, or the script that should give them has ended."""

    def enough(calls: list[FakeCall]) -> bool:
        ended = script is not None and script.process.poll() is not None
        return ended or sum(len(call.prompts) for call in calls) >= count

    fake.wait_for(enough, LONGEST)
    assert script is None or script.process.poll() is None, script.errors()


# --- s37: Ctrl-C while worker threads wait for agents

_SCRIPT = """
import asyncio, json, sys, threading
from concurrent.futures import ThreadPoolExecutor
import psutil
from mcp_coder import prompt_llm

def ask(number):
    return prompt_llm(f"hang {number}", method=sys.argv[2], timeout=300)

def pool(turns=8):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(turns)))

def left_open():
    pool = ThreadPoolExecutor(8)
    for turn in [pool.submit(ask, number) for number in range(16)]:
        turn.result()

def loop(turns=8):
    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        await asyncio.gather(*(asyncio.to_thread(ask, number) for number in range(turns)))
    asyncio.run(main())

def threads():
    started = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for each in started:
        each.start()
    for each in started:
        each.join()

def looked_after():
    try:
        pool()
    except KeyboardInterrupt:
        # The threads are joined; no agent may be left to be joined with them.
        print(json.dumps(len(psutil.Process().children(recursive=True))), flush=True)
        raise

WAYS = {
    "pool": pool,
    "pool with queued work": lambda: pool(24),
    "pool left open": left_open,
    "loop": loop,
    "loop with queued work": lambda: loop(24),
    "threads": threads,
    "main thread": lambda: ask(0),
    "looked after": looked_after,
}
WAYS[sys.argv[1]]()
"""
_WAYS = (
    "pool",
    "pool with queued work",
    "pool left open",
    "loop",
    "loop with queued work",
    "threads",
    "main thread",
)


@contextmanager
def interrupted(start_python: StartPython, fake: FakeClaude, way: str, method: str) -> Iterator[Child]:
    """Start a script, and send it Ctrl-C when its agents are at work."""
    fake.script(WaitForPrompt(), Hang(), ignores=("SIGINT",))  # so that each takes 2 s to end
    script = start_python(_SCRIPT, way, method)
    wait_for_prompts(fake, 1 if way == "main thread" else 8, script)
    began = time.monotonic()
    script.process.send_signal(signal.SIGINT)
    yield script
    code = script.process.wait(LONGEST)
    assert time.monotonic() - began < 8
    assert code == -signal.SIGINT, script.errors()
    assert "KeyboardInterrupt" in script.errors()
    assert "Fatal error" not in script.errors()  # the SDK's word for a program that we ended


@cli_first
@pytest.mark.parametrize("way", _WAYS)
def test_s37_ctrl_c_ends_all_agents(
    start_python: StartPython, fake: FakeClaude, remaining_processes: Remaining, way: str, method: str
) -> None:
    with interrupted(start_python, fake, way, method):
        pass
    assert remaining_processes() == []
    assert len(fake.calls()) == (1 if way == "main thread" else 8)  # what was queued never began
    assert {"SIGINT" in call.signals for call in fake.calls()} == {True}


@both_methods
def test_s37_ctrl_c_ends_the_agents_before_the_threads_are_joined(
    start_python: StartPython, fake: FakeClaude, remaining_processes: Remaining, method: str
) -> None:
    with interrupted(start_python, fake, "looked after", method) as script:
        assert script.hear() == 0
    assert remaining_processes() == []


@both_methods
@pytest.mark.parametrize("way", ["pool with queued work", "loop"])
def test_s37_ctrl_c_again_and_again(
    start_python: StartPython, fake: FakeClaude, remaining_processes: Remaining, way: str, method: str
) -> None:
    with interrupted(start_python, fake, way, method) as script:
        for count in (1, 8):  # as soon as the first agent, then all agents, were told to stop
            fake.wait_for(partial(were_told, count=count), LONGEST)
            script.process.send_signal(signal.SIGINT)
    assert remaining_processes() == []
    assert len(fake.calls()) == 8


def were_told(calls: list[FakeCall], *, count: int) -> bool:
    return len([call for call in calls if call.signals]) >= count


@cli_first
def test_s37_ctrl_c_with_the_real_program(
    start_python: StartPython, model: StandIn, remaining_processes: Remaining, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    script = start_python(_SCRIPT, "pool", method)
    model.server.wait_for(8, LONGEST)
    began = time.monotonic()
    script.process.send_signal(signal.SIGINT)
    assert script.process.wait(LONGEST) == -signal.SIGINT, script.errors()
    assert time.monotonic() - began < 8
    assert remaining_processes() == []
    sessions = {turn.session_id for turn in model.server.turns()}
    model.server.clear_rules()
    answer = prompt_llm("What did I say?", method=method, session_id=sessions.pop(), timeout=LONGEST)
    assert "hang" in answer["text"]
