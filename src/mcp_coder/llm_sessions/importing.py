"""Writes what stands in exports and stored responses into a store, and counts what became of it.

A source comes in; sessions and turns are added, never changed. What cannot be taken is counted with its reason, and the
rest goes on. One turn is held at a time.

A turn that is older than the last one of its session comes late: it says nothing of where the session stands now, so
neither the agent's name for the session nor the agent's running counters are taken from it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError, StoreError
from mcp_coder.llm_sessions.import_sources import response_in
from mcp_coder.llm_sessions.response_reading import reading_of
from mcp_coder.llm_sessions.stored_responses import StoredAnswer, answer_key, stored_answer
from mcp_coder.llm_store.base import NewTurn, SessionRecord, TurnEnding
from mcp_coder.llm_store.exports import ExportedSession, ExportedTurn, Flaw, Manifest, Unknown, read_export
from mcp_coder.llm_store.redacted_records import Redacts, WholeTurn, redacted_session, redacted_turn

if TYPE_CHECKING:
    from datetime import datetime

    from mcp_coder.llm_sessions.import_sources import Source
    from mcp_coder.llm_store.base import Store
    from mcp_coder.llm_store.exports import Item

__all__ = ["ImportReport", "Importer"]

_MOST_REASONS = 100


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What became of an import.

    Attributes:
        sessions, turns: how many were added.
        sessions_there, turns_there: how many of those in the files the store had already.
        under_way: turns that had not ended when they were exported, and were left out.
        refused: how many records could not be taken; ``reasons`` says why, of the first hundred.
        redactions: how many secrets were taken out now.
        unknown: fields of a newer version that have no place here, by name.
    """

    sessions: int
    turns: int
    sessions_there: int
    turns_there: int
    under_way: int
    refused: int
    reasons: tuple[str, ...]
    redactions: int
    unknown: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class _Tally:
    """An ``ImportReport`` in the making."""

    sessions: int = 0
    turns: int = 0
    sessions_there: int = 0
    turns_there: int = 0
    under_way: int = 0
    refused: int = 0
    reasons: list[str] = dataclasses.field(default_factory=list)
    redactions: int = 0
    unknown: dict[str, None] = dataclasses.field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count a record that cannot be taken."""
        self.refused += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(reason)

    def report(self) -> ImportReport:
        """Return what became of everything so far."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return ImportReport(**{**fields, "reasons": tuple(self.reasons), "unknown": tuple(self.unknown)})


@dataclasses.dataclass(slots=True)
class _Session:
    """The session that turns are added to.

    Attributes:
        session_id: which.
        there: the store has it.
        last: when the last of the turns began that the store had before.
        record: what its line said; None where there was none.
    """

    session_id: str
    there: bool
    last: datetime | None
    record: SessionRecord | None = None


