"""Many at once: one session by many callers (s10), holders that are killed (s11), many new sessions (s12)."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mcp_coder import LLMResponseDict, SessionBusyError, prompt_llm
from mcp_coder.llm_events import TextDelta, TurnEvent
from mcp_coder.llm_interface import run_request
from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import FakeClaude, Hang, Reply, StandIn, WaitForPrompt
from mcp_coder.testing.default_answer import default_reply
from mcp_coder.testing.recorded_request import RecordedRequest

if TYPE_CHECKING:
    from tests.integration.conftest import Caller, Records, Told

    Callers = Callable[..., list[Caller]]
    FakeOfVersion = Callable[[str], FakeClaude]

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"
NAME = "nightly"
SHORT = 12.0
"""A time limit, in seconds, that leaves half a second to wait for an orphan: 6.5 are for ending it, 5 for the turn."""

one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, **{"timeout": 90, **options})


def begin(question: str = BLUE, **options: Any) -> str:
    session_id = ask(question, **options)["session_id"]
    assert session_id is not None
    return session_id


def hold(model: StandIn, question: str, **conditions: Any) -> threading.Event:
    """Keep the model from answering this prompt, with "done", until the event is set."""
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt=question, **conditions)
    return release


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def time_of_end(process: psutil.Process) -> float:
    """Wait until a process is gone (nobody may have asked for its exit code yet); return when that was."""
    wait_until(lambda: is_gone(process))
    return time.time()


def is_leased(session: str) -> bool:
    try:
        Lease.take(lease_directory(os.environ["CLAUDE_CONFIG_DIR"]), session, wait=0).release()
    except SessionBusyError:
        return True
    return False


def assert_one_line(records: Records, native_id: str) -> None:
    """Check that no node of the transcript has two children: two turns at once would fork it."""
    nodes = records.nodes(native_id)
    assert {"user", "assistant"} <= {node["type"] for node in nodes}
    children = Counter(node["parentUuid"] for node in nodes)
    assert max(children.values()) == 1, children


def count_tokens_plainly(model: StandIn) -> None:
    def reply(request: RecordedRequest) -> Reply:
        return default_reply(request.body).with_usage(input_tokens=100, output_tokens=7)

    model.server.add_rule(reply)


def assert_all_counted(answer: LLMResponseDict, calls: int) -> None:
    """Check the agent's own counters of the session, which lose what two turns do at once."""
    raw: Any = answer["raw_response"]
    (used,) = (raw if answer["method"] == "cli" else raw["result_info"])["modelUsage"].values()
    assert (used["inputTokens"], used["outputTokens"]) == (100 * calls, 7 * calls)


# --- s10: one session, many callers


@pytest.mark.parametrize(
    "methods",
    [
        pytest.param(["cli"] * 5, id="cli"),
        pytest.param(["cli", "api", "cli", "api", "api"], id="mixed", marks=pytest.mark.long),
    ],
)
def test_s10_five_processes_one_session(
    model: StandIn, callers: Callers, records: Records, methods: list[str]
) -> None:
    count_tokens_plainly(model)
    session = begin()
    questions = [f"turn of process {number}" for number in range(5)]
    processes = callers(5)
    for caller, question, method in zip(processes, questions, methods, strict=True):
        caller.ask(question, session_id=session, method=method, on_busy="wait", timeout=90)
    told = [caller.answer() for caller in processes]
    assert [each.text for each in told] == [f"echo: {question}" for question in questions]
    assert {each.session_id for each in told} == {session}
    assert_all_in_line(model, records, session, questions)


def assert_all_in_line(model: StandIn, records: Records, session: str, questions: list[str]) -> None:
    """Check that a session of BLUE and these, in any order, is whole and goes on."""
    last = ask(ALL, session)
    history = model.server.history(session)
    assert (history[0], sorted(history[1:-1]), history[-1]) == (BLUE, sorted(questions), ALL)
    count = len(questions) + 2
    turns = model.server.turns()
    assert [request.session_id for request in turns] == [session] * count
    assert [len(request.prompts) for request in turns] == list(range(1, count + 1))
    assert_one_line(records, session)
    assert_all_counted(last, count)
    assert records.card(session)["finished"] == count


@one_method_soon
def test_s10_five_threads_one_session(model: StandIn, records: Records, method: str) -> None:
    count_tokens_plainly(model)
    session = begin()
    questions = [f"turn of thread {number}" for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda question: ask(question, session, method=method), questions))
    assert [answer["text"] for answer in answers] == [f"echo: {question}" for question in questions]
    assert_all_in_line(model, records, session, questions)


