"""Records for the tests of what people are shown: made by hand, or recorded in a real store."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import NewTurn, SessionRecord, Store, TurnEnding, TurnRecord

FIRST = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
ALIKE = "5fb8e1b7-9a00-4c68-b20c-5f5a207a457a"
OTHER = "c0ffee00-0000-4000-8000-000000000001"
BEGUN = datetime(2026, 1, 31, 12, tzinfo=UTC)
USAGE = Usage(
    input_tokens=10,
    output_tokens=20,
    cache_read_tokens=3000,
    cache_write_tokens=40,
    cost_usd=Decimal("0.00063"),
)
CLEARS_SCREEN = "\x1b[2J\x07\u202e"
"""What no text may do to a terminal."""


def new_session(**changes: Any) -> SessionRecord:
    """Return a session as a store would."""
    plain = SessionRecord(
        session_id=FIRST,
        provider="claude",
        title="My favorite color is blue",
        created_at=BEGUN,
        updated_at=BEGUN,
        turns=1,
        cost_usd=Decimal("0.0500"),
        unrecorded_usd=Decimal(0),
    )
    return dataclasses.replace(plain, **changes)


def new_turn_record(**changes: Any) -> TurnRecord:
    """Return a turn as a store would."""
    plain = TurnRecord(
        turn_id="turn-1",
        session_id=FIRST,
        number=1,
        parent_turn_id=None,
        state="succeeded",
        provider="claude",
        method="cli",
        prompt="My favorite color is blue",
        text="Noted",
        started_at=BEGUN,
        ended_at=BEGUN + timedelta(seconds=1.25),
        error=None,
        usage=USAGE,
        reading=1,
        model="claude-sonnet-4-5",
        native_id=FIRST,
        point=None,
        cwd="/home/dev/project",
        config_dir=None,
        agent_version="2.1.330",
        mcp_coder_version="0.2.0",
        host="machine",
        directory=None,
        options={},
        counter=None,
        baseline=None,
        carried=(),
        notices=(),
        redactions=0,
    )
    return dataclasses.replace(plain, **changes)


_numbers = itertools.count(1)


def journal(store: Store, prompt: str = "My favorite color is blue", **changes: Any) -> TurnRecord:
    """Begin a turn in a store; it is under way until ``finish``."""
    plain = NewTurn(
        turn_id=f"{next(_numbers):08}",
        session_id=FIRST,
        provider="claude",
        method="cli",
        prompt=prompt,
        started_at=BEGUN,
        cwd="/home/dev/project",
        project="/home/dev/project",
    )
    return store.begin_turn(dataclasses.replace(plain, **changes))


def finish(store: Store, turn: TurnRecord, text: str = "Noted", **changes: Any) -> TurnRecord:
    """End a turn with an answer and return what is recorded of it."""
    plain = TurnEnding(
        state="succeeded",
        ended_at=turn.started_at + timedelta(seconds=1.25),
        text=text,
        response={
            "version": "1.0",
            "timestamp": "2026-01-31T12:00:01+00:00",
            "text": text,
            "session_id": turn.session_id,
            "method": turn.method,
            "provider": turn.provider,
            "raw_response": {"type": "result", "result": text, "total_cost_usd": 0.00063},
        },
        usage=USAGE,
        reading=1,
        model="claude-sonnet-4-5",
    )
    assert store.end_turn(turn.turn_id, dataclasses.replace(plain, **changes))
    return store.turn(turn.turn_id)


def record(
    store: Store, prompt: str = "My favorite color is blue", text: str = "Noted", **changes: Any
) -> TurnRecord:
    """Record a whole turn; what ``TurnEnding`` has a field for is the ending's."""
    ended = {name: value for name, value in changes.items() if name in TurnEnding.__dataclass_fields__}
    begun = {name: value for name, value in changes.items() if name not in ended}
    return finish(store, journal(store, prompt, **begun), text, **ended)


def used_by(model: str, cost: str, tokens: int = 100) -> Usage:
    """Return the usage of a turn in which one model worked."""
    part = ModelUsage(model=model, input_tokens=tokens, output_tokens=tokens, cost_usd=Decimal(cost))
    return Usage(input_tokens=tokens, output_tokens=tokens, cost_usd=Decimal(cost), models=(part,))


def tool_events(*calls: tuple[str, Mapping[str, object], bool]) -> list[Mapping[str, object]]:
    """Return what the agent prints when it calls tools: name, arguments, whether it failed."""
    events: list[Mapping[str, object]] = []
    for number, (name, arguments, failed) in enumerate(calls):
        use = {"type": "tool_use", "id": f"call-{number}", "name": name, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": f"call-{number}", "content": "x", "is_error": failed}
        events.append({"type": "assistant", "message": {"content": [use]}})
        events.append({"type": "user", "message": {"content": [result]}})
    return events
