"""Sessions go on: by either method, from anywhere, forked, begun by hand, under a name (s01, s02, s03, s05, s06)."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_coder import (
    InvalidRequestError,
    LLMError,
    LLMResponseDict,
    LocalCommandError,
    ServerError,
    SessionBusyError,
    SessionError,
    SessionNotFoundError,
    prompt_llm,
)
from mcp_coder.testing import FakeClaude, Reply, StandIn

if TYPE_CHECKING:
    from tests.integration.conftest import Caller, Records

    FakeOfVersion = Callable[[str], FakeClaude]
    Callers = Callable[..., list[Caller]]

UNKNOWN = "00000000-0000-4000-8000-000000000000"
BLUE, COLOR, ALL = "My favorite color is blue", "What is my favorite color?", "What did I say?"

both_methods = pytest.mark.parametrize("method", ["cli", "api"])
one_method_soon = pytest.mark.parametrize("method", ["cli", pytest.param("api", marks=pytest.mark.long)])


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=90, **options)


def begin(*questions: str, **options: Any) -> str:
    """Begin a session with these turns; return its id."""
    session_id = None
    for question in questions:
        session_id = ask(question, session_id, **options)["session_id"]
    assert session_id is not None
    return session_id


@contextmanager
def turn_under_way(
    model: StandIn, question: str, *args: Any, **options: Any
) -> Iterator[Future[LLMResponseDict]]:
    """Hold a turn at the model until the block is left; then it is answered "done"."""
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt=question)
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(ask, question, *args, **options)
        try:
            model.server.wait_for(question, 60)
            yield turn
        finally:
            release.set()


def fail(model: StandIn, question: str) -> None:
    model.server.add_rule(Reply.error(500), prompt=question)


def run_pwd(model: StandIn) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="pwd"), prompt="where")


def directory_of_last_turn(model: StandIn) -> str:
    (output,) = model.server.turns()[-1].tool_outputs
    return output.strip()


@pytest.fixture
def notices(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what callers were told so far."""
    caplog.set_level(logging.WARNING, "mcp_coder")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "mcp_coder"]


# --- s01: turns in one session


@both_methods
def test_s01_four_turns_in_one_session(model: StandIn, records: Records, method: str) -> None:
    questions = [BLUE, "My lucky number is seven", COLOR, ALL]
    first = ask(questions[0], method=method)
    answers = [first, *(ask(question, first["session_id"], method=method) for question in questions[1:])]
    assert {answer["session_id"] for answer in answers} == {first["session_id"]}
    assert [answer["method"] for answer in answers] == [method] * 4
    assert [answer["text"] for answer in answers[2:]] == [
        "Your favorite color is blue",
        f"You said:\n1. {BLUE}\n2. My lucky number is seven\n3. {COLOR}",
    ]
    turns = model.server.turns(first["session_id"])
    assert [request.prompts for request in turns] == [questions[:n] for n in (1, 2, 3, 4)]
    assert len(model.server.requests) == 4
    assert records.transcripts() == {first["session_id"]}
    assert records.card(str(first["session_id"]))["finished"] == 4


@pytest.mark.long
@one_method_soon
def test_s01_twenty_turns_in_one_session(model: StandIn, method: str) -> None:
    questions = [f"turn {number}" for number in range(20)]
    session = begin(*questions, method=method)
    assert [request.prompts for request in model.server.turns(session)] == [
        questions[: n + 1] for n in range(20)
    ]


def test_s01_sessions_side_by_side_do_not_mix(model: StandIn) -> None:
    colors = {color: begin(f"My favorite color is {color}") for color in ("blue", "green", "red")}
    for color, session in reversed(colors.items()):
        assert ask(COLOR, session)["text"] == f"Your favorite color is {color}"
    assert len(set(colors.values())) == 3


def test_s01_a_turn_that_runs_tools_is_remembered_whole(model: StandIn) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="echo forty-two"), prompt="run it")
    session = begin("run it", BLUE)
    assert str(model.server.turns()[-1].body["messages"]).count("forty-two") >= 2  # the call and its output
    assert model.server.history(session) == ["run it", BLUE]