def test_s10_processes_begin_one_named_session_at_once(
    model: StandIn, callers: Callers, records: Records
) -> None:
    count_tokens_plainly(model)
    processes = callers(3)
    for number, caller in enumerate(processes):
        caller.ask(f"turn of process {number}", session=NAME, timeout=90)
    told = [caller.answer() for caller in processes]
    assert [each.text for each in told] == [f"echo: turn of process {number}" for number in range(3)]
    (session,) = {each.session_id for each in told}
    assert session is not None
    assert records.transcripts() == {session}
    last = ask(ALL, session=NAME)
    assert last["session_id"] == session
    assert [len(request.prompts) for request in model.server.turns()] == [1, 2, 3, 4]
    assert_one_line(records, session)
    assert_all_counted(last, 4)


@one_method_soon
def test_s10_five_processes_on_busy_error(model: StandIn, callers: Callers, method: str) -> None:
    session = begin()
    release = hold(model, "turn of process")
    processes = callers(5)
    for number, caller in enumerate(processes):
        caller.ask(f"turn of process {number}", session_id=session, on_busy="error", method=method)
    winner = winner_at(model)
    for number, caller in enumerate(processes):
        if number != winner:
            assert_refused(caller.answer(), session)
    release.set()
    assert processes[winner].answer().text == "done"
    assert model.server.prompts() == [BLUE, f"turn of process {winner}"]


def winner_at(model: StandIn) -> int:
    """Wait for the first of the callers' prompts to arrive; return whose it is."""
    prompt = model.server.wait_for("turn of process", 60).prompt
    assert prompt is not None
    return int(prompt[-1])


def assert_refused(told: Told, session: str) -> None:
    assert (told.error, told.session_id) == ("SessionBusyError", session)
    assert told.seconds < 1
    assert "nothing was sent" in told.message


def test_s10_threads_on_busy_error(model: StandIn) -> None:
    session = begin()
    release = hold(model, "in flight")
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(ask, "in flight", session)
        model.server.wait_for("in flight", 60)
        began = time.monotonic()
        others = [pool.submit(ask, COLOR, session, on_busy="error") for _ in range(4)]
        for other in others:
            busy = other.exception(30)
            assert isinstance(busy, SessionBusyError)
            assert (busy.session_id, busy.holder["pid"]) == (session, os.getpid())
        assert time.monotonic() - began < 1
        release.set()
        assert first.result()["text"] == "done"
    assert len(model.server.requests) == 2
    assert ask(COLOR, session, on_busy="error")["text"] == "Your favorite color is blue"  # free again


@one_method_soon
def test_s10_five_processes_on_busy_fork(
    model: StandIn, callers: Callers, records: Records, method: str
) -> None:
    session = begin()
    release = hold(model, "turn of process", session_id=session)
    processes = callers(5)
    for number, caller in enumerate(processes):
        caller.ask(f"turn of process {number}", session_id=session, on_busy="fork", method=method, timeout=90)
    winner = winner_in(model, session)
    forks = {number: caller.answer() for number, caller in enumerate(processes) if number != winner}
    for number, told in forks.items():
        assert told.text == f"echo: turn of process {number}"
        assert model.server.history(told.session_id) == [BLUE, f"turn of process {number}"]
    assert len({session, *(told.session_id for told in forks.values())}) == 5
    release.set()
    assert processes[winner].answer().text == "done"
    ask(ALL, session)
    assert model.server.history(session) == [BLUE, f"turn of process {winner}", ALL]
    assert_one_line(records, session)


def winner_in(model: StandIn, session: str) -> int:
    request = model.server.wait_for(
        lambda request: request.session_id == session and "turn of process" in (request.prompt or ""), 60
    )
    assert request.prompt is not None
    return int(request.prompt[-1])


def test_s10_on_busy_fork_in_a_first_turn_has_nothing_to_share(model: StandIn) -> None:
    release = hold(model, "in flight")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, "in flight", session=NAME)
        session = model.server.wait_for("in flight", 60).session_id
        with pytest.raises(SessionBusyError, match="no finished turn") as caught:
            ask(COLOR, session=NAME, on_busy="fork")
        assert caught.value.session_id == session
        release.set()
        assert first.result()["session_id"] == session
    assert len(model.server.requests) == 1


