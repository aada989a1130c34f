"""What happens in a turn, event by event, and what a turn used.

Frozen records without behaviour; the same from every agent and by both methods. A provider's parser makes them; whoever
watches a turn (a progress line, a stream) is handed them in order. Nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "Notice",
    "Retry",
    "SessionStarted",
    "TextDelta",
    "ToolFinished",
    "ToolStarted",
    "TurnEvent",
    "Usage",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SessionStarted:
    """The agent has taken the prompt up.

    Attributes:
        session_id: the session as the agent calls it now.
        model: the model that answers.
        version: the version of the agent's program.
    """

    session_id: str
    model: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextDelta:
    """A piece of the answer, as it comes."""

    text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ToolStarted:
    """The agent runs a tool; ``call_id`` joins it to its ``ToolFinished``."""

    call_id: str
    name: str
    input: Mapping[str, object]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ToolFinished:
    """A tool has ended; ``output`` is its text, ``is_error`` whether it failed or was denied."""

    call_id: str
    output: str
    is_error: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """The model's service failed and the agent tries again by itself.

    Attributes:
        attempt: which try comes next, from 1 on.
        status: the HTTP status, if there was one.
        delay: seconds until then.
    """

    attempt: int
    status: int | None = None
    delay: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Something that the caller should know and that did not fail the turn, in one sentence."""

    text: str


TurnEvent = SessionStarted | TextDelta | ToolStarted | ToolFinished | Retry | Notice


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What one turn used.

    Attributes:
        input_tokens: tokens sent that no cache held.
        output_tokens: tokens that the model wrote.
        cache_read_tokens: tokens read from the provider's cache.
        cache_write_tokens: tokens written to it.
        cost_usd: dollars of this turn, or None where they cannot be known; never a guess.
        total_cost_usd: the running total that the agent printed, unchanged.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal | None = None
    total_cost_usd: Decimal | None = None
