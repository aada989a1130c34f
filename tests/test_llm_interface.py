"""The plain calls: what they pass on, and what the environment stands in for."""

from __future__ import annotations

import psutil
import pytest

from mcp_coder.llm_errors import InvalidRequestError, LLMTimeoutError
from mcp_coder.llm_events import SessionStarted, TextDelta, TurnEvent, TurnFinished
from mcp_coder.llm_interface import ask_llm, prompt_llm, run_request, stream_llm
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_sessions.pool import SessionPool
from mcp_coder.testing import FakeClaude, Hang, Print, WaitForPrompt


def test_ask_gives_the_text_and_prompt_everything(fake_claude: FakeClaude) -> None:
    assert ask_llm("hello") == "You said: hello"
    response = prompt_llm("hello again")
    assert response["text"] == "You said: hello again"
    assert (response["version"], response["provider"], response["method"]) == ("1.0", "claude", "cli")
    assert response["raw_response"]["type"] == "result"
    assert response["session_id"] == fake_claude.calls()[1].flag("--session-id")


def test_arguments_stand_where_they_always_stood(fake_claude: FakeClaude) -> None:
    first = prompt_llm("one", "claude", "cli", None, 20, None)
    assert ask_llm("two", "claude", "api", first["session_id"], 20, None) == "You said: two"
    assert fake_claude.calls()[1].flag("--resume") == first["session_id"]


@pytest.mark.parametrize(
    ("variable", "value", "flag", "expected"),
    [("MCP_CODER_MODEL", "haiku", "--model", "haiku"), ("MCP_CODER_MODEL", "", "--model", None)],
)
def test_a_model_from_the_environment(
    fake_claude: FakeClaude,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    flag: str,
    expected: str | None,
) -> None:
    monkeypatch.setenv(variable, value)
    prompt_llm("hello")
    assert fake_claude.calls()[0].flag(flag) == expected


def test_what_the_caller_says_wins_over_the_environment(
    fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_CODER_MODEL", "haiku")
    monkeypatch.setenv("MCP_CODER_METHOD", "api")
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "nonsense")
    response = prompt_llm("hello", method="cli", timeout=30, model="opus")
    assert response["method"] == "cli"
    assert fake_claude.calls()[0].flag("--model") == "opus"


def test_a_method_from_the_environment(fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_METHOD", "api")
    assert prompt_llm("hello")["method"] == "api"
    monkeypatch.setenv("MCP_CODER_METHOD", "telepathy")
    with pytest.raises(InvalidRequestError, match="method must be one of"):
        prompt_llm("hello")


def test_a_timeout_from_the_environment(fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_claude.script(WaitForPrompt(), Hang())
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "0.5")
    with pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("hello")
    assert caught.value.timeout == 0.5


def test_no_timeout_from_the_environment(fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "none")
    assert ask_llm("hello") == "You said: hello"
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "soon")
    with pytest.raises(InvalidRequestError, match="MCP_CODER_TIMEOUT must be a number of seconds or 'none'"):
        ask_llm("hello")
    assert len(fake_claude.calls()) == 1


def test_an_unknown_option_is_refused_before_anything_starts(fake_claude: FakeClaude) -> None:
    with pytest.raises(TypeError, match="unknown option 'modle'"):
        prompt_llm("hello", modle="opus")  # type: ignore[call-arg]  # that is what is tested
    with pytest.raises(InvalidRequestError, match="provider must be one of"):
        prompt_llm("hello", provider="gpt")
    assert fake_claude.calls() == []


def test_a_watcher_is_handed_the_events(fake_claude: FakeClaude) -> None:
    seen: list[TurnEvent] = []
    response = run_request(new_request("hello"), observe=seen.append)
    kinds = [type(each).__name__ for each in seen]
    assert kinds == ["SessionStarted", "TextDelta", "UsageReported", "TurnFinished"]
    assert seen[-1] == TurnFinished(response=response)


@pytest.mark.parametrize("method", ["cli", "api"])
def test_a_stream_gives_the_events_as_they_come(fake_claude: FakeClaude, method: str) -> None:
    with stream_llm("hello", method=method) as events:
        told = list(events)
    assert "".join(each.text for each in told if isinstance(each, TextDelta)) == "You said: hello"
    assert told[-1] == TurnFinished(response=events.response)  # type: ignore[arg-type]  # it is there by now


def test_what_is_wrong_with_a_stream_is_said_at_the_call(fake_claude: FakeClaude) -> None:
    with pytest.raises(InvalidRequestError):
        stream_llm("hello", method="telepathy")
    assert fake_claude.calls() == []


def test_leaving_a_stream_early_stops_its_agent(fake_claude: FakeClaude) -> None:
    init = {"type": "system", "subtype": "init", "session_id": "{{session_id}}"}
    fake_claude.script(WaitForPrompt(), Print(init), Hang())
    for event in stream_llm("hello"):
        assert isinstance(event, SessionStarted)
        break
    (call,) = fake_claude.calls()
    assert not psutil.pid_exists(call.pid)


def test_no_agent_outlives_a_plain_call(fake_claude: FakeClaude) -> None:
    session = prompt_llm("one")["session_id"]
    assert not psutil.pid_exists(fake_claude.calls()[0].pid)
    prompt_llm("two", session_id=session)
    assert [call.prompts for call in fake_claude.calls()] == [["one"], ["two"]]


def test_a_pool_keeps_the_agent_for_the_sessions_next_turn(fake_claude: FakeClaude) -> None:
    with SessionPool() as pool:
        session = prompt_llm("one", pool=pool)["session_id"]
        assert ask_llm("two", session_id=session, pool=pool) == "You said: two"
        with stream_llm("three", session_id=session, pool=pool) as events:
            list(events)
    assert [call.prompts for call in fake_claude.calls()] == [["one", "two", "three"]]
