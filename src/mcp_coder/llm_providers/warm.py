"""An agent that is kept between the turns of one session, so that only the first of them pays for its start.

``WarmAgent`` is an ``AgentSource``: a turn takes the agent that rests here where it still fits, or a new one is begun.
It fits while nobody else went on in the session, its program, options and surroundings are the same, and it is to
go on where it stands; else it is ended and the session is resumed in a fresh process, as any turn does. The agent is
used under the session's lease only; in between others may use the session.

No agent outlives this process, and none is shared with a forked one.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from mcp_coder.llm_errors import AgentError, InterruptedTurnError, LLMError, SessionBusyError
from mcp_coder.llm_providers.descendants import end_leftovers, identity_of, is_alive, marked
from mcp_coder.llm_providers.sessions import entry_ahead, leaving, reserve
from mcp_coder.llm_providers.turn_files import (
    new_turn_files,
    owned_directories,
    remove_turn_files,
    say_owner,
)
from mcp_coder.llm_requests import TurnRequest, agent_part

if TYPE_CHECKING:
    from mcp_coder.llm_providers.agent_source import TurnStart
    from mcp_coder.llm_providers.base import Agent, Entry, KeptLive, Live, Provider
    from mcp_coder.llm_providers.cards import Card

__all__ = ["Places", "WarmAgent", "end_all", "remove_abandoned_files"]


class Places(Protocol):
    """How many agents may live at a time, and whose turn it is."""

    def take(self, agent: WarmAgent, stop: Callable[[], bool] | None) -> bool:
        """Take a place for an agent that is about to be started; return whether there was one.

        Args:
            agent: whose place it is.
            stop: asked while waiting; true: give up. None: do not wait.
        """

    def give_back(self, agent: WarmAgent) -> None:
        """Give the place of an agent back that has ended."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Resting:
    """An agent in which no turn is under way, and what must be unchanged for it to go on.

    Attributes:
        live: it.
        provider: whose it is.
        request: what its program was started with.
        agent: the program and its surroundings.
        entry: how it entered the session, or will with its first turn.
        card: the session's card behind its last turn; at its start, where it had none.
        fingerprint: of the native session then.
        begun: whether it had a turn.
    """

    live: KeptLive
    provider: Provider
    request: TurnRequest
    agent: Agent
    entry: Entry
    card: Card | None
    fingerprint: str | None
    begun: bool = False

    def fits(self, turn: TurnStart) -> bool:
        """Return whether this turn can go on in it."""
        return (
            self.live.alive
            and self.request == agent_part(turn.request)
            and self.agent == turn.agent
            and self.card == turn.found
            and self._enters_alike(turn.entry)
            and (not self._moved(turn) or self.live.stirred)
        )

    def _enters_alike(self, entry: Entry) -> bool:
        """Return whether going on in it is what a fresh program would do that enters the session like this."""
        if not self.begun:
            return dataclasses.replace(entry, moved=self.entry.moved, notices=()) == dataclasses.replace(
                self.entry, notices=()
            )
        same_place = entry.native_id == self.entry.native_id and entry.cwd == self.entry.cwd
        return same_place and entry.first_id == self.entry.first_id and entry.resume_at is None

    def leaving(self) -> contextlib.AbstractContextManager[None]:
        """Return what it must end in."""
        if not self.live.alive:
            return contextlib.nullcontext()
        return leaving(self.provider, self.agent, self.entry.first_id)

    def _moved(self, turn: TurnStart) -> bool:
        """Return whether the native session has grown since, by somebody who keeps no card."""
        if not self.begun and self.entry.begin is not None:
            return False  # nobody else knows of it
        now = self.provider.fingerprint(turn.agent, self.entry.native_id if self.begun else self._source)
        return now != self.fingerprint

    @property
    def _source(self) -> str:
        return self.entry.resume or self.entry.native_id


