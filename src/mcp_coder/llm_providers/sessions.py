"""Entering a session: whose lease to take, whom to wait for, and how the turn gets in.

A request comes in; leases are held and an ``Entry`` goes out for as long as the turn runs. An agent that outlived its
holder is waited for, or ended, before anything starts: a lock alone is not enough, since that agent still writes
the session. The decisions themselves are ``cards``'; here is their I/O.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

from mcp_coder.llm_errors import InterruptedTurnError, SessionBusyError, SessionError
from mcp_coder.llm_providers.base import Agent, Entry, Provider, RawEvent
from mcp_coder.llm_providers.cards import Card, enter_fork, enter_new, enter_session, settled
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.descendants import end_identified, is_alive
from mcp_coder.llm_providers.leases import Lease, lease_directory, read_card
from mcp_coder.llm_providers.output_files import output_in
from mcp_coder.llm_providers.turn_files import output_path, remove_turn_files
from mcp_coder.llm_requests import TurnRequest

__all__ = [
    "Held",
    "entered",
    "entry_ahead",
    "fork_ahead",
    "leaving",
    "named_session_id",
    "reserve",
    "settle",
    "settled_session",
    "wanted_session",
]

_NAMESPACE = uuid.UUID("5f1c8f2e-7c0c-5d0e-9a55-0a1d8b7f4c21")
_RESERVE = 5.0
"""The seconds that are kept for a turn of our own, at least."""
_LADDER_SECONDS = 6.5
"""The longest that ending an orphan with all that it started takes."""
_LONGEST_ORPHAN_SILENCE = 600.0
_LOOK_SECONDS = 0.05
_STOPPED_WAITING = "stopped before the turn began; nothing was sent"


def named_session_id(provider: str, name: str) -> str:
    """Return the first id of the session of this name: the same on every machine and after every crash."""
    return str(uuid.uuid5(_NAMESPACE, f"{provider}:{name}"))


def reserve(request: TurnRequest) -> float:
    """Return the seconds that must be left for a turn's own work, behind all waiting."""
    return _RESERVE if request.timeout is None else max(_RESERVE, request.timeout / 3)


class Held:
    """A session that is ours for a turn: how to enter it, its card, and the leases that make it so.

    Attributes:
        entry: how to enter it.
        found: its card as this turn found it.
        card: its card now.
        source_id: the session that it is a fork of, if it is one.
    """

    def __init__(self, entry: Entry, card: Card | None, lease: Lease, source_id: str | None = None) -> None:
        self.entry = entry
        self.found = self.card = card
        self.source_id = source_id
        self._lease = lease

    def write(self, card: Card) -> None:
        """Replace the session's card."""
        self.card = card
        self._lease.write_card(card)

    def publish(self) -> None:
        """Let the session be found under what the agent calls it now, too."""
        if self.card is not None and self.card.native_id != self.card.first_id:
            self._lease.write_alias(self.card)

    def restore(self) -> None:
        """Put the card back as it was found: the agent never entered the session, or answered in another."""
        if self.found is None:
            self._lease.remove_card()
        else:
            self._lease.write_card(self.found)


@contextlib.contextmanager
def entered(
    provider: Provider,
    request: TurnRequest,
    agent: Agent,
    deadline: Deadline,
    stop: Callable[[], bool],
    new_id: str | None = None,
) -> Iterator[Held]:
    """Hold the session that a request is about; ``new_id`` is what one that it begins is to be called.

    Raises:
        SessionBusyError: it is in a turn and the request does not want to wait, or cannot any longer.
        SessionError: it cannot be entered as asked.
        InterruptedTurnError: the turn was stopped while it waited.
    """
    with contextlib.ExitStack() as stack:
        try:
            held = _Entrance(provider, request, agent, deadline, stop, stack, new_id).enter()
        except OSError as error:
            raise SessionError(
                f"the session's lease or card cannot be used ({error}); nothing was sent",
                session_id=request.session_id,
            ) from error
        yield held


