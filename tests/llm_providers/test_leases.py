"""Leases: one holder at a time among threads and processes, given back by death, in order of arrival."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcp_coder.llm_errors import LeaseWarning, SessionBusyError
from mcp_coder.llm_providers import leases
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.leases import Lease, lease_directory, own_holder, read_card

SESSION = "123e4567-e89b-42d3-a456-426614174000"


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return lease_directory(str(tmp_path / "config"))


def hold_elsewhere(directory: str, then: str = "sys.stdin.read()") -> subprocess.Popen[bytes]:
    """Hold the lease in another process, until its stdin ends."""
    code = (
        "import sys\nfrom mcp_coder.llm_providers.leases import Lease\n"
        "lease = Lease.take(sys.argv[1], sys.argv[2], wait=60)\n"
        f"print('held', flush=True)\n{then}\nlease.release()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, directory, SESSION], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    if "held" not in then:
        assert child.stdout.readline() == b"held\n"
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


def test_leases_stand_in_the_agents_own_directory(tmp_path: Path) -> None:
    assert lease_directory(str(tmp_path)) == str(tmp_path / "mcp_coder")


def test_a_directory_that_cannot_be_written_gives_way_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    (tmp_path / "config").write_text("a file is in the way")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        place = lease_directory(str(tmp_path / "config"))
    assert [each.category for each in caught] == [LeaseWarning]
    assert place.startswith(str(tmp_path / "home" / "leases"))
    assert place != lease_directory(None)  # nothing is known to be unwritable there: no warning


def test_one_holder_at_a_time_in_threads(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(Lease.take, directory, SESSION, wait=0).exception(10)
        assert isinstance(busy, SessionBusyError)
        assert busy.session_id == SESSION
        lease.release()
        pool.submit(lambda: Lease.take(directory, SESSION, wait=0).release()).result(10)


def test_the_same_thread_is_told_at_once(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    began = time.monotonic()
    with pytest.raises(SessionBusyError, match="this thread"):
        Lease.take(directory, SESSION, wait=30)
    assert time.monotonic() - began < 5
    lease.release()
    lease.release()
    Lease.take(directory, SESSION, wait=0).release()


def test_other_sessions_are_free(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    Lease.take(directory, SESSION.replace("1", "2"), wait=0).release()
    lease.release()


def test_one_holder_at_a_time_in_processes_and_death_frees_it(directory: str) -> None:
    child = hold_elsewhere(directory)
    try:
        with pytest.raises(SessionBusyError):
            Lease.take(directory, SESSION, wait=0)
        child.send_signal(signal.SIGKILL)
        lease = Lease.take(directory, SESSION, wait=20)
        assert lease.waited or lease.first_id == SESSION
        lease.release()
    finally:
        end(child)


def test_waiting_is_bounded(directory: str) -> None:
    child = hold_elsewhere(directory)
    try:
        began = time.monotonic()
        with pytest.raises(SessionBusyError, match="after waiting 1 s"):
            Lease.take(directory, SESSION, wait=1)
        assert 0.9 < time.monotonic() - began < 10
        assert os.listdir(os.path.join(directory, f"{SESSION}.queue")) == []
    finally:
        end(child)


def test_waiting_can_be_given_up(directory: str) -> None:
    child = hold_elsewhere(directory)
    try:
        with pytest.raises(SessionBusyError):
            Lease.take(directory, SESSION, wait=60, stop=lambda: True)
    finally:
        end(child)


def test_waiters_are_served_in_order_of_arrival(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    queue = os.path.join(directory, f"{SESSION}.queue")
    served: list[int] = []

    def wait_in_line(number: int) -> None:
        mine = Lease.take(directory, SESSION, wait=60)
        served.append(number)
        mine.release()

    threads = [threading.Thread(target=wait_in_line, args=(number,)) for number in range(5)]
    for number, thread in enumerate(threads):
        thread.start()
        until = time.monotonic() + 20
        while (len(os.listdir(queue)) if os.path.isdir(queue) else 0) <= number:
            assert time.monotonic() < until
            time.sleep(0.005)
    lease.release()
    for thread in threads:
        thread.join(60)
    assert served == [0, 1, 2, 3, 4]


def test_a_newcomer_does_not_pass_those_who_wait(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    child = hold_elsewhere(directory, then="# held")
    queue = os.path.join(directory, f"{SESSION}.queue")
    try:
        until = time.monotonic() + 20
        while not (os.path.isdir(queue) and os.listdir(queue)):
            assert time.monotonic() < until
            time.sleep(0.005)
        lease.release()
        Lease.take(directory, SESSION, wait=30).release()
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
    finally:
        end(child)


def test_a_waiter_that_dies_does_not_hold_up_the_line(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    child = hold_elsewhere(directory, then="# held")
    queue = os.path.join(directory, f"{SESSION}.queue")
    until = time.monotonic() + 20
    while not (os.path.isdir(queue) and os.listdir(queue)):
        assert time.monotonic() < until
        time.sleep(0.005)
    end(child)
    lease.release()
    Lease.take(directory, SESSION, wait=0).release()  # nor those who would not stand in line
    assert os.listdir(queue) == []


def test_giving_back_twice_takes_nothing_from_the_next_holder(directory: str) -> None:
    first = Lease.take(directory, SESSION, wait=0)
    first.release()
    second = Lease.take(directory, SESSION, wait=0)
    first.release()
    with ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(Lease.take, directory, SESSION, wait=0).exception(10), SessionBusyError)
    second.release()
    second.release()
    Lease.take(directory, SESSION, wait=0).release()


def test_of_many_sessions_the_last_ones_locks_are_used_again(directory: str) -> None:
    for number in range(leases._MOST_SPARE + 5):
        Lease.take(directory, f"session-{number}", wait=0).release()
    assert len(leases._spare) == leases._MOST_SPARE
    last = os.path.join(directory, f"session-{number}.lock")
    spare = leases._spare[last]
    assert Lease.take(directory, f"session-{number}", wait=0)._lock is spare


def test_cards_are_kept_beside_the_lock(directory: str) -> None:
    assert read_card(directory, SESSION) is None
    lease = Lease.take(directory, SESSION, wait=0)
    card = Card(first_id=SESSION, native_id="other", finished=1)
    lease.write_card(card)
    lease.write_alias(card)
    assert lease.card() == read_card(directory, SESSION) == card
    alias = read_card(directory, "other")
    assert alias is not None
    assert alias.first_id == SESSION
    assert os.stat(os.path.join(directory, f"{SESSION}.json")).st_mode & 0o777 == 0o600
    lease.remove_card()
    lease.remove_card()
    assert lease.card() is None
    lease.release()


def test_a_torn_card_is_no_card(directory: str) -> None:
    Path(directory, f"{SESSION}.json").write_text('{"first_id": "')
    assert read_card(directory, SESSION) is None


def test_a_busy_error_names_the_holder(directory: str) -> None:
    lease = Lease.take(directory, SESSION, wait=0)
    lease.write_card(Card(first_id=SESSION, native_id=SESSION, holder=own_holder()))
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(Lease.take, directory, SESSION, wait=0).exception(10)
    assert isinstance(busy, SessionBusyError)
    assert busy.holder["pid"] == os.getpid()
    assert f"process {os.getpid()}" in str(busy)
    lease.release()
