"""Why there is no answer: a row for each way to fail, real outputs first, and for each of its neighbours."""

import dataclasses
from pathlib import Path

import pytest

from mcp_coder.llm_errors import (
    AgentError,
    AuthenticationError,
    ContextWindowError,
    InterruptedTurnError,
    LimitReachedError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    SessionError,
    SessionNotFoundError,
)
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent
from mcp_coder.llm_providers.claude.case import Case
from mcp_coder.llm_providers.claude.failures import failure
from mcp_coder.llm_providers.claude.fields import answer_in
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_requests import TurnRequest

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
SECRET = "the secret prompt"


def case(*events: RawEvent, **facts: object) -> Case:
    agent = Agent(program="claude", version="2.1.330", config_dir=None, env={})
    outcome = Outcome(entry=Entry(first_id="s1", cwd="/"), agent=agent, method="cli", events=events, **facts)  # type: ignore[arg-type]  # rows
    return Case(request=TurnRequest(question=SECRET), outcome=outcome, result=answer_in(events))


def real(name: str, exit_code: int) -> Case:
    """Return the case of a real run."""
    path = SAMPLES / f"{name}.stderr"
    stderr = path.read_text() if path.exists() else ""
    return case(
        *read_output((SAMPLES / f"{name}.stdout").read_bytes()).events, exit_code=exit_code, stderr=stderr
    )


def failed(found: Case) -> LLMError:
    """Return the error of a case, which all have in common what every error must have."""
    error = failure(found)
    assert error is not None
    assert error.session_id == "s1"
    assert error.raw is not None
    assert "\n" not in str(error)
    assert len(str(error)) < 400
    assert SECRET not in str(error)
    return error


# --- real outputs: name, exit code, class, status, retryable, a part of the message

REAL = [
    ("json_api_error_401", 1, AuthenticationError, 401, False, "set ANTHROPIC_API_KEY"),
    ("json_api_error_529", 1, ServerError, 529, True, "try again later"),
    ("json_not_logged_in", 1, AuthenticationError, None, False, "run `claude` and /login"),
    ("json_max_turns", 1, LimitReachedError, None, False, "raise max_turns"),
    ("unknown_session", 1, SessionNotFoundError, None, False, "No conversation found"),
    ("live_api_error_400", 1, AgentError, 400, False, "bad thing"),
    ("live_api_error_400_credit", 1, AgentError, 400, False, "Credit balance"),
    ("live_api_error_400_too_long", 1, ContextWindowError, 400, False, "send less"),
    ("live_api_error_401", 1, AuthenticationError, 401, False, "Invalid API key"),
    ("live_api_error_403", 1, AuthenticationError, 403, False, "Failed to authenticate"),
    ("live_api_error_404", 1, ModelNotFoundError, 404, False, "another model"),
    ("live_api_error_413", 1, ContextWindowError, 413, False, "Request too large"),
    ("live_api_error_429", 1, RateLimitError, 429, True, "wait"),
    ("live_api_error_500", 1, ServerError, 500, True, "oops"),
    ("live_api_error_529", 1, ServerError, 529, True, "529"),
    ("live_connection_refused", 1, ServerError, None, True, "ECONNREFUSED"),
    ("live_not_logged_in", 1, AuthenticationError, None, False, "Not logged in"),
    ("live_prompt_too_long", 1, ContextWindowError, None, False, "Prompt is too long"),
    ("live_max_turns", 0, LimitReachedError, None, False, "max_turns"),
    ("live_max_budget", 1, LimitReachedError, None, False, "raise max_budget_usd"),
    ("live_unknown_session", 1, SessionNotFoundError, None, False, "begin a new session"),
    ("live_no_such_title", 1, SessionNotFoundError, None, False, "does not match any session title"),
    ("live_unknown_message", 1, SessionError, None, False, "No message found"),
    ("live_config_broken", 1, AgentError, None, False, "Configuration error"),
    ("live_interrupted", 1, InterruptedTurnError, None, False, "stopped from outside"),
    ("live_interrupted_early", 1, InterruptedTurnError, None, False, "stopped from outside"),
    ("live_sigint", 0, InterruptedTurnError, None, False, "stopped from outside"),
    ("live_sigterm", 143, InterruptedTurnError, None, False, "SIGTERM"),
]


@pytest.mark.parametrize(
    ("name", "exit_code", "cls", "status", "retryable", "part"), REAL, ids=[row[0] for row in REAL]
)
def test_s30_real_failures(
    name: str, exit_code: int, cls: type[LLMError], status: int | None, retryable: bool, part: str
) -> None:
    found = real(name, exit_code)
    error = failed(found)
    assert type(error) is cls
    assert error.retryable is retryable
    assert part in str(error)
    if isinstance(error, AgentError):
        assert (error.status, error.returncode) == (status, exit_code)
    if found.result is not None:
        assert error.raw is found.result


