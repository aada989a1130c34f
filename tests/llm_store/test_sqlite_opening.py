"""A file is opened as it must be: durable, private, migrated once; for reading where it cannot be written."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_store import open_store, sqlite_opening
from mcp_coder.llm_store.base import Store
from mcp_coder.llm_store.sqlite_lock import WriteLock
from mcp_coder.llm_store.sqlite_opening import Opening, open_memory
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import new_turn


def opening(path: Path) -> Opening:
    return Opening(str(path), f"sqlite:///{path}", WriteLock(f"{path}.lock"))


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_what_is_written_is_durable(tmp_path: Path) -> None:
    with contextlib.closing(opening(tmp_path / "s").open()) as connection:
        modes = {name: pragma(connection, name) for name in ("journal_mode", "synchronous", "foreign_keys")}
        assert modes == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        assert pragma(connection, "busy_timeout") == 10_000
        assert connection.isolation_level is None


def test_every_file_of_a_store_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{tmp_path}/deep/s.sqlite")
        recorded(store)
        found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("s.sqlite", "s.sqlite-wal", "s.sqlite-shm", "s.sqlite.lock"), 0o600)
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


def test_memory_is_ready(tmp_path: Path) -> None:
    with contextlib.closing(open_memory()) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (0,)


# --- file systems of other machines


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_opening, "is_remote", lambda path: True)
    monkeypatch.setattr(sqlite_opening, "_warned", set())


def test_far_files_are_written_without_wal_and_it_is_said_once(
    far: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
        store.close()
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    recorded(store)
    with contextlib.closing(opening(tmp_path / "s.sqlite").open()) as connection:
        assert pragma(connection, "journal_mode") == "truncate"
    assert ["network or FUSE" in note for note in store.check().notes] == [True]
    store.close()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [str(tmp_path) in record.getMessage() for record in warnings] == [True]


def test_a_store_that_was_moved_far_away_is_written_otherwise(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    turn = recorded(first)
    first.close()
    request.getfixturevalue("far")
    second = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    recorded(second, new_turn(2))
    assert not (tmp_path / "s.sqlite-wal").exists()
    assert second.turn(turn.turn_id) == turn
    second.close()


# --- files that can only be read: tried by a user who is not root


AS_NOBODY = """
import os, sys
from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_store import open_store
from mcp_coder.testing.promise import recorded
from mcp_coder.testing.store_samples import new_turn
recorded(open_store("memory:"))  # loads what only root may read
os.setgid(65534), os.setuid(65534)
store = open_store(sys.argv[1])
print([turn.prompt for turn in store.turns("session-a")], [hit.number for hit in store.search("prompt")])
print(store.check().problems, store.check().notes)
try:
    store.begin_turn(new_turn(9))
except StoreError as error:
    print("refused:", error)
store.close()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("still", [True, False], ids=["nobody writes", "somebody writes"])
def test_a_store_that_cannot_be_written_can_be_read(still: bool) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        place = Path(name)
        store = open_store(f"sqlite:///{place}/s.sqlite")
        recorded(store)
        if still:
            store.close()
        for path in (place, *place.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        argv = [sys.executable, "-c", AS_NOBODY, store.url]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
        store.close()
    assert done.returncode == 0, done.stderr
    turns, check, refused = done.stdout.splitlines()
    assert turns == "['prompt 1'] [1]"
    assert check == "() ('the store can be read but not written here',)"
    assert refused.startswith("refused: ")
    assert "check the permissions" in refused


# --- files that are no store


def damaged(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    for number in range(200):
        recorded(store, new_turn(number, prompt="words " * 200))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 60] = os.urandom(4096 * 57)
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no database": lambda path: path.write_text("this is no database, whatever its name is" * 100),
    "a cut head": lambda path: path.write_bytes(b"SQLite format 3\\0" + bytes(50)),
    "pages of noise": damaged,
}


def read_all(store: Store) -> None:
    list(store.sessions())
    list(store.turns("session-a"))
    list(store.search("words"))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_reported_with_a_way_out(damage: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"sessions export.*\.recover") as caught:
        read_all(open_store(f"sqlite:///{path}"))
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert path.read_bytes() == before


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "s.sqlite")) as theirs:
        theirs.execute("CREATE TABLE theirs (n)")
    before = (tmp_path / "s.sqlite").read_bytes()
    with pytest.raises(StoreError, match="database of something else"):
        open_store(f"sqlite:///{tmp_path}/s.sqlite")
    assert (tmp_path / "s.sqlite").read_bytes() == before


def test_a_file_that_was_cut_off_at_its_first_opening_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").touch()
    store = open_store(f"sqlite:///{tmp_path}/s.sqlite")
    recorded(store)
    store.close()
