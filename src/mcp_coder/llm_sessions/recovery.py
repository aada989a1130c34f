"""What was under way when a process died: turns that were begun, and that nobody ended.

Such a turn is ``started`` in the store, and its agent's output stands in the turn's directory. It is dead when the
lease of its session can be taken: nothing else proves it. Its agent, if it lives on, is waited for or ended, and what
it printed is judged as ever: an answer that came after our death is an answer. A prompt is never sent again. Two
recoveries at once do no harm: the lease parts them, and a turn ends once.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import LLMError, ResponseFormatError, SessionBusyError, StoreError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.base import Agent, Entry, Outcome
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.output_files import output_in
from mcp_coder.llm_providers.sessions import settled_session
from mcp_coder.llm_providers.turn_files import (
    kept_for_record,
    output_path,
    recorded,
    remove_forgotten_files,
    remove_turn_files,
)
from mcp_coder.llm_providers.warm import remove_abandoned_files
from mcp_coder.llm_sessions.ledger import read_turn
from mcp_coder.llm_sessions.records import WARM, ending_from, request_of
from mcp_coder.llm_sessions.redaction import redactor_of
from mcp_coder.llm_store.base import TurnEnding
from mcp_coder.llm_store.frozen_records import Record, record

if TYPE_CHECKING:
    from mcp_coder.llm_providers.base import Provider
    from mcp_coder.llm_store.base import Store, TurnRecord
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["Recovered", "recover", "settle_left_turns", "settle_turn"]

_AFTERWARDS = "recorded afterwards: its caller had died"
_FORGOTTEN_SECONDS = 7 * 86_400.0
"""How old the files of a turn must be that nobody refers to any more."""


@record(frozen=True, kw_only=True)
class Recovered(Record):
    """What became of a turn that was ``started``.

    Attributes:
        turn_id, session_id, number: which.
        state: how it stands now; ``"started"``: it was left alone, and ``why`` says for what reason.
    """

    turn_id: str
    session_id: str
    number: int
    state: str
    why: str = ""


def recover(
    store: Store,
    *,
    session_id: str | None = None,
    wait: float = 30.0,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Recovered]:
    """Settle what dead processes left, turn by turn; what is under way is left alone.

    Args:
        store: whose turns.
        session_id: only those of this session.
        wait: seconds for an agent that still works on such a turn; then it is ended.
        stop: asked while waiting; true: give up.

    Raises:
        StoreError: the store cannot be used.
    """
    stop = stop or _never
    for turn in list(store.unfinished_turns(session_id)):
        if stop():
            return
        yield _recovered(store, turn, wait, stop)
    _sweep(store, session_id)


def _recovered(store: Store, turn: TurnRecord, wait: float, stop: Callable[[], bool]) -> Recovered:
    def told(state: str, why: str = "") -> Recovered:
        return Recovered(
            turn_id=turn.turn_id, session_id=turn.session_id, number=turn.number, state=state, why=why
        )

    if turn.host != socket.gethostname() and not os.path.isdir(turn.directory or ""):
        return told("started", f"it runs, or ran, on {turn.host}: recover it there")
    agent = Agent(program="", version=turn.agent_version, config_dir=turn.config_dir, env={})
    try:
        provider = provider_named(turn.provider)
        with settled_session(provider, agent, turn.session_id, Deadline.after(wait), stop):
            return told(settle_turn(store, provider, turn))
    except SessionBusyError:
        return told("started", "it is under way")
    except StoreError:
        raise
    except LLMError as error:
        return told("started", str(error))


def settle_left_turns(store: Store, provider: Provider, session_id: str) -> None:
    """Settle what dead processes left in a session whose lease is ours, and in which no agent is at work."""
    for turn in list(store.unfinished_turns(session_id)):
        settle_turn(store, provider, turn)


def settle_turn(store: Store, provider: Provider, turn: TurnRecord) -> str:
    """Record how a turn ended whose agent is gone, by what it had printed, and return its state.

    Raises:
        StoreError: the store cannot be used; everything stays for the next time.
    """
    printed, ended_at = _read(output_path(turn.directory or ""))
    events = provider.read_events(printed)
    between: tuple[Mapping[str, object], ...] = ()
    if turn.options.get(WARM):
        between, events = provider.own_events(events, turn.turn_id)
    outcome = _outcome(turn, events, between)
    if provider.refused_entry(outcome) is not None:
        store.discard_turn(turn.turn_id)
        state = "discarded"
    else:
        ending = _ending(provider, turn, outcome, ended_at)
        ended = store.end_turn(turn.turn_id, ending)
        # Somebody may have been faster: its own caller, while we waited for another session.
        state = ending.state if ended else store.turn(turn.turn_id).state
    if turn.directory:
        recorded(turn.directory)
        remove_turn_files(turn.directory)
    return state


def _read(output: str) -> tuple[bytes, datetime]:
    try:
        written_at = os.stat(output).st_mtime
        return output_in(output), datetime.fromtimestamp(written_at, UTC)
    except OSError:
        return b"", datetime.now(UTC)


def _outcome(
    turn: TurnRecord, events: tuple[Mapping[str, object], ...], between: tuple[Mapping[str, object], ...]
) -> Outcome:
    native = turn.native_id or turn.session_id
    return Outcome(
        entry=Entry(first_id=turn.session_id, resume=native, cwd=turn.cwd or ""),
        agent=Agent(program="", version=turn.agent_version, config_dir=turn.config_dir, env={}),
        method=turn.method,
        events=events,
        between=between,
        exit_code=0,
    )


def _ending(
    provider: Provider,
    turn: TurnRecord,
    outcome: Outcome,
    ended_at: datetime,
) -> TurnEnding:
    if not outcome.events:
        return TurnEnding(state="unknown", ended_at=ended_at, notices=(_AFTERWARDS,))
    response, error = _judged(provider, turn, outcome, ended_at)
    return ending_from(
        outcome,
        ended_at=ended_at,
        response=response,
        error=error,
        notices=(_AFTERWARDS,),
        reading=read_turn(
            provider, outcome.events, turn.agent_version, turn.baseline, between=outcome.between
        ),
        redactor=redactor_of(turn),
    )


def _judged(
    provider: Provider, turn: TurnRecord, outcome: Outcome, ended_at: datetime
) -> tuple[LLMResponseDict | None, LLMError | None]:
    request, timestamp = request_of(turn.prompt, turn.options), ended_at.isoformat()
    try:
        return provider.judge(request, outcome, timestamp=timestamp), None
    except ResponseFormatError as error:
        if outcome.stopped is not None:
            return None, error
        # It came to no end by its own account: nobody knows what ended it, but it was in the middle of its turn.
        return _judged(provider, turn, dataclasses.replace(outcome, stopped="interrupted"), ended_at)
    except LLMError as error:
        return None, error


def _sweep(store: Store, session_id: str | None) -> None:
    """Remove what was kept for records that are written by now."""
    for directory, journal in kept_for_record():
        if journal.get("store") != store.url or session_id not in (None, journal.get("session_id")):
            continue
        if _is_ended(store, os.path.basename(directory)):
            recorded(directory)
            remove_turn_files(directory)
    remove_abandoned_files()
    remove_forgotten_files(_FORGOTTEN_SECONDS)


def _is_ended(store: Store, turn_id: str) -> bool:
    try:
        return store.turn(turn_id).state != "started"
    except StoreError:
        return False


def _never() -> bool:
    return False