GOOD = [
    "json_success",
    "json_verbose_list",
    "stream_tool_use",
    "live_plain",
    "live_background_agent",
    "live_denied",
]


@pytest.mark.parametrize("name", GOOD)
def test_real_answers_are_no_failure(name: str) -> None:
    assert failure(real(name, 0)) is None


@pytest.mark.parametrize(
    ("name", "limit"),
    [("json_max_turns", "turns"), ("live_max_turns", "turns"), ("live_max_budget", "budget")],
)
def test_s31_a_limit_says_which_and_keeps_what_was_used(name: str, limit: str) -> None:
    error = failed(real(name, 1))
    assert isinstance(error, LimitReachedError)
    assert error.limit == limit
    assert isinstance(error.raw, dict)
    assert error.raw["modelUsage"]


# --- made-up results: what the fields decide


def result(text: str | None = None, **fields: object) -> dict[str, object]:
    event = {"type": "result", "subtype": "success", "is_error": True, "session_id": "s1", **fields}
    return event if text is None else {**event, "result": text}


def broken(*errors: str, **fields: object) -> RawEvent:
    return {**result(subtype="error_during_execution", errors=list(errors)), **fields}


def message(kind: str) -> RawEvent:
    return {"type": "assistant", "parent_tool_use_id": None, "error": kind}


RESULTS = [
    pytest.param(result("x", api_error_status=status), cls, id=str(status))
    for status, cls in {
        400: AgentError, 401: AuthenticationError, 402: AgentError, 403: AuthenticationError, 404: ModelNotFoundError,
        408: AgentError, 413: ContextWindowError, 429: RateLimitError, 499: AgentError, 500: ServerError,
        502: ServerError, 503: ServerError, 504: ServerError, 529: ServerError, 599: ServerError, 600: AgentError,
    }.items()
]  # fmt: skip

RESULTS += [
    pytest.param(result(text), cls, id=text[:40])
    for text, cls in {
        "API Error: 529 overloaded": ServerError,
        "API Error: 401 x": AuthenticationError,
        "API Error: Request rejected (429) · x": RateLimitError,
        "Not logged in · Please run /login": AuthenticationError,
        "Invalid API key · Fix external API key": AuthenticationError,
        "Invalid auth token · Fix external auth token": AuthenticationError,
        "OAuth token revoked · Please run /login": AuthenticationError,
        "Failed to authenticate: OAuth session expired and could not be refreshed": AuthenticationError,
        "Login expired · Please run /login": AuthenticationError,
        "Authentication required · Sign in again to continue": AuthenticationError,
        "Your ANTHROPIC_API_KEY belongs to a disabled organization · Unset it": AuthenticationError,
        "Your organization has disabled API key authentication · Sign in again": AuthenticationError,
        "Claude AI usage limit reached|1750000000": RateLimitError,
        "You've hit your limit · resets 3pm": RateLimitError,
        "You've hit your session limit · resets 3pm": RateLimitError,
        "spend limit reached · resets Mar 1": RateLimitError,
        "Prompt is too long": ContextWindowError,
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000": ContextWindowError,
        "Input is too long for requested model": ContextWindowError,
        "There's an issue with the selected model (x). It may not exist": ModelNotFoundError,
        "API Error: Connection error.": ServerError,
        "Unable to connect to API (ENOTFOUND)": ServerError,
        "Request timed out": ServerError,
        "Overloaded": ServerError,
        "Server is temporarily limiting requests (not your usage limit)": ServerError,
        "Credit balance is too low": AgentError,
        "Something else": AgentError,
    }.items()
]

RESULTS += [
    pytest.param(result("x", terminal_reason=reason), cls, id=reason)
    for reason, cls in {
        "blocking_limit": ContextWindowError,
        "prompt_too_long": ContextWindowError,
        "rapid_refill_breaker": ContextWindowError,
        "aborted_streaming": InterruptedTurnError,
        "aborted_tools": InterruptedTurnError,
        "api_error": AgentError,
        "hook_stopped": AgentError,
    }.items()
]

RESULTS += [
    pytest.param(result("x", is_error=False, terminal_reason="aborted_tools"), InterruptedTurnError, id="aborted"),
    pytest.param(result("API Error: 500 x", api_error_status=429), RateLimitError, id="reported_status_first"),
    pytest.param(result("Prompt is too long", api_error_status=400), ContextWindowError, id="too_long_before_400"),
    pytest.param(result(subtype="error_max_turns"), LimitReachedError, id="max_turns"),
    pytest.param(result(subtype="error_max_budget_usd"), LimitReachedError, id="max_budget"),
    pytest.param(result(subtype="error_max_structured_output_retries"), ResponseFormatError, id="no_fitting_answer"),
    pytest.param(result(subtype="error_of_tomorrow", is_error=False), AgentError, id="new_subtype"),
    pytest.param(broken("No conversation found with session ID: x"), SessionNotFoundError, id="unknown_session"),
    pytest.param(broken("[ede_diagnostic] result_type=user"), AgentError, id="broke_off_without_a_word"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "cls"), RESULTS)
