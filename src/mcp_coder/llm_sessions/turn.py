"""The whole turn: the bare turn of an agent, recorded.

A checked request comes in; the answer goes out once it is in the store, or the one error that says why not. The journal
is durable before the agent is given the prompt, the record before the answer is returned. In between stands
``run_turn``, the one loop; here are only its hooks. Recording never breaks a call: what the default store cannot
take is a warning, what a named store cannot take is a ``StoreError`` that has the answer.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import LLMError, NotRecordedWarning, SessionNotFoundError, StoreError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.run import prepared, run_turn
from mcp_coder.llm_providers.turn_files import keep_for_record, recorded
from mcp_coder.llm_sessions.ledger import baseline_before, read_turn
from mcp_coder.llm_sessions.records import CleanEvents, ending_from, new_turn
from mcp_coder.llm_sessions.recovery import settle_left_turns, settle_turn
from mcp_coder.llm_sessions.redaction import new_redactor
from mcp_coder.llm_sessions.stores import chosen_store, not_recorded
from mcp_coder.llm_sessions.watching import Watching

if TYPE_CHECKING:
    from mcp_coder.llm_events import TurnEvent, Usage
    from mcp_coder.llm_providers.agent_source import AgentSource
    from mcp_coder.llm_providers.base import Provider, TurnBegun, TurnEnded
    from mcp_coder.llm_requests import TurnRequest
    from mcp_coder.llm_sessions.stores import Recording
    from mcp_coder.llm_store.base import Store, TurnRecord
    from mcp_coder.llm_store.redact import Redactor
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["record_turn"]


def record_turn(
    request: TurnRequest,
    *,
    store: Store | str | None = None,
    redact: bool | Sequence[str] = True,
    observe: Callable[[TurnEvent], None] | None = None,
    stop: Callable[[], bool] | None = None,
    agents: AgentSource | None = None,
    new_id: str | None = None,
) -> LLMResponseDict:
    """Run one turn, record it, and return the answer.

    Args:
        request: what is asked.
        store: where it is recorded: an open store, a URL, ``"off"``; None: as ``MCP_CODER_STORE`` says, or the default.
        redact: whether secrets are taken out of the record; patterns of your own are added to the known ones.
        observe: is handed the turn's events as they come, in this thread; the last are what it used, where that is
            known, and ``TurnFinished``.
        stop, agents, new_id: as ``run_turn``.

    Raises:
        LLMError: as ``run_turn``; ``StoreError`` where a named store cannot take the turn. Before the agent was given
            the prompt nothing is lost; afterwards ``response`` in it has the answer, and recovery records it later.
    """
    provider = provider_named(request.provider)
    request = prepared(provider, request)  # what is wrong with it is said before a store is made
    redactor = new_redactor(request.env, redact)
    watching = None if observe is None else Watching(observe)
    with chosen_store(store) as recording:
        recorder = _recorder(recording, provider, redactor, redact)
        try:
            response = run_turn(
                provider,
                request,
                before_feed=recorder.begin if recorder else None,
                after_judge=recorder.end if recorder else None,
                as_printed=recorder.work_ahead if recorder else None,
                observe=watching,
                stop=stop,
                agents=agents,
                new_id=new_id,
            )
        except BaseException:
            if recorder is not None:
                recorder.abandon()
            raise
    if watching is not None:
        watching.finish(response, recorder.usage if recorder else None)
    return response


def _recorder(
    recording: Recording, provider: Provider, redactor: Redactor, redact: bool | Sequence[str]
) -> _Recorder | None:
    if recording.store is None:
        return None
    return _Recorder(provider, recording.store, redactor, named=recording.named, redact=redact)


class _Recorder:
    """The hooks of one turn."""

    def __init__(
        self,
        provider: Provider,
        store: Store,
        redactor: Redactor,
        *,
        named: bool,
        redact: bool | Sequence[str],
    ) -> None:
        self._provider, self._store, self._redactor = provider, store, redactor
        self._named, self._redact = named, redact
        self._clean_events = CleanEvents(redactor)
        self._open: TurnRecord | None = None
        """The journal of this turn, as long as it has not ended."""
        self.usage: Usage | None = None
        """What the turn used, once it is recorded."""

    # --- before the agent is given the prompt

    def begin(self, begun: TurnBegun) -> None:
        """Write the journal; nothing was sent yet, so a store that fails costs nothing."""
        try:
            self._open = self._journal(begun)
        except Exception as error:
            if self._named:
                raise StoreError(
                    f"the turn cannot be recorded ({error}); nothing was sent",
                    session_id=begun.entry.first_id,
                    retryable=getattr(error, "retryable", False),
                ) from error
            not_recorded(error)

    def _journal(self, begun: TurnBegun) -> TurnRecord:
        session_id, directory = begun.entry.first_id, begun.files.directory
        settle_left_turns(self._store, self._provider, session_id)
        newest, before = itertools.tee(_newest_first(self._store, session_id))  # read once for both
        turn = new_turn(
            begun,
            started_at=datetime.now(UTC),
            host=socket.gethostname(),
            project=project_of(begun.entry.cwd),
            carried=_carried(newest, begun),
            baseline=baseline_before(self._store, begun.entry, begun.source_id, newest_first=before),
            redactor=self._redactor,
            redact=self._redact,
        )
        record = self._store.begin_turn(turn)
        try:
            # Behind the journal: a directory that is kept for no turn would be kept for ever.
            keep_for_record(directory, {"store": self._store.url, "session_id": session_id})
        except OSError:
            self._store.discard_turn(turn.turn_id)
            raise
        return record

    # --- while it works

    def work_ahead(self, printed: Sequence[Sequence[Mapping[str, object]]]) -> None:
        """Make ready to be written what was printed so far; where it fails, it does so again in ``end``."""
        if self._open is not None:
            with contextlib.suppress(Exception):
                self._clean_events.take(*printed)

    # --- when it is judged

    def end(self, ended: TurnEnded) -> None:
        """Write the record, before the answer is returned."""
        if self._open is None:
            return
        turn, self._open = self._open, None
        try:
            self._record(turn, ended)
        except Exception as error:  # noqa: BLE001  # whatever it is: the answer was paid for, and must reach the caller
            self._not_recorded(turn, ended, error)
        else:
            recorded(turn.directory or "")

    def _record(self, turn: TurnRecord, ended: TurnEnded) -> None:
        if not ended.fed or _was_refused(self._provider, ended):
            self._store.discard_turn(turn.turn_id)
            return
        outcome = ended.outcome
        ending = ending_from(
            outcome,
            ended_at=datetime.now(UTC),
            response=ended.response,
            error=ended.error,
            notices=ended.notices,
            reading=read_turn(
                self._provider,
                outcome.events,
                outcome.agent.version,
                turn.baseline,
                between=outcome.between,
            ),
            redactor=self._redactor,
            clean_events=self._clean_events,
        )
        self._store.end_turn(turn.turn_id, ending)
        self.usage = ending.usage

    def _not_recorded(self, turn: TurnRecord, ended: TurnEnded, error: Exception) -> None:
        """Hand the answer over without its record; the agent's output stays, and recovery records it later."""
        failure = StoreError(
            f"the turn could not be recorded ({error}); `mcp-coder sessions recover` does it later",
            session_id=turn.session_id,
            turn_id=turn.turn_id,
            response=ended.response,
        )
        if ended.error is not None:
            ended.error.add_note(str(failure))
            return
        if self._named:
            raise failure from error
        try:
            not_recorded(error)
        except NotRecordedWarning:  # where warnings are errors
            raise failure from error

    def abandon(self) -> None:
        """Settle a turn that was left in the middle, by Ctrl-C or a fault of ours: its agent is gone by now."""
        if self._open is not None:
            turn, self._open = self._open, None
            with contextlib.suppress(LLMError, OSError):
                settle_turn(self._store, self._provider, turn)


