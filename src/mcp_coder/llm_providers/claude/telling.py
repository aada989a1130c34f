"""What a watcher is told of what Claude Code prints: raw events -> events of the turn.

Raw events come in one by one, in their order; out come none, one or some events for each. The texts of the agent
itself are numbered; those of its sub-agents, and what the program says in its own name (an error, a command of its
own), are no text of the turn. Each text is told once, whether the program prints it piece by piece, whole, or both
ways. Nothing here does I/O or raises.

To tell of one more kind of raw event: a method and a row in one of the tables at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from mcp_coder.llm_events import (
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
)
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.fields import (
    answers_report,
    blocks_in,
    is_echo,
    is_main_thread,
    mapping_in,
    number_in,
    text_in,
    text_of_blocks,
)

__all__ = ["EventTeller", "told_in"]

_SYNTHETIC = "<synthetic>"
"""The model of a message that the program wrote itself."""

_OF_THE_TURN = (TextDelta, ThinkingDelta, ToolStarted, ToolFinished)
"""What a kept program may also do of its own accord, before it takes our prompt up."""


def told_in(events: Iterable[RawEvent]) -> Iterator[TurnEvent]:
    """Yield what a watcher would have been told of all that was printed of a turn."""
    teller = EventTeller()
    for event in events:
        yield from teller.told(event)


class EventTeller:
    """Tells of one turn.

    Args:
        wait_for_echo: the id of our prompt, where the program says when it takes it up: texts and tools before that
            belong to work that it went on with in the background, and are not told.

    Example:
        >>> teller = EventTeller()
        >>> teller.told({"type": "assistant", "message": {"id": "msg_1", "content": [{"type": "text", "text": "Hi"}]}})
        (TextDelta(text='Hi', part=1),)
    """

    def __init__(self, wait_for_echo: str | None = None) -> None:
        self._awaited = wait_for_echo
        self._started: SessionStarted | None = None
        self._part = 0
        self._message_id = ""
        """The message of the agent itself that is coming now."""
        self._in_pieces: set[str] = set()
        """The messages that were told piece by piece: the whole ones that follow repeat them."""
        self._tools: dict[str, str] = {}
        self._answered = False

    def told(self, event: RawEvent) -> tuple[TurnEvent, ...]:
        """Return what a watcher is told of the next event; most events are nothing to a watcher."""
        if self._awaited is not None and is_echo(event, self._awaited):
            self._awaited = None
        reader = _READERS.get(_kind(event))
        told = tuple(reader(self, event)) if reader else ()
        return told if self._awaited is None else tuple(each for each in told if not _is_work(each))

    # --- the turn

    def _session_started(self, event: RawEvent) -> Iterator[TurnEvent]:
        started = SessionStarted(
            session_id=text_in(event, "session_id"),
            model=text_in(event, "model"),
            version=text_in(event, "claude_code_version"),
        )
        # The program says it again before it answers a report of its background work.
        if started != self._started:
            self._started = started
            yield started

    def _retry(self, event: RawEvent) -> Iterator[TurnEvent]:
        delay = number_in(event, "retry_delay_ms")
        status = number_in(event, "error_status")
        yield Retry(
            attempt=int(number_in(event, "attempt") or 1),
            status=None if status is None else int(status),
            delay=None if delay is None else delay / 1000,
        )

    def _result(self, event: RawEvent) -> Iterator[TurnEvent]:
        """Take note of the answer: what the agent says after it, to a report, is not part of it."""
        self._answered = self._answered or (self._awaited is None and not answers_report(event))
        yield from ()

    # --- messages, piece by piece

    def _piece(self, event: RawEvent) -> Iterator[TurnEvent]:
        if is_main_thread(event):
            piece = mapping_in(event, "event")
            reader = _PIECES.get(text_in(piece, "type"))
            if reader is not None:
                yield from reader(self, piece)

    def _message_begins(self, piece: RawEvent) -> Iterator[TurnEvent]:
        self._message_id = text_in(mapping_in(piece, "message"), "id")
        yield from ()

    def _block_begins(self, piece: RawEvent) -> Iterator[TurnEvent]:
        block = mapping_in(piece, "content_block")
        if block.get("type") == "text":
            self._part += 1
            yield from self._text_piece(block)

    def _block_goes_on(self, piece: RawEvent) -> Iterator[TurnEvent]:
        delta = mapping_in(piece, "delta")
        reader = _DELTAS.get(text_in(delta, "type"))
        if reader is not None:
            yield from reader(self, delta)

    def _text_piece(self, delta: RawEvent) -> Iterator[TurnEvent]:
        yield from self._pieces_told(self._text(text_in(delta, "text")))

    def _thinking_piece(self, delta: RawEvent) -> Iterator[TurnEvent]:
        yield from self._pieces_told(self._thinking(text_in(delta, "thinking")))

    def _pieces_told(self, told: Iterator[TurnEvent]) -> Iterator[TurnEvent]:
        for each in told:
            self._in_pieces.add(self._message_id)
            yield each

    def _text(self, text: str) -> Iterator[TurnEvent]:
        if text and not self._answered:
            self._part = max(self._part, 1)
            yield TextDelta(text=text, part=self._part)

    def _thinking(self, text: str) -> Iterator[TurnEvent]:
        if text and not self._answered:
            yield ThinkingDelta(text=text)

    # --- messages, whole

    def _message(self, event: RawEvent) -> Iterator[TurnEvent]:
        message = mapping_in(event, "message")
        new = text_in(message, "id") not in self._in_pieces
        speaks = is_main_thread(event) and new and text_in(message, "model") != _SYNTHETIC
        for block in blocks_in(event):
            reader = _BLOCKS.get(text_in(block, "type"))
            if reader is not None and (speaks or reader is EventTeller._tool_started):
                yield from reader(self, block)

    def _whole_text(self, block: RawEvent) -> Iterator[TurnEvent]:
        text = text_in(block, "text")
        self._part += bool(text)
        yield from self._text(text)

    def _whole_thinking(self, block: RawEvent) -> Iterator[TurnEvent]:
        yield from self._thinking(text_in(block, "thinking"))

    def _tool_started(self, block: RawEvent) -> Iterator[TurnEvent]:
        call_id, name = text_in(block, "id"), text_in(block, "name")
        self._tools[call_id] = name
        yield ToolStarted(call_id=call_id, name=name, input=mapping_in(block, "input"))

    # --- what tools gave

    def _tools_finished(self, event: RawEvent) -> Iterator[TurnEvent]:
        if event.get("isReplay") is True:  # the echo of what was sent
            return
        for block in blocks_in(event):
            if block.get("type") == "tool_result":
                call_id = text_in(block, "tool_use_id")
                yield ToolFinished(
                    call_id=call_id,
                    name=self._tools.get(call_id, ""),
                    output=text_of_blocks(block.get("content")),
                    is_error=block.get("is_error") is True,
                )


def _kind(event: RawEvent) -> str:
    kind = text_in(event, "type")
    return f"system/{text_in(event, 'subtype')}" if kind == "system" else kind


def _is_work(event: TurnEvent) -> bool:
    return isinstance(event, _OF_THE_TURN)


_Reader = Callable[[EventTeller, RawEvent], Iterator[TurnEvent]]

_READERS: Mapping[str, _Reader] = {
    "system/init": EventTeller._session_started,
    "system/api_retry": EventTeller._retry,
    "stream_event": EventTeller._piece,
    "assistant": EventTeller._message,
    "user": EventTeller._tools_finished,
    "result": EventTeller._result,
}

_PIECES: Mapping[str, _Reader] = {
    "message_start": EventTeller._message_begins,
    "content_block_start": EventTeller._block_begins,
    "content_block_delta": EventTeller._block_goes_on,
}

_DELTAS: Mapping[str, _Reader] = {
    "text_delta": EventTeller._text_piece,
    "thinking_delta": EventTeller._thinking_piece,
}

_BLOCKS: Mapping[str, _Reader] = {
    "text": EventTeller._whole_text,
    "thinking": EventTeller._whole_thinking,
    "tool_use": EventTeller._tool_started,
}
