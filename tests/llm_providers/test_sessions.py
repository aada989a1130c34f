"""Entering a session: named ones, orphans, and time that runs out while waiting."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.llm_providers.conftest import SLEEP
from tests.llm_providers.kept_agents import PlayedProvider, never, new_agent

from mcp_coder.llm_errors import InterruptedTurnError, SessionBusyError, SessionError
from mcp_coder.llm_providers.base import TURN_MARKER, Agent, Entry
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.leases import Lease, lease_directory, read_card
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_providers.sessions import (
    entered,
    entry_ahead,
    fork_ahead,
    kept_directory,
    leaving,
    named_session_id,
    reserve,
    settled_session,
    wanted_session,
)
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_types import LLMResponseDict
from mcp_coder.testing import FakeClaude, Script

PROVIDER = ClaudeProvider()
MARK = str(uuid.uuid4())
"""What no orphan of another run of these tests carries, at the same time on this machine."""
ANSWERED = (
    '{"type":"system","subtype":"init","session_id":"ID"}\n'
    '{"type":"assistant","uuid":"point-2","parent_tool_use_id":null,"session_id":"ID",'
    '"message":{"content":[{"type":"text","text":"done"}]}}\n'
    '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"session_id":"ID",'
    '"modelUsage":{"m":{"inputTokens":1}}}\n'
)


def ask(**arguments: object) -> LLMResponseDict:
    return run_turn(PROVIDER, new_request("hello", **arguments))


@pytest.fixture
def directory(fake_claude: FakeClaude) -> str:
    return lease_directory(os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"]))


@pytest.fixture
def session(fake_claude: FakeClaude) -> str:
    """Return a session with one finished turn."""
    return str(ask()["session_id"])


@pytest.fixture
def orphan(directory: str, session: str, tmp_path: Path) -> Iterator[Process]:
    """Leave an agent at work in the session whose holder is dead, as its card says."""
    (tmp_path / "turn").mkdir()
    process = Process.start(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
        env={**os.environ, TURN_MARKER: MARK},
        cwd="/",
        output=str(tmp_path / "turn" / "output.jsonl"),
        errors=str(tmp_path / "turn" / "stderr.txt"),
    )
    card = read_card(directory, session)
    assert card is not None
    lease = Lease.take(directory, session, wait=0)
    lease.write_card(
        dataclasses.replace(card, agent=process.identity(), turn_id=MARK, directory=str(tmp_path / "turn"))
    )
    lease.release()
    yield process
    process.end(over=True, grace=0)
    process.close()


def card_of(directory: str, session: str) -> Card:
    card = read_card(directory, session)
    assert card is not None
    return card


def hold(directory: str, session: str) -> subprocess.Popen[bytes]:
    """Hold the session's lease in another process."""
    code = (
        "import sys\nfrom mcp_coder.llm_providers.leases import Lease\n"
        "lease = Lease.take(sys.argv[1], sys.argv[2], wait=0)\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, directory, session], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def test_the_same_name_is_the_same_session_everywhere() -> None:
    assert named_session_id("claude", "nightly") == "4630776e-8756-503b-a083-54f30b3f7e7a"
    assert named_session_id("claude", "nightly") != named_session_id("claude", "Nightly")
    assert named_session_id("claude", "nightly") != named_session_id("codex", "nightly")


def test_an_orphan_is_waited_for_and_its_answer_counts(directory: str, session: str, orphan: Process) -> None:
    output = Path(card_of(directory, session).directory or "", "output.jsonl")

    def finish() -> None:
        output.write_text(ANSWERED.replace("ID", session))
        orphan.close_input()
        while orphan.exit_code() is None:  # reaps it, as init would
            orphan.wait(1)

    threading.Timer(0.5, finish).start()
    ask(session_id=session)
    card = card_of(directory, session)
    assert card.finished == 3  # one before, the orphan's, and this one
    assert not output.parent.exists()


def test_an_orphan_that_does_not_end_is_ended(directory: str, session: str, orphan: Process) -> None:
    bystander = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"])
    try:
        reaper = threading.Thread(target=orphan.wait, args=(60,))
        reaper.start()
        began = time.monotonic()
        ask(
            session_id=session, timeout=13
        )  # waits 3 s of these: 5 are for its own turn, 5 for the stop ladder
        assert time.monotonic() - began < 13 + 6
        assert not psutil.pid_exists(orphan.pid) or orphan.exit_code() is not None
        assert bystander.poll() is None
        reaper.join(20)
    finally:
        bystander.kill()
        bystander.wait()


def test_an_orphan_counts_as_busy_for_those_who_do_not_wait(
    fake_claude: FakeClaude, session: str, orphan: Process
) -> None:
    calls = len(fake_claude.calls())
    with pytest.raises(SessionBusyError, match="still works"):
        ask(session_id=session, on_busy="error")
    assert len(fake_claude.calls()) == calls
    forked = ask(session_id=session, on_busy="fork")
    assert forked["session_id"] != session
    assert orphan.exit_code() is None


def test_a_fork_leaves_an_orphan_at_its_work(session: str, orphan: Process) -> None:
    began = time.monotonic()
    assert ask(session_id=session, fork=True, timeout=60)["session_id"] != session
    assert time.monotonic() - began < 30
    assert orphan.exit_code() is None


def test_waiting_for_an_orphan_can_be_stopped(session: str, orphan: Process) -> None:
    with pytest.raises(InterruptedTurnError, match="nothing was sent"):
        run_turn(PROVIDER, new_request("hello", session_id=session, timeout=60), stop=lambda: True)


@pytest.mark.parametrize("timeout", [2, 6])
def test_time_that_runs_out_while_waiting_sends_nothing(
    fake_claude: FakeClaude, directory: str, session: str, timeout: float
) -> None:
    holder = hold(directory, session)
    calls = len(fake_claude.calls())
    try:
        began = time.monotonic()
        with pytest.raises(SessionBusyError):
            ask(session_id=session, timeout=timeout)
        assert time.monotonic() - began < timeout
        assert len(fake_claude.calls()) == calls
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("fork", [False, True], ids=["go on", "fork"])
def test_on_busy_fork_leaves_the_session_alone(
    fake_claude: FakeClaude, directory: str, session: str, fork: bool
) -> None:
    holder = hold(directory, session)
    try:
        response = ask(session_id=session, on_busy="fork", fork=fork)
    finally:
        holder.kill()
        holder.communicate()
    call = fake_claude.calls()[-1]
    assert response["session_id"] == call.flag("--session-id") != session
    assert call.flag("--resume") == session
    assert call.flag("--resume-session-at") == card_of(directory, session).point


def test_a_session_is_found_under_what_the_agent_calls_it_now(
    fake_claude: FakeClaude, directory: str, session: str
) -> None:
    lease = Lease.take(directory, session, wait=0)
    renamed = "aaaaaaaa-0000-4000-8000-000000000000"
    lease.write_alias(dataclasses.replace(card_of(directory, session), native_id=renamed))
    lease.write_card(dataclasses.replace(card_of(directory, session), native_id=renamed))
    lease.release()
    assert ask(session_id=renamed)["session_id"] == session
    assert fake_claude.calls()[-1].flag("--resume") == renamed


REPORTED = ANSWERED.replace('"num_turns"', '"origin":{"kind":"task-notification"},"num_turns"').replace(
    "2", "1"
)
ECHOED = '{"type":"user","uuid":"the-turn","isReplay":true,"session_id":"ID"}\n'
ONLY_BEGUN = ANSWERED.splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    ("printed", "finished", "failed", "point"),
    [
        pytest.param(REPORTED + ECHOED + ANSWERED, 2, 0, "point-2", id="answered"),
        pytest.param(REPORTED + ECHOED + ONLY_BEGUN, 1, 1, None, id="in the middle"),
    ],
)
def test_what_a_kept_agent_left_is_told_by_its_own_mark(
    directory: str,
    session: str,
    orphan: Process,
    tmp_path: Path,
    printed: str,
    finished: int,
    failed: int,
    point: str | None,
) -> None:
    """A killed caller leaves the turn's directory, the agent's own beside it, and what the agent has started."""
    (tmp_path / MARK).mkdir()  # it is named by the mark
    before = card_of(directory, session)
    write_card(directory, dataclasses.replace(before, turn_id="the-turn", marker=MARK))
    Path(before.directory or "", "output.jsonl").write_text(printed.replace("ID", session))
    tool = subprocess.Popen(
        [sys.executable, "-S", "-c", SLEEP], env={**os.environ, TURN_MARKER: MARK}, start_new_session=True
    )
    ends = [threading.Thread(target=orphan.wait, args=(60,)), threading.Thread(target=tool.wait)]
    for each in ends:
        each.start()
    orphan.close_input()
    with settled_session(PROVIDER, real_agent(), session, Deadline.after(20), never) as settled:
        assert settled is not None
        assert (settled.finished, settled.failed, settled.marker) == (finished, failed, None)
        assert settled.point == (point or before.point)
    for each in ends:
        each.join(20)
    assert tool.returncode is not None
    assert not (tmp_path / "turn").exists()
    assert not (tmp_path / MARK).exists()


