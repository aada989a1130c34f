"""What every store of sessions and turns is: its records, and its promises as the docstrings of one protocol.

Plain records and a protocol; nothing here does I/O. A dialect (``sqlite``) fills it in. ``check_store_promises`` in
``mcp_coder.testing`` is the suite that each must pass. What is written was redacted by whoever hands it over; times are
aware and in UTC; dollars are decimals, and unknown dollars are None, never zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.frozen_records import Record, record

if TYPE_CHECKING:
    from decimal import Decimal

    from mcp_coder.llm_store.reports import SearchHit as SearchHit
    from mcp_coder.llm_store.reports import StoreReport as StoreReport
    from mcp_coder.llm_store.reports import UsageBy as UsageBy
    from mcp_coder.llm_store.reports import UsageReport as UsageReport
    from mcp_coder.llm_store.reports import UsageRow as UsageRow
    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "ENDED_STATES",
    "TURN_STATES",
    "NewTurn",
    "SearchHit",
    "SessionFilter",
    "SessionRecord",
    "Store",
    "StoreReport",
    "TurnEnding",
    "TurnRecord",
    "UsageBy",
    "UsageReport",
    "UsageRow",
]

TURN_STATES = ("started", "succeeded", "failed", "interrupted", "unknown")
"""How a turn stands. ``started``: under way, or its caller died and nobody settled it yet. ``failed``: the agent or the
model's service failed. ``interrupted``: it was stopped, by a time limit or from outside. ``unknown``: its caller died
and nothing tells how it ended."""

ENDED_STATES = TURN_STATES[1:]

_IN_REPORTS = ("SearchHit", "StoreReport", "UsageBy", "UsageReport", "UsageRow")
"""Names of this module that stand in ``reports``: whoever records a turn needs none of them, and does not load them."""


def __getattr__(name: str) -> Any:
    if name not in _IN_REPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcp_coder.llm_store import reports

    return getattr(reports, name)


@record(frozen=True, kw_only=True)
class SessionRecord(Record):
    """A session as lists show it; all of it is kept with the session, none worked out from its turns when read.

    Attributes:
        session_id: its first id.
        provider: which agent.
        native_id: what the agent calls it now; None: not known yet.
        name: its name, if it has one.
        title: the beginning of its first prompt, in one line.
        tags: its tags, sorted.
        cwd: its own directory; ``project`` the project that this belongs to.
        config_dir: the agent's configuration directory that holds its native session.
        parent_id: the session that it was forked from; ``parent_turn`` the number of the last turn that they share:
            0 where that is older than the parent's own first turn, None where it is not known.
        created_at: when its first turn began; ``updated_at`` when its last turn began or ended. A new name or
            tag does not bring an old session to the front.
        turns: how many turns it has.
        cost_usd: the sum of what is known of its own turns' cost; a fork's shared past is its parent's.
        unaccounted_turns: how many of its ended turns have no known cost.
        unrecorded_usd: what the agent's counter shows beyond our turns: spent in the session by others, or in
            turns of ours whose share cannot be told.
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens: sums over its own turns.
    """

    session_id: str
    provider: str
    native_id: str | None = None
    name: str | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    cwd: str | None = None
    project: str | None = None
    config_dir: str | None = None
    parent_id: str | None = None
    parent_turn: int | None = None
    created_at: datetime
    updated_at: datetime
    turns: int = 0
    cost_usd: Decimal
    unaccounted_turns: int = 0
    unrecorded_usd: Decimal
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@record(frozen=True, kw_only=True)
class NewTurn(Record):
    """A turn that is about to be handed to an agent: what the journal keeps of it.

    Attributes:
        turn_id: unique, and in the order of time as text.
        session_id: the session's first id. The session is recorded with its first turn.
        provider, method: which agent, and how it is reached.
        prompt: what it is asked.
        started_at: now.
        session_name: the name that the session was asked for by, if it was.
        native_id: what the agent is expected to call the session.
        cwd: where it runs; ``project`` the project that this belongs to.
        config_dir: the agent's configuration directory.
        parent_id: the session that this turn's is forked from, with its first turn; ``parent_point`` the native id of
            the last message that they share, None: its end.
        model: the model that was asked for, if one was.
        agent_version, mcp_coder_version: of the agent's program, and ours.
        host: the machine.
        directory: where the agent's output is until the turn is recorded.
        options: what else was asked, as plain JSON: no secrets.
        carried: the ids of earlier turns that did not finish and whose prompts the agent still has in its history.
        baseline: the counter that this turn's usage will be worked out against, and what is known of it, as plain JSON.
        redactions: how many secrets were taken out of what stands here.
    """

    turn_id: str
    session_id: str
    provider: str
    method: str
    prompt: str
    started_at: datetime
    session_name: str | None = None
    native_id: str | None = None
    cwd: str | None = None
    project: str | None = None
    config_dir: str | None = None
    parent_id: str | None = None
    parent_point: str | None = None
    model: str | None = None
    agent_version: str = ""
    mcp_coder_version: str = ""
    host: str = ""
    directory: str | None = None
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    carried: tuple[str, ...] = ()
    baseline: Mapping[str, object] | None = None
    redactions: int = 0


@record(frozen=True, kw_only=True)
class TurnEnding(Record):
    """How a turn ended: what is added to its journal.

    Attributes:
        state: one of ``ENDED_STATES``.
        ended_at: when.
        text: the answer's text, where there is one.
        response: the whole response, where there is one.
        error: what the caller was told instead: ``class``, ``message``, ``status``, ``retryable``, as plain JSON.
        events: what the agent printed, event by event.
        usage: what the turn used; ``reading`` the version of the code that worked it out.
        model: the model that answered most of it.
        native_id: what the agent calls the session now; ``point`` the native id of the turn's last message, where
            it is part of the session's past: a fork can start there.
        counter: the agent's last result in this turn as far as its running counters go: the next turn's baseline.
        notices: what the caller was told beside the answer.
        redactions: how many secrets were taken out of what stands here.
    """

    state: str
    ended_at: datetime
    text: str = ""
    response: LLMResponseDict | None = None
    error: Mapping[str, object] | None = None
    events: Sequence[Mapping[str, object]] = ()
    usage: Usage = dataclasses.field(default_factory=Usage)
    reading: int = 0
    model: str | None = None
    native_id: str | None = None
    point: str | None = None
    counter: Mapping[str, object] | None = None
    notices: tuple[str, ...] = ()
    redactions: int = 0


@record(frozen=True, kw_only=True)
class TurnRecord(Record):
    """A turn as it is read back; what is long in it (response, events) is read by its own methods of the store.

    Attributes:
        turn_id, session_id: which turn of which session; ``number`` its place there, from 1, without gaps when written.
        parent_turn_id: the turn before it; for a fork's first turn the last one that it shares.
        state: one of ``TURN_STATES``.
        prompt, text: what was asked and answered.
        error: see ``TurnEnding``.
        usage: what it used; ``reading`` the version of the code that worked it out.
        unaccounted: it has ended and its cost is not known.
        redactions: how many secrets were taken out of it.

    The others are those of ``NewTurn`` and ``TurnEnding``.
    """

    turn_id: str
    session_id: str
    number: int
    parent_turn_id: str | None
    state: str
    provider: str
    method: str
    prompt: str
    text: str
    started_at: datetime
    ended_at: datetime | None
    error: Mapping[str, object] | None
    usage: Usage
    reading: int
    model: str | None
    native_id: str | None
    point: str | None
    cwd: str | None
    config_dir: str | None
    agent_version: str
    mcp_coder_version: str
    host: str
    directory: str | None
    options: Mapping[str, object]
    counter: Mapping[str, object] | None
    baseline: Mapping[str, object] | None
    carried: tuple[str, ...]
    notices: tuple[str, ...]
    redactions: int

    @property
    def unaccounted(self) -> bool:
        """Whether the turn has ended and its cost is not known."""
        return self.state != "started" and self.usage.cost_usd is None


@record(frozen=True, kw_only=True)
class SessionFilter(Record):
    """Which sessions: those to which all of this applies; None is no condition.

    Attributes:
        project: the whole path of the project, or its last name.
        provider: which agent.
        tag: a tag that it has.
        name: its name.
        since, until: last changed then or later; before then.
        parent_id: forked from this session.
    """

    project: str | None = None
    provider: str | None = None
    tag: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    parent_id: str | None = None


class Store(Protocol):
    """Where sessions and turns are recorded. Safe from any thread and process, and after ``fork()``.

    Writing methods are durable when they return: neither our death nor the machine's undoes them; a death in
    the middle leaves the old or the new record, never part of one. Each raises ``StoreError`` when the store cannot be
    used, and then has written nothing. Reading methods never wait for a writer, and see all that was
    returned before. Iterators do not load everything, and may be left early; nothing is locked between two of their
    records.

    Text comes back as it was, whatever it holds: NUL, lone surrogates. Times come back in UTC, to the microsecond; one
    without a zone is an ``InvalidRequestError``. Dollars are kept to 10^-9, rounded half to even.

    Attributes:
        url: what opened it.
    """

    url: str

    # --- the journal

    def begin_turn(self, turn: NewTurn) -> TurnRecord:
        """Journal a turn as ``started`` and return its record.

        Its number is one more than the session's highest so far, given out by the store: turns begun at
        once from many processes are numbered without gaps. Its session is made with it where there is none, with
        parent and title; a session that is there gets its name if it has none, and its native id.

        ``parent_turn_id`` is the turn before it in the session; for a fork's first turn the last one that it shares,
        be it a turn of the parent's own parent.

        Raises:
            StoreError: there is a turn of this id already.
        """

    def end_turn(self, turn_id: str, ending: TurnEnding) -> bool:
        """Record how a turn ended; the session's sums follow with it.

        Returns:
            Whether this call did it. A turn that has ended already is left as it is: two recoveries at once, or
            a recovery beside the turn's own late caller, do no harm.

        Raises:
            StoreError: there is no such turn.
        """

    def discard_turn(self, turn_id: str) -> None:
        """Take back a ``started`` turn that the agent never took up; its session too, where nothing else is in it.

        A session that was added, named or tagged by a call of its own stays. The newest turn's number is given out
        again. A turn that is not there is left at that.

        Raises:
            StoreError: the turn has ended.
        """

    def reread_turn(self, turn_id: str, usage: Usage, *, reading: int, model: str | None) -> None:
        """Replace what was worked out of an ended turn's raw record; the session's sums follow.

        Raises:
            StoreError: there is no such turn, or it has not ended.
        """

    # --- sessions

    def add_session(self, session: SessionRecord) -> bool:
        """Record a session without turns (a fork that was not prompted yet, an import); return whether it was new."""

    def import_turn(self, turn: NewTurn, ending: TurnEnding) -> bool:
        """Record a whole turn that happened elsewhere; return whether it was new. Otherwise as the journal."""

    def rename_session(self, session_id: str, name: str | None) -> None:
        """Give a session a name, or none. ``SessionNotFoundError`` where there is no such session."""

    def tag_session(self, session_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Give a session tags and take others away. ``SessionNotFoundError`` where there is no such session.

        A tag is printable and not blank; ``InvalidRequestError`` otherwise.
        """

    def delete_session(self, session_id: str) -> bool:
        """Remove a session with its turns; its forks stay. Return whether it was there."""

    # --- reading

    def session(self, session_id: str) -> SessionRecord:
        """Return a session. ``SessionNotFoundError`` where there is no such session."""

    def sessions(self, which: SessionFilter = ..., *, limit: int | None = None) -> Iterator[SessionRecord]:
        """Return sessions, the last changed first: those that were there at the call, in the order of then."""

    def sessions_like(self, beginning: str, *, limit: int = 20) -> Sequence[SessionRecord]:
        """Return the sessions whose id begins so, or whose name is this, the last changed first."""

    def turns(
        self, session_id: str, *, newest: int | None = None, newest_first: bool = False
    ) -> Iterator[TurnRecord]:
        """Return a session's turns in their order; only the ``newest`` so many, if given."""

    def turn(self, turn_id: str) -> TurnRecord:
        """Return a turn. ``StoreError`` where there is no such turn."""

    def response(self, turn_id: str) -> LLMResponseDict | None:
        """Return a turn's whole response, where it has one."""

    def events(self, turn_id: str) -> tuple[Mapping[str, object], ...]:
        """Return what the agent printed in a turn, event by event."""

    def unfinished_turns(self, session_id: str | None = None) -> Iterator[TurnRecord]:
        """Return the turns that are ``started``, of a session or of all, the oldest first."""

    def search(
        self, words: str, *, which: SessionFilter = ..., limit: int | None = 20
    ) -> Iterator[SearchHit]:
        """Return the turns whose prompt and answer together hold all the words, the newest first.

        Any text is allowed; what is no letter or digit only parts words; case and accents do not count. A last word
        may be the beginning of one when it ends with ``*``. Without a letter or digit nothing is found.
        """

    def usage(
        self,
        by: UsageBy = "day",
        *,
        which: SessionFilter = ...,
        since: datetime | None = None,
        until: datetime | None = None,
        tree_of: str | None = None,
        breakdown: bool = False,
        zone: tzinfo | None = None,
    ) -> UsageReport:
        """Return what was used, summed.

        Args:
            by: what for.
            which: of which sessions.
            since, until: turns begun then or later; before then.
            tree_of: only this session and all that was forked from it, and from those.
            breakdown: each row with its models.
            zone: whose days and months; None: UTC.
        """

    def check(self) -> StoreReport:
        """Return whether the store is sound, and how large."""

    def close(self) -> None:
        """Give back what it holds open, in this process. Calling it twice does no harm."""
