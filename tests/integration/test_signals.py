"""Told to stop, a command ends its agents with all that they started, and exits as documented (s37)."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.testing import FakeClaude, Reply, StandIn
from mcp_coder.testing.fake_claude import FakeCall
from mcp_coder.testing.program_script import Hang, WaitForPrompt

MCP_CODER = (sys.executable, "-m", "mcp_coder")
_LONGEST = 30.0

STOPS = {
    "SIGTERM": (signal.SIGTERM, 143, "mcp-coder: stopped by SIGTERM"),
    "SIGHUP": (signal.SIGHUP, 129, "mcp-coder: stopped by SIGHUP"),
    "Ctrl-C": (signal.SIGINT, 130, "mcp-coder: stopped by Ctrl-C"),
}


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)


@contextmanager
def started(*argv: str, **settings: Any) -> Iterator["subprocess.Popen[str]"]:
    """Start a program that is over when the block is left."""
    settings = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **settings}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **settings) as process:
        try:
            yield process
        finally:
            for each in family_of(process):
                each.kill()
            process.kill()


def family_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return all that a process has started and that still runs."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _LONGEST
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def end_of(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=_LONGEST)
    return process.returncode, output or "", errors or ""


def assert_gone(family: list[psutil.Process]) -> None:
    assert family, "nothing had been started"
    assert [each for each in family if each.is_running()] == []


def hang(model: StandIn) -> None:
    model.server.add_rule(Reply.hang(after="so far"), prompt="hang")


@pytest.mark.parametrize("method", ["cli", "api"])
@pytest.mark.parametrize("stop", STOPS)
def test_s37_a_signal_ends_the_agents_of_a_prompt(stop: str, method: str, claude_standin: StandIn) -> None:
    number, code, told = STOPS[stop]
    hang(claude_standin)
    with started(*MCP_CODER, "prompt", "hang", "--method", method) as process:
        request = claude_standin.server.wait_for("hang", _LONGEST)
        family = family_of(process)
        process.send_signal(number)
        exit_code, output, errors = end_of(process)
    assert (exit_code, output) == (code, "")
    line = errors.splitlines()[-1]
    assert line.startswith(told)
    assert f"--session-id {request.session_id}" in line
    assert "Traceback" not in errors
    assert_gone(family)


def test_s37_the_session_that_the_last_line_names_goes_on(claude_standin: StandIn) -> None:
    first = subprocess.run(
        [*MCP_CODER, "prompt", "My favorite color is blue", "--output-format=session-id"],
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=True,
    )
    session = first.stdout.strip()
    hang(claude_standin)
    with started(*MCP_CODER, "prompt", "hang", "--session-id", session) as process:
        claude_standin.server.wait_for("hang", _LONGEST)
        process.send_signal(signal.SIGINT)
        exit_code, _, errors = end_of(process)
    assert exit_code == 130
    assert f"mcp-coder prompt --session-id {session} ..." in errors
    again = subprocess.run(
        [*MCP_CODER, "prompt", "-r", session, "What is my favorite color?"],
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=True,
    )
    assert again.stdout == "Your favorite color is blue\n"


def test_s37_a_tool_that_runs_is_ended_too(claude_standin: StandIn, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    command = f"echo $$ > '{pid_file}'; sleep 300"
    claude_standin.server.add_rule(Reply.tool_use("Bash", command=command), prompt="run it")
    with started(*MCP_CODER, "prompt", "run it", "--allowed-tool=Bash") as process:
        wait_until(lambda: pid_file.exists() and pid_file.read_text().strip() != "")
        tool = psutil.Process(int(pid_file.read_text()))
        family = [tool, *tool.children(), *family_of(process)]
        process.send_signal(signal.SIGTERM)
        exit_code, _, _ = end_of(process)
    assert exit_code == 143
    assert_gone(family)


def test_s37_with_json_it_is_an_object(claude_standin: StandIn) -> None:
    hang(claude_standin)
    with started(*MCP_CODER, "prompt", "hang", "--output-format=json") as process:
        request = claude_standin.server.wait_for("hang", _LONGEST)
        process.send_signal(signal.SIGTERM)
        exit_code, output, _ = end_of(process)
    error = json.loads(output)["error"]
    assert exit_code == 143
    assert (error["class"], error["session_id"]) == ("InterruptedTurnError", request.session_id)


def got_signals(calls: list[FakeCall], *, count: int) -> bool:
    return len(calls[0].signals) >= count


@pytest.mark.parametrize("more", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_s37_more_signals_do_not_leave_a_stubborn_agent_behind(
    more: signal.Signals, fake_claude: FakeClaude
) -> None:
    fake_claude.script(WaitForPrompt(), Hang(), ignores=("SIGINT", "SIGTERM"))
    with started(*MCP_CODER, "prompt", "Hello") as process:
        fake_claude.wait_for(lambda calls: bool(calls and calls[0].lines), _LONGEST)
        family = family_of(process)
        process.send_signal(signal.SIGINT)
        for count in (1, 2):  # each rung of the stop ladder is disturbed once
            fake_claude.wait_for(partial(got_signals, count=count), _LONGEST)
            process.send_signal(more)
        exit_code, _, errors = end_of(process)
    assert exit_code == 130
    assert len(errors.splitlines()) == 1
    assert_gone(family)


def test_s37_a_terminal_that_is_closed_ends_it(claude_standin: StandIn) -> None:
    hang(claude_standin)
    master, slave = pty.openpty()
    takes_terminal = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    argv = (sys.executable, "-c", takes_terminal, *MCP_CODER[1:], "prompt", "hang")
    with started(*argv, stdin=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        claude_standin.server.wait_for("hang", _LONGEST)
        family = family_of(process)
        os.close(master)
        exit_code, output, _ = end_of(process)
    assert (exit_code, output) == (129, "")
    assert_gone(family)


def test_s37_under_nohup_a_hangup_changes_nothing(claude_standin: StandIn, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = f"until test -e '{gate}'; do sleep 0.05; done; echo through"
    claude_standin.server.add_rule(Reply.tool_use("Bash", command=wait), prompt="run it")
    with started("nohup", *MCP_CODER, "prompt", "run it", "--allowed-tool=Bash") as process:
        claude_standin.server.wait_for("run it", _LONGEST)
        process.send_signal(signal.SIGHUP)
        gate.touch()
        exit_code, output, _ = end_of(process)
    assert exit_code == 0
    assert output.startswith("The tool said: through")


_EIGHT_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from mcp_coder import prompt_llm

with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda number: prompt_llm(f"hang {number}", timeout=120), range(8)))
"""


def test_s37_ctrl_c_with_eight_worker_threads_ends_eight_agents(claude_standin: StandIn) -> None:
    hang(claude_standin)
    with started(sys.executable, "-c", _EIGHT_THREADS) as process:
        wait_until(lambda: len(claude_standin.server.turns()) == 8)
        family = family_of(process)
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        exit_code, _, errors = end_of(process)
        took = time.monotonic() - before
    assert len(family) >= 8
    assert exit_code in (1, 130, -signal.SIGINT)
    assert "KeyboardInterrupt" in errors
    assert took < 15
    assert_gone(family)
