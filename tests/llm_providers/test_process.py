"""Processes: fed, read, ended with all that they started, and nothing else touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mcp_coder.llm_providers import process as module
from mcp_coder.llm_providers.base import TURN_MARKER
from mcp_coder.llm_providers.process import Process, end_identified, is_alive, run_briefly, stop_all

Start = Callable[..., Process]

READY = "print('ready', flush=True);"
STUBBORN = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)];"
SLEEP = "import time; time.sleep(300)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(code: str, marker: str = "") -> Process:
        number = len(started)
        env = {**os.environ, TURN_MARKER: marker or f"{tmp_path}-{number}"}
        process = Process.start(
            [sys.executable, "-S", "-c", code],
            env=env,
            cwd=str(tmp_path),
            output=str(tmp_path / f"out-{number}"),
            errors=str(tmp_path / f"err-{number}"),
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.end(over=True, grace=0)
        process.close()


def read_until(process: Process, count: int, seconds: float = 20) -> list[bytes]:
    lines: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(lines) < count and time.monotonic() < deadline:
        process.wait(1)
        lines += process.read_lines()
    return lines


def started_by(process: Process) -> psutil.Process:
    """Return the process whose id was printed."""
    return psutil.Process(int(read_until(process, 1)[0]))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_lines_go_in_and_come_out(start: Start) -> None:
    process = start("import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)")
    process.write(b"abc\n")
    assert read_until(process, 1) == [b"cba"]
    process.write(b"xyz\n")
    assert read_until(process, 1) == [b"zyx"]
    assert process.end(over=True, grace=5) == 0


def test_lines_are_split_at_line_feeds_only(start: Start) -> None:
    process = start(
        "import sys; sys.stdout.buffer.write('a\\x0bb\\x85c\\u2028d\\r\\nlast'.encode()); sys.stdout.flush()"
    )
    assert read_until(process, 1) == ["a\x0bb\x85c\u2028d\r".encode()]
    process.end(over=True, grace=5)
    assert process.read_lines() == []
    assert process.rest() == b"last"


def test_more_than_a_pipe_holds_is_fed_while_waiting(start: Start) -> None:
    process = start(
        "import sys; time = __import__('time'); time.sleep(0.2); print(len(sys.stdin.readline()))"
    )
    process.write(b"x" * 5_000_000 + b"\n")
    assert read_until(process, 1) == [b"5000001"]


def test_input_closes_only_after_all_of_it_went_through(start: Start) -> None:
    process = start("import sys, time; time.sleep(0.2); print(len(sys.stdin.read()))")
    process.write(b"x" * 3_000_000)
    process.close_input()
    assert read_until(process, 1) == [b"3000000"]


def test_a_program_that_closed_its_stdin_does_not_hurt(start: Start) -> None:
    process = start("import os; os.close(0); print('ready', flush=True); import time; time.sleep(300)")
    read_until(process, 1)
    process.write(b"x" * 200_000)
    assert process.wait(0.05) is False


def test_wait_returns_at_once_when_something_is_printed(start: Start) -> None:
    process = start("import time; print('one', flush=True); time.sleep(300)")
    began = time.monotonic()
    assert process.wait(30) is True
    assert time.monotonic() - began < 20
    process.read_lines()
    assert process.wait(0.05) is False


def test_wait_returns_when_it_ends(start: Start) -> None:
    process = start("pass")
    assert process.wait(30) is True
    assert process.exit_code() == 0 or process.wait(30)


def test_a_program_that_is_not_there_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Process.start(
            [str(tmp_path / "nothing")],
            env={},
            cwd=str(tmp_path),
            output=str(tmp_path / "o"),
            errors=str(tmp_path / "e"),
        )
    assert list(tmp_path.iterdir()) == []


def test_files_are_private_whatever_the_umask(start: Start, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        start("pass")
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("code", "over", "expected"),
    [
        pytest.param("import sys; sys.stdin.read()", True, 0, id="closing its stdin is enough"),
        pytest.param(SLEEP, False, -signal.SIGINT, id="SIGINT"),
        pytest.param(
            "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);" + SLEEP,
            False,
            -signal.SIGTERM,
            id="SIGTERM",
        ),
        pytest.param(STUBBORN + SLEEP, False, -signal.SIGKILL, id="SIGKILL"),
        pytest.param(SLEEP, True, -signal.SIGTERM, id="over: no interrupt"),
    ],
)
def test_the_stop_ladder(start: Start, code: str, over: bool, expected: int) -> None:
    process = start("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL);" + READY + code)
    read_until(process, 1)
    began = time.monotonic()
    assert process.end(over=over, grace=0.3) == expected
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("over", [True, False], ids=["over", "stopped"])
@pytest.mark.parametrize(
    "child",
    [
        pytest.param("subprocess.Popen(argv)", id="plain"),
        pytest.param("subprocess.Popen(argv, start_new_session=True)", id="own session"),
        pytest.param(
            "subprocess.Popen([sys.executable, '-S', '-c', "
            "'import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True)', *argv])",
            id="orphan of an intermediate process",
        ),
    ],
)
def test_nothing_that_it_started_is_left(start: Start, child: str, over: bool) -> None:
    argv = "[sys.executable, '-S', '-c', 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)']"
    show = "" if "orphan" in child or "sys.argv" in child else "print(p.pid, flush=True);"
    process = start(f"import subprocess, sys; argv = {argv}; p = {child}; {show} sys.stdin.read()")
    left = started_by(process)
    process.end(over=over, grace=0.5)
    assert is_gone(left)


def test_no_other_process_is_touched(start: Start, tmp_path: Path) -> None:
    mine = subprocess.Popen([sys.executable, "-S", "-c", SLEEP])
    try:
        other = start(SLEEP, marker="other-turn")
        process = start(SLEEP)
        process.end(over=False, grace=0)
        assert mine.poll() is None
        assert other.exit_code() is None
    finally:
        mine.kill()
        mine.wait()


def test_stderr_is_kept_and_its_middle_left_out_when_long(start: Start) -> None:
    process = start("import sys; sys.stderr.write('head' + 'x' * 500 + 'tail')")
    process.wait(20)
    process.end(over=True, grace=5)
    assert process.stderr() == "head" + "x" * 500 + "tail"
    short = process.stderr(limit=20)
    assert short.startswith("headxxxxxx\n[...]\n")
    assert short.endswith("xtail")


def test_identity_tells_a_process_from_the_next_of_its_id(start: Start) -> None:
    process = start(SLEEP)
    identity = process.identity()
    assert is_alive(identity)
    started = identity["started"]
    assert isinstance(started, float)
    assert not is_alive({**identity, "started": started - 100})
    assert not is_alive({**identity, "boot": "another"})
    assert not is_alive({})
    process.end(over=False, grace=0)
    assert not is_alive(identity)


def test_an_orphan_is_ended_with_its_children(start: Start) -> None:
    process = start(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)']);"
        "print(p.pid, flush=True); sys.stdin.read()",
        marker="orphan-turn",
    )
    child = started_by(process)
    end_identified(process.identity(), "orphan-turn")
    assert is_gone(child)
    assert process.wait(5)
    end_identified(process.identity(), "orphan-turn")  # gone already: nothing happens


def test_stop_all_ends_what_runs_and_tells_running_turns(start: Start) -> None:
    before = module.stops()
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
    assert module.stops() == before + 1
    assert process.exit_code() is not None


def test_stop_all_ends_what_nobody_watches_any_more(start: Start) -> None:
    process = start(SLEEP)
    stop_all()
    assert process.exit_code() is not None


def test_ctrl_c_is_seen_from_a_worker_while_the_main_thread_handles_it(tmp_path: Path) -> None:
    code = (
        "import signal, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from mcp_coder.llm_providers.process import ctrl_c_under_way\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def work():\n"
        "    print('before', ctrl_c_under_way(), flush=True)\n"
        "    while not ctrl_c_under_way(): time.sleep(0.01)\n"
        "    print('seen', flush=True)\n"
        "assert not ctrl_c_under_way()\n"
        "{body}"
    )
    bodies = {
        "with": "with ThreadPoolExecutor() as pool: pool.submit(work); time.sleep(60)\n",
        "exit": "pool = ThreadPoolExecutor(); pool.submit(work); time.sleep(60)\n",
    }
    for name, body in bodies.items():
        with subprocess.Popen(
            [sys.executable, "-c", code.replace("{body}", body)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"before False\n", name
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == b"seen\n", name
            child.wait(20)


def test_agents_of_daemon_threads_are_ended_at_interpreter_exit(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading\n"
        "from mcp_coder.llm_providers.process import Process\n"
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
        "from mcp_coder.llm_providers.process import Process, stop_all\n"
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_a_forked_child_does_not_end_its_parents_agents(start: Start) -> None:
    process = start(SLEEP)
    child = os.fork()
    if child == 0:  # pragma: no cover  # runs in the fork
        stop_all()
        os._exit(0)
    os.waitpid(child, 0)
    assert process.exit_code() is None


def test_run_briefly_gives_what_was_printed() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run_briefly([sys.executable, "-S", "-c", code], timeout=20) == (3, "out\n", "err\n")


def test_run_briefly_is_bounded() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_briefly([sys.executable, "-S", "-c", SLEEP], timeout=0.3)