@one_method_soon
def test_s10_the_same_thread_reenters_its_session(model: StandIn, method: str) -> None:
    session = begin()
    seen: list[BaseException] = []

    def reenter(event: TurnEvent) -> None:
        if isinstance(event, TextDelta) and not seen:
            began = time.monotonic()
            try:
                ask(COLOR, session, method=method)
            except SessionBusyError as error:
                seen.append(error)
            assert time.monotonic() - began < 1

    answer = run_request(new_request(COLOR, session_id=session, method=method, timeout=90), observe=reenter)
    assert answer["text"] == "Your favorite color is blue"
    assert "this thread is already in a turn" in str(seen[0])
    assert len(model.server.requests) == 2
    assert ask(COLOR, session)["text"] == "Your favorite color is blue"


def test_s10_within_a_turn_other_sessions_are_free(model: StandIn) -> None:
    session = begin()
    answers: list[str] = []

    def ask_others(event: TurnEvent) -> None:
        if isinstance(event, TextDelta) and not answers:
            answers.append(ask(COLOR)["text"])
            answers.append(ask(COLOR, session, fork=True)["text"])

    run_request(new_request("and on", session_id=session, timeout=90), observe=ask_others)
    assert answers == ["You have not told me your favorite color.", "Your favorite color is blue"]


def test_s10_waited_out(model: StandIn) -> None:
    session = begin()
    release = hold(model, "in flight")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, "in flight", session)
        model.server.wait_for("in flight", 60)
        began = time.monotonic()
        busy = pool.submit(ask, COLOR, session, timeout=6.5).exception(30)
        assert 1.4 < time.monotonic() - began < 5  # 5 of the seconds are for the turn itself
        assert isinstance(busy, SessionBusyError)
        assert "after waiting" in str(busy)
        assert busy.holder["pid"] == os.getpid()
        release.set()
        assert first.result()["text"] == "done"
    ask(ALL, session)
    assert model.server.history(session) == [BLUE, "in flight", ALL]
    assert len(model.server.requests) == 3


def test_s10_all_who_share_the_agents_directory_exclude_each_other(
    model: StandIn, callers: Callers, records: Records, tmp_path: Path
) -> None:
    session = begin()
    release = hold(model, "in flight")
    (tmp_path / "link").symlink_to(records.config_dir)
    (stranger,) = callers(1, HOME=str(tmp_path), CLAUDE_CONFIG_DIR=str(tmp_path / "link"))
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(ask, "in flight", session)
        model.server.wait_for("in flight", 60)
        stranger.ask(COLOR, session_id=session, on_busy="error")
        assert_refused(stranger.answer(), session)
        stranger.ask(ALL, session_id=session, timeout=90)
        release.set()
        assert stranger.answer().text == f"You said:\n1. {BLUE}\n2. in flight"
        assert turn.result()["text"] == "done"
    assert_one_line(records, session)


# --- s11: a holder is killed, its agent lives on


@contextmanager
def orphan(
    model: StandIn, callers: Callers, records: Records, question: str = "in flight", **options: Any
) -> Iterator[psutil.Process]:
    """Give the agent of a caller that was killed when the model had the prompt, in the session of this NAME."""
    (caller,) = callers(1)
    caller.ask(question, session=NAME, timeout=90, **options)
    session = model.server.wait_for(question, 60).session_id
    agent = psutil.Process(records.card(str(session))["agent"]["pid"])
    caller.kill()
    assert not is_gone(agent)
    yield agent
    assert is_gone(agent)


@pytest.mark.parametrize(
    ("past", "method"),
    [
        pytest.param([], "cli", id="first turn-cli"),
        pytest.param([BLUE], "cli", id="later turn-cli"),
        pytest.param([BLUE], "api", id="later turn-api"),
        pytest.param([], "api", id="first turn-api", marks=pytest.mark.long),
    ],
)
def test_s11_a_killed_holder_loses_nothing(
    model: StandIn, callers: Callers, records: Records, past: list[str], method: str
) -> None:
    for question in past:
        ask(question, session=NAME)
    release = hold(model, "in flight")
    with orphan(model, callers, records, method=method) as agent, ThreadPoolExecutor(2) as pool:
        session = str(model.server.turns()[-1].session_id)
        Lease.take(lease_directory(str(records.config_dir)), session, wait=1).release()
        following = pool.submit(ask, ALL, session=NAME, method=method)
        wait_until(lambda: is_leased(session))
        gone = pool.submit(time_of_end, agent)
        assert len(model.server.turns()) == len(past) + 1
        release.set()
        answer = following.result()
        assert 0 < model.server.turns()[-1].time.timestamp() - gone.result() < 20
    assert answer["session_id"] == session
    assert model.server.history(session) == [*past, "in flight", ALL]
    assert '"done"' in json.dumps(model.server.turns()[-1].body["messages"])
    card = records.card(session)
    assert (card["finished"], card["failed"], card["agent"], card["holder"]) == (len(past) + 2, 0, {}, {})
    assert_one_line(records, session)