class Importer:
    """Adds sources to a store, and counts."""

    def __init__(self, store: Store, redactor: Redacts) -> None:
        self._store, self._redactor, self._tally = store, redactor, _Tally()
        self._session: _Session | None = None
        self._seen: set[str] = set()
        self._answers: dict[str, set[tuple[str, str]]] = {}
        """The answers that each session has: when they were given, and their texts."""
        self._takers: Mapping[type, Callable[[Any], None]] = {
            ExportedSession: self._take_session,
            ExportedTurn: self._take_turn,
            Unknown: self._take_unknown,
            Manifest: lambda _: None,
        }

    def report(self) -> ImportReport:
        """Return what became of everything so far."""
        return self._tally.report()

    def take(self, source: Source, *, salvage: bool) -> Iterator[int]:
        """Add a source; yield, again and again, how many bytes of it were read.

        Raises:
            StoreError: it is damaged, and not to be salvaged; or the store cannot be written.
        """
        self._session = None
        if not source.is_export:
            self._take_response(source)
            yield source.size
            return
        with open(source.path, "rb") as file:
            for item in read_export(file):
                self._take(item, source.name, salvage=salvage)
                yield file.tell()

    # --- exports

    def _take(self, item: Item, name: str, *, salvage: bool) -> None:
        if isinstance(item, Flaw):
            if item.damage and not salvage:
                raise StoreError(f"{name} was changed while it was read: {item}")
            self._tally.refuse(f"{name}: {item}")
            return
        try:
            self._takers[type(item)](item)
        except InvalidRequestError as exc:  # what no store takes, such as a tag of two lines
            self._tally.refuse(f"{name}: line {getattr(item, 'line', 0)} cannot be taken: {exc}")

    def _take_session(self, item: ExportedSession) -> None:
        record, count = redacted_session(item.session, self._redactor)
        session = self._enter(record.session_id)
        session.record = record
        if self._added(session, _without_turns(record, self._parent_turn(item))):
            self._tally.redactions += count

    def _parent_turn(self, item: ExportedSession) -> int | None:
        """Return the number that the last shared turn has here: it need not be the one that it had elsewhere."""
        session = item.session
        if session.parent_id is not None and item.parent_turn_id is not None:
            with contextlib.suppress(StoreError):  # no such turn here
                turn = self._store.turn(item.parent_turn_id)
                return turn.number if turn.session_id == session.parent_id else session.parent_turn
        return session.parent_turn

    def _take_turn(self, item: ExportedTurn) -> None:
        if item.turn.state == "started":
            self._tally.under_way += 1
            return
        session = self._enter(item.turn.session_id)
        whole = WholeTurn(turn=item.turn, response=item.response, events=item.events)
        whole, count = redacted_turn(whole, self._redactor)
        self._add(session, *_as_it_was(whole, session.record), redactions=count)

    def _take_unknown(self, item: Unknown) -> None:
        self._tally.unknown |= dict.fromkeys(item.names)

    # --- stored responses

    def _take_response(self, source: Source) -> None:
        try:
            answer = self._redacted(stored_answer(response_in(source.name, source.path)))
        except ValueError as exc:
            self._tally.refuse(f"{source.name}: {exc}")
            return
        session, known = self._enter(answer.session_id), self._answers_in(answer.session_id)
        if answer.key in known:
            self._tally.turns_there += 1
            return
        self._added(session, answer.session())
        reading = reading_of(self._store, answer, late=_is_late(session, answer.started_at))
        self._add(session, *answer.turn(reading), redactions=answer.redactions)
        known.add(answer.key)

    def _redacted(self, answer: StoredAnswer) -> StoredAnswer:
        clean, count = self._redactor.value({"text": answer.text, "response": answer.response})
        fields = cast("dict[str, Any]", clean)
        return dataclasses.replace(answer, **fields, redactions=count) if count else answer

    def _answers_in(self, session_id: str) -> set[tuple[str, str]]:
        """Return the answers that a session has: a turn that was recorded is not to be there twice."""
        if session_id not in self._answers:
            responses = (self._store.response(turn.turn_id) for turn in self._store.turns(session_id))
            self._answers[session_id] = {answer_key(response) for response in responses if response}
        return self._answers[session_id]

    # --- both

    def _enter(self, session_id: str) -> _Session:
        if self._session is None or self._session.session_id != session_id:
            there = self._is_there(session_id)
            newest = next(iter(self._store.turns(session_id, newest=1)), None)
            self._session = _Session(session_id, there, None if newest is None else newest.started_at)
            if session_id not in self._seen:
                self._seen.add(session_id)
                self._tally.sessions_there += there
        return self._session

    def _is_there(self, session_id: str) -> bool:
        try:
            self._store.session(session_id)
        except SessionNotFoundError:
            return False
        return True

    def _added(self, session: _Session, record: SessionRecord) -> bool:
        """Add a session that the store has not."""
        new = not session.there and self._store.add_session(record)
        self._tally.sessions += new
        session.there = True
        return new

    def _add(self, session: _Session, turn: NewTurn, ending: TurnEnding, *, redactions: int) -> None:
        if _is_late(session, turn.started_at):
            turn = dataclasses.replace(turn, native_id=None, config_dir=None)
            ending = dataclasses.replace(ending, native_id=None, counter=None)
        if not self._store.import_turn(turn, ending):
            self._tally.turns_there += 1
            return
        self._tally.sessions += not session.there  # made with its turn
        session.there = True
        self._tally.turns += 1
        self._tally.redactions += redactions


def _is_late(session: _Session, started_at: datetime) -> bool:
    return session.last is not None and started_at < session.last


def _without_turns(session: SessionRecord, parent_turn: int | None) -> SessionRecord:
    """Return a session as it is before its turns are added, of which the sums are made."""
    return dataclasses.replace(
        session,
        parent_turn=parent_turn,
        turns=0,
        cost_usd=Decimal(0),
        unaccounted_turns=0,
        unrecorded_usd=Decimal(0),
        input_tokens=0,
        output_tokens=0,
        cache_read_tokens=0,
        cache_write_tokens=0,
    )


_OF_BEGINNING = {field.name for field in dataclasses.fields(NewTurn)}
_OF_ENDING = {field.name for field in dataclasses.fields(TurnEnding)} - {"redactions"}
_PLACES_ELSEWHERE = {"directory"}
"""Where something was on the machine that wrote it: here it could be anybody's."""


def _as_it_was(whole: WholeTurn, session: SessionRecord | None) -> tuple[NewTurn, TurnEnding]:
    """Return how a turn began and ended, all of it that a record has."""
    turn = whole.turn
    fields = {field.name: getattr(turn, field.name) for field in dataclasses.fields(turn)}
    begun = {name: fields[name] for name in _OF_BEGINNING & set(fields) - _PLACES_ELSEWHERE}
    ended = {name: fields[name] for name in _OF_ENDING & set(fields)}
    if session is not None:
        begun |= {"project": session.project, "parent_id": session.parent_id}
    return NewTurn(**begun), TurnEnding(**ended, response=whole.response, events=whole.events)
