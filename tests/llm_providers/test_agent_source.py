"""The plain source: an agent for each turn, started with just what the turn is."""

from __future__ import annotations

from typing import Any

from tests.llm_providers.kept_agents import NEW, PlayedLive, PlayedProvider, new_agent, turn_start

from mcp_coder.llm_providers.agent_source import AgentSource, StartedForTurn
from mcp_coder.llm_providers.warm import WarmAgent


class Starting(PlayedProvider):
    """Notes what it is to start."""

    def start(self, request: Any, **what: Any) -> Any:
        self.asked = {"request": request, **what}
        return PlayedLive(self, 0, what["files"])


def test_each_turn_has_an_agent_of_its_own() -> None:
    provider = Starting()
    turn = turn_start(provider, new_agent("/config"))
    live, entry = StartedForTurn().take(turn)
    assert isinstance(live, PlayedLive)
    assert entry == NEW
    assert provider.asked == {
        "request": turn.request,
        "agent": turn.agent,
        "entry": turn.entry,
        "files": turn.files,
        "observe": turn.observe,
    }
    assert provider.started == []


def test_it_ended_with_its_turn() -> None:
    class Ended:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"nothing is to be asked of it any more, least of all {name}")

    ended: Any = Ended()
    StartedForTurn().leave(ended, None)


def test_both_sources_are_sources() -> None:
    sources: list[AgentSource] = [StartedForTurn(), WarmAgent()]
    assert len(sources) == 2