def test_s11_the_orphan_was_done_long_ago(model: StandIn, callers: Callers, records: Records) -> None:
    session = begin(session=NAME)
    release = hold(model, "in flight")
    with orphan(model, callers, records) as agent:
        release.set()
        time_of_end(agent)
        assert records.card(session)["agent"] != {}  # nobody has looked yet
        assert ask(ALL, session, on_busy="error")["text"] == f"You said:\n1. {BLUE}\n2. in flight"
    assert records.card(session)["finished"] == 3


def test_s11_on_busy_error_with_an_orphan(model: StandIn, callers: Callers, records: Records) -> None:
    session = begin(session=NAME)
    release = hold(model, "in flight")
    with orphan(model, callers, records) as agent:
        began = time.monotonic()
        with pytest.raises(SessionBusyError, match="still works; nothing was sent") as caught:
            ask(COLOR, session, on_busy="error")
        assert time.monotonic() - began < 1
        assert caught.value.holder["pid"] == agent.pid
        assert not is_gone(agent)
        release.set()
        time_of_end(agent)
    assert ask(ALL, session, on_busy="error")["text"] == f"You said:\n1. {BLUE}\n2. in flight"
    assert len(model.server.requests) == 3


@one_method_soon
def test_s11_forks_beside_an_orphan(model: StandIn, callers: Callers, records: Records, method: str) -> None:
    session = begin(session=NAME)
    release = hold(model, "in flight")
    with orphan(model, callers, records) as agent:
        diverted = ask(COLOR, session, on_busy="fork", method=method)["session_id"]
        fork = ask(COLOR, session, fork=True, method=method)["session_id"]
        assert len({session, diverted, fork}) == 3
        assert model.server.history(diverted) == model.server.history(fork) == [BLUE, COLOR]
        assert not is_gone(agent)
        release.set()
        time_of_end(agent)
    ask(ALL, session)
    assert model.server.history(session) == [BLUE, "in flight", ALL]


def test_s11_a_fork_of_an_orphans_first_turn_waits_for_it(
    model: StandIn, callers: Callers, records: Records
) -> None:
    release = hold(model, "in flight")
    with orphan(model, callers, records), ThreadPoolExecutor(1) as pool:
        session = str(model.server.turns()[-1].session_id)
        with pytest.raises(SessionBusyError, match="no finished turn"):
            ask(COLOR, session, fork=True, on_busy="error")
        fork = pool.submit(ask, COLOR, session, fork=True)
        wait_until(lambda: is_leased(session))
        release.set()
        assert model.server.history(fork.result()["session_id"]) == ["in flight", COLOR]


@one_method_soon
def test_s11_an_orphan_that_hangs_for_ever_is_ended(
    model: StandIn, callers: Callers, records: Records, method: str
) -> None:
    session = begin(session=NAME, method=method)  # the SDK is loaded by then
    hold(model, "in flight")
    with orphan(model, callers, records, method=method):
        began = time.monotonic()
        answer = ask(COLOR, session, timeout=SHORT, method=method)
        assert time.monotonic() - began < SHORT
    assert (answer["session_id"], answer["text"]) == (session, "Your favorite color is blue")
    assert records.card(session)["finished"] == 2
    assert_one_line(records, session)


@pytest.mark.parametrize("ignored", [(), ("SIGINT",), ("SIGINT", "SIGTERM")], ids="+".join)
def test_s11_an_orphan_that_ignores_signals_is_ended(
    fake_of_version: FakeOfVersion, callers: Callers, records: Records, ignored: tuple[str, ...]
) -> None:
    fake = fake_of_version("2.1.330")
    fake.script()
    session = begin(session=NAME)
    fake.script(WaitForPrompt(), Hang(), ignores=ignored)
    fake.script()
    (caller,) = callers(1)
    caller.ask("in flight", session=NAME, timeout=90)
    agent = psutil.Process(fake.wait_for(lambda calls: len(calls) == 2 and bool(calls[1].prompts), 30)[1].pid)
    caller.kill()
    began = time.monotonic()
    assert ask("and on", session, timeout=SHORT)["text"] == "You said: and on"
    assert time.monotonic() - began < SHORT
    assert is_gone(agent)
    assert [call.flag("--resume") for call in fake.calls()] == [None, session, session]


