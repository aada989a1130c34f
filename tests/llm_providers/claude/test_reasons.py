import pytest

from mcp_coder.llm_errors import (
    AgentError,
    AuthenticationError,
    LLMError,
    ModelNotFoundError,
    RateLimitError,
    ServerError,
    SessionError,
    SessionNotFoundError,
)
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent
from mcp_coder.llm_providers.claude.case import Case
from mcp_coder.llm_providers.claude.reasons import by_kind, by_status, by_text, failed, too_long
from mcp_coder.llm_requests import TurnRequest


def case(
    result: RawEvent | None = None, *, stderr: str = "", exit_code: int | None = 1, kind: str = ""
) -> Case:
    events = ({"type": "assistant", "error": kind},) if kind else ()
    outcome = Outcome(
        entry=Entry(first_id="s1", cwd="/"),
        agent=Agent(program="claude", version="2.1.330", config_dir=None, env={}),
        method="cli",
        events=events,
        exit_code=exit_code,
        stderr=stderr,
    )
    return Case(request=TurnRequest(question="q"), outcome=outcome, result=result)


BAD: RawEvent = {"type": "result", "is_error": True}
GOOD: RawEvent = {"type": "result", "is_error": False}


@pytest.mark.parametrize(
    ("found", "is_one"),
    [
        pytest.param(case(BAD, exit_code=0), True, id="bad_result"),
        pytest.param(case(GOOD, exit_code=1), False, id="good_result"),
        pytest.param(case(exit_code=1), True, id="no_result"),
        pytest.param(case(exit_code=None), True, id="no_result_and_exit_unknown"),
        pytest.param(case(exit_code=0), False, id="no_result_at_exit_0"),
    ],
)
def test_failed(found: Case, is_one: bool) -> None:
    assert failed(found) is is_one


STATUSES = {
    400: None,
    401: AuthenticationError,
    402: None,
    403: AuthenticationError,
    404: ModelNotFoundError,
    413: None,
    429: RateLimitError,
    499: None,
    500: ServerError,
    529: ServerError,
    599: ServerError,
    600: None,
}


@pytest.mark.parametrize(("status", "cls"), STATUSES.items(), ids=map(str, STATUSES))
def test_by_status(status: int, cls: type[LLMError] | None) -> None:
    assert by_status(case({**BAD, "api_error_status": status})) is cls
    assert by_status(case({**GOOD, "api_error_status": status})) is None


def test_no_status() -> None:
    assert by_status(case(BAD)) is None


KINDS = {
    "authentication_failed": AuthenticationError,
    "oauth_org_not_allowed": AuthenticationError,
    "verification_required": AuthenticationError,
    "rate_limit": RateLimitError,
    "overloaded": ServerError,
    "server_error": ServerError,
    "model_not_found": ModelNotFoundError,
    "billing_error": None,
}


@pytest.mark.parametrize(("kind", "cls"), KINDS.items(), ids=KINDS)
def test_by_kind(kind: str, cls: type[LLMError] | None) -> None:
    assert by_kind(case(BAD, kind=kind)) is cls
    assert by_kind(case(GOOD, kind=kind)) is None


# One text for each row; ``test_failures`` has many more.
TEXTS = {
    "No conversation found with session ID: x": SessionNotFoundError,
    'Provided value "x" is not a UUID and does not match any session title.': SessionNotFoundError,
    "Error: Session ID x is already in use.": SessionError,
    "Error: Invalid session ID. Must be a valid UUID.": SessionError,
    "No message found with message.uuid of: x": SessionError,
    "Configuration error in /x: JSON Parse error": AgentError,
    "Credit balance is too low": AgentError,
    "Not logged in": AuthenticationError,
    "Invalid API key": AuthenticationError,
    "Failed to authenticate": AuthenticationError,
    "usage limit reached": RateLimitError,
    "There's an issue with the selected model (x)": ModelNotFoundError,
    "Overloaded": ServerError,
    "Connection refused": ServerError,
    "boom": None,
}


@pytest.mark.parametrize(("text", "cls"), TEXTS.items(), ids=[text[:30] for text in TEXTS])
def test_by_text(text: str, cls: type[LLMError] | None) -> None:
    assert by_text(case({**BAD, "result": text})) is cls
    assert by_text(case(stderr=text)) is cls
    assert by_text(case({**GOOD, "result": text})) is None
    assert by_text(case(stderr=text, exit_code=0)) is None


@pytest.mark.parametrize(
    ("found", "is_one"),
    [
        pytest.param(case({**BAD, "terminal_reason": "blocking_limit"}), True, id="blocking_limit"),
        pytest.param(case({**BAD, "terminal_reason": "prompt_too_long"}), True, id="prompt_too_long"),
        pytest.param(case({**BAD, "terminal_reason": "api_error"}), False, id="other_reason"),
        pytest.param(case({**BAD, "api_error_status": 413}), True, id="413"),
        pytest.param(case({**BAD, "result": "Prompt is too long"}), True, id="text"),
        pytest.param(case({**BAD, "result": "the prompt is fine"}), False, id="other_text"),
        pytest.param(case({**GOOD, "result": "Prompt is too long"}), False, id="an_answer_that_says_so"),
    ],
)
def test_too_long(found: Case, is_one: bool) -> None:
    assert too_long(found) is is_one
