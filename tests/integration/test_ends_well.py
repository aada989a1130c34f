"""A turn ends, and nothing of it is left: silence, cancelling, SIGKILL, a program that stays, megabytes (s20-s24)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mcp_coder import (
    InterruptedTurnError,
    LLMResponseDict,
    LLMTimeoutError,
    ResponseFormatError,
    prompt_llm,
    stop_all,
)
from mcp_coder.llm_events import TextDelta, TurnEvent
from mcp_coder.llm_interface import run_request
from mcp_coder.llm_providers.base import TURN_MARKER, Live
from mcp_coder.llm_providers.claude.claude_code_api import ask_claude_code_api_detailed
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import TurnRequest, new_request
from mcp_coder.testing import (
    Exit,
    FakeClaude,
    Hang,
    LeaveChild,
    PrintBytes,
    Reply,
    StandIn,
    Turn,
    WaitForPrompt,
)
from mcp_coder.testing.model_replies import numbered_lines

if TYPE_CHECKING:
    from tests.integration.conftest import Child, Records

    StartPython = Callable[..., Child]
    Remaining = Callable[[], list[psutil.Process]]

GRACE = 6.0
"""Seconds after its time limit within which a call has returned."""
LONGEST = 90.0
STUBBORN = ("SIGINT", "SIGTERM")

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
cli_first = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])
"""The same by both methods, of which one is left to the long tests."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} s"


def wait_until(holds: Callable[[], object]) -> None:
    until = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture
def bystanders(story_mark: str, tmp_path: Path) -> Iterator[list[psutil.Process]]:
    """Start processes that look like an agent and its tool, and are none of ours: one in our own process group."""
    env = {name: value for name, value in os.environ.items() if value != story_mark}
    # Written once: a shell that still reads its script while that is written anew finds it empty, and leaves.
    sleeper = _sleeper(tmp_path)
    started = [
        subprocess.Popen(
            ["claude", str(place)],
            executable=sleeper,
            env={**env, TURN_MARKER: f"another-{place}"},
            start_new_session=bool(place),
        )
        for place in (0, 1)
    ]
    yield [psutil.Process(each.pid) for each in started]
    for each in started:
        each.kill()
        each.wait()


