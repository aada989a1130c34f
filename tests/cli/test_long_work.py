"""The progress bar: for a person only, and gone when the work is done."""

from __future__ import annotations

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import OTHER, record

from mcp_coder.cli.long_work import progress
from mcp_coder.llm_store.base import Store


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("deleting", 3) as step:
        step()
    assert capsys.readouterr() == ("", "")


def test_a_person_sees_how_far_it_is(store: Store, seen: RunCommand) -> None:
    record(store)
    record(store, session_id=OTHER)
    done = seen("sessions", "prune", "--keep-last", "0", "--yes")
    assert "deleting" in done.out
    assert "2/2" in done.out
    assert done.plain[-1].endswith("deleted 2 sessions with 2 turns, $0.0013 of recorded cost")


def test_work_of_unknown_length_is_shown_too(store: Store, seen: RunCommand) -> None:
    done = seen("sessions", "check")
    assert done.code == 0
    assert "checking" in done.out
