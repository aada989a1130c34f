"""Claude Code by either method."""

from __future__ import annotations

import pytest

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_providers.claude.claude_code_interface import ask_claude_code
from mcp_coder.testing import FakeClaude


@pytest.mark.parametrize("method", ["cli", "api"])
def test_the_text_comes_back(fake_claude: FakeClaude, method: str) -> None:
    assert ask_claude_code("hello", method, None, 30, None) == "You said: hello"
    assert fake_claude.calls()[0].prompts == ["hello"]


def test_options_are_passed_on(fake_claude: FakeClaude) -> None:
    ask_claude_code("hello", session="nightly", model="haiku")
    assert fake_claude.calls()[0].flag("--model") == "haiku"


def test_there_is_no_third_method(fake_claude: FakeClaude) -> None:
    with pytest.raises(InvalidRequestError, match="method must be one of 'cli', 'api', not 'web'"):
        ask_claude_code("hello", "web")
    assert fake_claude.calls() == []
