from __future__ import annotations

import dataclasses
import json
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from tests.llm_store.export_samples import NOON, session, sessions, turn, turns

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import SessionRecord, TurnRecord
from mcp_coder.llm_store.export_records import (
    session_from,
    session_json,
    turn_from,
    turn_json,
    unknown_fields,
)


def names(record: type) -> set[str]:
    return {field.name for field in dataclasses.fields(record)}


def again(value: object) -> Any:
    return json.loads(json.dumps(value))


def test_every_field_of_a_record_is_written() -> None:
    used = Usage(models=(ModelUsage(model="a"),))
    written: Any = turn_json(turn(usage=used))
    assert set(session_json(session())) == names(SessionRecord)
    assert set(written) == names(TurnRecord)
    assert set(written["usage"]) == names(Usage)
    assert set(written["usage"]["models"][0]) == names(ModelUsage)


@given(sessions)
def test_a_session_comes_back_equal(record: SessionRecord) -> None:
    assert session_from(again(session_json(record))) == record


@given(turns)
def test_a_turn_comes_back_equal(record: TurnRecord) -> None:
    found = turn_from(again(turn_json(record)))
    assert found == record
    assert found.started_at.tzinfo is UTC


@pytest.mark.parametrize(
    "amount", ["0.1", "0.049283999999999994", "1E-7", "12345678901234567890.123456789", "-2"]
)
def test_dollars_are_exact_decimals_as_text(amount: str) -> None:
    written: Any = turn_json(turn(usage=Usage(cost_usd=Decimal(amount))))
    assert written["usage"]["cost_usd"] == amount
    assert turn_from(again(written)).usage.cost_usd == Decimal(amount)


def test_unknown_dollars_are_null() -> None:
    written: Any = turn_json(turn(usage=Usage()))
    assert written["usage"]["cost_usd"] is None


def test_times_are_iso_8601_in_utc() -> None:
    assert turn_json(turn())["started_at"] == NOON.isoformat() == "2026-01-31T12:00:00+00:00"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("turn_id", "--dangerously-skip-permissions", "is no id"),
        ("turn_id", "../../x", "is no id"),
        ("session_id", "", "is no id"),
        ("session_id", "a b", "is no id"),
        ("session_id", "x" * 201, "is no id"),
        ("session_id", 7, "is no id"),
        ("native_id", ".hidden", "is no id"),
        ("number", True, "is no whole number from 0 on"),
        ("number", -1, "is no whole number from 0 on"),
        ("number", 2**63, "is no whole number from 0 on"),
        ("number", "1", "is no whole number from 0 on"),
        ("state", "done", "'done' is none of started, "),
        ("prompt", None, "is no text"),
        ("model", 5, "is no text"),
        ("started_at", "yesterday", "is no time with its UTC offset"),
        ("started_at", "2026-01-31T12:00:00", "is no time with its UTC offset"),
        ("started_at", "0001-01-01T00:00:00+10:00", "is no time with its UTC offset"),
        ("started_at", 5, "is no time with its UTC offset"),
        ("ended_at", None, "a turn that has ended needs a time"),
        ("error", "broken", "is no JSON object"),
        ("options", None, "is no JSON object"),
        ("notices", "one", "is no list"),
        ("notices", [5], "is no text"),
        ("usage", None, "is no JSON object"),
        ("usage", {}, "input_tokens: is missing"),
    ],
)
def test_a_field_that_is_none_is_named(field: str, value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: .*{reason}"):
        turn_from({**turn_json(turn()), field: value})


@pytest.mark.parametrize("amount", [0.5, 1, "NaN", "Infinity", "1e99999", "1_000", "", "0x1", "١"])
def test_what_is_no_exact_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match="cost_usd: is no decimal number as text"):
        session_from({**session_json(session()), "cost_usd": amount})


def test_a_missing_field_is_named() -> None:
    written = turn_json(turn())
    del written["prompt"]
    with pytest.raises(ValueError, match="prompt: is missing"):
        turn_from(written)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_what_is_no_object_is_no_record(value: object) -> None:
    with pytest.raises(ValueError, match="is no JSON object"):
        session_from(value)


def test_a_turn_under_way_needs_no_end() -> None:
    record = turn(state="started", ended_at=None)
    assert turn_from(turn_json(record)) == record


def test_fields_of_a_newer_version_are_left_out_and_told() -> None:
    written: Any = {**turn_json(turn()), "mood": "good", "response": None, "events": []}
    written["usage"] = {**written["usage"], "energy_kwh": 0.1}
    assert turn_from(written) == turn()
    assert unknown_fields(written, of="turn") == ("turn.mood", "turn.usage.energy_kwh")
    known = {**session_json(session()), "parent_turn_id": None}
    assert unknown_fields(known, of="session") == ()
    assert unknown_fields({"usage": None}, of="turn") == ()