class WarmAgent:
    """Keeps the agent of one session between its turns. Safe from any thread.

    Attributes:
        used_at: when its last turn ended, or it was started, by ``time.monotonic``.

    Example::

        warm = WarmAgent()
        run_turn(provider, request, agents=warm)
        run_turn(provider, next_request, agents=warm)  # in the same process of the agent
        warm.end()
    """

    def __init__(self, places: Places | None = None) -> None:
        self._places = places
        self._changed = threading.Condition()
        self._resting: _Resting | None = None
        self._taken: dict[int, _Resting] = {}
        """Those in a turn now; more than one only where a busy session was forked."""
        self._hands = 0
        """How many threads start or end one now, or hand it to a turn."""
        self.used_at = time.monotonic()
        _up.add(self)

    # --- for the turn

    def take(self, turn: TurnStart) -> tuple[Live, Entry]:
        """Return the agent that rests here, or a new one, made ready for this turn.

        Raises:
            SessionBusyError: all places for agents were in use for too long.
            InterruptedTurnError: the turn was stopped while it waited for one.
            AgentNotFoundError: the agent cannot be started.
            AgentError: there is no place for its private files.
        """
        with self._in_hand():
            kept = self._made_ready(self._fitting(turn), turn) or self._made_ready(self._started(turn), turn)
            if kept is None:
                raise _no_files(turn.entry, "its output cannot be led to those of the turn")
            with self._changed:
                self._taken[id(kept.live)] = kept
        return kept.live, kept.entry

    def _made_ready(self, kept: _Resting | None, turn: TurnStart) -> _Resting | None:
        """Make an agent ready for this turn; None: there is none, or it was of no use and is ended."""
        if kept is None:
            return None
        entry = dataclasses.replace(turn.entry, warm=kept.begun)
        try:
            kept.live.begin(turn.request, entry=entry, files=turn.files, observe=turn.observe)
        except BaseException as error:
            self._end(kept)
            if not isinstance(error, OSError):  # somebody may have tidied its files away
                raise
            return None
        return dataclasses.replace(kept, entry=entry)

    def leave(self, live: Live, card: Card | None) -> None:
        """Let an agent rest whose turn is over; None, or it is gone: it is ended."""
        with self._in_hand():
            with self._changed:
                kept = self._taken.pop(id(live))
            self.used_at = time.monotonic()
            if card is None or not self._lies_down(kept, card):
                self._end(kept)

    @contextlib.contextmanager
    def _in_hand(self) -> Iterator[None]:
        """Let whoever wants the agent ended wait for what is done with it in here."""
        with self._changed:
            self._hands += 1
        try:
            yield
        finally:
            with self._changed:
                self._hands -= 1
                self._changed.notify_all()

    def _lies_down(self, kept: _Resting, card: Card) -> bool:
        if not kept.live.alive:
            return False
        try:
            kept.live.rest()
        except OSError:
            return False
        with self._changed:
            if self._resting is not None:
                return False
            self._resting = dataclasses.replace(kept, card=card, fingerprint=card.fingerprint, begun=True)
        return True

    def _fitting(self, turn: TurnStart) -> _Resting | None:
        kept = self._claimed()
        if kept is not None and not kept.fits(turn):
            self._end(kept)
            return None
        return kept

    def _claimed(self) -> _Resting | None:
        """Return the agent that rests here, for this thread alone."""
        with self._changed:
            kept, self._resting = self._resting, None
        return kept

    def _started(self, turn: TurnStart) -> _Resting:
        def give_up() -> bool:
            return turn.stop() or turn.deadline.left() < reserve(turn.request)

        if not self._has_place(give_up):
            raise _no_place(turn)
        return self._start(turn.provider, turn.request, turn.agent, turn.entry, turn.found)

    def _has_place(self, stop: Callable[[], bool] | None) -> bool:
        return self._places is None or self._places.take(self, stop)

    def _give_place_back(self) -> None:
        if self._places is not None:
            self._places.give_back(self)

    def _start(
        self, provider: Provider, request: TurnRequest, agent: Agent, entry: Entry, card: Card | None
    ) -> _Resting:
        """Start an agent whose place was taken."""
        since, files = time.time(), None
        try:
            remove_abandoned_files()
            files = new_turn_files()
            say_owner(files.directory, identity_of(os.getpid()))
            fingerprint = provider.fingerprint(agent, entry.resume or entry.native_id)
            live = provider.start_kept(request, agent=agent, entry=entry, files=files)
        except BaseException as error:
            if files is not None:
                end_leftovers(list(marked(files.turn_id, since, set())))
                remove_turn_files(files.directory)
            self._give_place_back()
            if isinstance(error, OSError) and not isinstance(error, LLMError):
                raise _no_files(entry, str(error)) from error
            raise
        return _Resting(
            live=live,
            provider=provider,
            request=agent_part(request),
            agent=agent,
            entry=entry,
            card=card,
            fingerprint=fingerprint,
        )

    # --- ahead of turns, and behind them

    def start_ahead(self, provider: Provider, request: TurnRequest, agent: Agent, *, new_id: str) -> bool:
        """Start an agent before it is needed, where a place is free; return whether one rests here now.

        Raises:
            AgentNotFoundError: it cannot be started.
        """
        with self._in_hand():
            way_in = entry_ahead(provider, request, agent, new_id=new_id)
            if way_in is None or self.rests or not os.path.isdir(way_in[0].cwd) or not self._has_place(None):
                return self.rests
            kept = self._start(provider, request, agent, *way_in)
            self.used_at = time.monotonic()
            with self._changed:
                if self._resting is None and not self._taken:
                    self._resting = kept
                    return True
            self._end(kept)
            return self.rests

    @property
    def rests(self) -> bool:
        """Whether an agent is up and in no turn."""
        return self._resting is not None

    @property
    def in_turn(self) -> bool:
        """Whether an agent is in a turn."""
        return bool(self._taken)

    def end_resting(self) -> bool:
        """End the agent if it is in no turn; return whether there was one. A later turn starts another."""
        with self._in_hand():
            kept = self._claimed()
            if kept is not None:
                self._end(kept)
            return kept is not None

    def end(self) -> None:
        """Wait for the end of a turn that is under way, then end the agent; it is gone on return, whoever ended it."""
        with self._changed:
            while self.in_turn or self._hands:
                self._changed.wait()
        self.end_resting()

    def _end(self, kept: _Resting) -> None:
        try:
            with kept.leaving():
                kept.live.end()
        finally:
            self._give_place_back()