@contextlib.contextmanager
def settled_session(
    provider: Provider, agent: Agent, first_id: str, deadline: Deadline, stop: Callable[[], bool]
) -> Iterator[Card | None]:
    """Hold a session in which nobody is at work, without a turn of our own; its card is settled.

    An agent that outlived its holder is waited for until the deadline, then ended.

    Raises:
        SessionBusyError: it is in a turn.
        InterruptedTurnError: it was stopped while it waited.
        SessionError: its lease or card cannot be used.
    """
    patient = Deadline.after(
        None if deadline.seconds is None else deadline.left() + _RESERVE + _LADDER_SECONDS
    )
    request = TurnRequest(question="", timeout=None)
    with contextlib.ExitStack() as stack:
        try:
            card = _Entrance(provider, request, agent, patient, stop, stack).idle(first_id)
        except OSError as error:
            raise SessionError(
                f"the session's lease or card cannot be used ({error})", session_id=first_id
            ) from error
        yield card


def wanted_session(request: TurnRequest, directory: str) -> str | None:
    """Return the first id of the session that a request means; callers may know it by a later id. None: a new one."""
    wanted = request.session_id
    if request.session is not None:
        wanted = named_session_id(request.provider, request.session)
    card = read_card(directory, wanted) if wanted else None
    return card.first_id if card else wanted


def entry_ahead(
    provider: Provider, request: TurnRequest, agent: Agent, *, new_id: str
) -> tuple[Entry, Card | None] | None:
    """Return how the next turn of a session will enter it if nothing happens meanwhile, and the card that says so.

    No lease is held: it is a guess, by which an agent can be started ahead of a prompt. None: somebody is at work in
    the session, or it cannot be entered; the turn itself will see.
    """
    if request.fork:
        return None
    directory, cwd = lease_directory(agent.config_dir), _caller_cwd()
    wanted = wanted_session(request, directory)
    card = read_card(directory, wanted or new_id)
    if card is not None and card.agent:
        return None
    if wanted is None and card is None:
        return enter_new(request, new_id=new_id, caller_cwd=cwd), None
    first_id = wanted or new_id
    fingerprint = provider.fingerprint(agent, card.native_id if card else first_id)
    moved = card is None or fingerprint not in (None, card.fingerprint)
    try:
        entry = enter_session(
            request,
            card,
            first_id=first_id,
            known=fingerprint is not None,
            moved=moved,
            new_id=str(uuid.uuid4()),
            caller_cwd=cwd,
        )
    except SessionError:
        return None
    return entry, card


@contextlib.contextmanager
def leaving(provider: Provider, agent: Agent, first_id: str) -> Iterator[None]:
    """Have an agent that rests in a session end in here; what it writes on its way out is no turn of anybody.

    The card says by the native session's size whether anybody else went on. Where that was so before, or where
    a turn of somebody else is under way, the card is left as it is.
    """
    with contextlib.ExitStack() as stack:
        lease = None
        with contextlib.suppress(SessionBusyError, OSError):
            lease = Lease.take(lease_directory(agent.config_dir), first_id, wait=0)
            stack.callback(lease.release)
        card = lease.card() if lease is not None else None
        ours = card is not None and card.fingerprint == provider.fingerprint(agent, card.native_id)
        yield
        if lease is not None and card is not None and ours and not card.agent:
            after = provider.fingerprint(agent, card.native_id)
            if after != card.fingerprint:
                with contextlib.suppress(OSError):
                    lease.write_card(dataclasses.replace(card, fingerprint=after))


def fork_ahead(
    provider: Provider, request: TurnRequest, agent: Agent, deadline: Deadline, *, new_id: str
) -> str | None:
    """Leave a card that says where a fork begins, before it has a turn; return the point, if one is known.

    None: there is no such point (somebody went on in the session by hand, say): its first turn must fork itself.

    Raises:
        SessionError: the session cannot be forked.
        SessionBusyError: it is in a turn, and no finished turn of it is known.
    """
    with entered(provider, request, agent, deadline, _never, new_id) as held:
        entry = held.entry
        if entry.resume_at is None:
            return None
        card = Card(
            first_id=entry.first_id,
            native_id=entry.native_id,
            cwd=entry.cwd,
            config_dir=agent.config_dir or "",
            program=agent.program,
            version=agent.version,
            origin=entry.resume,
            origin_point=entry.resume_at,
        )
        try:
            held.write(card)
        except OSError as error:
            raise SessionError(
                f"the fork's card cannot be written ({error})", session_id=request.session_id
            ) from error
        return entry.resume_at


