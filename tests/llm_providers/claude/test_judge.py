"""How a turn ended: a row for each verdict and each of its neighbours. ``test_failures`` has the failures' own."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcp_coder.llm_errors import (
    AgentError,
    InterruptedTurnError,
    LLMError,
    LLMTimeoutError,
    LocalCommandError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    SessionError,
    SessionNotFoundError,
)
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent
from mcp_coder.llm_providers.claude.fields import answer_in, list_in, text_in
from mcp_coder.llm_providers.claude.judge import judge, notices, refused_entry, remaps_sessions
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_requests import TurnRequest
from mcp_coder.llm_types import LLMResponseDict

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"
NOW = "2026-01-31T12:00:00+00:00"


def outcome(
    *events: RawEvent, entry: Entry | None = None, version: str = "2.1.330", **facts: object
) -> Outcome:
    agent = Agent(program="claude", version=version, config_dir=None, env={})
    given: dict[str, object] = {"method": "cli", "exit_code": 0, "complete": True, **facts}
    entry = entry or Entry(first_id="s1", resume="s1", cwd="/")
    return Outcome(entry=entry, agent=agent, events=events, **given)  # type: ignore[arg-type]  # facts of a row


def real(name: str, exit_code: int = 0, method: str = "cli") -> Outcome:
    """Return the outcome of a real run, of which the session's first id was s1."""
    path = SAMPLES / f"{name}.stderr"
    stderr = path.read_text() if path.exists() else ""
    reading = read_output((SAMPLES / f"{name}.stdout").read_bytes())
    native = text_in(answer_in(reading.events) or {}, "session_id")
    entry = Entry(first_id="s1", resume=native, cwd="/")
    return outcome(*reading.events, entry=entry, method=method, exit_code=exit_code, stderr=stderr)


def result(text: str = "answer", **fields: object) -> RawEvent:
    event = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "session_id": "s1"}
    return {**event, "result": text, **fields}


def verdict(found: Outcome, **options: object) -> LLMResponseDict:
    return judge(TurnRequest(question="q", **options), found, timestamp=NOW)  # type: ignore[arg-type]  # options of a row


def refused(found: Outcome, **options: object) -> LLMError:
    with pytest.raises(LLMError) as caught:
        verdict(found, **options)
    assert caught.value.session_id == "s1"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value


# --- success


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("json_success", "Noted: blue", id="object"),
        pytest.param("json_verbose_list", "Noted: blue", id="array"),
        pytest.param("stream_partial", "Noted: blue", id="lines"),
        pytest.param("stream_tool_use", "The tool printed its output.", id="tool"),
        pytest.param("live_plain", "answer to hello", id="live"),
        pytest.param(
            "live_command_review", "answer to ract is the JSON block above.\n", id="command_that_asks_a_model"
        ),
    ],
)
def test_real_answers(name: str, text: str) -> None:
    found = real(name)
    response = verdict(found)
    assert response == {
        "version": "1.0",
        "timestamp": NOW,
        "text": text,
        "session_id": "s1",
        "method": "cli",
        "provider": "claude",
        "raw_response": answer_in(found.events),
    }
    assert notices(TurnRequest(question="q"), found) == ()


def test_the_sdks_answer_is_judged_by_the_same_events() -> None:
    response = verdict(real("live_plain", method="api"))
    assert (response["text"], response["method"]) == ("answer to hello", "api")
    assert list(response["raw_response"]) == ["session_info", "result_info", "raw_messages"]
    json.dumps(response, allow_nan=False)


def test_s36_the_answer_of_a_turn_with_a_background_agent_is_not_its_report() -> None:
    found = real("live_background_agent")
    assert "origin" not in verdict(found)["raw_response"]
    assert "2 results" in notices(TurnRequest(question="q"), found)[0]


def test_s32_unknown_events_and_lines_that_are_no_json_do_no_harm() -> None:
    found = outcome({"type": "of tomorrow"}, {}, result(new_key=[1]), unread=("Warning: x",))
    assert verdict(found)["raw_response"]["new_key"] == [1]


def test_s32_the_last_of_two_results_wins() -> None:
    assert verdict(outcome(result("first"), result("second")))["text"] == "second"


def test_s32_a_good_result_with_a_bad_exit_counts() -> None:
    assert verdict(outcome(result(), exit_code=1))["text"] == "answer"


