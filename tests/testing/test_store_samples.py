"""Records for tests of stores: whole ones, that differ in what is asked for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from mcp_coder.llm_serialization import from_json_string, to_json_string
from mcp_coder.testing.store_samples import (
    at,
    new_turn,
    sample_response,
    session_record,
    turn_ending,
    usage_of_dollars,
)


def test_turns_go_by_their_number() -> None:
    first, second = new_turn(1), new_turn(2, prompt="Hello")
    assert first.turn_id < second.turn_id
    assert second.started_at - first.started_at == timedelta(minutes=1)
    assert (first.prompt, second.prompt) == ("prompt 1", "Hello")
    assert turn_ending(1).ended_at - first.started_at == timedelta(seconds=30)


def test_a_usage_has_its_dollars_in_the_first_model() -> None:
    usage = usage_of_dollars("0.5", "large", "small")
    assert usage.cost_usd == Decimal("0.5")
    assert [(model.model, model.cost_usd) for model in usage.models] == [
        ("large", Decimal("0.5")),
        ("small", 0),
    ]
    assert usage_of_dollars(None).cost_usd is None


def test_a_session_without_turns() -> None:
    assert session_record("a", minute=3).updated_at == at(3)
    assert session_record("a", name="x").name == "x"


def test_the_response_is_hard_to_keep_but_can_be_kept() -> None:
    response = sample_response("text", more=1)
    assert from_json_string(to_json_string(response)) == response