def test_s01_a_failed_turn_leaves_the_session_open(model: StandIn, notices: Callable[[], list[str]]) -> None:
    session = begin(BLUE)
    fail(model, "break now")
    with pytest.raises(ServerError) as caught:
        ask("break now", session)
    assert caught.value.session_id == session
    assert ask(COLOR, session)["text"] == "Your favorite color is blue"
    assert "the prompt of a turn that did not finish" in notices()[-1]


@both_methods
@pytest.mark.parametrize("version", ["1.0.109", "1.0.120"])
def test_s01_a_program_that_gives_a_new_id_at_every_resume(
    fake_of_version: FakeOfVersion, version: str, method: str
) -> None:
    fake = fake_of_version(f"{version} (Claude Code)")
    fake.script(session="new_on_resume")
    first = ask("turn 1", method=method)
    answers = [first, *(ask(f"turn {number}", first["session_id"], method=method) for number in (2, 3, 4))]
    assert {answer["session_id"] for answer in answers} == {first["session_id"]}
    native = [native_id(answer) for answer in answers]
    assert len(set(native)) == 4
    assert [call.flag("--resume") for call in fake.calls()] == [None, *native[:3]]


@both_methods
def test_s01_a_newer_native_id_leads_to_the_same_session(fake_of_version: FakeOfVersion, method: str) -> None:
    fake = fake_of_version("1.0.120 (Claude Code)")
    fake.script(session="new_on_resume")
    answers = [ask("turn 1", method=method)]
    for known_as in (0, 1, 2, 1, 0):  # by which answer's native id the caller goes on
        answers.append(ask("and on", native_id(answers[known_as]), method=method))
    assert {answer["session_id"] for answer in answers} == {answers[0]["session_id"]}
    assert [call.flag("--resume") for call in fake.calls()[1:]] == [
        native_id(answer) for answer in answers[:-1]
    ]


def native_id(answer: LLMResponseDict) -> str:
    """Return what the program calls the session in this answer."""
    raw: Any = answer["raw_response"]
    return str(raw["session_id"] if answer["method"] == "cli" else raw["result_info"]["session_id"])


@both_methods
@pytest.mark.parametrize("version", ["1.0.128", "2.1.330", "unknown"])
def test_s01_another_id_from_a_program_that_keeps_ids_is_an_error(
    fake_of_version: FakeOfVersion, version: str, method: str
) -> None:
    fake = fake_of_version(version)
    fake.script()
    session, other = begin("turn 1", method=method), begin("elsewhere", method=method)
    fake.script()
    fake.script(session=other)
    with pytest.raises(SessionError, match=other) as caught:
        ask("turn 2", session, method=method)
    assert caught.value.session_id == session
    assert caught.value.response is not None  # it was paid for
    fake.script()
    assert ask("turn 3", session, method=method)["session_id"] == session
    assert ask("turn 2", other, method=method)["session_id"] == other
    assert [call.flag("--resume") for call in fake.calls()] == [None, None, session, session, other]


@one_method_soon
def test_s01_a_new_session_under_another_id_than_asked_is_an_error(
    fake_of_version: FakeOfVersion, method: str
) -> None:
    fake_of_version("2.1.330").script(session=UNKNOWN)
    with pytest.raises(SessionError, match=UNKNOWN):
        ask("turn 1", method=method)


# --- s02: across methods


@pytest.mark.parametrize("methods", [("cli", "api", "cli"), ("api", "cli", "api")], ids="-".join)
def test_s02_begun_by_one_method_gone_on_by_the_other_and_back(
    model: StandIn, methods: tuple[str, ...]
) -> None:
    first = ask(BLUE, method=methods[0])
    second = ask(COLOR, first["session_id"], method=methods[1])
    third = ask(ALL, first["session_id"], method=methods[2])
    assert {answer["session_id"] for answer in (first, second, third)} == {first["session_id"]}
    assert second["text"] == "Your favorite color is blue"
    assert third["text"] == f"You said:\n1. {BLUE}\n2. {COLOR}"
    turns = model.server.turns(first["session_id"])
    assert [len(request.prompts) for request in turns] == [1, 2, 3]
    for part in ("system", "tools", "model"):
        assert [request.body[part] == turns[0].body[part] for request in turns] == [True] * 3, part


# --- s03: directories