def test_s32_an_empty_result_is_filled_from_what_the_agent_said() -> None:
    said = {"type": "assistant", "message": {"content": [{"type": "text", "text": "Hi"}]}}
    assert verdict(outcome(said, result("", usage={"output_tokens": 3})))["text"] == "Hi"
    assert isinstance(refused(outcome(result("", usage={"output_tokens": 3}))), ResponseFormatError)


def test_a_structured_answer() -> None:
    schema = {"type": "object", "required": ["color"]}
    assert verdict(real("live_structured"), json_schema=schema)["text"] == '{"color":"blue"}'
    assert isinstance(refused(real("live_structured_mismatch"), json_schema=schema), ResponseFormatError)
    misfit = refused(real("live_structured"), json_schema={"required": ["size"]})
    assert isinstance(misfit, ResponseFormatError)
    assert "at $" in str(misfit)


# --- which error comes first

FAILS = {"is_error": True, "api_error_status": 500}
LOCAL_ELSEWHERE = result(num_turns=0, session_id="s2")
FAILED_ELSEWHERE = {**result(session_id="s2"), **FAILS}
SAYS_UNKNOWN = result("No conversation found", is_error=True, modelUsage={"opus": {}})


@pytest.mark.parametrize(
    ("found", "options", "cls"),
    [
        pytest.param(outcome({**result(), **FAILS}), {}, ServerError, id="failed"),
        pytest.param(outcome(LOCAL_ELSEWHERE), {}, LocalCommandError, id="local_before_other_session"),
        pytest.param(outcome(result(session_id="s2")), {"require_mcp": ("x",)}, SessionError, id="session_before_mcp"),
        pytest.param(
            outcome(result(permission_denials=[{"tool_name": "Write"}])),
            {"require_mcp": ("x",), "on_denial": "error"},
            AgentError,
            id="mcp_before_denial",
        ),
        pytest.param(outcome(FAILED_ELSEWHERE), {}, ServerError, id="failure_before_session"),
        pytest.param(
            outcome({**result(num_turns=0), **FAILS}), {}, ServerError, id="failure_before_local_command"
        ),
        pytest.param(outcome(result(), stopped="total", seconds=3.0), {}, LLMTimeoutError, id="clock_before_all"),
        pytest.param(outcome(stderr="No conversation found", exit_code=1), {}, SessionNotFoundError, id="no_result"),
    ],
)  # fmt: skip
def test_which_error(found: Outcome, options: Mapping[str, object], cls: type[LLMError]) -> None:
    assert type(refused(found, **options)) is cls


# --- local commands


@pytest.mark.parametrize(
    ("name", "text"),
    [("cost", "Estimated cost:"), ("clear", ""), ("compact", ""), ("context", "## Context Usage")],
)
def test_s35_real_local_commands(name: str, text: str) -> None:
    error = refused(real(f"live_command_{name}"))
    assert isinstance(error, LocalCommandError)
    assert error.text.startswith(text)
    assert error.response is None
    assert isinstance(error.raw, dict)


# --- sessions


RESUMED = Entry(first_id="s1", resume="n1", cwd="/")
BEGUN = Entry(first_id="s1", begin="s1", cwd="/")
FORKED = Entry(first_id="s1", begin="s1", resume="n0", fork=True, cwd="/")


@pytest.mark.parametrize(
    ("entry", "version", "answered", "good"),
    [
        pytest.param(RESUMED, "2.1.330", "n1", True, id="resumed"),
        pytest.param(RESUMED, "2.1.330", "n2", False, id="resumed_elsewhere"),
        pytest.param(RESUMED, "1.0.120", "n2", True, id="resumed_by_a_program_that_remaps"),
        pytest.param(RESUMED, "", "n2", False, id="resumed_by_an_unknown_program"),
        pytest.param(RESUMED, "2.1.330", None, True, id="no_word_of_the_session"),
        pytest.param(BEGUN, "2.1.330", "s1", True, id="begun"),
        pytest.param(BEGUN, "2.1.330", "n2", False, id="begun_elsewhere"),
        pytest.param(BEGUN, "1.0.120", "n2", False, id="begun_elsewhere_by_an_old_program"),
        pytest.param(FORKED, "2.1.330", "s1", True, id="forked"),
        pytest.param(FORKED, "2.1.330", "n0", False, id="fork_went_on_in_the_old_one"),
    ],
)
def test_s32_a_result_of_another_session(
    entry: Entry, version: str, answered: str | None, good: bool
) -> None:
    found = outcome(result(session_id=answered), entry=entry, version=version)
    if good:
        assert verdict(found)["session_id"] == "s1"
        return
    error = refused(found)
    assert type(error) is SessionError
    assert str(answered) in str(error)
    assert entry.native_id in str(error)
    assert error.raw == found.events[0]
    assert error.response is not None


