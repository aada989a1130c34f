"""Entering a session: named ones, orphans, and time that runs out while waiting."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mcp_coder.llm_errors import InterruptedTurnError, SessionBusyError
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.leases import Lease, lease_directory, read_card
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_providers.sessions import named_session_id
from mcp_coder.llm_requests import new_request
from mcp_coder.llm_types import LLMResponseDict
from mcp_coder.testing import FakeClaude, Script

PROVIDER = ClaudeProvider()
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
        env={**os.environ, "MCP_CODER_TURN": "orphan"},
        cwd="/",
        output=str(tmp_path / "turn" / "output.jsonl"),
        errors=str(tmp_path / "turn" / "stderr.txt"),
    )
    card = read_card(directory, session)
    assert card is not None
    lease = Lease.take(directory, session, wait=0)
    lease.write_card(
        dataclasses.replace(
            card, agent=process.identity(), turn_id="orphan", directory=str(tmp_path / "turn")
        )
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


def test_the_fake_serves_plain_turns_by_default() -> None:
    assert Script().session == "asked"
