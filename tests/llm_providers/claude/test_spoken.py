"""What the model's messages say: each once, by model, whole where the pieces in transit were kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.counts import Count, Models, Tokens
from mcp_coder.llm_providers.claude.parse import is_delta, read_output
from mcp_coder.llm_providers.claude.spoken import speakers, spoken

SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"


def events_of(name: str) -> tuple[RawEvent, ...]:
    return read_output((SAMPLES / f"{name}.stdout").read_bytes()).events


def message(
    name: str, sent: int, written: int = 0, *, model: str = "opus", agent: str | None = None
) -> RawEvent:
    """Return a message as the program prints it, once for each of its blocks."""
    usage = {"input_tokens": sent, "output_tokens": written}
    body = {"id": name, "model": model, "usage": usage, "content": []}
    return {"type": "assistant", "message": body, "parent_tool_use_id": agent}


def piece(event: RawEvent, agent: str | None = None) -> RawEvent:
    return {"type": "stream_event", "event": event, "parent_tool_use_id": agent}


def start(name: str, sent: int) -> RawEvent:
    body = {"id": name, "model": "opus", "usage": {"input_tokens": sent, "output_tokens": 1}}
    return {"type": "message_start", "message": body}


def end(written: int) -> RawEvent:
    return {"type": "message_delta", "usage": {"output_tokens": written}}


TEXT: RawEvent = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}
ELSEWHERE: RawEvent = {"type": "user", "message": {"usage": {"input_tokens": 99}}}

SPOKEN: dict[str, tuple[list[RawEvent], Models]] = {
    "nothing": ([], {}),
    "one message of two blocks": ([message("m1", 5, 1), message("m1", 5, 1)], {"opus": Count(Tokens(5, 1))}),
    "two messages": ([message("m1", 5), message("m2", 7)], {"opus": Count(Tokens(12))}),
    "two models": (
        [message("m1", 5), message("m2", 7, model="haiku", agent="t")],
        {"opus": Count(Tokens(5)), "haiku": Count(Tokens(7))},
    ),
    "the program's own words": ([message("m1", 0, model="<synthetic>")], {}),
    "not yet whole": ([piece(start("m1", 5)), piece(TEXT)], {"opus": Count(Tokens(5, 1))}),
    "whole": (
        [piece(start("m1", 5)), piece(TEXT), message("m1", 5, 1), piece(end(9))],
        {"opus": Count(Tokens(5, 9))},
    ),
    "two agents at once": (
        [piece(start("m1", 5)), piece(start("m2", 7), "t"), piece(end(9)), piece(end(3), "t")],
        {"opus": Count(Tokens(12, 12))},
    ),
    "the end alone": ([piece(end(9))], {"": Count(Tokens(0, 9))}),
    "of somebody else": ([ELSEWHERE], {}),
    "junk": ([{"type": "assistant", "message": 1}, {"type": "stream_event", "event": []}], {}),
}


@pytest.mark.parametrize(("events", "models"), SPOKEN.values(), ids=SPOKEN)
def test_spoken(events: list[RawEvent], models: Models) -> None:
    assert spoken(events) == models


def test_the_sdks_messages_have_their_fields_on_their_own_level() -> None:
    said = {"type": "assistant", "message_id": "m1", "model": "opus", "usage": {"input_tokens": 5}}
    assert spoken([said, said]) == {"opus": Count(Tokens(5))}


def test_s41_what_a_real_killed_turn_leaves() -> None:
    events = events_of("live_sigterm")
    assert spoken(events) == {"claude-opus-5-5": Count(Tokens(100, 1))}
    assert spoken([event for event in events if not is_delta(event)]) == {}


def test_the_messages_of_a_real_turn_with_a_sub_agent() -> None:
    assert spoken(events_of("live_background_agent"))["claude-opus-5-5"].tokens.sent == 400


SPEAKERS: dict[str, tuple[list[RawEvent], list[str]]] = {
    "nobody": ([ELSEWHERE], []),
    "the agent, not its sub-agents": (
        [message("m1", 1), *(message(f"s{number}", 1, model="haiku", agent="t") for number in range(3))],
        ["opus"],
    ),
    "by messages, not by blocks": (
        [*[message("m1", 1, model="haiku")] * 5, message("m2", 1), message("m3", 1)],
        ["opus", "haiku"],
    ),
    "not the program itself": ([message("m1", 0, model="<synthetic>"), message("m2", 1, model="")], []),
}


@pytest.mark.parametrize(("events", "models"), SPEAKERS.values(), ids=SPEAKERS)
def test_speakers(events: list[RawEvent], models: list[str]) -> None:
    assert speakers(events) == models
