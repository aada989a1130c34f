"""An open session: one agent for its turns, ids that stay, and an end that leaves nothing."""

from __future__ import annotations

import gc
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.llm_errors import (
    AgentNotFoundError,
    InterruptedTurnError,
    InvalidRequestError,
    LLMTimeoutError,
    ServerError,
    SessionError,
)
from mcp_coder.llm_events import TextDelta, TurnFinished
from mcp_coder.llm_interface import prompt_llm
from mcp_coder.llm_providers.sessions import named_session_id
from mcp_coder.llm_sessions import stores
from mcp_coder.llm_sessions.session import Session, open_session
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store
from mcp_coder.testing import Exit, FakeClaude, Hang, Print, Turn, WaitForPrompt

LONGEST = 20.0
INIT = {"type": "system", "subtype": "init", "session_id": "{{session_id}}"}
OVERLOADED = {"is_error": True, "api_error_status": 529, "result": "API Error: 529 overloaded"}

both_methods = pytest.mark.parametrize("method", ["cli", "api"])


@pytest.fixture(autouse=True)
def fake(fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClaude]:
    """Hold after each test here: no program, no private file."""
    monkeypatch.chdir(tmp_path)
    yield fake_claude
    assert [call.pid for call in fake_claude.calls() if runs(call.pid)] == []
    turns = Path(os.environ["MCP_CODER_HOME"], "turns")
    assert not turns.exists() or list(turns.iterdir()) == []
    stores.close_all()


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def store(fake: FakeClaude) -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": 60, "store": "off", **options})


# --- turns


@both_methods
def test_all_turns_in_one_agent(fake: FakeClaude, method: str) -> None:
    with warm(method=method) as session:
        fake.wait_for(lambda calls: len(calls) == 1)  # ahead of the first prompt
        for question in ("one", "two", "three"):
            response = session.prompt(question)
            assert (response["text"], response["method"]) == (f"You said: {question}", method)
            assert response["session_id"] == session.id
    (call,) = fake.calls()
    assert call.prompts == ["one", "two", "three"]
    assert (call.flag("--session-id"), call.saw_eof, call.signals) == (session.id, True, ())


def test_its_id_is_known_before_its_first_turn() -> None:
    with warm() as session:
        before = session.id
        assert uuid.UUID(before).version == 4
        session.prompt("one")
        assert session.id == before
    assert repr(session) == f"<Session {before} closed>"


@both_methods
def test_a_stream_gives_the_events_and_the_response(method: str) -> None:
    with warm(method=method) as session:
        session.prompt("one")
        stream = session.stream("two")
        events = list(stream)
        assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "You said: two"
        assert isinstance(events[-1], TurnFinished)
        assert stream.response == events[-1].response


def test_leaving_a_stream_early_stops_the_turn_and_the_session_goes_on(fake: FakeClaude) -> None:
    fake.script(Turn(), WaitForPrompt(), Print(INIT), Hang(), Turn())
    with warm() as session:
        session.prompt("one")
        with session.stream("two") as events:
            next(events)
        assert session.prompt("three")["text"] == "You said: three"
    (call,) = fake.calls()
    assert (call.prompts, call.signals) == (["one", "two", "three"], ())


def test_turns_from_many_threads_run_one_after_another(fake: FakeClaude) -> None:
    with warm() as session, ThreadPoolExecutor() as threads:
        asked = [f"question {number}" for number in range(6)]
        answers = [each["text"] for each in threads.map(session.prompt, asked)]
        assert answers == [f"You said: {question}" for question in asked]
    (call,) = fake.calls()
    assert sorted(call.prompts) == asked


def test_one_turn_may_have_its_own_options(fake: FakeClaude) -> None:
    fake.script(Turn(), WaitForPrompt(), Print(INIT), Hang(), Turn())
    with warm(timeout=60) as session:
        session.prompt("one")
        with pytest.raises(LLMTimeoutError) as caught:
            session.prompt("two", timeout=0.5)
        assert caught.value.timeout == 0.5
        session.prompt("three", timeout=None)
    assert len(fake.calls()) == 1


def test_an_option_of_the_program_takes_another_agent_for_its_turn(fake: FakeClaude) -> None:
    with warm(model="haiku") as session:
        session.prompt("one")
        session.prompt("two", model="opus")
        session.prompt("three")
    assert [(call.flag("--model"), call.prompts) for call in fake.calls()] == [
        ("haiku", ["one"]),
        ("opus", ["two"]),
        ("haiku", ["three"]),
    ]


@pytest.mark.parametrize("name", ["session_id", "session", "fork", "provider", "method"])
def test_what_is_said_when_a_session_is_opened_is_not_said_again(fake: FakeClaude, name: str) -> None:
    wrong: dict[str, Any] = {name: "x"}
    with warm() as session:
        with pytest.raises(InvalidRequestError, match=f"{name} is said when a session is opened"):
            session.prompt("one", **wrong)
        with pytest.raises(InvalidRequestError):
            session.stream("one", **wrong)  # at the call, not while iterating
        with pytest.raises(InvalidRequestError, match="question"):
            session.prompt(" ")
    assert not any(call.prompts for call in fake.calls())