def real_agent() -> Agent:
    return PROVIDER.locate(new_request("-"), Deadline.after(20))


def write_card(directory: str, card: Card) -> None:
    lease = Lease.take(directory, card.first_id, wait=0)
    lease.write_card(card)
    lease.release()


@pytest.mark.parametrize(
    ("marker", "directory", "expected"),
    [
        pytest.param("mark", "/state/turns/turn", "/state/turns/mark", id="kept"),
        pytest.param(None, "/state/turns/turn", None, id="not kept"),
        pytest.param("mark", None, None, id="no directory"),
    ],
)
def test_where_the_files_of_a_kept_agent_stand(
    marker: str | None, directory: str | None, expected: str | None
) -> None:
    card = Card(first_id="a", native_id="b", marker=marker, directory=directory)
    assert kept_directory(card) == expected


# --- without a program

ONE, TWO = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PlayedProvider, Agent, str]:
    """Return a provider whose sessions are known by cards alone, its agent, and where the cards are."""
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir("/")
    agent = new_agent(tmp_path / "config")
    return PlayedProvider(), agent, lease_directory(agent.config_dir)


Played = tuple[PlayedProvider, Agent, str]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, None, id="a new one"),
        pytest.param({"session_id": ONE}, ONE, id="by its id"),
        pytest.param({"session_id": TWO}, ONE, id="by a later id"),
        pytest.param({"session": "nightly"}, named_session_id("claude", "nightly"), id="by name"),
        pytest.param({"session_id": ONE, "fork": True}, ONE, id="to fork from"),
    ],
)
def test_which_session_a_request_means(
    played: Played, options: dict[str, object], expected: str | None
) -> None:
    _, _, directory = played
    lease = Lease.take(directory, ONE, wait=0)
    lease.write_alias(Card(first_id=ONE, native_id=TWO))
    lease.release()
    assert wanted_session(new_request("-", **options), directory) == expected


