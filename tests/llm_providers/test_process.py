"""Processes: fed, read, ended with all that they started, and nothing else touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.llm_providers.conftest import SLEEP, Start, is_gone, read_until, started_by

from mcp_coder.llm_providers.output_files import output_in
from mcp_coder.llm_providers.process import Process, boot_seconds, live_processes, run_briefly

READY = "print('ready', flush=True);"
STUBBORN = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)];"


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
    assert read_until(process, 1) == [b"one"]  # its line feed may be written by itself
    assert process.wait(0.05) is False


def test_wait_returns_when_it_ends(start: Start) -> None:
    process = start("pass")
    assert process.wait(30) is True
    assert process.exit_code() == 0 or process.wait(30)


@pytest.mark.parametrize("end_wait", [Process.wake, Process.interrupt], ids=["woken", "interrupted"])
def test_a_wait_is_ended_from_another_thread(start: Start, end_wait: Callable[[Process], None]) -> None:
    process = start(SLEEP)
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(process.wait, 30)
        end_wait(process)
        assert waiting.result(20) is False
    assert time.monotonic() - began < 20
    assert process.interrupted is (end_wait is Process.interrupt)
    assert process.exit_code() is None


def test_a_wake_that_comes_with_output_hides_none(start: Start) -> None:
    process = start("print('ready', flush=True);" + SLEEP)
    assert read_until(process, 1) == [b"ready"]
    process.wake()
    assert process.wait(0) is False
    process.write(b"x" * 300_000)  # more than the pipe takes: whoever waits is told that there is a rest
    assert process.wait(30) is False


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
    ("before", "code", "over", "expected"),
    [
        pytest.param("", "import sys; sys.stdin.read()", True, 0, id="closing its stdin is enough"),
        pytest.param("", SLEEP, False, -signal.SIGINT, id="SIGINT"),
        pytest.param(
            "signal.signal(signal.SIGINT, signal.SIG_IGN);", SLEEP, False, -signal.SIGTERM, id="SIGTERM"
        ),
        pytest.param(STUBBORN, SLEEP, False, -signal.SIGKILL, id="SIGKILL"),
        pytest.param("", SLEEP, True, -signal.SIGTERM, id="over: no interrupt"),
    ],
)
def test_the_stop_ladder(start: Start, before: str, code: str, over: bool, expected: int) -> None:
    process = start("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL);" + before + READY + code)
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
        other = start(SLEEP, marker=str(uuid.uuid4()))
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


def test_stderr_from_a_turn_on(start: Start) -> None:
    process = start(
        "import sys\n"
        "for line in sys.stdin: sys.stderr.write(line * 3); sys.stderr.flush(); print('written', flush=True)"
    )
    process.write(b"before\n")
    read_until(process, 1)
    before = process.error_bytes()
    assert before == len("before\n" * 3)
    assert process.stderr(since=before) == ""
    process.write(b"behind\n")
    read_until(process, 1)
    assert process.stderr(since=before) == "behind\n" * 3
    assert process.stderr(limit=30, since=before) == "behind\n" * 3  # less than there is, and enough
    assert process.stderr(limit=8, since=before) == "behi\n[...]\nind\n"  # never what was before
    assert process.stderr().startswith("before\n")


def test_nothing_is_on_stderr_where_the_file_is_gone(start: Start, tmp_path: Path) -> None:
    process = start("pass")
    (tmp_path / "err-0").unlink()
    assert (process.error_bytes(), process.stderr()) == (0, "")


ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


def test_output_moves_to_another_name_and_nothing_is_lost(start: Start, tmp_path: Path) -> None:
    process = start(ECHO)
    for number, text in enumerate([b"one", b"two", b"three"]):
        process.write(text + b"\n")
        while not process.wait(1):
            """It has not answered yet."""
        process.move_output(str(tmp_path / f"moved-{number}"))  # also what was not read yet
        assert read_until(process, 1) == [text]
    assert (tmp_path / "moved-2").read_bytes() == b"one\ntwo\nthree\n"
    assert not (tmp_path / "out-0").exists()
    assert not (tmp_path / "moved-1").exists()


def test_output_begins_anew_under_another_name(start: Start, tmp_path: Path) -> None:
    process = start(ECHO)
    for number, text in enumerate([b"a long line of the first turn", b"two", b"three"]):
        process.move_output(str(tmp_path / f"turn-{number}"), empty=True)
        process.write(text + b"\n")
        assert read_until(process, 1) == [text]
        assert output_in(str(tmp_path / f"turn-{number}")) == text + b"\n"


def test_output_that_cannot_be_moved_is_told(start: Start, tmp_path: Path) -> None:
    process = start(SLEEP)
    with pytest.raises(OSError, match="No such file"):
        process.move_output(str(tmp_path / "nowhere" / "output"))
    (tmp_path / "out-0").unlink()
    with pytest.raises(OSError, match="No such file"):
        process.move_output(str(tmp_path / "moved"), empty=True)


def test_tools_of_a_turn_are_ended_and_the_program_and_what_it_had_before_go_on(start: Start) -> None:
    process = start(
        "import subprocess, sys\n"
        "for _ in sys.stdin:\n"
        "    argv = [sys.executable, '-S', '-c', 'import time; time.sleep(300)']\n"
        "    print(subprocess.Popen(argv, start_new_session=True).pid, flush=True)\n"
    )
    process.write(b"\n")
    server = started_by(process)  # an MCP server, say: started with the program
    time.sleep(0.05)  # start times are kept in hundredths of a second
    since = boot_seconds()
    process.write(b"\n")
    tool = started_by(process)
    process.end_tools(since)
    assert is_gone(tool)
    assert not is_gone(server)
    assert process.exit_code() is None
    process.end(over=True, grace=5)
    assert is_gone(server)


def test_an_interrupt_that_was_in_vain_is_not_sent_again(start: Start) -> None:
    process = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('terminated', flush=True), sys.exit(143)))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(300)"
    )
    read_until(process, 1)
    assert process.end(over=False, grace=0, interrupt=False) == 143
    assert process.read_lines() == [b"terminated"]


def test_run_briefly_gives_what_was_printed() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run_briefly([sys.executable, "-S", "-c", code], timeout=20) == (3, "out\n", "err\n")


def test_run_briefly_is_bounded() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_briefly([sys.executable, "-S", "-c", SLEEP], timeout=0.3)


def test_what_runs_is_known_until_it_is_ended(start: Start) -> None:
    process = start(SLEEP)
    assert process in live_processes()
    process.end(over=False, grace=0)
    assert process not in live_processes()
    assert process.ending


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_a_forked_child_knows_nothing_of_its_parents_agents(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom mcp_coder.llm_providers.process import Process, live_processes\n"
        f"p = Process.start([sys.executable, '-S', '-c', {SLEEP!r}], env=dict(os.environ), cwd='/',"
        f" output={str(tmp_path / 'o')!r}, errors={str(tmp_path / 'e')!r})\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(len(live_processes()) + (not p._output.closed))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(live_processes()), p.exit_code())\n"
        "p.end(over=False, grace=0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "0 1 None\n"