def _sleeper(directory: Path) -> str:
    path = directory / "sleeper"
    path.write_text("#!/bin/sh\nexec sleep 300\n")
    path.chmod(0o700)
    return str(path)


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; told by pid and start time."""
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


# --- s20: silence, and the three clocks


@both_methods
def test_s20_model_hangs_in_mid_answer(model: StandIn, remaining_processes: Remaining, method: str) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    with pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("hang", method=method, timeout=60, inactivity_timeout=2)
    took = datetime.now(UTC) - model.server.turns()[0].time  # without the program's start
    assert took.total_seconds() < 2 + GRACE
    assert remaining_processes() == []
    assert (caught.value.kind, caught.value.timeout, caught.value.retryable) == ("inactivity", 2, True)
    session = caught.value.session_id
    assert session == model.server.turns()[0].session_id
    again = prompt_llm("What did I say?", method=method, session_id=session, timeout=60)
    assert (again["text"], again["session_id"]) == ("You said:\n1. hang", session)


@cli_first
@pytest.mark.parametrize("reply", [Reply.hang(), Reply.hang(after="so far")], ids=["before", "in-mid-answer"])
def test_s20_at_a_tie_it_is_the_total(
    model: StandIn, remaining_processes: Remaining, method: str, reply: Reply
) -> None:
    model.server.add_rule(reply, prompt="hang")
    with within(4 + GRACE), pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("hang", method=method, timeout=4)
    assert remaining_processes() == []
    assert (caught.value.kind, caught.value.timeout, caught.value.retryable) == ("total", 4, False)


@both_methods
def test_s20_a_program_that_prints_nothing(
    fake: FakeClaude, remaining_processes: Remaining, method: str
) -> None:
    fake.script(WaitForPrompt(), Hang(), obeys_interrupt=False)
    with within(2 + GRACE), pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("Hello", method=method, timeout=60, startup_timeout=2)
    assert remaining_processes() == []
    assert (caught.value.kind, caught.value.timeout) == ("startup", 2)
    assert caught.value.session_id == fake.calls()[0].flag("--session-id")


def test_s20_a_program_that_does_not_even_read_its_input(
    fake: FakeClaude, remaining_processes: Remaining
) -> None:
    fake.script(Hang(), reads_stdin=False, ignores=STUBBORN)
    with within(1 + GRACE), pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("x" * 2_000_000, timeout=60, startup_timeout=1)  # more than the pipe takes
    assert remaining_processes() == []
    assert caught.value.kind == "startup"


@both_methods
def test_s20_slow_but_lively_until_the_total(
    model: StandIn, remaining_processes: Remaining, method: str
) -> None:
    pieces = Reply.chunks([f"{number} " for number in range(300)], delay=0.3)
    model.server.add_rule(pieces, prompt="slowly")
    with within(7 + GRACE), pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("slowly", method=method, timeout=7, inactivity_timeout=3)
    assert remaining_processes() == []
    assert (caught.value.kind, caught.value.timeout) == ("total", 7)


@both_methods
def test_s20_slow_but_lively_for_longer_than_the_inactivity_allows(model: StandIn, method: str) -> None:
    model.server.add_rule(Reply.chunks(["one ", "two ", "three ", "four"], delay=1), prompt="slowly")
    answer = prompt_llm("slowly", method=method, timeout=None, inactivity_timeout=2.5)
    assert answer["text"] == "one two three four"


# --- s21: cancelled in mid-tool

_TOOL = """
import os, signal, sys, time
if sys.argv[2] == "stubborn":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
if sys.argv[2] == "daemon" and os.fork():
    time.sleep(0.2)
    os._exit(0)
