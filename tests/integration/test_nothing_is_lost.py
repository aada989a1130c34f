"""What was recorded is there: under many writers, a death at any moment, a full disk, other versions, damage.

Stories s13, s50, s51 and s52, told by the store alone on real files by real processes, and s52 by whole turns too.

Processes come from a nursery: one process that has everything loaded and forks the others, which takes milliseconds.
There a process can also be led from system call to system call (``ptrace``) and be killed at any of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import random
import re
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import LONGEST, MARK, Child

import mcp_coder
from mcp_coder import (
    NotRecordedWarning,
    SessionNotFoundError,
    StoreError,
    UnsupportedVersionError,
    prompt_llm,
)
from mcp_coder.cli.exit_codes import STORE_UNUSABLE
from mcp_coder.llm_sessions.transfer import export_sessions, import_file
from mcp_coder.llm_store import default_store_url, open_store, sqlite_files
from mcp_coder.llm_store.base import Store, TurnEnding
from mcp_coder.llm_store.sqlite_migrations import SCHEMA_VERSION
from mcp_coder.testing import FakeClaude
from mcp_coder.testing.store_samples import (
    new_turn,
    sample_response,
    session_record,
    turn_ending,
    usage_of_dollars,
)

Order = Callable[..., Any]
Snapshot = dict[str, tuple[Any, list[Any]]]

ROOT = Path(__file__).parents[2]
CENT = Decimal("0.01")
long = pytest.mark.long
THOROUGH = 100
"""Kills, or the like, of a test that is marked long."""

# --- what is written


def ending(number: int, **fields: Any) -> TurnEnding:
    """Return an ending that has something for every table."""
    known: dict[str, Any] = {
        "text": f"answer{number}",
        "response": sample_response(f"answer{number}"),
        "events": [{"type": "system"}, {"type": "result", "number": number}],
        "usage": usage_of_dollars("0.01", "large", "small", output_tokens=number),
        "native_id": f"native-{number}",
    }
    return turn_ending(number, **{**known, **fields})


def whole_turn(store: Store, number: int, session: str) -> None:
    store.begin_turn(new_turn(number, session, prompt=f"prompt{number}"))
    assert store.end_turn(f"turn-{number:06d}", ending(number))


def recorded_before(store: Store) -> None:
    """Write what is there before anybody is killed."""
    for number, session in enumerate(("session-a", "session-b", "session-c", "session-c"), 1):
        whole_turn(store, number, session)
    store.begin_turn(new_turn(5, "session-a", prompt="prompt5"))


WRITES: dict[str, Callable[[Store], object]] = {
    "end": lambda store: store.end_turn("turn-000005", ending(5)),
    "begin": lambda store: store.begin_turn(new_turn(6, "session-a", prompt="prompt6")),
    "begin a session": lambda store: store.begin_turn(
        new_turn(7, "session-d", prompt="prompt7", session_name="nightly", parent_id="session-a")
    ),
    "end a failed one": lambda store: store.end_turn(
        "turn-000006", turn_ending(6, state="failed", text="", error={"class": "ServerError"})
    ),
    "import": lambda store: store.import_turn(new_turn(8, "session-b", prompt="prompt8"), ending(8)),
    "read again": lambda store: store.reread_turn(
        "turn-000008", usage_of_dollars("0.5", "other"), reading=2, model="other"
    ),
    "discard": lambda store: store.discard_turn("turn-000007"),
    "add": lambda store: store.add_session(session_record("session-e", tags=("one", "two"))),
    "rename": lambda store: store.rename_session("session-a", "weekly"),
    "tag": lambda store: store.tag_session("session-e", add=["three"], remove=["one"]),
    "delete": lambda store: store.delete_session("session-c"),
    "close": lambda store: store.close(),
}
"""What is done to it then, one after the other. ``close`` is a write, too: it moves what was written to its place."""


def url_of(directory: Path | str) -> str:
    return f"sqlite:///{directory}/store.sqlite"


def opened(directory: Path | str) -> closing[Store]:
    return closing(open_store(url_of(directory)))


def pose_as_network() -> None:
    """Be a machine all of whose disks are on another one: the store is written without WAL there."""
    sqlite_files._mounts = lambda: [("/", "nfs4")]


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Say on what the store lies: "local", or "network", where it is written without WAL."""
    if request.param == "network":
        monkeypatch.setattr(sqlite_files, "_mounts", lambda: [("/", "nfs4")])
    return str(request.param)


both_disks = pytest.mark.parametrize("disk", ["local", "network"], indirect=True)


# --- what is found


def snapshot(store: Store) -> Snapshot:
    """Return all that a store tells of its sessions and turns."""
    return {
        session.session_id: (session, told_of_turns(store, session.session_id))
        for session in store.sessions()
    }


def told_of_turns(store: Store, session_id: str) -> list[Any]:
    turns = store.turns(session_id)
    return [(turn, store.response(turn.turn_id), store.events(turn.turn_id)) for turn in turns]


def check_whole(store: Store) -> Snapshot:
    """Check that a store is sound, that its sums are right, and that searches find what there is and nothing else."""
    assert store.check().problems == ()
    now = snapshot(store)
    for session, told in now.values():
        turns = [turn for turn, _, _ in told]
        assert [turn.number for turn in turns] == list(range(1, session.turns + 1))
        assert session.cost_usd == sum(turn.usage.cost_usd or 0 for turn in turns)
        assert session.output_tokens == sum(turn.usage.output_tokens for turn in turns)
        assert session.unaccounted_turns == sum(turn.unaccounted for turn in turns)
    turns = [turn for _, told in now.values() for turn, _, _ in told]
    dollars = sum(turn.usage.cost_usd or 0 for turn in turns)
    assert {store.usage(by).total.cost_usd for by in ("day", "model", "session")} == {dollars}
    for word in [f"{kind}{number}" for kind in ("prompt", "answer") for number in range(1, 10)]:
        there = {turn.turn_id for turn in turns if word in (*turn.prompt.split(), turn.text)}
        assert {hit.turn_id for hit in store.search(word)} == there, word
    return now


def goes_on(store: Store) -> None:
    """Check that one can go on writing."""
    before = len(list(store.turns("session-a")))
    assert store.begin_turn(new_turn(900, "session-a", prompt="prompt900")).number == before + 1
    assert store.end_turn("turn-000900", ending(900))
    assert [hit.number for hit in store.search("answer900")] == [before + 1]


# --- the nursery


def serve() -> None:
    """Be the nursery: do what stdin says, a line each."""
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(ORDERS[order.pop("order")](**order)), flush=True)  # noqa: T201


