"""Which tools an agent used in a turn, read from what it printed.

The raw events of a turn come in, its calls go out in order. Pure; the reading of an agent's events is loaded when asked
for. An agent whose events nobody here can read has no calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from mcp_coder.llm_events import ToolFinished, ToolStarted
from mcp_coder.llm_providers import told_of

__all__ = ["ToolCall", "tool_calls"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call of a tool.

    Attributes:
        name: the tool.
        detail: the one argument that tells most.
        failed: whether it failed or was denied.
    """

    name: str
    detail: str = ""
    failed: bool = False


def tool_calls(provider: str, events: Iterable[Mapping[str, object]]) -> tuple[ToolCall, ...]:
    """Return the calls of tools in a turn, those of its sub-agents among them, in the order in which they began."""
    told = list(told_of(provider, events))
    failed = {each.call_id for each in told if isinstance(each, ToolFinished) and each.is_error}
    return tuple(_call(each, failed) for each in told if isinstance(each, ToolStarted))


def _call(started: ToolStarted, failed: set[str]) -> ToolCall:
    return ToolCall(name=started.name, detail=_detail(started.input), failed=started.call_id in failed)


def _detail(arguments: Mapping[str, object]) -> str:
    """Return the first argument that is a text."""
    return next((value for value in arguments.values() if isinstance(value, str) and value.strip()), "")
