"""Warm turns say what happened and what it cost, each its own (s30, s31, s32, s36, s40, s41)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST, Records

from mcp_coder import (
    AgentError,
    AuthenticationError,
    InterruptedTurnError,
    LimitReachedError,
    LLMError,
    LLMTimeoutError,
    LocalCommandError,
    ModelNotFoundError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    Session,
    SessionError,
    open_session,
    prompt_llm,
)
from mcp_coder.llm_events import TextDelta, Usage
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store
from mcp_coder.testing import Exit, FakeClaude, Print, PrintBytes, Reply, StandIn, Turn, WaitForPrompt
from mcp_coder.testing.program_script import Step

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"
ZERO = Decimal(0)
OTHER_SESSION = "00000000-0000-4000-8000-000000000000"
ANY_TOOL: dict[str, Any] = {"permission_mode": "bypassPermissions", "env": {"IS_SANDBOX": "1"}}

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


@pytest.fixture
def store(model: StandIn) -> Iterator[Store]:
    """Open the default store of this test."""
    opened = open_store()
    yield opened
    opened.close()


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


def wait_until(holds: Callable[[], object]) -> None:
    until = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def failure_of(expected: type[LLMError], call: Callable[..., object], *args: Any, **options: Any) -> Any:
    with pytest.raises(expected) as caught:
        call(*args, **options)
    assert type(caught.value) is expected
    return caught.value


def same_price(model: StandIn) -> None:
    """Let each turn for which there is no rule yet cost the same."""
    model.server.add_rule(Reply.text("an answer").with_usage(input_tokens=1000, output_tokens=10))


def costs(session: Session) -> list[Decimal | None]:
    return [turn.usage.cost_usd for turn in session.turns()]


# --- s30: errors of the model's service

STATUSES: dict[int, type[AgentError]] = {
    400: AgentError,
    401: AuthenticationError,
    404: ModelNotFoundError,
    429: RateLimitError,
    500: ServerError,
    529: ServerError,
}


@one_method_soon
def test_s30_errors_of_the_model_one_after_another_in_one_agent(
    model: StandIn, agents: Agents, method: str
) -> None:
    for status in STATUSES:
        model.server.add_rule(Reply.error(status, message="for its reasons"), prompt=f"status {status}")
    with warm(method=method) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        for status, expected in STATUSES.items():
            error = failure_of(expected, session.prompt, f"status {status}")
            assert (error.status, error.session_id) == (status, session.id)
            assert error.raw["api_error_status"] == status
            last = session.prompt(f"after {status}")
            assert last["text"] == f"echo: after {status}"
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert agents() == [agent]
        recorded = list(session.turns())
        assert [turn.state for turn in recorded] == [
            "succeeded",
            *["failed", "succeeded"] * len(STATUSES),
            "succeeded",
        ]
        assert {turn.usage.cost_usd for turn in recorded if turn.state == "failed"} == {Decimal(0)}
        usage = session.usage()
        assert (usage.unaccounted_turns, usage.unrecorded_usd) == (0, ZERO)


@one_method_soon
def test_s30_not_logged_in(
    model: StandIn, monkeypatch: pytest.MonkeyPatch, agents: Agents, method: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with warm(method=method) as session:
        for _ in range(2):
            error = failure_of(AuthenticationError, session.prompt, "Hello")
            assert "/login" in str(error)
        monkeypatch.setenv(
            "ANTHROPIC_API_KEY", "sk-ant-standin"
        )  # an agent of another environment is started
        assert session.prompt(BLUE, after_failure="drop")["text"] == "Noted: my favorite color is blue"
    assert len(model.server.turns()) == 1


@pytest.mark.long
@both_methods
def test_s35_local_commands_leave_the_session_as_it_is(model: StandIn, agents: Agents, method: str) -> None:
    with warm(method=method) as session:
        session.prompt(BLUE)
        for command in ("/cost", "/clear"):
            assert failure_of(LocalCommandError, session.prompt, command).session_id == session.id
            assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert session.prompt(ALL)["session_id"] == session.id
        assert len(agents()) == 1
        assert session.usage().unaccounted_turns == 0
    assert model.server.history(session.id) == [BLUE, COLOR, COLOR, ALL]


# --- s31: limits


@one_method_soon
def test_s31_limits_hold_for_each_prompt(model: StandIn, agents: Agents, method: str) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="echo once more"), at="any", prompt="for ever")
    model.server.add_rule(Reply.tool_use("Bash", command="echo more"), tool_output="once more")
    model.server.add_rule(Reply.tool_use("Bash", command="echo"), tool_output="more", times=1)
    with warm(method=method, max_turns=2, **ANY_TOOL) as session:
        for _ in range(2):
            error = failure_of(LimitReachedError, session.prompt, "for ever")
            assert (error.limit, error.session_id) == ("turns", session.id)
            assert session.prompt(BLUE)["text"] == "Noted: my favorite color is blue"
        states = [turn.state for turn in session.turns()]
        assert states == ["failed", "succeeded"] * 2
        assert all(cost for cost in costs(session))
        assert session.usage().unaccounted_turns == 0
        assert len(agents()) == 1


@one_method_soon
def test_s31_a_budget_is_each_prompts_own(model: StandIn, agents: Agents, method: str) -> None:
    """A turn costs some 0.004: two of them are beyond the limit together, and none by itself."""
    same_price(model)
    with warm(method=method, max_budget_usd=0.006) as session:
        for number in range(2):
            assert session.prompt(f"turn {number}")["text"] == "an answer"
        x = costs(session)[0]
        assert x is not None
        assert 0.003 < x < 0.006
        error = failure_of(LimitReachedError, session.prompt, "dear", max_budget_usd=0.0001)
        assert error.limit == "budget"
        assert costs(session) == [x] * 3
        assert (session.usage().cost_usd, session.usage().unrecorded_usd) == (3 * x, ZERO)


# --- s32: what a program may print

_ABORTED = {
    "type": "result",
    "subtype": "error_during_execution",
    "is_error": True,
    "terminal_reason": "aborted_streaming",
    "session_id": "{{session_id}}",
}
_NO_RESULT = Turn(prints_result=False)
_COMMAND = Turn(result={"num_turns": 0}, input_tokens=0, output_tokens=0, prints_assistant=False)
_REPORT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "a late report",
    "origin": {"kind": "task-notification"},
    "session_id": "{{session_id}}",
}

Verdict = str | type[LLMError]
PROGRAMS: dict[str, tuple[tuple[Step, ...], dict[str, Any], Verdict]] = {
    "exit 0 without a result": ((_NO_RESULT, Exit(0)), {}, ResponseFormatError),
    "exit 1 without a result": ((_NO_RESULT, Exit(1)), {}, ResponseFormatError),
    "an aborted result, exit 0": ((_NO_RESULT, Print(_ABORTED), Exit(0)), {}, InterruptedTurnError),
    "exit 0, nothing printed at all": ((WaitForPrompt(), Exit(0)), {}, ResponseFormatError),
    "empty result, but something said": ((Turn(text="said", result={"result": ""}),), {}, "said"),
    "empty result, nothing said": (
        (Turn(prints_assistant=False, result={"result": ""}),),
        {},
        ResponseFormatError,
    ),
    "no turn, no model": ((_COMMAND,), {}, LocalCommandError),
    "exit 1 with a good result": ((Turn(text="good"), Exit(1)), {}, "good"),
    "an error that is none of the service's": ((Turn(result={"is_error": True}),), {}, AgentError),
    "unknown events": (
        (Turn(text="good", before=({"type": "novelty", "of": ["9.0"]}, {"a": 1})),),
        {},
        "good",
    ),
    "lines that are no JSON": ((Turn(text="good", before=("Warning: something", "{", "[1,")),), {}, "good"),
    "a result of another session": ((Turn(session_id=OTHER_SESSION),), {}, SessionError),
    "a result that is no text": ((Turn(result={"result": {"a": 1}}),), {}, ResponseFormatError),
    "a report before its answer": (
        (WaitForPrompt(), Print(_REPORT), Turn(text="good", waits_for_prompt=False)),
        {},
        "good",
    ),
    "cut off in its result": (
        (_NO_RESULT, PrintBytes(b'{"type": "result", "result": "only the beg'), Exit(0)),
        {},
        ResponseFormatError,
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
@pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])
def test_s32_programs(fake: FakeClaude, agents: Agents, method: str, case: str) -> None:
    """Each at the second prompt of a warm session; the third has an answer of its own, and so has a stream."""
    steps, options, verdict = PROGRAMS[case]
    fake.script(Turn(text="first"), *steps, Turn(text="own"), **options)
    fake.script(Turn(text="own"))
    with warm(method=method) as session:
        assert session.prompt("one")["text"] == "first"
        if isinstance(verdict, str):
            assert session.prompt("two")["text"] == verdict
        else:
            assert failure_of(verdict, session.prompt, "two").session_id == session.id
        for question in ("three", "four"):
            stream = session.stream(question)
            assert "".join(event.text for event in stream if isinstance(event, TextDelta)) == "own"
            assert stream.response is not None
            assert stream.response["session_id"] == session.id
        assert len(agents()) == 1
        assert [turn.prompt for turn in session.turns()] == ["one", "two", "three", "four"]
    prompts = [prompt for call in fake.calls() for prompt in call.prompts]
    assert prompts == ["one", "two", "three", "four"]  # nothing is asked twice


def test_s32_what_a_program_prints_between_turns_is_nobodys_answer(fake: FakeClaude, agents: Agents) -> None:
    """Two results at once, and texts that come after them: none is handed to the next prompt."""
    late = Turn(text="late", waits_for_prompt=False)
    fake.script(Turn(text="first"), late, Turn(text="second"), Turn(text="third"))
    with warm() as session:
        assert session.prompt("one")["text"] in ("first", "late")  # both are its own
        assert session.prompt("two")["text"] == "second"
        assert session.prompt("three")["text"] == "third"
        assert len(fake.calls()) == 1


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
    one = {"input_tokens": 100, "output_tokens": 1}
    model.server.add_rule(Reply.text("it has started").with_usage(**one), at="tool_result")
    model.server.add_rule(
        Reply.text("noticed").with_usage(**one), when=lambda request: request.end == "notice"
    )
    model.server.add_rule(Reply.text("second answer").with_usage(**one), prompt="second")


def assert_whole(usage: Usage, sent: int, written: int) -> None:
    """Compare with what the model counted, at the program's own prices."""
    assert (usage.input_tokens, usage.output_tokens) == (sent, written)
    assert usage.cost_usd is not None
    price = sent * Decimal("0.000004") + written * Decimal("0.00002")
    assert round(usage.cost_usd, 9) == round(price, 9)