def test_results(event: RawEvent, cls: type[LLMError]) -> None:
    assert type(failed(case(event, exit_code=1))) is cls


KINDS = {
    "authentication_failed": AuthenticationError,
    "oauth_org_not_allowed": AuthenticationError,
    "verification_required": AuthenticationError,
    "rate_limit": RateLimitError,
    "overloaded": ServerError,
    "server_error": ServerError,
    "model_not_found": ModelNotFoundError,
    "billing_error": AgentError,
    "invalid_request": AgentError,
    "unknown": AgentError,
    "word of tomorrow": AgentError,
}


@pytest.mark.parametrize(("kind", "cls"), KINDS.items(), ids=KINDS)
def test_the_programs_own_word_decides_where_there_is_no_status(kind: str, cls: type[LLMError]) -> None:
    assert type(failed(case(message(kind), result("x"), exit_code=1))) is cls
    assert type(failed(case(message(kind), result("x", api_error_status=503), exit_code=1))) is ServerError


def test_a_good_result_is_no_failure_whatever_its_text_says() -> None:
    text = "API Error: 401 Not logged in: prompt is too long, usage limit reached, connection refused"
    assert failure(case(result(text, is_error=False), exit_code=0)) is None
    assert failure(case(message("rate_limit"), result("fine", is_error=False), exit_code=1)) is None


def test_a_rate_limit_says_when_it_ends() -> None:
    event = {"type": "rate_limit_event", "rate_limit_info": {"resetsAt": 1760000000}}
    error = failed(case(event, result("slow down", api_error_status=429)))
    assert isinstance(error, RateLimitError)
    assert error.resets_at == 1760000000.0


# --- no result