@both_methods
def test_s03_a_session_goes_on_in_its_own_directory(
    model: StandIn, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    run_pwd(model)
    (project / "CLAUDE.md").write_text("The codeword is heron.")
    session = begin(BLUE, method=method)
    monkeypatch.chdir(tmp_path)
    ask("where are we?", session, method=method)
    assert directory_of_last_turn(model) == str(project)
    assert "The codeword is heron." in str(model.server.turns()[-1].body["messages"])
    assert model.server.history(session) == [BLUE, "where are we?"]


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "link",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("ümläut", "a_b", "a-b")),
    ],
)
def test_s03_directories_of_any_name(model: StandIn, tmp_path: Path, name: str) -> None:
    run_pwd(model)
    for each in ("with space", "ümläut", "a_b", "a-b"):
        (tmp_path / each).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a_b")
    session = begin(BLUE, cwd=str(tmp_path / name))
    ask("where are we?", session)
    assert directory_of_last_turn(model) == os.path.realpath(tmp_path / name)


def test_s03_a_relative_directory_is_the_callers_when_it_is_given(
    model: StandIn, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_pwd(model)
    (project / "part").mkdir()
    session = begin(BLUE, cwd="part")
    monkeypatch.chdir(tmp_path)
    ask("where are we?", session)
    assert directory_of_last_turn(model) == str(project / "part")


@one_method_soon
def test_s03_an_explicit_directory_wins_with_a_notice(
    model: StandIn, project: Path, tmp_path: Path, notices: Callable[[], list[str]], method: str
) -> None:
    run_pwd(model)
    session = begin(BLUE, method=method)
    ask("where are we?", session, cwd=str(tmp_path), method=method)
    assert directory_of_last_turn(model) == str(tmp_path)
    (notice,) = notices()
    assert notice.endswith(f"the session's own directory is {project}; this turn runs in {tmp_path}")
    ask("where are we now?", session, method=method)  # that turn alone was elsewhere
    assert directory_of_last_turn(model) == str(project)
    assert len(notices()) == 1


def test_s03_naming_its_own_directory_is_nothing_to_tell(
    model: StandIn, project: Path, notices: Callable[[], list[str]]
) -> None:
    session = begin(BLUE)
    ask(COLOR, session, cwd=str(project))
    ask(COLOR, session, cwd=".")
    assert notices() == []


@one_method_soon
def test_s03_its_directory_is_deleted(model: StandIn, tmp_path: Path, method: str) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    session = begin(BLUE, cwd=str(place), method=method)
    place.rmdir()
    for fork in (False, True):
        with pytest.raises(InvalidRequestError, match=rf"{place}.* is gone; pass cwd") as caught:
            ask(COLOR, session, method=method, fork=fork)
        assert fork or caught.value.session_id == session
    assert len(model.server.requests) == 1
    assert ask(COLOR, session, cwd=str(tmp_path), method=method)["text"] == "Your favorite color is blue"
    place.mkdir()
    assert ask(COLOR, session, method=method)["text"] == "Your favorite color is blue"


@one_method_soon
def test_s03_the_callers_own_directory_is_deleted(
    model: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    run_pwd(model)
    session = begin(BLUE, cwd=str(tmp_path), method=method)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ask("where are we?", session, method=method)
    assert directory_of_last_turn(model) == str(tmp_path)
    for options in ({}, {"cwd": "."}, {"cwd": "sub"}):
        with pytest.raises(InvalidRequestError, match="current directory no longer exists"):
            ask(BLUE, method=method, **options)


def test_s03_a_directory_that_is_a_file_or_missing_is_refused(model: StandIn, project: Path) -> None:
    (project / "file").write_text("")
    for place in ("file", "missing"):
        with pytest.raises(InvalidRequestError, match=f"{place}' is no directory"):
            ask(BLUE, cwd=str(project / place))
    assert model.server.requests == ()


# --- s05: forks


@both_methods
def test_s05_a_fork_shares_the_past_and_leaves_its_parent_alone(
    model: StandIn, records: Records, method: str
) -> None:
    parent = begin(BLUE, "My lucky number is seven", method=method)
    before = records.transcript(parent).read_bytes()
    answer = ask(COLOR, parent, fork=True, method=method)
    fork = str(answer["session_id"])
    assert fork != parent
    assert answer["text"] == "Your favorite color is blue"
    assert model.server.history(fork) == [BLUE, "My lucky number is seven", COLOR]
    assert records.transcript(parent).read_bytes() == before
    assert ask(ALL, parent, method=method)["text"].count("\n") == 2  # the fork's is not there
    assert records.transcript(parent).read_bytes().startswith(before)
    assert ask("and on", fork, method=method)["session_id"] == fork
    assert model.server.history(fork) == [BLUE, "My lucky number is seven", COLOR, "and on"]


def test_s05_a_fork_of_a_fork(model: StandIn, records: Records) -> None:
    parent = begin("in the parent")
    child = str(ask("in the child", parent, fork=True)["session_id"])
    before = {session: records.transcript(session).read_bytes() for session in (parent, child)}
    grandchild = str(ask("in the grandchild", child, fork=True, method="api")["session_id"])
    assert len({parent, child, grandchild}) == 3
    assert model.server.history(grandchild) == ["in the parent", "in the child", "in the grandchild"]
    assert {session: records.transcript(session).read_bytes() for session in before} == before


def test_s05_two_forks_at_once(model: StandIn, records: Records) -> None:
    parent = begin(BLUE)
    before = records.transcript(parent).read_bytes()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda which: ask(f"fork {which}", parent, fork=True), (1, 2)))
    forks = [str(answer["session_id"]) for answer in answers]
    assert len({parent, *forks}) == 3
    assert [model.server.history(fork) for fork in forks] == [[BLUE, "fork 1"], [BLUE, "fork 2"]]
    assert records.transcript(parent).read_bytes() == before