# --- what goes wrong


@both_methods
def test_an_agent_that_died_is_followed_by_another(fake: FakeClaude, method: str) -> None:
    fake.script(Turn(), Exit(0))
    fake.script(Turn())
    with warm(method=method) as session:
        session.prompt("one")
        fake.wait_for(lambda calls: calls[0].exit_code is not None)
        assert session.prompt("two")["session_id"] == session.id
    assert [call.prompts for call in fake.calls()] == [["one"], ["two"]]


def test_a_session_goes_on_behind_a_failed_turn(fake: FakeClaude) -> None:
    fake.script(Turn(result=OVERLOADED), Turn())
    with warm() as session:
        with pytest.raises(ServerError) as caught:
            session.prompt("one")
        assert caught.value.session_id == session.id
        assert session.prompt("two")["session_id"] == session.id
    (call,) = fake.calls()
    assert len(call.prompts) == 2


def test_an_interrupt_from_another_thread(fake: FakeClaude, store: Store) -> None:
    fake.script(Turn(), WaitForPrompt(), Print(INIT), Hang(), Turn())
    with warm(store=store) as session, ThreadPoolExecutor() as threads:
        assert session.interrupt() is False  # there is none
        session.prompt("one")
        turn = threads.submit(session.prompt, "two")
        fake.wait_for(lambda calls: len(calls[0].prompts) == 2)
        assert session.interrupt() is True
        with pytest.raises(InterruptedTurnError):
            turn.result(LONGEST)
        assert session.interrupt() is False
        session.prompt("three")
        assert [each.state for each in session.turns()] == ["succeeded", "interrupted", "succeeded"]
    assert len(fake.calls()) == 1


def test_a_session_that_cannot_be_opened(fake: FakeClaude, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequestError, match="idle_seconds must be a number of seconds or None"):
        open_session(idle_seconds=-1)
    with pytest.raises(InvalidRequestError, match="method must be one of"):
        open_session(method="telepathy")
    with pytest.raises(InvalidRequestError, match="is no directory"):
        open_session(cwd="/no/such/place")
    monkeypatch.setenv("MCP_CODER_CLAUDE", "/no/such/claude")
    with pytest.raises(AgentNotFoundError):
        open_session()
    assert fake.calls() == []


# --- which session


def test_going_on_with_a_session_by_its_id(fake: FakeClaude) -> None:
    first = prompt_llm("one", store="off", timeout=60)
    with warm(session_id=first["session_id"]) as session:
        assert session.id == first["session_id"]
        assert session.prompt("two")["session_id"] == session.id
    assert fake.calls()[1].prompts == ["two"]


def test_a_session_by_name(fake: FakeClaude) -> None:
    with warm(session="nightly") as session:
        assert session.id == named_session_id("claude", "nightly")
        session.prompt("one")
    with warm(session="nightly") as again:
        assert again.id == session.id
        again.prompt("two")
    assert [call.prompts for call in fake.calls()] == [["one"], ["two"]]


def test_between_turns_others_may_go_on_in_it(fake: FakeClaude) -> None:
    with warm() as session:
        session.prompt("one")
        prompt_llm("two", session_id=session.id, store="off", timeout=60)
        session.prompt("three")  # by a fresh agent: the old one knows nothing of the second turn
        session.prompt("four")
    assert [call.prompts for call in fake.calls()] == [["one"], ["two"], ["three", "four"]]


def test_where_it_is_busy_it_may_fork_and_goes_on_there(fake: FakeClaude) -> None:
    fake.script(Turn(), Turn(delay=1), Turn())
    fake.script(Turn())
    with warm() as session, ThreadPoolExecutor() as threads:
        session.prompt("one")
        first_id = session.id
        slow = threads.submit(session.prompt, "slow")
        fake.wait_for(lambda calls: len(calls[0].prompts) == 2)
        fork = session.prompt("meanwhile", on_busy="fork")
        assert fork["session_id"] == session.id != first_id
        assert slow.result(LONGEST)["session_id"] == first_id
        assert session.id == fork["session_id"]  # a turn that was under way leads nowhere back


# --- forks


def test_a_fork_begins_where_the_session_stands(fake: FakeClaude, store: Store) -> None:
    with warm(store=store) as session:
        session.prompt("one")
        point = next(session.turns()).point
        with session.fork() as fork:
            session.prompt("two")  # is none of the fork's past
            assert fork.id != session.id
            assert store.session(fork.id).parent_id == session.id
            assert store.session(fork.id).parent_turn == 1
            response = fork.prompt("forked")
            assert response["session_id"] == fork.id
    calls = fake.wait_for(lambda calls: len(calls) == 2)
    assert [call.prompts for call in calls] == [["one", "two"], ["forked"]]
    assert calls[1].flag("--resume-session-at") == point
    assert (calls[1].flag("--resume"), calls[1].flag("--session-id")) == (session.id, fork.id)


