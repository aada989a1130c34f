"""Writers take turns: threads and processes, until one dies; and nobody needs the lock to be right."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mcp_coder.llm_store import sqlite_lock
from mcp_coder.llm_store.sqlite_lock import WriteLock

HOLDER = """
import sys, time
from mcp_coder.llm_store.sqlite_lock import WriteLock
with WriteLock(sys.argv[1]).held():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s.lock")


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_lock, "WAIT_SECONDS", 0.1)


def holder(path: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_one_thread_at_a_time(path: str) -> None:
    lock, inside, most = WriteLock(path), [0], [0]

    def work() -> None:
        for _ in range(20):
            with lock.held():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lock.close()
    assert most == [1]


def test_two_locks_of_one_process_exclude_each_other(path: str, short_wait: None) -> None:
    first, second = WriteLock(path), WriteLock(path)
    with first.held():
        began = time.monotonic()
        with second.held():  # goes on in the end
            assert time.monotonic() - began >= 0.1
    first.close()
    second.close()


def test_the_turn_of_one_who_is_killed_is_free(path: str) -> None:
    process = holder(path)
    lock, got = WriteLock(path), threading.Event()

    def wait() -> None:
        with lock.held():
            got.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert not got.wait(0.05)
    end(process)
    assert got.wait(5)
    waiter.join()
    lock.close()


def test_nobody_waits_for_ever(path: str, short_wait: None) -> None:
    process = holder(path)
    lock, entered = WriteLock(path), []
    with lock.held():
        entered.append(1)
    end(process)
    lock.close()
    assert entered == [1]


def test_a_thread_that_does_not_end_keeps_nobody(path: str, short_wait: None) -> None:
    lock, go_on = WriteLock(path), threading.Event()

    def hold() -> None:
        with lock.held():
            go_on.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    with lock.held():
        pass
    go_on.set()
    thread.join()
    lock.close()


@pytest.mark.parametrize("place", ["missing/s.lock", "link"])
def test_where_no_lock_can_be_had_none_is_needed(place: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    lock = WriteLock(str(tmp_path / place))
    with lock.held():
        pass
    lock.close()


def test_an_error_inside_gives_the_turn_back(path: str, short_wait: None) -> None:
    lock = WriteLock(path)
    for _ in range(2):
        with pytest.raises(KeyError), lock.held():
            raise KeyError
    began = time.monotonic()
    with lock.held():
        pass
    lock.close()
    assert time.monotonic() - began < 0.1


def test_the_lock_file_is_private_and_stays(path: str) -> None:
    before = os.umask(0o777)
    try:
        lock = WriteLock(path)
        with lock.held():
            pass
    finally:
        os.umask(before)
    lock.close()
    lock.close()
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_child_begins_anew_and_leaves_the_parents_turn_alone(path: str, short_wait: None) -> None:
    lock, other = WriteLock(path), WriteLock(path)
    with lock.held():
        pid = os.fork()
        if pid == 0:
            lock.forget()
            began = time.monotonic()
            with other.held():
                os._exit(0 if time.monotonic() - began >= 0.1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        began = time.monotonic()
        with other.held():
            assert time.monotonic() - began >= 0.1
    lock.close()
    other.close()


@pytest.mark.parametrize(
    ("waited", "poll"), [(0, 0.001), (0.01, 0.0005), (0.02, 0.0002), (0.5, 0.00005), (2, 0.005)]
)
def test_who_waits_longer_looks_more_often(waited: float, poll: float) -> None:
    assert sqlite_lock.poll_after(waited) == poll
