"""Many at once over warm sessions: many callers of one, many sessions side by side, threads, a loop (s10, s12, s63)."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST, Caller, Child, Records

from mcp_coder import (
    LLMResponseDict,
    ServerError,
    Session,
    SessionBusyError,
    open_session,
    prompt_llm,
)
from mcp_coder.llm_events import TextDelta, TurnFinished
from mcp_coder.testing import Reply, StandIn

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]
    ByHand = Callable[..., dict[str, Any]]
    Callers = Callable[..., list[Caller]]
    StartPython = Callable[..., Child]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"

one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=LONGEST, **options)


def hold(model: StandIn, question: str, **conditions: Any) -> threading.Event:
    """Keep the model from answering this prompt, with "done", until the event is set."""
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt=question, **conditions)
    return release


def assert_one_line(records: Records, native_id: str) -> None:
    """Check that no node of the transcript has two children: two turns at once would fork it."""
    nodes = records.nodes(native_id)
    assert {"user", "assistant"} <= {node["type"] for node in nodes}
    children = Counter(node["parentUuid"] for node in nodes)
    assert max(children.values()) == 1, children


def assert_recorded(session: Session, questions: list[str]) -> None:
    """Check that exactly these turns, in this order, are recorded as succeeded."""
    recorded = list(session.turns())
    assert [(turn.number, turn.state) for turn in recorded] == [
        (number, "succeeded") for number in range(1, len(questions) + 1)
    ]
    assert [turn.prompt for turn in recorded] == questions
    usage = session.usage()
    assert (usage.turns, usage.unaccounted_turns) == (len(questions), 0)


# --- s10: one session, many callers


@one_method_soon
@pytest.mark.parametrize("count", [3, pytest.param(5, marks=pytest.mark.long)])
def test_s10_processes_of_one_session_that_another_holds_warm(
    model: StandIn, callers: Callers, records: Records, agents: Agents, method: str, count: int
) -> None:
    """They wait for it, are refused, and fork it, while a turn of the warm session is under way."""
    with warm(method=method) as session, ThreadPoolExecutor(1) as pool:
        session.prompt(BLUE)
        processes = callers(count)

        def all_ask(how: str, of: list[Caller] = processes) -> None:
            for number, caller in enumerate(of):
                caller.ask(f"{how} {number}", session_id=session.id, on_busy=how, method=method, timeout=90)

        for how in ("error", "fork"):
            release = hold(model, f"during {how}")
            turn = pool.submit(session.prompt, f"during {how}")
            model.server.wait_for(f"during {how}", 60)
            asked = len(model.server.turns())
            all_ask(how, processes[: count if how == "error" else 2])
            told = [caller.answer() for caller in processes[: count if how == "error" else 2]]
            assert not turn.done()
            if how == "error":
                assert [(each.error, each.session_id) for each in told] == [
                    ("SessionBusyError", session.id)
                ] * count
                assert max(each.seconds for each in told) < 1
                assert len(model.server.turns()) == asked
            else:
                assert [each.text for each in told] == ["echo: fork 0", "echo: fork 1"]
                assert len({session.id, *(each.session_id for each in told)}) == 3
                for number, each in enumerate(told):
                    assert model.server.history(each.session_id) == [BLUE, "during error", f"fork {number}"]
            release.set()
            assert turn.result()["text"] == "done"

        all_ask("wait")
        during = session.prompt("beside them")
        told = [caller.answer() for caller in processes]
        assert [each.text for each in told] == [f"echo: wait {number}" for number in range(count)]
        assert {during["session_id"], *(each.session_id for each in told)} == {session.id}
        session.prompt(ALL)
        history = model.server.history(session.id)
        waited = sorted([*(f"wait {number}" for number in range(count)), "beside them"])
        assert history[:3] == [BLUE, "during error", "during fork"]
        assert (sorted(history[3:-1]), history[-1]) == (waited, ALL)
        assert_one_line(records, session.id)
        assert_recorded(session, history)
        assert len(agents()) == 1
        for caller in processes:
            caller.finish()


@one_method_soon
def test_s10_a_warm_session_that_others_moved_on_sees_their_turns(
    model: StandIn, by_hand: ByHand, callers: Callers, records: Records, agents: Agents, method: str
) -> None:
    """By the agent's own program by hand, and by a plain call of another process."""
    session_id = by_hand("by hand, first")["session_id"]
    (caller,) = callers(1)
    with warm(session_id=session_id, method=method) as session:
        told = ["by hand, first"]

        def here(question: str) -> bool:
            """Go on here; return whether an agent was started for it."""
            told.append(question)
            before = set(agents())
            assert session.prompt(question)["session_id"] == session_id
            assert model.server.history(session_id) == told
            return bool(set(agents()) - before)

        assert not here("here 1")  # the agent that was started ahead
        by_hand("by hand", f"--resume={session_id}")
        told.append("by hand")
        assert here("here 2")
        assert not here("here 3")
        caller.ask("elsewhere", session_id=session_id, timeout=LONGEST)
        assert caller.answer().text == "echo: elsewhere"
        told.append("elsewhere")
        assert here("here 4")
        assert len(agents()) == 1
        assert_one_line(records, session_id)
        ours = [question for question in told if not question.startswith("by hand")]
        assert_recorded(session, ours)


