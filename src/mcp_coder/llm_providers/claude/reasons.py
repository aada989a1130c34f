"""Which class of error a failure is: by its HTTP status, by the program's own word for it, by what was said.

In comes a ``Case``, out comes a class of ``mcp_coder.llm_errors``, or None where the tables know nothing. Pure.

A failure that is not told apart yet is a new row in ``_BY_STATUS``, ``_BY_KIND`` or ``_BY_TEXT``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mcp_coder.llm_errors import (
    AgentError,
    AuthenticationError,
    LLMError,
    ModelNotFoundError,
    RateLimitError,
    ServerError,
    SessionError,
    SessionNotFoundError,
)
from mcp_coder.llm_providers.claude.case import Case, kind_of, status_of, words
from mcp_coder.llm_providers.claude.fields import text_in
from mcp_coder.llm_providers.claude.turn_end import is_failure

__all__ = ["by_kind", "by_status", "by_text", "failed", "too_long"]


def failed(case: Case) -> bool:
    """Return whether what was said is about a failure; with exit 0 and no result, words may mean anything."""
    return is_failure(case.result) if case.result is not None else case.outcome.exit_code != 0


def too_long(case: Case) -> bool:
    """Return whether the prompt, or the session with it, was longer than the model takes."""
    if not failed(case):
        return False
    reason, status = text_in(case.of_result(), "terminal_reason"), status_of(case)
    # Another status says more than words that the model's service may have put into its text.
    by_words = status in (None, 400) and _TOO_LONG.search(words(case)) is not None
    return reason in _TOO_LONG_REASONS or status == 413 or by_words


_TOO_LONG_REASONS = frozenset({"blocking_limit", "prompt_too_long", "rapid_refill_breaker"})
_TOO_LONG = re.compile(
    r"(prompt|input|request|conversation) is too (long|large)|request too large|context (window|length|limit)",
    re.IGNORECASE,
)


def by_status(case: Case) -> type[AgentError] | None:
    """Return the class of error for the HTTP status behind a failure."""
    status = status_of(case) if failed(case) else None
    if status is None:
        return None
    return _BY_STATUS.get(status) or (ServerError if 500 <= status <= 599 else None)


_BY_STATUS: Mapping[int, type[AgentError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: ModelNotFoundError,
    429: RateLimitError,
}


def by_kind(case: Case) -> type[AgentError] | None:
    """Return the class of error for the program's own word for a failure."""
    return _BY_KIND.get(kind_of(case)) if failed(case) else None


_BY_KIND: Mapping[str, type[AgentError]] = {
    "authentication_failed": AuthenticationError,
    "oauth_org_not_allowed": AuthenticationError,
    "verification_required": AuthenticationError,
    "rate_limit": RateLimitError,
    "overloaded": ServerError,
    "server_error": ServerError,
    "model_not_found": ModelNotFoundError,
}


def by_text(case: Case) -> type[LLMError] | None:
    """Return the class of error for what the program said about a failure."""
    if not failed(case):
        return None
    text = words(case)
    return next((cls for pattern, cls in _BY_TEXT if pattern.search(text)), None)


_BY_TEXT: tuple[tuple[re.Pattern[str], type[LLMError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cls)
    for pattern, cls in (
        (r"No conversation found", SessionNotFoundError),
        (r"is not a UUID and does not match any session title", SessionNotFoundError),
        (r"Session ID \S+ is already in use", SessionError),
        (r"Invalid session ID", SessionError),
        (r"No message found with message.uuid", SessionError),
        (r"Configuration error in|Claude configuration file at|error: unknown option", AgentError),
        (r"Credit balance is too low", AgentError),
        (
            r"Not logged in|run /login|log in again|Login (expired|reached)|claude auth login",
            AuthenticationError,
        ),
        (
            r"Invalid (API key|auth token)|OAuth (token|session)|organization has (been )?disabled",
            AuthenticationError,
        ),
        (r"Failed to authenticate|Authentication (error|required)|ANTHROPIC_API_KEY", AuthenticationError),
        (r"usage limit reached|hit your \S* ?limit|spend limit reached|rate.?limit", RateLimitError),
        (r"issue with the selected model|model .*not (found|exist)|invalid model name", ModelNotFoundError),
        (r"overloaded|temporarily limiting|server-side issue|internal server error", ServerError),
        (
            r"connection (refused|error|reset|closed)|unable to connect|timed out|ECONN|ENOTFOUND|fetch failed",
            ServerError,
        ),
    )
)