@pytest.mark.parametrize(
    ("version", "remaps"),
    [
        pytest.param("1.0.109", True, id="oldest"),
        pytest.param("1.0.127", True, id="last"),
        pytest.param("1.0.128", False, id="first_that_keeps"),
        pytest.param("2.0.0", False, id="two"),
        pytest.param("2.1.330 (Claude Code)", False, id="with_words"),
        pytest.param("", False, id="unknown"),
        pytest.param("dev", False, id="no_number"),
    ],
)
def test_remaps_sessions(version: str, remaps: bool) -> None:
    assert remaps_sessions(version) is remaps


# --- required servers and denials


def init(*servers: object) -> RawEvent:
    return {"type": "system", "subtype": "init", "mcp_servers": list(servers)}


UP = {"name": "db", "status": "connected"}
DOWN = {"name": "db", "status": "failed"}


@pytest.mark.parametrize(
    ("events", "names", "missing"),
    [
        pytest.param([init(UP)], ("db",), None, id="up"),
        pytest.param([init(DOWN)], (), None, id="not_required"),
        pytest.param([init(DOWN)], ("db",), "db (failed)", id="failed"),
        pytest.param([init({"name": "db", "status": "pending"})], ("db",), "db (pending)", id="pending"),
        pytest.param([init(UP)], ("db", "web"), "web (not configured)", id="one_of_two"),
        pytest.param([init("junk")], ("db",), "db (not configured)", id="junk"),
        pytest.param([init(UP), init(DOWN)], ("db",), None, id="failed_after_the_answer"),
        pytest.param([], ("db",), "db (not configured)", id="no_word_of_servers"),
    ],
)
def test_s33_required_servers(events: list[RawEvent], names: tuple[str, ...], missing: str | None) -> None:
    found = outcome(*events, result())
    if missing is None:
        assert verdict(found, require_mcp=names)["text"] == "answer"
        return
    error = refused(found, require_mcp=names)
    assert type(error) is AgentError
    assert missing in str(error)
    assert error.response is not None
    assert error.response["text"] == "answer"


def test_s33_a_real_server_that_failed() -> None:
    assert verdict(real("live_mcp_failed"))["text"] == "answer to hello"
    assert "nope (failed)" in str(refused(real("live_mcp_failed"), require_mcp=("nope",)))


def test_s33_a_real_denial_is_listed_and_raises_where_asked_for() -> None:
    found = real("live_denied")
    denials = list_in(verdict(found)["raw_response"], "permission_denials")
    error = refused(found, on_denial="error")
    assert isinstance(error, PermissionDeniedError)
    assert list(error.denials) == list(denials) != []
    assert "Write" in str(error)
    assert error.response is not None


@pytest.mark.parametrize(
    ("denials", "shown"),
    [
        pytest.param(
            [{"tool_name": "Write"}, {"tool_name": "Bash"}, {"tool_name": "Bash"}],
            "Bash, Write",
            id="each_once",
        ),
        pytest.param([{}], "?", id="nameless"),
    ],
)
def test_denied_tools_are_named(denials: list[object], shown: str) -> None:
    error = refused(outcome(result(permission_denials=denials)), on_denial="error")
    assert str(error).startswith(f"the agent was denied {shown}:")


def test_no_denials_are_no_error() -> None:
    assert verdict(outcome(result(permission_denials=[])), on_denial="error")["text"] == "answer"
    assert verdict(outcome(result(permission_denials=["junk"])), on_denial="error")["text"] == "answer"


# --- answers that were paid for


@pytest.mark.parametrize(
    ("found", "paid"),
    [
        pytest.param(
            outcome(result(), stopped="total", seconds=3.0), True, id="clock_during_background_work"
        ),
        pytest.param(outcome(result(), stopped="interrupted"), True, id="interrupt_during_background_work"),
        pytest.param(outcome(stopped="total", seconds=3.0), False, id="nothing_there"),
        pytest.param(outcome(result(is_error=True), stopped="total"), False, id="failed_anyway"),
        pytest.param(outcome(result(""), stopped="total"), False, id="no_text"),
        pytest.param(outcome(result(is_error=True, api_error_status=429)), False, id="failed"),
        pytest.param(outcome(result(num_turns=0)), False, id="local_command"),
    ],
)
def test_the_answer_that_an_error_withholds_comes_with_it(found: Outcome, paid: bool) -> None:
    error = refused(found)
    assert (error.response is not None) is paid