def test_s11_an_orphan_in_mid_tool_finishes_its_turn(
    model: StandIn, callers: Callers, records: Records, tmp_path: Path
) -> None:
    session = begin(session=NAME)
    gate = let_tool_run(model, tmp_path)
    with orphan(model, callers, records, "run it", **ANY_TOOL), ThreadPoolExecutor(1) as pool:
        wait_until(gate.with_suffix(".up").exists)
        following = pool.submit(ask, ALL, session)
        wait_until(lambda: is_leased(session))
        assert not following.done()
        gate.touch()
        assert following.result()["text"] == f"You said:\n1. {BLUE}\n2. run it"
    assert "The tool said: tool-done" in json.dumps(model.server.turns()[-1].body["messages"])
    assert (records.card(session)["finished"], records.card(session)["failed"]) == (3, 0)


ANY_TOOL = {"permission_mode": "bypassPermissions", "env": {"IS_SANDBOX": "1"}}


def let_tool_run(model: StandIn, place: Path) -> Path:
    """Let the prompt "run it" run a tool that ends when the file that is given is there."""
    gate = place / "gate"
    command = f"touch {gate}.up; while [ ! -e {gate} ]; do sleep 0.05; done; echo tool-done"
    model.server.add_rule(Reply.tool_use("Bash", command=command), prompt="run it")
    return gate


def test_s11_an_orphan_in_mid_tool_that_never_ends_is_ended_with_its_tool(
    model: StandIn, callers: Callers, records: Records, tmp_path: Path
) -> None:
    session = begin(session=NAME)
    gate = let_tool_run(model, tmp_path)
    with orphan(model, callers, records, "run it", **ANY_TOOL) as agent:
        wait_until(gate.with_suffix(".up").exists)
        family = agent.children(recursive=True)
        assert family
        assert ask(COLOR, session, timeout=SHORT)["text"] == "Your favorite color is blue"
        assert [each for each in family if not is_gone(each)] == []


def test_s11_an_orphan_killed_in_mid_tool_leaves_no_tool(
    model: StandIn, callers: Callers, records: Records, tmp_path: Path
) -> None:
    session = begin(session=NAME)
    gate = let_tool_run(model, tmp_path)
    with orphan(model, callers, records, "run it", **ANY_TOOL) as agent:
        wait_until(gate.with_suffix(".up").exists)
        family = agent.children(recursive=True)
        assert family
        agent.kill()
        assert ask(COLOR, session)["text"] == "Your favorite color is blue"
        assert [each for each in family if not is_gone(each)] == []


def test_s11_only_the_orphan_is_ended(model: StandIn, callers: Callers, records: Records) -> None:
    session = begin(session=NAME)
    hold(model, "in flight")
    release = hold(model, "elsewhere")
    with innocents_running() as innocents, orphan(model, callers, records), ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(ask, "elsewhere")
        model.server.wait_for("elsewhere", 60)
        assert ask(COLOR, session, timeout=SHORT)["text"] == "Your favorite color is blue"
        assert [each for each in innocents if is_gone(each)] == []
        release.set()
        assert elsewhere.result()["text"] == "done"


def test_s11_a_process_id_that_was_used_again(model: StandIn, callers: Callers, records: Records) -> None:
    session = begin(session=NAME)
    hold(model, "in flight")
    with orphan(model, callers, records) as agent:
        agent.kill()
        time_of_end(agent)
    card = records.card(session)
    with innocents_running() as innocents:
        for innocent in innocents:
            agent_then = {**card["agent"], "pid": innocent.pid, "started": card["agent"]["started"] - 60}
            records.write_card({**card, "agent": agent_then})
            assert ask(COLOR, session, on_busy="error")["text"] == "Your favorite color is blue"
        assert [each for each in innocents if is_gone(each)] == []


