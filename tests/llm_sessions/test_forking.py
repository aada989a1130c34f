"""A fork from the record: where it begins, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.llm_sessions.recorded import VERSION, begin, end

from mcp_coder.llm_errors import (
    InvalidRequestError,
    NotRecordedWarning,
    SessionError,
    SessionNotFoundError,
    StoreError,
)
from mcp_coder.llm_providers.leases import lease_directory, read_card
from mcp_coder.llm_sessions.forking import fork_session, record_fork
from mcp_coder.llm_sessions.stores import Recording
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


@pytest.fixture
def config_dir(tmp_path: Path) -> str:
    return str(tmp_path / "config")


def finished(store: Store, config_dir: str, number: int) -> None:
    """Record a turn of a session whose native id is another at each turn."""
    turn = begin(store, SESSION, f"turn {number}", cwd="/work", project="/work", config_dir=config_dir)
    end(store, turn, point=f"message-{number}", native_id=f"native-{number}")


def test_a_fork_begins_at_the_last_finished_turn(store: Store, config_dir: str) -> None:
    for number in (1, 2):
        finished(store, config_dir, number)
    end(store, begin(store, SESSION, config_dir=config_dir), "failed")
    fork = fork_session(store, SESSION)
    assert fork == store.session(fork.session_id)
    assert (fork.parent_id, fork.parent_turn, fork.turns) == (SESSION, 2, 0)
    assert fork.cost_usd == 0
    assert (fork.cwd, fork.project, fork.name, fork.tags) == ("/work", "/work", None, ())
    card = read_card(lease_directory(config_dir), fork.session_id)
    assert card is not None
    assert (card.origin, card.origin_point, card.finished) == ("native-2", "message-2", 0)
    assert (card.first_id, card.native_id, card.cwd, card.version) == (
        fork.session_id,
        fork.session_id,
        "/work",
        VERSION,
    )


def test_a_fork_at_an_earlier_turn(store: Store, config_dir: str) -> None:
    for number in (1, 2, 3):
        finished(store, config_dir, number)
    fork = fork_session(store, SESSION, at=2)
    assert fork.parent_turn == 2
    card = read_card(lease_directory(config_dir), fork.session_id)
    assert card is not None
    assert card.origin_point == "message-2"


def test_its_first_turn_knows_the_last_that_it_shares(store: Store, config_dir: str) -> None:
    for number in (1, 2):
        finished(store, config_dir, number)
    fork = fork_session(store, SESSION, at=1)
    turn = begin(store, fork.session_id)
    shared = next(store.turns(SESSION))
    assert (turn.number, turn.parent_turn_id) == (1, shared.turn_id)


def test_what_cannot_be_forked_is_refused_and_leaves_nothing(store: Store, config_dir: str) -> None:
    with pytest.raises(SessionNotFoundError):
        fork_session(store, SESSION)
    end(store, begin(store, SESSION, config_dir=config_dir), "failed")
    with pytest.raises(SessionError, match="nothing to fork"):
        fork_session(store, SESSION)
    with pytest.raises(InvalidRequestError, match="turn 1 did not finish"):
        fork_session(store, SESSION, at=1)
    with pytest.raises(InvalidRequestError, match="has no turn 7"):
        fork_session(store, SESSION, at=7)
    assert len(list(store.sessions())) == 1


# --- a fork that has no turn yet

FORK = "6fb8e1b7-5135-4c68-b20c-5f5a207a457a"


def test_a_fork_without_a_turn_is_recorded_beside_its_parent(store: Store, config_dir: str) -> None:
    for number in (1, 2, 3):
        finished(store, config_dir, number)
    record_fork(Recording(store, named=True), SESSION, FORK, "message-2")
    fork = store.session(FORK)
    assert (fork.parent_id, fork.parent_turn, fork.turns, fork.cwd) == (SESSION, 2, 0, "/work")
    assert read_card(lease_directory(config_dir), FORK) is None  # that is another's to write


def test_a_point_that_no_recorded_turn_has_is_no_turn(store: Store, config_dir: str) -> None:
    finished(store, config_dir, 1)
    record_fork(Recording(store, named=True), SESSION, FORK, "by hand")
    assert store.session(FORK).parent_turn is None


def test_a_fork_of_what_nobody_recorded_is_not_recorded(store: Store) -> None:
    record_fork(Recording(store, named=True), SESSION, FORK, "message-1")
    record_fork(Recording(None, named=True), SESSION, FORK, "message-1")
    assert list(store.sessions()) == []


@pytest.mark.parametrize("named", [True, False], ids=["named", "default"])
def test_a_store_that_cannot_take_a_fork(store: Store, config_dir: str, named: bool) -> None:
    finished(store, config_dir, 1)

    class Full:
        def __getattr__(self, name: str) -> Any:
            if name == "add_session":
                raise StoreError("the disk is full")
            return getattr(store, name)

    full: Any = Full()
    told: Any = pytest.raises(StoreError) if named else pytest.warns(NotRecordedWarning, match="disk is full")
    with told:
        record_fork(Recording(full, named=named), SESSION, FORK, "message-1")
    assert len(list(store.sessions())) == 1


def test_a_card_that_cannot_be_written_leaves_no_fork(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "mcp_coder").write_text("in the way")
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "leases").write_text("in the way")
    finished(store, str(config), 1)
    with pytest.raises(SessionError, match="card cannot be written"):
        fork_session(store, SESSION)
    assert len(list(store.sessions())) == 1