NO_RESULT = [
    pytest.param("Error: Session ID 5fb8 is already in use.\n", 1, SessionError, id="taken"),
    pytest.param("No conversation found with session ID: x\n", 1, SessionNotFoundError, id="unknown"),
    pytest.param("[warn] note\nNo conversation found with session ID: x\n", 1, SessionNotFoundError, id="amid_words"),
    pytest.param("Error: Invalid session ID. Must be a valid UUID.\n", 1, SessionError, id="no_uuid"),
    pytest.param("error: unknown option '--zzz'\n", 1, AgentError, id="unknown_option"),
    pytest.param("\nClaude configuration file at /x/.claude.json is corrupted: JSON\n", 1, AgentError, id="config"),
    pytest.param("Error: Invalid MCP configuration:\nMCP config file not found: /x\n", 1, AgentError, id="mcp_config"),
    pytest.param("Invalid API key · Please run /login\n", 1, AuthenticationError, id="old_login"),
    pytest.param("API Error: 529 overloaded\n", 1, ServerError, id="status_on_stderr"),
    pytest.param("boom\n", 1, AgentError, id="other_words"),
    pytest.param("boom\n", -11, AgentError, id="crashed_with_words"),
    pytest.param("boom\n", 143, InterruptedTurnError, id="terminated_with_words"),
    pytest.param("", 143, InterruptedTurnError, id="terminated"),
    pytest.param("", -9, InterruptedTurnError, id="killed"),
    pytest.param("", 130, InterruptedTurnError, id="ctrl_c"),
    pytest.param("", 1, ResponseFormatError, id="silent_failure"),
    pytest.param("", -11, ResponseFormatError, id="crashed_silently"),
    pytest.param("", 0, ResponseFormatError, id="exit_0"),
    pytest.param("MCP server: connection refused\n", 0, ResponseFormatError, id="exit_0_with_known_words"),
    pytest.param("API Error: 500 x\n", None, ServerError, id="exit_unknown_with_known_words"),
    pytest.param("a note\n", 0, ResponseFormatError, id="exit_0_with_a_note"),
    pytest.param("", None, ResponseFormatError, id="exit_unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("stderr", "exit_code", "cls"), NO_RESULT)
def test_no_result(stderr: str, exit_code: int | None, cls: type[LLMError]) -> None:
    assert type(failed(case(stderr=stderr, exit_code=exit_code))) is cls


@pytest.mark.parametrize(
    ("found", "part"),
    [
        pytest.param(case(exit_code=0), "printed nothing (exit code 0)", id="nothing"),
        pytest.param(case({"type": "system"}, exit_code=0), "has no result", id="events_only"),
        pytest.param(
            case(unread=("words",), exit_code=0), "has no result (exit code 0, words)", id="words_only"
        ),
        pytest.param(case(unread=('{"type": "result", "res',), cut=True, exit_code=0), "cut off", id="cut"),
    ],
)
def test_s32_no_result_at_exit_0_says_what_is_missing(found: Case, part: str) -> None:
    error = failed(found)
    assert isinstance(error, ResponseFormatError)
    assert part in str(error)


def test_words_instead_of_events_with_a_bad_exit_are_the_programs_reason() -> None:
    error = failed(case(unread=("Execution error",), exit_code=1))
    assert type(error) is AgentError
    assert str(error) == "the agent failed (exit code 1): Execution error"


INTERRUPTION = {
    "type": "user",
    "message": {"content": [{"type": "text", "text": "[Request interrupted by user]"}]},
}


def test_an_interrupted_turn_without_a_result_is_recognised_by_its_last_message() -> None:
    assert isinstance(failed(case(INTERRUPTION, exit_code=0)), InterruptedTurnError)
    later = {"type": "user", "message": {"content": "more"}}
    assert isinstance(failed(case(INTERRUPTION, later, exit_code=0)), ResponseFormatError)


def test_a_turn_that_broke_off_by_a_signal_was_interrupted() -> None:
    assert isinstance(failed(case(broken("x"), exit_code=143)), InterruptedTurnError)


# --- what we stopped


@pytest.mark.parametrize("kind", ["startup", "inactivity", "total"])
@pytest.mark.parametrize(
    "events",
    [
        pytest.param((), id="silent"),
        pytest.param((broken("x", terminal_reason="aborted_tools"),), id="aborted"),
    ],
)
def test_a_clock_of_ours(kind: str, events: tuple[RawEvent, ...]) -> None:
    error = failed(case(*events, stopped=kind, seconds=12.5, exit_code=143, stderr="note"))
    assert isinstance(error, LLMTimeoutError)
    assert (error.kind, error.timeout, error.stderr) == (kind, 12.5, "note")
    assert error.retryable is (kind != "total")
    assert "(12.5 s)" in str(error)


def test_a_clock_whose_limit_is_not_known() -> None:
    error = failed(case(stopped="total"))
    assert isinstance(error, LLMTimeoutError)
    assert error.timeout == 0.0
    assert "( s)" not in str(error)


@pytest.mark.parametrize(
    "events",
    [pytest.param((), id="silent"), pytest.param((result("fine", is_error=False),), id="good_result")],
)
def test_an_interrupt_of_ours(events: tuple[RawEvent, ...]) -> None:
    error = failed(case(*events, stopped="interrupted", exit_code=0))
    assert isinstance(error, InterruptedTurnError)
    assert "on request" in str(error)


# --- what the SDK raised


def test_the_sdks_error_is_the_reason_where_nothing_else_is_known() -> None:
    original = AgentError("the SDK lost its connection", returncode=1)
    found = case(exit_code=1, stderr="boom", sdk_error=original)
    error = failed(found)
    assert error is not original
    assert (type(error), str(error)) == (AgentError, "the SDK lost its connection")
    assert original.session_id is None


def test_the_sdks_error_keeps_its_own_raw() -> None:
    assert failed(case(sdk_error=ResponseFormatError("unreadable", raw="{"))).raw == "{"


def test_the_sdk_ended_the_turn_and_so_the_program_was_stopped() -> None:
    unreadable = ResponseFormatError("unreadable")
    assert isinstance(failed(case(exit_code=143, sdk_error=unreadable)), ResponseFormatError)
    assert isinstance(failed(case(exit_code=143, sdk_error=AgentError("gone"))), InterruptedTurnError)
    assert isinstance(failed(case(exit_code=143, sdk_error=unreadable, stopped="total")), LLMTimeoutError)


def test_what_the_program_said_counts_more_than_the_sdks_error() -> None:
    stderr = "No conversation found with session ID: x"
    assert isinstance(
        failed(case(exit_code=1, stderr=stderr, sdk_error=AgentError("?"))), SessionNotFoundError
    )
    assert failure(case(result("fine", is_error=False), sdk_error=AgentError("?"))) is None
    assert isinstance(failed(case(result("x", api_error_status=500), sdk_error=AgentError("?"))), ServerError)


@pytest.mark.parametrize(
    ("config_dir", "searched"), [("/home/dev/.claude", ("/home/dev/.claude/projects",)), (None, ())]
)
def test_an_unknown_session_says_where_it_was_looked_for(
    config_dir: str | None, searched: tuple[str, ...]
) -> None:
    unknown = case(exit_code=1, stderr="No conversation found with session ID: x\n")
    agent = dataclasses.replace(unknown.outcome.agent, config_dir=config_dir)
    error = failure(dataclasses.replace(unknown, outcome=dataclasses.replace(unknown.outcome, agent=agent)))
    assert isinstance(error, SessionNotFoundError)
    assert error.searched == searched