def remove_abandoned_files() -> None:
    """Remove the private files of agents whose keeper was killed between two turns: they have ended with it."""
    here = identity_of(os.getpid())["boot"]  # what another machine or container keeps is not ours to judge
    for directory, owner in owned_directories():
        if owner.get("boot") == here and not is_alive(owner):
            remove_turn_files(directory)


def end_all(agents: Iterable[WarmAgent]) -> None:
    """End all these that are in no turn, side by side: each is told to go before the first is waited for."""
    claimed = [(warm, kept) for warm in agents if (kept := warm._claimed()) is not None]
    with contextlib.ExitStack() as stack:
        for warm, kept in claimed:
            stack.callback(warm._give_place_back)
            stack.enter_context(kept.leaving())
        for _, kept in claimed:
            kept.live.dismiss()
        for _, kept in claimed:
            stack.callback(kept.live.end)


_up: weakref.WeakSet[WarmAgent] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """Begin anew in a forked child: the agents, and locks that other threads may have held, are its parent's."""
    for warm in list(_up):
        warm._changed = threading.Condition()
        warm._resting, warm._taken, warm._hands = None, {}, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@atexit.register
def _end_at_exit() -> None:
    """End what still rests when the interpreter goes; what is in a turn is stopped by ``stopping``."""
    end_all(list(_up))


def _no_files(entry: Entry, why: str) -> LLMError:
    return AgentError(
        f"no place for the agent's private files ({why}); set MCP_CODER_HOME; nothing was sent",
        session_id=entry.first_id,
    )


def _no_place(turn: TurnStart) -> LLMError:
    first_id = turn.entry.first_id
    if turn.stop():
        return InterruptedTurnError("stopped before the turn began; nothing was sent", session_id=first_id)
    return SessionBusyError(
        "all agents of the pool were in turns for too long; nothing was sent: give more time, or raise max_live",
        session_id=first_id,
        retryable=True,
    )
