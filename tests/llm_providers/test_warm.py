"""An agent that is kept: who goes on in it, who does not, and that it never outlives its use."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.llm_providers.conftest import SLEEP, is_gone
from tests.llm_providers.kept_agents import (
    ID,
    NEW,
    RESUMED,
    PlayedLive,
    PlayedProvider,
    card_behind,
    never,
    new_agent,
    turn_start,
)

from mcp_coder.llm_errors import AgentError, AgentNotFoundError, InterruptedTurnError, SessionBusyError
from mcp_coder.llm_providers.agent_source import TurnStart
from mcp_coder.llm_providers.base import TURN_MARKER, Agent, TurnFiles
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.descendants import identity_of
from mcp_coder.llm_providers.leases import Lease, lease_directory, read_card
from mcp_coder.llm_providers.turn_files import new_turn_files, say_owner
from mcp_coder.llm_providers.warm import WarmAgent, end_all
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import FakeClaude


class CountedPlaces:
    """So many places; whoever waits for one is asked whether it is to stop, and gives up."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.waited: list[Callable[[], bool] | None] = []

    def take(self, agent: WarmAgent, stop: Callable[[], bool] | None) -> bool:
        if self.left == 0:
            self.waited.append(stop)
            return False
        self.left -= 1
        return True

    def give_back(self, agent: WarmAgent) -> None:
        self.left += 1


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir("/")


@pytest.fixture
def provider() -> PlayedProvider:
    return PlayedProvider()


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return new_agent(tmp_path / "config")


@pytest.fixture
def places() -> CountedPlaces:
    return CountedPlaces(2)


@pytest.fixture
def warm(places: CountedPlaces) -> WarmAgent:
    return WarmAgent(places)


Turn = Callable[..., TurnStart]


@pytest.fixture
def turn(provider: PlayedProvider, agent: Agent) -> Turn:
    return lambda **changes: turn_start(provider, **{"agent": agent, **changes})


def had_a_turn(warm: WarmAgent, first: TurnStart) -> PlayedLive:
    """Let an agent have the session's first turn, and rest."""
    live, _ = warm.take(first)
    warm.leave(live, card_behind(1))
    assert isinstance(live, PlayedLive)
    return live


def files_left() -> list[str]:
    turns = Path(os.environ["MCP_CODER_HOME"], "turns")
    return os.listdir(turns) if turns.exists() else []


# --- turn by turn


def test_the_second_turn_goes_on_in_the_agent_of_the_first(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn
) -> None:
    first = turn()
    live, entry = warm.take(first)
    assert (entry, warm.in_turn, warm.rests) == (NEW, True, False)
    warm.leave(live, card_behind(1))
    assert (warm.in_turn, warm.rests) == (False, True)
    second = turn(entry=RESUMED, found=card_behind(1), options={"session_id": ID})
    again, entry = warm.take(second)
    assert again is live
    assert entry == dataclasses.replace(RESUMED, warm=True)
    assert provider.journal == ["start 0", "begin 0", "rest 0", "begin 0"]
    assert [each["entry"] for each in provider.started[0].turns] == [NEW, entry]
    begun = provider.started[0].turns[1]
    assert (begun["request"], begun["files"], begun["observe"]) == (
        second.request,
        second.files,
        second.observe,
    )


def test_a_third_turn_knows_the_card_of_the_second(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn
) -> None:
    had_a_turn(warm, turn())
    live, _ = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    warm.leave(live, card_behind(2))
    assert warm.take(turn(entry=RESUMED, found=card_behind(2)))[0] is live
    assert len(provider.started) == 1


def other_agent(agent: Agent) -> Agent:
    return dataclasses.replace(agent, env={"A": "another"})


