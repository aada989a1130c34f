"""What the program that poses as ``claude`` prints, and what it reads out of its arguments: all that needs no I/O.

In come arguments and the plain form of a script, out come events in the shape of Claude Code's and the choices that
follow from the arguments. It never reads or writes; only a new id is random. It imports ``os`` and nothing else: the
program that uses it must start as fast as an agent does.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # known to type checkers; importing typing would double the start-up time
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_WITHOUT_VALUE = (
    "-p",
    "--print",
    "--verbose",
    "-c",
    "--continue",
    "--fork-session",
    "--replay-user-messages",
)


def new_uuid() -> str:
    """Return a random UUID, version 4."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def flag(argv: list[str], name: str) -> str | None:
    """Return the value of ``--name=value`` or ``--name value``: empty without a value, None without the flag."""
    for place, word in enumerate(argv):
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
        if word == name:
            following = argv[place + 1] if place + 1 < len(argv) else ""
            return "" if following.startswith("-") else following
    return None


def prompt_in(argv: list[str]) -> str | None:
    """Return the prompt among the arguments: the value of ``-p``, or a last word that belongs to no flag."""
    named = flag(argv, "-p") or flag(argv, "--print")
    if named or not argv or argv[-1].startswith("-"):
        return named or None
    before = argv[-2] if len(argv) > 1 else ""
    is_value = before.startswith("-") and "=" not in before and before not in _WITHOUT_VALUE
    return None if is_value else argv[-1]


def resumed_id(argv: list[str]) -> str:
    """Return the session to go on with, or an empty text."""
    return flag(argv, "--resume") or flag(argv, "-r") or ""


def session_id_for(argv: list[str], session: str) -> str:
    """Return the session id of a call, as the script's ``session`` says."""
    resumed = resumed_id(argv)
    if session == "asked" or (session == "new_on_resume" and not resumed):
        kept = "" if "--fork-session" in argv else resumed
        return flag(argv, "--session-id") or kept or new_uuid()
    return new_uuid() if session in ("new", "new_on_resume") else session


def output_form(argv: list[str], output: str) -> str:
    """Return how to print: ``lines``, ``array``, ``object`` or ``text``, as the script forces or the arguments ask."""
    if output != "asked":
        return output
    asked = flag(argv, "--output-format")
    if asked == "json":
        return "array" if "--verbose" in argv else "object"
    return "lines" if asked == "stream-json" else "text"


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a user message as it stands on a line of stdin."""
    content = message.get("message", {}).get("content", "")
    return content if isinstance(content, str) else "\n".join(one.get("text", "") for one in content)


def filled(value: Any, placeholders: Mapping[str, str]) -> Any:
    """Return ``value`` with each ``{{name}}`` in its texts replaced, at any depth."""
    if isinstance(value, dict):
        return {filled(key, placeholders): filled(one, placeholders) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, placeholders) for one in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    for name, text in placeholders.items():
        value = value.replace("{{" + name + "}}", text)
    return value


def control_response(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a control request, such as the SDK's ``initialize`` or an ``interrupt``."""
    subtype = request.get("request", {}).get("subtype")
    answer = {
        "subtype": "success",
        "request_id": request.get("request_id"),
        "response": _CONTROL.get(subtype, {}),
    }
    return {"type": "control_response", "response": answer}


def init_event(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that opens a turn."""
    return {**_INIT, "uuid": new_uuid(), **_session(step), **step["init"]}


def assistant_event(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that holds the answer's text."""
    message = {
        **_ASSISTANT,
        "id": f"msg_{new_uuid()}",
        "content": [{"type": "text", "text": step["text"]}],
        "usage": {"input_tokens": step["input_tokens"], "output_tokens": 1},
    }
    return {
        "type": "assistant",
        "message": message,
        "parent_tool_use_id": None,
        **_session(step),
        "uuid": new_uuid(),
    }


def result_event(step: Mapping[str, Any], totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that ends a turn; ``totals`` are the session's counters, the step has this turn's own."""
    event = {
        **_RESULT,
        **_session(step),
        "total_cost_usd": totals["cost"],
        "usage": {**_USAGE, "input_tokens": step["input_tokens"], "output_tokens": step["output_tokens"]},
        "modelUsage": {"{{model}}": _model_usage(totals)} if totals["input_tokens"] else {},
        "result": step["text"],
        "uuid": new_uuid(),
        **step["result"],
    }
    return {key: value for key, value in event.items() if key not in step["without"]}


def _session(step: Mapping[str, Any]) -> dict[str, str]:
    return {"session_id": step["session_id"] or "{{session_id}}"}


def _model_usage(totals: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "inputTokens": totals["input_tokens"],
        "outputTokens": totals["output_tokens"],
        "cacheReadInputTokens": 0,
        "cacheCreationInputTokens": 0,
        "webSearchRequests": 0,
        "costUSD": totals["cost"],
        "contextWindow": 1000000,
        "maxOutputTokens": 128000,
    }


PLAIN_TURN: Mapping[str, Any] = {
    "do": "Turn",
    "text": "You said: {{prompt}}",
    "cost": 0.01,
    "input_tokens": 1000,
    "output_tokens": 10,
    "result": {},
    "init": {},
    "without": [],
    "before": [],
    "delay": 0.0,
    "session_id": None,
    "waits_for_prompt": True,
    "prints_init": True,
    "prints_assistant": True,
    "prints_result": True,
}
ABORTED_TURN: Mapping[str, Any] = {
    **PLAIN_TURN,
    "cost": 0.0,
    "input_tokens": 0,
    "output_tokens": 0,
    "result": {"is_error": True, "subtype": "error_during_execution", "terminal_reason": "aborted_streaming"},
    "without": ["result"],
}
_CONTROL: Mapping[Any, Mapping[str, Any]] = {
    "initialize": {
        "commands": [],
        "output_style": "default",
        "available_output_styles": ["default"],
        "models": [],
    },
    "interrupt": {"still_queued": []},
}
_INIT: Mapping[str, Any] = {
    "type": "system",
    "subtype": "init",
    "cwd": "{{cwd}}",
    "tools": ["Task", "Bash", "Edit", "Read", "Write"],
    "mcp_servers": [],
    "model": "{{model}}",
    "permissionMode": "default",
    "slash_commands": ["clear", "compact", "context", "usage"],
    "apiKeySource": "ANTHROPIC_API_KEY",
    "claude_code_version": "{{version}}",
    "output_style": "default",
    "agents": ["general-purpose"],
    "skills": [],
    "plugins": [],
}
_ASSISTANT: Mapping[str, Any] = {
    "type": "message",
    "role": "assistant",
    "model": "{{model}}",
    "stop_reason": None,
    "stop_sequence": None,
}
_USAGE: Mapping[str, Any] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
    "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
    "service_tier": "standard",
}
_RESULT: Mapping[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "duration_ms": 20,
    "duration_api_ms": 10,
    "num_turns": 1,
    "stop_reason": "end_turn",
    "permission_denials": [],
    "terminal_reason": "completed",
    "api_error_status": None,
}