KNOWN = Card(first_id=ONE, native_id=ONE, cwd="/own", finished=1, point="p1", fingerprint="100")

AHEAD: dict[str, tuple[dict[str, object], Card | None, dict[str, object] | None]] = {
    "a new session": ({}, None, {"first_id": TWO, "begin": TWO, "cwd": "/"}),
    "a new session elsewhere": ({"cwd": "/tmp"}, None, {"first_id": TWO, "begin": TWO, "cwd": "/tmp"}),
    "by id, by hand so far": ({"session_id": ONE}, None, {"first_id": ONE, "resume": ONE, "cwd": "/"}),
    "by id": ({"session_id": ONE}, KNOWN, {"first_id": ONE, "resume": ONE, "cwd": "/own"}),
    "failed": (
        {"session_id": ONE, "after_failure": "drop"},
        dataclasses.replace(KNOWN, failed=1),
        {"first_id": ONE, "resume": ONE, "resume_at": "p1", "cwd": "/own"},
    ),
    "failed, and then by hand": (
        {"session_id": ONE, "after_failure": "drop"},
        dataclasses.replace(KNOWN, failed=1, fingerprint="50"),
        {"first_id": ONE, "resume": ONE, "cwd": "/own"},
    ),
    "begun by a turn that failed": (
        {},
        dataclasses.replace(KNOWN, first_id=TWO, native_id=TWO, finished=0, failed=1, point=None),
        {"first_id": TWO, "resume": TWO, "cwd": "/own"},
    ),
    "a fork": ({"session_id": ONE, "fork": True}, KNOWN, None),
    "somebody is at work": ({"session_id": ONE}, dataclasses.replace(KNOWN, agent={"pid": 1}), None),
}


