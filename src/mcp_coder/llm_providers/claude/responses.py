"""What an answer is made of: its text, and the response in which it reaches the caller.

Results, events and SDK messages come in; a text or a plain dict goes out. What the agent reported is kept unchanged,
and nothing that was worked out is added to it. Nothing here does I/O or reads a clock: the time is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict, cast

from mcp_coder.llm_errors import ResponseFormatError
from mcp_coder.llm_providers.base import Outcome, RawEvent
from mcp_coder.llm_providers.claude.fields import (
    answer_in,
    blocks_in,
    is_main_thread,
    mapping_in,
    results_in,
    text_in,
)
from mcp_coder.llm_types import LLM_RESPONSE_VERSION, LLMResponseDict

__all__ = ["ApiDetails", "answer_text", "api_details", "new_response", "raw_response_of"]


class ApiDetails(TypedDict):
    """What one turn by the SDK gave, as plain JSON."""

    text: str
    """The answer."""
    session_info: dict[str, object]
    """What the agent said of the session when it took the prompt up."""
    result_info: dict[str, object]
    """The fields of the result that answers the prompt."""
    raw_messages: list[dict[str, object]]
    """All messages of the turn."""


def new_response(
    *, text: str, session_id: str | None, method: str, raw_response: Mapping[str, object], timestamp: str
) -> LLMResponseDict:
    """Return the response of a turn by Claude Code.

    Example:
        >>> new_response(text="Hi", session_id=None, method="cli", raw_response={}, timestamp="2026-01-31T12:00:00Z")
        {'version': '1.0', 'timestamp': '2026-01-31T12:00:00Z', 'text': 'Hi', ...}
    """
    return {
        "version": LLM_RESPONSE_VERSION,
        "timestamp": timestamp,
        "text": text,
        "session_id": session_id,
        "method": method,
        "provider": "claude",
        "raw_response": dict(raw_response),
    }


def raw_response_of(outcome: Outcome, result: RawEvent, text: str) -> dict[str, object]:
    """Return a turn's ``raw_response``: by the program the ``result`` event itself, by the SDK what it reported."""
    if outcome.method == "cli":
        return dict(result)
    # Where the SDK failed, it stopped reading: what the program printed is whole.
    messages = outcome.events if outcome.sdk_error or not outcome.sdk_messages else outcome.sdk_messages
    details = cast("dict[str, object]", api_details(text, messages, outcome.events))
    return {key: value for key, value in details.items() if key != "text"}


def api_details(
    text: str, messages: Sequence[Mapping[str, object]], events: Sequence[RawEvent] = ()
) -> ApiDetails:
    """Return what the SDK's messages say of a turn.

    Args:
        text: the answer.
        messages: the messages as plain JSON, each with its ``type``.
        events: what the program printed under them: the SDK drops fields of a result that it does not know.
    """
    printed = {text_in(event, "uuid"): event for event in results_in(events)}
    raw = [_completed(message, printed) for message in messages]
    return {
        "text": text,
        "session_info": _session_info(raw),
        "result_info": {key: value for key, value in (answer_in(raw) or {}).items() if key != "type"},
        "raw_messages": raw,
    }


def _completed(message: Mapping[str, object], printed: Mapping[str, RawEvent]) -> dict[str, object]:
    if message.get("type") != "result":
        return message if isinstance(message, dict) else dict(message)
    return {**printed.get(text_in(message, "uuid"), {}), **message}


def _session_info(messages: Sequence[Mapping[str, object]]) -> dict[str, object]:
    begun = next((message for message in messages if message.get("subtype") == "init"), {})
    # The SDK keeps the program's own event under "data".
    event = mapping_in(begun, "data") or begun
    return {name: event[key] for name, key in _SESSION_INFO.items() if key in event}


_SESSION_INFO = {
    "session_id": "session_id",
    "model": "model",
    "tools": "tools",
    "mcp_servers": "mcp_servers",
    "cwd": "cwd",
    "permission_mode": "permissionMode",
    "version": "claude_code_version",
}


def answer_text(
    result: RawEvent, events: Sequence[RawEvent], schema: Mapping[str, object] | None = None
) -> str:
    """Return the text of the answer; with a schema, JSON that fits it.

    Raises:
        ResponseFormatError: there is no text, or it does not fit the schema.
    """
    if schema is not None:
        return _structured_text(result, schema)
    found = result.get("result")
    if found is not None and not isinstance(found, str):
        raise ResponseFormatError(
            f"the result's text is no text but {type(found).__name__}: see raw", raw=result
        )
    text = found or _spoken_text(events)
    if not text:
        raise ResponseFormatError("the agent finished without an answer: see raw, and ask again", raw=result)
    return text


def _spoken_text(events: Sequence[RawEvent]) -> str:
    """Return what the agent itself said last, where its result has no text: the last message that holds any."""
    spoken: dict[str, list[str]] = {}
    for event in events:
        if event.get("type") == "assistant" and is_main_thread(event):
            texts = [text_in(block, "text") for block in blocks_in(event) if block.get("type") == "text"]
            spoken.setdefault(text_in(mapping_in(event, "message"), "id"), []).extend(texts)
    return "\n".join(next((texts for texts in reversed(spoken.values()) if "".join(texts).strip()), []))


def _structured_text(result: RawEvent, schema: Mapping[str, object]) -> str:
    if "structured_output" not in result:
        raise ResponseFormatError(
            "the model gave no answer that fits json_schema: simplify the schema, or ask again", raw=result
        )
    answer = result["structured_output"]
    misfit = _misfit(answer, schema)
    if misfit:
        raise ResponseFormatError(f"the answer does not fit json_schema {misfit}: ask again", raw=result)
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _misfit(answer: object, schema: Mapping[str, object]) -> str | None:
    """Say where and why an answer does not fit, or return None.

    The program checked the answer already. Where the checker here cannot read the schema (a pattern that only
    JavaScript knows, a reference to another place), its word stands.
    """
    # Here, since it takes 0.1 s, and only for those who give a schema.
    import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
    import referencing

    checker = jsonschema.validators.validator_for(schema)
    try:
        checker.check_schema(schema)
        # The empty registry: nothing is ever fetched.
        errors = checker(schema, registry=referencing.Registry()).iter_errors(answer)
        found = jsonschema.exceptions.best_match(errors)
    except Exception:  # noqa: BLE001  # whatever such a schema does to a checker: the answer was paid for
        return None
    return None if found is None else f"at {found.json_path} (rule {found.validator!r})"
