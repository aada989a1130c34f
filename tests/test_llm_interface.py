"""The plain calls: what they pass on, and what the environment stands in for."""

from __future__ import annotations

import pytest

from mcp_coder.llm_errors import InvalidRequestError, LLMTimeoutError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_interface import ask_llm, prompt_llm, run_request
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import FakeClaude, Hang, WaitForPrompt


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
    run_request(new_request("hello"), observe=seen.append)
    assert [type(each).__name__ for each in seen] == ["SessionStarted"]
