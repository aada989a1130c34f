"""The fields of an event: each read as the type that it should have.

Events are JSON from another program, so any field may be missing or of another type: then an empty value comes back,
and nothing is ever raised. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mcp_coder.llm_providers.base import RawEvent

__all__ = [
    "answer_in",
    "answers_report",
    "blocks_in",
    "is_echo",
    "is_main_thread",
    "list_in",
    "mapping_in",
    "number_in",
    "results_in",
    "text_in",
    "text_of_blocks",
]


def text_in(event: Mapping[str, object], key: str) -> str:
    """Return the text under ``key``; empty where there is none."""
    found = event.get(key)
    return found if isinstance(found, str) else ""


def number_in(event: Mapping[str, object], key: str) -> float | None:
    """Return the number under ``key``; None where there is none, or one such as 1e999 that is none."""
    found = event.get(key)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        return None
    return found


def mapping_in(event: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return the object under ``key``; empty where there is none."""
    found = event.get(key)
    return found if isinstance(found, Mapping) else {}


def list_in(event: Mapping[str, object], key: str) -> Sequence[object]:
    """Return the array under ``key``; empty where there is none."""
    found = event.get(key)
    return found if isinstance(found, (list, tuple)) else ()


def is_main_thread(event: RawEvent) -> bool:
    """Return whether the agent itself speaks here, rather than a sub-agent that it started."""
    return event.get("parent_tool_use_id") is None


def blocks_in(event: RawEvent) -> tuple[Mapping[str, object], ...]:
    """Return the content blocks of an ``assistant`` or ``user`` event; a plain text counts as one block of text."""
    content = mapping_in(event, "message").get("content")
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return _mappings(content)


def text_of_blocks(content: object) -> str:
    """Return the text of a block's content, which is a text or a list of blocks, of which some hold text."""
    if isinstance(content, str):
        return content
    return "\n".join(text_in(block, "text") for block in _mappings(content) if block.get("type") == "text")


def _mappings(items: object) -> tuple[Mapping[str, object], ...]:
    return tuple(item for item in items if isinstance(item, Mapping)) if isinstance(items, list) else ()


def results_in(events: Sequence[RawEvent]) -> tuple[RawEvent, ...]:
    """Return the ``result`` events, in order; an object without a type that holds a ``result`` is one, too."""
    return tuple(event for event in events if _is_result(event))


def answer_in(events: Sequence[RawEvent]) -> RawEvent | None:
    """Return the ``result`` that answers the prompt: the last one that does not answer a background task's report."""
    results = results_in(events)
    answers = [event for event in results if not answers_report(event)]
    found = answers or results
    return found[-1] if found else None


def answers_report(result: RawEvent) -> bool:
    """Return whether a ``result`` answers the report of a background task rather than a prompt."""
    return mapping_in(result, "origin").get("kind") == "task-notification"


def is_echo(event: RawEvent, prompt_id: str) -> bool:
    """Return whether the program says here that it takes up the prompt of this id."""
    return event.get("isReplay") is True and event.get("uuid") == prompt_id


def _is_result(event: RawEvent) -> bool:
    return event.get("type") == "result" or ("type" not in event and "result" in event)