def test_opening_a_fork(fake: FakeClaude) -> None:
    first = prompt_llm("one", store="off", timeout=60)
    with warm(session_id=first["session_id"], fork=True) as fork:
        assert fork.id != first["session_id"]
        assert fork.prompt("forked")["session_id"] == fork.id
    assert fake.calls()[-1].flag("--resume") == first["session_id"]


def test_a_session_whose_last_turn_failed_is_forked_at_the_one_before(fake: FakeClaude, store: Store) -> None:
    fake.script(Turn(), Turn(result=OVERLOADED))
    fake.script(Turn())
    with warm(store=store) as session:
        session.prompt("one")
        point = next(session.turns()).point
        with pytest.raises(ServerError):
            session.prompt("two")
        with session.fork() as fork:
            fork.prompt("forked")
    assert fake.calls()[1].flag("--resume-session-at") == point


def test_where_nothing_was_asked_there_is_nothing_to_fork() -> None:
    with warm() as session, pytest.raises(SessionError, match="nothing to fork"):
        session.fork()


def test_a_session_that_went_on_by_hand_is_forked_by_the_forks_first_turn(fake: FakeClaude) -> None:
    transcript = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", "x", "hand.jsonl")
    with warm() as session:
        session.prompt("one")
        transcript = transcript.with_name(f"{session.id}.jsonl")
        transcript.parent.mkdir(parents=True)
        transcript.write_text("{}\n")  # grown since
        fork = session.fork()
        assert len(fake.calls()) == 1  # it cannot be started ahead: its past is that of its first turn
        fork.prompt("forked")
        fork.prompt("on")
        fork.close()
    assert fake.calls()[1].prompts == ["forked", "on"]
    assert (fake.calls()[1].flag("--resume-session-at"), fake.calls()[1].flag("--resume")) == (
        None,
        session.id,
    )


# --- its record


def test_its_turns_and_what_they_used(store: Store) -> None:
    with warm(store=store) as session:
        assert (list(session.turns()), session.usage().turns) == ([], 0)
        session.prompt("one")
        session.prompt("two")
        assert [(turn.prompt, turn.state) for turn in session.turns()] == [
            ("one", "succeeded"),
            ("two", "succeeded"),
        ]
        assert [turn.usage.cost_usd for turn in session.turns()] == [Decimal("0.01")] * 2
        assert (session.usage().turns, session.usage().cost_usd) == (2, Decimal("0.02"))


def test_an_old_program_counts_on_within_its_process(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its totals are those of a process: without that, each turn would be billed with those before it."""
    with FakeClaude(tmp_path / "old", version="2.1.240 (Claude Code)") as old:
        old.script(Turn(), counter="per_process")
        monkeypatch.setenv("MCP_CODER_CLAUDE", str(old.path))
        with warm(store=store) as session:
            for _ in range(3):
                session.prompt("hello")
            assert [turn.usage.cost_usd for turn in session.turns()] == [Decimal("0.01")] * 3


def test_without_a_record_there_is_nothing_to_tell() -> None:
    with warm(store="off") as session:
        session.prompt("one")
        assert (list(session.turns()), session.usage().turns) == ([], 0)


# --- its end


def test_a_closed_session_is_closed(fake: FakeClaude) -> None:
    session = warm()
    session.close()
    session.close()  # twice is fine
    for use in (lambda: session.prompt("one"), lambda: session.stream("one"), session.fork):
        with pytest.raises(SessionError, match="this session was closed"):
            use()
    assert not any(call.prompts for call in fake.calls())


def test_closing_stops_the_turn_that_is_under_way(fake: FakeClaude) -> None:
    fake.script(WaitForPrompt(), Print(INIT), Hang())
    session = warm()
    with ThreadPoolExecutor() as threads:
        turn = threads.submit(session.prompt, "one")
        fake.wait_for(lambda calls: any(call.prompts for call in calls))
        session.close()
        assert not any(runs(call.pid) for call in fake.calls())
        with pytest.raises(InterruptedTurnError):
            turn.result(LONGEST)


def test_an_agent_that_was_idle_for_long_is_ended_and_the_session_goes_on(fake: FakeClaude) -> None:
    with warm(idle_seconds=0.1) as session:
        session.prompt("one")
        (call,) = fake.wait_for(lambda calls: calls[0].exit_code is not None)
        assert call.signals == ()
        assert session.prompt("two")["session_id"] == session.id
    assert len(fake.calls()) == 2


def test_one_that_is_dropped_without_a_word_is_warned_of_and_its_agent_ends(fake: FakeClaude) -> None:
    opened = [warm()]
    opened[0].prompt("one")
    with pytest.warns(ResourceWarning, match="unclosed <Session"):
        opened.clear()
    fake.wait_for(lambda calls: calls[0].exit_code is not None)
    for each in threading.enumerate():
        if each.name == "mcp_coder-close":
            each.join(LONGEST)


def test_one_that_was_closed_is_dropped_in_silence(recwarn: pytest.WarningsRecorder) -> None:
    session = warm()
    session.close()
    del session
    gc.collect()
    assert list(recwarn) == []