def _never() -> bool:
    return False


class _Entrance:
    def __init__(
        self,
        provider: Provider,
        request: TurnRequest,
        agent: Agent,
        deadline: Deadline,
        stop: Callable[[], bool],
        stack: contextlib.ExitStack,
        new_id: str | None = None,
    ) -> None:
        self._provider, self._request, self._agent = provider, request, agent
        self._deadline, self._stop, self._stack = deadline, stop, stack
        self._directory = lease_directory(agent.config_dir)
        self._caller_cwd = _caller_cwd()
        self._given_id = new_id
        self._new_id = str(uuid.uuid4())

    def enter(self) -> Held:
        wanted = wanted_session(self._request, self._directory)
        if wanted is None and self._given_id is not None:
            wanted = self._given_id  # a turn that failed may have begun it, or one that is under way
        if wanted is None:
            entry = self._begun_now(self._new_id)
            return Held(entry, None, self._take(entry.first_id, wait=0))
        if self._request.fork:
            return self._fork(wanted)
        return self._go_on(wanted)

    def idle(self, first_id: str) -> Card | None:
        """Hold a session that is in no turn, and return its card once nobody is at work in it."""
        return self._idle_card(self._take(first_id, wait=0))

    # --- going on

    def _go_on(self, first_id: str) -> Held:
        try:
            lease = self._take(first_id, wait=self._patience())
            card = self._idle_card(lease)
        except SessionBusyError:
            if self._request.on_busy != "fork":
                raise
            return self._forked(first_id, idle=False)
        if lease.waited:
            self._check_time_left(first_id)
        fingerprint = self._provider.fingerprint(self._agent, card.native_id if card else first_id)
        if card is None and fingerprint is None and first_id == self._given_id:
            return Held(self._begun_now(first_id), None, lease)
        moved = card is None or fingerprint not in (None, card.fingerprint)
        entry = enter_session(
            self._request,
            card,
            first_id=first_id,
            known=fingerprint is not None,
            moved=moved,
            new_id=self._new_id,
            caller_cwd=self._caller_cwd,
        )
        return Held(dataclasses.replace(entry, moved=moved), card, lease)

    def _begun_now(self, new_id: str) -> Entry:
        return enter_new(self._request, new_id=new_id, caller_cwd=self._caller_cwd)

    def _patience(self) -> float:
        """Return how long to wait for somebody else's turn, leaving enough for our own."""
        if self._request.on_busy != "wait":
            return 0.0
        return max(self._deadline.left() - reserve(self._request), 0.0)

    def _check_time_left(self, first_id: str) -> None:
        if self._deadline.left() < reserve(self._request) - _LOOK_SECONDS:
            raise SessionBusyError(
                f"session {first_id} came free with too little of the time limit left; nothing was sent",
                session_id=first_id,
            )

    # --- forking

    def _fork(self, source_id: str) -> Held:
        try:
            return self._forked(source_id, idle=self._take_idle(source_id, wait=0))
        except SessionBusyError:
            if self._request.on_busy != "wait":
                raise
        self._stack.close()  # an orphan's lease may have been free
        held = self._forked(source_id, idle=self._take_idle(source_id, wait=self._patience()))
        self._check_time_left(source_id)
        return held

    def _take_idle(self, source_id: str, wait: float) -> bool:
        """Hold the session to fork from, if nobody is in a turn of it; only with ``wait`` is an orphan waited for."""
        try:
            lease = self._take(source_id, wait=wait)
            card = lease.card()
            if wait <= 0 and card is not None and is_alive(card.agent):
                return False
            self._idle_card(lease)
        except SessionBusyError:
            return False
        return True

    def _forked(self, source_id: str, *, idle: bool) -> Held:
        source = read_card(self._directory, source_id)
        native = source.native_id if source else source_id
        fingerprint = self._provider.fingerprint(self._agent, native)
        entry = enter_fork(
            self._request,
            source,
            source_id=source_id,
            new_id=self._given_id if self._request.fork and self._given_id else self._new_id,
            idle=idle,
            fingerprint=fingerprint,
            caller_cwd=self._caller_cwd,
        )
        moved = source is None or fingerprint not in (None, source.fingerprint)
        entry = dataclasses.replace(entry, moved=moved)
        if entry.resume_at is not None:
            self._stack.close()  # a named point stays what it is: the session forked from is free at once
        return Held(entry, None, self._take(entry.first_id, wait=0), source_id)

    # --- leases and orphans

    def _take(self, first_id: str, wait: float) -> Lease:
        if self._stop():
            raise InterruptedTurnError(_STOPPED_WAITING, session_id=first_id)
        try:
            lease = Lease.take(self._directory, first_id, wait=wait, stop=self._stop)
        except SessionBusyError:
            if self._stop():
                raise InterruptedTurnError(_STOPPED_WAITING, session_id=first_id) from None
            raise
        self._stack.callback(lease.release)
        return lease

    def _idle_card(self, lease: Lease) -> Card | None:
        """Return the card once nobody is at work in the session; settle what a dead holder left."""
        card = lease.card()
        if card is None or not card.agent:
            return card
        if is_alive(card.agent):
            self._outwait(card)
            lease.waited = True
        card = self._settle(card)
        lease.write_card(card)
        return card

    def _outwait(self, card: Card) -> None:
        """Wait until an agent whose holder died is gone; end it when no more time can be given to it."""
        if self._request.on_busy != "wait":
            raise SessionBusyError(
                f"the agent of an earlier turn of session {card.first_id} still works; nothing was sent",
                holder=card.agent,
                session_id=card.first_id,
            )
        since, size = time.monotonic(), -1
        while is_alive(card.agent):
            grown = _size(card)
            if grown != size:
                since, size = time.monotonic(), grown
            silent = time.monotonic() - since > _LONGEST_ORPHAN_SILENCE
            if silent or self._deadline.left() < reserve(self._request) + _LADDER_SECONDS:
                self._end_orphan(card)
                return
            if self._stop():
                raise InterruptedTurnError(_STOPPED_WAITING, session_id=card.first_id)
            time.sleep(_LOOK_SECONDS)

    def _end_orphan(self, card: Card) -> None:
        end_identified(card.agent, card.marker or card.turn_id or "")
        if is_alive(card.agent):  # another user's, say
            raise SessionBusyError(
                f"the agent of an earlier turn of session {card.first_id} cannot be ended; nothing was sent",
                holder=card.agent,
                session_id=card.first_id,
            )

    def _settle(self, card: Card) -> Card:
        """Return the card after the turn of a dead holder, by what its agent had printed."""
        self._end_orphan(card)
        events = self._provider.read_events(_left_output(card))
        if card.marker is not None:
            _, events = self._provider.own_events(events, card.turn_id or "")
        after = settle(self._provider, self._agent, card, events)
        for directory in filter(None, (card.directory, kept_directory(card))):
            remove_turn_files(directory)
        return after


def kept_directory(card: Card) -> str | None:
    """Return where the private files of a kept agent stand, beside those of its turns."""
    if not card.marker or not card.directory:
        return None
    return os.path.join(os.path.dirname(card.directory), card.marker)


def settle(provider: Provider, agent: Agent, card: Card, events: Sequence[RawEvent]) -> Card:
    """Return the card of a turn that came to an end, by what was printed of it."""
    after = settled(card, provider.finish(events))
    return dataclasses.replace(after, fingerprint=provider.fingerprint(agent, after.native_id))


def _caller_cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # deleted under us; a session with a directory of its own needs none
        return ""


def _size(card: Card) -> int:
    with contextlib.suppress(OSError):
        return os.stat(output_path(card.directory or "")).st_size
    return -1


def _left_output(card: Card) -> bytes:
    with contextlib.suppress(OSError):
        return output_in(output_path(card.directory or ""))
    return b""
