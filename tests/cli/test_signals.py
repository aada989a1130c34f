"""Signals become an exception, once, in the main thread; each in a process of its own."""

import signal
import subprocess
import sys
import threading

import pytest

from mcp_coder.cli.signals import Interrupted, Stopped, stop_signals, stopped_by_signals

_WAITS = """
import signal, sys, threading, time
from mcp_coder.cli.signals import Stopped, stopped_by_signals
try:
    with stopped_by_signals():
        try:
            print("ready", flush=True)
            threading.Event().wait(60)
        finally:
            print("on the way out", flush=True)
            for _ in range({repeats}):
                sys.stdin.readline()
            print("cleaned up", flush=True)
except Stopped as stop:
    print(type(stop).__name__, stop.number, isinstance(stop, KeyboardInterrupt))
"""


def start(*, repeats: int = 0, ignoring: int | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WAITS.format(repeats=repeats)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=None if ignoring is None else lambda: signal.signal(ignoring, signal.SIG_IGN) and None,
    )


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGTERM, "Stopped 15 False"),
        (signal.SIGHUP, "Stopped 1 False"),
        (signal.SIGINT, "Interrupted 2 True"),
    ],
)
def test_a_signal_is_raised_where_the_main_thread_waits(number: int, told: str) -> None:
    with start() as process:
        assert read_line(process) == "ready"
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert output.splitlines() == ["on the way out", "cleaned up", told]


def test_more_signals_do_not_disturb_the_way_out() -> None:
    with start(repeats=3) as process:
        assert read_line(process) == "ready"
        process.send_signal(signal.SIGINT)
        assert read_line(process) == "on the way out"
        assert process.stdin is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
            process.stdin.write("\n")
            process.stdin.flush()
        output, _ = process.communicate(timeout=30)
    assert output.splitlines() == ["cleaned up", "Interrupted 2 True"]


def test_a_signal_that_was_ignored_stays_ignored_as_under_nohup() -> None:
    with start(ignoring=signal.SIGHUP) as process:
        assert read_line(process) == "ready"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert output.splitlines()[-1] == "Stopped 15 False"


def test_handlers_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in stop_signals()]
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in stop_signals()] == before


def test_in_this_process_too() -> None:
    with pytest.raises(Stopped) as caught, stopped_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM
    assert caught.value.session_id is None


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with stopped_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_ctrl_c_is_what_libraries_know_as_ctrl_c() -> None:
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Stopped, Exception)
