"""``sessions recover``."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, OTHER, journal, record

from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_store.base import Store, TurnRecord


@pytest.fixture
def left(store: Store, tmp_path: Path) -> TurnRecord:
    """Leave a turn of a caller that died."""
    return journal(store, host=socket.gethostname(), config_dir=str(tmp_path / "config"))


def test_what_was_left_is_settled_and_told(store: Store, left: TurnRecord, command: RunCommand) -> None:
    done = command("sessions", "recover")
    assert (done.code, done.out, done.err) == (0, f"{FIRST} turn 1: unknown\n", "")
    assert store.turn(left.turn_id).state == "unknown"


def test_nothing_to_recover(store: Store, command: RunCommand) -> None:
    record(store)
    done = command("sessions", "recover")
    assert (done.code, done.out, done.err) == (0, "", "nothing to recover\n")
    assert json.loads(command("sessions", "recover", "--json").out) == []


def test_as_json(left: TurnRecord, command: RunCommand) -> None:
    assert json.loads(command("sessions", "recover", "--json").out) == [
        {"session_id": FIRST, "turn_id": left.turn_id, "number": 1, "state": "unknown", "why": ""}
    ]


def test_only_one_session(store: Store, left: TurnRecord, command: RunCommand) -> None:
    record(store, session_id=OTHER)
    assert command("sessions", "recover", OTHER[:8]).err == "nothing to recover\n"
    assert store.turn(left.turn_id).state == "started"
    assert command("sessions", "recover", FIRST[:8], "--wait", "0").out == f"{FIRST} turn 1: unknown\n"


def test_a_turn_under_way_is_left_alone(store: Store, left: TurnRecord, command: RunCommand) -> None:
    lease = Lease.take(lease_directory(left.config_dir), FIRST, wait=0)
    try:
        done = command("sessions", "recover")
    finally:
        lease.release()
    assert (done.code, done.out) == (0, f"{FIRST} turn 1: left alone: it is under way\n")
    assert store.turn(left.turn_id).state == "started"


def test_a_session_that_is_not_recorded(left: TurnRecord, command: RunCommand) -> None:
    assert command("sessions", "recover", "zzz").code == 7