@pytest.mark.long
@pytest.mark.parametrize("method", ["cli", "api"])
def test_s10_two_warm_sessions_of_one_session_take_turns(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    with warm(method=method) as one:
        one.prompt("turn 0")
        with warm(session_id=one.id) as other:
            for number in range(1, 9):
                (one, other)[number // 2 % 2].prompt(f"turn {number}")
            assert len(agents()) == 2
        told = [f"turn {number}" for number in range(9)]
        assert model.server.history(one.id) == told
        assert_recorded(one, told)
    assert_one_line(records, one.id)


def test_s10_threads_of_one_warm_session(model: StandIn, records: Records, agents: Agents) -> None:
    """One is in a turn: the others are refused, fork, or wait, as each wants; nobody is forgotten."""
    release = hold(model, "in flight")
    with warm() as session, ThreadPoolExecutor(3) as pool:
        first_id = session.id
        session.prompt(BLUE)
        turn = pool.submit(session.prompt, "in flight")
        model.server.wait_for("in flight", 60)
        began = time.monotonic()
        with pytest.raises(SessionBusyError) as caught:
            session.prompt("refused", on_busy="error")
        with pytest.raises(SessionBusyError):
            [*session.stream("refused too", on_busy="error")]
        assert time.monotonic() - began < 1
        assert caught.value.session_id == first_id
        waiting = pool.submit(session.prompt, "waits")
        release.set()
        assert turn.result()["text"] == "done"
        assert waiting.result()["text"] == "echo: waits"
        assert len(agents()) == 1
        assert model.server.history(first_id) == [BLUE, "in flight", "waits"]
        assert_recorded(session, [BLUE, "in flight", "waits"])
    assert_one_line(records, first_id)


@one_method_soon
def test_s10_a_busy_warm_session_that_is_forked_goes_on_in_the_fork(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    release = hold(model, "in flight")
    with warm(method=method) as session, ThreadPoolExecutor(1) as pool:
        first_id = session.id
        session.prompt(BLUE)
        turn = pool.submit(session.prompt, "in flight")
        model.server.wait_for("in flight", 60)
        forked = session.prompt("beside it", on_busy="fork")
        assert forked["session_id"] not in (None, first_id)
        release.set()
        assert (turn.result()["session_id"], turn.result()["text"]) == (first_id, "done")
        assert session.id == forked["session_id"]
        assert session.prompt(ALL)["text"] == f"You said:\n1. {BLUE}\n2. beside it"
        assert model.server.history(session.id) == [BLUE, "beside it", ALL]
        assert_recorded(session, ["beside it", ALL])
        assert len(agents()) == 1
    assert ask(ALL, first_id)["text"] == f"You said:\n1. {BLUE}\n2. in flight"
    assert_one_line(records, first_id)


def test_s10_a_prompt_within_the_loop_over_a_stream_waits_for_its_turn(model: StandIn) -> None:
    with warm() as session:
        for event in session.stream(BLUE):
            if isinstance(event, TextDelta):
                assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert_recorded(session, [BLUE, COLOR])


# --- s12: many new sessions


@pytest.mark.long
@pytest.mark.parametrize("method", ["cli", "api"])
def test_s12_sixteen_new_sessions_at_once(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    def tell(number: int) -> str:
        with warm(method=method, timeout=300) as session:
            session.prompt(f"My number is {number}")
            assert session.prompt("What is my number?")["text"] == f"Your number is {number}"
            assert_recorded(session, [f"My number is {number}", "What is my number?"])
            return session.id

    with ThreadPoolExecutor(16) as pool:
        sessions = list(pool.map(tell, range(16)))
    assert_whole_and_apart(model, records, sessions)


_WARM = """
import json, sys
from mcp_coder import open_session

with open_session(**json.loads(sys.argv[1])) as session:
    print(json.dumps(session.id), flush=True)
    for line in sys.stdin:
        print(json.dumps(session.prompt(json.loads(line))), flush=True)
"""


@pytest.mark.long
def test_s12_eight_new_sessions_in_processes(
    model: StandIn, start_python: StartPython, records: Records
) -> None:
    methods = ("cli", "api")
    children = [
        start_python(_WARM, json.dumps({"method": methods[number % 2], "timeout": 300}))
        for number in range(8)
    ]
    sessions = [child.hear(300) for child in children]
    for number, child in enumerate(children):
        child.tell(f"My number is {number}")
        child.tell("What is my number?")
    for number, (child, session) in enumerate(zip(children, sessions, strict=True)):
        answers = [child.hear(300), child.hear(300)]
        assert {answer["session_id"] for answer in answers} == {session}
        assert answers[1]["text"] == f"Your number is {number}"
        assert child.finish() == 0
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


# --- s63: from anywhere


def tell_a_story(session: Session, name: str) -> None:
    """Tell something, fail, go on, by prompt and by stream."""
    assert session.prompt(f"My {name} color is {name}")["text"] == f"Noted: my {name} color is {name}"
    with pytest.raises(ServerError) as failed:
        session.prompt("fail now")
    assert failed.value.session_id == session.id
    *pieces, last = session.stream(f"What is my {name} color?")
    assert isinstance(last, TurnFinished)
    assert last.response["text"] == f"Your {name} color is {name}"
    assert "".join(event.text for event in pieces if isinstance(event, TextDelta)) == last.response["text"]


@one_method_soon
def test_s63_inside_a_running_loop(model: StandIn, agents: Agents, method: str) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail now")

    async def main() -> None:
        with warm(method=method) as session:
            (agent,) = agents()
            tell_a_story(session, "blue")
            assert agents() == [agent]
            await asyncio.sleep(0)  # the loop is none the worse for it

    asyncio.run(main())
    assert agents() == []


@one_method_soon
def test_s63_eight_threads_of_one_session(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail now")
    names = [f"color{number}" for number in range(8)]
    with warm(method=method) as session, ThreadPoolExecutor(8) as pool:
        (agent,) = agents()
        list(pool.map(lambda name: tell_a_story(session, name), names))
        assert agents() == [agent]
        recorded = list(session.turns())
        assert [turn.number for turn in recorded] == list(range(1, 25))
        assert Counter(turn.state for turn in recorded) == {"succeeded": 16, "failed": 8}
        seen = model.server.history(session.id)
        assert seen == [turn.prompt for turn in recorded][: len(seen)]  # what failed last is not in it
    assert_one_line(records, session.id)


@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.long)])
def test_s63_threads_with_a_session_each(
    model: StandIn, records: Records, agents: Agents, count: int
) -> None:
    model.server.add_rule(Reply.error(529), prompt="fail now")
    before = set(threading.enumerate())
    sessions: list[Session] = []

    def tell(number: int) -> None:
        with warm(method=("cli", "api")[number % 2], timeout=300) as session:
            sessions.append(session)
            tell_a_story(session, f"color{number}")

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(tell, range(count)))
    assert agents() == []
    assert len({session.id for session in sessions}) == count
    for session in sessions:
        prompts = [turn.prompt for turn in session.turns()]
        assert prompts == model.server.history(session.id)
        assert len(prompts) == 3
        assert_one_line(records, session.id)
    left = {each.name for each in set(threading.enumerate()) - before}
    assert left <= {"mcp_coder-idle"}