_NURSERY = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.integration.test_nothing_is_lost import serve
serve()
"""


class Nursery:
    """A process that makes others and tells what became of them; ``serve`` is its inside."""

    def __init__(self, place: Path, **env: str) -> None:
        place.mkdir(exist_ok=True)
        whole = {**os.environ, **env}
        whole.pop(MARK, None)  # it outlives the test that it is made in; whom it makes, it waits for
        self._child = Child(_NURSERY, str(ROOT), env=whole, errors=place / "stderr.txt")

    def begin(self, order: str, **arguments: Any) -> None:
        self._child.tell({"order": order, **arguments})

    def end(self) -> Any:
        return self._child.hear()

    def do(self, order: str, **arguments: Any) -> Any:
        self.begin(order, **arguments)
        return self.end()

    def together(self, *each: dict[str, Any]) -> list[Any]:
        """Let processes begin at once; return what each found, once all have ended."""
        told = self.do("together", each=each)
        assert [one["error"] for one in told if "error" in one] == []
        return [one["value"] for one in told]

    @property
    def is_well(self) -> bool:
        return self._child.process.poll() is None

    def close(self) -> None:
        self._child.close()


class Nurseries:
    """The nurseries of these tests, made when they are first needed; one that died is replaced."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._known: dict[str, Nursery] = {}

    def get(self, name: str, path: Path | None = None) -> Nursery:
        known = self._known.get(name)
        if known is None or not known.is_well:
            if known is not None:
                known.close()
            env = {"PYTHONPATH": str(path)} if path else {}
            self._known[name] = known = Nursery(self._place / name, **env)
        return known

    def next_version(self, minimum_writer: int) -> Nursery:
        name = f"next-{minimum_writer}"
        path = self._place / f"version-{name}"
        nursery = self.get(name, path if path.exists() else next_version(path, minimum_writer=minimum_writer))
        assert nursery.do("program").startswith(str(path))
        return nursery

    def close(self) -> None:
        for nursery in self._known.values():
            nursery.close()


@pytest.fixture(scope="module")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    with closing(Nurseries(tmp_path_factory.mktemp("nurseries"))) as all_of_them:
        yield all_of_them


@pytest.fixture
def nursery(nurseries: Nurseries) -> Nursery:
    return nurseries.get("nursery")


@pytest.fixture
def second_nursery(nurseries: Nurseries) -> Nursery:
    return nurseries.get("second")