@both_methods
def test_s05_a_fork_of_a_busy_session_does_not_wait_and_lacks_the_prompt_in_flight(
    model: StandIn, method: str
) -> None:
    parent = begin(BLUE, method=method)
    with turn_under_way(model, "in flight", parent, method=method) as turn:
        answers = [ask(COLOR, parent, fork=True, method=method, on_busy=busy) for busy in ("wait", "error")]
        assert not turn.done()
    for answer in answers:
        assert model.server.history(answer["session_id"]) == [BLUE, COLOR]
    assert turn.result()["text"] == "done"
    assert begin_again(model, parent) == [BLUE, "in flight", "and on"]


def begin_again(model: StandIn, session: str) -> list[str]:
    """Go on with a session by one more turn; return what the model then saw."""
    assert ask("and on", session)["session_id"] == session
    return model.server.history(session)


def test_s05_a_fork_of_a_session_whose_tool_runs_lacks_that_turn(model: StandIn, tmp_path: Path) -> None:
    parent = begin(BLUE)
    gate = tmp_path / "gate"
    wait = f"echo up; while [ ! -e {gate} ]; do sleep 0.05; done; echo tool-done"
    model.server.add_rule(Reply.tool_use("Bash", command=wait), prompt="run it")
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(
            ask, "run it", parent, permission_mode="bypassPermissions", env={"IS_SANDBOX": "1"}
        )
        model.server.wait_for("run it", 60)
        fork = ask(COLOR, parent, fork=True)["session_id"]
        assert not turn.done()
        gate.touch()
        assert turn.result()["text"] == "The tool said: up\ntool-done"
    assert model.server.history(fork) == [BLUE, COLOR]
    assert "tool-done" not in str(model.server.turns(fork)[-1].body["messages"])


def test_s05_a_fork_in_the_first_turn_waits_for_it_or_says_so(model: StandIn) -> None:
    with ThreadPoolExecutor(1) as pool, turn_under_way(model, "in flight", session="nightly") as turn:
        with pytest.raises(SessionBusyError, match="no finished turn"):
            ask(COLOR, session="nightly", fork=True, on_busy="error")
        with pytest.raises(SessionBusyError):  # 5 of the seconds are for the turn itself
            prompt_llm(COLOR, session="nightly", fork=True, timeout=5.5)
        assert not turn.done()
        assert len(model.server.requests) == 1
        fork = pool.submit(ask, COLOR, session="nightly", fork=True)
        with pytest.raises(TimeoutError):
            fork.result(0.5)
    assert model.server.history(fork.result()["session_id"]) == ["in flight", COLOR]


@both_methods
def test_s05_a_fork_after_a_failed_turn_lacks_its_prompt(model: StandIn, method: str) -> None:
    parent = begin(BLUE, method=method)
    fail(model, "break now")
    with pytest.raises(ServerError):
        ask("break now", parent, method=method)
    fork = ask(COLOR, parent, fork=True, method=method)["session_id"]
    assert model.server.history(fork) == [BLUE, COLOR]
    assert begin_again(model, parent) == [BLUE, "break now", "and on"]
    again = ask(COLOR, parent, fork=True, method=method)["session_id"]  # it is part of the past by now
    assert model.server.history(again) == [BLUE, "break now", "and on", COLOR]


