"""Warm sessions go on: turn by turn, across methods, forked, named, by hand, with options of their own (s01-s06)."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.integration.conftest import LONGEST, Records

from mcp_coder import (
    InvalidRequestError,
    LLMResponseDict,
    ServerError,
    Session,
    SessionError,
    SessionNotFoundError,
    open_session,
    prompt_llm,
)
from mcp_coder.llm_events import Notice, TurnFinished
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store
from mcp_coder.testing import FakeClaude, Reply, StandIn

if TYPE_CHECKING:
    FakeOfVersion = Callable[[str], FakeClaude]
    Agents = Callable[[], list[psutil.Process]]
    ByHand = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("leaves_nothing")

UNKNOWN = "00000000-0000-4000-8000-000000000000"
BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


@pytest.fixture
def store(model: StandIn) -> Iterator[Store]:
    """Open the default store of this test."""
    opened = open_store()
    yield opened
    opened.close()


def warm(**options: Any) -> Session:
    return open_session(**{"timeout": LONGEST, **options})


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=LONGEST, **options)


def streamed(session: Session, question: str, **options: Any) -> LLMResponseDict:
    """Run a turn as a stream, to its end."""
    stream = session.stream(question, **options)
    assert isinstance([*stream][-1], TurnFinished)
    assert stream.response is not None
    return stream.response


def fail(model: StandIn, question: str) -> None:
    model.server.add_rule(Reply.error(500), prompt=question)


@contextmanager
def turn_under_way(model: StandIn, session: Session, question: str) -> Iterator[Future[LLMResponseDict]]:
    """Hold a turn of a session at the model until the block is left; then it is answered "done"."""
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt=question)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(session.prompt, question)
        try:
            model.server.wait_for(question, 60)
            yield turn
        finally:
            release.set()


def prompts_recorded(store: Store, session_id: str) -> list[tuple[int, str, str]]:
    return [(turn.number, turn.prompt, turn.state) for turn in store.turns(session_id)]


# --- s01: turns in one session


@both_methods
def test_s01_four_turns_in_one_agent(
    model: StandIn, store: Store, records: Records, agents: Agents, method: str
) -> None:
    questions = [BLUE, "My lucky number is seven", COLOR, ALL]
    with warm(method=method) as session:
        first_id, living = session.id, agents()
        ways = (session.prompt, lambda question: streamed(session, question))
        answers = [ways[number % 2](question) for number, question in enumerate(questions)]
        assert agents() == living
        assert len(living) == 1
    assert agents() == []
    assert {answer["session_id"] for answer in answers} == {first_id} == {session.id}
    assert [answer["method"] for answer in answers] == [method] * 4
    assert [answer["text"] for answer in answers[2:]] == [
        "Your favorite color is blue",
        f"You said:\n1. {BLUE}\n2. My lucky number is seven\n3. {COLOR}",
    ]
    assert [turn.prompts for turn in model.server.turns(first_id)] == [questions[:n] for n in (1, 2, 3, 4)]
    assert len(model.server.requests) == 4
    assert records.transcripts() == {first_id}
    assert (records.card(first_id)["finished"], records.card(first_id)["agent"]) == (4, {})
    recorded = list(session.turns())
    assert recorded == list(store.turns(first_id))
    assert [turn.prompt for turn in recorded] == questions
    assert [store.response(turn.turn_id) for turn in recorded] == answers


@both_methods
def test_s01_a_program_that_gives_a_new_id_at_every_resume(
    fake_of_version: FakeOfVersion, agents: Agents, method: str
) -> None:
    fake = fake_of_version("1.0.120 (Claude Code)")
    fake.script(session="new_on_resume")
    native: list[str] = []
    with warm(method=method) as session:
        first_id = session.id
        for number in range(5):
            answer = session.prompt(f"turn {number}")
            assert answer["session_id"] == session.id == first_id
            native.append(native_id(answer))
            for agent in agents() if number == 1 else []:
                agent.kill()
                agent.wait(10)
    assert native[0] == native[1]  # one process, one id
    *resumed, _ = dict.fromkeys(native)
    assert [call.flag("--resume") for call in fake.calls()] == [None, *resumed]


def native_id(answer: LLMResponseDict) -> str:
    """Return what the program calls the session in this answer."""
    raw: Any = answer["raw_response"]
    return str(raw["session_id"] if answer["method"] == "cli" else raw["result_info"]["session_id"])


@one_method_soon
def test_s01_closed_and_opened_again_by_its_id(model: StandIn, agents: Agents, method: str) -> None:
    session = warm(method=method)
    session.prompt(BLUE)
    session.close()
    session.close()
    assert agents() == []
    for call in (lambda: session.prompt(COLOR), lambda: session.stream(COLOR), session.fork):
        with pytest.raises(SessionError, match="was closed"):
            call()
    assert session.interrupt() is False
    assert [turn.prompt for turn in session.turns()] == [BLUE]
    assert session.usage().turns == 1
    assert agents() == []
    with warm(method=method, session_id=session.id) as again:
        assert again.id == session.id
        (agent,) = agents()
        assert again.prompt(COLOR)["text"] == "Your favorite color is blue"
        assert agents() == [agent]  # the one that was started ahead
    assert model.server.history(session.id) == [BLUE, COLOR]


# --- s02: across methods


@pytest.mark.parametrize(
    "methods",
    [("cli", "api"), pytest.param(("api", "cli"), marks=pytest.mark.long)],
    ids="-".join,
)
def test_s02_begun_warm_gone_on_by_a_plain_call_of_the_other_method_and_back(
    model: StandIn, store: Store, agents: Agents, methods: tuple[str, str]
) -> None:
    with warm(method=methods[0]) as session:
        answers = [session.prompt(BLUE)]
        (agent,) = agents()
        answers.append(ask(COLOR, session.id, method=methods[1]))
        answers.append(session.prompt(ALL))
        (other,) = agents()
        assert other != agent  # its memory was stale
        answers.append(session.prompt("and on"))
        assert agents() == [other]
    assert {answer["session_id"] for answer in answers} == {session.id}
    assert answers[2]["text"] == f"You said:\n1. {BLUE}\n2. {COLOR}"
    turns = model.server.turns(session.id)
    assert [len(turn.prompts) for turn in turns] == [1, 2, 3, 4]
    for part in ("system", "tools", "model"):
        assert [turn.body[part] == turns[0].body[part] for turn in turns] == [True] * 4, part
    assert [turn.method for turn in store.turns(session.id)] == [methods[0], methods[1], *methods[:1] * 2]


# --- s03, s06: directories, names, ids


@pytest.mark.long
def test_s03_a_warm_session_stays_in_its_directory(
    model: StandIn, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agents: Agents
) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="pwd"), prompt="where")
    with warm() as session:
        session.prompt(BLUE)
        monkeypatch.chdir(tmp_path)
        (agent,) = agents()
        assert session.prompt("where are we?")["text"] == f"The tool said: {project}"
        assert agents() == [agent]
        with pytest.raises(InvalidRequestError, match="no directory"):
            session.prompt("where?", cwd="missing")
        assert session.prompt("where now?", cwd=str(tmp_path))["text"] == f"The tool said: {tmp_path}"
        assert session.prompt("where again?")["text"] == f"The tool said: {project}"


@one_method_soon
def test_s06_a_name_is_one_session(model: StandIn, agents: Agents, method: str) -> None:
    with warm(session="nightly", method=method) as session:
        first = session.prompt(BLUE)
        (agent,) = agents()
        session.prompt("and on")
        assert agents() == [agent]
    assert first["session_id"] == session.id
    with warm(session="nightly", method=method) as again:
        assert again.id == session.id
        assert again.prompt(COLOR)["text"] == "Your favorite color is blue"
        with again.fork() as fork:
            assert fork.prompt(ALL)["session_id"] == fork.id != session.id
        assert again.prompt("last")["session_id"] == session.id
    assert model.server.history(session.id) == [BLUE, "and on", COLOR, "last"]
    assert model.server.history(fork.id) == [BLUE, "and on", COLOR, ALL]


@one_method_soon
def test_s06_an_id_that_nobody_knows(
    model: StandIn, store: Store, records: Records, agents: Agents, method: str
) -> None:
    with warm(session_id=UNKNOWN, method=method) as session:
        for _ in range(2):
            with pytest.raises(SessionNotFoundError) as caught:
                session.prompt(COLOR)
            assert caught.value.session_id == UNKNOWN
            assert agents() == []
    with pytest.raises(SessionNotFoundError):
        warm(session_id=UNKNOWN, method=method, fork=True).prompt(COLOR)
    assert agents() == []
    assert (model.server.requests, records.transcripts(), list(store.sessions())) == ((), set(), [])
    assert list((records.config_dir / "mcp_coder").glob("*.json")) == []


@one_method_soon
def test_s06_a_session_whose_transcript_was_deleted_meanwhile(
    model: StandIn, records: Records, agents: Agents, method: str
) -> None:
    """Whether the agent that has it in its memory may go on is its own matter; nothing is begun in its place."""
    with warm(method=method) as session:
        session.prompt(BLUE)
        shutil.rmtree(records.config_dir / "projects")
        with pytest.raises(SessionNotFoundError):
            session.prompt(COLOR)
    assert len(model.server.requests) == 1


# --- s05: forks


@one_method_soon
def test_s05_a_fork_and_a_fork_of_it(
    model: StandIn, store: Store, records: Records, agents: Agents, method: str
) -> None:
    with warm(method=method) as parent:
        parent.prompt(BLUE)
        (agent,) = agents()
        before = records.transcript(parent.id).read_bytes()
        with parent.fork() as child:
            assert child.prompt(COLOR)["text"] == "Your favorite color is blue"
            with child.fork() as grandchild:
                assert streamed(grandchild, "in the grandchild")["session_id"] == grandchild.id
            child.prompt("in the child")
        assert records.transcript(parent.id).read_bytes() == before
        assert parent.prompt(ALL)["text"] == f"You said:\n1. {BLUE}"
        assert agents() == [agent]  # all the time
    assert len({parent.id, child.id, grandchild.id}) == 3
    assert model.server.history(child.id) == [BLUE, COLOR, "in the child"]
    assert model.server.history(grandchild.id) == [BLUE, COLOR, "in the grandchild"]
    assert [store.session(each.id).parent_id for each in (child, grandchild)] == [parent.id, child.id]
    assert [store.session(each.id).parent_turn for each in (child, grandchild)] == [1, 1]


@one_method_soon
def test_s05_two_forks_at_once_of_a_busy_session(model: StandIn, agents: Agents, method: str) -> None:
    with warm(method=method) as parent, ThreadPoolExecutor(2) as pool:
        with turn_under_way(model, parent, "first in flight"):
            with pytest.raises(SessionError):
                parent.fork()  # nothing is finished yet
            assert len(agents()) == 1
        parent.prompt(BLUE)
        with turn_under_way(model, parent, "second in flight") as turn:
            forks = list(pool.map(lambda _: parent.fork(), range(2)))
            assert not turn.done()
        assert turn.result()["text"] == "done"
        parent.prompt("meanwhile")
        answers = list(pool.map(lambda fork: fork.prompt(COLOR), forks))
        for fork, answer in zip(forks, answers, strict=True):
            assert (answer["session_id"], answer["text"]) == (fork.id, "Your favorite color is blue")
            assert model.server.history(fork.id) == ["first in flight", BLUE, COLOR]
            fork.close()
        assert len(agents()) == 1
    assert len({parent.id, *(fork.id for fork in forks)}) == 3
    assert model.server.history(parent.id) == ["first in flight", BLUE, "second in flight", "meanwhile"]


@one_method_soon
def test_s05_after_a_failed_turn(model: StandIn, store: Store, agents: Agents, method: str) -> None:
    """A fork lacks the prompt that failed; the session keeps it and says so, or drops it."""
    fail(model, "break")
    with warm(method=method) as session:
        session.prompt(BLUE)
        with pytest.raises(ServerError) as caught:
            session.prompt("break now")
        assert caught.value.session_id == session.id
        with session.fork() as fork:
            fork.prompt(COLOR)
        assert model.server.history(fork.id) == [BLUE, COLOR]
        session.prompt(COLOR, after_failure="drop")
        assert model.server.history(session.id) == [BLUE, COLOR]
        with pytest.raises(ServerError):
            session.prompt("break again")
        (agent,) = agents()
        events = [*session.stream("and on")]
        assert model.server.history(session.id) == [BLUE, COLOR, "break again", "and on"]
        (notice,) = [event.text for event in events if isinstance(event, Notice)]
        assert notice.startswith("the prompt of a turn that did not finish may still be in the session's")
        assert agents() == [agent]  # a failure of the model's service is nothing to it
    assert prompts_recorded(store, session.id) == [
        (1, BLUE, "succeeded"),
        (2, "break now", "failed"),
        (3, COLOR, "succeeded"),
        (4, "break again", "failed"),
        (5, "and on", "succeeded"),
    ]


@pytest.mark.long
def test_s05_after_failure_drop_for_the_whole_session(model: StandIn) -> None:
    fail(model, "break")
    with warm(after_failure="drop") as session:
        with pytest.raises(ServerError):
            session.prompt("break first")
        session.prompt(BLUE)  # a first turn that failed: begun anew under the same id
        assert model.server.history() == [BLUE]
        for number in range(2):
            with pytest.raises(ServerError):
                session.prompt(f"break {number}")
        assert session.prompt(COLOR)["session_id"] == session.id
        assert model.server.history() == [BLUE, COLOR]
        session.prompt("and on")
        assert model.server.history() == [BLUE, COLOR, "and on"]


def test_s05_a_fork_that_was_never_asked_can_be_gone_on_with_later(model: StandIn, agents: Agents) -> None:
    with warm() as parent:
        with pytest.raises(SessionError, match="nothing to fork"):
            parent.fork()
        parent.prompt(BLUE)
        fork = parent.fork()
        fork.close()
        parent.prompt("meanwhile")
    assert agents() == []
    assert ask(COLOR, fork.id)["session_id"] == fork.id
    assert model.server.history(fork.id) == [BLUE, COLOR]


@pytest.mark.long
def test_s05_opened_as_a_fork(model: StandIn) -> None:
    with warm() as parent:
        parent.prompt(BLUE)
    with warm(session_id=parent.id, fork=True) as fork:
        assert fork.prompt(COLOR)["session_id"] == fork.id != parent.id
    assert model.server.history(fork.id) == [BLUE, COLOR]


@pytest.mark.long
@both_methods
def test_s05_a_fork_where_turns_by_hand_came_after_ours(
    model: StandIn, by_hand: ByHand, agents: Agents, method: str
) -> None:
    with warm(method=method) as parent:
        parent.prompt(BLUE)
        by_hand("My favorite color is green", f"--resume={parent.id}")
        with parent.fork() as fork:
            assert fork.prompt(COLOR)["text"] == "Your favorite color is green"
            assert fork.id != parent.id
            fork.prompt("and on")
        assert parent.prompt(COLOR)["text"] == "Your favorite color is green"
    assert model.server.history(fork.id) == [BLUE, "My favorite color is green", COLOR, "and on"]


# --- what is said for a session, and for a turn


@one_method_soon
def test_an_option_for_one_turn_that_the_program_takes_starts_it_anew(
    model: StandIn, agents: Agents, method: str
) -> None:
    with warm(method=method, model="haiku") as session:
        session.prompt(BLUE)
        (agent,) = agents()
        session.prompt("same", timeout=30, inactivity_timeout=20, on_busy="error", on_denial="error")
        assert agents() == [agent]
        assert session.prompt(COLOR, model="sonnet")["text"] == "Your favorite color is blue"
        (other,) = agents()
        assert agent != other
    models = [turn.model for turn in model.server.turns(session.id)]
    assert [name.split("-")[1] for name in models] == ["haiku", "haiku", "sonnet"]


@one_method_soon
def test_a_session_all_of_whose_calls_were_refused_was_never_begun(
    model: StandIn, store: Store, records: Records, agents: Agents, method: str
) -> None:
    other = {"cli": "api", "api": "cli"}[method]
    with warm(method=method) as session:
        (agent,) = agents()
        wrong: list[tuple[str, dict[str, Any]]] = [
            (" ", {}),
            ("Hello", {"timeout": -1}),
            ("Hello", {"session_id": UNKNOWN}),
            ("Hello", {"method": other}),
            ("Hello", {"fork": True}),
            ("Hello", {"mcp_config": "missing.json"}),
        ]
        for question, options in wrong:
            for run in (session.prompt, lambda *args, **kwargs: [*session.stream(*args, **kwargs)]):
                with pytest.raises(InvalidRequestError):
                    run(question, **options)
        assert agents() == [agent]
    for options in ({"idle_seconds": -1}, {"method": "carrier pigeon"}, {"fork": True}, {"cwd": "missing"}):
        with pytest.raises(InvalidRequestError):
            warm(**options)
    assert agents() == []
    assert (records.transcripts(), list(store.sessions()), model.server.requests) == (set(), [], ())
    assert list((records.config_dir / "mcp_coder").glob("*.json")) == []


@one_method_soon
def test_off_records_nothing(model: StandIn, agents: Agents, method: str) -> None:
    with warm(store="off", method=method) as session:
        session.prompt(BLUE)
        (agent,) = agents()
        assert streamed(session, COLOR)["text"] == "Your favorite color is blue"
        assert agents() == [agent]
        with session.fork() as fork:
            assert fork.prompt(COLOR)["text"] == "Your favorite color is blue"
            assert list(fork.turns()) == []
        assert list(session.turns()) == []
        assert (session.usage().turns, session.usage().cost_usd) == (0, Decimal(0))
    assert not Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite").exists()


@pytest.mark.long
def test_a_store_of_its_own(model: StandIn, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.sqlite'}"
    with warm(store=url) as session:
        session.prompt(BLUE)
        streamed(session, COLOR)
        assert [turn.prompt for turn in session.turns()] == [BLUE, COLOR]
        assert session.usage().turns == 2
    assert not Path(os.environ["MCP_CODER_HOME"], "store-1.sqlite").exists()
