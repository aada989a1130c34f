"""The events of a turn as plain JSON: each a flat object whose ``type`` says which event it is.

An event comes in, a dict of texts, numbers, booleans, lists, dicts and None goes out. The shapes are stable: keys are
added, never renamed or taken away. Dollars are numbers, as many digits as are known, or null where they are unknown.
Nothing here does I/O or raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_coder.llm_events import (
    Notice,
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    UsageReported,
)

if TYPE_CHECKING:
    from mcp_coder.llm_events import ModelUsage, TurnEvent, Usage

__all__ = ["event_to_json"]

_Document = dict[str, object]


def event_to_json(event: TurnEvent) -> dict[str, object]:
    """Return an event as plain JSON.

    Example:
        >>> event_to_json(TextDelta(text="Noted"))
        {'type': 'text', 'text': 'Noted', 'part': 1}
    """
    name, fields = _DOCUMENTS[type(event)]
    return {"type": name, **fields(event)}


def _session_started(event: SessionStarted) -> _Document:
    return {"session_id": event.session_id, "model": event.model, "version": event.version}


def _text(event: TextDelta) -> _Document:
    return {"text": event.text, "part": event.part}


def _thinking(event: ThinkingDelta) -> _Document:
    return {"text": event.text}


def _tool_started(event: ToolStarted) -> _Document:
    return {"call_id": event.call_id, "name": event.name, "input": _plain(event.input)}


def _tool_finished(event: ToolFinished) -> _Document:
    return {
        "call_id": event.call_id,
        "name": event.name,
        "output": event.output,
        "is_error": event.is_error,
    }


def _notice(event: Notice) -> _Document:
    return {"text": event.text}


def _retry(event: Retry) -> _Document:
    return {"attempt": event.attempt, "status": event.status, "delay": event.delay}


def _usage(event: UsageReported) -> _Document:
    usage = event.usage
    return {
        "cost_usd": _dollars(usage.cost_usd),
        "total_cost_usd": _dollars(usage.total_cost_usd),
        "basis": usage.basis,
        "baseline_usd": _dollars(usage.baseline_usd),
        "unrecorded_usd": _dollars(usage.unrecorded_usd),
        "tokens": {**_tokens(usage), "thinking": usage.thinking_tokens},
        "models": [_model(model) for model in usage.models],
    }


def _model(model: ModelUsage) -> _Document:
    return {"model": model.model, "cost_usd": _dollars(model.cost_usd), "tokens": _tokens(model)}


def _finished(event: TurnFinished) -> _Document:
    return {"response": dict(event.response)}


_DOCUMENTS: Mapping[type, tuple[str, Callable[..., _Document]]] = {
    SessionStarted: ("session_started", _session_started),
    TextDelta: ("text", _text),
    ThinkingDelta: ("thinking", _thinking),
    ToolStarted: ("tool_started", _tool_started),
    ToolFinished: ("tool_finished", _tool_finished),
    Notice: ("notice", _notice),
    Retry: ("retry", _retry),
    UsageReported: ("usage", _usage),
    TurnFinished: ("finished", _finished),
}
"""Event -> its ``type`` and what makes its other keys. To add an event, add its row."""


def _tokens(counts: Usage | ModelUsage) -> _Document:
    return {
        "input": counts.input_tokens,
        "output": counts.output_tokens,
        "cache_read": counts.cache_read_tokens,
        "cache_write": counts.cache_write_tokens,
    }


def _dollars(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)  # written with the shortest digits that mean it


def _plain(value: object) -> object:
    """Return what a model gave to a tool as JSON can hold it: a number beyond all numbers (1e999) is null."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