@pytest.mark.parametrize(("options", "card", "expected"), AHEAD.values(), ids=AHEAD)
def test_how_the_next_turn_will_get_in(
    played: Played, options: dict[str, object], card: Card | None, expected: dict[str, object] | None
) -> None:
    provider, agent, directory = played
    if card is not None:
        write_card(directory, card)
    found = entry_ahead(provider, new_request("-", **options), agent, new_id=TWO)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        entry, seen = found
        assert dataclasses.replace(entry, notices=()) == Entry(**expected)  # type: ignore[arg-type]  # by name
        assert seen == card


def test_a_session_that_cannot_be_entered_is_not_entered_ahead(played: Played) -> None:
    provider, agent, directory = played
    provider.size = None  # nothing of this fork was kept, and where it was forked is not known
    write_card(directory, Card(first_id=ONE, native_id=ONE, cwd="/", origin="parent"))
    assert entry_ahead(provider, new_request("-", session_id=ONE), agent, new_id=TWO) is None


def test_what_is_guessed_is_what_the_turn_finds(played: Played) -> None:
    provider, agent, directory = played
    for options, card, expected in AHEAD.values():
        if expected is None or expected["first_id"] == TWO:
            continue
        write_card(directory, card) if card is not None else None
        request = new_request("-", **options)
        guess = entry_ahead(provider, request, agent, new_id=TWO)
        assert guess is not None
        with entered(provider, request, agent, Deadline.after(20), never) as held:
            assert (dataclasses.replace(held.entry, moved=False), held.found) == guess
        Path(directory, f"{ONE}.json").unlink(missing_ok=True)


# --- a given id


def test_a_new_session_is_called_what_it_is_told_and_its_id_is_locked(played: Played) -> None:
    provider, agent, directory = played
    provider.size = None  # there is no such native session yet
    with entered(provider, new_request("-"), agent, Deadline.after(20), never, TWO) as held:
        assert held.entry == Entry(first_id=TWO, begin=TWO, cwd="/")
        with pytest.raises(SessionBusyError):
            Lease.take(directory, TWO, wait=0)
    with entered(provider, new_request("-"), agent, Deadline.after(20), never) as held:
        assert held.entry.first_id not in (None, TWO)


def test_a_given_id_that_a_failed_turn_has_begun_is_gone_on_with(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, dataclasses.replace(KNOWN, first_id=TWO, native_id=TWO, finished=0, failed=1))
    with entered(provider, new_request("-"), agent, Deadline.after(20), never, TWO) as held:
        assert (held.entry.first_id, held.entry.begin, held.entry.resume) == (TWO, None, TWO)


def test_a_second_turn_with_a_given_id_waits_for_the_first(played: Played) -> None:
    provider, agent, directory = played
    holder = hold(directory, TWO)
    try:
        with (
            pytest.raises(SessionBusyError),
            entered(provider, new_request("-", timeout=5.2), agent, Deadline.after(5.2), never, TWO),
        ):
            """It would begin the session once more."""
        threading.Timer(0.1, holder.kill).start()
        with entered(provider, new_request("-"), agent, Deadline.after(60), never, TWO) as held:
            assert (held.entry.first_id, held.entry.resume) == (TWO, TWO)  # which the first one has begun
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("fork", [True, False], ids=["asked for", "since it is busy"])
def test_a_fork_is_called_what_it_is_told_where_it_was_asked_for(played: Played, fork: bool) -> None:
    provider, agent, directory = played
    write_card(directory, KNOWN)
    holder = None if fork else hold(directory, ONE)
    request = new_request("-", session_id=ONE, fork=fork, on_busy="fork")
    try:
        with entered(provider, request, agent, Deadline.after(20), never, TWO) as held:
            assert held.entry.fork
            assert (held.entry.first_id == TWO) is fork
    finally:
        if holder is not None:
            holder.kill()
            holder.communicate()


# --- a fork ahead


