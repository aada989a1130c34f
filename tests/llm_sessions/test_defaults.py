"""What holds where a caller says nothing; ``tests/test_llm_interface.py`` has it through the public calls."""

from __future__ import annotations

import pytest

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT
from mcp_coder.llm_sessions.defaults import turn_arguments


def arguments(**given: object) -> dict[str, object]:
    plain: dict[str, object] = {"method": DEFAULT_METHOD, "timeout": DEFAULT_TIMEOUT, "options": {}, **given}
    return turn_arguments("claude", cwd=None, session_id=None, **plain)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL", "METHOD", "TIMEOUT"):
        monkeypatch.delenv(f"MCP_CODER_{name}", raising=False)


def test_nothing_said_anywhere() -> None:
    expected = {
        "provider": "claude",
        "method": "cli",
        "session_id": None,
        "timeout": 30,
        "cwd": None,
        "model": None,
    }
    assert arguments() == expected


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("MCP_CODER_METHOD", "api", "method", "api"),
        ("MCP_CODER_METHOD", "", "method", "cli"),
        ("MCP_CODER_MODEL", "haiku", "model", "haiku"),
        ("MCP_CODER_MODEL", "", "model", None),
        ("MCP_CODER_TIMEOUT", "2.5", "timeout", 2.5),
        ("MCP_CODER_TIMEOUT", " None ", "timeout", None),
        ("MCP_CODER_TIMEOUT", "", "timeout", 30),
    ],
)
def test_the_environment_stands_in(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert arguments()[name] == expected


def test_what_the_caller_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MODEL", "haiku"), ("METHOD", "api"), ("TIMEOUT", "nonsense")):
        monkeypatch.setenv(f"MCP_CODER_{name}", value)
    said = arguments(method="cli", timeout=30, options={"model": None})
    assert (said["method"], said["timeout"], said["model"]) == ("cli", 30, None)


def test_a_time_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "soon")
    with pytest.raises(InvalidRequestError, match="MCP_CODER_TIMEOUT must be a number of seconds"):
        arguments()
