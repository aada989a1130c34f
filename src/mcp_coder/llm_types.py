"""The one shape in which every agent's answer reaches the caller, and the version of that shape.

Nothing comes in, two names go out. This module never does I/O and imports nothing but ``typing``.
"""

from typing import TypedDict

__all__ = ["LLM_RESPONSE_VERSION", "LLMResponseDict"]

LLM_RESPONSE_VERSION = "1.0"
"""The version, MAJOR.MINOR, that new responses carry.

A new field raises MINOR, and every 1.x is read by every mcp_coder that knows 1.0; a field that goes or
changes its meaning would raise MAJOR.
"""


class LLMResponseDict(TypedDict):
    """What one turn gave: the answer, the session it belongs to, and the agent's own words.

    A plain ``dict`` at run time. A response that a newer version wrote may hold more keys: keep them.

    Example:
        >>> response: LLMResponseDict = {
        ...     "version": "1.0",
        ...     "timestamp": "2026-01-31T12:00:00+00:00",
        ...     "text": "Noted: blue",
        ...     "session_id": "5fb8e1b7-5135-4c68-b20c-5f5a207a457a",
        ...     "method": "cli",
        ...     "provider": "claude",
        ...     "raw_response": {"result": "Noted: blue", "total_cost_usd": 0.05},
        ... }
        >>> response["text"]
        'Noted: blue'
    """

    version: str
    """MAJOR.MINOR of this format."""
    timestamp: str
    """When the answer was there: ISO 8601, with the UTC offset."""
    text: str
    """The answer."""
    session_id: str | None
    """The session's first id, by which it is continued, whatever the agent calls it now."""
    method: str
    """How the agent was reached: ``"cli"`` or ``"api"``."""
    provider: str
    """Which agent: ``"claude"``."""
    raw_response: dict[str, object]
    """What the agent itself reported, as plain JSON."""
