"""Where a turn gets its agent from: started for the turn alone, or kept from the turns before.

``run`` asks an ``AgentSource`` for an agent and gives it back; ``warm`` keeps one between turns. Records and protocols,
and the plain source; nothing here does I/O of its own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_providers.base import Agent, Entry, Live, Provider, TurnFiles
    from mcp_coder.llm_providers.cards import Card
    from mcp_coder.llm_providers.deadline import Deadline
    from mcp_coder.llm_requests import TurnRequest

__all__ = ["AgentSource", "StartedForTurn", "TurnStart"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnStart:
    """What it takes to start an agent for a turn, or to find the one that is kept.

    Attributes:
        provider, request, agent, entry: what is to run, and how it enters the session, whose lease is held.
        found: the session's card, as this turn found it.
        files: the turn's own files.
        observe: is handed the turn's events.
        deadline: of the turn.
        stop: asked while waiting; true: give up.
    """

    provider: Provider
    request: TurnRequest
    agent: Agent
    entry: Entry
    found: Card | None
    files: TurnFiles
    observe: Callable[[TurnEvent], None]
    deadline: Deadline
    stop: Callable[[], bool]


class AgentSource(Protocol):
    """Where a turn gets its agent from, and what becomes of that afterwards."""

    def take(self, turn: TurnStart) -> tuple[Live, Entry]:
        """Return an agent that is ready to be fed, and how it is in the session (``Entry.warm``).

        Raises:
            LLMError: there is none to be had.
        """

    def leave(self, live: Live, card: Card | None) -> None:
        """Take back an agent whose turn is over and recorded, ``Outcome.kept``; None: it is not to be used again."""


class StartedForTurn:
    """The plain source: each turn has an agent of its own, which ends with it."""

    def take(self, turn: TurnStart) -> tuple[Live, Entry]:
        """Start an agent for this turn."""
        live = turn.provider.start(
            turn.request, agent=turn.agent, entry=turn.entry, files=turn.files, observe=turn.observe
        )
        return live, turn.entry

    def leave(self, live: Live, card: Card | None) -> None:
        """Do nothing: it ended with its turn."""
