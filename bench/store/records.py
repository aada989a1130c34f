"""Turns of the corpus as records: what the hooks of the whole turn hand to the store.

The corpus comes in, records go out, made by the library's own code. Nothing is written here.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mcp_coder.llm_providers.turn_files import new_turn_id
from mcp_coder.llm_sessions.ledger import read_turn
from mcp_coder.llm_sessions.records import ending_from, new_turn
from mcp_coder.llm_store.base import NewTurn, TurnEnding
from mcp_coder.llm_store.redact import Redactor

from .corpus import CorpusTurn
from .hooks import AGENT, PROJECT, PROVIDER, turn_begun, turn_ended, turn_files

SESSION_TURNS = 10
"""How many turns a session has where nothing else is said."""

_START = datetime(2026, 1, 1, tzinfo=UTC)
_NOTHING_TAKEN_OUT = Redactor.none()


class Written(NamedTuple):
    """What the store is handed of a turn, at its beginning and at its end."""

    turn: NewTurn
    ending: TurnEnding


def written(turn: CorpusTurn, session_id: str, number: int, when: datetime, *, mark: str = "") -> Written:
    """Return what the store is handed of a turn, nothing taken out of it."""
    turn_id = new_turn_id()
    begun = turn_begun(
        turn, session_id, number, turn_files(f"/home/dev/.local/state/mcp_coder/turns/{turn_id}"), mark=mark
    )
    ended = turn_ended(turn, begun, when)
    baseline = _baseline(turn, number)
    begins = new_turn(
        begun,
        started_at=when,
        host=socket.gethostname(),
        project=PROJECT,
        carried=(),
        baseline=baseline,
        redactor=_NOTHING_TAKEN_OUT,
    )
    ends = ending_from(
        ended.outcome,
        ended_at=when + timedelta(seconds=20),
        response=ended.response,
        error=None,
        notices=(),
        reading=read_turn(PROVIDER, turn.events, AGENT.version, baseline),
        redactor=_NOTHING_TAKEN_OUT,
    )
    return Written(begins, ends)


def _baseline(turn: CorpusTurn, number: int) -> Mapping[str, object]:
    counter = None if number == 1 else PROVIDER.counter(turn.events)
    return {"counter": counter, "contiguous": True, "forked": False, "first": number == 1}


def in_sessions(
    turns: Sequence[CorpusTurn],
    *,
    session_turns: int = SESSION_TURNS,
    behind: int = 0,
    beginning: str = "00000000",
) -> Iterator[Written]:
    """Return turn after turn of session after session, without an end; each turn's prompt is its own.

    Args:
        turns: the corpus, taken over and over.
        session_turns: how many turns a session has.
        behind: how many turns each session has had before these.
        beginning: how the ids of these sessions begin: eight hexadecimal digits.
    """
    for place, turn in zip(itertools.count(), itertools.cycle(turns), strict=False):
        session, before = divmod(place, session_turns)
        when = _START + timedelta(seconds=30 * place)
        yield written(
            turn, session_id(beginning, session), behind + before + 1, when, mark=f"mark{place:07d}"
        )


def session_id(beginning: str, place: int) -> str:
    """Return the id of a session by its place."""
    return f"{beginning}-0000-4000-8000-{place:012x}"