def together(each: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    gate, opener = os.pipe()
    ends = [_born(task, gate, opener) for task in each]
    os.close(gate)
    os.close(opener)
    told = [json.loads(_all_of(end)) for end in ends]
    for _ in each:
        os.wait()
    return told


def _born(task: dict[str, Any], gate: int, opener: int) -> int:
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(opener)
        os.read(gate, 1)  # it ends when the nursery lets go of it: then all are there
        os.write(tell, json.dumps(_done(**task)).encode())
        os._exit(0)
    os.close(tell)
    return told


def _done(task: str, **arguments: Any) -> dict[str, Any]:
    try:
        return {"value": TASKS[task](**arguments)}
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
        return {"error": "".join(traceback.format_exception(error))}


def _all_of(end: int) -> bytes:
    with os.fdopen(end, "rb") as pipe:
        return pipe.read()


def killed_after(seconds: float, **task: Any) -> str:
    """Kill a process so long after the first line that it told; return all that it told."""
    pid, told = _watched(**task)
    first = os.read(told, 1)
    select.select([], [], [], seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return (first + _all_of(told)).decode()


def dead(**task: Any) -> int:
    """Let a process die of what is in its task; return how much it told."""
    pid, told = _watched(**task)
    returned = len(_all_of(told))
    os.waitpid(pid, 0)
    return returned


def _watched(task: str, *, traced: bool = False, **arguments: Any) -> tuple[int, int]:
    """Begin a process that tells how far it is."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        if traced:
            ptrace(PTRACE_TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        done = _done(task, tell=tell, **arguments)
        print(done.get("error", ""), file=sys.stderr, flush=True)  # noqa: T201
        os._exit("error" in done)
    os.close(tell)
    return pid, told


# --- step by step

PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL = 1, 0x100000
SYSTEM_CALL = signal.SIGTRAP | 0x80
CALLS = {
    "x86_64": {1: "tell", 18: "write", 74: "sync", 75: "sync"},
    "aarch64": {64: "tell", 68: "write", 82: "sync", 83: "sync"},
}
"""Numbers of system calls by machine: write, pwrite64, fsync, fdatasync."""

traceable = pytest.mark.skipif(sys.platform != "linux", reason="processes are led by Linux's ptrace")


def ptrace(request: int, pid: int, address: int = 0, data: Any = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


def killed_at(step: int, **task: Any) -> dict[str, int]:
    """Kill a process at its n-th step, if it gets there: a system call has two, before and behind it."""
    pid, told = _watched(**task, traced=True)
    steps = 0
    for _ in _stops(pid):
        if steps == step:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
        steps += 1
    return {"steps": steps, "returned": len(_all_of(told))}


def interrupted_at(step: int, by: dict[str, Any], **task: Any) -> int:
    """Stop a process at its n-th step until another has done a task, or cannot go on; then let both go on."""
    pid, told = _watched(**task, traced=True)
    for place, _ in enumerate(_stops(pid)):
        if place == step:
            other, other_told = _watched(**by)
            with os.fdopen(os.pidfd_open(other)) as ended:
                select.select([ended], [], [], 0.05)
    assert os.waitpid(other, 0)[1] == 0
    return len(_all_of(told) + _all_of(other_told))


def system_calls(**task: Any) -> list[str]:
    """Let a process run; return those of its system calls that are known by name."""
    pid, told = _watched(**task, traced=True)
    names, info = CALLS[platform.machine()], (ctypes.c_uint64 * 11)()
    found = []
    for _ in _stops(pid):
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
        before, number, file = info[0] & 0xFF == 1, info[3], info[4]
        if before and file != sys.stderr.fileno():
            found.append(names.get(number, ""))
    os.close(told)
    return [name for name in found if name]


def _stops(pid: int) -> Iterator[None]:
    """Lead a process to its next step each time, until it ends."""
    os.waitpid(pid, 0)
    ptrace(PTRACE_SETOPTIONS, pid, data=PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
    deliver = 0
    while True:
        ptrace(PTRACE_SYSCALL, pid, data=deliver)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            assert status == 0
            return
        stopped = os.WSTOPSIG(status)
        deliver = 0 if stopped == SYSTEM_CALL else stopped
        if not deliver:
            yield


ORDERS: dict[str, Callable[..., object]] = {
    "together": together,
    "killed_after": killed_after,
    "dead": dead,
    "killed_at": killed_at,
    "interrupted_at": interrupted_at,
    "system_calls": system_calls,
    "program": lambda: mcp_coder.__file__,
}


# --- s13: many writers


def write_turns(directory: str, session: str, first: int, turns: int) -> list[int]:
    """Write turns; return their numbers in the session."""
    numbers = []
    with opened(directory) as store:
        for number in range(first, first + turns):
            numbers.append(store.begin_turn(new_turn(number, session, prompt=f"prompt{number}")).number)
            assert store.end_turn(f"turn-{number:06d}", ending(number))
    return numbers


def check_written(store: Store, sessions: Sequence[str], told: Sequence[Sequence[int]], turns: int) -> None:
    """Check that each turn is there once, in the order of its writer, under the number that this one was told."""
    assert store.check().problems == ()
    assert store.check().turns == len(told) * turns
    for session in set(sessions):
        found = list(store.turns(session))
        writers = [place for place, name in enumerate(sessions) if name == session]
        assert [turn.number for turn in found] == list(range(1, len(writers) * turns + 1))
        for writer in writers:
            own = range(writer * turns, (writer + 1) * turns)
            assert [turn.turn_id for turn in found if turn.number in set(told[writer])] == [
                f"turn-{number:06d}" for number in own
            ]
        assert {turn.state for turn in found} == {"succeeded"}
        assert all(turn.text == f"answer{int(turn.turn_id[5:])}" for turn in found)
        record = store.session(session)
        assert (record.turns, record.cost_usd) == (len(found), CENT * len(found))


SESSIONS = {"each its own": [f"session-{writer}" for writer in range(8)], "all into one": ["one"] * 8}
by_sessions = pytest.mark.parametrize("sessions", SESSIONS.values(), ids=SESSIONS)


@by_sessions
@pytest.mark.parametrize("turns", [25, pytest.param(200, marks=long)])
def test_s13_eight_processes(nursery: Nursery, tmp_path: Path, sessions: list[str], turns: int) -> None:
    told = nursery.together(
        *(
            {"task": "write_turns", "directory": str(tmp_path), "session": session, "first": writer * turns}
            | {"turns": turns}
            for writer, session in enumerate(sessions)
        )
    )
    with opened(tmp_path) as store:
        check_written(store, sessions, told, turns)


@by_sessions
@pytest.mark.parametrize("turns", [25, pytest.param(200, marks=long)])
def test_s13_eight_threads(tmp_path: Path, sessions: list[str], turns: int) -> None:
    with opened(tmp_path) as store, ThreadPoolExecutor(8) as pool:

        def write(writer: int) -> list[int]:
            numbers = []
            for number in range(writer * turns, (writer + 1) * turns):
                turn = new_turn(number, sessions[writer], prompt=f"prompt{number}")
                numbers.append(store.begin_turn(turn).number)
                assert store.end_turn(turn.turn_id, ending(number))
            return numbers

        told = list(pool.map(write, range(8)))
        check_written(store, sessions, told, turns)


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=long)])
def test_s13_eight_first_openings_at_once(nursery: Nursery, tmp_path: Path, rounds: int) -> None:
    for attempt in range(rounds):
        place = tmp_path / "new" / str(attempt)
        told = nursery.together(
            *(
                {
                    "task": "write_turns",
                    "directory": str(place),
                    "session": "one",
                    "first": writer,
                    "turns": 1,
                }
                for writer in range(8)
            )
        )
        assert sorted(told) == [[number] for number in range(1, 9)]
        with opened(place) as store:
            check_written(store, ["one"] * 8, told, 1)


def read_along(directory: str, sessions: list[str], turns: int) -> int:
    """Read until all is there; at no time may anything be missing in what is there. Return how often it was read."""
    seen = dict.fromkeys(sessions, 0)
    with opened(directory) as store:
        for passes in count(1):
            next(store.turns(sessions[0]), None)  # one that is left early
            for record in store.sessions():
                found = list(store.turns(record.session_id))
                assert [turn.number for turn in found] == list(range(1, len(found) + 1))
                assert len(found) >= max(record.turns, seen[record.session_id])
                assert all(turn.text for turn in found if turn.state == "succeeded")
                seen[record.session_id] = len(found)
            hits = [hit.turn_id for hit in store.search("answer*", limit=None)]
            assert len(hits) == len(set(hits))
            if all(store_turns == turns for store_turns in seen.values()) and not any(
                store.unfinished_turns()
            ):
                return passes
    raise AssertionError


def test_s13_writers_beside_readers_that_iterate(nursery: Nursery, tmp_path: Path) -> None:
    sessions, turns = ["session-0", "session-1", "session-2"], 40
    writers = [
        {"task": "write_turns", "directory": str(tmp_path), "session": session, "first": place * turns}
        | {"turns": turns}
        for place, session in enumerate(sessions)
    ]
    reader = {"task": "read_along", "directory": str(tmp_path), "sessions": sessions, "turns": turns}
    *told, one, two = nursery.together(*writers, reader, reader)
    assert min(one, two) > 1
    with opened(tmp_path) as store:
        check_written(store, sessions, told, turns)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a store that has some turns and is closed."""
    directory = tmp_path / "store"
    with opened(directory) as store:
        recorded_before(store)
    return directory


@pytest.fixture
def writing_for_ever(place: Path) -> Iterator[sqlite3.Connection]:
    """Keep a write open, as another program could."""
    with closing(sqlite3.connect(place / "store.sqlite", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM turns")
        yield connection


def test_s13_reading_never_waits_for_a_writer(place: Path, writing_for_ever: sqlite3.Connection) -> None:
    with opened(place) as store:
        began = time.monotonic()
        assert len(snapshot(store)["session-c"][1]) == 2
        assert len(list(store.search("answer*"))) == 4
        assert time.monotonic() - began < 5


@long
def test_s13_a_writer_who_never_ends_is_told(place: Path, writing_for_ever: sqlite3.Connection) -> None:
    with opened(place) as store:
        before = snapshot(store)
        with pytest.raises(StoreError, match="another process") as caught:
            store.begin_turn(new_turn(6))
        assert caught.value.retryable
        writing_for_ever.execute("ROLLBACK")
        assert snapshot(store) == before
        goes_on(store)


def test_s13_nothing_is_locked_between_two_records(place: Path) -> None:
    with opened(place) as store, opened(place) as other:
        for number in range(10, 60):
            store.import_turn(new_turn(number, "session-a"), ending(number))
        left = [store.turns("session-a"), store.sessions(), store.search("answer*", limit=None)]
        for iterator in left:
            next(iterator)
        assert other.delete_session("session-a")
        with closing(sqlite3.connect(place / "store.sqlite")) as connection:
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        for iterator in left:
            list(iterator)
        assert set(check_whole(store)) == {"session-b", "session-c"}


# --- s50: killed at every step


def write(
    directory: str, names: Sequence[str], tell: int, disk: str = "local", death: tuple[str, int] | None = None
) -> None:
    """Open the store and write one thing after the other, telling of each that returned."""
    if disk == "network":
        pose_as_network()
    if death:
        kind, after = death
        DEATHS[kind](after)
    store = open_store(url_of(directory))
    for name in names:
        WRITES[name](store)
        os.write(tell, b".")


def die_by_instructions(after: int) -> None:
    """Let this process be killed after so many instructions of SQLite: between two steps, too."""
    left, connect = iter(range(after)), sqlite3.connect

    def count_down() -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect_and_count(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_progress_handler(count_down, 1)
        return connection

    sqlite3.connect = connect_and_count  # type: ignore[assignment]  # in this process alone, which dies


def die_by_bytes(after: int) -> None:
    """Let this process be killed as soon as a file would be longer: what fits is written, within a page, too."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, after))


DEATHS: dict[str, Callable[[int], None]] = {"instructions": die_by_instructions, "bytes": die_by_bytes}


def states_of(directory: Path, names: Sequence[str]) -> list[Snapshot]:
    """Do the writes without being killed; return what there is before, and after each of them."""
    with opened(directory) as store:
        states = [snapshot(store)]
        for name in names:
            WRITES[name](store)
            states.append(snapshot(store))
    return states


def renewed(before: Path, directory: Path) -> Path:
    """Make a directory be what it was before: a store, or nothing."""
    shutil.rmtree(directory, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, directory)
    return directory


def spread(steps: int, kills: int) -> list[int]:
    """Return steps to be killed at, evenly among all; all of them where there are not more."""
    return sorted({steps * kill // kills for kill in range(kills)})


def check_killed(directory: Path, states: Sequence[Snapshot], returned: int) -> None:
    """Check that what returned is there, the next write as a whole or not at all, and that one can go on."""
    with opened(directory) as store:
        assert check_whole(store) in states[returned : returned + 2]
        goes_on(store)
        assert store.check().problems == ()


Kill = Callable[[dict[str, Any], int], int]
"""Kills what does a task, at a place in it; returns how many writes had returned."""


def kill_at(before: Path, names: Sequence[str], disk: str, kill: Kill, places: Sequence[int]) -> int:
    """Kill a process that writes, at one place after another; return how many were killed before their end."""
    directory = before.parent / "killed"
    states = states_of(renewed(before, directory), names)
    task = {"task": "write", "directory": str(directory), "names": names, "disk": disk}
    killed = 0
    for place in places:
        renewed(before, directory)
        returned = kill(task, place)
        killed += returned < len(names)
        try:
            check_killed(directory, states, returned)
        except Exception as error:
            error.add_note(f"killed at {place}; {returned} writes had returned")
            raise
    return killed


def kill_at_steps(nursery: Nursery, before: Path, names: Sequence[str], disk: str, kills: int) -> None:
    """Kill a process that writes at many of its steps, one after another."""
    directory = str(renewed(before, before.parent / "killed"))
    done = nursery.do("killed_at", step=-1, task="write", directory=directory, names=names, disk=disk)
    assert done["returned"] == len(names)

    def kill(task: dict[str, Any], step: int) -> int:
        returned: int = nursery.do("killed_at", step=step, **task)["returned"]
        return returned

    places = spread(done["steps"], kills)
    assert kill_at(before, names, disk, kill, places) > len(places) * 0.7


@traceable
@both_disks
@pytest.mark.parametrize("kills", [7, pytest.param(THOROUGH, marks=long)])
def test_s50_killed_at_every_step_of_every_write(
    nursery: Nursery, disk: str, place: Path, kills: int
) -> None:
    kill_at_steps(nursery, place, list(WRITES), disk, kills)


@traceable
@both_disks
@pytest.mark.parametrize("kills", [4, pytest.param(THOROUGH, marks=long)])
def test_s50_killed_at_every_step_of_the_first_opening(
    nursery: Nursery, disk: str, tmp_path: Path, kills: int
) -> None:
    kill_at_steps(nursery, tmp_path / "nothing", ["begin"], disk, kills)


REACH = {"instructions": 9000, "bytes": 230_000}
"""What it takes to do it all, and some more."""


@both_disks
@pytest.mark.parametrize("kind", DEATHS)
@pytest.mark.parametrize("kills", [4, pytest.param(THOROUGH, marks=long)])
def test_s50_killed_between_two_steps(
    nursery: Nursery, disk: str, place: Path, kind: str, kills: int
) -> None:
    def kill(task: dict[str, Any], after: int) -> int:
        returned: int = nursery.do("dead", **task, death=(kind, after))
        return returned

    assert kill_at(place, list(WRITES), disk, kill, spread(REACH[kind], kills)) > kills // 3


FULL_LOG = 5000
"""Pages: behind so many, SQLite moves the log to its place within the next write."""


@pytest.fixture
def with_full_log(place: Path, tmp_path: Path) -> Path:
    """Return a store whose log is full, as others leave it who write while one reads."""
    copy, log = tmp_path / "full-log", place / "store.sqlite-wal"
    with closing(sqlite3.connect(place / "store.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        while not log.exists() or log.stat().st_size < FULL_LOG * 4096:
            connection.execute("UPDATE sessions SET cwd = hex(randomblob(20000))")
        copy.mkdir()
        for name in ("store.sqlite", "store.sqlite-wal"):
            shutil.copy(place / name, copy)
    return copy


@traceable
@pytest.mark.parametrize("kills", [3, pytest.param(THOROUGH, marks=long)])
def test_s50_killed_while_sqlite_tidies_up(nursery: Nursery, with_full_log: Path, kills: int) -> None:
    before = (with_full_log / "store.sqlite").read_bytes()
    kill_at_steps(nursery, with_full_log, ["end", "begin", "import", "delete"], "local", kills)
    with opened(with_full_log) as store:
        WRITES["end"](store)
        assert (with_full_log / "store.sqlite").read_bytes() != before


@traceable
@both_disks
def test_s50_what_returned_was_brought_to_the_disk(nursery: Nursery, disk: str, place: Path) -> None:
    if platform.machine() not in CALLS:
        pytest.skip("the numbers of this machine's system calls are not known here")
    names = [name for name in WRITES if name != "close"]
    calls = nursery.do("system_calls", task="write", directory=str(place), names=names, disk=disk)
    *writes, _ = "".join({"write": "w", "sync": "s", "tell": "t"}[call] for call in calls).split("t")
    assert len(writes) == len(names)
    for name, done in zip(names, writes, strict=True):
        assert re.fullmatch(r"[ws]*w[ws]*s", done), (name, done)


@pytest.mark.parametrize("cuts", [8, pytest.param(2 * THOROUGH, marks=long)])
@pytest.mark.parametrize("rest", ["cut off", "other bytes"])
def test_s50_the_machine_dies(place: Path, tmp_path: Path, rest: str, cuts: int) -> None:
    """What was being written is there in part: up to any byte, and behind it whatever the disk held before."""
    names = [name for name in WRITES if name != "close"]
    log = place / "store.sqlite-wal"
    with opened(place) as store:
        states, sizes = [snapshot(store)], [0]
        for name in names:
            WRITES[name](store)
            states.append(snapshot(store))
            sizes.append(log.stat().st_size)
        kept, written = (place / "store.sqlite").read_bytes(), log.read_bytes()
    noise = random.Random(0)
    directory = tmp_path / "dead"
    for cut in spread(len(written), cuts):
        renewed(tmp_path / "nothing", directory).mkdir()
        (directory / "store.sqlite").write_bytes(kept)
        tail = noise.randbytes(len(written) - cut) if rest == "other bytes" else b""
        (directory / "store.sqlite-wal").write_bytes(written[:cut] + tail)
        returned = sum(size <= cut for size in sizes[1:])
        check_killed(directory, states[: returned + 1], returned)


# --- s13: two at once, step by step


@traceable
@both_disks
@pytest.mark.parametrize("stops", [4, pytest.param(THOROUGH, marks=long)])
@pytest.mark.parametrize("there", [False, True], ids=["a first opening", "writes"])
def test_s13_another_comes_in_between_at_every_step(
    nursery: Nursery, disk: str, place: Path, tmp_path: Path, there: bool, stops: int
) -> None:
    before, directory = (place if there else tmp_path / "nothing"), tmp_path / "shared"
    task = {"task": "write", "directory": str(directory), "disk": disk}
    one, two = {**task, "names": ["begin", "add"]}, {**task, "names": ["begin a session", "import"]}
    renewed(before, directory)
    steps = nursery.do("killed_at", step=-1, **one)["steps"]
    for step in spread(steps, stops):
        renewed(before, directory)
        assert nursery.do("interrupted_at", step=step, by=two, **one) == 4
        with opened(directory) as store:
            assert {"session-a", "session-b", "session-d", "session-e"} <= set(check_whole(store))


# --- s50: killed at any moment, beside one who goes on


def write_on(directory: str, session: str, first: int, tell: int) -> None:
    """Write without end, and tell what returned."""
    with opened(directory) as store:
        for number in count(first):
            name = "shared" if number % 3 == 0 else session
            store.begin_turn(new_turn(number, name, prompt=f"prompt{number}"))
            os.write(tell, f"begun {number}\n".encode())
            store.end_turn(f"turn-{number:06d}", ending(number))
            os.write(tell, f"ended {number}\n".encode())
            if number % 4 == 0:
                store.import_turn(new_turn(number + 500_000, f"{session}-{number}"), ending(number))
                os.write(tell, f"imported {number}\n".encode())
                store.delete_session(f"{session}-{number}")
                os.write(tell, f"deleted {number}\n".encode())


def write_until(directory: str, stop: str) -> int:
    """Write until there is a file of a name, and some turns at least; return how many."""
    with opened(directory) as store:
        for number in count(900_000):
            if number > 900_020 and os.path.exists(stop):
                return number - 900_000
            whole_turn(store, number, "shared" if number % 2 else "survivor")
    raise AssertionError


def check_told(store: Store, session: str, told: str) -> None:
    """Check that all is there that a process told of before it died, and in its session one turn more at most."""
    lines = [line.split() for line in told.splitlines()]
    begun, ended, deleted = (
        [int(number) for what, number in lines if what == wanted] for wanted in ("begun", "ended", "deleted")
    )
    for number in begun:
        turn = store.turn(f"turn-{number:06d}")
        assert turn.state in (["succeeded"] if number in ended else ["started", "succeeded"])
        assert turn.session_id == ("shared" if number % 3 == 0 else session)
    own = [turn.number for turn in store.turns(session)]
    assert own == list(range(1, len(own) + 1))
    assert len(own) - sum(number % 3 != 0 for number in begun) in (0, 1)
    for number in deleted:
        with pytest.raises(SessionNotFoundError):
            store.session(f"{session}-{number}")


@pytest.mark.parametrize("kills", [6, pytest.param(THOROUGH, marks=long)])
def test_s50_killed_at_any_moment_beside_one_who_goes_on(
    nursery: Nursery, second_nursery: Nursery, tmp_path: Path, kills: int
) -> None:
    directory, stop, chance = tmp_path / "store", tmp_path / "stop", random.Random(50)
    second_nursery.do("program")  # until it is there
    second_nursery.begin(
        "together", each=[{"task": "write_until", "directory": str(directory), "stop": str(stop)}]
    )
    for kill in range(kills):
        name = f"killed-{kill}"
        task = {"task": "write_on", "directory": str(directory), "session": name, "first": kill * 1000}
        told = nursery.do("killed_after", seconds=chance.uniform(0, 0.04), **task)
        with opened(directory) as store:
            check_told(store, name, told)
            if kill % 10 == 0:
                assert store.check().problems == ()
    stop.touch()
    (survived,) = second_nursery.end()
    assert survived["value"] > 0
    with opened(directory) as store:
        check_whole(store)
        goes_on(store)


# --- s51: no room

ROOMS = (0, 100, 4200, 9000, 20_000)
"""Bytes that there is room for: nothing, part of a page, a page, and so on."""
Limited = Callable[[Path, int], AbstractContextManager[None]]


@contextlib.contextmanager
def limited_files(directory: Path, room: int) -> Iterator[None]:
    """Let no file become larger than the store's log is, and some bytes."""
    log = directory / "store.sqlite-wal"
    size = log.stat().st_size if log.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def limited_disk(directory: Path, room: int) -> Iterator[None]:
    """Fill the disk, but for some pages."""
    filler = directory.parent / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(filler, max(filler.stat().st_size - room // 4096 * 4096, 0))
    try:
        yield
    finally:
        filler.unlink()


def write_without_room(directory: str, limit: str, disk: str = "local") -> dict[str, Any]:
    """Write each thing as often as it takes, with more room each time; return what was said, and what is there."""
    if disk == "network":
        pose_as_network()
    limited, place = LIMITS[limit], Path(directory)
    told = {}
    with opened(place) as store:
        for name in ROOMLESS:
            told[name] = _refusals(store, WRITES[name], limited, place)
        with limited(place, 0):
            store.close()
        return {"told": told, "found": repr(check_whole(store))}


def _refusals(store: Store, do: Callable[[Store], object], limited: Limited, place: Path) -> list[str]:
    before, told = snapshot(store), []
    for room in ROOMS:
        try:
            with limited(place, room):
                do(store)
        except StoreError as error:
            told.append(str(error))
            assert store.check().problems == ()
            assert snapshot(store) == before
        else:
            return told
    do(store)
    return told


def open_without_room(directory: str, limit: str, disk: str = "local") -> list[str]:
    """Open a new store, with more room each time."""
    if disk == "network":
        pose_as_network()
    place, told = Path(directory), []
    for room in (*ROOMS, 10_000_000):
        try:
            with LIMITS[limit](place, room), opened(place) as store:
                assert snapshot(store) == {}
                break
        except StoreError as error:
            told.append(str(error))
    with opened(place) as store:
        goes_on(store)
        check_whole(store)
    return told


def on_a_small_disk(of: str, template: str | None, mounted: str) -> Any:
    """Do a task on a disk of 1 MB that only this process sees; None where such a disk cannot be had."""
    os.makedirs(mounted)
    if not _mounted(mounted):
        return None
    directory = Path(mounted, "store")
    if template is not None:
        shutil.copytree(template, directory)
    return TASKS[of](directory=str(directory), limit="disk")


def _mounted(place: str) -> bool:
    """Mount a small disk where nobody else sees it; who is not root becomes it, for this process's own mounts."""
    own_users, own_mounts, private, everything = 0x10000000, 0x20000, 0x40000, 0x4000
    libc = ctypes.CDLL(None, use_errno=True)
    ids = {"uid_map": os.geteuid(), "gid_map": os.getegid()}
    if libc.unshare(own_users | own_mounts):
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        for name, number in ids.items():
            Path("/proc/self", name).write_text(f"0 {number} 1")
    except OSError:
        return False
    return not (
        libc.mount(b"none", b"/", None, private | everything, None)
        or libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=1m,mode=700")
    )


ROOMLESS = [name for name in WRITES if name != "close"]
LIMITS: dict[str, Limited] = {"files": limited_files, "disk": limited_disk}


def check_refused(found: dict[str, Any], place: Path, message: str) -> None:
    """Check that each write was refused at least once, with a reason, and was done once there was room."""
    told = found["told"]
    assert all(told.values()), told
    assert all(re.search(message, each) for refusals in told.values() for each in refusals), told
    assert found["found"] == repr(states_of(renewed(place, place.parent / "model"), ROOMLESS)[-1])


@both_disks
def test_s51_files_cannot_grow(nursery: Nursery, disk: str, place: Path, tmp_path: Path) -> None:
    directory = renewed(place, tmp_path / "full")
    task = {"task": "write_without_room", "directory": str(directory), "limit": "files", "disk": disk}
    (found,) = nursery.together(task)
    check_refused(found, place, r"nothing was recorded")


def test_s51_the_disk_is_full(nursery: Nursery, place: Path, tmp_path: Path) -> None:
    task = {"task": "on_a_small_disk", "of": "write_without_room"}
    (found,) = nursery.together({**task, "template": str(place), "mounted": str(tmp_path / "disk")})
    if found is None:
        pytest.skip("this user may not mount a disk")
    check_refused(found, place, r"no room left.*nothing was recorded")


@both_disks
def test_s51_a_first_opening_when_files_cannot_grow(nursery: Nursery, disk: str, tmp_path: Path) -> None:
    task = {"task": "open_without_room", "directory": str(tmp_path / "full"), "limit": "files", "disk": disk}
    (told,) = nursery.together(task)
    assert len(told) > 1
    assert all("nothing was recorded" in each for each in told)


def test_s51_a_first_opening_when_the_disk_is_full(nursery: Nursery, tmp_path: Path) -> None:
    task = {"task": "on_a_small_disk", "of": "open_without_room", "template": None}
    (told,) = nursery.together({**task, "mounted": str(tmp_path / "disk")})
    if told is None:
        pytest.skip("this user may not mount a disk")
    assert len(told) > 1
    assert all(re.search("no room left|disk error, quota", each) for each in told), told


# --- s52: other versions

NEXT_SCHEMA = SCHEMA_VERSION + 1
NEXT_MIGRATION = """
-- What a later version could add.
ALTER TABLE turns ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';
CREATE TABLE moods (turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE, mood TEXT NOT NULL);
INSERT INTO moods (turn, mood) SELECT id, mood FROM turns;
CREATE INDEX turns_by_mood ON turns (mood);
"""


def describe(directory: str) -> str:
    with opened(directory) as store:
        return repr(check_whole(store))


def mark(directory: Path) -> dict[str, int]:
    """Return what a store says of its version."""
    with closing(sqlite3.connect(f"file:{directory}/store.sqlite?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT key, value FROM meta"))


def next_version(place: Path, *, minimum_writer: int) -> Path:
    """Make the next version of mcp_coder: it has one more migration, and says who may still write behind it."""
    package = place / "mcp_coder"
    shutil.copytree(Path(mcp_coder.__file__).parent, package)
    name = f"{NEXT_SCHEMA:04}_moods.sql"
    (package / "llm_store" / "sql" / "sqlite" / name).write_text(NEXT_MIGRATION)
    code = package / "llm_store" / "sqlite_migrations.py"
    text = code.read_text()
    for pattern, new in {
        r"^MIGRATIONS = \(([^)]*)\)": rf'MIGRATIONS = (\1 "{name}",)',
        r"^_MINIMUM_WRITER = \d+": f"_MINIMUM_WRITER = {minimum_writer}",
    }.items():
        text, found = re.subn(pattern, new, text, flags=re.MULTILINE)
        assert found == 1, pattern
    code.write_text(text)
    return place


@pytest.fixture
def next_nursery(request: pytest.FixtureRequest, nurseries: Nurseries) -> Nursery:
    """Lend a nursery of the next version. Parametrized: behind it older versions may still write, or not."""
    return nurseries.next_version(request.param)


compatible = pytest.mark.parametrize("next_nursery", [SCHEMA_VERSION], indirect=True, ids=["compatible"])
incompatible = pytest.mark.parametrize("next_nursery", [NEXT_SCHEMA], indirect=True, ids=["incompatible"])


@compatible
def test_s52_older_and_newer_versions_write_one_store(next_nursery: Nursery, place: Path) -> None:
    with opened(place) as store:
        states = states_of(place, ["end"])
        assert next_nursery.together({"task": "describe", "directory": str(place)}) == [repr(states[-1])]
        assert mark(place)["schema_version"] == NEXT_SCHEMA
        goes_on(store)
    with opened(place) as store:
        WRITES["delete"](store)
        whole_turn(store, 10, "session-new")
        found = repr(check_whole(store))
    assert next_nursery.together({"task": "describe", "directory": str(place)}) == [found]
    task = {"task": "write_turns", "directory": str(place), "session": "session-a", "first": 20, "turns": 3}
    assert next_nursery.together(task) == [[4, 5, 6]]
    with opened(place) as store:
        assert [turn.turn_id for turn in store.turns("session-a", newest=3)] == [
            f"turn-{number:06d}" for number in (20, 21, 22)
        ]
        check_whole(store)
    assert mark(place)["schema_version"] == NEXT_SCHEMA


@compatible
def test_s52_many_bring_an_older_store_up_to_date_at_once(
    nursery: Nursery, next_nursery: Nursery, place: Path
) -> None:
    task = {"task": "write_turns", "directory": str(place), "turns": 10}
    nursery.begin("together", each=[{**task, "session": "old", "first": first} for first in (100, 200)])
    told = next_nursery.together(
        *({**task, "session": "new", "first": first} for first in range(1000, 1600, 100))
    )
    older = [one["value"] for one in nursery.end()]
    with opened(place) as store:
        assert sorted(chain(*told)) == list(range(1, 61))
        assert sorted(chain(*older)) == list(range(1, 21))
        check_whole(store)


@traceable
@compatible
@pytest.mark.parametrize("kills", [6, pytest.param(THOROUGH, marks=long)])
def test_s52_killed_while_it_is_brought_up_to_date(next_nursery: Nursery, place: Path, kills: int) -> None:
    kill_at_steps(next_nursery, place, ["end"], "local", kills)


def contents(directory: Path) -> dict[str, bytes]:
    """Return what stands in the files of a store, as far as it is kept."""
    names = ("store.sqlite", "store.sqlite-wal", "store.sqlite-journal")
    return {name: (directory / name).read_bytes() for name in names if (directory / name).exists()}


def dump(directory: Path) -> list[str]:
    """Return all that is in a database."""
    with closing(sqlite3.connect(directory / "store.sqlite")) as connection:
        return list(connection.iterdump())


@incompatible
def test_s52_a_store_of_a_newer_version_is_left_as_it_is(next_nursery: Nursery, place: Path) -> None:
    open_before = open_store(url_of(place))
    next_nursery.together({"task": "describe", "directory": str(place)})
    assert mark(place)["minimum_writer"] == NEXT_SCHEMA
    before = contents(place)
    with closing(open_before):
        with pytest.raises(UnsupportedVersionError, match="newer version of mcp_coder"):
            open_before.begin_turn(new_turn(6))
        with pytest.raises(UnsupportedVersionError, match="update mcp_coder"):
            open_store(url_of(place))
        assert contents(place) == before
    closed = contents(place)
    for _ in range(2):
        with pytest.raises(UnsupportedVersionError):
            open_store(url_of(place))
    assert contents(place) == closed
    assert next_nursery.together({"task": "describe", "directory": str(place)})


@incompatible
def test_s52_what_a_newer_version_did_not_finish_is_left_to_it(next_nursery: Nursery, place: Path) -> None:
    """Killed, it left a log. SQLite may move that to its place when we let go of the store; that changes nothing."""
    task = {"task": "write_on", "directory": str(place), "session": "session-x", "first": 100}
    told = next_nursery.do("killed_after", seconds=0.05, **task)
    assert (place / "store.sqlite-wal").stat().st_size
    before = dump(renewed(place, place.parent / "copy"))
    with pytest.raises(UnsupportedVersionError):
        open_store(url_of(place))
    assert dump(place) == before
    (found,) = next_nursery.together({"task": "describe", "directory": str(place)})
    assert all(f"turn-{int(number):06d}" in found for number in re.findall("begun ([0-9]+)\n", told))


def test_s52_an_opening_writes_nothing(place: Path) -> None:
    before = contents(place)
    with opened(place) as store:
        snapshot(store)
        assert store.check().problems == ()
    assert contents(place) == before


# --- s52: damage

SALVAGE = r"damaged.*mcp-coder sessions check.*mcp-coder sessions export.*\.recover"
PAGE = 4096


def noise(length: int) -> bytes:
    return random.Random(length).randbytes(length)


@pytest.fixture
def long_store(tmp_path: Path) -> Path:
    """Return the file of a store of a hundred pages, closed."""
    words = random.Random(52)
    with opened(tmp_path / "long") as store:
        for number in range(1, 41):
            prompt = " ".join(f"word{words.randrange(900)}" for _ in range(words.choice([20, 400])))
            events = [{"type": "assistant", "text": noise(number).hex()}]
            turn = new_turn(number, f"session-{number % 8}", prompt=prompt)
            store.import_turn(turn, ending(number, text=prompt[::-1], events=events))
    return tmp_path / "long" / "store.sqlite"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "its header": lambda whole: noise(100) + whole[100:],
    "its list of tables": lambda whole: whole[:100] + noise(PAGE - 100) + whole[PAGE:],
    "half of it": lambda whole: whole[: len(whole) // 2],
    "its last page": lambda whole: whole[:-PAGE],
    "all but a page": lambda whole: whole[:PAGE],
}


@pytest.mark.parametrize("lost", DAMAGES)
def test_s52_a_damaged_file_is_told_with_the_way_to_save_what_is_readable(
    long_store: Path, lost: str
) -> None:
    damaged = DAMAGES[lost](long_store.read_bytes())
    long_store.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(StoreError, match=SALVAGE), opened(long_store.parent) as store:
            snapshot(store)
        assert contents(long_store.parent) == {long_store.name: damaged}


def check_told_how_to_save(error: StoreError) -> None:
    assert re.search(SALVAGE, str(error)), error


def readable(store: Store, sessions: Sequence[str]) -> Snapshot:
    """Return what can be read of sessions; what cannot is told with the way to save what can."""
    found: Snapshot = {}
    for session in sessions:
        try:
            found[session] = (store.session(session), told_of_turns(store, session))
        except StoreError as error:
            check_told_how_to_save(error)
    return found


def is_found_damaged(store: Store) -> bool:
    try:
        return store.check().problems != ()
    except StoreError as error:
        check_told_how_to_save(error)
        return True


def saved(store: Store, sessions: Sequence[str], place: Path) -> Snapshot:
    """Save sessions as the message says; return what another store then has of them."""
    with opened(renewed(place / "nothing", place / "saved")) as sound:
        for session in sessions:
            export_sessions(store, [session], place / "export.jsonl")
            import_file(sound, place / "export.jsonl")
        return snapshot(sound)


def essence(found: Snapshot) -> dict[str, Any]:
    return {
        session: [(turn.prompt, turn.text, turn.usage, response, events) for turn, response, events in told]
        for session, (_, told) in found.items()
    }


@pytest.mark.parametrize("pages", [12, pytest.param(THOROUGH, marks=long)])
def test_s52_a_page_in_the_middle(long_store: Path, tmp_path: Path, pages: int) -> None:
    whole = long_store.read_bytes()
    with opened(long_store.parent) as store:
        before = snapshot(store)
    some_lost = 0
    for page in spread(len(whole) // PAGE, pages)[1:]:
        long_store.write_bytes(whole[: page * PAGE] + noise(PAGE) + whole[(page + 1) * PAGE :])
        try:
            store = open_store(url_of(long_store.parent))
        except StoreError as error:  # a page that says where the others are
            check_told_how_to_save(error)
            continue
        with closing(store):
            found = readable(store, list(before))
            assert all(found[session] == before[session] for session in found)
            assert found == before or is_found_damaged(store)
            if 0 < len(found) < len(before):
                some_lost += 1
                assert essence(saved(store, list(found), tmp_path)) == essence(found)
    assert some_lost


NOT_READABLE = {
    "a prompt": "UPDATE turn_texts SET prompt = CAST(x'ff' || 'the prompt' AS TEXT)",
    "a title": "UPDATE sessions SET title = CAST(x'ff' || 'the prompt' AS TEXT)",
    "what the agent printed": "UPDATE turn_raws SET raw = zeroblob(30)",
    "json": "UPDATE turns SET options = 'the prompt'",
}


@pytest.mark.parametrize("damaged", NOT_READABLE)
def test_s52_bytes_within_a_page(place: Path, damaged: str) -> None:
    """SQLite does not see that; whoever reads it is told, without what stands there."""
    with closing(sqlite3.connect(place / "store.sqlite")) as connection, connection:
        connection.execute(NOT_READABLE[damaged])
    with opened(place) as store, pytest.raises(StoreError, match=SALVAGE) as caught:
        snapshot(store)
    assert "the prompt" not in str(caught.value)


def test_s52_the_command_line_tells_of_damage(long_store: Path) -> None:
    long_store.write_bytes(DAMAGES["half of it"](long_store.read_bytes()))
    command = [sys.executable, "-m", "mcp_coder", "sessions", "check", "--store", url_of(long_store.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == STORE_UNUSABLE
    assert re.search(SALVAGE, done.stderr)


def somebody_elses(path: Path, mode: str = "delete") -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE notes (note TEXT)")
        connection.execute("INSERT INTO notes VALUES ('mine')")


NO_STORES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a text": (lambda path: path.write_text("Dear diary\n" * 1000), "no store of mcp_coder"),
    "some words": (lambda path: path.write_text("Dear diary"), "no store of mcp_coder"),
    "noise": (lambda path: path.write_bytes(noise(100_000)), "no store of mcp_coder"),
    "a database": (somebody_elses, "a database of something else; name another file"),
    "a database with a log": (lambda path: somebody_elses(path, "wal"), "a database of something else"),
}


@pytest.mark.parametrize("kind", NO_STORES)
def test_s52_what_is_no_store_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    make, message = NO_STORES[kind]
    make(tmp_path / "store.sqlite")
    before = contents(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match=message):
            open_store(url_of(tmp_path))
        assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_s52_an_empty_database_becomes_a_store(tmp_path: Path, mode: str) -> None:
    """As a first opening leaves it that was killed."""
    with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE gone (x)")
        connection.execute("DROP TABLE gone")
    with opened(tmp_path) as store:
        recorded_before(store)
        check_whole(store)


# --- s52: a whole turn, where the store is like that


def newer(path: Path) -> None:
    with closing(open_store(f"sqlite:///{path}")) as store:
        recorded_before(store)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = 99")


def damaged(path: Path) -> None:
    with closing(open_store(f"sqlite:///{path}")) as store:
        recorded_before(store)
    path.write_bytes(DAMAGES["half of it"](path.read_bytes()))


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (newer, "newer version of mcp_coder"),
    "damaged": (damaged, SALVAGE),
    "somebody else's": (somebody_elses, "a database of something else"),
}
unusable = pytest.mark.parametrize("kind", UNUSABLE)


@unusable
def test_s52_a_turn_whose_default_store_cannot_be_used_is_answered(fake: FakeClaude, kind: str) -> None:
    make, message = UNUSABLE[kind]
    path = Path(default_store_url().removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    before = path.read_bytes()
    with pytest.warns(NotRecordedWarning, match=message) as told:
        assert prompt_llm("Hello", method="cli", timeout=LONGEST)["text"]
    assert len(told) == 1
    assert len(fake.calls()) == 1
    assert path.read_bytes() == before


@unusable
@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_s52_a_turn_whose_named_store_cannot_be_used_is_not_begun(
    fake: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, named_by: str
) -> None:
    make, message = UNUSABLE[kind]
    make(tmp_path / "store.sqlite")
    before = (tmp_path / "store.sqlite").read_bytes()
    if named_by == "environment":
        monkeypatch.setenv("MCP_CODER_STORE", url_of(tmp_path))
    with pytest.raises(UnsupportedVersionError if kind == "newer" else StoreError, match=message):
        prompt_llm("Hello", timeout=LONGEST, store=url_of(tmp_path) if named_by == "argument" else None)
    assert fake.calls() == fake.version_calls() == []
    assert (tmp_path / "store.sqlite").read_bytes() == before


TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task
    for task in (
        write_turns,
        read_along,
        write,
        write_on,
        write_until,
        write_without_room,
        open_without_room,
        on_a_small_disk,
        describe,
    )
}
