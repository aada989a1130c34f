"""A warm turn ends, and the session goes on: silence, interrupts, SIGKILL of ours, megabytes (s20-s24), and exits."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST, Child, Records

from mcp_coder import (
    InterruptedTurnError,
    LLMTimeoutError,
    Session,
    open_session,
    stop_all,
)
from mcp_coder.llm_events import TextDelta, TurnFinished
from mcp_coder.testing import FakeClaude, Hang, LeaveChild, Reply, StandIn, Turn, WaitForPrompt
from mcp_coder.testing.model_replies import numbered_lines

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]
    Remaining = Callable[[], list[psutil.Process]]
    StartPython = Callable[..., Child]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

GRACE = 6.0
BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"
ZERO = Decimal(0)
STUBBORN = ("SIGINT", "SIGTERM")
ANY_TOOL: dict[str, Any] = {"permission_mode": "bypassPermissions", "env": {"IS_SANDBOX": "1"}}

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


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
        time.sleep(0.01)


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- s20: three clocks


@one_method_soon
def test_s20_silence_and_the_total_leave_a_warm_session_in_order(
    model: StandIn, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    pieces = Reply.chunks([f"{number} " for number in range(300)], delay=0.2)
    model.server.add_rule(pieces, prompt="slowly")
    with warm(method=method) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        with within(1 + GRACE), pytest.raises(LLMTimeoutError) as caught:
            session.prompt("hang", inactivity_timeout=1)
        assert (caught.value.kind, caught.value.timeout, caught.value.session_id) == (
            "inactivity",
            1,
            session.id,
        )
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        with within(2 + GRACE), pytest.raises(LLMTimeoutError) as caught:
            [*session.stream("slowly", timeout=2, inactivity_timeout=1)]
        assert (caught.value.kind, caught.value.timeout) == ("total", 2)
        assert session.prompt(ALL)["text"].splitlines() == [
            "You said:",
            f"1. {BLUE}",
            "2. hang",
            f"3. {COLOR}",
            "4. slowly",
        ]
        assert agents() == [agent]  # it broke the turns off, and lives
        states = [(turn.prompt, turn.state) for turn in session.turns()]
        assert states == [
            (BLUE, "succeeded"),
            ("hang", "interrupted"),
            (COLOR, "succeeded"),
            ("slowly", "interrupted"),
            (ALL, "succeeded"),
        ]


@one_method_soon
@pytest.mark.parametrize("kind", ["startup", "inactivity"])
def test_s20_a_program_that_falls_silent_at_a_later_prompt(
    fake: FakeClaude, agents: Agents, method: str, kind: str
) -> None:
    """It does not take the prompt up, or takes it up and says no more; it obeys no interrupt."""
    waits = [WaitForPrompt()] if kind == "inactivity" else []
    fake.script(Turn(), *waits, Hang(), obeys_interrupt=False)
    fake.script()
    with warm(method=method) as session:
        session.prompt("one")
        limits: Any = {f"{kind}_timeout": 1}
        with within(1 + GRACE), pytest.raises(LLMTimeoutError) as caught:
            session.prompt("two", **limits)
        assert (caught.value.kind, caught.value.timeout, caught.value.session_id) == (kind, 1, session.id)
        assert agents() == []
        assert session.prompt("three")["text"] == "You said: three"
    assert [call.flag("--resume") for call in fake.calls()] == [None, session.id]


def test_s20_a_program_that_never_says_anything(fake: FakeClaude, agents: Agents) -> None:
    fake.script(Hang(), reads_stdin=False, ignores=STUBBORN)
    fake.script()
    with warm() as session:
        with within(0.5 + GRACE), pytest.raises(LLMTimeoutError) as caught:
            session.prompt("x" * 2_000_000, startup_timeout=0.5)  # more than the pipe takes
        assert caught.value.kind == "startup"
        assert agents() == []
        assert session.prompt("two")["session_id"] == session.id


# --- s21: interrupted


_TOOL = """
import os, sys, time
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.replace(sys.argv[1] + ".new", sys.argv[1])
time.sleep(300)
"""


@pytest.fixture
def run_tool(model: StandIn, tmp_path: Path) -> Callable[[], psutil.Process]:
    """Let the prompt "run it" run a tool that takes 300 s; wait for it and return its process."""
    (tmp_path / "tool.py").write_text(_TOOL)
    pid_file = tmp_path / "tool.pid"
    command = f"{sys.executable} -S {tmp_path / 'tool.py'} {pid_file}"
    model.server.add_rule(Reply.tool_use("Bash", command=command), prompt="run it")

    def wait() -> psutil.Process:
        wait_until(pid_file.exists)
        found = psutil.Process(int(pid_file.read_text()))
        pid_file.unlink()
        return found

    return wait


@both_methods
def test_s21_interrupted_during_a_tool(
    model: StandIn, agents: Agents, run_tool: Callable[[], psutil.Process], method: str
) -> None:
    with warm(method=method, **ANY_TOOL) as session, ThreadPoolExecutor(1) as pool:
        assert session.interrupt() is False
        session.prompt(BLUE)
        (agent,) = agents()
        turn = pool.submit(session.prompt, "run it")
        tool = run_tool()
        with within(5):
            assert session.interrupt() is True
            error = turn.exception()
        assert isinstance(error, InterruptedTurnError)
        assert error.session_id == session.id
        assert is_gone(tool)
        assert agents() == [agent]
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        one, broken_off, three = session.turns()
        assert [turn.state for turn in (one, broken_off, three)] == ["succeeded", "interrupted", "succeeded"]
        assert broken_off.usage.cost_usd is not None
        assert broken_off.usage.cost_usd > 0  # the call that asked for the tool was paid for
        usage = session.usage()
        assert (usage.unaccounted_turns, usage.unrecorded_usd) == (0, ZERO)
        total = three.usage.total_cost_usd
        assert usage.cost_usd == pytest.approx(total)
        # The same while it streams, and by closing the session from another thread.
        stream = pool.submit(lambda: [*session.stream("run it")])
        tool = run_tool()
        with within(8):
            session.close()
        assert is_gone(tool)
        assert isinstance(stream.exception(), InterruptedTurnError)
        assert agents() == []


@one_method_soon
def test_s21_a_program_that_ignores_interrupts_and_signals(
    fake: FakeClaude, remaining_processes: Remaining, method: str
) -> None:
    child = LeaveChild(stubborn=True)
    fake.script(Turn(), WaitForPrompt(), child, Hang(), ignores=STUBBORN, obeys_interrupt=False)
    fake.script()
    with warm(method=method) as session, ThreadPoolExecutor(1) as pool:
        session.prompt("one")
        turn = pool.submit(session.prompt, "two")
        fake.wait_for(lambda calls: bool(calls[0].children), LONGEST)
        with within(10):
            session.interrupt()
            assert isinstance(turn.exception(), InterruptedTurnError)
        assert remaining_processes() == []
        assert session.prompt("three")["session_id"] == session.id


@one_method_soon
def test_s21_stop_all_ends_what_rests_and_what_works(model: StandIn, agents: Agents, method: str) -> None:
    model.server.add_rule(Reply.hang(), prompt="hang")
    with warm(method=method) as resting, warm(method=method) as working, ThreadPoolExecutor(1) as pool:
        resting.prompt(BLUE)
        turn = pool.submit(working.prompt, "hang")
        model.server.wait_for("hang", LONGEST)
        with within(8):
            stop_all()
        assert agents() == []
        assert isinstance(turn.exception(LONGEST), InterruptedTurnError)
        assert resting.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert working.prompt(ALL)["session_id"] == working.id


# --- s22: the program stays, or leaves something behind


@one_method_soon
@pytest.mark.parametrize(
    "ignores", [(), pytest.param(STUBBORN, marks=pytest.mark.long)], ids=["obedient", "stubborn"]
)
def test_s22_a_program_that_does_not_go_when_it_is_let_go(
    fake: FakeClaude, remaining_processes: Remaining, method: str, ignores: tuple[str, ...]
) -> None:
    fake.script(LeaveChild(stubborn=True), Turn(text="good"), Hang(), ignores=ignores)
    session = warm(method=method)
    with within(5):
        assert session.prompt("one")["text"] == "good"
    with within(10):
        session.close()
    assert remaining_processes() == []


@one_method_soon
def test_s22_a_command_in_the_background_lives_as_long_as_its_agent(
    model: StandIn, agents: Agents, remaining_processes: Remaining, tmp_path: Path, method: str
) -> None:
    (tmp_path / "tool.py").write_text(_TOOL)
    command = f"{sys.executable} -S {tmp_path / 'tool.py'} {tmp_path / 'server.pid'}"
    model.server.add_rule(Reply.tool_use("Bash", command=command, run_in_background=True), prompt="serve")
    with warm(method=method, **ANY_TOOL) as session:
        assert "background" in session.prompt("serve")["text"]
        wait_until((tmp_path / "server.pid").exists)
        server = psutil.Process(int((tmp_path / "server.pid").read_text()))
        assert session.prompt(ALL)["text"] == "You said:\n1. serve"
        assert not is_gone(server)
    assert is_gone(server)
    assert remaining_processes() == []


# --- s23: we are killed


_WARM = """
import json, sys
from mcp_coder import open_session