GOES_ON: dict[str, dict[str, Any]] = {
    "another question and other limits": {"options": {"timeout": 7, "on_busy": "error", "session_id": ID}},
    "a notice": {"entry": dataclasses.replace(RESUMED, notices=("beware",))},
    "it is asked to drop what did not fail": {"options": {"after_failure": "drop", "session_id": ID}},
}
STARTS_ANEW: dict[str, dict[str, Any]] = {
    "another model": {"options": {"model": "haiku"}},
    "another method": {"options": {"method": "api"}},
    "another went on, by mcp_coder": {"found": card_behind(2)},
    "no card any more": {"found": None},
    "from an earlier point": {"entry": dataclasses.replace(RESUMED, resume_at="point-0")},
    "elsewhere": {"entry": dataclasses.replace(RESUMED, cwd="/tmp")},
    "another native session": {"entry": dataclasses.replace(RESUMED, resume="another")},
    "a fork of it": {"entry": dataclasses.replace(RESUMED, first_id="fork", begin="fork", fork=True)},
}


@pytest.mark.parametrize("case", [*GOES_ON, *STARTS_ANEW])
def test_who_goes_on_in_it(warm: WarmAgent, provider: PlayedProvider, turn: Turn, case: str) -> None:
    first = had_a_turn(warm, turn())
    changes = {"entry": RESUMED, "found": card_behind(1), **{**GOES_ON, **STARTS_ANEW}[case]}
    live, entry = warm.take(turn(**changes))
    if case in GOES_ON:
        assert (live, entry.warm) == (first, True)
        assert provider.journal[3:] == ["begin 0"]
    else:
        assert (live, entry.warm) == (provider.started[1], False)
        assert provider.journal[3:] == ["end 0", "start 1", "begin 1"]


def test_another_environment_is_another_agent(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, agent: Agent
) -> None:
    had_a_turn(warm, turn())
    warm.take(turn(entry=RESUMED, found=card_behind(1), agent=other_agent(agent)))
    assert provider.journal[3:] == ["end 0", "start 1", "begin 1"]


