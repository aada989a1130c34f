"""Claude Code by its program, as callers have always called it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mcp_coder.llm_errors import InvalidRequestError, ResponseFormatError
from mcp_coder.llm_providers.claude.claude_code_cli import (
    ask_claude_code_cli,
    build_cli_command,
    create_response_dict,
    parse_cli_json_string,
)
from mcp_coder.testing import FakeClaude

SESSION = "123e4567-e89b-42d3-a456-426614174000"
SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"


def test_a_session_goes_on(fake_claude: FakeClaude) -> None:
    first = ask_claude_code_cli("one")
    second = ask_claude_code_cli("two", first["session_id"], 20, None)
    assert first["session_id"] == second["session_id"]
    assert second["method"] == "cli"
    assert second["raw_response"]["type"] == "result"
    assert fake_claude.calls()[1].flag("--resume") == first["session_id"]


def test_options_reach_the_program(fake_claude: FakeClaude) -> None:
    ask_claude_code_cli("one", model="haiku", allowed_tools=["Read", "Bash(git *)"])
    assert fake_claude.calls()[0].flag("--model") == "haiku"
    assert fake_claude.calls()[0].flag("--allowedTools") == "Read,Bash(git *)"


def test_the_command_holds_no_prompt_and_the_session() -> None:
    plain = build_cli_command(None, "/bin/claude")
    assert plain[:2] == ["/bin/claude", "-p"]
    assert not any("resume" in word or "session" in word for word in plain)
    assert f"--resume={SESSION}" in build_cli_command(SESSION, "claude")
    assert "--model=opus" in build_cli_command(SESSION, "claude", model="opus")
    with pytest.raises(InvalidRequestError):
        build_cli_command("--help", "claude")


def test_a_response_is_made_from_what_was_printed() -> None:
    printed = parse_cli_json_string((SAMPLES / "json_success.stdout").read_text())
    response = create_response_dict(printed["text"], printed["session_id"], printed["raw_response"])
    assert (response["text"], response["method"], response["provider"]) == ("Noted: blue", "cli", "claude")
    assert response["raw_response"]["total_cost_usd"] == 0.049283999999999994
    assert datetime.fromisoformat(response["timestamp"]).utcoffset() == timedelta(0)


def test_what_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ResponseFormatError):
        parse_cli_json_string("oh no")
