"""Cards: what is written comes back, and each situation of a session has its way in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_errors import InvalidRequestError, SessionBusyError, SessionError
from mcp_coder.llm_providers.base import Entry, Finish
from mcp_coder.llm_providers.cards import (
    Card,
    card_from_json,
    card_to_json,
    check_directory,
    enter_fork,
    enter_new,
    enter_session,
    reenter,
    settled,
)
from mcp_coder.llm_requests import TurnRequest, new_request

FIRST, NATIVE, NEW = "first-id", "native-id", "new-id"
FRESH = Card(first_id=FIRST, native_id=NATIVE, cwd="/own")
FINISHED = dataclasses.replace(FRESH, finished=2, point="p2", fingerprint="f2")
FAILED = dataclasses.replace(FINISHED, failed=1)
FAILED_FIRST = dataclasses.replace(FRESH, failed=1)
A_FORK = dataclasses.replace(FRESH, origin="parent", origin_point="p9")
FORKED_ANYWHERE = dataclasses.replace(FRESH, origin="parent")
BY_HAND = dataclasses.replace(FRESH, origin=NATIVE)


def request(**options: object) -> TurnRequest:
    return new_request("hello", **options)


def enter(req: TurnRequest, card: Card | None, known: bool = True) -> Entry:
    return enter_session(req, card, first_id=FIRST, known=known, new_id=NEW, caller_cwd="/caller")


def fork(
    card: Card | None, *, idle: bool, fingerprint: str | None = "f2", req: TurnRequest | None = None
) -> Entry:
    return enter_fork(
        req or request(),
        card,
        source_id=FIRST,
        new_id=NEW,
        idle=idle,
        fingerprint=fingerprint,
        caller_cwd="/caller",
    )


# --- to and from JSON

_text = st.none() | st.text()
_cards = st.builds(
    Card,
    first_id=st.from_regex(r"\w[\w-]{0,40}", fullmatch=True),
    native_id=st.from_regex(r"\w[\w-]{0,40}", fullmatch=True),
    cwd=st.text(),
    point=_text,
    finished=st.integers(min_value=0),
    failed=st.integers(min_value=0),
    fingerprint=_text,
    origin=_text,
    origin_point=_text,
    agent=st.dictionaries(st.text(), st.integers() | st.text()),
    turn_id=_text,
    directory=_text,
    marker=st.none() | st.from_regex(r"\w[\w-]{0,40}", fullmatch=True),
    unknown=st.dictionaries(st.text(min_size=1).map(lambda name: f"x_{name}"), st.integers()),
)


@given(_cards)
def test_what_is_written_comes_back(card: Card) -> None:
    assert card_from_json(card_to_json(card)) == card


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        {},
        {"first_id": "a"},
        {"first_id": 1, "native_id": "b"},
        {"first_id": "a", "native_id": "b", "finished": "two"},
        {"first_id": "a", "native_id": "b", "agent": []},
        {"first_id": "a", "native_id": None},
        {"first_id": "../../x", "native_id": "b"},
        {"first_id": "a", "native_id": "--help"},
        {"first_id": "a", "native_id": "b", "point": 7},
        {"first_id": "a", "native_id": "b", "marker": 7},
        {"first_id": "a", "native_id": "b", "marker": "../../x"},
    ],
    ids=str,
)
def test_what_is_no_card_is_none(value: object) -> None:
    assert card_from_json(value) is None


def test_fields_of_a_newer_version_are_kept() -> None:
    card = card_from_json({"first_id": "a", "native_id": "b", "tomorrow": [1]})
    assert card is not None
    assert card_to_json(card)["tomorrow"] == [1]


# --- after a turn

BUSY = dataclasses.replace(
    FAILED, agent={"pid": 1}, holder={"pid": 2}, turn_id="t", directory="/d", marker="m"
)


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        pytest.param(
            Finish(begun=True, answered=True, native_id="n3", point="p3"),
            {"native_id": "n3", "point": "p3", "finished": 3, "failed": 0},
            id="answered",
        ),
        pytest.param(
            Finish(begun=True, answered=True),
            {"native_id": NATIVE, "point": "p2", "finished": 3, "failed": 0},
            id="answered without ids",
        ),
        pytest.param(
            Finish(begun=True, native_id="n3", point="p3"),
            {"native_id": "n3", "point": "p2", "finished": 2, "failed": 2},
            id="failed",
        ),
        pytest.param(
            Finish(), {"native_id": NATIVE, "point": "p2", "finished": 2, "failed": 1}, id="never taken up"
        ),
    ],
)
def test_a_card_after_its_turn(finish: Finish, expected: dict[str, object]) -> None:
    after = settled(BUSY, finish)
    assert {name: getattr(after, name) for name in expected} == expected
    assert (after.agent, after.holder, after.turn_id, after.directory) == ({}, {}, None, None)
    assert after.marker is None


# --- ways in


def test_a_new_session() -> None:
    assert enter_new(request(), new_id=NEW, caller_cwd="/caller") == Entry(
        first_id=NEW, begin=NEW, cwd="/caller"
    )
    assert enter_new(request(cwd="/x"), new_id=NEW, caller_cwd="/caller").cwd == "/x"


@pytest.mark.parametrize(
    ("req", "card", "known", "expected"),
    [
        pytest.param(request(), None, False, {"resume": FIRST, "cwd": "/caller"}, id="by id, no card"),
        pytest.param(request(cwd="/x"), None, True, {"resume": FIRST, "cwd": "/x"}, id="by id, no card, cwd"),
        pytest.param(
            request(session="n"), None, False, {"begin": FIRST, "cwd": "/caller"}, id="by name, unknown"
        ),
        pytest.param(
            request(session="n"), None, False, {"begin": FIRST, "cwd": "/caller"}, id="by name, unseen"
        ),
        pytest.param(
            request(session="n"), None, True, {"resume": FIRST, "cwd": "/caller"}, id="by name, known"
        ),
        pytest.param(request(), FINISHED, True, {"resume": NATIVE, "cwd": "/own"}, id="goes on"),
        pytest.param(request(), FINISHED, False, {"resume": NATIVE, "cwd": "/own"}, id="goes on, unseen"),
        pytest.param(request(), FRESH, False, {"begin": NATIVE, "cwd": "/own"}, id="died early"),
        pytest.param(request(), FRESH, True, {"resume": NATIVE, "cwd": "/own"}, id="died, but was written"),
        pytest.param(
            request(after_failure="drop"),
            FAILED,
            True,
            {"resume": NATIVE, "resume_at": "p2", "cwd": "/own"},
            id="drop",
        ),
        pytest.param(
            request(after_failure="drop"),
            FINISHED,
            True,
            {"resume": NATIVE, "cwd": "/own"},
            id="nothing to drop",
        ),
        pytest.param(
            request(after_failure="drop"),
            FAILED_FIRST,
            True,
            {"begin": NEW, "cwd": "/own"},
            id="drop the first",
        ),
        pytest.param(
            request(after_failure="drop"),
            dataclasses.replace(A_FORK, failed=1),
            True,
            {"begin": NEW, "resume": "parent", "fork": True, "resume_at": "p9", "cwd": "/own"},
            id="drop the first of a fork",
        ),
        pytest.param(
            request(),
            A_FORK,
            False,
            {"begin": NATIVE, "resume": "parent", "fork": True, "resume_at": "p9", "cwd": "/own"},
            id="a fork that died early",
        ),
        pytest.param(
            request(), BY_HAND, False, {"resume": NATIVE, "cwd": "/own"}, id="begun by hand, unseen"
        ),
    ],
)
def test_going_on(req: TurnRequest, card: Card | None, known: bool, expected: dict[str, Any]) -> None:
    assert enter(req, card, known) == Entry(first_id=FIRST, **expected)


def test_a_fork_that_died_early_is_not_begun_again_anywhere() -> None:
    with pytest.raises(SessionError, match="fork parent again"):
        enter(request(), FORKED_ANYWHERE, known=False)


@pytest.mark.parametrize("card", [FORKED_ANYWHERE, BY_HAND], ids=["fork", "by hand"])
def test_without_a_point_before_it_a_failure_cannot_be_dropped(card: Card) -> None:
    entry = enter(request(after_failure="drop"), dataclasses.replace(card, failed=1))
    assert (entry.begin, entry.resume, entry.resume_at) == (None, NATIVE, None)
    assert entry.notices[0].endswith("nothing can be dropped")


def test_a_kept_failure_is_announced() -> None:
    assert "the prompt of a turn" in enter(request(), FAILED).notices[0]
    assert "the prompts of 3 turns" in enter(request(), dataclasses.replace(FAILED, failed=3)).notices[0]


def test_what_somebody_else_added_is_not_dropped_with_a_failure() -> None:
    req = request(after_failure="drop")
    entry = enter_session(
        req, FAILED, first_id=FIRST, known=True, moved=True, new_id=NEW, caller_cwd="/caller"
    )
    assert (entry.resume, entry.resume_at, entry.begin) == (NATIVE, None, None)
    assert entry.notices[0].endswith("somebody else went on in the session since, so nothing was dropped")


def test_another_directory_wins_and_is_said() -> None:
    entry = enter(request(cwd="/other"), FINISHED)
    assert entry.cwd == "/other"
    assert "/own" in entry.notices[0]
    assert enter(request(cwd="/own"), FINISHED).notices == ()
    assert enter(request(), dataclasses.replace(FINISHED, cwd="")).cwd == "/caller"


@pytest.mark.parametrize(
    ("card", "idle", "fingerprint", "resume", "resume_at"),
    [
        pytest.param(FINISHED, True, "f2", NATIVE, "p2", id="idle"),
        pytest.param(FINISHED, False, "f3", NATIVE, "p2", id="busy"),
        pytest.param(FAILED, True, "f3", NATIVE, "p2", id="after a failed turn"),
        pytest.param(FINISHED, True, "f3", NATIVE, None, id="somebody else went on"),
        pytest.param(None, True, "f1", FIRST, None, id="begun by hand"),
        pytest.param(BY_HAND, True, "f1", NATIVE, None, id="begun by hand, our turn died early"),
        pytest.param(A_FORK, True, "f1", "parent", "p9", id="a fork that died early"),
        pytest.param(A_FORK, False, "f1", "parent", "p9", id="a fork in its first turn"),
    ],
)
def test_forking(card: Card | None, idle: bool, fingerprint: str, resume: str, resume_at: str | None) -> None:
    entry = fork(card, idle=idle, fingerprint=fingerprint)
    assert (entry.first_id, entry.begin, entry.native_id, entry.fork) == (NEW, NEW, NEW, True)
    assert (entry.resume, entry.resume_at) == (resume, resume_at)
    assert entry.cwd == ("/own" if card else "/caller")


@pytest.mark.parametrize(
    ("card", "idle", "error"),
    [
        pytest.param(None, False, SessionBusyError, id="busy, begun by hand"),
        pytest.param(FRESH, False, SessionBusyError, id="busy with its first turn"),
        pytest.param(FRESH, True, SessionError, id="nothing finished"),
        pytest.param(FAILED_FIRST, True, SessionError, id="its only turn failed"),
        pytest.param(
            dataclasses.replace(BY_HAND, failed=1), True, SessionError, id="begun by hand, our turn failed"
        ),
        pytest.param(BY_HAND, False, SessionBusyError, id="begun by hand, busy"),
    ],
)
def test_nothing_to_fork(card: Card | None, idle: bool, error: type[Exception]) -> None:
    with pytest.raises(error):
        fork(card, idle=idle)


def test_a_fork_runs_where_it_is_told() -> None:
    entry = fork(FINISHED, idle=True, req=request(cwd="/other"))
    assert (entry.cwd, len(entry.notices)) == ("/other", 1)
    assert fork(None, idle=True, req=request(cwd="/other")).cwd == "/other"


BEGIN = Entry(first_id=FIRST, begin=FIRST, cwd="/")
RESUME = Entry(first_id=FIRST, resume=NATIVE, resume_at="p", cwd="/")
FORK = Entry(first_id=NEW, begin=NEW, resume=NATIVE, fork=True, cwd="/")


@pytest.mark.parametrize(
    ("entry", "refused", "card", "req", "expected"),
    [
        pytest.param(
            BEGIN,
            "taken",
            None,
            request(session="n"),
            Entry(first_id=FIRST, resume=FIRST, cwd="/"),
            id="taken",
        ),
        pytest.param(
            RESUME, "unknown", FRESH, request(), Entry(first_id=FIRST, begin=NATIVE, cwd="/"), id="died early"
        ),
        pytest.param(
            RESUME,
            "unknown",
            None,
            request(session="n"),
            Entry(first_id=FIRST, begin=NATIVE, cwd="/"),
            id="by name",
        ),
        pytest.param(RESUME, "unknown", None, request(), None, id="unknown id"),
        pytest.param(RESUME, "unknown", FINISHED, request(session="n"), None, id="its history is gone"),
        pytest.param(RESUME, "taken", FRESH, request(), None, id="taken although resumed"),
        pytest.param(BEGIN, "unknown", FRESH, request(), None, id="unknown although begun"),
        pytest.param(BEGIN, None, None, request(), None, id="not refused"),
        pytest.param(FORK, "taken", None, request(), None, id="a fork under a taken id"),
        pytest.param(FORK, "unknown", FRESH, request(), None, id="a fork of nothing"),
        pytest.param(
            FORK,
            "taken",
            A_FORK,
            request(),
            Entry(first_id=NEW, resume=NEW, cwd="/"),
            id="it is there already",
        ),
        pytest.param(
            RESUME,
            "unknown",
            A_FORK,
            request(),
            Entry(first_id=FIRST, begin=NATIVE, resume="parent", fork=True, resume_at="p9", cwd="/"),
            id="a fork that died early",
        ),
        pytest.param(RESUME, "unknown", BY_HAND, request(), None, id="begun by hand, its history is gone"),
    ],
)
def test_the_other_way_in(
    entry: Entry, refused: str | None, card: Card | None, req: TurnRequest, expected: Entry | None
) -> None:
    assert reenter(entry, refused, card, req) == expected


def test_a_missing_directory_is_refused_by_what_named_it() -> None:
    entry = Entry(first_id=FIRST, begin=FIRST, cwd="/gone")
    check_directory(entry, exists=True, explicit=True)
    with pytest.raises(InvalidRequestError, match="cwd '/gone' is no directory"):
        check_directory(entry, exists=False, explicit=True)
    with pytest.raises(InvalidRequestError, match="own directory '/gone' is gone"):
        check_directory(entry, exists=False, explicit=False)
    with pytest.raises(InvalidRequestError, match="current directory no longer exists"):
        check_directory(dataclasses.replace(entry, cwd=""), exists=False, explicit=False)