@both_methods
def test_s36_a_sub_agent_in_the_background_and_another_prompt(
    model: StandIn, agents: Agents, method: str
) -> None:
    start_in_background(model, seconds=0.5)
    with warm(method=method) as session:
        (agent,) = agents()
        assert session.prompt("start it")["text"] == "it has started"
        stream = session.stream("second")
        assert [event.text for event in stream if isinstance(event, TextDelta)] == ["second answer"]
        assert session.prompt("second")["text"] == "second answer"
        assert agents() == [agent]
        one, two, three = session.turns()
        assert_whole(one.usage, 1000 + 500 + 100 + 100, 10 + 50 + 1 + 1)
        assert_whole(two.usage, 100, 1)
        assert_whole(three.usage, 100, 1)
        assert session.usage().unrecorded_usd == 0


@one_method_soon
def test_s36_a_hook_of_the_users_wakes_the_agent_behind_its_answer(
    model: StandIn, agents: Agents, records: Records, tmp_path: Path, method: str
) -> None:
    """No tool was used, and yet the agent goes on behind its result: what that costs is on this turn's bill."""
    once = f"[ -e {tmp_path}/woken ] && exit 0; touch {tmp_path}/woken; echo 'wake up' >&2; exit 2"
    hook = {"type": "command", "command": once, "async": True, "asyncRewake": True}
    settings = {"hooks": {"UserPromptSubmit": [{"hooks": [hook]}]}}
    (records.config_dir / "settings.json").write_text(json.dumps(settings))
    spoken = {"input_tokens": 100, "output_tokens": 1}
    model.server.add_rule(Reply.text("an answer").with_usage(**spoken).delayed(0.5), prompt="one")
    woken = Reply.text("woken").with_usage(input_tokens=1000, output_tokens=10)
    model.server.add_rule(woken, when=lambda request: request.end == "notice")
    model.server.add_rule(Reply.text("another").with_usage(**spoken), prompt="two")
    with warm(method=method) as session:
        (agent,) = agents()
        assert session.prompt("one")["text"] == "an answer"
        assert session.prompt("two")["text"] == "another"
        assert agents() == [agent]
        one, two = session.turns()
    assert_whole(one.usage, 1000 + 100, 10 + 1)
    assert_whole(two.usage, 100, 1)


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("cli", "while it speaks"),
        ("api", "afterwards"),
        pytest.param("api", "while it speaks", marks=pytest.mark.long),
        pytest.param("cli", "afterwards", marks=pytest.mark.long),
    ],
)
def test_s36_a_command_that_ends_between_two_turns_makes_the_program_speak_by_itself(
    model: StandIn, agents: Agents, records: Records, tmp_path: Path, method: str, asked: str
) -> None:
    """What it says then is handed to no prompt, and what that cost is on the record."""
    gate = tmp_path / "gate"
    wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    (tmp_path / "wait.py").write_text(wait)
    command = f"{sys.executable} -S {tmp_path / 'wait.py'}; echo done"
    one = {"input_tokens": 100, "output_tokens": 1}
    start = Reply.tool_use("Bash", command=command, run_in_background=True).with_usage(**one)
    model.server.add_rule(start, prompt="start it")
    model.server.add_rule(Reply.text("it has started").with_usage(**one), at="tool_result")
    told = Reply.text("it has ended").with_usage(input_tokens=1000, output_tokens=10)
    told = told.delayed(0.3 if asked == "while it speaks" else 0)
    model.server.add_rule(told, when=lambda request: request.end == "notice")
    model.server.add_rule(Reply.text("an answer").with_usage(**one), prompt="and on")
    with warm(method=method, **ANY_TOOL) as session:
        (agent,) = agents()
        assert session.prompt("start it")["text"] == "it has started"
        gate.touch()
        model.server.wait_for(lambda request: request.end == "notice", LONGEST)
        if asked == "afterwards":
            wait_until(lambda: "it has ended" in records.transcript(session.id).read_text())
        stream = session.stream("and on")
        assert [event.text for event in stream if isinstance(event, TextDelta)] == ["an answer"]
        assert stream.response is not None
        assert stream.response["text"] == "an answer"
        assert session.prompt("and on")["text"] == "an answer"
        assert agents() == [agent]
        first, second, third = session.turns()
        assert_whole(first.usage, 200, 2)
        assert_whole(second.usage, 1000 + 100, 10 + 1)  # the report is on the bill of the turn behind it
        assert_whole(third.usage, 100, 1)
        assert (session.usage().unaccounted_turns, session.usage().unrecorded_usd) == (0, ZERO)
        # The report is part of the agent's history.
        assert "it has ended" in str(model.server.turns(session.id)[-1].body["messages"])


