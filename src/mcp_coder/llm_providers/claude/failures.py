"""Why there is no answer: what the program said, and how it ended, becomes the one error that says what to do.

In comes a ``Case``; out comes an error of ``mcp_coder.llm_errors``, with the data in its attributes and one line of
text, or None where there is an answer. Nothing here does I/O, and no prompt gets into a message.

A failure that only needs its class is a row in the tables of ``reasons``; one that needs more is a row in ``_FAILURES``
here, of which the first that applies decides.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mcp_coder.llm_errors import (
    AgentError,
    AuthenticationError,
    ContextWindowError,
    InterruptedTurnError,
    LimitReachedError,
    LLMError,
    LLMTimeoutError,
    ModelNotFoundError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    SessionNotFoundError,
)
from mcp_coder.llm_providers.claude.case import (
    Case,
    resets_at,
    retrying_after,
    said,
    says_interrupted,
    signal_of,
    status_of,
)
from mcp_coder.llm_providers.claude.fields import text_in
from mcp_coder.llm_providers.claude.reasons import by_kind, by_status, by_text, failed, too_long

__all__ = ["failure"]


def failure(case: Case) -> LLMError | None:
    """Return the error that says why there is no answer; None where there is one."""
    for applies, error in _FAILURES:
        if applies(case):
            return error(case)
    return None


# --- what applies


def _stopped_by_clock(case: Case) -> bool:
    return case.outcome.stopped in _CLOCKS


def _interrupted(case: Case) -> bool:
    if case.outcome.stopped == "interrupted":
        return True
    if case.result is not None:
        # A signal after the end of the turn is our own: the program did not exit by itself.
        signalled = signal_of(case) is not None and not case.outcome.complete
        broken_off = text_in(case.result, "subtype") == "error_during_execution" and signalled
        return text_in(case.result, "terminal_reason").startswith("aborted") or broken_off
    return signal_of(case) is not None or says_interrupted(case)


def _limit_of(case: Case) -> str | None:
    return _LIMITS.get(text_in(case.of_result(), "subtype"))


_LIMITS = {"error_max_turns": "turns", "error_max_budget_usd": "budget"}


def _no_fitting_answer(case: Case) -> bool:
    return text_in(case.of_result(), "subtype") == "error_max_structured_output_retries"


# --- the errors


_E = TypeVar("_E", bound=AgentError)


def _about(case: Case) -> dict[str, Any]:
    """Return what every error of this turn carries."""
    return {"session_id": case.outcome.entry.first_id, "raw": case.raw}


def _agent_error(cls: type[_E], case: Case, message: str) -> _E:
    return cls(
        message,
        status=status_of(case) if failed(case) else None,
        returncode=case.outcome.exit_code,
        stderr=case.outcome.stderr,
        **_about(case),
    )


def _timeout(case: Case) -> LLMTimeoutError:
    kind, seconds = case.outcome.stopped or "total", case.outcome.seconds
    limit = "" if seconds is None else f" ({seconds:g} s)"
    trouble = retrying_after(case)
    meanwhile = f" while it tried again after {trouble}" if trouble else ""
    return LLMTimeoutError(
        f"{_CLOCKS[kind]}{limit}: the agent was stopped{meanwhile}",
        kind=kind,
        timeout=seconds or 0.0,
        stderr=case.outcome.stderr,
        **_about(case),
    )


_CLOCKS = {
    "startup": "no sign of life from the agent within startup_timeout",
    "inactivity": "the agent was silent for longer than inactivity_timeout",
    "total": "the turn took longer than timeout",
}


def _interruption(case: Case) -> LLMError:
    if case.outcome.stopped == "interrupted":
        how = "the turn was stopped on request"
    else:
        how = f"the agent was stopped from outside ({signal_of(case) or 'interrupted'})"
    return _agent_error(InterruptedTurnError, case, f"{how}; its prompt may still be in the session")


def _limit(case: Case) -> LLMError:
    limit = _limit_of(case) or "turns"
    option = {"turns": "max_turns", "budget": "max_budget_usd"}[limit]
    error = _agent_error(
        LimitReachedError, case, f"{said(case) or 'limit reached'}: raise {option}, or go on with the session"
    )
    error.limit = limit
    return error


def _misfit(case: Case) -> LLMError:
    return ResponseFormatError(
        f"the model gave no answer that fits json_schema: {said(case)}; simplify the schema or ask again",
        **_about(case),
    )


def _long(case: Case) -> LLMError:
    return _agent_error(
        ContextWindowError, case, f"{said(case) or 'too long'}: send less, or begin a new session"
    )


def _classified(find: Callable[[Case], type[LLMError] | None]) -> Callable[[Case], LLMError]:
    def error(case: Case) -> LLMError:
        cls = find(case) or AgentError
        text = f"{said(case) or 'the agent failed'}{_ADVICE.get(cls, '')}"
        if issubclass(cls, SessionNotFoundError):
            return cls(text, searched=_searched(case), **_about(case))
        if not issubclass(cls, AgentError):
            return cls(text, **_about(case))
        found = _agent_error(cls, case, text)
        if isinstance(found, RateLimitError):
            found.resets_at = resets_at(case)
        return found

    return error


def _searched(case: Case) -> tuple[str, ...]:
    """Return where the program looks for a session: in its own directory, whatever the working directory."""
    config_dir = case.outcome.agent.config_dir
    return () if config_dir is None else (f"{config_dir}/projects",)


_ADVICE: Mapping[type[LLMError], str] = {
    AuthenticationError: ": run `claude` and /login, or set ANTHROPIC_API_KEY",
    RateLimitError: ": wait, then try again",
    ServerError: ": try again later",
    ModelNotFoundError: ": ask for another model",
    SessionNotFoundError: ": begin a new session, or go on where it was begun (same machine and CLAUDE_CONFIG_DIR)",
}


def _of_sdk(case: Case) -> LLMError | None:
    return case.outcome.sdk_error if case.result is None else None


def _sdk_gave_up(case: Case) -> bool:
    """Return whether the SDK ended the turn: the program was then stopped by us, and may have said so."""
    error, outcome = case.outcome.sdk_error, case.outcome
    given_up = error is not None and not isinstance(error, AgentError)
    return given_up and outcome.stopped is None and not outcome.complete and failed(case)


def _sdk_error(case: Case) -> LLMError:
    error = copy.copy(case.outcome.sdk_error or LLMError("the SDK failed"))
    error.session_id = case.outcome.entry.first_id
    error.raw = error.raw or case.raw
    return error


def _other(case: Case) -> LLMError:
    exit_code = case.outcome.exit_code
    ended = "" if not exit_code else f" (exit code {exit_code})"
    return _agent_error(AgentError, case, f"the agent failed{ended}: {said(case) or 'it did not say why'}")


def _says_why(case: Case) -> bool:
    return failed(case) and (case.result is not None or bool(case.outcome.exit_code and said(case)))


def _no_result(case: Case) -> LLMError:
    if case.outcome.cut:
        why = "the agent's output is cut off"
    elif case.outcome.events or case.outcome.unread:
        why = "the agent's output has no result"
    else:
        why = "the agent printed nothing"
    heard = said(case)
    return ResponseFormatError(
        f"{why} (exit code {case.outcome.exit_code}{f', {heard}' if heard else ''}): see raw, and try again",
        **_about(case),
    )


_FAILURES: tuple[tuple[Callable[[Case], Any], Callable[[Case], LLMError]], ...] = (
    (_stopped_by_clock, _timeout),
    (_sdk_gave_up, _sdk_error),
    (_interrupted, _interruption),
    (_limit_of, _limit),
    (_no_fitting_answer, _misfit),
    (too_long, _long),
    (by_status, _classified(by_status)),
    (by_kind, _classified(by_kind)),
    (by_text, _classified(by_text)),
    (_of_sdk, _sdk_error),
    (_says_why, _other),
    (lambda case: case.result is None, _no_result),
)
