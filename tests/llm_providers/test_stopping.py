"""Stopping turns from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from tests.llm_providers.conftest import SLEEP, Start, read_until

from mcp_coder.llm_providers.stopping import stop_all, stops


def test_stop_all_ends_what_runs_and_tells_running_turns(start: Start) -> None:
    before = stops()
    process = start(SLEEP)
    waiting = threading.Event()
    seen: list[bool] = []

    def turn() -> None:
        waiting.set()
        while not process.interrupted:
            process.wait(30)
        seen.append(True)
        process.end(over=False, grace=0)

    thread = threading.Thread(target=turn)
    thread.start()
    waiting.wait(10)
    stop_all()
    thread.join(10)
    assert seen == [True]
    assert stops() == before + 1
    assert process.exit_code() is not None


WAITS = (
    "import signal, sys\n"
    "def leave(number, _): print(number, flush=True); sys.exit(9)\n"
    "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, leave)\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
    "print('let go', flush=True)\n"
)


def test_agents_in_no_turn_exit_by_themselves_side_by_side(start: Start) -> None:
    code = WAITS + "import time; time.sleep(0.8)"
    resting = [start(code) for _ in range(4)]
    for process in resting:
        read_until(process, 1)
        process.resting = True
    began = time.monotonic()
    stop_all()
    assert [process.exit_code() for process in resting] == [0] * 4
    assert [process.read_lines() for process in resting] == [[b"let go"]] * 4
    assert time.monotonic() - began < 2.8  # one after another they take 3.2


def test_an_agent_that_does_not_go_by_itself_is_ended(start: Start) -> None:
    process = start("import time; print('ready', flush=True); time.sleep(300)")
    read_until(process, 1)
    process.resting = True
    began = time.monotonic()
    stop_all()
    assert process.exit_code() == -signal.SIGTERM
    assert time.monotonic() - began < 6


def test_stop_all_ends_what_nobody_watches_any_more(start: Start) -> None:
    process = start("import signal; signal.signal(2, signal.SIG_DFL); print('ready', flush=True);" + SLEEP)
    read_until(process, 1)
    stop_all()
    assert process.exit_code() == -signal.SIGINT  # so that it can say what it has cost


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("with ThreadPoolExecutor() as pool: pool.submit(work); wait()", id="with"),
        pytest.param("pool = ThreadPoolExecutor(); pool.submit(work); wait()", id="interpreter exit"),
    ],
)
def test_ctrl_c_is_seen_from_a_worker_while_the_main_thread_handles_it(body: str) -> None:
    code = (
        "import os, signal, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from mcp_coder.llm_providers.stopping import ctrl_c_under_way\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def say(text): os.write(1, text.encode() + b'\\n')\n"  # in one piece: two threads speak
        # Both say that they are there: an interrupt while a thread is being started is Python's own affair.
        "def wait(): say('main waits'); time.sleep(60)\n"
        "def work():\n"
        "    say(f'before {ctrl_c_under_way()}')\n"
        "    while not ctrl_c_under_way(): time.sleep(0.01)\n"
        "    say('seen')\n"
        "assert not ctrl_c_under_way()\n"
        f"{body}\n"
    )
    argv = [sys.executable, "-c", code]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert child.stdout is not None
        assert {child.stdout.readline(), child.stdout.readline()} == {b"before False\n", b"main waits\n"}
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == b"seen\n"
        child.wait(20)
    finally:
        child.kill()
        child.communicate()


def test_agents_of_daemon_threads_are_ended_at_interpreter_exit(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading\n"
        "from mcp_coder.llm_providers.process import Process\n"
        "import mcp_coder.llm_providers.stopping\n"
        f"p = Process.start([sys.executable, '-S', '-c', {SLEEP!r}], env=dict(os.environ), cwd='/',"
        f" output={str(tmp_path / 'o')!r}, errors={str(tmp_path / 'e')!r})\n"
        "threading.Thread(target=p.wait, args=(300,), daemon=True).start()\n"
        "print(p.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert not psutil.pid_exists(int(done.stdout))


def test_stop_all_may_be_called_from_a_signal_handler_in_mid_turn(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from mcp_coder.llm_providers.process import Process\n"
        "from mcp_coder.llm_providers.stopping import stop_all\n"
        "signal.signal(signal.SIGTERM, lambda *_: (stop_all(), sys.exit(143)))\n"
        f"p = Process.start([sys.executable, '-S', '-c', {SLEEP!r}], env=dict(os.environ), cwd='/',"
        f" output={str(tmp_path / 'o')!r}, errors={str(tmp_path / 'e')!r})\n"
        "print(p.pid, flush=True)\n"
        "while True: p.wait(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        agent = int(child.stdout.readline())
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 143
    assert not psutil.pid_exists(agent)
