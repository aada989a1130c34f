"""Waits end when something happens, by the kernel's word or by looking again; what was given back is not used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.llm_providers.conftest import Start, read_until

from mcp_coder.llm_providers import output_watch, process
from mcp_coder.llm_providers.output_watch import OutputWatch, Polled, watch_output

LONGEST = 20.0

needs_the_kernel = pytest.mark.skipif(sys.platform != "linux", reason="inotify and pidfd are Linux's")


class Watched:
    """A program that waits for the end of its input, its output file, and the watch of both."""

    def __init__(self, path: Path, make: Callable[[str, int], OutputWatch]) -> None:
        self.path = path
        path.touch()
        self.program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.watch = make(str(path), self.program.pid)

    def print(self) -> None:
        """Let something stand in the output."""
        with self.path.open("ab") as file:
            file.write(b"x")

    def exit(self) -> None:
        """Let the program end."""
        assert self.program.stdin is not None
        self.program.stdin.close()

    def close(self) -> None:
        """Give everything back."""
        self.exit()
        self.program.wait()
        self.watch.close()


@pytest.fixture(params=[pytest.param(watch_output, marks=needs_the_kernel), lambda _path, _pid: Polled()])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """Return something to wait for, by either way."""
    made = Watched(tmp_path / "output", request.param)
    yield made
    made.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Watched]:
    """Return something to wait for by the kernel's word."""
    made = Watched(tmp_path / "output", watch_output)
    assert not isinstance(made.watch, Polled)
    yield made
    made.close()


