"""What Claude Code prints, read: lines -> events.

Bytes come in, decoded JSON objects go out, unchanged: unknown events and unknown keys are kept, blank lines are
nothing, and what is no JSON is handed back as text. Nothing here judges what it reads, and only
``parse_cli_json_string`` raises.

The program prints one JSON object a line (``stream-json``), one object (``json``), or an array of events (``json`` with
``--verbose``, which a user's settings can turn on). All three are read.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TypedDict, cast

from mcp_coder.llm_errors import ResponseFormatError
from mcp_coder.llm_providers.base import RawEvent
from mcp_coder.llm_providers.claude.fields import answer_in, text_in

__all__ = [
    "CliOutput",
    "Reading",
    "event_in",
    "is_delta",
    "parse_cli_json_string",
    "read_output",
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
