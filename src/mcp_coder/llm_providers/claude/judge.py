"""How a turn ended: an outcome in, a response or one error out.

Pure: the facts were gathered by others, the time is handed in. The same judge serves both methods: it reads the events
that the program printed, however they were carried.

``failures`` has the ways in which there is no answer. Here are those in which there is one that does not count; a new
one is a row in ``_OBJECTIONS``, of which the first that applies decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mcp_coder.llm_errors import (
    AgentError,
    LLMError,
    LocalCommandError,
    PermissionDeniedError,
    ResponseFormatError,
    SessionError,
)
from mcp_coder.llm_providers.base import Outcome, RawEvent
from mcp_coder.llm_providers.claude.case import Case, said, signal_of, words
from mcp_coder.llm_providers.claude.failures import failure
from mcp_coder.llm_providers.claude.fields import answer_in, list_in, mapping_in, results_in, text_in
from mcp_coder.llm_providers.claude.responses import answer_text, new_response, raw_response_of
from mcp_coder.llm_providers.claude.turn_end import finish, is_failure, is_local_command
from mcp_coder.llm_requests import TurnRequest
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["finish", "judge", "new_response", "notices", "refused_entry", "remaps_sessions"]


def judge(request: TurnRequest, outcome: Outcome, *, timestamp: str) -> LLMResponseDict:
    """Return what the agent answered, or raise the error that says why it did not.

    Args:
        request: what was asked.
        outcome: what the turn left behind.
        timestamp: when the answer was there, ISO 8601 with the UTC offset.

    Raises:
        LLMError: one of ``mcp_coder.llm_errors``; ``response`` has the answer where there was one after all.
    """
    case = Case(request=request, outcome=outcome, result=answer_in(outcome.events))
    error = failure(case) or next((found for object_to in _OBJECTIONS if (found := object_to(case))), None)
    if error is None:
        return _response(case, timestamp)
    error.response = error.response or _paid_for(case, timestamp)
    raise error


def _response(case: Case, timestamp: str) -> LLMResponseDict:
    result = case.of_result()
    try:
        text = answer_text(result, case.outcome.events, case.request.json_schema)
    except ResponseFormatError as error:
        error.session_id = case.outcome.entry.first_id
        raise
    return new_response(
        text=text,
        session_id=case.outcome.entry.first_id,
        method=case.outcome.method,
        raw_response=raw_response_of(case.outcome, result, text),
        timestamp=timestamp,
    )


def _paid_for(case: Case, timestamp: str) -> LLMResponseDict | None:
    """Return the answer that an error withholds, where the agent gave one."""
    if case.result is None or is_failure(case.result) or is_local_command(case.result, case.outcome.events):
        return None
    try:
        return _response(case, timestamp)
    except ResponseFormatError:
        return None


# --- answers that do not count


def _local_command(case: Case) -> LLMError | None:
    result, outcome = case.of_result(), case.outcome
    if not is_local_command(result, outcome.events):
        return None
    error = LocalCommandError(
        f"the agent answered the command itself and asked no model: {said(case)}",
        returncode=outcome.exit_code,
        stderr=outcome.stderr,
        session_id=outcome.entry.first_id,
        raw=case.raw,
    )
    error.text = text_in(result, "result")
    return error


def _other_session(case: Case) -> LLMError | None:
    entry, got = case.outcome.entry, text_in(case.of_result(), "session_id")
    if not got or got == entry.native_id:
        return None
    if entry.begin is None and remaps_sessions(case.outcome.agent.version):
        return None
    return SessionError(
        f"the agent answered in session {got} instead of {entry.native_id}: look at raw before you go on",
        session_id=entry.first_id,
        raw=case.raw,
    )


def _missing_server(case: Case) -> LLMError | None:
    status = _server_status(case.outcome.events)
    missing = [name for name in case.request.require_mcp if status.get(name) != "connected"]
    if not missing:
        return None
    named = ", ".join(f"{name} ({status.get(name, 'not configured')})" for name in missing)
    return AgentError(
        f"required MCP servers are not up: {named}; see what their commands print, then ask again",
        returncode=case.outcome.exit_code,
        stderr=case.outcome.stderr,
        session_id=case.outcome.entry.first_id,
        raw=case.raw,
    )


def _server_status(events: Sequence[RawEvent]) -> dict[str, str]:
    """Return how each MCP server was when the turn began: the program waits for them before it does."""
    begun = next((event for event in events if event.get("subtype") == "init"), {})
    servers = [server for server in list_in(begun, "mcp_servers") if isinstance(server, dict)]
    return {text_in(server, "name"): text_in(server, "status") for server in servers}


def _denial(case: Case) -> LLMError | None:
    denials = [item for item in list_in(case.of_result(), "permission_denials") if isinstance(item, dict)]
    if case.request.on_denial != "error" or not denials:
        return None
    tools = ", ".join(sorted({text_in(item, "tool_name") or "?" for item in denials}))
    return PermissionDeniedError(
        f"the agent was denied {tools}: allow it (allowed_tools, permission_mode), or ask without on_denial='error'",
        denials=denials,
        session_id=case.outcome.entry.first_id,
        raw=case.raw,
    )


# A local command comes first: /clear answers in another session, and means to.
_OBJECTIONS: tuple[Callable[[Case], LLMError | None], ...] = (
    _local_command,
    _other_session,
    _missing_server,
    _denial,
)


def remaps_sessions(version: str) -> bool:
    """Return whether programs of this version answer a resumed session under a new id each time.

    1.0.109 and 1.0.120 do, 1.0.128 and later keep the id; of an unknown version (``""``) nothing is assumed.
    """
    found = re.match(r"\s*(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) < (1, 0, 128)


# --- what did not fail the turn


def notices(request: TurnRequest, outcome: Outcome) -> tuple[str, ...]:
    """Return what the caller should know about a turn that did not fail, a sentence each."""
    case = Case(request=request, outcome=outcome, result=answer_in(outcome.events))
    return tuple(text for applies, text in _notices(case) if applies)


def _notices(case: Case) -> tuple[tuple[object, str], ...]:
    outcome, result = case.outcome, case.of_result()
    good = case.result is not None and not is_failure(case.result) and outcome.stopped is None
    lingered = not outcome.kept and (outcome.exit_code is None or signal_of(case) is not None)
    results = len(results_in(outcome.events))
    denied = len(list_in(result, "permission_denials"))
    return (
        (good and lingered, "the answer is good, but the agent did not exit by itself and was stopped"),
        (good and not lingered and outcome.exit_code, _BAD_EXIT.format(outcome.exit_code)),
        (
            good and outcome.sdk_error,
            f"the answer is good, but the SDK failed to follow: {type(outcome.sdk_error).__name__}",
        ),
        (good and outcome.cut, "the last line of the agent's output is cut off, after the answer"),
        (outcome.unread, f"lines of the agent's output that are no event: {len(outcome.unread)}"),
        (
            results > 1,
            f"the agent gave {results} results, since work went on in the background; all are kept",
        ),
        (denied and case.request.on_denial == "record", f"tool calls that the agent was denied: {denied}"),
    )


_BAD_EXIT = (
    "the answer is good, but the agent exited with {}: its own session may lack this turn (is its disk full?)"
)


def refused_entry(outcome: Outcome) -> str | None:
    """Say that the program refused the way its session was entered, before any model was asked.

    Returns:
        ``"unknown"`` (no such native session), ``"taken"`` (the id to begin under exists), or None.
    """
    result = answer_in(outcome.events)
    if outcome.stopped is not None or _was_begun(outcome, result):
        return None
    text = words(Case(request=_NO_REQUEST, outcome=outcome, result=result))
    return next((word for pattern, word in _REFUSALS if pattern.search(text)), None)


def _was_begun(outcome: Outcome, result: RawEvent | None) -> bool:
    used = result is not None and (mapping_in(result, "modelUsage") or not is_failure(result))
    return bool(used) or any(event.get("subtype") == "init" for event in outcome.events)


_NO_REQUEST = TurnRequest(question="")

_REFUSALS = (
    (re.compile(r"No conversation found"), "unknown"),
    (re.compile(r"Session ID \S+ is already in use"), "taken"),
)
