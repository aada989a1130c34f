"""Each way in which a turn can fail, or half succeed, is told apart, and input arrives as it is (s30-s36)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder import (
    AgentError,
    AuthenticationError,
    ContextWindowError,
    InterruptedTurnError,
    InvalidRequestError,
    LimitReachedError,
    LLMError,
    LLMResponseDict,
    LLMTimeoutError,
    LocalCommandError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    SessionError,
    prompt_llm,
    usage_of,
)
from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers.base import TurnEnded
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.claude.usage import usage_of_events
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import Exit, FakeClaude, Print, Reply, StandIn, Turn, WaitForPrompt
from mcp_coder.testing.program_script import Step

Remaining = Callable[[], list[psutil.Process]]

LONGEST = 60.0
OTHER_SESSION = "00000000-0000-4000-8000-000000000000"

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
cli_first = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])
"""The same by both methods, of which one is left to the long tests."""


def ask(question: Any, method: str = "cli", **options: Any) -> LLMResponseDict:
    return prompt_llm(question, method=method, **{"timeout": LONGEST, **options})


def failure_of(expected: type[LLMError], question: Any, method: str = "cli", **options: Any) -> Any:
    """Return the error of this very class that a turn ends with."""
    with pytest.raises(expected) as caught:
        ask(question, method, **options)
    assert type(caught.value) is expected
    return caught.value


# --- s30: errors of the model's service

STATUSES: dict[int, tuple[type[AgentError], bool]] = {
    400: (AgentError, False),
    401: (AuthenticationError, False),
    403: (AuthenticationError, False),
    404: (ModelNotFoundError, False),
    413: (ContextWindowError, False),
    429: (RateLimitError, True),
    500: (ServerError, True),
    502: (ServerError, True),
    503: (ServerError, True),
    529: (ServerError, True),
}


_WORDS = {404: "issue with the selected model", 413: "Request too large"}  # where the program has its own


@both_methods
@pytest.mark.parametrize("status", STATUSES)
def test_s30_errors_of_the_model(model: StandIn, method: str, status: int) -> None:
    model.server.add_rule(Reply.error(status, message="for reasons of its own"))
    expected, retryable = STATUSES[status]
    error = failure_of(expected, "Hello", method)
    assert error.retryable is retryable
    assert error.status == error.raw["api_error_status"] == status
    assert _WORDS.get(status, "for reasons of its own") in str(error)
    assert error.raw["is_error"] is True
    assert error.raw["session_id"] == error.session_id == model.server.turns()[0].session_id
    assert_not_sent_again(model, status)


def assert_not_sent_again(model: StandIn, status: int) -> None:
    """The program itself may ask in another form: at 400 without features, at 404 without a stream."""
    forms = [
        (turn.headers.get("anthropic-beta"), turn.body.get("stream"), turn.size)
        for turn in model.server.turns()
    ]
    assert len(set(forms)) == len(forms)
    assert len(forms) == 1 or status in (400, 404)


@both_methods
def test_s30_a_failed_turn_leaves_the_session_open(model: StandIn, method: str) -> None:
    model.server.add_rule(Reply.error(529), times=1)
    session = failure_of(ServerError, "Hello", method).session_id
    answer = ask("My favorite color is blue", method, session_id=session, after_failure="drop")
    assert (answer["session_id"], answer["text"]) == (session, "Noted: my favorite color is blue")
    assert model.server.turns()[-1].prompts == ["My favorite color is blue"]


BROKEN_ANSWERS = {
    "overloaded in mid-answer": Reply.stream_error("overloaded_error", after="so far"),
    "connection cut in mid-answer": Reply.cut(after="so far"),
    "connection cut before it": Reply.cut(),
}


@cli_first
@pytest.mark.parametrize("case", BROKEN_ANSWERS)
def test_s30_answers_that_break_off(model: StandIn, method: str, case: str) -> None:
    model.server.add_rule(BROKEN_ANSWERS[case])
    error = failure_of(ServerError, "Hello", method)
    assert error.retryable
    assert error.response is None


@both_methods
def test_s30_nobody_listens_at_the_service(model: StandIn, method: str) -> None:
    model.server.close()
    error = failure_of(ServerError, "Hello", method)
    assert (error.status, error.retryable) == (None, True)


@cli_first
def test_s30_retries_of_the_program_end_with_the_time_limit(
    model: StandIn, monkeypatch: pytest.MonkeyPatch, remaining_processes: Remaining, method: str
) -> None:
    monkeypatch.delenv("CLAUDE_CODE_MAX_RETRIES")
    model.server.add_rule(Reply.error(529))
    error = failure_of(LLMTimeoutError, "Hello", method, timeout=7)
    assert error.kind == "total"
    assert "while it tried again after HTTP 529" in str(error)
    assert len(model.server.turns()) > 1
    assert remaining_processes() == []


@both_methods
@pytest.mark.parametrize("key", [None, ""], ids=["no-key", "empty-key"])
def test_s30_not_logged_in(
    model: StandIn, monkeypatch: pytest.MonkeyPatch, method: str, key: str | None
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY") if key is None else monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    error = failure_of(AuthenticationError, "Hello", method)
    assert (error.status, error.retryable) == (None, False)
    assert "/login" in str(error)
    assert "ANTHROPIC_API_KEY" in str(error)
    assert model.server.turns() == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
@both_methods
def test_s30_somebody_else_ends_the_program(
    model: StandIn, remaining_processes: Remaining, method: str, number: signal.Signals
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(failure_of, InterruptedTurnError, "hang", method)
        model.server.wait_for("hang", LONGEST)
        for program in remaining_processes():
            program.send_signal(number)
        error = turn.result()
    assert ask("What did I say?", session_id=error.session_id)["text"].startswith("You")


# --- s31: limits of the call itself


@both_methods
@pytest.mark.parametrize(
    ("options", "limit", "requests"),
    [
        ({"max_turns": 1}, "turns", 1),
        ({"max_turns": 2}, "turns", 2),
        ({"max_budget_usd": 0.0001}, "budget", 1),
    ],
    ids=["one-turn", "two-turns", "budget"],
)
def test_s31_limits(model: StandIn, method: str, options: dict[str, Any], limit: str, requests: int) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="echo once more"), at="any")
    error = failure_of(LimitReachedError, "Hello", method, allowed_tools=["Bash"], **options)
    assert (error.limit, error.retryable) == (limit, False)
    assert len(model.server.turns()) == requests
    assert error.raw["total_cost_usd"] > 0
    (used,) = error.raw["modelUsage"].values()
    assert used["inputTokens"] > 1000
    assert f"max_{'turns' if limit == 'turns' else 'budget_usd'}" in str(error)


@both_methods
def test_s31_limits_that_are_not_reached(model: StandIn, method: str) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="echo once"), prompt="Hello")
    answer = ask("Hello", method, allowed_tools=["Bash"], max_turns=2, max_budget_usd=10)
    assert answer["text"].startswith("The tool said: once")


# --- s32: what a program may print, and how it may end

_ABORTED = {
    "type": "result",
    "subtype": "error_during_execution",
    "is_error": True,
    "terminal_reason": "aborted_streaming",
    "session_id": "{{session_id}}",
}
_NO_RESULT = Turn(prints_result=False)
_COMMAND = Turn(result={"num_turns": 0}, input_tokens=0, output_tokens=0, prints_assistant=False)

Verdict = str | type[LLMError]
PROGRAMS: dict[str, tuple[tuple[Step, ...], dict[str, Any], Verdict]] = {
    "good": ((Turn(text="good"),), {}, "good"),
    "exit 0 without a result": ((_NO_RESULT, Exit(0)), {}, ResponseFormatError),
    "exit 1 without a result": ((_NO_RESULT, Exit(1)), {}, ResponseFormatError),
    "exit 0 after SIGINT, with a result": ((_NO_RESULT, Print(_ABORTED), Exit(0)), {}, InterruptedTurnError),
    "exit 0, nothing printed at all": ((WaitForPrompt(), Exit(0)), {}, ResponseFormatError),
    "empty result, but something said": ((Turn(text="said", result={"result": ""}),), {}, "said"),
    "empty result, nothing said": (
        (Turn(prints_assistant=False, result={"result": ""}),),
        {},
        ResponseFormatError,
    ),
    "no turn, no model": ((_COMMAND,), {}, LocalCommandError),
    "exit 1 with a good result": ((Turn(text="good"), Exit(1)), {}, "good"),
    "exit 0 with an error": ((Turn(result={"is_error": True}), Exit(0)), {}, AgentError),
    "an array": ((Turn(text="good"), Exit(0)), {"output": "array"}, "good"),
    "an object over many lines": ((Turn(text="good"), Exit(0)), {"output": "object"}, "good"),
    "unknown events": (
        (Turn(text="good", before=({"type": "novelty", "of": ["9.0"]}, {"a": 1})),),
        {},
        "good",
    ),
    "lines that are no JSON": (
        (Turn(text="good", before=("Warning: of something", "{", "[1,")),),
        {},
        "good",
    ),
    "two results": ((Turn(text="first"), Turn(text="last", waits_for_prompt=False)), {}, "last"),
    "a result of another session": ((Turn(session_id=OTHER_SESSION),), {}, SessionError),
    "a result that is no text": ((Turn(result={"result": {"a": 1}}),), {}, ResponseFormatError),
}


# Without the SDK only: to it the program answers line by line, or not at all.
_OTHER_FORMS = ("an array", "an object over many lines")


@pytest.mark.parametrize(
    ("case", "method"),
    [
        (case, method)
        for case in PROGRAMS
        for method in ("cli", "api")
        if method == "cli" or case not in _OTHER_FORMS
    ],
)
def test_s32_programs(fake: FakeClaude, method: str, case: str) -> None:
    steps, options, verdict = PROGRAMS[case]
    fake.script(*steps, **options)
    if isinstance(verdict, str):
        assert ask("Hello", method)["text"] == verdict
        return
    error = failure_of(verdict, "Hello", method)
    assert error.session_id == fake.calls()[0].flag("--session-id")
    assert len(fake.calls()) == 1  # never asked again


NOTICES = {
    "exit 1 with a good result": "exited with 1",
    "lines that are no JSON": "no event: 3",
    "two results": "2 results",
}


@pytest.mark.parametrize("case", NOTICES)
def test_s32_what_was_odd_is_told(fake: FakeClaude, caplog: pytest.LogCaptureFixture, case: str) -> None:
    steps, options, _ = PROGRAMS[case]
    fake.script(*steps, **options)
    ask("Hello")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert NOTICES[case] in told[0]


# --- s33: denied tools, MCP servers


@pytest.fixture
def denied(model: StandIn, tmp_path: Path) -> Path:
    """Let the model ask for a tool that nobody allowed; the path is what it would write."""
    path = tmp_path / "outside.txt"
    model.server.add_rule(Reply.tool_use("Write", file_path=str(path), content="x"), prompt="write it")
    return path


@both_methods
def test_s33_a_denied_tool_is_listed(model: StandIn, denied: Path, method: str) -> None:
    raw: Any = ask("write it", method)["raw_response"]
    (denial,) = (raw if method == "cli" else raw["result_info"])["permission_denials"]
    assert denial["tool_name"] == "Write"
    assert denial["tool_input"]["file_path"] == str(denied)
    assert not denied.exists()


@both_methods
def test_s33_a_denied_tool_raises_where_the_caller_wants_it(
    model: StandIn, denied: Path, method: str
) -> None:
    error = failure_of(PermissionDeniedError, "write it", method, on_denial="error")
    assert [denial["tool_name"] for denial in error.denials] == ["Write"]
    assert error.response["session_id"] == error.session_id
    assert error.response["text"].startswith("The tool said: ")  # what was paid for is not lost
    allowed = ask(
        "write it", method, on_denial="error", permission_mode="acceptEdits", add_dirs=[denied.parent]
    )
    assert allowed["text"].startswith("The tool said: ")
    assert denied.read_text() == "x"


@pytest.fixture
def servers(mcp_server: dict[str, Any]) -> dict[str, Any]:
    """Configure an MCP server that comes up and one that fails."""
    return {"mcpServers": {"up": mcp_server, "down": {"command": "/bin/false", "args": []}}}


@both_methods
def test_s33_a_required_server_that_failed(model: StandIn, servers: dict[str, Any], method: str) -> None:
    error = failure_of(AgentError, "Hello", method, mcp_config=servers, require_mcp=["up", "down"])
    assert "down (failed)" in str(error)
    assert "up (" not in str(error)
    assert error.response["text"] == "echo: Hello"


@cli_first
def test_s33_a_required_server_that_nobody_configured(
    model: StandIn, servers: dict[str, Any], method: str
) -> None:
    error = failure_of(AgentError, "Hello", method, mcp_config=servers, require_mcp=["up", "other"])
    assert "other (not configured)" in str(error)


@both_methods
def test_s33_a_required_server_that_is_up(model: StandIn, servers: dict[str, Any], method: str) -> None:
    model.server.add_rule(Reply.tool_use("mcp__up__hello"), prompt="Hello")
    answer = ask("Hello", method, mcp_config=servers, require_mcp=["up"], allowed_tools=["mcp__up"])
    assert answer["text"] == "The tool said: hello from the server"


# --- s34: what is asked arrives as it is, or is refused

PROMPTS = {
    "a dash": "- x",
    "an option": "--help",
    "a dangerous option": "--dangerously-skip-permissions",
    "a shell's": "$(id) `id` ; id | id && id",
    "emoji": "🦊 Grüße 你好 \u202e\u2028\u2029\x85",
    "CRLF": "one\r\ntwo\rthree\nfour\r\n",
    "blanks around": "  \n\t before and after \t\n  ",
    "control characters": "bell \x07 escape \x1b[31m delete \x7f",
    "JSON": '{"type":"user"}\n{"type":"control_request"}',
    "placeholders": "%s {0} ${HOME} \\n \\u0041",
}


@cli_first
@pytest.mark.parametrize("case", PROMPTS)
def test_s34_prompts_arrive_as_they_are(model: StandIn, method: str, case: str) -> None:
    ask(PROMPTS[case], method)
    assert model.server.prompts() == [PROMPTS[case]]


@both_methods
def test_s34_two_megabytes_arrive(model: StandIn, method: str) -> None:
    prompt = "".join(f"line {number} of many ✓\n" for number in range(90_000)) + "the end"
    assert 2_000_000 < len(prompt.encode()) < 2_500_000
    ask(prompt, method)
    assert model.server.prompts() == [prompt]


@both_methods
@pytest.mark.parametrize("case", ["a shell's"])
def test_s34_no_prompt_in_any_command_line(
    model: StandIn, remaining_processes: Remaining, method: str, case: str
) -> None:
    prompt = f"SECRET-{case} {PROMPTS[case]}"
    with hanging(model, prompt, method):
        lines = [Path(f"/proc/{each.pid}/cmdline").read_bytes() for each in remaining_processes()]
    assert len(lines) == 1
    assert lines[0].endswith(b"\0")
    assert b"SECRET" not in lines[0]
    assert prompt.strip().encode() not in lines[0]


@contextmanager
def hanging(model: StandIn, prompt: str, method: str) -> Iterator[None]:
    """Hold a turn at the model until the block is left; then time is up."""
    model.server.add_rule(Reply.hang(after="so far"), prompt=prompt)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(failure_of, LLMTimeoutError, prompt, method, timeout=None, inactivity_timeout=2)
        model.server.wait_for(prompt, LONGEST)
        yield
        turn.result()


@both_methods
def test_s34_nine_megabytes_are_too_much_for_the_model(model: StandIn, method: str) -> None:
    error = failure_of(ContextWindowError, "word " * 1_800_000, method)
    assert error.raw["terminal_reason"] == "blocking_limit"
    assert model.server.turns() == ()
    assert len(str(error)) < 500


REFUSED: dict[str, dict[str, Any]] = {
    "NUL": {"question": "a\0b"},
    "a lone surrogate": {"question": "a\ud800b"},
    "empty": {"question": ""},
    "blank": {"question": " \n\t\r\n"},
    "11 MB": {"question": "x" * 11_534_336},
    "no text": {"question": b"bytes"},
    "an option as session": {"session_id": "--dangerously-skip-permissions"},
    "a path as session": {"session_id": "../../x"},
    "an empty session": {"session_id": ""},
    "an int as session": {"session_id": 30},
    "zero as session": {"session_id": 0},
    "a UUID with a line feed": {"session_id": OTHER_SESSION + "\n"},
    "a UUID in braces": {"session_id": "{" + OTHER_SESSION + "}"},
    "an empty name": {"session": ""},
    "a negative timeout": {"timeout": -1},
    "a flag for our own": {"extra_args": {"resume": OTHER_SESSION}},
    "a flag that is none": {"extra_args": {"--model": "x"}},
    "a relative directory that is not there": {"cwd": "not/there"},
    "an MCP file that is not there": {"mcp_config": "not-there.json"},
}


@both_methods
@pytest.mark.parametrize("case", REFUSED)
def test_s34_refused_before_anything_is_started(
    fake: FakeClaude, project: Path, method: str, case: str
) -> None:
    home = Path(os.environ["HOME"])
    before = files_below(home, project.parent)
    failure_of(InvalidRequestError, **{"question": "Hello", "method": method, **REFUSED[case]})
    assert fake.calls() == []
    assert sessions_in(files_below(home, project.parent) - before) == set()


def files_below(*places: Path) -> set[Path]:
    return {path for place in places for path in place.rglob("*")}


def sessions_in(paths: set[Path]) -> set[Path]:
    """Leave out what asking a program for its version leaves, which is no turn's."""
    return {path for path in paths if "fake-claude" not in path.parts}