if sys.argv[2] == "daemon":
    os.setsid()
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.replace(sys.argv[1] + ".new", sys.argv[1])
time.sleep(300)
"""


class LongTools:
    """Two tools that run 300 s: one by Bash, one by an MCP server of its own; the model asks for both."""

    def __init__(self, model: StandIn, mcp_server: dict[str, Any], directory: Path) -> None:
        self._server, self._pid_file = model.server, directory / "tool.pid"
        (directory / "tool.py").write_text(_TOOL)
        self.command = f"{sys.executable} -S {directory / 'tool.py'} {self._pid_file}"
        self.options: dict[str, Any] = {
            "mcp_config": {"mcpServers": {"tiny": mcp_server}},
            "allowed_tools": ["Bash", "mcp__tiny"],
            "timeout": LONGEST,
        }

    def ask_for(self, tool: str) -> str:
        """Let the model ask for a kind of tool; return the prompt at which it does."""
        bash = Reply.tool_use("Bash", command=f"{self.command} {tool}")
        self._server.add_rule(Reply.tool_use("mcp__tiny__wait") if tool == "mcp" else bash, prompt=tool)
        return tool

    def wait(self, tool: str, remaining: Remaining) -> list[psutil.Process]:
        """Wait until the tool runs; return all that runs then."""
        if tool == "mcp":
            self._server.wait_for(tool, LONGEST)
            wait_until(lambda: [each for each in remaining() if "mcp_server.py" in " ".join(each.cmdline())])
            return remaining()
        wait_until(self._pid_file.exists)
        pid = int(self._pid_file.read_text())
        assert pid in {each.pid for each in remaining()}
        return remaining()


@pytest.fixture
def tools(model: StandIn, mcp_server: dict[str, Any], tmp_path: Path) -> LongTools:
    """Let the model ask for tools that take long."""
    return LongTools(model, mcp_server, tmp_path)


_IN_THE_MAIN_THREAD = """
import json, sys
from mcp_coder import prompt_llm
prompt_llm(sys.argv[1], **json.loads(sys.argv[2]))
"""


_LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("tool", "method"),
    [
        ("plain", "cli"),
        ("stubborn", "api"),
        ("daemon", "cli"),
        ("mcp", "api"),
        pytest.param("plain", "api", marks=_LONG),
        pytest.param("stubborn", "cli", marks=_LONG),
        pytest.param("daemon", "api", marks=_LONG),
        pytest.param("mcp", "cli", marks=_LONG),
    ],
)
def test_s21_ctrl_c_during_a_tool(
    tools: LongTools,
    start_python: StartPython,
    remaining_processes: Remaining,
    bystanders: list[psutil.Process],
    tool: str,
    method: str,
) -> None:
    options = json.dumps({**tools.options, "method": method})
    caller = start_python(_IN_THE_MAIN_THREAD, tools.ask_for(tool), options)
    family = tools.wait(tool, remaining_processes)
    assert len(family) >= 3  # the caller, the program, the tool or the server
    with within(10):
        caller.process.send_signal(signal.SIGINT)
        assert caller.process.wait(LONGEST) == -signal.SIGINT, caller.errors()
    assert running(family) == remaining_processes() == []
    assert running(bystanders) == bystanders


_AT_ONCE = """
import sys
from mcp_coder.llm_providers import run
from mcp_coder.llm_providers.claude import provider
from mcp_coder import prompt_llm
print("0", flush=True)
prompt_llm("Hello", method=sys.argv[1], timeout=60)
"""


@both_methods
@pytest.mark.parametrize(
    "milliseconds", [pytest.param(each, marks=_LONG if each % 40 else ()) for each in range(0, 260, 20)]
)
def test_s21_ctrl_c_at_any_moment(
    fake: FakeClaude,
    start_python: StartPython,
    remaining_processes: Remaining,
    method: str,
    milliseconds: int,
) -> None:
    fake.script(WaitForPrompt(), Hang())
    caller = start_python(_AT_ONCE, method)
    caller.hear()
    time.sleep(milliseconds / 1000)  # the story's own time: wherever the start of the program is by then
    caller.process.send_signal(signal.SIGINT)
    assert caller.process.wait(LONGEST) == -signal.SIGINT, caller.errors()
    # One that was asked for its version, and the answer not awaited, ends by itself.
    assert psutil.wait_procs(remaining_processes(), timeout=2)[1] == []


def test_s21_ctrl_c_while_the_program_is_being_started(
    fake: FakeClaude, remaining_processes: Remaining, bystanders: list[psutil.Process]
) -> None:
    started: list[Live] = []

    class Interrupted(ClaudeProvider):
        def start(self, request: TurnRequest, **surroundings: Any) -> Live:
            started.append(super().start(request, **surroundings))
            fake.wait_for(lambda calls: len(calls) == 1, LONGEST)
            raise KeyboardInterrupt

    fake.script(WaitForPrompt(), LeaveChild(), Hang())
    with pytest.raises(KeyboardInterrupt):
        run_turn(Interrupted(), new_request("Hello", timeout=60))
    assert remaining_processes() == []
    started[0].close(stopped="interrupted", seconds=None, grace=0)  # the files that it had open
    assert running(bystanders) == bystanders


@contextmanager
def turn_in_a_thread(*args: Any, **options: Any) -> Iterator[Future[LLMResponseDict]]:
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(prompt_llm, *args, **options)
        finally:
            stop_all()


@cli_first
@pytest.mark.parametrize("tool", ["stubborn", "mcp"])
def test_s21_stop_all_during_a_tool(
    tools: LongTools,
    remaining_processes: Remaining,
    bystanders: list[psutil.Process],
    tool: str,
    method: str,
) -> None:
    with turn_in_a_thread(tools.ask_for(tool), method=method, **tools.options) as turn:
        family = tools.wait(tool, remaining_processes)
        with within(10):
            stop_all()
            assert running(family) == remaining_processes() == []
            error = turn.exception(LONGEST)
    assert isinstance(error, InterruptedTurnError)
    assert running(bystanders) == bystanders
    again = prompt_llm("What did I say?", method=method, session_id=error.session_id, timeout=60)
    assert again["text"] == f"You said:\n1. {tool}"


def test_s21_the_async_form_cancelled_during_a_tool(
    tools: LongTools,
    model: StandIn,
    remaining_processes: Remaining,
    bystanders: list[psutil.Process],
) -> None:
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="undisturbed"), prompt="somebody else's")

    async def story() -> str:
        other = asyncio.create_task(ask_claude_code_api_detailed("somebody else's", timeout=LONGEST))
        await asyncio.to_thread(model.server.wait_for, "somebody else's", LONGEST)
        others = remaining_processes()
        turn = asyncio.create_task(ask_claude_code_api_detailed(tools.ask_for("stubborn"), **tools.options))
        family = await asyncio.to_thread(tools.wait, "stubborn", remaining_processes)
        turn.cancel()
        with within(10), pytest.raises(asyncio.CancelledError):
            await turn
        assert [each for each in running(family) if each not in others] == []
        assert running(others) == others
        release.set()
        return str((await other)["text"])

    assert asyncio.run(story()) == "undisturbed"
    assert running(bystanders) == bystanders


@cli_first
@pytest.mark.parametrize("how", ["timeout", "stop_all"])
def test_s21_a_program_that_ignores_signals(
    fake: FakeClaude, remaining_processes: Remaining, bystanders: list[psutil.Process], method: str, how: str
) -> None:
    child = LeaveChild(stubborn=True)
    fake.script(
        WaitForPrompt(), child, Turn(prints_result=False, waits_for_prompt=False), Hang(), ignores=STUBBORN
    )
    with turn_in_a_thread("Hello", method=method, timeout=3 if how == "timeout" else 60) as turn:
        fake.wait_for(lambda calls: bool(calls and calls[0].children), LONGEST)
        family = remaining_processes()
        with within(10):
            if how == "stop_all":
                stop_all()
            error = turn.exception(LONGEST)
    assert isinstance(error, LLMTimeoutError if how == "timeout" else InterruptedTurnError)
    assert len(family) >= 2
    assert running(family) == remaining_processes() == []
    assert set(fake.calls()[0].signals) == set(STUBBORN)
    assert running(bystanders) == bystanders


# --- s22: the answer is there, the program stays


@cli_first
@pytest.mark.parametrize("ignores", [(), STUBBORN], ids=["obedient", "stubborn"])
def test_s22_it_prints_its_result_and_never_exits(
    fake: FakeClaude,
    remaining_processes: Remaining,
    caplog: pytest.LogCaptureFixture,
    method: str,
    ignores: tuple[str, ...],
) -> None:
    fake.script(Turn(text="good"), Hang(), ignores=ignores)
    with within(3 + GRACE):
        answer = prompt_llm("Hello", method=method, timeout=3)
    assert remaining_processes() == []
    assert answer["text"] == "good"
    assert [each.levelname for each in caplog.records if "did not exit by itself" in each.message] == [
        "WARNING"
    ]


@both_methods
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "stubborn"])
@pytest.mark.parametrize("own_group", [False, True], ids=["in-its-group", "in-its-own"])
def test_s22_a_child_left_behind_holds_the_output_open(
    fake: FakeClaude, remaining_processes: Remaining, method: str, stubborn: bool, own_group: bool
) -> None:
    fake.script(LeaveChild(stubborn=stubborn, own_group=own_group), Turn(text="good"))
    answer = prompt_llm("Hello", method=method, timeout=60)
    took = time.time() - fake.calls()[0].line_times[-1]  # since the prompt arrived
    assert took < 4
    assert answer["text"] == "good"
    assert fake.calls()[0].exit_code == 0
    assert len(fake.calls()[0].children) == 1
    assert remaining_processes() == []


def test_s22_a_tool_left_in_the_background_ends_with_its_turn(
    tools: LongTools, model: StandIn, remaining_processes: Remaining, bystanders: list[psutil.Process]
) -> None:
    model.server.add_rule(
        Reply.tool_use("Bash", command=f"{tools.command} plain", run_in_background=True), prompt="serve"
    )
    with within(30):
        answer = prompt_llm("serve", **tools.options)
    assert "background" in answer["text"]
    assert remaining_processes() == []
    assert running(bystanders) == bystanders


# --- s23: we are killed

_KILLED = """
import json, sys
from mcp_coder import prompt_llm
print("0", flush=True)
prompt_llm(sys.argv[1], **json.loads(sys.argv[2]))
"""


@both_methods
@pytest.mark.parametrize("seconds", [0.2, 1.0, 3.0])
def test_s23_killed_in_a_first_turn(
    model: StandIn, start_python: StartPython, bystanders: list[psutil.Process], method: str, seconds: float
) -> None:
    model.server.add_rule(Reply.text("an answer").delayed(2), prompt="My favorite color is blue")
    options = {"session": "nightly", "method": method, "timeout": LONGEST}
    caller = start_python(_KILLED, "My favorite color is blue", json.dumps(options))
    caller.hear()
    time.sleep(seconds)  # the story's own time: wherever the turn is by then
    caller.kill()
    assert_goes_on(model, bystanders, method, told="My favorite color is blue", session="nightly")


def assert_goes_on(
    model: StandIn, bystanders: list[psutil.Process], method: str, *, told: str, **session: Any
) -> LLMResponseDict:
    """Go on with a session after a kill: the prompt is in its history as often as the model was asked it."""
    before = model.server.prompts().count(told)
    answer = prompt_llm("What did I say?", method=method, timeout=30, **session)
    asked = model.server.prompts()
    assert asked[-1] == "What did I say?"
    assert asked.count(told) in (before, 1)  # never sent again by us
    assert model.server.history() == [told] * asked.count(told) + ["What did I say?"]
    assert {turn.session_id for turn in model.server.turns()} == {answer["session_id"]}
    assert running(bystanders) == bystanders
    return answer


@pytest.mark.parametrize(
    ("by", "method"),
    [
        ("name", "cli"),
        ("id", "api"),
        pytest.param("name", "api", marks=_LONG),
        pytest.param("id", "cli", marks=_LONG),
    ],
)
def test_s23_killed_in_mid_tool(
    tools: LongTools,
    model: StandIn,
    start_python: StartPython,
    remaining_processes: Remaining,
    bystanders: list[psutil.Process],
    method: str,
    by: str,
) -> None:
    session: dict[str, Any] = {"session": "nightly"}
    if by == "id":
        session = {"session_id": prompt_llm("Hello", timeout=60)["session_id"]}
    caller = start_python(
        _KILLED, tools.ask_for("stubborn"), json.dumps({**tools.options, **session, "method": method})
    )
    orphans = [each for each in tools.wait("stubborn", remaining_processes) if each.pid != caller.pid]
    caller.kill()
    assert running(orphans) == orphans
    answer = prompt_llm("What did I say?", method=method, timeout=20, **session)
    assert running(orphans) == []
    assert running(bystanders) == bystanders
    told = ["Hello"] * (by == "id") + ["stubborn"]
    assert model.server.history() == [*told, "What did I say?"]
    assert {turn.session_id for turn in model.server.turns()} == {answer["session_id"]}


@both_methods
def test_s23_an_orphan_that_finishes_is_waited_for(
    model: StandIn, start_python: StartPython, records: Records, bystanders: list[psutil.Process], method: str
) -> None:
    release = threading.Event()
    model.server.add_rule(Reply.hang(after="so ", until=release, then="far"), prompt="take your time")
    options = {"session": "nightly", "method": method, "timeout": LONGEST}
    caller = start_python(_KILLED, "take your time", json.dumps(options))
    session = str(model.server.wait_for("take your time", LONGEST).session_id)
    caller.kill()
    directory = Path(records.card(session)["directory"])
    threading.Timer(1, release.set).start()
    assert_goes_on(model, bystanders, method, told="take your time", session="nightly")
    answers = [m for m in model.server.turns()[-1].body["messages"] if m["role"] == "assistant"]
    assert "so far" in str(answers)  # the orphan's answer was not lost
    card = records.card(session)
    assert (card["finished"], card["failed"], card["agent"]) == (2, 0, {})
    assert not directory.exists()


# --- s24: long answers, and cut ones


@both_methods
@pytest.mark.parametrize("size", [70_000, 1_200_000, pytest.param(6_000_000, id="6MB")])
def test_s24_long_answers_are_complete(model: StandIn, method: str, size: int) -> None:
    model.server.add_rule(Reply.big(size), prompt="much")
    assert prompt_llm("much", method=method, timeout=60)["text"] == numbered_lines(size)


@both_methods
def test_s24_complete_for_a_caller_who_reads_slowly(model: StandIn, method: str) -> None:
    paused: list[TurnEvent] = []

    def pause_once(event: TurnEvent) -> None:
        if isinstance(event, TextDelta) and not paused:
            paused.append(event)
            time.sleep(4)  # longer than a program that exits waits for the reader of a pipe

    model.server.add_rule(Reply.big(1_200_000), prompt="much")
    answer = run_request(new_request("much", method=method, timeout=60.0), observe=pause_once)
    assert paused
    assert answer["text"] == numbered_lines(1_200_000)


@both_methods
def test_s24_complete_while_another_thread_keeps_the_interpreter_busy(model: StandIn, method: str) -> None:
    model.server.add_rule(Reply.big(1_200_000), prompt="much")
    with turn_in_a_thread("much", method=method, timeout=60) as turn:
        while not turn.done():
            sum(range(10_000))
        assert turn.result()["text"] == numbered_lines(1_200_000)


# To the SDK the program has answered some 200 bytes before the turn begins.
@pytest.mark.parametrize(
    ("cut_at", "method"),
    [(1, "cli"), (100, "cli"), *((size, method) for size in (65_536, 66_000) for method in ("cli", "api"))],
)
def test_s24_output_cut_with_exit_0_is_an_error(fake: FakeClaude, method: str, cut_at: int) -> None:
    fake.script(WaitForPrompt(), Turn(text=numbered_lines(70_000), waits_for_prompt=False), cut_at=cut_at)
    with pytest.raises(ResponseFormatError, match="cut off") as caught:
        prompt_llm("much", method=method, timeout=60)
    assert caught.value.session_id == fake.calls()[0].flag("--session-id")
    assert caught.value.response is None
    assert fake.calls()[0].exit_code == 0


@both_methods
def test_s24_output_cut_within_the_result_is_an_error(fake: FakeClaude, method: str) -> None:
    begun = b'{"type": "result", "subtype": "success", "is_error": false, "result": "only the beg'
    fake.script(Turn(prints_result=False), PrintBytes(begun), Exit(0))
    with pytest.raises(ResponseFormatError, match="cut off"):
        prompt_llm("much", method=method, timeout=60)


def test_s24_nothing_of_a_long_answer_is_left_on_the_disk(model: StandIn) -> None:
    model.server.add_rule(Reply.big(1_200_000), prompt="much")
    prompt_llm("much", timeout=60)
    turns = Path(os.environ["MCP_CODER_HOME"]) / "turns"
    assert list(turns.iterdir()) == []