def _was_refused(provider: Provider, ended: TurnEnded) -> bool:
    """Return whether the agent never took the prompt up, since it would not enter the session."""
    return isinstance(ended.error, SessionNotFoundError) or provider.refused_entry(ended.outcome) is not None


def _newest_first(store: Store, session_id: str) -> Iterator[TurnRecord]:
    """Yield a session's turns; mostly nobody asks for more than the last, and a page takes three times as long."""
    yield from store.turns(session_id, newest=1, newest_first=True)
    yield from itertools.islice(store.turns(session_id, newest_first=True), 1, None)


def _carried(newest_first: Iterator[TurnRecord], begun: TurnBegun) -> list[str]:
    """Return the turns since the last finished one: their prompts are still in the agent's history."""
    entry = begun.entry
    if entry.resume is None or entry.fork or entry.resume_at is not None:
        return []
    found: list[str] = []
    for turn in newest_first:
        if turn.state == "succeeded":
            break
        found.append(turn.turn_id)
    return found[::-1]


def project_of(cwd: str) -> str:
    """Return the project that a directory belongs to: where its repository begins, else the directory itself."""
    place = cwd
    while place:
        if os.path.exists(os.path.join(place, ".git")):
            return place
        above = os.path.dirname(place)
        place = "" if above == place else above
    return cwd