session = open_session(**json.loads(sys.argv[1]))
print(json.dumps(session.id), flush=True)
for line in sys.stdin:
    print(json.dumps(session.prompt(json.loads(line))), flush=True)
"""


def start_warm(start_python: StartPython, **options: Any) -> tuple[Child, str]:
    """Start a process that holds a session warm; return it and the session's id."""
    child = start_python(_WARM, json.dumps({"timeout": LONGEST, **options}))
    return child, child.hear()


def wait_for_end(remaining: Remaining) -> None:
    wait_until(lambda: not remaining())


@pytest.mark.parametrize(
    ("past", "method"),
    [
        pytest.param([], "cli", id="first turn-cli"),
        pytest.param([BLUE], "api", id="later turn-api"),
        pytest.param([], "api", id="first turn-api", marks=pytest.mark.long),
        pytest.param([BLUE], "cli", id="later turn-cli", marks=pytest.mark.long),
    ],
)
def test_s23_killed_in_mid_turn_its_answer_is_recorded(
    model: StandIn,
    records: Records,
    start_python: StartPython,
    remaining_processes: Remaining,
    method: str,
    past: list[str],
) -> None:
    release = threading.Event()
    model.server.add_rule(Reply.hang(after="so ", until=release, then="far"), prompt="take your time")
    child, session_id = start_warm(start_python, method=method)
    for question in past:
        child.tell(question)
        child.hear()
    child.tell("take your time")
    model.server.wait_for("take your time", LONGEST)
    child.kill()
    release.set()
    with warm(session_id=session_id, method=method) as session:
        assert session.id == session_id
        answer = session.prompt(ALL)
        assert (answer["session_id"], answer["text"].splitlines()[-1]) == (
            session_id,
            f"{len(past) + 1}. take your time",
        )
        recorded = list(session.turns())
        told = [*past, "take your time", ALL]
        assert [(turn.prompt, turn.state) for turn in recorded] == [(each, "succeeded") for each in told]
        assert recorded[-2].text == "so far"
        assert recorded[-2].usage.cost_usd is not None
        assert "so far" in str(model.server.turns()[-1].body["messages"])
        assert records.card(session_id)["finished"] == len(told)
        assert len(remaining_processes()) == 1  # this session's own