@contextmanager
def innocents_running() -> Iterator[list[psutil.Process]]:
    """Run what must not be ended: the same program, waiting for a prompt by hand, and a sleeper."""
    claude = [
        os.environ["MCP_CODER_CLAUDE"],
        "-p",
        "--input-format=stream-json",
        "--output-format=stream-json",
    ]
    started = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for argv in ([*claude, "--verbose"], ["sleep", "300"])
    ]
    try:
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("past", [[], [BLUE]], ids=["first turn", "later turn"])
def test_s11_holder_and_agent_are_killed(
    model: StandIn, callers: Callers, records: Records, past: list[str]
) -> None:
    for question in past:
        ask(question, session=NAME)
    hold(model, "in flight")
    with orphan(model, callers, records) as agent:
        agent.kill()
        time_of_end(agent)
    session = str(model.server.turns()[-1].session_id)
    assert ask(COLOR, session, on_busy="error")["session_id"] == session
    assert [prompt for prompt in model.server.history(session) if prompt != "in flight"] == [*past, COLOR]


def test_s11_one_killed_after_another(model: StandIn, callers: Callers, records: Records) -> None:
    """A second caller waits for the orphan of the first, and is killed too; the third loses nothing."""
    session = begin(session=NAME)
    release = hold(model, "in flight")
    with orphan(model, callers, records):
        (second,) = callers(1)
        second.ask("never sent", session=NAME, timeout=90)
        wait_until(lambda: is_leased(session))
        second.kill()
        with ThreadPoolExecutor(1) as pool:
            third = pool.submit(ask, ALL, session)
            wait_until(lambda: is_leased(session))
            release.set()
            assert third.result()["text"] == f"You said:\n1. {BLUE}\n2. in flight"
    assert_one_line(records, session)


def test_s11_a_caller_killed_while_it_waits_is_in_nobodys_way(
    model: StandIn, callers: Callers, records: Records
) -> None:
    session = begin()
    release = hold(model, "in flight")
    queue = records.config_dir / "mcp_coder" / f"{session}.queue"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, "in flight", session)
        model.server.wait_for("in flight", 60)
        (waiting,) = callers(1)
        waiting.ask("never sent", session_id=session, timeout=90)
        wait_until(lambda: queue.is_dir() and list(queue.iterdir()))
        waiting.kill()
        release.set()
        assert first.result()["text"] == "done"
    assert ask(ALL, session, on_busy="error")["text"] == f"You said:\n1. {BLUE}\n2. in flight"


# --- s12: many new sessions


count_of_sessions = pytest.mark.parametrize("count", [4, pytest.param(16, marks=pytest.mark.long)])


@one_method_soon
@count_of_sessions
def test_s12_new_sessions_in_threads(model: StandIn, records: Records, count: int, method: str) -> None:
    with ThreadPoolExecutor(count) as pool:
        firsts = list(pool.map(lambda n: ask(f"My number is {n}", method=method, timeout=300), range(count)))
        sessions = [str(answer["session_id"]) for answer in firsts]
        seconds = pool.map(
            lambda session: ask("What is my number?", session, method=method, timeout=300), sessions
        )
        assert [answer["text"] for answer in seconds] == [f"Your number is {n}" for n in range(count)]
    assert_whole_and_apart(model, records, sessions)


@count_of_sessions
def test_s12_new_sessions_in_processes(
    model: StandIn, callers: Callers, records: Records, count: int
) -> None:
    processes = callers(count)
    for number, caller in enumerate(processes):
        caller.ask(f"My number is {number}", method=("cli", "api")[number % 2], timeout=300)
    sessions = [str(caller.answer(300).session_id) for caller in processes]
    for caller, session in zip(processes, sessions, strict=True):
        caller.ask("What is my number?", session_id=session, timeout=300)
    told = [caller.answer(300).text for caller in processes]
    assert told == [f"Your number is {number}" for number in range(count)]
    assert_whole_and_apart(model, records, sessions)


def assert_whole_and_apart(model: StandIn, records: Records, sessions: list[str]) -> None:
    """Check sessions of two turns each, "My number is ..." and "What is my number?"."""
    assert len(set(sessions)) == len(sessions)
    assert records.transcripts() == set(sessions)
    for number, session in enumerate(sessions):
        assert model.server.history(session) == [f"My number is {number}", "What is my number?"]
        assert_one_line(records, session)
        assert records.card(session)["finished"] == 2
    assert len(model.server.turns()) == 2 * len(sessions)
    assert json.loads((records.config_dir / ".claude.json").read_text())
