"""What the model's messages say of themselves: which model spoke, and the tokens of each message.

Events come in as they were printed, counts by model go out. This is all that a killed turn leaves of its counters: the
program prints its own with a ``result`` only. Nothing here does I/O or raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.counts import Count, Models, by_model, larger, of_usage
from mcp_coder.llm_providers.claude.fields import is_main_thread, mapping_in, text_in

__all__ = ["speakers", "spoken"]

_SYNTHETIC = "<synthetic>"
"""The model of a message that the program wrote itself, such as an error."""

_Message = tuple[str, str, Mapping[str, object]]
"""Id, model and ``usage`` of a message; what is not there is empty."""


def spoken(events: Sequence[RawEvent]) -> Models:
    """Return the tokens of all messages, sub-agents' included, by model.

    Each message counts once, though an event for each of its blocks repeats it. A message is printed while it is being
    written: what it wrote in the end is seen only where the pieces in transit were kept.
    """
    messages: dict[str, tuple[str, Count]] = {}
    for message_id, model, usage in _messages(events):
        known_model, known = messages.get(message_id, ("", Count()))
        messages[message_id] = (model or known_model, larger(known, of_usage(usage)))
    return by_model((model, count) for model, count in messages.values() if any(count.tokens))


def speakers(events: Sequence[RawEvent]) -> list[str]:
    """Return the models of the agent's own messages, the one with the most messages first."""
    models = {
        message_id: model
        for event in events
        if event.get("type") == "assistant" and is_main_thread(event)
        for message_id, model, _usage in _whole_message(event)
        if model not in ("", _SYNTHETIC)
    }
    return [model for model, _times in Counter(models.values()).most_common()]


def _messages(events: Sequence[RawEvent]) -> Iterator[_Message]:
    """Yield each message as often as it shows."""
    under_way: dict[str, str] = {}
    for event in events:
        if event.get("type") == "assistant":
            yield from _whole_message(event)
        elif event.get("type") == "stream_event":
            yield from _piece(event, under_way)


def _whole_message(event: RawEvent) -> Iterator[_Message]:
    # The SDK's messages have the fields of the model's message on their own level.
    message = mapping_in(event, "message") or event
    message_id = text_in(message, "id") or text_in(event, "message_id")
    yield message_id, text_in(message, "model"), mapping_in(message, "usage")


def _piece(event: RawEvent, under_way: dict[str, str]) -> Iterator[_Message]:
    """Yield what a piece in transit says: the first names the message, a later one counts all that it wrote."""
    piece = mapping_in(event, "event")
    message = mapping_in(piece, "message")
    thread = text_in(event, "parent_tool_use_id")
    under_way[thread] = text_in(message, "id") or under_way.get(thread, "")
    usage = mapping_in(message, "usage") or mapping_in(piece, "usage")
    yield under_way[thread], text_in(message, "model"), usage