def test_s34_an_int_in_place_of_a_session_is_taken_for_an_old_timeout(fake: FakeClaude) -> None:
    assert "timeout=30" in str(failure_of(InvalidRequestError, "Hello", session_id=30))


# --- s35: commands that the program answers itself


@both_methods
@pytest.mark.parametrize(("command", "told"), [("/cost", "cost"), ("/clear", ""), ("/help", "/help")])
def test_s35_local_commands(model: StandIn, method: str, command: str, told: str) -> None:
    error = failure_of(LocalCommandError, command, method)
    assert told in error.text
    assert error.response is None
    assert error.retryable is False
    assert model.server.turns() == ()


@both_methods
def test_s35_words_that_are_no_command_go_to_the_model(model: StandIn, method: str) -> None:
    assert ask("/frobnicate the thing", method)["text"] == "echo: /frobnicate the thing"


@cli_first
@pytest.mark.parametrize("command", ["/cost", "/clear"])
def test_s35_a_session_survives_a_local_command(model: StandIn, method: str, command: str) -> None:
    session = ask("My favorite color is blue", method)["session_id"]
    assert failure_of(LocalCommandError, command, method, session_id=session).session_id == session
    answer = ask("What is my favorite color?", method, session_id=session)
    assert (answer["text"], answer["session_id"]) == ("Your favorite color is blue", session)