@both_methods
def test_s23_killed_between_turns(
    model: StandIn,
    start_python: StartPython,
    remaining_processes: Remaining,
    records: Records,
    method: str,
) -> None:
    child, session_id = start_warm(start_python, method=method)
    child.tell(BLUE)
    child.hear()
    (agent,) = [each for each in remaining_processes() if each.pid != child.pid]
    child.kill()
    wait_until(lambda: is_gone(agent))  # its stdin is closed
    with warm(
        session_id=session_id, method=method
    ) as session:  # which removes what that one kept on the disk
        answer = session.prompt(COLOR, on_busy="error")
    assert (answer["session_id"], answer["text"]) == (session_id, "Your favorite color is blue")
    assert records.card(session_id)["finished"] == 2


@one_method_soon
def test_s23_killed_in_mid_tool(
    model: StandIn,
    start_python: StartPython,
    remaining_processes: Remaining,
    run_tool: Callable[[], psutil.Process],
    method: str,
) -> None:
    child, session_id = start_warm(start_python, method=method, **ANY_TOOL)
    child.tell(BLUE)
    child.hear()
    child.tell("run it")
    tool = run_tool()
    (agent, *_) = [each for each in remaining_processes() if each.pid != child.pid]
    child.kill()
    with warm(session_id=session_id, method=method, timeout=12) as session:
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert is_gone(tool)
        assert is_gone(agent)
        assert [turn.state for turn in session.turns()] == ["succeeded", "interrupted", "succeeded"]


# --- s24: long answers


@one_method_soon
def test_s24_long_answers_by_prompt_and_by_a_stream_that_is_read_late(
    model: StandIn, agents: Agents, method: str
) -> None:
    sizes = (70_000, 1_200_000, 6_000_000)
    for size in sizes:
        model.server.add_rule(Reply.big(size), prompt=f"much: {size}.")
    with warm(method=method) as session:
        (agent,) = agents()
        for size in sizes:
            assert session.prompt(f"much: {size}.")["text"] == numbered_lines(size)
        for size in sizes:
            stream = session.stream(f"much: {size}.")
            first = next(stream)
            # It reads on once all is over and recorded: nothing waits for it, nothing is lost.
            wait_until(lambda: [turn.state for turn in session.turns()][-1] == "succeeded")
            events = [first, *stream]
            text = "".join(event.text for event in events if isinstance(event, TextDelta))
            assert text == numbered_lines(size)
            assert isinstance(events[-1], TurnFinished)
            assert events[-1].response["text"] == text
        assert session.prompt("short")["text"] == "echo: short"
        assert agents() == [agent]


