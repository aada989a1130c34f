"""Claude Code by its SDK: the SDK over our transport, plain JSON out, every exception translated."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePosixPath

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
from mcp_coder.llm_providers.claude import claude_code_api as module
from mcp_coder.llm_providers.claude.claude_code_api import (
    ask_claude_code_api,
    ask_claude_code_api_detailed,
    ask_claude_code_api_detailed_sync,
    create_api_response_dict,
    plain,
    translate,
)
from mcp_coder.llm_serialization import from_json_string, to_json_string
from mcp_coder.testing import Exit, FakeClaude, Hang, Stderr, Turn, WaitForPrompt


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