def test_s05_a_session_without_a_finished_turn_has_no_past_to_share(model: StandIn) -> None:
    fail(model, "break now")
    with pytest.raises(ServerError) as caught:
        ask("break now")
    with pytest.raises(SessionError, match="nothing to fork"):
        ask(COLOR, caught.value.session_id, fork=True)
    assert len(model.server.requests) == 1


@one_method_soon
def test_s05_after_failure_keep_carries_the_prompt_and_says_so(
    model: StandIn, notices: Callable[[], list[str]], method: str
) -> None:
    session = begin(BLUE, method=method)
    fail(model, "break now")
    for count in (1, 2):
        with pytest.raises(ServerError):
            ask("break now", session, method=method)
        assert len(notices()) == count - 1
    ask(COLOR, session, method=method)
    assert "the prompts of 2 turns that did not finish" in notices()[-1]
    assert 'after_failure="drop"' in notices()[-1]
    assert model.server.history(session) == [BLUE, "break now", "break now", COLOR]
    told = len(notices())
    assert begin_again(model, session) == [BLUE, "break now", "break now", COLOR, "and on"]
    assert len(notices()) == told  # a finished turn settles it


@one_method_soon
@pytest.mark.parametrize("failures", [1, 2])
def test_s05_after_failure_drop_goes_on_from_the_last_finished_turn(
    model: StandIn, notices: Callable[[], list[str]], method: str, failures: int
) -> None:
    session = begin(BLUE, method=method)
    fail(model, "break now")
    for _ in range(failures):
        with pytest.raises(ServerError):
            ask("break now", session, method=method, after_failure="drop")
    answer = ask(COLOR, session, method=method, after_failure="drop")
    assert (answer["session_id"], answer["text"]) == (session, "Your favorite color is blue")
    assert model.server.history(session) == [BLUE, COLOR]
    assert begin_again(model, session) == [BLUE, COLOR, "and on"]
    assert notices() == []


@one_method_soon
def test_s05_after_failure_drop_of_a_first_turn_begins_anew_under_the_same_id(
    model: StandIn, method: str
) -> None:
    fail(model, "break now")
    with pytest.raises(ServerError) as caught:
        ask("break now", method=method)
    session = str(caught.value.session_id)
    assert ask(BLUE, session, method=method, after_failure="drop")["session_id"] == session
    assert model.server.turns()[-1].prompts == [BLUE]
    assert ask(COLOR, session, method=method)["session_id"] == session
    assert model.server.turns()[-1].prompts == [BLUE, COLOR]


@pytest.mark.parametrize(
    ("how", "carried"),
    [({"startup_timeout": 0.01}, []), ({}, ["break now"]), ({"after_failure": "drop"}, [])],
    ids=["died early", "failed", "failed and dropped"],
)
def test_s05_a_fork_that_fails_in_its_first_turn_keeps_its_past(
    model: StandIn, how: dict[str, Any], carried: list[str]
) -> None:
    parent = begin(BLUE)
    fail(model, "break now")
    with pytest.raises(LLMError) as caught:
        ask("break now", parent, fork=True, **how)
    fork = str(caught.value.session_id)
    ask("meanwhile", parent)
    answer = ask(COLOR, fork, **{name: value for name, value in how.items() if name == "after_failure"})
    assert answer["session_id"] == fork != parent
    assert model.server.turns()[-1].prompts == [BLUE, *carried, COLOR]
    assert ask(ALL, fork)["session_id"] == fork
    assert model.server.turns()[-1].prompts == [BLUE, *carried, COLOR, ALL]


def test_s05_a_fork_of_a_fork_that_is_in_its_first_turn(model: StandIn) -> None:
    parent = begin(BLUE)
    with turn_under_way(model, "in flight", parent, fork=True) as turn:
        child = model.server.turns()[-1].session_id
        grandchild = ask(COLOR, child, fork=True)["session_id"]
        assert not turn.done()
    assert len({parent, child, grandchild}) == 3
    assert model.server.history(grandchild) == [BLUE, COLOR]


