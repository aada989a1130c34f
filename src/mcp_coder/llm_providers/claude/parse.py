"""What Claude Code prints, read: lines -> events -> what a watcher is told.

Bytes come in, decoded JSON objects go out, unchanged: unknown events and unknown keys are kept, blank lines are
nothing, and what is no JSON is handed back as text. Nothing here judges what it reads, and only
``parse_cli_json_string`` raises.

The program prints one JSON object a line (``stream-json``), one object (``json``), or an array of events (``json`` with
``--verbose``, which a user's settings can turn on). All three are read.

To tell a watcher of one more kind of event: a function here and a row in ``_WATCHED``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict, cast

from mcp_coder.llm_errors import ResponseFormatError
from mcp_coder.llm_events import Retry, SessionStarted, TextDelta, ToolFinished, ToolStarted, TurnEvent
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.fields import (
    answer_in,
    blocks_in,
    is_main_thread,
    mapping_in,
    number_in,
    text_in,
    text_of_blocks,
)

__all__ = [
    "CliOutput",
    "Reading",
    "event_in",
    "is_delta",
    "parse_cli_json_string",
    "read_output",
    "turn_events",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A whole output, read.

    Attributes:
        events: the events, in order.
        unread: lines that are no event, in order.
        cut: the last line has no end and is no complete JSON, so that output is missing.
    """

    events: tuple[RawEvent, ...] = ()
    unread: tuple[str, ...] = ()
    cut: bool = False


class CliOutput(TypedDict):
    """What ``parse_cli_json_string`` returns."""

    text: str
    """The answer; empty where the program reported an error instead."""
    session_id: str | None
    """The session as the program calls it now."""
    raw_response: dict[str, object]
    """The ``result`` event, unchanged."""


def event_in(line: bytes) -> RawEvent | None:
    """Return the event that one line of output holds, or None; it never raises.

    Example:
        >>> event_in(b'{"type": "result"}')
        {'type': 'result'}
        >>> event_in(b"Warning: something") is None
        True
    """
    try:
        found = _DECODER.decode(line.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_output(output: bytes) -> Reading:
    r"""Return all that a whole output holds: lines of JSON, one object (also over many lines) or an array of events.

    Lines end at ``\n`` only: other line ends may stand unescaped within a JSON text.
    """
    text = output.decode("utf-8-sig", errors="replace")
    events: list[RawEvent] = []
    unread: list[str] = []
    cut = False
    start = 0
    while start < len(text):
        found, end = _value_at(text, start)
        line = text[start:end]
        _sort(found, line, events, unread)
        cut = found is _NO_JSON and bool(line.strip()) and not line.endswith("\n")
        start = end
    return Reading(events=tuple(events), unread=tuple(unread), cut=cut)


_NO_JSON = object()


def _value_at(text: str, start: int) -> tuple[object, int]:
    """Return the JSON value that begins a line and ends one, and where the line after it begins."""
    line_end = _next_line(text, start)
    first = start + len(text[start:line_end]) - len(text[start:line_end].lstrip())
    try:
        found, end = _DECODER.raw_decode(text, first)
    except (ValueError, RecursionError):
        return _NO_JSON, line_end
    value_end = _next_line(text, max(end, first))
    return (_NO_JSON, line_end) if text[end:value_end].strip() else (found, value_end)


def _next_line(text: str, start: int) -> int:
    return text.find("\n", start) + 1 or len(text)


def _sort(found: object, line: str, events: list[RawEvent], unread: list[str]) -> None:
    """Put what a line held where it belongs; the items of an array each by themselves."""
    if isinstance(found, dict):
        events.append(found)
    elif isinstance(found, list):
        events.extend(item for item in found if isinstance(item, dict))
        unread.extend(json.dumps(item, ensure_ascii=False) for item in found if not isinstance(item, dict))
    elif line.strip():
        unread.append(line.strip())


def _null(_constant: str) -> None:
    """Read NaN and Infinity as the program's own JSON writer would have written them."""


_DECODER = json.JSONDecoder(parse_constant=_null)


def is_delta(event: RawEvent) -> bool:
    """Return whether this is a piece of text in transit; a whole ``assistant`` event repeats it, so it is not kept."""
    return event.get("type") == "stream_event"


def turn_events(event: RawEvent) -> tuple[TurnEvent, ...]:
    """Return what a watcher is told of this event; most events are nothing to a watcher."""
    kind = text_in(event, "type")
    if kind == "system":
        kind = f"system/{text_in(event, 'subtype')}"
    reader = _WATCHED.get(kind)
    return tuple(reader(event)) if reader else ()


def _session_started(event: RawEvent) -> Iterator[TurnEvent]:
    yield SessionStarted(
        session_id=text_in(event, "session_id"),
        model=text_in(event, "model"),
        version=text_in(event, "claude_code_version"),
    )


def _retry(event: RawEvent) -> Iterator[TurnEvent]:
    delay = number_in(event, "retry_delay_ms")
    status = number_in(event, "error_status")
    yield Retry(
        attempt=int(number_in(event, "attempt") or 1),
        status=None if status is None else int(status),
        delay=None if delay is None else delay / 1000,
    )


def _text_delta(event: RawEvent) -> Iterator[TurnEvent]:
    delta = mapping_in(mapping_in(event, "event"), "delta")
    if is_main_thread(event) and delta.get("type") == "text_delta":
        yield TextDelta(text=text_in(delta, "text"))


def _tools_started(event: RawEvent) -> Iterator[TurnEvent]:
    for block in blocks_in(event):
        if block.get("type") == "tool_use":
            yield ToolStarted(
                call_id=text_in(block, "id"), name=text_in(block, "name"), input=mapping_in(block, "input")
            )


def _tools_finished(event: RawEvent) -> Iterator[TurnEvent]:
    for block in blocks_in(event):
        if block.get("type") == "tool_result":
            yield ToolFinished(
                call_id=text_in(block, "tool_use_id"),
                output=text_of_blocks(block.get("content")),
                is_error=block.get("is_error") is True,
            )


_WATCHED: Mapping[str, Callable[[RawEvent], Iterator[TurnEvent]]] = {
    "system/init": _session_started,
    "system/api_retry": _retry,
    "stream_event": _text_delta,
    "assistant": _tools_started,
    "user": _tools_finished,
}


def parse_cli_json_string(json_str: str) -> CliOutput:
    """Return the answer in what ``claude -p --output-format json`` (or ``stream-json``) printed.

    Raises:
        ResponseFormatError: there is no ``result`` in it.

    Example:
        >>> parse_cli_json_string('{"type": "result", "result": "Noted: blue", "session_id": "5fb8"}')["text"]
        'Noted: blue'
    """
    reading = read_output(json_str.encode("utf-8", errors="surrogatepass"))
    result = answer_in(reading.events)
    if result is None:
        raise ResponseFormatError("there is no result in what the program printed", raw=json_str)
    text = result.get("result")
    if text is not None and not isinstance(text, str):
        raise ResponseFormatError(f"the result's text is no text but {type(text).__name__}", raw=result)
    return {
        "text": text or "",
        "session_id": text_in(result, "session_id") or None,
        "raw_response": cast("dict[str, object]", result),
    }
