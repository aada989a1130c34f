"""The live agent is killed, between turns and in mid-turn, once and again: no turn is lost or doubled."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST, Records

from mcp_coder import InterruptedTurnError, LLMError, Session, open_session
from mcp_coder.llm_events import TextDelta
from mcp_coder.testing import Die, FakeClaude, Reply, StandIn, WaitForPrompt

if TYPE_CHECKING:
    Agents = Callable[[], list[psutil.Process]]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"

one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


def kill(agents: Agents) -> None:
    """Kill all agents that live now, and them alone, by SIGKILL, and wait until they are gone."""
    for agent in agents():
        agent.kill()
        # Dead with all its threads, and its exit code left to whoever started it.
        with contextlib.suppress(ChildProcessError):  # who took it by now
            os.waitid(os.P_PID, agent.pid, os.WEXITED | os.WNOWAIT)


@one_method_soon
def test_killed_between_turns_nobody_notices(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    with warm(method=method) as session:
        kill(agents)  # before its first turn
        session.prompt(BLUE)
        kill(agents)
        assert session.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert len(agents()) == 1
        assert model.server.history(session.id) == [BLUE, COLOR]
        assert [turn.state for turn in session.turns()] == ["succeeded"] * 2
        assert session.usage().unaccounted_turns == 0
        assert records.card(session.id)["finished"] == 2


def test_killed_before_it_takes_a_prompt_up_nobody_notices(model: StandIn, agents: Agents) -> None:
    """It looked alive when the turn began; nothing was printed and nothing written, so nothing is sent twice."""
    with warm() as session, ThreadPoolExecutor(1) as pool:
        session.prompt(BLUE)
        (agent,) = agents()
        agent.suspend()
        turn = pool.submit(session.prompt, COLOR)
        until = time.monotonic() + LONGEST
        while [each.state for each in session.turns()] != ["succeeded", "started"]:
            assert time.monotonic() < until
            time.sleep(0.01)
        agent.kill()
        assert turn.result()["text"] == "Your favorite color is blue"
        assert model.server.history(session.id) == [BLUE, COLOR]
        assert [each.state for each in session.turns()] == ["succeeded"] * 2


@one_method_soon
def test_killed_right_behind_its_answer(model: StandIn, agents: Agents, method: str) -> None:
    """The answer is in the agent's history, however soon it is killed behind it."""
    with warm(method=method) as session:
        for number in range(3):
            session.prompt(f"turn {number}")
            kill(agents)
        session.prompt("last")
        assert model.server.history(session.id) == ["turn 0", "turn 1", "turn 2", "last"]
        answers = [each for each in model.server.turns()[-1].body["messages"] if each["role"] == "assistant"]
        assert [f"echo: turn {number}" in str(answers) for number in range(3)] == [True] * 3


@one_method_soon
def test_killed_in_mid_turn_it_is_told_and_the_session_goes_on(
    model: StandIn, agents: Agents, method: str
) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")
    with warm(method=method) as session, ThreadPoolExecutor(1) as pool:
        session.prompt(BLUE)
        turn = pool.submit(session.prompt, "hang")
        model.server.wait_for("hang", LONGEST)
        kill(agents)
        error = turn.exception()
        assert isinstance(error, InterruptedTurnError)
        assert error.session_id == session.id
        assert session.prompt(COLOR, after_failure="drop")["text"] == "Your favorite color is blue"
        assert model.server.history(session.id) == [BLUE, COLOR]
        events = session.stream("hang again")
        for event in events:
            if isinstance(event, TextDelta):
                break
        kill(agents)
        with pytest.raises(InterruptedTurnError):
            list(events)
        assert session.prompt("and on")["session_id"] == session.id
        recorded = [(turn.prompt, turn.state) for turn in session.turns()]
        assert recorded == [
            (BLUE, "succeeded"),
            ("hang", "interrupted"),
            (COLOR, "succeeded"),
            ("hang again", "interrupted"),
            ("and on", "succeeded"),
        ]


def test_a_program_that_dies_again_and_again_is_an_error_each_time(fake: FakeClaude, agents: Agents) -> None:
    """It is started once for each prompt; nothing is asked twice."""
    fake.script(WaitForPrompt(), Die())
    with warm() as session:
        for number in range(3):
            with pytest.raises(LLMError):
                session.prompt(f"turn {number}")
            assert agents() == []
    assert [call.prompts for call in fake.calls()] == [[f"turn {number}"] for number in range(3)]


# --- at random


class Killer(threading.Thread):
    """Kills the agents of this process at moments of its choice: so many times, wherever a turn is by then."""

    def __init__(self, agents: Agents, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._agents, self._chance = agents, chance
        self.orders: list[float] = []
        self.kills = 0
        self._order = threading.Semaphore(0)
        self._done = threading.Event()

    def order(self) -> None:
        """Kill the agents that live within the next tenth of a second."""
        self._order.release()

    def finish(self) -> None:
        """Carry out what was ordered, and end."""
        self._done.set()
        self._order.release()
        self.join(LONGEST)

    def run(self) -> None:
        """Wait for orders."""
        while self._order.acquire() and not self._done.is_set():
            time.sleep(self._chance.uniform(0, 0.1))
            for agent in self._agents():
                agent.kill()
                self.kills += 1


@pytest.mark.parametrize(
    ("method", "kills", "turns"),
    [
        ("cli", 4, 12),
        ("api", 4, 12),
        pytest.param("cli", 100, 300, marks=pytest.mark.long),
        pytest.param("api", 100, 300, marks=pytest.mark.long),
    ],
)
def test_killed_at_random(
    model: StandIn, records: Records, agents: Agents, method: str, kills: int, turns: int
) -> None:
    chance = random.Random(f"{method} {kills}")
    model.server.add_rule(
        lambda request: Reply.text(f"answer to {request.prompt}").delayed(0.03), prompt="turn"
    )
    killed_at = set(chance.sample(range(turns), kills))
    answered: list[int] = []
    killer = Killer(agents, chance)
    killer.start()
    with warm(method=method, timeout=LONGEST) as session:
        for number in range(turns):
            if number in killed_at:
                killer.order()
            with contextlib.suppress(InterruptedTurnError):
                answer = session.prompt(f"turn {number:03}.")
                assert (answer["session_id"], answer["text"]) == (
                    session.id,
                    f"answer to turn {number:03}.",
                )
                answered.append(number)
        killer.finish()
        session.prompt(ALL)
        assert killer.kills > 0
        assert_none_lost(model, session, answered, turns)
        card = records.card(session.id)
        assert (card["finished"], card["failed"], card["agent"]) == (len(answered) + 1, 0, {})


def assert_none_lost(model: StandIn, session: Session, answered: list[int], turns: int) -> None:
    recorded = list(session.turns())
    asked = [f"turn {number:03}." for number in range(turns)]
    assert [turn.number for turn in recorded] == list(range(1, turns + 2))
    assert [turn.prompt for turn in recorded] == [*asked, ALL]
    assert [number for number in range(turns) if recorded[number].state == "succeeded"] == answered
    assert {turn.state for turn in recorded} <= {"succeeded", "interrupted", "unknown"}
    # Each prompt reached the model once at most, and what was answered is in the agent's own history, once, in order.
    sent = model.server.prompts()
    assert sorted(sent) == sorted(set(sent))
    *seen, last = model.server.history(session.id)
    assert last == ALL
    assert seen == sorted(set(seen))
    lost = [number for number in answered if asked[number] not in seen]
    assert lost == []
    messages = str(model.server.turns(session.id)[-1].body["messages"])
    assert [number for number in answered if f"answer to {asked[number]}" not in messages] == []
