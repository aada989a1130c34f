"""Every event as plain JSON, as the documents describe it."""

import doctest
import json
import re
from decimal import Decimal
from typing import get_args

import pytest
from tests.doc_blocks import ROOT

from mcp_coder import llm_event_json
from mcp_coder.llm_event_json import event_to_json
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
    "text": "Noted",
    "session_id": "5fb8e1b7-5135-4c68-b20c-5f5a207a457a",
    "method": "cli",
    "provider": "claude",
    "raw_response": {"result": "Noted"},
}
NO_TOKENS = {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0}

CASES: dict[str, tuple[TurnEvent, dict[str, object]]] = {
    "session started": (
        SessionStarted(session_id="s", model="m", version="2.1.330"),
        {"type": "session_started", "session_id": "s", "model": "m", "version": "2.1.330"},
    ),
    "text": (TextDelta(text="Grüße\n", part=2), {"type": "text", "text": "Grüße\n", "part": 2}),
    "thinking": (ThinkingDelta(text="hm"), {"type": "thinking", "text": "hm"}),
    "tool started": (
        ToolStarted(call_id="c", name="Bash", input={"command": "ls", "at": [1, {"x": float("inf")}]}),
        {
            "type": "tool_started",
            "call_id": "c",
            "name": "Bash",
            "input": {"command": "ls", "at": [1, {"x": None}]},
        },
    ),
    "tool finished": (
        ToolFinished(call_id="c", name="Bash", output="a", is_error=True),
        {"type": "tool_finished", "call_id": "c", "name": "Bash", "output": "a", "is_error": True},
    ),
    "notice": (Notice(text="x"), {"type": "notice", "text": "x"}),
    "retry": (
        Retry(attempt=2, status=529, delay=0.5),
        {"type": "retry", "attempt": 2, "status": 529, "delay": 0.5},
    ),
    "retry bare": (Retry(attempt=1), {"type": "retry", "attempt": 1, "status": None, "delay": None}),
    "usage": (
        UsageReported(
            usage=Usage(
                input_tokens=1,
                output_tokens=2,
                cache_read_tokens=3,
                cache_write_tokens=4,
                thinking_tokens=1,
                cost_usd=Decimal("0.1") + Decimal("0.2"),
                total_cost_usd=Decimal("1.30"),
                basis="cumulative",
                baseline_usd=Decimal(1),
                unrecorded_usd=Decimal(0),
                models=(ModelUsage(model="m", cost_usd=Decimal("0.3")),),
            )
        ),
        {
            "type": "usage",
            "cost_usd": 0.3,
            "total_cost_usd": 1.3,
            "basis": "cumulative",
            "baseline_usd": 1.0,
            "unrecorded_usd": 0.0,
            "tokens": {"input": 1, "output": 2, "cache_read": 3, "cache_write": 4, "thinking": 1},
            "models": [{"model": "m", "cost_usd": 0.3, "tokens": NO_TOKENS}],
        },
    ),
    "usage unknown": (
        UsageReported(usage=Usage()),
        {
            "type": "usage",
            "cost_usd": None,
            "total_cost_usd": None,
            "basis": "unknown",
            "baseline_usd": None,
            "unrecorded_usd": None,
            "tokens": {**NO_TOKENS, "thinking": None},
            "models": [],
        },
    ),
    "finished": (TurnFinished(response=RESPONSE), {"type": "finished", "response": RESPONSE}),
}


@pytest.mark.parametrize(("event", "document"), CASES.values(), ids=CASES)
def test_an_event_as_json(event: TurnEvent, document: dict[str, object]) -> None:
    assert event_to_json(event) == document
    assert json.loads(json.dumps(event_to_json(event), allow_nan=False)) == document


def test_every_event_has_its_shape_and_its_row_in_the_documents() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (.*?) \| ", (ROOT / "docs/streaming.md").read_text("utf-8"), re.MULTILINE
    )
    told = {type(event).__name__: event_to_json(event) for event, _ in CASES.values()}
    assert {name: kind for name, kind, _ in rows} == {name: each["type"] for name, each in told.items()}
    assert set(told) == {kind.__name__ for kind in get_args(TurnEvent)}
    for name, kind, fields in rows:
        if kind != "usage":
            assert [key for key in told[name] if key != "type" and f"`{key}`" not in fields] == []


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(llm_event_json).failed == 0
