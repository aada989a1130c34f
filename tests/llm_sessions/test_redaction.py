"""What is taken out of records: as the environment and the caller say."""

from __future__ import annotations

import pytest

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_sessions.redaction import new_redactor

SECRET = "a-password-of-this-test"
KEY = "sk-ant-api03-" + "k" * 40


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCP_CODER_REDACT", "MCP_CODER_REDACT_PATTERNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SERVICE_PASSWORD", SECRET)


def test_known_forms_and_the_secrets_of_the_environment() -> None:
    text, found = new_redactor().text(f"{KEY} and {SECRET}")
    assert found == 2
    assert KEY not in text
    assert SECRET not in text


def test_the_secrets_that_the_agent_alone_is_given() -> None:
    redactor = new_redactor({"OTHER_TOKEN": "another-secret-value", "SERVICE_PASSWORD": "it-is-another-one"})
    for secret in ("another-secret-value", "it-is-another-one", SECRET):
        assert secret not in redactor.text(f"so: {secret}.")[0]


@pytest.mark.parametrize("redact", [[r"ACME-\d{4}"], (r"ACME-\d{4}",)])
def test_patterns_of_the_caller(redact: list[str]) -> None:
    text, found = new_redactor(redact=redact).text(f"ACME-1234 and {SECRET}")
    assert found == 2
    assert "ACME" not in text


def test_patterns_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_REDACT_PATTERNS", "ACME-\\d{4}\n\n  \nCASE \\d+")
    assert new_redactor().text("ACME-1234, CASE 7, the rest")[1] == 2


def test_off() -> None:
    assert new_redactor(redact=False).text(f"{KEY} {SECRET}") == (f"{KEY} {SECRET}", 0)


def test_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_REDACT", "Off")
    assert new_redactor(redact=["x+"]).text(f"xxx {SECRET}") == (f"xxx {SECRET}", 0)


def test_a_broken_pattern_is_named() -> None:
    with pytest.raises(InvalidRequestError, match="redaction pattern"):
        new_redactor(redact=["(open"])


@pytest.mark.parametrize("redact", ["a text", 3, None])
def test_what_is_no_list_of_patterns_is_refused(redact: object) -> None:
    with pytest.raises(InvalidRequestError, match="redact must be"):
        new_redactor(redact=redact)  # type: ignore[arg-type]
