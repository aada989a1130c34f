"""Every turn is in the record before it is returned, whatever happens (s01, s04, s06, s10, s12, s23, s50, s51, s62)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import LONGEST, Caller, Child, Records

from mcp_coder import (
    LLMResponseDict,
    LLMTimeoutError,
    NotRecordedWarning,
    ServerError,
    SessionNotFoundError,
    StoreError,
    ask_llm,
    prompt_llm,
)
from mcp_coder.llm_providers.claude.claude_code_cli import ask_claude_code_cli
from mcp_coder.llm_sessions.forking import fork_session
from mcp_coder.llm_sessions.recovery import recover
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store, TurnRecord
from mcp_coder.testing import FakeClaude, Reply, StandIn

FakeOfVersion = Callable[[str], FakeClaude]
Callers = Callable[..., list[Caller]]
StartPython = Callable[..., Child]

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
BLUE, COLOR = "My favorite color is blue", "What is my favorite color?"
NOTED = "Noted: my favorite color is blue"


@pytest.fixture
def store(model: StandIn) -> Iterator[Store]:
    """Open the default store of this test."""
    opened = open_store()
    yield opened
    opened.close()


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=LONGEST, **options)


def turns(store: Store, session_id: str | None) -> list[TurnRecord]:
    return list(store.turns(str(session_id)))


def states(store: Store, session_id: str | None) -> list[str]:
    return [turn.state for turn in turns(store, session_id)]


def kept_directories() -> list[str]:
    place = Path(os.environ["MCP_CODER_HOME"], "turns")
    return sorted(path.parent.name for path in place.glob("*/journal.json"))


# --- the plain case


@both_methods
def test_s01_two_turns_are_recorded_whole(model: StandIn, store: Store, project: Path, method: str) -> None:
    (project / ".git").mkdir()
    (project / "src").mkdir()
    first = ask(BLUE, method=method, cwd=str(project / "src"), model="haiku")
    second = ask(COLOR, first["session_id"], method=method)
    session = store.session(str(first["session_id"]))
    assert (session.turns, session.title, session.provider, session.project) == (
        2,
        BLUE,
        "claude",
        str(project),
    )
    one, two = turns(store, first["session_id"])
    assert [(turn.number, turn.state, turn.prompt) for turn in (one, two)] == [
        (1, "succeeded", BLUE),
        (2, "succeeded", COLOR),
    ]
    assert [store.response(turn.turn_id) for turn in (one, two)] == [first, second]
    assert two.text == second["text"] == "Your favorite color is blue"
    assert two.parent_turn_id == one.turn_id
    assert one.turn_id < two.turn_id
    assert (one.method, one.agent_version.count("."), one.directory is not None) == (method, 2, True)
    assert one.started_at < one.ended_at <= two.started_at  # type: ignore[operator]
    kinds = [event["type"] for event in store.events(one.turn_id)]
    assert kinds.count("result") == 1
    assert "assistant" in kinds
    assert kept_directories() == []
    assert [hit.number for hit in store.search("favorite color")] == [2, 1]


def test_s01_an_id_that_changes_at_every_resume_is_one_session(
    fake_of_version: FakeOfVersion,
) -> None:
    fake_of_version("1.0.120").script(session="new_on_resume")
    first = ask("one")["session_id"]
    for question in ("two", "three", "four"):
        assert ask(question, first)["session_id"] == first
    store = open_store()
    recorded = turns(store, first)
    assert [turn.prompt for turn in recorded] == ["one", "two", "three", "four"]
    assert len({turn.native_id for turn in recorded}) == 4
    assert store.session(str(first)).native_id == recorded[-1].native_id
    store.close()


def test_off_records_nothing(model: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    session = ask(BLUE, store="off")["session_id"]
    monkeypatch.setenv("MCP_CODER_STORE", "off")
    assert ask(COLOR, session)["text"] == "Your favorite color is blue"
    assert not Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite").exists()


def test_a_store_by_its_url_by_the_environment_and_by_hand(
    model: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"sqlite:///{tmp_path / name}.sqlite" for name in ("one", "two", "three")]
    session = ask("first", store=urls[0])["session_id"]
    monkeypatch.setenv("MCP_CODER_STORE", urls[1])
    ask("second", session)
    opened = open_store(urls[2])
    ask("third", session, store=opened)
    assert [turn.prompt for turn in opened.turns(str(session))] == ["third"]
    opened.close()
    for url, prompt in zip(urls, ["first", "second", "third"], strict=True):
        again = open_store(url)
        assert [turn.prompt for turn in again.turns(str(session))] == [prompt]
        again.close()
    assert not Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite").exists()


def test_the_names_that_ask_claude_code_alone_record_nothing(model: StandIn) -> None:
    ask_claude_code_cli("Hello", timeout=LONGEST)
    assert not Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite").exists()


def test_s06_begun_by_hand_and_recorded_from_then_on(
    model: StandIn, store: Store, by_hand: Callable[..., dict[str, Any]]
) -> None:
    begun = by_hand(BLUE)
    answer = ask(COLOR, begun["session_id"])
    assert answer["text"] == "Your favorite color is blue"
    (turn,) = turns(store, begun["session_id"])
    assert (turn.number, turn.state, turn.prompt) == (1, "succeeded", COLOR)
    assert turn.usage.cost_usd is not None
    assert float(turn.usage.unrecorded_usd or 0) == pytest.approx(begun["total_cost_usd"])


def test_s04_the_native_session_is_gone_and_the_record_is_not(
    model: StandIn, store: Store, records: Records
) -> None:
    session = ask(BLUE)["session_id"]
    records.transcript(str(session)).unlink()
    asked = len(model.server.requests)
    with pytest.raises(SessionNotFoundError):
        ask(COLOR, session)
    assert len(model.server.requests) == asked
    assert [(turn.prompt, turn.state) for turn in turns(store, session)] == [(BLUE, "succeeded")]


def test_an_id_that_nobody_knows_makes_no_session(model: StandIn, store: Store) -> None:
    with pytest.raises(SessionNotFoundError):
        ask("Hello", "00000000-0000-4000-8000-000000000000")
    assert list(store.sessions()) == []
    assert kept_directories() == []


# --- what failed


@both_methods
def test_a_turn_that_failed_is_recorded_and_named_by_the_next(
    model: StandIn, store: Store, method: str
) -> None:
    session = ask(BLUE, method=method)["session_id"]
    model.server.add_rule(Reply.error(500), prompt="fail")
    with pytest.raises(ServerError):
        ask("fail", session, method=method)
    ask(COLOR, session, method=method)
    one, two, three = turns(store, session)
    assert [turn.state for turn in (one, two, three)] == ["succeeded", "failed", "succeeded"]
    assert two.error is not None
    assert (two.error["class"], two.error["status"], two.error["retryable"]) == ("ServerError", 500, True)
    assert two.point is None
    assert three.carried == (two.turn_id,)
    assert one.carried == ()


def test_a_turn_that_took_too_long_is_recorded_as_interrupted(model: StandIn, store: Store) -> None:
    model.server.add_rule(Reply.hang(), prompt="hang")
    with pytest.raises(LLMTimeoutError) as caught:
        prompt_llm("hang", timeout=5)
    (turn,) = turns(store, caught.value.session_id)
    assert (turn.state, turn.unaccounted) == ("interrupted", True)
    assert turn.error is not None
    assert (turn.error["class"], turn.error["kind"]) == ("LLMTimeoutError", "total")
    assert store.session(turn.session_id).unaccounted_turns == 1


# --- many at once


@both_methods
def test_s10_five_processes_one_session(model: StandIn, store: Store, callers: Callers, method: str) -> None:
    session = ask("turn 0")["session_id"]
    five = callers(5)
    for number, caller in enumerate(five, 1):
        caller.ask(f"turn {number}", session_id=session, method=method, timeout=LONGEST)
    told = [caller.answer() for caller in five]
    assert [each.error for each in told] == [None] * 5
    ask("turn 6", session)
    recorded = turns(store, session)
    assert [turn.number for turn in recorded] == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(turn.prompt for turn in recorded) == [f"turn {number}" for number in range(7)]
    assert {turn.state for turn in recorded} == {"succeeded"}
    assert store.session(str(session)).unaccounted_turns == 0
    for caller in five:
        caller.finish()


def test_s12_sixteen_new_sessions_from_threads(model: StandIn, store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: ask(f"number {number}"), range(16)))
    assert len({answer["session_id"] for answer in answers}) == 16
    for number, answer in enumerate(answers):
        (turn,) = turns(store, answer["session_id"])
        assert (turn.prompt, turn.state) == (f"number {number}", "succeeded")
        assert store.response(turn.turn_id) == answer


# --- forks


@both_methods
def test_s05_a_fork_knows_its_parent(model: StandIn, store: Store, method: str) -> None:
    session = ask(BLUE, method=method)["session_id"]
    fork = ask(COLOR, session, fork=True, method=method)["session_id"]
    recorded = store.session(str(fork))
    (one,), (forked,) = turns(store, session), turns(store, fork)
    assert (recorded.parent_id, recorded.parent_turn) == (session, 1)
    assert forked.parent_turn_id == one.turn_id


@both_methods
def test_s05_a_fork_from_the_record_at_an_earlier_turn(model: StandIn, store: Store, method: str) -> None:
    session = ask(BLUE)["session_id"]
    ask("My lucky number is seven", session)
    ask("third", session)
    fork = fork_session(store, str(session), at=2)
    assert store.session(fork.session_id).turns == 0
    answer = ask("What did I say?", fork.session_id, method=method)
    assert answer["session_id"] == fork.session_id
    assert model.server.history() == [BLUE, "My lucky number is seven", "What did I say?"]
    (turn,) = turns(store, fork.session_id)
    assert turn.parent_turn_id == turns(store, session)[1].turn_id
    ask("and on", fork.session_id, method=method)
    assert model.server.history()[-1] == "and on"
    assert store.session(fork.session_id).turns == 2


# --- we are killed

_KILLED = """
import json, sys
from mcp_coder import prompt_llm
print("0", flush=True)
prompt_llm(sys.argv[1], **json.loads(sys.argv[2]))
"""


@both_methods
def test_s23_an_answer_that_came_after_our_death_is_recorded(
    model: StandIn, store: Store, start_python: StartPython, method: str
) -> None:
    release = threading.Event()
    model.server.add_rule(Reply.hang(after="so ", until=release, then="far"), prompt="take your time")
    options = {"session": "nightly", "method": method, "timeout": LONGEST}
    caller = start_python(_KILLED, "take your time", json.dumps(options))
    session = str(model.server.wait_for("take your time", LONGEST).session_id)
    caller.kill()
    assert states(store, session) == ["started"]
    release.set()
    ask("What did I say?", session="nightly", method=method)
    one, two = turns(store, session)
    assert [(one.state, one.text), two.state] == [("succeeded", "so far"), "succeeded"]
    assert one.usage.cost_usd is not None
    response = store.response(one.turn_id)
    assert response is not None
    assert (response["text"], response["method"], response["session_id"]) == ("so far", method, session)
    assert kept_directories() == []


@both_methods
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 3.0])
def test_s23_killed_in_a_first_turn(
    model: StandIn, store: Store, start_python: StartPython, method: str, seconds: float
) -> None:
    model.server.add_rule(Reply.text("an answer").delayed(2), prompt=BLUE)
    options = {"session": "nightly", "method": method, "timeout": LONGEST}
    caller = start_python(_KILLED, BLUE, json.dumps(options))
    caller.hear()
    time.sleep(seconds)  # the story's own time: wherever the turn is by then
    caller.kill()
    answer = ask("What did I say?", session="nightly", method=method)
    recorded = turns(store, answer["session_id"])
    asked = model.server.prompts().count(BLUE)
    assert [turn.prompt for turn in recorded] in ([BLUE, "What did I say?"], ["What did I say?"])
    assert len(recorded) >= 1 + asked  # what was asked is in the record
    assert recorded[-1].state == "succeeded"
    assert [turn.state for turn in recorded[:-1]] in ([], ["succeeded"], ["interrupted"], ["unknown"])
    if recorded[0].prompt == BLUE:
        answered = recorded[0].state == "succeeded"
        assert answered == (recorded[0].text == "an answer") == (not recorded[0].unaccounted)
    assert kept_directories() == []


def test_recover_settles_all_sessions_and_leaves_what_is_under_way(
    model: StandIn, store: Store, start_python: StartPython
) -> None:
    release = threading.Event()
    for name in ("one", "two", "three"):
        model.server.add_rule(Reply.hang(until=release, then=f"done {name}"), prompt=name)
    options = {"timeout": LONGEST}
    children = [
        start_python(_KILLED, name, json.dumps({**options, "session": name})) for name in ("one", "two")
    ]
    sessions = [str(model.server.wait_for(name, LONGEST).session_id) for name in ("one", "two")]
    with ThreadPoolExecutor(1) as pool:
        alive = pool.submit(ask, "three", session="three")
        model.server.wait_for("three", LONGEST)
        for child in children:
            child.kill()
        threading.Timer(1, release.set).start()
        found = {each.session_id: each for each in recover(store, wait=30)}
        third = str(alive.result()["session_id"])
    assert [found[session].state for session in sessions] == ["succeeded"] * 2
    assert third not in found or found[third].state in ("started", "succeeded")
    assert [turns(store, each)[0].text for each in sessions] == ["done one", "done two"]
    assert states(store, third) == ["succeeded"]
    assert list(recover(store)) == []


def test_recover_ends_an_agent_that_goes_on_for_too_long(
    model: StandIn, store: Store, start_python: StartPython, remaining_processes: Callable[[], list[Any]]
) -> None:
    model.server.add_rule(Reply.hang(), prompt="hang")
    child = start_python(_KILLED, "hang", json.dumps({"timeout": LONGEST, "session": "one"}))
    model.server.wait_for("hang", LONGEST)
    child.kill()
    (found,) = recover(store, wait=1)
    assert found.state == "interrupted"
    assert remaining_processes() == []


def test_two_recoveries_at_once_do_no_harm(model: StandIn, store: Store, start_python: StartPython) -> None:
    model.server.add_rule(Reply.text("an answer").delayed(1), prompt="late")
    child = start_python(_KILLED, "late", json.dumps({"timeout": LONGEST, "session": "one"}))
    session = str(model.server.wait_for("late", LONGEST).session_id)
    child.kill()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: list(recover(store, wait=20)), range(4)))
    (turn,) = turns(store, session)
    assert (turn.state, turn.text) == ("succeeded", "an answer")


def test_a_turn_of_no_record_leaves_what_the_record_waits_for(
    model: StandIn, store: Store, start_python: StartPython
) -> None:
    model.server.add_rule(Reply.text("an answer").delayed(1), prompt="late")
    child = start_python(_KILLED, "late", json.dumps({"timeout": LONGEST, "session": "one"}))
    session = str(model.server.wait_for("late", LONGEST).session_id)
    child.kill()
    ask("Hello", session, store="off")
    assert states(store, session) == ["started"]
    assert [(each.state, each.number) for each in recover(store)] == [("succeeded", 1)]
    assert turns(store, session)[0].text == "an answer"


@both_methods
def test_ctrl_c_in_mid_turn_is_recorded_at_once(
    model: StandIn, store: Store, start_python: StartPython, method: str
) -> None:
    model.server.add_rule(Reply.hang(), prompt="hang")
    child = start_python(_KILLED, "hang", json.dumps({"timeout": LONGEST, "method": method}))
    session = str(model.server.wait_for("hang", LONGEST).session_id)
    child.process.send_signal(signal.SIGINT)
    assert child.process.wait(LONGEST) == -signal.SIGINT, child.errors()
    (turn,) = turns(store, session)
    assert turn.state == "interrupted"
    assert kept_directories() == []


# --- the store cannot be used


def broken_store(kind: str) -> Path:
    place = Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite")
    place.parent.mkdir(exist_ok=True)
    if kind == "damaged":
        place.write_bytes(b"this is no database" * 100)
    else:
        place.mkdir()
    return place


@both_methods
@pytest.mark.parametrize("kind", ["damaged", "a directory"])
def test_s62_a_default_store_that_is_broken_is_one_warning(model: StandIn, method: str, kind: str) -> None:
    broken_store(kind)
    with pytest.warns(NotRecordedWarning, match="not recorded") as told:
        assert ask_llm(BLUE, method=method, timeout=LONGEST) == NOTED
    assert len(told) == 1


@pytest.mark.parametrize("kind", ["damaged", "a directory"])
def test_s62_a_named_store_that_is_broken_refuses_before_anything_is_started(
    model: StandIn, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{broken_store(kind)}"
    with pytest.raises(StoreError):
        ask("Hello", store=url)
    monkeypatch.setenv("MCP_CODER_STORE", url)
    with pytest.raises(StoreError):
        ask("Hello")
    assert model.server.prompts() == []
    assert kept_directories() == []


class FullStore:
    """A store whose disk is full from some write on; all else goes to a real one."""

    def __init__(self, store: Store, *refused: str) -> None:
        self._store, self._refused = store, refused

    def __getattr__(self, name: str) -> Any:
        if name in self._refused:
            return self._refuse
        return getattr(self._store, name)

    def _refuse(self, *_: object, **__: object) -> None:
        raise StoreError("the disk is full")


def test_s51_a_named_store_that_is_full_before_the_prompt(model: StandIn, store: Store) -> None:
    with pytest.raises(StoreError, match="nothing was sent"):
        ask("Hello", store=FullStore(store, "begin_turn"))
    assert model.server.prompts() == []
    assert kept_directories() == []


@both_methods
def test_s51_a_named_store_that_is_full_behind_the_answer(model: StandIn, store: Store, method: str) -> None:
    with pytest.raises(StoreError) as caught:
        ask(BLUE, store=FullStore(store, "end_turn"), method=method)
    answer = caught.value.response
    assert answer is not None
    assert answer["text"] == NOTED
    session = str(answer["session_id"])
    assert caught.value.session_id == session
    assert states(store, session) == ["started"]
    assert ask(COLOR, session, store=store)["text"] == "Your favorite color is blue"
    one, two = turns(store, session)
    assert [(one.state, one.text), two.state] == [("succeeded", NOTED), "succeeded"]
    assert len(model.server.prompts()) == 2
    assert kept_directories() == []
