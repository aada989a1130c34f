"""Which requests are turns, and what a record tells of one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_coder.testing.recorded_request import RecordedRequest, kind_of

CLI = {"user-agent": "claude-cli/2.1.330 (external, sdk-cli)"}
ASK = {"messages": [{"role": "user", "content": "hello"}]}
TURN = {**ASK, "tools": [{"name": "Bash"}], "thinking": {"type": "adaptive"}}
TITLE = {**ASK, "tools": [], "output_config": {"effort": "medium", "format": {"type": "json_schema"}}}
COMPACT = {
    **TURN,
    "messages": [{"role": "user", "content": "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."}],
}
MESSAGES = "/v1/messages?beta=true"

KINDS = {
    "a turn": ("POST", MESSAGES, CLI, TURN, "turn"),
    "a turn without tools": ("POST", MESSAGES, CLI, {**TURN, "tools": []}, "turn"),
    "a turn without thinking": ("POST", MESSAGES, CLI, {**ASK, "tools": [{"name": "Bash"}]}, "turn"),
    "a plain client": ("POST", "/v1/messages", {}, ASK, "turn"),
    "a sub-agent": ("POST", MESSAGES, {**CLI, "x-claude-code-agent-id": "a24"}, TURN, "subagent"),
    "a title": ("POST", MESSAGES, CLI, TITLE, "side"),
    "a small call": ("POST", MESSAGES, CLI, ASK, "side"),
    "a summary": ("POST", MESSAGES, CLI, COMPACT, "side"),
    "named as side work": ("POST", MESSAGES, {"x-claude-code-request-class": "auxiliary"}, TURN, "side"),
    "tokens": ("POST", "/v1/messages/count_tokens?beta=true", CLI, ASK, "count_tokens"),
    "HEAD": ("HEAD", "/", {}, {}, "probe"),
    "GET": ("GET", "/v1/models", {}, {}, "probe"),
    "another path": ("POST", "/v1/complete", CLI, ASK, "unknown"),
    "another method": ("PUT", "/v1/messages", CLI, ASK, "unknown"),
}


@pytest.mark.parametrize(("method", "path", "headers", "body", "kind"), KINDS.values(), ids=KINDS)
def test_kinds_are_told_apart(method: str, path: str, headers: Any, body: Any, kind: str) -> None:
    assert kind_of(method, path, headers, body) == kind


def recorded(body: Any, **headers: Any) -> Any:
    return RecordedRequest(method="POST", path=MESSAGES, headers=headers, body=body, time=datetime.now(UTC))


def test_a_record_tells_what_is_asked() -> None:
    request = recorded(
        {
            "model": "opus",
            "messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        },
        **{"x-claude-code-session-id": "s-1", "x-claude-code-agent-id": "a-1"},
    )
    assert (request.session_id, request.agent_id, request.model) == ("s-1", "a-1", "opus")
    assert (request.prompts, request.prompt, request.end) == (["one", "two"], "two", "prompt")


def test_a_record_of_a_tool_result_asks_no_prompt() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
    request = recorded(
        {"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": [result]}]}
    )
    assert (request.prompt, request.prompts, request.tool_outputs) == (None, ["one"], ["42"])
    assert (request.session_id, request.agent_id, request.model) == (None, None, "")
