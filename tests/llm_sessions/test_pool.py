"""Few agents for many sessions: who gets a place, who makes way, and that all are gone at the end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.llm_errors import InterruptedTurnError, InvalidRequestError, SessionBusyError, SessionError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_sessions import pool as module
from mcp_coder.llm_sessions import stores
from mcp_coder.llm_sessions.pool import SessionPool
from mcp_coder.llm_types import LLMResponseDict
from mcp_coder.testing import FakeClaude, Hang, Print, Turn, WaitForPrompt

LONGEST = 20.0
ONE, TWO, THREE = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123")


# --- places, without a program


class Agent:
    """Something that lives in a place; it gives that back when it is ended."""

    def __init__(self, places: module._Places, used_at: float = 0.0, *, rests: bool = False) -> None:
        self.places, self.used_at, self.rests = places, used_at, rests

    def end_resting(self) -> bool:
        rested, self.rests = self.rests, False
        if rested:
            self.places.give_back(self)  # type: ignore[arg-type]  # a place asks no more of it
        return rested


def places_of(count: int) -> tuple[module._Places, Callable[..., bool], Callable[..., Agent]]:
    """Return so many places, what takes one, and what makes an agent in one."""
    places = module._Places(count)

    def take(agent: Agent, stop: Callable[[], bool] | None = None) -> bool:
        return places.take(agent, stop)  # type: ignore[arg-type]  # a place asks no more of it

    def living(used_at: float = 0.0, *, rests: bool = False) -> Agent:
        agent = Agent(places, used_at, rests=rests)
        assert take(agent)
        return agent

    return places, take, living


def never() -> bool:
    return False


def test_a_free_place_is_taken_at_once() -> None:
    places, take, _ = places_of(2)
    assert [take(Agent(places)) for _ in range(3)] == [True, True, False]
    assert places.taken == 2


def test_without_waiting_nobody_makes_way() -> None:
    places, take, living = places_of(1)
    resting = living(rests=True)
    assert take(Agent(places)) is False
    assert resting.rests


def test_whoever_rests_for_longest_makes_way() -> None:
    places, take, living = places_of(3)
    agents = [living(3.0, rests=True), living(1.0, rests=False), living(2.0, rests=True)]
    newcomer = Agent(places)
    assert take(newcomer, never) is True
    assert [each.rests for each in agents] == [True, False, False]
    assert set(places.holders()) == {agents[0], agents[1], newcomer}  # type: ignore[comparison-overlap]


def test_one_that_a_turn_has_taken_meanwhile_does_not_make_way() -> None:
    places, take, living = places_of(2)
    taken, other = living(1.0, rests=True), living(2.0, rests=True)
    taken.end_resting = lambda: False  # type: ignore[method-assign]  # a turn was faster
    assert take(Agent(places), never) is True
    assert (taken.rests, other.rests) == (True, False)


def test_where_all_are_in_turns_a_newcomer_waits_for_the_first_that_comes_free() -> None:
    places, take, living = places_of(1)
    busy, newcomer = living(), Agent(places)
    asked = threading.Event()

    def stop() -> bool:
        asked.set()
        return False

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(take, newcomer, stop)
        assert asked.wait(LONGEST)
        assert not waiting.done()
        places.give_back(busy)  # type: ignore[arg-type]
        assert waiting.result(LONGEST) is True
    assert places.holders() == [newcomer]  # type: ignore[comparison-overlap]


def test_waiting_ends_when_the_turn_is_stopped() -> None:
    places, take, living = places_of(1)
    living()
    assert take(Agent(places), lambda: True) is False
    assert places.taken == 1


def test_one_that_comes_to_rest_makes_way_for_whoever_waits() -> None:
    places, take, living = places_of(1)
    busy = living()
    asked = threading.Event()

    def stop() -> bool:
        asked.set()
        return False

    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(take, Agent(places), stop)
        assert asked.wait(LONGEST)
        busy.rests = True  # its turn is over; nobody says so to the places
        assert waiting.result(LONGEST) is True
    assert busy.rests is False


def test_two_agents_of_one_session_have_two_places() -> None:
    places, take, living = places_of(2)
    agent = living()
    assert take(agent) is True
    assert places.taken == 2
    places.give_back(agent)  # type: ignore[arg-type]
    assert places.taken == 1
    places.give_back(agent)  # type: ignore[arg-type]
    places.give_back(agent)  # type: ignore[arg-type]  # once too often: nobody else's is given back
    assert places.taken == 0


def test_never_more_than_there_are_places() -> None:
    places, take, _ = places_of(3)
    most, lock = [0], threading.Lock()
    living: set[int] = set()

    def work(number: int) -> None:
        choose = random.Random(number)
        for _ in range(20):
            agent = Agent(places)
            assert take(agent, never)
            with lock:
                living.add(id(agent))
                most[0] = max(most[0], len(living))
            time.sleep(choose.random() / 2000)
            with lock:
                living.discard(id(agent))
            places.give_back(agent)  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert most == [3]
    assert places.taken == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_in_a_forked_child_all_places_are_free() -> None:
    places, take, living = places_of(1)
    living()
    with places.changed:  # as another thread of the parent may hold it
        child = os.fork()
        if child == 0:
            os._exit(0 if places.taken == 0 and take(Agent(places)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert places.taken == 1


# --- what a pool is made with


@pytest.mark.parametrize("max_live", [0, -1, 1.5, "4", True, None])
def test_how_many_may_live_is_a_number_from_one_on(max_live: Any) -> None:
    with pytest.raises(InvalidRequestError, match="max_live must be a whole number from 1 on"):
        SessionPool(max_live=max_live)


@pytest.mark.parametrize("seconds", [-1, "60", True, (1,)])
def test_idle_seconds_are_a_number_or_none(seconds: Any) -> None:
    with pytest.raises(InvalidRequestError, match="idle_seconds must be a number of seconds or None"):
        SessionPool(idle_seconds=seconds)


def test_it_starts_nothing_by_itself(fake_claude: FakeClaude) -> None:
    with SessionPool() as pool:
        assert pool.live == 0
    pool.close()  # twice is fine
    assert fake_claude.calls() == []


# --- over a program that poses as the agent


@pytest.fixture
def fake(fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClaude]:
    monkeypatch.chdir(tmp_path)
    yield fake_claude
    assert [call.pid for call in fake_claude.calls() if _runs(call.pid)] == []
    stores.close_all()


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def ask(pool: SessionPool, question: str, **options: Any) -> LLMResponseDict:
    return pool.run(new_request(question, timeout=60, **options), store="off")


def test_a_session_keeps_its_agent(fake: FakeClaude) -> None:
    with SessionPool() as pool:
        first = ask(pool, "one")
        second = ask(pool, "two", session_id=first["session_id"])
        assert second["session_id"] == first["session_id"]
        assert pool.live == 1
    (call,) = fake.calls()
    assert call.prompts == ["one", "two"]
    assert pool.live == 0


def test_sessions_have_agents_of_their_own(fake: FakeClaude) -> None:
    with SessionPool() as pool:
        sessions = [ask(pool, f"{number}")["session_id"] for number in range(3)]
        for session in sessions:
            ask(pool, f"again {session}", session_id=session)
        assert pool.live == 3
    assert [len(call.prompts) for call in fake.calls()] == [2, 2, 2]
    for call, session in zip(fake.calls(), sessions, strict=True):
        assert call.prompts[1] == f"again {session}"


def test_a_named_session_keeps_its_agent(fake: FakeClaude) -> None:
    with SessionPool() as pool:
        first = ask(pool, "one", session="nightly")
        assert ask(pool, "two", session="nightly")["session_id"] == first["session_id"]
        ask(pool, "three", session_id=first["session_id"])  # the same under its id
    assert [call.prompts for call in fake.calls()] == [["one", "two", "three"]]


def test_whoever_was_used_last_keeps_its_agent(fake: FakeClaude) -> None:
    with SessionPool(max_live=2) as pool:
        one, two = (ask(pool, question)["session_id"] for question in ("one", "two"))
        ask(pool, "one again", session_id=one)
        ask(pool, "three")  # the second makes way
        assert pool.live == 2
        ask(pool, "one once more", session_id=one)
        ask(pool, "two again", session_id=two)
        assert pool.live == 2
    assert [call.prompts for call in fake.calls()] == [
        ["one", "one again", "one once more"],
        ["two"],
        ["three"],
        ["two again"],
    ]
    assert fake.calls()[3].flag("--resume") == two or fake.calls()[3].flag("--session-id") == two


def test_a_session_waits_while_all_agents_are_in_turns(fake: FakeClaude) -> None:
    fake.script(WaitForPrompt(), Hang())
    fake.script(Turn())
    stop = threading.Event()
    with SessionPool(max_live=1) as pool, ThreadPoolExecutor() as threads:
        request = new_request("one", timeout=60)
        first = threads.submit(pool.run, request, store="off", stop=stop.is_set)
        fake.wait_for(lambda calls: any(call.prompts for call in calls))
        with pytest.raises(SessionBusyError, match="all agents of the pool were in turns"):
            pool.run(new_request("two", timeout=5.1), store="off")
        second = threads.submit(ask, pool, "three")
        stop.set()
        with pytest.raises(InterruptedTurnError):
            first.result(LONGEST)
        assert second.result(LONGEST)["text"] == "You said: three"
    assert [call.prompts for call in fake.calls()] == [["one"], ["three"]]


def test_a_fork_has_an_agent_of_its_own(fake: FakeClaude) -> None:
    with SessionPool() as pool:
        first = ask(pool, "one")
        fork = ask(pool, "forked", session_id=first["session_id"], fork=True)
        ask(pool, "on in the fork", session_id=fork["session_id"])
        ask(pool, "on in the first", session_id=first["session_id"])
    assert [call.prompts for call in fake.calls()] == [
        ["one", "on in the first"],
        ["forked", "on in the fork"],
    ]


def test_a_busy_session_that_was_forked_leaves_the_fork_its_agent(fake: FakeClaude) -> None:
    init = {"type": "system", "subtype": "init", "session_id": "{{session_id}}"}
    fake.script(Turn(), WaitForPrompt(), Print(init), Hang())
    fake.script(Turn())
    stop = threading.Event()
    with SessionPool() as pool, ThreadPoolExecutor() as threads:
        session = ask(pool, "one")["session_id"]
        slow = new_request("slow", session_id=session, timeout=60)
        under_way = threads.submit(pool.run, slow, store="off", stop=stop.is_set)
        fake.wait_for(lambda calls: len(calls[0].prompts) == 2)
        fork = ask(pool, "meanwhile", session_id=session, on_busy="fork")["session_id"]
        ask(pool, "on", session_id=fork)
        assert pool.live == 2
        stop.set()
        with pytest.raises(InterruptedTurnError):
            under_way.result(LONGEST)
    assert [call.prompts for call in fake.calls()] == [["one", "slow"], ["meanwhile", "on"]]


def test_an_agent_is_ended_when_it_was_idle_for_long(fake: FakeClaude) -> None:
    with SessionPool(idle_seconds=0.1) as pool:
        session = ask(pool, "one")["session_id"]
        (call,) = fake.wait_for(lambda calls: calls[0].exit_code is not None)
        assert (call.saw_eof, call.signals) == (True, ())
        ask(pool, "two", session_id=session)
    assert len(fake.calls()) == 2


def test_closing_stops_turns_and_ends_all_agents(fake: FakeClaude) -> None:
    fake.script(Turn())
    init = {"type": "system", "subtype": "init", "session_id": "{{session_id}}"}
    fake.script(WaitForPrompt(), Print(init), Hang())
    pool = SessionPool()
    ask(pool, "one")
    with ThreadPoolExecutor() as threads:
        under_way = threads.submit(ask, pool, "two")
        fake.wait_for(lambda calls: len(calls) == 2 and bool(calls[1].prompts))
        pool.close()
        with pytest.raises(InterruptedTurnError):
            under_way.result(LONGEST)
    assert pool.live == 0
    assert not any(_runs(call.pid) for call in fake.calls())
    with pytest.raises(SessionError, match="this pool was closed"):
        ask(pool, "three")
    with pytest.raises(SessionError, match="this pool was closed"):
        pool.open_session()


def test_what_is_asked_of_an_agent_comes_back_as_events(fake: FakeClaude) -> None:
    seen: list[TurnEvent] = []
    with SessionPool() as pool:
        pool.run(new_request("hello", timeout=60), store="off", observe=seen.append)
    assert [type(each).__name__ for each in seen] == ["SessionStarted", "TextDelta", "TurnFinished"]


# --- sessions that are opened in it


def test_a_session_that_is_opened_in_it_is_one_of_its(fake: FakeClaude) -> None:
    with SessionPool(max_live=2) as pool:
        with pool.open_session(timeout=60, store="off", model="haiku") as session:
            assert pool.live == 1  # ahead of its first turn
            session.prompt("one")
            ask(pool, "two", session_id=session.id, model="haiku")  # by its id: in the same agent
            assert pool.live == 1
        assert pool.live == 0
    (call,) = fake.calls()
    assert (call.prompts, call.flag("--model")) == (["one", "two"], "haiku")


def test_where_no_place_is_free_its_agent_is_started_with_its_first_turn(fake: FakeClaude) -> None:
    with SessionPool(max_live=1) as pool:
        first = pool.open_session(timeout=60, store="off")
        second = pool.open_session(timeout=60, store="off")
        assert (pool.live, len(fake.wait_for(lambda calls: len(calls) == 1))) == (1, 1)
        second.prompt("two")  # the first makes way: it rests
        first.prompt("one")
        assert pool.live == 1
    assert [call.prompts for call in fake.calls()] == [[], ["two"], ["one"]]


def test_a_pool_closes_the_sessions_that_were_opened_in_it(fake: FakeClaude) -> None:
    with SessionPool() as pool:
        session = pool.open_session(timeout=60, store="off")
        session.prompt("one")
    with pytest.raises(SessionError, match="was closed"):
        session.prompt("two")
    assert len(fake.calls()) == 1


def test_agents_end_with_the_interpreter(fake: FakeClaude) -> None:
    code = (
        "from mcp_coder import SessionPool, prompt_llm\n"
        "pool = SessionPool()\n"
        "for question in ('one', 'two'): prompt_llm(question, pool=pool, store='off', timeout=60)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    calls = fake.calls()
    assert [(call.prompts, call.saw_eof, call.exit_code) for call in calls] == [
        (["one"], True, 0),
        (["two"], True, 0),
    ]
