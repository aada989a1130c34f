"""The records of what happens in a turn: plain, frozen, and all of them part of ``TurnEvent``."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from decimal import Decimal
from typing import get_args

import pytest

from mcp_coder import llm_events
from mcp_coder.llm_events import (
    ModelUsage,
    Notice,
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
    TurnFinished,
    Usage,
    UsageReported,
)
from mcp_coder.llm_types import LLMResponseDict

RESPONSE: LLMResponseDict = {
    "version": "1.0",
    "timestamp": "2026-01-31T12:00:00+00:00",
    "text": "Hello",
    "session_id": None,
    "method": "cli",
    "provider": "claude",
    "raw_response": {},
}

EVERY = [
    SessionStarted(session_id="s", model="m", version="2.1.330"),
    TextDelta(text="Hel"),
    ThinkingDelta(text="hm"),
    ToolStarted(call_id="c", name="Bash", input={"command": "ls"}),
    ToolFinished(call_id="c", output="a", is_error=True),
    Retry(attempt=2, status=529, delay=0.5),
    Notice(text="x"),
    UsageReported(usage=Usage(input_tokens=1)),
    TurnFinished(response=RESPONSE),
    Usage(input_tokens=1, output_tokens=2, cost_usd=Decimal("0.01"), models=(ModelUsage(model="m"),)),
    ModelUsage(model="m", input_tokens=1, cost_usd=Decimal("0.01")),
]


def test_every_event_is_a_turn_event_and_public() -> None:
    events = {type(record) for record in EVERY} - {Usage, ModelUsage}
    assert set(get_args(TurnEvent)) == events
    assert set(llm_events.__all__) == {cls.__name__ for cls in events} | {"ModelUsage", "TurnEvent", "Usage"}


@pytest.mark.parametrize("record", EVERY, ids=lambda record: type(record).__name__)
def test_a_record_is_a_plain_value(record: TurnEvent | Usage | ModelUsage) -> None:
    first = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, first, None)
    with pytest.raises(TypeError):
        type(record)(getattr(record, first))  # type: ignore[call-arg]  # keyword-only
    for again in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert again == record
    assert not hasattr(record, "__dict__")


def test_what_is_not_known_of_a_cost_is_none_and_never_zero() -> None:
    unknown = Usage()
    assert (unknown.cost_usd, unknown.total_cost_usd) == (None, None)
    assert (unknown.baseline_usd, unknown.unrecorded_usd, unknown.basis) == (None, None, "unknown")
    assert unknown.thinking_tokens is None
    assert ModelUsage(model="m").cost_usd is None


def test_what_a_model_used_has_the_fields_of_what_the_turn_used() -> None:
    of_turn = {field.name for field in dataclasses.fields(Usage)}
    assert {field.name for field in dataclasses.fields(ModelUsage)} - of_turn == {"model"}


def test_what_may_be_left_out() -> None:
    assert SessionStarted(session_id="s") == SessionStarted(session_id="s", model="", version="")
    assert TextDelta(text="a") == TextDelta(text="a", part=1)
    assert ToolFinished(call_id="c", output="") == ToolFinished(
        call_id="c", output="", is_error=False, name=""
    )
    assert Retry(attempt=1) == Retry(attempt=1, status=None, delay=None)