# --- s36: work in the background


def start_in_background(model: StandIn, *, seconds: float) -> None:
    """Let the model start a sub-agent that takes some seconds; each answer has tokens of its own."""
    sub_agent = {
        "description": "background work",
        "prompt": "sub-agent's work",
        "subagent_type": "general-purpose",
        "run_in_background": True,
    }
    own = Reply.text("sub-agent's report").delayed(seconds).with_usage(input_tokens=500, output_tokens=50)
    model.server.add_rule(own, prompt="sub-agent's work")
    start = Reply.tool_use("Task", sub_agent).with_usage(input_tokens=1000, output_tokens=10)
    model.server.add_rule(start, prompt="start it")
    model.server.add_rule(
        Reply.text("it has started").with_usage(input_tokens=100, output_tokens=1), at="tool_result"
    )
    other = Reply.text("noticed").with_usage(input_tokens=100, output_tokens=1)
    model.server.add_rule(other, when=lambda request: request.end == "notice")
    model.server.add_rule(
        Reply.text("second answer").with_usage(input_tokens=100, output_tokens=1), prompt="second"
    )


@both_methods
@pytest.mark.parametrize("seconds", [pytest.param(0.0, marks=pytest.mark.long), 1.5], ids=["quick", "slow"])
def test_s36_each_prompt_gets_its_own_answer(model: StandIn, method: str, seconds: float) -> None:
    start_in_background(model, seconds=seconds)
    ended: list[TurnEnded] = []
    request = new_request("start it", method=method, timeout=LONGEST)
    first = run_turn(ClaudeProvider(), request, after_judge=ended.append)
    second = ask("second", method, session_id=first["session_id"])
    assert [first["text"], second["text"]] == ["it has started", "second answer"]
    kinds = [f"{request.kind}: {request.end}" for request in model.server.requests]
    assert sorted(kinds[:4]) == ["subagent: prompt", "turn: notice", "turn: prompt", "turn: tool_result"]
    assert kinds[4:] == ["turn: prompt"]
    assert_whole(usage_of_events(ended[0].outcome.events), 1000 + 500 + 100 + 100, 10 + 50 + 1 + 1)
    assert_whole(usage_of(second, first), 100, 1)
    if method == "api":
        assert_whole(usage_of(first), 1700, 62)
    else:  # what its response holds ends with the answer: what came behind it is not known, and not guessed
        assert usage_of(first).cost_usd is None


def assert_whole(usage: Usage, sent: int, written: int) -> None:
    """Compare with what the model counted, at the program's own prices."""
    assert (usage.input_tokens, usage.output_tokens) == (sent, written)
    assert usage.cost_usd is not None
    price = sent * Decimal("0.000004") + written * Decimal("0.00002")
    assert round(usage.cost_usd, 9) == round(price, 9)  # the program prints its sums of binary fractions