def test_s05_after_failure_drop_drops_nothing_where_nothing_failed(model: StandIn) -> None:
    session = begin(BLUE, COLOR, after_failure="drop")
    assert model.server.history(session) == [BLUE, COLOR]


def test_s05_a_local_command_leaves_no_trace_that_matters(
    model: StandIn, notices: Callable[[], list[str]]
) -> None:
    session = begin(BLUE)
    for command in ("/cost", "/clear"):
        with pytest.raises(LocalCommandError):
            ask(command, session)
    assert ask(COLOR, session)["text"] == "Your favorite color is blue"
    fork = ask(COLOR, session, fork=True)["session_id"]
    assert model.server.history(fork) == [BLUE, COLOR, COLOR]
    assert notices() == []


@one_method_soon
def test_s05_a_fork_of_a_session_begun_by_hand(
    model: StandIn, by_hand: Callable[..., dict[str, Any]], records: Records, method: str
) -> None:
    parent = by_hand(BLUE)["session_id"]
    before = records.transcript(parent).read_bytes()
    fork = ask(COLOR, parent, fork=True, method=method)["session_id"]
    assert fork != parent
    assert model.server.history(fork) == [BLUE, COLOR]
    assert records.transcript(parent).read_bytes() == before


@one_method_soon
def test_s05_a_fork_where_turns_by_hand_came_after_ours(
    model: StandIn, by_hand: Callable[..., dict[str, Any]], method: str
) -> None:
    parent = begin(BLUE, method=method)
    by_hand("My favorite color is green", f"--resume={parent}")
    answer = ask(COLOR, parent, fork=True, method=method)
    assert answer["text"] == "Your favorite color is green"
    assert model.server.history(answer["session_id"]) == [BLUE, "My favorite color is green", COLOR]


def test_s05_a_fork_of_what_is_unknown_is_refused(model: StandIn) -> None:
    with pytest.raises(SessionNotFoundError):
        ask(COLOR, UNKNOWN, fork=True)
    with pytest.raises(InvalidRequestError, match="fork needs"):
        ask(COLOR, fork=True)
    assert model.server.requests == ()


# --- s06: begun by hand


@both_methods
@pytest.mark.parametrize(
    "named", [True, pytest.param(False, marks=pytest.mark.long)], ids=["chosen", "given"]
)
def test_s06_begun_by_hand_gone_on_here(
    model: StandIn, by_hand: Callable[..., dict[str, Any]], method: str, named: bool
) -> None:
    chosen = [f"--session-id={uuid.uuid4()}"] if named else []
    session = by_hand(BLUE, *chosen)["session_id"]
    answer = ask(COLOR, session, method=method)
    assert (answer["session_id"], answer["text"]) == (session, "Your favorite color is blue")
    assert begin_again(model, session) == [BLUE, COLOR, "and on"]


def test_s06_in_turns_by_hand_and_here(model: StandIn, by_hand: Callable[..., dict[str, Any]]) -> None:
    session = begin("here, first")
    by_hand("by hand", f"--resume={session}")
    ask("here again", session, method="api")
    by_hand("by hand again", f"--resume={session}")
    assert begin_again(model, session) == ["here, first", "by hand", "here again", "by hand again", "and on"]


def test_s06_what_was_said_by_hand_is_not_dropped_with_our_first_failure(
    model: StandIn, by_hand: Callable[..., dict[str, Any]], notices: Callable[[], list[str]]
) -> None:
    session = by_hand(BLUE)["session_id"]
    fail(model, "break now")
    with pytest.raises(ServerError):
        ask("break now", session)
    with pytest.raises(SessionError, match="nothing to fork"):
        ask(COLOR, session, fork=True)
    assert ask(COLOR, session, after_failure="drop")["text"] == "Your favorite color is blue"
    assert notices()[-1].endswith("nothing can be dropped")


def test_s06_turns_by_hand_after_a_failure_are_not_dropped_with_it(
    model: StandIn, by_hand: Callable[..., dict[str, Any]], notices: Callable[[], list[str]]
) -> None:
    session = begin(BLUE)
    fail(model, "break now")
    with pytest.raises(ServerError):
        ask("break now", session)
    by_hand("My favorite color is green", f"--resume={session}")
    assert ask(COLOR, session, after_failure="drop")["text"] == "Your favorite color is green"
    assert notices()[-1].endswith("somebody else went on in the session since, so nothing was dropped")


