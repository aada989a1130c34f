from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from tests.llm_store.export_samples import SESSION_ID, objects, response

from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers.base import Finish
from mcp_coder.llm_serialization import deserialize_llm_response
from mcp_coder.llm_sessions.records import Reading
from mcp_coder.llm_sessions.stored_responses import answer_key, stored_answer, time_of

RECORDED = Path(__file__).parents[1] / "data" / "response-1.0.json"
ANSWERED = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
READING = Reading(
    usage=Usage(cost_usd=Decimal("0.05")),
    version=3,
    counter={"total_cost_usd": 0.05},
    model="claude-opus-5-5",
    finish=Finish(answered=True, native_id="native", point="point"),
)


def test_a_recorded_response_becomes_a_turn_without_a_prompt() -> None:
    stored = deserialize_llm_response(RECORDED)
    begun, ended = stored_answer(stored).turn(READING)
    assert (begun.session_id, begun.prompt, begun.provider, begun.method) == (
        stored["session_id"],
        "",
        "claude",
        "cli",
    )
    assert begun.native_id == ended.native_id == "native"
    assert (ended.state, ended.text, ended.response) == ("succeeded", "Noted: blue", stored)
    assert (ended.usage, ended.reading, ended.counter) == (READING.usage, 3, READING.counter)
    assert ended.point == "point"
    assert ended.ended_at - begun.started_at == timedelta(milliseconds=502)
    assert ended.notices == ("imported from a stored response, which has no prompt",)
    assert ended.events == ()


def test_its_session_is_called_by_the_answer() -> None:
    session = stored_answer(response("Noted:\n blue" + " and more" * 20)).session()
    assert session.session_id == SESSION_ID
    assert session.title.startswith("(answer) Noted: blue and more")
    assert len(session.title) <= 100
    assert session.title.endswith("…")
    assert stored_answer(response("")).session().title == "(answer)"


def test_a_fork_cannot_start_where_the_answer_is_not_part_of_the_past() -> None:
    unanswered = Reading(
        usage=Usage(), version=1, counter=None, model=None, finish=Finish(answered=False, point="point")
    )
    assert stored_answer(response()).turn(unanswered)[1].point is None


# --- its id


def test_the_id_is_made_from_the_response_and_is_in_the_order_of_time() -> None:
    first = stored_answer(response("one")).turn_id
    assert first == stored_answer(response("one")).turn_id
    assert first != stored_answer(response("two")).turn_id
    assert uuid.UUID(first).version == 7
    assert uuid.UUID(first).variant == uuid.RFC_4122
    assert int(uuid.UUID(first)) >> 80 == int(ANSWERED.timestamp() * 1000)
    later = stored_answer(response("one", timestamp="2026-01-31T12:00:05.000001+00:00")).turn_id
    assert first[:18] <= later[:18]
    assert stored_answer(response("one", timestamp="2026-01-31T12:00:05.001+00:00")).turn_id > first


@given(objects)
def test_any_response_has_an_id(raw: dict[str, object]) -> None:
    assert uuid.UUID(stored_answer(response(raw_response=raw)).turn_id).version == 7


# --- when


@pytest.mark.parametrize(
    ("timestamp", "zoned"),
    [
        ("2026-01-31T12:00:05+00:00", True),
        ("2026-01-31T14:00:05+02:00", True),
        ("2026-01-31T12:00:05Z", True),
        ("2026-01-31T12:00:05", False),
    ],
)
def test_times_are_read_and_one_without_a_zone_is_told(timestamp: str, zoned: bool) -> None:
    answer = stored_answer(response(timestamp=timestamp))
    assert (answer.ended_at, answer.zoned) == (ANSWERED, zoned)
    assert time_of(answer.response) == ANSWERED
    notices = answer.turn(READING)[1].notices
    assert ("its time was stored without a zone, and taken as UTC" in notices) is not zoned


