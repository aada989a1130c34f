"""Records to text: answers, progress, reports. Pure: what is written here is decided by the arguments alone.

Text in, text out. Text from an agent that a person is shown in one line loses its control characters, so that it
cannot move the cursor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mcp_coder.llm_events import (
    Retry,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "ANSWER_FORMATS",
    "activity_after",
    "answer_text",
    "ascii_json",
    "error_json",
    "error_line",
    "event_line",
    "money",
    "one_line",
    "progress_line",
    "report_lines",
    "tool_note",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def one_line(text: str, limit: int | None = None) -> str:
    """Return ``text`` in one line, without control characters, shortened to ``limit`` characters.

    >>> one_line("first\\n  second", 10)
    'first sec…'
    """
    line = " ".join(_CONTROL.sub(" ", text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


# --- an answer, as --output-format asks for it


def _as_text(response: LLMResponseDict) -> str:
    return response["text"].rstrip("\r\n") + "\n"


def _as_json(response: LLMResponseDict) -> str:
    from mcp_coder.llm_serialization import to_json_string  # not what a list of sessions waits for

    return to_json_string(response) + "\n"


def _as_session_id(response: LLMResponseDict) -> str:
    return f"{response['session_id'] or ''}\n"


def _as_raw(response: LLMResponseDict) -> str:
    return json.dumps(response["raw_response"], indent=2, ensure_ascii=False) + "\n"


def _as_last_event(response: LLMResponseDict) -> str:
    return event_line(TurnFinished(response=response))


ANSWER_FORMATS: Mapping[str, Callable[[LLMResponseDict], str]] = {
    "text": _as_text,
    "json": _as_json,
    "stream-json": _as_last_event,
    "session-id": _as_session_id,
    "raw": _as_raw,
}
"""The formats of ``--output-format``, each with what makes it."""


def answer_text(response: LLMResponseDict, output_format: str) -> str:
    """Return what goes to standard output for an answer; it ends with exactly one line feed."""
    return ANSWER_FORMATS[output_format](response)


def ascii_json(text: str) -> str:
    """Return JSON text with everything beyond ASCII escaped, equal to it when read.

    >>> ascii_json('{"text": "ü"}')
    '{"text": "\\\\u00fc"}'
    """
    return _NOT_ASCII.sub(lambda found: json.dumps(found.group())[1:-1], text)


def event_line(event: TurnEvent) -> str:
    """Return an event as a line of ``--output-format stream-json``."""
    from mcp_coder.llm_event_json import event_to_json

    return json.dumps(event_to_json(event), ensure_ascii=False) + "\n"


def error_json(**failure: Any) -> str:
    """Return what a failure prints with ``--output-format json``; an answer that was paid for stands beside it."""
    return json.dumps(_error_document(**failure), indent=2, ensure_ascii=False) + "\n"


def error_line(**failure: Any) -> str:
    """Return the last line that a failure prints with ``--output-format stream-json``."""
    return json.dumps({"type": "error", **_error_document(**failure)}, ensure_ascii=False) + "\n"


def _error_document(
    *,
    kind: str,
    message: str,
    status: int | None = None,
    session_id: str | None = None,
    retryable: bool = False,
    response: Mapping[str, object] | None = None,
) -> dict[str, object]:
    error = {
        "class": kind,
        "message": message,
        "status": status,
        "session_id": session_id,
        "retryable": retryable,
    }
    return {"error": error} if response is None else {"error": error, "response": dict(response)}


# --- what the agent does


def _tool_call(event: ToolStarted) -> str:
    """Name the tool and the one argument that tells most: the first that is a text."""
    detail = next((value for value in event.input.values() if isinstance(value, str) and value.strip()), "")
    return f"{event.name}: {detail}" if detail else event.name


def _failed_tool(event: ToolFinished) -> str:
    return f"{event.name or 'a tool'} failed: {event.output}" if event.is_error else ""


_TOOL_NOTES: Mapping[type, Callable[..., str]] = {ToolStarted: _tool_call, ToolFinished: _failed_tool}


def tool_note(event: TurnEvent) -> str:
    """Return the short line that tells of a tool's call or failure; empty where there is nothing to tell.

    >>> tool_note(ToolStarted(call_id="1", name="Bash", input={"command": "git status"}))
    'Bash: git status'
    """
    describe = _TOOL_NOTES.get(type(event))
    return "" if describe is None else one_line(describe(event), 200)


def _tool_activity(event: ToolStarted) -> str:
    return f"running {_tool_call(event)}"


_ACTIVITIES: Mapping[type, Callable[..., str]] = {
    SessionStarted: lambda _: "thinking",
    ThinkingDelta: lambda _: "thinking",
    TextDelta: lambda _: "writing",
    ToolStarted: _tool_activity,
    ToolFinished: lambda _: "thinking",
    Retry: lambda event: f"the model's service failed ({event.status or 'no answer'}), trying again",
}


def activity_after(event: TurnEvent, before: str) -> str:
    """Return what the agent is doing after an event, given what it was doing before."""
    describe = _ACTIVITIES.get(type(event))
    return before if describe is None else one_line(describe(event), 200)


def progress_line(seconds: float, activity: str) -> str:
    """Return the progress line.

    >>> progress_line(75, "thinking")
    '1:15 thinking'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02} {activity}"


# --- reports


def money(amount: Decimal | None) -> str:
    """Return dollars for a person; unknown is never shown as zero.

    >>> money(None)
    'unknown'
    """
    return "unknown" if amount is None else f"${amount:.4f}"


def report_lines(report: Iterable[tuple[str, str]]) -> str:
    """Return names and values below each other, values aligned.

    >>> print(report_lines([("program", "claude"), ("works", "yes")]), end="")
    program  claude
    works    yes
    """
    rows = list(report)
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"{name:<{width}}  {one_line(value)}".rstrip() + "\n" for name, value in rows)