def until(holds: Callable[[], object]) -> Iterator[float]:
    """Yield how long was waited already, until something holds."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < LONGEST, "it did not come to that"
        yield waited


def test_a_write_ends_the_wait(watched: Watched) -> None:
    writing = threading.Timer(0.05, watched.print)
    writing.start()
    for waited in until(lambda: watched.path.stat().st_size):
        watched.watch.wait(LONGEST, waited=waited)
    writing.join()
    assert watched.path.read_bytes() == b"x"


def test_the_exit_ends_the_wait(watched: Watched) -> None:
    leaving = threading.Timer(0.05, watched.exit)
    leaving.start()
    for waited in until(lambda: watched.program.poll() is not None):
        watched.watch.wait_for_exit(LONGEST, waited=waited)
    leaving.join()
    assert watched.program.returncode == 0


def test_a_wait_is_no_longer_than_asked(watched: Watched) -> None:
    began = time.monotonic()
    watched.watch.wait(0.01, waited=100)
    watched.watch.wait(-1, waited=100)
    assert time.monotonic() - began < 5


@needs_the_kernel
def test_what_happened_before_the_wait_is_told(told: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_watch, "_LONGEST_SECONDS", LONGEST)
    for happens in (told.print, told.watch.wake, told.exit):
        happens()
        began = time.monotonic()
        told.watch.wait(LONGEST)
        assert time.monotonic() - began < LONGEST / 2


@needs_the_kernel
def test_a_wake_ends_the_wait_of_another_thread_and_no_later_one(
    told: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_watch, "_LONGEST_SECONDS", LONGEST)
    waiting = threading.Thread(target=told.watch.wait, args=(LONGEST,))
    waiting.start()
    told.watch.wake()
    waiting.join(LONGEST / 2)
    assert not waiting.is_alive()
    began = time.monotonic()
    told.watch.wait(0.05)
    assert time.monotonic() - began >= 0.04


@needs_the_kernel
def test_only_the_exit_counts_where_only_that_is_asked_for(told: Watched) -> None:
    told.print()
    told.watch.wake()
    began = time.monotonic()
    told.watch.wait_for_exit(0.05)
    assert time.monotonic() - began >= 0.04


@needs_the_kernel
def test_output_that_was_left_is_told_no_more(told: Watched) -> None:
    told.watch.leave_output()
    told.watch.wait(0)  # that the watch is gone is told, too
    told.print()
    began = time.monotonic()
    told.watch.wait(0.05)
    assert time.monotonic() - began >= 0.04
    told.watch.leave_output()


@needs_the_kernel
def test_room_in_a_pipe_ends_the_wait(told: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_watch, "_LONGEST_SECONDS", LONGEST)
    reading, writing = os.pipe()
    try:
        began = time.monotonic()
        told.watch.wait(LONGEST, writable=writing)
        assert time.monotonic() - began < LONGEST / 2
    finally:
        os.close(reading)
        os.close(writing)


@needs_the_kernel
def test_a_wake_behind_the_end_is_written_to_nobody(told: Watched, tmp_path: Path) -> None:
    numbers = _open_descriptors()
    told.watch.close()
    freed = numbers - _open_descriptors()
    assert len(freed) == 3
    heirs = [os.open(tmp_path / f"heir-{each}", os.O_RDWR | os.O_CREAT) for each in freed]
    try:
        told.watch.wake()
        told.watch.close()
        assert freed <= set(heirs)
        assert [os.fstat(each).st_size for each in heirs] == [0, 0, 0]
    finally:
        for each in heirs:
            os.close(each)


def _open_descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


@needs_the_kernel
def test_what_nobody_closes_is_given_back_all_the_same(tmp_path: Path) -> None:
    made = Watched(tmp_path / "output", watch_output)
    before = _open_descriptors()
    made.exit()
    made.program.wait()
    del made.watch
    assert len(before - _open_descriptors()) >= 3


@needs_the_kernel
def test_once_closed_no_watch_is_taken_back(told: Watched, tmp_path: Path) -> None:
    other = Watched(tmp_path / "other", watch_output)
    told.watch.close()
    heir = Watched(tmp_path / "heir", watch_output)  # has the numbers of the one that was closed
    told.watch.leave_output()
    heir.print()
    began = time.monotonic()
    heir.watch.wait(0.05)
    assert time.monotonic() - began < 0.04
    for each in (heir, other):
        each.close()


@needs_the_kernel
def test_a_forked_child_gives_its_copies_back_whatever_other_threads_did(told: Watched) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with told.watch._closing:  # type: ignore[attr-defined]
            held.set()
            done.wait(LONGEST)

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait(LONGEST)
    child = os.fork()
    if child == 0:
        before = _open_descriptors()
        told.watch.leave_to_parent()
        os._exit(len(before - _open_descriptors()))
    done.set()
    holding.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    told.print()  # the parent's own is as it was
    began = time.monotonic()
    told.watch.wait(LONGEST)
    assert time.monotonic() - began < LONGEST / 2


@needs_the_kernel
def test_where_the_kernel_cannot_tell_it_is_a_poll_and_nothing_stays_open(tmp_path: Path) -> None:
    before = _open_descriptors()
    assert isinstance(watch_output(str(tmp_path / "not there"), os.getpid()), Polled)
    assert isinstance(watch_output(str(tmp_path), 2**22 + 1), Polled)
    assert _open_descriptors() == before


def test_a_poll_looks_less_often_the_longer_it_waits() -> None:
    began = time.monotonic()
    Polled().wait(LONGEST, waited=0)
    first = time.monotonic() - began
    Polled().wait(LONGEST, waited=0.1)
    assert time.monotonic() - began - first > 0.01
    Polled().wait(LONGEST, waited=3600)
    assert time.monotonic() - began < LONGEST / 2
    Polled().leave_output()
    Polled().leave_to_parent()
    Polled().close()


def test_a_poll_says_whether_it_was_woken() -> None:
    watch = Polled()
    watch.wake()
    assert [watch.wait(0), watch.wait(0)] == [True, False]


def test_a_program_is_driven_as_well_by_a_poll(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "watch_output", lambda _path, _pid: Polled())
    program = start("import sys\nprint(len(sys.stdin.readline()), flush=True)\nprint(sys.stdin.read())")
    program.write(b"x" * 1_000_000 + b"\n")
    assert read_until(program, 1) == [b"1000001"]
    program.write(b"end")
    program.close_input()
    assert read_until(program, 1) == [b"end"]
    assert program.end(over=True, grace=LONGEST) == 0
