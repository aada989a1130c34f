"""``sessions delete`` and ``prune``: what goes, what stays, and who is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, OTHER, finish, journal, record

from mcp_coder.llm_store.base import Store

NOW = datetime.now(UTC)


def session_id(days: int) -> str:
    return f"{days:08}-0000-4000-8000-000000000000"


@pytest.fixture
def days(store: Store) -> Store:
    """Record five sessions, one a day, of today and before; each of one turn."""
    for ago in range(5):
        record(
            store,
            f"{ago} days ago",
            session_id=session_id(ago),
            started_at=NOW - timedelta(days=ago, hours=1),
            project=f"/home/dev/p{ago % 2}",
        )
    return store


def left(store: Store) -> list[int]:
    return [int(each.session_id[:8]) for each in store.sessions()]


# --- delete


def test_sessions_are_deleted_with_their_turns(days: Store, command: RunCommand) -> None:
    done = command("sessions", "delete", "00000001", "00000003", "00000001", "--yes")
    assert (done.code, done.err) == (0, "")
    assert done.out == "deleted 2 sessions with 2 turns, $0.0013 of recorded cost\n"
    assert left(days) == [0, 2, 4]
    assert list(days.turns(session_id(1))) == []


def test_without_a_terminal_nobody_is_asked_and_nothing_done(days: Store, command: RunCommand) -> None:
    done = command("sessions", "delete", "00000001")
    assert (done.code, done.out) == (2, "")
    assert "there is no terminal to ask on; add --yes" in done.err
    assert left(days) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("answer", "remain"), [("y\n", [0, 2, 3, 4]), ("YES\n", [0, 2, 3, 4])])
def test_a_person_who_says_yes(answer: str, remain: list[int], days: Store, seen: RunCommand) -> None:
    done = seen("sessions", "delete", "00000001", answer=answer)
    assert done.code == 0
    assert "1 days ago" in done.out
    assert "delete 1 session with 1 turn, $0.0006 of recorded cost? [y/N]" in done.out
    assert left(days) == remain


@pytest.mark.parametrize("answer", ["n\n", "\n", "yeah\n", "\x04"], ids=repr)
def test_a_person_who_does_not(answer: str, days: Store, seen: RunCommand) -> None:
    done = seen("sessions", "delete", "00000001", answer=answer)
    assert done.code == 1
    assert done.out.endswith("nothing was deleted\n")
    assert left(days) == [0, 1, 2, 3, 4]


def test_ctrl_c_at_the_question_ends_it(days: Store, seen: RunCommand) -> None:
    done = seen("sessions", "delete", "00000001", answer="\x03")
    assert done.code == 130
    assert left(days) == [0, 1, 2, 3, 4]


def test_one_unknown_session_and_none_is_deleted(days: Store, command: RunCommand) -> None:
    assert command("sessions", "delete", "00000001", "nonsense", "--yes").code == 7
    assert left(days) == [0, 1, 2, 3, 4]


def test_a_turn_that_has_not_ended_keeps_its_session(days: Store, command: RunCommand) -> None:
    turn = journal(days, session_id=session_id(1))
    done = command("sessions", "delete", "00000002", "00000001", "--yes")
    assert (done.code, done.out) == (8, "")
    assert "has a turn that has not ended" in done.err
    assert "mcp-coder sessions recover settles it" in done.err
    assert "prompt" not in done.err
    assert sorted(left(days)) == [0, 1, 2, 3, 4]
    finish(days, turn)
    assert command("sessions", "delete", "00000001", "--yes").code == 0


def test_forks_stay(store: Store, command: RunCommand) -> None:
    record(store)
    record(store, session_id=OTHER, parent_id=FIRST)
    assert command("sessions", "delete", FIRST, "-y").code == 0
    assert [each.session_id for each in store.sessions()] == [OTHER]


# --- prune


@pytest.mark.parametrize(
    ("options", "remain"),
    [
        (["--older-than", "2d"], [0, 1]),
        (["--older-than", "30d"], [0, 1, 2, 3, 4]),
        (["--older-than", "0h"], []),
        (["--keep-last", "2"], [0, 1]),
        (["--keep-last", "0"], []),
        (["--keep-last", "9"], [0, 1, 2, 3, 4]),
        (["--older-than", "1d", "--keep-last", "3"], [0, 1, 2]),
        (["--older-than", "3d", "--keep-last", "1"], [0, 1, 2]),
        (["--older-than", "2d", "--project", "p1"], [0, 1, 2, 4]),
        (["--keep-last", "1", "--project", "/home/dev/p0"], [0, 1, 3]),
        (["--keep-last", "0", "--provider", "another"], [0, 1, 2, 3, 4]),
        (["--keep-last", "0", "--tag", "old"], [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_what_goes(options: Sequence[str], remain: list[int], days: Store, command: RunCommand) -> None:
    days.tag_session(session_id(4), add=["old"])
    shown = command("sessions", "prune", *options)
    assert shown.code == 0
    assert sorted(left(days)) == [0, 1, 2, 3, 4]
    gone = {0, 1, 2, 3, 4} - set(remain)
    assert {number for number in range(5) if session_id(number) in shown.out} == gone
    assert command("sessions", "prune", *options, "--yes").code == 0
    assert sorted(left(days)) == remain


def test_the_dry_run_sums_up_and_says_how_to_do_it(days: Store, command: RunCommand) -> None:
    assert command("sessions", "prune", "--keep-last", "2").lines[-1] == (
        "would delete 3 sessions with 3 turns, $0.0019 of recorded cost; nothing was deleted: add --yes to do it"
    )
    assert command("sessions", "prune", "--keep-last", "2", "--yes").out == (
        "deleted 3 sessions with 3 turns, $0.0019 of recorded cost\n"
    )
    assert command("sessions", "prune", "--keep-last", "2", "--yes").out == "there is nothing to delete\n"


def test_many_are_not_all_listed(store: Store, command: RunCommand) -> None:
    for number in range(25):
        record(store, session_id=session_id(number))
    lines = command("sessions", "prune", "--keep-last", "0").lines
    assert len(lines) == 1 + 20 + 2
    assert lines[-2] == "and 5 more"


def test_a_session_in_use_is_not_pruned(days: Store, command: RunCommand) -> None:
    journal(days, session_id=session_id(4), started_at=NOW - timedelta(days=4))
    assert command("sessions", "prune", "--keep-last", "0", "--yes").code == 0
    assert left(days) == [4]


def test_what_is_old_must_be_said(days: Store, command: RunCommand) -> None:
    done = command("sessions", "prune", "--yes")
    assert done.code == 2
    assert "say which are old" in done.err
    assert left(days) == [0, 1, 2, 3, 4]
