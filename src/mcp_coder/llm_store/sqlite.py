"""The store in one SQLite file, or in memory: the promises of ``base.Store``, kept by the standard library.

A record comes in and is durable when the call returns; records go out. WAL with ``synchronous=FULL``, one immediate
transaction a write, a lock file so that writers take turns. What SQLite and the system raise becomes a
``StoreError`` here and nowhere else. It decides nothing about turns, and reads no clock. What few calls need is
imported by them.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import SessionNotFoundError, StoreError
from mcp_coder.llm_store import sqlite_reading as reading
from mcp_coder.llm_store import sqlite_writing as writing
from mcp_coder.llm_store.base import NewTurn, SessionFilter, SessionRecord, TurnEnding, TurnRecord
from mcp_coder.llm_store.raw_records import events_from_raw, response_from_raw
from mcp_coder.llm_store.sqlite_connections import Connections, FileConnections, MemoryConnection
from mcp_coder.llm_store.sqlite_errors import FOREIGN, store_error
from mcp_coder.llm_store.sqlite_lock import WriteLock
from mcp_coder.llm_store.sqlite_migrations import refuse_newer
from mcp_coder.llm_store.sqlite_opening import Opening, open_memory
from mcp_coder.llm_store.sqlite_statements import run

if TYPE_CHECKING:
    import sqlite3

    from mcp_coder.llm_events import Usage
    from mcp_coder.llm_store.base import SearchHit, StoreReport, UsageBy, UsageReport
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["SQLiteStore"]

_ALL = SessionFilter()


class SQLiteStore:
    """A store in one SQLite file, or, without a path, in memory. Made by ``open_store``.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, url: str, path: str | None) -> None:
        self.url = url
        self._path = path
        self._opening: Opening | None = None
        with self._translated():
            self._connections = self._opened()
        with self._use():
            pass

    def _opened(self) -> Connections:
        if self._path is None:
            return MemoryConnection(open_memory)
        lock = WriteLock(f"{self._path}.lock")
        self._opening = Opening(self._path, self.url, lock)
        return FileConnections(self._path, self._opening.open, lock)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FOREIGN as error:
            raise store_error(error, self.url) from error

    @contextlib.contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), self._connections.use() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), self._connections.write() as connection:
            refuse_newer(connection, self.url)
            yield connection

    # --- the journal

    def begin_turn(self, turn: NewTurn) -> TurnRecord:
        """Journal a turn as ``started``; see ``Store.begin_turn``."""
        with self._write() as connection:
            return writing.begin_turn(connection, turn)

    def end_turn(self, turn_id: str, ending: TurnEnding) -> bool:
        """Record how a turn ended, if it had not; see ``Store.end_turn``."""
        ended = writing.ended(ending)
        with self._write() as connection:
            return writing.end_turn(connection, turn_id, ended)

    def discard_turn(self, turn_id: str) -> None:
        """Take back a ``started`` turn; see ``Store.discard_turn``."""
        with self._write() as connection:
            writing.discard_turn(connection, turn_id)

    def reread_turn(self, turn_id: str, usage: Usage, *, reading: int, model: str | None) -> None:
        """Replace what was worked out of a turn; see ``Store.reread_turn``."""
        with self._write() as connection:
            writing.reread_turn(connection, turn_id, usage, reading=reading, model=model)

    # --- sessions

    def add_session(self, session: SessionRecord) -> bool:
        """Record a session without turns; see ``Store.add_session``."""
        with self._write() as connection:
            return writing.add_session(connection, session)

    def import_turn(self, turn: NewTurn, ending: TurnEnding) -> bool:
        """Record a whole turn that happened elsewhere; see ``Store.import_turn``."""
        ended = writing.ended(ending)
        with self._write() as connection:
            return writing.import_turn(connection, turn, ended)

    def rename_session(self, session_id: str, name: str | None) -> None:
        """Give a session a name, or none; see ``Store.rename_session``."""
        with self._write() as connection:
            writing.rename_session(connection, session_id, name, self.url)

    def tag_session(self, session_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Give a session tags and take others away; see ``Store.tag_session``."""
        with self._write() as connection:
            writing.tag_session(connection, session_id, add, remove, self.url)

    def delete_session(self, session_id: str) -> bool:
        """Remove a session with its turns; see ``Store.delete_session``."""
        with self._write() as connection:
            return writing.delete_session(connection, session_id)

    # --- reading

    def session(self, session_id: str) -> SessionRecord:
        """Return a session; see ``Store.session``."""
        with self._use() as connection:
            found = reading.session(connection, session_id)
        if found is None:
            raise SessionNotFoundError(
                f"there is no session {session_id} in the store {self.url}",
                searched=(self.url,),
                session_id=session_id,
            )
        return found

    def sessions(self, which: SessionFilter = _ALL, *, limit: int | None = None) -> Iterator[SessionRecord]:
        """Return sessions, the last changed first; see ``Store.sessions``."""
        if limit is not None and limit <= reading.PAGE:
            with self._use() as connection:
                return iter(reading.sessions_page(connection, which, max(limit, 0)))
        with self._use() as connection:
            keys = reading.session_keys(connection, which, limit)
        return self._sessions_of(keys)

    def _sessions_of(self, keys: Sequence[int]) -> Iterator[SessionRecord]:
        for first in range(0, len(keys), reading.PAGE):
            with self._use() as connection:
                page = reading.sessions_by_key(connection, keys[first : first + reading.PAGE])
            yield from page

    def sessions_like(self, beginning: str, *, limit: int = 20) -> Sequence[SessionRecord]:
        """Return the sessions whose id begins so, or whose name is this; see ``Store.sessions_like``."""
        with self._use() as connection:
            return tuple(reading.sessions_like(connection, beginning, limit))

    def turns(
        self, session_id: str, *, newest: int | None = None, newest_first: bool = False
    ) -> Iterator[TurnRecord]:
        """Return a session's turns in their order, or the newest first; see ``Store.turns``."""
        if newest_first:
            return self._pages_of(session_id, sys.maxsize, newest, backwards=True)
        behind = 0
        if newest is not None:
            with self._use() as connection:
                behind = reading.number_before_newest(connection, session_id, newest)
        return self._pages_of(session_id, behind, newest)

    def _pages_of(
        self, session_id: str, edge: int, most: int | None, *, backwards: bool = False
    ) -> Iterator[TurnRecord]:
        left = sys.maxsize if most is None else most
        for size in reading.page_sizes(most):
            with self._use() as connection:
                page = reading.turns_page(connection, session_id, edge, min(left, size), backwards=backwards)
            yield from page
            left -= len(page)
            if not page or not left:
                return
            edge = page[-1].number

    def turn(self, turn_id: str) -> TurnRecord:
        """Return a turn; see ``Store.turn``."""
        with self._use() as connection:
            found = reading.turn(connection, turn_id)
        if found is None:
            raise self._no_turn(turn_id)
        return found

    def response(self, turn_id: str) -> LLMResponseDict | None:
        """Return a turn's whole response, where it has one; see ``Store.response``."""
        raw = self._raw(turn_id)
        with self._translated():
            return response_from_raw(*raw) if raw else None

    def events(self, turn_id: str) -> tuple[Mapping[str, object], ...]:
        """Return what the agent printed in a turn; see ``Store.events``."""
        raw = self._raw(turn_id)
        with self._translated():
            return events_from_raw(*raw) if raw else ()

    def _raw(self, turn_id: str) -> tuple[bytes, bytes] | None:
        """Return what a turn left, packed, with the dictionary for it; None where it left nothing."""
        with self._use() as connection:
            found = run(connection, "raw", (turn_id,)).fetchone()
        if found is None:
            raise self._no_turn(turn_id)
        return None if found[0] is None else found

    def _no_turn(self, turn_id: str) -> StoreError:
        return StoreError(f"there is no turn {turn_id} in the store {self.url}", turn_id=turn_id)

    def unfinished_turns(self, session_id: str | None = None) -> Iterator[TurnRecord]:
        """Return the turns that are ``started``, the oldest first; see ``Store.unfinished_turns``."""
        edge = (-sys.maxsize, 0)
        while True:
            with self._use() as connection:
                page, edge = reading.unfinished_page(connection, session_id, edge)
            if not page:
                return
            yield from page

    def search(
        self, words: str, *, which: SessionFilter = _ALL, limit: int | None = 20
    ) -> Iterator[SearchHit]:
        """Return the turns whose prompt or answer holds all the words, the newest first; see ``Store.search``."""
        from mcp_coder.llm_store.sqlite_search import NEWEST, hits_page, match_for

        wanted = match_for(words)
        left = sys.maxsize if limit is None else limit
        edge: int | None = NEWEST
        while wanted and left > 0 and edge is not None:
            with self._use() as connection:
                page, edge = hits_page(connection, wanted, which, edge, min(left, reading.PAGE))
            yield from page
            left -= len(page)

    def usage(
        self,
        by: UsageBy = "day",
        *,
        which: SessionFilter = _ALL,
        since: datetime | None = None,
        until: datetime | None = None,
        tree_of: str | None = None,
        breakdown: bool = False,
        zone: tzinfo | None = None,
    ) -> UsageReport:
        """Return what was used, summed; see ``Store.usage``."""
        from mcp_coder.llm_store.sqlite_usage import Asked, usage_report

        asked = Asked(
            by=by,
            which=which,
            since=since,
            until=until,
            tree_of=tree_of,
            breakdown=breakdown,
            zone=zone or UTC,
        )
        with self._use() as connection:
            return usage_report(connection, asked)

    def check(self) -> StoreReport:
        """Return whether the store is sound, and how large; see ``Store.check``."""
        from mcp_coder.llm_store.sqlite_check import report

        with self._use() as connection:
            return report(connection, self._path, remote=bool(self._opening and self._opening.remote))

    def close(self) -> None:
        """Give back what it holds open in this process; see ``Store.close``."""
        with self._translated():
            self._connections.close()