# --- exits


_FORKS = """
import json, os, sys
from mcp_coder import open_session

def say(value):
    print(json.dumps(value), flush=True)

def children():
    import psutil
    return [each.pid for each in psutil.Process().children()]

session = open_session(timeout=90, method=sys.argv[1])
say(session.prompt("My favorite color is blue")["text"])
(agent,) = children()
if os.fork() == 0:
    sys.exit(0)  # by way of atexit, which is to leave the parent's agent alone
os.wait()
say(session.prompt("and on")["text"])
assert children() == [agent]
if os.fork() == 0:
    say(session.prompt("What is my favorite color?")["text"])
    say(children() != [agent] and len(children()) == 1)
    with session.fork() as fork:
        say(fork.prompt("in a fork")["text"])
    sys.exit(0)
os.wait()
assert children() == [agent]
say(session.prompt("What did I say?")["text"])
(other,) = children()
assert other != agent  # the child had gone on
"""


@one_method_soon
def test_forked_processes_have_agents_of_their_own(
    model: StandIn, start_python: StartPython, remaining_processes: Remaining, method: str
) -> None:
    script = start_python(_FORKS, method)
    told = [script.hear() for _ in range(6)]
    assert told == [
        "Noted: my favorite color is blue",
        "echo: and on",
        "Your favorite color is blue",
        True,
        "echo: in a fork",
        f"You said:\n1. {BLUE}\n2. and on\n3. {COLOR}",
    ]
    assert script.process.wait(LONGEST) == 0, script.errors()
    assert script.errors() == ""
    assert remaining_processes() == []


_LEFT_OPEN = """
import sys
from mcp_coder import SessionPool, open_session, stream_llm

never_asked = open_session(timeout=90)
session = open_session(timeout=90, method=sys.argv[1])
session.prompt("Hello")
pool = SessionPool()
pooled = pool.open_session(timeout=90)
stream = stream_llm("hang", timeout=90)
next(stream)
print("0", flush=True)
"""


@one_method_soon
def test_what_is_left_open_at_exit_is_closed(
    model: StandIn, start_python: StartPython, remaining_processes: Remaining, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    script = start_python(_LEFT_OPEN, method)
    script.hear()
    with within(10):
        assert script.process.wait(LONGEST) == 0, script.errors()
    assert script.errors() == ""
    assert remaining_processes() == []


_INTERRUPTED = """
import json, sys
from mcp_coder import open_session

session = open_session(timeout=90, method=sys.argv[1])
print(json.dumps(session.prompt("Hello")["session_id"]), flush=True)
session.prompt("hang")
"""


@one_method_soon
def test_s21_ctrl_c_in_a_warm_turn(
    model: StandIn, start_python: StartPython, remaining_processes: Remaining, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    script = start_python(_INTERRUPTED, method)
    session_id = script.hear()
    model.server.wait_for("hang", LONGEST)
    with within(10):
        script.process.send_signal(signal.SIGINT)
        assert script.process.wait(LONGEST) == -signal.SIGINT, script.errors()
    assert remaining_processes() == []
    with warm(session_id=session_id) as session:
        assert [turn.state for turn in session.turns()] == ["succeeded", "interrupted"]


def test_a_session_that_is_dropped_says_so_and_its_agent_ends(model: StandIn, agents: Agents) -> None:
    session = warm()
    session.prompt(BLUE)
    (agent,) = agents()
    sessions = [session]
    del session
    with pytest.warns(ResourceWarning, match="unclosed <Session "):
        sessions.clear()
    wait_until(lambda: is_gone(agent))


def test_an_agent_that_is_idle_for_long_is_ended_and_the_session_goes_on(
    model: StandIn, agents: Agents
) -> None:
    with warm(idle_seconds=0.3) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        wait_until(lambda: is_gone(agent))
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        model.server.add_rule(Reply.text("done").delayed(1), prompt="slow")
        (other,) = agents()
        assert session.prompt("slow")["text"] == "done"  # working is not idle
        wait_until(lambda: is_gone(other))
        usage = session.usage()
        assert (usage.turns, usage.unaccounted_turns, usage.unrecorded_usd) == (3, 0, ZERO)