def test_an_agent_that_died_is_followed_by_another(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    had_a_turn(warm, turn()).alive = False
    live, entry = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    assert (live, entry.warm) == (provider.started[1], False)
    assert places.left == 1


@pytest.mark.parametrize("stirred", [False, True], ids=["by hand", "of its own accord"])
def test_a_native_session_that_has_grown(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, stirred: bool
) -> None:
    first = had_a_turn(warm, turn())
    provider.size, first.stirred = 200, stirred
    live, _ = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    assert (live is first) is stirred


def test_an_agent_that_keeps_no_native_session_goes_on(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn
) -> None:
    provider.size = None
    live, _ = warm.take(turn())
    warm.leave(live, card_behind(1, None))
    assert warm.take(turn(entry=RESUMED, found=card_behind(1, None)))[0] is live


# --- what it leaves


@pytest.mark.parametrize("why", ["not usable", "dead", "cannot rest"])
def test_an_agent_that_is_of_no_use_any_more_is_ended(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces, why: str
) -> None:
    live, _ = warm.take(turn())
    played = provider.started[0]
    played.alive = why != "dead"
    played.fails_at = "rest" if why == "cannot rest" else None
    warm.leave(live, None if why == "not usable" else card_behind(1))
    assert provider.journal[-1] == "end 0"
    assert (warm.rests, warm.in_turn, places.left) == (False, False, 2)


def test_an_agent_whose_files_somebody_tidied_away_is_followed_by_another(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    had_a_turn(warm, turn()).fails_at = "begin"
    live, entry = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    assert (live, entry.warm) == (provider.started[1], False)
    assert provider.journal[3:] == ["begin 0", "end 0", "start 1", "begin 1"]
    assert (warm.rests, warm.in_turn, places.left) == (False, True, 1)


def test_no_place_for_the_output_of_a_turn_is_one_clear_error(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    provider.fails_at = "begin"
    with pytest.raises(AgentError, match=r"private files .* nothing was sent") as caught:
        warm.take(turn())
    assert caught.value.session_id == ID
    assert provider.journal == ["start 0", "begin 0", "end 0"]
    assert (warm.rests, warm.in_turn, places.left) == (False, False, 2)


def test_a_turn_that_is_interrupted_before_it_begins_leaves_no_agent(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    provider.fails_at, provider.fails_with = "begin", KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        warm.take(turn())
    assert provider.journal == ["start 0", "begin 0", "end 0"]
    assert (warm.rests, warm.in_turn, places.left) == (False, False, 2)


def test_an_agent_that_cannot_be_started_gives_its_place_back(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    left: list[subprocess.Popen[bytes]] = []

    def half(files: TurnFiles) -> None:
        env = {**os.environ, TURN_MARKER: files.turn_id}
        left.append(subprocess.Popen([sys.executable, "-S", "-c", SLEEP], env=env))
        while not psutil.Process(left[0].pid).environ().get(TURN_MARKER):
            """It turns into another program."""

    provider.starts, provider.on_start = False, half
    with pytest.raises(AgentNotFoundError):
        warm.take(turn())
    with contextlib.suppress(psutil.NoSuchProcess):
        assert is_gone(psutil.Process(left[0].pid))
    left[0].wait(10)
    assert (warm.rests, warm.in_turn, places.left, files_left()) == (False, False, 2, [])


def test_no_place_for_its_own_files_is_one_clear_error(
    warm: WarmAgent, turn: Turn, places: CountedPlaces, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "turns").write_text("in the way")
    with pytest.raises(AgentError, match=r"private files .* nothing was sent") as caught:
        warm.take(turn())
    assert (caught.value.session_id, places.left) == (ID, 2)


def test_files_of_agents_whose_keeper_was_killed_are_removed(warm: WarmAgent, turn: Turn) -> None:
    living, dead, elsewhere, nobodys = (new_turn_files().directory for _ in range(4))
    here = identity_of(os.getpid())
    say_owner(living, here)
    say_owner(dead, {**here, "started": 1.0})
    say_owner(elsewhere, {**here, "started": 1.0, "boot": "of another machine"})
    warm.take(turn())  # whoever starts an agent looks
    assert [os.path.isdir(each) for each in (living, dead, elsewhere, nobodys)] == [True, False, True, True]


def test_two_agents_where_a_busy_session_was_forked(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    fork = dataclasses.replace(RESUMED, first_id="fork", begin="fork", fork=True, resume_at="point-1")
    first, _ = warm.take(turn())
    second, _ = warm.take(turn(entry=fork))
    warm.leave(second, Card(first_id="fork", native_id="fork"))
    assert (warm.in_turn, warm.rests) == (True, True)
    warm.leave(first, card_behind(1))  # one is kept: whoever came to rest first
    assert (warm.in_turn, warm.rests, places.left) == (False, True, 1)
    assert provider.journal[-2:] == ["rest 0", "end 0"]


def test_when_it_was_used_last(warm: WarmAgent, turn: Turn) -> None:
    live, _ = warm.take(turn())
    before = time.monotonic()
    warm.leave(live, card_behind(1))
    assert before <= warm.used_at <= time.monotonic()


# --- places


def test_no_place_in_time_sends_nothing(provider: PlayedProvider, turn: Turn) -> None:
    places = CountedPlaces(0)
    with pytest.raises(SessionBusyError, match="nothing was sent") as caught:
        WarmAgent(places).take(turn())
    assert (caught.value.retryable, caught.value.session_id) == (True, ID)
    assert provider.started == []


@pytest.mark.parametrize(
    ("left", "timeout", "gives_up"),
    [(60, 60, False), (21, 60, False), (19, 60, True), (6, 6, False), (4, 6, True)],
    ids=str,
)
def test_waiting_for_a_place_leaves_time_for_the_turn(
    turn: Turn, left: float, timeout: float, gives_up: bool
) -> None:
    places = CountedPlaces(0)
    with pytest.raises(SessionBusyError):
        WarmAgent(places).take(turn(deadline=Deadline.after(left), options={"timeout": timeout}))
    (stop,) = places.waited
    assert stop is not None
    assert stop() is gives_up


def test_a_turn_that_is_stopped_while_it_waits_for_a_place(turn: Turn) -> None:
    places = CountedPlaces(0)
    with pytest.raises(InterruptedTurnError, match="nothing was sent"):
        WarmAgent(places).take(turn(stop=lambda: True))
    (stop,) = places.waited
    assert stop is not None
    assert stop() is True


# --- ahead of turns


def ahead(warm: WarmAgent, provider: PlayedProvider, agent: Agent, **options: object) -> bool:
    return warm.start_ahead(provider, new_request("-", **options), agent, new_id=ID)


def test_the_first_turn_takes_what_was_started_ahead(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn
) -> None:
    assert ahead(warm, provider, agent) is True
    assert (warm.rests, provider.journal) == (True, ["start 0"])
    assert ahead(warm, provider, agent) is True  # it is up
    provider.size = 200  # nobody else knows of the session: this is another's
    live, entry = warm.take(turn())
    assert (live, entry.warm) == (provider.started[0], False)
    assert provider.journal == ["start 0", "begin 0"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"options": {"model": "haiku"}}, id="another model"),
        pytest.param({"entry": dataclasses.replace(NEW, cwd="/tmp")}, id="elsewhere"),
        pytest.param({"entry": RESUMED}, id="the session was begun meanwhile"),
        pytest.param({"found": card_behind(1)}, id="the session was in a turn meanwhile"),
    ],
)
def test_a_first_turn_that_is_another_than_was_expected(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn, changes: dict[str, Any]
) -> None:
    ahead(warm, provider, agent)
    warm.take(turn(**changes))
    assert provider.journal == ["start 0", "end 0", "start 1", "begin 1"]


def write_card(agent: Agent, card: Card) -> None:
    lease = Lease.take(lease_directory(agent.config_dir), card.first_id, wait=0)
    lease.write_card(card)
    lease.release()


@pytest.mark.parametrize("grown", [False, True])
def test_ahead_in_a_session_that_exists(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn, grown: bool
) -> None:
    write_card(agent, card_behind(1))
    assert ahead(warm, provider, agent, session_id=ID) is True
    provider.size = 200 if grown else 100
    moved = dataclasses.replace(RESUMED, moved=grown)
    live, entry = warm.take(turn(entry=moved, found=card_behind(1)))
    assert (live is provider.started[0]) is not grown  # its past is in it from its start on
    assert entry == moved


@pytest.mark.parametrize(
    ("why", "options"),
    [
        pytest.param("a fork", {"session_id": ID, "fork": True}, id="a fork"),
        pytest.param("busy", {"session_id": ID}, id="somebody is at work"),
        pytest.param("cwd", {"cwd": "/no/such/place"}, id="no such directory"),
        pytest.param("no place", {}, id="no place"),
    ],
)
def test_what_is_not_started_ahead(
    provider: PlayedProvider, agent: Agent, why: str, options: dict[str, object]
) -> None:
    if why == "busy":
        write_card(agent, dataclasses.replace(card_behind(1), agent={"pid": 1}))
    places = CountedPlaces(0 if why == "no place" else 1)
    warm = WarmAgent(places)
    assert ahead(warm, provider, agent, **options) is False
    assert (warm.rests, provider.started) == (False, [])
    assert places.waited == ([None] if why == "no place" else [])  # it does not wait, and nobody makes way
    assert places.left == (0 if why == "no place" else 1)


def test_ahead_of_a_turn_that_is_under_way_nothing_stays(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn, places: CountedPlaces
) -> None:
    warm.take(turn())
    assert ahead(warm, provider, agent) is False
    assert provider.journal == ["start 0", "begin 0", "start 1", "end 1"]
    assert places.left == 1


# --- its end


def test_what_rests_is_ended_and_a_later_turn_starts_another(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn, places: CountedPlaces
) -> None:
    had_a_turn(warm, turn())
    assert warm.end_resting() is True
    assert warm.end_resting() is False
    assert (provider.journal[-1], places.left, files_left()) == ("end 0", 2, [])
    live, _ = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    assert live is provider.started[1]


def test_a_turn_that_is_under_way_is_waited_for(
    warm: WarmAgent, provider: PlayedProvider, turn: Turn
) -> None:
    live, _ = warm.take(turn())
    assert warm.end_resting() is False
    ending = threading.Thread(target=warm.end)
    ending.start()
    ending.join(0.1)
    assert ending.is_alive()
    warm.leave(live, card_behind(1))
    ending.join(10)
    assert not ending.is_alive()
    assert provider.journal[-2:] == ["rest 0", "end 0"]


@pytest.mark.parametrize(
    ("found", "written"),
    [
        pytest.param(card_behind(1), "142", id="the last turn was ours"),
        pytest.param(card_behind(2, "99"), "99", id="somebody went on by hand"),
        pytest.param(dataclasses.replace(card_behind(1), agent={"pid": 1}), "100", id="somebody is at work"),
    ],
)
def test_what_it_writes_on_its_way_out_is_no_turn_of_anybody(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn, found: Card, written: str
) -> None:
    had_a_turn(warm, turn())
    write_card(agent, found)
    provider.grows_by = 42
    warm.end_resting()
    card = read_card(lease_directory(agent.config_dir), ID)
    assert card == dataclasses.replace(found, fingerprint=written)


def test_a_dead_agent_writes_nothing_any_more(
    warm: WarmAgent, provider: PlayedProvider, agent: Agent, turn: Turn
) -> None:
    had_a_turn(warm, turn()).alive = False
    write_card(agent, card_behind(1))
    provider.grows_by = 42  # by somebody else, while it is taken away
    warm.end_resting()
    card = read_card(lease_directory(agent.config_dir), ID)
    assert card == card_behind(1)


def test_all_are_told_to_go_before_the_first_is_waited_for(
    provider: PlayedProvider, agent: Agent, turn: Turn
) -> None:
    places = CountedPlaces(4)
    resting = [WarmAgent(places) for _ in range(2)]
    for number, each in enumerate(resting):
        live, _ = each.take(turn(entry=dataclasses.replace(NEW, first_id=f"s{number}", begin=f"s{number}")))
        each.leave(live, Card(first_id=f"s{number}", native_id=f"s{number}"))
    in_turn, empty = WarmAgent(places), WarmAgent(places)
    in_turn.take(turn())
    provider.journal.clear()
    provider.started[1].fails_at = "end"
    with pytest.raises(OSError, match="it cannot"):
        end_all([*resting, in_turn, empty])
    assert provider.journal[:2] == ["dismiss 0", "dismiss 1"]
    assert sorted(provider.journal[2:]) == ["end 0", "end 1"]
    assert (in_turn.in_turn, places.left) == (True, 3)
    assert not any(each.rests for each in resting)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_in_a_forked_child_there_is_none(warm: WarmAgent, turn: Turn, provider: PlayedProvider) -> None:
    had_a_turn(warm, turn())
    live, _ = warm.take(turn(entry=RESUMED, found=card_behind(1)))
    with warm._changed:  # as another thread of the parent may
        child = os.fork()
        if child == 0:
            # It must neither wait for the parent's lock and turn, nor end the parent's agent.
            warm.end()
            os._exit(int(warm.in_turn) + 2 * int(warm.rests) + 4 * int("end 0" in provider.journal))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert warm.in_turn
    warm.leave(live, None)


def test_what_still_rests_ends_with_the_interpreter(fake_claude: FakeClaude, tmp_path: Path) -> None:
    code = (
        "from mcp_coder.llm_providers.claude.provider import ClaudeProvider\n"
        "from mcp_coder.llm_providers.run import run_turn\n"
        "from mcp_coder.llm_providers.warm import WarmAgent\n"
        "from mcp_coder.llm_requests import new_request\n"
        "warm = WarmAgent()\n"
        "first = run_turn(ClaudeProvider(), new_request('one'), agents=warm)\n"
        "run_turn(ClaudeProvider(), new_request('two', session_id=first['session_id']), agents=warm)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)
    (call,) = fake_claude.calls()
    assert call.prompts == ["one", "two"]
    assert (call.saw_eof, call.exit_code, call.signals) == (True, 0, ())  # it went by itself
    assert not psutil.pid_exists(call.pid)
    assert files_left() == []


def test_nobody_asks_where_nobody_waits() -> None:
    assert never() is False
