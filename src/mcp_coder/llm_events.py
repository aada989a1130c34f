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

    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "ModelUsage",
    "Notice",
    "Retry",
    "SessionStarted",
    "TextDelta",
    "ThinkingDelta",
    "ToolFinished",
    "ToolStarted",
    "TurnEvent",
    "TurnFinished",
    "Usage",
    "UsageReported",
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
    """A piece of what the agent says, as it comes.

    A turn may have several texts: what the agent says before it runs a tool, then the answer. The law: the pieces of
    the last part, joined, equal ``response["text"]``.

    Attributes:
        text: the piece.
        part: which of the turn's texts it belongs to, from 1 on.
    """

    text: str
    part: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ThinkingDelta:
    """A piece of the model's thinking, as it comes; never part of the answer."""

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
    name: str = ""


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ModelUsage:
    """What one model used in a turn; the fields are those of ``Usage``. No cost is known where the turn's is not."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What one turn used.

    Attributes:
        input_tokens: tokens sent that no cache held.
        output_tokens: tokens that the model wrote, its thinking included.
        cache_read_tokens: tokens read from the provider's cache.
        cache_write_tokens: tokens written to it.
        thinking_tokens: the part of ``output_tokens`` that was thinking; None where the agent does not say.
        cost_usd: dollars of this turn, or None where they cannot be known; never a guess.
        total_cost_usd: the running total that the agent printed, unchanged.
        basis: what that total counts: ``"cumulative"`` (the session, over all its processes), ``"per_process"``, or
            ``"unknown"``.
        baseline_usd: the last total that was recorded before this turn, against which it was measured; None: there is
            none that this turn's total goes on from.
        unrecorded_usd: what the total shows beyond this turn and its baseline: spent in the session by others, or
            in turns whose share cannot be told. None where that cannot be known. Where it is known,
            ``total_cost_usd = baseline_usd + cost_usd + unrecorded_usd``, an unknown cost counting as zero.
        models: the same for each model, where the agent says; sub-agents' and side work's included.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    thinking_tokens: int | None = None
    cost_usd: Decimal | None = None
    total_cost_usd: Decimal | None = None
    basis: str = "unknown"
    baseline_usd: Decimal | None = None
    unrecorded_usd: Decimal | None = None
    models: tuple[ModelUsage, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UsageReported:
    """What the turn used, told once it is known: near the end of the turn."""

    usage: Usage


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnFinished:
    """The turn has its answer: the last event of a turn that did not fail. One that failed ends with its exception."""

    response: LLMResponseDict


TurnEvent = (
    SessionStarted
    | TextDelta
    | ThinkingDelta
    | ToolStarted
    | ToolFinished
    | Retry
    | Notice
    | UsageReported
    | TurnFinished
)
