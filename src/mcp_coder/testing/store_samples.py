"""Records for tests of stores: a turn, its ending, a session; each with all its fields, or those that a test names.

Nothing comes in but what shall differ; records go out. Their times go by one minute a turn from the first of 2026 on.
Nothing here does I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import NewTurn, SessionRecord, TurnEnding

if TYPE_CHECKING:
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["at", "new_turn", "sample_response", "session_record", "turn_ending", "usage_of_dollars"]

_BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minute: float) -> datetime:
    """Return a time: so many minutes after noon of the first of January 2026, in UTC."""
    return _BEGAN + timedelta(minutes=minute)


def new_turn(number: int = 1, session_id: str = "session-a", **fields: Any) -> NewTurn:
    """Return a turn that begins: the id and the time go by the number, other fields are as they are given.

    Example:
        >>> new_turn(7, prompt="Hello").turn_id
        'turn-000007'
    """
    known: dict[str, Any] = {
        "turn_id": f"turn-{number:06d}",
        "session_id": session_id,
        "provider": "claude",
        "method": "cli",
        "prompt": f"prompt {number}",
        "started_at": at(number),
    }
    return NewTurn(**{**known, **fields})


def turn_ending(number: int = 1, **fields: Any) -> TurnEnding:
    """Return how a turn ended: half a minute after its beginning, successfully if nothing else is said."""
    known: dict[str, Any] = {"state": "succeeded", "ended_at": at(number + 0.5), "text": f"answer {number}"}
    return TurnEnding(**{**known, **fields})


def usage_of_dollars(dollars: str | None, *models: str, **fields: Any) -> Usage:
    """Return a usage of so many dollars; all of them by the first model, the other models for nothing."""
    cost = None if dollars is None else Decimal(dollars)
    parts = [
        ModelUsage(model=model, input_tokens=10, output_tokens=1, cost_usd=Decimal(0) if place else cost)
        for place, model in enumerate(models)
    ]
    known: dict[str, Any] = {"input_tokens": 10, "output_tokens": 1, "cost_usd": cost, "models": tuple(parts)}
    return Usage(**{**known, **fields})


def session_record(session_id: str = "session-a", minute: float = 0, **fields: Any) -> SessionRecord:
    """Return a session without turns."""
    known: dict[str, Any] = {
        "session_id": session_id,
        "provider": "claude",
        "created_at": at(minute),
        "updated_at": at(minute),
        "cost_usd": Decimal(0),
        "unrecorded_usd": Decimal(0),
    }
    return SessionRecord(**{**known, **fields})


def sample_response(text: str = "Noted: blue", **raw: object) -> LLMResponseDict:
    """Return a response with what is hard to keep: unknown keys, their order, large integers, odd characters."""
    response: Any = {
        "version": "1.0",
        "timestamp": "2026-01-01T12:00:00+00:00",
        "text": text,
        "session_id": None,
        "method": "cli",
        "provider": "claude",
        "raw_response": {
            "z": 10**30,
            "a": [1.5, -0.0, True, None, {}],
            "odd": "\x00 \ud800 é 😀",
            "": "",
            **raw,
        },
        "of a later version": {"b": 1, "a": 2},
    }
    found: LLMResponseDict = response
    return found
