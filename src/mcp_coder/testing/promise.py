"""What a promise of a store is, and the few words that promises are written with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mcp_coder.llm_store.base import NewTurn, Store, TurnEnding, TurnRecord
from mcp_coder.testing.store_samples import new_turn, turn_ending

__all__ = ["Opener", "Promise", "opened", "raises", "recorded", "same"]

Opener = Callable[[], Store]
"""Opens one store, the same at each call; a store in memory returns itself."""

Promise = Callable[[Opener], None]


@contextlib.contextmanager
def opened(opener: Opener) -> Iterator[Store]:
    """Have a store open for the block."""
    store = opener()
    try:
        yield store
    finally:
        store.close()


def same(found: object, promised: object, what: str = "") -> None:
    """Raise ``AssertionError`` unless what was found is what was promised."""
    if found != promised:
        raise AssertionError(f"{what + ': ' if what else ''}found {found!r}; promised {promised!r}")


@contextlib.contextmanager
def raises(kind: type[Exception], what: str = "") -> Iterator[None]:
    """Raise ``AssertionError`` unless the block raises an exception of a kind."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{what or 'this'} promises to raise {kind.__name__}; nothing was raised")


def recorded(store: Store, turn: NewTurn | None = None, ending: TurnEnding | None = None) -> TurnRecord:
    """Record a whole turn in the ordinary way; return it as it is read back."""
    turn = turn or new_turn()
    store.begin_turn(turn)
    store.end_turn(turn.turn_id, ending or turn_ending(int(turn.turn_id[-6:])))
    return store.turn(turn.turn_id)
