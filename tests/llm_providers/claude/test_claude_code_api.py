"""Claude Code by its SDK: the SDK over our transport, plain JSON out, every exception translated."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path, PurePosixPath

import claude_agent_sdk
import pytest
from claude_agent_sdk import _errors

from mcp_coder.llm_errors import (
    AgentError,
    AgentNotFoundError,
    LLMError,
    LLMTimeoutError,
    ResponseFormatError,
)
from mcp_coder.llm_providers.base import Agent, Entry, Outcome
from mcp_coder.llm_providers.claude import claude_code_api as module
from mcp_coder.llm_providers.claude.claude_code_api import (
    ApiLive,
    ask_claude_code_api,
    ask_claude_code_api_detailed,
    ask_claude_code_api_detailed_sync,
    create_api_response_dict,
    plain,
    translate,
)
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_providers.turn_files import new_turn_files
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_serialization import from_json_string, to_json_string
from mcp_coder.testing import Exit, FakeClaude, Hang, Print, Sleep, Stderr, Turn, WaitForPrompt


def test_a_session_goes_on_and_everything_comes_back(fake_claude: FakeClaude) -> None:
    first = ask_claude_code_api("one")
    second = ask_claude_code_api("two", first["session_id"], 30, None)
    assert first["session_id"] == second["session_id"]
    assert (second["method"], second["text"]) == ("api", "You said: two")
    assert sorted(second["raw_response"]) == ["raw_messages", "result_info", "session_info"]
    assert from_json_string(to_json_string(second)) == second
    assert [call.prompts for call in fake_claude.calls()] == [["one"], ["two"]]


def test_everything_the_sdk_said(fake_claude: FakeClaude) -> None:
    detailed = ask_claude_code_api_detailed_sync("one", 30, None)
    assert sorted(detailed) == ["raw_messages", "result_info", "session_info", "text"]
    response = create_api_response_dict(str(detailed["text"]), "an-id", detailed)
    assert response["text"] == "You said: one"
    assert response["session_id"] == "an-id"
    assert response["raw_response"] == {name: detailed[name] for name in sorted(detailed) if name != "text"}


def test_from_a_running_loop(fake_claude: FakeClaude) -> None:
    async def ask_two() -> tuple[dict[str, object], dict[str, object]]:
        return await asyncio.gather(ask_claude_code_api_detailed("one"), ask_claude_code_api_detailed("two"))

    assert [each["text"] for each in asyncio.run(ask_two())] == ["You said: one", "You said: two"]


def test_cancelling_stops_the_agent(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Hang())

    async def cancelled() -> None:
        turn = asyncio.create_task(ask_claude_code_api_detailed("one"))
        fed = asyncio.to_thread(fake_claude.wait_for, lambda calls: any(call.prompts for call in calls), 30)
        await fed
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn

    asyncio.run(cancelled())
    assert fake_claude.calls()[0].exit_code is not None or fake_claude.calls()[0].signals


def test_no_thread_is_left(fake_claude: FakeClaude) -> None:
    before = set(threading.enumerate())
    ask_claude_code_api("one")
    fake_claude.script(Turn())
    fake_claude.script(WaitForPrompt(), Hang())
    with pytest.raises(LLMTimeoutError):
        ask_claude_code_api("two", timeout=3)
    assert set(threading.enumerate()) <= before


def test_a_program_that_ends_before_the_sdk_is_connected(fake_claude: FakeClaude) -> None:
    fake_claude.script(Stderr("Configuration error in /x/.claude.json\n"), Exit(1), reads_stdin=False)
    with pytest.raises(AgentError, match="Configuration error"):
        ask_claude_code_api("one")


def test_a_message_that_the_sdk_cannot_read(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn(before=({"type": "assistant"},)))
    response = ask_claude_code_api("one")
    assert response["text"] == "You said: one"  # as by the program alone: the SDK is not needed to read it
    messages = response["raw_response"]["raw_messages"]
    assert isinstance(messages, list)
    assert [message["type"] for message in messages] == ["system", "assistant", "assistant", "result"]


# --- kept between turns

ENTRY = Entry(
    first_id="11111111-1111-4111-8111-111111111111", begin="11111111-1111-4111-8111-111111111111", cwd="/"
)
INIT = {"type": "system", "subtype": "init", "session_id": ENTRY.begin}
REPORT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "a report",
    "session_id": ENTRY.begin,
    "duration_ms": 1,
    "duration_api_ms": 1,
    "num_turns": 1,
    "origin": {"kind": "task-notification"},
}


def start_kept(fake: FakeClaude, **options: object) -> ApiLive:
    agent = Agent(program=str(fake.path), version="", config_dir=None, env=dict(os.environ))
    request = new_request("-", method="api", **options)
    return ApiLive.start_kept(request, agent=agent, entry=ENTRY, files=new_turn_files())


@pytest.fixture
def live(fake_claude: FakeClaude) -> Iterator[ApiLive]:
    """Keep a program, as the first script says, and the SDK that speaks to it; nothing is left of either."""
    before = set(threading.enumerate())
    started = start_kept(fake_claude)
    yield started
    started.end()
    assert set(threading.enumerate()) <= before


def begin(live: ApiLive, question: str = "hello") -> None:
    request = new_request(question, method="api")
    live.begin(request, entry=ENTRY, files=new_turn_files(), observe=lambda _: None)


def wait_until(live: ApiLive, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        live.wait(0.05)


def turn(live: ApiLive, question: str) -> Outcome:
    begin(live, question)
    live.feed()
    wait_until(live, lambda: live.over)
    outcome = live.finish(stopped=None, seconds=None, grace=5)
    if outcome.kept:
        live.rest()
    return outcome


def said(outcome: Outcome) -> list[object]:
    """Return the results that the SDK handed on in a turn."""
    return [message["result"] for message in outcome.sdk_messages if message["type"] == "result"]


def test_turn_by_turn_in_one_program_and_one_sdk(fake_claude: FakeClaude, live: ApiLive) -> None:
    for question in ("one", "two", "three"):
        outcome = turn(live, question)
        assert (outcome.method, outcome.complete, outcome.kept, outcome.sdk_error) == (
            "api",
            True,
            True,
            None,
        )
        assert said(outcome) == [f"You said: {question}"]
        assert [event["type"] for event in outcome.events] == ["user", "system", "assistant", "result"]
    (call,) = fake_claude.calls()
    assert call.prompts == ["one", "two", "three"]
    greetings = [line for line in call.lines if '"initialize"' in line]
    assert len(greetings) == 1


def test_each_prompt_is_echoed_by_its_id_through_the_sdk_too(fake_claude: FakeClaude, live: ApiLive) -> None:
    ids = [turn(live, question).events[0]["uuid"] for question in ("one", "two")]
    sent = [json.loads(line) for line in fake_claude.calls()[0].lines]
    assert ids == [each["uuid"] for each in sent if each["type"] == "user"]


def test_the_sdk_is_greeted_ahead_of_the_first_turn(live: ApiLive) -> None:
    until = time.monotonic() + 60
    while live._conversation.connecting:  # nobody but the greeter reads what the program answers
        assert time.monotonic() < until
        time.sleep(0.01)
    assert live.alive
    assert said(turn(live, "one")) == ["You said: one"]


def test_a_first_turn_that_comes_before_the_greeting(live: ApiLive) -> None:
    outcome = turn(live, "one")
    assert (said(outcome), outcome.between) == (["You said: one"], ())


def test_a_conversation_that_is_interrupted_while_it_starts_leaves_no_thread(
    fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[threading.Thread] = []

    def start(self: threading.Thread) -> None:
        threading.Thread.start(self)
        started.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(module._Conversation, "start", start)
    with pytest.raises(KeyboardInterrupt):
        start_kept(fake_claude)
    (conversation,) = started
    assert not conversation.is_alive()


def test_an_answer_to_the_greeting_that_comes_just_as_the_first_turn_begins(
    fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Process.move_output

    def greeted_first(process: Process, path: str, *, empty: bool = False) -> None:
        until = time.monotonic() + 30
        while b"control_response" not in Path(process._output_path).read_bytes():
            assert time.monotonic() < until
            process.wait(0.05)
        move(process, path, empty=empty)

    monkeypatch.setattr(ApiLive, "_greet", lambda _live: None)  # which was about to read it
    live = start_kept(fake_claude)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Process, "move_output", greeted_first)
            begin(live, "one")
        live.feed()
        wait_until(live, lambda: live.over)
        assert said(live.finish(stopped=None, seconds=None, grace=5)) == ["You said: one"]
    finally:
        live.end()


@pytest.fixture(params=[0, 0.5], ids=["said", "under way"])
def with_a_report(request: pytest.FixtureRequest, fake_claude: FakeClaude) -> None:
    """Let the program report something between two turns; it has when the next prompt comes, or is just about to."""
    fake_claude.script(Turn(), Sleep(0.2), Print(INIT), Sleep(request.param), Print(REPORT), Turn())


def test_what_it_did_between_turns_is_no_message_of_the_next(with_a_report: None, live: ApiLive) -> None:
    turn(live, "one")
    until = time.monotonic() + 30
    while not live.stirred:
        assert time.monotonic() < until
        live._process.wait(0.05)
    outcome = turn(live, "two")
    assert said(outcome) == ["You said: two"]
    assert [event["type"] for event in outcome.between] == ["system", "result"]


def test_what_the_sdk_made_of_it_is_shown_while_the_agent_works(
    fake_claude: FakeClaude, hanging: None, live: ApiLive
) -> None:
    begin(live)
    live.feed()
    wait_until(live, lambda: bool(live.printed[1]))
    shown = live.printed[1][0]
    outcome = live.finish(stopped="interrupted", seconds=None, grace=5)
    assert outcome.sdk_messages[0] is shown
    live.rest()


@pytest.fixture
def hanging(fake_claude: FakeClaude) -> None:
    fake_claude.script(WaitForPrompt(), Print(INIT), Hang(), Turn())


def test_a_turn_that_is_broken_off_leaves_the_sdk_at_work(
    fake_claude: FakeClaude, hanging: None, live: ApiLive
) -> None:
    begin(live)
    live.feed()
    wait_until(live, lambda: live.begun and len(live._events) > 1)
    outcome = live.finish(stopped="interrupted", seconds=None, grace=5)
    assert (outcome.complete, outcome.kept, outcome.sdk_error) == (False, True, None)
    live.rest()
    assert said(turn(live, "two")) == ["You said: two"]
    (call,) = fake_claude.calls()
    assert call.signals == ()


def test_a_program_whose_sdk_failed_is_of_no_more_use(fake_claude: FakeClaude, live: ApiLive) -> None:
    assert said(turn(live, "one")) == ["You said: one"]
    live._conversation.deliver({"type": "assistant"})  # which it cannot read
    live._conversation.join(30)
    assert not live.alive
    assert fake_claude.calls()[0].exit_code is None
    assert isinstance(live._conversation.error, claude_agent_sdk.ClaudeSDKError)


def test_a_message_that_the_sdk_cannot_read_costs_the_agent_and_not_the_turn(fake_claude: FakeClaude) -> None:
    fake_claude.script(Turn(before=({"type": "assistant"},)))
    live = start_kept(fake_claude)
    begin(live, "one")
    live.feed()
    wait_until(live, lambda: live.over)
    began = time.monotonic()
    outcome = live.finish(stopped=None, seconds=None, grace=5)
    assert time.monotonic() - began < module._DRAIN_SECONDS  # for what has failed nobody waits
    assert (outcome.complete, outcome.events[-1]["result"]) == (True, "You said: one")
    assert isinstance(outcome.sdk_error, ResponseFormatError)
    assert not live.alive
    live.end()
    assert fake_claude.calls()[0].exit_code == 0


def test_one_that_never_had_a_turn_ends_at_once(fake_claude: FakeClaude) -> None:
    before = set(threading.enumerate())
    live = start_kept(fake_claude)
    fake_claude.wait_for(lambda calls: len(calls) == 1)
    began = time.monotonic()
    live.end()
    assert time.monotonic() - began < 5  # the SDK itself would wait a minute for its greeting's answer
    assert set(threading.enumerate()) <= before
    assert fake_claude.calls()[0].signals == ()


def test_a_program_that_dies_before_its_first_turn(fake_claude: FakeClaude) -> None:
    before = set(threading.enumerate())
    fake_claude.script(Exit(1), reads_stdin=False)
    live = start_kept(fake_claude)
    while live._process.exit_code() is None:
        live._process.wait(1)
    assert not live.alive
    live.end()
    assert set(threading.enumerate()) <= before


# --- plain JSON


class Colour(Enum):
    BLUE = "blue"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (claude_agent_sdk.TextBlock(text="hi"), {"type": "text", "text": "hi"}),
        (
            claude_agent_sdk.ToolUseBlock(id="1", name="Bash", input={"at": PurePosixPath("/x")}),
            {"type": "tool_use", "id": "1", "name": "Bash", "input": {"at": "/x"}},
        ),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
        (Colour.BLUE, "blue"),
        ((1, None, True, "x", 1.5), [1, None, True, "x", 1.5]),
        ({1: "one"}, {"1": "one"}),
    ],
    ids=str,
)
def test_what_the_sdk_gives_becomes_plain_json(value: object, expected: object) -> None:
    assert plain(value) == expected
    assert json.loads(json.dumps(expected)) == expected


def test_what_is_unknown_is_not_hidden() -> None:
    strange = object()
    assert plain({"x": [strange]}) == {"x": [strange]}
    assert module._plain_message("text") == {"type": "unknown", "value": "text"}


def test_every_message_class_of_the_sdk_has_a_type() -> None:
    names = [name for name in claude_agent_sdk.__all__ if name.endswith(("Message", "Block"))]
    classes: list[type] = [getattr(claude_agent_sdk, name) for name in names]
    records = [cls for cls in classes if dataclasses.is_dataclass(cls)]
    assert len(records) >= 8
    types = {module._type_name(cls.__name__) for cls in records}
    assert {"assistant", "user", "system", "result", "text", "thinking", "tool_use", "tool_result"} <= types
    assert all(name.islower() for name in types)


# --- exceptions

SDK_EXCEPTIONS = sorted(
    (cls for cls in vars(_errors).values() if isinstance(cls, type) and issubclass(cls, Exception)),
    key=lambda cls: cls.__name__,
)


def make(cls: type[Exception]) -> Exception:
    return cls("line", ValueError("why")) if cls.__name__ == "CLIJSONDecodeError" else cls("it broke")


def test_every_exception_of_the_sdk_is_in_the_table() -> None:
    assert {cls.__name__ for cls in SDK_EXCEPTIONS} == set(module.SDK_ERRORS)


@pytest.mark.parametrize("cls", SDK_EXCEPTIONS, ids=lambda cls: cls.__name__)
def test_every_exception_of_the_sdk_becomes_one_of_ours(cls: type[Exception]) -> None:
    original = make(cls)
    error = translate(original, "an-id")
    expected = {
        "CLINotFoundError": AgentNotFoundError,
        "CLIJSONDecodeError": ResponseFormatError,
        "MessageParseError": ResponseFormatError,
    }
    assert type(error) is expected.get(cls.__name__, AgentError)
    assert error.__cause__ is original


def test_what_the_sdk_knew_is_kept() -> None:
    result = claude_agent_sdk.ResultError("bad", {"api_error_status": 529, "type": "result"}, exit_code=1)
    error = translate(result, "an-id")
    assert isinstance(error, AgentError)
    assert (error.status, error.returncode, error.session_id) == (529, 1, "an-id")
    assert error.raw == {"api_error_status": 529, "type": "result"}


def test_whatever_else_it_raises_is_translated_too() -> None:
    error = translate(RuntimeError("no loop"), "an-id")
    assert isinstance(error, LLMError)
    assert "RuntimeError: no loop" in str(error)
