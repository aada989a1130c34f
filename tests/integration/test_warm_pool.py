"""Many sessions over few live agents: who is used again soon keeps its agent, nobody's memory is another's."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST

from mcp_coder import (
    InterruptedTurnError,
    InvalidRequestError,
    Session,
    SessionBusyError,
    SessionError,
    SessionPool,
    ask_llm,
    prompt_llm,
    stream_llm,
)
from mcp_coder.llm_events import TurnFinished
from mcp_coder.testing import FakeClaude, Hang, Reply, StandIn, Turn, WaitForPrompt

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"

one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def wait_until(holds: Callable[[], object]) -> None:
    until = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def with_agents(agents: Agents, sessions: list[Session]) -> list[int]:
    """Return which of these sessions have a living agent, by their places."""
    words = [word for agent in agents() for word in agent.cmdline()]
    return [
        place
        for place, session in enumerate(sessions)
        if any(word.startswith("--") and session.id in word for word in words)
    ]


# --- its places


def test_the_agent_that_was_not_used_for_longest_makes_way(fake: FakeClaude, agents: Agents) -> None:
    fake.script()
    with SessionPool(max_live=2) as pool:
        sessions = [pool.open_session(timeout=LONGEST) for _ in range(4)]
        assert pool.live == len(agents()) == 2  # started ahead where there was a place
        for used, living in [
            (2, [1, 2]),
            (3, [2, 3]),
            (2, [2, 3]),
            (0, [0, 2]),
            (2, [0, 2]),
            (1, [1, 2]),
        ]:
            answer = sessions[used].prompt(f"to {used}")
            assert answer["session_id"] == sessions[used].id
            assert with_agents(agents, sessions) == living
            assert pool.live == 2
        sessions[2].close()
        assert (pool.live, with_agents(agents, sessions)) == (1, [1])
        sessions[3].prompt("there is a place now")
        assert with_agents(agents, sessions) == [1, 3]
    assert (pool.live, agents()) == (0, [])


@one_method_soon
def test_calls_with_a_pool_share_agents(model: StandIn, agents: Agents, method: str) -> None:
    with SessionPool(max_live=2) as pool:
        common: dict[str, Any] = {"pool": pool, "timeout": LONGEST, "method": method}
        first = prompt_llm(BLUE, **common)["session_id"]
        (agent,) = agents()
        assert ask_llm(COLOR, session_id=first, **common) == "Your favorite color is blue"
        *_, last = stream_llm(ALL, session_id=first, **common)
        assert isinstance(last, TurnFinished)
        assert last.response["session_id"] == first
        session = pool.open_session(session_id=first, method=method, timeout=LONGEST)
        assert session.prompt("and on")["session_id"] == first
        assert agents() == [agent]  # of all of these
        fork = prompt_llm(COLOR, session_id=first, fork=True, **common)
        assert fork["session_id"] != first
        assert ask_llm(ALL, session_id=fork["session_id"], **common).count("\n") == 5
        assert len(agents()) == pool.live == 2
        named = [prompt_llm(question, session="nightly", **common) for question in (BLUE, COLOR)]
        assert named[0]["session_id"] == named[1]["session_id"]
        assert len(agents()) == pool.live == 2
        prompt_llm("plain", timeout=LONGEST, method=method)  # given no pool: it leaves nothing
        assert len(agents()) == 2
    assert agents() == []
    assert model.server.history(first) == [BLUE, COLOR, ALL, "and on"]


def test_an_idle_agent_is_ended_and_a_later_turn_starts_another(model: StandIn, agents: Agents) -> None:
    with SessionPool(max_live=2, idle_seconds=0.3) as pool:
        session = pool.open_session(timeout=LONGEST)
        session.prompt(BLUE)
        wait_until(lambda: not agents())
        wait_until(lambda: pool.live == 0)
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        wait_until(lambda: pool.live == 0)
        assert agents() == []


def test_who_finds_all_agents_in_turns_waits_for_a_place(fake: FakeClaude, agents: Agents) -> None:
    fake.script(WaitForPrompt(), Hang())
    fake.script(Turn(text="served"))
    with SessionPool(max_live=1) as pool, ThreadPoolExecutor(2) as threads:
        busy = pool.open_session(timeout=LONGEST)
        other = pool.open_session(timeout=LONGEST)
        turn = threads.submit(busy.prompt, "hang")
        fake.wait_for(lambda calls: bool(calls and calls[0].prompts), LONGEST)
        began = time.monotonic()
        with pytest.raises(SessionBusyError, match="nothing was sent"):
            other.prompt("too little time", timeout=5.5)
        assert time.monotonic() - began < 3
        waiting = threads.submit(other.prompt, "waits")
        given_up = threads.submit(lambda: pool.open_session(timeout=LONGEST).prompt("interrupted"))
        wait_until(lambda: waiting.running())
        assert len(agents()) == pool.live == 1
        busy.interrupt()
        assert isinstance(turn.exception(), InterruptedTurnError)
        assert waiting.result()["text"] == "served"
        assert given_up.result()["text"] == "served"
        assert pool.live == 1
    assert [prompt for call in fake.calls() for prompt in call.prompts if prompt == "too little time"] == []


@one_method_soon
def test_a_pool_that_is_closed_stops_its_turns_and_refuses(
    model: StandIn, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    pool = SessionPool(max_live=2)
    first = prompt_llm(BLUE, pool=pool, timeout=LONGEST, method=method)["session_id"]
    session = pool.open_session(timeout=LONGEST, method=method)
    with ThreadPoolExecutor(2) as threads:
        turns = [
            threads.submit(prompt_llm, "hang", session_id=first, pool=pool, timeout=LONGEST, method=method),
            threads.submit(session.prompt, "hang"),
        ]
        model.server.wait_for(3, LONGEST)
        pool.close()
        pool.close()
        assert (pool.live, agents()) == (0, [])
        assert [type(turn.exception(5)) for turn in turns] == [InterruptedTurnError] * 2
    for call in (
        lambda: prompt_llm(COLOR, pool=pool, timeout=LONGEST),
        lambda: [*stream_llm(COLOR, pool=pool, timeout=LONGEST)],
        pool.open_session,
        lambda: session.prompt(COLOR),
        session.fork,
    ):
        with pytest.raises(SessionError, match="was closed"):
            call()
    assert agents() == []
    answer = prompt_llm(COLOR, session_id=first, timeout=LONGEST, after_failure="drop")
    assert answer["text"] == "Your favorite color is blue"


@pytest.mark.parametrize(
    "wrong", [{"max_live": 0}, {"max_live": True}, {"max_live": 1.5}, {"idle_seconds": -1}]
)
def test_what_a_pool_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        SessionPool(**wrong)


# --- many over few


@pytest.mark.parametrize(
    ("sessions", "max_live", "method"),
    [
        (8, 2, "cli"),
        pytest.param(8, 2, "api", marks=pytest.mark.long),
        pytest.param(200, 4, "cli", marks=pytest.mark.long),
        pytest.param(200, 4, "api", marks=pytest.mark.long),
    ],
)
def test_every_session_remembers_its_own(
    model: StandIn, agents: Agents, sessions: int, max_live: int, method: str
) -> None:
    """Three turns each in random order, from as many threads as there are places, and one more."""
    chance = random.Random(f"{method} {sessions}")
    left = dict.fromkeys(range(sessions), 0)
    ids: dict[int, str] = {}
    most, lock = [0], threading.Lock()
    with SessionPool(max_live=max_live) as pool:
        questions = ["My favorite color is color{0}", COLOR, ALL]
        answers = [
            "Noted: my favorite color is color{0}",
            "Your favorite color is color{0}",
            "You said:\n1. My favorite color is color{0}\n2. " + COLOR,
        ]

        def next_turn() -> tuple[int, int] | None:
            with lock:
                free = [number for number, turn in left.items() if 0 <= turn < 3]
                if not free:
                    return None
                number = chance.choice(free)
                turn, left[number] = (
                    left[number],
                    -1,
                )  # one turn of a session at a time, so that its order is known
                return number, turn

        def work() -> None:
            while (chosen := next_turn()) is not None:
                number, turn = chosen
                answer = prompt_llm(
                    questions[turn].format(number),
                    session_id=ids.get(number),
                    pool=pool,
                    timeout=300,
                    method=method,
                )
                assert answer["text"] == answers[turn].format(number)
                assert ids.setdefault(number, str(answer["session_id"])) == answer["session_id"]
                living, counted = len(agents()), pool.live
                with lock:
                    most[0] = max(most[0], living, counted)
                    left[number] = turn + 1

        with ThreadPoolExecutor(max_live + 1) as threads:
            workers = [threads.submit(work) for _ in range(max_live + 1)]
            for worker in workers:
                worker.result()
        assert most[0] <= max_live
        assert set(left.values()) == {3}
        assert len(set(ids.values())) == sessions
    assert agents() == []
    assert len(model.server.turns()) == 3 * sessions
    for number, session_id in ids.items():
        prompts = [question.format(number) for question in questions]
        assert model.server.history(session_id) == prompts