# --- s40, s41: money


@one_method_soon
def test_s40_three_turns_and_a_fork(model: StandIn, store: Store, method: str) -> None:
    same_price(model)
    with warm(method=method) as session:
        for question in ("one", "two", "three"):
            session.prompt(question)
        with session.fork() as fork:
            fork.prompt("four")
            fork.prompt("five")
    (x, *others), forked = costs(session), costs(fork)
    assert x is not None
    assert x > 0
    assert [*others, *forked] == [x] * 4
    assert (session.usage().cost_usd, fork.usage().cost_usd) == (3 * x, 2 * x)
    total = store.usage(tree_of=session.id).total
    assert (total.cost_usd, total.turns, total.unaccounted_turns, total.unrecorded_usd) == (5 * x, 5, 0, ZERO)


@pytest.mark.parametrize("version", ["2.1.200", "2.1.260", "2.1.290"])
def test_s40_counters_of_other_programs(
    fake_of_version: Callable[[str], FakeClaude], agents: Agents, version: str
) -> None:
    """Whatever the counters of a version count: within one process they go on, and each turn costs its own."""
    fake = fake_of_version(version)
    fake.script(Turn(cost=0.01), counter="per_process" if version == "2.1.200" else "cumulative")
    with warm() as session:
        for number in range(3):
            session.prompt(f"turn {number}")
        for agent in agents():
            agent.kill()
            agent.wait(10)
        for number in range(3, 5):
            session.prompt(f"turn {number}")
    assert costs(session) == [Decimal("0.01")] * 5
    assert session.usage().unrecorded_usd == 0