def test_a_response_that_does_not_tell_its_time_comes_first() -> None:
    assert time_of(response(timestamp="soon")) < time_of(response(timestamp="1971-01-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ({"duration_ms": 2500}, 2.5),
        ({"result_info": {"duration_ms": 1500}}, 1.5),
        ({}, 0),
        ({"duration_ms": -1}, 0),
        ({"duration_ms": 1e300}, 0),
        ({"duration_ms": True}, 0),
        ({"duration_ms": "5"}, 0),
    ],
)
def test_a_turn_began_as_long_before_as_the_agent_said(raw: dict[str, object], seconds: float) -> None:
    answer = stored_answer(response(raw_response=raw))
    assert answer.started_at == ANSWERED - timedelta(seconds=seconds)


# --- what the agent said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"type": "result", "result": "x"}, ({"type": "result", "result": "x"},)),
        (
            {"raw_messages": [{"type": "system"}, 5, {"type": "result"}]},
            ({"type": "system"}, {"type": "result"}),
        ),
        ({"result_info": {"result": "x"}}, ({"type": "result", "result": "x"},)),
        ({}, ()),
        ("text", ()),
    ],
    ids=["cli", "api", "api without messages", "nothing", "no object"],
)
def test_the_agents_own_words_are_found(raw: object, said: tuple[object, ...]) -> None:
    assert stored_answer(response(raw_response=raw)).events == said


def test_the_sdk_says_where_and_with_which_version() -> None:
    raw = {"session_info": {"version": "2.1.330", "cwd": "/home/dev/project"}, "raw_messages": []}
    answer = stored_answer(response(raw_response=raw, method="api"))
    begun, _ = answer.turn(READING)
    assert (begun.agent_version, begun.cwd) == ("2.1.330", "/home/dev/project")
    assert answer.session().cwd == "/home/dev/project"


def test_what_a_hand_made_response_lacks_stays_empty() -> None:
    bare: Any = {"version": "1.0", "session_id": SESSION_ID, "timestamp": "2026-01-31T12:00:05Z"}
    answer = stored_answer(bare)
    assert (answer.text, answer.method, answer.provider, answer.version, answer.cwd) == ("", "", "", "", None)


# --- what cannot become a turn


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"session_id": None}, "it belongs to no session: it has no session_id"),
        ({"session_id": 5}, "its session_id is no id"),
        ({"session_id": ""}, "its session_id is no id"),
        ({"session_id": "--dangerously-skip-permissions"}, "its session_id is no id"),
        ({"session_id": "../../x"}, "its session_id is no id"),
        ({"session_id": SESSION_ID + "\n"}, "its session_id is no id"),
        ({"timestamp": None}, "its timestamp is no time"),
        ({"timestamp": "yesterday"}, "its timestamp is no time"),
        ({"timestamp": "0001-01-01T00:00:00+05:00"}, "its timestamp is no time"),
        ({"timestamp": "1969-07-20T20:17:00Z"}, "its timestamp is no time of an answer"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_become_a_turn_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        stored_answer(response(**changes))  # type: ignore[arg-type]  # that is what is tested


def test_a_response_nested_too_deeply_is_refused() -> None:
    value: dict[str, object] = {}
    for _ in range(100_000):
        value = {"in": value}
    with pytest.raises(ValueError, match="it is nested too deeply"):
        stored_answer(response(raw_response=value))


# --- the same answer, recorded before


@pytest.mark.parametrize(
    ("raw", "same"),
    [
        ({"uuid": "u"}, True),  # ids are never taken out, texts may be
        ({"result_info": {"uuid": "u"}}, True),
        ({}, False),
    ],
)
def test_an_answer_is_known_by_its_id_or_else_its_text(raw: dict[str, object], same: bool) -> None:
    whole, cleaned = (response(text, raw_response=raw) for text in ("secret", "[redacted]"))
    assert (answer_key(whole) == answer_key(cleaned)) is same
    assert stored_answer(whole).key == answer_key(whole)
    assert answer_key(whole) != answer_key(
        response("secret", raw_response=raw, timestamp="2026-01-31T12:00:06Z")
    )
