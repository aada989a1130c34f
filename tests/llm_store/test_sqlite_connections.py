"""Connections: one a thread, closed with it, none carried over a fork, none to a file that was replaced."""

from __future__ import annotations

import contextlib
import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_store.sqlite_connections import FileConnections, MemoryConnection, transaction
from mcp_coder.llm_store.sqlite_lock import WriteLock


class Opened:
    """Opens a file, and remembers what it opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[sqlite3.Connection] = []

    def __call__(self) -> sqlite3.Connection:
        # Opening reads, which without WAL waits for whoever writes all the time: longer than five seconds, if need be.
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        self.connections.append(connection)
        return connection

    @property
    def still_open(self) -> int:
        return sum(map(is_open, self.connections))


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.fixture
def opener(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "s.sqlite")


@pytest.fixture
def connections(opener: Opened) -> Iterator[FileConnections]:
    found = FileConnections(str(opener.path), opener, WriteLock(f"{opener.path}.lock"))
    yield found
    found.close()


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def use(connections: FileConnections | MemoryConnection) -> sqlite3.Connection:
    with connections.use() as connection:
        connection.execute("SELECT 1")
        return connection


def test_a_thread_has_one_connection(connections: FileConnections, opener: Opened) -> None:
    assert use(connections) is use(connections)
    assert len(opener.connections) == 1


def test_a_connection_is_closed_with_its_thread(connections: FileConnections, opener: Opened) -> None:
    in_thread(lambda: (use(connections), None)[1])
    gc.collect()
    assert (len(opener.connections), opener.still_open) == (1, 0)


def test_all_are_closed_at_once_and_opened_again_when_needed(
    connections: FileConnections, opener: Opened
) -> None:
    first, go_on, ready = use(connections), threading.Event(), threading.Event()

    def work() -> None:
        use(connections)
        ready.set()
        go_on.wait(5)

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(5)
    connections.close()
    assert opener.still_open == 0
    go_on.set()
    thread.join()
    assert use(connections) is not first


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
def test_a_file_that_is_another_is_opened_anew(
    replaced: bool, connections: FileConnections, opener: Opened
) -> None:
    with connections.write() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    if replaced:
        other = sqlite3.connect(opener.path.with_name("other"))
        other.execute("CREATE TABLE t (n)")
        other.close()
        opener.path.with_name("other").rename(opener.path)
    else:
        opener.path.unlink()
    with connections.use() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert opener.still_open == 1


def test_a_transaction_is_whole_or_nothing(connections: FileConnections) -> None:
    with contextlib.suppress(KeyError), connections.write() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        raise KeyError
    with connections.write() as connection:
        connection.execute("INSERT INTO t VALUES (2)")
    with connections.use() as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(2,)]
        assert not connection.in_transaction


def test_what_an_interrupt_left_open_is_taken_back_first(connections: FileConnections) -> None:
    with connections.use() as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
    with connections.write() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_transaction_that_sqlite_took_back_is_not_taken_back_twice(connections: FileConnections) -> None:
    def work(connection: sqlite3.Connection) -> None:
        with transaction(connection, "begin_writing"):
            connection.execute("ROLLBACK")
            raise KeyError

    with connections.use() as connection, pytest.raises(KeyError):
        work(connection)


def in_child(work: Callable[[], bool]) -> bool:
    """Fork; return whether the work went well in the child."""
    pid = os.fork()
    if pid == 0:
        done = False
        try:
            done = work()
        finally:
            os._exit(0 if done else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def count(connections: FileConnections | MemoryConnection) -> int:
    with connections.use() as connection:
        found: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
        return found


def insert(connections: FileConnections | MemoryConnection) -> bool:
    with connections.write() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    return True


def test_no_connection_crosses_a_fork(connections: FileConnections, opener: Opened) -> None:
    insert(connections)
    assert in_child(lambda: opener.still_open == 0 and insert(connections) and count(connections) == 2)
    assert opener.still_open == 0
    assert count(connections) == 2


def test_a_fork_waits_for_what_other_threads_write(connections: FileConnections) -> None:
    stop, written = threading.Event(), [0]

    def work() -> None:
        while not stop.is_set():
            insert(connections)
            written[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    children = [in_child(lambda: insert(connections)) for _ in range(5)]
    stop.set()
    thread.join()
    assert children == [True] * 5
    assert count(connections) == written[0] + 5


def test_a_fork_does_not_wait_for_ever(connections: FileConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_coder.llm_store.sqlite_connections._FORK_WAIT_SECONDS", 0.05)
    reading, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with connections.use() as connection:
            connection.execute("SELECT 1")
            reading.set()
            go_on.wait(5)
            connection.execute("SELECT 1")

    thread = threading.Thread(target=work)
    thread.start()
    reading.wait(5)
    assert in_child(lambda: insert(connections) and count(connections) == 1)
    go_on.set()
    thread.join()
    assert count(connections) == 1


def test_a_child_of_a_child_is_fine_too(connections: FileConnections) -> None:
    insert(connections)
    assert in_child(
        lambda: insert(connections) and in_child(lambda: insert(connections)) and insert(connections)
    )
    assert count(connections) == 4


@pytest.fixture
def memory() -> Iterator[MemoryConnection]:
    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.execute("CREATE TABLE t (n)")
        return connection

    found = MemoryConnection(opened)
    yield found
    found.close()


def test_memory_is_one_for_all_threads(memory: MemoryConnection) -> None:
    insert(memory)
    in_thread(lambda: (insert(memory), None)[1])
    assert count(memory) == 2


def test_a_child_has_a_copy_of_memory(memory: MemoryConnection) -> None:
    insert(memory)
    assert in_child(lambda: insert(memory) and count(memory) == 2)
    assert count(memory) == 1


def test_a_fork_does_not_wait_for_ever_for_memory(
    memory: MemoryConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_coder.llm_store.sqlite_connections._FORK_WAIT_SECONDS", 0.05)
    reading, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with memory.use():
            reading.set()
            go_on.wait(5)

    thread = threading.Thread(target=work)
    thread.start()
    reading.wait(5)
    assert in_child(lambda: count(memory) == 0)
    go_on.set()
    thread.join()
    assert insert(memory)