def test_errors_tell_what_a_caller_decides_on() -> None:
    limited = refused(outcome(result(is_error=True, api_error_status=429), exit_code=1))
    assert isinstance(limited, RateLimitError)
    assert (limited.status, limited.returncode, limited.retryable) == (429, 1, True)
    assert isinstance(refused(real("live_sigterm", 143)), InterruptedTurnError)


# --- notices

QUIET: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        pytest.param(outcome(result()), (), id="good"),
        pytest.param(outcome(result(), exit_code=1), ("exited with 1",), id="bad_exit"),
        pytest.param(outcome(result(), exit_code=None), ("did not exit by itself",), id="lingered"),
        pytest.param(outcome(result(), exit_code=143), ("did not exit by itself",), id="terminated_after_the_answer"),
        pytest.param(outcome(result(), exit_code=None, kept=True), (), id="lives_on_since_it_is_kept"),
        pytest.param(outcome(result(), exit_code=1, kept=False), ("exited with 1",), id="was_kept_and_ended_badly"),
        pytest.param(outcome(result(is_error=True), exit_code=1), (), id="failed"),
        pytest.param(outcome(result(), exit_code=143, stopped="total"), (), id="stopped_by_us"),
        pytest.param(outcome(exit_code=1), (), id="no_result"),
        pytest.param(outcome(result(), unread=("a", "b")), ("no event: 2",), id="unread_lines"),
        pytest.param(outcome(result(), cut=True), ("cut off",), id="cut"),
        pytest.param(outcome(result(), result()), ("2 results",), id="two_results"),
        pytest.param(outcome(result(permission_denials=[{}])), ("denied: 1",), id="denial"),
        pytest.param(outcome(result(), sdk_error=AgentError("lost")), ("SDK failed to follow: AgentError",), id="sdk"),
        pytest.param(
            outcome(result(), exit_code=1, unread=("a",)), ("exited with 1", "no event: 1"), id="two_of_them"
        ),
    ],
)  # fmt: skip
def test_notices(found: Outcome, parts: tuple[str, ...]) -> None:
    told = notices(TurnRequest(question="q"), found)
    assert len(told) == len(parts)
    assert all(part in text for part, text in zip(parts, told, strict=True))


def test_a_denial_that_raises_needs_no_notice() -> None:
    assert (
        notices(TurnRequest(question="q", on_denial="error"), outcome(result(permission_denials=[{}]))) == ()
    )


# --- refused entries

UNKNOWN = "No conversation found with session ID: n1\n"
TAKEN = "Error: Session ID n1 is already in use.\n"


@pytest.mark.parametrize(
    ("found", "word"),
    [
        pytest.param(real("live_unknown_session", 1), "unknown", id="real_unknown"),
        pytest.param(real("unknown_session", 1), "unknown", id="real_unknown_one_shot"),
        pytest.param(outcome(stderr=UNKNOWN, exit_code=1), "unknown", id="unknown_on_stderr"),
        pytest.param(outcome(stderr=TAKEN, exit_code=1), "taken", id="taken"),
        pytest.param(outcome(stderr=f"note\n{TAKEN}", exit_code=1), "taken", id="taken_amid_words"),
        pytest.param(outcome(stderr="boom", exit_code=1), None, id="other_words"),
        pytest.param(outcome(), None, id="nothing"),
        pytest.param(outcome(result("No conversation found")), None, id="an_answer_that_says_so"),
        pytest.param(
            outcome(SAYS_UNKNOWN), None, id="a_model_was_asked"
        ),
        pytest.param(outcome(init(), stderr=UNKNOWN, exit_code=1), None, id="it_had_begun"),
        pytest.param(outcome(stderr=UNKNOWN, stopped="total"), None, id="stopped_by_us"),
        pytest.param(real("live_config_broken", 1), None, id="real_other_reason"),
        pytest.param(real("live_plain"), None, id="real_answer"),
    ],
)  # fmt: skip
def test_refused_entry(found: Outcome, word: str | None) -> None:
    assert refused_entry(found) == word
