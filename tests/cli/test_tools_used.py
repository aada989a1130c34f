"""Calls of tools, read from what the agent printed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.stored import tool_events

from mcp_coder.cli.tools_used import ToolCall, tool_calls

SAMPLES = Path(__file__).parents[1] / "data" / "claude-code-2.1.330"


def test_calls_come_in_order_with_what_tells_most_and_whether_they_failed() -> None:
    events = tool_events(
        ("Bash", {"timeout": 5, "command": "ls -la"}, False),
        ("Read", {"file_path": "x"}, True),
        ("Think", {}, False),
    )
    assert tool_calls("claude", events) == (
        ToolCall(name="Bash", detail="ls -la"),
        ToolCall(name="Read", detail="x", failed=True),
        ToolCall(name="Think"),
    )


def test_what_the_real_program_printed_is_read() -> None:
    lines = (SAMPLES / "stream_tool_use.stdout").read_text("utf-8").splitlines()
    calls = tool_calls("claude", [json.loads(line) for line in lines])
    assert [(call.name, call.failed) for call in calls] == [("Bash", False)]


def test_an_agent_that_nobody_here_can_read_has_no_calls() -> None:
    assert tool_calls("another", tool_events(("Bash", {}, False))) == ()