def test_s40_nothing_is_unrecorded_where_all_turns_are_ours(model: StandIn) -> None:
    """The agent that is kept has not told its totals yet when a plain call goes on in the session."""
    same_price(model)
    with warm() as session:
        session.prompt("one")
        session.prompt("two")
        prompt_llm("three", session_id=session.id, timeout=LONGEST)
        session.prompt("four")
        session.prompt("five")
        usage = session.usage()
        x = costs(session)[0]
        assert x is not None
        assert costs(session) == [x] * 5
        assert (usage.cost_usd, usage.unaccounted_turns, usage.unrecorded_usd) == (5 * x, 0, ZERO)


@one_method_soon
def test_s41_a_killed_turn_is_unaccounted_and_the_others_are_right(
    model: StandIn, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    same_price(model)
    with warm(method=method) as session, ThreadPoolExecutor(1) as pool:
        session.prompt("one")
        turn = pool.submit(session.prompt, "hang")
        model.server.wait_for("hang", LONGEST)
        for agent in agents():
            agent.kill()
        assert isinstance(turn.exception(), InterruptedTurnError)
        session.prompt("three")
        x, killed, y = session.turns()
        assert (killed.usage.cost_usd, killed.unaccounted) == (None, True)
        assert x.usage.cost_usd == y.usage.cost_usd
        # One that is broken off tells what it has spent.
        failure_of(LLMTimeoutError, session.prompt, "hang", inactivity_timeout=0.5)
        session.prompt("five")
        *_, broken_off, z = session.turns()
        assert z.usage.cost_usd == x.usage.cost_usd
        assert broken_off.usage.cost_usd is not None
        usage = session.usage()
        assert usage.unaccounted_turns == 1
        assert usage.cost_usd == sum(cost or 0 for cost in costs(session))
