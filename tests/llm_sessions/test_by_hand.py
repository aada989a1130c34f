"""A session in the agent's own program: the right one, in its directory, and nobody beside it."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_coder.llm_errors import InvalidRequestError, SessionBusyError, SessionError
from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_sessions.by_hand import opened_by_hand
from mcp_coder.llm_store.base import SessionRecord
from mcp_coder.testing import FakeClaude

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


@pytest.fixture
def session(fake_claude: FakeClaude, tmp_path: Path) -> SessionRecord:
    """Return the record of a session that the agent has, in its own configuration directory."""
    return session_in(Path(os.environ["CLAUDE_CONFIG_DIR"]), tmp_path)


def session_in(config_dir: Path, cwd: Path) -> SessionRecord:
    transcript = config_dir / "projects" / "-work" / f"{SESSION}.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    now = datetime.now(UTC)
    return SessionRecord(
        session_id=SESSION,
        provider="claude",
        cwd=str(cwd),
        config_dir=os.path.realpath(config_dir),
        created_at=now,
        updated_at=now,
        cost_usd=Decimal(0),
        unrecorded_usd=Decimal(0),
    )


@pytest.fixture
def elsewhere(session: SessionRecord, tmp_path: Path) -> SessionRecord:
    """Return a session in another configuration directory than the agent's own."""
    return session_in(tmp_path / "other config", tmp_path)


def test_it_is_resumed_in_its_directory(session: SessionRecord, fake_claude: FakeClaude) -> None:
    with opened_by_hand(session) as opening:
        assert opening.command == (str(fake_claude.path), f"--resume={SESSION}")
        assert opening.cwd == session.cwd
        assert opening.env == dict(os.environ)


def test_another_configuration_directory_is_named(elsewhere: SessionRecord) -> None:
    with opened_by_hand(elsewhere) as opening:
        assert opening.env == {**os.environ, "CLAUDE_CONFIG_DIR": elsewhere.config_dir}


def test_its_lease_is_held_meanwhile(session: SessionRecord) -> None:
    directory = lease_directory(session.config_dir)
    with opened_by_hand(session), pytest.raises(SessionBusyError):
        Lease.take(directory, SESSION, wait=0)
    Lease.take(directory, SESSION, wait=0).release()


def test_a_session_in_a_turn_is_not_opened(session: SessionRecord) -> None:
    lease = Lease.take(lease_directory(session.config_dir), SESSION, wait=0)
    try:
        with pytest.raises(SessionBusyError), opened_by_hand(session):
            raise AssertionError
    finally:
        lease.release()


def test_a_session_that_the_agent_does_not_have(session: SessionRecord) -> None:
    another = dataclasses.replace(session, session_id=SESSION.replace("5fb8", "0000"))
    with pytest.raises(SessionError, match="nothing was asked in it here yet"), opened_by_hand(another):
        raise AssertionError


def test_a_directory_that_is_gone(session: SessionRecord) -> None:
    gone = dataclasses.replace(session, cwd="/nowhere/at/all")
    with pytest.raises(InvalidRequestError, match="is gone"), opened_by_hand(gone):
        raise AssertionError