@one_method_soon
def test_s06_an_id_that_nobody_knows(model: StandIn, records: Records, method: str) -> None:
    for session in (UNKNOWN, str(uuid.uuid4())):
        with pytest.raises(SessionNotFoundError) as caught:
            ask(COLOR, session, method=method)
        assert caught.value.session_id == session
        assert not (records.config_dir / "mcp_coder" / f"{session}.json").exists()
    assert model.server.requests == ()
    assert records.transcripts() == set()


@one_method_soon
def test_s06_a_session_whose_transcript_was_deleted(model: StandIn, records: Records, method: str) -> None:
    session = begin(BLUE, method=method)
    records.transcript(session).unlink()
    shutil.rmtree(records.config_dir / "projects")
    for _ in range(2):
        with pytest.raises(SessionNotFoundError) as caught:
            ask(COLOR, session, method=method)
        assert caught.value.session_id == session
    assert len(model.server.requests) == 1


def test_s06_what_one_configuration_directory_knows_another_does_not(model: StandIn, tmp_path: Path) -> None:
    elsewhere = {"CLAUDE_CONFIG_DIR": str(tmp_path / "config")}
    session = begin(BLUE, env=elsewhere)
    with pytest.raises(SessionNotFoundError):
        ask(COLOR, session)
    assert ask(COLOR, session, env=elsewhere)["text"] == "Your favorite color is blue"
    assert (tmp_path / "config" / "mcp_coder" / f"{session}.json").exists()


# --- session=: a name is always the same session


@both_methods
def test_s06_a_name_begins_a_session_and_goes_on_with_it(model: StandIn, method: str) -> None:
    answers = [ask(question, session="nightly", method=method) for question in (BLUE, COLOR)]
    assert answers[0]["session_id"] == answers[1]["session_id"]
    assert answers[1]["text"] == "Your favorite color is blue"
    other = ask(COLOR, session="Nightly", method=method)
    assert other["session_id"] != answers[0]["session_id"]
    assert other["text"] == "You have not told me your favorite color."
    assert ask(COLOR, answers[0]["session_id"], method=method)["text"] == "Your favorite color is blue"


def test_s06_a_name_is_the_same_session_in_another_process(
    model: StandIn, callers: Callers, tmp_path: Path
) -> None:
    (caller,) = callers(1)
    first = ask(BLUE, session="nightly ünï")
    caller.ask(COLOR, session="nightly ünï", method="api")
    told = caller.answer()
    assert (told.session_id, told.text) == (first["session_id"], "Your favorite color is blue")


@one_method_soon
def test_s06_a_name_whose_card_was_deleted(model: StandIn, records: Records, method: str) -> None:
    session = ask(BLUE, session="nightly", method=method)["session_id"]
    shutil.rmtree(records.config_dir / "mcp_coder")
    answer = ask(COLOR, session="nightly", method=method)
    assert (answer["session_id"], answer["text"]) == (session, "Your favorite color is blue")


@one_method_soon
def test_s06_a_name_whose_transcript_was_deleted_is_not_begun_again_unasked(
    model: StandIn, records: Records, method: str
) -> None:
    ask(BLUE, session="nightly", method=method)
    shutil.rmtree(records.config_dir / "projects")
    with pytest.raises(SessionNotFoundError):
        ask(COLOR, session="nightly", method=method)


def test_s06_a_name_whose_caller_was_killed_in_the_first_turn(model: StandIn, callers: Callers) -> None:
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt="in flight")
    (caller,) = callers(1)
    caller.ask("in flight", session="nightly")
    request = model.server.wait_for("in flight", 60)
    caller.kill()
    release.set()
    answer = ask(ALL, session="nightly")
    assert answer["session_id"] == request.session_id
    assert answer["text"] == "You said:\n1. in flight"


def test_s06_a_fork_of_a_name(model: StandIn) -> None:
    parent = ask(BLUE, session="nightly")["session_id"]
    fork = ask(COLOR, session="nightly", fork=True)
    assert fork["session_id"] != parent
    assert fork["text"] == "Your favorite color is blue"
    assert model.server.history(ask("and on", session="nightly")["session_id"]) == [BLUE, "and on"]