def test_a_fork_stands_in_a_card_before_it_has_a_turn(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, dataclasses.replace(KNOWN, native_id="native"))
    request = new_request("-", session_id=ONE, fork=True)
    assert fork_ahead(provider, request, agent, Deadline.after(20), new_id=TWO) == "p1"
    assert read_card(directory, TWO) == Card(
        first_id=TWO,
        native_id=TWO,
        cwd="/own",
        config_dir=str(agent.config_dir),
        program="claude",
        version="1",
        origin="native",
        origin_point="p1",
    )
    assert card_of(directory, ONE) == dataclasses.replace(KNOWN, native_id="native")
    provider.size = None  # as it is of a session that is not there yet
    going_on = new_request("-", session_id=TWO)
    with entered(provider, going_on, agent, Deadline.after(20), never) as held:
        entry = held.entry
    assert (entry.first_id, entry.begin, entry.resume, entry.fork, entry.resume_at) == (
        TWO,
        TWO,
        "native",
        True,
        "p1",
    )


def test_where_somebody_went_on_by_hand_a_fork_must_begin_with_its_first_turn(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, dataclasses.replace(KNOWN, fingerprint="50"))
    request = new_request("-", session_id=ONE, fork=True)
    assert fork_ahead(provider, request, agent, Deadline.after(20), new_id=TWO) is None
    assert read_card(directory, TWO) is None


def test_a_session_without_a_finished_turn_cannot_be_forked_ahead(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, Card(first_id=ONE, native_id=ONE, cwd="/", failed=1, fingerprint="100"))
    request = new_request("-", session_id=ONE, fork=True)
    with pytest.raises(SessionError, match="nothing to fork"):
        fork_ahead(provider, request, agent, Deadline.after(20), new_id=TWO)


def test_a_fork_whose_card_cannot_be_written_is_one_clear_error(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, KNOWN)
    Path(directory, f"{TWO}.json").mkdir()
    request = new_request("-", session_id=ONE, fork=True)
    with pytest.raises(SessionError, match="fork's card cannot be written") as caught:
        fork_ahead(provider, request, agent, Deadline.after(20), new_id=TWO)
    assert caught.value.session_id == ONE


# --- an agent that leaves


@pytest.mark.parametrize(
    ("card", "written"),
    [
        pytest.param(KNOWN, "142", id="ours"),
        pytest.param(dataclasses.replace(KNOWN, fingerprint="50"), "50", id="somebody went on by hand"),
        pytest.param(dataclasses.replace(KNOWN, agent={"pid": 1}), "100", id="somebody is at work"),
        pytest.param(None, None, id="no card"),
    ],
)
def test_what_an_agent_writes_on_its_way_out(played: Played, card: Card | None, written: str | None) -> None:
    provider, agent, directory = played
    if card is not None:
        write_card(directory, card)
    with leaving(provider, agent, ONE):
        provider.size = 142
        with pytest.raises(SessionBusyError):
            Lease.take(directory, ONE, wait=0)  # nobody begins a turn meanwhile
    after = read_card(directory, ONE)
    assert (after.fingerprint if after else None) == written
    Lease.take(directory, ONE, wait=0).release()


def test_an_agent_leaves_also_where_the_lease_is_anothers(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, KNOWN)
    holder = hold(directory, ONE)
    try:
        with leaving(provider, agent, ONE):
            provider.size = 142
        assert card_of(directory, ONE) == KNOWN
    finally:
        holder.kill()
        holder.communicate()


def test_the_lease_is_given_back_also_where_the_agent_does_not_leave(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, KNOWN)
    with pytest.raises(KeyboardInterrupt), leaving(provider, agent, ONE):
        raise KeyboardInterrupt
    Lease.take(directory, ONE, wait=0).release()


def test_a_card_that_cannot_be_written_then_hurts_nobody(played: Played) -> None:
    provider, agent, directory = played
    write_card(directory, KNOWN)
    with leaving(provider, agent, ONE):
        provider.size = 142
        Path(directory, f"{ONE}.json").unlink()
        Path(directory, f"{ONE}.json").mkdir()
    Lease.take(directory, ONE, wait=0).release()


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 5), (6, 5), (15, 5), (60, 20), (300, 100)], ids=str)
def test_what_is_left_for_the_turn_itself(timeout: float | None, seconds: float) -> None:
    assert reserve(new_request("-", timeout=timeout)) == seconds


def test_the_fake_serves_plain_turns_by_default() -> None:
    assert Script().session == "asked"
