"""The wire form of Anthropic's Messages API: a reply as one JSON message or as server-sent events.

In come a reply and what the request said of model and size; out come plain dicts, in the order and shape in which the
API sends them, and between them the waits and cuts that the reply asks for. Pure: the server sends and waits.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .model_replies import Cut, Fail, Hold, NextBlock, Pause, Reply, Say, Step, UseTool

Event: TypeAlias = dict[str, Any]
Wait: TypeAlias = Pause | Hold | Cut
Block: TypeAlias = dict[str, Any]

_LONGEST_DELTA = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class MessageHead:
    """What a message says of itself before its content. ``message_id`` must be new each time.

    Claude Code joins messages of one id in its history, so an id that comes twice turns a conversation around.
    """

    message_id: str
    model: str
    input_size: int
    """Bytes of the request's body, from which the token counters follow."""


def usage_of(head: MessageHead, reply: Reply) -> dict[str, int]:
    """Return the token counters of a reply: a quarter of the bytes, unless the reply has its own."""
    sent = sum(_size_of_step(step) for step in reply.steps)
    usage = {
        "input_tokens": max(1, head.input_size // 4),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": max(1, sent // 4),
    }
    return {**usage, **(reply.usage or {})}


def error_object(error_type: str, message: str) -> Event:
    """Return the body of an error answer, which is also the error event of a stream."""
    return {"type": "error", "error": {"type": error_type, "message": message}}


def token_count(size: int) -> Event:
    """Return the answer to ``count_tokens`` for a body of ``size`` bytes."""
    return {"input_tokens": max(1, size // 4)}


def message_of(head: MessageHead, reply: Reply) -> Event:
    """Return the whole answer as one message, for a request that does not stream."""
    content = content_of(head, reply.steps)
    return _message(head, content, _stop_reason(reply), usage_of(head, reply))


def content_of(head: MessageHead, steps: Sequence[Step]) -> list[Block]:
    """Return the blocks of content that ``steps`` amount to."""
    blocks: list[Block] = []
    is_open = False
    for step in steps:
        if isinstance(step, Say):
            if not is_open:
                blocks.append({"type": "text", "text": ""})
            blocks[-1]["text"] += step.text
        elif isinstance(step, UseTool):
            blocks.append({**_tool_block(head, step, len(blocks)), "input": dict(step.input)})
        is_open = _leaves_text_open(step, is_open=is_open)
    return [block for block in blocks if block.get("text") != ""]


def stream_of(head: MessageHead, reply: Reply) -> Iterator[Event | Wait]:
    """Yield the events of a streamed answer, and the waits and cuts between them, in order.

    What comes before the first content is yielded before ``message_start``, so that an answer can hang unbegun. A cut
    or an error event ends the stream.
    """
    steps = list(reply.steps)
    while steps and isinstance(first := steps[0], Pause | Hold | Cut):
        yield first
        if isinstance(first, Cut):
            return
        del steps[0]
    usage = usage_of(head, reply)
    yield {"type": "message_start", "message": _message(head, [], None, {**usage, "output_tokens": 1})}
    writer = _BlockWriter(head)
    for step in steps:
        yield from writer.events_of(step)
        if isinstance(step, Cut | Fail):
            return
    yield from writer.close()
    delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


class _BlockWriter:
    """Turn steps into events, keeping count of the blocks of content and of whether a text is open."""

    def __init__(self, head: MessageHead) -> None:
        self._head = head
        self._index = -1
        self._in_text = False

    def events_of(self, step: Step) -> Iterator[Event | Wait]:
        """Yield what one step sends or waits for."""
        if isinstance(step, Pause | Hold | Cut):
            yield step
        else:
            yield from _WRITERS[type(step)](self, step)

    def close(self) -> Iterator[Event]:
        """Close the text that is open, if any."""
        if self._in_text:
            self._in_text = False
            yield {"type": "content_block_stop", "index": self._index}

    def say(self, step: Say) -> Iterator[Event]:
        """Send text in deltas of a bounded size."""
        if not step.text:
            return
        if not self._in_text:
            yield self._start({"type": "text", "text": ""})
            self._in_text = True
        for start in range(0, len(step.text), _LONGEST_DELTA):
            yield self._delta({"type": "text_delta", "text": step.text[start : start + _LONGEST_DELTA]})

    def use_tool(self, step: UseTool) -> Iterator[Event]:
        """Send a whole tool block, its input in two pieces, as the API does."""
        yield from self.close()
        yield self._start({**_tool_block(self._head, step, self._index + 1), "input": {}})
        written = json.dumps(step.input)
        middle = len(written) // 2
        for piece in ("", written[:middle], written[middle:]):
            yield self._delta({"type": "input_json_delta", "partial_json": piece})
        yield {"type": "content_block_stop", "index": self._index}

    def next_block(self, step: NextBlock) -> Iterator[Event]:  # noqa: ARG002 - a row of the table of writers
        """Close what is open."""
        return self.close()

    def fail(self, step: Fail) -> Iterator[Event]:
        """Send an error event."""
        yield error_object(step.type, step.message)

    def _start(self, block: Block) -> Event:
        self._index += 1
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: Block) -> Event:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}


_WRITERS: Mapping[type, Callable[[_BlockWriter, Any], Iterator[Event]]] = {
    Say: _BlockWriter.say,
    UseTool: _BlockWriter.use_tool,
    NextBlock: _BlockWriter.next_block,
    Fail: _BlockWriter.fail,
}


def event_bytes(event: Event) -> bytes:
    """Return one event as server-sent-event bytes."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _message(
    head: MessageHead, content: list[Block], stop_reason: str | None, usage: Mapping[str, int]
) -> Event:
    return {
        "id": head.message_id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": dict(usage),
    }


def _tool_block(head: MessageHead, step: UseTool, index: int) -> Block:
    tool_id = step.id or f"toolu_{head.message_id.removeprefix('msg_')}_{index}"
    return {"type": "tool_use", "id": tool_id, "name": step.name}


def _leaves_text_open(step: Step, *, is_open: bool) -> bool:
    if isinstance(step, Say):
        return True
    return is_open and not isinstance(step, UseTool | NextBlock)


def _stop_reason(reply: Reply) -> str:
    return reply.stop_reason or ("tool_use" if reply.uses_tools else "end_turn")


def _size_of_step(step: Step) -> int:
    if isinstance(step, Say):
        return len(step.text.encode("utf-8", "surrogatepass"))
    return len(json.dumps(step.input)) if isinstance(step, UseTool) else 0
