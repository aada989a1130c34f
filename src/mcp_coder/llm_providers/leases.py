"""One turn at a time in a session on this machine: leases, and the cards beside them.

A session's first id comes in; a ``Lease`` goes out, the exclusive right to run a turn in it, or one
``SessionBusyError``. The lock is the kernel's (released when its holder dies) and stands in the agent's own
configuration directory, so that all who share that directory exclude each other, whatever their HOME. It is a lock
among processes of this machine only. Lock files are never unlinked: that would split their waiters.

Waiting is in order of arrival: each waiter holds a ticket, and only the oldest living one tries the lock, so that none
starves while others come and go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping

from filelock import FileLock, Timeout

from mcp_coder.llm_errors import LeaseWarning, SessionBusyError
from mcp_coder.llm_places import private_directory, state_directory
from mcp_coder.llm_providers.card_files import CardFiles
from mcp_coder.llm_providers.cards import Card

__all__ = ["Lease", "lease_directory", "own_holder", "read_card"]

_POLL_SECONDS = 0.02
_held: dict[str, tuple[int, FileLock]] = {}
"""Which thread of this process holds which lock: waiting for oneself would never end."""

_spare: dict[str, FileLock] = {}
"""Locks that were given back, for who takes them next: making one takes longer than taking it."""
_MOST_SPARE = 64

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)
    os.register_at_fork(after_in_child=_spare.clear)


def lease_directory(config_dir: str | None) -> str:
    """Return where the leases of all sessions of an agent's configuration directory stand.

    Where that cannot be written, it is a private directory, with one ``LeaseWarning``: other users of the same
    configuration directory are then not excluded.
    """
    if config_dir is not None:
        place = os.path.join(config_dir, "mcp_coder")
        with contextlib.suppress(OSError):
            private_directory(place)
            if os.access(place, os.W_OK | os.X_OK):
                return place
    key = hashlib.sha256((config_dir or "").encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = os.path.join(state_directory(), "leases", key)
    private_directory(place)
    if config_dir is not None:
        warnings.warn(
            f"{config_dir} cannot be written: sessions are protected by {place}, which other users do not see",
            LeaseWarning,
            stacklevel=2,
        )
    return place


def read_card(directory: str, first_id: str) -> Card | None:
    """Return the card of a session without holding its lease; None without one.

    It may be old the next moment.
    """
    return CardFiles(directory, first_id).read()


class Lease:
    """The exclusive right to run a turn in one session; given back by ``release`` or by our death.

    Attributes:
        first_id: the session.
        waited: whether somebody else had it first.
    """

    def __init__(self, directory: str, first_id: str) -> None:
        self.first_id = first_id
        self.waited = self._given_back = False
        self._directory = directory
        self._path = os.path.join(directory, f"{first_id}.lock")
        try:
            self._lock = _spare.pop(self._path)
        except KeyError:
            self._lock = _kernel_lock(self._path)
        self._card = CardFiles(directory, first_id)

    @classmethod
    def take(
        cls, directory: str, first_id: str, *, wait: float, stop: Callable[[], bool] = lambda: False
    ) -> Lease:
        """Take the lease of a session.

        Args:
            directory: as ``lease_directory`` gave it.
            first_id: the session.
            wait: seconds to wait for another holder; 0: none.
            stop: asked while waiting; true: give up.

        Raises:
            SessionBusyError: it was not free in time, or this very thread holds it.
        """
        lease = cls(directory, first_id)
        if _held_by_this_thread(lease._path):
            raise SessionBusyError(
                "this thread is already in a turn of this session; end it first", session_id=first_id
            )
        if not (lease._take_at_once() or (wait > 0 and lease._take_in_order(wait, stop))):
            raise lease._busy(wait)
        _held[lease._path] = threading.get_ident(), lease._lock
        return lease

    def card(self) -> Card | None:
        """Return the session's card as it is now; None without one."""
        return self._card.read()

    def write_card(self, card: Card) -> None:
        """Replace the session's card; ``card_files`` says what it outlives."""
        self._card.write(card)

    def write_alias(self, card: Card) -> None:
        """Let the session be found under what the agent calls it now, too."""
        alias = Card(first_id=card.first_id, native_id=card.native_id)
        files = CardFiles(self._directory, card.native_id)
        if files.read() != alias:
            files.write(alias)

    def remove_card(self) -> None:
        """Remove the session's card: there is no such session."""
        self._card.remove()

    def release(self) -> None:
        """Give the lease back. Calling it twice does no harm."""
        if self._given_back or not self._lock.is_locked:
            return
        self._given_back = True  # from here on the lock may be another lease's
        _held.pop(self._path, None)
        self._lock.release()
        _spare[self._path] = self._lock
        if len(_spare) > _MOST_SPARE:
            with contextlib.suppress(KeyError, RuntimeError):  # another thread was faster
                del _spare[next(iter(_spare))]

    def _busy(self, waited: float) -> SessionBusyError:
        card = self.card()
        holder: Mapping[str, object] = card.holder if card else {}
        who = f" (process {holder['pid']} on {holder.get('host')})" if "pid" in holder else ""
        how_long = f" after waiting {waited:.0f} s" if waited >= 1 else ""
        return SessionBusyError(
            f"another turn of session {self.first_id} is under way{who}{how_long}; nothing was sent",
            holder=holder,
            session_id=self.first_id,
        )

    # --- taking

    def _take_at_once(self) -> bool:
        """Take the lock if it is free and nobody waits for it; a place in line left by the dead is nobody."""
        return not self._elder_lives(None) and _try(self._lock)

    def _take_in_order(self, wait: float, stop: Callable[[], bool]) -> bool:
        until = time.monotonic() + wait
        self.waited = True
        with self._ticket() as mine:
            while True:
                if not self._elder_lives(mine) and _try(self._lock):
                    return True
                left = until - time.monotonic()
                if left <= 0:
                    return False
                if stop():
                    return False
                time.sleep(min(_POLL_SECONDS, left))

    @property
    def _queue(self) -> str:
        return os.path.join(self._directory, f"{self.first_id}.queue")

    def _tickets(self) -> list[str]:
        try:
            return sorted(os.listdir(self._queue))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def _ticket(self) -> Iterator[str]:
        """Hold a place in the queue; its lock proves that we live."""
        private_directory(self._queue)
        name = f"{time.time_ns():020d}-{os.getpid()}-{threading.get_ident()}"
        lock = _kernel_lock(os.path.join(self._queue, name))
        # Between our making the file and our locking it, a younger waiter may lock it and take us for dead.
        while not _try(lock):
            time.sleep(_POLL_SECONDS / 10)
        try:
            yield name
        finally:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._queue, name))
            lock.release()

    def _elder_lives(self, mine: str | None) -> bool:
        """Return whether somebody waits who came before the ticket ``mine``; None: before now."""
        for name in self._tickets():
            if mine is not None and name >= mine:
                return False
            path = os.path.join(self._queue, name)
            lock = _kernel_lock(path)
            if not _try(lock):
                return True
            with contextlib.suppress(OSError):  # its owner died waiting
                os.unlink(path)
            lock.release()
        return False


def _held_by_this_thread(path: str) -> bool:
    thread, lock = _held.get(path, (None, None))
    return thread == threading.get_ident() and lock is not None and lock.is_locked


def own_holder() -> dict[str, object]:
    """Return what a card says of the process that runs a turn."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}


def _kernel_lock(path: str) -> FileLock:
    # Not per thread: a turn may be released by another thread than took it.
    return FileLock(path, timeout=0, mode=0o600, thread_local=False)


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
