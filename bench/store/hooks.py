"""A turn of the corpus as the bare turn has it: what the hooks of the whole turn are handed, and the hooks themselves.

A turn of the corpus comes in, a request and an outcome of the library's own go out. Nothing of recording is loaded
before it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, Provider, TurnBegun, TurnEnded, TurnFiles
from mcp_coder.llm_providers.turn_files import new_turn_files
from mcp_coder.llm_requests import TurnRequest, new_request
from mcp_coder.llm_types import LLMResponseDict

from .corpus import CorpusTurn

PROVIDER = provider_named("claude")
AGENT = Agent(
    program="/home/dev/.local/bin/claude", version="2.1.330", config_dir="/home/dev/.claude", env={}
)
PROJECT = "/home/dev/project"


class Hooked(NamedTuple):
    """What the hooks of a turn are handed."""

    begun: TurnBegun
    ended: TurnEnded


def turn_files(directory: str) -> TurnFiles:
    """Return where a turn's files would be."""
    place = Path(directory)
    return TurnFiles(
        turn_id=place.name, directory=directory, output=str(place / "output.jsonl"), errors=str(place / "err")
    )


def turn_begun(
    turn: CorpusTurn, session_id: str, number: int, files: TurnFiles, *, mark: str = ""
) -> TurnBegun:
    """Return what the hook before the prompt is handed; ``mark`` stands at the prompt's end."""
    begin, resume = (session_id, None) if number == 1 else (None, session_id)
    entry = Entry(first_id=session_id, begin=begin, resume=resume, cwd=PROJECT)
    request = new_request(f"{turn.prompt} {mark}".strip(), session_id=session_id)
    return TurnBegun(turn_id=files.turn_id, request=request, entry=entry, agent=AGENT, files=files)


def turn_ended(turn: CorpusTurn, begun: TurnBegun, when: datetime) -> TurnEnded:
    """Return what the hook behind the judge is handed."""
    native = {"session_id": begun.entry.native_id}
    events = tuple({**event, **native} for event in turn.events)
    outcome = Outcome(entry=begun.entry, agent=AGENT, method="cli", events=events, complete=True, exit_code=0)
    response = PROVIDER.judge(begun.request, outcome, timestamp=when.isoformat())
    return TurnEnded(
        turn_id=begun.turn_id, request=begun.request, outcome=outcome, notices=(), response=response
    )


def hooked(turn: CorpusTurn, session: str, number: int) -> Hooked:
    """Return what the hooks of a turn are handed; its private directory is made."""
    begun = turn_begun(turn, session, number, new_turn_files())
    return Hooked(begun, turn_ended(turn, begun, datetime.now(UTC)))


def record(url: str, said: Hooked) -> None:
    """Record a turn by ``record_turn``, whose bare turn is over at once."""
    from mcp_coder.llm_sessions import turn

    vars(turn)["run_turn"] = functools.partial(_bare_turn, said)
    turn.record_turn(said.begun.request, store=url)


def _bare_turn(
    said: Hooked,
    _provider: Provider,
    _request: TurnRequest,
    *,
    before_feed: Callable[[TurnBegun], None] | None = None,
    after_judge: Callable[[TurnEnded], None] | None = None,
    **_watching: object,
) -> LLMResponseDict:
    assert before_feed is not None
    assert after_judge is not None
    assert said.ended.response is not None
    before_feed(said.begun)
    after_judge(said.ended)
    return said.ended.response
