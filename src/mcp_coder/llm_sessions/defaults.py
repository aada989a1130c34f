"""What holds for a turn where its caller says nothing.

A caller's arguments come in, those of ``new_request`` go out, with ``MCP_CODER_METHOD``, ``MCP_CODER_MODEL`` and
``MCP_CODER_TIMEOUT`` (seconds, or ``none``) from the environment. What a caller says always wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_requests import DEFAULT_METHOD, DEFAULT_TIMEOUT

__all__ = ["turn_arguments"]


def turn_arguments(
    provider: str,
    method: str,
    session_id: str | None,
    timeout: float | None,
    cwd: str | None,
    options: Mapping[str, object],
) -> dict[str, object]:
    """Return the arguments of ``new_request`` but the question, with the environment's defaults.

    Raises:
        InvalidRequestError: ``MCP_CODER_TIMEOUT`` is no number.
    """
    return {
        "provider": provider,
        "method": _method(method),
        "session_id": session_id,
        "timeout": _timeout(timeout),
        "cwd": cwd,
        "model": os.environ.get("MCP_CODER_MODEL") or None,
        **options,
    }


def _method(method: str) -> str:
    named = os.environ.get("MCP_CODER_METHOD")
    return named if method is DEFAULT_METHOD and named else method


def _timeout(timeout: float | None) -> float | None:
    named = os.environ.get("MCP_CODER_TIMEOUT")
    if timeout is not DEFAULT_TIMEOUT or not named:
        return timeout
    if named.strip().lower() == "none":
        return None
    try:
        return float(named)
    except ValueError:
        raise InvalidRequestError(
            f"MCP_CODER_TIMEOUT must be a number of seconds or 'none', not {named!r}"
        ) from None
